//! Frames that are wrong in themselves: which code, and whether stream or connection pays.

use super::*;

/// A world whose stream 1 is within a response.
fn world() -> World {
    let (mut world, _) = World::with_stream();
    world.feed(&response(1)).unwrap();
    world
}

fn check(cases: &[(&str, Vec<u8>, ErrorCode)]) {
    for (what, bytes, code) in cases {
        let mut world = world();
        assert_eq!(world.fails(bytes), *code, "{what}");
    }
}

#[test]
fn frames_of_a_wrong_size_end_the_connection() {
    let code = ErrorCode::FRAME_SIZE_ERROR;
    check(&[
        (
            "above the maximum",
            vec![0, 0x40, 1, 0, 0, 0, 0, 0, 1],
            code,
        ),
        (
            "HEADERS above the maximum",
            vec![0, 0x40, 1, 1, END_HEADERS, 0, 0, 0, 1],
            code,
        ),
        (
            "unknown above the maximum",
            vec![1, 0, 0, 0x99, 0, 0, 0, 0, 0],
            code,
        ),
        (
            "DATA without its padding length",
            frame(DATA, PADDED, 1, &[]),
            code,
        ),
        (
            "HEADERS without its padding length",
            frame(HEADERS, PADDED, 1, &[]),
            code,
        ),
        (
            "HEADERS without its priority",
            frame(HEADERS, 0x20, 1, &[0; 4]),
            code,
        ),
        (
            "PRIORITY of an idle stream",
            frame(PRIORITY, 0, 3, &[0; 4]),
            code,
        ),
        ("short RST_STREAM", frame(RST_STREAM, 0, 1, &[0; 3]), code),
        ("long RST_STREAM", frame(RST_STREAM, 0, 1, &[0; 5]), code),
        ("SETTINGS cut", frame(SETTINGS, 0, 0, &[0; 5]), code),
        (
            "SETTINGS answer with payload",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            code,
        ),
        ("short PING", frame(PING, 0, 0, &[0; 7]), code),
        ("long PING answer", frame(PING, ACK, 0, &[0; 9]), code),
        ("short GOAWAY", frame(GOAWAY, 0, 0, &[0; 7]), code),
        (
            "short WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            code,
        ),
        (
            "long WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 1, &[0; 5]),
            code,
        ),
    ]);
}

#[test]
fn a_frame_of_the_largest_size_is_taken() {
    let mut world = world();
    let content = vec![7; 16_384];
    let ping = frame(PING, 0, 0, &[1; 8]);
    let seen = world.feed(&[data(1, &content, false), ping].concat());
    assert_eq!(seen, Ok(vec![Seen::Data(1, content, false)]));
    assert_eq!(world.sent()[0].kind, PING);
}

#[test]
fn priority_of_a_wrong_size_costs_its_stream() {
    world().resets(&frame(PRIORITY, 0, 1, &[0; 4]), ErrorCode::FRAME_SIZE_ERROR);
}

#[test]
fn frames_with_a_wrong_stream_end_the_connection() {
    let code = ErrorCode::PROTOCOL_ERROR;
    check(&[
        ("DATA on 0", data(0, b"x", false), code),
        ("DATA on even", data(2, b"x", false), code),
        ("DATA on idle", data(3, b"x", false), code),
        ("HEADERS on 0", response(0), code),
        ("HEADERS on even", response(2), code),
        ("HEADERS on idle", response(3), code),
        ("PRIORITY on 0", frame(PRIORITY, 0, 0, &[0; 5]), code),
        ("RST_STREAM on 0", reset(0, ErrorCode::CANCEL), code),
        ("RST_STREAM on even", reset(2, ErrorCode::CANCEL), code),
        ("RST_STREAM on idle", reset(3, ErrorCode::CANCEL), code),
        ("SETTINGS on 1", frame(SETTINGS, 0, 1, &[]), code),
        ("SETTINGS answer on 1", frame(SETTINGS, ACK, 1, &[]), code),
        ("PING on 1", frame(PING, 0, 1, &[0; 8]), code),
        ("GOAWAY on 1", frame(GOAWAY, 0, 1, &[0; 8]), code),
        ("WINDOW_UPDATE on even", window_update(2, 1), code),
        ("WINDOW_UPDATE on idle", window_update(3, 1), code),
        (
            "CONTINUATION alone",
            frame(CONTINUATION, END_HEADERS, 1, &[]),
            code,
        ),
    ]);
}

