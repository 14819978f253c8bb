//! Why the configuration cannot be used, and what an operator should know but may ignore.
//!
//! Each text names the variable, says what is wrong and what to do, and quotes no secret. Where
//! the upstream agent has a text for the case, ours begins with it.

use std::{fmt, io};

use super::dsn::DsnError;
use crate::base::address::{AddressError, GatewayAddress};
use crate::base::trust::NO_AUTHORITY;

/// A configuration that the agent does not start with.
#[derive(Debug)]
pub enum ConfigError {
    /// No variable holds a key.
    MissingKey,
    /// The key of a variable is not one.
    Key {
        /// Which variable.
        variable: &'static str,
        /// What is wrong with its value.
        reason: DsnError,
    },
    /// The key's address, or `HOOP_GRPCURL`, is not one.
    Address {
        /// Which variable.
        variable: &'static str,
        /// What is wrong with the address in it.
        error: AddressError,
    },
    /// `HOOP_GRPCURL` begins with a scheme that nobody knows.
    UrlScheme,
    /// `HOOP_SPIFFE_KEY_FILE` without `HOOP_GRPCURL`.
    SpiffeNeedsUrl,
    /// A variable that wants a path holds a key.
    KeyForPath {
        /// Which variable.
        variable: &'static str,
    },
    /// A file cannot be read.
    File {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// A file holds nothing but white space.
    FileEmpty {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: String,
    },
    /// A key file's content is not a key.
    FileKey {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: String,
        /// What is wrong with its content.
        reason: DsnError,
    },
    /// The SPIFFE file's content is not a JWT.
    FileNotJwt {
        /// The file.
        path: String,
    },
    /// A key file read again names another gateway or another mode.
    FileMoved {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: String,
    },
    /// A static token with characters that no header can carry.
    Token {
        /// Which variable.
        variable: &'static str,
    },
    /// `HOOP_TLSCA` is in none of its three forms.
    AuthorityForm,
    /// `HOOP_TLSCA` is a path without `file://`.
    AuthorityPath,
    /// `HOOP_TLSCA` is OpenSSL's own kind of certificate.
    AuthorityTrusted,
    /// `HOOP_TLSCA` is UTF-16.
    AuthorityUtf16,
    /// `HOOP_TLSCA` is `base64://` and something else.
    AuthorityBase64,
    /// The proxy's address.
    Proxy {
        /// Which variable.
        variable: &'static str,
        /// What is wrong with its value.
        error: ProxySettingError,
    },
    /// No TLS to an address on the open network, which a setting refuses.
    Plaintext(GatewayAddress),
    /// A setting of our own.
    Setting {
        /// Which variable.
        variable: &'static str,
        /// What its value must look like.
        wanted: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey => f.write_str(
                "missing HOOP_KEY environment variable; set it to the key that `hoop-lite admin \
                 create agent NAME` prints, or HOOP_KEY_FILE to a file that holds the key",
            ),
            Self::Key { variable, reason } => {
                let note = deprecated(variable);
                write!(f, "{variable}{note} is in wrong format, reason={reason}")
            }
            Self::Address { variable, error } => {
                write!(f, "server address is in wrong format: {variable}: {error}")
            }
            Self::UrlScheme => f.write_str(
                "HOOP_GRPCURL has an unknown scheme; write HOST:PORT, grpcs://HOST:PORT or \
                 grpc://HOST:PORT",
            ),
            Self::SpiffeNeedsUrl => f.write_str(
                "HOOP_SPIFFE_KEY_FILE requires HOOP_GRPCURL to be set; set it to the gateway's \
                 host:port, or set HOOP_KEY if this agent has a key",
            ),
            Self::KeyForPath { variable } => write!(
                f,
                "{variable} holds a key, but wants the path of a file; put the key into HOOP_KEY \
                 or into a file of mode 0600 and that file's path here"
            ),
            Self::Plaintext(gateway) => write!(
                f,
                "no TLS to {gateway}, and --refuse-plaintext allows that towards loopback, private, \
                 shared and link-local addresses only; use a grpcs:// key"
            ),
            Self::Setting { variable, wanted } => {
                let flag = FlagOf(variable);
                write!(f, "{variable} ({flag}) wants {wanted}")
            }
            Self::Token { variable } => write!(
                f,
                "{variable} holds a space, a line break or a character outside ASCII; copy the \
                 token again"
            ),
            Self::AuthorityForm => f.write_str(NO_AUTHORITY),
            Self::AuthorityPath => f.write_str(
                "HOOP_TLSCA is the path of a file: write file:// in front of it, as in \
                 HOOP_TLSCA=file:///etc/ssl/ca.pem",
            ),
            Self::AuthorityTrusted => f.write_str(
                "HOOP_TLSCA holds a TRUSTED CERTIFICATE, a form of OpenSSL's own; convert it with \
                 `openssl x509 -in FILE -out FILE`",
            ),
            Self::AuthorityUtf16 => {
                f.write_str("HOOP_TLSCA is UTF-16; save the file as UTF-8 or ASCII")
            }
            Self::AuthorityBase64 => f.write_str(
                "HOOP_TLSCA is not valid base64 after base64://; encode the PEM text with \
                 `base64 -w0`",
            ),
            Self::Proxy { variable, error } => write!(
                f,
                "{variable} is in wrong format: {error}; or name the gateway's host in NO_PROXY"
            ),
            file => file.fmt_file(f),
        }
    }
}

