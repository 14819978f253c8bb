//! Why a login ends, in the server's own form.

use super::bson::Document;
use super::messages::{self, Asked};
use crate::base::plain::shortened;
use crate::login::{Cause, Packets, Refusal};

/// Of a server's text in a sentence of ours.
const TEXT_SHOWN_BYTES: usize = 200;

/// Code and name of an error, as servers have them.
fn code(cause: Cause) -> (i32, &'static str) {
    match cause {
        Cause::Unreachable => (6, "HostUnreachable"),
        Cause::Protocol => (17, "ProtocolError"),
        Cause::Credentials | Cause::Said => (18, "AuthenticationFailed"),
        Cause::Unsupported => (115, "CommandNotSupported"),
        Cause::Stopping => (91, "ShutdownInProgress"),
        Cause::Full => (125, "CommandFailed"),
    }
}

/// Tells whoever has asked; nobody else listens.
pub(super) fn say(refusal: &Refusal, asked: Option<Asked>, to_client: &mut dyn Packets) {
    if let Some(asked) = asked.filter(|_| refusal.cause != Cause::Said) {
        let (code, name) = code(refusal.cause);
        let error = messages::error(code, name, &refusal.text);
        to_client.packet(&messages::reply(0, asked, &error));
    }
}

/// The server does not let us in.
pub(super) fn server_refused(answer: Document<'_>) -> Refusal {
    let code = answer
        .get(b"code")
        .and_then(|it| it.number())
        .unwrap_or_default();
    let text = answer.text(b"errmsg").unwrap_or_default();
    let text = shortened(&String::from_utf8_lossy(text), TEXT_SHOWN_BYTES);
    let advice = match code {
        18 | 8000 | 11 => {
            "check user and password of the connection, and authSource, the database that keeps the user"
        }
        334 | 2 => "set authMechanism in CONNECTION_STRING to one that the server has",
        _ => "its log says why",
    };
    let text = format!("the mongodb server refused the login, code {code} ({text}): {advice}");
    Refusal::new(Cause::Credentials, text)
}

pub(super) const NOT_MONGO: &str =
    "the server does not answer as MongoDB does: check host and port of the connection";
pub(super) const NO_MESSAGE: &str = "the client's bytes are no MongoDB message";
pub(super) const CLOSED: &str = "the mongodb server closed the connection during the login: its log says why, or it wants TLS \
     (tls=true) or none";
pub(super) const NO_PRIMARY: &str = "none of the connection's hosts is the primary of a replica set at the moment: an election may \
     be under way, connect again; unless TLS vouches for its hosts, the string must list every member";
