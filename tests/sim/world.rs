//! The deterministic world: one agent, one gateway, their link, all targets, and one clock that
//! jumps from event to event. No socket, thread or sleep; the same seed gives the same run.
//!
//! A step takes the earliest pending thing, feeds the agent one input, carries out everything
//! that it asks for, and compares with the model. What the agent's descriptors do is in
//! `shell.rs`, the link in `link.rs`, the programs behind targets in `programs.rs`, what users
//! and the gateway's operator do in `users.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hoop_lite::agent::{Agent, Outcome};
use hoop_lite::limits;
use hoop_lite::session::{self, Channel, TargetId};

use crate::databases::server::Server;
use crate::dice::Dice;
use crate::gateway::Peer;
use crate::link::Socket;
use crate::logs;
use crate::model::Model;
use crate::net::Weather;
use crate::setup::{Setup, Tls, new_agent};
use crate::stores::Stores;
use crate::target::Target;
use crate::users::Users;

/// What happens at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The dialled gateway answers, or not.
    LinkUp(u32),
    LinkRead,
    LinkWrite,
    GatewayRead,
    /// The connection beside the link.
    SecondTurn(u32),
    /// The gateway looks at a call.
    Respond(u32, u32, bool),
    Dialled(TargetId),
    Act(TargetId),
    Readable(TargetId, Channel),
    Writable(TargetId),
    ReadTarget,
    Exited(TargetId, session::Exit),
    /// The descriptor of a database has its turn.
    Database(TargetId),
    /// And that of a store.
    Store(TargetId),
    /// Somebody does something.
    User,
    Second,
    /// Not on the agenda: the agent's own deadline.
    Timeout,
}

/// How many of the latest events a failure shows.
const TRACE_LEN: usize = 40;

/// The agent may be asked for its deadlines this often without time passing.
const TIMEOUTS_AT_ONCE: usize = 1000;

pub struct World {
    pub seed: u64,
    pub start: Instant,
    pub now: Instant,
    pub dice: Dice,
    pub weather: Weather,
    pub agent: Agent,
    pub model: Model,
    pub users: Users,
    pub tls: Option<Tls>,
    pub link: Option<Socket>,
    pub link_attempt: u32,
    /// The connection beside the link, and the bytes that the agent got over it.
    pub second: Option<(Peer, u64)>,
    pub second_attempt: u32,
    /// Since when nobody needs a link whose gateway has said goodbye.
    pub unused_since: Option<Instant>,
    pub targets: BTreeMap<TargetId, Target>,
    pub servers: BTreeMap<TargetId, Server>,
    pub stores: Stores,
    /// Where servers are or were, and whose.
    pub peers: BTreeMap<SocketAddr, u32>,
    pub ready: VecDeque<(TargetId, Channel)>,
    /// As `ready`, where nobody listens: read whether the link has room or not.
    pub forgotten: VecDeque<(TargetId, Channel)>,
    pub is_read_due: bool,
    agenda: BTreeMap<(Instant, u64), Event>,
    pub trace: VecDeque<(u64, Instant, Event)>,
    pub steps: u64,
    timeouts: usize,
    /// The link must be closed within this step.
    pub must_lose_link: bool,
    /// Failed key checks that may no longer be answered: those of earlier links, and those that were.
    pub forgiven_checks: u64,
    /// Targets take what there is, so that the end comes.
    pub is_hurried: bool,
    pub left_at: Option<Instant>,
    pub stop_at: Option<Instant>,
    pub exit: Option<Outcome>,
    pub setup: Setup,
    /// How to run the same again.
    pub replay: String,
}

impl World {
    pub fn new(seed: u64, setup: Setup, tls: Option<Tls>) -> Self {
        logs::start();
        let now = Instant::now();
        let mut dice = Dice::new(seed);
        let agent = new_agent(now, &mut dice, &setup, tls.as_ref());
        let mut world = Self {
            seed,
            start: now,
            now,
            weather: setup.weather,
            agent,
            model: Model::new(setup.bounds),
            users: Users::new(&mut dice, setup.has_floods),
            dice,
            tls,
            link: None,
            link_attempt: 0,
            second: None,
            second_attempt: 0,
            unused_since: None,
            targets: BTreeMap::new(),
            servers: BTreeMap::new(),
            stores: Stores::default(),
            peers: BTreeMap::new(),
            ready: VecDeque::new(),
            forgotten: VecDeque::new(),
            is_read_due: false,
            agenda: BTreeMap::new(),
            trace: VecDeque::new(),
            steps: 0,
            timeouts: 0,
            must_lose_link: false,
            forgiven_checks: 0,
            is_hurried: false,
            left_at: None,
            stop_at: None,
            exit: None,
            setup,
            replay: String::new(),
        };
        world.after(Duration::from_secs(1), Event::Second);
        world.drain();
        world
    }

