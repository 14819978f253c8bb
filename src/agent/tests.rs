//! The root machine against a gateway of a few frames.

use std::time::{Duration, Instant};

use super::*;
use crate::base::{Rng, Secret};
use crate::h2::tests::{SETTINGS, Sent, read_frames};
use crate::limits;
use crate::link::Identity;
use crate::session::{self, AgentEnvironment, Sessions};

const SETTINGS_OF_AGENT: Settings = Settings {
    is_embedded: false,
    key_check_interval: Duration::from_secs(15),
    drain_timeout: Duration::from_secs(10),
    reconnect_max: limits::BACKOFF_MAX,
    exit_on_revoked: false,
};

fn endpoint() -> Endpoint {
    Endpoint {
        host: "gateway".to_owned(),
        port: 8010,
        tunnel: None,
        tls: None,
        identity: Identity {
            is_encrypted: false,
            authority: "gateway:8010".to_owned(),
            token: Secret::new("token"),
            metadata: Vec::new(),
            preconnect: Vec::new(),
            user_agent: "test".to_owned(),
        },
    }
}

/// An agent whose socket is connected, and a clock.
struct World {
    agent: Agent,
    now: Instant,
}

impl World {
    fn with(settings: session::Settings) -> Self {
        let now = Instant::now();
        let sessions = Sessions::new(settings, AgentEnvironment::default());
        let endpoints = Box::new(|| Ok(endpoint()));
        let mut agent = Agent::new(now, SETTINGS_OF_AGENT, sessions, endpoints, Rng::new(1));
        assert!(matches!(agent.poll_output(), Some(Output::DialLink { .. })));
        agent.link_connected(now);
        Self { agent, now }
    }

    /// Everything that the agent has to say, as frames; the preface is left out.
    fn sent(&mut self) -> Vec<Sent> {
        let bytes = self.agent.link_pending(self.now).to_vec();
        self.agent.link_sent(self.now, bytes.len());
        read_frames(
            bytes
                .strip_prefix(crate::h2::frame::PREFACE)
                .unwrap_or(&bytes),
        )
    }
}

#[test]
fn the_first_credit_fits_a_small_byte_budget() {
    for budget in [1 << 20, 32 << 20] {
        let mut world = World::with(session::Settings {
            queue_bytes_max: budget,
            ..session::Settings::default()
        });
        let settings = world
            .sent()
            .into_iter()
            .find(|frame| frame.kind == SETTINGS)
            .unwrap();
        let window = settings
            .payload
            .chunks(6)
            .find(|entry| entry[..2] == [0, 4])
            .unwrap();
        let window = u32::from_be_bytes(window[2..].try_into().unwrap());
        assert_eq!(window as usize, budget / 2);
    }
}
