//! What the descriptors of databases do: one event is a turn of one of them, in which the server hears and
//! speaks, and the agent reads and writes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hoop_lite::limits;
use hoop_lite::session::{Channel, EXIT_INTERNAL, Report, TargetId, Unreached, Where};

use super::server::{Mood, Server};
use super::{Dialect, Key, LOOPBACK};
use crate::model::State;
use crate::net::{End, Outcome};
use crate::world::{Event, World};

/// Between two looks of a descriptor at which nothing moves.
const LOOK: Duration = Duration::from_millis(50);

/// The longest that is written to a server before its connection stands.
const FIRST_WORDS_MAX: usize = 1024;

impl World {
    /// The agent dials; `true` when that is a database of this module.
    pub fn dial_database(&mut self, id: TargetId, place: &Where) -> bool {
        let known = match place {
            Where::Name { host, .. } => {
                let sid = host.strip_prefix("database-");
                let sid = sid.and_then(|sid| sid.strip_suffix(".example"));
                let sid = sid.map(|sid| sid.parse().expect("a session"));
                let address = host.parse().map(|address: Ipv4Addr| u32::from(address));
                sid.or_else(|| Some(address.ok()? & !LOOPBACK))
            }
            Where::Service(_) => panic!("nobody has a service here"),
            Where::Peer(peer) => {
                let sid = self.peers.get(peer);
                Some(*sid.expect("where a server was"))
            }
        };
        let Some(sid) = known else { return false };
        let dialect = self.model.databases.sessions[&sid];
        let is_errand = matches!(place, Where::Peer(_));
        assert!(!is_errand || dialect == Dialect::Postgres);
        let mood = match self.is_hurried {
            true => Mood::Polite,
            false => Mood::any(&mut self.dice),
        };
        let port = u16::try_from(10_000 + self.peers.len() % 50_000).unwrap();
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let mut server = Server::new(&mut self.dice, self.now, sid, dialect, mood, peer);
        server.is_errand = is_errand;
        server.is_probe = self.is_opening(sid);
        if server.is_probe && self.dice.chance(700) {
            server.mood = Mood::Polite;
        }
        self.peers.insert(peer, sid);
        if server.mood != Mood::Hangs {
            let delay = self.delay();
            self.after(delay, Event::Dialled(id));
        }
        let before = self.servers.insert(id, server);
        assert!(before.is_none(), "a descriptor's name is used twice");
        true
    }

    fn is_opening(&self, sid: u32) -> bool {
        let session = self.model.sessions.get(&sid);
        session.is_some_and(|it| matches!(it.state, State::Database { is_open: false }))
    }

    /// A connection attempt was answered.
    pub fn database_dialled(&mut self, id: TargetId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let (sid, peer, is_probe) = (server.sid, server.peer, server.is_probe);
        let is_refused = server.mood == Mood::Refuses;
        server.is_open = !is_refused;
        if is_probe && self.is_opening(sid) {
            match is_refused {
                true => self.model.close(self.now, sid, EXIT_INTERNAL),
                false => self.model.database_opened(sid),
            }
        }
        let report = match is_refused {
            true => Report::Failed(Unreached::because("connection refused")),
            false => Report::Started { peer: Some(peer) },
        };
        self.agent.handle_report(self.now, id, report);
        self.schedule_database(id, Duration::ZERO);
    }

    pub fn schedule_database(&mut self, id: TargetId, delay: Duration) {
        if let Some(server) = self.servers.get_mut(&id)
            && server.is_open
            && !server.is_scheduled
        {
            server.is_scheduled = true;
            self.after(delay, Event::Database(id));
        }
    }

    /// One turn of a descriptor.
    pub fn database_turn(&mut self, id: TargetId) {
        let Some(mut server) = self.servers.remove(&id) else {
            return;
        };
        server.is_scheduled = false;
        let mut has_moved = self.server_hears(&mut server);
        has_moved |= self.server_speaks(&mut server);
        self.servers.insert(id, server);
        has_moved |= self.read_database(id);
        has_moved |= self.write_database(id);
        let Some(server) = self.servers.get(&id) else {
            return;
        };
        let waits = server.input.held() + server.output.held() + server.waiting.len() > 0
            || server.end.is_some() && !server.has_told_end
            || server.is_shut && !server.is_over
            || self.agent.pending_parts(id).next().is_some();
        let delay = match has_moved {
            true => self.delay() / 4 + Duration::from_micros(5),
            false => LOOK,
        };
        if has_moved || waits {
            self.schedule_database(id, delay);
        }
    }

