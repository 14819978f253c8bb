//! The states of a login, and how it goes from one to the next.
//!
//! ```text
//!  ExpectStartup --Dial--> Dialled ----------------(SSLMODE=disable)---------> ExpectRequest
//!       |                     ^  \--SSLRequest--> ExpectTlsAnswer --N (prefer)-----^  |
//!    Errand                   |                     S|  |                          |  |
//!                             +--prefer: no answer---|--+   StartTls               |  |
//!                             +--prefer: TLS failed--Securing ---tls_started-------+  |
//!                                                                                     |
//!  Passed <--Z-- ExpectReady <--Ok-- ExpectAccess <---cleartext-----------------------+
//!                   ^                     ^                                           |
//!                   +--Ok (trust)         +---- ExpectScramLast <- Deriving <- ExpectScramFirst
//! ```
//! `ExpectStartup` also answers SSLRequest and GSSENCRequest. Every state can refuse.

use super::authentication::{
    Deriving, ExpectAccess, ExpectRequest, ExpectScramFirst, ExpectScramLast,
};
use super::messages;
use super::opening::{Dialled, ExpectStartup, ExpectTlsAnswer, Securing};
use super::ready::ExpectReady;
use super::settings::Settings;
use crate::login::{Cause, Exchange, Packets, Refusal, Step, Waits};

/// A login in one of its states.
pub enum Login {
    /// Nothing but questions for encryption has come from the client.
    ExpectStartup(ExpectStartup),
    /// There is a new connection to the server.
    Dialled(Dialled),
    /// The server is asked for TLS.
    ExpectTlsAnswer(ExpectTlsAnswer),
    /// TLS is being agreed.
    Securing(Securing),
    /// The server knows who logs in, and says what it wants for it.
    ExpectRequest(ExpectRequest),
    /// The SCRAM conversation has begun.
    ExpectScramFirst(ExpectScramFirst),
    /// The key is being made.
    Deriving(Deriving),
    /// The server has our proof, and owes us its own.
    ExpectScramLast(ExpectScramLast),
    /// The server has all that it wanted.
    ExpectAccess(ExpectAccess),
    /// The client is in; the server tells about itself.
    ExpectReady(ExpectReady),
}

/// What a state came to. An error has not been said to the client yet, but [`Cause::Said`].
pub(super) type Outcome = Result<Next, Refusal>;

/// Where a state leads.
pub(super) enum Next {
    /// On with this, there may be enough bytes.
    Go(Login),
    /// The owner is to do something first.
    Leave(Step<Login>),
}

impl Next {
    pub(super) fn go(state: impl Into<Login>) -> Outcome {
        Ok(Self::Go(state.into()))
    }

    pub(super) fn wait(state: impl Into<Login>) -> Outcome {
        Ok(Self::Leave(Step::Wait(state.into())))
    }
}

macro_rules! states {
    ($($state:ident,)+) => {
        $(impl From<$state> for Login {
            fn from(state: $state) -> Self {
                Self::$state(state)
            }
        })+

        impl Login {
            fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
                match self {
                    $(Self::$state(state) => state.handle(exchange),)+
                }
            }
        }
    };
}

states! {
    ExpectStartup,
    Dialled,
    ExpectTlsAnswer,
    Securing,
    ExpectRequest,
    ExpectScramFirst,
    Deriving,
    ExpectScramLast,
    ExpectAccess,
    ExpectReady,
}

impl Login {
    /// A client has connected.
    pub fn new(settings: Settings) -> Self {
        ExpectStartup { settings }.into()
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
            Self::Securing(state) => state.started(exchange).step(exchange),
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::tls_failed`].
    pub fn tls_failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Securing(state) => settle(state.failed(reason, exchange), exchange),
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
            Self::Securing(state) => state.failed("the server closed the connection", exchange),
            Self::ExpectRequest(state) => state.ended(exchange),
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

    /// See [`crate::login::Login::waits_for`].
    pub fn waits_for(&self) -> Waits {
        match self {
            Self::ExpectStartup(_) => Waits::Client,
            Self::Deriving(_) => Waits::Turn,
            _ => Waits::Server,
        }
    }
}

fn settle(outcome: Outcome, exchange: &mut Exchange<'_>) -> Step<Login> {
    match outcome {
        Ok(Next::Leave(step)) => step,
        Ok(Next::Go(login)) => login.step(exchange),
        Err(refusal) => {
            say(&refusal, exchange.to_client);
            Step::Refused(refusal)
        }
    }
}

fn say(refusal: &Refusal, to_client: &mut dyn Packets) {
    if refusal.cause != Cause::Said {
        to_client.packet(&messages::error_response(refusal));
    }
}
