//! All sessions of the agent: routing of packets, and the life of a session from open to close.
//!
//! Promises: the first packet of a session is open-OK or close; close is sent once, after the last
//! output; a packet whose kind does not fit the session's protocol is refused; nothing here waits.
//! The reactor carries out [`Output`]s and reports (`reports.rs`); it never sees a packet.

use std::time::Instant;

use super::admission::{self, Admission};
use super::book::Book;
use super::counters::Counters;
use super::ending::{EXIT_INTERNAL, send_close};
use super::environment::AgentEnvironment;
use super::error::SessionError;
use super::events::{self, End};
use super::figures::Figures;
use super::means::{Means, Sources};
use super::names::{SessionKey, TargetId, session_id};
use super::opening::Wish;
use super::output::Output;
use super::protocol;
use super::said::Said;
use super::session::{Contents, Session};
use super::session_limits::SessionLimits;
use super::shares::{Full, Shares, Table};
use super::system;
use super::targets::Targets;
use super::turn::{self, Turn};
use crate::base::Fields;
use crate::packet::{Kind, Outbox, Oversized, Packet, spec};
use crate::secrets::Stores;

/// See the module.
pub struct Sessions {
    pub(super) book: Book,
    pub(super) targets: Targets,
    pub(super) means: Means,
    agent: AgentEnvironment,
    shares: Shares,
    counters: Counters,
    is_stopping: bool,
    /// What targets have said since that was last asked for.
    pub(super) said: Said,
    /// Whose queue gets the buffer of the packet that was just handled.
    pub(super) keeping: Option<TargetId>,
}

impl Sessions {
    /// An empty table.
    pub fn new(limits: SessionLimits, agent: AgentEnvironment) -> Self {
        Self {
            book: Book::new(),
            targets: Targets::new(&limits),
            means: Means::default(),
            agent,
            shares: Shares::new(limits.relay_count_max),
            counters: Counters::default(),
            is_stopping: false,
            said: Said::Nothing,
            keeping: None,
        }
    }

    /// With what only the shell can give.
    #[must_use]
    pub fn with_sources(mut self, sources: Box<dyn Sources>) -> Self {
        self.means = Means::new(sources);
        self
    }

    /// With what the agent knows of secret stores.
    #[must_use]
    pub fn with_stores(mut self, stores: Stores) -> Self {
        self.means.stores = stores;
        self
    }

