//! A database server behind a socket, in a mood: the machines of the loopback gateway, which are polite, and what
//! else servers do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use loopback_gateway::{mongo, mssql, mysql, postgres};

use super::mongo as mongodb;
use super::{Client, Dialect, Key, password};
use crate::content::Content;
use crate::dice::Dice;
use crate::net::{End, Pipe};

/// How a server behaves; places are bytes that it has said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Polite,
    /// Hears little at a time, with pauses.
    Slow,
    /// Hears nothing after its login.
    Mute,
    /// Ends there.
    Dies(usize, End),
    /// From there on it says what nobody understands, at length.
    Rude(usize),
    /// Says nothing more.
    Silent(usize),
    /// Takes no connection.
    Refuses,
    /// Never answers an attempt to connect.
    Hangs,
}

impl Mood {
    pub fn any(dice: &mut Dice) -> Self {
        // A login is a few hundred bytes long.
        let most = dice.pick(&[100, 400, 400, 5_000]);
        let at = dice.between(0, most);
        match dice.weighted(&[50, 12, 5, 15, 10, 6, 3, 2]) {
            0 => Self::Polite,
            1 => Self::Slow,
            2 => Self::Mute,
            3 => Self::Dies(at, dice.pick(&[End::Fin, End::Fin, End::Reset])),
            4 => Self::Rude(at),
            5 => Self::Silent(at),
            6 => Self::Refuses,
            _ => Self::Hangs,
        }
    }
}

enum Speaker {
    Postgres(postgres::Server),
    Mysql(mysql::Server),
    Mssql(mssql::Server),
    Mongo(mongo::Server),
}

pub struct Server {
    pub sid: u32,
    pub mood: Mood,
    pub peer: SocketAddr,
    pub since: Instant,
    /// It is the address check of its session.
    pub is_probe: bool,
    pub is_errand: bool,
    pub is_open: bool,
    /// What it hears, and what it says.
    pub input: Pipe,
    pub output: Pipe,
    /// Said, but not yet with the kernel.
    pub waiting: Vec<u8>,
    said: usize,
    login: Option<usize>,
    /// How much of it the agent has read.
    pub given: usize,
    pub client: Option<Key>,
    /// It says nothing more, and how its connection ends.
    is_deaf: bool,
    pub end: Option<End>,
    pub is_over: bool,
    pub is_shut: bool,
    pub is_scheduled: bool,
    pub hears_at: Instant,
    pub has_told_end: bool,
    /// The link is gone: it must be closed by the end of the step.
    pub must_close: bool,
    /// Its own proof is false, which nobody goes on with.
    is_false: bool,
    speaker: Speaker,
    text: Content,
}

/// What a socket holds.
const SOCKET_BYTES: usize = 64 * 1024;

impl Server {
    pub fn new(
        dice: &mut Dice,
        now: Instant,
        sid: u32,
        dialect: Dialect,
        mood: Mood,
        peer: SocketAddr,
    ) -> Self {
        let mut waiting = Vec::new();
        let is_false = dice.chance(30);
        let speaker = match dialect {
            Dialect::Postgres => Speaker::Postgres(postgres_server(dice, is_false)),
            Dialect::Mysql => {
                let (server, greeting) = mysql_server(dice);
                waiting = greeting;
                Speaker::Mysql(server)
            }
            Dialect::Mssql => Speaker::Mssql(mssql_server(dice)),
            Dialect::Mongo | Dialect::MongoSet => {
                Speaker::Mongo(mongodb::server(dice, dialect == Dialect::MongoSet, sid))
            }
        };
        let mut server = Self {
            sid,
            mood,
            peer,
            since: now,
            is_probe: false,
            is_errand: false,
            is_open: false,
            input: Pipe::new(now, SOCKET_BYTES),
            output: Pipe::new(now, SOCKET_BYTES),
            waiting: Vec::new(),
            said: 0,
            login: None,
            given: 0,
            client: None,
            is_deaf: false,
            end: None,
            is_over: false,
            is_shut: false,
            is_scheduled: false,
            hears_at: now,
            has_told_end: false,
            must_close: false,
            is_false: is_false && dialect == Dialect::Postgres,
            speaker,
            text: Content(dice.roll() % 1_000_000),
        };
        server.say(dice, &waiting);
        server.note_end();
        server
    }

    /// The agent has read all that it said before it let its client in.
    pub fn has_passed(&self) -> bool {
        self.login.is_some_and(|login| self.given >= login)
    }

