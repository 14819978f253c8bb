use std::ffi::CString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use mio::Poll;
use mio::net::UnixStream;

use super::{Scratch, alone};
use crate::limits;
use crate::os::children::Children;
use crate::os::guardians::Guardians;
use crate::os::sys::{Order, Pid};
use crate::session::{End, Exit};

/// No process has such an id.
const FIRST: Pid = 10_000_000;

/// Whoever opens and leaves sessions fast must not fill the table of children for everybody.
#[test]
fn the_earliest_of_too_many_that_are_being_ended_is_killed_at_once() {
    if !alone(
        "guardians::the_earliest_of_too_many_that_are_being_ended_is_killed_at_once",
        "ulimit -Sn 4096",
    ) {
        return;
    }
    let (now, poll, children) = (Instant::now(), Poll::new().unwrap(), Children::new());
    let mut guardians = Guardians::default();
    let add = |guardians: &mut Guardians, number: usize| {
        let pid = FIRST + Pid::try_from(number).unwrap();
        let (ours, its_own) = UnixStream::pair().unwrap();
        guardians.insert(poll.registry(), pid, ours, c"").unwrap();
        guardians.end(now, &children, pid, End::Forced);
        its_own
    };
    let mut first = add(&mut guardians, 0);
    let mut orders = [0; 4];
    let mut heard = || first.read(&mut orders).map(|size| orders[..size].to_vec());
    for number in 1..limits::ENDING_COUNT_MAX {
        add(&mut guardians, number);
    }
    assert_eq!(heard().unwrap(), [Order::EndAll as u8], "it has its time");
    add(&mut guardians, limits::ENDING_COUNT_MAX);
    assert_eq!(heard().unwrap(), [Order::KillAll as u8]);
}

/// Normal ends have a moment more than forced ones, so they don't come in the order of their times.
#[test]
fn a_forced_end_behind_a_normal_one_is_not_held_up() {
    let (now, poll, children) = (Instant::now(), Poll::new().unwrap(), Children::new());
    let mut guardians = Guardians::default();
    let mut ends = Vec::new();
    for (pid, end) in [(FIRST, End::Forced), (FIRST + 1, End::Normal)] {
        let (ours, its_own) = UnixStream::pair().unwrap();
        guardians.insert(poll.registry(), pid, ours, c"").unwrap();
        guardians.end(now, &children, pid, end);
        ends.push(its_own);
    }
    let mut heard = |place: usize| {
        let mut orders = [0; 4];
        let size = ends[place].read(&mut orders).unwrap_or(0);
        orders[..size].to_vec()
    };
    assert_eq!(heard(0), [Order::EndAll as u8]);
    assert!(heard(1).is_empty(), "it has a moment to detach itself");
    let asked = now + limits::DETACH_GRACE;
    assert_eq!(guardians.next_kill(), Some(asked));
    guardians.kill_overdue(asked, &children);
    assert_eq!(heard(1), [Order::EndAttached as u8]);
    assert_eq!(guardians.next_kill(), Some(now + limits::KILL_GRACE));
    guardians.kill_overdue(now + limits::KILL_GRACE, &children);
    assert_eq!(heard(0), [Order::KillAll as u8]);
    assert_eq!(guardians.next_kill(), Some(asked + limits::KILL_GRACE));
    guardians.kill_overdue(asked + limits::KILL_GRACE, &children);
    assert_eq!(heard(1), [Order::KillAttached as u8]);
}

#[test]
fn the_control_group_of_a_killed_guardian_goes_when_nobody_is_in_it() {
    let (now, poll, children) = (Instant::now(), Poll::new().unwrap(), Children::new());
    let mut guardians = Guardians::default();
    let (ours, its_own) = UnixStream::pair().unwrap();
    // A plain folder stands for a group: it can't be removed either while there is something in it.
    let (scratch, mut group) = (Scratch::new(), std::path::PathBuf::new());
    group.push(&scratch.0);
    group.push("group");
    std::fs::create_dir(&group).unwrap();
    let name = CString::new(group.as_os_str().as_bytes()).unwrap();
    guardians
        .insert(poll.registry(), FIRST, ours, &name)
        .unwrap();
    drop(its_own);
    assert_eq!(guardians.remove(FIRST), Some(Exit::Signal(9)));
    assert_eq!(std::fs::read(group.join("cgroup.kill")).unwrap(), b"1");
    std::fs::remove_file(group.join("cgroup.kill")).unwrap();
    guardians.end(now, &children, FIRST, End::Forced);
    assert!(!group.exists());
}
