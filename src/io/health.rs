//! A tiny HTTP/1.1 server for probes and metrics; off unless an operator asks for it.
//!
//! `/livez` (the loop turns), `/healthz` and `/readyz` (the gateway is heard), `/metrics`. Bounded in
//! clients, request size and patience, and served between two turns of the loop: it never delays
//! a relay.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::http::{HeadBounds, head};
use crate::os::sys;

/// Clients at once; a further one takes the place of the oldest.
const CLIENTS_MAX: usize = 8;
/// A probe's request: some have 8 KiB of headers, of proxies and of single sign-on.
const REQUEST: HeadBounds = HeadBounds {
    bytes: 10 * 1024,
    fields: 100,
};
/// A client that takes longer is dropped when its place is needed, or at the next request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where to listen.
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket; one left by a dead process is replaced.
    Unix(PathBuf),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

struct Client {
    socket: Socket,
    since: Instant,
    request: Vec<u8>,
    answer: Vec<u8>,
    written: usize,
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HealthQuestion {
    /// The loop turns.
    Live,
    /// The gateway is heard.
    Health,
    /// The gateway is heard, and new sessions are taken.
    Ready,
    /// Figures.
    Metrics,
}

/// The server.
pub struct HealthServer {
    listener: Listener,
    clients: Vec<Option<Client>>,
    first_token: usize,
}

impl HealthServer {
    /// Listens under `first_token`; clients get the tokens behind it, [`HealthServer::TOKENS`] in
    /// all.
    pub fn new(address: &Address, registry: &Registry, first_token: usize) -> io::Result<Self> {
        let mut listener = match address {
            Address::Tcp(address) => Listener::Tcp(listen(*address)?),
            Address::Unix(path) => {
                remove_dead_socket(path)?;
                Listener::Unix(UnixListener::bind(path)?, path.clone())
            }
        };
        let token = Token(first_token);
        match &mut listener {
            Listener::Tcp(listener) => listener.register(registry, token, Interest::READABLE)?,
            Listener::Unix(listener, _) => {
                listener.register(registry, token, Interest::READABLE)?
            }
        }
        Ok(Self {
            listener,
            clients: (0..CLIENTS_MAX).map(|_| None).collect(),
            first_token,
        })
    }

    /// Tokens that it uses.
    pub const TOKENS: usize = CLIENTS_MAX + 1;

    /// Serves whatever `token` is ready for. `answer` gives status and body.
    pub fn serve(
        &mut self,
        now: Instant,
        token: Token,
        registry: &Registry,
        answer: &mut dyn FnMut(HealthQuestion) -> (u16, String),
    ) {
        match token.0.checked_sub(self.first_token + 1) {
            None => self.accept(now, registry, answer),
            Some(place) => self.advance(place, answer),
        }
    }

    fn accept(
        &mut self,
        now: Instant,
        registry: &Registry,
        answer: &mut dyn FnMut(HealthQuestion) -> (u16, String),
    ) {
        loop {
            let socket = match &self.listener {
                Listener::Tcp(listener) => listener.accept().map(|(socket, _)| Socket::Tcp(socket)),
                Listener::Unix(listener, _) => {
                    listener.accept().map(|(socket, _)| Socket::Unix(socket))
                }
            };
            // Out of descriptors or nobody there: the next client makes a new event.
            let Ok(mut socket) = socket else { return };
            let place = self.free_place(now);
            let token = Token(self.first_token + 1 + place);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = match &mut socket {
                Socket::Tcp(socket) => socket.register(registry, token, interest),
                Socket::Unix(socket) => socket.register(registry, token, interest),
            };
            if registered.is_ok() {
                let client = Client {
                    socket,
                    since: now,
                    request: Vec::new(),
                    answer: Vec::new(),
                    written: 0,
                };
                self.clients[place] = Some(client);
                self.advance(place, answer);
            }
        }
    }

    fn free_place(&mut self, now: Instant) -> usize {
        for client in &mut self.clients {
            if client
                .as_ref()
                .is_some_and(|client| now >= client.since + PATIENCE)
            {
                *client = None;
            }
        }
        let places = self.clients.iter().enumerate();
        let oldest = places.min_by_key(|(_, client)| client.as_ref().map(|client| client.since));
        oldest.map_or(0, |(place, _)| place)
    }

