//! `admin create`, `get` and `delete` against a server that answers as gateways do.

#![allow(clippy::unwrap_used)]

mod admin_support;

use admin_support::{Mock, Outcome, Variables, response, response_with};
use hoop_lite::admin::{AdminCommand, AgentMode, CreateAgent, OutputForm};

const TOKEN: &str = "eyJhbGciOi.secret-token.c2ln";
const DSN: &str = "grpcs://dev:xagt-AbC@gw.example.com:8443?mode=standard";
const LIST: &str = r#"[{"id":"11111111-2222-4333-8444-555555555555","name":"dev","mode":"standard",
"status":"CONNECTED","hostname":"web","version":"1","platform":"linux/amd64","metadata":{"a":"b"}},
{"id":"99999999-2222-4333-8444-555555555555","name":"other","mode":"embedded","status":"DISCONNECTED"}]"#;

fn create(name: &str) -> AdminCommand {
    AdminCommand::CreateAgent(CreateAgent {
        name: name.to_owned(),
        mode: AgentMode::Standard,
        output: OutputForm::Text,
    })
}

fn delete(name: &str) -> AdminCommand {
    AdminCommand::DeleteAgent {
        name: name.to_owned(),
        ignores_missing: false,
    }
}

/// Runs against a server with one answer for everything; no output may hold the token.
fn run(command: &AdminCommand, answer: Vec<u8>) -> (Outcome, Vec<String>) {
    run_with(command, TOKEN, move |_| answer.clone())
}

fn run_with(
    command: &AdminCommand,
    token: &str,
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> (Outcome, Vec<String>) {
    let mock = Mock::plain(answer);
    let variables = Variables::trio(&format!("http://{}", mock.address), token);
    let outcome = variables.run(command, "");
    assert!(!outcome.stderr.contains(token) && !outcome.stdout.contains(token));
    (outcome, mock.seen())
}

fn fails(command: &AdminCommand, answer: Vec<u8>, sentence: &str) {
    let (outcome, _) = run(command, answer);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (1, ""),
        "{outcome:?}"
    );
    assert_eq!(outcome.stderr, format!("error: {sentence}\n"));
}

