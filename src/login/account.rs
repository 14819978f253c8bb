//! What a connection's own variables say about the account and the way to it.

use super::{Cause, Refusal, SslMode};
use crate::base::{Secret, Verify};

/// How to log in. Holds the password for as long as the login takes.
pub struct Account {
    pub(super) user: Vec<u8>,
    pub(super) password: Secret,
    pub(super) database: Option<Vec<u8>>,
    pub(super) tls: SslMode,
    pub(super) is_plain_password_allowed: bool,
    pub(super) rsa_seed: Option<[u8; 20]>,
}

impl Account {
    /// `USER` and `PASS`.
    pub fn new(user: impl Into<Vec<u8>>, password: Secret) -> Self {
        Self {
            user: user.into(),
            password,
            database: None,
            tls: SslMode::Disable,
            is_plain_password_allowed: false,
            rsa_seed: None,
        }
    }

    /// `DB`: for a client that names no database, or `noop`.
    pub fn with_database(mut self, database: impl Into<Vec<u8>>) -> Self {
        self.database = Some(database.into()).filter(|name| !name.is_empty());
        self
    }

    /// `SSLMODE`.
    pub fn with_tls(mut self, tls: SslMode) -> Self {
        self.tls = tls;
        self
    }

    /// Nobody listens between us and the server, or the operator has said that it does not matter: a
    /// server that wants the password itself gets it without TLS.
    pub fn with_plain_password_allowed(mut self, is_allowed: bool) -> Self {
        self.is_plain_password_allowed = is_allowed;
        self
    }

    /// `MYSQL_RSA`: a MySQL server without TLS may have the password under its public key, whoever
    /// sent that key. `seed` is from a generator for keys, used once.
    pub fn with_rsa(mut self, seed: [u8; 20]) -> Self {
        self.rsa_seed = Some(seed);
        self
    }

    /// TLS comes without a look at the certificate.
    pub(super) fn trusts_anybody(&self) -> bool {
        let wish = self.tls.wish();
        wish.is_some_and(|wish| wish.verify == Verify::Nobody)
    }

    /// All of these end at a NUL byte on the wire.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let database = self.database.as_deref().unwrap_or_default();
        let mut texts = [&self.user, self.password.expose(), database].into_iter();
        if texts.any(|text| text.contains(&0)) {
            return Err(Refusal::new(
                Cause::Credentials,
                "USER, PASS or DB of the connection has a NUL byte, which can't be sent: correct it at \
                 the gateway",
            ));
        }
        Ok(())
    }
}
