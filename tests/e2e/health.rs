//! The health endpoint as probes meet it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use loopback_gateway::{AgentProcess, Gateway, Security, SessionRequest};

use crate::world::{AGENT, Folder, World, console_at_work, environment};

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_address_of_the_machine_is_served_by_one_setting() {
    let port = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let listen = format!("[::]:{port}");
    let variables = environment(&gateway, &key, &[("HOOP_LITE_HEALTH_LISTEN", &listen)]);
    let agent = AgentProcess::start(AGENT, &variables);
    agent.wait_text("connected with success");
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ] {
        let answer = ask(address, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let absolute = format!("GET http://{address}/livez HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(ask(address, &absolute).starts_with("HTTP/1.1 200 OK\r\n"));
        let many = "x-header: of a proxy with a long value\r\n".repeat(90);
        let more = format!("x-more: {}\r\n", "v".repeat(4000));
        let large = format!("GET /livez HTTP/1.1\r\n{many}{more}\r\n");
        assert!(ask(address, &large).starts_with("HTTP/1.1 200 OK\r\n"));
        let head = ask(address, "HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(
            head.ends_with("\r\n\r\n") && head.contains("Content-Length: "),
            "{head}"
        );
        assert!(!head.contains("Content-Length: 0"), "{head}");
    }
}

/// What `hoop-lite health` says, and its exit status.
fn health(probe: &str, listen: &str) -> (Option<i32>, String) {
    let mut command = AgentProcess::command(AGENT, &[]);
    command.args(["health", probe, "--health-listen", listen]);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn the_health_command_asks_the_address_that_the_agent_has() {
    let folder = Folder::new("health-command");
    let port = free_port();
    for listen in [
        port.to_string(),
        format!(":{port}"),
        format!("localhost:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        folder.file("socket"),
    ] {
        let world = World::with_variables(&[("HOOP_LITE_HEALTH_LISTEN", &listen)]);
        world.agent.wait_text("connected with success");
        for probe in ["livez", "readyz", "healthz"] {
            let want = (Some(0), "connected\n".to_owned());
            assert_eq!(health(probe, &listen), want, "{probe} {listen}");
        }
        world.gateway.kill();
        world.agent.wait_text("disconnected from");
        let (code, text) = health("readyz", &listen);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("disconnected"), "{text}");
        assert_eq!(health("livez", &listen).0, Some(0));
        drop(world);
        let (code, text) = health("livez", &listen);
        assert!(
            code == Some(1) && text.contains("is the agent running?"),
            "{text}"
        );
    }
}

#[test]
fn the_health_command_without_an_address_says_where_to_set_one() {
    let (code, text) = health("livez", "off");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("no address to ask at: set HOOP_LITE_HEALTH_LISTEN"),
        "{text}"
    );
}

#[test]
fn an_address_that_is_taken_is_named() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let taken = gateway.address().to_string();
    let variables = environment(&gateway, &key, &[("HOOP_LITE_HEALTH_LISTEN", &taken)]);
    let agent = AgentProcess::start(AGENT, &variables);
    assert_eq!(agent.wait_exit().code(), Some(1));
    let line = agent.wait_text("address is taken");
    assert!(
        line.contains(&taken) && line.contains("--health-listen"),
        "{line}"
    );
}

#[test]
fn an_embedded_agent_that_nobody_needs_says_one_thing_everywhere() {
    let port = free_port();
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "embedded");
    let listen = format!("127.0.0.1:{port}");
    let variables = environment(&gateway, &key, &[("HOOP_LITE_HEALTH_LISTEN", &listen)]);
    let agent = AgentProcess::start(AGENT, &variables);
    let sentence = "the gateway accepts the key, waiting for a session";
    agent.wait_text(sentence);
    assert_eq!(
        health("readyz", &listen),
        (Some(0), format!("{sentence}\n"))
    );
    let address: SocketAddr = listen.parse().unwrap();
    let figures = ask(address, "GET /metrics HTTP/1.1\r\n\r\n");
    for line in [
        "hoop_lite_link_up 1",
        "hoop_lite_link_state{state=\"idle\"} 1",
        "hoop_lite_link_state{state=\"live\"} 0",
        "hoop_lite_key_state{state=\"accepted\"} 1",
    ] {
        assert!(
            figures.lines().any(|found| found == line),
            "{line}: {figures}"
        );
    }
    let told = agent
        .lines()
        .iter()
        .filter(|line| line.contains(sentence))
        .count();
    assert_eq!(told, 1, "it is said once");
}

#[test]
fn figures_tell_of_build_memory_descriptors_sessions_failures_and_the_certificate() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let world = World::with_variables(&[("HOOP_LITE_HEALTH_LISTEN", &listen)]);
    let console = console_at_work(&world.gateway);
    let refused = SessionRequest::new("rdp", "connect");
    world.open(refused).wait_refusal();
    let closed = free_port();
    world
        .open(SessionRequest::tcp("127.0.0.1", closed))
        .wait_refusal();
    let figures = ask(listen.parse().unwrap(), "GET /metrics HTTP/1.1\r\n\r\n");
    let value = |name: &str| -> f64 {
        let found = figures
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found
            .unwrap_or_else(|| panic!("{name}: {figures}"))
            .parse()
            .unwrap()
    };
    assert!(
        figures.contains("hoop_lite_build_info{version=\""),
        "{figures}"
    );
    assert!(value("process_resident_memory_bytes") > 100_000.0);
    assert!(value("process_open_fds") >= 5.0);
    assert!(value("process_max_fds") > value("process_open_fds"));
    assert!(value("process_start_time_seconds") > 1.7e9);
    assert!(value("hoop_lite_gateway_certificate_expiry_timestamp_seconds") > 1.7e9);
    assert_eq!(value("hoop_lite_sessions{type=\"command-line\"}"), 1.0);
    assert_eq!(
        value("hoop_lite_failures_total{reason=\"not_served\"}"),
        1.0
    );
    assert_eq!(
        value("hoop_lite_failures_total{reason=\"unreachable\"}"),
        1.0
    );
    assert_eq!(value("hoop_lite_queue_limit_bytes"), f64::from(32 << 20));
    console.write("\u{4}");
}
