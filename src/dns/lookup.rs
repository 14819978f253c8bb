//! The look-up of one name: candidate after candidate, each asked for both families side by side.
//!
//! ```text
//!  ask A and AAAA --> answers, or time is up --> some address: done
//!       ^                                   \--> none, or a failure: the next candidate, or the end
//!       +------------ next server ------------- a server failed, or said nothing for a second
//! ```
//!
//! A family that fails is no failure while the other has addresses: many servers answer AAAA with
//! NXDOMAIN, an error, or never. Servers are asked in their order, since the first one may be the only
//! one that knows the inner names; one that is dead costs a second.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::error::LookupError;
use super::message::{Question, RecordType, Reply};
use super::resolv_conf::ResolvConf;

/// Families asked for; IPv6 is tried first (RFC 8305, section 4).
const FAMILIES: [RecordType; 2] = [RecordType::AAAA, RecordType::A];
/// After this long without an answer the next server is asked, too.
const NEXT_SERVER_AFTER: Duration = Duration::from_secs(1);
/// Once one family has addresses, the other one gets this long. RFC 8305 says 50 ms, which a far server
/// may need for its answer alone.
const OTHER_FAMILY_WAIT: Duration = Duration::from_millis(200);
/// A name that does not exist has no address of the other family either (RFC 8020), but a broken
/// server may say so of one family only.
const NO_NAME_WAIT: Duration = Duration::from_secs(1);
/// TCP that is swallowed must not cost the addresses that came before.
const STREAM_WAIT: Duration = Duration::from_secs(2);
/// Addresses kept of one name: nobody would try more.
pub(super) const ADDRESSES_MAX: usize = 16;

/// Something to be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Send {
    /// To a server, from a port that nobody can guess.
    Datagram {
        /// Which one of [`ResolvConf::servers`].
        server: usize,
        /// The message.
        bytes: Vec<u8>,
    },
    /// On a TCP connection to be made for this, one for each family.
    Stream {
        /// Which one of [`ResolvConf::servers`].
        server: usize,
        /// For [`Lookup::stream_received`].
        family: usize,
        /// The message with its length.
        bytes: Vec<u8>,
    },
    /// The connection is of no use any more.
    CloseStream {
        /// As in [`Send::Stream`].
        family: usize,
    },
}

/// What is known about one family.
enum Knowledge {
    /// Servers are being asked by datagram.
    Asking,
    /// An answer was too large; the rest of it comes over TCP, and these came before.
    Streaming {
        bytes: Vec<u8>,
        known: Vec<IpAddr>,
    },
    Found(Vec<IpAddr>),
    /// The name exists, but has no address of this family.
    Nothing,
    NoName,
    Failed,
}

struct Asked {
    question: Question,
    state: Knowledge,
    /// Datagrams sent, to one server after the other.
    sent: usize,
    /// How many of them are known to have brought nothing.
    failed: usize,
    /// When patience with the last server ends.
    next_at: Option<Instant>,
}

/// See the module.
pub struct Lookup {
    conf: ResolvConf,
    next_id: fn() -> u16,
    candidates: VecDeque<String>,
    asked: Option<[Asked; 2]>,
    /// When what was not answered counts as failed.
    deadline: Instant,
    /// A candidate failed otherwise than by not being there.
    has_failed: bool,
    sends: VecDeque<Send>,
    outcome: Option<Result<Vec<IpAddr>, LookupError>>,
}

impl Lookup {
    /// Asks for `name` at once; `next_id` gives numbers that nobody can guess.
    pub fn new(now: Instant, conf: ResolvConf, name: &str, next_id: fn() -> u16) -> Self {
        let mut lookup = Self {
            candidates: conf.candidates(name).into(),
            conf,
            next_id,
            asked: None,
            deadline: now,
            has_failed: false,
            sends: VecDeque::new(),
            outcome: None,
        };
        lookup.next_candidate(now);
        lookup
    }

    /// What is to be sent; drain after every input.
    pub fn poll_send(&mut self) -> Option<Send> {
        self.sends.pop_front()
    }

    /// Ends with these addresses, IPv6 and IPv4 taking turns, never none; or with the reason why not.
    pub fn outcome(&self) -> Option<&Result<Vec<IpAddr>, LookupError>> {
        self.outcome.as_ref()
    }

    /// Who is asked.
    pub fn conf(&self) -> &ResolvConf {
        &self.conf
    }

