//! The one loop: readiness in, bytes moved, deadlines kept.
//!
//! A turn: wait; note what the kernel says; read the link; write to targets; read targets in
//! rotation while the link has room; write the link. Cost follows what is ready. Nothing blocks
//! but the wait: names are resolved by helper threads, everything else is asynchronous.

use std::ffi::OsString;
use std::io::{self};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use super::dial::Dial;
use super::foreground::Foreground;
use super::health::{self, HealthServer, Question};
use super::link_socket::LinkSocket;
use super::log;
use super::notify::Notify;
use super::processes::Processes;
use super::resolve::{Resolved, Resolver};
use super::signal::{Signal, Signals};
use super::targets::{Port, TOKEN_BASE, Targets};
use crate::agent::{Agent, Exit, Health, LinkState, Output};
use crate::base::near::is_near;
use crate::session::Channel;

pub(super) const TOKEN_LINK: Token = Token(0);
const TOKEN_WAKER: Token = Token(1);
const TOKEN_SIGNALS: Token = Token(2);
const TOKEN_HEALTH: usize = 3;

/// Stands for the foreground program among the owners of processes.
const FOREGROUND_OWNER: usize = usize::MAX;

const _: () = assert!(TOKEN_HEALTH + HealthServer::TOKENS <= TOKEN_BASE);

/// Events taken from the kernel at once; more are ready at the next turn.
const EVENTS_PER_TURN: usize = 1024;

/// Request number of the link at the resolver; targets use their keys, which are never this.
pub(super) const LINK_REQUEST: u64 = u64::MAX;

/// Without traffic for this long, the memory of the last burst is given back.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// Bytes that nobody wants are read into this.
const DISCARD_BYTES: usize = 16 * 1024;

/// What the reactor offers beside relaying.
pub struct Options {
    /// Where commands without a path are looked up.
    pub search_path: OsString,
    /// Where probes and metrics are served, if anywhere.
    pub health: Option<health::Address>,
    /// The service manager.
    pub notify: Notify,
    /// What to do when the gateway's name turns out to lie on the open network.
    pub open_network: OpenNetwork,
    /// Ship our log lines to the gateway's view, where it has one.
    pub ships_logs: bool,
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
    agent_exit: Option<Exit>,
    ships_logs: bool,
    watchdog_at: Option<Instant>,
    last_traffic: Instant,
    has_released: bool,
    exit: Option<Exit>,
}

