//! Names to addresses, without holding up the loop: the sockets, files and random numbers of `dns`.
//!
//! Literals and `localhost` need nobody, `/etc/hosts` comes before servers, both files are read again
//! when they change. Promises an answer for every name accepted, as late as `/etc/resolv.conf` lets
//! servers be; deadlines are the asker's business (see [`Resolver::cancel`]).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Registry, Token};

use super::sys;
use crate::base::Key;
use crate::base::Service;
use crate::dns::{
    Answer, Lookup, NAME_BYTES_MAX, NameOutcome, Names, ResolvConf, Send, Sought, addresses_of,
};
pub use crate::dns::{Asker, LookupError, NameRequest};

/// No such file is longer, and a hostile one shall not keep us busy.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// A larger answer says that it is cut off and comes by TCP.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// Read of one socket at once: a stranger's flood must not hold us.
const READS_PER_EVENT: usize = 32;
/// Servers, and families that may need TCP, as `dns` bounds them.
const SERVERS: usize = 3;
const FAMILIES: usize = 2;
/// Tokens of one look-up: servers, then streams.
const PORTS: usize = 8;
const _: () = assert!(SERVERS + FAMILIES <= PORTS);

/// Addresses to be dialled in this order, never none.
pub type Addresses = Result<Vec<SocketAddr>, LookupError>;

/// The sockets of one look-up.
struct Way {
    key: Key,
    datagrams: [Option<UdpSocket>; SERVERS],
    streams: [Option<Stream>; FAMILIES],
}

struct Stream {
    socket: TcpStream,
    unsent: Vec<u8>,
}

/// What tells one state of a file from another.
type Mark = (u64, u64, u64, i64, i64);

/// See the module.
pub struct Resolver {
    names: Names,
    conf: ResolvConf,
    conf_mark: Option<Mark>,
    ways: Vec<Option<Box<Way>>>,
    answered: Vec<(u64, Addresses)>,
    services: Vec<(u64, Result<Service, LookupError>)>,
    token_base: usize,
}

impl Resolver {
    /// Its sockets have tokens from `token_base` on.
    pub fn new(token_base: usize) -> Self {
        Self {
            names: Names::new(random_id),
            conf: read_conf(),
            conf_mark: mark(RESOLV_CONF),
            ways: Vec::new(),
            answered: Vec::new(),
            services: Vec::new(),
            token_base,
        }
    }

    /// Asks for the addresses of `host`. What needs no server is answered at once, the rest by
    /// [`Resolver::take_answers`].
    pub fn submit(
        &mut self,
        now: Instant,
        host: &str,
        asker: Asker,
        request: NameRequest,
        registry: &Registry,
    ) -> Option<Addresses> {
        if let Some(addresses) = known(host) {
            return Some(addresses.map(|addresses| with_port(&addresses, request.port)));
        }
        self.prepare(now, asker);
        let sought = (Sought::Addresses, host);
        match self.names.ask(now, &self.conf, sought, asker, request) {
            Ok(key) => self.serve(now, key, registry),
            Err(error) => return Some(Err(error)),
        }
        None
    }

    /// Asks for the hosts of the service of this name: all answers come by [`Resolver::take_services`].
    pub fn submit_service(
        &mut self,
        now: Instant,
        name: &str,
        asker: Asker,
        request: NameRequest,
        registry: &Registry,
    ) {
        self.prepare(now, asker);
        let sought = (Sought::Service, name);
        match self.names.ask(now, &self.conf, sought, asker, request) {
            Ok(key) => self.serve(now, key, registry),
            Err(error) => self.services.push((request.number, Err(error))),
        }
    }

    /// Reads the file again if it has changed, and makes room.
    fn prepare(&mut self, now: Instant, asker: Asker) {
        let mark = mark(RESOLV_CONF);
        if mark != self.conf_mark {
            self.conf_mark = mark;
            self.conf = read_conf();
            self.names.forget_refusals();
        }
        if let Some((key, outcome)) = self.names.make_room(now, asker) {
            self.deliver(key, outcome);
        }
    }

    /// Forgets a request: its answer, if there will be one, is dropped.
    pub fn cancel(&mut self, number: u64) {
        self.answered.retain(|(answered, _)| *answered != number);
        self.services.retain(|(answered, _)| *answered != number);
        if let Some(key) = self.names.cancel(number) {
            self.close(key);
        }
    }

    /// The answers that came since the last call, each with its request's number.
    pub fn take_answers(&mut self) -> Vec<(u64, Addresses)> {
        std::mem::take(&mut self.answered)
    }

