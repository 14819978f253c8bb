//! Where the target of a session is, as its connection says.

use std::net::Ipv6Addr;

use super::environment::Variables;
use super::error::SessionError;
use super::output::Where;
use super::protocol::{DATABASE_SECRETS, Place};

/// Where it is, or what is missing to know it. `own` are the connection's variables, and nobody else's.
pub(super) fn find(
    place: &Place,
    own: &Variables,
    connection_type: &str,
) -> Result<Where, SessionError> {
    let of = || connection_type.to_owned();
    let default_port = match place {
        Place::HostAndPort => None,
        Place::Database { default_port, uri } => {
            if let Some(uri) = uri.map(|name| own.text(name)).filter(|uri| !uri.is_empty()) {
                return in_mongo_uri(uri).ok_or_else(|| SessionError::ConnectionString(of()));
            }
            let missing =
                DATABASE_SECRETS.map(|name| (name, own.get(name).is_none_or(<[u8]>::is_empty)));
            if missing.iter().any(|(_, is_missing)| *is_missing) {
                return Err(SessionError::MissingSecrets(of(), missing));
            }
            Some(*default_port)
        }
    };
    let port = match (own.text("PORT").trim(), default_port) {
        ("", Some(port)) => port,
        ("", None) => return Err(SessionError::MissingAddress),
        (text, _) => text.parse().map_err(|_| SessionError::Port(of()))?,
    };
    match own.text("HOST").trim() {
        "" => Err(SessionError::MissingAddress),
        host if !is_host(host) => Err(SessionError::Host),
        host => Ok(Where::Name {
            host: host.to_owned(),
            port,
        }),
    }
}

/// A name or an address. What a URL has beside (a password, say) would be shown to users and in the log with it.
fn is_host(host: &str) -> bool {
    if host.contains(['/', '@', ',']) || host.contains(char::is_whitespace) {
        return false;
    }
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let bare = bare.unwrap_or(host);
    let address = bare.split('%').next().unwrap_or(bare);
    !bare.contains([':', '[', ']']) || address.parse::<Ipv6Addr>().is_ok()
}

/// The first host of `mongodb://user:pass@host:port,...` or the name of `mongodb+srv://`.
fn in_mongo_uri(text: &str) -> Option<Where> {
    let rest = text
        .strip_prefix("mongodb://")
        .or_else(|| text.strip_prefix("mongodb+srv://"))?;
    let authority = rest.split(['/', '?']).next()?;
    let hosts = authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts);
    let first = hosts.split(',').next().filter(|host| !host.is_empty())?;
    let (host, port) = match first.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (first, 27017),
    };
    Some(Where::Name {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for host in [
            "db",
            "db.example.",
            "under_score",
            "10.0.0.1",
            "::1",
            "[::1]",
            "fe80::1%eth0",
            "[fe80::1%eth0]",
            "::ffff:10.0.0.1",
            "m\u{fc}nchen.example",
        ] {
            assert!(is_host(host), "{host}");
        }
        for wrong in [
            "postgres://u:p@h:5432/db",
            "u:p@h",
            "h:5432",
            "h/db",
            "a,b",
            "a b",
            "[::1]:5432",
            "[::1",
            "u:p:h",
            "jdbc:mysql:h",
        ] {
            assert!(!is_host(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_first_host_of_a_mongo_uri_is_its_address() {
        for (text, want) in [
            ("mongodb://u:p%40@h1:1,h2:2/db?x=y", Some(("h1", 1))),
            ("mongodb://h1", Some(("h1", 27017))),
            (
                "mongodb+srv://u:p@cluster.example/?a=b",
                Some(("cluster.example", 27017)),
            ),
            ("mongodb://u@[::1]:9/x", Some(("[::1]", 9))),
            ("mongodb://u@[::1]", Some(("[::1]", 27017))),
            ("mongodb://", None),
            ("postgres://h", None),
            ("mongodb://h:port", None),
        ] {
            let want = want.map(|(host, port)| Where::Name {
                host: host.to_owned(),
                port,
            });
            assert_eq!(in_mongo_uri(text), want, "{text}");
        }
    }
}
