//! The reactor's side of every target: what connected, what was read, what was written.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::report::Report;
use super::sessions::Sessions;
use super::target::{Channel, Kind as TargetKind, Phase, Target, TargetId};
use crate::base::plain::Word;
use crate::base::{Chunks, Pieces};
use crate::limits;
use crate::packet::{Kind, Outbox, SpecEntry, spec};

impl Sessions {
    /// The shell has seen this of a target.
    pub fn handle_report(
        &mut self,
        now: Instant,
        id: TargetId,
        report: Report<'_>,
        outbox: &mut Outbox,
    ) {
        match report {
            Report::Started { peer } => self.target_started(now, id, peer, outbox),
            Report::Failed { reason } => self.target_failed(now, id, reason, outbox),
            Report::NotSpawned { code, text } => self.spawn_failed(now, id, code, text, outbox),
            Report::Received { size } => self.received(now, id, size, outbox),
            Report::Wrote { size } => self.wrote(now, id, size),
            Report::Ended { channel } => self.read_ended(now, id, channel, outbox),
            Report::Broke => self.target_broke(now, id, outbox),
            Report::Exited(exit) => self.target_exited(now, id, exit, outbox),
            Report::InKernel { size } => self.examined(now, id, size),
            Report::Peer(peer) => self.peer_seen(now, id, peer, outbox),
        }
    }

    fn target_started(
        &mut self,
        now: Instant,
        id: TargetId,
        peer: Option<SocketAddr>,
        outbox: &mut Outbox,
    ) {
        self.disarm(id);
        let Some(target) = self.target_mut(id) else {
            return;
        };
        let is_abandoned = target.session.is_none();
        target.phase = Phase::Streaming;
        target.progress = now;
        match (&target.kind, target.session) {
            (TargetKind::Probe, Some(key)) => {
                self.drop_target(id, false);
                return self.opened(key, outbox);
            }
            (TargetKind::Tcp(_), Some(key)) => {
                let sid = Word(self.session(key).map_or("", |session| &session.id));
                if let Some(peer) = peer {
                    log::debug!("sid={sid} connected to target {peer}");
                }
            }
            _ => {}
        }
        if is_abandoned {
            self.linger(now, id);
        }
        self.mark_dirty(id);
    }

    /// The address did not answer.
    pub(super) fn target_failed(
        &mut self,
        now: Instant,
        id: TargetId,
        reason: &str,
        outbox: &mut Outbox,
    ) {
        let Some(target) = self.target(id) else {
            return;
        };
        match (&target.kind, target.session) {
            (TargetKind::Probe, Some(key)) => self.probe_failed(now, id, key, reason, outbox),
            (TargetKind::Tcp(_), Some(key)) => {
                let sid = Word(self.session(key).map_or("", |session| &session.id));
                log::warn!("sid={sid} failed connecting to internal service, reason={reason}");
                self.counters.dial_failures += 1;
                self.tcp_ended(now, id, outbox);
                self.drop_target(id, false);
            }
            _ => self.drop_target(id, false),
        }
    }

    /// Whether the reactor should read this channel at all.
    pub fn wants_read(&self, id: TargetId, channel: Channel) -> bool {
        self.target(id)
            .is_some_and(|target| target.phase != Phase::Starting && target.open[channel.index()])
    }

    /// Somebody listens to this target, or may yet.
    pub fn is_heard(&self, id: TargetId) -> bool {
        self.target(id)
            .is_some_and(|target| target.phase != Phase::Lingering)
    }

