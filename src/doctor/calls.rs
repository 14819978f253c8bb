//! Unary gRPC calls over a blocking connection: what the link does in the reactor, one at a time.

use std::fmt;
use std::io;
use std::time::Instant;

use crate::admin::dial::{Duplex, READ_BYTES, tls_error};
use crate::grpc::{
    Call, Code, MessageError, PREFIX_LEN, Piece, Reassembly, Status, request_fields, write_prefix,
};
use crate::h2::frame::HEAD_LEN;
use crate::h2::{Connection, ConnectionError, ErrorCode, Event, LocalSettings, OpenError};
use crate::limits::H2_HEADER_LIST_BYTES_MAX;
use crate::tls::{StreamError, Subject};

/// The protocol's default. More is never granted, which bounds an answer.
const WINDOW: u32 = 65_535;
/// Bytes of the peer's first words that are kept to tell what it speaks.
const FIRST_WORDS: usize = 8;

/// Why a call, or the connection, failed.
#[derive(Debug)]
pub enum CallError {
    /// The call ended with another status than OK.
    Status(Status),
    /// The answer is HTTP/2, but not gRPC.
    NotGrpc(Status),
    /// The other side broke HTTP/2; its first words say what it speaks instead.
    Http2(ConnectionError, Speaks),
    /// No stream could be opened.
    Open(OpenError),
    /// The answer is no gRPC message.
    Message(MessageError),
    /// TLS broke.
    Tls(StreamError),
    /// The connection was closed.
    Closed,
    /// The connection failed or fell silent.
    Io(io::ErrorKind),
}

/// What the peer's first words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// A TLS alert.
    Tls,
    /// HTTP/1.
    Http1,
    /// Something else.
    Unknown,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::NotGrpc(status) => f.write_str(&status.message),
            Self::Http2(_, Speaks::Tls) => f.write_str(
                "the gateway speaks TLS on this port: use a key whose scheme is grpcs://",
            ),
            Self::Http2(_, Speaks::Http1) => f.write_str(
                "the other side speaks HTTP/1 on this port: use the gateway's gRPC port (8010 \
                 unless changed), or let the proxy in front of it pass HTTP/2",
            ),
            Self::Http2(error, Speaks::Unknown) => write!(
                f,
                "the other side does not speak HTTP/2 ({error}): check that this is the \
                 gateway's gRPC port"
            ),
            Self::Open(error) => write!(f, "{error}"),
            Self::Message(error) => write!(f, "the answer cannot be read: {error}"),
            Self::Tls(error) => f.write_str(&error.explain(&Subject::GATEWAY)),
            Self::Closed => f.write_str("the other side closed the connection"),
            Self::Io(io::ErrorKind::TimedOut) => {
                f.write_str("no answer in time: something on the way may hold HTTP/2 back")
            }
            Self::Io(kind) => write!(f, "the connection broke: {kind}"),
        }
    }
}

/// The answer to a call.
pub struct Answer {
    /// The message, without its prefix.
    pub message: Vec<u8>,
    /// The `date` header of the response, if a proxy set one.
    pub date: Option<String>,
}

/// An HTTP/2 connection that serves one call after the other.
pub struct Caller {
    stream: Box<dyn Duplex>,
    connection: Connection,
    /// Bytes read; those from `used` on are not handled yet.
    input: Vec<u8>,
    used: usize,
    first_words: Vec<u8>,
}

impl Caller {
    /// Starts HTTP/2 and waits for the peer's SETTINGS.
    pub fn start(stream: Box<dyn Duplex>) -> Result<Self, CallError> {
        let mut caller = Self {
            stream,
            connection: Connection::new(&LocalSettings {
                stream_window: WINDOW,
                connection_window: WINDOW,
                header_list_bytes_max: H2_HEADER_LIST_BYTES_MAX,
            }),
            input: Vec::new(),
            used: 0,
            first_words: Vec::new(),
        };
        let mut settings_seen = false;
        while !settings_seen {
            caller.turn(&mut |event| settings_seen |= matches!(event, Event::Settings))?;
        }
        caller.flush()?;
        Ok(caller)
    }

    /// Makes a call with an empty request message.
    pub fn call(&mut self, call: Call<'_>, metadata: &[(&str, &str)]) -> Result<Answer, CallError> {
        let fields = request_fields(call, metadata);
        let fields: Vec<(&str, &[u8])> = fields
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let stream = self
            .connection
            .open_stream(&fields, false)
            .map_err(CallError::Open)?;
        self.flush()?;
        while self.connection.send_room(stream) < PREFIX_LEN {
            self.turn(&mut |_| {})?;
        }
        let mut head = [0; HEAD_LEN];
        self.connection
            .write_data_head(stream, PREFIX_LEN, true, &mut head);
        self.write(&head)?;
        self.write(&write_prefix(0))?;
        let mut response = Response::default();
        while response.status.is_none() {
            self.turn(&mut |event| response.handle_event(stream.get(), event))?;
        }
        self.flush()?;
        response.into_answer()
    }

    /// Says goodbye; nobody waits for an answer.
    pub fn finish(mut self) {
        self.connection.go_away(ErrorCode::NO_ERROR, b"");
        let _ = self.flush();
    }

