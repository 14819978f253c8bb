//! How processes are made to end.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::read_until;
use crate::io::processes::{Processes, Spawned};
use crate::io::sys::testing::wait_for_exit;
use crate::limits;
use crate::session::Command;

/// A shell that shrugs off what it is asked, and is ready to do so.
fn stubborn(processes: &mut Processes) -> i32 {
    let script = "trap '' TERM HUP; echo up; while :; do sleep 1000; done";
    let argv = ["sh", "-c", script].map(OsString::from).to_vec();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let command = Command {
        argv,
        paths: Vec::new(),
        environment: vec![("PATH".into(), path)],
        files: Vec::new(),
        terminal: None,
    };
    let Ok(Spawned::Pipes(mut child, _)) = processes.spawn(command) else {
        panic!("no process");
    };
    processes.track(child.pid, 1);
    read_until(&mut child.stdout, |all| all == b"up\n");
    child.pid
}

#[test]
fn whoever_does_not_end_is_killed_after_the_grace_and_at_a_revocation_soon() {
    for is_revoked in [false, true] {
        let mut processes = Processes::new(OsString::new());
        let pid = stubborn(&mut processes);
        let now = Instant::now();
        processes.end(now, pid, false, false);
        let grace = match is_revoked {
            false => limits::KILL_GRACE,
            true => {
                processes.hasten(now);
                limits::REVOKED_GRACE
            }
        };
        assert_eq!(processes.next_kill(), Some(now + grace));
        processes.kill_overdue(now + grace - Duration::from_millis(1));
        assert!(processes.poll_ended().is_none());
        processes.kill_overdue(now + grace);
        wait_for_exit(pid);
        assert!(processes.poll_ended().is_some_and(|ended| ended.pid == pid));
    }
}

#[test]
fn hastening_does_not_give_anybody_more_time() {
    let mut processes = Processes::new(OsString::new());
    let pid = stubborn(&mut processes);
    let now = Instant::now();
    processes.end(now, pid, false, false);
    let later = now + limits::KILL_GRACE - limits::REVOKED_GRACE / 2;
    processes.hasten(later);
    assert_eq!(processes.next_kill(), Some(now + limits::KILL_GRACE));
    processes.kill_all();
    wait_for_exit(pid);
}
