//! The life of the link, seen from the agent: dial, accept, check, lose.

use std::time::{Duration, Instant};

use super::agenda::{Action, Deadline, Outcome};
use super::agent::Agent;
use super::endpoint::{Endpoint, transport};
use super::history::Loss;
use super::key_check::{KeyCheck, Verdict};
use super::leaving::Leaving;
use super::news::{News, takes_packets};
use super::phase::{Connecting, Phase, arm_connect};
use super::second::SecondNews;
use super::trouble;
use crate::base::Rng;
use crate::grpc::{Code, Status};
use crate::limits;
use crate::link::{Answer, Link, LinkError, LossCause, Wait};
use crate::packet::Kind;
use crate::session::Said;
use crate::wire::der;

impl Agent {
    pub(super) fn dial(&mut self, now: Instant) {
        // Should the last link's socket not be closed yet, it has had its time.
        self.phase = Phase::Waiting;
        match (self.endpoints)() {
            Ok(endpoint) => {
                self.history.dialling(&endpoint.place);
                self.agenda.push(Action::DialLink {
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                    is_afresh: self.history.was_known(),
                });
                let timer = arm_connect(now, &mut self.agenda);
                self.phase = Phase::Dialling(Box::new(endpoint), timer);
            }
            Err(reason) => {
                self.history.lost_the_way();
                self.link_lost(now, &reason, LossCause::Passing);
            }
        }
    }

    pub(super) fn not_connected_in_time(&mut self, now: Instant) {
        let reason = trouble::silent(self.phase.link(), &self.history.tried);
        self.link_lost(now, &reason, LossCause::Passing);
    }

    /// The socket is connected.
    pub fn link_connected(&mut self, now: Instant) {
        let (endpoint, timer) = match self.phase.take() {
            Phase::Dialling(endpoint, timer) => (*endpoint, timer),
            phase => {
                self.phase = phase;
                return;
            }
        };
        let Endpoint {
            tunnel,
            tls,
            identity,
            ..
        } = endpoint;
        match transport(tls) {
            Ok(transport) => {
                let credit = self.sessions.credit_wanted();
                let link = Link::new(now, transport, identity.into(), tunnel, credit);
                self.phase = Phase::Connecting(Connecting::new(link, timer));
                self.link_received(now, 0);
            }
            Err(error) => {
                self.agenda.push(Action::CloseLink);
                let reason = LinkError::Transport(error).to_string();
                self.link_lost(now, &reason, LossCause::Passing);
            }
        }
    }

    /// What has become of its addresses so far; told if time runs out.
    pub fn link_tried(&mut self, news: String) {
        if let Phase::Dialling(..) = self.phase {
            self.history.tried = news;
        }
    }

    /// No address of the gateway took the connection.
    pub fn link_unreachable(&mut self, now: Instant, reason: &str, advice: &str) {
        if let Phase::Dialling(endpoint, _) = &self.phase {
            let reason = trouble::unreachable(reason, advice, endpoint.tunnel.is_some());
            self.link_lost(now, &reason, LossCause::Passing);
        }
    }

    /// The socket ended or broke.
    pub fn link_broke(&mut self, now: Instant, reason: &str) {
        if let Some(link) = self.phase.link() {
            let reason = trouble::broken(reason, link);
            self.link_lost(now, &reason, LossCause::Passing);
        } else if let Phase::Closing(_) = &self.phase {
            self.agenda.push(Action::CloseLink);
        }
    }

    /// Where to read the socket into; `None` without a connection.
    pub fn link_read_buffer(&mut self) -> Option<&mut [u8]> {
        self.phase.last_link().map(Link::read_buffer)
    }

    /// How the link's socket is to be waited for; asked when a turn is over.
    pub fn link_wait(&mut self, now: Instant) -> Wait {
        let said = self.sessions.take_said();
        let Some(link) = self.phase.link_mut() else {
            return Wait::AT_ONCE;
        };
        match said {
            Said::Nothing => {}
            Said::Answer => link.answered(now),
            Said::Word => link.interrupt(now),
        }
        link.wait(now, self.sessions.credit_wanted())
    }

