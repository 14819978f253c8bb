//! How far the agent is on its way out: sessions first, then the stream, then the link.

use super::agenda::Outcome;

/// See the module. Only ever goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Nobody has asked for it.
    NotYet,
    /// No new sessions; running ones may finish.
    Draining,
    /// Every session is closed; the gateway has a moment to confirm that.
    Confirming,
    /// There is nothing left to be done.
    Over(Outcome),
}

impl Leaving {
    /// It was asked for.
    pub(super) fn is_asked(self) -> bool {
        !matches!(self, Self::NotYet | Self::Over(Outcome::KeyRefused))
    }
}
