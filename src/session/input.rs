//! The bytes on their way to a target, up to the end of them.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::progress::Progress;
use super::said::Said;
use crate::base::{Chunks, Pieces};
use crate::limits;

/// See the module. Bounds are the budget's.
pub(super) struct Input {
    queue: Chunks,
    /// Nothing will be queued any more; the write side closes behind the last byte.
    has_ended: bool,
    /// The reactor was told so.
    is_shut: bool,
    progress: Progress,
    /// Bytes that the kernel held when it was last examined.
    in_kernel: usize,
    /// Bytes that were queued since the target last said something.
    unanswered: usize,
}

impl Input {
    /// Nothing waits yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            queue: Chunks::new(),
            has_ended: false,
            is_shut: false,
            progress: Progress::new(now),
            in_kernel: 0,
            unanswered: 0,
        }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// None does.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// It holds memory, used or not.
    pub(super) fn holds_memory(&self) -> bool {
        self.queue.holds_memory()
    }

    /// What waits, as it lies.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.queue.parts()
    }

    /// Queues `bytes`; `false` when nothing more is taken.
    pub(super) fn extend(&mut self, now: Instant, bytes: &[u8], pieces: &mut Pieces) -> bool {
        let takes = self.will_wait(now, bytes.len());
        if takes {
            self.queue.extend(bytes, pieces);
        }
        takes
    }

    /// Queues what lies at `range` of `buffer`, and keeps the buffer; `false` when nothing more is taken.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
        pieces: &mut Pieces,
    ) -> bool {
        let takes = self.will_wait(now, range.len());
        if takes {
            self.queue.keep(buffer, range, pieces);
        }
        takes
    }

    fn will_wait(&mut self, now: Instant, size: usize) -> bool {
        if self.has_ended || size == 0 {
            return false;
        }
        if self.queue.is_empty() {
            self.progress.note_able(now);
        }
        self.unanswered = self.unanswered.saturating_add(size);
        true
    }

    /// Nothing more will be queued.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// The target takes nothing any more: what waits is of no use.
    pub(super) fn refuse(&mut self) {
        self.queue.clear();
        self.has_ended = true;
    }

    /// The write side is to be closed now; true once.
    pub(super) fn take_shutdown(&mut self) -> bool {
        let is_due = self.has_ended && self.queue.is_empty() && !self.is_shut;
        self.is_shut |= is_due;
        is_due
    }

    /// `size` bytes left.
    pub(super) fn consume(&mut self, now: Instant, size: usize, pieces: &mut Pieces) {
        self.queue.consume(size, pieces);
        self.progress.note(now);
    }

    /// Fewer bytes with the kernel than the last time is progress, even where a write has nothing to
    /// show for it.
    pub(super) fn note_in_kernel(&mut self, now: Instant, size: usize) {
        if size < self.in_kernel {
            self.progress.note(now);
        }
        self.in_kernel = size;
    }

    /// The target said something.
    pub(super) fn answer(&mut self) -> Said {
        match std::mem::take(&mut self.unanswered) < limits::GATHER_ANSWERED_BYTES {
            true => Said::Word,
            false => Said::Answer,
        }
    }

    /// There is somebody now who can take what waits.
    pub(super) fn note_able(&mut self, now: Instant) {
        self.progress.note_able(now);
    }

    /// From now on it is looked at whether it moves.
    pub(super) fn watch(&mut self, now: Instant) {
        self.progress.note(now);
        self.progress.note_look(now, Duration::ZERO);
    }

    /// A look at whether it moves; since when it has not, under looks that followed each other within
    /// `gap_max`.
    pub(super) fn note_look(&mut self, now: Instant, gap_max: Duration) -> Instant {
        self.progress.note_look(now, gap_max)
    }

    /// When it moved last.
    pub(super) fn progress_at(&self) -> Instant {
        self.progress.made_at()
    }

    /// Gives memory back when it has not been needed for a while; `true` when none is held any more.
    pub(super) fn release_idle(&mut self, now: Instant) -> bool {
        let idle_for = now.saturating_duration_since(self.progress.made_at());
        if self.queue.is_empty() && idle_for >= limits::QUEUE_IDLE_AFTER {
            self.queue.clear();
        }
        !self.queue.holds_memory()
    }
}
