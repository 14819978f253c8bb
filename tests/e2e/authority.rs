//! The authority's file, which may change while the agent runs.

use std::fs;

use loopback_gateway::{AgentProcess, Gateway, Security};

use crate::world::{AGENT, Folder, environment};

#[test]
fn the_authoritys_file_is_read_again_at_every_attempt() {
    let gateway = Gateway::start(Security::Tls);
    let other = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let folder = Folder::new("authority");
    let path = folder.file("ca.pem");
    fs::write(&path, other.ca_pem().unwrap()).unwrap();
    let mut variables = environment(&gateway, &key, &[("HOOP_LITE_RECONNECT_MAX", "200ms")]);
    variables.retain(|(name, _)| name != "HOOP_TLSCA");
    variables.push(("HOOP_TLSCA".to_owned(), format!("file://{path}")));
    let agent = AgentProcess::start(AGENT, &variables);
    agent.wait_text("no connection to");
    // A file that is being written, or broken, changes nothing.
    fs::write(&path, "no certificate").unwrap();
    agent.wait_text("going on with the authority as it was");
    fs::write(&path, gateway.ca_pem().unwrap()).unwrap();
    gateway.wait_online("demo");
    agent.wait_text("the authority's file has new certificates");
}
