//! Flow control, both ways.

use super::*;
use proptest::prelude::*;

fn write(world: &mut World, stream: StreamId, len: usize) {
    let mut head = [0; 9];
    world
        .connection
        .write_data_head(stream, len, false, &mut head);
    assert_eq!(
        read_frames(&[&head[..], &vec![0; len]].concat())[0].stream,
        stream.get()
    );
}

/// Increments of the WINDOW_UPDATE frames for a stream.
fn increments(sent: &[Sent], stream: u32) -> Vec<u32> {
    let of_stream = |f: &&Sent| f.kind == WINDOW_UPDATE && f.stream == stream;
    sent.iter().filter(of_stream).map(|f| f.number(0)).collect()
}

#[test]
fn send_room_is_the_least_of_both_windows_and_the_frame_size() {
    let mut world = World::with(&[(4, 30_000)]);
    let (a, b) = (world.open(), world.open());
    assert_eq!(world.connection.send_room(a), 16_384);
    write(&mut world, a, 16_384);
    assert_eq!(world.connection.send_room(a), 30_000 - 16_384);
    write(&mut world, a, 30_000 - 16_384);
    assert_eq!(world.connection.send_room(a), 0);
    write(&mut world, b, 16_384);
    // The connection has 65,535.
    write(&mut world, b, 13_616);
    world.feed(&window_update(3, 100_000)).unwrap();
    assert_eq!(world.connection.send_room(b), 5_535);
    world.feed(&window_update(0, 100_000)).unwrap();
    assert_eq!(world.connection.send_room(b), 16_384);
    world.feed(&settings(&[(5, 20_000)])).unwrap();
    assert_eq!(world.connection.send_room(b), 20_000);
}

#[test]
fn initial_window_size_moves_open_streams_even_below_zero() {
    let (mut world, stream) = World::with_stream();
    write(&mut world, stream, 10_000);
    world.feed(&settings(&[(4, 4_000)])).unwrap();
    assert_eq!(world.connection.send_room(stream), 0);
    world.feed(&window_update(1, 6_000)).unwrap();
    assert_eq!(world.connection.send_room(stream), 0);
    world.feed(&window_update(1, 1)).unwrap();
    assert_eq!(world.connection.send_room(stream), 1);
    world.feed(&settings(&[(4, 5_000)])).unwrap();
    assert_eq!(world.connection.send_room(stream), 1_001);
}

#[test]
fn zero_window_peer_blocks_its_stream_alone() {
    let mut world = World::with(&[(4, 0)]);
    let (a, b) = (world.open(), world.open());
    world.feed(&window_update(3, 10)).unwrap();
    assert_eq!(world.connection.send_room(a), 0);
    assert_eq!(world.connection.send_room(b), 10);
    // An end needs no window.
    world.end(a);
    assert_eq!(world.sent()[0].flags, END_STREAM);
}

#[test]
fn window_update_of_nothing_costs_stream_or_connection() {
    let (mut world, _) = World::with_stream();
    world.resets(&window_update(1, 0), ErrorCode::PROTOCOL_ERROR);
    assert_eq!(world.fails(&window_update(0, 0)), ErrorCode::PROTOCOL_ERROR);
}

#[test]
fn window_above_its_maximum_costs_stream_or_connection() {
    let code = ErrorCode::FLOW_CONTROL_ERROR;
    let most = 0x7fff_ffff - 65_535;
    let (mut world, _) = World::with_stream();
    assert_eq!(world.feed(&window_update(1, most)), Ok(vec![]));
    world.resets(&window_update(1, 1), code);
    assert_eq!(world.feed(&window_update(0, most)), Ok(vec![]));
    assert_eq!(world.fails(&window_update(0, 1)), code);
    let (mut world, _) = World::with_stream();
    world.feed(&window_update(1, most)).unwrap();
    assert_eq!(world.fails(&settings(&[(4, 65_536)])), code);
}

#[test]
fn data_beyond_the_streams_window_costs_the_stream() {
    let (mut world, stream) = World::with_stream();
    world.feed(&response(1)).unwrap();
    world.feed(&data(1, &[0; 16_000], false).repeat(6)).unwrap();
    assert_eq!(world.connection.outstanding_credit(stream), 4_000);
    world.resets(&data(1, &[0; 4_001], false), ErrorCode::FLOW_CONTROL_ERROR);
    assert_eq!(world.connection.outstanding_credit(stream), 0);
}

#[test]
fn data_beyond_the_connections_window_ends_it() {
    let mut world = World::new();
    let streams = [world.open(), world.open(), world.open()];
    for stream in streams {
        world.feed(&response(stream.get())).unwrap();
    }
    // Nothing is told in between: 3 * 64,000 fit into 200,000.
    for id in [1, 3, 5] {
        world
            .feed(&data(id, &[0; 16_000], false).repeat(4))
            .unwrap();
    }
    assert_eq!(world.feed(&data(1, &[0; 8_000], false)).unwrap().len(), 1);
    assert_eq!(
        world.fails(&data(1, &[0; 1], false)),
        ErrorCode::FLOW_CONTROL_ERROR
    );
}

