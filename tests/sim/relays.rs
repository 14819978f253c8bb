//! The model's relays: what waits for each target, who has to be told of its end, and which ends
//! are justified.

use std::time::{Duration, Instant};

use hoop_lite::base::TerminalSize;
use hoop_lite::limits;
use hoop_lite::session::{EXIT_INTERNAL, TargetId};

use crate::content::Content;
use crate::model::Model;
use crate::owed::{Owed, is_for};
use crate::packets::Got;
use crate::sent::Part;
use crate::target::Mood;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Probe,
    Tcp,
    Exec,
    Terminal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Starting,
    Streaming,
    Lingering,
}

/// One relay. Times are those at which the agent was told.
#[derive(Debug)]
pub struct Relay {
    pub sid: u32,
    pub connection: Option<u32>,
    pub kind: Kind,
    pub mood: Mood,
    pub phase: Phase,
    /// Its client is there.
    pub is_attached: bool,
    /// The agent must close it; with a reset, or not.
    pub dropped: Option<bool>,
    pub is_closed: bool,
    /// A deadline of its own may have closed it in the moment in which something else did.
    pub may_be_overdue: bool,
    /// What the target hears, from where on, and how much of it the agent took and gave.
    pub text: Content,
    pub text_from: Option<u64>,
    pub accepted: u64,
    pub written: u64,
    pub queue: usize,
    pub input_ended: bool,
    pub is_shut: bool,
    pub open: [bool; 2],
    /// When the process's leader ended, by the time with room, and how.
    pub exit: Option<(Duration, u16)>,
    /// When it last said something, by the same time.
    pub said_at: Duration,
    pub since: Instant,
    pub progress: Instant,
    pub in_kernel: usize,
    /// When the target itself took something, whatever the agent knows of it.
    pub taken_at: Option<Instant>,
    /// What a probe said that nobody has heard yet.
    pub held: usize,
    pub relayed: [u64; 2],
    pub received: [u64; 2],
}

impl Relay {
    /// The agent is to read this channel.
    pub fn wants_read(&self, channel: usize) -> bool {
        let is_full = self.kind == Kind::Probe && self.held >= limits::PROBE_BYTES_MAX;
        self.phase != Phase::Starting && self.open[channel] && !is_full
    }
}

impl Model {
    /// No relay is left for this session: no user has more than three quarters of them.
    pub fn is_full(&self, sid: u32) -> bool {
        let most = self.bounds.relay_count_max;
        let is_his = |live: &&usize| user_of(self.relays[**live].sid) == user_of(sid);
        self.live.len() >= most || self.live.iter().filter(is_his).count() >= most - most / 4
    }

    pub fn describe(&self, relay: usize) -> String {
        format!("relay {relay}: {:?}", self.relays[relay])
    }

    pub(crate) fn start(
        &mut self,
        now: Instant,
        sid: u32,
        connection: Option<u32>,
        kind: Kind,
        mood: Mood,
        text: Option<Content>,
    ) -> usize {
        let relay = self.relays.len();
        self.relays.push(Relay {
            sid,
            connection,
            kind,
            mood,
            phase: Phase::Starting,
            is_attached: true,
            dropped: None,
            is_closed: false,
            may_be_overdue: false,
            text: text.unwrap_or(Content(0)),
            text_from: None,
            accepted: 0,
            written: 0,
            queue: 0,
            input_ended: false,
            is_shut: false,
            open: [true, kind == Kind::Exec],
            exit: None,
            said_at: Duration::ZERO,
            since: now,
            progress: now,
            in_kernel: 0,
            taken_at: None,
            held: 0,
            relayed: [0; 2],
            received: [0; 2],
        });
        self.live.push(relay);
        self.starts.push_back(relay);
        relay
    }

    pub(crate) fn enqueue(&mut self, now: Instant, relay: usize, part: Part) {
        let relay = &mut self.relays[relay];
        if relay.input_ended || part.len == 0 {
            return;
        }
        let from = *relay.text_from.get_or_insert(part.from);
        assert_eq!(from + relay.accepted, part.from, "the world skips bytes");
        if relay.queue == 0 {
            relay.progress = now;
        }
        relay.queue += part.len;
        relay.accepted += part.len as u64;
        self.buffered += part.len;
    }

