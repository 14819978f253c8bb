//! Why a command failed, in sentences that say what to do next. None holds a token or a password.

use std::{fmt, io};

use super::dial::DialError;
use super::toml::TomlError;
use crate::config::{ConfigError, ProxySettingError};
use crate::http::{HttpError, UrlError};
use crate::tls::TrustError;

/// Why a command failed.
#[derive(Debug)]
pub enum AdminError {
    /// `HOME` is not set.
    NoHome,
    /// No gateway is known; the variables of the three that are not set.
    NoCredentials(Vec<&'static str>),
    /// No gateway to log in to is known.
    LoginWhere,
    /// `config.toml` cannot be read.
    FileRead(String, io::ErrorKind),
    /// `config.toml` can be written by others.
    FileOfOthers(String),
    /// `config.toml` is not what we understand.
    FileToml(String, TomlError),
    /// `config.toml` knows the gRPC address only.
    FileNoApiUrl(String),
    /// `tls_ca` of `config.toml` is not base64.
    FileAuthority,
    /// `config.toml` cannot be written.
    FileWrite(String, io::ErrorKind),
    /// A URL, and where it stands, cannot be used.
    Url(&'static str, UrlError),
    /// A variable about trust or a proxy.
    Config(ConfigError),
    /// The authorities cannot be used.
    Trust(TrustError),
    /// The token cannot be sent in a header.
    TokenForm(Source),
    /// No connection to this URL.
    Dial(String, DialError),
    /// No HTTP answer from this URL.
    Http(String, HttpError),
    /// The answer points elsewhere.
    Redirect(String),
    /// The gateway refused; status and its words.
    Refused(ApiRefusal),
    /// The answer is not what this route gives.
    NotJson(String),
    /// The name breaks the server's rule.
    NameRule(String),
    /// No agent has this name or id.
    NoSuchAgent(String),
    /// Nobody was logged in.
    Login(LoginError),
    /// The result could not be written to stdout.
    Output(io::ErrorKind),
}

/// An answer of the gateway that is no success.
#[derive(Debug)]
pub struct ApiRefusal {
    /// What was asked.
    pub what: What,
    /// The HTTP status.
    pub status: u16,
    /// The gateway's words, made printable; may be empty.
    pub message: String,
    /// Where the credentials came from.
    pub source: Source,
    /// A token was sent.
    pub has_token: bool,
    /// The gateway's URL.
    pub url: String,
}

/// Where the credentials came from, which decides what to advise when they are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The three variables, or the API's URL alone.
    Environment,
    /// `~/.hoop/config.toml`.
    File,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// To create an agent of this name.
    Create(String),
    /// To list agents, or show one.
    Read,
    /// To delete an agent of this name.
    Delete(String),
    /// To log in with this e-mail.
    Login(String),
}

/// Why nobody is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// No e-mail was given and nobody is there to ask.
    NoEmail,
    /// No password was given.
    NoPassword,
    /// The password could not be read.
    Input(io::ErrorKind),
    /// The gateway uses this method.
    Method(String),
    /// The gateway has no user yet.
    NoUser,
    /// The gateway knows no local accounts at all.
    TooOld,
    /// The answer carried no token.
    NoToken,
}

impl AdminError {
    /// The process's exit code.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NameRule(_) | Self::Login(LoginError::NoEmail) => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => f.write_str(
                "HOME is not set, so there is no ~/.hoop/config.toml; set HOOP_APIURL, \
                 HOOP_GRPCURL and HOOP_TOKEN",
            ),
            Self::NoCredentials(missing) => write!(
                f,
                "no gateway is known: run `hoop-lite admin login`, or set HOOP_APIURL, \
                 HOOP_GRPCURL and HOOP_TOKEN (not set: {}); for one on this machine \
                 {LOCAL_API}",
                missing.join(", ")
            ),
            Self::LoginWhere => write!(
                f,
                "no gateway is known: give --api-url https://HOST or set HOOP_APIURL; for one on \
                 this machine {LOCAL_API}"
            ),
            Self::Url(place, error) => write!(f, "{place} is not usable: {error}"),
            Self::Config(ConfigError::Proxy { variable, error }) => {
                write!(f, "{variable}: {}", ProxyText(*error))
            }
            Self::Config(error) => write!(f, "{error}"),
            Self::Trust(error) => write!(f, "{error}"),
            Self::TokenForm(source) => write!(
                f,
                "the token holds a space, a line break or a character outside ASCII: {}",
                new_token(*source)
            ),
            Self::Dial(url, error) => fmt_dial(f, url, error),
            Self::Http(url, error) => fmt_http(f, url, *error),
            Self::Redirect(to) if to.is_empty() => f.write_str(
                "the gateway points elsewhere without saying where: correct the API URL",
            ),
            Self::Redirect(to) => write!(
                f,
                "the gateway's API is not here, it points to {to}: set the API URL to where the \
                 API is"
            ),
            Self::Refused(refusal) => fmt_refusal(f, refusal),
            Self::NotJson(url) => write!(
                f,
                "{url} answered with something that is not the gateway's API: check the API URL \
                 (it is the address of the web page, without /api)"
            ),
            Self::NameRule(name) => write!(
                f,
                "{name:?} is not a name that the gateway takes: at least 3 letters, digits or _, \
                 with single - or . between them"
            ),
            Self::NoSuchAgent(name) => write!(
                f,
                "agent {name:?} not found: `hoop-lite admin get agents` lists the agents there are"
            ),
            Self::Login(error) => write!(f, "{error}"),
            Self::Output(kind) => write!(f, "the result could not be written: {kind}"),
            file => fmt_file(f, file),
        }
    }
}

