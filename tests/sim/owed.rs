//! What each client must hear, in which order, and what it has heard.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::packets::{self, Got};

/// The next packet of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owed {
    OpenOk,
    Close(u16),
    ConnectionClose(u32),
    /// Payload of a relay's channel, as it was read.
    Data {
        relay: usize,
        channel: usize,
        len: usize,
    },
    /// The answer to a request of the gateway.
    Refusal,
}

/// By link and session. A link that is gone owes nothing any more, but what still comes over it
/// must be what it owed.
#[derive(Default)]
pub struct Owing {
    link: u32,
    owed: BTreeMap<(u32, u32), VecDeque<Owed>>,
    /// Links that were lost at a deadline, perhaps together with others.
    lenient: BTreeSet<u32>,
}

impl Owing {
    /// The number of the link that is in use.
    pub fn link(&self) -> u32 {
        self.link
    }

    pub fn owe(&mut self, sid: u32, what: Owed) {
        self.owed
            .entry((self.link, sid))
            .or_default()
            .push_back(what);
    }

    /// With `is_lenient`, deadlines of sessions may have passed in the same moment, and their
    /// closes may still have been said.
    pub fn next_link(&mut self, is_lenient: bool) {
        if is_lenient {
            self.lenient.insert(self.link);
        }
        self.link += 1;
    }

    /// A packet came out at the gateway; it must be the one that is owed next.
    pub fn receive(&mut self, link: u32, sid: u32, got: &Got) -> Owed {
        let queue = self.owed.get_mut(&(link, sid));
        let Some(owed) = queue.and_then(VecDeque::pop_front) else {
            if self.lenient.contains(&link) && got.kind.ends_with("Close") {
                return Owed::Refusal;
            }
            panic!("sid {sid} got {} and was owed nothing", describe(got));
        };
        if self.owed[&(link, sid)].is_empty() {
            self.owed.remove(&(link, sid));
        }
        let is_it = match owed {
            Owed::OpenOk => got.kind == "ClientSessionOpenOK",
            Owed::Close(code) => {
                got.kind == "ClientSessionClose" && got.text(packets::EXIT_CODE) == code.to_string()
            }
            Owed::ConnectionClose(connection) => {
                got.kind == "ClientTCPConnectionClose" && is_for(got, connection)
            }
            Owed::Data { channel: 1, .. } => got.kind == "ClientWriteStderr",
            Owed::Data { .. } => {
                matches!(
                    &got.kind[..],
                    "ClientWriteStdout" | "ClientTCPConnectionWrite"
                )
            }
            Owed::Refusal => got.kind == "SysBareExecResponse",
        };
        assert!(
            is_it,
            "sid {sid} was owed {owed:?} and got {}",
            describe(got)
        );
        owed
    }

    /// Some client waits to hear that its session is over.
    pub fn owes_close(&self) -> bool {
        let is_close = |owed: &Owed| matches!(owed, Owed::Close(_));
        let mut queues = self.owed.range((self.link, 0)..);
        queues.any(|(_, queue)| queue.iter().any(is_close))
    }

    /// The link in use has delivered everything.
    pub fn check_paid(&self) {
        let left: Vec<_> = self.owed.range((self.link, 0)..).collect();
        assert!(left.is_empty(), "clients wait for {left:?}");
    }
}

/// It names this connection.
pub fn is_for(got: &Got, connection: u32) -> bool {
    got.text(packets::CONNECTION_ID) == connection.to_string()
}

fn describe(got: &Got) -> String {
    let size = got.payload.len();
    let code = got.text(packets::EXIT_CODE);
    let connection = got.text(packets::CONNECTION_ID);
    let text = String::from_utf8_lossy(&got.payload[..size.min(100)]);
    format!(
        "{} connection={connection} code={code} {size} bytes ({text})",
        got.kind
    )
}
