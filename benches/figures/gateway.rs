//! A gateway reduced to what one agent needs: its stream, its key checks, its packets. Frames are
//! made by hand, header lists are never read, and one thread does everything.

use std::net::TcpListener;
use std::time::Duration;

use hoop_lite::packet::{Kind, Packet, spec};
use loopback_gateway::SessionRequest;

use super::peer::{Identity, Peer};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const HEAD_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;

/// What grpc-go puts into one DATA frame at most.
const FRAME_BYTES: usize = 16_384;

/// Plaintext handed to TLS at once in bulk.
const BATCH_BYTES: usize = 256 * 1024;

/// The agent may send this much without asking: a benchmark moves less on one link.
const WINDOW: u32 = 0x7fff_ffff;
const WINDOW_DEFAULT: u32 = 65_535;

/// The session of every TCP connection.
pub const SESSION: &str = "bench";

/// What a packet of the agent says, as far as a benchmark wants to know.
pub enum Said {
    /// A session is open, or not: the text.
    Opened,
    /// Bytes of a TCP connection.
    Bytes { connection: usize, bytes: Vec<u8> },
    /// A session has ended.
    Closed { session: String, text: String },
    /// Keep-alives and output of commands.
    Other,
}

/// Packets that write to a TCP connection, and to one of another service.
const TCP_WRITE: &str = "AgentTCPConnectionWrite";
const POSTGRES_WRITE: &str = "AgentPGConnectionWrite";
const MSSQL_WRITE: &str = "AgentMSSQLConnectionWrite";
const MONGO_WRITE: &str = "AgentMongoDBConnectionWrite";
const WEB_WRITE: &str = "AgentHttpProxyConnectionWrite";

/// Under which a user of `hoop connect` sees a web service, and one of the gateway's listener.
pub const CLIENT_URL: &str = "http://127.0.0.1:8081";
pub const LISTENER_URL: &str = "https://hoop.example";

/// One agent's link, seen from the gateway.
pub struct Gateway {
    peer: Peer,
    write_kind: &'static str,
    /// Where the user sees his web service.
    base_url: Option<&'static str>,
    plaintext: Vec<u8>,
    taken: usize,
    message: Vec<u8>,
    stream: u32,
    stream_window: i64,
    connection_window: i64,
}

impl Gateway {
    /// Accepts an agent and tells it that it is connected.
    pub fn accept(listener: &TcpListener, identity: &Identity) -> Self {
        let mut gateway = Self {
            peer: Peer::accept(listener, identity),
            write_kind: TCP_WRITE,
            base_url: None,
            plaintext: Vec::new(),
            taken: 0,
            message: Vec::new(),
            stream: 0,
            stream_window: i64::from(WINDOW_DEFAULT),
            connection_window: i64::from(WINDOW_DEFAULT),
        };
        let mut hello = frame(
            SETTINGS,
            0,
            0,
            &[&[0, 4][..], &WINDOW.to_be_bytes()].concat(),
        );
        let more = WINDOW - WINDOW_DEFAULT;
        hello.extend(frame(WINDOW_UPDATE, 0, 0, &more.to_be_bytes()));
        gateway.peer.send(&hello);
        while gateway.plaintext.len() < PREFACE_BYTES {
            gateway.peer.receive(&mut gateway.plaintext, None);
        }
        gateway.taken = PREFACE_BYTES;
        while gateway.stream == 0 {
            gateway.hear(None);
        }
        gateway.send(&message("AgentGatewayConnectOK", &[], b""));
        gateway
    }

    /// Opens the session, whose connections go to this port of 127.0.0.1.
    pub fn open_tcp(&mut self, port: u16) {
        self.open(&SessionRequest::tcp("127.0.0.1", port));
    }

