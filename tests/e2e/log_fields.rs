//! What the log says about a session that fails: fields, the same in every form, whatever names hold.

use std::net::TcpListener;

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, SessionRequest};
use serde_json::Value;

use crate::world::World;

/// Forms of a line in which fields are JSON.
const JSON: [&str; 2] = ["json", "console"];

/// The fields of a line, whatever its form; `None` for another line than one of `sid` and `message`.
fn fields(encoding: &str, line: &str, sid: &str, message: &str) -> Option<Value> {
    let value: Value = match encoding {
        "json" => serde_json::from_str(line).unwrap(),
        "console" => {
            let mut parts = line.splitn(5, '\t').skip(3);
            let told = parts.next().unwrap();
            let mut value: Value = serde_json::from_str(parts.next().unwrap()).unwrap();
            value["msg"] = told.into();
            value
        }
        _ => {
            let begin = format!("sid={sid} {message} ");
            let rest = &line[line.find(&begin)? + begin.len()..];
            let mut value = Value::Object(serde_json::Map::new());
            value["msg"] = message.into();
            value["sid"] = sid.into();
            let mut rest = rest;
            while let Some((key, behind)) = rest.split_once('=') {
                let mut texts = serde_json::Deserializer::from_str(behind).into_iter::<Value>();
                let size = match behind.starts_with('"') {
                    true => {
                        value[key] = texts.next().unwrap().unwrap();
                        texts.byte_offset()
                    }
                    false => {
                        let word = behind.split(' ').next().unwrap();
                        value[key] = match word.parse::<u64>() {
                            Ok(number) => number.into(),
                            Err(_) => word.into(),
                        };
                        word.len()
                    }
                };
                rest = behind[size..].trim_start();
            }
            value
        }
    };
    (value["sid"] == sid && value["msg"] == message).then_some(value)
}

fn wait(agent: &AgentProcess, encoding: &str, sid: &str, message: &str) -> Value {
    let line = agent.wait_line(message, |line| {
        line.contains(sid) && fields(encoding, line, sid, message).is_some()
    });
    fields(encoding, &line, sid, message).unwrap()
}

/// A port of this machine on which nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn the_life_of_a_session_has_the_same_fields_in_every_form_whatever_its_names_hold() {
    let long = "x".repeat(10_000);
    let names = [
        "plain",
        "",
        "with blank and = and \"quotes\" and \\",
        "line\nsid=victim session ended exit_code=0",
        "\u{1b}[2J\u{1b}[31mred\u{202e}\u{9b}0m",
        "\u{1f}sid=victim\u{1e}exit_code=0\u{1d}",
        long.as_str(),
    ];
    for encoding in ["json", "console", "human", "verbose"] {
        let world = World::with_variables(&[("LOG_ENCODING", encoding)]);
        for (number, name) in names.iter().enumerate() {
            let sid = format!("sid-{number}");
            let request = SessionRequest::exec(&["sh", "-c", "cat >&2; echo out; exit 3"]);
            let request = request.sid(&sid).with(|params| {
                params.connection_name = (*name).to_owned();
                params.user_email = format!("{name}@example.com");
                params.client_origin = (*name).to_owned();
            });
            let outcome = world.open(request).run(b"input");
            assert_eq!(outcome.code, 3, "{}", outcome.text);
            let opened = wait(&world.agent, encoding, &sid, "session opened");
            let ended = wait(&world.agent, encoding, &sid, "session ended");
            for line in [&opened, &ended] {
                assert_eq!(line["verb"], "exec");
                assert_eq!(line["type"], "command-line");
                let shown = line["connection"].as_str().unwrap();
                assert!(shown.len() < 200, "{shown}");
                assert!(!shown.chars().any(char::is_control), "{shown:?}");
                assert!(
                    line["user"].is_string() && line["origin"].is_string(),
                    "{line}"
                );
            }
            if number < 3 {
                assert_eq!(opened["connection"], *name);
                assert_eq!(opened["user"], format!("{name}@example.com"));
            }
            assert_eq!(ended["exit_code"], 3);
            assert_eq!(ended["bytes_in"], 5);
            assert_eq!(ended["bytes_out"], 9);
            assert!(ended["duration_ms"].is_u64(), "{ended}");
            assert!(ended["cause"].as_str().unwrap().contains("exit status 3"));
        }
        for line in world.agent.lines() {
            assert!(
                !line.chars().any(|c| c.is_control() && c != '\t'),
                "{line:?}"
            );
            assert!(!line.contains('\u{202e}'), "{line:?}");
            if JSON.contains(&encoding) {
                assert!(!line.contains("\"sid\":\"victim\""), "{line}");
            } else {
                let front = line.split_whitespace().take(4);
                assert!(!front.collect::<String>().contains("sid=victim"), "{line}");
            }
        }
    }
}

#[test]
fn what_could_not_be_reached_is_told_with_host_port_and_reason() {
    let world = World::start();
    let port = closed_port();
    let request = SessionRequest::tcp("127.0.0.1", port).sid("probed");
    world.open(request).wait_refusal();
    let request = SessionRequest::new("mysql", "connect")
        .sid("later")
        .env("HOST", "127.0.0.1")
        .env("PORT", &port.to_string())
        .env("USER", "u")
        .env("PASS", "p");
    let mut session = world.open(request);
    session.wait_open();
    session.send(
        loopback_gateway::Packet::new("AgentMySQLConnectionWrite")
            .with("client.connection_id", "1"),
    );
    for sid in ["probed", "later"] {
        let failed = wait(&world.agent, "json", sid, "target failed");
        assert_eq!(failed["level"], "warn");
        assert_eq!(failed["host"], "127.0.0.1");
        assert_eq!(failed["port"], port);
        assert_eq!(failed["reason"], "connect: connection refused");
    }
    let ended = wait(&world.agent, "json", "probed", "session ended");
    assert_eq!(
        (&ended["level"], &ended["exit_code"]),
        (&"warn".into(), &254.into())
    );
    assert!(
        ended["cause"]
            .as_str()
            .unwrap()
            .contains("connection refused")
    );
}

