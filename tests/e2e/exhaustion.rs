//! Machines that run out of descriptors, or of room for secret files.

use std::process::Command;

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Gateway, Security, Session, SessionRequest};

use crate::world::{AGENT, Folder, World, environment};

const DESCRIPTORS_MAX: usize = 48;

/// A shell with the agent's variables, which becomes the agent.
fn instead(script: &str, variables: &[(String, String)]) -> Command {
    let mut command = AgentProcess::command("sh", variables);
    command.args(["-c", script]);
    command
}

/// A world whose agent has few descriptors.
fn narrow_world(temp: &str) -> World {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let variables = environment(&gateway, &key, &[("RUNTIME_DIRECTORY", temp)]);
    let mut command = instead(
        &format!("ulimit -n {DESCRIPTORS_MAX} && exec {AGENT}"),
        &variables,
    );
    let agent = AgentProcess::spawn(&mut command);
    gateway.wait_online("demo");
    World {
        agent,
        gateway,
        key,
    }
}

/// Opens connections until one is refused.
fn use_up<'world>(world: &'world World, target: &Target) -> Session<'world> {
    let mut hoard = world.open(SessionRequest::tcp("127.0.0.1", target.port()));
    hoard.wait_open();
    for number in 1..=DESCRIPTORS_MAX {
        let id = number.to_string();
        hoard.send_to(&id, b"x");
        if !hoard.answers(&id) {
            return hoard;
        }
    }
    panic!("no connection was refused");
}

#[test]
fn without_descriptors_new_sessions_are_refused_in_words_and_old_ones_go_on() {
    let folder = Folder::new("descriptors");
    let world = narrow_world(folder.path().to_str().unwrap());
    let target = Target::start(Manner::Echo);
    let before = world.agent.fds();
    let mut old = world.open(SessionRequest::console(&["cat"]));
    old.start_console();
    let hoard = use_up(&world, &target);
    let ways: [fn() -> SessionRequest; 3] = [
        || SessionRequest::exec(&["true"]),
        || SessionRequest::exec(&["true"]).file("SECRET", b"x"),
        || SessionRequest::console(&["true"]).file("SECRET", b"x"),
    ];
    for way in ways {
        let request = way();
        let is_console = request.params.client_verb == "connect";
        let mut session = world.open(request);
        session.wait_open();
        if is_console {
            session.start_console();
        } else {
            session.send_stdin(b"");
        }
        let close = session.wait_close();
        assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
        assert!(close.text.contains("file"), "{close:?}");
    }
    let close = world
        .open(SessionRequest::tcp("127.0.0.1", target.port()))
        .wait_refusal();
    assert!(close.text.contains("file"), "{close:?}");
    old.write("goes on\n");
    old.expect("goes on\r\ngoes on\r\n");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "secret files left something: {left:?}");
    drop((hoard, old));
    world.agent.wait_fds(before);
    assert_eq!(world.shell("echo again").out(), "again\n");
}

#[test]
fn without_room_for_a_secret_file_the_session_is_refused_and_nothing_is_left() {
    let disk = Folder::new("full-disk");
    let path = disk.path().to_str().unwrap().to_owned();
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let variables = environment(&gateway, &key, &[("RUNTIME_DIRECTORY", &path)]);
    // A mount namespace, so that the small disk goes with the agent. Needs root.
    let script = format!(
        "exec unshare --mount sh -c 'mount -t tmpfs -o size=64k,mode=1777 none {path} && exec {AGENT}'"
    );
    let mut command = instead(&script, &variables);
    let agent = AgentProcess::spawn(&mut command);
    gateway.wait_online("demo");
    let size = |bytes: usize| {
        let request = SessionRequest::exec(&["sh", "-c", "wc -c <\"${SECRET}\""])
            .file("SECRET", &vec![b'x'; bytes]);
        gateway.open_session(request).run(b"")
    };
    assert_eq!(size(32 << 10).out().trim(), "32768");
    for _ in 0..3 {
        let refused = size(96 << 10);
        assert!(refused.code > 0 && refused.out().is_empty(), "{refused:?}");
        assert!(
            refused.text.contains("no space left for secret files"),
            "{refused:?}"
        );
    }
    let root = format!("/proc/{}/root{path}", agent.pid());
    let folders: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    assert_eq!(std::fs::read_dir(&folders[0]).unwrap().count(), 0);
    assert_eq!(size(48 << 10).out().trim(), "49152");
}
