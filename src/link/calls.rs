//! The calls of a link: the agent's one `Connect` stream, and one unary `PreConnect` at a time.
//!
//! Promises that a fault of the peer costs the call it is in: the unary one goes alone, the stream
//! of packets takes the link with it, and either is reset with the code that fits. Leaves socket,
//! TLS and the order of what is sent to `link.rs`.

use std::rc::Rc;
use std::time::Instant;

use super::error::LinkError;
use super::event::LinkEvent;
use super::identity::AgentIdentity;
use super::unary::{Method, Unary};
use crate::base::{ByteBuf, Chunks, Pieces, Secret};
use crate::grpc::{self, Call, Piece, Reassembly, Status};
use crate::h2::{self, Connection, StreamId};
use crate::limits;
use crate::packet::outbox::FRAME_HEAD_BYTES;
use crate::packet::{DecodeError, Oversized, Packet};

/// The connection's own window never holds the stream back: only the stream's credit counts, and
/// that begins with what there is room for.
fn local_settings(credit: u32) -> h2::LocalSettings {
    h2::LocalSettings {
        stream_window: credit.min(limits::STREAM_WINDOW),
        connection_window: limits::STREAM_WINDOW * 2,
        header_list_bytes_max: limits::H2_HEADER_LIST_BYTES_MAX,
    }
}

/// See the module. Apart from the transport, so that both can be borrowed at once.
pub(super) struct Calls {
    http2: Connection,
    identity: Rc<AgentIdentity>,
    /// The stream of packets.
    stream: Option<StreamId>,
    reassembly: Reassembly,
    /// What is known of the packet that is just passed over.
    oversized: Oversized,
    /// Bytes of such packets since this was last asked for.
    passed_over: usize,
    /// The receiver has room for what the next packet makes it say.
    takes_packets: bool,
    /// Bytes of the stream that came while it had none: no more than there was credit for.
    held: Chunks,
    unary: Option<Unary>,
}

impl Calls {
    /// No call yet.
    pub(super) fn new(identity: Rc<AgentIdentity>, credit: u32) -> Self {
        Self {
            http2: Connection::new(&local_settings(credit)),
            identity,
            stream: None,
            reassembly: Reassembly::new(),
            oversized: Oversized::default(),
            passed_over: 0,
            takes_packets: true,
            held: Chunks::new(),
            unary: None,
        }
    }

    /// Opens the stream of packets.
    pub(super) fn open_stream(&mut self) -> Result<(), h2::OpenError> {
        self.stream = Some(self.open(Method::Connect)?);
        self.reassembly = Reassembly::new();
        self.oversized = Oversized::default();
        self.held.clear();
        Ok(())
    }

    /// Begins the unary call.
    pub(super) fn ask(&mut self, method: Method) -> Result<(), h2::OpenError> {
        let stream = self.open(method)?;
        self.unary = Some(Unary::new(stream, method));
        self.send_request();
        Ok(())
    }

    /// Gives the unary call up.
    pub(super) fn stop_asking(&mut self) {
        if let Some(call) = self.unary.take() {
            self.http2.reset(call.stream(), h2::ErrorCode::CANCEL);
        }
    }

