//! `doctor` on the way to gateways that work and to those that do not, each with its sentence.

#![allow(clippy::unwrap_used)]

mod admin_support;
#[path = "doctor_way/secrets.rs"]
mod secrets;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use admin_support::{Mock, certificate, proxy_to, response, server_that_says};
use hoop_lite::admin::OutputForm;
use hoop_lite::config::Surroundings;
use hoop_lite::doctor;
use hoop_lite::doctor::metadata::MetadataPlaces;
use loopback_gateway::{Gateway, Security};

/// The name in the test certificates.
const NAMED: &str = "localhost";

struct Seen {
    code: i32,
    text: String,
}

impl Seen {
    /// The lines of a check, without its time.
    fn of(&self, check: &str) -> Vec<String> {
        self.text
            .lines()
            .filter(|line| line.split_whitespace().nth(1) == Some(check))
            .map(|line| {
                let (front, text) = line.split_once(" ms  ").unwrap();
                let verdict = front.split_whitespace().next().unwrap();
                format!("{verdict} {text}")
            })
            .collect()
    }

    /// The check failed with this sentence, and nothing after it was tried.
    fn failed(&self, check: &str, sentence: &str) {
        assert_eq!(self.code, 1, "{}", self.text);
        let lines = self.of(check);
        let has = |line: &String| line.starts_with("FAIL ") && line.contains(sentence);
        assert!(lines.iter().any(has), "{}", self.text);
        let order = [
            "dns", "tcp", "proxy", "tls", "alpn", "http2", "grpc", "auth",
        ];
        let after = order.iter().skip_while(|name| **name != check).skip(1);
        for name in after {
            assert_eq!(
                self.of(name),
                [format!("skip {check} failed")],
                "{}",
                self.text
            );
        }
    }

    fn ok(&self, check: &str) {
        let lines = self.of(check);
        assert!(
            !lines.is_empty() && lines.iter().all(|line| line.starts_with("ok ")),
            "{}",
            self.text
        );
    }
}

fn run(form: OutputForm, variables: &[(String, String)]) -> Seen {
    examine(form, variables, false)
}

/// Nobody listens there.
const NOWHERE: &[&str] = &["http://127.0.0.1:1"];

fn examine(form: OutputForm, variables: &[(String, String)], asks_stores: bool) -> Seen {
    let places = MetadataPlaces {
        machine: NOWHERE,
        container: NOWHERE,
    };
    examine_at(form, variables, asks_stores, places)
}

fn examine_at(
    form: OutputForm,
    variables: &[(String, String)],
    asks_stores: bool,
    metadata: MetadataPlaces<'_>,
) -> Seen {
    let mut out = Vec::new();
    let path = std::env::var("PATH").unwrap();
    let find = |name: &str| match name {
        "PATH" => Some(path.clone()),
        _ => {
            let found = variables.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        }
    };
    let surroundings = Surroundings {
        variable: &find,
        read_file: &|path| std::fs::read(path),
    };
    let names: Vec<String> = variables.iter().map(|(name, _)| name.clone()).collect();
    let asked = doctor::Examination {
        form,
        screen: None,
        of_service: false,
        asks_stores,
        misspelt: &hoop_lite::cli::misspelt,
        names: &names,
        metadata,
    };
    let code = doctor::run(&asked, surroundings, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains("xagt-"), "a secret: {text}");
    Seen { code, text }
}

fn doctor(variables: &[(&str, &str)]) -> Seen {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables: Vec<_> = variables.iter().map(owned).collect();
    run(OutputForm::Text, &variables)
}

fn key(scheme: &str, address: &str) -> String {
    format!("{scheme}://dev:xagt-0123456789@{address}?mode=standard")
}

/// Only shakes hands.
fn tls_server(params: rcgen::CertificateParams) -> (Mock, String) {
    let (config, pem) = certificate(params);
    (Mock::tls(config, |_| response(200, "")), pem)
}

fn named() -> rcgen::CertificateParams {
    rcgen::CertificateParams::new(vec![NAMED.to_owned()]).unwrap()
}

