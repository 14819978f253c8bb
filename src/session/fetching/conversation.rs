//! The connection to one store, or one after the other where it is told to ask elsewhere first.
//!
//! Promises: a question is sent once its connection stands, with TLS where the store has it; a connection serves all
//! questions to one place; one that broke before its answer, or an answer of 429 and 5xx, has the question repeated
//! once; what was read and sent is overwritten when it is done with.

use std::time::{Duration, Instant};

use super::event::Event;
use crate::base::{ByteBuf, wipe};
use crate::http::{HttpError, Response, ResponseReader};
use crate::limits;
use crate::secrets::{self, Ask, Fetch, Found, Place, Step, Trouble, World};
use crate::session::means::Means;
use crate::session::names::{SessionKey, TargetId};
use crate::session::output::Where;
use crate::session::shares::UserKey;
use crate::session::target::Owner;
use crate::session::turn::Turn;
use crate::session::wire::Wire;
use crate::tls::{Progress, StreamError, Subject};

/// What the connection is at.
enum State {
    /// There is none, or it waits for the next question.
    Idle,
    /// It is being made.
    Dialling,
    /// The proxy is asked for a tunnel.
    Tunnelling(ByteBuf),
    /// TLS is being agreed.
    Securing,
    /// The question is sent.
    Answering(Box<ResponseReader>),
}

/// See the module.
pub(in crate::session) struct Conversation {
    fetch: Fetch,
    is_over: bool,
    /// The question at hand.
    ask: Option<Ask>,
    has_repeated: bool,
    target: Option<TargetId>,
    /// Where the target is.
    place: Option<Place>,
    state: State,
    wire: Wire,
    /// What the target says without TLS.
    incoming: ByteBuf,
    due: Option<Instant>,
}

impl Conversation {
    pub(super) fn new(fetch: Fetch) -> Self {
        Self {
            fetch,
            is_over: false,
            ask: None,
            has_repeated: false,
            target: None,
            place: None,
            state: State::Idle,
            wire: Wire::default(),
            incoming: ByteBuf::new(),
            due: None,
        }
    }

    /// This is its connection.
    pub(super) fn is_on(&self, target: TargetId) -> bool {
        self.target == Some(target)
    }

    /// Its last word is said.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// When it wants to hear of the time.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// There is no time left.
    pub(super) fn give_up(&mut self) {
        if !self.is_over {
            self.fetch.give_up();
            self.is_over = true;
        }
    }

    /// What it has come to; its connection ends.
    pub(super) fn finish(mut self, turn: &mut Turn<'_>) -> Found {
        self.hang_up(turn);
        self.fetch.finish()
    }

