//! The look-up of one name: candidate after candidate, each asked for both families side by side.
//!
//! ```text
//!  ask A and AAAA --> answers, or time is up --> some address: done
//!       ^                                   \--> none, or a failure: the next candidate, or the end
//!       +------------ next server ------------- a server failed, or said nothing for a second
//! ```
//!
//! A family that fails is no failure while the other has addresses: many servers answer AAAA with
//! NXDOMAIN, an error, or never. A service is looked up in the same way: its hosts (SRV) and its text (TXT)
//! are the two families; there need be no text, but its server must say so. Servers are asked in their order, since the first one may be the only
//! one that knows the inner names; one that is dead costs a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::answer::{Answer, FAMILIES, Record, Sought, addresses, read, service};
use super::error::LookupError;
use super::message::{Question, RecordType, Reply};
use super::resolv_conf::ResolvConf;

/// Under which name of its own domain a service has its hosts.
const SERVICE: &str = "_mongodb._tcp";
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
        known: Vec<Record>,
    },
    Found(Vec<Record>),
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
    sought: Sought,
    conf: ResolvConf,
    next_id: fn() -> u16,
    candidates: VecDeque<String>,
    asked: Option<[Asked; 2]>,
    /// When what was not answered counts as failed.
    deadline: Instant,
    /// A candidate failed otherwise than by not being there.
    has_failed: bool,
    sends: VecDeque<Send>,
    outcome: Option<Result<Answer, LookupError>>,
}

impl Lookup {
    /// Asks for the addresses of `name` at once; `next_id` gives numbers that nobody can guess.
    pub fn new(now: Instant, conf: ResolvConf, name: &str, next_id: fn() -> u16) -> Self {
        let candidates = conf.candidates(name);
        Self::begin(now, (Sought::Addresses, candidates), conf, next_id)
    }

    /// Asks for the hosts of the service of this name, which is absolute.
    pub fn service(now: Instant, conf: ResolvConf, name: &str, next_id: fn() -> u16) -> Self {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        Self::begin(now, (Sought::Service, vec![name]), conf, next_id)
    }

    fn begin(
        now: Instant,
        (sought, candidates): (Sought, Vec<String>),
        conf: ResolvConf,
        next_id: fn() -> u16,
    ) -> Self {
        let mut lookup = Self {
            sought,
            candidates: candidates.into(),
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

    /// Ends with this, or with the reason why not.
    pub fn outcome(&self) -> Option<&Result<Answer, LookupError>> {
        self.outcome.as_ref()
    }

    pub(super) fn sought(&self) -> Sought {
        self.sought
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
        for family in 0..FAMILIES {
            if let Some(asked) = self.open(family)
                && let Some(reply) = asked.question.read(bytes)
            {
                self.answered(now, family, (server, bytes), &reply);
                return self.conclude(now);
            }
        }
    }

    /// A server can't be reached by datagram.
    pub fn server_failed(&mut self, now: Instant, server: usize) {
        let count = self.conf.servers.len();
        for family in 0..FAMILIES {
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
            Some(Reply::Records(records)) => {
                let record_type = self.sought.families()[family];
                Some(read(record_type, message, &records))
            }
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
        for family in 0..FAMILIES {
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
            let asked = self.sought.families().map(|record_type| {
                let name = match record_type {
                    RecordType::SRV => &[SERVICE, ".", &name].concat(),
                    _ => &name,
                };
                Some(Asked {
                    question: Question::new((self.next_id)(), name, record_type)?,
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

    fn answered(
        &mut self,
        now: Instant,
        family: usize,
        (server, message): (usize, &[u8]),
        reply: &Reply<'_>,
    ) {
        let record_type = self.sought.families()[family];
        let Some(asked) = self.open(family) else {
            return;
        };
        asked.next_at = None;
        match reply {
            Reply::Records(records) => asked.state = found(read(record_type, message, records)),
            Reply::NoName => asked.state = Knowledge::NoName,
            Reply::Failure => self.failed(now, family),
            Reply::Truncated(records) => {
                asked.state = Knowledge::Streaming {
                    bytes: Vec::new(),
                    known: read(record_type, message, records),
                };
                asked.next_at = Some(now + STREAM_WAIT);
                let question = asked.question.encode();
                let length = u16::try_from(question.len()).unwrap_or(0).to_be_bytes();
                self.sends.push_back(Send::Stream {
                    server,
                    family,
                    bytes: [&length, &question[..]].concat(),
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
    fn stream_ended(&mut self, now: Instant, family: usize, answer: Option<Vec<Record>>) {
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
            Some(records) => asked.state = found(records),
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
        // A name that has one family of addresses will do; a service is known by both.
        let needs_one = self.sought == Sought::Addresses;
        for asked in asked.iter().filter(|_| needs_one) {
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
        let answer = match (self.sought, asked.each_mut().map(Asked::take_records)) {
            (Sought::Service, [hosts, text]) => service(hosts, text).filter(|_| !is_uncertain),
            (Sought::Addresses, [v6, v4]) => addresses(&v6, &v4),
        };
        match answer {
            Some(answer) => {
                self.asked = None;
                self.outcome = Some(Ok(answer));
            }
            None => {
                self.has_failed |= is_uncertain && (!is_nowhere || !needs_one);
                self.next_candidate(now);
            }
        }
    }
}

impl Asked {
    fn is_open(&self) -> bool {
        matches!(self.state, Knowledge::Asking | Knowledge::Streaming { .. })
    }

    fn take_records(&mut self) -> Vec<Record> {
        match &mut self.state {
            Knowledge::Found(known) | Knowledge::Streaming { known, .. } => std::mem::take(known),
            _ => Vec::new(),
        }
    }
}

fn found(records: Vec<Record>) -> Knowledge {
    match records.is_empty() {
        true => Knowledge::Nothing,
        false => Knowledge::Found(records),
    }
}
