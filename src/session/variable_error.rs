//! Why a session can't have its variables: the sentences for its user, upstream's where it has one.

use std::fmt;

use crate::limits;
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
    /// Secrets of stores are not to be had: of which variables, and why.
    References(Vec<String>),
    /// They are more than a session may have.
    TooManyReferences,
    /// The session would need a token of Amazon's, and can't have one: what for, and why.
    Token(&'static str, String),
    /// The client may not set it; the sentence says why.
    OfClient(String),
}

/// Why a secret is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceError {
    /// It begins like a reference and is none; the sentence says what would be one.
    Form(&'static str),
    /// PASS is to be replaced by a token that nothing asks for.
    Filler,
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
            Self::References(failed) => {
                f.write_str("failed decoding environment variables [")?;
                for (number, failure) in failed.iter().enumerate() {
                    let space = if number == 0 { "" } else { " " };
                    write!(f, "{space}\"{failure}\"")?;
                }
                f.write_str("]")
            }
            Self::TooManyReferences => write!(
                f,
                "the connection refers to more than {} secrets, or to more than {} keys of them",
                limits::SECRET_COUNT_MAX,
                limits::REFERENCE_COUNT_MAX
            ),
            Self::Token(what, why) => write!(f, "failed generating {what}, err={why}"),
            Self::OfClient(sentence) => f.write_str(sentence),
        }
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(sentence) => f.write_str(sentence),
            Self::Filler => {
                f.write_str("stands for a token, which USER has to ask for: _aws_iam_rds:<user>")
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
