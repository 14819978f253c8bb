//! LOGIN7: fixed words, then for each text where it stands and how long it is, then the texts, then features.

use std::ops::Range;

use super::packets::{Malformed, long, put_text, word};
use crate::base::Secret;

/// Where the words are.
mod place {
    pub const LENGTH: usize = 0;
    pub const VERSION: usize = 4;
    pub const FLAGS_2: usize = 25;
    pub const FLAGS_3: usize = 27;
    pub const USER: usize = 40;
    pub const PASSWORD: usize = 44;
    pub const SERVER: usize = 52;
    pub const EXTENSION: usize = 56;
    pub const DATABASE: usize = 68;
    pub const SSPI: usize = 78;
    pub const NEW_PASSWORD: usize = 86;
}

/// The texts in the order of their data, which some servers read as it comes: host, user, password, program,
/// server, features, library, language, database, file.
const TEXTS: [usize; 10] = [36, 40, 44, 48, 52, 56, 60, 64, 68, 82];

/// Of flags 2: the client's system vouches for its user.
const INTEGRATED: u8 = 1 << 7;
/// Of flags 3: a new password comes along.
const CHANGES_PASSWORD: u8 = 1;
/// Of flags 3: there are features.
const HAS_FEATURES: u8 = 1 << 4;

/// Logins by somebody else's word, and a kind of routing that names more than a place.
const DROPPED_FEATURES: [u8; 2] = [0x02, 0x0f];
const LAST_FEATURE: u8 = 0xff;

/// The version that TLS first stands for.
const VERSION_8: usize = 0x0800_0000;

/// A client's login, whose parts are where it says.
pub struct Login7 {
    body: Vec<u8>,
    /// As [`TEXTS`].
    texts: [Range<usize>; TEXTS.len()],
    /// Those that are kept, with their end.
    features: Option<Vec<u8>>,
}

/// Whose login it becomes.
pub struct Identity<'a> {
    /// The stored user.
    pub user: &'a str,
    /// The stored password.
    pub password: &'a str,
    /// The server, as it is called there.
    pub server: &'a str,
    /// For a client that names none, or `noop`.
    pub database: Option<&'a str>,
    /// By TLS first.
    pub is_strict: bool,
}

impl Login7 {
    /// The login of this message.
    pub fn parse(mut body: Vec<u8>) -> Result<Self, Malformed> {
        let len = long(&body, place::LENGTH).ok_or(Malformed)?;
        let len = usize::try_from(len).map_err(|_| Malformed)?;
        let is_sane = fixed_bytes(&body).is_some_and(|fixed| fixed <= len) && len <= body.len();
        if !is_sane {
            return Err(Malformed);
        }
        body.truncate(len);
        let mut texts: [Range<usize>; TEXTS.len()] = Default::default();
        for (text, place) in texts.iter_mut().zip(TEXTS) {
            *text = range(&body, place).ok_or(Malformed)?;
        }
        let features = match body[place::FLAGS_3] & HAS_FEATURES != 0 {
            true => Some(features(&body).ok_or(Malformed)?),
            false => None,
        };
        Ok(Self {
            body,
            texts,
            features,
        })
    }

    /// The client's version, as it wrote it.
    pub fn version(&self) -> u32 {
        long(&self.body, place::VERSION).unwrap_or_default()
    }

    /// The same login of `identity`, and where its password ends; `None`: it is longer than its own words can
    /// say.
    pub fn rewritten(&self, identity: &Identity<'_>) -> Option<(Secret, usize)> {
        let own = [identity.user, identity.password, identity.server];
        let own_len: usize = own.iter().map(|text| text.len()).sum();
        let database_len = identity.database.map_or(0, str::len);
        let features_len = self.features.as_ref().map_or(0, Vec::len);
        // Its memory never moves, so that wiping it leaves no copy.
        let most = self.body.len() + 2 * (own_len + database_len) + features_len + 4;
        let mut out = Vec::with_capacity(most);
        let password_end = self.write(identity, &mut out);
        let out = Secret::new(out);
        password_end.map(|end| (out, end))
    }

