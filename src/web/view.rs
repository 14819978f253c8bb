//! The URL under which the user sees a service, and URLs carried across: from the user's to the
//! service's own, and back. Names are compared, never dialled: the user chooses this one.

use super::site::Site;
use crate::limits;

/// A scheme and an authority.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    is_secure: bool,
    authority: Vec<u8>,
}

/// Names of one's own machine; the first two are what the client calls its ports by.
const LOOPBACK: [&[u8]; 4] = [b"127.0.0.1", b"0.0.0.0", b"localhost", b"[::1]"];

/// Names that nobody on the internet can have (RFC 6761, 6762, and what ICANN has set aside).
const OWN_SUFFIXES: [&[u8]; 3] = [b".localhost", b".local", b".internal"];

impl View {
    /// Reads `httpproxy.base_url` of a packet.
    pub fn parse(base_url: &[u8]) -> Option<Self> {
        let (is_secure, authority, _) = absolute(base_url)?;
        Self::new(is_secure, authority)
    }

    fn new(is_secure: bool, authority: &[u8]) -> Option<Self> {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
        let is_usable = (1..=limits::WEB_VIEW_BYTES_MAX).contains(&authority.len())
            && authority.iter().all(is_plain);
        let authority = authority.to_vec();
        is_usable.then_some(Self {
            is_secure,
            authority,
        })
    }

    /// Whether the user speaks TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether it has the host of a port of `hoop connect`.
    pub fn is_clients(&self) -> bool {
        LOOPBACK[..2].contains(&host_and_port(&self.authority).0)
    }

    /// The port, where it is written.
    pub fn port(&self) -> Option<&[u8]> {
        host_and_port(&self.authority).1
    }

    /// Whether the host is a name of several parts.
    pub fn is_dotted(&self) -> bool {
        host_and_port(&self.authority).0.contains(&b'.')
    }

    /// The user called the same port by another name of his machine, and is to find that again.
    pub fn follow_host(&mut self, host: &[u8]) {
        if self.authority != host && self.is_the_same(self.is_secure, host) {
            self.authority = host.to_vec();
        }
    }

    /// Whether a user's program may call the port so. What anybody can have resolved to the user's own machine
    /// (DNS rebinding) is no such name: addresses, names of one part and those of a machine or a network of one's own are.
    pub fn answers_to(&self, host: &[u8], site: &Site) -> bool {
        let name = host_and_port(host).0;
        let is_address = |name: &[u8]| {
            let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
            name.starts_with(b"[") || name.iter().all(is_part)
        };
        let is_own = |suffix: &&[u8]| {
            let at = name.len().saturating_sub(suffix.len());
            name[at..].eq_ignore_ascii_case(suffix)
        };
        let known = [
            &self.authority,
            site.url.authority.as_bytes(),
            site.value("host").unwrap_or_default(),
        ];
        !name.contains(&b'.')
            || is_address(name)
            || OWN_SUFFIXES.iter().any(is_own)
            || known
                .iter()
                .any(|known| host_and_port(known).0.eq_ignore_ascii_case(name))
    }

    /// The user's program has a proxy, and asked it for this URL: that is what the user sees.
    pub fn follow_url(&mut self, is_secure: bool, authority: &[u8]) {
        if let Some(view) = Self::new(is_secure, authority) {
            *self = view;
        }
    }

    /// `https://host:port`.
    fn push_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(scheme(self.is_secure));
        out.extend_from_slice(&self.authority);
    }

    fn is_the_same(&self, is_secure: bool, authority: &[u8]) -> bool {
        if is_same(is_secure, authority, self.is_secure, &self.authority) {
            return true;
        }
        let (ours, theirs) = (host_and_port(&self.authority), host_and_port(authority));
        is_secure == self.is_secure
            && ours.1 == theirs.1
            && LOOPBACK.contains(&ours.0)
            && LOOPBACK.contains(&theirs.0)
    }
}

fn scheme(is_secure: bool) -> &'static [u8] {
    match is_secure {
        true => b"https://",
        false => b"http://",
    }
}

/// A user's URL in the service's own terms; `None` where it names something else. An origin, which
/// has no path, stays one.
pub fn inwards(url: &[u8], view: &View, site: &Site) -> Option<Vec<u8>> {
    let (is_secure, authority, rest) = absolute(url)?;
    if !view.is_the_same(is_secure, authority) {
        return None;
    }
    let mut out = scheme(site.url.is_tls).to_vec();
    out.extend_from_slice(site.url.authority.as_bytes());
    if !rest.is_empty() {
        out.extend_from_slice(site.url.prefix.as_bytes());
        out.extend_from_slice(rest);
    }
    Some(out)
}

