//! A login under test: its client, a simulated server, and what goes between them.

use std::collections::VecDeque;

use super::{CancelKey, Exchange, Keys, Login, Refusal, Relay, Step, TlsWish};
use crate::base::ByteBuf;

/// A simulated server, and what a login of its dialect may do.
pub(super) trait Peer: Sized {
    /// How it behaves.
    type Conduct: Clone;
    /// A login may dial another place than the connection's own.
    const GOES_ELSEWHERE: bool = false;
    /// A login may turn out to be an errand.
    const HAS_ERRANDS: bool = false;

    /// It was dialled, and says this at once.
    fn accept(conduct: Self::Conduct) -> (Self, Vec<u8>);

    /// What it says to these bytes.
    fn hear(&mut self, bytes: &[u8]) -> Vec<u8>;

    /// TLS begins; `false`: it does not expect that.
    fn begin_tls(&mut self, wish: TlsWish) -> bool;

    /// TLS ends, and the connection goes on.
    fn end_tls(&mut self) {
        panic!("not in this dialect");
    }
}

pub(super) enum End {
    Passed(Relay),
    Errand(CancelKey),
    Refused(Refusal),
}

/// See the module.
pub(super) struct World<P: Peer> {
    pub login: Option<Login>,
    pub end: Option<End>,
    /// How the servers behave, in the order in which they are dialled; the last one again and again.
    pub conducts: Vec<P::Conduct>,
    pub server: Option<P>,
    /// The login knows of the server's end.
    pub has_ended: bool,
    /// Bytes of the server that have not arrived yet.
    pub under_way: VecDeque<u8>,
    pub from_client: ByteBuf,
    pub from_server: ByteBuf,
    pub packets: Vec<Vec<u8>>,
    pub keys: Keys,
    pub wishes: Vec<TlsWish>,
    /// Where it has dialled.
    pub places: Vec<Option<(String, u16)>>,
    pub turns: usize,
    /// The certificate does.
    pub is_trusted: bool,
}

impl<P: Peer> World<P> {
    pub fn of(login: Login, conduct: P::Conduct) -> Self {
        Self {
            login: Some(login),
            end: None,
            conducts: vec![conduct],
            server: None,
            has_ended: false,
            under_way: VecDeque::new(),
            from_client: ByteBuf::new(),
            from_server: ByteBuf::new(),
            packets: Vec::new(),
            keys: Keys::new(),
            wishes: Vec::new(),
            places: Vec::new(),
            turns: 0,
            is_trusted: true,
        }
    }

    /// Calls the login once, and lets the server hear what it says.
    pub fn with(&mut self, call: fn(Login, &mut Exchange<'_>) -> Step<Login>) {
        let Some(login) = self.login.take() else {
            return;
        };
        let mut sent = Vec::new();
        let step = call(
            login,
            &mut Exchange {
                from_client: &mut self.from_client,
                from_server: &mut self.from_server,
                to_client: &mut self.packets,
                to_server: &mut sent,
                keys: &mut self.keys,
            },
        );
        if let Some(server) = &mut self.server {
            self.under_way.extend(server.hear(&sent));
        }
        match step {
            Step::Wait(login) => self.login = Some(login),
            Step::Dial(login, place) => {
                assert!(place.is_none() || P::GOES_ELSEWHERE, "{place:?}");
                self.login = Some(login);
                let at = self.places.len().min(self.conducts.len() - 1);
                self.places.push(place.map(|it| (it.host, it.port)));
                let (server, greeting) = P::accept(self.conducts[at].clone());
                (self.server, self.under_way) = (Some(server), greeting.into());
                self.has_ended = false;
                self.step();
            }
            Step::StartTls(login, wish) => {
                assert!(self.from_server.is_empty());
                self.login = Some(login);
                self.wishes.push(wish);
                let server = self.server.as_mut().unwrap();
                match self.is_trusted && server.begin_tls(wish) {
                    true => self.with(Login::tls_started),
                    false => self.with(|login, exchange| login.tls_failed("not trusted", exchange)),
                }
            }
            Step::EndTls(login) => {
                self.login = Some(login);
                self.server.as_mut().unwrap().end_tls();
                self.step();
            }
            Step::Passed(relay) => self.end = Some(End::Passed(relay)),
            Step::Errand(key) if P::HAS_ERRANDS => self.end = Some(End::Errand(key)),
            Step::Refused(refusal) => self.end = Some(End::Refused(refusal)),
            _ => panic!("not in this dialect"),
        }
    }

    pub fn step(&mut self) {
        self.with(Login::step);
    }

    /// The client says this, in pieces of this size.
    pub fn say(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            self.from_client.extend(piece);
            self.step();
        }
    }

    /// Up to `bytes_max` of what the server has said arrive; answers how many.
    pub fn deliver(&mut self, bytes_max: usize) -> usize {
        let len = self.under_way.len().min(bytes_max);
        if len > 0 {
            let bytes: Vec<u8> = self.under_way.drain(..len).collect();
            self.from_server.extend(&bytes);
            self.step();
        }
        len
    }

    /// How often it has dialled.
    pub fn dials(&self) -> usize {
        self.places.len()
    }

    pub fn relay(&self) -> &Relay {
        match &self.end {
            Some(End::Passed(relay)) => relay,
            Some(End::Refused(refusal)) => panic!("{refusal:?}"),
            _ => panic!("no login"),
        }
    }

    pub fn refusal(&self) -> &Refusal {
        match &self.end {
            Some(End::Refused(refusal)) => refusal,
            _ => panic!("not refused"),
        }
    }
}
