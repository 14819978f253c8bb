//! What the values of a connection refer to. Pure.
//!
//! Promises: what begins with the word of a provider is a reference or an error, and never goes to a database as
//! the password that it is not; a secret is fetched once, however many of its keys are wanted.

use crate::limits;

/// A store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Provider {
    /// AWS Secrets Manager.
    Aws,
    /// Vault, a key-value engine of version 1 or whatever else has texts.
    VaultKv1,
    /// Vault, a key-value engine of version 2.
    VaultKv2,
}

impl Provider {
    /// Its word in references.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "_aws",
            Self::VaultKv1 => "_vaultkv1",
            Self::VaultKv2 => "_vaultkv2",
        }
    }
}

/// A key of a secret; an empty one is the whole value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    /// Where it is.
    pub provider: Provider,
    /// The secret.
    pub id: String,
    /// The key.
    pub key: String,
}

/// What a value stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// Itself.
    Itself,
    /// A field of the JSON object in a variable of the agent.
    EnvJson,
    /// A secret of a store.
    Stored(Reference),
    /// USER: this user, by a token of AWS.
    RdsUser(String),
    /// PASS: what that token replaces.
    RdsFiller,
}

/// Why a value that begins like a reference is none; the sentence says what would be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused(pub &'static str);

const AWS_FORM: Refused = Refused(
    "is no reference to AWS Secrets Manager: write _aws:<name or ARN of the secret>:<key>, the key may be empty",
);
const VAULT_FORM: Refused = Refused(
    "is no reference to Vault: write _vaultkv1:<path>:<key> or _vaultkv2:<mount>/data/<path>:<key>, without a colon in either",
);
const JSON_FORM: Refused =
    Refused("is no reference to a variable of the agent: write _envjson:<variable>:<key>");
const RDS_FORM: Refused =
    Refused("is no reference: _aws_iam_rds:<user> belongs into USER of a database");
const TOO_LONG: Refused =
    Refused("is no reference: a secret's name has 2,048 bytes at most, and a key 512");

/// What the value `text` of the variable `name` stands for.
pub fn meaning(name: &str, text: &str) -> Result<Meaning, Refused> {
    let Some((word, rest)) = text.split_once(':') else {
        return Ok(Meaning::Itself);
    };
    let (provider, form) = match word {
        "_aws" => (Provider::Aws, AWS_FORM),
        "_vaultkv1" => (Provider::VaultKv1, VAULT_FORM),
        "_vaultkv2" => (Provider::VaultKv2, VAULT_FORM),
        "_envjson" => {
            let parts = rest.split(':').count();
            return (parts == 2).then_some(Meaning::EnvJson).ok_or(JSON_FORM);
        }
        "_aws_iam_rds" => {
            return match name {
                "USER" if !rest.is_empty() && !rest.contains(':') => {
                    Ok(Meaning::RdsUser(rest.to_owned()))
                }
                "PASS" => Ok(Meaning::RdsFiller),
                _ => Err(RDS_FORM),
            };
        }
        _ => return Ok(Meaning::Itself),
    };
    let (id, key) = rest.rsplit_once(':').ok_or(form)?;
    // The colons of an ARN are its own; there are six.
    let is_arn = provider == Provider::Aws && id.starts_with("arn:");
    let colons = id.bytes().filter(|byte| *byte == b':').count();
    if id.is_empty() || colons != if is_arn { 6 } else { 0 } {
        return Err(form);
    }
    if id.len() > limits::SECRET_ID_BYTES_MAX || key.len() > limits::SECRET_KEY_BYTES_MAX {
        return Err(TOO_LONG);
    }
    Ok(Meaning::Stored(Reference {
        provider,
        id: id.to_owned(),
        key: key.to_owned(),
    }))
}

/// One secret, and which of its keys are for which reference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Want {
    /// Where it is.
    pub provider: Provider,
    /// Which.
    pub id: String,
    /// Numbers of references, and their keys.
    pub keys: Vec<(usize, String)>,
}

