//! Variables, secret files, and what no session may ever read.

use std::os::unix::fs::PermissionsExt;

use loopback_gateway::SessionRequest;

use crate::world::World;

#[test]
fn variables_of_the_connection_the_client_and_the_session_are_there() {
    let world = World::start();
    let request = SessionRequest::exec(&["env"])
        .env("FROM_CONNECTION", "one two")
        .client_env("FROM_CLIENT", "three")
        .client_env("FROM_CONNECTION", "overridden")
        .sid("chosen-sid");
    let outcome = world.open(request).run(b"");
    let told = "the client's FROM_CONNECTION passed over";
    world.agent.wait_text(told);
    let lines = outcome.out();
    for wanted in [
        "FROM_CONNECTION=one two",
        "FROM_CLIENT=three",
        "HOOP_CONNECTION_NAME=demo",
        "HOOP_CONNECTION_TYPE=command-line",
        "HOOP_CLIENT_ORIGIN=client",
        "HOOP_CLIENT_VERB=exec",
        "HOOP_USER_ID=user-1",
        "HOOP_USER_EMAIL=dev@example.com",
        "HOOP_SESSION_ID=chosen-sid",
    ] {
        assert!(
            lines.lines().any(|line| line == wanted),
            "{wanted} is missing from:\n{lines}"
        );
    }
    assert!(
        !lines.contains("HOOP_TLSCA") && !lines.contains("HOOP_KEY"),
        "{lines}"
    );
}

#[test]
fn a_secret_file_is_private_while_the_command_runs_and_gone_afterwards() {
    let world = World::start();
    let request = SessionRequest::exec(&["sh", "-c", "echo $CERT; cat $CERT; read wait"])
        .file("CERT", b"-----BEGIN-----\n");
    let mut session = world.open(request);
    session.wait_open();
    // Standard input comes later, so that the file can be looked at meanwhile: a second session asks.
    session.send_stdin(b"go\n");
    let outcome = session.finish();
    let path = outcome.out().lines().next().unwrap_or_default().to_owned();
    assert_eq!(outcome.out(), format!("{path}\n-----BEGIN-----\n"));
    assert!(!std::path::Path::new(&path).exists(), "{path} is left");

    let request =
        SessionRequest::console(&["sh", "-c", "echo at $CERT.; read wait"]).file("CERT", b"x");
    let mut session = world.open(request);
    session.start_console();
    session.expect("at ");
    let path = session.expect(".").trim_end_matches('.').to_owned();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    session.kill();
    world.agent.wait_childless();
    world.gateway.settle("demo");
    assert!(
        !std::path::Path::new(&path).exists(),
        "{path} is left after the client left"
    );
}

#[test]
fn arguments_may_name_secret_files() {
    let world = World::start();
    let command = [
        "sh",
        "-c",
        "cat \"$0\" \"${1#--file=}\"",
        "$KEY",
        "--file=$KEY",
    ];
    let request = || SessionRequest::exec(&command).file("KEY", b"content\n");
    let outcome = world.open(request()).run(b"");
    assert_eq!(outcome.out(), "content\ncontent\n", "{outcome:?}");
    let console = request().with(|params| params.client_verb = "connect".into());
    let mut session = world.open(console);
    session.start_console();
    session.expect("content\r\ncontent\r\n");
    assert_eq!(session.wait_close().code, Some(0));
}

#[test]
fn a_client_sets_no_variable_that_makes_another_program_of_the_command() {
    let world = World::start();
    let folder = crate::world::Folder::new("bash-env");
    std::fs::write(folder.file("mine"), "echo mine").unwrap();
    let request =
        SessionRequest::exec(&["bash", "-c", "true"]).client_env("BASH_ENV", &folder.file("mine"));
    let close = world.open(request).wait_refusal();
    assert!(
        close.text.contains("\"BASH_ENV\" can not be set"),
        "{close:?}"
    );
    let request = SessionRequest::exec(&["printenv", "ENV", "HOOP_USER_EMAIL"])
        .client_env("ENV", "staging")
        .client_env("HOOP_USER_EMAIL", "somebody@else");
    let outcome = world.open(request).run(b"");
    assert_eq!(outcome.out(), "staging\ndev@example.com\n");
    let line = world.agent.wait_text("HOOP_USER_EMAIL");
    assert!(!line.contains("somebody@else"), "{line}");
}

#[test]
fn an_operator_says_what_clients_may_set() {
    let world = World::with_variables(&[("HOOP_LITE_CLIENT_ENV", "APP_*")]);
    let request = |name| SessionRequest::exec(&["printenv", name]).client_env(name, "x");
    assert_eq!(world.open(request("APP_MODE")).run(b"").out(), "x\n");
    let close = world.open(request("TZ")).wait_refusal();
    assert!(close.text.contains("only those that it lists"), "{close:?}");
}

#[test]
fn programs_find_a_path_and_a_locale() {
    let world = World::start();
    let outcome =
        world.shell("echo $LANG; printenv TERM || echo none; test -n \"$PATH\" && echo path");
    assert_eq!(outcome.out(), "C.UTF-8\nnone\npath\n");
    let request = SessionRequest::console(&["printenv", "TERM", "LANG"])
        .env("TERM", "vt100")
        .env("LANG", "C");
    let mut session = world.open(request);
    session.start_console();
    session.expect("vt100\r\nC\r\n");
}

