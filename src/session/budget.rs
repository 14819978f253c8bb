//! All arithmetic of what waits, and of the credit that may bring more. Pure: no target is known here.
//!
//! One stalled target must not take the memory, or the stream, from the others. All sessions share one
//! stream without credit of their own. Below half of the byte budget nothing is restricted. Above it
//! (*pressure*) the credit outstanding on the stream shrinks, and who holds much of it while nothing was
//! taken for a while is closed (`reports.rs`). Who progresses, however slowly, is never closed (design 4.1).
//!
//! Under pressure credit comes back as fast as bytes leave, and beyond that only at a pace which
//! never uses up the rest of the budget before a stalled relay is due. So the neighbours of a flood
//! are slowed down, but never wait for the verdict.
//!
//! The pace is fast at first and the portions are small. While the gateway has no credit its senders
//! wait side by side, and when there is credit again its library wakes one of them and may
//! forget the others (`docs/reliability.md`): the shorter each wait, the fewer of them meet.

use std::time::{Duration, Instant};

use crate::limits;

/// See the module.
pub(super) struct Budget {
    /// Bytes that may wait.
    most: usize,
    /// How long somebody may take nothing while memory is short.
    stall_max: Duration,
    waiting: usize,
    /// Bytes that left since credit was last given: they may be replaced at once.
    drained: usize,
    /// Credit beyond that, which grows with time while there is pressure.
    allowance: usize,
    allowed_at: Option<Instant>,
}

/// What may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Credit {
    /// Now.
    pub(super) given: u32,
    /// A portion will have been earned in [`limits::CREDIT_TICK`].
    pub(super) is_more_due: bool,
}

impl Budget {
    /// Nothing waits.
    pub(super) fn new(most: usize, stall_max: Duration) -> Self {
        Self {
            most,
            stall_max,
            waiting: 0,
            drained: 0,
            allowance: 0,
            allowed_at: None,
        }
    }

    /// Bytes that may wait.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Bytes that wait, exactly.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// `size` bytes wait from now on.
    pub(super) fn take(&mut self, size: usize) {
        self.waiting += size;
    }

    /// `size` of them have reached whom they waited for.
    pub(super) fn deliver(&mut self, size: usize) {
        self.waiting -= size;
        self.drained += size;
    }

    /// `size` of them are of no use any more.
    pub(super) fn discard(&mut self, size: usize) {
        self.waiting -= size;
    }

    /// `size` bytes came and left nothing behind: they may be replaced at once, or a message that is
    /// passed over would hold up everybody for as long as the pace allows.
    pub(super) fn pass_over(&mut self, size: usize) {
        self.drained += size;
    }

    /// A payload of this size is worth a buffer of its own, and there is memory to spare: a buffer may
    /// be twice as large as what it holds.
    pub(super) fn may_keep(&self, size: usize) -> bool {
        size >= limits::KEPT_PAYLOAD_BYTES_MIN && self.waiting + size <= self.most / 8
    }

    /// The credit that the stream should have outstanding, given what already waits here. It
    /// shrinks as the first half of the budget fills, so that all of it can't run into the second.
    pub(super) fn credit_wanted(&self) -> u32 {
        let least = limits::STREAM_WINDOW_UNDER_PRESSURE as usize;
        let free = self.half().saturating_sub(self.waiting).max(least);
        u32::try_from(free.min(self.left()))
            .unwrap_or(u32::MAX)
            .min(limits::STREAM_WINDOW)
    }

    /// More than half of the budget waits.
    pub(super) fn is_under_pressure(&self) -> bool {
        self.waiting > self.half()
    }

    /// What may wait for one without its being looked at. When the budget is all but used up by many
    /// that hold little, nobody would ever leave: then the size does not matter.
    pub(super) fn held_max(&self) -> usize {
        let is_full = self.credit_wanted() < limits::STREAM_WINDOW_UNDER_PRESSURE;
        if is_full {
            0
        } else {
            limits::STALLED_BYTES_MAX
        }
    }

    /// Who has taken nothing for this long under pressure has stalled.
    pub(super) fn stall_max(&self) -> Duration {
        self.stall_max
    }

    /// How much of `missing` credit may be given now.
    pub(super) fn take_credit(&mut self, now: Instant, missing: u32) -> Credit {
        if !self.is_under_pressure() {
            self.drained = 0;
            self.allowed_at = None;
            return Credit {
                given: missing,
                is_more_due: false,
            };
        }
        let since = now.saturating_duration_since(*self.allowed_at.get_or_insert(now));
        let earned = self.earned(since);
        if earned > 0 {
            self.allowed_at = Some(now);
        }
        let cap = limits::STREAM_WINDOW_UNDER_PRESSURE as usize;
        self.allowance = self.allowance.saturating_add(earned).min(cap);
        let given = (missing as usize).min(self.drained.saturating_add(self.allowance));
        // When little is left of the budget a portion takes longer to earn: what leaves, and the next
        // look at the relays, bring it soon enough.
        let is_more_due = given < missing as usize
            && self.earned(limits::CREDIT_TICK) >= limits::CREDIT_PORTION_MIN;
        if given < limits::CREDIT_PORTION_MIN {
            let given = 0;
            return Credit { given, is_more_due };
        }
        let paced = given.saturating_sub(self.drained);
        self.drained = self.drained.saturating_sub(given);
        self.allowance -= paced;
        Credit {
            given: u32::try_from(given).unwrap_or(missing),
            is_more_due,
        }
    }

