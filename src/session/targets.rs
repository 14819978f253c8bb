//! The table of all targets: their queues, who has to be looked at, whose deadline is next.
//!
//! Promises that the budget knows every byte that waits, that a target stands on the list of dirty ones at
//! most once, and that each has one deadline at most. Carries out what follows from a change in a target's
//! life as far as only the target is concerned; its owner is told by `reports.rs`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::draining::RoomClock;
use super::names::{ConnectionId, SessionKey, TargetId};
use super::output::Output;
use super::report::{Channel, Exit, Peer};
use super::session_limits::SessionLimits;
use super::tally::Tallies;
use super::target::{Owner, Target};
use super::verdict::{Ended, Linger, Overdue, PeerSeen, Started};
use crate::base::{ByteBuf, Pieces, Slab, TimerId, Timers};
use crate::limits;

mod queues;

/// What a deadline is about.
pub(super) enum Due {
    /// This target.
    Target(TargetId),
    /// The machine of this connection.
    Connection(SessionKey, ConnectionId),
    /// What this session fetches.
    Fetch(SessionKey),
    /// Who has stalled under pressure.
    Pressure,
    /// Credit that was earned.
    Credit,
    /// Memory of idle queues.
    Memory,
    /// Keys that logins wait for.
    Keys,
}

/// What is not later than now would be called in this one.
pub(super) const NEXT_TURN: Duration = Duration::from_nanos(1);

/// Looks in the time after which a silent target has vanished: as many as probes and the first wait.
const PEER_LOOKS: u32 = 10;

/// A target and what the table knows of it.
struct Entry {
    target: Target,
    timer: Option<TimerId>,
    is_dirty: bool,
}

/// See the module.
pub(super) struct Targets {
    entries: Slab<Box<Entry>>,
    /// Those of errands, with the session of each.
    errands: Vec<(TargetId, SessionKey)>,
    timers: Timers<Due>,
    outputs: VecDeque<Output>,
    dirty: Vec<TargetId>,
    budget: Budget,
    /// Bytes of them that wait in front of a target, with their connections.
    in_front: usize,

    /// Time in which the link had room.
    room: RoomClock,
    /// Memory of queues between two uses.
    pieces: Pieces,
    /// Targets whose queue holds memory.
    warm: Vec<TargetId>,
    /// What has gone through the sessions of those that are over.
    pub(super) tallies: Tallies,
    /// Deadlines of these are armed.
    is_pressure_watched: bool,
    is_credit_due: bool,
    is_work_due: bool,
    output_after_exit_max: Duration,
    silence_max: Duration,
}

impl Targets {
    /// An empty table.
    pub(super) fn new(limits: &SessionLimits) -> Self {
        Self {
            entries: Slab::new(limits.relay_count_max + limits::ERRAND_COUNT_MAX),
            errands: Vec::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            dirty: Vec::new(),
            budget: Budget::new(limits.queue_bytes_max, limits.stall_max),
            in_front: 0,
            room: RoomClock::default(),
            pieces: Pieces::default(),
            warm: Vec::new(),
            tallies: Tallies::default(),
            is_pressure_watched: false,
            is_credit_due: false,
            is_work_due: false,
            output_after_exit_max: limits.output_after_exit_max,
            silence_max: limits.silence_max,
        }
    }

    // -- the table -------------------------------------------------------------------------------

    /// All of them, those included that only finish their queue.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many there may be.
    pub(super) fn count_max(&self) -> usize {
        self.entries.count_max()
    }

    /// The names of all.
    pub(super) fn ids(&self) -> Vec<TargetId> {
        self.entries.keys().into_iter().map(TargetId).collect()
    }

    /// This one, unless it is gone.
    pub(super) fn get(&self, id: TargetId) -> Option<&Target> {
        self.entries.get(id.0).map(|entry| &entry.target)
    }

    fn get_mut(&mut self, id: TargetId) -> Option<&mut Target> {
        self.entries.get_mut(id.0).map(|entry| &mut entry.target)
    }

