//! What the gateway sends to open a session: gob, matched by field name, so that gateways of
//! 2024, of today and of tomorrow are read alike.
//!
//! Promises that an unknown field is passed over, that a known one of another kind is an error (as
//! in Go), and that nothing secret has a `Debug` or outlives its owner. Base64 and secret providers
//! in the values of the environment are left to `session`.

use crate::base::Secret;
use crate::limits;
use crate::wire::gob::{self, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Variables of a session by `<kind>:<NAME>`; the values are base64 text.
pub type EnvVars = BTreeMap<String, Secret>;

/// The parameters of the hoop connection that a session belongs to, and who asks for it.
///
/// Text is as the gateway stores it (UTF-8; anything else is replaced), arguments are bytes. A
/// field that did not arrive is empty.
#[derive(Default)]
pub struct ConnectionParams {
    /// Name of the hoop connection.
    pub connection_name: String,
    /// Its type: `command-line`, `tcp`, `postgres` and others.
    pub connection_type: String,
    /// Its subtype as stored, not sent by gateways of 2024.
    pub connection_subtype: String,
    /// The identity provider's name for the user.
    pub user_id: String,
    /// The user's address.
    pub user_email: String,
    /// The environment of the connection.
    pub env_vars: EnvVars,
    /// The command of the connection.
    pub cmd_list: Vec<Vec<u8>>,
    /// What the client appends to it.
    pub client_args: Vec<Vec<u8>>,
    /// `exec`, `connect` or `plain-exec`.
    pub client_verb: String,
    /// `client`, `client-api` and others.
    pub client_origin: String,
    /// Data masking: `mspresidio`, `gcp`, `alcatraz` or empty.
    pub dlp_provider: String,
    /// Data masking: `best-effort` or `strict`.
    pub dlp_mode: String,
    /// Data masking: what to redact.
    pub dlp_info_types: Vec<String>,
    /// Data masking: credentials for `gcp`.
    pub dlp_gcp_credentials: Secret,
    /// Data masking: URL of the analyzer.
    pub dlp_presidio_analyzer_url: String,
    /// Data masking: URL of the anonymizer.
    pub dlp_presidio_anonymizer_url: String,
    /// Data masking: what to redact, JSON.
    pub data_masking_entity_types: Vec<u8>,
    /// Guard rails, JSON.
    pub guard_rail_rules: Vec<u8>,
    /// What to count, JSON. Demands nothing.
    pub analyzer_metrics_rules: Vec<u8>,
    /// Rule of the AI session analyzer, where one is set.
    pub ai_session_analyzer: Option<String>,
    /// The gateway (of 2024) wants hooks of external plugins to run.
    pub has_plugin_hooks: bool,
}

/// Why bytes are not connection params, client arguments or a client environment.
#[derive(Debug, PartialEq, Eq)]
pub enum ParamsError {
    /// Not gob.
    Gob(gob::Error),
    /// This field, or the whole value, is of another kind than it should be.
    Kind(Box<str>),
    /// A variable of this Go type, where only strings are of use.
    EnvVar(Box<str>),
    /// More arguments than [`limits::ARGUMENT_COUNT_MAX`].
    Arguments,
    /// More variables than [`limits::VARIABLE_COUNT_MAX`].
    Variables,
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gob(error) => error.fmt(f),
            Self::Kind(field) => write!(f, "wrong type for {field}"),
            Self::EnvVar(go_type) => {
                write!(
                    f,
                    "decoding env var error, expected string, found={go_type}"
                )
            }
            Self::Arguments => f.write_str(
                "the command has more than 4096 arguments: pass them by standard input or a file",
            ),
            Self::Variables => {
                f.write_str("the session has more than 1024 variables: pass them by a file")
            }
        }
    }
}

impl ParamsError {
    /// The value called `name` is not of its kind.
    fn kind(name: &[u8]) -> Self {
        Self::Kind(String::from_utf8_lossy(name).into())
    }
}

impl From<gob::Error> for ParamsError {
    fn from(error: gob::Error) -> Self {
        Self::Gob(error)
    }
}

