//! SASLprep (RFC 4013) of a password, without the tables that would cost 144 kB.
//!
//! Done: other spaces become a blank, what maps to nothing is dropped, and a text that SASLprep would
//! refuse is used as it is, all as libpq and the server do it. Not done: normalisation (NFKC). A
//! password that it changes must be stored in its normalised form.

use crate::base::Secret;

/// The password as SCRAM wants it.
pub fn prepare(password: &[u8]) -> Secret {
    match std::str::from_utf8(password) {
        Ok(text) if !text.is_ascii() => prepared(text),
        _ => None,
    }
    .unwrap_or_else(|| Secret::new(password))
}

/// `None`: SASLprep refuses the text.
fn prepared(text: &str) -> Option<Secret> {
    // Never longer than the original, so that growing leaves no copy behind.
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if is_in(c, SPACES) => out.push(' '),
            _ if is_in(c, NOTHING) => {}
            _ => out.push(c),
        }
    }
    let is_refused = out.is_empty() || out.chars().any(is_prohibited) || mixes_directions(&out);
    let out = Secret::new(out.into_bytes());
    (!is_refused).then_some(out)
}

fn is_in(c: char, ranges: &[(u32, u32)]) -> bool {
    let code = u32::from(c);
    let mut ranges = ranges.iter();
    ranges.any(|(first, last)| (*first..=*last).contains(&code))
}

fn is_prohibited(c: char) -> bool {
    c.is_control() || u32::from(c) & 0xfffe == 0xfffe || is_in(c, PROHIBITED)
}

/// RFC 3454, section 6: a text with letters that are written from right to left has no others, and
/// begins and ends with one.
fn mixes_directions(text: &str) -> bool {
    let is_right = |c: char| is_in(c, RIGHT_TO_LEFT);
    let is_left = |c: char| c.is_ascii_alphabetic() || (u32::from(c) >= 0xc0 && !is_right(c));
    let mut ends = [text.chars().next(), text.chars().next_back()].into_iter();
    text.chars().any(is_right)
        && (text.chars().any(is_left) || !ends.all(|end| end.is_some_and(is_right)))
}

/// RFC 3454, C.1.2.
const SPACES: &[(u32, u32)] = &[
    (0xa0, 0xa0),
    (0x1680, 0x1680),
    (0x2000, 0x200b),
    (0x202f, 0x202f),
    (0x205f, 0x205f),
    (0x3000, 0x3000),
];

/// RFC 3454, B.1.
const NOTHING: &[(u32, u32)] = &[
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x1806, 0x1806),
    (0x180b, 0x180d),
    (0x200c, 0x200d),
    (0x2060, 0x2060),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
];

/// RFC 3454, C.2 to C.9, and of what Unicode 3.2 had not assigned (A.1) the parts that people type:
/// signs added to the Latin, Cyrillic and symbol blocks, and everything beyond the planes of old.
const PROHIBITED: &[(u32, u32)] = &[
    (0x221, 0x221),
    (0x234, 0x24f),
    (0x340, 0x341),
    (0x6dd, 0x6dd),
    (0x70f, 0x70f),
    (0x180e, 0x180e),
    (0x1e9c, 0x1e9f),
    (0x200e, 0x200f),
    (0x2028, 0x202e),
    (0x2061, 0x206f),
    (0x20b2, 0x20cf),
    (0x23cf, 0x23ff),
    (0x2614, 0x2615),
    (0x2618, 0x2618),
    (0x267e, 0x267f),
    (0x268a, 0x2700),
    (0x2705, 0x2705),
    (0x270a, 0x270b),
    (0x2728, 0x2728),
    (0x274c, 0x274c),
    (0x274e, 0x274e),
    (0x2753, 0x2755),
    (0x2795, 0x2797),
    (0x27b0, 0x27b0),
    (0x2b00, 0x2e7f),
    (0x2ff0, 0x2ffb),
    (0xe000, 0xf8ff),
    (0xfff0, 0xfffd),
    (0x1d173, 0x1d17a),
    (0x1d800, 0x1ffff),
    (0x2a6d7, 0x2f7ff),
    (0x2fa1e, 0x0010_ffff),
];

/// RFC 3454, D.1, by block.
const RIGHT_TO_LEFT: &[(u32, u32)] = &[
    (0x5be, 0x5be),
    (0x5c0, 0x5c0),
    (0x5c3, 0x5c3),
    (0x5d0, 0x5f4),
    (0x61b, 0x64a),
    (0x66d, 0x66f),
    (0x671, 0x6d5),
    (0x6e5, 0x6e6),
    (0x6fa, 0x710),
    (0x712, 0x72c),
    (0x780, 0x7b1),
    (0x200f, 0x200f),
    (0xfb1d, 0xfb1d),
    (0xfb1f, 0xfb28),
    (0xfb2a, 0xfd3d),
    (0xfd50, 0xfdfc),
    (0xfe70, 0xfefc),
];
