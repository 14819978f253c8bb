//! The other side of an HTTP/2 connection, with its own frame writer and reader, so that a mistake
//! which the product's codec makes both ways shows.

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

/// What comes first from a client.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Appends a frame.
pub fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let len = u32::try_from(payload.len()).expect("a frame's payload");
    out.extend_from_slice(&len.to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends SETTINGS with these entries.
pub fn settings(out: &mut Vec<u8>, entries: &[(u16, u32)]) {
    let mut payload = Vec::new();
    for (id, value) in entries {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(out, SETTINGS, 0, 0, &payload);
}

/// A header block of short literals.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            let text = &text.as_bytes()[..text.len().min(126)];
            out.push(u8::try_from(text.len()).expect("short"));
            out.extend_from_slice(text);
        }
    }
    out
}

/// Appends HEADERS in one frame.
pub fn headers(out: &mut Vec<u8>, stream: u32, fields: &[(&str, &str)], end_stream: bool) {
    let flags = END_HEADERS | if end_stream { END_STREAM } else { 0 };
    frame(out, HEADERS, flags, stream, &block(fields));
}

/// One frame as the other side reads it.
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The number at this place of the payload.
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.payload[at..at + 4].try_into();
        u32::from_be_bytes(bytes.expect("four bytes"))
    }
}

/// The first whole frame of `bytes`, and what follows it.
pub fn first_frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<9>()?;
    let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *head;
    let len = u32::from_be_bytes([0, l0, l1, l2]) as usize;
    let (payload, rest) = rest.split_at_checked(len)?;
    let frame = Frame {
        kind,
        flags,
        stream: u32::from_be_bytes([s0, s1, s2, s3]),
        payload,
    };
    Some((frame, rest))
}

/// Checks that a client may send this frame, and that it says something.
pub fn check_lawful(frame: &Frame<'_>) {
    let Frame {
        kind,
        flags,
        stream,
        payload,
    } = *frame;
    assert!(stream < 1 << 31);
    match kind {
        DATA | HEADERS | CONTINUATION => assert!(stream % 2 == 1 && payload.len() <= 1 << 24),
        RST_STREAM => assert!(stream % 2 == 1 && payload.len() == 4),
        WINDOW_UPDATE => assert!((1..1 << 31).contains(&frame.number(0)), "of nothing"),
        SETTINGS => assert!(stream == 0 && (flags == 0 || payload.is_empty())),
        PING => assert!(
            stream == 0 && flags == ACK && payload.len() == 8,
            "we never ask"
        ),
        GOAWAY => assert!(stream == 0 && payload.len() >= 8),
        _ => panic!("a client does not send frames of kind {kind}"),
    }
}
