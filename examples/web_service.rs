//! A web exchange at work, on plain blocking sockets: listens on loopback and passes every request on to a
//! service with stored headers.
//!
//! ```text
//! REMOTE_URL=https://grafana.internal HEADER_X_USER=ops cargo run --example web_service
//! curl http://127.0.0.1:18080/
//! ```
//! Also: INSECURE=true, LISTEN, ROOTCERT (a file), and BASE_URL=https://x, with which answers are framed as for
//! the gateway's listener (one request a connection). The agent drives the same machine from its reactor.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use hoop_lite::base::{ByteBuf, Roots, Trust};
use hoop_lite::tls::{Alpn, Client, Configuration, Stream, Versions};
use hoop_lite::web::{Exchange, Failure, Outlet, Packets, Site, Step, View, Wanted, Wires};
use hoop_lite::wire::sink::Sink;

fn main() -> io::Result<()> {
    let variables: Vec<(String, String)> = env::vars().collect();
    let variables: Vec<(&str, &[u8])> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let wanted = Wanted {
        variables: &variables,
        features: &[],
    };
    let site = Arc::new(Site::of_httpproxy(&wanted).map_err(|error| io::Error::other(error.0))?);
    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or("127.0.0.1:18080".into()))?;
    let own = format!("http://{}", listener.local_addr()?);
    println!("listening on {own}");
    let base_url = env::var("BASE_URL").unwrap_or(own);
    let view = View::parse(base_url.as_bytes()).ok_or(io::Error::other("BASE_URL is no URL"))?;
    for user in listener.incoming() {
        let (user, site, view) = (user?, site.clone(), view.clone());
        thread::spawn(move || {
            if let Err(error) = Conversation::new(user, view).and_then(|it| it.run(&site)) {
                println!("ended: {error}");
            }
        });
    }
    Ok(())
}

enum Event {
    User(Vec<u8>),
    UserEnded,
    Service(usize, Vec<u8>),
    ServiceEnded(usize, bool),
}

/// A reader of its own for each socket; what waits between the two is bounded.
fn read_all(
    mut socket: TcpStream,
    events: SyncSender<Event>,
    bytes: fn(usize, Vec<u8>) -> Event,
    end: fn(usize, bool) -> Event,
    number: usize,
) {
    thread::spawn(move || {
        // As much as the client reads at once.
        let mut buffer = [0; 32 * 1024];
        loop {
            let event = match socket.read(&mut buffer) {
                Ok(0) => end(number, false),
                Err(_) => end(number, true),
                Ok(size) => bytes(number, buffer[..size].to_vec()),
            };
            let is_end = matches!(event, Event::UserEnded | Event::ServiceEnded(..));
            if events.send(event).is_err() || is_end {
                return;
            }
        }
    });
}

struct User<'a>(&'a TcpStream);

impl Packets for User<'_> {
    fn packet(&mut self, payload: &[u8]) {
        // Who has left is noticed by his reader.
        let _ = self.0.write_all(payload);
    }
}

/// The service's connection, with TLS where it has it.
#[derive(Default)]
struct Service {
    socket: Option<TcpStream>,
    tls: Option<Stream>,
    number: usize,
    outgoing: ByteBuf,
}

impl Sink for Service {
    fn put(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => tls.send(bytes, &mut self.outgoing).unwrap_or_default(),
            None => self.outgoing.extend(bytes),
        }
    }
}

impl Service {
    fn flush(&mut self) {
        if let Some(socket) = &mut self.socket {
            let _ = socket.write_all(self.outgoing.filled());
        }
        self.outgoing.clear();
    }

    fn hang_up(&mut self) {
        if let Some(socket) = self.socket.take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.tls = None;
        self.outgoing.clear();
    }

