//! The way to the gateway: TLS, keys, trouble, and both modes.

use std::io::{Read, Write};
use std::net::TcpStream;

use loopback_gateway::event::{Event, header};
use loopback_gateway::targets::{Manner, Target, checksum, pattern, sent_by_source};
use loopback_gateway::{AgentProcess, Gateway, PreConnectMood, Security, SessionRequest, Setup};

use crate::world::{AGENT, Folder, World, console_at_work, environment};

#[test]
fn it_connects_over_every_tls_and_in_plaintext() {
    for security in [
        Security::Tls,
        Security::Tls12,
        Security::Tls13,
        Security::Plain,
    ] {
        let world = World::start_with(Setup::new(security), &[]);
        assert_eq!(
            world.shell("echo through").out(),
            "through\n",
            "{security:?}"
        );
    }
}

#[test]
fn it_introduces_itself_as_an_agent_should() {
    let world = World::start();
    let metadata = world.gateway.wait_online("demo");
    let value = |name: &str| header(&metadata, name);
    assert_eq!(
        value("authorization"),
        Some(format!("Bearer {}", world.key).as_str())
    );
    assert_eq!(value("origin"), Some("agent"));
    assert_eq!(
        value("version").unwrap_or_default(),
        "",
        "a version makes clients warn"
    );
    assert!(
        value("compiler").is_some_and(|text| text.contains("hoop-lite")),
        "{metadata:?}"
    );
    assert!(
        value("hostname").is_some_and(|text| !text.is_empty()),
        "{metadata:?}"
    );
    assert!(
        value("platform").is_some_and(|text| text.starts_with("linux/")),
        "{metadata:?}"
    );
    assert_eq!(value("connection-name"), None);
    world.gateway.wait_packet(0, "a keep-alive", |packet| {
        packet.kind == "GatewayKeepAlive"
    });
}

#[test]
fn the_trust_may_be_a_file_or_base64_and_nothing_else_is_trusted() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let pem = gateway.ca_pem().unwrap();
    let folder = Folder::new("trust");
    std::fs::write(folder.file("ca.pem"), pem).unwrap();
    let encoded = format!("base64://{}", loopback_gateway::base64(pem.as_bytes()));
    for trust in [format!("file://{}", folder.file("ca.pem")), encoded] {
        let variables = [
            ("HOOP_KEY".to_owned(), key.clone()),
            ("HOOP_TLSCA".to_owned(), trust),
        ];
        let agent = AgentProcess::start(AGENT, &variables);
        gateway.wait_online("demo");
        drop(agent);
        gateway.wait_offline("demo");
    }
    let other = Gateway::start(Security::Tls);
    let variables = [
        ("HOOP_KEY".to_owned(), key),
        ("HOOP_TLSCA".to_owned(), other.ca_pem().unwrap().to_owned()),
    ];
    let from = gateway.mark();
    let agent = AgentProcess::start(AGENT, &variables);
    gateway.wait_event(from, "a failed handshake", |event| match event {
        Event::HandshakeFailed { .. } => Some(()),
        _ => None,
    });
    agent.wait_line("the certificate named", |line| line.contains("certificate"));
    assert!(!gateway.is_online("demo"));
}

#[test]
fn a_certificate_for_another_host_is_refused_unless_its_name_is_asked_for() {
    let names = vec!["gateway.example.com".to_owned()];
    let gateway = Gateway::start_with(Setup {
        names,
        ..Setup::new(Security::Tls)
    });
    let key = gateway.register("demo", "standard");
    let agent = AgentProcess::start(AGENT, &gateway.environment(&key));
    gateway.wait_event(0, "a failed handshake", |event| match event {
        Event::HandshakeFailed { .. } => Some(()),
        _ => None,
    });
    drop(agent);
    let named = environment(
        &gateway,
        &key,
        &[("HOOP_TLSSERVERNAME", "gateway.example.com")],
    );
    let agent = AgentProcess::start(AGENT, &named);
    gateway.wait_online("demo");
    drop(agent);
    gateway.wait_offline("demo");
    let blind = environment(&gateway, &key, &[("HOOP_TLS_SKIP_VERIFY", "true")]);
    let agent = AgentProcess::start(AGENT, &blind);
    gateway.wait_online("demo");
    agent.wait_text("HOOP_TLS_SKIP_VERIFY");
}

#[test]
fn a_wrong_key_is_told_in_words_without_the_key_and_tried_again() {
    let gateway = Gateway::start(Security::Tls);
    gateway.register("demo", "standard");
    let key = gateway.key_for("demo", "xagt-not-the-one", "standard");
    let agent = AgentProcess::start(AGENT, &gateway.environment(&key));
    let end = gateway.wait_event(0, "a refusal", |event| match event {
        Event::Refused { end, .. } => Some(end.clone()),
        _ => None,
    });
    assert_eq!(
        (end.code, end.message.as_str()),
        (16, "invalid authentication")
    );
    agent.wait_text("refuses the key");
    assert!(agent.is_running());
    assert!(
        agent
            .lines()
            .iter()
            .all(|line| !line.contains("xagt-not-the-one")),
        "the key is logged"
    );
}

