//! What agents are connected to: TCP services and processes, each in a mood.

use std::time::Duration;

use crate::content::Content;
use crate::dice::Dice;
use crate::net::Pipe;

/// How a target behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// Says what it hears, until that ends.
    Echo,
    /// Says so much without being asked, hears everything, and ends with its client.
    Says(u32),
    /// The same, but ends its own side when it has said all.
    HalfCloses(u32),
    /// Never takes a byte and never ends.
    Mute,
    /// Takes so many bytes at a time, with a pause.
    Slow(u32),
    /// Ends both sides after it took so many bytes.
    ClosesAt(u32),
    /// Resets after it took so many bytes.
    Resets(u32),
    /// Takes no connection, or is no program.
    Refuses,
    /// Never answers a connection attempt; a process of this mood never ends by itself.
    Hangs,
    /// A process that ends and leaves somebody behind who holds its output.
    LeavesBehind,
    /// The same, and that somebody prints for ever.
    TalksOn,
}

impl Mood {
    /// For a connection.
    pub fn of_service(dice: &mut Dice) -> Self {
        let n = u32::try_from(dice.size(200_000)).unwrap();
        match dice.weighted(&[30, 12, 10, 6, 6, 8, 6, 4, 3]) {
            0 => Self::Echo,
            1 => Self::Says(n),
            2 => Self::HalfCloses(n),
            3 => Self::Mute,
            4 => Self::Slow(n % 5_000 + 1),
            5 => Self::ClosesAt(n),
            6 => Self::Resets(n),
            7 => Self::Refuses,
            _ => Self::Hangs,
        }
    }

    /// For a process.
    pub fn of_process(dice: &mut Dice) -> Self {
        let n = u32::try_from(dice.size(200_000)).unwrap();
        match dice.weighted(&[30, 20, 6, 6, 6, 6, 6, 6, 4]) {
            0 => Self::Echo,
            1 => Self::Says(n),
            2 => Self::Mute,
            3 => Self::Slow(n % 5_000 + 1),
            4 => Self::ClosesAt(n),
            5 => Self::Refuses,
            6 => Self::Hangs,
            7 => Self::LeavesBehind,
            _ => Self::TalksOn,
        }
    }

    /// For the address check before a session opens, which the first connection gets.
    pub fn of_probe(dice: &mut Dice) -> Self {
        match dice.weighted(&[20, 2, 1, 8]) {
            0 => Self::Echo,
            1 => Self::Refuses,
            2 => Self::Hangs,
            _ => Self::of_service(dice),
        }
    }

    /// Between two actions.
    pub fn pause(self, dice: &mut Dice) -> Duration {
        match self {
            Self::Slow(_) | Self::TalksOn => dice.time(Duration::from_millis(1500)),
            _ => dice.time(Duration::from_micros(200)),
        }
    }

    /// Bytes that it takes at once; `taken` are those that it took so far.
    pub fn appetite(self, taken: u64) -> usize {
        match self {
            Self::Mute => 0,
            Self::Slow(n) => n as usize,
            Self::ClosesAt(n) | Self::Resets(n) => {
                usize::try_from(u64::from(n).saturating_sub(taken)).unwrap()
            }
            _ => 64 * 1024,
        }
    }

    /// Bytes that it says beside what it hears.
    pub fn speech(self) -> u64 {
        match self {
            Self::Says(n) | Self::HalfCloses(n) => u64::from(n),
            Self::LeavesBehind => 100,
            Self::TalksOn => u64::MAX,
            _ => 0,
        }
    }
}

/// One end of a relay as the world has it: the kernel's buffers and who is behind them.
pub struct Target {
    pub relay: usize,
    pub mood: Mood,
    pub is_process: bool,
    pub is_terminal: bool,
    pub is_open: bool,
    /// What the target hears.
    pub input: Pipe,
    /// What it says: output and, for pipes, errors.
    pub outputs: [Pipe; 2],
    /// What outputs say.
    pub texts: [Content; 2],
    pub taken: u64,
    pub said: [u64; 2],
    pub input_has_ended: bool,
    /// It acts no more.
    pub is_over: bool,
    pub is_scheduled: bool,
    /// The agent's side: readiness that was told and not used up.
    pub is_writable: bool,
    pub is_readable: [bool; 2],
    pub is_queued: [bool; 2],
    /// Nobody listens to it any more.
    pub is_forgotten: bool,
}

impl Target {
    /// It has nothing more to say on any channel.
    pub fn has_said_all(&self) -> bool {
        let spoken = self.said[0] + self.said[1];
        match self.mood {
            Mood::Echo => self.said[0] == self.taken,
            Mood::TalksOn => spoken >= Mood::LeavesBehind.speech(),
            mood => spoken >= mood.speech(),
        }
    }
}
