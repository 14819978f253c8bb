//! When the link's socket may let bytes gather before it wakes us.
//!
//! A gateway that relays an upload sends two TLS records for each 32 KiB of the user's, tens of
//! thousands a second, and to be woken for each costs more than to move it. While bytes flow to
//! targets and nobody is at work in the other direction, the socket is therefore waited for with a
//! low-water mark and a deadline. A pure rule: clock and counts in, a [`Wait`] out. What it is
//! worth stands in docs/benchmarks.md.
//!
//! Promises: a mark above one byte comes with a deadline, at most [`limits::GATHER_WAIT_MAX`] after
//! the last read; a flow of some length is held up by at most a sixteenth of that length when it
//! stops; who waits for an answer waits for a deadline once, and then not again for a while. Where the
//! system has no such mark, the owner may ignore the rule altogether.

use std::time::{Duration, Instant};

use crate::limits;

/// How the link's socket is to be waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// Bytes that make the socket readable.
    pub low_water: usize,
    /// When to read, however little has come. Always set where `low_water` is above one.
    pub until: Option<Instant>,
}

impl Wait {
    /// Whatever comes is read at once.
    pub const AT_ONCE: Self = Self {
        low_water: 1,
        until: None,
    };
}

/// What is known of the flow. See the module.
pub struct Gather {
    /// The stretch that is being measured: its start, and what came in it.
    stretch_start: Instant,
    stretch_bytes: usize,
    /// Bytes a millisecond of the last whole stretch.
    rate: u128,
    /// Since when bytes flow fast enough.
    burst_start: Option<Instant>,
    last_read: Instant,
    /// When somebody was last seen at work.
    interrupted: Option<Instant>,
    /// The flow had stopped before the last deadline came.
    is_stopped: bool,
}

impl Gather {
    /// Nothing has come yet.
    pub fn new(now: Instant) -> Self {
        Self {
            stretch_start: now,
            stretch_bytes: 0,
            rate: 0,
            burst_start: None,
            last_read: now,
            interrupted: None,
            is_stopped: false,
        }
    }

    /// The socket brought `size` bytes.
    pub fn received(&mut self, now: Instant, size: usize) {
        self.last_read = now;
        self.stretch_bytes += size;
        let lasted = now.saturating_duration_since(self.stretch_start);
        if lasted < limits::GATHER_STRETCH {
            return;
        }
        self.rate = self.stretch_bytes as u128 * 1000 / lasted.as_micros();
        let needed = match self.burst_start {
            None => limits::GATHER_BEGIN_RATE,
            Some(_) => limits::GATHER_KEEP_RATE,
        };
        self.burst_start = match self.rate >= needed {
            true => self.burst_start.or(Some(self.stretch_start)),
            false => None,
        };
        self.stretch_start = now;
        self.stretch_bytes = 0;
    }

    /// A deadline is over, and nothing has come for the last `silence` of it.
    pub fn waited(&mut self, silence: Duration) {
        self.is_stopped = silence >= limits::GATHER_STOPPED;
    }

