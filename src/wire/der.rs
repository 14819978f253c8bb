//! DER values (X.690), one after the other: as much as it takes to look into a certificate.

use crate::base::civil;

/// The tag of an INTEGER.
pub const INTEGER: u8 = 0x02;
/// The tag of a BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// The tag of an OBJECT IDENTIFIER.
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// The tag of a SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// The tag of a certificate's version.
const VERSION: u8 = 0xa0;

/// A cursor over DER values.
pub struct Der<'a>(pub &'a [u8]);

impl<'a> Der<'a> {
    /// Tag and content of the next value.
    pub fn next_value(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let (bytes, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.len() > size_of::<u32>() {
                return None;
            }
            rest = behind;
            bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte))
        };
        let (content, behind) = rest.split_at_checked(length)?;
        self.0 = behind;
        Some((tag, content))
    }

    /// The digits of the next value, which must be a positive number, without the zeros before them.
    fn positive(&mut self) -> Option<&'a [u8]> {
        let digits = self.expect(INTEGER)?;
        let start = digits.iter().position(|byte| *byte != 0)?;
        digits.get(start..).filter(|_| digits[0] & 0x80 == 0)
    }

    /// The content of the next value, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.next_value()?;
        (found == tag).then_some(content)
    }
}

/// The parts of a certificate (RFC 5280, section 4.1) that are looked into here, each the content
/// of its SEQUENCE.
pub struct CertificateParts<'a> {
    /// Who signed it.
    pub issuer: &'a [u8],
    /// From when to when it is valid.
    pub validity: &'a [u8],
    /// Whose it is.
    pub subject: &'a [u8],
    /// The public key with its algorithm.
    pub key: &'a [u8],
}

impl<'a> CertificateParts<'a> {
    /// Reads a DER certificate; `None` when it is not one.
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).expect(SEQUENCE)?);
        let mut body = Der(certificate.expect(SEQUENCE)?);
        if body.0.first() == Some(&VERSION) {
            body.expect(VERSION)?;
        }
        body.expect(INTEGER)?;
        body.expect(SEQUENCE)?;
        Some(Self {
            issuer: body.expect(SEQUENCE)?,
            validity: body.expect(SEQUENCE)?,
            subject: body.expect(SEQUENCE)?,
            key: body.expect(SEQUENCE)?,
        })
    }

    /// Bits of its RSA key; `None` for a key of another kind.
    pub fn rsa_bits(&self) -> Option<usize> {
        let [modulus, _] = rsa_key(self.key)?;
        Some(modulus.len() * 8)
    }
}

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate ends, in seconds since 1970; `None` for what is none.
pub fn end_of(der: &[u8]) -> Option<u64> {
    let parts = CertificateParts::parse(der)?;
    let mut validity = Der(parts.validity);
    validity.next_value()?;
    seconds(validity.next_value()?)
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` in seconds since 1970.
fn seconds((tag, text): (u8, &[u8])) -> Option<u64> {
    let year_digits = match tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    };
    let (year, rest) = text.strip_suffix(b"Z")?.split_at_checked(year_digits)?;
    // RFC 5280 section 4.1.2.5.1: two digits from 50 on are of the last century.
    let year = match (tag, number(year)?) {
        (UTC_TIME, year @ 0..50) => 2000 + year,
        (UTC_TIME, year) => 1900 + year,
        (_, year) => year,
    };
    let mut pairs = rest.chunks(2).map(number);
    let mut next = || pairs.next().flatten();
    let (month, day) = (next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    Some(civil::days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second)
}

fn number(digits: &[u8]) -> Option<u64> {
    let mut digits = digits.iter();
    digits.try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(number * 10 + u64::from(digit))
    })
}

/// Modulus and exponent of a public key with its algorithm, without the zeros before them. `None` for a key of
/// another kind.
pub fn rsa_key(key: &[u8]) -> Option<[&[u8]; 2]> {
    let mut key = Der(key);
    if Der(key.expect(SEQUENCE)?).expect(OBJECT_IDENTIFIER)? != RSA {
        return None;
    }
    // The first byte counts unused bits.
    let key = key.expect(BIT_STRING)?.strip_prefix(&[0])?;
    let mut numbers = Der(Der(key).expect(SEQUENCE)?);
    Some([numbers.positive()?, numbers.positive()?])
}

/// rsaEncryption.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_of_certificates_are_seconds() {
        for (tag, text, want) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20240229235959Z", Some(1_709_251_199)),
            (GENERALIZED_TIME, "21000301000000Z", Some(4_107_542_400)),
            (UTC_TIME, "691231235959Z", None),
            (UTC_TIME, "240013000000Z", None),
            (UTC_TIME, "240101000000", None),
            (UTC_TIME, "2401010000Z", None),
            (UTC_TIME, "24010100000xZ", None),
            (0x0c, "240101000000Z", None),
        ] {
            assert_eq!(seconds((tag, text.as_bytes())), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = end_of(&bytes);
            let _ = seconds((UTC_TIME, &bytes));
            let _ = seconds((GENERALIZED_TIME, &bytes));
        }
    }
}
