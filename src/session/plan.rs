//! What a connection says about its variables: the first of two steps.
//!
//! Everything is read here and nothing is looked up, so that it is known what has to be fetched before a session
//! can have its variables. [`super::environment`] finishes them.

use super::variable_error::{ReferenceError, VariableError};
use crate::base::Secret;
use crate::packet::EnvVars;
use crate::wire::base64;

/// Placeholder by which a connection names a variable of the agent.
const FROM_AGENT: &[u8] = b"system.agent.envs";

/// Secret stores of upstream that are not served yet.
const OTHER_PROVIDERS: [&str; 3] = ["_aws", "_vaultkv1", "_vaultkv2"];

/// The variables of a connection: their keys (`envvar:NAME`, `filesystem:NAME`), what they have, and what
/// that stands for.
pub struct Plan(pub(super) Vec<(String, Secret, Meaning)>);

/// What the text of a variable stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Itself.
    Itself,
    /// The agent's own variable of the same name, or itself where the agent has none.
    OfAgent,
    /// `_envjson:<variable>:<field>`: a field of the JSON object of strings in a variable of the agent.
    Json,
}

impl Plan {
    /// Reads what a connection has, or says what is wrong with it.
    pub fn new(variables: EnvVars) -> Result<Self, VariableError> {
        let mut plan = Vec::with_capacity(variables.len());
        for (key, encoded) in variables {
            let (kind, name) = split_key(&key)?;
            let value = decode(name, &encoded)?;
            let meaning = match kind == "envvar" && value.expose() == FROM_AGENT {
                true => Meaning::OfAgent,
                false => meaning(&key, value.expose_text().unwrap_or(""))?,
            };
            plan.push((key, value, meaning));
        }
        Ok(Self(plan))
    }
}

/// Texts of three parts may refer to a secret store; others, passwords with colons included, do not.
fn meaning(key: &str, text: &str) -> Result<Meaning, VariableError> {
    let Some((provider, rest)) = text.split_once(':') else {
        return Ok(Meaning::Itself);
    };
    if rest.bytes().filter(|byte| *byte == b':').count() != 1 {
        return Ok(Meaning::Itself);
    }
    if let Some(other) = OTHER_PROVIDERS.iter().find(|other| **other == provider) {
        let error = ReferenceError::Provider(other);
        return Err(VariableError::Reference(key.to_owned(), error));
    }
    Ok(match provider {
        "_envjson" => Meaning::Json,
        _ => Meaning::Itself,
    })
}

pub(super) fn split_key(key: &str) -> Result<(&str, &str), VariableError> {
    match key.split_once(':') {
        Some((kind, name)) if !name.contains(':') => Ok((kind, name)),
        _ => Err(VariableError::Key(key.to_owned())),
    }
}

pub(super) fn decode(name: &str, encoded: &Secret) -> Result<Secret, VariableError> {
    base64::decode(encoded.expose())
        .map(Secret::new)
        .map_err(|error| VariableError::Encoding(name.to_owned(), error))
}
