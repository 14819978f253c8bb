//! Powers modulo a large odd number, in Montgomery's form.

use crate::base::wipe;

/// Digits of a number, the least significant first; wiped, since a password may have been in it.
#[derive(Clone)]
struct Number(Vec<u32>);

impl Drop for Number {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl Number {
    /// Of big-endian `bytes`, as many digits as they need.
    fn new(bytes: &[u8]) -> Self {
        let digits = bytes.rchunks(4).map(|piece| {
            let piece = piece.iter();
            piece.fold(0, |digit, byte| digit << 8 | u32::from(*byte))
        });
        Self(digits.collect())
    }

    /// `self += other * factor`; the owner has left room for what comes of it.
    fn add_product(&mut self, other: &[u32], factor: u32) {
        let mut carry = 0;
        for (place, digit) in self.0.iter_mut().enumerate() {
            let other = other.get(place).copied().unwrap_or_default();
            let sum = u64::from(*digit) + u64::from(other) * u64::from(factor) + carry;
            (*digit, carry) = (low(sum), sum >> 32);
        }
    }

    /// `self - other`, if that is not negative.
    fn reduce(&mut self, other: &[u32]) {
        let mut difference = self.clone();
        let mut borrow = 0;
        for (place, digit) in difference.0.iter_mut().enumerate() {
            let other = other.get(place).copied().unwrap_or_default();
            let result = u64::from(*digit).wrapping_sub(u64::from(other) + borrow);
            (*digit, borrow) = (low(result), result >> 63);
        }
        if borrow == 0 {
            std::mem::swap(self, &mut difference);
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn low(value: u64) -> u32 {
    value as u32
}

/// What powers are taken modulo of.
pub(super) struct Modulus {
    digits: Vec<u32>,
    /// -1 / the last digit, modulo 2^32.
    inverse: u32,
    /// R * R, where R = 2^(32 * digits): brings a number into Montgomery's form.
    square: Number,
}

impl Modulus {
    /// Of big-endian bytes, the first of which is not zero. `None`: it is even.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let digits = std::mem::take(&mut Number::new(bytes).0);
        let last = *digits.first().filter(|last| **last & 1 == 1)?;
        // Newton: each step doubles the number of right bits, of which there are three.
        let inverse = (0..4).fold(last, |inverse, _| {
            inverse.wrapping_mul(2_u32.wrapping_sub(last.wrapping_mul(inverse)))
        });
        let mut modulus = Self {
            inverse: inverse.wrapping_neg(),
            square: Number(vec![0; digits.len() + 1]),
            digits,
        };
        modulus.square = modulus.squared_radix();
        Some(modulus)
    }

    fn squared_radix(&self) -> Number {
        let radix_bits = 32 * self.digits.len();
        let top = self.digits.last().map_or(0, |top| top.leading_zeros());
        let bits = radix_bits - top as usize;
        // The largest power of two below the modulus, doubled until it is R.
        let mut power = self.square.clone();
        power.0[(bits - 1) / 32] = 1 << ((bits - 1) % 32);
        for _ in bits..=radix_bits {
            self.double(&mut power);
        }
        // R is the form of 1; R * R is that of R itself, two to the power of its bits.
        self.double(&mut power);
        for bit in (0..radix_bits.ilog2()).rev() {
            power = self.product(&power, &power);
            if radix_bits >> bit & 1 == 1 {
                self.double(&mut power);
            }
        }
        power
    }

    fn double(&self, number: &mut Number) {
        let same = number.clone();
        number.add_product(&same.0, 1);
        number.reduce(&self.digits);
    }

    /// `base ^ exponent`, in as many bytes as the base has; the exponent is at least 1.
    pub(super) fn power(&self, base: &[u8], exponent: u32) -> Vec<u8> {
        let base = self.product(&Number::new(base), &self.square);
        let mut power = base.clone();
        for bit in (0..exponent.ilog2()).rev() {
            power = self.product(&power, &power);
            if exponent >> bit & 1 == 1 {
                power = self.product(&power, &base);
            }
        }
        let power = self.product(&power, &Number(vec![1]));
        let bytes = power.0.iter().take(self.digits.len()).rev();
        let mut bytes: Vec<u8> = bytes.flat_map(|digit| digit.to_be_bytes()).collect();
        bytes.split_off(bytes.len() - self.bytes())
    }

    fn bytes(&self) -> usize {
        let top = self
            .digits
            .last()
            .map_or(0, |digit| digit.leading_zeros() / 8);
        self.digits.len() * 4 - top as usize
    }

    /// `left * right / R`.
    fn product(&self, left: &Number, right: &Number) -> Number {
        let size = self.digits.len();
        let mut sum = Number(vec![0; size + 2]);
        for place in 0..size {
            let digit = right.0.get(place).copied().unwrap_or_default();
            sum.add_product(&left.0, digit);
            let factor = sum.0[0].wrapping_mul(self.inverse);
            sum.add_product(&self.digits, factor);
            sum.0.copy_within(1.., 0);
            sum.0[size + 1] = 0;
        }
        sum.reduce(&self.digits);
        sum
    }
}
