//! What clients send and get, and what the gateway adds of its own: the verbs of every script.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use hoop_lite::agent::Outcome;
use hoop_lite::limits;

use crate::content::{Content, MARKER};
use crate::databases::{self, Dialect};
use crate::frames;
use crate::owed::Owed;
use crate::packets::{self, Got, Params, encode};
use crate::relays::user_of;
use crate::sent::{Part, Sent, Service};
use crate::shell::size_of;
use crate::target::Mood;
use crate::world::{Event, World};

/// One user's session, seen from the user.
pub struct User {
    pub service: Service,
    pub is_open: bool,
    pub is_started: bool,
    /// What is typed, or given as standard input.
    pub text: Content,
    pub typed: u64,
    pub connections: BTreeMap<u32, Connection>,
    pub next_connection: u32,
}

pub struct Connection {
    pub text: Content,
    pub sent: u64,
    pub mood: Mood,
    pub is_open: bool,
}

impl World {
    /// Sends a packet for a session.
    pub fn send(
        &mut self,
        kind: &str,
        sid: u32,
        spec: &[(&str, &[u8])],
        payload: &[u8],
        sent: Sent,
    ) {
        let id = format!("user-{sid}");
        let mut entries = vec![(packets::SESSION_ID, id.as_bytes())];
        entries.extend_from_slice(spec);
        if let Some(socket) = &mut self.link
            && socket.peer.stream.is_some()
        {
            socket.peer.send(&encode(kind, &entries, payload), sent);
            self.flush_gateway();
        }
    }

    /// A user connects.
    pub fn open(&mut self, sid: u32, service: Service, probe: Mood) {
        let (connection_type, verb) = match service {
            Service::Tcp => ("tcp", "connect"),
            Service::Command | Service::Stored => ("command-line", "exec"),
            Service::Database => ("postgres", "exec"),
            Service::Native(Dialect::Postgres) => ("postgres", "connect"),
            Service::Native(Dialect::Mysql) => ("mysql", "connect"),
            Service::Native(Dialect::Mssql) => ("mssql", "connect"),
            Service::Native(Dialect::Mongo | Dialect::MongoSet) => ("mongodb", "connect"),
            Service::Refused => ("ssh", "connect"),
        };
        let mut password = format!("{MARKER}-password");
        let mut user = format!("user {}@example.com", user_of(sid));
        let (mut host, mut mode) = ("target.example".to_owned(), "");
        let mut string = String::new();
        if let Service::Native(dialect) = service {
            self.model.databases.sessions.insert(sid, dialect);
            password = databases::password();
            // The tables of other users are foretold.
            "who has databases".clone_into(&mut user);
            host = match dialect {
                // The one dialect that sends no password without TLS to another host.
                Dialect::Mssql => Ipv4Addr::from(databases::LOOPBACK | sid).to_string(),
                _ => format!("database-{sid}.example"),
            };
            string = databases::mongo::string(&mut self.dice, dialect, &host);
            mode = self
                .dice
                .pick(&["disable", "disable", "disable", "prefer", "require"]);
        }
        let mut variables = vec![
            ("HOST", host),
            ("SSLMODE", mode.to_owned()),
            ("PORT", "7".to_owned()),
            ("USER", "somebody".to_owned()),
            ("CONNECTION_STRING", string),
        ];
        match service {
            Service::Stored => variables.extend(self.stores.plan(&mut self.dice, sid)),
            _ => variables.push(("PASS", password)),
        }
        let variables: Vec<_> = variables.iter().map(|it| (it.0, &it.1[..])).collect();
        let params = Params {
            connection_type,
            verb,
            user: &user,
            variables: &variables,
            command: &["program", "-x"],
        };
        let gob = params.gob();
        let spec = [
            ("gateway.connection_type", connection_type.as_bytes()),
            ("agent.connection_params", &gob[..]),
        ];
        let sent = Sent::Open(sid, service, probe);
        self.send("AgentSessionOpen", sid, &spec, b"", sent);
        let user = User {
            service,
            is_open: false,
            is_started: false,
            text: Content(self.dice.roll() % 1_000_000),
            typed: 0,
            connections: BTreeMap::new(),
            next_connection: 1,
        };
        self.users.sessions.insert(sid, user);
    }

    /// The user's session is ended by the gateway.
    pub fn close(&mut self, sid: u32) {
        self.users.sessions.remove(&sid);
        self.send("AgentSessionClose", sid, &[], b"", Sent::Close(sid));
    }