    fn dial(&mut self, site: &Site, events: &SyncSender<Event>) -> Result<(), Failure> {
        let address = (site.url.address.host.as_str(), site.url.address.port);
        let socket = TcpStream::connect(address).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused,
            io::ErrorKind::TimedOut => Failure::TimedOut,
            _ => Failure::Other(error.to_string().into()),
        })?;
        let other = |error: &dyn std::fmt::Display| Failure::Other(error.to_string().into());
        socket.set_nodelay(true).map_err(|error| other(&error))?;
        self.number += 1;
        let reader = socket.try_clone().map_err(|error| other(&error))?;
        self.socket = Some(socket);
        if site.url.is_tls {
            self.tls =
                Some(start_tls(site).map_err(|error| Failure::Tls(error.to_string().into()))?);
            self.handshake()
                .map_err(|error| Failure::Tls(error.to_string().into()))?;
        }
        read_all(
            reader,
            events.clone(),
            Event::Service,
            Event::ServiceEnded,
            self.number,
        );
        Ok(())
    }

    fn handshake(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let (Some(tls), Some(socket)) = (&mut self.tls, &mut self.socket) else {
                return Ok(());
            };
            tls.receive(&mut self.outgoing, &mut |_| ControlFlow::Continue(()))
                .map_err(io::Error::other)?;
            socket.write_all(self.outgoing.filled())?;
            self.outgoing.clear();
            if tls.is_open() {
                return Ok(());
            }
            let size = socket.read(&mut buffer)?;
            if size == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            tls.incoming().extend(&buffer[..size]);
        }
    }

    fn receive(&mut self, bytes: &[u8], plain: &mut ByteBuf) -> bool {
        let Some(tls) = &mut self.tls else {
            plain.extend(bytes);
            return true;
        };
        tls.incoming().extend(bytes);
        let received = tls.receive(&mut self.outgoing, &mut |bytes| {
            plain.extend(bytes);
            ControlFlow::Continue(())
        });
        self.flush();
        received.is_ok()
    }
}

fn start_tls(site: &Site) -> io::Result<Stream> {
    let roots = match env::var("ROOTCERT") {
        Ok(path) => Roots::Only(fs::read(path)?),
        Err(_) => Roots::Public,
    };
    let trust = Trust {
        roots,
        verify: site.verify,
    };
    let configuration =
        Configuration::new(&trust, Alpn::Http1, Versions::Any).map_err(io::Error::other)?;
    let client = Client::new(configuration, &site.url.address.host)
        .map_err(|_| io::Error::other("no name that a certificate can have"))?;
    Stream::new(client).map_err(io::Error::other)
}

struct Conversation {
    user: TcpStream,
    exchange: Exchange,
    service: Service,
    from_client: ByteBuf,
    from_remote: ByteBuf,
    sender: SyncSender<Event>,
    events: Receiver<Event>,
}

impl Conversation {
    fn new(user: TcpStream, view: View) -> io::Result<Self> {
        user.set_nodelay(true)?;
        let (sender, events) = sync_channel(16);
        let user_ended = |_: usize, _: bool| Event::UserEnded;
        read_all(
            user.try_clone()?,
            sender.clone(),
            |_, bytes| Event::User(bytes),
            user_ended,
            0,
        );
        Ok(Self {
            user,
            exchange: Exchange::new(view, Instant::now()),
            service: Service::default(),
            from_client: ByteBuf::new(),
            from_remote: ByteBuf::new(),
            sender,
            events,
        })
    }

    fn run(mut self, site: &Site) -> io::Result<()> {
        loop {
            let patience = self
                .exchange
                .deadline()
                .map_or(Duration::from_secs(3600), |at| {
                    at.saturating_duration_since(Instant::now())
                });
            match self.events.recv_timeout(patience) {
                Ok(Event::User(bytes)) => {
                    self.from_client.extend(&bytes);
                    self.exchange.packet(Instant::now(), bytes.len());
                }
                Ok(Event::Service(number, bytes))
                    if number == self.service.number && self.service.socket.is_some() =>
                {
                    if !self.service.receive(&bytes, &mut self.from_remote) {
                        self.exchange.remote_ended(true);
                    }
                }
                Ok(Event::ServiceEnded(number, is_cut)) if number == self.service.number => {
                    self.exchange.remote_ended(is_cut)
                }
                Ok(Event::UserEnded) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
            if self.step(site) {
                break;
            }
        }
        self.service.hang_up();
        self.user.shutdown(Shutdown::Both)
    }

    /// Whether it is over.
    fn step(&mut self, site: &Site) -> bool {
        loop {
            let step = self.exchange.step(&mut Wires {
                site,
                from_client: &mut self.from_client,
                from_remote: &mut self.from_remote,
                to_remote: &mut self.service,
                outlet: Outlet {
                    packets: &mut User(&self.user),
                    packet_bytes: 1 << 20,
                    may_hold: true,
                    now: Instant::now(),
                },
            });
            self.service.flush();
            match step {
                Step::Wait => return false,
                Step::Dial { .. } => match self.service.dial(site, &self.sender) {
                    Ok(()) => self.exchange.connected(Instant::now(), false),
                    Err(failure) => {
                        self.service.hang_up();
                        self.exchange.not_connected(failure);
                    }
                },
                Step::HangUp => {
                    self.service.hang_up();
                    self.from_remote.clear();
                }
                Step::Finished { .. } => return true,
            }
        }
    }
}
