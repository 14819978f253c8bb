//! The user's own sockets: many requests one after the other, everything passed on as it comes.

use super::*;

#[test]
fn requests_of_one_socket_use_one_connection() {
    let mut lab = Lab::client();
    lab.user(get("/a", "")).service(OK);
    assert_eq!(lab.answer(), OK);
    lab.user(get("/b", "")).service(OK);
    assert_eq!(lab.answer(), OK);
    assert_eq!(
        lab.asked(),
        "GET /a HTTP/1.1\r\nHost: app:3000\r\n\r\nGET /b HTTP/1.1\r\nHost: app:3000\r\n\r\n"
    );
    assert_eq!((lab.sent.len(), lab.hang_ups), (1, 0));
    assert_eq!(lab.exchange.producer(), Some(Producer::Client));
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let mut lab = Lab::client();
    lab.user([get("/a", ""), get("/b", ""), get("/c", "")].concat());
    for path in ["/a", "/b", "/c"] {
        assert!(
            lab.asked()
                .ends_with(&format!("GET {path} HTTP/1.1\r\nHost: app:3000\r\n\r\n"))
        );
        lab.service(OK);
        assert_eq!(lab.answer(), OK);
    }
}

#[test]
fn a_body_is_the_next_request_only_where_no_length_was_given() {
    let mut lab = Lab::client();
    lab.user(format!(
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nGET {}",
        get("/b", "")
    ));
    assert_eq!(
        lab.asked(),
        "POST /a HTTP/1.1\r\nHost: app:3000\r\nContent-Length: 4\r\n\r\nGET "
    );
    lab.service(OK);
    assert!(lab.asked().contains("GET /b"));
    let mut lab = Lab::client();
    lab.user(format!(
        "POST /a HTTP/1.1\r\nHost: h\r\n\r\n{}",
        get("/b", "")
    ))
    .service(OK);
    assert_eq!(lab.asked().matches("HTTP/1.1").count(), 2);
}

#[test]
fn a_body_passes_as_it_is_where_its_length_was_told() {
    let mut lab = Lab::client();
    let packet = |lab: &mut Lab, bytes: &str| {
        let Lab {
            exchange,
            from_client,
            now,
            ..
        } = lab;
        let passes = exchange.packet(*now, from_client, bytes.as_bytes());
        lab.run();
        passes
    };
    let head = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123";
    assert!(!packet(&mut lab, head), "its head is written anew");
    assert!(packet(&mut lab, "45") && packet(&mut lab, "6"));
    // What is more than the body is the next request, and may not pass unread.
    assert!(!packet(&mut lab, &["789", &get("/next", "")].concat()));
    assert!(lab.asked().ends_with("\r\n\r\n123789"), "{}", lab.asked());
    lab.service(OK);
    assert!(
        lab.asked()
            .ends_with("GET /next HTTP/1.1\r\nHost: app:3000\r\n\r\n")
    );
    lab.service(OK);
    // The last byte of a body ends it.
    assert!(!packet(
        &mut lab,
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"
    ));
    assert!(packet(&mut lab, "hi"));
    lab.service(OK);
    assert!(!packet(&mut lab, "PUT "), "of no body");
    lab.user("/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n");
    assert!(!packet(&mut lab, "hi"), "chunks are written anew");
}

#[test]
fn lengths_of_nothing_stay_and_none_are_added() {
    let mut lab = Lab::client();
    lab.user("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .service(OK);
    assert!(lab.asked().contains("Content-Length: 0\r\n"));
    lab.user("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n").service(OK);
    assert_eq!(lab.asked().matches("Content-Length").count(), 1);
    lab.user("GET /_search HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}");
    assert!(lab.asked().ends_with("Content-Length: 2\r\n\r\n{}"));
}

#[test]
fn chunks_of_a_request_are_written_anew() {
    let mut lab = Lab::client();
    lab.user("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\nTrailer: t\r\n\r\n00005;x=y\r\nhel");
    lab.user("lo\r\n");
    lab.user("0\r\nT: v\r\n\r\n");
    let head = "PUT / HTTP/1.1\r\nHost: app:3000\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        lab.asked(),
        format!("{head}3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")
    );
}

