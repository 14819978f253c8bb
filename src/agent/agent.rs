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
//! Every mutation is followed by a drain of [`Agent::poll_output`] and [`Agent::poll_dirty`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::endpoint::{Endpoint, EndpointSource};
use crate::base::{Rng, TimerId, Timers};
use crate::grpc::{Code, Status};
use crate::limits;
use crate::link::{Answer, Backoff, Cause, Event, Link, LinkError, Transport};
use crate::packet::{Kind, Outbox};
use crate::session::{self, Sessions};

/// What an operator may set, beside the sessions' own settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Ask for the stream only while somebody waits for it.
    pub is_embedded: bool,
    /// How often the gateway is asked whether the key still stands.
    pub key_check_interval: Duration,
    /// How long running sessions may go on after the request to stop.
    pub drain_timeout: Duration,
    /// End the program when the gateway refuses the key.
    pub exit_on_revoked: bool,
}

/// Why the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It was asked to, and drained.
    Stopped,
    /// The key was refused, and the operator wants to know by the exit code.
    KeyRefused,
}

/// What the reactor shall do.
pub enum Output {
    /// Resolve and connect the link's socket.
    DialLink {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Send what is pending, then close the link's socket.
    CloseLink,
    /// A session's request.
    Session(session::Output),
    /// Send what is pending, then end the program.
    Exit(Exit),
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

enum Phase {
    Waiting,
    Dialling(Box<Endpoint>),
    Connected(Box<Link>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deadline {
    Retry,
    Connect,
    KeepAlive,
    Ask,
    Drain,
    Leave,
}

/// See the module.
pub struct Agent {
    settings: Settings,
    endpoints: EndpointSource,
    phase: Phase,
    sessions: Sessions,
    outbox: Outbox,
    backoff: Backoff,
    rng: Rng,
    timers: Timers<Deadline>,
    connect_timer: Option<TimerId>,
    outputs: VecDeque<Output>,
    check_due: Instant,
    check_asked: Option<Instant>,
    is_accepted: bool,
    has_log_view: bool,
    stopping: bool,
    /// Closes that the gateway has not confirmed yet, once we are leaving.
    unconfirmed: Option<usize>,
    exit: Option<Exit>,
    counters: LinkCounters,
}

impl Agent {
    /// Dials at once.
    pub fn new(
        now: Instant,
        settings: Settings,
        sessions: Sessions,
        endpoints: EndpointSource,
        rng: Rng,
    ) -> Self {
        let mut agent = Self {
            settings,
            endpoints,
            phase: Phase::Waiting,
            sessions,
            outbox: Outbox::new(),
            backoff: Backoff::default(),
            rng,
            timers: Timers::default(),
            connect_timer: None,
            outputs: VecDeque::new(),
            check_due: now,
            check_asked: None,
            is_accepted: false,
            has_log_view: false,
            stopping: false,
            unconfirmed: None,
            exit: None,
            counters: LinkCounters::default(),
        };
        agent.dial(now);
        agent
    }

    /// The next request to the reactor.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        self.sessions.poll_output().map(Output::Session)
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

    /// All sessions and the packets that they produce, for the reactor's reports.
    pub fn sessions_mut(&mut self) -> (&mut Sessions, &mut Outbox) {
        (&mut self.sessions, &mut self.outbox)
    }

    /// Carries out what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sessions.handle_timeout(now, &mut self.outbox);
        while let Some(deadline) = self.timers.fire(now) {
            match deadline {
                Deadline::Retry => self.dial(now),
                Deadline::Connect => {
                    self.connect_timer = None;
                    self.link_lost(now, "no answer from the gateway in time", Cause::Passing);
                }
                Deadline::KeepAlive => self.keep_alive(now),
                Deadline::Ask => self.ask(now),
                Deadline::Drain => self.leave(now),
                Deadline::Leave => self.farewell(),
            }
        }
        self.leave_when_drained(now);
    }

    // -- the link's socket -----------------------------------------------------------------------

    fn dial(&mut self, now: Instant) {
        match (self.endpoints)() {
            Ok(endpoint) => {
                log::info!("connecting to {}:{}", endpoint.host, endpoint.port);
                self.outputs.push_back(Output::DialLink {
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                });
                self.phase = Phase::Dialling(Box::new(endpoint));
                self.connect_timer = Some(
                    self.timers
                        .arm(now + limits::CONNECT_TIMEOUT, Deadline::Connect),
                );
            }
            Err(reason) => self.link_lost(now, &reason, Cause::Passing),
        }
    }

    /// The socket is connected.
    pub fn link_connected(&mut self, now: Instant) {
        let phase = std::mem::replace(&mut self.phase, Phase::Waiting);
        let Phase::Dialling(endpoint) = phase else {
            self.phase = phase;
            return;
        };
        let Endpoint {
            tunnel,
            tls,
            identity,
            ..
        } = *endpoint;
        let transport = match tls {
            None => Ok(Transport::plaintext()),
            Some((config, name)) => Transport::tls(config, name),
        };
        match transport {
            Ok(transport) => {
                let link = Link::new(now, transport, identity, tunnel);
                self.phase = Phase::Connected(Box::new(link));
                self.link_received(now, 0);
            }
            Err(error) => self.link_failed(now, &LinkError::Transport(error)),
        }
    }

    /// No address of the gateway took the connection.
    pub fn link_unreachable(&mut self, now: Instant, reason: &str) {
        if matches!(self.phase, Phase::Dialling(_)) {
            self.link_lost(now, reason, Cause::Passing);
        }
    }

    /// The socket ended or broke.
    pub fn link_broke(&mut self, now: Instant, reason: &str) {
        if matches!(self.phase, Phase::Connected(_)) {
            self.link_lost(now, reason, Cause::Passing);
        }
    }

    /// Where to read the socket into; `None` while nothing more shall be read.
    pub fn link_read_buffer(&mut self) -> Option<&mut [u8]> {
        match &mut self.phase {
            Phase::Connected(link) if self.outbox.len() < limits::OUTBOX_BYTES_MAX => {
                Some(link.read_buffer())
            }
            _ => None,
        }
    }

    /// `size` bytes were read into [`Agent::link_read_buffer`].
    pub fn link_received(&mut self, now: Instant, size: usize) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        let Self {
            sessions, outbox, ..
        } = self;
        let is_leaving = self.unconfirmed.is_some();
        let mut news = News::default();
        let result = link.received(now, size, &mut |event| match event {
            Event::Packet(packet) => {
                news.packet_seen = true;
                match packet.kind {
                    Some(Kind::AgentSessionClose) if is_leaving => news.confirmed += 1,
                    Some(Kind::AgentGatewayConnectOK) => {}
                    Some(Kind::GatewayFeatureFlagUpdate) => news.flags_seen = true,
                    _ => sessions.handle_packet(now, &packet, outbox),
                }
            }
            Event::Ready => news.is_ready = true,
            Event::StreamEnded(status) => news.ended = Some(status),
            Event::Answered(answer) => news.answer = Some(answer),
            Event::GoAway(code, debug) => {
                log::info!("the gateway says goodbye: {code}, {}", debug.escape_ascii());
                news.goes_away = true;
            }
        });
        self.digest(now, news);
        match (result, &self.phase) {
            (Err(error), Phase::Connected(_)) => self.link_failed(now, &error),
            _ => self.leave_when_drained(now),
        }
    }

    /// Carries out what a read brought, in the order of consequence.
    fn digest(&mut self, now: Instant, news: News) {
        if news.is_ready {
            self.link_ready(now);
        }
        if news.packet_seen && !self.is_accepted {
            self.accepted(now);
        }
        self.has_log_view |= news.flags_seen;
        if let Some(unconfirmed) = &mut self.unconfirmed {
            *unconfirmed = unconfirmed.saturating_sub(news.confirmed);
            if *unconfirmed == 0 {
                self.farewell();
            }
        }
        if let Some(answer) = news.answer {
            self.answered(now, answer);
        }
        if let Some(status) = news.ended {
            self.stream_ended(now, &status);
        } else if news.goes_away && self.sessions.is_empty() {
            self.link_lost(now, "the gateway asked us to reconnect", Cause::Passing);
        }
    }

    fn link_ready(&mut self, now: Instant) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if let Some((version, suite)) = link.describe() {
            log::debug!("TLS established, {version} {suite}");
        }
        if self.settings.is_embedded {
            self.disarm_connect();
            self.ask(now);
        } else {
            self.open_stream(now);
        }
    }

    fn open_stream(&mut self, now: Instant) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if link.open_stream().is_err() {
            return self.link_lost(now, "the gateway takes no further stream", Cause::Passing);
        }
        if self.connect_timer.is_none() {
            self.connect_timer = Some(
                self.timers
                    .arm(now + limits::CONNECT_TIMEOUT, Deadline::Connect),
            );
        }
        self.outbox.clear();
        self.outbox.push(Kind::GatewayKeepAlive, &[], b"");
    }