    /// Puts an event on the agenda; those of one moment come in any order.
    pub fn at(&mut self, when: Instant, event: Event) {
        let mut tie = self.dice.roll();
        while self.agenda.contains_key(&(when, tie)) {
            tie = tie.wrapping_add(1);
        }
        self.agenda.insert((when, tie), event);
    }

    /// The same, from now on.
    pub fn after(&mut self, delay: Duration, event: Event) {
        self.at(self.now + delay, event);
    }

    /// Any time within the weather's delay.
    pub fn delay(&mut self) -> Duration {
        self.dice.time(self.weather.delay)
    }

    /// Takes the earliest pending thing. Nothing happens once the agent has left.
    pub fn step(&mut self) {
        if self.exit.is_some() {
            return;
        }
        let next = self.agenda.first_key_value().map(|(key, _)| *key);
        let timeout = self.agent.poll_timeout();
        let is_timeout = match (next, timeout) {
            (Some((at, _)), Some(due)) if at == due => self.dice.chance(500),
            (Some((at, _)), Some(due)) => due < at,
            (None, due) => due.is_some(),
            (Some(_), None) => false,
        };
        let (at, event) = match (next, timeout) {
            (_, Some(due)) if is_timeout => (due, Event::Timeout),
            (Some(key), _) => (key.0, self.agenda.remove(&key).expect("the first")),
            _ => unreachable!("seconds never end"),
        };
        self.timeouts = if is_timeout && at <= self.now {
            self.timeouts + 1
        } else {
            0
        };
        assert!(
            self.timeouts < TIMEOUTS_AT_ONCE,
            "the agent's deadlines spin"
        );
        self.now = self.now.max(at);
        self.model.time_goes_on(self.now);
        self.note(event);
        self.handle(event);
        self.drain();
        self.settle_fetches();
        self.model.has_room(self.now, self.agent.has_room());
        self.check();
    }

