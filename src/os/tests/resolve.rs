use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use mio::Poll;

use super::{Scratch, alone};
use crate::os::resolve::{Addresses, Asker, LookupError, NameRequest, Resolver, resolve_now};

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn now(host: &str, port: u16) -> Addresses {
    resolve_now(host, port, Instant::now() + super::PATIENCE)
}

/// What is answered without waiting for anybody.
fn at_once(host: &str) -> Option<Addresses> {
    let poll = Poll::new().unwrap();
    let mut resolver = Resolver::new(0);
    let request = NameRequest {
        number: 5,
        port: 80,
    };
    resolver.submit(
        Instant::now(),
        host,
        Asker::Target { user: 1 },
        request,
        poll.registry(),
    )
}

#[test]
fn literals_are_answered_as_they_stand() {
    for (host, address) in [
        ("192.0.2.1", "192.0.2.1:80"),
        ("2001:db8::1", "[2001:db8::1]:80"),
        ("[2001:db8::1]", "[2001:db8::1]:80"),
    ] {
        assert_eq!(at_once(host), Some(Ok(vec![socket(address)])), "{host}");
        assert_eq!(now(host, 80), Ok(vec![socket(address)]), "{host}");
    }
}

#[test]
fn localhost_is_a_loopback_address() {
    let loopback = [socket("127.0.0.1:80"), socket("[::1]:80")];
    for host in ["localhost", "LOCALHOST.", "db.localhost"] {
        assert_eq!(at_once(host), Some(Ok(loopback.to_vec())), "{host}");
    }
}

#[test]
fn what_is_no_name_is_not_found() {
    let long = "x".repeat(300);
    for host in [
        "",
        ".",
        "two words",
        "zero\0byte",
        "line\nbreak",
        "[1.2.3.4]x y",
        &long,
    ] {
        assert_eq!(at_once(host), Some(Err(LookupError::NotFound)), "{host}");
    }
    assert_eq!(LookupError::NotFound.to_string(), "no such host");
}

/// Name, type and end of the first question.
fn question(query: &[u8]) -> (String, u8, usize) {
    let mut words = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        words.push(std::str::from_utf8(&query[at + 1..end]).unwrap());
        at = end;
    }
    (words.join("."), query[at + 2], at + 5)
}

/// Answers as the first word of the name says; `None` is silence.
fn answer(query: &[u8], is_tcp: bool) -> Option<Vec<u8>> {
    let (name, record_type, end) = question(query);
    let is_v4 = record_type == 1;
    let first = name.split('.').next().unwrap_or_default();
    let (flags, code, count) = match (name.as_str(), first) {
        _ if name.ends_with("broken.example") => (0x81, 2, 0),
        ("api.dev.svc.cluster.local", _) => (0x81, 0, u8::from(is_v4)),
        ("big.example", _) if !is_tcp => (0x83, 0, 0),
        ("big.example", _) => (0x81, 0, if is_v4 { 60 } else { 0 }),
        _ if !name.ends_with(".example") || first == "gone" => (0x81, 3, 0),
        _ if is_v4 => (0x81, 0, 1),
        (_, "silent") => return None,
        (_, bad) => {
            let codes = ["good", "formerr", "servfail", "nx", "notimp", "refused"];
            let code = codes.iter().position(|code| *code == bad).unwrap_or(0);
            (0x81, u8::try_from(code).unwrap(), 0)
        }
    };
    let mut reply = query[..end].to_vec();
    reply[2..12].copy_from_slice(&[flags, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    for last in 0..count {
        reply.extend([
            0xc0,
            12,
            0,
            1,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            4,
            192,
            0,
            2,
            77 + last,
        ]);
    }
    Some(reply)
}

fn serve_datagrams(socket: &UdpSocket) {
    let mut query = [0; 512];
    loop {
        let (length, asker) = socket.recv_from(&mut query).unwrap();
        if let Some(reply) = answer(&query[..length], false) {
            socket.send_to(&reply, asker).unwrap();
        }
    }
}

fn serve_streams(listener: &TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query).unwrap();
        let reply = answer(&query, true).unwrap();
        let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length[..], &reply].concat()).unwrap();
    }
}

/// Runs the calling test again with files of its own in place of the system's, and a loopback of its own.
/// `false` outside, and where no namespaces can be made.
fn in_a_world_of_its_own(test: &str, scratch: &Scratch, conf: &str, hosts: &str) -> bool {
    let allowed = Command::new("unshare")
        .args(["-rmn", "ip", "link", "set", "lo", "up"])
        .output();
    let inside = std::env::var_os(super::ALONE).is_some();
    if !inside && !allowed.is_ok_and(|output| output.status.success()) {
        println!("not run: no namespaces of our own on this machine");
        return false;
    }
    let conf = scratch.file("resolv.conf", conf, "644");
    let hosts = scratch.file("hosts", hosts, "644");
    let preface = format!(
        "exec unshare -rmn sh -c 'mount --bind {} /etc/resolv.conf; mount --bind {} /etc/hosts; \
         ip link set lo up; exec \"$0\" \"$@\"' \"$0\" \"$@\"",
        conf.display(),
        hosts.display()
    );
    alone(&format!("resolve::{test}"), &preface)
}

