//! Against keys and ciphertexts of OpenSSL, which decrypts each of these to the message.

use proptest::prelude::*;

use super::*;
use crate::wire::der::{BIT_STRING, INTEGER};

/// The object identifier 1.2.840.113549.1.1.1, a whole value.
const RSA_ENCRYPTION: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";

const KEYS: [(&str, &str); 3] = [
    (
        include_str!("../../../tests/vectors/rsa_2048.pem"),
        "7a7848761b8261a4b00baea20a5cc32e5d4565388ad9ffa02a784e6721f340d9",
    ),
    // An exponent of 3, and a first digit of six bits.
    (
        include_str!("../../../tests/vectors/rsa_1030.pem"),
        "80167ab6f1e9137c9da1767c28afa7d0d187f6cde3b47204c5d402377e7c96e9",
    ),
    (
        include_str!("../../../tests/vectors/rsa_4096.pem"),
        "b007b72ab05163347ca28ae44e97f4b08b05dca7c36a67575d5360fde2151beb",
    ),
];

const SEED: [u8; 20] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];

#[test]
fn the_owner_of_the_key_reads_the_message() {
    for (pem, expected) in KEYS {
        let key = PublicKey::from_pem(pem.as_bytes()).unwrap();
        let encrypted = key.encrypt(b"s3cret\0", &SEED).unwrap();
        let hash = digest(&ring::digest::SHA256, &encrypted);
        let hash: String = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hash, expected);
    }
}

#[test]
fn a_message_is_as_long_as_the_key_allows() {
    let key = PublicKey::from_pem(KEYS[0].0.as_bytes()).unwrap();
    assert!(key.encrypt(&[7; 256 - 42], &SEED).is_some());
    assert!(key.encrypt(&[7; 256 - 41], &SEED).is_none());
}

#[test]
fn what_is_no_key_or_one_out_of_bounds_is_none() {
    let pem = |der: &[u8]| {
        let text = base64::encode(der);
        let text = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
        PublicKey::from_pem(text.as_bytes()).is_some()
    };
    let element = |tag: u8, content: &[u8]| {
        let len = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, len[0], len[1]], content].concat()
    };
    let key = |algorithm: &[u8], modulus: &[u8], exponent: &[u8]| {
        let numbers = [element(INTEGER, modulus), element(INTEGER, exponent)].concat();
        let numbers = [b"\0", &element(SEQUENCE, &numbers)[..]].concat();
        let algorithm = element(SEQUENCE, algorithm);
        let outer = [algorithm, element(BIT_STRING, &numbers)].concat();
        element(SEQUENCE, &outer)
    };
    let odd = |bytes: usize| [&[0], &vec![0xff; bytes][..]].concat();
    let good = key(RSA_ENCRYPTION, &odd(128), &[3]);
    assert!(pem(&good));
    for end in 0..good.len() {
        assert!(!pem(&good[..end]));
    }
    for (modulus, exponent) in [
        (odd(127), &[3][..]),
        (odd(513), &[3]),
        (odd(128), &[1]),
        (odd(128), &[0]),
        (odd(128), &[1, 0, 0, 0, 1]),
        // More work than anybody needs.
        (odd(128), &[1, 0, 3]),
        (odd(128), &[0x7f, 0xff, 0xff, 0xff]),
        ([&odd(128)[..], &[2]].concat(), &[3]),
        (vec![0xff; 128], &[3]),
        (vec![], &[3]),
    ] {
        assert!(!pem(&key(RSA_ENCRYPTION, &modulus, exponent)));
    }
    assert!(!pem(&key(b"\x06\x01\x2a", &odd(128), &[3])));
    assert!(PublicKey::from_pem(b"-----BEGIN PUBLIC KEY-----").is_none());
    assert!(PublicKey::from_pem(b"").is_none());
}

proptest! {
    #[test]
    fn powers_are_those_of_plain_arithmetic(
        modulus in any::<u64>().prop_map(|n| n | 1 << 57 | 1), base: u64, exponent in 1u32..2000,
    ) {
        let base = base % modulus;
        let (mut expected, wide) = (1, u128::from(modulus));
        for _ in 0..exponent {
            expected = expected * u128::from(base) % wide;
        }
        let power = Modulus::new(&modulus.to_be_bytes()).unwrap().power(&base.to_be_bytes(), exponent);
        prop_assert_eq!(power, u64::try_from(expected).unwrap().to_be_bytes());
    }

    #[test]
    fn no_text_of_a_server_does_harm(text in proptest::collection::vec(any::<u8>(), 0..80)) {
        let text = [b"-----BEGIN PUBLIC KEY-----", &text[..], b"-----"].concat();
        let _ = PublicKey::from_pem(&text);
        let pem = format!("-----BEGIN PUBLIC KEY-----{}-----", base64::encode(&text));
        let _ = PublicKey::from_pem(pem.as_bytes());
    }
}
