//! Numbers modulo the order of the curve, byte by byte.

use crate::base::wipe;

/// The order of the base point, the least significant byte first.
const ORDER: [i64; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Places that hold more than a byte while they are worked on.
pub(super) struct Wide([i64; 64]);

impl Drop for Wide {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl Wide {
    /// Of little-endian bytes, 64 at most.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut places = [0; 64];
        for (place, byte) in places.iter_mut().zip(bytes) {
            *place = i64::from(*byte);
        }
        Self(places)
    }

    /// `self += left * right`, of 32 bytes each.
    pub(super) fn add_product(&mut self, left: &[u8], right: &[u8]) {
        for (start, left) in left.iter().enumerate() {
            for (place, right) in self.0[start..].iter_mut().zip(right) {
                *place += i64::from(*left) * i64::from(*right);
            }
        }
    }

    /// The remainder. Takes the order away, as often as each high place says, without a look at what
    /// is in it.
    pub(super) fn reduced(mut self) -> [u8; 32] {
        let places = &mut self.0;
        for high in (32..64).rev() {
            let times = std::mem::take(&mut places[high]);
            let mut carry = 0;
            for (place, order) in places[high - 32..high - 12].iter_mut().zip(ORDER) {
                *place += carry - 16 * times * order;
                carry = (*place + 128) >> 8;
                *place -= carry << 8;
            }
            places[high - 12] += carry;
        }
        let times = places[31] >> 4;
        let mut carry = 0;
        for (place, order) in places.iter_mut().zip(ORDER) {
            *place += carry - times * order;
            carry = *place >> 8;
            *place &= 0xff;
        }
        let times = carry;
        let (mut bytes, mut carry) = ([0; 32], 0);
        for ((byte, place), order) in bytes.iter_mut().zip(places).zip(ORDER) {
            let value = *place + carry - times * order;
            carry = value >> 8;
            *byte = value.to_le_bytes()[0];
        }
        bytes
    }
}
