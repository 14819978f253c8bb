//! A user, an exchange and a service in one call.

use std::time::{Duration, Instant};

use hoop_lite::base::ByteBuf;
use hoop_lite::web::{Current, Exchange, Outlet, Site, Step, View, Wanted, Wires};

use super::Fate;
use super::strict;

pub const CLIENT: &str = "http://127.0.0.1:8081";
pub const LISTENER: &str = "https://hoop.example";

/// Must reach every request and no user.
pub const SECRET: &str = "injected-s3cret";

struct World {
    site: Site,
    exchange: Exchange,
    from_client: ByteBuf,
    from_remote: ByteBuf,
    packets: Vec<Vec<u8>>,
    /// What the service was sent, by connection.
    sent: Vec<Vec<u8>>,
    is_open: bool,
    now: Instant,
    finished: Option<(bool, bool)>,
}

impl World {
    fn new(base_url: &str) -> Self {
        let variables = [
            ("REMOTE_URL", &b"http://app:3000"[..]),
            ("HEADER_X_KEY", SECRET.as_bytes()),
        ];
        let wanted = Wanted {
            variables: &variables,
        };
        let now = Instant::now();
        Self {
            site: Site::of_httpproxy(&wanted).unwrap_or_else(|error| panic!("{}", error.0)),
            exchange: Exchange::new(View::parse(base_url.as_bytes()).unwrap(), now),
            from_client: ByteBuf::new(),
            from_remote: ByteBuf::new(),
            packets: Vec::new(),
            sent: Vec::new(),
            is_open: false,
            now,
            finished: None,
        }
    }

    fn run(&mut self) {
        while self.finished.is_none() {
            let mut nobody = Vec::new();
            let to_remote = match self.is_open {
                true => self.sent.last_mut().unwrap(),
                false => &mut nobody,
            };
            let step = self.exchange.step(&mut Wires {
                site: &self.site,
                current: Current::default(),
                from_client: &mut self.from_client,
                from_remote: &mut self.from_remote,
                to_remote,
                outlet: Outlet {
                    packets: &mut self.packets,
                    packet_bytes: 1 << 20,
                    may_hold: true,
                    now: self.now,
                },
            });
            assert!(nobody.is_empty());
            match step {
                Step::Wait => return,
                Step::Dial { .. } => {
                    self.is_open = true;
                    self.sent.push(Vec::new());
                    self.exchange.connected(self.now, false);
                }
                Step::HangUp => {
                    self.is_open = false;
                    self.from_remote.clear();
                }
                Step::Finished { is_told, is_kept } => self.finished = Some((is_told, is_kept)),
            }
        }
    }

    fn user(&mut self, bytes: &[u8]) {
        if self.exchange.packet(self.now, &mut self.from_client, bytes) {
            let sent = self.sent.last_mut().filter(|_| self.is_open);
            sent.unwrap().extend_from_slice(bytes);
        }
        self.run();
    }
}

/// What a service heard of a user's bytes.
pub struct Heard {
    connections: Vec<Vec<u8>>,
    told: Vec<u8>,
    is_over: bool,
}

/// A user sends these bytes in pieces; the service answers each request when it is whole.
pub fn ask(base_url: &str, bytes: &[u8], size: usize) -> Heard {
    let mut world = World::new(base_url);
    let mut answered = 0;
    for piece in bytes.chunks(size.min(bytes.len().max(1))) {
        if world.finished.is_some() {
            break;
        }
        world.user(piece);
        while world.finished.is_none() && world.is_open {
            let whole: usize = world
                .sent
                .iter()
                .map(|sent| strict::requests(sent).0.len())
                .sum();
            if whole == answered {
                break;
            }
            answered = whole;
            world
                .from_remote
                .extend(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            world.run();
        }
    }
    let is_over = world.finished.is_some_and(|(is_told, _)| is_told);
    Heard {
        connections: world.sent,
        told: world.packets.concat(),
        is_over,
    }
}

impl Heard {
    /// The targets of all whole requests.
    pub fn targets(&self) -> Vec<String> {
        let all = self
            .connections
            .iter()
            .flat_map(|sent| strict::requests(sent).0);
        all.map(|request| request.target).collect()
    }

    pub fn fate(&self) -> Fate {
        let targets = self.targets();
        let told = String::from_utf8_lossy(&self.told);
        let refusal = told
            .split("HTTP/1.1 ")
            .skip(1)
            .find(|answer| !answer.starts_with('2') && !answer.starts_with('1'));
        let status = refusal.map(|answer| answer[..3].parse().unwrap());
        let leaked: &'static [&'static str] = Vec::leak(
            targets
                .into_iter()
                .map(|target| &*String::leak(target))
                .collect(),
        );
        match (status.filter(|_| self.is_over), leaked) {
            (Some(status), []) => Fate::Refused(status),
            (Some(status), targets) => Fate::AskedThenRefused(targets, status),
            (None, targets) => Fate::Asked(targets),
        }
    }

    /// What the service could read in another way, or the user must not see.
    pub fn fault(&self) -> Option<String> {
        if self
            .told
            .windows(SECRET.len())
            .any(|bytes| bytes == SECRET.as_bytes())
        {
            return Some("the user was told the secret".to_owned());
        }
        for sent in &self.connections {
            let (requests, rest) = strict::requests(sent);
            if let Err(fault) = rest {
                return Some(format!("{fault}: {}", sent.escape_ascii()));
            }
            let is_marked = |request: &strict::Request| {
                request.values("x-key") == [SECRET] && request.values("host") == ["app:3000"]
            };
            if !requests.iter().all(is_marked) {
                return Some(format!(
                    "a request without our headers, once: {}",
                    sent.escape_ascii()
                ));
            }
        }
        None
    }
}

