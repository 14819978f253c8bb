//! What the sessions ask of the world.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::command::{Argv, PathPlace};
use super::names::TargetId;
use super::shares::UserKey;
use crate::base::{Secret, TerminalSize};

/// A process to be started.
pub struct Program {
    /// Program and arguments, without the paths of files.
    pub argv: Argv,
    /// Where in them those paths go, in order.
    pub paths: Vec<PathPlace>,
    /// All of its variables.
    pub environment: Vec<(OsString, Secret)>,
    /// Variables whose value is the path of a file with this content.
    pub files: Vec<(String, Secret)>,
    /// The terminal's size; `None` for pipes.
    pub terminal: Option<TerminalSize>,
}

impl Program {
    /// Program and arguments, now that every file of [`Program::files`] has its path.
    pub fn complete_argv(&mut self, paths: &[&OsStr]) -> Argv {
        let mut argv = std::mem::take(&mut self.argv);
        // From the end, so that the places before stay where they are.
        for place in self.paths.drain(..).rev() {
            let (Some(argument), Some(path)) =
                (argv.get_mut(place.argument), paths.get(place.file))
            else {
                continue;
            };
            let mut bytes = std::mem::take(argument).into_vec();
            let tail = bytes.split_off(place.at.min(bytes.len()));
            bytes.extend_from_slice(path.as_bytes());
            bytes.extend(tail);
            *argument = OsString::from_vec(bytes);
        }
        argv
    }
}

/// Where something is that can be connected to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Where {
    /// At one of the addresses of this name.
    Name {
        /// Name or literal address.
        host: String,
        /// Port.
        port: u16,
    },
    /// At the hosts of this name's MongoDB service, which are not connected to, but told
    /// ([`super::Report::Told`]).
    Service(String),
    /// At this very address: what belongs to another connection has to reach the same machine.
    Peer(SocketAddr),
}

/// One request to the reactor; each is answered by a [`super::Report`], except [`Output::Resize`],
/// [`Output::HastenEnds`] and [`Output::Close`], which are final.
pub enum Output {
    /// Connect, and resolve the name before where it has one.
    Dial {
        /// For whom.
        target: TargetId,
        /// Whose look-up of the name it is.
        user: UserKey,
        /// Where it is.
        place: Where,
        /// The agent itself asks, and may ask the addresses by which a machine learns its own credentials.
        reaches_metadata: bool,
    },
    /// Start a process.
    Spawn {
        /// For whom.
        target: TargetId,
        /// What.
        program: Box<Program>,
    },
    /// Tell a terminal its new size.
    Resize {
        /// Whose.
        target: TargetId,
        /// The new size.
        size: TerminalSize,
    },
    /// Report how much the kernel still holds for the target.
    Examine {
        /// Whose.
        target: TargetId,
    },
    /// Report what the kernel knows about the target's machine.
    AskPeer {
        /// Whose.
        target: TargetId,
    },
    /// The key is revoked: every process of every session, one that ended long ago too, gets a
    /// moment only.
    HastenEnds,
    /// Close every descriptor of the target; end its processes.
    Close {
        /// Whose.
        target: TargetId,
        /// Let the peer see a reset instead of an orderly end.
        reset: bool,
        /// Whom of its processes the end reaches.
        end: End,
    },
}

/// How a session's processes come to their end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The command has ended and its output is over: what it has detached on purpose may go on.
    Normal,
    /// The client left, or we have to: nothing goes on.
    Forced,
}
