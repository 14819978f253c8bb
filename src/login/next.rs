//! Where a state of a login leads: the same for all dialects.

use super::{Refusal, Step};

/// What a state came to. An error has not been said to the client yet, but [`super::Cause::Said`].
pub(super) type Outcome<L> = Result<Next<L>, Refusal>;

/// Where a state leads.
pub(super) enum Next<L> {
    /// On with this, there may be enough bytes.
    Go(L),
    /// The owner is to do something first.
    Leave(Step<L>),
}

impl<L> Next<L> {
    pub(super) fn go(state: impl Into<L>) -> Outcome<L> {
        Ok(Self::Go(state.into()))
    }

    pub(super) fn wait(state: impl Into<L>) -> Outcome<L> {
        Ok(Self::Leave(Step::Wait(state.into())))
    }
}
