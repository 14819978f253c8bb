//! Web services: heads and bodies as they are passed on, and whole exchanges with bytes from both sides.

use std::time::{Duration, Instant};

use hoop_lite::base::ByteBuf;
use hoop_lite::http::HeadBounds;
use hoop_lite::http::framing::{self, BodySpans, Framing};
use hoop_lite::http::lines::{self, Breaks};
use hoop_lite::limits;
use hoop_lite::web::{Current, Exchange, Failure, Outlet, Site, Step, View, Wanted, Wires};

use crate::input::{Control, cuts, split};

const BOUNDS: HeadBounds = HeadBounds {
    bytes: 1024,
    fields: 8,
};

const SECRET: &[u8] = b"injected-s3cret";

/// A head: its end is where it is however it is cut, and its fields can be written and read again.
pub fn head_lines(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let [whole, single, mixed] = cuts(&mut control, wire).map(|pieces| {
        let (mut head, mut searched, mut found) = (Vec::new(), 0, Ok(None));
        for piece in pieces {
            if found == Ok(None) {
                head.extend_from_slice(piece);
                found = lines::head_len(&head, &mut searched, BOUNDS);
            }
        }
        found
    });
    assert_eq!(whole, single);
    assert_eq!(whole, mixed);
    let Ok(Some(len)) = whole else { return false };
    let mut answer = wire[..len].to_vec();
    lines::unfold(&mut answer);
    assert_eq!(answer.len(), len);
    if let Ok(head) = lines::lines(&answer, Breaks::Loose, BOUNDS) {
        let _ = framing::of_response(&head, 200, false, false);
    }
    let Ok(head) = lines::lines(&wire[..len], Breaks::Exact, BOUNDS) else {
        return false;
    };
    assert!(
        lines::lines(&wire[..len], Breaks::Loose, BOUNDS).is_ok(),
        "a client's is the stricter one"
    );
    let mut again = [head.first, b"\r\n"].concat();
    for field in head.fields() {
        assert!(lines::is_token(field.name) && !field.value.contains(&b'\n'));
        again.extend([field.name, b":", field.value, b"\r\n"].concat());
    }
    again.extend(b"\r\n");
    let bounds = HeadBounds {
        bytes: again.len(),
        ..BOUNDS
    };
    let read = lines::lines(&again, Breaks::Exact, bounds).expect("it was a head");
    assert!(read.fields().eq(head.fields()) && read.first == head.first);
    let _ = framing::of_request(&head, false);
    true
}

/// A body: the same bytes of it, and the same end, however it is cut.
pub fn body_spans(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let length = u64::from(control.byte());
    let framing = *control.pick(&[
        Framing::Chunked,
        Framing::Length(length),
        Framing::UntilClose,
        Framing::Empty,
    ]);
    let [whole, single, mixed] = cuts(&mut control, wire).map(|pieces| read(framing, &pieces));
    assert_eq!(whole, single);
    assert_eq!(whole, mixed);
    whole.is_some()
}

/// The body and how many bytes are left behind it, if it has an end.
fn read(framing: Framing, pieces: &[&[u8]]) -> Option<(Vec<u8>, usize)> {
    let (mut spans, mut waiting, mut body) = (BodySpans::new(framing), ByteBuf::new(), Vec::new());
    for piece in pieces {
        waiting.extend(piece);
        while !spans.is_done() && !waiting.is_empty() {
            let span = spans.next(waiting.filled()).ok()?;
            assert!(span.bytes <= waiting.len());
            if span.is_data {
                body.extend_from_slice(&waiting.filled()[..span.bytes]);
            }
            waiting.consume(span.bytes);
            if span.bytes == 0 {
                break;
            }
        }
    }
    spans.close().ok()?;
    Some((body, waiting.len()))
}

/// An exchange: control says who speaks, how much, and what becomes of the connections.
pub fn web_exchange(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let base_url = *control.pick(&[
        "http://127.0.0.1:8081",
        "https://hoop.example",
        "http://web.hoop",
    ]);
    let url = *control.pick(&["http://app:3000", "https://app/base"]);
    let variables = [("REMOTE_URL", url.as_bytes()), ("HEADER_X_KEY", SECRET)];
    let wanted = Wanted {
        variables: &variables,
    };
    let Ok(site) = Site::of_httpproxy(&wanted) else {
        panic!("the variables are right");
    };
    Talk::new(site, base_url).run(&mut control, wire)
}

struct Talk {
    site: Site,
    exchange: Exchange,
    from_client: ByteBuf,
    from_remote: ByteBuf,
    packets: Vec<Vec<u8>>,
    sent: Vec<u8>,
    /// Bytes of the service so far: what it has said may hold anything.
    has_service_spoken: bool,
    is_open: bool,
    is_listener: bool,
    now: Instant,
}

