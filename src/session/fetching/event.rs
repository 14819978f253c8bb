//! What a conversation with a store hears.

/// What has happened to the connection to a store.
#[derive(Clone, Copy)]
pub(in crate::session) enum Event<'a> {
    Started,
    Failed(&'a str),
    Received(usize),
    Ended,
    /// A deadline has come, or a place is free.
    Due,
}
