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
//! [`Connection::handle_input`] is in `receive.rs`.

use std::time::Instant;

use super::error::{ConnectionError, ErrorCode, Initiator, OpenError};
use super::fields::Fields;
use super::flow::{RecvWindow, SendWindow, WINDOW_DEFAULT};
use super::frame::{self, HEAD_LEN, Head, Kind};
use super::hpack::{self, encode};
use super::nuisance::Nuisances;
use super::receive::{Block, Reading};
use super::settings::{self, LocalSettings, PeerSettings};
use super::stream::{Recv, Stream, StreamId, Streams};
use crate::base::ByteBuf;
use crate::limits::{
    H2_CONTROL_BYTES_HIGH, H2_DATA_TINY_BYTES, H2_FRAME_BYTES_MAX, H2_NUISANCES_PER_DATA_SENT,
    H2_STREAMS_MAX, H2_TABLE_BYTES_MAX,
};

/// What the peer did.
#[derive(Debug)]
pub enum Event<'a> {
    /// Its SETTINGS were taken over; the first ones show that it speaks HTTP/2.
    Settings,
    /// A response has begun; informational ones are not reported.
    Headers {
        /// Whose response.
        stream: StreamId,
        /// Valid: `:status` first, the rest in order.
        fields: Fields,
        /// Nothing follows.
        end_stream: bool,
    },
    /// A piece of content. May be empty, at the end only.
    Data {
        /// Whose content.
        stream: StreamId,
        /// A part of the input.
        bytes: &'a [u8],
        /// Nothing follows.
        end_stream: bool,
    },
    /// The response has ended with these fields.
    Trailers {
        /// Whose response.
        stream: StreamId,
        /// Valid, without pseudo-header fields.
        fields: Fields,
    },
    /// The stream is closed for both sides, perhaps after its response had ended.
    Reset {
        /// Which one.
        stream: StreamId,
        /// [`ErrorCode::REFUSED_STREAM`] means that the peer did not look at the request.
        code: ErrorCode,
        /// Who closed it.
        initiator: Initiator,
        /// For logs; empty when the peer did it.
        detail: &'static str,
    },
    /// No new streams; those above `last_stream` follow as refused, the others go on.
    GoAway {
        /// The last stream that the peer will handle.
        last_stream: u32,
        /// Why.
        code: ErrorCode,
        /// The peer's words, the first [`crate::limits::H2_DEBUG_BYTES_MAX`] octets.
        debug: Vec<u8>,
    },
}

/// The state machine of one connection.
pub struct Connection {
    pub(super) local: LocalSettings,
    pub(super) peer: PeerSettings,

    pub(super) reading: Reading,
    /// The payload of a frame other than DATA that has come in part.
    pub(super) payload: Vec<u8>,
    /// A header block whose CONTINUATION frames are to come.
    pub(super) block: Option<Block>,
    pub(super) decoder: hpack::Decoder,
    pub(super) streams: Streams,
    pub(super) send_window: SendWindow,
    pub(super) recv_window: RecvWindow,
    pub(super) settings_seen: bool,
    /// SETTINGS of ours that the peer has not answered yet.
    pub(super) settings_unanswered: u32,
    /// The last stream of the peer's GOAWAY.
    pub(super) peer_last_stream: Option<u32>,
    /// Streams above this are still to be reported as refused.
    pub(super) refuse_above: Option<u32>,
    going_away: bool,
    failed: Option<ConnectionError>,

    /// What the peer's header table may hold as far as we have told it.
    table_size: u32,
    output: ByteBuf,
    /// Answers that are due: SETTINGS by number, PINGs by content.
    pub(super) settings_acks: usize,
    pub(super) ping_acks: Vec<[u8; 8]>,
    pub(super) nuisances: Nuisances,
}

