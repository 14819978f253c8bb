//! What a packet costs in the steady state, counted: allocations on the relay path, both ways.
//!
//! The agent runs sans-IO against a gateway made of bytes. Only what the agent does itself is
//! counted, and only on the test's own thread, so that the counts are exact.

#![allow(clippy::unwrap_used)]

mod measuring;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hoop_lite::agent::{Action, Agent, AgentSettings, Endpoint};
use hoop_lite::base::{Rng, Roots, Secret, Trust, Verify};
use hoop_lite::link::AgentIdentity;
use hoop_lite::packet::{Kind, Outbox, spec};
use hoop_lite::session::{
    AgentEnvironment, Channel, Output as SessionOutput, Report, Sessions, TargetId,
};
use hoop_lite::tls::{Alpn, Client, Configuration, Versions};
use loopback_gateway::SessionRequest;
use rustls::{ServerConfig, ServerConnection};

/// Runs the agent's part, counting what it allocates.
fn counted<T>(total: &mut usize, run: impl FnOnce() -> T) -> T {
    let before = measuring::count();
    let result = measuring::counted(run);
    *total += measuring::count() - before;
    result
}

const SESSION: &str = "b5b8c8a6-0000-4000-8000-000000000001";
const STREAM: u32 = 1;
const WINDOW: u32 = 0x7fff_ffff;
const FRAME_BYTES: usize = 16_384;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

/// `:status 200` and the content type, without the compression of RFC 7541.
const GRPC_HEAD: &[u8] = b"\x88\x00\x0ccontent-type\x10application/grpc";

/// Sizes of payloads: a keystroke, a query, what clients send, and what takes many frames.
const SIZES: [usize; 6] = [1, 64, 1000, 4096, 32 * 1024, 100_000];

/// An agent with one relay, and its gateway.
struct World {
    now: Instant,
    agent: Agent,
    server: Option<ServerConnection>,
    target: TargetId,
    /// Allocations of the agent so far.
    allocations: usize,
    /// TLS records so far, of both directions.
    records: usize,
}

impl World {
    fn start(is_encrypted: bool) -> Self {
        let mut world = Self::with_link(is_encrypted);
        world.open_relay();
        world
    }