    fn server_hears(&mut self, server: &mut Server) -> bool {
        let appetite = server.appetite();
        let is_resting = self.now < server.hears_at && !self.is_hurried;
        if is_resting || appetite == 0 || server.is_over {
            return false;
        }
        let mut buffer = vec![0; appetite.min(server.input.held().max(1))];
        match server.input.read(self.now, &mut buffer) {
            Outcome::Bytes(size) => {
                self.server_heard(server, &buffer[..size]);
                server.hears_at = self.now + server.pause(&mut self.dice);
                true
            }
            Outcome::Closed => {
                server.end.get_or_insert(End::Fin);
                server.is_over = true;
                true
            }
            Outcome::WouldBlock | Outcome::Broken => false,
        }
    }

    fn server_heard(&mut self, server: &mut Server, bytes: &[u8]) {
        let clients = &mut self.model.databases.clients;
        if server.is_in()
            && let Some(key) = server.client
        {
            let client = clients.get_mut(&key).expect("a client");
            if !client.has_passed() {
                // A login that is given up then; MySQL's servers hear of that.
                let is_farewell = client.dialect == Dialect::Mysql && bytes.len() < 100;
                assert!(is_farewell, "{key:?} is relayed too soon");
                return;
            }
            server.answer(&mut self.dice, client, bytes);
            let words = client.words();
            assert!(
                words.starts_with(&client.heard),
                "{key:?} has said other words"
            );
            return;
        }
        server.hear_login(&mut self.dice, bytes);
        if let Some(key) = server.client {
            let client = clients.get_mut(&key).expect("a client");
            assert!(!client.is_admitted, "{key:?} is logged in twice");
        }
    }

    fn server_speaks(&mut self, server: &mut Server) -> bool {
        let size = server.waiting.len().min(server.output.room());
        let delay = self.delay();
        if size > 0 {
            let words: Vec<u8> = server.waiting.drain(..size).collect();
            server.output.write(self.now, delay, &words);
        }
        let is_reset = server.end == Some(End::Reset);
        if is_reset || server.end.is_some() && server.waiting.is_empty() {
            server.is_over = true;
            if is_reset {
                server.waiting.clear();
                server.input.end(self.now, Duration::ZERO, End::Reset);
            }
            let end = if is_reset { End::Reset } else { End::Fin };
            if !server.output.has_ended() {
                server.output.end(self.now, delay, end);
                return true;
            }
        }
        size > 0
    }

    fn read_database(&mut self, id: TargetId) -> bool {
        let may_read = self.agent.has_room() || !self.agent.needs_room(id);
        let most = self.agent.payload_max();
        let wants = self.agent.wants_read(id, Channel::Output);
        let Some(server) = self.servers.get_mut(&id) else {
            return false;
        };
        if !may_read || !wants || server.has_told_end {
            return false;
        }
        let held = server.output.held().clamp(1, most);
        let size = self
            .weather
            .cut(&mut self.dice, self.weather.short_reads, held);
        let mut thrown_away = [0; 4096];
        let mut is_kept = true;
        let outcome = match self.agent.read_slot(id, Channel::Output, size) {
            Some(slot) => server.output.read(self.now, slot),
            None => {
                is_kept = false;
                server.output.read(self.now, &mut thrown_away)
            }
        };
        match outcome {
            Outcome::Bytes(size) => {
                if is_kept {
                    server.given += size;
                    if let (true, Some(key)) = (server.has_passed(), server.client) {
                        let client = self.model.databases.clients.get_mut(&key);
                        client.expect("a client").is_admitted = true;
                    }
                    let report = Report::Received { size };
                    self.agent.handle_report(self.now, id, report);
                }
                true
            }
            Outcome::WouldBlock => false,
            outcome @ (Outcome::Closed | Outcome::Broken) => {
                server.has_told_end = true;
                let channel = Channel::Output;
                self.agent
                    .handle_report(self.now, id, Report::Ended { channel });
                if outcome == Outcome::Broken {
                    self.agent.handle_report(self.now, id, Report::Broke);
                }
                true
            }
        }
    }