    /// The sessions, and what handling one of them may use beside it.
    pub(super) fn turn<'a>(
        &'a mut self,
        now: Instant,
        outbox: &'a mut Outbox,
    ) -> (&'a mut Book, Turn<'a>) {
        let turn = Turn {
            now,
            targets: &mut self.targets,
            shares: &mut self.shares,
            counters: &mut self.counters,
            means: &mut self.means,
            outbox,
            agent: &self.agent,
            is_stopping: self.is_stopping,
        };
        (&mut self.book, turn)
    }

    // -- what is seen from outside ---------------------------------------------------------------

    /// Sessions that are open or being opened.
    pub fn len(&self) -> usize {
        self.book.len()
    }

    /// No session is open.
    pub fn is_empty(&self) -> bool {
        self.book.len() == 0
    }

    /// Some close of ours may not have been read by the gateway yet.
    pub fn awaits_confirmation(&self) -> bool {
        self.book.awaits_confirmation()
    }

    /// Since when the gateway, which used to, has confirmed no close of ours, though there are some
    /// to be confirmed.
    pub fn unconfirmed_since(&self) -> Option<Instant> {
        self.book.unconfirmed_since()
    }

    /// Targets of all sessions, those included that only finish their queue.
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }

    /// Bytes waiting for all targets, exactly.
    pub fn buffered_bytes(&self) -> usize {
        self.targets.budget().waiting()
    }

    /// How much there is of everything.
    pub fn figures(&self) -> Figures {
        Figures::of(&self.book, &self.targets)
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

    /// The credit that the stream should have outstanding, given what already waits here.
    pub fn credit_wanted(&self) -> u32 {
        self.targets.budget().credit_wanted()
    }

    /// More than half of the budget waits for targets.
    pub fn is_under_pressure(&self) -> bool {
        self.targets.budget().is_under_pressure()
    }

    /// How much of `missing` credit may be given now. The rest is due soon, also when nothing else
    /// happens.
    pub fn take_credit(&mut self, now: Instant, missing: u32) -> u32 {
        self.targets.take_credit(now, missing)
    }

    /// `size` bytes came and left nothing behind.
    pub fn pass_over(&mut self, size: usize) {
        self.targets.pass_over(size);
    }

    /// Whether the link has room from now on; told whenever it may have changed.
    pub fn note_room(&mut self, now: Instant, has_room: bool) {
        self.targets.note_room(now, has_room);
    }

    /// Refuses new sessions from now on.
    pub fn stop_opening(&mut self) {
        self.is_stopping = true;
    }

    /// What is on at the gateway, which says all of it each time.
    pub fn note_features(&mut self, json: &[u8]) {
        self.means.note_features(json);
    }

    // -- packets ---------------------------------------------------------------------------------

    /// One packet from the gateway.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>, outbox: &mut Outbox) {
        let Some(kind) = packet.kind else {
            log::debug!("packet of unknown kind {:.40} ignored", packet.kind_name);
            return;
        };
        if !protocol::is_for_session(kind) {
            return;
        }
        let Some(id) = packet.spec(spec::SESSION_ID).and_then(session_id) else {
            log::warn!("packet {} without a usable session id ignored", kind.name());
            return;
        };
        if system::answer(kind, id, outbox) {
            return;
        }
        if kind == Kind::AgentSessionOpen {
            return self.open(now, id, packet, outbox);
        }
        let Some(key) = self.book.find(id) else {
            return self.handle_stray(now, kind, id, outbox);
        };
        if kind == Kind::AgentSessionClose {
            return self.end(now, key, &End::BY_GATEWAY, outbox);
        }
        if let Err(error) = self.deliver(now, key, (kind, packet), outbox) {
            if let SessionError::Kind(..) = error {
                self.counters.refused += 1;
            }
            self.close(now, key, &error, outbox);
        }
        self.watch_pressure(now, outbox);
    }

    /// A packet of a session's client.
    fn deliver(
        &mut self,
        now: Instant,
        key: SessionKey,
        (kind, packet): (Kind, &Packet<'_>),
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        let (book, mut turn) = self.turn(now, outbox);
        let Some(Session {
            about, contents, ..
        }) = book.get_mut(key)
        else {
            return Ok(());
        };
        let payload = packet.payload;
        // Three that do no harm where they mean nothing.
        match (kind, &mut *contents) {
            (Kind::AgentTerminalResizeTTY, Contents::Process(process)) => {
                process.resize(payload, &mut turn);
            }
            (Kind::AgentCloseTCPConnection, Contents::Connections(connections)) => {
                connections.client_left(key, about, packet, &mut turn);
            }
            (
                Kind::AgentTerminalResizeTTY
                | Kind::AgentCloseTCPConnection
                | Kind::AgentTerminalClose,
                _,
            ) => {}
            (_, Contents::Process(process)) if about.takes(kind) => match kind {
                Kind::AgentExecWriteStdin => process.execute(key, about, payload, &mut turn)?,
                _ => process.type_in(key, about, payload, &mut turn)?,
            },
            (_, Contents::Connections(connections)) if about.takes(kind) => {
                self.keeping = connections.client_sent(key, about, packet, &mut turn)?;
            }
            _ => return Err(SessionError::Kind(about.connection_type.clone(), kind)),
        }
        Ok(())
    }

    /// A packet for a session that is not open: late ones are normal, others hear of it.
    fn handle_stray(&mut self, now: Instant, kind: Kind, id: &str, outbox: &mut Outbox) {
        if kind == Kind::AgentSessionClose {
            self.book.note_confirmed(now, id);
        }
        let opens_nothing = matches!(
            kind,
            Kind::AgentSessionClose
                | Kind::AgentCloseTCPConnection
                | Kind::AgentTerminalResizeTTY
                | Kind::AgentTerminalClose
        );
        if opens_nothing || self.book.has_ended(id) {
            return;
        }
        let text = match kind {
            Kind::AgentTCPConnectionWrite => {
                "connection params not found, contact the administrator"
            }
            _ => "internal error, connection params not found",
        };
        // The gateway need not know it either, and then confirms nothing.
        self.book.remember_ended(id.into(), false);
        send_close(outbox, id, EXIT_INTERNAL, text);
    }

    /// A packet of `size` bytes was passed over. It costs the session that it names, and nobody else.
    pub fn handle_oversized(
        &mut self,
        now: Instant,
        packet: &Oversized,
        size: u32,
        outbox: &mut Outbox,
    ) {
        self.counters.oversized += 1;
        let (Some(kind), Some(id)) = (packet.kind, packet.session.as_deref().and_then(session_id))
        else {
            log::warn!("a message of {size} bytes that names no session is too large: passed over");
            return;
        };
        let error = SessionError::Oversized(kind, size);
        match self.book.find(id) {
            Some(key) => {
                self.counters.refused += 1;
                self.close(now, key, &error, outbox);
                if kind == Kind::AgentSessionOpen {
                    self.book.contest();
                }
            }
            None if kind == Kind::AgentSessionOpen => self.refuse(id, &error, outbox),
            None if system::answer(kind, id, outbox) => {}
            None => self.handle_stray(now, kind, id, outbox),
        }
    }

    // -- opening ---------------------------------------------------------------------------------

    /// `AgentSessionOpen`. Clients may choose ids: whoever takes that of a live session gets nothing,
    /// and since nobody can tell any more whose the next packets are, that session ends, too.
    fn open(&mut self, now: Instant, id: &str, packet: &Packet<'_>, outbox: &mut Outbox) {
        if let Some(key) = self.book.find(id) {
            self.counters.refused += 1;
            self.close(now, key, &SessionError::SameId, outbox);
            return self.book.contest();
        }
        if self.book.may_be_in_use(id) {
            return self.refuse(id, &SessionError::SameId, outbox);
        }
        self.book.forget_ended(id);
        let wish = Wish::read(packet);
        if let Err(error) = wish.and_then(|wish| self.admit(now, id, wish, outbox)) {
            let who = events::who_asks(id, packet);
            self.refuse_to(who, id, &error, outbox);
        }
    }

    /// Opens a session, as soon as its address was checked where that is done.
    fn admit(
        &mut self,
        now: Instant,
        id: &str,
        wish: Wish,
        outbox: &mut Outbox,
    ) -> Result<(), SessionError> {
        if self.is_stopping {
            return Err(SessionError::Stopping);
        }
        let mut session = wish.into_session((now, id), &self.agent, &mut self.shares)?;
        let about = &mut session.about;
        if session.fetch.is_none()
            && let Err(error) = about.prepare(now, &mut self.means, &mut self.shares)
        {
            about.give_back(&mut self.shares);
            return Err(error);
        }
        let key = match self.book.insert(session) {
            Ok(key) => key,
            Err(session) => {
                // As many as the table of shares has.
                session.about.give_back(&mut self.shares);
                return Err(Full::table(Table::Sessions).into());
            }
        };
        self.counters.sessions += 1;
        self.targets.tallies.begin(key, now);
        let (book, mut turn) = self.turn(now, outbox);
        let admission = admission::begin(book, key, &mut turn);
        self.admitted(now, key, admission, outbox);
        Ok(())
    }

    pub(super) fn admitted(
        &mut self,
        now: Instant,
        key: SessionKey,
        next: Admission,
        outbox: &mut Outbox,
    ) {
        match next {
            Admission::Waits => {}
            Admission::Opens => self.opened(now, key, None, outbox),
            Admission::Fails(error) => self.close(now, key, &error, outbox),
        }
    }

    /// The one close packet of a session that never was; what its client has sent already is late.
    fn refuse(&mut self, id: &str, error: &SessionError, outbox: &mut Outbox) {
        self.refuse_to(Fields::of_session(id), id, error, outbox);
    }

    /// A session without its packet.
    #[cfg(test)]
    pub(super) fn admit_wish(&mut self, now: Instant, id: &str, wish: Wish, outbox: &mut Outbox) {
        if let Err(error) = self.admit(now, id, wish, outbox) {
            self.refuse(id, &error, outbox);
        }
    }

    /// The same, where it is known who asked for it.
    fn refuse_to(&mut self, who: Fields, id: &str, error: &SessionError, outbox: &mut Outbox) {
        let text = error.to_string();
        events::refused(who, &text);
        self.counters.refused += 1;
        self.counters.note_failure(error.failure());
        self.book.remember_ended(id.into(), true);
        send_close(outbox, id, EXIT_INTERNAL, &text);
    }

    /// The address answered (or none had to): the client may go on.
    pub(super) fn opened(
        &mut self,
        now: Instant,
        key: SessionKey,
        probe: Option<TargetId>,
        outbox: &mut Outbox,
    ) {
        let (book, mut turn) = self.turn(now, outbox);
        if let Some(session) = book.get_mut(key) {
            events::opened(&session.about);
            session.open(probe, &mut turn);
        }
    }

    // -- closing ---------------------------------------------------------------------------------

    /// Closes a session for a reason of ours, which its client and the log are told.
    pub(super) fn close(
        &mut self,
        now: Instant,
        key: SessionKey,
        error: &SessionError,
        outbox: &mut Outbox,
    ) {
        self.counters.note_failure(error.failure());
        let text = error.to_string();
        self.finish(now, key, &End::failed(EXIT_INTERNAL, &text), outbox);
    }

    /// Sends the one close packet of a session and ends it.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        key: SessionKey,
        end: &End<'_>,
        outbox: &mut Outbox,
    ) {
        if let Some(session) = self.book.get(key) {
            send_close(outbox, &session.about.id, end.code, end.cause);
            self.end(now, key, end, outbox);
            self.book.note_closed(now);
        }
    }

    /// Ends a session without a word to its client: its processes, its connections, its memory.
    fn end(&mut self, now: Instant, key: SessionKey, end: &End<'_>, outbox: &mut Outbox) {
        let (book, mut turn) = self.turn(now, outbox);
        if let Some(session) = book.remove(key) {
            session.end(key, end, &mut turn);
        }
    }

    /// Closes a target, whatever it still holds.
    pub(super) fn close_target(&mut self, id: TargetId, reset: bool) {
        turn::close_target(&mut self.targets, &mut self.shares, id, reset);
    }

    /// Closes every session by packet: the agent is leaving, which is no failure of any.
    pub fn close_all(&mut self, now: Instant, text: &str, outbox: &mut Outbox) {
        for key in self.book.keys() {
            self.finish(now, key, &End::ordinary(EXIT_INTERNAL, text), outbox);
        }
    }

    /// As [`Sessions::end_all`], and no process may take its time: the key is revoked.
    pub fn revoke_all(&mut self, now: Instant, why: &str) {
        self.end_all(now, why);
        self.means.stores.forget();
        self.targets.ask(Output::HastenEnds);
    }

    /// Ends everything at once, queues included: the gateway is gone, and `why`.
    pub fn end_all(&mut self, now: Instant, why: &str) {
        if !self.is_empty() {
            log::warn!("{} sessions ended with the link", self.len());
        }
        for id in self.targets.ids() {
            self.close_target(id, true);
        }
        let cause = &format!("ended with the link to the gateway: {why}");
        let end = End::failed(EXIT_INTERNAL, cause);
        for (key, session) in self.book.clear() {
            session.forget((key, now), &end, &mut self.targets, &mut self.shares);
        }
        self.means.forget_fetches(&mut self.shares);
    }
}