    /// Where the target's bytes are to be read to.
    pub(in crate::session) fn slot<'a>(
        &'a mut self,
        means: &'a mut Means,
        size_max: usize,
    ) -> &'a mut [u8] {
        let size = size_max.min(limits::LOGIN_READ_BYTES);
        match self.wire.is_secure() {
            true => self.wire.slot(size, &mut means.scratch),
            false => self.incoming.slot(size, limits::LOGIN_READ_BYTES),
        }
    }

    /// Something has happened to its connection, or a deadline has come.
    pub(super) fn hear(
        &mut self,
        owner: (SessionKey, UserKey),
        event: Event<'_>,
        turn: &mut Turn<'_>,
    ) {
        match event {
            _ if self.is_over => {}
            Event::Started => self.started(owner, turn),
            Event::Failed(reason) => {
                self.target = None;
                self.trouble(owner, Trouble::Unreachable(reason.to_owned()), turn);
            }
            Event::Received(size) => self.received(owner, size, turn),
            Event::Ended => self.ended(owner, turn),
            Event::Due => self.look(owner, turn),
        }
    }

    /// The time: to begin, to repeat, or to end.
    fn look(&mut self, owner: (SessionKey, UserKey), turn: &mut Turn<'_>) {
        if self.due.is_some_and(|due| due > turn.now) {
            return;
        }
        let was_due = self.due.take().is_some();
        match (&self.state, &self.ask) {
            (State::Idle, None) => self.next(owner, turn),
            (State::Idle, Some(_)) => self.send(owner, turn),
            (_, Some(_)) if was_due => self.trouble(owner, Trouble::Silent, turn),
            _ => {}
        }
    }

    /// The next question, or the end.
    fn next(&mut self, owner: (SessionKey, UserKey), turn: &mut Turn<'_>) {
        let Self { fetch, .. } = self;
        let step = turn
            .means
            .in_world(turn.now, &mut |world| fetch.next(world));
        match step {
            Step::Ask(ask) => {
                self.ask = Some(ask);
                self.has_repeated = false;
                self.send(owner, turn);
            }
            Step::Over => {
                self.is_over = true;
                self.due = None;
            }
        }
    }

    /// Sends the question, over a connection of its own where there is none.
    fn send(&mut self, owner: (SessionKey, UserKey), turn: &mut Turn<'_>) {
        let Some(ask) = &self.ask else {
            return;
        };
        let is_there = self.place.as_ref() == Some(&ask.origin.place());
        if self.target.is_some() && is_there {
            return self.write(turn);
        }
        self.hang_up(turn);
        let Some(ask) = &self.ask else {
            return;
        };
        let (host, port) = match &ask.origin.via {
            Some(via) => (via.host.clone(), via.port),
            None => (ask.origin.address.host.clone(), ask.origin.address.port),
        };
        let is_metadata = ask.origin.is_metadata;
        let timeout = Some(ask.dial_max);
        self.place = Some(ask.origin.place());
        self.state = State::Dialling;
        match turn.new_target(owner.1, Owner::Fetch(owner.0), 0, timeout) {
            Ok(target) => {
                self.target = Some(target);
                turn.dial_store(target, Where::Name { host, port }, is_metadata);
            }
            Err(full) => self.trouble(owner, Trouble::Unreachable(full.to_string()), turn),
        }
    }

    fn started(&mut self, owner: (SessionKey, UserKey), turn: &mut Turn<'_>) {
        let Some(ask) = &self.ask else {
            return;
        };
        self.due = ask.answer_max.map(|most| turn.now + most);
        match ask.origin.via.as_ref().map(|via| via.request.clone()) {
            Some(request) => {
                self.state = State::Tunnelling(ByteBuf::new());
                self.put(request.expose(), turn);
            }
            None => self.connected(owner, turn),
        }
    }

    /// The store itself hears us.
    fn connected(&mut self, owner: (SessionKey, UserKey), turn: &mut Turn<'_>) {
        let Some(ask) = &self.ask else {
            return;
        };
        if !ask.origin.is_tls {
            return self.write(turn);
        }
        self.state = State::Securing;
        let started = turn.means.store_client(&ask.origin).and_then(|client| {
            let started = self.wire.start(client, &mut turn.means.scratch);
            started.map_err(|error| error.explain(&Subject::STORE))
        });
        self.deliver(turn);
        if let Err(text) = started {
            self.trouble(owner, Trouble::Tls(text), turn);
        }
    }

    /// The question goes out.
    fn write(&mut self, turn: &mut Turn<'_>) {
        let Some(ask) = &self.ask else {
            return;
        };
        self.due = ask.answer_max.map(|most| turn.now + most);
        self.state = State::Answering(Box::new(ResponseReader::new(secrets::ANSWER)));
        // A wire that takes no words any more says so at the next record, or the deadline does.
        let _ = self
            .wire
            .send(ask.request.expose(), &mut turn.means.scratch);
        self.deliver(turn);
    }

    fn put(&mut self, bytes: &[u8], turn: &mut Turn<'_>) {
        if let Some(target) = self.target {
            turn.targets.enqueue(turn.now, target, bytes);
        }
    }

    /// What lies in the scratch goes out.
    fn deliver(&mut self, turn: &mut Turn<'_>) {
        if let Some(target) = self.target {
            turn.targets
                .enqueue(turn.now, target, turn.means.scratch.outgoing());
        }
        turn.means.scratch.wipe();
    }

    fn received(&mut self, owner: (SessionKey, UserKey), size: usize, turn: &mut Turn<'_>) {
        if !self.wire.is_secure() {
            self.incoming.advance(size);
            let mut incoming = std::mem::take(&mut self.incoming);
            let read = self.read(incoming.filled());
            incoming.wipe();
            return self.after(owner, read, turn);
        }
        let mut plain = ByteBuf::new();
        let received = self
            .wire
            .receive(size, &mut turn.means.scratch, &mut |record| {
                plain.extend(record)
            });
        self.deliver(turn);
        let read = self.read(plain.filled());
        plain.wipe();
        let is_read = read.is_ok();
        match (&self.state, received) {
            (_, Err(error)) => self.broken(owner, &error, turn),
            (State::Securing, Ok(Progress::Open)) => self.write(turn),
            (_, Ok(progress)) => {
                self.after(owner, read, turn);
                if progress == Progress::PeerClosed && is_read && self.target.is_some() {
                    self.ended(owner, turn);
                }
            }
        }
    }

    fn broken(&mut self, owner: (SessionKey, UserKey), error: &StreamError, turn: &mut Turn<'_>) {
        self.trouble(owner, Trouble::Tls(error.explain(&Subject::STORE)), turn);
    }

    /// Plaintext of the target.
    fn read(&mut self, bytes: &[u8]) -> Result<Read, HttpError> {
        match &mut self.state {
            State::Tunnelling(seen) => {
                seen.extend(bytes);
                Ok(tunnel(seen.filled()))
            }
            State::Answering(reader) => {
                reader.handle_bytes(bytes)?;
                Ok(match reader.is_done() {
                    true => Read::Answer,
                    false => Read::More,
                })
            }
            _ => Ok(Read::More),
        }
    }

    fn after(
        &mut self,
        owner: (SessionKey, UserKey),
        read: Result<Read, HttpError>,
        turn: &mut Turn<'_>,
    ) {
        match read {
            Ok(Read::More) => {}
            Ok(Read::Tunnel) => self.connected(owner, turn),
            Ok(Read::NoTunnel) => self.trouble(owner, Trouble::Proxy, turn),
            Ok(Read::Answer) => self.answered(owner, turn),
            Err(_) => self.trouble(owner, Trouble::Malformed, turn),
        }
    }

    /// The connection ended: some answers end so.
    fn ended(&mut self, owner: (SessionKey, UserKey), turn: &mut Turn<'_>) {
        let closed = match &mut self.state {
            State::Answering(reader) => reader.handle_close().map(|()| reader.is_done()),
            State::Idle => return self.hang_up(turn),
            _ => Err(HttpError::NoAnswer),
        };
        match closed {
            Ok(true) => {
                self.answered(owner, turn);
                self.hang_up_if_idle(turn);
            }
            Err(HttpError::NoAnswer) => self.broke_early(owner, turn),
            Ok(false) | Err(_) => self.trouble(owner, Trouble::Broke, turn),
        }
    }

    /// No byte of an answer came: once more, on a connection of its own.
    fn broke_early(&mut self, owner: (SessionKey, UserKey), turn: &mut Turn<'_>) {
        match self.repeats() {
            true => self.pause(turn),
            false => self.trouble(owner, Trouble::Broke, turn),
        }
    }

    fn repeats(&mut self) -> bool {
        let may = self.ask.as_ref().is_some_and(|ask| ask.is_repeatable);
        may && !std::mem::replace(&mut self.has_repeated, true)
    }

    /// The question is asked again, a moment later.
    fn pause(&mut self, turn: &mut Turn<'_>) {
        self.hang_up(turn);
        let [chance] = turn.means.random().unwrap_or([0]);
        let pause = limits::STORE_PAUSE + Duration::from_millis(u64::from(chance) * 200 / 255);
        self.due = Some(turn.now + pause);
    }

    fn answered(&mut self, owner: (SessionKey, UserKey), turn: &mut Turn<'_>) {
        let State::Answering(reader) = std::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        self.due = None;
        let mut response = reader.into_response();
        let is_last = response
            .header("connection")
            .is_some_and(|value| value.to_ascii_lowercase().contains("close"));
        if is_last {
            self.hang_up(turn);
        }
        if (response.status == 429 || response.status >= 500) && self.repeats() {
            wipe(&mut response.body);
            return self.pause(turn);
        }
        self.ask = None;
        self.tell(Ok(&response), turn);
        wipe(&mut response.body);
        self.next(owner, turn);
    }

    fn trouble(&mut self, owner: (SessionKey, UserKey), trouble: Trouble, turn: &mut Turn<'_>) {
        self.hang_up(turn);
        self.due = None;
        self.ask = None;
        self.tell(Err(&trouble), turn);
        self.next(owner, turn);
    }

    fn tell(&mut self, answer: Result<&Response, &Trouble>, turn: &mut Turn<'_>) {
        let Self { fetch, .. } = self;
        turn.means.in_world(turn.now, &mut |world: &mut World<'_>| {
            fetch.answered(answer, world)
        });
    }

    fn hang_up_if_idle(&mut self, turn: &mut Turn<'_>) {
        if let State::Idle = self.state {
            self.hang_up(turn);
        }
    }

    /// The connection ends.
    fn hang_up(&mut self, turn: &mut Turn<'_>) {
        self.state = State::Idle;
        self.wire = Wire::default();
        self.place = None;
        self.incoming = ByteBuf::new();
        if let Some(target) = self.target.take() {
            turn.close_target(target, false);
        }
    }
}

/// What bytes have come to.
enum Read {
    More,
    Tunnel,
    NoTunnel,
    Answer,
}

/// What a proxy has answered so far.
fn tunnel(seen: &[u8]) -> Read {
    let is_whole = seen.windows(4).any(|end| end == b"\r\n\r\n");
    match (is_whole, seen.get(..10)) {
        (true, Some(line)) if line.starts_with(b"HTTP/1.") && line[8..] == *b" 2" => Read::Tunnel,
        (true, _) => Read::NoTunnel,
        (false, _) if seen.len() > limits::STORE_HEAD_BYTES_MAX => Read::NoTunnel,
        (false, _) => Read::More,
    }
}
