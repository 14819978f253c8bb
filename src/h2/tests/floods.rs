//! One test for each class of known attacks on HTTP/2 endpoints that a client can meet.

use super::*;
use crate::limits::*;

const CALM: ErrorCode = ErrorCode::ENHANCE_YOUR_CALM;

/// A world within a response, after the free frames that its making took.
fn world() -> World {
    let (mut world, _) = World::with_stream();
    world.feed(&response(1)).unwrap();
    world.pass(Duration::from_secs(2));
    world
}

/// The frame may come as often as is free, again in the next second, and then once too often.
fn check_budget(bytes: &[u8]) {
    let mut world = world();
    for _ in 0..2 {
        for _ in 0..H2_NUISANCES_PER_SECOND_MAX {
            world.feed(bytes).unwrap();
            world.sent();
        }
        world.pass(Duration::from_secs(1));
    }
    for _ in 0..H2_NUISANCES_PER_SECOND_MAX {
        world.feed(bytes).unwrap();
        world.sent();
    }
    assert_eq!(world.fails(bytes), CALM);
}

#[test]
fn cve_2019_9512_ping_flood_is_cut_off() {
    check_budget(&frame(PING, 0, 0, &[0; 8]));
    check_budget(&frame(PING, ACK, 0, &[0; 8]));
}

#[test]
fn cve_2019_9515_settings_flood_is_cut_off() {
    check_budget(&settings(&[]));
    check_budget(&frame(SETTINGS, ACK, 0, &[]));
}

#[test]
fn cve_2019_9514_reset_flood_is_cut_off() {
    let mut world = world();
    world.feed(&reset(1, ErrorCode::CANCEL)).unwrap();
    for _ in 1..H2_NUISANCES_PER_SECOND_MAX {
        world.feed(&reset(1, ErrorCode::CANCEL)).unwrap();
    }
    assert_eq!(world.fails(&reset(1, ErrorCode::CANCEL)), CALM);
}

#[test]
fn cve_2019_9518_empty_and_tiny_data_is_cut_off() {
    check_budget(&data(1, b"", false));
    check_budget(&data(1, b"x", false));
    // Padding makes a frame no larger.
    check_budget(&frame(DATA, PADDED, 1, &[&[100][..], &[0; 100]].concat()));
}

#[test]
fn window_update_flood_is_cut_off() {
    check_budget(&window_update(0, 1));
    check_budget(&window_update(1, 1));
}

#[test]
fn unknown_and_priority_floods_are_cut_off() {
    check_budget(&frame(0x99, 0, 0, &[]));
    check_budget(&frame(PRIORITY, 0, 1, &[0; 5]));
    check_budget(&go_away(1, ErrorCode::NO_ERROR, b""));
}

#[test]
fn floods_for_reset_streams_are_cut_off() {
    for bytes in [
        data(1, b"", false),
        response(1),
        frame(PRIORITY, 0, 1, &[0; 5]),
    ] {
        let mut world = world();
        world.connection.reset(StreamId(1), ErrorCode::CANCEL);
        for _ in 0..H2_NUISANCES_PER_SECOND_MAX {
            world.feed(&bytes).unwrap();
        }
        assert_eq!(world.fails(&bytes), CALM);
    }
}

#[test]
fn traffic_earns_the_frames_that_come_with_it() {
    // As grpc-go does with bulk data: for each DATA frame two WINDOW_UPDATEs and a PING.
    let mut world = world();
    for _ in 0..5_000 {
        let mut head = [0; 9];
        world
            .connection
            .write_data_head(StreamId(1), 16_384, false, &mut head);
        let answer = [
            window_update(0, 16_384),
            window_update(1, 16_384),
            frame(PING, 0, 0, &[0; 8]),
        ]
        .concat();
        world.feed(&answer).unwrap();
        assert_eq!(world.sent().len(), 1);
    }
    // A message with a tiny tail in a frame of its own, again and again.
    for _ in 0..5_000 {
        world.connection.grant(StreamId(1), 1_001);
        world.sent();
        world.feed(&data(1, &[0; 1_000], false)).unwrap();
        world.feed(&data(1, &[0; 1], false)).unwrap();
    }
}

