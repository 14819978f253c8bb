//! All sessions of the agent: routing of packets, and the life of a session from open to close.
//!
//! Promises: the first packet of a session is open-OK or close; close is sent once, after the last
//! output; a packet whose kind does not fit the session's protocol is refused; nothing here waits.
//! The reactor carries out [`Output`]s and reports; it never sees a packet.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::draining::RoomClock;
use super::ending::{Confirmations, Ended, send_close};
use super::environment::AgentEnvironment;
use super::output::{Output, Size};
use super::protocol::Protocol;
use super::shares::{Full, Shares, Table, UserKey};
use super::target::{ConnectionId, Kind as TargetKind, Phase, Said, SessionKey, Target, TargetId};
use super::{Counters, environment::Environment};
use crate::base::plain::{Word, beginning};
use crate::base::{Pieces, Slab, Timers};
use crate::limits;
use crate::packet::{Kind, Outbox, Packet, spec};

/// What an operator may set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Relays of all sessions.
    pub relay_count_max: usize,
    /// Bytes waiting for all targets.
    pub queue_bytes_max: usize,
    /// How long a target may take nothing while memory is short.
    pub stall_max: Duration,
    /// How long the output of a command that has ended may go on.
    pub output_after_exit_max: Duration,
    /// How long a target's machine may acknowledge nothing.
    pub silence_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            relay_count_max: limits::RELAY_COUNT_MAX,
            queue_bytes_max: limits::QUEUE_BYTES_MAX,
            stall_max: limits::STALL_MAX,
            output_after_exit_max: limits::OUTPUT_AFTER_EXIT_MAX,
            silence_max: limits::TARGET_SILENCE_MAX,
        }
    }
}

/// What a session is doing.
pub(super) enum State {
    /// Its address is being checked.
    Opening(TargetId),
    /// TCP: connections by the client's ids, and the latest closed ids.
    Tcp {
        open: BTreeMap<ConnectionId, TargetId>,
        closed: VecDeque<ConnectionId>,
    },
    /// A command, once it was started.
    Command {
        target: Option<TargetId>,
        size: Size,
    },
}

/// One session.
pub(super) struct Session {
    pub(super) id: Box<str>,
    /// Who has it, and all that it takes.
    pub(super) user: UserKey,
    pub(super) connection_type: String,
    pub(super) request_port: Vec<u8>,
    pub(super) protocol: &'static Protocol,
    pub(super) command: Vec<Vec<u8>>,
    pub(super) client_args: Vec<Vec<u8>>,
    pub(super) environment: Environment,
    /// What all the above, and the ids of closed connections, take of the heap.
    pub(super) held: usize,
    pub(super) state: State,
}

/// What a deadline is about.
pub(super) enum Deadline {
    Target(TargetId),
    Pressure,
    Credit,
    Memory,
}

/// The table. See the module's promises.
pub struct Sessions {
    pub(super) settings: Settings,
    pub(super) agent: AgentEnvironment,
    pub(super) sessions: Slab<Box<Session>>,
    pub(super) by_id: BTreeMap<Box<str>, SessionKey>,
    pub(super) ended: VecDeque<Ended>,
    pub(super) confirmations: Confirmations,
    pub(super) targets: Slab<Box<Target>>,
    pub(super) timers: Timers<Deadline>,
    /// Time in which the link had room.
    pub(super) room: RoomClock,
    pub(super) outputs: VecDeque<Output>,
    pub(super) dirty: Vec<TargetId>,
    pub(super) buffered: usize,
    pub(super) shares: Shares,
    pub(super) pressure_is_watched: bool,
    /// Bytes that left since credit was last given: they may be replaced at once.
    pub(super) drained: usize,
    /// Credit beyond that, which grows with time while there is pressure.
    pub(super) allowance: usize,
    pub(super) allowed_at: Option<Instant>,
    /// A deadline will ask for more of it.
    pub(super) credit_is_due: bool,
    /// Memory of queues between two uses.
    pub(super) pieces: Pieces,
    /// Targets whose queue holds memory.
    pub(super) warm: Vec<TargetId>,
    is_closing: bool,
    /// What targets have said since that was last asked for.
    pub(super) said: Said,
    /// Whose queue gets the buffer of the packet that was just handled.
    pub(super) keeping: Option<TargetId>,
    pub(super) counters: Counters,
}

