//! What SQL Server costs beside a TCP relay: the same scripted server, the same bytes, the same run; with the login
//! alone encrypted, and with all of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use loopback_gateway::mssql::{Login7, batch, framed, prelogin_of};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::house::{
    Database, House, Through, idle, queries, query_rows, transfer_rows, transfers, write_rows,
};
use super::{Bench, Transfer, measure};

static SQL_SERVER: Database = Database {
    welcome,
    open: |gateway, port, through| match through {
        Through::Tcp => gateway.open_tcp(port),
        Through::Login => gateway.open_mssql(port, "optional"),
        Through::Tls => gateway.open_mssql(port, "mandatory"),
    },
    log_in: |house, connection| {
        let prelogin = agreement(NOT_SUPPORTED);
        let words = framed(0x12, &prelogin, 4088);
        house.gateway.write(connection, &words);
        house.read(connection, 8 + prelogin.len());
        let login = Login7::default().encoded(4088);
        house.gateway.write(connection, &login);
        house.read(connection, WELCOME.len());
    },
    answer_bytes: ANSWER.len(),
};

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

/// How much is encrypted.
const WAYS: [&str; 2] = ["the login encrypted", "all encrypted"];

/// All rows of this group.
pub fn measure_all(bench: &mut Bench) {
    let query = batch("SELECT abalance FROM pgbench_accounts WHERE aid = 4711");
    queries(bench, &SQL_SERVER, &[&query], |tcp| {
        let names = WAYS.map(|way| format!("SQL Server, query, {way}, agent CPU us"));
        query_rows(names, (60.0, 30.0), tcp)
    });
    transfers(bench, &SQL_SERVER, results, |tcp| {
        let names = WAYS.map(|way| format!("SQL Server, results, {way}, CPU s/GB"));
        transfer_rows(names, 1.0, tcp)
    });
    let words = [
        "logged in to SQL Server, the login encrypted",
        "the same, all encrypted",
    ];
    idle(bench, &SQL_SERVER, &batch("SELECT 1"), words);
}

fn results(house: &mut House, size: usize) -> Transfer {
    house.gateway.write(1, &batch(&size.to_string()));
    let House { agent, gateway, .. } = house;
    measure(agent, size, || gateway.discard(size))
}

/// A PRELOGIN of either side.
fn agreement(encryption: u8) -> Vec<u8> {
    prelogin_of(&[(0, &[16, 0, 3, 0xe8, 0, 0]), (1, &[encryption])])
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
            // Packets of 4096 bytes, written some at a time.
            Ok(size) => write_rows(stream, &framed(4, &[b'7'; 4088 * 16], 4088), size)?,
            Err(_) => stream.write_all(ANSWER)?,
        }
    }
}
