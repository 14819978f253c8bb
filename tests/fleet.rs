//! What a gateway meets that was restarted while a whole fleet was connected: attempts a second, and how long it
//! takes until all are back. By the agent's own code for waits; docs/sizing.md has the table that this prints:
//! `cargo test --test fleet -- --nocapture`.
#![allow(clippy::unwrap_used)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use hoop_lite::base::Rng;
use hoop_lite::limits;
use hoop_lite::link::{Backoff, LossCause};

const AGENTS: usize = 10_000;

/// The gateway of one row.
struct Gateway {
    /// How long nothing answers; an attempt is refused at once meanwhile.
    away: Duration,
    /// How many attempts it takes in each second once it is there; it refuses the others.
    takes: usize,
}

/// What it met.
struct Met {
    /// Most attempts in one second while it was away, the first second included.
    peak_away: usize,
    /// Most attempts in one second from then on.
    peak_back: usize,
    /// Until this share of the fleet was connected, from when the gateway was back.
    half: Duration,
    most: Duration,
    all: Duration,
}

#[test]
fn a_fleet_comes_back_spread_out() {
    println!(
        "{AGENTS} agents lose their gateway in one instant; waits are drawn below {} s, doubled to {} s",
        limits::BACKOFF_FIRST.as_secs_f32(),
        limits::BACKOFF_MAX.as_secs()
    );
    println!("away s  takes/s   peak/s away   peak/s back   half in   99 % in   all in");
    for (away_s, takes) in [
        (0, usize::MAX),
        (2, usize::MAX),
        (10, usize::MAX),
        (60, usize::MAX),
        (300, usize::MAX),
        (10, 200),
        (60, 200),
    ] {
        let away = Duration::from_secs(away_s);
        let met = restart(&Gateway { away, takes });
        let taken = if takes == usize::MAX {
            "all".to_owned()
        } else {
            takes.to_string()
        };
        println!(
            "{away_s:6}  {taken:>7}   {:>11}   {:>11}   {:>5.1} s   {:>5.1} s   {:>5.1} s",
            met.peak_away,
            met.peak_back,
            met.half.as_secs_f32(),
            met.most.as_secs_f32(),
            met.all.as_secs_f32()
        );
        // Whoever is away for a minute or longer meets them spread over the longest wait, not in one second; and
        // where every attempt succeeds nobody comes later than one longest wait after it is back.
        if away >= Duration::from_secs(60) {
            assert!(met.peak_back < AGENTS / 10, "{}", met.peak_back);
        }
        if takes == usize::MAX {
            assert!(met.all <= limits::BACKOFF_MAX, "{:?}", met.all);
        }
    }
}

fn restart(gateway: &Gateway) -> Met {
    let start = Instant::now();
    let lost_at = start + Duration::from_secs(3600);
    let mut agents: Vec<(Backoff, Rng)> = (0..AGENTS)
        .map(|seed| {
            let mut backoff = Backoff::new(limits::BACKOFF_MAX);
            backoff.connected(start);
            (backoff, Rng::new(u64::try_from(seed).unwrap()))
        })
        .collect();
    let mut attempts = BinaryHeap::new();
    for (number, (backoff, rng)) in agents.iter_mut().enumerate() {
        let wait = backoff.next_wait(lost_at, LossCause::Passing, rng);
        attempts.push(Reverse((wait, number)));
    }
    let mut seconds = Vec::new();
    let mut taken = Vec::new();
    let mut connected = Vec::with_capacity(AGENTS);
    while let Some(Reverse((at, number))) = attempts.pop() {
        let second = usize::try_from(at.as_secs()).unwrap();
        seconds.resize(seconds.len().max(second + 1), 0);
        taken.resize(seconds.len(), 0);
        seconds[second] += 1;
        if at >= gateway.away && taken[second] < gateway.takes {
            taken[second] += 1;
            connected.push(at.saturating_sub(gateway.away));
            continue;
        }
        let (backoff, rng) = &mut agents[number];
        let wait = backoff.next_wait(lost_at + at, LossCause::Passing, rng);
        attempts.push(Reverse((at + wait, number)));
    }
    let back = usize::try_from(gateway.away.as_secs()).unwrap();
    let peak = |seconds: &[usize]| seconds.iter().copied().max().unwrap_or(0);
    Met {
        peak_away: peak(&seconds[..back]),
        peak_back: peak(&seconds[back..]),
        half: connected[AGENTS / 2],
        most: connected[AGENTS * 99 / 100],
        all: connected[AGENTS - 1],
    }
}
