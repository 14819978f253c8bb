//! Length-prefixed messages: one byte of flags, four of length, then the message.

use std::fmt;

use crate::limits::{GRPC_MESSAGE_BYTES_MAX, GRPC_REASSEMBLY_KEEP_BYTES};

/// Bytes in front of each message.
pub const PREFIX_LEN: usize = 5;

/// The prefix of an uncompressed message of `len` bytes, which must be below 2^32.
pub fn write_prefix(len: usize) -> [u8; PREFIX_LEN] {
    debug_assert!(u32::try_from(len).is_ok());
    let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    [0, a, b, c, d]
}

/// Why the content of a stream cannot be read on. The call is to be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// The message is compressed, which we never offered.
    Compressed,
    /// The flags have an unknown bit.
    Flags(u8),
    /// The claimed length exceeds [`GRPC_MESSAGE_BYTES_MAX`], and the call is of no use without
    /// the message. [`Reassembly`] never says so: it is for its callers to decide.
    TooLarge(u32),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed => f.write_str("gRPC message is compressed"),
            Self::Flags(flags) => write!(f, "gRPC message with unknown flags {flags}"),
            Self::TooLarge(len) => write!(f, "gRPC message of {len} bytes is too large"),
        }
    }
}

impl std::error::Error for MessageError {}

/// What comes out of [`Reassembly::feed`].
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// A whole message that came in pieces, in memory that the caller may take away; what it leaves
    /// instead is used for the next one.
    Joined(&'a mut Vec<u8>),
    /// A part of a message above [`GRPC_MESSAGE_BYTES_MAX`], which is passed over. The first comes
    /// with its prefix and may be empty, the last one ends the message.
    Oversized {
        /// Its next bytes.
        part: &'a [u8],
        /// The length that its prefix claims.
        len: u32,
        /// The message ends behind `part`.
        is_last: bool,
    },
}

/// Joins pieces of DATA into messages.
///
/// A message that lies within one piece is lent from there; only others are copied, into memory
/// that grows with what has come and never by what a prefix claims. One that is too large is lent
/// in the pieces that it comes in, and costs no memory.
#[derive(Default)]
pub struct Reassembly {
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    /// Length of the message under way, once its prefix is complete.
    message_len: u32,
    /// Bytes of an oversized message that were passed over.
    passed: u32,
    buffer: Vec<u8>,
    /// The buffer holds a message that has been lent.
    lent: bool,
}

impl Reassembly {
    /// In front of a message, without memory.
    pub const fn new() -> Self {
        Self {
            prefix: [0; PREFIX_LEN],
            prefix_len: 0,
            message_len: 0,
            passed: 0,
            buffer: Vec::new(),
            lent: false,
        }
    }

    /// Takes a prefix of `bytes` and returns its length with a message when one is complete. To
    /// be called with the rest until all is taken and no message comes: a message may be empty
    /// and so come without bytes. After an error the call is lost.
    pub fn feed<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Result<(usize, Option<Piece<'a>>), MessageError> {
        self.forget_lent();
        let mut used = 0;
        if self.prefix_len < PREFIX_LEN {
            used = self.take_prefix(bytes);
            if self.prefix_len < PREFIX_LEN {
                return Ok((used, None));
            }
            self.message_len = parse_prefix(self.prefix)?;
        }
        let rest = bytes.get(used..).unwrap_or_default();
        if self.message_len as usize > GRPC_MESSAGE_BYTES_MAX {
            return Ok(self.pass_over(used, rest));
        }
        let missing = (self.message_len as usize).saturating_sub(self.buffer.len());
        let Some(part) = rest.get(..missing) else {
            self.append(rest);
            return Ok((bytes.len(), None));
        };
        self.prefix_len = 0;
        if self.buffer.is_empty() {
            return Ok((used + missing, Some(Piece::Message(part))));
        }
        self.append(part);
        self.lent = true;
        Ok((used + missing, Some(Piece::Joined(&mut self.buffer))))
    }

    /// Lends what has come of a message that is too large, behind `used` bytes of its prefix.
    fn pass_over<'a>(&mut self, used: usize, rest: &'a [u8]) -> (usize, Option<Piece<'a>>) {
        let left = self.message_len - self.passed;
        let part = rest.get(..left as usize).unwrap_or(rest);
        if part.is_empty() && used == 0 {
            return (0, None);
        }
        #[allow(clippy::cast_possible_truncation)] // At most `left`.
        let size = part.len() as u32;
        self.passed += size;
        let is_last = size == left;
        if is_last {
            self.passed = 0;
            self.prefix_len = 0;
        }
        let len = self.message_len;
        (
            used + part.len(),
            Some(Piece::Oversized { part, len, is_last }),
        )
    }

    /// Memory held.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn take_prefix(&mut self, bytes: &[u8]) -> usize {
        let mut n = 0;
        for (to, from) in self.prefix.iter_mut().skip(self.prefix_len).zip(bytes) {
            *to = *from;
            n += 1;
        }
        self.prefix_len += n;
        n
    }

    /// Twice the memory at most, and never more than the message takes.
    fn append(&mut self, part: &[u8]) {
        let wanted = self.buffer.len() + part.len();
        if wanted > self.buffer.capacity() {
            let doubled =
                (2 * self.buffer.len()).clamp(wanted, (self.message_len as usize).max(wanted));
            self.buffer.reserve_exact(doubled - self.buffer.len());
        }
        self.buffer.extend_from_slice(part);
    }

    fn forget_lent(&mut self) {
        if !self.lent {
            return;
        }
        self.lent = false;
        self.buffer.clear();
        if self.buffer.capacity() > GRPC_REASSEMBLY_KEEP_BYTES {
            self.buffer = Vec::new();
        }
    }
}

