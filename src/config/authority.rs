//! Whom to trust: `HOOP_TLSCA` in its three forms, and the switch that trusts everybody.

use super::{ConfigError, Surroundings, Warning};
use crate::base::{Roots, Trust};

/// What the environment says about trust. `use_own` is false where `HOOP_TLSCA` has no effect.
pub(super) fn load(
    surroundings: Surroundings<'_>,
    use_own: bool,
    warnings: &mut Vec<Warning>,
) -> Result<Trust, ConfigError> {
    let roots = match surroundings.get(VARIABLE) {
        Some(_) if !use_own => {
            warnings.push(Warning::AuthorityIgnored);
            Roots::Public
        }
        Some(value) => Roots::Only(pem(surroundings, &value)?),
        None => Roots::Public,
    };
    let skip_verify = super::is_true(surroundings, "HOOP_TLS_SKIP_VERIFY", warnings);
    Ok(Trust { roots, skip_verify })
}

fn pem(surroundings: Surroundings<'_>, value: &str) -> Result<Vec<u8>, ConfigError> {
    let pem = if let Some(text) = value.strip_prefix("base64://") {
        base64(text).ok_or(ConfigError::AuthorityBase64)?
    } else if let Some(path) = value.strip_prefix("file://") {
        surroundings.read(VARIABLE, path)?
    } else {
        value.as_bytes().to_vec()
    };
    if !pem.windows(PEM_MARK.len()).any(|part| part == PEM_MARK) {
        return Err(ConfigError::AuthorityForm);
    }
    Ok(pem)
}

/// Standard alphabet with padding (RFC 4648, section 4); line breaks are skipped, as Go does.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut digits, mut padding) = (0u32, 0u32, 0u32);
    for byte in text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')) {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(digit);
        digits += 1;
        if digits.is_multiple_of(4) {
            out.extend_from_slice(bits.to_be_bytes().get(1..)?);
            bits = 0;
        }
    }
    let [_, first, second, _] = (bits << (6 * (4 - digits % 4))).to_be_bytes();
    match (digits % 4, padding) {
        (0, 0) => {}
        (2, 2) => out.push(first),
        (3, 1) => out.extend_from_slice(&[first, second]),
        _ => return None,
    }
    Some(out)
}

const VARIABLE: &str = "HOOP_TLSCA";
const PEM_MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::surroundings;
    use proptest::prelude::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    const PEM_BASE64: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElG\
         SUNBVEUtLS0tLQ==";

    fn loaded(value: &str, files: &[(&str, &str)]) -> Result<Trust, ConfigError> {
        let variables = [(VARIABLE, value)];
        surroundings(&variables, files, |s| load(s, true, &mut Vec::new()))
    }

    #[test]
    fn all_three_forms_give_the_same_text() {
        let files = [("ca.pem", PEM)];
        for value in [
            PEM.to_owned(),
            format!("base64://{PEM_BASE64}"),
            "file://ca.pem".to_owned(),
        ] {
            let trust = loaded(&value, &files).unwrap();
            assert_eq!(trust.roots, Roots::Only(PEM.as_bytes().to_vec()));
        }
        assert_eq!(loaded("", &[]).unwrap(), Trust::public());
    }

    #[test]
    fn each_mistake_names_the_variable() {
        for value in [
            "ca.pem",
            "file://missing.pem",
            "base64://!",
            "base64://AAAA",
            "file://a",
        ] {
            let files = [("a", "no pem")];
            let message = loaded(value, &files).unwrap_err().to_string();
            assert!(message.contains("HOOP_TLSCA"), "{message}");
        }
    }

    #[test]
    fn base64_is_strict_about_padding() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("TQ==", Some(b"M")),
            ("TWE=", Some(b"Ma")),
            ("TWFu", Some(b"Man")),
            ("TW\nFu\r\n", Some(b"Man")),
            ("TQ", None),
            ("TQ=", None),
            ("TWE", None),
            ("T", None),
            ("TQ==TQ==", None),
            ("TWFu=", None),
            ("T Q=", None),
        ] {
            assert_eq!(base64(text).as_deref(), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_base64_like_text_gets_an_answer(text in "[A-Za-z0-9+/=\n]{0,40}|\\PC{0,20}") {
            let _ = base64(&text);
        }
    }
}
