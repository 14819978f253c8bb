//! The gateway's listener: one request an id, and answers as it can parse them.

use super::*;

/// The status line and fields of the first packet, and all bytes behind its head.
fn parts(packets: &[Vec<u8>]) -> (String, Vec<u8>) {
    let first = &packets[0];
    let end = first
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("the head is whole");
    let head = String::from_utf8(first[..end].to_vec()).unwrap();
    (head, packets.concat()[end + 4..].to_vec())
}

fn answered(answer: &str) -> Lab {
    let mut lab = Lab::listener();
    lab.user(get("/", "").replace("1.1", "2.0")).service(answer);
    lab
}

#[test]
fn a_request_is_one_whatever_its_version() {
    let mut lab = answered(OK);
    assert_eq!(lab.asked(), "GET / HTTP/1.1\r\nHost: app:3000\r\n\r\n");
    assert_eq!(lab.packets, [OK.as_bytes()]);
    assert_eq!(lab.finished, Some((false, true)));
    assert!(lab.is_open(), "{}", lab.answer());
}

#[test]
fn what_follows_a_request_is_none() {
    let mut lab = Lab::listener();
    lab.user(format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi{}",
        get("/b", "")
    ));
    lab.service(OK);
    assert!(!lab.asked().contains("/b"));
    assert!(lab.finished.is_some());
}

#[test]
fn a_body_without_framing_gets_its_length() {
    let mut lab = Lab::listener();
    lab.user("POST / HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\n\r\n");
    assert_eq!(
        lab.asked(),
        "POST / HTTP/1.1\r\nHost: app:3000\r\nContent-Length: 19\r\n\r\nGET /x HTTP/1.1\r\n\r\n"
    );
    let mut lab = Lab::listener();
    lab.user("POST / HTTP/2.0\r\nHost: h\r\n\r\n");
    assert!(lab.asked().ends_with("Content-Length: 0\r\n\r\n"));
}

/// A request of this many bytes in slices as the listener cuts them.
fn slices(head: &str, bytes: usize) -> Vec<Vec<u8>> {
    let mut whole = head.as_bytes().to_vec();
    whole.resize(bytes, b'x');
    whole
        .chunks(limits::WEB_SLICE_BYTES)
        .map(<[u8]>::to_vec)
        .collect()
}

#[test]
fn a_body_of_several_slices_ends_with_the_short_one() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\n\r\n";
    let bytes = limits::WEB_SLICE_BYTES + 1000;
    let mut lab = Lab::listener();
    for slice in slices(head, bytes) {
        assert_eq!(lab.asked(), "");
        lab.user(slice);
    }
    assert!(
        lab.asked()
            .contains(&format!("Content-Length: {}\r\n", bytes - head.len()))
    );
    // A larger one goes on in chunks.
    let bytes = 3 * limits::WEB_SLICE_BYTES + 7;
    let mut lab = Lab::listener();
    for slice in slices(head, bytes) {
        lab.user(slice);
    }
    let asked = lab.asked();
    assert!(
        asked.contains("Transfer-Encoding: chunked\r\n"),
        "{}",
        &asked[..100]
    );
    assert!(asked.ends_with("\r\n7\r\nxxxxxxx\r\n0\r\n\r\n"));
    assert_eq!(asked.matches('x').count(), bytes - head.len());
}

#[test]
fn a_body_that_ends_with_a_full_slice_ends_by_time() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut lab = Lab::listener();
    lab.user(&slices(head, limits::WEB_SLICE_BYTES)[0]);
    assert_eq!(
        lab.exchange.deadline(),
        Some(lab.now + limits::WEB_UNFRAMED_SILENCE_MAX)
    );
    assert_eq!(lab.asked(), "");
    lab.wait(limits::WEB_UNFRAMED_SILENCE_MAX);
    let length = limits::WEB_SLICE_BYTES - head.len();
    assert!(
        lab.asked()
            .contains(&format!("Content-Length: {length}\r\n"))
    );
    let mut lab = Lab::listener();
    for slice in slices(head, 4 * limits::WEB_SLICE_BYTES) {
        lab.user(slice);
    }
    assert!(!lab.asked().ends_with("0\r\n\r\n"));
    lab.wait(limits::WEB_UNFRAMED_SILENCE_MAX);
    assert!(lab.asked().ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn slices_of_a_framed_body_flow_on() {
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        5 * limits::WEB_SLICE_BYTES
    );
    let bytes = 5 * limits::WEB_SLICE_BYTES + head.len();
    let mut lab = Lab::listener();
    for slice in slices(&head, bytes) {
        lab.user(slice);
        assert!(lab.from_client.is_empty());
    }
    lab.service(OK);
    assert_eq!(lab.finished, Some((false, true)));
}

