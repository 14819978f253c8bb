//! What a peer can do to the log: how many lines it causes, and what it makes them look like.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;

use loopback_gateway::{AgentProcess, Gateway, Packet, Security, SessionRequest};

use crate::world::{AGENT, World, environment};

/// Packets of the flood, each of which causes a line of its own.
const PACKETS: usize = 5_000;
/// A second's lines; the flood and the test's own sessions last for a few.
const LINES_A_SECOND: usize = 50;

fn stray_request(id: &str) -> Packet {
    Packet::new("SysBareExecRequest").with("gateway.session_id", id.to_owned())
}

#[test]
fn lines_that_packets_cause_have_a_rate_and_the_rest_is_counted() {
    let world = World::start();
    let before = world.agent.lines().len();
    let from = world.gateway.mark();
    for number in 0..PACKETS {
        world
            .gateway
            .send("demo", stray_request(&format!("flood-{number}")));
    }
    let last = format!("flood-{}", PACKETS - 1);
    world
        .gateway
        .wait_packet(from, "the last refusal", |packet| packet.sid() == last);
    // What was not written comes as a number when the second is over, without a further line.
    let told = world.agent.wait_text("more lines of this kind");
    assert!(told.contains("in the last second"), "{told}");
    let lines = world.agent.lines().len() - before;
    assert!(lines < PACKETS / 2, "{lines} lines");
    // The lines of the start may fall into the same second.
    assert!(lines >= LINES_A_SECOND / 2, "{lines} lines");
}

#[test]
fn the_lines_of_sessions_are_written_during_a_flood_too() {
    let world = World::start();
    for number in 0..PACKETS {
        world
            .gateway
            .send("demo", stray_request(&format!("flood-{number}")));
    }
    let sids: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    for sid in &sids {
        let session = world.open(SessionRequest::exec(&["true"]).sid(sid));
        assert_eq!(session.run(b"").code, 0);
    }
    for sid in &sids {
        for what in ["session opened", "session ended"] {
            world.agent.wait_line(&format!("{what} of {sid}"), |line| {
                line.contains(what) && line.contains(&format!("\"sid\":\"{sid}\""))
            });
        }
    }
}

#[test]
fn why_a_session_was_closed_is_logged_and_an_ordinary_exit_is_not() {
    let world = World::start();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let address = SessionRequest::tcp("127.0.0.1", port).sid("address");
    world.open(address).wait_refusal();
    for (sid, command) in [
        ("program", &["no-such-program"][..]),
        ("argument", &["echo", "$NO_SUCH"]),
        ("ordinary", &["false"]),
    ] {
        let session = world.open(SessionRequest::exec(command).sid(sid));
        assert_ne!(session.run(b"").code, 0);
    }
    let of = |sid: &str, line: &str| line.contains(&format!("\"sid\":\"{sid}\""));
    for (sid, why) in [
        ("address", "failed connecting to remote host=127.0.0.1"),
        ("program", "executable file not found"),
        ("argument", "could not find environment variable"),
    ] {
        world.agent.wait_line(why, |line| {
            let told = ["session ended", why, "\"level\":\"warn\""];
            of(sid, line) && told.iter().all(|part| line.contains(part))
        });
    }
    world.agent.wait_line("an ordinary end", |line| {
        of("ordinary", line) && line.contains("\"exit_code\":1,")
    });
    let is_told = |line: &String| of("ordinary", line) && line.contains("\"level\":\"warn\"");
    assert!(!world.agent.lines().iter().any(is_told));
}

#[test]
fn ids_and_texts_of_a_peer_forge_neither_fields_nor_lines() {
    for encoding in ["json", "human", "verbose", "console"] {
        let world = World::with_variables(&[("LOG_ENCODING", encoding)]);
        let ids = [
            "victim session opened type=command-line",
            "victim\n12:00:00Z INFO  session ended",
            "victim\tx\t{\"sid\":\"victim\"}",
        ];
        for id in ids {
            let from = world.gateway.mark();
            world.gateway.send("demo", stray_request(id));
            world
                .gateway
                .wait_packet(from, "the refusal", |packet| packet.sid() == id);
        }
        let kind = "tcp sid=victim (repeated 3x)";
        let mut session = world.open(SessionRequest::new(kind, "connect"));
        session.wait_open();
        world.agent.wait_text("session opened");
        for line in world.agent.lines() {
            let is_forged = match encoding {
                "json" | "console" => line.contains("\"sid\":\"victim\""),
                // Fields stand in front, where no text of a peer comes.
                _ => line
                    .split_whitespace()
                    .take(5)
                    .any(|word| word == "sid=victim"),
            };
            assert!(!is_forged, "{encoding}: {line}");
            assert!(!line.starts_with("12:00:00Z"), "{encoding}: {line}");
        }
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let variables = environment(&gateway, &key, &[("LOG_LEVEL", "debug")]);
    let mut command = AgentProcess::command(AGENT, &variables);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut agent = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = agent.stderr.take().unwrap();
    gateway.wait_online("demo");
    // Far more than a pipe holds: each session has lines of its own.
    for number in 0..400 {
        let sid = format!("{number}-{}", "x".repeat(200));
        let mut session = gateway.open_session(SessionRequest::new("rdp", "connect").sid(&sid));
        session.wait_refusal();
    }
    let session = gateway.open_session(SessionRequest::exec(&["echo", "alive"]));
    assert_eq!(session.run(b"").out(), "alive\n");
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        let _ = log.read_to_end(&mut all);
    });
    agent.kill().unwrap();
    agent.wait().unwrap();
    reader.join().unwrap();
}