    /// The agent asked for this target; it must be the one whose turn it is.
    pub fn asked_to_start(&mut self, target: TargetId, is_dial: bool) -> usize {
        let relay = self.starts.pop_front().expect("a target too many");
        let kind = self.relays[relay].kind;
        assert_eq!(is_dial, matches!(kind, Kind::Probe | Kind::Tcp), "{kind:?}");
        let before = self.by_target.insert(target, relay);
        assert!(before.is_none(), "a target's name is used twice");
        relay
    }

    pub fn asked_to_resize(&mut self, target: TargetId, size: TerminalSize) {
        let (relay, wanted) = self.resizes.pop_front().expect("a resize too many");
        assert_eq!(
            self.by_target.get(&target).copied(),
            Some(relay),
            "a resize"
        );
        assert_eq!(size, wanted, "a resize");
    }

    /// The agent closes a target: because something ended it, or because its time is up.
    pub fn asked_to_close(&mut self, now: Instant, target: TargetId, reset: bool) {
        let relay = self.by_target.remove(&target);
        let relay = relay.expect("a target is closed twice");
        if self.relays[relay].dropped.is_none() {
            self.overdue(now, relay);
        }
        assert!(!self.relays[relay].is_closed, "closed twice");
        self.relays[relay].is_closed = true;
        let wanted = self.relays[relay].dropped;
        let is_either = self.relays[relay].may_be_overdue;
        assert!(
            is_either || Some(reset) == wanted,
            "reset {reset}: {}",
            self.describe(relay)
        );
        self.drops_due -= 1;
    }

    /// Connected, or running.
    pub fn started(&mut self, now: Instant, index: usize) {
        let relay = &mut self.relays[index];
        if relay.dropped.is_some() {
            return;
        }
        relay.phase = Phase::Streaming;
        relay.progress = now;
        relay.since = now;
        let (sid, is_attached) = (relay.sid, relay.is_attached);
        if relay.kind == Kind::Probe {
            self.opened(sid, index);
        } else if !is_attached {
            self.linger(now, index);
        }
    }

    /// An answered probe becomes a connection's target, unless it is gone: what it said is its client's.
    pub(crate) fn claim(
        &mut self,
        now: Instant,
        index: usize,
        connection: u32,
        text: Content,
    ) -> Option<usize> {
        let relay = &mut self.relays[index];
        if relay.dropped.is_some() {
            return None;
        }
        relay.kind = Kind::Tcp;
        relay.connection = Some(connection);
        relay.text = text;
        relay.progress = now;
        let (sid, len) = (relay.sid, std::mem::take(&mut relay.held));
        if len > 0 {
            relay.relayed[0] += len as u64;
            let data = Owed::Data {
                relay: index,
                channel: 0,
                len,
            };
            self.owing.owe(sid, data);
        }
        Some(index)
    }

    /// Not connected.
    pub fn failed(&mut self, now: Instant, index: usize) {
        let relay = &self.relays[index];
        match relay.kind {
            Kind::Probe => self.close(now, relay.sid, EXIT_INTERNAL),
            _ => self.target_over(now, index),
        }
        self.drop(index, false);
    }

    /// Not started.
    pub fn not_spawned(&mut self, now: Instant, index: usize, code: u16) {
        if self.relays[index].dropped.is_none() {
            self.close(now, self.relays[index].sid, code);
        }
    }

    /// A connection's target ended: if its client is there, it hears it.
    fn target_over(&mut self, now: Instant, index: usize) {
        let relay = &self.relays[index];
        if let (true, Some(connection)) = (relay.is_attached, relay.connection) {
            self.connection_over(relay.sid, connection);
            self.linger(now, index);
        }
    }

    /// The client of a connection left, or heard its end: what waits still goes out.
    pub(crate) fn linger(&mut self, now: Instant, index: usize) {
        let relay = &mut self.relays[index];
        if relay.phase == Phase::Starting && relay.queue == 0 {
            return self.drop(index, false);
        }
        relay.is_attached = false;
        relay.input_ended = true;
        if relay.phase == Phase::Streaming {
            relay.phase = Phase::Lingering;
            relay.since = now;
        }
    }

    /// An output is at its end.
    pub fn ended(&mut self, now: Instant, index: usize, channel: usize) {
        let relay = &mut self.relays[index];
        relay.open[channel] = false;
        match (relay.kind, relay.phase) {
            (Kind::Exec | Kind::Terminal, _) => {
                if relay.open == [false; 2] && relay.exit.is_some() {
                    self.finish(now, index);
                }
            }
            (_, Phase::Lingering) => self.drop_when_done(index),
            (Kind::Probe, _) => self.drop(index, false),
            _ => {
                self.target_over(now, index);
                self.drop_when_done(index);
            }
        }
    }

