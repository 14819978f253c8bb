//! One user's request must not cost another user's session, however large it is.

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{Packet, Security, SessionRequest, Setup};

use crate::world::{World, console_at_work, forward_at_work};

const MIB: usize = 1 << 20;

/// Opens whose echoes, were they whole, would fill the outbox many times.
fn greedy() -> [SessionRequest; 3] {
    let port = SessionRequest {
        request_port: Some("7".repeat(6 * MIB)),
        ..SessionRequest::exec(&["true"])
    };
    let words = vec!["x".repeat(100_000); 60];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let args = SessionRequest::exec(&["true"]).args(&words);
    let command = SessionRequest::exec(&["true", &"x".repeat(6 * MIB)]);
    [port, args, command]
}

#[test]
fn opens_with_large_echoes_hold_up_nobody_and_cost_no_link() {
    let setup = Setup {
        window: 64 << 10,
        ..Setup::new(Security::Tls)
    };
    let world = World::start_with(setup, &[]);
    let echo = Target::start(Manner::Echo);
    let mut neighbour = forward_at_work(&world.gateway, &echo);
    let stream = world.gateway.stream_number("demo");
    for request in greedy().iter().cycle().take(12) {
        let mut session = world.open(request.clone());
        neighbour.send_to("1", b"while it opens");
        neighbour.receive("1", 14);
        let open = session.wait_open();
        let echoed: usize = open.spec.values().map(|value| value.len()).sum();
        assert!(echoed < 6000, "{echoed} bytes are echoed");
        drop(session);
    }
    world.gateway.settle("demo");
    assert_eq!(world.gateway.stream_number("demo"), stream);
    world.gateway.assert_clean();
}

#[test]
fn who_asks_without_listening_gets_every_answer_when_he_listens() {
    let world = World::start();
    let echo = Target::start(Manner::Echo);
    let mut neighbour = forward_at_work(&world.gateway, &echo);
    let stream = world.gateway.stream_number("demo");
    world.gateway.stall("demo", true);
    let count = 30_000;
    for number in 0..count {
        let packet = Packet::new("AgentTCPConnectionWrite")
            .with("gateway.session_id", format!("{number:036}"))
            .with("client.connection_id", "1")
            .carrying("x");
        world.gateway.send("demo", packet);
    }
    // The neighbour's bytes are behind the strays, and its answer behind theirs.
    neighbour.send_to("1", b"behind them");
    world.gateway.stall("demo", false);
    neighbour.receive("1", 11);
    let last = format!("{:036}", count - 1);
    world
        .gateway
        .wait_packet(0, "the last stray's close", |packet| {
            packet.kind == "ClientSessionClose" && packet.sid() == last
        });
    assert_eq!(world.gateway.stream_number("demo"), stream);
}

#[test]
fn a_message_that_is_too_large_costs_its_own_session_only() {
    let world = World::start();
    let echo = Target::start(Manner::Echo);
    let mut neighbour = forward_at_work(&world.gateway, &echo);
    let mut console = console_at_work(&world.gateway);
    let stream = world.gateway.stream_number("demo");
    // A client's 9.3 MB become twice as many at the gateway.
    let words = vec!["x".repeat(100_000); 186];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let close = world
        .open(SessionRequest::exec(&["true"]).args(&words))
        .wait_refusal();
    assert!(close.text.contains("send less at once"), "{close:?}");
    let mut large = world.open(SessionRequest::exec(&["cat"]));
    large.wait_open();
    large.send_stdin(&vec![b'x'; 18 * MIB]);
    let close = large.wait_close();
    assert!(close.text.contains("send less at once"), "{close:?}");
    neighbour.send_to("1", b"goes on");
    neighbour.receive("1", 7);
    console.write("too\n");
    console.expect("too\r\ntoo\r\n");
    assert_eq!(world.shell("echo new").out(), "new\n");
    assert_eq!(world.gateway.stream_number("demo"), stream);
}
