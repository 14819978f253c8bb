//! What a connection between a client and its server is at.

use std::net::SocketAddr;
use std::rc::Weak;
use std::time::{Duration, Instant};

use crate::base::ByteBuf;
use crate::limits;
use crate::login::{Login, Relay, TlsWish, Waits};
use crate::session::means::Way;
use crate::session::wire::Wire;
use crate::tls::Client;

/// See the parent.
pub struct Between {
    pub(super) wire: Wire,
    pub(super) stage: Stage,
    /// The server's very address.
    pub(super) peer: Option<SocketAddr>,
    /// How TLS was agreed with it, for an errand.
    pub(super) secured: Option<(TlsWish, Client)>,
    /// Its latest errand has this for as long as it lasts.
    pub(super) under_way: Weak<()>,
    pub(super) due: Option<Instant>,
}

pub(super) enum Stage {
    Entering(Login, Box<Entering>),
    Relaying(Relay),
    /// Nothing is said any more.
    Over,
}

/// What a login needs while it lasts.
pub(super) struct Entering {
    pub(super) way: Way,
    /// Of the server, or of what its TLS carries.
    pub(super) from_server: ByteBuf,
    pub(super) is_securing: bool,
    pub(super) waits_for: Option<Waits>,
    /// What it waits for at present, and since when; for the server in all so far.
    pub(super) waiting: Option<(Waits, Instant)>,
    pub(super) waited: Duration,
    /// Bytes for the server.
    pub(super) sent: usize,
    /// There is somebody who hears a farewell.
    pub(super) has_target: bool,
    /// Bytes for the client since the link last had room.
    pub(super) said: usize,
}

impl Entering {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            from_server: ByteBuf::new(),
            is_securing: false,
            waits_for: None,
            waiting: None,
            waited: Duration::ZERO,
            sent: 0,
            has_target: false,
            said: 0,
        }
    }

    pub(super) fn needs_room(&self) -> bool {
        self.said >= limits::LOGIN_SAID_BYTES_MAX
    }

    /// What is left of the time for all words of the server, at `now`, when it waits for `what` from now on.
    pub(super) fn time_left(&mut self, now: Instant, what: Waits) -> Duration {
        if let Some((Waits::Server, since)) = self.waiting.replace((what, now)) {
            self.waited += now.saturating_duration_since(since);
        }
        limits::LOGIN_MAX.saturating_sub(self.waited)
    }

    /// Nobody is waited for: what counted so far is over, and no memory is kept.
    pub(super) fn rest(&mut self) {
        self.waits_for = None;
        self.waiting = None;
        self.waited = Duration::ZERO;
        self.sent = 0;
        self.from_server.shrink(0);
    }

    pub(super) fn begin_anew(&mut self) {
        self.from_server.clear();
        self.is_securing = false;
        self.waits_for = None;
        self.has_target = false;
    }
}
