//! `hoop connect` on SQL Server: the agent agrees on encryption with the server, logs in with the stored credentials,
//! follows where it is sent, and steps aside.

use loopback_gateway::database::{Connection, Database};
use loopback_gateway::mssql::{
    ATTENTION, ATTENTION_ANSWER, Conduct, Login7, RESULT, Server, batch, encryption, error, framed,
    prelogin, utf16,
};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::{Session, SessionRequest};

use crate::databases::{certificate, send_rows};
use crate::world::World;

const PASSWORD: &str = "s3cret";
/// The end of a login's reply.
const DONE: &[u8] = b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0";
/// The answer to a PRELOGIN.
const ANSWER_BYTES: usize = 43;

fn server(conduct: Conduct, certificate: &Certificate) -> Database {
    let certificate = certificate.clone();
    Database::start(move || {
        let server = Server::new(conduct.clone());
        Secure::new(Speaker::Mssql(server), &certificate)
    })
}

fn to(port: u16, certificate: &Certificate) -> SessionRequest {
    SessionRequest::new("mssql", "connect")
        .env("HOST", "127.0.0.1")
        .env("PORT", &port.to_string())
        .env("USER", "app")
        .env("PASS", PASSWORD)
        .env("INSECURE", "false")
        .env("SSLROOTCERT", &certificate.ca_pem)
}

/// A client's login, as drivers make it: each word waits for the one before.
fn log_in(session: &mut Session<'_>, id: &str) -> Vec<u8> {
    session.send_as("MSSQL", id, &prelogin());
    let mut all = session.receive(id, ANSWER_BYTES);
    session.send_as("MSSQL", id, &Login7::default().encoded(4088));
    all.extend(session.receive_until(id, DONE));
    for form in [PASSWORD.as_bytes().to_vec(), utf16(PASSWORD)] {
        assert!(!all.windows(form.len()).any(|window| window == form));
    }
    all
}

fn query(session: &mut Session<'_>, id: &str) {
    session.send_as("MSSQL", id, &batch("select 1"));
    assert_eq!(session.receive(id, RESULT.len()), RESULT);
}

/// The error that a client reads instead of a reply to its login.
fn refused(session: &mut Session<'_>, id: &str) -> (u32, String) {
    session.send_as("MSSQL", id, &prelogin());
    session.receive(id, 8);
    session.send_as("MSSQL", id, &Login7::default().encoded(4088));
    let rest = session.receive_to_end(id);
    let at = rest.windows(9).position(|it| it[0] == 4 && it[8] == 0xaa);
    error(&rest[at.expect("an error")..]).expect("an error")
}

fn used(connections: &[Connection]) -> Option<Connection> {
    let mut all = connections.iter();
    all.find(|one| !one.mssql.commands.is_empty()).cloned()
}

#[test]
fn every_encryption_lets_a_client_in_that_knows_no_password() {
    let world = World::start();
    let certificate = certificate();
    let strict = Conduct {
        is_strict: true,
        ..Conduct::new(encryption::ON)
    };
    for (wish, conduct, is_all) in [
        ("", Conduct::new(encryption::ON), true),
        ("mandatory", Conduct::new(encryption::OFF), true),
        ("optional", Conduct::new(encryption::OFF), false),
        ("optional", Conduct::new(encryption::REQUIRED), true),
        ("", Conduct::new(encryption::NONE), false),
        ("strict", strict.clone(), true),
        ("", strict, true),
    ] {
        let database = server(conduct.clone(), &certificate);
        let mut session = world.open(to(database.port(), &certificate).env("ENCRYPT", wish));
        session.wait_open();
        log_in(&mut session, "1");
        query(&mut session, "1");
        let connection = database.wait("the query", used);
        let heard = &connection.mssql;
        assert_eq!(
            heard.texts[1..5],
            ["app", PASSWORD, "tests", "127.0.0.1"].map(str::to_owned)
        );
        let is_covered = conduct.encryption != encryption::NONE;
        assert_eq!(heard.packets[0].1, is_covered, "{wish}");
        session.disconnect("1");
        let connection = database.wait("the end", |all| {
            all.iter()
                .find(|one| one.has_ended && one.is_secure == is_covered)
                .cloned()
        });
        assert_eq!(connection.has_heard_goodbye, is_all, "{wish}");
    }
    assert_eq!(world.agent.lines().concat().matches(PASSWORD).count(), 0);
}

#[test]
fn a_server_that_sends_its_clients_on_is_followed_once() {
    let world = World::start();
    let certificate = certificate();
    let last = server(Conduct::new(encryption::ON), &certificate);
    let routing = |port| {
        let mut conduct = Conduct::new(encryption::ON);
        conduct.route = Some(("localhost".to_owned(), port));
        server(conduct, &certificate)
    };
    let first = routing(last.port());
    let before = routing(first.port());
    let mut session = world.open(to(first.port(), &certificate).env("INSECURE", "true"));
    session.wait_open();
    let (number, text) = refused(&mut session, "1");
    assert_eq!(number, 18_456);
    assert!(text.contains("INSECURE"), "{text}");
    assert!(last.connections().is_empty());
    let mut session = world.open(to(first.port(), &certificate));
    session.wait_open();
    for id in ["1", "2"] {
        log_in(&mut session, id);
        query(&mut session, id);
    }
    let connection = last.wait("the query", used);
    assert_eq!(connection.mssql.texts[4], "localhost");
    let mut session = world.open(to(before.port(), &certificate));
    session.wait_open();
    let (number, text) = refused(&mut session, "1");
    assert_eq!(number, 18_456);
    assert!(text.contains("a second time"), "{text}");
}

