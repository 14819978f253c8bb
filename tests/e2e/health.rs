//! The health endpoint as probes meet it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use loopback_gateway::{AgentProcess, Gateway, Security};

use crate::world::{AGENT, environment};

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_address_of_the_machine_is_served_by_the_one_setting_of_our_manifests() {
    let port = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let listen = format!("[::]:{port}");
    let variables = environment(&gateway, &key, &[("HOOP_LITE_HEALTH_LISTEN", &listen)]);
    let _agent = AgentProcess::start(AGENT, &variables);
    gateway.wait_online("demo");
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ] {
        let answer = ask(address, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let absolute = format!("GET http://{address}/livez HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(ask(address, &absolute).starts_with("HTTP/1.1 200 OK\r\n"));
        let many = "x-header: of a proxy with a long value\r\n".repeat(90);
        let more = format!("x-more: {}\r\n", "v".repeat(4000));
        let large = format!("GET /livez HTTP/1.1\r\n{many}{more}\r\n");
        assert!(ask(address, &large).starts_with("HTTP/1.1 200 OK\r\n"));
        let head = ask(address, "HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(
            head.ends_with("\r\n\r\n") && head.contains("Content-Length: "),
            "{head}"
        );
        assert!(!head.contains("Content-Length: 0"), "{head}");
    }
}