#[test]
fn a_key_with_another_agents_name_is_told() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway
        .register("demo", "standard")
        .replace("//demo:", "//other:");
    let agent = AgentProcess::start(AGENT, &gateway.environment(&key));
    agent.wait_text("mismatch dsn attributes");
}

#[test]
fn a_wrong_key_ends_the_program_with_3_when_asked_for() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.key_for("demo", "xagt-not-the-one", "standard");
    let variables = environment(&gateway, &key, &[("HOOP_LITE_EXIT_ON_REVOKED", "true")]);
    let agent = AgentProcess::start(AGENT, &variables);
    assert_eq!(agent.wait_exit().code(), Some(3));
}

#[test]
fn a_gateway_that_is_not_there_is_named_and_found_when_it_comes() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    gateway.stop_listening();
    let agent = AgentProcess::start(AGENT, &gateway.environment(&key));
    agent.wait_text("refused");
    gateway.listen_again();
    gateway.wait_online("demo");
}

#[test]
fn an_unknown_host_is_named() {
    let key = "grpcs://demo:xagt-secret@no-such-gateway.invalid:8443?mode=standard";
    let agent = AgentProcess::start(AGENT, &[("HOOP_KEY".to_owned(), key.to_owned())]);
    agent.wait_text("no-such-gateway.invalid");
    assert!(agent.is_running());
}