    /// The same of services.
    pub fn take_services(&mut self) -> Vec<(u64, Result<Service, LookupError>)> {
        std::mem::take(&mut self.services)
    }

    /// When [`Resolver::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.names.poll_timeout()
    }

    /// Carries out what is due.
    pub fn handle_timeout(&mut self, now: Instant, registry: &Registry) {
        for key in self.names.overdue(now) {
            self.serve(now, key, registry);
        }
    }

    /// One of its sockets has something to say.
    pub fn note(&mut self, now: Instant, token: Token, registry: &Registry) {
        let number = token.0.wrapping_sub(self.token_base);
        let Some(Some(way)) = self.ways.get_mut(number / PORTS) else {
            return;
        };
        let key = way.key;
        if let Some(lookup) = self.names.lookup(key) {
            match (number % PORTS).checked_sub(SERVERS) {
                None => way.hear_server(now, number % PORTS, lookup),
                Some(family) => way.move_stream(now, family, lookup),
            }
        }
        self.serve(now, key, registry);
    }

    /// Sends what a look-up has to say, and takes its outcome.
    fn serve(&mut self, now: Instant, key: Key, registry: &Registry) {
        let index = key.index();
        if self.ways.len() <= index {
            self.ways.resize_with(index + 1, || None);
        }
        let way = self.ways[index].get_or_insert_with(|| Box::new(Way::new(key)));
        if way.key != key {
            **way = Way::new(key);
        }
        let token = self.token_base + index * PORTS;
        while let Some(lookup) = self.names.lookup(key)
            && let Some(send) = lookup.poll_send()
        {
            way.send(now, send, lookup, token, registry);
        }
        if let Some(outcome) = self.names.finish(now, key) {
            self.deliver(key, outcome);
        }
    }

    fn deliver(&mut self, key: Key, outcome: NameOutcome) {
        self.close(key);
        for NameRequest { number, port } in outcome.requests {
            match &outcome.result {
                Ok(Answer::Addresses(found)) => {
                    self.answered.push((number, Ok(with_port(found, port))));
                }
                Ok(Answer::Service(service)) => self.services.push((number, Ok(service.clone()))),
                Err(error) if outcome.is_service => self.services.push((number, Err(*error))),
                Err(error) => self.answered.push((number, Err(*error))),
            }
        }
    }

    fn close(&mut self, key: Key) {
        if let Some(way) = self.ways.get_mut(key.index()) {
            *way = None;
        }
    }
}

impl Way {
    fn new(key: Key) -> Self {
        Self {
            key,
            datagrams: [None, None, None],
            streams: [None, None],
        }
    }

    fn send(
        &mut self,
        now: Instant,
        send: Send,
        lookup: &mut Lookup,
        token: usize,
        registry: &Registry,
    ) {
        match send {
            Send::Datagram { server, bytes } => {
                let address = lookup.conf().servers[server];
                let socket = &mut self.datagrams[server];
                if socket.is_none() {
                    *socket = connected(address, Token(token + server), registry).ok();
                }
                let sent = socket.as_ref().map(|socket| socket.send(&bytes));
                if !matches!(sent, Some(Ok(_))) {
                    lookup.server_failed(now, server);
                }
            }
            Send::Stream {
                server,
                family,
                bytes,
            } => {
                let connected = TcpStream::connect(lookup.conf().servers[server]);
                let stream = connected.and_then(|mut socket| {
                    registered(&mut socket, Token(token + SERVERS + family), registry)?;
                    Ok(Stream {
                        socket,
                        unsent: bytes,
                    })
                });
                self.streams[family] = stream.ok();
                if self.streams[family].is_none() {
                    lookup.stream_failed(now, family);
                }
            }
            Send::CloseStream { family } => self.streams[family] = None,
        }
    }

    fn hear_server(&mut self, now: Instant, server: usize, lookup: &mut Lookup) {
        let Some(socket) = &self.datagrams[server] else {
            return;
        };
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        for _ in 0..READS_PER_EVENT {
            match socket.recv(&mut buffer) {
                Ok(size) => lookup.received(now, server, &buffer[..size]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An ICMP error about what we sent.
                Err(_) => lookup.server_failed(now, server),
            }
        }
    }

    fn move_stream(&mut self, now: Instant, family: usize, lookup: &mut Lookup) {
        let Some(Some(stream)) = self.streams.get_mut(family) else {
            return;
        };
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        for _ in 0..READS_PER_EVENT {
            let result = match stream.unsent.is_empty() {
                true => stream.socket.read(&mut buffer),
                false => stream.socket.write(&stream.unsent),
            };
            match result {
                Ok(0) => return lookup.stream_failed(now, family),
                Ok(size) if stream.unsent.is_empty() => {
                    lookup.stream_received(now, family, &buffer[..size]);
                }
                Ok(size) => drop(stream.unsent.drain(..size)),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected => return,
                    io::ErrorKind::Interrupted => {}
                    _ => return lookup.stream_failed(now, family),
                },
            }
        }
    }
}

