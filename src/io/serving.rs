//! The targets' side of a turn: dial, spawn, read, write, reap.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Token};

use super::dial::{self, Dial, DialProgress, Keepalive};
use super::ground::Ground;
use super::machine;
use super::targets::{Descriptors, Entry, Port, Targets};
use crate::base::metadata::MetadataDoor;
use crate::base::{Fields, Key, Service};
use crate::limits;
use crate::os::child::Pid;
use crate::os::processes::{self, EndedProcess, ProcessStreams, Processes, Spawned};
use crate::os::resolve::{Addresses, Asker, LookupError, NameRequest};
use crate::session::{Channel, End, Output, Program, Report, TargetId, Unreached, Where};

/// Parts of a queue in one write, of 64 KiB each: what one read of the link brings at most.
const WRITE_PARTS_MAX: usize = 4;

/// After the goodbye, processes get this long before they are killed.
const LAST_GRACE: Duration = Duration::from_millis(500);

/// Bytes that nobody wants are read into this.
const DISCARD_BYTES: usize = 16 * 1024;

/// See the module.
pub(super) struct Serving {
    targets: Targets,
    processes: Processes,
    keepalive: Keepalive,
    metadata: MetadataDoor,
    discard: Box<[u8]>,
}

impl Serving {
    /// No target yet.
    pub(super) fn new(processes: Processes, keepalive: Keepalive, metadata: MetadataDoor) -> Self {
        Self {
            targets: Targets::default(),
            processes,
            keepalive,
            metadata,
            discard: vec![0; DISCARD_BYTES].into_boxed_slice(),
        }
    }

    /// Processes that are ours to wait for.
    pub(super) fn process_count(&self) -> usize {
        self.processes.len()
    }

    /// Some target can be read; one that somebody listens to only if the link has room.
    pub(super) fn has_ready(&self, link_has_room: bool) -> bool {
        self.targets.has_ready(link_has_room)
    }

