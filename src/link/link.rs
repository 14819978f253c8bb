//! One connection to the gateway, from the first TLS byte to the last packet.
//!
//! ```text
//!   Tunnelling (proxy) --> Handshaking (TLS) --> Ready --> stream open --> stream ended
//! ```
//!
//! Sans-IO: socket bytes in, packets out by callback; the outbox in, socket bytes out. Carries the
//! agent's one `Connect` stream and one unary `PreConnect` at a time. Knows nothing of sessions.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::calls::Calls;
use super::error::LinkError;
use super::event::LinkEvent;
use super::gather::{Gather, Wait};
use super::identity::AgentIdentity;
use super::pace::Pace;
use super::proxy;
use super::transport::Transport;
use super::unary::Method;
use crate::base::ByteBuf;
use crate::h2;
use crate::limits;
use crate::packet::Outbox;
use crate::packet::outbox::FRAME_HEAD_BYTES;
use crate::tls::{Progress, RECORD_PLAINTEXT_MAX};

/// A frame that fills one TLS record.
const FRAME_PAYLOAD_MAX: usize = RECORD_PLAINTEXT_MAX - FRAME_HEAD_BYTES;

/// See the module.
///
/// ```
/// # use hoop_lite::base::{ByteBuf, Secret};
/// # use hoop_lite::h2::{frame::{self, FrameKind}, hpack::encode};
/// # use hoop_lite::{link::*, packet::Outbox};
/// # let now = std::time::Instant::now();
/// # let identity = AgentIdentity {
/// #     is_encrypted: false,
/// #     authority: "gateway:8010".into(),
/// #     token: Secret::new("token"),
/// #     metadata: Vec::new(),
/// #     preconnect: Vec::new(),
/// #     user_agent: "example".into(),
/// # };
/// # let (mut outbox, mut gateway, mut block) = (Outbox::new(), ByteBuf::new(), Vec::new());
/// let mut link = Link::new(now, Transport::plaintext(), identity.into(), None, 65_535);
/// let mut seen = Vec::new();
/// link.received(now, 0, true, &mut |event| {
///     seen.push(matches!(event, LinkEvent::Ready));
///     true
/// })?;
/// assert_eq!(seen, [true]);
///
/// // Ready: the stream of packets can be opened, and what the gateway needs to know is encrypted.
/// link.open_stream()?;
/// link.transmit(now, &mut outbox)?;
/// assert!(link.has_stream() && link.pending().starts_with(frame::PREFACE));
///
/// // The gateway greets, and ends the stream with a status.
/// let fields: [(&str, &[u8]); 3] =
///     [(":status", b"200"), ("content-type", b"application/grpc"), ("grpc-status", b"14")];
/// encode::encode(&fields, false, &mut block);
/// frame::write(&mut gateway, FrameKind::SETTINGS, 0, 0, &[]);
/// frame::write(&mut gateway, FrameKind::HEADERS, frame::END_HEADERS | frame::END_STREAM, 1, &block);
/// link.read_buffer()[..gateway.len()].copy_from_slice(gateway.filled());
/// link.received(now, gateway.len(), true, &mut |event| {
///     seen.push(matches!(event, LinkEvent::StreamEnded(_)));
///     true
/// })?;
/// assert!(seen == [true, true] && !link.has_stream());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Link {
    tunnel: Option<proxy::ProxyAnswer>,
    transport: Transport,
    outgoing: ByteBuf,
    calls: Calls,
    pace: Pace,
    gather: Gather,
    is_ready: bool,
    /// Since when the gateway has given no credit, though packets wait.
    blocked_since: Option<Instant>,
    /// Grows while reads fill it.
    read_size: usize,
    last_received: Instant,
}

impl Link {
    /// A connected socket. With `tunnel`, the proxy that it leads to is asked first. A stream has
    /// `credit` before it is given any.
    pub fn new(
        now: Instant,
        transport: Transport,
        identity: Rc<AgentIdentity>,
        tunnel: Option<Vec<u8>>,
        credit: u32,
    ) -> Self {
        let mut outgoing = ByteBuf::new();
        if let Some(request) = &tunnel {
            outgoing.extend(request);
        }
        Self {
            tunnel: tunnel.map(|request| proxy::ProxyAnswer::to(&request)),
            transport,
            outgoing,
            calls: Calls::new(identity, credit),
            pace: Pace::new(now),
            gather: Gather::new(now),
            is_ready: false,
            blocked_since: None,
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
        self.calls.has_stream()
    }

    /// A unary call is under way.
    pub fn is_asking(&self) -> bool {
        self.calls.is_asking()
    }

    /// How it presents itself.
    pub fn identity(&self) -> Rc<AgentIdentity> {
        self.calls.identity()
    }

    /// The gateway, or a proxy, has said goodbye: what is open goes on, no call can be made.
    pub fn goes_away(&self) -> bool {
        self.calls.goes_away()
    }

    /// Demands a sign of life where no call can be made.
    pub fn probe(&mut self) {
        self.calls.probe();
    }

    /// The sign of life has not been given.
    pub fn is_probed(&self) -> bool {
        self.calls.is_probed()
    }

    /// Since when the gateway has given no credit, though packets wait.
    pub fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Protocol version and cipher suite of TLS.
    pub fn describe(&self) -> Option<(&'static str, &'static str)> {
        self.transport.describe()
    }

    /// The gateway's certificate, in DER.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.transport.certificate()
    }

