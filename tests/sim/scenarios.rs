//! Named scripts: what the sweep found or might miss, each in a world without chance.

use std::time::Duration;

use hoop_lite::agent::{LinkState, Outcome};
use hoop_lite::limits;

use crate::net::End;
use crate::sent::{Sent, Service};
use crate::setup::Setup;
use crate::target::Mood;
use crate::world::{DRAIN_TIMEOUT, World};

const MOMENT: Duration = Duration::from_millis(100);
const MIB: usize = 1 << 20;
const PIECE: usize = 256 * 1024;

fn world() -> World {
    world_of(Setup::plain())
}

fn world_of(setup: Setup) -> World {
    let mut world = World::new(1, setup, None);
    world.reconnect();
    world
}

/// A world with an open TCP session, of number 1.
fn tcp_world(setup: Setup) -> World {
    let mut world = world_of(setup);
    world.open(1, Service::Tcp, Mood::Echo);
    // The answered address check has gone, so that the first connection has a mood of its own.
    world.run_for(limits::PROBE_KEPT_MAX + MOMENT);
    assert!(world.users.sessions[&1].is_open);
    world
}

#[test]
fn the_first_client_hears_what_the_server_of_the_address_check_has_said() {
    const SAID: u32 = 5_000;
    let mut world = world_of(Setup::plain());
    world.open(1, Service::Tcp, Mood::Says(SAID));
    world.run_for(MOMENT);
    world.connect(1, None, Mood::Refuses);
    world.run_for(MOMENT);
    assert_eq!(world.got(1), u64::from(SAID));
    world.finish();
}

impl World {
    fn flood(&mut self, sid: u32, connection: u32, bytes: usize) {
        for _ in 0..bytes / PIECE {
            self.write(sid, connection, PIECE);
        }
    }

    /// A client that always has one more message, which the gateway takes when it has room.
    fn keep_flooding(&mut self, sid: u32, connection: u32) {
        let backlog = self.link.as_ref().map_or(0, |link| link.peer.backlog());
        if backlog < PIECE {
            self.write(sid, connection, PIECE);
        }
    }

    fn is_connection_open(&self, sid: u32, connection: u32) -> bool {
        self.users.sessions[&sid].connections[&connection].is_open
    }

    /// What the client of a session's latest relay got.
    fn got(&self, sid: u32) -> u64 {
        let mut relays = self.model.relays.iter().rev();
        let relay = relays.find(|relay| relay.sid == sid).expect("a relay");
        relay.received[0] + relay.received[1]
    }
}

#[test]
fn one_stalled_relay_does_not_stop_its_neighbours() {
    let mut world = tcp_world(Setup::plain());
    let stalled = world.connect(1, None, Mood::Mute);
    world.open(2, Service::Tcp, Mood::Echo);
    world.run_for(MOMENT);
    let neighbour = world.connect(2, None, Mood::Echo);
    let mut trips = 0;
    while world.is_connection_open(1, stalled) {
        let before = world.got(2);
        world.write(2, neighbour, 10);
        let asked = world.now;
        world.drain();
        while world.got(2) == before {
            assert!(
                world.now < asked + limits::STALL_MAX / 10,
                "the neighbour waits"
            );
            world.keep_flooding(1, stalled);
            world.step();
        }
        trips += 1;
    }
    assert!(trips > 10);
    assert!(world.is_connection_open(2, neighbour));
    world.finish();
}

#[test]
fn a_target_that_reads_nothing_for_an_hour_lives() {
    let mut world = tcp_world(Setup::plain());
    let stalled = world.connect(1, None, Mood::Mute);
    world.write(1, stalled, 100_000);
    world.run_for(Duration::from_secs(3600));
    assert!(world.is_connection_open(1, stalled));
    world.finish();
}

#[test]
fn a_small_budget_is_kept_from_the_first_byte() {
    let mut setup = Setup::plain();
    setup.bounds.queue_bytes_max = MIB;
    let mut world = tcp_world(setup);
    let stalled = world.connect(1, None, Mood::Mute);
    world.flood(1, stalled, 8 * MIB);
    world.run_for(limits::STALL_MAX * 3);
    assert!(!world.is_connection_open(1, stalled));
    world.finish();
}

#[test]
fn a_message_larger_than_the_credit_arrives() {
    let mut setup = Setup::plain();
    setup.bounds.queue_bytes_max = MIB;
    setup.payload_max = 5 * MIB;
    let mut world = world_of(setup);
    world.open(1, Service::Command, Mood::Echo);
    world.exec(1, 5 * MIB, Mood::Echo);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.got(1), 5 * MIB as u64);
    world.finish();
}

