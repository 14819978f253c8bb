//! The login of any dialect, as its owner drives it.
//!
//! ```text
//!   bytes, connection, next turn -> step          tls_started, tls_failed, server_ended -> Step
//!   deadline, failed dial, end of the agent -> refuse, farewell
//!   the client leaves -> farewell
//! ```
//! Each step consumes the login and gives it back inside the [`Step`] as long as it goes on. A client
//! that leaves ends its login: the owner drops it. What a step that refuses has for the server is sent
//! before the server's connection is closed.

use std::time::Duration;

use super::exchange::{Exchange, Refusal, Step, Waits};
use super::mongo::{Found, MongoAccount, MongoLogin, Nonces};
use super::mssql::{Encryption, MssqlLogin};
use super::mysql::MysqlLogin;
use super::postgres::PostgresLogin;
use super::{Account, Keys, Packets};
use crate::base::Service;
use crate::limits;
use crate::wire::sink::Sink;

/// One row a dialect.
pub enum Login {
    /// PostgreSQL.
    Postgres(PostgresLogin),
    /// MySQL and MariaDB.
    Mysql(MysqlLogin),
    /// MongoDB.
    Mongo(MongoLogin),
    /// SQL Server.
    Mssql(MssqlLogin),
}

impl Login {
    /// A PostgreSQL client has connected. `nonce` is from a generator for keys, used once.
    pub fn postgres(account: Account, nonce: [u8; 18]) -> Self {
        Self::Postgres(PostgresLogin::new(account, nonce))
    }

    /// A MySQL or MariaDB client has connected, and waits for the server to speak.
    pub fn mysql(account: Account) -> Self {
        Self::Mysql(MysqlLogin::new(account))
    }

    /// A connection of a MongoDB driver. The session's last one was in at `found`.
    pub fn mongo(account: MongoAccount, nonces: Nonces, found: Found) -> Self {
        Self::Mongo(MongoLogin::new(account, nonces, found))
    }

    /// A client of SQL Server has connected. The server is called `server_name` there.
    pub fn mssql(account: Account, server_name: &str, encryption: Encryption) -> Self {
        Self::Mssql(MssqlLogin::new(account, server_name, encryption))
    }

    /// Bytes have come, or a turn.
    pub fn step(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        if exchange.from_client.len() > limits::LOGIN_CLIENT_BYTES_MAX {
            let refusal = Refusal::new(
                super::Cause::Protocol,
                "too much was sent before the login was done: send queries after it",
            );
            self.refuse(&refusal, exchange.to_client);
            self.farewell(exchange.to_server);
            return Step::Refused(refusal);
        }
        match self {
            Self::Postgres(login) => login.step(exchange).map(Self::Postgres),
            Self::Mysql(login) => login.step(exchange).map(Self::Mysql),
            Self::Mongo(login) => login.step(exchange).map(Self::Mongo),
            Self::Mssql(login) => login.step(exchange).map(Self::Mssql),
        }
    }

    /// TLS stands, as [`Step::StartTls`] wished.
    pub fn tls_started(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Postgres(login) => login.tls_started(exchange).map(Self::Postgres),
            Self::Mysql(login) => login.tls_started(exchange).map(Self::Mysql),
            Self::Mongo(login) => login.tls_started(exchange).map(Self::Mongo),
            Self::Mssql(login) => login.tls_started(exchange).map(Self::Mssql),
        }
    }

    /// TLS can't be had, for this reason.
    pub fn tls_failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Postgres(login) => login.tls_failed(reason, exchange).map(Self::Postgres),
            Self::Mysql(login) => login.tls_failed(reason, exchange).map(Self::Mysql),
            Self::Mssql(login) => login.tls_failed(reason, exchange).map(Self::Mssql),
            Self::Mongo(login) => login.tls_failed(reason, exchange).map(Self::Mongo),
        }
    }

    /// The hosts of the service, as [`Step::LookUp`] wished.
    pub fn told(self, service: &Service, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Mongo(login) => login.told(service, exchange).map(Self::Mongo),
            other => Step::Wait(other),
        }
    }

    /// There is another host, should this one not do.
    pub fn goes_elsewhere(&self) -> bool {
        match self {
            Self::Mongo(login) => login.goes_elsewhere(),
            _ => false,
        }
    }

    /// The host does not do, for this reason: the next one, or the end.
    pub fn try_elsewhere(self, refusal: &Refusal, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Mongo(login) => login.try_elsewhere(refusal, exchange).map(Self::Mongo),
            other => {
                other.refuse(refusal, exchange.to_client);
                Step::Refused(refusal.clone())
            }
        }
    }

    /// The server will send nothing more; its last bytes have been stepped through.
    pub fn server_ended(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Postgres(login) => login.server_ended(exchange).map(Self::Postgres),
            Self::Mysql(login) => login.server_ended(exchange).map(Self::Mysql),
            Self::Mongo(login) => login.server_ended(exchange).map(Self::Mongo),
            Self::Mssql(login) => login.server_ended(exchange).map(Self::Mssql),
        }
    }

    /// Tells the client why it is over, in any state.
    pub fn refuse(&self, refusal: &Refusal, to_client: &mut dyn Packets) {
        match self {
            Self::Postgres(login) => login.refuse(refusal, to_client),
            Self::Mysql(login) => login.refuse(refusal, to_client),
            Self::Mongo(login) => login.refuse(refusal, to_client),
            Self::Mssql(login) => login.refuse(refusal, to_client),
        }
    }

    /// A client that asks for encryption first takes no error for an answer: it is told as soon as it has said
    /// who it is, which ends the login. `true`: step again at once; no server is needed any more. `false`: this
    /// client listens already.
    pub fn refuse_later(&mut self, refusal: &Refusal) -> bool {
        match self {
            Self::Postgres(login) => login.refuse_later(refusal),
            Self::Mysql(_) => false,
            Self::Mongo(login) => login.refuse_later(refusal),
            Self::Mssql(login) => login.refuse_later(refusal),
        }
    }

    /// What the server is to hear if the login is dropped before its end, by whatever happens outside
    /// of a step: the owner sends it, and then closes.
    pub fn farewell(&self, to_server: &mut dyn Sink) {
        match self {
            Self::Postgres(_) | Self::Mongo(_) | Self::Mssql(_) => {}
            Self::Mysql(login) => login.farewell(to_server),
        }
    }

    /// For how long a login that calculates need not be stepped; [`Keys::work`] is called in the meantime, in turns.
    pub fn rest(&self, keys: &Keys) -> Duration {
        match self {
            Self::Postgres(login) => login.rest(keys),
            Self::Mysql(_) | Self::Mssql(_) => Duration::ZERO,
            Self::Mongo(login) => login.rest(keys),
        }
    }

    /// How long a server's next word may take.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Mongo(login) => login.patience(),
            _ => limits::LOGIN_SERVER_TIMEOUT,
        }
    }

    /// What the next step depends on.
    pub fn waits_for(&self) -> Waits {
        match self {
            Self::Postgres(login) => login.waits_for(),
            Self::Mysql(login) => login.waits_for(),
            Self::Mongo(login) => login.waits_for(),
            Self::Mssql(login) => login.waits_for(),
        }
    }
}
