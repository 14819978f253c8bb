//! WebSockets and other protocols that begin as a request.

use super::*;

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

#[test]
fn bytes_go_both_ways_once_protocols_are_switched() {
    for mut lab in [Lab::client(), Lab::listener()] {
        lab.user(ASK);
        assert_eq!(
            lab.asked(),
            "GET /ws HTTP/1.1\r\nHost: app:3000\r\nSec-WebSocket-Key: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        lab.service(format!("{SWITCH}frame"));
        assert_eq!(lab.answer(), format!("{SWITCH}frame"));
        lab.user("GET / HTTP/1.1\r\n\r\n").user("\0\u{1}");
        assert!(
            lab.asked()
                .ends_with("\r\n\r\nGET / HTTP/1.1\r\n\r\n\0\u{1}"),
            "{}",
            lab.asked()
        );
        lab.wait(Duration::from_secs(1)).service("HTTP/1.1 bytes");
        assert_eq!(lab.answer(), "HTTP/1.1 bytes");
        lab.service("bye").service_ends(false);
        assert_eq!(
            (lab.answer().as_str(), lab.finished),
            ("bye", Some((true, false)))
        );
    }
}

#[test]
fn what_is_sent_too_early_waits_for_the_switch() {
    let mut lab = Lab::client();
    lab.user(ASK).user("early");
    assert!(!lab.asked().contains("early"));
    lab.service(SWITCH);
    assert!(lab.asked().ends_with("\r\n\r\nearly"));
    let Lab {
        exchange,
        from_client,
        now,
        ..
    } = &mut lab;
    assert!(exchange.packet(*now, from_client, b"GET / as it is"));
    // Or it was the next request.
    let mut lab = Lab::client();
    lab.user(ASK).user(get("/next", "")).service(OK);
    assert!(
        lab.asked()
            .ends_with("GET /next HTTP/1.1\r\nHost: app:3000\r\n\r\n")
    );
}

#[test]
fn spdy_keeps_its_lines_and_its_length() {
    let mut lab = Lab::listener();
    lab.user("POST /exec HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4\r\nX-Stream-Protocol-Version: v3\r\n\r\n");
    let asked = lab.asked();
    for field in [
        "Upgrade: SPDY/3.1",
        "Content-Length: 0",
        "Version: v4\r\nX-Stream-Protocol-Version: v3",
    ] {
        assert!(asked.contains(field), "{asked}");
    }
    lab.service("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert_eq!(
        lab.answer(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n"
    );
}

#[test]
fn http_2_is_not_switched_to_and_switches_to_nothing() {
    for upgrade in ["h2c", "HTTP/2.0", "TLS/1.3", "websocket, h2c", ""] {
        let mut lab = Lab::client();
        lab.user(get(
            "/",
            &format!(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: A\r\n"
            ),
        ));
        assert_eq!(
            lab.asked(),
            "GET / HTTP/1.1\r\nHost: app:3000\r\n\r\n",
            "{upgrade}"
        );
        lab.service("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n");
        assert!(lab.answer().starts_with("HTTP/1.1 502 "));
    }
    let mut lab = Lab::listener();
    lab.user(ASK.replace("HTTP/1.1", "HTTP/2.0"));
    assert!(lab.answer().starts_with("HTTP/1.1 501 ") && lab.sent.is_empty());
}

#[test]
fn nobody_switches_whom_nobody_asked_or_in_the_middle_of_a_request() {
    let mut lab = Lab::client();
    lab.user(get("/", "")).service(SWITCH);
    assert!(lab.answer().starts_with("HTTP/1.1 502 "));
    let mut lab = Lab::client();
    lab.user("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbeg").service(SWITCH);
    assert!(lab.answer().starts_with("HTTP/1.1 502 "));
}

#[test]
fn by_the_listener_a_user_who_says_nothing_is_taken_for_gone() {
    let mut lab = Lab::listener();
    lab.user(ASK).service(SWITCH);
    let almost = limits::WEB_USER_SILENCE_MAX - Duration::from_millis(1);
    lab.wait(almost).user("ping").wait(almost).service("pong");
    assert_eq!(
        lab.exchange.deadline(),
        Some(lab.now + Duration::from_millis(1))
    );
    assert_eq!(lab.finished, None);
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.finished, Some((true, false)));
    let mut lab = Lab::client();
    lab.user(ASK)
        .service(SWITCH)
        .wait(Duration::from_secs(86_400));
    assert_eq!((lab.exchange.deadline(), lab.finished), (None, None));
}

#[test]
fn injected_headers_go_along_and_no_empty_offers_do() {
    let mut lab = Lab::with(
        &[("REMOTE_URL", "http://app"), ("HEADER_X_KEY", "k")],
        "http://127.0.0.1:1",
    );
    lab.user(ASK.replace("Sec-WebSocket-Key: k", "Sec-WebSocket-Protocol:"));
    assert!(lab.asked().contains("X-KEY: k\r\n") && !lab.asked().contains("Protocol"));
    lab.service(SWITCH.replace("Sec-WebSocket-Accept: a", "Sec-WebSocket-Protocol: "));
    assert!(!lab.answer().contains("Protocol:"));
}