#[test]
fn padding_longer_than_the_payload_ends_the_connection() {
    let code = ErrorCode::PROTOCOL_ERROR;
    check(&[
        ("DATA", frame(DATA, PADDED, 1, &[3, 0, 0]), code),
        (
            "DATA of the length alone",
            frame(DATA, PADDED, 1, &[1]),
            code,
        ),
        (
            "HEADERS",
            frame(HEADERS, PADDED | END_HEADERS, 1, &[3, 0, 0]),
            code,
        ),
    ]);
}

#[test]
fn header_block_is_not_interrupted() {
    let begun = frame(HEADERS, END_STREAM, 1, &block(&[("a", "b")]));
    for (what, other) in [
        ("DATA", data(1, b"x", false)),
        ("HEADERS", response(1)),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0; 5])),
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("unknown", frame(0x99, 0, 1, &[])),
        (
            "CONTINUATION of another",
            frame(CONTINUATION, END_HEADERS, 3, &[]),
        ),
    ] {
        let code = world().fails(&[begun.clone(), other].concat());
        assert_eq!(code, ErrorCode::PROTOCOL_ERROR, "{what}");
    }
}

#[test]
fn header_block_is_joined_from_continuations() {
    let whole = block(&[("grpc-status", "0"), ("grpc-message", "fine")]);
    let (a, rest) = whole.split_at(7);
    let (b, c) = rest.split_at(1);
    let bytes = [
        frame(HEADERS, END_STREAM, 1, a),
        frame(CONTINUATION, 0, 1, b),
        frame(CONTINUATION, 0, 1, &[]),
        frame(CONTINUATION, END_HEADERS, 1, c),
    ]
    .concat();
    let expected = Seen::Trailers(
        1,
        vec![
            ("grpc-status".to_owned(), "0".to_owned()),
            ("grpc-message".to_owned(), "fine".to_owned()),
        ],
    );
    assert_eq!(world().feed(&bytes), Ok(vec![expected]));
}

#[test]
fn continuation_without_an_open_block_ends_the_connection() {
    let more = frame(CONTINUATION, END_HEADERS, 1, &block(&[("a", "b")]));
    let begun = frame(HEADERS, 0, 1, &block(&[("a", "b")]));
    for (what, before) in [
        ("behind HEADERS with END_HEADERS", response(1)),
        (
            "behind a whole block",
            [begun.clone(), more.clone()].concat(),
        ),
        (
            "behind DATA",
            [response(1), data(1, b"content", false)].concat(),
        ),
    ] {
        let (mut world, _) = World::with_stream();
        let code = world.fails(&[before, more.clone()].concat());
        assert_eq!(code, ErrorCode::PROTOCOL_ERROR, "{what}");
    }
    let on_zero = frame(CONTINUATION, END_HEADERS, 0, &block(&[("a", "b")]));
    let code = world().fails(&[begun, on_zero].concat());
    assert_eq!(code, ErrorCode::PROTOCOL_ERROR);
}

#[test]
fn bad_header_block_ends_the_connection() {
    let bad = frame(HEADERS, END_HEADERS, 1, &[0x80]);
    assert_eq!(world().fails(&bad), ErrorCode::COMPRESSION_ERROR);
    let cut = frame(HEADERS, END_HEADERS, 1, &[0x40]);
    assert_eq!(world().fails(&cut), ErrorCode::COMPRESSION_ERROR);
}

