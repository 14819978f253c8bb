//! What a session may do, decided once when it is opened.
//!
//! The gateway lets a client send any kind of packet to any session, so the kinds that a session
//! accepts follow from its connection's type here and nowhere else.

use crate::packet::ConnectionParams;

/// The two things that a session can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// A command of the connection, once, with or without a terminal.
    Command,
    /// Connections to one host and port.
    Tcp,
}

/// The address that a session's target has, if the type implies one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Liveness {
    /// Port when the connection names none.
    pub default_port: Option<u16>,
    /// `HOST`, `USER` and `PASS` are needed, not just `HOST` and `PORT`.
    pub is_database: bool,
}

/// Why a type cannot be served; the sentence is for the session's user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotServed(pub &'static str);

/// What `params` ask for.
pub fn classify(params: &ConnectionParams) -> Result<Service, NotServed> {
    let interactive = params.client_verb == "connect";
    match params.connection_type.as_str() {
        "tcp" => Ok(Service::Tcp),
        "postgres" | "mysql" | "mssql" | "mongodb" => database(params, interactive),
        "oracledb" | "kubernetes" if interactive => Err(NotServed(
            "this agent does not serve native connections of this type; use hoop exec instead",
        )),
        "ssh" => Err(NotServed("this agent does not serve ssh connections")),
        "httpproxy" => Err(NotServed("this agent does not serve httpproxy connections")),
        "mcpproxy" | "mcp" | "claude-code" => {
            Err(NotServed("this agent does not serve mcpproxy connections"))
        }
        "aws-ssm" => Err(NotServed("this agent does not serve aws-ssm connections")),
        "rdp" => Err(NotServed("this agent does not serve rdp connections")),
        _ => Ok(Service::Command),
    }
}

fn database(params: &ConnectionParams, interactive: bool) -> Result<Service, NotServed> {
    if interactive {
        return Err(NotServed(
            "this agent does not serve native database connections; use hoop exec instead",
        ));
    }
    if params.cmd_list.is_empty() {
        return Err(NotServed("the connection has no command to execute"));
    }
    Ok(Service::Command)
}

/// The address check that upstream makes for exactly these types before a session opens.
pub fn liveness(connection_type: &str) -> Option<Liveness> {
    let database = |port| {
        Some(Liveness {
            default_port: Some(port),
            is_database: true,
        })
    };
    match connection_type {
        "postgres" => database(5432),
        "mysql" => database(3306),
        "mssql" => database(1433),
        "mongodb" => database(27017),
        "tcp" => Some(Liveness {
            default_port: None,
            is_database: false,
        }),
        _ => None,
    }
}
