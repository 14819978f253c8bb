//! BSON, as far as a login needs it: the elements of one document, one after the other, and documents
//! made of such.
//!
//! Promises never to panic, to read no deeper than the elements that are asked for, and to copy an
//! element that nobody looks at as it is. What is wrong inside such an element is not found here.

use crate::wire::sink::Sink;

/// The types that are read or written; others are passed over by their size.
pub mod kind {
    /// Eight bytes of floating point.
    pub const DOUBLE: u8 = 0x01;
    /// Text, behind its size, with a NUL at its end.
    pub const TEXT: u8 = 0x02;
    /// A document in the document.
    pub const DOCUMENT: u8 = 0x03;
    /// The same, of elements that are numbered.
    pub const ARRAY: u8 = 0x04;
    /// Bytes, behind their size and a sub-type.
    pub const BINARY: u8 = 0x05;
    /// One byte.
    pub const BOOLEAN: u8 = 0x08;
    /// A number of four bytes.
    pub const INT32: u8 = 0x10;
    /// A number of eight bytes.
    pub const INT64: u8 = 0x12;
}

/// Its length and the zero at its end.
const EMPTY_BYTES: usize = 5;

/// One element of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// See [`kind`].
    pub kind: u8,
    /// What it is called, without the NUL.
    pub name: &'a [u8],
    /// Its value, as it lies there.
    pub value: &'a [u8],
    /// All of it.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// It is text: its bytes.
    pub fn text(&self) -> Option<&'a [u8]> {
        let text = self.value.get(4..)?;
        (self.kind == kind::TEXT)
            .then_some(text)?
            .strip_suffix(b"\0")
    }

    /// It is binary.
    pub fn binary(&self) -> Option<&'a [u8]> {
        (self.kind == kind::BINARY).then_some(self.value)?.get(5..)
    }

    /// It is a document, or an array.
    pub fn document(&self) -> Option<Document<'a>> {
        let is_document = matches!(self.kind, kind::DOCUMENT | kind::ARRAY);
        is_document.then(|| Document::read(self.value))?
    }

    /// It is a number: the whole part of it.
    pub fn number(&self) -> Option<i64> {
        let eight = || <[u8; 8]>::try_from(self.value).ok();
        match self.kind {
            kind::INT32 => Some(i64::from(i32::from_le_bytes(self.value.try_into().ok()?))),
            kind::INT64 => Some(i64::from_le_bytes(eight()?)),
            #[allow(
                clippy::cast_possible_truncation,
                reason = "the cast stays within its type"
            )]
            kind::DOUBLE => Some(f64::from_le_bytes(eight()?) as i64),
            _ => None,
        }
    }

    /// It is true, or a number other than 0.
    pub fn is_true(&self) -> bool {
        match self.kind {
            kind::BOOLEAN => self.value == [1],
            _ => self.number().is_some_and(|number| number != 0),
        }
    }
}

/// A document, whose length and last byte are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'a>(&'a [u8]);

impl<'a> Document<'a> {
    /// The document at the beginning of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let len = length(bytes)?;
        let document = bytes.get(..len)?;
        (len >= EMPTY_BYTES && document.last() == Some(&0)).then_some(Self(document))
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Its elements, up to the first that can't be one.
    pub fn elements(&self) -> Elements<'a> {
        let end = self.0.len().saturating_sub(1);
        Elements(self.0.get(4..end).unwrap_or_default())
    }

    /// Its elements can be told from one another, to the last.
    pub fn is_sound(&self) -> bool {
        let mut elements = self.elements();
        while elements.next().is_some() {}
        elements.0.is_empty()
    }

    /// The element of this name.
    pub fn get(&self, name: &[u8]) -> Option<Element<'a>> {
        self.elements().find(|element| element.name == name)
    }

    /// The text of this name.
    pub fn text(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.get(name)?.text()
    }

    /// There is one of this name, and it is true.
    pub fn is_true(&self, name: &[u8]) -> bool {
        self.get(name).is_some_and(|element| element.is_true())
    }
}

