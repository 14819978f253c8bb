//! One end of a relay: a TCP connection or a process, seen without its descriptors.
//!
//! ```text
//!            start                 linger: client left, or target ended
//!  Starting -------> Streaming ---------------------------------------> Lingering --> gone
//!   |  |                | |  |                                            ^    its queue is empty and it has
//!   |  |                | |  +- overdue probe, errand: gone               |    ended, or nothing moves any more
//!   |  |                | +---- process: leader exited, output drains,    |
//!   |  |                |       then its session is finished: gone        |
//!   |  |                +------ broke: gone (a process: takes no input)   |
//!   |  +-- client left, and bytes for it wait: it starts first -----------+
//!   +----- failed, overdue, or nobody needs it: gone
//! ```
//!
//! A probe that was answered streams and waits: what it says is kept for the session's first connection,
//! whose target it becomes ([`Target::claim`]).
//!
//! A target owns the bytes that wait for it; the reactor borrows them, writes, and reports. Every change of
//! its life is one function here that says what follows; the table carries it out ([`super::targets`]), and
//! who owns it is told by [`super::reports`].

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::draining::{Drain, Drained};
use super::input::Input;
use super::names::{ConnectionId, SessionKey};
use super::output::End;
use super::report::{Channel, Exit, Peer};
use super::seam::Machine;
use super::shares::{Table, UserKey};
use super::tally::Traffic;
use super::verdict::{Ended, Linger, Overdue, PeerSeen, Started};
use crate::base::ByteBuf;
use crate::limits;

/// Whom a target is for.
pub enum Owner {
    /// The address check before a session opens, and what its target has said since.
    Probe(SessionKey, Box<ByteBuf>),
    /// A client's connection.
    Connection(SessionKey, ConnectionId),
    /// The command of a session.
    Process {
        /// Which.
        session: SessionKey,
        /// It has a terminal, and no channel for errors.
        on_terminal: bool,
    },
    /// What a session refers to: a secret store, or whoever gives the agent its credentials there.
    Fetch(SessionKey),
    /// Nobody: the machine goes its way alone.
    Errand(Box<dyn Machine>),
    /// Nobody any more: only what is queued for it is delivered.
    Nobody,
}

/// Where in its life a target is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Being dialled or spawned.
    Starting,
    /// Bytes flow.
    Streaming,
    /// Only what is queued for it still flows; what it says is no longer relayed.
    Lingering,
}

/// One target.
pub(super) struct Target {
    owner: Owner,
    /// Whose it is, also when the session is over.
    user: UserKey,
    /// Secret files of the process.
    files: usize,
    /// It was dialled for an errand.
    is_errand: bool,
    stage: Stage,
    /// The very address of a connection.
    peer: Option<SocketAddr>,
    input: Input,
    /// Outputs that have not ended yet, by [`Channel::index`].
    open: [bool; 2],
    /// The process's leader has ended, and its output is read for a while.
    drain: Option<Box<Drain>>,
    /// How its processes will end.
    end: End,
    /// Since when its machine was seen to acknowledge nothing.
    silent_since: Option<Instant>,
    /// Since when it is there.
    since: Instant,
    /// What has gone through it.
    traffic: Traffic,
    /// Bytes that it has said since nobody listens.
    discarded: usize,
}

impl Target {
    /// A target that is about to be dialled, or spawned with so many secret files.
    pub(super) fn new(owner: Owner, user: UserKey, files: usize, now: Instant) -> Self {
        let is_errand = matches!(owner, Owner::Errand(_));
        let has_error_channel = matches!(
            owner,
            Owner::Process {
                on_terminal: false,
                ..
            }
        );
        Self {
            owner,
            user,
            files,
            is_errand,
            stage: Stage::Starting,
            peer: None,
            input: Input::new(now),
            open: [true, has_error_channel],
            drain: None,
            end: End::Forced,
            silent_since: None,
            since: now,
            traffic: Traffic::default(),
            discarded: 0,
        }
    }

