//! DER values (X.690), one after the other: as much as it takes to look into a certificate.

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
