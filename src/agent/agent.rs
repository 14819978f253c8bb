//! The root machine: one link at a time, all sessions, and when to leave.
//!
//! ```text
//!              dialled           TLS + HTTP/2            stream open
//!  Waiting --------> Dialling --------> Connecting ----------------> Live
//!     ^                 |                   |  ^ embedded: asks until |
//!     |                 |                   |  | somebody waits       |
//!     +---- back-off ---+-------------------+--+----------------------+
//! ```
//!
//! Every mutation is followed by a drain of [`Agent::poll_output`] and of [`Agent::poll_dirty`]. What happens
//! to a target comes in by [`Agent::handle_report`], and by nothing else.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::checking::Second;
use super::endpoint::{Endpoint, EndpointSource};
use super::trouble;
use crate::base::{Rng, TimerId, Timers};
use crate::link::{Backoff, Cause, Link};
use crate::packet::{Kind, Outbox};
use crate::session::{self, Channel, Report, Sessions, TargetId};

/// What an operator may set, beside the sessions' own settings.
#[derive(Clone, Copy, Debug)]
pub struct AgentSettings {
    /// Ask for the stream only while somebody waits for it.
    pub is_embedded: bool,
    /// How often the gateway is asked whether the key still stands.
    pub key_check_interval: Duration,
    /// How long running sessions may go on after the request to stop.
    pub drain_timeout: Duration,
    /// Longest wait between two attempts to reach the gateway.
    pub reconnect_max: Duration,
    /// End the program when the gateway refuses the key.
    pub exit_on_revoked: bool,
}

/// Why the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was asked to, and drained.
    Stopped,
    /// The key was refused, and the operator wants to know by the exit code.
    KeyRefused,
}

/// What the reactor shall do.
pub enum Action {
    /// Resolve and connect the link's socket.
    DialLink {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// The last link worked, or there was none: no address of the name is worse than the others.
        is_afresh: bool,
    },
    /// Send what is pending, then close the link's socket.
    CloseLink,
    /// Resolve and connect a second socket, for one key check.
    DialSecond {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Close the second socket.
    CloseSecond,
    /// A session's request.
    Session(session::Output),
    /// Send what is pending, then end the program.
    Exit(Outcome),
}

/// What people and probes want to know about the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// Between attempts.
    Waiting,
    /// Resolving and connecting.
    Dialling,
    /// TLS, HTTP/2, or waiting for somebody to need us.
    Connecting,
    /// Packets flow.
    Live,
}

/// Totals of the link; for logs and metrics.
#[derive(Clone, Copy, Default, Debug)]
pub struct LinkCounters {
    /// Streams that the gateway accepted.
    pub connects: u64,
    /// Attempts that failed and links that ended.
    pub failures: u64,
    /// Key checks that were not answered or failed for another reason than the key.
    pub check_failures: u64,
}

pub(super) enum Phase {
    Waiting,
    Dialling(Box<Endpoint>),
    Connected(Box<Link>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    Retry,
    Connect,
    KeepAlive,
    Ask,
    Second,
    Drain,
    Leave,
}

/// See the module.
pub struct Agent {
    pub(super) settings: AgentSettings,
    pub(super) endpoints: EndpointSource,
    pub(super) phase: Phase,
    pub(super) sessions: Sessions,
    pub(super) outbox: Outbox,
    pub(super) backoff: Backoff,
    pub(super) rng: Rng,
    pub(super) timers: Timers<Deadline>,
    pub(super) connect_timer: Option<TimerId>,
    pub(super) outputs: VecDeque<Action>,
    pub(super) check_due: Instant,
    pub(super) check_asked: Option<Instant>,
    /// The last check failed, which has been told.
    pub(super) has_check_failed: bool,
    /// When an unanswered check is judged.
    pub(super) check_timer: Option<TimerId>,
    /// The connection beside the link, for a key check that the link can't carry.
    pub(super) second: Second,
    /// It was told that this link carries one call at a time.
    pub(super) is_limit_told: bool,
    /// How often, and when last, the gateway was seen to give credit on the stream.
    pub(super) credit_seen: (u32, Instant),
    /// Where the link leads, for people.
    pub(super) place: String,
    pub(super) is_accepted: bool,
    /// The gateway has taken the stream, or told an embedded agent to wait, on this link.
    pub(super) is_known: bool,
    /// It had done so on the last link, or there was none.
    pub(super) was_known: bool,
    /// It has done so on any link.
    pub(super) has_worked: bool,
    pub(super) has_log_view: bool,
    pub(super) stopping: bool,
    /// Every session is closed; only the gateway's confirmation is waited for.
    pub(super) is_leaving: bool,
    pub(super) exit: Option<Outcome>,
    pub(super) counters: LinkCounters,
}

impl Agent {
    /// Dials at once.
    pub fn new(
        now: Instant,
        settings: AgentSettings,
        sessions: Sessions,
        endpoints: EndpointSource,
        rng: Rng,
    ) -> Self {
        let mut agent = Self::idle(now, settings, sessions, endpoints, rng);
        agent.dial(now);
        agent
    }

