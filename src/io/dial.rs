//! Connecting to a name that may have many addresses.
//!
//! The addresses come interleaved by family. They race (RFC 8305): the next one starts when one has
//! failed, or when the last one has not answered for a moment, so that a dead family costs a
//! fraction of a second. Resolving is the resolver's; the overall deadline is the core's.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::base::Fields;
use crate::limits;
use crate::os::sys;

/// Addresses that one text names.
const ADDRESSES_SHOWN: usize = 4;

/// TCP keep-alive: seconds of silence before the first probe, between probes, and how many of them may go
/// unanswered.
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    /// Before the first.
    pub after_s: i32,
    /// Between two.
    pub every_s: i32,
    /// How many.
    pub probes: i32,
}

/// Said of a session's address that is the machine's own.
pub const SHUT: &str = "the address is one by which the agent's machine gets its own credentials, and shut to sessions \
     (HOOP_LITE_OPEN_METADATA opens single ones)";

/// One attempt to connect, over all addresses.
pub struct Dial {
    token: Token,
    addresses: VecDeque<SocketAddr>,
    /// Under way, the oldest first.
    racing: VecDeque<(SocketAddr, TcpStream)>,
    next_at: Option<Instant>,
    tried: Tried,
}

/// Addresses that did not take a connection, each with its own cause; as many as the name has at most.
#[derive(Debug, Default)]
pub struct Tried(Vec<(SocketAddr, io::Error)>);

impl Tried {
    pub(super) fn add(&mut self, address: SocketAddr, error: io::Error) {
        // That a family has no way from here says less than what an address of the other one answers.
        let place = match has_no_way(&error) {
            true => self.0.len(),
            false => self.0.partition_point(|(_, error)| !has_no_way(error)),
        };
        self.0.insert(place, (address, error));
    }

    /// The likeliest cause.
    pub fn kind(&self) -> io::ErrorKind {
        let first = self.0.first();
        first.map_or(io::ErrorKind::AddrNotAvailable, |(_, error)| error.kind())
    }

    /// All of it, the likeliest first, for an operator.
    pub fn outcome(&self) -> String {
        self.tell(outcome)
    }

    /// The same for the user of a session.
    pub fn reason(&self) -> String {
        self.tell(reason)
    }

    fn tell(&self, of: fn(&io::Error) -> String) -> String {
        match &self.0[..] {
            [] => of(&io::ErrorKind::AddrNotAvailable.into()),
            [(_, error)] => of(error),
            several => {
                let shown = several.iter().take(ADDRESSES_SHOWN);
                let shown = shown.map(|(address, error)| format!("{address}: {}", of(error)));
                shown.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Where a dial stands.
pub enum DialProgress {
    /// Not yet.
    Pending,
    /// The socket is connected and registered under the dial's token.
    Connected(TcpStream, SocketAddr),
    /// No address took it.
    Failed(Tried),
}

impl Dial {
    /// Starts with the first of `addresses`; poll [`Dial::advance`] at once.
    pub fn new(token: Token, addresses: Vec<SocketAddr>) -> Self {
        Self {
            token,
            addresses: addresses.into(),
            racing: VecDeque::new(),
            next_at: None,
            tried: Tried::default(),
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
            let Some((address, socket)) = self.racing.pop_front() else {
                break;
            };
            match connected_peer(&socket) {
                Ok(Some(peer)) => return DialProgress::Connected(socket, peer),
                Ok(None) => self.racing.push_back((address, socket)),
                Err(error) => self.failed(address, error),
            }
        }
        while self.may_start(now)
            && let Some(address) = self.addresses.pop_front()
        {
            match self.start(address, registry) {
                Ok(socket) => {
                    if self.racing.len() >= limits::CONNECTS_AT_ONCE_MAX {
                        self.give_up_oldest();
                    }
                    self.racing.push_back((address, socket));
                    self.next_at = Some(now + limits::CONNECT_ATTEMPT);
                }
                Err(error) => self.failed(address, error),
            }
        }
        if self.addresses.is_empty() {
            self.next_at = None;
            if self.racing.is_empty() {
                return DialProgress::Failed(std::mem::take(&mut self.tried));
            }
        }
        DialProgress::Pending
    }

    /// One address is out, and the next one's turn has come.
    fn failed(&mut self, address: SocketAddr, error: io::Error) {
        self.next_at = None;
        self.tried.add(address, error);
    }

    /// A failure elsewhere hurries nobody: each address keeps its time though others fail at once.
    fn may_start(&mut self, now: Instant) -> bool {
        let is_full = self.racing.len() >= limits::CONNECTS_AT_ONCE_MAX;
        if is_full && self.next_at.is_none() && !self.addresses.is_empty() {
            self.next_at = Some(now + limits::CONNECT_ATTEMPT);
        }
        self.next_at.is_none_or(|at| at <= now)
    }

    fn give_up_oldest(&mut self) {
        if let Some((address, _)) = self.racing.pop_front() {
            self.tried.add(address, io::ErrorKind::TimedOut.into());
        }
    }

    /// What has become of each address so far, for an operator; empty while there is nothing to tell.
    pub fn news(&self) -> String {
        let waits = self.racing.iter();
        let mut all: Vec<String> = waits
            .map(|(address, _)| format!("{address}: no answer"))
            .collect();
        all.extend((!self.tried.0.is_empty()).then(|| match &self.tried.0[..] {
            [(address, error)] => format!("{address}: {}", outcome(error)),
            _ => self.tried.outcome(),
        }));
        all.truncate(ADDRESSES_SHOWN);
        all.join(", ")
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

/// Prepares the connection to a target.
pub fn set_up(socket: &TcpStream, keepalive: Keepalive) {
    // Interactive protocols suffer from delayed small writes; nothing else would.
    let _ = socket.set_nodelay(true);
    // Without it a stall shows later.
    let _ = sys::set_unsent_max(socket.as_fd(), limits::TARGET_UNSENT_BYTES);
    let Keepalive {
        after_s,
        every_s,
        probes,
    } = keepalive;
    let _ = sys::set_keepalive(socket.as_fd(), after_s, every_s, probes);
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

/// Tells the log to what a name has led; `of` makes the fields in front, where somebody reads them.
pub fn tell_addresses(of: &dyn Fn() -> Fields, addresses: &[SocketAddr]) {
    if log::log_enabled!(log::Level::Debug) {
        let all: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        log::debug!("{}addresses", of().sentence("addresses", &all.join(" ")));
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
