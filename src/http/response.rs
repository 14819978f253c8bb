//! A response to one request, whole.
//!
//! [`ResponseReader`] takes it in pieces of any size. Redirects, status codes and what a body means
//! are left to the caller.

use super::body::BodyReader;
use super::error::HttpError;
use super::head::{self, Fields, HeadBounds};
use crate::base::ByteBuf;

/// Interim (1xx) responses before the final one.
pub(super) const INTERIM_MAX: usize = 8;

/// What a response may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Its head, and each interim one.
    pub head: HeadBounds,
    /// Bytes of its body.
    pub body_bytes: usize,
}

/// A complete response.
#[derive(Default)]
pub struct Response {
    /// The final status, 200 to 599.
    pub status: u16,
    fields: Fields,
    /// The body, within the reader's bounds.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }
}

/// Takes a response in pieces: [`ResponseReader::handle_bytes`] until [`ResponseReader::is_done`],
/// [`ResponseReader::handle_close`] when the connection ends before, then `into_response`.
pub struct ResponseReader {
    bounds: Bounds,
    /// Bytes that have come and are not used yet.
    pending: ByteBuf,
    /// Bytes of `pending` whose lines make no whole head.
    searched: usize,
    interim_count: usize,
    /// Stands when the head does.
    body: Option<BodyReader>,
    response: Response,
}

impl ResponseReader {
    /// For a response of at most this size.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            pending: ByteBuf::new(),
            searched: 0,
            interim_count: 0,
            body: None,
            response: Response::default(),
        }
    }

    /// The response is complete; further bytes are ignored.
    pub fn is_done(&self) -> bool {
        self.body.as_ref().is_some_and(BodyReader::is_done)
    }

    /// The next bytes have come.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if self.is_done() {
            return Ok(());
        }
        self.pending.extend(bytes);
        while self.body.is_none() && self.head()? {}
        match &mut self.body {
            Some(body) => body.receive(&mut self.pending, &mut self.response.body),
            None => Ok(()),
        }
    }

    /// The connection has ended.
    pub fn handle_close(&mut self) -> Result<(), HttpError> {
        if let Some(body) = &mut self.body {
            return body.close();
        }
        let begun = self.pending.filled();
        Err(match begun.first() {
            None if self.interim_count == 0 => HttpError::NoAnswer,
            Some(&TLS_ALERT) => HttpError::Tls,
            _ if !begun.iter().zip(HTTP).all(|(got, http)| got == http) => HttpError::NotHttp,
            _ => HttpError::Truncated,
        })
    }

    /// What was read; of use once done.
    pub fn into_response(self) -> Response {
        self.response
    }

    /// Takes one head; `false` when more bytes are needed.
    fn head(&mut self) -> Result<bool, HttpError> {
        let bounds = self.bounds.head;
        let pending = self.pending.filled();
        match pending.get(..HTTP.len()) {
            None => return Ok(false),
            Some(HTTP) => {}
            Some([TLS_ALERT, ..]) => return Err(HttpError::Tls),
            Some(_) => return Err(HttpError::NotHttp),
        }
        // Whole lines alone, and only when a further one has come: a head that trickles in is not
        // read anew for each byte.
        let seen = &pending[..pending.len().min(bounds.bytes)];
        let line_end = seen[self.searched..]
            .iter()
            .rposition(|byte| *byte == b'\n');
        let lines = line_end.map_or(0, |at| self.searched + at + 1);
        let Some(head) = head::response(&seen[..lines], bounds)? else {
            self.searched = seen.len();
            let is_full = seen.len() == bounds.bytes;
            return (!is_full).then_some(false).ok_or(HttpError::HeadTooLarge);
        };
        self.pending.consume(head.len);
        self.searched = 0;
        match head.status {
            // Nothing was asked that could switch protocols.
            0..=99 | 101 | 600.. => return Err(HttpError::Malformed),
            100..=199 => {
                self.interim_count += 1;
                let is_bounded = self.interim_count <= INTERIM_MAX;
                return is_bounded.then_some(true).ok_or(HttpError::Malformed);
            }
            _ => {}
        }
        let (status, fields) = (head.status, head.fields);
        let body_bytes = self.bounds.body_bytes;
        let body = BodyReader::of_response(status, &fields, body_bytes, bounds.bytes)?;
        self.body = Some(body);
        self.response.status = status;
        self.response.fields = fields;
        Ok(true)
    }
}

const HTTP: &[u8] = b"HTTP/";
/// Record type of a TLS alert: what a TLS server makes of a plain request.
const TLS_ALERT: u8 = 21;
