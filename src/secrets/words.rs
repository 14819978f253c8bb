//! Why a secret is not to be had: what its user reads. One fixed table, and codes of a narrow alphabet.

use std::borrow::Cow;
use std::fmt;

/// Letters of an error's code.
const CODE_BYTES_MAX: usize = 64;

/// See the module. Nothing in it is a store's own sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause(Cow<'static, str>);

impl Cause {
    /// A sentence of ours.
    pub const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// `who` has answered with an error of this code, which is left out where it is none.
    pub fn answered(who: &str, code: &str, status: u16) -> Self {
        Self(Cow::Owned(match is_code(code) {
            true => format!("{who} answered {code} ({status})"),
            false => format!("{who} answered with status {status}"),
        }))
    }

    /// Something happened with `who`.
    pub fn with(who: &str, what: &str) -> Self {
        Self(Cow::Owned([who, " ", what].concat()))
    }

    /// A file that a setting names can't be used.
    pub fn file(setting: &str) -> Self {
        Self(Cow::Owned(
            ["the file of the agent's ", setting, " can't be read"].concat(),
        ))
    }

    /// A setting of the agent is of no use.
    pub fn setting(setting: &str, what: &str) -> Self {
        Self(Cow::Owned(["the agent's ", setting, " ", what].concat()))
    }
}

/// It is an error's code, and no other text.
pub fn is_code(text: &str) -> bool {
    (1..=CODE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of a secret's content.
pub const NO_KEY: Cause = Cause::fixed("the secret has no such key");
/// See [`NO_KEY`].
pub const NULL: Cause = Cause::fixed("the key's value is null");
/// See [`NO_KEY`].
pub const NO_OBJECT: Cause =
    Cause::fixed("the secret is no JSON object: leave the key empty for its whole text");
/// See [`NO_KEY`].
pub const BINARY: Cause =
    Cause::fixed("the secret is binary and has no keys: leave the key empty for all of it");
/// See [`NO_KEY`].
pub const NO_TEXT: Cause =
    Cause::fixed("the key's value is no text, which is all that _vaultkv1 takes");
/// See [`NO_KEY`].
pub const TOO_LARGE: Cause = Cause::fixed("the value is larger than 64 KiB");
/// See [`NO_KEY`].
pub const OWN: Cause = Cause::fixed("the value is what the agent itself logs in with");
/// Of an answer.
pub const MALFORMED: Cause = Cause::fixed("the store's answer is not what its kind answers");
/// All its time is over.
pub const TIME: Cause = Cause::fixed("the store did not answer in time");
