//! A line that loses a fifth of all packets, and one that goes dead without a word.

use std::time::{Duration, Instant};

use loopback_gateway::targets::{Manner, Pattern, Target, checksum, pattern, sent_by_source};

use super::Plan;
use super::line::{Line, Shape};
use super::report::Row;
use super::subject::{NAME, Subject, session_processes, tcp, wait_until};
use super::workload::{Workload, round_trip};

const LOSS_PERCENT: u8 = 20;
const DELAY: Duration = Duration::from_millis(200);
/// What the gateway reads at a time in a client's stead.
const PIECE_BYTES: usize = 32 << 10;
/// The promise; the rest is for noticing it here.
pub const FOUND_WITHIN: Duration = Duration::from_millis(15_500);
/// Without a key check in that time, the first unconfirmed keep-alive packet tells.
const FOUND_BY_TCP: Duration = Duration::from_millis(25_500);
pub const EAGER: (&str, &str) = ("HOOP_LITE_RECONNECT_MAX", "100ms");
const SELDOM_CHECKED: (&str, &str) = ("HOOP_LITE_KEY_CHECK_INTERVAL", "1h");

/// Transfers both ways at once over a line that loses and delays.
pub fn lossy_line(plan: &Plan) -> Row {
    let size = plan.count(512 << 10, 32 << 10);
    let line = Line::lay(
        1,
        Shape {
            loss_percent: LOSS_PERCENT,
            delay: DELAY,
            is_cut: false,
        },
    );
    let subject = Subject::start_behind(plan, &line, &[]);
    subject.check_works();
    let before = subject.figures();
    let started = Instant::now();
    let source = Target::start(Manner::Source {
        seed: 3,
        count: size,
    });
    let sink = Target::start(Manner::Sink);
    let mut down = subject.gateway.open_session(tcp(source.port()));
    let mut up = subject.gateway.open_session(tcp(sink.port()));
    down.wait_open();
    up.wait_open();
    down.connect("1");
    let sent = pattern(4, size);
    for piece in sent.chunks(PIECE_BYTES) {
        up.send_to("1", piece);
    }
    up.disconnect("1");
    let received = down.receive_to_end("1");
    let ending = sink.wait_endings(1).remove(0);
    let took = started.elapsed();
    assert_eq!(checksum(&received), checksum(&sent_by_source(3, size)));
    assert_eq!((ending.count, ending.checksum), (size, checksum(&sent)));
    drop((down, up));
    let passed = line.passed();
    let after = subject.figures();
    Row::new(
        "lossy-line",
        &format!(
            "{} KiB each way at once, {LOSS_PERCENT} % loss and {} ms delay each way",
            size >> 10,
            DELAY.as_millis()
        ),
        &format!(
            "checksums agree after {:.0} s; {} of {} packets lost",
            took.as_secs_f64(),
            passed.lost,
            passed.packets
        ),
        before,
        after,
    )
}

/// The line goes dead at a random moment; nothing is reset, nothing is refused.
pub fn vanished_peer(plan: &Plan) -> Row {
    let rounds = plan.count(12, 1);
    let echo = Target::start(Manner::Echo);
    let line = Line::lay(2, Shape::default());
    let subject = Subject::start_behind(plan, &line, &[EAGER]);
    subject.check_works();
    let before = subject.figures();
    let (shortest, longest) = vanish(plan, rounds, FOUND_WITHIN, &subject, &line, &echo);
    let after = subject.figures();
    drop(subject);
    let mut outcome = format!(
        "link found dead, all sessions ended, after {:.1} to {:.1} s; worked again",
        shortest.as_secs_f64(),
        longest.as_secs_f64()
    );
    if !plan.is_quick {
        let line = Line::lay(3, Shape::default());
        let subject = Subject::start_behind(plan, &line, &[EAGER, SELDOM_CHECKED]);
        let (_, longest) = vanish(plan, rounds / 3, FOUND_BY_TCP, &subject, &line, &echo);
        outcome += &format!(
            "; with a key check an hour {:.1} s at most",
            longest.as_secs_f64()
        );
    }
    Row::new(
        "vanished-peer",
        &format!("{rounds} times the line goes dead without a word, every other time under load"),
        &outcome,
        before,
        after,
    )
}

/// The shortest and the longest time after which the agent knew.
fn vanish(
    plan: &Plan,
    rounds: usize,
    within: Duration,
    subject: &Subject,
    line: &Line,
    echo: &Target,
) -> (Duration, Duration) {
    let mut moments = Pattern::new(9);
    let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
    for round in 0..rounds {
        let mut random = [0];
        moments.fill(&mut random);
        let workload = Workload::open(&subject.gateway, echo.port());
        if !plan.is_quick {
            std::thread::sleep(Duration::from_millis(u64::from(random[0]) * 40));
        }
        // Every other time bytes are under way in both directions.
        let busy = (round % 2 == 1).then(|| {
            let mut socket = workload.socket.try_clone().expect("a descriptor");
            std::thread::spawn(move || while round_trip(&mut socket, 5).is_ok() {})
        });
        let said = losses(subject);
        let cut = Instant::now();
        line.cut(true);
        wait_until("the agent to find its link dead", || losses(subject) > said);
        let took = cut.elapsed();
        (shortest, longest) = (shortest.min(took), longest.max(took));
        assert!(took < within, "found after {took:?}");
        wait_until("the end of all session processes", || {
            session_processes().is_empty()
        });
        echo.wait_idle();
        line.cut(false);
        // A gateway finds out by its own pings.
        subject.gateway.drop_all_links();
        subject.gateway.wait_offline(NAME);
        drop(workload);
        if let Some(busy) = busy {
            busy.join().expect("a thread that ended");
        }
        subject.gateway.wait_online(NAME);
        subject.check_works();
    }
    (shortest, longest)
}

fn losses(subject: &Subject) -> usize {
    let lines = subject.agent.lines();
    lines
        .iter()
        .filter(|line| line.contains("disconnected from "))
        .count()
}