    /// The deadline of [`Agent::link_wait`] is over; nothing has come for the last `silence` of it.
    pub fn link_waited(&mut self, silence: Duration) {
        if let Some(link) = self.phase.link_mut() {
            link.waited(silence);
        }
    }

    /// `size` bytes were read into [`Agent::link_read_buffer`]. Frames are always handled, or the
    /// credit that empties the outbox would not be seen; packets wait while it is full. A link that is
    /// given up is not heard any more.
    pub fn link_received(&mut self, now: Instant, size: usize) {
        let Self {
            phase,
            sessions,
            outbox,
            ..
        } = self;
        let Some(link) = phase.link_mut() else {
            return;
        };
        let (news, result) = News::read(now, size, link, sessions, outbox);
        self.act_on(now, news);
        match result {
            Err(error) => self.link_failed(now, &error),
            Ok(()) => self.leave_when_drained(now),
        }
    }

    /// Carries out what a read brought, in the order of consequence.
    fn act_on(&mut self, now: Instant, news: News) {
        if news.is_ready {
            self.link_ready(now);
        }
        if news.packet_seen {
            self.accept(now);
        }
        self.has_log_view |= news.flags_seen;
        if self.leaving == Leaving::Confirming && !self.sessions.awaits_confirmation() {
            self.say_farewell(now);
        }
        if let Some(answer) = news.answer {
            self.answered(now, answer);
        }
        if let Some(status) = news.ended {
            self.stream_ended(now, &status);
        } else if !news.is_broken && self.is_to_be_left() && !self.sessions.awaits_confirmation() {
            self.follow_goodbye(now);
        }
    }

    /// The gateway has said goodbye.
    fn is_to_be_left(&self) -> bool {
        self.phase.link().is_some_and(Link::goes_away)
    }

    /// A gateway that said goodbye is left when nobody needs this link any more: no session, no target
    /// that is still given its rest, no word of ours on its way.
    fn follow_goodbye(&mut self, now: Instant) {
        if let Some(link) = self.phase.link()
            && self.is_to_be_left()
            && self.leaving == Leaving::NotYet
            && self.sessions.is_empty()
            && self.sessions.target_count() == 0
            && self.outbox.is_empty()
            && link.pending().is_empty()
        {
            self.link_lost(now, "the gateway asked us to reconnect", LossCause::Passing);
        }
    }

    fn link_ready(&mut self, now: Instant) {
        let Phase::Connecting(connecting) = &mut self.phase else {
            return;
        };
        if let Some((version, suite)) = connecting.link.describe() {
            log::debug!("TLS established, {version} {suite}");
        }
        self.history.certificate_end = connecting.link.certificate().and_then(der::end_of);
        if self.settings.is_embedded {
            connecting.disarm(&mut self.agenda);
            self.ask_for_users(now);
        } else {
            self.open_stream(now);
        }
    }

    /// Embedded and unused: asks whether somebody waits.
    pub(super) fn ask_for_users(&mut self, now: Instant) {
        let Phase::Connecting(connecting) = &mut self.phase else {
            return;
        };
        let link = &mut connecting.link;
        if link.has_stream() || link.is_asking() {
            return;
        }
        if link.ask().is_err() {
            return self.link_lost(now, "the gateway takes no further call", LossCause::Passing);
        }
        connecting.arm(now, &mut self.agenda);
    }

    fn open_stream(&mut self, now: Instant) {
        let Phase::Connecting(connecting) = &mut self.phase else {
            return;
        };
        if connecting.link.open_stream().is_err() {
            return self.link_lost(
                now,
                "the gateway takes no further stream",
                LossCause::Passing,
            );
        }
        connecting.arm(now, &mut self.agenda);
        self.outbox.clear();
        self.outbox.push(Kind::GatewayKeepAlive, &[], b"");
    }

    /// The first packet shows that the gateway knows us.
    fn accept(&mut self, now: Instant) {
        let mut connecting = match self.phase.take() {
            Phase::Connecting(connecting) => connecting,
            phase => {
                self.phase = phase;
                return;
            }
        };
        connecting.disarm(&mut self.agenda);
        self.history.accepted(now);
        self.agenda
            .arm(now + limits::KEEPALIVE_INTERVAL, Deadline::KeepAlive);
        let rng = Rng::new(self.rng.next_u64());
        let check = KeyCheck::new(now, self.settings.key_check_interval, rng);
        self.phase = Phase::Live(connecting.link, Box::new(check));
    }

