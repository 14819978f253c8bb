//! A server's answer to LOGIN7: tokens, of which only few matter here.

use super::packets::{long, word};
use crate::base::Address;

mod token {
    pub const RETURN_STATUS: u8 = 0x79;
    pub const ERROR: u8 = 0xaa;
    pub const INFO: u8 = 0xab;
    pub const LOGIN_ACK: u8 = 0xad;
    pub const FEATURES: u8 = 0xae;
    pub const ENVIRONMENT: u8 = 0xe3;
    pub const SESSION_STATE: u8 = 0xe4;
    pub const SSPI: u8 = 0xed;
    pub const FEDERATED: u8 = 0xee;
    pub const DONE: u8 = 0xfd;
}

/// A change of the environment: the client is to go to another server.
const ROUTING: u8 = 20;

/// What it comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Where the version stands, if the client is in.
    pub access: Option<usize>,
    /// The last error's number.
    pub error: Option<u32>,
    /// Where the client is to go.
    pub route: Option<Route>,
}

/// Another server.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// As it is called there, and its place.
    To(String, Address),
    /// It makes no sense.
    Nowhere,
}

/// The reply of this message.
pub fn reply(body: &[u8]) -> Reply {
    let mut reply = Reply::default();
    let mut rest = body;
    while let Some((token, value, later)) = next(rest) {
        match token {
            token::LOGIN_ACK => reply.access = Some(body.len() - rest.len() + ACK_VERSION_AT),
            token::ERROR => reply.error = long(value, 0),
            token::ENVIRONMENT if value.first() == Some(&ROUTING) => {
                reply.route = Some(route(value).unwrap_or(Route::Nowhere));
            }
            _ => {}
        }
        rest = later;
    }
    reply
}

/// Behind the token's head and the interface.
const ACK_VERSION_AT: usize = 4;

/// A token, its value and what follows; `None` at the end, or at what is not known.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (token, rest) = bytes.split_first()?;
    let (head, size) = match *token {
        token::ERROR | token::INFO | token::LOGIN_ACK | token::ENVIRONMENT | token::SSPI => {
            (2, usize::from(word(rest, 0)?))
        }
        token::SESSION_STATE | token::FEDERATED => (4, usize::try_from(long(rest, 0)?).ok()?),
        token::RETURN_STATUS => (0, 4),
        token::FEATURES => (0, features_bytes(rest)?),
        _ => return None,
    };
    let (value, later) = rest.get(head..)?.split_at_checked(size)?;
    Some((*token, value, later))
}

/// `id(1) length(4) data` each, up to 0xFF.
fn features_bytes(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while *bytes.get(at)? != 0xff {
        let size = usize::try_from(long(bytes, at + 1)?).ok()?;
        at = at.checked_add(size)?.checked_add(5)?;
    }
    Some(at + 1)
}

/// `type(1) size(2) protocol(1) port(2) units(2) name`.
fn route(value: &[u8]) -> Option<Route> {
    let (protocol, port, units) = (value.get(3)?, word(value, 4)?, word(value, 6)?);
    let name = value.get(8..8 + 2 * usize::from(units))?;
    let units: Vec<u16> = name
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    let name = String::from_utf16(&units).ok()?;
    // An instance may follow the host.
    let host = name.split('\\').next().unwrap_or_default().to_owned();
    let is_host = (1..=HOST_BYTES_MAX).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    let is_place = *protocol == 0 && port != 0 && is_host;
    is_place.then_some(Route::To(name, Address { host, port }))
}

/// The longest name.
const HOST_BYTES_MAX: usize = 253;

/// ERROR and DONE, as a server's end of a login.
pub fn error(number: u32, text: &str, is_old: bool) -> Vec<u8> {
    // Before TDS 7.2 some numbers were shorter.
    let (line, rows): (&[u8], &[u8]) = match is_old {
        true => (&[0; 2], &[0; 4]),
        false => (&[0; 4], &[0; 8]),
    };
    let mut units = Vec::new();
    super::packets::put_text(text, &mut units);
    units.truncate(2 * TEXT_UNITS_MAX);
    let short = |size: usize| u16::try_from(size).unwrap_or_default().to_le_bytes();
    let size = 4 + STATE_AND_CLASS.len() + 2 + units.len() + NO_NAMES.len() + line.len();
    [
        &[token::ERROR][..],
        &short(size),
        &number.to_le_bytes(),
        &STATE_AND_CLASS,
        &short(units.len() / 2),
        &units,
        &NO_NAMES,
        line,
        &[token::DONE, 2, 0, 0, 0],
        rows,
    ]
    .concat()
}

/// The class is that of refused logins.
const STATE_AND_CLASS: [u8; 2] = [1, 14];
/// Of a server and of a procedure.
const NO_NAMES: [u8; 2] = [0, 0];
/// Of one error.
const TEXT_UNITS_MAX: usize = 1024;

/// What to do about this error of a server.
pub fn advice(number: u32) -> &'static str {
    match number {
        18456 | 18452 => "check USER and PASS",
        18470 => "the login is disabled: ALTER LOGIN ... ENABLE",
        18486 => "the login is locked out: ALTER LOGIN ... UNLOCK, and check PASS",
        18487 | 18488 => "the password has expired: change it there, and PASS",
        4060 | 4063 | 4064 => {
            "no such database, or none for USER: set DB of the connection, or name another"
        }
        40615 | 40914 => "the server's firewall lets nobody in from this host: let it in there",
        17809 | 10928 | 10929 => "the server has no connection left: wait, or raise its limit",
        _ => "its log says why",
    }
}
