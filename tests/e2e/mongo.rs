//! `hoop connect` on MongoDB: drivers with their monitors and pools, and servers of all kinds.

use loopback_gateway::database::{Connection, Database};
use loopback_gateway::mongo::{Conduct, Document, Driver, Form, Hash, Role, Server};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::{Session, SessionRequest};

use crate::databases::certificate;
use crate::world::World;

const PASSWORD: &str = "s3cret";

fn start(conduct: Conduct, certificate: &Certificate) -> Database {
    let certificate = certificate.clone();
    Database::start(move || {
        let server = Server::new(conduct.clone());
        Secure::new(Speaker::Mongo(server), &certificate)
    })
}

fn primary() -> Conduct {
    Conduct::new(Role::Primary)
}

fn with_tls() -> Conduct {
    let mut conduct = primary();
    conduct.has_tls = true;
    conduct
}

fn to(hosts: &str, options: &str) -> SessionRequest {
    let string = format!("mongodb://app:{PASSWORD}@{hosts}/?{options}");
    SessionRequest::new("mongodb", "connect").env("CONNECTION_STRING", &string)
}

fn at(database: &Database, options: &str) -> SessionRequest {
    to(&format!("127.0.0.1:{}", database.port()), options)
}

/// Says all that a driver has to say until it is in, or has failed; what it got.
fn log_in(session: &mut Session<'_>, id: &str, driver: &mut Driver) -> Vec<u8> {
    let mut words = driver.open();
    let mut got = Vec::new();
    while !driver.is_in() && driver.error.is_none() {
        session.send_as("MongoDB", id, &words);
        words = answer(session, id, driver, &mut got);
    }
    assert!(!got.windows(6).any(|window| window == PASSWORD.as_bytes()));
    got
}

/// What a driver says to the next whole message.
fn answer(session: &mut Session<'_>, id: &str, driver: &mut Driver, got: &mut Vec<u8>) -> Vec<u8> {
    let head = session.receive(id, 4);
    let len = u32::from_le_bytes(head[..].try_into().unwrap()) as usize;
    let message = [head, session.receive(id, len - 4)].concat();
    got.extend_from_slice(&message);
    driver.receive(&message)
}

fn ask(session: &mut Session<'_>, id: &str, driver: &mut Driver, text: &str) -> Document {
    let message = driver.command("echo", text);
    session.send_as("MongoDB", id, &message);
    let before = driver.answers.len();
    let words = answer(session, id, driver, &mut Vec::new());
    assert!(words.is_empty() && driver.answers.len() == before + 1);
    driver.answers[before].clone()
}

fn driver() -> Driver {
    let mut driver = Driver::new(Hash::Sha256, Form::Query);
    driver.is_speculative = true;
    driver
}

fn ended(connections: &[Connection]) -> Option<Connection> {
    connections.iter().find(|one| one.has_ended).cloned()
}

#[test]
fn a_driver_that_knows_no_password_is_in_by_either_mechanism_plain_and_over_tls() {
    let world = World::start();
    let certificate = certificate();
    for (mechanism, has_tls) in [
        (Hash::Sha1, false),
        (Hash::Sha256, false),
        (Hash::Sha256, true),
    ] {
        let mut conduct = primary();
        conduct.mechanisms = vec![mechanism];
        conduct.has_tls = has_tls;
        let database = start(conduct, &certificate);
        let options = if has_tls { "tls=true" } else { "" };
        let request = at(&database, options).env("SSLROOTCERT", &certificate.ca_pem);
        let mut session = world.open(request);
        session.wait_open();
        let mut driver = driver();
        log_in(&mut session, "1", &mut driver);
        assert!(driver.is_in(), "{:?}", driver.error);
        let answer = ask(&mut session, "1", &mut driver, "hello there");
        assert_eq!(answer.text("echo"), "hello there");
        session.disconnect("1");
        let connection = database.wait("the end", ended);
        assert_eq!(connection.is_secure, has_tls);
        assert_eq!(
            connection.mongo.mechanism.as_deref(),
            Some(mechanism.mechanism())
        );
        assert_eq!(connection.mongo.commands.len(), 1);
    }
}

