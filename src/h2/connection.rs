//! A client's HTTP/2 connection (RFC 9113), without socket, TLS or clock.
//!
//! Promises: what the owner opens, sends and grants becomes legal frames in the order of the
//! calls; what the peer sends becomes events, DATA in place without a copy; a peer that breaks a
//! rule or a bound costs its stream or the connection, with the code of the RFC, and never a
//! panic or memory without bound.
//!
//! Leaves to the owner: when streams get credit, to put DATA payload behind its head, to send the
//! control output before the next DATA head, and what the content means. It never sends a PING
//! (the gateway counts them as abuse) and never accepts a push.
//!
//! Its parts: `receive.rs` turns bytes into events, `ledger.rs` keeps what both directions go by.

use std::time::Instant;

use super::error::{ConnectionError, ErrorCode, OpenError};
use super::event::Event;
use super::flow::{RecvWindow, SendWindow};
use super::frame::{self, FrameKind, HEAD_LEN, Head};
use super::hpack::encode;
use super::ledger::Ledger;
use super::receive::Receiver;
use super::settings::LocalSettings;
use super::stream::{Recv, Stream, StreamId};
use crate::base::ByteBuf;
use crate::limits::{
    H2_CONTROL_BYTES_HIGH, H2_DATA_TINY_BYTES, H2_FRAME_BYTES_MAX, H2_NUISANCES_PER_DATA_SENT,
    H2_STREAMS_MAX, H2_TABLE_BYTES_MAX,
};

/// The state machine of one connection.
///
/// ```
/// # use hoop_lite::{base::ByteBuf, h2::{*, frame::{self, FrameKind}}};
/// # let now = std::time::Instant::now();
/// # let settings = LocalSettings {
/// #     stream_window: 65_535,
/// #     connection_window: 65_535,
/// #     header_list_bytes_max: 8_192,
/// # };
/// # let mut peer = ByteBuf::new();
/// let mut connection = Connection::new(&settings);
/// assert!(connection.control_output().filled().starts_with(frame::PREFACE));
/// frame::write(&mut peer, FrameKind::SETTINGS, 0, 0, &[]);
/// let (used, event) = connection.handle_input(now, peer.filled())?;
/// assert!(matches!(event, Some(Event::Settings)) && connection.is_greeted());
/// # peer.consume(used);
///
/// // Open. What the request is about follows in a frame, whose head the connection writes.
/// let stream = connection.open_stream(&[(":method", b"POST"), (":path", b"/")], false)?;
/// assert!(connection.send_room(stream) >= 5);
/// let mut head = [0; frame::HEAD_LEN];
/// connection.write_data_head(stream, 5, true, &mut head);
///
/// // Half-closed. The response (`:status: 200` is 0x88 in HPACK) closes it for both sides.
/// frame::write(&mut peer, FrameKind::HEADERS, frame::END_HEADERS | frame::END_STREAM, 1, &[0x88]);
/// let (_, event) = connection.handle_input(now, peer.filled())?;
/// assert!(matches!(event, Some(Event::Headers { end_stream: true, .. })));
/// assert_eq!(connection.send_room(stream), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    ledger: Ledger,
    receiver: Receiver,
    /// We said goodbye.
    going_away: bool,
    failed: Option<ConnectionError>,
    /// What the peer's header table may hold as far as we have told it.
    table_size: u32,
}

impl Connection {
    /// A new connection; preface, SETTINGS and the connection's credit are in the control output.
    pub fn new(settings: &LocalSettings) -> Self {
        Self {
            ledger: Ledger::new(settings.bounded()),
            receiver: Receiver::new(),
            going_away: false,
            failed: None,
            table_size: H2_TABLE_BYTES_MAX,
        }
    }