    /// When [`Lookup::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Instant {
        let asked = self.asked.iter().flatten();
        let next = asked.filter_map(|asked| asked.next_at).min();
        next.map_or(self.deadline, |next| next.min(self.deadline))
    }

    /// A datagram came from a server.
    pub fn received(&mut self, now: Instant, server: usize, bytes: &[u8]) {
        for family in 0..FAMILIES.len() {
            if let Some(asked) = self.open(family)
                && let Some(reply) = asked.question.read(bytes)
            {
                self.answered(now, family, server, &reply);
                return self.conclude(now);
            }
        }
    }

    /// A server can't be reached by datagram.
    pub fn server_failed(&mut self, now: Instant, server: usize) {
        let count = self.conf.servers.len();
        for family in 0..FAMILIES.len() {
            if let Some(asked) = self.open(family)
                && asked.sent % count == (server + 1) % count
            {
                self.failed(now, family);
            }
        }
        self.conclude(now);
    }

    /// Bytes came on a TCP connection.
    pub fn stream_received(&mut self, now: Instant, family: usize, more: &[u8]) {
        let Some(Asked {
            question, state, ..
        }) = self.asked.as_mut().map(|a| &mut a[family])
        else {
            return;
        };
        let Knowledge::Streaming { bytes, .. } = state else {
            return;
        };
        bytes.extend_from_slice(more);
        let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
            return;
        };
        let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length))) else {
            return;
        };
        let found = match question.read(message) {
            Some(Reply::Records(records)) => Some(addresses(FAMILIES[family], &records)),
            _ => None,
        };
        self.stream_ended(now, family, found);
    }

    /// A TCP connection failed or ended.
    pub fn stream_failed(&mut self, now: Instant, family: usize) {
        self.stream_ended(now, family, None);
    }

    /// Goes on to the next server, or to the next candidate, where patience has ended.
    pub fn handle_timeout(&mut self, now: Instant) {
        for family in 0..FAMILIES.len() {
            let Some(asked) = self.asked.as_mut().map(|asked| &mut asked[family]) else {
                return;
            };
            if asked.next_at.is_some_and(|at| at <= now) {
                match asked.state {
                    Knowledge::Streaming { .. } => self.stream_ended(now, family, None),
                    _ => self.send(now, family),
                }
            }
        }
        self.conclude(now);
    }

    /// The question of a family that still waits for a datagram.
    fn open(&mut self, family: usize) -> Option<&mut Asked> {
        let asked = &mut self.asked.as_mut()?[family];
        matches!(asked.state, Knowledge::Asking).then_some(asked)
    }

    fn next_candidate(&mut self, now: Instant) {
        while let Some(name) = self.candidates.pop_front() {
            let asked = FAMILIES.map(|record_type| {
                Some(Asked {
                    question: Question::new((self.next_id)(), &name, record_type)?,
                    state: Knowledge::Asking,
                    sent: 0,
                    failed: 0,
                    next_at: None,
                })
            });
            // What can't be a name does not exist.
            if let [Some(first), Some(second)] = asked {
                self.asked = Some([first, second]);
                let rounds = self.conf.attempts.max(self.conf.servers.len());
                self.deadline = now + self.conf.timeout * u32::try_from(rounds).unwrap_or(1);
                self.send(now, 0);
                self.send(now, 1);
                return;
            }
        }
        self.asked = None;
        self.outcome = Some(Err(match self.has_failed {
            true => LookupError::Temporary,
            false => LookupError::NotFound,
        }));
    }

    /// Asks the server whose turn it is.
    fn send(&mut self, now: Instant, family: usize) {
        let sends_max = self.sends_max();
        let server_count = self.conf.servers.len();
        let Some(asked) = self.open(family) else {
            return;
        };
        asked.next_at = None;
        if asked.sent >= sends_max {
            return;
        }
        let server = asked.sent % server_count;
        asked.sent += 1;
        if asked.sent < sends_max {
            asked.next_at = Some(now + NEXT_SERVER_AFTER);
        }
        let bytes = asked.question.encode();
        self.sends.push_back(Send::Datagram { server, bytes });
    }

    fn sends_max(&self) -> usize {
        self.conf.attempts * self.conf.servers.len()
    }

    fn answered(&mut self, now: Instant, family: usize, server: usize, reply: &Reply<'_>) {
        let record_type = FAMILIES[family];
        let Some(asked) = self.open(family) else {
            return;
        };
        asked.next_at = None;
        match reply {
            Reply::Records(records) => asked.state = found(addresses(record_type, records)),
            Reply::NoName => asked.state = Knowledge::NoName,
            Reply::Failure => self.failed(now, family),
            Reply::Truncated(records) => {
                asked.state = Knowledge::Streaming {
                    bytes: Vec::new(),
                    known: addresses(record_type, records),
                };
                asked.next_at = Some(now + STREAM_WAIT);
                let message = asked.question.encode();
                let length = u16::try_from(message.len()).unwrap_or(0).to_be_bytes();
                self.sends.push_back(Send::Stream {
                    server,
                    family,
                    bytes: [&length, &message[..]].concat(),
                });
            }
        }
    }

    /// A datagram brought nothing: the next one goes out at once.
    fn failed(&mut self, now: Instant, family: usize) {
        let sends_max = self.sends_max();
        let Some(asked) = self.open(family) else {
            return;
        };
        asked.failed += 1;
        if asked.failed >= sends_max {
            asked.state = Knowledge::Failed;
            asked.next_at = None;
        } else {
            self.send(now, family);
        }
    }

    /// Over TCP the answer came, or it did not and what came before must do.
    fn stream_ended(&mut self, now: Instant, family: usize, answer: Option<Vec<IpAddr>>) {
        let Some(asked) = self.asked.as_mut().map(|asked| &mut asked[family]) else {
            return;
        };
        let Knowledge::Streaming { known, .. } = &mut asked.state else {
            return;
        };
        let known = std::mem::take(known);
        asked.next_at = None;
        self.sends.push_back(Send::CloseStream { family });
        match answer {
            Some(addresses) => asked.state = found(addresses),
            None if known.is_empty() => {
                asked.state = Knowledge::Asking;
                self.failed(now, family);
            }
            None => asked.state = found(known),
        }
        self.conclude(now);
    }

    /// Ends the candidate when all is known, or when the rest has had its time.
    fn conclude(&mut self, now: Instant) {
        let Some(asked) = &mut self.asked else {
            return;
        };
        for asked in &*asked {
            let wait = match asked.state {
                Knowledge::Found(_) => OTHER_FAMILY_WAIT,
                Knowledge::NoName => NO_NAME_WAIT,
                _ => continue,
            };
            self.deadline = self.deadline.min(now + wait);
        }
        if asked.iter().any(Asked::is_open) && now < self.deadline {
            return;
        }
        self.sends
            .retain(|send| matches!(send, Send::CloseStream { .. }));
        for (family, asked) in asked.iter().enumerate() {
            if let Knowledge::Streaming { .. } = asked.state {
                self.sends.push_back(Send::CloseStream { family });
            }
        }
        let is_nowhere = asked.iter().any(|a| matches!(a.state, Knowledge::NoName));
        let is_uncertain = asked
            .iter()
            .any(|a| a.is_open() || matches!(a.state, Knowledge::Failed));
        let [v6, v4] = asked.each_mut().map(Asked::take_addresses);
        if v6.is_empty() && v4.is_empty() {
            self.has_failed |= is_uncertain && !is_nowhere;
            return self.next_candidate(now);
        }
        self.asked = None;
        self.outcome = Some(Ok(take_turns(&v6, &v4)));
    }
}

