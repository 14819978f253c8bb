//! Hoop's own messages.

use std::ffi::OsString;

use hoop_lite::base::{Secret, TerminalSize};
use hoop_lite::limits;
use hoop_lite::packet::{
    ConnectionParams, Oversized, Packet, PreConnectRequest, PreConnectResponse, encode, params,
    spec,
};
use hoop_lite::session::command::PathPlace;
use hoop_lite::session::environment::Environment;
use hoop_lite::session::plan::Plan;
use hoop_lite::session::{AgentEnvironment, command, policy, protocol};
use hoop_lite::wire::base64;

use crate::input::{cuts, split};

/// What a packet may say of itself.
const SPEC_KEYS: [&str; 8] = [
    spec::SESSION_ID,
    spec::CONNECTION_TYPE,
    spec::CONNECTION_ID,
    spec::EXIT_CODE,
    spec::REQUEST_PORT,
    spec::CLIENT_ENV_VARS,
    spec::CONNECTION_PARAMS,
    spec::TCP_SERVER_CONNECT,
];

/// A packet: one of a known kind is written and read again without a loss.
pub fn message(bytes: &[u8]) -> bool {
    let Ok(packet) = Packet::decode(bytes) else {
        return false;
    };
    let entries: Vec<_> = SPEC_KEYS
        .iter()
        .filter_map(|key| Some((*key, packet.spec(key)?)))
        .collect();
    let Some(kind) = packet.kind else {
        return true;
    };
    assert_eq!(kind.name(), packet.kind_name);
    let mut again = Vec::new();
    encode(&mut again, kind, &entries, packet.payload);
    let again = Packet::decode(&again).expect("what we write can be read");
    assert_eq!(again.kind, Some(kind));
    assert_eq!(again.payload, packet.payload);
    for (key, value) in entries {
        assert_eq!(again.spec(key), Some(value));
    }
    true
}

/// A packet that is only looked at as it passes: found is what decoding finds, however it is cut.
pub fn oversized(bytes: &[u8]) -> bool {
    let (mut control, message) = split(bytes);
    let [whole, single, mixed] = cuts(&mut control, message).map(|pieces| {
        let mut passing = Oversized::default();
        for piece in pieces {
            passing.pass(piece);
        }
        (passing.kind, passing.session)
    });
    assert_eq!(whole, single);
    assert_eq!(whole, mixed);
    let (kind, session) = whole;
    // In a short packet every field is looked at.
    if message.len() <= limits::ID_BYTES_MAX
        && let Ok(packet) = Packet::decode(message)
    {
        assert_eq!(kind, packet.kind);
        assert_eq!(session.as_deref(), packet.spec(spec::SESSION_ID));
    }
    kind.is_some() && session.is_some()
}

/// The answers of the unary calls; a request with the answer's texts is read as it was written.
pub fn preconnect(bytes: &[u8]) -> bool {
    let Ok(answer) = PreConnectResponse::decode(bytes) else {
        return false;
    };
    let mut written = Vec::new();
    PreConnectRequest {
        name: answer.status,
        connection_type: answer.message,
        ..PreConnectRequest::default()
    }
    .encode(&mut written);
    // Name and type of a request have the numbers of status and message of an answer.
    assert_eq!(PreConnectResponse::decode(&written), Ok(answer));
    true
}

/// What opens a session, and all that is made of it: policy, service, environment, command. The
/// first byte says what the bytes are.
pub fn session_open(bytes: &[u8]) -> bool {
    let Some((&what, bytes)) = bytes.split_first() else {
        return false;
    };
    match what % 6 {
        0 | 1 => session(bytes),
        2 => params::decode_string_map(bytes).is_ok(),
        3 => TerminalSize::parse(bytes).is_some(),
        4 => secret_of_json(bytes),
        _ => expanded(bytes),
    }
}