impl Reactor {
    /// A reactor for `agent`.
    pub fn new(agent: Agent, options: Options) -> io::Result<Self> {
        let Options {
            search_path,
            health,
            notify,
            open_network,
            ships_logs,
        } = options;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), TOKEN_WAKER)?);
        let mut signals = Signals::new()?;
        poll.registry()
            .register(&mut signals, TOKEN_SIGNALS, Interest::READABLE)?;
        let health = match health {
            None => None,
            Some(address) => Some(HealthServer::new(&address, poll.registry(), TOKEN_HEALTH)?),
        };
        let watchdog_at = notify.watchdog().map(|every| Instant::now() + every);
        Ok(Self {
            poll,
            agent,
            link: LinkSocket::None,
            targets: Targets::default(),
            processes: Processes::new(search_path),
            resolver: Resolver::new(waker),
            signals,
            discard: vec![0; DISCARD_BYTES].into_boxed_slice(),
            health,
            notify,
            has_said_ready: false,
            open_network,
            notified: None,
            foreground: None,
            foreground_exit: None,
            agent_exit: None,
            ships_logs,
            watchdog_at,
            last_traffic: Instant::now(),
            has_released: true,
            exit: None,
        })
    }

    /// The program beside which we run, started when signals were caught already.
    pub fn accompany(&mut self, program: Foreground) {
        self.processes.track(program.pid(), FOREGROUND_OWNER);
        self.foreground = Some(program);
    }

    /// Runs until the agent is done, or the foreground program has ended.
    pub fn run(&mut self) -> io::Result<(Exit, Option<u8>)> {
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
        // Rounded up for the same reason as below.
        let left = left + Duration::from_millis(1);
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
        let link_waits = matches!(
            self.link,
            LinkSocket::Open {
                is_readable: true,
                ..
            }
        );
        if has_work || link_waits {
            return Some(Duration::ZERO);
        }
        let idle = (!self.has_released).then(|| self.last_traffic + IDLE_AFTER);
        let deadlines = [
            self.agent.poll_timeout(),
            self.processes.next_kill(),
            self.next_give_up(),
            idle,
            self.watchdog_at,
            self.foreground.as_ref().and_then(Foreground::kill_at),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        // Rounded up: waking a moment early would only mean to wait again.
        Some(next.saturating_duration_since(now) + Duration::from_millis(1))
    }

    fn note(&mut self, now: Instant, event: &mio::event::Event) {
        match event.token() {
            TOKEN_LINK => self.note_link(event),
            TOKEN_WAKER => self.resolved(now),
            TOKEN_SIGNALS => self.signalled(now),
            token if (TOKEN_HEALTH..TOKEN_BASE).contains(&token.0) => self.probed(now, token),
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
        self.advance_dials(now);
        self.settle(now);
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
            (
                if is_well { 200 } else { 503 },
                format!("{}\n", health.word()),
            )
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
            if let Some(output) = self.agent.poll_output() {
                self.carry_out(now, output);
                continue;
            }
            match self.agent.sessions_mut().0.poll_dirty() {
                Some(id) => self.flush_target(now, id),
                None => return,
            }
        }
    }

    fn carry_out(&mut self, now: Instant, output: Output) {
        match output {
            Output::DialLink { host, port } => {
                self.link = LinkSocket::Resolving;
                if self.resolver.submit(LINK_REQUEST, &host, port).is_err() {
                    self.link = LinkSocket::None;
                    self.agent
                        .link_unreachable(now, "too many names are being resolved", "wait");
                }
            }
            Output::CloseLink => self.close_link(now),
            Output::Session(output) => self.carry_out_session(now, output),
            Output::Exit(exit) => self.agent_ended(now, exit),
        }
    }

    fn resolved(&mut self, now: Instant) {
        for Resolved { request, outcome } in self.resolver.take_results() {
            if request != LINK_REQUEST {
                self.target_resolved(now, request, outcome);
                continue;
            }
            let LinkSocket::Resolving = self.link else {
                continue;
            };
            match outcome {
                Ok(addresses) => self.dial_link(now, addresses),
                Err(error) => {
                    self.link = LinkSocket::None;
                    let reason = error.to_string();
                    self.agent.link_unreachable(now, &reason, error.advice());
                }
            }
        }
    }

    fn dial_link(&mut self, now: Instant, addresses: Vec<SocketAddr>) {
        let far = addresses.iter().find(|address| !is_near(address.ip()));
        match (far, self.open_network) {
            (Some(far), OpenNetwork::Refuse) => {
                let reason = format!("{far} is on the open network, and there is no TLS");
                self.link = LinkSocket::None;
                let advice = "use a grpcs:// key, or leave --refuse-plaintext away";
                return self.agent.link_unreachable(now, &reason, advice);
            }
            (Some(far), OpenNetwork::Warn) => {
                ::log::warn!(
                    "no TLS to {far}: the key and all sessions cross the network readable by \
                     anybody on the way; use a grpcs:// key"
                );
                self.open_network = OpenNetwork::Fine;
            }
            _ => {}
        }
        self.link = LinkSocket::Dialling(Dial::new(TOKEN_LINK, addresses));
    }

    fn signalled(&mut self, now: Instant) {
        for signal in self.signals.drain() {
            match signal {
                Signal::Child => self.reap(now),
                signal => match &mut self.foreground {
                    Some(program) => program.signal(now, signal),
                    None => {
                        self.notify.send("STOPPING=1");
                        self.agent.stop(now);
                    }
                },
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
    fn agent_ended(&mut self, now: Instant, exit: Exit) {
        match &mut self.foreground {
            Some(program) => {
                self.agent_exit = Some(exit);
                program.signal(now, Signal::Terminate);
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
