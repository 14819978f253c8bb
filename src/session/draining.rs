//! The last bytes of a command: how long its output is read after the command has ended.
//!
//! Promises that a client that stands still loses nothing, and that a background process that
//! holds the output does not keep its session open for ever. Both are had by a clock that runs only
//! while the link has room: what it does not show, nobody could have read.

use std::time::{Duration, Instant};

use super::sessions::Sessions;
use super::target::{Exit, TargetId};
use crate::base::plain::Word;
use crate::limits;
use crate::packet::Outbox;

/// Runs while the link has room for payload.
#[derive(Default)]
pub(super) struct RoomClock {
    shown: Duration,
    running_since: Option<Instant>,
}

impl RoomClock {
    fn set(&mut self, now: Instant, has_room: bool) {
        self.shown = self.at(now);
        self.running_since = has_room.then_some(now);
    }

    fn at(&self, now: Instant) -> Duration {
        let running = self.running_since;
        self.shown + running.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// A process whose leader has ended; times are the [`RoomClock`]'s.
#[derive(Debug)]
pub struct Drain {
    /// How it ended.
    pub exit: Exit,
    began: Duration,
    heard: Duration,
    /// Bytes that came since.
    size: usize,
}

impl Sessions {
    /// Whether the link has room from now on; told whenever it may have changed.
    pub fn note_room(&mut self, now: Instant, has_room: bool) {
        self.room.set(now, has_room);
    }

    /// The leader of a target's processes has ended. Its output may still be read.
    pub(super) fn target_exited(
        &mut self,
        now: Instant,
        id: TargetId,
        exit: Exit,
        outbox: &mut Outbox,
    ) {
        let began = self.room.at(now);
        let Some(target) = self.target_mut(id) else {
            return;
        };
        target.drain = Some(Box::new(Drain {
            exit,
            began,
            heard: began,
            size: 0,
        }));
        if target.is_silent() {
            self.finish_process(now, id, outbox);
        } else {
            self.drain_overdue(now, id, outbox);
        }
    }

    /// The output of a process whose leader has ended is still in use.
    pub(super) fn note_output(&mut self, now: Instant, id: TargetId, size: usize) {
        let heard = self.room.at(now);
        if let Some(drain) = self.target_mut(id).and_then(|target| target.drain.as_mut()) {
            drain.heard = heard;
            drain.size += size;
        }
    }

    /// Ends the session of a command whose output has been silent, or has gone on, for too long;
    /// comes back later where that is not so yet.
    pub(super) fn drain_overdue(&mut self, now: Instant, id: TargetId, outbox: &mut Outbox) {
        let clock = self.room.at(now);
        let longest = self.settings.output_after_exit_max;
        let Some(target) = self.target(id) else {
            return;
        };
        let (Some(drain), Some(key)) = (&target.drain, target.session) else {
            return;
        };
        let silent = drain.heard + limits::OUTPUT_SILENCE_MAX;
        let due = silent.min(drain.began + longest);
        if clock < due {
            return self.arm(id, now + (due - clock));
        }
        if due < silent {
            let sid = Word(self.session(key).map_or("", |session| &session.id));
            log::warn!(
                "sid={sid} output cut: the command ended {} s ago, a job that it left behind has \
                 printed {} bytes since and goes on; let such jobs print to a file",
                longest.as_secs(),
                drain.size
            );
        }
        self.finish_process(now, id, outbox);
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
