//! What a connection asks of TLS, made once and shared.

use std::sync::Arc;

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS12;
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::tickets::Tickets;
use super::trust::{TrustError, Verifier, certificates};
use crate::base::{Secret, Trust, Verify};
use crate::limits::TLS_CONFIGURATIONS_MAX;

/// The protocol that is offered inside TLS (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `h2`: the link.
    H2,
    /// `http/1.1`: the REST calls.
    Http1,
    /// `tds/8.0`: SQL Server, where TLS comes first.
    Tds8,
    /// No offer at all.
    None,
}

/// The versions of TLS that are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// 1.2 and 1.3.
    Any,
    /// 1.2 alone, where a protocol wraps the handshake in messages of its own and counts on its turns.
    Only12,
}

/// How connections are made that share tickets for resumption, and nothing with others.
#[derive(Clone, Debug)]
pub struct Configuration(Arc<ClientConfig>);

impl Configuration {
    /// For connections that believe whom `trust` names.
    ///
    /// [`Configurations`] makes each but once: reconnecting is cheap by the tickets that it holds.
    pub fn new(trust: &Trust, alpn: Alpn, versions: Versions) -> Result<Self, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Verifier::new(trust, provider.clone())?);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(match versions {
                Versions::Any => rustls::DEFAULT_VERSIONS,
                Versions::Only12 => ONLY_12,
            })
            .map_err(|_| TrustError::Provider)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = match alpn {
            Alpn::H2 => vec![b"h2".to_vec()],
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Tds8 => vec![b"tds/8.0".to_vec()],
            Alpn::None => Vec::new(),
        };
        Ok(Self::with_own_tickets(config))
    }

    fn with_own_tickets(mut config: ClientConfig) -> Self {
        config.resumption = Resumption::store(Arc::new(Tickets::default()));
        Self(Arc::new(config))
    }
}

/// A shared configuration as one owner has it: whom it believes is shared, authorities are not parsed
/// again, and its connections resume the sessions of one another and of nobody else. It may have a
/// certificate to show.
#[derive(Default)]
pub struct OwnTickets(Option<OwnConfiguration>);

struct OwnConfiguration {
    of: Configuration,
    identity: Option<Secret>,
    own: Configuration,
}

/// The PEM text holds no certificate with the private key that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoIdentity;

impl OwnTickets {
    /// The owner's own of `shared`, which shows the certificate of `identity` (PEM, with its key) to whoever
    /// asks; tickets last for as long as these stay the same.
    pub fn configuration(
        &mut self,
        shared: Configuration,
        identity: Option<Secret>,
    ) -> Result<Configuration, NoIdentity> {
        if let Some(known) = &self.0
            && Arc::ptr_eq(&known.of.0, &shared.0)
            && known.identity == identity
        {
            return Ok(known.own.clone());
        }
        let mut config = ClientConfig::clone(&shared.0);
        if let Some(pem) = &identity {
            let key = certified_key(pem.expose(), config.crypto_provider()).ok_or(NoIdentity)?;
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        }
        let own = Configuration::with_own_tickets(config);
        self.0 = Some(OwnConfiguration {
            of: shared,
            identity,
            own: own.clone(),
        });
        Ok(own)
    }
}

fn certified_key(pem: &[u8], provider: &CryptoProvider) -> Option<CertifiedKey> {
    let chain = certificates(pem).ok()?;
    let key = PrivateKeyDer::from_pem_slice(pem).ok()?;
    CertifiedKey::from_der(chain, key, provider).ok()
}

static ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];

/// Whom to expect, and how that is proven.
#[derive(Clone, Debug)]
pub struct Client {
    configuration: Configuration,
    name: ServerName<'static>,
}

/// Not a name that a certificate can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError;

impl Client {
    /// Expects a server that goes by `name`.
    pub fn new(configuration: Configuration, name: &str) -> Result<Self, NameError> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| NameError)?;
        Ok(Self {
            configuration,
            name,
        })
    }

    /// Expects the same server, proven in another way.
    pub fn set_configuration(&mut self, configuration: Configuration) {
        self.configuration = configuration;
    }

    pub(super) fn connection(self) -> Result<UnbufferedClientConnection, rustls::Error> {
        UnbufferedClientConnection::new(self.configuration.0, self.name)
    }
}

/// The configurations in use, each made when it is first asked for: authorities are parsed again
/// only when they have changed.
#[derive(Default)]
pub struct Configurations {
    /// Those asked for last stand last.
    kept: Vec<Kept>,
}

struct Kept {
    trust: Trust,
    alpn: Alpn,
    versions: Versions,
    configuration: Configuration,
}

impl Configurations {
    /// None yet.
    pub const fn new() -> Self {
        Self { kept: Vec::new() }
    }

