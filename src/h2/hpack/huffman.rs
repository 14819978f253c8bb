//! The Huffman code of HPACK (RFC 7541 appendix B), decoding only.
//!
//! The code is canonical: codes of one length are consecutive numbers in the order of their
//! symbols, and follow on those of the next shorter length. So the lengths say everything.

/// What is wrong with a Huffman-coded string; all are a decoding error (RFC 7541 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HuffmanError;

/// Appends the text that `coded` stands for; at most 8/5 of its length.
pub fn decode(coded: &[u8], text: &mut Vec<u8>) -> Result<(), HuffmanError> {
    let mut bytes = coded.iter();
    let mut bits: u64 = 0;
    let mut bits_len: u32 = 0;
    loop {
        while bits_len <= 56 {
            let Some(&byte) = bytes.next() else { break };
            bits = (bits << 8) | u64::from(byte);
            bits_len += 8;
        }
        let Some((symbol, len)) = first_symbol(bits, bits_len) else {
            return check_padding(bits, bits_len);
        };
        // The end-of-string symbol is the only one above 255 and must not be sent.
        text.push(u8::try_from(symbol).map_err(|_| HuffmanError)?);
        bits_len -= len;
        bits &= (1 << bits_len) - 1;
    }
}

/// The symbol at the head of the lowest `bits_len` bits, with the length of its code.
fn first_symbol(bits: u64, bits_len: u32) -> Option<(u16, u32)> {
    for len in CODE_LEN_MIN..=CODE_LEN_MAX.min(bits_len) {
        let group = &TABLE.groups[len as usize];
        let code = u32::try_from(bits >> (bits_len - len)).ok()?;
        let offset = code.checked_sub(group.first_code)?;
        if offset < group.count {
            let symbol = TABLE.symbols.get((group.first_symbol + offset) as usize)?;
            return Some((*symbol, len));
        }
    }
    None
}

/// What is left behind the last symbol: fewer than eight bits, all of them 1.
fn check_padding(bits: u64, bits_len: u32) -> Result<(), HuffmanError> {
    if bits_len < 8 && bits == (1 << bits_len) - 1 {
        Ok(())
    } else {
        Err(HuffmanError)
    }
}

const CODE_LEN_MIN: u32 = 5;
const CODE_LEN_MAX: u32 = 30;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Group {
    first_code: u32,
    count: u32,
    /// Where the symbols of this length start in [`Table::symbols`].
    first_symbol: u32,
}

struct Table {
    groups: [Group; CODE_LEN_MAX as usize + 1],
    /// All symbols by length, then by number.
    symbols: [u16; 257],
}

static TABLE: Table = build_table();

#[allow(clippy::cast_possible_truncation)] // Constant evaluation, symbols are at most 256.
const fn build_table() -> Table {
    let none = Group {
        first_code: 0,
        count: 0,
        first_symbol: 0,
    };
    let mut table = Table {
        groups: [none; CODE_LEN_MAX as usize + 1],
        symbols: [0; 257],
    };
    let (mut code, mut taken, mut len) = (0, 0, 1);
    while len <= CODE_LEN_MAX as usize {
        code <<= 1;
        table.groups[len].first_code = code;
        table.groups[len].first_symbol = taken as u32;
        let mut symbol = 0;
        while symbol < CODE_LENS.len() {
            if CODE_LENS[symbol] as usize == len {
                table.symbols[taken] = symbol as u16;
                table.groups[len].count += 1;
                taken += 1;
                code += 1;
            }
            symbol += 1;
        }
        len += 1;
    }
    table
}

/// Bits of the code of each byte, then of the end-of-string symbol.
#[rustfmt::skip]
const CODE_LENS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5,
    6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11,
    14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23,
    23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25,
    26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20,
    24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

/// The counterpart of [`decode`], for tests of it.
#[cfg(test)]
pub(crate) fn encode(text: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    let (mut bits, mut bits_len) = (0u64, 0u32);
    for &byte in text {
        let len = u32::from(CODE_LENS[usize::from(byte)]);
        let group = &TABLE.groups[len as usize];
        let first = group.first_symbol as usize;
        let of_len = &TABLE.symbols[first..first + group.count as usize];
        let offset = of_len.iter().position(|&s| s == u16::from(byte)).unwrap();
        bits = (bits << len) | u64::from(group.first_code + u32::try_from(offset).unwrap());
        bits_len += len;
        while bits_len >= 8 {
            bits_len -= 8;
            coded.push(u8::try_from((bits >> bits_len) & 0xff).unwrap());
        }
    }
    if bits_len > 0 {
        let padded = (bits << (8 - bits_len)) | ((1 << (8 - bits_len)) - 1);
        coded.push(u8::try_from(padded & 0xff).unwrap());
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, HuffmanError> {
        let mut text = Vec::new();
        decode(coded, &mut text).map(|()| text)
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (symbol, code, len) in [
            (0usize, 0x1ff8, 13),
            (48, 0x0, 5),
            (97, 0x3, 5),
            (33, 0x3f8, 10),
            (255, 0x03ff_ffee, 26),
            (22, 0x3fff_fffe, 30),
        ] {
            let group = &TABLE.groups[len];
            let first = group.first_symbol as usize;
            let offset = code - group.first_code;
            assert_eq!(
                TABLE.symbols[first + offset as usize] as usize,
                symbol,
                "code {code:#x} of {len} bits"
            );
        }
    }

    #[test]
    fn end_of_string_symbol_is_refused() {
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(HuffmanError));
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xfc]), Err(HuffmanError));
    }

    #[test]
    fn padding_must_be_short_and_of_ones() {
        // 'a' is 00011.
        assert_eq!(decoded(&[0b0001_1111]), Ok(b"a".to_vec()));
        assert_eq!(decoded(&[0b0001_1110]), Err(HuffmanError));
        assert_eq!(decoded(&[0b0001_1111, 0xff]), Err(HuffmanError));
        assert_eq!(decoded(&[0xff]), Err(HuffmanError));
        assert_eq!(decoded(&[]), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_text_survives(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decoded(&encode(&text)), Ok(text));
        }

        #[test]
        fn arbitrary_bytes_give_bounded_text(coded in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut text = Vec::new();
            let _ = decode(&coded, &mut text);
            prop_assert!(text.len() * 5 <= coded.len() * 8);
        }
    }
}
