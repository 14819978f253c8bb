//! Where the agent is on its way to the gateway; everything that only one link has is in here.

use std::time::Instant;

use super::agenda::{Agenda, Deadline};
use super::endpoint::Endpoint;
use super::key_check::KeyCheck;
use crate::base::TimerId;
use crate::limits;
use crate::link::Link;

/// See the diagram in `agent.rs`.
pub(super) enum Phase {
    /// Between two attempts.
    Waiting,
    /// The socket is being connected, until the deadline.
    Dialling(Box<Endpoint>, TimerId),
    /// TLS, HTTP/2, the stream; or, embedded, waiting until somebody needs us.
    Connecting(Connecting),
    /// Packets flow.
    Live(Box<Link>, Box<KeyCheck>),
    /// Lost or left. What it has to say is sent, and nothing is read, until the socket is closed.
    Closing(Box<Link>),
}

/// A link whose stream has not been accepted.
pub(super) struct Connecting {
    pub(super) link: Box<Link>,
    /// Until when the next step has to be taken; none while nobody needs an embedded agent.
    timer: Option<TimerId>,
    /// The gateway has told an embedded agent to wait: it knows the key.
    pub(super) is_known: bool,
}

impl Phase {
    /// Leaves `Waiting` behind.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Waiting)
    }

    /// The link, while it is of use.
    pub(super) fn link(&self) -> Option<&Link> {
        match self {
            Self::Connecting(Connecting { link, .. }) | Self::Live(link, _) => Some(link),
            Self::Waiting | Self::Dialling(..) | Self::Closing(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn link_mut(&mut self) -> Option<&mut Link> {
        match self {
            Self::Connecting(Connecting { link, .. }) | Self::Live(link, _) => Some(link),
            Self::Waiting | Self::Dialling(..) | Self::Closing(_) => None,
        }
    }

    /// What the socket is to be given, from the link or from what is left of it.
    pub(super) fn last_link(&mut self) -> Option<&mut Link> {
        match self {
            Self::Connecting(Connecting { link, .. })
            | Self::Live(link, _)
            | Self::Closing(link) => Some(link),
            Self::Waiting | Self::Dialling(..) => None,
        }
    }

    /// Takes the link out, and ends what only one of use has.
    pub(super) fn give_link_up(&mut self, agenda: &mut Agenda) -> Option<Box<Link>> {
        match self.take() {
            Self::Waiting | Self::Dialling(..) => None,
            Self::Connecting(Connecting { link, .. }) | Self::Closing(link) => Some(link),
            Self::Live(link, mut check) => {
                check.second().close(agenda);
                Some(link)
            }
        }
    }
}

impl Connecting {
    /// The socket is connected; the dial's deadline goes on.
    pub(super) fn new(link: Link, timer: TimerId) -> Self {
        Self {
            link: Box::new(link),
            timer: Some(timer),
            is_known: false,
        }
    }

    /// It stands, the key is accepted, and nobody needs it yet.
    pub(super) fn is_idle(&self) -> bool {
        self.is_known && !self.link.has_stream()
    }

    /// The next step has to be taken in time; a deadline that stands goes on.
    pub(super) fn arm(&mut self, now: Instant, agenda: &mut Agenda) {
        self.timer.get_or_insert_with(|| arm_connect(now, agenda));
    }

    /// It has been taken.
    pub(super) fn disarm(&mut self, agenda: &mut Agenda) {
        if let Some(timer) = self.timer.take() {
            agenda.cancel(timer);
        }
    }
}

/// The next step towards a link has to be taken within this time.
pub(super) fn arm_connect(now: Instant, agenda: &mut Agenda) -> TimerId {
    agenda.arm(now + limits::CONNECT_TIMEOUT, Deadline::Connect)
}