#[test]
fn connection_window_is_replenished_at_half() {
    let (mut world, _) = World::with_stream();
    world.feed(&response(1)).unwrap();
    world.feed(&data(1, &[0; 16_000], false).repeat(6)).unwrap();
    assert!(world.sent().is_empty());
    world.feed(&data(1, &[0; 4_000], false)).unwrap();
    assert_eq!(increments(&world.sent(), 0), [100_000]);
}

#[test]
fn stream_gets_only_what_the_owner_grants() {
    let (mut world, stream) = World::with_stream();
    world.feed(&response(1)).unwrap();
    world.feed(&data(1, &[0; 10_000], false)).unwrap();
    assert_eq!(world.connection.outstanding_credit(stream), 90_000);
    assert!(world.sent().is_empty());
    world.connection.grant(stream, 3_000);
    world.connection.grant(stream, 4_000);
    assert_eq!(world.connection.outstanding_credit(stream), 97_000);
    assert_eq!(increments(&world.sent(), 1), [7_000]);
    assert!(world.sent().is_empty());
}

#[test]
fn padding_is_counted_and_credited_back() {
    let (mut world, stream) = World::with_stream();
    world.feed(&response(1)).unwrap();
    let padded = frame(
        DATA,
        PADDED,
        1,
        &[&[200][..], &[7; 100], &[0; 200]].concat(),
    );
    let seen = world.feed(&padded).unwrap();
    assert_eq!(seen, [Seen::Data(1, vec![7; 100], false)]);
    assert_eq!(world.connection.outstanding_credit(stream), 100_000 - 100);
    assert_eq!(increments(&world.sent(), 1), [201]);
}

#[test]
fn data_for_reset_streams_is_credited_to_the_connection() {
    let (mut world, stream) = World::with_stream();
    world.feed(&response(1)).unwrap();
    world.connection.reset(stream, ErrorCode::CANCEL);
    world.sent();
    for _ in 0..40 {
        let seen = world.feed(&data(1, &[0; 16_000], false)).unwrap();
        assert!(seen.is_empty());
        world.sent();
    }
}

#[test]
fn data_that_costs_its_stream_is_credited_to_the_connection() {
    let mut world = World::new();
    for id in [1, 3, 5, 7, 9, 11] {
        world.open();
        // DATA before HEADERS; the check of the connection's invariant is in the product.
        let seen = world.feed(&data(id, &[0; 16_000], false)).unwrap();
        assert_eq!(
            seen,
            [Seen::Reset(id, ErrorCode::PROTOCOL_ERROR, Initiator::Us)]
        );
    }
    world.open();
    world.feed(&response(13)).unwrap();
    world.feed(&data(13, &[0; 4_000], false)).unwrap();
    assert_eq!(increments(&world.sent(), 0), [100_000]);
}

proptest! {
    /// Credit given is credit used: whatever the peer sends, what it may still send is what was
    /// granted, less what came as content.
    #[test]
    fn no_credit_is_lost(
        steps in proptest::collection::vec((0u32..4, 0usize..3_000, 0u8..40), 1..60)
    ) {
        let (mut world, stream) = World::with_stream();
        world.feed(&response(1)).unwrap();
        // As the peer sees them.
        let (mut of_stream, mut of_connection) = (100_000i64, 200_000i64);
        let (mut granted, mut content) = (100_000i64, 0i64);
        for (kind, len, padding) in steps {
            let frame = match kind {
                0 => data(1, &vec![1; len], false),
                1 => {
                    let payload = [vec![padding], vec![1; len], vec![0; padding.into()]].concat();
                    frame(DATA, PADDED, 1, &payload)
                }
                2 => {
                    world.connection.grant(stream, padding.into());
                    granted += i64::from(padding);
                    Vec::new()
                }
                _ => {
                    for sent in world.sent() {
                        match (sent.kind, sent.stream) {
                            (WINDOW_UPDATE, 0) => of_connection += i64::from(sent.number(0)),
                            (WINDOW_UPDATE, 1) => of_stream += i64::from(sent.number(0)),
                            _ => prop_assert!(false, "{:?}", sent),
                        }
                    }
                    Vec::new()
                }
            };
            let size = i64::try_from(frame.len().saturating_sub(9)).unwrap();
            if size > of_stream.min(of_connection) {
                continue;
            }
            of_stream -= size;
            of_connection -= size;
            for seen in world.feed(&frame).unwrap() {
                if let Seen::Data(1, bytes, false) = seen {
                    content += i64::try_from(bytes.len()).unwrap();
                }
            }
            let outstanding = i64::from(world.connection.outstanding_credit(stream));
            prop_assert_eq!(outstanding, granted - content);
            prop_assert!(of_stream <= outstanding);
            prop_assert!(of_connection <= 200_000);
        }
    }
}
