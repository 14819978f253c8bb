//! What all logins of the program share, and what only the shell can give them.
//!
//! Promises: TLS believes whom the connection's own variables say; authorities are parsed again only when
//! their text has changed; a TLS session is resumed within one of ours, and never in another's. A program without [`Sources`] refuses what needs them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::names::SessionKey;
use super::output::Where;
use super::place::bare;
use super::shares::{Shares, Table, UserKey};
use super::wire::Scratch;
use crate::base::plain::{beginning, plain};
use crate::base::{Address, ByteBuf, Roots, Secret, Trust, Verify};
use crate::limits;
use crate::login::{Cause, Keys, Refusal, TlsForm, TlsWish};
use crate::secrets::{self, Mint, Origin, Stores, World};
use crate::tls::{Alpn, Client, Configurations, OwnTickets, Subject, TrustError, Versions};
use crate::web::{Features, ServiceAccount, Site};

/// What only the shell can give.
pub trait Sources {
    /// Fills `bytes` with what nobody can guess; `false` where there is no such thing.
    fn random(&mut self, bytes: &mut [u8]) -> bool;

    /// The authorities of a connection's SSLROOTCERT, which is their PEM text or the path of a file that has
    /// it; of the system where there is no such variable.
    fn authorities(&mut self, named: Option<&str>) -> Result<Arc<[u8]>, AuthorityError>;

    /// The service account of the pod that the agent runs in, as it is now.
    fn service_account(&mut self) -> Rc<ServiceAccount> {
        Rc::default()
    }

    /// Seconds since 1970.
    fn clock(&self) -> u64 {
        0
    }

    /// A small regular file of the agent's host; it is never waited for.
    fn file(&mut self, _path: &str) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
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
    /// The file of this path, which has the certificate to be shown, can't be read.
    NoIdentity(String, std::io::Error),
    /// It holds none, or not its key.
    Identity,
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
            Self::NoIdentity(path, error) => write!(
                f,
                "tlsCertificateKeyFile: the agent can't read the file {path} on its host: {error}"
            ),
            Self::Identity => f.write_str(
                "tlsCertificateKeyFile holds no certificate with the private key that belongs to it: make it one \
                 PEM file of both, the key without a password",
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

    fn authorities(&mut self, _: Option<&str>) -> Result<Arc<[u8]>, AuthorityError> {
        Err(AuthorityError::NoBundle)
    }
}

/// See the module.
pub struct Means {
    /// Keys that logins have derived.
    pub(super) keys: Keys,
    pub(super) scratch: Scratch,
    /// What a web service has said, for the length of one call.
    pub(super) from_service: ByteBuf,
    /// Bytes that all exchanges with web services hold back.
    pub(super) web_held: Rc<Cell<usize>>,
    /// Connections to web services that wait for another request.
    pub(super) web_kept: Rc<Cell<usize>>,
    /// What is kept of secret stores between two sessions.
    pub(super) stores: Stores,
    /// Sessions that wait for a place among those that fetch their secrets, and whose they are.
    pub(super) fetches_waiting: VecDeque<(SessionKey, UserKey)>,
    /// Those of them that were given one.
    pub(super) fetches_granted: Vec<(SessionKey, UserKey)>,
    /// What is on at the gateway.
    pub(super) features: Features,
    /// The pod's service account, and when it was last asked for.
    account: Option<(Instant, Rc<ServiceAccount>)>,
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
            from_service: ByteBuf::new(),
            web_held: Rc::default(),
            web_kept: Rc::default(),
            stores: Stores::default(),
            fetches_waiting: VecDeque::new(),
            fetches_granted: Vec::new(),
            features: Features::default(),
            account: None,
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
        self.scratch.holds_memory() || self.from_service.capacity() > 0
    }

    /// Nothing has moved for a while: memory of the last burst goes.
    pub(super) fn release_idle(&mut self) {
        self.scratch = Scratch::default();
        self.from_service = ByteBuf::new();
    }

