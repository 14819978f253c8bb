//! Who the agent is to AWS, and what is wanted there beside secrets.

use crate::base::Secret;
use crate::base::civil::Rfc3339;

/// How requests are signed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credentials {
    /// The access key's id, which is no secret.
    pub id: String,
    /// The key.
    pub secret: Secret,
    /// Of credentials with an end.
    pub token: Option<Secret>,
    /// That end, in seconds since 1970.
    pub until: Option<u64>,
}

impl Credentials {
    /// Which key it is and how long it lives, for `doctor`.
    pub(super) fn described(&self, clock: u64) -> String {
        // What was set in the wrong place may be the secret.
        let id = match self.id.len() {
            16..=32 if self.id.is_ascii() && self.id.starts_with('A') => {
                [&self.id[..4], "...", &self.id[self.id.len() - 4..]].concat()
            }
            _ => "of an unusual form".to_owned(),
        };
        let life = match (self.until, &self.token) {
            (Some(until), _) => {
                let left = (until.saturating_sub(clock) / 60).to_string();
                let end = Rfc3339::whole(until).to_string();
                [" until ", &end, ", ", &left, " minutes"].concat()
            }
            (None, Some(_)) => " of a session whose end nobody says".to_owned(),
            (None, None) => " without an end".to_owned(),
        };
        ["key ", &id, &life].concat()
    }
}

/// A role that is taken on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Role {
    /// Its name.
    pub arn: String,
    /// What the session is called there; empty: as the caller likes.
    pub session: String,
    /// What the role's owner wants to hear.
    pub external_id: Option<String>,
    /// Seconds.
    pub duration: Option<String>,
}

impl Role {
    /// What its credentials are kept under.
    pub fn key(&self) -> String {
        [&self.arn[..], " ", &self.session].concat()
    }
}

/// What is wanted of AWS beside secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The agent's own credentials, for a database's token.
    Credentials,
    /// Those of a role, for a cluster's, of the agent's own where there is none; asked for in the cluster's region.
    Role(Option<Role>, String),
    /// Who the agent is.
    Identity,
}
