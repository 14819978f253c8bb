//! A gateway, or a proxy, that takes no further call: where the key is checked, what silence is, and
//! when the link is left.

use super::*;
use crate::agent::Machine;

/// The frames of a gateway that answers the second connection's call with this status.
fn answer(status: &str) -> Vec<u8> {
    let end = [("grpc-status", status)];
    let content = message(b"\x0a\x07BACKOFF");
    [
        settings(&[]),
        headers(1, GRPC, false),
        data(1, &content, false),
        headers(1, &end, true),
    ]
    .concat()
}

impl World {
    /// A session is open, and the gateway has said goodbye.
    fn going_away() -> Self {
        let mut world = Self::live(&[]);
        world.open_tcp("a");
        world.sent();
        world.feed(&go_away(1, ErrorCode::NO_ERROR, b"max requests"));
        assert!(!world.closes_link(), "a session is open");
        world
    }

    /// The reactor is asked for a second connection.
    fn dials_second(&mut self) -> bool {
        std::iter::from_fn(|| self.agent.poll_output())
            .any(|output| matches!(output, Action::DialSecond { .. }))
    }

    /// The second connection is made, asked and answered.
    fn answer_second(&mut self, bytes: &[u8]) {
        self.agent.second_connected(self.now);
        let (greeting, call) = bytes.split_at(9);
        for part in [greeting, call] {
            let buffer = self.agent.second_read_buffer().expect("it is read");
            buffer[..part.len()].copy_from_slice(part);
            self.agent.second_received(self.now, part.len());
            let size = self.agent.second_encrypt(self.now).len();
            self.agent.second_sent(self.now, size);
        }
    }

    /// The link's sign of life, if one is demanded.
    fn answer_probe(&mut self) {
        if self
            .sent()
            .iter()
            .any(|frame| (frame.kind, frame.flags) == (SETTINGS, 0))
        {
            self.feed(&frame(SETTINGS, ACK, 0, &[]));
        }
    }
}

#[test]
fn after_a_goodbye_the_key_is_checked_over_a_second_connection_as_often_as_before() {
    let mut world = World::going_away();
    for _ in 0..5 {
        let asked = (0..10).any(|_| {
            // Busy: silence would be judged late.
            world.feed(&frame(PING, 0, 0, &[0; 8]));
            world.pass(1);
            world.answer_probe();
            world.dials_second()
        });
        assert!(asked, "the key is not checked");
        world.answer_second(&answer("0"));
        let outputs: Vec<_> = std::iter::from_fn(|| world.agent.poll_output()).collect();
        assert!(matches!(outputs[..], [Action::CloseSecond]));
    }
    assert_eq!(world.agent.sessions().len(), 1);
    assert_eq!(world.agent.counters().check_failures, 0);
    while !world.dials_second() {
        world.pass(1);
        world.answer_probe();
    }
    world.answer_second(&answer("16"));
    assert!(world.closes_link());
    assert!(world.agent.sessions().is_empty());
}

#[test]
fn a_second_connection_that_fails_ends_nothing() {
    let mut world = World::going_away();
    let ends: [fn(&mut World); 4] = [
        |world| world.agent.second_failed("connection refused"),
        |world| {
            world.answer_second(&[settings(&[]), headers(1, &[(":status", "401")], true)].concat())
        },
        |world| world.answer_second(&[settings(&[]), frame(PING, 0, 1, &[0; 8])].concat()),
        |_| {},
    ];
    for (number, end) in ends.iter().enumerate() {
        while !world.dials_second() {
            world.pass(1);
            world.answer_probe();
        }
        end(&mut world);
        for _ in 0..16 {
            world.pass(1);
            world.answer_probe();
        }
        assert_eq!(world.agent.link_state(), LinkState::Live);
        assert_eq!(world.agent.sessions().len(), 1);
        let failures = world.agent.counters().check_failures;
        assert!(failures > u64::try_from(number).unwrap(), "{number}");
    }
}

#[test]
fn after_a_goodbye_silence_is_judged_whatever_the_second_connection_says() {
    for is_answered in [false, true] {
        let mut world = World::going_away();
        while !world.dials_second() {
            world.pass(1);
            world.sent();
        }
        if is_answered {
            world.answer_second(&answer("0"));
        }
        let lost_after = (1..60).find(|_| {
            world.pass(1);
            world.closes_link()
        });
        assert!(
            lost_after.is_some_and(|seconds| seconds <= 15),
            "{lost_after:?}"
        );
    }
}

#[test]
fn the_link_is_left_when_the_last_session_has_ended_and_not_before() {
    for confirms in [true, false] {
        let mut world = World::going_away();
        world.open_tcp("b");
        world.sent();
        world.feed(&packet(Kind::AgentSessionClose, "a", &[], b""));
        assert!(!world.closes_link());
        world.feed(&packet(Kind::AgentExecWriteStdin, "b", &[], b"x"));
        assert!(world.agent.sessions().is_empty());
        assert!(!world.closes_link(), "its close has not been sent");
        while !world.sent().is_empty() {}
        if confirms {
            world.feed(&packet(Kind::AgentSessionClose, "b", &[], b""));
        } else {
            world.pass(10);
        }
        assert!(world.closes_link());
    }
}

#[test]
fn behind_a_proxy_that_takes_one_call_the_key_is_checked_beside_the_link() {
    let mut world = World::live(&[(3, 1)]);
    world.open_tcp("a");
    while !world.dials_second() {
        world.pass(1);
        world.answer_probe();
    }
    world.answer_second(&answer("16"));
    assert!(world.agent.sessions().is_empty());
}

#[test]
fn a_proxy_that_wants_a_login_ends_nothing() {
    let mut world = World::live(&[]);
    world.open_tcp("a");
    world.pass(10);
    let stream = world.asked().expect("a key check");
    let refusal = [
        (":status", "401"),
        ("server", "nginx"),
        ("content-type", "text/html"),
    ];
    world.feed(&headers(stream, &refusal, true));
    assert!(!world.closes_link());
    assert_eq!(world.agent.sessions().len(), 1);
    assert_eq!(world.agent.counters().check_failures, 1);
}

#[test]
fn a_gateway_that_gives_no_credit_is_told_by_health_and_metrics() {
    let mut world = World::live(&[(4, 0)]);
    assert_eq!(health_text(&world.agent, world.now), "connected\n");
    world.pass(10);
    world.sent();
    world.feed(&frame(PING, 0, 0, &[0; 8]));
    world.now += Duration::from_millis(7_500);
    assert_eq!(
        health_text(&world.agent, world.now),
        "connected, no credit for 17 s\n"
    );
    let figures = metrics(&world.agent, world.now, &Machine::default());
    assert!(
        figures.contains("\nhoop_lite_link_without_credit_seconds 17.500\n"),
        "{figures}"
    );
    world.feed(&window_update(1, 1_000));
    world.sent();
    assert_eq!(health_text(&world.agent, world.now), "connected\n");
}
