//! What the shell sees of a connection to a secret store, told to the session whose it is; and who is closed under
//! pressure.

use std::time::Instant;

use super::admission;
use super::error::SessionError;
use super::fetching::Event;
use super::hears::Hears;
use super::middle::Call;
use super::names::{SessionKey, TargetId};
use super::pressure::Holder;
use super::seam::Why;
use super::session::Contents;
use super::sessions::Sessions;
use crate::base::plain::Word;
use crate::packet::Outbox;

/// Something has happened to what a session fetches: on this target, or in time.
pub(super) fn hear(
    sessions: &mut Sessions,
    now: Instant,
    key: SessionKey,
    (target, event): (Option<TargetId>, Event<'_>),
    outbox: &mut Outbox,
) {
    let (book, mut turn) = sessions.turn(now, outbox);
    let admission = admission::hear(book, key, target, event, &mut turn);
    sessions.admitted(now, key, admission, outbox);
}

/// Whether the client of a session was told that it is open, for who watches from outside (a simulation compares it
/// with its model); `None` where there is no such session.
pub fn is_open(sessions: &Sessions, id: &str) -> Option<bool> {
    let contents = &sessions.book.get(sessions.book.find(id)?)?.contents;
    Some(!matches!(contents, Contents::Fetching | Contents::Probe(_)))
}

/// What holds memory that others need, and has taken nothing for too long.
pub(super) fn close_stalled(
    sessions: &mut Sessions,
    now: Instant,
    (held, holder): (usize, Holder),
    outbox: &mut Outbox,
) {
    let (target, hears) = match holder {
        Holder::Target(id) => (Some(id), Hears::of(sessions.targets.get(id))),
        Holder::Connection(key, id) => (None, Hears::Connection(key, id)),
    };
    let sid = Word(hears.session().map_or("", |key| sessions.book.id(key)));
    log::warn!("sid={sid} relay closed: its target took nothing while {held} bytes waited");
    sessions.turn(now, outbox).1.counters.stalls += 1;
    match hears {
        Hears::Process(key) => return sessions.close(now, key, &SessionError::Stalled, outbox),
        Hears::Connection(key, connection) => {
            sessions.tell(now, key, &connection, Call::Refuse(Why::Stalled), outbox);
        }
        Hears::Probe(_) | Hears::Errand | Hears::Fetch(_) | Hears::Nobody => {}
    }
    if let Some(id) = target {
        sessions.close_target(id, true);
    }
}
