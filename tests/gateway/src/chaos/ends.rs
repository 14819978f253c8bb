//! Whom the end of a session reaches and when: programs that detach themselves, that ignore signals,
//! that fork faster than anybody can look, against each kind of end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use loopback_gateway::{Session, deadline};

use super::Plan;
use super::report::Row;
use super::subject::{NAME, Subject, console, exec, session_processes, wait_until};

/// Those that detach themselves on purpose.
const DETACHED: [(&str, &str); 3] = [
    ("deaf", "(trap \"\" TERM HUP; sleep 1000; sleep 1000) &"),
    ("nohup", "nohup sleep 1000 &"),
    ("setsid", "setsid sleep 1000 &"),
];
/// And those that do not.
const ATTACHED: [(&str, &str); 3] = [
    ("job", "bash -c \"set -m; sleep 1000 &\""),
    ("deaf to TERM", "(trap \"\" TERM; sleep 1000; sleep 1000) &"),
    ("chain", CHAIN),
];
/// A process for each link, of some tenths of a millisecond.
const CHAIN: &str = "python3 -c 'import os
while True:
  if os.fork(): os._exit(0)' &";

/// The polite time, and one second.
const ENDED_WITHIN: Duration = Duration::from_secs(6);
const REVOKED_WITHIN: Duration = Duration::from_millis(100);
const ORPHANED_WITHIN: Duration = Duration::from_secs(1);

/// A session in which this runs, far from its streams. Given to it when it asks.
fn with_program<'gateway>(
    subject: &'gateway Subject,
    program: &str,
    rest: &str,
) -> Session<'gateway> {
    let mut session = subject.gateway.open_session(exec("exec sh"));
    session.wait_open();
    let script =
        format!("{{ {program}\n}} </dev/null >/dev/null 2>&1\nsleep 0.2; echo up; {rest}\n");
    session.send_stdin(script.as_bytes());
    session.expect("up\n");
    session
}

/// The time until no process of the scenario is left. Links of a chain come and go while one looks.
fn time_to_end(started: Instant) -> Duration {
    loop {
        wait_until("the end of all processes", || {
            session_processes().is_empty()
        });
        let took = started.elapsed();
        if (0..20).all(|_| session_processes().is_empty()) {
            return took;
        }
        assert!(started.elapsed() < deadline(), "a chain goes on");
    }
}

/// Every program and every end: normal, the client leaves, the key is revoked.
pub fn ends(plan: &Plan) -> Row {
    let variables = [("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")];
    let subject = Subject::start(plan, &variables);
    subject.check_works();
    let before = subject.figures();
    let mut slowest = Duration::ZERO;
    for (_, program) in ATTACHED {
        let session = with_program(&subject, program, "exit");
        assert_eq!(session.finish().code, 0);
        slowest = slowest.max(time_to_end(Instant::now()));
    }
    for (_, program) in ATTACHED.into_iter().chain(DETACHED) {
        let mut session = with_program(&subject, program, "exec sleep 1000");
        let started = Instant::now();
        session.kill();
        slowest = slowest.max(time_to_end(started));
    }
    assert!(
        slowest <= ENDED_WITHIN,
        "the last one ended after {slowest:?}"
    );
    let chains = plan.count(50, 10);
    for _ in 0..chains {
        let mut terminal = subject.gateway.open_session(console(&["sh"]));
        terminal.start_console();
        terminal.write(&format!(
            "{{ {CHAIN}\n}} </dev/null >/dev/null 2>&1; echo u''p\n"
        ));
        terminal.expect("up\r\n");
        terminal.kill();
        assert!(time_to_end(Instant::now()) <= ENDED_WITHIN);
    }
    let mut after = subject.figures();
    let revoked = revoked_ends(plan, &subject);
    after.processes = session_processes().len();
    Row::new(
        "ends",
        &format!(
            "{} programs that ignore TERM or HUP, detach themselves, run as jobs or as a chain of forks, with a normal end, a client that leaves, a revoked key; a chain in {chains} consoles that close",
            ATTACHED.len() + DETACHED.len()
        ),
        &format!(
            "as the rule says after {:.1} s at most; revoked after {} ms, what earlier sessions left too",
            slowest.as_secs_f64(),
            revoked.as_millis()
        ),
        before,
        after,
    )
}

/// What a normal end spares lives on until the key is revoked, and ends with everything else then.
fn revoked_ends(plan: &Plan, subject: &Subject) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..plan.count(5, 1) {
        for (name, program) in DETACHED {
            let session = with_program(subject, program, "exit");
            assert_eq!(session.finish().code, 0);
            assert!(!session_processes().is_empty(), "{name} was not spared");
        }
        std::thread::sleep(ENDED_WITHIN);
        assert!(session_processes().len() >= DETACHED.len());
        let all = ATTACHED.into_iter().chain(DETACHED);
        let sessions: Vec<_> = all
            .map(|(_, program)| with_program(subject, program, "exec sleep 1000"))
            .collect();
        subject.revoke();
        let took = time_to_end(Instant::now());
        slowest = slowest.max(took);
        assert!(took <= REVOKED_WITHIN, "the last one ended after {took:?}");
        drop(sessions);
        subject.gateway.wait_offline(NAME);
        subject.gateway.reinstate(NAME);
        subject.gateway.wait_online(NAME);
    }
    slowest
}

/// SIGKILL of the agent with sessions at work, and with what earlier ones have left.
pub fn killed_agent(plan: &Plan) -> Row {
    let rounds = plan.count(20, 3);
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        let subject = Subject::start(plan, &[]);
        for (_, program) in DETACHED {
            assert_eq!(with_program(&subject, program, "exit").finish().code, 0);
        }
        let all = ATTACHED.into_iter().chain(DETACHED);
        let sessions: Vec<_> = all
            .map(|(_, program)| {
                with_program(&subject, program, "trap \"\" TERM HUP; exec sleep 1000")
            })
            .collect();
        let mut keeper = subject
            .gateway
            .open_session(exec("exec sh").file("CERT", b"secret"));
        keeper.wait_open();
        keeper.send_stdin(b"echo $CERT; trap \"\" TERM HUP; exec sleep 1000\n");
        let file = PathBuf::from(keeper.expect("\n").trim_end());
        let folder = file.parent().expect("a folder of secret files");
        assert!(file.exists());
        let started = Instant::now();
        subject.agent.signal(libc::SIGKILL);
        let took = time_to_end(started);
        wait_until("the end of secret files", || !folder.exists());
        let took = took.max(started.elapsed());
        slowest = slowest.max(took);
        assert!(took <= ORPHANED_WITHIN, "the last one ended after {took:?}");
        drop((sessions, keeper));
    }
    Row::ended(
        "killed-agent",
        &format!(
            "{rounds} times SIGKILL of the agent, ten sessions' programs at work that ignore TERM and HUP, and a secret file"
        ),
        &format!(
            "neither processes nor files left after {} ms at most",
            slowest.as_millis()
        ),
    )
}
