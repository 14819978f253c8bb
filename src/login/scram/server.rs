//! SCRAM as a server, for a client whose password everybody knows.
//!
//! ```text
//!   client-first --> Challenge --client-final--> Judging --turns--> our proof, or a refusal
//! ```

use ring::hmac;

use super::{Derivation, Hash, Keys, ScramError};
use crate::base::{Secret, wipe};
use crate::limits;
use crate::wire::base64;

/// What the keys of all clients are derived with: their password is no secret.
const SALT: &[u8] = b"hoop-lite's side";

/// What a client's first message says.
pub struct ClientHello<'a> {
    /// Its header, which its last message repeats.
    header: &'a str,
    bare: &'a str,
    nonce: &'a str,
    user: &'a str,
}

impl<'a> ClientHello<'a> {
    /// Reads `n,,n=USER,r=NONCE`; a client that could bind to a channel and sees that we can't (`y`) is
    /// right.
    pub fn read(message: &'a [u8]) -> Result<Self, ScramError> {
        let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        if message.len() > limits::SCRAM_MESSAGE_BYTES_MAX {
            return Err(ScramError::Malformed);
        }
        let bare = text.strip_prefix("n,,").or(text.strip_prefix("y,,"));
        let bare = bare.ok_or(ScramError::Malformed)?;
        let mut fields = bare.split(',');
        let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
        match (field("n="), field("r=")) {
            (Some(user), Some(nonce)) if !nonce.is_empty() => Ok(Self {
                header: &text[..text.len() - bare.len()],
                bare,
                nonce,
                user,
            }),
            _ => Err(ScramError::Malformed),
        }
    }

    /// Who it says it is.
    pub fn user(&self) -> String {
        self.user.replace("=2C", ",").replace("=3D", "=")
    }

    /// What it has to prove: that it knows `password`. `nonce` is from a generator for keys, used once.
    pub fn challenge(
        &self,
        hash: Hash,
        password: &[u8],
        nonce: &[u8; 18],
        keys: &mut Keys,
    ) -> Challenge {
        let rounds = limits::SCRAM_CLIENT_ROUNDS;
        let nonce = [self.nonce, &base64::encode(nonce)].concat();
        let salt = base64::encode(SALT);
        let message = format!("r={nonce},s={salt},i={rounds}");
        let header = base64::encode(self.header.as_bytes());
        let last = ["c=", &header, ",r=", &nonce].concat();
        let signed = [self.bare, ",", &message, ",", &last].concat();
        Challenge {
            hash,
            derivation: keys.derivation(hash, password, SALT, rounds),
            message,
            last,
            signed,
        }
    }
}

/// The client is to prove itself.
pub struct Challenge {
    hash: Hash,
    derivation: Derivation,
    message: String,
    /// How the client's last message begins.
    last: String,
    signed: String,
}

impl Challenge {
    /// Our first message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The client's last message.
    pub fn answered(self, message: &[u8]) -> Result<Judging, ScramError> {
        let rest = message.strip_prefix(self.last.as_bytes());
        let proof = rest.and_then(|rest| rest.strip_prefix(b",p="));
        let proof = proof.and_then(|proof| base64::decode(proof).ok());
        let proof = proof.filter(|proof| proof.len() == self.hash.bytes());
        Ok(Judging {
            hash: self.hash,
            derivation: self.derivation,
            signed: self.signed,
            proof: proof.ok_or(ScramError::Malformed)?,
        })
    }
}

/// The client's proof is there, and our key is being made.
pub struct Judging {
    hash: Hash,
    derivation: Derivation,
    signed: String,
    proof: Vec<u8>,
}

impl Judging {
    /// When it is worth to ask for the verdict again, at the earliest.
    pub fn rest(&self, keys: &Keys) -> std::time::Duration {
        self.derivation.rest(keys)
    }

    /// Our last message, which proves that we know the password, too; or the client does not.
    pub fn verdict(&self) -> Option<Result<String, ScramError>> {
        let key = self.derivation.key()?;
        let hash = self.hash;
        let stored = hash.digest(key.client());
        let mut shown = hash.masked(&self.proof, &stored, self.signed.as_bytes());
        let is_it = hash.digest(&shown).as_ref() == stored.as_ref();
        wipe(&mut shown);
        let proof = hmac::sign(&hash.key(key.server()), self.signed.as_bytes());
        Some(match is_it {
            true => Ok(["v=", &base64::encode(proof.as_ref())].concat()),
            false => Err(ScramError::Refused),
        })
    }
}

/// What SHA-1's form takes for the password of a MongoDB user.
pub fn mongo_password(user: &[u8], password: &[u8]) -> Secret {
    use crate::login::md5;
    Secret::new(md5::hex(&md5::digest(&[user, b":mongo:", password])))
}
