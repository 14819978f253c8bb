//! The key check of a live link: whether the key still stands, and whether the other side is still
//! there.
//!
//! One question serves for both while the link can carry it. After a goodbye, or behind a proxy that
//! takes one call a connection, it can't: then the link is asked for a sign of life alone, and the key
//! is checked over a second connection, made for one question and closed behind the answer. Silence of
//! the link is judged by the link, whatever becomes of the second one.

use std::time::{Duration, Instant};

use super::agenda::{Agenda, Deadline};
use super::history::History;
use super::second::Second;
use super::trouble;
use crate::base::{Rng, TimerId};
use crate::limits;
use crate::link::Link;

/// What has been asked, and when its answer is judged.
struct Question {
    asked: Instant,
    timer: TimerId,
}

/// What the agent is to do about it.
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// To ask over another connection.
    AskElsewhere,
    /// To give the link up, and why.
    Dead(&'static str),
}

/// See the module.
pub(super) struct KeyCheck {
    /// The longest time between two questions.
    interval_max: Duration,
    rng: Rng,
    due: Instant,
    question: Option<Question>,
    /// The connection beside the link, for a question that the link can't carry.
    second: Second,
    /// It was told that this link carries one call at a time.
    is_limit_told: bool,
    /// How often, and when last, the gateway was seen to give credit on the stream.
    credit_seen: (u32, Instant),
}

impl KeyCheck {
    /// Of a link that is live since `now`; `rng` spreads its questions.
    pub(super) fn new(now: Instant, interval_max: Duration, rng: Rng) -> Self {
        let mut check = Self {
            interval_max,
            rng,
            due: now,
            question: None,
            second: Second::None,
            is_limit_told: false,
            credit_seen: (0, now),
        };
        check.put_off(now);
        check
    }

    /// The connection beside the link.
    pub(super) fn second(&mut self) -> &mut Second {
        &mut self.second
    }

    /// The next question is due an interval from `now`, jittered by a third.
    fn put_off(&mut self, now: Instant) {
        let third_ms = u64::try_from(self.interval_max.as_millis() / 3).unwrap_or(u64::MAX);
        let jitter = Duration::from_millis(self.rng.below(third_ms + 1));
        self.due = now + self.interval_max - jitter;
    }

    /// One wake-up: asks when that is due. `unconfirmed_since`: the gateway owes the end of a session.
    pub(super) fn keep_alive(
        &mut self,
        now: Instant,
        link: &mut Link,
        unconfirmed_since: Option<Instant>,
        agenda: &mut Agenda,
    ) -> Verdict {
        let credit_count = link.credit_count();
        if credit_count != self.credit_seen.0 {
            self.credit_seen = (credit_count, now);
        }
        if let Some(since) = unconfirmed_since
            && now >= since.max(self.credit_seen.1) + limits::GATEWAY_STUCK_MAX
        {
            return Verdict::Dead(trouble::STUCK);
        }
        if let Some(question) = &self.question
            && has_lived(link, question.asked)
        {
            self.forget_question(agenda);
        }
        if self.question.is_none() && now + limits::KEEPALIVE_INTERVAL / 2 >= self.due {
            return self.ask(now, link, limits::LINK_SILENCE_MAX / 3, agenda);
        }
        Verdict::Fine
    }

    /// Asks over the link, or, where that takes no call, over another connection. Silence is not judged
    /// before `patience` is over.
    fn ask(
        &mut self,
        now: Instant,
        link: &mut Link,
        patience: Duration,
        agenda: &mut Agenda,
    ) -> Verdict {
        let is_elsewhere = link.ask().is_err();
        if is_elsewhere {
            link.probe();
        }
        let silent_at = link.last_received() + limits::LINK_SILENCE_MAX;
        let timer = agenda.arm(silent_at.max(now + patience), Deadline::Judge);
        self.question = Some(Question { asked: now, timer });
        if !is_elsewhere {
            return Verdict::Fine;
        }
        if !link.goes_away() && !std::mem::replace(&mut self.is_limit_told, true) {
            log::warn!("{}", trouble::ONE_CALL);
        }
        self.put_off(now);
        Verdict::AskElsewhere
    }

    /// The question was not answered in time: is anybody there?
    pub(super) fn judge(
        &mut self,
        now: Instant,
        link: &mut Link,
        history: &mut History,
        agenda: &mut Agenda,
    ) -> Verdict {
        let Some(Question { asked, .. }) = self.question.take() else {
            return Verdict::Fine;
        };
        if has_lived(link, asked) {
            return Verdict::Fine;
        }
        let silent_at =
            link.last_received().max(asked - limits::LINK_SILENCE_MAX) + limits::LINK_SILENCE_MAX;
        if now >= silent_at {
            return Verdict::Dead("the gateway has fallen silent");
        }
        let mut next = silent_at;
        if link.is_asking() {
            let give_up_at = asked + limits::KEY_CHECK_ANSWER_MAX;
            if now >= give_up_at {
                history.check_unanswered();
                link.stop_asking();
                // At once, since an unanswered check is also what silence is judged by.
                return self.ask(now, link, Duration::ZERO, agenda);
            }
            next = next.min(give_up_at);
        }
        let timer = agenda.arm(next, Deadline::Judge);
        self.question = Some(Question { asked, timer });
        Verdict::Fine
    }

    /// The link's question was answered.
    pub(super) fn answered(&mut self, now: Instant, agenda: &mut Agenda) {
        self.forget_question(agenda);
        self.put_off(now);
    }

    /// Nothing to judge any more: an idle agent sleeps until the next keep-alive.
    fn forget_question(&mut self, agenda: &mut Agenda) {
        if let Some(question) = self.question.take() {
            agenda.cancel(question.timer);
        }
    }
}

/// The sign of life that was asked for has come; the key is checked elsewhere.
fn has_lived(link: &Link, asked: Instant) -> bool {
    !link.is_asking() && (!link.is_probed() || link.last_received() > asked)
}
