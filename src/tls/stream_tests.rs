//! The stream against a TLS server in memory.

use std::ops::ControlFlow;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::Write;

use super::*;
use crate::base::{ByteBuf, Roots, Trust, Verify};

/// Both ends, and what the client has to say.
struct World {
    client: Stream,
    outgoing: ByteBuf,
    server: ServerConnection,
    plaintext: Vec<u8>,
}

impl World {
    fn new(versions: Versions) -> Self {
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
            verify: Verify::Nobody,
        };
        let configuration = Configuration::new(&trust, Alpn::H2, versions).unwrap();
        let client = Client::new(configuration, "gateway").unwrap();
        let mut world = Self {
            client: Stream::new(client).unwrap(),
            outgoing: ByteBuf::new(),
            server: ServerConnection::new(Arc::new(config)).unwrap(),
            plaintext: Vec::new(),
        };
        assert_eq!(world.receive(b""), Ok(Progress::Handshaking));
        world
    }

    /// A world whose handshake is done.
    fn open() -> Self {
        Self::open_with(Versions::Any)
    }

    fn open_with(versions: Versions) -> Self {
        let mut world = Self::new(versions);
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
                ControlFlow::Continue(())
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
    assert_eq!(world.receive(b"more"), Ok(Progress::PeerClosed));
    assert!(world.client.is_peer_closed() && world.client.incoming().is_empty());
    assert_eq!(world.plaintext, b"last words");
}

#[test]
fn rustsec_2024_0336_close_notify_within_the_handshake_is_the_end_and_no_loop() {
    let close_notify = [21, 3, 3, 0, 2, 1, 0];
    let mut world = World::new(Versions::Any);
    assert_ne!(world.receive(&close_notify), Ok(Progress::Open));
    assert_ne!(world.receive(&close_notify), Ok(Progress::Open));
    assert!(!world.client.is_open() && world.plaintext.is_empty());
}

#[test]
fn records_of_one_byte_and_of_the_largest_size_are_taken_byte_by_byte() {
    let mut world = World::open();
    let mut said = Vec::new();
    for size in [1, 1, 1, RECORD_PLAINTEXT_MAX] {
        let piece = vec![7; size];
        world.server.writer().write_all(&piece).unwrap();
        said.extend(piece);
    }
    for byte in world.said_by_server() {
        assert_eq!(world.receive(&[byte]), Ok(Progress::Open));
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

#[test]
fn a_cut_is_no_goodbye() {
    let mut world = World::open();
    world.server.writer().write_all(b"half").unwrap();
    let wire = world.said_by_server();
    assert_eq!(world.receive(&wire), Ok(Progress::Open));
    assert!(!world.client.is_peer_closed());
}

#[test]
fn what_has_come_before_we_send_is_handed_out_afterwards() {
    let mut world = World::open();
    for piece in [&b"one "[..], b"two "] {
        world.server.writer().write_all(piece).unwrap();
    }
    world.server.send_close_notify();
    let wire = world.said_by_server();
    world.client.incoming().extend(&wire);
    world.client.send(b"ours", &mut world.outgoing).unwrap();
    world.client.close(&mut world.outgoing);
    assert!(world.plaintext.is_empty());
    assert_eq!(world.receive(b""), Ok(Progress::PeerClosed));
    assert_eq!(world.plaintext, b"one two ");
    world.deliver_to_server();
    let mut heard = Vec::new();
    std::io::Read::read_to_end(&mut world.server.reader(), &mut heard).unwrap();
    assert_eq!(heard, b"ours");
}

#[test]
fn an_owner_that_breaks_off_gets_the_rest_the_next_time() {
    let mut world = World::open();
    for piece in [&b"one "[..], b"two "] {
        world.server.writer().write_all(piece).unwrap();
    }
    let wire = world.said_by_server();
    world.client.incoming().extend(&wire);
    let mut first = Vec::new();
    let mut once = |bytes: &[u8]| {
        first.extend_from_slice(bytes);
        ControlFlow::Break(())
    };
    let progress = world.client.receive(&mut world.outgoing, &mut once);
    assert_eq!(progress, Ok(Progress::Open));
    assert_eq!(first, b"one ");
    assert_eq!(world.receive(b""), Ok(Progress::Open));
    assert_eq!(world.plaintext, b"two ");
}

#[test]
fn memory_for_a_read_is_its_size_and_one_record() {
    const READ: usize = 256 * 1024;
    let mut world = World::open();
    world.server.set_buffer_limit(None);
    for _ in 0..40 {
        world.server.writer().write_all(&[7; 16 * 1024]).unwrap();
    }
    let wire = world.said_by_server();
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        let size = rest.len().min(READ);
        let slot = world.client.slot(READ);
        assert_eq!(slot.len(), READ);
        slot[..size].copy_from_slice(&rest[..size]);
        rest = &rest[size..];
        world.client.incoming().advance(size);
        assert_eq!(world.receive(b""), Ok(Progress::Open));
    }
    assert_eq!(world.plaintext.len(), 40 * 16 * 1024);
    assert!(world.client.incoming().capacity() <= READ + 17 * 1024);
}

/// Said in TLS 1.2 alone where that is asked for.
#[test]
fn the_versions_asked_for_are_the_versions_offered() {
    for (versions, spoken) in [(Versions::Any, "TLSv1_3"), (Versions::Only12, "TLSv1_2")] {
        let world = World::open_with(versions);
        assert_eq!(world.client.describe().unwrap().0, spoken);
        assert_eq!(world.client.alpn(), Some(&b"h2"[..]));
        assert_eq!(world.client.certificates().count(), 1);
    }
}
