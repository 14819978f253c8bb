//! What a connection says about its variables: the first of two steps.
//!
//! Everything is read here and nothing is looked up, so that it is known what has to be fetched before a session
//! can have its variables. [`super::environment`] finishes them.

use crate::base::Secret;
use crate::packet::EnvVars;
use crate::wire::base64;

/// Placeholder by which a connection names a variable of the agent.
const FROM_AGENT: &[u8] = b"system.agent.envs";

/// Secret stores of upstream that are not served yet.
const OTHER_PROVIDERS: [&str; 3] = ["_aws", "_vaultkv1", "_vaultkv2"];

/// The variables of a connection, by their keys (`envvar:NAME`, `filesystem:NAME`).
pub struct Plan(pub(super) Vec<(String, Planned)>);

/// What a variable will be.
pub(super) enum Planned {
    /// Just this.
    Value(Secret),
    /// The agent's own variable of this name, or the text by which it was asked for.
    OfAgent(Secret),
    /// A field of the JSON object that a variable of the agent holds.
    Json {
        /// Of the agent.
        variable: String,
        /// In the object.
        field: String,
    },
}

impl Plan {
    /// Reads what a connection has, or says in one sentence what is wrong with it.
    pub fn new(variables: EnvVars) -> Result<Self, String> {
        let mut plan = Vec::with_capacity(variables.len());
        for (key, encoded) in variables {
            let (kind, name) = split_key(&key)?;
            let planned = planned(&key, kind, decode(name, &encoded)?)?;
            plan.push((key, planned));
        }
        Ok(Self(plan))
    }
}

/// `_envjson:<variable>:<key>` refers to a JSON object of strings in a variable of the agent; other
/// text, passwords with colons included, stays as it is.
fn planned(key: &str, kind: &str, value: Secret) -> Result<Planned, String> {
    if kind == "envvar" && value.expose() == FROM_AGENT {
        return Ok(Planned::OfAgent(value));
    }
    let mut parts = value.expose_text().unwrap_or("").split(':');
    let parts = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(provider), Some(variable), Some(field), None) = parts else {
        return Ok(Planned::Value(value));
    };
    if OTHER_PROVIDERS.contains(&provider) {
        let reason = format!("the secret provider {provider} is not served by this agent");
        return Err(undecodable(key, &reason));
    }
    Ok(match provider {
        "_envjson" => Planned::Json {
            variable: variable.to_owned(),
            field: field.to_owned(),
        },
        _ => Planned::Value(value),
    })
}

/// Upstream's sentence about the variable of this key.
pub(super) fn undecodable(key: &str, reason: &str) -> String {
    format!("failed decoding environment variables [\"{key} {reason}\"]")
}

pub(super) fn split_key(key: &str) -> Result<(&str, &str), String> {
    let wrong = || {
        format!("environment variable key type in unknown format, want=[keytype:key], got={key}")
    };
    let (kind, name) = key.split_once(':').ok_or_else(wrong)?;
    if name.contains(':') {
        Err(wrong())
    } else {
        Ok((kind, name))
    }
}

pub(super) fn decode(name: &str, encoded: &Secret) -> Result<Secret, String> {
    base64::decode(encoded.expose())
        .map(Secret::new)
        .map_err(|error| format!("failed decoding env var \"{name}\", err={error}"))
}
