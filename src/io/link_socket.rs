//! The reactor's half that serves the link: one socket, read before and written after everything else.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::Events;
use mio::net::TcpStream;

use super::dial::{self, Dial, Dialled};
use super::reactor::{LINK_REQUEST, Reactor, TOKEN_LINK};
use crate::agent::Wait;
use crate::limits;
use crate::os::resolve::{Addresses, Asker, Request};
use crate::os::sys;

/// Reads of the link in one turn, so that targets are served in between.
const LINK_READS_PER_TURN: usize = 4;

/// After a goodbye: how long the socket may take the last bytes.
const LAST_WRITE_MAX: Duration = Duration::from_secs(1);

/// The link's socket.
pub enum LinkSocket {
    /// There is none.
    None,
    /// The gateway's name is being resolved.
    Resolving,
    /// One of its addresses is being connected.
    Dialling(Dial),
    /// Connected, with what the kernel said last.
    Open {
        /// The connection.
        socket: TcpStream,
        /// A read is worth trying.
        is_readable: bool,
        /// A write is worth trying.
        is_writable: bool,
        /// What the socket waits for.
        wait: Wait,
    },
}

impl LinkSocket {
    /// What the kernel says of it.
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        if let Self::Open {
            is_readable,
            is_writable,
            ..
        } = self
        {
            *is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            *is_writable |= event.is_writable() || event.is_write_closed();
        }
    }

    /// A read is worth trying.
    pub(super) fn is_readable(&self) -> bool {
        let Self::Open { is_readable, .. } = self else {
            return false;
        };
        *is_readable
    }

    /// When the next address is to be tried beside the one that is being connected.
    pub(super) fn next_dial(&self) -> Option<Instant> {
        let Self::Dialling(dial) = self else {
            return None;
        };
        dial.next_at()
    }
}

impl Reactor {
    /// Where no link has worked since, addresses that took a connection already come last.
    pub(super) fn dial_link(&mut self, now: Instant, host: &str, port: u16, is_afresh: bool) {
        if is_afresh {
            self.suspects.clear();
        }
        self.link = LinkSocket::Resolving;
        let (number, asker) = (LINK_REQUEST, Asker::Link);
        if let Some(addresses) = self.look_up(now, host, asker, Request { number, port }) {
            self.link_resolved(now, addresses);
        }
    }