#[test]
fn earned_frames_are_bounded() {
    let mut world = world();
    world.feed(&settings(&[(4, 0x7fff_ffff)])).unwrap();
    world.feed(&window_update(0, 0x7000_0000)).unwrap();
    for _ in 0..H2_NUISANCES_EARNED_MAX {
        let mut head = [0; 9];
        world
            .connection
            .write_data_head(StreamId(1), 16, false, &mut head);
    }
    for _ in 0..H2_NUISANCES_EARNED_MAX + H2_NUISANCES_PER_SECOND_MAX - 2 {
        world.feed(&frame(PING, ACK, 0, &[0; 8])).unwrap();
    }
    assert_eq!(world.fails(&frame(PING, ACK, 0, &[0; 8])), CALM);
}

#[test]
fn cve_2019_9511_window_dribbled_by_the_byte_is_cut_off() {
    let mut world = World::with(&[(4, 0)]);
    let stream = world.open();
    world.pass(Duration::from_secs(2));
    for _ in 0..H2_NUISANCES_PER_SECOND_MAX {
        world.feed(&window_update(1, 1)).unwrap();
        assert_eq!(world.connection.send_room(stream), 1);
        let mut head = [0; 9];
        world
            .connection
            .write_data_head(stream, 1, false, &mut head);
    }
    assert_eq!(world.fails(&window_update(1, 1)), CALM);
}

#[test]
fn unread_answers_are_bounded_in_number_and_memory() {
    // The peer asks and does not read: our output stays.
    let mut world = world();
    for bytes in [frame(PING, 0, 0, &[0; 8]), settings(&[])] {
        let mut count = 0;
        let error = loop {
            count += 1;
            if let Err(error) = world.feed(&bytes) {
                break error;
            }
            let len = world.connection.control_output().len();
            assert!(len <= H2_CONTROL_BYTES_HIGH + 17 * H2_ACKS_MAX);
            if count % 100 == 0 {
                world.pass(Duration::from_secs(1));
            }
        };
        assert_eq!(error.code, CALM);
        world = self::world();
    }
}

#[test]
fn peer_provokes_no_more_resets_than_we_have_streams() {
    let mut world = World::new();
    for round in 0..10 {
        for _ in 0..H2_STREAMS_MAX {
            world.open();
        }
        let base = round * u32::try_from(H2_STREAMS_MAX).unwrap() * 2;
        for id in (base + 1..).step_by(2).take(H2_STREAMS_MAX) {
            let seen = world.feed(&window_update(id, 0)).unwrap();
            assert_eq!(
                seen,
                [Seen::Reset(id, ErrorCode::PROTOCOL_ERROR, Initiator::Us)]
            );
            assert_eq!(world.feed(&window_update(id, 0)), Ok(vec![]));
        }
        let resets = world.sent().iter().filter(|f| f.kind == RST_STREAM).count();
        assert_eq!(resets, H2_STREAMS_MAX);
        world.pass(Duration::from_secs(1));
    }
    assert!(world.connection.control_output().capacity() < 64 * 1024);
}

#[test]
fn cve_2023_45288_continuation_flood_is_cut_off() {
    for part in [0, 1, 2_000] {
        let begun = frame(HEADERS, 0, 1, &block(&[("a", "b")]));
        let more = frame(CONTINUATION, 0, 1, &vec![0; part]);
        let mut world = world();
        world.feed(&begun).unwrap();
        world.feed(&more.repeat(8)).unwrap();
        assert_eq!(world.fails(&more), CALM, "{part}");
    }
}

#[test]
fn continuation_flood_in_trailers_is_cut_off() {
    let mut world = world();
    let begun = frame(HEADERS, END_STREAM, 1, &block(&[("grpc-status", "0")]));
    let more = frame(CONTINUATION, 0, 1, &[]);
    world.feed(&begun).unwrap();
    world.feed(&more.repeat(8)).unwrap();
    assert_eq!(world.fails(&more), CALM);
}

#[test]
fn cve_2024_28182_continuation_flood_on_a_reset_stream_is_cut_off() {
    let mut world = world();
    world.connection.reset(StreamId(1), ErrorCode::CANCEL);
    world.feed(&frame(HEADERS, END_STREAM, 1, &[])).unwrap();
    world.sent();
    let more = frame(CONTINUATION, 0, 1, &[]);
    world.feed(&more.repeat(8)).unwrap();
    assert_eq!(world.fails(&more), CALM);
}

#[test]
fn header_block_above_its_bound_is_cut_off() {
    let mut world = world();
    world.feed(&frame(HEADERS, 0, 1, &[0; 16_000])).unwrap();
    world
        .feed(&frame(CONTINUATION, 0, 1, &[0; 16_000]))
        .unwrap();
    assert_eq!(world.fails(&frame(CONTINUATION, 0, 1, &[0; 1_000])), CALM);
}

