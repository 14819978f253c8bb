//! A connection against a peer with its own frame writer and reader, so that a mistake that the
//! codec makes both ways shows.

mod floods;
mod flow;
mod frames;
mod opening;
mod properties;
mod streams;

use std::time::{Duration, Instant};

use super::frame::HEAD_LEN;
use super::*;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

/// One frame as the peer writes it.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    let mut bytes = len.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// SETTINGS with these entries.
pub(crate) fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in entries {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// A header block of plain literals.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            assert!(text.len() < 127);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// HEADERS in one frame.
pub(crate) fn headers(stream: u32, fields: &[(&str, &str)], end_stream: bool) -> Vec<u8> {
    let flags = END_HEADERS | if end_stream { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &block(fields))
}

/// The head of an ordinary response.
pub(crate) fn response(stream: u32) -> Vec<u8> {
    headers(stream, &[(":status", "200")], false)
}

pub(crate) fn data(stream: u32, content: &[u8], end_stream: bool) -> Vec<u8> {
    frame(DATA, u8::from(end_stream), stream, content)
}

pub(crate) fn reset(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(crate) fn go_away(last: u32, code: ErrorCode, debug: &[u8]) -> Vec<u8> {
    let payload = [&last.to_be_bytes()[..], &code.0.to_be_bytes(), debug].concat();
    frame(GOAWAY, 0, 0, &payload)
}

/// One frame as the peer reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Sent {
    /// The payload from `at` as a number.
    pub(crate) fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// Cuts whole frames.
pub(crate) fn read_frames(mut bytes: &[u8]) -> Vec<Sent> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let len = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        frames.push(Sent {
            kind: bytes[3],
            flags: bytes[4],
            stream: u32::from_be_bytes(bytes[5..9].try_into().unwrap()),
            payload: bytes[9..9 + len].to_vec(),
        });
        bytes = &bytes[9 + len..];
    }
    frames
}

/// An event that owns its content; pieces of DATA are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Settings,
    Headers(u32, Vec<(String, String)>, bool),
    Data(u32, Vec<u8>, bool),
    Trailers(u32, Vec<(String, String)>),
    Reset(u32, ErrorCode, Initiator),
    GoAway(u32, ErrorCode, Vec<u8>),
}

fn texts(fields: &FieldList) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|(n, v)| (text(n), text(v))).collect()
}

impl Seen {
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Settings => Self::Settings,
            Event::Headers {
                stream,
                fields,
                end_stream,
            } => Self::Headers(stream.get(), texts(&fields), end_stream),
            Event::Data {
                stream,
                bytes,
                end_stream,
            } => Self::Data(stream.get(), bytes.to_vec(), end_stream),
            Event::Trailers { stream, fields } => Self::Trailers(stream.get(), texts(&fields)),
            Event::Reset {
                stream,
                code,
                initiator,
                ..
            } => Self::Reset(stream.get(), code, initiator),
            Event::GoAway {
                last_stream,
                code,
                debug,
            } => Self::GoAway(last_stream, code, debug),
        }
    }

    /// Adds the event; a piece of DATA goes to the piece before it.
    fn join(self, list: &mut Vec<Self>) {
        if let (Some(Self::Data(to, all, false)), Self::Data(of, piece, end)) =
            (list.last_mut(), &self)
            && to == of
        {
            all.extend(piece);
            let joined = Self::Data(*of, std::mem::take(all), *end);
            list.pop();
            list.push(joined);
            return;
        }
        list.push(self);
    }
}

pub(crate) const LOCAL: LocalSettings = LocalSettings {
    stream_window: 100_000,
    connection_window: 200_000,
    header_list_bytes_max: 16_384,
};

pub(crate) const REQUEST: &[(&str, &[u8])] = &[
    (":method", b"POST"),
    (":scheme", b"https"),
    (":path", b"/protobuf.Transport/Connect"),
    (":authority", b"gateway"),
];

/// A connection with a clock and all events so far.
pub(crate) struct World {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
}

impl World {
    /// A connection whose peer has said nothing yet; our opening is dropped.
    pub(crate) fn silent() -> Self {
        let mut connection = Connection::new(&LOCAL);
        connection.control_output().clear();
        Self {
            connection,
            now: Instant::now(),
        }
    }

    /// A connection whose peer has sent these SETTINGS and taken ours.
    pub(crate) fn with(entries: &[(u16, u32)]) -> Self {
        let mut world = Self::silent();
        assert_eq!(world.feed(&settings(entries)), Ok(vec![Seen::Settings]));
        assert_eq!(world.feed(&frame(SETTINGS, ACK, 0, &[])), Ok(vec![]));
        world.sent();
        world
    }

    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// As `new`, with stream 1 open and its request sent.
    pub(crate) fn with_stream() -> (Self, StreamId) {
        let mut world = Self::new();
        let stream = world.open();
        (world, stream)
    }

    pub(crate) fn open(&mut self) -> StreamId {
        let stream = self.connection.open_stream(REQUEST, false).unwrap();
        self.sent();
        stream
    }

    /// Feeds bytes until all are taken and no event comes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Seen>, ConnectionError> {
        let mut seen = Vec::new();
        loop {
            let (n, event) = self.connection.handle_input(self.now, bytes)?;
            bytes = &bytes[n..];
            match event {
                Some(event) => Seen::of(event).join(&mut seen),
                None => {
                    assert!(bytes.is_empty(), "{} bytes are not taken", bytes.len());
                    return Ok(seen);
                }
            }
        }
    }

    /// The code of the connection error that these bytes bring; checks the GOAWAY.
    pub(crate) fn fails(&mut self, bytes: &[u8]) -> ErrorCode {
        let error = self.feed(bytes).expect_err("the connection must fail");
        let sent = self.sent();
        let last = sent.last().expect("a GOAWAY");
        assert_eq!((last.kind, last.stream, last.number(0)), (GOAWAY, 0, 0));
        assert_eq!(last.number(4), error.code.0);
        assert_eq!(self.feed(b""), Err(error), "the error stays");
        assert!(self.sent().is_empty(), "one GOAWAY is enough");
        let open = self.connection.open_stream(REQUEST, true);
        assert_eq!(open, Err(OpenError::GoingAway));
        error.code
    }

    /// Feeds bytes that must cost stream 1 alone, with this code.
    pub(crate) fn resets(&mut self, bytes: &[u8], code: ErrorCode) {
        let seen = self.feed(bytes).expect("the connection must go on");
        assert_eq!(seen.last(), Some(&Seen::Reset(1, code, Initiator::Us)));
        let sent = self.sent();
        let resets: Vec<&Sent> = sent.iter().filter(|f| f.kind == RST_STREAM).collect();
        assert_eq!(resets.len(), 1, "{sent:?}");
        assert_eq!((resets[0].stream, resets[0].number(0)), (1, code.0));
    }

    /// Ends our side of an open stream, with an empty DATA frame.
    pub(crate) fn end(&mut self, stream: StreamId) {
        let mut head = [0; HEAD_LEN];
        self.connection.write_data_head(stream, 0, true, &mut head);
        self.connection.control_output().extend(&head);
    }

    /// Takes the control output as frames.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let output = self.connection.control_output();
        let frames = read_frames(output.filled());
        output.clear();
        frames
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}