#[test]
fn monitors_poll_beside_a_pool_and_a_server_that_dies_ends_them_all() {
    let world = World::start();
    let database = start(primary(), &certificate());
    let mut session = world.open(at(&database, ""));
    session.wait_open();
    let mut monitor = Driver::new(Hash::Sha256, Form::Message);
    monitor.is_monitor = true;
    let hello = monitor.open();
    session.send_as("MongoDB", "1", &hello);
    answer(&mut session, "1", &mut monitor, &mut Vec::new());
    let mut pool: Vec<Driver> = (0..5).map(|_| driver()).collect();
    for (number, driver) in pool.iter_mut().enumerate() {
        let id = (number + 2).to_string();
        log_in(&mut session, &id, driver);
        ask(&mut session, &id, driver, "x");
        let hello = monitor.heartbeat();
        session.send_as("MongoDB", "1", &hello);
        answer(&mut session, "1", &mut monitor, &mut Vec::new());
    }
    assert_eq!(monitor.answers.len(), 5);
    database.die();
    for id in 1..=6 {
        session.receive_to_end(&id.to_string());
    }
    let mut again = driver();
    log_in(&mut session, "7", &mut again);
    assert!(again.is_in());
}

#[test]
fn a_refusal_is_said_in_the_dialect_and_the_session_lives_on() {
    let world = World::start();
    let certificate = certificate();
    let mut conduct = primary();
    conduct.password = "another".to_owned();
    let database = start(conduct, &certificate);
    let mut session = world.open(at(&database, ""));
    session.wait_open();
    for id in ["1", "2"] {
        let mut driver = driver();
        log_in(&mut session, id, &mut driver);
        let (code, text) = driver.error.unwrap();
        assert!(
            code == 18 && text.contains("check user and password"),
            "{text}"
        );
        session.receive_to_end(id);
    }
    world
        .agent
        .wait_text("the mongodb server refused the login, code 18");

    let database = start(with_tls(), &certificate);
    let mut session = world.open(at(&database, "tls=true"));
    session.wait_open();
    let mut stranger = driver();
    log_in(&mut session, "1", &mut stranger);
    let (code, text) = stranger.error.unwrap();
    assert!(
        code == 6 && text.contains("not signed by an authority"),
        "{text}"
    );

    let mut session = world.open(at(&database, "tls=true&tlsInsecure=true"));
    session.wait_open();
    log_in(&mut session, "1", &mut driver());
    drop(database);
    // The connection's end comes first.
    session.receive_to_end("1");
    let mut late = driver();
    log_in(&mut session, "2", &mut late);
    let (code, text) = late.error.unwrap();
    assert!(code == 6 && text.contains("can't be reached"), "{text}");
    assert_eq!(world.agent.lines().concat().matches(PASSWORD).count(), 0);
}

#[test]
fn the_primary_of_a_set_is_found_past_members_that_are_down_or_secondary() {
    let world = World::start();
    let certificate = certificate();
    let main = start(primary(), &certificate);
    let address = format!("127.0.0.1:{}", main.port());
    let second = start(Conduct::new(Role::Secondary(Some(address))), &certificate);
    let gone = start(primary(), &certificate).port();
    let (second_port, main_port) = (second.port(), main.port());
    let hosts =
        format!("127.0.0.1:{gone},localhost:{second_port},127.0.0.1:{gone},127.0.0.1:{main_port}");
    let mut session = world.open(to(&hosts, "replicaSet=rs0"));
    session.wait_open();
    for id in ["1", "2"] {
        let mut driver = driver();
        log_in(&mut session, id, &mut driver);
        assert!(driver.is_in() && !driver.hello.has("hosts") && !driver.hello.has("setName"));
    }
    assert_eq!(main.connections().len(), 2);
    assert_eq!(
        second.connections().len(),
        1,
        "the second goes to the primary at once"
    );
}

#[test]
fn a_server_in_plain_text_leads_to_no_host_that_the_string_lacks() {
    let world = World::start();
    let certificate = certificate();
    let other = start(primary(), &certificate);
    let address = format!("127.0.0.1:{}", other.port());
    let first = start(Conduct::new(Role::Secondary(Some(address))), &certificate);
    let hosts = format!("127.0.0.1:{}", first.port());
    let mut session = world.open(to(&hosts, "replicaSet=rs0"));
    session.wait_open();
    let mut driver = driver();
    log_in(&mut session, "1", &mut driver);
    let (code, text) = driver.error.unwrap();
    assert!(code == 6 && text.contains("list every member"), "{text}");
    assert!(other.connections().is_empty());
}