/// The elements of a document.
pub struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (kind, rest) = self.0.split_first()?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (name, value) = (rest.get(..end)?, rest.get(end + 1..)?);
        let value = value.get(..size(*kind, value)?)?;
        let (whole, rest) = self.0.split_at_checked(1 + end + 1 + value.len())?;
        self.0 = rest;
        Some(Element {
            kind: *kind,
            name,
            value,
            whole,
        })
    }
}

/// How many bytes the value of this kind takes at the beginning of `bytes`.
fn size(kind: u8, bytes: &[u8]) -> Option<usize> {
    let counted = |fixed: usize| length(bytes)?.checked_add(fixed);
    let text_end = |from: usize| {
        let rest = bytes.get(from..)?;
        Some(from + rest.iter().position(|byte| *byte == 0)? + 1)
    };
    match kind {
        0x06 | 0x0a | 0x7f | 0xff => Some(0),
        0x08 => Some(1),
        0x10 => Some(4),
        0x01 | 0x09 | 0x11 | 0x12 => Some(8),
        0x07 => Some(12),
        0x13 => Some(16),
        0x02 | 0x0d | 0x0e => counted(4).filter(|size| *size > 4),
        0x03 | 0x04 | 0x0f => counted(0).filter(|size| *size >= EMPTY_BYTES),
        0x05 => counted(5),
        0x0b => text_end(text_end(0)?),
        0x0c => counted(16),
        _ => None,
    }
}

/// A length word that can be one.
fn length(bytes: &[u8]) -> Option<usize> {
    let word = bytes.first_chunk::<4>()?;
    usize::try_from(i32::from_le_bytes(*word)).ok()
}

/// A document that is being written.
pub struct Writer(Vec<u8>);

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// Without elements.
    pub fn new() -> Self {
        Self(vec![0; 4])
    }

    fn element(&mut self, kind: u8, name: &str, parts: &[&[u8]]) -> &mut Self {
        self.0.push(kind);
        self.0.put(name.as_bytes());
        self.0.push(0);
        parts.iter().for_each(|part| self.0.put(part));
        self
    }

    /// Text.
    pub fn text(&mut self, name: &str, text: &[u8]) -> &mut Self {
        let size = word(text.len() + 1);
        self.element(kind::TEXT, name, &[&size, text, b"\0"])
    }

    /// Bytes.
    pub fn binary(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        let size = word(bytes.len());
        self.element(kind::BINARY, name, &[&size, b"\0", bytes])
    }

    /// A document, or an array.
    pub fn nested(&mut self, kind: u8, name: &str, document: &[u8]) -> &mut Self {
        self.element(kind, name, &[document])
    }

    /// True or false.
    pub fn boolean(&mut self, name: &str, is_true: bool) -> &mut Self {
        self.element(kind::BOOLEAN, name, &[&[u8::from(is_true)]])
    }

    /// A number.
    pub fn int32(&mut self, name: &str, number: i32) -> &mut Self {
        self.element(kind::INT32, name, &[&number.to_le_bytes()])
    }

    /// An element of another document, under its own name.
    pub fn copy(&mut self, element: &Element<'_>) -> &mut Self {
        self.raw(element.whole)
    }

    /// The same, of which only the bytes are left; or nothing.
    pub fn raw(&mut self, element: &[u8]) -> &mut Self {
        self.0.put(element);
        self
    }

    /// The document.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.push(0);
        let len = word(bytes.len());
        if let Some(place) = bytes.get_mut(..4) {
            place.copy_from_slice(&len);
        }
        bytes
    }
}

