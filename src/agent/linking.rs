//! The life of the link, seen from the agent: dial, accept, check, lose.

use std::time::Instant;

use super::agent::{Action, Agent, Deadline, Outcome, Phase};
use super::endpoint::Endpoint;
use super::trouble;
use crate::grpc::{Code, Status};
use crate::limits;
use crate::link::{
    Answer, Cause, Link, LinkError, LinkEvent, NoAnswer, Transport, TransportError, Wait,
};
use crate::packet::{Kind, Outbox};
use crate::tls::Client;

impl Agent {
    pub(super) fn dial(&mut self, now: Instant) {
        match (self.endpoints)() {
            Ok(endpoint) => {
                self.place.clone_from(&endpoint.place);
                // An attempt after a failure was announced with it.
                let level = match self.counters.failures {
                    0 => log::Level::Info,
                    _ => log::Level::Debug,
                };
                log::log!(level, "connecting to {}", self.place);
                self.outputs.push_back(Action::DialLink {
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                    is_afresh: self.was_known,
                });
                self.phase = Phase::Dialling(Box::new(endpoint));
                self.connect_timer = Some(
                    self.timers
                        .arm(now + limits::CONNECT_TIMEOUT, Deadline::Connect),
                );
            }
            Err(reason) => {
                self.place.clear();
                self.link_lost(now, &reason, Cause::Passing);
            }
        }
    }

    /// The socket is connected.
    pub fn link_connected(&mut self, now: Instant) {
        let phase = std::mem::replace(&mut self.phase, Phase::Waiting);
        let Phase::Dialling(endpoint) = phase else {
            self.phase = phase;
            return;
        };
        let Endpoint {
            tunnel,
            tls,
            identity,
            ..
        } = *endpoint;
        match transport(tls) {
            Ok(transport) => {
                let credit = self.sessions.credit_wanted();
                let link = Link::new(now, transport, identity.into(), tunnel, credit);
                self.phase = Phase::Connected(Box::new(link));
                self.link_received(now, 0);
            }
            Err(error) => self.link_failed(now, &LinkError::Transport(error)),
        }
    }

    /// No address of the gateway took the connection.
    pub fn link_unreachable(&mut self, now: Instant, reason: &str, advice: &str) {
        if let Phase::Dialling(endpoint) = &self.phase {
            let reason = trouble::unreachable(reason, advice, endpoint.tunnel.is_some());
            self.link_lost(now, &reason, Cause::Passing);
        }
    }

    /// The socket ended or broke.
    pub fn link_broke(&mut self, now: Instant, reason: &str) {
        if let Phase::Connected(link) = &self.phase {
            let reason = trouble::broken(reason, link);
            self.link_lost(now, &reason, Cause::Passing);
        }
    }

    /// Where to read the socket into; `None` without a connection.
    pub fn link_read_buffer(&mut self) -> Option<&mut [u8]> {
        match &mut self.phase {
            Phase::Connected(link) => Some(link.read_buffer()),
            _ => None,
        }
    }

    /// How the link's socket is to be waited for; asked when a turn is over.
    pub fn link_wait(&mut self, now: Instant) -> Wait {
        let is_at_work = self.sessions.take_is_at_work();
        match &mut self.phase {
            Phase::Connected(link) => link.wait(now, self.sessions.credit_wanted(), is_at_work),
            _ => Wait::AT_ONCE,
        }
    }