    /// Standard input of a command; starts it.
    pub fn exec(&mut self, sid: u32, len: usize, mood: Mood) {
        let Some(part) = self.part(sid, len) else {
            return;
        };
        let payload = part.text.bytes(part.from, len);
        let sent = Sent::Stdin(sid, part, mood);
        self.send("AgentExecWriteStdin", sid, &[], &payload, sent);
    }

    /// Types at a terminal; the first time starts it.
    pub fn type_in(&mut self, sid: u32, len: usize, mood: Mood) {
        let Some(part) = self.part(sid, len) else {
            return;
        };
        let payload = part.text.bytes(part.from, len);
        let sent = Sent::Typed(sid, part, false, mood);
        self.send("AgentTerminalWriteStdin", sid, &[], &payload, sent);
    }

    /// The line feed that only starts a terminal; typed later, it would be a byte like others.
    pub fn start_terminal(&mut self, sid: u32, mood: Mood) {
        let Some(part) = self.part(sid, 0) else {
            return;
        };
        let sent = Sent::Typed(sid, part, true, mood);
        self.send("AgentTerminalWriteStdin", sid, &[], b"\n", sent);
    }

    fn part(&mut self, sid: u32, len: usize) -> Option<Part> {
        let user = self.users.sessions.get_mut(&sid)?;
        let part = Part {
            text: user.text,
            from: user.typed,
            len,
        };
        user.typed += len as u64;
        user.is_started = true;
        Some(part)
    }

    pub fn resize(&mut self, sid: u32) {
        let size = size_of(self.dice.between(1, 999));
        let text = format!("{},{},0,0", size.rows, size.columns);
        let sent = Sent::Resize(sid, size);
        self.send("AgentTerminalResizeTTY", sid, &[], text.as_bytes(), sent);
    }

    /// A new connection of a TCP session, with its first bytes or none yet.
    pub fn connect(&mut self, sid: u32, len: Option<usize>, mood: Mood) -> u32 {
        let text = Content(self.dice.roll() % 1_000_000);
        let Some(user) = self.users.sessions.get_mut(&sid) else {
            return 0;
        };
        let number = user.next_connection;
        user.next_connection += 1;
        let connection = Connection {
            text,
            sent: 0,
            mood,
            is_open: true,
        };
        user.connections.insert(number, connection);
        match len {
            Some(len) => self.write(sid, number, len),
            None => self.send_write(sid, number, 0, true),
        }
        number
    }

    /// Bytes for a connection.
    pub fn write(&mut self, sid: u32, connection: u32, len: usize) {
        self.send_write(sid, connection, len, false);
    }

    fn send_write(&mut self, sid: u32, number: u32, len: usize, opens_only: bool) {
        let user = self.users.sessions.get_mut(&sid);
        let Some(connection) = user.and_then(|user| user.connections.get_mut(&number)) else {
            return;
        };
        let part = Part {
            text: connection.text,
            from: connection.sent,
            len,
        };
        connection.sent += len as u64;
        let sent = Sent::Write(sid, number, part, opens_only, connection.mood);
        let payload = part.text.bytes(part.from, len);
        let id = number.to_string();
        let mut spec = vec![(packets::CONNECTION_ID, id.as_bytes())];
        if opens_only {
            spec.push(("tcp.server_connect", b""));
        }
        self.send("AgentTCPConnectionWrite", sid, &spec, &payload, sent);
    }

    /// The client of a connection leaves.
    pub fn hang_up_client(&mut self, sid: u32, number: u32) {
        if let Some(user) = self.users.sessions.get_mut(&sid)
            && let Some(connection) = user.connections.get_mut(&number)
        {
            connection.is_open = false;
        }
        let id = number.to_string();
        let spec = [(packets::CONNECTION_ID, id.as_bytes())];
        let sent = Sent::CloseConnection(sid, number);
        self.send("AgentCloseTCPConnection", sid, &spec, b"", sent);
    }