#[test]
fn a_static_token_connects_to_the_url_beside_it() {
    let gateway = Gateway::start(Security::Plain);
    gateway.register_token("demo", "x-agt-0123456789");
    let variables = [
        ("HOOP_TOKEN", "x-agt-0123456789"),
        ("HOOP_GRPCURL", &format!("http://{}", gateway.address())),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let _agent = AgentProcess::start(AGENT, &variables);
    let metadata = gateway.wait_online("demo");
    assert_eq!(
        header(&metadata, "authorization"),
        Some("Bearer x-agt-0123456789")
    );
}

#[test]
fn a_second_agent_with_the_same_key_waits_for_its_turn() {
    let world = World::start();
    let from = world.gateway.mark();
    let second = AgentProcess::start(AGENT, &world.gateway.environment(&world.key));
    world
        .gateway
        .wait_event(from, "a refusal", |event| match event {
            Event::Refused { end, .. } if end.message == "agent already connected" => Some(()),
            _ => None,
        });
    assert_eq!(world.shell("echo first").out(), "first\n");
    let from = world.gateway.mark();
    world.agent.signal(libc::SIGTERM);
    world.agent.wait_exit();
    world
        .gateway
        .wait_event(from, "the second agent", |event| match event {
            Event::Online { .. } => Some(()),
            _ => None,
        });
    assert!(second.is_running());
}

#[test]
fn every_way_to_lose_the_stream_leads_back_to_a_working_one() {
    type Trouble = (&'static str, fn(&Gateway));
    let troubles: [Trouble; 5] = [
        ("the stream ended as unavailable", |gateway| {
            gateway.end_stream("demo", 14, "going down")
        }),
        ("the stream reset", |gateway| gateway.reset_stream("demo")),
        ("the connection reset", |gateway| gateway.drop_link("demo")),
        ("the agent told to go away", |gateway| {
            gateway.go_away("demo");
            gateway.end_stream("demo", 14, "went away");
        }),
        ("the gateway killed and started again", |gateway| {
            gateway.kill();
            gateway.listen_again();
        }),
    ];
    let world = World::start();
    for (name, trouble) in troubles {
        let target = Target::start(Manner::Echo);
        let mut console = world.open(SessionRequest::console(&["cat"]));
        console.start_console();
        let mut tcp = world.open(SessionRequest::tcp("127.0.0.1", target.port()));
        tcp.wait_open();
        tcp.send_to("1", b"x");
        tcp.receive("1", 1);
        let from = world.gateway.mark();
        trouble(&world.gateway);
        console.wait_end();
        world.gateway.wait_event(from, name, |event| match event {
            Event::Online { .. } => Some(()),
            _ => None,
        });
        assert_eq!(world.shell("echo again").out(), "again\n", "{name}");
        // Nothing of the old sessions is left.
        world.agent.wait_childless();
        target.wait_idle();
    }
}

#[test]
fn a_gateway_killed_in_the_middle_of_a_transfer_leaves_nothing_behind() {
    let world = World::start();
    let target = Target::start(Manner::Source {
        seed: 2,
        count: 1 << 30,
    });
    let before = world.agent.fds();
    let mut session = world.open(SessionRequest::tcp("127.0.0.1", target.port()));
    let mut socket = TcpStream::connect(session.listen()).unwrap();
    socket.write_all(b"x").unwrap();
    socket.read_exact(&mut vec![0; 4 << 20]).unwrap();
    world.gateway.kill();
    world.gateway.listen_again();
    drop(session);
    world.gateway.wait_online("demo");
    target.wait_idle();
    assert_eq!(world.shell("echo back").out(), "back\n");
    world.agent.wait_fds(before);
}

#[test]
fn a_gateway_that_does_not_read_costs_bounded_memory_and_no_byte() {
    let setup = Setup::new(Security::Tls);
    let window = u64::from(setup.window);
    let world = World::start_with(setup, &[]);
    let count = 64 << 20;
    let target = Target::start(Manner::Source { seed: 8, count });
    let mut session = world.open(SessionRequest::tcp("127.0.0.1", target.port()));
    session.wait_open();
    let before = world.gateway.bytes_exchanged("demo").0;
    world.gateway.stall("demo", true);
    session.connect("1");
    // The window is used up: from here on the agent has to keep what it reads, or stop reading.
    world.gateway.wait_received("demo", before + window);
    assert!(
        world.agent.rss_kib() < 24 << 10,
        "{} KiB resident",
        world.agent.rss_kib()
    );
    world.gateway.stall("demo", false);
    let received = session.receive_to_end("1");
    assert_eq!(received.len(), count);
    assert_eq!(checksum(&received), checksum(&sent_by_source(8, count)));
    assert!(
        world.agent.rss_kib() < 24 << 10,
        "{} KiB resident",
        world.agent.rss_kib()
    );
}

#[test]
fn a_target_whose_client_left_is_drained_while_the_gateway_takes_nothing() {
    let world = World::start();
    let echo = Target::start(Manner::Echo);
    let mut session = world.open(SessionRequest::tcp("127.0.0.1", echo.port()));
    session.wait_open();
    world.gateway.stall("demo", true);
    let sent = pattern(9, 24 << 20);
    for part in sent.chunks(1 << 20) {
        session.send_to("1", part);
    }
    session.disconnect("1");
    // The echo takes the rest only if somebody takes from it what it says.
    let ending = echo.wait_endings(1)[0].clone();
    assert_eq!((ending.count, ending.in_order), (sent.len(), true));
    assert_eq!(ending.checksum, checksum(&sent));
    world.gateway.stall("demo", false);
}

#[test]
fn unknown_packets_and_keys_are_ignored() {
    use loopback_gateway::Packet;
    let world = World::start();
    for packet in [
        Packet::new("PacketOfTheFuture")
            .with("gateway.session_id", "sid")
            .carrying("x"),
        Packet::new(""),
        Packet::new("AgentTerminalClose").with("gateway.session_id", "sid"),
        Packet::new("AgentSessionClose").with("gateway.session_id", "no such session"),
        Packet::new("ClientSessionClose").with("gateway.session_id", "wrong way round"),
        Packet::new("GatewayFeatureFlagUpdate").with("feature-flags", "{not json"),
        Packet::new("GatewayFeatureFlagUpdate"),
    ] {
        world.gateway.send("demo", packet);
    }
    world.gateway.settle("demo");
    let mut request = SessionRequest::exec(&["echo", "fine"]);
    request
        .extra
        .push(("key.of.the.future".to_owned(), vec![0, 255]));
    assert_eq!(world.open(request).run(b"").out(), "fine\n");
}

#[test]
fn a_packet_near_the_size_limit_is_taken() {
    let world = World::start();
    let input = pattern(4, 17 << 20);
    let input = &input[..input.len() - 4096];
    let outcome = world.open(SessionRequest::exec(&["wc", "-c"])).run(input);
    assert_eq!(outcome.out().trim(), input.len().to_string());
}

#[test]
fn an_embedded_agent_comes_when_somebody_waits_and_brings_its_environment() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "embedded");
    let variables = environment(
        &gateway,
        &key,
        &[("APP_SETTING", "of the app"), ("OVERRIDDEN", "by the app")],
    );
    let agent = AgentProcess::start(AGENT, &variables);
    let answer = gateway.wait_event(0, "PreConnect", |event| match event {
        Event::PreConnect { answer, .. } => Some(answer.clone()),
        _ => None,
    });
    assert_eq!(answer.as_deref(), Ok("BACKOFF"));
    assert!(!gateway.is_online("demo"));
    let request = SessionRequest::exec(&["env"]).env("OVERRIDDEN", "by the connection");
    let outcome = gateway.open_session(request).run(b"");
    let lines: Vec<String> = outcome.out().lines().map(str::to_owned).collect();
    // Upstream lets the app's variables override the connection's (gateway-protocol 8.2); we do not.
    for wanted in ["APP_SETTING=of the app", "OVERRIDDEN=by the connection"] {
        assert!(
            lines.iter().any(|line| line == wanted),
            "{wanted} is missing: {lines:#?}"
        );
    }
    assert!(
        !outcome.out().contains("xagt-"),
        "the key is in the session's environment"
    );
    assert!(agent.is_running());
}

