//! Where the gateway is: a host and a port, and how both are written.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::base::near::is_near;

/// A host, without brackets, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or literal address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Where a service is by its name (RFC 2782), and what goes with that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// The hosts that serve it, in the order in which they are to be tried.
    pub hosts: Vec<Address>,
    /// What the text under its own name says.
    pub text: String,
}

/// The gateway's host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// Name or literal address to resolve; an IPv6 address stands here without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
    /// `host:port` as HTTP/2 and people write it, IPv6 in brackets.
    pub authority: String,
}

impl GatewayAddress {
    /// Reads `host:port`, where an IPv6 address must stand in brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(AddressError::Host)?;
                if host.contains('%') {
                    return Err(AddressError::Zone);
                }
                host.parse::<Ipv6Addr>().map_err(|_| AddressError::Host)?;
                let port = if rest.is_empty() {
                    ""
                } else {
                    rest.strip_prefix(':').ok_or(AddressError::Host)?
                };
                (host, port)
            }
            None => {
                let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
                if host.contains(':') || text.parse::<Ipv6Addr>().is_ok() {
                    return Err(AddressError::Brackets);
                }
                (host, port)
            }
        };
        if host.is_empty() {
            return Err(AddressError::HostMissing);
        }
        if !host.contains(':') && !host.bytes().all(is_host_byte) {
            return Err(AddressError::Host);
        }
        if port.is_empty() {
            return Err(AddressError::PortMissing);
        }
        let number = port_number(port).ok_or(AddressError::Port)?;
        Ok(Self::new(host, number))
    }

    fn new(host: &str, port: u16) -> Self {
        let authority = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        Self {
            host: host.to_owned(),
            port,
            authority,
        }
    }

    /// [`is_near`] of a literal address or `localhost`; `None` for a name, which its look-up decides.
    pub fn is_near(&self) -> Option<bool> {
        match self.host.parse() {
            Ok(address) => Some(is_near(address)),
            Err(_) => self.is_loopback().then_some(true),
        }
    }

    /// The address cannot leave this machine: `localhost`, 127.0.0.0/8 or `::1`.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// Digits only, 1 to 65535: `str::parse` alone would take a sign.
fn port_number(text: &str) -> Option<u16> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port != 0)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// What is wrong with an address. Never quotes it: it may be part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing before the port.
    HostMissing,
    /// Characters that no host name has.
    Host,
    /// An IPv6 address without brackets.
    Brackets,
    /// An IPv6 address with a zone.
    Zone,
    /// No port, or an empty one.
    PortMissing,
    /// Not a number from 1 to 65535.
    Port,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostMissing => "it names no host; write HOST:PORT",
            Self::Host => {
                "the host holds characters that no host name has; names outside ASCII need \
                 their xn-- form"
            }
            Self::Brackets => "an IPv6 address needs brackets; write [ADDRESS]:PORT",
            Self::Zone => "IPv6 addresses with a zone (%) are not supported; use another address",
            Self::PortMissing => {
                "it names no port and there is no default; write HOST:PORT (gateways usually \
                 listen on 8010, behind TLS often on 8443)"
            }
            Self::Port => "the port is not a number from 1 to 65535",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_literals_are_read() {
        for (text, host, port) in [
            ("gw.example.com:8443", "gw.example.com", 8443),
            ("127.0.0.1:8010", "127.0.0.1", 8010),
            ("[::1]:8010", "::1", 8010),
            ("[2001:db8::1]:1", "2001:db8::1", 1),
            ("my_host-1:65535", "my_host-1", 65535),
        ] {
            let address = GatewayAddress::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.authority, text);
        }
    }

    #[test]
    fn each_mistake_is_told_apart() {
        use AddressError as E;
        for (text, error) in [
            ("", E::HostMissing),
            (":8010", E::HostMissing),
            ("gw.example.com", E::PortMissing),
            ("gw.example.com:", E::PortMissing),
            ("[::1]", E::PortMissing),
            ("[::1]:", E::PortMissing),
            ("::1:8010", E::Brackets),
            ("::1", E::Brackets),
            ("[::1", E::Host),
            ("[::1]8010", E::Host),
            ("[gw.example.com]:8010", E::Host),
            ("[fe80::1%25eth0]:8010", E::Zone),
            ("gw.exämple.com:8010", E::Host),
            ("gw example:8010", E::Host),
            ("gw:0", E::Port),
            ("gw:65536", E::Port),
            ("gw:+80", E::Port),
            ("gw:80a", E::Port),
        ] {
            assert_eq!(GatewayAddress::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn loopback_is_recognised_in_all_its_forms() {
        let loopback = |text| GatewayAddress::parse(text).unwrap().is_loopback();
        assert!(loopback("localhost:1") && loopback("LOCALHOST:1") && loopback("127.9.9.9:1"));
        assert!(loopback("[::1]:1"));
        assert!(!loopback("10.0.0.1:1") && !loopback("localhost.example:1"));
        assert!(!loopback("[::2]:1"));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_written_back_the_same_way(text in "\\PC{0,40}|[a-z0-9.:\\[\\]]{0,20}") {
            if let Ok(address) = GatewayAddress::parse(&text) {
                let again = GatewayAddress::parse(&address.authority);
                prop_assert_eq!(again, Ok(address));
            }
        }
    }
}
