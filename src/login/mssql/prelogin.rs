//! PRELOGIN: a table of options, `token(1) offset(2) length(2)` each, up to 0xFF, and their data behind it.

use super::packets::Malformed;

/// Options.
mod token {
    pub const VERSION: u8 = 0;
    pub const ENCRYPTION: u8 = 1;
    pub const INSTANCE: u8 = 2;
    pub const THREAD: u8 = 3;
    pub const MARS: u8 = 4;
    pub const TRACE: u8 = 5;
    pub const END: u8 = 0xff;
}

/// Values of the option on encryption.
pub mod encryption {
    /// Of the login's first packet alone.
    pub const OFF: u8 = 0;
    /// Of all.
    pub const ON: u8 = 1;
    /// There is none.
    pub const NOT_SUPPORTED: u8 = 2;
    /// Of all, or there is no connection.
    pub const REQUIRED: u8 = 3;
    /// All of it lies within TLS already.
    pub const STRICT: u8 = 4;
}

/// For a side that has said nothing.
pub const NOTHING: &[u8] = &[token::END];

/// All that servers answer: FreeTDS takes one that says less for SQL Server 2000, and speaks as to that.
pub const OF_A_SERVER: &[u8] = b"\0\0\x1a\0\x06\x01\0\x20\0\x01\x02\0\x21\0\x01\x03\0\x22\0\0\x04\0\x22\0\x01\xff\
    \x10\0\0\0\0\0\x02\0\0";

/// Where a side gives none.
const VERSION: [u8; 6] = [16, 0, 0, 0, 0, 0];

/// The first option of this token; the table is read to its end or to that.
fn option(body: &[u8], wanted: u8) -> Result<Option<&[u8]>, Malformed> {
    for at in (0..).step_by(5) {
        let entry = body.get(at..).unwrap_or_default();
        let (token, words) = entry.split_first().ok_or(Malformed)?;
        if *token == token::END {
            break;
        }
        let words = words.first_chunk().ok_or(Malformed)?;
        if *token == wanted {
            let [a, b, c, d] = *words;
            let [from, size] = [[a, b], [c, d]].map(|it| usize::from(u16::from_be_bytes(it)));
            return body.get(from..from + size).map(Some).ok_or(Malformed);
        }
    }
    Ok(None)
}

/// What a side says about encryption.
pub fn encryption(body: &[u8]) -> Result<Option<u8>, Malformed> {
    Ok(option(body, token::ENCRYPTION)?.and_then(|value| value.first().copied()))
}

/// The same for the other side: with this word on encryption, without several queries at once on a connection,
/// whose packets hoop's client does not know, and without the logins that are not ours to make.
pub fn rewritten(body: &[u8], encryption: u8) -> Result<Vec<u8>, Malformed> {
    let version = option(body, token::VERSION)?.unwrap_or(&VERSION);
    let mut options: Vec<(u8, &[u8])> = vec![(token::VERSION, version)];
    let encryption = [encryption];
    for token in [
        token::ENCRYPTION,
        token::INSTANCE,
        token::THREAD,
        token::MARS,
        token::TRACE,
    ] {
        let value = option(body, token)?.map(|value| (token, value));
        options.extend(match token {
            token::ENCRYPTION => Some((token, &encryption[..])),
            token::MARS => value.map(|(token, _)| (token, &[0][..])),
            _ => value,
        });
    }
    let mut at = 5 * options.len() + 1;
    let mut out = Vec::new();
    for (token, value) in &options {
        let size = value.len();
        let words = [at, size].map(|it| u16::try_from(it).unwrap_or_default().to_be_bytes());
        out.push(*token);
        out.extend_from_slice(words.as_flattened());
        at += size;
    }
    out.push(token::END);
    for (_, value) in &options {
        out.extend_from_slice(value);
    }
    // Data that several options share may have come to more than the offsets can say.
    (at <= usize::from(u16::MAX))
        .then_some(out)
        .ok_or(Malformed)
}