/// A socket on a port that the kernel draws, which hears this server only.
fn connected(server: SocketAddr, token: Token, registry: &Registry) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(server)?;
    registered(&mut socket, token, registry)?;
    Ok(socket)
}

fn registered(socket: &mut dyn Source, token: Token, registry: &Registry) -> io::Result<()> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    socket.register(registry, token, interest)
}

/// The addresses of `host`, waiting for them until `deadline` at most: for commands that have no loop
/// to hold up.
pub fn resolve_now(host: &str, port: u16, deadline: Instant) -> Addresses {
    let failed = |_| LookupError::Temporary;
    let mut resolver = Resolver::new(0);
    let mut poll = Poll::new().map_err(failed)?;
    let mut events = Events::with_capacity(PORTS);
    let mut now = Instant::now();
    let request = NameRequest { number: 0, port };
    let answer = resolver.submit(now, host, Asker::Link, request, poll.registry());
    if let Some(addresses) = answer {
        return addresses;
    }
    loop {
        if let Some((_, addresses)) = resolver.take_answers().pop() {
            return addresses;
        }
        if now >= deadline {
            return Err(LookupError::Temporary);
        }
        let next = resolver
            .poll_timeout()
            .map_or(deadline, |at| at.min(deadline));
        // Rounded up: waking a moment early would only mean to wait again.
        let wait = next.saturating_duration_since(now) + Duration::from_millis(1);
        match poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            other => other.map_err(failed)?,
        }
        now = Instant::now();
        for event in &events {
            resolver.note(now, event.token(), poll.registry());
        }
        resolver.handle_timeout(now, poll.registry());
    }
}

/// What needs no server: literals, what can't be a name, the names that RFC 6761, section 6.3, keeps
/// for this machine (an image without `/etc/hosts` would ask a server for them), and what
/// `/etc/hosts` knows.
fn known(host: &str) -> Option<Result<Vec<IpAddr>, LookupError>> {
    if let Some(address) = literal(host) {
        return Some(Ok(vec![address]));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_odd = |byte: u8| byte.is_ascii_control() || byte == b' ';
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || name.bytes().any(is_odd) {
        return Some(Err(LookupError::NotFound));
    }
    let last = name.rsplit('.').next();
    if last.is_some_and(|label| label.eq_ignore_ascii_case("localhost")) {
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Some(Ok(loopback.into()));
    }
    let found = addresses_of(name, &read(HOSTS));
    (!found.is_empty()).then_some(Ok(found))
}

fn literal(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

fn with_port(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let with_port = |address: &IpAddr| SocketAddr::new(*address, port);
    addresses.iter().map(with_port).collect()
}

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

fn read_conf() -> ResolvConf {
    let host_name = read("/proc/sys/kernel/hostname");
    let interface = |name: &str| {
        let index = read(&format!("/sys/class/net/{name}/ifindex"));
        String::from_utf8_lossy(&index).trim().parse().ok()
    };
    ResolvConf::parse(
        &String::from_utf8_lossy(&read(RESOLV_CONF)),
        String::from_utf8_lossy(&host_name).trim(),
        &interface,
    )
}

/// A file's content, as much as there is of it. What is not a file has none: reading it might wait.
fn read(path: &str) -> Vec<u8> {
    let mut content = Vec::new();
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && let Ok(file) = File::open(path)
    {
        // Of a file that can't be read to its end, the beginning has to do.
        let _ = file.take(FILE_BYTES_MAX).read_to_end(&mut content);
    }
    content
}

fn mark(path: &str) -> Option<Mark> {
    let file = fs::metadata(path).ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
    ))
}

/// A number that nobody can guess, so that no stranger can answer. Where the system gives none, the
/// random port has to do.
fn random_id() -> u16 {
    let mut bytes = [0; 2];
    let _ = sys::random_bytes(&mut bytes);
    u16::from_ne_bytes(bytes)
}
