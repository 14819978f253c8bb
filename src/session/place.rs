//! Where the target of a session is, as its connection says.

use std::net::Ipv6Addr;

use super::environment::Variables;
use super::error::SessionError;
use super::output::Where;
use super::protocol::{DATABASE_SECRETS, Place};
use crate::base::Address;
use crate::login::mongo::{MongoAccount, SERVICE_SCHEME};

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
                let account = MongoAccount::parse(uri);
                let account =
                    account.map_err(|error| SessionError::ConnectionString(of(), error))?;
                let Address { host, port } = account.shown_host();
                return Ok(Where::Name { host, port });
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

/// A host without the brackets that an address of IPv6 may have.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
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

/// There is one address, which has to answer, where [`find`] has found it. Of several hosts any will do, and those of
/// a service are known to the name server alone.
pub(super) fn is_one(place: &Place, own: &Variables) -> bool {
    let Place::Database {
        uri: Some(uri_name),
        ..
    } = place
    else {
        return true;
    };
    match own.text(uri_name) {
        "" => own.text("SCHEME").trim() != SERVICE_SCHEME,
        uri => MongoAccount::parse(uri).is_ok_and(|account| account.only_host().is_some()),
    }
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
    fn the_first_host_of_a_mongo_uri_is_its_address_and_probed_if_there_is_no_other() {
        let place = Place::Database {
            default_port: 27017,
            uri: Some("CONNECTION_STRING"),
        };
        for (text, want, is_only) in [
            ("mongodb://u:p%40@h1:1,h2:2/db?x=y", Some(("h1", 1)), false),
            ("mongodb://h1", Some(("h1", 27017)), true),
            (
                "mongodb+srv://u:p@cluster.db.example/?a=b",
                Some(("cluster.db.example", 27017)),
                false,
            ),
            ("mongodb://u:p@[::1]:9/x", Some(("::1", 9)), true),
            ("mongodb://", None, false),
            ("postgres://h", None, false),
            ("mongodb://h:port", None, false),
        ] {
            let own = Variables::of("CONNECTION_STRING", text);
            let want = want.map(|(host, port)| Where::Name {
                host: host.to_owned(),
                port,
            });
            assert_eq!(find(&place, &own, "mongodb").ok(), want, "{text}");
            assert_eq!(is_one(&place, &own), is_only, "{text}");
        }
    }
}
