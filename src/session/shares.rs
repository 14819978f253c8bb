//! No user takes a whole table for himself.
//!
//! The rule, for every table: a user, and so each session, has three quarters of it at most, whether
//! others ask or not; nobody can know who will ask next. Things count until they are given back, also
//! when the session that took them is over. Sessions of nobody in particular are one user's.
//!
//! What waits for targets is no such table: bytes come over one stream and can't be refused, so
//! `pressure.rs` has a rule of its own.

use std::fmt;

use crate::base::{Key, Slab};
use crate::limits;

/// What users take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    /// Sessions that are open or being opened.
    Sessions,
    /// Connections and processes, those included that only finish.
    Relays,
    /// Processes alone.
    Processes,
    /// Files of secrets.
    Files,
    /// Bytes of parameters.
    Bytes,
    /// Errands under way.
    Errands,
    /// Sessions that fetch their secrets.
    Fetches,
    /// Connections that found no room among the relays, and may say what they want.
    Waiting,
}

const TABLES: usize = 8;

/// Names a user for as long as something is his.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct UserKey(Key);

impl UserKey {
    /// A number that no other user has.
    pub fn number(self) -> u64 {
        self.0.to_bits()
    }
}

struct User {
    name: Box<str>,
    taken: [usize; TABLES],
}

/// Why something is not to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full {
    table: Table,
    /// The table has room, but not for this user.
    is_share: bool,
}

impl Full {
    /// The whole table is in use.
    pub(super) fn table(table: Table) -> Self {
        Self {
            table,
            is_share: false,
        }
    }

    /// The table has room, but not for whoever asks.
    pub(super) fn share(table: Table) -> Self {
        Self {
            table,
            is_share: true,
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.table {
            Table::Sessions => "sessions",
            Table::Relays => "connections",
            Table::Processes => "commands",
            Table::Files => "secret files",
            Table::Bytes => "memory for parameters",
            Table::Errands => "cancel requests",
            Table::Fetches => "places for fetching secrets",
            Table::Waiting => "connections without room",
        };
        f.write_str("the agent's ")?;
        f.write_str(what)?;
        f.write_str(match self.is_share {
            true => {
                ": you use three quarters, and the rest is for others; close some of your sessions"
            }
            false => ": all in use, try again later",
        })
    }
}

/// Who has how much of what.
pub(super) struct Shares {
    most: [usize; TABLES],
    taken: [usize; TABLES],
    /// Bounded by the tables: each has something.
    users: Slab<User>,
}

impl Shares {
    /// Nothing is taken yet.
    pub(super) fn new(relay_count_max: usize) -> Self {
        Self {
            most: [
                limits::SESSION_COUNT_MAX,
                relay_count_max,
                limits::PROCESS_COUNT_MAX,
                limits::SECRET_FILE_COUNT_MAX,
                limits::SESSIONS_BYTES_MAX,
                limits::ERRAND_COUNT_MAX,
                limits::FETCH_COUNT_MAX,
                limits::WAITING_COUNT_MAX,
            ],
            taken: [0; TABLES],
            users: Slab::new(usize::MAX),
        }
    }

    /// The user of this name. To be followed by [`Shares::take`], or by [`Shares::give`] of nothing.
    pub(super) fn enter(&mut self, name: &str) -> Option<UserKey> {
        let name = &name[..name.floor_char_boundary(limits::ID_BYTES_MAX)];
        let known = self.users.iter().find(|(_, user)| &*user.name == name);
        if let Some((key, _)) = known {
            return Some(UserKey(key));
        }
        let user = User {
            name: name.into(),
            taken: [0; TABLES],
        };
        self.users.insert(user).ok().map(UserKey)
    }

    /// Whether `amount` more is to be had.
    pub(super) fn ask(&self, user: UserKey, table: Table, amount: usize) -> Result<(), Full> {
        let index = table as usize;
        let most = self.most[index];
        let his = self.users.get(user.0).map_or(0, |user| user.taken[index]);
        if self.taken[index] + amount > most {
            return Err(Full::table(table));
        }
        // Rounded up: the only place of a table is for whoever comes first.
        if his + amount > most - most / 4 {
            return Err(Full::share(table));
        }
        Ok(())
    }

