//! The one loop: readiness in, bytes moved, deadlines kept.
//!
//! A turn: wait; note what the kernel says; read the link; write to targets; read targets in
//! rotation while the link has room; write the link. Cost follows what is ready. Nothing blocks
//! but the wait.

use std::ffi::OsString;
use std::io::{self};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::health::{self, HealthServer, Question};
use super::link_socket::LinkSocket;
use super::log;
use super::targets::{Port, TOKEN_BASE, Targets};
use crate::agent::{Action, Agent, Health, LinkState, Outcome};
use crate::base::near::is_near;
use crate::os::foreground::Foreground;
use crate::os::guardians;
use crate::os::notify::Notify;
use crate::os::processes::{Keeping, Processes};
use crate::os::resolve::Resolver;
use crate::os::signal::{Catch, Signal, Signals};
use crate::session::Channel;

pub(super) const TOKEN_LINK: Token = Token(0);
const TOKEN_SIGNALS: Token = Token(1);
pub(super) const TOKEN_SECOND: Token = Token(2);
const TOKEN_HEALTH: usize = 3;
/// Sockets to name servers begin here, behind those of more targets than there may be.
const TOKEN_NAMES: usize = 1 << (usize::BITS - 2);

/// Stands for the foreground program among the owners of processes.
const FOREGROUND_OWNER: usize = usize::MAX;

const _: () = assert!(TOKEN_HEALTH + HealthServer::TOKENS <= TOKEN_BASE);

/// Events taken from the kernel at once; more are ready at the next turn.
const EVENTS_PER_TURN: usize = 1024;

/// Request number of the link at the resolver; targets use their keys, which are never this.
pub(super) const LINK_REQUEST: u64 = u64::MAX;

/// The same of the connection beside the link.
pub(super) const SECOND_REQUEST: u64 = u64::MAX - 1;

/// Without traffic for this long, the memory of the last burst is given back.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// Bytes that nobody wants are read into this.
const DISCARD_BYTES: usize = 16 * 1024;

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
    /// Ship our log lines to the gateway's view, where it has one.
    pub ships_logs: bool,
}

/// TCP keep-alive: seconds of silence before the first probe, between probes, and how many of them may go
/// unanswered.
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    /// Before the first.
    pub after_s: i32,
    /// Between two.
    pub every_s: i32,
    /// How many.
    pub probes: i32,
}

/// What to do when the gateway's name turns out to lie on the open network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenNetwork {
    /// Nothing: the way is encrypted, or it was judged before.
    Fine,
    /// Say once that everybody on the way can read along.
    Warn,
    /// Do not go there.
    Refuse,
}

/// See the module.
pub struct Reactor {
    pub(super) poll: Poll,
    pub(super) agent: Agent,
    pub(super) link: LinkSocket,
    /// Addresses that took a connection since the last link that worked.
    pub(super) suspects: Vec<SocketAddr>,
    /// Beside the link, for a key check that it can't carry.
    pub(super) second: LinkSocket,
    pub(super) targets: Targets,
    pub(super) processes: Processes,
    pub(super) resolver: Resolver,
    signals: Signals,
    pub(super) discard: Box<[u8]>,
    health: Option<HealthServer>,
    notify: Notify,
    has_said_ready: bool,
    open_network: OpenNetwork,
    notified: Option<LinkState>,
    pub(super) foreground: Option<Foreground>,
    foreground_exit: Option<u8>,
    /// How the agent ended before the foreground program did.
    agent_exit: Option<Outcome>,
    pub(super) keepalive: Keepalive,
    ships_logs: bool,
    watchdog_at: Option<Instant>,
    last_traffic: Instant,
    has_released: bool,
    exit: Option<Outcome>,
}

impl Reactor {
    /// A reactor for `agent`.
    pub fn new(agent: Agent, options: Options) -> io::Result<Self> {
        let Options {
            search_path,
            catch,
            notify,
            keeping,
            keepalive,
            open_network,
            ships_logs,
        } = options;
        let poll = Poll::new()?;
        let mut signals = Signals::new(catch)?;
        poll.registry()
            .register(&mut signals, TOKEN_SIGNALS, Interest::READABLE)?;
        let watchdog_at = notify.watchdog().map(|every| Instant::now() + every);
        Ok(Self {
            poll,
            agent,
            link: LinkSocket::None,
            suspects: Vec::new(),
            second: LinkSocket::None,
            targets: Targets::default(),
            processes: Processes::new(search_path, keeping),
            resolver: Resolver::new(TOKEN_NAMES),
            signals,
            discard: vec![0; DISCARD_BYTES].into_boxed_slice(),
            health: None,
            notify,
            has_said_ready: false,
            open_network,
            notified: None,
            foreground: None,
            foreground_exit: None,
            agent_exit: None,
            keepalive,
            ships_logs,
            watchdog_at,
            last_traffic: Instant::now(),
            has_released: true,
            exit: None,
        })
    }

