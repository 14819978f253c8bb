//! Clients of databases, and what they are promised: no byte of the stored password, everything after the login
//! as it was said and in order, both ways, and one close at the end.
//!
//! Who logs in, who closes and why is the agent's business here: this model watches, where the one of relays
//! foretells. The servers are in `databases/server.rs`, what their descriptors do in `databases/turns.rs`, what
//! their users do in `databases/users.rs`; `databases/mongo.rs` has what only MongoDB's say.

pub mod mongo;
pub mod server;
pub mod turns;
pub mod users;

use std::collections::{BTreeMap, BTreeSet};

use loopback_gateway::mongo::Driver;

use crate::content::MARKER;
use crate::packets::{CONNECTION_ID, Got};

/// What a session's connections speak.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Dialect {
    Postgres,
    Mysql,
    Mssql,
    /// One server.
    Mongo,
    /// Two hosts, one of which may be the primary.
    MongoSet,
}

impl Dialect {
    /// Packets of its clients, and of the agent.
    pub fn kinds(self) -> [&'static str; 2] {
        match self {
            Self::Postgres => ["AgentPGConnectionWrite", "ClientPGConnectionWrite"],
            Self::Mysql => ["AgentMySQLConnectionWrite", "ClientMySQLConnectionWrite"],
            Self::Mssql => ["AgentMSSQLConnectionWrite", "ClientMSSQLConnectionWrite"],
            Self::Mongo | Self::MongoSet => [
                "AgentMongoDBConnectionWrite",
                "ClientMongoDBConnectionWrite",
            ],
        }
    }

    /// Nobody looks for the server first: MySQL's counts who does not log in, and of several hosts any will do.
    pub fn is_open_at_once(self) -> bool {
        matches!(self, Self::Mysql | Self::MongoSet)
    }
}

/// SQL Server's sessions have an address each, above this.
pub const LOOPBACK: u32 = 127 << 24;

/// A connection, by its session and its number, which no other has.
pub type Key = (u32, u32);

/// The password that is stored; no client may see it.
pub fn password() -> String {
    format!("{MARKER}-of-the-database")
}

/// One connection, seen from its client.
#[derive(Debug)]
pub struct Client {
    pub dialect: Dialect,
    pub link: u32,
    /// Where the messages of its opening end; known when it begins to say them.
    pub opening: Vec<usize>,
    /// What of the opening it has not sent yet.
    pub unsent: Vec<u8>,
    /// All that it has sent.
    pub sent: Vec<u8>,
    /// How much of that the agent has been given.
    pub applied: usize,
    pub got: Vec<u8>,
    /// Bytes of the login in `got` that were understood, and where the server's own words begin.
    read: usize,
    pub content: Option<usize>,
    /// Each of its requests for encryption is answered with one byte.
    pub answers_due: usize,
    /// Who speaks for it until it is in, where that takes a proof.
    pub driver: Option<Driver>,
    /// Messages of the login that it got.
    answers: usize,
    /// After the login, at the server.
    pub heard: Vec<u8>,
    pub said: Vec<u8>,
    /// The agent has read the last byte of its login at the server.
    pub is_admitted: bool,
    /// It asks for another one's query to be cancelled.
    pub is_cancel: bool,
    pub has_said_goodbye: bool,
    pub has_left: bool,
    /// It has heard that it is over.
    pub is_told: bool,
    /// The agent knows it, or did so once.
    pub is_attached: bool,
    pub was_attached: bool,
}

impl Client {
    pub fn new(dialect: Dialect, link: u32) -> Self {
        Self {
            dialect,
            link,
            opening: Vec::new(),
            unsent: Vec::new(),
            sent: Vec::new(),
            applied: 0,
            got: Vec::new(),
            read: 0,
            content: None,
            answers_due: 0,
            driver: None,
            answers: 0,
            heard: Vec::new(),
            said: Vec::new(),
            is_admitted: false,
            is_cancel: false,
            has_said_goodbye: false,
            has_left: false,
            is_told: false,
            is_attached: false,
            was_attached: false,
        }
    }

