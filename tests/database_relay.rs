//! What a connection to a database costs once it is logged in, counted: heap while it is idle, allocations a
//! packet. The sessions run sans-IO against servers in memory; only what they do themselves is counted.

#![allow(clippy::unwrap_used)]

mod measuring;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hoop_lite::packet::{Kind, Outbox, Packet, encode, spec};
use hoop_lite::session::{AgentEnvironment, Channel, Output, Report, Sessions, TargetId};
use loopback_gateway::postgres::{Conduct, Method, RESULT, Server, TlsAnswer, startup};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::{SessionRequest, mssql};
use measuring::{count, counted};

const SESSION: &str = "b5b8c8a6-0000-4000-8000-000000000001";
const QUERY: &[u8] = b"Q\0\0\0\x0dselect 1\0";
const READ_BYTES: usize = 16 * 1024;
/// A key is derived in turns; what is due later than the next of them is no part of a login.
const A_TURN: Duration = Duration::from_millis(10);

struct World {
    now: Instant,
    sessions: Sessions,
    outbox: Outbox,
    certificate: Certificate,
    servers: BTreeMap<TargetId, Secure>,
    /// Bytes for the client, as packets, and how many packets.
    answered: usize,
    dialect: Dialect,
}

/// What is spoken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Postgres,
    Mssql,
}

impl World {
    fn new(dialect: Dialect, mode: &str) -> Self {
        let sessions = Sessions::new(Default::default(), AgentEnvironment::default());
        let mut world = Self {
            now: Instant::now(),
            sessions: sessions.with_sources(Box::new(fuzz_entry::Nonces)),
            outbox: Outbox::new(),
            certificate: Certificate::new(&["127.0.0.1"]),
            servers: BTreeMap::new(),
            answered: 0,
            dialect,
        };
        let kind = match dialect {
            Dialect::Postgres => "postgres",
            Dialect::Mssql => "mssql",
        };
        let request = SessionRequest::new(kind, "connect")
            .env("HOST", "127.0.0.1")
            .env("USER", "app")
            .env("PASS", "s3cret")
            .env("INSECURE", "true");
        let request = match dialect {
            Dialect::Postgres => request.env("SSLMODE", mode),
            Dialect::Mssql => request.env("ENCRYPT", mode),
        };
        let open = request.open_packet(SESSION);
        world.packet(Kind::AgentSessionOpen, &open.entries(), b"");
        world.settle();
        assert_eq!(world.sessions.len(), 1);
        world
    }

    fn packet(&mut self, kind: Kind, entries: &[(&str, &[u8])], payload: &[u8]) {
        let mut message = Vec::new();
        encode(&mut message, kind, entries, payload);
        let packet = Packet::decode(&message).unwrap();
        let Self {
            sessions,
            outbox,
            now,
            ..
        } = self;
        counted(|| sessions.handle_packet(*now, &packet, outbox));
    }

    fn say(&mut self, id: &str, payload: &[u8]) {
        let entries = [
            (spec::SESSION_ID, SESSION.as_bytes()),
            (spec::CONNECTION_ID, id.as_bytes()),
        ];
        let kind = match self.dialect {
            Dialect::Postgres => Kind::AgentPGConnectionWrite,
            Dialect::Mssql => Kind::AgentMSSQLConnectionWrite,
        };
        self.packet(kind, &entries, payload);
        self.settle();
    }

    /// Everything that is asked for is done, until nothing is.
    fn settle(&mut self) {
        loop {
            while let Some(output) = counted(|| self.sessions.poll_output()) {
                match output {
                    Output::Dial { target, .. } => {
                        let speaker = self.dialect.speaker();
                        let server = Secure::new(speaker, &self.certificate);
                        self.servers.insert(target, server);
                        let peer = "127.0.0.1:5432".parse().ok();
                        self.report(target, Report::Started { peer });
                    }
                    Output::Close { target, .. } => {
                        self.servers.remove(&target);
                    }
                    _ => {}
                }
            }
            let dirty = counted(|| self.sessions.poll_dirty());
            let size = self.outbox.len();
            if size > 0 {
                self.answered += size;
                self.outbox.frame(b"123456789", size);
            }
            let Some(target) = dirty else { break };
            let sent: Vec<u8> = self
                .sessions
                .pending_parts(target)
                .flatten()
                .copied()
                .collect();
            if sent.is_empty() {
                continue;
            }
            self.report(target, Report::Wrote { size: sent.len() });
            let said = self.servers.get_mut(&target).unwrap().receive(&sent);
            self.arrive(target, &said);
        }
        let soon = self.now + A_TURN;
        if let Some(at) = self.sessions.poll_timeout().filter(|at| *at <= soon) {
            self.now = self.now.max(at);
            counted(|| self.sessions.handle_timeout(self.now, &mut self.outbox));
            self.settle();
        }
    }

