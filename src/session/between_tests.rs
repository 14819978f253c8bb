//! Whole connections through [`Between`]: a client, a simulated server with TLS, and every byte at which one of them
//! may leave.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loopback_gateway::postgres::{
    Conduct, Method, RESULT, Server, TlsAnswer, messages as read_messages, opening, startup,
};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::{Security, mysql, postgres};

use super::super::means::{AuthorityError, Means, Sources, Way};
use super::super::seam::{Farewell, Machine, Next, Sides, ToClient, Why};
use super::*;
use crate::base::{ByteBuf, Secret};
use crate::login::{Account, Login, SslMode};
use crate::packet::{Kind, Outbox, Packet, SpecEntry, spec};
use crate::tls::{OwnTickets, Subject};

const PASSWORD: &str = "s3cret";
const VERSION: u32 = 3 << 16;
const KIND: Kind = Kind::ClientPGConnectionWrite;
const SPEC: [SpecEntry<'static>; 2] = [(spec::SESSION_ID, b"s"), (spec::CONNECTION_ID, b"1")];
const PEER: &str = "127.0.0.1:5432";

struct Roots(String);

impl Sources for Roots {
    fn random(&mut self, bytes: &mut [u8]) -> bool {
        bytes.fill(7);
        true
    }

    fn authorities(&mut self, named: Option<&str>) -> Result<Arc<[u8]>, AuthorityError> {
        assert_eq!(named, Some("of the connection"));
        Ok(self.0.clone().into_bytes().into())
    }
}

/// A client's connection, what stands in the middle, and the server's.
struct World {
    machine: Box<dyn Machine>,
    means: Means,
    make: Box<dyn Fn() -> Secure>,
    server: Option<Secure>,
    /// Bytes of the server that have not arrived yet.
    under_way: Vec<u8>,
    from_client: ByteBuf,
    /// Payloads that the client has got.
    packets: Vec<Vec<u8>>,
    /// All that went to the server as it was.
    to_server: Vec<u8>,
    now: Instant,
    has_room: bool,
    dials: usize,
    places: Vec<Option<Where>>,
    passed: Vec<u8>,
    end: Option<Next>,
}

impl World {
    fn new(account: Account, conduct: Conduct, certificate: &Certificate) -> Self {
        Self::of_session(Rc::default(), account, conduct, certificate)
    }

    fn of_session(
        tickets: Rc<RefCell<OwnTickets>>,
        account: Account,
        conduct: Conduct,
        certificate: &Certificate,
    ) -> Self {
        let certificate = certificate.clone();
        let make = move || {
            let server = Server::new(conduct.clone());
            Secure::new(Speaker::Postgres(server), &certificate)
        };
        Self::with(
            Login::postgres(account, [7; 18]),
            tickets,
            Box::new(make),
            "db.example",
        )
    }

    fn with(
        login: Login,
        tickets: Rc<RefCell<OwnTickets>>,
        make: Box<dyn Fn() -> Secure>,
        host: &str,
    ) -> Self {
        let way = Way {
            host: host.to_owned(),
            port: 5432,
            authorities: Some("of the connection".to_owned()),
            identity: None,
            tickets,
            subject: match &login {
                Login::Mssql(_) => &Subject::SQL_SERVER,
                _ => &Subject::DATABASE,
            },
        };
        Self {
            machine: Box::new(Between::new(login, way)),
            means: Means::default(),
            make,
            server: None,
            under_way: Vec::new(),
            from_client: ByteBuf::new(),
            packets: Vec::new(),
            to_server: Vec::new(),
            now: Instant::now(),
            has_room: true,
            dials: 0,
            places: Vec::new(),
            passed: Vec::new(),
            end: None,
        }
    }

    fn trusting(mut self, certificate: &Certificate) -> Self {
        self.means = Means::new(Box::new(Roots(certificate.ca_pem.clone())));
        self
    }

    /// One call, and what follows from its answer.
    fn call(&mut self, call: &mut dyn FnMut(&mut dyn Machine, &mut Sides<'_>) -> Next) {
        if self.end.is_some() {
            return;
        }
        let mut outbox = Outbox::new();
        let mut queue = Vec::new();
        let next = {
            let mut sides = Sides {
                now: self.now,
                has_room: self.has_room,
                from_client: &mut self.from_client,
                to_client: ToClient::new(&mut outbox, KIND, SPEC),
                to_target: &mut queue,
                means: &mut self.means,
                warning: None,
            };
            call(&mut *self.machine, &mut sides)
        };
        self.take(&mut outbox);
        self.to_server.extend_from_slice(&queue);
        if let Some(server) = &mut self.server {
            self.under_way.extend(server.receive(&queue));
        }
        match next {
            Next::Go => {}
            Next::Pass => {
                let payload = std::mem::take(&mut self.passed);
                let server = self.server.as_mut().expect("a server");
                self.under_way.extend(server.receive(&payload));
                self.to_server.extend(payload);
            }
            Next::Dial(place) => {
                self.places.push(place);
                self.dials += 1;
                let mut server = (self.make)();
                self.under_way = server.receive(b"");
                self.server = Some(server);
                self.call(&mut |machine, sides| machine.dialled(sides));
                let peer: SocketAddr = PEER.parse().unwrap();
                self.call(&mut |machine, sides| machine.started(sides, Some(peer)));
            }
            Next::HangUp => {
                self.server = None;
                self.under_way.clear();
                self.call(&mut |machine, sides| machine.hung_up(sides));
            }
            end => self.end = Some(end),
        }
        while self.means.keys.has_work() {
            self.means.keys.work();
            let due = self.machine.due().filter(|_| !self.means.keys.has_work());
            self.now = due.unwrap_or(self.now);
        }
        while self.end.is_none() && self.machine.due().is_some_and(|due| due <= self.now) {
            self.call(&mut |machine, sides| machine.overdue(sides));
        }
    }

    fn take(&mut self, outbox: &mut Outbox) {
        while !outbox.is_empty() {
            let head = outbox.frame(b"123456789", 5)[9..].to_vec();
            let len = u32::from_be_bytes(head[1..5].try_into().unwrap()) as usize;
            let packet = outbox.frame(b"123456789", len)[9..].to_vec();
            self.packets
                .push(Packet::decode(&packet).unwrap().payload.to_vec());
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.passed = bytes.to_vec();
        self.call(&mut |machine, sides| machine.client_sent(sides, bytes));
    }

    /// The server's bytes arrive, `piece` at a time, until `most` have; answers how many.
    fn arrive(&mut self, piece: usize, most: usize) -> usize {
        let mut arrived = 0;
        while self.end.is_none() && arrived < most && !self.under_way.is_empty() {
            let len = piece.min(self.under_way.len()).min(most - arrived);
            arrived += self.read(len);
        }
        arrived
    }

    /// One read of the target's socket.
    fn read(&mut self, size: usize) -> usize {
        let mut outbox = Outbox::new();
        let has_slot = self.machine.wants_slot();
        let slot = match has_slot {
            true => self.machine.slot(&mut self.means, size),
            false => outbox.slot(KIND, &SPEC, size),
        };
        let size = slot.len().min(size);
        slot[..size].copy_from_slice(&self.under_way[..size]);
        self.under_way.drain(..size);
        match has_slot {
            true => self.call(&mut |machine, sides| machine.target_sent(sides, size)),
            false => {
                match self.machine.relayed(outbox.slotted(size)) {
                    Some(cut) => outbox.fill_cut(KIND, &SPEC, size, cut),
                    None => outbox.fill(size),
                }
                self.take(&mut outbox);
            }
        }
        size
    }

    /// A client's whole login, the pieces of this size.
    fn login(mut self, piece: usize) -> Self {
        self.say(&client_startup());
        self.arrive(piece, usize::MAX);
        while self.end.is_none() && self.server.as_ref().is_some_and(Secure::is_over) {
            let dials = self.dials;
            self.call(&mut |machine, sides| machine.target_ended(sides));
            if self.dials == dials {
                break;
            }
            self.arrive(piece, usize::MAX);
        }
        self.check();
        self
    }

    /// Nothing that the client has got is the password, and no packet looks like another's key.
    fn check(&self) {
        let all = self.packets.concat();
        assert!(!all.windows(6).any(|window| window == PASSWORD.as_bytes()));
        for packet in &self.packets {
            let is_key = packet.len() >= 13 && packet[0] == b'K' && packet[1] != b'K';
            assert!(!is_key || packet[5..9] == 4711_u32.to_be_bytes());
        }
    }

    fn kinds(&self) -> Vec<u8> {
        let messages = read_messages(&self.packets.concat());
        messages.iter().map(|(kind, _)| *kind).collect()
    }

    fn heard(&self) -> &postgres::Heard {
        self.server.as_ref().expect("a server").postgres()
    }

    fn because(&self) -> &str {
        match &self.end {
            Some(Next::Close(Farewell::Because(text))) => text,
            _ => panic!("no reason"),
        }
    }

    fn error(&self) -> String {
        let (kind, body) = read_messages(&self.packets.concat()).pop().unwrap();
        assert_eq!(kind, b'E');
        String::from_utf8(body).unwrap()
    }
}

fn account(tls: SslMode) -> Account {
    Account::new("app", Secret::new(PASSWORD))
        .with_tls(tls)
        .with_plain_password_allowed(tls == SslMode::Disable)
}

fn client_startup() -> Vec<u8> {
    startup(VERSION, &[("user", "noop"), ("database", "sales")])
}

const QUERY: &[u8] = b"Q\0\0\0\x0dselect 1\0";
const GOODBYE: &[u8] = b"X\0\0\0\x04";
const METHODS: [Method; 3] = [Method::Trust, Method::Cleartext, Method::Scram(600)];

fn certificate() -> Certificate {
    Certificate::new(&["db.example"])
}

/// A client that is logged in over TLS, or without.
fn relaying(tls: bool) -> World {
    let (mode, answer) = match tls {
        true => (SslMode::VerifyFull, TlsAnswer::Yes),
        false => (SslMode::Disable, TlsAnswer::No),
    };
    let certificate = certificate();
    let conduct = Conduct::new(Method::Scram(2)).with_tls(answer);
    let world = World::new(account(mode), conduct, &certificate).trusting(&certificate);
    let world = world.login(usize::MAX);
    assert_eq!(world.kinds(), b"RSNKNZ");
    world
}

#[test]
fn every_method_and_mode_logs_in_and_relays_whatever_the_pieces() {
    let certificate = certificate();
    for method in METHODS {
        for (mode, answer, is_secure) in [
            (SslMode::Disable, TlsAnswer::No, false),
            (SslMode::Prefer, TlsAnswer::Yes, true),
            (SslMode::Require, TlsAnswer::Yes, true),
            (SslMode::VerifyFull, TlsAnswer::Yes, true),
        ] {
            for piece in [1, 37, usize::MAX] {
                let conduct = Conduct::new(method).with_tls(answer);
                let world = World::new(account(mode), conduct, &certificate);
                let mut world = world.trusting(&certificate).login(piece);
                assert_eq!(world.kinds(), b"RSNKNZ", "{method:?} {mode:?} {piece}");
                assert_eq!(world.server.as_ref().unwrap().is_secure(), is_secure);
                assert_eq!((world.dials, world.machine.due()), (1, None));
                world.packets.clear();
                world.say(QUERY);
                assert_eq!(world.heard().queries, QUERY);
                world.arrive(piece, usize::MAX);
                assert_eq!(world.packets.concat(), RESULT);
                world.check();
                let mut sent = world.to_server.windows(6);
                let was_read = sent.any(|window| window == PASSWORD.as_bytes());
                assert_eq!(was_read, method == Method::Cleartext && !is_secure);
            }
        }
    }
}

#[path = "between_tests/mongo.rs"]
mod mongo;
#[path = "between_tests/mssql.rs"]
mod mssql;

#[test]
fn tls_1_2_will_do() {
    let certificate = Certificate::with(&["db.example"], Security::Tls12);
    let conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
    let world = World::new(account(SslMode::VerifyFull), conduct, &certificate);
    let mut world = world.trusting(&certificate).login(5);
    world.say(QUERY);
    world.arrive(5, usize::MAX);
    assert!(world.packets.concat().ends_with(RESULT));
}

#[test]
fn records_of_one_read_are_one_packet_cut_where_it_looks_like_a_key() {
    let mut world = relaying(true);
    world.packets.clear();
    let rows: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    world.under_way = world.server.as_mut().unwrap().say(&rows);
    assert!(world.under_way.len() > rows.len());
    world.arrive(usize::MAX, usize::MAX);
    assert_eq!(world.packets, [&rows[..]]);
    world.packets.clear();
    let keys = b"KKKKK, and twelve bytes more";
    for is_secure in [true, false] {
        let mut world = relaying(is_secure);
        world.packets.clear();
        world.under_way = world.server.as_mut().unwrap().say(keys);
        world.arrive(usize::MAX, usize::MAX);
        assert_eq!(world.packets, [&keys[..5], &keys[5..]]);
    }
}

#[test]
fn one_scratch_serves_connections_whose_records_come_in_parts() {
    let (mut one, mut two) = (relaying(true), relaying(true));
    for world in [&mut one, &mut two] {
        world.packets.clear();
        world.under_way = world.server.as_mut().unwrap().say(&[b'r'; 40_000]);
    }
    while !one.under_way.is_empty() || !two.under_way.is_empty() {
        for world in [&mut one, &mut two] {
            world.arrive(3000, 3000);
        }
        std::mem::swap(&mut one.means, &mut two.means);
        // A read that finds nothing is followed by no word.
        let _ = one.machine.slot(&mut one.means, 70_000);
    }
    for world in [one, two] {
        assert_eq!(world.packets.concat(), [b'r'; 40_000]);
    }
}

#[test]
fn a_server_that_dies_at_any_byte_is_told_to_client_and_log() {
    let certificate = certificate();
    let world = || {
        let conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
        let mut world = World::new(account(SslMode::Require), conduct, &certificate);
        world.say(&client_startup());
        world
    };
    let whole = world().arrive(usize::MAX, usize::MAX);
    for at in 0..whole {
        let mut world = world();
        // Signatures differ in length.
        if world.arrive(usize::MAX, at) < at || world.kinds_are_ready() {
            break;
        }
        world.call(&mut |machine, sides| machine.target_ended(sides));
        assert!(!world.because().is_empty());
        let all = world.packets.concat();
        assert!(
            world.error().contains("clos") || world.is_within_message(&all),
            "{at}"
        );
        world.check();
    }
}

impl World {
    fn kinds_are_ready(&self) -> bool {
        self.packets
            .last()
            .is_some_and(|last| last.starts_with(b"Z"))
    }

    fn is_within_message(&self, mut all: &[u8]) -> bool {
        while let Some(word) = all.get(1..5) {
            let len = 1 + u32::from_be_bytes(word.try_into().unwrap()) as usize;
            match all.get(len..) {
                Some(rest) => all = rest,
                None => return true,
            }
        }
        !all.is_empty()
    }
}

#[test]
fn every_state_can_be_refused_at_every_byte_of_the_server() {
    let certificate = certificate();
    let conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
    let mut at = 0;
    loop {
        let mut world = World::new(account(SslMode::Require), conduct.clone(), &certificate);
        world.say(&client_startup());
        if world.arrive(usize::MAX, at) < at || world.kinds_are_ready() {
            break;
        }
        world.call(&mut |machine, sides| {
            let _ = machine.refuse(sides, Why::Stopping);
            Next::Go
        });
        assert!(world.error().contains("57P01"), "{at}");
        assert_eq!(world.machine.due(), None);
        at += 1;
    }
    assert!(at > 1000, "{at}");
}

#[test]
fn a_client_that_asks_for_encryption_hears_a_refusal_when_it_listens() {
    let conduct = Conduct::new(Method::Scram(2));
    for (why, code) in [(Why::Stopping, "57P01"), (Why::NoRoom, "53300")] {
        let mut world = World::new(
            account(SslMode::Prefer),
            conduct.clone(),
            &certificate_once(),
        );
        world.call(&mut |machine, sides| machine.refuse(sides, why));
        assert!(world.end.is_none() && world.packets.is_empty());
        world.say(&opening(80_877_103, b""));
        assert_eq!(world.packets, [b"N"]);
        assert!(world.machine.due().is_some());
        world.say(&client_startup());
        world.packets.remove(0);
        assert!(world.error().contains(code));
        assert!(world.end.is_some() && world.dials == 0);
    }
    let mut world = World::new(account(SslMode::Prefer), conduct, &certificate_once());
    world.call(&mut |machine, sides| machine.refuse(sides, Why::Stalled));
    assert!(world.end.is_some());
}

#[test]
fn a_client_that_leaves_at_any_byte_leaves_nothing_behind() {
    let bytes = [&client_startup()[..], QUERY].concat();
    for at in 0..bytes.len() {
        let certificate = certificate_once();
        let conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
        let mut world = World::new(account(SslMode::Require), conduct, &certificate);
        world.say(&bytes[..at]);
        world.call(&mut |machine, sides| machine.client_left(sides));
        assert!(world.end.is_none() && world.machine.due().is_none());
    }
}

fn certificate_once() -> Certificate {
    use std::sync::OnceLock;
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(certificate).clone()
}

#[test]
fn what_came_early_is_relayed_in_the_same_call() {
    for (mode, answer) in [
        (SslMode::Disable, TlsAnswer::No),
        (SslMode::Require, TlsAnswer::Yes),
    ] {
        let conduct = Conduct::new(Method::Scram(2)).with_tls(answer);
        let mut world = World::new(account(mode), conduct, &certificate_once());
        world.say(&[&client_startup()[..], QUERY].concat());
        assert!(!world.from_client.is_empty());
        world.arrive(usize::MAX, usize::MAX);
        assert_eq!(world.heard().queries, QUERY);
        assert!(world.from_client.is_empty());
        assert!(world.packets.concat().ends_with(RESULT));
    }
}

#[test]
fn a_login_holds_so_much_of_its_client_and_its_server_and_no_more() {
    let conduct = Conduct::new(Method::Scram(2));
    let mut world = World::new(
        account(SslMode::Disable),
        conduct.clone(),
        &certificate_once(),
    );
    world.say(&client_startup());
    world.say(&vec![b'x'; 17 << 20]);
    assert!(world.from_client.len() <= limits::LOGIN_CLIENT_BYTES_MAX + 1);
    assert!(world.error().contains("08P01") && world.because().contains("before the login"));

    let mut world = World::new(account(SslMode::Require), conduct, &certificate_once());
    world.say(&client_startup());
    world.under_way = vec![b'E'; 200_000];
    world.arrive(16_384, usize::MAX);
    assert!(world.end.is_some());
}

#[test]
fn each_side_is_waited_for_as_long_as_it_may_take() {
    let conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
    let world = || {
        World::new(
            account(SslMode::Require),
            conduct.clone(),
            &certificate_once(),
        )
    };
    let seconds = |world: &World| (world.machine.due().unwrap() - world.now).as_secs();

    let mut client = world();
    client.say(b"\0\0");
    assert_eq!(seconds(&client), 60);
    client.now += Duration::from_secs(59);
    client.say(b"\0");
    assert_eq!(seconds(&client), 1);
    client.now += Duration::from_secs(1);
    client.call(&mut |machine, sides| machine.overdue(sides));
    assert!(client.error().contains("within 60 s"));

    let mut server = world();
    server.say(&client_startup());
    assert_eq!(seconds(&server), 15);
    server.now += Duration::from_secs(14);
    server.say(b"early");
    assert_eq!(seconds(&server), 1);
    server.arrive(usize::MAX, 1);
    assert_eq!(seconds(&server), 15);
    server.now += Duration::from_secs(15);
    server.call(&mut |machine, sides| machine.overdue(sides));
    assert!(server.error().contains("within 15 s"));
    assert!(server.because().contains("within 15 s"));
}

#[test]
fn a_login_says_so_much_without_room_and_then_waits_like_a_relay() {
    let mut conduct = Conduct::new(Method::Trust);
    conduct.notice = "x".repeat(100_000);
    let mut world = World::new(account(SslMode::Disable), conduct, &certificate_once());
    world.has_room = false;
    world.say(&client_startup());
    world.arrive(usize::MAX, 60_000);
    assert!(!world.machine.needs_room());
    world.arrive(usize::MAX, 6_000);
    assert!(world.machine.needs_room());
    world.now += Duration::from_secs(16);
    world.call(&mut |_, _| Next::Go);
    assert!(world.end.is_none() && world.machine.due() > Some(world.now));
    world.has_room = true;
    world.arrive(usize::MAX, 1);
    assert!(!world.machine.needs_room());
    world.arrive(usize::MAX, usize::MAX);
    assert_eq!(world.kinds(), b"RSNKNZ");
    assert!(world.machine.needs_room());
}

#[test]
fn tls_is_resumed_within_a_session_and_never_in_anothers() {
    for security in [Security::Tls12, Security::Tls13] {
        for mode in [SslMode::Require, SslMode::VerifyFull] {
            let certificate = Certificate::with(&["db.example"], security);
            // Answers whether it was resumed.
            let connect = |means: &mut Means, tickets: &Rc<RefCell<OwnTickets>>| {
                let conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
                let tickets = Rc::clone(tickets);
                let mut world = World::of_session(tickets, account(mode), conduct, &certificate);
                std::mem::swap(&mut world.means, means);
                let mut world = world.login(usize::MAX);
                assert_eq!(world.kinds(), b"RSNKNZ");
                std::mem::swap(&mut world.means, means);
                world.server.as_ref().unwrap().is_resumed()
            };
            let mut means = Means::new(Box::new(Roots(certificate.ca_pem.clone())));
            let (one, other) = (Rc::default(), Rc::default());
            assert!(!connect(&mut means, &one));
            assert!(connect(&mut means, &one) && connect(&mut means, &one));
            assert!(!connect(&mut means, &other));
            assert!(connect(&mut means, &other) && connect(&mut means, &one));
        }
    }
}

#[test]
fn an_end_that_was_meant_is_told_from_a_cut_and_ours_is_said() {
    let mut world = relaying(true);
    world.under_way = world.server.as_mut().unwrap().say_goodbye();
    world.arrive(usize::MAX, usize::MAX);
    assert!(matches!(world.end, Some(Next::Close(Farewell::Ended))));
    assert!(world.server.as_ref().unwrap().has_heard_goodbye);

    let mut world = relaying(true);
    world.call(&mut |machine, sides| machine.target_ended(sides));
    assert!(world.because().contains("cut"));

    let mut world = relaying(false);
    world.call(&mut |machine, sides| machine.target_ended(sides));
    assert!(matches!(world.end, Some(Next::Close(Farewell::Ended))));

    for is_secure in [true, false] {
        let mut world = relaying(is_secure);
        world.say(GOODBYE);
        world.call(&mut |machine, sides| machine.target_ended(sides));
        assert!(matches!(world.end, Some(Next::Close(Farewell::Goodbye))));

        let mut world = relaying(is_secure);
        world.call(&mut |machine, sides| machine.client_left(sides));
        assert!(world.end.is_none());
        assert_eq!(world.server.unwrap().has_heard_goodbye, is_secure);
    }
}

#[test]
fn tls_that_breaks_ends_the_connection_with_a_word() {
    let mut world = relaying(true);
    world.under_way = b"\x17\x03\x03\0\x20and these were never sealed by it".to_vec();
    world.arrive(usize::MAX, usize::MAX);
    assert!(world.because().contains("TLS with the server broke"));
    assert!(!world.because().contains("sealed"));
}

#[test]
fn a_certificate_that_does_not_do_is_the_end_unless_nobody_asked_for_one() {
    let (right, wrong) = (certificate(), Certificate::new(&["other.example"]));
    let conduct = || Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
    let world = World::new(account(SslMode::VerifyFull), conduct(), &wrong);
    let world = world.trusting(&wrong).login(usize::MAX);
    assert!(
        world.because().contains("not for db.example"),
        "{}",
        world.because()
    );
    assert!(world.error().contains("HOST of the connection"));
    let world = World::new(account(SslMode::VerifyFull), conduct(), &wrong);
    let world = world.trusting(&right).login(usize::MAX);
    assert!(world.because().contains("SSLROOTCERT of the connection"));
    for mode in [SslMode::Prefer, SslMode::Require] {
        let world = World::new(account(mode), conduct(), &wrong).login(usize::MAX);
        assert_eq!(world.kinds(), b"RSNKNZ");
    }
    let mut world = World::new(account(SslMode::VerifyFull), conduct(), &right);
    world.means = Means::new(Box::new(Roots("no certificate".to_owned())));
    let world = world.login(usize::MAX);
    assert!(world.because().contains("has no usable certificate"));
}

#[test]
fn a_server_that_can_not_be_reached_is_named_to_the_client() {
    let conduct = Conduct::new(Method::Trust);
    let mut world = World::new(account(SslMode::Disable), conduct, &certificate_once());
    world.say(&client_startup());
    world.call(&mut |machine, sides| {
        machine.failed(sides, Unreached::because("connection refused"))
    });
    assert!(
        world
            .error()
            .contains("db.example:5432 can't be reached, connection refused: check HOST")
    );
    assert!(world.because().contains("connection refused"));
}

/// MySQL's servers are told when a login is given up; not by putting it where no target is.
#[test]
fn a_server_that_is_not_there_hears_no_farewell() {
    let world = || {
        let conduct = mysql::Conduct::new("caching_sha2_password");
        let make = move || {
            let (server, _) = mysql::Server::accept(conduct.clone());
            Secure::new(Speaker::Mysql(server), &certificate_once())
        };
        let login = Login::mysql(account(SslMode::Prefer));
        World::with(login, Rc::default(), Box::new(make), "127.0.0.1")
    };
    let mut unreachable = world();
    unreachable.say(b"");
    assert_eq!(unreachable.dials, 1);
    unreachable.call(&mut |machine, sides| {
        machine.failed(sides, Unreached::because("connection refused"))
    });
    assert!(unreachable.because().contains("connection refused"));
    assert_eq!(unreachable.to_server, b"");

    let mut full = world();
    full.call(&mut |machine, sides| {
        assert!(matches!(machine.client_sent(sides, b""), Next::Dial(None)));
        machine.refuse(sides, Why::NoRoom);
        Next::Go
    });
    assert_eq!((full.to_server.len(), full.packets.len()), (0, 1));

    let mut given_up = world();
    given_up.say(b"");
    given_up.call(&mut |machine, sides| machine.client_left(sides));
    assert!(!given_up.to_server.is_empty(), "a server that is there");
}

#[test]
fn a_query_that_nobody_waits_for_is_cancelled_at_its_very_server() {
    for is_secure in [true, false] {
        let mut world = relaying(is_secure);
        world.call(&mut |machine, sides| machine.client_left(sides));
        assert!(world.end.is_none(), "idle");

        let mut world = relaying(is_secure);
        world.say(QUERY);
        world.call(&mut |machine, sides| machine.client_left(sides));
        let Some(Next::Errand(Where::Peer(peer), errand)) = world.end.take() else {
            panic!("no errand")
        };
        assert_eq!(peer, PEER.parse().unwrap());
        assert_eq!(
            carried_out(world, errand),
            (4711, b"KKKK".to_vec(), is_secure)
        );
    }
}

#[test]
fn a_cancel_request_is_for_the_connection_that_has_its_key() {
    for is_secure in [true, false] {
        let mut asking = relaying(is_secure);
        let mut world = relaying(is_secure);
        asking.machine = World::new(
            account(SslMode::Require),
            Conduct::new(Method::Trust),
            &certificate_once(),
        )
        .machine;
        let body = [&4711_u32.to_be_bytes()[..], b"KKKK"].concat();
        asking.say(&postgres::opening(80_877_102, &body));
        let Some(Next::Cancel(key)) = asking.end.take() else {
            panic!("no cancel")
        };
        let guessed = CancelKey {
            secret: b"JJJJ"[..].into(),
            ..key.clone()
        };
        assert!(world.machine.runs(4711) && world.machine.errand(&guessed).is_none());
        let (peer, errand) = world.machine.errand(&key).unwrap();
        assert_eq!(peer, PEER.parse().unwrap());
        assert!(world.machine.errand(&key).is_none(), "it is under way");
        assert_eq!(
            carried_out(world, errand),
            (4711, b"KKKK".to_vec(), is_secure)
        );
        let other = CancelKey { pid: 4712, ..key };
        let mut another = relaying(is_secure).machine;
        assert!(!another.runs(4712) && another.errand(&other).is_none());
    }
}

/// What the server hears of an errand, and whether over TLS.
fn carried_out(mut world: World, errand: Box<dyn Machine>) -> (u32, Vec<u8>, bool) {
    world.machine = errand;
    world.server = Some((world.make)());
    world.under_way.clear();
    world.packets.clear();
    world.call(&mut |machine, sides| machine.dialled(sides));
    world.arrive(3, usize::MAX);
    assert!(world.end.is_none() && world.packets.is_empty());
    let (pid, secret) = world.heard().cancel.clone().expect("a cancel request");
    world.call(&mut |machine, sides| machine.target_ended(sides));
    assert!(matches!(world.end, Some(Next::Close(_))));
    (pid, secret, world.server.unwrap().is_secure())
}

#[test]
fn mysql_goes_the_same_way() {
    for (mode, has_tls, is_cached) in [
        (SslMode::Disable, false, true),
        (SslMode::Prefer, false, true),
        (SslMode::Prefer, true, true),
        (SslMode::Require, true, false),
    ] {
        let certificate = certificate_once();
        let make = move || {
            let mut conduct = mysql::Conduct::new("caching_sha2_password");
            (conduct.has_tls, conduct.is_cached) = (has_tls, is_cached);
            let (server, greeting) = mysql::Server::accept(conduct);
            let mut secure = Secure::new(Speaker::Mysql(server), &certificate);
            secure.greeting = greeting;
            secure
        };
        let login = Login::mysql(account(mode));
        let mut world = World::with(login, Rc::default(), Box::new(make), "127.0.0.1");
        world.say(b"");
        world.arrive(7, usize::MAX);
        let flags = 1 << 3 | 1 << 9 | 1 << 15 | 1 << 19 | 1 << 24;
        world.say(&mysql::response(flags, 45, "sales", b""));
        world.arrive(7, usize::MAX);
        assert_eq!((world.machine.due(), world.end.is_none()), (None, true));
        world.say(b"\x02\0\0\0\x03x");
        assert_eq!(world.server.as_ref().unwrap().is_secure(), has_tls);
        world.say(b"\x01\0\0\0\x01");
        world.call(&mut |machine, sides| machine.target_ended(sides));
        assert!(matches!(world.end, Some(Next::Close(Farewell::Goodbye))));
        world.check();
    }
}

#[test]
fn a_server_that_says_a_byte_now_and_then_has_a_minute_in_all() {
    let conduct = Conduct::new(Method::Scram(2));
    let mut world = World::new(account(SslMode::Disable), conduct, &certificate_once());
    world.say(&client_startup());
    let start = world.now;
    world.under_way = [b"R\0\0\x0f\xf0", &[0; 60][..]].concat();
    while world.end.is_none() && world.now < start + 2 * limits::LOGIN_MAX {
        world.now += Duration::from_secs(6);
        world.call(&mut |_, _| Next::Go);
        world.read(1);
    }
    assert!(world.now <= start + limits::LOGIN_MAX + Duration::from_secs(6));
    assert!(
        world.because().contains("within 60 s"),
        "{}",
        world.because()
    );
}

#[test]
fn a_server_that_has_us_send_without_end_is_left() {
    let conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::No);
    let password = "x".repeat(limits::LOGIN_SENT_BYTES_MAX);
    let account = Account::new("app", Secret::new(password)).with_plain_password_allowed(true);
    let mut world = World::new(account, conduct, &certificate_once());
    world.say(&client_startup());
    world.under_way = b"R\0\0\0\x08\0\0\0\x03".to_vec();
    // It does not read.
    world.server = None;
    world.arrive(usize::MAX, usize::MAX);
    assert!(
        world.because().contains("has us send"),
        "{}",
        world.because()
    );
}
