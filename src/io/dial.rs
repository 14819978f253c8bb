//! Connecting to a name that may have many addresses.
//!
//! The addresses come interleaved by family. They are tried one after the other; one that does
//! not answer soon is given up for the next, so that a dead family costs seconds, not minutes.
//! Resolving is the resolver's; the overall deadline is the core's.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::limits;

/// One attempt to connect, over all addresses.
pub struct Dial {
    token: Token,
    addresses: VecDeque<SocketAddr>,
    socket: Option<TcpStream>,
    give_up_at: Option<Instant>,
    last_error: io::Error,
}

/// Where a dial stands.
pub enum Dialled {
    /// Not yet.
    Pending,
    /// The socket is connected and registered under the dial's token.
    Connected(TcpStream),
    /// No address took it; the last one's error.
    Failed(io::Error),
}

impl Dial {
    /// Starts with the first of `addresses`; poll [`Dial::advance`] at once.
    pub fn new(token: Token, addresses: Vec<SocketAddr>) -> Self {
        Self {
            token,
            addresses: addresses.into(),
            socket: None,
            give_up_at: None,
            last_error: io::Error::from(io::ErrorKind::AddrNotAvailable),
        }
    }

    /// When [`Dial::advance`] wants to be called without an event.
    pub fn give_up_at(&self) -> Option<Instant> {
        self.give_up_at
    }

    /// Looks at the socket and goes on to the next address where the last one failed.
    pub fn advance(&mut self, now: Instant, registry: &Registry) -> Dialled {
        loop {
            if let Some(socket) = self.socket.take() {
                match is_connected(&socket) {
                    Ok(true) => return Dialled::Connected(socket),
                    Ok(false) if self.give_up_at.is_none_or(|at| now < at) => {
                        self.socket = Some(socket);
                        return Dialled::Pending;
                    }
                    Ok(false) => self.last_error = io::ErrorKind::TimedOut.into(),
                    Err(error) => self.last_error = error,
                }
            }
            let Some(address) = self.addresses.pop_front() else {
                let error = io::Error::from(io::ErrorKind::AddrNotAvailable);
                return Dialled::Failed(std::mem::replace(&mut self.last_error, error));
            };
            self.give_up_at = (!self.addresses.is_empty()).then(|| now + limits::CONNECT_ATTEMPT);
            match self.start(address, registry) {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => self.last_error = error,
            }
        }
    }

    fn start(&self, address: SocketAddr, registry: &Registry) -> io::Result<TcpStream> {
        let mut socket = TcpStream::connect(address)?;
        registry.register(
            &mut socket,
            self.token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(socket)
    }
}

/// `connect` has succeeded, failed, or neither yet.
fn is_connected(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// A sentence for why an address did not take a connection, in upstream's words where it has some.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".into(),
        io::ErrorKind::TimedOut => "i/o timeout".into(),
        io::ErrorKind::AddrNotAvailable => "no usable address".into(),
        _ => error.to_string(),
    }
}

/// What became of an address, in a few words.
pub fn outcome(error: &io::Error) -> String {
    match error.kind() {
        kind @ (io::ErrorKind::ConnectionRefused
        | io::ErrorKind::TimedOut
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable) => kind.to_string(),
        _ => reason(error),
    }
}

/// What to do when an address does not answer.
pub fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: is the gateway running, and is this its port?"
        }
        io::ErrorKind::TimedOut => {
            "no answer: a firewall may drop the packets, or the network needs HTTPS_PROXY"
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "there is no route: check the network of this machine"
        }
        _ => "check host, port and network",
    }
}
