//! Points of the curve, and the field below them, in digits of 51 bits.

use std::hint::black_box;

const DIGIT: u64 = (1 << 51) - 1;

/// A number modulo 2^255 - 19; digits have some bits more than 51 between multiplications.
#[derive(Clone, Copy)]
struct Field([u64; 5]);

impl Field {
    const ZERO: Self = Self([0; 5]);
    const ONE: Self = Self([1, 0, 0, 0, 0]);
    /// Four times the modulus, so that a difference is never negative.
    const FOUR_TIMES: [u64; 5] = [4 * (DIGIT - 18), 4 * DIGIT, 4 * DIGIT, 4 * DIGIT, 4 * DIGIT];

    fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|place| self.0[place] + other.0[place]))
    }

    fn minus(self, other: Self) -> Self {
        let more = Self::FOUR_TIMES;
        Self(std::array::from_fn(|place| {
            self.0[place] + more[place] - other.0[place]
        }))
    }

    /// Digits below 2^54 come in, digits of 51 bits and a few more go out.
    fn times(self, other: Self) -> Self {
        let mut sums = [0_u128; 5];
        for (left, digit) in self.0.into_iter().enumerate() {
            for (right, other) in other.0.into_iter().enumerate() {
                let place = left + right;
                let wrap = if place < 5 { 1 } else { 19 };
                sums[place % 5] += u128::from(digit) * u128::from(other) * wrap;
            }
        }
        let mut carry = 0;
        for sum in &mut sums {
            *sum += carry;
            carry = *sum >> 51;
            *sum &= u128::from(DIGIT);
        }
        sums[0] += 19 * carry;
        sums[1] += sums[0] >> 51;
        sums[0] &= u128::from(DIGIT);
        Self(sums.map(low))
    }

    fn inverted(self) -> Self {
        let mut power = self;
        // The modulus less 2, whose bits are all 1 but these two.
        for bit in (0..254).rev() {
            power = power.times(power);
            if bit != 2 && bit != 4 {
                power = power.times(self);
            }
        }
        power
    }

    fn encoded(self) -> [u8; 32] {
        let mut digits = self.0;
        // What is left over above 2^255, and once more if the modulus still fits in.
        for extra in [0, 19] {
            let mut carry = extra;
            for digit in digits {
                carry = (digit + carry) >> 51;
            }
            let mut carry = 19 * carry;
            for digit in &mut digits {
                *digit += carry;
                carry = *digit >> 51;
                *digit &= DIGIT;
            }
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let (digit, shift) = (place * 8 / 51, place * 8 % 51);
            let next = digits.get(digit + 1).copied().unwrap_or_default();
            let bits = u128::from(digits[digit]) | u128::from(next) << 51;
            *byte = (bits >> shift).to_le_bytes()[0];
        }
        bytes
    }
}

#[allow(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn low(sum: u128) -> u64 {
    sum as u64
}

/// A point in extended coordinates: x = X/Z, y = Y/Z, T = XY/Z.
#[derive(Clone, Copy)]
pub(super) struct Point([Field; 4]);

const BASE: Point = Point([
    Field([
        0x0006_2d60_8f25_d51a,
        0x0004_12a4_b4f6_592a,
        0x0007_5b71_71a4_b31d,
        0x0001_ff60_5271_18fe,
        0x0002_1693_6d3c_d6e5,
    ]),
    Field([
        0x0006_6666_6666_6658,
        0x0004_cccc_cccc_cccc,
        0x0001_9999_9999_9999,
        0x0003_3333_3333_3333,
        0x0006_6666_6666_6666,
    ]),
    Field::ONE,
    Field([
        0x0006_8ab3_a5b7_dda3,
        0x0000_0eea_2a5e_adbb,
        0x0002_af8d_f483_c27e,
        0x0003_32b3_7527_4732,
        0x0006_7875_f0fd_78b7,
    ]),
]);

/// Twice the curve's d.
const TWICE_D: Field = Field([
    0x0006_9b94_26b2_f159,
    0x0003_5050_762a_dd7a,
    0x0003_cf44_c003_8052,
    0x0006_738c_c740_7977,
    0x0002_406d_9dc5_6dff,
]);

impl Point {
    /// The base point, as often as the little-endian `scalar` says. The same steps for each.
    pub(super) fn base_times(scalar: &[u8]) -> Self {
        let mut sum = Self([Field::ZERO, Field::ONE, Field::ONE, Field::ZERO]);
        for place in (0..scalar.len() * 8).rev() {
            sum = sum.plus(&sum);
            let more = sum.plus(&BASE);
            let bit = u64::from(scalar[place / 8] >> (place % 8) & 1);
            // Hidden from the compiler, which would make a branch of it.
            let mask = black_box(bit.wrapping_neg());
            for (digit, more) in sum.0.iter_mut().zip(more.0) {
                for (digit, more) in digit.0.iter_mut().zip(more.0) {
                    *digit ^= mask & (*digit ^ more);
                }
            }
        }
        sum
    }

    /// Holds for all pairs of points, equal ones too (Hisil and others, 2008).
    fn plus(&self, other: &Self) -> Self {
        let ([x1, y1, z1, t1], [x2, y2, z2, t2]) = (self.0, other.0);
        let a = y1.minus(x1).times(y2.minus(x2));
        let b = y1.plus(x1).times(y2.plus(x2));
        let c = t1.times(TWICE_D).times(t2);
        let d = z1.plus(z1).times(z2);
        let (e, f, g, h) = (b.minus(a), d.minus(c), d.plus(c), b.plus(a));
        Self([e.times(f), g.times(h), f.times(g), e.times(h)])
    }

    /// y, and the lowest bit of x.
    pub(super) fn encoded(&self) -> [u8; 32] {
        let [x, y, z, _] = self.0;
        let inverse = z.inverted();
        let mut bytes = y.times(inverse).encoded();
        bytes[31] |= x.times(inverse).encoded()[0] << 7;
        bytes
    }
}
