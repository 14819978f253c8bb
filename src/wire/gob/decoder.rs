//! Values by the shapes of their types.

use super::reader::Reader;
use super::types::{self, FieldNumbers, Type, Types};
use super::{DEPTH_MAX, Error, Value};

/// Decodes one value; an error ends it.
pub(super) struct Decoder<'a> {
    reader: Reader<'a>,
    types: Types<'a>,
    depth: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(input),
            types: Types::default(),
            depth: 0,
        }
    }

    pub(super) fn decode(mut self) -> Result<Value<'a>, Error> {
        let id = self.read_type_sequence()?;
        self.read_marked(id)
    }

    /// The id of the type of the value that follows, after any definitions before it.
    ///
    /// Definitions in front of an interface's value were written as messages of their own: the
    /// part of the value before them was cut off as a message, too. What is left of the current
    /// message after a definition is the start of the next piece, behind its length.
    fn read_type_sequence(&mut self) -> Result<i64, Error> {
        loop {
            if self.reader.message_is_spent() {
                self.reader.open_message()?;
            }
            let id = self.reader.int()?;
            if id >= 0 {
                return Ok(id);
            }
            let shape = types::read_definition(&mut self.reader)?;
            self.types
                .define(id.checked_neg().ok_or(Error::Type)?, shape)?;
            if !self.reader.message_is_spent() {
                self.reader.uint()?;
            }
        }
    }

    /// A value that is no part of another one: all but structs have a zero in front.
    fn read_marked(&mut self, id: i64) -> Result<Value<'a>, Error> {
        if !self.types.is_struct(id)? && self.reader.uint()? != 0 {
            return Err(Error::Mark);
        }
        self.read_value(id)
    }

    fn read_value(&mut self, id: i64) -> Result<Value<'a>, Error> {
        self.reader.spend_node()?;
        Ok(match id {
            types::BOOL => Value::Bool(self.reader.uint()? != 0),
            types::INT => Value::Int(self.reader.int()?),
            types::UINT => Value::Uint(self.reader.uint()?),
            types::FLOAT => Value::Float(self.reader.float()?),
            types::BYTES => Value::Bytes(self.reader.bytes()?),
            types::TEXT => Value::Text(self.reader.bytes()?),
            types::COMPLEX => Value::Complex(self.reader.float()?, self.reader.float()?),
            _ => return self.read_nested(id),
        })
    }

    fn read_nested(&mut self, id: i64) -> Result<Value<'a>, Error> {
        if self.depth == DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        let value = if id == types::INTERFACE {
            self.read_interface()
        } else {
            let place = self.types.find(id)?;
            self.read_defined(place)
        };
        self.depth -= 1;
        value
    }

    fn read_interface(&mut self) -> Result<Value<'a>, Error> {
        let name = self.reader.bytes()?;
        if name.is_empty() {
            return Ok(Value::Nil);
        }
        let id = self.read_type_sequence()?;
        // The length of the value, or only of its first piece: of no use to us.
        self.reader.uint()?;
        let value = self.read_marked(id)?;
        Ok(Value::Interface(name, Box::new(value)))
    }

    fn read_defined(&mut self, place: usize) -> Result<Value<'a>, Error> {
        match *self.types.at(place)? {
            Type::Array { element, len } => {
                let count = self.reader.count()?;
                if count != len {
                    return Err(Error::ArrayLength);
                }
                self.read_list(count, element)
            }
            Type::Slice { element } => {
                let count = self.reader.count()?;
                self.read_list(count, element)
            }
            Type::Struct { .. } => self.read_struct(place),
            Type::Map { key, element } => self.read_map(key, element),
            Type::Opaque => Ok(Value::Opaque(self.reader.bytes()?)),
        }
    }

    fn read_list(&mut self, count: usize, element: i64) -> Result<Value<'a>, Error> {
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.read_value(element)?);
        }
        Ok(Value::List(values))
    }

    fn read_map(&mut self, key: i64, element: i64) -> Result<Value<'a>, Error> {
        let mut pairs = Vec::new();
        for _ in 0..self.reader.count()? {
            pairs.push((self.read_value(key)?, self.read_value(element)?));
        }
        Ok(Value::Map(pairs))
    }

    fn read_struct(&mut self, place: usize) -> Result<Value<'a>, Error> {
        let mut fields = Vec::new();
        let mut numbers = FieldNumbers::default();
        while let Some(number) = numbers.read(&mut self.reader)? {
            let (name, id) = self.types.field(place, number)?;
            fields.push((name, self.read_value(id)?));
        }
        Ok(Value::Struct(fields))
    }
}