/// Exit code of everything that went wrong before or beside the command (upstream's
/// `internalExitCode`).
pub const EXIT_INTERNAL: u16 = 254;

/// The log's name for the life of sessions, whose lines have no rate: they are as many as sessions.
pub(super) const LIFE: &str = "session";

impl Sessions {
    /// An empty table.
    pub fn new(settings: Settings, agent: AgentEnvironment) -> Self {
        Self {
            settings,
            agent,
            sessions: Slab::new(limits::SESSION_COUNT_MAX),
            by_id: BTreeMap::new(),
            ended: VecDeque::new(),
            confirmations: Confirmations::default(),
            targets: Slab::new(settings.relay_count_max),
            timers: Timers::default(),
            room: RoomClock::default(),
            outputs: VecDeque::new(),
            dirty: Vec::new(),
            buffered: 0,
            shares: Shares::new(settings.relay_count_max),
            pressure_is_watched: false,
            drained: 0,
            allowance: 0,
            allowed_at: None,
            credit_is_due: false,
            pieces: Pieces::default(),
            warm: Vec::new(),
            is_closing: false,
            said: Said::Nothing,
            keeping: None,
            counters: Counters::default(),
        }
    }

    /// Sessions that are open or being opened.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// No session is open.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Some close of ours may not have been read by the gateway yet.
    pub fn awaits_confirmation(&self) -> bool {
        self.ended.iter().any(|ended| ended.is_unconfirmed)
    }

