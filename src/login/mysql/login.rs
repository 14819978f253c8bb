//! How a login is driven, and what it says when it must end. Every state can refuse.

use super::messages;
use super::opening::begin;
use super::refusal::say;
use super::state::{MysqlLogin, Next, Outcome};
use crate::login::{Account, Cause, Exchange, Packets, Refusal, Step, Waits};
use crate::wire::sink::Sink;

impl MysqlLogin {
    /// A client has connected.
    pub fn new(account: Account) -> Self {
        Self::Fresh(Box::new(account))
    }

    /// See [`crate::login::Login::step`].
    pub fn step(mut self, exchange: &mut Exchange<'_>) -> Step<Self> {
        // Each state that goes on has used a packet, so this ends.
        loop {
            let is_greeted = self.is_greeted();
            let outcome = match self {
                Self::Fresh(account) => begin(account, exchange),
                Self::ExpectGreeting(state) => state.handle(exchange),
                Self::ExpectResponse(state) => state.handle(exchange),
                Self::SecuringResponse(_) => Next::wait(self),
                Self::ExpectVerdict(state) => state.handle(exchange),
                Self::ExpectKey(state) => state.handle(exchange),
            };
            match outcome {
                Ok(Next::Go(next)) => self = next,
                outcome => return settle(outcome, is_greeted, exchange),
            }
        }
    }

    /// See [`crate::login::Login::tls_started`].
    pub fn tls_started(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::SecuringResponse(state) => state.started(exchange).step(exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::tls_failed`].
    pub fn tls_failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::SecuringResponse(state) => settle(state.failed(reason, exchange), true, exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::server_ended`].
    pub fn server_ended(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Fresh(_) => Step::Wait(self),
            Self::SecuringResponse(_) => {
                self.tls_failed("the server closed the connection", exchange)
            }
            _ => {
                let text = "the server closed the connection during the login: its log says why";
                let refusal = Refusal::new(Cause::Unreachable, text);
                settle(Err(refusal), self.is_greeted(), exchange)
            }
        }
    }

    /// See [`crate::login::Login::refuse`].
    pub fn refuse(&self, refusal: &Refusal, to_client: &mut dyn Packets) {
        say(refusal, self.is_greeted(), to_client);
    }

    /// See [`crate::login::Login::farewell`].
    pub fn farewell(&self, to_server: &mut dyn Sink) {
        match self {
            Self::Fresh(_) | Self::SecuringResponse(_) => {}
            Self::ExpectGreeting(_) | Self::ExpectResponse(_) => to_server.put(messages::FAREWELL),
            Self::ExpectVerdict(state) => state.farewell(to_server),
            Self::ExpectKey(state) => state.login.farewell(to_server),
        }
    }

    /// See [`crate::login::Login::waits_for`].
    pub fn waits_for(&self) -> Waits {
        match self {
            Self::ExpectResponse(_) => Waits::Client,
            _ => Waits::Server,
        }
    }

    fn is_greeted(&self) -> bool {
        match self {
            Self::Fresh(_) => false,
            Self::ExpectGreeting(state) => state.response.is_some(),
            _ => true,
        }
    }
}

fn settle(outcome: Outcome, is_greeted: bool, exchange: &mut Exchange<'_>) -> Step<MysqlLogin> {
    match outcome {
        Ok(Next::Leave(step)) => step,
        Ok(Next::Go(login)) => login.step(exchange),
        Err(refusal) => {
            say(&refusal, is_greeted, exchange.to_client);
            Step::Refused(refusal)
        }
    }
}
