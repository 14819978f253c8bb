//! The table of the children that run.
//!
//! Promises that a child's id is never signalled after it could have been given to another
//! process, and that no zombie stays once its owner is done with it.
//!
//! The safe order at a child's end: [`Children::poll_exited`] reports it, but it stays a zombie,
//! so its id (and its group's and session's) stays taken; the owner drains the pipes or the
//! terminal; it ends what is left with [`Children::signal_group`] or [`Children::kill_sessions`];
//! then [`Children::release`] lets the id go. Every reported child must be released.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use super::signal::Signal;
use super::sys;
use super::sys::{ExitStatus, Pid};

/// Most programs running at once: each costs a pid, three descriptors and a look at every
/// SIGCHLD, and the processes themselves are far dearer than that.
pub const CHILDREN_MAX: usize = 1024;

/// A child that has ended. Its id stays taken until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Its process id, and its group's.
    pub pid: Pid,
    /// What was given to [`Children::insert`].
    pub owner: usize,
    /// How it ended.
    pub status: ExitStatus,
}

struct Entry {
    owner: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Ended and reported; a zombie until it is released.
    Exited,
    /// Ended, but collected by somebody else: the id is no longer ours to signal.
    Lost,
}

/// The children that run or are not released yet.
pub struct Children {
    entries: BTreeMap<Pid, Entry>,
    collects_orphans: bool,
}

impl Children {
    /// An empty table. When this process is the first of its (container's) system, all orphans
    /// become its children and are collected too.
    pub fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            collects_orphans: std::process::id() == 1,
        }
    }

    /// A table as the first process has it.
    #[cfg(test)]
    pub(super) fn collecting_orphans() -> Self {
        Self {
            collects_orphans: true,
            ..Self::new()
        }
    }

    /// Children running or not released.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No child is left.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one more may be started. To be asked **before** a spawn: a process that runs has
    /// to be tracked, so [`Children::insert`] never refuses.
    pub fn has_room(&self) -> bool {
        self.entries.len() < CHILDREN_MAX
    }

    /// Takes charge of a process that was just spawned.
    pub fn insert(&mut self, pid: Pid, owner: usize) {
        debug_assert!(self.has_room());
        let state = State::Running;
        self.entries.insert(pid, Entry { owner, state });
    }

    /// The next child that has ended since the last call, each once; never blocks. To be called
    /// at every SIGCHLD until it returns `None`.
    pub fn poll_exited(&mut self) -> Option<Exited> {
        if self.collects_orphans {
            self.collect_orphans();
        }
        let running = self
            .entries
            .iter_mut()
            .filter(|(_, entry)| entry.state == State::Running);
        for (&pid, entry) in running {
            let status = match sys::peek_exit(Some(pid)) {
                Ok(None) => continue,
                Ok(Some((_, status))) => {
                    entry.state = State::Exited;
                    status
                }
                Err(_) => {
                    entry.state = State::Lost;
                    ExitStatus::Unknown
                }
            };
            let owner = entry.owner;
            return Some(Exited { pid, owner, status });
        }
        None
    }

    /// Sends a signal to the group that `pid` leads. HUP and TERM are followed by CONT: a stopped
    /// process would not notice them. A child that is not in the table, or whose id is no longer
    /// ours, is left alone.
    pub fn signal_group(&self, pid: Pid, signal: Signal) -> io::Result<()> {
        if !self.owns(pid) {
            return Ok(());
        }
        sys::signal_group(pid, signal.number())?;
        if matches!(signal, Signal::Hangup | Signal::Terminate) {
            sys::signal_group(pid, libc::SIGCONT)?;
        }
        Ok(())
    }

    /// Kills every process of the sessions that `leaders` lead, whatever its group: the jobs of a
    /// shell have groups of their own. Where /proc does not tell, only the leaders' groups. One
    /// look at all processes serves all sessions.
    pub fn kill_sessions(&self, leaders: &[Pid]) {
        // The session's id is taken as long as its leader is ours: no other can have it.
        let leaders: BTreeSet<Pid> = leaders
            .iter()
            .copied()
            .filter(|pid| self.owns(*pid))
            .collect();
        for pid in &leaders {
            // A group that has ended in the meantime is not there to be told.
            let _ = self.signal_group(*pid, Signal::Kill);
        }
        let Ok(processes) = fs::read_dir("/proc") else {
            return;
        };
        for process in processes.flatten() {
            let name = process.file_name();
            let Some(member) = name.to_str().and_then(|name| name.parse::<Pid>().ok()) else {
                continue;
            };
            if session_of(member).is_some_and(|session| leaders.contains(&session)) {
                // One that may not be killed (a setuid program) saves no other.
                let _ = sys::signal_process(member, Signal::Kill.number());
            }
        }
    }

    /// Whether the id is sure to mean our child, running or a zombie.
    fn owns(&self, pid: Pid) -> bool {
        self.entries
            .get(&pid)
            .is_some_and(|entry| entry.state != State::Lost)
    }

    /// Lets go of a child that [`Children::poll_exited`] reported. One that still runs stays.
    pub fn release(&mut self, pid: Pid) {
        if self
            .entries
            .get(&pid)
            .is_some_and(|entry| entry.state != State::Running)
        {
            sys::collect(pid);
            self.entries.remove(&pid);
        }
        if self.collects_orphans {
            // One of ours that waited for its release may have hidden them.
            self.collect_orphans();
        }
    }

    /// The kernel shows the oldest zombie only: behind one of ours that waits for its release,
    /// orphans wait too, as long as that drain may last.
    fn collect_orphans(&self) {
        while let Ok(Some((pid, _))) = sys::peek_exit(None) {
            if self.entries.contains_key(&pid) || !sys::collect(pid) {
                return;
            }
        }
    }
}

impl Default for Children {
    fn default() -> Self {
        Self::new()
    }
}

/// proc(5): `pid (name) state parent group session ...`; the name may hold anything.
fn session_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    fields.split_ascii_whitespace().nth(3)?.parse().ok()
}
