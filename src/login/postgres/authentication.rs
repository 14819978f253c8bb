//! What the server wants for letting us in: nothing, the password, or a SCRAM conversation.

use super::messages::{self, Authentication, ServerError};
use super::refusal::{failed, first_error, server_refused, unexpected, unsupported};
use super::state::{
    DerivingKey, ExpectAccess, ExpectReady, ExpectRequest, ExpectScramFirst, ExpectScramLast, Next,
    Outcome,
};
use crate::base::Secret;
use crate::limits;
use crate::login::scram::{self, ScramError};
use crate::login::{Account, Cause, Exchange, Refusal, Relay, md5};

impl ExpectRequest {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        pass_notices(exchange, &mut self.attempt.is_negotiated)?;
        if exchange.from_server.filled().first() == Some(&b'E') {
            return match messages::server_error(exchange.from_server.filled(), false) {
                Some(ServerError::Message(message)) if is_rejection(message) => {
                    let message = message.to_vec();
                    self.rejected(message, exchange)
                }
                Some(error) => Err(first_error(error, exchange.to_client)),
                None => Next::wait(self),
            };
        }
        let Some(len) = request(exchange)? else {
            return Next::wait(self);
        };
        match messages::authentication(&exchange.from_server.filled()[..len])? {
            // Stays where it is, to be passed on with what follows.
            Authentication::Ok => Next::go(ExpectReady::new(Relay::postgres())),
            Authentication::Cleartext => self.send_password(len, exchange),
            Authentication::Md5(salt) => Ok(self.send_digest(salt, len, exchange)),
            Authentication::Sasl(mechanisms) => {
                let mut names = mechanisms.split(|byte| *byte == 0);
                match names.any(|name| name == scram::SCRAM_SHA_256.as_bytes()) {
                    true => self.begin_scram(len, exchange),
                    false => Err(unsupported()),
                }
            }
            other => Err(unexpected(other)),
        }
    }

    /// A line of `pg_hba.conf` for connections without TLS may let in whom none with TLS does. If
    /// none of either kind does, the first answer is the one that names the mode of today.
    fn rejected(mut self, message: Vec<u8>, exchange: &mut Exchange<'_>) -> Outcome {
        let attempt = &mut self.attempt;
        if self.is_secure && attempt.is_tls_optional() {
            attempt.rejection = Some(message);
            return self.attempt.dial(false, exchange);
        }
        let message = attempt.rejection.take().unwrap_or(message);
        Err(server_refused(&message, exchange.to_client))
    }

    fn send_password(self, len: usize, exchange: &mut Exchange<'_>) -> Outcome {
        let account = &self.attempt.account;
        if !self.is_secure && !account.is_plain_password_allowed {
            return Err(Refusal::new(
                Cause::Unsupported,
                "the postgres server wants the password in clear text, without TLS, from another \
                 host: set SSLMODE to require, or to disable if nobody can listen",
            ));
        }
        exchange.from_server.consume(len);
        let message = Secret::new(messages::typed(b'p', &[account.password.expose(), b"\0"]));
        exchange.to_server.put(message.expose());
        let is_blind = self.is_secure && account.trusts_anybody();
        let relay = Relay::postgres().trusting_blindly(is_blind);
        Next::go(ExpectAccess { relay })
    }

    fn send_digest(self, salt: [u8; 4], len: usize, exchange: &mut Exchange<'_>) -> Next {
        exchange.from_server.consume(len);
        let Account { user, password, .. } = &*self.attempt.account;
        let stored = Secret::new(md5::hex(&md5::digest(&[password.expose(), user])));
        let answer = md5::hex(&md5::digest(&[stored.expose(), &salt]));
        let message = messages::typed(b'p', &[b"md5", &answer, b"\0"]);
        exchange.to_server.put(&message);
        let relay = Relay::postgres();
        Next::Go(ExpectAccess { relay }.into())
    }

    fn begin_scram(self, len: usize, exchange: &mut Exchange<'_>) -> Outcome {
        exchange.from_server.consume(len);
        let first = scram::ClientFirst::new(scram::Hash::Sha256, "", &self.attempt.nonce);
        let text = first.message();
        let size = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let name = scram::SCRAM_SHA_256.as_bytes();
        let parts = [name, b"\0", &size, text.as_bytes()];
        exchange.to_server.put(&messages::typed(b'p', &parts));
        Next::go(ExpectScramFirst {
            password: self.attempt.account.password,
            first,
        })
    }

    /// The words of a server that had no time for a whole message.
    pub(super) fn ended(&self, exchange: &mut Exchange<'_>) -> Option<Refusal> {
        let error = messages::server_error(exchange.from_server.filled(), true)?;
        Some(first_error(error, exchange.to_client))
    }
}