    /// It hears everything and has not ended.
    pub fn is_well(&self) -> bool {
        !self.is_over && self.end.is_none() && self.mood != Mood::Mute
    }

    /// Bytes that it takes at once.
    pub fn appetite(&self) -> usize {
        match self.mood {
            Mood::Mute if self.login.is_some() => 0,
            Mood::Slow => 700,
            _ => SOCKET_BYTES,
        }
    }

    pub fn pause(&self, dice: &mut Dice) -> Duration {
        match self.mood {
            Mood::Slow => dice.time(Duration::from_millis(1500)),
            _ => Duration::ZERO,
        }
    }

    /// Hears something of the login; what it says lies in `waiting`.
    pub fn hear_login(&mut self, dice: &mut Dice, bytes: &[u8]) {
        if self.is_deaf {
            return;
        }
        let out = match &mut self.speaker {
            Speaker::Postgres(server) => server.receive(bytes),
            Speaker::Mysql(server) => server.receive(bytes),
            Speaker::Mssql(server) => server.receive(bytes),
            Speaker::Mongo(server) => server.receive(bytes),
        };
        let is_in = match self.speaker {
            Speaker::Postgres(_) => out.ends_with(b"Z\0\0\0\x05I"),
            Speaker::Mysql(_) => out.ends_with(b"\0\0\0\x02\0\0\0"),
            // A reply that is cut short lets nobody in.
            Speaker::Mssql(ref server) => out.get(8) == Some(&0xe3) && !server.is_over(),
            Speaker::Mongo(ref server) => server.heard.mechanism.is_some(),
        };
        self.look();
        let begins = match self.speaker {
            Speaker::Postgres(_) => false,
            Speaker::Mysql(_) | Speaker::Mongo(_) => is_in,
            Speaker::Mssql(_) => out.get(8) == Some(&0xe3),
        };
        if let (true, Mood::Rude(at)) = (begins, &mut self.mood)
            && (self.said..self.said + out.len()).contains(at)
        {
            // Who is let in by a reply's beginning is let in by whatever makes it whole.
            *at = self.said;
        }
        self.say(dice, &out);
        if is_in && !self.is_deaf && !self.is_false {
            self.login = Some(self.said);
        }
        self.note_end();
    }

    fn note_end(&mut self) {
        let is_over = match &self.speaker {
            Speaker::Postgres(server) => server.is_over(),
            Speaker::Mysql(server) => server.is_over(),
            Speaker::Mssql(server) => server.is_over(),
            Speaker::Mongo(server) => server.is_over(),
        };
        if is_over && !self.is_deaf {
            self.end = Some(End::Fin);
            self.is_deaf = true;
        }
    }

    /// Whom it talks with.
    fn look(&mut self) {
        let name = match &self.speaker {
            Speaker::Postgres(server) => {
                if let Some((pid, secret)) = &server.heard.cancel {
                    assert!(self.is_errand && *pid == 4711 && secret == b"KKKK");
                }
                let startup = server.heard.startup.as_ref();
                let mut names = startup.iter().flat_map(|(_, names)| names);
                let database = names.find(|(name, _)| name == "database");
                database.map(|(_, value)| value.clone())
            }
            Speaker::Mysql(server) => server.heard.database.clone(),
            Speaker::Mssql(server) => server.heard.texts.get(7).cloned(),
            Speaker::Mongo(server) => mongodb::name(server),
        };
        if let Some(name) = name {
            assert!(!self.is_errand, "an errand logs in");
            let number = name.strip_prefix("of").expect("a client's database");
            self.client = Some((self.sid, number.parse().expect("a number")));
        }
    }

    /// It lets its client in.
    pub fn is_in(&self) -> bool {
        self.login.is_some()
    }