    /// The gateway looks at a call.
    pub fn respond(&mut self, link: u32, stream: u32, is_connect: bool) {
        let is_refused = self.users.is_revoked;
        let is_odd = self.users.is_random && !self.is_hurried && self.dice.chance(50);
        let wants = self.is_hurried || self.dice.chance(500);
        let Some(socket) = &mut self.link else { return };
        if link != self.link_attempt {
            return;
        }
        let peer = &mut socket.peer;
        let is_unwanted = peer.stream.is_none();
        match (is_refused, is_odd, is_connect) {
            (true, _, false) if !is_unwanted => {
                peer.refuse(&mut self.dice, stream, 16, Sent::CheckRefused);
            }
            (true, ..) => peer.refuse(&mut self.dice, stream, 16, Sent::Refused),
            (false, true, true) => peer.refuse(&mut self.dice, stream, 9, Sent::Fatal),
            (false, true, false) => {
                let sent = if is_unwanted {
                    Sent::Fatal
                } else {
                    Sent::Nothing
                };
                peer.refuse(&mut self.dice, stream, 14, sent);
            }
            (false, false, true) => peer.accept(&mut self.dice, stream),
            (false, false, false) => peer.answer(&mut self.dice, stream, is_unwanted && wants),
        }
        self.flush_gateway();
    }

    /// A packet of the agent came out at the gateway.
    pub fn client_got(&mut self, link: u32, got: Got) {
        if matches!(&got.kind[..], "GatewayKeepAlive" | "ClientAgentLogs") {
            assert!(got.spec.is_empty());
            return;
        }
        let sid = got.text(packets::SESSION_ID);
        let sid = sid.strip_prefix("user-").and_then(|sid| sid.parse().ok());
        let sid: u32 = sid.expect("a session's id");
        self.search_for_secrets(&got);
        if self.model.databases.receive(link, sid, &got) {
            return;
        }
        match self.model.owing.receive(link, sid, &got) {
            Owed::Data {
                relay,
                channel,
                len,
            } => self.model.got_data(relay, channel, len, &got),
            Owed::OpenOk => {
                self.model.databases.session_told(link, sid, true);
                if let Some(user) = self.users.sessions.get_mut(&sid) {
                    user.is_open = true;
                }
            }
            Owed::ConnectionClose(number) => {
                if let Some(user) = self.users.sessions.get_mut(&sid)
                    && let Some(connection) = user.connections.get_mut(&number)
                {
                    connection.is_open = false;
                }
            }
            // The gateway confirms; it may be closing a new session of that name, as it does.
            Owed::Close(_) => {
                self.model.databases.session_told(link, sid, false);
                self.stores.told(link, sid, &got);
                if link == self.model.owing.link() {
                    self.close(sid);
                }
            }
            Owed::Refusal => {}
        }
    }

    /// Frames that say nothing, as far as the agent tolerates them.
    pub fn chatter(&mut self) {
        let stream = self.link.as_ref().and_then(|socket| socket.peer.stream);
        let bytes = match self.dice.between(0, 4) {
            0 => frames::frame(frames::PING, 0, 0, b"12345678"),
            1 => frames::settings(&[(frames::SETTING_MAX_STREAMS, 50), (0x99, 7)]),
            2 => frames::frame(0xfa, 0x55, 0, b"what is this"),
            3 => frames::frame(frames::DATA, 0, stream.unwrap_or(0), b""),
            _ => frames::frame(frames::PING, frames::ACK, 0, b"87654321"),
        };
        if let Some(socket) = &mut self.link
            && stream.is_some()
        {
            socket.peer.nuisance(&bytes);
        }
        self.flush_gateway();
    }

    /// The agent is done: its last words are heard, and nothing is promised any more.
    pub fn leave_for_good(&mut self, exit: Outcome) {
        self.exit = Some(exit);
        let is_confirmed = self
            .left_at
            .is_some_and(|at| self.now < at + limits::FAREWELL_MAX);
        let link = self.model.owing.link();
        while let Some(socket) = &mut self.link {
            let pending = self.agent.grant_and_encrypt(self.now);
            let size = pending.len().min(socket.to_gateway.room());
            if size == 0 {
                break;
            }
            socket
                .to_gateway
                .write(self.now, Duration::ZERO, &pending[..size]);
            self.agent.link_sent(self.now, size);
        }
        if let Some(socket) = self.link.take() {
            let is_heard =
                !socket.is_silent && !socket.is_stalled && !socket.to_gateway.has_ended();
            self.last_words(link, socket);
            assert!(
                !is_heard || !is_confirmed || !self.model.owing.owes_close(),
                "the agent left without closing its sessions"
            );
        }
    }

    /// Puts the next thing that somebody does on the agenda.
    pub fn next_user(&mut self) {
        let wait = match self.dice.weighted(&[900, 80, 15]) {
            0 => self.dice.time(Duration::from_millis(4)),
            1 => self.dice.time(Duration::from_millis(300)),
            _ => self.dice.time(Duration::from_secs(8)),
        };
        self.after(wait, Event::User);
    }
}
