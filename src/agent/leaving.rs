//! How the agent leaves: sessions first, then the stream, then the link.

use std::time::Instant;

use super::agent::{Action, Agent, Deadline, Outcome, Phase};
use crate::limits;

impl Agent {
    /// Asked to stop: no new sessions; running ones may finish within the drain time-out. Asked a
    /// second time: leaves at once.
    pub fn stop(&mut self, now: Instant) {
        if self.stopping {
            return self.leave(now);
        }
        self.stopping = true;
        self.sessions.stop_opening();
        if !self.sessions.is_empty() {
            log::info!(
                "stopping: {} sessions may finish, for {:.1} s",
                self.sessions.len(),
                self.settings.drain_timeout.as_secs_f32()
            );
        }
        self.timers
            .arm(now + self.settings.drain_timeout, Deadline::Drain);
        self.leave_when_drained(now);
    }

    /// The sessions' time to finish is over.
    pub(super) fn drain_over(&mut self, now: Instant) {
        if !self.sessions.is_empty() {
            log::warn!(
                "stopping: the time to finish is over, closing {} sessions",
                self.sessions.len()
            );
        }
        self.leave(now);
    }

    /// Leaves at once: closes what is open, waits for nobody's work.
    pub fn stop_now(&mut self, now: Instant) {
        self.stopping = true;
        self.sessions.stop_opening();
        self.leave(now);
    }

    pub(super) fn leave_when_drained(&mut self, now: Instant) {
        if self.stopping && !self.is_leaving && self.sessions.is_empty() {
            self.leave(now);
        }
    }

    /// Closes sessions by packet and gives the gateway a moment to confirm: what it has not read
    /// when the stream ends is lost on it. Called again, leaves at once.
    pub(super) fn leave(&mut self, now: Instant) {
        self.sessions
            .close_all(now, "the agent was stopped", &mut self.outbox);
        let has_stream = matches!(&self.phase, Phase::Connected(link) if link.has_stream());
        if self.is_leaving || !has_stream || !self.sessions.awaits_confirmation() {
            return self.farewell(now);
        }
        self.is_leaving = true;
        self.timers.arm(now + limits::FAREWELL_MAX, Deadline::Leave);
    }

    /// Ends the stream, then the link, then the program.
    pub(super) fn farewell(&mut self, now: Instant) {
        self.is_leaving = true;
        if let Phase::Connected(link) = &mut self.phase {
            link.close(now, &mut self.outbox);
        }
        self.exit(Outcome::Stopped);
    }

    pub(super) fn exit(&mut self, exit: Outcome) {
        if self.exit.is_none() {
            self.exit = Some(exit);
            if exit == Outcome::Stopped {
                log::info!("stopped");
            }
            self.outputs.push_back(Action::Exit(exit));
        }
    }
}
