//! Things outside that would make a program wait which touches them: files that are none, sockets
//! that are full.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;

use loopback_gateway::event::Event;
use loopback_gateway::{AgentProcess, Gateway, Security, SessionRequest};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::world::{AGENT, Folder, environment};

fn make_fifo(path: &str) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_key_file_that_becomes_a_fifo_is_refused_and_the_key_stays() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let folder = Folder::new("fifo-later");
    let path = folder.file("key");
    fs::write(&path, &key).unwrap();
    let mut variables = environment(&gateway, &key, &[("HOOP_KEY_FILE", &path)]);
    variables.retain(|(name, _)| name != "HOOP_KEY");
    let agent = AgentProcess::start(AGENT, &variables);
    gateway.wait_online("demo");
    fs::remove_file(&path).unwrap();
    make_fifo(&path);
    let from = gateway.mark();
    gateway.drop_link("demo");
    agent.wait_text("it is a pipe, which is read only at start");
    gateway.wait_event(from, "a second stream", |event| match event {
        Event::Online { .. } => Some(()),
        _ => None,
    });
}

#[test]
fn a_key_and_an_authority_may_come_by_pipes_once() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let authority = gateway.ca_pem().unwrap().to_owned();
    let folder = Folder::new("fifo");
    let mut variables = environment(&gateway, &key, &[]);
    variables.retain(|(name, _)| !["HOOP_KEY", "HOOP_TLSCA"].contains(&name.as_str()));
    for (name, scheme, content) in [
        ("HOOP_KEY_FILE", "", key),
        ("HOOP_TLSCA", "file://", authority),
    ] {
        let path = folder.file(name);
        make_fifo(&path);
        variables.push((name.to_owned(), format!("{scheme}{path}")));
        std::thread::spawn(move || fs::write(path, content));
    }
    let agent = AgentProcess::start(AGENT, &variables);
    gateway.wait_online("demo");
    let from = gateway.mark();
    gateway.drop_link("demo");
    gateway.wait_event(from, "a second stream", |event| match event {
        Event::Online { .. } => Some(()),
        _ => None,
    });
    let text = agent.lines().join("\n");
    assert!(!text.contains("going on with"), "{text}");
}

#[test]
fn a_service_manager_that_does_not_listen_holds_up_nothing_and_hears_later() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let folder = Folder::new("notify");
    let path = folder.file("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    let full = (0..100_000).find_map(|_| filler.send_to(b"FULL=1", &path).err());
    assert_eq!(full.unwrap().kind(), ErrorKind::WouldBlock);

    let variables = environment(&gateway, &key, &[("NOTIFY_SOCKET", &path)]);
    let agent = AgentProcess::start(AGENT, &variables);
    gateway.wait_online("demo");
    manager
        .set_read_timeout(Some(loopback_gateway::deadline()))
        .unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 256];
    while !heard.contains(&"READY=1".to_owned()) || !heard.contains(&"STATUS=connected".to_owned())
    {
        // Anything that happens is an occasion to say it again.
        let session = gateway.open_session(SessionRequest::exec(&["true"]));
        assert_eq!(session.run(b"").code, 0);
        manager.set_nonblocking(true).unwrap();
        while let Ok(size) = manager.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..size]).into_owned());
        }
    }
    drop(agent);
}

#[test]
fn a_strangers_full_socket_at_the_health_endpoints_path_is_taken_and_not_waited_for() {
    let folder = Folder::new("health");
    let path = folder.file("health");
    let stranger = UnixListener::bind(&path).unwrap();
    let address = SocketAddrUnix::new(path.as_str()).unwrap();
    let mut waiting = Vec::new();
    loop {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        if rustix::net::connect(&socket, &address).is_err() {
            break;
        }
        waiting.push(socket);
    }
    let mut command = AgentProcess::command(
        AGENT,
        &[(
            "HOOP_KEY".to_owned(),
            "grpc://dev:secret@127.0.0.1:1".to_owned(),
        )],
    );
    let listen = format!("unix:{path}");
    command.args(["start", "agent", "--health-listen", &listen]);
    let agent = AgentProcess::spawn(&mut command);
    assert_eq!(agent.wait_exit().code(), Some(1));
    agent.wait_text("address is taken");
    drop(stranger);
}
