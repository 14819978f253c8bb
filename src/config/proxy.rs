//! The HTTP proxy on the way to the gateway, from `HTTPS_PROXY` and `NO_PROXY`.
//!
//! Decides as Go's HTTP library does, so that an environment made for the Go agent works: loopback
//! is never proxied, `NO_PROXY` holds names, suffixes, addresses, networks and ports.

use std::net::IpAddr;

use super::error::{ConfigError, ProxySettingError};
use super::surroundings::Surroundings;
use crate::base::Secret;
use crate::base::address::GatewayAddress;
use crate::wire::percent;

/// A proxy that is asked with `CONNECT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it listens.
    pub address: GatewayAddress,
    /// User and password, percent-decoded, for basic authentication.
    pub login: Option<(String, Secret)>,
}

/// The proxy for connections to `target`, if the environment asks for one.
pub fn for_target(
    surroundings: Surroundings<'_>,
    target: &GatewayAddress,
) -> Result<Option<Proxy>, ConfigError> {
    let first_of = |names: [&'static str; 2]| {
        let set = |name| surroundings.get(name).map(|value| (name, value));
        set(names[0]).or_else(|| set(names[1]))
    };
    let Some((variable, value)) = first_of(["HTTPS_PROXY", "https_proxy"]) else {
        return Ok(None);
    };
    let exceptions = first_of(["NO_PROXY", "no_proxy"]).map(|(_, value)| value);
    if target.is_loopback() || is_excepted(&exceptions.unwrap_or_default(), target) {
        return Ok(None);
    }
    parse(&value)
        .map(Some)
        .map_err(|error| ConfigError::Proxy { variable, error })
}

fn parse(text: &str) -> Result<Proxy, ProxySettingError> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return Err(ProxySettingError::Scheme),
        None => text,
    };
    // A password may hold an unescaped slash or question mark only before the last @.
    let (user_info, host) = match rest.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info), host),
        None => (None, rest),
    };
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = match host.rsplit_once(']') {
        Some((_, after)) => !after.is_empty(),
        None => host.contains(':'),
    };
    let address = if has_port {
        GatewayAddress::parse(host)
    } else {
        GatewayAddress::parse(&format!("{host}:{PORT_DEFAULT}"))
    };
    let login = match user_info {
        Some(text) => {
            let (user, password) = text.split_once(':').unwrap_or((text, ""));
            let user = percent::decode_text(user).ok_or(ProxySettingError::Escape)?;
            let password = percent::decode(password).ok_or(ProxySettingError::Escape)?;
            Some((user, Secret::new(password)))
        }
        None => None,
    };
    Ok(Proxy {
        address: address.map_err(|_| ProxySettingError::Address)?,
        login,
    })
}

/// `NO_PROXY` names the target.
fn is_excepted(exceptions: &str, target: &GatewayAddress) -> bool {
    let host = target.host.trim_end_matches('.').to_ascii_lowercase();
    let ip: Option<IpAddr> = host.parse().ok();
    exceptions
        .split(',')
        .map(|entry| entry.trim().to_ascii_lowercase())
        .filter(|entry| !entry.is_empty())
        .any(|entry| entry_matches(&entry, &host, ip, target.port))
}

fn entry_matches(entry: &str, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return match (network.parse(), bits.parse(), ip) {
            (Ok(network), Ok(bits), Some(ip)) => is_in_network(ip, network, bits),
            _ => false,
        };
    }
    let (name, wanted_port) = split_port(entry);
    if wanted_port.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return ip == Some(address);
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    if let Some(suffix) = name.strip_prefix('.') {
        return is_below(host, suffix);
    }
    host == name || is_below(host, name)
}

/// A trailing `:port`, unless the colon belongs to an IPv6 address.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix)
        .is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

