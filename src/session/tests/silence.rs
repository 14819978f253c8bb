//! Targets that take nothing, and targets that are gone.

use super::*;
use crate::session::Peer;

const HOUR: Duration = Duration::from_secs(3600);

/// What a simulated kernel knows at each look, until an hour is over or the relay is closed; after how
/// long that was.
fn watch(world: &mut World, target: TargetId, know: impl Fn(Duration) -> Peer) -> Option<Duration> {
    let start = world.now;
    while world.now < start + HOUR {
        world.wait(Duration::from_secs(1));
        let passed = world.now.duration_since(start);
        while let Some(output) = world.sessions.poll_output() {
            match output {
                Output::AskPeer { target: asked } => {
                    assert_eq!(asked, target);
                    world.report(target, Report::Peer(know(passed)));
                }
                Output::Close {
                    target: closed,
                    reset,
                    ..
                } => {
                    assert_eq!((closed, reset), (target, true));
                    return Some(passed);
                }
                _ => panic!("what for?"),
            }
        }
    }
    None
}

fn world_with_a_write() -> (World, TargetId) {
    let mut world = World::new();
    world.open_tcp("s");
    world.tcp_write("s", "1", b"xxxx");
    let target = world.connected();
    assert_eq!(world.takes(target, 4), b"xxxx");
    world.sent();
    (world, target)
}

#[test]
fn a_target_that_reads_nothing_for_an_hour_lives() {
    let (mut world, target) = world_with_a_write();
    // Its window is closed. The kernel probes it ever more rarely, and each probe is answered; a look may
    // fall between the two.
    let closed = watch(&mut world, target, |passed| {
        let since_probe = passed.as_secs() % 120;
        match since_probe < 15 {
            true => Peer::Silent(Duration::from_secs(120 + since_probe)),
            false => Peer::Answers,
        }
    });
    assert_eq!(closed, None);
    assert!(world.sent().is_empty());
    // As does one that says a word from time to time, whatever else the kernel repeats.
    let closed = watch(&mut world, target, |_| Peer::Silent(Duration::from_secs(9)));
    assert_eq!(closed, None);
}

#[test]
fn a_target_that_vanished_with_bytes_under_way_is_noticed_and_its_client_told() {
    let (mut world, target) = world_with_a_write();
    let closed = watch(&mut world, target, Peer::Silent).expect("it has vanished");
    let max = limits::TARGET_SILENCE_MAX;
    assert!(
        closed >= max && closed <= max + Duration::from_secs(16),
        "{closed:?}"
    );
    let close = world.one();
    assert_eq!(close.kind, Kind::ClientTCPConnectionClose);
    assert_eq!(world.sessions.target_count(), 0);
    assert_eq!(world.sessions.counters().vanished, 1);
}

#[test]
fn an_acknowledged_target_costs_no_wake_up() {
    let (mut world, target) = world_with_a_write();
    assert_eq!(watch(&mut world, target, |_| Peer::Settled), None);
    assert_eq!(world.sessions.poll_timeout(), None);
    // And is looked at again when it is written to.
    world.tcp_write("s", "1", b"y");
    assert_eq!(world.takes(target, 1), b"y");
    assert!(watch(&mut world, target, Peer::Silent).is_some());
}
