//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as a client, without channel binding.
//!
//! ```text
//!   ClientFirst --server-first--> Deriving --turns--> ServerProof --server-final--> verified
//! ```
//! Each is consumed by the next. The server proves that it knows the password, too, before it is
//! believed; the work that it may ask for is bounded and done in turns.

mod derivation;
mod prepare;

use std::fmt;
use std::time::Duration;

use ring::{digest, hmac};

pub use derivation::{Derivation, DerivedKey, Keys};
pub use prepare::prepare;

use crate::base::{Secret, wipe};
use crate::limits;
use crate::wire::base64;

/// The mechanism's name.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";

/// Says that we do not support channel binding, and name no other user to act for.
const GS2_HEADER: &str = "n,,";

/// Why the conversation can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramError {
    /// A message that is none, or that answers to another client.
    Malformed,
    /// More work than we do for anybody.
    TooManyRounds,
    /// The server reported an error.
    Refused,
    /// The server does not know the password.
    Impostor,
}

impl fmt::Display for ScramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the server's SCRAM message is malformed",
            Self::TooManyRounds => {
                "the server asks for more than 1000000 SCRAM iterations: lower scram_iterations and \
                 set the password anew"
            }
            Self::Refused => "the server refused the SCRAM proof: check PASS",
            Self::Impostor => {
                "the server could not prove that it knows the password: it may be an impostor"
            }
        })
    }
}

/// Our first message is on its way.
pub struct ClientFirst {
    /// `n=,r=NONCE`.
    bare: String,
}

impl ClientFirst {
    /// `nonce` is from a generator for keys, used once.
    pub fn new(nonce: &[u8; 18]) -> Self {
        let bare = ["n=,r=", &base64::encode(nonce)].concat();
        Self { bare }
    }

    /// The message.
    pub fn message(&self) -> String {
        [GS2_HEADER, &self.bare].concat()
    }

    /// The server's answer: how the key is derived.
    pub fn answered(
        self,
        server_first: &[u8],
        password: &Secret,
        keys: &mut Keys,
    ) -> Result<Deriving, ScramError> {
        let (nonce, salt, rounds) = parse_first(server_first)?;
        let ours = self.bare.get("n=,r=".len()..).unwrap_or_default();
        if nonce.len() <= ours.len() || !nonce.starts_with(ours) {
            return Err(ScramError::Malformed);
        }
        let last = ["c=biws,r=", nonce].concat();
        let mut signed = self.bare.into_bytes();
        for part in [b",", server_first, b",", last.as_bytes()] {
            signed.extend_from_slice(part);
        }
        let password = prepare(password.expose());
        let derivation = keys.derivation(password.expose(), &salt, rounds);
        Ok(Deriving {
            derivation,
            last,
            signed,
        })
    }
}

/// `r=NONCE,s=SALT,i=ROUNDS`, perhaps with extensions that we need not know behind.
fn parse_first(message: &[u8]) -> Result<(&str, Vec<u8>, u32), ScramError> {
    let text = parse_text(message)?;
    let mut fields = text.split(',');
    let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
    let (Some(nonce), Some(salt), Some(rounds)) = (field("r="), field("s="), field("i=")) else {
        return Err(ScramError::Malformed);
    };
    let salt = base64::decode(salt.as_bytes()).map_err(|_| ScramError::Malformed)?;
    let is_number = (1..=9).contains(&rounds.len()) && rounds.bytes().all(|b| b.is_ascii_digit());
    match rounds.parse() {
        Ok(1..) if !is_number || salt.is_empty() => Err(ScramError::Malformed),
        Ok(rounds @ 1..=limits::SCRAM_ROUNDS_MAX) => Ok((nonce, salt, rounds)),
        Ok(1..) => Err(ScramError::TooManyRounds),
        _ => Err(ScramError::Malformed),
    }
}

/// All messages are printable ASCII.
fn parse_text(message: &[u8]) -> Result<&str, ScramError> {
    let is_plain = message.iter().all(|byte| (b' '..=b'~').contains(byte));
    let text = std::str::from_utf8(message).ok();
    text.filter(|_| is_plain && message.len() <= limits::SCRAM_MESSAGE_BYTES_MAX)
        .ok_or(ScramError::Malformed)
}

/// The key is being made.
pub struct Deriving {
    derivation: Derivation,
    last: String,
    signed: Vec<u8>,
}

impl Deriving {
    /// When it is worth to ask for the answer again, at the earliest.
    pub fn rest(&self, keys: &Keys) -> Duration {
        self.derivation.rest(keys)
    }

    /// Our last message, when the key is made.
    pub fn answer(&mut self) -> Option<(String, ServerProof)> {
        let key = self.derivation.key()?;
        let stored = digest::digest(&digest::SHA256, key.client());
        let stored = hmac::Key::new(hmac::HMAC_SHA256, stored.as_ref());
        let mut proof = [0; 32];
        proof.copy_from_slice(hmac::sign(&stored, &self.signed).as_ref());
        for (byte, mask) in proof.iter_mut().zip(key.client()) {
            *byte ^= mask;
        }
        let message = [&self.last, ",p=", &base64::encode(&proof)].concat();
        wipe(&mut proof);
        let (key, signed) = (Secret::new(key.server()), std::mem::take(&mut self.signed));
        Some((message, ServerProof { key, signed }))
    }
}

/// Our proof is on its way; the server's is to come.
pub struct ServerProof {
    key: Secret,
    signed: Vec<u8>,
}

impl ServerProof {
    /// The server's last message.
    pub fn verify(self, server_final: &[u8]) -> Result<(), ScramError> {
        let text = parse_text(server_final)?;
        if text.starts_with("e=") {
            return Err(ScramError::Refused);
        }
        let signature = text.strip_prefix("v=").ok_or(ScramError::Malformed)?;
        let signature = signature.split(',').next().unwrap_or_default();
        let signature = base64::decode(signature.as_bytes()).map_err(|_| ScramError::Malformed)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.expose());
        hmac::verify(&key, &self.signed, &signature).map_err(|_| ScramError::Impostor)
    }
}

#[cfg(test)]
mod tests;
