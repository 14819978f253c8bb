//! Answers. `EVIL` is what no user may see: it belongs to no answer that anybody asked for.

/// What a user sees.
#[derive(PartialEq, Eq, Debug)]
pub enum Seen {
    /// This body, all of it.
    Whole(&'static str),
    /// A page of ours.
    Page,
    /// That something is missing; or a page, where nothing had been shown.
    Cut,
}

use Seen::{Cut, Page, Whole};

macro_rules! ok {
    ($($fields:literal),* ; $body:literal) => {
        concat!("HTTP/1.1 200 OK\r\n", $($fields, "\r\n",)* "\r\n", $body)
    };
}

macro_rules! chunked {
    ($body:literal) => {
        ok!("Transfer-Encoding: chunked"; $body)
    };
}

/// A name, the service's bytes, and what the user sees of them. A body of `ok` may leave the connection for
/// another request.
pub const TABLE: &[(&str, &str, Seen)] = &[
    ("a length", ok!("Content-Length: 2"; "ok"), Whole("ok")),
    (
        "chunks in order",
        chunked!("1\r\no\r\n1\r\nk\r\n0\r\n\r\n"),
        Whole("ok"),
    ),
    (
        "chunks with trailers",
        chunked!("2\r\nok\r\n0\r\nA: b\r\n\r\n"),
        Whole("ok"),
    ),
    (
        "until the end",
        ok!(; "until the end"),
        Whole("until the end"),
    ),
    (
        "more than the length",
        ok!("Content-Length: 2"; "hiHTTP/1.1 200 EVIL\r\n\r\n"),
        Whole("hi"),
    ),
    (
        "more than the chunks",
        chunked!("2\r\nhi\r\n0\r\n\r\nEVIL"),
        Whole("hi"),
    ),
    ("less than the length", ok!("Content-Length: 9"; "hi"), Cut),
    ("less than the chunks", chunked!("9\r\nhi"), Cut),
    ("no last chunk", chunked!("2\r\nhi\r\n"), Cut),
    (
        "two answers",
        concat!("HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 200 EVIL\r\n\r\n"),
        Whole(""),
    ),
    (
        "a body behind 204",
        "HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nEVIL",
        Whole(""),
    ),
    (
        "a body behind 304",
        "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n",
        Whole(""),
    ),
    (
        "two lengths",
        ok!("Content-Length: 2", "Content-Length: 6"; "hiEVIL"),
        Page,
    ),
    (
        "a list of lengths",
        ok!("Content-Length: 2, 6"; "hiEVIL"),
        Page,
    ),
    (
        "a list of one length",
        ok!("Content-Length: 2, 2"; "ok"),
        Whole("ok"),
    ),
    (
        "a length with a sign",
        ok!("Content-Length: +2"; "hi"),
        Page,
    ),
    (
        "a length in hexadecimal",
        ok!("Content-Length: 0x2"; "hi"),
        Page,
    ),
    (
        "a length that overflows",
        ok!("Content-Length: 18446744073709551618"; "hi"),
        Page,
    ),
    (
        "a length and chunks",
        ok!("Content-Length: 99", "Transfer-Encoding: chunked"; "2\r\nhi\r\n0\r\n\r\nEVIL"),
        Whole("hi"),
    ),
    (
        "a coding twice",
        ok!("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"; "2\r\nhi\r\n0\r\n\r\n"),
        Page,
    ),
    (
        "a coding that is none",
        ok!("Transfer-Encoding: identity"; "hi"),
        Page,
    ),
    (
        "a coding on top",
        ok!("Transfer-Encoding: gzip, chunked"; "2\r\nhi\r\n0\r\n\r\n"),
        Page,
    ),
    (
        "a coding with a blank before the colon",
        ok!("Transfer-Encoding : chunked"; "2\r\nhi\r\n0\r\n\r\n"),
        Page,
    ),
    (
        "a coding in HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nEVIL",
        Whole("hi"),
    ),
    (
        "a coding behind a fold",
        ok!("Transfer-Encoding:", " chunked"; "2\r\nok\r\n0\r\n\r\n"),
        Whole("ok"),
    ),
    ("chunks that end with LF", chunked!("2\nhi\n0\n\n"), Cut),
    (
        "a chunk of another size",
        chunked!("2\r\nhixx0\r\n\r\nEVIL"),
        Cut,
    ),
    ("a size with 0x", chunked!("0x2\r\nhi\r\n0\r\n\r\n"), Cut),
    (
        "an extension with LF",
        chunked!("2;\nEVIL\r\n0\r\n\r\n"),
        Cut,
    ),
    (
        "a size that overflows",
        chunked!("ffffffffffffffff\r\nhi\r\n0\r\n\r\n"),
        Cut,
    ),
    (
        "a line break within a value",
        ok!("X: a\rSet-Cookie: EVIL", "Content-Length: 2"; "hi"),
        Page,
    ),
    (
        "NUL within a value",
        ok!("X: a\0EVIL", "Content-Length: 2"; "hi"),
        Page,
    ),
    (
        "a field without a name",
        ok!(": EVIL", "Content-Length: 2"; "hi"),
        Page,
    ),
    (
        "lines that end with LF",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        Whole("ok"),
    ),
    (
        "a fold as the first field",
        "HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nhi",
        Page,
    ),
    ("no status", "HTTP/1.1 OK\r\n\r\nEVIL", Page),
    ("a status of two digits", "HTTP/1.1 20 OK\r\n\r\nEVIL", Page),
    (
        "a status of four digits",
        "HTTP/1.1 2000 OK\r\n\r\nEVIL",
        Page,
    ),
    ("another version", "HTTP/2.0 200 OK\r\n\r\nEVIL", Page),
    ("HTTP/0.9", "<html>EVIL", Page),
    (
        "a switch that nobody asked for",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nEVIL",
        Page,
    ),
    (
        "interim answers first",
        concat!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n",
            ok!("Content-Length: 2"; "ok")
        ),
        Whole("ok"),
    ),
    (
        "an interim answer with a length",
        concat!(
            "HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\n",
            ok!("Content-Length: 2"; "ok")
        ),
        Whole("ok"),
    ),
    (
        "an interim answer and no other",
        "HTTP/1.1 100 Continue\r\n\r\n",
        Page,
    ),
    ("nothing", "", Page),
    ("half a head", "HTTP/1.1 200 OK\r\nX: EVIL", Page),
];
