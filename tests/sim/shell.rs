//! The world's stand-in for the reactor: it carries out what the agent asks for and reports back,
//! edge-triggered like the real one, with descriptors that are pipes in memory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hoop_lite::agent::Action;
use hoop_lite::base::TerminalSize;
use hoop_lite::session::{self, Channel, Exit, Peer, Program, Report, TargetId, Unreached};

use crate::content::{Content, MARKER};
use crate::net::{End, Outcome, Pipe};
use crate::relays::{Kind, Phase, spoken};
use crate::target::{Mood, Target};
use crate::world::{Event, World};

/// What a target's socket or pipe holds in each direction.
const TARGET_BYTES: usize = 64 * 1024;

/// Bytes that nobody wants are read by so many.
const DISCARD_BYTES: usize = 16 * 1024;

/// Where every service is.
const SERVICE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);

const CHANNELS: [Channel; 2] = [Channel::Output, Channel::Error];

impl World {
    /// Carries out everything that the agent asks for, until it asks for nothing more.
    pub fn drain(&mut self) {
        loop {
            if let Some(action) = self.agent.poll_output() {
                self.carry_out(action);
                continue;
            }
            match self.agent.poll_dirty() {
                Some(id) => {
                    self.flush(id);
                    continue;
                }
                None if self.exit.is_some() => return,
                None => {}
            }
            self.schedule_link();
            // What the link has to say may have shown that it is lost.
            match self.agent.poll_output() {
                Some(action) => self.carry_out(action),
                None => break,
            }
        }
        let has_ready =
            !self.forgotten.is_empty() || !self.ready.is_empty() && self.agent.has_room();
        if has_ready && !self.is_read_due {
            self.is_read_due = true;
            let delay = self.delay() / 16;
            self.after(delay, Event::ReadTarget);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::DialLink { .. } => self.dial_link(),
            Action::CloseLink => self.close_link(),
            Action::DialSecond { .. } => self.dial_second(),
            Action::CloseSecond => self.close_second(),
            Action::Exit(exit) => self.leave_for_good(exit),
            Action::Session(session::Output::Dial { target, place, .. }) => {
                if self.dial_store(target, &place) || self.dial_database(target, &place) {
                    return;
                }
                let relay = self.model.asked_to_start(target, true);
                self.insert(target, relay, false);
                if self.model.relays[relay].mood != Mood::Hangs {
                    let delay = self.delay();
                    self.after(delay, Event::Dialled(target));
                }
            }
            Action::Session(session::Output::Spawn { target, program }) => {
                self.spawn(target, &program);
            }
            // A simulated process ends when its descriptor closes.
            Action::Session(session::Output::HastenEnds) => {}
            Action::Session(session::Output::Resize { target, size }) => {
                self.model.asked_to_resize(target, size);
            }
            Action::Session(session::Output::Examine { target }) => {
                let size = self.held_by_kernel(target);
                if let Some(entry) = self.targets.get(&target) {
                    self.model.examined(self.now, entry.relay, size);
                }
                self.report(target, Report::InKernel { size });
            }
            Action::Session(session::Output::AskPeer { target }) => {
                let peer = match self.held_by_kernel(target) > 0 {
                    true => Peer::Answers,
                    false => Peer::Settled,
                };
                self.report(target, Report::Peer(peer));
            }
            Action::Session(session::Output::Close { target, reset, .. }) => {
                if self.close_store(target) || self.close_database(target, reset) {
                    return;
                }
                self.model.asked_to_close(self.now, target, reset);
                let entry = self.targets.remove(&target).expect("an open descriptor");
                if !reset && !entry.is_process {
                    self.read_to_the_end(entry);
                }
            }
        }
    }

    fn held_by_kernel(&self, target: TargetId) -> usize {
        let input = self.targets.get(&target).map(|entry| &entry.input);
        let input = input.or(self.servers.get(&target).map(|server| &server.input));
        input.map_or(0, Pipe::held)
    }

    fn report(&mut self, target: TargetId, report: Report<'_>) {
        self.agent.handle_report(self.now, target, report);
    }

    fn insert(&mut self, id: TargetId, relay: usize, is_process: bool) {
        let model = &self.model.relays[relay];
        let pipe = || Pipe::new(self.now, TARGET_BYTES);
        let text = |channel| spoken(model.mood, relay, channel, model.text);
        let target = Target {
            relay,
            mood: model.mood,
            is_process,
            is_terminal: model.kind == Kind::Terminal,
            is_open: false,
            input: pipe(),
            outputs: [pipe(), pipe()],
            texts: [text(0), text(1)],
            taken: 0,
            said: [0; 2],
            input_has_ended: false,
            is_scheduled: false,
            is_over: false,
            is_writable: false,
            is_readable: [false; 2],
            is_queued: [false; 2],
            is_forgotten: false,
        };
        let before = self.targets.insert(id, target);
        assert!(before.is_none(), "a descriptor's name is used twice");
    }

