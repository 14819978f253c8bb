//! Who holds bytes while memory is short, and whether they move.

use std::time::Instant;

use super::book::Book;
use super::names::{ConnectionId, SessionKey, TargetId};
use super::session::{Contents, Session};
use super::targets::Targets;

/// Who holds bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// A target, in its queue.
    Target(TargetId),
    /// A connection, in front of its target.
    Connection(SessionKey, ConnectionId),
}

/// Who holds so much that it is looked at, the largest first.
pub(super) fn holders(book: &Book, targets: &Targets) -> Vec<(usize, Holder)> {
    let held_max = targets.budget().held_max();
    let holding = targets.holding(held_max);
    let mut found: Vec<_> = holding
        .map(|(held, id)| (held, Holder::Target(id)))
        .collect();
    if targets.in_front() > held_max {
        for key in book.keys() {
            if let Some(Session {
                contents: Contents::Connections(connections),
                ..
            }) = book.get(key)
            {
                for (held, id) in connections.holding(held_max) {
                    found.push((held, Holder::Connection(key, id.clone())));
                }
            }
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// A look at whether what it holds moves; since when it has not. `None`: it is gone.
pub(super) fn note_look(
    now: Instant,
    holder: &Holder,
    book: &mut Book,
    targets: &mut Targets,
) -> Option<Instant> {
    match holder {
        Holder::Target(id) => targets.note_look(now, *id),
        Holder::Connection(key, id) => match &mut book.get_mut(*key)?.contents {
            Contents::Connections(connections) => connections.note_look(now, id),
            Contents::Fetching | Contents::Probe(_) | Contents::Process(_) => None,
        },
    }
}
