//! The root machine: one link at a time, all sessions, and when to leave.
//!
//! ```text
//!              dialled           TLS + HTTP/2            stream accepted
//!  Waiting --------> Dialling --------> Connecting ----------------> Live
//!     ^                 |                   |  ^ embedded: asks until  |
//!     |                 |                   |  | somebody waits        |
//!     |                 |                   +--+---> Closing <---------+
//!     +---- back-off ---+-------------------------------+
//! ```
//!
//! Every mutation is followed by a drain of [`Agent::poll_output`] and of [`Agent::poll_dirty`]. What happens
//! to a target comes in by [`Agent::handle_report`], and by nothing else.
//!
//! The life of the link is in `linking.rs`; its parts are the phase, the key check (`key_check.rs`), what is
//! remembered from link to link (`history.rs`) and what the shell is asked for (`agenda.rs`).

use std::time::{Duration, Instant};

use super::agenda::{Action, Agenda, Deadline, Outcome};
use super::endpoint::EndpointSource;
use super::history::{History, KeyState, LinkCounters};
use super::leaving::Leaving;
use super::phase::Phase;
use crate::base::Rng;
use crate::limits;
use crate::link::Link;
use crate::packet::{Kind, Outbox};
use crate::session::{Channel, Report, Sessions, TargetId};

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

/// What people and probes want to know about the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// Between attempts.
    Waiting,
    /// Resolving and connecting.
    Dialling,
    /// TLS, HTTP/2, or the stream is asked for.
    Connecting,
    /// Embedded: the gateway accepts the key, and nobody needs us yet.
    Idle,
    /// Packets flow.
    Live,
}

