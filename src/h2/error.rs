//! Error codes and errors of HTTP/2 (RFC 9113 sections 5.4 and 7). The type says the scope.

use std::fmt;

/// The reason in RST_STREAM and GOAWAY. Codes that we do not know are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode(pub u32);

#[allow(missing_docs)] // The names are those of RFC 9113 section 7.
impl ErrorCode {
    pub const NO_ERROR: Self = Self(0x0);
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    pub const INTERNAL_ERROR: Self = Self(0x2);
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    pub const STREAM_CLOSED: Self = Self(0x5);
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    pub const REFUSED_STREAM: Self = Self(0x7);
    pub const CANCEL: Self = Self(0x8);
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    pub const CONNECT_ERROR: Self = Self(0xa);
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);
}

impl ErrorCode {
    /// The name in RFC 9113, `unknown` for other codes.
    pub fn name(self) -> &'static str {
        NAMES.get(self.0 as usize).copied().unwrap_or("unknown")
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Who ended a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// The peer sent RST_STREAM, or a GOAWAY that left the stream out.
    Peer,
    /// We did, because the peer broke a rule or a bound on this stream.
    Us,
}

/// The peer broke a rule or a bound for the whole connection. A GOAWAY with the code is in the
/// control output; nothing but sending it is of use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    /// What the peer is told.
    pub code: ErrorCode,
    /// What a log is told.
    pub detail: &'static str,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/2 {}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for ConnectionError {}

/// Why no stream can be opened (now).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The connection is ending: a GOAWAY was received or sent, or it failed.
    GoingAway,
    /// As many streams are open as the peer, or [`crate::limits::H2_STREAMS_MAX`], allows.
    TooManyStreams,
    /// All 2^30 stream numbers are used up.
    NumbersExhausted,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GoingAway => "the HTTP/2 connection is ending",
            Self::TooManyStreams => "too many HTTP/2 streams are open",
            Self::NumbersExhausted => "the HTTP/2 stream numbers are used up",
        })
    }
}

impl std::error::Error for OpenError {}

/// Scope of a fault while a frame is handled, before it became an event or an error.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Connection(ConnectionError),
    /// Ends this stream alone.
    Stream(u32, ErrorCode, &'static str),
}

impl Fault {
    /// A connection error.
    pub(super) const fn connection(code: ErrorCode, detail: &'static str) -> Self {
        Self::Connection(ConnectionError { code, detail })
    }

    /// The commonest connection error.
    pub(super) const fn protocol(detail: &'static str) -> Self {
        Self::connection(ErrorCode::PROTOCOL_ERROR, detail)
    }

    /// A frame of a length that its type cannot have.
    pub(super) const fn frame_size(detail: &'static str) -> Self {
        Self::connection(ErrorCode::FRAME_SIZE_ERROR, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<ConnectionError>() <= 24);
    }

    #[test]
    fn codes_have_the_names_of_the_rfc() {
        assert_eq!(ErrorCode::HTTP_1_1_REQUIRED.name(), "HTTP_1_1_REQUIRED");
        assert_eq!(ErrorCode(14).name(), "unknown");
        assert_eq!(ErrorCode(u32::MAX).name(), "unknown");
    }
}
