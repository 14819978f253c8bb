//! `hoop connect` and the gateway's listener on web services.

use loopback_gateway::web::{WebService, pattern};
use loopback_gateway::{Packet, Security, Session, SessionRequest, Setup};

use crate::world::World;

const CLIENT: &str = "http://127.0.0.1:8081";
const LISTENER: &str = "https://hoop.example:18888";
const SECRET: &str = "injected-s3cret";

fn to(url: &str) -> SessionRequest {
    SessionRequest::new("httpproxy", "connect")
        .env("REMOTE_URL", url)
        .env("HEADER_X_KEY", SECRET)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n").into_bytes()
}

/// Asks as the listener does, and waits for an answer that ends like this.
fn listen(session: &mut Session<'_>, id: &str, request: &[u8], end: &[u8]) -> Vec<u8> {
    session.ask(id, LISTENER, request);
    session.receive_until(id, end)
}

fn has(answer: &[u8], text: &str) -> bool {
    answer
        .windows(text.len())
        .any(|bytes| bytes == text.as_bytes())
}

#[test]
fn a_client_asks_many_things_on_one_connection() {
    let (world, service) = (World::start(), WebService::start());
    let mut session = world.open(to(&service.url()));
    session.wait_open();
    for _ in 0..2 {
        session.ask("1", CLIENT, &get("/head"));
        let answer = session.receive_until("1", b"injected-s3cret");
        assert!(has(&answer, "HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(service.accepted(), 1);
    session.ask("1", CLIENT, &get("/chunked/100000"));
    let answer = session.receive_until("1", b"X-Trailer: t\r\n\r\n");
    assert!(has(&answer, "Transfer-Encoding: chunked\r\n") && answer.len() > 100_000);
    session.ask("2", CLIENT, &get("/close/100000"));
    session.wait_closed("2");
    let upload = pattern(300_000);
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        upload.len()
    );
    session.ask("1", CLIENT, &[head.as_bytes(), &upload].concat());
    assert!(session.receive_until("1", &upload[200_000..]).len() > upload.len());
    assert!(!world.agent.lines().iter().any(|line| line.contains(SECRET)));
}

/// Most of a body goes to its service as it is, and sealed at once where there is TLS.
#[test]
fn a_large_upload_arrives_as_it_was_whoever_sends_it() {
    let upload = pattern(3_000_000);
    for service in [WebService::start(), WebService::start_secure()] {
        let world = World::start();
        let mut session = world.open(to(&service.url()).env("INSECURE", "true"));
        session.wait_open();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
            upload.len()
        );
        let whole = [head.as_bytes(), &upload].concat();
        for (id, from) in [("1", CLIENT), ("2", LISTENER)] {
            for packet in whole.chunks(32 * 1024) {
                session.ask(id, from, packet);
            }
            let answer = session.receive_until(id, &upload[upload.len() - 1000..]);
            let start = answer.len() - upload.len();
            assert!(answer[start..] == upload[..], "{id} to {}", service.url());
            if from == CLIENT {
                session.ask(id, from, &get("/head"));
                session.receive_until(id, SECRET.as_bytes());
            }
        }
    }
}

#[test]
fn the_listener_gets_whole_heads_and_lengths() {
    let (world, service) = (World::start(), WebService::start());
    let mut session = world.open(to(&service.url()));
    session.wait_open();
    let body = pattern(100_000);
    for (id, path) in [
        ("1", "/bytes/100000"),
        ("2", "/chunked/100000"),
        ("3", "/close/100000"),
    ] {
        let request = format!("GET {path} HTTP/2.0\r\nHost: hoop.example:18888\r\n\r\n");
        let answer = listen(&mut session, id, request.as_bytes(), &body[50_000..]);
        let head_end = answer.len() - body.len();
        assert!(answer.ends_with(&body));
        let head = String::from_utf8_lossy(&answer[..head_end]).replace(' ', "");
        assert!(head.contains("Content-Length:100000\r\n"), "{head}");
        assert!(!session.is_closed(id));
    }
    let request = b"HEAD /bytes/9 HTTP/2.0\r\nHost: h\r\n\r\n";
    let answer = listen(&mut session, "4", request, b"\r\n\r\n");
    assert!(has(&answer, "Content-Length: 9\r\n"));
    session.wait_closed("4");
    let request = b"POST /echo HTTP/1.1\r\nHost: h\r\n\r\nunframed";
    assert!(has(
        &listen(&mut session, "5", request, b"unframed"),
        "Content-Length: 8\r\n"
    ));
    let answer = listen(
        &mut session,
        "6",
        b"GET /events/3/1 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"data: 2\n\n",
    );
    assert!(has(&answer, "Connection: close\r\n\r\ndata: 0\n\n"));
    session.wait_closed("6");
}

#[test]
fn protocols_are_switched_both_ways() {
    let (world, service) = (World::start(), WebService::start());
    let mut session = world.open(to(&service.url()));
    session.wait_open();
    let ask =
        b"GET /switch HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (id, base_url) in [("1", CLIENT), ("2", LISTENER)] {
        session.ask(id, base_url, ask);
        let answer = session.receive_until(id, b"\r\n\r\n");
        assert!(has(&answer, "HTTP/1.1 101 "));
        // The listener names no URL any more.
        session.send_as("HttpProxy", id, b"GET / HTTP/1.1\r\n");
        session.receive_until(id, b"GET / HTTP/1.1\r\n");
    }
}

