//! Bytes <-> packets and the messages that they make up.

/// Of every packet.
pub const HEADER_BYTES: usize = 8;

/// The largest packet until client and server have agreed on another size.
pub const PACKET_BYTES_MAX: usize = 4096;

/// Types of messages.
pub mod kind {
    /// What a server says.
    pub const REPLY: u8 = 0x04;
    /// A client's login.
    pub const LOGIN7: u8 = 0x10;
    /// What comes before it, and TLS's handshake.
    pub const PRELOGIN: u8 = 0x12;
}

/// These bytes are no message of the type that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What lies in the packets of one message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The payloads, one after the other.
    pub body: Vec<u8>,
    /// All of it, with the packets' headers.
    pub len: usize,
}

/// The message of this type that `bytes` begin with; `None`: some of it is missing.
pub fn message(bytes: &[u8], kind: u8) -> Result<Option<Message>, Malformed> {
    let mut len = 0;
    let mut is_whole = false;
    while !is_whole {
        let rest = bytes.get(len..).unwrap_or_default();
        if rest.first().is_some_and(|first| *first != kind) {
            return Err(Malformed);
        }
        let Some([_, status, high, low, ..]) = rest.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        if size < HEADER_BYTES {
            return Err(Malformed);
        }
        len += size;
        is_whole = status & LAST != 0;
    }
    let Some(mut rest) = bytes.get(..len) else {
        return Ok(None);
    };
    let mut body = Vec::with_capacity(len);
    while let Some([_, _, high, low, ..]) = rest.first_chunk::<HEADER_BYTES>() {
        let (packet, later) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        body.extend_from_slice(&packet[HEADER_BYTES..]);
        rest = later;
    }
    Ok(Some(Message { body, len }))
}

/// Hands `out` the packets of a message, one after the other.
pub fn packets(kind: u8, body: &[u8], out: &mut dyn FnMut(&[u8])) {
    let mut packet = Vec::with_capacity(PACKET_BYTES_MAX);
    let mut pieces = body.chunks(PACKET_BYTES_MAX - HEADER_BYTES).peekable();
    let mut number = 1_u8;
    while let Some(piece) = pieces.next() {
        let size = u16::try_from(HEADER_BYTES + piece.len()).unwrap_or_default();
        let [high, low] = size.to_be_bytes();
        let status = u8::from(pieces.peek().is_none()) * LAST;
        packet.clear();
        packet.extend_from_slice(&[kind, status, high, low, 0, 0, number, 0]);
        packet.extend_from_slice(piece);
        out(&packet);
        number = number.wrapping_add(1);
    }
    // There may have been a password in it.
    crate::base::wipe(&mut packet);
}

/// All of them in one piece.
pub fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    packets(kind, body, &mut |packet| all.extend_from_slice(packet));
    all
}

/// Status: the message ends here.
const LAST: u8 = 1;

/// Two bytes of a body as a number.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Four bytes of a body as a number.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A text as it is written.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    text.encode_utf16()
        .for_each(|unit| out.extend_from_slice(&unit.to_le_bytes()));
}
