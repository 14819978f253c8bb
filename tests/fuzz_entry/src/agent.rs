//! The whole agent: bytes of the gateway in; sockets, processes and time as control asks for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hoop_lite::agent::{
    Action, Agent, AgentSettings, Endpoint, LinkState, Machine, health, metrics,
};
use hoop_lite::base::{Rng, Secret};
use hoop_lite::limits;
use hoop_lite::link::AgentIdentity;
use hoop_lite::packet::{Kind, Packet, spec};
use hoop_lite::session::{
    self, AgentEnvironment, Channel, Exit, Peer, Report, Sessions, TargetId, Unreached,
};

use crate::input::{Control, split};
use crate::peer::{self, check_lawful, first_frame};

/// Raw bytes of a gateway.
pub fn agent(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let mut world = World::new(bytes, &mut control);
    world.message_max = limits::GRPC_MESSAGE_BYTES_MAX;
    let mut rest = wire;
    while let Some(what) = control.next() {
        if what & 1 == 0 {
            let (piece, behind) = rest.split_at(control.piece().min(rest.len()));
            rest = behind;
            world.receive(piece);
        } else {
            world.happen(what >> 1, &mut control);
        }
    }
    world.receive(rest);
    let was_live = world.agent.link_state() == LinkState::Live;
    world.finish();
    was_live
}

/// A socket or a process that the agent has asked for.
struct Target {
    id: TargetId,
    is_process: bool,
    has_started: bool,
    has_exited: bool,
    /// Bytes that it still takes.
    takes: usize,
}

/// The agent's surroundings, with what they have seen of it.
pub struct World {
    pub agent: Agent,
    now: Instant,
    targets: Vec<Target>,
    budget: usize,
    /// The largest message that was or may have been sent: it is queued as one.
    pub message_max: usize,
    pub gateway: Gateway,
    is_over: bool,
    outputs: usize,
    received: usize,
    happened: usize,
}

impl World {
    /// An agent that has just dialled, and whose socket is connected.
    pub fn new(seed: &[u8], control: &mut Control<'_>) -> Self {
        let flags = control.byte();
        let token = secret_of(seed);
        watch::begin(&token);
        let settings = AgentSettings {
            is_embedded: flags & 1 != 0,
            key_check_interval: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(10),
            reconnect_max: limits::BACKOFF_MAX,
            exit_on_revoked: flags & 2 != 0,
        };
        let sessions = session::SessionLimits {
            relay_count_max: if flags & 4 != 0 { 4 } else { 64 },
            queue_bytes_max: if flags & 8 != 0 {
                1 << 20
            } else {
                limits::QUEUE_BYTES_MAX
            },
            ..session::SessionLimits::default()
        };
        let endpoints = Box::new(move || {
            Ok(Endpoint {
                host: "gateway".to_owned(),
                port: 8010,
                place: "gateway:8010".to_owned(),
                tunnel: (flags & 16 != 0)
                    .then(|| b"CONNECT gateway:8010 HTTP/1.1\r\n\r\n".to_vec()),
                tls: None,
                identity: AgentIdentity {
                    is_encrypted: false,
                    authority: "gateway:8010".to_owned(),
                    token: Secret::new(token.as_str()),
                    metadata: vec![("version", String::new())],
                    preconnect: Vec::new(),
                    user_agent: "fuzz".to_owned(),
                },
            })
        });
        let now = Instant::now();
        let core = Sessions::new(sessions, AgentEnvironment::default());
        let mut world = Self {
            agent: Agent::new(
                now,
                settings,
                core,
                endpoints,
                Rng::new(u64::from(flags) + 1),
            ),
            now,
            targets: Vec::new(),
            budget: sessions.queue_bytes_max,
            message_max: 0,
            gateway: Gateway::default(),
            is_over: false,
            outputs: 0,
            received: 0,
            happened: 0,
        };
        world.turn();
        world
    }

    /// Bytes of the gateway, as far as the agent takes them; `false` when it takes no more.
    pub fn receive(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() && self.gateway.is_up {
            let Some(buffer) = self.agent.link_read_buffer() else {
                return false;
            };
            let size = bytes.len().min(buffer.len());
            buffer[..size].copy_from_slice(&bytes[..size]);
            bytes = &bytes[size..];
            self.received += size;
            self.agent.link_received(self.now, size);
            self.turn();
        }
        true
    }

