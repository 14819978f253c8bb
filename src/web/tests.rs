//! Exchanges from outside: a user, a service that does as it is told, and a clock.

use std::time::{Duration, Instant};

use super::*;
use crate::base::ByteBuf;
use crate::limits;

mod client;
mod delivery;
mod ends;
mod listener;
mod pieces;
mod rewriting;
mod upgrades;

/// A connection id with all around it.
pub struct Lab {
    pub site: Site,
    pub exchange: Exchange,
    pub from_client: ByteBuf,
    pub from_remote: ByteBuf,
    /// What the user was sent.
    pub packets: Vec<Vec<u8>>,
    /// What the service was sent, a text a connection.
    pub sent: Vec<Vec<u8>>,
    pub now: Instant,
    pub may_hold: bool,
    pub packet_bytes: usize,
    pub features: Features,
    pub pods_token: &'static [u8],
    /// What a dial comes to; `None` for a connection.
    pub failure: Option<Failure>,
    /// The next connection has served before.
    pub is_used: bool,
    pub hang_ups: usize,
    pub finished: Option<(bool, bool)>,
    is_open: bool,
}

impl Lab {
    pub fn new(remote_url: &str, base_url: &str) -> Self {
        Self::with(&[("REMOTE_URL", remote_url)], base_url)
    }

    pub fn with(variables: &[(&str, &str)], base_url: &str) -> Self {
        let now = Instant::now();
        Self {
            site: Wanted::of_texts(variables, Site::of_httpproxy).unwrap(),
            exchange: Exchange::new(View::parse(base_url.as_bytes()).unwrap(), now),
            from_client: ByteBuf::new(),
            from_remote: ByteBuf::new(),
            packets: Vec::new(),
            sent: Vec::new(),
            now,
            may_hold: true,
            packet_bytes: 1 << 20,
            features: Features {
                client_authorization: true,
                google_tokens: false,
            },
            pods_token: b"Bearer pod",
            failure: None,
            is_used: false,
            hang_ups: 0,
            finished: None,
            is_open: false,
        }
    }

    /// One of the user's own machine.
    pub fn client() -> Self {
        Self::new("http://app:3000", "http://127.0.0.1:8081")
    }

    /// One of the gateway's listener.
    pub fn listener() -> Self {
        Self::new("http://app:3000", "https://hoop.example:18888")
    }

    pub fn user(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let passes = self.exchange.packet(self.now, &mut self.from_client, bytes);
        if passes {
            assert!(self.is_open, "there is no connection");
            self.sent.last_mut().unwrap().extend_from_slice(bytes);
            return self;
        }
        self.run()
    }

    pub fn service(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        assert!(self.is_open, "there is no connection");
        self.from_remote.extend(bytes.as_ref());
        self.run()
    }

    pub fn service_ends(&mut self, is_cut: bool) -> &mut Self {
        assert!(self.is_open, "there is no connection");
        self.exchange.remote_ended(is_cut);
        self.run()
    }

    pub fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.run()
    }

    pub fn run(&mut self) -> &mut Self {
        assert!(self.finished.is_none(), "it is over");
        loop {
            let mut nobody = Vec::new();
            let to_remote = match self.is_open {
                true => self.sent.last_mut().unwrap(),
                false => &mut nobody,
            };
            let mut wires = Wires {
                site: &self.site,
                current: Current {
                    features: self.features,
                    pods_token: Some(self.pods_token),
                },
                from_client: &mut self.from_client,
                from_remote: &mut self.from_remote,
                to_remote,
                outlet: Outlet {
                    packets: &mut self.packets,
                    packet_bytes: self.packet_bytes,
                    may_hold: self.may_hold,
                    now: self.now,
                },
            };
            let step = self.exchange.step(&mut wires);
            assert!(nobody.is_empty(), "sent without a connection");
            match step {
                Step::Wait => return self,
                Step::Dial { is_fresh } => self.dial(is_fresh),
                Step::HangUp => {
                    self.from_remote.clear();
                    self.is_open = false;
                    self.hang_ups += 1;
                }
                Step::Finished { is_told, is_kept } => {
                    assert!(!is_kept || self.is_open, "nothing to keep");
                    self.finished = Some((is_told, is_kept));
                    return self;
                }
            }
        }
    }

    pub fn give_up(&mut self) -> &mut Self {
        let mut outlet = Outlet {
            packets: &mut self.packets,
            packet_bytes: self.packet_bytes,
            may_hold: self.may_hold,
            now: self.now,
        };
        let why = Fault::new(503, "the hoop agent is being stopped");
        self.exchange.give_up(&why, &mut outlet);
        self
    }

    fn dial(&mut self, is_fresh: bool) {
        assert!(!self.is_open, "one connection at a time");
        match self.failure.take() {
            Some(failure) => self.exchange.not_connected(failure),
            None => {
                self.is_open = true;
                self.sent.push(Vec::new());
                let is_used = std::mem::take(&mut self.is_used) && !is_fresh;
                self.exchange.connected(self.now, is_used);
            }
        }
    }

    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// All that the service was sent, by text.
    pub fn asked(&self) -> String {
        String::from_utf8_lossy(&self.sent.concat()).into_owned()
    }

    /// All that the user was sent, and forgets it.
    pub fn answer(&mut self) -> String {
        let packets = std::mem::take(&mut self.packets);
        String::from_utf8_lossy(&packets.concat()).into_owned()
    }
}

/// The head of a request with these fields.
pub fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
