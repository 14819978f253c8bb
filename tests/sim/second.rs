//! The connection beside the link, over which the agent asks for its key when the link takes no call.
//! It is served in turns: what the agent has to say, the gateway's answer, any part of either.

use crate::gateway::{Habits, News, Peer};
use crate::sent::Sent;
use crate::world::{Event, World};

impl World {
    pub fn dial_second(&mut self) {
        self.second_attempt += 1;
        if !self.users.gateway_hangs {
            self.second_goes_on();
        }
    }

    pub fn close_second(&mut self) {
        self.second_attempt += 1;
        self.second = None;
    }

    fn second_goes_on(&mut self) {
        let delay = self.delay();
        self.after(delay, Event::SecondTurn(self.second_attempt));
    }

    pub fn second_turn(&mut self, attempt: u32) {
        if attempt != self.second_attempt {
            return;
        }
        if self.second.is_none() {
            if self.users.gateway_is_down {
                return self.agent.second_failed("connection refused");
            }
            let server = self.tls.as_ref().map(|tls| tls.server.clone());
            self.second = Some((Peer::new(Habits::plain(), server), 0));
            self.agent.second_connected(self.now);
        }
        let pending = self.agent.second_encrypt(self.now).to_vec();
        let size = self
            .weather
            .cut(&mut self.dice, self.weather.short_writes, pending.len());
        self.agent.second_sent(self.now, size);
        let is_odd = self.users.is_random && !self.is_hurried && self.dice.chance(50);
        let Some((peer, delivered)) = &mut self.second else {
            return;
        };
        for news in peer.receive(&pending[..size]) {
            match news {
                News::Asked { stream } if self.users.is_revoked => {
                    peer.refuse(&mut self.dice, stream, 16, Sent::CheckRefused);
                }
                News::Asked { stream } if is_odd => {
                    peer.refuse(&mut self.dice, stream, 14, Sent::Nothing);
                }
                News::Asked { stream } => peer.answer(&mut self.dice, stream, false),
                News::Call { is_connect, .. } => assert!(!is_connect, "a second stream"),
                News::Packet(_) => panic!("a packet beside the link"),
                News::Reset | News::GoAway => {}
            }
        }
        let Some(buffer) = self.agent.second_read_buffer() else {
            return;
        };
        let most = peer.out.len().min(buffer.len());
        let size = self
            .weather
            .cut(&mut self.dice, self.weather.short_reads, most);
        let bytes: Vec<u8> = peer.out.drain(..size).collect();
        buffer[..size].copy_from_slice(&bytes);
        *delivered += size as u64;
        while let Some(sent) = peer.take_delivered(*delivered) {
            self.must_lose_link |= sent == Sent::CheckRefused;
        }
        let is_over = peer.out.is_empty() && size == 0 && pending.is_empty();
        self.agent.second_received(self.now, size);
        if !is_over || !self.agent.second_encrypt(self.now).is_empty() {
            self.second_goes_on();
        }
    }

    /// A link whose gateway said goodbye is left soon after nobody needs it any more.
    pub fn check_goodbye(&mut self) {
        let is_unused = self.link.as_ref().is_some_and(|link| link.has_said_goodbye)
            && !self.model.is_stopping
            && self.model.sessions.is_empty()
            && self.model.live.is_empty()
            && self.agent.outbox().is_empty()
            && self.agent.grant_and_encrypt(self.now).is_empty();
        if !is_unused {
            self.unused_since = None;
            return;
        }
        let since = *self.unused_since.get_or_insert(self.now);
        assert!(
            self.now <= since + hoop_lite::limits::KEEPALIVE_INTERVAL + crate::world::SLACK,
            "the agent stays though it was asked to leave"
        );
    }
}
