//! A machine between a connection and its target, and what of its client waits in front of it.

use std::net::SocketAddr;
use std::time::Instant;

use super::about::About;
use super::means::Means;
use super::names::{ConnectionId, SessionKey, TargetId};
use super::progress::Progress;
use super::report::Unreached;
use super::seam::{Machine, Next, Sides, ToClient, Why};
use super::shares::{Shares, Table};
use super::targets::{NEXT_TURN, Targets};
use super::to_target::ToTarget;
use super::turn::Turn;
use crate::base::plain::Word;
use crate::base::{ByteBuf, Service, TimerId};
use crate::limits;
use crate::packet::{Kind, SpecEntry, spec};

/// What a machine is told; see [`Machine`].
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    ClientSent(&'a [u8]),
    Dialled,
    Started(Option<SocketAddr>),
    Told(&'a Service),
    Failed(Unreached<'a>),
    TargetSent(usize),
    TargetEnded,
    TargetBroke,
    HungUp,
    ClientLeft,
    Refuse(Why),
    Overdue,
}

impl Call<'_> {
    /// There is no target after it but by another dial.
    pub(super) fn ends_target(self) -> bool {
        matches!(
            self,
            Self::Failed(_) | Self::TargetEnded | Self::TargetBroke | Self::Refuse(_)
        )
    }

    /// Tells a machine.
    pub(super) fn tell(self, machine: &mut dyn Machine, sides: &mut Sides<'_>) -> Next {
        match self {
            Self::ClientSent(payload) => machine.client_sent(sides, payload),
            Self::Dialled => machine.dialled(sides),
            Self::Started(peer) => machine.started(sides, peer),
            Self::Told(service) => machine.told(sides, service),
            Self::Failed(why) => machine.failed(sides, why),
            Self::TargetSent(size) => machine.target_sent(sides, size),
            Self::TargetEnded => machine.target_ended(sides),
            Self::TargetBroke => machine.target_broke(sides),
            Self::HungUp => machine.hung_up(sides),
            Self::ClientLeft => machine.client_left(sides),
            Self::Overdue => machine.overdue(sides),
            Self::Refuse(why) => machine.refuse(sides, why),
        }
    }
}

/// Which connection it is, and where its bytes go.
pub(super) struct Ends<'a> {
    pub(super) key: SessionKey,
    pub(super) about: &'a About,
    pub(super) id: &'a [u8],
    pub(super) target: Option<TargetId>,
}

/// See the module.
pub(super) struct Middle {
    machine: Box<dyn Machine>,
    from_client: ByteBuf,
    /// What waits here: those bytes, and what the machine holds of its target.
    held: usize,
    /// Of what waits.
    progress: Progress,
    timer: Option<TimerId>,
    /// Where it has a place, for want of a target.
    place: Option<Table>,
    /// The target's bytes are being read to the machine.
    reads_to_machine: bool,
}

impl Middle {
    /// Its user has paid for a place in this table.
    pub(super) fn new(now: Instant, machine: Box<dyn Machine>, place: Table) -> Self {
        Self {
            machine,
            from_client: ByteBuf::new(),
            held: 0,
            progress: Progress::new(now),
            timer: None,
            place: Some(place),
            reads_to_machine: false,
        }
    }

    /// Tells the machine, and keeps account of what waits and what is due.
    pub(super) fn call(&mut self, call: Call<'_>, ends: &Ends<'_>, turn: &mut Turn<'_>) -> Next {
        let (before, needed_room) = (self.held, self.machine.needs_room());
        if before == 0 {
            self.progress.note_able(turn.now);
        }
        let next = self.tell(call, ends, turn);
        self.held = self.from_client.len() + self.machine.held();
        if self.held < before {
            self.progress.note(turn.now);
        }
        if self.from_client.is_empty() {
            self.from_client.shrink(0);
        }
        turn.targets.note_in_front(before, self.held);
        if turn.means.keys.has_work() {
            turn.targets.arm_work(turn.now);
        }
        if let Some(target) = ends
            .target
            .filter(|_| self.machine.needs_room() != needed_room)
        {
            turn.targets.mark_dirty(target);
        }
        // The turn that it may ask for is not this one.
        let next_turn = turn.now + NEXT_TURN;
        let due = self.machine.due().map(|due| due.max(next_turn));
        if self.timer.map(TimerId::at) != due {
            let (key, id) = (ends.key, ConnectionId::from(ends.id));
            turn.targets.disarm_connection(self.timer);
            self.timer = due.map(|at| turn.targets.arm_connection(at, key, id));
        }
        next
    }