fn fmt_file(f: &mut fmt::Formatter<'_>, error: &AdminError) -> fmt::Result {
    match error {
        AdminError::FileRead(path, kind) => write!(
            f,
            "{path} cannot be read: {kind}; let this user read it, or set HOOP_APIURL, \
             HOOP_GRPCURL and HOOP_TOKEN"
        ),
        AdminError::FileOfOthers(path) => write!(
            f,
            "{path} can be written by other users of this machine, who could send your token to \
             any address: look whether it is still yours, then chmod 600 {path}"
        ),
        AdminError::FileToml(path, error) => write!(
            f,
            "{path} cannot be used: {error}; correct it, or remove it and log in again"
        ),
        AdminError::FileNoApiUrl(path) => write!(
            f,
            "{path} has no api_url: log in with `hoop-lite admin login --api-url https://HOST`"
        ),
        AdminError::FileAuthority => f.write_str(
            "tls_ca in ~/.hoop/config.toml is not base64 of a certificate: write the PEM there as \
             `base64 -w0` gives it",
        ),
        AdminError::FileWrite(path, kind) => write!(
            f,
            "{path} cannot be written: {kind}; the login was not kept. Let this user write \
             there, or set HOME to a folder where it may"
        ),
        _ => Ok(()),
    }
}

/// The proxy's texts end in advice of their own.
struct ProxyText(ProxySettingError);

impl fmt::Display for ProxyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; or name the gateway's host in NO_PROXY", self.0)
    }
}

fn fmt_dial(f: &mut fmt::Formatter<'_>, url: &str, error: &DialError) -> fmt::Result {
    match error {
        DialError::Tls(error) if error.is_not_tls() => write!(
            f,
            "{url} does not speak TLS on this port: write http:// into the API URL if the \
             gateway runs without TLS"
        ),
        error => write!(f, "no connection to {url}: {error}"),
    }
}

fn fmt_http(f: &mut fmt::Formatter<'_>, url: &str, error: HttpError) -> fmt::Result {
    write!(f, "{url}: {error}")?;
    f.write_str(match error {
        HttpError::Tls => ": write https:// into the API URL",
        HttpError::NotHttp => ": check the port (REST is 8009 unless changed, 8010 is gRPC)",
        HttpError::NoAnswer => {
            ": write https:// into the API URL if the gateway uses TLS, and check the port"
        }
        _ => "",
    })
}

fn fmt_refusal(f: &mut fmt::Formatter<'_>, refusal: &ApiRefusal) -> fmt::Result {
    let status = refusal.status;
    match (status, &refusal.what) {
        (401, What::Login(email)) => {
            return write!(
                f,
                "wrong password for {email} at {}: type it again, or have an administrator set a \
                 new one",
                refusal.url
            );
        }
        (404, What::Login(email)) => {
            return write!(
                f,
                "{} knows no user {email}: check the spelling, and that this is your gateway",
                refusal.url
            );
        }
        (401, _) => write!(f, "the gateway does not accept the credentials")?,
        (403, _) => write!(f, "this needs an administrator of the gateway")?,
        (409, What::Create(name)) => write!(f, "agent {name:?} exists already")?,
        (400..=499, _) => write!(f, "the gateway refused the request")?,
        _ => write!(f, "the gateway failed")?,
    }
    write!(f, " (status {status}")?;
    if !refusal.message.is_empty() {
        write!(f, ": {}", refusal.message)?;
    }
    f.write_str(")")?;
    match (status, &refusal.what) {
        (401, _) if !refusal.has_token => {
            f.write_str(": no token is there, log in with `hoop-lite admin login`")
        }
        (401, _) => write!(f, ": {}", new_token(refusal.source)),
        (403, _) => f.write_str(": log in as one, or use the token of one"),
        (409, What::Create(name)) => write!(
            f,
            ": delete it with `hoop-lite admin delete agent {name}` or choose another name"
        ),
        (404 | 405, _) => write!(f, ": check that {} is the API URL", refusal.url),
        (400 | 422, _) => Ok(()),
        (429, _) => f.write_str(": try again later"),
        (502..=504, _) => f.write_str(": is the gateway behind this address running?"),
        (500.., _) => f.write_str(": look into the gateway's log"),
        _ => Ok(()),
    }
}

/// What names a gateway on this machine, which is never assumed.
const LOCAL_API: &str = "HOOP_APIURL=http://127.0.0.1:8009";

/// Where a new token comes from.
fn new_token(source: Source) -> &'static str {
    match source {
        Source::Environment => "set HOOP_TOKEN to a valid token (tokens of a login last 12 hours)",
        Source::File => "log in again with `hoop-lite admin login`",
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEmail => f.write_str("no e-mail given: hoop-lite admin login --email EMAIL"),
            Self::NoPassword => f.write_str(
                "no password given: type it, or pipe it into `hoop-lite admin login --email EMAIL`",
            ),
            Self::Input(kind) => write!(f, "the password could not be read: {kind}"),
            Self::Method(method) => write!(
                f,
                "this gateway logs in by {method}, which needs a browser: use upstream's `hoop \
                 login`, or create an API key in the gateway and set HOOP_APIURL, HOOP_GRPCURL \
                 and HOOP_TOKEN"
            ),
            Self::NoUser => f.write_str(
                "this gateway has no user yet: open it in a browser and register the first one",
            ),
            Self::TooOld => f.write_str(
                "this gateway knows no local accounts: use the hoop login that it came with",
            ),
            Self::NoToken => f.write_str("the gateway took the password but gave no token"),
        }
    }
}
