//! What probes and monitoring are told: one word for health, Prometheus text for the rest, and some
//! lines of log for whoever asks by signal.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::agent::{Agent, LinkState};

/// An idle gateway is heard at every key check; silence beyond two of them is a sign.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// How a probe is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// The gateway was heard lately.
    Connected,
    /// A link stands, but nothing came over it for a while.
    Silent,
    /// There is no link.
    Disconnected,
    /// Asked to stop; takes no new sessions.
    Stopping,
}

impl Health {
    /// The word of the answer.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Silent => "silent",
            Self::Disconnected => "disconnected",
            Self::Stopping => "stopping",
        }
    }
}

/// The agent's health at `now`: the age of the last byte heard, not the state of a socket.
pub fn health(agent: &Agent, now: Instant) -> Health {
    if agent.is_stopping() {
        return Health::Stopping;
    }
    match (agent.link_state(), agent.last_received()) {
        (LinkState::Live | LinkState::Connecting, Some(heard)) => {
            match now.saturating_duration_since(heard) <= HEARD_WITHIN {
                true => Health::Connected,
                false => Health::Silent,
            }
        }
        _ => Health::Disconnected,
    }
}

/// What a probe reads: the word, and what an operator should know beside it.
pub fn health_text(agent: &Agent, now: Instant) -> String {
    let word = health(agent, now).word();
    match agent.without_credit(now).as_secs() {
        0 => format!("{word}\n"),
        seconds => format!("{word}, no credit for {seconds} s\n"),
    }
}

/// Name, help and value.
type Figure = (&'static str, &'static str, u64);

/// All figures, in the text format of Prometheus (version 0.0.4).
pub fn metrics(agent: &Agent, now: Instant, processes: usize) -> String {
    let gauges = gauges(agent, now, processes);
    let totals = totals(agent);
    let mut out = String::new();
    for (kind, list) in [("gauge", &gauges[..]), ("counter", &totals[..])] {
        for (name, help, value) in list {
            // Writing to a string does not fail.
            let _ = write!(
                out,
                "# HELP hoop_lite_{name} {help}\n# TYPE hoop_lite_{name} {kind}\nhoop_lite_{name} {value}\n"
            );
        }
    }
    out
}

/// What is now.
fn gauges(agent: &Agent, now: Instant, processes: usize) -> [Figure; 7] {
    let sessions = agent.sessions();
    let heard_ms = agent
        .last_received()
        .map_or(0, |heard| now.saturating_duration_since(heard).as_millis());
    let is_live = u64::from(agent.link_state() == LinkState::Live);
    [
        (
            "link_up",
            "1 while packets flow between agent and gateway.",
            is_live,
        ),
        (
            "link_heard_ms",
            "Milliseconds since the gateway was last heard.",
            number(heard_ms),
        ),
        (
            "link_no_credit_ms",
            "Milliseconds for which the gateway has given no credit though packets wait for it.",
            number(agent.without_credit(now).as_millis()),
        ),
        ("sessions_open", "Sessions open now.", sessions.len() as u64),
        (
            "targets_open",
            "Connections and commands open now.",
            sessions.target_count() as u64,
        ),
        (
            "processes",
            "Processes running or being ended.",
            processes as u64,
        ),
        (
            "queue_bytes",
            "Bytes that wait for targets.",
            sessions.buffered_bytes() as u64,
        ),
    ]
}

/// What was counted since the start.
fn totals(agent: &Agent) -> [Figure; 13] {
    let (link, counters) = (agent.counters(), agent.sessions().counters());
    [
        (
            "connects_total",
            "Streams that the gateway accepted.",
            link.connects,
        ),
        (
            "link_failures_total",
            "Attempts that failed and links that ended.",
            link.failures,
        ),
        (
            "key_check_failures_total",
            "Key checks without an answer.",
            link.check_failures,
        ),
        ("sessions_total", "Sessions opened.", counters.sessions),
        ("relays_total", "TCP connections opened.", counters.relays),
        ("commands_total", "Commands started.", counters.commands),
        (
            "refused_total",
            "Sessions, connections and packets refused.",
            counters.refused,
        ),
        (
            "oversized_total",
            "Messages of the gateway that were too large and passed over.",
            counters.oversized,
        ),
        (
            "dial_failures_total",
            "Targets that did not answer.",
            counters.dial_failures,
        ),
        (
            "stalls_total",
            "Relays closed because their target stalled.",
            counters.stalls,
        ),
        (
            "vanished_total",
            "Relays closed because their target vanished.",
            counters.vanished,
        ),
        (
            "to_gateway_bytes_total",
            "Payload from targets.",
            counters.bytes_to_gateway,
        ),
        (
            "to_target_bytes_total",
            "Payload to targets.",
            counters.bytes_to_target,
        ),
    ]
}

/// Writes how things stand into the log: the link's phase, and all figures.
pub fn log_state(agent: &Agent, now: Instant, processes: usize) {
    let state = match agent.link_state() {
        LinkState::Waiting => "down until the next attempt",
        LinkState::Dialling => "being dialled",
        LinkState::Connecting => "dialled, without a stream yet",
        LinkState::Live => "up",
    };
    log::info!("state: the link to {} is {state}", agent.place());
    let figures = metrics(agent, now, processes);
    let figures = figures
        .lines()
        .filter_map(|line| line.strip_prefix("hoop_lite_"));
    log::info!("state: {}", figures.collect::<Vec<_>>().join(", "));
}

fn number(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
