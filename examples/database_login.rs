//! A login machine at work, on plain blocking sockets: listens on loopback, logs every client in to a
//! database with stored credentials, and relays.
//!
//! ```text
//! HOST=db.internal USER=app PASS=secret SSLMODE=require cargo run --example database_login
//! psql -h 127.0.0.1 -p 15432 -U noop sales          # any user, any password
//! ```
//! Also: DIALECT (postgres, mysql or mssql), PORT, DB, SSLROOTCERT (a file), MYSQL_RSA, ENCRYPT (mssql: optional or strict), LISTEN.
//! The agent drives the same machine from its reactor.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::{env, fs, thread};

use hoop_lite::base::{ByteBuf, Roots, Secret, Trust};
use hoop_lite::limits;
use hoop_lite::login::mssql::{Encryption, Envelope};
use hoop_lite::login::postgres::Cancel;
use hoop_lite::login::{
    Account, CancelKey, Cause, Exchange, Keys, Login, Refusal, Relay, SslMode, Step, TlsForm,
    TlsWish,
};
use hoop_lite::tls::{Alpn, Client, Configuration, Stream, StreamError, Subject, Versions};
use ring::rand::{SecureRandom, SystemRandom};

/// The connection's own variables.
struct Variables {
    host: String,
    address: String,
    tls: SslMode,
    roots: Roots,
}

/// What all conversations share: who is logged in.
#[derive(Default)]
struct Shared {
    backends: Vec<Backend>,
}

/// A cancel request must reach the very server that the query runs on.
#[derive(Clone)]
struct Backend {
    key: CancelKey,
    address: SocketAddr,
    tls: Option<TlsWish>,
}

fn main() -> io::Result<()> {
    let host = variable("HOST", "127.0.0.1");
    let root_file = variable("SSLROOTCERT", "");
    let variables = Variables {
        address: format!("{host}:{}", variable("PORT", default_port())),
        host,
        tls: SslMode::parse(&variable("SSLMODE", "")).map_err(|it| io::Error::other(it.text))?,
        roots: match &*root_file {
            "" => Roots::Public,
            path => Roots::Only(fs::read(path)?),
        },
    };
    let listener = TcpListener::bind(variable("LISTEN", "127.0.0.1:15432"))?;
    println!("listening on {}", listener.local_addr()?);
    let variables = Arc::new(variables);
    let shared = Arc::new(Mutex::new(Shared::default()));
    for client in listener.incoming() {
        let (client, variables, shared) = (client?, variables.clone(), shared.clone());
        thread::spawn(move || {
            let Ok(mut conversation) = Conversation::new(client, &variables, &shared) else {
                return;
            };
            let outcome = conversation.run();
            // Its reader holds the socket, too; and who cancels waits for the end of it.
            let _ = conversation.client.shutdown(Shutdown::Both);
            match outcome {
                Ok(text) => println!("{text}"),
                Err(error) => println!("ended: {error}"),
            }
        });
    }
    Ok(())
}

fn variable(name: &str, default: &str) -> String {
    let value = env::var(name).unwrap_or_default();
    if value.is_empty() {
        default.to_owned()
    } else {
        value
    }
}

fn default_port() -> &'static str {
    match &*variable("DIALECT", "") {
        "mysql" => "3306",
        "mssql" => "1433",
        _ => "5432",
    }
}

fn account(tls: SslMode) -> io::Result<Account> {
    let password = Secret::new(variable("PASS", ""));
    let account = Account::new(variable("USER", "postgres"), password)
        .with_database(variable("DB", ""))
        .with_tls(tls)
        .with_plain_password_allowed(tls == SslMode::Disable);
    Ok(match &*variable("MYSQL_RSA", "") {
        "true" => account.with_rsa(random()?),
        _ => account,
    })
}

fn random<const SIZE: usize>() -> io::Result<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| ErrorKind::Other)?;
    Ok(bytes)
}

enum Event {
    Client(Vec<u8>),
    ClientEnded,
    Server(SocketAddr, Vec<u8>),
    ServerEnded(SocketAddr),
}

/// A server's connection, with TLS once it is wished for.
struct Server {
    socket: TcpStream,
    /// Of ours, so that the events of an abandoned connection are told apart.
    name: SocketAddr,
    /// What its certificate must be for.
    host: String,
    tls: Option<Stream>,
    /// The handshake lies in packets.
    envelope: Option<Envelope>,
}