/// See the module.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use hoop_lite::{agent::*, base::{Rng, Secret}, link::AgentIdentity, session::Sessions};
/// # let settings = AgentSettings {
/// #     is_embedded: false,
/// #     key_check_interval: Duration::from_secs(15),
/// #     drain_timeout: Duration::ZERO,
/// #     reconnect_max: Duration::from_secs(30),
/// #     exit_on_revoked: false,
/// # };
/// # let identity = || AgentIdentity {
/// #     is_encrypted: false,
/// #     authority: "gateway:8010".into(),
/// #     token: Secret::new("token"),
/// #     metadata: Vec::new(),
/// #     preconnect: Vec::new(),
/// #     user_agent: "example".into(),
/// # };
/// # let endpoints = Box::new(move || {
/// #     Ok(Endpoint {
/// #         host: "gateway".into(),
/// #         port: 8010,
/// #         place: "gateway:8010".into(),
/// #         tunnel: None,
/// #         tls: None,
/// #         identity: identity(),
/// #     })
/// # });
/// # let sessions = Sessions::new(Default::default(), Default::default());
/// # let now = Instant::now();
/// let mut agent = Agent::new(now, settings, sessions, endpoints, Rng::new(1));
/// assert!(matches!(agent.poll_output(), Some(Action::DialLink { port: 8010, .. })));
/// assert_eq!(agent.link_state(), LinkState::Dialling);
///
/// // The socket is connected, and breaks: what is left to be said, then the end of the socket.
/// agent.link_connected(now);
/// assert_eq!(agent.link_state(), LinkState::Connecting);
/// agent.link_broke(now, "connection reset by peer");
/// assert!(matches!(agent.poll_output(), Some(Action::CloseLink)));
/// agent.link_closed();
/// assert_eq!(agent.link_state(), LinkState::Waiting);
///
/// // After a while it is dialled anew, until somebody asks the agent to stop.
/// let retry = agent.poll_timeout().expect("a deadline");
/// agent.handle_timeout(retry);
/// assert!(matches!(agent.poll_output(), Some(Action::DialLink { .. })));
/// agent.stop(retry);
/// let last = std::iter::from_fn(|| agent.poll_output()).last();
/// assert!(matches!(last, Some(Action::Exit(Outcome::Stopped))));
/// ```
pub struct Agent {
    pub(super) settings: AgentSettings,
    pub(super) endpoints: EndpointSource,
    pub(super) phase: Phase,
    pub(super) sessions: Sessions,
    pub(super) outbox: Outbox,
    pub(super) agenda: Agenda,
    pub(super) history: History,
    pub(super) leaving: Leaving,
    pub(super) rng: Rng,
    /// The gateway has a view for the agent's log lines.
    pub(super) has_log_view: bool,
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
        let mut agent = Self::idle(settings, sessions, endpoints, rng);
        agent.dial(now);
        agent
    }

    /// Never dials: there is nowhere to go, but a reason to be here.
    pub fn idle(
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
            agenda: Agenda::default(),
            history: History::new(settings.reconnect_max),
            leaving: Leaving::NotYet,
            rng,
            has_log_view: false,
        }
    }

    /// The next request to the reactor.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Action> {
        if let Some(action) = self.agenda.pop() {
            return Some(action);
        }
        self.sessions.poll_output().map(Action::Session)
    }

    /// When [`Agent::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.agenda.next_deadline(), self.sessions.poll_timeout()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The state of the link.
    pub fn link_state(&self) -> LinkState {
        match &self.phase {
            Phase::Waiting | Phase::Closing(_) => LinkState::Waiting,
            Phase::Dialling(..) => LinkState::Dialling,
            Phase::Connecting(connecting) if connecting.is_idle() => LinkState::Idle,
            Phase::Connecting(_) => LinkState::Connecting,
            Phase::Live(..) => LinkState::Live,
        }
    }

    /// Where the link leads, for people; empty while that is not known.
    pub fn place(&self) -> &str {
        self.history.place()
    }

    /// It was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.leaving.is_asked()
    }

    /// When the gateway was last heard.
    pub fn last_received(&self) -> Option<Instant> {
        Some(self.phase.link()?.last_received())
    }

    /// How long the gateway has given no credit, though packets wait for it: it waits itself, as a rule
    /// for a client that does not read.
    pub fn without_credit(&self, now: Instant) -> Duration {
        let since = self.phase.link().and_then(|link| link.blocked_since());
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// The gateway has a view for the agent's log lines.
    pub fn has_log_view(&self) -> bool {
        self.has_log_view && matches!(self.phase, Phase::Live(..))
    }

    /// Sends log lines (a JSON array) to the gateway's view.
    pub fn ship_logs(&mut self, lines: &[u8]) {
        if self.has_log_view() {
            self.outbox.push(Kind::ClientAgentLogs, &[], lines);
        }
    }

    /// What the gateway last said to the key.
    pub fn key_state(&self) -> KeyState {
        self.history.key_state()
    }

    /// When the certificate ends that the gateway showed last, in seconds since 1970.
    pub fn certificate_end(&self) -> Option<u64> {
        self.history.certificate_end
    }

    /// Totals of the link.
    pub fn counters(&self) -> LinkCounters {
        self.history.counters()
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

    /// This target is read only while the link has room; see [`Sessions::needs_room`].
    pub fn needs_room(&self, target: TargetId) -> bool {
        self.sessions.needs_room(target)
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
        while let Some(deadline) = self.agenda.fire(now) {
            match deadline {
                Deadline::Retry => self.dial(now),
                Deadline::Connect => self.not_connected_in_time(now),
                Deadline::KeepAlive => self.keep_alive(now),
                Deadline::Ask => self.ask_for_users(now),
                Deadline::Judge => self.judge_silence(now),
                Deadline::Second => {
                    self.second_failed("no answer in time over a second connection");
                }
                Deadline::Drain => self.drain_over(now),
                Deadline::Farewell => self.say_farewell(now),
            }
        }
        self.leave_when_drained(now);
    }

    /// Targets may be read: the link takes more.
    pub fn has_room(&self) -> bool {
        let link = self.phase.link();
        link.is_some_and(|link| link.has_room(&self.outbox))
    }

    /// The largest payload worth reading now.
    pub fn payload_max(&self) -> usize {
        let link = self.phase.link();
        link.map_or(limits::PAYLOAD_BYTES_MIN, Link::payload_max)
    }

    /// A burst has left memory behind that is worth a wake-up to give back.
    pub fn holds_burst_memory(&mut self) -> bool {
        let link = self.phase.link_mut();
        link.is_some_and(Link::holds_burst_memory)
            || self.outbox.capacity() > limits::LINK_BUFFER_BYTES_IDLE
            || self.sessions.holds_burst_memory()
    }

    /// Nothing has moved for a while: gives memory back.
    pub fn release_idle(&mut self) {
        self.outbox.release_idle();
        self.sessions.release_idle();
        if let Some(link) = self.phase.link_mut() {
            link.release_idle();
        }
    }

    /// The second socket is connected.
    pub fn second_connected(&mut self, now: Instant) {
        if let Phase::Live(link, check) = &mut self.phase {
            let identity = link.identity();
            let news = check.second().connected(now, identity, &mut self.agenda);
            self.hear_second(now, news);
        }
    }

    /// The second socket could not be connected, or broke.
    pub fn second_failed(&mut self, reason: &str) {
        if let Phase::Live(_, check) = &mut self.phase
            && !check.second().is_none()
        {
            check.second().close(&mut self.agenda);
            self.history.check_failed(reason);
        }
    }

    /// Where to read the second socket into.
    pub fn second_read_buffer(&mut self) -> Option<&mut [u8]> {
        match &mut self.phase {
            Phase::Live(_, check) => check.second().read_buffer(),
            _ => None,
        }
    }

    /// `size` bytes were read into [`Agent::second_read_buffer`].
    pub fn second_received(&mut self, now: Instant, size: usize) {
        if let Phase::Live(_, check) = &mut self.phase {
            let news = check.second().received(now, size);
            self.hear_second(now, news);
        }
    }

    /// Encrypts what may leave over the second socket, and lends the bytes for it.
    pub fn second_encrypt(&mut self, now: Instant) -> &[u8] {
        match &mut self.phase {
            Phase::Live(_, check) => check.second().encrypt(now),
            _ => &[],
        }
    }

    /// The second socket took `size` of them.
    pub fn second_sent(&mut self, now: Instant, size: usize) {
        if let Phase::Live(_, check) = &mut self.phase {
            check.second().sent(now, size);
        }
    }

    /// Asked to stop: no new sessions; running ones may finish within the drain time-out. Asked a
    /// second time: leaves at once.
    pub fn stop(&mut self, now: Instant) {
        if self.leaving != Leaving::NotYet {
            return self.leave(now);
        }
        self.leaving = Leaving::Draining;
        self.sessions.stop_opening();
        if !self.sessions.is_empty() {
            log::info!(
                "stopping: {} sessions may finish, for {:.1} s",
                self.sessions.len(),
                self.settings.drain_timeout.as_secs_f32()
            );
        }
        self.agenda
            .arm(now + self.settings.drain_timeout, Deadline::Drain);
        self.leave_when_drained(now);
    }

    /// Leaves at once: closes what is open, waits for nobody's work.
    pub fn stop_now(&mut self, now: Instant) {
        self.sessions.stop_opening();
        self.leave(now);
    }

    /// The sessions' time to finish is over.
    fn drain_over(&mut self, now: Instant) {
        if !self.sessions.is_empty() {
            log::warn!(
                "stopping: the time to finish is over, closing {} sessions",
                self.sessions.len()
            );
        }
        self.leave(now);
    }

    pub(super) fn leave_when_drained(&mut self, now: Instant) {
        if self.leaving == Leaving::Draining && self.sessions.is_empty() {
            self.leave(now);
        }
    }

    /// Closes sessions by packet and gives the gateway a moment to confirm: what it has not read
    /// when the stream ends is lost on it. Called again, leaves at once.
    fn leave(&mut self, now: Instant) {
        self.sessions
            .close_all(now, "the agent was stopped", &mut self.outbox);
        let has_stream = self.phase.link().is_some_and(|link| link.has_stream());
        let is_first = matches!(self.leaving, Leaving::NotYet | Leaving::Draining);
        if !is_first || !has_stream || !self.sessions.awaits_confirmation() {
            return self.say_farewell(now);
        }
        self.leaving = Leaving::Confirming;
        self.agenda
            .arm(now + limits::FAREWELL_MAX, Deadline::Farewell);
    }

    /// Ends the stream, then the link, then the program.
    pub(super) fn say_farewell(&mut self, now: Instant) {
        if let Phase::Dialling(..) = self.phase {
            self.agenda.push(Action::CloseLink);
        }
        if let Some(mut link) = self.phase.give_link_up(&mut self.agenda) {
            link.close(now, &mut self.outbox);
            self.phase = Phase::Closing(link);
        }
        self.exit(Outcome::Stopped);
    }

    pub(super) fn exit(&mut self, outcome: Outcome) {
        if matches!(self.leaving, Leaving::Over(_)) {
            return;
        }
        self.leaving = Leaving::Over(outcome);
        self.agenda.clear_deadlines();
        if outcome == Outcome::Stopped {
            log::info!("stopped");
        }
        self.agenda.push(Action::Exit(outcome));
    }
}
