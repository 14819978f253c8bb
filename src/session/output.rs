//! What the sessions ask of the world.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::command::{Argv, PathPlace};
use super::shares::UserKey;
use super::target::TargetId;

/// The size of a terminal: characters, and pixels where known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
    /// Width in pixels, 0 when unknown.
    pub width: u16,
    /// Height in pixels, 0 when unknown.
    pub height: u16,
}

impl Size {
    /// What a terminal has until its client says otherwise.
    pub const DEFAULT: Self = Self {
        rows: 24,
        columns: 80,
        width: 0,
        height: 0,
    };

    /// Parses `rows,cols,x,y` of a resize packet; values beyond 16 bits are clamped.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut numbers = text.split(',').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().unwrap_or(u16::MAX))
        });
        let mut next = || numbers.next().flatten();
        let size = Self {
            rows: next()?,
            columns: next()?,
            width: next()?,
            height: next()?,
        };
        if numbers.next().is_some() {
            None
        } else {
            Some(size)
        }
    }
}

/// A process to be started.
pub struct Command {
    /// Program and arguments, without the paths of files.
    pub argv: Argv,
    /// Where in them those paths go, in order.
    pub paths: Vec<PathPlace>,
    /// All of its variables.
    pub environment: Vec<(OsString, OsString)>,
    /// Variables whose value is the path of a file with this content.
    pub files: Vec<(String, Vec<u8>)>,
    /// The terminal's size; `None` for pipes.
    pub terminal: Option<Size>,
}

impl Command {
    /// Program and arguments, now that every file of [`Command::files`] has its path.
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

/// One request to the reactor; each is answered by a [`super::Report`], except [`Output::Resize`],
/// [`Output::HastenEnds`] and [`Output::Close`], which are final.
pub enum Output {
    /// Resolve and connect.
    Dial {
        /// For whom.
        target: TargetId,
        /// Whose look-up of the name it is.
        user: UserKey,
        /// Name or literal address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Start a process.
    Spawn {
        /// For whom.
        target: TargetId,
        /// What.
        command: Box<Command>,
    },
    /// Tell a terminal its new size.
    Resize {
        /// Whose.
        target: TargetId,
        /// The new size.
        size: Size,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_four_plain_numbers() {
        let size = |rows, columns, width, height| {
            Some(Size {
                rows,
                columns,
                width,
                height,
            })
        };
        assert_eq!(Size::parse(b"30,100,0,0"), size(30, 100, 0, 0));
        assert_eq!(Size::parse(b"70000,1,2,3"), size(u16::MAX, 1, 2, 3));
        for wrong in [
            "",
            "30,100",
            "30,100,0,0,0",
            "30, 100,0,0",
            "-1,1,1,1",
            "a,b,c,d",
            "1,,1,1",
        ] {
            assert_eq!(Size::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
