//! The part of protobuf that hoop's messages need: fields out of a slice, and strings and bytes
//! into a sink.
//!
//! A message is a sequence of tag and value; a tag is a varint, `number << 3 | wire type`. The
//! reader lends every value from the slice and leaves to its caller which numbers are known.

use super::sink::Sink;
use super::varint;
use std::fmt;

const WIRE_VARINT: u64 = 0;
const WIRE_FIXED64: u64 = 1;
const WIRE_BYTES: u64 = 2;
const WIRE_FIXED32: u64 = 5;

/// The highest field number that protobuf allows.
const NUMBER_MAX: u64 = (1 << 29) - 1;

/// Why bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtobufError {
    /// The bytes end within a field.
    Truncated,
    /// A tag or length that is no varint of 64 bits.
    Varint,
    /// A field number outside protobuf's range.
    Number,
    /// A group (deprecated, never sent by hoop) or an undefined wire type.
    WireType,
}

impl fmt::Display for ProtobufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "message cut short",
            Self::Varint => "number too long",
            Self::Number => "field number out of range",
            Self::WireType => "unknown wire type",
        })
    }
}

impl From<varint::VarintError> for ProtobufError {
    fn from(error: varint::VarintError) -> Self {
        match error {
            varint::VarintError::Truncated => Self::Truncated,
            varint::VarintError::TooLong => Self::Varint,
        }
    }
}

/// A field's value by wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// Integers, booleans, enums.
    Varint(u64),
    /// Eight bytes, little-endian.
    Fixed64(u64),
    /// Strings, bytes, messages, map entries.
    Bytes(&'a [u8]),
    /// Four bytes, little-endian.
    Fixed32(u32),
}

/// The fields of a message, `(number, value)` in wire order. Ends after the first error.
#[derive(Clone)]
pub struct FieldReader<'a> {
    rest: &'a [u8],
}

impl<'a> FieldReader<'a> {
    /// Reads the fields of `message`.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u32, FieldValue<'a>), ProtobufError> {
        let (tag, rest) = varint::read(self.rest)?;
        let number = match u32::try_from(tag >> 3) {
            Ok(number) if (1..=NUMBER_MAX).contains(&(tag >> 3)) => number,
            _ => return Err(ProtobufError::Number),
        };
        let (value, rest) = match tag & 7 {
            WIRE_VARINT => {
                let (value, rest) = varint::read(rest)?;
                (FieldValue::Varint(value), rest)
            }
            WIRE_FIXED64 => {
                let (bytes, rest) = rest.split_first_chunk().ok_or(ProtobufError::Truncated)?;
                (FieldValue::Fixed64(u64::from_le_bytes(*bytes)), rest)
            }
            WIRE_BYTES => {
                let (len, rest) = varint::read(rest)?;
                let len = usize::try_from(len).map_err(|_| ProtobufError::Truncated)?;
                let (bytes, rest) = rest.split_at_checked(len).ok_or(ProtobufError::Truncated)?;
                (FieldValue::Bytes(bytes), rest)
            }
            WIRE_FIXED32 => {
                let (bytes, rest) = rest.split_first_chunk().ok_or(ProtobufError::Truncated)?;
                (FieldValue::Fixed32(u32::from_le_bytes(*bytes)), rest)
            }
            _ => return Err(ProtobufError::WireType),
        };
        self.rest = rest;
        Ok((number, value))
    }
}

impl<'a> Iterator for FieldReader<'a> {
    type Item = Result<(u32, FieldValue<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// What a field of bytes, of which `beginning` is there, still lacks; `None` while its length is not
/// known, or for a field of another wire type.
pub fn bytes_missing(beginning: &[u8]) -> Option<u64> {
    let (tag, rest) = varint::read(beginning).ok()?;
    let (len, rest) = varint::read(rest).ok()?;
    (tag & 7 == WIRE_BYTES).then(|| len.saturating_sub(rest.len() as u64))
}

/// Writes the tag and the length of field `number`, whose `len` bytes the caller puts next.
pub fn write_bytes_head(sink: &mut dyn Sink, number: u32, len: usize) {
    write_bytes_tag(sink, number);
    varint::write(sink, len as u64);
}

/// Writes field `number` with a string, bytes or an encoded message.
pub fn write_bytes(sink: &mut dyn Sink, number: u32, bytes: &[u8]) {
    write_bytes_head(sink, number, bytes.len());
    sink.put(bytes);
}

/// Writes the tag and, in a varint of fixed width, the length of field `number`. `len` is below
/// [`varint::PADDED_LIMIT`].
pub fn write_bytes_head_padded(sink: &mut dyn Sink, number: u32, len: usize) {
    write_bytes_tag(sink, number);
    varint::write_padded(sink, len);
}

fn write_bytes_tag(sink: &mut dyn Sink, number: u32) {
    debug_assert!((1..=NUMBER_MAX).contains(&u64::from(number)));
    varint::write(sink, u64::from(number) << 3 | WIRE_BYTES);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(message: &[u8]) -> Vec<Result<(u32, FieldValue<'_>), ProtobufError>> {
        FieldReader::new(message).collect()
    }

    #[test]
    fn every_wire_type_is_read() {
        let message = [
            0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0x25, 2, 0, 0, 0,
        ];
        let expected = [
            (1, FieldValue::Varint(150)),
            (2, FieldValue::Fixed64(1)),
            (3, FieldValue::Bytes(b"hi")),
            (4, FieldValue::Fixed32(2)),
        ];
        assert_eq!(read(&message), expected.map(Ok));
    }

    #[test]
    fn groups_and_undefined_wire_types_are_refused() {
        for wire_type in [3, 4, 6, 7] {
            assert_eq!(read(&[0x08 | wire_type]), [Err(ProtobufError::WireType)]);
        }
    }

    #[test]
    fn field_numbers_outside_the_range_are_refused() {
        assert_eq!(read(&[0x00, 0x00]), [Err(ProtobufError::Number)]);
        assert_eq!(
            read(&[0x80, 0x80, 0x80, 0x80, 0x10, 0]),
            [Err(ProtobufError::Number)]
        );
        let highest = [0xf8, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(read(&highest), [Ok((536_870_911, FieldValue::Varint(0)))]);
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error_and_the_end() {
        let mut huge = vec![0x12];
        varint::write(&mut huge, u64::MAX);
        huge.push(0);
        assert_eq!(read(&huge), [Err(ProtobufError::Truncated)]);
        assert_eq!(read(&[0x12, 2, 0]), [Err(ProtobufError::Truncated)]);
    }

    #[test]
    fn a_padded_length_reads_like_a_short_one() {
        let mut message = Vec::new();
        write_bytes_head_padded(&mut message, 4, 3);
        message.extend(b"abc");
        assert_eq!(read(&message), [Ok((4, FieldValue::Bytes(b"abc")))]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_values_stay_inside(message: Vec<u8>) {
            let mut lent = 0;
            for (_, value) in FieldReader::new(&message).flatten() {
                if let FieldValue::Bytes(bytes) = value {
                    lent += bytes.len();
                }
            }
            prop_assert!(lent <= message.len());
        }

        #[test]
        fn written_fields_are_read(
            fields in proptest::collection::vec((1u32..5000, any::<Vec<u8>>()), 0..8),
        ) {
            let mut message = Vec::new();
            for (number, bytes) in &fields {
                write_bytes(&mut message, *number, bytes);
            }
            let expected: Vec<_> =
                fields.iter().map(|(number, bytes)| Ok((*number, FieldValue::Bytes(bytes)))).collect();
            prop_assert_eq!(read(&message), expected);
        }
    }
}
