//! Everybody's look-ups: who waits for which name.
//!
//! Whoever asks for a name that is being looked up waits with the others, so a session has as many
//! look-ups as it has hosts. No user asks for more than three quarters of the table at once. When the
//! table or the user's share is full, the look-up that has hung for the longest makes room. The link
//! never waits for sessions, nor together with them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::answer::{Answer, Sought};
use super::error::LookupError;
use super::lookup::Lookup;
use super::resolv_conf::ResolvConf;
use crate::base::{Key, Slab};

/// Names under way for targets; each takes a descriptor or, with dead servers, three.
pub(super) const LOOKUPS_MAX: usize = 512;
/// The same of one user: the rest is for others, as in every table (`session/shares.rs`).
pub(super) const SHARE_MAX: usize = LOOKUPS_MAX / 4 * 3;
/// A look-up that is younger has not hung.
const HUNG_AFTER: Duration = Duration::from_secs(1);
/// For this long, a name that could not be found is not asked for again.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(1);
/// Such names that are remembered.
pub(super) const REFUSED_MAX: usize = 64;

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The way to the gateway.
    Link,
    /// A target of a session.
    Target {
        /// Whose session, as a number of its own.
        user: u64,
    },
}

/// One who waits for addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRequest {
    /// Its name for itself.
    pub number: u64,
    /// The port that it will dial.
    pub port: u16,
}

/// What became of a name, for everybody who asked.
pub struct NameOutcome {
    /// As given to [`Names::ask`].
    pub requests: VecDeque<NameRequest>,
    /// Hosts of a service were asked for.
    pub is_service: bool,
    /// As [`Lookup::outcome`].
    pub result: Result<Answer, LookupError>,
}

struct Entry {
    name: String,
    asker: Asker,
    began: Instant,
    /// One for each that asks: bounded by the relays that there may be.
    requests: VecDeque<NameRequest>,
    lookup: Lookup,
}

/// A name that was not found.
struct Refused {
    until: Instant,
    sought: Sought,
    name: String,
    error: LookupError,
}

/// See the module.
pub struct Names {
    entries: Slab<Box<Entry>>,
    /// Names that were not found, by when they may be asked for again.
    refused: VecDeque<Refused>,
    next_id: fn() -> u16,
}

impl Names {
    /// `next_id` gives numbers that nobody can guess.
    pub fn new(next_id: fn() -> u16) -> Self {
        Self {
            // A place for the link is always free.
            entries: Slab::new(LOOKUPS_MAX + 1),
            refused: VecDeque::new(),
            next_id,
        }
    }

    /// Asks for what belongs to a name, or waits with those that asked before. The look-up, or an error that is
    /// known already.
    pub fn ask(
        &mut self,
        now: Instant,
        conf: &ResolvConf,
        (sought, name): (Sought, &str),
        asker: Asker,
        request: NameRequest,
    ) -> Result<Key, LookupError> {
        let is_link = asker == Asker::Link;
        if let Some(error) = self.refusal(now, sought, name).filter(|_| !is_link) {
            return Err(error);
        }
        let found = self.entries.iter().find(|(_, entry)| {
            (entry.asker == Asker::Link) == is_link
                && entry.name == name
                && entry.lookup.sought() == sought
        });
        if let Some((key, _)) = found
            && let Some(entry) = self.entries.get_mut(key)
        {
            entry.requests.push_back(request);
            return Ok(key);
        }
        if !is_link && self.is_full(asker) {
            return Err(LookupError::Busy);
        }
        let entry = Entry {
            name: name.to_owned(),
            asker,
            began: now,
            requests: VecDeque::from([request]),
            lookup: match sought {
                Sought::Addresses => Lookup::new(now, conf.clone(), name, self.next_id),
                Sought::Service => Lookup::service(now, conf.clone(), name, self.next_id),
            },
        };
        self.entries
            .insert(Box::new(entry))
            .map_err(|_| LookupError::Busy)
    }

