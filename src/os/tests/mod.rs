//! Tests against the real kernel, and what they share.

use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};

use super::child::{CommandSpec, Custody, PipedChild, SpawnError};
use super::pty::PtyChild;
use super::sys;
use crate::base::{Secret, TerminalSize};

mod child;
mod children;
mod guardians;
mod own_process;
mod processes;
mod pty;
mod resolve;
mod secret_files;
mod signal;

/// Nothing here takes a second; a loaded machine gets a lot more before we call it broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command with an environment of nothing but PATH.
fn command(words: &[&str]) -> CommandSpec {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    CommandSpec {
        program: words[0].into(),
        args: words[1..].iter().map(Into::into).collect(),
        environment: vec![("PATH".into(), Secret::new(search_path.as_bytes()))],
        search_path,
        working_directory: None,
    }
}

/// Nobody watches over it: it is a child of ours.
fn unwatched() -> Custody {
    Custody {
        watch: None,
        is_separate: false,
    }
}

fn spawn_pipes(spec: &CommandSpec) -> Result<PipedChild, SpawnError> {
    super::child::spawn_pipes(spec, unwatched())
}

fn spawn_pty(spec: &CommandSpec, size: TerminalSize) -> Result<PtyChild, SpawnError> {
    super::pty::spawn_pty(spec, size, unwatched())
}

fn is_stopped(pid: sys::Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().starts_with(" T")
}

fn wait_stopped(pid: sys::Pid) {
    while !is_stopped(pid) {
        std::thread::yield_now();
    }
}

fn shell(script: &str) -> CommandSpec {
    command(&["sh", "-c", script])
}

/// Reads what comes until `enough` says so of all of it, or the end. Never blocks for ever.
fn read_until<S: Read + Source>(source: &mut S, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut poll = Poll::new().unwrap();
    poll.registry()
        .register(source, Token(0), Interest::READABLE)
        .unwrap();
    let mut events = Events::with_capacity(4);
    let mut all = Vec::new();
    let mut scratch = [0; 65_536];
    while !enough(&all) {
        match source.read(&mut scratch) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(&scratch[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(&mut poll, &mut events);
            }
            Err(error) => panic!("{error}"),
        }
    }
    poll.registry().deregister(source).unwrap();
    all
}

/// Waits for events; a signal in between is no event.
pub(crate) fn wait(poll: &mut Poll, events: &mut Events) {
    while let Err(error) = poll.poll(events, Some(PATIENCE)) {
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
    assert!(!events.is_empty(), "nothing came");
}

fn read_to_end<S: Read + Source>(source: &mut S) -> String {
    String::from_utf8(read_until(source, |_| false)).unwrap()
}

const ALONE: &str = "HOOP_LITE_TEST_ALONE";

/// Runs the calling test once more as the only one in a process of its own, for what a process
/// has but once: signal handlers, limits, its environment. Returns `true` in there; outside it
/// checks that the inner run passed and returns `false`. `preface` is shell text to be run first.
fn alone(test: &str, preface: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = run_alone(test, preface);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // A name that matches no test would pass too.
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    false
}

fn run_alone(test: &str, preface: &str) -> Output {
    // Whoever runs the tests in the background may have had some of them ignored.
    Command::new("env")
        .args(["--default-signal=HUP,INT,QUIT,TERM", "sh", "-c"])
        .arg(format!("{preface}\nexec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--test-threads=1", "--nocapture"])
        .arg(format!("os::tests::{test}"))
        .env(ALONE, "1")
        .output()
        .unwrap()
}

/// A private directory that goes away at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let mut bytes = [0; 8];
        sys::random_bytes(&mut bytes).unwrap();
        let name = format!("hoop-lite-test-{:016x}", u64::from_ne_bytes(bytes));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Written by another process: a child that a test beside this one has just forked would
    /// hold our descriptor open for writing, and nobody executes such a file.
    fn file(&self, name: &str, content: &str, mode: &str) -> PathBuf {
        let path = self.0.join(name);
        let status = Command::new("sh")
            .args(["-c", "printf %s \"$1\" > \"$0\" && chmod $2 \"$0\""])
            .arg(&path)
            .args([content, mode])
            .status();
        assert!(status.unwrap().success());
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