#[test]
fn all_is_well_with_a_good_key() {
    for security in [Security::Tls12, Security::Tls13, Security::Plain] {
        let gateway = Gateway::start(security);
        let key = gateway.register("dev", "standard");
        let seen = run(OutputForm::Text, &gateway.environment(&key));
        for check in [
            "key", "clock", "dns", "tcp", "proxy", "tls", "http2", "grpc", "auth",
        ] {
            seen.ok(check);
        }
        for check in ["pty", "temp", "files", "shell", "pid", "user", "apart"] {
            assert_eq!(seen.of(check).len(), 1, "{}", seen.text);
        }
        assert_eq!(seen.code, 0, "{}", seen.text);
        let tls = &seen.of("tls")[0];
        match security {
            Security::Plain => assert!(tls.contains("none: the key asks for plaintext")),
            Security::Tls12 => assert!(tls.contains("TLS 1.2 TLS_ECDHE_"), "{tls}"),
            _ => assert!(
                tls.contains("TLS 1.3 TLS13_")
                    && tls.contains("signed by \"loopback gateway authority\""),
                "{tls}"
            ),
        }
        assert_eq!(gateway.preconnects("dev"), 1);
        assert!(!gateway.is_online("dev"));
        gateway.assert_clean();
    }
}

#[test]
fn a_key_file_that_sessions_can_read_is_told() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("dev", "standard");
    let folder = std::env::temp_dir().join(format!("hoop-lite-doctor-{}", std::process::id()));
    std::fs::write(&folder, &key).unwrap();
    let mut variables = gateway.environment(&key);
    variables.retain(|(name, _)| name != "HOOP_KEY");
    let path = folder.to_str().unwrap().to_owned();
    variables.push(("HOOP_KEY_FILE".to_owned(), path));
    let seen = run(OutputForm::Text, &variables);
    std::fs::remove_file(&folder).unwrap();
    assert!(seen.text.contains("can read this key"), "{}", seen.text);
    assert_eq!(seen.code, 0);
}

#[test]
fn json_holds_the_same() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("dev", "embedded");
    let seen = run(OutputForm::Json, &gateway.environment(&key));
    let value: serde_json::Value = serde_json::from_str(&seen.text).unwrap();
    assert_eq!(value["ok"], true, "{}", seen.text);
    let checks: Vec<&str> = value["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        checks,
        [
            "key", "clock", "dns", "tcp", "proxy", "tls", "alpn", "http2", "grpc", "auth", "pty",
            "temp", "files", "shell", "tools", "pid", "user", "apart", "metadata"
        ]
    );
}

#[test]
fn a_key_that_the_gateway_does_not_know_is_told() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("dev", "standard");
    gateway.revoke("dev");
    let seen = run(OutputForm::Text, &gateway.environment(&key));
    seen.failed(
        "auth",
        "create one with `hoop-lite admin create agent NAME`",
    );
    seen.ok("grpc");
}

#[test]
fn without_a_usable_key_only_this_machine_is_looked_at() {
    let seen = doctor(&[]);
    assert_eq!(seen.code, 1);
    assert!(seen.of("key")[0].starts_with("FAIL missing HOOP_KEY"));
    assert_eq!(seen.of("auth"), ["skip no usable key"]);
    assert_eq!(seen.of("pty").len(), 1);
    let seen = doctor(&[("HOOP_KEY", "grpcs://dev:xagt-secret@gw.example")]);
    assert!(
        seen.of("key")[0].contains("there is no default"),
        "{}",
        seen.text
    );
}

#[test]
fn an_unknown_host_is_told() {
    let seen = doctor(&[("HOOP_KEY", &key("grpcs", "no-such-host.invalid:8010"))]);
    seen.failed("dns", "no-such-host.invalid: ");
}

#[test]
fn a_closed_port_is_told() {
    // The port of a service that nobody runs.
    let address = "127.0.0.1:1";
    let seen = doctor(&[("HOOP_KEY", &key("grpcs", address))]);
    seen.failed(
        "tcp",
        &format!("{address}: connection refused: nothing listens there"),
    );
}

