//! Services that refuse, cut, lie or die, each with its right answer.

use super::*;

#[test]
fn a_service_that_cannot_be_reached_is_a_page() {
    for (failure, status) in [
        (Failure::TimedOut, "504 Gateway Timeout"),
        (
            Failure::Because("its certificate is unknown".into()),
            "502 Bad Gateway",
        ),
    ] {
        let mut lab = Lab::client();
        lab.failure = Some(failure);
        lab.user("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nhi");
        let answer = lab.answer();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.contains("app:3000"),
            "{answer}"
        );
        // The socket lives, and so does what follows.
        lab.user(format!("ho{}", get("/b", ""))).service(OK);
        assert_eq!(lab.answer(), OK);
    }
    let mut lab = Lab::listener();
    lab.failure = Some(Failure::Because("no".into()));
    lab.user(get("/", ""));
    assert_eq!((lab.packets.len(), lab.finished), (1, Some((false, false))));
}

#[test]
fn what_is_no_answer_is_a_page_that_says_so() {
    for (answer, words) in [
        ("SSH-2.0-x\r\n", "does not speak HTTP"),
        ("\u{15}\u{3}\u{1}", "speaks TLS on this port"),
        ("HTTP/2 200\r\n\r\n", "does not speak HTTP"),
        ("HTTP/1.1 2x0 OK\r\n\r\n", "no well-formed HTTP/1.1"),
        ("HTTP/1.1 600 OK\r\n\r\n", "no well-formed HTTP/1.1"),
        ("HTTP/1.1 099 OK\r\n\r\n", "no well-formed HTTP/1.1"),
        (
            "HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
            "no well-formed HTTP/1.1",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
            "two lengths",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
            "no well-formed HTTP/1.1",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "unknown transfer coding",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
            "unknown transfer coding",
        ),
    ] {
        for mut lab in [Lab::client(), Lab::listener()] {
            lab.user(get("/", "")).service(answer);
            let page = lab.answer();
            assert!(
                page.starts_with("HTTP/1.1 502 ") && page.contains(words),
                "{answer}: {page}"
            );
            assert!(!lab.is_open());
        }
    }
}

#[test]
fn heads_are_bounded_on_both_sides() {
    let long = format!("X: {}\r\n", "x".repeat(limits::WEB_HEAD_BYTES_MAX));
    let many = "X: y\r\n".repeat(limits::WEB_FIELDS_MAX + 1);
    for fields in [&long, &many] {
        let mut lab = Lab::client();
        lab.user(get("/", ""))
            .service(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        assert!(lab.answer().contains("headers that are too large"));
    }
    let mut lab = Lab::client();
    lab.user(get("/", &long));
    assert!(lab.answer().starts_with("HTTP/1.1 431 "));
    assert_eq!(lab.finished, Some((true, false)));
    let named = format!("Connection: {}\r\n", "x,".repeat(40));
    let mut lab = Lab::client();
    lab.user(get("/", &named));
    assert!(lab.answer().starts_with("HTTP/1.1 431 "));
    let mut lab = Lab::client();
    lab.user(get("/", ""))
        .service(format!("HTTP/1.1 200 OK\r\n{named}\r\n"));
    assert!(lab.answer().contains("headers that are too large"));
    // What single sign-on needs fits.
    let cookies = format!("Cookie: {}\r\n", "c".repeat(60_000));
    let mut lab = Lab::client();
    lab.user(get("/", &cookies)).service(format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(32_000)
    ));
    assert!(lab.answer().starts_with("HTTP/1.1 200 OK\r\n") && lab.asked().len() > 60_000);
}

#[test]
fn folded_lines_become_one() {
    let mut lab = Lab::listener();
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n");
    assert!(lab.answer().contains("X: a   b\r\n"));
}

