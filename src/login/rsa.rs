//! RSA with a public key (RFC 8017: RSAES-OAEP with SHA-1), as MySQL wants a password that comes
//! without TLS.
//!
//! One encryption a login, so small before fast: Montgomery multiplication in 32-bit digits, a
//! millisecond for a key of 4,096 bits. The key is public, and what it encrypts is masked by a seed
//! of ours before the first multiplication; all that could tell it is wiped.

mod number;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::base::{Secret, wipe};
use crate::limits;
use crate::wire::base64;
use crate::wire::der::{Der, SEQUENCE, rsa_key};
use number::Modulus;

/// Who has the other half can read what it encrypts.
pub struct PublicKey {
    modulus: Modulus,
    exponent: u32,
    /// Of the modulus, and of everything encrypted.
    bytes: usize,
}

const HASH_BYTES: usize = 20;

impl PublicKey {
    /// The key of a PEM text (`PUBLIC KEY`). `None`: it is none, or its size is out of bounds.
    pub fn from_pem(text: &[u8]) -> Option<Self> {
        let inner = behind(text, b"-----BEGIN PUBLIC KEY-----")?;
        let end = inner.windows(5).position(|window| window == b"-----")?;
        let der = base64::decode(&inner[..end]).ok()?;
        let [modulus, exponent] = rsa_key(Der(&der).expect(SEQUENCE)?)?;
        let size = limits::RSA_MODULUS_BYTES_MIN..=limits::RSA_MODULUS_BYTES_MAX;
        let is_sound = size.contains(&modulus.len()) && (1..=3).contains(&exponent.len());
        let exponent = exponent.iter().take(3);
        let exponent = exponent.fold(0, |word, byte| word << 8 | u32::from(*byte));
        if !is_sound || !(3..=limits::RSA_EXPONENT_MAX).contains(&exponent) {
            return None;
        }
        Some(Self {
            modulus: Modulus::new(modulus)?,
            exponent,
            bytes: modulus.len(),
        })
    }

    /// `message` for the owner of the key. `seed` is from a generator for keys, used once. `None`: it
    /// is too long for this key.
    pub fn encrypt(&self, message: &[u8], seed: &[u8; HASH_BYTES]) -> Option<Vec<u8>> {
        let padding = self.bytes.checked_sub(2 * HASH_BYTES + 2 + message.len())?;
        let mut block = vec![0; self.bytes];
        let (masked_seed, data) = block[1..].split_at_mut(HASH_BYTES);
        data[..HASH_BYTES].copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, b"").as_ref());
        data[HASH_BYTES + padding] = 1;
        data[HASH_BYTES + padding + 1..].copy_from_slice(message);
        mask(data, seed);
        masked_seed.copy_from_slice(seed);
        mask(masked_seed, data);
        let encrypted = self.modulus.power(&block, self.exponent);
        wipe(&mut block);
        Some(encrypted)
    }
}

/// MGF1: `bytes`, and the stream that comes of `seed`.
fn mask(bytes: &mut [u8], seed: &[u8]) {
    for (counter, piece) in (0_u32..).zip(bytes.chunks_mut(HASH_BYTES)) {
        let seed = Secret::new([seed, &counter.to_be_bytes()].concat());
        let stream = digest(&SHA1_FOR_LEGACY_USE_ONLY, seed.expose());
        for (byte, mask) in piece.iter_mut().zip(stream.as_ref()) {
            *byte ^= mask;
        }
    }
}

fn behind<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    text.get(at + mark.len()..)
}

#[cfg(test)]
mod tests;
