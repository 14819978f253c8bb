//! HPACK, with the table's state from block to block.

use std::collections::VecDeque;

use hoop_lite::h2::FieldList;
use hoop_lite::h2::hpack::{Decoder, HpackError, encode, huffman};
use hoop_lite::limits::{H2_HEADER_FIELDS_MAX, H2_TABLE_BYTES_MAX};

use crate::input::Control;

/// A header list as a connection hands it out.
pub fn list_of(fields: &[(&[u8], &[u8])]) -> FieldList {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, 0, 7, text.len());
            block.extend_from_slice(text);
        }
    }
    let mut list = FieldList::new(1 << 20);
    Decoder::new()
        .decode(&block, &mut list)
        .expect("plain literals");
    list
}

/// Blocks, each behind its length in two bytes, through one decoder: lists and table keep their
/// bounds, whatever comes.
pub fn header_blocks(bytes: &[u8]) -> bool {
    let mut control = Control(bytes);
    let mut decoder = Decoder::new();
    let mut blocks = 0;
    while let Some(high) = control.next() {
        let len = usize::from(high) << 8 | usize::from(control.byte());
        let block = control.bytes(len);
        let mut fields = FieldList::new(1000);
        let result = decoder.decode(block, &mut fields);
        assert!(fields.iter().count() <= 1000 / 32);
        if result.is_err() {
            return false;
        }
        // An index behind the most entries that the table can hold is never known.
        let beyond = [0xff, 63];
        assert_eq!(decoder.decode(&beyond, &mut fields), Err(HpackError::Index));
        blocks += 1;
    }
    let mut text = Vec::new();
    if huffman::decode(bytes, &mut text).is_ok() {
        assert!(text.len() * 5 <= bytes.len() * 8);
    }
    blocks > 0
}

/// A table as RFC 7541 section 4 has it, kept apart from the decoder's.
#[derive(Default)]
struct Model {
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    size_max: usize,
}

impl Model {
    fn insert(&mut self, name: &[u8], value: &[u8]) {
        self.entries.push_front((name.to_vec(), value.to_vec()));
        self.evict();
    }

    fn evict(&mut self) {
        let cost = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 32;
        while self.entries.iter().map(cost).sum::<usize>() > self.size_max {
            self.entries.pop_back();
        }
    }
}

/// An encoder that uses all that HPACK offers, as the bytes ask for it: the decoder gives back the
/// lists. Our own encoder's blocks are read as well.
pub fn header_tables(bytes: &[u8]) -> bool {
    let mut control = Control(bytes);
    let mut model = Model {
        size_max: H2_TABLE_BYTES_MAX as usize,
        ..Model::default()
    };
    let mut decoder = Decoder::new();
    let mut decoded = false;
    while let Some(count) = control.next() {
        let (mut block, mut expected) = (Vec::new(), Vec::new());
        if count & 0x80 != 0 {
            model.size_max = usize::from(control.word()) % (H2_TABLE_BYTES_MAX as usize + 1);
            model.evict();
            integer(&mut block, 0x20, 5, model.size_max);
        }
        for _ in 0..usize::from(count & 0x7f).min(H2_HEADER_FIELDS_MAX) {
            let Some(how) = control.next() else { break };
            expected.push(field(how, &mut control, &mut model, &mut block));
        }
        let mut fields = FieldList::new(1 << 20);
        decoder.decode(&block, &mut fields).expect("a lawful block");
        let found: Vec<(&[u8], &[u8])> = fields.iter().collect();
        let expected: Vec<(&[u8], &[u8])> = expected
            .iter()
            .map(|(name, value)| (&name[..], trim(value)))
            .collect();
        assert_eq!(found, expected);
        ours_is_read(&expected);
        decoded |= !expected.is_empty();
    }
    decoded
}

/// One field in the representation that `how` asks for.
fn field(
    how: u8,
    control: &mut Control<'_>,
    model: &mut Model,
    block: &mut Vec<u8>,
) -> (Vec<u8>, Vec<u8>) {
    let known = usize::from(how >> 2);
    if how & 3 == 0
        && let Some((name, value)) = model.entries.get(known).cloned()
    {
        integer(block, 0x80, 7, 62 + known);
        return (name, value);
    }
    let (kind, prefix) = [(0x40, 6), (0x00, 4), (0x10, 4), (0x40, 6)][usize::from(how & 3)];
    let name = match model.entries.get(known) {
        Some((name, _)) if how & 0x40 != 0 => {
            let name = name.clone();
            integer(block, kind, prefix, 62 + known);
            name
        }
        _ => {
            let len = usize::from(control.byte() & 31);
            let name = control.bytes(len).to_vec();
            integer(block, kind, prefix, 0);
            integer(block, 0, 7, name.len());
            block.extend(&name);
            name
        }
    };
    let len = usize::from(control.word() & 0x3ff);
    let value = control.bytes(len).to_vec();
    integer(block, 0, 7, value.len());
    block.extend(&value);
    if kind == 0x40 {
        model.insert(&name, &value);
    }
    (name, value)
}

fn ours_is_read(fields: &[(&[u8], &[u8])]) {
    let texts: Vec<(String, &[u8])> = fields
        .iter()
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), *value))
        .collect();
    let texts: Vec<(&str, &[u8])> = texts.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let mut block = Vec::new();
    encode::encode(&texts, true, &mut block);
    let mut list = FieldList::new(1 << 20);
    Decoder::new()
        .decode(&block, &mut list)
        .expect("what we write can be read");
    let found: Vec<(&[u8], &[u8])> = list.iter().collect();
    let expected: Vec<(&[u8], &[u8])> = texts.iter().map(|(n, v)| (n.as_bytes(), *v)).collect();
    assert_eq!(found, expected);
}

/// Lists hand values out without the blanks around them.
fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value
        .iter()
        .position(|b| !is_blank(b))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|b| !is_blank(b))
        .map_or(start, |at| at + 1);
    &value[start..end]
}

fn integer(block: &mut Vec<u8>, kind: u8, prefix: u32, value: usize) {
    let mask = (1usize << prefix) - 1;
    let low = |value: usize| u8::try_from(value & 0xff).unwrap_or(0);
    if value < mask {
        return block.push(kind | low(value));
    }
    block.push(kind | low(mask));
    let mut rest = value - mask;
    while rest >= 128 {
        block.push(0x80 | low(rest & 0x7f));
        rest >>= 7;
    }
    block.push(low(rest));
}
