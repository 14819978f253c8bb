//! Gateways that are killed, and every way to lose a stream, over and over.

use std::time::Duration;

use loopback_gateway::Gateway;
use loopback_gateway::event::Event;
use loopback_gateway::targets::{Manner, Pattern, Target};

use super::Plan;
use super::gateway_process::{GatewayProcess, Place};
use super::report::Row;
use super::subject::{NAME, Subject, exec, figures_at_work, session_processes, tcp, wait_until};
use super::workload::Workload;

/// Thousands of waits of up to 30 s would take days.
const EAGER: (&str, &str) = ("HOOP_LITE_RECONNECT_MAX", "100ms");

/// Reconnects before the first measurement, so that nothing is counted that is made but once.
const WARM_UP: usize = 5;

/// The gateway's process is killed in the middle of work, and started again.
pub fn gateway_kills(plan: &Plan) -> Row {
    let count = plan.count(1000, 30);
    let target = Target::start(Manner::Echo);
    let place = Place::new(8010, target.port());
    let mut gateway = GatewayProcess::start(&place);
    let agent = gateway.start_agent(&plan.agent, &[EAGER]);
    let mut moments = Pattern::new(7);
    let mut kill = |gateway: &mut GatewayProcess| {
        gateway.wait_working();
        let mut random = [0];
        moments.fill(&mut random);
        std::thread::sleep(Duration::from_millis(u64::from(random[0]) / 8));
        gateway.kill();
        *gateway = GatewayProcess::start(&place);
    };
    for _ in 0..WARM_UP {
        kill(&mut gateway);
    }
    gateway.wait_working();
    let before = figures_at_work(&agent);
    gateway.kill();
    gateway = GatewayProcess::start(&place);
    for _ in 0..count {
        kill(&mut gateway);
    }
    gateway.wait_working();
    let after = figures_at_work(&agent);
    drop(gateway);
    wait_until("the end of all session processes", || {
        session_processes().is_empty()
    });
    target.wait_idle();
    Row::new(
        "gateway-kills",
        &format!(
            "{count} times SIGKILL and a new gateway while a command, a console and a forwarded port work"
        ),
        "all three worked again each time, echoes byte for byte; nothing left at the end",
        before,
        after,
    )
}

/// The ways to lose a stream, in turn.
const CUTS: [fn(&Gateway); 4] = [
    |gateway| gateway.end_stream(NAME, 14, "going down"),
    |gateway| {
        gateway.go_away(NAME);
        gateway.end_stream(NAME, 14, "went away");
    },
    |gateway| gateway.reset_stream(NAME),
    |gateway| gateway.drop_link(NAME),
];

/// Stream end, GOAWAY, RST_STREAM and TCP reset in turn; every other time sessions are at work.
pub fn reconnects(plan: &Plan) -> Row {
    let count = plan.count(10_000, 100);
    let target = Target::start(Manner::Echo);
    let subject = Subject::start(plan, &[EAGER]);
    let cut_all = |count: usize| {
        for number in 0..count {
            reconnect(&subject, &target, number);
        }
        subject.check_works();
        target.wait_idle();
    };
    cut_all(WARM_UP * CUTS.len());
    let before = subject.figures();
    cut_all(count);
    let after = subject.figures();
    Row::new(
        "reconnects",
        &format!(
            "{count} lost streams: status, GOAWAY, RST_STREAM, TCP reset in turn; half of them with sessions at work"
        ),
        "the agent came back each time, and works",
        before,
        after,
    )
}

fn reconnect(subject: &Subject, target: &Target, number: usize) {
    let gateway = &subject.gateway;
    let workload = match number / CUTS.len() % 4 {
        1 => Some(Workload::open(gateway, target.port())),
        3 => {
            // Lost while they are being opened.
            let command = gateway.open_session(exec("exec sleep 1000"));
            command.send_stdin(b"");
            drop(gateway.open_session(tcp(target.port())));
            None
        }
        _ => None,
    };
    let from = gateway.mark();
    CUTS[number % CUTS.len()](gateway);
    gateway.wait_event(from, "the agent's return", |event| match event {
        Event::Online { .. } => Some(()),
        _ => None,
    });
    drop(workload);
}
