//! Which sessions there are, which have ended, and what the gateway knows of that.
//!
//! Promises that every session stands under its one id, and that nothing of one that has ended is held but
//! its id, for the packets that are still under way.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::names::SessionKey;
use super::session::Session;
use crate::base::Slab;
use crate::limits;

/// See the module.
pub(super) struct Book {
    sessions: Slab<Box<Session>>,
    by_id: BTreeMap<Box<str>, SessionKey>,
    /// The latest that are over.
    ended: VecDeque<Ended>,
    /// The gateway has confirmed a close of ours on this link, so it is of the kind that does: each as it
    /// reads it, in order.
    confirms: bool,
    /// Since the first close that it could have confirmed next.
    missed_since: Option<Instant>,
}

/// A session that is over.
struct Ended {
    id: Box<str>,
    mark: u64,
    /// We have closed it, and the gateway has not confirmed that yet.
    is_unconfirmed: bool,
    /// Two clients used its id, and one may still do so: the gateway tells only the later one that
    /// it is over.
    is_contested: bool,
}

impl Book {
    /// There was none yet.
    pub(super) fn new() -> Self {
        Self {
            sessions: Slab::new(limits::SESSION_COUNT_MAX),
            by_id: BTreeMap::new(),
            ended: VecDeque::new(),
            confirms: false,
            missed_since: None,
        }
    }

    // -- sessions --------------------------------------------------------------------------------

    /// Sessions that are open or being opened.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// The session of this id.
    pub(super) fn find(&self, id: &str) -> Option<SessionKey> {
        self.by_id.get(id).copied()
    }

    /// This one, unless it is over.
    pub(super) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(key.0).map(Box::as_ref)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key.0).map(Box::as_mut)
    }

    /// The id of a session; empty when it is over.
    pub(super) fn id(&self, key: SessionKey) -> &str {
        self.get(key).map_or("", |session| &session.about.id)
    }

    /// All of them, to be looked at.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().map(|(_, session)| &**session)
    }

    /// The names of all.
    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.sessions.keys().into_iter().map(SessionKey).collect()
    }

    /// Adds a session, or gives it back where the table is full.
    pub(super) fn insert(&mut self, session: Session) -> Result<SessionKey, Box<Session>> {
        let id = session.about.id.clone();
        let key = SessionKey(self.sessions.insert(Box::new(session))?);
        self.by_id.insert(id, key);
        Ok(key)
    }

    /// Takes a session out, and remembers that it was there.
    pub(super) fn remove(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.sessions.remove(key.0)?;
        self.by_id.remove(&session.about.id);
        self.remember_ended(session.about.id.clone(), false);
        Some(*session)
    }

    /// The link is gone: takes all sessions out, and forgets all that were there.
    pub(super) fn clear(&mut self) -> Vec<(SessionKey, Session)> {
        self.by_id.clear();
        self.ended.clear();
        self.confirms = false;
        self.missed_since = None;
        let keys = self.sessions.keys().into_iter();
        keys.filter_map(|key| Some((SessionKey(key), *self.sessions.remove(key)?)))
            .collect()
    }

    // -- what is over ----------------------------------------------------------------------------

    /// A session of this id is over; we have closed it where the gateway is still to confirm that.
    pub(super) fn remember_ended(&mut self, id: Box<str>, is_unconfirmed: bool) {
        let is_contested = self.forget_ended(&id);
        if self.ended.len() >= limits::ENDED_SESSIONS_KEPT {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended {
            mark: mark(&id),
            id,
            is_unconfirmed,
            is_contested,
        });
    }

    /// Forgets that there was such a session; `true` when its id was contested.
    pub(super) fn forget_ended(&mut self, id: &str) -> bool {
        let found = self.find_ended(id).and_then(|at| self.ended.remove(at));
        found.is_some_and(|ended| ended.is_contested)
    }

    /// There was a session of this id not long ago.
    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.find_ended(id).is_some()
    }

    fn find_ended(&self, id: &str) -> Option<usize> {
        let mark = mark(id);
        let mut ended = self.ended.iter();
        ended.position(|ended| ended.mark == mark && &*ended.id == id)
    }

    /// The session that ended last had an id that two clients used.
    pub(super) fn contest(&mut self) {
        if let Some(ended) = self.ended.back_mut() {
            ended.is_contested = true;
        }
    }

    /// Packets under this id may still come from somebody whose session is over.
    pub(super) fn may_be_in_use(&self, id: &str) -> bool {
        let ended = self.find_ended(id).and_then(|at| self.ended.get(at));
        ended.is_some_and(|ended| ended.is_unconfirmed || ended.is_contested)
    }

    // -- confirmations ---------------------------------------------------------------------------

    /// The session that ended last was closed by us.
    pub(super) fn note_closed(&mut self, now: Instant) {
        if let Some(ended) = self.ended.back_mut() {
            ended.is_unconfirmed = true;
        }
        self.missed_since.get_or_insert(now);
    }

    /// The gateway closes a session that is over: it has read our close of it.
    pub(super) fn note_confirmed(&mut self, now: Instant, id: &str) {
        let found = self.find_ended(id).and_then(|at| self.ended.get_mut(at));
        if found.is_some_and(|ended| std::mem::take(&mut ended.is_unconfirmed)) {
            self.confirms = true;
            self.missed_since = self.awaits_confirmation().then_some(now);
        }
    }

    /// Some close of ours may not have been read by the gateway yet.
    pub(super) fn awaits_confirmation(&self) -> bool {
        self.ended.iter().any(|ended| ended.is_unconfirmed)
    }

    /// Since when the gateway, which used to, has confirmed no close of ours, though there are some
    /// to be confirmed.
    pub(super) fn unconfirmed_since(&self) -> Option<Instant> {
        self.missed_since.filter(|_| self.confirms)
    }
}

/// Tells ids apart at once (FNV-1a): to compare a thousand that begin alike would take the time of
/// twenty packets.
fn mark(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |mark, byte| {
        (mark ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