impl Connection {
    /// A new connection; preface, SETTINGS and the connection's credit are in the control output.
    pub fn new(settings: &LocalSettings) -> Self {
        let local = settings.bounded();
        let mut output = ByteBuf::new();
        output.extend(frame::PREFACE);
        frame::write(&mut output, Kind::SETTINGS, 0, 0, &local.payload());
        let mut recv_window = RecvWindow::new(WINDOW_DEFAULT);
        recv_window.grant(local.connection_window - WINDOW_DEFAULT);
        if let Some(increment) = recv_window.tell() {
            frame::write_window_update(&mut output, 0, increment);
        }
        let peer = PeerSettings::default();
        Self {
            local,
            peer,
            reading: Reading::START,
            payload: Vec::new(),
            block: None,
            decoder: hpack::Decoder::new(),
            streams: Streams::new(),
            send_window: SendWindow::new(WINDOW_DEFAULT),
            recv_window,
            settings_seen: false,
            settings_unanswered: 1,
            peer_last_stream: None,
            refuse_above: None,
            going_away: false,
            failed: None,
            table_size: H2_TABLE_BYTES_MAX,
            output,
            settings_acks: 0,
            ping_acks: Vec::new(),
            nuisances: Nuisances::default(),
        }
    }

    /// Opens a stream with a request's header list, pseudo-header fields first; names in lower
    /// case, values without line breaks. With `end_stream` the request has no content.
    pub fn open_stream(
        &mut self,
        fields: &[(&str, &[u8])],
        end_stream: bool,
    ) -> Result<StreamId, OpenError> {
        if self.going_away || self.failed.is_some() || self.peer_last_stream.is_some() {
            return Err(OpenError::GoingAway);
        }
        let open = self.streams.len();
        if open >= H2_STREAMS_MAX || open >= self.peer.streams_max as usize {
            return Err(OpenError::TooManyStreams);
        }
        let id = self.streams.next_id().ok_or(OpenError::NumbersExhausted)?;
        self.write_headers(id, fields, end_stream);
        self.streams.open(Stream {
            id,
            recv: Recv::Head { informational: 0 },
            send_open: !end_stream,
            send_window: SendWindow::new(self.peer.stream_window),
            recv_window: RecvWindow::new(self.local.stream_window),
            credit_count: 0,
        });
        Ok(StreamId(id))
    }

    /// HEADERS and as many CONTINUATION frames as the block takes.
    fn write_headers(&mut self, id: u32, fields: &[(&str, &[u8])], end_stream: bool) {
        let table_shrunk = self.peer.table_size < self.table_size;
        if table_shrunk {
            self.table_size = 0;
        }
        let mut block = Vec::new();
        encode::encode(fields, table_shrunk, &mut block);
        let mut rest = block.as_slice();
        let mut kind = Kind::HEADERS;
        let mut flags = if end_stream { frame::END_STREAM } else { 0 };
        loop {
            let (part, behind) = rest.split_at(rest.len().min(H2_FRAME_BYTES_MAX as usize));
            if behind.is_empty() {
                flags |= frame::END_HEADERS;
            }
            frame::write(&mut self.output, kind, flags, id, part);
            if behind.is_empty() {
                return;
            }
            (rest, kind, flags) = (behind, Kind::CONTINUATION, 0);
        }
    }

    /// Gives a stream credit for `bytes` more octets; the WINDOW_UPDATE is in the next control
    /// output. Nothing happens when the peer has ended the stream.
    pub fn grant(&mut self, stream: StreamId, bytes: u32) {
        if let Some(stream) = self.streams.get_mut(stream.0)
            && stream.recv != Recv::Closed
        {
            stream.recv_window.grant(bytes);
        }
    }

    /// Credit of a stream, granted or initial, that the peer has not used.
    pub fn outstanding_credit(&self, stream: StreamId) -> u32 {
        self.streams
            .get(stream.0)
            .map_or(0, |stream| stream.recv_window.outstanding())
    }

    /// How often the peer has given credit on a stream; more of it means that somebody reads there.
    pub fn credit_count(&self, stream: StreamId) -> u32 {
        let stream = self.streams.get(stream.0);
        stream.map_or(0, |stream| stream.credit_count)
    }

    /// The longest DATA payload that may be sent on a stream now, 0 when blocked or not open.
    pub fn send_room(&self, stream: StreamId) -> usize {
        match self.streams.get(stream.0) {
            Some(stream) if stream.send_open && self.failed.is_none() => stream
                .send_window
                .room()
                .min(self.send_window.room())
                .min(self.peer.frame_bytes_max as usize),
            _ => 0,
        }
    }

