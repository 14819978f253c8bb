use std::os::unix::process::ExitStatusExt;

use mio::{Events, Interest, Poll, Token};

use super::{alone, shell, spawn_pipes};
use crate::os::signal::{Catch, Received, Signal, Signals};
use crate::os::sys;
use crate::os::sys::testing::wait_for_exit;

/// Runs a script that sends us signals; returns the first `count` kinds that come.
fn received(signals: &mut Signals, script: &str, count: usize) -> Vec<Signal> {
    let child = spawn_pipes(&shell(script)).unwrap();
    wait_for_exit(child.pid);
    assert!(sys::collect(child.pid));
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    poll.registry()
        .register(signals.source(), Token(7), Interest::READABLE)
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < count {
        super::wait(&mut poll, &mut events);
        assert!(events.iter().all(|event| event.token() == Token(7)));
        seen.extend(signals.drain().map(|received| received.signal));
    }
    poll.registry().deregister(signals.source()).unwrap();
    seen.sort_unstable_by_key(|signal| signal.number());
    seen
}

#[test]
fn signals_wake_the_loop_and_are_reported_once() {
    if !alone("signal::signals_wake_the_loop_and_are_reported_once", "") {
        return;
    }
    let mut signals = Signals::new(Catch::Own).unwrap();
    assert_eq!(signals.drain().count(), 0);
    let seen = received(&mut signals, "kill -TERM $PPID; kill -HUP $PPID", 3);
    assert_eq!(seen, [Signal::Hangup, Signal::Terminate, Signal::Child]);
    assert_eq!(signals.drain().count(), 0);
    let seen = received(&mut signals, "kill -INT $PPID; kill -QUIT $PPID", 3);
    assert_eq!(seen, [Signal::Interrupt, Signal::Quit, Signal::Child]);
    assert_eq!(signals.drain().count(), 0);
}

#[test]
fn what_we_were_told_to_ignore_stays_ignored() {
    if !alone(
        "signal::what_we_were_told_to_ignore_stays_ignored",
        "trap '' HUP TERM CHLD",
    ) {
        return;
    }
    let mut signals = Signals::new(Catch::Own).unwrap();
    let seen = received(&mut signals, "kill -HUP $PPID; kill -TERM $PPID", 2);
    assert_eq!(seen, [Signal::Terminate, Signal::Child]);
}

#[test]
fn there_is_one_receiver_at_a_time() {
    if !alone("signal::there_is_one_receiver_at_a_time", "") {
        return;
    }
    let first = Signals::new(Catch::Own).unwrap();
    let second = Signals::new(Catch::Own).unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::AlreadyExists);
    drop(first);
    assert!(Signals::new(Catch::Own).is_ok());
}

#[test]
fn a_fault_of_our_own_ends_us_though_its_signal_is_caught() {
    if std::env::var_os(super::ALONE).is_some() {
        let _signals = Signals::new(Catch::All).unwrap();
        sys::testing::fault();
        panic!("survived");
    }
    let test = "signal::a_fault_of_our_own_ends_us_though_its_signal_is_caught";
    let status = super::run_alone(test, "").status;
    assert_eq!(status.signal(), Some(libc::SIGSEGV));
}

#[test]
fn senders_are_told_apart() {
    if !alone("signal::senders_are_told_apart", "") {
        return;
    }
    let mut signals = Signals::new(Catch::All).unwrap();
    let child = spawn_pipes(&shell("kill -USR2 $PPID; kill -64 $PPID")).unwrap();
    wait_for_exit(child.pid);
    assert!(sys::collect(child.pid));
    let caught: Vec<_> = signals.drain().collect();
    let sent = |number| Received {
        signal: Signal::Other(number),
        is_from_kernel: false,
    };
    let ended = Received {
        signal: Signal::Child,
        is_from_kernel: true,
    };
    assert_eq!(caught, [ended, sent(libc::SIGUSR2), sent(64)]);
}
