//! One stalled target must not take the memory, or the stream, from the others.
//!
//! All sessions share one stream without credit of their own. Below half of the byte budget
//! nothing is restricted. Above it (*pressure*) the credit outstanding on the stream shrinks, and
//! a relay that holds much while its target has taken nothing for a while is closed. One that
//! progresses, however slowly, is never closed (design 4.1): what the kernel holds for it counts.
//!
//! Under pressure credit comes back as fast as bytes leave, and beyond that only at a pace which
//! never uses up the rest of the budget before a stalled relay is due. So the neighbours of a flood
//! are slowed down, but never wait for the verdict.
//!
//! The pace is fast at first and the portions are small. While the gateway has no credit its senders
//! wait side by side, and when there is credit again its library wakes one of them and may
//! forget the others (`docs/reliability.md`): the shorter each wait, the fewer of them meet.

use std::time::{Duration, Instant};

use super::output::Output;
use super::sessions::{Deadline, EXIT_INTERNAL, Sessions};
use super::target::TargetId;
use crate::base::Pieces;
use crate::base::plain::Word;
use crate::limits;
use crate::packet::Outbox;

/// What the user of a relay is told that was closed for the others' sake.
pub const STALLED: &str =
    "the target stopped reading and held the memory that other sessions need; closed by the agent";

impl Sessions {
    /// Notes that a queue is about to hold memory.
    pub(super) fn note_warm(&mut self, now: Instant, id: TargetId) {
        if self.warm.is_empty() {
            self.timers
                .arm(now + limits::QUEUE_IDLE_AFTER, Deadline::Memory);
        }
        self.warm.push(id);
    }

    /// Gives back what idle queues hold, and looks again while any is left.
    pub(super) fn release_idle(&mut self, now: Instant) {
        let targets = &mut self.targets;
        self.warm.retain(|id| {
            targets
                .get_mut(id.0)
                .is_some_and(|target| !target.release_idle(now))
        });
        if self.warm.is_empty() {
            self.warm = Vec::new();
            self.pieces = Pieces::default();
        } else {
            self.timers
                .arm(now + limits::QUEUE_IDLE_AFTER, Deadline::Memory);
        }
    }

    /// The credit that the stream should have outstanding, given what already waits here. It
    /// shrinks as the first half of the budget fills, so that all of it can't run into the second.
    pub fn credit_wanted(&self) -> u32 {
        let least = limits::STREAM_WINDOW_UNDER_PRESSURE as usize;
        let free = self.budget_half().saturating_sub(self.buffered).max(least);
        u32::try_from(free.min(self.budget_left()))
            .unwrap_or(u32::MAX)
            .min(limits::STREAM_WINDOW)
    }

    /// More than half of the budget waits for targets.
    pub fn is_under_pressure(&self) -> bool {
        self.buffered > self.budget_half()
    }

    /// Looks for stalled relays as soon as there is pressure, and again while it lasts.
    pub(super) fn watch_pressure(&mut self, now: Instant, outbox: &mut Outbox) {
        if self.is_under_pressure() && !self.pressure_is_watched {
            self.relieve_pressure(now, outbox);
        }
    }

    /// Closes what has stalled for too long, then looks again when the next one would be due.
    pub(super) fn relieve_pressure(&mut self, now: Instant, outbox: &mut Outbox) {
        if !self.is_under_pressure() {
            return;
        }
        for id in self.stalled_candidates() {
            let stall_max = self.settings.stall_max;
            let held_max = self.held_max();
            let Some(target) = self.target_mut(id) else {
                continue;
            };
            if target.queue.len() <= held_max {
                break; // The verdict on a larger one was enough.
            }
            // What it did while nobody looked at what the kernel delivers is not known.
            if now < target.look(now, limits::LOOK_GAP_MAX) + stall_max {
                self.outputs.push_back(Output::Examine { target: id });
                continue;
            }
            self.close_stalled(now, id, outbox);
            if !self.is_under_pressure() {
                return;
            }
        }
        self.pressure_is_watched = true;
        self.timers
            .arm(now + limits::PRESSURE_TICK, Deadline::Pressure);
    }

