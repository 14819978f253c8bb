//! What an exchange holds, and for how long.

use super::*;

#[test]
fn an_idle_exchange_holds_next_to_nothing() {
    let mut lab = Lab::client();
    lab.user(get("/", "")).service(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}",
        "x".repeat(1_000_000)
    ));
    assert_eq!(lab.answer().len(), 1_000_000 + 44);
    assert!(
        lab.exchange.held_bytes() <= 4096,
        "{}",
        lab.exchange.held_bytes()
    );
    assert!(size_of::<Exchange>() <= 1024, "{}", size_of::<Exchange>());
}

#[test]
fn a_client_is_never_kept_waiting() {
    let mut lab = Lab::client();
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["1\r", "\na", "\r\n", "0\r\n\r", "\n"] {
        lab.answer();
        lab.service(piece);
        assert_eq!(
            lab.exchange.deadline().is_some(),
            piece == "\n",
            "only the idle connection has one"
        );
    }
    assert_eq!(lab.answer(), "\r\n");
}

#[test]
fn packets_have_the_size_that_the_link_wishes() {
    let mut lab = Lab::client();
    lab.packet_bytes = 1000;
    lab.user(get("/", "")).service(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}",
        "x".repeat(5000)
    ));
    assert!(
        lab.packets
            .iter()
            .all(|packet| packet.len() <= 1000 && !packet.is_empty())
    );
}

#[test]
fn held_bytes_are_those_that_wait() {
    let mut lab = Lab::listener();
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\n\r\n")
        .service(vec![b'x'; 1 << 20]);
    assert!(lab.packets.is_empty());
    assert!((1 << 20..4 << 20).contains(&lab.exchange.held_bytes()));
    lab.service_ends(false);
    assert!(lab.exchange.held_bytes() <= 4096);
}
