//! How a message broke the protocol or the bounds of who reads it.

use std::fmt;

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
    /// More bytes or lines of headers than allowed.
    HeadTooLarge,
    /// More bytes of body than this.
    BodyTooLarge(usize),
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
            Self::BodyTooLarge(max) => {
                return write!(f, "the server's answer is larger than {} MiB", max >> 20);
            }
            Self::UnknownCoding => "the server's answer uses an unknown transfer coding",
            Self::Truncated => "the server closed the connection in the middle of its answer",
        })
    }
}
