//! Connections that log in by a token of Amazon's: which they are, and where a token goes that was made.
//!
//! Promises: only the connection's own variables ask for one, only where it is of use, and the token of a database
//! goes to a server that speaks TLS, or nowhere.

use super::command::Argv;
use super::environment::{AgentEnvironment, Environment, Variables};
use super::plan::Plan;
use super::protocol::{Dialect, Place, Protocol, Service};
use super::variable_error::VariableError;
use crate::base::Secret;
use crate::packet::{ConnectionParams, EnvVars};
use crate::secrets::{Cause, Mint, Role};

const DATABASE: &str = "aws rds auth token";
const CLUSTER: &str = "eks token";

/// The environment of a session whose secrets are there, and how it logs in.
pub(super) fn finish(
    mut plan: Plan,
    params: &ConnectionParams,
    protocol: &Protocol,
    client: &EnvVars,
    (id, agent): (&str, &AgentEnvironment),
) -> Result<Environment, VariableError> {
    let rds_user = plan.rds_user.take();
    let mut environment = Environment::finish(plan, params, protocol, client, id, agent)?;
    settle(&mut environment, rds_user, params, protocol, agent)?;
    Ok(environment)
}

/// Has the connection log in by a token, if it asks for one: `user` is what USER stands for.
fn settle(
    environment: &mut Environment,
    user: Option<String>,
    params: &ConnectionParams,
    protocol: &Protocol,
    agent: &AgentEnvironment,
) -> Result<(), VariableError> {
    let text = |name: &str| {
        let value = agent
            .get(name)
            .and_then(|value| std::str::from_utf8(value).ok());
        value.filter(|value| !value.is_empty())
    };
    let of_agent = text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION"));
    let own = environment.own();
    let (what, mint) = match &user {
        Some(user) => (DATABASE, database(own, user, params, protocol, of_agent)),
        None if own.get("EKS_CLUSTER").is_some() => (CLUSTER, cluster(own, protocol, of_agent)),
        None => return Ok(()),
    };
    let mint = mint.map_err(|cause| token_error(what, &cause))?;
    environment.log_in_by(mint, user, FILLER);
    Ok(())
}

/// Why there is none.
pub(super) fn token_error(what: &'static str, cause: &Cause) -> VariableError {
    VariableError::Token(what, cause.to_string())
}

/// The same, of a token that was to be made.
pub(super) fn not_made(mint: &Mint, cause: &Cause) -> VariableError {
    token_error(
        match mint {
            Mint::Database { .. } => DATABASE,
            Mint::Cluster { .. } => CLUSTER,
        },
        cause,
    )
}

fn database(
    own: &Variables,
    user: &str,
    params: &ConnectionParams,
    protocol: &Protocol,
    of_agent: Option<&str>,
) -> Result<Mint, Cause> {
    let is_login = matches!(protocol.dialect, Some(Dialect::Postgres | Dialect::Mysql));
    let takes_none = ["mssql", "mongodb", "oracledb"].contains(&params.connection_type.as_str());
    if !is_login && (protocol.service != Service::Command || takes_none) {
        return Err(WRONG_TYPE);
    }
    let default_port = match protocol.address {
        Some(Place::Database { default_port, .. }) => Some(default_port),
        _ => None,
    };
    let port = match (own.text("PORT").trim(), default_port) {
        ("", Some(port)) => port,
        (text, _) => text.parse().map_err(|_| NO_PORT)?,
    };
    match own.text("HOST").trim() {
        "" => Err(NO_HOST),
        host => Mint::database(user, host, port, of_agent),
    }
}

fn cluster(own: &Variables, protocol: &Protocol, of_agent: Option<&str>) -> Result<Mint, Cause> {
    let is_served = protocol.dialect == Some(Dialect::Kubernetes)
        || (protocol.service == Service::Command && protocol.address.is_none());
    if !is_served {
        return Err(WRONG_CLUSTER_TYPE);
    }
    let text = |name: &str| Some(own.text(name).trim()).filter(|text| !text.is_empty());
    let region = text("EKS_AWS_REGION").or(of_agent).unwrap_or("");
    let role = text("EKS_ROLE_ARN").map(|arn| Role {
        arn: arn.to_owned(),
        session: text("EKS_ROLE_SESSION")
            .or_else(|| text("EKS_BINDING_USER_ROLE"))
            .unwrap_or("")
            .to_owned(),
        ..Role::default()
    });
    Mint::cluster(text("EKS_CLUSTER").unwrap_or(""), region, role)
}

/// A process that is about to be started finds `token` where it looks for it. Its shell's next command does, too, for
/// as long as the token lives.
pub(super) fn give(
    environment: &mut Environment,
    token: &Secret,
    protocol: &Protocol,
    connection_type: &str,
) {
    match environment.mint() {
        Some(Mint::Database { .. }) => {
            environment.set("PASS", token.expose());
            if let Some(alias) = protocol.password_alias {
                environment.set(alias, token.expose());
            }
            let is_strict = ["verify-ca", "verify-full"].contains(&environment.text("PGSSLMODE"));
            // Whoever says less, the token goes over TLS.
            if connection_type == "postgres" && !is_strict {
                environment.set("PGSSLMODE", "require");
            }
        }
        Some(Mint::Cluster { .. }) => {
            environment.set(
                "KUBERNETES_BEARER_TOKEN",
                [b"Bearer ", token.expose()].concat(),
            );
        }
        None => {}
    }
}

/// MySQL's own program sends a password as it is only where it is told to; it stands behind `command_words` words.
pub(super) fn allow_clear_text(argv: &mut Argv, command_words: usize) {
    argv.insert(
        command_words.min(argv.len()),
        "--enable-cleartext-plugin".into(),
    );
}

/// What stands in PASS until there is a token.
const FILLER: &str = "_aws_iam_rds:authtoken";
const WRONG_TYPE: Cause = Cause::fixed(
    "USER is _aws_iam_rds:..., which is for connections of postgres and mysql, and for commands",
);
const WRONG_CLUSTER_TYPE: Cause =
    Cause::fixed("EKS_CLUSTER is set, which is for connections of kubernetes, and for commands");
const NO_HOST: Cause = Cause::fixed("rds_iam_auth: missing HOST value in env");
const NO_PORT: Cause = Cause::fixed("rds_iam_auth: missing PORT value in env, or it is no number");