    /// Credit that `since` earns, beyond what left: the first eighth of the half that is left when
    /// pressure begins goes fast, the rest lasts until a stalled relay is due.
    fn earned(&self, since: Duration) -> usize {
        let share = |bytes: usize, lasts: Duration| {
            bytes as u128 * since.as_micros() / lasts.as_micros().max(1)
        };
        let left = self.left();
        let half = self.half();
        let fast = share(left.saturating_sub(half - half / 8), limits::PRESSURE_RUSH);
        let steady = share(left, self.stall_max);
        usize::try_from(fast + steady).unwrap_or(usize::MAX)
    }

    /// What may wait before there is pressure.
    fn half(&self) -> usize {
        self.most / 2
    }

    fn left(&self) -> usize {
        self.most.saturating_sub(self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What can happen to a budget.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// So many thousandths of the credit that the peer has arrive.
        Arrives(usize),
        /// So many thousandths of what waits are taken.
        Delivers(usize),
        Discards(usize),
        Passes(usize),
        /// Credit is asked for after so many milliseconds.
        Asks(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let part = || 0usize..=1000;
        prop_oneof![
            part().prop_map(Step::Arrives),
            part().prop_map(Step::Delivers),
            part().prop_map(Step::Discards),
            (0usize..100_000).prop_map(Step::Passes),
            (0u64..2000).prop_map(Step::Asks),
        ]
    }

    proptest! {
        #[test]
        fn what_waits_is_exact_and_credit_never_promises_more_than_there_is(
            most in (1usize << 20)..(32 << 20),
            steps in proptest::collection::vec(step(), 0..300),
        ) {
            let mut budget = Budget::new(most, limits::STALL_MAX);
            let mut now = Instant::now();
            let (mut waiting, mut outstanding) = (0, 0);
            // What may be given at once: bytes that left since there was pressure.
            let mut left_behind = 0;
            for step in steps {
                match step {
                    Step::Arrives(part) => {
                        let size = outstanding * part / 1000;
                        outstanding -= size;
                        waiting += size;
                        budget.take(size);
                    }
                    Step::Delivers(part) | Step::Discards(part) => {
                        let size = waiting * part / 1000;
                        waiting -= size;
                        match step {
                            Step::Delivers(_) => {
                                left_behind += size;
                                budget.deliver(size);
                            }
                            _ => budget.discard(size),
                        }
                    }
                    Step::Passes(size) => {
                        let size = size.min(outstanding);
                        outstanding -= size;
                        left_behind += size;
                        budget.pass_over(size);
                    }
                    Step::Asks(millis) => {
                        now += Duration::from_millis(millis);
                        let missing = (budget.credit_wanted() as usize).saturating_sub(outstanding);
                        let missing = u32::try_from(missing).unwrap();
                        let was_pressed = budget.is_under_pressure();
                        let credit = budget.take_credit(now, missing);
                        let given = credit.given as usize;
                        prop_assert!(credit.given <= missing);
                        if was_pressed {
                            prop_assert!(given == 0 || given >= limits::CREDIT_PORTION_MIN);
                            let cap = limits::STREAM_WINDOW_UNDER_PRESSURE as usize;
                            prop_assert!(given <= left_behind + cap);
                            left_behind = left_behind.saturating_sub(given);
                        } else {
                            prop_assert_eq!(credit, Credit { given: missing, is_more_due: false });
                            left_behind = 0;
                        }
                        outstanding += given;
                    }
                }
                prop_assert_eq!(budget.waiting(), waiting);
                prop_assert_eq!(budget.is_under_pressure(), waiting > most / 2);
                prop_assert!(waiting + outstanding <= most, "{waiting} and {outstanding} of {most}");
                let is_full = waiting + limits::STREAM_WINDOW_UNDER_PRESSURE as usize > most;
                prop_assert_eq!(budget.held_max() == 0, is_full);
                prop_assert!(!budget.may_keep(most));
            }
        }

        /// A flood that nobody takes is slowed down, but finds credit until its relay is due.
        #[test]
        fn the_rest_of_the_budget_outlasts_the_verdict(
            most in (4usize << 20)..(64 << 20), pause_ms in 1u64..100,
        ) {
            let mut budget = Budget::new(most, limits::STALL_MAX);
            let mut now = Instant::now();
            budget.take(most / 2 + 1);
            let until = now + limits::STALL_MAX;
            let mut given = 0;
            while now < until {
                let credit = budget.take_credit(now, budget.credit_wanted());
                budget.take(credit.given as usize);
                given += credit.given as usize;
                now += Duration::from_millis(pause_ms);
            }
            prop_assert!(given >= most / 16, "{given} of {most}");
            prop_assert!(budget.left() > most / 16, "{} of {most}", budget.left());
        }
    }
}