    fn write_database(&mut self, id: TargetId) -> bool {
        let delay = self.delay();
        let Some(server) = self.servers.get_mut(&id) else {
            return false;
        };
        let bytes = self.agent.pending_parts(id).next().unwrap_or_default();
        let mut has_moved = !bytes.is_empty();
        if has_moved {
            let size = self
                .weather
                .cut(&mut self.dice, self.weather.short_writes, bytes.len());
            match server.input.write(self.now, delay, &bytes[..size]) {
                Outcome::Bytes(size) => {
                    let report = Report::Wrote { size };
                    self.agent.handle_report(self.now, id, report);
                }
                Outcome::WouldBlock => has_moved = false,
                Outcome::Broken | Outcome::Closed => {
                    self.agent.handle_report(self.now, id, Report::Broke);
                }
            }
        }
        has_moved | self.shut_database(id)
    }

    fn shut_database(&mut self, id: TargetId) -> bool {
        let delay = self.delay();
        let Some(server) = self.servers.get_mut(&id) else {
            return false;
        };
        let is_asked = self.agent.take_shutdown(id);
        if is_asked {
            assert!(!server.is_shut, "an end is told twice");
            server.is_shut = true;
            server.input.end(self.now, delay, End::Fin);
        }
        is_asked
    }

    /// Something waits for a descriptor.
    pub fn flush_database(&mut self, id: TargetId) {
        self.shut_database(id);
        self.schedule_database(id, Duration::ZERO);
    }

    /// The agent closes a descriptor; `false` when it is none of these.
    pub fn close_database(&mut self, id: TargetId, reset: bool) -> bool {
        let Some(mut server) = self.servers.remove(&id) else {
            return false;
        };
        // Before its time it is that of an earlier session with the same id.
        let is_due = self.now >= server.since + limits::SESSION_OPEN_TIMEOUT;
        if server.is_probe && is_due && self.is_opening(server.sid) {
            self.model.close(self.now, server.sid, EXIT_INTERNAL);
        }
        let has_passed = |key: &Key| self.model.databases.clients[key].has_passed();
        if let Some(key) = server.client.filter(has_passed)
            && server.has_passed()
        {
            let later = self.now + Duration::from_secs(3600);
            let mut rest = vec![0; server.input.held()];
            if !reset && let Outcome::Bytes(size) = server.input.read(later, &mut rest) {
                self.server_heard(&mut server, &rest[..size]);
            }
            let client = &self.model.databases.clients[&key];
            let is_scarce = self.model.is_under_pressure();
            let is_whole = client.heard == client.words();
            assert!(
                reset || server.is_over || is_whole || !client.is_attached && is_scarce,
                "{key:?}: words are lost at the end: {} of {}",
                client.heard.len(),
                client.words().len()
            );
            assert!(
                !client.is_attached || !server.is_well() || is_scarce || self.model.is_stopping,
                "{key:?} is closed without a reason"
            );
        }
        true
    }

    /// The least and the most that databases hold of the byte budget: queues, and what waits in front of them.
    pub fn database_bytes(&self) -> (usize, usize) {
        let (mut least, mut most) = (0, 0);
        for (id, server) in &self.servers {
            let queue: usize = self.agent.pending_parts(*id).map(<[u8]>::len).sum();
            least += queue;
            most += queue;
            match server.is_open {
                // Its queue is nobody's business before it is connected.
                false => most += FIRST_WORDS_MAX,
                true => {
                    // Nothing says that its connection is over: what waits for it is there.
                    let is_sure = queue == 0 && !server.is_shut && !server.has_told_end;
                    let client = server.client.filter(|_| is_sure);
                    if let Some(client) =
                        client.and_then(|key| self.model.databases.clients.get(&key))
                    {
                        least += client.in_front();
                    }
                }
            }
        }
        let clients = self.model.databases.clients.values();
        // And, while it logs in, the beginning of a message of its server.
        let unread = |client: &super::Client| match client.has_passed() {
            true => 0,
            false => limits::LOGIN_SERVER_BYTES_MAX,
        };
        most += clients
            .map(|client| client.in_front() + unread(client))
            .sum::<usize>();
        (least, most)
    }

    /// Everything that was said has been heard, where both ends listen.
    pub fn check_databases(&self) {
        let is_open = |sid: u32| self.model.sessions.contains_key(&sid);
        let link = self.model.owing.link();
        self.model.databases.check_delivered(link, &is_open);
        for server in self.servers.values() {
            let client = server.client.filter(|_| server.is_well());
            if let Some(key) = client {
                let client = &self.model.databases.clients[&key];
                let is_there = client.has_passed() && client.is_attached;
                let is_whole = client.heard == client.words();
                assert!(!is_there || is_whole, "the server waits: {key:?}");
            }
        }
    }
}
