//! However bytes are cut, the same is said.

use proptest::prelude::*;

use super::*;

/// Pieces of requests that reach every state.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        Just("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"),
        Just(
            "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nvwxyz\r\n0\r\nT: v\r\n\r\n"
        ),
        Just("HEAD /d HTTP/1.1\r\nHost: h\r\nCookie: hoop_proxy_token=x; a=b\r\n\r\n"),
        Just("GET /e HTTP/1.0\r\n\r\n"),
        Just("\r\n"),
        Just("5\r\n"),
        Just("x"),
    ];
    let soup = proptest::collection::vec(piece, 1..6);
    soup.prop_map(|pieces| pieces.concat().into_bytes())
}

/// Pieces of answers.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        Just("HTTP/1.1 100 Continue\r\n\r\n"),
        Just("HTTP/1.1 204 No\r\n\r\n"),
        Just("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
        Just("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 0\n\n0\n"),
        Just("HTTP/1.1 200 OK\n\nuntil close"),
        Just("5\r\n"),
        Just("x"),
    ];
    let soup = proptest::collection::vec(piece, 1..4);
    soup.prop_map(|pieces| pieces.concat().into_bytes())
}

/// All that the service is sent by these pieces of a user, answered as soon as it has been asked.
fn asked(mut lab: Lab, pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    for piece in pieces {
        if lab.finished.is_some() {
            break;
        }
        lab.user(piece);
        while lab.finished.is_none() && lab.is_open() && lab.exchange.is_waiting() {
            let answered = lab.packets.len();
            lab.service("HTTP/1.1 204 No\r\n\r\n");
            if lab.packets.len() == answered {
                break;
            }
        }
    }
    (lab.sent.concat(), lab.packets.concat())
}

/// All that the user is told by these pieces of a service, and how it ends.
fn told(mut lab: Lab, pieces: &[&[u8]]) -> (Vec<u8>, Option<(bool, bool)>) {
    lab.user(get("/", ""));
    for piece in pieces {
        if lab.finished.is_none() && lab.is_open() {
            lab.service(piece);
        }
    }
    if lab.finished.is_none() && lab.is_open() {
        lab.service_ends(false);
    }
    (
        lab.packets.concat(),
        lab.finished.map(|(is_told, _)| (is_told, false)),
    )
}

fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect();
    places.sort_unstable();
    let (mut pieces, mut start) = (Vec::new(), 0);
    for place in places {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    pieces.push(&bytes[start..]);
    pieces
}

proptest! {
    /// Chunks of requests are written anew, and so depend on the cuts: compared is what they carry.
    #[test]
    fn a_service_is_asked_the_same(bytes in requests(), places in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let plain = |sent: &[u8]| {
            let text = String::from_utf8_lossy(sent).into_owned();
            let is_size = |line: &&str| !line.is_empty() && line.len() < 3 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            let lines: Vec<&str> = text.split("\r\n").filter(|line| !is_size(line)).collect();
            lines.concat()
        };
        let whole = asked(Lab::client(), &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        for pieces in [single, cut(&bytes, &places)] {
            let other = asked(Lab::client(), &pieces);
            prop_assert_eq!(plain(&other.0), plain(&whole.0));
        }
    }

    #[test]
    fn a_client_is_told_the_same(bytes in answers(), places in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = told(Lab::client(), &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        for pieces in [single, cut(&bytes, &places)] {
            let other = told(Lab::client(), &pieces);
            // What breaks off may have been seen before, or a page stands for it.
            let is_page = |told: &[u8]| told.starts_with(b"HTTP/1.1 502");
            if !is_page(&whole.0) && !is_page(&other.0) {
                prop_assert_eq!(&other, &whole);
            }
        }
    }

    /// The first packet is a whole head, and the lengths are true.
    #[test]
    fn the_listener_is_told_what_it_can_parse(bytes in answers(), places in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut lab = Lab::listener();
        lab.user(get("/", ""));
        for piece in cut(&bytes, &places) {
            if lab.finished.is_none() && lab.is_open() {
                lab.service(piece);
            }
        }
        if lab.finished.is_none() && lab.is_open() {
            lab.service_ends(false);
        }
        let Some((is_told, _)) = lab.finished else { return Ok(()) };
        let first = String::from_utf8_lossy(&lab.packets[0]).into_owned();
        let (head, _) = first.split_once("\r\n\r\n").expect("a whole head");
        prop_assert!(head.starts_with("HTTP/1.1 ") && !head.starts_with("HTTP/1.1 1"));
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length:"));
        let body = lab.packets.concat().len() - head.len() - 4;
        let told: Option<usize> = length.map(|length| length.trim().parse().unwrap());
        if !is_told {
            prop_assert_eq!(told.unwrap_or(0), body);
        }
        if head.contains("event-stream") {
            prop_assert_eq!(lab.packets[0].len(), head.len() + 4);
            let count = lab.packets.len();
            prop_assert!(lab.packets[1..count.max(2) - 1].iter().all(|packet| packet.trim_ascii() != b"0"));
        }
    }
}

/// The answer of this kind to this path, the bytes behind it that are none of it, and whether the service ends.
fn answer_to(path: &str, kind: u8) -> (String, &'static str, bool) {
    let length = path.len();
    let with = |fields: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
    let of_length = with(&format!("Content-Length: {length}\r\n"), path);
    match kind {
        0 => (of_length, "", false),
        1 => (
            of_length,
            "HTTP/1.1 200 EVIL\r\nContent-Length: 0\r\n\r\n",
            false,
        ),
        2 => (of_length, "", true),
        3 => {
            let chunks = format!("{length:x};x\r\n{path}\r\n0\r\nT: v\r\n\r\n");
            (with("Transfer-Encoding: chunked\r\n", &chunks), "", false)
        }
        4 => {
            let fields = format!("Connection: close\r\nContent-Length: {length}\r\n");
            (with(&fields, path), "EVIL", true)
        }
        _ => (with("", path), "", true),
    }
}

proptest! {
    /// Each request gets the answer to it, and nobody a byte of what was not asked for.
    #[test]
    fn answers_are_never_mixed(kinds in proptest::collection::vec(0..6u8, 1..6), size in 1..40usize) {
        let mut lab = Lab::client();
        let paths: Vec<String> = (0..kinds.len()).map(|number| format!("/path-{number}")).collect();
        let all: Vec<String> = paths.iter().map(|path| get(path, "")).collect();
        lab.user(all.concat());
        for (path, kind) in paths.iter().zip(&kinds) {
            let asked = String::from_utf8(lab.sent.last().unwrap().clone()).unwrap();
            let question = format!("GET {path} HTTP/1.1\r\nHost: app:3000\r\n\r\n");
            prop_assert!(asked.ends_with(&question), "{}", asked);
            let (answer, surplus, ends) = answer_to(path, *kind);
            let connection = lab.sent.len();
            let bytes = answer.as_bytes();
            let last = bytes.len().saturating_sub(size);
            for piece in bytes[..last].chunks(size) {
                lab.service(piece);
            }
            lab.service([&bytes[last..], surplus.as_bytes()].concat());
            // The next request may be on another connection by now.
            if ends && connection == lab.sent.len() && lab.is_open() && lab.finished.is_none() {
                lab.service_ends(false);
            }
            let told = lab.answer();
            prop_assert!(told.contains(path.as_str()) && !told.contains("EVIL"), "{}", told);
            let is_last = *kind == 5;
            prop_assert_eq!(lab.finished.is_some(), is_last);
            if is_last {
                break;
            }
        }
    }
}
