//! How large a payload may be right now.
//!
//! Large payloads are what the gateway's speed depends on, but whatever is in front of a keystroke
//! delays it. So the cap follows the line: what it drained in the last few milliseconds; and while
//! it drains all that it gets, the cap grows.

use std::time::Instant;

use crate::limits;

/// The cap and what it is derived from.
pub struct Pace {
    payload_max: usize,
    period_start: Instant,
    drained: usize,
    ran_empty: bool,
}

impl Pace {
    /// Starts carefully.
    pub fn new(now: Instant) -> Self {
        Self {
            payload_max: limits::PAYLOAD_BYTES_MIN * 4,
            period_start: now,
            drained: 0,
            ran_empty: false,
        }
    }

    /// The largest payload to put on the line now, and the most to let wait in front of it.
    pub fn payload_max(&self) -> usize {
        self.payload_max
    }

    /// The socket took `size` bytes; `is_empty` when nothing is left for it.
    pub fn sent(&mut self, now: Instant, size: usize, is_empty: bool) {
        self.drained += size;
        self.ran_empty |= is_empty;
        let elapsed = now.saturating_duration_since(self.period_start);
        if elapsed < limits::PAYLOAD_PERIOD {
            return;
        }
        let periods = elapsed.as_secs_f64() / limits::PAYLOAD_PERIOD.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rate estimate; the result is clamped"
        )]
        let per_period = (self.drained as f64 / periods) as usize;
        let wanted = if self.ran_empty {
            self.payload_max * 2
        } else {
            per_period
        };
        self.payload_max = wanted.clamp(limits::PAYLOAD_BYTES_MIN, limits::PAYLOAD_BYTES_MAX);
        self.period_start = now;
        self.drained = 0;
        self.ran_empty = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_that_takes_everything_gets_the_largest_payloads() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..20 {
            now += limits::PAYLOAD_PERIOD;
            pace.sent(now, 100_000, true);
        }
        assert_eq!(pace.payload_max(), limits::PAYLOAD_BYTES_MAX);
    }

    #[test]
    fn a_slow_line_gets_what_it_drains_in_a_period() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..5 {
            now += Duration::from_millis(10);
            pace.sent(now, 100_000, false);
        }
        assert!(
            (49_000..=51_000).contains(&pace.payload_max()),
            "{}",
            pace.payload_max()
        );
        now += Duration::from_secs(1);
        pace.sent(now, 1000, false);
        assert_eq!(pace.payload_max(), limits::PAYLOAD_BYTES_MIN);
    }
}
