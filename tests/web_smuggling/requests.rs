//! Requests. `/evil` stands where somebody wants to be read as a request of his own.

use super::Fate::{self, Asked, AskedThenRefused, Refused};

macro_rules! get {
    ($($fields:literal),*) => {
        concat!("GET /a HTTP/1.1\r\nHost: h\r\n", $($fields, "\r\n",)* "\r\n")
    };
}

macro_rules! post {
    ($($fields:literal),* ; $body:literal) => {
        concat!("POST /a HTTP/1.1\r\nHost: h\r\n", $($fields, "\r\n",)* "\r\n", $body)
    };
}

macro_rules! chunked {
    ($body:literal) => {
        post!("Transfer-Encoding: chunked"; $body)
    };
}

const ONE: Fate = Asked(&["/a"]);
const TWO: Fate = Asked(&["/a", "/evil"]);
const BAD: Fate = Refused(400);
const BROKEN: Fate = Refused(400);

/// A name, the user's bytes, and what becomes of them.
pub const TABLE: &[(&str, &str, Fate)] = &[
    // Two lengths, and lengths that are none.
    (
        "CL.CL, differing",
        post!("Content-Length: 0", "Content-Length: 30"; "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"),
        BAD,
    ),
    (
        "CL.CL, the same",
        post!("Content-Length: 2", "Content-Length: 2"; "hi"),
        ONE,
    ),
    (
        "CL list, differing",
        post!("Content-Length: 0, 30"; "GET /evil HTTP/1.1\r\n\r\n"),
        BAD,
    ),
    (
        "CL list, the same",
        post!("Content-Length: 2, 2"; "hi"),
        ONE,
    ),
    ("CL with a sign", post!("Content-Length: +2"; "hi"), BAD),
    ("CL negative", post!("Content-Length: -2"; "hi"), BAD),
    ("CL hexadecimal", post!("Content-Length: 0x2"; "hi"), BAD),
    (
        "CL octal is decimal",
        post!("Content-Length: 002"; "hi"),
        ONE,
    ),
    ("CL empty", post!("Content-Length:"; "hi"), BAD),
    (
        "CL with a fraction",
        post!("Content-Length: 2.0"; "hi"),
        BAD,
    ),
    (
        "CL with a blank within",
        post!("Content-Length: 2 0"; "hi"),
        BAD,
    ),
    (
        "CL with an underscore",
        post!("Content-Length: 1_0"; "hi"),
        BAD,
    ),
    (
        "CL that overflows 64 bits",
        post!("Content-Length: 18446744073709551618"; "hi"),
        BAD,
    ),
    (
        "CL that overflows 63 bits",
        post!("Content-Length: 9223372036854775808"; "hi"),
        BAD,
    ),
    ("CL by another name", post!("Content_Length: 2"; ""), ONE),
    ("CL with a tab", post!("Content-Length:\t2"; "hi"), ONE),
    (
        "CL with a vertical tab",
        post!("Content-Length:\x0b2"; "hi"),
        BAD,
    ),
    (
        "CL in wide digits",
        post!("Content-Length: \u{ff12}"; "hi"),
        BAD,
    ),
    ("GET with a body", post!("Content-Length: 2"; "hi"), ONE),
    (
        "a request behind a body",
        post!("Content-Length: 2"; "hiGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"),
        TWO,
    ),
    (
        "a request within a body",
        post!("Content-Length: 31"; "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n\r\n"),
        ONE,
    ),
    (
        "no length: what follows is a request (CL.0)",
        concat!(post!(; ""), "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"),
        TWO,
    ),
    // A coding and a length, and codings that are none.
    (
        "CL.TE",
        post!("Content-Length: 6", "Transfer-Encoding: chunked"; "0\r\n\r\nG"),
        BAD,
    ),
    (
        "TE.CL",
        post!("Transfer-Encoding: chunked", "Content-Length: 3"; "1\r\na\r\n0\r\n\r\n"),
        BAD,
    ),
    (
        "TE in capitals",
        post!("TRANSFER-ENCODING: CHUNKED"; "0\r\n\r\n"),
        ONE,
    ),
    (
        "TE twice",
        post!("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE list",
        post!("Transfer-Encoding: chunked, chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE identity last",
        post!("Transfer-Encoding: chunked, identity"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE identity first",
        post!("Transfer-Encoding: identity, chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE unknown",
        post!("Transfer-Encoding: xchunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE gzip",
        post!("Transfer-Encoding: gzip"; "0\r\n\r\n"),
        BAD,
    ),
    ("TE empty", post!("Transfer-Encoding:"; "0\r\n\r\n"), BAD),
    (
        "TE with a parameter",
        post!("Transfer-Encoding: chunked;q=1"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE in quotes",
        post!("Transfer-Encoding: \"chunked\""; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE with a blank before the colon",
        post!("Transfer-Encoding : chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE with a tab before the colon",
        post!("Transfer-Encoding\t: chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE with a tab behind it",
        post!("Transfer-Encoding:\tchunked\t"; "0\r\n\r\n"),
        ONE,
    ),
    (
        "TE with a vertical tab",
        post!("Transfer-Encoding:\x0bchunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE with a form feed",
        post!("Transfer-Encoding:\x0cchunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE with NUL",
        post!("Transfer-Encoding: chunked\0"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE with a no-break space",
        post!("Transfer-Encoding: \u{a0}chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE behind a fold",
        post!("Transfer-Encoding:", " chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE indented",
        post!("X: y", " Transfer-Encoding: chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE by another name",
        post!("Transfer_Encoding: chunked", "Content-Length: 0"; ""),
        ONE,
    ),
    (
        "TE named in Connection",
        post!("Connection: Transfer-Encoding", "Transfer-Encoding: chunked"; "2\r\nhi\r\n0\r\n\r\n"),
        ONE,
    ),
    (
        "CL named in Connection",
        post!("Connection: Content-Length", "Content-Length: 2"; "hi"),
        ONE,
    ),
    (
        "TE in HTTP/1.0",
        "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        "TE behind a bare CR",
        post!("X: y\rTransfer-Encoding: chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE behind a bare LF",
        post!("X: y\nTransfer-Encoding: chunked"; "0\r\n\r\n"),
        BAD,
    ),
    (
        "TE with a colon twice",
        post!("Transfer-Encoding:: chunked"; "0\r\n\r\n"),
        BAD,
    ),
    // Chunks.
    ("chunks", chunked!("2\r\nhi\r\n0\r\n\r\n"), ONE),
    (
        "chunks and a request",
        chunked!("2\r\nhi\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"),
        TWO,
    ),
    (
        "an extension goes no further",
        chunked!("2;a=b\r\nhi\r\n0;c\r\n\r\n"),
        ONE,
    ),
    (
        "an extension with LF (TERM.EXT)",
        chunked!("2;\nxx\r\n40\r\n0\r\n\r\n"),
        BROKEN,
    ),
    (
        "an extension with CR (EXT.TERM)",
        chunked!("2;\rxx\r\nhi\r\n0\r\n\r\n"),
        BROKEN,
    ),
    (
        "a size that ends with LF",
        chunked!("2\nhi\r\n0\r\n\r\n"),
        BROKEN,
    ),
    (
        "a chunk that ends with LF",
        chunked!("2\r\nhi\n0\r\n\r\n"),
        BROKEN,
    ),
    (
        "a chunk that ends with two bytes (SPILL)",
        chunked!("2\r\nhiXX0\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"),
        BROKEN,
    ),
    (
        "a chunk that is longer",
        chunked!("2\r\nhii\r\n0\r\n\r\n"),
        BROKEN,
    ),
    ("a size with 0x", chunked!("0x2\r\nhi\r\n0\r\n\r\n"), BROKEN),
    (
        "a size with a sign",
        chunked!("+2\r\nhi\r\n0\r\n\r\n"),
        BROKEN,
    ),
    ("a negative size", chunked!("-2\r\nhi\r\n0\r\n\r\n"), BROKEN),
    (
        "a size with a blank before",
        chunked!(" 2\r\nhi\r\n0\r\n\r\n"),
        BROKEN,
    ),
    (
        "a size with a blank behind",
        chunked!("2 \r\nhi\r\n0\r\n\r\n"),
        ONE,
    ),
    (
        "a size with an underscore",
        chunked!("0_2\r\nhi\r\n0\r\n\r\n"),
        BROKEN,
    ),
    ("an empty size", chunked!("\r\nhi\r\n0\r\n\r\n"), BROKEN),
    (
        "a size that overflows",
        chunked!("10000000000000002\r\nhi\r\n0\r\n\r\n"),
        BROKEN,
    ),
    (
        "a size of 64 bits",
        chunked!("ffffffffffffffff\r\nhi\r\n0\r\n\r\n"),
        BROKEN,
    ),
    (
        "a size with zeros",
        chunked!("0000000000000002\r\nhi\r\n0\r\n\r\n"),
        ONE,
    ),
    (
        "a last chunk of zeros",
        chunked!("2\r\nhi\r\n00\r\n\r\n"),
        ONE,
    ),
    (
        "trailers go no further",
        chunked!("0\r\nX-Key: evil\r\nContent-Length: 9\r\n\r\n"),
        ONE,
    ),
    (
        "a broken trailer",
        chunked!("0\r\nGET /evil HTTP/1.1\r\n\r\n"),
        BROKEN,
    ),
    ("a trailer with LF", chunked!("0\r\nX: y\n\r\n"), BROKEN),
    (
        "no last line",
        chunked!("0\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"),
        BROKEN,
    ),
    // Lines.
    (
        "a bare LF behind the request line",
        "GET /a HTTP/1.1\nHost: h\r\n\r\n",
        BAD,
    ),
    ("bare LFs throughout", "GET /a HTTP/1.1\nHost: h\n\n", BAD),
    (
        "an empty line with LF",
        "GET /a HTTP/1.1\r\nHost: h\r\n\n",
        BAD,
    ),
    ("a bare CR in a value", get!("X: a\rY: b"), BAD),
    ("CR CR LF", "GET /a HTTP/1.1\r\r\nHost: h\r\n\r\n", BAD),
    ("a fold", get!("X: a", " b"), BAD),
    (
        "a fold behind the request line",
        "GET /a HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n",
        BAD,
    ),
    ("NUL in a value", get!("X: a\0b"), BAD),
    ("NUL in a name", get!("X\0: a"), BAD),
    ("a blank in a name", get!("X Y: a"), BAD),
    ("no name", get!(": a"), BAD),
    ("no colon", get!("X"), BAD),
    ("brackets in a name", get!("X(: a"), BAD),
    ("a name in UTF-8", get!("\u{e4}: a"), BAD),
    (
        "a request in front of a name",
        get!("GET /evil HTTP/1.1\r\nX: a"),
        BAD,
    ),
    ("empty lines before", concat!("\r\n\r\n", get!()), ONE),
    ("an empty line with LF before", concat!("\n", get!()), BAD),
    // Request lines.
    ("two blanks", "GET  /a HTTP/1.1\r\nHost: h\r\n\r\n", BAD),
    ("a tab", "GET\t/a HTTP/1.1\r\nHost: h\r\n\r\n", BAD),
    ("a blank before", " GET /a HTTP/1.1\r\nHost: h\r\n\r\n", BAD),
    ("a blank behind", "GET /a HTTP/1.1 \r\nHost: h\r\n\r\n", BAD),
    (
        "a blank in the target",
        "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        BAD,
    ),
    (
        "two versions",
        "GET /a HTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n",
        BAD,
    ),
    ("no version", "GET /a\r\nHost: h\r\n\r\n", BAD),
    ("a long version", "GET /a HTTP/1.10\r\nHost: h\r\n\r\n", BAD),
    (
        "a version in small letters",
        "GET /a http/1.1\r\nHost: h\r\n\r\n",
        BAD,
    ),
    (
        "a method with a colon",
        "GET: /a HTTP/1.1\r\nHost: h\r\n\r\n",
        BAD,
    ),
    (
        "a target that is none",
        "GET a HTTP/1.1\r\nHost: h\r\n\r\n",
        BAD,
    ),
    (
        "a target with NUL",
        "GET /a\0 HTTP/1.1\r\nHost: h\r\n\r\n",
        BAD,
    ),
    (
        "a request in the target",
        "GET /a%20HTTP/1.1%0d%0aX: HTTP/1.1\r\nHost: h\r\n\r\n",
        Asked(&["/a%20HTTP/1.1%0d%0aX:"]),
    ),
    (
        "encoded line breaks stay encoded",
        "GET /a%0d%0aX:%20y HTTP/1.1\r\nHost: h\r\n\r\n",
        Asked(&["/a%0d%0aX:%20y"]),
    ),
    (
        "an absolute target",
        "GET http://evil/a HTTP/1.1\r\nHost: h\r\n\r\n",
        ONE,
    ),
    (
        "an absolute target with a user",
        "GET http://app:3000@evil/a HTTP/1.1\r\nHost: h\r\n\r\n",
        ONE,
    ),
    (
        "CONNECT",
        "CONNECT evil:80 HTTP/1.1\r\nHost: h\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        Refused(405),
    ),
    (
        "the preface of HTTP/2",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Refused(505),
    ),
    (
        "TRACE",
        "TRACE /a HTTP/1.1\r\nHost: h\r\n\r\n",
        Refused(405),
    ),
    // Hosts.
    ("no Host", "GET /a HTTP/1.1\r\n\r\n", BAD),
    ("two Hosts", get!("Host: evil"), BAD),
    ("another Host", "GET /a HTTP/1.1\r\nHost: evil\r\n\r\n", ONE),
    ("an empty Host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", ONE),
    (
        "a Host with a blank before the colon",
        "GET /a HTTP/1.1\r\nHost : h\r\n\r\n",
        BAD,
    ),
    // Headers of ours.
    ("our header from the user", get!("X-Key: evil"), ONE),
    ("our header with an underscore", get!("X_Key: evil"), ONE),
    (
        "our header in other letters",
        get!("x-KEY: evil", "X-key: evil"),
        ONE,
    ),
    (
        "our header named in Connection",
        get!("Connection: X-Key"),
        ONE,
    ),
    (
        "our header in a list of Connection",
        get!("Connection: close, x-key, Host"),
        ONE,
    ),
    ("Host named in Connection", get!("Connection: host"), ONE),
    // Switches.
    (
        "h2c",
        concat!(
            get!(
                "Connection: Upgrade, HTTP2-Settings",
                "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
            ),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        ),
        AskedThenRefused(&["/a"], 505),
    ),
    (
        "a switch that is refused",
        concat!(
            get!("Connection: Upgrade", "Upgrade: websocket"),
            "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
        ),
        TWO,
    ),
    (
        "Upgrade without Connection",
        get!("Upgrade: websocket"),
        ONE,
    ),
    (
        "two Upgrades",
        get!("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
        BAD,
    ),
    (
        "Expect with a body",
        post!("Expect: 100-continue", "Content-Length: 2"; "hi"),
        ONE,
    ),
    (
        "Expect something else",
        post!("Expect: 100-continue-evil", "Content-Length: 2"; "hi"),
        ONE,
    ),
    (
        "obfuscated Expect",
        post!("Expect: y 100-continue", "Content-Length: 2"; "hi"),
        ONE,
    ),
];
