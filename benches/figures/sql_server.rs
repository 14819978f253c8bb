//! What SQL Server costs beside a TCP relay: the same scripted server, the same bytes, the same run; with the login
//! alone encrypted, and with all of it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use loopback_gateway::mssql::{Login7, batch, framed, prelogin_of};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::gateway::{Gateway, Said};
use super::process::{Core, Process};
use super::table::{Budget, short};
use super::{Bench, GIGABYTE, SETTLE, Transfer, measure, mebibytes};

/// The ways to one server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Through {
    /// A TCP relay: the client speaks to the server itself, without encryption.
    Tcp,
    /// A login by the agent, which alone is encrypted.
    Login,
    /// All of it is.
    Full,
}

const ALL: [Through; 3] = [Through::Tcp, Through::Login, Through::Full];

const CLIENTS: usize = 10;
const IDLE_COUNT: usize = 1000;

/// A word on encryption.
const OFF: u8 = 0;
const NOT_SUPPORTED: u8 = 2;

/// What comes back for a query: a row of one number.
const ANSWER: &[u8] =
    b"\x04\x01\0\x36\0\x33\x01\0\x81\x01\0\0\0\0\0\0\0\x38\x08a\0b\0a\0l\0a\0n\0c\0e\0\
    \xd1\x67\x12\0\0\xfd\x10\0\xc1\0\x01\0\0\0\0\0\0\0";
/// The reply to a login.
const WELCOME: &[u8] =
    b"\x04\x01\0\x20\0\x33\x01\0\xad\x08\0\x01\x74\0\0\x04\0\0\0\xfd\0\0\0\0\0\0\0\0\0\0\0\0";

/// All rows of this group.
pub fn measure_all(bench: &mut Bench) {
    queries(bench);
    results(bench);
    idle(bench);
}

fn queries(bench: &mut Bench) {
    let (rounds, count) = if bench.is_quick {
        (2, 2000)
    } else {
        (4, 20_000)
    };
    let mut best = [f64::MAX; 3];
    for _ in 0..rounds {
        for (best, through) in best.iter_mut().zip(ALL) {
            *best = best.min(cpu_per_query(bench, through, count));
        }
    }
    let [tcp, login, full] = best.map(|seconds| seconds * 1e6);
    let beside = format!("TCP relay {}", short(tcp));
    bench.table.add(
        "SQL Server, query, the login encrypted, agent CPU us",
        login,
        beside.clone(),
        Budget::AtMost(60.0_f64.min(tcp * 1.25 + 2.0), 30.0),
    );
    bench.table.add(
        "SQL Server, query, all encrypted, agent CPU us",
        full,
        beside,
        Budget::AtMost(90.0, 45.0),
    );
}

