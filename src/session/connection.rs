//! The connections of a session's client (gateway-protocol 7.4), each end told to the other side.
//!
//! A connection is not its target: where a machine stands between the two (`seam.rs`), the target comes
//! later, may be another one after a second try, and the client's bytes wait here. Where none does, they go
//! straight into the target's queue.
//!
//! The wire has no half-close: when a client leaves, its target still gets every byte that was
//! sent before and then sees the end; when a target ends, the client hears it after the last byte.

mod wishes;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::about::About;
use super::counters::Failure;
use super::error::SessionError;
use super::events;
use super::heap;
use super::means::Means;
use super::middle::{Call, Ends, Middle, NATIVE, RAW, packets};
use super::names::{ConnectionId, SessionKey, TargetId, connection_id};
use super::output::Where;
use super::protocol::Dialect;
use super::seam::{Farewell, Next, Why};
use super::shares::{Full, Shares, Table};
use super::target::Owner;
use super::targets::Targets;
use super::turn::Turn;
use crate::base::ByteBuf;
use crate::limits;
use crate::packet::{Kind, Outbox, Packet, spec};
use crate::web::View;

/// One connection of a client. What it is called stands in the table, its protocol is the session's.
struct Connection {
    target: Option<TargetId>,
    /// What stands between, and the bytes of the client that wait for it.
    between: Option<Box<Middle>>,
}

/// All of a session.
pub(super) struct Connections {
    /// The answered probe, which the first of them gets for its target.
    probe: Option<TargetId>,
    open: BTreeMap<ConnectionId, Connection>,
    /// The latest that are over.
    closed: VecDeque<ConnectionId>,
}

impl Connections {
    /// None yet.
    pub(super) fn new(probe: Option<TargetId>) -> Self {
        Self {
            probe,
            open: BTreeMap::new(),
            closed: VecDeque::new(),
        }
    }