impl Talk {
    fn new(site: Site, base_url: &str) -> Self {
        let now = Instant::now();
        let view = View::parse(base_url.as_bytes()).expect("it is a URL");
        Self {
            site,
            exchange: Exchange::new(view, now),
            from_client: ByteBuf::new(),
            from_remote: ByteBuf::new(),
            packets: Vec::new(),
            sent: Vec::new(),
            has_service_spoken: false,
            is_open: false,
            is_listener: base_url.starts_with("https"),
            now,
        }
    }

    /// Answers whether the service was asked and the user answered.
    fn run(mut self, control: &mut Control<'_>, mut wire: &[u8]) -> bool {
        while !wire.is_empty() {
            let (piece, rest) = wire.split_at(control.piece().min(wire.len()));
            wire = rest;
            let decision = control.byte();
            match decision & 7 {
                0..=2 if self.is_open => {
                    self.from_remote.extend(piece);
                    self.has_service_spoken = true;
                }
                3 if self.is_open => self.exchange.remote_ended(decision & 8 == 0),
                4 => self.now += Duration::from_millis(u64::from(decision) * 100),
                _ => {
                    if self.exchange.packet(self.now, &mut self.from_client, piece) {
                        assert!(self.is_open, "sent without a connection");
                        self.sent.extend_from_slice(piece);
                    }
                }
            }
            if self.steps(control) {
                return self.is_answered();
            }
        }
        // Every exchange ends once nobody says anything more.
        for _ in 0..4 {
            if let Some(deadline) = self.exchange.deadline() {
                self.now = self.now.max(deadline);
            }
            if self.steps(control) {
                break;
            }
            if self.is_open {
                self.exchange.remote_ended(false);
            }
        }
        self.is_answered()
    }

    fn is_answered(&self) -> bool {
        !self.sent.is_empty() && !self.packets.is_empty()
    }

    /// Whether it is over.
    fn steps(&mut self, control: &mut Control<'_>) -> bool {
        for _ in 0..10_000 {
            let (asked, told) = (self.sent.len(), self.packets.len());
            let step = self.exchange.step(&mut Wires {
                site: &self.site,
                current: Current::default(),
                from_client: &mut self.from_client,
                from_remote: &mut self.from_remote,
                to_remote: &mut self.sent,
                outlet: Outlet {
                    packets: &mut self.packets,
                    packet_bytes: 16 * 1024,
                    may_hold: true,
                    now: self.now,
                },
            });
            assert!(
                self.is_open || self.sent.len() == asked,
                "sent without a connection"
            );
            self.check(asked, told);
            match step {
                Step::Wait => return false,
                Step::Dial { .. } => {
                    assert!(!self.is_open);
                    let decision = control.byte();
                    if decision & 7 == 7 {
                        self.exchange
                            .not_connected(Failure::Because("refused".into()));
                        continue;
                    }
                    self.is_open = true;
                    self.exchange.connected(self.now, decision & 1 == 1);
                }
                Step::HangUp => {
                    self.is_open = false;
                    self.from_remote.clear();
                }
                Step::Finished { is_kept, .. } => {
                    assert!(!is_kept || (self.is_open && self.from_remote.is_empty()));
                    return true;
                }
            }
        }
        panic!("it never waits");
    }

    /// Every message to the service brings ours; nothing of it goes to the user; bounds hold.
    fn check(&self, asked: usize, told: usize) {
        let new = &self.sent[asked..];
        if asked == 0 && !new.is_empty() {
            assert!(
                new.windows(SECRET.len()).any(|bytes| bytes == SECRET),
                "{}",
                new.escape_ascii()
            );
        }
        for packet in &self.packets[told..] {
            assert!(!packet.is_empty() && packet.len() <= limits::WEB_PACKET_BYTES_MAX);
            if !self.has_service_spoken {
                assert!(!packet.windows(SECRET.len()).any(|bytes| bytes == SECRET));
                assert!(
                    packet.starts_with(b"HTTP/1.1 "),
                    "{}",
                    packet.escape_ascii()
                );
            }
        }
        if self.is_listener
            && told == 0
            && let Some(first) = self.packets.first()
        {
            let has_head = first.windows(4).any(|four| four == b"\r\n\r\n");
            assert!(
                has_head && !first.starts_with(b"HTTP/1.1 100"),
                "{}",
                first.escape_ascii()
            );
        }
        assert!(
            self.exchange.held_bytes()
                <= 2 * limits::WEB_HOLD_BYTES_MAX + 4 * limits::WEB_HEAD_BYTES_MAX
        );
    }
}