#[test]
fn a_certificate_logs_in_where_the_string_says_so() {
    let world = World::start();
    let certificate = Certificate::that_asks_for_one(&["localhost", "127.0.0.1"]);
    let database = start(with_tls(), &certificate);
    let file = std::env::temp_dir().join(format!("hoop-lite-x509-{}.pem", std::process::id()));
    std::fs::write(&file, &certificate.client_pem).unwrap();
    let path = file.to_str().unwrap();
    let string = format!(
        "mongodb://127.0.0.1:{}/?tls=true&authMechanism=MONGODB-X509&tlsCertificateKeyFile={path}",
        database.port()
    );
    let request = |string: &str| {
        let request = SessionRequest::new("mongodb", "connect").env("CONNECTION_STRING", string);
        request.env("SSLROOTCERT", &certificate.ca_pem)
    };
    let mut session = world.open(request(&string));
    session.wait_open();
    let mut driver = driver();
    log_in(&mut session, "1", &mut driver);
    assert!(driver.is_in(), "{:?}", driver.error);
    let heard = database.connections()[0].mongo.clone();
    assert_eq!(heard.mechanism.as_deref(), Some("MONGODB-X509"));
    assert!(heard.has_certificate);
    std::fs::remove_file(&file).unwrap();
    let mut session = world.open(request(&string));
    session.wait_open();
    let mut late = self::driver();
    log_in(&mut session, "1", &mut late);
    let (_, text) = late.error.unwrap();
    assert!(
        text.contains("can't read the file") && text.contains(path),
        "{text}"
    );
}

#[test]
fn a_string_that_makes_no_sense_refuses_the_session_without_a_word_of_it() {
    let world = World::start();
    for (string, want) in [
        ("mongodb://app:s3cret@h/?tls=maybe", "true or false"),
        ("mongodb://app:s3/cret@h", "hosts can't be read"),
        (
            "mongodb://app:s3cret@h/?authMechanism=GSSAPI",
            "authMechanism is not served",
        ),
    ] {
        let request = SessionRequest::new("mongodb", "connect").env("CONNECTION_STRING", string);
        let close = world.open(request).wait_refusal();
        assert_eq!(close.code, Some(254));
        let text = close.text;
        assert!(
            text.starts_with("failed parsing mongodb connection string: "),
            "{text}"
        );
        assert!(text.contains(want) && !text.contains("cret"), "{text}");
    }
    let close = world
        .open(SessionRequest::new("mongodb", "connect"))
        .wait_refusal();
    assert!(
        close.text.contains("missing required secrets for mongodb"),
        "{}",
        close.text
    );
}

#[test]
fn variables_that_have_the_parts_of_a_string_do() {
    let world = World::start();
    let database = start(primary(), &certificate());
    let request = SessionRequest::new("mongodb", "connect")
        .env("HOST", "127.0.0.1")
        .env("PORT", &database.port().to_string())
        .env("USER", "app")
        .env("PASS", PASSWORD)
        .env("OPTIONS", "authSource=users&tls=false");
    let mut session = world.open(request);
    session.wait_open();
    let mut driver = driver();
    log_in(&mut session, "1", &mut driver);
    assert!(driver.is_in());
    assert_eq!(database.connections()[0].mongo.source, "users");
}

#[test]
fn a_servers_full_batch_comes_whole_and_is_no_larger_than_it_told() {
    let world = World::start();
    let database = start(primary(), &certificate());
    let mut session = world.open(at(&database, ""));
    session.wait_open();
    let mut driver = driver();
    log_in(&mut session, "1", &mut driver);
    // What servers have around 16 MiB of documents.
    let size = (16 << 20) + 300;
    let message = driver.command("big", size);
    session.send_as("MongoDB", "1", &message);
    answer(&mut session, "1", &mut driver, &mut Vec::new());
    assert_eq!(driver.answers[0].binary("data").len(), (16 << 20) + 300);
}
