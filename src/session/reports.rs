//! What the shell sees of a target, told to whom it belongs, and what the shell may ask about one.
//!
//! What becomes of the target itself is `target.rs`'s; here its owner hears of it: a session that is being
//! opened, a connection, a process's session, an errand's machine. Who has stalled while memory is short
//! is closed here, too (`budget.rs` has the rule).

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::counters::Failure;
use super::error::SessionError;
use super::events::{self, End};
use super::fetches;
use super::fetching::Event;
use super::hears::Hears;
use super::middle::Call;
use super::names::{SessionKey, TargetId};
use super::output::{Output, Where};
use super::pressure::{self, Holder};
use super::process::outcome;
use super::report::{Channel, Report, Unreached};
use super::seam::Next;
use super::session::{Contents, Session};
use super::sessions::Sessions;
use super::target::Owner;
use super::targets::Due;
use super::verdict::{Ended, Overdue, Started};
use crate::base::Service;
use crate::base::plain::Word;
use crate::packet::{Outbox, spec};

/// What a target that does not start in time is said to have come to, in the system's words.
const OVERDUE: Unreached<'_> = Unreached {
    reason: "i/o timeout",
    is_silence: true,
};

impl Sessions {
    // -- what the shell asks ---------------------------------------------------------------------

    /// The next request to the reactor; drain after every input.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.targets.poll_output()
    }

    /// A target that has something to write, a write side to close, or more to read than it had a reader for.
    #[must_use]
    pub fn poll_dirty(&mut self) -> Option<TargetId> {
        self.targets.poll_dirty()
    }

    /// Whether the reactor should read this channel at all.
    pub fn wants_read(&self, id: TargetId, channel: Channel) -> bool {
        let target = self.targets.get(id);
        target.is_some_and(|target| target.wants_read(channel))
    }

    /// This target is read only while the link has room. What one says to a client who has left costs none, and it
    /// might not take the rest of its own before it is taken; a login's few words must not wait for others' bytes.
    pub fn needs_room(&self, id: TargetId) -> bool {
        let target = self.targets.get(id).filter(|target| !target.is_lingering());
        match target.map(|target| target.owner()) {
            Some(Owner::Connection(key, connection)) => match self.book.get(*key) {
                Some(Session {
                    about,
                    contents: Contents::Connections(connections),
                    ..
                }) if about.protocol.dialect.is_some() => connections.needs_room(connection),
                _ => true,
            },
            Some(Owner::Errand(_) | Owner::Fetch(_)) | None => false,
            Some(_) => true,
        }
    }

    /// Room for up to `size_max` bytes of a target: in the packet that will carry them, or with whoever has
    /// to see them before. `None`: nobody listens; read and forget.
    pub fn read_slot<'a>(
        &'a mut self,
        id: TargetId,
        channel: Channel,
        size_max: usize,
        outbox: &'a mut Outbox,
    ) -> Option<&'a mut [u8]> {
        let target = self.targets.get(id)?;
        if !target.is_streaming() {
            return None;
        }
        match target.owner() {
            Owner::Probe(..) => self.targets.probe_slot(id, size_max),
            Owner::Errand(_) => self.targets.errand_slot(&mut self.means, id, size_max),
            Owner::Nobody => None,
            Owner::Fetch(session) => {
                let fetch = self.book.get_mut(*session)?.fetch.as_mut()?;
                Some(fetch.conversation(id)?.slot(&mut self.means, size_max))
            }
            Owner::Process { session, .. } => {
                let about = &self.book.get(*session)?.about;
                let kind = about.protocol.to_client[channel.index()];
                let id = (spec::SESSION_ID, about.id.as_bytes());
                Some(outbox.slot(kind, &[id], size_max))
            }
            Owner::Connection(session, connection) => {
                let Session {
                    about, contents, ..
                } = self.book.get_mut(*session)?;
                match contents {
                    Contents::Connections(connections) => {
                        connections.slot(about, connection, &mut self.means, size_max, outbox)
                    }
                    _ => None,
                }
            }
        }
    }

    /// A burst has left memory behind that is worth a wake-up to give back.
    pub fn holds_burst_memory(&self) -> bool {
        self.means.holds_burst_memory()
    }

    /// Nothing has moved for a while: memory of the last burst goes.
    pub fn release_idle(&mut self) {
        self.means.release_idle();
    }

    /// The bytes that wait for a target that can take them, as they lie, for one write of all.
    pub fn pending_parts(&self, id: TargetId) -> impl Iterator<Item = &[u8]> {
        let target = self.targets.get(id);
        target.into_iter().flat_map(|target| target.parts())
    }

    /// The write side is to be closed now; asked once.
    pub fn take_shutdown(&mut self, id: TargetId) -> bool {
        let is_due = self.targets.take_shutdown(id);
        if is_due && self.targets.get(id).is_some_and(|target| target.is_done()) {
            self.close_target(id, false);
        }
        is_due
    }

    /// The buffer of the packet that was just handled, with its payload at `range`: it becomes part of
    /// its target's queue where that spares a copy.
    pub fn keep_payload(
        &mut self,
        now: Instant,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
        outbox: &mut Outbox,
    ) {
        if let Some(id) = self.keeping.take() {
            self.targets.keep(now, id, buffer, range);
            self.watch_pressure(now, outbox);
        }
    }

    // -- what the shell reports ------------------------------------------------------------------

    /// The shell has seen this of a target.
    pub fn handle_report(
        &mut self,
        now: Instant,
        id: TargetId,
        report: Report<'_>,
        outbox: &mut Outbox,
    ) {
        match report {
            Report::Started { peer } => self.started(now, id, peer, outbox),
            Report::Told(service) => self.told(now, id, service, outbox),
            Report::Failed(why) => self.failed(now, id, why, outbox),
            Report::NotSpawned { code, text } => {
                if let Hears::Process(key) = self.hears(id) {
                    self.turn(now, outbox)
                        .1
                        .counters
                        .note_failure(Failure::Command);
                    self.finish(now, key, &End::failed(code, text), outbox);
                }
            }
            Report::Received { size } => self.received(now, id, size, outbox),
            Report::Wrote { size } => {
                self.targets.note_written(now, id, size);
                self.turn(now, outbox).1.counters.bytes_to_target += size as u64;
            }
            Report::Ended { channel } => {
                let ended = self.targets.end_channel(id, channel);
                self.ended(now, id, ended, outbox);
            }
            Report::Broke => {
                let ended = self.targets.break_off(id);
                self.ended(now, id, ended, outbox);
            }
            Report::Exited(exit) => {
                let overdue = self.targets.exit(now, id, exit);
                self.overdue(now, id, overdue, outbox);
            }
            Report::InKernel { size } => self.targets.note_in_kernel(now, id, size),
            Report::Peer(peer) => {
                if let Some(lasts) = self.targets.note_peer(now, id, peer) {
                    self.vanished(now, id, lasts, outbox);
                }
            }
        }
        self.watch_pressure(now, outbox);
    }

    /// The id of the session that a target is for; empty when it is for none.
    pub fn session_of(&self, id: TargetId) -> &str {
        let target = self.targets.get(id);
        let session = target.and_then(|target| target.session());
        session.map_or("", |key| self.book.id(key))
    }

    fn hears(&self, id: TargetId) -> Hears {
        Hears::of(self.targets.get(id))
    }

    fn started(
        &mut self,
        now: Instant,
        id: TargetId,
        peer: Option<SocketAddr>,
        outbox: &mut Outbox,
    ) {
        match self.targets.start(now, id, peer) {
            None => return,
            Some(Started::Deserted) => return self.turn(now, outbox).1.linger(id),
            Some(Started::Streams) => {}
        }
        match self.hears(id) {
            Hears::Probe(key) => self.opened(now, key, Some(id), outbox),
            Hears::Connection(key, connection) => {
                self.tell(now, key, &connection, Call::Started(peer), outbox);
            }
            Hears::Errand => self.tell_errand(now, id, Call::Started(peer), outbox),
            Hears::Fetch(key) => {
                fetches::hear(self, now, key, (Some(id), Event::Started), outbox);
            }
            Hears::Process(_) | Hears::Nobody => {}
        }
    }

    /// The hosts of a service: what was dialled for them has done its work.
    fn told(&mut self, now: Instant, id: TargetId, service: &Service, outbox: &mut Outbox) {
        if let Hears::Connection(key, connection) = self.hears(id) {
            self.tell(now, key, &connection, Call::Told(service), outbox);
        }
    }

    /// The address did not answer.
    fn failed(&mut self, now: Instant, id: TargetId, why: Unreached<'_>, outbox: &mut Outbox) {
        let hears = self.hears(id);
        let (book, mut turn) = self.turn(now, outbox);
        turn.close_target(id, false);
        match hears {
            Hears::Probe(key) => {
                turn.counters.dial_failures += 1;
                let about = book.get(key).map(|session| &session.about);
                let place = about.and_then(|about| about.place.clone());
                if let (Some(about), Some(Where::Name { host, port })) = (about, place) {
                    events::target_failed(about, why.reason);
                    let reason = why.reason.to_owned();
                    let error = SessionError::Unreachable { host, port, reason };
                    self.close(now, key, &error, outbox);
                }
            }
            Hears::Connection(key, connection) => {
                self.tell(now, key, &connection, Call::Failed(why), outbox);
            }
            Hears::Fetch(key) => {
                let event = Event::Failed(why.reason);
                fetches::hear(self, now, key, (Some(id), event), outbox);
            }
            Hears::Process(_) | Hears::Errand | Hears::Nobody => {}
        }
    }

    /// `size` bytes were read to where [`Sessions::read_slot`] said.
    fn received(&mut self, now: Instant, id: TargetId, size: usize, outbox: &mut Outbox) {
        let said = self.targets.note_output(now, id, size);
        self.said = self.said.max(said);
        let Some(target) = self.targets.get(id).filter(|target| target.is_streaming()) else {
            return;
        };
        match target.owner() {
            Owner::Connection(key, connection) => {
                let key = *key;
                let protocol = self.book.get(key).map(|session| session.about.protocol);
                if protocol.is_some_and(|protocol| protocol.dialect.is_some()) {
                    let connection = connection.clone();
                    return self.tell(now, key, &connection, Call::TargetSent(size), outbox);
                }
            }
            Owner::Process { .. } => {}
            Owner::Probe(..) => return self.targets.probe_said(id, size),
            Owner::Errand(_) => {
                return self.tell_errand(now, id, Call::TargetSent(size), outbox);
            }
            Owner::Fetch(key) => {
                let (key, event) = (*key, Event::Received(size));
                return fetches::hear(self, now, key, (Some(id), event), outbox);
            }
            Owner::Nobody => return,
        }
        outbox.fill(size);
        self.turn(now, outbox).1.counters.bytes_to_gateway += size as u64;
    }

    fn ended(&mut self, now: Instant, id: TargetId, ended: Option<Ended>, outbox: &mut Outbox) {
        let reset = match ended {
            None | Some(Ended::Stays) => return,
            Some(Ended::Finished) => return self.finish_process(now, id, outbox),
            Some(Ended::Gone { reset }) => {
                return self.close_target(id, reset);
            }
            Some(Ended::Heard { reset }) => reset,
        };
        match self.hears(id) {
            Hears::Connection(key, connection) => {
                let call = match reset {
                    true => Call::TargetBroke,
                    false => Call::TargetEnded,
                };
                self.tell(now, key, &connection, call, outbox);
                match reset {
                    true => self.close_target(id, true),
                    false => self.turn(now, outbox).1.close_if_done(id),
                }
            }
            Hears::Errand => self.tell_errand(now, id, Call::TargetEnded, outbox),
            Hears::Fetch(key) => fetches::hear(self, now, key, (Some(id), Event::Ended), outbox),
            // A session's first connection dials anew.
            Hears::Probe(_) => self.close_target(id, reset),
            Hears::Process(_) | Hears::Nobody => {}
        }
    }

    fn vanished(&mut self, now: Instant, id: TargetId, lasts: Duration, outbox: &mut Outbox) {
        if let Hears::Connection(key, _) = self.hears(id) {
            log::warn!(
                "sid={} relay closed: its target has acknowledged nothing for {} s; it was switched \
                 off, or a firewall on the way has forgotten the connection",
                Word(self.book.id(key)),
                lasts.as_secs()
            );
        }
        self.turn(now, outbox).1.counters.vanished += 1;
        let ended = self.targets.break_off(id);
        self.ended(now, id, ended, outbox);
    }

    /// Everything that the client will get has been queued: close with the leader's code.
    fn finish_process(&mut self, now: Instant, id: TargetId, outbox: &mut Outbox) {
        if let Some((key, exit)) = self.targets.finish(id) {
            let text = outcome(exit);
            let end = match exit.is_violent() {
                true => End::failed(exit.code(), &text),
                false => End::ordinary(exit.code(), &text),
            };
            self.finish(now, key, &end, outbox);
        }
    }

    /// What happened to the target of a connection, or is to happen to that.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        key: SessionKey,
        connection: &[u8],
        call: Call<'_>,
        outbox: &mut Outbox,
    ) {
        let (book, mut turn) = self.turn(now, outbox);
        if let Some(Session {
            about,
            contents: Contents::Connections(connections),
            ..
        }) = book.get_mut(key)
        {
            connections.hear(key, about, connection, call, &mut turn);
        }
    }

    /// What happened to the target of an errand. It is over as soon as that has ended.
    fn tell_errand(&mut self, now: Instant, id: TargetId, call: Call<'_>, outbox: &mut Outbox) {
        let (_, mut turn) = self.turn(now, outbox);
        turn.tell_errand(id, &mut |machine, sides| {
            let next = call.tell(machine, sides);
            matches!(next, Next::Go) && !call.ends_target()
        });
    }

    // -- deadlines -------------------------------------------------------------------------------

    /// When [`Sessions::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.targets.next_due()
    }

    /// Carries out what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(due) = self.targets.take_due(now) {
            match due {
                Due::Target(id) => {
                    let overdue = self.targets.overdue(now, id);
                    self.overdue(now, id, overdue, outbox);
                }
                Due::Connection(key, connection) => {
                    self.tell(now, key, &connection, Call::Overdue, outbox);
                }
                Due::Fetch(key) => fetches::hear(self, now, key, (None, Event::Due), outbox),
                Due::Keys => {
                    self.means.keys.work();
                    if self.means.keys.has_work() {
                        self.targets.arm_work(now);
                    }
                }
                Due::Pressure => self.relieve_pressure(now, outbox),
                // The table's own.
                Due::Credit | Due::Memory => {}
            }
        }
    }

    fn overdue(
        &mut self,
        now: Instant,
        id: TargetId,
        overdue: Option<Overdue>,
        outbox: &mut Outbox,
    ) {
        match overdue {
            Some(Overdue::Failed) => self.failed(now, id, OVERDUE, outbox),
            Some(Overdue::Gone { reset }) => self.close_target(id, reset),
            Some(Overdue::Finished) => self.finish_process(now, id, outbox),
            Some(Overdue::Cut { size, after }) => {
                if let Hears::Process(key) = self.hears(id) {
                    log::warn!(
                        "sid={} output cut: the command ended {} s ago, a job that it left behind has \
                         printed {size} bytes since and goes on; let such jobs print to a file",
                        Word(self.book.id(key)),
                        after.as_secs()
                    );
                }
                self.finish_process(now, id, outbox);
            }
            None | Some(Overdue::Looks { .. } | Overdue::AskPeer | Overdue::Stays) => {}
        }
    }

    // -- pressure --------------------------------------------------------------------------------

    /// Looks for who has stalled as soon as there is pressure, and again while it lasts.
    pub(super) fn watch_pressure(&mut self, now: Instant, outbox: &mut Outbox) {
        if self.targets.has_new_pressure() {
            self.relieve_pressure(now, outbox);
        }
    }

    /// Closes what has stalled for too long, then looks again when the next one would be due.
    fn relieve_pressure(&mut self, now: Instant, outbox: &mut Outbox) {
        if !self.is_under_pressure() {
            return;
        }
        let stall_max = self.targets.budget().stall_max();
        for (held, holder) in pressure::holders(&self.book, &self.targets) {
            if held <= self.targets.budget().held_max() {
                break; // The verdict on a larger one was enough.
            }
            // What it did while nobody looked at what the kernel delivers is not known.
            let Some(since) = pressure::note_look(now, &holder, &mut self.book, &mut self.targets)
            else {
                continue;
            };
            if now < since + stall_max {
                if let Holder::Target(target) = holder {
                    self.targets.ask(Output::Examine { target });
                }
                continue;
            }
            fetches::close_stalled(self, now, (held, holder), outbox);
            if !self.is_under_pressure() {
                return;
            }
        }
        self.targets.watch_pressure(now);
    }
}
