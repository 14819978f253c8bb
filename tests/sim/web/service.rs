//! One connection to the service, which reads requests as strictly as a reader can, and answers them in a mood.

use crate::content::Content;
use crate::dice::Dice;

use super::{Fate, KEY, World};

/// How one answer is given.
#[derive(Clone, Copy)]
enum Mood {
    Length,
    Chunked,
    UntilClose,
    /// Breaks off, by an end or a reset.
    Cut {
        is_chunked: bool,
    },
    /// Goes on behind its end, as if more had been asked.
    Surplus,
    TwoLengths,
    Garbage,
    Vanish,
    /// Says nothing until everybody mends his ways.
    Silent,
}

const MOODS: [Mood; 11] = [
    Mood::Length,
    Mood::Chunked,
    Mood::UntilClose,
    Mood::Cut { is_chunked: false },
    Mood::Cut { is_chunked: true },
    Mood::Surplus,
    Mood::TwoLengths,
    Mood::Garbage,
    Mood::Vanish,
    Mood::Silent,
    Mood::Length,
];
const WEIGHTS: [usize; 11] = [30, 20, 8, 5, 5, 5, 2, 2, 5, 3, 20];

/// What nobody asked for; no user may see it.
pub const EVIL: &str = "HTTP/1.1 200 EVIL\r\nContent-Length: 4\r\n\r\nEVIL";

#[derive(Default)]
pub struct Service {
    pub is_open: bool,
    /// The agent says nothing more.
    pub is_shut: bool,
    pub has_ended: bool,
    heard: Vec<u8>,
    said: Vec<u8>,
    /// It ends when all of that is said, by a reset or not.
    ends: Option<bool>,
    /// A number that is answered only in the end.
    silent: Option<(u32, bool)>,
}

struct Asked {
    number: u32,
    is_head: bool,
    /// Bytes of all of it.
    len: usize,
}

impl Service {
    pub fn new() -> Self {
        Self::default()
    }

    /// Stands for one that somebody looks at.
    pub fn gone() -> Self {
        Self::default()
    }

    pub fn hear(&mut self, bytes: &[u8], world: &mut World) {
        self.heard.extend_from_slice(bytes);
        while self.ends.is_none()
            && self.silent.is_none()
            && let Some(asked) = read(&self.heard, world)
        {
            self.heard.drain(..asked.len);
            self.answer(&asked, world);
        }
    }

