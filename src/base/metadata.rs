//! Addresses by which a machine of a cloud learns who it is, and with them gets its credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whoever asks there is the machine itself. Mapped forms count, too.
pub fn is_metadata(address: IpAddr) -> bool {
    let address = address.to_canonical();
    METADATA_4.iter().any(|known| address == IpAddr::V4(*known))
        || METADATA_6.iter().any(|known| address == IpAddr::V6(*known))
}

const METADATA_4: [Ipv4Addr; 5] = [
    // EC2, Google, Azure, OpenStack and others.
    Ipv4Addr::new(169, 254, 169, 254),
    // ECS.
    Ipv4Addr::new(169, 254, 170, 2),
    // EKS Pod Identity.
    Ipv4Addr::new(169, 254, 170, 23),
    // Alibaba.
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure's host.
    Ipv4Addr::new(168, 63, 129, 16),
];

const METADATA_6: [Ipv6Addr; 3] = [
    // EC2.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    // EKS Pod Identity.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    // Google.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_known_in_every_form() {
        let known = |text: &str| is_metadata(text.parse().unwrap());
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "100.100.100.200",
            "168.63.129.16",
            "::ffff:169.254.169.254",
            "::ffff:a83f:8110",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
        ] {
            assert!(known(text), "{text}");
        }
        for text in [
            "169.254.169.253",
            "169.254.170.1",
            "10.0.0.1",
            "::1",
            "fd00:ec2::1",
        ] {
            assert!(!known(text), "{text}");
        }
    }
}
