//! Where configuration comes from, and the ways of reading it that several parts share.

use std::io;

use super::dsn::looks_like_key;
use super::error::{ConfigError, Warning};

/// Where configuration comes from: a look-up of variables and a reader of (small) files.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The value of a variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file; the reader limits its size.
    pub read_file: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
}

impl Surroundings<'_> {
    /// A variable's value without the white space around it; nothing left counts as unset.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = (self.variable)(name)?;
        let trimmed = value.trim();
        if trimmed.len() == value.len() {
            return Some(value).filter(|value| !value.is_empty());
        }
        Some(trimmed.to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn read(&self, variable: &'static str, path: &str) -> Result<Vec<u8>, ConfigError> {
        if looks_like_key(path) || path.contains("://") {
            return Err(ConfigError::KeyForPath { variable });
        }
        (self.read_file)(path).map_err(|error| ConfigError::File {
            variable,
            path: path.to_owned(),
            error,
        })
    }
}

/// Exactly `true`, as upstream reads its switches; a near miss is worth a warning.
pub(super) fn is_true(
    surroundings: Surroundings<'_>,
    name: &'static str,
    warnings: &mut Vec<Warning>,
) -> bool {
    match (surroundings.variable)(name).as_deref() {
        Some("true") => true,
        None | Some("" | "false" | "0" | "no" | "off") => false,
        Some(_) => {
            warnings.push(Warning::NotTrue(name));
            false
        }
    }
}
