//! `hoop exec`: output, exit codes, standard input, many at a time.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use loopback_gateway::process::{is_alive, wait_gone};
use loopback_gateway::targets::pattern;
use loopback_gateway::{Gateway, SessionRequest};

use crate::world::{Folder, World};

#[test]
fn output_and_errors_arrive_apart_and_the_exit_code_is_the_programs_own() {
    let world = World::start();
    let outcome = world.shell("echo out; echo err >&2; exit 3");
    assert_eq!(
        (outcome.out().as_str(), outcome.err().as_str(), outcome.code),
        ("out\n", "err\n", 3)
    );
    assert!(outcome.text.contains("exit status 3"), "{}", outcome.text);
    let outcome = world.shell("exit 0");
    assert_eq!((outcome.code, outcome.text.as_str()), (0, ""));
}

#[test]
fn a_missing_program_is_127_and_named() {
    let world = World::start();
    let outcome = world.exec(&["no-such-program-anywhere"]);
    assert_eq!(outcome.code, 127);
    assert!(
        outcome.text.contains("no-such-program-anywhere"),
        "{}",
        outcome.text
    );
}

#[test]
fn a_program_that_may_not_run_is_126() {
    let world = World::start();
    let folder = Folder::new("not-executable");
    std::fs::write(folder.file("program"), "#!/bin/sh\n").unwrap();
    assert_eq!(world.exec(&[&folder.file("program")]).code, 126);
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    let world = World::start();
    assert_eq!(world.shell("kill -KILL $$").code, 137);
    assert_eq!(world.shell("kill -TERM $$").code, 143);
}

#[test]
fn open_ok_tells_the_type_and_the_command() {
    let world = World::start();
    let mut session = world.open(SessionRequest::exec(&["echo", "a"]).args(&["b", "c"]));
    let opened = session.wait_open();
    assert_eq!(
        opened.text("gateway.connection_type").as_deref(),
        Some("command-line")
    );
    assert_eq!(opened.text("client.command").as_deref(), Some("echo a b c"));
    assert_eq!(opened.text("client.request_port").as_deref(), Some(""));
    session.send_stdin(b"");
    assert_eq!(session.finish().out(), "a b c\n");
}

#[test]
fn arguments_of_the_connection_and_the_client_are_not_applied_twice() {
    let world = World::start();
    let request = SessionRequest::exec(&["printf", "%s|"]).args(&["x y", "z"]);
    assert_eq!(world.open(request).run(b"").out(), "x y|z|");
}

#[test]
fn twelve_mebibytes_of_standard_input_arrive_whole_and_end() {
    let world = World::start();
    let input = pattern(12, 12 << 20);
    let folder = Folder::new("stdin");
    std::fs::write(folder.file("input"), &input).unwrap();
    let here = Command::new("sha256sum")
        .arg(folder.file("input"))
        .output()
        .unwrap();
    let here = String::from_utf8(here.stdout).unwrap();
    let outcome = world.open(SessionRequest::exec(&["sha256sum"])).run(&input);
    assert_eq!(outcome.code, 0);
    assert_eq!(outcome.out().split(' ').next(), here.split(' ').next());
}

#[test]
fn forty_eight_mebibytes_of_output_arrive_whole() {
    let world = World::start();
    let folder = Folder::new("output");
    let content = pattern(48, 48 << 20);
    std::fs::write(folder.file("content"), &content).unwrap();
    let outcome = world.exec(&["cat", &folder.file("content")]);
    assert_eq!(outcome.code, 0);
    assert_eq!(outcome.stdout.len(), content.len());
    assert!(outcome.stdout == content, "the content differs");
}

#[test]
fn a_program_that_ignores_its_input_ends_with_its_own_code() {
    let world = World::start();
    let outcome = world
        .open(SessionRequest::exec(&["sh", "-c", "exit 4"]))
        .run(&pattern(1, 4 << 20));
    assert_eq!(outcome.code, 4);
}

