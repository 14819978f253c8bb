//! What stores do to those who wait for them, one thing at a time.

use std::time::Duration;

use hoop_lite::limits;

use super::server::Mood;
use crate::net::End;
use crate::sent::Service;
use crate::setup::Setup;
use crate::target;
use crate::world::World;

/// A world with stores in this mood, connected.
fn world(seed: u64, mood: Mood, by_role: bool) -> World {
    let setup = Setup {
        has_databases: true,
        stores: Some(by_role),
        ..Setup::plain()
    };
    let mut world = World::new(seed, setup, None);
    world.stores.mood = Some(mood);
    world.reconnect();
    world
}

fn open(world: &mut World, sid: u32) {
    world.open(sid, Service::Stored, target::Mood::Echo);
}

#[test]
fn a_program_finds_what_both_stores_have() {
    for (seed, by_role) in [(1, false), (2, true), (3, false), (4, true)] {
        let mut world = world(seed, Mood::Polite, by_role);
        for sid in 1..=8 {
            open(&mut world, sid);
            world.run_for(Duration::from_millis(300));
            assert!(world.users.sessions[&sid].is_open);
            world.exec(sid, 100, target::Mood::Echo);
            world.run_for(Duration::from_millis(300));
        }
        assert_eq!(world.stores.settled, 8);
        // One login serves them all.
        assert!(
            world.stores.tokens_given <= 1,
            "{}",
            world.stores.tokens_given
        );
        world.finish();
    }
}

#[test]
fn a_store_that_ends_at_any_byte_of_its_answer_costs_its_session_alone() {
    for at in 0..260 {
        for end in [End::Fin, End::Reset] {
            let mut world = world(at as u64, Mood::Dies(at, end), at % 2 == 0);
            open(&mut world, 1);
            world.run_for(limits::FETCH_MAX);
            assert_eq!(world.stores.settled, 1, "at byte {at}");
            world.stores.mood = None;
            world.finish();
        }
    }
}

#[test]
fn silent_stores_are_waited_for_by_few_and_by_nobody_else() {
    let mut world = world(7, Mood::Silent(0), false);
    world.open(100, Service::Tcp, target::Mood::Echo);
    world.run_for(Duration::from_secs(1));
    let connection = world.connect(100, Some(1000), target::Mood::Echo);
    for sid in 1..=60 {
        open(&mut world, sid);
    }
    for _ in 0..40 {
        world.write(100, connection, 1000);
        world.run_for(Duration::from_millis(100));
        let relay = world.model.relays.last().expect("the neighbour's");
        assert_eq!(relay.received[0], relay.accepted, "the neighbour waits");
        assert!(!world.stores.open.is_empty());
    }
    // Those who have no place wait no longer than the others.
    world.run_for(limits::FETCH_MAX);
    assert_eq!(world.stores.settled, 60);
    world.finish();
}

#[test]
fn an_endless_answer_and_a_refused_one_end_in_time() {
    for mood in [
        Mood::Endless,
        Mood::Elsewhere,
        Mood::Refuses,
        Mood::Hangs,
        Mood::Rude(0),
        Mood::Rude(60),
        Mood::Fails(401),
        Mood::Fails(403),
        Mood::Fails(404),
        Mood::Fails(429),
        Mood::Fails(503),
    ] {
        for by_role in [false, true] {
            let mut world = world(11, mood, by_role);
            for sid in 1..=4 {
                open(&mut world, sid);
            }
            world.run_for(limits::FETCH_MAX);
            assert_eq!(world.stores.settled, 4, "{mood:?}");
            assert!(world.model.sessions.is_empty(), "{mood:?}");
            world.stores.mood = Some(Mood::Polite);
            open(&mut world, 9);
            world.run_for(limits::METADATA_DEAD);
            assert!(world.users.sessions[&9].is_open, "after {mood:?}");
            world.finish();
        }
    }
}
