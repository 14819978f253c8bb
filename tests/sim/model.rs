//! The oracle: what the agent must have done after each packet and each report, by rules of its
//! own. It knows every session, every relay and every byte that waits, and what each client is
//! owed; the world compares after every step.
//!
//! Sessions are here, relays in `relays.rs`, what clients are owed in `owed.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use hoop_lite::base::TerminalSize;
use hoop_lite::limits;
use hoop_lite::session::{EXIT_INTERNAL, TargetId};

use crate::databases::Databases;
use crate::owed::{Owed, Owing};
use crate::relays::{Kind, Relay};
use crate::sent::{Part, Sent, Service};
use crate::target::Mood;

/// What the model must know of the settings.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub relay_count_max: usize,
    pub queue_bytes_max: usize,
    pub stall_max: Duration,
    pub output_after_exit_max: Duration,
}

pub enum State {
    Opening(usize),
    Tcp {
        /// The answered address check, for the first connection.
        probe: Option<usize>,
        open: BTreeMap<u32, usize>,
        closed: VecDeque<u32>,
    },
    Command(Option<usize>),
    /// Its secrets are fetched; how that goes is in `stores.rs`.
    Fetching,
    /// What goes on in it is in `databases.rs`.
    Database {
        is_open: bool,
    },
}

/// A session that is over, as its id is remembered.
struct Ended {
    sid: u32,
    /// The gateway has not confirmed our close yet.
    is_unconfirmed: bool,
    /// Two clients used the id.
    is_contested: bool,
}

pub struct Session {
    service: Service,
    pub state: State,
}

pub struct Model {
    pub bounds: Bounds,
    pub sessions: BTreeMap<u32, Session>,
    ended: VecDeque<Ended>,
    pub relays: Vec<Relay>,
    /// Relays that are not dropped.
    pub live: Vec<usize>,
    pub by_target: BTreeMap<TargetId, usize>,
    /// Dials and spawns that the agent must ask for next, in order.
    pub starts: VecDeque<usize>,
    pub resizes: VecDeque<(usize, TerminalSize)>,
    /// Targets that the agent must close before it is done with this step.
    pub drops_due: usize,
    pub buffered: usize,
    /// The same of databases, at most.
    pub beside: usize,
    pub databases: Databases,
    pub owing: Owing,
    pub is_stopping: bool,
    /// Time in which the agent could send, up to the last step, and whether it can now.
    pub room_time: Duration,
    room_seen: Option<Instant>,
}