    /// Bytes of a client; the first packet of an id makes its connection. `Some`: the payload is to be kept
    /// whole for this target.
    pub(super) fn client_sent(
        &mut self,
        key: SessionKey,
        about: &mut About,
        packet: &Packet<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<Option<TargetId>, SessionError> {
        let id = connection_id(packet).ok_or(SessionError::NoConnectionId)?;
        let is_new = !self.open.contains_key(id);
        if is_new && self.closed.iter().any(|known| &**known == id) {
            return Ok(None);
        }
        let opens_only = packet.spec(spec::TCP_SERVER_CONNECT).is_some();
        let payload = if opens_only { b"" } else { packet.payload };
        let is_web = about.protocol.dialect.is_some_and(Dialect::is_web);
        let view = match is_new && is_web {
            true => packet.spec(spec::HTTP_PROXY_BASE_URL).and_then(View::parse),
            false => None,
        };
        if is_new && is_web && view.is_none() {
            // A late byte of a connection that is over: only what says where its user is may open one.
            return Ok(None);
        }
        if is_new && !self.connect(key, about, (id, packet.kind, view), turn) {
            return Ok(None);
        }
        let call = Call::ClientSent(payload);
        match self.open.get(id) {
            Some(Connection {
                between: Some(_), ..
            }) if is_new || !payload.is_empty() => match self.call(key, about, id, call, turn) {
                Next::Pass => {}
                next => {
                    self.follow(key, about, id, next, turn);
                    return Ok(None);
                }
            },
            Some(_) => {}
            None => return Ok(None),
        }
        let Some(target) = self.open.get(id).and_then(|it| it.target) else {
            return Ok(None);
        };
        if packet.can_be_kept && !opens_only && turn.targets.budget().may_keep(payload.len()) {
            return Ok(Some(target));
        }
        turn.targets.enqueue(turn.now, target, payload);
        Ok(None)
    }

    /// A new connection; `false`: it was refused, and its client told.
    fn connect(
        &mut self,
        key: SessionKey,
        about: &mut About,
        (id, kind, view): (&[u8], Option<Kind>, Option<View>),
        turn: &mut Turn<'_>,
    ) -> bool {
        let [native, _] = about.protocol.from_client;
        let dialect = about.protocol.dialect.filter(|_| kind == Some(native));
        let made = match dialect {
            Some(dialect) => self.interpose(dialect, about, (id, view), turn),
            None => match self.reach(key, about, (id, None), turn) {
                Ok(reached) => {
                    self.relay(key, about, id, reached, turn);
                    Ok(())
                }
                Err(full) => Err(full.into()),
            },
        };
        match made {
            Ok(()) => turn.counters.relays += 1,
            Err(reason) => {
                turn.connection_failed(about, id, reason.failure(), &reason.to_string());
                tell_closed(about, id, turn);
                self.remember_closed(about, id.into(), turn);
                return false;
            }
        }
        if turn.is_stopping && dialect.is_some() {
            let next = self.call(key, about, id, Call::Refuse(Why::Stopping), turn);
            self.follow(key, about, id, next, turn);
        }
        self.open.contains_key(id)
    }

    fn insert(&mut self, id: &[u8], target: Option<TargetId>, between: Option<Box<Middle>>) {
        let connection = Connection { target, between };
        self.open.insert(id.into(), connection);
    }

    /// A target for a connection: the probe that was answered, with what it has said, or a new one; at `place`, or
    /// at the session's.
    fn reach(
        &mut self,
        key: SessionKey,
        about: &About,
        (id, place): (&[u8], Option<Where>),
        turn: &mut Turn<'_>,
    ) -> Result<(TargetId, Option<ByteBuf>), Full> {
        let owner = || Owner::Connection(key, id.into());
        let own = &about.place;
        let place = place.or_else(|| own.clone());
        if place == *own
            && let Some(probe) = self.probe.take()
            && let Some(said) = turn.targets.claim(turn.now, probe, owner())
        {
            return Ok((probe, Some(said)));
        }
        let timeout = Some(limits::TARGET_CONNECT_TIMEOUT);
        let target = turn.new_target(about.user, owner(), 0, timeout)?;
        if let Some(place) = place {
            turn.dial(target, place);
        }
        Ok((target, None))
    }

    /// Bytes go as they are, between the client and `target`, which may have `said` something.
    fn relay(
        &mut self,
        key: SessionKey,
        about: &mut About,
        id: &[u8],
        (target, said): (TargetId, Option<ByteBuf>),
        turn: &mut Turn<'_>,
    ) {
        self.insert(id, Some(target), None);
        if let Some(said) = said {
            let peer = turn.targets.get(target).and_then(|target| target.peer());
            self.hear(key, about, id, Call::Started(peer), turn);
            if !said.is_empty() {
                turn.counters.bytes_to_gateway += said.len() as u64;
                let (kind, spec) = packets(about, id, RAW);
                turn.outbox.push(kind, &spec, said.filled());
            }
        }
    }

    /// `AgentCloseTCPConnection`: the client of one connection left.
    pub(super) fn client_left(
        &mut self,
        key: SessionKey,
        about: &mut About,
        packet: &Packet<'_>,
        turn: &mut Turn<'_>,
    ) {
        if let Some(id) = connection_id(packet)
            && let Some(connection) = self.open.remove(id)
        {
            connection.leave(key, about, id, turn);
            self.remember_closed(about, id.into(), turn);
        }
    }

    /// The session is over.
    pub(super) fn end(self, key: SessionKey, about: &About, turn: &mut Turn<'_>) {
        if let Some(probe) = self.probe {
            turn.close_target(probe, false);
        }
        for (id, connection) in self.open {
            connection.leave(key, about, &id, turn);
        }
    }

    /// Everything is over at once: targets are the caller's.
    pub(super) fn forget(self, about: &About, targets: &mut Targets, shares: &mut Shares) {
        for connection in self.open.into_values() {
            if let Some(middle) = connection.between {
                middle.forget(about, targets, shares);
            }
        }
    }

    // -- what its target does --------------------------------------------------------------------

    /// What happened to the target of a connection, or is to happen to that.
    pub(super) fn hear(
        &mut self,
        key: SessionKey,
        about: &mut About,
        id: &[u8],
        call: Call<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(connection) = self.open.get_mut(id) else {
            return;
        };
        match (call, &mut connection.between) {
            (Call::Started(Some(peer)), _) => {
                events::connection_opened(about, id, peer);
            }
            (Call::Failed(why), _) => {
                events::target_failed(about, why.reason);
                turn.counters.dial_failures += 1;
                turn.counters.note_failure(Failure::Unreachable);
                connection.target = None;
            }
            (Call::TargetSent(size), Some(middle)) if !middle.reads_to_machine() => {
                return middle.fill_packet(about, id, size, turn);
            }
            (Call::TargetSent(size), None) => {
                turn.outbox.fill(size);
                turn.counters.bytes_to_gateway += size as u64;
                return;
            }
            (Call::Overdue, Some(middle)) => middle.note_overdue(),
            _ => {}
        }
        let next = match self.call(key, about, id, call, turn) {
            Next::Go if call.ends_target() => Next::Close(Farewell::Ended),
            next => next,
        };
        self.follow(key, about, id, next, turn);
    }

    /// Where its bytes are to be read to.
    pub(super) fn slot<'a>(
        &'a mut self,
        about: &About,
        id: &[u8],
        means: &'a mut Means,
        size_max: usize,
        outbox: &'a mut Outbox,
    ) -> Option<&'a mut [u8]> {
        let (kind, spec) = match &mut self.open.get_mut(id)?.between {
            None => packets(about, id, RAW),
            Some(middle) => match middle.slot(means, size_max) {
                Some(slot) => return Some(slot),
                None => packets(about, id, NATIVE),
            },
        };
        Some(outbox.slot(kind, &spec, size_max))
    }

    /// What its target says waits until the link has room.
    pub(super) fn needs_room(&self, id: &[u8]) -> bool {
        let middle = self.open.get(id).and_then(|it| it.between.as_ref());
        middle.is_none_or(|middle| middle.needs_room())
    }

    // -- ends ------------------------------------------------------------------------------------

    fn middle(&mut self, id: &[u8]) -> Option<&mut Middle> {
        self.open.get_mut(id)?.between.as_deref_mut()
    }

    /// A connection is over; a target gets the rest of its own.
    fn close(&mut self, about: &mut About, id: &[u8], farewell: Farewell, turn: &mut Turn<'_>) {
        if let Some(connection) = self.open.remove(id) {
            if let Farewell::Because(reason) = &farewell {
                turn.connection_failed(about, id, Failure::Login, reason);
            }
            let is_told = match farewell {
                Farewell::Because(_) | Farewell::Ended => true,
                Farewell::Goodbye => !is_channel(id),
                Farewell::Silent | Farewell::Answered => false,
            };
            if is_told {
                tell_closed(about, id, turn);
            }
            if !matches!(farewell, Farewell::Answered) {
                self.remember_closed(about, id.into(), turn);
            }
            connection.forget(about, id, turn);
        }
    }

    /// Connections that hold more than `held_max` in front of their targets, with how much.
    pub(super) fn holding(&self, held_max: usize) -> impl Iterator<Item = (usize, &ConnectionId)> {
        let held = move |(id, connection): (_, &Connection)| {
            let held = connection.between.as_ref()?.held();
            (held > held_max).then_some((held, id))
        };
        self.open.iter().filter_map(held)
    }

    /// A look at whether what a connection holds moves; since when it has not.
    pub(super) fn note_look(&mut self, now: Instant, id: &[u8]) -> Option<Instant> {
        Some(self.middle(id)?.note_look(now))
    }

    fn remember_closed(&mut self, about: &mut About, id: ConnectionId, turn: &mut Turn<'_>) {
        let heap_bytes = |id: &ConnectionId| heap::block(id.len()) + 2 * size_of::<ConnectionId>();
        if self.closed.len() >= limits::CLOSED_CONNECTIONS_KEPT
            && let Some(oldest) = self.closed.pop_front()
        {
            about.held -= heap_bytes(&oldest);
            turn.shares
                .give(about.user, Table::Bytes, heap_bytes(&oldest));
        }
        let size = heap_bytes(&id);
        if turn.shares.take(about.user, Table::Bytes, size).is_ok() {
            about.held += size;
            self.closed.push_back(id);
        }
    }
}