#[test]
fn certificates_that_are_not_believed_are_shown() {
    let at = |mock: &Mock, host: &str| key("grpcs", &format!("{host}:{}", mock.address.port()));

    let (mock, _) = tls_server(named());
    let seen = doctor(&[("HOOP_KEY", &at(&mock, NAMED))]);
    seen.failed(
        "tls",
        "is not signed by an authority that is trusted here: set HOOP_TLSCA",
    );
    seen.failed(
        "tls",
        "(shown: \"rcgen self signed cert\" signed by \"rcgen self signed cert\", valid ",
    );

    let mut expired = named();
    expired.not_before = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let (mock, pem) = tls_server(expired);
    let seen = doctor(&[("HOOP_KEY", &at(&mock, NAMED)), ("HOOP_TLSCA", &pem)]);
    seen.failed(
        "tls",
        "expired on 2021-01-01T00:00:00Z; the clock here says ",
    );
    seen.failed("tls", "valid 2020-01-01T00:00:00Z to 2021-01-01T00:00:00Z");

    let (mock, pem) = tls_server(named());
    let seen = doctor(&[("HOOP_KEY", &at(&mock, "127.0.0.1")), ("HOOP_TLSCA", &pem)]);
    seen.failed(
        "tls",
        "is not for 127.0.0.1: it names localhost; set HOOP_TLSSERVERNAME",
    );
}

#[test]
fn a_certificate_that_ends_soon_and_one_that_is_not_verified_are_warnings() {
    let mut soon = named();
    soon.not_before = rcgen::date_time_ymd(2020, 1, 1);
    // Past any clock of a test, before two weeks after it, whenever that is.
    let (year, month, day) = in_a_week();
    soon.not_after = rcgen::date_time_ymd(year, month, day);
    let (mock, pem) = tls_server(soon);
    let key = key("grpcs", &format!("{NAMED}:{}", mock.address.port()));
    let seen = doctor(&[("HOOP_KEY", &key), ("HOOP_TLSCA", &pem)]);
    let tls = &seen.of("tls")[0];
    assert!(
        tls.starts_with("warn ") && tls.ends_with("it ends soon: renew it"),
        "{tls}"
    );

    let seen = doctor(&[("HOOP_KEY", &key), ("HOOP_TLS_SKIP_VERIFY", "true")]);
    let tls = &seen.of("tls")[0];
    assert!(
        tls.starts_with("warn ") && tls.contains("NOT verified"),
        "{tls}"
    );
}

fn in_a_week() -> (i32, u8, u8) {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let text = hoop_lite::base::civil::Rfc3339::whole(now.as_secs() + 7 * 86_400).to_string();
    let part = |range: std::ops::Range<usize>| text[range].parse::<u8>().unwrap();
    (text[..4].parse().unwrap(), part(5..7), part(8..10))
}

#[test]
fn tls_and_plaintext_are_told_apart_both_ways() {
    let plain = Gateway::start(Security::Plain);
    let seen = doctor(&[("HOOP_KEY", &key("grpcs", &plain.address().to_string()))]);
    seen.failed(
        "tls",
        "speaks plaintext HTTP/2 on this port: use a key whose scheme is grpc://",
    );

    let tls = Gateway::start(Security::Tls);
    let seen = doctor(&[("HOOP_KEY", &key("grpc", &tls.address().to_string()))]);
    seen.failed(
        "http2",
        "speaks TLS on this port: use a key whose scheme is grpcs://",
    );
}

#[test]
fn other_services_on_the_port_are_told() {
    for (bytes, sentence) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
            "speaks HTTP/1 on this port",
        ),
        (b"HTTP/1.0", "speaks HTTP/1 on this port"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "does not speak HTTP/2"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS on this port"),
        (b"", "the other side closed the connection"),
    ] {
        let seen = doctor(&[("HOOP_KEY", &key("grpc", &server_that_says(bytes)))]);
        seen.failed("http2", sentence);
    }
}

