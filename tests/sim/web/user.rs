//! A user: one connection id, its requests, and the answers as his program or the gateway's listener reads them.

use std::collections::{BTreeMap, VecDeque};

use crate::content::Content;
use crate::dice::Dice;

use super::service::unchunked;
use super::{Fate, KEY};

const CLIENT: &str = "http://127.0.0.1:8081";
const LISTENER: &str = "https://hoop.example:18888";
const ENDLESS: usize = 9_007_199_254_740_991;
const REQUESTS_MAX: usize = 12;

#[derive(Debug)]
pub struct User {
    is_listener: bool,
    unsent: VecDeque<u8>,
    /// What he waits for: numbers, and whether it is HEAD.
    asked: VecDeque<(u32, bool)>,
    count: usize,
    got: Vec<u8>,
    has_sent: bool,
    is_over: bool,
    pub has_left: bool,
}

impl User {
    pub fn new(dice: &mut Dice) -> Self {
        Self {
            is_listener: dice.chance(500),
            unsent: VecDeque::new(),
            asked: VecDeque::new(),
            count: 0,
            got: Vec::new(),
            has_sent: false,
            is_over: false,
            has_left: false,
        }
    }

    pub fn is_there(&self) -> bool {
        !self.is_over && !self.has_left
    }

    /// The agent knows him.
    pub fn is_attached(&self) -> bool {
        self.is_there() && self.has_sent
    }

    pub fn can_ask(&self) -> bool {
        self.is_there() && !self.is_listener && self.count < REQUESTS_MAX
    }

    pub fn has_unsent(&self) -> bool {
        self.is_there() && !self.unsent.is_empty()
    }

    /// He has asked and has no answer, though nobody has told him that there will be none.
    pub fn waits(&self) -> bool {
        self.is_there() && !self.asked.is_empty()
    }

    pub fn ask(&mut self, dice: &mut Dice, number: u32) {
        self.count += 1;
        let (version, host) = match self.is_listener {
            true => (dice.pick(&["1.1", "2.0"]), "hoop.example:18888"),
            false => ("1.1", "127.0.0.1:8081"),
        };
        let method = dice.pick(&["GET", "GET", "HEAD", "POST"]);
        let start =
            format!("{method} /n{number} HTTP/{version}\r\nHost: {host}\r\nX-Key: mine\r\n");
        self.unsent.extend(start.as_bytes());
        self.asked.push_back((number, method == "HEAD"));
        if method != "POST" {
            return self.unsent.extend(b"\r\n");
        }
        let most = dice.pick(&[10, 3_000, 60_000]);
        let body = Content(u64::from(number)).bytes(0, dice.size(most));
        if !self.is_listener && dice.chance(300) {
            self.unsent.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(1_000) {
                self.unsent
                    .extend(format!("{:X}\r\n", chunk.len()).as_bytes());
                self.unsent.extend(chunk);
                self.unsent.extend(b"\r\n");
            }
            return self.unsent.extend(b"0\r\n\r\n");
        }
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        self.unsent.extend(length.as_bytes());
        self.unsent.extend(body);
    }

    /// The next packet. The listener has read the request whole, and cuts it where it is 4 MiB long.
    pub fn next_piece(&mut self, dice: &mut Dice, is_mending: bool) -> (&'static str, Vec<u8>) {
        self.has_sent = true;
        let all = self.unsent.len();
        let size = match self.is_listener {
            true => all,
            false if is_mending => all.min(32 * 1024),
            false => dice.size(all).clamp(1, 32 * 1024).min(all),
        };
        let base_url = if self.is_listener { LISTENER } else { CLIENT };
        (base_url, self.unsent.drain(..size).collect())
    }

    /// Reads what has come; how many answers of the service it has completed.
    pub fn hear(&mut self, payload: &[u8], fates: &BTreeMap<u32, Fate>) -> usize {
        assert!(self.is_there(), "a word too many: {self:?}");
        assert!(!payload.is_empty());
        assert!(
            !self.is_listener
                || !self.got.is_empty()
                || payload.windows(4).any(|at| at == b"\r\n\r\n"),
            "the listener's first packet has no whole head"
        );
        self.got.extend_from_slice(payload);
        for never in [KEY, "EVIL"] {
            assert!(
                !self
                    .got
                    .windows(never.len())
                    .any(|at| at == never.as_bytes()),
                "he sees {never}"
            );
        }
        let mut count = 0;
        while let Some((used, is_services)) = self.read(fates, false) {
            self.got.drain(..used);
            self.asked.pop_front();
            count += usize::from(is_services);
            assert!(
                !self.is_listener || self.got.is_empty(),
                "more than an answer"
            );
        }
        count
    }

    /// His connection is closed: what has come is all.
    pub fn hear_end(&mut self, fates: &BTreeMap<u32, Fate>) -> usize {
        assert!(self.is_there(), "an end too many: {self:?}");
        let outcome = self.read(fates, true);
        self.is_over = true;
        outcome.map_or(0, |(_, is_services)| usize::from(is_services))
    }

    /// The answer at the beginning, if it is whole: its bytes, and whether it is the service's.
    fn read(&self, fates: &BTreeMap<u32, Fate>, is_end: bool) -> Option<(usize, bool)> {
        let got = &self.got[..];
        let mut start = 0;
        let (head, body_at) = loop {
            let end = got[start..].windows(4).position(|at| at == b"\r\n\r\n")? + 4;
            let head = std::str::from_utf8(&got[start..start + end]).unwrap();
            start += end;
            if !head.starts_with("HTTP/1.1 103 ") {
                break (head, start);
            }
            assert!(!self.is_listener, "the listener takes no 103");
        };
        let (number, is_head) = *self.asked.front().expect("an answer that nobody asked for");
        let field = |name: &str| {
            let mut fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
            let found = fields.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim())
        };
        let status = &head[9..12];
        let is_services = status == "200" || field("x-late").is_some();
        if status == "200" {
            assert_eq!(
                field("x-number"),
                Some(&*number.to_string()),
                "of another request"
            );
        } else if let Some(late) = field("x-late") {
            assert_eq!(late, number.to_string());
        } else {
            assert!(["502", "503", "504"].contains(&status), "{head}");
        }
        let rest = &got[body_at..];
        let length: Option<usize> = field("content-length").map(|text| text.parse().unwrap());
        let is_chunked = field("transfer-encoding").is_some();
        assert!(!(self.is_listener && is_chunked));
        let (body, used) = match (length, is_chunked) {
            _ if is_head => (Vec::new(), 0),
            (Some(ENDLESS), _) | (None, false) if is_end => (rest.to_vec(), rest.len()),
            (Some(length), _) if rest.len() >= length => (rest[..length].to_vec(), length),
            (_, true) if unchunked(rest).is_some() => unchunked(rest).unwrap(),
            _ => {
                if status == "200" && !is_chunked {
                    Content(u64::from(number)).check(0, rest, "an answer under way");
                }
                let is_fair = !is_end || fates[&number] == Fate::Spoilt;
                assert!(
                    is_fair,
                    "cut without a reason: {number} {:?}",
                    fates[&number]
                );
                return None;
            }
        };
        if status == "200" {
            Content(u64::from(number)).check(0, &body, "an answer");
            let fate = fates[&number];
            let is_told = length != Some(ENDLESS) && (length.is_some() || is_chunked);
            if let Fate::Whole(size) = fate {
                assert_eq!(body.len(), size, "{number}");
            } else {
                assert!(!is_told, "{number} is whole, and was not: {fate:?}");
            }
        }
        Some((body_at + used, is_services))
    }
}