    /// The one configuration for these; the one that was not asked for the longest makes room for
    /// it.
    pub fn get(
        &mut self,
        trust: &Trust,
        alpn: Alpn,
        versions: Versions,
    ) -> Result<Configuration, TrustError> {
        let is_it = |kept: &Kept| {
            kept.alpn == alpn
                && kept.versions == versions
                && kept.trust.verify == trust.verify
                // Where nobody vouches, it does not matter who could.
                && (trust.verify == Verify::Nobody || kept.trust.roots == trust.roots)
        };
        let kept = match self.kept.iter().position(is_it) {
            Some(place) => self.kept.remove(place),
            None => Kept {
                trust: trust.clone(),
                alpn,
                versions,
                configuration: Configuration::new(trust, alpn, versions)?,
            },
        };
        let configuration = kept.configuration.clone();
        if self.kept.len() == TLS_CONFIGURATIONS_MAX {
            self.kept.remove(0);
        }
        self.kept.push(kept);
        Ok(configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Roots;

    fn is_same(a: &Configuration, b: &Configuration) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }

    #[test]
    fn a_configuration_is_shared_by_those_who_ask_for_the_same_and_by_nobody_else() {
        let nobody = |roots| Trust {
            roots,
            verify: Verify::Nobody,
        };
        let mut all = Configurations::new();
        let mut get = |trust: &Trust, alpn, versions| all.get(trust, alpn, versions).unwrap();
        let first = get(&Trust::public(), Alpn::H2, Versions::Any);
        assert!(is_same(
            &first,
            &get(&Trust::public(), Alpn::H2, Versions::Any)
        ));
        for other in [
            get(&Trust::public(), Alpn::None, Versions::Any),
            get(&Trust::public(), Alpn::H2, Versions::Only12),
            get(&nobody(Roots::Public), Alpn::H2, Versions::Any),
        ] {
            assert!(!is_same(&first, &other));
        }
        let other_roots = get(&nobody(Roots::Only(Vec::new())), Alpn::H2, Versions::Any);
        let again = get(&nobody(Roots::Public), Alpn::H2, Versions::Any);
        assert!(is_same(&other_roots, &again));
    }

    /// What a session takes for its own tickets before there is one.
    #[test]
    fn a_configuration_of_ones_own_is_small_and_believes_whom_the_shared_one_does() {
        let shared = Configurations::new()
            .get(&Trust::public(), Alpn::None, Versions::Any)
            .unwrap();
        let mut own = OwnTickets::default();
        let mut of = |identity| own.configuration(shared.clone(), identity);
        let first = of(None).unwrap();
        assert!(!is_same(&first, &shared) && is_same(&first, &of(None).unwrap()));
        let size = size_of::<ClientConfig>() + size_of::<Tickets>();
        assert!(size <= 512, "{size} bytes");
    }

    #[test]
    fn a_certificate_to_show_needs_the_key_that_belongs_to_it() {
        let make = || rcgen::KeyPair::generate().unwrap();
        let (key, other) = (make(), make());
        let params = rcgen::CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let shared = Configurations::new()
            .get(&Trust::public(), Alpn::None, Versions::Any)
            .unwrap();
        let mut own = OwnTickets::default();
        let mut of = |text: String| own.configuration(shared.clone(), Some(Secret::new(text)));
        let whole = [&key.serialize_pem()[..], &pem].concat();
        let first = of(whole.clone()).unwrap();
        assert!(first.0.client_auth_cert_resolver.has_certs());
        assert!(is_same(&first, &of(whole.clone()).unwrap()));
        assert!(!shared.0.client_auth_cert_resolver.has_certs());
        for wrong in [
            pem.clone(),
            key.serialize_pem(),
            [&other.serialize_pem()[..], &pem].concat(),
        ] {
            assert_eq!(of(wrong).unwrap_err(), NoIdentity);
        }
        assert!(!is_same(&first, &own.configuration(shared, None).unwrap()));
    }

    #[test]
    fn the_one_asked_for_least_recently_makes_room() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = |name: usize| {
            let params = rcgen::CertificateParams::new(vec![format!("h{name}.example")]).unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            Trust {
                roots: Roots::Only(pem.into_bytes()),
                verify: Verify::Full,
            }
        };
        let trusts: Vec<Trust> = (0..=TLS_CONFIGURATIONS_MAX).map(pem).collect();
        let mut all = Configurations::new();
        let mut get = |trust: &Trust| all.get(trust, Alpn::H2, Versions::Any).unwrap();
        let (first, second) = (get(&trusts[0]), get(&trusts[1]));
        for trust in &trusts[2..TLS_CONFIGURATIONS_MAX] {
            get(trust);
        }
        assert!(is_same(&first, &get(&trusts[0])));
        get(&trusts[TLS_CONFIGURATIONS_MAX]);
        assert!(is_same(&first, &get(&trusts[0])));
        assert!(!is_same(&second, &get(&trusts[1])));
        assert_eq!(all.kept.len(), TLS_CONFIGURATIONS_MAX);
    }
}
