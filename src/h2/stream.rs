//! The state of our streams (RFC 9113 section 5.1), as far as a client without push has them.
//!
//! ```text
//!          open_stream          end / END_STREAM sent
//!   idle -------------> open ---------------------> half-closed (local)
//!                        |  END_STREAM received          |  END_STREAM received
//!                        v                               v
//!               half-closed (remote) ----------------> closed   (RST_STREAM: from any state)
//! ```
//!
//! Open and half-closed streams are `Stream`s, closed ones are only numbers below the next one.
//! Those that we reset are remembered for a while, since frames for them may be under way.

use std::collections::VecDeque;

use super::flow::{RecvWindow, SendWindow};
use crate::limits::H2_STREAMS_RESET_MAX;

/// The number of a stream of ours; never used again on the same connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub(super) u32);

impl StreamId {
    /// The number on the wire.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// What the peer may send next on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recv {
    /// The response's header list; so many informational ones have come.
    Head { informational: u8 },
    /// DATA or trailers.
    Content,
    /// Nothing: it has ended its side.
    Closed,
}

/// A stream that is not closed.
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) recv: Recv,
    pub(super) send_open: bool,
    pub(super) send_window: SendWindow,
    pub(super) recv_window: RecvWindow,
    /// WINDOW_UPDATE frames that the peer has sent for it.
    pub(super) credit_count: u32,
}

/// Where a stream number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Open or half-closed.
    Active,
    /// Closed by a reset of ours: late frames are no fault of the peer.
    Reset,
    /// Closed otherwise.
    Closed,
    /// Never opened by us.
    Idle,
}

/// All streams of a connection.
pub(super) struct Streams {
    active: Vec<Stream>,
    next: u32,
    reset: VecDeque<u32>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            active: Vec::new(),
            next: 1,
            reset: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.active.len()
    }

    /// The number of the next stream, `None` when all are used.
    pub(super) fn next_id(&self) -> Option<u32> {
        (self.next < 1 << 31).then_some(self.next)
    }

    /// Adds the stream with the next number.
    pub(super) fn open(&mut self, stream: Stream) {
        debug_assert_eq!(stream.id, self.next);
        self.next = stream.id + 2;
        self.active.push(stream);
    }

    pub(super) fn place(&self, id: u32) -> Place {
        if id.is_multiple_of(2) || id >= self.next {
            Place::Idle
        } else if self.active.iter().any(|stream| stream.id == id) {
            Place::Active
        } else if self.reset.contains(&id) {
            Place::Reset
        } else {
            Place::Closed
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<&Stream> {
        self.active.iter().find(|stream| stream.id == id)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.active.iter_mut().find(|stream| stream.id == id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.active.iter_mut()
    }

    /// A stream above `last`, if any is active.
    pub(super) fn above(&self, last: u32) -> Option<u32> {
        let mut ids = self.active.iter().map(|stream| stream.id);
        ids.find(|&id| id > last)
    }

    /// Closes a stream; `false` if it was not active.
    pub(super) fn close(&mut self, id: u32) -> bool {
        let before = self.active.len();
        self.active.retain(|stream| stream.id != id);
        self.active.len() < before
    }

    /// Closes a stream while the peer may still send on it; `false` if it was not active.
    pub(super) fn close_by_us(&mut self, id: u32) -> bool {
        let closed = self.close(id);
        if closed {
            if self.reset.len() == H2_STREAMS_RESET_MAX {
                self.reset.pop_front();
            }
            self.reset.push_back(id);
        }
        closed
    }

    /// Closes a stream that has ended on both sides.
    pub(super) fn close_if_ended(&mut self, id: u32) {
        let ended = |stream: &Stream| !stream.send_open && stream.recv == Recv::Closed;
        if self.get(id).is_some_and(ended) {
            self.close(id);
        }
    }

    /// The next stream gets this number.
    #[cfg(test)]
    pub(super) fn set_next(&mut self, next: u32) {
        self.next = next;
    }
}
