//! AWS: who the agent is there, its secrets, and the tokens that it may make of that.

mod answers;
mod chain;
mod credentials;
mod endpoints;
pub mod ini;
pub mod sigv4;
mod store;
mod tokens;

pub use chain::Role;
pub use store::Aws;
pub use tokens::{Mint, Tokens};

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

#[cfg(test)]
mod tests;
