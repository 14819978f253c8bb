//! From the server's consent to its first ReadyForQuery: everything is passed on, cut so that hoop's
//! client finds the backend's key.
//!
//! The key may never come, and notices may stand anywhere.

use super::messages;
use super::refusal::server_refused;
use super::state::{ExpectReady, Next, Outcome};
use crate::login::{Exchange, Refusal, Relay};

/// A message that is passed on by itself, as a whole.
struct Special {
    kind: u8,
    len: usize,
}

impl ExpectReady {
    pub(super) fn new(relay: Relay) -> Self {
        Self {
            relay,
            left: 0,
            has_key: false,
        }
    }

    pub(super) fn is_within_message(&self) -> bool {
        self.left > 0
    }

    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let (ordinary, special) = self.survey(exchange.from_server.filled())?;
        let bytes = &exchange.from_server.filled()[..ordinary];
        self.relay.pass(bytes, exchange.to_client);
        exchange.from_server.consume(ordinary);
        let Some(Special { kind, len }) = special else {
            return Next::wait(self);
        };
        let Some(message) = exchange.from_server.filled().get(..len) else {
            return Next::wait(self);
        };
        match kind {
            b'E' => return Err(server_refused(message, exchange.to_client)),
            b'K' if std::mem::replace(&mut self.has_key, true) => {
                return Err(Refusal::protocol(
                    "the server gave two keys for cancelling: check HOST and PORT of the connection",
                ));
            }
            b'K' => {
                if let Ok(key) = messages::cancel_key(message.get(5..).unwrap_or_default()) {
                    self.relay.keep_cancel_key(key);
                }
            }
            _ => {}
        }
        exchange.to_client.packet(message);
        exchange.from_server.consume(len);
        match kind {
            b'Z' => Next::passed(self.relay, exchange),
            _ => Next::go(self),
        }
    }

    /// How many bytes are ordinary messages or parts of one, and what stands behind them.
    fn survey(&mut self, bytes: &[u8]) -> Result<(usize, Option<Special>), crate::login::Refusal> {
        let mut at = 0;
        loop {
            let part = self.left.min(bytes.len() - at);
            at += part;
            self.left -= part;
            if self.left > 0 {
                return Ok((at, None));
            }
            match messages::head(&bytes[at..])? {
                None => return Ok((at, None)),
                Some((kind @ (b'K' | b'Z' | b'E'), _)) => {
                    let special = messages::message(&bytes[at..])?;
                    let len = special.map_or(usize::MAX, |(_, message)| message.len());
                    return Ok((at, Some(Special { kind, len })));
                }
                Some((_, len)) => self.left = len,
            }
        }
    }
}
