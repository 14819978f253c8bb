//! Packets of the gateway, as far as they matter to the model.

use hoop_lite::base::TerminalSize;

use crate::content::Content;
use crate::databases::Dialect;
use crate::target::Mood;

/// What a session can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    Tcp,
    Command,
    /// A command whose database is looked for first.
    Database,
    /// A command whose values lie in stores.
    Stored,
    /// Connections to a database that are logged in.
    Native(Dialect),
    /// A type that this agent does not serve.
    Refused,
}

/// A packet, as far as it matters to the agent's state. Sent by the gateway, applied when the
/// agent has been given its last byte.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Sent {
    Open(u32, Service, Mood),
    Close(u32),
    /// Standard input of a command.
    Stdin(u32, Part, Mood),
    /// Typed at a terminal; `true` is the lone line feed that only starts it.
    Typed(u32, Part, bool, Mood),
    Resize(u32, TerminalSize),
    /// For a connection; `true` means that it only opens it.
    Write(u32, u32, Part, bool, Mood),
    CloseConnection(u32, u32),
    /// So many bytes for a connection to a database.
    Native(u32, u32, usize),
    /// A kind that no service of this agent takes.
    Misfit(u32),
    /// A packet that is too large; it costs its session.
    Oversized(u32),
    /// A request of the gateway itself, to be refused.
    System(u32),
    /// Nothing that changes sessions.
    Nothing,
    /// The key check was answered; `true` means connect.
    Answered(bool),
    /// The key is refused, by the answer of the call for a stream or by the stream's end.
    Refused,
    /// The key is refused by the answer of the check.
    CheckRefused,
    /// The stream ends, or the link can't go on.
    Fatal,
    /// The gateway asks to leave.
    GoAway,
}

impl Sent {
    /// Bytes that may come to wait for a target.
    pub fn len(self) -> usize {
        match self {
            Self::Stdin(_, part, _) | Self::Typed(_, part, ..) | Self::Write(_, _, part, ..) => {
                part.len
            }
            Self::Native(_, _, len) => len,
            _ => 0,
        }
    }
}

/// A piece of a text.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Part {
    pub text: Content,
    pub from: u64,
    pub len: usize,
}
