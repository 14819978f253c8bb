//! Every way in which a call can fail before the gateway's answer is read, and its sentence.

#![allow(clippy::unwrap_used)]

mod admin_support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use admin_support::{
    Folder, Mock, Outcome, Variables, certificate, proxy_to, response, server_that_says,
};
use hoop_lite::admin::dial::{self, DialError, ProxyRefusal};
use hoop_lite::admin::{AdminCommand, OutputForm};
use hoop_lite::base::Secret;
use hoop_lite::config::{GatewayAddress, Proxy};

const LIST: AdminCommand = AdminCommand::GetAgents(OutputForm::Text);

fn list(url: &str) -> Outcome {
    let outcome = Variables::trio(url, "secret-token").run(&LIST, "");
    assert!(!outcome.stderr.contains("secret-token"));
    outcome
}

fn fails(outcome: &Outcome, sentence: &str) {
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (1, ""),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains(sentence), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
}

fn localhost() -> rcgen::CertificateParams {
    rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap()
}

/// A TLS gateway, called as `host` with its own certificate as authority.
fn list_tls(params: rcgen::CertificateParams, host: &str) -> Outcome {
    let (config, pem) = certificate(params);
    let mock = Mock::tls(config, |_| response(200, "[]"));
    let url = format!("https://{host}:{}", mock.address.port());
    Variables::trio(&url, "secret-token")
        .with("HOOP_TLSCA", &pem)
        .run(&LIST, "")
}

#[test]
fn a_gateway_with_a_known_authority_is_reached() {
    let outcome = list_tls(localhost(), "localhost");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
}

#[test]
fn certificates_that_are_not_believed_have_their_sentence() {
    let (config, _) = certificate(localhost());
    let mock = Mock::tls(config, |_| response(200, "[]"));
    let url = format!("https://localhost:{}", mock.address.port());
    fails(
        &list(&url),
        "is not signed by an authority that is trusted here: set HOOP_TLSCA",
    );

    let mut expired = localhost();
    expired.not_before = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
    fails(
        &list_tls(expired, "localhost"),
        "expired on 2021-01-01T00:00:00Z; the clock here says",
    );

    let mut future = localhost();
    future.not_before = rcgen::date_time_ymd(2200, 1, 1);
    future.not_after = rcgen::date_time_ymd(2201, 1, 1);
    fails(
        &list_tls(future, "localhost"),
        "is valid from 2200-01-01T00:00:00Z on",
    );

    fails(
        &list_tls(localhost(), "127.0.0.1"),
        "certificate is not for 127.0.0.1: it names localhost",
    );
}

#[test]
fn the_servers_name_can_be_given() {
    let params = rcgen::CertificateParams::new(vec!["gw.example".to_owned()]).unwrap();
    let (config, pem) = certificate(params);
    let mock = Mock::tls(config, |_| response(200, "[]"));
    let url = format!("https://localhost:{}", mock.address.port());
    let variables = Variables::trio(&url, "t").with("HOOP_TLSCA", &pem);
    assert_eq!(
        variables
            .with("HOOP_TLSSERVERNAME", "gw.example")
            .run(&LIST, "")
            .code,
        0
    );
}

#[test]
fn skipping_verification_works_and_is_told() {
    let (config, _) = certificate(localhost());
    let mock = Mock::tls(config, |_| response(200, "[]"));
    let url = format!("https://localhost:{}", mock.address.port());
    let variables = Variables::trio(&url, "t").with("HOOP_TLS_SKIP_VERIFY", "true");
    let outcome = variables.run(&LIST, "");
    assert_eq!(outcome.code, 0);
    assert!(
        outcome
            .stderr
            .starts_with("warning: HOOP_TLS_SKIP_VERIFY=true")
    );
}

#[test]
fn tls_and_plaintext_are_told_apart_both_ways() {
    let plain = server_that_says(b"HTTP/1.0 400 Bad Request\r\n\r\n");
    fails(
        &list(&format!("https://{plain}")),
        "does not speak TLS on this port: write http:// into the API URL",
    );
    let silent = server_that_says(b"");
    fails(
        &list(&format!("https://{silent}")),
        "closed in the TLS handshake (unexpected end of file): the other side may not speak TLS",
    );
    let go = server_that_says(
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    );
    fails(
        &list(&format!("http://{go}")),
        "speaks TLS on this port: write https:// into the API URL",
    );
    let alert = server_that_says(b"\x15\x03\x01\x00\x02\x02\x46");
    fails(
        &list(&format!("http://{alert}")),
        "speaks TLS on this port: write https://",
    );
    let (config, _) = certificate(localhost());
    let tls = Mock::tls(config, |_| response(200, "[]"));
    fails(
        &list(&format!("http://{}", tls.address)),
        "write https:// into the API URL",
    );
}