#[test]
fn what_goes_wrong_is_a_page_and_no_end() {
    let (world, service) = (World::start(), WebService::start());
    let mut session = world.open(to(&service.url()));
    session.wait_open();
    let paths = [
        "/vanish",
        "/two-lengths",
        "/tls",
        "/ssh",
        "/cut-chunks",
        "/cut/9",
    ];
    for (number, path) in paths.iter().enumerate() {
        let request = get(path);
        let answer = listen(&mut session, &format!("w{number}"), &request, b"\n");
        assert!(has(&answer, "HTTP/1.1 502 "), "{path}");
        assert!(!has(&answer, SECRET));
    }
    session.ask(
        "c",
        CLIENT,
        &[get("/surplus"), get("/vanish"), get("/head")].concat(),
    );
    let answer = session.receive_until("c", b"injected-s3cret");
    assert!(!has(&answer, "EVIL") && has(&answer, "502 Bad Gateway"));
    // A packet without a URL opens nothing.
    session.send_as("HttpProxy", "late", &get("/head"));
    session.ask("last", CLIENT, &get("/bytes/3"));
    session.receive_until("last", &pattern(3));
    assert!(
        !service
            .asked()
            .iter()
            .any(|asked| asked.head.contains("late"))
    );

    let mut session = world.open(to("http://127.0.0.1:1"));
    session.wait_open();
    let answer = listen(&mut session, "1", &get("/"), b"\n");
    assert!(has(&answer, "502 Bad Gateway") && has(&answer, "127.0.0.1:1"));
    let mut session = world.open(SessionRequest::new("httpproxy", "connect"));
    assert!(session.wait_refusal().text.contains("REMOTE_URL"));
}

#[test]
fn the_listeners_requests_go_on_with_connections_that_are_kept() {
    let (world, service) = (World::start(), WebService::start());
    let mut session = world.open(to(&service.url()));
    session.wait_open();
    for number in 0..3 {
        let answer = listen(
            &mut session,
            &format!("{number}"),
            &get("/bytes/9"),
            &pattern(9),
        );
        assert!(has(&answer, "HTTP/1.1 200 OK"));
    }
    assert_eq!(service.accepted(), 1);
    // One that turns out to be dead is replaced, where the request may be repeated.
    let answer = listen(&mut session, "a", &get("/vanish-kept"), b"ok");
    assert!(has(&answer, "HTTP/1.1 200 OK") && service.accepted() == 2);
    let post = b"POST /vanish-kept HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    let answer = listen(&mut session, "b", post, b"\n");
    assert!(has(&answer, "HTTP/1.1 502 ") && service.accepted() == 2);
    // What says too much is not used again, and a client's is its own.
    listen(&mut session, "c", &get("/surplus"), b"ok");
    listen(&mut session, "d", &get("/bytes/9"), &pattern(9));
    assert_eq!(service.accepted(), 4);
    session.ask("e", CLIENT, &get("/bytes/9"));
    session.receive_until("e", &pattern(9));
    assert_eq!(service.accepted(), 5);
}

/// As the gateway says it, to all sessions at once and at any time.
fn say_features(session: &Session<'_>, json: &str) {
    let news =
        Packet::new("GatewayFeatureFlagUpdate").with("feature-flags", json.as_bytes().to_vec());
    session.send(news);
}

