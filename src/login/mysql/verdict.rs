//! What the server makes of us: it lets us in, or not, or wants something else.

use super::messages::{self, Verdict};
use super::proofs::{Plugin, SCRAMBLE_BYTES, challenge};
use super::refusal::{VERDICT_SEQUENCE, pass_error, unknown_plugin};
use super::state::{ExpectKey, ExpectVerdict, Next, Outcome};
use crate::base::Secret;
use crate::login::rsa::PublicKey;
use crate::login::{Cause, Exchange, Refusal, Relay, Step};

impl ExpectVerdict {
    pub(super) fn handle(mut self, exchange: &mut Exchange<'_>) -> Outcome {
        let packet = messages::packet(exchange.from_server.filled())?;
        let Some((sequence, payload)) = packet else {
            return Next::wait(self);
        };
        let len = messages::HEADER_BYTES + payload.len();
        let sequence = sequence.wrapping_add(1);
        let is_caching = self.plugin == Plugin::CachingSha2;
        match messages::verdict(payload) {
            Verdict::Ok => {
                let packet = messages::framed(VERDICT_SEQUENCE, &[payload]);
                exchange.to_client.packet(&packet);
                exchange.from_server.consume(len);
                Ok(Next::Leave(Step::Passed(self.relay(exchange))))
            }
            Verdict::Error(code) => Err(pass_error(
                code,
                VERDICT_SEQUENCE,
                payload,
                exchange.to_client,
            )),
            Verdict::Switch(name, data) if !self.has_switched => {
                self.plugin = Plugin::named(name).ok_or_else(|| unknown_plugin(name))?;
                self.challenge = challenge(data);
                self.has_switched = true;
                exchange.from_server.consume(len);
                self.prove(sequence, exchange)
            }
            Verdict::More([FAST_OK]) if is_caching => {
                exchange.from_server.consume(len);
                Next::go(self)
            }
            Verdict::More([FULL]) if is_caching => {
                exchange.from_server.consume(len);
                self.send_password(sequence, exchange)
            }
            _ => Err(messages::protocol(messages::NOT_MYSQL)),
        }
    }

    fn prove(self, sequence: u8, exchange: &mut Exchange<'_>) -> Outcome {
        let password = self.account.password.expose();
        match self.plugin.proof(password, &self.challenge) {
            Some(proof) => {
                let packet = messages::framed(sequence, &[&proof]);
                exchange.to_server.put(&packet);
                Next::go(self)
            }
            None => self.send_password(sequence, exchange),
        }
    }

    /// Over TLS as it is, and else under the server's key, if it has one and the operator allows it.
    fn send_password(mut self, sequence: u8, exchange: &mut Exchange<'_>) -> Outcome {
        if self.is_secure {
            let parts = [self.account.password.expose(), b"\0"];
            let packet = Secret::new(messages::framed(sequence, &parts));
            exchange.to_server.put(packet.expose());
            self.has_told = true;
            return Next::go(self);
        }
        match (self.plugin.key_request(), self.account.rsa_seed) {
            (Some(request), Some(seed)) => {
                let packet = messages::framed(sequence, &[&[request]]);
                exchange.to_server.put(&packet);
                Next::go(ExpectKey { login: self, seed })
            }
            (Some(_), None) => Err(Refusal::new(
                Cause::Unsupported,
                "the MySQL server wants the password itself, which needs TLS: enable TLS on the \
                 server (SSLMODE prefer or require), or set MYSQL_RSA to true if nobody can be in \
                 between",
            )),
            (None, _) => Err(Refusal::new(
                Cause::Unsupported,
                "the MySQL server wants the password in clear text, which needs TLS: enable TLS on \
                 the server (SSLMODE prefer or require)",
            )),
        }
    }

    /// What came in the same breath must not wait for readiness that does not come again. Some
    /// drivers send their first commands with the response.
    fn relay(self, exchange: &mut Exchange<'_>) -> Relay {
        let is_blind = self.has_told && self.account.trusts_anybody();
        let mut relay = Relay::mysql().trusting_blindly(is_blind);
        let late = exchange.from_server.filled();
        relay.server_sent(late);
        if !late.is_empty() {
            exchange.to_client.packet(late);
        }
        let early = exchange.from_client.filled();
        relay.client_sent(early);
        if !early.is_empty() {
            exchange.to_server.put(early);
        }
        exchange.from_server.clear();
        exchange.from_client.clear();
        relay
    }
}

/// The proof was right; the verdict follows.
const FAST_OK: u8 = 3;
/// The server can't check the proof, and wants the password.
const FULL: u8 = 4;

impl ExpectKey {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        let packet = messages::packet(exchange.from_server.filled())?;
        let Some((sequence, payload)) = packet else {
            return Next::wait(self);
        };
        let key = match messages::verdict(payload) {
            Verdict::More(key) => PublicKey::from_pem(key),
            Verdict::Error(code) => {
                let to_client = &mut *exchange.to_client;
                return Err(pass_error(code, VERDICT_SEQUENCE, payload, to_client));
            }
            _ => None,
        };
        let Some(key) = key else {
            return Err(messages::protocol(
                "the MySQL server showed no RSA key of 1024 to 4096 bits: enable TLS on it (SSLMODE \
                 prefer or require)",
            ));
        };
        let len = messages::HEADER_BYTES + payload.len();
        let login = self.login;
        let mut text = [login.account.password.expose(), b"\0"].concat();
        let masks = login.challenge[..SCRAMBLE_BYTES].iter().cycle();
        text.iter_mut()
            .zip(masks)
            .for_each(|(byte, mask)| *byte ^= mask);
        let text = Secret::new(text);
        let encrypted = key.encrypt(text.expose(), &self.seed).ok_or_else(|| {
            Refusal::new(
                Cause::Unsupported,
                "PASS is too long for the MySQL server's RSA key: enable TLS on the server (SSLMODE \
                 prefer or require)",
            )
        })?;
        let packet = messages::framed(sequence.wrapping_add(1), &[&encrypted]);
        exchange.to_server.put(&packet);
        exchange.from_server.consume(len);
        Next::go(login)
    }
}
