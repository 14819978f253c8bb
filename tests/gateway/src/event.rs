//! What the gateway saw, in order: the journal that tests wait on and that `serve` prints.

use std::fmt;
use std::time::Duration;

use crate::packet::{End, Packet};

/// One entry of the journal.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Event {
    /// A TCP connection was accepted.
    Accepted { link: u64 },
    /// Its TLS handshake failed.
    HandshakeFailed { link: u64, error: String },
    /// It is over.
    Closed { link: u64 },
    /// A `HealthCheck` was answered.
    HealthCheck { link: u64 },
    /// A `PreConnect` was answered with this status, or refused.
    PreConnect {
        link: u64,
        agent: String,
        answer: Result<String, End>,
    },
    /// A `Connect` was refused.
    Refused {
        link: u64,
        end: End,
        metadata: Metadata,
    },
    /// An agent's stream is up.
    Online {
        link: u64,
        agent: String,
        stream: u64,
        metadata: Metadata,
    },
    /// A packet came from an agent; of a long payload only its head is kept.
    Received {
        agent: String,
        stream: u64,
        packet: Packet,
        payload_length: usize,
    },
    /// A packet was sent to an agent, likewise.
    Sent {
        agent: String,
        stream: u64,
        packet: Packet,
        payload_length: usize,
    },
    /// The stream is over, for this reason.
    Offline {
        agent: String,
        stream: u64,
        reason: String,
    },
    /// The agent did what an agent must not do.
    Violation(String),
}

/// Request headers, in order.
pub type Metadata = Vec<(String, String)>;

/// An event with the time since the gateway started.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Since the gateway started.
    pub at: Duration,
    /// What happened.
    pub event: Event,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.3}s {}", self.at.as_secs_f64(), self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { link } => write!(f, "connection {link} accepted"),
            Self::HandshakeFailed { link, error } => {
                write!(f, "connection {link}: TLS handshake failed: {error}")
            }
            Self::Closed { link } => write!(f, "connection {link} closed"),
            Self::HealthCheck { link } => write!(f, "connection {link}: HealthCheck"),
            Self::PreConnect {
                link,
                agent,
                answer: Ok(answer),
            } => {
                write!(f, "connection {link}: PreConnect of {agent}: {answer}")
            }
            Self::PreConnect {
                link,
                answer: Err(end),
                ..
            } => {
                write!(f, "connection {link}: PreConnect refused, {end}")
            }
            Self::Refused { link, end, .. } => {
                write!(f, "connection {link}: Connect refused, {end}")
            }
            Self::Online {
                link,
                agent,
                stream,
                ..
            } => {
                write!(
                    f,
                    "connection {link}: agent {agent} online (stream {stream})"
                )
            }
            Self::Received {
                agent,
                packet,
                payload_length,
                ..
            } => {
                write!(f, "{agent} -> {}", packet.summary_with(*payload_length))
            }
            Self::Sent {
                agent,
                packet,
                payload_length,
                ..
            } => {
                write!(f, "{agent} <- {}", packet.summary_with(*payload_length))
            }
            Self::Offline {
                agent,
                stream,
                reason,
            } => {
                write!(f, "agent {agent} offline (stream {stream}): {reason}")
            }
            Self::Violation(text) => write!(f, "VIOLATION: {text}"),
        }
    }
}

/// The value of a header, if it was sent.
pub fn header<'a>(metadata: &'a Metadata, name: &str) -> Option<&'a str> {
    metadata
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}
