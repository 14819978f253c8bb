//! The key text an operator copies from the gateway: a URL with the agent's name and secret.
//!
//! ```text
//! grpcs://NAME:SECRET@HOST:PORT?mode=standard
//! https://HOST:PORT/<64 characters>              (before 2023)
//! ```
//!
//! Only what the agent needs is taken out; the secret stays in the text, which is sent as it is.
//! No error quotes any part of the text but a scheme that cannot be a secret.

use std::fmt;

use crate::base::Secret;
use crate::base::address::{AddressError, GatewayAddress};
use crate::wire::base64;
use crate::wire::percent;

/// What a key says besides its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    /// How to reach the gateway.
    pub scheme: Scheme,
    /// Where the gateway is.
    pub gateway: GatewayAddress,
    /// The agent's name; the old path form has none.
    pub name: Option<String>,
    /// How the agent is to work.
    pub mode: Mode,
    /// The text has the form of before 2023, which today's gateways refuse.
    pub is_old_form: bool,
}

/// The schemes that gateways write into keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `grpc`, `http` or `ws`.
    Plain,
    /// `grpcs`, `https` or `wss`.
    Tls,
}

/// How the agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One stream, held open.
    Standard,
    /// Asks the gateway every few seconds whether a stream is wanted.
    Embedded,
    /// `multi-connection`, of organisation keys: changes nothing for the agent.
    MultiConnection,
    /// A word that nobody knows: worked as standard.
    Unknown,
}

impl Mode {
    /// The word of keys and start lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Embedded => "embedded",
            Self::MultiConnection => "multi-connection",
            Self::Unknown => "unknown",
        }
    }

    fn from_query(value: &str) -> Self {
        match value {
            "" | "standard" => Self::Standard,
            "embedded" => Self::Embedded,
            "multi-connection" => Self::MultiConnection,
            _ => Self::Unknown,
        }
    }
}

impl Scheme {
    pub(super) fn parse(text: &str) -> Result<Self, DsnError> {
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "grpc" | "http" | "ws" => Ok(Self::Plain),
            "grpcs" | "https" | "wss" => Ok(Self::Tls),
            _ => Err(DsnError::Scheme(nameable(lower))),
        }
    }
}

/// A scheme that may be repeated in a message: short, of letters only, so no secret.
fn nameable(scheme: String) -> Option<String> {
    let harmless = !scheme.is_empty()
        && scheme.len() <= SCHEME_SHOWN_MAX
        && scheme.bytes().all(|b| b.is_ascii_lowercase());
    harmless.then_some(scheme)
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DsnError {
    /// No `scheme://` in front, or no secret behind the name.
    NoSecret,
    /// A static token, which belongs into another variable.
    StaticToken,
    /// A JWT, which belongs into a file.
    Jwt,
    /// `HOOP_KEY=` (or such) is part of the text.
    Assignment,
    /// Quotation marks are part of the text.
    Quoted,
    /// Quotation marks as print has them.
    CurlyQuotes,
    /// Backticks are part of the text.
    Backticks,
    /// `<` or `>` is part of the text, as in a template.
    AngleBrackets,
    /// A byte order mark stands in front.
    ByteOrderMark,
    /// The text is UTF-16, as some editors and shells of Windows write it.
    Utf16,
    /// The key is encoded in base64.
    Base64,
    /// A space, a line break or a character outside ASCII within the text.
    Character,
    /// A `%` without two hex digits.
    Escape,
    /// A scheme that nobody knows; its name where it can be shown.
    Scheme(Option<String>),
    /// The host or the port.
    Address(AddressError),
}

impl fmt::Display for DsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecret => f.write_str(
                "secret key not found in dsn; it must look like \
                 grpcs://NAME:KEY@HOST:PORT?mode=standard, copy it again as `hoop-lite admin \
                 create agent NAME` printed it",
            ),
            Self::StaticToken => f.write_str(
                "secret key not found in dsn; this is a static token: put it into HOOP_TOKEN and \
                 the gateway's host:port into HOOP_GRPCURL",
            ),
            Self::Jwt => f.write_str(
                "secret key not found in dsn; this looks like a JWT: put it into a file, the \
                 file's path into HOOP_SPIFFE_KEY_FILE and the gateway's host:port into \
                 HOOP_GRPCURL",
            ),
            Self::Assignment => f.write_str(
                "a variable's name and = are part of the value; keep only what follows the =",
            ),
            Self::Quoted => f.write_str(
                "quotation marks are part of the value; remove them (env files of containers \
                 keep them)",
            ),
            Self::CurlyQuotes => f.write_str(
                "quotation marks outside ASCII are part of the value; remove them (chats and word \
                 processors make them)",
            ),
            Self::Backticks => f.write_str(
                "backticks (`) are part of the value; remove them (chats and wikis put them around \
                 code)",
            ),
            Self::AngleBrackets => f.write_str(
                "it holds < or >, as a template does; put the values in and leave the brackets \
                 away",
            ),
            Self::ByteOrderMark => f.write_str(
                "a byte order mark stands in front of it; save the text as UTF-8 without BOM, or \
                 as ASCII",
            ),
            Self::Utf16 => f.write_str(
                "it is UTF-16; save the text as UTF-8 without BOM, or as ASCII (PowerShell: \
                 Out-File -Encoding ascii)",
            ),
            Self::Base64 => f.write_str(
                "it does not look like a key, but like one in base64; decode it (base64 -d), and encode a key for `data:` of a \
                 Kubernetes Secret only once",
            ),
            Self::Character => f.write_str(
                "a space, a line break or a character outside ASCII is in the middle of it; it \
                 is one line of plain characters, copy it again",
            ),
            Self::Escape => f.write_str("a % in it is not followed by two hex digits"),
            Self::Scheme(Some(scheme)) => {
                write!(f, "unknown scheme {scheme}://; use {SCHEMES_WANTED}")
            }
            Self::Scheme(None) => write!(f, "unknown scheme; use {SCHEMES_WANTED}"),
            Self::Address(error) => error.fmt(f),
        }
    }
}

