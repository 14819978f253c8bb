//! PBKDF2 in portions, and the keys that came out of it.
//!
//! Promises: all derivations of the program together get so many rounds a turn, one after the other; who needs the
//! same key waits for the same derivation, which ends with the last of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use ring::{digest, hmac};

use super::hash::{HASH_BYTES_MAX, Hash};
use crate::base::{Secret, wipe};
use crate::limits;

/// What a password, a salt and a number of rounds come to. As good as the password for a login, so
/// it is wiped like one.
#[derive(Clone)]
pub struct DerivedKey {
    client: Secret,
    server: Secret,
}

impl DerivedKey {
    fn new(hash: Hash, salted: &[u8]) -> Self {
        let salted = hash.key(salted);
        let sign = |label: &[u8]| Secret::new(hmac::sign(&salted, label).as_ref());
        Self {
            client: sign(b"Client Key"),
            server: sign(b"Server Key"),
        }
    }

    /// Proves that we know the password.
    pub fn client(&self) -> &[u8] {
        self.client.expose()
    }

    /// Shows whether the server does.
    pub fn server(&self) -> &[u8] {
        self.server.expose()
    }
}

/// A derivation under way, or one that need not be made again. [`Keys::work`] makes it.
pub enum Derivation {
    /// It was made for an earlier login.
    Known(DerivedKey),
    /// Some rounds are left, or were.
    Running(Rc<RefCell<Running>>),
}

/// The rounds so far.
pub struct Running {
    id: Id,
    hash: Hash,
    key: hmac::Key,
    block: [u8; HASH_BYTES_MAX],
    sum: [u8; HASH_BYTES_MAX],
    rounds_left: u32,
    /// When none is left.
    made: Option<DerivedKey>,
}

impl Drop for Running {
    fn drop(&mut self) {
        wipe(&mut self.block);
        wipe(&mut self.sum);
    }
}

impl Running {
    fn new(id: Id, hash: Hash, password: &[u8], salt: &[u8], rounds: u32) -> Self {
        let key = hash.key(password);
        let mut first = hmac::Context::with_key(&key);
        first.update(salt);
        first.update(&1_u32.to_be_bytes());
        let mut block = [0; HASH_BYTES_MAX];
        block[..hash.bytes()].copy_from_slice(first.sign().as_ref());
        Self {
            id,
            hash,
            key,
            block,
            sum: block,
            rounds_left: rounds.saturating_sub(1),
            made: None,
        }
    }

    /// Works for `rounds` at most; answers for how many.
    fn advance(&mut self, rounds: u32) -> u32 {
        let rounds = rounds.min(self.rounds_left);
        let block = &mut self.block[..self.hash.bytes()];
        for _ in 0..rounds {
            let next = hmac::sign(&self.key, block);
            block.copy_from_slice(next.as_ref());
            for (sum, byte) in self.sum.iter_mut().zip(&*block) {
                *sum ^= byte;
            }
        }
        self.rounds_left -= rounds;
        rounds
    }
}

impl Derivation {
    /// The key when it is there.
    pub fn key(&self) -> Option<DerivedKey> {
        match self {
            Self::Known(key) => Some(key.clone()),
            Self::Running(running) => running.borrow().made.clone(),
        }
    }

    /// When it is worth to look again, at the earliest.
    pub fn rest(&self, keys: &Keys) -> Duration {
        let rounds = match self {
            Self::Known(_) => 0,
            Self::Running(running) => u64::from(running.borrow().rounds_left),
        };
        let ahead = rounds.saturating_mul(keys.running.len() as u64);
        Duration::from_nanos(ahead.saturating_mul(limits::SCRAM_ROUND_NANOS / 2))
            .min(limits::LOGIN_MAX)
    }
}

/// Which password, salt and number of rounds: their digest, so that no password is kept.
type Id = Secret;

/// Keys that logins made, most recently used last; [`limits::SCRAM_KEYS_KEPT`] at most. And those that are being
/// made, the next one first; a login that waits for one has it.
#[derive(Default)]
pub struct Keys {
    kept: Vec<(Id, DerivedKey)>,
    running: VecDeque<Weak<RefCell<Running>>>,
}

impl Keys {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets and wipes all of them.
    pub fn clear(&mut self) {
        self.kept = Vec::new();
    }

    /// The derivation for these, finished if it was made before.
    pub fn derivation(
        &mut self,
        hash: Hash,
        password: &[u8],
        salt: &[u8],
        rounds: u32,
    ) -> Derivation {
        let id = id(hash, password, salt, rounds);
        let known = self.kept.iter().position(|(kept, _)| *kept == id);
        match known.map(|place| self.kept.remove(place)) {
            Some((id, key)) => {
                self.keep(id, key.clone());
                Derivation::Known(key)
            }
            None => {
                let new = Running::new(id, hash, password, salt, rounds);
                Derivation::Running(self.run(new))
            }
        }
    }

    fn run(&mut self, new: Running) -> Rc<RefCell<Running>> {
        let mut live = self.running.iter().filter_map(Weak::upgrade);
        if let Some(same) = live.find(|running| running.borrow().id == new.id) {
            return same;
        }
        let running = Rc::new(RefCell::new(new));
        self.running.push_back(Rc::downgrade(&running));
        running
    }

    /// A derivation is under way: [`Keys::work`] is to be called, once a turn.
    pub fn has_work(&self) -> bool {
        !self.running.is_empty()
    }

    /// A turn's work.
    pub fn work(&mut self) {
        let mut left = limits::SCRAM_ROUNDS_PER_TURN;
        while left > 0
            && let Some(next) = self.running.pop_front()
        {
            // Nobody waits for it any more.
            let Some(shared) = next.upgrade() else {
                continue;
            };
            let mut running = shared.borrow_mut();
            left -= running.advance(left.min(limits::SCRAM_ROUNDS_AT_ONCE));
            if running.rounds_left > 0 {
                self.running.push_back(next);
                continue;
            }
            let key = DerivedKey::new(running.hash, &running.sum[..running.hash.bytes()]);
            running.made = Some(key.clone());
            self.keep(running.id.clone(), key);
        }
    }

    fn keep(&mut self, id: Id, key: DerivedKey) {
        if self.kept.len() >= limits::SCRAM_KEYS_KEPT {
            self.kept.remove(0);
        }
        self.kept.push((id, key));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

fn id(hash: Hash, password: &[u8], salt: &[u8], rounds: u32) -> Id {
    let mut context = digest::Context::new(&digest::SHA256);
    let mechanism = hash.mechanism().as_bytes();
    for part in [mechanism, &rounds.to_be_bytes(), password, salt] {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    Secret::new(context.finish().as_ref())
}
