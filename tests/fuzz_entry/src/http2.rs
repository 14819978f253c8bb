//! A whole HTTP/2 connection: bytes of the server in, in any pieces, with an owner that acts in
//! between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hoop_lite::h2::{
    Connection, ConnectionError, ErrorCode, Event, Initiator, LocalSettings, StreamId,
};
use hoop_lite::limits;

use crate::input::{Control, pieces, split};
use crate::peer::{self, check_lawful, first_frame};

const STREAM_WINDOW: u32 = 100_000;
const LOCAL: LocalSettings = LocalSettings {
    stream_window: STREAM_WINDOW,
    connection_window: 200_000,
    header_list_bytes_max: 16_384,
};
const REQUEST: &[(&str, &[u8])] = &[
    (":method", b"POST"),
    (":scheme", b"https"),
    (":path", b"/protobuf.Transport/Connect"),
    (":authority", b"gateway"),
];

/// Raw bytes behind the server's SETTINGS.
pub fn connection(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    check(&mut control, wire)
}

/// All that must hold for these bytes of a server. `true`: the connection lives on.
pub fn check(control: &mut Control<'_>, wire: &[u8]) -> bool {
    let is_silent = control.byte() == 255;
    let whole = seen(is_silent, &[wire]);
    let single = seen(is_silent, &wire.chunks(1).collect::<Vec<_>>());
    assert_eq!(whole, single, "cuts change nothing");
    let mut world = World::new(is_silent);
    let mut parts = Control(control.0);
    let mut is_alive = true;
    for piece in pieces(&mut parts, wire) {
        is_alive &= world.feed(piece);
        world.act(control);
    }
    is_alive && whole.1.is_none()
}

/// What came of the bytes when nobody acts in between: events, the error, our output.
fn seen(is_silent: bool, pieces: &[&[u8]]) -> (Vec<Seen>, Option<ConnectionError>, Vec<u8>) {
    let mut world = World::new(is_silent);
    for piece in pieces {
        world.feed(piece);
    }
    let output = world.connection.control_output().filled().to_vec();
    (world.events, world.error, output)
}

/// An event that owns its content; pieces of DATA are joined.
#[derive(Debug, PartialEq)]
enum Seen {
    Settings,
    Headers(u32, Vec<(Vec<u8>, Vec<u8>)>, bool),
    Data(u32, Vec<u8>, bool),
    Trailers(u32, Vec<(Vec<u8>, Vec<u8>)>),
    Reset(u32, ErrorCode, Initiator),
    GoAway(u32, ErrorCode, Vec<u8>),
}

/// Where a stream's response is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Head,
    Content,
    Ended,
    Gone,
}

struct Stream {
    id: StreamId,
    stage: Stage,
    /// Credit that it has had, less what came.
    credit: u64,
}

struct World {
    connection: Connection,
    now: Instant,
    events: Vec<Seen>,
    error: Option<ConnectionError>,
    streams: BTreeMap<u32, Stream>,
    opened: usize,
}

impl World {
    /// Stream 1 is open, 3 is half-closed by us, 5 is reset by us.
    fn new(is_silent: bool) -> Self {
        let mut world = Self {
            connection: Connection::new(&LOCAL),
            now: Instant::now(),
            events: Vec::new(),
            error: None,
            streams: BTreeMap::new(),
            opened: 0,
        };
        if !is_silent {
            let mut opening = Vec::new();
            peer::settings(&mut opening, &[]);
            peer::frame(&mut opening, peer::SETTINGS, peer::ACK, 0, &[]);
            world.feed(&opening);
        }
        for _ in 0..3 {
            world.open();
        }
        world.end(world.streams[&3].id);
        world.reset(5);
        world.connection.control_output().clear();
        world
    }

    /// Ends our side of a stream, while there is room for more than that.
    fn end(&mut self, stream: StreamId) {
        if self.connection.send_room(stream) > 0 {
            let mut head = [0; 9];
            self.connection.write_data_head(stream, 0, true, &mut head);
            self.connection.control_output().extend(&head);
        }
    }

    fn open(&mut self) {
        if let Ok(id) = self.connection.open_stream(REQUEST, false) {
            let stream = Stream {
                id,
                stage: Stage::Head,
                credit: STREAM_WINDOW.into(),
            };
            assert!(self.streams.insert(id.get(), stream).is_none());
            self.opened += 1;
        }
    }

