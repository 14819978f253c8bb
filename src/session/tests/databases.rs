//! Connections to a database: what waits in front of their servers, and what is done for nobody.

use loopback_gateway::postgres::{put, startup};

use super::*;

const WRITE: Kind = Kind::AgentPGConnectionWrite;
const QUERY: &[u8] = b"Q\0\0\0\x0dselect 1\0";

/// An open session of a PostgreSQL server that has no TLS.
fn opened(budget: usize) -> World {
    let mut world = World::with_budget(budget);
    world.sessions = world.sessions.with_sources(Box::new(Nonces));
    let variables = [
        ("HOST", "db.internal"),
        ("USER", "app"),
        ("PASS", "s3cret"),
        ("SSLMODE", "disable"),
    ];
    let mut params = params("postgres", &variables, &[]);
    params.client_verb = "connect".into();
    world.open("s", params);
    let probe = world.connected();
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
    world.ends(probe, Channel::Output);
    assert_eq!(world.closed(), (probe, false));
    world
}

fn client_startup() -> Vec<u8> {
    startup(3 << 16, &[("user", "noop"), ("database", "sales")])
}

/// A client whose server is connected, has its startup message and says nothing.
fn introduced(world: &mut World, connection: &str, early: &[u8]) -> TargetId {
    let bytes = [&client_startup()[..], early].concat();
    world.deliver_to(WRITE, "s", connection, &bytes);
    let target = world.dialled();
    let peer = "10.0.0.5:5432".parse().ok();
    world.report(target, Report::Started { peer });
    assert!(!world.takes(target, usize::MAX).is_empty());
    target
}

/// Lets a client in.
fn let_in(world: &mut World, target: TargetId) {
    let mut words = Vec::new();
    put(&mut words, b'R', &[&[0; 4]]);
    put(&mut words, b'K', &[&4711_u32.to_be_bytes(), b"KKKK"]);
    put(&mut words, b'Z', &[b"I"]);
    world.says(target, Channel::Output, &words);
    assert!(
        world
            .sent()
            .iter()
            .all(|it| it.kind == Kind::ClientPGConnectionWrite)
    );
}

#[test]
fn what_waits_in_front_of_a_server_counts_until_it_is_in_its_queue_or_gone() {
    let mut world = opened(limits::QUEUE_BYTES_MAX);
    let bytes = client_startup();
    world.deliver_to(WRITE, "s", "1", &bytes[..9]);
    assert_eq!(world.sessions.buffered_bytes(), 9);
    world.deliver_to(WRITE, "s", "1", &[&bytes[9..], QUERY].concat());
    let target = world.connected();
    let words: usize = world.sessions.pending_parts(target).map(<[u8]>::len).sum();
    assert!(words > 0);
    assert_eq!(world.sessions.buffered_bytes(), QUERY.len() + words);
    world.takes(target, usize::MAX);
    assert_eq!(world.sessions.buffered_bytes(), QUERY.len());
    let_in(&mut world, target);
    assert_eq!(world.sessions.buffered_bytes(), QUERY.len());
    assert_eq!(world.takes(target, usize::MAX), QUERY);
    assert_eq!(world.sessions.buffered_bytes(), 0);

    // Clients that leave, servers that end and sessions that are over take theirs with them.
    introduced(&mut world, "2", QUERY);
    let ending = introduced(&mut world, "3", QUERY);
    introduced(&mut world, "4", QUERY);
    assert_eq!(world.sessions.buffered_bytes(), 3 * QUERY.len());
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "2", b"");
    assert_eq!(world.sessions.buffered_bytes(), 2 * QUERY.len());
    world.ends(ending, Channel::Output);
    assert_eq!(world.sessions.buffered_bytes(), QUERY.len());
    world.deliver(Kind::AgentSessionClose, "s", b"");
    assert_eq!(world.sessions.buffered_bytes(), 0);
}

#[test]
fn logins_that_hold_bytes_while_memory_is_short_have_stalled() {
    const EARLY: usize = 60_000;
    let budget = 1 << 20;
    let mut world = opened(budget);
    for number in 0..17 {
        introduced(&mut world, &number.to_string(), &[b'q'; EARLY]);
    }
    assert_eq!(world.sessions.buffered_bytes(), 17 * EARLY);
    world.wait(limits::STALL_MAX - Duration::from_secs(1));
    // The largest, but it has only just come.
    introduced(&mut world, "late", &[b'q'; EARLY + 1]);
    assert!(world.sent().is_empty(), "nobody has stalled yet");
    world.wait(Duration::from_secs(1) + limits::PRESSURE_TICK * 2);
    let sent = world.sent();
    let of = |kind: Kind| sent.iter().filter(move |it| it.kind == kind);
    let closed: Vec<_> = of(Kind::ClientTCPConnectionClose).collect();
    assert!(!closed.is_empty());
    assert!(closed.iter().all(|it| it.connection != "late"));
    assert_eq!(world.sessions.counters().stalls, closed.len() as u64);
    let told: Vec<_> = of(Kind::ClientPGConnectionWrite).collect();
    assert_eq!(told.len(), closed.len());
    for (told, closed) in told.iter().zip(&closed) {
        assert_eq!(told.connection, closed.connection);
        assert!(told.payload.contains(STALLED), "{}", told.payload);
    }
    // As many as the credit needs.
    let most = budget - limits::STREAM_WINDOW_UNDER_PRESSURE as usize;
    let left = world.sessions.buffered_bytes();
    assert!(left <= most && left > most - 2 * EARLY, "{left}");
    assert_eq!(left, (17 - closed.len()) * EARLY + EARLY + 1);
}

#[test]
fn an_errand_is_over_in_time_whatever_its_server_does() {
    let mut world = opened(limits::QUEUE_BYTES_MAX);
    for (connection, is_read) in [("1", true), ("2", false)] {
        let target = introduced(&mut world, connection, b"");
        let_in(&mut world, target);
        world.deliver_to(WRITE, "s", connection, QUERY);
        world.takes(target, usize::MAX);
        world.deliver_to(Kind::AgentCloseTCPConnection, "s", connection, b"");
        let errand = world.dialled();
        world.wait(limits::ERRAND_MAX / 2);
        world.report(errand, STARTED);
        // Its server takes the request, or not, and never closes.
        if is_read {
            assert_eq!(world.takes(errand, usize::MAX).len(), 16);
        }
        world.wait(limits::ERRAND_MAX / 2);
        assert!(world.closes().contains(&errand), "an errand without an end");
    }
}