/// What a user was told of a service's bytes.
#[derive(Debug)]
pub struct Told {
    packets: Vec<Vec<u8>>,
    finished: Option<(bool, bool)>,
    is_open: bool,
}

/// A user asks, and these bytes come in pieces and then the end.
pub fn asked_for(base_url: &str, bytes: &[u8], size: usize) -> Told {
    let mut world = World::new(base_url);
    world.user(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    for piece in bytes.chunks(size.min(bytes.len().max(1))) {
        if world.finished.is_none() && world.is_open {
            world.from_remote.extend(piece);
            world.run();
        } else {
            // As the owner does with a kept connection that says something.
            world.finished = world.finished.map(|(is_told, _)| (is_told, false));
        }
    }
    let is_open = match world.finished {
        Some((_, is_kept)) => is_kept,
        None => {
            world.is_open
                && world
                    .exchange
                    .deadline()
                    .is_some_and(|at| at > world.now + Duration::from_secs(2))
        }
    };
    if world.finished.is_none() && world.is_open {
        world.exchange.remote_ended(false);
        world.run();
    }
    Told {
        packets: world.packets,
        finished: world.finished,
        is_open,
    }
}

impl Told {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.packets.concat()).into_owned()
    }

    /// The final answer: its head's lines, and what follows.
    fn final_answer(&self) -> Option<(Vec<String>, Vec<u8>)> {
        let mut bytes = self.packets.concat();
        loop {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let rest = bytes.split_off(end + 4);
            if !head.starts_with("HTTP/1.1 1") {
                return Some((head.split("\r\n").map(str::to_owned).collect(), rest));
            }
            bytes = rest;
        }
    }

    pub fn status(&self) -> u16 {
        self.final_answer()
            .map_or(0, |(head, _)| head[0][9..12].parse().unwrap())
    }

    /// The body, without its framing.
    pub fn body(&self) -> Option<Vec<u8>> {
        let (head, rest) = self.final_answer()?;
        match head.iter().any(|line| line == "Transfer-Encoding: chunked") {
            true => strict::chunked(&rest).map(|(body, _)| body),
            false => Some(rest),
        }
    }

    /// A user can see that nothing is missing.
    pub fn is_whole(&self) -> bool {
        let Some((head, rest)) = self.final_answer() else {
            return false;
        };
        let length = head
            .iter()
            .find_map(|line| line.strip_prefix("Content-Length:"));
        let is_chunked = head.iter().any(|line| line == "Transfer-Encoding: chunked");
        match (length, is_chunked) {
            (Some(_), true) => false,
            (Some(length), false) => length.trim().parse() == Ok(rest.len()),
            (None, true) => strict::chunked(&rest).is_some_and(|(_, left)| left == 0),
            (None, false) => {
                let has_none = ["HTTP/1.1 204", "HTTP/1.1 304"]
                    .iter()
                    .any(|start| head[0].starts_with(start));
                has_none && rest.is_empty() || self.finished.is_some_and(|(is_told, _)| is_told)
            }
        }
    }

    /// Whether the service's connection would serve another request.
    pub fn is_reused(&self) -> bool {
        self.is_open
    }
}