#[test]
fn an_answer_before_the_end_waits_for_the_rest_of_its_request() {
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        limits::WEB_SLICE_BYTES
    );
    let all = slices(&head, limits::WEB_SLICE_BYTES + head.len());
    let mut lab = Lab::listener();
    lab.user(&all[0])
        .service("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        (lab.packets.len(), lab.finished, lab.is_open()),
        (1, None, false)
    );
    lab.user(&all[1]);
    assert_eq!(lab.finished, Some((false, false)));
}

#[test]
fn answers_of_unknown_length_get_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\nT: v\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello",
    ] {
        let mut lab = answered(answer);
        if lab.finished.is_none() {
            lab.service_ends(false);
        }
        let (head, body) = parts(&lab.packets);
        assert_eq!(head.replace(' ', ""), "HTTP/1.1200OK\r\nContent-Length:5");
        assert_eq!((body.as_slice(), lab.packets.len()), (&b"hello"[..], 1));
        assert!(matches!(lab.finished, Some((false, _))));
    }
}

#[test]
fn a_body_without_end_goes_out_after_a_second_or_eight_mib() {
    let mut lab = answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    assert_eq!(
        (lab.packets.len(), lab.exchange.deadline()),
        (0, Some(lab.now + limits::WEB_HOLD_MAX))
    );
    lab.wait(limits::WEB_HOLD_MAX);
    let (head, body) = parts(&lab.packets);
    assert!(
        head.ends_with("9007199254740991") && body == b"first",
        "{head}"
    );
    lab.wait(Duration::from_millis(30))
        .service("6\r\nsecond\r\n");
    assert_eq!(
        lab.packets[1], b"second",
        "what comes then is not held back"
    );
    lab.service("1\r\n!\r\n");
    assert_eq!(
        lab.exchange.deadline(),
        Some(lab.now + limits::WEB_LIVE_PAUSE)
    );
    lab.wait(limits::WEB_LIVE_PAUSE).service("0\r\n\r\n");
    assert_eq!(lab.packets[2], b"!");
    assert_eq!(
        lab.finished,
        Some((true, true)),
        "the listener is told of the end"
    );

    let mut lab = answered("HTTP/1.1 200 OK\r\n\r\n");
    for _ in 0..=limits::WEB_HOLD_BYTES_MAX >> 20 {
        assert!(lab.packets.is_empty());
        lab.service(vec![b'x'; 1 << 20]);
    }
    assert!(parts(&lab.packets).0.ends_with("9007199254740991"));
}

#[test]
fn nothing_is_held_back_when_the_budget_is_full() {
    let mut lab = Lab::listener();
    lab.may_hold = false;
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\n\r\nfirst");
    assert_eq!(parts(&lab.packets).1, b"first");
    let mut lab = Lab::listener();
    lab.may_hold = false;
    lab.user(get("/", ""))
        .service("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst");
    assert_eq!(parts(&lab.packets).1, b"first");
}

#[test]
fn head_204_and_304_do_not_make_the_listener_wait() {
    for (method, answer, told, is_told) in [
        (
            "HEAD",
            "200 OK\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9",
            true,
        ),
        (
            "HEAD",
            "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK",
            true,
        ),
        (
            "HEAD",
            "200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close",
            true,
        ),
        (
            "GET",
            "204 No\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 204 No",
            false,
        ),
        (
            "GET",
            "304 No\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 304 No",
            false,
        ),
        (
            "GET",
            "304 No\r\nContent-Type: text/event-stream\r\n\r\n",
            "HTTP/1.1 304 No\r\nContent-Type: text/event-stream\r\nConnection: close",
            true,
        ),
    ] {
        let mut lab = Lab::listener();
        lab.user(format!("{method} / HTTP/2.0\r\nHost: h\r\n\r\n"))
            .service(format!("HTTP/1.1 {answer}"));
        let (head, body) = parts(&lab.packets);
        assert_eq!((head.as_str(), body.len()), (told, 0));
        assert_eq!(lab.finished, Some((is_told, true)), "{method} {answer}");
    }
}

