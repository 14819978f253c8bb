//! A gateway without TLS whose name turns out to lie on the open network. Needs root, for a hosts
//! file of its own.

use std::fs;

use loopback_gateway::AgentProcess;

use crate::world::{AGENT, Folder};

/// The agent with a key for `gw.test`, which has this address.
fn agent_towards(folder: &Folder, address: &str, refuses: bool) -> AgentProcess {
    let hosts = folder.file("hosts");
    fs::write(&hosts, format!("{address} gw.test\n")).unwrap();
    let mut variables = vec![(
        "HOOP_KEY".to_owned(),
        "grpc://dev:secret@gw.test:8010".to_owned(),
    )];
    if refuses {
        variables.push(("HOOP_LITE_REFUSE_PLAINTEXT".to_owned(), "true".to_owned()));
    }
    // A network without a way out: nothing of this test leaves the machine.
    let mut command = AgentProcess::command("unshare", &variables);
    let script = format!("mount --bind {hosts} /etc/hosts && exec {AGENT}");
    command.args(["--mount", "--net", "--", "sh", "-c", &script]);
    AgentProcess::spawn(&mut command)
}

#[test]
fn plaintext_to_the_open_network_is_warned_of_or_refused_once_the_name_is_known() {
    let folder = Folder::new("plaintext");
    let warned = agent_towards(&folder, "192.0.2.1", false);
    let line = warned.wait_text("no TLS to 192.0.2.1:8010");
    assert!(line.contains("readable by anybody"), "{line}");
    drop(warned);

    let refused = agent_towards(&folder, "192.0.2.1", true);
    let line = refused.wait_text("no connection to gw.test:8010");
    assert!(line.contains("--refuse-plaintext"), "{line}");
    drop(refused);

    let near = agent_towards(&folder, "10.9.8.7", true);
    near.wait_text("no connection to gw.test:8010");
    for line in near.lines() {
        assert!(!line.contains("no TLS"), "{line}");
    }
}
