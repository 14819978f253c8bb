//! What a database costs beside a TCP relay: the same scripted PostgreSQL server, the same bytes, the same run;
//! with TLS to the server one more cipher.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use loopback_gateway::postgres::{put, startup};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::gateway::{Gateway, Said};
use super::process::{Core, Process};
use super::table::{Budget, short};
use super::{Bench, GIGABYTE, SETTLE, Transfer, measure, mebibytes};

/// The ways to one server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Through {
    /// A TCP relay: the client speaks to the server itself.
    Tcp,
    /// A login by the agent, without TLS to the server.
    Plain,
    /// The same with TLS.
    Tls,
}

const ALL: [Through; 3] = [Through::Tcp, Through::Plain, Through::Tls];

/// `pgbench`'s clients.
const CLIENTS: usize = 10;

/// As many as connections of a busy app.
const IDLE_COUNT: usize = 1000;

/// The messages of `pgbench -S`, one packet each, as the real client sends them.
const SIMPLE: [&[u8]; 1] =
    [b"Q\0\0\0\x3cSELECT abalance FROM pgbench_accounts WHERE aid = 4711;\0"];
const PREPARED: [&[u8]; 4] = [
    b"B\0\0\0\x19\0P0_1\0\0\0\0\x01\0\0\0\x0559375\0\0",
    b"D\0\0\0\x06P\0",
    b"E\0\0\0\x09\0\0\0\0\0",
    b"S\0\0\0\x04",
];

/// What comes back for either.
const ANSWER: &[u8] =
    b"T\0\0\0\x21\0\x01abalance\0\0\0\x40\x33\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0\
    D\0\0\0\x0b\0\x01\0\0\0\x010C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
const READY: &[u8] = b"Z\0\0\0\x05I";

/// CopyData of 100 bytes a row, as `pgbench_accounts` is copied; a whole number of rows.
const ROW: [u8; 105] = {
    let mut row = [b'7'; 105];
    (row[0], row[1], row[2], row[3], row[4]) = (b'd', 0, 0, 0, 104);
    row
};
const COPY_PIECE_ROWS: usize = 2048;

/// All rows of this group.
pub fn measure_all(bench: &mut Bench) {
    queries(bench, "simple", &SIMPLE, 60.0, 30.0);
    queries(bench, "prepared", &PREPARED, 150.0, 75.0);
    copies(bench, "COPY out", copy_out, 1.0);
    copies(bench, "COPY in", copy_in, 2.0);
    idle(bench);
}

fn queries(bench: &mut Bench, words: &str, messages: &[&[u8]], bar: f64, reach: f64) {
    let (rounds, count) = if bench.is_quick {
        (2, 2000)
    } else {
        (4, 20_000)
    };
    let mut best = [f64::MAX; 3];
    for _ in 0..rounds {
        for (best, through) in best.iter_mut().zip(ALL) {
            *best = best.min(cpu_per_query(bench, through, messages, count));
        }
    }
    let [tcp, plain, tls] = best.map(|seconds| seconds * 1e6);
    let beside = format!("TCP relay {}", short(tcp));
    bench.table.add(
        &format!("PostgreSQL, {words} query, agent CPU us"),
        plain,
        beside.clone(),
        // Two eyes on the bytes, and nothing else.
        Budget::AtMost(bar.min(tcp * 1.25 + 2.0), reach),
    );
    bench.table.add(
        &format!("PostgreSQL, {words} query, TLS to the server, agent CPU us"),
        tls,
        beside,
        Budget::AtMost(bar * 1.5, reach * 1.5),
    );
}