    /// The same, whose connections the agent logs in to PostgreSQL with this SSLMODE.
    pub fn open_postgres(&mut self, port: u16, mode: &str) {
        self.write_kind = POSTGRES_WRITE;
        let request = SessionRequest::new("postgres", "connect")
            .env("HOST", "127.0.0.1")
            .env("PORT", &port.to_string())
            .env("USER", "app")
            .env("PASS", "s3cret")
            .env("SSLMODE", mode);
        self.open(&request);
    }

    /// The same on SQL Server, with this ENCRYPT.
    pub fn open_mssql(&mut self, port: u16, encrypt: &str) {
        self.write_kind = MSSQL_WRITE;
        let request = SessionRequest::new("mssql", "connect")
            .env("HOST", "127.0.0.1")
            .env("PORT", &port.to_string())
            .env("USER", "app")
            .env("PASS", "s3cret")
            .env("INSECURE", "true")
            .env("ENCRYPT", encrypt);
        self.open(&request);
    }

    /// The same on MongoDB, with these options.
    pub fn open_mongo(&mut self, port: u16, options: &str) {
        self.write_kind = MONGO_WRITE;
        let string = format!("mongodb://app:s3cret@127.0.0.1:{port}/?{options}");
        let request = SessionRequest::new("mongodb", "connect").env("CONNECTION_STRING", &string);
        self.open(&request);
    }

    /// The same, whose connections ask a web service, seen under this URL.
    pub fn open_web(&mut self, port: u16, base_url: &'static str) {
        self.write_kind = WEB_WRITE;
        self.base_url = Some(base_url);
        let request = SessionRequest::new("httpproxy", "connect")
            .env("REMOTE_URL", &format!("http://127.0.0.1:{port}"))
            .env("HEADER_X_KEY", "s3cret");
        self.open(&request);
    }

    fn open(&mut self, request: &SessionRequest) {
        self.send_open(SESSION, request);
        loop {
            match self.hear(None) {
                Said::Opened => return,
                Said::Closed { text, .. } => panic!("not opened: {text}"),
                _ => {}
            }
        }
    }

    /// Opens a session that runs a command, and starts it.
    pub fn start_command(&mut self, session: &str, command: &[&str]) {
        self.send_open(session, &SessionRequest::exec(command));
        let entries = [(spec::SESSION_ID, session)];
        self.send(&message("AgentExecWriteStdin", &entries, b""));
    }

    fn send_open(&mut self, session: &str, request: &SessionRequest) {
        let packet = request.open_packet(session);
        let bytes = encode(&packet.kind, &packet.entries(), &packet.payload);
        self.send(&bytes);
    }

    /// Connects one TCP connection of the session.
    pub fn connect(&mut self, connection: usize) {
        let number = connection.to_string();
        let entries = [
            (spec::SESSION_ID, SESSION),
            (spec::CONNECTION_ID, number.as_str()),
            (spec::TCP_SERVER_CONNECT, ""),
        ];
        self.send(&message(TCP_WRITE, &entries, b""));
    }

    /// Sends bytes to the target of a connection.
    pub fn write(&mut self, connection: usize, payload: &[u8]) {
        let bytes = self.written(connection, payload);
        self.send(&bytes);
    }

    /// The same bytes again and again, `count` times, in batches.
    pub fn write_repeatedly(&mut self, connection: usize, payload: &[u8], count: usize) {
        let one = self.written(connection, payload);
        let framed = self.framed(&one);
        let per_batch = (BATCH_BYTES / framed.len()).max(1);
        let batch = framed.repeat(per_batch);
        let mut left = count;
        while left > 0 {
            let now = left.min(per_batch);
            self.take_window(one.len() * now);
            self.peer.send(&batch[..framed.len() * now]);
            left -= now;
        }
    }

    /// Bytes on the wire, encryption aside, of one packet with this payload.
    pub fn framed_write(&mut self, connection: usize, payload: &[u8]) -> Vec<u8> {
        let bytes = self.written(connection, payload);
        self.take_window(bytes.len());
        self.framed(&bytes)
    }

