//! The link's socket: dialled, read before and written after everything else, and closed.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use mio::net::TcpStream;

use super::dial::{self, Dial, DialProgress};
use super::gateway_socket::{GatewaySocket, OpenSocket};
use super::ground::Ground;
use super::tokens;
use crate::agent::Wait;
use crate::base::Fields;
use crate::limits;
use crate::os::resolve::{Addresses, Asker, NameRequest};
use crate::os::sys;

/// See the module.
pub(super) struct LinkSocket {
    socket: GatewaySocket,
    /// What it waits for while it is open.
    wait: Wait,
    /// Addresses that took a connection since the last link that worked.
    suspects: Vec<SocketAddr>,
    /// Whose addresses are asked for, and when it is to be said that they do not come.
    asked: Option<(Instant, String)>,
}

impl LinkSocket {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            socket: GatewaySocket::None,
            wait: Wait::AT_ONCE,
            suspects: Vec::new(),
            asked: None,
        }
    }

    /// What the kernel says of it.
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        self.socket.note(event);
    }

    /// A read is worth trying.
    pub(super) fn is_readable(&self) -> bool {
        self.socket.is_readable()
    }

    /// When the next address is to be tried.
    pub(super) fn next_dial(&self) -> Option<Instant> {
        let told_at = self.asked.as_ref().map(|(at, _)| *at);
        self.socket.next_dial().or(told_at)
    }

    /// Where no link has worked since, addresses that took a connection already come last.
    pub(super) fn dial(
        &mut self,
        now: Instant,
        ground: &mut Ground,
        (host, port): (&str, u16),
        is_afresh: bool,
    ) {
        if is_afresh {
            self.suspects.clear();
        }
        self.socket = GatewaySocket::Resolving;
        self.asked = Some((now + limits::LOOKUP_PATIENCE, host.to_owned()));
        let number = tokens::LINK_REQUEST;
        if let Some(addresses) =
            ground.look_up(now, host, Asker::Link, NameRequest { number, port })
        {
            self.resolved(now, ground, addresses);
        }
    }

    /// The name's addresses have come.
    pub(super) fn resolved(&mut self, now: Instant, ground: &mut Ground, addresses: Addresses) {
        let GatewaySocket::Resolving = self.socket else {
            return;
        };
        self.asked = None;
        match addresses {
            Ok(addresses) => {
                dial::tell_addresses(&Fields::default, &addresses);
                if let Some(reason) = ground.forbids(&addresses) {
                    self.socket = GatewaySocket::None;
                    let advice = "use a grpcs:// key, or leave --refuse-plaintext away";
                    return ground.agent.link_unreachable(now, &reason, advice);
                }
                let order = self.suspects_last(addresses);
                self.socket = GatewaySocket::Dialling(Dial::new(tokens::LINK, order));
                self.advance_dial(now, ground);
            }
            Err(error) => {
                self.socket = GatewaySocket::None;
                let reason = error.to_string();
                ground.agent.link_unreachable(now, &reason, error.advice());
            }
        }
    }

    fn suspects_last(&mut self, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let is_suspect = |address: &SocketAddr| self.suspects.contains(address);
        let (last, mut order): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_suspect);
        if order.is_empty() {
            // Each has had its turn.
            self.suspects.clear();
        }
        order.extend(last);
        order
    }

    /// The address of a link that may yet turn out to be of no use.
    fn suspect(&mut self, socket: &TcpStream) {
        if let Ok(address) = socket.peer_addr() {
            self.suspects.truncate(limits::SUSPECTS_MAX - 1);
            self.suspects.insert(0, address);
        }
    }

    /// Goes on where an address has answered, has failed or does not answer.
    pub(super) fn advance_dial(&mut self, now: Instant, ground: &mut Ground) {
        if let Some((_, host)) = self.asked.take_if(|(at, _)| *at <= now) {
            let seconds = limits::LOOKUP_PATIENCE.as_secs();
            let text = format!("no name server has answered for {host} in {seconds} s");
            ::log::warn!("{text}: check the servers in /etc/resolv.conf and the way to them");
            ground.agent.link_tried(text);
        }
        let GatewaySocket::Dialling(dial) = &mut self.socket else {
            return;
        };
        match dial.advance(now, ground.registry()) {
            DialProgress::Pending => ground.agent.link_tried(dial.news()),
            DialProgress::Connected(stream, _) => {
                tune(&stream);
                self.suspect(&stream);
                self.socket = GatewaySocket::open(stream);
                self.wait = Wait::AT_ONCE;
                ground.agent.link_connected(now);
            }
            DialProgress::Failed(tried) => {
                self.socket = GatewaySocket::None;
                let advice = dial::advice(tried.kind());
                ground.agent.link_unreachable(now, &tried.outcome(), advice);
            }
        }
    }

    /// Lets bytes gather in the socket as long as the core likes. Where the system has no such
    /// mark, or refuses it, they are read as they come.
    pub(super) fn gather(&mut self, now: Instant, ground: &mut Ground) {
        let wanted = ground.agent.link_wait(now);
        let Some(socket) = self.socket.opened() else {
            return;
        };
        if wanted.low_water != self.wait.low_water
            && sys::set_low_water(socket.stream.as_fd(), wanted.low_water).is_err()
        {
            self.wait = Wait::AT_ONCE;
            return;
        }
        self.wait = wanted;
    }

    /// When it is to be read although the socket has not asked for it.
    pub(super) fn gathered_at(&self) -> Option<Instant> {
        match &self.socket {
            GatewaySocket::Open(_) => self.wait.until,
            _ => None,
        }
    }

    /// What has gathered until now is read, however little it is.
    pub(super) fn end_gathering(&mut self, now: Instant, ground: &mut Ground) {
        if let Some(socket) = self.socket.opened()
            && self.wait.until.is_some_and(|until| now >= until)
        {
            socket.is_readable = true;
            let silence = sys::nothing_received_for(socket.stream.as_fd());
            ground.agent.link_waited(silence.unwrap_or_default());
        }
    }

    /// One read, if one is worth trying; `false` when none is.
    pub(super) fn read(&mut self, now: Instant, ground: &mut Ground) -> bool {
        let Some(OpenSocket {
            stream,
            is_readable: is_readable @ true,
            ..
        }) = self.socket.opened()
        else {
            return false;
        };
        let Some(buffer) = ground.agent.link_read_buffer() else {
            return false;
        };
        match stream.read(buffer) {
            Ok(0) => {
                *is_readable = false;
                let reason = "the gateway closed the connection";
                ground.agent.link_broke(now, reason);
            }
            Ok(size) => {
                // Less than asked for: the socket is empty, and more makes a new event.
                *is_readable = size == buffer.len();
                ground.saw_traffic(now);
                ground.agent.link_received(now, size);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                *is_readable = false;
                ground.agent.link_broke(now, &error.to_string());
            }
        }
        true
    }

    /// Writes what waits for the gateway, as far as the socket takes it.
    pub(super) fn write(&mut self, now: Instant, ground: &mut Ground) {
        loop {
            let pending = ground.agent.grant_and_encrypt(now);
            let Some(OpenSocket {
                stream,
                is_writable: is_writable @ true,
                ..
            }) = self.socket.opened()
            else {
                return;
            };
            if pending.is_empty() {
                return;
            }
            match stream.write(pending) {
                Ok(size) => {
                    ground.agent.link_sent(now, size);
                    ground.saw_traffic(now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    *is_writable = false;
                    ground.agent.link_broke(now, &error.to_string());
                }
            }
        }
    }

    /// Bytes wait for it.
    pub(super) fn has_pending(&self, now: Instant, ground: &mut Ground) -> bool {
        matches!(self.socket, GatewaySocket::Open(_))
            && !ground.agent.grant_and_encrypt(now).is_empty()
    }

    /// One attempt to send what is pending, then the end of the socket.
    pub(super) fn close(&mut self, now: Instant, ground: &mut Ground) {
        ground.resolver.cancel(tokens::LINK_REQUEST);
        self.asked = None;
        if let Some(socket) = self.socket.opened() {
            // The peer may be past listening; nothing depends on it.
            let _ = socket.stream.write(ground.agent.grant_and_encrypt(now));
        }
        self.socket = GatewaySocket::None;
        ground.agent.link_closed();
    }
}

/// TCP keep-alive, for the time in which nothing is under way that could time out: first probe,
/// further probes, and how many of them may go unanswered.
const PROBE_AFTER_S: i32 = 10;
const PROBE_EVERY_S: i32 = 5;
const PROBES_MAX: i32 = 2;

/// Keystrokes leave at once, a vanished peer is noticed, and little waits unsent in the kernel.
fn tune(socket: &TcpStream) {
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
