//! The reactor's half that serves targets: dial, spawn, read, write, reap.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::{Events, Token};

use super::dial::{self, Dial, Dialled};
use super::reactor::{Keepalive, Reactor};
use super::targets::{Endpoint, Entry, Targets};
use crate::base::Key;
use crate::limits;
use crate::os::foreground::Foreground;
use crate::os::processes::{self, Ended, Spawned, Streams};
use crate::os::resolve::{Addresses, Asker, Request};
use crate::os::sys;
use crate::session::{Channel, End, Output, Report, TargetId, Where};

/// Reads of all targets together in one turn, so that the link is written in between.
const READS_PER_TURN: usize = 64;

/// Before these, reads of targets that need no room of the link.
const UNBOUND_READS_PER_TURN: usize = 4;

/// Parts of a queue in one write, of 64 KiB each: what one read of the link brings at most.
const WRITE_PARTS_MAX: usize = 4;

/// After the goodbye, processes get this long before they are killed.
const LAST_GRACE: Duration = Duration::from_millis(500);

impl Reactor {
    pub(super) fn carry_out_session(&mut self, now: Instant, output: Output) {
        match output {
            Output::Dial {
                target,
                user,
                place,
            } => {
                let asker = Asker::Target {
                    user: user.number(),
                };
                self.dial(now, target, asker, place);
            }
            Output::Spawn { target, program } => match self.processes.spawn(*program) {
                Ok(spawned) => self.started(now, target, spawned),
                Err(failure) => {
                    let (code, text) = (failure.code, &failure.text[..]);
                    let report = Report::NotSpawned { code, text };
                    self.agent.handle_report(now, target, report);
                }
            },
            Output::Resize { target, size } => {
                if let Some(Entry {
                    endpoint: Endpoint::Terminal(master, _),
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
                self.agent.handle_report(now, target, report);
            }
            Output::HastenEnds => self.processes.revoke(now),
            Output::Close { target, reset, end } => self.close_target(now, target, reset, end),
            Output::AskPeer { target } => {
                if let Some(peer) = self.targets.get(target).map(|entry| entry.peer()) {
                    self.agent.handle_report(now, target, Report::Peer(peer));
                }
            }
        }
    }

    fn dial(&mut self, now: Instant, target: TargetId, asker: Asker, place: Where) {
        self.targets.insert(target, Endpoint::Resolving, Vec::new());
        let number = target.0.to_bits();
        let addresses = match place {
            Where::Name { host, port } => self.look_up(now, &host, asker, Request { number, port }),
            Where::Peer(address) => Some(Ok(vec![address])),
        };
        if let Some(addresses) = addresses {
            self.target_resolved(now, number, addresses);
        }
    }

    pub(super) fn target_resolved(&mut self, now: Instant, number: u64, addresses: Addresses) {
        let target = TargetId(Key::from_bits(number));
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        match addresses {
            Ok(addresses) => {
                entry.endpoint = Endpoint::Dialling(Dial::new(Targets::token(target), addresses));
                self.advance_dial(now, target);
            }
            Err(error) => self.target_failed(now, target, &error.to_string()),
        }
    }

    /// Goes on where an address does not answer, for the link and for every target that is dialled.
    pub(super) fn advance_dials(&mut self, now: Instant) {
        self.advance_link_dial(now);
        while let Some(target) = self.targets.overdue_dial(now) {
            self.advance_dial(now, target);
        }
    }

    pub(super) fn next_dial(&self) -> Option<Instant> {
        let all = [
            self.link.next_dial(),
            self.second.next_dial(),
            self.targets.next_dial(),
        ];
        all.into_iter().flatten().min()
    }

    fn advance_dial(&mut self, now: Instant, target: TargetId) {
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        let Endpoint::Dialling(dial) = &mut entry.endpoint else {
            return;
        };
        match dial.advance(now, self.poll.registry()) {
            Dialled::Pending => {
                let at = dial.next_at();
                self.targets.watch_dial(target, at);
            }
            Dialled::Connected(socket, peer) => {
                // Interactive protocols suffer from delayed small writes; nothing else would.
                let _ = socket.set_nodelay(true);
                // Without it a stall shows later.
                let _ = sys::set_unsent_max(socket.as_fd(), limits::TARGET_UNSENT_BYTES);
                let Keepalive {
                    after_s,
                    every_s,
                    probes,
                } = self.keepalive;
                let _ = sys::set_keepalive(socket.as_fd(), after_s, every_s, probes);
                entry.endpoint = Endpoint::Socket(socket);
                entry.mark_writable();
                let report = Report::Started { peer: Some(peer) };
                self.agent.handle_report(now, target, report);
                self.targets.mark_readable(target, Channel::Output);
            }
            Dialled::Failed(error) => self.target_failed(now, target, &dial::reason(&error)),
        }
    }

    fn target_failed(&mut self, now: Instant, target: TargetId, reason: &str) {
        let report = Report::Failed { reason };
        self.agent.handle_report(now, target, report);
    }

    fn started(&mut self, now: Instant, target: TargetId, spawned: Spawned) {
        let registry = self.poll.registry();
        let owner = target.0.index();
        let (pid, streams, files, kept) = self.processes.keep(registry, spawned, owner);
        let endpoint = kept.and_then(|()| match streams {
            Streams::Pipes(child) => Entry::pipes(child, target, registry),
            Streams::Terminal(child) => Entry::terminal(child, target, registry),
        });
        match endpoint {
            Ok(endpoint) => {
                self.targets.insert(target, endpoint, files);
                let report = Report::Started { peer: None };
                self.agent.handle_report(now, target, report);
            }
            Err(error) => {
                self.processes.end(now, pid, End::Forced);
                let text = &format!("failed starting command, reason={error}");
                let report = Report::NotSpawned { code: 1, text };
                self.agent.handle_report(now, target, report);
            }
        }
    }

    pub(super) fn note_target(
        &mut self,
        now: Instant,
        id: TargetId,
        readable: bool,
        writable: bool,
    ) {
        let Some(entry) = self.targets.get(id) else {
            return;
        };
        if matches!(entry.endpoint, Endpoint::Dialling(_)) {
            return self.advance_dial(now, id);
        }
        if writable {
            entry.mark_writable();
            self.flush_target(now, id);
        }
        if readable {
            self.targets.mark_readable(id, Channel::Output);
        }
    }

    /// Writes what waits for a target, as far as it takes it.
    pub(super) fn flush_target(&mut self, now: Instant, id: TargetId) {
        self.targets.set_needs_room(id, self.agent.needs_room(id));
        // A probe that nobody read for a while may have got a reader.
        self.targets.queue_read(id, Channel::Output);
        let Some(entry) = self.targets.get(id) else {
            return;
        };
        while entry.is_writable() {
            let mut slices = [IoSlice::new(&[]); WRITE_PARTS_MAX];
            let mut count = 0;
            for (slice, part) in slices.iter_mut().zip(self.agent.pending_parts(id)) {
                *slice = IoSlice::new(part);
                count += 1;
            }
            if count == 0 {
                break;
            }
            match entry.write(&slices[..count]) {
                Ok(0) => break,
                Ok(size) => self.agent.handle_report(now, id, Report::Wrote { size }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.agent.handle_report(now, id, Report::Broke);
                    break;
                }
            }
        }
        if self.agent.take_shutdown(id) {
            entry.shut_write();
        }
    }

    /// Reads ready targets in rotation while the link takes more, and those that need none of its room in any
    /// case.
    pub(super) fn read_targets(&mut self, now: Instant) {
        for _ in 0..UNBOUND_READS_PER_TURN {
            let Some((id, channel)) = self.targets.next_unbound() else {
                break;
            };
            self.read_target(now, id, channel);
            self.settle(now);
        }
        for _ in 0..READS_PER_TURN {
            if !self.agent.has_room() {
                // The link may have been waiting for exactly this.
                self.write_link(now);
                if !self.agent.has_room() {
                    return;
                }
            }
            let Some((id, channel)) = self.targets.next_ready() else {
                return;
            };
            self.read_target(now, id, channel);
            self.settle(now);
        }
    }

    fn read_target(&mut self, now: Instant, id: TargetId, channel: Channel) {
        let size_max = self.agent.payload_max();
        let Some(entry) = self.targets.get(id) else {
            return;
        };
        if !self.agent.wants_read(id, channel) {
            return;
        }
        let result = match self.agent.read_slot(id, channel, size_max) {
            Some(slot) => entry.read(channel, slot),
            // Nobody listens any more, but the end must be seen.
            None => match entry.read(channel, &mut self.discard) {
                Ok(size @ 1..) => {
                    debug_assert!(size <= limits::PAYLOAD_BYTES_MAX);
                    return self.targets.queue_read(id, channel);
                }
                other => other,
            },
        };
        match result {
            Ok(0) => self.agent.handle_report(now, id, Report::Ended { channel }),
            Ok(size) => {
                let report = Report::Received { size };
                self.agent.handle_report(now, id, report);
                self.saw_traffic(now);
                self.targets.queue_read(id, channel);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.targets.queue_read(id, channel);
            }
            Err(_) => {
                self.agent.handle_report(now, id, Report::Ended { channel });
                self.agent.handle_report(now, id, Report::Broke);
            }
        }
    }

    fn close_target(&mut self, now: Instant, id: TargetId, reset: bool, end: End) {
        let Some(entry) = self.targets.remove(id) else {
            return;
        };
        if let Endpoint::Resolving = entry.endpoint {
            self.resolver.cancel(id.0.to_bits());
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

    /// Tells the core which processes have ended.
    pub(super) fn reap(&mut self, now: Instant) {
        while let Some(ended) = self.processes.poll_ended() {
            self.process_ended(now, &ended);
        }
    }

    /// A guardian has something to say.
    pub(super) fn note_guardian(&mut self, now: Instant, token: Token) {
        if let Some(ended) = self.processes.heard(token) {
            self.process_ended(now, &ended);
        }
    }

    fn process_ended(&mut self, now: Instant, ended: &Ended) {
        let program = self.foreground.as_ref().map(Foreground::pid);
        if program == Some(ended.pid) {
            return self.foreground_ended(now, ended.exit.code());
        }
        // Nobody asks any more how the leader of an ended session ended.
        let found = self.targets.by_index(ended.owner);
        let found = found.filter(|entry| entry.pid() == Some(ended.pid));
        if let Some(id) = found.map(|entry| entry.id) {
            // What it said last may be unread still, and the read finds out that it was the last.
            let report = Report::Exited(ended.exit);
            self.agent.handle_report(now, id, report);
        }
    }

    /// The program is leaving: every process of every session gets a moment, then none is left.
    pub(super) fn end_processes(&mut self, events: &mut Events) {
        let start = Instant::now();
        self.settle(start);
        self.processes.end_all(start, LAST_GRACE);
        // Whoever can't be killed now, since the kernel holds it, is killed without us.
        let until = start + 2 * LAST_GRACE;
        loop {
            let now = Instant::now();
            while self.processes.poll_ended().is_some() {}
            self.processes.kill_overdue(now);
            let next = self.processes.next_kill().unwrap_or(until).min(until);
            let left = next.saturating_duration_since(now);
            if self.processes.is_empty() || now >= until || !self.wait_at_most(left, events) {
                break;
            }
        }
        self.processes.clear();
    }
}
