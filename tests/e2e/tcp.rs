//! `hoop connect` on a raw TCP connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use loopback_gateway::targets::{Manner, Target, checksum, pattern, sent_by_source};
use loopback_gateway::{SessionRequest, deadline};

use crate::world::World;

fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(deadline())).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

fn to(target: &Target) -> SessionRequest {
    SessionRequest::tcp("127.0.0.1", target.port())
}

#[test]
fn an_echo_server_answers_through_a_local_port() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let mut session = world.open(to(&target));
    let mut socket = dial(session.listen());
    for text in ["one", "two", "three"] {
        socket.write_all(text.as_bytes()).unwrap();
        let mut answer = vec![0; text.len()];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer, text.as_bytes());
    }
    drop(socket);
    assert!(
        target.wait_endings(1)[0].in_order,
        "the target was not told in order"
    );
}

#[test]
fn a_server_that_speaks_first_is_heard_before_the_client_says_a_word() {
    let world = World::start();
    let target = Target::start(Manner::Greeter("220 ready\r\n".to_owned()));
    let mut session = world.open(to(&target));
    let mut socket = dial(session.listen());
    let mut greeting = [0; 11];
    socket.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ready\r\n");
    assert_eq!(target.accepted(), 1, "the check of the address is used");
}

#[test]
fn a_check_of_the_address_that_nobody_uses_is_closed_and_the_session_goes_on() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let mut session = world.open(to(&target));
    session.wait_open();
    target.wait_accepted(1);
    target.wait_idle();
    session.send_to("1", b"late");
    assert_eq!(session.receive("1", 4), b"late");
    assert_eq!(target.accepted(), 2);
}

#[test]
fn the_first_packet_may_carry_data() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let mut session = world.open(to(&target));
    session.wait_open();
    session.send_to("7", b"no connect packet before");
    assert_eq!(session.receive("7", 24), b"no connect packet before");
}

#[test]
fn fifty_megabytes_down_arrive_whole_and_then_the_end() {
    const COUNT: usize = 50_000_000;
    let world = World::start();
    let target = Target::start(Manner::Source {
        seed: 5,
        count: COUNT,
    });
    let mut session = world.open(to(&target));
    let mut socket = dial(session.listen());
    let mut received = Vec::with_capacity(COUNT);
    socket.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), COUNT);
    assert!(
        checksum(&received) == checksum(&sent_by_source(5, COUNT)),
        "the content differs"
    );
}

#[test]
fn fifty_megabytes_up_arrive_whole_and_then_the_end() {
    let world = World::start();
    let target = Target::start(Manner::Sink);
    let mut session = world.open(to(&target));
    let mut socket = dial(session.listen());
    let content = pattern(6, 50_000_000);
    socket.write_all(&content).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let ending = target.wait_endings(1).remove(0);
    assert_eq!(ending.count, content.len());
    assert_eq!(ending.checksum, checksum(&content));
    assert!(ending.in_order);
}

#[test]
fn the_client_hears_of_the_targets_end_after_the_last_byte() {
    let world = World::start();
    let target = Target::start(Manner::Source {
        seed: 1,
        count: 100_000,
    });
    let mut session = world.open(to(&target));
    session.wait_open();
    session.connect("1");
    assert_eq!(session.receive_to_end("1"), sent_by_source(1, 100_000));
    // The session itself goes on.
    session.connect("2");
    assert_eq!(session.receive_to_end("2").len(), 100_000);
}

#[test]
fn the_client_hears_of_the_targets_reset() {
    let world = World::start();
    let target = Target::start(Manner::Resetter("last words".to_owned()));
    let mut session = world.open(to(&target));
    session.wait_open();
    session.send_to("1", b"x");
    let last = session.receive_to_end("1");
    assert!(b"last words".starts_with(&last[..]), "{last:?}");
}

#[test]
fn the_target_hears_of_the_clients_end_and_the_other_connections_go_on() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let mut session = world.open(to(&target));
    session.wait_open();
    // A connection whose name begins like another's is another connection.
    for id in ["1", "10", "11"] {
        session.send_to(id, b"hello");
        session.receive(id, 5);
    }
    session.disconnect("1");
    let ending = target.wait_endings(1).remove(0);
    assert_eq!((ending.count, ending.in_order), (5, true));
    for id in ["10", "11"] {
        session.send_to(id, b"still here");
        assert_eq!(session.receive(id, 10), b"still here");
    }
    // A late packet for a closed connection opens nothing.
    session.send_to("1", b"late");
    world.gateway.settle("demo");
    assert_eq!(
        target.accepted(),
        3,
        "the first connection uses that of the address's check"
    );
}

