//! The simulated gateway's end of one link: TLS (or not), HTTP/2, gRPC, packets, with flow control
//! of its own in both directions. It checks every frame of the agent, and knows for each packet
//! at which byte of the link it ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::dice::Dice;
use crate::frames::{self, Reader, frame};
use crate::hpack::Encoder;
use crate::packets::{self, Got};
use crate::sent::Sent;

/// What the agent did.
#[derive(Debug)]
pub enum News {
    /// It calls; `true` for the stream of packets.
    Call {
        stream: u32,
        is_connect: bool,
    },
    /// It has sent the request of a unary call.
    Asked {
        stream: u32,
    },
    Packet(Got),
    /// It gave up a stream.
    Reset,
    GoAway,
}

/// How this gateway gives credit and cuts what it sends.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Initial window of streams.
    pub window: u32,
    /// Credit is given at once, or when half of the window is used.
    pub is_eager: bool,
    /// Largest DATA payload.
    pub data_max: usize,
    /// In a thousand frames.
    pub padding: usize,
    /// Calls at once.
    pub streams_max: u32,
}

/// Frames without data that the agent takes in one second whatever happens; this gateway stays
/// far below, so that only its own floods can exceed it.
const NUISANCES: usize = 100;

/// Sent but not read by the agent: what a socket holds.
pub const SOCKET_BYTES: usize = 64 * 1024;

pub struct Peer {
    pub(crate) tls: Option<ServerConnection>,
    pub(crate) reader: Reader,
    pub(crate) encoder: Encoder,
    pub(crate) habits: Habits,
    /// For the socket.
    pub out: VecDeque<u8>,
    /// Bytes ever put into `out`.
    pub(crate) written: u64,
    /// Where each thing ends, by bytes of the link.
    pub(crate) ends: VecDeque<(u64, Sent)>,
    /// The stream of packets, once it was accepted.
    pub stream: Option<u32>,
    /// gRPC bytes that wait for credit, and where messages end in them.
    pub(crate) waiting: VecDeque<u8>,
    pub(crate) messages: VecDeque<(usize, Sent)>,
    pub(crate) window_initial: i64,
    pub(crate) window: i64,
    pub(crate) window_all: i64,
    /// Credit that the agent has: of the connection, and of each stream.
    pub(crate) given_all: i64,
    pub(crate) given: BTreeMap<u32, i64>,
    pub(crate) to_return: u32,
    pub(crate) message: Vec<u8>,
    pub(crate) block: Option<(u32, Vec<u8>)>,
    pub(crate) nuisances: usize,
    /// Says nothing more.
    pub is_mute: bool,
    pub has_settings: bool,
}

impl Peer {
    pub fn new(habits: Habits, tls: Option<Arc<ServerConfig>>) -> Self {
        let tls = tls.map(|config| ServerConnection::new(config).expect("a TLS server"));
        let mut peer = Self {
            tls,
            reader: Reader::default(),
            encoder: Encoder::default(),
            habits,
            out: VecDeque::new(),
            written: 0,
            ends: VecDeque::new(),
            stream: None,
            waiting: VecDeque::new(),
            messages: VecDeque::new(),
            window_initial: 65_535,
            window: 0,
            window_all: 65_535,
            given_all: 65_535,
            given: BTreeMap::new(),
            to_return: 0,
            message: Vec::new(),
            block: None,
            nuisances: NUISANCES,
            is_mute: false,
            has_settings: false,
        };
        let entries = [
            (frames::SETTING_WINDOW, habits.window),
            (frames::SETTING_MAX_STREAMS, habits.streams_max),
        ];
        peer.put(&frames::settings(&entries), None);
        peer
    }

    /// Writes whole frames to the socket's side, encrypted or not.
    pub(crate) fn put(&mut self, bytes: &[u8], sent: Option<Sent>) {
        if self.is_mute {
            return;
        }
        match &mut self.tls {
            None => {
                self.out.extend(bytes);
                self.written += bytes.len() as u64;
            }
            Some(tls) => {
                std::io::Write::write_all(&mut tls.writer(), bytes).expect("plaintext");
                self.flush_tls();
            }
        }
        if let Some(sent) = sent {
            self.ends.push_back((self.written, sent));
        }
    }