    fn write(&self, identity: &Identity<'_>, out: &mut Vec<u8>) -> Option<usize> {
        let fixed = fixed_bytes(&self.body)?;
        out.extend_from_slice(&self.body[..fixed]);
        let mut password_end = 0;
        for (place, text) in TEXTS.into_iter().zip(&self.texts) {
            let at = out.len();
            let theirs = &self.body[text.clone()];
            match (place, identity.database) {
                (place::USER, _) => put_text(identity.user, out),
                (place::PASSWORD, _) => {
                    put_text(identity.password, out);
                    out[at..].iter_mut().for_each(|byte| *byte = hidden(*byte));
                    password_end = out.len();
                }
                (place::SERVER, _) => put_text(identity.server, out),
                (place::DATABASE, Some(stored)) if theirs.is_empty() || theirs == NOOP => {
                    put_text(stored, out);
                }
                (place::EXTENSION, _) => {
                    let size = self.features.as_ref().map_or(0, |_| 4);
                    out.extend_from_slice(&[0; 4][..size]);
                }
                _ => out.extend_from_slice(theirs),
            }
            let units = (out.len() - at) / unit_bytes(place);
            let (at, units) = (u16::try_from(at).ok()?, u16::try_from(units).ok()?);
            out[place..place + 2].copy_from_slice(&at.to_le_bytes());
            out[place + 2..place + 4].copy_from_slice(&units.to_le_bytes());
        }
        out[place::FLAGS_2] &= !INTEGRATED;
        out[place::FLAGS_3] &= !CHANGES_PASSWORD;
        out[place::SSPI..place::SSPI + 4].fill(0);
        out[place::NEW_PASSWORD.min(fixed)..fixed].fill(0);
        if let Some(features) = &self.features {
            let at = usize::from(word(out, place::EXTENSION)?);
            let features_at = out.len();
            set_long(out, at, features_at);
            out.extend_from_slice(features);
        }
        if identity.is_strict {
            set_long(out, place::VERSION, VERSION_8);
        }
        let len = out.len();
        set_long(out, place::LENGTH, len);
        Some(password_end)
    }
}

/// A client's placeholder.
const NOOP: &[u8] = b"n\0o\0o\0p\0";

/// How a byte of a password is written.
fn hidden(byte: u8) -> u8 {
    byte.rotate_left(4) ^ 0xa5
}

fn set_long(out: &mut [u8], at: usize, value: usize) {
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Bytes before the texts: before TDS 7.2 there was no new password.
fn fixed_bytes(body: &[u8]) -> Option<usize> {
    let version = long(body, place::VERSION)?;
    let fixed = if is_old(version) { 86 } else { 94 };
    (body.len() >= fixed).then_some(fixed)
}

/// Before TDS 7.2.
pub fn is_old(version: u32) -> bool {
    matches!(version >> 24, 0x70 | 0x71)
}

/// In what a text's length is counted.
fn unit_bytes(place: usize) -> usize {
    if place == place::EXTENSION { 1 } else { 2 }
}

fn range(body: &[u8], place: usize) -> Option<Range<usize>> {
    let (at, units) = (word(body, place)?, word(body, place + 2)?);
    let (at, size) = (usize::from(at), usize::from(units) * unit_bytes(place));
    match size {
        0 => Some(0..0),
        _ => body.get(at..at + size).map(|_| at..at + size),
    }
}

/// Those that are kept: `id(1) length(4) data` each, up to 0xFF.
fn features(body: &[u8]) -> Option<Vec<u8>> {
    let pointer = range(body, place::EXTENSION)?;
    let at = long(body.get(pointer)?, 0)?;
    let mut rest = body.get(usize::try_from(at).ok()?..)?;
    let mut kept = Vec::new();
    loop {
        let id = *rest.first()?;
        if id == LAST_FEATURE {
            kept.push(id);
            return Some(kept);
        }
        let size = usize::try_from(long(rest, 1)?).ok()?;
        let (feature, later) = rest.split_at_checked(size.checked_add(5)?)?;
        if !DROPPED_FEATURES.contains(&id) {
            kept.extend_from_slice(feature);
        }
        rest = later;
    }
}