    fn spawn(&mut self, id: TargetId, program: &Program) {
        let relay = self.model.asked_to_start(id, false);
        assert_eq!(program.argv, ["program", "-x"], "another command");
        let has_password = program.environment.iter().any(|(name, value)| {
            name == "PASS" && String::from_utf8_lossy(value.expose()).contains(MARKER)
        });
        assert!(has_password, "a variable is missing");
        for (variable, value) in self.stores.wanted(self.model.relays[relay].sid) {
            let mut found = program
                .environment
                .iter()
                .filter(|(name, _)| name == variable);
            let found = found
                .next()
                .map(|(_, value)| String::from_utf8_lossy(value.expose()).into_owned());
            assert_eq!(found.as_ref(), Some(&value), "{variable} is another");
        }
        let kind = self.model.relays[relay].kind;
        assert_eq!(program.terminal.is_some(), kind == Kind::Terminal);
        if self.model.relays[relay].mood == Mood::Refuses {
            self.insert(id, relay, true);
            self.model.not_spawned(self.now, relay, 127);
            let text = "not found";
            return self.report(id, Report::NotSpawned { code: 127, text });
        }
        self.insert(id, relay, true);
        self.started(id, relay, None);
    }

    /// A connection attempt was answered.
    pub fn dialled(&mut self, id: TargetId) {
        if self.store_dialled(id) {
            return;
        }
        let Some(target) = self.targets.get(&id) else {
            return self.database_dialled(id);
        };
        let relay = target.relay;
        if target.mood == Mood::Refuses {
            self.model.failed(self.now, relay);
            let reason = "connection refused";
            return self.report(id, Report::Failed(Unreached::because(reason)));
        }
        self.started(id, relay, Some(SERVICE));
        self.mark_readable(id, Channel::Output);
    }

    fn started(&mut self, id: TargetId, relay: usize, peer: Option<SocketAddr>) {
        let target = self.targets.get_mut(&id).expect("a descriptor");
        target.is_open = true;
        target.is_writable = true;
        self.model.started(self.now, relay);
        self.report(id, Report::Started { peer });
        self.wake(id, Duration::ZERO);
    }