    /// Opens a stream with a request's header list, pseudo-header fields first; names in lower
    /// case, values without line breaks. With `end_stream` the request has no content.
    pub fn open_stream(
        &mut self,
        fields: &[(&str, &[u8])],
        end_stream: bool,
    ) -> Result<StreamId, OpenError> {
        if self.is_going_away() {
            return Err(OpenError::GoingAway);
        }
        let open = self.ledger.streams.len();
        if open >= H2_STREAMS_MAX || open >= self.ledger.peer.streams_max as usize {
            return Err(OpenError::TooManyStreams);
        }
        let id = self
            .ledger
            .streams
            .next_id()
            .ok_or(OpenError::NumbersExhausted)?;
        self.write_headers(id, fields, end_stream);
        self.ledger.streams.open(Stream {
            id,
            recv: Recv::Head { informational: 0 },
            send_open: !end_stream,
            send_window: SendWindow::new(self.ledger.peer.stream_window),
            recv_window: RecvWindow::new(self.ledger.local.stream_window),
            credit_count: 0,
        });
        Ok(StreamId(id))
    }

    /// HEADERS and as many CONTINUATION frames as the block takes.
    fn write_headers(&mut self, id: u32, fields: &[(&str, &[u8])], end_stream: bool) {
        let table_shrunk = self.ledger.peer.table_size < self.table_size;
        if table_shrunk {
            self.table_size = 0;
        }
        let mut block = Vec::new();
        encode::encode(fields, table_shrunk, &mut block);
        let mut rest = block.as_slice();
        let mut kind = FrameKind::HEADERS;
        let mut flags = if end_stream { frame::END_STREAM } else { 0 };
        loop {
            let (part, behind) = rest.split_at(rest.len().min(H2_FRAME_BYTES_MAX as usize));
            if behind.is_empty() {
                flags |= frame::END_HEADERS;
            }
            frame::write(&mut self.ledger.output, kind, flags, id, part);
            if behind.is_empty() {
                return;
            }
            (rest, kind, flags) = (behind, FrameKind::CONTINUATION, 0);
        }
    }

    /// Gives a stream credit for so many more `bytes`; the WINDOW_UPDATE is in the next control
    /// output. Nothing happens when the peer has ended the stream.
    pub fn grant(&mut self, stream: StreamId, bytes: u32) {
        if let Some(stream) = self.ledger.streams.get_mut(stream.0)
            && stream.recv != Recv::Closed
        {
            stream.recv_window.grant(bytes);
        }
    }

    /// Credit of a stream, granted or initial, that the peer has not used.
    pub fn outstanding_credit(&self, stream: StreamId) -> u32 {
        self.ledger
            .streams
            .get(stream.0)
            .map_or(0, |stream| stream.recv_window.outstanding())
    }

    /// How often the peer has given credit on a stream; more of it means that somebody reads there.
    pub fn credit_count(&self, stream: StreamId) -> u32 {
        let stream = self.ledger.streams.get(stream.0);
        stream.map_or(0, |stream| stream.credit_count)
    }

    /// The longest DATA payload that may be sent on a stream now, 0 when blocked or not open.
    pub fn send_room(&self, stream: StreamId) -> usize {
        match self.ledger.streams.get(stream.0) {
            Some(stream) if stream.send_open && self.failed.is_none() => stream
                .send_window
                .room()
                .min(self.ledger.send_window.room())
                .min(self.ledger.peer.frame_bytes_max as usize),
            _ => 0,
        }
    }

    /// Writes the head of a DATA frame whose `len` bytes, at most [`Connection::send_room`], the
    /// owner puts behind it. With `end_stream` our side of the stream ends.
    pub fn write_data_head(
        &mut self,
        stream: StreamId,
        len: usize,
        end_stream: bool,
        head: &mut [u8; HEAD_LEN],
    ) {
        debug_assert!(len <= self.send_room(stream));
        let len = u32::try_from(len).unwrap_or(0);
        *head = Head {
            len,
            kind: FrameKind::DATA,
            flags: if end_stream { frame::END_STREAM } else { 0 },
            stream: stream.0,
        }
        .to_bytes();
        self.ledger.send_window.consume(len);
        // Less is what a peer gets that gives credit by the byte.
        if len >= H2_DATA_TINY_BYTES {
            self.ledger.nuisances.earn(H2_NUISANCES_PER_DATA_SENT);
        }
        if let Some(stream) = self.ledger.streams.get_mut(stream.0) {
            stream.send_window.consume(len);
            stream.send_open &= !end_stream;
        }
        self.ledger.streams.close_if_ended(stream.0);
    }

