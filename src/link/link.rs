//! One connection to the gateway, from the first TLS byte to the last packet.
//!
//! ```text
//!   Tunnelling (proxy) --> Handshaking (TLS) --> Ready --> stream open --> stream ended
//! ```
//!
//! Sans-IO: socket bytes in, packets out by callback; the outbox in, socket bytes out. Carries the
//! agent's one `Connect` stream and one unary `PreConnect` at a time. Knows nothing of sessions.

use std::time::Instant;

use super::error::LinkError;
use super::pace::Pace;
use super::proxy;
use super::transport::{Progress, RECORD_PLAINTEXT_MAX, Transport};
use crate::base::{ByteBuf, Secret};
use crate::grpc::{self, Call, Code, Reassembly, Status};
use crate::h2::{self, Connection, StreamId};
use crate::limits;
use crate::packet::outbox::FRAME_HEAD_BYTES;
use crate::packet::{DecodeError, Outbox, Packet, PreConnectResponse};

const CONNECT_PATH: &str = "/protobuf.Transport/Connect";
const PRECONNECT_PATH: &str = "/protobuf.Transport/PreConnect";

/// The connection's own window never holds the stream back: only the stream's credit counts.
fn local_settings(stream_window: u32) -> h2::LocalSettings {
    h2::LocalSettings {
        stream_window,
        connection_window: limits::STREAM_WINDOW * 2,
        header_list_bytes_max: limits::H2_HEADER_LIST_BYTES_MAX,
    }
}

/// A frame that fills one TLS record.
const FRAME_PAYLOAD_MAX: usize = RECORD_PLAINTEXT_MAX - FRAME_HEAD_BYTES;

/// How calls present themselves.
pub struct Identity {
    /// The calls go over TLS.
    pub is_encrypted: bool,
    /// `host:port`, or the TLS server name that was asked for.
    pub authority: String,
    /// The token, sent as it was configured.
    pub token: Secret,
    /// Further metadata of `Connect` (name and value).
    pub metadata: Vec<(&'static str, String)>,
    /// Request message of `PreConnect`.
    pub preconnect: Vec<u8>,
    /// `user-agent` of every call.
    pub user_agent: String,
}

/// What `PreConnect` said.
pub struct Answer {
    /// Somebody waits for this agent: open the stream.
    pub connect: bool,
    /// A sentence for the operator, often empty.
    pub message: String,
}

/// What came in.
pub enum Event<'a> {
    /// The transport stands: calls can be made.
    Ready,
    /// A packet of the stream.
    Packet(Packet<'a>),
    /// The stream is over.
    StreamEnded(Status),
    /// The unary call was answered.
    Answered(Result<Answer, Status>),
    /// The gateway asks us to leave, and why.
    GoAway(h2::ErrorCode, Vec<u8>),
}

/// See the module.
pub struct Link {
    tunnel: Option<proxy::Answer>,
    transport: Transport,
    outgoing: ByteBuf,
    calls: Calls,
    pace: Pace,
    is_ready: bool,
    /// Grows while reads fill it.
    read_size: usize,
    last_received: Instant,
}

/// The HTTP/2 half, apart from the transport so that both can be borrowed at once.
struct Calls {
    http2: Connection,
    identity: Identity,
    stream: Option<StreamId>,
    reassembly: Reassembly,
    unary: Option<Unary>,
}

struct Unary {
    stream: StreamId,
    reassembly: Reassembly,
    answer: Option<Answer>,
}

impl Link {
    /// A connected socket. With `tunnel`, the proxy that it leads to is asked first. `credit` is
    /// what the gateway may send on a new stream before more is granted.
    pub fn new(
        now: Instant,
        transport: Transport,
        identity: Identity,
        tunnel: Option<Vec<u8>>,
        credit: u32,
    ) -> Self {
        let mut outgoing = ByteBuf::new();
        if let Some(request) = &tunnel {
            outgoing.extend(request);
        }
        Self {
            tunnel: tunnel.map(|_| proxy::Answer::default()),
            transport,
            outgoing,
            calls: Calls {
                http2: Connection::new(&local_settings(credit)),
                identity,
                stream: None,
                reassembly: Reassembly::new(),
                unary: None,
            },
            pace: Pace::new(now),
            is_ready: false,
            read_size: limits::LINK_READ_BYTES_MIN,
            last_received: now,
        }
    }

    /// When bytes last came in.
    pub fn last_received(&self) -> Instant {
        self.last_received
    }

    /// The stream is open as far as we are concerned.
    pub fn has_stream(&self) -> bool {
        self.calls.stream.is_some()
    }

    /// A unary call is under way.
    pub fn is_asking(&self) -> bool {
        self.calls.unary.is_some()
    }

    /// Protocol version and cipher suite of TLS.
    pub fn describe(&self) -> Option<(&'static str, &'static str)> {
        self.transport.describe()
    }