impl Server {
    fn connect(address: &str, host: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            name: socket.local_addr()?,
            socket,
            host: host.to_owned(),
            tls: None,
            envelope: None,
        })
    }

    fn start_tls(&mut self, wish: TlsWish, variables: &Variables) -> io::Result<()> {
        let trust = Trust {
            roots: variables.roots.clone(),
            verify: wish.verify,
        };
        let (alpn, versions) = match wish.form {
            TlsForm::Bare => (Alpn::None, Versions::Any),
            TlsForm::Prelogin => (Alpn::None, Versions::Only12),
            TlsForm::Tds8 => (Alpn::Tds8, Versions::Any),
        };
        let configuration = Configuration::new(&trust, alpn, versions);
        let configuration = configuration.map_err(io::Error::other)?;
        let client = Client::new(configuration, &self.host)
            .map_err(|_| io::Error::other("HOST is not a name that a certificate can have"))?;
        self.tls = Some(Stream::new(client).map_err(tls_failed)?);
        self.envelope = (wish.form == TlsForm::Prelogin).then(Envelope::default);
        self.receive(&[], &mut ByteBuf::new())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write_all(bytes);
        };
        let mut outgoing = ByteBuf::new();
        tls.send(bytes, &mut outgoing).map_err(tls_failed)?;
        self.socket.write_all(outgoing.filled())
    }

    /// Appends what the socket's bytes carry.
    fn receive(&mut self, bytes: &[u8], out: &mut ByteBuf) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            out.extend(bytes);
            return Ok(());
        };
        let mut outgoing = ByteBuf::new();
        let mut bytes = bytes.to_vec();
        if let Some(envelope) = &mut self.envelope {
            let size = envelope.open(&mut bytes);
            bytes.truncate(size);
        }
        tls.incoming().extend(&bytes);
        let received = tls.receive(&mut outgoing, &mut |plaintext| {
            out.extend(plaintext);
            ControlFlow::Continue(())
        });
        // Of a failure, the alert that tells the server why.
        let mut words = outgoing.filled().to_vec();
        if self.envelope.is_some() {
            words.clear();
            Envelope::seal(outgoing.filled(), &mut |packet| {
                words.extend_from_slice(packet);
            });
            self.envelope = self.envelope.take().filter(|_| !tls.is_open());
        }
        let written = self.socket.write_all(&words);
        received.map_err(tls_failed)?;
        written
    }
}

const DATABASE: Subject = Subject {
    side: "the database",
    authority: "SSLROOTCERT",
    name: "HOST",
    without_tls: "set SSLMODE to disable",
    wants_certificate: "which this example has none of",
    no_protocol: "the server agrees on no protocol",
    otherwise: "",
};

fn tls_failed(error: StreamError) -> io::Error {
    io::Error::other(error.explain(&DATABASE))
}

struct Conversation<'a> {
    variables: &'a Variables,
    shared: &'a Mutex<Shared>,
    keys: Keys,
    client: TcpStream,
    server: Option<Server>,
    from_client: ByteBuf,
    from_server: ByteBuf,
    wish: Option<TlsWish>,
    is_securing: bool,
    events: Receiver<Event>,
    teller: SyncSender<Event>,
}

impl<'a> Conversation<'a> {
    fn new(
        client: TcpStream,
        variables: &'a Variables,
        shared: &'a Mutex<Shared>,
    ) -> io::Result<Self> {
        let (teller, events) = sync_channel(16);
        client.set_nodelay(true)?;
        read(client.try_clone()?, teller.clone(), Event::Client, || {
            Event::ClientEnded
        });
        Ok(Self {
            variables,
            shared,
            keys: Keys::new(),
            client,
            server: None,
            from_client: ByteBuf::new(),
            from_server: ByteBuf::new(),
            wish: None,
            is_securing: false,
            events,
            teller,
        })
    }

    /// The login, then the relay. What comes back is what a log would say.
    fn run(&mut self) -> io::Result<String> {
        let account = account(self.variables.tls)?;
        let mut login = match &*variable("DIALECT", "postgres") {
            "mysql" => Login::mysql(account),
            "mssql" => {
                let encryption = match &*variable("ENCRYPT", "") {
                    "optional" => Encryption::Login,
                    "strict" => Encryption::Strict,
                    _ => Encryption::Full,
                };
                Login::mssql(account, &self.variables.host, encryption)
            }
            _ => Login::postgres(account, random()?),
        };
        loop {
            let step = self.next(login)?;
            login = match step {
                Step::Wait(login) | Step::StartTls(login, _) => login,
                Step::Dial(mut login, place) => {
                    let (host, address) = match place {
                        Some(it) => (it.host.clone(), format!("{}:{}", it.host, it.port)),
                        None => (self.variables.host.clone(), self.variables.address.clone()),
                    };
                    match Server::connect(&address, &host) {
                        Ok(server) => self.listen_to(server)?,
                        Err(error) => {
                            let text = format!("the server can't be reached: {error}");
                            let refusal = Refusal::new(Cause::Unreachable, text);
                            if !login.refuse_later(&refusal) {
                                let mut packets: Vec<Vec<u8>> = Vec::new();
                                login.refuse(&refusal, &mut packets);
                                self.client.write_all(&packets.concat())?;
                                return Ok(format!("refused: {}", refusal.text));
                            }
                        }
                    }
                    login
                }
                Step::EndTls(login) => {
                    if let Some(server) = &mut self.server {
                        server.tls = None;
                    }
                    login
                }
                Step::Passed(relay) => return self.relay(relay),
                Step::Errand(key) => return self.cancel(&key),
                Step::Refused(refusal) => return Ok(format!("refused: {}", refusal.text)),
                Step::LookUp(..) | Step::Ended => return Ok("not in these dialects".to_owned()),
            };
        }
    }