    /// Never dials: there is nowhere to go, but a reason to be here.
    pub fn idle(
        now: Instant,
        settings: AgentSettings,
        sessions: Sessions,
        endpoints: EndpointSource,
        rng: Rng,
    ) -> Self {
        Self {
            settings,
            endpoints,
            phase: Phase::Waiting,
            sessions,
            outbox: Outbox::new(),
            backoff: Backoff::new(settings.reconnect_max),
            rng,
            timers: Timers::default(),
            connect_timer: None,
            outputs: VecDeque::new(),
            check_due: now,
            check_asked: None,
            has_check_failed: false,
            check_timer: None,
            second: Second::None,
            is_limit_told: false,
            credit_seen: (0, now),
            place: String::new(),
            is_accepted: false,
            is_known: false,
            was_known: true,
            has_worked: false,
            has_log_view: false,
            stopping: false,
            is_leaving: false,
            exit: None,
            counters: LinkCounters::default(),
        }
    }

    /// The next request to the reactor.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Action> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        self.sessions.poll_output().map(Action::Session)
    }

    /// When [`Agent::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.timers.next(), self.sessions.poll_timeout()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The state of the link.
    pub fn link_state(&self) -> LinkState {
        match &self.phase {
            Phase::Waiting => LinkState::Waiting,
            Phase::Dialling(_) => LinkState::Dialling,
            Phase::Connected(_) if self.is_accepted => LinkState::Live,
            Phase::Connected(_) => LinkState::Connecting,
        }
    }

    /// It was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// When the gateway was last heard.
    pub fn last_received(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Connected(link) => Some(link.last_received()),
            _ => None,
        }
    }

    /// How long the gateway has given no credit, though packets wait for it: it waits itself, as a rule
    /// for a client that does not read.
    pub fn without_credit(&self, now: Instant) -> Duration {
        let since = match &self.phase {
            Phase::Connected(link) => link.blocked_since(),
            _ => None,
        };
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// The gateway has a view for the agent's log lines.
    pub fn has_log_view(&self) -> bool {
        self.has_log_view && self.is_accepted
    }

    /// Sends log lines (a JSON array) to the gateway's view.
    pub fn ship_logs(&mut self, lines: &[u8]) {
        if self.has_log_view() {
            self.outbox.push(Kind::ClientAgentLogs, &[], lines);
        }
    }

    /// Totals of the link.
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// All sessions, to be looked at.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// All packets on their way to the gateway, to be looked at.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The shell has seen this of a target.
    pub fn handle_report(&mut self, now: Instant, target: TargetId, report: Report<'_>) {
        let outbox = &mut self.outbox;
        self.sessions.handle_report(now, target, report, outbox);
    }

    /// A target that has something to write, or a write side to close.
    #[must_use]
    pub fn poll_dirty(&mut self) -> Option<TargetId> {
        self.sessions.poll_dirty()
    }

    /// The bytes that wait for a target that can take them, as they lie, for one write of all.
    pub fn pending_parts(&self, target: TargetId) -> impl Iterator<Item = &[u8]> {
        self.sessions.pending_parts(target)
    }

    /// The write side of a target is to be closed now; asked once.
    #[must_use]
    pub fn take_shutdown(&mut self, target: TargetId) -> bool {
        self.sessions.take_shutdown(target)
    }

    /// Somebody listens to this target, or may yet. The others are read whether the link has room or not:
    /// what they say costs none, and they might not take the rest of their own before it is taken.
    pub fn is_heard(&self, target: TargetId) -> bool {
        self.sessions.is_heard(target)
    }

    /// Whether this channel is to be read at all.
    pub fn wants_read(&self, target: TargetId, channel: Channel) -> bool {
        self.sessions.wants_read(target, channel)
    }

    /// Room for up to `size_max` bytes of a target, in the packet that will carry them. `None`: nobody
    /// listens; read and forget.
    pub fn read_slot(
        &mut self,
        target: TargetId,
        channel: Channel,
        size_max: usize,
    ) -> Option<&mut [u8]> {
        let outbox = &mut self.outbox;
        self.sessions.read_slot(target, channel, size_max, outbox)
    }

    /// Carries out what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sessions.handle_timeout(now, &mut self.outbox);
        while let Some(deadline) = self.timers.fire(now) {
            match deadline {
                Deadline::Retry => self.dial(now),
                Deadline::Connect => {
                    self.connect_timer = None;
                    let reason = trouble::silent(match &self.phase {
                        Phase::Connected(link) => Some(link),
                        _ => None,
                    });
                    self.link_lost(now, &reason, Cause::Passing);
                }
                Deadline::KeepAlive => self.keep_alive(now),
                Deadline::Ask => self.ask(now),
                Deadline::Drain => self.drain_over(now),
                Deadline::Leave => self.farewell(now),
                Deadline::Second => self.second_overdue(),
            }
        }
        self.leave_when_drained(now);
    }
}
