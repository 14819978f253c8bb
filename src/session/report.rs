//! What the shell tells the sessions: the other direction of [`super::Output`].
//!
//! Whoever drives the core (the reactor, the simulation, the fuzzer, the tests) speaks these words and no
//! others about a target. A report about a target that is gone already is normal, and changes nothing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Service;

/// Which of a target's outputs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Channel {
    /// Socket, terminal, or standard output.
    Output,
    /// Standard error of a process without a terminal.
    Error,
}

impl Channel {
    /// Its place among the outputs of a target.
    pub fn index(self) -> usize {
        match self {
            Self::Output => 0,
            Self::Error => 1,
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// By itself.
    Code(u8),
    /// By a signal of this number.
    Signal(u8),
}

impl Exit {
    /// The code that the client is told; never negative, 128 and more for a signal.
    pub fn code(self) -> u16 {
        match self {
            Self::Code(code) => u16::from(code),
            Self::Signal(number) => 128 + u16::from(number),
        }
    }

    /// It crashed, or was killed: when memory runs out, say. A shell tells of its own child by the same codes.
    /// INT, TERM, HUP and PIPE are what users and parents end a command with.
    pub(super) fn is_violent(self) -> bool {
        // ILL, TRAP, ABRT, BUS, FPE, KILL, SEGV, XCPU, XFSZ, SYS.
        matches!(self.code(), 132..=137 | 139 | 152 | 153 | 159)
    }
}

/// Why no address took a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreached<'a> {
    /// In words, for the client.
    pub reason: &'a str,
    /// Nobody has answered in time.
    pub is_silence: bool,
}

impl<'a> Unreached<'a> {
    /// Somebody, or the system, has said no.
    pub fn because(reason: &'a str) -> Self {
        Self {
            reason,
            is_silence: false,
        }
    }
}

/// What has happened to one target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report<'a> {
    /// The dialled address answered, or the process runs.
    Started {
        /// The very address, of a connection.
        peer: Option<SocketAddr>,
    },
    /// What was dialled is a service, and these are its hosts.
    Told(&'a Service),
    /// No address took the connection.
    Failed(Unreached<'a>),
    /// The process could not be started; code and text go to the client as they are.
    NotSpawned {
        /// Exit code.
        code: u16,
        /// A sentence.
        text: &'a str,
    },
    /// So many bytes were read into the last [`super::Sessions::read_slot`], which was this target's.
    Received {
        /// How many.
        size: usize,
    },
    /// So many of the pending bytes left.
    Wrote {
        /// How many.
        size: usize,
    },
    /// A channel is at its end, orderly or not.
    Ended {
        /// Which.
        channel: Channel,
    },
    /// The connection broke: nothing more goes either way.
    Broke,
    /// The leader of its processes has ended. Its output may still be read.
    Exited(Exit),
    /// The answer to [`super::Output::Examine`]: bytes that the kernel holds and the target has not
    /// taken yet.
    InKernel {
        /// How many.
        size: usize,
    },
    /// The answer to [`super::Output::AskPeer`].
    Peer(Peer),
}

/// What the kernel knows about the machine at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// It has acknowledged everything.
    Settled,
    /// Something is under way to it.
    Answers,
    /// The same, and it was asked again and has not said a word for this long.
    Silent(Duration),
}
