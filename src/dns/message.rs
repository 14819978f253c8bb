//! DNS messages (RFC 1035, section 4): one question out, its answer in.
//!
//! Promises never to panic or to follow pointers for ever, whatever comes. Names of records are passed
//! over, not read: the server has followed aliases for us, and every record of the type that was asked
//! for counts, as for Go.

use crate::base::Address;

/// Longest name as people write it, without its last dot (RFC 1035, section 2.3.4).
pub const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
const HEADER_BYTES: usize = 12;
const CLASS_INTERNET: u16 = 1;
/// Records of one answer that are kept; nobody would try more addresses.
const RECORDS_MAX: usize = 64;

/// What is asked for about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// A host and a port of a service (RFC 2782).
    pub const SRV: Self = Self(33);
    /// Text.
    pub const TXT: Self = Self(16);
}

/// One question, as long as it is open.
#[derive(Clone, Debug)]
pub struct Question {
    id: u16,
    /// As DNS writes it.
    name: Vec<u8>,
    record_type: RecordType,
}

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The name has these records of the type, perhaps none.
    Records(Vec<&'a [u8]>),
    /// The answer did not fit; these did. The rest comes over TCP.
    Truncated(Vec<&'a [u8]>),
    /// There is no such name.
    NoName,
    /// The server can't or won't tell.
    Failure,
}

impl Question {
    /// `None` when this can't be a name in DNS. `name` is absolute, its last dot left out.
    pub fn new(id: u16, name: &str, record_type: RecordType) -> Option<Self> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let mut wire = Vec::with_capacity(name.len() + 2);
        for label in name.split('.') {
            let length = u8::try_from(label.len()).ok()?;
            if !(1..=LABEL_BYTES_MAX).contains(&label.len()) {
                return None;
            }
            wire.push(length);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        Some(Self {
            id,
            name: wire,
            record_type,
        })
    }

    /// The message that asks it.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER_BYTES + self.name.len() + 4);
        message.extend_from_slice(&self.id.to_be_bytes());
        // A standard query with one question; the server shall ask others for us.
        message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        message.extend_from_slice(&self.name);
        message.extend_from_slice(&self.record_type.0.to_be_bytes());
        message.extend_from_slice(&CLASS_INTERNET.to_be_bytes());
        message
    }

    /// What `message` answers to this question; `None` when it does not belong to it.
    pub fn read<'a>(&self, message: &'a [u8]) -> Option<Reply<'a>> {
        let (id, flags) = (word(message, 0)?, word(message, 2)?);
        let (questions, answers) = (word(message, 4)?, word(message, 6)?);
        let is_answer = id == self.id && flags & 0xf800 == 0x8000;
        if !is_answer || message.len() < HEADER_BYTES {
            return None;
        }
        let (is_truncated, code) = (flags & 0x0200 != 0, flags & 0x000f);
        let is_known = matches!(code, 0 | 3);
        if questions == 0 && !is_known {
            // Some servers do not repeat what they did not understand.
            return Some(Reply::Failure);
        }
        let name_end = HEADER_BYTES + self.name.len();
        let is_same = questions == 1
            && message
                .get(HEADER_BYTES..name_end)?
                .eq_ignore_ascii_case(&self.name)
            && word(message, name_end)? == self.record_type.0
            && word(message, name_end + 2)? == CLASS_INTERNET;
        if !is_same {
            return None;
        }
        // The server knows nothing itself and asks nobody for us: it only says whom else to ask.
        let is_lame = answers == 0 && flags & 0x0480 == 0;
        Some(match code {
            3 => Reply::NoName,
            0 if is_truncated => Reply::Truncated(self.records(message, name_end + 4, answers).0),
            0 if is_lame => Reply::Failure,
            0 => match self.records(message, name_end + 4, answers) {
                (records, true) => Reply::Records(records),
                _ => Reply::Failure,
            },
            _ => Reply::Failure,
        })
    }

    /// The data of the records that were asked for, and whether all records were whole.
    fn records<'a>(&self, message: &'a [u8], mut at: usize, count: u16) -> (Vec<&'a [u8]>, bool) {
        let mut found = Vec::new();
        for _ in 0..count {
            let Some((record_type, data)) = record(message, &mut at) else {
                return (found, false);
            };
            if record_type == self.record_type.0 && found.len() < RECORDS_MAX {
                found.push(data);
            }
        }
        (found, true)
    }
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The type and data of the record at `at`, which moves behind it. A record of another class has type 0,
/// which no real one has.
fn record<'a>(message: &'a [u8], at: &mut usize) -> Option<(u16, &'a [u8])> {
    let fixed = end_of_name(message, *at)?;
    let (record_type, class) = (word(message, fixed)?, word(message, fixed + 2)?);
    let start = fixed + 10;
    let end = start + usize::from(word(message, fixed + 8)?);
    let data = message.get(start..end)?;
    *at = end;
    Some((
        if class == CLASS_INTERNET {
            record_type
        } else {
            0
        },
        data,
    ))
}

/// Host and port of an SRV record, whose `data` is of `message`. The order in which hosts are to be tried is for
/// others to decide.
pub fn host(message: &[u8], data: &[u8]) -> Option<Address> {
    Some(Address {
        host: name(message, data.get(6..)?)?,
        port: word(data, 4)?,
    })
}

/// The text of a TXT record: its pieces, one behind the other.
pub fn text(data: &[u8]) -> Option<String> {
    let (mut text, mut rest) = (Vec::new(), data);
    while let Some((len, behind)) = rest.split_first() {
        let (piece, behind) = behind.split_at_checked(usize::from(*len))?;
        text.extend_from_slice(piece);
        rest = behind;
    }
    String::from_utf8(text).ok()
}

/// The name at the beginning of `rest`, without its last dot, with what pointers into `message` lead to.
fn name<'a>(message: &'a [u8], mut rest: &'a [u8]) -> Option<String> {
    let mut name = String::new();
    // No name has more labels, and no sensible server points more often.
    for _ in 0..NAME_BYTES_MAX {
        match *rest.first()? {
            0 => return Some(name).filter(|name| !name.is_empty()),
            length @ 1..=63 => {
                let label;
                (label, rest) = rest.get(1..)?.split_at_checked(usize::from(length))?;
                if !name.is_empty() {
                    name.push('.');
                }
                let is_odd = |byte: &u8| !byte.is_ascii_graphic() || *byte == b'.';
                if label.iter().any(is_odd) || name.len() + label.len() > NAME_BYTES_MAX {
                    return None;
                }
                name.push_str(std::str::from_utf8(label).ok()?);
            }
            192.. => rest = message.get(usize::from(word(rest, 0)? & 0x3fff)..)?,
            _ => return None,
        }
    }
    None
}

/// Where a name ends: at its zero, or behind a pointer to its rest.
fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}
