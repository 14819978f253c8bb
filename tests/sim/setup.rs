//! What a world is made with, and the agent in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hoop_lite::agent::{Agent, AgentSettings, Endpoint};
use hoop_lite::base::{Rng, Secret};
use hoop_lite::limits;
use hoop_lite::link::AgentIdentity;
use hoop_lite::secrets::Stores;
use hoop_lite::session::{self, AgentEnvironment, Sessions};
use hoop_lite::tls::Client;
use rustls::ServerConfig;

use crate::content::MARKER;
use crate::dice::Dice;
use crate::model::Bounds;
use crate::net::Weather;
use crate::stores;
use crate::world::DRAIN_TIMEOUT;

/// TLS of both ends.
pub struct Tls {
    pub client: Client,
    pub server: Arc<ServerConfig>,
}

/// What a world is made with.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub bounds: Bounds,
    pub is_embedded: bool,
    pub key_check_interval: Duration,
    pub weather: Weather,
    /// Users send more than anybody reads.
    pub has_floods: bool,
    /// There are databases; what they take of the tables is not foretold, so these are large.
    pub has_databases: bool,
    /// There are stores for values, and Vault is entered by a role, or by a token.
    pub stores: Option<bool>,
    /// The longest payload that they send.
    pub payload_max: usize,
}

impl std::fmt::Debug for Weather {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "delay {:?}", self.delay)
    }
}

impl Setup {
    /// Production settings, fair weather.
    pub fn plain() -> Self {
        let settings = session::SessionLimits::default();
        Self {
            bounds: Bounds {
                relay_count_max: settings.relay_count_max,
                queue_bytes_max: settings.queue_bytes_max,
                stall_max: settings.stall_max,
                output_after_exit_max: settings.output_after_exit_max,
            },
            is_embedded: false,
            key_check_interval: Duration::from_secs(15),
            weather: Weather::fair(),
            has_floods: false,
            has_databases: false,
            stores: None,
            payload_max: 256 * 1024,
        }
    }

    /// Any settings that an operator may choose.
    pub fn any(dice: &mut Dice) -> Self {
        let has_floods = dice.chance(150);
        let mut setup = Self::plain();
        setup.bounds.relay_count_max = dice.pick(&[limits::RELAY_COUNT_MAX, 40, 6]);
        setup.bounds.queue_bytes_max = match has_floods {
            true => dice.pick(&[1 << 20, 2 << 20, 4 << 20]),
            false => dice.pick(&[1 << 20, limits::QUEUE_BYTES_MAX]),
        };
        setup.is_embedded = dice.chance(150);
        setup.key_check_interval = Duration::from_secs(dice.pick(&[5, 15, 60]));
        setup.weather = Weather::any(dice);
        setup.has_floods = has_floods;
        setup.has_databases = dice.chance(400);
        if setup.has_databases {
            setup.bounds.relay_count_max = limits::RELAY_COUNT_MAX;
            setup.stores = dice.pick(&[None, Some(false), Some(true)]);
        }
        setup
    }
}

/// The agent of such a world.
pub fn new_agent(now: Instant, dice: &mut Dice, setup: &Setup, tls: Option<&Tls>) -> Agent {
    let settings = AgentSettings {
        is_embedded: setup.is_embedded,
        key_check_interval: setup.key_check_interval,
        drain_timeout: DRAIN_TIMEOUT,
        reconnect_max: limits::BACKOFF_MAX,
        exit_on_revoked: false,
    };
    let sessions = Sessions::new(
        session::SessionLimits {
            relay_count_max: setup.bounds.relay_count_max,
            queue_bytes_max: setup.bounds.queue_bytes_max,
            stall_max: setup.bounds.stall_max,
            output_after_exit_max: setup.bounds.output_after_exit_max,
            silence_max: limits::TARGET_SILENCE_MAX,
        },
        AgentEnvironment::new(std::iter::empty(), setup.is_embedded),
    )
    .with_sources(Box::new(fuzz_entry::Nonces));
    let sessions = match setup.stores {
        Some(by_role) => sessions.with_stores(Stores::new(stores::settings(by_role))),
        None => sessions,
    };
    let client = tls.map(|tls| tls.client.clone());
    let endpoints = Box::new(move || {
        Ok(Endpoint {
            host: "gateway.example".into(),
            port: 8010,
            place: "gateway.example:8010".into(),
            tunnel: None,
            tls: client.clone(),
            identity: AgentIdentity {
                is_encrypted: client.is_some(),
                authority: "gateway.example:8010".into(),
                token: Secret::new(format!("grpcs://sim:xagt-{MARKER}@gateway.example:8010")),
                metadata: vec![("hostname", "sim".into()), ("version", String::new())],
                preconnect: Vec::new(),
                user_agent: "hoop-lite/sim".into(),
            },
        })
    });
    Agent::new(now, settings, sessions, endpoints, Rng::new(dice.roll()))
}
