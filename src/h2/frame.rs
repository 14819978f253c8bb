//! Frames: the 9-byte head, and the payloads of a fixed shape (RFC 9113 sections 4.1 and 6).
//!
//! ```text
//! | length 24 | kind 8 | flags 8 | 0 1 | stream 31 | payload ...
//! ```
//!
//! Pure codecs: nothing here knows which frame is allowed when.

use super::error::{ErrorCode, Fault};
use crate::base::ByteBuf;

/// Bytes of a frame's head.
pub const HEAD_LEN: usize = 9;

/// What a client sends before its first frame (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The type of a frame; unknown ones are to be ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKind(pub u8);

#[allow(missing_docs)] // The names are those of RFC 9113 section 6.
impl FrameKind {
    pub const DATA: Self = Self(0x0);
    pub const HEADERS: Self = Self(0x1);
    pub const PRIORITY: Self = Self(0x2);
    pub const RST_STREAM: Self = Self(0x3);
    pub const SETTINGS: Self = Self(0x4);
    pub const PUSH_PROMISE: Self = Self(0x5);
    pub const PING: Self = Self(0x6);
    pub const GOAWAY: Self = Self(0x7);
    pub const WINDOW_UPDATE: Self = Self(0x8);
    pub const CONTINUATION: Self = Self(0x9);
}

/// Flag of DATA and HEADERS: the sender's last frame of the stream but CONTINUATION.
pub const END_STREAM: u8 = 0x1;
/// Flag of SETTINGS and PING: an answer.
pub const ACK: u8 = 0x1;
/// Flag of HEADERS and CONTINUATION: the header block is complete.
pub const END_HEADERS: u8 = 0x4;
/// Flag of DATA and HEADERS: a padding length in front, padding behind.
pub const PADDED: u8 = 0x8;
/// Flag of HEADERS: five bytes of priority, without meaning now.
pub const PRIORITY: u8 = 0x20;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of payload, below 2^24.
    pub len: u32,
    /// Type.
    pub kind: FrameKind,
    /// Meaning depends on the type; unknown ones are to be ignored.
    pub flags: u8,
    /// Stream, 0 for the connection, below 2^31.
    pub stream: u32,
}

impl Head {
    /// Reads a head; every nine bytes are one. The reserved bit is dropped.
    pub fn parse(bytes: &[u8; HEAD_LEN]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes;
        Self {
            len: u32::from_be_bytes([0, l0, l1, l2]),
            kind: FrameKind(kind),
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & STREAM_MASK,
        }
    }

    /// Writes the head.
    pub fn to_bytes(self) -> [u8; HEAD_LEN] {
        debug_assert!(self.len < 1 << 24 && self.stream <= STREAM_MASK);
        let [_, l0, l1, l2] = self.len.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind.0, self.flags, s0, s1, s2, s3]
    }

    /// Whether `flag` is set.
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

const STREAM_MASK: u32 = 0x7fff_ffff;

/// Appends one frame.
pub fn write(out: &mut ByteBuf, kind: FrameKind, flags: u8, stream: u32, payload: &[u8]) {
    let head = Head {
        len: u32::try_from(payload.len()).unwrap_or(0),
        kind,
        flags,
        stream,
    };
    out.extend(&head.to_bytes());
    out.extend(payload);
}

/// Appends RST_STREAM.
pub fn write_reset(out: &mut ByteBuf, stream: u32, code: ErrorCode) {
    write(out, FrameKind::RST_STREAM, 0, stream, &code.0.to_be_bytes());
}

/// Appends WINDOW_UPDATE; `stream` 0 is the connection's window.
pub fn write_window_update(out: &mut ByteBuf, stream: u32, increment: u32) {
    write(
        out,
        FrameKind::WINDOW_UPDATE,
        0,
        stream,
        &increment.to_be_bytes(),
    );
}

