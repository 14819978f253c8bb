//! HTTP/1.1 for one request and its response, sans-IO.
//!
//! [`encode`] makes the bytes of a request that asks for the connection to be closed;
//! [`ResponseReader`] takes the answer in pieces of any size. Promises: bounded memory, the same
//! result however the bytes are cut, no panic on any bytes. Redirects, status codes and what a
//! body means are left to the caller.

use std::fmt;

use crate::base::{ByteBuf, Secret};
use crate::limits::{ADMIN_BODY_BYTES_MAX, ADMIN_HEAD_BYTES_MAX, ADMIN_HEADERS_MAX};

/// A chunk's size line with its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// Interim (1xx) responses before the final one.
const INTERIM_MAX: usize = 8;
const USER_AGENT: &str = concat!("hoop-lite/", env!("CARGO_PKG_VERSION"));

/// What to ask. Header values are the caller's secrets.
pub struct Request<'a> {
    /// The method's name.
    pub method: &'static str,
    /// Value of `host`: name and port as in the URL.
    pub authority: &'a str,
    /// Path with its query, percent-encoded.
    pub path: &'a str,
    /// Further headers; [`is_field_value`] must hold for each value.
    pub headers: &'a [(&'static str, &'a str)],
    /// JSON to send.
    pub body: Option<&'a [u8]>,
}

/// Visible ASCII and spaces: what cannot break out of a header line.
pub fn is_field_value(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// The request's bytes, secret because its headers are.
pub fn encode(request: &Request<'_>) -> Secret {
    let body = request.body.unwrap_or_default();
    let mut out = Vec::with_capacity(1024 + body.len());
    let mut line = |parts: &[&str]| {
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    };
    line(&[request.method, " ", request.path, " HTTP/1.1"]);
    line(&["Host: ", request.authority]);
    line(&["User-Agent: ", USER_AGENT]);
    line(&["Accept: application/json"]);
    line(&["Content-Type: application/json"]);
    line(&["Connection: close"]);
    for (name, value) in request.headers {
        debug_assert!(is_field_value(value));
        line(&[name, ": ", value]);
    }
    if request.body.is_some() {
        line(&["Content-Length: ", &body.len().to_string()]);
    }
    line(&[]);
    out.extend_from_slice(body);
    Secret::new(out)
}

/// A complete response.
#[derive(Default)]
pub struct Response {
    /// The final status, 200 to 599.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body, at most [`ADMIN_BODY_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// How a response broke the protocol or our bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The connection was closed before the first byte.
    NoAnswer,
    /// The bytes are a TLS record.
    Tls,
    /// The bytes are not HTTP/1.
    NotHttp,
    /// The head or a chunk is not well formed.
    Malformed,
    /// More than [`ADMIN_HEAD_BYTES_MAX`] bytes or [`ADMIN_HEADERS_MAX`] lines of headers.
    HeadTooLarge,
    /// More than [`ADMIN_BODY_BYTES_MAX`] bytes of body.
    BodyTooLarge,
    /// A transfer coding other than chunked.
    UnknownCoding,
    /// The connection was closed before the end.
    Truncated,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "the server closed the connection without an answer",
            Self::Tls => "the server speaks TLS on this port",
            Self::NotHttp => "the server does not speak HTTP on this port",
            Self::Malformed => "the server's HTTP answer is malformed",
            Self::HeadTooLarge => "the server's HTTP answer has too many headers",
            Self::BodyTooLarge => "the server's answer is larger than 4 MiB",
            Self::UnknownCoding => "the server's answer uses an unknown transfer coding",
            Self::Truncated => "the server closed the connection in the middle of its answer",
        })
    }
}

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// Bytes of body to come.
    Length(usize),
    ChunkSize,
    /// Bytes of the chunk to come.
    ChunkData(usize),
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