    /// Handles all that has come, or waits for more.
    fn turn(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<(), CallError> {
        self.flush()?;
        if self.used == self.input.len() {
            self.read()?;
        }
        loop {
            let rest = self.input.get(self.used..).unwrap_or_default();
            let handled = self.connection.handle_input(Instant::now(), rest);
            let (taken, event) = match handled {
                Ok(handled) => handled,
                Err(error) => {
                    let speaks = speaks(&self.first_words);
                    let _ = self.flush();
                    return Err(CallError::Http2(error, speaks));
                }
            };
            let is_idle = taken == rest.len() && event.is_none();
            if let Some(event) = event {
                on_event(event);
            }
            self.used += taken;
            if is_idle {
                return Ok(());
            }
        }
    }

    fn read(&mut self) -> Result<(), CallError> {
        self.input.resize(READ_BYTES, 0);
        self.used = 0;
        let read = loop {
            match self.stream.read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.input.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(self.closed()),
            Ok(_) => {
                let missing = FIRST_WORDS.saturating_sub(self.first_words.len());
                self.first_words.extend(self.input.iter().take(missing));
                Ok(())
            }
            Err(error) => Err(match tls_error(&error) {
                Some(error) => CallError::Tls(error),
                None if is_close(error.kind()) => self.closed(),
                None => CallError::Io(error.kind()),
            }),
        }
    }

    /// A short answer in another protocol may have been taken for the start of a frame.
    fn closed(&self) -> CallError {
        match speaks(&self.first_words) {
            Speaks::Unknown => CallError::Closed,
            known => {
                let detail = "the peer speaks another protocol";
                let code = ErrorCode::PROTOCOL_ERROR;
                CallError::Http2(ConnectionError { code, detail }, known)
            }
        }
    }

    fn flush(&mut self) -> Result<(), CallError> {
        loop {
            let output = self.connection.control_output();
            if output.is_empty() {
                break;
            }
            let bytes = output.filled().to_vec();
            output.consume(bytes.len());
            self.write(&bytes)?;
        }
        self.stream.flush().map_err(write_failed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.stream.write_all(bytes).map_err(write_failed)
    }
}

fn write_failed(error: io::Error) -> CallError {
    match tls_error(&error) {
        Some(error) => CallError::Tls(error),
        None if is_close(error.kind()) => CallError::Closed,
        None => CallError::Io(error.kind()),
    }
}

fn is_close(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof
    )
}

fn speaks(first_words: &[u8]) -> Speaks {
    match first_words {
        [0x15, 3, ..] => Speaks::Tls,
        _ if first_words.starts_with(b"HTTP/1") => Speaks::Http1,
        _ => Speaks::Unknown,
    }
}

/// A response as it comes.
#[derive(Default)]
struct Response {
    message: Vec<u8>,
    reassembly: Reassembly,
    date: Option<String>,
    broken: Option<MessageError>,
    is_grpc: bool,
    /// Set when the call has ended.
    status: Option<Status>,
}

impl Response {
    fn handle_event(&mut self, wanted: u32, event: Event<'_>) {
        match event {
            Event::Headers {
                stream,
                fields,
                end_stream,
            } if stream.get() == wanted => {
                let date = fields
                    .get("date")
                    .and_then(|date| std::str::from_utf8(date).ok());
                self.date = date.map(str::to_owned);
                let content_type = fields.get("content-type").unwrap_or_default();
                self.is_grpc = content_type.starts_with(b"application/grpc");
                self.status = Status::from_headers(&fields, end_stream);
            }
            Event::Data {
                stream,
                bytes,
                end_stream,
            } if stream.get() == wanted => {
                self.take(bytes);
                if end_stream {
                    self.end(Status::missing());
                }
            }
            Event::Trailers { stream, fields } if stream.get() == wanted => {
                self.end(Status::from_trailers(&fields));
            }
            Event::Reset { stream, code, .. } if stream.get() == wanted => {
                if self.status.is_none() {
                    self.is_grpc = true;
                }
                self.end(Status::from_reset(code));
            }
            _ => {}
        }
    }

    /// The first end counts: an answer that is no gRPC ends with its headers, whatever follows.
    fn end(&mut self, status: Status) {
        self.status.get_or_insert(status);
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while self.broken.is_none() {
            match self.reassembly.feed(bytes) {
                Ok((taken, message)) => {
                    match message {
                        Some(Piece::Message(message)) => self.message = message.to_vec(),
                        Some(Piece::Joined(message)) => self.message = message.clone(),
                        Some(Piece::Oversized { len, .. }) => {
                            self.broken = Some(MessageError::TooLarge(len));
                        }
                        None if taken == bytes.len() => return,
                        None => {}
                    }
                    bytes = bytes.get(taken..).unwrap_or_default();
                }
                Err(error) => self.broken = Some(error),
            }
        }
    }

    fn into_answer(self) -> Result<Answer, CallError> {
        match (self.status, self.broken) {
            (Some(status), _) if status.code != Code::Ok => Err(match self.is_grpc {
                true => CallError::Status(status),
                false => CallError::NotGrpc(status),
            }),
            (_, Some(error)) => Err(CallError::Message(error)),
            _ => Ok(Answer {
                message: self.message,
                date: self.date,
            }),
        }
    }
}
