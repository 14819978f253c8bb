//! Between a database's client and its server: the login, then the relay with eyes.
//!
//! ```text
//!   Entering --Passed--> Relaying --either side ends--> Over
//!      |  ^ Dial: the server once more, without TLS      ^
//!      +--+----------- refused, or an errand ------------+
//! ```
//! Promises: client and server hear each other's bytes as they are, and none of the stored credentials comes to
//! the client; a login can be refused in every state, in its dialect, and holds 64 KiB of its client at most; a
//! server's close_notify is told from a cut, and ours is queued before the end of our bytes; after the login a
//! packet allocates nothing but what rustls does for a record. Leaves to its owner: descriptors, the headers of
//! packets, whose turn it is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::errand::Errand;
use super::means::{Means, Way};
use super::output::Where;
use super::seam::{Farewell, Machine, Next, Sides, Why};
use super::wire::{Wire, Words};
use crate::base::ByteBuf;
use crate::limits;
use crate::login::{CancelKey, Cause, Exchange, Login, Refusal, Relay, Step, TlsWish, Waits};
use crate::tls::{Client, Progress, StreamError, Subject};

/// See the module.
pub struct Between {
    wire: Wire,
    stage: Stage,
    /// The server's very address.
    peer: Option<SocketAddr>,
    /// How TLS was agreed with it, for an errand.
    secured: Option<(TlsWish, Client)>,
    due: Option<Instant>,
}

enum Stage {
    Entering(Login, Box<Entering>),
    Relaying(Relay),
    /// Nothing is said any more.
    Over,
}

/// What a login needs while it lasts.
struct Entering {
    way: Way,
    /// Of the server, or of what its TLS carries.
    from_server: ByteBuf,
    is_securing: bool,
    waits_for: Option<Waits>,
    /// Bytes for the client since the link last had room.
    said: usize,
}

