//! The agent beside a program: `hoop-lite run -- CMD`.

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
        assert_eq!(agent.wait_exit().code(), Some(1));
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
