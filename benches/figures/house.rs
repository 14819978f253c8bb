//! An agent and one session on a scripted server: what is measured of every database, each by three ways to the same
//! server.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::ServerConfig;

use super::gateway::Gateway;
use super::process::{Core, Process};
use super::table::{Budget, short};
use super::{Bench, GIGABYTE, SETTLE, Transfer, mebibytes};

/// As many as connections of a busy app.
pub const IDLE_COUNT: usize = 1000;

/// `pgbench`'s clients.
const CLIENTS: usize = 10;

/// The ways to one server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// A TCP relay: the client speaks to the server itself, without encryption.
    Tcp,
    /// A login by the agent, with as little encryption as there can be.
    Login,
    /// The same, with all of it encrypted.
    Tls,
}

const ALL: [Through; 3] = [Through::Tcp, Through::Login, Through::Tls];

/// A database, as its client and its server speak.
pub struct Database {
    /// The server's side of a connection, for as long as it lasts.
    pub welcome: fn(TcpStream, Arc<ServerConfig>) -> std::io::Result<()>,
    /// Opens the session on the server at a port.
    pub open: fn(&mut Gateway, u16, Through),
    /// Logs a connection in.
    pub log_in: fn(&mut House, usize),
    /// Bytes of the answer to a query.
    pub answer_bytes: usize,
}

/// One row of the table for the login, and one for TLS.
pub type Rows = [(String, Budget); 2];

/// See the module.
pub struct House {
    pub agent: Process,
    pub gateway: Gateway,
    pub through: Through,
    database: &'static Database,
}

impl House {
    fn open(bench: &Bench, database: &'static Database, through: Through) -> Self {
        let config = bench.identity.config.clone();
        let port = serve(move |socket| (database.welcome)(socket, config.clone()));
        let (agent, mut gateway) = bench.start_agent(Core::Own);
        (database.open)(&mut gateway, port, through);
        Self {
            agent,
            gateway,
            through,
            database,
        }
    }

    fn log_in(&mut self, connection: usize) {
        if self.through == Through::Tcp {
            self.gateway.connect(connection);
        }
        (self.database.log_in)(self, connection);
    }

    fn send(&mut self, connection: usize, messages: &[&[u8]]) {
        for message in messages {
            self.gateway.write(connection, message);
        }
    }

    /// Reads so many bytes, which must be those of this connection.
    pub fn read(&mut self, wanted: usize, size: usize) {
        let mut left = size;
        while left > 0 {
            let (connection, size) = self.gateway.next_bytes();
            assert_eq!(connection, wanted);
            left -= size;
        }
    }
}

/// Of a query: two eyes on the bytes beside a relay's `tcp`, and nothing else.
pub fn query_rows([login, tls]: [String; 2], (bar, reach): (f64, f64), tcp: f64) -> Rows {
    [
        (login, Budget::AtMost(bar.min(tcp * 1.25 + 2.0), reach)),
        (tls, Budget::AtMost(bar * 1.5, reach * 1.5)),
    ]
}

/// Of a gigabyte, beside a relay's `tcp`.
pub fn transfer_rows([login, tls]: [String; 2], bar: f64, tcp: f64) -> Rows {
    [
        (login, Budget::AtMost(bar.max(tcp * 1.25), tcp * 1.1)),
        (tls, Budget::AtMost(tcp * 1.25 + 1.5, tcp + 1.0)),
    ]
}

/// Microseconds of CPU that the agent spends on a query of these messages; `rows` is told those of a TCP relay.
pub fn queries(
    bench: &mut Bench,
    database: &'static Database,
    messages: &[&[u8]],
    rows: impl Fn(f64) -> Rows,
) {
    let (rounds, count) = if bench.is_quick {
        (2, 2000)
    } else {
        (4, 20_000)
    };
    let mut best = [f64::MAX; 3];
    for _ in 0..rounds {
        for (best, through) in best.iter_mut().zip(ALL) {
            let house = House::open(bench, database, through);
            *best = best.min(cpu_per_query(house, messages, count));
        }
    }
    add(bench, best.map(|seconds| seconds * 1e6), "relay", rows);
}

