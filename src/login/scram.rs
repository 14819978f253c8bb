//! SCRAM (RFC 5802, RFC 7677) as a client, without channel binding; as a server in [`server`].
//!
//! ```text
//!   ClientFirst --server-first--> Deriving --turns--> ServerProof --server-final--> verified
//! ```
//! Each is consumed by the next. The server proves that it knows the password, too, before it is
//! believed; the work that it may ask for is bounded and done in turns.

mod derivation;
mod hash;
mod prepare;
pub mod server;

use std::fmt;
use std::time::Duration;

use ring::hmac;

pub use derivation::{Derivation, DerivedKey, Keys};
pub use hash::{Hash, SCRAM_SHA_256};
pub use prepare::prepare;

use crate::base::{Secret, wipe};
use crate::limits;
use crate::wire::base64;

/// Says that we do not support channel binding, and name no other user to act for.
const GS2_HEADER: &str = "n,,";

/// Why the conversation can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramError {
    /// A message that is none, or that answers to another client.
    Malformed,
    /// More work than we do for anybody.
    TooManyRounds,
    /// So little that whoever listens could find the password.
    TooFewRounds,
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
            Self::TooFewRounds => {
                "the server asks for fewer SCRAM iterations than any of its kind does: somebody may be \
                 in between"
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
    hash: Hash,
    nonce: String,
    /// `n=USER,r=NONCE`.
    bare: String,
    rounds_min: u32,
}

impl ClientFirst {
    /// PostgreSQL's server knows the user already. `nonce` is from a generator for keys, used once.
    pub fn new(hash: Hash, user: &str, nonce: &[u8; 18]) -> Self {
        let nonce = base64::encode(nonce);
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            hash,
            bare: ["n=", &user, ",r=", &nonce].concat(),
            nonce,
            rounds_min: 1,
        }
    }

    /// The server must ask for so many rounds.
    #[must_use]
    pub fn with_rounds_min(self, rounds_min: u32) -> Self {
        Self { rounds_min, ..self }
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
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramError::Malformed);
        }
        if rounds < self.rounds_min {
            return Err(ScramError::TooFewRounds);
        }
        let last = ["c=biws,r=", nonce].concat();
        let mut signed = self.bare.into_bytes();
        for part in [b",", server_first, b",", last.as_bytes()] {
            signed.extend_from_slice(part);
        }
        let password = match self.hash {
            Hash::Sha1 => password.clone(),
            Hash::Sha256 => prepare(password.expose()),
        };
        Ok(Deriving {
            derivation: keys.derivation(self.hash, password.expose(), &salt, rounds),
            hash: self.hash,
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
    hash: Hash,
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
        let stored = self.hash.digest(key.client());
        let mut proof = self.hash.masked(key.client(), &stored, &self.signed);
        let message = [&self.last, ",p=", &base64::encode(&proof)].concat();
        wipe(&mut proof);
        let proof = ServerProof {
            hash: self.hash,
            key: Secret::new(key.server()),
            signed: std::mem::take(&mut self.signed),
        };
        Some((message, proof))
    }
}

/// Our proof is on its way; the server's is to come.
pub struct ServerProof {
    hash: Hash,
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
        let key = self.hash.key(self.key.expose());
        hmac::verify(&key, &self.signed, &signature).map_err(|_| ScramError::Impostor)
    }
}

#[cfg(test)]
mod tests;
