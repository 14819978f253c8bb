use std::time::Instant;

use super::*;
use crate::base::Key;
use crate::dns::answer::Sought;
use crate::dns::lookup::Send;
use crate::dns::names::{
    Asker, LOOKUPS_MAX, NameRequest, Names, REFUSED_FOR, REFUSED_MAX, SHARE_MAX,
};

struct World {
    names: Names,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self {
            names: Names::new(next_id),
            now: Instant::now(),
        }
    }

    fn ask_as(&mut self, asker: Asker, name: &str, number: u64) -> Result<Key, LookupError> {
        let request = NameRequest { number, port: 1 };
        let sought = (Sought::Addresses, name);
        self.names.ask(self.now, &conf(""), sought, asker, request)
    }

    fn ask(&mut self, name: &str, number: u64) -> Result<Key, LookupError> {
        self.ask_as(Asker::Target { user: 1 }, name, number)
    }

    /// Answers all that a look-up has asked; who waited for it.
    fn answer(&mut self, key: Key, say: &Say) -> Vec<u64> {
        let lookup = self.names.lookup(key).unwrap();
        while let Some(Send::Datagram { server, bytes }) = lookup.poll_send() {
            lookup.received(self.now, server, &reply(&bytes, say).unwrap());
        }
        let outcome = self.names.finish(self.now, key).unwrap();
        outcome.requests.iter().map(|r| r.number).collect()
    }
}

#[test]
fn one_look_up_serves_all_who_ask_and_the_link_has_its_own() {
    let mut world = World::new();
    let key = world.ask("db.example", 1).unwrap();
    assert_eq!(world.ask("db.example", 2), Ok(key));
    let own = world.ask_as(Asker::Link, "db.example", 9).unwrap();
    assert_ne!(own, key);
    let good = Say::Addresses(vec![ip("192.0.2.1")]);
    assert_eq!(world.answer(key, &good), [1, 2]);
    assert_ne!(
        world.ask("db.example", 3),
        Ok(key),
        "found names are asked for anew"
    );
    assert_eq!(world.answer(own, &good), [9]);
}

#[test]
fn a_look_up_ends_with_the_last_who_asked() {
    let mut world = World::new();
    let key = world.ask("db.example", 1).unwrap();
    world.ask("db.example", 2).unwrap();
    assert_eq!(world.names.cancel(1), None);
    assert_eq!(world.names.cancel(7), None);
    assert_eq!(world.names.cancel(2), Some(key));
    assert!(world.names.lookup(key).is_none());
    assert_eq!(world.names.poll_timeout(), None);
}

#[test]
fn what_was_not_found_is_not_asked_for_again_for_a_moment() {
    let mut world = World::new();
    let key = world.ask("gone.example", 1).unwrap();
    world.answer(key, &Say::Code(3));
    assert_eq!(world.ask("gone.example", 2), Err(LookupError::NotFound));
    assert!(world.ask_as(Asker::Link, "gone.example", 2).is_ok());
    world.now += REFUSED_FOR;
    assert!(world.ask("gone.example", 3).is_ok());
    let key = world.ask("gone.example", 4).unwrap();
    world.answer(key, &Say::Code(2));
    assert_eq!(world.ask("gone.example", 5), Err(LookupError::Temporary));
    world.names.forget_refusals();
    assert!(world.ask("gone.example", 6).is_ok());
}

#[test]
fn few_refusals_are_remembered() {
    let mut world = World::new();
    for number in 0..=REFUSED_MAX as u64 {
        let key = world.ask(&format!("gone{number}.example"), number).unwrap();
        world.answer(key, &Say::Code(3));
    }
    assert!(world.ask("gone0.example", 1000).is_ok());
    assert!(world.ask("gone1.example", 1001).is_err());
}

#[test]
fn names_that_hang_make_room_for_others_and_the_link_needs_none() {
    let mut world = World::new();
    let users = [1, 2].map(|user| Asker::Target { user });
    for number in 0..LOOKUPS_MAX as u64 {
        let asker = users[usize::from(number % 2 == 1)];
        assert!(world.names.make_room(world.now, asker).is_none());
        let name = format!("dead{number}.example");
        assert!(world.ask_as(asker, &name, number).is_ok());
        world.now += Duration::from_micros(1);
    }
    let third = Asker::Target { user: 3 };
    assert!(
        world.names.make_room(world.now, third).is_none(),
        "none has hung yet"
    );
    assert_eq!(
        world.ask_as(third, "db.example", 5000),
        Err(LookupError::Busy)
    );
    assert!(world.ask("dead7.example", 5001).is_ok(), "it is under way");
    assert!(world.ask_as(Asker::Link, "gw.example", 5002).is_ok());
    assert!(world.names.make_room(world.now, Asker::Link).is_none());
    world.now += SECOND;
    assert!(world.names.make_room(world.now, Asker::Link).is_none());
    let (_, outcome) = world.names.make_room(world.now, third).unwrap();
    assert_eq!(outcome.result, Err(LookupError::Temporary));
    let numbers: Vec<u64> = outcome.requests.iter().map(|r| r.number).collect();
    assert_eq!(numbers, [0], "the oldest");
    assert!(world.ask_as(third, "db.example", 5003).is_ok());
}

#[test]
fn dead_names_of_one_user_leave_room_for_everybody_elses() {
    let mut world = World::new();
    let greedy = Asker::Target { user: 1 };
    let mut given_up = 0;
    for number in 0..1100 {
        given_up += usize::from(world.names.make_room(world.now, greedy).is_some());
        let asked = world.ask(&format!("dead{number}.example"), number);
        assert_eq!(asked.is_ok(), number < SHARE_MAX as u64);
    }
    assert_eq!(given_up, 0, "none has hung yet");
    // At the same moment.
    let other = Asker::Target { user: 2 };
    assert!(world.names.make_room(world.now, other).is_none());
    assert!(world.ask_as(other, "db.example", 5000).is_ok());
    // With time, his own make room for his next, and nobody else's do.
    world.now += SECOND;
    assert!(world.names.make_room(world.now, other).is_none());
    let (_, outcome) = world.names.make_room(world.now, greedy).unwrap();
    assert_eq!(outcome.requests[0].number, 0);
    assert!(world.ask("db2.example", 5001).is_ok());
    // Who waits with others for a name takes no room.
    assert!(world.ask("db.example", 5002).is_ok());
}

#[test]
fn what_is_overdue_acts_and_the_rest_waits() {
    let mut world = World::new();
    let first = world.ask("a.example", 1).unwrap();
    world.now += SECOND / 2;
    world.ask("b.example", 2).unwrap();
    let due = world.names.poll_timeout().unwrap();
    assert_eq!(due, world.now + SECOND / 2);
    world.now = due;
    assert_eq!(world.names.overdue(due), [first]);
    assert!(world.names.poll_timeout().unwrap() > due);
}
