//! Deadlines in order. Nothing here reads a clock: the owner says what time it is.

use std::collections::BTreeMap;
use std::time::Instant;

/// Names one armed deadline, so that it can be taken back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerId {
    at: Instant,
    sequence: u64,
}

impl TimerId {
    /// When it is due.
    pub fn at(self) -> Instant {
        self.at
    }
}

/// Armed deadlines, each with the `T` that it is about. Bounded by its owner's tables: a deadline
/// belongs to something that is itself counted.
pub struct Timers<T> {
    armed: BTreeMap<TimerId, T>,
    sequence: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self {
            armed: BTreeMap::new(),
            sequence: 0,
        }
    }
}

impl<T> Timers<T> {
    /// Arms a deadline.
    pub fn arm(&mut self, at: Instant, about: T) -> TimerId {
        self.sequence += 1;
        let id = TimerId {
            at,
            sequence: self.sequence,
        };
        self.armed.insert(id, about);
        id
    }

    /// Takes a deadline back; one that fired or was taken back already is ignored.
    pub fn cancel(&mut self, id: TimerId) {
        self.armed.remove(&id);
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Instant> {
        self.armed.first_key_value().map(|(id, _)| id.at)
    }

    /// One deadline that is due at `now`, earliest first; call until `None`.
    pub fn fire(&mut self, now: Instant) -> Option<T> {
        let entry = self.armed.first_entry()?;
        if entry.key().at <= now {
            Some(entry.remove())
        } else {
            None
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.armed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn fires_in_order_and_only_what_is_due() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.arm(now + Duration::from_secs(2), 'b');
        timers.arm(now + Duration::from_secs(1), 'a');
        let gone = timers.arm(now + Duration::from_secs(1), 'x');
        timers.cancel(gone);
        assert_eq!(timers.next(), Some(now + Duration::from_secs(1)));
        assert_eq!(timers.fire(now), None);
        let then = now + Duration::from_secs(3);
        assert_eq!(
            (timers.fire(then), timers.fire(then), timers.fire(then)),
            (Some('a'), Some('b'), None)
        );
    }
}
