use std::path::Path;

use mio::{Events, Interest, Poll, Token};

use super::{
    alone, command, is_stopped, read_to_end, read_until, shell, spawn_pipes, wait_stopped,
};
use crate::limits;
use crate::os::child::ExitStatus;
use crate::os::children::{Children, Exited};
use crate::os::signal::{Catch, Signal, Signals};
use crate::os::sys;
use crate::os::sys::testing::{adopt_orphans, signal_group, wait_for_exit};

fn next_status(children: &mut Children) -> Option<ExitStatus> {
    children.poll_exited().map(|exited| exited.status)
}

#[test]
fn exit_is_reported_once_and_the_id_stays_taken_until_release() {
    let mut children = Children::new();
    let child = spawn_pipes(&shell("exit 5")).unwrap();
    children.insert(child.pid, 42);
    wait_for_exit(child.pid);
    let expected = Exited {
        pid: child.pid,
        owner: 42,
        status: ExitStatus::Exited(5),
    };
    assert_eq!(children.poll_exited(), Some(expected));
    assert_eq!(children.poll_exited(), None);
    let process = format!("/proc/{}", child.pid);
    assert!(Path::new(&process).exists());
    children.resume(child.pid);
    children.release(child.pid);
    assert!(children.is_empty());
    assert!(!Path::new(&process).exists());
}

#[test]
fn running_child_is_not_released_and_not_reported() {
    let mut children = Children::new();
    let child = spawn_pipes(&command(&["cat"])).unwrap();
    children.insert(child.pid, 1);
    assert_eq!(children.poll_exited(), None);
    children.release(child.pid);
    assert_eq!(children.len(), 1);
    signal_group(child.pid, libc::SIGTERM).unwrap();
    wait_for_exit(child.pid);
    assert_eq!(
        next_status(&mut children),
        Some(ExitStatus::Signaled(libc::SIGTERM))
    );
    children.release(child.pid);
}

#[test]
fn child_that_somebody_else_collected_counts_as_ended() {
    let mut children = Children::new();
    let child = spawn_pipes(&command(&["true"])).unwrap();
    children.insert(child.pid, 1);
    wait_for_exit(child.pid);
    assert!(sys::collect(child.pid));
    let status = next_status(&mut children);
    assert_eq!(status, Some(ExitStatus::Unknown));
    assert_eq!(status.map(ExitStatus::code), Some(254));
    children.release(child.pid);
    assert!(children.is_empty());
}

#[test]
fn a_stopped_child_of_the_table_goes_on_and_no_other() {
    let mut children = Children::new();
    let mut child = spawn_pipes(&shell("echo up; kill -STOP $$; echo on")).unwrap();
    read_until(&mut child.stdout, |seen| seen.ends_with(b"\n"));
    wait_stopped(child.pid);
    children.resume(child.pid);
    assert!(is_stopped(child.pid));
    children.insert(child.pid, 1);
    children.resume(child.pid);
    assert_eq!(read_to_end(&mut child.stdout), "on\n");
    wait_for_exit(child.pid);
    assert_eq!(next_status(&mut children), Some(ExitStatus::Exited(0)));
    children.release(child.pid);
}

#[test]
fn table_says_when_it_is_full() {
    let mut children = Children::new();
    for pid in 1..=limits::CHILD_COUNT_MAX {
        assert!(children.has_room());
        children.insert(sys::Pid::try_from(pid).unwrap() + 10_000_000, 0);
    }
    assert!(!children.has_room());
}

/// Waits for SIGCHLD until `done`.
fn at_each_child_signal(signals: &mut Signals, mut done: impl FnMut() -> bool) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    poll.registry()
        .register(signals.source(), Token(0), Interest::READABLE)
        .unwrap();
    while !done() {
        super::wait(&mut poll, &mut events);
        assert!(
            signals
                .drain()
                .any(|received| received.signal == Signal::Child)
        );
    }
}

#[test]
fn hundred_children_are_all_reported_and_leave_no_zombie() {
    if !alone(
        "children::hundred_children_are_all_reported_and_leave_no_zombie",
        "",
    ) {
        return;
    }
    let mut signals = Signals::new(Catch::Own).unwrap();
    let mut children = Children::new();
    for owner in 0..100 {
        let child = spawn_pipes(&shell(&format!("exit {owner}"))).unwrap();
        children.insert(child.pid, owner);
    }
    let mut seen = Vec::new();
    at_each_child_signal(&mut signals, || {
        while let Some(exited) = children.poll_exited() {
            seen.push((exited.owner, exited.status.code()));
            children.release(exited.pid);
        }
        seen.len() == 100
    });
    seen.sort_unstable();
    assert!((0..100).zip(0..100).eq(seen));
    assert!(children.is_empty());
    assert!(
        sys::peek_exit(None).is_err(),
        "no child of any kind is left"
    );
}

#[test]
fn first_process_collects_orphans_and_keeps_its_own() {
    if !alone(
        "children::first_process_collects_orphans_and_keeps_its_own",
        "",
    ) {
        return;
    }
    adopt_orphans().unwrap();
    let mut signals = Signals::new(Catch::Own).unwrap();
    let mut children = Children::collecting_orphans();
    let mut child = spawn_pipes(&shell("sh -c 'read line' <&0 & echo $!")).unwrap();
    children.insert(child.pid, 1);
    let orphan = read_until(&mut child.stdout, |seen| seen.ends_with(b"\n"));
    let orphan = String::from_utf8(orphan).unwrap();
    wait_for_exit(child.pid);
    assert_eq!(children.poll_exited().map(|exited| exited.owner), Some(1));
    // The orphan ends behind our own zombie, which hides it.
    drop(child.stdin);
    assert_eq!(read_to_end(&mut child.stdout), "");
    let process = format!("/proc/{}", orphan.trim());
    children.release(child.pid);
    at_each_child_signal(&mut signals, || {
        assert_eq!(children.poll_exited(), None);
        !Path::new(&process).exists()
    });
}