    /// The kernel says that there is something to read.
    pub fn mark_readable(&mut self, id: TargetId, channel: Channel) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.is_readable[channel.index()] = true;
            self.queue_read(id, channel);
        }
    }

    fn queue_read(&mut self, id: TargetId, channel: Channel) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let slot = channel.index();
        if target.is_readable[slot] && !target.is_queued[slot] {
            target.is_queued[slot] = true;
            match target.is_forgotten {
                true => self.forgotten.push_back((id, channel)),
                false => self.ready.push_back((id, channel)),
            }
        }
    }

    /// Nobody listens to this target any more, and it must not wait for the link.
    fn forget(&mut self, id: TargetId) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut target.is_forgotten, true) {
            // Its place among the others is passed over.
            target.is_queued = [false; 2];
            self.queue_read(id, Channel::Output);
        }
    }

    /// Writes what waits for a target, as far as it takes it.
    pub fn flush(&mut self, id: TargetId) {
        if self.servers.contains_key(&id) {
            return self.flush_database(id);
        }
        if self.flush_store(id) {
            return;
        }
        if !self.agent.needs_room(id) {
            self.forget(id);
        }
        self.queue_read(id, Channel::Output);
        loop {
            let (is_blocked, delay) = (self.dice.chance(self.weather.blocks), self.delay());
            let Some(target) = self.targets.get_mut(&id) else {
                return;
            };
            let bytes = self.agent.pending_parts(id).next().unwrap_or_default();
            if !target.is_writable || bytes.is_empty() {
                break;
            }
            if is_blocked {
                target.is_writable = false;
                self.after(delay, Event::Writable(id));
                break;
            }
            let size = self
                .weather
                .cut(&mut self.dice, self.weather.short_writes, bytes.len());
            match target.input.write(self.now, delay, &bytes[..size]) {
                Outcome::Bytes(size) => {
                    self.model.wrote(self.now, target.relay, size);
                    self.report(id, Report::Wrote { size });
                }
                Outcome::WouldBlock => target.is_writable = false,
                Outcome::Broken | Outcome::Closed => {
                    self.model.broke(self.now, target.relay);
                    self.report(id, Report::Broke);
                    break;
                }
            }
            self.wake(id, delay);
        }
        self.shut_if_asked(id);
    }

    fn shut_if_asked(&mut self, id: TargetId) {
        let delay = self.delay();
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if self.agent.take_shutdown(id) {
            self.model.shut(target.relay);
            if !target.is_terminal {
                target.input.end(self.now, delay, End::Fin);
            }
            self.wake(id, delay);
        }
    }

    /// One read of the target whose turn it is.
    pub fn read_target(&mut self) {
        if let Some((id, channel)) = self.next_in_line(true) {
            self.read_channel(id, channel);
        } else if self.agent.has_room()
            && let Some((id, channel)) = self.next_in_line(false)
        {
            self.read_channel(id, channel);
        }
    }

    fn next_in_line(&mut self, is_forgotten: bool) -> Option<(TargetId, Channel)> {
        loop {
            let line = match is_forgotten {
                true => &mut self.forgotten,
                false => &mut self.ready,
            };
            let (id, channel) = line.pop_front()?;
            if let Some(target) = self.targets.get_mut(&id)
                && target.is_forgotten == is_forgotten
            {
                target.is_queued[channel.index()] = false;
                return Some((id, channel));
            }
        }
    }

    fn read_channel(&mut self, id: TargetId, channel: Channel) {
        let slot = channel.index();
        let most = self.agent.payload_max();
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let relay = &self.model.relays[target.relay];
        let wants = relay.wants_read(slot);
        let is_asked = self.agent.wants_read(id, channel);
        assert_eq!(is_asked, wants, "reading {relay:?}");
        if !wants {
            return;
        }
        let held = target.outputs[slot].held().clamp(1, most);
        let size = self
            .weather
            .cut(&mut self.dice, self.weather.short_reads, held);
        let is_wanted = relay.is_attached && relay.phase == Phase::Streaming;
        let outcome = match self.agent.read_slot(id, channel, size) {
            Some(buffer) => {
                assert!(is_wanted, "bytes are read for nobody: {relay:?}");
                target.outputs[slot].read(self.now, buffer)
            }
            None => {
                assert!(!is_wanted, "bytes are thrown away: {relay:?}");
                target.outputs[slot].read(self.now, &mut [0; DISCARD_BYTES])
            }
        };
        match outcome {
            Outcome::Bytes(size) => {
                if is_wanted {
                    self.model.relayed(target.relay, slot, size);
                }
                self.report(id, Report::Received { size });
                self.wake(id, Duration::ZERO);
                self.queue_read(id, channel);
            }
            Outcome::WouldBlock => target.is_readable[slot] = false,
            Outcome::Closed => {
                target.is_readable[slot] = false;
                self.model.ended(self.now, target.relay, slot);
                self.report(id, Report::Ended { channel });
            }
            Outcome::Broken => {
                target.is_readable[slot] = false;
                self.model.ended(self.now, target.relay, slot);
                self.model.broke(self.now, target.relay);
                self.report(id, Report::Ended { channel });
                self.report(id, Report::Broke);
            }
        }
    }

    /// The leader of a process ended.
    pub fn exited(&mut self, id: TargetId, exit: Exit) {
        if let Some(target) = self.targets.get(&id) {
            self.model.exited(self.now, target.relay, exit.code());
            self.report(id, Report::Exited(exit));
        }
    }

    /// Readiness without a cause.
    pub fn spurious(&mut self) {
        let Some(nth) = self.targets.len().checked_sub(1) else {
            return;
        };
        let nth = self.dice.between(0, nth);
        let (id, target) = self.targets.iter().nth(nth).expect("one of them");
        if target.is_open {
            let (id, channel) = (*id, self.dice.pick(&CHANNELS));
            self.after(Duration::ZERO, Event::Writable(id));
            if channel == Channel::Output || !target_is_single(&self.targets[&id]) {
                self.after(Duration::ZERO, Event::Readable(id, channel));
            }
        }
    }

    /// What must hold for every descriptor when nothing is left to be carried out.
    pub fn check_targets(&mut self) {
        for (id, target) in &self.targets {
            let sessions = self.agent.sessions();
            let relay = &self.model.relays[target.relay];
            let waits = sessions.pending_parts(*id).next().is_some();
            assert!(
                !(target.is_writable && waits),
                "bytes wait though the target takes them: {relay:?}"
            );
            assert_eq!(waits, relay.queue > 0 && relay.phase != Phase::Starting);
            let must_shut = relay.input_ended && relay.queue == 0;
            assert!(
                relay.is_shut || !must_shut || relay.phase == Phase::Starting,
                "a target was not told that its client has ended: {relay:?}"
            );
        }
    }
}

fn target_is_single(target: &Target) -> bool {
    !target.is_process || target.is_terminal
}

/// The size that users give terminals; each is another.
pub fn size_of(number: usize) -> TerminalSize {
    let rows = u16::try_from(number % 1000).unwrap();
    TerminalSize {
        rows,
        columns: 80,
        width: 0,
        height: 0,
    }
}

/// What is written to a target that the model knows.
pub fn heard(world: &World, target: &Target) -> (Content, u64) {
    let relay = &world.model.relays[target.relay];
    (relay.text, relay.text_from.unwrap_or(0) + target.taken)
}
