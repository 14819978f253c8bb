//! The receiving half of the simulated gateway: every frame of the agent is checked, and its
//! packets come out.

use hoop_lite::limits;

use crate::frames::{self, Frame};
use crate::gateway::{News, Peer};
use crate::hpack;
use crate::packets;

impl Peer {
    /// Bytes of the agent.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Vec<News> {
        match &mut self.tls {
            None => self.reader.feed(bytes),
            Some(tls) => {
                let mut plain = Vec::new();
                while !bytes.is_empty() {
                    tls.read_tls(&mut bytes).expect("memory");
                    tls.process_new_packets().expect("TLS of the agent");
                    // It ends with an error where there is no more; what came counts.
                    let _ = std::io::Read::read_to_end(&mut tls.reader(), &mut plain);
                }
                self.reader.feed(&plain);
                self.flush_tls();
            }
        }
        let mut news = Vec::new();
        while let Some(frame) = self.reader.next() {
            self.take(&frame, &mut news);
        }
        news
    }

    fn take(&mut self, frame: &Frame, news: &mut Vec<News>) {
        if let Some((stream, _)) = &self.block {
            assert!(
                frame.kind == frames::CONTINUATION && frame.stream == *stream,
                "a frame within a header block"
            );
        }
        match frame.kind {
            frames::SETTINGS if frame.has(frames::ACK) => {}
            frames::SETTINGS => self.take_settings(frame),
            frames::HEADERS => self.take_headers(frame, news),
            frames::CONTINUATION => self.take_headers(frame, news),
            frames::DATA => self.take_data(frame, news),
            frames::WINDOW_UPDATE => self.take_credit(frame),
            frames::PING => assert!(frame.has(frames::ACK), "the agent must not send PINGs"),
            frames::RST_STREAM => {
                if self.stream == Some(frame.stream) {
                    self.drop_waiting();
                    news.push(News::Reset);
                }
            }
            frames::GOAWAY => news.push(News::GoAway),
            kind => panic!("a frame of kind {kind}"),
        }
    }

    fn take_settings(&mut self, frame: &Frame) {
        for (id, value) in frame.settings() {
            if id == frames::SETTING_WINDOW {
                self.window += i64::from(value) - self.window_initial;
                self.window_initial = i64::from(value);
            }
        }
        self.has_settings = true;
        self.put(&frames::frame(frames::SETTINGS, frames::ACK, 0, b""), None);
    }

    fn take_credit(&mut self, frame: &Frame) {
        let by = i64::from(frame.number(0));
        assert!(by > 0, "a WINDOW_UPDATE of nothing");
        if frame.stream == 0 {
            self.window_all += by;
            assert!(
                self.window_all < 1 << 31,
                "the connection's window overflows"
            );
        } else if self.stream == Some(frame.stream) {
            self.window += by;
            assert!(
                self.window <= i64::from(limits::STREAM_WINDOW),
                "too much credit"
            );
        }
    }

    fn take_headers(&mut self, frame: &Frame, news: &mut Vec<News>) {
        let (_, mut block) = self.block.take().unwrap_or_default();
        block.extend_from_slice(&frame.payload);
        if !frame.has(frames::END_HEADERS) {
            self.block = Some((frame.stream, block));
            return;
        }
        let fields = hpack::decode(&block);
        let field = |wanted: &str| {
            let found = fields.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| &value[..])
        };
        let key = field("authorization").expect("a key");
        assert!(
            key.starts_with("Bearer ") && key.len() > 7,
            "a key of another form"
        );
        assert_eq!(field("te"), Some("trailers"));
        let is_connect = match field(":path") {
            Some("/protobuf.Transport/Connect") => true,
            Some("/protobuf.Transport/PreConnect") => false,
            other => panic!("a call of {other:?}"),
        };
        let before = self
            .given
            .insert(frame.stream, i64::from(self.habits.window));
        assert!(
            before.is_none() && frame.stream % 2 == 1,
            "a stream's number"
        );
        news.push(News::Call {
            stream: frame.stream,
            is_connect,
        });
    }

    fn take_data(&mut self, frame: &Frame, news: &mut Vec<News>) {
        let size = i64::try_from(frame.payload.len()).unwrap();
        let given = self
            .given
            .get_mut(&frame.stream)
            .expect("DATA of a stream that is none");
        *given -= size;
        self.given_all -= size;
        assert!(
            *given >= 0 && self.given_all >= 0,
            "more DATA than there is credit"
        );
        if frame.has(frames::END_STREAM) {
            self.given_all += size;
            self.put(
                &frames::window_update(0, u32::try_from(size).unwrap()),
                None,
            );
            news.push(News::Asked {
                stream: frame.stream,
            });
            return;
        }
        self.to_return += u32::try_from(size).unwrap();
        self.message.extend_from_slice(&frame.payload);
        let mut at = 0;
        while let Some(prefix) = self.message.get(at..at + 5) {
            assert_eq!(prefix[0], 0, "a compressed message");
            let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
            let Some(message) = self.message.get(at + 5..at + 5 + length) else {
                break;
            };
            news.push(News::Packet(packets::decode(message)));
            at += 5 + length;
        }
        self.message.drain(..at);
        self.return_credit(frame.stream);
    }

    fn return_credit(&mut self, stream: u32) {
        let due = self.to_return;
        if due == 0 || !self.habits.is_eager && due < self.habits.window.min(65_535) / 2 {
            return;
        }
        self.to_return = 0;
        self.given_all += i64::from(due);
        *self.given.entry(stream).or_default() += i64::from(due);
        self.put(&frames::window_update(0, due), None);
        self.put(&frames::window_update(stream, due), None);
    }
}
