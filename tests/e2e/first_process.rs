//! The agent as the first process of a container. These tests need root, for a PID namespace.

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Gateway, Security, SessionRequest};

use crate::world::{AGENT, Folder, console_at_work, environment, forward_at_work};

fn start(more: &[(&str, &str)], words: &[&str]) -> (Gateway, AgentProcess) {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let mut command = AgentProcess::command(AGENT, &environment(&gateway, &key, more));
    command.args(words);
    let agent = AgentProcess::spawn_as_first(&command);
    gateway.wait_online("demo");
    (gateway, agent)
}

#[test]
fn orphans_of_sessions_are_collected() {
    let (gateway, agent) = start(&[], &[]);
    let script = "for n in 1 2 3 4 5 6 7 8 9; do (setsid sh -c 'exit 3' &) ; done; echo gone";
    for _ in 0..5 {
        let session = gateway.open_session(SessionRequest::exec(&["sh", "-c", script]));
        assert_eq!(session.run(b"").out(), "gone\n");
    }
    // Zombies count as children.
    agent.wait_childless();
}

#[test]
fn term_drains_and_takes_every_process_along() {
    let (gateway, agent) = start(&[("HOOP_LITE_DRAIN_TIMEOUT", "100ms")], &[]);
    let target = Target::start(Manner::Echo);
    let mut command = gateway.open_session(SessionRequest::exec(&["sh", "-c", "echo up; cat"]));
    command.wait_open();
    command.send_stdin(b"x");
    let mut console = console_at_work(&gateway);
    let mut forward = forward_at_work(&gateway, &target);
    agent.signal(libc::SIGTERM);
    for session in [&mut console, &mut forward] {
        assert!(!session.wait_close().text.is_empty());
    }
    assert_eq!(agent.wait_exit().code(), Some(0));
    target.wait_idle();
}

#[test]
fn signals_reach_the_program_beside_the_agent_and_its_status_is_the_containers() {
    let folder = Folder::new("first-process");
    let ready = folder.file("ready");
    let script = format!("trap 'exit 41' TERM; : > {ready}; while :; do sleep 0.01; done");
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let mut command = AgentProcess::command(AGENT, &environment(&gateway, &key, &[]));
    command.args(["run", "--", "sh", "-c", &script]);
    let agent = AgentProcess::spawn_as_first(&command);
    let deadline = std::time::Instant::now() + loopback_gateway::deadline();
    while !std::path::Path::new(&ready).exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "the program did not start"
        );
        std::thread::yield_now();
    }
    agent.signal(libc::SIGTERM);
    assert_eq!(agent.wait_exit().code(), Some(41));
}
