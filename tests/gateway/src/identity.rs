//! Certificates of the gateway: an authority made for this run, and a leaf for loopback.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion, crypto, version,
};

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
    /// What the file holds, or a new one, which the file holds from then on.
    pub fn kept(file: Option<&Path>, names: &[String], security: Security) -> Self {
        let pems = match file.map(std::fs::read_to_string) {
            Some(Ok(pems)) => pems,
            _ => new_pems(names),
        };
        if let Some(file) = file {
            std::fs::write(file, &pems).expect("a place for the certificates");
        }
        Self::from_pems(&pems, security)
    }

    /// New; a client has to show a certificate of the same authority, which comes with it, and its key.
    pub fn that_asks_for_one(names: &[String]) -> (Self, String) {
        let pems = new_pems(names);
        let client = pems
            .rsplit_once(CLIENT_MARK)
            .expect("a client")
            .1
            .to_owned();
        let Self { config, ca_pem } = Self::from_pems(&pems, Security::Tls);
        let authority = CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("an authority");
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("an authority");
        let provider = Arc::new(crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let leaf = CertificateDer::pem_slice_iter(pems.as_bytes()).nth(1);
        let private = PrivateKeyDer::from_pem_slice(pems.as_bytes()).expect("a key");
        let config_with = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![leaf.expect("a leaf").expect("PEM")], private);
        drop(config);
        let config = Arc::new(config_with.expect("a certificate"));
        (Self { config, ca_pem }, client)
    }

    /// From the authority, the leaf and the leaf's key, with the versions that `security` allows.
    fn from_pems(pems: &str, security: Security) -> Self {
        let end = pems
            .find("-----END CERTIFICATE-----")
            .expect("an authority");
        let ca_pem = pems[..end].to_owned() + "-----END CERTIFICATE-----\n";
        let leaf = CertificateDer::pem_slice_iter(pems.as_bytes()).nth(1);
        let leaf = leaf.expect("a leaf").expect("PEM");
        let private = PrivateKeyDer::from_pem_slice(pems.as_bytes()).expect("a key");
        let versions: &[&SupportedProtocolVersion] = match security {
            Security::Tls12 => &[&version::TLS12],
            Security::Tls13 => &[&version::TLS13],
            Security::Plain | Security::Tls => &[&version::TLS12, &version::TLS13],
        };
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf], private)
            .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            config: Arc::new(config),
            ca_pem,
        }
    }
}

fn new_pems(names: &[String]) -> String {
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
    let client_key = KeyPair::generate().expect("a key");
    let client = CertificateParams::new(vec!["client.example".to_owned()])
        .expect("names")
        .signed_by(&client_key, &issuer)
        .expect("a client's certificate");
    let server = ca_pem + &leaf.pem() + &key.serialize_pem();
    server + CLIENT_MARK + &client.pem() + &client_key.serialize_pem()
}

/// Between what is the server's and what is its client's.
const CLIENT_MARK: &str = "\n# a client\n";