    /// Takes `amount`, if it is to be had.
    pub(super) fn take(&mut self, user: UserKey, table: Table, amount: usize) -> Result<(), Full> {
        self.ask(user, table, amount)?;
        if let Some(user) = self.users.get_mut(user.0) {
            user.taken[table as usize] += amount;
            self.taken[table as usize] += amount;
        }
        Ok(())
    }

    /// Gives back what was taken. Who has nothing left is forgotten.
    pub(super) fn give(&mut self, user: UserKey, table: Table, amount: usize) {
        let Some(found) = self.users.get_mut(user.0) else {
            return;
        };
        found.taken[table as usize] -= amount;
        self.taken[table as usize] -= amount;
        if found.taken == [0; TABLES] {
            self.users.remove(user.0);
        }
    }

    /// What all users have together.
    pub(super) fn taken(&self, table: Table) -> usize {
        self.taken[table as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Table; TABLES] = [
        Table::Sessions,
        Table::Relays,
        Table::Processes,
        Table::Files,
        Table::Bytes,
        Table::Errands,
        Table::Fetches,
        Table::Waiting,
    ];

    fn small(most: usize) -> Shares {
        let mut shares = Shares::new(most);
        shares.most = [most; TABLES];
        shares
    }

    proptest! {
        #[test]
        fn nobody_has_more_than_three_quarters_and_everybody_else_finds_the_rest(
            most in 1usize..50,
            steps in proptest::collection::vec((0usize..4, 0..TABLES, 1usize..20, any::<bool>()), 0..200),
        ) {
            let mut shares = small(most);
            let mut held: Vec<(UserKey, usize, Table, usize)> = Vec::new();
            let has = |held: &[(UserKey, usize, Table, usize)], who: Option<usize>, table| {
                let his = held.iter().filter(|h| h.2 == table && who.is_none_or(|w| w == h.1));
                his.map(|h| h.3).sum::<usize>()
            };
            for (who, table, amount, gives) in steps {
                let table = ALL[table];
                if gives {
                    if let Some(at) = held.iter().position(|h| h.1 == who && h.2 == table) {
                        let (user, _, table, amount) = held.swap_remove(at);
                        shares.give(user, table, amount);
                    }
                    continue;
                }
                let user = shares.enter(&format!("user {who}")).unwrap();
                let fits = has(&held, None, table) + amount <= most
                    && has(&held, Some(who), table) + amount <= most - most / 4;
                prop_assert_eq!(shares.take(user, table, amount).is_ok(), fits);
                match fits {
                    true => held.push((user, who, table, amount)),
                    false => shares.give(user, table, 0),
                }
                prop_assert_eq!(shares.taken(table), has(&held, None, table));
                // A stranger finds a quarter, unless two have it.
                let strangers = (0..4).filter(|w| has(&held, Some(*w), table) > 0).count();
                let free = most - has(&held, None, table);
                prop_assert!(strangers > 1 || free >= most / 4);
            }
            for (user, _, table, amount) in held {
                shares.give(user, table, amount);
            }
            prop_assert_eq!((shares.users.len(), shares.taken), (0, [0; TABLES]));
        }
    }

    #[test]
    fn a_refusal_tells_a_share_from_a_full_table() {
        let mut shares = small(4);
        let [one, two] = ["one", "two"].map(|name| shares.enter(name).unwrap());
        shares.take(one, Table::Relays, 3).unwrap();
        let text = |full: Result<(), Full>| full.unwrap_err().to_string();
        assert!(text(shares.take(one, Table::Relays, 1)).contains("three quarters"));
        shares.take(two, Table::Relays, 1).unwrap();
        assert!(text(shares.take(two, Table::Relays, 1)).contains("all in use"));
    }
}
