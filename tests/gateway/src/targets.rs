//! TCP services for an agent to reach, each with a manner of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::gateway::deadline;

/// Bytes that a source writes at a time.
const SOURCE_BYTES: usize = 64 << 10;

/// What a service does with each connection.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Sends back what comes, until the client ends.
    Echo,
    /// Speaks first, then echoes.
    Greeter(String),
    /// Sends so many bytes of `pattern(seed)`, then closes.
    Source {
        /// Of the pattern.
        seed: u64,
        /// Bytes.
        count: usize,
    },
    /// Takes everything and says nothing.
    Sink,
    /// Waits for a byte, sends this, then resets the connection.
    Resetter(String),
    /// Holds the connection and never reads.
    Silent,
    /// Answers every HTTP/1.1 request with this body and closes.
    Http(String),
}

/// How a connection ended, as the service saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Bytes received.
    pub count: usize,
    /// Their `checksum`.
    pub checksum: u64,
    /// Whether it ended in order rather than by a reset.
    pub in_order: bool,
}

#[derive(Default)]
struct Ledger {
    accepted: usize,
    endings: Vec<Ending>,
}

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    changed: Condvar,
}

/// A running service. Dropping it closes everything.
pub struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
}

impl Target {
    /// A service on 127.0.0.1.
    pub fn start(manner: Manner) -> Self {
        Self::start_at("127.0.0.1:0", manner)
    }

    /// A service on this address.
    pub fn start_at(address: &str, manner: Manner) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind(address))
            .expect("a port to listen on");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let ledger = shared.clone();
        std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = accept_all(listener, manner, ledger) => {}
                }
            });
        });
        Self {
            address,
            shared,
            stop: Some(stop),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.ledger.lock().unwrap().accepted
    }

    /// Waits for so many accepted connections.
    pub fn wait_accepted(&self, count: usize) {
        self.wait("connections", |ledger| {
            (ledger.accepted >= count).then_some(())
        });
    }

    /// Waits until so many connections have ended, and returns how. Those that brought nothing do
    /// not count: a check of the address that no connection has used is one.
    pub fn wait_endings(&self, count: usize) -> Vec<Ending> {
        self.wait("ended connections", |ledger| {
            let used = ledger.endings.iter().filter(|ending| ending.count > 0);
            let used: Vec<Ending> = used.cloned().collect();
            (used.len() >= count).then_some(used)
        })
    }

    /// Waits until no connection is open.
    pub fn wait_idle(&self) {
        self.wait("the end of every connection", |ledger| {
            (ledger.endings.len() == ledger.accepted).then_some(())
        });
    }

    fn wait<T>(&self, what: &str, find: impl Fn(&Ledger) -> Option<T>) -> T {
        let give_up = Instant::now() + deadline();
        let mut ledger = self.shared.ledger.lock().unwrap();
        loop {
            if let Some(found) = find(&ledger) {
                return found;
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (accepted, ended) = (ledger.accepted, ledger.endings.len());
                drop(ledger);
                panic!("waited in vain for {what}: {accepted} accepted, {ended} ended");
            }
            ledger = self.shared.changed.wait_timeout(ledger, left).unwrap().0;
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

async fn accept_all(listener: TcpListener, manner: Manner, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        shared.ledger.lock().unwrap().accepted += 1;
        shared.changed.notify_all();
        let (manner, shared) = (manner.clone(), shared.clone());
        tokio::spawn(async move {
            let ending = serve(socket, &manner).await;
            shared.ledger.lock().unwrap().endings.push(ending);
            shared.changed.notify_all();
        });
    }
}

async fn serve(mut socket: TcpStream, manner: &Manner) -> Ending {
    let _ = socket.set_nodelay(true);
    match manner {
        Manner::Echo => take_all(socket, true).await,
        Manner::Greeter(greeting) => {
            let _ = socket.write_all(greeting.as_bytes()).await;
            take_all(socket, true).await
        }
        Manner::Source { seed, count } => {
            let sent = send_pattern(&mut socket, *seed, *count).await;
            let ended = sent && socket.shutdown().await.is_ok();
            Ending {
                count: 0,
                checksum: checksum(&[]),
                in_order: ended,
            }
        }
        Manner::Sink => take_all(socket, false).await,
        Manner::Resetter(last_words) => {
            let mut byte = [0];
            let _ = socket.read(&mut byte).await;
            let _ = socket.write_all(last_words.as_bytes()).await;
            let _ = socket.set_zero_linger();
            Ending {
                count: 1,
                checksum: checksum(&byte),
                in_order: false,
            }
        }
        Manner::Silent => std::future::pending().await,
        Manner::Http(body) => answer_http(socket, body).await,
    }
}

async fn take_all(mut socket: TcpStream, echoes: bool) -> Ending {
    let mut ending = Ending {
        count: 0,
        checksum: checksum(&[]),
        in_order: true,
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        match socket.read(&mut buffer).await {
            Ok(0) => return ending,
            Ok(count) => {
                ending.count += count;
                ending.checksum = extend_checksum(ending.checksum, &buffer[..count]);
                if echoes && socket.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    ending.in_order = false;
    ending
}

async fn send_pattern(socket: &mut TcpStream, seed: u64, count: usize) -> bool {
    let mut pattern = Pattern::new(seed);
    let mut left = count;
    let mut buffer = vec![0; SOURCE_BYTES];
    while left > 0 {
        let size = buffer.len().min(left);
        pattern.fill(&mut buffer[..size]);
        if socket.write_all(&buffer[..size]).await.is_err() {
            return false;
        }
        left -= size;
    }
    true
}

async fn answer_http(mut socket: TcpStream, body: &str) -> Ending {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match socket.read(&mut buffer).await {
            Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let sent = socket.write_all(format!("{head}{body}").as_bytes()).await;
    let in_order = sent.is_ok() && socket.shutdown().await.is_ok();
    Ending {
        count: request.len(),
        checksum: checksum(&request),
        in_order,
    }
}

/// Bytes that look random and can be made again: a xorshift generator's words.
pub struct Pattern {
    state: u64,
}

impl Pattern {
    /// Of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// The next bytes; a length that is not a multiple of eight wastes the rest of a word.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for group in bytes.chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            group.copy_from_slice(&self.state.to_le_bytes()[..group.len()]);
        }
    }
}

/// What a `Source` sends: whole buffers of the pattern.
pub fn sent_by_source(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut pattern = Pattern::new(seed);
    for piece in bytes.chunks_mut(SOURCE_BYTES) {
        pattern.fill(piece);
    }
    bytes
}

/// The first `count` bytes of the pattern with this seed.
pub fn pattern(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    Pattern::new(seed).fill(&mut bytes);
    bytes
}

/// A 64-bit FNV-1a checksum.
pub fn checksum(bytes: &[u8]) -> u64 {
    extend_checksum(0xCBF2_9CE4_8422_2325, bytes)
}

fn extend_checksum(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    })
}
