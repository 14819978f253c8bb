//! Ends of relays that nothing but the time explains, and which of them are justified.

use std::time::{Duration, Instant};

use hoop_lite::limits;
use hoop_lite::session::EXIT_INTERNAL;

use crate::model::Model;
use crate::relays::{Kind, Phase, Relay};

impl Model {
    /// Nothing that was reported ended this target, so a deadline must have.
    pub(crate) fn overdue(&mut self, now: Instant, index: usize) {
        let relay = &self.relays[index];
        let is_due = |since: Instant, limit: Duration| now >= since + limit;
        match (relay.kind, relay.phase) {
            (Kind::Probe, Phase::Starting) if is_due(relay.since, limits::SESSION_OPEN_TIMEOUT) => {
                self.failed(now, index);
            }
            (Kind::Probe, Phase::Streaming) if is_due(relay.since, limits::PROBE_KEPT_MAX) => {
                self.drop(index, false);
            }
            (Kind::Tcp, Phase::Starting) if is_due(relay.since, limits::TARGET_CONNECT_TIMEOUT) => {
                self.failed(now, index);
            }
            (Kind::Tcp, Phase::Lingering)
                if is_due(relay.since.max(relay.progress), limits::LINGER_MAX) =>
            {
                let is_cut_off = relay.queue > 0;
                let is_stuck = relay
                    .taken_at
                    .is_none_or(|at| is_due(at, limits::LINGER_MAX - LOOKS));
                assert!(
                    !is_cut_off || is_stuck,
                    "it moved: {}",
                    self.describe(index)
                );
                self.drop(index, is_cut_off);
            }
            (Kind::Exec | Kind::Terminal, Phase::Streaming)
                if self
                    .output_due(relay)
                    .is_some_and(|due| self.room_time >= due) =>
            {
                self.finish(now, index);
            }
            _ if self.may_be_stalled(now, index) => self.stalled(now, index),
            _ => panic!("closed without a reason: {}", self.describe(index)),
        }
    }

    /// When the output of a command that has ended is over, by the time with room.
    fn output_due(&self, relay: &Relay) -> Option<Duration> {
        let (at, _) = relay.exit?;
        let silent = relay.said_at + limits::OUTPUT_SILENCE_MAX;
        Some(silent.min(at + self.bounds.output_after_exit_max))
    }

    /// No command that has ended keeps its session open for longer than it may.
    pub fn check_in_time(&self) {
        for relay in self.live.iter().map(|live| &self.relays[*live]) {
            let is_late = self
                .output_due(relay)
                .is_some_and(|due| self.room_time > due);
            assert!(!is_late, "the output is not over: {relay:?}");
        }
    }

    /// More than half of the byte budget waits.
    pub fn is_under_pressure(&self) -> bool {
        self.buffered + self.beside > self.bounds.queue_bytes_max / 2
    }

    fn may_be_stalled(&self, now: Instant, index: usize) -> bool {
        let relay = &self.relays[index];
        let budget = self.bounds.queue_bytes_max;
        let buffered = self.buffered + self.beside;
        let is_scarce =
            budget.saturating_sub(buffered) < limits::STREAM_WINDOW_UNDER_PRESSURE as usize;
        self.is_under_pressure()
            && (relay.queue > limits::STALLED_BYTES_MAX || is_scarce && relay.queue > 0)
            && now >= relay.progress + self.bounds.stall_max
            && relay
                .taken_at
                .is_none_or(|at| now + LOOKS >= at + self.bounds.stall_max)
    }

    fn stalled(&mut self, now: Instant, index: usize) {
        let relay = &self.relays[index];
        match (relay.kind, relay.is_attached) {
            (Kind::Exec | Kind::Terminal, true) => self.close(now, relay.sid, EXIT_INTERNAL),
            _ => self.broke(now, index),
        }
    }
}

/// A last look at what the kernel holds is never older than this.
const LOOKS: Duration = Duration::from_millis(100);
