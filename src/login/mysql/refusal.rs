//! Why a login ends: what the server said, and what we say.

use super::messages;
use crate::login::{Cause, Packets, Refusal};

/// Of what ends a login, as the client counts.
pub(super) const VERDICT_SEQUENCE: u8 = 2;

/// The client hears the server's error as it is; we keep its code.
pub(super) fn pass_error(
    code: u16,
    sequence: u8,
    payload: &[u8],
    to_client: &mut dyn Packets,
) -> Refusal {
    to_client.packet(&messages::framed(sequence, &[payload]));
    let text = format!(
        "the server refused the login, error {code}: {}",
        advice(code)
    );
    Refusal::new(Cause::Said, text)
}

/// What to do about this error of a server.
pub(super) fn advice(code: u16) -> &'static str {
    match code {
        1045 => "check USER and PASS",
        1040 | 1203 => "it, or USER there, has no connection left: raise max_connections, or wait",
        1049 => "no such database: set DB of the connection, or name another",
        1129 => "the server has banned this host: FLUSH HOSTS there",
        1130 => "the server lets nobody in from this host: let USER in from it",
        _ => "its log says why",
    }
}

pub(super) fn unknown_plugin(name: &[u8]) -> Refusal {
    let name: String = name
        .iter()
        .take(64)
        .map(|b| char::from(*b))
        .filter(char::is_ascii_graphic)
        .collect();
    let text = [
        "authentication plugin ",
        &name,
        " not supported: let the account use another",
    ];
    Refusal::new(Cause::Unsupported, text.concat())
}

pub(super) fn say(refusal: &Refusal, is_greeted: bool, to_client: &mut dyn Packets) {
    if refusal.cause != Cause::Said {
        let sequence = VERDICT_SEQUENCE * u8::from(is_greeted);
        let payload = messages::error(refusal, is_greeted);
        to_client.packet(&messages::framed(sequence, &[&payload]));
    }
}