impl ExpectScramFirst {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(len) = request(exchange)? else {
            return Next::wait(self);
        };
        match messages::authentication(&exchange.from_server.filled()[..len])? {
            Authentication::SaslContinue(message) => {
                let deriving = self.first.answered(message, &self.password, exchange.keys);
                let deriving = deriving.map_err(failed)?;
                exchange.from_server.consume(len);
                Next::go(DerivingKey { deriving })
            }
            other => Err(unexpected(other)),
        }
    }
}

impl DerivingKey {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some((message, proof)) = self.deriving.answer() else {
            return Next::wait(self);
        };
        let message = messages::typed(b'p', &[message.as_bytes()]);
        exchange.to_server.put(&message);
        Next::go(ExpectScramLast { proof })
    }
}

impl ExpectScramLast {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(len) = request(exchange)? else {
            return Next::wait(self);
        };
        match messages::authentication(&exchange.from_server.filled()[..len])? {
            Authentication::SaslFinal(message) => {
                self.proof.verify(message).map_err(failed)?;
                exchange.from_server.consume(len);
                let relay = Relay::postgres();
                Next::go(ExpectAccess { relay })
            }
            // It lets us in without having shown that it knows the password.
            Authentication::Ok => Err(failed(ScramError::Impostor)),
            other => Err(unexpected(other)),
        }
    }
}

impl ExpectAccess {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(len) = request(exchange)? else {
            return Next::wait(self);
        };
        match messages::authentication(&exchange.from_server.filled()[..len])? {
            Authentication::Ok => Next::go(ExpectReady::new(self.relay)),
            other => Err(unexpected(other)),
        }
    }
}

/// Notices, and the versions and options that the server knows: the client hears these once. What has come together
/// goes on in one packet, which begins with no `K`.
fn pass_notices(exchange: &mut Exchange<'_>, is_negotiated: &mut bool) -> Result<(), Refusal> {
    loop {
        let bytes = exchange.from_server.filled();
        let mut run = 0;
        let known = loop {
            match messages::message(&bytes[run..]) {
                Ok(Some((b'v', message))) if *is_negotiated => break message.len(),
                Ok(Some((kind @ (b'N' | b'v'), message))) => {
                    *is_negotiated |= kind == b'v';
                    run += message.len();
                }
                _ => break 0,
            }
        };
        if run > 0 {
            exchange.to_client.packet(&bytes[..run]);
        }
        exchange.from_server.consume(run + known);
        if known == 0 {
            return Ok(());
        }
    }
}

/// The length of the server's next `R`, after notices. An error is the end.
fn request(exchange: &mut Exchange<'_>) -> Result<Option<usize>, Refusal> {
    pass_notices(exchange, &mut true)?;
    match messages::message(exchange.from_server.filled())? {
        None => Ok(None),
        Some((b'R', message)) => Ok(Some(message.len())),
        Some((b'E', message)) => Err(server_refused(message, exchange.to_client)),
        Some(_) => Err(Refusal::protocol(messages::NOT_POSTGRES)),
    }
}

/// No line of `pg_hba.conf` lets such a connection in.
fn is_rejection(message: &[u8]) -> bool {
    messages::sqlstate(message) == Some("28000")
}

const _: () = assert!(limits::SCRAM_MESSAGE_BYTES_MAX < limits::LOGIN_SERVER_MESSAGE_BYTES_MAX);
