//! What both halves of a connection go by: settings, streams, windows and the answers that are due; and
//! the frames whose whole effect is on these (RFC 9113, section 6, but DATA and HEADERS).

use std::time::Instant;

use super::error::{ConnectionError, ErrorCode, Fault, Initiator};
use super::event::Event;
use super::flow::{RecvWindow, SendWindow, WINDOW_DEFAULT};
use super::frame::{self, FrameKind, Head};
use super::nuisance::Nuisances;
use super::settings::{self, LocalSettings, PeerSettings};
use super::stream::{Place, Recv, StreamId, Streams};
use crate::base::ByteBuf;
use crate::limits::{H2_ACKS_MAX, H2_DEBUG_BYTES_MAX};

/// See the module.
pub(super) struct Ledger {
    pub(super) local: LocalSettings,
    pub(super) peer: PeerSettings,
    pub(super) streams: Streams,
    pub(super) send_window: SendWindow,
    pub(super) recv_window: RecvWindow,
    pub(super) nuisances: Nuisances,
    /// Whole frames for the peer.
    pub(super) output: ByteBuf,
    /// The peer's SETTINGS have come.
    is_greeted: bool,
    /// SETTINGS of ours that the peer has not answered yet.
    settings_unanswered: u32,
    /// The last stream of the peer's GOAWAY.
    peer_last_stream: Option<u32>,
    /// Streams above this are still to be reported as refused.
    refuse_above: Option<u32>,
    /// Answers that are due: SETTINGS by number, PINGs by content.
    settings_acks: usize,
    ping_acks: Vec<[u8; 8]>,
}

/// What a frame leads to.
pub(super) type Handled = Result<Option<Event<'static>>, Fault>;

impl Ledger {
    /// Preface, SETTINGS and the connection's credit are in the output.
    pub(super) fn new(local: LocalSettings) -> Self {
        let mut output = ByteBuf::new();
        output.extend(frame::PREFACE);
        frame::write(&mut output, FrameKind::SETTINGS, 0, 0, &local.payload());
        let mut recv_window = RecvWindow::new(WINDOW_DEFAULT);
        recv_window.grant(local.connection_window - WINDOW_DEFAULT);
        if let Some(increment) = recv_window.tell() {
            frame::write_window_update(&mut output, 0, increment);
        }
        Self {
            local,
            peer: PeerSettings::default(),
            streams: Streams::new(),
            send_window: SendWindow::new(WINDOW_DEFAULT),
            recv_window,
            nuisances: Nuisances::default(),
            output,
            is_greeted: false,
            settings_unanswered: 1,
            peer_last_stream: None,
            refuse_above: None,
            settings_acks: 0,
            ping_acks: Vec::new(),
        }
    }

    /// The peer's SETTINGS have come: it does speak HTTP/2.
    pub(super) fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// The peer has said goodbye.
    pub(super) fn is_left(&self) -> bool {
        self.peer_last_stream.is_some()
    }

    /// The peer has not answered all SETTINGS of ours.
    pub(super) fn is_probed(&self) -> bool {
        self.settings_unanswered > 0
    }

    /// SETTINGS that set nothing, and that have to be answered.
    pub(super) fn probe(&mut self) {
        self.settings_unanswered += 1;
        frame::write(&mut self.output, FrameKind::SETTINGS, 0, 0, &[]);
    }

    pub(super) fn check_priority(&self, head: Head) -> Handled {
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

    pub(super) fn handle_reset(&mut self, now: Instant, head: Head, payload: &[u8]) -> Handled {
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

    pub(super) fn handle_settings(&mut self, now: Instant, head: Head, payload: &[u8]) -> Handled {
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
        self.is_greeted = true;
        Ok(Some(Event::Settings))
    }

    pub(super) fn handle_ping(&mut self, now: Instant, head: Head, payload: &[u8]) -> Handled {
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

    pub(super) fn handle_go_away(&mut self, now: Instant, head: Head, payload: &[u8]) -> Handled {
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
    pub(super) fn next_refused(&mut self) -> Option<Event<'static>> {
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

    pub(super) fn handle_window_update(
        &mut self,
        now: Instant,
        head: Head,
        payload: &[u8],
    ) -> Handled {
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

    /// Refuses a frame for a stream that cannot have it, unless we have reset the stream.
    pub(super) fn check_known(&self, head: Head, detail: &'static str) -> Result<(), Fault> {
        match self.streams.place(head.stream) {
            Place::Active | Place::Reset => Ok(()),
            Place::Closed => Err(Fault::connection(ErrorCode::STREAM_CLOSED, detail)),
            Place::Idle => Err(Fault::protocol(detail)),
        }
    }

    /// Keeps a stream's fault to the stream.
    pub(super) fn contain(
        &mut self,
        outcome: Handled,
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        match outcome {
            Ok(event) => Ok(event),
            Err(Fault::Connection(error)) => Err(error),
            Err(Fault::Stream(id, code, detail)) => Ok(self.close_for_fault(id, code, detail)),
        }
    }
    /// Turns what is due into frames: SETTINGS and PING answers, credit.
    pub(super) fn write_answers(&mut self) {
        while self.settings_acks > 0 {
            self.settings_acks -= 1;
            settings::write_ack(&mut self.output);
        }
        for content in self.ping_acks.drain(..) {
            frame::write(&mut self.output, FrameKind::PING, frame::ACK, 0, &content);
        }
        // At half, so that not every frame is answered by one of ours.
        if self.recv_window.untold() >= self.local.connection_window / 2
            && let Some(increment) = self.recv_window.tell()
        {
            frame::write_window_update(&mut self.output, 0, increment);
        }
        for stream in self.streams.iter_mut() {
            if stream.recv != Recv::Closed
                && let Some(increment) = stream.recv_window.tell()
            {
                frame::write_window_update(&mut self.output, stream.id, increment);
            }
        }
    }
    /// Closes a stream for a fault of the peer.
    fn close_for_fault(
        &mut self,
        id: u32,
        code: ErrorCode,
        detail: &'static str,
    ) -> Option<Event<'static>> {
        self.streams.close_by_us(id).then(|| {
            frame::write_reset(&mut self.output, id, code);
            Event::Reset {
                stream: StreamId(id),
                code,
                initiator: Initiator::Us,
                detail,
            }
        })
    }
}

/// The peer asks while it does not read our answers.
const FLOOD: Fault = Fault::connection(
    ErrorCode::ENHANCE_YOUR_CALM,
    "too many PING or SETTINGS frames wait for an answer",
);
