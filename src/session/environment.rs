//! The variables and secret files of one session, finished from a [`Plan`].
//!
//! What the connection itself says is kept apart, with what the agent's operator gives to it alone ([`Given`]):
//! where a session leads and how it logs in there is asked of [`Environment::own`] alone, and everything else
//! reaches processes only.
//!
//! Later sources win, but a client never overrides its connection, never reaches a variable of
//! the agent that the connection did not name, and nobody reaches the agent's own keys.
//! (gateway-protocol 5.3 and 5.4; 8.2 for what upstream does less carefully.)

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use nanoserde::DeJson;

use super::client_variables::{self, CONSOLE_ONLY};
use super::heap;
use super::plan::{Meaning, Plan, decode, split_key};
use super::protocol::{Protocol, Verb};
use super::variable_error::{ReferenceError, VariableError};
use crate::base::plain::Word;
use crate::base::{ClientEnv, Secret};
use crate::packet::{ConnectionParams, EnvVars};
use crate::secrets::Mint;

/// What the agent's own process offers to its sessions. Read once at start, before the keys are
/// wiped from the process.
#[derive(Default)]
pub struct AgentEnvironment {
    variables: BTreeMap<String, Vec<u8>>,
    /// Embedded mode: sessions inherit the application's variables.
    is_embedded: bool,
    /// What clients may set.
    client_env: ClientEnv,
    given: Given,
}

/// What the operator gives by the agent to the one connection that it publishes: the database of
/// `--postgres` and the like. The gateway is not told, so the connection itself has none of it.
#[derive(Default)]
pub struct Given {
    /// The connection's name.
    pub connection: String,
    /// Its variables, which count as its own where it has none of the name.
    pub variables: Vec<(&'static str, Secret)>,
}

/// Values by name.
#[derive(Default)]
pub struct Variables(BTreeMap<String, Secret>);

impl Variables {
    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.expose()))
    }

    /// With one value.
    #[cfg(test)]
    pub(super) fn of(name: &str, value: &str) -> Self {
        Self(BTreeMap::from([(name.to_owned(), Secret::new(value))]))
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Secret::expose)
    }

    /// The same, as the secret that it may be.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// Text of `name`, empty when absent.
    pub fn text(&self, name: &str) -> &str {
        text(self.get(name))
    }
}

fn text(value: Option<&[u8]>) -> &str {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    text.unwrap_or("")
}

/// The outcome: variables, and variables whose value is to be the path of a file.
#[derive(Default)]
pub struct Environment {
    /// The connection's.
    own: Variables,
    /// Everybody else's, for processes; these go before the connection's of the same name, which only
    /// happens where they must.
    others: Variables,
    files: BTreeMap<String, SecretFile>,
    /// The client has set what only a program without a terminal may have.
    bars_terminal: bool,
    /// What a token of Amazon's is made of, where the connection logs in by one.
    mint: Option<Mint>,
}

/// What is to be in a file.
struct SecretFile {
    content: Secret,
    /// The connection's.
    is_own: bool,
}

/// Names that no session may read from the agent: its own keys and those of its secret stores.
const PRIVATE_NAMES: [&str; 3] = ["TOKEN", "VAULT_TOKEN", "VAULT_APP_ROLE_SECRET_ID"];
const PRIVATE_PREFIX: &str = "HOOP_";

/// Variables that say whose session it is.
const SESSION_NAMES: [&str; 7] = [
    "HOOP_CONNECTION_NAME",
    "HOOP_CONNECTION_TYPE",
    "HOOP_CLIENT_ORIGIN",
    "HOOP_CLIENT_VERB",
    "HOOP_USER_ID",
    "HOOP_USER_EMAIL",
    "HOOP_SESSION_ID",
];

/// Where commands are looked up when nobody says where.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Without it, Ruby, Python and others take everything for ASCII.
const LOCALE_DEFAULT: &str = "C.UTF-8";

/// What a program on a terminal finds in `TERM`.
const TERMINAL_TYPE: &str = "xterm-256color";

