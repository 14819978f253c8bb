//! Every frame in every state of a stream, and the ways in which streams end.

use super::*;

/// Where stream 1 stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Content,
    HalfClosedLocal,
    HalfClosedRemote,
    Closed,
    ResetByUs,
    ResetByPeer,
}

/// What a frame does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// This many events.
    Events(usize),
    Stream(ErrorCode),
    Connection(ErrorCode),
}

/// A frame and what it does in each state.
type Row = (&'static str, Vec<u8>, [(State, Effect); 7]);

use Effect::{Connection as Fails, Events, Stream as Resets};
use State::*;

const STATES: [State; 7] = [
    Open,
    Content,
    HalfClosedLocal,
    HalfClosedRemote,
    Closed,
    ResetByUs,
    ResetByPeer,
];

fn world_in(state: State) -> World {
    let (mut world, stream) = World::with_stream();
    if state == Open {
        return world;
    }
    world.feed(&response(1)).unwrap();
    match state {
        Open | Content => {}
        HalfClosedLocal => world.end(stream),
        HalfClosedRemote => drop(world.feed(&data(1, b"", true)).unwrap()),
        Closed => {
            world.end(stream);
            world.feed(&headers(1, &[("a", "b")], true)).unwrap();
        }
        ResetByUs => world.connection.reset(stream, ErrorCode::CANCEL),
        ResetByPeer => drop(world.feed(&reset(1, ErrorCode::CANCEL)).unwrap()),
    }
    world.sent();
    world
}

#[test]
fn every_frame_in_every_state_has_its_effect() {
    let gone = ErrorCode::STREAM_CLOSED;
    let wrong = ErrorCode::PROTOCOL_ERROR;
    let cases: &[Row] = &[
        (
            "DATA",
            data(1, b"x", false),
            [
                (Open, Resets(wrong)),
                (Content, Events(1)),
                (HalfClosedLocal, Events(1)),
                (HalfClosedRemote, Resets(gone)),
                (Closed, Fails(gone)),
                (ResetByUs, Events(0)),
                (ResetByPeer, Fails(gone)),
            ],
        ),
        (
            "response",
            response(1),
            [
                (Open, Events(1)),
                (Content, Resets(wrong)),
                (HalfClosedLocal, Resets(wrong)),
                (HalfClosedRemote, Resets(gone)),
                (Closed, Fails(gone)),
                (ResetByUs, Events(0)),
                (ResetByPeer, Fails(gone)),
            ],
        ),
        (
            "trailers",
            headers(1, &[("grpc-status", "0")], true),
            [
                (Open, Resets(wrong)),
                (Content, Events(1)),
                (HalfClosedLocal, Events(1)),
                (HalfClosedRemote, Resets(gone)),
                (Closed, Fails(gone)),
                (ResetByUs, Events(0)),
                (ResetByPeer, Fails(gone)),
            ],
        ),
        (
            "RST_STREAM",
            reset(1, ErrorCode::NO_ERROR),
            [
                (Open, Events(1)),
                (Content, Events(1)),
                (HalfClosedLocal, Events(1)),
                (HalfClosedRemote, Events(1)),
                (Closed, Events(0)),
                (ResetByUs, Events(0)),
                (ResetByPeer, Events(0)),
            ],
        ),
        (
            "WINDOW_UPDATE",
            window_update(1, 1),
            STATES.map(|state| (state, Events(0))),
        ),
        (
            "PRIORITY",
            frame(PRIORITY, 0, 1, &[0; 5]),
            STATES.map(|state| (state, Events(0))),
        ),
        (
            "CONTINUATION",
            frame(CONTINUATION, END_HEADERS, 1, &block(&[("a", "b")])),
            STATES.map(|state| (state, Fails(wrong))),
        ),
        (
            "PUSH_PROMISE",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
            STATES.map(|state| (state, Fails(wrong))),
        ),
    ];
    for (what, bytes, effects) in cases {
        for (state, effect) in effects {
            let mut world = world_in(*state);
            let seen = match world.feed(bytes) {
                Err(error) => Fails(error.code),
                Ok(seen) => match seen.last() {
                    Some(Seen::Reset(1, code, Initiator::Us)) => Resets(*code),
                    _ => Events(seen.len()),
                },
            };
            assert_eq!(seen, *effect, "{what} in {state:?}");
        }
    }
}

#[test]
fn reset_of_the_peer_is_reported_and_closes() {
    let (mut world, stream) = World::with_stream();
    let seen = world.feed(&reset(1, ErrorCode(99))).unwrap();
    assert_eq!(seen, [Seen::Reset(1, ErrorCode(99), Initiator::Peer)]);
    assert_eq!(world.connection.send_room(stream), 0);
    world.connection.reset(stream, ErrorCode::CANCEL);
    world.connection.grant(stream, 5);
    assert!(world.sent().is_empty(), "a closed stream sends nothing");
}

#[test]
fn reset_of_ours_sends_its_code_once() {
    let (mut world, stream) = World::with_stream();
    world.connection.reset(stream, ErrorCode::CANCEL);
    world.connection.reset(stream, ErrorCode::CANCEL);
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].kind, sent[0].number(0)), (RST_STREAM, 8));
}

