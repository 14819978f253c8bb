//! Why a login ends: what the server said, and what we say.

use super::messages::{self, Authentication, ServerError};
use crate::base::plain::{beginning, plain};
use crate::login::scram::ScramError;
use crate::login::{Cause, Packets, Refusal};

/// Of a server's own sentence in the log.
const SAID_BYTES_MAX: usize = 128;

/// The client hears the server's error as it is; we keep its code.
pub(super) fn server_refused(message: &[u8], to_client: &mut dyn Packets) -> Refusal {
    to_client.packet(message);
    let code = messages::sqlstate(message).unwrap_or("?????");
    let advice = match code {
        "28P01" | "28000" => "check USER and PASS, and the server's pg_hba.conf",
        "3D000" => "set DB of the connection, or name another",
        "53300" => {
            "it, or USER there, has no connection left: raise max_connections or the role's CONNECTION LIMIT, or wait"
        }
        "57P03" => "it is starting, stopping or restoring: wait",
        _ => "the server's log says why",
    };
    // Which database it was is in the sentence alone, in whatever language.
    let said = messages::field(message, b'M').filter(|_| code == "3D000");
    let said = said.map(|said| plain(beginning(&String::from_utf8_lossy(said), SAID_BYTES_MAX)));
    let text = [
        "the server refused the login, SQLSTATE ",
        code,
        if said.is_some() { " (" } else { "" },
        said.as_deref().unwrap_or_default(),
        if said.is_some() { "): " } else { ": " },
        advice,
    ];
    Refusal::new(Cause::Said, text.concat())
}

/// What the client hears of a server's first words when they are an error. Nobody has shown yet who it is, so a
/// terminal must not obey it.
pub(super) fn first_error(error: ServerError<'_>, to_client: &mut dyn Packets) -> Refusal {
    match error {
        ServerError::Message(message) => {
            let (head, fields) = message.split_at(5.min(message.len()));
            server_refused(&[head, &harmless(fields)].concat(), to_client)
        }
        ServerError::Text(text) => {
            let text = harmless(text);
            let text = String::from_utf8_lossy(&text);
            let text = ["the postgres server said: ", text.trim_end()].concat();
            Refusal::new(Cause::Unreachable, text)
        }
    }
}

/// The same text, as long, with question marks in place of control characters; those of eight bits as well.
fn harmless(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    for at in 0..out.len() {
        let is_wide = at > 0 && out[at - 1] == 0xc2 && matches!(out[at], 0x80..=0x9f);
        if is_wide {
            out[at - 1] = b'?';
        }
        if is_wide || matches!(out[at], 1..=8 | 11..=31 | 127) {
            out[at] = b'?';
        }
    }
    out
}

pub(super) fn unexpected(request: Authentication<'_>) -> Refusal {
    match request {
        Authentication::Other(_) => unsupported(),
        _ => Refusal::protocol("the server's authentication messages are out of order"),
    }
}

pub(super) fn unsupported() -> Refusal {
    Refusal::new(
        Cause::Unsupported,
        "the server wants an authentication that this agent does not know: let pg_hba.conf of the \
         server ask for scram-sha-256, md5, password or trust",
    )
}

pub(super) fn failed(error: ScramError) -> Refusal {
    let cause = match error {
        ScramError::Malformed => Cause::Protocol,
        ScramError::TooManyRounds => Cause::Unsupported,
        ScramError::Refused | ScramError::Impostor => Cause::Credentials,
        ScramError::TooFewRounds => Cause::Protocol,
    };
    Refusal::new(cause, error.to_string())
}

pub(super) fn say(refusal: &Refusal, to_client: &mut dyn Packets) {
    if refusal.cause != Cause::Said {
        to_client.packet(&messages::error_response(refusal));
    }
}