    /// Has `act` use what conversations with stores use.
    pub(super) fn in_world<T>(
        &mut self,
        now: Instant,
        act: &mut dyn FnMut(&mut World<'_>) -> T,
    ) -> T {
        let clock = self.sources.clock();
        let Self {
            stores, sources, ..
        } = self;
        act(&mut World {
            stores,
            file: &mut |path| sources.file(path),
            now,
            clock,
        })
    }

    /// No session fetches anything any more.
    pub(super) fn forget_fetches(&mut self, shares: &mut Shares) {
        self.fetches_waiting.clear();
        for (_, user) in self.fetches_granted.drain(..) {
            shares.give(user, Table::Fetches, 1);
        }
    }

    /// The token of Amazon's that `mint` stands for, now.
    pub(super) fn token(&mut self, mint: &Mint) -> Result<Secret, secrets::Cause> {
        let clock = self.sources.clock();
        self.stores.token(mint, clock)
    }

    /// When the credentials behind `mint` are to be renewed; `None`: now.
    pub(super) fn renewed_in(&self, mint: &Mint) -> Option<Duration> {
        let clock = self.sources.clock();
        let at = self.stores.renewed_at(mint, clock)?;
        // Keys without an end are looked at again all the same.
        Some(Duration::from_secs(at - clock).min(RENEWED_LATEST))
    }

    /// How TLS is made with a secret store.
    pub(super) fn store_client(&mut self, origin: &Origin) -> Result<Client, String> {
        let verify = match origin.is_unverified {
            true => Verify::Nobody,
            false => Verify::Full,
        };
        let only = origin.authorities.clone();
        let tickets = RefCell::default();
        let form = (Alpn::Http1, Versions::Any);
        self.client_for((verify, only), form, (&tickets, None), &origin.address.host)
            .map_err(|error| match error {
                AuthorityError::Name => "the store's host is no name that a certificate can have",
                _ => "VAULT_CACERT or AWS_CA_BUNDLE holds no usable certificate",
            })
            .map_err(str::to_owned)
    }

    /// The gateway says what is on.
    pub(super) fn note_features(&mut self, json: &[u8]) {
        match Features::read(json) {
            Some(features) => self.features = features,
            None if json.is_empty() => {}
            None => log::warn!("the gateway's list of features is no JSON object: ignored"),
        }
    }

    /// See [`Sources::service_account`]; what it is now, or was a moment ago.
    pub(super) fn service_account(&mut self, now: Instant) -> Rc<ServiceAccount> {
        match &self.account {
            Some((asked, account)) if now < *asked + limits::WEB_ACCOUNT_KEPT => account.clone(),
            _ => {
                let account = self.sources.service_account();
                self.account = Some((now, account.clone()));
                account
            }
        }
    }

    /// How TLS is made with a web service, for which `authority` alone may vouch where there is one.
    pub(super) fn web_client(
        &mut self,
        site: &Site,
        authority: Option<&[u8]>,
        tickets: &RefCell<OwnTickets>,
    ) -> Result<Client, String> {
        let offer = (Alpn::Http1, Versions::Any);
        let trust = (site.verify, authority.map(<[u8]>::to_vec));
        self.client_for(trust, offer, (tickets, None), &site.url.address.host)
            .map_err(|error| match error {
                AuthorityError::Name => "the URL's host is no name that a certificate can have",
                _ => "the agent's authorities hold no usable certificate",
            })
            .map_err(str::to_owned)
    }

    /// How TLS is made with the server of `way`, or why it can't be.
    pub(super) fn client(&mut self, wish: TlsWish, way: &Way) -> Result<Client, AuthorityError> {
        let only = match (wish.verify, way.authorities.as_deref()) {
            (Verify::Full, Some(named)) => Some(self.sources.authorities(Some(named))?.to_vec()),
            _ => None,
        };
        // Read each time: whoever renews it need not tell us.
        let identity = match way.identity.as_deref() {
            Some(path) => match self.sources.file(path) {
                Ok(pem) => Some(Secret::new(pem)),
                Err(error) => {
                    let path = plain(beginning(path, limits::ERROR_ECHO_BYTES_MAX));
                    return Err(AuthorityError::NoIdentity(path, error));
                }
            },
            None => None,
        };
        let own = (&*way.tickets, identity);
        let offer = match wish.form {
            TlsForm::Bare => (Alpn::None, Versions::Any),
            TlsForm::Prelogin => (Alpn::None, Versions::Only12),
            TlsForm::Tds8 => (Alpn::Tds8, Versions::Any),
        };
        self.client_for((wish.verify, only), offer, own, &way.host)
    }

    /// How TLS is made with `host`, for which `only` these may vouch where there are some; with a certificate to be
    /// shown.
    fn client_for(
        &mut self,
        (verify, only): (Verify, Option<Vec<u8>>),
        (alpn, versions): (Alpn, Versions),
        (tickets, identity): (&RefCell<OwnTickets>, Option<Secret>),
        host: &str,
    ) -> Result<Client, AuthorityError> {
        let roots = match (verify, only) {
            (Verify::Nobody, _) => Roots::Public,
            (Verify::Full, Some(pem)) => Roots::Only(pem),
            // A scratch image has none, and the public ones are compiled in.
            (Verify::Full, None) => match self.sources.authorities(None) {
                Ok(pem) => Roots::PublicAnd(pem),
                Err(_) => Roots::Public,
            },
        };
        let trust = Trust { roots, verify };
        let configuration = self.configurations.get(&trust, alpn, versions);
        let configuration = configuration.map_err(|error| match error {
            TrustError::NoCertificate => AuthorityError::NoCertificate,
            other => AuthorityError::Build(other),
        })?;
        let configuration = tickets.borrow_mut().configuration(configuration, identity);
        let configuration = configuration.map_err(|_| AuthorityError::Identity)?;
        Client::new(configuration, bare(host)).map_err(|_| AuthorityError::Name)
    }
}

/// The longest time without a look at credentials.
const RENEWED_LATEST: Duration = Duration::from_secs(3600);

/// What is expected at the end of the way to a server.
#[derive(Clone)]
pub struct Way {
    /// HOST.
    pub host: String,
    /// PORT, as it was dialled.
    pub port: u16,
    /// SSLROOTCERT, or tlsCAFile.
    pub authorities: Option<String>,
    /// tlsCertificateKeyFile: a path.
    pub identity: Option<String>,
    /// The session's.
    pub tickets: Rc<RefCell<OwnTickets>>,
    /// In what words TLS's failures are told.
    pub subject: &'static Subject,
}

impl Way {
    /// It leads to this server from now on.
    pub(super) fn lead_to(&mut self, server: Address) -> Where {
        let Address { host, port } = server;
        (self.host, self.port) = (host.clone(), port);
        Where::Name { host, port }
    }
}
