//! The variables and secret files of one session.
//!
//! Later sources win, but a client never overrides its connection, never reaches a variable of
//! the agent that the connection did not name, and nobody reaches the agent's own keys.
//! (gateway-protocol 5.3 and 5.4; 8.2 for what upstream does less carefully.)

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nanoserde::DeJson;

use crate::base::Secret;
use crate::packet::{ConnectionParams, EnvVars};
use crate::wire::base64;

/// What the agent's own process offers to its sessions. Read once at start, before the keys are
/// wiped from the process.
#[derive(Default)]
pub struct AgentEnvironment {
    variables: BTreeMap<String, Vec<u8>>,
    /// Embedded mode: sessions inherit the application's variables.
    is_embedded: bool,
}

/// The outcome: variables, and variables whose value is to be the path of a file.
#[derive(Default)]
pub struct Environment {
    variables: BTreeMap<String, Secret>,
    files: BTreeMap<String, Secret>,
}

/// Placeholder by which a connection names a variable of the agent.
const FROM_AGENT: &[u8] = b"system.agent.envs";

/// Names that no session may read from the agent: its own keys and those of its secret stores.
const PRIVATE_NAMES: [&str; 3] = ["TOKEN", "VAULT_TOKEN", "VAULT_APP_ROLE_SECRET_ID"];
const PRIVATE_PREFIX: &str = "HOOP_";

/// Names by which a client could make another program of the connection's command.
const LOADER_PREFIXES: [&str; 3] = ["LD_", "DYLD_", "GLIBC_TUNABLES"];

/// Secret stores of upstream that are not served yet.
const OTHER_PROVIDERS: [&str; 3] = ["_aws", "_vaultkv1", "_vaultkv2"];

impl AgentEnvironment {
    /// Takes the process's variables, less the private ones.
    pub fn new(variables: impl Iterator<Item = (OsString, OsString)>, is_embedded: bool) -> Self {
        let variables = variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_vec())))
            .filter(|(name, _)| !is_private(name))
            .collect();
        Self {
            variables,
            is_embedded,
        }
    }

    /// One variable of the agent.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.variables.get(name).map(Vec::as_slice)
    }
}

/// The agent's own variables: no session gets to see them.
fn is_private(name: &str) -> bool {
    name.starts_with(PRIVATE_PREFIX) || PRIVATE_NAMES.contains(&name)
}

impl Environment {
    /// Builds the environment of a session, or says in one sentence why it can't be built.
    pub fn build(
        params: &ConnectionParams,
        client: &EnvVars,
        session_id: &str,
        agent: &AgentEnvironment,
    ) -> Result<Self, String> {
        let mut built = Self::default();
        if agent.is_embedded {
            for (name, value) in &agent.variables {
                built
                    .variables
                    .insert(name.clone(), Secret::new(value.clone()));
            }
        }
        built.add_connection(params, agent)?;
        built.add_client(params, client)?;
        built.refuse_cloud_logins()?;
        built.add_password_alias(&params.connection_type);
        built.add_session(params, session_id);
        built.add_process_defaults(agent);
        Ok(built)
    }

