//! What a database's server, or whoever uses one, may do to the others.

use std::net::SocketAddr;

use super::*;

const STARTUP: &[u8] = b"\0\0\0\x13\0\x03\0\0user\0noop\0\0";
const LET_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01abcdZ\0\0\0\x05I";
const QUERY: &[u8] = b"Q\0\0\0\x05\0";

impl World {
    fn pg_write(&mut self, id: &str, connection: &str, payload: &[u8]) {
        self.deliver_to(Kind::AgentPGConnectionWrite, id, connection, payload);
    }

    /// A connection whose login has begun, and its target.
    fn knocks(&mut self, id: &str, connection: &str) -> TargetId {
        self.pg_write(id, connection, STARTUP);
        let target = self.dialled();
        let peer: SocketAddr = "10.0.0.1:5432".parse().unwrap();
        self.report(target, Report::Started { peer: Some(peer) });
        target
    }

    fn hears(&mut self, target: TargetId, bytes: &[u8]) {
        for piece in bytes.chunks(4096) {
            let slot =
                self.sessions
                    .read_slot(target, Channel::Output, piece.len(), &mut self.outbox);
            slot.unwrap()[..piece.len()].copy_from_slice(piece);
            self.report(target, Report::Received { size: piece.len() });
        }
    }

    /// A client with a query under way vanishes.
    fn vanishes(&mut self, id: &str, connection: &str) {
        let target = self.knocks(id, connection);
        self.hears(target, LET_IN);
        self.pg_write(id, connection, QUERY);
        self.deliver_to(Kind::AgentCloseTCPConnection, id, connection, b"");
    }

    /// Errands that are dialled.
    fn errands(&mut self) -> Vec<TargetId> {
        let outputs = std::iter::from_fn(|| self.sessions.poll_output());
        let errands = outputs.filter_map(|output| match output {
            Output::Dial {
                target,
                place: Where::Peer(_),
                ..
            } => Some(target),
            _ => None,
        });
        errands.collect()
    }
}

#[test]
fn one_users_errands_leave_room_for_those_of_others() {
    let mut world = World::new();
    world.open_postgres("s", "attacker");
    world.open_postgres("v", "victim");
    let mut errands = Vec::new();
    for number in 0..limits::ERRAND_COUNT_MAX {
        world.vanishes("s", &number.to_string());
        errands.extend(world.errands());
    }
    // The attacker's other sessions have theirs, too.
    world.open_postgres("t", "attacker");
    for number in 0..limits::ERRAND_COUNT_MAX {
        world.vanishes("t", &number.to_string());
        errands.extend(world.errands());
    }
    assert_eq!(errands.len(), limits::ERRAND_COUNT_MAX * 3 / 4);
    world.vanishes("v", "1");
    assert_eq!(world.errands().len(), 1);
    // What is over counts no more.
    world.report(errands[0], STARTED);
    world.ends(errands[0], Channel::Output);
    world.errands();
    world.vanishes("s", "again");
    assert_eq!(world.errands().len(), 1);
}

#[test]
fn one_sessions_errands_leave_room_for_those_of_its_users_others() {
    let mut world = World::new();
    world.open_postgres("s", "u");
    world.open_postgres("other", "u");
    let mut errands = 0;
    for number in 0..limits::ERRAND_COUNT_MAX {
        world.vanishes("s", &number.to_string());
        errands += world.errands().len();
    }
    assert_eq!(errands, limits::ERRAND_COUNT_OF_SESSION_MAX);
    // Also when it is over before they are.
    world.deliver(Kind::AgentSessionClose, "s", b"");
    let mut of_other = 0;
    for number in 0..limits::ERRAND_COUNT_MAX {
        world.vanishes("other", &number.to_string());
        of_other += world.errands().len();
    }
    assert_eq!(errands + of_other, limits::ERRAND_COUNT_MAX * 3 / 4);
}

#[test]
fn what_a_login_holds_of_its_server_is_in_the_budget() {
    let mut world = World::new();
    world.open_postgres("s", "u");
    let target = world.knocks("s", "1");
    world.takes(target, 100);
    assert_eq!(world.sessions.buffered_bytes(), 0);
    // A request for a proof that is never whole.
    let message = [b"R\0\0\xff\xf0", &[0; 60_000][..]].concat();
    world.hears(target, &message);
    assert_eq!(world.sessions.buffered_bytes(), message.len());
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "1", b"");
    assert_eq!(world.sessions.buffered_bytes(), 0);
}
