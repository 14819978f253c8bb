//! What clients of databases do: they send early, in pieces, cancel, say goodbye, or just leave.

use loopback_gateway::{mssql, mysql, postgres};

use super::{Client, Dialect, Key, mongo};
use crate::content::Content;
use crate::packets;
use crate::sent::{Sent, Service};
use crate::world::World;

/// Connections of one session; the agent remembers some more closed ones.
const CONNECTIONS_MAX: usize = 50;

/// What one client sends at most.
const SENT_MAX: usize = 1 << 20;

/// Requests for encryption, of both sorts.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];
const CANCEL: u32 = 80_877_102;

impl World {
    /// One client of a session does something.
    pub fn database_user_acts(&mut self, sid: u32) {
        let mine = || {
            self.model
                .databases
                .clients
                .range((sid, 0)..=(sid, u32::MAX))
        };
        let there: Vec<Key> = mine()
            .filter(|(_, client)| client.is_there())
            .map(|(key, _)| *key)
            .collect();
        let count = mine().count();
        if there.is_empty() || self.dice.chance(150) {
            if count < CONNECTIONS_MAX {
                self.connect_to_database(sid);
            }
            return;
        }
        let key = self.dice.pick(&there);
        if self.dice.chance(80) {
            let client = self
                .model
                .databases
                .clients
                .get_mut(&key)
                .expect("a client");
            client.has_left = true;
            return self.hang_up_client(key.0, key.1);
        }
        self.client_goes_on(key);
    }

    fn connect_to_database(&mut self, sid: u32) {
        let databases = &mut self.model.databases;
        databases.last_number += 1;
        let key = (sid, 1_000 + databases.last_number);
        let link = self.model.owing.link();
        let dialect = databases.sessions[&sid];
        let mut clients = databases.clients.range((sid, 0)..=(sid, u32::MAX));
        let is_anybody_in = clients.any(|(_, client)| client.is_in());
        let mut client = Client::new(dialect, link);
        if dialect == Dialect::Postgres {
            while self.dice.chance(300) && client.answers_due < 3 {
                let code = self.dice.pick(&ENCRYPTION);
                client.open(&postgres::opening(code, b""));
                client.answers_due += 1;
            }
            if is_anybody_in && self.dice.chance(150) {
                client.is_cancel = true;
                client.open(&postgres::opening(CANCEL, b"\0\0\x12\x67KKKK"));
            } else {
                let name = format!("of{}", key.1);
                let version = self.dice.pick(&[3 << 16, 3 << 16, 3 << 16 | 2]);
                let names = [("user", "noop"), ("database", &name), ("TimeZone", "UTC")];
                client.open(&postgres::startup(version, &names));
            }
        }
        if dialect == Dialect::Mssql {
            client.open(&mssql::prelogin());
        }
        if matches!(dialect, Dialect::Mongo | Dialect::MongoSet) {
            let mut driver = mongo::driver(&mut self.dice, key);
            client.open(&driver.open());
            client.driver = Some(driver);
        }
        self.model.databases.clients.insert(key, client);
        match dialect == Dialect::Mysql || self.dice.chance(200) {
            true => self.send_to_database(key, &[]),
            false => self.client_goes_on(key),
        }
    }

