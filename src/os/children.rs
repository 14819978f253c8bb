//! The table of the children that run: guardians of sessions, and the program beside us.
//!
//! Promises that a child's id is never signalled after it could have been given to another
//! process, and that no zombie stays once its owner is done with it: [`Children::poll_exited`]
//! reports its end, but it stays a zombie, so its id stays taken, until [`Children::release`] lets
//! it go. Every reported child must be released.

use std::collections::BTreeMap;

use super::sys;
use super::sys::{ExitStatus, Pid};
use crate::limits;

/// A child that has ended. Its id stays taken until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Its process id.
    pub pid: Pid,
    /// What was given to [`Children::insert`].
    pub owner: usize,
    /// How it ended.
    pub status: ExitStatus,
}

struct Entry {
    owner: usize,
    state: Life,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
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
        self.entries.len() < limits::CHILD_COUNT_MAX
    }

    /// Takes charge of a process that was just spawned.
    pub fn insert(&mut self, pid: Pid, owner: usize) {
        debug_assert!(self.has_room());
        let state = Life::Running;
        self.entries.insert(pid, Entry { owner, state });
    }

    /// Whose child this is.
    pub fn owner(&self, pid: Pid) -> Option<usize> {
        self.entries.get(&pid).map(|entry| entry.owner)
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
            .filter(|(_, entry)| entry.state == Life::Running);
        for (&pid, entry) in running {
            let status = match sys::peek_exit(Some(pid)) {
                Ok(None) => continue,
                Ok(Some((_, status))) => {
                    entry.state = Life::Exited;
                    status
                }
                Err(_) => {
                    entry.state = Life::Lost;
                    ExitStatus::Unknown
                }
            };
            let owner = entry.owner;
            return Some(Exited { pid, owner, status });
        }
        None
    }

    /// Lets a stopped child go on, as long as its id is sure to be its own.
    pub fn resume(&self, pid: Pid) {
        let entry = self.entries.get(&pid);
        if entry.is_some_and(|entry| entry.state != Life::Lost) {
            // One that has ended does not mind.
            let _ = sys::signal_process(pid, libc::SIGCONT);
        }
    }

    /// Lets go of a child that [`Children::poll_exited`] reported. One that still runs stays.
    pub fn release(&mut self, pid: Pid) {
        if self
            .entries
            .get(&pid)
            .is_some_and(|entry| entry.state != Life::Running)
        {
            sys::collect(pid);
            self.entries.remove(&pid);
        }
        if self.collects_orphans {
            // One of ours that waited for its release may have hidden them.
            self.collect_orphans();
        }
    }

    /// The kernel shows the oldest zombie only: while one of our own waits for its release, orphans
    /// behind it have to wait, too.
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