#[test]
fn create_prints_the_key_alone() {
    let answer = response(201, &format!("{{\"token\":\"{DSN}\"}}"));
    let (outcome, seen) = run(&create("dev"), answer);
    assert_eq!(outcome.stdout, format!("{DSN}\n"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_eq!(seen.len(), 1);
    let request = &seen[0];
    assert!(
        request.starts_with("POST /api/agents HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\n{\"name\":\"dev\",\"mode\":\"standard\"}"));
    assert!(request.contains(&format!("\r\nAuthorization: Bearer {TOKEN}\r\n")));
    assert!(request.contains(concat!(
        "\r\nUser-Agent: hoop-lite/",
        env!("CARGO_PKG_VERSION"),
        "\r\n"
    )));
    assert!(!request.contains("Api-Key"));
}

#[test]
fn create_prints_the_answer_with_output_json() {
    let command = AdminCommand::CreateAgent(CreateAgent {
        name: "dev".to_owned(),
        mode: AgentMode::Embedded,
        output: OutputForm::Json,
    });
    let body = format!("{{ \"token\": \"{DSN}\" }}");
    let (outcome, seen) = run(&command, response(201, &body));
    assert_eq!((outcome.code, outcome.stdout), (0, format!("{body}\n")));
    assert!(seen[0].ends_with("\"mode\":\"embedded\"}"));
}

#[test]
fn create_says_what_became_of_the_name() {
    let answer = response(201, &format!("{{\"token\":\"{DSN}\"}}"));
    let (outcome, seen) = run(&create("São Paulo"), answer);
    assert!(seen[0].contains("{\"name\":\"sao_paulo\","));
    assert_eq!(outcome.stderr, "note: the agent is called \"sao_paulo\"\n");
    assert_eq!(outcome.stdout, format!("{DSN}\n"));
}

#[test]
fn a_name_that_no_gateway_takes_is_refused_before_the_call() {
    let (outcome, seen) = run(&create("a-"), response(500, ""));
    assert_eq!(
        (outcome.code, outcome.stdout.as_str(), seen.len()),
        (2, "", 0)
    );
    assert!(
        outcome
            .stderr
            .starts_with("error: \"a-\" is not a name that the gateway takes")
    );
}

#[test]
fn a_key_that_is_no_plain_line_is_not_printed() {
    for token in ["a\\nb", "", "a b", "\\u001b[31m"] {
        let (outcome, _) = run(
            &create("dev"),
            response(201, &format!("{{\"token\":\"{token}\"}}")),
        );
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    }
}

#[test]
fn a_key_without_port_comes_with_a_note() {
    let key = "grpcs://dev:xagt-AbC@gw.example.com:?mode=standard";
    let (outcome, _) = run(
        &create("dev"),
        response(201, &format!("{{\"token\":\"{key}\"}}")),
    );
    assert_eq!((outcome.code, outcome.stdout), (0, format!("{key}\n")));
    assert!(
        outcome
            .stderr
            .starts_with("note: the gateway made a key that no agent can use")
    );
    assert!(!outcome.stderr.contains("xagt-"));
}

#[test]
fn static_keys_are_sent_in_their_own_header_too() {
    for token in ["xapi-abc", "11111111-2222-4333-8444-555555555555|random"] {
        let (_, seen) = run_with(&AdminCommand::GetAgents(OutputForm::Text), token, |_| {
            response(200, "[]")
        });
        assert!(seen[0].contains(&format!("\r\nApi-Key: {token}\r\n")));
        assert!(seen[0].contains(&format!("\r\nAuthorization: Bearer {token}\r\n")));
    }
    for token in ["hpk_abc", "not-a-uuid|random"] {
        let (_, seen) = run_with(&AdminCommand::GetAgents(OutputForm::Text), token, |_| {
            response(200, "[]")
        });
        assert!(!seen[0].contains("Api-Key"));
    }
}

#[test]
fn refusals_say_what_to_do() {
    let message = |text: &str| format!("{{\"message\":\"{text}\"}}");
    fails(
        &create("dev"),
        response(401, &message("access denied")),
        "the gateway does not accept the credentials (status 401: access denied): set HOOP_TOKEN \
         to a valid token (tokens of a login last 12 hours)",
    );
    fails(
        &create("dev"),
        response(401, ""),
        "the gateway does not accept the credentials (status 401): set HOOP_TOKEN to a valid \
         token (tokens of a login last 12 hours)",
    );
    fails(
        &create("dev"),
        response(403, &message("access denied")),
        "this needs an administrator of the gateway (status 403: access denied): log in as one, \
         or use the token of one",
    );
    fails(
        &create("dev"),
        response(409, &message("resource already exists")),
        "agent \"dev\" exists already (status 409: resource already exists): delete it with \
         `hoop-lite admin delete agent dev` or choose another name",
    );
    fails(
        &create("dev"),
        response(422, &message("unknown agent mode \\\"x\\\"")),
        "the gateway refused the request (status 422: unknown agent mode \"x\")",
    );
    fails(
        &create("dev"),
        response(500, &message("failed generating dsn\\u001b[2J")),
        "the gateway failed (status 500: failed generating dsn[2J): look into the gateway's log",
    );
    fails(
        &create("dev"),
        response(502, "<html>bad gateway</html>"),
        "the gateway failed (status 502): is the gateway behind this address running?",
    );
}

#[test]
fn answers_that_are_no_api_say_so() {
    for answer in [
        response(200, "<!doctype html>"),
        response(200, "{\"x\":}"),
        response(200, ""),
        response(200, "{}"),
        response(200, "[1]"),
    ] {
        let (outcome, _) = run(&AdminCommand::GetAgents(OutputForm::Text), answer);
        assert_eq!(outcome.code, 1);
        assert!(
            outcome
                .stderr
                .contains("is not the gateway's API: check the API URL"),
            "{outcome:?}"
        );
    }
    let (outcome, _) = run(
        &AdminCommand::GetAgents(OutputForm::Text),
        response_with(301, &[("Location", "https://gw.example/api/agents")], ""),
    );
    assert_eq!(
        outcome.stderr,
        "error: the gateway's API is not here, it points to https://gw.example/api/agents: set \
         the API URL to where the API is\n"
    );
}

#[test]
fn get_agents_shows_a_table_or_the_answer() {
    let (outcome, _) = run(
        &AdminCommand::GetAgents(OutputForm::Text),
        response(200, LIST),
    );
    let lines: Vec<&str> = outcome.stdout.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "UID                                    NAME    MODE       VERSION   HOSTNAME   PLATFORM      STATUS",
            "11111111-2222-4333-8444-555555555555   dev     standard   1         web        linux/amd64   ONLINE",
            "99999999-2222-4333-8444-555555555555   other   embedded   -         -          -             OFFLINE",
        ]
    );
    let (outcome, _) = run(
        &AdminCommand::GetAgents(OutputForm::Json),
        response(200, LIST),
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, LIST));
}

