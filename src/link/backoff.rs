//! How long to wait before the gateway is dialled again.

use std::time::{Duration, Instant};

use crate::base::Rng;
use crate::limits;

/// Exponential with full jitter from the first retry on, so that a fleet that lost its gateway in
/// one second does not come back in one second.
pub struct Backoff {
    wait_max: Duration,
    ceiling: Duration,
    connected_at: Option<Instant>,
}

/// Why the link is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossCause {
    /// The network, the gateway, or another agent with our key: will pass.
    Passing,
    /// The gateway refused the key: somebody has to act.
    Refused,
}

impl Backoff {
    /// No wait is longer than `wait_max`, except after a refusal.
    pub fn new(wait_max: Duration) -> Self {
        Self {
            wait_max,
            ceiling: limits::BACKOFF_FIRST.min(wait_max),
            connected_at: None,
        }
    }

    /// The gateway accepted us at `now`.
    pub fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// The wait before the next attempt.
    pub fn next_wait(&mut self, now: Instant, cause: LossCause, rng: &mut Rng) -> Duration {
        let connected_at = self.connected_at.take();
        if connected_at.is_some_and(|at| now.duration_since(at) >= limits::BACKOFF_RESET_AFTER) {
            self.ceiling = limits::BACKOFF_FIRST.min(self.wait_max);
        }
        if cause == LossCause::Refused {
            return draw(limits::BACKOFF_REFUSED, rng) / 2 + limits::BACKOFF_REFUSED / 2;
        }
        let wait = draw(self.ceiling, rng);
        self.ceiling = (self.ceiling * 2).min(self.wait_max);
        wait
    }
}

fn draw(ceiling: Duration, rng: &mut Rng) -> Duration {
    let ceiling_us = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.below(ceiling_us + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_below_a_ceiling_that_doubles_to_its_end() {
        let now = Instant::now();
        let mut longest = [Duration::ZERO; 10];
        let mut shortest = [Duration::MAX; 10];
        for seed in 0..200 {
            let mut backoff = Backoff::new(limits::BACKOFF_MAX);
            let mut rng = Rng::new(seed);
            for attempt in 0..10 {
                let wait = backoff.next_wait(now, LossCause::Passing, &mut rng);
                let ceiling = limits::BACKOFF_FIRST * 2u32.pow(u32::try_from(attempt).unwrap());
                assert!(wait <= ceiling.min(limits::BACKOFF_MAX));
                longest[attempt] = wait.max(longest[attempt]);
                shortest[attempt] = wait.min(shortest[attempt]);
            }
        }
        assert!(longest[0] > limits::BACKOFF_FIRST * 9 / 10);
        assert!(longest[9] > limits::BACKOFF_MAX * 9 / 10);
        // Full jitter: the whole range from nothing on, or a fleet would come back in a bunch.
        assert!(shortest[0] < limits::BACKOFF_FIRST / 10);
        assert!(shortest[9] < limits::BACKOFF_MAX / 10);
    }

    #[test]
    fn no_wait_is_longer_than_the_operator_wants() {
        let wait_max = Duration::from_millis(100);
        let mut now = Instant::now();
        let mut rng = Rng::new(2);
        let mut backoff = Backoff::new(wait_max);
        for _ in 0..100 {
            assert!(backoff.next_wait(now, LossCause::Passing, &mut rng) <= wait_max);
            backoff.connected(now);
            now += limits::BACKOFF_RESET_AFTER;
        }
    }

    #[test]
    fn a_long_connection_starts_anew_and_a_short_one_does_not() {
        let mut now = Instant::now();
        let mut rng = Rng::new(1);
        let mut backoff = Backoff::new(limits::BACKOFF_MAX);
        for _ in 0..10 {
            backoff.next_wait(now, LossCause::Passing, &mut rng);
        }
        backoff.connected(now);
        now += Duration::from_secs(1);
        backoff.next_wait(now, LossCause::Passing, &mut rng);
        assert_eq!(backoff.ceiling, limits::BACKOFF_MAX);
        backoff.connected(now);
        now += limits::BACKOFF_RESET_AFTER;
        assert!(backoff.next_wait(now, LossCause::Passing, &mut rng) <= limits::BACKOFF_FIRST);
    }

    #[test]
    fn a_refused_key_waits_long_and_never_not_at_all() {
        let mut rng = Rng::new(3);
        let mut backoff = Backoff::new(limits::BACKOFF_MAX);
        for _ in 0..100 {
            let wait = backoff.next_wait(Instant::now(), LossCause::Refused, &mut rng);
            assert!(wait >= limits::BACKOFF_REFUSED / 2 && wait <= limits::BACKOFF_REFUSED);
        }
    }
}
