//! MD5 (RFC 1321), which old password exchanges are made of. Not for anything new.
//!
//! Small on purpose: a login hashes a hundred bytes. ring has none, and the crate of that name costs
//! four times the bytes.

/// The digest of `parts`, one behind the other.
pub fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut block = [0; 64];
    let mut used = 0;
    let mut bits = 0_u64;
    for byte in parts.iter().copied().flatten() {
        block[used] = *byte;
        used += 1;
        bits += 8;
        if used == block.len() {
            absorb(&mut state, &block);
            used = 0;
        }
    }
    block[used] = 0x80;
    block[used + 1..].fill(0);
    if used >= LENGTH_AT {
        absorb(&mut state, &block);
        block.fill(0);
    }
    block[LENGTH_AT..].copy_from_slice(&bits.to_le_bytes());
    absorb(&mut state, &block);
    crate::base::wipe(&mut block);
    let mut digest = [0; 16];
    for (place, word) in digest.chunks_mut(4).zip(state) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// `bytes` in hexadecimal digits, as the exchanges write them.
pub fn hex(bytes: &[u8; 16]) -> [u8; 32] {
    let mut text = [0; 32];
    for (place, byte) in text.chunks_mut(2).zip(bytes) {
        for (digit, value) in place.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = b"0123456789abcdef"[usize::from(value)];
        }
    }
    text
}

fn absorb(state: &mut [u32; 4], block: &[u8; 64]) {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.chunks(4)) {
        *word = bytes
            .iter()
            .rev()
            .fold(0, |word, b| word << 8 | u32::from(*b));
    }
    let [mut a, mut b, mut c, mut d] = *state;
    for (step, sine) in SINES.iter().enumerate() {
        let (mixed, word) = match step / 16 {
            0 => ((b & c) | (!b & d), step),
            1 => ((d & b) | (!d & c), 5 * step + 1),
            2 => (b ^ c ^ d, 3 * step + 5),
            _ => (c ^ (b | !d), 7 * step),
        };
        let sum = a
            .wrapping_add(mixed)
            .wrapping_add(*sine)
            .wrapping_add(words[word % 16]);
        let turned = sum.rotate_left(TURNS[step / 16][step % 4]);
        (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
    }
    for (word, change) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(change);
    }
}

/// Where the last block holds the number of bits.
const LENGTH_AT: usize = 56;

/// Bits of rotation, by round and step.
const TURNS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// The integer part of 2^32 times the sine of 1 to 64, without its sign.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee,
    0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be,
    0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa,
    0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed,
    0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c,
    0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05,
    0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039,
    0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1,
    0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hexed(parts: &[&[u8]]) -> String {
        String::from_utf8(hex(&digest(parts)).to_vec()).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_1321_hold() {
        let vectors = [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ];
        for (text, digest) in vectors {
            assert_eq!(hexed(&[text.as_bytes()]), digest);
        }
    }

    #[test]
    fn parts_count_as_one_text_and_every_length_is_padded() {
        let text = [b'x'; 130];
        for len in 0..text.len() {
            let (first, rest) = text[..len].split_at(len / 3);
            assert_eq!(digest(&[first, rest]), digest(&[&text[..len]]), "{len}");
        }
        assert_eq!(hexed(&[&text[..56]]), "668a72d5ba17f08e62dabcafad6db14b");
        assert_eq!(hexed(&[&text[..64]]), "c1bb4f81d892b2d57947682aeb252456");
    }
}
