//! A socket that leads to the gateway, from the name to the connection, and what the kernel said of it.

use std::time::Instant;

use mio::net::TcpStream;

use super::dial::Dial;

/// See the module.
pub(super) enum GatewaySocket {
    /// There is none.
    None,
    /// The gateway's name is being resolved.
    Resolving,
    /// One of its addresses is being connected.
    Dialling(Dial),
    /// Connected.
    Open(OpenSocket),
}

/// A connection, with what the kernel said last.
pub(super) struct OpenSocket {
    pub(super) stream: TcpStream,
    /// A read is worth trying.
    pub(super) is_readable: bool,
    /// A write is worth trying.
    pub(super) is_writable: bool,
}

impl GatewaySocket {
    /// Just connected: both are worth trying.
    pub(super) fn open(stream: TcpStream) -> Self {
        Self::Open(OpenSocket {
            stream,
            is_readable: true,
            is_writable: true,
        })
    }

    /// The connection, once there is one.
    pub(super) fn opened(&mut self) -> Option<&mut OpenSocket> {
        match self {
            Self::Open(socket) => Some(socket),
            _ => None,
        }
    }

    /// What the kernel says of it.
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        if let Self::Open(socket) = self {
            socket.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            socket.is_writable |= event.is_writable() || event.is_write_closed();
        }
    }

    /// A read is worth trying.
    pub(super) fn is_readable(&self) -> bool {
        matches!(self, Self::Open(socket) if socket.is_readable)
    }

    /// When the next address is to be tried beside the one that is being connected.
    pub(super) fn next_dial(&self) -> Option<Instant> {
        match self {
            Self::Dialling(dial) => dial.next_at(),
            _ => None,
        }
    }
}
