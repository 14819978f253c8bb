//! The stage of a session's opening in which its secrets are fetched, before its address is known; and, of sessions
//! that log in by a token of Amazon's, the credentials behind that, for as long as they are open.
//!
//! ```text
//!  waiting for its turn (16 at once) -> secrets -> credentials of a token -> the session goes on
//!                                                                             `-> renews them in time
//! ```
//! Promises: all of it takes no longer than [`crate::limits::FETCH_MAX`], waiting included; stores are asked at once,
//! and each on one connection; what was fetched stays in the session. Leaves what is said to a store to `secrets`.

mod conversation;
mod event;

use std::time::Instant;

use self::conversation::Conversation;
pub(super) use self::event::Event;
use super::about::About;
use super::error::SessionError;
use super::means::Means;
use super::names::{SessionKey, TargetId};
use super::plan::Plan;
use super::shares::{Table, UserKey};
use super::tokens;
use super::turn::Turn;
use super::variable_error::VariableError;
use crate::base::plain::Word;
use crate::base::{Secret, TimerId};
use crate::limits;
use crate::packet::{ConnectionParams, EnvVars};
use crate::secrets::{Cause, Fetch, Needs, Provider, Want};

/// What a session is finished from, once its secrets are there.
pub(super) struct Pending {
    pub(super) plan: Plan,
    pub(super) params: ConnectionParams,
    pub(super) client: EnvVars,
}

/// What follows for the session.
pub(super) enum Outcome {
    /// Nothing yet.
    Waits,
    /// It has all that it wanted.
    Done,
    /// It is to be refused.
    Failed(SessionError),
}

/// See the module.
pub(super) struct Fetching {
    /// None once the session has its variables.
    pending: Option<(Pending, Vec<Want>)>,
    stage: Stage,
    /// The session is open: what is fetched is for later logins.
    is_open: bool,
    /// One a store; they are under way.
    conversations: Vec<Conversation>,
    values: Vec<(usize, Result<Secret, Cause>)>,
    /// Why there are no credentials.
    refused: Option<Cause>,
    deadline: Instant,
    timer: Option<TimerId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// For one of the places.
    Waiting,
    Secrets,
    Credentials,
    /// Until credentials are to be renewed.
    Idle,
}

impl Fetching {
    /// Of a session that is finished from `pending`, where there is one, or has its variables and logs in by a token.
    pub(super) fn new(now: Instant, pending: Option<(Pending, Vec<Want>)>) -> Self {
        Self {
            pending,
            stage: Stage::Waiting,
            is_open: false,
            conversations: Vec::new(),
            values: Vec::new(),
            refused: None,
            deadline: now,
            timer: None,
        }
    }

    /// It is one of those that fetch.
    pub(super) fn has_place(&self) -> bool {
        matches!(self.stage, Stage::Secrets | Stage::Credentials)
    }

    /// The connection to a store that this target is.
    pub(super) fn conversation(&mut self, target: TargetId) -> Option<&mut Conversation> {
        self.conversations.iter_mut().find(|it| it.is_on(target))
    }

    /// It begins, or waits for its turn.
    pub(super) fn start(
        &mut self,
        key: SessionKey,
        about: &mut About,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        self.deadline = turn.now + turn.means.stores.settings.fetch_max();
        let outcome = self.begin(key, about, turn);
        if self.stage == Stage::Waiting {
            turn.means.fetches_waiting.push_back((key, about.user));
        }
        self.arm(key, about, turn);
        outcome
    }

