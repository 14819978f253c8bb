//! Connections to a service that wait for the next request of a session: which one is taken, and which
//! one has to go. The connections themselves are the owner's.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits;

/// Of one session of the listener, all to the same service. `u64` is whatever the owner knows them by.
#[derive(Default)]
pub struct Kept(VecDeque<(u64, Instant)>);

impl Kept {
    /// A connection has served a request, and no doubt is left. Answers which one is to be closed for it.
    pub fn put(&mut self, connection: u64, now: Instant) -> Option<u64> {
        self.0.push_back((connection, now));
        let is_full = self.0.len() > limits::WEB_KEPT_PER_SESSION_MAX;
        let oldest = if is_full { self.0.pop_front() } else { None };
        oldest.map(|(connection, _)| connection)
    }

    /// The one that was used last, if it is still fresh: it is the least likely to be dead.
    pub fn take(&mut self, now: Instant) -> Option<u64> {
        let last = self.0.back()?;
        let is_fresh = now < last.1 + limits::WEB_KEPT_MAX;
        if is_fresh {
            self.0.pop_back().map(|(connection, _)| connection)
        } else {
            None
        }
    }

    /// It has ended or said something, which nobody had asked it to: it is to be closed.
    pub fn remove(&mut self, connection: u64) {
        self.0.retain(|(known, _)| *known != connection);
    }

    /// One that has waited for too long and is to be closed.
    pub fn expired(&mut self, now: Instant) -> Option<u64> {
        let is_over = self.deadline().is_some_and(|deadline| now >= deadline);
        if is_over {
            self.0.pop_front().map(|(connection, _)| connection)
        } else {
            None
        }
    }

    /// When [`Kept::expired`] has something to say.
    pub fn deadline(&self) -> Option<Instant> {
        self.0
            .front()
            .map(|(_, since)| *since + limits::WEB_KEPT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_latest_is_taken_and_the_oldest_goes() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        for connection in 0..limits::WEB_KEPT_PER_SESSION_MAX as u64 {
            assert_eq!(kept.put(connection, start), None);
        }
        assert_eq!(kept.put(100, start), Some(0));
        assert_eq!(kept.take(start), Some(100));
        kept.remove(7);
        assert_eq!(kept.take(start), Some(6));
        let late = start + limits::WEB_KEPT_MAX;
        assert_eq!(kept.deadline(), Some(late));
        assert_eq!(kept.expired(late - Duration::from_nanos(1)), None);
        assert_eq!(kept.take(late), None);
        for connection in 1..6 {
            assert_eq!(kept.expired(late), Some(connection));
        }
        assert_eq!((kept.expired(late), kept.deadline()), (None, None));
    }
}