/// A service's URL in the user's terms; `None` where it may stay, or leads where no user's URL does.
pub fn outwards(url: &[u8], view: &View, site: &Site) -> Option<Vec<u8>> {
    let prefix = site.url.prefix.as_bytes();
    let own = |is_secure, authority| {
        is_same(
            is_secure,
            authority,
            site.url.is_tls,
            site.url.authority.as_bytes(),
        )
    };
    let (path, is_absolute) = match (absolute(url), url) {
        (Some((is_secure, authority, rest)), _) if own(is_secure, authority) => (rest, true),
        (Some(_), _) => return None,
        (None, [b'/', b'/', relative @ ..]) => {
            let (authority, rest) = authority(relative);
            if !own(site.url.is_tls, authority) {
                return None;
            }
            (rest, true)
        }
        (None, [b'/', ..]) if !prefix.is_empty() => (url, false),
        (None, _) => return None,
    };
    let path = without_prefix(path, prefix)?;
    let mut out = Vec::new();
    // What begins with two slashes would be a host.
    if is_absolute || matches!(path, [b'/', b'/' | b'\\', ..]) {
        view.push_to(&mut out);
    }
    let is_origin = is_absolute && path.is_empty();
    if !is_origin && !path.starts_with(b"/") {
        out.push(b'/');
    }
    out.extend_from_slice(path);
    Some(out)
}

/// What follows the service's own path in `path`, if it lies below.
pub fn without_prefix<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(prefix)?;
    let is_below = prefix.is_empty() || matches!(rest, [] | [b'/' | b'?' | b'#', ..]);
    is_below.then_some(rest)
}

/// Scheme, authority and the rest of a URL of HTTP.
pub fn absolute(url: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let colon = url.iter().position(|byte| *byte == b':')?;
    let is_secure = match &url[..colon] {
        scheme if scheme.eq_ignore_ascii_case(b"http") => false,
        scheme if scheme.eq_ignore_ascii_case(b"https") => true,
        _ => return None,
    };
    let (authority, rest) = authority(url[colon + 1..].strip_prefix(b"//")?);
    Some((is_secure, authority, rest))
}

fn authority(bytes: &[u8]) -> (&[u8], &[u8]) {
    let is_end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    bytes.split_at(bytes.iter().position(is_end).unwrap_or(bytes.len()))
}

/// Whether two places are one, default ports filled in.
fn is_same(a_is_secure: bool, a: &[u8], b_is_secure: bool, b: &[u8]) -> bool {
    a_is_secure == b_is_secure
        && without_default(a, a_is_secure).eq_ignore_ascii_case(without_default(b, b_is_secure))
}

fn without_default(authority: &[u8], is_secure: bool) -> &[u8] {
    let default: &[u8] = if is_secure { b":443" } else { b":80" };
    authority.strip_suffix(default).unwrap_or(authority)
}

