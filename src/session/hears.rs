//! Whom a report about a target is for.

use super::names::{ConnectionId, SessionKey, TargetId};
use super::target::Owner;
use super::targets::Targets;

/// See the module.
pub(super) enum Hears {
    Probe(SessionKey),
    Connection(SessionKey, ConnectionId),
    Process(SessionKey),
    Fetch(SessionKey),
    Errand,
    Nobody,
}

impl Hears {
    /// Of this target.
    pub(super) fn of(targets: &Targets, id: TargetId) -> Self {
        match targets.get(id).map(|target| target.owner()) {
            Some(Owner::Probe(key, _)) => Self::Probe(*key),
            Some(Owner::Connection(key, id)) => Self::Connection(*key, id.clone()),
            Some(Owner::Process { session, .. }) => Self::Process(*session),
            Some(Owner::Fetch(key)) => Self::Fetch(*key),
            Some(Owner::Errand(_)) => Self::Errand,
            Some(Owner::Nobody) | None => Self::Nobody,
        }
    }
}