    /// The first packet shows that the gateway knows us.
    fn accepted(&mut self, now: Instant) {
        self.disarm_connect();
        self.is_accepted = true;
        self.counters.connects += 1;
        self.backoff.connected(now);
        log::info!("connected with success to the gateway");
        self.timers
            .arm(now + limits::KEEPALIVE_INTERVAL, Deadline::KeepAlive);
        self.check_due = now + self.check_interval();
        self.check_asked = None;
    }

    fn disarm_connect(&mut self) {
        if let Some(timer) = self.connect_timer.take() {
            self.timers.cancel(timer);
        }
    }

    fn check_interval(&mut self) -> Duration {
        let third_ms =
            u64::try_from(self.settings.key_check_interval.as_millis() / 3).unwrap_or(u64::MAX);
        self.settings.key_check_interval - Duration::from_millis(self.rng.below(third_ms + 1))
    }

    /// One wake-up: the keep-alive packet, and with it the key check when that is due.
    fn keep_alive(&mut self, now: Instant) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if !self.is_accepted {
            return;
        }
        self.outbox.push(Kind::GatewayKeepAlive, &[], b"");
        if self.check_asked.is_none() && now + limits::KEEPALIVE_INTERVAL / 2 >= self.check_due {
            if link.ask().is_ok() {
                self.check_asked = Some(now);
                let silent_at = link.last_received() + limits::LINK_SILENCE_MAX;
                let patience = now + limits::LINK_SILENCE_MAX / 3;
                self.timers.arm(silent_at.max(patience), Deadline::Ask);
            } else {
                self.counters.check_failures += 1;
            }
        }
        self.timers
            .arm(now + limits::KEEPALIVE_INTERVAL, Deadline::KeepAlive);
    }

    /// Embedded and unused: asks whether somebody waits. Live: judges the unanswered key check.
    fn ask(&mut self, now: Instant) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if self.is_accepted {
            let Some(asked) = self.check_asked else {
                return;
            };
            let silent_at = link.last_received().max(asked - limits::LINK_SILENCE_MAX)
                + limits::LINK_SILENCE_MAX;
            if now >= silent_at {
                return self.link_lost(now, "the gateway has fallen silent", Cause::Passing);
            }
            self.timers.arm(silent_at, Deadline::Ask);
        } else if !link.has_stream() && !link.is_asking() {
            match link.ask() {
                Ok(()) => {
                    let timer = self
                        .timers
                        .arm(now + limits::CONNECT_TIMEOUT, Deadline::Connect);
                    self.connect_timer = Some(timer);
                }
                Err(_) => self.link_lost(now, "the gateway takes no further call", Cause::Passing),
            }
        }
    }

    /// `PreConnect` was answered: the key stands, or somebody waits, or neither.
    fn answered(&mut self, now: Instant, answer: Result<Answer, Status>) {
        let is_check = self.check_asked.take().is_some();
        if !is_check {
            self.disarm_connect();
        }
        match answer {
            Err(status) if status.code == Code::Unauthenticated => self.key_refused(now, &status),
            Err(status) if is_check => {
                self.counters.check_failures += 1;
                log::debug!("key check failed: {status}");
            }
            Err(status) => self.link_lost(now, &status.to_string(), Cause::Passing),
            Ok(_) if is_check => {}
            Ok(answer) if answer.connect => self.open_stream(now),
            Ok(answer) => {
                if !answer.message.is_empty() {
                    log::info!(
                        "the gateway has no use for this agent yet: {}",
                        answer.message
                    );
                }
                self.backoff.connected(now);
                self.timers
                    .arm(now + limits::PRECONNECT_INTERVAL, Deadline::Ask);
            }
        }
        self.check_due = now + self.check_interval();
    }

    fn stream_ended(&mut self, now: Instant, status: &Status) {
        if status.code == Code::Unauthenticated {
            return self.key_refused(now, status);
        }
        self.link_lost(
            now,
            &format!("the gateway ended the stream: {status}"),
            Cause::Passing,
        );
    }

    fn key_refused(&mut self, now: Instant, status: &Status) {
        let text = format!(
            "the gateway refuses the key ({status}): it was deleted, replaced or mistyped; create \
             a new one with 'hoop-lite admin create agent NAME'"
        );
        self.link_lost(now, &text, Cause::Refused);
        if self.settings.exit_on_revoked {
            self.exit(Exit::KeyRefused);
        }
    }

    fn link_failed(&mut self, now: Instant, error: &LinkError) {
        if let Phase::Connected(link) = &mut self.phase {
            link.abort();
        }
        self.link_lost(now, &error.to_string(), Cause::Passing);
    }

    /// The link is over: so is every session behind it. Dialled anew after a while.
    fn link_lost(&mut self, now: Instant, reason: &str, cause: Cause) {
        self.sessions.end_all();
        if !matches!(self.phase, Phase::Waiting) {
            self.outputs.push_back(Output::CloseLink);
        }
        self.counters.failures += 1;
        self.is_accepted = false;
        self.check_asked = None;
        self.timers.clear();
        self.connect_timer = None;
        if self.stopping {
            return self.exit(Exit::Stopped);
        }
        let wait = self.backoff.next_wait(now, cause, &mut self.rng);
        log::warn!(
            "disconnected: {reason}; next attempt in {:.1} s",
            wait.as_secs_f32()
        );
        self.timers.arm(now + wait, Deadline::Retry);
        // The old link must still be able to send what it has to say: see `link_pending`.
        if let Phase::Dialling(_) = self.phase {
            self.phase = Phase::Waiting;
        }
    }

    /// Forgets the link after the reactor carried out [`Output::CloseLink`].
    pub fn link_closed(&mut self) {
        self.phase = Phase::Waiting;
        self.outbox.clear();
    }

    /// Bytes for the link's socket.
    pub fn link_pending(&mut self, now: Instant) -> &[u8] {
        let Phase::Connected(link) = &mut self.phase else {
            return &[];
        };
        link.grant(self.sessions.credit_wanted());
        if let Err(error) = link.transmit(&mut self.outbox) {
            self.link_failed(now, &error);
        }
        match &self.phase {
            Phase::Connected(link) => link.pending(),
            _ => &[],
        }
    }

    /// The socket took `size` of them.
    pub fn link_sent(&mut self, now: Instant, size: usize) {
        if let Phase::Connected(link) = &mut self.phase {
            link.sent(now, size, &self.outbox);
        }
    }

    /// Targets may be read: the link takes more.
    pub fn has_room(&self) -> bool {
        match &self.phase {
            Phase::Connected(link) => link.has_room(&self.outbox),
            _ => false,
        }
    }

    /// The largest payload worth reading now.
    pub fn payload_max(&self) -> usize {
        match &self.phase {
            Phase::Connected(link) => link.payload_max(),
            _ => limits::PAYLOAD_BYTES_MIN,
        }
    }

    /// Nothing has moved for a while: gives memory back.
    pub fn release_idle(&mut self) {
        self.outbox.release_idle();
        if let Phase::Connected(link) = &mut self.phase {
            link.release_idle();
        }
    }

    // -- the end -----------------------------------------------------------------------------------

    /// Asked to stop: no new sessions; running ones may finish within the drain time-out. Asked a
    /// second time: leaves at once.
    pub fn stop(&mut self, now: Instant) {
        if self.stopping {
            return self.leave(now);
        }
        self.stopping = true;
        self.sessions.stop_opening();
        if !self.sessions.is_empty() {
            log::info!("stopping: {} sessions may finish", self.sessions.len());
        }
        self.timers
            .arm(now + self.settings.drain_timeout, Deadline::Drain);
        self.leave_when_drained(now);
    }

    /// Leaves at once: closes what is open, waits for nobody's work.
    pub fn stop_now(&mut self, now: Instant) {
        self.stopping = true;
        self.sessions.stop_opening();
        self.leave(now);
    }

    fn leave_when_drained(&mut self, now: Instant) {
        if self.stopping && self.unconfirmed.is_none() && self.sessions.is_empty() {
            self.leave(now);
        }
    }

    /// Closes sessions by packet and gives the gateway a moment to confirm: what it has not read
    /// when the stream ends is lost on it. Called again, leaves at once.
    fn leave(&mut self, now: Instant) {
        let open = self.sessions.len();
        let is_connected = matches!(self.phase, Phase::Connected(_));
        if self.unconfirmed.is_some() || open == 0 || !is_connected {
            return self.farewell();
        }
        self.unconfirmed = Some(open);
        self.sessions
            .close_all(now, "the agent was stopped", &mut self.outbox);
        self.timers.arm(now + limits::FAREWELL_MAX, Deadline::Leave);
    }

    /// Ends the stream, then the link, then the program.
    fn farewell(&mut self) {
        self.unconfirmed.get_or_insert(0);
        if let Phase::Connected(link) = &mut self.phase {
            link.close(&mut self.outbox);
        }
        self.exit(Exit::Stopped);
    }

    fn exit(&mut self, exit: Exit) {
        if self.exit.is_none() {
            self.exit = Some(exit);
            self.outputs.push_back(Output::Exit(exit));
        }
    }
}

/// What one read of the link's socket brought, gathered while the link is borrowed.
#[derive(Default)]
struct News {
    is_ready: bool,
    packet_seen: bool,
    confirmed: usize,
    flags_seen: bool,
    goes_away: bool,
    answer: Option<Result<Answer, Status>>,
    ended: Option<Status>,
}