impl ConfigError {
    /// It lies in a variable, and so is as wrong as a flag can be; what lies in a file may be mended while
    /// the program is started again.
    pub fn is_usage(&self) -> bool {
        !matches!(
            self,
            Self::File { .. }
                | Self::FileEmpty { .. }
                | Self::FileKey { .. }
                | Self::FileNotJwt { .. }
                | Self::FileMoved { .. }
                | Self::Plaintext(_)
        )
    }

    fn fmt_file(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                variable,
                path,
                error,
            } => {
                write!(f, "failed reading {variable} {path:?}: {error}")?;
                f.write_str(match error.kind() {
                    io::ErrorKind::NotFound => "; create the file or correct the path",
                    io::ErrorKind::PermissionDenied => "; let this user read it",
                    _ => "",
                })
            }
            Self::FileEmpty { variable, path } => {
                write!(f, "{variable} {path:?} is empty; write the key into it")
            }
            Self::FileKey {
                variable,
                path,
                reason,
            } => {
                write!(f, "{variable} {path:?} is in wrong format, reason={reason}")
            }
            Self::FileNotJwt { path } => write!(
                f,
                "HOOP_SPIFFE_KEY_FILE {path:?} does not look like a JWT (expected three \
                 dot-separated segments); let the SPIFFE helper write a JWT-SVID there"
            ),
            Self::FileMoved { variable, path } => write!(
                f,
                "{variable} {path:?} now names another gateway or mode; restart to follow it"
            ),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The flag that sets the same as a variable `HOOP_LITE_...`.
struct FlagOf<'a>(&'a str);

impl fmt::Display for FlagOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("--")?;
        let name = match self.0 {
            "HOOP_LITE_LOG_ENCODING" => "format",
            variable => variable.trim_start_matches("HOOP_LITE_"),
        };
        for c in name.chars() {
            let c = if c == '_' {
                '-'
            } else {
                c.to_ascii_lowercase()
            };
            fmt::Write::write_char(f, c)?;
        }
        Ok(())
    }
}

fn deprecated(variable: &str) -> &'static str {
    if variable == "HOOP_DSN" {
        " (deprecated)"
    } else {
        ""
    }
}

/// Something that works, but that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The key came by `HOOP_DSN`.
    DeprecatedDsn,
    /// A static token came by this variable.
    DeprecatedToken(&'static str),
    /// The key has the form of before 2023.
    OldKeyForm,
    /// The key's mode is no word that is known.
    UnknownMode,
    /// No certificate is verified.
    SkipVerify,
    /// No TLS to an address that is not this machine.
    Plaintext(GatewayAddress),
    /// A variable that counts only as exactly `true` holds something else.
    NotTrue(&'static str),
    /// `HOOP_TLSCA` has no effect together with a static token.
    AuthorityIgnored,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeprecatedDsn => {
                f.write_str("HOOP_DSN environment variable is deprecated, use HOOP_KEY instead")
            }
            Self::DeprecatedToken(variable) => write!(
                f,
                "{variable} and HOOP_GRPCURL environment variables are deprecated, create a key \
                 with `hoop-lite admin create agent NAME` and set HOOP_KEY"
            ),
            Self::OldKeyForm => f.write_str(
                "the key has the form of before 2023, which current gateways refuse: create a \
                 new one",
            ),
            Self::UnknownMode => f.write_str(
                "the key's mode is neither standard nor embedded: worked as standard; copy the key \
                 again if that is not wanted",
            ),
            Self::SkipVerify => f.write_str(
                "HOOP_TLS_SKIP_VERIFY=true: the gateway's certificate is NOT verified, anybody \
                 on the way can read the key and all sessions; set HOOP_TLSCA instead",
            ),
            Self::Plaintext(gateway) => write!(
                f,
                "no TLS to {gateway}: the key and all sessions cross the network readable by \
                 anybody on the way; use a grpcs:// key"
            ),
            Self::NotTrue(variable) => {
                write!(
                    f,
                    "{variable} has no effect: only the exact value true counts"
                )
            }
            Self::AuthorityIgnored => f.write_str(
                "HOOP_TLSCA has no effect with a static token: the public authorities are \
                 trusted; use HOOP_KEY to trust your own",
            ),
        }
    }
}

/// What is wrong with a proxy's address. Never quotes it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxySettingError {
    /// TLS to the proxy, SOCKS or something unheard of.
    Scheme,
    /// The host or the port.
    Address,
    /// A `%` without two hex digits.
    Escape,
}

impl fmt::Display for ProxySettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "only http:// proxies are supported; use http://HOST:PORT",
            Self::Address => "host or port is not valid; use http://HOST:PORT",
            Self::Escape => {
                "a % in it is not followed by two hex digits; write a % of a password as %25"
            }
        })
    }
}
