//! The key check: whether the key still stands, and whether the other side is still there.
//!
//! One question serves for both while the link can carry it. After a goodbye, or behind a proxy that
//! takes one call a connection, it can't: then the link is asked for a sign of life alone, and the key
//! is checked over a second connection, made for one question and closed behind the answer. Silence of
//! the link is judged by the link, whatever becomes of the second one.

use std::time::{Duration, Instant};

use super::agent::{Action, Agent, Deadline, Phase};
use super::endpoint::Endpoint;
use super::linking::transport;
use super::trouble;
use crate::base::TimerId;
use crate::grpc::{Code, Status};
use crate::limits;
use crate::link::{Answer, Cause, Link, LinkEvent, NoAnswer};
use crate::packet::{Kind, Outbox};

/// The connection beside the link.
pub(super) enum Second {
    /// There is none.
    None,
    /// It is being dialled, until the deadline.
    Dialling(Box<Endpoint>, TimerId),
    /// It carries its one call, or is about to.
    Connected(Box<Link>, TimerId),
}

/// Credit of a connection that carries no stream of packets: the protocol's default.
const SECOND_CREDIT: u32 = 65_535;

impl Agent {
    pub(super) fn check_interval(&mut self) -> Duration {
        let third_ms =
            u64::try_from(self.settings.key_check_interval.as_millis() / 3).unwrap_or(u64::MAX);
        self.settings.key_check_interval - Duration::from_millis(self.rng.below(third_ms + 1))
    }

