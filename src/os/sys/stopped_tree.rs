//! Stops a whole tree of processes, then kills it: what forks faster than it can be killed has to be
//! stopped first.
//!
//! Killing alone does not end a fork bomb at its limit of processes: each place that a death leaves
//! is taken by a process that has not been killed yet. Stopped processes take no place.
//!
//! An id that is found here can't be a stranger's. Only we collect our own children, and we don't
//! meanwhile. Any other process is found below a parent that is stopped and so can't collect it, and
//! is signalled only while `/proc` says that this is its parent. So the tree is walked from the top.

use std::ffi::c_int;

use super::Pid;
use super::kernel_files::Proc;

/// Processes that one round finds; the others are found when these are dead.
const FOUND_MAX: usize = 2048;

/// How often the tree is walked at most. One walk has to find nobody running: a process may wake others
/// (CONT) as long as it runs itself.
const PASSES_MAX: usize = 8;

/// How often one process is looked at, at most, until it has stopped: it needs a processor for that.
const LOOKS_MAX: usize = 200;
const BETWEEN_LOOKS_NS: libc::c_long = 100_000;

/// Those that were found, parents first.
struct Found {
    pids: [Pid; FOUND_MAX],
    count: usize,
}

impl Found {
    /// Whether it stood still before, as far as that can be had.
    fn add(&mut self, pid: Pid, state: u8) -> bool {
        if let Some(place) = self.pids.get_mut(self.count)
            && signal(pid, libc::SIGSTOP)
        {
            *place = pid;
            self.count += 1;
            return stands(state);
        }
        true
    }
}

/// Stops everybody below us, and kills them when nobody runs.
pub(super) fn kill_tree(proc: &Proc) {
    let mut found = Found {
        pids: [0; FOUND_MAX],
        count: 0,
    };
    for _ in 0..PASSES_MAX {
        if stop_all(proc, &mut found) {
            break;
        }
    }
    for pid in found.pids.iter().take(found.count) {
        signal(*pid, libc::SIGKILL);
    }
}

/// Whether all of them stood still before.
fn stop_all(proc: &Proc, found: &mut Found) -> bool {
    found.count = 0;
    let mut all_stood = true;
    proc.for_each_child(|child| {
        // Our own children need no look; where there is no /proc, another walk would not help.
        let state = proc.stat(child).map_or(b'Z', |stat| stat.state);
        all_stood &= found.add(child, state);
    });
    let mut next = 0;
    while let Some(parent) = found.pids.get(next).copied().filter(|_| next < found.count) {
        next += 1;
        if !wait_stopped(proc, parent) {
            continue;
        }
        proc.for_each_child_of(parent, |child| {
            if let Some(stat) = proc.stat(child)
                && stat.parent == parent
            {
                all_stood &= found.add(child, stat.state);
            }
        });
    }
    all_stood
}

fn wait_stopped(proc: &Proc, pid: Pid) -> bool {
    let pause = libc::timespec {
        tv_sec: 0,
        tv_nsec: BETWEEN_LOOKS_NS,
    };
    for _ in 0..LOOKS_MAX {
        match proc.stat(pid) {
            Some(stat) if !stands(stat.state) => {
                // SAFETY: a structure that outlives the call, which only reads it.
                unsafe { libc::nanosleep(&raw const pause, std::ptr::null_mut()) };
            }
            stat => return stat.is_some(),
        }
    }
    false
}

/// Stopped or dead. What sleeps in the kernel (D, a parent in vfork) stops before it does anything else.
fn stands(state: u8) -> bool {
    matches!(state, b'T' | b't' | b'Z' | b'X' | b'D')
}

/// Signals a child or the leader's group, whose ids are ours until we collect them, or a process that
/// its stopped parent can't collect. `false`: nobody was there.
pub(super) fn signal(pid: Pid, number: c_int) -> bool {
    // SAFETY: integers only.
    unsafe { libc::kill(pid, number) == 0 }
}
