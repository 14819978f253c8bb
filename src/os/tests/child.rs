use std::io::{ErrorKind, Write};

use mio::{Events, Interest, Poll, Token};

use super::{Scratch, command, read_to_end, read_until, shell, spawn_pipes};
use crate::base::Secret;
use crate::os::child::{CommandSpec, PipedChild, SpawnError};
use crate::os::sys;
use crate::os::sys::testing::wait_for_exit;

/// Runs to the end without input and returns what it printed.
fn output_of(spec: &CommandSpec) -> String {
    let mut child = spawn_pipes(spec).unwrap();
    drop(child.stdin);
    let output = read_to_end(&mut child.stdout);
    assert_eq!(read_to_end(&mut child.stderr), "");
    collect(child.pid);
    output
}

fn collect(pid: sys::Pid) {
    wait_for_exit(pid);
    assert!(sys::collect(pid));
}

fn status_of(script: &str) -> i32 {
    let child = spawn_pipes(&shell(script)).unwrap();
    wait_for_exit(child.pid);
    let (_, status) = sys::peek_exit(Some(child.pid)).unwrap().unwrap();
    assert!(sys::collect(child.pid));
    status.code()
}

fn failure_of(spec: &CommandSpec) -> SpawnError {
    spawn_pipes(spec).expect_err("must not start")
}

#[test]
fn input_passes_through_to_its_end() {
    let mut child = spawn_pipes(&command(&["wc", "-c"])).unwrap();
    let mut input = vec![b'x'; 1_000_000];
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    poll.registry()
        .register(&mut child.stdin, Token(0), Interest::WRITABLE)
        .unwrap();
    while !input.is_empty() {
        match child.stdin.write(&input) {
            Ok(n) => drop(input.drain(..n)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                super::wait(&mut poll, &mut events);
            }
            Err(error) => panic!("{error}"),
        }
    }
    drop(child.stdin);
    assert_eq!(read_to_end(&mut child.stdout).trim(), "1000000");
    collect(child.pid);
}

#[test]
fn output_and_errors_come_apart() {
    let mut child = spawn_pipes(&shell("echo out; echo err >&2")).unwrap();
    assert_eq!(read_to_end(&mut child.stdout), "out\n");
    assert_eq!(read_to_end(&mut child.stderr), "err\n");
    collect(child.pid);
}

#[test]
fn reading_a_silent_child_does_not_block() {
    let PipedChild {
        pid,
        stdin,
        mut stdout,
        ..
    } = spawn_pipes(&command(&["cat"])).unwrap();
    let error = std::io::Read::read(&mut stdout, &mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(stdin);
    collect(pid);
}

#[test]
fn environment_is_exactly_what_was_given() {
    let mut spec = command(&["env"]);
    spec.environment = vec![
        ("B".into(), Secret::new("two words = 2")),
        ("A".into(), Secret::new("replaced")),
        ("A".into(), Secret::new("1")),
    ];
    let output = output_of(&spec);
    let mut lines: Vec<_> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=1", "B=two words = 2"]);
}

#[test]
fn argument_zero_is_the_name_as_typed() {
    let output = output_of(&command(&["cat", "/proc/self/cmdline"]));
    assert_eq!(output, "cat\0/proc/self/cmdline\0");
}

#[test]
fn child_leads_its_own_session_and_group() {
    let mut child = spawn_pipes(&command(&["cat", "/proc/self/stat"])).unwrap();
    let stat = read_to_end(&mut child.stdout);
    let fields: Vec<_> = stat.split(' ').collect();
    let pid = child.pid.to_string();
    assert_eq!((fields[0], fields[4], fields[5]), (&*pid, &*pid, &*pid));
    collect(child.pid);
}

#[test]
fn working_directory_counts_for_relative_programs_too() {
    let scratch = Scratch::new();
    scratch.file("here", "#!/bin/sh\npwd\n", "755");
    let mut spec = command(&["./here"]);
    spec.working_directory = Some(scratch.0.clone());
    assert_eq!(output_of(&spec).trim_end(), scratch.0.to_str().unwrap());
}

#[test]
fn exit_codes_are_the_programs_own_or_the_signals() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        assert_eq!(status_of(script), code, "{script}");
    }
}

#[test]
fn missing_program_is_told_from_one_that_cannot_run() {
    let scratch = Scratch::new();
    let plain = scratch.file("plain", "no program\n", "644");
    let bad = scratch.file("bad", "#!/no/such/interpreter\n", "755");
    let directory = scratch.0.to_str().unwrap();
    for (program, code) in [
        ("no-such-program", 127),
        ("/no/such/program", 127),
        ("./no-such-program", 127),
        ("", 127),
        (directory, 126),
        (plain.to_str().unwrap(), 126),
        (bad.to_str().unwrap(), 126),
    ] {
        assert_eq!(failure_of(&command(&[program])).code(), code, "{program}");
    }
    assert!(matches!(
        failure_of(&command(&["no-such-program"])),
        SpawnError::NotFound
    ));
    assert!(matches!(
        failure_of(&command(&[directory])),
        SpawnError::NotExecutable
    ));
}

#[test]
fn other_failures_carry_the_systems_error() {
    let mut spec = command(&["true"]);
    spec.working_directory = Some("/no/such/directory".into());
    assert_eq!(failure_of(&spec).code(), 1);
    assert!(matches!(failure_of(&spec), SpawnError::Other(e) if e.kind() == ErrorKind::NotFound));
    let spec = command(&["true", "zero\0byte"]);
    assert!(
        matches!(failure_of(&spec), SpawnError::Other(e) if e.kind() == ErrorKind::InvalidInput)
    );
    let spec = command(&["true", &"x".repeat(4_000_000)]);
    assert!(matches!(failure_of(&spec), SpawnError::Other(e)
        if e.kind() == ErrorKind::ArgumentListTooLong));
}

#[test]
fn search_skips_what_cannot_run_and_what_is_relative() {
    let scratch = Scratch::new();
    for directory in ["first", "second"] {
        std::fs::create_dir(scratch.0.join(directory)).unwrap();
    }
    scratch.file("first/tool", "#!/bin/sh\necho first\n", "644");
    let base = scratch.0.to_str().unwrap();
    let mut spec = command(&["tool"]);
    spec.search_path = format!("{base}/first:{base}/second").into();
    assert_eq!(failure_of(&spec).code(), 126);
    scratch.file("second/tool", "#!/bin/sh\necho second\n", "755");
    assert_eq!(output_of(&spec), "second\n");
    spec.search_path = "::.:relative".into();
    assert_eq!(failure_of(&spec).code(), 127);
}

#[test]
fn output_of_a_grandchild_ends_when_the_group_is_killed() {
    let mut child = spawn_pipes(&shell("sleep 1000 & echo started; exec sleep 1000")).unwrap();
    read_until(&mut child.stdout, |seen| seen.ends_with(b"started\n"));
    sys::testing::signal_group(child.pid, libc::SIGKILL).unwrap();
    assert_eq!(read_to_end(&mut child.stdout), "");
    collect(child.pid);
}
