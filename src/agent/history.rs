//! What is remembered from link to link, and told to the operator.

use std::time::{Duration, Instant};

use crate::base::Rng;
use crate::link::{Backoff, LossCause};

/// What the gateway last said to the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// Nothing yet.
    Unknown,
    /// It is good.
    Accepted,
    /// It is not.
    Refused,
}

/// How far the way to the gateway went that came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// Its address was not found, or did not answer.
    Unreachable,
    /// TLS, HTTP/2 or the stream did not come about.
    Handshake,
    /// It worked, and ended.
    Lost,
    /// The gateway refused the key.
    KeyRefused,
}

impl Loss {
    /// All of them, in their order.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Unreachable, "unreachable"),
        (Self::Handshake, "handshake"),
        (Self::Lost, "lost"),
        (Self::KeyRefused, "key_refused"),
    ];
}

/// Totals of the link; for logs and metrics.
#[derive(Clone, Copy, Default, Debug)]
pub struct LinkCounters {
    /// Streams that the gateway accepted.
    pub connects: u64,
    /// Attempts that failed and links that ended.
    pub failures: u64,
    /// The same by [`Loss`].
    pub losses: [u64; Loss::ALL.len()],
    /// Key checks that were not answered or failed for another reason than the key.
    pub check_failures: u64,
}

/// Attempts that fail before the operator is told of `doctor`: one may be bad luck.
const FAILURES_BEFORE_ADVICE: u64 = 3;

/// See the module.
pub(super) struct History {
    /// Where the link leads, for people; empty while that is not known.
    place: String,
    counters: LinkCounters,
    backoff: Backoff,
    /// The gateway knew the agent on the last link, or there was none.
    was_known: bool,
    /// It has known it on any link.
    has_worked: bool,
    key: KeyState,
    /// What has become of the addresses that are being dialled.
    pub(super) tried: String,
    /// See [`super::Agent::certificate_end`].
    pub(super) certificate_end: Option<u64>,
    /// The last key check failed, which has been told.
    has_check_failed: bool,
}

impl History {
    /// Nothing has happened. No wait between attempts is longer than `reconnect_max`.
    pub(super) fn new(reconnect_max: Duration) -> Self {
        Self {
            place: String::new(),
            counters: LinkCounters::default(),
            backoff: Backoff::new(reconnect_max),
            was_known: true,
            has_worked: false,
            key: KeyState::Unknown,
            tried: String::new(),
            certificate_end: None,
            has_check_failed: false,
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn counters(&self) -> LinkCounters {
        self.counters
    }

    pub(super) fn key_state(&self) -> KeyState {
        self.key
    }

    pub(super) fn was_known(&self) -> bool {
        self.was_known
    }

    /// An attempt begins.
    pub(super) fn dialling(&mut self, place: &str) {
        place.clone_into(&mut self.place);
        self.tried.clear();
        // An attempt after a failure was announced with it.
        let level = match self.counters.failures {
            0 => log::Level::Info,
            _ => log::Level::Debug,
        };
        log::log!(level, "connecting to {place}");
    }

    /// An attempt can't begin: where it would lead is not known.
    pub(super) fn lost_the_way(&mut self) {
        self.place.clear();
    }

    /// The gateway knows this agent.
    pub(super) fn got_through(&mut self, now: Instant) {
        self.has_worked = true;
        self.key = KeyState::Accepted;
        self.backoff.connected(now);
    }

    /// It has accepted its stream.
    pub(super) fn accepted(&mut self, now: Instant) {
        self.got_through(now);
        self.counters.connects += 1;
        log::info!("connected with success to {}", self.place);
    }

    /// The link, or the attempt, is over.
    pub(super) fn lost(&mut self, was_known: bool, loss: Loss) {
        self.counters.failures += 1;
        self.counters.losses[loss as usize] += 1;
        if loss == Loss::KeyRefused {
            self.key = KeyState::Refused;
        }
        self.was_known = was_known;
    }

    /// How long to wait for the next attempt.
    pub(super) fn next_wait(&mut self, now: Instant, cause: LossCause, rng: &mut Rng) -> Duration {
        self.backoff.next_wait(now, cause, rng)
    }

    /// Says why the link is over, and what comes next.
    pub(super) fn tell_loss(&self, reason: &str, next: &str) {
        let what = match self.was_known {
            true => "disconnected from",
            false => "no connection to",
        };
        let place = match &self.place[..] {
            "" => "the gateway",
            place => place,
        };
        log::warn!("{what} {place}: {reason}; {next}");
        if !self.has_worked && self.counters.failures == FAILURES_BEFORE_ADVICE {
            log::info!(
                "no attempt has worked yet: 'hoop-lite doctor', with the same variables, looks at \
                 every step of the way"
            );
        }
    }

    /// The key stands.
    pub(super) fn check_passed(&mut self) {
        self.key = KeyState::Accepted;
        self.has_check_failed = false;
    }

    /// A key check was given up; it is asked again.
    pub(super) fn check_unanswered(&mut self) {
        self.counters.check_failures += 1;
    }

    /// The key could not be checked, for a reason that says nothing about it. Told when that begins.
    pub(super) fn check_failed(&mut self, reason: &str) {
        self.counters.check_failures += 1;
        let level = match std::mem::replace(&mut self.has_check_failed, true) {
            false => log::Level::Warn,
            true => log::Level::Debug,
        };
        log::log!(
            level,
            "the key could not be checked, sessions go on: {reason}"
        );
    }
}
