//! A socket's bytes <-> plaintext, as a client.
//!
//! The unbuffered interface of rustls decrypts out of, and encrypts into, buffers that we own, so
//! that the socket is read and written in pieces far larger than a record. It keeps positions in
//! the received bytes between two calls, so every call must be given the same ones: `incoming`.
//!
//! Promises: [`Stream::receive`] hands out every whole record, [`Stream::send`] loses none, and
//! [`Stream::is_peer_closed`] tells an end that the peer meant from a cut.

use std::fmt;
use std::ops::ControlFlow;

use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

use super::configurations::Client;
use super::words::{self, Subject};
use crate::base::ByteBuf;

/// The largest plaintext that fits one record.
pub const RECORD_PLAINTEXT_MAX: usize = 16 * 1024;

/// Header, authentication tag, content type and (TLS 1.2) explicit nonce of one record.
const RECORD_OVERHEAD_MAX: usize = 5 + 16 + 1 + 8;

/// The largest record: what may wait for its end while more is read.
const RECORD_MAX: usize = RECORD_PLAINTEXT_MAX + 256 + 5;

/// A close_notify record, whatever the cipher.
const CLOSE_BYTES_MAX: usize = 128;

/// A handshake message of ours; the certificate we never send would be the only larger one.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;

/// Undecrypted bytes held at most: the largest handshake flight that rustls accepts, and more.
const UNPROCESSED_BYTES_MAX: usize = 512 * 1024;

/// Why a stream can't go on.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamError(Reason);

#[derive(Clone, Debug, PartialEq)]
enum Reason {
    Tls(rustls::Error),
    /// More undecodable bytes than any handshake has, or keys used up.
    Exhausted,
}

const EXHAUSTED: StreamError = StreamError(Reason::Exhausted);

impl StreamError {
    /// A sentence for operators: what went wrong with `subject` and what to do about it.
    pub fn explain(&self, subject: &Subject) -> String {
        match &self.0 {
            Reason::Tls(error) => words::explain(error, subject),
            Reason::Exhausted => {
                "TLS can't go on: too much undecodable data, or its keys are used up".to_owned()
            }
        }
    }

    /// The other side speaks something else.
    pub fn is_not_tls(&self) -> bool {
        matches!(self.0, Reason::Tls(rustls::Error::InvalidMessage(_)))
    }

    /// The other side's certificate was not believed.
    pub fn is_distrust(&self) -> bool {
        matches!(self.0, Reason::Tls(rustls::Error::InvalidCertificate(_)))
    }
}

impl From<rustls::Error> for StreamError {
    fn from(error: rustls::Error) -> Self {
        Self(Reason::Tls(error))
    }
}

/// For those who carry it as a `dyn Error`; people are given [`StreamError::explain`].
impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TLS failed")
    }
}

impl std::error::Error for StreamError {}

/// What one [`Stream::receive`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The handshake goes on.
    Handshaking,
    /// Plaintext flows.
    Open,
    /// The peer said that it will send no more.
    PeerClosed,
}

/// See the module.
pub struct Stream {
    tls: UnbufferedClientConnection,
    incoming: ByteBuf,
    /// Plaintext that was met while something was sent.
    unread: ByteBuf,
    is_open: bool,
    is_peer_closed: bool,
}

impl Stream {
    /// Call [`Stream::receive`] once to have its first flight written.
    pub fn new(client: Client) -> Result<Self, StreamError> {
        Ok(Self {
            tls: client.connection()?,
            incoming: ByteBuf::new(),
            unread: ByteBuf::new(),
            is_open: false,
            is_peer_closed: false,
        })
    }

    /// The socket's bytes that were not decoded yet; new ones go behind them.
    pub fn incoming(&mut self) -> &mut ByteBuf {
        &mut self.incoming
    }

    /// The same, to be looked at.
    pub fn undecoded(&self) -> &[u8] {
        self.incoming.filled()
    }

    /// Room in [`Stream::incoming`] for a read of this size, in memory for that and one record.
    pub fn slot(&mut self, size: usize) -> &mut [u8] {
        self.incoming.slot(size, RECORD_MAX)
    }

    /// Plaintext can be sent.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The peer has said that it sends no more. A socket that ends before was cut.
    pub fn is_peer_closed(&self) -> bool {
        self.is_peer_closed
    }

    /// The protocol that both agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// Protocol version and cipher suite, for people.
    pub fn describe(&self) -> Option<(&'static str, &'static str)> {
        let version = self.tls.protocol_version()?.as_str()?;
        let suite = self.tls.negotiated_cipher_suite()?.suite().as_str()?;
        Some((version, suite))
    }

