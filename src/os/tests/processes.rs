//! How processes are made to end.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::{read_to_end, read_until, shell, wait, wait_stopped};
use crate::base::Secret;
use crate::limits;
use crate::os::child::{Custody, PipedChild, spawn_pipes};
use crate::os::processes::{Keeping, ProcessStreams, Processes};
use crate::os::sys::testing::wait_for_exit;
use crate::os::sys::{Pid, Watch};
use crate::session::{End, Exit, Program};

/// Processes, and what hears of their ends.
struct Fixture {
    processes: Processes,
    poll: Poll,
    events: Events,
}

impl Fixture {
    fn new(keeping: Keeping) -> Self {
        Self {
            processes: Processes::new(OsString::new(), keeping),
            poll: Poll::new().unwrap(),
            events: Events::with_capacity(4),
        }
    }

    fn start(&mut self, script: &str) -> (Pid, PipedChild) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = Program {
            argv: ["sh", "-c", script].map(OsString::from).to_vec(),
            paths: Vec::new(),
            environment: vec![("PATH".into(), Secret::new(path.into_vec()))],
            files: Vec::new(),
            terminal: None,
        };
        let Ok(spawned) = self.processes.spawn(program) else {
            panic!("no process");
        };
        let registry = self.poll.registry();
        let (pid, streams, _, result) = self.processes.keep(registry, spawned, 1);
        result.unwrap();
        let ProcessStreams::Pipes(mut child) = streams else {
            panic!("no pipes");
        };
        read_until(&mut child.stdout, |all| all == b"up\n");
        (pid, child)
    }

    /// How the leader has ended, from its guardian.
    fn exit(&mut self) -> Exit {
        loop {
            wait(&mut self.poll, &mut self.events);
            let tokens: Vec<Token> = self.events.iter().map(mio::event::Event::token).collect();
            if let Some(ended) = tokens
                .into_iter()
                .find_map(|token| self.processes.heard(token))
            {
                assert_eq!(ended.owner, 1);
                return ended.exit;
            }
        }
    }

    fn check_nobody_is_left(&mut self, pid: Pid) {
        wait_for_exit(pid);
        assert!(self.processes.poll_ended().is_none(), "reported twice");
        assert!(self.processes.is_empty());
    }
}

/// A shell that shrugs off what it is asked, and is ready to do so.
const STUBBORN: &str = "trap '' TERM HUP; echo up; while :; do sleep 1000; done";

#[test]
fn the_guardian_reports_how_the_leader_ended() {
    for (script, exit) in [
        ("echo up; exit 7", Exit::Code(7)),
        ("echo up; kill -KILL $$", Exit::Signal(9)),
        ("echo up; exit 255", Exit::Code(255)),
    ] {
        let mut fixture = Fixture::new(Keeping::default());
        let (pid, _child) = fixture.start(script);
        assert_eq!(fixture.exit(), exit);
        fixture.check_nobody_is_left(pid);
    }
}

#[test]
fn whoever_does_not_end_is_killed_after_the_grace_and_at_a_revocation_soon() {
    for is_revoked in [false, true] {
        let mut fixture = Fixture::new(Keeping::default());
        let (pid, _child) = fixture.start(STUBBORN);
        let now = Instant::now();
        fixture.processes.end(now, pid, End::Forced);
        let grace = match is_revoked {
            false => limits::KILL_GRACE,
            true => {
                fixture.processes.revoke(now);
                limits::REVOKED_GRACE
            }
        };
        assert_eq!(fixture.processes.next_kill(), Some(now + grace));
        let early = now + grace - Duration::from_millis(1);
        fixture.processes.kill_overdue(early);
        assert_eq!(fixture.processes.next_kill(), Some(now + grace));
        fixture.processes.kill_overdue(now + grace);
        assert_eq!(fixture.processes.next_kill(), None);
        assert_eq!(fixture.exit(), Exit::Signal(9));
        fixture.check_nobody_is_left(pid);
    }
}

#[test]
fn a_revocation_does_not_give_anybody_more_time() {
    let mut fixture = Fixture::new(Keeping::default());
    let (pid, _child) = fixture.start(STUBBORN);
    let now = Instant::now();
    fixture.processes.end(now, pid, End::Forced);
    let later = now + limits::KILL_GRACE - limits::REVOKED_GRACE / 2;
    fixture.processes.revoke(later);
    let kill = now + limits::KILL_GRACE;
    assert_eq!(fixture.processes.next_kill(), Some(kill));
    fixture.processes.kill_overdue(kill);
    assert_eq!(fixture.exit(), Exit::Signal(9));
    fixture.check_nobody_is_left(pid);
}