#[test]
fn a_secret_file_of_a_command_that_cannot_start_is_gone() {
    let world = World::start();
    let before = secret_files();
    let request = SessionRequest::exec(&["no-such-program"]).file("CERT", b"left behind?");
    assert_eq!(world.open(request).run(b"").code, 127);
    world.gateway.settle("demo");
    assert!(
        secret_files()
            .iter()
            .all(|path| before.contains(path) || !holds(path, "left behind?"))
    );
}

/// What lies in the folders of agents.
fn secret_files() -> Vec<std::path::PathBuf> {
    let entries = |folder: &std::path::Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let folders = entries("/dev/shm".as_ref()).chain(entries(&std::env::temp_dir()));
    let folders = folders.filter(|folder| folder.to_string_lossy().contains("/hoop-lite-"));
    folders
        .flat_map(|folder| entries(&folder).collect::<Vec<_>>())
        .collect()
}

fn holds(path: &std::path::Path, text: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|content| content == text)
}

#[test]
fn a_secret_file_of_an_agent_that_was_killed_is_gone_when_it_is_back() {
    let world = World::start();
    let request =
        SessionRequest::console(&["sh", "-c", "echo at $CERT.; read wait"]).file("CERT", b"x");
    let mut session = world.open(request);
    session.start_console();
    session.expect("at ");
    let path = session.expect(".").trim_end_matches('.').to_owned();
    world.agent.signal(libc::SIGKILL);
    world.agent.wait_exit();
    world.gateway.wait_offline("demo");
    drop(session);
    let variables = world.gateway.environment(&world.key);
    let again = loopback_gateway::AgentProcess::start(crate::world::AGENT, &variables);
    world.gateway.wait_online("demo");
    let outcome = world.shell("true");
    assert_eq!(outcome.code, 0);
    assert!(
        !std::path::Path::new(&path).exists(),
        "{path} outlived the crash"
    );
    drop(again);
}

#[test]
fn the_agents_own_variables_are_for_the_connections_keys_only_and_never_its_key() {
    let world = World::with_variables(&[("DB_PASSWORD", "from the agent"), ("OTHER", "hidden")]);
    let script = "echo \"[$DB_PASSWORD]\" \"[$OTHER]\" \"[$HOOP_KEY]\" \"[$HOOP_TLSCA]\"";
    let request = SessionRequest::exec(&["sh", "-c", script])
        .args(&[])
        .env("DB_PASSWORD", "system.agent.envs")
        .env("HOOP_KEY", "system.agent.envs")
        .client_env("OTHER", "system.agent.envs")
        .client_env("HOOP_TLSCA", "system.agent.envs");
    // The script is an argument, and arguments are expanded by the agent: hand it over by input.
    let request = SessionRequest {
        params: request.params.clone(),
        ..request
    }
    .command(&["sh"]);
    let outcome = world.open(request).run(script.as_bytes());
    assert!(
        outcome.out().starts_with("[from the agent] "),
        "{}",
        outcome.out()
    );
    for secret in ["hidden", "xagt-", "CERTIFICATE"] {
        assert!(!outcome.out().contains(secret), "{}", outcome.out());
    }
}

#[test]
fn no_session_can_read_the_key_from_the_agents_process() {
    let world = World::start();
    let script = "cat /proc/$PPID/environ /proc/$PPID/cmdline | tr '\\0' '\\n'; \
                  tr '\\0' '\\n' </proc/self/environ";
    let outcome = world
        .open(SessionRequest::exec(&["sh"]))
        .run(script.as_bytes());
    let secret = world
        .key
        .split(['@', ':'])
        .find(|part| part.starts_with("xagt-"))
        .unwrap();
    assert!(
        !outcome.out().contains(secret),
        "the key can be read:\n{}",
        outcome.out()
    );
}

#[test]
fn a_session_inherits_no_descriptor() {
    let world = World::start();
    let outcome = world
        .open(SessionRequest::exec(&["ls", "/proc/self/fd"]))
        .run(b"");
    // 3 is the folder that ls itself reads.
    assert_eq!(
        outcome.out().split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
}

#[test]
fn a_bad_environment_refuses_the_session_in_words() {
    let world = World::start();
    let cases = [
        ("envvar:NAME", "not base64!", "NAME"),
        ("mystery:NAME", "eA==", "mystery"),
        ("NOCOLON", "eA==", "NOCOLON"),
    ];
    for (key, value, named) in cases {
        let request = SessionRequest::exec(&["true"]).raw_env(key, value);
        let mut session = world.open(request);
        session.send_stdin(b"");
        let close = session.wait_close();
        assert!(close.code.is_some_and(|code| code > 0), "{key}: {close:?}");
        assert!(close.text.contains(named), "{key}: {close:?}");
    }
}

#[test]
fn secrets_of_another_agent_variable_come_by_envjson() {
    let world = World::with_variables(&[("BUNDLE", r#"{"password":"p w"}"#)]);
    let request =
        SessionRequest::exec(&["printenv", "PASSWORD"]).env("PASSWORD", "_envjson:BUNDLE:password");
    assert_eq!(world.open(request).run(b"").out(), "p w\n");
    let request = SessionRequest::exec(&["true"]).env("PASSWORD", "_envjson:BUNDLE:missing");
    let close = world.open(request).wait_refusal();
    assert!(
        close.text.contains("missing") || close.text.contains("PASSWORD"),
        "{close:?}"
    );
}
