//! What the descriptors of stores do: one event is a turn of one of them, in which it hears and speaks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hoop_lite::session::{Channel, Report, TargetId, Unreached, Where};

use super::server::{Kind, Mood, Store};
use crate::net::End;
use crate::world::{Event, World};

impl World {
    /// The agent dials; `true` when that is a store.
    pub fn dial_store(&mut self, id: TargetId, place: &Where) -> bool {
        let kind = match place {
            Where::Name { host, port: 8200 } if host == "vault.example" => Kind::Vault,
            Where::Name { host, port: 4566 } if host == "aws.example" => Kind::Aws,
            _ => return false,
        };
        let mood = match (self.stores.mood, self.is_hurried) {
            (Some(mood), _) => mood,
            (None, true) => Mood::Polite,
            (None, false) => Mood::any(&mut self.dice),
        };
        if matches!(mood, Mood::Refuses | Mood::Hangs) {
            self.stores.note_trouble(None);
        }
        if mood != Mood::Hangs {
            let delay = self.delay();
            self.after(delay, Event::Dialled(id));
        }
        let before = self.stores.open.insert(id, Store::new(kind, mood));
        assert!(before.is_none(), "a descriptor's name is used twice");
        true
    }

    /// A connection attempt was answered; `false` when it is none of these.
    pub fn store_dialled(&mut self, id: TargetId) -> bool {
        let Some(store) = self.stores.open.get_mut(&id) else {
            return false;
        };
        store.is_open = store.mood != Mood::Refuses;
        let peer = Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8200));
        let report = match store.is_open {
            true => Report::Started { peer },
            false => Report::Failed(Unreached::because("connection refused")),
        };
        self.agent.handle_report(self.now, id, report);
        self.schedule_store(id, Duration::ZERO);
        true
    }

    fn schedule_store(&mut self, id: TargetId, delay: Duration) {
        if let Some(store) = self.stores.open.get_mut(&id)
            && store.is_open
            && !store.is_scheduled
        {
            store.is_scheduled = true;
            self.after(delay, Event::Store(id));
        }
    }

    /// Something waits for a descriptor; `false` when it is none of these.
    pub fn flush_store(&mut self, id: TargetId) -> bool {
        if !self.stores.open.contains_key(&id) {
            return false;
        }
        if self.agent.take_shutdown(id) {
            self.stores.open.get_mut(&id).expect("it is there").end = Some(End::Fin);
        }
        self.schedule_store(id, Duration::ZERO);
        true
    }

    /// One turn of a descriptor.
    pub fn store_turn(&mut self, id: TargetId) {
        let Some(store) = self.stores.open.get_mut(&id) else {
            return;
        };
        store.is_scheduled = false;
        let has_heard = self.write_store(id);
        let has_said = self.read_store(id);
        let Some(store) = self.stores.open.get(&id) else {
            return;
        };
        let waits = !store.waiting.is_empty() || store.end.is_some() && !store.has_told_end;
        let pause = match store.mood {
            Mood::Slow => Duration::from_millis(20),
            _ => Duration::from_micros(50),
        };
        if has_heard || has_said || waits {
            let delay = self.delay() / 8 + self.dice.time(pause);
            self.schedule_store(id, delay);
        }
    }

    /// The store hears what the agent has for it.
    fn write_store(&mut self, id: TargetId) -> bool {
        let bytes = self.agent.pending_parts(id).next().unwrap_or_default();
        if bytes.is_empty() {
            return false;
        }
        let short = self.weather.short_writes;
        let size = self.weather.cut(&mut self.dice, short, bytes.len());
        let store = self.stores.open.get_mut(&id).expect("it is there");
        if store.end.is_some() {
            self.agent.handle_report(self.now, id, Report::Broke);
            return true;
        }
        if let Some(question) = store.hear(&bytes[..size]) {
            // Now and then what Vault has given is taken back.
            let is_taken_back = self.stores.mood.is_none() && self.dice.chance(30);
            if is_taken_back && self.stores.token.is_some() {
                self.stores.token = Some(String::new());
            }
            let (token, number) = (&mut self.stores.token, &mut self.stores.tokens_given);
            let shown = token.clone();
            store.answer(&question, token, number);
            let (sid, mood) = (store.sid, store.mood);
            // Who shows an older token than the latest is refused, and may be refused for good.
            let is_kind = mood.is_kind() && store.promised.is_some();
            let is_login = shown != self.stores.token;
            if !is_kind && !is_login || !mood.is_kind() {
                self.stores.note_trouble(sid);
            }
        }
        self.agent
            .handle_report(self.now, id, Report::Wrote { size });
        true
    }

    /// The agent reads what the store says.
    fn read_store(&mut self, id: TargetId) -> bool {
        let may_read = self.agent.has_room() || !self.agent.needs_room(id);
        let wants = self.agent.wants_read(id, Channel::Output);
        let most = self.agent.payload_max();
        let Some(store) = self.stores.open.get_mut(&id) else {
            return false;
        };
        if !may_read || !wants || store.has_told_end {
            return false;
        }
        if store.mood == Mood::Endless && store.waiting.is_empty() && store.given > 0 {
            // A piece of a body that has no end.
            store.waiting = [b"1000\r\n", &[b'x'; 0x1000][..], b"\r\n"].concat();
        }
        if store.waiting.is_empty() {
            return self.end_store(id);
        }
        let held = match store.mood {
            Mood::Slow => self.dice.between(1, 2).min(store.waiting.len()),
            _ => store.waiting.len().min(most),
        };
        let short = self.weather.short_reads;
        let size = self.weather.cut(&mut self.dice, short, held);
        match self.agent.read_slot(id, Channel::Output, size) {
            Some(slot) => {
                let size = slot.len().min(size);
                let words: Vec<u8> = store.waiting.drain(..size).collect();
                slot[..size].copy_from_slice(&words);
                store.given += size;
                let given = store.given;
                let kept = store.promised.take_if(|(_, end)| given >= *end);
                let (kind, sid) = (store.kind, store.sid);
                if let (Some((secret, _)), Some(sid)) = (kept, sid) {
                    self.stores.note_given(kind, sid, &secret);
                }
                self.agent
                    .handle_report(self.now, id, Report::Received { size });
            }
            // Nobody listens any more.
            None => drop(store.waiting.drain(..size)),
        }
        true
    }

    fn end_store(&mut self, id: TargetId) -> bool {
        let Some(store) = self.stores.open.get_mut(&id) else {
            return false;
        };
        let Some(end) = store.end else { return false };
        store.has_told_end = true;
        let channel = Channel::Output;
        self.agent
            .handle_report(self.now, id, Report::Ended { channel });
        if end == End::Reset {
            self.agent.handle_report(self.now, id, Report::Broke);
        }
        true
    }

    /// The agent closes a descriptor; `false` when it is none of these.
    pub fn close_store(&mut self, id: TargetId) -> bool {
        self.stores.open.remove(&id).is_some()
    }

    /// Bytes that wait for stores.
    pub fn store_bytes(&self) -> usize {
        let queue = |id: &TargetId| {
            self.agent
                .pending_parts(*id)
                .map(<[u8]>::len)
                .sum::<usize>()
        };
        self.stores.open.keys().map(queue).sum()
    }
}