    /// Something else than bytes of the gateway.
    pub fn happen(&mut self, what: u8, control: &mut Control<'_>) {
        self.happened += 1;
        let place = usize::from(control.byte());
        match what % 16 {
            0..=2 => {
                self.pass(*control.pick(&[0, 1, 25, 300, 1000, 3000, 5000, 10_000, 15_000, 60_000]))
            }
            3 => self.release(control),
            4 if what > 64 => self.stop(place),
            4 => self.agent.link_broke(self.now, "reset by peer"),
            _ if self.targets.is_empty() => self.pass(10),
            _ => {
                let place = place % self.targets.len();
                self.target_event(what, place, control);
            }
        }
        self.turn();
    }

    fn target_event(&mut self, what: u8, place: usize, control: &mut Control<'_>) {
        let Self {
            agent,
            targets,
            now,
            ..
        } = self;
        let target = &mut targets[place];
        let (id, now) = (target.id, *now);
        let channel = *control.pick(&[Channel::Output, Channel::Output, Channel::Error]);
        let (has_room, payload_max) = (agent.has_room(), agent.payload_max());
        let may_read = target.has_started && agent.wants_read(id, channel);
        let report = match what % 16 {
            5 | 6 if !target.has_started => {
                target.has_started = true;
                Report::Started { peer: None }
            }
            7 if !target.has_started => match target.is_process {
                true => Report::NotSpawned {
                    code: 127,
                    text: "not found",
                },
                false => Report::Failed(Unreached::because("refused")),
            },
            8 | 9 => {
                target.takes = target.takes.saturating_add(control.piece());
                return self.flush(id);
            }
            10..=12 if may_read && has_room => {
                let size = control.piece().min(payload_max);
                let Some(slot) = agent.read_slot(id, channel, payload_max) else {
                    return;
                };
                slot[..size].fill(b'o');
                Report::Received { size }
            }
            13 if may_read => Report::Ended { channel },
            14 if target.has_started && !target.is_process => Report::Broke,
            15 if target.has_started && target.is_process && !target.has_exited => {
                target.has_exited = true;
                Report::Exited(Exit::Code(control.byte()))
            }
            _ => return,
        };
        agent.handle_report(now, id, report);
        self.flush(id);
    }

    fn release(&mut self, control: &mut Control<'_>) {
        match control.byte() % 4 {
            0 => self.agent.ship_logs(b"[{\"msg\":\"line\"}]"),
            1 => self.agent.release_idle(),
            2 => assert!(
                metrics(&self.agent, self.now, &Machine::default())
                    .lines()
                    .count()
                    > 20
            ),
            _ => assert!(!health(&self.agent, self.now).word().is_empty()),
        }
        let _ = self.agent.holds_burst_memory();
    }

