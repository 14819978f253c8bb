//! `hoop connect` on databases: the agent logs in with the stored credentials, and steps aside.

use loopback_gateway::database::{Connection, Database};
use loopback_gateway::mysql;
use loopback_gateway::postgres::{
    Conduct, Method, RESULT, Server, TlsAnswer, messages, opening, startup,
};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{Session, SessionRequest};

use crate::world::World;

const PASSWORD: &str = "s3cret";
const QUERY: &[u8] = b"Q\0\0\0\x0dselect 1\0";
const READY: &[u8] = b"Z\0\0\0\x05I";
const VERSION: u32 = 3 << 16;
const SSL_REQUEST: u32 = 80_877_103;
const CANCEL_REQUEST: u32 = 80_877_102;

/// For every database's server.
pub fn certificate() -> Certificate {
    Certificate::new(&["localhost", "127.0.0.1"])
}

fn postgres(conduct: Conduct, certificate: &Certificate) -> Database {
    let certificate = certificate.clone();
    Database::start(move || {
        let server = Server::new(conduct.clone());
        Secure::new(Speaker::Postgres(server), &certificate)
    })
}

fn to(kind: &str, port: u16, mode: &str) -> SessionRequest {
    SessionRequest::new(kind, "connect")
        .env("HOST", "127.0.0.1")
        .env("PORT", &port.to_string())
        .env("USER", "app")
        .env("PASS", PASSWORD)
        .env("SSLMODE", mode)
}

fn client_startup() -> Vec<u8> {
    startup(VERSION, &[("user", "noop"), ("database", "sales")])
}

/// Logs a client in and has one query answered; what the client has got.
fn query(session: &mut Session<'_>, id: &str) -> Vec<u8> {
    session.send_as("PG", id, &client_startup());
    let mut all = session.receive_until(id, READY);
    session.send_as("PG", id, QUERY);
    let result = session.receive_until(id, READY);
    assert_eq!(result, RESULT);
    all.extend(result);
    assert!(!all.windows(6).any(|window| window == PASSWORD.as_bytes()));
    all
}

/// Has the server send these bytes, which the client of connection 1 gets as they are, in few packets.
pub fn send_rows(database: &Database, session: &mut Session<'_>, rows: &[u8]) {
    let before = session.packet_count("1");
    database.say(rows);
    assert!(
        session.receive("1", rows.len()) == rows,
        "the content differs"
    );
    let packets = session.packet_count("1") - before;
    assert!(packets <= rows.len() / (4 << 10), "{packets} packets");
}

fn ended(connections: &[Connection]) -> Option<Connection> {
    connections.iter().find(|one| one.has_ended).cloned()
}

#[test]
fn every_method_and_mode_lets_a_client_in_that_knows_no_password() {
    let world = World::start();
    let certificate = certificate();
    for method in [Method::Trust, Method::Cleartext, Method::Scram(4096)] {
        for (mode, answer) in [
            ("disable", TlsAnswer::No),
            ("prefer", TlsAnswer::No),
            ("require", TlsAnswer::Yes),
            ("verify-full", TlsAnswer::Yes),
        ] {
            let database = postgres(Conduct::new(method).with_tls(answer), &certificate);
            let request = to("postgres", database.port(), mode);
            let mut session = world.open(request.env("SSLROOTCERT", &certificate.ca_pem));
            session.wait_open();
            query(&mut session, "1");
            session.disconnect("1");
            let connection = database.wait("the end", ended);
            assert_eq!(connection.is_secure, answer == TlsAnswer::Yes);
            assert_eq!(connection.has_heard_goodbye, connection.is_secure);
            let (_, parameters) = connection.postgres.startup.unwrap();
            assert_eq!(parameters[0], ("user".to_owned(), "app".to_owned()));
        }
    }
}

