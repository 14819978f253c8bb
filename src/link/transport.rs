//! Bytes of the link's socket <-> the bytes of HTTP/2: through TLS, or as they are.

use std::ops::ControlFlow;

use crate::base::ByteBuf;
use crate::tls::{Client, Progress, Stream, StreamError};

/// Why the transport can't go on.
#[derive(Debug)]
pub enum TransportError {
    /// TLS says so.
    Tls(StreamError),
    /// The peer did not agree on HTTP/2.
    NoHttp2,
}

/// See the module.
pub enum Transport {
    /// The socket's bytes as they came.
    Plaintext(ByteBuf),
    /// TLS; call [`Transport::receive`] once to have its first flight written.
    Tls(Box<Stream>),
}

impl Transport {
    /// No TLS: bytes pass as they are.
    pub fn plaintext() -> Self {
        Self::Plaintext(ByteBuf::new())
    }

    /// TLS with the server that `client` expects.
    pub fn tls(client: Client) -> Result<Self, TransportError> {
        let stream = Stream::new(client).map_err(TransportError::Tls)?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// The socket's bytes that were not decoded yet; new ones go behind them.
    pub fn incoming(&mut self) -> &mut ByteBuf {
        match self {
            Self::Plaintext(incoming) => incoming,
            Self::Tls(stream) => stream.incoming(),
        }
    }

    /// Room in [`Transport::incoming`] for a read of this size.
    pub fn slot(&mut self, size: usize) -> &mut [u8] {
        match self {
            Self::Plaintext(incoming) => incoming.slot(size, 0),
            Self::Tls(stream) => stream.slot(size),
        }
    }

    /// Plaintext can be sent.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Plaintext(_) => true,
            Self::Tls(stream) => stream.is_open(),
        }
    }

    /// There is TLS, or will be.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Protocol version and cipher suite, for people.
    pub fn describe(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Plaintext(_) => None,
            Self::Tls(stream) => stream.describe(),
        }
    }

    /// The certificate that the other side has shown, in DER.
    pub fn certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plaintext(_) => None,
            Self::Tls(stream) => stream.certificates().next(),
        }
    }

    /// Decodes what it can of the incoming bytes, hands the plaintext to `sink` until that breaks
    /// off, writes what the handshake has to say to `outgoing`.
    pub fn receive(
        &mut self,
        outgoing: &mut ByteBuf,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Progress, TransportError> {
        match self {
            Self::Plaintext(incoming) => {
                let _ = sink(incoming.filled());
                incoming.clear();
                Ok(Progress::Open)
            }
            Self::Tls(stream) => {
                let was_open = stream.is_open();
                let progress = stream
                    .receive(outgoing, sink)
                    .map_err(TransportError::Tls)?;
                if stream.is_open() && !was_open && stream.alpn() != Some(b"h2") {
                    return Err(TransportError::NoHttp2);
                }
                Ok(progress)
            }
        }
    }

    /// Appends `plaintext` to `outgoing` the way the peer wants it.
    pub fn send(&mut self, plaintext: &[u8], outgoing: &mut ByteBuf) -> Result<(), TransportError> {
        match self {
            Self::Plaintext(_) => {
                outgoing.extend(plaintext);
                Ok(())
            }
            Self::Tls(stream) => stream
                .send(plaintext, outgoing)
                .map_err(TransportError::Tls),
        }
    }

    /// Says that nothing more will be sent.
    pub fn close(&mut self, outgoing: &mut ByteBuf) {
        if let Self::Tls(stream) = self {
            stream.close(outgoing);
        }
    }
}
