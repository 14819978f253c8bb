//! The bare rustls pipe that the agent is measured against: one TLS connection, one TCP connection,
//! a blocking loop, and nothing else. It uses rustls as well as can be: the unbuffered interface,
//! large reads, several records in one write, no allocation of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{ClientConfig, RootCertStore};

/// One read of either socket.
const READ_BYTES: usize = 256 * 1024;

/// Between two reads of a pipe that lets bytes gather: 256 KiB come in it at 38 MB/s.
const LATE: Duration = Duration::from_micros(6500);

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the target to the client.
    Down,
    /// From the client to the target.
    Up,
    /// The same, read every [`LATE`] only.
    UpLate,
    /// One message to the target and one back, for ever.
    PingPong,
}

impl Way {
    /// The word for the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::UpLate => "up-late",
            Self::PingPong => "ping-pong",
        }
    }
}

/// The program behind `figures pipe WAY PEER TARGET`; the authority's PEM is in `HOOP_TLSCA`. Ends
/// when either side does.
pub fn run(way: &str, peer: &str, target: &str) {
    let mut tls = Tls::connect(peer, &std::env::var("HOOP_TLSCA").unwrap());
    let mut target = TcpStream::connect(target).unwrap();
    target.set_nodelay(true).unwrap();
    let mut buffer = vec![0; READ_BYTES];
    if way == Way::Down.word() {
        while tls.carry_down(&mut target, &mut buffer) {}
    } else if way == Way::Up.word() {
        while tls.carry_up(&mut target) {}
    } else if way == Way::UpLate.word() {
        while tls.carry_up(&mut target) {
            thread::sleep(LATE);
        }
    } else {
        while tls.carry_up(&mut target) && tls.carry_down(&mut target, &mut buffer) {}
    }
}

struct Tls {
    socket: TcpStream,
    connection: UnbufferedClientConnection,
    incoming: Vec<u8>,
    incoming_size: usize,
    outgoing: Vec<u8>,
    outgoing_size: usize,
}

impl Tls {
    fn connect(peer: &str, pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut tls = Self {
            socket: TcpStream::connect(peer).unwrap(),
            connection: UnbufferedClientConnection::new(Arc::new(config), name).unwrap(),
            incoming: vec![0; READ_BYTES + 32 * 1024],
            incoming_size: 0,
            outgoing: vec![0; 2 * READ_BYTES],
            outgoing_size: 0,
        };
        tls.socket.set_nodelay(true).unwrap();
        let mut sink = Vec::new();
        while !tls.process(None, &mut sink) {
            tls.flush();
            assert!(tls.fill(), "no handshake");
        }
        tls.flush();
        tls
    }

    /// Reads the target once and sends that.
    fn carry_down(&mut self, target: &mut TcpStream, buffer: &mut [u8]) -> bool {
        let size = target.read(buffer).unwrap_or(0);
        if size == 0 {
            return false;
        }
        self.process(Some(&buffer[..size]), &mut std::io::sink());
        self.flush();
        true
    }

    /// Reads the socket once and hands the target what that brought. One `write` a record would be
    /// four times as many system calls as the agent makes, so records are gathered first.
    fn carry_up(&mut self, target: &mut TcpStream) -> bool {
        let mut gathered = std::mem::take(&mut self.outgoing);
        let mut size = 0;
        // Session tickets bring nothing for the target.
        while size == 0 && self.fill() {
            let mut room = &mut gathered[..];
            self.process(None, &mut room);
            size = gathered_size(room.len());
        }
        let is_sent = size > 0 && target.write_all(&gathered[..size]).is_ok();
        self.outgoing = gathered;
        is_sent
    }

    fn fill(&mut self) -> bool {
        let size = self
            .socket
            .read(&mut self.incoming[self.incoming_size..])
            .unwrap_or(0);
        self.incoming_size += size;
        size > 0
    }

    fn flush(&mut self) {
        self.socket
            .write_all(&self.outgoing[..self.outgoing_size])
            .unwrap();
        self.outgoing_size = 0;
    }

    /// Decrypts what is there into `sink`, encrypts `plaintext`; `true` when traffic can flow.
    fn process(&mut self, plaintext: Option<&[u8]>, sink: &mut dyn Write) -> bool {
        let mut taken = 0;
        let is_open = loop {
            let incoming = &mut self.incoming[taken..self.incoming_size];
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(incoming);
            let mut outcome = None;
            match state.unwrap() {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.unwrap();
                        discard += record.discard;
                        sink.write_all(record.payload).unwrap();
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    let room = &mut self.outgoing[self.outgoing_size..];
                    self.outgoing_size += data.encode(room).unwrap();
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::BlockedHandshake => outcome = Some(false),
                ConnectionState::WriteTraffic(mut traffic) => {
                    if let Some(plaintext) = plaintext {
                        let room = &mut self.outgoing[self.outgoing_size..];
                        self.outgoing_size += traffic.encrypt(plaintext, room).unwrap();
                    }
                    outcome = Some(true);
                }
                _ => outcome = Some(true),
            }
            taken += discard;
            if let Some(outcome) = outcome {
                break outcome;
            }
        };
        self.incoming.copy_within(taken..self.incoming_size, 0);
        self.incoming_size -= taken;
        is_open
    }
}

/// Bytes that were put into an outgoing buffer of which this much is free.
fn gathered_size(free: usize) -> usize {
    2 * READ_BYTES - free
}