/// What is done with a login, once.
type Act<'a> = &'a dyn Fn(Login, &mut Exchange<'_>) -> Step<Login>;

/// A turn's wait is over as soon as everybody else has had one.
const NEXT_TURN: Duration = Duration::ZERO;

impl Between {
    /// A client has connected, and is to be logged in to the server at the end of `way`.
    pub fn new(login: Login, way: Way) -> Self {
        let entering = Entering {
            way,
            from_server: ByteBuf::new(),
            is_securing: false,
            waits_for: None,
            said: 0,
        };
        Self {
            wire: Wire::default(),
            stage: Stage::Entering(login, Box::new(entering)),
            peer: None,
            secured: None,
            due: None,
        }
    }

    /// Does `act` with the login, and all that follows from it at once.
    fn drive(&mut self, sides: &mut Sides<'_>, act: Act<'_>) -> Next {
        let (login, mut entering) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Entering(login, entering) => (login, entering),
            other => {
                self.stage = other;
                return Next::Go;
            }
        };
        let mut step = self.act(login, &mut entering, sides, act);
        loop {
            step = match step {
                Step::Wait(login) => return self.wait(login, entering, sides),
                Step::Dial(login) => {
                    self.wire = Wire::default();
                    self.secured = None;
                    entering.begin_anew();
                    self.stage = Stage::Entering(login, entering);
                    return Next::Dial;
                }
                Step::StartTls(login, wish) => match self.secure(wish, &mut entering, sides) {
                    Ok(()) => Step::Wait(login),
                    Err(Trouble::Stuffed(refusal)) => {
                        login.refuse(&refusal, &mut sides.to_client);
                        Step::Refused(refusal)
                    }
                    Err(Trouble::Tls(reason)) => {
                        let failed = |login: Login, exchange: &mut Exchange<'_>| {
                            login.tls_failed(&reason, exchange)
                        };
                        self.act(login, &mut entering, sides, &failed)
                    }
                },
                Step::Passed(relay) => {
                    sides.warning = relay.has_trusted_blindly().then_some(UNVERIFIED);
                    self.due = None;
                    self.stage = Stage::Relaying(relay);
                    return Next::Go;
                }
                Step::Errand(key) => return self.over(Next::Cancel(key)),
                Step::Refused(refusal) => {
                    self.close(sides);
                    return self.over(Next::Close(Farewell::Because(refusal.text)));
                }
            }
        }
    }

    /// Calls the login; what it says goes on its way.
    fn act(
        &mut self,
        login: Login,
        entering: &mut Entering,
        sides: &mut Sides<'_>,
        act: Act<'_>,
    ) -> Step<Login> {
        let Means { keys, scratch, .. } = &mut *sides.means;
        let mut words = Words::new(&mut self.wire, scratch);
        let step = act(
            login,
            &mut Exchange {
                from_client: sides.from_client,
                from_server: &mut entering.from_server,
                to_client: &mut sides.to_client,
                to_server: &mut words,
                keys,
            },
        );
        sides.deliver_secret();
        entering.said = match sides.has_room {
            true => 0,
            false => entering.said + sides.to_client.size(),
        };
        step
    }

    fn wait(&mut self, login: Login, mut entering: Box<Entering>, sides: &Sides<'_>) -> Next {
        let waits_for = login.waits_for();
        let lasts = match waits_for {
            Waits::Turn => NEXT_TURN,
            Waits::Server => limits::LOGIN_SERVER_TIMEOUT,
            Waits::Client => limits::LOGIN_CLIENT_TIMEOUT,
        };
        // Whoever is waited for gets no more time for what the other says.
        if waits_for == Waits::Turn || entering.waits_for != Some(waits_for) {
            entering.waits_for = Some(waits_for);
            self.due = Some(sides.now + lasts);
        }
        self.stage = Stage::Entering(login, entering);
        Next::Go
    }

    fn secure(
        &mut self,
        wish: TlsWish,
        entering: &mut Entering,
        sides: &mut Sides<'_>,
    ) -> Result<(), Trouble> {
        // Whoever put them there wants them to be taken for bytes from within TLS.
        if !entering.from_server.is_empty() {
            return Err(Trouble::Stuffed(Refusal::new(Cause::Protocol, STUFFED)));
        }
        let client = sides.means.client(wish, &entering.way);
        let client = client.map_err(Trouble::Tls)?;
        let started = self.wire.start(client.clone(), &mut sides.means.scratch);
        sides.deliver();
        started.map_err(|error| Trouble::Tls(explain(&error)))?;
        self.secured = Some((wish, client));
        entering.is_securing = true;
        Ok(())
    }

    /// Bytes of the server during a login.
    fn enter(&mut self, sides: &mut Sides<'_>, size: usize) -> Next {
        let Stage::Entering(_, entering) = &mut self.stage else {
            return Next::Go;
        };
        // The server has spoken: its next word has its own time.
        entering.waits_for = entering.waits_for.filter(|it| *it != Waits::Server);
        if !self.wire.is_secure() {
            entering.from_server.advance(size);
            return self.drive(sides, &Login::step);
        }
        let from_server = &mut entering.from_server;
        let mut sink = |record: &[u8]| from_server.extend(record);
        let outcome = self.wire.receive(size, &mut sides.means.scratch, &mut sink);
        sides.deliver();
        let is_securing = entering.is_securing;
        let next = match &outcome {
            Err(error) if is_securing => {
                let reason = explain(error);
                self.drive(sides, &|login, exchange| {
                    login.tls_failed(&reason, exchange)
                })
            }
            Err(error) => {
                let text = ["TLS with the server broke: ", &explain(error)].concat();
                self.end(sides, Refusal::new(Cause::Unreachable, text))
            }
            Ok(_) if is_securing && self.wire.is_open() => {
                entering.is_securing = false;
                self.drive(sides, &Login::tls_started)
            }
            Ok(_) => self.drive(sides, &Login::step),
        };
        match (next, outcome) {
            (Next::Go, Ok(Progress::PeerClosed)) => self.target_ended(sides),
            (next, _) => next,
        }
    }

    /// Records of the server after the login, in one packet.
    fn relay(&mut self, sides: &mut Sides<'_>, size: usize) -> Next {
        let Stage::Relaying(relay) = &mut self.stage else {
            return Next::Go;
        };
        let Some(slot) = sides.to_client.slot(self.wire.plaintext_max(size)) else {
            return Next::Go;
        };
        let mut used = 0;
        let mut sink = |record: &[u8]| {
            let end = used + record.len();
            if let Some(room) = slot.get_mut(used..end) {
                room.copy_from_slice(record);
                used = end;
            }
        };
        let outcome = self.wire.receive(size, &mut sides.means.scratch, &mut sink);
        if used > 0 {
            let cut = relay.server_sent(&slot[..used]);
            sides.to_client.fill(used, cut);
        }
        sides.deliver();
        match outcome {
            Ok(Progress::PeerClosed) => self.target_ended(sides),
            Ok(_) => Next::Go,
            Err(error) => self.broken(&error),
        }
    }

    fn broken(&mut self, error: &StreamError) -> Next {
        let text = ["TLS with the server broke: ", &explain(error)].concat();
        self.over(Next::Close(Farewell::Because(text.into())))
    }

    /// Tells the client of a login why it ends.
    fn tell(&mut self, sides: &mut Sides<'_>, refusal: &Refusal) {
        if let Stage::Entering(login, _) = &self.stage {
            login.refuse(refusal, &mut sides.to_client);
        }
    }

    fn end(&mut self, sides: &mut Sides<'_>, refusal: Refusal) -> Next {
        self.tell(sides, &refusal);
        self.close(sides);
        self.over(Next::Close(Farewell::Because(refusal.text)))
    }

    fn over(&mut self, next: Next) -> Next {
        self.stage = Stage::Over;
        self.due = None;
        next
    }

    /// The last that the server hears.
    fn close(&mut self, sides: &mut Sides<'_>) {
        if let Stage::Entering(login, _) = &self.stage {
            login.farewell(&mut Words::new(&mut self.wire, &mut sides.means.scratch));
        }
        self.wire.close(&mut sides.means.scratch);
        sides.deliver();
    }
}

