//! The agent beside a program: `hoop-lite run -- CMD`.

use loopback_gateway::{AgentProcess, Gateway, Security};

use crate::world::{AGENT, Folder, environment};

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

#[test]
fn a_program_is_not_started_by_an_agent_that_cannot() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let folder = Folder::new("beside");
    let started = folder.file("started");
    let taken = gateway.address().to_string();
    let script = format!(": > {started}");
    let words = ["--health-listen", &taken, "--", "sh", "-c", &script];
    let agent = run(&gateway, &key, &words);
    assert_eq!(agent.wait_exit().code(), Some(1));
    agent.wait_text("address is taken");
    agent.wait_stdout();
    assert!(!std::path::Path::new(&started).exists());
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
