use mio::{Events, Interest, Poll, Token};

use super::{alone, shell};
use crate::io::child::spawn_pipes;
use crate::io::signal::{Signal, Signals};
use crate::io::sys;
use crate::io::sys::testing::wait_for_exit;

fn run(script: &str) {
    let child = spawn_pipes(&shell(script)).unwrap();
    wait_for_exit(child.pid);
    assert!(sys::collect(child.pid));
}

#[test]
fn signals_wake_the_loop_and_are_reported_once() {
    if !alone("signal::signals_wake_the_loop_and_are_reported_once", "") {
        return;
    }
    let mut signals = Signals::new().unwrap();
    assert_eq!(signals.drain().count(), 0);
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    poll.registry()
        .register(&mut signals, Token(7), Interest::READABLE)
        .unwrap();
    run("for n in 1 2 3; do kill -TERM $PPID; kill -HUP $PPID; done");
    super::wait(&mut poll, &mut events);
    assert_eq!(
        events.iter().next().map(|event| event.token()),
        Some(Token(7))
    );
    let seen: Vec<_> = signals.drain().collect();
    assert_eq!(seen, [Signal::Child, Signal::Terminate, Signal::Hangup]);
    assert_eq!(signals.drain().count(), 0);
    run("kill -INT $PPID; kill -QUIT $PPID");
    super::wait(&mut poll, &mut events);
    let seen: Vec<_> = signals.drain().collect();
    assert_eq!(seen, [Signal::Child, Signal::Interrupt, Signal::Quit]);
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
    run("kill -HUP $PPID; kill -TERM $PPID");
    let seen: Vec<_> = signals.drain().collect();
    assert_eq!(seen, [Signal::Child, Signal::Terminate]);
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