    /// `size` bytes came and left nothing behind: they may be replaced at once, or a message that is
    /// passed over would hold up everybody for as long as the pace allows.
    pub fn forgot(&mut self, size: usize) {
        self.drained += size;
    }

    /// How much of `missing` credit may be given now. The rest is due soon, also when nothing else
    /// happens.
    pub fn take_credit(&mut self, now: Instant, missing: u32) -> u32 {
        if !self.is_under_pressure() {
            self.drained = 0;
            self.allowed_at = None;
            return missing;
        }
        let since = now.saturating_duration_since(*self.allowed_at.get_or_insert(now));
        let earned = self.credit_earned(since);
        if earned > 0 {
            self.allowed_at = Some(now);
        }
        let cap = limits::STREAM_WINDOW_UNDER_PRESSURE as usize;
        self.allowance = self.allowance.saturating_add(earned).min(cap);
        let given = (missing as usize).min(self.drained.saturating_add(self.allowance));
        if given < missing as usize {
            self.ask_for_credit_soon(now);
        }
        if given < limits::CREDIT_PORTION_MIN {
            return 0;
        }
        let paced = given.saturating_sub(self.drained);
        self.drained = self.drained.saturating_sub(given);
        self.allowance -= paced;
        u32::try_from(given).unwrap_or(missing)
    }

    /// Credit that `since` earns, beyond what left: the first eighth of the half that is left when
    /// pressure begins goes fast, the rest lasts until a stalled relay is due.
    fn credit_earned(&self, since: Duration) -> usize {
        let share = |bytes: usize, lasts: Duration| {
            bytes as u128 * since.as_micros() / lasts.as_micros().max(1)
        };
        let left = self.budget_left();
        let half = self.budget_half();
        let fast = share(left.saturating_sub(half - half / 8), limits::PRESSURE_RUSH);
        let steady = share(left, self.settings.stall_max);
        usize::try_from(fast + steady).unwrap_or(usize::MAX)
    }

    /// When little is left of the budget a portion takes longer to earn: what leaves, and the next
    /// look at the relays, bring it soon enough.
    fn ask_for_credit_soon(&mut self, now: Instant) {
        let earned = self.credit_earned(limits::CREDIT_TICK);
        if earned >= limits::CREDIT_PORTION_MIN && !self.credit_is_due {
            self.credit_is_due = true;
            self.timers.arm(now + limits::CREDIT_TICK, Deadline::Credit);
        }
    }

    /// What may wait before there is pressure.
    fn budget_half(&self) -> usize {
        self.settings.queue_bytes_max / 2
    }

    fn budget_left(&self) -> usize {
        self.settings.queue_bytes_max.saturating_sub(self.buffered)
    }

    /// Relays that hold much, the largest first.
    fn stalled_candidates(&self) -> Vec<TargetId> {
        let held_max = self.held_max();
        let mut found: Vec<(usize, TargetId)> = self
            .targets
            .iter()
            .filter(|(_, target)| target.queue.len() > held_max)
            .map(|(key, target)| (target.queue.len(), TargetId(key)))
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// What a relay may hold without being looked at. When the budget is all but used up by many
    /// that hold little, nobody would ever leave: then the size does not matter.
    fn held_max(&self) -> usize {
        let is_full = self.credit_wanted() < limits::STREAM_WINDOW_UNDER_PRESSURE;
        if is_full {
            0
        } else {
            limits::STALLED_BYTES_MAX
        }
    }

    fn close_stalled(&mut self, now: Instant, id: TargetId, outbox: &mut Outbox) {
        let Some(target) = self.target(id) else {
            return;
        };
        let (held, session, is_process) =
            (target.queue.len(), target.session, target.kind.is_process());
        let sid = session
            .and_then(|key| self.session(key))
            .map_or("", |session| &session.id);
        let sid = Word(sid);
        log::warn!("sid={sid} relay closed: its target took nothing while {held} bytes waited");
        self.counters.stalls += 1;
        match session {
            Some(key) if is_process => self.close(now, key, EXIT_INTERNAL, STALLED, outbox),
            Some(_) => {
                self.tcp_ended(now, id, outbox);
                self.drop_target(id, true);
            }
            None => self.drop_target(id, true),
        }
    }
}
