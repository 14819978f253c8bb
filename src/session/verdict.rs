//! What follows from each change in the life of a target (`target.rs`).

use std::time::{Duration, Instant};

/// What follows from `Target::start`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Started {
    /// Its owner goes on.
    Streams,
    /// The owner has left meanwhile: it lingers from now on.
    Deserted,
}

/// What follows from `Target::linger`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Linger {
    /// There is nothing to deliver, or to wait for.
    Gone,
    /// It has to start first.
    Starts,
    /// It is looked at in `limits::LINGER_LOOK`, the kernel's part now if some of its queue waits.
    Looks {
        /// Bytes of its queue wait.
        has_rest: bool,
    },
}

/// What follows from `Target::end_channel` and `Target::break_off`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// Nothing yet.
    Stays,
    /// A process whose output is over.
    Finished,
    /// Nobody has to hear of it.
    Gone {
        /// It broke.
        reset: bool,
    },
    /// Its owner has to hear of it.
    Heard {
        /// It broke.
        reset: bool,
    },
}

/// What follows from `Target::overdue`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Overdue {
    /// It did not start in time.
    Failed,
    /// It has had its time.
    Gone {
        /// It lacks something.
        reset: bool,
    },
    /// Later again, and a look at what the kernel holds where that is meant.
    Looks {
        /// When.
        next: Instant,
        /// The kernel may still deliver.
        examines: bool,
    },
    /// What is known about its machine is to be seen.
    AskPeer,
    /// A process whose output is over.
    Finished,
    /// A process whose leader has ended, and whose output goes on and on.
    Cut {
        /// Bytes since the leader's end.
        size: usize,
        /// And time.
        after: Duration,
    },
    /// Nothing is due.
    Stays,
}

/// What follows from `Target::note_peer`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PeerSeen {
    /// Nothing is under way to it.
    Settled,
    /// It is to be seen again.
    Watched,
    /// It has acknowledged nothing for so long.
    Vanished(Duration),
}
