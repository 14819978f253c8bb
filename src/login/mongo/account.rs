//! What a connection string says: which servers, how they are spoken to, and who logs in.
//!
//! ```text
//!   mongodb://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?OPTION=VALUE&OPTION=VALUE
//!   mongodb+srv://USER:PASSWORD@NAME/...      the name server knows the hosts
//! ```
//! What is wrong with one is said without a piece of it: it holds a password.

use std::fmt;

use crate::base::{Address, Secret, Service, Verify};
use crate::limits;
use crate::login::scram::Hash;
use crate::login::{TlsForm, TlsWish};
use crate::wire::percent;

/// Where a server listens unless somebody says otherwise.
pub const PORT_DEFAULT: u16 = 27017;

/// Its hosts are known to the name server.
pub const SERVICE_SCHEME: &str = "mongodb+srv";

/// The database of users that a server does not keep itself.
const EXTERNAL: &[u8] = b"$external";

/// How a user logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// A conversation about the password.
    Scram(Hash),
    /// The certificate that we show in the handshake of TLS.
    X509,
}

/// Who logs in.
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Secret,
    /// `authMechanism`.
    pub(super) mechanism: Option<Mechanism>,
}

/// See the module.
#[derive(Default)]
pub struct MongoAccount {
    /// In their order; none where there is a service that is not looked up yet.
    pub(super) hosts: Vec<Address>,
    pub(super) service: Option<String>,
    /// Where all hosts of the service that was looked up are.
    domain: Option<String>,
    /// `None` where the server wants to know nobody.
    pub(super) credentials: Option<Credentials>,
    database: Vec<u8>,
    auth_source: Option<Vec<u8>>,
    pub(super) replica_set: Option<Vec<u8>>,
    /// The host that is named is the one that is wanted, whatever it is.
    pub(super) is_direct: bool,
    tls: Option<bool>,
    is_lax: bool,
    authorities: Option<String>,
    identity: Option<String>,
}

/// What is wrong with a connection string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriError(&'static str);

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const SCHEME: UriError = UriError("it must begin with mongodb:// or mongodb+srv://");
const ESCAPE: UriError =
    UriError("a % in it is not followed by two hexadecimal digits: write % as %25");
const HOST: UriError = UriError(
    "its hosts can't be read: write mongodb://USER:PASSWORD@HOST:PORT, and / ? # % of a user or \
     password as %2F %3F %23 %25",
);
const TOO_MANY: UriError = UriError("it names more than 16 hosts");
const SERVICE: UriError =
    UriError("mongodb+srv:// takes one name, with two dots or more and without a port");
const NO_PASSWORD: UriError =
    UriError("it has a user and no password: write mongodb://USER:PASSWORD@HOST");
const MECHANISM: UriError =
    UriError("its authMechanism is not served: SCRAM-SHA-256, SCRAM-SHA-1 and MONGODB-X509 are");
const NO_IDENTITY: UriError =
    UriError("authMechanism MONGODB-X509 needs TLS and a certificate: set tlsCertificateKeyFile");
const FLAG: UriError = UriError("an option that is true or false has another value");
const ENCRYPTED: UriError = UriError(
    "tlsCertificateKeyFilePassword is not served: store the key without a password, readable by \
     the agent alone",
);
const FOREIGN: UriError = UriError(
    "the name server sends mongodb+srv:// to hosts outside of its name's own domain: somebody may \
     be in between",
);

impl MongoAccount {
    /// Reads a connection string.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(SCHEME)?;
        let is_service = is_service(scheme)?;
        let (front, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = front.split_once('/').unwrap_or((front, ""));
        // An @ of a password that was not escaped does no harm.
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let mut account = Self {
            hosts: hosts.split(',').map(address).collect::<Result<_, _>>()?,
            database: decoded(database)?,
            ..Self::default()
        };
        if let Some(login) = login {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            account.log_in(decoded(user)?, Secret::new(decoded(password)?));
        }
        account.read_options(options, false)?;
        account.finish(is_service, hosts.contains(':'))
    }