#[test]
fn padding_and_priority_are_taken_off() {
    let mut payload = vec![2, 0, 0, 0, 0, 7];
    payload.extend(block(&[(":status", "200")]));
    payload.extend([0, 0]);
    let (mut world, _) = World::with_stream();
    let bytes = [
        frame(HEADERS, END_HEADERS | PADDED | 0x20, 1, &payload),
        frame(DATA, PADDED, 1, b"\x03content of it\0\0\0"),
        frame(DATA, PADDED | END_STREAM, 1, b"\x02end\0\0"),
    ]
    .concat();
    let seen = world.feed(&bytes).unwrap();
    assert_eq!(seen[1], Seen::Data(1, b"content of itend".to_vec(), true));
}

#[test]
fn unknown_frames_flags_and_settings_are_ignored() {
    let mut world = world();
    let bytes = [
        frame(0x0a, 0xff, 0, &[1; 300]),
        frame(0xff, 0, 77, &[]),
        frame(DATA, 0xf6, 1, b"0123456789abcdef"),
        frame(PRIORITY, 0xff, 9, &[0; 5]),
        settings(&[(0x99, 1), (8, 1)]),
    ]
    .concat();
    let content = Seen::Data(1, b"0123456789abcdef".to_vec(), false);
    assert_eq!(world.feed(&bytes), Ok(vec![content, Seen::Settings]));
}

#[test]
fn ping_is_answered_with_its_content() {
    let mut world = world();
    world.feed(&frame(PING, 0, 0, b"abcdefgh")).unwrap();
    let sent = world.sent();
    assert_eq!((sent[0].kind, sent[0].flags), (PING, ACK));
    assert_eq!(sent[0].payload, b"abcdefgh");
    world.feed(&frame(PING, ACK, 0, b"abcdefgh")).unwrap();
    assert!(world.sent().is_empty());
}

#[test]
fn malformed_responses_cost_their_stream() {
    for (what, fields) in [
        ("no status", &[("a", "b")][..]),
        ("second status", &[(":status", "200"), (":status", "200")]),
        ("status behind", &[("a", "b"), (":status", "200")]),
        ("request field", &[(":status", "200"), (":method", "GET")]),
        ("upper case", &[(":status", "200"), ("A", "b")]),
        ("no name", &[(":status", "200"), ("", "b")]),
        ("line break", &[(":status", "200"), ("a", "b\nc")]),
        ("connection", &[(":status", "200"), ("connection", "close")]),
    ] {
        let (mut world, _) = World::with_stream();
        world.resets(&headers(1, fields, false), ErrorCode::PROTOCOL_ERROR);
        assert_eq!(world.connection.streams_open(), 0, "{what}");
    }
}

#[test]
fn malformed_trailers_cost_their_stream() {
    let code = ErrorCode::PROTOCOL_ERROR;
    world().resets(&headers(1, &[("a", "b")], false), code);
    world().resets(&headers(1, &[(":status", "200")], true), code);
    world().resets(&headers(1, &[("", "b")], true), code);
}

#[test]
fn informational_responses_are_passed_over_within_a_bound() {
    let early = headers(1, &[(":status", "103"), ("link", "x")], false);
    let (mut world, _) = World::with_stream();
    assert_eq!(world.feed(&early.repeat(8)), Ok(vec![]));
    assert_eq!(world.feed(&response(1)).unwrap().len(), 1);
    let (mut world, _) = World::with_stream();
    world.resets(&early.repeat(9), ErrorCode::ENHANCE_YOUR_CALM);
    let (mut world, _) = World::with_stream();
    let ends = headers(1, &[(":status", "100")], true);
    world.resets(&ends, ErrorCode::PROTOCOL_ERROR);
    let (mut world, _) = World::with_stream();
    let upgrades = headers(1, &[(":status", "101")], false);
    world.resets(&upgrades, ErrorCode::PROTOCOL_ERROR);
}