#[test]
fn an_apps_and_a_clients_variables_steer_no_connection() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "embedded");
    let ours = [("PORT", "3000"), ("HOST", "0.0.0.0"), ("EKS_CLUSTER", "x")];
    let _agent = AgentProcess::start(AGENT, &environment(&gateway, &key, &ours));
    let target = Target::start(Manner::Echo);
    let request = SessionRequest::tcp("127.0.0.1", target.port());
    let request = request
        .client_env("PORT", "1")
        .client_env("HOST", "elsewhere");
    let mut session = gateway.open_session(request);
    session.wait_open();
    session.send_to("1", b"x");
    assert_eq!(session.receive("1", 1), b"x");
    // What the connection lacks is lacking, whoever has it.
    let lacking = SessionRequest::tcp("127.0.0.1", 1).with(|params| params.env_vars = None);
    let close = gateway
        .open_session(lacking.client_env("PORT", "1"))
        .wait_refusal();
    assert!(close.text.contains("[HOST, PORT]"), "{close:?}");
}

#[test]
fn a_deleted_key_ends_the_sessions_within_the_check_interval() {
    let world = World::with_variables(&[("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")]);
    let target = Target::start(Manner::Echo);
    let mut console = world.open(SessionRequest::console(&["cat"]));
    console.start_console();
    let mut tcp = world.open(SessionRequest::tcp("127.0.0.1", target.port()));
    tcp.wait_open();
    tcp.send_to("1", b"x");
    tcp.receive("1", 1);
    world.gateway.revoke("demo");
    world.gateway.wait_offline("demo");
    console.wait_end();
    target.wait_idle();
    world.agent.wait_childless();
    world.agent.wait_text("refuses the key");
}

#[test]
fn a_check_that_fails_otherwise_ends_nothing() {
    let world = World::with_variables(&[("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")]);
    world
        .gateway
        .set_preconnect(PreConnectMood::Fail(13, "database down".to_owned()));
    let stream = world.gateway.stream_number("demo");
    let from = world.gateway.mark();
    world
        .gateway
        .wait_event(from, "a key check", |event| match event {
            Event::PreConnect { .. } => Some(()),
            _ => None,
        });
    world.gateway.settle("demo");
    assert_eq!(world.gateway.stream_number("demo"), stream);
}

#[test]
fn after_a_goodbye_sessions_go_on_and_a_deleted_key_is_still_noticed() {
    let world = World::with_variables(&[("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")]);
    let mut console = console_at_work(&world.gateway);
    let stream = world.gateway.stream_number("demo");
    world.gateway.go_away("demo");
    world.agent.wait_text("says goodbye");
    let from = world.gateway.mark();
    let asked =
        world
            .gateway
            .wait_event(from, "a key check beside the link", |event| match event {
                Event::PreConnect { link, .. } => Some(*link),
                _ => None,
            });
    let of_stream = |event: &Event| match event {
        Event::Online { link, .. } => Some(*link),
        _ => None,
    };
    let link = world.gateway.wait_event(0, "the link", of_stream);
    assert_ne!(asked, link);
    console.write("on\n");
    console.expect("on\r\non\r\n");
    assert_eq!(world.shell("echo new").out(), "new\n");
    assert_eq!(world.gateway.stream_number("demo"), stream);
    world.gateway.revoke("demo");
    console.wait_end();
    world.agent.wait_childless();
}

#[test]
fn after_a_goodbye_the_agent_moves_when_its_last_session_has_ended() {
    let world = World::start();
    let console = console_at_work(&world.gateway);
    world.gateway.go_away("demo");
    world.agent.wait_text("says goodbye");
    let from = world.gateway.mark();
    drop(console);
    world
        .gateway
        .wait_event(from, "another stream", |event| match event {
            Event::Online { .. } => Some(()),
            _ => None,
        });
    assert_eq!(world.shell("echo moved").out(), "moved\n");
}

#[test]
fn a_gateway_that_falls_silent_is_given_up() {
    let world = World::with_variables(&[("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")]);
    let from = world.gateway.mark();
    world.gateway.freeze("demo", true);
    world
        .gateway
        .wait_event(from, "another connection", |event| match event {
            Event::Accepted { .. } => Some(()),
            _ => None,
        });
}