    /// One wake-up: the keep-alive packet, and with it the key check when that is due.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        // A gateway that does not confirm closes has had time enough for it.
        self.follow_goodbye(now);
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if !self.is_accepted {
            return;
        }
        let credit_count = link.credit_count();
        if credit_count != self.credit_seen.0 {
            self.credit_seen = (credit_count, now);
        }
        if let Some(since) = self.sessions.unconfirmed_since()
            && now >= since.max(self.credit_seen.1) + limits::GATEWAY_STUCK_MAX
        {
            return self.link_lost(now, trouble::STUCK, Cause::Passing);
        }
        let is_alive = self.check_asked.is_some_and(|asked| has_lived(link, asked));
        self.outbox.push(Kind::GatewayKeepAlive, &[], b"");
        if is_alive {
            self.forget_question();
        }
        if self.check_asked.is_none() && now + limits::KEEPALIVE_INTERVAL / 2 >= self.check_due {
            self.check_key(now, limits::LINK_SILENCE_MAX / 3);
        }
        self.timers
            .arm(now + limits::KEEPALIVE_INTERVAL, Deadline::KeepAlive);
    }

    /// Asks over the link, or, where that takes no call, over another connection. Silence is not judged
    /// before `patience` is over.
    fn check_key(&mut self, now: Instant, patience: Duration) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        let is_elsewhere = link.ask().is_err();
        if is_elsewhere {
            link.probe();
        }
        self.check_asked = Some(now);
        let silent_at = link.last_received() + limits::LINK_SILENCE_MAX;
        let timer = self
            .timers
            .arm(silent_at.max(now + patience), Deadline::Ask);
        self.check_timer = Some(timer);
        if is_elsewhere {
            if !link.goes_away() && !std::mem::replace(&mut self.is_limit_told, true) {
                log::warn!("{}", trouble::ONE_CALL);
            }
            self.check_due = now + self.check_interval();
            self.dial_second(now);
        }
    }

    /// Embedded and unused: asks whether somebody waits. Live: judges the unanswered key check.
    pub(super) fn ask(&mut self, now: Instant) {
        if self.is_accepted {
            return self.judge_silence(now);
        }
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if link.has_stream() || link.is_asking() {
            return;
        }
        match link.ask() {
            Ok(()) => {
                let timer = self
                    .timers
                    .arm(now + limits::CONNECT_TIMEOUT, Deadline::Connect);
                self.connect_timer = Some(timer);
            }
            Err(_) => self.link_lost(now, "the gateway takes no further call", Cause::Passing),
        }
    }

    fn judge_silence(&mut self, now: Instant) {
        let (Phase::Connected(link), Some(asked)) = (&mut self.phase, self.check_asked) else {
            return;
        };
        self.check_timer = None;
        if has_lived(link, asked) {
            self.check_asked = None;
            return;
        }
        let silent_at =
            link.last_received().max(asked - limits::LINK_SILENCE_MAX) + limits::LINK_SILENCE_MAX;
        if now >= silent_at {
            return self.link_lost(now, "the gateway has fallen silent", Cause::Passing);
        }
        let mut next = silent_at;
        if link.is_asking() {
            let give_up_at = asked + limits::KEY_CHECK_ANSWER_MAX;
            if now >= give_up_at {
                self.counters.check_failures += 1;
                link.stop_asking();
                // At once, since an unanswered check is also what silence is judged by.
                return self.check_key(now, Duration::ZERO);
            }
            next = next.min(give_up_at);
        }
        self.check_timer = Some(self.timers.arm(next, Deadline::Ask));
    }

    /// Nothing to judge any more: an idle agent sleeps until the next keep-alive.
    fn forget_question(&mut self) -> bool {
        if let Some(timer) = self.check_timer.take() {
            self.timers.cancel(timer);
        }
        self.check_asked.take().is_some()
    }

    /// `PreConnect` was answered: the key stands, or somebody waits, or neither.
    pub(super) fn answered(&mut self, now: Instant, answer: Result<Answer, Status>) {
        let is_check = self.forget_question();
        if !is_check {
            self.disarm_connect();
        }
        match answer {
            answer if is_check => self.judge_key(now, answer),
            Err(status) if status.code == Code::Unauthenticated => self.key_refused(now, &status),
            Err(status) => {
                self.link_lost(now, &trouble::ended("PreConnect", &status), Cause::Passing)
            }
            Ok(answer) if answer.connects() => self.open_stream(now),
            Ok(answer) => {
                self.got_through(now);
                if !answer.message.is_empty() {
                    log::info!(
                        "the gateway has no use for this agent yet: {}",
                        answer.message
                    );
                }
                self.timers
                    .arm(now + limits::PRECONNECT_INTERVAL, Deadline::Ask);
            }
        }
        self.check_due = now + self.check_interval();
    }

    /// Only the gateway's own word, a gRPC status, says that the key is no longer good.
    fn judge_key(&mut self, now: Instant, answer: Result<Answer, Status>) {
        match answer {
            Err(status) if status.code == Code::Unauthenticated => self.key_refused(now, &status),
            Err(status) => self.check_failed(&trouble::ended("the key check", &status)),
            Ok(_) => self.has_check_failed = false,
        }
    }

    /// The key could not be checked, for a reason that says nothing about it. Told when that begins.
    fn check_failed(&mut self, reason: &str) {
        self.counters.check_failures += 1;
        let level = match std::mem::replace(&mut self.has_check_failed, true) {
            false => log::Level::Warn,
            true => log::Level::Debug,
        };
        log::log!(
            level,
            "the key could not be checked, sessions go on: {reason}"
        );
    }

    fn dial_second(&mut self, now: Instant) {
        if !matches!(self.second, Second::None) {
            return;
        }
        match (self.endpoints)() {
            Ok(endpoint) => {
                self.outputs.push_back(Action::DialSecond {
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                });
                let until = now + limits::KEY_CHECK_ANSWER_MAX;
                let timer = self.timers.arm(until, Deadline::Second);
                self.second = Second::Dialling(Box::new(endpoint), timer);
            }
            Err(reason) => self.check_failed(&reason),
        }
    }

    /// The second socket is connected.
    pub fn second_connected(&mut self, now: Instant) {
        let Phase::Connected(link) = &self.phase else {
            return;
        };
        // The key of the link that is asked about, whatever its file says by now.
        let identity = link.identity();
        match std::mem::replace(&mut self.second, Second::None) {
            Second::Dialling(endpoint, timer) => match transport(endpoint.tls) {
                Ok(transport) => {
                    let link = Link::new(now, transport, identity, endpoint.tunnel, SECOND_CREDIT);
                    self.second = Second::Connected(Box::new(link), timer);
                    self.second_received(now, 0);
                }
                Err(_) => {
                    self.timers.cancel(timer);
                    self.outputs.push_back(Action::CloseSecond);
                    self.check_failed("TLS can't be begun");
                }
            },
            other => self.second = other,
        }
    }

    /// The second socket could not be connected, or broke.
    pub fn second_failed(&mut self, reason: &str) {
        if !matches!(self.second, Second::None) {
            self.close_second();
            self.check_failed(reason);
        }
    }

    pub(super) fn second_overdue(&mut self) {
        self.second_failed("no answer in time over a second connection");
    }

    /// Where to read the second socket into.
    pub fn second_read_buffer(&mut self) -> Option<&mut [u8]> {
        match &mut self.second {
            Second::Connected(link, _) => Some(link.read_buffer()),
            _ => None,
        }
    }

    /// `size` bytes were read into [`Agent::second_read_buffer`].
    pub fn second_received(&mut self, now: Instant, size: usize) {
        let Second::Connected(link, _) = &mut self.second else {
            return;
        };
        let (mut is_ready, mut answer) = (false, None);
        let result = link.received(now, size, false, &mut |event| {
            match event {
                LinkEvent::Ready => is_ready = true,
                LinkEvent::Answered(outcome) => answer = Some(outcome),
                _ => {}
            }
            false
        });
        if let Some(answer) = answer {
            self.close_second();
            return self.judge_key(now, answer.map_err(NoAnswer::into_status));
        }
        match result {
            Err(error) => self.second_failed(&error.to_string()),
            Ok(()) if is_ready && link.ask().is_err() => {
                self.second_failed("a second connection takes no call either");
            }
            Ok(()) => {}
        }
    }

    /// Bytes for the second socket.
    pub fn second_encrypt(&mut self, now: Instant) -> &[u8] {
        match &mut self.second {
            Second::Connected(link, _) => match link.transmit(now, &mut Outbox::new()) {
                Ok(()) => link.pending(),
                Err(_) => &[],
            },
            _ => &[],
        }
    }

    /// The second socket took `size` of them.
    pub fn second_sent(&mut self, now: Instant, size: usize) {
        if let Second::Connected(link, _) = &mut self.second {
            link.sent(now, size, &Outbox::new());
        }
    }

    pub(super) fn close_second(&mut self) {
        match std::mem::replace(&mut self.second, Second::None) {
            Second::None => {}
            Second::Dialling(_, timer) | Second::Connected(_, timer) => {
                self.timers.cancel(timer);
                self.outputs.push_back(Action::CloseSecond);
            }
        }
    }
}

/// The sign of life that was asked for has come; the key is checked elsewhere.
fn has_lived(link: &Link, asked: Instant) -> bool {
    !link.is_asking() && (!link.is_probed() || link.last_received() > asked)
}
