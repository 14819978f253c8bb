//! Where the key comes from, and how it is read again.

use super::dsn::{Dsn, is_jwt};
use super::error::ConfigError;
use super::surroundings::Surroundings;
use crate::base::Secret;

/// Where the key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An environment variable, or a pipe that it names: it stays what it was at start.
    Variable(&'static str),
    /// A file with a key (`HOOP_KEY_FILE`), read again before every connection attempt.
    DsnFile {
        /// The variable that names the file.
        variable: &'static str,
        /// The file.
        path: String,
    },
    /// A file with a JWT (`HOOP_SPIFFE_KEY_FILE`), read again before every connection attempt.
    JwtFile {
        /// The file.
        path: String,
    },
}

/// A key as it was found.
pub(super) struct FoundKey {
    /// The text that is sent.
    pub token: Secret,
    /// What the text says, for keys that are URLs.
    pub dsn: Option<Dsn>,
}

impl KeySource {
    /// The file that holds the key, if one does.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Variable(_) => None,
            Self::DsnFile { path, .. } | Self::JwtFile { path } => Some(path),
        }
    }

    /// The key as it is in the file now; `None` when there is no file to read.
    pub(super) fn read(
        &self,
        surroundings: Surroundings<'_>,
    ) -> Result<Option<FoundKey>, ConfigError> {
        match self {
            Self::Variable(_) => Ok(None),
            Self::DsnFile { variable, path } => {
                let token = file_text(surroundings, variable, path)?;
                let dsn = Dsn::read(&token).map_err(|reason| ConfigError::FileKey {
                    variable,
                    path: path.clone(),
                    reason,
                })?;
                Ok(Some(FoundKey {
                    token,
                    dsn: Some(dsn),
                }))
            }
            Self::JwtFile { path } => {
                let token = file_text(surroundings, SPIFFE_KEY_FILE, path)?;
                let text = token.expose_text().unwrap_or_default();
                if !is_jwt(text) || !is_header_text(text) {
                    return Err(ConfigError::FileNotJwt { path: path.clone() });
                }
                Ok(Some(FoundKey { token, dsn: None }))
            }
        }
    }
}

/// A file's content without the white space around it, and without the byte order mark that editors
/// put in front.
fn file_text(
    surroundings: Surroundings<'_>,
    variable: &'static str,
    path: &str,
) -> Result<Secret, ConfigError> {
    let content = Secret::new(surroundings.read(variable, path)?);
    let text = content.expose();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(ConfigError::FileEmpty {
            variable,
            path: path.to_owned(),
        });
    }
    Ok(Secret::new(text))
}

/// What may stand behind `Bearer `.
pub(super) fn is_header_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// The variable that names the SPIFFE file.
pub(super) const SPIFFE_KEY_FILE: &str = "HOOP_SPIFFE_KEY_FILE";
/// The variable that names a key's file.
pub(super) const KEY_FILE: &str = "HOOP_KEY_FILE";
/// The variable that names the gateway, for keys that don't.
pub(super) const GRPC_URL: &str = "HOOP_GRPCURL";
/// The variables of which one gives an agent its key; a static token may stand in for all of them.
pub const KEY_VARIABLES: [&str; 4] = ["HOOP_KEY", KEY_FILE, "HOOP_DSN", SPIFFE_KEY_FILE];
