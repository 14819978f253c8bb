//! How each authentication plugin shows that the password is known.

use ring::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// What a server may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password`.
    CachingSha2,
    /// `sha256_password`: the password, over TLS.
    Sha256,
    /// `mysql_clear_password`: the password, over TLS.
    Clear,
}

impl Plugin {
    /// The plugin of this name, if we have it.
    pub fn named(name: &[u8]) -> Option<Self> {
        let plugins = [Self::Native, Self::CachingSha2, Self::Sha256, Self::Clear];
        let mut plugins = plugins.into_iter();
        plugins.find(|plugin| plugin.name().as_bytes() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Sha256 => "sha256_password",
            Self::Clear => "mysql_clear_password",
        }
    }

    /// The proof for this challenge; `None` where it is the password itself.
    pub fn proof(self, password: &[u8], scramble: &[u8; 20]) -> Option<Vec<u8>> {
        let (algorithm, is_scramble_first): (&'static Algorithm, bool) = match self {
            Self::Native => (&SHA1_FOR_LEGACY_USE_ONLY, true),
            Self::CachingSha2 => (&SHA256, false),
            Self::Sha256 | Self::Clear => return None,
        };
        let once = digest::digest(algorithm, password);
        let twice = digest::digest(algorithm, once.as_ref());
        let mut context = digest::Context::new(algorithm);
        let parts = match is_scramble_first {
            true => [&scramble[..], twice.as_ref()],
            false => [twice.as_ref(), &scramble[..]],
        };
        parts.iter().for_each(|part| context.update(part));
        let mask = context.finish();
        let pairs = once.as_ref().iter().zip(mask.as_ref());
        Some(pairs.map(|(byte, mask)| byte ^ mask).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_proofs_hold() {
        let scramble = std::array::from_fn(|place| u8::try_from(place + 1).unwrap());
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
        assert_eq!(Plugin::named(b"client_ed25519"), None);
    }
}
