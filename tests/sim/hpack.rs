//! As much HPACK as the simulated gateway needs: it writes with and without table, and reads what
//! the agent promises to send (literals and whole static entries).

use std::collections::VecDeque;

use crate::dice::Dice;

/// Static entries that a gRPC request can name.
const STATIC: &[(usize, &str, &str)] = &[
    (1, ":authority", ""),
    (2, ":method", "GET"),
    (3, ":method", "POST"),
    (4, ":path", "/"),
    (6, ":scheme", "http"),
    (7, ":scheme", "https"),
    (23, "authorization", ""),
    (31, "content-type", ""),
    (58, "user-agent", ""),
];

const STATIC_LEN: usize = 61;
const TABLE_MAX: usize = 4096;

/// The table that the agent's decoder must follow.
#[derive(Default)]
pub struct Encoder {
    table: VecDeque<(String, String)>,
}

impl Encoder {
    /// A header block; `status` is the HTTP status of a response's first block.
    pub fn block(&mut self, dice: &mut Dice, status: bool, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        if status {
            out.push(0x88);
        }
        for &(name, value) in fields {
            let known = self.table.iter().position(|(n, v)| n == name && v == value);
            match known {
                Some(at) if dice.chance(800) => integer(&mut out, 0x80, 7, STATIC_LEN + 1 + at),
                _ => self.literal(dice, name, value, &mut out),
            }
        }
        out
    }

    fn literal(&mut self, dice: &mut Dice, name: &str, value: &str, out: &mut Vec<u8>) {
        let is_indexed = dice.chance(500);
        out.push(if is_indexed {
            0x40
        } else {
            dice.pick(&[0x00, 0x10])
        });
        for text in [name, value] {
            integer(out, 0, 7, text.len());
            out.extend_from_slice(text.as_bytes());
        }
        if is_indexed {
            self.table.push_front((name.into(), value.into()));
            while self
                .table
                .iter()
                .map(|(n, v)| n.len() + v.len() + 32)
                .sum::<usize>()
                > TABLE_MAX
            {
                self.table.pop_back();
            }
        }
    }
}

fn integer(out: &mut Vec<u8>, kind: u8, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        return out.push(kind | u8::try_from(value).unwrap());
    }
    out.push(kind | u8::try_from(most).unwrap());
    let mut rest = value - most;
    while rest > 127 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

/// The fields of the agent's block.
pub fn decode(mut block: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while let Some(&first) = block.first() {
        match first {
            0x80.. => {
                let (name, value) = entry(take_integer(&mut block, 7));
                fields.push((name.to_owned(), value.to_owned()));
            }
            0x40..0x80 => panic!("the agent fills a table that it says it does not use"),
            0x20..0x40 => {
                take_integer(&mut block, 5);
            }
            _ => {
                let name = match take_integer(&mut block, 4) {
                    0 => take_text(&mut block),
                    index => entry(index).0.to_owned(),
                };
                let value = take_text(&mut block);
                assert!(
                    name != "authorization" || first & 0x10 != 0,
                    "the key may be put into a table"
                );
                fields.push((name, value));
            }
        }
    }
    fields
}

fn entry(index: usize) -> (&'static str, &'static str) {
    let found = STATIC.iter().find(|(known, ..)| *known == index);
    let &(_, name, value) = found.unwrap_or_else(|| panic!("static entry {index}"));
    (name, value)
}

fn take_integer(block: &mut &[u8], prefix: u32) -> usize {
    let mut next = || {
        let (first, rest) = block.split_first().expect("a header block ends too soon");
        *block = rest;
        usize::from(*first)
    };
    let most = (1 << prefix) - 1;
    let mut value = next() & most;
    if value < most {
        return value;
    }
    for shift in (0..28).step_by(7) {
        let byte = next();
        value += (byte & 127) << shift;
        if byte < 128 {
            return value;
        }
    }
    panic!("an integer without end");
}

fn take_text(block: &mut &[u8]) -> String {
    assert!(
        block.first().is_some_and(|byte| *byte < 128),
        "Huffman code"
    );
    let length = take_integer(block, 7);
    let (text, rest) = block.split_at(length);
    *block = rest;
    String::from_utf8(text.to_vec()).expect("header text")
}
