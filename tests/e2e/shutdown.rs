//! How the program leaves.

use loopback_gateway::SessionRequest;
use loopback_gateway::event::Event;
use loopback_gateway::targets::{Manner, Target};

use crate::world::{World, console_at_work, forward_at_work};

#[test]
fn term_without_sessions_ends_with_0() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let world = World::start();
        world.agent.signal(signal);
        assert_eq!(world.agent.wait_exit().code(), Some(0));
        world.gateway.wait_offline("demo");
    }
}

#[test]
fn term_closes_open_sessions_by_packet_before_the_stream_ends() {
    let world = World::with_variables(&[("HOOP_LITE_DRAIN_TIMEOUT", "1s")]);
    let target = Target::start(Manner::Echo);
    let mut tcp = forward_at_work(&world.gateway, &target);
    let mut console = console_at_work(&world.gateway);
    world.agent.signal(libc::SIGTERM);
    world.agent.wait_text("2 sessions may finish, for 1.0 s");
    for session in [&mut tcp, &mut console] {
        let close = session.wait_close();
        assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
        assert!(!close.text.is_empty());
    }
    world
        .agent
        .wait_text("the time to finish is over, closing 2 sessions");
    assert_eq!(world.agent.wait_exit().code(), Some(0));
    target.wait_idle();
    let reason = world
        .gateway
        .wait_event(0, "the stream's end", |event| match event {
            Event::Offline { reason, .. } => Some(reason.clone()),
            _ => None,
        });
    assert!(!reason.contains("reset"), "{reason}");
}

#[test]
fn a_command_that_ends_within_the_drain_keeps_its_output_and_code() {
    let world = World::with_variables(&[("HOOP_LITE_DRAIN_TIMEOUT", "60s")]);
    let folder = crate::world::Folder::new("drain");
    let gate = folder.file("gate");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&gate)
            .status()
            .unwrap()
            .success()
    );
    let script = format!("echo started; cat {gate}; exit 9");
    let mut session = world.open(SessionRequest::exec(&["sh", "-c", &script]));
    session.wait_open();
    session.send_stdin(b"");
    session.expect("started\n");
    world.agent.signal(libc::SIGTERM);
    std::fs::write(&gate, "finished\n").unwrap();
    let outcome = session.finish();
    assert_eq!(
        (outcome.out().as_str(), outcome.code),
        ("started\nfinished\n", 9)
    );
    assert_eq!(world.agent.wait_exit().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let world = World::with_variables(&[("HOOP_LITE_DRAIN_TIMEOUT", "10m")]);
    let _console = console_at_work(&world.gateway);
    world.agent.signal(libc::SIGTERM);
    // Two that come together are one.
    world.agent.wait_text("may finish");
    world.agent.signal(libc::SIGTERM);
    world.agent.wait_exit();
}

#[test]
fn a_process_that_cleans_up_when_asked_to_end_may_finish_that() {
    let world = World::with_variables(&[("HOOP_LITE_DRAIN_TIMEOUT", "0s")]);
    let folder = crate::world::Folder::new("clean-up");
    let done = folder.file("done");
    let mut quick = world.open(SessionRequest::exec(&["sh"]));
    quick.wait_open();
    quick.send_stdin(b"echo up; exec sleep 1000");
    quick.expect("up\n");
    // The agent hears of the end of the quick one while this one is at it. Its shell would say
    // which child a signal has killed, to a pipe that nobody reads.
    let script = format!(
        "exec 2>/dev/null; trap 'sleep 0.02; echo finished > {done}; exit' TERM; echo up; while :; do sleep 0.01; done"
    );
    let mut careful = world.open(SessionRequest::exec(&["sh"]));
    careful.wait_open();
    careful.send_stdin(script.as_bytes());
    careful.expect("up\n");
    world.agent.signal(libc::SIGTERM);
    assert_eq!(world.agent.wait_exit().code(), Some(0));
    assert_eq!(std::fs::read_to_string(done).unwrap(), "finished\n");
}

#[test]
fn an_agent_without_a_key_says_what_is_missing_and_ends_with_2() {
    let agent = loopback_gateway::AgentProcess::start(crate::world::AGENT, &[]);
    assert_eq!(agent.wait_exit().code(), Some(2));
    agent.wait_text("missing HOOP_KEY environment variable");
}

#[test]
fn a_value_that_none_of_our_variables_has_ends_with_2_and_an_apps_is_passed_over() {
    for (variable, flag) in [
        ("HOOP_LITE_LOG_LEVEL", "--log-level"),
        ("HOOP_LITE_LOG_ENCODING", "--format"),
        ("HOOP_LITE_STALL_MAX", "--stall-max"),
    ] {
        let variables = [
            (
                "HOOP_KEY".to_owned(),
                "grpc://demo:xagt-s@127.0.0.1:1".to_owned(),
            ),
            (variable.to_owned(), "loud".to_owned()),
        ];
        let agent = loopback_gateway::AgentProcess::start(crate::world::AGENT, &variables);
        assert_eq!(agent.wait_exit().code(), Some(2), "{variable}");
        agent.wait_text(&format!("{variable} ({flag}) wants "));
    }
    let world = World::with_variables(&[("LOG_LEVEL", "loud")]);
    world.agent.wait_text("LOG_LEVEL wants trace, debug");
    world.agent.wait_text("connected with success");
}

#[test]
fn a_key_that_is_no_key_ends_with_2_and_is_not_shown() {
    for key in [
        "grpcs://demo@host:8443",
        "ftp://demo:xagt-secret@host:1",
        "xagt-secret",
    ] {
        let variables = [("HOOP_KEY".to_owned(), key.to_owned())];
        let agent = loopback_gateway::AgentProcess::start(crate::world::AGENT, &variables);
        assert_eq!(agent.wait_exit().code(), Some(2), "{key}");
        agent.wait_text("HOOP_KEY");
        assert!(
            agent
                .lines()
                .iter()
                .all(|line| !line.contains("xagt-secret")),
            "{:?}",
            agent.lines()
        );
    }
}
