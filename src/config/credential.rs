//! The key, and what comes with it: found in the order that the folder's documentation gives.

use std::fmt;

use super::dsn::{Dsn, DsnError, Mode, Scheme};
use super::error::{ConfigError, Warning};
use super::key::{FoundKey, GRPC_URL, KEY_FILE, KeySource, SPIFFE_KEY_FILE, is_header_text};
use super::surroundings::{Surroundings, is_true};
use crate::base::Secret;
use crate::base::address::GatewayAddress;

/// The kinds of keys, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// A URL with name and secret.
    Dsn,
    /// A JWT-SVID in a file.
    Svid,
    /// A static token.
    Env,
}

impl ConfigType {
    /// The word of the start line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dsn => "dsn",
            Self::Svid => "svid",
            Self::Env => "env",
        }
    }
}

impl fmt::Display for ConfigType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the key variables together say.
pub(super) struct Credential {
    pub(super) gateway: GatewayAddress,
    pub(super) is_plaintext: bool,
    pub(super) token: Secret,
    pub(super) key_source: KeySource,
    pub(super) name: Option<String>,
    pub(super) mode: Mode,
    pub(super) config_type: ConfigType,
}

impl Credential {
    pub(super) fn find(
        surroundings: Surroundings<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigError> {
        if let Some(text) = surroundings.get("HOOP_KEY") {
            return Self::of_variable("HOOP_KEY", text, warnings);
        }
        if let Some(path) = surroundings.get(KEY_FILE) {
            return Self::of_key_file(surroundings, path, warnings);
        }
        if let Some(text) = surroundings.get("HOOP_DSN") {
            warnings.push(Warning::DeprecatedDsn);
            return Self::of_variable("HOOP_DSN", text, warnings);
        }
        if let Some(path) = surroundings.get(SPIFFE_KEY_FILE) {
            return Self::of_spiffe_file(surroundings, path, warnings);
        }
        let token = ["TOKEN", "HOOP_TOKEN"]
            .into_iter()
            .find_map(|name| surroundings.get(name).map(|text| (name, text)));
        if let (Some((name, text)), Some(url)) = (token, surroundings.get(GRPC_URL)) {
            return Self::of_static_token(name, text, &url, warnings);
        }
        Err(ConfigError::MissingKey)
    }

    fn of_variable(
        variable: &'static str,
        text: String,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigError> {
        let token = Secret::new(text);
        let dsn = Dsn::read(&token).map_err(|reason| match reason {
            DsnError::Address(error) => ConfigError::Address { variable, error },
            reason => ConfigError::Key { variable, reason },
        })?;
        Ok(Self::of_dsn(
            dsn,
            token,
            KeySource::Variable(variable),
            warnings,
        ))
    }

    fn of_key_file(
        surroundings: Surroundings<'_>,
        path: String,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigError> {
        let key_source = KeySource::DsnFile {
            variable: KEY_FILE,
            path,
        };
        match key_source.read(surroundings)? {
            Some(FoundKey {
                token,
                dsn: Some(dsn),
            }) => Ok(Self::of_dsn(dsn, token, key_source, warnings)),
            _ => Err(ConfigError::MissingKey),
        }
    }

    fn of_dsn(dsn: Dsn, token: Secret, key_source: KeySource, warnings: &mut Vec<Warning>) -> Self {
        if dsn.is_old_form {
            warnings.push(Warning::OldKeyForm);
        }
        if dsn.mode == Mode::Unknown {
            warnings.push(Warning::UnknownMode);
        }
        Self {
            gateway: dsn.gateway,
            is_plaintext: dsn.scheme == Scheme::Plain,
            token,
            key_source,
            name: dsn.name,
            mode: dsn.mode,
            config_type: ConfigType::Dsn,
        }
    }

    fn of_spiffe_file(
        surroundings: Surroundings<'_>,
        path: String,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigError> {
        let url = surroundings
            .get(GRPC_URL)
            .ok_or(ConfigError::SpiffeNeedsUrl)?;
        let url = GrpcUrl::parse(&url)?;
        let key_source = KeySource::JwtFile { path };
        let Some(found) = key_source.read(surroundings)? else {
            return Err(ConfigError::MissingKey);
        };
        let insecure = is_true(surroundings, "HOOP_GRPC_INSECURE", warnings);
        Ok(Self {
            is_plaintext: url.is_local_plaintext || insecure,
            gateway: url.gateway,
            token: found.token,
            key_source,
            name: surroundings.get("HOOP_SPIFFE_NAME"),
            mode: Mode::Standard,
            config_type: ConfigType::Svid,
        })
    }

    fn of_static_token(
        variable: &'static str,
        text: String,
        url: &str,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigError> {
        if !is_header_text(&text) {
            return Err(ConfigError::Token { variable });
        }
        warnings.push(Warning::DeprecatedToken(variable));
        let url = GrpcUrl::parse(url)?;
        Ok(Self {
            is_plaintext: url.is_local_plaintext,
            gateway: url.gateway,
            token: Secret::new(text),
            key_source: KeySource::Variable(variable),
            name: None,
            mode: Mode::Standard,
            config_type: ConfigType::Env,
        })
    }
}

/// `HOOP_GRPCURL`: an address whose scheme asks for plaintext only towards this machine.
struct GrpcUrl {
    gateway: GatewayAddress,
    is_local_plaintext: bool,
}

impl GrpcUrl {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => {
                let scheme = Scheme::parse(scheme).map_err(|_| ConfigError::UrlScheme)?;
                (Some(scheme), rest)
            }
            None => (None, text),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let gateway = GatewayAddress::parse(authority).map_err(|error| ConfigError::Address {
            variable: GRPC_URL,
            error,
        })?;
        let is_local_plaintext = match scheme {
            Some(Scheme::Plain) => gateway.is_loopback(),
            Some(Scheme::Tls) => false,
            None => gateway.authority == LOCAL_GATEWAY,
        };
        Ok(Self {
            gateway,
            is_local_plaintext,
        })
    }
}

/// Upstream's only address that is plaintext without being asked.
const LOCAL_GATEWAY: &str = "127.0.0.1:8010";
