//! One stalled target must not take the memory, or the stream, from the others.
//!
//! All sessions share one stream without credit of their own. Below half of the byte budget
//! nothing is restricted. Above it (*pressure*) the credit outstanding on the stream shrinks, and
//! a relay that holds much while its target has taken nothing for a while is closed. One that
//! progresses, however slowly, is never closed (design 4.1).

use std::time::Instant;

use super::sessions::{Deadline, EXIT_INTERNAL, Sessions};
use super::target::TargetId;
use crate::limits;
use crate::packet::Outbox;

/// What the user of a relay is told that was closed for the others' sake.
pub const STALLED: &str =
    "the target stopped reading and held the memory that other sessions need; closed by the agent";

impl Sessions {
    /// The credit that the stream should have outstanding, given what already waits here.
    pub fn credit_wanted(&self) -> u32 {
        let left = self.settings.queue_bytes_max.saturating_sub(self.buffered);
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        if self.is_under_pressure() {
            limits::STREAM_WINDOW_UNDER_PRESSURE.min(left)
        } else {
            limits::STREAM_WINDOW.min(left)
        }
    }

    /// More than half of the budget waits for targets.
    pub fn is_under_pressure(&self) -> bool {
        self.buffered > self.settings.queue_bytes_max / 2
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
        let mut next = now + self.settings.stall_max;
        for id in self.stalled_candidates() {
            let Some(target) = self.target(id) else {
                continue;
            };
            let due = target.progress + self.settings.stall_max;
            if due > now {
                next = next.min(due);
                continue;
            }
            self.close_stalled(now, id, outbox);
            if !self.is_under_pressure() {
                return;
            }
        }
        self.pressure_is_watched = true;
        self.timers.arm(next, Deadline::Pressure);
    }

    /// Relays that hold much. When the budget is all but used up by many that hold little, nobody
    /// would ever leave: then the size does not matter, and the largest goes first.
    fn stalled_candidates(&self) -> Vec<TargetId> {
        let is_full = self.credit_wanted() < limits::STREAM_WINDOW_UNDER_PRESSURE;
        let held_max = if is_full {
            0
        } else {
            limits::STALLED_BYTES_MAX
        };
        let mut found: Vec<(usize, TargetId)> = self
            .targets
            .iter()
            .filter(|(_, target)| target.queue.len() > held_max)
            .map(|(key, target)| (target.queue.len(), TargetId(key)))
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, id)| id).collect()
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