    /// The same of variables that each have a part of it; only the options are written as there.
    pub fn of_parts(
        scheme: &str,
        address: Address,
        user: &[u8],
        password: Secret,
        options: &str,
    ) -> Result<Self, UriError> {
        let is_service = is_service(if scheme.is_empty() { "mongodb" } else { scheme })?;
        let mut account = Self {
            hosts: vec![address],
            ..Self::default()
        };
        account.log_in(user.to_vec(), password);
        account.read_options(options.trim_start_matches('?'), false)?;
        account.finish(is_service, false)
    }

    fn log_in(&mut self, user: Vec<u8>, password: Secret) {
        self.credentials = Some(Credentials {
            user,
            password,
            mechanism: None,
        });
    }

    fn finish(mut self, is_service: bool, has_port: bool) -> Result<Self, UriError> {
        if self.hosts.len() > limits::MONGO_HOSTS_MAX {
            return Err(TOO_MANY);
        }
        if is_service {
            let name = self.hosts.pop().map(|it| it.host).ok_or(SERVICE)?;
            let dots = name.bytes().filter(|byte| *byte == b'.').count();
            if !self.hosts.is_empty() || has_port || dots < 2 {
                return Err(SERVICE);
            }
            self.service = Some(name);
        }
        let wants_identity = match &self.credentials {
            Some(Credentials {
                mechanism: Some(Mechanism::X509),
                ..
            }) => true,
            Some(known) if known.password.expose().is_empty() => return Err(NO_PASSWORD),
            _ => false,
        };
        if wants_identity && (self.identity.is_none() || !self.has_tls()) {
            return Err(NO_IDENTITY);
        }
        Ok(self)
    }