    /// Adds a target, which is overdue in `timeout`. `None` where there is no room.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        target: Target,
        timeout: Option<Duration>,
    ) -> Option<TargetId> {
        let entry = Entry {
            target,
            timer: None,
            is_dirty: false,
        };
        let id = self.entries.insert(Box::new(entry)).ok().map(TargetId)?;
        if let Some(timeout) = timeout {
            self.arm(id, now + timeout);
        }
        Some(id)
    }

    /// Has the reactor close a target, whatever it still holds.
    pub(super) fn remove(&mut self, id: TargetId, reset: bool) -> Option<Target> {
        self.disarm(id);
        let target = self.entries.remove(id.0)?.target;
        self.errands.retain(|(errand, _)| *errand != id);
        self.budget.discard(target.input().len());
        if let Some(session) = target.session() {
            self.tallies.add(session, target.traffic());
        }
        let end = target.end();
        let close = Output::Close {
            target: id,
            reset,
            end,
        };
        self.outputs.push_back(close);
        Some(target)
    }

    /// Replaces a target's deadline.
    pub(super) fn arm(&mut self, id: TargetId, at: Instant) {
        self.disarm(id);
        let timer = self.timers.arm(at, Due::Target(id));
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.timer = Some(timer);
        }
    }

    fn disarm(&mut self, id: TargetId) {
        let entry = self.entries.get_mut(id.0);
        if let Some(timer) = entry.and_then(|entry| entry.timer.take()) {
            self.timers.cancel(timer);
        }
    }

    /// Arms the deadline of a connection's machine.
    pub(super) fn arm_connection(
        &mut self,
        at: Instant,
        session: SessionKey,
        connection: ConnectionId,
    ) -> TimerId {
        self.timers.arm(at, Due::Connection(session, connection))
    }

    /// Arms the deadline of what a session fetches.
    pub(super) fn arm_fetch(&mut self, at: Instant, session: SessionKey) -> TimerId {
        self.timers.arm(at, Due::Fetch(session))
    }

    /// Takes it back.
    pub(super) fn disarm_connection(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
    }

    /// There are keys to be made, in the next turn.
    pub(super) fn arm_work(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.is_work_due, true) {
            self.timers.arm(now + NEXT_TURN, Due::Keys);
        }
    }

    /// When the next deadline is.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// One deadline that has come; call until `None`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        loop {
            match self.timers.fire(now)? {
                Due::Memory => self.release_idle(now),
                Due::Credit => self.is_credit_due = false,
                Due::Target(id) => {
                    if let Some(entry) = self.entries.get_mut(id.0) {
                        entry.timer = None;
                        return Some(Due::Target(id));
                    }
                }
                Due::Pressure => {
                    self.is_pressure_watched = false;
                    return Some(Due::Pressure);
                }
                Due::Keys => {
                    self.is_work_due = false;
                    return Some(Due::Keys);
                }
                due @ (Due::Connection(..) | Due::Fetch(_)) => return Some(due),
            }
        }
    }

    /// Has the reactor do this.
    pub(super) fn ask(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// What the reactor is to do next.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Puts a target on the list that the reactor looks at.
    pub(super) fn mark_dirty(&mut self, id: TargetId) {
        if let Some(entry) = self.entries.get_mut(id.0)
            && !std::mem::replace(&mut entry.is_dirty, true)
        {
            self.dirty.push(id);
        }
    }

    /// The next one on that list.
    pub(super) fn poll_dirty(&mut self) -> Option<TargetId> {
        let id = self.dirty.pop()?;
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.is_dirty = false;
        }
        Some(id)
    }

    // -- their lives -----------------------------------------------------------------------------

    /// It is connected, or runs.
    pub(super) fn start(
        &mut self,
        now: Instant,
        id: TargetId,
        peer: Option<SocketAddr>,
    ) -> Option<Started> {
        // The deadline of an errand is for its whole life.
        if self.get(id).is_some_and(|target| !target.is_errand()) {
            self.disarm(id);
        }
        let started = self.get_mut(id)?.start(now, peer);
        self.mark_dirty(id);
        Some(started)
    }

    /// A probe that was answered becomes the target of `owner`; what it has said so far.
    pub(super) fn claim(&mut self, now: Instant, id: TargetId, owner: Owner) -> Option<ByteBuf> {
        let said = self.get_mut(id)?.claim(now, owner)?;
        self.disarm(id);
        // It may have more to read than was read of it.
        self.mark_dirty(id);
        Some(*said)
    }

    /// The target of one connection becomes that of another; `false`: it has ended.
    pub(super) fn hand_on(&mut self, id: TargetId, owner: Owner) -> bool {
        self.get_mut(id).is_some_and(|target| target.hand_on(owner))
    }

    /// Delivers what is queued, says goodbye, and relays nothing of it any more; `false`: there is nothing
    /// to be done, and it is to be removed.
    pub(super) fn linger(&mut self, now: Instant, id: TargetId) -> bool {
        let Some(target) = self.get_mut(id) else {
            return true;
        };
        let (session, traffic) = (target.session(), target.traffic());
        let lingers = target.linger(now);
        if lingers == Linger::Gone {
            return false;
        }
        if let Some(session) = session {
            self.tallies.add(session, traffic);
        }
        match lingers {
            Linger::Gone | Linger::Starts => {}
            Linger::Looks { has_rest } => {
                if has_rest {
                    self.ask(Output::Examine { target: id });
                }
                self.arm(id, now + limits::LINGER_LOOK);
            }
        }
        self.mark_dirty(id);
        true
    }

    /// A channel is at its end, orderly or not.
    pub(super) fn end_channel(&mut self, id: TargetId, channel: Channel) -> Option<Ended> {
        Some(self.get_mut(id)?.end_channel(channel))
    }

    /// The connection broke, or the process takes no input any more.
    pub(super) fn break_off(&mut self, id: TargetId) -> Option<Ended> {
        let target = self.get_mut(id)?;
        let waited = target.input().len();
        let ended = target.break_off();
        let dropped = waited - target.input().len();
        self.budget.discard(dropped);
        self.mark_dirty(id);
        Some(ended)
    }

    /// Its deadline has come.
    pub(super) fn overdue(&mut self, now: Instant, id: TargetId) -> Option<Overdue> {
        let (room, output_max) = (self.room.at(now), self.output_after_exit_max);
        let overdue = self.get_mut(id)?.overdue(now, room, output_max);
        Some(self.looked(id, overdue))
    }

    /// The leader of its processes has ended. Its output may still be read.
    pub(super) fn exit(&mut self, now: Instant, id: TargetId, exit: Exit) -> Option<Overdue> {
        let (room, output_max) = (self.room.at(now), self.output_after_exit_max);
        let target = self.get_mut(id)?;
        target.exit(exit, room);
        let overdue = target.drain_overdue(now, room, output_max);
        Some(self.looked(id, overdue))
    }

    fn looked(&mut self, id: TargetId, overdue: Overdue) -> Overdue {
        match overdue {
            Overdue::Looks { next, examines } => {
                if examines {
                    self.ask(Output::Examine { target: id });
                }
                self.arm(id, next);
            }
            Overdue::AskPeer => self.ask(Output::AskPeer { target: id }),
            _ => {}
        }
        overdue
    }

    /// Its process is over, as it should be; whose it was, and how it ended.
    pub(super) fn finish(&mut self, id: TargetId) -> Option<(SessionKey, Exit)> {
        let target = self.get_mut(id)?;
        Some((target.session()?, target.finish()?))
    }

    /// What the kernel knows about its machine: for how long that has acknowledged nothing, if for too long.
    pub(super) fn note_peer(&mut self, now: Instant, id: TargetId, peer: Peer) -> Option<Duration> {
        let silence_max = self.silence_max;
        match self.get_mut(id)?.note_peer(now, peer, silence_max) {
            PeerSeen::Settled => None,
            PeerSeen::Watched => {
                self.watch_peer(now, id);
                None
            }
            PeerSeen::Vanished(lasts) => Some(lasts),
        }
    }

    /// Bytes have left for it, so its machine must acknowledge them in time.
    fn watch_peer(&mut self, now: Instant, id: TargetId) {
        let entry = self.entries.get(id.0);
        if entry.is_some_and(|entry| entry.timer.is_none() && entry.target.is_watched()) {
            self.arm(id, now + self.silence_max / PEER_LOOKS);
        }
    }
}
