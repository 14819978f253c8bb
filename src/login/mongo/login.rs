//! How a login is driven, and what it says when it must end. Every state can refuse.

use std::time::Duration;

use super::messages::Asked;
use super::refusal::{self, CLOSED};
use super::state::{Bond, Fresh, MongoLogin, Next, Nonces, Outcome, Reach};
use super::{Found, MongoAccount};
use crate::base::Service;
use crate::limits;
use crate::login::{Cause, Exchange, Keys, Packets, Refusal, Step, Waits};

impl MongoLogin {
    /// A client has connected; the server was last where `found` says.
    pub fn new(account: MongoAccount, nonces: Nonces, found: Found) -> Self {
        Self::from(Fresh {
            bond: Bond {
                account,
                nonces,
                found,
                last_id: 0,
                offered: None,
            },
            refusal: None,
        })
    }

    /// See [`crate::login::Login::step`].
    pub fn step(mut self, exchange: &mut Exchange<'_>) -> Step<Self> {
        // Each state that goes on has used a message, so this ends.
        loop {
            let asked = self.asked();
            let outcome = match self {
                Self::Fresh(state) => state.handle(exchange),
                Self::LookingUp(_) | Self::Securing(_) => Next::wait(self),
                Self::Dialled(state) => state.handle(exchange),
                Self::ExpectHello(state) => state.handle(exchange),
                Self::Idle(state) => state.handle(exchange),
                Self::Asking(state) => state.handle(exchange),
                Self::Judging(state) => state.handle(exchange),
                Self::ExpectScramFirst(state) => state.handle(exchange),
                Self::DerivingKey(state) => state.handle(exchange),
                Self::ExpectScramLast(state) => state.handle(exchange),
                Self::ExpectConsent(state) => state.handle(exchange),
                Self::ExpectEmpty(state) => state.handle(exchange),
            };
            match outcome {
                Ok(Next::Go(next)) => self = next,
                outcome => return settle(outcome, asked, exchange),
            }
        }
    }

    /// See [`crate::login::Login::tls_started`].
    pub fn tls_started(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        let asked = self.asked();
        match self {
            Self::Securing(state) => settle(state.started(exchange), asked, exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::tls_failed`].
    pub fn tls_failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Step<Self> {
        let asked = self.asked();
        match self {
            Self::Securing(state) => settle(state.failed(reason, exchange), asked, exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::told`].
    pub fn told(self, service: &Service, exchange: &mut Exchange<'_>) -> Step<Self> {
        let asked = self.asked();
        match self {
            Self::LookingUp(state) => settle(state.told(service, exchange), asked, exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::server_ended`].
    pub fn server_ended(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Fresh(_) => Step::Wait(self),
            // Nobody has asked anything.
            Self::Idle(_) => Step::Ended,
            Self::Securing(_) => self.tls_failed("the server closed the connection", exchange),
            _ => self.try_elsewhere(&Refusal::new(Cause::Unreachable, CLOSED), exchange),
        }
    }

    /// See [`crate::login::Login::try_elsewhere`].
    pub fn try_elsewhere(self, refusal: &Refusal, exchange: &mut Exchange<'_>) -> Step<Self> {
        let asked = self.asked();
        let outcome = match self {
            Self::Dialled(state) => state.reach.lose(refusal, exchange),
            Self::Securing(state) => state.reach.lose(refusal, exchange),
            Self::ExpectHello(state) => state.reach.lose(refusal, exchange),
            _ => Err(refusal.clone()),
        };
        settle(outcome, asked, exchange)
    }

    /// See [`crate::login::Login::goes_elsewhere`].
    pub fn goes_elsewhere(&self) -> bool {
        self.reach().is_some_and(|reach| reach.search.has_more())
    }

    fn reach(&self) -> Option<&Reach> {
        match self {
            Self::LookingUp(state) => Some(&state.reach),
            Self::Dialled(state) => Some(&state.reach),
            Self::Securing(state) => Some(&state.reach),
            Self::ExpectHello(state) => Some(&state.reach),
            _ => None,
        }
    }

    /// See [`crate::login::Login::refuse`].
    pub fn refuse(&self, refusal: &Refusal, to_client: &mut dyn Packets) {
        refusal::say(refusal, self.asked(), to_client);
    }

    /// See [`crate::login::Login::refuse_later`].
    pub fn refuse_later(&mut self, refusal: &Refusal) -> bool {
        match self {
            Self::Fresh(state) => {
                state.refusal = Some(refusal.clone());
                true
            }
            _ => false,
        }
    }

    /// See [`crate::login::Login::patience`].
    pub fn patience(&self) -> Duration {
        match self.goes_elsewhere() {
            true => limits::MONGO_HOST_TIMEOUT,
            false => limits::LOGIN_SERVER_TIMEOUT,
        }
    }

    /// See [`crate::login::Login::rest`].
    pub fn rest(&self, keys: &Keys) -> Duration {
        match self {
            Self::Judging(state) => state.judging.rest(keys),
            Self::DerivingKey(state) => state.deriving.rest(keys),
            _ => Duration::ZERO,
        }
    }

    /// See [`crate::login::Login::waits_for`].
    pub fn waits_for(&self) -> Waits {
        match self {
            Self::Idle(state) if state.conversation.is_none() && !state.has_begun => Waits::Idle,
            Self::Fresh(_) | Self::Idle(_) | Self::ExpectEmpty(_) => Waits::Client,
            Self::Judging(_) | Self::DerivingKey(_) => Waits::Turn,
            _ => Waits::Server,
        }
    }

    /// Which request of the client has no answer yet.
    fn asked(&self) -> Option<Asked> {
        match self {
            Self::Fresh(_) | Self::Idle(_) | Self::ExpectEmpty(_) => None,
            Self::Asking(state) => Some(state.asked),
            Self::Judging(state) => Some(state.entry.asked),
            Self::ExpectScramFirst(state) => Some(state.admitted.entry.asked),
            Self::DerivingKey(state) => Some(state.admitted.entry.asked),
            Self::ExpectScramLast(state) => Some(state.admitted.entry.asked),
            Self::ExpectConsent(state) => Some(state.admitted.entry.asked),
            Self::LookingUp(_) | Self::Dialled(_) | Self::Securing(_) | Self::ExpectHello(_) => {
                self.reach().map(|reach| reach.asked)
            }
        }
    }
}

fn settle(outcome: Outcome, asked: Option<Asked>, exchange: &mut Exchange<'_>) -> Step<MongoLogin> {
    match outcome {
        Ok(Next::Leave(step)) => step,
        Ok(Next::Go(login)) => login.step(exchange),
        Err(refusal) => {
            refusal::say(&refusal, asked, exchange.to_client);
            Step::Refused(refusal)
        }
    }
}
