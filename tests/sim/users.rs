//! Chance: what users do, what goes wrong with the gateway, and when TERM comes.

use std::collections::BTreeMap;
use std::time::Duration;

use hoop_lite::limits;

use crate::clients::User;
use crate::dice::Dice;
use crate::frames;
use crate::net::{End, Weather};
use crate::sent::{Sent, Service};
use crate::target::Mood;
use crate::world::World;

/// Sessions of users at once; the agent has targets of ended ones beside them.
const SESSIONS_MAX: usize = 12;

/// Connections of one session: the agent remembers this many closed ones.
const CONNECTIONS_MAX: u32 = 60;

/// Sent and not yet taken by the agent, above which users wait.
const BACKLOG_MAX: usize = 1 << 20;

/// Everybody beyond the link, and the state of the gateway.
pub struct Users {
    pub sessions: BTreeMap<u32, User>,
    next_sid: u32,
    /// The script is chance; otherwise nothing happens by itself.
    pub is_random: bool,
    has_floods: bool,
    /// The gateway refuses the key.
    pub is_revoked: bool,
    /// It takes no connection, or does not even answer.
    pub gateway_is_down: bool,
    pub gateway_hangs: bool,
    /// How often it ends in one way or the other, in a thousand acts.
    mortality: usize,
}

impl Users {
    pub fn new(dice: &mut Dice, has_floods: bool) -> Self {
        Self {
            sessions: BTreeMap::new(),
            next_sid: 1,
            is_random: false,
            has_floods,
            is_revoked: false,
            gateway_is_down: false,
            gateway_hangs: false,
            mortality: dice.pick(&[0, 1, 5, 20]),
        }
    }

    pub fn link_lost(&mut self) {
        self.sessions.clear();
    }

    fn any_session(&self, dice: &mut Dice) -> Option<u32> {
        let last = self.sessions.len().checked_sub(1)?;
        self.sessions.keys().nth(dice.between(0, last)).copied()
    }
}

impl World {
    /// One thing, drawn by chance.
    pub fn somebody_acts(&mut self) {
        if !self.users.is_random {
            return;
        }
        self.next_user();
        if self.dice.chance(self.weather.spurious) {
            self.spurious();
        }
        if self.dice.chance(self.users.mortality) {
            return self.something_breaks();
        }
        let Some(socket) = &mut self.link else {
            return self.gateway_recovers();
        };
        if self.dice.chance(100) {
            socket.is_stalled = false;
        }
        if socket.peer.stream.is_none() || socket.peer.backlog() > BACKLOG_MAX {
            return;
        }
        match self.dice.weighted(&[10, 60, 8, 4]) {
            0 => self.somebody_comes(),
            1 => self.somebody_goes_on(),
            2 => self.chatter(),
            _ => self.somebody_errs(),
        }
    }

    fn gateway_recovers(&mut self) {
        if self.dice.chance(50) {
            self.users.is_revoked = false;
            self.users.gateway_is_down = false;
            self.users.gateway_hangs = false;
        }
    }

    fn somebody_comes(&mut self) {
        if self.users.sessions.len() >= SESSIONS_MAX {
            return;
        }
        let databases = 50 * usize::from(self.setup.has_databases);
        let stores = 60 * usize::from(self.setup.stores.is_some());
        let service = match self.dice.weighted(&[50, 40, 5, 3, databases, stores]) {
            0 => Service::Tcp,
            1 => Service::Command,
            2 => Service::Database,
            3 => Service::Refused,
            5 => Service::Stored,
            _ => self.database_service(),
        };
        let probe = Mood::of_probe(&mut self.dice);
        let sid = self.users.next_sid;
        self.users.next_sid += 1;
        self.open(sid, service, probe);
    }

