//! The bound on parameters is one on memory: what sessions say they hold is never less than what the
//! allocator was asked for, and not much more.

#![allow(clippy::unwrap_used)]

mod measuring;

use std::time::Instant;

use hoop_lite::limits;
use hoop_lite::packet::{Kind, Outbox, Packet, encode, spec};
use hoop_lite::session::{AgentEnvironment, Sessions};
use loopback_gateway::SessionRequest;

/// Enough to tell a count that is short.
const SESSIONS_MAX: usize = 300;

/// Opens sessions of this request as long as they are taken; how many, what they say they hold, and
/// what they do hold.
fn fill(request: &SessionRequest) -> (usize, usize, usize) {
    measuring::count_everything();
    let now = Instant::now();
    let mut sessions = Sessions::new(Default::default(), AgentEnvironment::default());
    let mut outbox = Outbox::new();
    let mut message = Vec::new();
    // Tables and buffers have their size after these.
    let mut before = 0;
    for number in 0..SESSIONS_MAX {
        let mut request = request.clone();
        request.params.user_id = format!("user {number}");
        let sid = format!("{number:0>100}");
        let open = request.open_packet(&sid);
        let mut entries: Vec<(&str, &[u8])> = vec![(spec::SESSION_ID, sid.as_bytes())];
        let others = open.spec.iter().filter(|(key, _)| *key != spec::SESSION_ID);
        entries.extend(others.map(|(key, value)| (key.as_str(), &value[..])));
        message.clear();
        encode(&mut message, Kind::AgentSessionOpen, &entries, b"");
        drop(entries);
        drop((open, request, sid));
        if number == 0 {
            before = measuring::held();
        }
        let packet = Packet::decode(&message).unwrap();
        sessions.handle_packet(now, &packet, &mut outbox);
        outbox.clear();
        let is_refused = sessions.len() == number;
        if is_refused {
            break;
        }
    }
    let held = measuring::held() - before;
    (sessions.len(), sessions.held_bytes(), held)
}

fn check(request: &SessionRequest) {
    let (count, said, held) = fill(request);
    assert!(count > 10, "{count} sessions");
    assert!(said <= limits::SESSIONS_BYTES_MAX);
    // Slots of tables, users and what the test itself keeps are not the parameters'.
    let others = count * 512 + (1 << 20);
    assert!(
        held <= said + others,
        "{count} sessions hold {held}, and say {said}"
    );
    assert!(
        held * 3 >= said,
        "{count} sessions hold {held}, and say {said}"
    );
}

#[test]
fn many_empty_arguments_are_counted() {
    let arguments = vec![""; limits::ARGUMENT_COUNT_MAX - 1];
    check(&SessionRequest::exec(&["true"]).args(&arguments));
}

#[test]
fn many_short_variables_are_counted() {
    let mut request = SessionRequest::exec(&["true"]);
    for number in 0..limits::VARIABLE_COUNT_MAX {
        request = request.env(&format!("V{number}"), "");
    }
    check(&request);
}

#[test]
fn ordinary_sessions_are_counted() {
    let request = SessionRequest::exec(&["psql", "-h", "$HOST"])
        .env("HOST", "db.internal")
        .env("PASS", "secret")
        .file("CERT", &[b'x'; 2000]);
    check(&request);
}

#[test]
fn web_sessions_are_counted() {
    let mut request = SessionRequest::new("httpproxy", "connect")
        .env(
            "REMOTE_URL",
            "https://user:password@some.service.example/path",
        )
        .env("HEADER_COOKIE", &"x".repeat(20_000));
    for number in 0..60 {
        request = request.env(&format!("HEADER_X_{number}"), "short");
    }
    check(&request);
}

#[test]
fn large_values_are_counted() {
    check(&SessionRequest::exec(&["cat", &"x".repeat(300_000)]).env("V", &"y".repeat(300_000)));
}