/// A gateway of August 2026, which has a view of one agent.
fn new_gateway(line: &str) -> Vec<u8> {
    let element = &LIST[1..LIST.find("},\n{").unwrap() + 1];
    match line.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["GET", "/api/agents/dev"] => response(200, element),
        ["GET", "/api/agents"] => response(200, LIST),
        ["DELETE", "/api/agents/11111111-2222-4333-8444-555555555555"] => {
            b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
        }
        ["GET", _] => response(404, "{\"message\":\"agent not found\"}"),
        _ => response(204, ""),
    }
}

/// A gateway of July 2024, whose answer to unknown routes is a page.
fn old_gateway(line: &str) -> Vec<u8> {
    match line.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["GET", "/api/agents"] => response(200, LIST),
        ["GET", _] => response(200, "<!doctype html>"),
        ["DELETE", "/api/agents/11111111-2222-4333-8444-555555555555"] => response(204, ""),
        _ => response(404, "{\"message\":\"not found\"}"),
    }
}

#[test]
fn get_agent_shows_one_on_gateways_of_all_ages() {
    let command = AdminCommand::GetAgent("dev".to_owned(), OutputForm::Text);
    let (new, seen) = run_with(&command, TOKEN, new_gateway);
    assert_eq!(
        (new.code, new.stdout.lines().count(), seen.len()),
        (0, 2, 1)
    );
    let (old, seen) = run_with(&command, TOKEN, old_gateway);
    assert_eq!((&old, seen.len()), (&new, 2));

    let command = AdminCommand::GetAgent("dev".to_owned(), OutputForm::Json);
    let (new, _) = run_with(&command, TOKEN, new_gateway);
    let (old, _) = run_with(&command, TOKEN, old_gateway);
    assert!(new.stdout.starts_with("{\"id\":\"1111") && new.stdout.ends_with("{\"a\":\"b\"}}"));
    assert_eq!(old, new);
}

#[test]
fn an_unknown_agent_is_neither_shown_nor_deleted() {
    for command in [
        delete("dve"),
        AdminCommand::GetAgent("dve".to_owned(), OutputForm::Text),
    ] {
        for gateway in [new_gateway, old_gateway] {
            let (outcome, seen) = run_with(&command, TOKEN, gateway);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
            assert!(
                outcome
                    .stderr
                    .starts_with("error: agent \"dve\" not found: ")
            );
            assert!(seen.iter().all(|request| request.starts_with("GET ")));
        }
    }
}

#[test]
fn deleting_what_does_not_exist_is_no_failure_where_that_is_asked_for() {
    let command = AdminCommand::DeleteAgent {
        name: "dve".to_owned(),
        ignores_missing: true,
    };
    for gateway in [new_gateway, old_gateway] {
        let (outcome, seen) = run_with(&command, TOKEN, gateway);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""));
        assert!(outcome.stderr.starts_with("note: agent \"dve\" not found"));
        assert!(seen.iter().all(|request| request.starts_with("GET ")));
    }
    // Whatever else goes wrong is one.
    let (outcome, _) = run(&command, response(401, ""));
    assert_eq!(outcome.code, 1);
}

#[test]
fn delete_takes_a_name_or_an_id_and_says_that_sessions_may_live_on() {
    for gateway in [new_gateway, old_gateway] {
        for name in ["dev", "11111111-2222-4333-8444-555555555555"] {
            let (outcome, seen) = run_with(&delete(name), TOKEN, gateway);
            assert_eq!(
                (outcome.code, outcome.stdout),
                (0, format!("agent {name:?} deleted\n"))
            );
            assert!(outcome.stderr.starts_with("note: the agent is online"));
            assert!(
                seen.last().unwrap().starts_with(
                    "DELETE /api/agents/11111111-2222-4333-8444-555555555555 HTTP/1.1"
                )
            );
        }
    }
}

#[test]
fn a_name_cannot_reach_another_route() {
    let (outcome, seen) = run_with(&delete("../orgs/keys?x#y"), TOKEN, new_gateway);
    assert_eq!(outcome.code, 1);
    assert!(seen[0].starts_with("GET /api/agents/..%2Forgs%2Fkeys%3Fx%23y HTTP/1.1"));
    assert_eq!(seen.len(), 2);
}

#[test]
fn the_path_of_the_url_is_kept() {
    let mock = Mock::plain(|_| response(200, "[]"));
    let url = format!("http://{}/hoop/", mock.address);
    let outcome = Variables::trio(&url, TOKEN).run(&AdminCommand::GetAgents(OutputForm::Text), "");
    assert_eq!(outcome.code, 0);
    assert!(mock.seen()[0].starts_with("GET /hoop/api/agents HTTP/1.1\r\n"));
    assert!(mock.seen()[0].contains(&format!("\r\nHost: {}\r\n", mock.address)));
}