    fn with_link(is_encrypted: bool) -> Self {
        let now = Instant::now();
        let (client, server) = if is_encrypted {
            let (client, server) = configurations();
            let server = ServerConnection::new(Arc::new(server)).unwrap();
            (Some(client), Some(server))
        } else {
            (None, None)
        };
        let endpoints = Box::new(move || {
            Ok(Endpoint {
                host: "gateway.test".to_owned(),
                port: 8010,
                place: "gateway:8010".into(),
                tunnel: None,
                tls: client.clone(),
                identity: identity(),
            })
        });
        let settings = AgentSettings {
            is_embedded: false,
            key_check_interval: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(10),
            reconnect_max: hoop_lite::limits::BACKOFF_MAX,
            exit_on_revoked: false,
        };
        let sessions = Sessions::new(Default::default(), AgentEnvironment::default());
        let mut agent = Agent::new(now, settings, sessions, endpoints, Rng::new(1));
        assert!(matches!(agent.poll_output(), Some(Action::DialLink { .. })));
        agent.link_connected(now);
        let mut world = Self {
            now,
            agent,
            server,
            target: TargetId(hoop_lite::base::Key::from_bits(0)),
            allocations: 0,
            records: 0,
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        while self
            .server
            .as_ref()
            .is_some_and(|server| server.is_handshaking())
        {
            self.flush();
            self.receive(&[]);
        }
        self.flush();
        let window = [&[0, 4][..], &WINDOW.to_be_bytes()].concat();
        let mut hello = frame(SETTINGS, 0, 0, &window);
        let more = WINDOW - 65_535;
        hello.extend(frame(WINDOW_UPDATE, 0, 0, &more.to_be_bytes()));
        hello.extend(frame(HEADERS, END_HEADERS, STREAM, GRPC_HEAD));
        hello.extend(packet(Kind::AgentGatewayConnectOK, &[], b""));
        self.receive(&hello);
    }

    fn open_relay(&mut self) {
        self.open_session(&SessionRequest::tcp("127.0.0.1", 1));
        let probe = self.dialled();
        self.started(probe);
        self.receive(&packet(
            Kind::AgentTCPConnectionWrite,
            &[
                (spec::SESSION_ID, SESSION.as_bytes()),
                (spec::CONNECTION_ID, b"1"),
                (spec::TCP_SERVER_CONNECT, b""),
            ],
            b"",
        ));
        // The connection that the address was checked by.
        self.target = probe;
        self.flush();
    }

    fn open_session(&mut self, request: &SessionRequest) {
        let open = request.open_packet(SESSION);
        self.receive(&packet(Kind::AgentSessionOpen, &open.entries(), b""));
    }

    /// A request to a web service, whose body is long.
    fn begin_upload(&mut self) {
        let request = SessionRequest::new("httpproxy", "connect")
            .env("REMOTE_URL", "http://127.0.0.1:1")
            .env("HEADER_X_KEY", "k");
        self.open_session(&request);
        let head =
            b"PUT / HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nContent-Length: 9000000000000000\r\n\r\n";
        let entries = [
            (spec::SESSION_ID, SESSION.as_bytes()),
            (spec::CONNECTION_ID, b"1"),
            (spec::HTTP_PROXY_BASE_URL, b"http://127.0.0.1:8081"),
        ];
        self.receive(&packet(Kind::AgentHttpProxyConnectionWrite, &entries, head));
        self.target = self.dialled();
        self.started(self.target);
        assert!(self.agent.sessions().buffered_bytes() > 0, "its head");
    }

    fn dialled(&mut self) -> TargetId {
        loop {
            if let Action::Session(SessionOutput::Dial { target, .. }) =
                self.agent.poll_output().expect("a dial")
            {
                return target;
            }
        }
    }

    fn started(&mut self, target: TargetId) {
        let now = self.now;
        let started = Report::Started { peer: None };
        self.agent.handle_report(now, target, started);
        self.flush();
    }

    /// Bytes of HTTP/2 from the gateway, as the reactor would hand them on.
    fn receive(&mut self, plaintext: &[u8]) {
        let encrypted = match &mut self.server {
            None => plaintext.to_vec(),
            Some(server) => {
                use std::io::Write;
                server.set_buffer_limit(None);
                server.writer().write_all(plaintext).unwrap();
                let mut bytes = Vec::new();
                while server.wants_write() {
                    server.write_tls(&mut bytes).unwrap();
                }
                bytes
            }
        };
        if self.server.is_some() {
            self.records += count_records(&encrypted);
        }
        let Self {
            now,
            agent,
            allocations,
            ..
        } = self;
        let mut rest = &encrypted[..];
        while !rest.is_empty() {
            let size = counted(allocations, || {
                let buffer = agent.link_read_buffer().expect("a link that reads");
                let size = rest.len().min(buffer.len());
                buffer[..size].copy_from_slice(&rest[..size]);
                agent.link_received(*now, size);
                size
            });
            rest = &rest[size..];
        }
    }

    /// Takes all that the agent has for the socket.
    fn flush(&mut self) {
        let Self {
            now,
            agent,
            allocations,
            server,
            records,
            ..
        } = self;
        loop {
            let pending = counted(allocations, || agent.grant_and_encrypt(*now));
            if pending.is_empty() {
                return;
            }
            let size = pending.len();
            if let Some(server) = server {
                *records += count_records(pending);
                let mut rest = pending;
                while !rest.is_empty() {
                    server.read_tls(&mut rest).unwrap();
                    server.process_new_packets().unwrap();
                    // What it says is not looked at here: other tests do.
                    let _ = std::io::Read::read_to_end(&mut server.reader(), &mut Vec::new());
                }
            }
            counted(allocations, || agent.link_sent(*now, size));
        }
    }

    /// One payload for the target arrives; the target takes all but `kept` bytes of its queue.
    fn relay_up(&mut self, wire: &[u8], kept: usize) {
        self.now += Duration::from_millis(1);
        self.receive(wire);
        let Self {
            now,
            agent,
            allocations,
            target,
            ..
        } = self;
        counted(allocations, || {
            agent.handle_timeout(*now);
            assert!(agent.poll_output().is_none());
            while agent.poll_dirty().is_some() {}
            while agent.sessions().buffered_bytes() > kept {
                let size = agent.pending_parts(*target).map(<[u8]>::len).sum::<usize>();
                let size = size.min(agent.sessions().buffered_bytes() - kept);
                agent.handle_report(*now, *target, Report::Wrote { size });
            }
        });
        self.flush();
    }

    /// The target says `size` bytes; the gateway takes them.
    fn relay_down(&mut self, size: usize) {
        self.now += Duration::from_millis(1);
        let Self {
            now,
            agent,
            allocations,
            target,
            ..
        } = self;
        counted(allocations, || {
            agent.handle_timeout(*now);
            assert!(agent.has_room());
            let size_max = agent.payload_max();
            let size = size.min(size_max);
            let channel = Channel::Output;
            assert!(agent.wants_read(*target, channel));
            let slot = agent.read_slot(*target, channel, size_max);
            slot.expect("a slot")[..size].fill(7);
            agent.handle_report(*now, *target, Report::Received { size });
        });
        self.flush();
    }

    /// What `rounds` of `step` allocate once everything has its size.
    fn steady(&mut self, rounds: usize, mut step: impl FnMut(&mut Self)) -> usize {
        for _ in 0..rounds {
            step(self);
        }
        let before = self.allocations;
        for _ in 0..rounds {
            step(self);
        }
        self.allocations - before
    }
}

fn identity() -> AgentIdentity {
    AgentIdentity {
        is_encrypted: true,
        authority: "gateway.test:8010".to_owned(),
        token: Secret::new(b"token".to_vec()),
        metadata: Vec::new(),
        preconnect: Vec::new(),
        user_agent: "test".to_owned(),
    }
}

fn configurations() -> (Client, ServerConfig) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(["gateway.test".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(["gateway.test".to_owned()])
        .unwrap()
        .signed_by(&leaf_key, &issuer)
        .unwrap();
    let trust = Trust {
        roots: Roots::Only(authority.pem().into_bytes()),
        verify: Verify::Full,
    };
    let configuration = Configuration::new(&trust, Alpn::H2, Versions::Any).unwrap();
    let client = Client::new(configuration, "gateway.test").unwrap();
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private.into())
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    (client, server)
}

/// A packet of the gateway in frames as grpc-go cuts them.
fn packet(kind: Kind, entries: &[(&str, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut outbox = Outbox::new();
    outbox.push(kind, entries, payload);
    let size = outbox.len();
    let message = &outbox.frame(&[0; 9], size)[9..];
    let pieces = message.chunks(FRAME_BYTES);
    pieces
        .flat_map(|piece| frame(DATA, 0, STREAM, piece))
        .collect()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![size[1], size[2], size[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// Whole records: type, version, length, content.
fn count_records(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(head) = bytes.get(..5) {
        bytes = &bytes[5 + usize::from(u16::from_be_bytes([head[3], head[4]]))..];
        count += 1;
    }
    count
}

fn write_packets(kind: Kind) -> Vec<Vec<u8>> {
    let entries = [
        (spec::SESSION_ID, SESSION.as_bytes()),
        (spec::CONNECTION_ID, b"1" as &[u8]),
    ];
    SIZES
        .iter()
        .map(|size| packet(kind, &entries, &vec![7; *size]))
        .collect()
}

const ROUNDS: usize = 200;

/// What packets of this kind allocate whose target takes all but `kept` bytes of what waits.
fn allocations_up(mut world: World, kind: Kind, kept: usize) -> usize {
    let packets = write_packets(kind);
    world.steady(ROUNDS, |world| {
        for wire in &packets {
            world.relay_up(wire, kept);
        }
    })
}

#[test]
fn a_packet_for_a_target_allocates_nothing_and_if_it_lags() {
    for kept in [0, 10_000, 1_000_000] {
        let world = World::start(false);
        let allocations = allocations_up(world, Kind::AgentTCPConnectionWrite, kept);
        assert_eq!(allocations, 0, "with {kept} bytes waiting");
    }
}

#[test]
fn a_packet_of_a_requests_body_allocates_nothing() {
    for kept in [0, 1_000_000] {
        let mut world = World::with_link(false);
        world.begin_upload();
        let allocations = allocations_up(world, Kind::AgentHttpProxyConnectionWrite, kept);
        assert_eq!(allocations, 0, "with {kept} bytes waiting");
    }
}

#[test]
fn a_packet_for_the_gateway_allocates_nothing() {
    let mut world = World::start(false);
    let allocations = world.steady(ROUNDS, |world| {
        for size in SIZES {
            world.relay_down(size);
        }
    });
    assert_eq!(allocations, 0);
}

/// rustls hands over every record in a vector of its own, in both directions; nothing is added.
#[test]
fn a_record_is_the_only_allocation_of_an_encrypted_packet() {
    let mut world = World::start(true);
    let packets = write_packets(Kind::AgentTCPConnectionWrite);
    let records = |world: &World| world.records;
    let mut before = 0;
    let mut rounds = 0;
    let allocations = world.steady(ROUNDS, |world| {
        if rounds == ROUNDS {
            before = records(world);
        }
        rounds += 1;
        for (wire, size) in packets.iter().zip(SIZES) {
            world.relay_up(wire, 0);
            world.relay_down(size);
        }
    });
    assert_eq!(allocations, world.records - before);
}

#[test]
fn an_answered_key_check_leaves_only_the_keep_alive_to_wake_for() {
    let mut world = World::start(false);
    let keep_alive = world.agent.poll_timeout().expect("a deadline");
    world.now = keep_alive;
    world.agent.handle_timeout(world.now);
    world.flush();
    let mut answer = frame(HEADERS, END_HEADERS, 3, GRPC_HEAD);
    answer.extend(frame(DATA, 0, 3, b"\0\0\0\0\x09\x0a\x07BACKOFF"));
    let trailers = b"\x00\x0bgrpc-status\x010";
    answer.extend(frame(HEADERS, END_HEADERS | END_STREAM, 3, trailers));
    world.receive(&answer);
    let interval = hoop_lite::limits::KEEPALIVE_INTERVAL;
    assert_eq!(world.agent.poll_timeout(), Some(keep_alive + interval));
}
