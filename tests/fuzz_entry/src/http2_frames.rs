//! Frames that are well-formed more often than not, so that the fuzzer gets behind the frame's head.

use crate::http2::check;
use crate::input::Control;
use crate::peer::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
};

/// The first half of the bytes says which frames come, the second how they are cut and what the
/// owner does meanwhile.
pub fn frames(bytes: &[u8]) -> bool {
    let (grammar, control) = bytes.split_at(bytes.len() / 2);
    let mut grammar = Control(grammar);
    let mut wire = Vec::new();
    while let Some(what) = grammar.next() {
        one(what, &mut grammar, &mut wire);
        if wire.len() > WIRE_BYTES_MAX {
            break;
        }
    }
    check(&mut Control(control), &wire)
}

/// Enough for the flow-control windows to run out, little enough to be quick byte by byte.
const WIRE_BYTES_MAX: usize = 300_000;

const FIELDS: &[(&str, &str)] = &[
    (":status", "200"),
    ("content-type", "application/grpc"),
    ("grpc-status", "0"),
    (":status", "100"),
    ("te", "trailers"),
    ("", ""),
    ("connection", "close"),
    ("x", "a longer value than the others have"),
    (":path", "/"),
    ("grpc-message", "100%25"),
];

fn one(what: u8, grammar: &mut Control<'_>, wire: &mut Vec<u8>) {
    let stream = *grammar.pick(&[1, 1, 1, 3, 5, 7, 0, 2, 9, 31]);
    let end = *grammar.pick(&[0, 0, 0, END_STREAM]);
    match what % 16 {
        0 | 1 => header_block(HEADERS, end, stream, grammar, wire),
        2 => frame(
            wire,
            HEADERS,
            END_HEADERS | end,
            stream,
            &block(&FIELDS[..2]),
        ),
        3 => frame(
            wire,
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &block(&FIELDS[2..3]),
        ),
        4 => frame(
            wire,
            DATA,
            end,
            stream,
            &vec![7; usize::from(grammar.word() & 0x3fff)],
        ),
        5 => {
            let len = usize::from(grammar.byte());
            frame(wire, DATA, end, stream, grammar.bytes(len));
        }
        6 => {
            let padding = grammar.byte();
            let len = usize::from(grammar.byte());
            let payload = [&[padding][..], grammar.bytes(len), &vec![0; padding.into()]].concat();
            let kind = *grammar.pick(&[DATA, HEADERS]);
            frame(wire, kind, PADDED | END_HEADERS | end, stream, &payload);
        }
        7 => frame(
            wire,
            WINDOW_UPDATE,
            0,
            stream,
            &grammar.number().to_be_bytes(),
        ),
        8 => {
            let increment = u32::from(grammar.word()) + 1;
            frame(wire, WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
        }
        9 => frame(
            wire,
            RST_STREAM,
            0,
            stream,
            &u32::from(grammar.byte() & 15).to_be_bytes(),
        ),
        10 => {
            let mut payload = Vec::new();
            for _ in 0..grammar.byte() & 7 {
                payload.extend(u16::from(grammar.byte() & 7).to_be_bytes());
                payload.extend(
                    grammar
                        .pick(&[0, 1, 100, 16_384, 65_535, 0x7fff_ffff, u32::MAX])
                        .to_be_bytes(),
                );
            }
            frame(wire, SETTINGS, end, 0, &payload);
        }
        11 => {
            for _ in 0..=grammar.byte() & 31 {
                frame(wire, PING, end, 0, &[what; 8]);
            }
        }
        12 => {
            let payload = [
                &u32::from(grammar.byte() & 15).to_be_bytes()[..],
                &[0; 4],
                grammar.bytes(4),
            ];
            frame(wire, GOAWAY, 0, 0, &payload.concat());
        }
        13 => {
            let kind = *grammar.pick(&[PRIORITY, PUSH_PROMISE, CONTINUATION, 0x10, 0xff]);
            let len = usize::from(grammar.byte() & 15);
            frame(wire, kind, end, stream, grammar.bytes(len));
        }
        14 => {
            let (kind, flags) = (grammar.byte() % 10, grammar.byte());
            let len = usize::from(grammar.byte() & 31);
            frame(wire, kind, flags, stream, grammar.bytes(len));
        }
        _ => wire.extend_from_slice(grammar.bytes(9)),
    }
}

/// A header list of known and unknown fields, plain or out of the table, in one frame or several.
fn header_block(kind: u8, end: u8, stream: u32, grammar: &mut Control<'_>, wire: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    for _ in 0..grammar.byte() & 15 {
        match grammar.byte() {
            0..=15 => bytes.push(grammar.byte()),
            16..=31 => {
                // Into the table, long enough for others to leave it.
                let len = grammar.byte() & 0x7f;
                bytes.extend([0x40, 1, b'x', len.min(126)]);
                bytes.extend(vec![b'v'; len.min(126).into()]);
            }
            indexed @ 32..=63 => bytes.push(0x80 | (62 - 32 + indexed)),
            _ => bytes.extend(block(&[*grammar.pick(FIELDS)])),
        }
    }
    let mut rest = &bytes[..];
    let mut kind = kind;
    let mut flags = end;
    loop {
        let cut = usize::from(grammar.byte() & 63);
        let (part, behind) = if cut == 0 {
            (rest, &[][..])
        } else {
            rest.split_at(cut.min(rest.len()))
        };
        if behind.is_empty() && grammar.byte() != 255 {
            flags |= END_HEADERS;
        }
        frame(wire, kind, flags, stream, part);
        if behind.is_empty() {
            return;
        }
        (rest, kind, flags) = (behind, CONTINUATION, 0);
    }
}