#[test]
fn who_waits_for_continue_gets_it_at_once() {
    let mut lab = Lab::client();
    lab.user("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(lab.answer(), "HTTP/1.1 100 Continue\r\n\r\n");
    lab.user("hi")
        .service("HTTP/1.1 100 Continue\r\n\r\n")
        .service(OK);
    assert_eq!(lab.answer(), OK);
    assert!(!lab.asked().contains("xpect"));
    lab.user("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(lab.answer(), "", "who has sent the body does not wait");
}

#[test]
fn other_interim_answers_pass_but_not_to_an_old_client() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n";
    let mut lab = Lab::client();
    lab.user(get("/", "")).service(hints).service(OK);
    assert_eq!(lab.answer(), format!("{hints}{OK}"));
    let mut lab = Lab::client();
    lab.user("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .service(hints)
        .service(OK);
    assert_eq!(
        lab.answer(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi"
    );
    let mut lab = Lab::client();
    lab.user(get("/", ""))
        .service(hints.repeat(limits::WEB_INTERIM_MAX.into()));
    assert!(lab.is_open());
    lab.service(hints);
    assert!(lab.answer().contains("HTTP/1.1 502 "));
}

#[test]
fn chunks_of_an_answer_pass_as_they_are_with_their_trailers() {
    let mut lab = Lab::client();
    let answer = "HTTP/1.1 200 OK\r\nTrailer: T\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n";
    lab.user(get("/", "")).service(answer);
    assert_eq!(lab.answer(), answer);
    lab.service("0\r\nT: v\r\n\r\n");
    assert_eq!(lab.answer(), "0\r\nT: v\r\n\r\n");
    lab.user(get("/", ""));
    assert_eq!(lab.sent.len(), 1, "the connection is whole");
}

#[test]
fn an_old_client_gets_no_chunks() {
    let mut lab = Lab::client();
    lab.user("GET / HTTP/1.0\r\n\r\n");
    lab.service("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(
        lab.answer(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi"
    );
    assert_eq!(lab.finished, Some((true, true)));
}

#[test]
fn an_answer_without_length_ends_with_the_connection() {
    let mut lab = Lab::client();
    lab.user(get("/", "")).service("HTTP/1.1 200 OK\r\n\r\nh");
    assert_eq!(
        lab.answer(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nh"
    );
    lab.service("i").service_ends(false);
    assert_eq!(
        (lab.answer().as_str(), lab.finished),
        ("i", Some((true, false)))
    );
}

#[test]
fn answers_without_a_body_keep_what_they_say_of_it() {
    for (method, status, fields, told) in [
        (
            "HEAD",
            "200 OK",
            "Content-Length: 9\r\n",
            "Content-Length: 9\r\n",
        ),
        ("HEAD", "200 OK", "Transfer-Encoding: chunked\r\n", ""),
        (
            "GET",
            "304 Not Modified",
            "Content-Length: 9\r\n",
            "Content-Length: 9\r\n",
        ),
        ("GET", "204 No Content", "Content-Length: 9\r\n", ""),
    ] {
        let mut lab = Lab::client();
        lab.user(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"));
        lab.service(format!("HTTP/1.1 {status}\r\n{fields}\r\n"));
        assert_eq!(lab.answer(), format!("HTTP/1.1 {status}\r\n{told}\r\n"));
        lab.user(get("/", "")).service(OK);
        assert_eq!((lab.answer().as_str(), lab.sent.len()), (OK, 1));
    }
}

#[test]
fn who_wants_to_close_is_told_so() {
    let mut lab = Lab::client();
    lab.user(get("/", "Connection: close\r\n")).service(OK);
    assert_eq!(
        lab.answer(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    );
    assert_eq!(lab.finished, Some((true, true)));
    let mut lab = Lab::client();
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(
        lab.answer(),
        OK,
        "the service's wish is no business of the user's"
    );
    assert_eq!((lab.is_open(), lab.finished), (false, None));
    lab.user(get("/", ""));
    assert_eq!(lab.sent.len(), 2);
}

#[test]
fn an_idle_connection_is_given_up_and_a_logged_in_one_kept_longer() {
    let mut lab = Lab::client();
    lab.user(get("/", "")).service(OK);
    assert_eq!(
        lab.exchange.deadline(),
        Some(lab.now + limits::WEB_KEPT_MAX)
    );
    lab.wait(limits::WEB_KEPT_MAX);
    assert!(!lab.is_open() && lab.exchange.deadline().is_none() && lab.finished.is_none());
    lab.user(get("/", ""));
    lab.service(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
    );
    lab.wait(limits::WEB_KEPT_MAX);
    assert!(lab.is_open());
    lab.user(get("/", "Authorization: NTLM abc\r\n"))
        .service(OK);
    assert_eq!(lab.sent.len(), 2, "the login is the connection's");
    lab.wait(limits::WEB_KEPT_LOGIN_MAX);
    assert!(!lab.is_open());
}

#[test]
fn what_nobody_asked_for_is_nobodys_answer() {
    let mut lab = Lab::client();
    lab.user(get("/", ""))
        .service(format!("{OK}HTTP/1.1 200 EVIL\r\n\r\n"));
    assert_eq!((lab.answer().as_str(), lab.is_open()), (OK, false));
    lab.user(get("/", "")).service(OK);
    lab.service("HTTP/1.1 200 EVIL\r\n\r\n");
    assert!(!lab.is_open());
    lab.user(get("/", "")).service(OK);
    assert_eq!((lab.answer(), lab.sent.len()), (format!("{OK}{OK}"), 3));
}

#[test]
fn a_request_that_is_answered_early_is_read_to_its_end() {
    let mut lab = Lab::client();
    lab.user("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\nbegun");
    let early = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    lab.service(early);
    assert_eq!((lab.answer().as_str(), lab.is_open()), (early, false));
    let Lab {
        exchange,
        from_client,
        now,
        ..
    } = &mut lab;
    assert!(
        !exchange.packet(*now, from_client, b"xxxxx"),
        "there is nowhere to pass it to"
    );
    lab.run();
    lab.user(format!("{}{}", "x".repeat(80), get("/b", "")))
        .service(OK);
    assert_eq!((lab.answer().as_str(), lab.sent.len()), (OK, 2));
    assert!(lab.sent[1].starts_with(b"GET /b"));
}

#[test]
fn what_is_sent_ahead_is_bounded() {
    let mut lab = Lab::client();
    lab.user(get("/", ""))
        .user(vec![b'x'; limits::WEB_AHEAD_BYTES_MAX]);
    assert_eq!(lab.finished, None);
    lab.user("x");
    assert_eq!(lab.finished, Some((true, false)));
}

#[test]
fn a_tunnel_is_served_as_a_client() {
    let mut lab = Lab::new("http://app:3000", "http://web.hoop");
    lab.user(get("/a", ""))
        .service(OK)
        .user(get("/b", ""))
        .service(OK);
    assert_eq!(lab.answer(), format!("{OK}{OK}"));
    assert_eq!(lab.exchange.producer(), Some(Producer::Tunnel));
    assert_eq!((lab.sent.len(), lab.finished), (1, None));
}

#[test]
fn each_request_has_its_own_view() {
    let mut lab = Lab::client();
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://app:3000/x\r\nContent-Length: 0\r\n\r\n";
    for (request, seen) in [
        (
            "GET http://other:1/ HTTP/1.1\r\nHost: other\r\n\r\n",
            "http://other:1/x",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost:8081\r\n\r\n",
            "http://localhost:8081/x",
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "http://127.0.0.1:8081/x",
        ),
    ] {
        lab.user(request).service(redirect);
        assert!(lab.answer().contains(&format!("Location: {seen}\r\n")));
    }
}

#[test]
fn who_asks_is_known_by_what_only_he_sends() {
    for (base_url, request, producer) in [
        ("http://127.0.0.1:8081", get("/", ""), Producer::Client),
        (
            "http://127.0.0.1:8081",
            get("/", "").replace("1.1", "2.0"),
            Producer::Listener,
        ),
        (
            "http://127.0.0.1:8081",
            get("/", "Cookie: a=b; hoop_proxy_token=x\r\n"),
            Producer::Client,
        ),
        (
            "http://web.hoop",
            get("/", "Cookie: a=b; hoop_proxy_token=x\r\n"),
            Producer::Listener,
        ),
        ("https://127.0.0.1:8081", get("/", ""), Producer::Listener),
        ("http://0.0.0.0:8081", get("/", ""), Producer::Client),
        (
            "http://127.0.0.1:8081",
            "GET / HTTP/1.1\r\nHost: localhost:8081\r\n\r\n".to_owned(),
            Producer::Client,
        ),
        (
            "http://127.0.0.1:8081",
            get("http://other/", ""),
            Producer::Client,
        ),
        (
            "http://web.hoop",
            get("https://other:1/", ""),
            Producer::Tunnel,
        ),
        ("http://localhost:18888", get("/", ""), Producer::Listener),
        (
            "http://hoop.example:18888",
            get("/", ""),
            Producer::Listener,
        ),
        ("http://gateway", get("/", ""), Producer::Listener),
        ("http://web.hoop", get("/", ""), Producer::Tunnel),
        (
            "http://web.hoop",
            get("/", "").replace("1.1", "2.0"),
            Producer::Listener,
        ),
        (
            "http://web.hoop",
            get("/", &format!("X: {}\r\n", "x".repeat(40_000))),
            Producer::Listener,
        ),
    ] {
        let mut lab = Lab::new("http://app", base_url);
        lab.user(request);
        assert_eq!(lab.exchange.producer(), Some(producer), "{base_url}");
    }
}
