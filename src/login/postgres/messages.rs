//! Bytes <-> messages: a bounded decoder of both sides' first words, and the few that we say.
//!
//! `Ok(None)` always means that bytes are missing. Nothing is allocated by a claimed length.

use crate::limits;
use crate::login::{CancelKey, Cause, Refusal};

/// The client's words before its startup message, and the answer to both: no.
pub const NO_ENCRYPTION: &[u8] = b"N";
/// What we ask a server for when TLS is wanted.
pub const SSL_REQUEST: &[u8; 8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

const CANCEL_REQUEST_CODE: u32 = 80_877_102;
const SSL_REQUEST_CODE: u32 = 80_877_103;
const GSSENC_REQUEST_CODE: u32 = 80_877_104;
const VERSION_MAJOR: u32 = 3;

/// A client's untyped message.
pub enum Opening<'a> {
    /// May we encrypt, by TLS or by GSSAPI?
    Encryption,
    /// Who logs in, and how.
    Startup(Startup<'a>),
    /// Not a login at all.
    Cancel(CancelKey),
}

/// The version's four bytes, then names and values, each ended by a NUL byte, and a NUL byte.
#[derive(Clone, Copy)]
pub struct Startup<'a> {
    version: &'a [u8],
    parameters: &'a [u8],
}

/// The client's next untyped message and its length.
pub fn opening(bytes: &[u8]) -> Result<Option<(Opening<'_>, usize)>, Refusal> {
    let Some(len) = number(bytes, 0) else {
        return Ok(None);
    };
    if !(8..=limits::POSTGRES_STARTUP_BYTES_MAX).contains(&len) {
        return Err(Refusal::protocol(
            "the client's first bytes are no PostgreSQL startup message: connect with a PostgreSQL \
             client, without TLS (sslmode=disable, sslnegotiation=postgres)",
        ));
    }
    let Some(message) = bytes.get(..len) else {
        return Ok(None);
    };
    let (version, body) = message.split_at(4).1.split_at(4);
    let code = version.iter().fold(0, |code, b| code << 8 | u32::from(*b));
    let opening = match code {
        SSL_REQUEST_CODE | GSSENC_REQUEST_CODE if body.is_empty() => Opening::Encryption,
        CANCEL_REQUEST_CODE => Opening::Cancel(cancel_key(body)?),
        _ if code >> 16 == VERSION_MAJOR => Opening::Startup(Startup::parse(version, body)?),
        _ => {
            return Err(Refusal::new(
                Cause::Unsupported,
                "unsupported frontend protocol: only version 3 is served",
            ));
        }
    };
    Ok(Some((opening, len)))
}

impl<'a> Startup<'a> {
    fn parse(version: &'a [u8], parameters: &'a [u8]) -> Result<Self, Refusal> {
        let startup = Self {
            version,
            parameters,
        };
        let named = startup
            .parameters()
            .map(|(name, value)| name.len() + value.len() + 2);
        if named.sum::<usize>() + 1 != parameters.len() || !parameters.ends_with(&[0]) {
            return Err(Refusal::protocol(
                "the client's startup message is malformed",
            ));
        }
        Ok(startup)
    }

    /// Names and values, in the client's order.
    pub fn parameters(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut texts = self.parameters.split(|byte| *byte == 0);
        std::iter::from_fn(move || {
            let name = texts.next().filter(|name| !name.is_empty())?;
            Some((name, texts.next()?))
        })
    }

    /// The startup message for the server: the stored user first, and all else as the client said
    /// it, but that `database` stands for a client that names none: libpq says its user's name then, which is
    /// not the stored one. Where there is no `database` either, a placeholder is left away.
    pub fn rewritten(self, user: &[u8], database: Option<&[u8]>) -> Vec<u8> {
        let typed = self.parameters().find(|(name, _)| *name == b"user");
        let typed = typed.map_or(&b""[..], |(_, user)| user);
        let names_none = |value: &[u8]| {
            let is_placeholder = value == b"noop" || value.is_empty();
            is_placeholder || (database.is_some() && value == typed)
        };
        let mut out = vec![0; 4];
        out.extend_from_slice(self.version);
        push_texts(&mut out, &[b"user", user]);
        if let Some(database) = database
            && !self.parameters().any(|(name, _)| name == b"database")
        {
            push_texts(&mut out, &[b"database", database]);
        }
        for (name, value) in self.parameters().filter(|(name, _)| *name != b"user") {
            let value = match name == b"database" && names_none(value) {
                true => database,
                false => Some(value),
            };
            if let Some(value) = value {
                push_texts(&mut out, &[name, value]);
            }
        }
        out.push(0);
        let len = length_word(out.len());
        out[..4].copy_from_slice(&len);
        out
    }
}

/// Process id and secret, behind the code of a cancel request and in a server's `K`.
pub fn cancel_key(body: &[u8]) -> Result<CancelKey, Refusal> {
    match body.split_first_chunk() {
        Some((pid, secret)) if (1..=limits::CANCEL_KEY_BYTES_MAX).contains(&secret.len()) => {
            Ok(CancelKey {
                pid: u32::from_be_bytes(*pid),
                secret: secret.into(),
            })
        }
        _ => Err(Refusal::protocol("a cancel key is malformed")),
    }
}

/// The request that cancels what `key` stands for.
pub fn cancel_request(key: &CancelKey) -> Vec<u8> {
    let mut out = length_word(12 + key.secret.len()).to_vec();
    out.extend_from_slice(&CANCEL_REQUEST_CODE.to_be_bytes());
    out.extend_from_slice(&key.pid.to_be_bytes());
    out.extend_from_slice(&key.secret);
    out
}

