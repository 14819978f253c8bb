//! What an operator may set of the bounds.

use std::time::Duration;

use crate::limits;

/// What an operator may set.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Relays of all sessions.
    pub relay_count_max: usize,
    /// Bytes waiting for all targets.
    pub queue_bytes_max: usize,
    /// How long a target may take nothing while memory is short.
    pub stall_max: Duration,
    /// How long the output of a command that has ended may go on.
    pub output_after_exit_max: Duration,
    /// How long a target's machine may acknowledge nothing.
    pub silence_max: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            relay_count_max: limits::RELAY_COUNT_MAX,
            queue_bytes_max: limits::QUEUE_BYTES_MAX,
            stall_max: limits::STALL_MAX,
            output_after_exit_max: limits::OUTPUT_AFTER_EXIT_MAX,
            silence_max: limits::TARGET_SILENCE_MAX,
        }
    }
}
