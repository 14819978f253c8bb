//! What a connection says about its variables: the first of two steps.
//!
//! Everything is read here and nothing is looked up, so that it is known what has to be fetched before a session
//! can have its variables. [`super::environment`] finishes them.

use super::variable_error::{ReferenceError, VariableError};
use crate::base::Secret;
use crate::base::plain::shortened;
use crate::limits;
use crate::packet::EnvVars;
use crate::secrets::{Cause, Reference, Want, plan};
use crate::wire::base64;

/// Placeholder by which a connection names a variable of the agent.
const FROM_AGENT: &[u8] = b"system.agent.envs";

/// The variables of a connection: their keys (`envvar:NAME`, `filesystem:NAME`), what they have, and what
/// that stands for.
pub struct Plan {
    pub(super) variables: Vec<(String, Secret, Meaning)>,
    references: Vec<Reference>,
    /// USER stands for a token of this user.
    pub(super) rds_user: Option<String>,
}

/// What the text of a variable stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Itself.
    Itself,
    /// The agent's own variable of the same name, or itself where the agent has none.
    OfAgent,
    /// `_envjson:<variable>:<field>`: a field of the JSON object of strings in a variable of the agent.
    Json,
    /// The reference of this number.
    Stored(usize),
}

impl Plan {
    /// Reads what a connection has, or says what is wrong with it.
    pub fn new(variables: EnvVars) -> Result<Self, VariableError> {
        let mut plan = Self {
            variables: Vec::with_capacity(variables.len()),
            references: Vec::new(),
            rds_user: None,
        };
        let mut has_filler = None;
        for (key, encoded) in variables {
            let (kind, name) = split_key(&key)?;
            let value = decode(name, &encoded)?;
            let meaning = match kind == "envvar" && value.expose() == FROM_AGENT {
                true => Meaning::OfAgent,
                false => match plan::meaning(name, value.expose_text().unwrap_or("")) {
                    Ok(plan::Meaning::Itself) => Meaning::Itself,
                    Ok(plan::Meaning::EnvJson) => Meaning::Json,
                    Ok(plan::Meaning::Stored(reference)) => {
                        plan.references.push(reference);
                        Meaning::Stored(plan.references.len() - 1)
                    }
                    Ok(plan::Meaning::RdsUser(user)) => {
                        plan.rds_user = Some(user);
                        Meaning::Itself
                    }
                    Ok(plan::Meaning::RdsFiller) => {
                        has_filler = Some(key.clone());
                        Meaning::Itself
                    }
                    Err(refused) => {
                        let error = ReferenceError::Form(refused.0);
                        return Err(VariableError::Reference(key, error));
                    }
                },
            };
            plan.variables.push((key, value, meaning));
        }
        match has_filler {
            Some(key) if plan.rds_user.is_none() => {
                Err(VariableError::Reference(key, ReferenceError::Filler))
            }
            _ => Ok(plan),
        }
    }

    /// The secrets that have to be fetched; `None`: too many.
    pub(super) fn wants(&self) -> Result<Vec<Want>, VariableError> {
        plan::gather(&self.references).ok_or(VariableError::TooManyReferences)
    }

    /// What all of it takes of the heap, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let sizes = self.variables.iter();
        sizes
            .map(|(key, value, _)| 3 * (key.capacity() + value.capacity()) + 128)
            .sum()
    }

    /// Puts what was fetched in the place of references, or says of each why it is not to be had, in order.
    pub(super) fn resolve(
        &mut self,
        mut fetched: Vec<(usize, Result<Secret, Cause>)>,
    ) -> Result<(), VariableError> {
        let mut failed = Vec::new();
        for (key, value, meaning) in &mut self.variables {
            let Meaning::Stored(number) = *meaning else {
                continue;
            };
            let found = fetched.iter().position(|(known, _)| *known == number);
            match found.map(|at| fetched.swap_remove(at).1) {
                Some(Ok(secret)) => (*value, *meaning) = (secret, Meaning::Itself),
                other => {
                    let cause = match other {
                        Some(Err(cause)) => cause.to_string(),
                        _ => "was not fetched".to_owned(),
                    };
                    let reference = self.references.get(number);
                    let (provider, id) =
                        reference.map_or(("", ""), |it| (it.provider.name(), &it.id));
                    let id = shortened(id, limits::SECRET_ID_SHOWN_BYTES);
                    failed.push(format!("{key} {provider} {id}: {cause}"));
                }
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(VariableError::References(failed)),
        }
    }
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
