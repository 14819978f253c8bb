//! Why a link can't go on, in words for an operator.

use super::proxy::ProxyError;
use super::transport::TransportError;
use crate::grpc::MessageError;
use crate::h2;
use crate::packet::DecodeError;
use crate::tls::Subject;

/// Why the link can't go on.
#[derive(Debug)]
pub enum LinkError {
    /// TLS.
    Transport(TransportError),
    /// The proxy.
    Proxy(ProxyError),
    /// HTTP/2: the peer broke the protocol.
    Http2(h2::ConnectionError),
    /// A message that is none, or too large.
    Message(MessageError),
    /// A message that is no packet.
    Packet(DecodeError),
    /// The peer closed its side.
    Closed,
}

impl LinkError {
    /// What a stream is reset with whose messages can't be read.
    pub(super) fn reset_code(&self) -> h2::ErrorCode {
        match self {
            Self::Message(MessageError::TooLarge(_)) => h2::ErrorCode::ENHANCE_YOUR_CALM,
            _ => h2::ErrorCode::PROTOCOL_ERROR,
        }
    }
}

impl From<TransportError> for LinkError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl std::error::Error for LinkError {}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transport(TransportError::Tls(error)) => {
                f.write_str(&error.explain(&Subject::GATEWAY))
            }
            Self::Transport(TransportError::NoHttp2) => f.write_str(Subject::GATEWAY.no_protocol),
            Self::Proxy(error) => write!(f, "{error}"),
            Self::Http2(error) => write!(f, "{error}"),
            Self::Message(error) => write!(f, "{error}"),
            Self::Packet(error) => {
                write!(f, "the gateway sent a message that is no packet: {error}")
            }
            Self::Closed => f.write_str("the gateway closed the connection"),
        }
    }
}

/// What to do about whoever answers in the gateway's place.
pub fn proxy_advice(http: u16) -> &'static str {
    match http {
        300..=399 => {
            "it redirects, perhaps to a login: have it pass requests for /protobuf.Transport/"
        }
        401 | 403 | 407 => {
            "it wants a login or forbids: have it pass requests for /protobuf.Transport/ as they are"
        }
        413 => {
            "it limits the bytes of a request, and ours last for weeks: lift that (nginx: \
             client_max_body_size 0)"
        }
        429 => "it limits the rate of requests or connections: lift that for the gateway's port",
        408 | 502..=504 => {
            "it does not reach the gateway, or limits the time of a request (nginx: \
             grpc_read_timeout, grpc_send_timeout)"
        }
        _ => "check that this is the gateway's gRPC port (8010 unless changed), not its web page",
    }
}
