//! The configuration as a whole, and how parts of it are read again.

use super::authority;
use super::credential::{ConfigType, Credential};
use super::dsn::{Mode, Scheme};
use super::error::{ConfigError, Warning};
use super::key::{KeySource, SPIFFE_KEY_FILE};
use super::proxy::{self, Proxy};
use super::settings::Settings;
use super::surroundings::Surroundings;
use crate::base::address::GatewayAddress;
use crate::base::{Secret, Trust, Verify};

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
                self.key_source = KeySource::Variable(SPIFFE_KEY_FILE);
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
