//! Header lists to header blocks, without dynamic table and without Huffman code.

use super::table::STATIC;

/// Appends `fields` as a header block.
///
/// `table_shrunk`: the peer has lowered its table since the last block, which the block has to
/// acknowledge with a size update (RFC 7541 section 4.2). FieldList with a secret are marked so
/// that nobody on the way puts them into a table (section 7.1.3).
pub fn encode(fields: &[(&str, &[u8])], table_shrunk: bool, block: &mut Vec<u8>) {
    if table_shrunk {
        integer(0x20, 5, 0, block);
    }
    for &(name, value) in fields {
        let secret = SECRET_NAMES.contains(&name);
        let whole = STATIC
            .iter()
            .position(|&(n, v)| n == name && v.as_bytes() == value);
        if let (Some(index), false) = (whole, secret) {
            integer(0x80, 7, index + 1, block);
            continue;
        }
        let kind = if secret { 0x10 } else { 0x00 };
        match STATIC.iter().position(|&(n, _)| n == name) {
            Some(index) => integer(kind, 4, index + 1, block),
            None => {
                integer(kind, 4, 0, block);
                string(name.as_bytes(), block);
            }
        }
        string(value, block);
    }
}

/// FieldList whose value is a credential.
const SECRET_NAMES: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Section 5.1: `kind` are the bits above the prefix.
#[allow(clippy::cast_possible_truncation)] // Masked to seven bits, or below the prefix's mask.
fn integer(kind: u8, prefix: u32, value: usize, block: &mut Vec<u8>) {
    let mask = (1usize << prefix) - 1;
    if value < mask {
        block.push(kind | value as u8);
        return;
    }
    block.push(kind | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        block.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    block.push(rest as u8);
}

fn string(text: &[u8], block: &mut Vec<u8>) {
    integer(0, 7, text.len(), block);
    block.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::fields::FieldList;
    use crate::h2::hpack::Decoder;
    use proptest::prelude::*;

    fn encoded(fields: &[(&str, &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        encode(fields, false, &mut block);
        block
    }

    #[test]
    fn static_entries_take_one_byte() {
        let block = encoded(&[(":method", b"POST"), (":scheme", b"https"), (":path", b"/")]);
        assert_eq!(block, [0x83, 0x87, 0x84]);
    }

    #[test]
    fn authorization_is_never_indexed() {
        // Index 23 does not fit the prefix of four bits.
        assert_eq!(
            encoded(&[("authorization", b"x")]),
            [0x1f, 0x08, 0x01, b'x']
        );
        assert_eq!(encoded(&[("origin", b"y")])[0], 0x00);
    }

    #[test]
    fn shrunken_table_is_acknowledged_in_front() {
        let mut block = Vec::new();
        encode(&[(":method", b"GET")], true, &mut block);
        assert_eq!(block, [0x20, 0x82]);
    }

    #[test]
    fn long_values_take_several_length_bytes() {
        let long = vec![b'v'; 1337];
        assert_eq!(encoded(&[("x", &long)])[3..6], [0x7f, 0xba, 0x09]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            list in proptest::collection::vec(
                ("[a-z-]{1,20}", proptest::collection::vec(33u8..=255, 0..300)), 0..20)
        ) {
            let list: Vec<(&str, &[u8])> =
                list.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
            let mut fields = FieldList::new(1 << 20);
            Decoder::new().decode(&encoded(&list), &mut fields).unwrap();
            let decoded: Vec<(&[u8], &[u8])> = fields.iter().collect();
            let expected: Vec<(&[u8], &[u8])> =
                list.iter().map(|(n, v)| (n.as_bytes(), *v)).collect();
            prop_assert_eq!(decoded, expected);
        }
    }
}
