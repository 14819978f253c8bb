//! The world's link: two pipes between the agent's socket and the gateway.

use std::time::Duration;

use crate::dice::Dice;
use crate::gateway::{Habits, News, Peer};
use crate::net::{End, Outcome, Pipe};
use crate::sent::Sent;
use crate::world::{Event, World};

/// What the kernel holds in each direction.
const SOCKET_BYTES: usize = 256 * 1024;

/// One connection of the agent.
pub struct Socket {
    pub peer: Peer,
    pub to_agent: Pipe,
    pub to_gateway: Pipe,
    /// Bytes that the agent was given.
    delivered: u64,
    is_writable: bool,
    is_read_due: bool,
    is_write_due: bool,
    is_gateway_due: bool,
    /// The path swallows everything, both ways.
    pub is_silent: bool,
    /// The gateway does not read.
    pub is_stalled: bool,
    /// The agent knows that no call will be taken any more.
    pub has_said_goodbye: bool,
}

impl Habits {
    pub fn any(dice: &mut Dice) -> Self {
        Self {
            window: dice.pick(&[65_535, 65_535, 1_000, 1 << 20]),
            is_eager: dice.chance(500),
            data_max: dice.pick(&[16_384, 16_384, 4_000, 100]),
            padding: dice.pick(&[0, 0, 200]),
            streams_max: dice.pick(&[100, 100, 100, 1]),
        }
    }

    /// As grpc-go has them.
    pub fn plain() -> Self {
        Self {
            window: 65_535,
            is_eager: true,
            data_max: 16_384,
            padding: 0,
            streams_max: 100,
        }
    }
}

impl Socket {
    /// For a failure's report.
    pub fn describe(&self) -> String {
        format!(
            "{} bytes to the agent, {} to the gateway, writable {}, silent {}, stalled {}; {}",
            self.to_agent.held(),
            self.to_gateway.held(),
            self.is_writable,
            self.is_silent,
            self.is_stalled,
            self.peer.describe()
        )
    }
}

impl World {
    /// The agent dials.
    pub fn dial_link(&mut self) {
        self.link_attempt += 1;
        let attempt = self.link_attempt;
        if !self.users.gateway_hangs {
            let delay = self.delay();
            self.after(delay, Event::LinkUp(attempt));
        }
    }

    pub fn link_up(&mut self, attempt: u32) {
        if attempt != self.link_attempt || self.link.is_some() {
            return;
        }
        if self.users.gateway_is_down {
            return self
                .agent
                .link_unreachable(self.now, "connection refused", "start it");
        }
        let habits = match self.users.is_random {
            true => Habits::any(&mut self.dice),
            false => Habits::plain(),
        };
        let server = self.tls.as_ref().map(|tls| tls.server.clone());
        self.link = Some(Socket {
            peer: Peer::new(habits, server),
            to_agent: Pipe::new(self.now, SOCKET_BYTES),
            to_gateway: Pipe::new(self.now, SOCKET_BYTES),
            delivered: 0,
            is_writable: true,
            is_read_due: false,
            is_write_due: false,
            is_gateway_due: false,
            is_silent: false,
            is_stalled: false,
            has_said_goodbye: false,
        });
        self.agent.link_connected(self.now);
    }

    /// What the gateway has for the agent goes on its way; called after whatever it did.
    pub fn flush_gateway(&mut self) {
        let delay = self.delay();
        let Some(socket) = &mut self.link else { return };
        socket.peer.pump(&mut self.dice);
        if !socket.peer.out.is_empty() && !socket.is_silent {
            let size = socket.peer.out.len().min(socket.to_agent.room());
            let bytes: Vec<u8> = socket.peer.out.drain(..size).collect();
            socket.to_agent.write(self.now, delay, &bytes);
        }
    }