fn is_in_network(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (ip, network, width) = match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (u128::from(ip.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => (ip.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    if bits > width {
        return false;
    }
    let shift = width - bits;
    ip.checked_shr(shift) == network.checked_shr(shift)
}

/// What a proxy address without a port means.
const PORT_DEFAULT: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::surroundings;
    use proptest::prelude::*;

    fn target(text: &str) -> GatewayAddress {
        GatewayAddress::parse(text).unwrap()
    }

    fn chosen(variables: &[(&str, &str)], to: &str) -> Option<String> {
        surroundings(variables, &[], |s| {
            for_target(s, &target(to))
                .unwrap()
                .map(|proxy| proxy.address.authority)
        })
    }

    #[test]
    fn upper_case_comes_before_lower_case_and_empty_is_unset() {
        for (variables, wanted) in [
            (&[][..], None),
            (&[("https_proxy", "http://low:1")], Some("low:1")),
            (
                &[("HTTPS_PROXY", ""), ("https_proxy", "low:1")],
                Some("low:1"),
            ),
            (
                &[
                    ("HTTPS_PROXY", "http://up:1"),
                    ("https_proxy", "http://low:1"),
                ],
                Some("up:1"),
            ),
            (&[("HTTP_PROXY", "http://up:1")], None),
        ] {
            assert_eq!(chosen(variables, "gw.example:8443").as_deref(), wanted);
        }
    }

    #[test]
    fn loopback_is_never_proxied() {
        for to in ["localhost:1", "127.0.0.1:8010", "[::1]:8010"] {
            assert_eq!(chosen(&[("HTTPS_PROXY", "http://p:1")], to), None);
        }
    }

    #[test]
    fn addresses_and_credentials_are_read() {
        for (text, authority, login) in [
            ("http://proxy:3128", "proxy:3128", None),
            ("proxy:3128", "proxy:3128", None),
            ("HTTP://proxy", "proxy:80", None),
            ("http://[::2]:3128/", "[::2]:3128", None),
            ("http://[::2]", "[::2]:80", None),
            (
                "http://u:p%40s@proxy:1/x?y#z",
                "proxy:1",
                Some(("u", "p@s")),
            ),
            ("http://u:p@w@proxy:1", "proxy:1", Some(("u", "p@w"))),
            ("u@proxy:1", "proxy:1", Some(("u", ""))),
        ] {
            let proxy = parse(text).unwrap();
            assert_eq!(proxy.address.authority, authority);
            let found = proxy.login.as_ref();
            let found =
                found.map(|(user, password)| (user.as_str(), password.expose_text().unwrap()));
            assert_eq!(found, login);
        }
    }

    #[test]
    fn mistakes_name_the_variable_and_never_the_password() {
        for (text, error) in [
            ("socks5://u:hunter22@p:1", ProxySettingError::Scheme),
            ("https://u:hunter22@p:1", ProxySettingError::Scheme),
            ("http://u:hunter22@p:x", ProxySettingError::Address),
            ("http://u:hunter22@", ProxySettingError::Address),
            ("http://u:hunter22%@p:1", ProxySettingError::Escape),
        ] {
            assert_eq!(parse(text), Err(error));
            let message = surroundings(&[("https_proxy", text)], &[], |s| {
                for_target(s, &target("gw.example:1"))
                    .unwrap_err()
                    .to_string()
            });
            assert!(message.starts_with("https_proxy ") && !message.contains("hunter22"));
        }
    }

    #[test]
    fn exceptions_match_as_in_go() {
        for (exceptions, to, excepted) in [
            ("", "gw.example:1", false),
            ("*", "gw.example:1", true),
            ("gw.example", "gw.example:1", true),
            ("GW.example", "gw.EXAMPLE:1", true),
            ("gw.example", "a.gw.example:1", true),
            ("gw.example", "agw.example:1", false),
            (".gw.example", "a.gw.example:1", true),
            (".gw.example", "gw.example:1", false),
            ("*.gw.example", "a.b.gw.example:1", true),
            ("*.gw.example", "gw.example:1", false),
            ("other, gw.example ,x", "gw.example:1", true),
            ("gw.example:2", "gw.example:1", false),
            ("gw.example:1", "gw.example:1", true),
            ("10.0.0.1", "10.0.0.1:1", true),
            ("10.0.0.1:2", "10.0.0.1:1", false),
            ("10.0.0.0/8", "10.9.9.9:1", true),
            ("10.0.0.0/8", "11.0.0.1:1", false),
            ("0.0.0.0/0", "11.0.0.1:1", true),
            ("10.0.0.0/33", "10.0.0.1:1", false),
            ("10.0.0.0/8", "gw.example:1", false),
            ("2001:db8::/32", "[2001:db8::9]:1", true),
            ("2001:db8::9", "[2001:db8::9]:1", true),
            ("[2001:db8::9]:1", "[2001:db8::9]:1", true),
            ("[2001:db8::9]:2", "[2001:db8::9]:1", false),
            ("::/0", "[2001:db8::9]:1", true),
            ("0.0.0.1", "10.0.0.1:1", false),
        ] {
            assert_eq!(
                is_excepted(exceptions, &target(to)),
                excepted,
                "{exceptions} {to}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(
            proxy in "\\PC{0,40}|[a-z:@/%.\\[\\]0-9]{0,30}",
            exceptions in "\\PC{0,40}|[a-z:*/,.\\[\\]0-9]{0,30}",
        ) {
            let _ = parse(&proxy);
            let _ = is_excepted(&exceptions, &target("gw.example:1"));
            let _ = is_excepted(&exceptions, &target("[2001:db8::9]:1"));
        }
    }
}
