//! For how long a session has been open, and how much has gone through it.

use std::time::{Duration, Instant};

use super::names::SessionKey;

/// Bytes of payload.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Traffic {
    /// To targets.
    pub(super) taken: u64,
    /// From them.
    pub(super) said: u64,
}

/// What is counted of one session.
struct Tally {
    since: Instant,
    traffic: Traffic,
}

/// Of all sessions, by their place in the table of sessions: no more than that has.
#[derive(Default)]
pub(super) struct Tallies(Vec<Option<Tally>>);

impl Tallies {
    /// A session begins.
    pub(super) fn begin(&mut self, key: SessionKey, now: Instant) {
        let place = key.0.index();
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(Tally {
            since: now,
            traffic: Traffic::default(),
        });
    }

    /// One of its targets is over, or is its own no longer.
    pub(super) fn add(&mut self, key: SessionKey, traffic: Traffic) {
        if let Some(Some(tally)) = self.0.get_mut(key.0.index()) {
            tally.traffic.taken += traffic.taken;
            tally.traffic.said += traffic.said;
        }
    }

    /// It ends: how long it lasted, and what went through it.
    pub(super) fn take(&mut self, key: SessionKey, now: Instant) -> (Duration, Traffic) {
        let tally = self.0.get_mut(key.0.index()).and_then(Option::take);
        tally.map_or_else(Default::default, |tally| {
            (now.saturating_duration_since(tally.since), tally.traffic)
        })
    }
}
