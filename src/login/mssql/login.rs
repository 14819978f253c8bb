//! How a login is driven, and what it says when it must end. Every state can refuse.

use super::login7::is_old;
use super::refusal::{left, say};
use super::state::{
    Attempt, Encryption, ExpectPrelogin, Hearing, MssqlLogin, Next, Outcome, Refusing,
};
use crate::login::{Account, Cause, Exchange, Packets, Refusal, Step, Waits};

impl MssqlLogin {
    /// A client has connected. Its server is called `server_name` there.
    pub fn new(account: Account, server_name: &str, encryption: Encryption) -> Self {
        ExpectPrelogin {
            account,
            server_name: server_name.to_owned(),
            encryption,
        }
        .into()
    }

    /// See [`crate::login::Login::step`].
    pub fn step(mut self, exchange: &mut Exchange<'_>) -> Step<Self> {
        // Each state that goes on has used a message or is the last of its kind, so this ends.
        loop {
            let hears = self.hears();
            let outcome = match self {
                Self::ExpectPrelogin(state) => state.handle(exchange),
                Self::Dialling(state) => state.handle(exchange),
                Self::ExpectAnswer(state) => state.handle(exchange),
                Self::ExpectLogin(state) => state.handle(exchange),
                Self::Securing(_) => Next::wait(self),
                Self::SendingRest(state) => state.handle(exchange),
                Self::ExpectReply(state) => state.handle(exchange),
                Self::Refusing(state) => state.handle(exchange),
            };
            match settle(outcome, hears, exchange) {
                Next::Go(next) => self = next,
                Next::Leave(step) => return step,
            }
        }
    }

    /// See [`crate::login::Login::tls_started`].
    pub fn tls_started(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        let hears = self.hears();
        match self {
            Self::Securing(state) => go_on(state.started(exchange), hears, exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::tls_failed`].
    pub fn tls_failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Step<Self> {
        let hears = self.hears();
        match self {
            Self::Securing(state) => go_on(state.failed(reason), hears, exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::server_ended`].
    pub fn server_ended(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        let hears = self.hears();
        let outcome = match self {
            Self::ExpectPrelogin(_) | Self::Dialling(_) | Self::Refusing(_) => {
                return Step::Wait(self);
            }
            Self::ExpectAnswer(state) => state.ended(exchange),
            Self::Securing(state) => state.failed("the server closed the connection"),
            _ => Err(left()),
        };
        go_on(outcome, hears, exchange)
    }

    /// See [`crate::login::Login::refuse`].
    pub fn refuse(&self, refusal: &Refusal, to_client: &mut dyn Packets) {
        let (hearing, is_old) = self.hears();
        say(refusal, hearing, is_old, to_client);
    }

    /// See [`crate::login::Login::refuse_later`].
    pub fn refuse_later(&mut self, refusal: &Refusal) -> bool {
        match (&*self, self.hears().0) {
            (Self::Refusing(_), _) => true,
            (_, Hearing::Reply) => false,
            (_, hearing) => {
                let refusal = refusal.clone();
                *self = Refusing { refusal, hearing }.into();
                true
            }
        }
    }

    /// See [`crate::login::Login::waits_for`].
    pub fn waits_for(&self) -> Waits {
        match self {
            Self::ExpectPrelogin(_) | Self::ExpectLogin(_) | Self::Refusing(_) => Waits::Client,
            _ => Waits::Server,
        }
    }

    /// What the client would take, and whether in the words of an old version.
    fn hears(&self) -> (Hearing, bool) {
        let attempt = match self {
            Self::ExpectPrelogin(_) => return (Hearing::Nothing, false),
            Self::Refusing(state) => return (state.hearing, false),
            Self::Dialling(state) => &state.attempt,
            Self::ExpectAnswer(state) => &state.attempt,
            Self::ExpectLogin(state) => &state.attempt,
            Self::Securing(state) => &state.attempt,
            Self::SendingRest(state) => &state.attempt,
            Self::ExpectReply(state) => &state.attempt,
        };
        let client = attempt.client.as_ref();
        let is_old = client.is_some_and(|client| is_old(client.version()));
        (Attempt::hearing(attempt), is_old)
    }
}

fn go_on(
    outcome: Outcome,
    hears: (Hearing, bool),
    exchange: &mut Exchange<'_>,
) -> Step<MssqlLogin> {
    match settle(outcome, hears, exchange) {
        Next::Go(login) => login.step(exchange),
        Next::Leave(step) => step,
    }
}

/// A client that does not listen yet is told later.
fn settle(
    outcome: Outcome,
    (hearing, is_old): (Hearing, bool),
    exchange: &mut Exchange<'_>,
) -> Next {
    match (outcome, hearing) {
        (Ok(next), _) => next,
        (Err(refusal), Hearing::Answer | Hearing::Later) if refusal.cause != Cause::Said => {
            Next::Go(Refusing { refusal, hearing }.into())
        }
        (Err(refusal), _) => {
            say(&refusal, hearing, is_old, exchange.to_client);
            Next::Leave(Step::Refused(refusal))
        }
    }
}
