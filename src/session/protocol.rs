//! The one table of what a session may be, by its connection's type and its client's verb.
//!
//! The gateway reviews sessions by their verb and lets a client send any kind of packet to any of them, so what a
//! session accepts follows from its row here and from nothing else.

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
    /// Connections to one host and port.
    Tcp,
}

/// How a session of one row goes.
#[derive(Debug)]
pub struct Protocol {
    /// What serves it.
    pub service: Service,
    /// Kinds that bring bytes of the client; another ends the session.
    pub from_client: &'static [Kind],
    /// Kinds that bring it what a target says, by [`super::Channel::index`].
    pub to_client: [Kind; 2],
    /// Where its target is. The address is probed before the session opens, as upstream does for
    /// exactly these types.
    pub address: Option<Place>,
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

struct Row {
    types: &'static [&'static str],
    /// Of any, where there is none.
    verb: Option<Verb>,
    is: Result<&'static Protocol, NotServed>,
}

/// The first row that fits counts. A type that is in none is a command.
const ROWS: [Row; 12] = [
    row(&["tcp"], None, Ok(&TCP)),
    row(
        &["postgres", "mysql", "mssql", "mongodb"],
        Some(Verb::Connect),
        not_served("this agent does not serve native database connections; use hoop exec instead"),
    ),
    row(&["postgres"], None, Ok(&POSTGRES)),
    row(&["mysql"], None, Ok(&MYSQL)),
    row(&["mssql"], None, Ok(&MSSQL)),
    row(&["mongodb"], None, Ok(&MONGODB)),
    row(
        &["oracledb", "kubernetes"],
        Some(Verb::Connect),
        not_served(
            "this agent does not serve native connections of this type; use hoop exec instead",
        ),
    ),
    row(
        &["ssh"],
        None,
        not_served("this agent does not serve ssh connections"),
    ),
    row(
        &["httpproxy"],
        None,
        not_served("this agent does not serve httpproxy connections"),
    ),
    row(
        &["mcpproxy", "mcp", "claude-code"],
        None,
        not_served("this agent does not serve mcpproxy connections"),
    ),
    row(
        &["aws-ssm"],
        None,
        not_served("this agent does not serve aws-ssm connections"),
    ),
    row(
        &["rdp"],
        None,
        not_served("this agent does not serve rdp connections"),
    ),
];

static TCP: Protocol = Protocol {
    service: Service::Tcp,
    from_client: &[Kind::AgentTCPConnectionWrite],
    to_client: [Kind::ClientTCPConnectionWrite; 2],
    address: Some(Place::HostAndPort),
    password_alias: None,
};

static COMMAND: Protocol = command(None, None);
static POSTGRES: Protocol = command(database(5432, None), Some("PGPASSWORD"));
static MYSQL: Protocol = command(database(3306, None), Some("MYSQL_PWD"));
static MSSQL: Protocol = command(database(1433, None), Some("SQLCMDPASSWORD"));
static MONGODB: Protocol = command(database(27017, Some("CONNECTION_STRING")), None);

const fn row(
    types: &'static [&'static str],
    verb: Option<Verb>,
    is: Result<&'static Protocol, NotServed>,
) -> Row {
    Row { types, verb, is }
}

const fn not_served(text: &'static str) -> Result<&'static Protocol, NotServed> {
    Err(NotServed(text))
}

const fn database(default_port: u16, uri: Option<&'static str>) -> Option<Place> {
    Some(Place::Database { default_port, uri })
}

const fn command(address: Option<Place>, password_alias: Option<&'static str>) -> Protocol {
    Protocol {
        service: Service::Command,
        from_client: &[Kind::AgentExecWriteStdin, Kind::AgentTerminalWriteStdin],
        to_client: [Kind::ClientWriteStdout, Kind::ClientWriteStderr],
        address,
        password_alias,
    }
}

/// What `params` ask for, if it is served.
pub fn classify(params: &ConnectionParams) -> Result<&'static Protocol, NotServed> {
    let verb = Verb::of(params);
    let fits = |row: &&Row| {
        row.verb.is_none_or(|wanted| wanted == verb)
            && row.types.contains(&&*params.connection_type)
    };
    let protocol = ROWS.iter().find(fits).map_or(Ok(&COMMAND), |row| row.is)?;
    if let Some(Place::Database { .. }) = protocol.address
        && params.cmd_list.is_empty()
    {
        return Err(NotServed("the connection has no command to execute"));
    }
    Ok(protocol)
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
            assert_eq!(asked("tcp", verb).unwrap().service, Service::Tcp);
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
            for refused in [
                "ssh",
                "httpproxy",
                "mcp",
                "mcpproxy",
                "claude-code",
                "aws-ssm",
                "rdp",
            ] {
                assert!(asked(refused, verb).is_err(), "{refused} {verb}");
            }
            for database in ["postgres", "mysql", "mssql", "mongodb"] {
                match asked(database, verb) {
                    Ok(protocol) => {
                        assert_ne!(verb, "connect", "{database}");
                        assert_eq!(protocol.service, Service::Command);
                        assert!(matches!(protocol.address, Some(Place::Database { .. })));
                    }
                    Err(NotServed(text)) => {
                        assert!(verb == "connect" && text.contains("hoop exec"), "{text}");
                    }
                }
            }
            for other in ["oracledb", "kubernetes"] {
                assert_eq!(asked(other, verb).is_err(), verb == "connect", "{other}");
            }
        }
    }

    #[test]
    fn a_type_and_verb_have_one_row() {
        for (place, row) in ROWS.iter().enumerate() {
            for earlier in &ROWS[..place] {
                let is_same = |name: &&str| earlier.types.contains(name);
                let is_shadowed = earlier.verb.is_none() || earlier.verb == row.verb;
                assert!(
                    !(is_shadowed && row.types.iter().any(is_same)),
                    "{:?}",
                    row.types
                );
            }
        }
    }
}
