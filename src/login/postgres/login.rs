//! How a login is driven, and what it says when it must end. Every state can refuse.

use std::time::Duration;

use super::refusal::say;
use super::state::{ExpectStartup, Next, Outcome, PostgresLogin};
use crate::login::{Account, Cause, Exchange, Keys, Packets, Refusal, Step, Waits};

impl PostgresLogin {
    /// A client has connected. `nonce` is from a generator for keys, used once.
    pub fn new(account: Account, nonce: [u8; 18]) -> Self {
        let account = Box::new(account);
        ExpectStartup {
            account,
            nonce,
            questions: 0,
            refusal: None,
        }
        .into()
    }

    fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        match self {
            Self::ExpectStartup(state) => state.handle(exchange),
            Self::Dialled(state) => state.handle(exchange),
            Self::ExpectTlsAnswer(state) => state.handle(exchange),
            Self::SecuringStartup(state) => state.handle(exchange),
            Self::ExpectRequest(state) => state.handle(exchange),
            Self::ExpectScramFirst(state) => state.handle(exchange),
            Self::DerivingKey(state) => state.handle(exchange),
            Self::ExpectScramLast(state) => state.handle(exchange),
            Self::ExpectAccess(state) => state.handle(exchange),
            Self::ExpectReady(state) => state.handle(exchange),
        }
    }

    /// See [`crate::login::Login::step`].
    pub fn step(mut self, exchange: &mut Exchange<'_>) -> Step<Self> {
        // Each state that goes on has used a message or is the last of its kind, so this ends.
        loop {
            match self.handle(exchange) {
                Ok(Next::Go(next)) => self = next,
                outcome => return settle(outcome, exchange),
            }
        }
    }

    /// See [`crate::login::Login::tls_started`].
    pub fn tls_started(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::SecuringStartup(state) => state.started(exchange).step(exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::tls_failed`].
    pub fn tls_failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::SecuringStartup(state) => settle(state.failed(reason, exchange), exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::server_ended`].
    pub fn server_ended(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        let left = || {
            let text = "the server closed the connection during the login: its log says why";
            Err(Refusal::new(Cause::Unreachable, text))
        };
        let outcome = match self {
            // They have no connection yet whose end could matter.
            Self::ExpectStartup(_) | Self::Dialled(_) => return Step::Wait(self),
            Self::ExpectTlsAnswer(state) => state.ended(exchange),
            Self::SecuringStartup(state) => {
                state.failed("the server closed the connection", exchange)
            }
            Self::ExpectRequest(state) => state.ended(exchange).map_or_else(left, Err),
            Self::ExpectReady(state) if state.is_within_message() => {
                let refusal = Refusal::new(Cause::Said, "the server left in mid-message");
                return Step::Refused(refusal);
            }
            _ => left(),
        };
        settle(outcome, exchange)
    }

    /// See [`crate::login::Login::refuse`]. Within a message of the server nothing can be said.
    pub fn refuse(&self, refusal: &Refusal, to_client: &mut dyn Packets) {
        match self {
            Self::ExpectReady(state) if state.is_within_message() => {}
            _ => say(refusal, to_client),
        }
    }

    /// See [`crate::login::Login::rest`].
    pub fn rest(&self, keys: &Keys) -> Duration {
        match self {
            Self::DerivingKey(state) => state.deriving.rest(keys),
            _ => Duration::ZERO,
        }
    }

    /// See [`crate::login::Login::refuse_later`].
    pub fn refuse_later(&mut self, refusal: &Refusal) -> bool {
        match self {
            Self::ExpectStartup(state) => {
                state.refusal = Some(refusal.clone());
                true
            }
            _ => false,
        }
    }

    /// See [`crate::login::Login::waits_for`].
    pub fn waits_for(&self) -> Waits {
        match self {
            Self::ExpectStartup(_) => Waits::Client,
            Self::DerivingKey(_) => Waits::Turn,
            _ => Waits::Server,
        }
    }
}

fn settle(outcome: Outcome, exchange: &mut Exchange<'_>) -> Step<PostgresLogin> {
    match outcome {
        Ok(Next::Leave(step)) => step,
        Ok(Next::Go(login)) => login.step(exchange),
        Err(refusal) => {
            say(&refusal, exchange.to_client);
            Step::Refused(refusal)
        }
    }
}
