//! The last bytes of a command: how long its output is read after the command has ended.
//!
//! Promises that a client that stands still loses nothing, and that a background process that
//! holds the output does not keep its session open for ever. Both are had by a clock that runs only
//! while the link has room: what it does not show, nobody could have read.

use std::time::{Duration, Instant};

use super::report::Exit;
use crate::limits;

/// Runs while the link has room for payload.
#[derive(Default)]
pub(super) struct RoomClock {
    shown: Duration,
    running_since: Option<Instant>,
}

impl RoomClock {
    /// Whether the link has room from now on.
    pub(super) fn set(&mut self, now: Instant, has_room: bool) {
        self.shown = self.at(now);
        self.running_since = has_room.then_some(now);
    }

    /// The link has room.
    pub(super) fn is_running(&self) -> bool {
        self.running_since.is_some()
    }

    /// The time with room so far.
    pub(super) fn at(&self, now: Instant) -> Duration {
        let running = self.running_since;
        self.shown + running.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// A process whose leader has ended; times are the [`RoomClock`]'s.
#[derive(Debug)]
pub(super) struct Drain {
    exit: Exit,
    began: Duration,
    heard: Duration,
    /// Bytes that came since.
    size: usize,
}

/// Whether the output is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Drained {
    /// Not before this has passed with room.
    NotYet(Duration),
    /// It has fallen silent.
    Silent,
    /// It goes on and on; bytes since the leader's end.
    Cut {
        /// How many.
        size: usize,
    },
}

impl Drain {
    /// The leader has just ended.
    pub(super) fn new(exit: Exit, clock: Duration) -> Self {
        Self {
            exit,
            began: clock,
            heard: clock,
            size: 0,
        }
    }

    /// How it ended.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// The output is still in use: `size` bytes were read.
    pub(super) fn note(&mut self, size: usize, clock: Duration) {
        self.heard = clock;
        self.size += size;
    }

    /// Whether it has been silent, or has gone on for `longest`, for too long.
    pub(super) fn judge(&self, clock: Duration, longest: Duration) -> Drained {
        let silent = self.heard + limits::OUTPUT_SILENCE_MAX;
        let due = silent.min(self.began + longest);
        if clock < due {
            Drained::NotYet(due - clock)
        } else if due < silent {
            Drained::Cut { size: self.size }
        } else {
            Drained::Silent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_only_time_with_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut clock = RoomClock::default();
        assert_eq!(clock.at(at(5)), Duration::ZERO);
        clock.set(at(5), true);
        clock.set(at(6), true);
        assert_eq!(clock.at(at(8)), Duration::from_secs(3));
        clock.set(at(9), false);
        assert_eq!(clock.at(at(100)), Duration::from_secs(4));
        clock.set(at(100), true);
        assert_eq!(clock.at(at(101)), Duration::from_secs(5));
    }
}
