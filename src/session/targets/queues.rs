//! The bytes of all targets: what waits for them, what comes of them, and the budget that knows it all.

use std::ops::Range;
use std::time::Instant;

use super::{Due, Targets};
use crate::base::{Chunks, Pieces};
use crate::limits;
use crate::session::budget::Budget;
use crate::session::means::Means;
use crate::session::names::{SessionKey, TargetId};
use crate::session::said::Said;
use crate::session::seam::Machine;
use crate::session::target::{Owner, Target};

impl Targets {
    /// Queues bytes for a target, unless it takes nothing more.
    pub(in crate::session) fn enqueue(&mut self, now: Instant, id: TargetId, bytes: &[u8]) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            let was_cold = !entry.target.input().holds_memory();
            if entry
                .target
                .input_mut()
                .extend(now, bytes, &mut self.pieces)
            {
                self.note_queued(now, id, bytes.len(), was_cold);
            }
        }
    }

    /// Queues what lies at `range` of `buffer`, which becomes part of the queue where that spares a copy.
    pub(in crate::session) fn keep(
        &mut self,
        now: Instant,
        id: TargetId,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) {
        let size = range.len();
        if !Chunks::suits(buffer, size) {
            return self.enqueue(now, id, &buffer[range]);
        }
        if let Some(entry) = self.entries.get_mut(id.0) {
            let was_cold = !entry.target.input().holds_memory();
            if entry
                .target
                .input_mut()
                .keep(now, buffer, range, &mut self.pieces)
            {
                self.note_queued(now, id, size, was_cold);
            }
        }
    }

    fn note_queued(&mut self, now: Instant, id: TargetId, size: usize, was_cold: bool) {
        if was_cold {
            if self.warm.is_empty() {
                let at = now + limits::QUEUE_IDLE_AFTER;
                self.timers.arm(at, Due::Memory);
            }
            self.warm.push(id);
        }
        self.budget.take(size);
        self.mark_dirty(id);
    }

    /// Nothing more will be queued for it.
    pub(in crate::session) fn end_input(&mut self, id: TargetId) {
        if let Some(target) = self.get_mut(id) {
            target.input_mut().end();
        }
    }

    /// `size` bytes left for it.
    pub(in crate::session) fn note_written(&mut self, now: Instant, id: TargetId, size: usize) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry
                .target
                .input_mut()
                .consume(now, size, &mut self.pieces);
            entry.target.note_taken(size);
            self.budget.deliver(size);
            self.watch_peer(now, id);
        }
    }

    /// So many bytes of it are with the kernel.
    pub(in crate::session) fn note_in_kernel(&mut self, now: Instant, id: TargetId, size: usize) {
        if let Some(target) = self.get_mut(id) {
            target.input_mut().note_in_kernel(now, size);
        }
    }

    /// `size` bytes of it were read; what that tells.
    pub(in crate::session) fn note_output(
        &mut self,
        now: Instant,
        id: TargetId,
        size: usize,
    ) -> Said {
        let room = self.room.at(now);
        let Some(target) = self.get_mut(id) else {
            return Said::Nothing;
        };
        target.note_output(size, room);
        match target.is_heard() {
            true => target.input_mut().answer(),
            false => Said::Nothing,
        }
    }

    /// The write side is to be closed now; true once.
    pub(in crate::session) fn take_shutdown(&mut self, id: TargetId) -> bool {
        self.get_mut(id).is_some_and(Target::take_shutdown)
    }

    /// Room for what a waiting probe says; `None` for all others, and when it has said enough.
    pub(in crate::session) fn probe_slot(
        &mut self,
        id: TargetId,
        size_max: usize,
    ) -> Option<&mut [u8]> {
        self.get_mut(id)?.probe_slot(size_max)
    }

    /// `size` bytes were read into [`Targets::probe_slot`].
    pub(in crate::session) fn probe_said(&mut self, id: TargetId, size: usize) {
        if let Some(target) = self.get_mut(id) {
            target.probe_said(size);
        }
    }

    /// Room for what the target of an errand says.
    pub(in crate::session) fn errand_slot<'a>(
        &'a mut self,
        means: &'a mut Means,
        id: TargetId,
        size_max: usize,
    ) -> Option<&'a mut [u8]> {
        match self.get_mut(id)?.owner_mut() {
            Owner::Errand(machine) => Some(machine.slot(means, size_max)),
            _ => None,
        }
    }

    /// The machine of an errand, for one call of it; nobody's until it is put back.
    pub(in crate::session) fn take_errand(&mut self, id: TargetId) -> Option<Box<dyn Machine>> {
        let owner = self.get_mut(id)?.owner_mut();
        match std::mem::replace(owner, Owner::Nobody) {
            Owner::Errand(machine) => Some(machine),
            other => {
                *owner = other;
                None
            }
        }
    }

    /// This one is on an errand of a session.
    pub(in crate::session) fn note_errand(&mut self, id: TargetId, session: SessionKey) {
        self.errands.push((id, session));
    }

    /// Errands of a session that are under way.
    pub(in crate::session) fn errands_of(&self, session: SessionKey) -> usize {
        let of = self.errands.iter().filter(|(_, of)| *of == session);
        of.count()
    }

    /// The errand goes on.
    pub(in crate::session) fn put_errand(&mut self, id: TargetId, machine: Box<dyn Machine>) {
        if let Some(target) = self.get_mut(id) {
            *target.owner_mut() = Owner::Errand(machine);
        }
    }

    // -- the budget ------------------------------------------------------------------------------

    /// Whether the link has room from now on; told whenever it may have changed.
    pub(in crate::session) fn note_room(&mut self, now: Instant, has_room: bool) {
        self.room.set(now, has_room);
    }

    /// The link has room.
    pub(in crate::session) fn has_room(&self) -> bool {
        self.room.is_running()
    }

    /// All arithmetic of what waits.
    pub(in crate::session) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What a connection holds in front of its target has grown or shrunk.
    pub(in crate::session) fn note_in_front(&mut self, before: usize, after: usize) {
        self.in_front = self.in_front + after - before;
        match after >= before {
            true => self.budget.take(after - before),
            // What moved on to a queue was taken there.
            false => self.budget.discard(before - after),
        }
    }

    /// Bytes that wait in front of targets, with their connections.
    pub(in crate::session) fn in_front(&self) -> usize {
        self.in_front
    }

    /// `size` bytes came and left nothing behind.
    pub(in crate::session) fn pass_over(&mut self, size: usize) {
        self.budget.pass_over(size);
    }

    /// How much of `missing` credit may be given now. The rest is due soon, also when nothing else
    /// happens.
    pub(in crate::session) fn take_credit(&mut self, now: Instant, missing: u32) -> u32 {
        let credit = self.budget.take_credit(now, missing);
        if credit.is_more_due && !self.is_credit_due {
            self.is_credit_due = true;
            self.timers.arm(now + limits::CREDIT_TICK, Due::Credit);
        }
        credit.given
    }

    /// There is pressure, and nobody is going to look at it.
    pub(in crate::session) fn has_new_pressure(&self) -> bool {
        !self.is_pressure_watched && self.budget.is_under_pressure()
    }

    /// Somebody looks again in a moment.
    pub(in crate::session) fn watch_pressure(&mut self, now: Instant) {
        self.is_pressure_watched = true;
        self.timers.arm(now + limits::PRESSURE_TICK, Due::Pressure);
    }

    /// Targets for which more than `held_max` waits, with how much.
    pub(in crate::session) fn holding(
        &self,
        held_max: usize,
    ) -> impl Iterator<Item = (usize, TargetId)> {
        let all = self.entries.iter();
        let all = all.map(|(key, entry)| (entry.target.input().len(), TargetId(key)));
        all.filter(move |(held, _)| *held > held_max)
    }

    /// A look at whether it moves under pressure, the kernel's part as well; since when it has not.
    pub(in crate::session) fn note_look(&mut self, now: Instant, id: TargetId) -> Option<Instant> {
        let target = self.get_mut(id)?;
        Some(target.input_mut().note_look(now, limits::LOOK_GAP_MAX))
    }

    /// Gives back what idle queues hold, and looks again while any is left.
    pub(super) fn release_idle(&mut self, now: Instant) {
        let entries = &mut self.entries;
        self.warm.retain(|id| {
            let entry = entries.get_mut(id.0);
            entry.is_some_and(|entry| !entry.target.input_mut().release_idle(now))
        });
        if self.warm.is_empty() {
            self.warm = Vec::new();
            self.pieces = Pieces::default();
        } else {
            let at = now + limits::QUEUE_IDLE_AFTER;
            self.timers.arm(at, Due::Memory);
        }
    }
}
