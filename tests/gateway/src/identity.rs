//! Certificates of the gateway: an authority made for this run, and a leaf for loopback.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, crypto, version};

/// How the gateway's port is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// HTTP/2 without TLS.
    Plain,
    /// TLS 1.2 and 1.3.
    Tls,
    /// TLS 1.2 only.
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

/// The server side of TLS, and what an agent must trust to accept it.
pub(crate) struct Identity {
    pub config: Arc<ServerConfig>,
    pub ca_pem: String,
}

impl Identity {
    /// For these names and addresses, with the versions that `security` allows.
    pub fn new(names: &[String], security: Security) -> Self {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
        ca.distinguished_name
            .push(DnType::CommonName, "loopback gateway authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).expect("an authority").pem();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names)
            .expect("names")
            .signed_by(&key, &issuer)
            .expect("a leaf");
        let versions: &[&SupportedProtocolVersion] = match security {
            Security::Tls12 => &[&version::TLS12],
            Security::Tls13 => &[&version::TLS13],
            Security::Plain | Security::Tls => &[&version::TLS12, &version::TLS13],
        };
        let provider = Arc::new(crypto::ring::default_provider());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            config: Arc::new(config),
            ca_pem,
        }
    }
}
