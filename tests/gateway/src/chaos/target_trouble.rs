//! A target's machine that is gone, and one that only takes its time.

use std::time::{Duration, Instant};

use loopback_gateway::SessionRequest;
use loopback_gateway::targets::{Manner, Target};

use super::Plan;
use super::line::{Line, Shape};
use super::report::Row;
use super::subject::{Subject, tcp};

/// Quick ones: a target is given up after 8 s, and is looked at every 0.8 s.
const KEEPALIVE: [(&str, &str); 3] = [
    ("HOOP_LITE_KEEPALIVE_IDLE", "2s"),
    ("HOOP_LITE_KEEPALIVE_INTERVAL", "2s"),
    ("HOOP_LITE_KEEPALIVE_PROBES", "3"),
];
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// A look, and noticing it here.
const FOUND_WITHIN: Duration = Duration::from_secs(12);
/// More than fits between the agent and a target that does not read.
const FLOOD_BYTES: usize = 6 << 20;

/// The session of a target that is reached over the line.
fn behind(line: &Line, target: &Target) -> SessionRequest {
    tcp(target.port()).env("HOST", &line.far.to_string())
}

/// The line to three targets goes dead: one is idle, one was sent something, one reads nothing. Before
/// that the last one lives for as long as it likes.
pub fn vanished_target(plan: &Plan) -> Row {
    let line = Line::lay(4, Shape::default());
    let subject = Subject::start(plan, &KEEPALIVE);
    subject.check_works();
    let before = subject.figures();
    let start = |manner| Target::start_at(&format!("{}:0", line.near), manner);
    let (echo, silent) = (start(Manner::Echo), start(Manner::Silent));
    let mut talking = subject.gateway.open_session(behind(&line, &echo));
    let mut paused = subject.gateway.open_session(behind(&line, &silent));
    for session in [&mut talking, &mut paused] {
        session.wait_open();
    }
    for id in ["idle", "busy"] {
        talking.send_to(id, b"x");
        assert_eq!(talking.receive(id, 1), b"x");
    }
    for _ in 0..FLOOD_BYTES / (64 << 10) {
        paused.send_to("1", &[0; 64 << 10]);
    }
    assert!(
        paused.is_quiet_for(SILENCE_MAX * 3),
        "a paused target lives"
    );
    let cut = Instant::now();
    line.cut(true);
    talking.send_to("busy", b"y");
    talking.receive_to_end("busy");
    let busy = cut.elapsed();
    talking.receive_to_end("idle");
    let idle = cut.elapsed();
    assert!(busy.max(idle) < FOUND_WITHIN, "{busy:?}, {idle:?}");
    paused.receive_to_end("1");
    let paused_for = cut.elapsed();
    line.cut(false);
    drop((talking, paused));
    subject.check_works();
    Row::new(
        "vanished-target",
        "the line to three targets goes dead (keep-alive 2 s, 2 s, 3 probes): an idle one, one with bytes \
         under way, one that had read nothing for 24 s",
        &format!(
            "the paused one lived until then; clients told, descriptors free after {:.1}, {:.1} and {:.1} s",
            idle.as_secs_f64(),
            busy.as_secs_f64(),
            paused_for.as_secs_f64()
        ),
        before,
        subject.figures(),
    )
}