#[test]
fn a_command_that_crashed_or_was_killed_is_a_warning() {
    let world = World::start();
    for (number, (script, code, level)) in [
        ("kill -KILL $$", 137, "warn"),
        ("kill -SEGV $$", 139, "warn"),
        // A shell tells of its child in the same way.
        ("sh -c 'kill -KILL $$'; exit $?", 137, "warn"),
        ("kill -TERM $$", 143, "info"),
        ("exit 1", 1, "info"),
    ]
    .into_iter()
    .enumerate()
    {
        let sid = format!("sid-{number}");
        let request = SessionRequest::exec(&["sh", "-c", script]).sid(&sid);
        assert_eq!(world.open(request).run(b"").code, code, "{script}");
        let ended = wait(&world.agent, "json", &sid, "session ended");
        assert_eq!(ended["level"], level, "{script}");
    }
}

#[test]
fn a_refused_session_is_told_with_who_asked_for_it_and_why() {
    let world = World::start();
    let request = SessionRequest::new("rdp", "connect").sid("type");
    world.open(request).wait_refusal();
    let request = SessionRequest::exec(&["true"]).sid("policy");
    let rules = r#"{"input_rules":[{"rules":[{"type":"deny_words_list","words":["x"]}]}]}"#;
    world.open(request.guard_rails(rules)).wait_refusal();
    for (sid, verb, why) in [("type", "connect", "rdp"), ("policy", "exec", "guardrail")] {
        let refused = wait(&world.agent, "json", sid, "session refused");
        assert_eq!(refused["level"], "warn");
        assert_eq!(refused["connection"], "demo");
        assert_eq!(refused["user"], "dev@example.com");
        assert_eq!(refused["verb"], verb);
        assert!(
            refused["cause"].as_str().unwrap().contains(why),
            "{refused}"
        );
    }
}

#[test]
fn debug_tells_of_connections_commands_and_addresses_but_of_no_argument() {
    let world = World::with_variables(&[("LOG_LEVEL", "debug")]);
    let echo = Target::start(Manner::Echo);
    let mut forward = world.open(SessionRequest::tcp("localhost", echo.port()).sid("forward"));
    forward.wait_open();
    forward.send_to("7", b"hello");
    forward.receive("7", 5);
    let opened = wait(&world.agent, "json", "forward", "connection opened");
    let address = format!("127.0.0.1:{}", echo.port());
    assert_eq!(
        (&opened["id"], &opened["address"]),
        (&"7".into(), &address.clone().into())
    );
    forward.disconnect("7");
    let closed = wait(&world.agent, "json", "forward", "connection closed");
    assert_eq!(
        (&closed["id"], &closed["address"]),
        (&"7".into(), &address.into())
    );
    assert_eq!(
        (&closed["bytes_in"], &closed["bytes_out"]),
        (&5.into(), &5.into())
    );
    let resolved = wait(&world.agent, "json", "forward", "addresses");
    assert!(
        resolved["addresses"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1:")
    );

    let secret = "hunter2-of-an-argument";
    let request = SessionRequest::exec(&["sh", "-c", "echo $$; sleep 0", secret]).sid("command");
    let outcome = world.open(request.env("PASS", secret)).run(b"");
    let started = wait(&world.agent, "json", "command", "command started");
    assert_eq!(started["program"], "sh");
    assert_eq!(
        started["pid"].as_u64().unwrap().to_string(),
        outcome.out().trim()
    );
    let lines = world.agent.lines();
    assert!(
        lines.iter().all(|line| !line.contains(secret)),
        "{lines:#?}"
    );
}

#[test]
fn trace_tells_of_packets_by_kind_and_size_and_of_nothing_in_them() {
    let world = World::with_variables(&[("LOG_LEVEL", "trace")]);
    let request = SessionRequest::exec(&["cat"]).sid("traced");
    assert_eq!(world.open(request).run(b"inside").out(), "inside");
    for (direction, kind) in [("from", "AgentExecWriteStdin"), ("to", "ClientWriteStdout")] {
        let line = world.agent.wait_line(kind, |line| {
            line.contains(kind) && line.contains("\"sid\":\"traced\"")
        });
        let packet = fields("json", &line, "traced", "packet").unwrap();
        assert_eq!(
            (&packet["direction"], &packet["size"]),
            (&direction.into(), &6.into())
        );
    }
    let lines = world.agent.lines();
    assert!(
        lines.iter().all(|line| !line.contains("inside")),
        "{lines:#?}"
    );
}

#[test]
fn the_end_of_the_link_names_the_sessions_that_ended_with_it() {
    let world = World::start();
    let mut consoles = Vec::new();
    for sid in ["first", "second"] {
        let mut console = world.open(SessionRequest::console(&["cat"]).sid(sid));
        console.start_console();
        console.write("x\n");
        console.expect("x\r\nx\r\n");
        consoles.push(console);
    }
    world.gateway.drop_link("demo");
    for sid in ["first", "second"] {
        let ended = wait(&world.agent, "json", sid, "session ended");
        assert_eq!(ended["level"], "warn");
        let cause = ended["cause"].as_str().unwrap();
        assert!(
            cause.starts_with("ended with the link to the gateway: "),
            "{ended}"
        );
    }
}
