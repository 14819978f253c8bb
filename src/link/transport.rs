//! Bytes of the link's socket <-> plaintext: TLS by rustls, or nothing at all.
//!
//! The unbuffered interface of rustls decrypts out of, and encrypts into, buffers that we own, so
//! that the socket is read and written in pieces far larger than a record. It keeps positions in
//! the received bytes between two calls, so every call must be given the same ones: `incoming`.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

use crate::base::ByteBuf;

/// The largest plaintext that fits one record.
pub const RECORD_PLAINTEXT_MAX: usize = 16 * 1024;

/// Header, authentication tag, content type and (TLS 1.2) explicit nonce of one record.
const RECORD_OVERHEAD_MAX: usize = 5 + 16 + 1 + 8;

/// A close_notify record, whatever the cipher.
const CLOSE_BYTES_MAX: usize = 128;

/// A handshake message of ours; the certificate we never send would be the only larger one.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;

/// Undecrypted bytes held at most: the largest handshake flight that rustls accepts, and more.
const UNPROCESSED_BYTES_MAX: usize = 512 * 1024;

/// Why the transport can't go on.
#[derive(Debug)]
pub enum TransportError {
    /// TLS says so; `trust::explain` has words for it.
    Tls(rustls::Error),
    /// The peer did not agree on HTTP/2.
    NoHttp2,
    /// More undecodable bytes than any handshake has, or keys used up.
    Exhausted,
}

/// What one [`Transport::receive`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The handshake goes on.
    Handshaking,
    /// Plaintext flows.
    Open,
    /// The peer said that it will send no more.
    PeerClosed,
}

/// The plaintext of the link, or the socket's bytes themselves.
pub struct Transport {
    tls: Option<Box<UnbufferedClientConnection>>,
    incoming: ByteBuf,
    is_open: bool,
}

impl Transport {
    /// No TLS: bytes pass as they are.
    pub fn plaintext() -> Self {
        Self {
            tls: None,
            incoming: ByteBuf::new(),
            is_open: true,
        }
    }

    /// A TLS client for `name`; call [`Transport::receive`] once to have its first flight written.
    pub fn tls(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, TransportError> {
        let tls = UnbufferedClientConnection::new(config, name).map_err(TransportError::Tls)?;
        Ok(Self {
            tls: Some(Box::new(tls)),
            incoming: ByteBuf::new(),
            is_open: false,
        })
    }

    /// The socket's bytes that were not decoded yet; new ones go behind them.
    pub fn incoming(&mut self) -> &mut ByteBuf {
        &mut self.incoming
    }

    /// Plaintext can be sent.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// There is TLS, or will be.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Protocol version and cipher suite, for people.
    pub fn describe(&self) -> Option<(&'static str, &'static str)> {
        let tls = self.tls.as_ref()?;
        let version = tls.protocol_version()?.as_str()?;
        let suite = tls.negotiated_cipher_suite()?.suite().as_str()?;
        Some((version, suite))
    }

    /// Decodes what it can of the incoming bytes, hands the plaintext to `sink`, writes what the
    /// handshake has to say to `outgoing`.
    pub fn receive<E: From<TransportError>>(
        &mut self,
        outgoing: &mut ByteBuf,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Progress, E> {
        let incoming = &mut self.incoming;
        let Some(tls) = &mut self.tls else {
            let result = sink(incoming.filled());
            incoming.clear();
            return result.map(|()| Progress::Open);
        };
        loop {
            let UnbufferedStatus { mut discard, state } =
                tls.process_tls_records(incoming.filled_mut());
            let mut outcome = None;
            match state.map_err(TransportError::Tls) {
                Err(error) => {
                    // The alert that tells the peer why is queued behind the error.
                    incoming.consume(discard);
                    flush_alert(tls, incoming, outgoing);
                    return Err(error.into());
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(TransportError::Tls)?;
                        discard += record.discard;
                        if let Err(error) = sink(record.payload) {
                            incoming.consume(discard);
                            return Err(error);
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    let written = data.encode(outgoing.spare(HANDSHAKE_BYTES_MAX));
                    outgoing.advance(written.map_err(|_| TransportError::Exhausted)?);
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::BlockedHandshake) => outcome = Some(Progress::Handshaking),
                Ok(ConnectionState::WriteTraffic(_)) => outcome = Some(Progress::Open),
                Ok(_) => outcome = Some(Progress::PeerClosed),
            }
            incoming.consume(discard);
            let Some(outcome) = outcome else { continue };
            if incoming.len() > UNPROCESSED_BYTES_MAX {
                return Err(TransportError::Exhausted.into());
            }
            if outcome == Progress::Open && !self.is_open {
                if tls.alpn_protocol() != Some(b"h2") {
                    return Err(TransportError::NoHttp2.into());
                }
                self.is_open = true;
            }
            return Ok(outcome);
        }
    }

    /// Appends `plaintext` to `outgoing` the way the peer wants it.
    pub fn send(&mut self, plaintext: &[u8], outgoing: &mut ByteBuf) -> Result<(), TransportError> {
        let Some(tls) = &mut self.tls else {
            outgoing.extend(plaintext);
            return Ok(());
        };
        if plaintext.is_empty() {
            return Ok(());
        }
        let records = plaintext.len().div_ceil(RECORD_PLAINTEXT_MAX);
        // A key update may have to go first.
        let room = plaintext.len() + (records + 1) * RECORD_OVERHEAD_MAX + 64;
        loop {
            let UnbufferedStatus { mut discard, state } =
                tls.process_tls_records(self.incoming.filled_mut());
            let mut is_sent = false;
            match state.map_err(TransportError::Tls)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let written = traffic.encrypt(plaintext, outgoing.spare(room));
                    outgoing.advance(written.map_err(|_| TransportError::Exhausted)?);
                    is_sent = true;
                }
                // The answer to a key update of the peer goes first.
                ConnectionState::EncodeTlsData(mut data) => {
                    let written = data.encode(outgoing.spare(HANDSHAKE_BYTES_MAX));
                    outgoing.advance(written.map_err(|_| TransportError::Exhausted)?);
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                // Only behind bytes that ended the link: there, nobody wants them any more.
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                    }
                }
                _ => return Err(TransportError::Exhausted),
            }
            self.incoming.consume(discard);
            if is_sent {
                return Ok(());
            }
        }
    }

    /// Says that nothing more will be sent.
    pub fn close(&mut self, outgoing: &mut ByteBuf) {
        let Some(tls) = &mut self.tls else { return };
        if !self.is_open {
            return;
        }
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) =
            tls.process_tls_records(self.incoming.filled_mut()).state
            && let Ok(written) = traffic.queue_close_notify(outgoing.spare(CLOSE_BYTES_MAX))
        {
            outgoing.advance(written);
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

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
