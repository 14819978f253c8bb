//! Why a session can't have its variables: the sentences for its user, upstream's where it has one.

use std::fmt;

use crate::wire::base64;

/// What is wrong with a variable. None quotes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableError {
    /// This key is not `type:NAME`.
    Key(String),
    /// This type is none that is known.
    KeyType(String),
    /// The value of this name is not base64.
    Encoding(String, base64::Illegal),
    /// No variable can be called so.
    Name(String),
    /// The value of this name can't be a variable.
    ZeroByte(String),
    /// The variable of this key refers to a secret that is not to be had.
    Reference(String, ReferenceError),
    /// The session would need a token of Amazon's Kubernetes.
    EksToken,
    /// The session would need a token of Amazon's databases.
    RdsToken,
    /// The client may not set it; the sentence says why.
    OfClient(String),
}

/// Why a secret is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceError {
    /// No agent serves this store yet.
    Provider(&'static str),
    /// The agent has no such variable.
    NoVariable(String),
    /// The agent's variable is not JSON.
    NotJson(String),
    /// Its JSON has no such field.
    NoField(String),
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(
                f,
                "environment variable key type in unknown format, want=[keytype:key], got={key}"
            ),
            Self::KeyType(kind) => write!(
                f,
                "unknow environment variable type \"{kind}\", accepted: \"filesystem\", \"envvar\""
            ),
            Self::Encoding(name, error) => {
                write!(f, "failed decoding env var \"{name}\", err={error}")
            }
            Self::Name(name) => write!(f, "environment variable name {name:?} is not valid"),
            Self::ZeroByte(name) => {
                write!(f, "environment variable \"{name}\" contains a zero byte")
            }
            Self::Reference(key, error) => write!(
                f,
                "failed decoding environment variables [\"{key} {error}\"]"
            ),
            Self::EksToken => {
                f.write_str("this agent does not mint EKS tokens (EKS_CLUSTER is set)")
            }
            Self::RdsToken => {
                f.write_str("this agent does not mint RDS IAM tokens (USER is _aws_iam_rds:...)")
            }
            Self::OfClient(sentence) => f.write_str(sentence),
        }
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(name) => {
                write!(f, "the secret provider {name} is not served by this agent")
            }
            Self::NoVariable(name) => write!(f, "environment variable \"{name}\" not found"),
            // The parser's own words would quote the secret.
            Self::NotJson(name) => write!(
                f,
                "failed decoding environment variable \"{name}\" to json, err=not an object of \
                 strings"
            ),
            Self::NoField(name) => write!(f, "secret key \"{name}\" not found"),
        }
    }
}
