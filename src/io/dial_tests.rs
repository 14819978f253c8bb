use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

use crate::io::dial::{Dial, DialProgress, Tried};
use crate::limits;

/// An address that lets nobody in and says nothing: its queue is full, and the kernel drops what comes.
struct Hole {
    _listener: std::os::fd::OwnedFd,
    _first: std::net::TcpStream,
    address: SocketAddr,
}

impl Hole {
    fn new() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
        listen(&listener, 0).unwrap();
        let address = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
        let first = std::net::TcpStream::connect(address).unwrap();
        Self {
            _listener: listener,
            _first: first,
            address,
        }
    }
}

fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

struct World {
    poll: Poll,
    events: Events,
    dial: Dial,
    now: Instant,
}

impl World {
    fn new(addresses: &[SocketAddr]) -> Self {
        Self {
            poll: Poll::new().unwrap(),
            events: Events::with_capacity(16),
            dial: Dial::new(Token(0), addresses.to_vec()),
            now: Instant::now(),
        }
    }

    fn advance(&mut self) -> DialProgress {
        self.dial.advance(self.now, self.poll.registry())
    }

    /// By events alone: the dial's clock stands.
    fn end(&mut self) -> Result<TcpStream, Tried> {
        loop {
            match self.advance() {
                DialProgress::Pending => crate::os::tests::wait(&mut self.poll, &mut self.events),
                DialProgress::Connected(socket, _) => return Ok(socket),
                DialProgress::Failed(error) => return Err(error),
            }
        }
    }
}

#[test]
fn an_address_that_fails_costs_no_time() {
    let good = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = good.local_addr().unwrap();
    let unreachable = "[2001:db8::1]:1".parse().unwrap();
    let mut world = World::new(&[closed(), closed(), address]);
    assert_eq!(world.end().unwrap().peer_addr().unwrap(), address);
    let mut world = World::new(&[closed(), unreachable]);
    let failed = world.advance();
    // Some machines have a way to anywhere.
    if let DialProgress::Failed(error) = failed {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

#[test]
fn a_silent_address_gets_a_companion_after_a_moment_and_keeps_its_place() {
    let good = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = good.local_addr().unwrap();
    let hole = Hole::new();
    let mut world = World::new(&[hole.address, address]);
    assert!(matches!(world.advance(), DialProgress::Pending));
    let at = world.dial.next_at().unwrap();
    assert_eq!(at, world.now + Duration::from_millis(250));
    world.now = at - Duration::from_millis(1);
    assert!(matches!(world.advance(), DialProgress::Pending));
    assert_eq!(
        world.dial.next_at(),
        Some(at),
        "an early look changes nothing"
    );
    world.now = at;
    assert_eq!(world.end().unwrap().peer_addr().unwrap(), address);
}

#[test]
fn few_addresses_are_under_way_side_by_side() {
    let hole = Hole::new();
    let count = limits::CONNECTS_AT_ONCE_MAX * 2;
    let mut world = World::new(&vec![hole.address; count]);
    for started in 1..=count {
        assert!(matches!(world.advance(), DialProgress::Pending));
        assert_eq!(world.dial.racing(), started.min(count / 2));
        match world.dial.next_at() {
            Some(at) => world.now = at,
            None => assert_eq!(started, count),
        }
    }
}

#[test]
fn nowhere_to_go_is_a_failure_too() {
    let error = World::new(&[]).end().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    let error = World::new(&[closed(), closed()]).end().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn each_address_has_its_own_cause_and_the_likelier_comes_first() {
    let (first, second) = (closed(), closed());
    let tried = World::new(&[first, second]).end().unwrap_err();
    let text = tried.outcome();
    assert!(
        text.contains(&format!("{first}: connection refused")),
        "{text}"
    );
    assert!(
        text.contains(&format!("{second}: connection refused")),
        "{text}"
    );
    let mut tried = Tried::default();
    let no_way = || std::io::ErrorKind::NetworkUnreachable.into();
    tried.add("[2001:db8::1]:1".parse().unwrap(), no_way());
    assert_eq!(tried.outcome(), "network unreachable");
    tried.add(first, std::io::ErrorKind::ConnectionRefused.into());
    tried.add("[2001:db8::2]:1".parse().unwrap(), no_way());
    assert_eq!(tried.kind(), std::io::ErrorKind::ConnectionRefused);
    let want = format!(
        "{first}: connection refused, [2001:db8::1]:1: network unreachable, [2001:db8::2]:1: \
         network unreachable"
    );
    assert_eq!(tried.outcome(), want);
    assert_eq!(
        tried.reason().split(", ").next().unwrap(),
        format!("{first}: connect: connection refused")
    );
}

#[test]
fn an_address_keeps_its_time_though_those_of_another_family_fail_at_once() {
    let hole = Hole::new();
    let nowhere: SocketAddr = "255.255.255.255:1".parse().unwrap();
    let pairs = [hole.address, nowhere].repeat(limits::CONNECTS_AT_ONCE_MAX);
    let mut world = World::new(&pairs);
    let start = world.now;
    let patience = limits::CONNECT_ATTEMPT * u32::try_from(limits::CONNECTS_AT_ONCE_MAX).unwrap();
    loop {
        assert!(matches!(world.advance(), DialProgress::Pending));
        let is_given_up = world.dial.news().contains("timed out");
        assert!(!is_given_up || world.now >= start + patience);
        match world.dial.next_at() {
            Some(at) => world.now = at,
            None => break,
        }
    }
    assert_eq!(world.dial.racing(), limits::CONNECTS_AT_ONCE_MAX);
}