    fn somebody_goes_on(&mut self) {
        let Some(sid) = self.users.any_session(&mut self.dice) else {
            return self.somebody_comes();
        };
        if self.dice.chance(30) {
            return self.close(sid);
        }
        let user = &self.users.sessions[&sid];
        // A client waits for its open-OK, but not every client does.
        if !user.is_open && !self.dice.chance(20) {
            return;
        }
        match user.service {
            Service::Tcp => self.tcp_user_acts(sid),
            Service::Native(_) => self.database_user_acts(sid),
            _ => self.command_user_acts(sid),
        }
    }

    fn tcp_user_acts(&mut self, sid: u32) {
        let user = &self.users.sessions[&sid];
        let open: Vec<u32> = user
            .connections
            .iter()
            .filter(|(_, connection)| connection.is_open)
            .map(|(number, _)| *number)
            .collect();
        if open.is_empty() || self.dice.chance(150) {
            if user.next_connection < CONNECTIONS_MAX {
                let mood = Mood::of_service(&mut self.dice);
                let len = self.dice.chance(500).then(|| self.dice.size(20_000));
                self.connect(sid, len, mood);
            }
            return;
        }
        let connection = self.dice.pick(&open);
        if self.dice.chance(120) {
            self.hang_up_client(sid, connection);
            // What was on its way when the client left.
            if self.dice.chance(200) {
                self.write(sid, connection, 10);
            }
            return;
        }
        if self.users.has_floods && self.dice.chance(30) {
            for _ in 0..self.dice.between(1, 16) {
                self.write(sid, connection, self.setup.payload_max);
            }
        }
        let len = self.dice.size(60_000);
        self.write(sid, connection, len);
    }

    fn command_user_acts(&mut self, sid: u32) {
        let mood = Mood::of_process(&mut self.dice);
        let len = match self.users.has_floods && self.dice.chance(100) {
            true => self.setup.payload_max,
            false => self.dice.size(30_000),
        };
        // Every command is an exec or a terminal, by its number.
        let is_exec = sid.is_multiple_of(2);
        match self.dice.weighted(&[10, 2, 1]) {
            0 if is_exec && self.users.sessions[&sid].typed == 0 => self.exec(sid, len, mood),
            0 if is_exec => {}
            0 => self.type_in(sid, len, mood),
            1 => self.resize(sid),
            _ if !is_exec && !self.users.sessions[&sid].is_started => {
                self.start_terminal(sid, mood);
            }
            _ => {}
        }
    }

    /// Packets that do not fit, or that nobody knows.
    fn somebody_errs(&mut self) {
        let sid = match self.users.any_session(&mut self.dice) {
            Some(sid) if self.dice.chance(700) => sid,
            _ => u32::try_from(self.dice.between(1, self.users.next_sid as usize + 3)).unwrap(),
        };
        match self.dice.between(0, 8) {
            0 => self.send("AgentFromTheFuture", sid, &[], b"x", Sent::Nothing),
            1 => self.send("SysBareExecRequest", sid, &[], b"{}", Sent::System(sid)),
            2 => self.send("AgentPGConnectionWrite", sid, &[], b"Q", Sent::Misfit(sid)),
            3 => self.send("AgentTerminalClose", sid, &[], b"", Sent::Nothing),
            4 => {
                let flags = ("feature-flags", &b"{}"[..]);
                self.send(
                    "GatewayFeatureFlagUpdate",
                    sid,
                    &[flags],
                    b"",
                    Sent::Nothing,
                );
            }
            5 => self.hang_up_client(sid, 1),
            6 => self.close(sid),
            // It takes a while to pass, so it comes seldom.
            7 if self.users.has_floods && self.dice.chance(200) => self.send_too_much(sid),
            7 => {}
            _ => {
                // A user takes an id that another one may have.
                let probe = Mood::of_probe(&mut self.dice);
                let dialect = self.model.databases.sessions.get(&sid);
                // Clients of a database that is over may not find another one in its place.
                if dialect.is_some() && !self.users.sessions.contains_key(&sid) {
                    return;
                }
                let service = dialect.map_or(Service::Tcp, |it| Service::Native(*it));
                self.users.next_sid = self.users.next_sid.max(sid + 1);
                self.open(sid, service, probe);
            }
        }
    }

