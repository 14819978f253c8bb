//! The program of `hoop-lite run -- CMD`: in the foreground, with our terminal and streams. Its end
//! is ours, and the signals that we get are meant for it.

use std::time::{Duration, Instant};

use super::child::{self, CommandSpec, SpawnError};
use super::signal::{Received, Signal};
use super::sys::{self, Pid};

/// The program, while it runs.
pub struct Foreground {
    pid: Pid,
    kill_after: Option<Duration>,
    kill_at: Option<Instant>,
}

impl Foreground {
    /// Starts it. Once asked to end, it is killed after `kill_after`, or never without one.
    pub fn start(spec: &CommandSpec, kill_after: Option<Duration>) -> Result<Self, SpawnError> {
        Ok(Self {
            pid: child::spawn_beside(spec)?,
            kill_after,
            kill_at: None,
        })
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Passes a signal on, unless the kernel gave it to the program as well.
    pub fn signal(&mut self, now: Instant, received: Received) {
        if received.is_from_kernel {
            match received.signal {
                // The whole group was told to stop, and a shell waits for us to do so.
                Signal::Stop(number) => return sys::stop_by(number),
                Signal::Hangup if sys::leads_session() => {}
                // Whoever started us in the program's place may have set a timer, which is for it.
                Signal::Other(libc::SIGALRM | libc::SIGCONT) => {}
                // The program is in our process group, so it has the terminal's signals already. Any
                // other signal of the kernel's is about us.
                _ => return,
            }
        }
        self.send(now, received.signal);
    }

    /// Asks it to end.
    pub fn terminate(&mut self, now: Instant) {
        self.send(now, Signal::Terminate);
    }

    fn send(&mut self, now: Instant, signal: Signal) {
        // One that has just ended is about to be collected.
        let _ = sys::signal_process(self.pid, signal.number());
        if let (Signal::Terminate, Some(after)) = (signal, self.kill_after) {
            self.kill_at.get_or_insert(now + after);
        }
    }

    /// When [`Foreground::kill_overdue`] wants to be called.
    pub fn kill_at(&self) -> Option<Instant> {
        self.kill_at
    }

    /// Kills it when it did not end in time.
    pub fn kill_overdue(&mut self, now: Instant) {
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            let _ = sys::signal_process(self.pid, Signal::Kill.number());
        }
    }
}
