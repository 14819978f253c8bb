//! The receiving half of [`Connection`]: octets to frames to events.
//!
//! ```text
//!   Head --DATA--> (PadLength) --> Data --> Skip (padding) --> Head
//!     |--known---> Payload (in place, or gathered when it comes in parts) --> Head
//!     `--unknown-> Skip --> Head
//! ```

use std::time::Instant;

use super::connection::{Connection, Event};
use super::error::{ConnectionError, ErrorCode, Fault, Initiator};
use super::fields::Fields;
use super::frame::{self, HEAD_LEN, Head, Kind};
use super::hpack::HpackError;
use super::stream::{Place, Recv, StreamId};
use crate::limits::{
    H2_ACKS_MAX, H2_CONTINUATIONS_MAX, H2_DATA_TINY_BYTES, H2_DEBUG_BYTES_MAX, H2_FRAME_BYTES_MAX,
    H2_HEADER_BLOCK_BYTES_MAX, H2_INFORMATIONAL_MAX,
};

/// What the next octet is a part of.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// A frame's head, of which `len` octets have come.
    Head { octets: [u8; HEAD_LEN], len: usize },
    /// The payload of this frame, gathered in [`Connection::payload`].
    Payload(Head),
    /// The padding length of this DATA frame.
    PadLength(Head),
    /// The content of a DATA frame.
    Data(Data),
    /// Octets without meaning.
    Skip(u32),
}

impl Reading {
    /// In front of a frame.
    pub(super) const START: Self = Self::Head {
        octets: [0; HEAD_LEN],
        len: 0,
    };
}

/// A DATA frame under way.
#[derive(Clone, Copy)]
pub(super) struct Data {
    stream: u32,
    left: u32,
    padding: u32,
    end_stream: bool,
}

/// A header block under way.
pub(super) struct Block {
    stream: u32,
    end_stream: bool,
    continuations: u32,
    octets: Vec<u8>,
}

/// What one step took; without progress it waits for more input.
struct Step<'a> {
    consumed: usize,
    progress: bool,
    event: Option<Event<'a>>,
}

impl<'a> Step<'a> {
    const fn wait(consumed: usize) -> Self {
        Self {
            consumed,
            progress: false,
            event: None,
        }
    }

    const fn took(consumed: usize, event: Option<Event<'a>>) -> Self {
        Self {
            consumed,
            progress: true,
            event,
        }
    }
}

type Outcome = Result<Option<Event<'static>>, Fault>;

