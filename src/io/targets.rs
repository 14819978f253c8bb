//! The descriptors of every target, and the readiness that is remembered for them.
//!
//! Edge-triggered: what the kernel said once is kept here until a read or a write finds the source
//! exhausted. Which bytes go where is the core's; this table only knows who they belong to.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Instant;

use mio::net::TcpStream;
use mio::unix::pipe::{Receiver, Sender};
use mio::{Interest, Registry, Token};

use super::dial::Dial;
use super::tokens::TARGETS;
use crate::os::child::{Pid, PipedChild};
use crate::os::pty::{Master, PtyChild};
use crate::os::secret_files::SecretFile;
use crate::os::sys;
use crate::session::{Channel, Peer, TargetId};

/// Sources that one target can have: output (or everything), errors, input.
const PORTS: usize = 4;
const PORT_INPUT: usize = 2;

/// What a target's descriptors are.
pub enum Descriptors {
    /// Its name is being resolved.
    Resolving {
        /// It may be an address of the machine's metadata.
        reaches_metadata: bool,
    },
    /// One of its addresses is being connected.
    Dialling(Dial),
    /// A connection.
    Socket(TcpStream),
    /// A process with pipes.
    Pipes(Pipes),
    /// A process on a terminal: our side of it, and the process.
    Terminal(Master, Pid),
}

/// The pipes of a process; one that was closed is gone.
pub struct Pipes {
    input: Option<Sender>,
    output: Receiver,
    error: Receiver,
    pid: Pid,
}

/// One target.
pub struct Entry {
    /// Whose.
    pub id: TargetId,
    /// Its descriptors.
    pub descriptors: Descriptors,
    /// Files that its process reads.
    #[expect(
        dead_code,
        reason = "held, since they are removed when this is dropped"
    )]
    files: Vec<SecretFile>,
    is_writable: bool,
    is_readable: [bool; 2],
    is_queued: [bool; 2],
    /// What it says costs the link room.
    needs_room: bool,
}

/// All of them, by slot.
#[derive(Default)]
pub struct Targets {
    entries: Vec<Option<Box<Entry>>>,
    ready: VecDeque<(TargetId, Channel)>,
    /// As `ready`, but for room: these are read whether the link has some or not.
    unbound: VecDeque<(TargetId, Channel)>,
    /// Dials that have another address to try, by when they will.
    impatient: BTreeSet<(Instant, TargetId)>,
}

/// What a token stands for.
pub enum Port {
    /// A channel that is read, or a socket in both directions.
    Output(TargetId),
    /// Standard error.
    Error(TargetId),
    /// Standard input.
    Input(TargetId),
}

impl Targets {
    /// The token of a target's main source.
    pub fn token(id: TargetId) -> Token {
        Token(TARGETS + id.0.index() * PORTS)
    }

    /// The target of a token, unless it is gone.
    pub fn port(&self, token: Token) -> Option<Port> {
        let number = token.0.checked_sub(TARGETS)?;
        let id = self.entries.get(number / PORTS)?.as_ref()?.id;
        Some(match number % PORTS {
            0 => Port::Output(id),
            PORT_INPUT => Port::Input(id),
            _ => Port::Error(id),
        })
    }

    /// Adds a target.
    pub fn insert(&mut self, id: TargetId, descriptors: Descriptors, files: Vec<SecretFile>) {
        let index = id.0.index();
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some(Box::new(Entry {
            id,
            descriptors,
            files,
            is_writable: false,
            is_readable: [false; 2],
            is_queued: [false; 2],
            needs_room: true,
        }));
    }

    /// The entry of `id`, unless it is gone.
    pub fn get(&mut self, id: TargetId) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(id.0.index())?.as_deref_mut()?;
        if entry.id == id { Some(entry) } else { None }
    }

    /// Takes a target out.
    pub fn remove(&mut self, id: TargetId) -> Option<Box<Entry>> {
        self.get(id)?;
        self.entries.get_mut(id.0.index())?.take()
    }

    /// The entry in a slot, whoever it is.
    pub fn by_index(&mut self, index: usize) -> Option<&mut Entry> {
        self.entries.get_mut(index)?.as_deref_mut()
    }

    /// A dial goes on to its next address at `at`.
    pub fn watch_dial(&mut self, id: TargetId, at: Option<Instant>) {
        if let Some(at) = at {
            self.impatient.insert((at, id));
        }
    }

    /// When the next dial loses its patience.
    pub fn next_dial(&self) -> Option<Instant> {
        self.impatient.first().map(|(at, _)| *at)
    }

    /// A dial whose current address had its time; call until `None`.
    pub fn overdue_dial(&mut self, now: Instant) -> Option<TargetId> {
        let (at, id) = self.impatient.first().copied()?;
        if at > now {
            return None;
        }
        self.impatient.remove(&(at, id));
        Some(id)
    }

    /// The kernel says that there is something to read.
    pub fn mark_readable(&mut self, id: TargetId, channel: Channel) {
        let Some(entry) = self.get(id) else { return };
        entry.is_readable[channel.index()] = true;
        self.queue_read(id, channel);
    }

    /// Puts a readable channel in line for its turn.
    pub fn queue_read(&mut self, id: TargetId, channel: Channel) {
        let Some(entry) = self.get(id) else { return };
        let slot = channel.index();
        if entry.is_readable[slot] && !entry.is_queued[slot] {
            entry.is_queued[slot] = true;
            match entry.needs_room {
                true => self.ready.push_back((id, channel)),
                false => self.unbound.push_back((id, channel)),
            }
        }
    }

    /// Whether this target waits until the link has room.
    pub fn set_needs_room(&mut self, id: TargetId, needs_room: bool) {
        let Some(entry) = self.get(id) else { return };
        if std::mem::replace(&mut entry.needs_room, needs_room) != needs_room {
            // If it waits in the other line already, it is skipped there when its turn comes.
            entry.is_queued = [false; 2];
            self.queue_read(id, Channel::Output);
        }
    }

    /// The next channel whose turn it is, of those that need room of the link or of the others.
    pub fn next_in_line(&mut self, needs_room: bool) -> Option<(TargetId, Channel)> {
        loop {
            let line = match needs_room {
                true => &mut self.ready,
                false => &mut self.unbound,
            };
            let (id, channel) = line.pop_front()?;
            if let Some(entry) = self.get(id)
                && entry.needs_room == needs_room
            {
                entry.is_queued[channel.index()] = false;
                return Some((id, channel));
            }
        }
    }

    /// Some channel can be read; those that need room only if the link has it.
    pub fn has_ready(&self, link_has_room: bool) -> bool {
        !self.unbound.is_empty() || (link_has_room && !self.ready.is_empty())
    }
}

