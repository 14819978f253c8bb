//! The program in the foreground beside which we run, if there is one. Its end is ours; an agent that is
//! done before asks it to end, and waits for it.

use std::time::Instant;

use crate::agent::Outcome;
use crate::os::foreground::Foreground;
use crate::os::signal::Received;
use crate::os::sys::Pid;

/// See the module.
#[derive(Default)]
pub(super) struct Companion {
    program: Option<Foreground>,
    exit_code: Option<u8>,
    /// How the agent ended before the program did.
    agent_outcome: Option<Outcome>,
}

impl Companion {
    /// There is one, which runs already.
    pub(super) fn accompany(&mut self, program: Foreground) {
        self.program = Some(program);
    }

    /// Its process, while it runs.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.program.as_ref().map(Foreground::pid)
    }

    /// How it ended.
    pub(super) fn exit_code(&self) -> Option<u8> {
        self.exit_code
    }

    /// A signal is the program's while it runs; `false` without one.
    pub(super) fn take_signal(&mut self, now: Instant, received: Received) -> bool {
        let Some(program) = &mut self.program else {
            return false;
        };
        program.signal(now, received);
        true
    }

    /// When [`Companion::kill_overdue`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.program.as_ref().and_then(Foreground::kill_at)
    }

    /// Ends a program that did not end when asked.
    pub(super) fn kill_overdue(&mut self, now: Instant) {
        if let Some(program) = &mut self.program {
            program.kill_overdue(now);
        }
    }

    /// It has ended. If the agent had before, that is how we end; else the agent has no reason to be here.
    pub(super) fn ended(&mut self, code: u16) -> Option<Outcome> {
        self.program = None;
        if self.agent_outcome.is_none() {
            self.exit_code = Some(u8::try_from(code).unwrap_or(u8::MAX));
        }
        self.agent_outcome
    }

    /// The agent is done, and how. `None`: the program still runs and was asked to end.
    pub(super) fn agent_ended(&mut self, now: Instant, outcome: Outcome) -> Option<Outcome> {
        let Some(program) = &mut self.program else {
            return Some(outcome);
        };
        self.agent_outcome = Some(outcome);
        program.terminate(now);
        None
    }
}
