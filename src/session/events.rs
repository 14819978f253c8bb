//! What the log is told of the life of sessions, connections and commands: constant words, and fields.
//!
//! Promises that every line has the session's id, and that a kind of line has the same fields in every
//! case: what is not known is empty. No secret is among them: names, addresses, and sentences that the
//! user reads, too.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::Level;

use super::about::About;
use super::output::Where;
use super::tally::Traffic;
use super::target::Target;
use crate::base::Fields;
use crate::packet::{ConnectionParams, Packet, spec};

/// The log's name for the life of sessions, whose lines have no rate: they are as many as sessions.
const LIFE: &str = "session";

/// How a session ends.
pub(super) struct End<'a> {
    /// A warning where somebody should look.
    level: Level,
    /// What its client is told, where there is one.
    pub(super) code: u16,
    /// In words; none where there is nothing to complain about.
    pub(super) cause: &'a str,
}

impl<'a> End<'a> {
    /// As it should, or as its user wanted.
    pub(super) fn ordinary(code: u16, cause: &'a str) -> Self {
        let level = Level::Info;
        Self { level, code, cause }
    }

    /// Otherwise.
    pub(super) fn failed(code: u16, cause: &'a str) -> Self {
        let level = Level::Warn;
        Self { level, code, cause }
    }

    /// The gateway has ended it, and its client knows.
    pub(super) const BY_GATEWAY: End<'static> = End {
        level: Level::Info,
        code: 0,
        cause: "closed by the gateway: its client left, or somebody ended it there",
    };
}

/// Whose session it is, and of what: [`Fields`] that are the same at its beginning and at its end.
fn who(id: &str, values: [&str; 5]) -> Fields {
    let [connection, user, verb, kind, origin] = values;
    Fields::of_session(id)
        .text("connection", connection)
        .text("user", user)
        .text("verb", verb)
        .text("type", kind)
        .text("origin", origin)
}

/// Of a session that is asked for by this packet, as far as it can be read.
pub(super) fn who_asks(id: &str, packet: &Packet<'_>) -> Fields {
    let encoded = packet.spec(spec::CONNECTION_PARAMS).unwrap_or(b"");
    let params = ConnectionParams::decode(encoded).unwrap_or_default();
    let values = [
        &params.connection_name,
        &params.user_email,
        &params.client_verb,
        &params.connection_type,
        &params.client_origin,
    ];
    who(id, values.map(String::as_str))
}

fn who_has(about: &About) -> Fields {
    let names = [
        "HOOP_CONNECTION_NAME",
        "HOOP_USER_EMAIL",
        "HOOP_CLIENT_VERB",
        "HOOP_CONNECTION_TYPE",
        "HOOP_CLIENT_ORIGIN",
    ];
    who(&about.id, names.map(|name| about.environment.text(name)))
}

/// A session is open.
pub(super) fn opened(about: &About) {
    log::info!(target: LIFE, "{}session opened", who_has(about));
}

/// A session was not opened; `who` wanted it.
pub(super) fn refused(who: Fields, cause: &str) {
    log::warn!("{}session refused", who.sentence("cause", cause));
}

/// A session is over.
pub(super) fn ended(about: &About, end: &End<'_>, (lasted, traffic): (Duration, Traffic)) {
    if log::log_enabled!(target: LIFE, end.level) {
        let cause = match end.cause {
            "" => "exit status 0",
            cause => cause,
        };
        let fields = who_has(about).number("exit_code", end.code.into());
        let fields = with_traffic(fields.sentence("cause", cause), lasted, traffic);
        log::log!(target: LIFE, end.level, "{fields}session ended");
    }
}

fn with_traffic(fields: Fields, lasted: Duration, traffic: Traffic) -> Fields {
    let lasted = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
    fields
        .number("duration_ms", lasted)
        .number("bytes_in", traffic.taken)
        .number("bytes_out", traffic.said)
}

/// Nobody answered where a session leads.
pub(super) fn target_failed(about: &About, reason: &str) {
    let (host, port) = match about.place.clone() {
        Some(Where::Name { host, port }) => (host, port),
        Some(Where::Service(name)) => (name, 0),
        Some(Where::Peer(peer)) => (peer.ip().to_string(), peer.port()),
        None => (String::new(), 0),
    };
    let fields = Fields::of_session(&about.id).text("host", &host);
    let fields = fields.number("port", port.into());
    log::warn!("{}target failed", fields.sentence("reason", reason));
}

/// A connection of a client has its target.
pub(super) fn connection_opened(about: &About, id: &[u8], peer: SocketAddr) {
    if log::log_enabled!(Level::Debug) {
        let fields = of_connection(about, id).text("address", &peer.to_string());
        log::debug!("{fields}connection opened");
    }
}

/// It is over, with the target that it had.
pub(super) fn connection_closed(about: &About, id: &[u8], target: Option<&Target>, now: Instant) {
    if log::log_enabled!(Level::Debug) {
        let peer = target.and_then(Target::peer);
        let peer = peer.map_or(String::new(), |peer| peer.to_string());
        let traffic = target.map_or(Traffic::default(), Target::traffic);
        let lasted = target.map_or(Duration::ZERO, |target| target.age(now));
        let fields = of_connection(about, id).text("address", &peer);
        let fields = with_traffic(fields, lasted, traffic);
        log::debug!("{fields}connection closed");
    }
}

/// A connection is refused, or given up, for a reason of ours or of a server.
pub(super) fn connection_failed(about: &About, id: &[u8], cause: &str) {
    let fields = of_connection(about, id).sentence("cause", cause);
    log::warn!("{fields}connection failed");
}

fn of_connection(about: &About, id: &[u8]) -> Fields {
    Fields::of_session(&about.id).text("id", &String::from_utf8_lossy(id))
}
