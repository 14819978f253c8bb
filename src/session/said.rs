//! What targets have said to their clients of late, and what that tells of these.

/// See the module; the more telling, the greater.
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
