//! Connecting to a name that may have many addresses.
//!
//! The addresses come interleaved by family. They race (RFC 8305): the next one starts when one has
//! failed, or when the last one has not answered for a moment, so that a dead family costs a
//! fraction of a second. Resolving is the resolver's; the overall deadline is the core's.

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
    /// Under way, the oldest first.
    racing: VecDeque<TcpStream>,
    next_at: Option<Instant>,
    last_error: io::Error,
}

/// Where a dial stands.
pub enum DialProgress {
    /// Not yet.
    Pending,
    /// The socket is connected and registered under the dial's token.
    Connected(TcpStream, SocketAddr),
    /// No address took it; the last one's error.
    Failed(io::Error),
}

impl Dial {
    /// Starts with the first of `addresses`; poll [`Dial::advance`] at once.
    pub fn new(token: Token, addresses: Vec<SocketAddr>) -> Self {
        Self {
            token,
            addresses: addresses.into(),
            racing: VecDeque::new(),
            next_at: None,
            last_error: io::Error::from(io::ErrorKind::AddrNotAvailable),
        }
    }

    /// When [`Dial::advance`] wants to be called without an event.
    pub fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// Addresses under way.
    #[cfg(test)]
    pub fn racing(&self) -> usize {
        self.racing.len()
    }

    /// Looks at the sockets, and starts the next address where one failed or time is up.
    pub fn advance(&mut self, now: Instant, registry: &Registry) -> DialProgress {
        for _ in 0..self.racing.len() {
            let Some(socket) = self.racing.pop_front() else {
                break;
            };
            match connected_peer(&socket) {
                Ok(Some(peer)) => return DialProgress::Connected(socket, peer),
                Ok(None) => self.racing.push_back(socket),
                Err(error) => self.failed(error),
            }
        }
        while self.next_at.is_none_or(|at| at <= now)
            && let Some(address) = self.addresses.pop_front()
        {
            match self.start(address, registry) {
                Ok(socket) => {
                    if self.racing.len() >= limits::CONNECTS_AT_ONCE_MAX {
                        self.racing.pop_front();
                    }
                    self.racing.push_back(socket);
                    self.next_at = Some(now + limits::CONNECT_ATTEMPT);
                }
                Err(error) => self.failed(error),
            }
        }
        if self.addresses.is_empty() {
            self.next_at = None;
            if self.racing.is_empty() {
                let error = io::Error::from(io::ErrorKind::AddrNotAvailable);
                return DialProgress::Failed(std::mem::replace(&mut self.last_error, error));
            }
        }
        DialProgress::Pending
    }

    /// One address is out, and the next one's turn has come. That a family has no route here says less
    /// than what an address of the other one has answered.
    fn failed(&mut self, error: io::Error) {
        self.next_at = None;
        if !has_no_way(&error) || has_no_way(&self.last_error) {
            self.last_error = error;
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

fn has_no_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}

/// Whom `connect` has reached; `None` while it has neither succeeded nor failed.
fn connected_peer(socket: &TcpStream) -> io::Result<Option<SocketAddr>> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(peer) => Ok(Some(peer)),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(None),
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
