//! What MongoDB costs beside a TCP relay: the same scripted server, the same bytes, the same run; plain and over TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use loopback_gateway::mongo::{
    Conduct, Document, Driver, Form, Hash, Role, Server, parse, request,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::house::{
    Database, House, Through, idle, queries, query_rows, transfer_rows, transfers, write_rows,
};
use super::{Bench, Transfer, measure};

static MONGO: Database = Database {
    welcome,
    open: |gateway, port, through| match through {
        Through::Tcp => gateway.open_tcp(port),
        Through::Login => gateway.open_mongo(port, ""),
        Through::Tls => gateway.open_mongo(port, "tls=true&tlsInsecure=true"),
    },
    log_in,
    answer_bytes: ANSWER.len(),
};

/// What a query asks for, and a large answer.
const FIND: &str = "find";
const BIG: &str = "getMore";

/// Of one document of a large answer, as drivers get them.
const BATCH_BYTES: usize = 1 << 20;

/// What comes back for a query: a cursor that is at its end, with one small document.
const ANSWER: &[u8] =
    b"\x84\0\0\0\x09\0\0\0\x07\0\0\0\xdd\x07\0\0\0\0\0\0\0o\0\0\0\x03cursor\0V\0\0\0\x04firstBatch\0#\0\0\0\
    \x030\0\x1b\0\0\0\x10_id\0g\x12\0\0\x10balance\0\0\0\0\0\0\0\x12id\0\0\0\0\0\0\0\0\0\x02ns\0\x0e\0\0\0\
    shop.accounts\0\0\x01ok\0\0\0\0\0\0\0\xf0?\0";

/// All rows of this group.
pub fn measure_all(bench: &mut Bench) {
    let find = command(FIND, 4711);
    queries(bench, &MONGO, &[&find], |tcp| {
        let names = ["find", "find, TLS to the server"];
        let names = names.map(|name| format!("MongoDB, {name}, agent CPU us"));
        query_rows(names, (60.0, 30.0), tcp)
    });
    transfers(bench, &MONGO, results, |tcp| {
        let names = ["results", "results, TLS to the server"];
        transfer_rows(
            names.map(|name| format!("MongoDB, {name}, CPU s/GB")),
            1.0,
            tcp,
        )
    });
    let words = ["logged in to MongoDB", "the same over TLS"];
    idle(bench, &MONGO, &find, words);
}

fn results(house: &mut House, size: usize) -> Transfer {
    let size_asked = i64::try_from(size).unwrap();
    house.gateway.write(1, &command(BIG, size_asked));
    let House { agent, gateway, .. } = house;
    measure(agent, size, || gateway.discard(size))
}

/// A driver's connection; past the agent it says hello and no more, since its password is none of the server's.
fn log_in(house: &mut House, connection: usize) {
    let mut driver = Driver::new(Hash::Sha256, Form::Message);
    driver.is_speculative = true;
    let mut words = match house.through {
        Through::Tcp => driver.heartbeat(),
        Through::Login | Through::Tls => driver.open(),
    };
    while !driver.is_in() && driver.answers.is_empty() {
        if !words.is_empty() {
            house.gateway.write(connection, &words);
        }
        let (found, bytes) = house.gateway.next_words();
        assert_eq!(found, connection);
        words = driver.receive(&bytes);
        assert_eq!(driver.error, None);
    }
}

/// A query, or the wish for so many bytes.
fn command(name: &str, number: i64) -> Vec<u8> {
    let document = Document::new()
        .with(name, number)
        .with("collection", "accounts")
        .with("$db", "shop");
    request(Form::Message, 7, &document)
}

fn welcome(mut socket: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    // A record of TLS begins with its type and version; a message that began so would have 790 bytes.
    let mut head = [0; 2];
    while socket.peek(&mut head)? == 1 {}
    if head == [0x16, 3] {
        let tls = ServerConnection::new(config).expect("a configuration");
        return talk(&mut StreamOwned::new(tls, socket));
    }
    talk(&mut socket)
}

fn talk(stream: &mut (impl Read + Write)) -> std::io::Result<()> {
    let mut server = Server::new(Conduct::new(Role::Primary));
    loop {
        let message = next_message(stream)?;
        let (_, document) = parse(&message);
        match document.command() {
            FIND => stream.write_all(ANSWER)?,
            BIG => {
                let size = usize::try_from(document.number(BIG)).expect("a size");
                let data = Document::new().with("data", vec![7_u8; BATCH_BYTES]);
                write_rows(stream, &request(Form::Message, 9, &data), size)?;
            }
            _ => stream.write_all(&server.receive(&message))?,
        }
    }
}

fn next_message(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; 4];
    stream.read_exact(&mut message)?;
    let len = u32::from_le_bytes([message[0], message[1], message[2], message[3]]);
    message.resize(len as usize, 0);
    stream.read_exact(&mut message[4..])?;
    Ok(message)
}
