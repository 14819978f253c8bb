//! One end of a relay: a TCP connection or a process, seen without its descriptors.
//!
//! ```text
//!            connected / spawned                 client left, or target ended
//!  Starting ----------------------> Streaming --------------------------------> Lingering -> gone
//!      |                                |                                            ^
//!      +--- failed: gone                +--- process: leader exited, output drains --+
//! ```
//!
//! A target owns the bytes that wait for it; the reactor borrows them, writes, and reports.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::draining::Drain;
use super::output::End;
use super::shares::UserKey;
use crate::base::{Chunks, Key, Pieces, TimerId};
use crate::limits;

/// Names a target in the core and in the reactor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TargetId(pub Key);

/// Names a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SessionKey(pub Key);

/// The client's name for one TCP connection; opaque, compared exactly.
pub type ConnectionId = Box<[u8]>;

/// Which of a target's outputs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Channel {
    /// Socket, terminal, or standard output.
    Output,
    /// Standard error of a process without a terminal.
    Error,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// By itself.
    Code(u8),
    /// By a signal of this number.
    Signal(u8),
}

impl Exit {
    /// The code that the client is told; never negative, 128 and more for a signal.
    pub fn code(self) -> u16 {
        match self {
            Self::Code(code) => u16::from(code),
            Self::Signal(number) => 128 + u16::from(number),
        }
    }
}

/// What a target is.
#[derive(Debug)]
pub enum Kind {
    /// The address check before a session opens.
    Probe,
    /// A connection of a TCP session.
    Tcp(ConnectionId),
    /// A command with pipes.
    Exec,
    /// A command on a terminal.
    Terminal,
}

impl Kind {
    /// A process, not a connection.
    pub fn is_process(&self) -> bool {
        matches!(self, Self::Exec | Self::Terminal)
    }
}

/// What targets have said to their clients of late, and what that tells of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Said {
    /// Nothing.
    #[default]
    Nothing,
    /// Something behind bulk data, as a server does that confirms what it has got: its client may wait
    /// for it, or send on all the while.
    Answer,
    /// Something else: somebody may be at work.
    Word,
}

/// Where in its life a target is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Being dialled or spawned.
    Starting,
    /// Bytes flow.
    Streaming,
    /// Only what is queued for it still flows; what it says is no longer relayed.
    Lingering,
}

/// One target.
pub struct Target {
    /// Its session; `None` once that ended and only the queue is left to deliver.
    pub session: Option<SessionKey>,
    /// Whose it is, also when the session is over.
    pub(super) user: UserKey,
    /// Secret files of the process.
    pub(super) files: usize,
    /// What it is.
    pub kind: Kind,
    /// Where in its life it is.
    pub phase: Phase,
    /// Bytes waiting for it. The owner of the table counts them.
    pub queue: Chunks,
    /// Nothing will be queued any more; the write side closes behind the last byte.
    pub input_ended: bool,
    /// The reactor was told so, or closed the write side by itself.
    pub write_closed: bool,
    /// Outputs that have not ended yet: [`Channel::Output`], [`Channel::Error`].
    pub open: [bool; 2],
    /// The process's leader has ended, and its output is read for a while.
    pub drain: Option<Box<Drain>>,
    /// How its processes will end.
    pub end: End,
    /// When it last took bytes, or when bytes began to wait.
    pub progress: Instant,
    /// Since when it is being looked at without having moved, and the last look.
    pub watched: Option<(Instant, Instant)>,
    /// Bytes that the kernel held for it when it was last examined.
    pub in_kernel: usize,
    /// Bytes that were queued for it since it last said something.
    pub unanswered: usize,
    /// Since when its machine was seen to acknowledge nothing.
    pub silent_since: Option<Instant>,
    /// Its one deadline: connecting, a look at its machine, lingering, draining.
    pub timer: Option<TimerId>,
    /// It stands in the list of targets that the reactor has to look at.
    pub is_dirty: bool,
}

impl Target {
    /// A target that is about to be dialled or spawned.
    pub(super) fn new(session: SessionKey, user: UserKey, kind: Kind, now: Instant) -> Self {
        let has_error_channel = matches!(kind, Kind::Exec);
        Self {
            session: Some(session),
            user,
            files: 0,
            kind,
            phase: Phase::Starting,
            queue: Chunks::new(),
            input_ended: false,
            write_closed: false,
            open: [true, has_error_channel],
            drain: None,
            end: End::Forced,
            progress: now,
            watched: None,
            in_kernel: 0,
            unanswered: 0,
            silent_since: None,
            timer: None,
            is_dirty: false,
        }
    }

    /// Queues `bytes`.
    pub fn enqueue(&mut self, now: Instant, bytes: &[u8], pieces: &mut Pieces) {
        self.will_wait(now, bytes.len());
        self.queue.extend(bytes, pieces);
    }

    /// Queues what lies at `range` of `buffer`, and keeps the buffer.
    pub fn keep(
        &mut self,
        now: Instant,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
        pieces: &mut Pieces,
    ) {
        self.will_wait(now, range.len());
        self.queue.keep(buffer, range, pieces);
    }

    fn will_wait(&mut self, now: Instant, size: usize) {
        if self.queue.is_empty() {
            self.progress = now;
        }
        self.unanswered = self.unanswered.saturating_add(size);
    }

    /// It said something.
    pub fn said(&mut self) -> Said {
        match std::mem::take(&mut self.unanswered) < limits::GATHER_ANSWERED_BYTES {
            true => Said::Word,
            false => Said::Answer,
        }
    }

    /// `size` bytes left.
    pub fn wrote(&mut self, now: Instant, size: usize, pieces: &mut Pieces) {
        self.queue.consume(size, pieces);
        self.moved(now);
    }

    /// It has taken something.
    pub fn moved(&mut self, now: Instant) {
        self.progress = now;
        self.watched = None;
    }

    /// One more look at it; since when it has not moved under looks that followed each other
    /// within `gap_max`.
    pub fn look(&mut self, now: Instant, gap_max: Duration) -> Instant {
        let since = match self.watched {
            Some((since, last)) if now <= last + gap_max => since,
            _ => now,
        };
        self.watched = Some((since, now));
        since
    }

    /// Gives the queue's memory back when it has not been needed for a while; `true` when none is
    /// held any more.
    pub fn release_idle(&mut self, now: Instant) -> bool {
        let is_idle = now.saturating_duration_since(self.progress) >= limits::QUEUE_IDLE_AFTER;
        if self.queue.is_empty() && is_idle {
            self.queue.clear();
        }
        !self.queue.holds_memory()
    }

    /// The write side is to be closed now.
    pub fn wants_shutdown(&self) -> bool {
        self.input_ended
            && self.queue.is_empty()
            && !self.write_closed
            && self.phase != Phase::Starting
    }

    /// What it says goes to the gateway.
    pub fn is_relayed(&self) -> bool {
        self.phase == Phase::Streaming && self.session.is_some()
    }

    /// Both outputs have ended.
    pub fn is_silent(&self) -> bool {
        self.open == [false, false]
    }
}

impl Channel {
    /// Position in [`Target::open`].
    pub fn index(self) -> usize {
        match self {
            Self::Output => 0,
            Self::Error => 1,
        }
    }
}