    fn note(&mut self, event: Event) {
        self.steps += 1;
        if self.trace.len() == TRACE_LEN {
            self.trace.pop_front();
        }
        self.trace.push_back((self.steps, self.now, event));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::LinkUp(attempt) => self.link_up(attempt),
            Event::LinkRead => self.read_link(),
            Event::LinkWrite => self.write_link(),
            Event::GatewayRead => self.gateway_reads(),
            Event::SecondTurn(attempt) => self.second_turn(attempt),
            Event::Respond(link, stream, is_connect) => self.respond(link, stream, is_connect),
            Event::Dialled(id) => self.dialled(id),
            Event::Act(id) => self.act(id),
            Event::Readable(id, channel) => self.mark_readable(id, channel),
            Event::Writable(id) => {
                if let Some(target) = self.targets.get_mut(&id) {
                    target.is_writable = true;
                    self.flush(id);
                }
            }
            Event::ReadTarget => {
                self.is_read_due = false;
                self.read_target();
            }
            Event::Exited(id, exit) => self.exited(id, exit),
            Event::Database(id) => self.database_turn(id),
            Event::Store(id) => self.store_turn(id),
            Event::User => self.somebody_acts(),
            Event::Second => {
                if let Some(socket) = &mut self.link {
                    socket.peer.calm_down();
                }
                self.after(Duration::from_secs(1), Event::Second);
            }
            Event::Timeout => {
                self.agent.handle_timeout(self.now);
                if self.stop_at.is_some_and(|at| self.now >= at) {
                    self.leave();
                }
            }
        }
    }

    /// Asks the agent to stop, as TERM does.
    pub fn stop(&mut self) {
        if self.model.is_stopping {
            self.leave();
        } else {
            self.stop_at = Some(self.now + DRAIN_TIMEOUT);
            self.model.is_stopping = true;
        }
        self.agent.stop(self.now);
    }

    fn leave(&mut self) {
        self.left_at.get_or_insert(self.now);
        self.model.leave(self.now);
    }

    /// The answer to a check that the agent has given up may still be on its way. It is nobody's: the
    /// check that follows is answered, too.
    pub fn forgive_late_answer(&mut self) -> bool {
        let is_late = self.agent.counters().check_failures > self.forgiven_checks;
        self.forgiven_checks += u64::from(is_late);
        is_late
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let (now, budget) = (self.now, self.setup.bounds.queue_bytes_max);
        self.check_bytes();
        let sessions = self.agent.sessions();
        // Credit covers what waits, but not the message and the frame that are just coming in.
        let waits = sessions.buffered_bytes();
        assert!(
            waits <= budget + self.setup.payload_max + FRAME_MAX,
            "{waits} bytes wait, the budget is {budget}"
        );
        assert_eq!(sessions.len(), self.model.sessions.len(), "sessions");
        let live = self.model.live.len() + self.servers.len() + self.stores.open.len();
        assert_eq!(sessions.target_count(), live, "targets");
        assert_eq!(self.targets.len(), self.model.live.len(), "descriptors");
        self.check_goodbye();
        self.model.check_asked();
        let is_asked_in_time = self.agent.poll_timeout().is_none_or(|due| due > now);
        if is_asked_in_time {
            self.model.check_in_time();
        }
        self.check_stores(is_asked_in_time);
        self.check_targets();
        let waiting = self.agent.outbox().len();
        assert!(
            waiting <= OUTBOX_MAX,
            "{waiting} bytes wait for the gateway"
        );
        assert!(
            !self.must_lose_link,
            "the agent stays on a link that is lost"
        );
        if let Some(line) = logs::take_leak() {
            panic!("a secret is logged: {line}");
        }
        if let Some(at) = self.stop_at.filter(|_| self.exit.is_none()) {
            assert!(
                now <= at + limits::FAREWELL_MAX + SLACK,
                "the agent does not leave"
            );
        }
    }

    /// What waits for targets, and in front of them.
    fn check_bytes(&mut self) {
        let waits = self.agent.sessions().buffered_bytes();
        let (least, most) = self.database_bytes();
        let ours = self.model.buffered + self.store_bytes();
        assert!(
            (ours + least..=ours + most).contains(&waits),
            "{waits} bytes wait: not {ours}, and {least} to {most} of databases"
        );
        self.model.beside = waits - ours;
        let left = self.servers.values().find(|server| server.must_close);
        assert!(left.is_none(), "a link that is lost leaves a database");
    }

    /// Runs for so much of the world's time.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        let most = self.steps + RUN_STEPS_MAX;
        // What a script did since the last step.
        self.drain();
        while self.exit.is_none() && self.next_at() <= until {
            self.step();
            assert!(self.steps < most, "the world does not come to rest");
        }
        if self.exit.is_none() {
            self.now = self.now.max(until);
        }
    }

    fn next_at(&self) -> Instant {
        let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let times = next.into_iter().chain(self.agent.poll_timeout());
        times.min().expect("seconds never end")
    }
}

/// What a failure leaves to look at.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!(
            "\nseed {} failed at step {}; {:?}",
            self.seed, self.steps, self.setup
        );
        for (step, at, event) in &self.trace {
            let ms = at.duration_since(self.start).as_secs_f64() * 1e3;
            eprintln!("{step:>6} {ms:>12.3} ms  {event:?}");
        }
        if let Some(socket) = &self.link {
            let outbox = self.agent.outbox().len();
            eprintln!("{outbox} bytes wait in the outbox; {}", socket.describe());
        }
        for relay in &self.model.live {
            eprintln!("{}", self.model.describe(*relay));
        }
        eprintln!("{}\n", self.replay);
    }
}

/// How long sessions may go on after TERM.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that passes without the agent being asked for its deadlines.
pub const SLACK: Duration = Duration::from_secs(1);

/// Answers above this stop the reading of the link; one read may add its own, and a target a
/// payload.
const OUTBOX_MAX: usize = limits::OUTBOX_BYTES_MAX + 2 * limits::PAYLOAD_BYTES_MAX;

/// The longest DATA frame.
const FRAME_MAX: usize = 16 * 1024;

const RUN_STEPS_MAX: u64 = 400_000;