/// Takes a response in pieces: [`ResponseReader::handle_bytes`] until [`ResponseReader::is_done`],
/// [`ResponseReader::handle_close`] when the connection ends before, then `into_response`.
pub struct ResponseReader {
    state: State,
    /// Bytes that have come and are not used yet.
    pending: ByteBuf,
    /// Bytes of `pending` that hold no end of head.
    searched: usize,
    interim_count: usize,
    trailer_bytes: usize,
    response: Response,
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self {
            state: State::Head,
            pending: ByteBuf::new(),
            searched: 0,
            interim_count: 0,
            trailer_bytes: 0,
            response: Response::default(),
        }
    }
}

impl ResponseReader {
    /// The response is complete; further bytes are ignored.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The next bytes have come.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if self.is_done() {
            return Ok(());
        }
        self.pending.extend(bytes);
        while self.step()? {}
        Ok(())
    }

    /// The connection has ended.
    pub fn handle_close(&mut self) -> Result<(), HttpError> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Head if self.interim_count == 0 && self.pending.is_empty() => {
                Err(HttpError::NoAnswer)
            }
            State::Head if self.pending.filled().first() == Some(&TLS_ALERT) => Err(HttpError::Tls),
            State::Head
                if !self
                    .pending
                    .filled()
                    .iter()
                    .zip(HTTP)
                    .all(|(got, http)| got == http) =>
            {
                Err(HttpError::NotHttp)
            }
            _ => Err(HttpError::Truncated),
        }
    }

    /// What was read; of use once done.
    pub fn into_response(self) -> Response {
        self.response
    }

    /// One step forward; `false` when more bytes are needed.
    fn step(&mut self) -> Result<bool, HttpError> {
        match self.state {
            State::Done => Ok(false),
            State::Head => self.head(),
            State::UntilClose => {
                let moved = self.take_body(usize::MAX)?;
                Ok(moved > 0)
            }
            State::Length(left) => {
                let left = left - self.take_body(left)?;
                self.state = if left == 0 {
                    State::Done
                } else {
                    State::Length(left)
                };
                Ok(left == 0)
            }
            State::ChunkData(left) => {
                let left = left - self.take_body(left)?;
                self.state = if left == 0 {
                    State::ChunkEnd
                } else {
                    State::ChunkData(left)
                };
                Ok(left == 0)
            }
            State::ChunkSize | State::ChunkEnd | State::Trailers => self.chunk_line(),
        }
    }

    /// Moves up to `n` pending bytes into the body.
    fn take_body(&mut self, n: usize) -> Result<usize, HttpError> {
        let n = n.min(self.pending.len());
        if self.response.body.len() + n > ADMIN_BODY_BYTES_MAX {
            return Err(HttpError::BodyTooLarge);
        }
        let taken = self.pending.filled().get(..n).unwrap_or_default();
        self.response.body.extend_from_slice(taken);
        self.pending.consume(n);
        Ok(n)
    }

    /// The first `n` pending bytes.
    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.pending.filled().get(..n).unwrap_or_default().to_vec();
        self.pending.consume(n);
        taken
    }

    fn head(&mut self) -> Result<bool, HttpError> {
        let Some(start) = self.pending.filled().get(..HTTP.len()) else {
            return Ok(false);
        };
        if start != HTTP {
            let is_alert = start.first() == Some(&TLS_ALERT);
            return Err(if is_alert {
                HttpError::Tls
            } else {
                HttpError::NotHttp
            });
        }
        let end = self.head_end();
        if end.unwrap_or(self.pending.len()) > ADMIN_HEAD_BYTES_MAX {
            return Err(HttpError::HeadTooLarge);
        }
        let Some(end) = end else {
            self.searched = self.pending.len();
            return Ok(false);
        };
        let head = self.take(end);
        self.searched = 0;
        self.state = self.parse_head(&head)?;
        Ok(true)
    }

    /// Bytes up to and with the empty line, which ends in CRLF or LF.
    fn head_end(&self) -> Option<usize> {
        // Three bytes of an end may have been searched already.
        let from = self.searched.saturating_sub(3);
        let rest = self.pending.filled().get(from..)?;
        let line_ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        for (index, _) in line_ends {
            let after = rest.get(index + 1..).unwrap_or_default();
            if after.starts_with(b"\n") {
                return Some(from + index + 2);
            }
            if after.starts_with(b"\r\n") {
                return Some(from + index + 3);
            }
        }
        None
    }

    fn parse_head(&mut self, head: &[u8]) -> Result<State, HttpError> {
        let mut headers = [httparse::EMPTY_HEADER; ADMIN_HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(HttpError::HeadTooLarge),
            Ok(httparse::Status::Partial) | Err(_) => return Err(HttpError::Malformed),
        }
        let status = parsed.code.unwrap_or(0);
        match status {
            // Nothing was asked that could switch protocols.
            0..=99 | 101 | 600.. => return Err(HttpError::Malformed),
            100..=199 => {
                self.interim_count += 1;
                let is_bounded = self.interim_count <= INTERIM_MAX;
                return is_bounded
                    .then_some(State::Head)
                    .ok_or(HttpError::Malformed);
            }
            _ => {}
        }
        self.response.status = status;
        self.response.headers = parsed
            .headers
            .iter()
            .map(|h| {
                let value = String::from_utf8_lossy(h.value).into_owned();
                (h.name.to_ascii_lowercase(), value)
            })
            .collect();
        body_state(&self.response)
    }

    /// One line of a chunked body: a size, the end of a chunk, or a trailer.
    fn chunk_line(&mut self) -> Result<bool, HttpError> {
        let end = self.pending.filled().iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(self.pending.len()) > CHUNK_LINE_BYTES_MAX {
            return Err(HttpError::Malformed);
        }
        let Some(end) = end else { return Ok(false) };
        let line = self.take(end + 1);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.state = match self.state {
            State::ChunkEnd if text.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(HttpError::Malformed),
            State::Trailers if text.is_empty() => State::Done,
            State::Trailers => {
                self.trailer_bytes += line.len();
                if self.trailer_bytes > ADMIN_HEAD_BYTES_MAX {
                    return Err(HttpError::HeadTooLarge);
                }
                State::Trailers
            }
            _ => match chunk_size(text)? {
                0 => State::Trailers,
                size => State::ChunkData(size),
            },
        };
        Ok(true)
    }
}

