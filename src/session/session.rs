//! One session: what it consists of, from the check of its address to its end.

use std::time::Instant;

use super::about::About;
use super::connection::Connections;
use super::events::{self, End};
use super::fetching::Fetching;
use super::names::{SessionKey, TargetId};
use super::process::Process;
use super::protocol::Service;
use super::shares::{Shares, Table};
use super::targets::Targets;
use super::turn::Turn;
use crate::limits;

/// What a session consists of.
pub(super) enum Contents {
    /// Its secrets are being fetched.
    Fetching,
    /// Its address is being checked.
    Probe(TargetId),
    /// Connections of its client.
    Connections(Connections),
    /// A command, once it was started.
    Process(Process),
}

/// One session.
pub(super) struct Session {
    pub(super) about: About,
    pub(super) contents: Contents,
    /// What it fetches of secret stores, where it does.
    pub(super) fetch: Option<Box<Fetching>>,
}

impl Session {
    /// A session that is about to be opened.
    pub(super) fn new(about: About, fetch: Option<Box<Fetching>>) -> Self {
        let contents = match fetch {
            Some(_) => Contents::Fetching,
            None => Contents::Process(Process::default()),
        };
        Self {
            about,
            contents,
            fetch,
        }
    }

    /// The address answered (or none had to): the client may go on. A probe that no connection can use has
    /// done its work.
    pub(super) fn open(&mut self, probe: Option<TargetId>, turn: &mut Turn<'_>) {
        self.contents = match (self.about.protocol.service, probe) {
            (Service::Connections, probe) => {
                if let Some(probe) = probe {
                    let until = turn.now + limits::PROBE_KEPT_MAX;
                    turn.targets.arm(probe, until);
                }
                Contents::Connections(Connections::new(probe))
            }
            (Service::Command, probe) => {
                if let Some(probe) = probe {
                    turn.close_target(probe, false);
                }
                Contents::Process(Process::default())
            }
        };
        self.about.tell_open(turn.outbox);
    }

    /// It is over: its processes and its probe end, and bytes that a client had sent before it left still
    /// reach their target.
    pub(super) fn end(self, key: SessionKey, end: &End<'_>, turn: &mut Turn<'_>) {
        if let Some(fetch) = self.fetch {
            fetch.end((key, self.about.user), turn);
        }
        match self.contents {
            Contents::Fetching => {}
            Contents::Probe(target) => turn.close_target(target, false),
            Contents::Process(process) => process.end(turn),
            Contents::Connections(connections) => connections.end(key, &self.about, turn),
        }
        let tally = turn.targets.tallies.take(key, turn.now);
        events::ended(&self.about, end, tally);
        self.about.give_back(turn.shares);
    }

    /// Everything is over at once: its targets are gone already.
    pub(super) fn forget(
        self,
        (key, now): (SessionKey, Instant),
        end: &End<'_>,
        targets: &mut Targets,
        shares: &mut Shares,
    ) {
        events::ended(&self.about, end, targets.tallies.take(key, now));
        if let Contents::Connections(connections) = self.contents {
            connections.forget(&self.about, targets, shares);
        }
        if self.fetch.is_some_and(|fetch| fetch.has_place()) {
            shares.give(self.about.user, Table::Fetches, 1);
        }
        self.about.give_back(shares);
    }
}