    /// The value of `name`, decoded; a file's value is its content.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.variables.get(name).map(Secret::expose)
    }

    /// Text of `name`, empty when absent.
    pub fn text(&self, name: &str) -> &str {
        self.variables
            .get(name)
            .and_then(Secret::expose_text)
            .unwrap_or("")
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.variables.insert(name.to_owned(), Secret::new(value));
    }

    /// Files to be written before a command starts: variable name and content.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, content)| (name.as_str(), content.expose()))
    }

    /// Bytes of all names and values.
    pub fn held_bytes(&self) -> usize {
        let all = self.variables.iter().chain(&self.files);
        all.map(|(name, value)| name.len() + value.expose().len())
            .sum()
    }

    /// The variables as a process wants them.
    pub fn to_process(&self) -> Vec<(OsString, OsString)> {
        let os = |bytes: &[u8]| OsStr::from_bytes(bytes).to_os_string();
        self.variables
            .iter()
            .map(|(k, v)| (os(k.as_bytes()), os(v.expose())))
            .collect()
    }

    fn add_connection(
        &mut self,
        params: &ConnectionParams,
        agent: &AgentEnvironment,
    ) -> Result<(), String> {
        for (key, encoded) in &params.env_vars {
            let (kind, name) = split_key(key)?;
            let value = decode(name, encoded)?;
            let value = resolve_provider(key, value, agent)?;
            let value = if kind == "envvar" && value.expose() == FROM_AGENT {
                agent.get(name).map_or(value, Secret::new)
            } else {
                value
            };
            self.insert(kind, name, value)?;
        }
        Ok(())
    }

    fn add_client(&mut self, params: &ConnectionParams, client: &EnvVars) -> Result<(), String> {
        for (key, encoded) in client {
            let (kind, name) = split_key(key)?;
            let taken = |key: &String| split_key(key).is_ok_and(|(_, known)| known == name);
            if params.env_vars.keys().any(taken) {
                continue;
            }
            if name == "PATH"
                || LOADER_PREFIXES
                    .iter()
                    .any(|prefix| name.starts_with(prefix))
            {
                return Err(format!(
                    "environment variable \"{name}\" can not be set by a client"
                ));
            }
            self.insert(kind, name, decode(name, encoded)?)?;
        }
        Ok(())
    }

    fn insert(&mut self, kind: &str, name: &str, value: Secret) -> Result<(), String> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!("environment variable name {name:?} is not valid"));
        }
        match kind {
            "envvar" if value.expose().contains(&0) => {
                return Err(format!(
                    "environment variable \"{name}\" contains a zero byte"
                ));
            }
            "envvar" => self.variables.insert(name.to_owned(), value),
            "filesystem" => self.files.insert(name.to_owned(), value),
            _ => {
                return Err(format!(
                    "unknow environment variable type \"{kind}\", accepted: \"filesystem\", \"envvar\""
                ));
            }
        };
        Ok(())
    }

    fn refuse_cloud_logins(&self) -> Result<(), String> {
        if self.variables.contains_key("EKS_CLUSTER") {
            return Err("this agent does not mint EKS tokens (EKS_CLUSTER is set)".into());
        }
        if self.text("USER").starts_with("_aws_iam_rds:") {
            return Err(
                "this agent does not mint RDS IAM tokens (USER is _aws_iam_rds:...)".into(),
            );
        }
        Ok(())
    }

    fn add_password_alias(&mut self, connection_type: &str) {
        let alias = match connection_type {
            "postgres" => "PGPASSWORD",
            "mysql" => "MYSQL_PWD",
            "mssql" => "SQLCMDPASSWORD",
            _ => return,
        };
        if let Some(password) = self.variables.get("PASS").cloned() {
            self.variables.insert(alias.to_owned(), password);
        }
    }

    fn add_session(&mut self, params: &ConnectionParams, session_id: &str) {
        self.set("HOOP_CONNECTION_NAME", params.connection_name.as_str());
        self.set("HOOP_CONNECTION_TYPE", params.connection_type.as_str());
        self.set("HOOP_CLIENT_ORIGIN", params.client_origin.as_str());
        self.set("HOOP_CLIENT_VERB", params.client_verb.as_str());
        self.set("HOOP_USER_ID", params.user_id.as_str());
        self.set("HOOP_USER_EMAIL", params.user_email.as_str());
        self.set("HOOP_SESSION_ID", session_id);
        // A zero byte would cut the variable, and the rest of the list with some programs.
        self.variables
            .retain(|_, value| !value.expose().contains(&0));
    }

    fn add_process_defaults(&mut self, agent: &AgentEnvironment) {
        for name in ["HOME", "PATH"] {
            if self.text(name).is_empty()
                && let Some(value) = agent.get(name)
            {
                self.set(name, value);
            }
        }
    }
}

