//! Where a machine stands between a client's connection and its target: a login, its TLS, the relay after it.
//!
//! A machine knows neither sessions nor packets nor descriptors. It is told what has come, puts what is to
//! go into its [`Sides`], and answers with what is to be done [`Next`]; `connection.rs` carries that out. A
//! machine that runs for nobody (an errand) is driven in the same way, without a client.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Instant;

use super::means::Means;
use super::output::Where;
use super::report::Unreached;
use super::wire::Wire;
use crate::base::{ByteBuf, Service};
use crate::login::{CancelKey, Packets};
use crate::packet::{Kind, Outbox, SpecEntry};
use crate::wire::sink::Sink;

/// See the module.
pub trait Machine {
    /// The client sent this, or nothing yet: its connection was made. What is kept of it goes to
    /// [`Sides::from_client`].
    fn client_sent(&mut self, sides: &mut Sides<'_>, payload: &[u8]) -> Next;

    /// There is a new target, connected or not, whose queue takes bytes.
    fn dialled(&mut self, sides: &mut Sides<'_>) -> Next;

    /// The target is connected.
    fn started(&mut self, sides: &mut Sides<'_>, peer: Option<SocketAddr>) -> Next;

    /// The service that was dialled has these hosts.
    fn told(&mut self, _: &mut Sides<'_>, _: &Service) -> Next {
        Next::Go
    }

    /// The target could not be connected.
    fn failed(&mut self, sides: &mut Sides<'_>, why: Unreached<'_>) -> Next;

    /// The target's bytes are for [`Machine::slot`]. If not, they are read to the packet that carries them to
    /// the client, which spares a copy, and shown to [`Machine::relayed`].
    fn wants_slot(&self) -> bool;

    /// Where up to `size_max` of the target's bytes are to be read to, now.
    fn slot<'a>(&'a mut self, means: &'a mut Means, size_max: usize) -> &'a mut [u8];

    /// So many were read into the last [`Machine::slot`].
    fn target_sent(&mut self, sides: &mut Sides<'_>, size: usize) -> Next;

    /// These were read where there was no slot, and go to the client. `Some`: so many of them go first, in
    /// a packet of their own.
    fn relayed(&mut self, _payload: &[u8]) -> Option<usize> {
        None
    }

    /// The target has ended or broken; all that it said was handed over before.
    fn target_ended(&mut self, sides: &mut Sides<'_>) -> Next;

    /// The target has broken. Only few can tell.
    fn target_broke(&mut self, sides: &mut Sides<'_>) -> Next {
        self.target_ended(sides)
    }

    /// The target was closed, as [`Next::HangUp`] asked.
    fn hung_up(&mut self, _: &mut Sides<'_>) -> Next {
        Next::Go
    }

    /// The client has left, or its session is over. The last call: what is put to the target is delivered
    /// before its end, and of the answers only an errand counts.
    fn client_left(&mut self, sides: &mut Sides<'_>) -> Next;

    /// The connection ends for this reason, which its client is told: a last call, too, unless the answer is
    /// [`Next::Go`], by which it ends as soon as its client listens.
    fn refuse(&mut self, sides: &mut Sides<'_>, why: Why) -> Next;

    /// [`Machine::due`] has come.
    fn overdue(&mut self, sides: &mut Sides<'_>) -> Next;

    /// When it wants to be called without an event; asked after every call. What is not later than now is
    /// called in the next turn.
    fn due(&self) -> Option<Instant>;

    /// Bytes of its target that it holds between two calls, if they are to count in the byte budget.
    fn held(&self) -> usize {
        0
    }

    /// What the target says waits until the link has room.
    fn needs_room(&self) -> bool;

    /// A connection to the place that has served another machine will do, now that one is to be dialled.
    fn takes_kept(&self) -> bool {
        false
    }

    /// The way to a target that serves nothing at the moment, for another machine to go on with: this one is
    /// over then.
    fn give_kept(&mut self) -> Option<Wire> {
        None
    }

    /// The way to a new target, which stands. [`Machine::started`] does not follow.
    fn take_kept(&mut self, _: Wire) {}

    /// The server gave this number to the connection, by which its queries are cancelled.
    fn runs(&self, _number: u32) -> bool {
        false
    }

    /// How to cancel what `key` stands for, and at which address. `None`: it is not the key of this connection,
    /// or that is being done.
    fn errand(&mut self, _key: &CancelKey) -> Option<(SocketAddr, Box<dyn Machine>)> {
        None
    }
}

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
    /// What all machines share.
    pub means: &'a mut Means,
    /// The link has room, so that nothing is left unread.
    pub has_room: bool,
    /// What the log is to say, once a session.
    pub warning: Option<&'static str>,
}

impl Sides<'_> {
    /// What lies in the scratch goes to the target.
    pub(super) fn deliver(&mut self) {
        self.put_words();
        self.means.scratch.clear();
    }

    /// The same, where there may be a password in it.
    pub(super) fn deliver_secret(&mut self) {
        self.put_words();
        self.means.scratch.wipe();
    }

    fn put_words(&mut self) {
        let words = self.means.scratch.outgoing();
        if !words.is_empty() {
            self.to_target.put(words);
        }
    }
}

/// What is to be done after a call.
pub enum Next {
    /// Nothing but to deliver what was put.
    Go,
    /// What the client sent goes into the target's queue as it is; the answer to [`Machine::client_sent`] alone.
    Pass,
    /// Connect to this place, or to the connection's own, and close the target that there was.
    /// [`Machine::dialled`] follows; in place of [`Machine::started`] comes [`Machine::told`] where it was a service
    /// whose hosts are to be told.
    Dial(Option<Where>),
    /// Close the target; the connection goes on without one. [`Machine::hung_up`] follows.
    HangUp,
    /// It is over. The target gets the rest of its queue, then its end.
    Close(Farewell),
    /// The query of another connection is to be cancelled, and this one is over.
    Cancel(CancelKey),
    /// It is over, and this machine runs at this place for nobody.
    Errand(Where, Box<dyn Machine>),
}

/// What is said about a connection that is over.
pub enum Farewell {
    /// The client is told, and the log gets the reason.
    Because(Cow<'static, str>),
    /// The client is told.
    Ended,
    /// The client has said goodbye. Some wait for the server's end then, and are told, where that ends nobody else.
    Goodbye,
    /// Nothing: the client knows, or must not hear of it.
    Silent,
    /// Nothing, and the id may come again.
    Answered,
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

    /// Room for a payload of up to this size, to be followed by [`ToClient::fill`]. `None`: there is no client.
    pub fn slot(&mut self, size_max: usize) -> Option<&mut [u8]> {
        let outbox = self.outbox.as_mut()?;
        Some(outbox.slot(self.kind, &self.spec, size_max))
    }

    /// So many bytes of the slot become a packet; the first `cut` of them one of their own.
    pub fn fill(&mut self, size: usize, cut: Option<usize>) {
        if let Some(outbox) = &mut self.outbox {
            match cut {
                Some(cut) => outbox.fill_cut(self.kind, &self.spec, size, cut),
                None => outbox.fill(size),
            }
            self.size += size;
        }
    }

    /// Bytes that went to it.
    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Packets for ToClient<'_> {
    fn packet(&mut self, payload: &[u8]) {
        if let Some(outbox) = &mut self.outbox {
            outbox.push(self.kind, &self.spec, payload);
            self.size += payload.len();
        }
    }
}
