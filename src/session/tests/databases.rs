//! Connections to a database: what waits in front of their servers, and what is done for nobody.

use loopback_gateway::postgres::{put, startup};

use super::*;
use crate::session::means::Means;

const WRITE: Kind = Kind::AgentPGConnectionWrite;
const QUERY: &[u8] = b"Q\0\0\0\x0dselect 1\0";

/// An open session of a PostgreSQL server that has no TLS.
fn opened(budget: usize) -> World {
    opened_in(World::with_budget(budget))
}

fn opened_in(mut world: World) -> World {
    world.open_postgres("s", "");
    world
}

impl World {
    /// The same, for this user; its probe was answered, and is gone.
    pub(super) fn open_postgres(&mut self, id: &str, user: &str) {
        self.sessions.means = Means::new(Box::new(Nonces));
        let variables = [
            ("HOST", "db.internal"),
            ("USER", "app"),
            ("PASS", "s3cret"),
            ("SSLMODE", "disable"),
        ];
        let mut params = params("postgres", &variables, &[]);
        params.client_verb = "connect".to_owned();
        params.user_id = user.to_owned();
        self.open(id, params);
        let probe = self.connected();
        let told = self.sent();
        assert_eq!(told.last().unwrap().kind, Kind::ClientSessionOpenOK);
        self.ends(probe, Channel::Output);
        assert_eq!(self.closed(), (probe, false));
    }
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

/// Room for so many relays.
fn narrow(relay_count_max: usize) -> World {
    World::with(SessionLimits {
        relay_count_max,
        ..SessionLimits::default()
    })
}

/// What was sent to a connection: its bytes, and whether it was told of its end.
fn heard(world: &mut World, connection: &str) -> (String, bool) {
    let sent = world.sent();
    let of = sent.iter().filter(|it| it.connection == connection);
    let bytes = of.clone().map(|it| it.payload.as_str()).collect();
    let mut kinds = of.map(|it| it.kind);
    (bytes, kinds.any(|it| it == Kind::ClientTCPConnectionClose))
}

#[test]
fn a_client_for_whom_there_is_no_room_is_told_in_its_own_words() {
    let mut world = opened_in(narrow(1));
    introduced(&mut world, "1", b"");
    // It listens only after its questions for encryption.
    let question = [8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat();
    world.deliver_to(WRITE, "s", "2", &question);
    assert_eq!(heard(&mut world, "2"), ("N".to_owned(), false));
    world.deliver_to(WRITE, "s", "2", &client_startup());
    let (bytes, is_closed) = heard(&mut world, "2");
    assert!(is_closed && bytes.starts_with('E') && bytes.contains("53300"));
    assert!(bytes.contains("no room for another connection"), "{bytes}");
    assert!(world.sessions.poll_output().is_none(), "nothing is dialled");

    // Room that was found meanwhile is room.
    world.deliver_to(WRITE, "s", "3", &question);
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "1", b"");
    let first = world.closes();
    assert_eq!(first.len(), 0, "it says goodbye first");
    world.wait(limits::LINGER_MAX + limits::LINGER_LOOK);
    assert_eq!(world.closes().len(), 1);
    world.deliver_to(WRITE, "s", "3", &client_startup());
    world.dialled();
}

#[test]
fn a_mysql_client_without_room_is_told_before_any_greeting() {
    let mut world = narrow(1);
    world.sessions = world.sessions.with_sources(Box::new(Nonces));
    let variables = [("HOST", "db.internal"), ("USER", "app"), ("PASS", "s3cret")];
    let mut params = params("mysql", &variables, &[]);
    params.client_verb = "connect".into();
    world.open("s", params);
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
    let write = Kind::AgentMySQLConnectionWrite;
    world.deliver_to(write, "s", "1", b"");
    world.connected();
    world.deliver_to(write, "s", "2", b"");
    let (bytes, is_closed) = heard(&mut world, "2");
    assert!(is_closed && bytes.contains("no room for another connection"));
    assert_eq!(bytes.as_bytes()[3], 0, "in place of the greeting");
}

#[test]
fn clients_without_room_are_as_many_as_there_is_room_for() {
    let mut world = opened_in(narrow(1));
    introduced(&mut world, "busy", b"");
    let most = limits::WAITING_COUNT_MAX * 3 / 4;
    for number in 0..=most {
        world.deliver_to(WRITE, "s", &number.to_string(), b"\0");
    }
    let sent = world.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].connection, most.to_string());
    assert_eq!(sent[0].kind, Kind::ClientTCPConnectionClose);
    // Their time is a client's, and their places come back.
    world.wait(limits::LOGIN_CLIENT_TIMEOUT);
    world.sent();
    world.deliver_to(WRITE, "s", "again", b"\0");
    assert!(world.sent().is_empty());
}

