//! What the server makes of us: it lets us in, or not, or wants something else.

use super::messages::{self, Verdict};
use super::proofs::{Plugin, SCRAMBLE_BYTES, challenge};
use super::refusal::{VERDICT_SEQUENCE, pass_error, unknown_plugin};
use super::state::{ExpectKey, ExpectVerdict, Next, Outcome};
use crate::base::Secret;
use crate::login::rsa::PublicKey;
use crate::login::{Cause, Exchange, Refusal, Relay};
use crate::wire::sink::Sink;

impl ExpectVerdict {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let packet = messages::packet(exchange.from_server.filled())?;
        let Some((sequence, payload)) = packet else {
            return Next::wait(self);
        };
        let len = messages::HEADER_BYTES + payload.len();
        self.sequence = sequence.wrapping_add(1);
        let is_caching = self.plugin == Plugin::CachingSha2;
        match messages::verdict(payload) {
            Verdict::Ok => {
                let mut sequence = VERDICT_SEQUENCE;
                // Some clients take a bare OK for a question after a proof of this kind.
                if self.expects_more {
                    let packet = messages::framed(sequence, &[&[1, FAST_OK]]);
                    exchange.to_client.packet(&packet);
                    sequence += 1;
                }
                let packet = messages::framed(sequence, &[payload]);
                exchange.to_client.packet(&packet);
                exchange.from_server.consume(len);
                let is_blind = self.has_told && self.is_secure && self.account.trusts_anybody();
                let relay = Relay::mysql().trusting_blindly(is_blind);
                Next::passed(relay, exchange)
            }
            Verdict::Error(code) => Err(pass_error(
                code,
                VERDICT_SEQUENCE,
                payload,
                exchange.to_client,
            )),
            Verdict::Switch(name, data) if !self.has_switched => {
                let Some(plugin) = Plugin::named(name) else {
                    let refusal = unknown_plugin(name);
                    return Err(self.decline(refusal, exchange));
                };
                self.plugin = plugin;
                self.challenge = challenge(data);
                self.has_switched = true;
                exchange.from_server.consume(len);
                self.prove(exchange)
            }
            Verdict::More([FAST_OK]) if is_caching => {
                exchange.from_server.consume(len);
                Next::go(self)
            }
            Verdict::More([FULL]) if is_caching => {
                exchange.from_server.consume(len);
                self.send_password(exchange)
            }
            _ => Err(Refusal::protocol(messages::NOT_MYSQL)),
        }
    }

    fn prove(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let password = self.account.password.expose();
        match self.plugin.proof(password, &self.challenge) {
            Some(proof) => {
                let packet = messages::framed(self.sequence, &[&proof]);
                exchange.to_server.put(&packet);
                Next::go(self)
            }
            None => self.send_password(exchange),
        }
    }

    /// Over TLS as it is, and else under the server's key, if it has one and the operator allows it.
    /// Once a login: a server that asks again may go on for ever.
    fn send_password(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        if std::mem::replace(&mut self.has_told, true) {
            return Err(Refusal::protocol(
                "the MySQL server asked for the password twice: check HOST and PORT of the connection",
            ));
        }
        if self.is_secure {
            let parts = [self.account.password.expose(), b"\0"];
            let packet = Secret::new(messages::framed(self.sequence, &parts));
            exchange.to_server.put(packet.expose());
            return Next::go(self);
        }
        let text = match (self.plugin.key_request(), self.account.rsa_seed.take()) {
            (Some(request), Some(seed)) => {
                let packet = messages::framed(self.sequence, &[&[request]]);
                exchange.to_server.put(&packet);
                return Next::go(ExpectKey { login: self, seed });
            }
            (Some(_), None) => {
                "the server wants the password itself, which needs TLS: enable TLS on the \
                 server (SSLMODE prefer or require), or set MYSQL_RSA to true if nobody can be in \
                 between"
            }
            (None, _) => {
                "the server wants the password in clear text, which needs TLS: enable TLS on \
                 the server (SSLMODE prefer or require)"
            }
        };
        let refusal = Refusal::new(Cause::Unsupported, text);
        Err(self.decline(refusal, exchange))
    }

    /// No password is an answer, too. A server that got none would count this host's error
    /// (`max_connect_errors`).
    fn decline(&self, refusal: Refusal, exchange: &mut Exchange<'_>) -> Refusal {
        let packet = messages::framed(self.sequence, &[b"\0"]);
        exchange.to_server.put(&packet);
        refusal
    }

    /// The same, to whatever the server may be asking for: the password after a proof of this
    /// plugin, or a proof of another one; MariaDB's others want one of 64 bytes.
    pub(super) fn farewell(&self, to_server: &mut dyn Sink) {
        let answer: &[u8] = match self.plugin {
            Plugin::CachingSha2 => b"\0",
            _ if self.is_mariadb => &[0; 64],
            _ => b"",
        };
        to_server.put(&messages::framed(self.sequence.wrapping_add(2), &[answer]));
    }
}

/// The proof was right; the verdict follows.
const FAST_OK: u8 = 3;
/// The server can't check the proof, and wants the password.
const FULL: u8 = 4;

impl ExpectKey {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
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
        let len = messages::HEADER_BYTES + payload.len();
        let mut login = self.login;
        login.sequence = sequence.wrapping_add(1);
        match login.encrypted(key.as_ref(), &self.seed) {
            Ok(encrypted) => {
                let packet = messages::framed(login.sequence, &[&encrypted]);
                exchange.to_server.put(&packet);
                exchange.from_server.consume(len);
                Next::go(login)
            }
            Err(text) => {
                let refusal = Refusal::new(Cause::Unsupported, text);
                Err(login.decline(refusal, exchange))
            }
        }
    }
}

impl ExpectVerdict {
    /// The password, hidden by the challenge, for the owner of the key.
    fn encrypted(&self, key: Option<&PublicKey>, seed: &[u8; 20]) -> Result<Vec<u8>, &'static str> {
        let key = key.ok_or(
            "the server showed no RSA key of 1024 to 4096 bits: enable TLS on it (SSLMODE \
             prefer or require)",
        )?;
        let mut text = [self.account.password.expose(), b"\0"].concat();
        let masks = self.challenge[..SCRAMBLE_BYTES].iter().cycle();
        for (byte, mask) in text.iter_mut().zip(masks) {
            *byte ^= mask;
        }
        let text = Secret::new(text);
        key.encrypt(text.expose(), seed).ok_or(
            "PASS is too long for the server's RSA key: enable TLS on the server (SSLMODE \
             prefer or require)",
        )
    }
}
