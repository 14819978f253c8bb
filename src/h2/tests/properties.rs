//! Whatever comes and however it is cut.

use super::*;
use proptest::prelude::*;

/// A frame that a peer might send, more or less lawful.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![4 => Just(1u32), 2 => Just(3u32), 1 => 0u32..8];
    let content = proptest::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        3 => (stream.clone(), content.clone(), any::<bool>()).prop_map(|(s, c, e)| data(s, &c, e)),
        2 => (stream.clone(), content.clone(), 0u8..30).prop_map(|(s, c, p)| {
            let payload = [vec![p], c, vec![0; p.into()]].concat();
            frame(DATA, PADDED, s, &payload)
        }),
        2 => stream.clone().prop_map(response),
        1 => (stream.clone(), any::<bool>()).prop_map(|(s, e)| headers(s, &[("grpc-status", "0")], e)),
        1 => (stream.clone(), 0usize..8).prop_map(|(s, at)| {
            let whole = block(&[(":status", "200")]);
            let (a, b) = whole.split_at(at);
            [frame(HEADERS, 0, s, a), frame(CONTINUATION, END_HEADERS, s, b)].concat()
        }),
        1 => (stream.clone(), any::<u32>()).prop_map(|(s, n)| window_update(s, n)),
        1 => (stream.clone(), 0u32..20).prop_map(|(s, code)| reset(s, ErrorCode(code))),
        1 => (0u32..5, content.clone()).prop_map(|(last, c)| go_away(last, ErrorCode(0), &c)),
        1 => (0u16..8, any::<u32>()).prop_map(|(id, value)| settings(&[(id, value)])),
        2 => any::<[u8; 8]>().prop_map(|c| frame(PING, 0, 0, &c)),
        1 => (any::<u8>(), any::<u8>(), stream, content).prop_map(|(k, f, s, c)| frame(k, f, s, &c)),
    ]
}

/// Two streams are open; what is seen until all is taken or the connection fails.
fn seen_in_pieces(bytes: &[u8], cuts: &[usize]) -> (Vec<Seen>, Option<ConnectionError>, Vec<Sent>) {
    let mut world = World::new();
    world.open();
    world.open();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let (mut all, mut start) = (Vec::new(), 0);
    for cut in cuts {
        match feed_joining(&mut world, &bytes[start..cut], &mut all) {
            Ok(()) => start = cut,
            Err(error) => return (all, Some(error), world.sent()),
        }
    }
    (all, None, world.sent())
}

/// As [`World::feed`], but keeps what was seen before an error.
fn feed_joining(
    world: &mut World,
    mut bytes: &[u8],
    all: &mut Vec<Seen>,
) -> Result<(), ConnectionError> {
    loop {
        let (n, event) = world.connection.handle_input(world.now, bytes)?;
        bytes = &bytes[n..];
        match event {
            Some(event) => Seen::of(event).join(all),
            None => return Ok(()),
        }
    }
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        frames in proptest::collection::vec(any_frame(), 1..20),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        let bytes = frames.concat();
        prop_assert_eq!(seen_in_pieces(&bytes, &cuts), seen_in_pieces(&bytes, &[]));
    }

    #[test]
    fn byte_by_byte_changes_nothing(frames in proptest::collection::vec(any_frame(), 1..8)) {
        let bytes = frames.concat();
        let cuts: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(seen_in_pieces(&bytes, &cuts), seen_in_pieces(&bytes, &[]));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_stay_bounded(
        bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
        begun: bool,
    ) {
        let mut world = if begun { World::with_stream().0 } else { World::silent() };
        let mut seen = Vec::new();
        let failed = feed_joining(&mut world, &bytes, &mut seen).is_err();
        let sent = world.sent();
        prop_assert_eq!(failed, sent.last().is_some_and(|f| f.kind == GOAWAY));
        prop_assert!(world.connection.gathered() <= 16_384);
    }

    #[test]
    fn calls_of_the_owner_are_safe_in_any_order(
        steps in proptest::collection::vec((0u8..9, 0u32..4, 0u32..20_000), 1..60),
        frames in proptest::collection::vec(any_frame(), 60),
    ) {
        let mut world = World::new();
        for ((verb, which, n), frame) in steps.into_iter().zip(frames) {
            let stream = StreamId(2 * which + 1);
            let connection = &mut world.connection;
            match verb {
                0 => drop(connection.open_stream(REQUEST, n % 2 == 0)),
                1 => connection.reset(stream, ErrorCode(n)),
                2 if connection.send_room(stream) > 0 => world.end(stream),
                3 => connection.grant(stream, n * 100_000),
                4 => {
                    let len = connection.send_room(stream).min(n as usize);
                    if len > 0 {
                        connection.write_data_head(stream, len, n % 2 == 0, &mut [0; 9]);
                    }
                }
                5 if n % 10 == 0 => connection.go_away(ErrorCode(n), b"x"),
                _ => drop(world.feed(&frame)),
            }
            for sent in world.sent() {
                prop_assert!(sent.kind <= CONTINUATION && sent.payload.len() <= 16_384);
            }
            prop_assert!(world.connection.send_room(stream) <= 1 << 24);
        }
    }
}
