//! One budget for all frames that cost us work and carry nothing for us.
//!
//! A peer may send PING, SETTINGS, RST_STREAM, WINDOW_UPDATE, empty DATA and unknown frames as it
//! likes, and each has been used to keep the other side busy. How many are honest depends on the
//! traffic: grpc-go answers bulk data with a WINDOW_UPDATE for each frame and a PING for each
//! round trip. So real data earns such frames, and beyond that a fixed number a second is free.

use std::time::{Duration, Instant};

use super::error::{ErrorCode, Fault};
use crate::limits::{H2_NUISANCES_EARNED_MAX, H2_NUISANCES_PER_SECOND_MAX};

/// The budget of one connection.
#[derive(Default)]
pub(super) struct Nuisances {
    earned: u32,
    /// Spent in the second that began at `since`.
    spent: u32,
    since: Option<Instant>,
}

impl Nuisances {
    /// Data went over the connection.
    pub(super) fn earn(&mut self, frames: u32) {
        self.earned = (self.earned + frames).min(H2_NUISANCES_EARNED_MAX);
    }

    /// One such frame has come.
    pub(super) fn spend(&mut self, now: Instant) -> Result<(), Fault> {
        if let Some(left) = self.earned.checked_sub(1) {
            self.earned = left;
            return Ok(());
        }
        let over = |since: Instant| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(over) {
            self.since = Some(now);
            self.spent = 0;
        }
        self.spent += 1;
        if self.spent > H2_NUISANCES_PER_SECOND_MAX {
            return Err(Fault::connection(
                ErrorCode::ENHANCE_YOUR_CALM,
                "too many frames without data",
            ));
        }
        Ok(())
    }
}