fn cpu_per_query(bench: &Bench, through: Through, count: usize) -> f64 {
    let mut house = House::open(bench, through);
    let query = batch("SELECT abalance FROM pgbench_accounts WHERE aid = 4711");
    for connection in 1..=CLIENTS {
        house.log_in(connection);
    }
    let ask = |house: &mut House, count: usize| {
        let mut answered = [0; CLIENTS + 1];
        let (mut asked, mut done) = (CLIENTS, 0);
        for connection in 1..=CLIENTS {
            house.gateway.write(connection, &query);
        }
        while done < count {
            let (connection, size) = house.next();
            answered[connection] += size;
            if answered[connection] == ANSWER.len() {
                answered[connection] = 0;
                done += 1;
                if asked < count {
                    house.gateway.write(connection, &query);
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

fn results(bench: &mut Bench) {
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
            house.gateway.write(1, &batch(&size.to_string()));
            let House { agent, gateway, .. } = &mut house;
            transfers.push(measure(agent, size, || gateway.discard(size)));
        }
    }
    let [tcp, login, full] =
        all.map(|transfers| Transfer::best(&transfers).cpu_per_byte * GIGABYTE);
    let beside = format!("TCP relay {}", short(tcp));
    bench.table.add(
        "SQL Server, results, the login encrypted, CPU s/GB",
        login,
        beside.clone(),
        Budget::AtMost(1.0_f64.max(tcp * 1.25), tcp * 1.1),
    );
    bench.table.add(
        "SQL Server, results, all encrypted, CPU s/GB",
        full,
        beside,
        Budget::AtMost(tcp * 1.25 + 1.5, tcp + 1.0),
    );
}

fn idle(bench: &mut Bench) {
    let mut resident = Vec::new();
    for through in ALL {
        let mut house = House::open(bench, through);
        for connection in 1..=IDLE_COUNT {
            house.log_in(connection);
            house.gateway.write(connection, &batch("SELECT 1"));
            house.read(connection, ANSWER.len());
        }
        house.gateway.attend(SETTLE);
        resident.push(mebibytes(&house.agent));
    }
    let beside = format!("TCP relays {}", short(resident[0]));
    let rows = [
        ("logged in to SQL Server, the login encrypted", 8.0, 4.0),
        ("the same, all encrypted", 12.0, 7.0),
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
            Through::Login => gateway.open_mssql(port, "optional"),
            Through::Full => gateway.open_mssql(port, "mandatory"),
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
        let prelogin = agreement(NOT_SUPPORTED);
        self.gateway
            .write(connection, &framed(0x12, &prelogin, 4088));
        self.read(connection, 8 + prelogin.len());
        let login = Login7::default().encoded(4088);
        self.gateway.write(connection, &login);
        self.read(connection, WELCOME.len());
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

/// A PRELOGIN of either side.
fn agreement(encryption: u8) -> Vec<u8> {
    prelogin_of(&[(0, &[16, 0, 3, 0xe8, 0, 0]), (1, &[encryption])])
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

/// What a handshake lies in.
struct Packets {
    socket: TcpStream,
    left: usize,
}

impl Read for Packets {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut head = [0; 8];
            self.socket.read_exact(&mut head)?;
            self.left = usize::from(u16::from_be_bytes([head[2], head[3]])) - 8;
        }
        let most = self.left.min(buffer.len());
        let size = self.socket.read(&mut buffer[..most])?;
        self.left -= size;
        Ok(size)
    }
}

impl Write for Packets {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.socket.write_all(&framed(0x12, buffer, 4088))?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.flush()
    }
}

fn welcome(mut socket: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let prelogin = next_packet(&mut socket)?;
    // Their options are those of `agreement`, and this one's byte is the last.
    let wish = prelogin.last().copied().unwrap_or(NOT_SUPPORTED);
    socket.write_all(&framed(4, &agreement(wish), 4088))?;
    if wish == NOT_SUPPORTED {
        next_packet(&mut socket)?;
        return talk(&mut socket);
    }
    let mut tls = ServerConnection::new(config).expect("a configuration");
    let mut packets = Packets { socket, left: 0 };
    while tls.is_handshaking() {
        tls.complete_io(&mut packets)?;
    }
    let mut stream = StreamOwned::new(tls, packets.socket);
    next_packet(&mut stream)?;
    match wish {
        OFF => talk(&mut stream.sock),
        _ => talk(&mut stream),
    }
}

fn next_packet(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]])) - 8];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// One answer a query; a number is answered with so many bytes.
fn talk(stream: &mut (impl Read + Write)) -> std::io::Result<()> {
    stream.write_all(WELCOME)?;
    loop {
        let query = next_packet(stream)?;
        let text: String = query[22..]
            .iter()
            .step_by(2)
            .map(|b| char::from(*b))
            .collect();
        match text.parse::<usize>() {
            Ok(size) => write_rows(stream, size)?,
            Err(_) => stream.write_all(ANSWER)?,
        }
    }
}

/// Packets of 4096 bytes, written some at a time.
fn write_rows(stream: &mut impl Write, size: usize) -> std::io::Result<()> {
    let rows = framed(4, &[b'7'; 4088 * 16], 4088);
    // Some more than are counted.
    let mut left = size + rows.len();
    while left > 0 {
        let now = left.min(rows.len());
        stream.write_all(&rows[..now])?;
        left -= now;
    }
    Ok(())
}