    /// Sends what [`Gateway::framed_write`] gave in the two records that the real gateway makes of it.
    pub fn trickle(&mut self, framed: &[u8]) {
        self.peer.trickle(framed);
    }

    /// Waits for bytes of one connection, at least `size`, appended to `into`.
    pub fn read(&mut self, into: &mut Vec<u8>, size: usize) {
        while into.len() < size {
            if let Said::Bytes { bytes, .. } = self.hear(None) {
                into.extend(bytes);
            }
        }
    }

    /// Drops `size` encrypted bytes; nothing can be heard afterwards.
    pub fn discard(&mut self, size: usize) {
        self.peer.discard(size);
    }

    /// The next bytes of any connection: whose, and how many.
    pub fn next_bytes(&mut self) -> (usize, usize) {
        let (connection, bytes) = self.next_words();
        (connection, bytes.len())
    }

    /// The same, and which.
    pub fn next_words(&mut self) -> (usize, Vec<u8>) {
        loop {
            if let Said::Bytes { connection, bytes } = self.hear(None) {
                return (connection, bytes);
            }
        }
    }

    /// Answers what the agent asks for this long.
    pub fn attend(&mut self, time: Duration) {
        let until = std::time::Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return;
            }
            self.hear(Some(left));
        }
    }

    /// The packet that writes this to the target of a connection.
    fn written(&self, connection: usize, payload: &[u8]) -> Vec<u8> {
        let number = connection.to_string();
        let mut entries = vec![
            (spec::SESSION_ID, SESSION),
            (spec::CONNECTION_ID, number.as_str()),
        ];
        entries.extend(self.base_url.map(|url| (spec::HTTP_PROXY_BASE_URL, url)));
        message(self.write_kind, &entries, payload)
    }

    fn send(&mut self, message: &[u8]) {
        self.take_window(message.len());
        let framed = self.framed(message);
        self.peer.send(&framed);
    }

    fn framed(&self, message: &[u8]) -> Vec<u8> {
        let pieces = message.chunks(FRAME_BYTES);
        pieces
            .flat_map(|piece| frame(DATA, 0, self.stream, piece))
            .collect()
    }

    fn take_window(&mut self, size: usize) {
        let size = i64::try_from(size).unwrap();
        while self.stream_window < size || self.connection_window < size {
            self.hear(None);
        }
        self.stream_window -= size;
        self.connection_window -= size;
    }

    /// The next packet of the agent; [`Said::Other`] for everything else that happened, and when
    /// nothing came for `patience`.
    pub fn hear(&mut self, patience: Option<Duration>) -> Said {
        loop {
            if let Some(said) = self.next_message() {
                return said;
            }
            if let Some((kind, flags, stream, payload)) = self.next_frame() {
                let (stream_window, connection_window) =
                    (self.stream_window, self.connection_window);
                self.handle(kind, flags, stream, &payload);
                let is_credit = self.stream_window > stream_window
                    || self.connection_window > connection_window;
                if is_credit || kind == HEADERS {
                    return Said::Other;
                }
                continue;
            }
            self.plaintext.drain(..self.taken);
            self.taken = 0;
            if !self.peer.receive(&mut self.plaintext, patience) {
                return Said::Other;
            }
        }
    }

    fn next_frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let rest = &self.plaintext[self.taken..];
        let head = rest.get(..HEAD_BYTES)?;
        let size = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = rest.get(HEAD_BYTES..HEAD_BYTES + size)?.to_vec();
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let (kind, flags) = (head[3], head[4]);
        self.taken += HEAD_BYTES + size;
        Some((kind, flags, stream, payload))
    }

    fn handle(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            DATA if flags & END_STREAM != 0 => self.answer_key_check(stream),
            DATA => self.message.extend(payload),
            // The agent's first stream is the one of packets.
            HEADERS if self.stream == 0 => {
                self.stream = stream;
                let fields = header_block(&[("content-type", "application/grpc")], true);
                self.peer
                    .send(&frame(HEADERS, END_HEADERS, stream, &fields));
            }
            SETTINGS if flags & ACK == 0 => {
                for entry in payload.chunks(6) {
                    if entry[..2] == [0, 4] {
                        let size = u32::from_be_bytes(entry[2..].try_into().unwrap());
                        self.stream_window += i64::from(size) - i64::from(WINDOW_DEFAULT);
                    }
                }
                self.peer.send(&frame(SETTINGS, ACK, 0, b""));
            }
            PING if flags & ACK == 0 => self.peer.send(&frame(PING, ACK, 0, payload)),
            WINDOW_UPDATE => {
                let more = i64::from(u32::from_be_bytes(payload.try_into().unwrap()));
                if stream == 0 {
                    self.connection_window += more;
                } else if stream == self.stream {
                    self.stream_window += more;
                }
            }
            GOAWAY => panic!("the agent says goodbye: {}", payload.escape_ascii()),
            _ => {}
        }
    }

    fn answer_key_check(&mut self, stream: u32) {
        let mut answer = header_block(&[("content-type", "application/grpc")], true);
        answer = frame(HEADERS, END_HEADERS, stream, &answer);
        let mut status = Vec::new();
        field(&mut status, 1, b"BACKOFF");
        answer.extend(frame(DATA, 0, stream, &prefixed(&status)));
        let trailers = header_block(&[("grpc-status", "0")], false);
        answer.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers));
        self.peer.send(&answer);
    }

    fn next_message(&mut self) -> Option<Said> {
        let prefix = self.message.get(1..5)?;
        let end = 5 + u32::from_be_bytes(prefix.try_into().unwrap()) as usize;
        let packet = Packet::decode(self.message.get(5..end)?).unwrap();
        let text = |key| {
            let value = packet.spec(key).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        let said = match packet.kind {
            Some(Kind::ClientSessionOpenOK) => Said::Opened,
            Some(
                Kind::ClientTCPConnectionWrite
                | Kind::ClientPGConnectionWrite
                | Kind::ClientMSSQLConnectionWrite
                | Kind::ClientMongoDBConnectionWrite
                | Kind::ClientHttpProxyConnectionWrite,
            ) => Said::Bytes {
                connection: text(spec::CONNECTION_ID).parse().unwrap(),
                bytes: packet.payload.to_vec(),
            },
            Some(Kind::ClientTCPConnectionClose) => panic!("a target broke"),
            Some(Kind::ClientSessionClose) => Said::Closed {
                session: text(spec::SESSION_ID),
                text: String::from_utf8_lossy(packet.payload).into_owned(),
            },
            _ => Said::Other,
        };
        self.message.drain(..end);
        Some(said)
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![size[1], size[2], size[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// `:status 200` from the static table, then literals that are not remembered.
fn header_block(fields: &[(&str, &str)], has_status: bool) -> Vec<u8> {
    let mut out = if has_status { vec![0x88] } else { Vec::new() };
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            out.push(u8::try_from(text.len()).unwrap());
            out.extend(text.as_bytes());
        }
    }
    out
}

fn message(kind: &str, entries: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let entries: Vec<(&str, &[u8])> = entries
        .iter()
        .map(|(key, value)| (*key, value.as_bytes()))
        .collect();
    encode(kind, &entries, payload)
}

fn encode(kind: &str, entries: &[(&str, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    field(&mut packet, 2, kind.as_bytes());
    for (key, value) in entries {
        let mut entry = Vec::new();
        field(&mut entry, 1, key.as_bytes());
        field(&mut entry, 2, value);
        field(&mut packet, 3, &entry);
    }
    field(&mut packet, 4, payload);
    prefixed(&packet)
}

fn prefixed(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    out.extend(message);
    out
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut size = bytes.len();
    while size >= 128 {
        out.push(u8::try_from(size & 127).unwrap() | 128);
        size >>= 7;
    }
    out.push(u8::try_from(size).unwrap());
    out.extend(bytes);
}
