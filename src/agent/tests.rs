//! The root machine against a gateway of a few frames.

mod goodbye;

use std::time::{Duration, Instant};

use super::*;
use crate::base::{Rng, Secret};
use crate::h2::ErrorCode;
use crate::h2::tests::*;
use crate::limits;
use crate::link::AgentIdentity;
use crate::packet::{Kind, SpecEntry, encode, spec};
use crate::session::{self, AgentEnvironment, Sessions};
use crate::wire::gob::vectors::vector;

const SETTINGS_OF_AGENT: AgentSettings = AgentSettings {
    is_embedded: false,
    key_check_interval: Duration::from_secs(15),
    drain_timeout: Duration::from_secs(10),
    reconnect_max: limits::BACKOFF_MAX,
    exit_on_revoked: false,
};

fn endpoint() -> Endpoint {
    Endpoint {
        host: "gateway".to_owned(),
        port: 8010,
        place: "gateway:8010".to_owned(),
        tunnel: None,
        tls: None,
        identity: AgentIdentity {
            is_encrypted: false,
            authority: "gateway:8010".to_owned(),
            token: Secret::new("token"),
            metadata: Vec::new(),
            preconnect: Vec::new(),
            user_agent: "test".to_owned(),
        },
    }
}

/// An agent whose socket is connected, and a clock.
struct World {
    agent: Agent,
    now: Instant,
}

impl World {
    fn with(settings: session::SessionLimits) -> Self {
        let now = Instant::now();
        let sessions = Sessions::new(settings, AgentEnvironment::default());
        let endpoints = Box::new(|| Ok(endpoint()));
        let mut agent = Agent::new(now, SETTINGS_OF_AGENT, sessions, endpoints, Rng::new(1));
        assert!(matches!(agent.poll_output(), Some(Action::DialLink { .. })));
        agent.link_connected(now);
        Self { agent, now }
    }

    /// Everything that the agent has to say, as frames; the preface is left out.
    fn sent(&mut self) -> Vec<Sent> {
        let bytes = self.agent.grant_and_encrypt(self.now).to_vec();
        self.agent.link_sent(self.now, bytes.len());
        read_frames(
            bytes
                .strip_prefix(crate::h2::frame::PREFACE)
                .unwrap_or(&bytes),
        )
    }
}

#[test]
fn what_opened_a_session_is_wiped_where_it_was_read() {
    let mut world = World::live(&[]);
    let params = vector("head-tcp");
    let variables = &params[params.len() - 24..];
    let lies_in = |buffer: &[u8]| buffer.windows(24).any(|bytes| bytes == variables);
    world.feed(&packet(Kind::AgentSessionOpen, "never", &[], &params));
    assert!(
        !lies_in(world.agent.link_read_buffer().unwrap()),
        "by itself"
    );
    // The beginning of another frame waits behind it.
    let open = [(spec::CONNECTION_PARAMS, &params[..])];
    let open = packet(Kind::AgentSessionOpen, "s", &open, b"");
    assert!(lies_in(&open));
    world.feed(&[&open[..], &[0, 0]].concat());
    assert!(
        !lies_in(world.agent.link_read_buffer().unwrap()),
        "before another"
    );
}

#[test]
fn the_first_credit_fits_a_small_byte_budget() {
    for budget in [1 << 20, 32 << 20] {
        let mut world = World::with(session::SessionLimits {
            queue_bytes_max: budget,
            ..session::SessionLimits::default()
        });
        let settings = world
            .sent()
            .into_iter()
            .find(|frame| frame.kind == SETTINGS)
            .unwrap();
        let window = settings
            .payload
            .chunks(6)
            .find(|entry| entry[..2] == [0, 4])
            .unwrap();
        let window = u32::from_be_bytes(window[2..].try_into().unwrap());
        assert_eq!(window as usize, budget / 2);
    }
}

const GRPC: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/grpc")];

fn message(content: &[u8]) -> Vec<u8> {
    [&crate::grpc::write_prefix(content.len())[..], content].concat()
}

