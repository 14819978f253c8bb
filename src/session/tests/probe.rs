//! The address check whose connection the session's first client gets.

use super::*;

/// A session whose address check was answered, and its target.
fn probed(world: &mut World) -> TargetId {
    world.open("s", tcp());
    let probe = world.connected();
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
    assert!(world.sessions.poll_output().is_none(), "it is kept");
    probe
}

#[test]
fn the_first_connection_gets_the_probe_and_the_second_dials() {
    let mut world = World::new();
    let probe = probed(&mut world);
    assert_eq!(world.sessions.counters().relays, 0);
    world.tcp_write("s", "1", b"hello");
    assert!(world.sessions.poll_output().is_none(), "nothing is dialled");
    assert_eq!(world.takes(probe, 100), b"hello");
    world.says(probe, Channel::Output, b"and to you");
    let answer = world.one();
    assert_eq!((&*answer.connection, &*answer.payload), ("1", "and to you"));
    world.tcp_write("s", "2", b"x");
    assert_ne!(world.connected(), probe);
    assert_eq!(world.sessions.counters().relays, 2);
    // Its time as a probe has no meaning any more.
    world.wait(limits::PROBE_KEPT_MAX * 2);
    assert!(world.closes().is_empty());
    world.ends(probe, Channel::Output);
    assert_eq!(world.one().kind, Kind::ClientTCPConnectionClose);
    assert_eq!(world.closed(), (probe, false));
}

#[test]
fn what_a_server_says_first_waits_for_the_first_client() {
    let mut world = World::new();
    let probe = probed(&mut world);
    world.says(probe, Channel::Output, b"220 mail.internal ");
    world.says(probe, Channel::Output, b"at your service\r\n");
    assert!(world.sent().is_empty(), "there is nobody to hear it");
    let entries = [
        (spec::SESSION_ID, b"s" as &[u8]),
        (spec::CONNECTION_ID, b"1"),
        (spec::TCP_SERVER_CONNECT, b"true"),
    ];
    world.packet(Kind::AgentTCPConnectionWrite, &entries, b"");
    let greeting = world.one();
    assert_eq!(greeting.payload, "220 mail.internal at your service\r\n");
    assert_eq!(greeting.connection, "1");
    world.says(probe, Channel::Output, b"more");
    assert_eq!(world.one().payload, "more");
    assert_eq!(world.sessions.counters().bytes_to_gateway, 39);
}

#[test]
fn a_probe_that_says_much_is_read_on_by_its_client() {
    let mut world = World::new();
    let probe = probed(&mut world);
    let mut said = 0;
    while world.sessions.wants_read(probe, Channel::Output) {
        let slot = world
            .sessions
            .read_slot(probe, Channel::Output, 1500, &mut world.outbox);
        let size = slot.unwrap().len();
        world.report(probe, Report::Received { size });
        said += size;
    }
    assert_eq!(
        said,
        limits::PROBE_BYTES_MAX,
        "the rest stays with the kernel"
    );
    world.tcp_write("s", "1", b"");
    assert_eq!(world.one().payload.len(), said);
    assert!(world.sessions.wants_read(probe, Channel::Output));
    // So that the shell remembers what it was told to leave unread.
    assert_eq!(world.sessions.poll_dirty(), Some(probe));
}

#[test]
fn a_probe_that_nobody_needs_is_closed_in_good_order() {
    let mut world = World::new();
    let probe = probed(&mut world);
    world.wait(limits::PROBE_KEPT_MAX - Duration::from_millis(1));
    assert!(world.closes().is_empty());
    world.wait(Duration::from_millis(1));
    assert_eq!(world.closed(), (probe, false));
    assert!(world.sent().is_empty(), "the session goes on");
    world.tcp_write("s", "1", b"late");
    assert_ne!(world.connected(), probe);
}

#[test]
fn the_end_of_the_session_or_of_the_link_ends_the_probe() {
    let mut world = World::new();
    let probe = probed(&mut world);
    world.deliver(Kind::AgentSessionClose, "s", b"");
    assert_eq!(world.closed(), (probe, false));
    let probe = probed(&mut world);
    world.sessions.end_all(world.now, "tests");
    assert_eq!(world.closed(), (probe, true));
    assert_eq!(world.sessions.target_count(), 0);
    assert!(world.sessions.poll_timeout().is_none(), "nothing is due");
}

#[test]
fn a_server_that_leaves_the_probe_is_dialled_again() {
    for ends in [
        Report::Broke,
        Report::Ended {
            channel: Channel::Output,
        },
    ] {
        let mut world = World::new();
        let probe = probed(&mut world);
        world.says(probe, Channel::Output, b"Sat Nov 28\r\n");
        world.report(probe, ends);
        assert_eq!(world.closed(), (probe, ends == Report::Broke));
        assert!(world.sent().is_empty());
        world.tcp_write("s", "1", b"x");
        let target = world.connected();
        assert_eq!(world.takes(target, 1), b"x");
    }
}

#[test]
fn the_place_of_the_probe_among_the_relays_is_its_clients() {
    let mut world = World::with(SessionLimits {
        relay_count_max: 1,
        ..SessionLimits::default()
    });
    let probe = probed(&mut world);
    world.tcp_write("s", "1", b"x");
    assert_eq!(world.takes(probe, 1), b"x");
    world.tcp_write("s", "2", b"x");
    assert_eq!(world.one().connection, "2", "it is refused");
}

#[test]
fn a_command_has_no_use_for_the_probe() {
    let mut world = World::new();
    let settings = [("HOST", "db"), ("USER", "u"), ("PASS", "p")];
    world.open("s", params("postgres", &settings, &["psql"]));
    let probe = world.connected();
    assert_eq!(world.closed(), (probe, false));
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
}

/// It counts connections without a login against their host, and bans that after some.
#[test]
fn mysql_is_not_probed() {
    let mut world = World::new();
    let settings = [("HOST", "db"), ("USER", "u"), ("PASS", "p")];
    world.open("s", params("mysql", &settings, &["mysql"]));
    assert!(world.sessions.poll_output().is_none());
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
    world.open("t", params("mysql", &settings[..2], &["mysql"]));
    assert!(world.one().payload.contains("missing required secrets"));
}