    /// The other side has shown that it speaks HTTP/2.
    pub fn is_greeted(&self) -> bool {
        self.calls.is_greeted()
    }

    /// There is TLS, or will be.
    pub fn is_encrypted(&self) -> bool {
        self.transport.is_encrypted()
    }

    /// Where the reactor puts what it reads from the socket.
    pub fn read_buffer(&mut self) -> &mut [u8] {
        self.transport.slot(self.read_size)
    }

    /// Packets have come for which there was no room. They cost no more memory than the stream had
    /// credit, which is not to be given meanwhile.
    pub fn holds_packets(&self) -> bool {
        self.calls.holds_packets()
    }

    /// `size` bytes were put into [`Link::read_buffer`]. Call with 0 to start the handshake, or when
    /// there is room for the packets that are held. Frames are read in any case, packets while
    /// `takes_packets`, which each call of `on_event` says anew.
    pub fn received(
        &mut self,
        now: Instant,
        size: usize,
        takes_packets: bool,
        on_event: &mut dyn FnMut(LinkEvent<'_>) -> bool,
    ) -> Result<(), LinkError> {
        self.transport.incoming().advance(size);
        if size > 0 {
            self.last_received = now;
            self.gather.received(now, size);
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
        calls.take_packets(takes_packets, on_event)?;
        let mut broken = None;
        let progress = transport.receive(outgoing, &mut |bytes| match calls
            .receive(now, bytes, on_event)
        {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                broken = Some(error);
                ControlFlow::Break(())
            }
        });
        if let Some(error) = broken {
            return Err(error);
        }
        let progress = progress?;
        if self.transport.is_open() && !self.is_ready {
            self.is_ready = true;
            on_event(LinkEvent::Ready);
        }
        match progress {
            Progress::PeerClosed => Err(LinkError::Closed),
            Progress::Open | Progress::Handshaking => Ok(()),
        }
    }

    /// Overwrites what was read and has been handed out.
    pub fn wipe_read(&mut self) {
        self.transport.incoming().wipe_consumed();
    }

    /// How the socket is to be waited for, when the gateway should have `credit_wanted`.
    pub fn wait(&self, now: Instant, credit_wanted: u32) -> Wait {
        self.gather.wait(now, credit_wanted)
    }

    /// The deadline of [`Link::wait`] is over, and nothing has come for the last `silence` of it.
    pub fn waited(&mut self, silence: Duration) {
        self.gather.waited(silence);
    }

    /// A target answered bulk data, for which its sender may have been waiting.
    pub fn answered(&mut self, now: Instant) {
        self.gather.answered(now);
    }

    /// A target said something that was no answer to bulk data: somebody may be at work.
    pub fn interrupt(&mut self, now: Instant) {
        self.gather.interrupt(now);
    }

    /// Opens the agent's stream.
    pub fn open_stream(&mut self) -> Result<(), h2::OpenError> {
        self.calls.open_stream()
    }

    /// Asks `PreConnect`; one unary call at a time.
    pub fn ask(&mut self) -> Result<(), h2::OpenError> {
        self.calls.ask(Method::PreConnect)
    }

    /// Asks `HealthCheck`, without the key.
    pub fn ask_health(&mut self) -> Result<(), h2::OpenError> {
        self.calls.ask(Method::HealthCheck)
    }

    /// Gives the call up; no [`LinkEvent::Answered`] follows.
    pub fn stop_asking(&mut self) {
        self.calls.stop_asking();
    }

    /// The credit that is missing to `wanted`, when it is worth a frame.
    pub fn missing_credit(&self, wanted: u32) -> u32 {
        self.calls.missing_credit(wanted)
    }

    /// Bytes of messages that were too large, since the last call: nothing is left of them.
    pub fn take_passed_over(&mut self) -> usize {
        self.calls.take_passed_over()
    }

    /// Gives the gateway credit on the stream.
    pub fn grant(&mut self, bytes: u32) {
        self.calls.grant(bytes);
    }

    /// How often the gateway has given us credit on the stream.
    pub fn credit_count(&self) -> u32 {
        self.calls.credit_count()
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
    pub fn transmit(&mut self, now: Instant, outbox: &mut Outbox) -> Result<(), LinkError> {
        if !self.is_ready {
            return Ok(());
        }
        loop {
            let control = self.calls.control_output();
            if !control.is_empty() {
                self.transport.send(control.filled(), &mut self.outgoing)?;
                control.clear();
                control.shrink(limits::LINK_BUFFER_BYTES_IDLE);
            }
            let Some(room) = self.calls.send_room() else {
                return Ok(());
            };
            self.blocked_since = match room {
                0 if !outbox.is_empty() => self.blocked_since.or(Some(now)),
                _ => None,
            };
            let size = outbox.len().min(room).min(FRAME_PAYLOAD_MAX);
            if size == 0 || self.outgoing.len() >= limits::LINK_WRITE_BYTES {
                return Ok(());
            }
            let head = self.calls.data_head(size);
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
    pub fn close(&mut self, now: Instant, outbox: &mut Outbox) {
        self.calls.end_stream();
        self.calls.go_away();
        // What can't be encrypted any more would not have been heard either.
        let _ = self.transmit(now, outbox);
        self.transport.close(&mut self.outgoing);
    }

    /// After an error: tells the peer which, as far as that is possible.
    pub fn abort(&mut self, now: Instant) {
        self.calls.go_away();
        let _ = self.transmit(now, &mut Outbox::new());
        self.transport.close(&mut self.outgoing);
    }
}
