//! The agent in an image that holds nothing but its file: what works there, and what says why not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Gateway, Security, SessionRequest};

use crate::demo::{self, tell};

/// Shows the agent that this launcher starts as its only child, in an empty root.
/// The launcher's own death by a failed step takes the agent with it (`unshare --kill-child`).
pub fn run(launcher: &str) -> ExitCode {
    demo::end_with_the_agent_on_failure();
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let process = AgentProcess::start(Path::new(launcher), &gateway.environment(&key));
    demo::AGENT.store(process.pid(), Ordering::SeqCst);
    gateway.wait_online("demo");
    let [agent] = process.children()[..] else {
        panic!("the launcher has no child, or several");
    };
    tell(
        "online",
        &format!("agent demo, process 1 of its namespace, {agent} of ours"),
    );
    show_forward(&gateway);
    show_refusals(&gateway);
    demo::show_leaving(&gateway, &process, agent);
    gateway.assert_clean();
    println!("Scratch: all shown.");
    ExitCode::SUCCESS
}

/// A connection there and back, by name: no resolver and no /etc/hosts is needed for localhost.
fn show_forward(gateway: &Gateway) {
    let target = Target::start(Manner::Echo);
    let mut session = gateway.open_session(SessionRequest::tcp("localhost", target.port()));
    let mut socket = TcpStream::connect(session.listen()).expect("the local port");
    let sent = [b'x'; 1024];
    let mut back = [0; 1024];
    socket.write_all(&sent).expect("some bytes sent");
    socket.read_exact(&mut back).expect("the bytes back");
    assert_eq!(back, sent);
    tell("tcp", "1,024 bytes to a target and back");
}

fn show_refusals(gateway: &Gateway) {
    let version = ["/hoop-lite", "--version"];
    let requests = [
        ("command", SessionRequest::exec(&["sh", "-c", "true"]), "sh"),
        (
            "secret file",
            SessionRequest::exec(&version).file("TOKEN", b"s"),
            "/tmp",
        ),
        ("console", SessionRequest::console(&version), "terminal"),
    ];
    for (what, request, named) in requests {
        let mut session = gateway.open_session(request);
        if what == "console" {
            session.write("\n");
        } else {
            session.send_stdin(b"");
        }
        let close = session.wait_close();
        let code = close.code.map_or("-".to_owned(), |code| code.to_string());
        tell(what, &format!("code {code}: {}", close.text.trim()));
        assert!(close.text.contains(named), "{what}: {named} is not named");
        assert_ne!(close.code, Some(0), "{what}");
    }
    let outcome = gateway
        .open_session(SessionRequest::exec(&version))
        .run(b"");
    tell(
        "command",
        &format!("/hoop-lite --version -> {}", outcome.out().trim_end()),
    );
    assert_eq!(outcome.code, 0);
}
