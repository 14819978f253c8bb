//! Addresses that stay within the networks of their owner.

use std::net::IpAddr;

/// Loopback, private (RFC 1918, RFC 4193), shared (RFC 6598) or link-local: whoever reads along there
/// is inside already. Everything else is the open network.
pub fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            address.is_loopback() || address.is_private() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            address.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_end_where_they_do() {
        let near = |text: &str| is_near(text.parse().unwrap());
        for text in [
            "127.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "169.254.1.1",
            "::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(near(text), "{text}");
        }
        for text in [
            "8.8.8.8",
            "172.32.0.1",
            "172.15.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "11.0.0.1",
            "2001:db8::1",
            "fec0::1",
            "fbff::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!near(text), "{text}");
        }
    }
}
