//! What a session goes through between its table's entry and its first packet: secrets, its variables' sense, the
//! check of its address.

use super::book::Book;
use super::error::SessionError;
use super::fetching::{Event, Outcome};
use super::names::{SessionKey, TargetId};
use super::session::{Contents, Session};
use super::target::Owner;
use super::turn::Turn;
use crate::limits;

/// What follows for a session that is being opened.
pub(super) enum Admission {
    /// Something is under way.
    Waits,
    /// It is open.
    Opens,
    /// It is over.
    Fails(SessionError),
}

/// A session that has just come to stand in the book, prepared where it has nothing to fetch.
pub(super) fn begin(book: &mut Book, key: SessionKey, turn: &mut Turn<'_>) -> Admission {
    let Some(session) = book.get_mut(key) else {
        return Admission::Waits;
    };
    match &mut session.fetch {
        Some(fetch) => {
            let outcome = fetch.start(key, &mut session.about, turn);
            fetched(key, session, outcome, turn)
        }
        None => probe(key, session, turn),
    }
}

/// Something has happened to what a session fetches: on this target, or in time.
pub(super) fn hear(
    book: &mut Book,
    key: SessionKey,
    target: Option<TargetId>,
    event: Event<'_>,
    turn: &mut Turn<'_>,
) -> Admission {
    let Some(session) = book.get_mut(key) else {
        return Admission::Waits;
    };
    let Some(fetch) = &mut session.fetch else {
        return Admission::Waits;
    };
    let outcome = fetch.hear((key, &mut session.about), target, event, turn);
    fetched(key, session, outcome, turn)
}

fn fetched(
    key: SessionKey,
    session: &mut Session,
    outcome: Outcome,
    turn: &mut Turn<'_>,
) -> Admission {
    match outcome {
        Outcome::Waits => Admission::Waits,
        Outcome::Failed(error) => Admission::Fails(error),
        Outcome::Done => {
            if session.about.environment.mint().is_none() {
                session.fetch = None;
            }
            let about = &mut session.about;
            match about.prepare(turn.now, turn.means, turn.shares) {
                Ok(()) => probe(key, session, turn),
                Err(error) => Admission::Fails(error),
            }
        }
    }
}

/// Checks the address, where that is done.
fn probe(key: SessionKey, session: &mut Session, turn: &mut Turn<'_>) -> Admission {
    let about = &session.about;
    let Some(place) = about.place.clone().filter(|_| about.is_probed()) else {
        return Admission::Opens;
    };
    let owner = Owner::Probe(key, Box::default());
    let timeout = Some(limits::SESSION_OPEN_TIMEOUT);
    match turn.new_target(session.about.user, owner, 0, timeout) {
        Ok(probe) => {
            session.contents = Contents::Probe(probe);
            turn.dial(probe, place);
            Admission::Waits
        }
        Err(full) => Admission::Fails(full.into()),
    }
}