impl Model {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            sessions: BTreeMap::new(),
            ended: VecDeque::new(),
            relays: Vec::new(),
            live: Vec::new(),
            by_target: BTreeMap::new(),
            starts: VecDeque::new(),
            resizes: VecDeque::new(),
            drops_due: 0,
            buffered: 0,
            beside: 0,
            databases: Databases::default(),
            owing: Owing::default(),
            is_stopping: false,
            room_time: Duration::ZERO,
            room_seen: None,
        }
    }

    /// The agent has been given the last byte of this.
    pub fn apply(&mut self, now: Instant, sent: Sent) {
        match sent {
            Sent::Open(sid, service, mood) => self.open(now, sid, service, mood),
            Sent::Close(sid) if self.sessions.contains_key(&sid) => self.end(now, sid),
            Sent::Close(sid) => self.confirmed(sid),
            Sent::Stdin(sid, part, mood) => match self.state(sid) {
                None => self.stray(sid, false),
                Some(State::Command(None)) => self.exec(now, sid, part, mood),
                Some(State::Command(Some(_))) => {}
                Some(_) => self.close(now, sid, EXIT_INTERNAL),
            },
            Sent::Typed(sid, part, is_starter, mood) => match self.state(sid) {
                None => self.stray(sid, false),
                Some(State::Command(started)) => {
                    let started = *started;
                    self.typed(now, sid, started, part, is_starter, mood);
                }
                Some(_) => self.close(now, sid, EXIT_INTERNAL),
            },
            Sent::Resize(sid, size) => {
                if let Some(State::Command(Some(relay))) = self.state(sid) {
                    let relay = *relay;
                    self.resizes.push_back((relay, size));
                }
            }
            Sent::Write(sid, connection, part, opens_only, mood) => match self.state(sid) {
                None => self.stray(sid, false),
                Some(State::Tcp { .. }) => {
                    self.write(now, sid, connection, part, opens_only, mood);
                }
                Some(_) => self.close(now, sid, EXIT_INTERNAL),
            },
            Sent::Native(sid, number, len) => match self.state(sid) {
                None => self.stray(sid, false),
                Some(State::Database { is_open: true }) => {
                    self.databases.applied((sid, number), len);
                    self.beside += len;
                }
                Some(_) => self.close(now, sid, EXIT_INTERNAL),
            },
            Sent::CloseConnection(sid, connection) => {
                self.databases.left((sid, connection));
                if let Some(State::Tcp { open, .. }) = self.state(sid)
                    && let Some(relay) = open.remove(&connection)
                {
                    self.remember_closed(sid, connection);
                    self.linger(now, relay);
                }
            }
            Sent::Misfit(sid) | Sent::Oversized(sid) => match self.state(sid) {
                None => self.stray(sid, false),
                Some(_) => self.close(now, sid, EXIT_INTERNAL),
            },
            Sent::System(sid) => self.owing.owe(sid, Owed::Refusal),
            Sent::Nothing
            | Sent::Answered(_)
            | Sent::Refused
            | Sent::CheckRefused
            | Sent::Fatal
            | Sent::GoAway => {}
        }
    }

    fn state(&mut self, sid: u32) -> Option<&mut State> {
        self.sessions
            .get_mut(&sid)
            .map(|session| &mut session.state)
    }

    fn open(&mut self, now: Instant, sid: u32, service: Service, mood: Mood) {
        if self.sessions.contains_key(&sid) {
            // Nobody can tell two sessions of one id apart: both end.
            self.close(now, sid, EXIT_INTERNAL);
            self.ended.back_mut().expect("it ended").is_contested = true;
            return;
        }
        let is_taken = |known: &Ended| known.is_unconfirmed || known.is_contested;
        if self
            .ended
            .iter()
            .any(|known| known.sid == sid && is_taken(known))
        {
            return self.never_was(sid, true);
        }
        self.forget_ended(sid);
        if self.is_stopping || self.is_full(sid) || service == Service::Refused {
            return self.never_was(sid, true);
        }
        let state = match service {
            Service::Command => State::Command(None),
            Service::Stored => State::Fetching,
            Service::Native(dialect) => State::Database {
                is_open: dialect.is_open_at_once(),
            },
            _ => State::Opening(self.start(now, sid, None, Kind::Probe, mood, None)),
        };
        let is_open = match service {
            Service::Native(dialect) => dialect.is_open_at_once(),
            _ => service == Service::Command,
        };
        self.sessions.insert(sid, Session { service, state });
        if is_open {
            self.owing.owe(sid, Owed::OpenOk);
        }
    }

    /// The address check of a session went well.
    pub fn opened(&mut self, sid: u32, probe: usize) {
        let session = self.sessions.get_mut(&sid).expect("an opening session");
        let is_kept = session.service == Service::Tcp;
        session.state = match is_kept {
            true => State::Tcp {
                probe: Some(probe),
                open: BTreeMap::new(),
                closed: VecDeque::new(),
            },
            false => State::Command(None),
        };
        if !is_kept {
            self.drop(probe, false);
        }
        self.owing.owe(sid, Owed::OpenOk);
    }

    /// The address check of a database went well.
    pub fn database_opened(&mut self, sid: u32) {
        let session = self.sessions.get_mut(&sid).expect("an opening session");
        session.state = State::Database { is_open: true };
        self.owing.owe(sid, Owed::OpenOk);
    }

    fn exec(&mut self, now: Instant, sid: u32, part: Part, mood: Mood) {
        if let Some(relay) = self.launch(now, sid, Kind::Exec, part, mood) {
            self.enqueue(now, relay, part);
            self.relays[relay].input_ended = true;
        }
    }

    fn typed(
        &mut self,
        now: Instant,
        sid: u32,
        started: Option<usize>,
        part: Part,
        is_starter: bool,
        mood: Mood,
    ) {
        match started {
            Some(relay) if self.relays[relay].kind == Kind::Terminal => {
                self.enqueue(now, relay, part);
            }
            Some(_) => {}
            None => {
                let relay = self.launch(now, sid, Kind::Terminal, part, mood);
                if let Some(relay) = relay.filter(|_| !is_starter) {
                    self.enqueue(now, relay, part);
                }
            }
        }
    }

    fn launch(
        &mut self,
        now: Instant,
        sid: u32,
        kind: Kind,
        part: Part,
        mood: Mood,
    ) -> Option<usize> {
        if self.is_full(sid) {
            self.close(now, sid, EXIT_INTERNAL);
            return None;
        }
        let relay = self.start(now, sid, None, kind, mood, Some(part.text));
        if let Some(State::Command(started)) = self.state(sid) {
            *started = Some(relay);
        }
        Some(relay)
    }

    fn write(
        &mut self,
        now: Instant,
        sid: u32,
        connection: u32,
        part: Part,
        opens_only: bool,
        mood: Mood,
    ) {
        let is_full = self.is_full(sid);
        let Some(State::Tcp {
            probe,
            open,
            closed,
        }) = self.state(sid)
        else {
            unreachable!("the caller has looked");
        };
        if closed.contains(&connection) {
            return;
        }
        let known = open.get(&connection).copied();
        let probe = if known.is_none() { probe.take() } else { None };
        let known = known.or_else(|| self.claim(now, probe?, connection, part.text));
        let relay = match known {
            Some(relay) => relay,
            None if is_full => {
                self.owing.owe(sid, Owed::ConnectionClose(connection));
                return self.remember_closed(sid, connection);
            }
            None => self.start(now, sid, Some(connection), Kind::Tcp, mood, Some(part.text)),
        };
        if let Some(State::Tcp { open, .. }) = self.state(sid) {
            open.insert(connection, relay);
        }
        if !opens_only {
            self.enqueue(now, relay, part);
        }
    }

    /// The target of a connection has ended, or never was: its client hears it.
    pub fn connection_over(&mut self, sid: u32, connection: u32) {
        if let Some(State::Tcp { open, .. }) = self.state(sid) {
            open.remove(&connection);
        }
        self.owing.owe(sid, Owed::ConnectionClose(connection));
        self.remember_closed(sid, connection);
    }

    fn remember_closed(&mut self, sid: u32, connection: u32) {
        if let Some(State::Tcp { closed, .. }) = self.state(sid) {
            if closed.len() >= limits::CLOSED_CONNECTIONS_KEPT {
                closed.pop_front();
            }
            closed.push_back(connection);
        }
    }

    /// A packet for no session.
    fn stray(&mut self, sid: u32, opens_nothing: bool) {
        let is_known = self.ended.iter().any(|known| known.sid == sid);
        if !opens_nothing && !is_known {
            self.never_was(sid, false);
        }
    }

    fn never_was(&mut self, sid: u32, is_unconfirmed: bool) {
        self.remember_ended(sid, is_unconfirmed);
        self.owing.owe(sid, Owed::Close(EXIT_INTERNAL));
    }

    fn confirmed(&mut self, sid: u32) {
        if let Some(known) = self.ended.iter_mut().find(|known| known.sid == sid) {
            known.is_unconfirmed = false;
        }
    }

    /// `true` when two clients used its id.
    fn forget_ended(&mut self, sid: u32) -> bool {
        let at = self.ended.iter().position(|known| known.sid == sid);
        let known = at.and_then(|at| self.ended.remove(at));
        known.is_some_and(|known| known.is_contested)
    }

    fn remember_ended(&mut self, sid: u32, is_unconfirmed: bool) {
        let is_contested = self.forget_ended(sid);
        if self.ended.len() >= limits::ENDED_SESSIONS_KEPT {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended {
            sid,
            is_unconfirmed,
            is_contested,
        });
    }

    /// The agent closes a session: its client hears it, once, behind everything else.
    pub fn close(&mut self, now: Instant, sid: u32, code: u16) {
        self.owing.owe(sid, Owed::Close(code));
        self.end(now, sid);
        if let Some(known) = self.ended.back_mut() {
            known.is_unconfirmed = true;
        }
    }

    fn end(&mut self, now: Instant, sid: u32) {
        let Some(session) = self.sessions.remove(&sid) else {
            return;
        };
        self.remember_ended(sid, false);
        match session.state {
            State::Opening(relay) | State::Command(Some(relay)) => self.drop(relay, false),
            State::Command(None) | State::Fetching => {}
            State::Database { .. } => self.databases.session_over(sid),
            State::Tcp { probe, open, .. } => {
                if let Some(probe) = probe {
                    self.drop(probe, false);
                }
                for relay in open.into_values() {
                    self.linger(now, relay);
                }
            }
        }
    }

    /// The agent leaves: every session is closed by packet.
    pub fn leave(&mut self, now: Instant) {
        let open: Vec<u32> = self.sessions.keys().copied().collect();
        for sid in open {
            self.close(now, sid, EXIT_INTERNAL);
        }
    }

    /// The link is gone, and with it all sessions, queues included.
    /// At a deadline, others may have passed in the same moment.
    pub fn link_lost(&mut self, is_deadline: bool) {
        self.sessions.clear();
        self.ended.clear();
        self.databases.link_lost();
        for relay in self.live.clone() {
            self.drop(relay, true);
            self.relays[relay].may_be_overdue = is_deadline;
        }
        self.owing.next_link(is_deadline);
    }

    /// Time goes on, and the agent could send meanwhile, or not.
    pub fn time_goes_on(&mut self, now: Instant) {
        if let Some(seen) = self.room_seen.as_mut() {
            self.room_time += now - *seen;
            *seen = now;
        }
    }

    /// At the end of a step: whether the agent can send from now on.
    pub fn has_room(&mut self, now: Instant, has_room: bool) {
        self.time_goes_on(now);
        self.room_seen = has_room.then_some(now);
    }

    /// Nothing that the agent had to ask for in this step is missing.
    pub fn check_asked(&self) {
        assert!(self.starts.is_empty(), "a target was not started");
        assert!(self.resizes.is_empty(), "a terminal was not resized");
        assert_eq!(self.drops_due, 0, "targets were not closed");
    }

    /// Everything was given back.
    pub fn check_empty(&self) {
        assert!(
            self.sessions.is_empty(),
            "the world did not end its sessions"
        );
        let left: Vec<String> = self.live.iter().map(|r| self.describe(*r)).collect();
        assert!(left.is_empty(), "targets are left: {left:#?}");
        assert_eq!(self.buffered, 0, "bytes are left");
        self.owing.check_paid();
    }
}