    fn reset(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            self.connection.reset(stream.id, ErrorCode::CANCEL);
            stream.stage = Stage::Gone;
        }
    }

    /// Feeds bytes until all are taken and no event comes; `false` when the connection failed.
    fn feed(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            match self.connection.handle_input(self.now, bytes) {
                Err(error) => {
                    assert!(
                        self.error.is_none_or(|known| known == error),
                        "the error stays"
                    );
                    self.error = Some(error);
                    return false;
                }
                Ok((used, event)) => {
                    bytes = &bytes[used..];
                    let Some(event) = event else {
                        assert!(bytes.is_empty(), "all is taken");
                        break;
                    };
                    note(&mut self.streams, &mut self.events, &event);
                }
            }
        }
        true
    }

    /// The owner does what control asks for, and the peer reads our output.
    fn act(&mut self, control: &mut Control<'_>) {
        let Some(action) = control.next() else { return };
        let id = u32::from(control.byte() & 15) * 2 + 1;
        let stream = self.streams.get_mut(&id);
        match (action % 8, stream) {
            (0, Some(stream)) => {
                let bytes = u32::from(control.word());
                self.connection.grant(stream.id, bytes);
                stream.credit += u64::from(bytes);
            }
            (1, Some(_)) => self.reset(id),
            (2, Some(stream)) => {
                let id = stream.id;
                self.end(id);
            }
            (3, _) => self.open(),
            (4, Some(stream)) => {
                let len = usize::from(control.word()).min(self.connection.send_room(stream.id));
                let mut head = [0; 9];
                if len > 0 {
                    self.connection
                        .write_data_head(stream.id, len, false, &mut head);
                    let whole = [&head[..], &vec![0; len]].concat();
                    let (frame, _) = first_frame(&whole).expect("a frame");
                    assert_eq!(
                        (frame.kind, frame.stream, frame.payload.len()),
                        (0, id, len)
                    );
                }
            }
            (5, _) => self.now += Duration::from_millis(u64::from(control.word())),
            (6, _) if action > 200 => self.connection.go_away(ErrorCode::NO_ERROR, b""),
            _ => self.drain(),
        }
    }

    fn drain(&mut self) {
        let resets = 13 * self.opened;
        let answers = limits::H2_CONTROL_BYTES_HIGH + 40 * limits::H2_ACKS_MAX;
        let output = self.connection.control_output();
        assert!(output.len() <= answers + resets + 300 * self.opened);
        let mut rest = output.filled();
        while let Some((frame, behind)) = first_frame(rest) {
            check_lawful(&frame);
            rest = behind;
        }
        assert!(rest.is_empty(), "whole frames");
        output.clear();
    }
}

fn texts(fields: &hoop_lite::h2::FieldList) -> Vec<(Vec<u8>, Vec<u8>)> {
    assert!(!fields.is_too_large());
    fields
        .iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

/// Checks that the event may come now, and keeps it.
fn note(streams: &mut BTreeMap<u32, Stream>, events: &mut Vec<Seen>, event: &Event<'_>) {
    let mut go = |id: &StreamId, from: &[Stage], to: Stage| {
        let stream = streams.get_mut(&id.get()).expect("a stream of ours");
        assert!(from.contains(&stream.stage), "an event out of order");
        stream.stage = to;
        id.get()
    };
    let ended = |is_end: &bool, other| if *is_end { Stage::Ended } else { other };
    let new = match event {
        Event::Settings => Seen::Settings,
        Event::Headers {
            stream,
            fields,
            end_stream,
        } => {
            let id = go(stream, &[Stage::Head], ended(end_stream, Stage::Content));
            assert!((200..1000).contains(&fields.status().expect("a status")));
            Seen::Headers(id, texts(fields), *end_stream)
        }
        Event::Data {
            stream,
            bytes,
            end_stream,
        } => {
            let id = go(stream, &[Stage::Content], ended(end_stream, Stage::Content));
            assert!(!bytes.is_empty() || *end_stream);
            let stream = streams.get_mut(&id).expect("a stream of ours");
            stream.credit = stream
                .credit
                .checked_sub(bytes.len() as u64)
                .expect("within its credit");
            if let Some(Seen::Data(of, all, false)) = events.last_mut()
                && *of == id
            {
                all.extend_from_slice(bytes);
                let all = std::mem::take(all);
                events.pop();
                return events.push(Seen::Data(id, all, *end_stream));
            }
            Seen::Data(id, bytes.to_vec(), *end_stream)
        }
        Event::Trailers { stream, fields } => {
            let id = go(stream, &[Stage::Content], Stage::Ended);
            Seen::Trailers(id, texts(fields))
        }
        Event::Reset {
            stream,
            code,
            initiator,
            ..
        } => {
            let id = go(
                stream,
                &[Stage::Head, Stage::Content, Stage::Ended],
                Stage::Gone,
            );
            Seen::Reset(id, *code, *initiator)
        }
        Event::GoAway {
            last_stream,
            code,
            debug,
        } => {
            assert!(debug.len() <= limits::H2_DEBUG_BYTES_MAX);
            Seen::GoAway(*last_stream, *code, debug.clone())
        }
    };
    events.push(new);
}
