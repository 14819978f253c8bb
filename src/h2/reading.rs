//! Where the receiving half stands in the peer's bytes.

use super::event::Event;
use super::frame::{HEAD_LEN, Head};

/// What the next byte is a part of.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// A frame's head, of which `len` bytes have come.
    Head { bytes: [u8; HEAD_LEN], len: usize },
    /// The payload of this frame, gathered until it is whole.
    Payload(Head),
    /// The padding length of this DATA frame.
    PadLength(Head),
    /// The content of a DATA frame.
    Data(Data),
    /// Bytes without meaning.
    Skip(u32),
}

impl Reading {
    /// In front of a frame.
    pub(super) const START: Self = Self::Head {
        bytes: [0; HEAD_LEN],
        len: 0,
    };
}

/// A DATA frame under way.
#[derive(Clone, Copy)]
pub(super) struct Data {
    pub(super) stream: u32,
    pub(super) left: u32,
    pub(super) padding: u32,
    pub(super) end_stream: bool,
}

/// A header block under way.
pub(super) struct Block {
    pub(super) stream: u32,
    pub(super) end_stream: bool,
    pub(super) continuations: u32,
    pub(super) bytes: Vec<u8>,
}

/// What one step took; without progress it waits for more input.
pub(super) struct Step<'a> {
    pub(super) consumed: usize,
    pub(super) progress: bool,
    pub(super) event: Option<Event<'a>>,
}

impl<'a> Step<'a> {
    pub(super) const fn wait(consumed: usize) -> Self {
        Self {
            consumed,
            progress: false,
            event: None,
        }
    }

    pub(super) const fn took(consumed: usize, event: Option<Event<'a>>) -> Self {
        Self {
            consumed,
            progress: true,
            event,
        }
    }
}
