//! The conversation with one store, from the first question to the last value.
//!
//! Whoever drives it asks [`Fetch::next`] what to do, carries that out on sockets of its own, and says what came of
//! it by [`Fetch::answered`]. One question at a time; nothing here waits, and [`Fetch::give_up`] ends it at any time.

use super::asking::{Found, Step, Trouble, World};
use super::aws::identity::Needs;
use super::aws::store::Aws;
use super::plan::Want;
use super::vault::Vault;
use super::words;
use crate::http::Response;

enum Store {
    Vault(Box<Vault>),
    Aws(Box<Aws>),
}

/// See the module.
pub struct Fetch {
    store: Store,
    found: Found,
}

impl Fetch {
    /// These secrets of Vault.
    pub fn vault(wants: Vec<Want>) -> Self {
        Self {
            store: Store::Vault(Box::new(Vault::new(wants, false))),
            found: Found::default(),
        }
    }

    /// Who the agent is to Vault.
    pub fn vault_identity() -> Self {
        Self {
            store: Store::Vault(Box::new(Vault::new(Vec::new(), true))),
            found: Found::default(),
        }
    }

    /// These secrets of AWS, and what tokens need.
    pub fn aws(wants: Vec<Want>, needs: Needs) -> Self {
        Self {
            store: Store::Aws(Box::new(Aws::new(wants, needs))),
            found: Found::default(),
        }
    }

    /// What is to be done now.
    pub fn next(&mut self, world: &mut World<'_>) -> Step {
        let step = match &mut self.store {
            Store::Vault(store) => store.next(&mut self.found, world),
            Store::Aws(store) => store.next(&mut self.found, world),
        };
        if let Step::Ask(ask) = &step {
            self.found.sent = ask.request.clone();
        }
        step
    }

    /// The last question was answered, or not.
    pub fn answered(&mut self, answer: Result<&Response, &Trouble>, world: &mut World<'_>) {
        match &mut self.store {
            Store::Vault(store) => store.answered(answer, &mut self.found, world),
            Store::Aws(store) => store.answered(answer, &mut self.found, world),
        }
    }

    /// There is no time left.
    pub fn give_up(&mut self) {
        match &mut self.store {
            Store::Vault(store) => store.give_up(&words::TIME, &mut self.found),
            Store::Aws(store) => store.give_up(&words::TIME, &mut self.found),
        }
    }

    /// What it has come to.
    pub fn finish(self) -> Found {
        self.found
    }
}