    // -- its life --------------------------------------------------------------------------------

    /// It is connected, or runs.
    pub(super) fn start(&mut self, now: Instant, peer: Option<SocketAddr>) -> Started {
        self.stage = Stage::Streaming;
        self.peer = peer;
        self.input.note_able(now);
        match self.owner {
            Owner::Nobody => Started::Deserted,
            _ => Started::Streams,
        }
    }

    /// It goes on with another connection of its session; `false`: it has ended.
    pub(super) fn hand_on(&mut self, owner: Owner) -> bool {
        let is_sound =
            self.stage == Stage::Streaming && matches!(self.owner, Owner::Connection(..));
        if is_sound {
            self.owner = owner;
        }
        is_sound
    }

    /// A probe that was answered becomes the target of `owner`. What it has said so far; `None` where it is
    /// none, or has not been answered yet.
    pub(super) fn claim(&mut self, now: Instant, owner: Owner) -> Option<Box<ByteBuf>> {
        if self.stage != Stage::Streaming || !matches!(self.owner, Owner::Probe(..)) {
            return None;
        }
        self.input.note_able(now);
        match std::mem::replace(&mut self.owner, owner) {
            Owner::Probe(_, said) => Some(said),
            _ => None,
        }
    }

    /// Delivers what is queued, says goodbye, and relays nothing of it any more.
    pub(super) fn linger(&mut self, now: Instant) -> Linger {
        if self.stage == Stage::Starting && self.input.is_empty() {
            return Linger::Gone;
        }
        self.owner = Owner::Nobody;
        self.input.end();
        if self.stage == Stage::Starting {
            return Linger::Starts;
        }
        self.stage = Stage::Lingering;
        self.input.watch(now);
        Linger::Looks {
            has_rest: !self.input.is_empty(),
        }
    }

    /// A channel is at its end, orderly or not.
    pub(super) fn end_channel(&mut self, channel: Channel) -> Ended {
        self.open[channel.index()] = false;
        match (&self.owner, self.stage) {
            (Owner::Process { .. }, Stage::Streaming)
                if self.is_silent() && self.drain.is_some() =>
            {
                Ended::Finished
            }
            (Owner::Process { .. }, _) => Ended::Stays,
            (_, Stage::Lingering) if self.input.is_empty() => Ended::Gone { reset: false },
            (_, Stage::Lingering) => Ended::Stays,
            _ => Ended::Heard { reset: false },
        }
    }

    /// The connection broke. A process takes no input any more: what waits for it is of no use.
    pub(super) fn break_off(&mut self) -> Ended {
        match self.owner {
            Owner::Process { .. } => {
                self.input.refuse();
                Ended::Stays
            }
            Owner::Nobody => Ended::Gone { reset: true },
            _ => Ended::Heard { reset: true },
        }
    }

    /// The write side is to be closed now; true once.
    pub(super) fn take_shutdown(&mut self) -> bool {
        self.stage != Stage::Starting && self.input.take_shutdown()
    }

