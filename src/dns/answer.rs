//! What is looked for, and what the records that come are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{self, RecordType};
use crate::base::{Address, Service};

/// How many families there are of anything.
pub(super) const FAMILIES: usize = 2;
/// Addresses or hosts kept of one name: nobody would try more.
const ANSWERS_MAX: usize = 16;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Addresses of a host.
    Addresses,
    /// Hosts of a MongoDB service, and its text.
    Service,
}

impl Sought {
    /// The families; IPv6 is tried first (RFC 8305, section 4).
    pub(super) fn families(self) -> [RecordType; FAMILIES] {
        match self {
            Self::Addresses => [RecordType::AAAA, RecordType::A],
            Self::Service => [RecordType::SRV, RecordType::TXT],
        }
    }
}

/// What a look-up comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// IPv6 and IPv4 taking turns, never none.
    Addresses(Vec<IpAddr>),
    /// Some hosts, and the text.
    Service(Service),
}

/// What one record says.
#[derive(Clone)]
pub(super) enum Record {
    Address(IpAddr),
    Host(Address),
    Text(String),
}

/// What records of `message` say; those that can't be of the type are left out.
pub(super) fn read(record_type: RecordType, message: &[u8], records: &[&[u8]]) -> Vec<Record> {
    let record = |data: &&[u8]| -> Option<Record> {
        let address = match record_type {
            RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(*data).ok()?).into(),
            RecordType::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(*data).ok()?).into(),
            RecordType::SRV => return message::host(message, data).map(Record::Host),
            _ => return message::text(data).map(Record::Text),
        };
        Some(Record::Address(address))
    };
    records.iter().filter_map(record).collect()
}

/// Some addresses.
pub(super) fn addresses(v6: &[Record], v4: &[Record]) -> Option<Answer> {
    let of = |records: &[Record]| -> Vec<IpAddr> {
        let address = |record: &Record| match record {
            Record::Address(address) => Some(*address),
            _ => None,
        };
        records.iter().filter_map(address).collect()
    };
    let addresses = take_turns(&of(v6), &of(v4));
    (!addresses.is_empty()).then_some(Answer::Addresses(addresses))
}

/// Some hosts, and the one text that there may be.
pub(super) fn service(hosts: Vec<Record>, text: Vec<Record>) -> Option<Answer> {
    let mut service = Service::default();
    for record in hosts.into_iter().chain(text) {
        match record {
            Record::Host(host) if service.hosts.len() < ANSWERS_MAX => service.hosts.push(host),
            Record::Text(text) if service.text.is_empty() => service.text = text,
            _ => {}
        }
    }
    (!service.hosts.is_empty()).then_some(Answer::Service(service))
}

/// RFC 8305, section 4: families take turns, each in the given order. Repeated addresses and those
/// beyond [`ANSWERS_MAX`] are left out.
pub(super) fn take_turns(first: &[IpAddr], second: &[IpAddr]) -> Vec<IpAddr> {
    let mut turns = Vec::new();
    for index in 0..first.len().max(second.len()) {
        for &address in [first.get(index), second.get(index)].into_iter().flatten() {
            if turns.len() < ANSWERS_MAX && !turns.contains(&address) {
                turns.push(address);
            }
        }
    }
    turns
}
