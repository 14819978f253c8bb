//! What the kernel knows about our process, as figures.

use std::fs;

use crate::agent::Machine;
use crate::os::child::Pid;
use crate::os::sys;

/// What is known before, with what it leaves open filled in. A figure that is not to be had, as without `/proc`, is zero.
pub(super) fn look(known: &Machine, processes: usize) -> Machine {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    // One of them is that of this look.
    let descriptors =
        fs::read_dir("/proc/self/fd").map_or(0, |list| list.count().saturating_sub(1));
    Machine {
        processes,
        resident_bytes: kibibytes.unwrap_or_default() * 1024,
        descriptors: descriptors as u64,
        descriptors_max: sys::open_files_max(),
        ..known.clone()
    }
}

/// The process that a guardian has started, or the guardian itself where the kernel does not tell.
pub(super) fn led_by(guardian: Pid) -> u64 {
    let path = format!("/proc/{guardian}/task/{guardian}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let first = children
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse().ok());
    first.unwrap_or_else(|| u64::from(guardian.unsigned_abs()))
}