#[test]
fn everything_sent_before_the_clients_end_reaches_the_target() {
    let world = World::start();
    let target = Target::start(Manner::Sink);
    let mut session = world.open(to(&target));
    session.wait_open();
    let content = pattern(3, 3 << 20);
    session.connect("1");
    for piece in content.chunks(32 << 10) {
        session.send_to("1", piece);
    }
    session.disconnect("1");
    let ending = target.wait_endings(1).remove(0);
    assert_eq!(
        (ending.count, ending.checksum),
        (content.len(), checksum(&content))
    );
}

#[test]
fn the_target_hears_when_the_client_is_killed() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let mut session = world.open(to(&target));
    let mut socket = dial(session.listen());
    socket.write_all(b"x").unwrap();
    socket.read_exact(&mut [0]).unwrap();
    session.kill();
    target.wait_idle();
}

#[test]
fn two_thousand_connections_leave_no_descriptor() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let mut session = world.open(to(&target));
    let address = session.listen();
    let mut socket = dial(address);
    socket.write_all(b"warm").unwrap();
    socket.read_exact(&mut [0; 4]).unwrap();
    drop(socket);
    target.wait_idle();
    let before = world.agent.fds();
    for round in 0..20 {
        let mut sockets: Vec<_> = (0..100).map(|_| dial(address)).collect();
        for (number, socket) in sockets.iter_mut().enumerate() {
            socket
                .write_all(format!("{round:02}-{number:02}").as_bytes())
                .unwrap();
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            let mut answer = [0; 5];
            socket.read_exact(&mut answer).unwrap();
            assert_eq!(answer, format!("{round:02}-{number:02}").as_bytes());
        }
    }
    target.wait_endings(2001);
    world.agent.wait_fds(before);
}

#[test]
fn a_target_that_never_reads_does_not_hold_up_its_neighbours() {
    let world = World::start();
    let silent = Target::start(Manner::Silent);
    let echo = Target::start(Manner::Echo);
    let mut stuck = world.open(to(&silent));
    stuck.wait_open();
    stuck.connect("1");
    let piece = pattern(9, 32 << 10);
    for _ in 0..320 {
        stuck.send_to("1", &piece);
    }
    let mut session = world.open(to(&echo));
    session.wait_open();
    for number in 0..20 {
        session.send_to("1", format!("ping {number:02}").as_bytes());
        assert_eq!(
            session.receive("1", 7),
            format!("ping {number:02}").as_bytes()
        );
    }
    assert_eq!(world.shell("echo fine").out(), "fine\n");
}

#[test]
fn a_dead_port_is_refused_with_its_address_and_a_reason() {
    let world = World::start();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let close = world
        .open(SessionRequest::tcp("127.0.0.1", port))
        .wait_refusal();
    assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
    for part in [
        "failed connecting to remote host=127.0.0.1",
        &format!("port={port}"),
        "refused",
    ] {
        assert!(close.text.contains(part), "{close:?}");
    }
}

#[test]
fn an_unknown_host_is_refused_by_name() {
    let world = World::start();
    let close = world
        .open(SessionRequest::tcp("no-such-host.invalid", 80))
        .wait_refusal();
    assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
    assert!(close.text.contains("no-such-host.invalid"), "{close:?}");
}

#[test]
fn a_connection_without_a_host_is_refused_in_words() {
    let world = World::start();
    let close = world
        .open(SessionRequest::new("tcp", "connect").env("PORT", "1"))
        .wait_refusal();
    assert!(
        close.text.contains("HOST") && close.text.contains("PORT"),
        "{close:?}"
    );
}

#[test]
fn a_target_that_dies_during_the_session_ends_the_connection_and_not_the_session() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let mut session = world.open(to(&target));
    session.wait_open();
    let port = target.port();
    drop(target);
    // The listener is closed by a task of its own: a connect may still get in before that.
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        std::thread::yield_now();
    }
    session.connect("1");
    assert_eq!(session.receive_to_end("1"), b"");
    let _again = Target::start_at(&format!("127.0.0.1:{port}"), Manner::Echo);
    session.send_to("2", b"back");
    assert_eq!(session.receive("2", 4), b"back");
}

#[test]
fn a_target_on_ipv6_is_reached() {
    let world = World::start();
    let target = Target::start_at("[::1]:0", Manner::Echo);
    let mut session = world.open(SessionRequest::tcp("::1", target.port()));
    session.wait_open();
    session.send_to("1", b"six");
    assert_eq!(session.receive("1", 3), b"six");
}