    /// Where the reactor puts what it reads from the socket.
    pub fn read_buffer(&mut self) -> &mut [u8] {
        self.transport.incoming().spare(self.read_size)
    }

    /// `size` bytes were put into [`Link::read_buffer`]. Call with 0 to start the handshake.
    pub fn received(
        &mut self,
        now: Instant,
        size: usize,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LinkError> {
        self.transport.incoming().advance(size);
        if size > 0 {
            self.last_received = now;
        }
        if size >= self.read_size {
            self.read_size = (self.read_size * 2).min(limits::LINK_READ_BYTES_MAX);
        }
        if let Some(tunnel) = &mut self.tunnel {
            if !tunnel
                .receive(self.transport.incoming())
                .map_err(LinkError::Proxy)?
            {
                return Ok(());
            }
            self.tunnel = None;
        }
        let Self {
            transport,
            outgoing,
            calls,
            ..
        } = self;
        let progress =
            transport.receive(outgoing, &mut |bytes| calls.receive(now, bytes, on_event))?;
        if self.transport.is_open() && !self.is_ready {
            self.is_ready = true;
            on_event(Event::Ready);
        }
        match progress {
            Progress::PeerClosed => Err(LinkError::Closed),
            Progress::Open | Progress::Handshaking => Ok(()),
        }
    }

    /// Opens the agent's stream.
    pub fn open_stream(&mut self) -> Result<(), h2::OpenError> {
        let calls = &mut self.calls;
        calls.stream = Some(calls.open(CONNECT_PATH, true)?);
        calls.reassembly = Reassembly::new();
        Ok(())
    }

    /// Asks `PreConnect`; one call at a time.
    pub fn ask(&mut self) -> Result<(), h2::OpenError> {
        let calls = &mut self.calls;
        let stream = calls.open(PRECONNECT_PATH, false)?;
        calls.send_request(stream);
        calls.unary = Some(Unary {
            stream,
            reassembly: Reassembly::new(),
            answer: None,
        });
        Ok(())
    }

    /// The credit that is missing to `wanted`, when it is worth a frame.
    pub fn missing_credit(&self, wanted: u32) -> u32 {
        let Some(stream) = self.calls.stream else {
            return 0;
        };
        let missing = wanted.saturating_sub(self.calls.http2.outstanding_credit(stream));
        if missing >= wanted.div_ceil(2) {
            missing
        } else {
            0
        }
    }

    /// Gives the gateway credit on the stream.
    pub fn grant(&mut self, bytes: u32) {
        if let Some(stream) = self.calls.stream
            && bytes > 0
        {
            self.calls.http2.grant(stream, bytes);
        }
    }

    /// More payload may be put into the outbox: what waits is less than the line takes soon.
    pub fn has_room(&self, outbox: &Outbox) -> bool {
        self.has_stream() && outbox.len() + self.outgoing.len() < self.pace.payload_max()
    }

    /// The largest payload worth reading now.
    pub fn payload_max(&self) -> usize {
        self.pace.payload_max()
    }

    /// Moves what may leave into the socket's buffer.
    pub fn transmit(&mut self, outbox: &mut Outbox) -> Result<(), LinkError> {
        if !self.is_ready {
            return Ok(());
        }
        loop {
            let control = self.calls.http2.control_output();
            if !control.is_empty() {
                self.transport.send(control.filled(), &mut self.outgoing)?;
                control.clear();
                control.shrink(limits::LINK_BUFFER_BYTES_IDLE);
            }
            let Some(stream) = self.calls.stream else {
                return Ok(());
            };
            let room = self.calls.http2.send_room(stream);
            let size = outbox.len().min(room).min(FRAME_PAYLOAD_MAX);
            if size == 0 || self.outgoing.len() >= limits::LINK_WRITE_BYTES {
                return Ok(());
            }
            let mut head = [0; FRAME_HEAD_BYTES];
            self.calls
                .http2
                .write_data_head(stream, size, false, &mut head);
            self.transport
                .send(outbox.frame(&head, size), &mut self.outgoing)?;
        }
    }

    /// Bytes for the socket.
    pub fn pending(&self) -> &[u8] {
        self.outgoing.filled()
    }

    /// The socket took `size` of them.
    pub fn sent(&mut self, now: Instant, size: usize, outbox: &Outbox) {
        self.outgoing.consume(size);
        self.pace
            .sent(now, size, self.outgoing.is_empty() && outbox.is_empty());
    }

    /// A burst has left memory behind.
    pub fn holds_burst_memory(&mut self) -> bool {
        let idle = limits::LINK_BUFFER_BYTES_IDLE;
        self.transport.incoming().capacity() > idle || self.outgoing.capacity() > idle
    }

    /// Gives the memory of a burst back; called when nothing has moved for a while.
    pub fn release_idle(&mut self) {
        self.read_size = limits::LINK_READ_BYTES_MIN;
        self.transport
            .incoming()
            .shrink(limits::LINK_BUFFER_BYTES_IDLE);
        if self.outgoing.is_empty() {
            self.outgoing.shrink(limits::LINK_BUFFER_BYTES_IDLE);
        }
    }

    /// Says goodbye: end of the stream, GOAWAY, close_notify.
    pub fn close(&mut self, outbox: &mut Outbox) {
        if let Some(stream) = self.calls.stream.take() {
            self.calls.http2.reset(stream, h2::ErrorCode::CANCEL);
        }
        self.calls.http2.go_away(h2::ErrorCode::NO_ERROR, b"");
        // What can't be encrypted any more would not have been heard either.
        let _ = self.transmit(outbox);
        self.transport.close(&mut self.outgoing);
    }

    /// After an error: tells the peer which, as far as that is possible.
    pub fn abort(&mut self) {
        let _ = self.transmit(&mut Outbox::new());
        self.transport.close(&mut self.outgoing);
    }
}

impl Calls {
    fn open(&mut self, path: &str, is_connect: bool) -> Result<StreamId, h2::OpenError> {
        let identity = &self.identity;
        let call = Call {
            tls: identity.is_encrypted,
            authority: &identity.authority,
            path,
            user_agent: &identity.user_agent,
        };
        let mut metadata = vec![("origin", "agent")];
        if is_connect {
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
        fields.push(("authorization", bearer.expose()));
        self.http2.open_stream(&fields, false)
    }

    /// The whole request of a unary call, in one frame: it is a few bytes long, and a peer whose
    /// initial window does not even hold that gets no answer from us.
    fn send_request(&mut self, stream: StreamId) {
        let request = &self.identity.preconnect;
        let prefix = grpc::write_prefix(request.len());
        let size = prefix.len() + request.len();
        if self.http2.send_room(stream) < size {
            return self.http2.reset(stream, h2::ErrorCode::CANCEL);
        }
        let mut head = [0; FRAME_HEAD_BYTES];
        self.http2.write_data_head(stream, size, true, &mut head);
        let control = self.http2.control_output();
        control.extend(&head);
        control.extend(&prefix);
        control.extend(request);
    }

    fn receive(
        &mut self,
        now: Instant,
        mut bytes: &[u8],
        on_event: &mut dyn FnMut(Event<'_>),
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
                Some(event) => dispatch(
                    &mut self.stream,
                    &mut self.reassembly,
                    &mut self.unary,
                    event,
                    on_event,
                )?,
            }
        }
    }
}

/// One HTTP/2 event to the call that it belongs to.
fn dispatch(
    stream: &mut Option<StreamId>,
    reassembly: &mut Reassembly,
    unary: &mut Option<Unary>,
    event: h2::Event<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<(), LinkError> {
    let (id, data, status) = match event {
        h2::Event::Settings => return Ok(()),
        h2::Event::GoAway { code, debug, .. } => {
            on_event(Event::GoAway(code, debug));
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
        } => (stream, &[][..], Status::from_headers(&fields, end_stream)),
        h2::Event::Trailers { stream, fields } => {
            (stream, &[][..], Some(Status::from_trailers(&fields)))
        }
        h2::Event::Reset { stream, code, .. } => (stream, &[][..], Some(Status::from_reset(code))),
    };
    if *stream == Some(id) {
        feed(reassembly, data, &mut |message| {
            Packet::decode(message).map(|packet| on_event(Event::Packet(packet)))
        })?;
        if let Some(status) = status {
            *stream = None;
            on_event(Event::StreamEnded(status));
        }
    } else if let Some(call) = unary.as_mut().filter(|call| call.stream == id) {
        let Unary {
            reassembly, answer, ..
        } = call;
        feed(reassembly, data, &mut |message| {
            let PreConnectResponse { status, message } = PreConnectResponse::decode(message)?;
            *answer = Some(Answer {
                connect: status == "CONNECT",
                message: message.to_owned(),
            });
            Ok(())
        })?;
        if let Some(status) = status {
            let answer = answer.take();
            *unary = None;
            on_event(Event::Answered(match answer {
                Some(answer) if status.code == Code::Ok => Ok(answer),
                _ => Err(status),
            }));
        }
    }
    Ok(())
}

fn feed(
    reassembly: &mut Reassembly,
    mut data: &[u8],
    on_message: &mut dyn FnMut(&[u8]) -> Result<(), DecodeError>,
) -> Result<(), LinkError> {
    while !data.is_empty() {
        let (used, message) = reassembly.feed(data).map_err(LinkError::Message)?;
        data = &data[used..];
        if let Some(message) = message {
            on_message(message).map_err(LinkError::Packet)?;
        }
    }
    Ok(())
}