    pub fn is_there(&self) -> bool {
        !self.has_left && !self.is_told
    }

    /// It has been let in.
    pub fn is_in(&self) -> bool {
        self.content.is_some()
    }

    /// It has an answer to the first message of its opening.
    pub fn is_answered(&self) -> bool {
        self.read > 0
    }

    /// The agent has all of its opening.
    fn is_opened(&self) -> bool {
        let has_all = match (&self.driver, self.dialect) {
            (Some(driver), _) => driver.has_said_all(),
            (None, Dialect::Mssql) => self.opening.len() >= 2,
            (None, _) => true,
        };
        has_all && self.is_heard()
    }

    /// The agent has all that it has begun to say of its opening.
    fn is_heard(&self) -> bool {
        self.opening.last().is_some_and(|end| self.applied >= *end)
    }

    /// Its bytes are its server's from now on.
    pub fn has_passed(&self) -> bool {
        self.is_admitted && self.is_opened()
    }

    /// Each message of its opening has an answer.
    pub fn is_at_rest(&self) -> bool {
        self.answers == self.opening.len()
    }

    /// Somebody owes it an answer before it is in.
    fn waits_for_login(&self) -> bool {
        match self.driver {
            Some(_) => self.is_heard() && !self.is_at_rest(),
            None => self.is_opened(),
        }
    }

    /// What it has sent after its opening, as far as the agent has it.
    pub fn words(&self) -> &[u8] {
        let from = self.opening.last().copied().unwrap_or(self.applied);
        self.sent.get(from..self.applied).unwrap_or_default()
    }

    /// Bytes that wait in front of its server: all behind the last whole message of the opening.
    fn in_front(&self) -> usize {
        let ends = self.opening.iter().rev();
        let taken = ends.copied().find(|end| *end <= self.applied);
        match self.has_passed() || !self.is_attached {
            true => 0,
            false => self.applied - taken.unwrap_or(0),
        }
    }

    /// The server's own words as they came.
    fn got_words(&self) -> &[u8] {
        self.content.map_or(&[], |from| &self.got[from..])
    }

    /// Looks for the end of the login in what it got.
    fn understand(&mut self) {
        while self.content.is_none() {
            let rest = &self.got[self.read..];
            let len = match (self.dialect, rest) {
                (Dialect::Postgres, [first, ..]) if self.answers_due > 0 && *first != b'E' => {
                    assert_eq!(*first, b'N', "an answer to a request for encryption");
                    self.answers_due -= 1;
                    1
                }
                (Dialect::Postgres, [kind, word @ ..]) => {
                    let Some(word) = word.first_chunk::<4>() else {
                        return;
                    };
                    assert!(b"RSNKZEv".contains(kind), "a login has no {kind}");
                    1 + u32::from_be_bytes(*word) as usize
                }
                (Dialect::Mysql, [a, b, c, _, ..]) => {
                    4 + u32::from_le_bytes([*a, *b, *c, 0]) as usize
                }
                (Dialect::Mssql, [kind, _, high, low, _, _, _, _, ..]) => {
                    assert_eq!(*kind, 4, "a server's word");
                    usize::from(u16::from_be_bytes([*high, *low]))
                }
                (Dialect::Mongo | Dialect::MongoSet, [a, b, c, d, ..]) => {
                    u32::from_le_bytes([*a, *b, *c, *d]) as usize
                }
                _ => return,
            };
            let Some(message) = rest.get(..len) else {
                return;
            };
            let is_last = match self.dialect {
                Dialect::Postgres => len > 1 && message[0] == b'Z',
                Dialect::Mysql => message.get(4) == Some(&0),
                // What its reply begins with; a PRELOGIN and an error begin with something else.
                Dialect::Mssql => message.get(8) == Some(&0xe3),
                Dialect::Mongo | Dialect::MongoSet => {
                    let driver = self.driver.as_mut().expect("who speaks");
                    let words = driver.receive(message);
                    let is_in = driver.is_in();
                    if !words.is_empty() {
                        self.open(&words);
                    }
                    is_in
                }
            };
            self.answers += 1;
            self.read += len;
            self.content = is_last.then_some(self.read);
        }
    }
}

