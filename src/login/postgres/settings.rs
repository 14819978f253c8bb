//! What a connection's own variables say about its server.

use crate::base::Secret;
use crate::login::{Cause, Refusal, TlsMode};

/// How to log in. Holds the password for as long as the login takes.
pub struct Settings {
    pub(super) user: Vec<u8>,
    pub(super) password: Secret,
    pub(super) database: Option<Vec<u8>>,
    pub(super) tls: TlsMode,
    pub(super) is_plain_password_allowed: bool,
    pub(super) nonce: [u8; 18],
}

impl Settings {
    /// `USER` and `PASS`; `nonce` is from a generator for keys, used once.
    pub fn new(user: impl Into<Vec<u8>>, password: Secret, nonce: [u8; 18]) -> Self {
        Self {
            user: user.into(),
            password,
            database: None,
            tls: TlsMode::Disable,
            is_plain_password_allowed: false,
            nonce,
        }
    }

    /// `DB`: for a client that names no database, or `noop`.
    pub fn with_database(mut self, database: impl Into<Vec<u8>>) -> Self {
        self.database = Some(database.into()).filter(|name| !name.is_empty());
        self
    }

    /// `SSLMODE`.
    pub fn with_tls(mut self, tls: TlsMode) -> Self {
        self.tls = tls;
        self
    }

    /// Nobody listens between us and the server, or the operator has said that it does not matter: a
    /// server that wants the password itself gets it without TLS.
    pub fn with_plain_password_allowed(mut self, is_allowed: bool) -> Self {
        self.is_plain_password_allowed = is_allowed;
        self
    }

    /// All of these end at a NUL byte on the wire.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let database = self.database.as_deref().unwrap_or_default();
        let mut texts = [&self.user, self.password.expose(), database].into_iter();
        if texts.any(|text| text.contains(&0)) {
            return Err(Refusal::new(
                Cause::Credentials,
                "USER, PASS or DB of the connection has a NUL byte, which PostgreSQL can't take: \
                 correct it at the gateway",
            ));
        }
        Ok(())
    }
}
