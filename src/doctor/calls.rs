//! A link driven by blocking reads and writes, for one call after the other.
//!
//! TLS stands already, in the stream below: the link takes its plaintext for the socket's bytes.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use crate::admin::dial::{Duplex, tls_error};
use crate::grpc::{Code, Status};
use crate::link::{
    AgentIdentity, Answer, Link, LinkError, LinkEvent, NoAnswer, OpenError, Transport,
};
use crate::packet::Outbox;
use crate::tls::{StreamError, Subject};

/// Credit for one answer. More is never granted, which bounds it.
const CREDIT: u32 = 65_535;
/// Bytes of the peer's first words that are kept to tell what it speaks.
const FIRST_WORDS: usize = 8;

/// Why a call, or the connection, failed.
pub enum CallError {
    /// The call ended with another status than OK.
    Status(Status),
    /// The answer can't be read.
    Unreadable(LinkError),
    /// The peer's first words are of another protocol.
    OtherProtocol(Speaks),
    /// The peer broke HTTP/2.
    Link(LinkError),
    /// No call could be begun.
    Open(OpenError),
    /// TLS broke.
    Tls(StreamError),
    /// The connection was closed.
    Closed,
    /// The connection failed or fell silent.
    Io(io::ErrorKind),
}

/// What the peer speaks instead of HTTP/2.
#[derive(Clone, Copy)]
pub enum Speaks {
    /// TLS: its first words are an alert.
    Tls,
    /// HTTP/1.
    Http1,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) if status.http.is_some() => f.write_str(&status.message),
            Self::Status(status) => write!(f, "{status}"),
            Self::Unreadable(LinkError::Packet(_)) => f.write_str("the answer is no hoop message"),
            Self::Unreadable(error) => write!(f, "the answer cannot be read: {error}"),
            Self::OtherProtocol(Speaks::Tls) => f.write_str(
                "the gateway speaks TLS on this port: use a key whose scheme is grpcs://",
            ),
            Self::OtherProtocol(Speaks::Http1) => f.write_str(
                "the other side speaks HTTP/1 on this port: use the gateway's gRPC port (8010 \
                 unless changed), or let the proxy in front of it pass HTTP/2",
            ),
            Self::Link(error) => write!(
                f,
                "the other side does not speak HTTP/2 ({error}): check that this is the \
                 gateway's gRPC port"
            ),
            Self::Open(error) => write!(f, "{error}"),
            Self::Tls(error) => f.write_str(&error.explain(&Subject::GATEWAY)),
            Self::Closed => f.write_str("the other side closed the connection"),
            Self::Io(io::ErrorKind::TimedOut) => {
                f.write_str("no answer in time: something on the way may hold HTTP/2 back")
            }
            Self::Io(kind) => write!(f, "the connection broke: {kind}"),
        }
    }
}

impl From<NoAnswer> for CallError {
    fn from(error: NoAnswer) -> Self {
        match error {
            // OK without a message.
            NoAnswer::Status(status) if status.code == Code::Ok => Self::Status(Status::missing()),
            NoAnswer::Status(status) => Self::Status(status),
            NoAnswer::Unreadable(error) => Self::Unreadable(error),
        }
    }
}

/// A link that serves one call after the other.
pub struct Caller {
    stream: Box<dyn Duplex>,
    link: Link,
    first_words: Vec<u8>,
}

impl Caller {
    /// Starts HTTP/2 and waits for the peer's SETTINGS.
    pub fn start(stream: Box<dyn Duplex>, identity: AgentIdentity) -> Result<Self, CallError> {
        let (now, transport) = (Instant::now(), Transport::plaintext());
        let mut caller = Self {
            stream,
            link: Link::new(now, transport, Rc::new(identity), None, CREDIT),
            first_words: Vec::new(),
        };
        caller.received(0)?;
        while !caller.link.is_greeted() {
            caller.turn()?;
        }
        caller.flush()?;
        Ok(caller)
    }

    /// `HealthCheck`.
    pub fn ask_health(&mut self) -> Result<Answer, CallError> {
        self.link.ask_health().map_err(CallError::Open)?;
        self.answer()
    }

    /// An empty `PreConnect`, which authenticates and asks for nothing.
    pub fn ask_key(&mut self) -> Result<Answer, CallError> {
        self.link.ask().map_err(CallError::Open)?;
        self.answer()
    }

    /// Says goodbye; nobody waits for an answer.
    pub fn finish(mut self) {
        self.link.abort(Instant::now());
        let _ = self.flush();
    }

    fn answer(&mut self) -> Result<Answer, CallError> {
        loop {
            if let Some(outcome) = self.turn()? {
                self.flush()?;
                return Ok(outcome?);
            }
        }
    }

    /// Waits for bytes and handles them. Returns the end of the call that is under way.
    fn turn(&mut self) -> Result<Option<Result<Answer, NoAnswer>>, CallError> {
        self.flush()?;
        let slot = self.link.read_buffer();
        let read = loop {
            match self.stream.read(slot) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match read {
            Ok(0) => Err(self.closed()),
            Ok(size) => {
                let missing = FIRST_WORDS.saturating_sub(self.first_words.len());
                self.first_words.extend(slot.iter().take(size.min(missing)));
                self.received(size)
            }
            Err(error) => Err(match failure(&error) {
                CallError::Closed => self.closed(),
                other => other,
            }),
        }
    }

    fn received(&mut self, size: usize) -> Result<Option<Result<Answer, NoAnswer>>, CallError> {
        let mut answer = None;
        let now = Instant::now();
        let received = self.link.received(now, size, false, &mut |event| {
            if let LinkEvent::Answered(outcome) = event {
                answer = Some(outcome);
            }
            false
        });
        if let Err(error) = received {
            self.link.abort(now);
            let _ = self.flush();
            return Err(match speaks(&self.first_words) {
                Some(other) => CallError::OtherProtocol(other),
                None => CallError::Link(error),
            });
        }
        Ok(answer)
    }

    /// A short answer in another protocol may have been taken for the start of a frame.
    fn closed(&self) -> CallError {
        speaks(&self.first_words).map_or(CallError::Closed, CallError::OtherProtocol)
    }

    fn flush(&mut self) -> Result<(), CallError> {
        let (now, mut nothing) = (Instant::now(), Outbox::new());
        self.link
            .transmit(now, &mut nothing)
            .map_err(CallError::Link)?;
        let pending = self.link.pending();
        let size = pending.len();
        let written = self.stream.write_all(pending);
        written
            .and_then(|()| self.stream.flush())
            .map_err(|error| failure(&error))?;
        self.link.sent(now, size, &nothing);
        Ok(())
    }
}

fn failure(error: &io::Error) -> CallError {
    use io::ErrorKind as Kind;
    match (tls_error(error), error.kind()) {
        (Some(error), _) => CallError::Tls(error),
        (
            None,
            Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::UnexpectedEof,
        ) => CallError::Closed,
        (None, kind) => CallError::Io(kind),
    }
}

fn speaks(first_words: &[u8]) -> Option<Speaks> {
    match first_words {
        [0x15, 3, ..] => Some(Speaks::Tls),
        _ if first_words.starts_with(b"HTTP/1") => Some(Speaks::Http1),
        _ => None,
    }
}
