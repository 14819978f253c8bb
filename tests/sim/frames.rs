//! HTTP/2 frames of the simulated gateway, written and read by code of its own.

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;

pub const SETTING_MAX_STREAMS: u16 = 3;
pub const SETTING_WINDOW: u16 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Payload that the agent may put into one frame, since the gateway asks for no more.
const PAYLOAD_MAX: usize = 16_384;

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The number in a WINDOW_UPDATE, RST_STREAM or the last one of a GOAWAY.
    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// Entries of a SETTINGS frame.
    pub fn settings(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        assert_eq!(self.payload.len() % 6, 0, "SETTINGS of a wrong size");
        self.payload.chunks(6).map(|entry| {
            let id = u16::from_be_bytes([entry[0], entry[1]]);
            (id, u32::from_be_bytes(entry[2..].try_into().unwrap()))
        })
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + payload.len());
    let length = u32::try_from(payload.len()).unwrap();
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

pub fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in entries {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

pub fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

pub fn go_away(last_stream: u32, code: u32, debug: &[u8]) -> Vec<u8> {
    let numbers = [last_stream.to_be_bytes(), code.to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &[&numbers, debug].concat())
}

/// Bytes of the agent to frames.
#[derive(Default)]
pub struct Reader {
    bytes: Vec<u8>,
    at: usize,
    has_begun: bool,
}

impl Reader {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub fn next(&mut self) -> Option<Frame> {
        if !self.has_begun {
            let preface = self.bytes.get(..PREFACE.len())?;
            assert_eq!(
                preface, PREFACE,
                "the agent does not begin with the preface"
            );
            self.at = PREFACE.len();
            self.has_begun = true;
        }
        let head = self.bytes.get(self.at..self.at + 9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        assert!(length <= PAYLOAD_MAX, "a frame of {length} bytes");
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        assert!(stream < 1 << 31, "the reserved bit is set");
        let payload = self.bytes.get(self.at + 9..self.at + 9 + length)?.to_vec();
        self.at += 9 + length;
        Some(Frame {
            kind,
            flags,
            stream,
            payload,
        })
    }
}