fn packet(kind: Kind, session: &str, entries: &[SpecEntry<'_>], payload: &[u8]) -> Vec<u8> {
    let entries = [&[(spec::SESSION_ID, session.as_bytes())], entries].concat();
    let mut content = Vec::new();
    encode(&mut content, kind, &entries, payload);
    data(1, &message(&content), false)
}

impl World {
    /// A link whose stream the gateway has accepted, with these settings of the gateway.
    fn live(entries: &[(u16, u32)]) -> Self {
        let mut world = Self::with(session::SessionLimits::default());
        world.feed(&[settings(entries), frame(SETTINGS, ACK, 0, &[])].concat());
        let accepted = packet(Kind::AgentGatewayConnectOK, "", &[], b"");
        world.feed(&[headers(1, GRPC, false), accepted].concat());
        assert_eq!(world.agent.link_state(), LinkState::Live);
        world.sent();
        world
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let buffer = self.agent.link_read_buffer().expect("the link is read");
            let size = bytes.len().min(buffer.len());
            buffer[..size].copy_from_slice(&bytes[..size]);
            bytes = &bytes[size..];
            self.agent.link_received(self.now, size);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.agent.handle_timeout(self.now);
    }

    /// An open TCP session.
    fn open_tcp(&mut self, id: &str) {
        self.feed(&packet(
            Kind::AgentSessionOpen,
            id,
            &[(spec::CONNECTION_PARAMS, &vector("head-tcp"))],
            b"",
        ));
        let probe = loop {
            match self.agent.poll_output() {
                Some(Action::Session(session::Output::Dial { target, .. })) => break target,
                Some(_) => {}
                None => panic!("nothing is dialled"),
            }
        };
        let started = session::Report::Started { peer: None };
        self.agent.handle_report(self.now, probe, started);
    }

    /// The reactor is asked to close the socket.
    fn closes_link(&mut self) -> bool {
        std::iter::from_fn(|| self.agent.poll_output())
            .any(|output| matches!(output, Action::CloseLink))
    }

    /// Feeds what must end the link, stream first, then the connection, with these codes.
    fn loses_link(&mut self, bytes: &[u8], stream: ErrorCode, connection: ErrorCode) {
        self.open_tcp("a");
        self.sent();
        self.feed(bytes);
        assert!(self.closes_link());
        assert!(self.agent.sessions().is_empty());
        let sent = self.sent();
        let code = |kind| sent.iter().find(|frame| frame.kind == kind);
        let reset = code(RST_STREAM).map(|frame| (frame.stream, frame.number(0)));
        assert_eq!(reset, Some((1, stream.0)));
        assert_eq!(
            code(GOAWAY).map(|frame| frame.number(4)),
            Some(connection.0)
        );
        assert_eq!(sent.last().map(|frame| frame.kind), Some(GOAWAY));
    }

    /// The key check that is due now, as its stream.
    fn asked(&mut self) -> Option<u32> {
        let sent = self.sent();
        let asks = |frame: &&Sent| frame.kind == HEADERS && frame.stream != 1;
        sent.iter().find(asks).map(|frame| frame.stream)
    }
}

#[test]
fn a_message_that_is_no_packet_ends_the_stream_and_with_it_the_link() {
    for content in [
        &b"\xff\xff"[..],
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
        b"\x12\x01\xff",
    ] {
        let bytes = data(1, &message(content), false);
        World::live(&[]).loses_link(&bytes, ErrorCode::PROTOCOL_ERROR, ErrorCode::NO_ERROR);
    }
}

#[test]
fn a_compressed_message_ends_the_stream_and_with_it_the_link() {
    let bytes = data(1, b"\x01\0\0\0\x01x", false);
    World::live(&[]).loses_link(&bytes, ErrorCode::PROTOCOL_ERROR, ErrorCode::NO_ERROR);
}

/// A packet with so large a payload, by a gateway that always has credit.
fn feed_large(world: &mut World, kind: Kind, session: &str, payload: usize) {
    let mut content = Vec::new();
    let entries = [(spec::SESSION_ID, session.as_bytes())];
    encode(&mut content, kind, &entries, &vec![b'x'; payload]);
    for part in message(&content).chunks(16_000) {
        world.feed(&data(1, part, false));
        world.sent();
    }
}

#[test]
fn a_message_that_is_too_large_costs_its_session_alone() {
    let above = limits::GRPC_MESSAGE_BYTES_MAX + 1;
    let mut world = World::live(&[]);
    world.open_tcp("good");
    world.open_tcp("bad");
    world.sent();
    let refused: [(&str, Kind); 3] = [
        ("bad", Kind::AgentTCPConnectionWrite),
        ("never was", Kind::AgentSessionOpen),
        ("", Kind::AgentSessionOpen),
    ];
    for (id, kind) in refused {
        feed_large(&mut world, kind, id, above);
        assert_eq!(world.agent.link_state(), LinkState::Live);
        assert_eq!(world.agent.sessions().len(), 1, "{id}");
    }
    let counters = world.agent.sessions().counters();
    assert_eq!((counters.oversized, counters.refused), (3, 2));
    world.open_tcp("another");
    assert_eq!(world.agent.sessions().len(), 2);
}

#[test]
fn a_truncated_message_ends_with_its_stream_and_is_never_a_packet() {
    let mut world = World::live(&[]);
    let whole = packet(
        Kind::AgentSessionOpen,
        "a",
        &[(spec::CONNECTION_PARAMS, &vector("head-tcp"))],
        b"",
    );
    let cut = whole.len() - 20;
    let framed = &whole[9..cut];
    world.feed(
        &[
            data(1, framed, false),
            headers(1, &[("grpc-status", "0")], true),
        ]
        .concat(),
    );
    assert!(world.closes_link());
    assert_eq!(world.agent.sessions().counters().sessions, 0);
}

#[test]
fn a_gob_bomb_costs_its_session_alone() {
    let mut world = World::live(&[]);
    world.open_tcp("good");
    world.sent();
    // A definition of a struct that claims more fields than there are bytes, and mere noise.
    for bomb in [
        &[
            0x0c, 0xff, 0x81, 3, 1, 2, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ][..],
        &[0xf8; 64],
        b"",
    ] {
        world.feed(&packet(
            Kind::AgentSessionOpen,
            "bad",
            &[(spec::CONNECTION_PARAMS, bomb)],
            b"",
        ));
        assert_eq!(world.agent.sessions().len(), 1);
        let said: Vec<u8> = world
            .sent()
            .into_iter()
            .flat_map(|frame| frame.payload)
            .collect();
        let close = Kind::ClientSessionClose.name().as_bytes();
        assert!(said.windows(close.len()).any(|part| part == close));
    }
    assert_eq!(world.agent.link_state(), LinkState::Live);
}

#[test]
fn a_broken_answer_to_the_key_check_costs_that_call_alone() {
    let oversized = [&[0][..], &u32::MAX.to_be_bytes()].concat();
    for (content, code) in [
        (message(b"\xff\xff"), ErrorCode::PROTOCOL_ERROR),
        (b"\x01\0\0\0\x01x".to_vec(), ErrorCode::PROTOCOL_ERROR),
        (oversized, ErrorCode::ENHANCE_YOUR_CALM),
    ] {
        let mut world = World::live(&[]);
        world.open_tcp("a");
        world.pass(10);
        let stream = world.asked().expect("a key check");
        world.feed(&[headers(stream, GRPC, false), data(stream, &content, false)].concat());
        assert_eq!(
            (world.agent.link_state(), world.agent.sessions().len()),
            (LinkState::Live, 1)
        );
        assert_eq!(world.agent.counters().check_failures, 1);
        let sent = world.sent();
        let reset = sent.iter().find(|frame| frame.kind == RST_STREAM).unwrap();
        assert_eq!((reset.stream, reset.number(0)), (stream, code.0));
    }
}

#[test]
fn a_key_check_waits_for_the_gateways_window() {
    let mut world = World::live(&[]);
    world.feed(&packet(Kind::GatewayFeatureFlagUpdate, "", &[], b""));
    world.agent.ship_logs(&[b'x'; 100_000]);
    let sum: usize = world
        .sent()
        .iter()
        .filter(|f| f.kind == DATA)
        .map(|f| f.payload.len())
        .sum();
    assert!(sum > 60_000, "the connection's window is used up");
    world.pass(10);
    assert_eq!(world.asked(), Some(3));
    world.feed(&window_update(0, 1_000));
    let sent = world.sent();
    let request = sent
        .iter()
        .find(|frame| frame.stream == 3)
        .expect("the request");
    assert_eq!((request.kind, request.flags), (DATA, END_STREAM));
}

#[test]
fn a_key_check_that_is_never_answered_is_asked_again() {
    let mut world = World::live(&[]);
    let mut asked = Vec::new();
    for _ in 0..12 {
        world.pass(5);
        // Alive, but not answering.
        world.feed(&frame(PING, 0, 0, &[0; 8]));
        asked.extend(world.asked());
    }
    assert_eq!(world.agent.link_state(), LinkState::Live);
    assert!(asked.len() >= 2, "{asked:?}");
    assert!(world.agent.counters().check_failures >= 1);
}

#[test]
fn a_call_that_failed_before_its_end_holds_no_stream() {
    let mut world = World::live(&[]);
    for _ in 0..40 {
        world.pass(10);
        let Some(stream) = world.asked() else {
            continue;
        };
        world.feed(&headers(
            stream,
            &[(":status", "503"), ("content-type", "text/html")],
            false,
        ));
        let sent = world.sent();
        assert!(
            sent.iter()
                .any(|f| (f.kind, f.stream) == (RST_STREAM, stream)),
            "{sent:?}"
        );
    }
    assert_eq!(world.agent.link_state(), LinkState::Live);
    assert!(world.agent.counters().check_failures > 17);
}

/// Packets that are each answered by a close: more of it than the outbox takes, and more of them than
/// half of the credit, so that some would be given.
const STRAYS: u32 = 30_000;

fn stray(number: u32) -> Vec<u8> {
    let id = format!("{number:0256}");
    packet(Kind::AgentTCPConnectionWrite, &id, &[], b"x")
}

impl World {
    /// The gateway asks without listening, until answers wait that have no room.
    fn fill_outbox(&mut self) {
        for number in 0..STRAYS {
            self.feed(&stray(number));
            let most = limits::OUTBOX_BYTES_MAX + 1024;
            let waiting = self.agent.outbox().len();
            assert!(waiting <= most, "{waiting} bytes wait for the gateway");
        }
        assert!(self.agent.outbox().len() >= limits::OUTBOX_BYTES_MAX);
        assert!(!self.agent.has_room());
    }
}

#[test]
fn the_link_is_read_however_much_waits_for_the_gateway() {
    let mut world = World::live(&[(4, 0)]);
    world.fill_outbox();
    world.feed(&frame(PING, 0, 0, b"question"));
    let sent = world.sent();
    let answer = sent.iter().find(|frame| frame.kind == PING);
    assert_eq!(
        answer.map(|frame| &frame.payload[..]),
        Some(&b"question"[..])
    );
    let gives = |frame: &&Sent| frame.kind == WINDOW_UPDATE && frame.stream == 1;
    assert_eq!(sent.iter().find(gives), None, "credit for the stream");
}

#[test]
fn answers_that_had_no_room_are_given_once_each_when_the_gateway_listens() {
    let mut world = World::live(&[(4, 0)]);
    world.fill_outbox();
    world.feed(&[window_update(0, 1 << 26), window_update(1, 1 << 26)].concat());
    let mut said = Vec::new();
    let mut credit = 0;
    loop {
        let sent = world.sent();
        if sent.is_empty() {
            break;
        }
        for frame in sent.iter().filter(|frame| frame.stream == 1) {
            match frame.kind {
                DATA => said.extend_from_slice(&frame.payload),
                WINDOW_UPDATE => credit += frame.number(0),
                _ => {}
            }
        }
    }
    let close = Kind::ClientSessionClose.name().as_bytes();
    let closes = said.windows(close.len()).filter(|part| *part == close);
    assert_eq!(closes.count(), STRAYS as usize);
    assert!(credit > limits::STREAM_WINDOW / 2, "{credit}");
}

#[test]
fn a_gateway_that_asks_without_listening_reaches_its_credits_end() {
    let mut world = World::live(&[(4, 0)]);
    let message = stray(0);
    let mut left = limits::STREAM_WINDOW as usize - 1000;
    while left > message.len() {
        left -= message.len() - 9;
        world.feed(&message);
    }
    assert_eq!(world.agent.link_state(), LinkState::Live);
    assert!(world.agent.sessions().buffered_bytes() == 0);
    for _ in 0..8 {
        world.pass(5);
    }
    assert!(world.closes_link(), "it has fallen silent as well");
}

#[test]
fn an_http2_error_is_told_by_goaway_before_the_socket_closes() {
    let mut world = World::live(&[]);
    world.open_tcp("a");
    world.sent();
    world.feed(&frame(PING, 0, 1, &[0; 8]));
    assert!(world.closes_link());
    let sent = world.sent();
    let last = sent.last().expect("a GOAWAY");
    assert_eq!(
        (last.kind, last.number(4)),
        (GOAWAY, ErrorCode::PROTOCOL_ERROR.0)
    );
    assert!(world.agent.sessions().is_empty());
}

impl World {
    /// A session that the agent ends by its close packet.
    fn close_by_agent(&mut self, id: &str) {
        self.open_tcp(id);
        self.feed(&packet(Kind::AgentExecWriteStdin, id, &[], b"x"));
        assert!(self.agent.sessions().is_empty());
    }

    /// So many seconds of a gateway that is alive; every five of them it also says `words`.
    fn live_on(&mut self, seconds: u64, words: &[u8]) {
        for _ in 0..seconds / 5 {
            self.pass(5);
            self.feed(&[&frame(PING, 0, 0, &[0; 8])[..], words].concat());
            self.sent();
        }
    }
}

#[test]
fn a_gateway_that_no_longer_reads_packets_is_dialled_anew() {
    let mut world = World::live(&[]);
    world.close_by_agent("a");
    world.feed(&packet(Kind::AgentSessionClose, "a", &[], b""));
    world.live_on(600, b"");
    assert_eq!(world.agent.link_state(), LinkState::Live, "nothing is owed");
    world.close_by_agent("b");
    world.live_on(100, b"");
    assert_eq!(world.agent.link_state(), LinkState::Live, "it may be slow");
    let is_lost = (0..6).any(|_| {
        world.pass(5);
        let is_lost = world.closes_link();
        if !is_lost {
            world.feed(&frame(PING, 0, 0, &[0; 8]));
        }
        is_lost
    });
    assert!(is_lost);
}

#[test]
fn a_gateway_that_still_gives_credit_is_only_slow() {
    let mut world = World::live(&[]);
    world.close_by_agent("a");
    world.feed(&packet(Kind::AgentSessionClose, "a", &[], b""));
    world.close_by_agent("b");
    world.live_on(600, &window_update(1, 1));
    assert_eq!(world.agent.link_state(), LinkState::Live);
}

#[test]
fn a_gateway_that_never_confirms_is_not_judged_by_it() {
    let mut world = World::live(&[]);
    world.close_by_agent("a");
    world.close_by_agent("b");
    world.live_on(600, b"");
    assert_eq!(world.agent.link_state(), LinkState::Live);
}

#[test]
fn silence_is_found_in_time_whatever_came_behind_the_key_check() {
    for said_after in 0..15 {
        let mut world = World::live(&[]);
        world.pass(10);
        assert!(world.asked().is_some());
        for seconds in [0, said_after] {
            world.pass(seconds);
            world.feed(&frame(PING, 0, 0, &[0; 8]));
        }
        let lost_after = (1..60).find(|_| {
            world.pass(1);
            world.closes_link()
        });
        assert_eq!(lost_after, Some(15), "{said_after} s behind the check");
    }
}

#[test]
fn a_link_that_ends_twice_in_one_read_is_lost_once() {
    let mut world = World::live(&[]);
    let ended = headers(1, &[("grpc-status", "14")], true);
    world.feed(&[ended, frame(PING, 0, 1, &[0; 8])].concat());
    let closes = std::iter::from_fn(|| world.agent.poll_output())
        .filter(|action| matches!(action, Action::CloseLink));
    assert_eq!(closes.count(), 1);
    assert_eq!(world.agent.counters().failures, 1);
}

#[test]
fn an_attempt_that_follows_at_once_is_not_forgotten_with_the_last_link() {
    let mut world = World::live(&[]);
    let settings = AgentSettings {
        reconnect_max: Duration::ZERO,
        ..SETTINGS_OF_AGENT
    };
    let sessions = Sessions::new(
        session::SessionLimits::default(),
        AgentEnvironment::default(),
    );
    let endpoints = Box::new(|| Ok(endpoint()));
    world.agent = Agent::new(world.now, settings, sessions, endpoints, Rng::new(1));
    assert!(world.agent.poll_output().is_some());
    world.agent.link_connected(world.now);
    world.pass(limits::CONNECT_TIMEOUT.as_secs());
    let actions: Vec<_> = std::iter::from_fn(|| world.agent.poll_output()).collect();
    assert!(matches!(
        actions[..],
        [Action::CloseLink, Action::DialLink { .. }]
    ));
    world.agent.link_closed();
    assert_eq!(world.agent.link_state(), LinkState::Dialling);
    world.agent.link_connected(world.now);
    assert_eq!(world.agent.link_state(), LinkState::Connecting);
}

#[test]
fn a_link_that_is_given_up_says_its_last_words_and_hears_nothing() {
    let mut world = World::live(&[]);
    world.open_tcp("a");
    world.sent();
    world.agent.stop_now(world.now);
    world.agent.stop_now(world.now);
    let said = world.sent();
    assert_eq!(said.last().map(|frame| frame.kind), Some(GOAWAY));
    world.feed(&packet(
        Kind::AgentSessionOpen,
        "b",
        &[(spec::CONNECTION_PARAMS, &vector("head-tcp"))],
        b"",
    ));
    assert_eq!(world.agent.sessions().len(), 0);
    world
        .agent
        .link_broke(world.now, "connection reset by peer");
    assert!(world.closes_link());
    assert_eq!(world.agent.counters().failures, 0);
}