#[test]
fn a_hundred_commands_ten_at_a_time_get_their_own_answers() {
    let world = World::start();
    let gateway: &Gateway = &world.gateway;
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= 100 {
                        return;
                    }
                    let script = format!("cat; echo {number}; exit {}", number % 7);
                    let request = SessionRequest::exec(&["sh", "-c", &script]);
                    let outcome = gateway
                        .open_session(request)
                        .run(format!("in {number} ").as_bytes());
                    assert_eq!(outcome.out(), format!("in {number} {number}\n"));
                    assert_eq!(outcome.code, (number % 7) as i64);
                }
            });
        }
    });
    world.agent.wait_childless();
}

#[test]
fn a_background_child_that_holds_the_output_does_not_hold_the_session() {
    let world = World::start();
    let outcome = world.shell("sleep 300 & echo $!");
    assert_eq!(outcome.code, 0);
    let child: i32 = outcome.out().trim().parse().unwrap();
    if is_alive(child) {
        let _ = Command::new("kill")
            .arg("-KILL")
            .arg(child.to_string())
            .status();
    }
}

#[test]
fn a_filter_that_outlives_its_command_gives_all_of_its_output() {
    let world = World::start();
    let script = "(for n in 1 2 3 4 5 6; do sleep 0.5; echo $n; done) & exit 3";
    let outcome = world.shell(script);
    assert_eq!(
        (outcome.out().as_str(), outcome.code),
        ("1\n2\n3\n4\n5\n6\n", 3)
    );
}

#[test]
fn a_job_that_prints_for_ever_is_cut_and_the_log_says_so() {
    let world = World::with_variables(&[("HOOP_LITE_OUTPUT_AFTER_EXIT", "1s")]);
    let outcome = world.shell("while sleep 0.1; do echo x; done & exit 4");
    assert_eq!(outcome.code, 4);
    assert!(outcome.out().starts_with("x\nx\n"), "{}", outcome.out());
    let line = world.agent.wait_text("output cut");
    assert!(line.contains("1 s ago") && line.contains("sid"), "{line}");
}

#[test]
fn who_opens_a_session_with_the_id_of_a_live_one_does_not_get_its_keys() {
    let world = World::start();
    let console = || SessionRequest::console(&["cat"]).sid("chosen");
    let mut victim = world.open(console());
    victim.start_console();
    victim.write("x\n");
    victim.expect("x\r\nx\r\n");
    let thief = console().open_packet("chosen");
    victim.send(thief);
    let close = victim.wait_close();
    assert_eq!(close.code, Some(254));
    assert!(close.text.contains("id of this one"), "{close:?}");
    world.agent.wait_childless();
    assert_eq!(world.shell("echo others go on").code, 0);
}

#[test]
fn a_client_that_leaves_takes_its_process_along() {
    let world = World::start();
    let mut session = world.open(SessionRequest::exec(&["sh"]));
    session.wait_open();
    session.send_stdin(b"trap '' TERM; echo $$; sleep 300");
    let pid: i32 = session.expect("\n").trim().parse().unwrap();
    session.kill();
    wait_gone(pid);
    world.agent.wait_childless();
}

#[test]
fn a_second_standard_input_does_not_run_the_command_again() {
    let world = World::start();
    let folder = Folder::new("twice");
    let script = format!("echo x >> {}; cat >/dev/null", folder.file("runs"));
    let mut session = world.open(SessionRequest::exec(&["sh", "-c", &script]));
    session.wait_open();
    session.send_stdin(b"one");
    session.send_stdin(b"two");
    assert_eq!(session.finish().code, 0);
    assert_eq!(std::fs::read_to_string(folder.file("runs")).unwrap(), "x\n");
}

#[test]
fn a_slow_reader_of_one_session_loses_nothing() {
    let world = World::start();
    let mut session = world.open(SessionRequest::exec(&["sh", "-c", "seq 1 400000"]));
    session.wait_open();
    session.limit_inbox(64 << 10);
    session.send_stdin(b"");
    let outcome = session.finish();
    let wanted: String = (1..=400_000).map(|n| format!("{n}\n")).collect();
    assert!(
        outcome.out() == wanted,
        "{} bytes instead of {}",
        outcome.stdout.len(),
        wanted.len()
    );
}

#[test]
fn a_gateway_of_2024_is_understood() {
    let world = World::start();
    let request = SessionRequest::exec(&["sh", "-c", "echo $NAME"])
        .env("NAME", "old")
        .of_2024();
    assert_eq!(world.open(request).run(b"").out(), "old\n");
}