    /// `size` bytes were read into [`Agent::link_read_buffer`]. Frames are always handled, or the
    /// credit that empties the outbox would not be seen; packets wait while it is full.
    pub fn link_received(&mut self, now: Instant, size: usize) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        let Self {
            sessions, outbox, ..
        } = self;
        let mut news = News::default();
        let takes_packets = takes_packets(link, outbox);
        let result = link.received(now, size, takes_packets, &mut |event| {
            match event {
                LinkEvent::Packet(packet) => {
                    news.packet_seen = true;
                    match packet.kind {
                        Some(Kind::AgentGatewayConnectOK) => {}
                        Some(Kind::GatewayFeatureFlagUpdate) => news.flags_seen = true,
                        _ => sessions.handle_packet(now, &packet, outbox),
                    }
                }
                LinkEvent::Buffer(buffer, payload) => {
                    sessions.keep_payload(now, buffer, payload, outbox);
                }
                LinkEvent::Oversized(packet, len) => {
                    sessions.handle_oversized(now, &packet, len, outbox)
                }
                LinkEvent::Ready => news.is_ready = true,
                LinkEvent::StreamEnded(status) => news.ended = Some(status),
                LinkEvent::Answered(answer) => {
                    news.answer = Some(answer.map_err(NoAnswer::into_status));
                }
                LinkEvent::GoAway(code, debug) => {
                    log::info!(
                        "the gateway, or a proxy in front of it, says goodbye ({code}, {}): sessions go on, and \
                         without any the link is made anew; the key is checked over a second connection",
                        debug.escape_ascii()
                    );
                }
            }
            outbox.len() < limits::OUTBOX_BYTES_MAX
        });
        news.is_broken = result.is_err();
        self.act_on(now, news);
        match (result, &self.phase) {
            (Err(error), Phase::Connected(_)) => self.link_failed(now, &error),
            _ => self.leave_when_drained(now),
        }
    }

    /// Carries out what a read brought, in the order of consequence.
    fn act_on(&mut self, now: Instant, news: News) {
        if news.is_ready {
            self.link_ready(now);
        }
        if news.packet_seen && !self.is_accepted {
            self.accepted(now);
        }
        self.has_log_view |= news.flags_seen;
        if self.is_leaving && !self.sessions.awaits_confirmation() {
            self.farewell(now);
        }
        if let Some(answer) = news.answer {
            self.answered(now, answer);
        }
        if let Some(status) = news.ended {
            self.stream_ended(now, &status);
        } else if !news.is_broken && !self.sessions.awaits_confirmation() {
            self.follow_goodbye(now);
        }
    }

    /// A gateway that said goodbye is left when nobody needs this link any more: no session, no target
    /// that is still given its rest, no word of ours on its way.
    pub(super) fn follow_goodbye(&mut self, now: Instant) {
        if let Phase::Connected(link) = &self.phase
            && link.goes_away()
            && !self.stopping
            && self.sessions.is_empty()
            && self.sessions.target_count() == 0
            && self.outbox.is_empty()
            && link.pending().is_empty()
        {
            self.link_lost(now, "the gateway asked us to reconnect", Cause::Passing);
        }
    }

    fn link_ready(&mut self, now: Instant) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if let Some((version, suite)) = link.describe() {
            log::debug!("TLS established, {version} {suite}");
        }
        if self.settings.is_embedded {
            self.disarm_connect();
            self.ask(now);
        } else {
            self.open_stream(now);
        }
    }

    pub(super) fn open_stream(&mut self, now: Instant) {
        let Phase::Connected(link) = &mut self.phase else {
            return;
        };
        if link.open_stream().is_err() {
            return self.link_lost(now, "the gateway takes no further stream", Cause::Passing);
        }
        if self.connect_timer.is_none() {
            self.connect_timer = Some(
                self.timers
                    .arm(now + limits::CONNECT_TIMEOUT, Deadline::Connect),
            );
        }
        self.outbox.clear();
        self.outbox.push(Kind::GatewayKeepAlive, &[], b"");
    }

    /// The first packet shows that the gateway knows us.
    fn accepted(&mut self, now: Instant) {
        self.disarm_connect();
        self.is_accepted = true;
        self.is_limit_told = false;
        self.got_through(now);
        self.counters.connects += 1;
        log::info!("connected with success to {}", self.place);
        self.timers
            .arm(now + limits::KEEPALIVE_INTERVAL, Deadline::KeepAlive);
        self.check_due = now + self.check_interval();
        self.check_asked = None;
    }

    /// The gateway knows this agent.
    pub(super) fn got_through(&mut self, now: Instant) {
        self.is_known = true;
        self.has_worked = true;
        self.backoff.connected(now);
    }

    pub(super) fn disarm_connect(&mut self) {
        if let Some(timer) = self.connect_timer.take() {
            self.timers.cancel(timer);
        }
    }

    fn stream_ended(&mut self, now: Instant, status: &Status) {
        if status.code == Code::Unauthenticated {
            return self.key_refused(now, status);
        }
        self.link_lost(now, &trouble::ended("the stream", status), Cause::Passing);
    }

    pub(super) fn key_refused(&mut self, now: Instant, status: &Status) {
        self.link_lost(now, &trouble::refused(status), Cause::Refused);
    }

    fn link_failed(&mut self, now: Instant, error: &LinkError) {
        let reason = match &mut self.phase {
            Phase::Connected(link) => {
                link.abort(now);
                trouble::misunderstood(error, link)
            }
            _ => error.to_string(),
        };
        self.link_lost(now, &reason, Cause::Passing);
    }

    /// The link is over: so is every session behind it. Dialled anew after a while.
    pub(super) fn link_lost(&mut self, now: Instant, reason: &str, cause: Cause) {
        match cause {
            Cause::Passing => self.sessions.end_all(),
            Cause::Refused => self.sessions.revoke_all(),
        }
        if !matches!(self.phase, Phase::Waiting) {
            self.outputs.push_back(Action::CloseLink);
        }
        self.close_second();
        self.counters.failures += 1;
        self.is_accepted = false;
        let was_known = std::mem::take(&mut self.is_known);
        self.was_known = was_known;
        self.check_asked = None;
        self.timers.clear();
        self.check_timer = None;
        self.connect_timer = None;
        if self.stopping {
            return self.exit(Outcome::Stopped);
        }
        if cause == Cause::Refused && self.settings.exit_on_revoked {
            self.tell_loss(was_known, reason, "ending, as --exit-on-revoked asks");
            return self.exit(Outcome::KeyRefused);
        }
        let wait = self.backoff.next_wait(now, cause, &mut self.rng);
        let next = format!("next attempt in {:.1} s", wait.as_secs_f32());
        self.tell_loss(was_known, reason, &next);
        self.timers.arm(now + wait, Deadline::Retry);
        // The old link must still be able to send what it has to say: see `grant_and_encrypt`.
        if let Phase::Dialling(_) = self.phase {
            self.phase = Phase::Waiting;
        }
    }

    fn tell_loss(&self, was_known: bool, reason: &str, next: &str) {
        let what = match was_known {
            true => "disconnected from",
            false => "no connection to",
        };
        let place = if self.place.is_empty() {
            "the gateway"
        } else {
            &self.place
        };
        log::warn!("{what} {place}: {reason}; {next}");
        if !self.has_worked && self.counters.failures == FAILURES_BEFORE_ADVICE {
            log::info!(
                "no attempt has worked yet: 'hoop-lite doctor', with the same variables, looks at \
                 every step of the way"
            );
        }
    }

    /// Forgets the link after the reactor carried out [`Action::CloseLink`].
    pub fn link_closed(&mut self) {
        self.phase = Phase::Waiting;
        self.outbox.clear();
    }

    /// Bytes for the link's socket.
    pub fn grant_and_encrypt(&mut self, now: Instant) -> &[u8] {
        let Phase::Connected(link) = &mut self.phase else {
            return &[];
        };
        self.sessions.forgot(link.take_passed_over());
        let missing = link.missing_credit(self.sessions.credit_wanted());
        if missing > 0 && takes_packets(link, &self.outbox) {
            link.grant(self.sessions.take_credit(now, missing));
        }
        if let Err(error) = link.transmit(now, &mut self.outbox) {
            self.link_failed(now, &error);
        }
        self.sessions.note_room(now, self.has_room());
        match &self.phase {
            Phase::Connected(link) => link.pending(),
            _ => &[],
        }
    }

    /// The socket took `size` of them. That may make room for packets that are held.
    pub fn link_sent(&mut self, now: Instant, size: usize) {
        if let Phase::Connected(link) = &mut self.phase {
            link.sent(now, size, &self.outbox);
            if link.holds_packets() && takes_packets(link, &self.outbox) {
                self.link_received(now, 0);
            }
        }
        self.sessions.note_room(now, self.has_room());
    }

    /// Targets may be read: the link takes more.
    pub fn has_room(&self) -> bool {
        match &self.phase {
            Phase::Connected(link) => link.has_room(&self.outbox),
            _ => false,
        }
    }

    /// The largest payload worth reading now.
    pub fn payload_max(&self) -> usize {
        match &self.phase {
            Phase::Connected(link) => link.payload_max(),
            _ => limits::PAYLOAD_BYTES_MIN,
        }
    }

    /// A burst has left memory behind that is worth a wake-up to give back.
    pub fn holds_burst_memory(&mut self) -> bool {
        let is_held = match &mut self.phase {
            Phase::Connected(link) => link.holds_burst_memory(),
            _ => false,
        };
        is_held || self.outbox.capacity() > limits::LINK_BUFFER_BYTES_IDLE
    }

    /// Nothing has moved for a while: gives memory back.
    pub fn release_idle(&mut self) {
        self.outbox.release_idle();
        if let Phase::Connected(link) = &mut self.phase {
            link.release_idle();
        }
    }
}

/// What carries a connection to an endpoint.
pub(super) fn transport(tls: Option<Client>) -> Result<Transport, TransportError> {
    match tls {
        None => Ok(Transport::plaintext()),
        Some(client) => Transport::tls(client),
    }
}

/// There is room for what packets make us say. Once some had to wait, there has to be plenty.
fn takes_packets(link: &Link, outbox: &Outbox) -> bool {
    let most = match link.holds_packets() {
        true => limits::OUTBOX_BYTES_MAX / 2,
        false => limits::OUTBOX_BYTES_MAX,
    };
    outbox.len() < most
}

/// Who never got through is told of `doctor` after this many attempts: one may be bad luck.
const FAILURES_BEFORE_ADVICE: u64 = 3;

/// What one read of the link's socket brought, gathered while the link is borrowed.
#[derive(Default)]
struct News {
    is_ready: bool,
    packet_seen: bool,
    flags_seen: bool,
    answer: Option<Result<Answer, Status>>,
    ended: Option<Status>,
    /// The link broke, which has a reason of its own.
    is_broken: bool,
}
