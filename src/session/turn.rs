//! What handling one packet, report or deadline may use beside the session that it is about.

use std::time::{Duration, Instant};

use super::about::About;
use super::counters::{Counters, Failure};
use super::environment::AgentEnvironment;
use super::events;
use super::means::Means;
use super::names::{SessionKey, TargetId};
use super::output::{Output, Where};
use super::seam::{Machine, Next, Sides, ToClient};
use super::shares::{Full, Shares, Table, UserKey};
use super::target::{Owner, Target};
use super::targets::Targets;
use super::to_target::ToTarget;
use crate::base::ByteBuf;
use crate::base::plain::Word;
use crate::limits;
use crate::packet::Outbox;

/// Who uses it holds one session, or none, and sees no other.
pub(super) struct Turn<'a> {
    /// The time.
    pub(super) now: Instant,
    /// All targets.
    pub(super) targets: &'a mut Targets,
    /// Who has how much of what.
    pub(super) shares: &'a mut Shares,
    /// What happened so far.
    pub(super) counters: &'a mut Counters,
    /// What all machines share.
    pub(super) means: &'a mut Means,
    /// Packets for the gateway.
    pub(super) outbox: &'a mut Outbox,
    /// What the agent's own process offers.
    pub(super) agent: &'a AgentEnvironment,
    /// The agent takes no new work.
    pub(super) is_stopping: bool,
}

impl Turn<'_> {
    /// A new target, which is overdue in `timeout`, if the user may have one more, and so many secret files.
    pub(super) fn new_target(
        &mut self,
        user: UserKey,
        owner: Owner,
        files: usize,
        timeout: Option<Duration>,
    ) -> Result<TargetId, Full> {
        let target = Target::new(owner, user, files, self.now);
        for (table, amount) in target.takes() {
            self.shares.ask(user, table, amount)?;
        }
        for (table, amount) in target.takes() {
            // It was asked for.
            let _ = self.shares.take(user, table, amount);
        }
        let id = self.targets.insert(self.now, target, timeout);
        // The tables of shares are not larger.
        id.ok_or(Full::table(Table::Relays))
    }

    /// Asks for a connection to `place`, which will be `id`.
    pub(super) fn dial(&mut self, id: TargetId, place: Where) {
        self.ask_dial(id, place, false);
    }

    /// The same, of a secret store's; one of a metadata address by the address that it is known for.
    pub(super) fn dial_store(&mut self, id: TargetId, place: Where, is_metadata: bool) {
        self.ask_dial(id, place, is_metadata);
    }

    fn ask_dial(&mut self, id: TargetId, place: Where, reaches_metadata: bool) {
        if let Some(target) = self.targets.get(id) {
            self.targets.ask(Output::Dial {
                target: id,
                user: target.user(),
                place,
                reaches_metadata,
            });
        }
    }

    /// Closes a target, whatever it still holds.
    pub(super) fn close_target(&mut self, id: TargetId, reset: bool) {
        close_target(self.targets, self.shares, id, reset);
    }

    /// Closes a target that has nothing to do any more.
    pub(super) fn close_if_done(&mut self, id: TargetId) {
        if self.targets.get(id).is_some_and(Target::is_done) {
            self.close_target(id, false);
        }
    }

    /// Lets a target finish what is queued for it, then end.
    pub(super) fn linger(&mut self, id: TargetId) {
        if !self.targets.linger(self.now, id) {
            self.close_target(id, false);
        }
    }

    /// A client's connection is refused, or given up: the log is told, and it is counted.
    pub(super) fn connection_failed(
        &mut self,
        about: &About,
        id: &[u8],
        why: Failure,
        cause: &str,
    ) {
        events::connection_failed(about, id, cause);
        self.counters.note_failure(why);
        self.counters.refused += 1;
    }

    /// Lets a machine of this session run at `place` for nobody, if it and its user may have one more.
    pub(super) fn start_errand(
        &mut self,
        session: SessionKey,
        about: &About,
        place: Where,
        machine: Box<dyn Machine>,
    ) {
        let timeout = Some(limits::ERRAND_MAX);
        let is_full = self.targets.errands_of(session) >= limits::ERRAND_COUNT_OF_SESSION_MAX;
        let id = match is_full {
            true => Err(Full::share(Table::Errands)),
            false => self.new_target(about.user, Owner::Errand(machine), 0, timeout),
        };
        let id = match id {
            Ok(id) => id,
            Err(full) => {
                let sid = Word(&about.id);
                log::warn!("sid={sid} query not cancelled, it may go on at its server: {full}");
                return;
            }
        };
        self.targets.note_errand(id, session);
        self.tell_errand(id, &mut |machine, sides| {
            matches!(machine.dialled(sides), Next::Go)
        });
        self.dial(id, place);
    }

    /// Has `tell` call the machine of an errand; `false` from it: the errand is over.
    pub(super) fn tell_errand(
        &mut self,
        id: TargetId,
        tell: &mut dyn FnMut(&mut dyn Machine, &mut Sides<'_>) -> bool,
    ) {
        if let Some(mut machine) = self.targets.take_errand(id) {
            let has_room = self.targets.has_room();
            let mut sides = Sides {
                now: self.now,
                from_client: &mut ByteBuf::new(),
                to_client: ToClient::nowhere(),
                to_target: &mut ToTarget::new(self.now, self.targets, Some(id)),
                means: self.means,
                has_room,
                warning: None,
            };
            if tell(&mut *machine, &mut sides) {
                return self.targets.put_errand(id, machine);
            }
        }
        // Who ended it, or did not do as it should, is owed nothing more.
        self.close_target(id, false);
    }
}

/// Closes a target, whatever it still holds, and gives back what its user has taken for it.
pub(super) fn close_target(targets: &mut Targets, shares: &mut Shares, id: TargetId, reset: bool) {
    if let Some(target) = targets.remove(id, reset) {
        let user = target.user();
        for (table, amount) in target.takes() {
            shares.give(user, table, amount);
        }
    }
}