impl ConnectionParams {
    /// Reads the value of spec key [`super::spec::CONNECTION_PARAMS`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ParamsError> {
        let Value::Struct(fields) = gob::decode(bytes)? else {
            return Err(ParamsError::kind(b"AgentConnectionParams"));
        };
        let mut params = Self::default();
        let mut argument_count = 0;
        for (name, value) in &fields {
            if matches!(*name, b"CmdList" | b"ClientArgs") {
                argument_count += list(value).map_or(0, <[_]>::len);
            }
            if argument_count > limits::ARGUMENT_COUNT_MAX {
                return Err(ParamsError::Arguments);
            }
            if *name == b"EnvVars" {
                params.env_vars = env_vars(value)?;
            } else if params.set(name, value).is_none() {
                return Err(ParamsError::kind(name));
            }
        }
        Ok(params)
    }

    /// Takes the field, if it is known; `None` when it is of another kind.
    fn set(&mut self, name: &[u8], value: &Value<'_>) -> Option<()> {
        match name {
            b"ConnectionName" => self.connection_name = text(value)?,
            b"ConnectionType" => self.connection_type = text(value)?,
            b"ConnectionSubType" => self.connection_subtype = text(value)?,
            b"UserID" => self.user_id = text(value)?,
            b"UserEmail" => self.user_email = text(value)?,
            b"CmdList" => self.cmd_list = arguments(value)?,
            b"ClientArgs" => self.client_args = arguments(value)?,
            b"ClientVerb" => self.client_verb = text(value)?,
            b"ClientOrigin" => self.client_origin = text(value)?,
            b"DlpProvider" => self.dlp_provider = text(value)?,
            b"DlpMode" => self.dlp_mode = text(value)?,
            b"DLPInfoTypes" => self.dlp_info_types = texts(value)?,
            b"DlpGcpRawCredentialsJSON" => {
                self.dlp_gcp_credentials = Secret::new(raw_text(value)?);
            }
            b"DlpPresidioAnalyzerURL" => self.dlp_presidio_analyzer_url = text(value)?,
            b"DlpPresidioAnonymizerURL" => self.dlp_presidio_anonymizer_url = text(value)?,
            b"DataMaskingEntityTypesData" => self.data_masking_entity_types = json(value)?,
            b"GuardRailRules" => self.guard_rail_rules = json(value)?,
            b"AnalyzerMetricsRules" => self.analyzer_metrics_rules = json(value)?,
            b"AISessionAnalyzer" => self.ai_session_analyzer = Some(rule_name(value)?),
            b"PluginHookList" => self.has_plugin_hooks = !list(value)?.is_empty(),
            _ => {}
        }
        Some(())
    }
}

/// Reads a gob `map[string]string`, such as the value of [`super::spec::CLIENT_ENV_VARS`].
pub fn decode_string_map(bytes: &[u8]) -> Result<EnvVars, ParamsError> {
    let wrong_kind = || ParamsError::kind(b"map[string]string");
    let value = gob::decode(bytes)?;
    let mut vars = EnvVars::new();
    for (key, value) in few(pairs(&value).ok_or_else(wrong_kind)?)? {
        let key = text(key).ok_or_else(wrong_kind)?;
        let value = raw_text(value).ok_or_else(wrong_kind)?;
        vars.insert(key, Secret::new(value));
    }
    Ok(vars)
}

/// A `map[string]any`, of which every value must be a string.
fn env_vars(value: &Value<'_>) -> Result<EnvVars, ParamsError> {
    let wrong_kind = || ParamsError::kind(b"EnvVars");
    let mut vars = EnvVars::new();
    for (key, value) in few(pairs(value).ok_or_else(wrong_kind)?)? {
        let key = text(key).ok_or_else(wrong_kind)?;
        let value = match value {
            Value::Interface(b"string", value) => raw_text(value).ok_or_else(wrong_kind)?,
            Value::Interface(name, _) => {
                return Err(ParamsError::EnvVar(String::from_utf8_lossy(name).into()));
            }
            Value::Nil => return Err(ParamsError::EnvVar("<nil>".into())),
            _ => return Err(wrong_kind()),
        };
        vars.insert(key, Secret::new(value));
    }
    Ok(vars)
}

/// So many variables that they may be kept.
fn few<T>(pairs: &[T]) -> Result<&[T], ParamsError> {
    match pairs.len() > limits::VARIABLE_COUNT_MAX {
        true => Err(ParamsError::Variables),
        false => Ok(pairs),
    }
}

// Each of these is `None` for a value of another kind.

fn pairs<'v, 'a>(value: &'v Value<'a>) -> Option<&'v [(Value<'a>, Value<'a>)]> {
    match value {
        Value::Map(pairs) => Some(pairs),
        _ => None,
    }
}

fn list<'v, 'a>(value: &'v Value<'a>) -> Option<&'v [Value<'a>]> {
    match value {
        Value::List(values) => Some(values),
        _ => None,
    }
}

fn raw_text<'a>(value: &Value<'a>) -> Option<&'a [u8]> {
    match value {
        Value::Text(bytes) => Some(bytes),
        _ => None,
    }
}

fn text(value: &Value<'_>) -> Option<String> {
    Some(String::from_utf8_lossy(raw_text(value)?).into_owned())
}

fn json(value: &Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}

