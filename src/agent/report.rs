//! What probes and monitoring are told: one word for health, Prometheus text for the rest, and some
//! lines of log for whoever asks by signal. docs/operations.md has the tables.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::agent::{Agent, LinkState};
use super::history::{KeyState, Loss};
use crate::session::Failure;

/// An idle gateway is heard at every key check; silence beyond two of them is a sign.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// How a probe is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// The gateway was heard lately.
    Connected,
    /// The same, of an embedded agent that nobody needs yet.
    Idle,
    /// A link stands, but nothing came over it for a while.
    Silent,
    /// There is no link, or none that the gateway has accepted.
    Disconnected,
    /// Asked to stop; takes no new sessions.
    Stopping,
}

impl Health {
    /// The word of the answer.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Idle => "the gateway accepts the key, waiting for a session",
            Self::Silent => "silent",
            Self::Disconnected => "disconnected",
            Self::Stopping => "stopping",
        }
    }

    /// Sessions can come.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Connected | Self::Idle)
    }
}

/// The agent's health at `now`: the age of the last byte heard, not the state of a socket.
pub fn health(agent: &Agent, now: Instant) -> Health {
    if agent.is_stopping() {
        return Health::Stopping;
    }
    let well = match agent.link_state() {
        LinkState::Live => Health::Connected,
        LinkState::Idle => Health::Idle,
        LinkState::Waiting | LinkState::Dialling | LinkState::Connecting => {
            return Health::Disconnected;
        }
    };
    match agent.last_received() {
        Some(heard) if now.saturating_duration_since(heard) > HEARD_WITHIN => Health::Silent,
        _ => well,
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

/// What the shell knows about the process that we are.
#[derive(Clone, Default, Debug)]
pub struct Machine {
    /// Processes of sessions, running or being ended.
    pub processes: usize,
    /// When we were started, in seconds since 1970.
    pub started_at: u64,
    /// Memory that is resident.
    pub resident_bytes: u64,
    /// Descriptors that are open.
    pub descriptors: u64,
    /// Descriptors that may be open.
    pub descriptors_max: u64,
    /// What this program was built from and for: labels of Prometheus.
    pub build: String,
}

/// All figures, in the text format of Prometheus (version 0.0.4).
pub fn metrics(agent: &Agent, now: Instant, machine: &Machine) -> String {
    let mut page = Page::default();
    page.head(
        "hoop_lite_build_info",
        "gauge",
        "What this program was built from and for.",
    );
    page.value("hoop_lite_build_info", &machine.build, 1);
    of_link(&mut page, agent, now);
    of_sessions(&mut page, agent);
    of_machine(&mut page, machine);
    failures(&mut page, agent);
    totals(&mut page, agent);
    page.0
}

/// The text so far.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample; `labels` without their braces.
    fn value(&mut self, name: &str, labels: &str, value: u64) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn figures(&mut self, kind: &str, figures: &[(&str, &str, u64)]) {
        for (name, help, value) in figures {
            self.head(name, kind, help);
            self.value(name, "", *value);
        }
    }

    fn seconds(&mut self, name: &str, help: &str, duration: Duration) {
        self.head(name, "gauge", help);
        let (whole, millis) = (duration.as_secs(), duration.subsec_millis());
        let _ = writeln!(self.0, "{name} {whole}.{millis:03}");
    }

    /// One sample for each value of a label.
    fn by(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        label: &str,
        samples: &mut dyn Iterator<Item = (&str, u64)>,
    ) {
        self.head(name, kind, help);
        for (of, value) in samples {
            let _ = writeln!(self.0, "{name}{{{label}=\"{of}\"}} {value}");
        }
    }
}

fn of_link(page: &mut Page, agent: &Agent, now: Instant) {
    let state = agent.link_state();
    let is_up = matches!(state, LinkState::Live | LinkState::Idle);
    let help = "1 while the gateway accepts the agent: packets flow, or nobody needs it yet.";
    page.figures("gauge", &[("hoop_lite_link_up", help, u64::from(is_up))]);
    let help = "Where the agent is on its way to the gateway.";
    let states = [
        ("waiting", LinkState::Waiting),
        ("dialling", LinkState::Dialling),
        ("connecting", LinkState::Connecting),
        ("idle", LinkState::Idle),
        ("live", LinkState::Live),
    ];
    let mut samples = states
        .iter()
        .map(|(word, is)| (*word, u64::from(*is == state)));
    page.by(
        ("hoop_lite_link_state", "gauge", help),
        "state",
        &mut samples,
    );
    let key = agent.key_state();
    let states = [
        ("unknown", KeyState::Unknown),
        ("accepted", KeyState::Accepted),
        ("refused", KeyState::Refused),
    ];
    let mut samples = states
        .iter()
        .map(|(word, is)| (*word, u64::from(*is == key)));
    let help = "What the gateway last said to the key.";
    page.by(
        ("hoop_lite_key_state", "gauge", help),
        "state",
        &mut samples,
    );
    let heard = agent.last_received();
    let heard = heard.map_or(Duration::ZERO, |heard| now.saturating_duration_since(heard));
    page.seconds(
        "hoop_lite_link_silence_seconds",
        "Time since the gateway was last heard.",
        heard,
    );
    page.seconds(
        "hoop_lite_link_without_credit_seconds",
        "For how long the gateway has given no credit though packets wait for it.",
        agent.without_credit(now),
    );
    if let Some(end) = agent.certificate_end() {
        let name = "hoop_lite_gateway_certificate_expiry_timestamp_seconds";
        let help = "When the certificate of the gateway ends, in seconds since 1970.";
        page.figures("gauge", &[(name, help, end)]);
    }
}

fn of_sessions(page: &mut Page, agent: &Agent) {
    let now = agent.sessions().figures();
    let help = "Sessions open now, by the type of their connection.";
    let mut samples = now.sessions.iter().copied();
    page.by(("hoop_lite_sessions", "gauge", help), "type", &mut samples);
    let help = "Connections and commands open now.";
    page.figures("gauge", &[("hoop_lite_targets", help, now.targets)]);
    let help = "Connections and commands that may be open.";
    page.figures(
        "gauge",
        &[("hoop_lite_targets_limit", help, now.targets_max)],
    );
    let help = "Bytes that wait for targets.";
    page.figures("gauge", &[("hoop_lite_queue_bytes", help, now.queue_bytes)]);
    let help = "Bytes that may wait for targets.";
    page.figures(
        "gauge",
        &[("hoop_lite_queue_limit_bytes", help, now.queue_bytes_max)],
    );
}

/// Names that every program of Prometheus's world has.
fn of_machine(page: &mut Page, machine: &Machine) {
    let figures = [
        (
            "hoop_lite_processes",
            "Processes of sessions, running or being ended.",
            machine.processes as u64,
        ),
        (
            "process_start_time_seconds",
            "When the agent was started, in seconds since 1970.",
            machine.started_at,
        ),
        (
            "process_resident_memory_bytes",
            "Memory of the agent that is resident.",
            machine.resident_bytes,
        ),
        (
            "process_open_fds",
            "Descriptors that the agent has open.",
            machine.descriptors,
        ),
        (
            "process_max_fds",
            "Descriptors that it may have open.",
            machine.descriptors_max,
        ),
    ];
    page.figures("gauge", &figures);
}

/// What has failed since the start, and why.
fn failures(page: &mut Page, agent: &Agent) {
    let (link, counters) = (agent.counters(), agent.sessions().counters());
    let help =
        "Attempts to reach the gateway that failed and links that ended, by how far they came.";
    let mut samples = Loss::ALL
        .iter()
        .map(|(loss, word)| (*word, link.losses[*loss as usize]));
    let family = ("hoop_lite_link_failures_total", "counter", help);
    page.by(family, "reason", &mut samples);
    let help = "Sessions and connections that failed or were refused.";
    let mut samples = Failure::ALL
        .iter()
        .map(|(why, word)| (*word, counters.failures[*why as usize]));
    let family = ("hoop_lite_failures_total", "counter", help);
    page.by(family, "reason", &mut samples);
}

/// What else was counted since the start.
fn totals(page: &mut Page, agent: &Agent) {
    let (link, counters) = (agent.counters(), agent.sessions().counters());
    let figures = [
        (
            "hoop_lite_connects_total",
            "Streams that the gateway accepted.",
            link.connects,
        ),
        (
            "hoop_lite_key_check_failures_total",
            "Key checks without an answer.",
            link.check_failures,
        ),
        (
            "hoop_lite_sessions_total",
            "Sessions opened.",
            counters.sessions,
        ),
        (
            "hoop_lite_relays_total",
            "TCP connections opened.",
            counters.relays,
        ),
        (
            "hoop_lite_commands_total",
            "Commands started.",
            counters.commands,
        ),
        (
            "hoop_lite_refused_total",
            "Sessions, connections and packets refused.",
            counters.refused,
        ),
        (
            "hoop_lite_oversized_total",
            "Messages of the gateway that were too large and passed over.",
            counters.oversized,
        ),
        (
            "hoop_lite_dial_failures_total",
            "Targets that did not answer.",
            counters.dial_failures,
        ),
        (
            "hoop_lite_stalls_total",
            "Relays closed because their target stalled.",
            counters.stalls,
        ),
        (
            "hoop_lite_vanished_total",
            "Relays closed because their target vanished.",
            counters.vanished,
        ),
        (
            "hoop_lite_to_gateway_bytes_total",
            "Payload from targets.",
            counters.bytes_to_gateway,
        ),
        (
            "hoop_lite_to_target_bytes_total",
            "Payload to targets.",
            counters.bytes_to_target,
        ),
    ];
    page.figures("counter", &figures);
}

/// Writes how things stand into the log: the link's phase, and all figures.
pub fn log_state(agent: &Agent, now: Instant, machine: &Machine) {
    let state = match agent.link_state() {
        LinkState::Waiting => "down until the next attempt",
        LinkState::Dialling => "being dialled",
        LinkState::Connecting => "dialled, without a stream yet",
        LinkState::Idle => "idle: the gateway accepts the key, waiting for a session",
        LinkState::Live => "up",
    };
    log::info!("state: the link to {} is {state}", agent.place());
    let figures = metrics(agent, now, machine);
    let figures = figures
        .lines()
        .filter_map(|line| line.strip_prefix("hoop_lite_"));
    log::info!("state: {}", figures.collect::<Vec<_>>().join(", "));
}
