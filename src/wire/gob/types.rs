//! Type definitions: gob's `wireType`, itself a struct in gob, and the table of those read.
//!
//! ```text
//! wireType   exactly one of: 0 array, 1 slice, 2 struct, 3 map, 4 5 6 marshals itself
//! array      0 CommonType, 1 element id, 2 length      slice   0 CommonType, 1 element id
//! map        0 CommonType, 1 key id, 2 element id      others  0 CommonType
//! struct     0 CommonType, 1 slice of fieldType
//! CommonType, fieldType    0 name, 1 id
//! ```
//!
//! The number of a field is sent as its distance from the one before, and a part that is zero is
//! absent, as in every struct.

use super::reader::Reader;
use super::{Error, TYPE_COUNT_MAX};

pub(super) const BOOL: i64 = 1;
pub(super) const INT: i64 = 2;
pub(super) const UINT: i64 = 3;
pub(super) const FLOAT: i64 = 4;
pub(super) const BYTES: i64 = 5;
pub(super) const TEXT: i64 = 6;
pub(super) const COMPLEX: i64 = 7;
pub(super) const INTERFACE: i64 = 8;
/// Ids below are gob's own.
const ID_MIN: i64 = 64;

/// The shape of a defined type; parts are named by type id.
pub(super) enum Type<'a> {
    Array { element: i64, len: usize },
    Slice { element: i64 },
    Struct { fields: Vec<(&'a [u8], i64)> },
    Map { key: i64, element: i64 },
    Opaque,
}

/// The types that the input has defined so far. A type's place in the table never changes.
#[derive(Default)]
pub(super) struct Types<'a> {
    defined: Vec<(i64, Type<'a>)>,
}

impl<'a> Types<'a> {
    /// The place of type `id`.
    pub(super) fn find(&self, id: i64) -> Result<usize, Error> {
        let place = self.defined.iter().position(|(other, _)| *other == id);
        place.ok_or(Error::Type)
    }

    /// The shape of the type at `place`.
    pub(super) fn at(&self, place: usize) -> Result<&Type<'a>, Error> {
        let shape = self.defined.get(place).map(|(_, shape)| shape);
        shape.ok_or(Error::Type)
    }

    /// Whether values of type `id` begin with a field number.
    pub(super) fn is_struct(&self, id: i64) -> Result<bool, Error> {
        if id <= INTERFACE {
            return Ok(false);
        }
        let shape = self.at(self.find(id)?)?;
        Ok(matches!(shape, Type::Struct { .. }))
    }

    /// Name and type of a field of the struct at `place`.
    pub(super) fn field(&self, place: usize, number: usize) -> Result<(&'a [u8], i64), Error> {
        match self.at(place)? {
            Type::Struct { fields } => fields.get(number).copied().ok_or(Error::Field),
            _ => Err(Error::Type),
        }
    }

    /// Adds the definition of `id`.
    pub(super) fn define(&mut self, id: i64, shape: Type<'a>) -> Result<(), Error> {
        if id < ID_MIN || self.find(id).is_ok() {
            return Err(Error::Type);
        }
        if self.defined.len() == TYPE_COUNT_MAX {
            return Err(Error::TooMany);
        }
        self.defined.push((id, shape));
        Ok(())
    }
}

/// The field numbers of a struct value, counted from 0.
#[derive(Default)]
pub(super) struct FieldNumbers {
    next: usize,
}

impl FieldNumbers {
    /// The number of the field that follows; `None` at the end of the struct.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<Option<usize>, Error> {
        let delta = usize::try_from(reader.uint()?).map_err(|_| Error::Field)?;
        self.next = self.next.checked_add(delta).ok_or(Error::Field)?;
        Ok(match delta {
            0 => None,
            _ => Some(self.next - 1),
        })
    }
}

/// Reads a `wireType`.
pub(super) fn read_definition<'a>(reader: &mut Reader<'a>) -> Result<Type<'a>, Error> {
    let mut numbers = FieldNumbers::default();
    let shape = match numbers.read(reader)? {
        Some(0) => {
            let [element, len] = read_parts(reader)?;
            let len = usize::try_from(len).map_err(|_| Error::Type)?;
            Type::Array { element, len }
        }
        Some(1) => {
            let [element, _] = read_parts(reader)?;
            Type::Slice { element }
        }
        Some(2) => Type::Struct {
            fields: read_struct(reader)?,
        },
        Some(3) => {
            let [key, element] = read_parts(reader)?;
            Type::Map { key, element }
        }
        Some(4..=6) => {
            read_parts(reader)?;
            Type::Opaque
        }
        _ => return Err(Error::Type),
    };
    match numbers.read(reader)? {
        None => Ok(shape),
        Some(_) => Err(Error::Type),
    }
}

/// The two numbers behind the CommonType of every kind but structs; their meaning differs.
fn read_parts(reader: &mut Reader<'_>) -> Result<[i64; 2], Error> {
    let mut parts = [0; 2];
    let mut numbers = FieldNumbers::default();
    while let Some(number) = numbers.read(reader)? {
        match number {
            0 => drop(read_name_and_id(reader)?),
            1 => parts[0] = reader.int()?,
            2 => parts[1] = reader.int()?,
            _ => return Err(Error::Field),
        }
    }
    Ok(parts)
}

fn read_struct<'a>(reader: &mut Reader<'a>) -> Result<Vec<(&'a [u8], i64)>, Error> {
    let mut fields = Vec::new();
    let mut numbers = FieldNumbers::default();
    while let Some(number) = numbers.read(reader)? {
        match number {
            0 => drop(read_name_and_id(reader)?),
            1 => {
                for _ in 0..reader.count()? {
                    reader.spend_node()?;
                    fields.push(read_name_and_id(reader)?);
                }
            }
            _ => return Err(Error::Field),
        }
    }
    Ok(fields)
}

/// A CommonType or a fieldType.
fn read_name_and_id<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], i64), Error> {
    let (mut name, mut id): (&[u8], i64) = (&[], 0);
    let mut numbers = FieldNumbers::default();
    while let Some(number) = numbers.read(reader)? {
        match number {
            0 => name = reader.bytes()?,
            1 => id = reader.int()?,
            _ => return Err(Error::Field),
        }
    }
    Ok((name, id))
}