/// Every client of a database.
#[derive(Default)]
pub struct Databases {
    pub clients: BTreeMap<Key, Client>,
    /// What was opened as one, ever.
    pub sessions: BTreeMap<u32, Dialect>,
    /// Sessions whose clients have heard the end of it, by link.
    over: BTreeSet<(u32, u32)>,
    pub last_number: u32,
}

impl Databases {
    /// The agent has been given so many more bytes of a connection.
    pub fn applied(&mut self, key: Key, len: usize) {
        let client = self.clients.get_mut(&key).expect("somebody sent it");
        if !std::mem::replace(&mut client.was_attached, true) {
            client.is_attached = true;
        }
        if client.is_attached {
            client.applied += len;
        }
    }

    /// The agent has heard that its client has left.
    pub fn left(&mut self, key: Key) {
        if let Some(client) = self.clients.get_mut(&key) {
            client.is_attached = false;
        }
    }

    /// All of a session are over.
    pub fn session_over(&mut self, sid: u32) {
        for (_, client) in self.clients.range_mut((sid, 0)..=(sid, u32::MAX)) {
            client.is_attached = false;
        }
    }

    pub fn link_lost(&mut self) {
        for client in self.clients.values_mut() {
            client.is_attached = false;
            client.has_left = true;
        }
    }

    /// The client of a session hears that it is open, or over.
    pub fn session_told(&mut self, link: u32, sid: u32, is_open: bool) {
        match is_open {
            true => self.over.remove(&(link, sid)),
            false => self.over.insert((link, sid)),
        };
    }

    /// A packet came out at the gateway; `false` when it is not one of theirs.
    pub fn receive(&mut self, link: u32, sid: u32, got: &Got) -> bool {
        let is_close = got.kind == "ClientTCPConnectionClose";
        let mut known = self.sessions.get(&sid).map(|it| it.kinds()).into_iter();
        let is_words = known.any(|[_, agents]| agents == got.kind);
        if !is_words && !is_close {
            return false;
        }
        let number = got.text(CONNECTION_ID).parse().expect("a number");
        let Some(client) = self.clients.get_mut(&(sid, number)) else {
            assert!(is_close, "bytes for nobody");
            return false;
        };
        assert!(!self.over.contains(&(link, sid)), "a session that is over");
        assert!(!client.is_told, "sid {sid} connection {number} is over");
        assert_eq!(client.link, link, "bytes of another link");
        match is_close {
            true => client.is_told = true,
            false => {
                assert!(client.dialect.kinds()[1] == got.kind && !got.payload.is_empty());
                client.hear(&got.payload);
            }
        }
        true
    }

    /// Nothing is owed to anybody whose server is there; `session_is_open` says whose session is.
    pub fn check_delivered(&self, link: u32, session_is_open: &dyn Fn(u32) -> bool) {
        for (key, client) in &self.clients {
            let is_due = client.link == link && client.is_there() && session_is_open(key.0);
            if !is_due || client.is_cancel || client.has_said_goodbye {
                continue;
            }
            let waits = !client.is_in() && client.waits_for_login();
            assert!(!waits, "a login has no end: {key:?} {client:?}");
            let all = client.got_words().len() == client.said.len();
            assert!(all, "the client waits: {key:?}");
        }
    }
}

impl Client {
    fn hear(&mut self, payload: &[u8]) {
        let stored = password();
        let from = self.got.len().saturating_sub(stored.len());
        let before = self.got_words().len();
        self.got.extend_from_slice(payload);
        let mut places = self.got[from..].windows(stored.len());
        assert!(
            !places.any(|place| place == stored.as_bytes()),
            "the password"
        );
        self.understand();
        let words = &self.got_words()[before..];
        let said = self.said.get(before..before + words.len());
        let (len, known) = (words.len(), self.said.len());
        assert!(
            said == Some(words),
            "other words than the server's: {:?}, {len} bytes at {before} of {known}",
            self.dialect
        );
    }
}