fn parse_prefix(prefix: [u8; PREFIX_LEN]) -> Result<u32, MessageError> {
    let [flags, len @ ..] = prefix;
    match flags {
        0 => {}
        1 => return Err(MessageError::Compressed),
        _ => return Err(MessageError::Flags(flags)),
    }
    Ok(u32::from_be_bytes(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.extend(write_prefix(message.len()));
            bytes.extend(message);
        }
        bytes
    }

    /// Feeds `bytes` in pieces that end at `cuts`. Of an oversized message that has ended comes
    /// its length.
    fn joined(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Vec<u8>>, MessageError> {
        let mut reassembly = Reassembly::new();
        let mut messages = Vec::new();
        let mut passed = 0;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut start = 0;
        for cut in cuts {
            let mut piece = &bytes[start..cut];
            start = cut;
            loop {
                let (n, found) = reassembly.feed(piece)?;
                let done = found.is_none();
                match found {
                    Some(Piece::Message(message)) => messages.push(message.to_vec()),
                    // Taken away, as a receiver may.
                    Some(Piece::Joined(message)) => messages.push(std::mem::take(message)),
                    Some(Piece::Oversized { part, len, is_last }) => {
                        passed += part.len();
                        assert_eq!(is_last, passed == len as usize);
                        if is_last {
                            messages.push(len.to_be_bytes().to_vec());
                            passed = 0;
                        }
                    }
                    None => {}
                }
                piece = &piece[n..];
                if done && piece.is_empty() {
                    break;
                }
            }
        }
        Ok(messages)
    }

    #[test]
    fn whole_message_is_lent_without_a_copy() {
        let bytes = framed(&[b"hello".to_vec()]);
        let mut reassembly = Reassembly::new();
        let (n, message) = reassembly.feed(&bytes).unwrap();
        assert_eq!(n, 10);
        let Some(Piece::Message(message)) = message else {
            panic!("{message:?}");
        };
        assert!(std::ptr::eq(message, &raw const bytes[5..]));
        assert_eq!(reassembly.buffered_bytes(), 0);
    }

    #[test]
    fn whole_message_behind_a_cut_prefix_is_lent_without_a_copy() {
        let mut reassembly = Reassembly::new();
        assert_eq!(reassembly.feed(&[0, 0]), Ok((2, None)));
        assert_eq!(
            reassembly.feed(&[0, 0, 2, 7, 8, 9]),
            Ok((5, Some(Piece::Message(&[7, 8]))))
        );
        assert_eq!(reassembly.buffered_bytes(), 0);
    }

    #[test]
    fn empty_message_is_a_message() {
        assert_eq!(
            joined(&framed(&[vec![], vec![]]), &[3, 5]),
            Ok(vec![vec![], vec![]])
        );
    }

    #[test]
    fn compressed_and_unknown_flags_are_refused() {
        assert_eq!(joined(&[1, 0, 0, 0, 0], &[]), Err(MessageError::Compressed));
        assert_eq!(joined(&[2, 0, 0, 0, 0], &[]), Err(MessageError::Flags(2)));
    }

    #[test]
    fn too_large_message_is_passed_over_without_memory_and_the_next_one_comes() {
        let above = GRPC_MESSAGE_BYTES_MAX + 1;
        let mut bytes = write_prefix(above).to_vec();
        bytes.resize(5 + above, 7);
        bytes.extend(framed(&[b"next".to_vec()]));
        let len = u32::try_from(above).unwrap().to_be_bytes();
        let want = Ok(vec![len.to_vec(), b"next".to_vec()]);
        assert_eq!(joined(&bytes, &[]), want);
        assert_eq!(joined(&bytes, &[3, 5, 6, 70_000, 5 + above]), want);
        let mut reassembly = Reassembly::new();
        reassembly.feed(&bytes[..1_000_000]).unwrap();
        assert_eq!(reassembly.buffered_bytes(), 0);
    }

    #[test]
    fn memory_grows_with_what_came_and_not_with_the_claim() {
        let mut reassembly = Reassembly::new();
        reassembly
            .feed(&write_prefix(GRPC_MESSAGE_BYTES_MAX))
            .unwrap();
        reassembly.feed(&[0; 1000]).unwrap();
        assert!(reassembly.buffered_bytes() <= 2000);
        reassembly.feed(&[0; 1000]).unwrap();
        assert!(reassembly.buffered_bytes() <= 4000);
    }

    #[test]
    fn memory_never_exceeds_the_message_and_goes_after_a_big_one() {
        let len = GRPC_MESSAGE_BYTES_MAX;
        let mut reassembly = Reassembly::new();
        reassembly.feed(&write_prefix(len)).unwrap();
        let piece = vec![7; 16_384];
        let mut left = len;
        while left > 0 {
            let n = left.min(piece.len());
            let (taken, message) = reassembly.feed(&piece[..n]).unwrap();
            assert_eq!(taken, n);
            left -= n;
            let whole = message.map(|piece| match piece {
                Piece::Message(message) => message.len(),
                Piece::Joined(message) => message.len(),
                Piece::Oversized { .. } => panic!("it is not too large"),
            });
            assert_eq!(whole, (left == 0).then_some(len));
            assert!(reassembly.buffered_bytes() <= len);
        }
        assert_eq!(reassembly.feed(&[]), Ok((0, None)));
        assert_eq!(reassembly.buffered_bytes(), 0);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            prop_assert_eq!(joined(&framed(&messages), &cuts), Ok(messages));
        }

        #[test]
        fn arbitrary_bytes_are_taken_or_refused(
            bytes in proptest::collection::vec(0u8..4, 0..200),
            cuts in proptest::collection::vec(any::<usize>(), 0..5),
        ) {
            prop_assert_eq!(joined(&bytes, &cuts), joined(&bytes, &[]));
        }
    }
}