    fn stop(&mut self, place: usize) {
        match place % 2 {
            0 => self.agent.stop(self.now),
            _ => self.agent.stop_now(self.now),
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        // A retry may be drawn to be due at once.
        for _ in 0..8 {
            self.agent.handle_timeout(self.now);
            self.settle();
            if self.agent.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("a deadline that does not pass");
    }

    /// As the reactor's turn: carry out, then write.
    fn turn(&mut self) {
        self.settle();
        self.write_link();
        self.check();
    }

    fn settle(&mut self) {
        loop {
            if let Some(output) = self.agent.poll_output() {
                self.outputs += 1;
                self.carry_out(output);
            } else if let Some(id) = self.agent.poll_dirty() {
                self.flush(id);
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::DialLink { .. } => {
                self.gateway = Gateway::default();
                self.gateway.is_up = true;
                self.agent.link_connected(self.now);
            }
            Action::CloseLink => {
                let pending = self.agent.grant_and_encrypt(self.now).to_vec();
                self.gateway.read(&pending);
                self.agent.link_closed();
                self.gateway.is_up = false;
            }
            // Its gateway answers nothing.
            Action::DialSecond { .. } => self.agent.second_connected(self.now),
            Action::CloseSecond => assert!(self.agent.second_read_buffer().is_none()),
            Action::Exit(_) => self.is_over = true,
            Action::Session(output) => self.carry_out_session(output),
        }
    }

    fn carry_out_session(&mut self, output: session::Output) {
        use session::Output as O;
        match output {
            O::Dial { target, place, .. } => {
                match place {
                    session::Where::Name { host, port } => assert!(!host.is_empty() && port != 0),
                    session::Where::Service(name) => assert!(!name.is_empty()),
                    session::Where::Peer(_) => {}
                }
                self.add(target, false);
            }
            O::Spawn { target, program } => {
                assert!(!program.argv.is_empty());
                self.add(target, true);
            }
            O::Resize { .. } | O::HastenEnds => {}
            O::Examine { target } => {
                let report = Report::InKernel { size: 0 };
                self.agent.handle_report(self.now, target, report);
            }
            O::AskPeer { target } => {
                let report = Report::Peer(Peer::Silent(limits::TARGET_SILENCE_MAX));
                self.agent.handle_report(self.now, target, report);
            }
            O::Close { target, .. } => {
                let place = self.targets.iter().position(|known| known.id == target);
                self.targets
                    .swap_remove(place.expect("closed once, after it was asked for"));
            }
        }
    }

    fn add(&mut self, id: TargetId, is_process: bool) {
        assert!(self.targets.iter().all(|known| known.id != id));
        self.targets.push(Target {
            id,
            is_process,
            has_started: false,
            has_exited: false,
            takes: 0,
        });
    }

    /// Lets a target take what it still takes.
    fn flush(&mut self, id: TargetId) {
        let Some(target) = self.targets.iter_mut().find(|target| target.id == id) else {
            return;
        };
        while target.takes > 0 {
            let waits = self.agent.pending_parts(id).map(<[u8]>::len).sum::<usize>();
            let size = waits.min(target.takes);
            if size == 0 {
                break;
            }
            let report = Report::Wrote { size };
            self.agent.handle_report(self.now, id, report);
            target.takes -= size;
        }
        // Its end, if it comes of this, is an output.
        let _ = self.agent.take_shutdown(id);
    }

    fn write_link(&mut self) {
        loop {
            let pending = self.agent.grant_and_encrypt(self.now);
            if pending.is_empty() || !self.gateway.is_up {
                break;
            }
            assert!(pending.len() <= limits::LINK_WRITE_BYTES + 64 * 1024);
            let size = pending.len();
            self.gateway.read(pending);
            self.agent.link_sent(self.now, size);
        }
        self.settle();
    }

    /// What holds after every step.
    fn check(&self) {
        let sessions = self.agent.sessions();
        assert!(
            sessions.buffered_bytes() <= self.budget + self.message_max,
            "the byte budget"
        );
        assert!(sessions.buffered_bytes() <= self.received);
        assert_eq!(sessions.target_count(), self.targets.len());
        assert!(
            !self.targets.is_empty() || sessions.buffered_bytes() == 0,
            "bytes for nobody"
        );
        assert!(sessions.len() <= limits::SESSION_COUNT_MAX);
        let cause = self.received + 64 * self.happened;
        assert!(self.outputs <= 64 + cause, "{} requests", self.outputs);
    }

    /// The program is asked to leave twice: nothing may be left.
    pub fn finish(mut self) {
        self.agent.stop(self.now);
        self.turn();
        self.agent.stop(self.now);
        self.turn();
        // The gateway gets a moment to confirm that sessions were closed.
        self.pass(
            limits::FAREWELL_MAX
                .as_millis()
                .try_into()
                .expect("a moment"),
        );
        self.turn();
        assert!(self.is_over, "asked twice, it leaves");
        assert!(self.agent.sessions().is_empty());
        watch::end();
    }
}

/// A token that no input can hold.
fn secret_of(seed: &[u8]) -> String {
    let hash = |start: u64| {
        seed.iter().fold(start, |hash, byte| {
            (hash ^ u64::from(*byte))
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(5)
        })
    };
    format!(
        "xagt-{:016x}{:016x}",
        hash(0xcbf2_9ce4_8422_2325),
        hash(0x9e37_79b9_7f4a_7c15)
    )
}

/// What the gateway has read of the agent.
#[derive(Default)]
pub struct Gateway {
    pub is_up: bool,
    unread: Vec<u8>,
    is_open: bool,
    /// The stream of packets.
    pub stream: Option<u32>,
    /// Streams of unary calls that are not answered.
    pub asking: Vec<u32>,
    /// Credit on the stream of packets.
    pub window: i64,
    initial_window: i64,
    messages: Vec<u8>,
    /// Sessions by id: whether they are open.
    sessions: BTreeMap<Vec<u8>, bool>,
}

impl Gateway {
    fn read(&mut self, bytes: &[u8]) {
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(bytes);
        let mut rest = &unread[..];
        if !self.is_open {
            // A proxy may be asked first.
            let Some(at) = rest
                .windows(peer::PREFACE.len())
                .position(|part| part == peer::PREFACE)
            else {
                self.unread = unread;
                return;
            };
            rest = &rest[at + peer::PREFACE.len()..];
            self.is_open = true;
        }
        while let Some((frame, behind)) = first_frame(rest) {
            check_lawful(&frame);
            self.note(&frame);
            rest = behind;
        }
        self.unread = rest.to_vec();
    }

    fn note(&mut self, frame: &peer::Frame<'_>) {
        let holds = |text: &[u8]| frame.payload.windows(text.len()).any(|part| part == text);
        match frame.kind {
            peer::HEADERS if holds(b"/protobuf.Transport/Connect") => {
                assert!(self.stream.is_none_or(|known| known < frame.stream));
                self.stream = Some(frame.stream);
                self.window += self.initial_window;
                self.messages.clear();
                self.sessions.clear();
            }
            peer::HEADERS => self.asking.push(frame.stream),
            peer::SETTINGS => {
                for entry in frame.payload.chunks(6) {
                    if entry[..2] == [0, 4] {
                        let value = entry[2..].try_into().expect("four bytes");
                        self.initial_window = i64::from(u32::from_be_bytes(value));
                    }
                }
            }
            peer::WINDOW_UPDATE if Some(frame.stream) == self.stream => {
                self.window += i64::from(frame.number(0));
            }
            peer::DATA if Some(frame.stream) == self.stream => {
                self.messages.extend_from_slice(frame.payload);
                self.read_messages();
            }
            _ => {}
        }
    }

    fn read_messages(&mut self) {
        let messages = std::mem::take(&mut self.messages);
        let mut rest = &messages[..];
        while let Some((prefix, behind)) = rest.split_first_chunk::<5>() {
            let [0, length @ ..] = *prefix else {
                panic!("a message with flags");
            };
            let Some((message, behind)) =
                behind.split_at_checked(u32::from_be_bytes(length) as usize)
            else {
                break;
            };
            self.note_packet(&Packet::decode(message).expect("a packet"));
            rest = behind;
        }
        self.messages = rest.to_vec();
    }

    /// Output of a session comes between its open-OK and its one close.
    fn note_packet(&mut self, packet: &Packet<'_>) {
        let id = packet.spec(spec::SESSION_ID).unwrap_or_default().to_vec();
        let is_open = self.sessions.get(&id).copied().unwrap_or(false);
        match packet.kind.expect("a known kind") {
            Kind::ClientSessionOpenOK => {
                self.sessions.insert(id, true);
            }
            Kind::ClientSessionClose => {
                self.sessions.insert(id, false);
            }
            Kind::ClientTCPConnectionWrite
            | Kind::ClientTCPConnectionClose
            | Kind::ClientWriteStdout
            | Kind::ClientWriteStderr => assert!(is_open, "output of a session that is not open"),
            _ => {}
        }
    }
}

/// No log line holds the token.
mod watch {
    use std::cell::RefCell;
    use std::sync::Once;

    thread_local! {
        static TOKEN: RefCell<String> = const { RefCell::new(String::new()) };
    }

    struct Watch;

    impl log::Log for Watch {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            TOKEN.with_borrow(|token| !token.is_empty())
        }

        fn log(&self, record: &log::Record<'_>) {
            let line = record.args().to_string();
            TOKEN.with_borrow(|token| assert!(token.is_empty() || !line.contains(token), "{line}"));
        }

        fn flush(&self) {}
    }

    pub fn begin(token: &str) {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            if log::set_logger(&Watch).is_ok() {
                log::set_max_level(log::LevelFilter::Trace);
            }
        });
        TOKEN.set(token.to_owned());
    }

    pub fn end() {
        TOKEN.take();
    }
}