    /// Options that matter here; drivers have three dozen others. `from_name_server`: only those that may
    /// come from there, and none that is set.
    fn read_options(&mut self, text: &str, from_name_server: bool) -> Result<(), UriError> {
        for option in text.split(['&', ';']) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let name = name.to_ascii_lowercase();
            match &name[..] {
                "authsource" if self.auth_source.is_none() => {
                    self.auth_source = Some(decoded(value)?);
                }
                "replicaset" if self.replica_set.is_none() => {
                    self.replica_set = Some(decoded(value)?);
                }
                "loadbalanced" => self.is_direct |= flag(value)?,
                _ if from_name_server => {}
                "directconnection" => self.is_direct |= flag(value)?,
                "tls" | "ssl" => self.tls = Some(flag(value)?),
                "tlsinsecure" | "tlsallowinvalidcertificates" => self.is_lax |= flag(value)?,
                "tlscafile" => self.authorities = Some(path(value)?),
                "tlscertificatekeyfile" => self.identity = Some(path(value)?),
                "tlscertificatekeyfilepassword" => return Err(ENCRYPTED),
                "authmechanism" => self.set_mechanism(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn set_mechanism(&mut self, name: &str) -> Result<(), UriError> {
        let mechanism = match name {
            "" | "DEFAULT" => None,
            "SCRAM-SHA-1" => Some(Mechanism::Scram(Hash::Sha1)),
            "SCRAM-SHA-256" => Some(Mechanism::Scram(Hash::Sha256)),
            "MONGODB-X509" | "X509" => Some(Mechanism::X509),
            _ => return Err(MECHANISM),
        };
        if self.credentials.is_none() && mechanism == Some(Mechanism::X509) {
            self.log_in(Vec::new(), Secret::default());
        }
        if let Some(credentials) = &mut self.credentials {
            credentials.mechanism = mechanism;
        }
        Ok(())
    }

    /// What the name server says about the service.
    pub(super) fn learn(&mut self, service: &Service) -> Result<(), UriError> {
        let name = self.service.take().unwrap_or_default();
        let (_, domain) = name.split_once('.').unwrap_or_default();
        let hosts = || service.hosts.iter().take(limits::MONGO_HOSTS_MAX);
        if !hosts().all(|address| is_within(&address.host, domain)) {
            return Err(FOREIGN);
        }
        self.domain = Some(domain.to_owned());
        self.hosts = hosts().cloned().collect();
        self.tls = self.tls.or(Some(true));
        self.read_options(&service.text, true)
    }

    /// The primary that a server names, if its word is good for that: whoever is dialled can ask for the
    /// user's login, and without TLS anybody on the way may have written the name.
    pub(super) fn accept(&self, named: Address) -> Option<Address> {
        let is_named =
            |it: &&Address| it.port == named.port && it.host.eq_ignore_ascii_case(&named.host);
        if let Some(listed) = self.hosts.iter().find(is_named) {
            return Some(listed.clone());
        }
        let is_vouched_for = self.wish().is_some_and(|it| it.verify == Verify::Full);
        let mut domain = self.domain.iter();
        let is_taken = is_vouched_for || domain.any(|domain| is_within(&named.host, domain));
        is_taken.then_some(named)
    }

    /// The one host that there is.
    pub fn only_host(&self) -> Option<&Address> {
        match &self.hosts[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The first host, or the service's name, to be shown.
    pub fn shown_host(&self) -> Address {
        match (self.hosts.first(), &self.service) {
            (None, Some(name)) => Address {
                host: name.clone(),
                port: PORT_DEFAULT,
            },
            (first, _) => first.cloned().unwrap_or(Address {
                host: String::new(),
                port: PORT_DEFAULT,
            }),
        }
    }

    fn has_tls(&self) -> bool {
        self.tls.unwrap_or(self.service.is_some())
    }

    /// How TLS is to be; `None` where there is to be none.
    pub(super) fn wish(&self) -> Option<TlsWish> {
        let verify = match self.is_lax {
            true => Verify::Nobody,
            false => Verify::Full,
        };
        let form = TlsForm::Bare;
        self.has_tls().then_some(TlsWish { verify, form })
    }

    /// `tlsCAFile`: a path on the agent's host.
    pub fn authorities(&self) -> Option<&str> {
        self.authorities.as_deref()
    }

    /// `tlsCertificateKeyFile`: a path on the agent's host.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Where the server keeps its user.
    pub(super) fn source(&self) -> &[u8] {
        let mechanism = self.credentials.as_ref().and_then(|it| it.mechanism);
        match (&self.auth_source, &self.database[..]) {
            _ if mechanism == Some(Mechanism::X509) => EXTERNAL,
            (Some(source), _) if !source.is_empty() => source,
            (_, b"") => b"admin",
            (_, database) => database,
        }
    }
}

fn is_service(scheme: &str) -> Result<bool, UriError> {
    match scheme {
        "mongodb" => Ok(false),
        SERVICE_SCHEME => Ok(true),
        _ => Err(SCHEME),
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    let at = host.len().checked_sub(domain.len());
    let parts = at.and_then(|at| host.split_at_checked(at));
    parts.is_some_and(|(front, rest)| front.ends_with('.') && rest.eq_ignore_ascii_case(domain))
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn address(text: &str) -> Result<Address, UriError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or(HOST)?;
            (
                host,
                behind.strip_prefix(':').or(behind.is_empty().then_some("")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port.ok_or(HOST)? {
        "" => PORT_DEFAULT,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).ok_or(HOST)?
        }
        _ => return Err(HOST),
    };
    // A socket's path is written with escapes.
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "%/@".contains(c);
    if host.is_empty() || host.contains(is_odd) {
        return Err(HOST);
    }
    let host = host.to_owned();
    Ok(Address { host, port })
}

fn decoded(text: &str) -> Result<Vec<u8>, UriError> {
    percent::decode(text).ok_or(ESCAPE)
}

fn path(text: &str) -> Result<String, UriError> {
    String::from_utf8(decoded(text)?).map_err(|_| ESCAPE)
}

fn flag(text: &str) -> Result<bool, UriError> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(FLAG),
    }
}
