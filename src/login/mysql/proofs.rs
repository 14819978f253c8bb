//! How each authentication plugin shows that the password is known.

use ring::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use crate::login::ed25519;

/// What a proof is for: 20 bytes, or 32 for `client_ed25519`.
pub type Challenge = [u8; 32];

/// Of all plugins but one.
pub const SCRAMBLE_BYTES: usize = 20;

/// The challenge that `data` begins with.
pub fn challenge(data: &[u8]) -> Challenge {
    let mut challenge = [0; 32];
    let data = data.get(..challenge.len()).unwrap_or(data);
    challenge[..data.len()].copy_from_slice(data);
    challenge
}

/// What a server may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password`.
    CachingSha2,
    /// `sha256_password`: the password, over TLS or under the server's key.
    Sha256,
    /// `client_ed25519`: a signature.
    Ed25519,
    /// `mysql_clear_password`: the password, over TLS.
    Clear,
}

const PLUGINS: [(Plugin, &str); 5] = [
    (Plugin::Native, "mysql_native_password"),
    (Plugin::CachingSha2, "caching_sha2_password"),
    (Plugin::Sha256, "sha256_password"),
    (Plugin::Ed25519, "client_ed25519"),
    (Plugin::Clear, "mysql_clear_password"),
];

impl Plugin {
    /// The plugin of this name, if we have it.
    pub fn named(name: &[u8]) -> Option<Self> {
        let mut plugins = PLUGINS.iter();
        let found = plugins.find(|(_, known)| known.as_bytes() == name);
        found.map(|(plugin, _)| *plugin)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let mut plugins = PLUGINS.iter();
        let found = plugins.find(|(plugin, _)| *plugin == self);
        found.map_or("", |(_, name)| name)
    }

    /// The proof for this challenge; `None` where it is the password itself.
    pub fn proof(self, password: &[u8], challenge: &Challenge) -> Option<Vec<u8>> {
        let scramble = &challenge[..SCRAMBLE_BYTES];
        let (algorithm, is_scramble_first): (&'static Algorithm, bool) = match self {
            Self::Native => (&SHA1_FOR_LEGACY_USE_ONLY, true),
            Self::CachingSha2 => (&SHA256, false),
            Self::Ed25519 => return Some(ed25519::sign(password, challenge).to_vec()),
            Self::Sha256 | Self::Clear => return None,
        };
        let once = digest::digest(algorithm, password);
        let twice = digest::digest(algorithm, once.as_ref());
        let mut context = digest::Context::new(algorithm);
        let parts = match is_scramble_first {
            true => [scramble, twice.as_ref()],
            false => [twice.as_ref(), scramble],
        };
        parts.iter().for_each(|part| context.update(part));
        let mask = context.finish();
        let pairs = once.as_ref().iter().zip(mask.as_ref());
        Some(pairs.map(|(byte, mask)| byte ^ mask).collect())
    }

    /// What asks the server for its RSA key; `None` where there is none.
    pub fn key_request(self) -> Option<u8> {
        match self {
            Self::CachingSha2 => Some(2),
            Self::Sha256 => Some(1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_proofs_hold() {
        let scramble: [u8; 20] = std::array::from_fn(|place| u8::try_from(place + 1).unwrap());
        let scramble = challenge(&scramble);
        let hex = |plugin: Plugin| {
            let proof = plugin.proof(b"s3cret", &scramble).unwrap();
            proof
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert_eq!(
            hex(Plugin::Native),
            "f66fdd3ff855d9349a0ddb50c4a1a535fb412465"
        );
        assert_eq!(
            hex(Plugin::CachingSha2),
            "3f3a9a7786fd9be9a006eed686b4e6b76484fdc06dc15685df5f8793574b84fc"
        );
        assert_eq!(Plugin::Clear.proof(b"x", &scramble), None);
    }

    #[test]
    fn plugins_are_known_by_their_names() {
        assert_eq!(
            Plugin::named(b"caching_sha2_password"),
            Some(Plugin::CachingSha2)
        );
        assert_eq!(Plugin::named(b"parsec"), None);
        for (plugin, name) in PLUGINS {
            assert_eq!(plugin.name(), name);
        }
    }
}
