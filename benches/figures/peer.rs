//! The far end of a link: a blocking TLS server on one thread, as lean as rustls allows, so that
//! what is measured is the agent (or the bare pipe) and not the peer.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use rustls::{ServerConfig, ServerConnection};

/// Bytes of one read of the socket, and of one discarded piece.
const READ_BYTES: usize = 1024 * 1024;

/// Plaintext of a full record.
const RECORD_BYTES: usize = 16_384;

/// Certificates of one run: the server's configuration, and the authority that clients trust.
pub struct Identity {
    pub config: Arc<ServerConfig>,
    pub authority_pem: String,
    /// The server's certificate and key, for programs that read files.
    pub leaf_pem: String,
    pub key_pem: String,
}

impl Identity {
    /// For 127.0.0.1, made anew.
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_pem = parameters.self_signed(&key).unwrap().pem();
        let issuer = rcgen::Issuer::new(parameters, key);
        let leaf_key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&leaf_key, &issuer)
            .unwrap();
        let private = rustls::pki_types::PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            config: Arc::new(config),
            authority_pem,
            leaf_pem: leaf.pem(),
            key_pem: leaf_key.serialize_pem(),
        }
    }
}

/// One accepted connection after its handshake.
pub struct Peer {
    socket: TcpStream,
    tls: ServerConnection,
    raw: Vec<u8>,
}

impl Peer {
    /// The next connection.
    pub fn accept(listener: &TcpListener, identity: &Identity) -> Self {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        let mut tls = ServerConnection::new(identity.config.clone()).unwrap();
        tls.set_buffer_limit(None);
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        while tls.wants_write() {
            tls.write_tls(&mut socket).unwrap();
        }
        Self {
            socket,
            tls,
            raw: vec![0; READ_BYTES],
        }
    }

    /// Sends plaintext, in full records.
    pub fn send(&mut self, plaintext: &[u8]) {
        self.tls.writer().write_all(plaintext).unwrap();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket).unwrap();
        }
    }

    /// Sends plaintext as the real gateway does a packet of 32 KiB: a record, then the rest.
    pub fn trickle(&mut self, plaintext: &[u8]) {
        let (first, rest) = plaintext.split_at(plaintext.len().min(RECORD_BYTES));
        self.send(first);
        self.send(rest);
    }

    /// Reads once and appends what that brought; `false` when nothing came for `patience`.
    pub fn receive(&mut self, into: &mut Vec<u8>, patience: Option<Duration>) -> bool {
        self.socket.set_read_timeout(patience).unwrap();
        self.take_plaintext(into);
        let size = match self.socket.read(&mut self.raw) {
            Ok(0) => panic!("the other side closed the connection"),
            Ok(size) => size,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(error) => panic!("reading the link: {error}"),
        };
        let mut rest = &self.raw[..size];
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest).unwrap();
            self.tls.process_new_packets().unwrap();
            match self.tls.reader().read_to_end(into) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("reading the link: {error}"),
            }
        }
        true
    }

    /// What came together with the end of the handshake.
    fn take_plaintext(&mut self, into: &mut Vec<u8>) {
        match self.tls.reader().read_to_end(into) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("reading the link: {error}"),
        }
    }

    /// Has the kernel drop `size` bytes of the socket, undecrypted: the connection can't be read
    /// afterwards.
    pub fn discard(&mut self, size: usize) {
        self.socket.set_read_timeout(None).unwrap();
        discard(&self.socket, size);
    }
}

/// Has the kernel drop at least `size` bytes of a socket without copying them.
pub fn discard(socket: &TcpStream, size: usize) {
    let mut room = vec![MaybeUninit::<u8>::uninit(); READ_BYTES];
    let mut left = size;
    while left > 0 {
        let dropped = match recv(socket, &mut room[..], RecvFlags::TRUNC) {
            Ok((_, dropped)) => dropped,
            Err(error) if io::Error::from(error).kind() == ErrorKind::Interrupted => continue,
            Err(error) => panic!("discarding: {error}"),
        };
        assert!(
            dropped > 0,
            "the other side closed with {left} bytes to come"
        );
        left = left.saturating_sub(dropped);
    }
}