    fn arrive(&mut self, target: TargetId, mut said: &[u8]) {
        while !said.is_empty() {
            let slot = counted(|| {
                let outbox = &mut self.outbox;
                self.sessions
                    .read_slot(target, Channel::Output, READ_BYTES, outbox)
            });
            let slot = slot.expect("somebody listens");
            let size = slot.len().min(said.len());
            slot[..size].copy_from_slice(&said[..size]);
            said = &said[size..];
            self.report(target, Report::Received { size });
        }
    }

    fn report(&mut self, target: TargetId, report: Report<'_>) {
        let (sessions, outbox) = (&mut self.sessions, &mut self.outbox);
        counted(|| sessions.handle_report(self.now, target, report, outbox));
    }

    fn log_in(&mut self, id: &str) {
        let before = self.answered;
        match self.dialect {
            Dialect::Postgres => {
                let names = [("user", "noop"), ("database", "x")];
                self.say(id, &startup(3 << 16, &names));
            }
            Dialect::Mssql => {
                self.say(id, &mssql::prelogin());
                self.say(id, &mssql::Login7::default().encoded(4088));
            }
        }
        assert!(self.answered - before > 100, "no login");
    }

    /// Nothing happens for so long that memory is given back.
    fn rest(&mut self) {
        for _ in 0..5 {
            self.now += Duration::from_secs(1);
            let now = self.now;
            counted(|| self.sessions.handle_timeout(now, &mut self.outbox));
            self.settle();
        }
        counted(|| self.sessions.release_idle());
    }
}

impl Dialect {
    fn speaker(self) -> Speaker {
        match self {
            Self::Postgres => {
                let conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
                Speaker::Postgres(Server::new(conduct))
            }
            Self::Mssql => {
                let conduct = mssql::Conduct::new(mssql::encryption::OFF);
                Speaker::Mssql(mssql::Server::new(conduct))
            }
        }
    }

    fn query(self) -> Vec<u8> {
        match self {
            Self::Postgres => QUERY.to_vec(),
            Self::Mssql => mssql::batch("select 1"),
        }
    }
}

/// Heap of one idle connection.
fn idle(dialect: Dialect, mode: &str) -> usize {
    let mut world = World::new(dialect, mode);
    let mut held = Vec::new();
    for number in 0..60 {
        let id = number.to_string();
        world.log_in(&id);
        world.say(&id, &dialect.query());
        if number % 40 == 19 {
            world.rest();
            held.push(measuring::held());
        }
    }
    (held[1] - held[0]) / 40
}

#[test]
fn an_idle_connection_holds_little() {
    for (dialect, modes) in [
        (Dialect::Postgres, ["disable", "require"]),
        // Where TLS was for the login alone, it is gone.
        (Dialect::Mssql, ["optional", "mandatory"]),
    ] {
        let [plain, secure] = modes.map(|mode| idle(dialect, mode));
        println!("idle: {plain} bytes, {secure} with TLS");
        assert!(plain <= 1536, "{plain} bytes");
        assert!(secure <= 5 * 1024, "{secure} bytes");
    }
}

#[test]
fn a_packet_allocates_nothing_but_rustls_vector() {
    for (dialect, mode, most) in [
        (Dialect::Postgres, "disable", 0),
        (Dialect::Postgres, "require", 2),
        (Dialect::Mssql, "optional", 0),
        (Dialect::Mssql, "mandatory", 2),
    ] {
        let mut world = World::new(dialect, mode);
        world.log_in("1");
        let query = dialect.query();
        for _ in 0..20 {
            world.say("1", &query);
        }
        let (before, answered) = (count(), world.answered);
        for _ in 0..1000 {
            world.say("1", &query);
        }
        let result = match dialect {
            Dialect::Postgres => RESULT,
            Dialect::Mssql => mssql::RESULT,
        };
        assert!(world.answered - answered >= 1000 * result.len());
        let each = (count() - before) as f64 / 1000.0;
        assert!(each <= f64::from(most) + 0.1, "{mode}: {each} allocations");
    }
}
