//! Calls over a connection, against a peer with its own frame writer: the cases of gRPC's
//! negative HTTP/2 interoperability tests, and the ends that a call can have.

use super::*;
use crate::h2::tests::*;
use crate::h2::{ErrorCode, Event, OpenError, StreamId};

/// One call as an owner of the connection sees it.
struct Ongoing {
    stream: StreamId,
    reassembly: Reassembly,
    messages: Vec<Vec<u8>>,
    status: Option<Status>,
}

fn fields() -> Vec<(&'static str, std::borrow::Cow<'static, [u8]>)> {
    let call = Call {
        tls: true,
        authority: "gateway:8443",
        path: "/protobuf.Transport/PreConnect",
        user_agent: "hoop-lite/1",
    };
    request_fields(call, &[("authorization", "Bearer x"), ("origin", "agent")])
}

impl Ongoing {
    fn start(world: &mut World) -> Result<Self, OpenError> {
        let fields = fields();
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(n, v)| (*n, v.as_ref())).collect();
        Ok(Self {
            stream: world.connection.open_stream(&fields, false)?,
            reassembly: Reassembly::new(),
            messages: Vec::new(),
            status: None,
        })
    }

    /// Feeds the connection and follows this call.
    fn feed(&mut self, world: &mut World, mut bytes: &[u8]) {
        loop {
            let (n, event) = world.connection.handle_input(world.now, bytes).unwrap();
            bytes = &bytes[n..];
            match event {
                Some(event) => self.handle(event),
                None => return,
            }
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        match event {
            Event::Headers {
                stream,
                fields,
                end_stream,
            } if stream == self.stream => {
                self.status = Status::from_headers(&fields, end_stream);
            }
            Event::Data { stream, bytes, .. } if stream == self.stream => {
                let mut rest = bytes;
                loop {
                    let (n, message) = self.reassembly.feed(rest).unwrap();
                    rest = &rest[n..];
                    match message {
                        Some(Piece::Message(message)) => self.messages.push(message.to_vec()),
                        Some(Piece::Joined(message)) => self.messages.push(message.clone()),
                        Some(other) => panic!("{other:?}"),
                        None if rest.is_empty() => return,
                        None => {}
                    }
                }
            }
            Event::Trailers { stream, fields } if stream == self.stream => {
                self.status = Some(Status::from_trailers(&fields));
            }
            Event::Reset { stream, code, .. } if stream == self.stream => {
                self.status.get_or_insert(Status::from_reset(code));
            }
            _ => {}
        }
    }

    fn code(&self) -> Option<Code> {
        self.status.as_ref().map(|status| status.code)
    }
}

fn begun(stream: u32) -> Vec<u8> {
    let fields = [(":status", "200"), ("content-type", "application/grpc")];
    headers(stream, &fields, false)
}

fn message(stream: u32, content: &[u8]) -> Vec<u8> {
    data(
        stream,
        &[&write_prefix(content.len())[..], content].concat(),
        false,
    )
}

fn done(stream: u32) -> Vec<u8> {
    headers(stream, &[("grpc-status", "0")], true)
}

fn call_in_world() -> (World, Ongoing) {
    let mut world = World::new();
    let call = Ongoing::start(&mut world).unwrap();
    (world, call)
}

#[test]
fn goaway_lets_the_call_finish_and_the_next_one_needs_a_new_connection() {
    let (mut world, mut call) = call_in_world();
    let bytes = [
        begun(1),
        go_away(1, ErrorCode::NO_ERROR, b""),
        message(1, b"answer"),
        done(1),
    ]
    .concat();
    call.feed(&mut world, &bytes);
    assert_eq!(
        (call.messages, call.status.unwrap().code),
        (vec![b"answer".to_vec()], Code::Ok)
    );
    assert_eq!(Ongoing::start(&mut world).err(), Some(OpenError::GoingAway));
    let mut next = World::new();
    let mut call = Ongoing::start(&mut next).unwrap();
    call.feed(
        &mut next,
        &[begun(1), message(1, b"again"), done(1)].concat(),
    );
    assert_eq!(call.code(), Some(Code::Ok));
}

#[test]
fn goaway_below_the_call_makes_it_unavailable() {
    let (mut world, mut call) = call_in_world();
    call.feed(&mut world, &go_away(0, ErrorCode::NO_ERROR, b""));
    assert_eq!(call.code(), Some(Code::Unavailable));
}