impl Asked {
    fn is_open(&self) -> bool {
        matches!(self.state, Knowledge::Asking | Knowledge::Streaming { .. })
    }

    fn take_addresses(&mut self) -> Vec<IpAddr> {
        match &mut self.state {
            Knowledge::Found(addresses)
            | Knowledge::Streaming {
                known: addresses, ..
            } => std::mem::take(addresses),
            _ => Vec::new(),
        }
    }
}

fn found(addresses: Vec<IpAddr>) -> Knowledge {
    match addresses.is_empty() {
        true => Knowledge::Nothing,
        false => Knowledge::Found(addresses),
    }
}

fn addresses(record_type: RecordType, records: &[&[u8]]) -> Vec<IpAddr> {
    let address = |data: &&[u8]| -> Option<IpAddr> {
        match record_type {
            RecordType::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(*data).ok()?).into()),
            _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(*data).ok()?).into()),
        }
    };
    records.iter().filter_map(address).collect()
}

/// RFC 8305, section 4: families take turns, each in the given order. Repeated addresses and those
/// beyond [`ADDRESSES_MAX`] are left out.
pub(super) fn take_turns(first: &[IpAddr], second: &[IpAddr]) -> Vec<IpAddr> {
    let mut turns = Vec::new();
    for index in 0..first.len().max(second.len()) {
        for &address in [first.get(index), second.get(index)].into_iter().flatten() {
            if turns.len() < ADDRESSES_MAX && !turns.contains(&address) {
                turns.push(address);
            }
        }
    }
    turns
}
