use super::*;
use crate::limits::H2_STREAMS_MAX;

#[test]
fn opening_is_preface_settings_and_credit() {
    let mut connection = Connection::new(&LOCAL);
    let output = connection.control_output();
    let (preface, rest) = output.filled().split_at(24);
    assert_eq!(preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let expected = settings(&[(1, 4096), (2, 0), (3, 0), (4, 100_000), (6, 16_384)]);
    assert_eq!(
        rest,
        [expected, window_update(0, 200_000 - 65_535)].concat()
    );
}

#[test]
fn peer_settings_are_answered_and_reported() {
    let mut world = World::silent();
    assert_eq!(world.feed(&settings(&[(3, 100)])), Ok(vec![Seen::Settings]));
    let answer = Sent {
        kind: SETTINGS,
        flags: ACK,
        stream: 0,
        payload: vec![],
    };
    assert_eq!(world.sent(), [answer]);
}

#[test]
fn first_frame_must_be_settings() {
    let ping = frame(PING, 0, 0, &[0; 8]);
    assert_eq!(World::silent().fails(&ping), ErrorCode::PROTOCOL_ERROR);
    let ack = frame(SETTINGS, ACK, 0, &[]);
    assert_eq!(World::silent().fails(&ack), ErrorCode::PROTOCOL_ERROR);
}

#[test]
fn http_1_answer_is_named() {
    let mut world = World::silent();
    let error = world.feed(b"HTTP/1.1 400 Bad Request\r\n").unwrap_err();
    assert_eq!(error.code, ErrorCode::PROTOCOL_ERROR);
    assert!(error.detail.contains("HTTP/1"), "{error}");
}

#[test]
fn request_is_one_headers_frame() {
    let mut world = World::new();
    let stream = world.connection.open_stream(REQUEST, false).unwrap();
    assert_eq!(stream.get(), 1);
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].kind, sent[0].flags, sent[0].stream),
        (HEADERS, END_HEADERS, 1)
    );
    assert_eq!(sent[0].payload[..2], [0x83, 0x87]);
    let stream = world.connection.open_stream(REQUEST, true).unwrap();
    assert_eq!(stream.get(), 3);
    assert_eq!(world.sent()[0].flags, END_HEADERS | END_STREAM);
}

#[test]
fn long_header_block_is_split_into_continuations() {
    let mut world = World::new();
    let long = vec![b'v'; 40_000];
    let fields: &[(&str, &[u8])] = &[(":method", b"POST"), ("x-long", &long)];
    world.connection.open_stream(fields, true).unwrap();
    let sent = world.sent();
    let heads: Vec<(u8, u8, usize)> = sent
        .iter()
        .map(|f| (f.kind, f.flags, f.payload.len()))
        .collect();
    let whole = sent.iter().map(|f| f.payload.len()).sum::<usize>();
    assert_eq!(
        heads,
        [
            (HEADERS, END_STREAM, 16_384),
            (CONTINUATION, 0, 16_384),
            (CONTINUATION, END_HEADERS, whole - 32_768),
        ]
    );
}

#[test]
fn shrunken_header_table_is_acknowledged_once() {
    let mut world = World::with(&[(1, 0)]);
    let mut first_byte = || {
        world.connection.open_stream(REQUEST, true).unwrap();
        world.sent()[0].payload[0]
    };
    assert_eq!((first_byte(), first_byte()), (0x20, 0x83));
}

#[test]
fn max_concurrent_streams_of_the_peer_is_kept() {
    let mut world = World::with(&[(3, 1)]);
    let stream = world.open();
    let open = |world: &mut World| world.connection.open_stream(REQUEST, true);
    assert_eq!(open(&mut world), Err(OpenError::TooManyStreams));
    world.connection.reset(stream, ErrorCode::CANCEL);
    assert_eq!(open(&mut world).map(StreamId::get), Ok(3));
    world.feed(&settings(&[(3, 0)])).unwrap();
    assert_eq!(open(&mut world), Err(OpenError::TooManyStreams));
}

#[test]
fn own_bound_of_streams_is_kept() {
    let mut world = World::new();
    for _ in 0..H2_STREAMS_MAX {
        world.open();
    }
    let open = world.connection.open_stream(REQUEST, true);
    assert_eq!(open, Err(OpenError::TooManyStreams));
}

#[test]
fn used_up_stream_numbers_are_told() {
    let mut world = World::new();
    world.connection.set_next_stream(0x7fff_ffff);
    assert_eq!(world.open().get(), 0x7fff_ffff);
    let open = world.connection.open_stream(REQUEST, true);
    assert_eq!(open, Err(OpenError::NumbersExhausted));
}

#[test]
fn unary_call_runs_from_request_to_trailers() {
    let (mut world, stream) = World::with_stream();
    let mut head = [0; 9];
    world.connection.write_data_head(stream, 5, true, &mut head);
    assert_eq!(
        read_frames(&[&head[..], b"hello"].concat())[0].flags,
        END_STREAM
    );
    assert_eq!(world.connection.send_room(stream), 0);
    let answer = [
        headers(
            1,
            &[(":status", "200"), ("content-type", "application/grpc")],
            false,
        ),
        data(1, b"answer", false),
        headers(1, &[("grpc-status", "0")], true),
    ]
    .concat();
    let text = |s: &str| s.to_owned();
    let fields = vec![
        (text(":status"), text("200")),
        (text("content-type"), text("application/grpc")),
    ];
    assert_eq!(
        world.feed(&answer),
        Ok(vec![
            Seen::Headers(1, fields, false),
            Seen::Data(1, b"answer".to_vec(), false),
            Seen::Trailers(1, vec![(text("grpc-status"), text("0"))]),
        ])
    );
    assert_eq!(world.connection.streams_open(), 0);
}

#[test]
fn nothing_is_opened_after_our_own_go_away() {
    let (mut world, stream) = World::with_stream();
    world.connection.go_away(ErrorCode::NO_ERROR, b"bye");
    let sent = world.sent();
    assert_eq!((sent[0].kind, &sent[0].payload[8..]), (GOAWAY, &b"bye"[..]));
    let open = world.connection.open_stream(REQUEST, true);
    assert_eq!(open, Err(OpenError::GoingAway));
    // What is open goes on.
    assert!(world.connection.send_room(stream) > 0);
    let seen = world.feed(&[response(1), data(1, b"x", true)].concat());
    assert_eq!(seen.unwrap().len(), 2);
}