    /// Serves probes and metrics at `address`.
    pub fn serve_health(&mut self, address: &health::Address) -> io::Result<()> {
        let server = HealthServer::new(address, self.poll.registry(), TOKEN_HEALTH)?;
        self.health = Some(server);
        Ok(())
    }

    /// The program beside which we run, started when signals were caught already.
    pub fn accompany(&mut self, program: Foreground) {
        self.processes.track(program.pid(), FOREGROUND_OWNER);
        self.foreground = Some(program);
    }

    /// Runs until the agent is done, or the foreground program has ended.
    pub fn run(&mut self) -> io::Result<(Outcome, Option<u8>)> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        self.settle(Instant::now());
        self.tell_manager(Instant::now());
        loop {
            let timeout = self.timeout(Instant::now());
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            let now = Instant::now();
            for event in &events {
                self.note(now, event);
            }
            self.turn(now);
            if let Some(exit) = self.exit {
                self.last_words(&mut events);
                return Ok((exit, self.foreground_exit));
            }
        }
    }

    /// Waits while leaving: for events, a signal or the end of `left`. `false` when waiting fails.
    pub(super) fn wait_at_most(&mut self, left: Duration, events: &mut Events) -> bool {
        match self.poll.poll(events, Some(left)) {
            Ok(()) => true,
            Err(error) => {
                // The events are those of the wait before.
                events.clear();
                error.kind() == io::ErrorKind::Interrupted
            }
        }
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        let has_work = self.targets.has_ready(self.agent.has_room());
        if has_work || self.link.is_readable() || self.second.is_readable() {
            return Some(Duration::ZERO);
        }
        let idle = (!self.has_released).then(|| self.last_traffic + IDLE_AFTER);
        let deadlines = [
            self.agent.poll_timeout(),
            self.processes.next_kill(),
            self.next_dial(),
            self.gathered_at(),
            self.resolver.poll_timeout(),
            idle,
            self.watchdog_at,
            self.foreground.as_ref().and_then(Foreground::kill_at),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(now))
    }

    fn note(&mut self, now: Instant, event: &mio::event::Event) {
        match event.token() {
            TOKEN_LINK => self.link.note(event),
            TOKEN_SECOND => self.second.note(event),
            TOKEN_SIGNALS => self.signalled(now),
            token if (TOKEN_HEALTH..TOKEN_BASE).contains(&token.0) => self.probed(now, token),
            token if token.0 >= TOKEN_NAMES => {
                self.resolver.note(now, token, self.poll.registry());
                self.resolved(now);
            }
            token if token.0 >= guardians::TOKEN_BASE => self.note_guardian(now, token),
            token => {
                let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                let writable = event.is_writable() || event.is_write_closed() || event.is_error();
                match self.targets.port(token) {
                    Some(Port::Output(id)) => self.note_target(now, id, readable, writable),
                    Some(Port::Error(id)) => self.targets.mark_readable(id, Channel::Error),
                    Some(Port::Input(id)) => {
                        if let Some(entry) = self.targets.get(id) {
                            entry.mark_writable();
                        }
                        self.flush_target(now, id);
                    }
                    None => {}
                }
            }
        }
    }

    fn turn(&mut self, now: Instant) {
        self.resolver.handle_timeout(now, self.poll.registry());
        self.resolved(now);
        self.advance_dials(now);
        self.serve_second(now);
        self.end_gathering(now);
        // Before the deadlines: after a suspension all are overdue, and what came meanwhile counts.
        self.read_link(now);
        self.agent.handle_timeout(now);
        self.processes.kill_overdue(now);
        if let Some(program) = &mut self.foreground {
            program.kill_overdue(now);
        }
        self.settle(now);
        self.read_targets(now);
        log::catch_up(now);
        self.ship_logs();
        self.write_link(now);
        self.tell_manager(now);
        self.gather_link(now);
        if !self.has_released && now >= self.last_traffic + IDLE_AFTER {
            self.has_released = true;
            self.agent.release_idle();
        }
    }

    /// Answers a probe, or takes a step towards it.
    fn probed(&mut self, now: Instant, token: Token) {
        let Some(server) = &mut self.health else {
            return;
        };
        let (agent, processes) = (&self.agent, self.processes.len());
        server.serve(now, token, self.poll.registry(), &mut |question| {
            let health = crate::agent::health(agent, now);
            let is_well = match question {
                Question::Metrics => return (200, crate::agent::metrics(agent, now, processes)),
                Question::Live => true,
                Question::Health => matches!(health, Health::Connected | Health::Stopping),
                Question::Ready => health == Health::Connected,
            };
            let status = if is_well { 200 } else { 503 };
            (status, crate::agent::health_text(agent, now))
        });
    }

    /// Keeps the service manager's idea of us current.
    fn tell_manager(&mut self, now: Instant) {
        if !self.has_said_ready {
            self.has_said_ready = self.notify.send("READY=1");
        }
        let state = self.agent.link_state();
        if self.notified != Some(state) {
            let is_said = self.notify.send(match state {
                LinkState::Waiting => "STATUS=not connected, will try again",
                LinkState::Dialling => "STATUS=connecting",
                LinkState::Connecting => "STATUS=reached the gateway",
                LinkState::Live => "STATUS=connected",
            });
            self.notified = is_said.then_some(state);
        }
        if let (Some(at), Some(every)) = (self.watchdog_at, self.notify.watchdog())
            && now >= at
        {
            self.notify.send("WATCHDOG=1");
            self.watchdog_at = Some(now + every);
        }
    }

    /// Carries out everything that the core asks for, until it asks for nothing more.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if let Some(action) = self.agent.poll_output() {
                self.carry_out(now, action);
                continue;
            }
            match self.agent.poll_dirty() {
                Some(id) => self.flush_target(now, id),
                None => return,
            }
        }
    }

    fn carry_out(&mut self, now: Instant, action: Action) {
        match action {
            Action::DialLink {
                host,
                port,
                is_afresh,
            } => self.dial_link(now, &host, port, is_afresh),
            Action::CloseLink => self.close_link(now),
            Action::DialSecond { host, port } => self.dial_second(now, &host, port),
            Action::CloseSecond => self.close_second(),
            Action::Session(output) => self.carry_out_session(now, output),
            Action::Exit(exit) => self.agent_ended(now, exit),
        }
    }

    /// Hands on what the resolver has found.
    pub(super) fn resolved(&mut self, now: Instant) {
        for (number, addresses) in self.resolver.take_answers() {
            match number {
                LINK_REQUEST => self.link_resolved(now, addresses),
                SECOND_REQUEST => self.second_resolved(now, addresses),
                number => self.target_resolved(now, number, addresses),
            }
        }
    }

    /// Why these addresses are not to be dialled, if what they are forbids it; what it makes
    /// dangerous is said once.
    pub(super) fn forbids(&mut self, addresses: &[SocketAddr]) -> Option<String> {
        let far = addresses.iter().find(|address| !is_near(address.ip()))?;
        match self.open_network {
            OpenNetwork::Fine => None,
            OpenNetwork::Refuse => {
                Some(format!("{far} is on the open network, and there is no TLS"))
            }
            OpenNetwork::Warn => {
                ::log::warn!(
                    "no TLS to {far}: the key and all sessions cross the network readable by \
                     anybody on the way; use a grpcs:// key"
                );
                self.open_network = OpenNetwork::Fine;
                None
            }
        }
    }

    fn signalled(&mut self, now: Instant) {
        for received in self.signals.drain() {
            if received.signal == Signal::Child {
                self.reap(now);
            }
            match (&mut self.foreground, received.signal) {
                (Some(program), _) => program.signal(now, received),
                (None, Signal::Report) => {
                    crate::agent::log_state(&self.agent, now, self.processes.len());
                }
                (None, Signal::Terminate | Signal::Interrupt | Signal::Quit | Signal::Hangup) => {
                    self.notify.send("STOPPING=1");
                    self.agent.stop(now);
                }
                (None, _) => {}
            }
        }
    }

    /// The foreground program has ended, and with it the reason to be here.
    pub(super) fn foreground_ended(&mut self, now: Instant, code: u16) {
        self.foreground = None;
        if self.agent_exit.is_some() {
            self.exit = self.agent_exit;
            return;
        }
        self.foreground_exit = Some(u8::try_from(code).unwrap_or(u8::MAX));
        self.agent.stop_now(now);
    }

    /// The agent is done. A program beside it that still runs is asked to end, and waited for.
    fn agent_ended(&mut self, now: Instant, exit: Outcome) {
        match &mut self.foreground {
            Some(program) => {
                self.agent_exit = Some(exit);
                program.terminate(now);
            }
            None => self.exit = Some(exit),
        }
    }

    /// Hands the lines logged since the last time to the gateway's view; with the link's own
    /// wake-ups, never for their own sake.
    fn ship_logs(&mut self) {
        if self.ships_logs
            && self.agent.has_log_view()
            && let Some(lines) = log::take_shipment()
        {
            self.agent.ship_logs(&lines);
        }
    }

    pub(super) fn saw_traffic(&mut self, now: Instant) {
        self.last_traffic = now;
        self.has_released = !self.agent.holds_burst_memory();
    }
}
