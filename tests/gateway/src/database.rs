//! A simulated database on loopback: every connection is a [`Secure`] of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::gateway::deadline;
use crate::secure::{Secure, Speaker};
use crate::{mongo, mssql, mysql, postgres};

/// What a connection has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// What PostgreSQL heard.
    pub postgres: postgres::Heard,
    /// What MySQL heard.
    pub mysql: mysql::Heard,
    /// What MongoDB heard.
    pub mongo: mongo::Heard,
    /// What SQL Server heard.
    pub mssql: mssql::Heard,
    /// Over TLS.
    pub is_secure: bool,
    /// Bytes came.
    pub is_used: bool,
    /// It is over.
    pub has_ended: bool,
    /// The client said goodbye within TLS.
    pub has_heard_goodbye: bool,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Connection>>,
    changed: Condvar,
}

/// What the database does to all that are connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Event {
    #[default]
    None,
    Say(Vec<u8>),
    Die,
    Stop,
}

/// Runs until it is dropped.
pub struct Database {
    address: SocketAddr,
    shared: Arc<Shared>,
    events: watch::Sender<Event>,
}

impl Database {
    /// Each connection is what `make` returns.
    pub fn start(make: impl Fn() -> Secure + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port to listen on");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (events, seen) = watch::channel(Event::None);
        let ledger = shared.clone();
        std::thread::spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let mut stopped = seen.clone();
                tokio::select! {
                    () = accept_all(listener, make, ledger, seen) => {}
                    _ = stopped.wait_for(|event| *event == Event::Stop) => {}
                }
            });
        });
        Self {
            address,
            shared,
            events,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every connected session says this of itself.
    pub fn say(&self, bytes: &[u8]) {
        let _ = self.events.send(Event::Say(bytes.to_vec()));
    }

    /// Every connection is reset, as when a server is killed.
    pub fn die(&self) {
        let _ = self.events.send(Event::Die);
    }

    /// All connections so far that have said something.
    pub fn connections(&self) -> Vec<Connection> {
        let all = self.shared.connections.lock().unwrap();
        all.iter().filter(|one| one.is_used).cloned().collect()
    }

    /// All connections so far.
    pub fn accepted(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }

    /// Connections that have not ended.
    pub fn open(&self) -> usize {
        let all = self.shared.connections.lock().unwrap();
        all.iter().filter(|one| !one.has_ended).count()
    }

    /// Waits until `find` finds something among the connections that have said something.
    pub fn wait<T>(&self, what: &str, find: impl Fn(&[Connection]) -> Option<T>) -> T {
        let give_up = Instant::now() + deadline();
        let mut all = self.shared.connections.lock().unwrap();
        loop {
            let used: Vec<Connection> = all.iter().filter(|one| one.is_used).cloned().collect();
            if let Some(found) = find(&used) {
                return found;
            }
            let left = give_up.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}: {used:?}");
            all = self.shared.changed.wait_timeout(all, left).unwrap().0;
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Stop);
    }
}

async fn accept_all(
    listener: TcpListener,
    make: impl Fn() -> Secure + 'static,
    shared: Arc<Shared>,
    events: watch::Receiver<Event>,
) {
    while let Ok((socket, _)) = listener.accept().await {
        let (secure, shared, mut events) = (make(), shared.clone(), events.clone());
        // Whoever sees the connection may end it.
        events.mark_unchanged();
        let index = {
            let mut all = shared.connections.lock().unwrap();
            all.push(Connection::default());
            all.len() - 1
        };
        shared.changed.notify_all();
        tokio::task::spawn_local(async move {
            serve(socket, secure, &shared, index, events).await;
            shared.connections.lock().unwrap()[index].has_ended = true;
            shared.changed.notify_all();
        });
    }
}

async fn serve(
    mut socket: TcpStream,
    mut secure: Secure,
    shared: &Shared,
    index: usize,
    mut events: watch::Receiver<Event>,
) {
    let _ = socket.set_nodelay(true);
    let mut buffer = vec![0; 64 << 10];
    let mut out = secure.receive(b"");
    loop {
        if socket.write_all(&out).await.is_err() {
            return;
        }
        if secure.is_over() {
            let _ = socket.shutdown().await;
            return;
        }
        tokio::select! {
            read = socket.read(&mut buffer) => match read {
                Ok(size @ 1..) => out = secure.receive(&buffer[..size]),
                _ => return,
            },
            _ = events.changed() => match &*events.borrow_and_update() {
                Event::Say(bytes) => out = secure.say(bytes),
                Event::Die => {
                    let _ = socket.set_zero_linger();
                    return;
                }
                _ => out.clear(),
            },
        }
        note(&secure, shared, index);
    }
}

fn note(secure: &Secure, shared: &Shared, index: usize) {
    let mut all = shared.connections.lock().unwrap();
    let connection = &mut all[index];
    match &secure.speaker {
        Speaker::Postgres(server) => connection.postgres = server.heard.clone(),
        Speaker::Mysql(server) => connection.mysql = server.heard.clone(),
        Speaker::Mongo(server) => connection.mongo = server.heard.clone(),
        Speaker::Mssql(server) => connection.mssql = server.heard.clone(),
    }
    connection.is_secure = secure.is_secure();
    connection.is_used = true;
    connection.has_heard_goodbye = secure.has_heard_goodbye;
    drop(all);
    shared.changed.notify_all();
}