#[test]
fn authorities_may_be_a_secret_file_of_the_connection() {
    let world = World::start();
    let certificate = certificate();
    let conduct = Conduct::new(Method::Trust).with_tls(TlsAnswer::Yes);
    let database = postgres(conduct, &certificate);
    let request = || to("postgres", database.port(), "verify-full");
    let pem = certificate.ca_pem.as_bytes();
    let mut session = world.open(request().file("SSLROOTCERT", pem));
    session.wait_open();
    query(&mut session, "1");
    let wrong = Certificate::new(&["localhost", "127.0.0.1"]).ca_pem;
    let mut session = world.open(request().file("SSLROOTCERT", wrong.as_bytes()));
    session.wait_open();
    session.send_as("PG", "1", &client_startup());
    let answer = session.receive_to_end("1");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("SSLROOTCERT of the connection"), "{text}");
}

#[test]
fn a_password_over_tls_that_nobody_has_checked_is_warned_of_once_a_session() {
    let world = World::start();
    let conduct = Conduct::new(Method::Cleartext).with_tls(TlsAnswer::Yes);
    let database = postgres(conduct, &certificate());
    let warnings = || {
        let lines = world.agent.lines();
        let warned = lines
            .iter()
            .filter(|line| line.contains("nobody has checked"));
        warned.count()
    };
    for sessions in 1..=2 {
        let mut session = world.open(to("postgres", database.port(), "require"));
        session.wait_open();
        for id in ["1", "2", "3"] {
            query(&mut session, id);
        }
        // What is logged behind all of them is there, too.
        session.kill();
        world.agent.wait_line("the session's end", |line| {
            line.contains(session.sid()) && line.contains("closed by the gateway")
        });
        assert_eq!(warnings(), sessions);
    }
}

#[test]
fn a_client_that_asks_for_encryption_and_says_all_at_once_is_served() {
    let world = World::start();
    let database = postgres(Conduct::new(Method::Scram(4096)), &certificate());
    let mut session = world.open(to("postgres", database.port(), "prefer"));
    session.wait_open();
    let all = [opening(SSL_REQUEST, b""), client_startup(), QUERY.to_vec()].concat();
    session.send_as("PG", "1", &all);
    let got = session.receive_until("1", RESULT);
    assert_eq!(got[0], b'N');
    let kinds: Vec<u8> = messages(&got[1..]).iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, b"RSNKNZDCZ");
}

#[test]
fn a_refusal_is_said_in_the_dialect_and_the_session_lives_on() {
    let world = World::start();
    let certificate = certificate();
    let refused = |session: &mut Session<'_>, id: &str| {
        session.send_as("PG", id, &client_startup());
        let (kind, body) = messages(&session.receive_to_end(id))
            .pop()
            .expect("an error");
        assert_eq!(kind, b'E');
        String::from_utf8(body).unwrap()
    };
    let mut conduct = Conduct::new(Method::Scram(4096));
    conduct.password = "another".to_owned();
    let database = postgres(conduct, &certificate);
    let mut session = world.open(to("postgres", database.port(), "disable"));
    session.wait_open();
    for id in ["1", "2"] {
        assert!(refused(&mut session, id).contains("C28P01\0Mpassword authentication failed"));
    }
    world.agent.wait_text("SQLSTATE 28P01: check USER and PASS");

    let database = postgres(
        Conduct::new(Method::Trust).with_tls(TlsAnswer::Yes),
        &certificate,
    );
    let mut session = world.open(to("postgres", database.port(), "verify-full"));
    session.wait_open();
    let text = refused(&mut session, "1");
    assert!(
        text.contains("C08006") && text.contains("not signed by an authority"),
        "{text}"
    );

    let port = database.port();
    let mut session = world.open(to("postgres", port, "disable"));
    session.wait_open();
    drop(database);
    // The probe's connection is over, and there is nobody at the port any more.
    let text = refused(&mut session, "1");
    assert!(text.contains("C08006"), "{text}");
    assert_eq!(world.agent.lines().concat().matches(PASSWORD).count(), 0);
}

