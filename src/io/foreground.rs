//! The program of `hoop-lite run -- CMD`: in the foreground, with our terminal and streams. Its end
//! is ours, and the signals that we get are meant for it.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::child::{self, CommandSpec, SpawnError};
use super::signal::Signal;
use super::sys::{self, Pid};

/// The program, while it runs.
pub struct Foreground {
    pid: Pid,
    shares_terminal: bool,
    kill_after: Duration,
    kill_at: Option<Instant>,
}

impl Foreground {
    /// Starts it. Asked to end, it gets `kill_after` before it is made to.
    pub fn start(spec: &CommandSpec, kill_after: Duration) -> Result<Self, SpawnError> {
        let pid = child::spawn_beside(spec)?;
        Ok(Self {
            pid,
            shares_terminal: io::stdin().is_terminal(),
            kill_after,
            kill_at: None,
        })
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Passes a signal on; the terminal's own go to the whole group without our help.
    pub fn signal(&mut self, now: Instant, signal: Signal) {
        let from_terminal = matches!(signal, Signal::Interrupt | Signal::Quit | Signal::Hangup);
        if !(from_terminal && self.shares_terminal) {
            // One that has just ended is about to be collected.
            let _ = sys::signal_process(self.pid, signal.number());
        }
        if signal == Signal::Terminate {
            self.kill_at.get_or_insert(now + self.kill_after);
        }
    }

    /// When [`Foreground::kill_overdue`] wants to be called.
    pub fn kill_at(&self) -> Option<Instant> {
        self.kill_at
    }

    /// Ends it when it did not end when asked.
    pub fn kill_overdue(&mut self, now: Instant) {
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            let _ = sys::signal_process(self.pid, Signal::Kill.number());
        }
    }
}
