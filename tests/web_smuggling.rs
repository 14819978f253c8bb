//! Requests and answers that two programs could read in two ways, from public lists of such cases: every one
//! is either refused or passed on so that there is one way left.
//!
//! The oracle is a reader of its own, as strict as a reader can be ([`strict`]): whatever the service is sent
//! has to be messages for it, and as many as the user meant.

#![allow(clippy::unwrap_used)]

#[path = "web_smuggling/answers.rs"]
mod answers;
#[path = "web_smuggling/requests.rs"]
mod requests;
#[path = "web_smuggling/strict.rs"]
mod strict;
#[path = "web_smuggling/world.rs"]
mod world;

use std::collections::BTreeSet;

use world::{CLIENT, LISTENER, ask, asked_for};

/// What becomes of a user's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The service hears nothing, the user this status, and the connection ends.
    Refused(u16),
    /// The service is asked for exactly these targets, one after the other.
    Asked(&'static [&'static str]),
    /// As before, and then the connection ends with this status.
    AskedThenRefused(&'static [&'static str], u16),
}

#[test]
fn requests_reach_the_service_in_one_reading() {
    let mut wrong = Vec::new();
    for (name, bytes, fate) in requests::TABLE {
        // Whole, and byte by byte.
        for size in [usize::MAX, 1] {
            let heard = ask(CLIENT, bytes.as_bytes(), size);
            let found = heard.fate();
            if found != *fate {
                wrong.push(format!(
                    "{name}, in pieces of {size}: {found:?} in place of {fate:?}"
                ));
            }
            if let Some(fault) = heard.fault() {
                wrong.push(format!("{name}: {fault}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whatever else a request of the listener holds, it is one.
#[test]
fn the_listener_asks_for_one_thing_an_id() {
    for (name, bytes, _) in requests::TABLE {
        let heard = ask(LISTENER, bytes.as_bytes(), usize::MAX);
        assert!(heard.targets().len() <= 1, "{name}: {:?}", heard.targets());
        assert_eq!(heard.fault(), None, "{name}");
    }
}

#[test]
fn answers_reach_the_user_in_one_reading() {
    let mut wrong = Vec::new();
    for (name, bytes, seen) in answers::TABLE {
        for base_url in [CLIENT, LISTENER] {
            for size in [usize::MAX, 1] {
                let told = asked_for(base_url, bytes.as_bytes(), size);
                // A body that broke off is told as far as it went, or a page says so.
                let is_right = match seen {
                    answers::Seen::Whole(body) => {
                        told.body().as_deref() == Some(body.as_bytes()) && told.is_whole()
                    }
                    answers::Seen::Page => told.status() == 502 && told.is_whole(),
                    answers::Seen::Cut => !told.is_whole() || told.status() == 502,
                };
                if !is_right {
                    wrong.push(format!("{name}, {base_url}, in pieces of {size}: {told:?}"));
                }
                if told.is_reused() && seen != &answers::Seen::Whole("ok") {
                    wrong.push(format!("{name}: the connection is used again"));
                }
                assert!(!told.text().contains("EVIL"), "{name}: {}", told.text());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_is_as_long_as_was_asked() {
    let all = requests::TABLE.len() + answers::TABLE.len();
    assert!(all >= 100, "{all}");
    let count = |names: Vec<&str>| names.into_iter().collect::<BTreeSet<_>>().len();
    let names = requests::TABLE.iter().map(|row| row.0).collect();
    assert_eq!(count(names), requests::TABLE.len(), "each case once");
    let names = answers::TABLE.iter().map(|row| row.0).collect();
    assert_eq!(count(names), answers::TABLE.len(), "each case once");
}
