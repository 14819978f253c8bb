//! An agent that is stopped for a while, as a suspended machine stops it.

use loopback_gateway::event::Event;
use loopback_gateway::{AgentProcess, Packet, PreConnectMood, SessionRequest};

use crate::world::{AGENT, World};

#[test]
fn what_came_while_it_was_stopped_counts_before_what_is_overdue() {
    let world = World::with_variables(&[("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")]);
    let checked = |from: usize, name: &str| {
        world
            .gateway
            .wait_event(from, "a key check", |event| match event {
                Event::PreConnect { agent, .. } if agent == name => Some(()),
                _ => None,
            });
        world.gateway.mark()
    };
    let mut console = world.open(SessionRequest::console(&["cat"]).on("demo"));
    console.start_console();
    let stream = world.gateway.stream_number("demo");
    // The worst moment: the check is asked, and the answer is still to come.
    world.gateway.set_preconnect(PreConnectMood::Silent);
    checked(world.gateway.mark(), "demo");
    world.agent.signal(libc::SIGSTOP);
    world.gateway.set_preconnect(PreConnectMood::Normal);
    let packet = Packet::new("PacketOfTheFuture");
    world.gateway.send("demo", packet);
    // The checks of another agent tell when the first one's patience would have run out.
    let key = world.gateway.register("clock", "standard");
    let mut variables = world.gateway.environment(&key);
    variables.push(("HOOP_LITE_KEY_CHECK_INTERVAL".into(), "5s".into()));
    let _clock = AgentProcess::start(AGENT, &variables);
    let mut from = world.gateway.mark();
    for _ in 0..2 {
        from = checked(from, "clock");
    }
    world.agent.signal(libc::SIGCONT);
    console.write("still here\n");
    console.expect("still here\r\nstill here\r\n");
    assert_eq!(world.gateway.stream_number("demo"), stream);
}
