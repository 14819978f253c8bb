//! The one table of what a session may be, by its connection's type and its client's verb.
//!
//! The gateway reviews sessions by their verb and lets a client send any kind of packet to any of them, so what a
//! session accepts follows from its row here and from nothing else.

use crate::login::mongo::PORT_DEFAULT;
use crate::packet::{ConnectionParams, Kind};

/// What a client wants of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// To be let through to it.
    Connect,
    /// To have something done there, in any of upstream's words for that.
    Execute,
}

impl Verb {
    /// The verb of a session.
    pub fn of(params: &ConnectionParams) -> Self {
        match params.client_verb.as_str() {
            "connect" => Self::Connect,
            _ => Self::Execute,
        }
    }
}

/// What serves a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// A command of the connection, once, with or without a terminal.
    Command,
    /// Connections to one place.
    Connections,
}

/// Whose login a client goes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// PostgreSQL's.
    Postgres,
    /// That of MySQL and MariaDB.
    Mysql,
    /// MongoDB's.
    Mongo,
    /// SQL Server's.
    Mssql,
    /// None, but that of a web service: its headers.
    Web,
    /// The same, of a cluster's API.
    Kubernetes,
}

impl Dialect {
    /// It is HTTP.
    pub fn is_web(self) -> bool {
        matches!(self, Self::Web | Self::Kubernetes)
    }
}

/// How a session of one row goes.
#[derive(Debug)]
pub struct Protocol {
    /// What serves it.
    pub service: Service,
    /// Kinds that bring bytes of the client; another ends the session.
    pub from_client: [Kind; 2],
    /// Kinds that bring it what a target says, by [`super::Channel::index`].
    pub to_client: [Kind; 2],
    /// Where its target is.
    pub address: Option<Place>,
    /// The address is probed before the session opens, as upstream does for every type that has one. A server
    /// that counts connections without a login against their host, until it bans it, is spared: there the
    /// client sees for itself.
    pub is_probed: bool,
    /// What a connection of the first kind speaks, so that it is logged in; the second kind is relayed as it is.
    pub dialect: Option<Dialect>,
    /// The variable in which its client program looks for the password.
    pub password_alias: Option<&'static str>,
}

/// The variables of a connection by which its target is found.
#[derive(Debug)]
pub enum Place {
    /// HOST and PORT, both needed.
    HostAndPort,
    /// A database.
    Database {
        /// Where PORT is missing.
        default_port: u16,
        /// Holds all of it in one text, and is then the only one needed.
        uri: Option<&'static str>,
    },
}

/// What every connection of a database has to have.
pub const DATABASE_SECRETS: [&str; 3] = ["HOST", "USER", "PASS"];

/// Why a session can't be served; the sentence is for its user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotServed(pub &'static str);

static TCP: Protocol = Protocol {
    service: Service::Connections,
    from_client: [Kind::AgentTCPConnectionWrite; 2],
    to_client: [Kind::ClientTCPConnectionWrite; 2],
    address: Some(Place::HostAndPort),
    is_probed: true,
    dialect: None,
    password_alias: None,
};

static POSTGRES_NATIVE: Protocol = Protocol {
    service: Service::Connections,
    from_client: [Kind::AgentPGConnectionWrite, Kind::AgentTCPConnectionWrite],
    to_client: [
        Kind::ClientPGConnectionWrite,
        Kind::ClientTCPConnectionWrite,
    ],
    address: database(5432, None),
    is_probed: true,
    dialect: Some(Dialect::Postgres),
    password_alias: None,
};

static MYSQL_NATIVE: Protocol = Protocol {
    service: Service::Connections,
    from_client: [
        Kind::AgentMySQLConnectionWrite,
        Kind::AgentTCPConnectionWrite,
    ],
    to_client: [
        Kind::ClientMySQLConnectionWrite,
        Kind::ClientTCPConnectionWrite,
    ],
    address: database(3306, None),
    is_probed: false,
    dialect: Some(Dialect::Mysql),
    password_alias: None,
};

static MONGODB_NATIVE: Protocol = Protocol {
    service: Service::Connections,
    from_client: [
        Kind::AgentMongoDBConnectionWrite,
        Kind::AgentTCPConnectionWrite,
    ],
    to_client: [
        Kind::ClientMongoDBConnectionWrite,
        Kind::ClientTCPConnectionWrite,
    ],
    address: MONGODB_PLACE,
    is_probed: true,
    dialect: Some(Dialect::Mongo),
    password_alias: None,
};

static MSSQL_NATIVE: Protocol = Protocol {
    service: Service::Connections,
    from_client: [
        Kind::AgentMSSQLConnectionWrite,
        Kind::AgentTCPConnectionWrite,
    ],
    to_client: [
        Kind::ClientMSSQLConnectionWrite,
        Kind::ClientTCPConnectionWrite,
    ],
    address: database(1433, None),
    is_probed: true,
    dialect: Some(Dialect::Mssql),
    password_alias: None,
};

static HTTP: Protocol = web(Dialect::Web);
static KUBERNETES: Protocol = web(Dialect::Kubernetes);

/// Their places are never probed: what can't be reached is a page of the user's.
const fn web(dialect: Dialect) -> Protocol {
    Protocol {
        service: Service::Connections,
        from_client: [Kind::AgentHttpProxyConnectionWrite; 2],
        to_client: [Kind::ClientHttpProxyConnectionWrite; 2],
        address: None,
        is_probed: false,
        dialect: Some(dialect),
        password_alias: None,
    }
}

