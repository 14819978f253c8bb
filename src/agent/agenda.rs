//! What the agent asks of its shell: actions now, and to be woken later.

use std::collections::VecDeque;
use std::time::Instant;

use crate::base::{TimerId, Timers};
use crate::session;

/// What the shell shall do.
pub enum Action {
    /// Resolve and connect the link's socket.
    DialLink {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// The last link worked, or there was none: no address of the name is worse than the others.
        is_afresh: bool,
    },
    /// Send what is pending, then close the link's socket.
    CloseLink,
    /// Resolve and connect a second socket, for one key check.
    DialSecond {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Close the second socket.
    CloseSecond,
    /// A session's request.
    Session(session::Output),
    /// Send what is pending, then end the program.
    Exit(Outcome),
}

/// Why the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was asked to, and drained.
    Stopped,
    /// The key was refused, and the operator wants to know by the exit code.
    KeyRefused,
}

/// What the agent wants to be woken for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// The next attempt to reach the gateway.
    Retry,
    /// No link that works in time.
    Connect,
    /// A word to the gateway is due, and perhaps a key check.
    KeepAlive,
    /// An embedded agent asks again whether somebody waits for it.
    Ask,
    /// The key check is not answered: is the link dead?
    Judge,
    /// No answer over the second connection.
    Second,
    /// The sessions' time to finish is over.
    Drain,
    /// The gateway's time to confirm their ends is over.
    Farewell,
}

/// See the module. Deadlines are a handful, actions are carried out before the next event.
#[derive(Default)]
pub(super) struct Agenda {
    actions: VecDeque<Action>,
    timers: Timers<Deadline>,
}

impl Agenda {
    /// To be done behind what is to be done already.
    pub(super) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// The next thing to be done.
    pub(super) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn arm(&mut self, at: Instant, deadline: Deadline) -> TimerId {
        self.timers.arm(at, deadline)
    }

    pub(super) fn cancel(&mut self, timer: TimerId) {
        self.timers.cancel(timer);
    }

    /// A deadline that is due; call until `None`.
    pub(super) fn fire(&mut self, now: Instant) -> Option<Deadline> {
        self.timers.fire(now)
    }

    /// When the next one is.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// No deadline stands any more.
    pub(super) fn clear_deadlines(&mut self) {
        self.timers.clear();
    }
}