    fn answer(&mut self, asked: &Asked, world: &mut World) {
        let dice = &mut world.dice;
        let mood = match world.is_mending {
            true => Mood::Length,
            false => MOODS[dice.weighted(&WEIGHTS)],
        };
        let most = dice.pick(&[100, 5_000, 100_000]);
        let size = dice.size(most);
        let number = asked.number;
        let body = Content(u64::from(number)).bytes(0, size);
        let head = format!("HTTP/1.1 200 OK\r\nX-Number: {number}\r\n");
        let mut fate = Fate::Whole(if asked.is_head { 0 } else { size });
        if dice.chance(100) {
            self.say("HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n");
        }
        let cut = dice.between(0, size.saturating_sub(1));
        match mood {
            Mood::Length | Mood::Surplus => {
                self.say(&format!("{head}Content-Length: {size}\r\n\r\n"));
                if !asked.is_head {
                    self.said.extend_from_slice(&body);
                }
                if matches!(mood, Mood::Surplus) {
                    self.say(EVIL);
                }
                if dice.chance(50) {
                    self.ends = Some(false);
                }
            }
            Mood::Chunked => {
                self.say(&format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
                if !asked.is_head {
                    self.chunks(&body);
                    self.say("0\r\n\r\n");
                }
            }
            Mood::UntilClose => {
                self.say(&format!("{head}\r\n"));
                if !asked.is_head {
                    self.said.extend_from_slice(&body);
                }
                self.ends = Some(false);
            }
            Mood::Cut { is_chunked } if size > 0 && !asked.is_head => {
                match is_chunked {
                    true => {
                        self.say(&format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
                        self.chunks(&body[..cut]);
                    }
                    false => {
                        self.say(&format!("{head}Content-Length: {size}\r\n\r\n"));
                        self.said.extend_from_slice(&body[..cut]);
                    }
                }
                self.ends = Some(dice.chance(500));
                fate = Fate::Spoilt;
            }
            Mood::TwoLengths => {
                self.say(&format!(
                    "{head}Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi"
                ));
                fate = Fate::Spoilt;
            }
            Mood::Garbage => {
                self.say("SSH-2.0-OpenSSH_9.2\r\n");
                fate = Fate::Spoilt;
            }
            Mood::Silent => {
                self.silent = Some((number, asked.is_head));
                return;
            }
            Mood::Vanish | Mood::Cut { .. } => {
                self.ends = Some(dice.chance(300));
                // A kept connection's is asked for again.
                fate = Fate::Spoilt;
            }
        }
        // What is asked again may come whole after all; what was whole once stays so.
        let known = world.fates.get_mut(&number).unwrap();
        if *known == Fate::Asked || *known == Fate::Spoilt {
            *known = fate;
        }
    }

    fn say(&mut self, text: &str) {
        self.said.extend_from_slice(text.as_bytes());
    }

    fn chunks(&mut self, body: &[u8]) {
        for chunk in body.chunks(3_001) {
            self.say(&format!("{:x};a=b\r\n", chunk.len()));
            self.said.extend_from_slice(chunk);
            self.say("\r\n");
        }
    }

    /// What comes next of what it says.
    pub fn next_words(&mut self, dice: &mut Dice, is_mending: bool) -> Vec<u8> {
        if is_mending && let Some((number, is_head)) = self.silent.take() {
            let body = if is_head { "" } else { "late" };
            self.say(&format!(
                "HTTP/1.1 503 Late\r\nX-Late: {number}\r\nContent-Length: 4\r\n\r\n{body}"
            ));
        }
        let size = match is_mending {
            true => self.said.len(),
            false => dice.size(self.said.len()).max(1).min(self.said.len()),
        };
        self.said[..size].to_vec()
    }

    pub fn take(&mut self, size: usize) {
        self.said.drain(..size);
    }

    /// Everything was said: how it ends, if it does.
    pub fn end(&mut self, dice: &mut Dice, is_mending: bool) -> Option<bool> {
        let tires =
            !is_mending && dice.chance(20) && self.silent.is_none() && self.heard.is_empty();
        let ends = self.ends.or((self.is_shut || tires).then_some(false));
        ends.filter(|_| !std::mem::replace(&mut self.has_ended, true))
    }
}

/// The next request, if it is whole. Whatever is no request in one reading is the agent's fault.
fn read(heard: &[u8], world: &mut World) -> Option<Asked> {
    let end = heard.windows(4).position(|at| at == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&heard[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let line: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let [method, target, "HTTP/1.1"] = line[..] else {
        panic!("{head}");
    };
    let fields: Vec<(&str, &str)> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    let all = |name: &str| -> Vec<&str> {
        let of_name = fields
            .iter()
            .filter(|(it, _)| it.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| *value).collect()
    };
    assert_eq!(all("host"), ["app:3000"], "{head}");
    assert_eq!(all("x-key"), [KEY], "{head}");
    let number: u32 = target.strip_prefix("/n").unwrap().parse().unwrap();
    assert!(world.fates.contains_key(&number));
    let is_post = method == "POST";
    let body = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Some((Vec::new(), 0)),
        ([length], []) => {
            let length: usize = length.parse().unwrap();
            let body = heard.get(end..end + length);
            body.map(|body| (body.to_vec(), length))
        }
        ([], ["chunked"]) => unchunked(&heard[end..]),
        _ => panic!("two readings: {head}"),
    };
    let (body, len) = body?;
    Content(u64::from(number)).check(0, &body, "an upload");
    assert!(
        !is_post || world.posts.insert(number),
        "POST {number} is asked twice"
    );
    Some(Asked {
        number,
        is_head: method == "HEAD",
        len: end + len,
    })
}

/// A body in chunks, and how long it is with them; `None`: it is not whole.
pub fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let end = bytes[at..].windows(2).position(|end| end == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[at..at + end]).unwrap();
        let size = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
        at += end + 2;
        let chunk = bytes.get(at..at + size + 2)?;
        assert!(chunk.ends_with(b"\r\n"));
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}
