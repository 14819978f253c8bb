//! Standard base64 with padding, decoded as Go's library does it: line ends are passed over
//! anywhere, left-over bits of the last character are ignored, and an error names the byte.

use std::fmt;

/// The input is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Illegal {
    /// Offset in the input, as Go counts it.
    pub at: usize,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "illegal base64 data at input byte {}", self.at)
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD: u8 = b'=';

/// The bytes that `text` stands for. One allocation, so that wiping the result leaves no copy.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Illegal> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut group = 0;
    let mut sextets = 0;
    let mut rest = without_line_ends(text);
    while let Some((at, byte)) = rest.next() {
        match sextet(byte) {
            Some(bits) => {
                group = group << 6 | bits;
                sextets += 1;
            }
            None if byte == PAD && sextets >= 2 => {
                finish(&mut rest, text.len(), sextets)?;
                let bytes = (group << (6 * (4 - sextets))).to_be_bytes();
                out.extend(bytes.iter().skip(1).take(sextets - 1));
                return Ok(out);
            }
            None => return Err(Illegal { at }),
        }
        if sextets == 4 {
            out.extend_from_slice(group.to_be_bytes().get(1..).unwrap_or_default());
            (group, sextets) = (0, 0);
        }
    }
    if sextets != 0 {
        // Go counts back from the end, whatever line ends lie between.
        return Err(Illegal {
            at: text.len() - sextets,
        });
    }
    Ok(out)
}

/// Checks what follows the first padding character, up to the end of the text.
fn finish(
    rest: &mut dyn Iterator<Item = (usize, u8)>,
    end: usize,
    sextets: usize,
) -> Result<(), Illegal> {
    if sextets == 2 {
        match rest.next() {
            None => return Err(Illegal { at: end }),
            Some((_, PAD)) => {}
            // Go names the byte before the offending one, which may be a line end.
            Some((at, _)) => return Err(Illegal { at: at - 1 }),
        }
    }
    match rest.next() {
        None => Ok(()),
        Some((at, _)) => Err(Illegal { at }),
    }
}

fn without_line_ends(text: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    text.iter()
        .copied()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'))
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// `bytes` as base64 with padding, on one line.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or_default());
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let character = ALPHABET[(group >> (18 - 6 * place) & 0x3f) as usize];
            out.push(char::from(if place > chunk.len() {
                PAD
            } else {
                character
            }));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> Result<Vec<u8>, usize> {
        decode(text.as_bytes()).map_err(|illegal| illegal.at)
    }

    #[test]
    fn the_vectors_of_rfc_4648_hold_both_ways() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in vectors {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decoded(text), Ok(plain.as_bytes().to_vec()));
        }
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn line_ends_are_passed_over_anywhere() {
        assert_eq!(decoded("\nZm\r\n9vYg=\n=\r\n"), Ok(b"foob".to_vec()));
        assert_eq!(decoded("\r\n"), Ok(Vec::new()));
    }

    #[test]
    fn left_over_bits_are_ignored() {
        assert_eq!(decoded("Zh=="), Ok(b"f".to_vec()));
        assert_eq!(decoded("Zm9="), Ok(b"fo".to_vec()));
    }

    #[test]
    fn errors_name_the_byte_that_go_names() {
        // The table of Go's own tests, and cases with line ends worked out from its rules.
        let cases = [
            ("!!!!", 0),
            ("====", 0),
            ("x===", 1),
            ("=AAA", 0),
            ("A=AA", 1),
            ("AA=A", 2),
            ("AA==A", 4),
            ("AAA=AAAA", 4),
            ("AAAAA", 4),
            ("AAAAAA", 4),
            ("A=", 1),
            ("A==", 1),
            ("AA=", 3),
            ("AA==", usize::MAX),
            ("AAA=", usize::MAX),
            ("AAAA", usize::MAX),
            ("AAAAAA=", 7),
            ("YWJjZA=====", 8),
            ("A!\n", 1),
            ("A=\n", 1),
            ("AA=\nA", 3),
            ("AA==\n=", 5),
            ("AAA\n", 1),
            ("Zm9v Zm9v", 4),
            ("Zm9-", 3),
        ];
        for (text, at) in cases {
            let expected = if at == usize::MAX { None } else { Some(at) };
            assert_eq!(decoded(text).err(), expected, "{text:?}");
        }
        let message = Illegal { at: 4 }.to_string();
        assert_eq!(message, "illegal base64 data at input byte 4");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes: Vec<u8>) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Ok(bytes));
        }

        #[test]
        fn arbitrary_text_never_panics_and_errors_point_inside(
            text in proptest::collection::vec(
                prop_oneof![Just(b'='), Just(b'\n'), Just(b'A'), any::<u8>()], 0..20),
        ) {
            match decode(&text) {
                Ok(bytes) => prop_assert!(bytes.len() <= text.len() / 4 * 3),
                Err(illegal) => prop_assert!(illegal.at <= text.len()),
            }
        }
    }
}
