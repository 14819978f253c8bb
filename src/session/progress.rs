//! Whether what waits for somebody moves, as far as anybody has looked.

use std::time::{Duration, Instant};

/// The last progress, and the looks since.
#[derive(Debug)]
pub(super) struct Progress {
    /// Something was taken, or began to wait.
    made_at: Instant,
    /// Since when it is being looked at without having moved, and the last look.
    watched: Option<(Instant, Instant)>,
}

impl Progress {
    /// Begins at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            made_at: now,
            watched: None,
        }
    }

    /// When it was made last.
    pub(super) fn made_at(&self) -> Instant {
        self.made_at
    }

    /// Bytes begin to wait, or there is somebody now who can take them: none could have been taken before.
    pub(super) fn note_able(&mut self, now: Instant) {
        self.made_at = now;
    }

    /// Something was taken.
    pub(super) fn note(&mut self, now: Instant) {
        self.made_at = now;
        self.watched = None;
    }

    /// One more look; since when nothing has moved under looks that followed each other within `gap_max`.
    pub(super) fn note_look(&mut self, now: Instant, gap_max: Duration) -> Instant {
        let since = match self.watched {
            Some((since, last)) if now <= last + gap_max => since,
            _ => now,
        };
        self.watched = Some((since, now));
        since
    }
}