impl Connection {
    /// Its client has left, or the session is over.
    fn leave(mut self, key: SessionKey, about: &About, id: &[u8], turn: &mut Turn<'_>) {
        if let Some(middle) = &mut self.between {
            let ends = Ends {
                key,
                about,
                id,
                target: self.target,
            };
            if let Next::Errand(place, machine) = middle.call(Call::ClientLeft, &ends, turn) {
                turn.start_errand(key, about, place, machine);
            }
        }
        self.forget(about, id, turn);
    }

    fn forget(self, about: &About, id: &[u8], turn: &mut Turn<'_>) {
        let target = self.target.and_then(|target| turn.targets.get(target));
        events::connection_closed(about, id, target, turn.now);
        if let Some(middle) = self.between {
            middle.forget(about, turn.targets, turn.shares);
        }
        if let Some(target) = self.target {
            turn.linger(target);
        }
    }
}

/// One of several connections that the gateway's SSH listener carries for a client (`7-ch3`): at a word about the end of
/// one it ends them all. All others are numbers.
fn is_channel(id: &[u8]) -> bool {
    !id.iter().all(u8::is_ascii_digit)
}

fn tell_closed(about: &About, id: &[u8], turn: &mut Turn<'_>) {
    let (_, spec) = packets(about, id, RAW);
    let kind = Kind::ClientTCPConnectionClose;
    turn.outbox.push(kind, &spec, b"");
}
