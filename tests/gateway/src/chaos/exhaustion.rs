//! Machines that run out of descriptors, or of room for secret files.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use loopback_gateway::AgentProcess;
use loopback_gateway::targets::{Manner, Target};

use super::Plan;
use super::report::Row;
use super::subject::{Subject, console, exec, setup, tcp};
use super::workload::{Workload, round_trip};

const DESCRIPTORS_MAX: u64 = 64;

/// `ulimit -n`: one relay after the other until no descriptor is left.
pub fn descriptors(plan: &Plan) -> Row {
    let rounds = plan.count(50, 5);
    let subject = Subject::start_with(setup(), &[], |variables| {
        let mut command = AgentProcess::command(&plan.agent, variables);
        limit_descriptors(&mut command, DESCRIPTORS_MAX);
        AgentProcess::spawn(&mut command)
    });
    let echo = Target::start(Manner::Echo);
    exhaust(&subject, &echo);
    let before = subject.figures();
    let mut words = String::new();
    for _ in 0..rounds {
        words = exhaust(&subject, &echo);
    }
    echo.wait_idle();
    let after = subject.figures();
    Row::new(
        "descriptors",
        &format!("{rounds} times up to the last of {DESCRIPTORS_MAX} descriptors (ulimit -n)"),
        &format!(
            "new commands, consoles, files and connections refused in words ({words:?}), old ones go on, all works afterwards"
        ),
        before,
        after,
    )
}

fn limit_descriptors(command: &mut Command, count: u64) {
    let limit = libc::rlimit {
        rlim_cur: count,
        rlim_max: count,
    };
    // SAFETY: between fork and exec, one system call that reads what the closure owns.
    unsafe {
        command.pre_exec(
            move || match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
}

fn exhaust(subject: &Subject, echo: &Target) -> String {
    let gateway = &subject.gateway;
    let idle = subject.agent.fds();
    let mut workload = Workload::open(gateway, echo.port());
    let mut hoard = gateway.open_session(tcp(echo.port()));
    hoard.wait_open();
    let mut refused = None;
    for number in 1..=DESCRIPTORS_MAX {
        let id = number.to_string();
        hoard.send_to(&id, b"x");
        if !hoard.answers(&id) {
            refused = Some(id);
            break;
        }
    }
    assert!(refused.is_some(), "no connection was refused");
    let mut sentences = Vec::new();
    let mut command = gateway.open_session(exec("true"));
    command.wait_open();
    command.send_stdin(b"");
    sentences.push(command.wait_close());
    let mut command = gateway.open_session(exec("true").file("SECRET", b"x"));
    command.wait_open();
    command.send_stdin(b"");
    sentences.push(command.wait_close());
    let mut terminal = gateway.open_session(console(&["cat"]));
    terminal.start_console();
    sentences.push(terminal.wait_close());
    sentences.push(gateway.open_session(tcp(echo.port())).wait_refusal());
    for close in &sentences {
        assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
        assert!(close.text.contains("file"), "no reason given: {close:?}");
    }
    workload.check();
    round_trip(&mut workload.socket, 2).expect("the old connection goes on");
    drop(hoard);
    drop(workload);
    subject.agent.wait_fds(idle);
    drop(Workload::open(gateway, echo.port()));
    sentences.swap_remove(0).text
}

/// Room of the file system for secret files.
const ROOM_BYTES: usize = 256 << 10;

/// A file system of this scenario alone, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount() -> Self {
        let path = std::env::temp_dir().join(super::subject::connection_name());
        fs::create_dir_all(&path).expect("a folder");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={ROOM_BYTES},mode=1777"),
                "tmpfs",
            ])
            .arg(&path)
            .status();
        assert!(mounted.expect("mount").success(), "needs root");
        Self(path)
    }

    /// Everything below, folders too.
    fn entries(&self) -> Vec<PathBuf> {
        fn below(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                if entry.path().is_dir() {
                    below(&entry.path(), found);
                }
                found.push(entry.path());
            }
        }
        let mut found = Vec::new();
        below(&self.0, &mut found);
        found
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

/// No room for secret files.
pub fn full_disk(plan: &Plan) -> Row {
    let rounds = plan.count(200, 20);
    let disk = SmallDisk::mount();
    let temp = disk.0.to_str().expect("a plain path").to_owned();
    let subject = Subject::start(plan, &[("RUNTIME_DIRECTORY", &temp)]);
    let with_secret = || exec("wc -c <\"${SECRET}\"").file("SECRET", &[b'x'; ROOM_BYTES / 2]);
    let works = || {
        let outcome = subject.gateway.open_session(with_secret()).run(b"");
        assert_eq!(
            outcome.out().trim(),
            (ROOM_BYTES / 2).to_string(),
            "{outcome:?}"
        );
    };
    works();
    let filler = disk.0.join("filler");
    let before = subject.figures();
    let mut words = String::new();
    for _ in 0..rounds {
        let rest = disk.entries().len();
        fs::write(&filler, [0; ROOM_BYTES * 3 / 4]).expect("room for the filler");
        for request in [
            with_secret(),
            with_secret().with(|params| params.client_verb = "connect".into()),
        ] {
            let is_console = request.params.client_verb == "connect";
            let mut session = subject.gateway.open_session(request);
            if is_console {
                session.start_console();
            } else {
                session.wait_open();
                session.send_stdin(b"");
            }
            let close = session.wait_close();
            assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
            assert!(close.text.contains("space"), "no reason given: {close:?}");
            words = close.text;
        }
        fs::remove_file(&filler).expect("the filler");
        assert_eq!(disk.entries().len(), rest, "left: {:?}", disk.entries());
        works();
        assert_eq!(disk.entries().len(), rest, "left: {:?}", disk.entries());
    }
    let after = subject.figures();
    subject.agent.signal(libc::SIGTERM);
    subject.agent.wait_exit();
    assert!(disk.entries().is_empty(), "left: {:?}", disk.entries());
    Row::new(
        "full-disk",
        &format!("{rounds} times no room for the secret file of a command and of a console"),
        &format!("refused ({words:?}), nothing left on the disk, works when there is room again"),
        before,
        after,
    )
}