    /// A target answered bulk data. Where that had stopped before, its sender was waiting for the
    /// answer, and we have made it wait longer.
    pub fn answered(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_stopped) {
            self.interrupt(now);
        }
    }

    /// A target said something that was no answer to bulk data: somebody may be at work.
    pub fn interrupt(&mut self, now: Instant) {
        self.interrupted = Some(now);
    }

    /// How to wait now, when the gateway should have `credit_wanted` bytes of credit: with little
    /// of it the sender could not fill the mark.
    pub fn wait(&self, now: Instant, credit_wanted: u32) -> Wait {
        let Some(burst_start) = self.burst_start else {
            return Wait::AT_ONCE;
        };
        let age = self.last_read.saturating_duration_since(burst_start);
        let patience = (age / limits::GATHER_AGE_PER_WAIT)
            .clamp(limits::GATHER_WAIT_MIN, limits::GATHER_WAIT_MAX);
        let until = self.last_read + patience;
        let is_at_work = self
            .interrupted
            .is_some_and(|at| now < at + limits::GATHER_PAUSE);
        if is_at_work
            || now >= until
            || self.rate >= limits::GATHER_END_RATE
            || credit_wanted < limits::GATHER_CREDIT_MIN
        {
            return Wait::AT_ONCE;
        }
        Wait {
            low_water: limits::GATHER_BYTES,
            until: Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);
    const CREDIT: u32 = limits::STREAM_WINDOW;

    /// `rate` bytes a millisecond for `time`, read every millisecond.
    fn flow(gather: &mut Gather, now: &mut Instant, rate: usize, time: Duration) {
        let end = *now + time;
        while *now < end {
            *now += MS;
            gather.received(*now, rate);
        }
    }

    #[test]
    fn a_trickling_flood_is_gathered_until_it_stops() {
        let mut now = Instant::now();
        let mut gather = Gather::new(now);
        flow(&mut gather, &mut now, 38_000, 20 * MS);
        assert_eq!(gather.wait(now, CREDIT), Wait::AT_ONCE);
        flow(&mut gather, &mut now, 38_000, 500 * MS);
        let wait = gather.wait(now, CREDIT);
        assert_eq!(wait.low_water, limits::GATHER_BYTES);
        assert_eq!(wait.until, Some(now + limits::GATHER_WAIT_MAX));
        // The read at the deadline brought nothing: no further wait without a byte.
        now += limits::GATHER_WAIT_MAX;
        assert_eq!(gather.wait(now, CREDIT), Wait::AT_ONCE);
        // A lone byte long afterwards belongs to no flood.
        now += 1000 * MS;
        gather.received(now, 1);
        assert_eq!(gather.wait(now, CREDIT), Wait::AT_ONCE);
    }

    #[test]
    fn who_is_at_work_is_left_alone_for_a_while() {
        let mut now = Instant::now();
        let mut gather = Gather::new(now);
        flow(&mut gather, &mut now, 38_000, 500 * MS);
        gather.interrupt(now);
        flow(&mut gather, &mut now, 38_000, limits::GATHER_PAUSE - MS);
        assert_eq!(gather.wait(now, CREDIT), Wait::AT_ONCE);
        flow(&mut gather, &mut now, 38_000, MS);
        assert!(gather.wait(now, CREDIT).until.is_some());
    }

    #[test]
    fn an_answer_counts_only_where_the_flow_had_stopped_for_it() {
        let mut now = Instant::now();
        let mut gather = Gather::new(now);
        flow(&mut gather, &mut now, 38_000, 500 * MS);
        gather.waited(Duration::ZERO);
        gather.answered(now);
        assert!(gather.wait(now, CREDIT).until.is_some());
        gather.waited(limits::GATHER_STOPPED);
        assert!(gather.wait(now, CREDIT).until.is_some());
        gather.answered(now);
        assert_eq!(gather.wait(now, CREDIT), Wait::AT_ONCE);
        flow(&mut gather, &mut now, 38_000, limits::GATHER_PAUSE);
        gather.answered(now);
        assert!(gather.wait(now, CREDIT).until.is_some());
    }

    #[test]
    fn slow_fast_and_starved_flows_are_read_at_once() {
        for (rate, credit) in [(7_000, CREDIT), (130_000, CREDIT), (38_000, 4 << 20)] {
            let mut now = Instant::now();
            let mut gather = Gather::new(now);
            flow(&mut gather, &mut now, rate, 500 * MS);
            let wait = gather.wait(now, credit - 1);
            assert_eq!(wait, Wait::AT_ONCE, "{rate} {credit}");
        }
    }

    proptest! {
        /// Whatever came when: a mark has a deadline that lies ahead and within both bounds.
        #[test]
        fn no_wait_is_without_bound(
            reads in proptest::collection::vec((0u64..50_000, 0usize..1_000_000, 0u8..20), 1..300),
            credit in any::<u32>(),
            look_us in 0u64..20_000,
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut gather = Gather::new(now);
            let mut last_read = now;
            for (pause_us, size, chance) in reads {
                now += Duration::from_micros(pause_us);
                gather.received(now, size);
                last_read = now;
                if chance == 0 {
                    gather.interrupt(now);
                }
            }
            now += Duration::from_micros(look_us);
            let wait = gather.wait(now, credit);
            match wait.until {
                None => prop_assert_eq!(wait, Wait::AT_ONCE),
                Some(until) => {
                    let age = last_read.saturating_duration_since(start);
                    let most = (age / 16).clamp(limits::GATHER_WAIT_MIN, limits::GATHER_WAIT_MAX);
                    prop_assert!(until > now);
                    prop_assert!(until <= last_read + most);
                    prop_assert!(credit >= limits::GATHER_CREDIT_MIN);
                }
            }
        }
    }
}