    pub(crate) fn flush_tls(&mut self) {
        if let Some(tls) = &mut self.tls {
            let mut records = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut records).expect("memory");
            }
            self.written += records.len() as u64;
            self.out.extend(records);
        }
    }

    /// The agent has been given the link's bytes up to `delivered`; these things were in them.
    pub fn take_delivered(&mut self, delivered: u64) -> Option<Sent> {
        let (end, sent) = *self.ends.front()?;
        if end > delivered {
            return None;
        }
        self.ends.pop_front();
        Some(sent)
    }

    /// What ends in the next bytes, and where.
    pub fn ends(&self) -> impl Iterator<Item = (u64, Sent)> + '_ {
        self.ends.iter().copied()
    }

    /// Bytes for the socket, and for the stream, that have not left.
    pub fn backlog(&self) -> usize {
        self.waiting.len() + self.out.len()
    }

    /// Credit that the agent has given for its stream and its connection.
    pub fn credit(&self) -> (i64, i64) {
        (self.window, self.window_all)
    }

    /// For a failure's report.
    pub fn describe(&self) -> String {
        format!(
            "credit {} of {}, given {:?} of {}, to return {}, {:?}",
            self.window, self.window_all, self.given, self.given_all, self.to_return, self.habits
        )
    }

    /// Queues a packet for the agent's stream.
    pub fn send(&mut self, packet: &[u8], sent: Sent) {
        self.waiting.extend(packet);
        self.messages.push_back((self.waiting.len(), sent));
    }

    /// Turns waiting bytes into DATA, as credit and the socket allow.
    pub fn pump(&mut self, dice: &mut Dice) {
        let Some(stream) = self.stream else { return };
        while !self.waiting.is_empty() && self.out.len() < SOCKET_BYTES && !self.is_mute {
            let credit = usize::try_from(self.window.min(self.window_all)).unwrap_or(0);
            let most = self.habits.data_max;
            let wanted = if most < 16_000 {
                dice.between(16, most)
            } else {
                most
            };
            let size = wanted.min(self.waiting.len()).min(credit);
            if size == 0 {
                return;
            }
            self.put_data(dice, stream, size, credit);
        }
    }

    fn put_data(&mut self, dice: &mut Dice, stream: u32, size: usize, credit: usize) {
        let data: Vec<u8> = self.waiting.drain(..size).collect();
        let mut padding = dice.between(0, 255);
        if !dice.chance(self.habits.padding) || size + padding + 1 > credit.min(16_000) {
            padding = 0;
        }
        let (head, flags) = match padding {
            0 => (0, 0),
            _ => (1, frames::PADDED),
        };
        let mut payload = Vec::with_capacity(head + size + padding);
        payload.extend(std::iter::repeat_n(u8::try_from(padding).unwrap(), head));
        payload.extend_from_slice(&data);
        payload.extend(std::iter::repeat_n(0, padding));
        let used = i64::try_from(payload.len()).unwrap();
        self.window -= used;
        self.window_all -= used;
        let start = self.written;
        self.put(&frame(frames::DATA, flags, stream, &payload), None);
        while let Some((end, sent)) = self.messages.front().copied() {
            if end > size {
                break;
            }
            self.messages.pop_front();
            // A record is decrypted as a whole; without TLS a message is whole at its last byte.
            let at = match self.tls {
                None => start + (9 + head + end) as u64,
                Some(_) => self.written,
            };
            self.ends.push_back((at, sent));
        }
        for (end, _) in &mut self.messages {
            *end -= size;
        }
    }

    /// Accepts the stream of packets.
    pub fn accept(&mut self, dice: &mut Dice, stream: u32) {
        let fields = [("content-type", "application/grpc")];
        let block = self.encoder.block(dice, true, &fields);
        self.put_block(dice, stream, &block, 0, None);
        self.stream = Some(stream);
        self.window = self.window_initial;
        self.send(
            &packets::encode("AgentGatewayConnectOK", &[], b""),
            Sent::Nothing,
        );
        self.pump(dice);
    }

    /// Answers a unary call.
    pub fn answer(&mut self, dice: &mut Dice, stream: u32, connect: bool) {
        let fields = [("content-type", "application/grpc")];
        let block = self.encoder.block(dice, true, &fields);
        self.put_block(dice, stream, &block, 0, None);
        let status = if connect { "CONNECT" } else { "BACKOFF" };
        let message = packets::encode_answer(status);
        self.window_all -= i64::try_from(message.len()).unwrap();
        self.put(&frame(frames::DATA, 0, stream, &message), None);
        let block = self.encoder.block(dice, false, &[("grpc-status", "0")]);
        self.put_block(
            dice,
            stream,
            &block,
            frames::END_STREAM,
            Some(Sent::Answered(connect)),
        );
    }

    /// Ends a call with a status; as trailers, or as the whole answer.
    pub fn refuse(&mut self, dice: &mut Dice, stream: u32, code: u32, sent: Sent) {
        let (code, message) = (code.to_string(), "invalid authentication");
        let is_first = self.stream != Some(stream);
        let mut fields = vec![("grpc-status", &code[..]), ("grpc-message", message)];
        if is_first {
            fields.insert(0, ("content-type", "application/grpc"));
        } else {
            self.drop_waiting();
        }
        let block = self.encoder.block(dice, is_first, &fields);
        self.put_block(dice, stream, &block, frames::END_STREAM, Some(sent));
    }

    /// What no frame has begun is never sent.
    pub(crate) fn drop_waiting(&mut self) {
        self.waiting.clear();
        self.messages.clear();
        self.stream = None;
    }

    fn put_block(
        &mut self,
        dice: &mut Dice,
        stream: u32,
        block: &[u8],
        flags: u8,
        sent: Option<Sent>,
    ) {
        if block.len() > 2 && dice.chance(200) {
            let (first, rest) = block.split_at(dice.between(1, block.len() - 1));
            self.put(&frame(frames::HEADERS, flags, stream, first), None);
            let last = frame(frames::CONTINUATION, frames::END_HEADERS, stream, rest);
            return self.put(&last, sent);
        }
        let flags = flags | frames::END_HEADERS;
        self.put(&frame(frames::HEADERS, flags, stream, block), sent);
    }

    /// A frame that any peer may send; not more than the agent tolerates.
    pub fn nuisance(&mut self, bytes: &[u8]) {
        if self.nuisances > 0 {
            self.nuisances -= 1;
            self.put(bytes, None);
        }
    }

    /// A second has passed.
    pub fn calm_down(&mut self) {
        self.nuisances = NUISANCES;
    }

    /// Sends bytes after which the agent can't go on with this link.
    pub fn ruin(&mut self, bytes: &[u8]) {
        self.put(bytes, Some(Sent::Fatal));
        self.is_mute = true;
    }

    /// Sends bytes inside the stream that end it, whatever credit there is.
    pub fn ruin_stream(&mut self, bytes: &[u8]) {
        if let Some(stream) = self.stream
            && self.waiting.is_empty()
            && self.window.min(self.window_all) > bytes.len() as i64
        {
            self.ruin(&frame(frames::DATA, 0, stream, bytes));
        }
    }

    /// Half a frame and nothing more.
    pub fn half_a_frame(&mut self, dice: &mut Dice) {
        let bytes = frames::settings(&[(frames::SETTING_WINDOW, 70_000)]);
        let size = dice.between(1, bytes.len() - 1);
        self.put(&bytes[..size], None);
        self.is_mute = true;
    }

    pub fn go_away(&mut self, last_stream: u32) {
        self.put(&frames::go_away(last_stream, 0, b"bye"), Some(Sent::GoAway));
    }

    pub fn reset_stream(&mut self, code: u32) {
        if let Some(stream) = self.stream {
            self.drop_waiting();
            let bytes = frame(frames::RST_STREAM, 0, stream, &code.to_be_bytes());
            self.put(&bytes, Some(Sent::Fatal));
        }
    }
}