#[test]
fn a_variable_that_makes_no_sense_refuses_the_session() {
    let world = World::start();
    let database = postgres(Conduct::new(Method::Trust), &certificate());
    let close = world
        .open(to("postgres", database.port(), "verify-ca"))
        .wait_refusal();
    assert_eq!(
        (close.code, &close.text[..]),
        (
            Some(254),
            "wrong option (\"verify-ca\") for SSLMODE, accept only: [disable prefer require verify-full]; \
             verify-full checks that authority, and the name"
        )
    );
    let request = SessionRequest::new("postgres", "connect").env("HOST", "127.0.0.1");
    let close = world.open(request).wait_refusal();
    assert_eq!(
        close.text,
        "missing required secrets for postgres connection [HOST, USER, PASS]: not set, or empty: USER PASS"
    );
}

#[test]
fn a_cancel_request_reaches_the_server_of_its_query_over_tls_where_that_is() {
    let world = World::start();
    for (mode, answer) in [("disable", TlsAnswer::No), ("require", TlsAnswer::Yes)] {
        let conduct = Conduct::new(Method::Scram(4096)).with_tls(answer);
        let database = postgres(conduct, &certificate());
        let mut session = world.open(to("postgres", database.port(), mode));
        session.wait_open();
        query(&mut session, "1");
        let body = [&4711_u32.to_be_bytes()[..], b"KKKK"].concat();
        session.send_as("PG", "2", &opening(CANCEL_REQUEST, &body));
        let cancel = database.wait("a cancel request", |all| {
            all.iter()
                .find(|one| one.postgres.cancel.is_some())
                .cloned()
        });
        assert_eq!(cancel.postgres.cancel, Some((4711, b"KKKK".to_vec())));
        assert_eq!(cancel.is_secure, mode == "require");
        // The client has pointed this id at the query's connection: not a word about it.
        session.send_as("PG", "1", QUERY);
        assert_eq!(session.receive_until("1", READY), RESULT);
        assert!(!session.is_closed("2") && !session.is_closed("1"));
    }
}

#[test]
fn a_query_whose_client_vanishes_is_cancelled_once() {
    let world = World::start();
    let mut conduct = Conduct::new(Method::Scram(4096)).with_tls(TlsAnswer::Yes);
    conduct.is_silent = true;
    let database = postgres(conduct, &certificate());
    let mut session = world.open(to("postgres", database.port(), "require"));
    session.wait_open();
    session.send_as("PG", "1", &client_startup());
    session.receive_until("1", READY);
    session.send_as("PG", "1", QUERY);
    database.wait("the query", |all| {
        all.iter()
            .find(|one| one.postgres.queries == QUERY)
            .cloned()
    });
    session.kill();
    database.wait("a cancel request", |all| {
        all.iter()
            .find(|one| one.postgres.cancel.is_some())
            .cloned()
    });
}

#[test]
fn a_server_that_dies_takes_its_own_client_along_and_nobody_else() {
    let world = World::start();
    let certificate = certificate();
    for (mode, answer) in [("disable", TlsAnswer::No), ("require", TlsAnswer::Yes)] {
        let conduct = Conduct::new(Method::Scram(4096)).with_tls(answer);
        let (dying, other) = (
            postgres(conduct.clone(), &certificate),
            postgres(conduct, &certificate),
        );
        let mut session = world.open(to("postgres", dying.port(), mode));
        let mut neighbour = world.open(to("postgres", other.port(), mode));
        for session in [&mut session, &mut neighbour] {
            session.wait_open();
            query(session, "1");
        }
        dying.die();
        assert!(session.receive_to_end("1").is_empty());
        query(&mut session, "2");
        neighbour.send_as("PG", "1", QUERY);
        assert_eq!(neighbour.receive_until("1", READY), RESULT);
    }
}

#[test]
fn rows_of_one_read_are_few_packets_and_none_looks_like_a_key() {
    let world = World::start();
    let certificate = certificate();
    for (mode, answer) in [("disable", TlsAnswer::No), ("require", TlsAnswer::Yes)] {
        let database = postgres(Conduct::new(Method::Trust).with_tls(answer), &certificate);
        let mut session = world.open(to("postgres", database.port(), mode));
        session.wait_open();
        query(&mut session, "1");
        let rows: Vec<u8> = (0_u8..=255).cycle().take(1 << 20).collect();
        send_rows(&database, &mut session, &rows);
    }
}

