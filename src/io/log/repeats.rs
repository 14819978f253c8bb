//! Identical lines within a second: the first is written, the rest counted.

use std::time::{Duration, Instant};

use log::Level;

/// The last few lines, each with the number of its repetitions that were not written.
#[derive(Default)]
pub(super) struct Repeats {
    slots: Vec<Slot>,
    /// What was pushed out of a slot before it was written.
    evicted: Option<Repeated>,
}

struct Slot {
    line: Repeated,
    written_at: Instant,
}

/// A line that came again `count` times.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    pub level: Level,
    pub logger: String,
    pub message: String,
    pub count: u32,
}

impl Repeats {
    /// Whether this line was written less than a second ago, and so is counted only.
    pub fn holds_back(&mut self, now: Instant, level: Level, logger: &str, message: &str) -> bool {
        match self.find(level, logger, message) {
            Some(slot) if !is_over(slot.written_at, now) => {
                slot.line.count = slot.line.count.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// This line is written now.
    pub fn note_written(&mut self, now: Instant, level: Level, logger: &str, message: &str) {
        if let Some(slot) = self.find(level, logger, message) {
            slot.written_at = now;
            return;
        }
        if message.len() > MESSAGE_BYTES_MAX {
            return;
        }
        let slot = Slot {
            line: Repeated {
                level,
                logger: logger.to_owned(),
                message: message.to_owned(),
                count: 0,
            },
            written_at: now,
        };
        if self.slots.len() < SLOTS_MAX {
            self.slots.push(slot);
        } else if let Some(oldest) = self.slots.iter_mut().min_by_key(|slot| slot.written_at) {
            let evicted = std::mem::replace(oldest, slot).line;
            self.evicted = Some(evicted).filter(|line| line.count > 0);
        }
    }

    fn find(&mut self, level: Level, logger: &str, message: &str) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| {
            slot.line.level == level && slot.line.message == message && slot.line.logger == logger
        })
    }

    /// A line with repetitions to tell of, once its second is over; without `now` at once. It then
    /// counts as written again.
    pub fn take(&mut self, now: Option<Instant>) -> Option<Repeated> {
        if let Some(line) = self.evicted.take() {
            return Some(line);
        }
        let due = |slot: &&mut Slot| {
            slot.line.count > 0 && now.is_none_or(|now| is_over(slot.written_at, now))
        };
        let slot = self.slots.iter_mut().find(due)?;
        slot.written_at = now.unwrap_or(slot.written_at);
        let count = std::mem::take(&mut slot.line.count);
        Some(Repeated {
            level: slot.line.level,
            logger: slot.line.logger.clone(),
            message: slot.line.message.clone(),
            count,
        })
    }
}

fn is_over(written_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(written_at) >= INTERVAL
}

/// How long a line is not written again.
const INTERVAL: Duration = Duration::from_secs(1);
/// Lines that may alternate and still be recognised.
const SLOTS_MAX: usize = 8;
/// Longer lines are not worth their memory.
const MESSAGE_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Offers a line, which is written unless it is held back.
    fn held_back(
        repeats: &mut Repeats,
        now: Instant,
        level: Level,
        logger: &str,
        message: &str,
    ) -> bool {
        let is_held = repeats.holds_back(now, level, logger, message);
        if !is_held {
            repeats.note_written(now, level, logger, message);
        }
        is_held
    }

    #[test]
    fn repetitions_are_counted_and_told_after_the_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut repeats = Repeats::default();
        let mut offer = |millis, message: &str| {
            let told = repeats.take(Some(at(millis)));
            let held = held_back(&mut repeats, at(millis), Level::Info, "agent", message);
            (told.map(|line| (line.message, line.count)), held)
        };
        assert_eq!(offer(0, "a"), (None, false));
        assert_eq!(offer(10, "a"), (None, true));
        assert_eq!(offer(20, "b"), (None, false));
        assert_eq!(offer(999, "a"), (None, true));
        assert_eq!(offer(1000, "c"), (Some(("a".to_owned(), 2)), false));
        assert_eq!(offer(1500, "a"), (None, true));
        assert_eq!(offer(1600, "b"), (None, false));
        assert_eq!(offer(2600, "b"), (Some(("a".to_owned(), 1)), false));
    }

    #[test]
    fn other_levels_and_loggers_are_other_lines() {
        let now = Instant::now();
        let mut repeats = Repeats::default();
        assert!(!held_back(&mut repeats, now, Level::Info, "agent", "a"));
        assert!(!held_back(&mut repeats, now, Level::Warn, "agent", "a"));
        assert!(!held_back(&mut repeats, now, Level::Info, "link", "a"));
        assert!(held_back(&mut repeats, now, Level::Info, "agent", "a"));
    }

    proptest! {
        #[test]
        fn every_line_is_either_written_or_counted_once(
            steps in proptest::collection::vec((0u64..400, 0u8..20), 1..200),
        ) {
            let mut repeats = Repeats::default();
            let mut now = Instant::now();
            let mut accounted = 0;
            for (millis, message) in &steps {
                now += Duration::from_millis(*millis);
                while let Some(line) = repeats.take(Some(now)) {
                    accounted += line.count as usize;
                }
                let message = message.to_string();
                if !held_back(&mut repeats, now, Level::Info, "x", &message) {
                    accounted += 1;
                }
                if let Some(line) = repeats.take(Some(now)) {
                    accounted += line.count as usize;
                }
            }
            while let Some(line) = repeats.take(None) {
                accounted += line.count as usize;
            }
            prop_assert_eq!(accounted, steps.len());
        }
    }
}