fn split_key(key: &str) -> Result<(&str, &str), String> {
    let wrong = || {
        format!("environment variable key type in unknown format, want=[keytype:key], got={key}")
    };
    let (kind, name) = key.split_once(':').ok_or_else(wrong)?;
    if name.contains(':') {
        Err(wrong())
    } else {
        Ok((kind, name))
    }
}

fn decode(name: &str, encoded: &Secret) -> Result<Secret, String> {
    base64::decode(encoded.expose())
        .map(Secret::new)
        .map_err(|error| format!("failed decoding env var \"{name}\", err={error}"))
}

/// `_envjson:<variable>:<key>` reads a JSON object of strings from a variable of the agent; other
/// text, passwords with colons included, stays as it is.
fn resolve_provider(key: &str, value: Secret, agent: &AgentEnvironment) -> Result<Secret, String> {
    let failed = |reason: String| {
        Err(format!(
            "failed decoding environment variables [\"{key} {reason}\"]"
        ))
    };
    let Some(text) = value.expose_text() else {
        return Ok(value);
    };
    let parts: Vec<&str> = text.split(':').collect();
    let [provider, id, field] = parts[..] else {
        return Ok(value);
    };
    if OTHER_PROVIDERS.contains(&provider) {
        return failed(format!(
            "the secret provider {provider} is not served by this agent"
        ));
    }
    if provider != "_envjson" {
        return Ok(value);
    }
    let Some(json) = agent
        .get(id)
        .and_then(|json| std::str::from_utf8(json).ok())
    else {
        return failed(format!("environment variable \"{id}\" not found"));
    };
    let Ok(object) = BTreeMap::<String, String>::deserialize_json(json) else {
        // The parser's own words would quote the secret.
        return failed(format!(
            "failed decoding environment variable \"{id}\" to json, err=not an object of strings"
        ));
    };
    match object.get(field) {
        Some(secret) => Ok(Secret::new(secret.as_str())),
        None => failed(format!("secret key \"{field}\" not found")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(is_embedded: bool) -> AgentEnvironment {
        let variables = [
            ("PATH", "/agent/bin"),
            ("HOME", "/home/agent"),
            ("HOOP_KEY", "grpc://key"),
            ("VAULT_TOKEN", "v"),
            ("USER", "app"),
            ("SECRETS", "{\"db\":\"s3cret\"}"),
            ("BROKEN", "{\"db\":12, s3cret"),
        ];
        AgentEnvironment::new(
            variables.iter().map(|(k, v)| (k.into(), v.into())),
            is_embedded,
        )
    }

    fn encode(text: &str) -> Secret {
        Secret::new(base64::encode(text.as_bytes()))
    }

    fn pairs(list: &[(&str, &str)]) -> EnvVars {
        list.iter()
            .map(|(k, v)| ((*k).to_owned(), encode(v)))
            .collect()
    }

    fn build(
        connection: &[(&str, &str)],
        client: &[(&str, &str)],
        embedded: bool,
    ) -> Result<Environment, String> {
        let params = ConnectionParams {
            connection_type: "postgres".into(),
            env_vars: pairs(connection),
            ..ConnectionParams::default()
        };
        Environment::build(&params, &pairs(client), "sid-1", &agent(embedded))
    }

    fn error(connection: &[(&str, &str)], client: &[(&str, &str)]) -> String {
        build(connection, client, false).err().expect("refused")
    }

    #[test]
    fn a_connection_wins_over_its_client() {
        let built = build(
            &[("envvar:A", "mine")],
            &[
                ("envvar:A", "yours"),
                ("filesystem:A", "yours"),
                ("envvar:B", "extra"),
            ],
            false,
        )
        .unwrap();
        assert_eq!((built.text("A"), built.text("B")), ("mine", "extra"));
        assert_eq!(built.files().count(), 0);
    }

    #[test]
    fn the_agents_variables_are_for_the_connection_and_its_keys_for_nobody() {
        let built = build(
            &[
                ("envvar:USER", "system.agent.envs"),
                ("envvar:HOOP_KEY", "system.agent.envs"),
            ],
            &[
                ("envvar:HOME", "system.agent.envs"),
                ("envvar:VAULT_TOKEN", "system.agent.envs"),
            ],
            false,
        )
        .unwrap();
        assert_eq!(built.text("USER"), "app");
        assert_eq!(built.text("HOOP_KEY"), "system.agent.envs");
        assert_eq!(built.text("HOME"), "system.agent.envs");
        assert_eq!(built.text("VAULT_TOKEN"), "system.agent.envs");
    }

    #[test]
    fn embedded_sessions_inherit_the_application_but_no_key_and_no_override() {
        let built = build(&[("envvar:USER", "db")], &[], true).unwrap();
        assert_eq!(
            (built.text("USER"), built.text("HOME")),
            ("db", "/home/agent")
        );
        assert_eq!(
            (built.get("HOOP_KEY"), built.get("VAULT_TOKEN")),
            (None, None)
        );
        assert_eq!(build(&[], &[], false).unwrap().get("SECRETS"), None);
    }

    #[test]
    fn json_secrets_come_from_the_agents_variable() {
        let built = build(
            &[
                ("envvar:PASS", "_envjson:SECRETS:db"),
                ("envvar:X", "a:b:c"),
            ],
            &[],
            false,
        );
        let built = built.unwrap();
        assert_eq!(
            (built.text("PASS"), built.text("PGPASSWORD")),
            ("s3cret", "s3cret")
        );
        assert_eq!(built.text("X"), "a:b:c");
        for (value, want) in [
            (
                "_envjson:NONE:db",
                "environment variable \"NONE\" not found",
            ),
            ("_envjson:SECRETS:no", "secret key \"no\" not found"),
            ("_envjson:BROKEN:db", "to json"),
            (
                "_envjson:HOOP_KEY:db",
                "environment variable \"HOOP_KEY\" not found",
            ),
            ("_aws:id:key", "_aws is not served"),
            ("_vaultkv2:id:key", "_vaultkv2 is not served"),
        ] {
            let text = error(&[("envvar:PASS", value)], &[]);
            assert!(text.contains(want), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn a_client_may_not_set_what_changes_the_program() {
        for name in [
            "envvar:LD_PRELOAD",
            "filesystem:LD_PRELOAD",
            "envvar:PATH",
            "envvar:DYLD_X",
        ] {
            assert!(
                error(&[], &[(name, "x")]).contains("can not be set by a client"),
                "{name}"
            );
        }
        assert!(build(&[("envvar:LD_LIBRARY_PATH", "/opt")], &[], false).is_ok());
    }

    #[test]
    fn odd_keys_and_values_are_named() {
        for (key, want) in [
            ("PLAIN", "want=[keytype:key], got=PLAIN"),
            ("envvar:A:B", "want=[keytype:key], got=envvar:A:B"),
            ("other:A", "unknow environment variable type \"other\""),
            ("envvar:", "is not valid"),
            ("envvar:A=B", "is not valid"),
        ] {
            assert!(error(&[(key, "x")], &[]).contains(want), "{key}");
        }
        assert!(error(&[("envvar:A", "x\0y")], &[]).contains("zero byte"));
        let params = ConnectionParams {
            env_vars: [("envvar:A".into(), Secret::new("!!!!"))].into(),
            ..ConnectionParams::default()
        };
        let text = Environment::build(&params, &EnvVars::new(), "s", &agent(false))
            .err()
            .expect("refused");
        assert_eq!(
            text,
            "failed decoding env var \"A\", err=illegal base64 data at input byte 0"
        );
    }
}