#[test]
fn events_go_out_one_by_one_behind_a_head_of_their_own() {
    let mut lab = answered(
        "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: a\n\r\n",
    );
    assert_eq!(lab.packets[0], b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nConnection: close\r\n\r\n");
    assert_eq!(lab.packets[1], b"data: a\n");
    lab.service("1\r\n\n\r\n");
    assert_eq!(
        (lab.packets[2].as_slice(), lab.exchange.deadline()),
        (&b"\n"[..], None)
    );
    lab.service("0\r\n\r\n");
    assert_eq!((lab.packets.len(), lab.finished), (3, Some((true, true))));
    let mut lab = answered(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: a\n\n",
    );
    assert_eq!((lab.packets.len(), lab.finished), (2, Some((true, true))));
    assert!(!lab.answer().contains("Length"));
}

#[test]
fn no_piece_of_an_event_is_taken_for_the_end() {
    let mut lab = answered("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1");
    lab.service("0\n\n");
    assert_eq!(
        lab.packets[2], b"0\n\n:\n",
        "a comment keeps it from looking like the end"
    );
    lab.service("0");
    assert_eq!(lab.packets.len(), 3, "no line is whole yet");
    lab.service(" \r");
    lab.service("x\n");
    assert_eq!(lab.packets[3], b"0 \rx\n");
    assert!(lab.packets.iter().all(|packet| packet.trim_ascii() != b"0"));
}

#[test]
fn large_answers_are_few_packets() {
    for length in [10_usize, 3 << 20, 100 << 20] {
        let mut lab = Lab::listener();
        lab.packet_bytes = 16 * 1024;
        lab.user(get("/", "")).service(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ));
        let mut left = length;
        while left > 0 {
            let piece = left.min(60_000);
            lab.service(vec![b'x'; piece]);
            left -= piece;
        }
        assert!(
            lab.packets.len() <= 65,
            "{length}: {} packets",
            lab.packets.len()
        );
        assert!(
            lab.packets
                .iter()
                .all(|packet| packet.len() <= limits::WEB_PACKET_BYTES_MAX)
        );
        assert_eq!(parts(&lab.packets).1.len(), length);
        assert_eq!(lab.finished, Some((false, true)));
    }
}

#[test]
fn a_body_that_trickles_is_shown_in_time_and_in_few_packets() {
    let mut lab = answered("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for _ in 0..999 {
        lab.wait(Duration::from_millis(100)).service("x");
        let deadline = lab.exchange.deadline();
        assert!(deadline.is_none_or(|at| at <= lab.now + limits::WEB_TRICKLE_LAST));
    }
    lab.service("x");
    assert!(
        lab.packets.len() <= 100,
        "{} packets in 100 s",
        lab.packets.len()
    );
    assert_eq!(parts(&lab.packets).1.len(), 1000);
}

#[test]
fn a_flood_without_length_is_few_packets_too() {
    let mut lab = Lab::listener();
    lab.user(get("/", "")).service("HTTP/1.1 200 OK\r\n\r\n");
    for _ in 0..3200 {
        lab.wait(Duration::from_millis(1))
            .service(vec![b'x'; 64 * 1024]);
    }
    lab.service_ends(false);
    assert!(
        lab.packets.len() <= 100,
        "{} packets of 200 MiB",
        lab.packets.len()
    );
    assert_eq!(parts(&lab.packets).1.len(), 3200 * 64 * 1024);
}

#[test]
fn interim_answers_and_fields_of_a_connection_are_not_for_the_listener() {
    let lab = answered(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n\
         HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nTrailer: t\r\nAlt-Svc: h3\r\nContent-Length: 0\r\n\r\n",
    );
    let (head, _) = parts(&lab.packets);
    assert_eq!(head, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0");
}

#[test]
fn a_connection_that_may_be_somebodys_login_is_not_kept() {
    let negotiates = "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answered(negotiates).finished, Some((false, false)));
    let basic = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answered(basic).finished, Some((false, true)));
}

/// kubectl takes an answer without an honest end for a broken one.
#[test]
fn an_answer_of_a_cluster_is_waited_for_unless_it_is_followed() {
    let asks = |target: &str, seconds: u64| {
        let cluster = Wanted::of_texts(&[("KUBERNETES_BEARER_TOKEN", "t")], Cluster::of);
        let mut lab = Lab::listener();
        lab.site = cluster.expect("a token is enough").site;
        lab.user(get(target, ""));
        lab.service("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..seconds {
            lab.wait(Duration::from_secs(1)).service("2\r\nhi\r\n");
        }
        lab.service("0\r\n\r\n").answer().replace(' ', "")
    };
    let endless = format!("Content-Length:{}\r\n", limits::WEB_ENDLESS_BYTES);
    assert!(asks("/api/v1/pods?limit=500", 14).contains("Content-Length:28\r\n"));
    assert!(asks("/api/v1/pods?limit=500", 16).contains(&endless));
    assert!(asks("/api/v1/pods?watch=true", 2).contains(&endless));
}