    /// Puts the reads and writes that can be done on the agenda.
    pub fn schedule_link(&mut self) {
        let has_pending = !self.agent.grant_and_encrypt(self.now).is_empty();
        let can_read = self.agent.link_read_buffer().is_some();
        let delays = [self.delay() / 8, self.delay() / 8];
        let wait = self.agent.link_wait(self.now);
        assert!(
            wait.low_water == 1 || wait.until.is_some_and(|until| until > self.now),
            "bytes gather without end"
        );
        let Some(socket) = &mut self.link else { return };
        let mut due = Vec::new();
        if let Some(at) = socket.to_agent.next_arrival()
            && can_read
            && !socket.is_silent
            && !socket.is_read_due
        {
            let is_enough = socket.to_agent.held() >= wait.low_water || socket.to_agent.has_ended();
            let until = wait.until.filter(|_| !is_enough);
            socket.is_read_due = true;
            due.push((until.map_or(at, |until| at.max(until)), Event::LinkRead));
        }
        if has_pending && socket.is_writable && !socket.is_write_due {
            socket.is_write_due = true;
            due.push((self.now + delays[0], Event::LinkWrite));
        }
        if let Some(at) = socket.to_gateway.next_arrival()
            && !socket.is_silent
            && !socket.is_stalled
            && !socket.to_gateway.has_ended()
            && !socket.is_gateway_due
        {
            socket.is_gateway_due = true;
            due.push((at + delays[1], Event::GatewayRead));
        }
        for (at, event) in due {
            self.at(at, event);
        }
    }

    /// One read of the agent's socket.
    pub fn read_link(&mut self) {
        let Some(socket) = &mut self.link else { return };
        socket.is_read_due = false;
        if socket.is_silent || self.dice.chance(self.weather.blocks) {
            return;
        }
        let Some(buffer) = self.agent.link_read_buffer() else {
            return;
        };
        let size = buffer.len().min(socket.to_agent.held().max(1));
        let size = self
            .weather
            .cut(&mut self.dice, self.weather.short_reads, size);
        let budget = self.model.bounds.queue_bytes_max;
        let size = one_at_a_time(socket, size, self.model.buffered, budget / 2);
        match socket.to_agent.read(self.now, &mut buffer[..size]) {
            Outcome::Bytes(size) => {
                socket.delivered += size as u64;
                self.agent.link_received(self.now, size);
                self.apply_delivered();
            }
            Outcome::WouldBlock => {}
            Outcome::Closed => {
                self.must_lose_link = true;
                self.agent
                    .link_broke(self.now, "the gateway closed the connection");
            }
            Outcome::Broken => {
                self.must_lose_link = true;
                self.agent.link_broke(self.now, "connection reset by peer");
            }
        }
        self.flush_gateway();
    }

    /// The model learns what the agent has just been given.
    fn apply_delivered(&mut self) {
        loop {
            let Some(socket) = &mut self.link else { return };
            let Some(sent) = socket.peer.take_delivered(socket.delivered) else {
                break;
            };
            match sent {
                Sent::Fatal | Sent::Refused => self.must_lose_link = true,
                Sent::CheckRefused => self.must_lose_link |= !self.forgive_late_answer(),
                Sent::GoAway => socket.has_said_goodbye = true,
                _ => {}
            }
            self.model.apply(self.now, sent);
        }
    }

    /// One write of the agent's socket.
    pub fn write_link(&mut self) {
        let (delay, is_blocked) = (self.delay(), self.dice.chance(self.weather.blocks));
        let Some(socket) = &mut self.link else { return };
        socket.is_write_due = false;
        let pending = self.agent.grant_and_encrypt(self.now);
        if pending.is_empty() || is_blocked {
            return;
        }
        let size = self
            .weather
            .cut(&mut self.dice, self.weather.short_writes, pending.len());
        match socket.to_gateway.write(self.now, delay, &pending[..size]) {
            Outcome::Bytes(size) => self.agent.link_sent(self.now, size),
            Outcome::WouldBlock => socket.is_writable = false,
            Outcome::Broken | Outcome::Closed => {
                self.must_lose_link = true;
                self.agent.link_broke(self.now, "broken pipe");
            }
        }
    }

