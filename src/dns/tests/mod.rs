//! Servers of every kind, without a socket, by a clock that only tests move.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{LookupError, ResolvConf};

mod lookup;
mod message;
mod names;
mod service;

thread_local! {
    static LAST_ID: Cell<u16> = const { Cell::new(0) };
}

/// A number of its own for each question; tests need not guess.
fn next_id() -> u16 {
    LAST_ID.set(LAST_ID.get() + 1);
    LAST_ID.get()
}

fn conf(text: &str) -> ResolvConf {
    ResolvConf::parse(text, "", &|_| None)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// The name and type of a question, by another reader than the product's.
fn asked(query: &[u8]) -> (String, u16) {
    let mut words = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        words.push(std::str::from_utf8(&query[at + 1..end]).unwrap());
        at = end;
    }
    assert_eq!(query.len(), at + 5);
    assert_eq!(query[4..12], [0, 1, 0, 0, 0, 0, 0, 0]);
    (words.join("."), u16::from(query[at + 2]))
}

/// How a server answers to a question.
#[derive(Clone, Debug)]
enum Say {
    /// These addresses of the type that was asked for, behind an alias.
    Addresses(Vec<IpAddr>),
    /// An error, or 3: no such name.
    Code(u8),
    /// These, and more over TCP.
    CutOff(Vec<IpAddr>),
    /// Not at all.
    Nothing,
    /// The port is closed.
    Closed,
}

/// The message that says so.
fn reply(query: &[u8], say: &Say) -> Option<Vec<u8>> {
    let (flags, code, addresses) = match say {
        Say::Addresses(addresses) => (0x81, 0, &addresses[..]),
        Say::CutOff(addresses) => (0x83, 0, &addresses[..]),
        Say::Code(code) => (0x81, *code, &[][..]),
        Say::Nothing | Say::Closed => return None,
    };
    let record_type = asked(query).1;
    let mut records = Vec::new();
    for address in addresses {
        let (own_type, data) = match address {
            IpAddr::V4(v4) => (A, v4.octets().to_vec()),
            IpAddr::V6(v6) => (AAAA, v6.octets().to_vec()),
        };
        if own_type == record_type {
            records.push(record(own_type, &data));
        }
    }
    if !records.is_empty() {
        records.insert(0, record(5, b"\x05alias\xc0\x0c"));
    }
    let mut message = query.to_vec();
    message[2..4].copy_from_slice(&[flags, 0x80 | code]);
    message[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    message.extend(records.concat());
    Some(message)
}

/// A record whose owner is the question's name.
fn record(record_type: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    let kind = record_type.to_be_bytes();
    [&[0xc0, 12][..], &kind, &[0, 1, 0, 0, 0, 60], &length, data].concat()
}

const SECOND: Duration = Duration::from_secs(1);

/// What a look-up ended with, and after how long.
type Ended = (Result<Vec<IpAddr>, LookupError>, Duration);

fn since(start: Instant, now: Instant) -> Duration {
    now.duration_since(start)
}