#[test]
fn a_slow_target_gets_everything_though_its_client_left() {
    let mut world = tcp_world(Setup::plain());
    let connection = world.connect(1, Some(200_000), Mood::Slow(3_000));
    world.run_for(MOMENT);
    world.hang_up_client(1, connection);
    world.run_for(Duration::from_secs(120));
    let relay = &world.model.relays[1];
    assert_eq!((relay.accepted, relay.written), (200_000, 200_000));
    assert!(relay.is_closed && relay.dropped == Some(false), "{relay:?}");
    world.finish();
}

#[test]
fn a_slow_target_is_not_closed_when_pressure_begins() {
    let mut setup = Setup::plain();
    setup.bounds.queue_bytes_max = 4 * MIB;
    let mut world = tcp_world(setup);
    // So slow that the kernel invites no further write for longer than a stall may last.
    let slow = world.connect(1, None, Mood::Slow(500));
    world.flood(1, slow, MIB + PIECE);
    world.run_for(limits::STALL_MAX * 3);
    let other = world.connect(1, None, Mood::Mute);
    world.flood(1, other, 2 * MIB);
    world.run_for(limits::STALL_MAX * 3);
    assert!(world.is_connection_open(1, slow), "it moves");
    assert!(!world.is_connection_open(1, other), "it does not");
    world.finish();
}

#[test]
fn revocation_in_mid_transfer_ends_everything_at_once() {
    let mut world = tcp_world(Setup::plain());
    let connection = world.connect(1, None, Mood::Slow(1_000));
    world.open(2, Service::Command, Mood::Echo);
    world.open(4, Service::Command, Mood::Echo);
    world.run_for(MOMENT);
    world.flood(1, connection, MIB);
    world.exec(2, 1_000, Mood::Hangs);
    world.type_in(4, 1_000, Mood::Echo);
    world.run_for(MOMENT);
    assert_eq!(world.targets.len(), 3);
    world.users.is_revoked = true;
    let asked = world.now + world.setup.key_check_interval + limits::KEEPALIVE_INTERVAL;
    while world.agent.link_state() == LinkState::Live {
        assert!(world.now < asked, "the key is not checked");
        world.step();
    }
    assert!(world.targets.is_empty() && world.agent.sessions().is_empty());
    assert_eq!(world.agent.sessions().buffered_bytes(), 0);
    world.run_for(Duration::from_secs(60));
    assert_ne!(world.agent.link_state(), LinkState::Live);
    world.finish();
}

/// A short life with everything in it, cut off at each of its steps.
#[test]
fn the_gateway_may_die_at_every_step() {
    let script = |world: &mut World, number: u64| {
        match number {
            20 => world.open(1, Service::Tcp, Mood::Echo),
            30 => world.open(2, Service::Command, Mood::Echo),
            31 => world.exec(2, 3_000, Mood::Echo),
            60 => {
                world.connect(1, Some(5_000), Mood::Echo);
            }
            75 => world.write(1, 1, 70_000),
            110 => world.hang_up_client(1, 1),
            _ => {}
        }
        world.drain();
        world.step();
    };
    for death in 0..160 {
        for how in [Some(End::Reset), Some(End::Fin), None] {
            let mut world = World::new(death, Setup::plain(), None);
            for number in 0..death {
                script(&mut world, number);
            }
            match how {
                Some(how) => world.gateway_dies(how),
                None => {
                    if let Some(socket) = &mut world.link {
                        socket.is_silent = true;
                    }
                    world.run_for(Duration::from_secs(60));
                }
            }
            world.finish();
        }
    }
}

#[test]
fn a_silent_path_is_found_dead_in_time() {
    let mut world = tcp_world(Setup::plain());
    world.connect(1, Some(1_000), Mood::Echo);
    world.run_for(MOMENT);
    world.link.as_mut().expect("a link").is_silent = true;
    let most = world.setup.key_check_interval + limits::KEEPALIVE_INTERVAL / 2;
    let until = world.now + most + limits::LINK_SILENCE_MAX;
    while world.agent.link_state() == LinkState::Live {
        assert!(world.now <= until, "the agent hopes for too long");
        world.step();
    }
    assert!(world.targets.is_empty());
    world.finish();
}

#[test]
fn bad_bytes_cost_the_link_and_nothing_else() {
    let ruins: [&[u8]; 3] = [
        b"\x01\x00\x00\x00\x00",
        b"\x02\x00\x00\x00\x00",
        b"\x00\x00\x00\x00\x02\x12\x7f",
    ];
    for bytes in ruins {
        let mut world = tcp_world(Setup::plain());
        world.connect(1, Some(1_000), Mood::Echo);
        world.run_for(MOMENT);
        world.link.as_mut().expect("a link").peer.ruin_stream(bytes);
        world.flush_gateway();
        world.run_for(MOMENT);
        assert!(world.targets.is_empty());
        world.finish();
    }
}