    /// A packet above the limit of all messages.
    pub fn send_too_much(&mut self, sid: u32) {
        let payload = vec![b'x'; limits::GRPC_MESSAGE_BYTES_MAX];
        let sent = Sent::Oversized(sid);
        self.send("AgentTCPConnectionWrite", sid, &[], &payload, sent);
    }

    /// The gateway, the path to it, or the clock.
    fn something_breaks(&mut self) {
        match self.dice.between(0, 13) {
            0 => self.gateway_dies(End::Reset),
            1 => self.gateway_dies(End::Fin),
            2 => {
                if let Some(socket) = &mut self.link {
                    socket.is_silent = true;
                }
            }
            3 => {
                if let Some(socket) = &mut self.link {
                    socket.is_stalled = true;
                }
            }
            4 => self.users.is_revoked = true,
            5 => self.users.gateway_is_down = true,
            6 => self.users.gateway_hangs = true,
            7 => self.ends_stream(),
            8 => self.goes_away(),
            9 => self.breaks_rules(),
            10 => {
                if let Some(socket) = &mut self.link {
                    socket.peer.half_a_frame(&mut self.dice);
                }
                self.flush_gateway();
                self.gateway_dies(End::Fin);
            }
            11 | 12 => {
                if !self.model.is_stopping {
                    self.unused_since = None;
                    self.now += self.dice.time(Duration::from_secs(100));
                }
            }
            _ => {
                if self.dice.chance(100) {
                    self.stop();
                }
            }
        }
    }

    /// With a status, or a reset.
    pub fn ends_stream(&mut self) {
        let Some(socket) = &mut self.link else { return };
        let Some(stream) = socket.peer.stream else {
            return;
        };
        match self.dice.between(0, 2) {
            0 => {
                self.users.is_revoked = true;
                socket
                    .peer
                    .refuse(&mut self.dice, stream, 16, Sent::Refused);
            }
            1 => socket.peer.refuse(&mut self.dice, stream, 14, Sent::Fatal),
            _ => socket.peer.reset_stream(2),
        }
        self.flush_gateway();
    }

    pub fn goes_away(&mut self) {
        if let Some(socket) = &mut self.link
            && let Some(stream) = socket.peer.stream
        {
            socket.peer.go_away(stream);
        }
        self.flush_gateway();
    }

    /// Bytes that no gateway may send.
    pub fn breaks_rules(&mut self) {
        let Some(socket) = &mut self.link else { return };
        let peer = &mut socket.peer;
        if !peer.has_settings {
            return;
        }
        match self.dice.between(0, 6) {
            0 => peer.ruin(&frames::frame(frames::DATA, 0, 0, b"for nobody")),
            1 => peer.ruin(&frames::frame(frames::HEADERS, 4, 2, b"\x88")),
            2 => peer.ruin(&frames::window_update(0, 0)),
            3 => peer.ruin(&frames::settings(&[(frames::SETTING_WINDOW, u32::MAX)])),
            4 => peer.ruin(&frames::frame(frames::PING, 0, 0, b"short")),
            // A compressed message, and one that is no protobuf.
            5 => peer.ruin_stream(b"\x01\x00\x00\x00\x00"),
            _ => peer.ruin_stream(b"\x00\x00\x00\x00\x02\x12\x7f"),
        }
        self.flush_gateway();
    }

    /// The gateway's operator comes back: whatever went wrong is mended.
    pub fn mend(&mut self) {
        self.users.is_revoked = false;
        self.users.gateway_is_down = false;
        self.users.gateway_hangs = false;
        self.users.is_random = false;
        self.is_hurried = true;
        self.weather = Weather::fair();
        let Some(socket) = &mut self.link else { return };
        socket.is_stalled = false;
        if socket.is_silent {
            // A path that comes back has forgotten the connection.
            socket.is_silent = false;
            self.gateway_dies(End::Reset);
        }
    }
}
