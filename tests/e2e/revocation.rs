//! A key that is deleted while its agent is at work.

use loopback_gateway::process::wait_gone;
use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{Session, SessionRequest};

use crate::world::{World, console_at_work, forward_at_work};

const EAGER: (&str, &str) = ("HOOP_LITE_KEY_CHECK_INTERVAL", "5s");

/// A command whose shell and child do not end when they are asked to; returns their ids.
fn stubborn<'world>(world: &'world World) -> (Session<'world>, Vec<i32>) {
    let mut session = world.open(SessionRequest::exec(&["sh"]));
    session.wait_open();
    session.send_stdin(b"trap '' TERM HUP; sleep 1000 & echo $$ $! up; wait; sleep 1000\n");
    let line = session.expect(" up\n");
    let pids = line.split_whitespace().filter_map(|word| word.parse().ok());
    let pids: Vec<i32> = pids.collect();
    assert_eq!(pids.len(), 2, "{line}");
    (session, pids)
}

#[test]
fn processes_that_ignore_the_polite_signals_end_too() {
    let world = World::with_variables(&[EAGER]);
    let (_session, pids) = stubborn(&world);
    world.gateway.revoke("demo");
    world.gateway.wait_offline("demo");
    pids.into_iter().for_each(wait_gone);
    world.agent.wait_childless();
}

#[test]
fn the_program_ends_with_3_when_asked_for_and_leaves_nothing() {
    let world = World::with_variables(&[EAGER, ("HOOP_LITE_EXIT_ON_REVOKED", "true")]);
    let target = Target::start(Manner::Echo);
    let (_session, pids) = stubborn(&world);
    let mut console = console_at_work(&world.gateway);
    let _forward = forward_at_work(&world.gateway, &target);
    world.gateway.revoke("demo");
    assert_eq!(world.agent.wait_exit().code(), Some(3));
    world.agent.wait_text("refuses the key");
    console.wait_end();
    target.wait_idle();
    pids.into_iter().for_each(wait_gone);
}