#[test]
fn content_under_way_when_we_reset_is_dropped() {
    let (mut world, stream) = World::with_stream();
    world.feed(&response(1)).unwrap();
    let bytes = [
        frame(
            DATA,
            PADDED | END_STREAM,
            1,
            &[&[2][..], &[7; 100], &[0; 2]].concat(),
        ),
        frame(PING, 0, 0, &[1; 8]),
    ]
    .concat();
    assert_eq!(world.feed(&bytes[..50]).unwrap().len(), 1);
    world.connection.reset(stream, ErrorCode::CANCEL);
    world.sent();
    assert_eq!(world.feed(&bytes[50..]), Ok(vec![]));
    assert_eq!(world.sent()[0].kind, PING);
}

#[test]
fn headers_on_a_reset_stream_still_feed_the_table() {
    let mut world = World::new();
    let first = world.open();
    world.open();
    world.connection.reset(first, ErrorCode::CANCEL);
    // Into the table with "a: b", then out of it.
    let into = [block(&[(":status", "200")]), vec![0x40, 1, b'a', 1, b'b']].concat();
    let out_of = [block(&[(":status", "200")]), vec![0xbe]].concat();
    let bytes = [
        frame(HEADERS, END_HEADERS, 1, &into),
        frame(HEADERS, END_HEADERS, 3, &out_of),
    ]
    .concat();
    let seen = world.feed(&bytes).unwrap();
    assert!(matches!(&seen[..], [Seen::Headers(3, fields, false)] if fields[1].0 == "a"));
}

#[test]
fn an_end_is_an_empty_data_frame() {
    let (mut world, stream) = World::with_stream();
    world.end(stream);
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].kind, sent[0].flags, sent[0].payload.len()),
        (DATA, END_STREAM, 0)
    );
    assert_eq!(world.connection.send_room(stream), 0);
}

#[test]
fn go_away_refuses_streams_above_the_last_and_keeps_the_others() {
    let mut world = World::new();
    for _ in 0..3 {
        world.open();
    }
    let bytes = [
        go_away(1, ErrorCode::ENHANCE_YOUR_CALM, b"too_many_pings"),
        response(1),
    ]
    .concat();
    let refused = |id| Seen::Reset(id, ErrorCode::REFUSED_STREAM, Initiator::Peer);
    let seen = world.feed(&bytes).unwrap();
    let debug = b"too_many_pings".to_vec();
    assert_eq!(
        seen[0],
        Seen::GoAway(1, ErrorCode::ENHANCE_YOUR_CALM, debug)
    );
    assert_eq!(seen[1..3], [refused(3), refused(5)]);
    assert!(matches!(seen[3], Seen::Headers(1, ..)));
    let open = world.connection.open_stream(REQUEST, true);
    assert_eq!(open, Err(OpenError::GoingAway));
    assert!(world.connection.is_going_away());
    assert!(
        world.sent().is_empty(),
        "refused streams need no RST_STREAM"
    );
}

#[test]
fn go_away_may_come_twice_but_not_rise() {
    let (mut world, _) = World::with_stream();
    world
        .feed(&go_away(0x7fff_ffff, ErrorCode::NO_ERROR, b""))
        .unwrap();
    let seen = world.feed(&go_away(0, ErrorCode::NO_ERROR, b"")).unwrap();
    assert_eq!(
        seen[1],
        Seen::Reset(1, ErrorCode::REFUSED_STREAM, Initiator::Peer)
    );
    let rises = go_away(1, ErrorCode::NO_ERROR, b"");
    assert_eq!(world.fails(&rises), ErrorCode::PROTOCOL_ERROR);
}

#[test]
fn go_away_words_are_cut_to_their_bound() {
    let mut world = World::new();
    let seen = world
        .feed(&go_away(0, ErrorCode::NO_ERROR, &[b'x'; 5000]))
        .unwrap();
    assert_eq!(
        seen,
        [Seen::GoAway(0, ErrorCode::NO_ERROR, vec![b'x'; 256])]
    );
}

#[test]
fn trailers_only_answer_ends_the_peers_side() {
    let (mut world, stream) = World::with_stream();
    let seen = world.feed(&headers(
        1,
        &[(":status", "200"), ("grpc-status", "16")],
        true,
    ));
    assert!(matches!(&seen.unwrap()[..], [Seen::Headers(1, _, true)]));
    assert_eq!(world.connection.streams_open(), 1);
    world.connection.reset(stream, ErrorCode::NO_ERROR);
    assert_eq!(world.connection.streams_open(), 0);
}