    /// The addresses of `host`, if they are known already; else they come to [`Reactor::resolved`].
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        host: &str,
        asker: Asker,
        request: Request,
    ) -> Option<Addresses> {
        let registry = self.poll.registry();
        let known = self.resolver.submit(now, host, asker, request, registry);
        if known.is_none() {
            // Making room for it may have ended another.
            self.resolved(now);
        }
        known
    }

    pub(super) fn link_resolved(&mut self, now: Instant, addresses: Addresses) {
        let LinkSocket::Resolving = self.link else {
            return;
        };
        match addresses {
            Ok(addresses) => {
                if let Some(reason) = self.forbids(&addresses) {
                    self.link = LinkSocket::None;
                    let advice = "use a grpcs:// key, or leave --refuse-plaintext away";
                    return self.agent.link_unreachable(now, &reason, advice);
                }
                let suspects = &self.suspects;
                let is_suspect = |address: &SocketAddr| suspects.contains(address);
                let (last, mut order): (Vec<_>, Vec<_>) =
                    addresses.into_iter().partition(is_suspect);
                if order.is_empty() {
                    // Each has had its turn.
                    self.suspects.clear();
                }
                order.extend(last);
                self.link = LinkSocket::Dialling(Dial::new(TOKEN_LINK, order));
                self.advance_link_dial(now);
            }
            Err(error) => {
                self.link = LinkSocket::None;
                let reason = error.to_string();
                self.agent.link_unreachable(now, &reason, error.advice());
            }
        }
    }

    /// The address of a link that may yet turn out to be of no use.
    fn suspect(&mut self, socket: &TcpStream) {
        if let Ok(address) = socket.peer_addr() {
            self.suspects.truncate(limits::SUSPECTS_MAX - 1);
            self.suspects.insert(0, address);
        }
    }

    pub(super) fn advance_link_dial(&mut self, now: Instant) {
        let LinkSocket::Dialling(dial) = &mut self.link else {
            return;
        };
        match dial.advance(now, self.poll.registry()) {
            Dialled::Pending => {}
            Dialled::Connected(socket, _) => {
                tune_link(&socket);
                self.suspect(&socket);
                self.link = LinkSocket::Open {
                    socket,
                    is_readable: true,
                    is_writable: true,
                    wait: Wait::AT_ONCE,
                };
                self.agent.link_connected(now);
            }
            Dialled::Failed(error) => {
                self.link = LinkSocket::None;
                let advice = dial::advice(error.kind());
                self.agent
                    .link_unreachable(now, &dial::outcome(&error), advice);
            }
        }
    }

    /// Lets bytes gather in the socket as long as the core likes. Where the system has no such
    /// mark, or refuses it, they are read as they come.
    pub(super) fn gather_link(&mut self, now: Instant) {
        let wanted = self.agent.link_wait(now);
        let LinkSocket::Open { socket, wait, .. } = &mut self.link else {
            return;
        };
        if wanted.low_water != wait.low_water
            && sys::set_low_water(socket.as_fd(), wanted.low_water).is_err()
        {
            *wait = Wait::AT_ONCE;
            return;
        }
        *wait = wanted;
    }

    /// When the link is to be read although the socket has not asked for it.
    pub(super) fn gathered_at(&self) -> Option<Instant> {
        match &self.link {
            LinkSocket::Open { wait, .. } => wait.until,
            _ => None,
        }
    }

    /// What has gathered until now is read, however little it is.
    pub(super) fn end_gathering(&mut self, now: Instant) {
        if let LinkSocket::Open {
            is_readable, wait, ..
        } = &mut self.link
            && wait.until.is_some_and(|until| now >= until)
        {
            *is_readable = true;
        }
    }

    pub(super) fn read_link(&mut self, now: Instant) {
        for _ in 0..LINK_READS_PER_TURN {
            let LinkSocket::Open {
                socket,
                is_readable,
                ..
            } = &mut self.link
            else {
                return;
            };
            if !*is_readable {
                return;
            }
            let Some(buffer) = self.agent.link_read_buffer() else {
                return;
            };
            match socket.read(buffer) {
                Ok(0) => {
                    *is_readable = false;
                    self.agent
                        .link_broke(now, "the gateway closed the connection");
                }
                Ok(size) => {
                    // Less than asked for: the socket is empty, and more makes a new event.
                    *is_readable = size == buffer.len();
                    self.saw_traffic(now);
                    self.agent.link_received(now, size);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    *is_readable = false;
                    self.agent.link_broke(now, &error.to_string());
                }
            }
            self.settle(now);
        }
    }

    pub(super) fn write_link(&mut self, now: Instant) {
        loop {
            let pending = self.agent.grant_and_encrypt(now);
            let LinkSocket::Open {
                socket,
                is_writable,
                ..
            } = &mut self.link
            else {
                break;
            };
            if pending.is_empty() || !*is_writable {
                break;
            }
            match socket.write(pending) {
                Ok(size) => {
                    self.agent.link_sent(now, size);
                    self.saw_traffic(now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    *is_writable = false;
                    self.agent.link_broke(now, &error.to_string());
                }
            }
        }
        self.settle(now);
    }

    /// One attempt to send what is pending, then the end of the socket.
    pub(super) fn close_link(&mut self, now: Instant) {
        self.resolver.cancel(LINK_REQUEST);
        if let LinkSocket::Open { mut socket, .. } =
            std::mem::replace(&mut self.link, LinkSocket::None)
        {
            // The peer may be past listening; nothing depends on it.
            let _ = socket.write(self.agent.grant_and_encrypt(now));
        }
        self.agent.link_closed();
    }

    /// Gives the socket a moment to take the goodbye, then ends every process.
    pub(super) fn last_words(&mut self, events: &mut Events) {
        let until = Instant::now() + LAST_WRITE_MAX;
        loop {
            let now = Instant::now();
            self.write_link(now);
            let is_done = !matches!(self.link, LinkSocket::Open { .. })
                || self.agent.grant_and_encrypt(now).is_empty();
            let left = until.saturating_duration_since(now);
            if is_done || left.is_zero() || !self.wait_at_most(left, events) {
                break;
            }
            for event in events.iter().filter(|event| event.token() == TOKEN_LINK) {
                self.link.note(event);
            }
        }
        self.link = LinkSocket::None;
        self.end_processes(events);
    }
}

/// TCP keep-alive, for the time in which nothing is under way that could time out: first probe,
/// further probes, and how many of them may go unanswered.
const PROBE_AFTER_S: i32 = 10;
const PROBE_EVERY_S: i32 = 5;
const PROBES_MAX: i32 = 2;

/// Keystrokes leave at once, a vanished peer is noticed, and little waits unsent in the kernel.
fn tune_link(socket: &TcpStream) {
    let silence_ms = u32::try_from(limits::LINK_SILENCE_MAX.as_millis()).unwrap_or(u32::MAX);
    let results = [
        socket.set_nodelay(true),
        sys::set_user_timeout(socket.as_fd(), silence_ms),
        sys::set_keepalive(socket.as_fd(), PROBE_AFTER_S, PROBE_EVERY_S, PROBES_MAX),
    ];
    for error in results.into_iter().filter_map(Result::err) {
        ::log::debug!("a socket option of the link was refused: {error}");
    }
}
