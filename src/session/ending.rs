//! How sessions end: one by its close packet, one without a word, or all together.
//!
//! Promises one close packet a session, and that nothing of it is held afterwards but its id, for the
//! packets that are still under way. What becomes of bytes that a target has not taken yet is left
//! to `relay.rs`.

use std::time::Instant;

use super::output::Output;
use super::sessions::{EXIT_INTERNAL, LIFE, Sessions, State, session_id};
use super::target::{SessionKey, TargetId};
use crate::base::plain::{Word, beginning, cut, plain};
use crate::limits;
use crate::packet::{Kind, Outbox, Oversized, spec};

/// A session that is over.
pub(super) struct Ended {
    id: Box<str>,
    mark: u64,
    /// We have closed it, and the gateway has not confirmed that yet.
    pub(super) is_unconfirmed: bool,
    /// Two clients used its id, and one may still do so: the gateway tells only the later one that
    /// it is over.
    is_contested: bool,
}

/// How the gateway answers to our closes: it confirms each as it reads it, in order.
#[derive(Default)]
pub(super) struct Confirmations {
    /// It has confirmed one on this link, so it is of the kind that does.
    are_usual: bool,
    /// Since the first close that it could have confirmed next.
    missed_since: Option<Instant>,
}

impl Sessions {
    /// Since when the gateway, which used to, has confirmed no close of ours, though there are some
    /// to be confirmed.
    pub fn unconfirmed_since(&self) -> Option<Instant> {
        let confirmations = &self.confirmations;
        confirmations
            .missed_since
            .filter(|_| confirmations.are_usual)
    }

    /// The gateway has read our close of a session.
    pub(super) fn confirmed(&mut self, now: Instant) {
        self.confirmations.are_usual = true;
        self.confirmations.missed_since = self.awaits_confirmation().then_some(now);
    }

    /// Closes a session for a reason of ours, which its client and the log are told.
    pub(super) fn close(
        &mut self,
        now: Instant,
        key: SessionKey,
        code: u16,
        text: &str,
        outbox: &mut Outbox,
    ) {
        if let Some(session) = self.session(key) {
            let told = beginning(text, limits::ERROR_ECHO_BYTES_MAX);
            log::warn!("sid={} session closed: {told}", Word(&session.id));
        }
        self.finish(now, key, code, text, outbox);
    }

    /// Sends the one close packet of a session and ends it.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        key: SessionKey,
        code: u16,
        text: &str,
        outbox: &mut Outbox,
    ) {
        if let Some(session) = self.session(key) {
            log::info!(target: LIFE, "sid={} session ended, exit code {code}", Word(&session.id));
            send_close(outbox, &session.id, code, text);
            self.end(now, key);
            if let Some(ended) = self.ended.back_mut() {
                ended.is_unconfirmed = true;
            }
            self.confirmations.missed_since.get_or_insert(now);
        }
    }

    /// A packet of `len` bytes was passed over. It costs the session that it names, and nobody else.
    pub fn handle_oversized(
        &mut self,
        now: Instant,
        packet: &Oversized,
        len: u32,
        outbox: &mut Outbox,
    ) {
        self.counters.oversized += 1;
        let (Some(kind), Some(id)) = (packet.kind, packet.session.as_deref().and_then(session_id))
        else {
            log::warn!("a message of {len} bytes that names no session is too large: passed over");
            return;
        };
        let text = format!(
            "a {} packet of {len} bytes is larger than the {} that the agent takes: send less at once",
            kind.name(),
            limits::GRPC_MESSAGE_BYTES_MAX
        );
        match self.by_id.get(id).copied() {
            Some(key) => {
                self.counters.refused += 1;
                self.close(now, key, EXIT_INTERNAL, &text, outbox);
                if kind == Kind::AgentSessionOpen {
                    self.contest();
                }
            }
            None if kind == Kind::AgentSessionOpen => self.refuse(id, &text, outbox),
            None if self.refuse_system(kind, id, outbox) => {}
            None => self.handle_stray(now, kind, id, outbox),
        }
    }

    /// Ends a session without a word: its processes, its connections, its memory. Bytes that a
    /// client had sent before it left still reach their target.
    pub(super) fn end(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.remove(key.0) else {
            return;
        };
        self.by_id.remove(&session.id);
        self.give_session(&session);
        self.remember_ended(session.id.clone(), false);
        match session.state {
            State::Opening(target) => self.drop_target(target, false),
            State::Command { target, .. } => {
                if let Some(target) = target {
                    self.drop_target(target, false);
                }
            }
            State::Tcp { open, .. } => {
                for target in open.into_values() {
                    self.linger(now, target);
                }
            }
        }
    }

    /// Closes every session by packet: the agent is leaving, which is no failure of any.
    pub fn close_all(&mut self, now: Instant, text: &str, outbox: &mut Outbox) {
        for key in self.sessions.keys() {
            self.finish(now, SessionKey(key), EXIT_INTERNAL, text, outbox);
        }
    }

    /// As [`Sessions::end_all`], and no process may take its time: the key is revoked.
    pub fn revoke_all(&mut self) {
        self.end_all();
        self.outputs.push_back(Output::HastenEnds);
    }

    /// Ends everything at once, queues included: the gateway is gone.
    pub fn end_all(&mut self) {
        if !self.is_empty() {
            log::warn!("{} sessions ended with the link", self.len());
        }
        for key in self.sessions.keys() {
            if let Some(session) = self.sessions.remove(key) {
                self.give_session(&session);
            }
        }
        self.by_id.clear();
        self.ended.clear();
        self.confirmations = Confirmations::default();
        for key in self.targets.keys() {
            self.drop_target(TargetId(key), true);
        }
    }

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

    /// The place of a session that is over.
    pub(super) fn find_ended(&self, id: &str) -> Option<usize> {
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
}

/// Tells ids apart at once (FNV-1a): to compare a thousand that begin alike would take the time of
/// twenty packets.
fn mark(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |mark, byte| {
        (mark ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The one close packet of a session; of a long text it has the beginning.
pub(super) fn send_close(outbox: &mut Outbox, id: &str, code: u16, text: &str) {
    let code = code.to_string();
    // Names of hosts and programs stand in it, and it comes to its reader's terminal as it is.
    let text = plain(text);
    let text = cut(text.as_bytes(), limits::ERROR_ECHO_BYTES_MAX);
    let entries = [
        (spec::SESSION_ID, id.as_bytes()),
        (spec::EXIT_CODE, code.as_bytes()),
    ];
    outbox.push(Kind::ClientSessionClose, &entries, &text);
}