    /// What it says to what it has heard after the login.
    pub fn answer(&mut self, dice: &mut Dice, client: &mut Client, bytes: &[u8]) {
        client.heard.extend_from_slice(bytes);
        let goodbye: &[u8] = match self.speaker {
            Speaker::Postgres(_) => b"X\0\0\0\x04",
            Speaker::Mysql(_) => b"\x01\0\0\0\x01",
            // Its clients have no word for it.
            Speaker::Mssql(_) | Speaker::Mongo(_) => b"no goodbye",
        };
        if client.has_said_goodbye && client.heard.ends_with(goodbye) {
            self.end.get_or_insert(End::Fin);
            self.is_deaf = true;
        }
        if self.is_deaf {
            return;
        }
        let size = dice.size(30_000);
        let text = self.text.bytes(client.said.len() as u64, size);
        let len = u32::try_from(size).unwrap();
        let mut out = Vec::new();
        match (&self.speaker, dice.chance(900)) {
            (Speaker::Postgres(_), true) => {
                postgres::put(&mut out, b'D', &[&text]);
                postgres::put(&mut out, b'Z', &[b"I"]);
            }
            (Speaker::Mysql(_), true) => {
                out.extend_from_slice(&len.to_le_bytes()[..3]);
                out.push(1);
                out.extend(text);
            }
            (Speaker::Mssql(_), true) => out = mssql::framed(4, &text, 4088),
            (Speaker::Mongo(_), true) => out = mongodb::message(&text),
            (_, false) => out = text,
        }
        let before = self.waiting.len();
        self.say(dice, &out);
        client.said.extend_from_slice(&self.waiting[before..]);
    }

    fn say(&mut self, dice: &mut Dice, out: &[u8]) {
        let at = match self.mood {
            Mood::Dies(at, _) | Mood::Rude(at) | Mood::Silent(at) => at,
            _ => usize::MAX,
        };
        let size = out.len().min(at - self.said.min(at));
        self.waiting.extend_from_slice(&out[..size]);
        self.said += size;
        if size == out.len() {
            return;
        }
        self.is_deaf = true;
        match self.mood {
            Mood::Dies(_, end) => self.end = Some(end),
            Mood::Rude(_) => {
                let garbage = Content(dice.roll()).bytes(0, dice.size(200_000));
                // What a server says of itself may be logged; the marker must not be in it.
                let flip = dice.pick(&[0x20, 0x20, 0x41, 0xff]);
                self.waiting.extend(garbage.iter().map(|byte| byte ^ flip));
            }
            _ => {}
        }
    }
}

fn postgres_server(dice: &mut Dice, is_false: bool) -> postgres::Server {
    let method = match is_false {
        true => postgres::Method::Scram(1),
        false => postgres_method(dice),
    };
    let mut conduct = postgres::Conduct::new(method);
    conduct.password = password();
    conduct.is_older = dice.chance(100);
    conduct.notice = "K".repeat(dice.pick(&[1, 13, 13, 40_000]));
    if dice.chance(50) {
        conduct.rejections = [Some(("53300", "sorry, too many clients already")); 2];
    }
    conduct.is_exhausted = dice.chance(20);
    conduct.false_proof = is_false.then_some(true);
    conduct.tls = dice.pick(&[
        postgres::TlsAnswer::No,
        postgres::TlsAnswer::No,
        postgres::TlsAnswer::No,
        postgres::TlsAnswer::Error,
        postgres::TlsAnswer::Text,
        postgres::TlsAnswer::Nothing,
        postgres::TlsAnswer::Nonsense,
    ]);
    postgres::Server::new(conduct)
}

fn postgres_method(dice: &mut Dice) -> postgres::Method {
    match dice.weighted(&[3, 3, 5, 1]) {
        0 => postgres::Method::Trust,
        1 => postgres::Method::Cleartext,
        2 => postgres::Method::Scram(dice.pick(&[1, 2, 300])),
        _ => postgres::Method::OtherSasl,
    }
}

fn mssql_server(dice: &mut Dice) -> mssql::Server {
    let mut conduct = mssql::Conduct::new(mssql::encryption::NONE);
    conduct.password = match dice.chance(50) {
        true => "another".to_owned(),
        false => password(),
    };
    conduct.dies_at = dice.pick(&[
        None,
        None,
        None,
        None,
        None,
        None,
        Some(0),
        Some(1),
        Some(2),
    ]);
    mssql::Server::new(conduct)
}

fn mysql_server(dice: &mut Dice) -> (mysql::Server, Vec<u8>) {
    let plugins = [
        "mysql_native_password",
        "caching_sha2_password",
        "mysql_clear_password",
    ];
    let mut conduct = mysql::Conduct::new(dice.pick(&plugins[..2]));
    if dice.chance(200) {
        conduct.plugin = dice.pick(&plugins);
    }
    conduct.is_crowded = dice.chance(50);
    conduct.is_cached = dice.chance(900);
    conduct.password = password();
    mysql::Server::accept(conduct)
}