fn host_and_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    match authority.iter().rposition(|byte| *byte == b':') {
        // Not within an IPv6 address.
        Some(colon) if !authority[colon..].contains(&b']') => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(url: &str) -> View {
        View::parse(url.as_bytes()).unwrap()
    }

    fn site(url: &str) -> Site {
        Site::plain(url)
    }

    #[test]
    fn a_view_is_a_scheme_and_an_authority() {
        let view = view("https://hoop.example:8443/x");
        assert!(view.is_secure() && view.is_dotted() && !view.is_clients());
        assert_eq!(view.port(), Some(&b"8443"[..]));
        for bad in [
            "",
            "127.0.0.1:1",
            "ftp://a",
            "http://",
            "http://a b",
            "http://u@h",
            "http://a\r\nb",
        ] {
            assert_eq!(View::parse(bad.as_bytes()), None, "{bad}");
        }
        let long = format!("http://{}", "a".repeat(limits::WEB_VIEW_BYTES_MAX + 1));
        assert_eq!(View::parse(long.as_bytes()), None);
        assert!(View::parse(b"http://0.0.0.0:81").unwrap().is_clients());
        assert_eq!(View::parse(b"http://[::1]").unwrap().port(), None);
    }

    #[test]
    fn locations_come_back_to_the_user() {
        let (view, site) = (
            view("https://hoop.example:8443"),
            site("http://grafana:3000"),
        );
        for (location, seen) in [
            (
                "http://grafana:3000/login?x=http://grafana:3000/",
                Some("https://hoop.example:8443/login?x=http://grafana:3000/"),
            ),
            ("HTTP://GRAFANA:3000", Some("https://hoop.example:8443")),
            (
                "http://grafana:3000?x",
                Some("https://hoop.example:8443/?x"),
            ),
            ("//grafana:3000/a", Some("https://hoop.example:8443/a")),
            ("https://grafana:3000/", None),
            ("http://grafana/", None),
            ("http://grafana:30000/", None),
            ("http://grafana:3000@evil.com/", None),
            ("http://grafana:3000\\@evil.com/", None),
            ("http://u@grafana:3000/", None),
            ("//evil.com/", None),
            ("/login", None),
            ("login", None),
            ("", None),
            ("mailto:x", None),
        ] {
            let found = outwards(location.as_bytes(), &view, &site);
            assert_eq!(found.as_deref(), seen.map(str::as_bytes), "{location}");
        }
    }

    #[test]
    fn a_port_answers_to_its_own_names_alone() {
        let (view, site) = (view("http://127.0.0.1:8081"), site("https://App.example/x"));
        for (host, is_known) in [
            ("127.0.0.1:8081", true),
            ("10.0.0.7:9", true),
            ("[::1]:8081", true),
            ("localhost:8081", true),
            ("Grafana.LOCALHOST", true),
            ("host.docker.internal:8081", true),
            ("hoop:8081", true),
            ("app.example:8081", true),
            ("evil.example:8081", false),
            ("app.example.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1.nip.io:8081", false),
            ("localhost.evil.example", false),
            ("evil.example.", false),
        ] {
            assert_eq!(view.answers_to(host.as_bytes(), &site), is_known, "{host}");
        }
    }

    #[test]
    fn default_ports_are_filled_in() {
        let (view, site) = (view("http://127.0.0.1:8081"), site("https://app"));
        for (location, seen) in [
            ("https://app:443/x", Some("http://127.0.0.1:8081/x")),
            ("https://app/x", Some("http://127.0.0.1:8081/x")),
            ("http://app/x", None),
            ("http://app:443/x", None),
        ] {
            let found = outwards(location.as_bytes(), &view, &site);
            assert_eq!(found.as_deref(), seen.map(str::as_bytes), "{location}");
        }
    }

    #[test]
    fn the_path_of_the_service_is_hidden_and_never_becomes_a_host() {
        let (view, site) = (view("http://127.0.0.1:8081"), site("http://h/base"));
        for (location, seen) in [
            ("/base/x?y", Some("/x?y")),
            ("/base", Some("/")),
            ("/base?q", Some("/?q")),
            ("http://h/base/x", Some("http://127.0.0.1:8081/x")),
            ("http://h/base", Some("http://127.0.0.1:8081")),
            ("/base//evil.com", Some("http://127.0.0.1:8081//evil.com")),
            ("/base/\\evil.com", Some("http://127.0.0.1:8081/\\evil.com")),
            ("/based", None),
            ("http://h/other", None),
            ("/other", None),
        ] {
            let found = outwards(location.as_bytes(), &view, &site);
            assert_eq!(found.as_deref(), seen.map(str::as_bytes), "{location}");
        }
    }

    #[test]
    fn origins_and_referers_go_to_the_service() {
        let (mut view, site) = (view("http://127.0.0.1:8081"), site("https://h:1/base"));
        for (url, sent) in [
            ("http://127.0.0.1:8081", Some("https://h:1")),
            ("http://localhost:8081", Some("https://h:1")),
            ("http://[::1]:8081/a", Some("https://h:1/base/a")),
            ("http://127.0.0.1:8082", None),
            ("https://127.0.0.1:8081", None),
            ("http://evil.com:8081", None),
            ("null", None),
        ] {
            let found = inwards(url.as_bytes(), &view, &site);
            assert_eq!(found.as_deref(), sent.map(str::as_bytes), "{url}");
        }
        view.follow_host(b"evil.com:8081");
        assert_eq!(view.authority, b"127.0.0.1:8081");
        view.follow_host(b"localhost:8081");
        assert_eq!(view.authority, b"localhost:8081");
        view.follow_url(false, b"h\"");
        assert_eq!(view.authority, b"localhost:8081");
        view.follow_url(false, b"h");
        assert_eq!(view.authority, b"h");
    }
}