    /// When the next dial goes on to its next address, or a process has had its time to end.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let all = [self.targets.next_dial(), self.processes.next_kill()];
        all.into_iter().flatten().min()
    }

    /// A process of somebody else's is ours to wait for as well.
    pub(super) fn track(&mut self, pid: Pid, owner: usize) {
        self.processes.track(pid, owner);
    }

    /// Carries out what a session asks for.
    pub(super) fn carry_out(&mut self, now: Instant, ground: &mut Ground, output: Output) {
        match output {
            Output::Dial {
                target,
                user,
                place,
                reaches_metadata,
            } => {
                let asker = Asker::Target {
                    user: user.number(),
                };
                self.dial(now, ground, target, (asker, reaches_metadata), place);
            }
            Output::Spawn { target, program } => self.spawn(now, ground, target, *program),
            Output::Resize { target, size } => {
                if let Some(Entry {
                    descriptors: Descriptors::Terminal(master, _),
                    ..
                }) = self.targets.get(target)
                {
                    processes::resize(master, size);
                }
            }
            Output::Examine { target } => {
                let size = self
                    .targets
                    .get(target)
                    .map_or(0, |entry| entry.held_by_kernel());
                let report = Report::InKernel { size };
                ground.agent.handle_report(now, target, report);
            }
            Output::HastenEnds => self.processes.revoke(now),
            Output::Close { target, reset, end } => self.close(now, ground, target, reset, end),
            Output::AskPeer { target } => {
                if let Some(peer) = self.targets.get(target).map(|entry| entry.peer()) {
                    ground.agent.handle_report(now, target, Report::Peer(peer));
                }
            }
        }
    }

    fn dial(
        &mut self,
        now: Instant,
        ground: &mut Ground,
        target: TargetId,
        (asker, reaches_metadata): (Asker, bool),
        place: Where,
    ) {
        let descriptors = Descriptors::Resolving { reaches_metadata };
        self.targets.insert(target, descriptors, Vec::new());
        let number = target.0.to_bits();
        let addresses = match place {
            Where::Name { host, port } => {
                ground.look_up(now, &host, asker, NameRequest { number, port })
            }
            Where::Service(name) => {
                let request = NameRequest { number, port: 0 };
                ground.look_up_service(now, &name, asker, request);
                None
            }
            Where::Peer(address) => Some(Ok(vec![address])),
        };
        if let Some(addresses) = addresses {
            self.resolved(now, ground, number, addresses);
        }
    }

    /// The addresses of a target's name have come.
    pub(super) fn resolved(
        &mut self,
        now: Instant,
        ground: &mut Ground,
        number: u64,
        addresses: Addresses,
    ) {
        let target = TargetId(Key::from_bits(number));
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        let is_open = matches!(
            entry.descriptors,
            Descriptors::Resolving {
                reaches_metadata: true
            }
        );
        match addresses {
            Ok(mut addresses) => {
                let metadata = &self.metadata;
                addresses.retain(|at| is_open || !metadata.is_shut(at.ip()));
                if addresses.is_empty() {
                    return failed(now, ground, target, Unreached::because(dial::SHUT));
                }
                dial::tell_addresses(&|| of_session(ground, target), &addresses);
                entry.descriptors =
                    Descriptors::Dialling(Dial::new(Targets::token(target), addresses));
                self.advance_dial(now, ground, target);
            }
            Err(error) => {
                failed(now, ground, target, Unreached::because(&error.to_string()));
            }
        }
    }

    /// The hosts of a service have come.
    pub(super) fn found(
        &mut self,
        now: Instant,
        ground: &mut Ground,
        number: u64,
        service: Result<Service, LookupError>,
    ) {
        let target = TargetId(Key::from_bits(number));
        match service {
            Ok(service) => {
                let report = Report::Told(&service);
                ground.agent.handle_report(now, target, report);
            }
            Err(error) => {
                let text = ["its hosts (SRV _mongodb._tcp): ", &error.to_string()].concat();
                failed(now, ground, target, Unreached::because(&text));
            }
        }
    }

    /// Goes on where an address does not answer.
    pub(super) fn advance_dials(&mut self, now: Instant, ground: &mut Ground) {
        while let Some(target) = self.targets.overdue_dial(now) {
            self.advance_dial(now, ground, target);
        }
    }

    fn advance_dial(&mut self, now: Instant, ground: &mut Ground, target: TargetId) {
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        let Descriptors::Dialling(dial) = &mut entry.descriptors else {
            return;
        };
        match dial.advance(now, ground.registry()) {
            DialProgress::Pending => {
                let at = dial.next_at();
                self.targets.watch_dial(target, at);
            }
            DialProgress::Connected(socket, peer) => {
                dial::set_up(&socket, self.keepalive);
                entry.descriptors = Descriptors::Socket(socket);
                entry.mark_writable();
                let report = Report::Started { peer: Some(peer) };
                ground.agent.handle_report(now, target, report);
                self.targets.mark_readable(target, Channel::Output);
            }
            DialProgress::Failed(tried) => {
                let why = Unreached {
                    reason: &tried.reason(),
                    is_silence: tried.kind() == io::ErrorKind::TimedOut,
                };
                failed(now, ground, target, why);
            }
        }
    }

    fn spawn(&mut self, now: Instant, ground: &mut Ground, target: TargetId, program: Program) {
        let is_told = log::log_enabled!(log::Level::Debug);
        let name = program.argv.first().filter(|_| is_told);
        let name = name.map(|name| name.to_string_lossy().into_owned());
        match self.processes.spawn(program) {
            Ok(spawned) => {
                if let Some(name) = name {
                    // Arguments may be secrets, or hold them.
                    let pid = machine::led_by(spawned.pid());
                    let fields = of_session(ground, target).text("program", &name);
                    log::debug!("{}command started", fields.number("pid", pid));
                }
                self.started(now, ground, target, spawned);
            }
            Err(failure) => {
                let (code, text) = (failure.code, &failure.text[..]);
                let report = Report::NotSpawned { code, text };
                ground.agent.handle_report(now, target, report);
            }
        }
    }

    fn started(&mut self, now: Instant, ground: &mut Ground, target: TargetId, spawned: Spawned) {
        let registry = ground.registry();
        let owner = target.0.index();
        let (pid, streams, files, kept) = self.processes.keep(registry, spawned, owner);
        let descriptors = kept.and_then(|()| match streams {
            ProcessStreams::Pipes(child) => Entry::pipes(child, target, registry),
            ProcessStreams::Terminal(child) => Entry::terminal(child, target, registry),
        });
        match descriptors {
            Ok(descriptors) => {
                self.targets.insert(target, descriptors, files);
                let report = Report::Started { peer: None };
                ground.agent.handle_report(now, target, report);
            }
            Err(error) => {
                self.processes.end(now, pid, End::Forced);
                let text = &format!("failed starting command, reason={error}");
                let report = Report::NotSpawned { code: 1, text };
                ground.agent.handle_report(now, target, report);
            }
        }
    }

    /// The kernel says something of a target's source.
    pub(super) fn note(&mut self, now: Instant, ground: &mut Ground, event: &Event) {
        let is_readable = event.is_readable() || event.is_read_closed() || event.is_error();
        let is_writable = event.is_writable() || event.is_write_closed() || event.is_error();
        match self.targets.port(event.token()) {
            Some(Port::Output(id)) => self.note_main(now, ground, id, is_readable, is_writable),
            Some(Port::Error(id)) => self.targets.mark_readable(id, Channel::Error),
            Some(Port::Input(id)) => {
                if let Some(entry) = self.targets.get(id) {
                    entry.mark_writable();
                }
                self.flush(now, ground, id);
            }
            None => {}
        }
    }

    /// The socket, the terminal or the output.
    fn note_main(
        &mut self,
        now: Instant,
        ground: &mut Ground,
        id: TargetId,
        is_readable: bool,
        is_writable: bool,
    ) {
        let Some(entry) = self.targets.get(id) else {
            return;
        };
        if matches!(entry.descriptors, Descriptors::Dialling(_)) {
            return self.advance_dial(now, ground, id);
        }
        if is_writable {
            entry.mark_writable();
            self.flush(now, ground, id);
        }
        if is_readable {
            self.targets.mark_readable(id, Channel::Output);
        }
    }

    /// Writes what waits for a target, as far as it takes it.
    pub(super) fn flush(&mut self, now: Instant, ground: &mut Ground, id: TargetId) {
        let needs_room = ground.agent.needs_room(id);
        self.targets.set_needs_room(id, needs_room);
        // A probe that nobody read for a while may have got a reader.
        self.targets.queue_read(id, Channel::Output);
        let Some(entry) = self.targets.get(id) else {
            return;
        };
        while entry.is_writable() {
            let mut slices = [IoSlice::new(&[]); WRITE_PARTS_MAX];
            let mut count = 0;
            for (slice, part) in slices.iter_mut().zip(ground.agent.pending_parts(id)) {
                *slice = IoSlice::new(part);
                count += 1;
            }
            if count == 0 {
                break;
            }
            match entry.write(&slices[..count]) {
                Ok(0) => break,
                Ok(size) => ground.agent.handle_report(now, id, Report::Wrote { size }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    ground.agent.handle_report(now, id, Report::Broke);
                    break;
                }
            }
        }
        if ground.agent.take_shutdown(id) {
            entry.shut_write();
        }
    }

    /// One read of the target whose turn it is, of those that need room of the link or of the others;
    /// `false` when none is ready.
    pub(super) fn read_next(
        &mut self,
        now: Instant,
        ground: &mut Ground,
        needs_room: bool,
    ) -> bool {
        let next = self.targets.next_in_line(needs_room);
        next.is_some_and(|(id, channel)| {
            self.read(now, ground, id, channel);
            true
        })
    }

    fn read(&mut self, now: Instant, ground: &mut Ground, id: TargetId, channel: Channel) {
        let size_max = ground.agent.payload_max();
        let Some(entry) = self.targets.get(id) else {
            return;
        };
        if !ground.agent.wants_read(id, channel) {
            return;
        }
        let result = match ground.agent.read_slot(id, channel, size_max) {
            Some(slot) => entry.read(channel, slot),
            // Nobody listens any more, but the end must be seen.
            None => match entry.read(channel, &mut self.discard) {
                Ok(size @ 1..) => {
                    debug_assert!(size <= limits::PAYLOAD_BYTES_MAX);
                    let report = Report::Received { size };
                    ground.agent.handle_report(now, id, report);
                    return self.targets.queue_read(id, channel);
                }
                other => other,
            },
        };
        match result {
            Ok(0) => ground
                .agent
                .handle_report(now, id, Report::Ended { channel }),
            Ok(size) => {
                let report = Report::Received { size };
                ground.agent.handle_report(now, id, report);
                ground.saw_traffic(now);
                self.targets.queue_read(id, channel);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.targets.queue_read(id, channel);
            }
            Err(_) => {
                ground
                    .agent
                    .handle_report(now, id, Report::Ended { channel });
                ground.agent.handle_report(now, id, Report::Broke);
            }
        }
    }

    fn close(&mut self, now: Instant, ground: &mut Ground, id: TargetId, reset: bool, end: End) {
        let Some(entry) = self.targets.remove(id) else {
            return;
        };
        if let Descriptors::Resolving { .. } = entry.descriptors {
            ground.resolver.cancel(id.0.to_bits());
        }
        if reset {
            entry.arm_reset();
        }
        let process = entry.pid();
        // The terminal hangs up, pipes and files go, before anybody is signalled.
        drop(entry);
        if let Some(pid) = process {
            self.processes.end(now, pid, end);
        }
    }

    /// A process that has ended; call until `None`.
    pub(super) fn poll_ended(&mut self) -> Option<EndedProcess> {
        self.processes.poll_ended()
    }

    /// A guardian has something to say: perhaps that its process has ended.
    pub(super) fn heard_guardian(&mut self, token: Token) -> Option<EndedProcess> {
        self.processes.heard(token)
    }

    /// Tells the core which of its processes that was.
    pub(super) fn process_ended(
        &mut self,
        now: Instant,
        ground: &mut Ground,
        ended: &EndedProcess,
    ) {
        // Nobody asks any more how the leader of an ended session ended.
        let found = self.targets.by_index(ended.owner);
        let found = found.filter(|entry| entry.pid() == Some(ended.pid));
        if let Some(id) = found.map(|entry| entry.id) {
            // What it said last may be unread still, and the read finds out that it was the last.
            let report = Report::Exited(ended.exit);
            ground.agent.handle_report(now, id, report);
        }
    }

    /// Kills processes that had their time to end.
    pub(super) fn kill_overdue(&mut self, now: Instant) {
        self.processes.kill_overdue(now);
    }

    /// The program is leaving: every process of every session gets a moment, then none is left.
    pub(super) fn end_processes(&mut self, ground: &mut Ground, events: &mut Events) {
        let start = Instant::now();
        self.processes.end_all(start, LAST_GRACE);
        // Whoever can't be killed now, since the kernel holds it, is killed without us.
        let until = start + 2 * LAST_GRACE;
        loop {
            let now = Instant::now();
            while self.processes.poll_ended().is_some() {}
            self.processes.kill_overdue(now);
            let next = self.processes.next_kill().unwrap_or(until).min(until);
            let left = next.saturating_duration_since(now);
            if self.processes.is_empty() || now >= until || !ground.wait_at_most(left, events) {
                break;
            }
        }
        self.processes.clear();
    }
}

/// Of the session that a target is for.
fn of_session(ground: &Ground, target: TargetId) -> Fields {
    Fields::of_session(ground.agent.sessions().session_of(target))
}

/// The target could not be reached.
fn failed(now: Instant, ground: &mut Ground, target: TargetId, why: Unreached<'_>) {
    ground.agent.handle_report(now, target, Report::Failed(why));
}