    /// The gateway reads its socket.
    pub fn gateway_reads(&mut self) {
        let Some(socket) = &mut self.link else { return };
        socket.is_gateway_due = false;
        if socket.is_silent || socket.is_stalled {
            return;
        }
        let mut buffer = vec![0; 64 * 1024];
        let size = self
            .weather
            .cut(&mut self.dice, self.weather.short_reads, buffer.len());
        let outcome = socket.to_gateway.read(self.now, &mut buffer[..size]);
        if socket.to_gateway.room() > 0 {
            socket.is_writable = true;
        }
        if let Outcome::Bytes(size) = outcome {
            let link = self.model.owing.link();
            let news = socket.peer.receive(&buffer[..size]);
            self.gateway_heard(link, news);
        }
        self.flush_gateway();
    }

    fn gateway_heard(&mut self, link: u32, news: Vec<News>) {
        let attempt = self.link_attempt;
        for news in news {
            match news {
                News::Call {
                    stream,
                    is_connect: true,
                } => self.after(
                    Duration::from_millis(1),
                    Event::Respond(attempt, stream, true),
                ),
                News::Asked { stream } => {
                    self.after(
                        Duration::from_millis(1),
                        Event::Respond(attempt, stream, false),
                    );
                }
                News::Packet(got) => self.client_got(link, got),
                News::Call { .. } | News::Reset | News::GoAway => {}
            }
        }
    }

    /// The gateway's process is gone: its side of the link ends in one way or the other.
    pub fn gateway_dies(&mut self, how: End) {
        if let Some(socket) = &mut self.link {
            socket.to_agent.end(self.now, Duration::ZERO, how);
            socket.to_gateway.end(self.now, Duration::ZERO, End::Reset);
            socket.is_writable = true;
            socket.peer.is_mute = true;
        }
    }

    /// The agent gives the link up: what it has to say gets one write, then the socket is gone.
    pub fn close_link(&mut self) {
        let link = self.model.owing.link();
        self.must_lose_link = false;
        self.forgiven_checks = self.agent.counters().check_failures;
        self.link_attempt += 1;
        let latest = self.trace.back().map(|(_, _, event)| *event);
        self.model.link_lost(latest == Some(Event::Timeout));
        self.users.link_lost();
        for server in self.servers.values_mut() {
            server.must_close = true;
        }
        if let Some(mut socket) = self.link.take() {
            let pending = self.agent.grant_and_encrypt(self.now);
            socket.to_gateway.write(self.now, Duration::ZERO, pending);
            self.last_words(link, socket);
        }
        self.agent.link_closed();
    }

    /// The gateway hears what is under way to it, unless it is dead itself.
    pub fn last_words(&mut self, link: u32, mut socket: Socket) {
        let mut buffer = vec![0; SOCKET_BYTES + 1];
        let later = self.now + Duration::from_secs(3600);
        if !socket.is_silent
            && let Outcome::Bytes(size) = socket.to_gateway.read(later, &mut buffer)
        {
            let news = socket.peer.receive(&buffer[..size]);
            for news in news {
                if let News::Packet(got) = news {
                    self.client_got(link, got);
                }
            }
        }
    }
}

/// Under pressure a packet may close a relay in the middle of a read, which the model learns of
/// only behind it: then reads end with each packet.
fn one_at_a_time(socket: &Socket, size: usize, buffered: usize, most: usize) -> usize {
    let end = socket.delivered + size as u64;
    let mut ends = socket.peer.ends().take_while(|(at, _)| *at <= end);
    let Some((first, sent)) = ends.next() else {
        return size;
    };
    let payload: usize = ends.map(|(_, sent)| sent.len()).sum();
    if buffered + sent.len() + payload > most {
        usize::try_from(first - socket.delivered).unwrap()
    } else {
        size
    }
}
