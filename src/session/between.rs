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

mod entering;
mod stage;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use self::entering::explain;
pub use self::stage::Between;
use self::stage::Stage;
use super::errand::Errand;
use super::means::Means;
use super::output::Where;
use super::report::Unreached;
use super::seam::{Farewell, Machine, Next, Sides, Why};
use super::wire::SEAL_BYTES;
use crate::base::Service;
use crate::limits;
use crate::login::{CancelKey, Cause, Login, Refusal, Waits};
use crate::tls::{Progress, StreamError};

impl Between {
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
        self.note_target(true);
        self.drive(sides, &Login::step)
    }

    fn started(&mut self, _: &mut Sides<'_>, peer: Option<SocketAddr>) -> Next {
        self.peer = peer;
        Next::Go
    }

    fn failed(&mut self, sides: &mut Sides<'_>, why: Unreached<'_>) -> Next {
        self.note_target(false);
        let (host, port) = match &self.stage {
            Stage::Entering(_, entering) => (&entering.way.host[..], entering.way.port),
            _ => ("", 0),
        };
        let text = format!(
            "the database server at {host}:{port} can't be reached, {}: check HOST and PORT of the connection, \
             and that the agent's host gets there",
            why.reason
        );
        let next = self.lose(sides, Refusal::new(Cause::Unreachable, text));
        self.without_target(next)
    }

    fn told(&mut self, sides: &mut Sides<'_>, service: &Service) -> Next {
        self.drive(sides, &|login, exchange| login.told(service, exchange))
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
            (Stage::Entering(_, entering), Next::Go)
                if entering.sent > limits::LOGIN_SENT_BYTES_MAX =>
            {
                self.end(sides, Refusal::new(Cause::Protocol, DEMANDING))
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
            Stage::Entering(..) => {
                let next = self.drive(sides, &Login::server_ended);
                self.without_target(next)
            }
            Stage::Relaying(relay) => {
                let farewell = match (relay.said_goodbye(), self.wire.is_end_meant()) {
                    (true, _) => Farewell::Goodbye,
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
        // Data that ends like a goodbye has a server that reads, which sees the end by itself: there is nothing to cancel.
        let next = match (&self.stage, self.peer) {
            (Stage::Relaying(relay), Some(peer)) if relay.is_busy() && !relay.said_goodbye() => {
                match relay.cancel_key().cloned() {
                    Some(key) => Next::Errand(Where::Peer(peer), self.errand_of(key)),
                    None => Next::Go,
                }
            }
            _ => Next::Go,
        };
        self.over(next)
    }

    fn refuse(&mut self, sides: &mut Sides<'_>, why: Why) -> Next {
        let (cause, text) = match why {
            Why::Stopping => (Cause::Stopping, "the agent is shutting down: connect again"),
            Why::Stalled => (Cause::Unreachable, super::STALLED),
            Why::NoRoom => (
                Cause::Full,
                "the agent has no room for another connection: close some, or try again later",
            ),
        };
        let refusal = Refusal::new(cause, text);
        // What a stalled one holds is needed at once by others.
        if why != Why::Stalled
            && let Some(next) = self.end_later(sides, &refusal)
        {
            return next;
        }
        self.end_now(sides, refusal);
        Next::Close(Farewell::Ended)
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
                entering.waiting = None;
                self.due = Some(sides.now + limits::LOGIN_SERVER_TIMEOUT);
                Next::Go
            }
            waits @ Waits::Server => {
                let text = match entering.time_left(sides.now, waits).is_zero() {
                    true => SLOW_SERVER,
                    false => SILENT_SERVER,
                };
                self.lose(sides, Refusal::new(Cause::Unreachable, text))
            }
            Waits::Idle => Next::Go,
            Waits::Client => self.end_now(sides, Refusal::new(Cause::Protocol, SILENT_CLIENT)),
        }
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn held(&self) -> usize {
        match &self.stage {
            Stage::Entering(_, entering) => entering.from_server.len() + self.wire.undecoded(),
            Stage::Relaying(_) | Stage::Over => 0,
        }
    }

    fn needs_room(&self) -> bool {
        match &self.stage {
            Stage::Entering(_, entering) => entering.needs_room(),
            Stage::Relaying(_) => true,
            Stage::Over => false,
        }
    }

    fn runs(&self, number: u32) -> bool {
        self.cancel_key().is_some_and(|own| own.pid == number)
    }

    fn errand(&mut self, key: &CancelKey) -> Option<(SocketAddr, Box<dyn Machine>)> {
        let is_under_way = self.under_way.strong_count() > 0;
        if is_under_way || self.cancel_key() != Some(key) {
            return None;
        }
        Some((self.peer?, self.errand_of(key.clone())))
    }
}

impl Between {
    /// A login that goes on after the end of its target needs none at the moment.
    fn without_target(&mut self, next: Next) -> Next {
        match next {
            Next::Go => {
                self.note_target(false);
                Next::HangUp
            }
            next => next,
        }
    }

    fn cancel_key(&self) -> Option<&CancelKey> {
        match &self.stage {
            Stage::Relaying(relay) => relay.cancel_key(),
            _ => None,
        }
    }

    /// The errand that cancels what `key` stands for, as this connection would do it.
    fn errand_of(&mut self, key: CancelKey) -> Box<dyn Machine> {
        let mark = Rc::new(());
        self.under_way = Rc::downgrade(&mark);
        Box::new(Errand::new(key, self.secured.clone(), mark))
    }
}

const TALKATIVE: &str =
    "the server says more than a login has: check HOST and PORT of the connection";
const DEMANDING: &str =
    "the server has us send more than a login has: check HOST and PORT of the connection";
const CUT: &str = "the server's connection was cut: its TLS has not ended as it should";
const SILENT_SERVER: &str = "the database server did not answer within 15 s: its load, or a firewall on the \
     way, may be the reason, or it is no server of this kind: check PORT";
const SLOW_SERVER: &str =
    "the database server did not let the client in within 60 s: its load may be the reason";
const SILENT_CLIENT: &str = "the client did not say who it is within 60 s: connect again";

#[cfg(test)]
#[path = "between_tests.rs"]
mod tests;
