//! Protobuf's base-128 varints: seven bits a byte, low bits first, high bit set on all but the
//! last byte.

use super::sink::Sink;
use std::fmt;

/// The longest encoding of 64 bits.
pub const LEN_MAX: usize = 10;
/// Bytes that [`write_padded`] writes.
pub const PADDED_LEN: usize = 4;
/// The first value that [`PADDED_LEN`] bytes cannot hold.
pub const PADDED_LIMIT: usize = 1 << (7 * PADDED_LEN);

/// Why there is no varint at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarintError {
    /// The bytes end within it.
    Truncated,
    /// Over [`LEN_MAX`] bytes, or a value over 64 bits.
    TooLong,
}

impl fmt::Display for VarintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "number cut short",
            Self::TooLong => "number too long",
        })
    }
}

/// The varint at the start of `bytes` and what follows it. Padded encodings are accepted.
pub fn read(bytes: &[u8]) -> Result<(u64, &[u8]), VarintError> {
    let mut value = 0;
    let mut rest = bytes;
    for place in 0..LEN_MAX {
        let Some((&byte, after)) = rest.split_first() else {
            return Err(VarintError::Truncated);
        };
        rest = after;
        // The tenth byte has room for the 64th bit only.
        if place == LEN_MAX - 1 && byte > 1 {
            return Err(VarintError::TooLong);
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
    Err(VarintError::TooLong)
}

/// Writes `value` in its shortest form.
pub fn write(sink: &mut dyn Sink, value: u64) {
    let mut bytes = [0; LEN_MAX];
    let mut left = value;
    let mut len = 0;
    for byte in &mut bytes {
        *byte = (left & 0x7f) as u8;
        left >>= 7;
        len += 1;
        if left == 0 {
            break;
        }
        *byte |= 0x80;
    }
    sink.put(bytes.get(..len).unwrap_or_default());
}

/// Writes `value` in exactly [`PADDED_LEN`] bytes, so that its place can be set aside before the
/// value is known. `value` is below [`PADDED_LIMIT`].
pub fn write_padded(sink: &mut dyn Sink, value: usize) {
    debug_assert!(value < PADDED_LIMIT);
    let mut bytes = [0; PADDED_LEN];
    let mut left = value as u64;
    for byte in &mut bytes {
        *byte = (left & 0x7f) as u8 | 0x80;
        left >>= 7;
    }
    bytes[PADDED_LEN - 1] &= 0x7f;
    sink.put(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values_encode_as_the_protobuf_guide_says() {
        let encoded = |value| {
            let mut out = Vec::new();
            write(&mut out, value);
            out
        };
        assert_eq!(encoded(0), [0]);
        assert_eq!(encoded(150), [0x96, 0x01]);
        assert_eq!(encoded(u64::MAX).len(), LEN_MAX);
    }

    #[test]
    fn too_long_and_cut_short_are_told_apart() {
        assert_eq!(read(&[]), Err(VarintError::Truncated));
        assert_eq!(read(&[0x80; 9]), Err(VarintError::Truncated));
        assert_eq!(read(&[0x80; 10]), Err(VarintError::TooLong));
        let mut overflow = [0xff; 10];
        overflow[9] = 2;
        assert_eq!(read(&overflow), Err(VarintError::TooLong));
        let mut zero_in_ten = [0x80; 10];
        zero_in_ten[9] = 0;
        assert_eq!(read(&zero_in_ten), Ok((0, [].as_slice())));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: u64, tail: Vec<u8>) {
            let mut out = Vec::new();
            write(&mut out, value);
            out.extend(&tail);
            prop_assert_eq!(read(&out), Ok((value, tail.as_slice())));
        }

        #[test]
        fn padded_is_read_as_the_same_value(value in 0..PADDED_LIMIT) {
            let mut out = Vec::new();
            write_padded(&mut out, value);
            prop_assert_eq!(out.len(), PADDED_LEN);
            prop_assert_eq!(read(&out), Ok((value as u64, [].as_slice())));
        }
    }
}
