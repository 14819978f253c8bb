//! Every signal to `hoop-lite run` is meant for the program beside the agent.

use std::process::Command;

use loopback_gateway::start::{with_alarm, with_signals_held};
use loopback_gateway::{AgentProcess, Gateway, OnTerminal, Security, SessionRequest};

use crate::world::{AGENT, Folder, World, console_at_work, environment, wait_file};

/// A key whose gateway nobody listens at: these tests are about the program alone.
const KEY: &str = "grpc://demo:xagt-nobody@127.0.0.1:9?mode=standard";

fn run(program: &[&str]) -> Command {
    let variables = [("HOOP_KEY", KEY), ("HOOP_LITE_LOG_LEVEL", "error")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut command = AgentProcess::command(AGENT, &variables);
    command.args(["run", "--"]).args(program);
    command
}

/// A shell that writes every signal that comes into `log`, by number.
fn recorder(log: &str, numbers: &[i32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    let numbers = numbers.join(" ");
    format!(
        "for n in {numbers}; do trap \"echo $n >> {log}\" $n; done
         echo ready >> {log}; while kill -0 $PPID; do sleep 0.01; done"
    )
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

#[test]
fn each_signal_that_can_be_caught_reaches_the_program() {
    let folder = Folder::new("all-signals");
    let log = folder.file("got");
    let kept = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33];
    let numbers: Vec<i32> = (1..=64).filter(|number| !kept.contains(number)).collect();
    let agent = AgentProcess::spawn(&mut run(&["sh", "-c", &recorder(&log, &numbers)]));
    wait_file(&log, |text| has_line(text, "ready"));
    for number in numbers {
        agent.signal(number);
        wait_file(&log, |text| has_line(text, &number.to_string()));
    }
    assert!(agent.is_running());
}

#[test]
fn what_is_sent_to_the_wrapper_alone_on_a_terminal_is_passed_on_and_keys_come_once() {
    let folder = Folder::new("terminal-signals");
    let log = folder.file("got");
    let numbers = [libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1];
    let mut wrapper = OnTerminal::spawn(&mut run(&["sh", "-c", &recorder(&log, &numbers)]));
    wait_file(&log, |text| has_line(text, "ready"));
    wrapper.write("\x03");
    wait_file(&log, |text| has_line(text, "2"));
    wrapper.signal(libc::SIGUSR1);
    let typed = wait_file(&log, |text| has_line(text, "10"));
    assert_eq!(typed, "ready\n2\n10\n");
    for number in [libc::SIGHUP, libc::SIGQUIT] {
        wrapper.signal(number);
        wait_file(&log, |text| has_line(text, &number.to_string()));
    }
    wrapper.signal(libc::SIGINT);
    wait_file(&log, |text| {
        text.lines().filter(|line| *line == "2").count() == 2
    });
}

#[test]
fn a_terminal_that_hangs_up_is_told_to_the_program() {
    let folder = Folder::new("hang-up");
    let log = folder.file("got");
    let script = format!("trap 'exit 5' HUP; : > {log}; while kill -0 $PPID; do sleep 0.01; done");
    let wrapper = OnTerminal::spawn(&mut run(&["sh", "-c", &script]));
    wait_file(&log, |_| std::path::Path::new(&log).exists());
    assert_eq!(wrapper.hang_up().code(), Some(5));
}

#[test]
fn a_shell_stops_and_continues_both() {
    // Only the shell's word is a stop of the wrapper: it waits for it alone.
    let job = format!("{AGENT} run -- sh -c 'echo up; read word; echo got $word'");
    let script = format!("set -m; {job}; echo back $?; fg > /dev/null; echo end $?");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env("HOOP_KEY", KEY);
    command.env("HOOP_LITE_LOG_LEVEL", "error");
    let mut shell = OnTerminal::spawn(&mut command);
    shell.expect("up");
    shell.write("\x1a");
    shell.expect(&format!("back {}", 128 + libc::SIGTSTP));
    shell.write("on\n");
    shell.expect("got on");
    shell.expect("end 0");
    assert!(shell.wait_exit().success());
}

#[test]
fn a_timer_set_before_us_is_the_programs() {
    let script = "trap 'exit 6' ALRM; while kill -0 $PPID; do sleep 0.01; done";
    let mut command = run(&["sh", "-c", script]);
    with_alarm(&mut command);
    let agent = AgentProcess::spawn(&mut command);
    assert_eq!(agent.wait_exit().code(), Some(6));
}

/// Ignored as a parent may have done; then the same, blocked.
const IGNORED: [i32; 4] = [libc::SIGHUP, libc::SIGPIPE, libc::SIGUSR2, libc::SIGTERM];
const BLOCKED: [i32; 1] = [libc::SIGUSR1];

#[test]
fn what_is_ignored_or_blocked_at_start_stays_so_for_the_program() {
    let words = ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"];
    let mut plain = Command::new(words[0]);
    plain.args(&words[1..]);
    with_signals_held(&mut plain, &IGNORED, &BLOCKED);
    let plain = AgentProcess::spawn(&mut plain).wait_stdout();
    let mut beside = run(&words);
    with_signals_held(&mut beside, &IGNORED, &BLOCKED);
    assert_eq!(AgentProcess::spawn(&mut beside).wait_stdout(), plain);
    let ignored = plain
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"));
    let ignored = u64::from_str_radix(ignored.unwrap(), 16).unwrap();
    assert_eq!(ignored & 0x5801, 0x5801, "{plain}");
    assert!(plain.contains("SigBlk:\t0000000000000200"), "{plain}");
}

#[test]
fn sessions_ignore_and_block_nothing_of_it() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let mut command = AgentProcess::command(AGENT, &environment(&gateway, &key, &[]));
    command.args(["run", "--", "sleep", "1000"]);
    with_signals_held(&mut command, &IGNORED, &BLOCKED);
    let agent = AgentProcess::spawn(&mut command);
    gateway.wait_online("demo");
    let words = ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"];
    let told = gateway.open_session(SessionRequest::exec(&words)).run(b"");
    let nothing = "0000000000000000";
    assert_eq!(
        told.out(),
        format!("SigBlk:\t{nothing}\nSigIgn:\t{nothing}\n")
    );
    drop(agent);
}

#[test]
fn the_program_gets_the_time_it_wants_to_end() {
    let folder = Folder::new("slow-end");
    let log = folder.file("got");
    // Far longer than the drain time-out, which is the sessions' alone.
    let script = format!(
        "trap 'sleep 0.5; echo saved >> {log}; exit 5' TERM
         echo ready >> {log}; while kill -0 $PPID; do sleep 0.01; done"
    );
    let mut command = run(&["sh", "-c", &script]);
    command.env("HOOP_LITE_DRAIN_TIMEOUT", "1ms");
    let agent = AgentProcess::spawn(&mut command);
    wait_file(&log, |text| has_line(text, "ready"));
    agent.signal(libc::SIGTERM);
    assert_eq!(agent.wait_exit().code(), Some(5));
    wait_file(&log, |text| has_line(text, "saved"));
}

#[test]
fn the_program_is_killed_only_when_a_flag_says_so() {
    let folder = Folder::new("killed");
    let log = folder.file("got");
    let script =
        format!("trap '' TERM; echo ready >> {log}; while kill -0 $PPID; do sleep 0.01; done");
    let mut command = AgentProcess::command(AGENT, &[("HOOP_KEY".into(), KEY.into())]);
    command.args(["run", "--kill-after", "1s", "--", "sh", "-c", &script]);
    let agent = AgentProcess::spawn(&mut command);
    wait_file(&log, |text| has_line(text, "ready"));
    agent.signal(libc::SIGTERM);
    assert_eq!(agent.wait_exit().code(), Some(128 + libc::SIGKILL));
}

#[test]
fn a_plain_agent_tells_its_state_at_usr1_and_ignores_usr2() {
    let world = World::start();
    let console = console_at_work(&world.gateway);
    world.agent.signal(libc::SIGUSR2);
    world.agent.signal(libc::SIGUSR1);
    world.agent.wait_text("is up");
    let figures = world.agent.wait_text("queue_bytes 0");
    for wanted in [
        // The quotes are those of a line of JSON.
        r#"sessions{type=\"command-line\"} 1, "#,
        " targets 1, ",
        " processes 1, ",
        " relays_total 0,",
    ] {
        assert!(figures.contains(wanted), "{figures}");
    }
    assert!(!figures.contains("dev@"), "{figures}");
    for line in world.agent.lines() {
        assert!(!line.contains("xagt-"), "{line}");
    }
    drop(console);
    assert_eq!(world.exec(&["true"]).code, 0);
}