#[test]
fn a_service_that_leaves_without_a_word_is_named() {
    for (begun, words) in [
        ("", "without an answer"),
        ("HTTP/1.1 200 OK\r\nX", "in the middle of its answer"),
    ] {
        let mut lab = Lab::client();
        lab.user(get("/", ""))
            .service(begun)
            .service_ends(begun.is_empty());
        let answer = lab.answer();
        assert!(
            answer.starts_with("HTTP/1.1 502 ") && answer.contains(words),
            "{answer}"
        );
    }
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_user() {
    for head in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
        let mut lab = Lab::client();
        lab.user(get("/", ""))
            .service(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
        assert!(lab.answer().starts_with("HTTP/1.1 200 OK\r\n"));
        lab.service("5\r\nhel").service_ends(false);
        assert_eq!(
            (lab.answer().as_str(), lab.finished),
            ("5\r\nhel", Some((true, false)))
        );
    }
    // Of what the listener has not seen yet, a page can take the place.
    for head in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
        let mut lab = Lab::listener();
        lab.user(get("/", ""))
            .service(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhel"))
            .service_ends(false);
        let answer = lab.answer();
        assert!(
            answer.starts_with("HTTP/1.1 502 ") && answer.contains("in the middle"),
            "{answer}"
        );
        assert_eq!(lab.finished, Some((false, false)));
    }
    let mut lab = Lab::listener();
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\n\r\nhel")
        .service_ends(true);
    assert!(
        lab.answer().starts_with("HTTP/1.1 502 "),
        "a reset is no end"
    );
    let mut lab = Lab::listener();
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel");
    lab.wait(limits::WEB_TRICKLE_FIRST).service_ends(false);
    assert!(lab.answer().ends_with("hel"));
    assert_eq!(lab.finished, Some((true, false)));
}

#[test]
fn broken_chunks_break_off_and_nothing_behind_them_is_passed() {
    let mut lab = Lab::client();
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    lab.answer();
    lab.service("1\r\nb\r\nxyz\r\nHTTP/1.1 200 EVIL\r\n\r\n");
    assert_eq!(
        (lab.answer().as_str(), lab.finished),
        ("1\r\nb\r\n", Some((true, false)))
    );
}

#[test]
fn broken_chunks_of_a_request_end_it() {
    let mut lab = Lab::client();
    lab.user("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nxyz\r\n");
    assert!(lab.answer().starts_with("HTTP/1.1 400 "));
    assert_eq!(lab.finished, Some((true, false)));
    assert!(!lab.asked().contains("xyz"));
}

#[test]
fn two_ways_to_say_the_length_cost_the_connection() {
    let mut lab = Lab::client();
    lab.user(get("/", "")).service("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(
        lab.answer(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    );
    assert!(!lab.is_open());
}

#[test]
fn a_kept_connection_that_was_dead_is_replaced_once() {
    for (request, is_repeated) in [
        (get("/", ""), true),
        (
            "DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_owned(),
            true,
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_owned(),
            false,
        ),
        (
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
            false,
        ),
        ("FOO / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), false),
    ] {
        let mut lab = Lab::listener();
        lab.is_used = true;
        lab.user(&request).service_ends(true);
        assert_eq!(lab.sent.len(), 1 + usize::from(is_repeated), "{request}");
        if !is_repeated {
            assert!(lab.answer().starts_with("HTTP/1.1 502 "));
            continue;
        }
        assert_eq!(lab.sent[0], lab.sent[1]);
        lab.service_ends(true);
        assert!(lab.answer().starts_with("HTTP/1.1 502 "), "once");
    }
    let mut lab = Lab::listener();
    lab.user(get("/", "")).service_ends(true);
    assert_eq!(lab.sent.len(), 1, "a new connection is not repeated");
    let mut lab = Lab::listener();
    lab.is_used = true;
    lab.user(get("/", "")).service("H").service_ends(true);
    assert_eq!(lab.sent.len(), 1, "something had been answered");
}

#[test]
fn what_waits_on_a_kept_connection_is_no_answer() {
    let mut lab = Lab::listener();
    lab.is_used = true;
    lab.from_remote
        .extend(b"HTTP/1.1 200 EVIL\r\nContent-Length: 0\r\n\r\n");
    lab.user(get("/", "")).service(OK);
    assert_eq!((lab.answer().as_str(), lab.hang_ups), (OK, 1));
    assert!(lab.sent[0].is_empty());
}

#[test]
fn a_service_that_ends_between_two_requests_is_dialled_again() {
    let mut lab = Lab::client();
    lab.user(get("/", "")).service(OK).service_ends(false);
    lab.user("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
        .service(OK);
    assert_eq!((lab.answer(), lab.sent.len()), (format!("{OK}{OK}"), 2));
}

#[test]
fn a_page_in_answer_to_head_has_no_body() {
    let mut lab = Lab::client();
    lab.failure = Some(Failure::Because("no".into()));
    lab.user("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(lab.answer().ends_with("\r\n\r\n"));
    lab.user(get("/", "")).service(OK);
    assert_eq!(lab.answer(), OK);
}

/// Stopped at each byte, both ways: the user has a whole answer, one that visibly breaks off, or waits for none.
#[test]
fn an_exchange_can_be_given_up_at_any_byte() {
    let request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
    let answer = "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let head_end = request.len() - 2;
    for (start, is_listener) in [(Lab::client as fn() -> Lab, false), (Lab::listener, true)] {
        for len in 0..=request.len() {
            let mut lab = start();
            lab.user(&request[..len]).give_up();
            let is_told = lab.answer().starts_with("HTTP/1.1 503 ");
            assert_eq!(is_told, len >= head_end, "{len}");
        }
        for len in 0..answer.len() {
            let mut lab = start();
            lab.user(request).service(&answer[..len]).give_up();
            let told = lab.answer();
            let told = told
                .strip_prefix("HTTP/1.1 103 Hints\r\n\r\n")
                .unwrap_or(&told);
            let is_page = told.starts_with("HTTP/1.1 503 ");
            let is_cut = told.contains("chunked") && !told.ends_with("0\r\n\r\n");
            assert!(is_page || (is_cut && !is_listener), "{len}: {told}");
        }
    }
}
