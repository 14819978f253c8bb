//! The socket of the connection beside the link: it lives for one key check, a few hundred bytes each
//! way, so that all that is ready is read and written at once.

use std::io::{self, Read, Write};
use std::time::Instant;

use super::dial::{Dial, DialProgress};
use super::gateway_socket::{GatewaySocket, OpenSocket};
use super::ground::Ground;
use super::tokens;
use crate::os::resolve::{Addresses, Asker, NameRequest};

/// Reads in one turn; a key check takes three or four.
const READS_PER_TURN: usize = 16;

/// See the module.
pub(super) struct SecondSocket {
    socket: GatewaySocket,
}

impl SecondSocket {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            socket: GatewaySocket::None,
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
        self.socket.next_dial()
    }

    pub(super) fn dial(&mut self, now: Instant, ground: &mut Ground, host: &str, port: u16) {
        self.socket = GatewaySocket::Resolving;
        let number = tokens::SECOND_REQUEST;
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
        match addresses {
            Ok(addresses) => {
                if let Some(reason) = ground.forbids(&addresses) {
                    return ground.agent.second_failed(&reason);
                }
                self.socket = GatewaySocket::Dialling(Dial::new(tokens::SECOND, addresses));
                self.advance_dial(now, ground);
            }
            Err(error) => ground.agent.second_failed(&error.to_string()),
        }
    }

    /// Connects, reads and writes as far as that goes without waiting.
    pub(super) fn serve(&mut self, now: Instant, ground: &mut Ground) {
        self.advance_dial(now, ground);
        for _ in 0..READS_PER_TURN {
            self.write(now, ground);
            if !self.socket.is_readable() || !self.read(now, ground) {
                break;
            }
        }
    }

    fn advance_dial(&mut self, now: Instant, ground: &mut Ground) {
        let GatewaySocket::Dialling(dial) = &mut self.socket else {
            return;
        };
        match dial.advance(now, ground.registry()) {
            DialProgress::Pending => {}
            DialProgress::Connected(stream, _) => {
                self.socket = GatewaySocket::open(stream);
                ground.agent.second_connected(now);
            }
            DialProgress::Failed(error) => ground.agent.second_failed(&error.outcome()),
        }
    }

    /// `false` when the connection is of no use any more.
    fn read(&mut self, now: Instant, ground: &mut Ground) -> bool {
        let Some(OpenSocket {
            stream,
            is_readable,
            ..
        }) = self.socket.opened()
        else {
            return false;
        };
        let agent = &mut ground.agent;
        let Some(buffer) = agent.second_read_buffer() else {
            return false;
        };
        match stream.read(buffer) {
            Ok(0) => agent.second_failed("a second connection was closed by the other side"),
            Ok(size) => {
                agent.second_received(now, size);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) => agent.second_failed(&error.to_string()),
        }
        false
    }

    fn write(&mut self, now: Instant, ground: &mut Ground) {
        let Some(OpenSocket {
            stream,
            is_writable: is_writable @ true,
            ..
        }) = self.socket.opened()
        else {
            return;
        };
        let pending = ground.agent.second_encrypt(now);
        if pending.is_empty() {
            return;
        }
        match stream.write(pending) {
            Ok(size) => {
                // Less than there was: the socket is full, and room makes a new event.
                *is_writable = size == pending.len();
                ground.agent.second_sent(now, size);
            }
            // A broken socket says so when it is read.
            Err(error) => *is_writable = error.kind() == io::ErrorKind::Interrupted,
        }
    }

    pub(super) fn close(&mut self, ground: &mut Ground) {
        ground.resolver.cancel(tokens::SECOND_REQUEST);
        self.socket = GatewaySocket::None;
    }
}