    /// The certificates that the peer has shown, its own first, in DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        let chain = self.tls.peer_certificates().unwrap_or_default();
        chain.iter().map(|certificate| &**certificate)
    }

    /// Decodes what it can of the incoming bytes, hands the plaintext to `sink` until that breaks
    /// off, writes what the handshake has to say to `outgoing`.
    pub fn receive(
        &mut self,
        outgoing: &mut ByteBuf,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Progress, StreamError> {
        if !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            if sink(unread.filled()).is_break() {
                return Ok(self.progress());
            }
        }
        let Self { tls, incoming, .. } = self;
        loop {
            let UnbufferedStatus { mut discard, state } =
                tls.process_tls_records(incoming.filled_mut());
            let mut is_idle = false;
            let mut is_broken_off = false;
            match state {
                Err(error) => {
                    // The alert that tells the peer why is queued behind the error.
                    incoming.consume(discard);
                    flush_alert(tls, incoming, outgoing);
                    return Err(error.into());
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        is_broken_off |= sink(record.payload).is_break();
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    let written = data.encode(outgoing.spare(HANDSHAKE_BYTES_MAX));
                    outgoing.advance(written.map_err(|_| EXHAUSTED)?);
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::BlockedHandshake) => is_idle = true,
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.is_open = true;
                    is_idle = true;
                }
                Ok(_) => {
                    self.is_peer_closed = true;
                    is_idle = true;
                }
            }
            incoming.consume(discard);
            if self.is_peer_closed {
                // What stands behind the goodbye is nobody's.
                incoming.clear();
            }
            if is_idle && incoming.len() > UNPROCESSED_BYTES_MAX {
                return Err(EXHAUSTED);
            }
            if is_idle || is_broken_off {
                return Ok(self.progress());
            }
        }
    }

    fn progress(&self) -> Progress {
        match (self.is_peer_closed, self.is_open) {
            (true, _) => Progress::PeerClosed,
            (false, true) => Progress::Open,
            (false, false) => Progress::Handshaking,
        }
    }

    /// Appends `plaintext` to `outgoing` as records.
    pub fn send(&mut self, plaintext: &[u8], outgoing: &mut ByteBuf) -> Result<(), StreamError> {
        if plaintext.is_empty() {
            return Ok(());
        }
        self.write(Some(plaintext), outgoing)
    }

    /// Says that nothing more will be sent.
    pub fn close(&mut self, outgoing: &mut ByteBuf) {
        if self.is_open {
            // What can't be said any more would not have been heard either.
            let _ = self.write(None, outgoing);
        }
    }

    /// Appends records of `plaintext`, or a close_notify.
    fn write(
        &mut self,
        plaintext: Option<&[u8]>,
        outgoing: &mut ByteBuf,
    ) -> Result<(), StreamError> {
        let Self { tls, incoming, .. } = self;
        loop {
            let UnbufferedStatus { mut discard, state } =
                tls.process_tls_records(incoming.filled_mut());
            let mut is_sent = false;
            match state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let written = match plaintext {
                        Some(plaintext) => {
                            let records = plaintext.len().div_ceil(RECORD_PLAINTEXT_MAX);
                            // A key update may have to go first.
                            let room = plaintext.len() + (records + 1) * RECORD_OVERHEAD_MAX + 64;
                            traffic.encrypt(plaintext, outgoing.spare(room))
                        }
                        None => traffic.queue_close_notify(outgoing.spare(CLOSE_BYTES_MAX)),
                    };
                    outgoing.advance(written.map_err(|_| EXHAUSTED)?);
                    is_sent = true;
                }
                // The answer to a key update of the peer goes first.
                ConnectionState::EncodeTlsData(mut data) => {
                    let written = data.encode(outgoing.spare(HANDSHAKE_BYTES_MAX));
                    outgoing.advance(written.map_err(|_| EXHAUSTED)?);
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                // Bytes that the owner has not had decoded yet, or where it broke off.
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        self.unread.extend(record.payload);
                    }
                }
                ConnectionState::PeerClosed => self.is_peer_closed = true,
                _ => return Err(EXHAUSTED),
            }
            incoming.consume(discard);
            if is_sent {
                return Ok(());
            }
        }
    }
}

/// Writes what rustls wants the peer to know about the error that it has just reported.
fn flush_alert(
    tls: &mut UnbufferedClientConnection,
    incoming: &mut ByteBuf,
    outgoing: &mut ByteBuf,
) {
    if let Ok(ConnectionState::EncodeTlsData(mut data)) =
        tls.process_tls_records(incoming.filled_mut()).state
        && let Ok(written) = data.encode(outgoing.spare(HANDSHAKE_BYTES_MAX))
    {
        outgoing.advance(written);
    }
}