#[test]
fn a_message_that_is_too_large_costs_its_session_alone() {
    let mut world = tcp_world(Setup::plain());
    let connection = world.connect(1, Some(1_000), Mood::Echo);
    world.open(2, Service::Tcp, Mood::Echo);
    world.run_for(MOMENT);
    world.send_too_much(2);
    world.send_too_much(7);
    world.write(1, connection, 100);
    world.run_for(Duration::from_secs(20));
    assert!(!world.users.sessions.contains_key(&2), "it goes on");
    assert_eq!(world.got(1), 1_100);
    world.finish();
}

#[test]
fn unknown_kinds_are_ignored_and_wrong_ones_end_their_session() {
    let mut world = tcp_world(Setup::plain());
    let connection = world.connect(1, Some(100), Mood::Echo);
    world.open(2, Service::Tcp, Mood::Echo);
    world.send("AgentFromTheFuture", 1, &[], b"x", Sent::Nothing);
    world.run_for(MOMENT);
    world.send("AgentMySQLConnectionWrite", 2, &[], b"x", Sent::Misfit(2));
    world.write(1, connection, 100);
    world.run_for(MOMENT);
    assert!(!world.users.sessions.contains_key(&2), "it was not refused");
    assert_eq!(world.got(1), 200);
    world.finish();
}

#[test]
fn half_a_frame_and_the_end_cost_the_link() {
    let mut world = tcp_world(Setup::plain());
    let socket = world.link.as_mut().expect("a link");
    socket.peer.half_a_frame(&mut world.dice);
    world.flush_gateway();
    world.run_for(MOMENT);
    assert_eq!(world.agent.sessions().len(), 1, "half a frame is no end");
    world.gateway_dies(End::Fin);
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.agent.sessions().len(), 0);
    world.finish();
}

#[test]
fn goaway_lets_sessions_go_on_and_an_idle_agent_reconnect() {
    let mut world = tcp_world(Setup::plain());
    let connection = world.connect(1, None, Mood::Echo);
    world.run_for(MOMENT);
    world.goes_away();
    world.run_for(MOMENT);
    world.write(1, connection, 100);
    world.run_for(MOMENT);
    assert_eq!(world.got(1), 100);
    world.gateway_dies(End::Fin);
    world.reconnect();
    let links = world.agent.counters().connects;
    world.goes_away();
    world.run_for(MOMENT / 10);
    world.reconnect();
    assert_eq!(world.agent.counters().connects, links + 1);
    world.finish();
}

/// A world whose gateway has said goodbye while a slow target still has something to get.
fn world_after_goodbye() -> World {
    let mut world = tcp_world(Setup::plain());
    world.connect(1, Some(100_000), Mood::Slow(3_000));
    world.run_for(MOMENT);
    world.goes_away();
    world.run_for(MOMENT);
    world
}

#[test]
fn after_a_goodbye_the_last_bytes_arrive_and_then_the_link_is_left() {
    let mut world = world_after_goodbye();
    world.hang_up_client(1, 1);
    world.close(1);
    let links = world.agent.counters().connects;
    world.run_for(Duration::from_secs(60));
    let relay = &world.model.relays[1];
    assert_eq!((relay.accepted, relay.written), (100_000, 100_000));
    assert_eq!(world.agent.counters().connects, links + 1);
    world.finish();
}

#[test]
fn after_a_goodbye_a_deleted_key_is_noticed_in_time() {
    let mut world = world_after_goodbye();
    world.run_for(Duration::from_secs(300));
    assert_eq!(world.agent.counters().check_failures, 0);
    assert_eq!(world.agent.sessions().len(), 1);
    world.users.is_revoked = true;
    let most = world.setup.key_check_interval + limits::KEEPALIVE_INTERVAL;
    world.run_for(most);
    assert!(world.agent.sessions().is_empty());
    world.finish();
}

#[test]
fn after_a_goodbye_a_silent_path_is_found_dead_in_time() {
    let mut world = world_after_goodbye();
    world.link.as_mut().expect("a link").is_silent = true;
    let most = world.setup.key_check_interval + limits::KEEPALIVE_INTERVAL / 2;
    let until = world.now + most + limits::LINK_SILENCE_MAX;
    while world.agent.link_state() == LinkState::Live {
        assert!(world.now <= until, "the agent hopes for too long");
        world.step();
    }
    world.finish();
}