/// One want for each secret, in order; `None` where it is too many.
pub fn gather(references: &[Reference]) -> Option<Vec<Want>> {
    let mut wants: Vec<Want> = Vec::new();
    for (number, reference) in references.iter().enumerate() {
        let key = (number, reference.key.clone());
        let same =
            |want: &&mut Want| want.provider == reference.provider && want.id == reference.id;
        match wants.iter_mut().find(same) {
            Some(want) => want.keys.push(key),
            None => wants.push(Want {
                provider: reference.provider,
                id: reference.id.clone(),
                keys: vec![key],
            }),
        }
    }
    let fits =
        references.len() <= limits::REFERENCE_COUNT_MAX && wants.len() <= limits::SECRET_COUNT_MAX;
    fits.then_some(wants)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stored(provider: Provider, id: &str, key: &str) -> Result<Meaning, Refused> {
        Ok(Meaning::Stored(Reference {
            provider,
            id: id.into(),
            key: key.into(),
        }))
    }

    #[test]
    fn a_value_is_a_reference_a_text_or_refused() {
        const ARN: &str = "arn:aws:secretsmanager:us-west-2:123456789012:secret:prod/db-AbCdEf";
        use Provider::{Aws, VaultKv1, VaultKv2};
        for (text, wanted) in [
            ("_aws:prod/db:password", stored(Aws, "prod/db", "password")),
            ("_aws:prod/db:", stored(Aws, "prod/db", "")),
            ("_aws: x:y", stored(Aws, " x", "y")),
            (
                &format!("_aws:{ARN}:password"),
                stored(Aws, ARN, "password"),
            ),
            (&format!("_aws:{ARN}:"), stored(Aws, ARN, "")),
            (&format!("_aws:{ARN}"), Err(AWS_FORM)),
            ("_aws:name", Err(AWS_FORM)),
            ("_aws:", Err(AWS_FORM)),
            ("_aws::key", Err(AWS_FORM)),
            ("_aws:a:b:c", Err(AWS_FORM)),
            ("_aws:arn:a:b", Err(AWS_FORM)),
            (
                "_vaultkv1:secret/db:user",
                stored(VaultKv1, "secret/db", "user"),
            ),
            (
                "_vaultkv2:secret/data/db?version=3:p",
                stored(VaultKv2, "secret/data/db?version=3", "p"),
            ),
            ("_vaultkv2:db:", stored(VaultKv2, "db", "")),
            ("_vaultkv2:db", Err(VAULT_FORM)),
            ("_vaultkv2:a:b:c", Err(VAULT_FORM)),
            ("_vaultkv1:arn:a:b:c:d:e:f", Err(VAULT_FORM)),
            ("_envjson:VAR:key", Ok(Meaning::EnvJson)),
            ("_envjson:VAR:", Ok(Meaning::EnvJson)),
            ("_envjson:VAR", Err(JSON_FORM)),
            ("_envjson:a:b:c", Err(JSON_FORM)),
            ("_aws_iam_rds:app", Err(RDS_FORM)),
            ("_AWS:a:b", Ok(Meaning::Itself)),
            (" _aws:a:b", Ok(Meaning::Itself)),
            ("_aws", Ok(Meaning::Itself)),
            ("_awsx:a:b", Ok(Meaning::Itself)),
            ("_vaultkv3:a:b", Ok(Meaning::Itself)),
            ("pass:word:with", Ok(Meaning::Itself)),
            ("", Ok(Meaning::Itself)),
        ] {
            assert_eq!(meaning("DB", text), wanted, "{text}");
        }
        let long = "x".repeat(limits::SECRET_ID_BYTES_MAX + 1);
        assert_eq!(meaning("DB", &format!("_aws:{long}:k")), Err(TOO_LONG));
        let long = "x".repeat(limits::SECRET_KEY_BYTES_MAX + 1);
        assert_eq!(meaning("DB", &format!("_aws:i:{long}")), Err(TOO_LONG));
    }

    #[test]
    fn a_token_for_a_database_is_asked_for_in_user_alone() {
        let user = |name: &str| Ok(Meaning::RdsUser(name.to_owned()));
        assert_eq!(meaning("USER", "_aws_iam_rds:app"), user("app"));
        assert_eq!(meaning("USER", "_aws_iam_rds:"), Err(RDS_FORM));
        assert_eq!(meaning("USER", "_aws_iam_rds:a:b"), Err(RDS_FORM));
        assert_eq!(
            meaning("PASS", "_aws_iam_rds:authtoken"),
            Ok(Meaning::RdsFiller)
        );
        assert_eq!(meaning("HOST", "_aws_iam_rds:x"), Err(RDS_FORM));
    }

    #[test]
    fn a_secret_is_wanted_once() {
        let reference = |text: &str| match meaning("X", text) {
            Ok(Meaning::Stored(reference)) => reference,
            other => panic!("{other:?}"),
        };
        let all = [
            "_aws:a:x",
            "_vaultkv1:a:x",
            "_aws:b:x",
            "_aws:a:y",
            "_aws:a:x",
        ]
        .map(reference);
        let wants = gather(&all).unwrap();
        let keys: Vec<Vec<usize>> = wants
            .iter()
            .map(|want| want.keys.iter().map(|(number, _)| *number).collect())
            .collect();
        assert_eq!(keys, [vec![0, 3, 4], vec![1], vec![2]]);
        let many = |count: usize, different: usize| {
            let all: Vec<_> = (0..count)
                .map(|number| reference(&format!("_aws:{}:k", number % different)))
                .collect();
            gather(&all).is_some()
        };
        assert!(many(64, 16) && !many(65, 1) && !many(17, 17));
    }

    proptest! {
        #[test]
        fn every_text_has_a_meaning(name in "USER|PASS|X", text in "(_aws|_vaultkv2|_envjson|_aws_iam_rds|x)?[:a]{0,9}\\PC{0,9}") {
            let known = ["_aws", "_vaultkv1", "_vaultkv2", "_envjson", "_aws_iam_rds"];
            let word = text.split(':').next().unwrap();
            let begins = text.contains(':') && known.contains(&word);
            // Never sent to a database.
            prop_assert_eq!(meaning(&name, &text) == Ok(Meaning::Itself), !begins);
        }
    }
}
