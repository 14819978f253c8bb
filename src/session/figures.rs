//! How much of what there is, of how much there may be; for monitoring.

use super::book::Book;
use super::protocol::{TYPES, place_of_type};
use super::targets::Targets;

/// See the module.
#[derive(Debug)]
pub struct Figures {
    /// Sessions that are open, by the type of their connection.
    pub sessions: [(&'static str, u64); TYPES.len()],
    /// Targets of all of them, those included that only finish their queue.
    pub targets: u64,
    /// How many there may be.
    pub targets_max: u64,
    /// Bytes that wait for targets.
    pub queue_bytes: u64,
    /// How many may wait.
    pub queue_bytes_max: u64,
}

impl Figures {
    /// As they are now.
    pub(super) fn of(book: &Book, targets: &Targets) -> Self {
        let mut sessions = TYPES.map(|name| (name, 0));
        for session in book.sessions() {
            sessions[place_of_type(&session.about.connection_type)].1 += 1;
        }
        Self {
            sessions,
            targets: targets.len() as u64,
            targets_max: targets.count_max() as u64,
            queue_bytes: targets.budget().waiting() as u64,
            queue_bytes_max: targets.budget().most() as u64,
        }
    }
}