#[test]
fn what_a_normal_end_spares_is_reached_by_a_revocation() {
    let script = "(trap '' TERM HUP; echo up; while :; do sleep 1000; done) & wait_for_it=1";
    let mut fixture = Fixture::new(Keeping::default());
    let (pid, mut child) = fixture.start(script);
    assert_eq!(fixture.exit(), Exit::Code(0));
    let now = Instant::now();
    fixture.processes.end(now, pid, End::Normal);
    let asked = now + limits::DETACH_GRACE;
    assert_eq!(fixture.processes.next_kill(), Some(asked));
    fixture.processes.kill_overdue(asked);
    let kill = asked + limits::KILL_GRACE;
    assert_eq!(fixture.processes.next_kill(), Some(kill));
    fixture.processes.kill_overdue(kill);
    assert_eq!(fixture.processes.next_kill(), None);
    fixture.processes.revoke(now);
    let kill = now + limits::REVOKED_GRACE;
    assert_eq!(fixture.processes.next_kill(), Some(kill));
    fixture.processes.kill_overdue(kill);
    assert_eq!(read_to_end(&mut child.stdout), "");
    fixture.check_nobody_is_left(pid);
}

#[test]
fn a_normal_end_spares_nothing_where_a_setting_says_so() {
    let mut fixture = Fixture::new(Keeping {
        ends_detached: true,
        is_separate: false,
    });
    let (pid, mut child) = fixture.start("setsid sh -c 'echo up; exec sleep 1000' & :");
    assert_eq!(fixture.exit(), Exit::Code(0));
    fixture.processes.end(Instant::now(), pid, End::Normal);
    assert_eq!(read_to_end(&mut child.stdout), "");
    fixture.check_nobody_is_left(pid);
}

#[test]
fn a_guardian_that_somebody_kills_takes_the_leader_along() {
    let mut fixture = Fixture::new(Keeping::default());
    let (pid, mut child) = fixture.start("echo up; kill -KILL $PPID; exec sleep 1000");
    assert_eq!(read_to_end(&mut child.stdout), "");
    wait_for_exit(pid);
    let ended = fixture.processes.poll_ended().unwrap();
    assert_eq!((ended.pid, ended.exit), (pid, Exit::Signal(9)));
    assert!(fixture.processes.is_empty());
}

#[test]
fn a_guardian_without_room_for_descriptors_kills_what_has_detached_itself() {
    let script = "prlimit --pid $PPID --nofile=0:0 && setsid sh -c \"trap '' TERM HUP; echo up; \
                  while :; do sleep 1000; done\" & exec sleep 1000";
    let mut fixture = Fixture::new(Keeping::default());
    let (pid, mut child) = fixture.start(script);
    let now = Instant::now();
    fixture.processes.end(now, pid, End::Forced);
    fixture.processes.kill_overdue(now + limits::KILL_GRACE);
    assert_eq!(read_to_end(&mut child.stdout), "");
    assert!(matches!(fixture.exit(), Exit::Signal(_)));
    fixture.check_nobody_is_left(pid);
}

#[test]
fn a_guardian_that_somebody_has_stopped_obeys() {
    let mut fixture = Fixture::new(Keeping::default());
    let (pid, mut child) = fixture.start("echo up; kill -STOP $PPID; exec sleep 1000");
    wait_stopped(pid);
    fixture.processes.end(Instant::now(), pid, End::Forced);
    assert_eq!(read_to_end(&mut child.stdout), "");
    assert_eq!(fixture.exit(), Exit::Signal(15));
    fixture.check_nobody_is_left(pid);
}

#[test]
fn a_program_that_cannot_be_executed_leaves_no_guardian() {
    let mut fixture = Fixture::new(Keeping::default());
    let program = Program {
        // A directory on the way to it, so that only the kernel finds out.
        argv: vec!["/proc/self/environ/x".into()],
        paths: Vec::new(),
        environment: Vec::new(),
        files: Vec::new(),
        terminal: None,
    };
    assert!(fixture.processes.spawn(program).is_err());
    assert!(fixture.processes.is_empty());
}

/// Whoever counts processes apart from us may take a group that is empty still for a leftover.
#[test]
fn a_control_group_that_is_gone_keeps_nobody_from_starting() {
    let (_agents_end, control) = UnixStream::pair().unwrap();
    let custody = Custody {
        watch: Some(Watch {
            control: control.into(),
            on_terminal: false,
            control_group: c"/sys/fs/cgroup/gone".into(),
            secrets: CString::default(),
        }),
        is_separate: false,
    };
    let mut child = spawn_pipes(&shell("echo up"), custody).unwrap();
    assert_eq!(read_to_end(&mut child.stdout), "up\n");
    wait_for_exit(child.pid);
}
