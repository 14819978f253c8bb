//! The first process of a namespace, a revoked key, and the ways to stop the agent.

use std::time::{Duration, Instant};

use loopback_gateway::process::is_alive;
use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Session};

use super::Plan;
use super::report::Row;
use super::subject::{NAME, Subject, console, exec, session_processes, setup, tcp, wait_until};
use super::workload::Workload;

/// As PID 1, as in a container: orphans are its to collect, signals reach it alone.
pub fn first_process(plan: &Plan) -> Row {
    let rounds = plan.count(200, 20);
    let drain = [("HOOP_LITE_DRAIN_TIMEOUT", "1s")];
    let subject = Subject::start_with(setup(), &drain, |variables| {
        AgentProcess::start_as_first(&plan.agent, variables)
    });
    let echo = Target::start(Manner::Echo);
    let orphans = || {
        let script = "for number in 1 2 3 4 5; do (setsid sleep 0.05 &) ; done; echo gone";
        let outcome = subject.gateway.open_session(exec(script)).run(b"");
        assert_eq!(outcome.out(), "gone\n");
    };
    orphans();
    let before = subject.figures();
    for _ in 0..rounds {
        orphans();
    }
    let after = subject.figures();
    let mut workload = Workload::open(&subject.gateway, echo.port());
    workload.check();
    let started = Instant::now();
    subject.agent.signal(libc::SIGTERM);
    // Nobody ends these by himself: they get their time, then the packet.
    let close = workload.console.wait_close();
    assert!(!close.text.is_empty());
    assert_eq!(subject.agent.wait_exit().code(), Some(0));
    let took = started.elapsed();
    assert_eq!(session_processes(), [], "processes are left");
    Row::new(
        "first-process",
        &format!(
            "PID 1 of a namespace: {} orphans, then TERM with three sessions open",
            rounds * 5
        ),
        &format!(
            "every orphan collected; sessions closed by packet, status 0 after {:.1} s (drain 1 s)",
            took.as_secs_f64()
        ),
        before,
        after,
    )
}

/// Sessions of each kind when the key is revoked.
const REVOKED_COMMANDS: usize = 20;
const REVOKED_CONSOLES: usize = 15;
const REVOKED_FORWARDS: usize = 15;
/// From the gateway's verdict to the end of the last process and connection.
const REVOKED_WITHIN: Duration = Duration::from_millis(100);

/// The key is deleted while fifty sessions are at work, some of which do not want to end.
pub fn revocation(plan: &Plan) -> Row {
    let rounds = plan.count(5, 1);
    let variables = [("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")];
    let subject = Subject::start(plan, &variables);
    let echo = Target::start(Manner::Echo);
    subject.check_works();
    let before = subject.figures();
    let mut slowest = Duration::ZERO;
    let mut processes = 0;
    for _ in 0..rounds {
        let sessions = fifty(&subject, &echo);
        wait_until("all processes", || session_processes().len() >= 50);
        let pids = session_processes();
        processes = pids.len();
        subject.revoke();
        let verdict = Instant::now();
        while pids.iter().any(|pid| is_alive(*pid)) {
            assert!(
                verdict.elapsed() < Duration::from_secs(10),
                "processes are left"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        echo.wait_idle();
        let took = verdict.elapsed();
        slowest = slowest.max(took);
        assert!(took <= REVOKED_WITHIN, "the last one ended after {took:?}");
        assert_eq!(session_processes(), [], "processes are left");
        drop(sessions);
        subject.gateway.wait_offline(NAME);
        subject.gateway.reinstate(NAME);
        subject.gateway.wait_online(NAME);
        subject.check_works();
    }
    let after = subject.figures();
    Row::new(
        "revocation",
        &format!(
            "{rounds} times the key deleted with 50 sessions, {processes} processes (some ignore TERM and HUP) and 15 connections"
        ),
        &format!(
            "from the gateway's verdict to the last end {} ms at most",
            slowest.as_millis()
        ),
        before,
        after,
    )
}

fn fifty<'gateway>(subject: &'gateway Subject, echo: &Target) -> Vec<Session<'gateway>> {
    let gateway = &subject.gateway;
    let mut sessions = Vec::new();
    for number in 0..REVOKED_COMMANDS {
        let script = match number % 4 {
            0 => "trap '' TERM HUP; echo up; sleep 1000; sleep 1000",
            1 => "sleep 1000 & sleep 1000 & echo up; wait",
            2 => "echo up; cat /dev/zero >/dev/null",
            _ => "echo up; exec sleep 1000",
        };
        let mut session = gateway.open_session(exec(script));
        session.wait_open();
        session.send_stdin(b"");
        session.expect("up\n");
        sessions.push(session);
    }
    for _ in 0..REVOKED_CONSOLES {
        let mut session = gateway.open_session(console(&["sh", "-i"]));
        session.start_console();
        session.write("trap '' TERM HUP; sleep 1000 & echo u''p\n");
        session.expect("up\r\n");
        sessions.push(session);
    }
    for _ in 0..REVOKED_FORWARDS {
        let mut session = gateway.open_session(tcp(echo.port()));
        session.wait_open();
        session.send_to("1", b"x");
        session.receive("1", 1);
        sessions.push(session);
    }
    sessions
}

/// TERM with sessions at work, and TERM twice.
pub fn drain(plan: &Plan) -> Row {
    let rounds = plan.count(50, 5);
    let echo = Target::start(Manner::Echo);
    let mut slowest = [Duration::ZERO; 2];
    for round in 0..rounds * 2 {
        let is_twice = round % 2 == 1;
        let patience = if is_twice { "10m" } else { "100ms" };
        let subject = Subject::start(plan, &[("HOOP_LITE_DRAIN_TIMEOUT", patience)]);
        let mut workloads: Vec<_> = (0..3)
            .map(|_| Workload::open(&subject.gateway, echo.port()))
            .collect();
        let mut stubborn = subject
            .gateway
            .open_session(exec("trap '' TERM HUP; echo up; sleep 1000; sleep 1000"));
        stubborn.wait_open();
        stubborn.send_stdin(b"");
        stubborn.expect("up\n");
        let started = Instant::now();
        subject.agent.signal(libc::SIGTERM);
        if is_twice {
            subject.agent.wait_text("may finish");
            subject.agent.signal(libc::SIGTERM);
        }
        for workload in &mut workloads {
            for session in [&mut workload.command, &mut workload.console] {
                let close = session.wait_close();
                assert!(
                    close.code.is_some_and(|code| code > 0) && !close.text.is_empty(),
                    "{close:?}"
                );
            }
        }
        assert_eq!(subject.agent.wait_exit().code(), Some(0));
        // Killed just before, perhaps, and a moment from its end.
        wait_until("the end of all processes", || {
            session_processes().is_empty()
        });
        let took = started.elapsed();
        slowest[usize::from(is_twice)] = slowest[usize::from(is_twice)].max(took);
        echo.wait_idle();
    }
    Row::ended(
        "drain",
        &format!(
            "{rounds} times TERM (drain 100 ms) and {rounds} times TERM twice (drain 10 min), ten sessions at work, one of which ignores TERM"
        ),
        &format!(
            "sessions closed by packet, status 0; slowest {} ms, and {} ms",
            slowest[0].as_millis(),
            slowest[1].as_millis()
        ),
    )
}