impl Entering {
    fn needs_room(&self) -> bool {
        self.said >= limits::LOGIN_SAID_BYTES_MAX
    }

    fn begin_anew(&mut self) {
        self.from_server.clear();
        self.is_securing = false;
        self.waits_for = None;
    }
}

impl Machine for Between {
    fn client_sent(&mut self, sides: &mut Sides<'_>, payload: &[u8]) -> Next {
        match &mut self.stage {
            Stage::Entering(..) => {
                // One byte too many has the login refused, and no more is needed for that.
                let most = limits::LOGIN_CLIENT_BYTES_MAX + 1;
                let room = most.saturating_sub(sides.from_client.len());
                sides
                    .from_client
                    .extend(&payload[..room.min(payload.len())]);
                self.drive(sides, &Login::step)
            }
            Stage::Relaying(relay) => {
                relay.client_sent(payload);
                if !self.wire.is_secure() {
                    return Next::Pass;
                }
                for piece in payload.chunks(SEAL_BYTES) {
                    let sent = self.wire.send(piece, &mut sides.means.scratch);
                    sides.deliver();
                    if let Err(error) = sent {
                        return self.broken(&error);
                    }
                }
                Next::Go
            }
            Stage::Over => Next::Go,
        }
    }

    fn dialled(&mut self, sides: &mut Sides<'_>) -> Next {
        self.drive(sides, &Login::step)
    }

    fn started(&mut self, _: &mut Sides<'_>, peer: Option<SocketAddr>) -> Next {
        self.peer = peer;
        Next::Go
    }

    fn failed(&mut self, sides: &mut Sides<'_>, reason: &str) -> Next {
        let text = ["the database server can't be reached: ", reason].concat();
        self.end(sides, Refusal::new(Cause::Unreachable, text))
    }

    fn wants_slot(&self) -> bool {
        !matches!(self.stage, Stage::Relaying(_)) || self.wire.is_secure()
    }

    fn slot<'a>(&'a mut self, means: &'a mut Means, size_max: usize) -> &'a mut [u8] {
        let least = size_max.min(limits::LOGIN_READ_BYTES);
        match &mut self.stage {
            Stage::Entering(_, entering) if !self.wire.is_secure() => {
                entering.from_server.slot(least, limits::LOGIN_READ_BYTES)
            }
            Stage::Relaying(_) => self.wire.slot(size_max, &mut means.scratch),
            _ => self.wire.slot(least, &mut means.scratch),
        }
    }

    fn target_sent(&mut self, sides: &mut Sides<'_>, size: usize) -> Next {
        let next = match &self.stage {
            Stage::Entering(..) => self.enter(sides, size),
            Stage::Relaying(_) => self.relay(sides, size),
            Stage::Over => Next::Go,
        };
        match (&self.stage, next) {
            (Stage::Entering(_, entering), Next::Go)
                if entering.from_server.len() > limits::LOGIN_SERVER_BYTES_MAX =>
            {
                self.end(sides, Refusal::new(Cause::Protocol, TALKATIVE))
            }
            (_, next) => next,
        }
    }