    /// Room for up to `size_max` bytes of a target, in the packet that will carry them. `None`:
    /// nobody listens; read and forget.
    pub fn read_slot<'a>(
        &self,
        id: TargetId,
        channel: Channel,
        size_max: usize,
        outbox: &'a mut Outbox,
    ) -> Option<&'a mut [u8]> {
        let (kind, entries, used) = self.header(id, channel)?;
        Some(outbox.slot(kind, &entries[..used], size_max))
    }

    fn received(&mut self, now: Instant, id: TargetId, size: usize, outbox: &mut Outbox) {
        self.note_output(now, id, size);
        if self.relaying(id).is_some() {
            outbox.fill(size);
            self.counters.bytes_to_gateway += size as u64;
            let said = self.target_mut(id).map(Target::said);
            self.said = self.said.max(said.unwrap_or_default());
        }
    }

    fn read_ended(&mut self, now: Instant, id: TargetId, channel: Channel, outbox: &mut Outbox) {
        let Some(target) = self.target_mut(id) else {
            return;
        };
        target.open[channel.index()] = false;
        if target.kind.is_process() {
            return self.process_silent(now, id, outbox);
        }
        match target.phase {
            Phase::Lingering if target.queue.is_empty() => self.drop_target(id, false),
            Phase::Lingering => {}
            _ => {
                self.tcp_ended(now, id, outbox);
                self.drop_when_done(id);
            }
        }
    }

    /// The connection broke: nothing more goes either way.
    pub(super) fn target_broke(&mut self, now: Instant, id: TargetId, outbox: &mut Outbox) {
        let Some(target) = self.target_mut(id) else {
            return;
        };
        if target.kind.is_process() {
            return self.input_refused(id);
        }
        self.tcp_ended(now, id, outbox);
        self.drop_target(id, true);
    }

    /// A process closed its input: what waits for it is of no use any more.
    fn input_refused(&mut self, id: TargetId) {
        let Some(target) = self.target_mut(id) else {
            return;
        };
        let dropped = target.queue.len();
        target.queue.clear();
        target.input_ended = true;
        self.buffered -= dropped;
        self.mark_dirty(id);
    }

    /// The bytes that wait for a target that can take them, as they lie, for one write of all.
    pub fn pending_parts(&self, id: TargetId) -> impl Iterator<Item = &[u8]> {
        let target = self.target(id);
        let target = target.filter(|target| target.phase != Phase::Starting);
        target.into_iter().flat_map(|target| target.queue.parts())
    }

    fn wrote(&mut self, now: Instant, id: TargetId, size: usize) {
        let Some(target) = self.targets.get_mut(id.0) else {
            return;
        };
        target.wrote(now, size, &mut self.pieces);
        self.buffered -= size;
        self.drained += size;
        self.counters.bytes_to_target += size as u64;
        self.watch_peer(now, id);
    }

    /// Fewer bytes with the kernel than the last time is progress, even where a write has nothing to
    /// show for it.
    fn examined(&mut self, now: Instant, id: TargetId, size: usize) {
        let Some(target) = self.target_mut(id) else {
            return;
        };
        if size < target.in_kernel {
            target.moved(now);
        }
        target.in_kernel = size;
    }

    /// The write side is to be closed now; asked once.
    pub fn take_shutdown(&mut self, id: TargetId) -> bool {
        let Some(target) = self.target_mut(id) else {
            return false;
        };
        if !target.wants_shutdown() {
            return false;
        }
        target.write_closed = true;
        self.drop_when_done(id);
        true
    }

    /// After everything was written and said: a target whose peer has ended too is done.
    fn drop_when_done(&mut self, id: TargetId) {
        let is_done = self.target(id).is_some_and(|target| {
            target.phase == Phase::Lingering && target.queue.is_empty() && !target.open[0]
        });
        if is_done {
            self.drop_target(id, false);
        }
    }

    /// A payload of this size is worth a buffer of its own, and there is memory to spare: a buffer may
    /// be twice as large as what it holds.
    pub(super) fn may_keep(&self, size: usize) -> bool {
        size >= limits::KEPT_PAYLOAD_BYTES_MIN
            && self.buffered + size <= self.settings.queue_bytes_max / 8
    }

    /// The buffer of the packet that was just handled, with its payload at `range`: it becomes part of
    /// its target's queue where that spares a copy.
    pub fn keep_payload(
        &mut self,
        now: Instant,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
        outbox: &mut Outbox,
    ) {
        let Some(id) = self.keeping.take() else {
            return;
        };
        if !Chunks::suits(buffer, range.len()) {
            return self.enqueue(now, id, &buffer[range], outbox);
        }
        let size = range.len();
        self.queue(now, id, size, outbox, |target, pieces| {
            target.keep(now, buffer, range, pieces);
        });
    }

    /// Bytes from the gateway for a target.
    pub(super) fn enqueue(
        &mut self,
        now: Instant,
        id: TargetId,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) {
        self.queue(now, id, bytes.len(), outbox, |target, pieces| {
            target.enqueue(now, bytes, pieces);
        });
    }

    /// Has `put` add `size` bytes to a target's queue, unless that takes no more.
    fn queue(
        &mut self,
        now: Instant,
        id: TargetId,
        size: usize,
        outbox: &mut Outbox,
        put: impl FnOnce(&mut Target, &mut Pieces),
    ) {
        let Some(target) = self.targets.get_mut(id.0) else {
            return;
        };
        if target.input_ended || size == 0 {
            return;
        }
        let was_cold = !target.queue.holds_memory();
        put(target, &mut self.pieces);
        if was_cold {
            self.note_warm(now, id);
        }
        self.buffered += size;
        self.mark_dirty(id);
        self.watch_pressure(now, outbox);
    }

    /// Kind and spec of the packets that carry a channel.
    fn header(&self, id: TargetId, channel: Channel) -> Option<(Kind, [SpecEntry<'_>; 2], usize)> {
        let (session, target) = self.relaying(id)?;
        let session_id = (spec::SESSION_ID, session.id.as_bytes());
        let kind = session.protocol.to_client[channel.index()];
        Some(match &target.kind {
            TargetKind::Probe => return None,
            TargetKind::Tcp(connection) => {
                (kind, [session_id, (spec::CONNECTION_ID, connection)], 2)
            }
            _ => (kind, [session_id, session_id], 1),
        })
    }
}