    fn tell(&mut self, call: Call<'_>, ends: &Ends<'_>, turn: &mut Turn<'_>) -> Next {
        let has_room = turn.targets.has_room();
        let mut to_target = ToTarget::new(turn.now, turn.targets, ends.target);
        let to_client = match call {
            // There is nobody any more.
            Call::ClientLeft => ToClient::nowhere(),
            _ => {
                let (kind, spec) = packets(ends.about, ends.id, NATIVE);
                ToClient::new(turn.outbox, kind, spec)
            }
        };
        let mut sides = Sides {
            now: turn.now,
            from_client: &mut self.from_client,
            to_client,
            to_target: &mut to_target,
            means: turn.means,
            has_room,
            warning: None,
        };
        let next = call.tell(&mut *self.machine, &mut sides);
        let (size, warning) = (sides.to_client.size(), sides.warning);
        turn.counters.bytes_to_gateway += size as u64;
        if let Some(warning) = warning.filter(|_| !ends.about.is_warned.replace(true)) {
            log::warn!("sid={} {warning}", Word(&ends.about.id));
        }
        next
    }

    /// Where the target's bytes are to be read to; `None`: to the packet that carries them.
    pub(super) fn slot<'a>(
        &'a mut self,
        means: &'a mut Means,
        size_max: usize,
    ) -> Option<&'a mut [u8]> {
        self.reads_to_machine = self.machine.wants_slot();
        match self.reads_to_machine {
            true => Some(self.machine.slot(means, size_max)),
            false => None,
        }
    }

    /// What the target says waits until the link has room.
    pub(super) fn needs_room(&self) -> bool {
        self.machine.needs_room()
    }

    /// The last [`Middle::slot`] was the machine's.
    pub(super) fn reads_to_machine(&self) -> bool {
        self.reads_to_machine
    }

    /// `size` bytes were read into the packet that carries them, which the machine may want to be two.
    pub(super) fn fill_packet(
        &mut self,
        about: &About,
        id: &[u8],
        size: usize,
        turn: &mut Turn<'_>,
    ) {
        turn.counters.bytes_to_gateway += size as u64;
        match self.machine.relayed(turn.outbox.slotted(size)) {
            Some(cut) => {
                let (kind, spec) = packets(about, id, NATIVE);
                turn.outbox.fill_cut(kind, &spec, size, cut);
            }
            None => turn.outbox.fill(size),
        }
    }

    /// The machine behind it, for what it is asked beside its calls.
    pub(super) fn machine(&mut self) -> &mut dyn Machine {
        &mut *self.machine
    }

    /// Its deadline has come, and is none any more.
    pub(super) fn note_overdue(&mut self) {
        self.timer = None;
    }

    /// Bytes that wait here.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// A look at whether they move; since when they have not.
    pub(super) fn note_look(&mut self, now: Instant) -> Instant {
        self.progress.note_look(now, limits::LOOK_GAP_MAX)
    }

    /// Takes a place for want of a target; `false`: there is none.
    pub(super) fn take_place(&mut self, about: &About, shares: &mut Shares) -> bool {
        if self.place.is_none() && shares.take(about.user, Table::Relays, 1).is_ok() {
            self.place = Some(Table::Relays);
        }
        self.place.is_some()
    }

    /// Gives the place back that it had for want of a target.
    pub(super) fn give_place(&mut self, about: &About, shares: &mut Shares) {
        if let Some(table) = self.place.take() {
            shares.give(about.user, table, 1);
        }
    }

    /// It is over: nothing of it waits, or is due.
    pub(super) fn forget(mut self, about: &About, targets: &mut Targets, shares: &mut Shares) {
        self.give_place(about, shares);
        targets.note_in_front(self.held, 0);
        targets.disarm_connection(self.timer);
    }
}

/// Which of a protocol's kinds carry the bytes of a connection that has a machine, and of one that has none.
pub(super) const NATIVE: usize = 0;
pub(super) const RAW: usize = 1;

/// Kind and spec of the packets that carry bytes of a connection to its client.
pub(super) fn packets<'a>(
    about: &'a About,
    id: &'a [u8],
    form: usize,
) -> (Kind, [SpecEntry<'a>; 2]) {
    let kind = about.protocol.to_client[form];
    let spec = [
        (spec::SESSION_ID, about.id.as_bytes()),
        (spec::CONNECTION_ID, id),
    ];
    (kind, spec)
}
