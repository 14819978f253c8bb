//! The way to the gateway through an HTTP proxy.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use loopback_gateway::{AgentProcess, Gateway, Security, Setup, base64};

use crate::world::{AGENT, environment};

/// This machine, but no address that is never asked of a proxy.
const NOT_LOOPBACK: &str = "0.0.0.0";

/// A gateway whose key names it by [`NOT_LOOPBACK`].
fn gateway() -> (Gateway, String) {
    let gateway = Gateway::start_with(Setup {
        names: vec![NOT_LOOPBACK.to_owned()],
        ..Setup::new(Security::Tls)
    });
    let key = gateway.register("demo", "standard");
    let key = key.replace("@127.0.0.1:", &format!("@{NOT_LOOPBACK}:"));
    (gateway, key)
}

/// A proxy that says `answer` to every CONNECT, then passes bytes to and from the gateway. What it
/// was asked comes out of the channel.
fn proxy(gateway: SocketAddr, answer: &'static str) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let request = head(&mut client);
            if asked.send(request).is_err() || client.write_all(answer.as_bytes()).is_err() {
                return;
            }
            if answer.contains(" 200 ") {
                std::thread::spawn(move || tunnel(client, gateway));
            }
        }
    });
    (address, requests)
}

fn head(client: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    String::from_utf8(request).unwrap()
}

fn tunnel(mut client: TcpStream, gateway: SocketAddr) {
    let mut server = TcpStream::connect(gateway).unwrap();
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

#[test]
fn a_proxy_is_asked_with_user_and_password_each_time() {
    let (gateway, key) = gateway();
    let (address, requests) = proxy(gateway.address(), "HTTP/1.1 200 Connected\r\n\r\n");
    let url = format!("http://user:p%40ss@{address}");
    let agent = AgentProcess::start(
        AGENT,
        &environment(&gateway, &key, &[("HTTPS_PROXY", &url)]),
    );
    for _ in 0..2 {
        gateway.wait_online("demo");
        let request = requests.recv().unwrap();
        let authority = format!("{NOT_LOOPBACK}:{}", gateway.address().port());
        assert!(
            request.starts_with(&format!("CONNECT {authority} HTTP/1.1\r\n")),
            "{request}"
        );
        let login = format!(
            "\r\nProxy-Authorization: Basic {}\r\n",
            base64(b"user:p@ss")
        );
        assert!(request.contains(&login), "{request}");
        let session = gateway.open_session(loopback_gateway::SessionRequest::exec(&["cat"]));
        assert_eq!(session.run(b"through the proxy").out(), "through the proxy");
        gateway.drop_link("demo");
        gateway.wait_offline("demo");
    }
    assert!(agent.lines().iter().all(|line| !line.contains("p@ss")));
}

#[test]
fn a_gateway_that_no_proxy_names_is_reached_without_one() {
    let (gateway, key) = gateway();
    let (address, requests) = proxy(gateway.address(), "HTTP/1.1 200 Connected\r\n\r\n");
    let url = format!("http://{address}");
    for exception in ["0.0.0.0", "example.com, 0.0.0.0/8", "*"] {
        let variables = [("HTTPS_PROXY", url.as_str()), ("NO_PROXY", exception)];
        let agent = AgentProcess::start(AGENT, &environment(&gateway, &key, &variables));
        gateway.wait_online("demo");
        drop(agent);
        gateway.wait_offline("demo");
    }
    assert!(requests.try_recv().is_err(), "the proxy was asked");
}

#[test]
fn interim_answers_of_a_proxy_are_read_over() {
    let (gateway, key) = gateway();
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connected\r\n\r\n";
    let (address, _requests) = proxy(gateway.address(), answer);
    let variables = [("HTTPS_PROXY", &*format!("http://{address}"))];
    let _agent = AgentProcess::start(AGENT, &environment(&gateway, &key, &variables));
    gateway.wait_online("demo");
}

#[test]
fn a_proxy_that_takes_no_password_says_what_to_do() {
    let (gateway, key) = gateway();
    let answer = "HTTP/1.1 407 Login\r\nProxy-Authenticate: Negotiate\r\n\r\n";
    let (address, _requests) = proxy(gateway.address(), answer);
    let variables = [("HTTPS_PROXY", &*format!("http://{address}"))];
    let agent = AgentProcess::start(AGENT, &environment(&gateway, &key, &variables));
    agent.wait_text("Negotiate or NTLM");
}

#[test]
fn a_proxy_that_refuses_a_password_is_told_without_one_in_the_log() {
    let (gateway, key) = gateway();
    let (address, requests) = proxy(
        gateway.address(),
        "HTTP/1.1 407 Authentication Required\r\n\r\n",
    );
    let url = format!("http://user:hunter22@{address}");
    let agent = AgentProcess::start(
        AGENT,
        &environment(&gateway, &key, &[("HTTPS_PROXY", &url)]),
    );
    agent.wait_text("the proxy refuses the user and password");
    assert!(requests.recv().is_ok());
    assert!(agent.is_running() && !gateway.is_online("demo"));
    assert!(agent.lines().iter().all(|line| !line.contains("hunter22")));
}
