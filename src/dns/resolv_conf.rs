//! `/etc/resolv.conf` (resolv.conf(5)): who is asked, for which names, and how patiently.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use super::message::NAME_BYTES_MAX;

/// glibc's own bound.
const SERVERS_MAX: usize = 3;
/// Kubernetes allows as many; each costs a question for a name that nobody has.
const SEARCH_MAX: usize = 32;
/// glibc's own bounds.
const NDOTS_MAX: usize = 15;
const TIMEOUT_MAX: u64 = 30;
const ATTEMPTS_MAX: usize = 5;
/// Where name servers listen.
const PORT: u16 = 53;

/// What the file says, or glibc's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// In the order in which they are asked; never empty.
    pub servers: Vec<SocketAddr>,
    /// Domains without their last dot.
    search: Vec<String>,
    ndots: usize,
    /// For one attempt.
    pub timeout: Duration,
    /// How often each server is asked.
    pub attempts: usize,
}

impl ResolvConf {
    /// Reads the file's text. `host_name` gives the search list where the file has none;
    /// `interface` turns the zone of a link-local server into a number.
    pub fn parse(text: &str, host_name: &str, interface: &dyn Fn(&str) -> Option<u32>) -> Self {
        let own_domain = host_name.split_once('.').map_or("", |(_, domain)| domain);
        let mut conf = Self {
            servers: Vec::new(),
            search: domains(std::iter::once(own_domain)),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if conf.servers.len() < SERVERS_MAX => {
                    let server = words.next().and_then(|word| server(word, interface));
                    conf.servers.extend(server);
                }
                Some("domain" | "search") => conf.search = domains(words),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers
                .push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let Some((name, number)) = word.split_once(':') else {
            return;
        };
        let Ok(number) = number.parse::<u16>() else {
            return;
        };
        match name {
            "ndots" => self.ndots = usize::from(number).min(NDOTS_MAX),
            "timeout" => {
                self.timeout = Duration::from_secs(u64::from(number).clamp(1, TIMEOUT_MAX));
            }
            "attempts" => self.attempts = usize::from(number).clamp(1, ATTEMPTS_MAX),
            _ => {}
        }
    }

    /// The absolute names, without their last dot, that `name` may stand for, in the order in which they
    /// are asked. Lower case: some servers compare bytes.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        let lower = name.to_ascii_lowercase();
        if let Some(absolute) = lower.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let dots = lower.bytes().filter(|byte| *byte == b'.').count();
        let mut names: Vec<String> = self
            .search
            .iter()
            .map(|domain| format!("{lower}.{domain}"))
            .filter(|name| name.len() <= NAME_BYTES_MAX)
            .collect();
        let place = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(place, lower);
        names
    }
}

fn domains<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words
        .map(|word| word.trim_end_matches('.').to_ascii_lowercase())
        // The root: a name below it is the name itself, which is asked for in any case.
        .filter(|domain| !domain.is_empty())
        .take(SEARCH_MAX)
        .collect()
}

fn server(word: &str, interface: &dyn Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    let Some((address, zone)) = word.split_once('%') else {
        return Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, PORT));
    };
    let zone = zone.parse().ok().or_else(|| interface(zone))?;
    let server = SocketAddrV6::new(address.parse().ok()?, PORT, 0, zone);
    Some(server.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ResolvConf {
        ResolvConf::parse(text, "host", &|name| (name == "eth0").then_some(7))
    }

    #[test]
    fn an_empty_file_means_glibcs_defaults() {
        let conf = parse("");
        assert_eq!(conf.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(conf.candidates("db"), ["db"]);
        assert_eq!((conf.timeout, conf.attempts), (Duration::from_secs(5), 2));
        let named = ResolvConf::parse("", "host.corp.example", &|_| None);
        assert_eq!(named.candidates("db"), ["db.corp.example", "db"]);
        let searched = ResolvConf::parse("search .", "host.corp.example", &|_| None);
        assert_eq!(searched.candidates("db"), ["db"]);
    }

    #[test]
    fn every_line_is_understood_or_passed_over() {
        let conf = parse(
            "# nameserver 192.0.2.9\n; x\nnameserver 192.0.2.1 # near\nnameserver fe80::1%eth0\n\
             nameserver what\nnameserver fe80::1%eth9\nnameserver ::1\nnameserver 192.0.2.4\n\
             domain old.example\nsearch A.example. b.example\n\
             options ndots:99 timeout:0 attempts:9 rotate ndots:x edns0\n",
        );
        let servers = ["192.0.2.1:53", "[fe80::1%7]:53", "[::1]:53"];
        let servers = servers.map(|text| text.parse::<SocketAddr>().unwrap());
        assert_eq!(conf.servers, servers);
        assert_eq!(conf.search, ["a.example", "b.example"]);
        assert_eq!((conf.ndots, conf.attempts), (15, 5));
        assert_eq!(conf.timeout, Duration::from_secs(1));
    }

    #[test]
    fn the_search_list_is_walked_in_the_order_of_ndots() {
        let conf = |ndots| {
            parse(&format!(
                "search s.example t.example\noptions ndots:{ndots}"
            ))
        };
        let searched = |name: &str| [format!("{name}.s.example"), format!("{name}.t.example")];
        for (ndots, name, is_first) in [
            (1, "db", false),
            (1, "db.dev", true),
            (5, "api.dev", false),
            (5, "a.b.c.d.e.f", true),
            (0, "db", true),
        ] {
            let mut want = searched(name).to_vec();
            want.insert(if is_first { 0 } else { 2 }, name.to_owned());
            assert_eq!(conf(ndots).candidates(name), want, "{ndots} {name}");
        }
        assert_eq!(conf(5).candidates("Api.Dev."), ["api.dev"]);
        let long = "x".repeat(250);
        assert_eq!(conf(1).candidates(&long), [long]);
    }
}
