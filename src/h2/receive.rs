//! The receiving half of a connection: bytes to frames, and of those DATA and header blocks to events.
//! What the other frames mean is in `ledger.rs`.
//!
//! ```text
//!   Head --DATA--> (PadLength) --> Data --> Skip (padding) --> Head
//!     |--known---> Payload (in place, or gathered when it comes in parts) --> Head
//!     `--unknown-> Skip --> Head
//! ```

use std::time::Instant;

use super::error::{ConnectionError, ErrorCode, Fault};
use super::event::Event;
use super::fields::FieldList;
use super::frame::{self, FrameKind, HEAD_LEN, Head};
use super::hpack::{self, HpackError};
use super::ledger::{Handled, Ledger};
use super::reading::{Block, Data, Reading, Step};
use super::stream::{Recv, StreamId};
use crate::limits::{
    H2_CONTINUATIONS_MAX, H2_DATA_TINY_BYTES, H2_FRAME_BYTES_MAX, H2_HEADER_BLOCK_BYTES_MAX,
    H2_INFORMATIONAL_MAX,
};

/// See the module.
pub(super) struct Receiver {
    reading: Reading,
    /// The payload of a frame other than DATA that has come in part.
    payload: Vec<u8>,
    /// A header block whose CONTINUATION frames are to come.
    block: Option<Block>,
    decoder: hpack::Decoder,
}

impl Receiver {
    /// In front of the first frame.
    pub(super) fn new() -> Self {
        Self {
            reading: Reading::START,
            payload: Vec::new(),
            block: None,
            decoder: hpack::Decoder::new(),
        }
    }

    /// Bytes of a frame that has come in part.
    #[cfg(test)]
    pub(super) fn gathered(&self) -> usize {
        self.payload.len()
    }