    fn relayed(&mut self, payload: &[u8]) -> Option<usize> {
        match &mut self.stage {
            Stage::Relaying(relay) => relay.server_sent(payload),
            _ => None,
        }
    }

    fn target_ended(&mut self, sides: &mut Sides<'_>) -> Next {
        match &self.stage {
            Stage::Entering(..) => self.drive(sides, &Login::server_ended),
            Stage::Relaying(relay) => {
                let farewell = match (relay.said_goodbye(), self.wire.is_end_meant()) {
                    (true, _) => Farewell::Silent,
                    (false, true) => Farewell::Ended,
                    (false, false) => Farewell::Because(CUT.into()),
                };
                self.close(sides);
                self.over(Next::Close(farewell))
            }
            Stage::Over => Next::Go,
        }
    }

    fn client_left(&mut self, sides: &mut Sides<'_>) -> Next {
        self.close(sides);
        let next = match (&self.stage, self.peer) {
            (Stage::Relaying(relay), Some(peer)) if relay.is_busy() && !relay.said_goodbye() => {
                match relay.cancel_key() {
                    Some(key) => Next::Errand(Where::Peer(peer), self.errand_of(key)),
                    None => Next::Go,
                }
            }
            _ => Next::Go,
        };
        self.over(next)
    }

    fn refuse(&mut self, sides: &mut Sides<'_>, why: Why) {
        let (cause, text) = match why {
            Why::Stopping => (Cause::Stopping, "the agent is shutting down: connect again"),
            Why::Stalled => (Cause::Unreachable, super::STALLED),
            Why::NoRoom => (
                Cause::Unreachable,
                "the agent has no room for another connection",
            ),
        };
        self.end(sides, Refusal::new(cause, text));
    }

    fn overdue(&mut self, sides: &mut Sides<'_>) -> Next {
        let Stage::Entering(login, entering) = &mut self.stage else {
            self.due = None;
            return Next::Go;
        };
        match login.waits_for() {
            Waits::Turn => self.drive(sides, &Login::step),
            // It may have answered, and was not read.
            Waits::Server if !sides.has_room && entering.needs_room() => {
                entering.waits_for = None;
                self.due = Some(sides.now + limits::LOGIN_SERVER_TIMEOUT);
                Next::Go
            }
            Waits::Server => self.end(sides, Refusal::new(Cause::Unreachable, SILENT_SERVER)),
            Waits::Client => self.end(sides, Refusal::new(Cause::Protocol, SILENT_CLIENT)),
        }
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn needs_room(&self) -> bool {
        match &self.stage {
            Stage::Entering(_, entering) => entering.needs_room(),
            Stage::Relaying(_) => true,
            Stage::Over => false,
        }
    }

    fn errand(&self, key: &CancelKey) -> Option<(SocketAddr, Box<dyn Machine>)> {
        match &self.stage {
            Stage::Relaying(relay) if relay.cancel_key() == Some(key) => {
                Some((self.peer?, self.errand_of(key)))
            }
            _ => None,
        }
    }
}

impl Between {
    /// The errand that cancels what `key` stands for, as this connection would do it.
    fn errand_of(&self, key: &CancelKey) -> Box<dyn Machine> {
        Box::new(Errand::new(key.clone(), self.secured.clone()))
    }
}

/// Why TLS does not begin.
enum Trouble {
    Stuffed(Refusal),
    Tls(String),
}

fn explain(error: &StreamError) -> String {
    error.explain(&Subject::DATABASE)
}

/// Plaintext that is sealed in one go: what it comes to lies twice in memory for a moment.
const SEAL_BYTES: usize = 64 * 1024;

const UNVERIFIED: &str = "the server got the password itself, over TLS whose certificate nobody has checked: \
     set SSLMODE=verify-full";
const STUFFED: &str = "the server sent bytes in plain text behind its agreement to TLS: somebody may be in \
     between";
const TALKATIVE: &str =
    "the server says more than a login has: check HOST and PORT of the connection";
const CUT: &str = "the server's connection was cut: its TLS has not ended as it should";
const SILENT_SERVER: &str = "the database server did not answer within 15 s: its load, or a firewall on the \
     way, may be the reason";
const SILENT_CLIENT: &str = "the client did not say who it is within 60 s: connect again";

#[cfg(test)]
#[path = "between_tests.rs"]
mod tests;