impl Dsn {
    /// Reads a key as it came, in whatever encoding.
    pub fn read(key: &Secret) -> Result<Self, DsnError> {
        let bytes = key.expose();
        if is_utf16(bytes) {
            return Err(DsnError::Utf16);
        }
        Self::parse(key.expose_text().ok_or(DsnError::Character)?)
    }

    /// Reads a key. White space around it is the caller's to trim.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        reject_lookalikes(text)?;
        let (scheme, rest) = text.split_once("://").ok_or(DsnError::NoSecret)?;
        let scheme = Scheme::parse(scheme)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let path = percent::decode(path).ok_or(DsnError::Escape)?;
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        let gateway = || GatewayAddress::parse(host).map_err(DsnError::Address);
        if path.len() == OLD_PATH_BYTES {
            return Ok(Self {
                scheme,
                gateway: gateway()?,
                name: None,
                mode: Mode::Embedded,
                is_old_form: true,
            });
        }
        let (name, secret) = user_info
            .and_then(|user_info| user_info.split_once(':'))
            .ok_or(DsnError::NoSecret)?;
        if percent::decode(secret).ok_or(DsnError::Escape)?.is_empty() {
            return Err(DsnError::NoSecret);
        }
        let name = percent::decode_text(name).ok_or(DsnError::Escape)?;
        Ok(Self {
            scheme,
            gateway: gateway()?,
            name: Some(name).filter(|name| !name.is_empty()),
            mode: mode(query),
            is_old_form: false,
        })
    }
}

/// The usual wrong texts, each of which would otherwise get a misleading reason.
fn reject_lookalikes(text: &str) -> Result<(), DsnError> {
    if text.starts_with('\u{feff}') {
        return Err(DsnError::ByteOrderMark);
    }
    for (quotes, error) in [
        (&['"', '\''][..], DsnError::Quoted),
        (
            &['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'],
            DsnError::CurlyQuotes,
        ),
    ] {
        if text.starts_with(quotes) || text.ends_with(quotes) {
            return Err(error);
        }
    }
    if text.contains('`') {
        return Err(DsnError::Backticks);
    }
    if text.contains(['<', '>']) {
        return Err(DsnError::AngleBrackets);
    }
    if text.starts_with("export HOOP_") {
        return Err(DsnError::Assignment);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(DsnError::Character);
    }
    if text.starts_with("HOOP_") && text.contains('=') {
        return Err(DsnError::Assignment);
    }
    if text.starts_with("x-agt-") {
        return Err(DsnError::StaticToken);
    }
    if text.starts_with("eyJ") && is_jwt(text) {
        return Err(DsnError::Jwt);
    }
    if !text.contains("://") && is_encoded_key(text) {
        return Err(DsnError::Base64);
    }
    Ok(())
}

/// Base64 of something that is a URL with user information.
fn is_encoded_key(text: &str) -> bool {
    let decoded = base64::decode(text.as_bytes()).map(Secret::new);
    decoded.is_ok_and(|decoded| {
        let text = decoded.expose_text().unwrap_or_default();
        text.contains("://") && text.contains('@')
    })
}

