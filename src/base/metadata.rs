//! Addresses by which a machine of a cloud learns who it is, and with them gets its credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whoever asks there is the machine itself. Forms that lead to an IPv4 address count, too.
pub fn is_metadata(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => METADATA_4.contains(&address),
        IpAddr::V6(address) => {
            METADATA_6.contains(&address)
                || within(address).iter().any(|it| METADATA_4.contains(it))
        }
    }
}

/// The IPv4 addresses to which one of IPv6 may be translated: NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056).
fn within(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bytes = address.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| bytes[place]));
    match address.segments() {
        [0x64, 0xff9b, 0, ..] => vec![at([12, 13, 14, 15])],
        // The prefix may be any longer one of this.
        [0x64, 0xff9b, 1, ..] => vec![
            at([12, 13, 14, 15]),
            at([6, 7, 9, 10]),
            at([7, 9, 10, 11]),
            at([9, 10, 11, 12]),
        ],
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        _ => Vec::new(),
    }
}

/// Which addresses of metadata sessions may reach.
#[derive(Clone, Default, Debug)]
pub struct MetadataDoor {
    /// These, whatever they are.
    pub open: Vec<IpAddr>,
    /// And these not, in addition: where the agent itself gets its credentials.
    pub shut: Vec<IpAddr>,
}

impl MetadataDoor {
    /// Sessions have no business there.
    pub fn is_shut(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_open = self.open.iter().any(|open| open.to_canonical() == address);
        !is_open && (is_metadata(address) || self.shut.contains(&address))
    }
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

const METADATA_6: [Ipv6Addr; 4] = [
    // OpenStack.
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
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
            "fe80::a9fe:a9fe",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(known(text), "{text}");
        }
        for text in [
            "169.254.169.253",
            "169.254.170.1",
            "10.0.0.1",
            "::1",
            "fd00:ec2::1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
            "2001:db8::a9fe:a9fe",
        ] {
            assert!(!known(text), "{text}");
        }
    }

    #[test]
    fn an_operator_opens_single_ones_and_the_agents_own_are_shut() {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        let door = MetadataDoor {
            open: vec![address("169.254.169.254")],
            shut: vec![address("10.1.2.3")],
        };
        for (text, is_shut) in [
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("169.254.170.2", true),
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.1.2.4", false),
        ] {
            assert_eq!(door.is_shut(address(text)), is_shut, "{text}");
        }
        assert!(MetadataDoor::default().is_shut(address("169.254.169.254")));
    }
}