/// A literal field with a value of `len` bytes.
fn long_field(len: u32) -> Vec<u8> {
    let mut bytes = vec![0, 1, b'a', 0x7f];
    let mut rest = len - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest & 127).unwrap() | 128);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes.resize(bytes.len() + len as usize, b'v');
    bytes
}

#[test]
fn cve_2023_38039_header_list_above_its_bound_costs_its_stream() {
    let head = block(&[(":status", "200")]);
    let list = |len| {
        let bytes = [&head[..], &long_field(len)].concat();
        let (first, rest) = bytes.split_at(1_000);
        [
            frame(HEADERS, 0, 1, first),
            frame(CONTINUATION, END_HEADERS, 1, rest),
        ]
        .concat()
    };
    // ":status: 200" and "a" take 42 and 33.
    let (mut world, _) = World::with_stream();
    assert_eq!(world.feed(&list(16_384 - 75)).unwrap().len(), 1);
    let (mut world, _) = World::with_stream();
    world.resets(&list(16_384 - 74), CALM);
}

#[test]
fn header_list_bound_holds_for_trailers_too() {
    let trailers = long_field(16_352);
    let (first, rest) = trailers.split_at(1_000);
    let bytes = [
        frame(HEADERS, END_STREAM, 1, first),
        frame(CONTINUATION, END_HEADERS, 1, rest),
    ]
    .concat();
    world().resets(&bytes, CALM);
}

#[test]
fn cve_2026_49975_hpack_bomb_is_cut_off() {
    // One long entry in the table, then a byte for each copy of it.
    let entry = [&[0x40, 1, b'a', 0x7f, 0x80, 0x1e][..], &[b'v'; 127 + 0xf00]].concat();
    let bomb = [entry, vec![0xbe; 12_000]].concat();
    let mut world = world();
    assert_eq!(world.fails(&frame(HEADERS, END_HEADERS, 1, &bomb)), CALM);
}

#[test]
fn cve_2019_9516_zero_length_header_names_cost_their_stream() {
    let nameless = [0, 0, 0].repeat(100);
    let bytes = frame(HEADERS, END_HEADERS | END_STREAM, 1, &nameless);
    world().resets(&bytes, ErrorCode::PROTOCOL_ERROR);
}

#[test]
fn cve_2026_33814_max_frame_size_of_zero_is_refused() {
    let mut world = world();
    assert_eq!(world.fails(&settings(&[(5, 0)])), ErrorCode::PROTOCOL_ERROR);
}

#[test]
fn too_many_settings_in_a_frame_are_refused() {
    let mut world = world();
    assert_eq!(world.fails(&settings(&[(0x99, 1); 65])), CALM);
}

#[test]
fn cve_2024_2398_push_is_refused() {
    let push = frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]);
    assert_eq!(world().fails(&push), ErrorCode::PROTOCOL_ERROR);
}

#[test]
fn cve_2019_9517_zero_window_stops_one_stream_only() {
    let mut world = world();
    let other = world.open();
    world.feed(&settings(&[(4, 0)])).unwrap();
    world.feed(&window_update(other.get(), 1_000)).unwrap();
    assert_eq!(world.connection.send_room(StreamId(1)), 0);
    assert_eq!(world.connection.send_room(other), 1_000);
}

#[test]
fn cve_2026_92392_reset_during_upload_stops_it() {
    let mut world = world();
    let mut head = [0; 9];
    world
        .connection
        .write_data_head(StreamId(1), 100, false, &mut head);
    world.feed(&reset(1, ErrorCode::NO_ERROR)).unwrap();
    assert_eq!(world.connection.send_room(StreamId(1)), 0);
    assert_eq!(world.feed(&window_update(1, 5)), Ok(vec![]));
    assert_eq!(world.connection.send_room(StreamId(1)), 0);
}

#[test]
fn cve_2023_35945_go_away_before_anything_is_open_leaves_nothing() {
    let mut world = World::new();
    world.feed(&go_away(0, ErrorCode::NO_ERROR, b"")).unwrap();
    let open = world.connection.open_stream(REQUEST, true);
    assert_eq!(open, Err(OpenError::GoingAway));
    assert_eq!(world.connection.streams_open(), 0);
    assert!(world.sent().is_empty());
}
