use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;

use mio::{Events, Poll, Token, Waker};

use super::{Scratch, alone};
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

/// The words of the first question and where it ends.
fn question(query: &[u8]) -> (String, usize) {
    let mut words = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        words.push(std::str::from_utf8(&query[at + 1..end]).unwrap());
        at = end;
    }
    (words.join("."), at + 5)
}

/// Knows `db.corp.example` (IPv4 only), fails below `broken.example`, and denies the rest.
fn serve_names(socket: &UdpSocket) {
    let mut query = [0; 512];
    loop {
        let (length, asker) = socket.recv_from(&mut query).unwrap();
        let (name, end) = question(&query[..length]);
        let wants_v4 = query[end - 3] == 1;
        let (code, answers) = match name.to_ascii_lowercase().as_str() {
            "db.corp.example" => (0, u8::from(wants_v4)),
            name if name.ends_with("broken.example") => (2, 0),
            _ => (3, 0),
        };
        let mut reply = query[..end].to_vec();
        reply[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
        if answers == 1 {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77]);
        }
        socket.send_to(&reply, asker).unwrap();
    }
}

/// A Kubernetes pod's resolv.conf with a search domain that fails: musl alone finds nothing.
#[test]
fn full_name_is_found_although_a_search_domain_fails() {
    let scratch = Scratch::new();
    let allowed = Command::new("unshare")
        .args(["-rmn", "ip", "link", "set", "lo", "up"])
        .output();
    let inside = std::env::var_os(super::ALONE).is_some();
    if !inside && !allowed.is_ok_and(|output| output.status.success()) {
        println!("not run: no namespaces of our own on this machine");
        return;
    }
    let conf =
        "search broken.example\noptions ndots:5 attempts:1 timeout:1\nnameserver 127.0.0.1\n";
    let conf = scratch.file("resolv.conf", conf, "644");
    let preface = format!(
        "exec unshare -rmn sh -c 'mount --bind {} /etc/resolv.conf; ip link set lo up; \
         exec \"$0\" \"$@\"' \"$0\" \"$@\"",
        conf.display()
    );
    let test = "resolve::full_name_is_found_although_a_search_domain_fails";
    if !alone(test, &preface) {
        return;
    }
    let server = UdpSocket::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || serve_names(&server));
    for (host, outcome) in [
        ("db.corp.example", Ok(vec![socket("192.0.2.77:5432")])),
        ("db.corp.example.", Ok(vec![socket("192.0.2.77:5432")])),
        ("gone.example.", Err(LookupError::NotFound)),
        ("host.broken.example", Err(LookupError::Temporary)),
    ] {
        let mut harness = Harness::new();
        harness.resolver.submit(1, host, 5432).unwrap();
        assert_eq!(harness.answers(1).remove(0).outcome, outcome, "{host}");
    }
}
