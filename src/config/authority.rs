//! Whom to trust: `HOOP_TLSCA` in its three forms, and the switch that trusts everybody.

use super::{ConfigError, Surroundings, Warning};
use crate::base::{Roots, Trust};
use crate::wire::base64;

/// What the environment says about trust. `use_own` is false where `HOOP_TLSCA` has no effect.
pub fn load(
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
        base64::decode(text.as_bytes()).map_err(|_| ConfigError::AuthorityBase64)?
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

const VARIABLE: &str = "HOOP_TLSCA";
const PEM_MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::surroundings;

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
}