    /// Something has happened: to this target, or to none.
    pub(super) fn hear(
        &mut self,
        (key, about): (SessionKey, &mut About),
        target: Option<TargetId>,
        event: Event<'_>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        if let Event::Due = event {
            // It was fired.
            self.timer = None;
        }
        let outcome = match self.stage {
            Stage::Waiting if turn.now >= self.deadline => {
                self.leave_queue(key, about.user, turn);
                Outcome::Failed(VariableError::References(vec![BUSY.to_owned()]).into())
            }
            Stage::Waiting => self.begin(key, about, turn),
            Stage::Idle => self.renew(key, about, turn),
            Stage::Secrets | Stage::Credentials => {
                for conversation in &mut self.conversations {
                    let is_told = match target {
                        Some(target) => conversation.is_on(target),
                        None => true,
                    };
                    if is_told {
                        conversation.hear((key, about.user), event, turn);
                    }
                    if turn.now >= self.deadline {
                        conversation.give_up();
                    }
                }
                self.go_on(key, about, turn)
            }
        };
        self.arm(key, about, turn);
        outcome
    }

    /// Takes a place and asks the stores; without a place it goes on waiting.
    fn begin(&mut self, key: SessionKey, about: &mut About, turn: &mut Turn<'_>) -> Outcome {
        let granted = &mut turn.means.fetches_granted;
        match granted.iter().position(|(known, _)| *known == key) {
            Some(at) => drop(granted.swap_remove(at)),
            None if turn.shares.take(about.user, Table::Fetches, 1).is_ok() => {}
            None => return Outcome::Waits,
        }
        self.stage = Stage::Secrets;
        let wants = self
            .pending
            .as_mut()
            .map(|(_, wants)| std::mem::take(wants));
        let (mut aws, mut vault) = (Vec::new(), Vec::new());
        for want in wants.into_iter().flatten() {
            match want.provider {
                Provider::Aws => aws.push(want),
                Provider::VaultKv1 | Provider::VaultKv2 => vault.push(want),
            }
        }
        if !vault.is_empty() {
            self.converse(key, about, Fetch::vault(vault), turn);
        }
        if !aws.is_empty() {
            self.converse(key, about, Fetch::aws(aws, Needs::Nothing), turn);
        }
        self.go_on(key, about, turn)
    }

    fn converse(&mut self, key: SessionKey, about: &About, fetch: Fetch, turn: &mut Turn<'_>) {
        let mut conversation = Conversation::new(fetch);
        conversation.hear((key, about.user), Event::Due, turn);
        self.conversations.push(conversation);
    }

    /// Takes what conversations have come to that are over; `true`: none is under way.
    fn is_quiet(&mut self, about: &About, turn: &mut Turn<'_>) -> bool {
        let mut at = 0;
        while let Some(conversation) = self.conversations.get(at) {
            if !conversation.is_over() {
                at += 1;
                continue;
            }
            let found = self.conversations.swap_remove(at).finish(turn);
            for note in found.notes {
                log::warn!("sid={} {note}", Word(&about.id));
            }
            self.values.extend(found.values);
            self.refused = found.needs.or(self.refused.take());
        }
        self.conversations.is_empty()
    }

    /// From one stage to the next, as far as nothing is under way.
    fn go_on(&mut self, key: SessionKey, about: &mut About, turn: &mut Turn<'_>) -> Outcome {
        if !self.is_quiet(about, turn) {
            return Outcome::Waits;
        }
        if self.stage == Stage::Secrets {
            if let Some((pending, _)) = self.pending.take()
                && let Err(error) = self.finish_environment(pending, about, turn)
            {
                return self.over(Outcome::Failed(error), about.user, turn);
            }
            self.stage = Stage::Credentials;
            if let Some(mint) = about.environment.mint().cloned()
                && turn.means.renewed_in(&mint).is_none()
            {
                self.converse(key, about, Fetch::aws(Vec::new(), mint.needs()), turn);
                if !self.is_quiet(about, turn) {
                    return Outcome::Waits;
                }
            }
        }
        let outcome = match (self.refused.take(), about.environment.mint()) {
            (Some(cause), Some(mint)) if !self.is_open => {
                Outcome::Failed(tokens::not_made(mint, &cause).into())
            }
            // What there is serves for as long as it is good.
            _ if self.is_open => Outcome::Waits,
            _ => Outcome::Done,
        };
        self.is_open = true;
        self.over(outcome, about.user, turn)
    }

    /// Credentials behind a token are renewed in time.
    fn renew(&mut self, key: SessionKey, about: &mut About, turn: &mut Turn<'_>) -> Outcome {
        let Some(mint) = about.environment.mint() else {
            return Outcome::Waits;
        };
        if turn.means.renewed_in(mint).is_some()
            || turn.shares.take(about.user, Table::Fetches, 1).is_err()
        {
            return Outcome::Waits;
        }
        let needs = mint.needs();
        self.stage = Stage::Credentials;
        self.deadline = turn.now + limits::FETCH_MAX;
        self.converse(key, about, Fetch::aws(Vec::new(), needs), turn);
        self.go_on(key, about, turn)
    }

    fn finish_environment(
        &mut self,
        pending: Pending,
        about: &mut About,
        turn: &mut Turn<'_>,
    ) -> Result<(), SessionError> {
        let Pending {
            mut plan,
            params,
            client,
        } = pending;
        plan.resolve(std::mem::take(&mut self.values))?;
        let id = (&about.id[..], turn.agent);
        let environment = tokens::finish(plan, &params, about.protocol, &client, id)?;
        about.replace_environment(environment, turn.shares)
    }

    /// Nothing is under way any more, and another session may have the place.
    fn over(&mut self, outcome: Outcome, user: UserKey, turn: &mut Turn<'_>) -> Outcome {
        if self.has_place() {
            give_place(user, turn);
        }
        self.stage = Stage::Idle;
        outcome
    }

    /// It waits no more, and takes no place that it was given.
    fn leave_queue(&mut self, key: SessionKey, user: UserKey, turn: &mut Turn<'_>) {
        let waiting = &mut turn.means.fetches_waiting;
        waiting.retain(|(known, _)| *known != key);
        let granted = &mut turn.means.fetches_granted;
        if let Some(at) = granted.iter().position(|(known, _)| *known == key) {
            granted.swap_remove(at);
            give_place(user, turn);
        }
    }

    /// The next time at which something is to be done.
    fn arm(&mut self, key: SessionKey, about: &About, turn: &mut Turn<'_>) {
        let at = match self.stage {
            Stage::Idle => about.environment.mint().map(|mint| {
                let wait = turn.means.renewed_in(mint);
                turn.now
                    + wait
                        .unwrap_or(limits::CREDENTIALS_RETRY)
                        .max(limits::CREDENTIALS_RETRY)
            }),
            _ => {
                let own = self
                    .conversations
                    .iter()
                    .filter_map(Conversation::due)
                    .min();
                Some(own.map_or(self.deadline, |own| own.min(self.deadline)))
            }
        };
        if self.timer.map(TimerId::at) != at {
            turn.targets.disarm_connection(self.timer.take());
            self.timer = at.map(|at| turn.targets.arm_fetch(at, key));
        }
    }

    /// Its session is over.
    pub(super) fn end(mut self, (key, user): (SessionKey, UserKey), turn: &mut Turn<'_>) {
        for conversation in self.conversations.drain(..) {
            drop(conversation.finish(turn));
        }
        self.leave_queue(key, user, turn);
        self.over(Outcome::Waits, user, turn);
        turn.targets.disarm_connection(self.timer.take());
    }
}

/// A place is free: the first that waits and whose user may have one more gets it.
fn give_place(user: UserKey, turn: &mut Turn<'_>) {
    turn.shares.give(user, Table::Fetches, 1);
    let Means {
        fetches_waiting,
        fetches_granted,
        ..
    } = &mut *turn.means;
    let first = fetches_waiting
        .iter()
        .position(|(_, user)| turn.shares.take(*user, Table::Fetches, 1).is_ok());
    if let Some(next) = first.and_then(|at| fetches_waiting.remove(at)) {
        fetches_granted.push(next);
        turn.targets.arm_fetch(turn.now, next.0);
    }
}

const BUSY: &str = "the agent fetches the secrets of too many other sessions: try again";
