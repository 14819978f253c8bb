//! Many seeds: each a world of its own in which chance writes the script, and an end at which
//! everything must have been delivered and given back.
//!
//! `HOOP_SIM_SEED` is the first seed, `HOOP_SIM_SEEDS` their number, `HOOP_SIM_STEPS` the steps of
//! each; with `HOOP_SIM_SECONDS` ever new seeds run for that long.

use std::time::{Duration, Instant};

use hoop_lite::agent::LinkState;
use hoop_lite::limits;

use crate::dice::Dice;
use crate::relays::{Kind, Phase};
use crate::setup::{Setup, Tls};
use crate::target::Mood;
use crate::world::World;

const SEEDS: u64 = 256;
const STEPS: u64 = 2000;

/// Until a link stands again: the longest silence, the longest back-off, and several refused calls.
const RECONNECT_MAX: Duration = Duration::from_secs(400);

/// Until nothing moves any more: dialling, draining and lingering have each their time.
const REST: Duration = Duration::from_secs(40);

/// A number that the environment gives.
pub fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
        Err(_) => default,
    }
}

/// One world, from its first step to its last. Returns the steps that it took.
pub fn run(seed: u64, steps: u64, tls: Option<Tls>) -> u64 {
    let setup = Setup::any(&mut Dice::new(!seed));
    let mut world = World::new(seed, setup, tls);
    world.replay = format!("replay: scripts/sim --seed {seed} {steps}");
    world.users.is_random = true;
    world.next_user();
    while world.steps < steps && world.exit.is_none() {
        world.step();
    }
    if world.exit.is_none() {
        world.finish();
    }
    world.steps
}

impl World {
    /// Mends everything, waits until all is delivered, ends all sessions, and looks for what is left.
    pub fn finish(&mut self) {
        self.mend();
        if self.model.is_stopping {
            self.run_for(REST);
            assert!(self.exit.is_some(), "the agent does not leave");
            return;
        }
        self.reconnect();
        self.run_for(REST);
        self.check_delivered();
        let open: Vec<u32> = self.users.sessions.keys().copied().collect();
        for sid in open {
            self.close(sid);
        }
        self.run_for(REST);
        self.reconnect();
        self.check_rest();
    }

    /// Waits until the agent is connected.
    pub fn reconnect(&mut self) {
        let until = self.now + RECONNECT_MAX;
        while self.agent.link_state() != LinkState::Live {
            assert!(self.now < until, "the agent does not come back");
            self.step();
        }
    }

    /// Of every relay whose ends both listen, everything has arrived.
    pub fn check_delivered(&self) {
        self.check_databases();
        for target in self.targets.values() {
            let relay = &self.model.relays[target.relay];
            let listens = !matches!(target.mood, Mood::Mute | Mood::Hangs | Mood::LeavesBehind);
            let is_up = relay.phase != Phase::Starting && relay.kind != Kind::Probe;
            if !is_up || target.is_over || !listens {
                continue;
            }
            assert_eq!(target.taken, relay.accepted, "the target waits: {relay:?}");
            assert_eq!(relay.relayed, target.said, "the client waits: {relay:?}");
            assert_eq!(relay.received, target.said, "the client waits: {relay:?}");
        }
    }

    /// Tables, budget and credit are as in the beginning.
    pub fn check_rest(&mut self) {
        self.model.check_empty();
        assert!(self.agent.sessions().is_empty());
        assert_eq!(self.agent.sessions().target_count(), 0);
        assert_eq!(self.agent.sessions().buffered_bytes(), 0);
        let socket = self.link.as_ref().expect("a link");
        assert_eq!(
            socket.peer.backlog(),
            0,
            "the agent does not take everything"
        );
        let (stream, connection) = socket.peer.credit();
        let least = i64::from(limits::STREAM_WINDOW.min(self.agent.sessions().credit_wanted())) / 2;
        assert!(stream >= least, "credit of the stream is lost: {stream}");
        assert!(
            connection >= stream,
            "credit of the connection is lost: {connection}"
        );
    }
}

#[test]
fn every_seed_keeps_every_promise() {
    let first = number("HOOP_SIM_SEED", 1);
    let steps = number("HOOP_SIM_STEPS", STEPS);
    let seconds = number("HOOP_SIM_SECONDS", 0);
    let seeds = if std::env::var_os("HOOP_SIM_SEED").is_some() {
        1
    } else {
        SEEDS
    };
    let seeds = number("HOOP_SIM_SEEDS", seeds);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut done, mut total) = (0, 0);
    while if seconds > 0 {
        Instant::now() < until
    } else {
        done < seeds
    } {
        total += run(first.wrapping_add(done), steps, None);
        done += 1;
    }
    println!("{done} seeds from {first} on, {total} steps");
}