impl Connection {
    /// [`Connection::handle_input`] without its care for failures.
    pub(super) fn receive<'a>(
        &mut self,
        now: Instant,
        input: &'a [u8],
    ) -> Result<(usize, Option<Event<'a>>), ConnectionError> {
        let mut used = 0;
        loop {
            if let Some(event) = self.next_refused() {
                return Ok((used, Some(event)));
            }
            let step = self.step(now, input.get(used..).unwrap_or_default())?;
            used += step.consumed;
            if step.event.is_some() || !step.progress {
                return Ok((used, step.event));
            }
        }
    }

    fn step<'a>(&mut self, now: Instant, input: &'a [u8]) -> Result<Step<'a>, ConnectionError> {
        match self.reading {
            Reading::Head { octets, len } => self.read_head(now, octets, len, input),
            Reading::Payload(head) => self.read_payload(now, head, input),
            Reading::PadLength(head) => {
                let Some(&padding) = input.first() else {
                    return Ok(Step::wait(0));
                };
                let outcome = self.begin_padded(now, head, padding);
                Ok(Step::took(1, self.contain(outcome)?))
            }
            Reading::Data(data) => Ok(self.read_data(data, input)),
            Reading::Skip(left) => {
                let n = input.len().min(left as usize);
                #[allow(clippy::cast_possible_truncation)] // At most `left`.
                let left = left - n as u32;
                self.reading = if left == 0 {
                    Reading::START
                } else {
                    Reading::Skip(left)
                };
                Ok(Step {
                    consumed: n,
                    progress: left == 0,
                    event: None,
                })
            }
        }
    }

    /// Keeps a stream's fault to the stream.
    fn contain(&mut self, outcome: Outcome) -> Result<Option<Event<'static>>, ConnectionError> {
        match outcome {
            Ok(event) => Ok(event),
            Err(Fault::Connection(error)) => Err(error),
            Err(Fault::Stream(id, code, detail)) => Ok(self.close_for_fault(id, code, detail)),
        }
    }

    fn read_head<'a>(
        &mut self,
        now: Instant,
        mut octets: [u8; HEAD_LEN],
        len: usize,
        input: &'a [u8],
    ) -> Result<Step<'a>, ConnectionError> {
        let mut n = 0;
        for (to, from) in octets.iter_mut().skip(len).zip(input) {
            *to = *from;
            n += 1;
        }
        if len + n < HEAD_LEN {
            self.reading = Reading::Head {
                octets,
                len: len + n,
            };
            return Ok(Step::wait(n));
        }
        let outcome = if !self.settings_seen && octets.starts_with(b"HTTP/") {
            Err(Fault::protocol("the peer speaks HTTP/1, not HTTP/2"))
        } else {
            self.begin_frame(now, Head::parse(&octets))
        };
        Ok(Step::took(n, self.contain(outcome)?))
    }

    fn begin_frame(&mut self, now: Instant, head: Head) -> Outcome {
        if !self.settings_seen && (head.kind != Kind::SETTINGS || head.has(frame::ACK)) {
            return Err(Fault::protocol("the first frame is not SETTINGS"));
        }
        if head.len > H2_FRAME_BYTES_MAX {
            return Err(Fault::frame_size("frame above the size we allow"));
        }
        match &self.block {
            Some(block) if head.kind != Kind::CONTINUATION || head.stream != block.stream => {
                return Err(Fault::protocol("frame within a header block"));
            }
            None if head.kind == Kind::CONTINUATION => {
                return Err(Fault::protocol("CONTINUATION without a header block"));
            }
            _ => {}
        }
        self.reading = Reading::Payload(head);
        match head.kind {
            Kind::DATA => self.begin_data(now, head),
            Kind::PUSH_PROMISE => Err(Fault::protocol("PUSH_PROMISE though push is off")),
            Kind::PRIORITY => {
                self.reading = Reading::Skip(head.len);
                self.nuisances.spend(now)?;
                self.check_priority(head)
            }
            Kind::HEADERS
            | Kind::RST_STREAM
            | Kind::SETTINGS
            | Kind::PING
            | Kind::GOAWAY
            | Kind::WINDOW_UPDATE
            | Kind::CONTINUATION => Ok(None),
            _ => {
                self.reading = Reading::Skip(head.len);
                self.nuisances.spend(now).map(|()| None)
            }
        }
    }

    fn check_priority(&self, head: Head) -> Outcome {
        if head.stream == 0 {
            return Err(Fault::protocol("PRIORITY without a stream"));
        }
        if head.len == 5 {
            return Ok(None);
        }
        let detail = "PRIORITY of a wrong size";
        match self.streams.place(head.stream) {
            Place::Active => Err(Fault::Stream(
                head.stream,
                ErrorCode::FRAME_SIZE_ERROR,
                detail,
            )),
            // There is no stream to be reset.
            Place::Reset | Place::Closed | Place::Idle => Err(Fault::frame_size(detail)),
        }
    }

    fn begin_data(&mut self, now: Instant, head: Head) -> Outcome {
        self.reading = Reading::Skip(head.len);
        if head.has(frame::PADDED) && head.len == 0 {
            return Err(Fault::frame_size("DATA too short for its padding length"));
        }
        self.check_known(head, "DATA without a stream of ours")?;
        if self.recv_window.receive(head.len).is_err() {
            return Err(Fault::connection(
                ErrorCode::FLOW_CONTROL_ERROR,
                "DATA beyond the connection's window",
            ));
        }
        // This window only bounds what is under way; the streams' windows say what we can hold.
        self.recv_window.grant(head.len);
        let Some(stream) = self.streams.get_mut(head.stream) else {
            // Reset by us. Late data is no nuisance, late nothing is.
            if head.len < H2_DATA_TINY_BYTES {
                self.nuisances.spend(now)?;
            }
            return Ok(None);
        };
        let fault = |code, detail| Err(Fault::Stream(head.stream, code, detail));
        match stream.recv {
            Recv::Content => {}
            Recv::Head { .. } => return fault(ErrorCode::PROTOCOL_ERROR, "DATA before HEADERS"),
            Recv::Closed => return fault(ErrorCode::STREAM_CLOSED, "DATA behind the end"),
        }
        if stream.recv_window.receive(head.len).is_err() {
            return fault(
                ErrorCode::FLOW_CONTROL_ERROR,
                "DATA beyond the stream's window",
            );
        }
        if head.has(frame::PADDED) {
            self.reading = Reading::PadLength(head);
            return Ok(None);
        }
        self.begin_content(now, head, head.len, 0)
    }

    fn begin_padded(&mut self, now: Instant, head: Head, padding: u8) -> Outcome {
        let padding = u32::from(padding);
        let behind = head.len.saturating_sub(1);
        let Some(content) = behind.checked_sub(padding) else {
            return Err(Fault::protocol("DATA with more padding than payload"));
        };
        // The owner never sees padding, so its credit comes back from here.
        if let Some(stream) = self.streams.get_mut(head.stream) {
            stream.recv_window.grant(padding + 1);
        }
        self.begin_content(now, head, content, padding)
    }

    fn begin_content(&mut self, now: Instant, head: Head, len: u32, padding: u32) -> Outcome {
        let end_stream = head.has(frame::END_STREAM);
        if len >= H2_DATA_TINY_BYTES {
            self.nuisances.earn(1);
        } else if !end_stream {
            self.nuisances.spend(now)?;
        }
        self.reading = Reading::Data(Data {
            stream: head.stream,
            left: len,
            padding,
            end_stream,
        });
        Ok(None)
    }

    fn read_data<'a>(&mut self, mut data: Data, input: &'a [u8]) -> Step<'a> {
        let Some(stream) = self.streams.get_mut(data.stream) else {
            // The owner has reset it since the frame began.
            self.reading = Reading::Skip(data.left + data.padding);
            return Step::took(0, None);
        };
        let bytes = input.get(..data.left as usize).unwrap_or(input);
        #[allow(clippy::cast_possible_truncation)] // At most `left`.
        let n = bytes.len() as u32;
        data.left -= n;
        if data.left > 0 {
            self.reading = Reading::Data(data);
            if n == 0 {
                return Step::wait(0);
            }
        } else {
            self.reading = Reading::Skip(data.padding);
            if data.end_stream {
                stream.recv = Recv::Closed;
                self.streams.close_if_ended(data.stream);
            }
        }
        let end_stream = data.end_stream && data.left == 0;
        let event = (n > 0 || end_stream).then_some(Event::Data {
            stream: StreamId(data.stream),
            bytes,
            end_stream,
        });
        Step::took(bytes.len(), event)
    }

    fn read_payload<'a>(
        &mut self,
        now: Instant,
        head: Head,
        input: &'a [u8],
    ) -> Result<Step<'a>, ConnectionError> {
        let missing = (head.len as usize).saturating_sub(self.payload.len());
        let Some(part) = input.get(..missing) else {
            self.payload.extend_from_slice(input);
            return Ok(Step::wait(input.len()));
        };
        self.reading = Reading::START;
        let outcome = if self.payload.is_empty() {
            self.handle_frame(now, head, part)
        } else {
            let mut payload = std::mem::take(&mut self.payload);
            payload.extend_from_slice(part);
            self.handle_frame(now, head, &payload)
        };
        Ok(Step::took(missing, self.contain(outcome)?))
    }

    fn handle_frame(&mut self, now: Instant, head: Head, payload: &[u8]) -> Outcome {
        match head.kind {
            Kind::HEADERS => self.handle_headers(now, head, payload),
            Kind::CONTINUATION => self.handle_continuation(now, head, payload),
            Kind::RST_STREAM => self.handle_reset(now, head, payload),
            Kind::SETTINGS => self.handle_settings(now, head, payload),
            Kind::PING => self.handle_ping(now, head, payload),
            Kind::GOAWAY => self.handle_go_away(now, head, payload),
            _ => self.handle_window_update(now, head, payload),
        }
    }

    /// Refuses a frame for a stream that cannot have it, unless we have reset the stream.
    fn check_known(&self, head: Head, detail: &'static str) -> Result<(), Fault> {
        match self.streams.place(head.stream) {
            Place::Active | Place::Reset => Ok(()),
            Place::Closed => Err(Fault::connection(ErrorCode::STREAM_CLOSED, detail)),
            Place::Idle => Err(Fault::protocol(detail)),
        }
    }

    fn handle_headers(&mut self, now: Instant, head: Head, payload: &[u8]) -> Outcome {
        self.check_known(head, "HEADERS without a stream of ours")?;
        let fragment = frame::header_fragment(head, payload)?;
        let end_stream = head.has(frame::END_STREAM);
        if head.has(frame::END_HEADERS) {
            return self.finish_block(now, head.stream, end_stream, fragment);
        }
        self.block = Some(Block {
            stream: head.stream,
            end_stream,
            continuations: 0,
            octets: fragment.to_vec(),
        });
        Ok(None)
    }

    fn handle_continuation(&mut self, now: Instant, head: Head, payload: &[u8]) -> Outcome {
        let Some(mut block) = self.block.take() else {
            return Ok(None);
        };
        block.continuations += 1;
        if block.continuations > H2_CONTINUATIONS_MAX
            || block.octets.len() + payload.len() > H2_HEADER_BLOCK_BYTES_MAX
        {
            return Err(Fault::connection(
                ErrorCode::ENHANCE_YOUR_CALM,
                "header block with too many CONTINUATION frames or octets",
            ));
        }
        block.octets.extend_from_slice(payload);
        if head.has(frame::END_HEADERS) {
            return self.finish_block(now, block.stream, block.end_stream, &block.octets);
        }
        self.block = Some(block);
        Ok(None)
    }

    /// A whole header block; it is decoded even if nobody wants it, for the table's sake.
    fn finish_block(&mut self, now: Instant, id: u32, end_stream: bool, octets: &[u8]) -> Outcome {
        let mut fields = Fields::new(self.local.header_list_bytes_max);
        self.decoder
            .decode(octets, &mut fields)
            .map_err(|error| match error {
                HpackError::FieldCount => {
                    Fault::connection(ErrorCode::ENHANCE_YOUR_CALM, error.as_str())
                }
                _ => Fault::connection(ErrorCode::COMPRESSION_ERROR, error.as_str()),
            })?;
        let Some(stream) = self.streams.get_mut(id) else {
            self.nuisances.spend(now)?;
            return Ok(None);
        };
        let fault = |code, detail| Fault::Stream(id, code, detail);
        let malformed = |detail| fault(ErrorCode::PROTOCOL_ERROR, detail);
        if fields.is_too_large() {
            let detail = "header list above the size we allow";
            return Err(fault(ErrorCode::ENHANCE_YOUR_CALM, detail));
        }
        let event = match stream.recv {
            Recv::Head { informational } => {
                let status = fields.check_response().map_err(malformed)?;
                if status < 200 {
                    if end_stream || status == 101 {
                        return Err(malformed("informational response that ends or upgrades"));
                    }
                    if informational == H2_INFORMATIONAL_MAX {
                        let detail = "too many informational responses";
                        return Err(fault(ErrorCode::ENHANCE_YOUR_CALM, detail));
                    }
                    let informational = informational + 1;
                    stream.recv = Recv::Head { informational };
                    return Ok(None);
                }
                stream.recv = Recv::Content;
                Event::Headers {
                    stream: StreamId(id),
                    fields,
                    end_stream,
                }
            }
            Recv::Content => {
                fields.check_trailers().map_err(malformed)?;
                if !end_stream {
                    return Err(malformed("trailers without the end of the stream"));
                }
                Event::Trailers {
                    stream: StreamId(id),
                    fields,
                }
            }
            Recv::Closed => {
                return Err(fault(ErrorCode::STREAM_CLOSED, "HEADERS behind the end"));
            }
        };
        if end_stream {
            stream.recv = Recv::Closed;
            self.streams.close_if_ended(id);
        }
        Ok(Some(event))
    }

    fn handle_reset(&mut self, now: Instant, head: Head, payload: &[u8]) -> Outcome {
        let Some(code) = frame::parse_u32(payload) else {
            return Err(Fault::frame_size("RST_STREAM of a wrong size"));
        };
        if self.streams.place(head.stream) == Place::Idle {
            return Err(Fault::protocol("RST_STREAM without a stream of ours"));
        }
        self.nuisances.spend(now)?;
        Ok(self.streams.close(head.stream).then_some(Event::Reset {
            stream: StreamId(head.stream),
            code: ErrorCode(code),
            initiator: Initiator::Peer,
            detail: "",
        }))
    }

    fn handle_settings(&mut self, now: Instant, head: Head, payload: &[u8]) -> Outcome {
        if head.stream != 0 {
            return Err(Fault::protocol("SETTINGS with a stream"));
        }
        if head.has(frame::ACK) {
            if !payload.is_empty() {
                return Err(Fault::frame_size("SETTINGS answer with a payload"));
            }
            return match self.settings_unanswered.checked_sub(1) {
                Some(left) => {
                    self.settings_unanswered = left;
                    Ok(None)
                }
                None => self.nuisances.spend(now).map(|()| None),
            };
        }
        self.nuisances.spend(now)?;
        let old_window = i64::from(self.peer.stream_window);
        self.peer.apply(payload)?;
        let shift = i64::from(self.peer.stream_window) - old_window;
        for stream in self.streams.iter_mut() {
            if stream.send_window.shift(shift).is_err() {
                return Err(Fault::connection(
                    ErrorCode::FLOW_CONTROL_ERROR,
                    "SETTINGS move a window out of range",
                ));
            }
        }
        if self.settings_acks == H2_ACKS_MAX {
            return Err(FLOOD);
        }
        self.settings_acks += 1;
        self.settings_seen = true;
        Ok(Some(Event::Settings))
    }

    fn handle_ping(&mut self, now: Instant, head: Head, payload: &[u8]) -> Outcome {
        let Ok(content) = <[u8; 8]>::try_from(payload) else {
            return Err(Fault::frame_size("PING of a wrong size"));
        };
        if head.stream != 0 {
            return Err(Fault::protocol("PING with a stream"));
        }
        self.nuisances.spend(now)?;
        if head.has(frame::ACK) {
            return Ok(None);
        }
        if self.ping_acks.len() == H2_ACKS_MAX {
            return Err(FLOOD);
        }
        self.ping_acks.push(content);
        Ok(None)
    }

    fn handle_go_away(&mut self, now: Instant, head: Head, payload: &[u8]) -> Outcome {
        let Some((last_stream, code, debug)) = frame::parse_go_away(payload) else {
            return Err(Fault::frame_size("GOAWAY too short"));
        };
        if head.stream != 0 {
            return Err(Fault::protocol("GOAWAY with a stream"));
        }
        self.nuisances.spend(now)?;
        // A peer that raises it has told us to retry what it goes on handling.
        if self.peer_last_stream.is_some_and(|last| last_stream > last) {
            return Err(Fault::protocol("GOAWAY raises the last stream"));
        }
        self.peer_last_stream = Some(last_stream);
        self.refuse_above = Some(last_stream);
        Ok(Some(Event::GoAway {
            last_stream,
            code,
            debug: debug.get(..H2_DEBUG_BYTES_MAX).unwrap_or(debug).to_vec(),
        }))
    }

    /// The next stream that the peer's GOAWAY leaves out.
    fn next_refused(&mut self) -> Option<Event<'static>> {
        let id = self.streams.above(self.refuse_above?);
        let Some(id) = id else {
            self.refuse_above = None;
            return None;
        };
        self.streams.close_by_us(id);
        Some(Event::Reset {
            stream: StreamId(id),
            code: ErrorCode::REFUSED_STREAM,
            initiator: Initiator::Peer,
            detail: "",
        })
    }

    fn handle_window_update(&mut self, now: Instant, head: Head, payload: &[u8]) -> Outcome {
        let Some(increment) = frame::parse_u32(payload) else {
            return Err(Fault::frame_size("WINDOW_UPDATE of a wrong size"));
        };
        let increment = i64::from(increment & 0x7fff_ffff);
        self.nuisances.spend(now)?;
        if head.stream == 0 {
            if increment == 0 {
                return Err(Fault::protocol("WINDOW_UPDATE of nothing"));
            }
            return match self.send_window.shift(increment) {
                Ok(()) => Ok(None),
                Err(_) => Err(Fault::connection(
                    ErrorCode::FLOW_CONTROL_ERROR,
                    "WINDOW_UPDATE above 2^31-1",
                )),
            };
        }
        if self.streams.place(head.stream) == Place::Idle {
            return Err(Fault::protocol("WINDOW_UPDATE without a stream of ours"));
        }
        let Some(stream) = self.streams.get_mut(head.stream) else {
            return Ok(None);
        };
        let fault = |code, detail| Err(Fault::Stream(head.stream, code, detail));
        if increment == 0 {
            return fault(ErrorCode::PROTOCOL_ERROR, "WINDOW_UPDATE of nothing");
        }
        stream.credit_count = stream.credit_count.wrapping_add(1);
        match stream.send_window.shift(increment) {
            Ok(()) => Ok(None),
            Err(_) => fault(ErrorCode::FLOW_CONTROL_ERROR, "WINDOW_UPDATE above 2^31-1"),
        }
    }
}

/// The peer asks while it does not read our answers.
const FLOOD: Fault = Fault::connection(
    ErrorCode::ENHANCE_YOUR_CALM,
    "too many PING or SETTINGS frames wait for an answer",
);
