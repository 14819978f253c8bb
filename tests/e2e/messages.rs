//! What an operator reads when the link does not come up: what happened, to what, what to do.

use std::io::{Read, Write};
use std::net::TcpListener;

use loopback_gateway::{AgentProcess, Gateway, Security};

use crate::world::{AGENT, World, environment};

/// A key for whatever listens at `address`.
fn key(scheme: &str, address: &str) -> String {
    format!("{scheme}://demo:xagt-secret@{address}?mode=standard")
}

fn agent(variables: &[(&str, &str)]) -> AgentProcess {
    let variables: Vec<(String, String)> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    AgentProcess::start(AGENT, &variables)
}

/// The first line above info, once there is one.
fn complaint(agent: &AgentProcess) -> String {
    agent.wait_line("a complaint", |line| line.contains("\"level\":\"warn\""))
}

/// An address that takes one connection after the other, says `words`, at once or when it has heard
/// something, and closes each.
fn server_that_says(words: &'static [u8], listens_first: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            if listens_first {
                let _ = socket.read(&mut [0; 1024]);
            }
            let _ = socket.write_all(words);
            let _ = socket.read(&mut [0; 1024]);
        }
    });
    address
}

#[test]
fn a_closed_port_is_named_with_what_to_look_at() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let line = complaint(&agent(&[("HOOP_KEY", &key("grpc", &address))]));
    for part in [
        &format!("no connection to {address}"),
        "connection refused",
        "is the gateway running",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn an_unknown_host_comes_with_what_to_check() {
    let line = complaint(&agent(&[(
        "HOOP_KEY",
        &key("grpcs", "no-such-gateway.invalid:8443"),
    )]));
    assert!(
        line.contains("no connection to no-such-gateway.invalid:8443"),
        "{line}"
    );
    assert!(line.contains("check "), "{line}");
}

#[test]
fn a_plaintext_key_for_a_port_with_tls_is_told_its_scheme() {
    let gateway = Gateway::start(Security::Tls);
    let line = complaint(&agent(&[(
        "HOOP_KEY",
        &key("grpc", &gateway.address().to_string()),
    )]));
    assert!(line.contains("grpcs://"), "{line}");
}

#[test]
fn a_port_of_another_service_is_told_to_be_no_gateway() {
    for words in [
        &b"SSH-2.0-OpenSSH_9.9\r\n"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        for listens_first in [false, true] {
            let address = server_that_says(words, listens_first);
            let line = complaint(&agent(&[("HOOP_KEY", &key("grpc", &address))]));
            assert!(line.contains("gRPC port"), "{line}");
        }
    }
}

#[test]
fn a_second_agent_is_told_to_get_a_key_of_its_own() {
    let world = World::start();
    let second = AgentProcess::start(AGENT, &environment(&world.gateway, &world.key, &[]));
    let line = complaint(&second);
    assert!(line.contains("agent already connected"), "{line}");
    assert!(line.contains("admin create agent"), "{line}");
    assert!(
        line.contains("not noticed"),
        "nor is it the only cause: {line}"
    );
}

#[test]
fn a_lost_gateway_is_named_as_lost() {
    let world = World::start();
    world.shell("true");
    world.gateway.drop_link("demo");
    let line = complaint(&world.agent);
    let lost = format!("disconnected from {}", world.gateway.address());
    assert!(line.contains(&lost), "{line}");
}

#[test]
fn a_proxy_that_is_not_there_is_named_as_the_proxy_without_its_password() {
    let line = complaint(&agent(&[
        ("HOOP_KEY", &key("grpcs", "gateway.example.com:8443")),
        ("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:1"),
    ]));
    assert!(line.contains("the proxy 127.0.0.1:1"), "{line}");
    assert!(line.contains("HTTPS_PROXY"), "{line}");
    assert!(!line.contains("hunter2"), "{line}");
}

#[test]
fn a_mistyped_mode_is_told() {
    let line = complaint(&agent(&[(
        "HOOP_KEY",
        "grpcs://demo:xagt-secret@127.0.0.1:1?mode=standart",
    )]));
    assert!(line.contains("mode"), "{line}");
    assert!(line.contains("standard"), "{line}");
}

#[test]
fn a_refused_key_that_ends_the_program_promises_no_further_attempt() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.key_for("demo", "xagt-not-the-one", "standard");
    let agent = AgentProcess::start(
        AGENT,
        &environment(&gateway, &key, &[("HOOP_LITE_EXIT_ON_REVOKED", "true")]),
    );
    assert_eq!(agent.wait_exit().code(), Some(3));
    let line = complaint(&agent);
    assert!(line.contains("refuses the key"), "{line}");
    assert!(!line.contains("next attempt"), "{line}");
    assert!(line.contains("exit-on-revoked"), "{line}");
}

#[test]
fn an_agent_that_was_stopped_says_so_last() {
    let world = World::start();
    world.shell("true");
    world.agent.signal(libc::SIGTERM);
    assert_eq!(world.agent.wait_exit().code(), Some(0));
    let lines = world.agent.lines();
    assert!(lines.last().unwrap().contains("stopped"), "{lines:?}");
}

#[test]
fn somebody_who_never_got_through_is_sent_to_the_doctor() {
    let agent = agent(&[("HOOP_KEY", &key("grpc", "127.0.0.1:1"))]);
    agent.wait_text("hoop-lite doctor");
}
