//! SCRAM of both sides, by ring's own key derivation.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ring::{digest, hmac, pbkdf2};

use crate::session::base64;

/// Which hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SCRAM-SHA-1.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
}

impl Hash {
    /// The mechanism's name.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Sha1, Self::Sha256];
        all.into_iter().find(|hash| hash.mechanism() == name)
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }

    fn sign(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hmac(), key), text)
            .as_ref()
            .to_vec()
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    /// What `password` is for a user, who must be one of those that the tests have.
    fn password(self, user: &str, password: &str) -> String {
        // MD5 of `USER:mongo:PASSWORD`.
        match (self, user, password) {
            (Self::Sha256, ..) => password.to_owned(),
            (_, "app", "s3cret") => "a53c2174977565a430a166e4faed5bef".to_owned(),
            (_, "app", "s3cr3t-of-the-database") => "c7be42b4797dd962cef0d8bec0724847".to_owned(),
            (_, "noop", "noop") => "9bbbfcdb064a16b1f145be0bc72f03c3".to_owned(),
            _ => format!("no digest of {user} and {password} is known here"),
        }
    }

    /// Derived once: tests log in by the thousand.
    fn derived(self, password: &str, salt: &[u8], rounds: u32) -> Vec<u8> {
        type Known = BTreeMap<(String, Vec<u8>, u32, bool), Vec<u8>>;
        static KNOWN: Mutex<Known> = Mutex::new(Known::new());
        let mut known = KNOWN.lock().expect("no test has died with it");
        let id = (
            password.to_owned(),
            salt.to_vec(),
            rounds,
            self == Self::Sha1,
        );
        let derive = || {
            let (algorithm, len) = match self {
                Self::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
                Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
            };
            let mut salted = vec![0; len];
            let rounds = rounds.try_into().expect("some rounds");
            pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut salted);
            salted
        };
        known.entry(id).or_insert_with(derive).clone()
    }

    /// Proofs of the client and of the server.
    pub fn proofs(self, who: [&str; 2], first: &str, signed: &str) -> (Vec<u8>, Vec<u8>) {
        let [user, password] = who;
        let password = self.password(user, password);
        let salt = unbase64(field(first, "s="));
        let rounds: u32 = field(first, "i=").parse().expect("rounds");
        let salted = self.derived(&password, &salt, rounds);
        let client = self.sign(&salted, b"Client Key");
        let mask = self.sign(&self.digest(&client), signed.as_bytes());
        let proof = client.iter().zip(mask).map(|(a, b)| a ^ b).collect();
        let server = self.sign(&self.sign(&salted, b"Server Key"), signed.as_bytes());
        (proof, server)
    }
}

/// The bytes of a text in base64, which must be right.
fn unbase64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let sextet = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("no base64: {text}"),
        };
        bits = bits << 6 | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

/// What stands behind `name` in a SCRAM message.
pub fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let mut fields = message.split(',');
    fields
        .find_map(|field| field.strip_prefix(name))
        .unwrap_or_default()
}

/// A client's last message, and the server's that must follow.
pub fn client_last(hash: Hash, who: [&str; 2], bare: &str, first: &str) -> (String, String) {
    let last = format!("c=biws,r={}", field(first, "r="));
    let (proof, server) = hash.proofs(who, first, &format!("{bare},{first},{last}"));
    (
        format!("{last},p={}", base64(&proof)),
        format!("v={}", base64(&server)),
    )
}

/// The server's last message, if the client's is right.
pub fn server_last(
    hash: Hash,
    who: [&str; 2],
    bare: &str,
    first: &str,
    last: &str,
) -> Option<String> {
    let (right, verdict) = client_last(hash, who, bare, first);
    (right == last).then_some(verdict)
}
