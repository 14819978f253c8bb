//! The one loop: readiness in, bytes moved, deadlines kept.
//!
//! A turn: wait; note what the kernel says; read the link; write to targets; read targets in
//! rotation while the link has room; write the link. Cost follows what is ready. Nothing blocks
//! but the wait.
//!
//! The work is its parts': the link's socket and the one beside it, the targets, the health server, the
//! program beside us, the service manager. Each is lent the common ground (`ground.rs`); what the agent asks for is
//! handed to whom it concerns in here alone.

use std::ffi::OsString;
use std::io::{self};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Token};

use super::announcer::Announcer;
use super::companion::Companion;
use super::ground::Ground;
use super::health::{self, HealthQuestion, HealthServer};
use super::link_socket::LinkSocket;
use super::second_socket::SecondSocket;
use super::serving::Serving;
use super::{log, machine, tokens};
use crate::agent::{Action, Agent, Health, Machine, Outcome};
use crate::base::metadata::MetadataDoor;
use crate::os::foreground::Foreground;
use crate::os::guardians;
use crate::os::notify::Notify;
use crate::os::processes::{EndedProcess, Keeping, Processes};
use crate::os::signal::{Catch, Signal, Signals};

pub use super::dial::Keepalive;
pub use super::ground::OpenNetwork;

/// Events taken from the kernel at once; more are ready at the next turn.
const EVENTS_PER_TURN: usize = 1024;

/// Reads of the link in one turn, so that targets are served in between.
const LINK_READS_PER_TURN: usize = 4;

/// Reads of all targets together in one turn, so that the link is written in between.
const TARGET_READS_PER_TURN: usize = 64;

/// Before these, reads of targets that need no room of the link.
const UNBOUND_READS_PER_TURN: usize = 4;

/// After a goodbye: how long the socket may take the last bytes.
const LAST_WRITE_MAX: Duration = Duration::from_secs(1);

/// What the reactor offers beside relaying.
pub struct Options {
    /// Where commands without a path are looked up.
    pub search_path: OsString,
    /// Which signals are ours.
    pub catch: Catch,
    /// The service manager.
    pub notify: Notify,
    /// How sessions' processes are kept.
    pub keeping: Keeping,
    /// When targets that say nothing are asked whether they are there.
    pub keepalive: Keepalive,
    /// What to do when the gateway's name turns out to lie on the open network.
    pub open_network: OpenNetwork,
    /// Which addresses of cloud metadata sessions may reach.
    pub metadata: MetadataDoor,
    /// Ship our log lines to the gateway's view, where it has one.
    pub ships_logs: bool,
    /// What monitoring is told of us, as far as it is known before.
    pub machine: Machine,
}

/// See the module.
pub struct Reactor {
    ground: Ground,
    link: LinkSocket,
    /// Beside the link, for a key check that it can't carry.
    second: SecondSocket,
    serving: Serving,
    signals: Signals,
    health: Option<HealthServer>,
    companion: Companion,
    announcer: Announcer,
    ships_logs: bool,
    machine: Machine,
    outcome: Option<Outcome>,
}

impl Reactor {
    /// A reactor for `agent`.
    pub fn new(agent: Agent, options: Options) -> io::Result<Self> {
        let ground = Ground::new(agent, options.open_network)?;
        let mut signals = Signals::new(options.catch)?;
        ground
            .registry()
            .register(signals.source(), tokens::SIGNALS, Interest::READABLE)?;
        let processes = Processes::new(options.search_path, options.keeping);
        Ok(Self {
            ground,
            link: LinkSocket::new(),
            second: SecondSocket::new(),
            serving: Serving::new(processes, options.keepalive, options.metadata),
            signals,
            health: None,
            companion: Companion::default(),
            announcer: Announcer::new(options.notify),
            ships_logs: options.ships_logs,
            machine: options.machine,
            outcome: None,
        })
    }

    /// Serves probes and metrics at `address`.
    pub fn serve_health(&mut self, address: &health::Address) -> io::Result<()> {
        let server = HealthServer::new(address, self.ground.registry(), tokens::HEALTH)?;
        self.health = Some(server);
        Ok(())
    }

    /// From now on a program runs in the foreground beside us. Signals had to be caught before it was
    /// started.
    pub fn accompany(&mut self, program: Foreground) {
        self.serving.track(program.pid(), tokens::FOREGROUND_OWNER);
        self.companion.accompany(program);
    }