    /// Targets of all sessions, those included that only finish their queue.
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }

    /// Bytes waiting for all targets, exactly.
    pub fn buffered_bytes(&self) -> usize {
        self.buffered
    }

    /// The most telling of what targets have said since the last time.
    pub fn take_said(&mut self) -> Said {
        std::mem::take(&mut self.said)
    }

    /// What the parameters of all sessions take of the heap.
    pub fn held_bytes(&self) -> usize {
        self.shares.taken(Table::Bytes)
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The next request to the reactor; drain after every input.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A target that has something to write, or a write side to close.
    #[must_use]
    pub fn poll_dirty(&mut self) -> Option<TargetId> {
        let id = self.dirty.pop()?;
        if let Some(target) = self.targets.get_mut(id.0) {
            target.is_dirty = false;
        }
        Some(id)
    }

    /// When [`Sessions::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Carries out what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(deadline) = self.timers.fire(now) {
            match deadline {
                Deadline::Target(id) => self.target_overdue(now, id, outbox),
                Deadline::Memory => self.release_idle(now),
                Deadline::Credit => self.credit_is_due = false,
                Deadline::Pressure => {
                    self.pressure_is_watched = false;
                    self.relieve_pressure(now, outbox);
                }
            }
        }
    }

    /// One packet from the gateway.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>, outbox: &mut Outbox) {
        let Some(kind) = packet.kind else {
            log::debug!("packet of unknown kind {:.40} ignored", packet.kind_name);
            return;
        };
        if !is_for_session(kind) {
            return;
        }
        let Some(id) = packet.spec(spec::SESSION_ID).and_then(session_id) else {
            log::warn!("packet {} without a usable session id ignored", kind.name());
            return;
        };
        if self.refuse_system(kind, id, outbox) {
            return;
        }
        if kind == Kind::AgentSessionOpen {
            return self.open(now, id, packet, outbox);
        }
        let Some(key) = self.by_id.get(id).copied() else {
            return self.handle_stray(now, kind, id, outbox);
        };
        match kind {
            Kind::AgentSessionClose => {
                log::info!(target: LIFE, "sid={} session closed by the gateway", Word(id));
                self.end(now, key);
            }
            // Where they mean nothing, they do no harm.
            Kind::AgentTerminalResizeTTY => self.resize(key, packet.payload),
            Kind::AgentCloseTCPConnection => self.tcp_close(now, key, packet),
            Kind::AgentTerminalClose => {}
            _ if !self.takes(key, kind) => self.refuse_kind(now, key, kind, outbox),
            Kind::AgentExecWriteStdin => self.exec(now, key, packet.payload, outbox),
            Kind::AgentTerminalWriteStdin => self.terminal(now, key, packet.payload, outbox),
            _ => self.tcp_write(now, key, packet, outbox),
        }
    }

    /// Answers a request of the gateway itself; `false` for a packet that is none.
    pub(super) fn refuse_system(&self, kind: Kind, id: &str, outbox: &mut Outbox) -> bool {
        let Some((kind, payload)) = super::system::refuse(kind, id) else {
            return false;
        };
        log::info!("sid={} system request refused: {}", Word(id), kind.name());
        let entries = [(spec::SESSION_ID, id.as_bytes())];
        outbox.push(kind, &entries, payload.as_bytes());
        true
    }

    /// A packet for a session that is not open: late ones are normal, others hear of it.
    pub(super) fn handle_stray(&mut self, now: Instant, kind: Kind, id: &str, outbox: &mut Outbox) {
        let known = self.find_ended(id).and_then(|at| self.ended.get_mut(at));
        let is_late = known.is_some();
        if let Some(ended) = known
            && kind == Kind::AgentSessionClose
            && std::mem::take(&mut ended.is_unconfirmed)
        {
            self.confirmed(now);
        }
        let opens_nothing = matches!(
            kind,
            Kind::AgentSessionClose
                | Kind::AgentCloseTCPConnection
                | Kind::AgentTerminalResizeTTY
                | Kind::AgentTerminalClose
        );
        if is_late || opens_nothing {
            return;
        }
        let text = match kind {
            Kind::AgentTCPConnectionWrite => {
                "connection params not found, contact the administrator"
            }
            _ => "internal error, connection params not found",
        };
        // The gateway need not know it either, and then confirms nothing.
        self.remember_ended(id.into(), false);
        send_close(outbox, id, EXIT_INTERNAL, text);
    }

    /// Whether packets of this kind bring something for this session.
    fn takes(&self, key: SessionKey, kind: Kind) -> bool {
        let session = self.session(key);
        session.is_some_and(|session| session.protocol.from_client.contains(&kind))
    }

    /// A packet that this session's protocol does not know: the session ends with a word for it.
    pub(super) fn refuse_kind(
        &mut self,
        now: Instant,
        key: SessionKey,
        kind: Kind,
        outbox: &mut Outbox,
    ) {
        self.counters.refused += 1;
        let text = match self.session(key) {
            Some(session) => format!(
                "this session of type {} does not accept {} packets",
                beginning(&session.connection_type, limits::TYPE_ECHO_BYTES_MAX),
                kind.name()
            ),
            None => return,
        };
        self.close(now, key, EXIT_INTERNAL, &text, outbox);
    }

    /// Refuses new sessions from now on.
    pub fn stop_opening(&mut self) {
        self.is_closing = true;
    }

    /// New sessions are refused.
    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }

    pub(super) fn session(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(key.0).map(Box::as_ref)
    }

    pub(super) fn session_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key.0).map(Box::as_mut)
    }

    pub(super) fn target(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(id.0).map(Box::as_ref)
    }

    pub(super) fn target_mut(&mut self, id: TargetId) -> Option<&mut Target> {
        self.targets.get_mut(id.0).map(Box::as_mut)
    }

    /// A new target with its deadline, if the user may have one more.
    pub(super) fn new_target(
        &mut self,
        now: Instant,
        session: SessionKey,
        kind: TargetKind,
        timeout: Option<Duration>,
    ) -> Result<TargetId, Full> {
        let nobody = Full::table(Table::Relays);
        let user = self.session(session).ok_or(nobody)?.user;
        let is_process = kind.is_process();
        if is_process {
            self.shares.ask(user, Table::Processes, 1)?;
        }
        self.shares.take(user, Table::Relays, 1)?;
        if is_process {
            self.shares.take(user, Table::Processes, 1)?;
        }
        let target = Box::new(Target::new(session, user, kind, now));
        // The table of shares is not larger.
        let id = TargetId(self.targets.insert(target).map_err(|_| nobody)?);
        if let Some(timeout) = timeout {
            self.arm(id, now + timeout);
        }
        Ok(id)
    }

    /// Replaces a target's deadline.
    pub(super) fn arm(&mut self, id: TargetId, at: Instant) {
        self.disarm(id);
        let timer = self.timers.arm(at, Deadline::Target(id));
        if let Some(target) = self.target_mut(id) {
            target.timer = Some(timer);
        }
    }

    /// Takes a target's deadline back.
    pub(super) fn disarm(&mut self, id: TargetId) {
        if let Some(timer) = self.target_mut(id).and_then(|target| target.timer.take()) {
            self.timers.cancel(timer);
        }
    }

    /// Puts a target on the list that the reactor looks at.
    pub(super) fn mark_dirty(&mut self, id: TargetId) {
        if let Some(target) = self.targets.get_mut(id.0)
            && !target.is_dirty
        {
            target.is_dirty = true;
            self.dirty.push(id);
        }
    }

    /// Removes a target, whatever it still holds.
    pub(super) fn drop_target(&mut self, id: TargetId, reset: bool) {
        self.disarm(id);
        if let Some(target) = self.targets.remove(id.0) {
            self.buffered -= target.queue.len();
            self.shares.give(target.user, Table::Files, target.files);
            if target.kind.is_process() {
                self.shares.give(target.user, Table::Processes, 1);
            }
            self.shares.give(target.user, Table::Relays, 1);
            let end = target.end;
            let target = id;
            self.outputs.push_back(Output::Close { target, reset, end });
        }
    }

    /// The session that relays `id`, if its bytes are still wanted.
    pub(super) fn relaying(&self, id: TargetId) -> Option<(&Session, &Target)> {
        let target = self.target(id)?;
        if !target.is_relayed() {
            return None;
        }
        Some((self.session(target.session?)?, target))
    }

    fn target_overdue(&mut self, now: Instant, id: TargetId, outbox: &mut Outbox) {
        let Some(target) = self.target_mut(id) else {
            return;
        };
        target.timer = None;
        match (&target.kind, target.phase) {
            (TargetKind::Probe, _) => {
                self.target_failed(now, id, "i/o timeout", outbox);
            }
            (_, Phase::Starting) => self.target_failed(now, id, "i/o timeout", outbox),
            (_, Phase::Lingering) => self.linger_overdue(now, id),
            (kind, Phase::Streaming) if kind.is_process() => self.drain_overdue(now, id, outbox),
            (_, Phase::Streaming) => self.look_at_peer(id),
        }
    }
}

/// A request of the gateway or of a session's client; everything else is ours to send, not to get.
fn is_for_session(kind: Kind) -> bool {
    let name = kind.name();
    (name.starts_with("Agent") && kind != Kind::AgentGatewayConnectOK) || name.starts_with("Sys")
}

/// A session id as it came: opaque text of bounded length.
pub(super) fn session_id(bytes: &[u8]) -> Option<&str> {
    let usable = !bytes.is_empty() && bytes.len() <= limits::ID_BYTES_MAX;
    std::str::from_utf8(bytes).ok().filter(|_| usable)
}
