//! The connections of a TCP session (gateway-protocol 7.4), each end told to the other side.
//!
//! The wire has no half-close: when a client leaves, its target still gets every byte that was
//! sent before and then sees the end; when a target ends, the client hears it after the last byte.

use std::time::{Duration, Instant};

use super::heap;
use super::opening::address;
use super::output::Output;
use super::sessions::{EXIT_INTERNAL, Session, Sessions, State};
use super::shares::Table;
use super::target::{ConnectionId, Kind as TargetKind, Phase, SessionKey, TargetId};
use crate::base::plain::Word;
use crate::limits;
use crate::packet::{Kind, Outbox, Packet, spec};

impl Sessions {
    /// `AgentTCPConnectionWrite`: the first one of an id connects.
    pub(super) fn tcp_write(
        &mut self,
        now: Instant,
        key: SessionKey,
        packet: &Packet<'_>,
        outbox: &mut Outbox,
    ) {
        let Some(Session {
            state: State::Tcp { open, closed },
            ..
        }) = self.session(key)
        else {
            return self.refuse_kind(now, key, Kind::AgentTCPConnectionWrite, outbox);
        };
        let Some(connection) = connection_id(packet) else {
            return self.close(
                now,
                key,
                EXIT_INTERNAL,
                "tcp connection id not found",
                outbox,
            );
        };
        if closed.iter().any(|known| &**known == connection) {
            return;
        }
        let target = match open.get(connection) {
            Some(target) => *target,
            None => match self.tcp_connect(now, key, connection, outbox) {
                Some(target) => target,
                None => return,
            },
        };
        let opens_only = packet.spec(spec::TCP_SERVER_CONNECT).is_some();
        if !opens_only {
            match packet.can_be_kept && self.may_keep(packet.payload.len()) {
                true => self.keeping = Some(target),
                false => self.enqueue(now, target, packet.payload, outbox),
            }
        }
    }

    fn tcp_connect(
        &mut self,
        now: Instant,
        key: SessionKey,
        connection: &[u8],
        outbox: &mut Outbox,
    ) -> Option<TargetId> {
        let address = address(self.session(key)?).ok()??;
        let connection = ConnectionId::from(connection);
        let kind = TargetKind::Tcp(connection.clone());
        let timeout = Some(limits::TARGET_CONNECT_TIMEOUT);
        let target = match self.new_target(now, key, kind, timeout) {
            Ok(target) => target,
            Err(full) => {
                let sid = Word(self.session(key).map_or("", |session| &session.id));
                log::warn!("sid={sid} connection refused: {full}");
                self.counters.refused += 1;
                self.tell_closed(key, &connection, outbox);
                self.remember_closed(key, connection);
                return None;
            }
        };
        if let Some(Session {
            state: State::Tcp { open, .. },
            ..
        }) = self.session_mut(key)
        {
            open.insert(connection, target);
        }
        self.counters.relays += 1;
        self.dial(target, address);
        Some(target)
    }

    /// `AgentCloseTCPConnection`: the client of one connection left.
    pub(super) fn tcp_close(&mut self, now: Instant, key: SessionKey, packet: &Packet<'_>) {
        let Some(connection) = connection_id(packet) else {
            return;
        };
        let Some(Session {
            state: State::Tcp { open, .. },
            ..
        }) = self.session_mut(key)
        else {
            return;
        };
        if let Some(target) = open.remove(connection) {
            self.remember_closed(key, connection.into());
            self.linger(now, target);
        }
    }

    /// Delivers what is queued, says goodbye, and relays nothing of the target any more.
    pub(super) fn linger(&mut self, now: Instant, id: TargetId) {
        let Some(target) = self.target_mut(id) else {
            return;
        };
        if target.phase == Phase::Starting && target.queue.is_empty() {
            return self.drop_target(id, false);
        }
        target.session = None;
        target.input_ended = true;
        if target.phase == Phase::Streaming {
            target.phase = Phase::Lingering;
            target.moved(now);
            target.look(now, Duration::ZERO);
            if !target.queue.is_empty() {
                self.outputs.push_back(Output::Examine { target: id });
            }
            self.arm(id, now + limits::LINGER_LOOK);
        }
        self.mark_dirty(id);
    }

    /// A lingering target that still takes bytes may go on, also where only the kernel sees it. The
    /// others are closed: with a reset if they lack something, else in good order, since a reset
    /// would take back what the kernel is still to deliver.
    pub(super) fn linger_overdue(&mut self, now: Instant, id: TargetId) {
        let Some(target) = self.target_mut(id) else {
            return;
        };
        let is_cut_off = !target.queue.is_empty();
        let since = match is_cut_off {
            true => target.look(now, limits::LINGER_LOOK * 2),
            false => target.progress,
        };
        // The verdict follows one more look, not one that is old already.
        let last_look = since + limits::LINGER_MAX;
        let until = last_look + limits::PRESSURE_TICK;
        if now >= until {
            return self.drop_target(id, is_cut_off);
        }
        if is_cut_off {
            self.outputs.push_back(Output::Examine { target: id });
        }
        let next = match now >= last_look {
            true => until,
            false => last_look.min(now + limits::LINGER_LOOK),
        };
        self.arm(id, next);
    }

    /// The target ended or failed while its client was there: the client hears it, once.
    pub(super) fn tcp_ended(&mut self, now: Instant, id: TargetId, outbox: &mut Outbox) {
        let Some(target) = self.target(id) else {
            return;
        };
        let (Some(key), TargetKind::Tcp(connection)) = (target.session, &target.kind) else {
            return;
        };
        let connection = connection.clone();
        if let Some(Session {
            state: State::Tcp { open, .. },
            ..
        }) = self.session_mut(key)
        {
            open.remove(&connection);
        }
        self.tell_closed(key, &connection, outbox);
        self.remember_closed(key, connection);
        self.linger(now, id);
    }

    fn tell_closed(&self, key: SessionKey, connection: &ConnectionId, outbox: &mut Outbox) {
        if let Some(session) = self.session(key) {
            let entries = [
                (spec::SESSION_ID, session.id.as_bytes()),
                (spec::CONNECTION_ID, connection),
            ];
            outbox.push(Kind::ClientTCPConnectionClose, &entries, b"");
        }
    }

    fn remember_closed(&mut self, key: SessionKey, connection: ConnectionId) {
        let Some(Session {
            state: State::Tcp { closed, .. },
            user,
            held,
            ..
        }) = self.sessions.get_mut(key.0).map(Box::as_mut)
        else {
            return;
        };
        let heap_bytes = |id: &ConnectionId| heap::block(id.len()) + 2 * size_of::<ConnectionId>();
        if closed.len() >= limits::CLOSED_CONNECTIONS_KEPT
            && let Some(oldest) = closed.pop_front()
        {
            *held -= heap_bytes(&oldest);
            self.shares.give(*user, Table::Bytes, heap_bytes(&oldest));
        }
        let size = heap_bytes(&connection);
        if self.shares.take(*user, Table::Bytes, size).is_ok() {
            *held += size;
            closed.push_back(connection);
        }
    }
}

fn connection_id<'a>(packet: &Packet<'a>) -> Option<&'a [u8]> {
    packet
        .spec(spec::CONNECTION_ID)
        .filter(|id| !id.is_empty() && id.len() <= limits::ID_BYTES_MAX)
}