#[test]
fn a_login_is_made_while_the_gateway_takes_nothing() {
    let world = World::start();
    let database = postgres(Conduct::new(Method::Scram(4096)), &certificate());
    let source = Target::start(Manner::Source {
        seed: 1,
        count: 200_000_000,
    });
    let mut bulk = world.open(SessionRequest::tcp("127.0.0.1", source.port()));
    bulk.wait_open();
    bulk.limit_inbox(1);
    bulk.connect("1");
    bulk.receive("1", 1);
    // From here on nobody reads the agent's stream.
    let session = world.open(to("postgres", database.port(), "disable"));
    world.agent.wait_text("\"type\":\"postgres\"");
    session.send_as("PG", "1", &[&client_startup()[..], QUERY].concat());
    database.wait("the query", |all| {
        all.iter()
            .find(|one| one.postgres.queries == QUERY)
            .map(|_| ())
    });
}

#[test]
fn while_the_agent_stops_a_new_client_is_told_so_and_the_others_go_on() {
    let world = World::start();
    let database = postgres(Conduct::new(Method::Trust), &certificate());
    let mut session = world.open(to("postgres", database.port(), "disable"));
    session.wait_open();
    query(&mut session, "1");
    world.agent.signal(libc::SIGTERM);
    world.agent.wait_text("may finish");
    // As libpq does it: an error in answer to its question for encryption would not be shown.
    session.send_as("PG", "2", &opening(SSL_REQUEST, b""));
    assert_eq!(session.receive("2", 1), b"N");
    session.send_as("PG", "2", &client_startup());
    let (_, body) = messages(&session.receive_to_end("2")).pop().unwrap();
    assert!(String::from_utf8(body).unwrap().contains("C57P01"));
    session.send_as("PG", "1", QUERY);
    assert_eq!(session.receive_until("1", READY), RESULT);
}

#[test]
fn the_tunnels_raw_connections_go_on_beside_native_ones() {
    let world = World::start();
    let database = postgres(Conduct::new(Method::Trust), &certificate());
    let mut session = world.open(to("postgres", database.port(), "disable"));
    session.wait_open();
    session.connect("1");
    session.send_to("1", &startup(VERSION, &[("user", "app")]));
    assert!(session.receive_until("1", READY).starts_with(b"R"));
    query(&mut session, "2");
}

#[test]
fn mysql_is_served_the_same_way() {
    let world = World::start();
    let certificate = certificate();
    for (mode, has_tls) in [("disable", false), ("prefer", true), ("require", true)] {
        let certificate = certificate.clone();
        let database = Database::start(move || {
            let mut conduct = mysql::Conduct::new("caching_sha2_password");
            conduct.has_tls = has_tls;
            let (server, greeting) = mysql::Server::accept(conduct);
            let mut secure = Secure::new(Speaker::Mysql(server), &certificate);
            secure.greeting = greeting;
            secure
        });
        let mut session = world.open(to("mysql", database.port(), mode));
        session.wait_open();
        session.send_as("MySQL", "1", b"");
        session.receive_until("1", b"caching_sha2_password\0");
        let capabilities = 1 << 3 | 1 << 9 | 1 << 15 | 1 << 19 | 1 << 24;
        session.send_as(
            "MySQL",
            "1",
            &mysql::response(capabilities, 45, "sales", b""),
        );
        assert_eq!(session.receive("1", 5)[3..], [2, 0]);
        session.send_as("MySQL", "1", b"\x09\0\0\0\x03select 1");
        let connection = database.wait("the query", |all| {
            all.iter()
                .find(|one| !one.mysql.commands.is_empty())
                .cloned()
        });
        assert_eq!(
            (&connection.mysql.user[..], connection.is_secure),
            (&b"app"[..], has_tls)
        );
        assert_eq!(world.agent.lines().concat().matches(PASSWORD).count(), 0);
    }
}