    /// Takes a prefix of `input`, with at most one event.
    pub(super) fn receive<'a>(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        input: &'a [u8],
    ) -> Result<(usize, Option<Event<'a>>), ConnectionError> {
        let mut used = 0;
        loop {
            if let Some(event) = ledger.next_refused() {
                return Ok((used, Some(event)));
            }
            let step = self.step(ledger, now, input.get(used..).unwrap_or_default())?;
            used += step.consumed;
            if step.event.is_some() || !step.progress {
                return Ok((used, step.event));
            }
        }
    }

    fn step<'a>(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        input: &'a [u8],
    ) -> Result<Step<'a>, ConnectionError> {
        match self.reading {
            Reading::Head { bytes, len } => self.read_head(ledger, now, bytes, len, input),
            Reading::Payload(head) => self.read_payload(ledger, now, head, input),
            Reading::PadLength(head) => {
                let Some(&padding) = input.first() else {
                    return Ok(Step::wait(0));
                };
                let outcome = self.begin_padded(ledger, now, head, padding);
                Ok(Step::took(1, ledger.contain(outcome)?))
            }
            Reading::Data(data) => Ok(self.read_data(ledger, data, input)),
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

    fn read_head<'a>(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        mut bytes: [u8; HEAD_LEN],
        len: usize,
        input: &'a [u8],
    ) -> Result<Step<'a>, ConnectionError> {
        let mut n = 0;
        for (to, from) in bytes.iter_mut().skip(len).zip(input) {
            *to = *from;
            n += 1;
        }
        if len + n < HEAD_LEN {
            self.reading = Reading::Head {
                bytes,
                len: len + n,
            };
            return Ok(Step::wait(n));
        }
        let outcome = if !ledger.is_greeted() && bytes.starts_with(b"HTTP/") {
            Err(Fault::protocol("the peer speaks HTTP/1, not HTTP/2"))
        } else {
            self.begin_frame(ledger, now, Head::parse(&bytes))
        };
        Ok(Step::took(n, ledger.contain(outcome)?))
    }

    fn begin_frame(&mut self, ledger: &mut Ledger, now: Instant, head: Head) -> Handled {
        if !ledger.is_greeted() && (head.kind != FrameKind::SETTINGS || head.has(frame::ACK)) {
            return Err(Fault::protocol("the first frame is not SETTINGS"));
        }
        if head.len > H2_FRAME_BYTES_MAX {
            return Err(Fault::frame_size("frame above the size we allow"));
        }
        match &self.block {
            Some(block) if head.kind != FrameKind::CONTINUATION || head.stream != block.stream => {
                return Err(Fault::protocol("frame within a header block"));
            }
            None if head.kind == FrameKind::CONTINUATION => {
                return Err(Fault::protocol("CONTINUATION without a header block"));
            }
            _ => {}
        }
        self.reading = Reading::Payload(head);
        match head.kind {
            FrameKind::DATA => self.begin_data(ledger, now, head),
            FrameKind::PUSH_PROMISE => Err(Fault::protocol("PUSH_PROMISE though push is off")),
            FrameKind::PRIORITY => {
                self.reading = Reading::Skip(head.len);
                ledger.nuisances.spend(now)?;
                ledger.check_priority(head)
            }
            FrameKind::HEADERS
            | FrameKind::RST_STREAM
            | FrameKind::SETTINGS
            | FrameKind::PING
            | FrameKind::GOAWAY
            | FrameKind::WINDOW_UPDATE
            | FrameKind::CONTINUATION => Ok(None),
            _ => {
                self.reading = Reading::Skip(head.len);
                ledger.nuisances.spend(now).map(|()| None)
            }
        }
    }

    fn begin_data(&mut self, ledger: &mut Ledger, now: Instant, head: Head) -> Handled {
        self.reading = Reading::Skip(head.len);
        if head.has(frame::PADDED) && head.len == 0 {
            return Err(Fault::frame_size("DATA too short for its padding length"));
        }
        ledger.check_known(head, "DATA without a stream of ours")?;
        if ledger.recv_window.receive(head.len).is_err() {
            return Err(Fault::connection(
                ErrorCode::FLOW_CONTROL_ERROR,
                "DATA beyond the connection's window",
            ));
        }
        // This window only bounds what is under way; the streams' windows say what we can hold.
        ledger.recv_window.grant(head.len);
        let Some(stream) = ledger.streams.get_mut(head.stream) else {
            // Reset by us. Late data is no nuisance, late nothing is.
            if head.len < H2_DATA_TINY_BYTES {
                ledger.nuisances.spend(now)?;
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
        self.begin_content(ledger, now, head, head.len, 0)
    }

    fn begin_padded(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        head: Head,
        padding: u8,
    ) -> Handled {
        let padding = u32::from(padding);
        let behind = head.len.saturating_sub(1);
        let Some(content) = behind.checked_sub(padding) else {
            return Err(Fault::protocol("DATA with more padding than payload"));
        };
        // The owner never sees padding, so its credit comes back from here.
        if let Some(stream) = ledger.streams.get_mut(head.stream) {
            stream.recv_window.grant(padding + 1);
        }
        self.begin_content(ledger, now, head, content, padding)
    }

    fn begin_content(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        head: Head,
        len: u32,
        padding: u32,
    ) -> Handled {
        let end_stream = head.has(frame::END_STREAM);
        if len >= H2_DATA_TINY_BYTES {
            ledger.nuisances.earn(1);
        } else if !end_stream {
            ledger.nuisances.spend(now)?;
        }
        self.reading = Reading::Data(Data {
            stream: head.stream,
            left: len,
            padding,
            end_stream,
        });
        Ok(None)
    }

    fn read_data<'a>(&mut self, ledger: &mut Ledger, mut data: Data, input: &'a [u8]) -> Step<'a> {
        let Some(stream) = ledger.streams.get_mut(data.stream) else {
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
                ledger.streams.close_if_ended(data.stream);
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
        ledger: &mut Ledger,
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
            self.handle_frame(ledger, now, head, part)
        } else {
            let mut payload = std::mem::take(&mut self.payload);
            payload.extend_from_slice(part);
            self.handle_frame(ledger, now, head, &payload)
        };
        Ok(Step::took(missing, ledger.contain(outcome)?))
    }

    fn handle_frame(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        head: Head,
        payload: &[u8],
    ) -> Handled {
        match head.kind {
            FrameKind::HEADERS => self.handle_headers(ledger, now, head, payload),
            FrameKind::CONTINUATION => self.handle_continuation(ledger, now, head, payload),
            FrameKind::RST_STREAM => ledger.handle_reset(now, head, payload),
            FrameKind::SETTINGS => ledger.handle_settings(now, head, payload),
            FrameKind::PING => ledger.handle_ping(now, head, payload),
            FrameKind::GOAWAY => ledger.handle_go_away(now, head, payload),
            _ => ledger.handle_window_update(now, head, payload),
        }
    }

    fn handle_headers(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        head: Head,
        payload: &[u8],
    ) -> Handled {
        ledger.check_known(head, "HEADERS without a stream of ours")?;
        let fragment = frame::header_fragment(head, payload)?;
        let end_stream = head.has(frame::END_STREAM);
        if head.has(frame::END_HEADERS) {
            return self.finish_block(ledger, now, head.stream, end_stream, fragment);
        }
        self.block = Some(Block {
            stream: head.stream,
            end_stream,
            continuations: 0,
            bytes: fragment.to_vec(),
        });
        Ok(None)
    }

    fn handle_continuation(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        head: Head,
        payload: &[u8],
    ) -> Handled {
        let Some(mut block) = self.block.take() else {
            return Ok(None);
        };
        block.continuations += 1;
        if block.continuations > H2_CONTINUATIONS_MAX
            || block.bytes.len() + payload.len() > H2_HEADER_BLOCK_BYTES_MAX
        {
            return Err(Fault::connection(
                ErrorCode::ENHANCE_YOUR_CALM,
                "header block with too many CONTINUATION frames or bytes",
            ));
        }
        block.bytes.extend_from_slice(payload);
        if head.has(frame::END_HEADERS) {
            return self.finish_block(ledger, now, block.stream, block.end_stream, &block.bytes);
        }
        self.block = Some(block);
        Ok(None)
    }

    /// A whole header block; it is decoded even if nobody wants it, for the table's sake.
    fn finish_block(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        id: u32,
        end_stream: bool,
        bytes: &[u8],
    ) -> Handled {
        let mut fields = FieldList::new(ledger.local.header_list_bytes_max);
        self.decoder
            .decode(bytes, &mut fields)
            .map_err(|error| match error {
                HpackError::FieldCount => {
                    Fault::connection(ErrorCode::ENHANCE_YOUR_CALM, error.as_str())
                }
                _ => Fault::connection(ErrorCode::COMPRESSION_ERROR, error.as_str()),
            })?;
        let Some(stream) = ledger.streams.get_mut(id) else {
            ledger.nuisances.spend(now)?;
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
            ledger.streams.close_if_ended(id);
        }
        Ok(Some(event))
    }
}