#[test]
fn a_client_that_stands_still_gets_the_last_bytes_of_a_command() {
    let mut world = world();
    world.open(2, Service::Command, Mood::Echo);
    world.run_for(MOMENT);
    world.link.as_mut().expect("a link").is_stalled = true;
    world.exec(2, 0, Mood::Says(200_000));
    world.run_for(Duration::from_secs(14));
    assert!(world.model.relays[0].exit.is_some(), "it has ended");
    world.link.as_mut().expect("a link").is_stalled = false;
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.got(2), 200_000);
    assert!(world.model.sessions.is_empty());
    world.finish();
}

/// What its target has to say would fill its buffer, and it would take no more.
#[test]
fn a_target_whose_client_left_is_read_though_the_link_has_no_room() {
    let mut world = tcp_world(Setup::plain());
    world.link.as_mut().expect("a link").is_stalled = true;
    world.connect(1, None, Mood::Says(1 << 20));
    let echo = world.connect(1, Some(1 << 20), Mood::Echo);
    world.run_for(MOMENT);
    assert!(!world.agent.has_room() && !world.model.relays[2].is_closed);
    world.hang_up_client(1, echo);
    world.run_for(limits::LINGER_MAX / 2);
    let relay = &world.model.relays[2];
    assert_eq!((relay.accepted, relay.written), (1 << 20, 1 << 20));
    assert!(relay.is_closed && relay.dropped == Some(false), "{relay:?}");
    world.link.as_mut().expect("a link").is_stalled = false;
    world.finish();
}

#[test]
fn a_job_that_prints_for_ever_does_not_keep_its_session() {
    let mut world = world();
    world.open(2, Service::Command, Mood::Echo);
    world.exec(2, 0, Mood::TalksOn);
    world.run_for(limits::OUTPUT_AFTER_EXIT_MAX);
    assert_eq!(world.model.sessions.len(), 1);
    // It takes a few lines until the command itself has ended.
    world.run_for(Duration::from_secs(5));
    assert!(world.model.sessions.is_empty());
    world.finish();
}

#[test]
fn who_takes_the_id_of_a_live_session_gets_nothing_and_ends_it() {
    let mut world = world();
    world.open(2, Service::Command, Mood::Echo);
    world.type_in(2, 1_000, Mood::Echo);
    world.run_for(MOMENT);
    world.open(2, Service::Command, Mood::Echo);
    world.run_for(MOMENT);
    assert!(world.targets.is_empty() && world.model.sessions.is_empty());
    world.open(2, Service::Command, Mood::Echo);
    world.run_for(MOMENT);
    assert!(world.model.sessions.is_empty(), "the id is burnt");
    world.finish();
}

#[test]
fn term_waits_for_sessions_that_end_in_time() {
    let mut world = world();
    world.open(2, Service::Command, Mood::Echo);
    world.exec(2, 50_000, Mood::Slow(40_000));
    world.run_for(MOMENT / 10);
    let asked = world.now;
    world.stop();
    world.open(4, Service::Command, Mood::Echo);
    world.run_for(DRAIN_TIMEOUT * 2);
    assert_eq!(world.exit, Some(Outcome::Stopped));
    assert!(world.now < asked + DRAIN_TIMEOUT, "it waited for nobody");
    let relay = &world.model.relays[0];
    assert!(relay.exit.is_some() && relay.written == 50_000, "{relay:?}");
}

#[test]
fn term_closes_what_does_not_end_and_a_second_one_does_so_at_once() {
    for is_impatient in [false, true] {
        let mut world = tcp_world(Setup::plain());
        world.connect(1, Some(100), Mood::Echo);
        world.open(2, Service::Command, Mood::Echo);
        world.exec(2, 100, Mood::Hangs);
        world.run_for(MOMENT);
        let asked = world.now;
        world.stop();
        world.run_for(MOMENT);
        if is_impatient {
            world.stop();
        }
        world.run_for(DRAIN_TIMEOUT * 2);
        assert_eq!(world.exit, Some(Outcome::Stopped));
        assert!(world.model.sessions.is_empty() && world.users.sessions.is_empty());
        let took = world.now - asked;
        assert_eq!(took < DRAIN_TIMEOUT, is_impatient, "it took {took:?}");
    }
}

#[test]
fn a_second_gateway_finds_an_agent_that_was_refused_for_long() {
    let mut world = world();
    world.gateway_dies(End::Reset);
    world.users.gateway_is_down = true;
    world.run_for(Duration::from_secs(600));
    world.users.gateway_is_down = false;
    world.users.gateway_hangs = true;
    world.run_for(Duration::from_secs(600));
    world.users.gateway_hangs = false;
    let back = world.now;
    world.reconnect();
    let most = limits::CONNECT_TIMEOUT + limits::BACKOFF_MAX;
    assert!(world.now - back <= most + Duration::from_secs(1));
    world.finish();
}
