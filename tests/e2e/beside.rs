//! The agent beside a program: `hoop-lite run -- CMD`.

use loopback_gateway::database::Database;
use loopback_gateway::postgres::{Conduct, Method, RESULT, Server, startup};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::{AgentProcess, Gateway, Security, SessionRequest};

use crate::world::{AGENT, Folder, environment, wait_file};

fn run(gateway: &Gateway, key: &str, words: &[&str]) -> AgentProcess {
    let mut command = AgentProcess::command(AGENT, &environment(gateway, key, &[]));
    command.arg("run").args(words);
    AgentProcess::spawn(&mut command)
}

#[test]
fn a_program_that_ends_at_once_is_not_missed() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    for _ in 0..10 {
        let agent = run(&gateway, &key, &["--", "sh", "-c", "exit 7"]);
        assert_eq!(agent.wait_exit().code(), Some(7));
    }
}

/// What keeps the agent from running: a variable, its value, and what is said.
fn obstacles(gateway: &Gateway) -> [(&'static str, String, &'static str); 4] {
    [
        ("HOOP_KEY", String::new(), "missing HOOP_KEY"),
        ("HOOP_KEY", "nonsense".into(), "is in wrong format"),
        ("HOOP_TLSCA", "file:///no/such/file".into(), "HOOP_TLSCA"),
        (
            "HOOP_LITE_HEALTH_LISTEN",
            gateway.address().to_string(),
            "address is taken",
        ),
    ]
}

#[test]
fn a_program_is_not_started_by_an_agent_that_cannot_run_and_that_is_said() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let folder = Folder::new("beside");
    let started = folder.file("started");
    let script = format!(": > {started}");
    for (variable, value, reason) in obstacles(&gateway) {
        let mut command = AgentProcess::command(AGENT, &environment(&gateway, &key, &[]));
        command.env(variable, value);
        command.args(["run", "--", "sh", "-c", &script]);
        let agent = AgentProcess::spawn(&mut command);
        let status = if variable == "HOOP_KEY" { 2 } else { 1 };
        assert_eq!(agent.wait_exit().code(), Some(status));
        let said = agent.wait_text("sh was not started (--keep-going starts it");
        assert!(said.contains(reason), "{said}");
        agent.wait_stdout();
        assert!(!std::path::Path::new(&started).exists());
    }
}

#[test]
fn a_program_that_keeps_going_is_started_without_an_agent_too() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let folder = Folder::new("keep-going");
    let ready = folder.file("ready");
    let script = format!(
        "trap 'exit 41' TERM; echo \"[$APP]\" \"[$HOOP_KEY]\"; : > {ready}
         while kill -0 $PPID; do sleep 0.01; done"
    );
    for (variable, value, reason) in obstacles(&gateway) {
        let variables = environment(&gateway, &key, &[("APP", "its own")]);
        let mut command = AgentProcess::command(AGENT, &variables);
        command.env(variable, value);
        command.args(["run", "--keep-going", "--", "sh", "-c", &script]);
        let agent = AgentProcess::spawn(&mut command);
        wait_file(&ready, |_| std::path::Path::new(&ready).exists());
        agent.wait_text(reason);
        if variable == "HOOP_LITE_HEALTH_LISTEN" {
            agent.wait_text("going on without it");
            gateway.wait_online("demo");
        } else {
            agent.wait_text("sh runs without the agent");
        }
        agent.signal(libc::SIGTERM);
        assert_eq!(agent.wait_exit().code(), Some(41));
        assert_eq!(agent.wait_stdout(), "[its own] []\n");
        std::fs::remove_file(&ready).unwrap();
    }
}

#[test]
fn a_program_that_cannot_be_run_without_an_agent_either_is_named() {
    let mut command = AgentProcess::command(AGENT, &[]);
    command.args(["run", "--keep-going", "--", "no-such-program"]);
    let agent = AgentProcess::spawn(&mut command);
    assert_eq!(agent.wait_exit().code(), Some(127));
    agent.wait_text("can not run no-such-program");
}

/// Variables that other programs use under names that are ours in other places.
const OF_THE_APP: [(&str, &str); 6] = [
    ("APP_ENV", "production"),
    ("LOG_LEVEL", "silly"),
    ("TOKEN", "of the app"),
    ("VAULT_TOKEN", "of the app"),
    ("VAULT_APP_ROLE_SECRET_ID", "of the app"),
    ("HOOP_OF_THE_APP", "likewise"),
];

#[test]
fn the_program_gets_all_variables_but_the_key() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let variables = environment(&gateway, &key, &OF_THE_APP);
    let env = |command: &mut std::process::Command| {
        let told = AgentProcess::spawn(command).wait_stdout();
        let mut lines: Vec<String> = told.split('\0').map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut beside = AgentProcess::command(AGENT, &variables);
    let beside = env(beside.args(["run", "--", "env", "-0"]));
    let mut plain = AgentProcess::command("env", &variables);
    let plain = env(plain.arg("-0").env_remove("HOOP_KEY"));
    assert_eq!(beside, plain);
}

#[test]
fn sessions_see_the_programs_environment_with_a_standard_key_too() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    for words in [&["run"][..], &["run", "--", "sleep", "1000"]] {
        let variables = environment(&gateway, &key, &OF_THE_APP);
        let mut command = AgentProcess::command(AGENT, &variables);
        let agent = AgentProcess::spawn(command.args(words));
        agent.wait_text("sessions see the environment that run was started with");
        gateway.wait_online("demo");
        let request = SessionRequest::exec(&["env"]).env("APP_ENV", "of the connection");
        let told = gateway.open_session(request).run(b"");
        let told = told.out();
        assert!(told.contains("\nLOG_LEVEL=silly\n"), "{told}");
        // The connection's own value wins.
        assert!(told.contains("APP_ENV=of the connection\n"), "{told}");
        for hidden in [
            "TOKEN=",
            "VAULT_",
            "HOOP_OF_THE_APP",
            "HOOP_KEY",
            "HOOP_TLSCA",
        ] {
            assert!(!told.contains(hidden), "{told}");
        }
        agent.signal(libc::SIGTERM);
        agent.wait_exit();
        gateway.wait_offline("demo");
    }
}

