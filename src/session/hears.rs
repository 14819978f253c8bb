//! Whom a report about a target is for.

use super::names::{ConnectionId, SessionKey};
use super::target::{Owner, Target};

/// See the module.
pub(super) enum Hears {
    /// A session that is being opened.
    Probe(SessionKey),
    /// A connection of a session.
    Connection(SessionKey, ConnectionId),
    /// The session of a command.
    Process(SessionKey),
    /// A session that fetches what it refers to.
    Fetch(SessionKey),
    /// The machine that runs for nobody.
    Errand,
    /// Nobody.
    Nobody,
}

impl Hears {
    /// Of this target, if it is there.
    pub(super) fn of(target: Option<&Target>) -> Self {
        match target.map(Target::owner) {
            Some(Owner::Probe(key, _)) => Self::Probe(*key),
            Some(Owner::Connection(key, id)) => Self::Connection(*key, id.clone()),
            Some(Owner::Process { session, .. }) => Self::Process(*session),
            Some(Owner::Fetch(key)) => Self::Fetch(*key),
            Some(Owner::Errand(_)) => Self::Errand,
            Some(Owner::Nobody) | None => Self::Nobody,
        }
    }

    /// The session that it is for, too.
    pub(super) fn session(&self) -> Option<SessionKey> {
        match self {
            Self::Probe(key) | Self::Connection(key, _) | Self::Process(key) | Self::Fetch(key) => {
                Some(*key)
            }
            Self::Errand | Self::Nobody => None,
        }
    }
}
