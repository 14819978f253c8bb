//! The messages of `protobuf.Transport` (gateway-protocol 1.1) and the wire strings that the
//! gateway or a client uses. Derived with prost, so that nothing here is shared with the agent.

use std::collections::HashMap;
use std::fmt;

use prost::Message;
use prost::bytes::Bytes;

/// The one message of the `Connect` stream.
#[derive(Clone, PartialEq, Message)]
pub struct Packet {
    /// Never set, never read.
    #[prost(string, tag = "1")]
    pub component: String,
    /// The wire's `type`.
    #[prost(string, tag = "2")]
    pub kind: String,
    /// Keys and values that route and explain the payload.
    #[prost(map = "string, bytes", tag = "3")]
    pub spec: HashMap<String, Bytes>,
    /// Raw; what it is depends on the kind.
    #[prost(bytes = "bytes", tag = "4")]
    pub payload: Bytes,
}

impl Packet {
    /// A packet of this kind, with neither spec nor payload.
    pub fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    /// With this key in its spec.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Bytes>) -> Self {
        self.spec.insert(key.to_owned(), value.into());
        self
    }

    /// With this payload.
    #[must_use]
    pub fn carrying(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self
    }

    /// The value of a key as text; `None` when the key is absent.
    pub fn text(&self, key: &str) -> Option<String> {
        self.spec
            .get(key)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The spec as the agent's own encoder takes it.
    pub fn entries(&self) -> Vec<(&str, &[u8])> {
        let entries = self.spec.iter();
        entries
            .map(|(key, value)| (key.as_str(), &value[..]))
            .collect()
    }

    /// The session that the packet belongs to, empty when it names none.
    pub fn sid(&self) -> String {
        self.text(spec::SESSION_ID).unwrap_or_default()
    }

    /// The connection inside the session, empty when it names none.
    pub fn connection_id(&self) -> String {
        self.text(spec::CONNECTION_ID).unwrap_or_default()
    }

    /// The payload as text.
    pub fn payload_text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// One line for a failing test: kind, spec keys, and the head of the payload.
    pub fn summary(&self) -> String {
        self.summary_with(self.payload.len())
    }

    /// Likewise, of a packet whose payload was cut from this length.
    pub(crate) fn summary_with(&self, payload_length: usize) -> String {
        let mut keys: Vec<String> = self
            .spec
            .iter()
            .filter(|(key, _)| *key != spec::SESSION_ID)
            .map(|(key, value)| format!("{key}={}", head(value)))
            .collect();
        keys.sort();
        let keys = keys.join(", ");
        format!(
            "{} [{keys}] {payload_length} bytes {}",
            self.kind,
            head(&self.payload)
        )
    }
}

/// The first bytes of something, quoted.
pub(crate) fn head(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let dots = if bytes.len() > SHOWN { ".." } else { "" };
    format!("\"{}\"{dots}", shown.escape_ascii())
}

/// What an agent asks before it opens its stream in embedded mode, and as a check of its key.
#[derive(Clone, PartialEq, Message)]
pub struct PreConnectRequest {
    /// Name of the connection to publish; empty in embedded mode.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type.
    #[prost(string, tag = "2")]
    pub connection_type: String,
    /// Its subtype.
    #[prost(string, tag = "3")]
    pub subtype: String,
    /// Its command.
    #[prost(string, repeated, tag = "4")]
    pub command: Vec<String>,
    /// Always empty upstream.
    #[prost(map = "string, string", tag = "5")]
    pub envs: HashMap<String, String>,
    /// Its reviewers.
    #[prost(string, repeated, tag = "6")]
    pub reviewers: Vec<String>,
    /// What to mask.
    #[prost(string, repeated, tag = "7")]
    pub redact_types: Vec<String>,
}

/// The answer: `CONNECT` or `BACKOFF`.
#[derive(Clone, PartialEq, Message)]
pub struct PreConnectResponse {
    /// `CONNECT` or `BACKOFF`.
    #[prost(string, tag = "1")]
    pub status: String,
    /// A reason, may be empty.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// Empty.
#[derive(Clone, PartialEq, Message)]
pub struct HealthCheckRequest {}

/// Always `OK`.
#[derive(Clone, PartialEq, Message)]
pub struct HealthCheckResponse {
    /// `OK`.
    #[prost(string, tag = "1")]
    pub status: String,
}

/// Why a stream ended, as the wire says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The gRPC code.
    pub code: i32,
    /// Its message.
    pub message: String,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}: {}", self.code, self.message)
    }
}

/// Keys of a packet's spec (gateway-protocol 4.1).
pub mod spec {
    /// `gateway.session_id`
    pub const SESSION_ID: &str = "gateway.session_id";
    /// `gateway.connection_type`
    pub const CONNECTION_TYPE: &str = "gateway.connection_type";
    /// `client.connection_id`
    pub const CONNECTION_ID: &str = "client.connection_id";
    /// `client.exit_code`
    pub const EXIT_CODE: &str = "client.exit_code";
    /// `client.request_port`
    pub const REQUEST_PORT: &str = "client.request_port";
    /// `client.command`
    pub const COMMAND: &str = "client.command";
    /// `terminal.args`
    pub const CLIENT_ARGS: &str = "terminal.args";
    /// `terminal.envvars`
    pub const CLIENT_ENV: &str = "terminal.envvars";
    /// `agent.connection_params`
    pub const CONNECTION_PARAMS: &str = "agent.connection_params";
    /// `tcp.server_connect`
    pub const TCP_SERVER_CONNECT: &str = "tcp.server_connect";
    /// `httpproxy.base_url`
    pub const BASE_URL: &str = "httpproxy.base_url";
    /// `feature-flags`
    pub const FEATURE_FLAGS: &str = "feature-flags";
}