/// A mark of UTF-16 in front, or the zero bytes that it puts between plain characters.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0)
}

/// Three dot-separated parts, none empty.
pub(super) fn is_jwt(text: &str) -> bool {
    text.split('.').count() == 3 && text.split('.').all(|part| !part.is_empty())
}

/// The first `mode` of a query.
fn mode(query: &str) -> Mode {
    let value = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == "mode")
        .and_then(|(_, value)| percent::decode_text(value));
    Mode::from_query(value.as_deref().unwrap_or_default())
}

/// A slash and 64 characters.
const OLD_PATH_BYTES: usize = 65;
/// Longer than any scheme, shorter than any secret.
const SCHEME_SHOWN_MAX: usize = 8;
const SCHEMES_WANTED: &str = "grpcs:// (TLS) or grpc:// (no TLS); https, wss, http and ws are \
     taken as the same";

/// The text looks like a key or a token, so no message may repeat it.
pub fn looks_like_key(text: &str) -> bool {
    let is_url = text
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'));
    is_url
        || text.contains("xagt-")
        || text.contains("x-agt-")
        || text.contains("xapi-")
        || text.contains("hpk_")
        || (text.starts_with("eyJ") && is_jwt(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Dsn {
        Dsn::parse(text).unwrap()
    }

    #[test]
    fn the_current_form_is_read() {
        let dsn = parse("grpcs://dev:xagt-AbC@gw.example.com:8443?mode=standard");
        assert_eq!(
            dsn,
            Dsn {
                scheme: Scheme::Tls,
                gateway: GatewayAddress::parse("gw.example.com:8443").unwrap(),
                name: Some("dev".to_owned()),
                mode: Mode::Standard,
                is_old_form: false,
            }
        );
    }

    #[test]
    fn a_slash_before_the_query_unknown_keys_and_a_fragment_are_tolerated() {
        let dsn = parse("grpcs://dev:k@gw:1/?x=y&mode=embedded&mode=standard#z");
        assert_eq!((dsn.mode, dsn.gateway.port), (Mode::Embedded, 1));
    }

    #[test]
    fn modes_are_read_from_the_query() {
        for (query, mode) in [
            ("", Mode::Standard),
            ("?mode=", Mode::Standard),
            ("?mode=standard", Mode::Standard),
            ("?mode=embedded", Mode::Embedded),
            ("?mode=embe%64ded", Mode::Embedded),
            ("?mode=multi-connection", Mode::MultiConnection),
            ("?mode=standart", Mode::Unknown),
            ("?mode=%zz", Mode::Standard),
            ("?Mode=embedded", Mode::Standard),
        ] {
            assert_eq!(
                parse(&format!("grpc://a:b@c:1{query}")).mode,
                mode,
                "{query}"
            );
        }
    }

    #[test]
    fn schemes_decide_about_tls_in_any_case() {
        for (scheme, wanted) in [
            ("grpc", Scheme::Plain),
            ("http", Scheme::Plain),
            ("ws", Scheme::Plain),
            ("grpcs", Scheme::Tls),
            ("https", Scheme::Tls),
            ("wss", Scheme::Tls),
            ("GRPCS", Scheme::Tls),
        ] {
            assert_eq!(parse(&format!("{scheme}://a:b@c:1")).scheme, wanted);
        }
    }

    #[test]
    fn an_unknown_scheme_is_an_error_that_names_it() {
        let error = Dsn::parse("grpsc://a:b@c:1").unwrap_err();
        assert_eq!(error, DsnError::Scheme(Some("grpsc".to_owned())));
        assert!(error.to_string().contains("grpsc://"));
        for secret in ["xagt-abc://h", "abcdefghi://h", "abc1://h"] {
            assert_eq!(Dsn::parse(secret), Err(DsnError::Scheme(None)));
        }
    }

    #[test]
    fn the_old_path_form_is_embedded_and_nameless_whatever_its_user_info() {
        let path = "a".repeat(64);
        for text in [
            format!("https://gw.example.com:8443/{path}"),
            format!("https://x:y@gw.example.com:8443/{path}?mode=standard"),
            format!("https://gw.example.com:8443/%61{}", "a".repeat(63)),
        ] {
            let dsn = parse(&text);
            assert_eq!((dsn.mode, dsn.name), (Mode::Embedded, None));
            assert!(dsn.is_old_form);
        }
        for length in [63, 65] {
            let text = format!("https://gw.example.com:8443/{}", "a".repeat(length));
            assert_eq!(Dsn::parse(&text), Err(DsnError::NoSecret));
        }
    }

    #[test]
    fn names_and_secrets_are_percent_decoded() {
        let dsn = parse("grpc://de%76%40x:%61@[::1]:8010");
        assert_eq!(dsn.name.as_deref(), Some("dev@x"));
        assert_eq!(dsn.gateway.host, "::1");
        assert_eq!(parse("grpc://:k@h:1").name, None);
    }

    #[test]
    fn utf_16_is_named() {
        let wide: Vec<u8> = "grpcs://a:b@c:1"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let marked = [&[0xff, 0xfe], &wide[..]].concat();
        for bytes in [wide, marked] {
            assert_eq!(Dsn::read(&Secret::new(bytes)), Err(DsnError::Utf16));
        }
        assert_eq!(
            Dsn::read(&Secret::new(vec![0x80])),
            Err(DsnError::Character)
        );
    }

    #[test]
    fn each_mistake_is_told_apart() {
        use DsnError as E;
        let address = |error| E::Address(error);
        for (text, error) in [
            ("", E::NoSecret),
            ("xagt-secret", E::NoSecret),
            ("gw.example.com:8443", E::NoSecret),
            ("gw.example.com", E::NoSecret),
            ("grpcs://gw.example.com:8443", E::NoSecret),
            ("grpcs://dev@gw.example.com:8443", E::NoSecret),
            ("grpcs://dev:@gw.example.com:8443", E::NoSecret),
            ("x-agt-abc", E::StaticToken),
            ("eyJh.eyJz.c2ln", E::Jwt),
            ("HOOP_KEY=grpcs://a:b@c:1", E::Assignment),
            ("\"grpcs://a:b@c:1\"", E::Quoted),
            ("grpcs://a:b@c:1'", E::Quoted),
            ("\u{201c}grpcs://a:b@c:1\u{201d}", E::CurlyQuotes),
            ("`grpcs://a:b@c:1`", E::Backticks),
            ("grpcs://<name>:<key>@c:1", E::AngleBrackets),
            ("<grpcs://a:b@c:1>", E::AngleBrackets),
            ("\u{feff}grpcs://a:b@c:1", E::ByteOrderMark),
            ("export HOOP_KEY=grpcs://a:b@c:1", E::Assignment),
            ("Z3JwY3M6Ly9hOmJAYzox", E::Base64),
            ("Z3JwY3M6Ly9hOmJAYzoxCg==", E::Base64),
            ("grpcs://a:b @c:1", E::Character),
            ("grpcs://a:b\n@c:1", E::Character),
            ("grpcs://a:b\u{fc}@c:1", E::Character),
            ("grpcs://a:%zz@c:1", E::Escape),
            ("grpcs://%:b@c:1", E::Escape),
            ("grpcs://a:b@c:1/%", E::Escape),
            ("grpcs://a:b@c", address(AddressError::PortMissing)),
            (
                "grpcs://a:b@c:?mode=standard",
                address(AddressError::PortMissing),
            ),
            ("grpcs://a:b@:1", address(AddressError::HostMissing)),
            ("grpcs://a:b@::1:8010", address(AddressError::Brackets)),
        ] {
            assert_eq!(Dsn::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,80}") {
            let _ = Dsn::parse(&text);
        }

        #[test]
        fn any_text_with_the_right_marks_gets_an_answer(text in "(grpcs?|wss?)://[a-z%:@/?#\\[\\]=&.0-9]{0,60}") {
            let _ = Dsn::parse(&text);
        }

        #[test]
        fn no_error_holds_the_secret(
            secret in "[A-Za-z0-9_%-]{10,43}",
            shape in proptest::sample::select(&[
                "grpcs://dev:{}@gw", "grpcs://dev:{}@gw:99999", "grpcx://dev:{}@gw:1", "{}",
                "{}://dev:x@gw:1", "grpcs://{}", "dev:{}@gw:1", "grpcs://dev@{}:1",
                "grpcs://gw:1/{}", "HOOP_KEY={}", "x-agt-{}", "eyJ.b.{}", "\"{}\"", "grpcs://d:{}\n@g:1",
                "`{}`", "<{}>", "\u{feff}{}", "export HOOP_KEY={}",
            ][..]),
        ) {
            if let Err(error) = Dsn::parse(&shape.replace("{}", &secret)) {
                let text = error.to_string();
                prop_assert!(!text.contains(&secret));
                prop_assert!(!text.contains(&secret.to_ascii_lowercase()));
            }
        }
    }
}