    fn refusal(&mut self, now: Instant, sought: Sought, name: &str) -> Option<LookupError> {
        self.refused.retain(|refused| now < refused.until);
        let mut all = self.refused.iter();
        let same = all.find(|refused| refused.sought == sought && refused.name == name);
        same.map(|refused| refused.error)
    }

    /// Whether a target's look-up has no place: in the table, or in its user's share.
    fn is_full(&self, asker: Asker) -> bool {
        self.count(|other| other != Asker::Link) >= LOOKUPS_MAX || self.is_share_full(asker)
    }

    fn is_share_full(&self, asker: Asker) -> bool {
        self.count(|other| other == asker) >= SHARE_MAX
    }

    fn count(&self, counts: impl Fn(Asker) -> bool) -> usize {
        let entries = self.entries.iter();
        entries.filter(|(_, entry)| counts(entry.asker)).count()
    }

    /// When `asker` finds no place: gives up the look-up that has hung for the longest, one of the same
    /// user if that user's share is full.
    pub fn make_room(&mut self, now: Instant, asker: Asker) -> Option<(Key, NameOutcome)> {
        if asker == Asker::Link || !self.is_full(asker) {
            return None;
        }
        let of_his_own = self.is_share_full(asker);
        let (key, oldest) = self
            .entries
            .iter()
            .filter(|(_, e)| e.asker != Asker::Link && (!of_his_own || e.asker == asker))
            .min_by_key(|(_, entry)| entry.began)?;
        if now < oldest.began + HUNG_AFTER {
            return None;
        }
        let result = Err(LookupError::Temporary);
        Some((key, self.end(now, key, result)?))
    }

    /// Forgets a request. A look-up that nobody waits for any more ends; it is returned.
    pub fn cancel(&mut self, number: u64) -> Option<Key> {
        let keys = self.entries.keys();
        let (key, place) = keys.into_iter().find_map(|key| {
            let requests = &self.entries.get(key)?.requests;
            Some((
                key,
                requests.iter().position(|asked| asked.number == number)?,
            ))
        })?;
        let entry = self.entries.get_mut(key)?;
        entry.requests.remove(place);
        if !entry.requests.is_empty() {
            return None;
        }
        self.entries.remove(key);
        Some(key)
    }

    /// A look-up that is under way.
    pub fn lookup(&mut self, key: Key) -> Option<&mut Lookup> {
        Some(&mut self.entries.get_mut(key)?.lookup)
    }

    /// The outcome of a look-up that has ended.
    pub fn finish(&mut self, now: Instant, key: Key) -> Option<NameOutcome> {
        let result = self.entries.get(key)?.lookup.outcome()?.clone();
        self.end(now, key, result)
    }

    fn end(
        &mut self,
        now: Instant,
        key: Key,
        result: Result<Answer, LookupError>,
    ) -> Option<NameOutcome> {
        let entry = self.entries.remove(key)?;
        let is_service = entry.lookup.sought() == Sought::Service;
        if let (Err(error), Asker::Target { .. }) = (&result, entry.asker) {
            self.refused.truncate(REFUSED_MAX - 1);
            self.refused.push_front(Refused {
                until: now + REFUSED_FOR,
                sought: entry.lookup.sought(),
                name: entry.name,
                error: *error,
            });
        }
        Some(NameOutcome {
            requests: entry.requests,
            is_service,
            result,
        })
    }

    /// Servers have changed: what the old ones did not know is asked for again.
    pub fn forget_refusals(&mut self) {
        self.refused.clear();
    }

    /// When a look-up of [`Names::overdue`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let entries = self.entries.iter();
        entries.map(|(_, entry)| entry.lookup.poll_timeout()).min()
    }

    /// Look-ups whose time to act has come, having acted.
    pub fn overdue(&mut self, now: Instant) -> Vec<Key> {
        let mut keys = self.entries.keys();
        keys.retain(|key| {
            let lookup = self
                .lookup(*key)
                .filter(|lookup| lookup.poll_timeout() <= now);
            lookup.map(|lookup| lookup.handle_timeout(now)).is_some()
        });
        keys
    }
}