#[test]
fn broken_answers_have_their_sentence() {
    for (bytes, sentence) in [
        (&b""[..], "closed the connection without an answer"),
        (
            b"SSH-2.0-OpenSSH\r\n",
            "does not speak HTTP on this port: check the port",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]",
            "in the middle of its answer",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "larger than 4 MiB",
        ),
        (b"HTTP/1.1 abc\r\n\r\n", "answer is malformed"),
    ] {
        fails(
            &list(&format!("http://{}", server_that_says(bytes))),
            sentence,
        );
    }
}

#[test]
fn a_body_cut_inside_tls_is_noticed() {
    let (config, pem) = certificate(localhost());
    let mock = Mock::tls(config, |_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]".to_vec()
    });
    let url = format!("https://localhost:{}", mock.address.port());
    let outcome = Variables::trio(&url, "t")
        .with("HOOP_TLSCA", &pem)
        .run(&LIST, "");
    fails(&outcome, "in the middle of its answer");
}

#[test]
fn unreachable_gateways_say_what_was_tried() {
    // The port of a service that nobody runs.
    let address = "127.0.0.1:1";
    fails(
        &list(&format!("http://{address}")),
        &format!("{address}: connection refused: nothing listens there: is the gateway running"),
    );
    fails(
        &list("https://no-such-host.invalid:1"),
        "no connection to https://no-such-host.invalid:1: no-such-host.invalid: ",
    );
}

#[test]
fn unusable_addresses_of_a_proxy_are_told_without_its_password() {
    let outcome = Variables::trio("https://gw.example.invalid", "t")
        .with("HTTPS_PROXY", "socks5://u:hunter22@p:1")
        .run(&LIST, "");
    fails(&outcome, "HTTPS_PROXY");
    assert!(!outcome.stderr.contains("hunter22"));
}

fn tunnel(proxy: &str, login: Option<(&str, &str)>) -> Result<dial::TimedTcp, DialError> {
    let proxy = Proxy {
        address: GatewayAddress::parse(proxy).unwrap(),
        login: login.map(|(user, password)| (user.to_owned(), Secret::new(password))),
    };
    let target = GatewayAddress::parse("gw.example:8009").unwrap();
    dial::connect_through(
        Some(&proxy),
        &target,
        Instant::now() + Duration::from_secs(20),
    )
}

#[test]
fn a_tunnel_is_asked_for_and_used_to_its_first_byte() {
    let server = server_that_says(b"hello");
    let (proxy, handle) = proxy_to(
        Some(server),
        b"HTTP/1.1 200 Established\r\nX: y\r\n\r\nearly ",
    );
    let mut stream = tunnel(&proxy, Some(("user", "p:ss"))).unwrap_or_else(|e| panic!("{e}"));
    stream.write_all(b"x").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "early hello");
    drop(stream);
    assert_eq!(
        handle.join().unwrap(),
        "CONNECT gw.example:8009 HTTP/1.1\r\nHost: gw.example:8009\r\n\
         Proxy-Authorization: Basic dXNlcjpwOnNz\r\n\r\n"
    );
}

#[test]
fn proxies_that_refuse_have_their_sentence() {
    for (answer, sentence) in [
        (
            &b"HTTP/1.1 407 Auth\r\nContent-Length: 3\r\n\r\n"[..],
            "wants credentials",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            "refused the tunnel with HTTP status 403: have it allow",
        ),
        (b"SSH-2.0-x\r\n", "does not answer as an HTTP proxy"),
    ] {
        let (proxy, _) = proxy_to(None, answer);
        let error = tunnel(&proxy, None).map(drop).unwrap_err();
        assert!(matches!(error, DialError::Proxy(ProxyRefusal::Answer(_))));
        assert!(error.to_string().contains(sentence), "{error}");
    }
}

#[test]
fn a_silent_server_is_left_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = GatewayAddress::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    let mut stream = dial::connect(&target, deadline).unwrap_or_else(|e| panic!("{e}"));
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn a_token_in_the_clear_is_told() {
    let outcome = Variables::trio("http://no-such-host.invalid:1", "t").run(&LIST, "");
    assert!(outcome.stderr.starts_with(
        "warning: no TLS to http://no-such-host.invalid:1: the token crosses the network readable \
         by anybody on the way; write https:// into the API URL if the gateway has TLS\nerror: "
    ));
}

#[test]
fn unused_home_is_no_obstacle() {
    let home = Folder::new();
    let mock = Mock::plain(|_| response(200, "[]"));
    let variables = Variables::trio(&format!("http://{}", mock.address), "t");
    assert_eq!(variables.with("HOME", home.path()).run(&LIST, "").code, 0);
    assert_eq!(std::fs::read_dir(&home.0).unwrap().count(), 0);
}