    fn listen_to(&mut self, server: Server) -> io::Result<()> {
        let name = server.name;
        read(
            server.socket.try_clone()?,
            self.teller.clone(),
            move |bytes| Event::Server(name, bytes),
            move || Event::ServerEnded(name),
        );
        self.server = Some(server);
        self.wish = None;
        Ok(())
    }

    /// One step, after what it waits for has come.
    fn next(&mut self, login: Login) -> io::Result<Step<Login>> {
        use hoop_lite::login::Waits;
        // After `Dial` there is something to say to the server before anything comes from it.
        let step = self.call(login, Login::step)?;
        let Step::Wait(login) = step else {
            return Ok(step);
        };
        let limit = match login.waits_for() {
            Waits::Client | Waits::Idle => limits::LOGIN_CLIENT_TIMEOUT,
            Waits::Server => limits::LOGIN_SERVER_TIMEOUT,
            Waits::Turn => {
                self.keys.work();
                return Ok(Step::Wait(login));
            }
        };
        match self.events.recv_timeout(limit) {
            Ok(Event::Client(bytes)) => self.from_client.extend(&bytes),
            Ok(Event::ClientEnded) => {
                self.take_leave(&login)?;
                return Err(io::Error::other("the client left"));
            }
            Ok(Event::Server(name, bytes)) => return self.received(login, name, &bytes),
            Ok(Event::ServerEnded(name)) if self.is_current(name) => {
                return self.call(login, Login::server_ended);
            }
            Ok(Event::ServerEnded(_)) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let refusal = Refusal::new(Cause::Unreachable, "no answer in time");
                let mut packets: Vec<Vec<u8>> = Vec::new();
                login.refuse(&refusal, &mut packets);
                self.client.write_all(&packets.concat())?;
                self.take_leave(&login)?;
                return Ok(Step::Refused(refusal));
            }
        }
        Ok(Step::Wait(login))
    }

    /// So that the server does not take us for an attacker.
    fn take_leave(&mut self, login: &Login) -> io::Result<()> {
        let mut sent = Vec::new();
        login.farewell(&mut sent);
        match &mut self.server {
            Some(server) => server.send(&sent),
            None => Ok(()),
        }
    }

    fn received(
        &mut self,
        login: Login,
        name: SocketAddr,
        bytes: &[u8],
    ) -> io::Result<Step<Login>> {
        let Some(server) = self.server.as_mut().filter(|server| server.name == name) else {
            return Ok(Step::Wait(login));
        };
        if let Err(error) = server.receive(bytes, &mut self.from_server) {
            return match std::mem::take(&mut self.is_securing) {
                true => self.tls_failed(login, &error),
                false => Err(error),
            };
        }
        let is_agreed = server.tls.as_ref().is_some_and(Stream::is_open);
        if self.is_securing && is_agreed {
            self.is_securing = false;
            return self.call(login, Login::tls_started);
        }
        Ok(Step::Wait(login))
    }

    fn tls_failed(&mut self, login: Login, error: &io::Error) -> io::Result<Step<Login>> {
        let reason = error.to_string();
        self.with_exchange(|exchange| login.tls_failed(&reason, exchange))
    }

    fn call(
        &mut self,
        login: Login,
        call: fn(Login, &mut Exchange<'_>) -> Step<Login>,
    ) -> io::Result<Step<Login>> {
        self.with_exchange(|exchange| call(login, exchange))
    }

    fn with_exchange(
        &mut self,
        call: impl FnOnce(&mut Exchange<'_>) -> Step<Login>,
    ) -> io::Result<Step<Login>> {
        let (mut packets, mut sent) = (Vec::<Vec<u8>>::new(), Vec::new());
        let step = call(&mut Exchange {
            from_client: &mut self.from_client,
            from_server: &mut self.from_server,
            to_client: &mut packets,
            to_server: &mut sent,
            keys: &mut self.keys,
        });
        if let Some(server) = &mut self.server {
            server.send(&sent)?;
        }
        for packet in packets {
            self.client.write_all(&packet)?;
        }
        if let (Step::StartTls(_, wish), Some(server)) = (&step, &mut self.server) {
            (self.wish, self.is_securing) = (Some(*wish), true);
            server.start_tls(*wish, self.variables)?;
        }
        Ok(step)
    }

    fn is_current(&self, name: SocketAddr) -> bool {
        self.server
            .as_ref()
            .is_some_and(|server| server.name == name)
    }

    fn relay(&mut self, mut relay: Relay) -> io::Result<String> {
        let Some(mut server) = self.server.take() else {
            return Err(ErrorKind::NotConnected.into());
        };
        if let Some(warning) = relay.blind_trust() {
            println!("{warning}");
        }
        let backend = relay.cancel_key().map(|key| Backend {
            key: key.clone(),
            address: server.socket.peer_addr().unwrap_or(server.name),
            tls: self.wish,
        });
        let mut shared = self.shared.lock().map_err(|_| ErrorKind::Other)?;
        shared.backends.extend(backend.clone());
        drop(shared);
        let outcome = self.pump(&mut relay, &mut server);
        let _ = server.socket.shutdown(Shutdown::Both);
        let mut shared = self.shared.lock().map_err(|_| ErrorKind::Other)?;
        if let Some(backend) = backend {
            shared.backends.retain(|other| other.key != backend.key);
            drop(shared);
            if relay.is_busy() && !relay.said_goodbye() {
                let sent = self.send_cancel(&backend);
                return Ok(format!(
                    "the client left its query, cancelled: {}",
                    sent.is_ok()
                ));
            }
        }
        outcome.map(|()| "ended".to_owned())
    }

    fn pump(&mut self, relay: &mut Relay, server: &mut Server) -> io::Result<()> {
        let mut plain = ByteBuf::new();
        while let Ok(event) = self.events.recv() {
            match event {
                Event::Client(bytes) => {
                    relay.client_sent(&bytes);
                    server.send(&bytes)?;
                }
                Event::Server(_, bytes) => {
                    server.receive(&bytes, &mut plain)?;
                    let bytes = plain.filled();
                    let cut = relay.server_sent(bytes).unwrap_or_default();
                    let (first, rest) = bytes.split_at(cut);
                    self.client.write_all(first)?;
                    self.client.write_all(rest)?;
                    plain.clear();
                }
                Event::ClientEnded | Event::ServerEnded(_) => break,
            }
        }
        Ok(())
    }

    fn cancel(&mut self, key: &CancelKey) -> io::Result<String> {
        let shared = self.shared.lock().map_err(|_| ErrorKind::Other)?;
        let known = shared.backends.iter().find(|it| it.key == *key).cloned();
        drop(shared);
        let Some(backend) = known else {
            return Ok("a cancel request for nobody".to_owned());
        };
        self.send_cancel(&backend)?;
        Ok(format!("cancelled what {} does", backend.key.pid))
    }

    /// The errand: a small machine of its own.
    fn send_cancel(&self, backend: &Backend) -> io::Result<()> {
        let mut server = Server::connect(&backend.address.to_string(), &self.variables.host)?;
        let (mut from_server, mut sent) = (ByteBuf::new(), Vec::new());
        let mut block = [0; 4096];
        let mut cancel = Cancel::new(backend.key.clone(), backend.tls);
        let mut is_securing = false;
        loop {
            let is_agreed = server.tls.as_ref().is_some_and(Stream::is_open);
            let step = match std::mem::take(&mut is_securing) && is_agreed {
                true => cancel.tls_started(&mut sent),
                false => cancel.step(&mut from_server, &mut sent),
            };
            server.send(&std::mem::take(&mut sent))?;
            cancel = match step {
                Step::Wait(cancel) => cancel,
                Step::StartTls(cancel, wish) => {
                    server.start_tls(wish, self.variables)?;
                    cancel
                }
                _ => return Err(ErrorKind::ConnectionRefused.into()),
            };
            match server.socket.read(&mut block)? {
                0 => return Ok(()),
                size => server.receive(&block[..size], &mut from_server)?,
            }
            is_securing = matches!(cancel, Cancel::Securing(_));
        }
    }
}

/// Reads a socket on a thread of its own, as long as somebody takes what comes.
fn read(
    mut socket: TcpStream,
    teller: SyncSender<Event>,
    bytes: impl Fn(Vec<u8>) -> Event + Send + 'static,
    end: impl Fn() -> Event + Send + 'static,
) {
    thread::spawn(move || {
        let mut block = vec![0; 64 << 10];
        while let Ok(size @ 1..) = socket.read(&mut block) {
            if teller.send(bytes(block[..size].to_vec())).is_err() {
                return;
            }
        }
        let _ = teller.send(end());
    });
}