/// Names that one log line shows.
const NAMES_SHOWN_BYTES: usize = 200;

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
            client_env: ClientEnv::Default,
            given: Given::default(),
        }
    }

    /// With what one connection is given.
    #[must_use]
    pub fn with_given(mut self, given: Given) -> Self {
        self.given = given;
        self
    }

    /// What the connection of this name is given.
    fn given_to(&self, connection: &str) -> &[(&'static str, Secret)] {
        match connection == self.given.connection {
            true => &self.given.variables,
            false => &[],
        }
    }

    /// With what an operator lets clients set.
    #[must_use]
    pub fn with_client_env(mut self, client_env: ClientEnv) -> Self {
        self.client_env = client_env;
        self
    }

    /// One variable of the agent.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.variables.get(name).map(Vec::as_slice)
    }

    /// The secret that a [`Meaning::Json`] refers to.
    fn look_up(&self, reference: &Secret) -> Result<Secret, ReferenceError> {
        let mut parts = reference.expose_text().unwrap_or("").split(':').skip(1);
        let (id, field) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let json = self.get(id).and_then(|json| std::str::from_utf8(json).ok());
        let json = json.ok_or_else(|| ReferenceError::NoVariable(id.to_owned()))?;
        let object = BTreeMap::<String, String>::deserialize_json(json)
            .map_err(|_| ReferenceError::NotJson(id.to_owned()))?;
        match object.get(field) {
            Some(secret) => Ok(Secret::new(secret.as_str())),
            None => Err(ReferenceError::NoField(field.to_owned())),
        }
    }
}

/// The agent's own variables: no session gets to see them.
fn is_private(name: &str) -> bool {
    name.starts_with(PRIVATE_PREFIX) || PRIVATE_NAMES.contains(&name)
}

impl Environment {
    /// Finishes the environment of a session, or says why it can't be had.
    pub fn finish(
        plan: Plan,
        params: &ConnectionParams,
        protocol: &Protocol,
        client: &EnvVars,
        session_id: &str,
        agent: &AgentEnvironment,
    ) -> Result<Self, VariableError> {
        let mut built = Self::default();
        let given = agent.given_to(&params.connection_name);
        for (key, value, meaning) in plan.variables {
            let (kind, name) = split_key(&key)?;
            let value = match meaning {
                // What was to be fetched is here by now.
                Meaning::Itself | Meaning::Stored(_) => value,
                Meaning::OfAgent => match given.iter().find(|(known, _)| *known == name) {
                    Some((_, given)) => given.clone(),
                    None => agent.get(name).map_or(value, Secret::new),
                },
                Meaning::Json => agent
                    .look_up(&value)
                    .map_err(|error| VariableError::Reference(key.clone(), error))?,
            };
            built.insert(kind, name, value, true)?;
        }
        built.fill(given)?;
        if agent.is_embedded {
            built.inherit(agent);
        }
        built.add_client(params, protocol, client, session_id, agent)?;
        built.add_password_alias(protocol);
        built.add_session(params, session_id);
        built.add_process_defaults(agent);
        Ok(built)
    }

    /// Of a session that waits for its secrets: whose it is, and nothing else.
    pub fn waiting(params: &ConnectionParams, session_id: &str) -> Self {
        let mut built = Self::default();
        built.add_session(params, session_id);
        built
    }

    /// What the connection itself says, references resolved.
    pub fn own(&self) -> &Variables {
        &self.own
    }

    /// What a token of Amazon's is made of, where the connection logs in by one.
    pub(super) fn mint(&self) -> Option<&Mint> {
        self.mint.as_ref()
    }

    /// The connection logs in as `user` where it names one, by a token that is made of `mint`.
    pub(super) fn log_in_by(&mut self, mint: Mint, user: Option<String>, filler: &str) {
        if let Some(user) = user {
            self.own.0.insert("USER".to_owned(), Secret::new(user));
            // What is missing is missed by those who ask for all three.
            let pass = self.own.0.entry("PASS".to_owned());
            pass.or_insert_with(|| Secret::new(filler));
        }
        self.mint = Some(mint);
    }

    /// What the connection itself says about `name`, by a variable or by a secret file.
    pub fn own_or_file(&self, name: &str) -> &str {
        let file = self.files.get(name).filter(|file| file.is_own);
        match (self.own.get(name), file) {
            (None, Some(file)) => file.content.expose_text().unwrap_or(""),
            (own, _) => text(own),
        }
    }

