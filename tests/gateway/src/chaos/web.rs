//! Web services that die in mid-answer, users who come in hundreds and leave as they like, and one who stops reading.

use std::time::Duration;

use loopback_gateway::web::{WebService, pattern};
use loopback_gateway::{Session, SessionRequest};

use super::Plan;
use super::report::Row;
use super::subject::{NAME, Subject, connection_name, wait_until};

const CLIENT: &str = "http://127.0.0.1:8081";
const LISTENER: &str = "https://hoop.example:18888";
/// `hoop connect`, and the gateway's listener.
const PRODUCERS: [&str; 2] = [CLIENT, LISTENER];

/// Answers under way when the service dies.
const UNDER_WAY: usize = 20;
/// Users at the same time.
const AT_ONCE: usize = 250;
/// What a service offers to a user who does not read.
const UNREAD_BYTES: usize = 40_000_000;

fn open<'a>(subject: &'a Subject, service: &WebService) -> Session<'a> {
    let request = SessionRequest::new("httpproxy", "connect")
        .env("REMOTE_URL", &service.url())
        .env("HEADER_X_KEY", "s3cret")
        .with(|params| params.connection_name = connection_name());
    let mut session = subject.gateway.open_session(request);
    session.wait_open();
    session
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n").into_bytes()
}

fn wait_until_left(service: &WebService) {
    wait_until("the end of the service's connections", || {
        service.open() == 0
    });
}

/// A service is killed in the middle of its answers.
pub fn deaths(plan: &Plan) -> Row {
    let rounds = plan.count(100, 10);
    let subject = Subject::start(plan, &[]);
    subject.check_works();
    die(&subject);
    let before = subject.figures();
    for _ in 0..rounds {
        die(&subject);
    }
    subject.check_works();
    Row::new(
        "web-deaths",
        &format!(
            "a web service is killed {rounds} times in the middle of {UNDER_WAY} answers, half by the client, half by the listener"
        ),
        "each user saw his answer cut, the next one a page of 502; the session went on",
        before,
        subject.figures(),
    )
}

fn die(subject: &Subject) {
    const ANSWER_BYTES: usize = 600_000;
    let service = WebService::start();
    let mut session = open(subject, &service);
    let ids: Vec<String> = (0..UNDER_WAY).map(|id| id.to_string()).collect();
    for (id, base_url) in ids.iter().zip(PRODUCERS.iter().cycle()) {
        session.ask(id, base_url, &get(&format!("/half/{ANSWER_BYTES}")));
    }
    let begun: Vec<usize> = ids
        .iter()
        .map(|id| session.receive(id, ANSWER_BYTES / 4).len())
        .collect();
    drop(service);
    for (id, begun) in ids.iter().zip(begun) {
        let rest = session.receive_to_end(id);
        assert!(
            begun + rest.len() < ANSWER_BYTES,
            "an answer of a dead service"
        );
    }
    for (id, base_url) in [("page", CLIENT), ("another", LISTENER)] {
        session.ask(id, base_url, &get("/bytes/3"));
        let page = session.receive_until(id, b"\n");
        assert!(page.starts_with(b"HTTP/1.1 502 "));
    }
}

/// What a user wants, and how he leaves.
#[derive(Clone, Copy)]
enum Wish {
    Bytes,
    Chunks,
    Events,
    Socket,
    /// Leaves before the answer.
    Hold,
    /// Leaves in the middle of it.
    Half,
}

const WISHES: [(Wish, &str); 6] = [
    (Wish::Bytes, "/bytes/5000"),
    (Wish::Chunks, "/chunked/5000"),
    (Wish::Events, "/events/2/1"),
    (Wish::Socket, "/switch"),
    (Wish::Hold, "/hold/60000"),
    (Wish::Half, "/half/100000"),
];

/// A thousand users at one service, and then one who stops reading.
pub fn users(plan: &Plan) -> Row {
    let (users, rounds) = (plan.count(1000, 250), plan.count(5, 1));
    let subject = Subject::start(plan, &[]);
    subject.check_works();
    let all = || {
        come_and_go(&subject, users);
        stop_reading(&subject);
    };
    all();
    let before = subject.figures();
    (0..rounds).for_each(|_| all());
    subject.check_works();
    Row::new(
        "web-users",
        &format!(
            "{users} users of a web service, {AT_ONCE} at once, {rounds} times: answers, events, WebSockets, half of them by the \
             listener, a third leave before the end; then {} MB for one who reads nothing for 2 s",
            UNREAD_BYTES / 1_000_000
        ),
        "every one that stayed got all of his own; the service has no connection left",
        before,
        subject.figures(),
    )
}

fn come_and_go(subject: &Subject, count: usize) {
    let service = WebService::start();
    let mut session = open(subject, &service);
    let ids: Vec<String> = (0..count).map(|id| id.to_string()).collect();
    for (batch, ids) in ids.chunks(AT_ONCE).enumerate() {
        // A producer has each wish in turn.
        let producers = PRODUCERS.iter().flat_map(|it| [it; WISHES.len()]).cycle();
        let all = || {
            let wishes = WISHES.iter().cycle().skip(batch);
            ids.iter().zip(wishes).zip(producers.clone())
        };
        for ((id, (wish, path)), base_url) in all() {
            let request = match wish {
                Wish::Socket => {
                    format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").into_bytes()
                }
                _ => get(path),
            };
            session.ask(id, base_url, &request);
        }
        for ((id, (wish, _)), base_url) in all() {
            enjoy(&mut session, id, *wish, base_url);
            session.disconnect(id);
        }
    }
    wait_until_left(&service);
}

/// Takes of an answer what belongs to it.
fn enjoy(session: &mut Session<'_>, id: &str, wish: Wish, base_url: &str) {
    match wish {
        Wish::Bytes => drop(session.receive_until(id, &pattern(5000))),
        Wish::Chunks if base_url == CLIENT => {
            session.receive_until(id, b"X-Trailer: t\r\n\r\n");
        }
        Wish::Chunks => drop(session.receive_until(id, &pattern(5000))),
        Wish::Events if base_url == CLIENT => drop(session.receive_until(id, b"\r\n0\r\n\r\n")),
        Wish::Events => drop(session.receive_until(id, b"data: 1\n\n")),
        Wish::Socket => {
            session.receive_until(id, b"\r\n\r\n");
            session.send_as("HttpProxy", id, b"there");
            session.receive_until(id, b"there");
        }
        Wish::Hold => {}
        Wish::Half => drop(session.receive(id, 100)),
    }
}

/// What waits for him waits at the service.
fn stop_reading(subject: &Subject) {
    let service = WebService::start();
    let mut session = open(subject, &service);
    session.ask("ready", CLIENT, &get("/bytes/3"));
    session.receive_until("ready", &pattern(3));
    subject.gateway.stall(NAME, true);
    for (id, base_url) in [("a", CLIENT), ("b", LISTENER)] {
        session.ask(id, base_url, &get(&format!("/bytes/{UNREAD_BYTES}")));
    }
    std::thread::sleep(Duration::from_secs(2));
    let held = subject.agent.rss_anonymous_kib();
    assert!(held < 64 << 10, "{held} KiB for who does not read");
    subject.gateway.stall(NAME, false);
    let end = pattern(UNREAD_BYTES);
    for id in ["a", "b"] {
        let answer = session.receive_until(id, &end[UNREAD_BYTES - 1000..]);
        assert!(answer.ends_with(&end), "bytes are lost");
    }
}
