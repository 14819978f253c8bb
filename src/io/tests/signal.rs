use mio::{Events, Interest, Poll, Token};

use super::{alone, shell, spawn_pipes};
use crate::io::signal::{Signal, Signals};
use crate::io::sys;
use crate::io::sys::testing::wait_for_exit;

/// Runs a script that sends us signals; returns the first `count` kinds that come.
fn received(signals: &mut Signals, script: &str, count: usize) -> Vec<Signal> {
    let child = spawn_pipes(&shell(script)).unwrap();
    wait_for_exit(child.pid);
    assert!(sys::collect(child.pid));
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    poll.registry()
        .register(signals, Token(7), Interest::READABLE)
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < count {
        super::wait(&mut poll, &mut events);
        assert!(events.iter().all(|event| event.token() == Token(7)));
        seen.extend(signals.drain());
    }
    poll.registry().deregister(signals).unwrap();
    seen.sort_unstable_by_key(|signal| signal.number());
    seen
}

#[test]
fn signals_wake_the_loop_and_are_reported_once() {
    if !alone("signal::signals_wake_the_loop_and_are_reported_once", "") {
        return;
    }
    let mut signals = Signals::new().unwrap();
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
    let mut signals = Signals::new().unwrap();
    let seen = received(&mut signals, "kill -HUP $PPID; kill -TERM $PPID", 2);
    assert_eq!(seen, [Signal::Terminate, Signal::Child]);
}

#[test]
fn there_is_one_receiver_at_a_time() {
    if !alone("signal::there_is_one_receiver_at_a_time", "") {
        return;
    }
    let first = Signals::new().unwrap();
    let second = Signals::new().unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::AlreadyExists);
    drop(first);
    assert!(Signals::new().is_ok());
}
