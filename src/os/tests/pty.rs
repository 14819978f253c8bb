use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use super::{command, read_to_end, read_until, shell, spawn_pty};
use crate::base::{Secret, TerminalSize};
use crate::os::child::{CommandSpec, ExitStatus, SpawnError};
use crate::os::pty::PtyChild;
use crate::os::sys;
use crate::os::sys::testing::wait_for_exit;

fn start(spec: &CommandSpec) -> PtyChild {
    spawn_pty(spec, TerminalSize::DEFAULT).unwrap()
}

fn end_of(pid: sys::Pid) -> ExitStatus {
    wait_for_exit(pid);
    let (_, status) = sys::peek_exit(Some(pid)).unwrap().unwrap();
    assert!(sys::collect(pid));
    status
}

impl PtyChild {
    fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Everything up to and with `text`.
    fn expect(&mut self, text: &str) -> String {
        let seen = read_until(&mut self.master, |seen| {
            seen.windows(text.len()).any(|part| part == text.as_bytes())
        });
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.contains(text), "{seen}");
        seen
    }
}

/// An interactive shell that prints nothing of its own accord.
fn console() -> PtyChild {
    let mut spec = command(&["sh", "-i"]);
    spec.environment.push(("TERM".into(), Secret::new("dumb")));
    spec.environment.push(("PS1".into(), Secret::new("")));
    let mut child = start(&spec);
    child.type_in("stty -echo; echo ready-$((1+1))\n");
    child.expect("ready-2\r\n");
    child
}

#[test]
fn program_sees_a_terminal_of_24_by_80() {
    let mut child = start(&shell("tty; stty size; stty -a"));
    let output = read_to_end(&mut child.master);
    assert!(output.starts_with("/dev/pts/"), "{output}");
    assert!(output.contains("\r\n24 80\r\n"), "{output}");
    assert!(output.contains(" iutf8"), "{output}");
    assert_eq!(end_of(child.pid), ExitStatus::Exited(0));
}

#[test]
fn size_given_at_start_is_there_from_the_first_moment() {
    let size = TerminalSize {
        rows: 50,
        columns: 132,
        width: 1320,
        height: 1000,
    };
    let mut child = spawn_pty(&command(&["stty", "size"]), size).unwrap();
    assert_eq!(read_to_end(&mut child.master), "50 132\r\n");
    end_of(child.pid);
}

#[test]
fn resize_reaches_the_program_as_a_signal() {
    let mut child = start(&shell(
        "trap 'echo got $(stty size)' WINCH; sleep 1000 & echo ready; while :; do wait; done",
    ));
    child.expect("ready\r\n");
    let size = TerminalSize {
        rows: 40,
        columns: 100,
        ..TerminalSize::DEFAULT
    };
    child.master.resize(size).unwrap();
    child.expect("got 40 100\r\n");
    sys::testing::signal_group(child.pid, libc::SIGKILL).unwrap();
    assert_eq!(end_of(child.pid), ExitStatus::Signaled(libc::SIGKILL));
}

#[test]
fn last_output_comes_before_the_end() {
    let mut child = start(&shell("echo last; exit 7"));
    assert_eq!(read_to_end(&mut child.master), "last\r\n");
    assert_eq!(end_of(child.pid), ExitStatus::Exited(7));
}

#[test]
fn shell_sees_its_commands_in_the_foreground() {
    let mut child = console();
    child.type_in("cut -d' ' -f1,5,8 /proc/self/stat; echo end-$((1+2))\n");
    let seen = child.expect("end-3\r\n");
    let ids: Vec<_> = seen.lines().next().unwrap().split(' ').collect();
    assert_eq!(ids[0], ids[1], "a group of its own: {seen}");
    assert_eq!(ids[1], ids[2], "which has the terminal: {seen}");
    child.type_in("exit 4\n");
    assert_eq!(end_of(child.pid), ExitStatus::Exited(4));
}

#[test]
fn interrupt_key_ends_the_command_and_not_the_shell() {
    let mut child = console();
    // Each key waits for the answer to the one before: the keys of signals flush the input.
    child.type_in(
        "sh -c 'trap \"kill \\$!; echo caught; exit 9\" INT; sleep 1000 & echo on; wait'\n",
    );
    child.expect("on\r\n");
    child.type_in("\x03");
    child.expect("caught\r\n");
    child.type_in("echo status-$?\n");
    child.expect("status-9\r\n");
    child.type_in("exit\n");
    end_of(child.pid);
}

#[test]
fn suspend_key_stops_the_command_and_it_can_be_resumed() {
    let mut child = console();
    child.type_in("cat\n");
    child.type_in("hello\n");
    child.expect("hello\r\n");
    child.type_in("\x1a");
    child.expect("cat\r\n");
    child.type_in("jobs; echo end-$((1+3))\n");
    let seen = child.expect("end-4\r\n");
    assert!(
        seen.contains("Stopped") || seen.contains("Suspended"),
        "{seen}"
    );
    child.type_in("fg; echo status-$?\n");
    child.type_in("again\n");
    child.expect("again\r\n");
    child.type_in("\x04");
    child.expect("status-0\r\n");
    child.type_in("exit\n");
    end_of(child.pid);
}

#[test]
fn dropping_the_master_hangs_up_on_the_shell() {
    let child = console();
    drop(child.master);
    assert_eq!(end_of(child.pid).code(), 128 + libc::SIGHUP);
}

#[test]
fn every_byte_passes_a_raw_terminal() {
    let script = "stty raw -echo; echo ready; head -c 256 | od -An -v -tu1";
    let mut child = start(&shell(script));
    child.expect("ready\n");
    let all: Vec<u8> = (0..=255).collect();
    child.master.write_all(&all).unwrap();
    let output = read_to_end(&mut child.master);
    let seen: Vec<u8> = output
        .split_ascii_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    assert_eq!(seen, all);
    end_of(child.pid);
}

#[test]
fn failed_start_in_a_terminal_is_told_as_with_pipes() {
    let missing = spawn_pty(&command(&["no-such-program"]), TerminalSize::DEFAULT);
    assert!(matches!(missing, Err(SpawnError::NotFound)));
}

/// Types a line, has it read, and returns what the terminal showed of it.
fn shown_of(line: &str, master: &mut File, slave: &mut File) -> String {
    master.write_all(line.as_bytes()).unwrap();
    // The line can be read only after its echo was written.
    let mut bytes = [0; 64];
    let read = slave.read(&mut bytes).unwrap();
    assert_eq!(&bytes[..read], line.as_bytes());
    let shown = master.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..shown]).into_owned()
}

#[test]
fn a_terminal_without_echo_shows_only_the_end_of_a_line() {
    let (master, slave) = sys::open_terminal().unwrap();
    let (mut master, mut slave) = (File::from(master), File::from(slave));
    sys::set_echo(slave.as_fd(), false).unwrap();
    assert_eq!(shown_of("secret\n", &mut master, &mut slave), "\r\n");
    sys::set_echo(slave.as_fd(), true).unwrap();
    assert_eq!(shown_of("seen\n", &mut master, &mut slave), "seen\r\n");
}
