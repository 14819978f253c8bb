//! A long line, on which uploads gather before they wake the agent: they must not become slower by it, and
//! nothing else may.

use std::time::{Duration, Instant};

use loopback_gateway::targets::{Manner, Target, checksum, pattern};

use super::Plan;
use super::line::{Line, Shape};
use super::line_trouble::{EAGER, FOUND_WITHIN};
use super::report::Row;
use super::subject::{NAME, Subject, session_processes, tcp, wait_until};
use super::workload::{Workload, round_trip};

const DELAY: Duration = Duration::from_millis(50);
/// What the gateway reads at a time in a client's stead.
const PIECE_BYTES: usize = 32 << 10;
/// More than may wait for a target that never reads.
const STALL_BYTES: usize = 24 << 20;
/// Time in which a flood has begun to gather, and then some.
const FLOOD_BEGINS: Duration = Duration::from_millis(500);
const ROUND_TRIPS: usize = 20;
/// There and back, with what is queued ahead of it on the way.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(3);

/// Uploads alone, beside a target that speaks, beside one that never reads, and on a line that goes dead.
pub fn long_line(plan: &Plan) -> Row {
    let size = plan.count(128 << 20, 24 << 20);
    let shape = Shape {
        delay: DELAY,
        ..Shape::default()
    };
    let line = Line::lay(5, shape);
    let subject = Subject::start_behind(plan, &line, &[EAGER]);
    subject.check_works();
    let echo = Target::start(Manner::Echo);
    let before = subject.figures();
    let alone = upload(&subject, size);
    let worst = beside(|| upload(&subject, size), || speak(&subject, &echo));
    assert!(worst < ROUND_TRIP_MAX, "a round trip took {worst:?}");
    let stalled = beside(|| stall(&subject), || upload(&subject, size / 4));
    let found = lose(&subject, &line, size);
    subject.check_works();
    echo.wait_idle();
    Row::new(
        "long-line",
        &format!(
            "uploads of {} MiB with {} ms of delay each way: alone, beside a target that speaks, beside one \
             that never reads, and until the line goes dead",
            size >> 20,
            DELAY.as_millis()
        ),
        &format!(
            "checksums agree; {alone:.0} MB/s alone, {stalled:.0} beside the one that never reads; the speaker's \
             round trip {:.0} ms at most; found dead after {:.1} s",
            worst.as_secs_f64() * 1e3,
            found.as_secs_f64()
        ),
        before,
        subject.figures(),
    )
}

/// Does both at once; what the second says.
fn beside<T: Send, U: Send>(first: impl FnOnce() -> U + Send, second: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        std::thread::sleep(FLOOD_BEGINS);
        let said = second();
        first.join().expect("a transfer");
        said
    })
}

/// Megabytes a second of an upload that came whole.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn upload(subject: &Subject, size: usize) -> f64 {
    let sink = Target::start(Manner::Sink);
    let mut session = subject.gateway.open_session(tcp(sink.port()));
    session.wait_open();
    let sent = pattern(4, size);
    let started = Instant::now();
    for piece in sent.chunks(PIECE_BYTES) {
        session.send_to("1", piece);
    }
    session.disconnect("1");
    let ending = sink.wait_endings(1).remove(0);
    let took = started.elapsed();
    assert_eq!((ending.count, ending.checksum), (size, checksum(&sent)));
    size as f64 / took.as_secs_f64() / 1e6
}

/// The longest of some round trips.
fn speak(subject: &Subject, echo: &Target) -> Duration {
    let mut workload = Workload::open(&subject.gateway, echo.port());
    let round_trips = (0..ROUND_TRIPS).map(|number| {
        let asked = Instant::now();
        round_trip(&mut workload.socket, number as u64).expect("an echo");
        asked.elapsed()
    });
    round_trips.max().expect("round trips")
}

/// A target that never reads is flooded, until its client leaves.
fn stall(subject: &Subject) {
    let silent = Target::start(Manner::Silent);
    let mut session = subject.gateway.open_session(tcp(silent.port()));
    session.wait_open();
    for piece in vec![0; STALL_BYTES].chunks(PIECE_BYTES) {
        session.send_to("1", piece);
    }
}

/// The line goes dead in the middle of an upload; how long until all sessions have ended.
fn lose(subject: &Subject, line: &Line, size: usize) -> Duration {
    let sink = Target::start(Manner::Sink);
    let mut session = subject.gateway.open_session(tcp(sink.port()));
    session.wait_open();
    for piece in pattern(5, size).chunks(PIECE_BYTES) {
        session.send_to("1", piece);
    }
    std::thread::sleep(FLOOD_BEGINS);
    line.cut(true);
    let cut = Instant::now();
    sink.wait_idle();
    wait_until("the end of all session processes", || {
        session_processes().is_empty()
    });
    let took = cut.elapsed();
    assert!(took < FOUND_WITHIN, "found after {took:?}");
    line.cut(false);
    subject.gateway.drop_all_links();
    subject.gateway.wait_offline(NAME);
    drop(session);
    subject.gateway.wait_online(NAME);
    took
}