impl Entry {
    /// The kernel says that there is room.
    pub fn mark_writable(&mut self) {
        self.is_writable = true;
    }

    /// A write is worth trying.
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// The process behind it.
    pub fn pid(&self) -> Option<Pid> {
        match &self.descriptors {
            Descriptors::Pipes(Pipes { pid, .. }) | Descriptors::Terminal(_, pid) => Some(*pid),
            _ => None,
        }
    }

    /// Reads a channel; `WouldBlock` is remembered.
    pub fn read(&mut self, channel: Channel, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match (&mut self.descriptors, channel) {
            (Descriptors::Socket(socket), Channel::Output) => socket.read(buffer),
            (Descriptors::Terminal(master, _), Channel::Output) => master.read(buffer),
            (Descriptors::Pipes(pipes), Channel::Output) => pipes.output.read(buffer),
            (Descriptors::Pipes(pipes), Channel::Error) => pipes.error.read(buffer),
            _ => Ok(0),
        };
        let is_exhausted = match &result {
            Ok(size) => *size == 0,
            Err(error) => error.kind() != io::ErrorKind::Interrupted,
        };
        self.is_readable[channel.index()] &= !is_exhausted;
        result
    }

    /// Writes, a terminal only the first part; `WouldBlock` is remembered.
    pub fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let result = match &mut self.descriptors {
            Descriptors::Socket(socket) => socket.write_vectored(parts),
            Descriptors::Terminal(master, _) => master.write_vectored(parts),
            Descriptors::Pipes(Pipes {
                input: Some(pipe), ..
            }) => pipe.write_vectored(parts),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        };
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.is_writable = false;
        }
        result
    }

    /// Bytes that were written and that the target has not taken yet, as far as the kernel tells.
    pub fn held_by_kernel(&self) -> usize {
        let descriptor = match &self.descriptors {
            Descriptors::Socket(socket) => socket.as_fd(),
            Descriptors::Pipes(Pipes {
                input: Some(pipe), ..
            }) => pipe.as_fd(),
            _ => return 0,
        };
        sys::bytes_in_flight(
            descriptor,
            matches!(self.descriptors, Descriptors::Pipes(_)),
        )
    }

    /// What the kernel knows about the machine that it is on.
    pub fn peer(&self) -> Peer {
        match &self.descriptors {
            Descriptors::Socket(socket) if self.held_by_kernel() > 0 => {
                sys::unanswered_for(socket.as_fd()).map_or(Peer::Answers, Peer::Silent)
            }
            _ => Peer::Settled,
        }
    }

    /// Tells the target that nothing more will come. A terminal has no such notion.
    pub fn shut_write(&mut self) {
        match &mut self.descriptors {
            Descriptors::Socket(socket) => {
                // A peer that is gone needs no telling.
                let _ = socket.shutdown(Shutdown::Write);
            }
            Descriptors::Pipes(pipes) => pipes.input = None,
            _ => {}
        }
    }

    /// Lets the peer see a reset when the descriptor closes.
    pub fn arm_reset(&self) {
        if let Descriptors::Socket(socket) = &self.descriptors {
            // Without it the end is merely more polite.
            let _ = sys::reset_on_close(socket.as_fd());
        }
    }

    /// Registers the pipes of a new process.
    pub fn pipes(child: PipedChild, id: TargetId, registry: &Registry) -> io::Result<Descriptors> {
        let PipedChild {
            pid,
            mut stdin,
            mut stdout,
            mut stderr,
        } = child;
        let base = Targets::token(id).0;
        registry.register(&mut stdout, Token(base), Interest::READABLE)?;
        registry.register(&mut stderr, Token(base + 1), Interest::READABLE)?;
        registry.register(&mut stdin, Token(base + PORT_INPUT), Interest::WRITABLE)?;
        Ok(Descriptors::Pipes(Pipes {
            input: Some(stdin),
            output: stdout,
            error: stderr,
            pid,
        }))
    }

    /// Registers the terminal of a new process.
    pub fn terminal(child: PtyChild, id: TargetId, registry: &Registry) -> io::Result<Descriptors> {
        let PtyChild { pid, mut master } = child;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut master, Targets::token(id), interest)?;
        Ok(Descriptors::Terminal(master, pid))
    }
}