/// Appends GOAWAY. The last stream is always 0: a server opens none with us.
pub fn write_go_away(out: &mut ByteBuf, code: ErrorCode, debug: &[u8]) {
    let mut payload = Vec::with_capacity(8 + debug.len());
    payload.extend_from_slice(&0u32.to_be_bytes());
    payload.extend_from_slice(&code.0.to_be_bytes());
    payload.extend_from_slice(debug);
    write(out, FrameKind::GOAWAY, 0, 0, &payload);
}

/// The payload of frames that are one number: RST_STREAM, WINDOW_UPDATE.
pub fn parse_u32(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

/// The payload of GOAWAY: last stream, code, debug data.
pub fn parse_go_away(payload: &[u8]) -> Option<(u32, ErrorCode, &[u8])> {
    let (last, rest) = payload.split_first_chunk::<4>()?;
    let (code, debug) = rest.split_first_chunk::<4>()?;
    let last = u32::from_be_bytes(*last) & STREAM_MASK;
    Some((last, ErrorCode(u32::from_be_bytes(*code)), debug))
}

/// The part of a HEADERS payload that belongs to the header block.
pub(super) fn header_fragment(head: Head, payload: &[u8]) -> Result<&[u8], Fault> {
    let mut fragment = payload;
    let mut padding = 0;
    if head.has(PADDED) {
        let (&len, rest) = fragment.split_first().ok_or(SHORT_HEADERS)?;
        padding = usize::from(len);
        fragment = rest;
    }
    if head.has(PRIORITY) {
        fragment = fragment.get(5..).ok_or(SHORT_HEADERS)?;
    }
    let len = fragment
        .len()
        .checked_sub(padding)
        .ok_or(Fault::protocol("HEADERS with more padding than payload"))?;
    Ok(fragment.get(..len).unwrap_or_default())
}

const SHORT_HEADERS: Fault = Fault::frame_size("HEADERS too short for its flags");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reserved_bit_is_ignored() {
        let head = Head::parse(&[0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(head.stream, 0x7fff_ffff);
        assert_eq!(
            parse_go_away(&[0x80, 0, 0, 1, 0, 0, 0, 2, b'x']),
            Some((1, ErrorCode(2), &b"x"[..]))
        );
    }

    #[test]
    fn header_fragment_leaves_padding_and_priority_out() {
        let head = |flags| Head {
            len: 0,
            kind: FrameKind::HEADERS,
            flags,
            stream: 1,
        };
        let fragment = |flags, payload| header_fragment(head(flags), payload).ok();
        assert_eq!(fragment(0, b"abc"), Some(&b"abc"[..]));
        assert_eq!(fragment(PADDED, b"\x02abc"), Some(&b"a"[..]));
        assert_eq!(fragment(PADDED, b"\x03abc"), Some(&b""[..]));
        assert_eq!(fragment(PADDED, b"\x04abc"), None);
        assert_eq!(fragment(PADDED, b""), None);
        assert_eq!(fragment(PRIORITY, b"12345a"), Some(&b"a"[..]));
        assert_eq!(fragment(PRIORITY, b"1234"), None);
        assert_eq!(fragment(PRIORITY | PADDED, b"\x0112345ab"), Some(&b"a"[..]));
        assert_eq!(fragment(PRIORITY | PADDED, b"\x0312345ab"), None);
    }

    proptest! {
        #[test]
        fn head_survives(len in 0u32..1 << 24, kind: u8, flags: u8, stream in 0u32..1 << 31) {
            let head = Head { len, kind: FrameKind(kind), flags, stream };
            prop_assert_eq!(Head::parse(&head.to_bytes()), head);
        }

        #[test]
        fn arbitrary_payloads_never_panic(flags: u8, payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let head = Head { len: 0, kind: FrameKind::HEADERS, flags, stream: 1 };
            let _ = header_fragment(head, &payload);
            let _ = parse_go_away(&payload);
            let _ = parse_u32(&payload);
        }
    }
}
