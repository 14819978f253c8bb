//! One user asks for more than his share: the others must not notice, nor the machine.

use std::time::{Duration, Instant};

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Packet, SessionRequest, Setup};

use super::Plan;
use super::report::Row;
use super::subject::{NAME, Subject, exec, setup, wait_until};
use super::workload::{Workload, round_trip};

/// What the gateway takes ahead on the agent's stream.
const WINDOW_BYTES: u32 = 64 << 10;
/// What each open would have echoed.
const ECHO_BYTES: usize = 6 << 20;
const OPENS: usize = 12;
/// Neighbours' round trips while one open after the other comes in, the time apart for which others
/// had the machine's processors.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(100);
/// Of one core, while opens come in and while answers wait.
const CPU_PERCENT_MAX: f64 = 5.0;
/// Packets for sessions that are none, each answered by a close.
const STRAYS: usize = 30_000;
/// What each of them may cost, by ids that begin alike.
const STRAY_US_MAX: f64 = 20.0;

/// Opens with large echoes, then a gateway that asks without listening.
pub fn greed(plan: &Plan) -> Row {
    let setup = Setup {
        window: WINDOW_BYTES,
        ..setup()
    };
    let subject = Subject::start_with(setup, &[], |variables| {
        AgentProcess::start(&plan.agent, variables)
    });
    let echo = Target::start(Manner::Echo);
    let stream = subject.gateway.stream_number(NAME);
    // Once before it counts, so that the memory of a large message has been seen.
    open_greedily(&subject, 1);
    let before = subject.figures();
    let mut workload = Workload::open(&subject.gateway, echo.port());
    let (worst, opens_percent) = with_neighbour(&subject, &mut workload);
    let (stray_us, strays_percent) = stray(&subject, plan.seconds(15, 5));
    workload.check();
    drop(workload);
    subject.check_link_is(stream);
    assert!(worst < ROUND_TRIP_MAX, "a neighbour waited for {worst:?}");
    for percent in [opens_percent, strays_percent] {
        assert!(percent < CPU_PERCENT_MAX, "{percent:.1} % of a core");
    }
    assert!(stray_us < STRAY_US_MAX, "{stray_us:.1} us a stray packet");
    subject.check_works();
    echo.wait_idle();
    Row::new(
        "greed",
        &format!(
            "{OPENS} opens that would echo 6 MiB each, window 64 KiB; then {STRAYS} stray packets to a gateway that does not read"
        ),
        &format!(
            "same stream; neighbour's round trip {:.0} ms at most; {opens_percent:.1} % of a core, {stray_us:.0} us a stray packet, {strays_percent:.1} % while the answers wait",
            worst.as_secs_f64() * 1e3
        ),
        before,
        subject.figures(),
    )
}

fn open_greedily(subject: &Subject, count: usize) {
    for _ in 0..count {
        let request = SessionRequest {
            request_port: Some("7".repeat(ECHO_BYTES)),
            ..exec("true")
        };
        let mut session = subject.gateway.open_session(request);
        session.wait_open();
    }
}

/// The neighbour's longest round trip, and the agent's share of a core.
fn with_neighbour(subject: &Subject, workload: &mut Workload<'_>) -> (Duration, f64) {
    let (cpu, began) = (subject.agent.cpu_ms(), Instant::now());
    let mut worst = Duration::ZERO;
    for number in 0..OPENS {
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| open_greedily(subject, 1));
            let until = Instant::now() + Duration::from_secs(1);
            while Instant::now() < until {
                let (asked, others) = (Instant::now(), held_up(subject));
                round_trip(&mut workload.socket, number as u64).expect("an echo");
                let took = asked.elapsed();
                let others = held_up(subject).saturating_sub(others);
                worst = worst.max(took.saturating_sub(others));
                std::thread::sleep(Duration::from_millis(10));
            }
            opening.join().expect("an open");
        });
    }
    (worst, percent_since(subject, cpu, began))
}

/// For how long agent and gateway were ready to go on while others had the processors.
fn held_up(subject: &Subject) -> Duration {
    subject.agent.waited_for_cpu() + loopback_gateway::waited_for_cpu_here()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
/// What a stray packet costs in microseconds, and then the agent's share of a core while its answers
/// wait, all of which then arrive.
fn stray(subject: &Subject, patience: Duration) -> (f64, f64) {
    subject.gateway.stall(NAME, true);
    let cpu = subject.agent.cpu_ms();
    for number in 0..STRAYS {
        let packet = Packet::new("AgentTCPConnectionWrite")
            .with("gateway.session_id", format!("{number:036}"))
            .with("client.connection_id", "1")
            .carrying("x");
        subject.gateway.send(NAME, packet);
    }
    let mut used = cpu;
    wait_until("the last packet", || {
        std::thread::sleep(Duration::from_millis(500));
        std::mem::replace(&mut used, subject.agent.cpu_ms()) == used
    });
    let each = (used - cpu) as f64 * 1e3 / STRAYS as f64;
    let (cpu, began) = (used, Instant::now());
    std::thread::sleep(patience);
    let percent = percent_since(subject, cpu, began);
    subject.gateway.stall(NAME, false);
    (each, percent)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn percent_since(subject: &Subject, cpu_ms: u64, began: Instant) -> f64 {
    let used = subject.agent.cpu_ms() - cpu_ms;
    used as f64 / began.elapsed().as_secs_f64() / 10.0
}