#[test]
fn a_users_own_authorization_takes_a_variable_and_a_flag() {
    let setup = Setup {
        feature_flags: r#"{"experimental.httpproxy_client_authorization":true}"#.to_owned(),
        ..Setup::new(Security::Tls)
    };
    let (world, service) = (World::start_with(setup, &[]), WebService::start());
    let allows = to(&service.url())
        .env("HEADER_AUTHORIZATION", "stored")
        .env("ALLOW_CLIENT_AUTHORIZATION", "true");
    let mut session = world.open(allows);
    session.wait_open();
    let asks = b"GET /head HTTP/1.1\r\nHost: h\r\nX-Hoop-Upstream-Authorization: mine\r\n\r\n";
    let heard = |session: &mut Session<'_>, id: &str| {
        let answer = listen(session, id, asks, SECRET.as_bytes());
        String::from_utf8_lossy(&answer).into_owned()
    };
    let brought = listen(&mut session, "1", asks, b"Authorization: mine");
    assert!(!has(&brought, "stored") && !has(&brought, "Upstream"));
    // No list at all, and one that can't be read, change nothing.
    say_features(&session, "");
    say_features(&session, "{not json");
    listen(&mut session, "2", asks, b"Authorization: mine");
    say_features(
        &session,
        r#"{"experimental.httpproxy_client_authorization":false}"#,
    );
    let kept = heard(&mut session, "3");
    assert!(kept.contains("stored") && kept.contains("Upstream-Authorization: mine"));
    say_features(
        &session,
        r#"{"experimental.httpproxy_client_authorization":true}"#,
    );
    let mut session = world.open(to(&service.url()).env("HEADER_AUTHORIZATION", "stored"));
    session.wait_open();
    let kept = heard(&mut session, "1");
    assert!(kept.contains("stored") && kept.contains("Upstream-Authorization: mine"));
}

#[test]
fn tokens_of_google_are_refused_by_name_where_the_gateway_has_them_on() {
    let (world, service) = (World::start(), WebService::start());
    let asks = || to(&service.url()).env("GCP_SERVICE_ACCOUNT_JSON", "{\"key\":\"s3cret\"}");
    let mut session = world.open(asks());
    session.wait_open();
    listen(&mut session, "1", &get("/bytes/3"), &pattern(3));
    say_features(&session, r#"{"experimental.claude_code_vertex":true}"#);
    // What was open goes on without requests that would lack their token.
    session.ask("2", LISTENER, &get("/bytes/3"));
    session.wait_closed("2");
    let refusal = world.open(asks()).wait_refusal().text;
    assert!(refusal.contains("GCP_SERVICE_ACCOUNT_JSON") && !refusal.contains("s3cret"));
}

#[test]
fn a_session_keeps_a_bounded_number_of_connections() {
    const ASKED: usize = 20;
    const KEPT: usize = 16;
    let (world, service) = (World::start(), WebService::start());
    let mut session = world.open(to(&service.url()));
    session.wait_open();
    for round in 0..2 {
        let ids: Vec<String> = (0..ASKED).map(|id| format!("{round}-{id}")).collect();
        for id in &ids {
            session.ask(id, LISTENER, &get("/hold/300"));
        }
        for id in &ids {
            session.receive_until(id, b"held");
        }
    }
    assert!(service.accepted() >= 2 * ASKED - KEPT);
}

#[test]
fn a_user_who_has_left_is_not_waited_for() {
    let (world, service) = (World::start(), WebService::start());
    let mut session = world.open(to(&service.url()));
    session.wait_open();
    for (id, path, begins) in [
        ("1", "/hold/60000", &b""[..]),
        ("2", "/half/100000", b"HTTP/1.1 200"),
    ] {
        session.ask(id, LISTENER, &get(path));
        wait_for(|| service.asked().len() == id.parse::<usize>().unwrap());
        if !begins.is_empty() {
            assert_eq!(session.receive(id, begins.len()), begins);
        }
        assert_eq!(service.open(), 1);
        session.disconnect(id);
        wait_for(|| service.open() == 0);
    }
    // The session goes on.
    listen(&mut session, "3", &get("/bytes/3"), &pattern(3));
}

#[test]
fn an_agent_that_stops_leaves_no_request_waiting() {
    let world = World::with_variables(&[("HOOP_LITE_DRAIN_TIMEOUT", "2s")]);
    let service = WebService::start();
    let mut session = world.open(to(&service.url()));
    session.wait_open();
    session.ask("1", LISTENER, &get("/hold/60000"));
    wait_for(|| service.asked().len() == 1);
    world.agent.signal(libc::SIGTERM);
    world.agent.wait_text("may finish");
    let late = listen(&mut session, "2", &get("/bytes/3"), b"\n");
    assert!(has(&late, "HTTP/1.1 503 ") && has(&late, "shutting down"));
    assert!(session.wait_close().code.is_some());
    assert_eq!(world.agent.wait_exit().code(), Some(0));
    wait_for(|| service.open() == 0);
}

fn wait_for(done: impl Fn() -> bool) {
    let until = std::time::Instant::now() + loopback_gateway::deadline();
    while !done() {
        assert!(std::time::Instant::now() < until, "waited in vain");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