#[test]
fn who_said_goodbye_and_waits_for_the_servers_end_hears_of_it_where_that_ends_nobody_else() {
    let mut world = opened(limits::QUEUE_BYTES_MAX);
    for (connection, is_told) in [("1", true), ("7-ch2", false)] {
        let target = introduced(&mut world, connection, b"");
        let_in(&mut world, target);
        world.deliver_to(WRITE, "s", connection, b"X\0\0\0\x04");
        world.takes(target, usize::MAX);
        world.ends(target, Channel::Output);
        assert_eq!(heard(&mut world, connection), (String::new(), is_told));
        world.closes();
    }
}

/// A client's request that this number and secret be cancelled.
fn cancel(secret: &[u8]) -> Vec<u8> {
    let body = [&4711_u32.to_be_bytes(), secret].concat();
    loopback_gateway::postgres::opening(80_877_102, &body)
}

#[test]
fn a_query_can_be_cancelled_when_there_is_no_room_for_more_of_them() {
    let mut world = opened_in(narrow(1));
    let target = introduced(&mut world, "1", b"");
    let_in(&mut world, target);
    world.deliver_to(WRITE, "s", "1", QUERY);
    world.deliver_to(WRITE, "s", "2", &cancel(b"KKKK"));
    let errand = world.dialled();
    assert!(
        world.sent().is_empty(),
        "a word would end the query's client"
    );
    world.report(errand, STARTED);
    assert_eq!(world.takes(errand, usize::MAX), cancel(b"KKKK"));
}

#[test]
fn cancelling_again_and_again_is_one_errand_at_a_time_and_a_wrong_secret_none() {
    let mut world = opened(limits::QUEUE_BYTES_MAX);
    let target = introduced(&mut world, "1", b"");
    let_in(&mut world, target);
    world.deliver_to(WRITE, "s", "1", QUERY);
    let mut number = 1;
    let mut ask = |world: &mut World, secret: &[u8]| {
        number += 1;
        world.deliver_to(WRITE, "s", &number.to_string(), &cancel(secret));
        assert!(
            world.sent().is_empty(),
            "a word would end the query's client"
        );
    };
    ask(&mut world, b"JJJJ");
    assert!(world.sessions.poll_output().is_none());
    ask(&mut world, b"KKKK");
    let errand = world.dialled();
    for _ in 0..1000 {
        ask(&mut world, b"KKKK");
    }
    assert!(world.sessions.poll_output().is_none());
    // Whoever was not stopped by the first hears the second.
    world.report(errand, STARTED);
    world.ends(errand, Channel::Output);
    assert_eq!(world.closed().0, errand);
    ask(&mut world, b"KKKK");
    world.dialled();
    // A number that is nobody's is told so.
    let mut stranger = cancel(b"KKKK");
    stranger[11] ^= 1;
    world.deliver_to(WRITE, "s", "stranger", &stranger);
    assert_eq!(world.one().kind, Kind::ClientTCPConnectionClose);
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
