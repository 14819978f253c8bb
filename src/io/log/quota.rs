//! A rate for lines that a peer's packets can cause: so many a second, the rest as numbers.
//!
//! A kind of line is the place in the source that writes it. The first line of each kind in a
//! second is always written, so that no flood of one kind hides another.

use std::time::{Duration, Instant};

use log::Level;

/// The place in the source that writes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineSource {
    pub file: &'static str,
    pub line: u32,
}

/// What was written, and what was not, in the second that began at `began`.
#[derive(Default)]
pub(super) struct Quota {
    began: Option<Instant>,
    written: u32,
    kinds: Vec<Tally>,
}

struct Tally {
    kind: LineSource,
    /// The first line of it that was not written.
    first: Option<Withheld>,
}

/// Lines of one kind that were not written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Withheld {
    pub level: Level,
    pub logger: String,
    /// The first of them.
    pub message: String,
    pub count: u32,
}

impl Quota {
    /// Whether this line may be written; else it is counted. Call [`Quota::take`] before, until
    /// nothing is left of the second that is over.
    pub fn admits(
        &mut self,
        now: Instant,
        kind: LineSource,
        level: Level,
        logger: &str,
        message: &str,
    ) -> bool {
        if self.is_over(Some(now)) {
            self.began = Some(now);
            self.written = 0;
            self.kinds.clear();
        }
        let known = self.kinds.iter_mut().find(|tally| tally.kind == kind);
        let Some(tally) = known else {
            if self.kinds.len() < KINDS_MAX {
                self.kinds.push(Tally { kind, first: None });
            }
            self.written += 1;
            return true;
        };
        if self.written < LINES_PER_SECOND {
            self.written += 1;
            return true;
        }
        match &mut tally.first {
            Some(withheld) => withheld.count = withheld.count.saturating_add(1),
            None => {
                tally.first = Some(Withheld {
                    level,
                    logger: logger.to_owned(),
                    message: message.to_owned(),
                    count: 1,
                });
            }
        }
        false
    }

    /// Lines of a kind that were not written, once their second is over; without `now` at once.
    pub fn take(&mut self, now: Option<Instant>) -> Option<Withheld> {
        if !self.is_over(now) {
            return None;
        }
        self.kinds.iter_mut().find_map(|tally| tally.first.take())
    }

    fn is_over(&self, now: Option<Instant>) -> bool {
        match (self.began, now) {
            (Some(began), Some(now)) => now.saturating_duration_since(began) >= INTERVAL,
            _ => true,
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(1);
/// Far more than an agent at work says, little enough that a disk can keep it for weeks.
const LINES_PER_SECOND: u32 = 50;
/// More than the program has places that log.
const KINDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn kind(line: u32) -> LineSource {
        LineSource { file: "x.rs", line }
    }

    fn admits(quota: &mut Quota, now: Instant, line: u32, message: &str) -> bool {
        quota.admits(now, kind(line), Level::Info, "agent", message)
    }

    #[test]
    fn what_is_beyond_the_rate_is_counted_by_kind_and_told_when_the_second_is_over() {
        let start = Instant::now();
        let mut quota = Quota::default();
        for number in 0..LINES_PER_SECOND {
            assert!(admits(&mut quota, start, 1, &number.to_string()));
        }
        assert!(admits(&mut quota, start, 2, "the first of its kind"));
        for message in ["a", "b"] {
            assert!(!admits(&mut quota, start, 1, message));
        }
        assert!(!admits(&mut quota, start, 2, "c"));
        let at = |millis| Some(start + Duration::from_millis(millis));
        assert_eq!(quota.take(at(999)), None);
        let mut told = Vec::new();
        while let Some(withheld) = quota.take(at(1000)) {
            told.push((withheld.message, withheld.count));
        }
        assert_eq!(told, [("a".to_owned(), 2), ("c".to_owned(), 1)]);
        assert!(admits(&mut quota, at(1000).unwrap(), 1, "d"));
    }

    proptest! {
        #[test]
        fn every_line_is_written_or_counted_and_no_second_has_more_than_the_rate(
            steps in proptest::collection::vec((0u64..40, 0u32..100), 1..500),
        ) {
            let mut quota = Quota::default();
            let mut now = Instant::now();
            let (mut written, mut counted) = (Vec::new(), 0);
            for (millis, line) in &steps {
                now += Duration::from_millis(*millis);
                while let Some(withheld) = quota.take(Some(now)) {
                    counted += withheld.count as usize;
                }
                if admits(&mut quota, now, *line, "x") {
                    written.push(now);
                }
            }
            while let Some(withheld) = quota.take(None) {
                counted += withheld.count as usize;
            }
            prop_assert_eq!(written.len() + counted, steps.len());
            // Two seconds may meet within any one, and each kind has its first line.
            let bound = 2 * (LINES_PER_SECOND as usize + 100);
            for (index, at) in written.iter().enumerate() {
                let within = written[index..].iter().take_while(|other| **other < *at + INTERVAL);
                prop_assert!(within.count() <= bound);
            }
        }
    }
}
