//! Go's `encoding/gob`, reading only: one value from the output of one fresh encoder.
//!
//! The input is a sequence of messages (length, then that many bytes). A message defines a type
//! (negative id) or holds the value (positive id). Because definitions travel along, a value is
//! decoded without knowing its Go type, into a tree whose leaves are lent from the input:
//!
//! ```text
//! input:  [len | -65 wireType] [len | -66 wireType] [len | 65 value]
//!                  types.rs           types.rs          decoder.rs
//! ```
//!
//! An interface value names its concrete type. If that type is not defined yet, the encoder cuts
//! the message there, inserts the definition, and goes on in another message; the cut can occur
//! nowhere else (`Decoder::read_type_sequence`).
//!
//! Promises: depth, node count and type count are bounded, and nothing is allocated by a claimed
//! length. Leaves picking fields, and telling text from other bytes, to its caller.

mod decoder;
mod reader;
mod types;
#[cfg(test)]
pub(crate) mod vectors;

use std::fmt;

/// Decodes the one value in `input`. Bytes that follow it are ignored, as Go does.
pub fn decode(input: &[u8]) -> Result<Value<'_>, Error> {
    if input.is_empty() {
        return Err(Error::Empty);
    }
    decoder::Decoder::new(input).decode()
}

/// Nesting of values; hoop's own go five deep.
pub const DEPTH_MAX: usize = 64;
/// Values, struct fields of definitions included. Honest inputs have some hundred, or one per
/// argument of a command; at the limit the tree takes less than 16 MiB.
pub const NODE_COUNT_MAX: usize = 1 << 16;
/// Types that one input may define. Hoop's need five; a lookup walks through all of them.
pub const TYPE_COUNT_MAX: usize = 128;

/// A decoded value. A leaf is lent from the input.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub enum Value<'a> {
    /// A boolean.
    Bool(bool),
    /// Any signed integer.
    Int(i64),
    /// Any unsigned integer.
    Uint(u64),
    /// Any float.
    Float(f64),
    /// `[]byte`, `json.RawMessage`.
    Bytes(&'a [u8]),
    /// A string; Go does not promise UTF-8.
    Text(&'a [u8]),
    /// Real and imaginary part.
    Complex(f64, f64),
    /// An interface without a value.
    Nil,
    /// An interface: the registered name of the concrete type, and the value.
    Interface(&'a [u8], Box<Value<'a>>),
    /// Name and value of the fields that are not zero, in the order of the type.
    Struct(Vec<(&'a [u8], Value<'a>)>),
    /// A slice or an array.
    List(Vec<Value<'a>>),
    /// Keys and values, in the order of the input.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// A type that marshals itself.
    Opaque(&'a [u8]),
}

/// Why bytes are not a value in gob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no input.
    Empty,
    /// The input, or a message in it, ends within a value.
    Truncated,
    /// A number of more than eight bytes.
    Number,
    /// A type that is not defined, or a definition that cannot be.
    Type,
    /// A struct field that its type does not have.
    Field,
    /// Something else than zero where a value that is no struct begins.
    Mark,
    /// An array whose length is not that of its type.
    ArrayLength,
    /// Deeper than [`DEPTH_MAX`].
    TooDeep,
    /// More than [`NODE_COUNT_MAX`] values or [`TYPE_COUNT_MAX`] types.
    TooMany,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "nothing to decode",
            Self::Truncated => "value cut short",
            Self::Number => "number too long",
            Self::Type => "type unknown or badly defined",
            Self::Field => "field out of range",
            Self::Mark => "corrupted data",
            Self::ArrayLength => "array of another length",
            Self::TooDeep => "nested too deeply",
            Self::TooMany => "too many values",
        })
    }
}
