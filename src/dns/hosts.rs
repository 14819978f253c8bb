//! `/etc/hosts`: lines of `address name alias... # comment`, names in any case.

use std::net::IpAddr;

use super::answer::take_turns;

/// The addresses of `name`: IPv6 and IPv4 taking turns, each in the order of the lines. A last dot of
/// the name makes no difference, as in Go.
pub fn addresses_of(name: &str, hosts: &[u8]) -> Vec<IpAddr> {
    let wanted = name.strip_suffix('.').unwrap_or(name).as_bytes();
    let (mut v6, mut v4) = (Vec::new(), Vec::new());
    for line in hosts.split(|&byte| byte == b'\n') {
        let entry = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let mut words = entry
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let address = words.next();
        if words.any(|word| word.eq_ignore_ascii_case(wanted)) {
            let address = address.and_then(|word| std::str::from_utf8(word).ok());
            match address.and_then(|text| text.parse().ok()) {
                Some(address @ IpAddr::V6(_)) => v6.push(address),
                Some(address) => v4.push(address),
                None => {}
            }
        }
    }
    take_turns(&v6, &v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_c_library_reads_them() {
        let hosts = b"# 192.0.2.1 no.example\n192.0.2.2\tdb.example  DB2.example # no.example\r\n\
            2001:db8::2 db.Example\nno-address other.example\n";
        for (name, want) in [
            ("db.example", &["2001:db8::2", "192.0.2.2"][..]),
            ("DB.example.", &["2001:db8::2", "192.0.2.2"]),
            ("db2.EXAMPLE", &["192.0.2.2"]),
            ("no.example", &[]),
            ("other.example", &[]),
            ("192.0.2.2", &[]),
            ("b.example", &[]),
            ("", &[]),
        ] {
            let found: Vec<_> = addresses_of(name, hosts)
                .iter()
                .map(IpAddr::to_string)
                .collect();
            assert_eq!(found, want, "{name}");
        }
    }
}