#[test]
fn a_refusal_is_said_in_the_dialect_and_the_session_lives_on() {
    let world = World::start();
    let certificate = certificate();
    let mut conduct = Conduct::new(encryption::ON);
    conduct.password = "another".to_owned();
    let database = server(conduct, &certificate);
    let mut session = world.open(to(database.port(), &certificate));
    session.wait_open();
    for id in ["1", "2"] {
        let error = refused(&mut session, id);
        assert_eq!(error, (18456, "Login failed for user 'app'.".to_owned()));
    }
    world.agent.wait_text("error 18456: check USER and PASS");

    let stranger = Certificate::new(&["another.example"]);
    let database = server(Conduct::new(encryption::ON), &certificate);
    let mut session = world.open(to(database.port(), &stranger));
    session.wait_open();
    let (number, text) = refused(&mut session, "1");
    assert_eq!(number, 18_456);
    assert!(
        text.contains("set INSECURE of the connection to true"),
        "{text}"
    );

    let mut session = world.open(to(database.port(), &certificate));
    session.wait_open();
    log_in(&mut session, "1");
    let port = database.port();
    drop(database);
    // There is nobody at the port any more.
    let (number, text) = refused(&mut session, "2");
    assert_eq!(number, 17_829);
    assert!(
        text.contains(&format!("127.0.0.1:{port} can't be reached")),
        "{text}"
    );
    assert_eq!(world.agent.lines().concat().matches(PASSWORD).count(), 0);

    let request = to(port, &certificate).env("ENCRYPT", "yes");
    let close = world.open(request).wait_refusal();
    assert!(
        close.text.contains("ENCRYPT of the connection"),
        "{}",
        close.text
    );
}

#[test]
fn a_server_that_dies_at_any_step_takes_its_own_client_along_and_nobody_else() {
    let world = World::start();
    let certificate = certificate();
    let other = server(Conduct::new(encryption::ON), &certificate);
    let mut neighbour = world.open(to(other.port(), &certificate));
    neighbour.wait_open();
    log_in(&mut neighbour, "1");
    for wish in ["mandatory", "optional"] {
        for step in 0..3 {
            let mut conduct = Conduct::new(encryption::OFF);
            conduct.dies_at = Some(step);
            let database = server(conduct, &certificate);
            let request = to(database.port(), &certificate).env("ENCRYPT", wish);
            let mut session = world.open(request);
            session.wait_open();
            let (number, text) = refused(&mut session, "1");
            assert!([17_829, 18_456].contains(&number), "{wish} {step}: {text}");
        }
        let dying = server(Conduct::new(encryption::OFF), &certificate);
        let mut session = world.open(to(dying.port(), &certificate).env("ENCRYPT", wish));
        session.wait_open();
        log_in(&mut session, "1");
        dying.die();
        assert!(session.receive_to_end("1").is_empty());
        log_in(&mut session, "2");
        query(&mut session, "2");
    }
    query(&mut neighbour, "1");
}

#[test]
fn packets_of_any_size_attention_and_bulk_loads_go_through_as_they_are() {
    let world = World::start();
    let certificate = certificate();
    for (wish, packet_bytes) in [("mandatory", 32_759), ("optional", 504)] {
        let mut conduct = Conduct::new(encryption::OFF);
        conduct.packet_bytes = packet_bytes;
        let database = server(conduct, &certificate);
        let mut session = world.open(to(database.port(), &certificate).env("ENCRYPT", wish));
        session.wait_open();
        log_in(&mut session, "1");
        let rows: Vec<u8> = (0_u8..=255).cycle().take(300_000).collect();
        let load = framed(7, &rows, packet_bytes);
        for packet in load.chunks(packet_bytes + 8) {
            session.send_as("MSSQL", "1", packet);
        }
        assert_eq!(session.receive("1", RESULT.len()), RESULT);
        session.send_as("MSSQL", "1", ATTENTION);
        let answer = session.receive("1", ATTENTION_ANSWER.len());
        assert_eq!(answer, ATTENTION_ANSWER);
        let connection = database.wait("all of it", |all| {
            let mut all = all.iter();
            all.find(|one| one.mssql.commands.ends_with(ATTENTION))
                .cloned()
        });
        assert!(connection.mssql.commands == [&load[..], ATTENTION].concat());
        send_rows(&database, &mut session, &framed(4, &rows, packet_bytes));
    }
}

#[test]
fn while_the_agent_stops_a_new_client_is_told_so_when_it_listens() {
    let world = World::start();
    let certificate = certificate();
    let database = server(Conduct::new(encryption::ON), &certificate);
    let mut session = world.open(to(database.port(), &certificate));
    session.wait_open();
    log_in(&mut session, "1");
    world.agent.signal(libc::SIGTERM);
    world.agent.wait_text("may finish");
    let (number, text) = refused(&mut session, "2");
    assert_eq!(number, 6005);
    assert!(text.contains("shutting down"), "{text}");
    query(&mut session, "1");
}

#[test]
fn an_unchecked_certificate_is_warned_of_and_raw_connections_go_on_beside() {
    let world = World::start();
    let certificate = certificate();
    let database = server(Conduct::new(encryption::ON), &certificate);
    let request = SessionRequest::new("mssql", "connect")
        .env("HOST", "127.0.0.1")
        .env("PORT", &database.port().to_string())
        .env("USER", "app")
        .env("PASS", PASSWORD)
        .env("INSECURE", "true");
    let mut session = world.open(request);
    session.wait_open();
    session.connect("1");
    session.send_to("1", &prelogin());
    session.receive("1", ANSWER_BYTES);
    log_in(&mut session, "2");
    query(&mut session, "2");
    world
        .agent
        .wait_text("nobody has checked: set SSLROOTCERT of the connection, and INSECURE");
}
