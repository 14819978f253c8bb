use std::net::SocketAddr;
use std::sync::Arc;

use mio::{Events, Poll, Token, Waker};

use crate::io::resolve::{LookupError, Resolved, Resolver};

struct Harness {
    poll: Poll,
    resolver: Resolver,
}

impl Harness {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let resolver = Resolver::new(waker);
        Self { poll, resolver }
    }

    fn answers(&mut self, count: usize) -> Vec<Resolved> {
        let mut answers = Vec::new();
        let mut events = Events::with_capacity(4);
        while answers.len() < count {
            super::wait(&mut self.poll, &mut events);
            answers.extend(self.resolver.take_results());
        }
        answers
    }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn literals_are_answered_as_they_stand() {
    for (host, address) in [
        ("192.0.2.1", "192.0.2.1:80"),
        ("2001:db8::1", "[2001:db8::1]:80"),
        ("[2001:db8::1]", "[2001:db8::1]:80"),
    ] {
        let mut harness = Harness::new();
        harness.resolver.submit(5, host, 80).unwrap();
        let expected = Resolved {
            request: 5,
            outcome: Ok(vec![socket(address)]),
        };
        assert_eq!(harness.answers(1), [expected], "{host}");
    }
}

#[test]
fn localhost_is_a_loopback_address() {
    let mut harness = Harness::new();
    harness.resolver.submit(1, "localhost", 22).unwrap();
    let answer = harness.answers(1).remove(0);
    let addresses = answer.outcome.unwrap();
    assert!(!addresses.is_empty());
    for address in addresses {
        assert!(
            address.ip().is_loopback() && address.port() == 22,
            "{address}"
        );
    }
}

#[test]
fn what_is_no_name_is_not_found() {
    let long = "x".repeat(300);
    for host in [
        "",
        "two words",
        "zero\0byte",
        "line\nbreak",
        "[1.2.3.4]x y",
        &long,
    ] {
        let mut harness = Harness::new();
        harness.resolver.submit(1, host, 22).unwrap();
        let answer = harness.answers(1).remove(0);
        assert_eq!(answer.outcome, Err(LookupError::NotFound), "{host}");
    }
    assert_eq!(LookupError::NotFound.to_string(), "no such host");
}