#[test]
fn a_log_level_of_our_own_wins_over_the_programs() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let settings = [
        ("LOG_LEVEL", "trace"),
        ("LOG_ENCODING", "logfmt"),
        ("HOOP_LITE_LOG_LEVEL", "error"),
        ("HOOP_LITE_LOG_ENCODING", "json"),
    ];
    let mut command = AgentProcess::command(AGENT, &environment(&gateway, &key, &settings));
    command.args(["run", "--", "printenv", "LOG_LEVEL", "LOG_ENCODING"]);
    let agent = AgentProcess::spawn(&mut command);
    assert_eq!(agent.wait_stdout(), "trace\nlogfmt\n");
    assert_eq!(agent.lines(), [""; 0]);
}

#[test]
fn a_program_does_not_outlive_an_agent_that_ends_with_its_key() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.key_for("demo", "xagt-not-the-one", "standard");
    let settings = [("HOOP_LITE_EXIT_ON_REVOKED", "true")];
    let mut command = AgentProcess::command(AGENT, &environment(&gateway, &key, &settings));
    command.args(["run", "--", "sleep", "1000"]);
    let agent = AgentProcess::spawn(&mut command);
    assert_eq!(agent.wait_exit().code(), Some(3));
    // The program's too, so it comes when the program has ended.
    assert_eq!(agent.wait_stdout(), "");
}

/// A database that wants the password.
fn database() -> Database {
    let certificate = Certificate::new(&["localhost"]);
    Database::start(move || {
        let server = Server::new(Conduct::new(Method::Scram(4096)));
        Secure::new(Speaker::Postgres(server), &certificate)
    })
}

/// A session of this type on the connection that `run` publishes: the gateway knows no secret of it.
fn of_published(kind: &str, verb: &str, name: &str) -> SessionRequest {
    SessionRequest::new(kind, verb)
        .on("_default")
        .with(|params| name.clone_into(&mut params.connection_name))
}

#[test]
fn a_published_database_is_served_with_the_password_that_only_the_agent_has() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("_default", "standard");
    let database = database();
    let uri = format!(
        "postgres://app:s3cret@127.0.0.1:{}/sales?sslmode=disable",
        database.port()
    );
    let flag = format!("--postgres={uri}");
    // The app's own variables lead nowhere.
    let variables = [("HOST", "192.0.2.1"), ("PASS", "of the app")];
    for by_flag in [true, false] {
        let mut command = AgentProcess::command(AGENT, &environment(&gateway, &key, &variables));
        command.args(["run", "--name", "pg"]);
        match by_flag {
            true => command.arg(&flag),
            false => command.env("HOOP_DB_URI", &uri),
        };
        command.args(["--", "sleep", "1000"]);
        let agent = AgentProcess::spawn(&mut command);
        agent.wait_text("publishing the connection pg");

        let request = of_published("postgres", "exec", "pg");
        let request = request.command(&["sh", "-c", "echo $HOST.$USER.$DB $PGPASSWORD"]);
        let told = gateway.open_session(request).run(b"");
        assert_eq!(told.out(), "127.0.0.1.app.sales s3cret\n");

        let request = of_published("postgres", "connect", "pg");
        let mut session = gateway.open_session(request);
        session.wait_open();
        session.send_as("PG", "1", &startup(3 << 16, &[("user", "noop")]));
        session.receive_until("1", b"Z\0\0\0\x05I");
        session.send_as("PG", "1", b"Q\0\0\0\x0dselect 1\0");
        assert_eq!(session.receive_until("1", b"Z\0\0\0\x05I"), RESULT);
        drop(session);

        let close = gateway
            .open_session(of_published("postgres", "connect", "another"))
            .wait_refusal();
        assert!(
            close.text.contains("missing required secrets"),
            "{}",
            close.text
        );
        assert_eq!(agent.lines().concat().matches("s3cret").count(), 0);
        agent.signal(libc::SIGTERM);
        agent.wait_exit();
        gateway.wait_offline("_default");
    }
}

#[test]
fn an_empty_database_uri_is_none() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let mut command = AgentProcess::command(AGENT, &environment(&gateway, &key, &[]));
    command.env("HOOP_DB_URI", "").args(["run", "--", "true"]);
    let agent = AgentProcess::spawn(&mut command);
    assert_eq!(agent.wait_exit().code(), Some(0));
}

#[test]
fn a_database_uri_that_makes_no_sense_publishes_nothing() {
    let gateway = Gateway::start(Security::Tls);
    let organisation = gateway.register("_default", "standard");
    let one = gateway.register("demo", "standard");
    for (key, uri, want) in [
        (
            &organisation,
            "redis://u:s3cret@h",
            "unknown database type, scheme=redis",
        ),
        (
            &organisation,
            "nonsense-s3cret",
            "the database URI has no scheme",
        ),
        (&one, "postgres://u:s3cret@h/db", "belongs to one agent"),
    ] {
        let mut command = AgentProcess::command(AGENT, &environment(&gateway, key, &[]));
        command.env("HOOP_DB_URI", uri).arg("run");
        let agent = AgentProcess::spawn(&mut command);
        assert_eq!(agent.wait_exit().code(), Some(1), "{uri}");
        let said = agent.wait_text(want);
        assert!(!said.contains("s3cret"), "{said}");
    }
}
