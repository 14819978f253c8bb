//! What the environment means: gateway, trust, key, proxy and settings, checked and explained.
//!
//! Pure over [`Surroundings`]: nothing here reads a variable, a file or a clock by itself. An
//! empty variable counts as unset. The key is found in this order, the first one set wins and an
//! error in it is final:
//!
//! 1. `HOOP_KEY`, then `HOOP_KEY_FILE`, then `HOOP_DSN` (deprecated): a [`Dsn`];
//! 2. `HOOP_SPIFFE_KEY_FILE` with `HOOP_GRPCURL`: a JWT in a file;
//! 3. `TOKEN`, then `HOOP_TOKEN`, with `HOOP_GRPCURL` (deprecated): a static token.

use std::{fmt, io};

pub mod authority;
pub mod beside;
mod custody;
mod dsn;
mod error;
mod key;
pub mod percent;
pub mod proxy;
pub mod settings;
pub mod units;

pub use crate::base::address::{AddressError, GatewayAddress};
pub use custody::{KEY_READABLE, LANDLOCK_LACKING};
pub use dsn::{Dsn, DsnError, Mode, Scheme};
pub use error::{ConfigError, Warning};
pub use key::{KeySource, looks_like_key};
pub use proxy::{Proxy, ProxyError};
pub use settings::{HealthListen, Settings};

use crate::base::{Secret, Trust, Verify};

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

    fn read(&self, variable: &'static str, path: &str) -> Result<Vec<u8>, ConfigError> {
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

/// Everything the agent starts with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gateway is.
    pub gateway: GatewayAddress,
    /// How the way to it is protected.
    pub tls: TlsMode,
    /// What is sent as `authorization: Bearer`.
    pub token: Secret,
    /// Where the token came from.
    pub key_source: KeySource,
    /// The agent's name, for display only.
    pub name: Option<String>,
    /// How the agent works.
    pub mode: Mode,
    /// What kind of key this is.
    pub config_type: ConfigType,
    /// The proxy on the way to the gateway; exceptions are already applied.
    pub proxy: Option<Proxy>,
    /// Settings of our own.
    pub settings: Settings,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

/// How the way to the gateway is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Not at all.
    Plaintext,
    /// By TLS.
    Tls {
        /// Whom to believe.
        trust: Trust,
        /// The file that the authorities were read from.
        authority_file: Option<String>,
        /// The name that the certificate must have, when it is not the gateway's host.
        server_name: Option<String>,
    },
}

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

impl Config {
    /// Reads and checks everything; the first mistake ends it.
    pub fn load(surroundings: Surroundings<'_>) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let settings = Settings::load(surroundings)?;
        let credential = Credential::find(surroundings, &mut warnings)?;
        let use_own_roots = credential.config_type != ConfigType::Env;
        let trust = authority::load(surroundings, use_own_roots, &mut warnings)?;
        let proxy = proxy::for_target(surroundings, &credential.gateway)?;
        let tls = if credential.is_plaintext {
            let is_near = credential.gateway.is_near();
            // A proxy looks the name up, and what it finds is not known here.
            if is_near == Some(false) || (is_near.is_none() && proxy.is_some()) {
                if settings.refuse_plaintext {
                    return Err(ConfigError::Plaintext(credential.gateway));
                }
                warnings.push(Warning::Plaintext(credential.gateway.clone()));
            }
            TlsMode::Plaintext
        } else {
            if trust.verify == Verify::Nobody {
                warnings.push(Warning::SkipVerify);
            }
            let server_name = surroundings.get("HOOP_TLSSERVERNAME");
            let authority_file = authority::file(surroundings).filter(|_| use_own_roots);
            TlsMode::Tls {
                trust,
                authority_file,
                server_name,
            }
        };
        Ok(Self {
            gateway: credential.gateway,
            tls,
            token: credential.token,
            key_source: credential.key_source,
            name: credential.name,
            mode: credential.mode,
            config_type: credential.config_type,
            proxy,
            settings,
            warnings,
        })
    }

    /// The gateway's name must be looked up before it is known whether plaintext crosses the open
    /// network.
    pub fn leaves_plaintext_to_lookup(&self) -> bool {
        self.tls == TlsMode::Plaintext && self.proxy.is_none() && self.gateway.is_near().is_none()
    }