    /// Runs until the agent is done, or the foreground program has ended.
    pub fn run(&mut self) -> io::Result<(Outcome, Option<u8>)> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let now = Instant::now();
        self.settle(now);
        self.announcer.keep_current(now, &self.ground.agent);
        loop {
            let timeout = self.timeout(Instant::now());
            match self.ground.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            let now = Instant::now();
            for event in &events {
                self.note(now, event);
            }
            self.turn(now);
            if let Some(outcome) = self.outcome {
                self.last_words(&mut events);
                return Ok((outcome, self.companion.exit_code()));
            }
        }
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        let has_work = self.serving.has_ready(self.ground.agent.has_room());
        if has_work || self.link.is_readable() || self.second.is_readable() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.ground.agent.poll_timeout(),
            self.serving.poll_timeout(),
            self.link.next_dial(),
            self.second.next_dial(),
            self.link.gathered_at(),
            self.ground.resolver.poll_timeout(),
            self.ground.idle_at(),
            self.announcer.poll_timeout(),
            self.companion.poll_timeout(),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(now))
    }

    fn note(&mut self, now: Instant, event: &Event) {
        match event.token() {
            tokens::LINK => self.link.note(event),
            tokens::SECOND => self.second.note(event),
            tokens::SIGNALS => self.signalled(now),
            token if (tokens::HEALTH..tokens::TARGETS).contains(&token.0) => {
                self.answer_probe(now, token);
            }
            token if token.0 >= tokens::NAMES => {
                let Ground { resolver, poll, .. } = &mut self.ground;
                resolver.note(now, token, poll.registry());
                self.hand_on_addresses(now);
            }
            token if token.0 >= guardians::TOKEN_BASE => {
                if let Some(ended) = self.serving.heard_guardian(token) {
                    self.process_ended(now, &ended);
                }
            }
            _ => self.serving.note(now, &mut self.ground, event),
        }
    }

    fn turn(&mut self, now: Instant) {
        let Ground { resolver, poll, .. } = &mut self.ground;
        resolver.handle_timeout(now, poll.registry());
        self.hand_on_addresses(now);
        self.link.advance_dial(now, &mut self.ground);
        self.serving.advance_dials(now, &mut self.ground);
        self.second.serve(now, &mut self.ground);
        self.settle(now);
        self.link.end_gathering(now, &mut self.ground);
        // Before the deadlines: after a suspension all are overdue, and what came meanwhile counts.
        self.read_link(now);
        self.ground.agent.handle_timeout(now);
        self.serving.kill_overdue(now);
        self.companion.kill_overdue(now);
        self.settle(now);
        self.read_targets(now);
        log::catch_up(now);
        self.ship_logs();
        self.write_link(now);
        self.announcer.keep_current(now, &self.ground.agent);
        self.link.gather(now, &mut self.ground);
        self.ground.release_when_idle(now);
    }

    /// Carries out everything that the core asks for, until it asks for nothing more.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(action) = self.ground.agent.poll_output() {
                self.carry_out(now, action);
                continue;
            }
            match self.ground.agent.poll_dirty() {
                Some(id) => self.serving.flush(now, &mut self.ground, id),
                None => return,
            }
        }
    }

    fn carry_out(&mut self, now: Instant, action: Action) {
        let ground = &mut self.ground;
        match action {
            Action::DialLink {
                host,
                port,
                is_afresh,
            } => self.link.dial(now, ground, (&host, port), is_afresh),
            Action::CloseLink => self.link.close(now, ground),
            Action::DialSecond { host, port } => self.second.dial(now, ground, &host, port),
            Action::CloseSecond => self.second.close(ground),
            Action::Session(output) => self.serving.carry_out(now, ground, output),
            Action::Exit(outcome) => self.outcome = self.companion.agent_ended(now, outcome),
        }
        // A question to the resolver may have ended another.
        self.hand_on_addresses(now);
    }

    /// Hands on what the resolver has found.
    fn hand_on_addresses(&mut self, now: Instant) {
        let ground = &mut self.ground;
        for (number, addresses) in ground.resolver.take_answers() {
            match number {
                tokens::LINK_REQUEST => self.link.resolved(now, ground, addresses),
                tokens::SECOND_REQUEST => self.second.resolved(now, ground, addresses),
                number => self.serving.resolved(now, ground, number, addresses),
            }
        }
        for (number, service) in ground.resolver.take_services() {
            self.serving.found(now, ground, number, service);
        }
    }

    fn read_link(&mut self, now: Instant) {
        for _ in 0..LINK_READS_PER_TURN {
            if !self.link.read(now, &mut self.ground) {
                return;
            }
            self.settle(now);
        }
    }

    fn write_link(&mut self, now: Instant) {
        self.link.write(now, &mut self.ground);
        self.settle(now);
    }

    /// Reads ready targets in rotation while the link takes more, and those that need none of its room in any
    /// case.
    fn read_targets(&mut self, now: Instant) {
        for _ in 0..UNBOUND_READS_PER_TURN {
            if !self.serving.read_next(now, &mut self.ground, false) {
                break;
            }
            self.settle(now);
        }
        for _ in 0..TARGET_READS_PER_TURN {
            if !self.ground.agent.has_room() {
                // The link may have been waiting for exactly this.
                self.write_link(now);
                if !self.ground.agent.has_room() {
                    return;
                }
            }
            if !self.serving.read_next(now, &mut self.ground, true) {
                return;
            }
            self.settle(now);
        }
    }

    /// Answers a probe, or takes a step towards it.
    fn answer_probe(&mut self, now: Instant, token: Token) {
        let Some(server) = &mut self.health else {
            return;
        };
        let (agent, known) = (&self.ground.agent, &self.machine);
        let processes = self.serving.process_count();
        server.serve(now, token, self.ground.registry(), &mut |question| {
            let health = crate::agent::health(agent, now);
            let is_well = match question {
                HealthQuestion::Metrics => {
                    let machine = machine::look(known, processes);
                    return (200, crate::agent::metrics(agent, now, &machine));
                }
                HealthQuestion::Live => true,
                HealthQuestion::Health => health.is_ready() || health == Health::Stopping,
                HealthQuestion::Ready => health.is_ready(),
            };
            let status = if is_well { 200 } else { 503 };
            (status, crate::agent::health_text(agent, now))
        });
    }

    fn signalled(&mut self, now: Instant) {
        for received in self.signals.drain() {
            if received.signal == Signal::Child {
                self.reap(now);
            }
            if self.companion.take_signal(now, received) {
                continue;
            }
            match received.signal {
                Signal::Report => {
                    let machine = machine::look(&self.machine, self.serving.process_count());
                    crate::agent::log_state(&self.ground.agent, now, &machine);
                }
                Signal::Terminate | Signal::Interrupt | Signal::Quit | Signal::Hangup => {
                    self.announcer.say_stopping();
                    self.ground.agent.stop(now);
                }
                _ => {}
            }
        }
    }

    /// Finds out which processes have ended.
    fn reap(&mut self, now: Instant) {
        while let Some(ended) = self.serving.poll_ended() {
            self.process_ended(now, &ended);
        }
    }

    fn process_ended(&mut self, now: Instant, ended: &EndedProcess) {
        if self.companion.pid() != Some(ended.pid) {
            return self.serving.process_ended(now, &mut self.ground, ended);
        }
        self.outcome = self.companion.ended(ended.exit.code());
        if self.outcome.is_none() {
            self.ground.agent.stop_now(now);
        }
    }

    /// Hands the lines logged since the last time to the gateway's view; with the link's own
    /// wake-ups, never for their own sake.
    fn ship_logs(&mut self) {
        if self.ships_logs
            && self.ground.agent.has_log_view()
            && let Some(lines) = log::take_shipment()
        {
            self.ground.agent.ship_logs(&lines);
        }
    }

    /// Gives the socket a moment to take the goodbye, then ends every process.
    fn last_words(&mut self, events: &mut Events) {
        let until = Instant::now() + LAST_WRITE_MAX;
        loop {
            let now = Instant::now();
            self.write_link(now);
            let is_done = !self.link.has_pending(now, &mut self.ground);
            let left = until.saturating_duration_since(now);
            if is_done || left.is_zero() || !self.ground.wait_at_most(left, events) {
                break;
            }
            let of_link = events.iter().filter(|event| event.token() == tokens::LINK);
            of_link.for_each(|event| self.link.note(event));
        }
        self.link.close(Instant::now(), &mut self.ground);
        self.settle(Instant::now());
        self.serving.end_processes(&mut self.ground, events);
    }
}
