//! Header blocks to header lists (RFC 7541 sections 3 and 6).

use std::fmt;

use super::{huffman, table::HeaderTable};
use crate::h2::fields::FieldList;
use crate::limits::{H2_HEADER_FIELDS_MAX, H2_TABLE_BYTES_MAX, H2_TABLE_UPDATES_MAX};

/// Why a header block cannot be decoded. The table is out of step from there on, so the
/// connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpackError {
    /// The block ends within a field.
    Truncated,
    /// An integer above 2^32-1 or in too many bytes.
    Integer,
    /// An index behind both tables, or 0.
    Index,
    /// A string that is not Huffman-coded text.
    Huffman,
    /// A table size update above the allowed size, behind a field, or one too many.
    SizeUpdate,
    /// More fields than [`H2_HEADER_FIELDS_MAX`]: not malformed, but not to be afforded.
    FieldCount,
}

impl HpackError {
    /// The words for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "header block ends within a field",
            Self::Integer => "header block with an integer out of range",
            Self::Index => "header block with an unknown index",
            Self::Huffman => "header block with a bad Huffman code",
            Self::SizeUpdate => "header block with a bad table size update",
            Self::FieldCount => "header block with too many fields",
        }
    }
}

impl fmt::Display for HpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decoder of one connection: every block must pass through it, in order.
pub struct Decoder {
    table: HeaderTable,
    /// The field under way: its name, then its value. Empty between blocks.
    scratch: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder with an empty table of [`H2_TABLE_BYTES_MAX`].
    pub fn new() -> Self {
        Self {
            table: HeaderTable::new(TABLE_SIZE_MAX),
            scratch: Vec::new(),
        }
    }

    /// Decodes one whole block and appends its fields to `fields`, which keeps its own bound.
    pub fn decode(&mut self, block: &[u8], fields: &mut FieldList) -> Result<(), HpackError> {
        let mut reader = Reader { rest: block };
        let mut updates = 0;
        let mut count = 0;
        while let Some(&first) = reader.rest.first() {
            if first & 0xe0 == 0x20 {
                updates += 1;
                let size = reader.integer(5)?;
                if count > 0 || updates > H2_TABLE_UPDATES_MAX || size > TABLE_SIZE_MAX {
                    return Err(HpackError::SizeUpdate);
                }
                self.table.set_size_max(size);
                continue;
            }
            count += 1;
            if count > H2_HEADER_FIELDS_MAX {
                return Err(HpackError::FieldCount);
            }
            self.field(first, &mut reader, fields)?;
        }
        self.scratch = Vec::new();
        Ok(())
    }

    fn field(
        &mut self,
        first: u8,
        reader: &mut Reader<'_>,
        fields: &mut FieldList,
    ) -> Result<(), HpackError> {
        if first & 0x80 != 0 {
            let index = reader.integer(7)?;
            let (name, value) = self.table.get(index).ok_or(HpackError::Index)?;
            fields.push(name, value);
            return Ok(());
        }
        let indexed = first & 0x40 != 0;
        let index = reader.integer(if indexed { 6 } else { 4 })?;
        self.scratch.clear();
        if index == 0 {
            reader.string(&mut self.scratch)?;
        } else {
            let (name, _) = self.table.get(index).ok_or(HpackError::Index)?;
            self.scratch.extend_from_slice(name);
        }
        let name_len = self.scratch.len();
        reader.string(&mut self.scratch)?;
        let (name, value) = self.scratch.split_at(name_len);
        fields.push(name, value);
        if indexed {
            self.table.insert(name, value);
        }
        Ok(())
    }
}

const TABLE_SIZE_MAX: usize = H2_TABLE_BYTES_MAX as usize;

/// What is left of a block.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, HpackError> {
        let (&first, rest) = self.rest.split_first().ok_or(HpackError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    /// An integer whose first part is the low `prefix` bits of the next byte (section 5.1).
    fn integer(&mut self, prefix: u32) -> Result<usize, HpackError> {
        let mask = (1u32 << prefix) - 1;
        let low = u32::from(self.byte()?) & mask;
        if low < mask {
            return Ok(low as usize);
        }
        let mut value = u64::from(low);
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let value = u32::try_from(value).map_err(|_| HpackError::Integer)?;
                return Ok(value as usize);
            }
        }
        Err(HpackError::Integer)
    }

    /// Appends a string literal (section 5.2) to `text`.
    fn string(&mut self, text: &mut Vec<u8>) -> Result<(), HpackError> {
        let coded = *self.rest.first().ok_or(HpackError::Truncated)? & 0x80 != 0;
        let len = self.integer(7)?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(HpackError::Truncated)?;
        self.rest = rest;
        if coded {
            huffman::decode(bytes, text).map_err(|_| HpackError::Huffman)
        } else {
            text.extend_from_slice(bytes);
            Ok(())
        }
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
