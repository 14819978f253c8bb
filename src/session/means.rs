//! What all logins of the program share, and what only the shell can give them.
//!
//! Promises: TLS believes whom the connection's own variables say; authorities are parsed again only when
//! their text has changed; a TLS session is resumed within one of ours, and never in another's. A program without [`Sources`] refuses what needs them.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::wire::Scratch;
use crate::base::{Roots, Trust, Verify};
use crate::login::{Cause, Keys, Refusal, TlsWish};
use crate::tls::{Alpn, Client, Configurations, OwnTickets, TrustError, Versions};

/// What only the shell can give.
pub trait Sources {
    /// Fills `bytes` with what nobody can guess; `false` where there is no such thing.
    fn random(&mut self, bytes: &mut [u8]) -> bool;

    /// The authorities of a connection's SSLROOTCERT, which is their PEM text or the path of a file that has
    /// it; of the system where there is no such variable.
    fn authorities(&mut self, named: Option<&str>) -> Result<Vec<u8>, AuthorityError>;
}

/// Why no TLS can be begun with a server, for lack of somebody to vouch for it or of a name.
#[derive(Debug)]
pub enum AuthorityError {
    /// The system has no bundle.
    NoBundle,
    /// SSLROOTCERT is no text, and the file (of this path, if it is one) can't be read.
    Unreadable(Option<String>, std::io::Error),
    /// It holds no certificate.
    NoCertificate,
    /// HOST is nobody's name.
    Name,
    /// This build can't.
    Build(TrustError),
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBundle => f.write_str("this system has no bundle of authorities"),
            Self::Unreadable(Some(path), error) => write!(
                f,
                "SSLROOTCERT of the connection: the agent can't read the file {path} on its host: {error}"
            ),
            Self::Unreadable(None, error) => write!(
                f,
                "SSLROOTCERT of the connection is no PEM text, and no file that can be read: {error}"
            ),
            Self::NoCertificate => f.write_str(
                "SSLROOTCERT of the connection has no usable certificate: set it to PEM text \
                 (-----BEGIN CERTIFICATE-----) or to the path of a file with it on the agent's host",
            ),
            Self::Name => {
                f.write_str("HOST of the connection is no name that a certificate can have")
            }
            Self::Build(error) => error.fmt(f),
        }
    }
}

/// A shell that gives nothing.
struct Nothing;

impl Sources for Nothing {
    fn random(&mut self, _: &mut [u8]) -> bool {
        false
    }

    fn authorities(&mut self, _: Option<&str>) -> Result<Vec<u8>, AuthorityError> {
        Err(AuthorityError::NoBundle)
    }
}

/// See the module.
pub struct Means {
    /// Keys that logins have derived.
    pub(super) keys: Keys,
    pub(super) scratch: Scratch,
    configurations: Configurations,
    sources: Box<dyn Sources>,
}

impl Default for Means {
    fn default() -> Self {
        Self::new(Box::new(Nothing))
    }
}

impl Means {
    /// With what `sources` give.
    pub fn new(sources: Box<dyn Sources>) -> Self {
        Self {
            keys: Keys::new(),
            scratch: Scratch::default(),
            configurations: Configurations::new(),
            sources,
        }
    }

    /// Bytes that nobody can guess, used once.
    pub(super) fn random<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let mut bytes = [0; N];
        match self.sources.random(&mut bytes) {
            true => Ok(bytes),
            false => Err(Refusal::new(
                Cause::Unsupported,
                "the agent's system gives no random bytes: try again",
            )),
        }
    }

    /// A burst has left memory behind.
    pub(super) fn holds_burst_memory(&self) -> bool {
        self.scratch.holds_memory()
    }

    /// Nothing has moved for a while: memory of the last burst goes.
    pub(super) fn release_idle(&mut self) {
        self.scratch = Scratch::default();
    }

    /// How TLS is made with the server of `way`, or why it can't be.
    pub(super) fn client(&mut self, wish: TlsWish, way: &Way) -> Result<Client, AuthorityError> {
        let named = way.authorities.as_deref();
        let roots = match (wish.verify, named) {
            (Verify::Nobody, _) => Roots::Public,
            (Verify::Full, Some(named)) => Roots::Only(self.sources.authorities(Some(named))?),
            // A scratch image has none, and the public ones are compiled in.
            (Verify::Full, None) => match self.sources.authorities(None) {
                Ok(pem) => Roots::PublicAnd(pem),
                Err(_) => Roots::Public,
            },
        };
        let verify = wish.verify;
        let trust = Trust { roots, verify };
        let configuration = self.configurations.get(&trust, Alpn::None, Versions::Any);
        let configuration = configuration.map_err(|error| match error {
            TrustError::NoCertificate => AuthorityError::NoCertificate,
            other => AuthorityError::Build(other),
        })?;
        let configuration = way.tickets.borrow_mut().configuration(configuration);
        Client::new(configuration, &way.host).map_err(|_| AuthorityError::Name)
    }
}

/// What is expected at the end of the way to a server.
#[derive(Clone)]
pub struct Way {
    /// HOST.
    pub host: String,
    /// PORT, as it was dialled.
    pub port: u16,
    /// SSLROOTCERT.
    pub authorities: Option<String>,
    /// The session's.
    pub tickets: Rc<RefCell<OwnTickets>>,
}