const HTTP: &[u8] = b"HTTP/";
/// Record type of a TLS alert: what a TLS server makes of a plain request.
const TLS_ALERT: u8 = 21;

/// How the body of a response with this head is delimited (RFC 9112 section 6.3).
fn body_state(response: &Response) -> Result<State, HttpError> {
    if matches!(response.status, 204 | 304) {
        return Ok(State::Done);
    }
    let values = |name: &'static str| {
        response
            .headers
            .iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, value)| value.trim())
    };
    let mut codings = values("transfer-encoding").peekable();
    if codings.peek().is_some() {
        let is_chunked = codings.all(|coding| coding.eq_ignore_ascii_case("chunked"));
        return is_chunked
            .then_some(State::ChunkSize)
            .ok_or(HttpError::UnknownCoding);
    }
    let mut lengths = values("content-length");
    let Some(first) = lengths.next() else {
        return Ok(State::UntilClose);
    };
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || lengths.any(|other| other != first) {
        return Err(HttpError::Malformed);
    }
    match first.parse::<usize>() {
        Ok(0) => Ok(State::Done),
        Ok(length) if length <= ADMIN_BODY_BYTES_MAX => Ok(State::Length(length)),
        _ => Err(HttpError::BodyTooLarge),
    }
}

/// The size at the start of a chunk's line; extensions are ignored.
fn chunk_size(line: &[u8]) -> Result<usize, HttpError> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let size = size.trim_ascii_end();
    let is_number = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(size).map_err(|_| HttpError::Malformed)?;
    if !is_number {
        return Err(HttpError::Malformed);
    }
    match usize::from_str_radix(text, 16) {
        Ok(size) if size <= ADMIN_BODY_BYTES_MAX => Ok(size),
        _ => Err(HttpError::BodyTooLarge),
    }
}

#[cfg(test)]
#[path = "http1_tests.rs"]
mod tests;
