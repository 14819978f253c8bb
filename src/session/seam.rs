//! Where a machine stands between a client's connection and its target: a login, its TLS, the relay after it.
//!
//! A machine knows neither sessions nor packets nor descriptors. It is told what has come, puts what is to
//! go into its [`Sides`], and answers with what is to be done [`Next`]; `connection.rs` carries that out. A
//! machine that runs for nobody (an errand) is driven in the same way, without a client.

use std::net::SocketAddr;
use std::time::Instant;

use super::environment::Variables;
use super::output::Where;
use crate::base::ByteBuf;
use crate::packet::{Kind, Outbox, SpecEntry};
use crate::wire::sink::Sink;

/// See the module.
pub trait Machine {
    /// Bytes were added to [`Sides::from_client`], or the connection was made.
    fn client_sent(&mut self, sides: &mut Sides<'_>) -> Next;

    /// The target is connected.
    fn started(&mut self, sides: &mut Sides<'_>, peer: Option<SocketAddr>) -> Next;

    /// The target could not be connected, for this reason.
    fn failed(&mut self, sides: &mut Sides<'_>, reason: &str) -> Next;

    /// Where up to `size_max` of the target's bytes are to be read to. `None`: to the packet that carries
    /// them to the client, which spares a copy.
    fn slot(&mut self, size_max: usize) -> Option<&mut [u8]>;

    /// So many were read into the last [`Machine::slot`].
    fn target_sent(&mut self, sides: &mut Sides<'_>, size: usize) -> Next;

    /// These were read where there was no slot, and go to the client. `Some`: so many of them go first, in
    /// a packet of their own.
    fn relayed(&mut self, payload: &[u8]) -> Option<usize>;

    /// The target has ended or broken; all that it said was handed over before.
    fn target_ended(&mut self, sides: &mut Sides<'_>) -> Next;

    /// The client has left, or its session is over. The last call: what is put to the target is delivered
    /// before its end, and of the answers only an errand counts.
    fn client_left(&mut self, sides: &mut Sides<'_>) -> Next;

    /// The connection ends for this reason, which its client is told. A last call, too.
    fn refuse(&mut self, sides: &mut Sides<'_>, why: Why);

    /// [`Machine::due`] has come.
    fn overdue(&mut self, sides: &mut Sides<'_>) -> Next;

    /// When it wants to be called without an event; asked after every call. What is not later than now is
    /// called in the next turn. Also for giving memory back.
    fn due(&self) -> Option<Instant>;
}

/// Makes the machine of a new connection, from what the session's connection itself says.
pub type Make = fn(&Variables) -> Box<dyn Machine>;

/// What a machine reads and writes during one call.
pub struct Sides<'a> {
    /// The time.
    pub now: Instant,
    /// From the client. What is left stays, and counts in the byte budget.
    pub from_client: &'a mut ByteBuf,
    /// To the client.
    pub to_client: ToClient<'a>,
    /// To the queue of the target, connected or not yet.
    pub to_target: &'a mut dyn Sink,
}

/// What is to be done after a call.
pub enum Next {
    /// Nothing but to deliver what was put.
    Go,
    /// Connect to the connection's own place, and close the target that there was. The queue of the new
    /// one takes bytes at once, in the [`Machine::client_sent`] that follows.
    Dial,
    /// The client was told what it is to be told. The target gets the rest of its queue, then its end.
    Close,
    /// As [`Next::Close`], and this machine runs at this place for nobody.
    Errand(Where, Box<dyn Machine>),
}

/// Why a connection ends that its peers would go on with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The agent is about to leave.
    Stopping,
    /// What it holds is needed by others, and nothing of it was taken for long.
    Stalled,
    /// There is no room for a target.
    NoRoom,
}

/// The way to a client: packets of its connection.
pub struct ToClient<'a> {
    outbox: Option<&'a mut Outbox>,
    kind: Kind,
    spec: [SpecEntry<'a>; 2],
    size: usize,
}

impl<'a> ToClient<'a> {
    /// Packets of this kind with this spec.
    pub(super) fn new(outbox: &'a mut Outbox, kind: Kind, spec: [SpecEntry<'a>; 2]) -> Self {
        Self {
            outbox: Some(outbox),
            kind,
            spec,
            size: 0,
        }
    }

    /// There is no client: what goes to it is forgotten.
    pub(super) fn nowhere() -> Self {
        Self {
            outbox: None,
            kind: Kind::ClientTCPConnectionWrite,
            spec: [("", b""), ("", b"")],
            size: 0,
        }
    }

    /// `payload` becomes a packet of its own.
    pub fn packet(&mut self, payload: &[u8]) {
        if let Some(outbox) = &mut self.outbox {
            outbox.push(self.kind, &self.spec, payload);
            self.size += payload.len();
        }
    }

    /// Bytes that went to it.
    pub(super) fn size(&self) -> usize {
        self.size
    }
}
