//! The world's own source of chance: one seed, one sequence, the same on every machine.

use std::time::Duration;

/// splitmix64. Not the product's generator, so that neither can hide the other's mistake.
pub struct Dice(u64);

impl Dice {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        let span = (high - low) as u64 + 1;
        low + usize::try_from(self.roll() % span).unwrap()
    }

    /// True in `per_mille` of a thousand cases.
    pub fn chance(&mut self, per_mille: usize) -> bool {
        self.between(0, 999) < per_mille
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.between(0, choices.len() - 1)]
    }

    /// An index, drawn by weight.
    pub fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.between(0, weights.iter().sum::<usize>() - 1);
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        unreachable!("the weights were summed")
    }

    /// A time up to `max`.
    pub fn time(&mut self, max: Duration) -> Duration {
        let max_us = usize::try_from(max.as_micros()).unwrap();
        Duration::from_micros(self.between(0, max_us) as u64)
    }

    /// A size: mostly small, sometimes up to `max`.
    pub fn size(&mut self, max: usize) -> usize {
        let cap = self.pick(&[1, 16, 200, 2_000, 20_000, max, max]);
        self.between(0, cap.min(max))
    }
}
