//! What a database costs beside a TCP relay: the same scripted PostgreSQL server, the same bytes, the same run;
//! with TLS to the server one more cipher.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use loopback_gateway::postgres::{put, startup};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::house::{
    Database, House, Move, Through, idle, queries, query_rows, transfer_rows, transfers, write_rows,
};
use super::{Bench, Transfer, measure};

static POSTGRES: Database = Database {
    welcome,
    open: |gateway, port, through| match through {
        Through::Tcp => gateway.open_tcp(port),
        Through::Login => gateway.open_postgres(port, "disable"),
        Through::Tls => gateway.open_postgres(port, "require"),
    },
    log_in: |house, connection| {
        let words = startup(3 << 16, &[("user", "noop"), ("database", "bench")]);
        house.gateway.write(connection, &words);
        house.read(connection, WELCOME.len());
    },
    answer_bytes: ANSWER.len(),
};

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
    ask(bench, "simple", &SIMPLE, 60.0, 30.0);
    ask(bench, "prepared", &PREPARED, 150.0, 75.0);
    copy(bench, "COPY out", copy_out, 1.0);
    copy(bench, "COPY in", copy_in, 2.0);
    let words = ["logged in to PostgreSQL", "the same over TLS"];
    idle(bench, &POSTGRES, SIMPLE[0], words);
}

fn ask(bench: &mut Bench, words: &str, messages: &[&[u8]], bar: f64, reach: f64) {
    queries(bench, &POSTGRES, messages, |tcp| {
        let names = ["", ", TLS to the server"];
        let names = names.map(|way| format!("PostgreSQL, {words} query{way}, agent CPU us"));
        query_rows(names, (bar, reach), tcp)
    });
}

fn copy(bench: &mut Bench, words: &str, run: Move, bar: f64) {
    transfers(bench, &POSTGRES, run, |tcp| {
        let names = ["", ", TLS to the server"];
        transfer_rows(
            names.map(|way| format!("PostgreSQL, {words}{way}, CPU s/GB")),
            bar,
            tcp,
        )
    });
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
                (b'Q', Some(b'O')) => {
                    write_rows(stream, &ROW.repeat(COPY_PIECE_ROWS), text().unwrap())?;
                }
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