fn cpu_per_query(bench: &Bench, through: Through, messages: &[&[u8]], count: usize) -> f64 {
    let mut house = House::open(bench, through);
    for connection in 1..=CLIENTS {
        house.log_in(connection);
    }
    let ask = |house: &mut House, count: usize| {
        let mut answered = [0; CLIENTS + 1];
        let (mut asked, mut done) = (0, 0);
        for connection in 1..=CLIENTS {
            house.send(connection, messages);
            asked += 1;
        }
        while done < count {
            let (connection, size) = house.next();
            answered[connection] += size;
            if answered[connection] == ANSWER.len() {
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

/// One measured COPY of a size.
type Copy = fn(&mut House, usize) -> Transfer;

fn copies(bench: &mut Bench, words: &str, copy: Copy, bar: f64) {
    let (rounds, size) = if bench.is_quick {
        (2, 128 << 20)
    } else {
        (4, 512 << 20)
    };
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (transfers, through) in all.iter_mut().zip(ALL) {
            let mut house = House::open(bench, through);
            house.log_in(1);
            transfers.push(copy(&mut house, size));
        }
    }
    let [tcp, plain, tls] = all.map(|transfers| Transfer::best(&transfers).cpu_per_byte * GIGABYTE);
    let beside = format!("TCP relay {}", short(tcp));
    bench.table.add(
        &format!("PostgreSQL, {words}, CPU s/GB"),
        plain,
        beside.clone(),
        Budget::AtMost(bar.max(tcp * 1.25), tcp * 1.1),
    );
    bench.table.add(
        &format!("PostgreSQL, {words}, TLS to the server, CPU s/GB"),
        tls,
        beside,
        Budget::AtMost(tcp * 1.25 + 1.5, tcp + 1.0),
    );
}

fn copy_out(house: &mut House, size: usize) -> Transfer {
    house.gateway.write(1, &order(b'O', size));
    let House { agent, gateway, .. } = house;
    measure(agent, size, || gateway.discard(size))
}

fn copy_in(house: &mut House, size: usize) -> Transfer {
    // As large as a TCP relay's packets. What smaller ones cost is in the rows of the queries.
    let rows = ROW.repeat(super::CLIENT_PAYLOAD_BYTES / ROW.len());
    let count = size / rows.len();
    house.gateway.write(1, &order(b'I', count * rows.len()));
    let House { agent, gateway, .. } = house;
    measure(agent, size, || {
        gateway.write_repeatedly(1, &rows, count);
        let mut answer = Vec::new();
        gateway.read(&mut answer, READY.len());
        assert_eq!(answer, READY);
    })
}

fn idle(bench: &mut Bench) {
    let mut resident = Vec::new();
    for through in ALL {
        let mut house = House::open(bench, through);
        for connection in 1..=IDLE_COUNT {
            house.log_in(connection);
            house.send(connection, &SIMPLE);
            house.read(connection, ANSWER.len());
        }
        house.gateway.attend(SETTLE);
        resident.push(mebibytes(&house.agent));
    }
    let beside = format!("TCP relays {}", short(resident[0]));
    let rows = [
        ("logged in to PostgreSQL", 8.0, 4.0),
        ("the same over TLS", 12.0, 7.0),
    ];
    for ((words, bar, reach), value) in rows.into_iter().zip(&resident[1..]) {
        bench.table.add(
            &format!("resident, {IDLE_COUNT} connections {words}, idle after a query, MiB"),
            *value,
            beside.clone(),
            Budget::AtMost(bar, reach),
        );
    }
}

/// An agent, its gateway, and one session on a scripted server.
struct House {
    agent: Process,
    gateway: Gateway,
    through: Through,
}

impl House {
    fn open(bench: &Bench, through: Through) -> Self {
        let port = serve(bench.identity.config.clone());
        let (agent, mut gateway) = bench.start_agent(Core::Own);
        match through {
            Through::Tcp => gateway.open_tcp(port),
            Through::Plain => gateway.open_postgres(port, "disable"),
            Through::Tls => gateway.open_postgres(port, "require"),
        }
        Self {
            agent,
            gateway,
            through,
        }
    }

    fn log_in(&mut self, connection: usize) {
        if self.through == Through::Tcp {
            self.gateway.connect(connection);
        }
        let words = startup(3 << 16, &[("user", "noop"), ("database", "bench")]);
        self.gateway.write(connection, &words);
        self.read(connection, WELCOME.len());
    }

    fn send(&mut self, connection: usize, messages: &[&[u8]]) {
        for message in messages {
            self.gateway.write(connection, message);
        }
    }

    /// The next bytes of any connection: whose, and how many.
    fn next(&mut self) -> (usize, usize) {
        loop {
            if let Said::Bytes { connection, bytes } = self.gateway.hear(None) {
                return (connection, bytes.len());
            }
        }
    }

    fn read(&mut self, wanted: usize, size: usize) {
        let mut left = size;
        while left > 0 {
            let (connection, size) = self.next();
            assert_eq!(connection, wanted);
            left -= size;
        }
    }
}

/// Trust, a key, and the word that it is ready.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\x12\x67keysZ\0\0\0\x05I";

/// A query that makes the server copy so many bytes out, or in.
fn order(way: u8, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put(
        &mut out,
        b'Q',
        &[&[way], size.to_string().as_bytes(), b"\0"],
    );
    out
}

/// A server on a port of its own, each connection on a thread with a small stack.
fn serve(config: Arc<ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (socket, config) = (socket.unwrap(), config.clone());
            let builder = thread::Builder::new().stack_size(256 << 10);
            // A connection that ends is one of an agent that was measured.
            builder.spawn(move || welcome(socket, config)).unwrap();
        }
    });
    port
}

fn welcome(mut socket: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut head = [0; 8];
    socket.read_exact(&mut head)?;
    let is_request_for_tls = head[4..] == 80_877_103_u32.to_be_bytes();
    if is_request_for_tls {
        socket.write_all(b"S")?;
        let tls = ServerConnection::new(config).expect("a configuration");
        let mut stream = StreamOwned::new(tls, socket);
        stream.read_exact(&mut head)?;
        return talk(&mut stream, head);
    }
    talk(&mut socket, head)
}

/// The rest of the startup message, then one answer a Sync or query.
fn talk(stream: &mut (impl Read + Write), head: [u8; 8]) -> std::io::Result<()> {
    let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    stream.read_exact(&mut vec![0; len - head.len()])?;
    stream.write_all(WELCOME)?;
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let size = stream.read(&mut buffer)?;
        if size == 0 {
            return Ok(());
        }
        input.extend_from_slice(&buffer[..size]);
        while let Some(message) = next_message(&mut input) {
            let text = || String::from_utf8_lossy(&message[6..message.len() - 1]).parse();
            match (message[0], message.get(5)) {
                (b'Q', Some(b'O')) => write_rows(stream, text().unwrap())?,
                (b'Q', Some(b'I')) => {
                    let size: usize = text().unwrap();
                    let mut rest = Read::take(&mut *stream, (size - input.len()) as u64);
                    std::io::copy(&mut rest, &mut std::io::sink())?;
                    input.clear();
                    stream.write_all(READY)?;
                }
                (b'Q' | b'S', _) => stream.write_all(ANSWER)?,
                _ => {}
            }
        }
    }
}

fn next_message(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let word = input.get(1..5)?.try_into().unwrap();
    let len = 1 + u32::from_be_bytes(word) as usize;
    (input.len() >= len).then(|| input.drain(..len).collect())
}

fn write_rows(stream: &mut impl Write, size: usize) -> std::io::Result<()> {
    let rows = ROW.repeat(COPY_PIECE_ROWS);
    let mut left = size + rows.len();
    while left > 0 {
        let now = left.min(rows.len());
        stream.write_all(&rows[..now])?;
        left -= now;
    }
    Ok(())
}
