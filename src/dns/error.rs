//! Why a name has no address.

use std::fmt;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The name does not exist or has no address.
    NotFound,
    /// No answer for now: servers unreachable or failing.
    Temporary,
    /// No room for one more name.
    Busy,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such host",
            Self::Temporary => "temporary failure in name resolution",
            Self::Busy => "too many names are being resolved",
        })
    }
}

impl LookupError {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NotFound => "check the spelling of the host",
            Self::Temporary => "check /etc/resolv.conf and that the name server can be reached",
            Self::Busy => "wait",
        }
    }
}