/// All that is written here is bounded by what came in.
fn word(len: usize) -> [u8; 4] {
    i32::try_from(len).unwrap_or(i32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        let inner = Writer::new().int32("i", -3).finish();
        let mut writer = Writer::new();
        writer.text("hello", b"w\0rld").boolean("yes", true);
        writer.binary("payload", b"n,,n=a").int32("ok", 1);
        writer.nested(kind::DOCUMENT, "inner", &inner).finish()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = [&sample()[..], b"more"].concat();
        let document = Document::read(&bytes).unwrap();
        assert!(document.is_sound() && document.bytes().len() == bytes.len() - 4);
        assert_eq!(document.text(b"hello"), Some(&b"w\0rld"[..]));
        assert_eq!(
            document.get(b"payload").unwrap().binary(),
            Some(&b"n,,n=a"[..])
        );
        assert!(document.is_true(b"yes") && document.is_true(b"ok") && !document.is_true(b"no"));
        let inner = document.get(b"inner").unwrap().document().unwrap();
        assert_eq!(inner.get(b"i").unwrap().number(), Some(-3));
        assert_eq!(inner.text(b"i"), None);
        let mut copy = Writer::new();
        for element in document.elements() {
            copy.copy(&element);
        }
        assert_eq!(copy.finish(), document.bytes());
    }

    #[test]
    fn every_type_is_passed_over_by_its_size() {
        let values: [(u8, &[u8]); 20] = [
            (0x01, &[0; 8]),
            (0x02, b"\x02\0\0\0a\0"),
            (0x03, b"\x05\0\0\0\0"),
            (0x04, b"\x05\0\0\0\0"),
            (0x05, b"\x01\0\0\0\0x"),
            (0x06, b""),
            (0x07, &[7; 12]),
            (0x08, &[1]),
            (0x09, &[0; 8]),
            (0x0a, b""),
            (0x0b, b"pattern\0options\0"),
            (0x0c, b"\x02\0\0\0a\0abcdefghijkl"),
            (0x0d, b"\x01\0\0\0\0"),
            (0x0e, b"\x01\0\0\0\0"),
            (0x0f, b"\x06\0\0\0ab"),
            (0x10, &[0; 4]),
            (0x11, &[0; 8]),
            (0x12, &[0; 8]),
            (0x13, &[0; 16]),
            (0xff, b""),
        ];
        let mut writer = Writer::new();
        for (kind, value) in values {
            writer.element(kind, "name", &[value]);
        }
        let bytes = writer.boolean("last", true).finish();
        let document = Document::read(&bytes).unwrap();
        let read: Vec<(u8, &[u8])> = document.elements().map(|it| (it.kind, it.value)).collect();
        assert_eq!(read[..20], values);
        assert!(document.is_true(b"last") && document.is_sound());
    }

    #[test]
    fn numbers_are_read_in_each_of_their_types() {
        for (kind, value, want) in [
            (kind::DOUBLE, 1.0_f64.to_le_bytes().to_vec(), Some(1)),
            (kind::DOUBLE, f64::NAN.to_le_bytes().to_vec(), Some(0)),
            (kind::INT64, (-2_i64).to_le_bytes().to_vec(), Some(-2)),
            (kind::INT32, 3_i32.to_le_bytes().to_vec(), Some(3)),
            (kind::BOOLEAN, vec![1], None),
        ] {
            let element = Element {
                kind,
                name: b"",
                value: &value,
                whole: b"",
            };
            assert_eq!(element.number(), want);
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(document) = Document::read(&bytes) {
                let mut total = 5;
                for element in document.elements() {
                    total += element.whole.len();
                    let _ = (element.text(), element.binary(), element.number());
                    let _ = element.document().map(|inner| inner.is_sound());
                }
                prop_assert!(total <= document.bytes().len());
                prop_assert_eq!(document.is_sound(), total == document.bytes().len());
            }
        }

        #[test]
        fn what_is_cut_short_is_no_document(len in 0usize..200) {
            let bytes = sample();
            let len = len.min(bytes.len());
            prop_assert_eq!(Document::read(&bytes[..len]).is_some(), len == bytes.len());
        }
    }
}