fn session(bytes: &[u8]) -> bool {
    let Ok(params) = ConnectionParams::decode(bytes) else {
        return false;
    };
    let demand = policy::unmet_demand(&params, false);
    assert!(demand.is_none() || policy::unmet_demand(&params, true).is_some());
    let agent = agent("{\"k\":\"v\"}");
    let Some(environment) = environment(&params, &agent) else {
        return true;
    };
    assert_eq!(environment.text(spec_variable()), "sid");
    for (name, value) in environment.to_process() {
        let (name, value) = (name.into_encoded_bytes(), value.expose().to_vec());
        assert!(!name.is_empty() && !name.contains(&b'=') && !name.contains(&0));
        assert!(!value.contains(&0));
        assert!(
            !value
                .windows(PRIVATE.len())
                .any(|part| part == PRIVATE.as_bytes())
        );
    }
    let argv = command::argv(&params.cmd_list, &params.client_args, &environment);
    if let Ok((argv, places)) = argv {
        check_places(&argv, &places, environment.files().count());
        assert_eq!(argv.len(), params.cmd_list.len() + params.client_args.len());
        assert!(
            argv.iter()
                .all(|word| !word.as_encoded_bytes().contains(&0))
        );
    }
    true
}

/// Paths go into arguments that are there, in order.
fn check_places(argv: &[OsString], places: &[PathPlace], file_count: usize) {
    let order: Vec<_> = places
        .iter()
        .map(|place| (place.argument, place.at))
        .collect();
    assert!(order.is_sorted());
    assert!(places.iter().all(|place| {
        place.argument > 0 && place.at <= argv[place.argument].len() && place.file < file_count
    }));
}

/// Both steps; the client wants what the connection has.
fn environment(params: &ConnectionParams, agent: &AgentEnvironment) -> Option<Environment> {
    let protocol = protocol::classify(params).ok()?;
    let plan = Plan::new(params.env_vars.clone()).ok()?;
    Environment::finish(plan, params, protocol, &params.env_vars, "sid", agent).ok()
}

/// Where the session's id is told to its command.
fn spec_variable() -> &'static str {
    assert_eq!(spec::SESSION_ID, "gateway.session_id");
    "HOOP_SESSION_ID"
}

/// A value that no session may see.
const PRIVATE: &str = "the-agents-own-key";

fn agent(json: &str) -> AgentEnvironment {
    let variables = [("JSON", json), ("HOOP_KEY", PRIVATE), ("PATH", "/bin")];
    AgentEnvironment::new(
        variables
            .into_iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value))),
        false,
    )
}

/// The text is a JSON object of an operator, of which a connection names a key.
fn secret_of_json(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).replace('\0', "");
    let mut params = ConnectionParams::default();
    let reference = base64::encode(b"_envjson:JSON:k");
    params
        .env_vars
        .insert("envvar:X".to_owned(), Secret::new(reference));
    let built = environment(&params, &agent(&text));
    let expected: Option<std::collections::BTreeMap<String, String>> =
        serde_json::from_str(&text).ok();
    match (built, expected) {
        (Some(environment), _) => !environment.text("X").is_empty(),
        (None, Some(expected)) => {
            assert!(!expected.contains_key("k"), "{text}");
            false
        }
        (None, None) => false,
    }
}

/// An argument of a command with references to variables.
fn expanded(bytes: &[u8]) -> bool {
    let mut params = ConnectionParams::default();
    params
        .env_vars
        .insert("envvar:A".to_owned(), Secret::new(base64::encode(b"value")));
    let content = Secret::new(base64::encode(b"content"));
    params.env_vars.insert("filesystem:F".to_owned(), content);
    let built = environment(&params, &AgentEnvironment::default());
    let environment = built.expect("a variable and a file");
    let command = [b"program".to_vec(), bytes.to_vec()];
    let argv = command::argv(&command, &[], &environment);
    if let Ok((argv, places)) = &argv {
        check_places(argv, places, 1);
    }
    if let Ok((argv, _)) = &argv
        && !bytes.contains(&b'$')
    {
        assert_eq!(argv[1].as_encoded_bytes(), bytes);
    }
    argv.is_ok()
}