    /// One wake-up: the keep-alive packet, and with it the key check when that is due.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        // A gateway that does not confirm closes has had time enough for it.
        self.follow_goodbye(now);
        let Phase::Live(link, check) = &mut self.phase else {
            return;
        };
        self.outbox.push(Kind::GatewayKeepAlive, &[], b"");
        self.agenda
            .arm(now + limits::KEEPALIVE_INTERVAL, Deadline::KeepAlive);
        let unconfirmed_since = self.sessions.unconfirmed_since();
        let verdict = check.keep_alive(now, link, unconfirmed_since, &mut self.agenda);
        self.follow(now, verdict);
    }

    pub(super) fn judge_silence(&mut self, now: Instant) {
        if let Phase::Live(link, check) = &mut self.phase {
            let verdict = check.judge(now, link, &mut self.history, &mut self.agenda);
            self.follow(now, verdict);
        }
    }

    fn follow(&mut self, now: Instant, verdict: Verdict) {
        match verdict {
            Verdict::Fine => {}
            Verdict::AskElsewhere => self.dial_second(now),
            Verdict::Dead(reason) => self.link_lost(now, reason, LossCause::Passing),
        }
    }

    /// `PreConnect` was answered: the key stands, or somebody waits, or neither.
    fn answered(&mut self, now: Instant, answer: Result<Answer, Status>) {
        match &mut self.phase {
            Phase::Live(_, check) => {
                check.answered(now, &mut self.agenda);
                self.judge_key(now, answer);
            }
            Phase::Connecting(connecting) => {
                connecting.disarm(&mut self.agenda);
                self.told_of_users(now, answer);
            }
            Phase::Waiting | Phase::Dialling(..) | Phase::Closing(_) => {}
        }
    }

    /// Whether somebody waits for an embedded agent.
    fn told_of_users(&mut self, now: Instant, answer: Result<Answer, Status>) {
        match answer {
            Err(status) if status.code == Code::Unauthenticated => self.key_refused(now, &status),
            Err(status) => self.link_lost(
                now,
                &trouble::ended("PreConnect", &status),
                LossCause::Passing,
            ),
            Ok(answer) if answer.connects() => self.open_stream(now),
            Ok(answer) => {
                if let Phase::Connecting(connecting) = &mut self.phase
                    && !std::mem::replace(&mut connecting.is_known, true)
                {
                    log::info!("the gateway accepts the key, waiting for a session");
                }
                self.history.got_through(now);
                if !answer.message.is_empty() {
                    log::info!(
                        "the gateway has no use for this agent yet: {}",
                        answer.message
                    );
                }
                self.agenda
                    .arm(now + limits::PRECONNECT_INTERVAL, Deadline::Ask);
            }
        }
    }

    /// Only the gateway's own word, a gRPC status, says that the key is no longer good.
    fn judge_key(&mut self, now: Instant, answer: Result<Answer, Status>) {
        match answer {
            Err(status) if status.code == Code::Unauthenticated => self.key_refused(now, &status),
            Err(status) => {
                let reason = trouble::ended("the key check", &status);
                self.history.check_failed(&reason);
            }
            Ok(_) => self.history.check_passed(),
        }
    }

    fn dial_second(&mut self, now: Instant) {
        let Phase::Live(_, check) = &mut self.phase else {
            return;
        };
        if !check.second().is_none() {
            return;
        }
        match (self.endpoints)() {
            Ok(endpoint) => check.second().dial(now, endpoint, &mut self.agenda),
            Err(reason) => self.history.check_failed(&reason),
        }
    }

    pub(super) fn hear_second(&mut self, now: Instant, news: SecondNews) {
        if let SecondNews::None = news {
            return;
        }
        if let Phase::Live(_, check) = &mut self.phase {
            check.second().close(&mut self.agenda);
        }
        match news {
            SecondNews::None => {}
            SecondNews::Failed(reason) => self.history.check_failed(&reason),
            SecondNews::Answered(answer) => self.judge_key(now, answer),
        }
    }

    fn stream_ended(&mut self, now: Instant, status: &Status) {
        if status.code == Code::Unauthenticated {
            return self.key_refused(now, status);
        }
        self.link_lost(
            now,
            &trouble::ended("the stream", status),
            LossCause::Passing,
        );
    }

    fn key_refused(&mut self, now: Instant, status: &Status) {
        self.link_lost(now, &trouble::refused(status), LossCause::Refused);
    }

    /// The link says that it can't go on; nothing, if it was given up already.
    fn link_failed(&mut self, now: Instant, error: &LinkError) {
        if let Some(link) = self.phase.link_mut() {
            link.abort(now);
            let reason = trouble::misunderstood(error, link);
            self.link_lost(now, &reason, LossCause::Passing);
        }
    }

    /// The link, or an attempt at one, is over: so is every session behind it. Dialled anew after a while.
    pub(super) fn link_lost(&mut self, now: Instant, reason: &str, cause: LossCause) {
        let (has_socket, was_known, mut loss) = match &self.phase {
            Phase::Waiting => (false, false, Loss::Unreachable),
            Phase::Dialling(..) => (true, false, Loss::Unreachable),
            Phase::Connecting(connecting) if connecting.is_known => (true, true, Loss::Lost),
            Phase::Connecting(_) => (true, false, Loss::Handshake),
            Phase::Live(..) => (true, true, Loss::Lost),
            Phase::Closing(_) => return,
        };
        match cause {
            LossCause::Passing => self.sessions.end_all(now, reason),
            LossCause::Refused => {
                loss = Loss::KeyRefused;
                self.sessions.revoke_all(now, reason);
            }
        }
        if has_socket {
            self.agenda.push(Action::CloseLink);
        }
        if let Some(link) = self.phase.give_link_up(&mut self.agenda) {
            self.phase = Phase::Closing(link);
        }
        self.agenda.clear_deadlines();
        self.history.lost(was_known, loss);
        if self.leaving.is_asked() {
            return self.exit(Outcome::Stopped);
        }
        if cause == LossCause::Refused && self.settings.exit_on_revoked {
            self.history
                .tell_loss(reason, "ending, as --exit-on-revoked asks");
            return self.exit(Outcome::KeyRefused);
        }
        let wait = self.history.next_wait(now, cause, &mut self.rng);
        let next = format!("next attempt in {:.1} s", wait.as_secs_f32());
        self.history.tell_loss(reason, &next);
        self.agenda.arm(now + wait, Deadline::Retry);
    }

    /// Forgets the link after the reactor carried out [`Action::CloseLink`].
    pub fn link_closed(&mut self) {
        if let Phase::Closing(_) = self.phase {
            self.phase = Phase::Waiting;
        }
        self.outbox.clear();
    }

    /// Gives the gateway the credit that it lacks, encrypts what may leave, and lends the bytes for the
    /// link's socket.
    pub fn grant_and_encrypt(&mut self, now: Instant) -> &[u8] {
        if let Some(link) = self.phase.link_mut() {
            self.sessions.pass_over(link.take_passed_over());
            let missing = link.missing_credit(self.sessions.credit_wanted());
            if missing > 0 && takes_packets(link, &self.outbox) {
                link.grant(self.sessions.take_credit(now, missing));
            }
            if let Err(error) = link.transmit(now, &mut self.outbox) {
                self.link_failed(now, &error);
            }
        } else if let Phase::Closing(link) = &mut self.phase {
            // What can't be encrypted any more would not have been heard either.
            let _ = link.transmit(now, &mut self.outbox);
        }
        self.sessions.note_room(now, self.has_room());
        self.phase.last_link().map_or(&[], |link| link.pending())
    }

    /// The socket took `size` of them. That may make room for packets that are held.
    pub fn link_sent(&mut self, now: Instant, size: usize) {
        if let Some(link) = self.phase.last_link() {
            link.sent(now, size, &self.outbox);
            if link.holds_packets() && takes_packets(link, &self.outbox) {
                self.link_received(now, 0);
            }
        }
        self.sessions.note_room(now, self.has_room());
    }
}
