//! The reactor's half that serves the connection beside the link: it lives for one key check, a few
//! hundred bytes each way, so that all that is ready is read and written at once.

use std::io::{self, Read, Write};
use std::time::Instant;

use super::dial::{self, Dial, Dialled};
use super::link_socket::LinkSocket;
use super::reactor::{Reactor, SECOND_REQUEST, TOKEN_SECOND};
use crate::agent::Wait;
use crate::os::resolve::{Addresses, Asker, Request};

/// Reads in one turn; a key check takes three or four.
const READS_PER_TURN: usize = 16;

impl Reactor {
    pub(super) fn dial_second(&mut self, now: Instant, host: &str, port: u16) {
        self.second = LinkSocket::Resolving;
        let (number, asker) = (SECOND_REQUEST, Asker::Link);
        if let Some(addresses) = self.look_up(now, host, asker, Request { number, port }) {
            self.second_resolved(now, addresses);
        }
    }

    pub(super) fn second_resolved(&mut self, now: Instant, addresses: Addresses) {
        if !matches!(self.second, LinkSocket::Resolving) {
            return;
        }
        match addresses {
            Ok(addresses) => {
                if let Some(reason) = self.forbids(&addresses) {
                    return self.agent.second_failed(&reason);
                }
                self.second = LinkSocket::Dialling(Dial::new(TOKEN_SECOND, addresses));
                self.advance_second_dial(now);
            }
            Err(error) => self.agent.second_failed(&error.to_string()),
        }
    }

    /// Connects, reads and writes as far as that goes without waiting.
    pub(super) fn serve_second(&mut self, now: Instant) {
        self.advance_second_dial(now);
        for _ in 0..READS_PER_TURN {
            self.write_second(now);
            if !self.second.is_readable() || !self.read_second(now) {
                break;
            }
        }
        self.settle(now);
    }

    fn advance_second_dial(&mut self, now: Instant) {
        let LinkSocket::Dialling(dial) = &mut self.second else {
            return;
        };
        match dial.advance(now, self.poll.registry()) {
            Dialled::Pending => {}
            Dialled::Connected(socket, _) => {
                self.second = LinkSocket::Open {
                    socket,
                    is_readable: true,
                    is_writable: true,
                    wait: Wait::AT_ONCE,
                };
                self.agent.second_connected(now);
            }
            Dialled::Failed(error) => self.agent.second_failed(&dial::outcome(&error)),
        }
    }

    /// `false` when the connection is of no use any more.
    fn read_second(&mut self, now: Instant) -> bool {
        let LinkSocket::Open {
            socket,
            is_readable,
            ..
        } = &mut self.second
        else {
            return false;
        };
        let Some(buffer) = self.agent.second_read_buffer() else {
            return false;
        };
        match socket.read(buffer) {
            Ok(0) => self
                .agent
                .second_failed("a second connection was closed by the other side"),
            Ok(size) => {
                self.agent.second_received(now, size);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) => self.agent.second_failed(&error.to_string()),
        }
        false
    }

    fn write_second(&mut self, now: Instant) {
        let LinkSocket::Open {
            socket,
            is_writable,
            ..
        } = &mut self.second
        else {
            return;
        };
        let pending = self.agent.second_encrypt(now);
        if pending.is_empty() || !*is_writable {
            return;
        }
        match socket.write(pending) {
            Ok(size) => {
                // Less than there was: the socket is full, and room makes a new event.
                *is_writable = size == pending.len();
                self.agent.second_sent(now, size);
            }
            // A broken socket says so when it is read.
            Err(error) => *is_writable = error.kind() == io::ErrorKind::Interrupted,
        }
    }

    pub(super) fn close_second(&mut self) {
        self.resolver.cancel(SECOND_REQUEST);
        self.second = LinkSocket::None;
    }
}