    fn client_goes_on(&mut self, key: Key) {
        let client = self
            .model
            .databases
            .clients
            .get_mut(&key)
            .expect("a client");
        if client.dialect == Dialect::Mysql && client.opening.is_empty() {
            // Its server speaks first.
            if !client.got.is_empty() {
                let flags = 1 << 3 | 1 << 9 | 1 << 15 | 1 << 19 | 1 << 24;
                let response = mysql::response(flags, 45, &format!("of{}", key.1), b"");
                client.open(&response);
            }
            return;
        }
        let is_first = client.dialect == Dialect::Mssql && client.opening.len() == 1;
        if is_first && client.unsent.is_empty() {
            // It takes its turn, too.
            if client.is_answered() {
                let login = mssql::Login7 {
                    database: format!("of{}", key.1),
                    ..mssql::Login7::default()
                };
                let payload = self.dice.pick(&[4088, 4088, 100]);
                client.open(&login.encoded(payload));
            }
            return;
        }
        let takes_turns = is_first || client.driver.as_ref().is_some_and(|it| !it.has_said_all());
        if takes_turns && client.unsent.is_empty() {
            return client.ask_again();
        }
        if !client.unsent.is_empty() {
            let whole = client.unsent.len();
            let size = match self.dice.chance(700) {
                true => whole,
                false => self.dice.between(1, whole),
            };
            let mut bytes: Vec<u8> = client.unsent.drain(..size).collect();
            // Some do not wait for an answer.
            if size == whole && !client.is_cancel && !takes_turns && self.dice.chance(150) {
                bytes.extend(self.words(key));
            }
            return self.send_to_database(key, &bytes);
        }
        let is_patient = !client.is_in() && !self.dice.chance(50);
        let client = &self.model.databases.clients[&key];
        let has_more = !client.has_said_goodbye && client.sent.len() < SENT_MAX;
        if is_patient || !has_more || client.is_cancel {
            return;
        }
        let bytes = self.words(key);
        self.send_to_database(key, &bytes);
    }

    /// A query, several in a row, or the goodbye.
    fn words(&mut self, key: Key) -> Vec<u8> {
        let client = self
            .model
            .databases
            .clients
            .get_mut(&key)
            .expect("a client");
        let mut bytes = Vec::new();
        let goodbye: &[u8] = match client.dialect {
            Dialect::Postgres => b"X\0\0\0\x04",
            Dialect::Mysql => b"\x01\0\0\0\x01",
            Dialect::Mssql | Dialect::Mongo | Dialect::MongoSet => b"",
        };
        if self.dice.chance(30) && client.is_in() && !goodbye.is_empty() {
            client.has_said_goodbye = true;
            return goodbye.to_vec();
        }
        for _ in 0..self.dice.pick(&[1, 1, 1, 5]) {
            let most = self.dice.pick(&[500, 5_000, 60_000, 100_000]);
            let text = Content(u64::from(key.1));
            let from = (client.sent.len() + bytes.len()) as u64;
            let text = text.bytes(from, self.dice.size(most));
            match (client.dialect, self.dice.chance(950)) {
                (Dialect::Postgres, true) => postgres::put(&mut bytes, b'Q', &[&text]),
                (Dialect::Mysql, true) => {
                    let len = u32::try_from(text.len() + 1).unwrap().to_le_bytes();
                    bytes.extend([len[0], len[1], len[2], 0, 3]);
                    bytes.extend(text);
                }
                (Dialect::Mssql, true) => bytes.extend(mssql::framed(1, &text, 4088)),
                (Dialect::Mongo | Dialect::MongoSet, true) => bytes.extend(mongo::message(&text)),
                (_, false) => bytes.extend(text),
            }
        }
        bytes
    }

    fn send_to_database(&mut self, (sid, number): Key, bytes: &[u8]) {
        let client = self.model.databases.clients.get_mut(&(sid, number));
        let client = client.expect("a client");
        client.sent.extend_from_slice(bytes);
        let [kind, _] = client.dialect.kinds();
        let id = number.to_string();
        let spec = [(packets::CONNECTION_ID, id.as_bytes())];
        let sent = Sent::Native(sid, number, bytes.len());
        self.send(kind, sid, &spec, bytes, sent);
    }

    /// What a session of a database is opened as.
    pub fn database_service(&mut self) -> Service {
        Service::Native(self.dice.pick(&[
            Dialect::Postgres,
            Dialect::Mysql,
            Dialect::Mssql,
            Dialect::Mongo,
            Dialect::MongoSet,
        ]))
    }
}

impl Client {
    /// What a pool's connection says next follows from the answer; a monitor says the same for ever.
    fn ask_again(&mut self) {
        let is_due = self.is_at_rest();
        let driver = self.driver.as_mut();
        if let Some(monitor) = driver.filter(|it| it.is_monitor && is_due) {
            let hello = monitor.heartbeat();
            self.open(&hello);
        }
    }

    pub fn open(&mut self, message: &[u8]) {
        self.unsent.extend_from_slice(message);
        self.opening.push(self.sent.len() + self.unsent.len());
    }
}
