//! The two hashes of SCRAM.

use ring::{digest, hmac};

/// The mechanism's name.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";

/// Which one a conversation is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SCRAM-SHA-1 (RFC 5802): MongoDB's, of before 4.0.
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
}

/// Bytes of the longer one.
pub(super) const HASH_BYTES_MAX: usize = digest::SHA256_OUTPUT_LEN;

impl Hash {
    /// The mechanism's name.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => SCRAM_SHA_256,
        }
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Sha1 => digest::SHA1_OUTPUT_LEN,
            Self::Sha256 => digest::SHA256_OUTPUT_LEN,
        }
    }

    pub(super) fn digest(self, bytes: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, bytes)
    }

    /// `words` and what whoever has the stored key signs, one over the other: a proof of the client's key, or from that
    /// the key again.
    pub(super) fn masked(self, words: &[u8], stored: &digest::Digest, signed: &[u8]) -> Vec<u8> {
        let mask = hmac::sign(&self.key(stored.as_ref()), signed);
        let bytes = words.iter().zip(mask.as_ref());
        bytes.map(|(byte, mask)| byte ^ mask).collect()
    }

    pub(super) fn key(self, bytes: &[u8]) -> hmac::Key {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::Key::new(algorithm, bytes)
    }
}
