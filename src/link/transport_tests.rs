//! The transport against a TLS server in memory.

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::Write;

use super::*;
use crate::base::{Roots, Trust};
use crate::link::trust::{Alpn, client_config};

/// Both ends, and what the client has to say.
struct World {
    client: Transport,
    outgoing: ByteBuf,
    server: ServerConnection,
    plaintext: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["gateway".to_owned()]).unwrap();
        let chain = vec![params.self_signed(&key).unwrap().der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let trust = Trust {
            roots: Roots::Public,
            skip_verify: true,
        };
        let client_config = client_config(&trust, Alpn::H2).unwrap();
        let name = ServerName::try_from("gateway").unwrap();
        let mut world = Self {
            client: Transport::tls(client_config, name).unwrap(),
            outgoing: ByteBuf::new(),
            server: ServerConnection::new(Arc::new(config)).unwrap(),
            plaintext: Vec::new(),
        };
        assert_eq!(world.receive(b""), Ok(Progress::Handshaking));
        world
    }

    /// A world whose handshake is done.
    fn open() -> Self {
        let mut world = Self::new();
        for _ in 0..3 {
            world.deliver_to_server();
            let wire = world.said_by_server();
            world.receive(&wire).unwrap();
        }
        assert!(world.client.is_open());
        world
    }

    fn receive(&mut self, wire: &[u8]) -> Result<Progress, String> {
        self.client.incoming().extend(wire);
        let plaintext = &mut self.plaintext;
        self.client
            .receive(&mut self.outgoing, &mut |bytes| {
                plaintext.extend_from_slice(bytes);
                Ok::<(), TransportError>(())
            })
            .map_err(|error| format!("{error:?}"))
    }

    fn deliver_to_server(&mut self) {
        let mut wire = self.outgoing.filled();
        while !wire.is_empty() {
            self.server.read_tls(&mut wire).unwrap();
            self.server.process_new_packets().unwrap();
        }
        self.outgoing.clear();
    }

    fn said_by_server(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut wire).unwrap();
        }
        wire
    }
}

#[test]
fn rustsec_2024_0336_close_notify_is_the_end_and_no_loop() {
    let mut world = World::open();
    world.server.writer().write_all(b"last words").unwrap();
    world.server.send_close_notify();
    let wire = world.said_by_server();
    assert_eq!(world.receive(&wire), Ok(Progress::PeerClosed));
    // The owner ends the link at that; one that went on would get nothing more.
    assert!(world.receive(b"more").is_ok());
    assert_eq!(world.plaintext, b"last words");
}

#[test]
fn rustsec_2024_0336_close_notify_within_the_handshake_is_the_end_and_no_loop() {
    let close_notify = [21, 3, 3, 0, 2, 1, 0];
    let mut world = World::new();
    assert_ne!(world.receive(&close_notify), Ok(Progress::Open));
    assert_ne!(world.receive(&close_notify), Ok(Progress::Open));
    assert!(!world.client.is_open() && world.plaintext.is_empty());
}

#[test]
fn records_of_one_octet_and_of_the_largest_size_are_taken_octet_by_octet() {
    let mut world = World::open();
    let mut said = Vec::new();
    for size in [1, 1, 1, RECORD_PLAINTEXT_MAX] {
        let piece = vec![7; size];
        world.server.writer().write_all(&piece).unwrap();
        said.extend(piece);
    }
    for octet in world.said_by_server() {
        assert_eq!(world.receive(&[octet]), Ok(Progress::Open));
    }
    assert_eq!(world.plaintext, said);
}

#[test]
fn a_record_above_the_largest_size_is_refused() {
    let mut world = World::open();
    let mut wire = vec![23, 3, 3, 0xff, 0xff];
    wire.resize(70_000, 0);
    assert!(world.receive(&wire).is_err());
}
