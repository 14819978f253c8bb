//! TLS's handshake inside PRELOGIN packets, as TDS 7 has it: packets off what comes, packets around what goes.
//! What is in them is for TLS to judge.

use super::packets::{HEADER_BYTES, kind, packets};

/// Where what came so far has ended: within a header, or within what it announced.
#[derive(Default)]
pub struct Envelope {
    header: [u8; HEADER_BYTES],
    /// Bytes of that header.
    seen: usize,
    /// Bytes of the packet that are to come.
    left: usize,
}

impl Envelope {
    /// Moves what lies in the packets of `bytes` to their beginning: so many bytes.
    pub fn open(&mut self, bytes: &mut [u8]) -> usize {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            if self.left > 0 {
                let size = self.left.min(bytes.len() - from);
                bytes.copy_within(from..from + size, to);
                from += size;
                to += size;
                self.left -= size;
                continue;
            }
            self.header[self.seen] = bytes[from];
            self.seen += 1;
            from += 1;
            if self.seen == HEADER_BYTES {
                self.seen = 0;
                let size = u16::from_be_bytes([self.header[2], self.header[3]]);
                self.left = usize::from(size).saturating_sub(HEADER_BYTES);
            }
        }
        to
    }

    /// Hands `out` what TLS has to say, in packets.
    pub fn seal(words: &[u8], out: &mut dyn FnMut(&[u8])) {
        packets(kind::PRELOGIN, words, out);
    }
}