fn arguments(value: &Value<'_>) -> Option<Vec<Vec<u8>>> {
    let values = list(value)?.iter();
    values
        .map(|value| raw_text(value).map(<[u8]>::to_vec))
        .collect()
}

fn texts(value: &Value<'_>) -> Option<Vec<String>> {
    list(value)?.iter().map(text).collect()
}

fn rule_name(value: &Value<'_>) -> Option<String> {
    let Value::Struct(fields) = value else {
        return None;
    };
    match fields.iter().find(|(name, _)| *name == b"RuleName") {
        Some((_, value)) => text(value),
        None => Some(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::gob::vectors::vector;
    use proptest::prelude::*;

    fn params(name: &str) -> ConnectionParams {
        match ConnectionParams::decode(&vector(name)) {
            Ok(params) => params,
            Err(error) => panic!("{name}: {error}"),
        }
    }

    fn error(input: &[u8]) -> Option<String> {
        ConnectionParams::decode(input)
            .err()
            .map(|error| error.to_string())
    }

    fn vars(vars: &EnvVars) -> Vec<(&str, &str)> {
        vars.iter()
            .map(|(key, value)| (key.as_str(), value.expose_text().unwrap()))
            .collect()
    }

    fn words(list: &[Vec<u8>]) -> Vec<&str> {
        list.iter()
            .map(|word| std::str::from_utf8(word).unwrap())
            .collect()
    }

    /// Replaces a text in gob by one of the same length.
    fn with(input: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
        assert_eq!(old.len(), new.len());
        let at = input
            .windows(old.len())
            .position(|window| window == old)
            .unwrap();
        [&input[..at], new, &input[at + old.len()..]].concat()
    }

    #[test]
    fn every_field_of_today_is_read() {
        let params = params("head-all-fields");
        assert_eq!(params.connection_name, "grafana");
        assert_eq!(params.connection_type, "httpproxy");
        assert_eq!(params.connection_subtype, "grafana");
        assert_eq!(params.user_id, "user-42");
        assert_eq!(params.user_email, "ops@example.com");
        assert_eq!(words(&params.cmd_list), ["grafana", "--flag"]);
        assert_eq!(words(&params.client_args), ["a", "b"]);
        assert_eq!(params.client_verb, "connect");
        assert_eq!(params.client_origin, "client-proxymanager");
        assert_eq!(params.dlp_provider, "mspresidio");
        assert_eq!(params.dlp_mode, "best-effort");
        assert_eq!(
            params.dlp_info_types,
            ["EMAIL_ADDRESS", "PHONE_NUMBER", "URL"]
        );
        let credentials = params.dlp_gcp_credentials.expose_text();
        assert_eq!(credentials, Some("{\"type\":\"service_account\"}"));
        assert_eq!(params.dlp_presidio_analyzer_url, "http://analyzer:3000");
        assert_eq!(params.dlp_presidio_anonymizer_url, "http://anonymizer:3000");
        assert!(
            params
                .data_masking_entity_types
                .starts_with(b"[{\"supported_entity_types\"")
        );
        assert!(
            params
                .guard_rail_rules
                .starts_with(b"{\"input_rules\":[{\"rules\"")
        );
        assert_eq!(params.analyzer_metrics_rules, b"[]");
        assert_eq!(params.ai_session_analyzer.as_deref(), Some("r1"));
        assert!(!params.has_plugin_hooks);
        let expected = [
            ("envvar:EMPTY", ""),
            ("envvar:INSECURE", "dHJ1ZQ=="),
            ("envvar:REMOTE_URL", "aHR0cHM6Ly9ncmFmYW5hLmludGVybmFs"),
        ];
        assert_eq!(vars(&params.env_vars), expected);
    }

    #[test]
    fn params_of_2024_are_read() {
        let params = params("2024-exec");
        assert_eq!(
            (params.connection_name.as_str(), params.user_id.as_str()),
            ("bash", "u")
        );
        assert_eq!(params.client_verb, "exec");
        assert_eq!(words(&params.cmd_list), ["bash", "-l"]);
        assert_eq!(words(&params.client_args), ["--posix"]);
        assert_eq!(params.dlp_info_types, ["EMAIL_ADDRESS"]);
        assert_eq!(vars(&params.env_vars), [("envvar:TOKEN", "dDBrM24=")]);
    }

    #[test]
    fn plugin_hooks_are_noticed() {
        let params = params("2024-plugin-hooks");
        assert!(params.has_plugin_hooks);
        assert_eq!(vars(&params.env_vars), [("envvar:A", "MQ==")]);
    }

    #[test]
    fn fields_are_matched_by_name_and_unknown_ones_passed_over() {
        for name in [
            "future-extra-fields",
            "future-unknown-all-zero",
            "slim-three-fields",
        ] {
            assert!(!params(name).connection_name.is_empty(), "{name}");
        }
        let params = params("future-reordered");
        assert_eq!(
            (params.connection_name.as_str(), params.user_id.as_str()),
            ("ro", "i")
        );
        assert_eq!(params.connection_type, "tcp");
        assert_eq!(words(&params.cmd_list), ["c1", "c2"]);
        assert_eq!(
            vars(&params.env_vars),
            [("envvar:A", "MQ=="), ("envvar:B", "Mg==")]
        );
    }

    #[test]
    fn absent_fields_are_empty() {
        let params = params("head-zero");
        assert!(params.connection_name.is_empty() && params.cmd_list.is_empty());
        assert!(params.env_vars.is_empty() && params.dlp_gcp_credentials.expose().is_empty());
        assert_eq!(params.ai_session_analyzer, None);
    }

    #[test]
    fn an_analyzer_without_a_rule_name_is_present() {
        assert_eq!(
            params("head-ai-zero-struct").ai_session_analyzer.as_deref(),
            Some("")
        );
        assert_eq!(
            params("head-ai-partial").ai_session_analyzer.as_deref(),
            Some("")
        );
    }

    #[test]
    fn arguments_and_variables_keep_their_bytes() {
        let params = params("head-exec-client-args-unicode");
        let args = [
            "--name",
            "",
            "snow\u{2603}man",
            "\0\u{1}",
            "tab\tand\nnewline",
        ];
        assert_eq!(words(&params.client_args), args);
    }

    #[test]
    fn a_variable_that_is_no_string_is_refused_by_its_go_type() {
        let cases = [
            ("head-envvars-bytes", "[]uint8"),
            ("head-envvars-nil-value", "<nil>"),
            ("head-envvars-one-bool", "bool"),
            ("head-envvars-one-nested", "map[string]interface {}"),
        ];
        for (name, found) in cases {
            let text = format!("decoding env var error, expected string, found={found}");
            assert_eq!(error(&vector(name)), Some(text));
        }
    }

    #[test]
    fn a_known_field_of_another_kind_is_refused() {
        let input = vector("head-all-fields");
        let cases: [(&[u8], &[u8], &str); 8] = [
            (b"UserID\x01\x0c", b"UserID\x01\x0a", "UserID"),
            (
                b"GuardRailRules\x01\x0a",
                b"GuardRailRules\x01\x0c",
                "GuardRailRules",
            ),
            (b"ClientArgs", b"ClientVerb", "ClientVerb"),
            (b"DlpMode", b"CmdList", "CmdList"),
            (b"DlpMode", b"EnvVars", "EnvVars"),
            (b"ConnectionName", b"PluginHookList", "PluginHookList"),
            (
                b"ConnectionSubType",
                b"AISessionAnalyzer",
                "AISessionAnalyzer",
            ),
            (
                b"RuleName\x01\x0c",
                b"RuleName\x01\x0a",
                "AISessionAnalyzer",
            ),
        ];
        for (old, new, field) in cases {
            let text = format!("wrong type for {field}");
            assert_eq!(error(&with(&input, old, new)), Some(text));
        }
        let text = "wrong type for AgentConnectionParams";
        assert_eq!(error(&vector("args-one")).as_deref(), Some(text));
    }

    #[test]
    fn the_clients_environment_is_read() {
        let env = decode_string_map(&vector("envs-three")).unwrap();
        let expected = [
            ("envvar:A", "MQ=="),
            ("envvar:EMPTY", ""),
            ("filesystem:F", "ZmlsZSBib2R5Cg=="),
        ];
        assert_eq!(vars(&env), expected);
        assert_eq!(
            decode_string_map(&vector("envs-empty-map")),
            Ok(EnvVars::new())
        );
    }

    #[test]
    fn an_environment_of_another_kind_is_refused() {
        for name in ["args-one", "map-any-strings"] {
            let wrong = decode_string_map(&vector(name));
            assert_eq!(wrong, Err(ParamsError::Kind("map[string]string".into())));
        }
        assert_eq!(
            decode_string_map(b""),
            Err(ParamsError::Gob(gob::Error::Empty))
        );
    }

    #[test]
    fn errors_are_small() {
        assert!(size_of::<ParamsError>() <= 24);
    }

    proptest! {
        #[test]
        fn mutated_params_never_panic(
            input in Just(vector("2024-plugin-hooks")),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut input = input;
            for (place, byte) in changes {
                let place = place.index(input.len());
                input[place] = byte;
            }
            if let Ok(params) = ConnectionParams::decode(&input) {
                prop_assert!(params.env_vars.len() <= input.len());
            }
        }
    }
}