    /// Writes the head of a DATA frame whose `len` octets, at most [`Connection::send_room`], the
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
            kind: Kind::DATA,
            flags: if end_stream { frame::END_STREAM } else { 0 },
            stream: stream.0,
        }
        .to_octets();
        self.send_window.consume(len);
        // Less is what a peer gets that gives credit by the octet.
        if len >= H2_DATA_TINY_BYTES {
            self.nuisances.earn(H2_NUISANCES_PER_DATA_SENT);
        }
        if let Some(stream) = self.streams.get_mut(stream.0) {
            stream.send_window.consume(len);
            stream.send_open &= !end_stream;
        }
        self.streams.close_if_ended(stream.0);
    }

    /// Ends our side of a stream with an empty DATA frame, which needs no window. All earlier
    /// DATA heads of the stream must be on their way.
    pub fn end(&mut self, stream: StreamId) {
        if let Some(active) = self.streams.get_mut(stream.0)
            && active.send_open
        {
            active.send_open = false;
            frame::write(
                &mut self.output,
                Kind::DATA,
                frame::END_STREAM,
                stream.0,
                &[],
            );
            self.streams.close_if_ended(stream.0);
        }
    }

    /// Closes a stream at once; no event follows, and what the peer still sends on it is dropped.
    /// A stream that is closed already stays so.
    pub fn reset(&mut self, stream: StreamId, code: ErrorCode) {
        if self.streams.close_by_us(stream.0) && self.failed.is_none() {
            frame::write_reset(&mut self.output, stream.0, code);
        }
    }

    /// Tells the peer that we are leaving. No stream can be opened any more, open ones go on.
    pub fn go_away(&mut self, code: ErrorCode, debug: &[u8]) {
        if self.failed.is_none() {
            self.going_away = true;
            let debug = debug
                .get(..H2_FRAME_BYTES_MAX as usize / 2)
                .unwrap_or(debug);
            frame::write_go_away(&mut self.output, code, debug);
        }
    }

    /// Asks the peer for a sign of life: SETTINGS that set nothing, and that it has to answer. Unlike
    /// PINGs, nobody counts them as abuse.
    pub fn probe(&mut self) {
        if self.failed.is_none() {
            self.settings_unanswered += 1;
            frame::write(&mut self.output, Kind::SETTINGS, 0, 0, &[]);
        }
    }

    /// The peer has not answered all SETTINGS of ours.
    pub fn is_probed(&self) -> bool {
        self.settings_unanswered > 0
    }

    /// Everything to be sent but DATA payload and its heads, in whole frames. The owner sends it,
    /// consumes it, and asks again after each input.
    pub fn control_output(&mut self) -> &mut ByteBuf {
        if self.failed.is_none() && self.output.len() < H2_CONTROL_BYTES_HIGH {
            self.write_answers();
        }
        &mut self.output
    }

    /// Streams that are not closed.
    pub fn streams_open(&self) -> usize {
        self.streams.len()
    }

    /// The peer's SETTINGS have come: it does speak HTTP/2.
    pub fn is_greeted(&self) -> bool {
        self.settings_seen
    }

    /// Whether [`Connection::open_stream`] will never succeed again.
    pub fn is_going_away(&self) -> bool {
        self.going_away || self.failed.is_some() || self.peer_last_stream.is_some()
    }

    /// Turns what is due into frames: SETTINGS and PING answers, credit.
    fn write_answers(&mut self) {
        while self.settings_acks > 0 {
            self.settings_acks -= 1;
            settings::write_ack(&mut self.output);
        }
        for content in self.ping_acks.drain(..) {
            frame::write(&mut self.output, Kind::PING, frame::ACK, 0, &content);
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
        let result = self.receive(now, input);
        if let Err(error) = result {
            self.failed = Some(error);
            frame::write_go_away(&mut self.output, error.code, error.detail.as_bytes());
        }
        self.check_invariants();
        result
    }

    /// Closes a stream for a fault of the peer.
    pub(super) fn close_for_fault(
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

    fn check_invariants(&self) {
        // No credit of the connection is ever lost.
        debug_assert!(
            self.failed.is_some() || self.recv_window.outstanding() == self.local.connection_window
        );
        debug_assert!(self.streams.len() <= H2_STREAMS_MAX);
    }
}