fn cpu_per_query(mut house: House, messages: &[&[u8]], count: usize) -> f64 {
    for connection in 1..=CLIENTS {
        house.log_in(connection);
    }
    let ask = |house: &mut House, count: usize| {
        let mut answered = [0; CLIENTS + 1];
        let (mut asked, mut done) = (CLIENTS, 0);
        for connection in 1..=CLIENTS {
            house.send(connection, messages);
        }
        while done < count {
            let (connection, size) = house.gateway.next_bytes();
            answered[connection] += size;
            if answered[connection] == house.database.answer_bytes {
                answered[connection] = 0;
                done += 1;
                if asked < count {
                    house.send(connection, messages);
                    asked += 1;
                }
            }
        }
    };
    ask(&mut house, CLIENTS * 20);
    let before = house.agent.cpu();
    ask(&mut house, count);
    (house.agent.cpu() - before).as_secs_f64() / count as f64
}

/// One measured transfer of a size.
pub type Move = fn(&mut House, usize) -> Transfer;

/// Seconds of CPU that the agent spends on a gigabyte of one connection; `rows` is told those of a TCP relay.
pub fn transfers(
    bench: &mut Bench,
    database: &'static Database,
    run: Move,
    rows: impl Fn(f64) -> Rows,
) {
    let (rounds, size) = if bench.is_quick {
        (2, 128 << 20)
    } else {
        (4, 512 << 20)
    };
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (transfers, through) in all.iter_mut().zip(ALL) {
            let mut house = House::open(bench, database, through);
            house.log_in(1);
            transfers.push(run(&mut house, size));
        }
    }
    let values = all.map(|transfers| Transfer::best(&transfers).cpu_per_byte * GIGABYTE);
    add(bench, values, "relay", rows);
}

/// Memory of an agent whose [`IDLE_COUNT`] connections have each had a query.
pub fn idle(bench: &mut Bench, database: &'static Database, query: &[u8], words: [&str; 2]) {
    let values = ALL.map(|through| {
        let mut house = House::open(bench, database, through);
        for connection in 1..=IDLE_COUNT {
            house.log_in(connection);
            house.gateway.write(connection, query);
            house.read(connection, database.answer_bytes);
        }
        house.gateway.attend(SETTLE);
        mebibytes(&house.agent)
    });
    let [login, tls] = words.map(|words| {
        format!("resident, {IDLE_COUNT} connections {words}, idle after a query, MiB")
    });
    add(bench, values, "relays", |_| {
        [
            (login.clone(), Budget::AtMost(8.0, 4.0)),
            (tls.clone(), Budget::AtMost(12.0, 7.0)),
        ]
    });
}

/// What the two logins came to, beside TCP.
fn add(bench: &mut Bench, values: [f64; 3], relays: &str, rows: impl Fn(f64) -> Rows) {
    let [tcp, logins @ ..] = values;
    let beside = format!("TCP {relays} {}", short(tcp));
    for ((words, budget), value) in rows(tcp).into_iter().zip(logins) {
        bench.table.add(&words, value, beside.clone(), budget);
    }
}

/// A server on a port of its own, each connection on a thread with a small stack.
pub fn serve<F>(talk: F) -> u16
where
    F: Fn(TcpStream) -> std::io::Result<()> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (socket, talk) = (socket.unwrap(), talk.clone());
            let builder = thread::Builder::new().stack_size(512 << 10);
            // A connection that ends is one of a program that was measured.
            builder.spawn(move || talk(socket)).unwrap();
        }
    });
    port
}

/// Writes `size` bytes and some more than are counted, from `rows` again and again.
pub fn write_rows(
    stream: &mut impl std::io::Write,
    rows: &[u8],
    size: usize,
) -> std::io::Result<()> {
    let mut left = size + rows.len();
    while left > 0 {
        let now = left.min(rows.len());
        stream.write_all(&rows[..now])?;
        left -= now;
    }
    Ok(())
}