    fn advance(&mut self, place: usize, answer: &mut dyn FnMut(HealthQuestion) -> (u16, String)) {
        let Some(slot) = self.clients.get_mut(place) else {
            return;
        };
        let is_done = slot
            .as_mut()
            .is_some_and(|client| client.advance(answer).unwrap_or(true));
        if is_done {
            *slot = None;
        }
    }
}

impl Client {
    /// Reads, answers, writes as far as it goes; `true` when it is over.
    fn advance(
        &mut self,
        answer: &mut dyn FnMut(HealthQuestion) -> (u16, String),
    ) -> io::Result<bool> {
        let mut chunk = [0; 512];
        while self.answer.is_empty() {
            let size = match self.socket.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            self.request.extend_from_slice(&chunk[..size]);
            if let Some((status, body)) = respond(&self.request, answer) {
                self.answer = encode(status, &body, self.request.starts_with(b"HEAD "));
            }
        }
        while self.written < self.answer.len() {
            match self.socket.write(&self.answer[self.written..]) {
                Ok(size) => self.written += size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Status and body for a request; `None` while it is not whole.
pub fn respond(
    request: &[u8],
    answer: &mut dyn FnMut(HealthQuestion) -> (u16, String),
) -> Option<(u16, String)> {
    let head = match head::request(request, REQUEST) {
        Ok(None) => return None,
        Ok(Some(head)) => head,
        Err(_) => return Some((400, "bad request\n".into())),
    };
    if !matches!(head.method, "GET" | "HEAD") {
        return Some((405, "only GET is served\n".into()));
    }
    let target = head.target;
    // The absolute form, as it is sent to proxies (RFC 9112, section 3.2.2).
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    Some(answer(match path.split('?').next() {
        Some("/livez") => HealthQuestion::Live,
        Some("/healthz") => HealthQuestion::Health,
        Some("/readyz") => HealthQuestion::Ready,
        Some("/metrics") => HealthQuestion::Metrics,
        _ => {
            return Some((
                404,
                "/livez, /healthz, /readyz and /metrics are served\n".into(),
            ));
        }
    }))
}

/// The answer's bytes; to HEAD without the body whose length they tell.
fn encode(status: u16, body: &str, is_head: bool) -> Vec<u8> {
    let phrase = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Service Unavailable",
    };
    let length = body.len();
    let body = if is_head { "" } else { body };
    format!(
        "HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; version=0.0.4\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// `[::]` takes IPv4 with it, and stands for `0.0.0.0` where there is no IPv6: one setting for every
/// cluster.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return TcpListener::bind(address);
    }
    match sys::listen_everywhere(address.port()) {
        Ok(listener) => Ok(TcpListener::from_std(listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port()).into()),
    }
}

/// A socket file on which nobody listens any more is in the way of a restart. One whose listener
/// is behind with accepting is alive.
fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    // Unlike std's, this connect does not wait.
    let is_dead = || {
        UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if found.file_type().is_socket() && is_dead() {
        return fs::remove_file(path);
    }
    Ok(())
}

impl Drop for HealthServer {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = &self.listener {
            // Somebody else may have removed it.
            let _ = fs::remove_file(path);
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(request: &str) -> Option<(u16, String)> {
        respond(request.as_bytes(), &mut |question| {
            (200, format!("{question:?}"))
        })
    }

    #[test]
    fn each_path_asks_its_question() {
        for (path, want) in [
            ("/livez", "Live"),
            ("/healthz", "Health"),
            ("/readyz?x=1", "Ready"),
            ("/metrics", "Metrics"),
            ("http://127.0.0.1:8686/livez", "Live"),
            ("HTTPS://x/readyz?a=http://b", "Ready"),
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            assert_eq!(ask(&request), Some((200, want.to_owned())));
            assert_eq!(ask(&request[..request.len() - 1]), None);
        }
        for unknown in ["/x", "http://x", "/x?http://x/livez"] {
            assert_eq!(
                ask(&format!("GET {unknown} HTTP/1.1\r\n\r\n")).unwrap().0,
                404
            );
        }
        assert_eq!(ask("POST /livez HTTP/1.1\r\n\r\n").unwrap().0, 405);
        assert_eq!(ask("\x16\x03\x01\r\n\r\n").unwrap().0, 400);
        assert_eq!(
            ask(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(11_000)))
                .unwrap()
                .0,
            400
        );
    }

    #[test]
    fn eight_kibibytes_of_headers_are_taken() {
        let headers = format!("x-a: {}\r\n", "v".repeat(120)).repeat(64);
        assert!(headers.len() > 8000);
        let request = format!("GET /livez HTTP/1.1\r\n{headers}\r\n");
        assert_eq!(ask(&request).unwrap().0, 200);
    }

    #[test]
    fn an_answer_to_head_has_the_length_and_no_body() {
        let text = |is_head| String::from_utf8(encode(200, "well\n", is_head)).unwrap();
        assert!(text(false).ends_with("\r\n\r\nwell\n"));
        assert!(text(true).ends_with("\r\n\r\n") && text(true).contains("Content-Length: 5"));
    }

    proptest! {
        #[test]
        fn arbitrary_requests_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            respond(&bytes, &mut |_| (200, String::new()));
        }
    }
}