    /// After everything was written and said: a target that has ended too is done.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Lingering && self.input.is_empty() && !self.open[0]
    }

    /// The leader of its processes has ended; `room` is the time with room for output so far.
    pub(super) fn exit(&mut self, exit: Exit, room: Duration) {
        self.drain = Some(Box::new(Drain::new(exit, room)));
    }

    /// Its one deadline has come. `output_max` bounds the output after the leader's end.
    pub(super) fn overdue(
        &mut self,
        now: Instant,
        room: Duration,
        output_max: Duration,
    ) -> Overdue {
        match (&self.owner, self.stage) {
            (_, Stage::Starting) => Overdue::Failed,
            (Owner::Probe(..) | Owner::Errand(_) | Owner::Fetch(_), _) => {
                Overdue::Gone { reset: false }
            }
            (Owner::Process { .. }, _) => self.drain_overdue(now, room, output_max),
            (_, Stage::Streaming) => Overdue::AskPeer,
            (_, Stage::Lingering) => self.linger_overdue(now),
        }
    }

    /// A lingering target that still takes bytes may go on, also where only the kernel sees it. The
    /// others are closed: with a reset if they lack something, else in good order, since a reset
    /// would take back what the kernel is still to deliver.
    fn linger_overdue(&mut self, now: Instant) -> Overdue {
        let is_cut_off = !self.input.is_empty();
        let since = match is_cut_off {
            true => self.input.note_look(now, limits::LINGER_LOOK * 2),
            false => self.input.progress_at(),
        };
        // The verdict follows one more look, not one that is old already.
        let last_look = since + limits::LINGER_MAX;
        let until = last_look + limits::PRESSURE_TICK;
        if now >= until {
            return Overdue::Gone { reset: is_cut_off };
        }
        let next = match now >= last_look {
            true => until,
            false => last_look.min(now + limits::LINGER_LOOK),
        };
        Overdue::Looks {
            next,
            examines: is_cut_off,
        }
    }

    /// The output of a process whose leader has ended is over when it has been silent, or has gone on, for
    /// too long.
    pub(super) fn drain_overdue(
        &self,
        now: Instant,
        room: Duration,
        output_max: Duration,
    ) -> Overdue {
        let Some(drain) = &self.drain else {
            return Overdue::Stays;
        };
        if self.is_silent() {
            return Overdue::Finished;
        }
        match drain.judge(room, output_max) {
            Drained::NotYet(wait) => Overdue::Looks {
                next: now + wait,
                examines: false,
            },
            Drained::Silent => Overdue::Finished,
            Drained::Cut { size } => Overdue::Cut {
                size,
                after: output_max,
            },
        }
    }

    /// Its process is over, as it should be; how it ended.
    pub(super) fn finish(&mut self) -> Option<Exit> {
        let exit = self.drain.as_ref()?.exit();
        self.end = End::Normal;
        Some(exit)
    }

    /// What the kernel knows about its machine.
    pub(super) fn note_peer(
        &mut self,
        now: Instant,
        peer: Peer,
        silence_max: Duration,
    ) -> PeerSeen {
        if self.stage != Stage::Streaming {
            return PeerSeen::Settled;
        }
        let lasts = match peer {
            Peer::Silent(lasts) => lasts,
            Peer::Answers | Peer::Settled => {
                self.silent_since = None;
                return match peer {
                    Peer::Settled => PeerSeen::Settled,
                    _ => PeerSeen::Watched,
                };
            }
        };
        // Two looks: a probe that was sent a moment ago is unanswered, too.
        let since = *self.silent_since.get_or_insert(now);
        let looked_for = now.saturating_duration_since(since);
        if lasts < looked_for {
            self.silent_since = Some(now);
        } else if lasts >= silence_max && !looked_for.is_zero() {
            return PeerSeen::Vanished(lasts);
        }
        PeerSeen::Watched
    }

    // -- its bytes -------------------------------------------------------------------------------

    /// What is on its way to it.
    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// The same, to be changed.
    pub(super) fn input_mut(&mut self) -> &mut Input {
        &mut self.input
    }

    /// `size` bytes left for it.
    pub(super) fn note_taken(&mut self, size: usize) {
        self.traffic.taken += size as u64;
    }

    /// What has gone through it, and what waits for it.
    pub(super) fn traffic(&self) -> Traffic {
        let Traffic { taken, said } = self.traffic;
        let taken = taken + self.input.len() as u64;
        Traffic { taken, said }
    }

    /// How long it has been there.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// `size` bytes of it were read.
    pub(super) fn note_output(&mut self, size: usize, room: Duration) {
        self.traffic.said += size as u64;
        if self.stage == Stage::Lingering {
            self.discarded = self.discarded.saturating_add(size);
        }
        if let Some(drain) = &mut self.drain {
            drain.note(size, room);
        }
    }

    /// Room for what a waiting probe says; `None` for all others, and when it has said enough.
    pub(super) fn probe_slot(&mut self, size_max: usize) -> Option<&mut [u8]> {
        let room = self.probe_room();
        match &mut self.owner {
            Owner::Probe(_, said) if room > 0 => Some(said.slot(size_max.min(room), 0)),
            _ => None,
        }
    }

    /// `size` bytes were read into [`Target::probe_slot`].
    pub(super) fn probe_said(&mut self, size: usize) {
        if let Owner::Probe(_, said) = &mut self.owner {
            said.advance(size);
        }
    }

    fn probe_room(&self) -> usize {
        match &self.owner {
            Owner::Probe(_, said) => limits::PROBE_BYTES_MAX.saturating_sub(said.len()),
            _ => 0,
        }
    }

    // -- what it is ------------------------------------------------------------------------------

    /// Whom it is for.
    pub(super) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The same, to be changed.
    pub(super) fn owner_mut(&mut self) -> &mut Owner {
        &mut self.owner
    }

    /// The session that it is for.
    pub(super) fn session(&self) -> Option<SessionKey> {
        match self.owner {
            Owner::Probe(session, _)
            | Owner::Connection(session, _)
            | Owner::Fetch(session)
            | Owner::Process { session, .. } => Some(session),
            Owner::Errand(_) | Owner::Nobody => None,
        }
    }

    /// Who pays for it.
    pub(super) fn user(&self) -> UserKey {
        self.user
    }

    /// What its user gets back when it is closed. An errand has no place among the relays: what it is to stop may
    /// be what fills them.
    pub(super) fn takes(&self) -> [(Table, usize); 4] {
        let is_process = matches!(self.owner, Owner::Process { .. });
        [
            (Table::Files, self.files),
            (Table::Processes, usize::from(is_process)),
            (Table::Errands, usize::from(self.is_errand)),
            (Table::Relays, usize::from(!self.is_errand)),
        ]
    }

    /// It was dialled for an errand.
    pub(super) fn is_errand(&self) -> bool {
        self.is_errand
    }

    /// The very address, of a connection that stands.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// How its processes are to end.
    pub(super) fn end(&self) -> End {
        self.end
    }

    /// What waits for it and can be written, as it lies.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let input = (self.stage != Stage::Starting).then_some(&self.input);
        input.into_iter().flat_map(Input::parts)
    }

    /// What it says is wanted by somebody.
    pub(super) fn is_streaming(&self) -> bool {
        self.stage == Stage::Streaming
    }

    /// What it says goes to a client.
    pub(super) fn is_heard(&self) -> bool {
        let is_for_client = matches!(self.owner, Owner::Connection(..) | Owner::Process { .. });
        self.is_streaming() && is_for_client
    }

    /// Nobody listens to it any more.
    pub(super) fn is_lingering(&self) -> bool {
        self.stage == Stage::Lingering
    }

    /// The channel is to be read: it is open, and has not said enough. A waiting probe may have, and who says on
    /// and on though nobody listens; but where bytes wait for it, it may have to be heard before it takes them.
    pub(super) fn wants_read(&self, channel: Channel) -> bool {
        let is_enough = match self.stage {
            Stage::Starting => true,
            Stage::Streaming => matches!(self.owner, Owner::Probe(..)) && self.probe_room() == 0,
            Stage::Lingering => {
                self.discarded >= limits::LINGER_DISCARD_MAX && self.input.is_empty()
            }
        };
        !is_enough && self.open[channel.index()]
    }

    /// Bytes that leave for it must be acknowledged in time.
    pub(super) fn is_watched(&self) -> bool {
        self.stage == Stage::Streaming && matches!(self.owner, Owner::Connection(..))
    }

    /// Both outputs have ended.
    fn is_silent(&self) -> bool {
        self.open == [false, false]
    }
}