#[test]
fn rst_after_header_fails_the_call() {
    let (mut world, mut call) = call_in_world();
    call.feed(
        &mut world,
        &[begun(1), reset(1, ErrorCode::NO_ERROR)].concat(),
    );
    assert_eq!(
        (call.code(), call.messages.len()),
        (Some(Code::Internal), 0)
    );
}

#[test]
fn rst_during_data_fails_the_call_without_a_part_of_a_message() {
    let (mut world, mut call) = call_in_world();
    let cut = [&write_prefix(10)[..], b"half"].concat();
    let bytes = [begun(1), data(1, &cut, false), reset(1, ErrorCode::CANCEL)].concat();
    call.feed(&mut world, &bytes);
    assert_eq!(
        (call.code(), call.messages.len()),
        (Some(Code::Cancelled), 0)
    );
}

#[test]
fn rst_after_data_fails_the_call_though_its_message_came() {
    let (mut world, mut call) = call_in_world();
    let bytes = [
        begun(1),
        message(1, b"answer"),
        reset(1, ErrorCode::NO_ERROR),
    ]
    .concat();
    call.feed(&mut world, &bytes);
    assert_eq!(call.code(), Some(Code::Internal));
    assert_eq!(call.messages, [b"answer"]);
}

#[test]
fn rst_after_trailers_leaves_the_status_alone() {
    let (mut world, mut call) = call_in_world();
    call.feed(
        &mut world,
        &[begun(1), done(1), reset(1, ErrorCode::NO_ERROR)].concat(),
    );
    assert_eq!(call.code(), Some(Code::Ok));
    assert_eq!(world.connection.streams_open(), 0);
}

#[test]
fn ping_between_all_frames_is_answered_and_changes_nothing() {
    let (mut world, mut call) = call_in_world();
    world.sent();
    let (first, second) = (message(1, b"one"), message(1, b"two"));
    for (number, bytes) in (0u8..).zip([vec![], begun(1), first, second, done(1)]) {
        call.feed(
            &mut world,
            &[bytes, frame(PING, 0, 0, &[number; 8])].concat(),
        );
        let pong = world.sent().pop().unwrap();
        assert_eq!(
            (pong.kind, pong.flags, pong.payload),
            (PING, ACK, vec![number; 8])
        );
    }
    assert_eq!(call.messages, [b"one", b"two"]);
    assert_eq!(call.code(), Some(Code::Ok));
}

#[test]
fn max_streams_of_one_lets_calls_run_one_after_the_other() {
    let mut world = World::with(&[(3, 1)]);
    for id in [1, 3, 5] {
        let mut call = Ongoing::start(&mut world).unwrap();
        assert_eq!(call.stream.get(), id);
        assert_eq!(
            Ongoing::start(&mut world).err(),
            Some(OpenError::TooManyStreams)
        );
        world.end(call.stream);
        call.feed(
            &mut world,
            &[begun(id), message(id, b"x"), done(id)].concat(),
        );
        assert_eq!(call.code(), Some(Code::Ok));
    }
}

#[test]
fn messages_cut_by_frames_are_joined() {
    let (mut world, mut call) = call_in_world();
    let whole = [
        &write_prefix(6)[..],
        b"abcdef",
        &write_prefix(0),
        &write_prefix(1),
        b"x",
    ]
    .concat();
    let mut bytes = begun(1);
    for piece in whole.chunks(4) {
        bytes.extend(data(1, piece, false));
    }
    bytes.extend(done(1));
    call.feed(&mut world, &bytes);
    assert_eq!(call.messages, [&b"abcdef"[..], b"", b"x"]);
    assert_eq!(call.code(), Some(Code::Ok));
}

#[test]
fn key_check_of_a_refused_key_is_a_trailers_only_answer() {
    let (mut world, mut call) = call_in_world();
    let fields = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "16"),
        ("grpc-message", "invalid authentication"),
    ];
    call.feed(&mut world, &headers(1, &fields, true));
    assert_eq!(
        call.status.unwrap().to_string(),
        "Unauthenticated: invalid authentication"
    );
}

#[test]
fn request_fields_survive_the_way_to_the_peer() {
    let (mut world, _) = call_in_world();
    let sent = world.sent();
    let mut list = crate::h2::FieldList::new(16_384);
    crate::h2::hpack::Decoder::new()
        .decode(&sent[0].payload, &mut list)
        .unwrap();
    let expected = fields();
    let expected: Vec<(&[u8], &[u8])> = expected
        .iter()
        .map(|(n, v)| (n.as_bytes(), v.as_ref()))
        .collect();
    assert_eq!(list.iter().collect::<Vec<_>>(), expected);
}