/// Type and whole length of the typed message that `bytes` begin with.
pub fn head(bytes: &[u8]) -> Result<Option<(u8, usize)>, Refusal> {
    match (bytes.first(), number(bytes, 1)) {
        (Some(kind), Some(len @ 4..=MESSAGE_BYTES_MAX)) => Ok(Some((*kind, 1 + len))),
        (Some(_), Some(_)) => Err(Refusal::protocol(NOT_POSTGRES)),
        _ => Ok(None),
    }
}

/// The whole typed message that `bytes` begin with, if it is one that a login may wait for.
pub fn message(bytes: &[u8]) -> Result<Option<(u8, &[u8])>, Refusal> {
    match head(bytes)? {
        Some((_, len)) if len > limits::LOGIN_SERVER_MESSAGE_BYTES_MAX => Err(Refusal::protocol(
            "the server sent a message that is too long for a login",
        )),
        Some((kind, len)) => Ok(bytes.get(..len).map(|message| (kind, message))),
        None => Ok(None),
    }
}

/// A server's error in the first state of a connection.
pub enum ServerError<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// Text without a length word: a server that could not start a process for us.
    Text(&'a [u8]),
}

/// The error that `bytes` begin with, once it is whole. `is_end`: no more will come.
pub fn server_error(bytes: &[u8], is_end: bool) -> Option<ServerError<'_>> {
    if bytes.first() != Some(&b'E') {
        return None;
    }
    let len = number(bytes, 1);
    if let Some(len) = len.filter(|len| (8..=limits::POSTGRES_ERROR_BYTES_MAX).contains(len)) {
        return bytes.get(..1 + len).map(ServerError::Message);
    }
    let text = bytes.get(1..).unwrap_or_default();
    let end = text.iter().position(|byte| *byte == 0);
    let is_whole = is_end || text.len() >= limits::LOGIN_ERROR_TEXT_BYTES_MAX;
    let is_text = len.is_some() || is_end;
    match end.or(is_whole.then_some(text.len())) {
        Some(end) if is_text => {
            let end = end.min(limits::LOGIN_ERROR_TEXT_BYTES_MAX);
            Some(ServerError::Text(&text[..end]))
        }
        _ => None,
    }
}

/// What an error message has under this letter.
pub fn field(message: &[u8], letter: u8) -> Option<&[u8]> {
    let mut fields = message.get(5..)?.split(|byte| *byte == 0);
    fields.find_map(|field| field.strip_prefix(&[letter]))
}

/// The SQLSTATE of an error message.
pub fn sqlstate(message: &[u8]) -> Option<&str> {
    let code = field(message, b'C')?;
    let is_code = code.len() == 5 && code.iter().all(u8::is_ascii_alphanumeric);
    std::str::from_utf8(code).ok().filter(|_| is_code)
}

/// A refusal as the message that ends a connection.
pub fn error_response(refusal: &Refusal) -> Vec<u8> {
    let code = match refusal.cause {
        Cause::Unreachable | Cause::Said => b"08006",
        Cause::Protocol => b"08P01",
        Cause::Credentials => b"28P01",
        Cause::Unsupported => b"0A000",
        Cause::Stopping => b"57P01",
        Cause::Full => b"53300",
    };
    let mut text = refusal.text.as_bytes().to_vec();
    text.retain(|byte| *byte != 0);
    let parts = [b"SFATAL\0VFATAL\0C", &code[..], b"\0M", &text, b"\0\0"];
    typed(b'E', &parts)
}

/// A typed message of these parts. Its memory never moves, so that wiping it leaves no copy.
pub fn typed(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>() + 4;
    let mut out = Vec::with_capacity(1 + len);
    out.push(kind);
    out.extend_from_slice(&length_word(len));
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// What a server's `R` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Nothing more.
    Ok,
    /// The password itself.
    Cleartext,
    /// A digest of it, with this salt.
    Md5([u8; 4]),
    /// A conversation by one of these mechanisms, each ended by a NUL byte.
    Sasl(&'a [u8]),
    /// The conversation's next message.
    SaslContinue(&'a [u8]),
    /// Its last one.
    SaslFinal(&'a [u8]),
    /// Something that we can't do.
    Other(u32),
}

/// The content of a whole `R`.
pub fn authentication(message: &[u8]) -> Result<Authentication<'_>, Refusal> {
    let Some((code, data)) = message.get(5..).and_then(|body| body.split_first_chunk()) else {
        return Err(Refusal::protocol(NOT_POSTGRES));
    };
    Ok(match u32::from_be_bytes(*code) {
        0 if data.is_empty() => Authentication::Ok,
        3 => Authentication::Cleartext,
        5 if data.len() == 4 => Authentication::Md5([data[0], data[1], data[2], data[3]]),
        10 => Authentication::Sasl(data),
        11 => Authentication::SaslContinue(data),
        12 => Authentication::SaslFinal(data),
        other => Authentication::Other(other),
    })
}

/// Said of a server that answers in another language.
pub const NOT_POSTGRES: &str =
    "the server does not answer as PostgreSQL does: check HOST and PORT of the connection";

/// PostgreSQL's own bound on a message.
const MESSAGE_BYTES_MAX: usize = 0x3fff_ffff;

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(word)).ok()
}

fn length_word(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

fn push_texts(out: &mut Vec<u8>, texts: &[&[u8]]) {
    for text in texts {
        out.extend_from_slice(text);
        out.push(0);
    }
}