static COMMAND: Protocol = command(None, None);
static POSTGRES: Protocol = command(database(5432, None), Some("PGPASSWORD"));
static MYSQL: Protocol = Protocol {
    is_probed: false,
    ..command(database(3306, None), Some("MYSQL_PWD"))
};
static MSSQL: Protocol = command(database(1433, None), Some("SQLCMDPASSWORD"));
static MONGODB: Protocol = command(MONGODB_PLACE, None);

const MONGODB_PLACE: Option<Place> = database(PORT_DEFAULT, Some("CONNECTION_STRING"));

const fn database(default_port: u16, uri: Option<&'static str>) -> Option<Place> {
    Some(Place::Database { default_port, uri })
}

const fn command(address: Option<Place>, password_alias: Option<&'static str>) -> Protocol {
    Protocol {
        service: Service::Command,
        from_client: [Kind::AgentExecWriteStdin, Kind::AgentTerminalWriteStdin],
        to_client: [Kind::ClientWriteStdout, Kind::ClientWriteStderr],
        address,
        is_probed: true,
        dialect: None,
        password_alias,
    }
}

/// Types that are told apart where sessions are counted; a gateway may make up any others.
pub const TYPES: [&str; 10] = [
    "command-line",
    "tcp",
    "postgres",
    "mysql",
    "mssql",
    "mongodb",
    "oracledb",
    "httpproxy",
    "kubernetes",
    "other",
];

/// The place of a type in [`TYPES`].
pub fn place_of_type(name: &str) -> usize {
    let found = TYPES.iter().position(|known| *known == name);
    found.unwrap_or(TYPES.len() - 1)
}

/// What `params` ask for, if it is served: the rows. A type that has none is a command.
pub fn classify(params: &ConnectionParams) -> Result<&'static Protocol, NotServed> {
    use Verb::Connect;
    let protocol = match (params.connection_type.as_str(), Verb::of(params)) {
        ("tcp", _) => &TCP,
        ("postgres", Connect) => &POSTGRES_NATIVE,
        ("mysql", Connect) => &MYSQL_NATIVE,
        ("mssql", Connect) => &MSSQL_NATIVE,
        ("mongodb", Connect) => &MONGODB_NATIVE,
        ("postgres", _) => &POSTGRES,
        ("mysql", _) => &MYSQL,
        ("mssql", _) => &MSSQL,
        ("mongodb", _) => &MONGODB,
        ("httpproxy", Connect) => &HTTP,
        ("kubernetes", Connect) => &KUBERNETES,
        ("oracledb", Connect) => {
            return Err(NotServed(
                "this agent does not serve native connections of this type; use hoop exec instead",
            ));
        }
        ("ssh", _) => return Err(NotServed("this agent does not serve ssh connections")),
        ("httpproxy", _) => {
            return Err(NotServed("this agent does not serve httpproxy connections"));
        }
        ("mcpproxy" | "mcp" | "claude-code", _) => {
            return Err(NotServed("this agent does not serve mcpproxy connections"));
        }
        ("aws-ssm", _) => return Err(NotServed("this agent does not serve aws-ssm connections")),
        ("rdp", _) => return Err(NotServed("this agent does not serve rdp connections")),
        _ => &COMMAND,
    };
    if protocol.service == Service::Command
        && let Some(Place::Database { .. }) = protocol.address
        && params.cmd_list.is_empty()
    {
        return Err(NotServed("the connection has no command to execute"));
    }
    Ok(protocol)
}

/// A request of the gateway or of a session's client; everything else is ours to send, not to get.
pub fn is_for_session(kind: Kind) -> bool {
    let name = kind.name();
    (name.starts_with("Agent") && kind != Kind::AgentGatewayConnectOK) || name.starts_with("Sys")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(connection_type: &str, verb: &str) -> Result<&'static Protocol, NotServed> {
        classify(&ConnectionParams {
            connection_type: connection_type.into(),
            client_verb: verb.into(),
            cmd_list: vec![b"program".to_vec()],
            ..ConnectionParams::default()
        })
    }

    #[test]
    fn type_and_verb_say_what_a_session_takes() {
        for verb in ["exec", "plain-exec", "", "connect"] {
            assert_eq!(asked("tcp", verb).unwrap().service, Service::Connections);
            for other in ["command-line", "custom", "postgresql", "TCP", ""] {
                let protocol = asked(other, verb).unwrap();
                assert_eq!(protocol.service, Service::Command, "{other} {verb}");
                assert!(
                    !protocol
                        .from_client
                        .contains(&Kind::AgentTCPConnectionWrite)
                );
                assert!(protocol.address.is_none() && protocol.password_alias.is_none());
            }
            for refused in ["ssh", "mcp", "mcpproxy", "claude-code", "aws-ssm", "rdp"] {
                assert!(asked(refused, verb).is_err(), "{refused} {verb}");
            }
            for database in ["postgres", "mysql", "mssql", "mongodb"] {
                let is_native = verb == "connect";
                let protocol = asked(database, verb).unwrap();
                assert!(matches!(protocol.address, Some(Place::Database { .. })));
                assert_eq!(protocol.service == Service::Connections, is_native);
                assert_eq!(protocol.dialect.is_some(), is_native);
            }
            assert_eq!(asked("oracledb", verb).is_err(), verb == "connect");
            for web in ["httpproxy", "kubernetes"] {
                let protocol = asked(web, verb).ok();
                let is_web = protocol.is_some_and(|it| it.dialect.is_some_and(Dialect::is_web));
                assert_eq!(is_web, verb == "connect", "{web} {verb}");
            }
        }
    }
}
