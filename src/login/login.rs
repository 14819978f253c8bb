//! The login of any dialect, as its owner drives it.
//!
//! ```text
//!   bytes, connection, next turn -> step          tls_started, tls_failed, server_ended -> Step
//!   deadline, failed dial, end of the agent -> refuse
//! ```
//! Each consumes the login and gives it back inside the [`Step`] as long as it goes on. A client that
//! leaves ends its login: the owner drops it.

use super::exchange::{Exchange, Packets, Refusal, Step, Waits};
use super::postgres;
use crate::limits;

/// One row a dialect.
pub enum Login {
    /// PostgreSQL.
    Postgres(postgres::Login),
}

impl Login {
    /// A PostgreSQL client has connected.
    pub fn postgres(settings: postgres::Settings) -> Self {
        Self::Postgres(postgres::Login::new(settings))
    }

    /// Bytes have come, or a turn.
    pub fn step(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        if exchange.from_client.len() > limits::LOGIN_CLIENT_BYTES_MAX {
            let refusal = Refusal::new(
                super::Cause::Protocol,
                "too much was sent before the login was done: send queries after it",
            );
            self.refuse(&refusal, exchange.to_client);
            return Step::Refused(refusal);
        }
        match self {
            Self::Postgres(login) => login.step(exchange).map(Self::Postgres),
        }
    }

    /// TLS stands, as [`Step::StartTls`] wished.
    pub fn tls_started(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Postgres(login) => login.tls_started(exchange).map(Self::Postgres),
        }
    }

    /// TLS can't be had, for this reason.
    pub fn tls_failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Postgres(login) => login.tls_failed(reason, exchange).map(Self::Postgres),
        }
    }

    /// The server will send nothing more; its last bytes have been stepped through.
    pub fn server_ended(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Postgres(login) => login.server_ended(exchange).map(Self::Postgres),
        }
    }

    /// Tells the client why it is over, in any state.
    pub fn refuse(&self, refusal: &Refusal, to_client: &mut dyn Packets) {
        match self {
            Self::Postgres(login) => login.refuse(refusal, to_client),
        }
    }

    /// What the next step depends on.
    pub fn waits_for(&self) -> Waits {
        match self {
            Self::Postgres(login) => login.waits_for(),
        }
    }
}
