//! Vectors of RFC 7541 appendix C, and what a hostile block must not do.

use super::super::huffman;
use super::*;
use proptest::prelude::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| u8::try_from(char::from(b).to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn decode_with(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, HpackError> {
    let mut fields = FieldList::new(1 << 20);
    decoder.decode(block, &mut fields)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(fields.iter().map(|(n, v)| (text(n), text(v))).collect())
}

fn decode(block: &[u8]) -> Result<Vec<(String, String)>, HpackError> {
    decode_with(&mut Decoder::new(), block)
}

/// A block, its fields, and the accounted table size behind it.
type Vector<'a> = (&'a str, &'a [(&'a str, &'a str)], usize);

/// Decodes each block with one decoder and compares fields and accounted table size.
fn check(table_size: usize, steps: &[Vector<'_>]) {
    let mut decoder = Decoder::new();
    decoder.table.set_size_max(table_size);
    for (hex, expected, size) in steps {
        let fields = decode_with(&mut decoder, &bytes(hex)).unwrap();
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(fields, *expected);
        assert_eq!(decoder.table.size(), *size);
    }
}

#[test]
fn c1_integers() {
    let integer = |hex, prefix| {
        let block = bytes(hex);
        Reader { rest: &block }.integer(prefix)
    };
    assert_eq!(integer("0a", 5), Ok(10));
    assert_eq!(integer("1f9a0a", 5), Ok(1337));
    assert_eq!(integer("2a", 8), Ok(42));
}

#[test]
fn c2_single_fields() {
    check(
        4096,
        &[(
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            &[("custom-key", "custom-header")],
            55,
        )],
    );
    check(
        4096,
        &[(
            "040c 2f73 616d 706c 652f 7061 7468",
            &[(":path", "/sample/path")],
            0,
        )],
    );
    check(
        4096,
        &[(
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            &[("password", "secret")],
            0,
        )],
    );
    check(4096, &[("82", &[(":method", "GET")], 0)]);
}

const REQUEST_1: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
];
const REQUEST_2: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
    ("cache-control", "no-cache"),
];
const REQUEST_3: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
];

#[test]
fn c3_requests_without_huffman_code() {
    check(
        4096,
        &[
            (
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                REQUEST_1,
                57,
            ),
            ("8286 84be 5808 6e6f 2d63 6163 6865", REQUEST_2, 110),
            (
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                REQUEST_3,
                164,
            ),
        ],
    );
}

#[test]
fn c4_requests_with_huffman_code() {
    check(
        4096,
        &[
            ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUEST_1, 57),
            ("8286 84be 5886 a8eb 1064 9cbf", REQUEST_2, 110),
            (
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
                REQUEST_3,
                164,
            ),
        ],
    );
}

const RESPONSE_1: &[(&str, &str)] = &[
    (":status", "302"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
    ("location", "https://www.example.com"),
];
const RESPONSE_2: &[(&str, &str)] = &[
    (":status", "307"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
    ("location", "https://www.example.com"),
];
const RESPONSE_3: &[(&str, &str)] = &[
    (":status", "200"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
    ("location", "https://www.example.com"),
    ("content-encoding", "gzip"),
    (
        "set-cookie",
        "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ),
];

#[test]
fn c5_responses_without_huffman_code_with_eviction() {
    check(
        256,
        &[
            (
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
                 6c65 2e63 6f6d",
                RESPONSE_1,
                222,
            ),
            ("4803 3330 37c1 c0bf", RESPONSE_2, 222),
            (
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
                 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
                 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
                 3d31",
                RESPONSE_3,
                215,
            ),
        ],
    );
}

#[test]
fn c6_responses_with_huffman_code_with_eviction() {
    check(
        256,
        &[
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
                 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                RESPONSE_1,
                222,
            ),
            ("4883 640e ffc1 c0bf", RESPONSE_2, 222),
            (
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
                 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
                 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                RESPONSE_3,
                215,
            ),
        ],
    );
}

#[test]
fn size_updates_are_bounded_and_legal_only_in_front() {
    assert_eq!(decode(&bytes("20 82")).map(|f| f.len()), Ok(1));
    assert_eq!(decode(&bytes("20 3fe11f 82")).map(|f| f.len()), Ok(1));
    assert_eq!(decode(&bytes("20 20 20 82")), Err(HpackError::SizeUpdate));
    assert_eq!(decode(&bytes("82 20")), Err(HpackError::SizeUpdate));
    // 4097.
    assert_eq!(decode(&bytes("3fe21f")), Err(HpackError::SizeUpdate));
}

#[test]
fn unknown_indices_are_refused() {
    for hex in ["80", "be", "7e 00", "0f2f 00", "ff ff ff ff 07"] {
        assert_eq!(decode(&bytes(hex)), Err(HpackError::Index), "{hex}");
    }
}

#[test]
fn integers_out_of_range_are_refused() {
    for hex in [
        "ff ff ff ff ff 7f",
        "ff 80 80 80 80 80 00",
        "7f ff ff ff ff 10",
    ] {
        assert_eq!(decode(&bytes(hex)), Err(HpackError::Integer), "{hex}");
    }
}

#[test]
fn truncated_fields_are_refused() {
    let block = bytes("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572");
    for len in 1..block.len() {
        assert_eq!(decode(&block[..len]), Err(HpackError::Truncated), "{len}");
    }
    // A length that nothing backs allocates nothing.
    assert_eq!(
        decode(&bytes("00 7f ff ff ff 7f")),
        Err(HpackError::Truncated)
    );
}

#[test]
fn hpack_bomb_of_many_tiny_fields_is_refused() {
    let mut block = bytes("40 01 61");
    block.extend(bytes("7f 80 1e"));
    block.extend(vec![b'x'; 127 + 0x0f00]);
    block.extend(vec![0xbe; H2_HEADER_FIELDS_MAX]);
    let mut fields = FieldList::new(16_384);
    let mut decoder = Decoder::new();
    assert_eq!(
        decoder.decode(&block, &mut fields),
        Err(HpackError::FieldCount)
    );
    assert!(fields.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() <= 16_384);
}

#[test]
fn coded_name_and_value_are_read_one_after_the_other() {
    let (name, value) = (huffman::encode(b"grpc-status"), huffman::encode(b"16"));
    let mut block = vec![0, 0x80 | u8::try_from(name.len()).unwrap()];
    block.extend(&name);
    block.push(0x80 | u8::try_from(value.len()).unwrap());
    block.extend(&value);
    let expected = vec![("grpc-status".to_owned(), "16".to_owned())];
    assert_eq!(decode(&block), Ok(expected));
}

proptest! {
    #[test]
    fn arbitrary_blocks_stay_within_bounds(
        blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..6)
    ) {
        let mut decoder = Decoder::new();
        for block in blocks {
            let mut fields = FieldList::new(1000);
            let result = decoder.decode(&block, &mut fields);
            prop_assert!(decoder.table.size() <= TABLE_SIZE_MAX);
            prop_assert!(fields.iter().count() <= 1000 / 32);
            if result.is_err() { break; }
        }
    }
}
