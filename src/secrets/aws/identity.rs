//! Who the agent is to AWS, and what is wanted there beside secrets.

use crate::base::Secret;

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
    /// Those of a role, for a cluster's; of the agent's own where there is none.
    Role(Option<Role>),
    /// Who the agent is.
    Identity,
}

/// Who the agent is, for `doctor`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// Where the credentials come from.
    pub source: String,
    /// Amazon's name for it.
    pub arn: String,
    /// The region.
    pub region: String,
    /// The end of the credentials.
    pub until: Option<u64>,
}