    /// Reading or writing failed.
    pub fn broke(&mut self, now: Instant, index: usize) {
        let relay = &mut self.relays[index];
        if matches!(relay.kind, Kind::Exec | Kind::Terminal) {
            self.buffered -= relay.queue;
            relay.queue = 0;
            relay.input_ended = true;
            return;
        }
        self.target_over(now, index);
        self.drop(index, true);
    }

    /// The leader of a process ended.
    pub fn exited(&mut self, now: Instant, index: usize, code: u16) {
        let relay = &mut self.relays[index];
        relay.exit = Some((self.room_time, code));
        relay.said_at = self.room_time;
        if relay.open == [false; 2] {
            self.finish(now, index);
        }
    }

    pub(crate) fn finish(&mut self, now: Instant, index: usize) {
        let relay = &self.relays[index];
        let (_, code) = relay.exit.expect("an exit");
        self.close(now, relay.sid, code);
    }

    /// So many bytes left for the target.
    pub fn wrote(&mut self, now: Instant, index: usize, size: usize) {
        let relay = &mut self.relays[index];
        assert!(relay.queue >= size, "more is written than was sent");
        relay.queue -= size;
        relay.written += size as u64;
        relay.progress = now;
        self.buffered -= size;
    }

    /// The agent wants the target's input closed.
    pub fn shut(&mut self, index: usize) {
        let relay = &mut self.relays[index];
        assert!(!relay.is_shut, "an end is told twice");
        assert!(relay.input_ended, "an end is told that is none");
        assert_eq!(relay.queue, 0, "an end is told before the last byte");
        relay.is_shut = true;
        self.drop_when_done(index);
    }

    fn drop_when_done(&mut self, index: usize) {
        let relay = &self.relays[index];
        if relay.phase == Phase::Lingering && relay.queue == 0 && !relay.open[0] {
            self.drop(index, false);
        }
    }

    pub(crate) fn drop(&mut self, index: usize, reset: bool) {
        let relay = &mut self.relays[index];
        if relay.dropped.is_some() {
            return;
        }
        relay.dropped = Some(reset);
        relay.is_attached = false;
        self.buffered -= relay.queue;
        relay.queue = 0;
        self.live.retain(|live| *live != index);
        self.drops_due += 1;
    }

    /// The agent looked at what the kernel holds.
    pub fn examined(&mut self, now: Instant, index: usize, held: usize) {
        let relay = &mut self.relays[index];
        if held < relay.in_kernel {
            relay.progress = now;
        }
        relay.in_kernel = held;
    }

    /// The agent read something that its client must get, as soon as there is one.
    pub fn relayed(&mut self, index: usize, channel: usize, len: usize) {
        let relay = &mut self.relays[index];
        if relay.kind == Kind::Probe {
            relay.held += len;
            return;
        }
        assert!(relay.is_attached, "bytes for a client that left");
        relay.relayed[channel] += len as u64;
        relay.said_at = self.room_time;
        let sid = relay.sid;
        let data = Owed::Data {
            relay: index,
            channel,
            len,
        };
        self.owing.owe(sid, data);
    }

    /// A client got bytes: they must be the ones.
    pub fn got_data(&mut self, index: usize, channel: usize, len: usize, got: &Got) {
        let relay = &mut self.relays[index];
        assert_eq!(got.payload.len(), len, "a packet of another size");
        let (text, from) = (
            spoken(relay.mood, index, channel, relay.text),
            relay.text_from,
        );
        let from = if relay.mood == Mood::Echo {
            from.unwrap_or(0)
        } else {
            0
        };
        let at = from + relay.received[channel];
        text.check(at, &got.payload, &format!("client of relay {index}"));
        relay.received[channel] += len as u64;
        if let Some(connection) = relay.connection {
            assert!(is_for(got, connection), "bytes of another connection");
        }
    }
}

/// Whose a session is.
pub fn user_of(sid: u32) -> u32 {
    sid % 3
}

/// What a target says on a channel.
pub fn spoken(mood: Mood, relay: usize, channel: usize, heard: Content) -> Content {
    match mood {
        Mood::Echo => heard,
        _ => Content((relay * 2 + channel) as u64 + 1_000_000),
    }
}