fn start_server() {
    let datagrams = UdpSocket::bind("127.0.0.1:53").unwrap();
    let streams = TcpListener::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || serve_datagrams(&datagrams));
    std::thread::spawn(move || serve_streams(&streams));
}

const ONE: &[&str] = &["192.0.2.77:5432"];

/// What Go and glibc find, we find: on real sockets, with the files of a Kubernetes pod.
#[test]
fn names_are_found_as_go_and_glibc_find_them() {
    let scratch = Scratch::new();
    let conf = "search broken.example default.svc.cluster.local svc.cluster.local\n\
                options ndots:5 attempts:1 timeout:1\nnameserver 127.0.0.2\nnameserver 127.0.0.1\n";
    let hosts = "192.0.2.5 Stored.Example alias\n2001:db8::5 stored.example\n";
    let test = "names_are_found_as_go_and_glibc_find_them";
    if !in_a_world_of_its_own(test, &scratch, conf, hosts) {
        return;
    }
    start_server();
    let sixteen: Vec<String> = (77..93)
        .map(|last| format!("192.0.2.{last}:5432"))
        .collect();
    let sixteen: Vec<&str> = sixteen.iter().map(String::as_str).collect();
    for (host, expected) in [
        ("good.corp.example.", Ok(ONE)),
        ("Good.Corp.Example", Ok(ONE)),
        ("nx.corp.example", Ok(ONE)),
        ("servfail.corp.example", Ok(ONE)),
        ("notimp.corp.example", Ok(ONE)),
        ("refused.corp.example", Ok(ONE)),
        ("formerr.corp.example", Ok(ONE)),
        ("silent.corp.example", Ok(ONE)),
        ("api.dev", Ok(ONE)),
        ("big.example", Ok(&sixteen)),
        (
            "STORED.example",
            Ok(&["[2001:db8::5]:5432", "192.0.2.5:5432"]),
        ),
        ("ALIAS", Ok(&["192.0.2.5:5432"])),
        ("gone.example.", Err(LookupError::NotFound)),
        ("host.broken.example.", Err(LookupError::Temporary)),
    ] {
        let expected = expected.map(|list| list.iter().map(|text| socket(text)).collect());
        assert_eq!(now(host, 5432), expected, "{host}");
    }
}

/// An image without files: glibc's default is a server on this machine, and there is none.
#[test]
fn without_files_the_server_is_this_machine() {
    let scratch = Scratch::new();
    let test = "without_files_the_server_is_this_machine";
    if !in_a_world_of_its_own(test, &scratch, "", "") {
        return;
    }
    assert_eq!(now("db.example", 1), Err(LookupError::Temporary));
    assert!(now("localhost", 1).is_ok());
    start_server();
    assert_eq!(now("good.example", 5432), Ok(vec![socket(ONE[0])]));
}

/// Both files are read again when they change; what was not found before is asked for anew.
#[test]
fn files_that_change_are_read_again() {
    let scratch = Scratch::new();
    let conf = "nameserver 127.0.0.1\noptions ndots:0\n";
    if !in_a_world_of_its_own("files_that_change_are_read_again", &scratch, conf, "") {
        return;
    }
    start_server();
    let write = |path: &str, text: &str| std::fs::write(Path::new(path), text).unwrap();
    let mut world = Asking::new();
    assert_eq!(world.ask("api.dev"), Err(LookupError::NotFound));
    write(
        "/etc/resolv.conf",
        "search svc.cluster.local\nnameserver 127.0.0.1\noptions ndots:2\n",
    );
    assert_eq!(world.ask("api.dev"), Ok(vec![socket("192.0.2.77:80")]));
    write("/etc/hosts", "192.0.2.9 api.dev\n");
    assert_eq!(world.ask("api.dev"), Ok(vec![socket("192.0.2.9:80")]));
}

/// A resolver that lives as long as an agent's.
struct Asking {
    poll: Poll,
    resolver: Resolver,
}

impl Asking {
    fn new() -> Self {
        Self {
            poll: Poll::new().unwrap(),
            resolver: Resolver::new(0),
        }
    }

    fn ask(&mut self, host: &str) -> Addresses {
        let request = NameRequest {
            number: 1,
            port: 80,
        };
        let registry = self.poll.registry();
        let known = self.resolver.submit(
            Instant::now(),
            host,
            Asker::Target { user: 1 },
            request,
            registry,
        );
        if let Some(addresses) = known {
            return addresses;
        }
        let mut events = mio::Events::with_capacity(8);
        loop {
            if let Some((_, addresses)) = self.resolver.take_answers().pop() {
                return addresses;
            }
            super::wait(&mut self.poll, &mut events);
            for event in &events {
                self.resolver
                    .note(Instant::now(), event.token(), self.poll.registry());
            }
        }
    }
}