    /// Closes a stream at once; no event follows, and what the peer still sends on it is dropped.
    /// A stream that is closed already stays so.
    pub fn reset(&mut self, stream: StreamId, code: ErrorCode) {
        if self.ledger.streams.close_by_us(stream.0) && self.failed.is_none() {
            frame::write_reset(&mut self.ledger.output, stream.0, code);
        }
    }

    /// Tells the peer that we are leaving. No stream can be opened any more, open ones go on.
    pub fn go_away(&mut self, code: ErrorCode, debug: &[u8]) {
        if self.failed.is_none() {
            self.going_away = true;
            let debug = debug
                .get(..H2_FRAME_BYTES_MAX as usize / 2)
                .unwrap_or(debug);
            frame::write_go_away(&mut self.ledger.output, code, debug);
        }
    }

    /// Asks the peer for a sign of life: SETTINGS that set nothing, and that it has to answer. Unlike
    /// PINGs, nobody counts them as abuse.
    pub fn probe(&mut self) {
        if self.failed.is_none() {
            self.ledger.probe();
        }
    }

    /// The peer has not answered all SETTINGS of ours.
    pub fn is_probed(&self) -> bool {
        self.ledger.is_probed()
    }

    /// Everything to be sent but DATA payload and its heads, in whole frames. The owner sends it,
    /// consumes it, and asks again after each input.
    pub fn control_output(&mut self) -> &mut ByteBuf {
        if self.failed.is_none() && self.ledger.output.len() < H2_CONTROL_BYTES_HIGH {
            self.ledger.write_answers();
        }
        &mut self.ledger.output
    }

    /// Streams that are not closed.
    #[cfg(test)]
    pub(crate) fn streams_open(&self) -> usize {
        self.ledger.streams.len()
    }

    /// The next stream gets this number.
    #[cfg(test)]
    pub(super) fn set_next_stream(&mut self, next: u32) {
        self.ledger.streams.set_next(next);
    }

    /// Bytes of a frame that has come in part.
    #[cfg(test)]
    pub(super) fn gathered(&self) -> usize {
        self.receiver.gathered()
    }

    /// The peer's SETTINGS have come: it does speak HTTP/2.
    pub fn is_greeted(&self) -> bool {
        self.ledger.is_greeted()
    }

    /// Whether [`Connection::open_stream`] will never succeed again.
    pub fn is_going_away(&self) -> bool {
        self.going_away || self.failed.is_some() || self.ledger.is_left()
    }

    /// Feeds what came from the peer. Takes a prefix of `input`, with at most one event; to be
    /// called again until all is taken and no event comes. After an error it only repeats it.
    pub fn handle_input<'a>(
        &mut self,
        now: Instant,
        input: &'a [u8],
    ) -> Result<(usize, Option<Event<'a>>), ConnectionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.receiver.receive(&mut self.ledger, now, input);
        if let Err(error) = result {
            self.failed = Some(error);
            frame::write_go_away(&mut self.ledger.output, error.code, error.detail.as_bytes());
        }
        self.check_invariants();
        result
    }

    fn check_invariants(&self) {
        // No credit of the connection is ever lost.
        debug_assert!(
            self.failed.is_some()
                || self.ledger.recv_window.outstanding() == self.ledger.local.connection_window
        );
        debug_assert!(self.ledger.streams.len() <= H2_STREAMS_MAX);
    }
}