/// Answers the first request with a status and a text, as a web server or a proxy does.
fn web_server(status: &str) -> String {
    const PREFACE_LEN: usize = 24;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // HEADERS of stream 1 with a literal `:status`, then DATA that ends it.
    let mut answer = b"\0\0\x05\x01\x04\0\0\0\x01\x08\x03".to_vec();
    answer.extend(status.as_bytes());
    answer.extend(b"\0\0\x01\0\x01\0\0\0\x01?");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; PREFACE_LEN]).unwrap();
        stream.write_all(&SETTINGS).unwrap();
        let mut head = [0; 9];
        while head[3] != 1 {
            stream.read_exact(&mut head).unwrap();
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            std::io::copy(&mut (&mut stream).take(len.into()), &mut std::io::sink()).unwrap();
        }
        stream.write_all(&answer).unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    address
}

#[test]
fn a_web_server_that_speaks_http2_is_told() {
    for (status, advice) in [
        (
            "404",
            "check that this is the gateway's gRPC port (8010 unless changed), not its web page",
        ),
        (
            "401",
            "it wants a login or forbids: have it pass requests for /protobuf.Transport/ as they are",
        ),
        (
            "502",
            "it does not reach the gateway, or limits the time of a request",
        ),
    ] {
        let seen = doctor(&[("HOOP_KEY", &key("grpc", &web_server(status)))]);
        seen.ok("http2");
        let sentence = format!("HTTP status {status} instead of gRPC: {advice}");
        seen.failed("grpc", &sentence);
    }
}

#[test]
fn a_server_without_http2_is_told() {
    let (config, pem) = certificate(named());
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols.clear();
    let mock = Mock::tls(Arc::new(config), |_| response(200, ""));
    let key = key("grpcs", &format!("{NAMED}:{}", mock.address.port()));
    let seen = doctor(&[("HOOP_KEY", &key), ("HOOP_TLSCA", &pem)]);
    seen.failed("alpn", "did not agree to HTTP/2 (ALPN h2)");
}

#[test]
fn a_proxy_is_gone_through() {
    let gateway = Gateway::start(Security::Tls);
    let real = gateway.register("dev", "standard");
    let (proxy, _) = proxy_to(
        Some(gateway.address().to_string()),
        b"HTTP/1.1 200 OK\r\n\r\n",
    );
    let elsewhere = real.replace(&gateway.address().to_string(), "gw.invalid:8010");
    let seen = doctor(&[
        ("HOOP_KEY", &elsewhere),
        ("HOOP_TLSCA", gateway.ca_pem().unwrap()),
        ("HOOP_TLSSERVERNAME", NAMED),
        ("HTTPS_PROXY", &proxy),
    ]);
    assert_eq!(seen.of("dns"), ["skip left to the proxy"]);
    assert_eq!(seen.of("proxy"), [format!("ok tunnel through {proxy}")]);
    seen.ok("auth");
    assert_eq!(seen.code, 0, "{}", seen.text);
}

#[test]
fn a_proxy_that_is_not_there_is_told() {
    let seen = doctor(&[
        ("HOOP_KEY", &key("grpcs", "gw.invalid:8010")),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
    ]);
    seen.failed(
        "proxy",
        "127.0.0.1:1: connection refused: correct HTTPS_PROXY, or name the gateway's host in NO_PROXY",
    );
}

#[test]
fn a_proxy_that_refuses_is_told_without_its_password() {
    let (proxy, _) = proxy_to(None, b"HTTP/1.1 407 Authenticate\r\n\r\n");
    let seen = doctor(&[
        ("HOOP_KEY", &key("grpcs", "gw.invalid:8010")),
        ("HTTPS_PROXY", &format!("http://user:hunter22@{proxy}")),
    ]);
    seen.failed(
        "proxy",
        &format!("{proxy}: the proxy refuses the user and password"),
    );
    assert!(!seen.text.contains("hunter22"));
}
