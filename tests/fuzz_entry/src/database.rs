//! A session of a database as a whole: clients and servers say anything, in any order and in pieces of any size.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hoop_lite::limits;
use hoop_lite::packet::{Kind, Outbox, Packet, encode, spec};
use hoop_lite::session::{
    AgentEnvironment, AuthorityError, Channel, Output, Report, Sessions, Sources, TargetId,
    Unreached, Where,
};
use loopback_gateway::SessionRequest;

use crate::input::{Control, split};
use crate::login::service;

const SESSION: &str = "b5b8c8a6-0000-4000-8000-000000000001";
const PASSWORD: &str = "correct horse battery";
/// The same in a connection string.
const ESCAPED: &str = "correct%20horse%20battery";
const CLIENTS: [&str; 2] = ["1", "2"];

/// A conversation, said in whole pieces and then byte by byte; answers whether a client was let in.
pub fn database_session(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let how = control.byte();
    if has_password(wire) {
        return false;
    }
    let whole = World::new(how).run(Control(control.0), wire, usize::MAX);
    let single = World::new(how).run(Control(control.0), wire, 1);
    // A refusal may come before or behind what a server has said, and what follows an agreement to TLS is refused
    // where it comes in the same read.
    if how & MODE == 0 {
        for ((id, whole), (_, single)) in whole.iter().zip(&single) {
            assert!(!whole.is_in(how) || whole.got == single.got, "client {id}");
        }
    }
    whole.values().any(|client| client.is_in(how))
}

fn has_password(bytes: &[u8]) -> bool {
    let mut forms = [PASSWORD, ESCAPED].into_iter();
    forms.any(|form| {
        bytes
            .windows(form.len())
            .any(|part| part == form.as_bytes())
    })
}

/// Bits of the first byte of control.
const MYSQL: u8 = 1;
const MODE: u8 = 6;
const MSSQL: u8 = 8;
const MONGO: u8 = 16;
const DIALECTS: u8 = MYSQL | MSSQL | MONGO;
const MODES: [&str; 4] = ["disable", "prefer", "require", "verify-full"];
/// What MongoDB has in their place: hosts and options.
const STRINGS: [[&str; 3]; 4] = [
    ["mongodb", "127.0.0.1", ""],
    ["mongodb", "127.0.0.1,127.0.0.2", ""],
    ["mongodb", "127.0.0.1", "tls=true"],
    ["mongodb+srv", "c.db.example", "tls=false"],
];

/// Gives numbers that need not be told from others, and no authorities.
pub struct Nonces;

impl Sources for Nonces {
    fn random(&mut self, bytes: &mut [u8]) -> bool {
        bytes.fill(7);
        true
    }

    fn authorities(&mut self, _: Option<&str>) -> Result<Arc<[u8]>, AuthorityError> {
        Err(AuthorityError::NoBundle)
    }
}

#[derive(Default)]
struct Client {
    got: Vec<u8>,
    /// The agent knows of it.
    has_come: bool,
    has_left: bool,
    is_over: bool,
}

