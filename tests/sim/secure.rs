//! A smaller sweep over TLS, with the server side of rustls in memory.

use std::sync::Arc;

use hoop_lite::base::{Roots, Trust, Verify};
use hoop_lite::tls::{Alpn, Client, Configuration, Versions};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, crypto};

use crate::setup::Tls;
use crate::sweep::run;

const SEEDS: u64 = 24;
const STEPS: u64 = 1000;

impl Tls {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let names = vec!["gateway.example".to_owned()];
        let parameters = CertificateParams::new(names).expect("parameters");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("a certificate");
        server.alpn_protocols = vec![b"h2".to_vec()];
        let trust = Trust {
            roots: Roots::Only(certificate.pem().into_bytes()),
            verify: Verify::Full,
        };
        let configuration = Configuration::new(&trust, Alpn::H2, Versions::Any);
        Self {
            client: Client::new(configuration.expect("an authority"), "gateway.example")
                .expect("a name"),
            server: Arc::new(server),
        }
    }
}

#[test]
fn encrypted_links_keep_every_promise() {
    for seed in 1..=SEEDS {
        run(seed, STEPS, Some(Tls::new()));
    }
}
