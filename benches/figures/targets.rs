//! What the relays lead to: a source, a sink and an echo, each on a thread of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::{Events, Interest, Poll, Token};

use super::peer::discard;

/// Bytes written at once by the source.
const WRITE_BYTES: usize = 256 * 1024;

/// The content of everything that is checked: no piece of it looks like its neighbours.
pub fn pattern(position: usize) -> u8 {
    (position.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]
}

/// Whether these are the bytes from `position` on.
pub fn assert_pattern(bytes: &[u8], position: usize) {
    for (offset, byte) in bytes.iter().enumerate() {
        assert_eq!(
            *byte,
            pattern(position + offset),
            "at {}",
            position + offset
        );
    }
}

/// Accepts one connection and writes as much as it is told.
pub struct Source {
    pub port: u16,
    orders: Sender<usize>,
}

impl Source {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (orders, received) = channel::<usize>();
        thread::spawn(move || {
            let mut socket = accept(&listener);
            let bytes: Vec<u8> = (0..WRITE_BYTES).map(pattern).collect();
            for mut left in received {
                while left > 0 {
                    let size = left.min(WRITE_BYTES);
                    // Ends with the connection: whoever was measured is gone.
                    if socket.write_all(&bytes[..size]).is_err() {
                        return;
                    }
                    left -= size;
                }
            }
        });
        Self { port, orders }
    }

    /// Writes `size` bytes, of which every [`Source::PERIOD`] are alike if that is a multiple.
    pub fn write(&self, size: usize) {
        self.orders.send(size).unwrap();
    }

    /// The pattern starts anew after this many bytes.
    pub const PERIOD: usize = WRITE_BYTES;
}

/// Accepts one connection, checks what it is told to check, and drops the rest.
pub struct Sink {
    pub port: u16,
    orders: Sender<Order>,
    done: Receiver<()>,
}

enum Order {
    Check(usize),
    Drop(usize),
}

impl Sink {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (orders, received) = channel();
        let (report, done) = channel();
        thread::spawn(move || {
            let mut socket = accept(&listener);
            for order in received {
                match order {
                    Order::Check(size) => {
                        let mut bytes = vec![0; size];
                        socket.read_exact(&mut bytes).unwrap();
                        for period in bytes.chunks(Source::PERIOD) {
                            assert_pattern(period, 0);
                        }
                    }
                    Order::Drop(size) => discard(&socket, size),
                }
                if report.send(()).is_err() {
                    return;
                }
            }
        });
        Self { port, orders, done }
    }

    /// The next `size` bytes are periods of the pattern; follow with [`Sink::wait`].
    pub fn check(&self, size: usize) {
        self.orders.send(Order::Check(size)).unwrap();
    }

    /// The next `size` bytes are dropped by the kernel; follow with [`Sink::wait`].
    pub fn drop_bytes(&self, size: usize) {
        self.orders.send(Order::Drop(size)).unwrap();
    }

    /// Until they have come.
    pub fn wait(&self) {
        self.done.recv().expect("the sink got what it expected");
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        // An address check that no connection uses leaves without a word.
        if is_left(&mut socket) {
            continue;
        }
        return socket;
    }
}

/// The other side closes within a moment: it only wanted to see whether somebody is here.
fn is_left(socket: &mut TcpStream) -> bool {
    socket
        .set_read_timeout(Some(std::time::Duration::from_millis(20)))
        .unwrap();
    let is_left = matches!(socket.peek(&mut [0]), Ok(0));
    socket.set_read_timeout(None).unwrap();
    is_left
}

/// Sends everything back, on any number of connections.
pub struct Echo {
    pub port: u16,
}

const LISTENER: Token = Token(0);

impl Echo {
    pub fn start() -> Self {
        let mut listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut poll = Poll::new().unwrap();
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .unwrap();
        thread::spawn(move || {
            let mut events = Events::with_capacity(1024);
            let mut sockets: Vec<Option<mio::net::TcpStream>> = vec![None];
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match poll.poll(&mut events, None) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    other => other.unwrap(),
                }
                for event in &events {
                    if event.token() == LISTENER {
                        while let Ok((mut socket, _)) = listener.accept() {
                            let token = Token(sockets.len());
                            socket.set_nodelay(true).unwrap();
                            poll.registry()
                                .register(&mut socket, token, Interest::READABLE)
                                .unwrap();
                            sockets.push(Some(socket));
                        }
                        continue;
                    }
                    let slot = &mut sockets[event.token().0];
                    if slot
                        .as_mut()
                        .is_some_and(|socket| !echo(socket, &mut buffer))
                    {
                        *slot = None;
                    }
                }
            }
        });
        Self { port }
    }
}

/// Messages of a benchmark are small: what was read always fits the socket's buffer.
fn echo(socket: &mut mio::net::TcpStream, buffer: &mut [u8]) -> bool {
    loop {
        match socket.read(buffer) {
            Ok(0) => return false,
            Ok(size) => {
                if socket.write_all(&buffer[..size]).is_err() {
                    return false;
                }
                if size < buffer.len() {
                    return true;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
    }
}
