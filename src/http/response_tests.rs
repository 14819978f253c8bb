use super::response::INTERIM_MAX;
use super::*;
use proptest::prelude::*;

type Parts = (u16, Option<String>, Vec<u8>);

const HEAD_BYTES: usize = 64 * 1024;
const BODY_BYTES: usize = 4 * 1024 * 1024;
const BOUNDS: Bounds = Bounds {
    head: HeadBounds {
        bytes: HEAD_BYTES,
        fields: 64,
    },
    body_bytes: BODY_BYTES,
};

/// The outcome of feeding `pieces` and then closing, when the response did not end before.
fn read(pieces: &[&[u8]]) -> Result<Parts, HttpError> {
    let mut reader = ResponseReader::new(BOUNDS);
    for piece in pieces {
        reader.handle_bytes(piece)?;
    }
    if !reader.is_done() {
        reader.handle_close()?;
    }
    let response = reader.into_response();
    let header = response.header("x").map(str::to_owned);
    Ok((response.status, header, response.body))
}

fn body_of(text: &str) -> Result<String, HttpError> {
    read(&[text.as_bytes()]).map(|(_, _, body)| String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn each_way_to_delimit_a_body_is_understood() {
    for (text, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhixx", "hi"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
            "hi",
        ),
        ("HTTP/1.0 200 OK\r\n\r\nuntil close", "until close"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""),
        ("HTTP/1.1 200\nServer: x\n\nlf only", "lf only"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 1\r\n\r\n.",
            ".",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=\"y\"\r\nhi\r\n00A \r\n0123456789\r\n0\r\nT: v\r\n\r\n",
            "hi0123456789",
        ),
    ] {
        assert_eq!(body_of(text).as_deref(), Ok(body), "{text}");
    }
}

#[test]
fn each_breach_has_its_error() {
    for (text, error) in [
        ("", HttpError::NoAnswer),
        ("HTT", HttpError::Truncated),
        ("HTTP/2 200\r\n\r\n", HttpError::NotHttp),
        ("SSH-2.0-x\r\n", HttpError::NotHttp),
        ("\0\0", HttpError::NotHttp),
        ("\u{15}\u{3}\u{1}\0\u{2}\u{2}F", HttpError::Tls),
        ("HTTP/1.1 2x0 OK\r\n\r\n", HttpError::Malformed),
        ("HTTP/1.1 101 Switching\r\n\r\n", HttpError::Malformed),
        ("HTTP/1.1 200 OK\r\nbroken\r\n\r\n", HttpError::Malformed),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
            HttpError::Truncated,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
            HttpError::Truncated,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
            HttpError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
            HttpError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n",
            HttpError::BodyTooLarge(BODY_BYTES),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            HttpError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            HttpError::UnknownCoding,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            HttpError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
            HttpError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            HttpError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
            HttpError::Truncated,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            HttpError::Malformed,
        ),
    ] {
        assert_eq!(body_of(text).err(), Some(error), "{text}");
    }
}

#[test]
fn head_and_body_are_bounded() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(65));
    assert_eq!(body_of(&many).err(), Some(HttpError::HeadTooLarge));
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(HEAD_BYTES));
    assert_eq!(body_of(&long).err(), Some(HttpError::HeadTooLarge));
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "b".repeat(BODY_BYTES + 1));
    assert_eq!(
        body_of(&endless).err(),
        Some(HttpError::BodyTooLarge(BODY_BYTES))
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = format!("{chunked}{}", "2\r\nab\r\n".repeat(BODY_BYTES / 2 + 1));
    assert_eq!(
        body_of(&chunks).err(),
        Some(HttpError::BodyTooLarge(BODY_BYTES))
    );
    let trailers = format!("{chunked}0\r\n{}", "A: b\r\n".repeat(HEAD_BYTES));
    assert_eq!(body_of(&trailers).err(), Some(HttpError::Malformed));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIM_MAX + 1);
    assert_eq!(body_of(&interim).err(), Some(HttpError::Malformed));
}

/// Texts near enough to HTTP to reach every state.
fn near_http() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.1 100 Continue\r\n\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Content-Length: 5\r\n"),
        Just("\r\n"),
        Just("\n"),
        Just("5\r\nabcde\r\n"),
        Just("0\r\n"),
        Just("x: y\r\n"),
        Just("abcde"),
    ];
    let soup = proptest::collection::vec(piece, 0..12);
    soup.prop_map(|pieces| format!("HTTP/1.1 200 OK\r\n{}", pieces.concat()).into_bytes())
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_the_cuts(
        bytes in prop_oneof![near_http(), proptest::collection::vec(any::<u8>(), 0..200)],
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = read(&[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&read(&single), &whole);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut rest = bytes.as_slice();
        for place in places.iter().rev() {
            let (front, back) = rest.split_at(*place);
            pieces.push(back);
            rest = front;
        }
        pieces.push(rest);
        pieces.reverse();
        prop_assert_eq!(&read(&pieces), &whole);
    }
}