    /// The value that a process finds under `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.others.get(name).or_else(|| self.own.get(name))
    }

    /// Text of `name`, empty when absent.
    pub fn text(&self, name: &str) -> &str {
        text(self.get(name))
    }

    /// Where in the order of [`Environment::files`] the file of this name is.
    pub fn file_position(&self, name: &str) -> Option<usize> {
        self.files.keys().position(|known| known == name)
    }

    /// What a program on a terminal needs beside the rest, or why it can't have one.
    pub(super) fn add_terminal(&mut self) -> Result<(), VariableError> {
        if self.bars_terminal {
            let refusal = client_variables::refusal(&ClientEnv::Default, CONSOLE_ONLY, true);
            return Err(VariableError::OfClient(refusal.unwrap_or_default()));
        }
        self.set_default("TERM", TERMINAL_TYPE);
        Ok(())
    }

    fn set_default(&mut self, name: &str, value: &str) {
        if self.text(name).is_empty() && !self.files.contains_key(name) {
            self.set(name, value);
        }
    }

    /// Sets a variable for processes.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.others.0.insert(name.to_owned(), Secret::new(value));
    }

    /// Files to be written before a command starts: variable name and content.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.files
            .iter()
            .map(|(name, file)| (name.as_str(), &file.content))
    }

    /// What all names and values take of the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let variables = self.own.0.iter().chain(&self.others.0);
        let files = self.files.iter().map(|(name, file)| (name, &file.content));
        let sizes = variables.chain(files).map(|(name, value)| {
            heap::MAP_ENTRY_BYTES + heap::block(name.capacity()) + heap::block(value.capacity())
        });
        sizes.sum()
    }

    /// The variables as a process wants them.
    pub fn to_process(&self) -> Vec<(OsString, Secret)> {
        let mut all = Vec::with_capacity(self.own.0.len() + self.others.0.len());
        let mut add = |name: &str, value: &Secret| all.push((name.into(), value.clone()));
        for (name, value) in &self.others.0 {
            add(name, value);
        }
        for (name, value) in &self.own.0 {
            if self.others.get(name).is_none() {
                add(name, value);
            }
        }
        all
    }

    /// What the connection is given and does not say itself.
    fn fill(&mut self, given: &[(&'static str, Secret)]) -> Result<(), VariableError> {
        for (name, value) in given {
            if self.own.get(name).is_none() && !self.files.contains_key(*name) {
                self.insert("envvar", name, value.clone(), true)?;
            }
        }
        Ok(())
    }

    /// The app's variables, for processes. Its terminal is not the one that a client has.
    fn inherit(&mut self, agent: &AgentEnvironment) {
        for (name, value) in &agent.variables {
            if name != "TERM" && self.own.get(name).is_none() {
                self.set(name, &value[..]);
            }
        }
    }

    fn add_client(
        &mut self,
        params: &ConnectionParams,
        protocol: &Protocol,
        client: &EnvVars,
        session_id: &str,
        agent: &AgentEnvironment,
    ) -> Result<(), VariableError> {
        let has_password = self.get("PASS").is_some();
        let alias = protocol.password_alias.filter(|_| has_password);
        let is_console = Verb::of(params) == Verb::Connect;
        let mut passed_over = String::new();
        for (key, encoded) in client {
            let (kind, name) = split_key(key)?;
            if SESSION_NAMES.contains(&name)
                || alias == Some(name)
                || self.own.get(name).is_some()
                || self.files.contains_key(name)
                || client_variables::is_for_tokens(name)
            {
                if passed_over.len() < NAMES_SHOWN_BYTES {
                    passed_over.push(' ');
                    passed_over.push_str(&Word(name).to_string());
                }
                continue;
            }
            if let Some(refusal) = client_variables::refusal(&agent.client_env, name, is_console) {
                return Err(VariableError::OfClient(refusal));
            }
            self.bars_terminal |= name == CONSOLE_ONLY
                && client_variables::refusal(&agent.client_env, name, true).is_some();
            self.insert(kind, name, decode(name, encoded)?, false)?;
        }
        if !passed_over.is_empty() {
            passed_over.truncate(passed_over.floor_char_boundary(NAMES_SHOWN_BYTES));
            log::info!(
                "sid={} the client's{passed_over} passed over: the connection or the session sets it",
                Word(session_id)
            );
        }
        Ok(())
    }

    fn insert(
        &mut self,
        kind: &str,
        name: &str,
        value: Secret,
        is_own: bool,
    ) -> Result<(), VariableError> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(VariableError::Name(name.to_owned()));
        }
        match kind {
            "envvar" if value.expose().contains(&0) => {
                return Err(VariableError::ZeroByte(name.to_owned()));
            }
            "envvar" if is_own => drop(self.own.0.insert(name.to_owned(), value)),
            "envvar" => drop(self.others.0.insert(name.to_owned(), value)),
            "filesystem" => {
                let content = value;
                let file = SecretFile { content, is_own };
                self.files.insert(name.to_owned(), file);
            }
            _ => return Err(VariableError::KeyType(kind.to_owned())),
        }
        Ok(())
    }

    fn add_password_alias(&mut self, protocol: &Protocol) {
        if let Some(alias) = protocol.password_alias
            && let Some(password) = self.get("PASS").map(<[u8]>::to_vec)
        {
            self.set(alias, password);
        }
    }

    fn add_session(&mut self, params: &ConnectionParams, session_id: &str) {
        let values = [
            &params.connection_name,
            &params.connection_type,
            &params.client_origin,
            &params.client_verb,
            &params.user_id,
            &params.user_email,
            session_id,
        ];
        for (name, value) in SESSION_NAMES.into_iter().zip(values) {
            self.set(name, value);
        }
        // A zero byte would cut the variable, and the rest of the list with some programs.
        let others = &mut self.others.0;
        others.retain(|_, value| !value.expose().contains(&0));
    }

    fn add_process_defaults(&mut self, agent: &AgentEnvironment) {
        for name in ["HOME", "PATH"] {
            if self.text(name).is_empty()
                && !self.files.contains_key(name)
                && let Some(value) = agent.get(name)
            {
                self.set(name, value);
            }
        }
        self.set_default("PATH", PATH_DEFAULT);
        if ["LC_ALL", "LC_CTYPE"]
            .iter()
            .all(|name| self.text(name).is_empty())
        {
            self.set_default("LANG", LOCALE_DEFAULT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::protocol;
    use crate::wire::base64;

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

    fn built_from(
        params: &ConnectionParams,
        client: &EnvVars,
        agent: &AgentEnvironment,
    ) -> Result<Environment, VariableError> {
        let plan = Plan::new(params.env_vars.clone())?;
        let protocol = protocol::classify(params).unwrap();
        Environment::finish(plan, params, protocol, client, "sid-1", agent)
    }

    fn build(
        connection: &[(&str, &str)],
        client: &[(&str, &str)],
        embedded: bool,
    ) -> Result<Environment, VariableError> {
        let params = ConnectionParams {
            connection_type: "postgres".into(),
            cmd_list: vec![b"psql".to_vec()],
            env_vars: pairs(connection),
            ..ConnectionParams::default()
        };
        built_from(&params, &pairs(client), &agent(embedded))
    }

    fn error(connection: &[(&str, &str)], client: &[(&str, &str)]) -> String {
        build(connection, client, false)
            .err()
            .expect("refused")
            .to_string()
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
    fn a_secret_file_counts_for_the_way_to_a_server_if_it_is_the_connections() {
        let (file, variable) = ("filesystem:SSLROOTCERT", "envvar:SSLROOTCERT");
        let named = |connection: &[(&str, &str)], client: &[(&str, &str)]| {
            let built = build(connection, client, false).unwrap();
            built.own_or_file("SSLROOTCERT").to_owned()
        };
        assert_eq!(named(&[(file, "mine")], &[]), "mine");
        assert_eq!(named(&[(file, "mine")], &[(file, "yours")]), "mine");
        assert_eq!(named(&[(file, "mine"), (variable, "path")], &[]), "path");
        assert_eq!(named(&[], &[(file, "yours")]), "");
        assert_eq!(named(&[], &[(variable, "yours")]), "");
    }

    #[test]
    fn the_agents_variables_are_for_the_connection_and_its_keys_for_nobody() {
        let built = build(
            &[
                ("envvar:USER", "system.agent.envs"),
                ("envvar:HOOP_KEY", "system.agent.envs"),
            ],
            &[
                ("envvar:SECRETS", "system.agent.envs"),
                ("envvar:VAULT_TOKEN", "system.agent.envs"),
            ],
            false,
        )
        .unwrap();
        assert_eq!(built.text("USER"), "app");
        assert_eq!(built.text("HOOP_KEY"), "system.agent.envs");
        assert_eq!(built.text("SECRETS"), "system.agent.envs");
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
    fn what_a_published_connection_is_given_is_its_own_and_nobody_elses() {
        let variables = [("HOST", "db"), ("USER", "db-user"), ("PASS", "s3cret")];
        let agent = agent(true).with_given(Given {
            connection: "mine".into(),
            variables: variables
                .map(|(name, value)| (name, Secret::new(value)))
                .into(),
        });
        let build = |name: &str, own: &[(&str, &str)], client: &[(&str, &str)]| {
            let params = ConnectionParams {
                connection_name: name.into(),
                connection_type: "postgres".into(),
                cmd_list: vec![b"psql".to_vec()],
                env_vars: pairs(own),
                ..ConnectionParams::default()
            };
            built_from(&params, &pairs(client), &agent).unwrap()
        };
        let client = [("envvar:HOST", "elsewhere"), ("envvar:PASS", "elsewhere")];
        let built = build("mine", &[], &client);
        for (name, value) in variables {
            assert_eq!(built.own().text(name), value);
            assert_eq!(built.text(name), value, "a process sees it, too");
        }
        assert_eq!(built.text("PGPASSWORD"), "s3cret");
        let other = [
            ("envvar:HOST", "other"),
            ("envvar:USER", "system.agent.envs"),
        ];
        let built = build("mine", &other, &[]);
        assert_eq!(
            built.own().text("HOST"),
            "other",
            "what it says itself wins"
        );
        assert_eq!(built.own().text("USER"), "db-user");
        let built = build("another", &[], &[]);
        assert_eq!((built.own().get("HOST"), built.get("PASS")), (None, None));
        assert_eq!(built.text("USER"), "app");
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
            ("_aws:key", "is no reference to AWS"),
            ("_vaultkv2:a:b:c", "is no reference to Vault"),
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
            "filesystem:BASH_ENV",
        ] {
            assert!(
                error(&[], &[(name, "x")]).contains("can not be set by a client"),
                "{name}"
            );
        }
        assert!(build(&[("envvar:LD_LIBRARY_PATH", "/opt")], &[], false).is_ok());
    }

    #[test]
    fn a_client_overrides_the_app_but_not_what_names_its_session() {
        let client = [
            ("envvar:USER", "mine"),
            ("envvar:HOOP_USER_EMAIL", "somebody@else"),
            ("filesystem:HOOP_USER_ID", "somebody else"),
            ("filesystem:PGPASSWORD", "mine"),
        ];
        let built = build(&[("envvar:PASS", "p")], &client, true).unwrap();
        assert_eq!(
            (built.text("USER"), built.text("PGPASSWORD")),
            ("mine", "p")
        );
        assert_eq!(built.text("HOOP_USER_EMAIL"), "");
        assert_eq!(built.files().count(), 0);
        // Nobody has set this one.
        let built = build(&[], &client[3..], true).unwrap();
        assert_eq!(built.files().count(), 1);
    }

    #[test]
    fn programs_find_a_path_a_locale_and_on_a_terminal_its_type() {
        let nobody = AgentEnvironment::default();
        let build = |list: &[(&str, &str)]| {
            let params = ConnectionParams {
                env_vars: pairs(list),
                ..ConnectionParams::default()
            };
            let mut built = built_from(&params, &EnvVars::new(), &nobody).unwrap();
            assert_eq!(
                built.get("TERM").is_some(),
                list.iter().any(|(key, _)| *key == "envvar:TERM")
            );
            built.add_terminal().unwrap();
            built
        };
        let built = build(&[]);
        assert_eq!(
            (built.text("PATH"), built.text("LANG")),
            (PATH_DEFAULT, "C.UTF-8")
        );
        assert_eq!(built.text("TERM"), "xterm-256color");
        let built = build(&[
            ("envvar:TERM", "vt100"),
            ("envvar:LC_ALL", "de_DE"),
            ("envvar:PATH", "/x"),
        ]);
        assert_eq!((built.text("TERM"), built.text("PATH")), ("vt100", "/x"));
        assert_eq!(
            built.get("LANG"),
            None,
            "the connection has said what it wants"
        );
        assert_eq!(build(&[("envvar:LANG", "C")]).text("LANG"), "C");
    }

    #[test]
    fn an_interactive_shell_does_not_read_a_clients_file() {
        let mut params = ConnectionParams {
            client_verb: "connect".into(),
            ..ConnectionParams::default()
        };
        let client = pairs(&[("envvar:ENV", "/tmp/mine")]);
        let build = |params: &ConnectionParams| built_from(params, &client, &agent(false));
        assert!(build(&params).is_err());
        params.client_verb = "exec".into();
        let mut built = build(&params).unwrap();
        assert_eq!(built.text("ENV"), "/tmp/mine");
        // Which packet starts the command is the client's choice, too.
        let refusal = built.add_terminal().unwrap_err().to_string();
        assert!(refusal.contains("\"ENV\""));
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
        let text = built_from(&params, &EnvVars::new(), &agent(false))
            .err()
            .expect("refused")
            .to_string();
        assert_eq!(
            text,
            "failed decoding env var \"A\", err=illegal base64 data at input byte 0"
        );
    }
}