    fn open(&mut self, method: Method) -> Result<StreamId, h2::OpenError> {
        let identity = &self.identity;
        let call = Call {
            tls: identity.is_encrypted,
            authority: &identity.authority,
            path: method.path(),
            user_agent: &identity.user_agent,
        };
        let mut metadata = vec![("origin", "agent")];
        if method == Method::Connect {
            metadata.extend(
                identity
                    .metadata
                    .iter()
                    .map(|(name, value)| (*name, &value[..])),
            );
        }
        let fields = grpc::request_fields(call, &metadata);
        let bearer = Secret::new([b"Bearer ", identity.token.expose()].concat());
        let mut fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, &value[..]))
            .collect();
        if method != Method::HealthCheck {
            fields.push(("authorization", bearer.expose()));
        }
        self.http2.open_stream(&fields, false)
    }

    fn send_request(&mut self) {
        if let Some(call) = &mut self.unary {
            call.send(&self.identity.preconnect, &mut self.http2);
        }
    }

    /// The stream is open as far as we are concerned.
    pub(super) fn has_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// A unary call is under way.
    pub(super) fn is_asking(&self) -> bool {
        self.unary.is_some()
    }

    /// How calls present themselves.
    pub(super) fn identity(&self) -> Rc<AgentIdentity> {
        Rc::clone(&self.identity)
    }

    /// No further call can be made.
    pub(super) fn goes_away(&self) -> bool {
        self.http2.is_going_away()
    }

    /// The peer has shown that it speaks HTTP/2.
    pub(super) fn is_greeted(&self) -> bool {
        self.http2.is_greeted()
    }

    /// Demands a sign of life.
    pub(super) fn probe(&mut self) {
        self.http2.probe();
    }

    /// It has not been given.
    pub(super) fn is_probed(&self) -> bool {
        self.http2.is_probed()
    }

    /// The credit that the stream lacks to `wanted`, when it is worth a frame.
    pub(super) fn missing_credit(&self, wanted: u32) -> u32 {
        let Some(stream) = self.stream else {
            return 0;
        };
        let missing = wanted.saturating_sub(self.http2.outstanding_credit(stream));
        if missing >= wanted.div_ceil(2) {
            missing
        } else {
            0
        }
    }

    /// Gives the peer credit on the stream.
    pub(super) fn grant(&mut self, bytes: u32) {
        if let Some(stream) = self.stream
            && bytes > 0
        {
            self.http2.grant(stream, bytes);
        }
    }

    /// How often the peer has given us credit on the stream.
    pub(super) fn credit_count(&self) -> u32 {
        let stream = self.stream;
        stream.map_or(0, |stream| self.http2.credit_count(stream))
    }

    /// Bytes of packets that were passed over, since the last call.
    pub(super) fn take_passed_over(&mut self) -> usize {
        std::mem::take(&mut self.passed_over)
    }

    /// Whole frames to be sent before the next packet, a request that has become possible among them.
    pub(super) fn control_output(&mut self) -> &mut ByteBuf {
        self.send_request();
        self.http2.control_output()
    }

    /// Bytes of packets that may be sent now; `None` without a stream.
    pub(super) fn send_room(&self) -> Option<usize> {
        self.stream.map(|stream| self.http2.send_room(stream))
    }

    /// The head for so many of them.
    pub(super) fn data_head(&mut self, size: usize) -> [u8; FRAME_HEAD_BYTES] {
        let mut head = [0; FRAME_HEAD_BYTES];
        if let Some(stream) = self.stream {
            self.http2.write_data_head(stream, size, false, &mut head);
        }
        head
    }

    /// Gives the stream of packets up.
    pub(super) fn end_stream(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.http2.reset(stream, h2::ErrorCode::CANCEL);
        }
    }

    /// Says goodbye; what is open goes on.
    pub(super) fn go_away(&mut self) {
        self.http2.go_away(h2::ErrorCode::NO_ERROR, b"");
    }

    /// Packets wait that have come already.
    pub(super) fn holds_packets(&self) -> bool {
        !self.held.is_empty()
    }

    /// The receiver has room for packets, or has not. Those that were held come first.
    pub(super) fn take_packets(
        &mut self,
        takes_packets: bool,
        on_event: &mut dyn FnMut(LinkEvent<'_>) -> bool,
    ) -> Result<(), LinkError> {
        self.takes_packets = takes_packets;
        let mut held = std::mem::take(&mut self.held);
        while self.takes_packets && !held.is_empty() {
            let used = self.read_packets(held.first(), on_event)?;
            held.consume(used, &mut Pieces::default());
        }
        if !held.is_empty() {
            self.held = held;
        }
        Ok(())
    }

    /// Plaintext of the peer.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        mut bytes: &[u8],
        on_event: &mut dyn FnMut(LinkEvent<'_>) -> bool,
    ) -> Result<(), LinkError> {
        loop {
            let (used, event) = self
                .http2
                .handle_input(now, bytes)
                .map_err(LinkError::Http2)?;
            bytes = &bytes[used..];
            match event {
                None if bytes.is_empty() => return Ok(()),
                None => {}
                Some(event) => self.dispatch(event, on_event)?,
            }
        }
    }

    /// One HTTP/2 event to the call that it belongs to.
    fn dispatch(
        &mut self,
        event: h2::Event<'_>,
        on_event: &mut dyn FnMut(LinkEvent<'_>) -> bool,
    ) -> Result<(), LinkError> {
        let (id, data, status) = match event {
            h2::Event::Settings => return Ok(()),
            h2::Event::GoAway { code, debug, .. } => {
                on_event(LinkEvent::GoAway(code, debug));
                return Ok(());
            }
            h2::Event::Data {
                stream,
                bytes,
                end_stream,
            } => (stream, bytes, end_stream.then(Status::missing)),
            h2::Event::Headers {
                stream,
                fields,
                end_stream,
            } => {
                if let Some(call) = self.unary_on(stream) {
                    call.note_head(&fields);
                }
                (stream, &[][..], Status::from_headers(&fields, end_stream))
            }
            h2::Event::Trailers { stream, fields } => {
                (stream, &[][..], Some(Status::from_trailers(&fields)))
            }
            h2::Event::Reset { stream, code, .. } => {
                (stream, &[][..], Some(Status::from_reset(code)))
            }
        };
        if self.stream == Some(id) {
            self.receive_packets(data, status, on_event)
        } else {
            self.receive_answer(id, data, status, on_event);
            Ok(())
        }
    }

    /// The stream of packets. Held ones are lost with its end, as everything behind it is.
    fn receive_packets(
        &mut self,
        data: &[u8],
        status: Option<Status>,
        on_event: &mut dyn FnMut(LinkEvent<'_>) -> bool,
    ) -> Result<(), LinkError> {
        let used = match self.held.is_empty() {
            true => self.read_packets(data, on_event)?,
            false => 0,
        };
        let rest = data.get(used..).unwrap_or_default();
        self.held.extend(rest, &mut Pieces::default());
        if let Some(status) = status {
            self.stream = None;
            on_event(LinkEvent::StreamEnded(status));
        }
        Ok(())
    }

    /// Takes packets from the beginning of `data` while there is room for them. A fault in them is
    /// the end of the link: nothing else is on it.
    fn read_packets(
        &mut self,
        data: &[u8],
        on_event: &mut dyn FnMut(LinkEvent<'_>) -> bool,
    ) -> Result<usize, LinkError> {
        let mut taken = 0;
        while self.takes_packets && taken < data.len() {
            let rest = data.get(taken..).unwrap_or_default();
            let result = match self.reassembly.feed(rest) {
                Ok((used, piece)) => {
                    taken += used;
                    match piece {
                        None => Ok(true),
                        Some(Piece::Message(message)) => Packet::decode(message)
                            .map(|packet| on_event(LinkEvent::Packet(packet)))
                            .map_err(LinkError::Packet),
                        Some(Piece::Joined(message)) => {
                            offer(message, on_event).map_err(LinkError::Packet)
                        }
                        Some(Piece::Oversized { part, len, is_last }) => {
                            self.oversized.pass(part);
                            self.passed_over += part.len();
                            Ok(!is_last || {
                                let oversized = std::mem::take(&mut self.oversized);
                                on_event(LinkEvent::Oversized(oversized, len))
                            })
                        }
                    }
                }
                Err(error) => Err(LinkError::Message(error)),
            };
            match result {
                Ok(takes_packets) => self.takes_packets = takes_packets,
                Err(error) => {
                    if let Some(id) = self.stream {
                        self.http2.reset(id, error.reset_code());
                    }
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    fn unary_on(&mut self, id: StreamId) -> Option<&mut Unary> {
        self.unary.as_mut().filter(|call| call.stream() == id)
    }

    /// The unary call. A fault in it is the end of that call only.
    fn receive_answer(
        &mut self,
        id: StreamId,
        data: &[u8],
        status: Option<Status>,
        on_event: &mut dyn FnMut(LinkEvent<'_>) -> bool,
    ) {
        let Some(call) = self.unary_on(id) else {
            return;
        };
        if let Some((outcome, code)) = call.receive(data, status) {
            // A call may fail before its stream ends, and nobody waits for that.
            self.http2.reset(id, code);
            self.unary = None;
            on_event(LinkEvent::Answered(outcome));
        }
    }
}

/// A packet in a buffer of its own, which the receiver may keep.
fn offer(
    message: &mut Vec<u8>,
    on_event: &mut dyn FnMut(LinkEvent<'_>) -> bool,
) -> Result<bool, DecodeError> {
    let mut packet = Packet::decode(message)?;
    packet.can_be_kept = true;
    let range = packet.payload_range();
    on_event(LinkEvent::Packet(packet));
    Ok(on_event(LinkEvent::Buffer(message, range)))
}