    /// The name that TLS asks the gateway's certificate for.
    pub fn server_name(&self) -> &str {
        match &self.tls {
            TlsMode::Tls {
                server_name: Some(name),
                ..
            } => name,
            _ => &self.gateway.host,
        }
    }

    /// Reads neither the key's nor the authority's file again where that was a pipe, which
    /// `is_readable` denies: it gives what it gives once.
    pub fn keep_what_pipes_gave(&mut self, is_readable: &dyn Fn(&str) -> bool) {
        let is_pipe = |path: &str| !is_readable(path);
        match &self.key_source {
            KeySource::DsnFile { variable, path } if is_pipe(path) => {
                self.key_source = KeySource::Variable(variable);
            }
            KeySource::JwtFile { path } if is_pipe(path) => {
                self.key_source = KeySource::Variable(key::SPIFFE_KEY_FILE);
            }
            _ => {}
        }
        if let TlsMode::Tls { authority_file, .. } = &mut self.tls {
            authority_file.take_if(|path| is_pipe(path));
        }
    }

    /// Reads the key's file again, if it has one; to be called before every connection attempt.
    ///
    /// Returns whether the token changed. After an error the old token stays in place: warn, and
    /// go on with it.
    pub fn reload_key(&mut self, surroundings: Surroundings<'_>) -> Result<bool, ConfigError> {
        let Some(found) = self.key_source.read(surroundings)? else {
            return Ok(false);
        };
        if let (Some(dsn), KeySource::DsnFile { variable, path }) = (found.dsn, &self.key_source) {
            let is_plaintext = self.tls == TlsMode::Plaintext;
            if dsn.gateway != self.gateway
                || dsn.mode != self.mode
                || (dsn.scheme == Scheme::Plain) != is_plaintext
            {
                return Err(ConfigError::FileMoved {
                    variable,
                    path: path.clone(),
                });
            }
            self.name = dsn.name;
        }
        let changed = found.token != self.token;
        if changed {
            self.token = found.token;
        }
        Ok(changed)
    }

    /// Reads the authority's file again, if there is one; to be called before every connection
    /// attempt.
    ///
    /// Returns whom to trust now when that changed. After an error it is whom it was.
    pub fn reload_authority(
        &mut self,
        surroundings: Surroundings<'_>,
    ) -> Result<Option<&Trust>, ConfigError> {
        let TlsMode::Tls {
            trust,
            authority_file: Some(path),
            ..
        } = &mut self.tls
        else {
            return Ok(None);
        };
        let roots = authority::read(surroundings, path)?;
        if roots == trust.roots {
            return Ok(None);
        }
        trust.roots = roots;
        Ok(Some(trust))
    }

    /// The start line of the log: everything an operator asks first, nothing secret.
    pub fn start_line(&self, version: &str, platform: &str) -> String {
        let (tls, tlsca) = match &self.tls {
            TlsMode::Plaintext => (false, false),
            TlsMode::Tls { trust, .. } => (true, trust.has_own_roots()),
        };
        let mut line = format!(
            "version={version}, platform={platform}, type={}, mode={}, grpc_server={}, \
             tls={tls}, tlsca={tlsca}",
            self.config_type.as_str(),
            self.mode.as_str(),
            self.gateway,
        );
        if let Some(proxy) = &self.proxy {
            line.push_str(", proxy=");
            line.push_str(&proxy.address.authority);
        }
        line.push_str(" - starting agent");
        line
    }
}

impl fmt::Display for ConfigType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the key variables together say.
struct Credential {
    gateway: GatewayAddress,
    is_plaintext: bool,
    token: Secret,
    key_source: KeySource,
    name: Option<String>,
    mode: Mode,
    config_type: ConfigType,
}

impl Credential {
    fn find(
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
        if let Some(path) = surroundings.get(key::SPIFFE_KEY_FILE) {
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
            Some(key::Found {
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
        if !key::is_header_text(&text) {
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

/// Exactly `true`, as upstream reads its switches; a near miss is worth a warning.
fn is_true(
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

const KEY_FILE: &str = "HOOP_KEY_FILE";
const GRPC_URL: &str = "HOOP_GRPCURL";
/// Upstream's only address that is plaintext without being asked.
const LOCAL_GATEWAY: &str = "127.0.0.1:8010";

#[cfg(test)]
mod tests;