impl Client {
    /// What it got is a login to the end.
    fn is_in(&self, how: u8) -> bool {
        let mut rest = &self.got[..];
        while rest.len() > 4 {
            let (len, is_last) = match how & DIALECTS {
                MSSQL => {
                    let len = u16::from_be_bytes([rest[2], rest[3]]);
                    (usize::from(len), matches!(rest.get(8), Some(0xe3 | 0xad)))
                }
                MONGO => {
                    let word = rest[..4].try_into().expect("four bytes");
                    let len = u32::from_le_bytes(word) as usize;
                    let mut parts = rest[..len.min(rest.len())].windows(7);
                    (len.max(1), parts.any(|part| part == b"\x08done\0\x01"))
                }
                0 => {
                    let word = rest[1..5].try_into().expect("four bytes");
                    let len = 1 + u32::from_be_bytes(word) as usize;
                    // An answer to a request for encryption is an N alone.
                    let is_alone = rest[0] == b'N' && !(5..1 << 16).contains(&len);
                    (if is_alone { 1 } else { len }, rest[0] == b'Z')
                }
                _ => {
                    let len = u32::from_le_bytes([rest[0], rest[1], rest[2], 0]) as usize;
                    (4 + len, rest[4] == 0)
                }
            };
            match rest.get(len..) {
                Some(_) if is_last => return true,
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        false
    }
}

struct Target {
    id: TargetId,
    is_open: bool,
    /// It is a service's name that is looked up.
    is_look_up: bool,
}

struct World {
    now: Instant,
    sessions: Sessions,
    outbox: Outbox,
    kind: &'static str,
    targets: Vec<Target>,
    clients: BTreeMap<&'static str, Client>,
    received: usize,
    is_over: bool,
}

impl World {
    /// A session is open.
    fn new(how: u8) -> Self {
        let sessions = Sessions::new(Default::default(), AgentEnvironment::default());
        let clients = CLIENTS.map(|id| (id, Client::default()));
        let mut world = Self {
            now: Instant::now(),
            sessions: sessions.with_sources(Box::new(Nonces)),
            outbox: Outbox::new(),
            kind: match how & DIALECTS {
                0 => "postgres",
                MSSQL => "mssql",
                MONGO => "mongodb",
                _ => "mysql",
            },
            targets: Vec::new(),
            clients: BTreeMap::from(clients),
            received: 0,
            is_over: false,
        };
        world.sessions.note_room(world.now, true);
        let mode = usize::from(how & MODE) / 2;
        let [scheme, hosts, options] = STRINGS[mode];
        let string = format!("{scheme}://app:{ESCAPED}@{hosts}/?{options}");
        let request = SessionRequest::new(world.kind, "connect")
            .env("CONNECTION_STRING", &string)
            .env("HOST", "127.0.0.1")
            .env("USER", "app")
            .env("PASS", PASSWORD)
            .env("MYSQL_RSA", "true")
            .env("SSLMODE", MODES[mode]);
        let open = request.open_packet(SESSION);
        world.packet(Kind::AgentSessionOpen, &open.entries(), b"");
        if world.kind != "mysql" {
            world.started(0);
        }
        assert_eq!(world.sessions.len(), 1);
        world
    }

    fn run(
        mut self,
        mut control: Control<'_>,
        mut wire: &[u8],
        piece: usize,
    ) -> BTreeMap<&'static str, Client> {
        while let Some(decision) = control.next() {
            let place = usize::from(decision >> 4);
            match decision & 7 {
                0..=3 => {
                    let (part, rest) = wire.split_at(control.piece().min(wire.len()));
                    wire = rest;
                    for part in part.chunks(piece.min(part.len()).max(1)) {
                        match decision & 3 {
                            0 | 1 => self.client_says(CLIENTS[place % 2], part),
                            _ => self.server_says(place, part),
                        }
                    }
                }
                4 => self.happen(place, control.byte()),
                5 => self.pass(u64::from(control.byte()) * 100),
                6 => self.started(place),
                _ => self.client_leaves(CLIENTS[place % 2]),
            }
            self.check();
        }
        self.finish()
    }

    fn packet(&mut self, kind: Kind, entries: &[(&str, &[u8])], payload: &[u8]) {
        let mut message = Vec::new();
        encode(&mut message, kind, entries, payload);
        let packet = Packet::decode(&message).expect("a packet");
        self.received += payload.len();
        self.sessions
            .handle_packet(self.now, &packet, &mut self.outbox);
        self.settle();
    }

    fn client_says(&mut self, id: &'static str, payload: &[u8]) {
        let kind = match self.kind {
            "mysql" => Kind::AgentMySQLConnectionWrite,
            "mssql" => Kind::AgentMSSQLConnectionWrite,
            "mongodb" => Kind::AgentMongoDBConnectionWrite,
            _ => Kind::AgentPGConnectionWrite,
        };
        if let Some(client) = self.clients.get_mut(id) {
            client.has_come = true;
        }
        self.packet(kind, &entries(id), payload);
    }

    fn client_leaves(&mut self, id: &'static str) {
        self.packet(Kind::AgentCloseTCPConnection, &entries(id), b"");
        if let Some(client) = self.clients.get_mut(id) {
            // Who leaves unheard may come under that number later.
            client.has_left = client.has_come;
        }
    }

    fn target(&self, place: usize) -> Option<&Target> {
        self.targets.get(place % self.targets.len().max(1))
    }

    fn report(&mut self, id: TargetId, report: Report<'_>) {
        self.sessions
            .handle_report(self.now, id, report, &mut self.outbox);
        self.settle();
    }

    fn started(&mut self, place: usize) {
        let count = self.targets.len().max(1);
        let Some(target) = self.targets.get_mut(place % count) else {
            return;
        };
        if !std::mem::replace(&mut target.is_open, true) {
            let (id, peer) = (target.id, "127.0.0.1:5432".parse().ok());
            match target.is_look_up {
                true => self.report(id, Report::Told(&service())),
                false => self.report(id, Report::Started { peer }),
            }
        }
    }

    fn server_says(&mut self, place: usize, mut words: &[u8]) {
        while let Some(&Target {
            id, is_open: true, ..
        }) = self.target(place)
            && !words.is_empty()
            && self.sessions.wants_read(id, Channel::Output)
        {
            let outbox = &mut self.outbox;
            let slot = self
                .sessions
                .read_slot(id, Channel::Output, words.len(), outbox);
            let Some(slot) = slot else { return };
            let size = slot.len().min(words.len());
            slot[..size].copy_from_slice(&words[..size]);
            words = &words[size..];
            self.report(id, Report::Received { size });
        }
    }

    fn happen(&mut self, place: usize, what: u8) {
        let Some(&Target { id, is_open, .. }) = self.target(place) else {
            return;
        };
        let channel = Channel::Output;
        match (what & 3, is_open) {
            (0, true) if self.sessions.wants_read(id, channel) => {
                self.report(id, Report::Ended { channel });
            }
            (1, true) => self.report(id, Report::Broke),
            (_, true) => {
                let waits = self.sessions.pending_parts(id).map(<[u8]>::len).sum();
                let size = usize::from(what).min(waits);
                self.report(id, Report::Wrote { size });
            }
            (_, false) => self.report(id, Report::Failed(Unreached::because("refused"))),
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        while self
            .sessions
            .poll_timeout()
            .is_some_and(|at| at <= self.now)
        {
            self.sessions.handle_timeout(self.now, &mut self.outbox);
            self.settle();
        }
    }

    /// Carries out what is asked for; a login's own turns come at once.
    fn settle(&mut self) {
        while let Some(output) = self.sessions.poll_output() {
            match output {
                Output::Dial {
                    target: id, place, ..
                } => {
                    assert!(self.targets.iter().all(|known| known.id != id));
                    self.targets.push(Target {
                        id,
                        is_open: false,
                        is_look_up: matches!(place, Where::Service(_)),
                    });
                }
                Output::Close { target, .. } => {
                    let place = self.targets.iter().position(|known| known.id == target);
                    self.targets.remove(place.expect("closed once"));
                }
                Output::Examine { target } => {
                    let report = Report::InKernel { size: 0 };
                    self.sessions
                        .handle_report(self.now, target, report, &mut self.outbox);
                }
                Output::AskPeer { .. } | Output::HastenEnds => {}
                _ => panic!("a process for a database"),
            }
        }
        while let Some(id) = self.sessions.poll_dirty() {
            let _ = self.sessions.take_shutdown(id);
        }
        self.hear();
    }

    fn hear(&mut self) {
        while !self.outbox.is_empty() {
            let head = self.outbox.frame(b"123456789", 5)[9..].to_vec();
            let len = u32::from_be_bytes(head[1..].try_into().expect("a prefix"));
            let message = self.outbox.frame(b"123456789", len as usize)[9..].to_vec();
            self.hear_packet(&Packet::decode(&message).expect("a packet"));
        }
    }

    fn hear_packet(&mut self, packet: &Packet<'_>) {
        let kind = packet.kind.expect("a known kind");
        assert!(!self.is_over, "{kind:?} of a session that is over");
        match kind {
            Kind::ClientSessionOpenOK => return,
            Kind::ClientSessionClose => {
                self.is_over = true;
                return;
            }
            _ => {}
        }
        let id = packet.spec(spec::CONNECTION_ID).unwrap_or_default();
        let mut clients = self.clients.iter_mut();
        let client = clients.find(|(known, _)| known.as_bytes() == id);
        let (id, client) = client.expect("a known connection");
        assert!(!client.is_over && !client.has_left, "{kind:?} for {id}");
        if kind == Kind::ClientTCPConnectionClose {
            client.is_over = true;
            return;
        }
        assert!(!packet.payload.is_empty());
        let from = client.got.len().saturating_sub(ESCAPED.len());
        client.got.extend_from_slice(packet.payload);
        assert!(!has_password(&client.got[from..]));
    }

    /// What holds after every step.
    fn check(&self) {
        let waits = self.sessions.buffered_bytes();
        let words = WORDS_MAX * (self.targets.len() + CLIENTS.len());
        assert!(waits <= self.received + words, "{waits} bytes wait");
        assert_eq!(self.sessions.target_count(), self.targets.len());
        assert!(!self.is_over || self.sessions.is_empty());
    }

    /// The session ends, and nothing is left of it.
    fn finish(mut self) -> BTreeMap<&'static str, Client> {
        self.packet(
            Kind::AgentSessionClose,
            &[(spec::SESSION_ID, SESSION.as_bytes())],
            b"",
        );
        let rest = limits::TARGET_CONNECT_TIMEOUT + limits::LINGER_MAX * 2;
        // What lingers is looked at now and then.
        for _ in 0..rest.as_secs() {
            self.pass(1000);
        }
        assert!(self.sessions.is_empty());
        assert_eq!((self.sessions.target_count(), self.targets.len()), (0, 0));
        assert_eq!(self.sessions.buffered_bytes(), 0);
        self.clients
    }
}

fn entries(id: &'static str) -> [(&'static str, &'static [u8]); 2] {
    [
        (spec::SESSION_ID, SESSION.as_bytes()),
        (spec::CONNECTION_ID, id.as_bytes()),
    ]
}

/// What a login says of its own to one server, beside the client's startup message.
const WORDS_MAX: usize = 8 * 1024;
