//! Web services and their users: `hoop connect` with its keep-alive sockets, the gateway's listener with one request
//! an id, and a service that is slow, rude, cuts and lies. One session, driven without a link.
//!
//! The model: every answer is the one to the request that is next (it has that number, and its text), whole or visibly
//! cut; what is cut, was cut by the service; a POST is heard once; no stored value reaches a user; and when everybody
//! has said what he had to say, nobody waits and nothing is left.

mod service;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hoop_lite::packet::{Kind, Outbox, Packet, encode, spec};
use hoop_lite::session::{
    AgentEnvironment, Channel, Output, Report, Sessions, TargetId, Unreached,
};
use loopback_gateway::SessionRequest;

use crate::dice::Dice;
use crate::sweep::number;
use service::Service;
use user::User;

const SESSION: &str = "b5b8c8a6-0000-4000-8000-000000000002";
/// What is stored, for the service alone.
const KEY: &str = "stored-key-of-the-service";
const USERS_MAX: usize = 12;
const SEEDS: u64 = 80;
const STEPS: usize = 1500;

/// What was asked, and what the service made of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing yet.
    Asked,
    /// An answer with so many bytes of body.
    Whole(usize),
    /// No such answer can come whole: a page, or what breaks off.
    Spoilt,
}

pub struct World {
    now: Instant,
    dice: Dice,
    sessions: Sessions,
    outbox: Outbox,
    users: BTreeMap<u32, User>,
    services: BTreeMap<TargetId, Service>,
    /// Every request, by its number.
    fates: BTreeMap<u32, Fate>,
    /// POSTs whose head has reached a service.
    posts: BTreeSet<u32>,
    answered: usize,
    has_room: bool,
    /// Nobody is rude any more.
    is_mending: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let mut world = Self {
            now,
            dice: Dice::new(seed),
            sessions: Sessions::new(Default::default(), AgentEnvironment::default()),
            outbox: Outbox::new(),
            users: BTreeMap::new(),
            services: BTreeMap::new(),
            fates: BTreeMap::new(),
            posts: BTreeSet::new(),
            answered: 0,
            has_room: true,
            is_mending: false,
        };
        world.sessions.note_room(now, true);
        let request = SessionRequest::new("httpproxy", "connect")
            .env("REMOTE_URL", "http://app:3000")
            .env("HEADER_X_KEY", KEY);
        let open = request.open_packet(SESSION);
        world.packet(Kind::AgentSessionOpen, &open.entries(), b"");
        world
    }

    fn step(&mut self) {
        match self.dice.weighted(&[18, 30, 20, 22, 8, 2, 2]) {
            0 => self.ask(),
            1 => self.send(),
            2 => self.with_service(Self::deliver),
            3 => self.with_service(Self::hear_service),
            4 => {
                let most = self.dice.pick(&[10, 300, 300, 3_000, 12_000]);
                let time = self.dice.time(Duration::from_millis(most));
                self.pass(time);
            }
            5 => self.leave(),
            _ => {
                self.has_room = !self.has_room;
                self.sessions.note_room(self.now, self.has_room);
            }
        }
    }

    // -- users -----------------------------------------------------------------------------------

    /// Somebody asks for something, or for more.
    fn ask(&mut self) {
        let number = u32::try_from(self.fates.len() + 1).unwrap();
        let ready: Vec<u32> = self
            .users
            .iter()
            .filter(|(_, user)| user.can_ask())
            .map(|(id, _)| *id)
            .collect();
        if ready.is_empty() || self.dice.chance(400) {
            let there = self.users.values().filter(|user| user.is_there());
            if there.count() >= USERS_MAX {
                return;
            }
            let id = u32::try_from(self.users.len() + 1).unwrap();
            let mut user = User::new(&mut self.dice);
            user.ask(&mut self.dice, number);
            self.users.insert(id, user);
        } else {
            let id = self.dice.pick(&ready);
            let user = self.users.get_mut(&id).unwrap();
            user.ask(&mut self.dice, number);
        }
        self.fates.insert(number, Fate::Asked);
    }

    fn send(&mut self) {
        let waiting = self.users.iter().filter(|(_, user)| user.has_unsent());
        let waiting: Vec<u32> = waiting.map(|(id, _)| *id).collect();
        if waiting.is_empty() {
            return;
        }
        let id = self.dice.pick(&waiting);
        let user = self.users.get_mut(&id).unwrap();
        let (base_url, piece) = user.next_piece(&mut self.dice, self.is_mending);
        let name = id.to_string();
        let entries = [
            (spec::SESSION_ID, SESSION.as_bytes()),
            (spec::CONNECTION_ID, name.as_bytes()),
            (spec::HTTP_PROXY_BASE_URL, base_url.as_bytes()),
        ];
        self.packet(Kind::AgentHttpProxyConnectionWrite, &entries, &piece);
    }

    fn leave(&mut self) {
        let there = self.users.iter().filter(|(_, user)| user.is_attached());
        let there: Vec<u32> = there.map(|(id, _)| *id).collect();
        if there.is_empty() {
            return;
        }
        let id = self.dice.pick(&there);
        self.users.get_mut(&id).unwrap().has_left = true;
        let name = id.to_string();
        let entries = [
            (spec::SESSION_ID, SESSION.as_bytes()),
            (spec::CONNECTION_ID, name.as_bytes()),
        ];
        self.packet(Kind::AgentCloseTCPConnection, &entries, b"");
    }

    // -- services --------------------------------------------------------------------------------

    fn with_service(&mut self, run: fn(&mut Self, TargetId, &mut Service)) {
        let ids: Vec<TargetId> = self.services.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = self.dice.pick(&ids);
        self.on_service(id, run);
    }

    fn on_service(&mut self, id: TargetId, run: fn(&mut Self, TargetId, &mut Service)) {
        let Some(mut service) = self.services.remove(&id) else {
            return;
        };
        self.services.insert(id, Service::gone());
        run(self, id, &mut service);
        // It may have been closed meanwhile.
        if self.services.contains_key(&id) {
            self.services.insert(id, service);
        }
    }

    /// What waits for a service reaches it.
    fn deliver(&mut self, id: TargetId, service: &mut Service) {
        if !service.is_open {
            return self.connect(id, service);
        }
        let waiting: Vec<u8> = self.sessions.pending_parts(id).flatten().copied().collect();
        let size = match self.is_mending {
            true => waiting.len(),
            false => self.dice.between(0, waiting.len()),
        };
        if size > 0 && !service.has_ended {
            service.hear(&waiting[..size], self);
            self.report(id, Report::Wrote { size });
        }
    }

    fn connect(&mut self, id: TargetId, service: &mut Service) {
        match self.dice.weighted(&[90, 5, 5]) {
            1 if !self.is_mending => self.report(id, Report::Failed(Unreached::because("refused"))),
            2 if !self.is_mending => {}
            _ => {
                service.is_open = true;
                let peer = "127.0.0.1:3000".parse().ok();
                self.report(id, Report::Started { peer });
            }
        }
    }

    /// Something that a service has said reaches the agent, or its end does.
    fn hear_service(&mut self, id: TargetId, service: &mut Service) {
        let channel = Channel::Output;
        if !service.is_open || !self.sessions.wants_read(id, channel) || !self.has_room {
            return;
        }
        let words = service.next_words(&mut self.dice, self.is_mending);
        if !words.is_empty() {
            let outbox = &mut self.outbox;
            let slot = self.sessions.read_slot(id, channel, words.len(), outbox);
            let Some(slot) = slot else {
                // Nobody listens any more.
                return service.take(words.len());
            };
            let size = slot.len().min(words.len());
            slot[..size].copy_from_slice(&words[..size]);
            service.take(size);
            return self.report(id, Report::Received { size });
        }
        match service.end(&mut self.dice, self.is_mending) {
            None => {}
            Some(false) => self.report(id, Report::Ended { channel }),
            Some(true) => self.report(id, Report::Broke),
        }
    }

    // -- the agent -------------------------------------------------------------------------------

    fn packet(&mut self, kind: Kind, entries: &[(&str, &[u8])], payload: &[u8]) {
        let mut message = Vec::new();
        encode(&mut message, kind, entries, payload);
        let packet = Packet::decode(&message).unwrap();
        self.sessions
            .handle_packet(self.now, &packet, &mut self.outbox);
        self.settle();
    }

    fn report(&mut self, id: TargetId, report: Report<'_>) {
        self.sessions
            .handle_report(self.now, id, report, &mut self.outbox);
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.sessions.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.sessions.handle_timeout(self.now, &mut self.outbox);
            self.settle();
        }
        self.now = until;
    }

    fn settle(&mut self) {
        while let Some(output) = self.sessions.poll_output() {
            match output {
                Output::Dial { target, .. } => {
                    self.services.insert(target, Service::new());
                }
                Output::Close { target, .. } => {
                    self.services.remove(&target).unwrap();
                }
                Output::Examine { target } => {
                    let report = Report::InKernel { size: 0 };
                    self.sessions
                        .handle_report(self.now, target, report, &mut self.outbox);
                }
                _ => {}
            }
        }
        while let Some(id) = self.sessions.poll_dirty() {
            if self.sessions.take_shutdown(id)
                && let Some(service) = self.services.get_mut(&id)
            {
                service.is_shut = true;
            }
        }
        while !self.outbox.is_empty() {
            let head = self.outbox.frame(b"123456789", 5)[9..].to_vec();
            let len = u32::from_be_bytes(head[1..].try_into().unwrap());
            let message = self.outbox.frame(b"123456789", len as usize)[9..].to_vec();
            self.hear(&Packet::decode(&message).unwrap());
        }
    }

    fn hear(&mut self, packet: &Packet<'_>) {
        let id = packet.spec(spec::CONNECTION_ID).unwrap_or_default();
        let id = std::str::from_utf8(id).unwrap().parse::<u32>();
        let is_close = match packet.kind.unwrap() {
            Kind::ClientSessionOpenOK => return,
            Kind::ClientTCPConnectionClose => true,
            Kind::ClientHttpProxyConnectionWrite => false,
            other => panic!("{other:?}"),
        };
        let user = self.users.get_mut(&id.unwrap()).unwrap();
        let fates = &self.fates;
        self.answered += match is_close {
            true => user.hear_end(fates),
            false => user.hear(packet.payload, fates),
        };
    }

    /// Everybody says what he has to say; then everything is over.
    fn finish(&mut self) {
        self.is_mending = true;
        self.has_room = true;
        self.sessions.note_room(self.now, true);
        for _ in 0..600 {
            while self.users.values().any(User::has_unsent) {
                self.send();
            }
            let ids: Vec<TargetId> = self.services.keys().copied().collect();
            for id in ids {
                self.on_service(id, Self::deliver);
                self.on_service(id, Self::hear_service);
            }
            self.pass(Duration::from_millis(500));
        }
        for (id, user) in &self.users {
            assert!(!user.waits(), "user {id} waits: {user:?}");
        }
        let entries = [(spec::SESSION_ID, SESSION.as_bytes())];
        self.packet(Kind::AgentSessionClose, &entries, b"");
        self.pass(Duration::from_secs(60));
        assert_eq!(self.sessions.len() + self.sessions.target_count(), 0);
        assert_eq!(self.sessions.buffered_bytes(), 0);
    }
}

#[test]
fn every_answer_is_its_requests() {
    let mut answered = 0;
    let first = number("HOOP_SIM_SEED", 1);
    let count = number("HOOP_SIM_SEEDS", SEEDS);
    for seed in first..first + count {
        let on_panic = Replay(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.finish();
        answered += world.answered;
        std::mem::forget(on_panic);
    }
    assert!(answered as u64 > count * 20, "{answered} answers");
    println!("{count} seeds, {answered} answers of the service");
}

/// Says which seed it was.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        eprintln!("replay: HOOP_SIM_SEED={} HOOP_SIM_SEEDS=1", self.0);
    }
}
