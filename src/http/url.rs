//! The gateway's REST address: where to connect and what to put before a path.

use std::fmt;

use crate::base::{AddressError, GatewayAddress};

/// An `http://` or `https://` URL without query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Speak TLS.
    pub is_tls: bool,
    /// Where to connect.
    pub address: GatewayAddress,
    /// Value of the `host` header: the URL's own host and port.
    pub authority: String,
    /// The URL's path without a slash at the end; empty or beginning with a slash.
    pub prefix: String,
}

/// What is wrong with a URL. Never quotes it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Neither `http://` nor `https://`.
    Scheme,
    /// A user, a query or a fragment.
    Extra,
    /// The path holds something that no request line can.
    Path,
    /// The host or the port.
    Address(AddressError),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("it must begin with https:// or http://"),
            Self::Extra => f.write_str("it must hold no user, query or fragment"),
            Self::Path => f.write_str("its path holds a character that no URL may"),
            Self::Address(error) => write!(f, "{error}"),
        }
    }
}

impl BaseUrl {
    /// Reads a URL; the port defaults to the scheme's.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let is_tls = scheme.eq_ignore_ascii_case("https");
        if !is_tls && !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme);
        }
        if rest.contains(['@', '?', '#']) {
            return Err(UrlError::Extra);
        }
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Path);
        }
        let port_default = if is_tls { 443 } else { 80 };
        let address = match GatewayAddress::parse(authority) {
            Err(AddressError::PortMissing) => {
                let host = authority.trim_end_matches(':');
                GatewayAddress::parse(&format!("{host}:{port_default}"))
            }
            parsed => parsed,
        };
        let address = address.map_err(UrlError::Address)?;
        let suffix = format!(":{port_default}");
        let authority = address.authority.strip_suffix(&suffix);
        Ok(Self {
            is_tls,
            authority: authority.unwrap_or(&address.authority).to_owned(),
            prefix: path.trim_end_matches('/').to_owned(),
            address,
        })
    }
}

/// The URL as people write it.
impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

/// `segment` with everything but unreserved characters percent-encoded (RFC 3986 section 2.3).
pub fn encode_segment(segment: &str) -> String {
    // It never grows: what it holds may be a secret, and copies stay behind.
    let mut out = String::with_capacity(3 * segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, is_tls, authority, port, prefix) in [
            ("https://use.hoop.dev", true, "use.hoop.dev", 443, ""),
            ("http://127.0.0.1:8009/", false, "127.0.0.1:8009", 8009, ""),
            ("HTTPS://h:8443/hoop/x/", true, "h:8443", 8443, "/hoop/x"),
            ("https://h:443/a", true, "h", 443, "/a"),
            ("http://h:443", false, "h:443", 443, ""),
            ("http://[::1]", false, "[::1]", 80, ""),
            ("http://[::1]:8009", false, "[::1]:8009", 8009, ""),
        ] {
            let url = BaseUrl::parse(text).unwrap();
            assert_eq!((url.is_tls, url.authority.as_str()), (is_tls, authority));
            assert_eq!((url.address.port, url.prefix.as_str()), (port, prefix));
        }
    }

    #[test]
    fn mistakes_are_told_apart() {
        for (text, error) in [
            ("use.hoop.dev", UrlError::Scheme),
            ("grpcs://h:1", UrlError::Scheme),
            ("https://u:p@h", UrlError::Extra),
            ("https://h/?x", UrlError::Extra),
            ("https://h/a b", UrlError::Path),
            ("https://h/\r\nx", UrlError::Path),
            ("https://", UrlError::Address(AddressError::HostMissing)),
            ("https://h:x", UrlError::Address(AddressError::Port)),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(encode_segment("a-b_c.1~"), "a-b_c.1~");
        assert_eq!(encode_segment("../x y\r\né"), "..%2Fx%20y%0D%0A%C3%A9");
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,40}|https?://[a-z:@/%.\\[\\]0-9]{0,30}") {
            if let Ok(url) = BaseUrl::parse(&text) {
                prop_assert_eq!(BaseUrl::parse(&url.to_string()), Ok(url));
            }
        }
    }
}
