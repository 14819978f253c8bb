//! What the server wants for letting us in: nothing, the password, or a SCRAM conversation.

use super::login::{Next, Outcome};
use super::messages::{self, Authentication};
use super::opening::first_error;
use super::ready::ExpectReady;
use super::settings::Settings;
use crate::base::Secret;
use crate::limits;
use crate::login::scram::{self, ScramError};
use crate::login::{Cause, Exchange, Packets, Refusal, md5};

/// The server knows who logs in, and says what it wants for it.
pub struct ExpectRequest {
    pub(super) settings: Settings,
    pub(super) is_secure: bool,
}

impl ExpectRequest {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        if exchange.from_server.filled().first() == Some(&b'E') {
            return match first_error(exchange, false) {
                Some(refusal) => Err(refusal),
                None => Next::wait(self),
            };
        }
        let Some(len) = request(exchange)? else {
            return Next::wait(self);
        };
        match messages::authentication(&exchange.from_server.filled()[..len])? {
            // Stays where it is, to be passed on with what follows.
            Authentication::Ok => Next::go(ExpectReady::new()),
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

    fn send_password(self, len: usize, exchange: &mut Exchange<'_>) -> Outcome {
        let settings = &self.settings;
        if !self.is_secure && !settings.is_plain_password_allowed {
            return Err(Refusal::new(
                Cause::Unsupported,
                "the postgres server wants the password in clear text, without TLS, from another \
                 host: set SSLMODE to require, or to disable if nobody can listen",
            ));
        }
        exchange.from_server.consume(len);
        let message = Secret::new(messages::typed(b'p', &[settings.password.expose(), b"\0"]));
        exchange.to_server.put(message.expose());
        Next::go(ExpectAccess)
    }

    fn send_digest(self, salt: [u8; 4], len: usize, exchange: &mut Exchange<'_>) -> Next {
        exchange.from_server.consume(len);
        let Settings { user, password, .. } = &self.settings;
        let stored = Secret::new(md5::hex(&md5::digest(&[password.expose(), user])));
        let answer = md5::hex(&md5::digest(&[stored.expose(), &salt]));
        let message = messages::typed(b'p', &[b"md5", &answer, b"\0"]);
        exchange.to_server.put(&message);
        Next::Go(ExpectAccess.into())
    }

    fn begin_scram(self, len: usize, exchange: &mut Exchange<'_>) -> Outcome {
        exchange.from_server.consume(len);
        let first = scram::ClientFirst::new(&self.settings.nonce);
        let text = first.message();
        let size = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let name = scram::SCRAM_SHA_256.as_bytes();
        let parts = [name, b"\0", &size, text.as_bytes()];
        exchange.to_server.put(&messages::typed(b'p', &parts));
        Next::go(ExpectScramFirst {
            password: self.settings.password,
            first,
        })
    }

    pub(super) fn ended(self, exchange: &mut Exchange<'_>) -> Outcome {
        Err(first_error(exchange, true).unwrap_or_else(|| {
            let text = "the server closed the connection during the login: its log says why";
            Refusal::new(Cause::Unreachable, text)
        }))
    }
}

/// The SCRAM conversation has begun.
pub struct ExpectScramFirst {
    password: Secret,
    first: scram::ClientFirst,
}

impl ExpectScramFirst {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(len) = request(exchange)? else {
            return Next::wait(self);
        };
        match messages::authentication(&exchange.from_server.filled()[..len])? {
            Authentication::SaslContinue(message) => {
                let deriving = self.first.answered(message, &self.password, exchange.keys);
                let deriving = deriving.map_err(failed)?;
                exchange.from_server.consume(len);
                Next::go(Deriving { deriving })
            }
            other => Err(unexpected(other)),
        }
    }
}

/// The key is being made.
pub struct Deriving {
    deriving: scram::Deriving,
}

impl Deriving {
    pub(super) fn handle(mut self, exchange: &mut Exchange<'_>) -> Outcome {
        let Some((message, proof)) = self.deriving.advance(exchange.keys) else {
            return Next::wait(self);
        };
        let message = messages::typed(b'p', &[message.as_bytes()]);
        exchange.to_server.put(&message);
        Next::go(ExpectScramLast { proof })
    }
}

/// The server has our proof, and owes us its own.
pub struct ExpectScramLast {
    proof: scram::ServerProof,
}

impl ExpectScramLast {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(len) = request(exchange)? else {
            return Next::wait(self);
        };
        match messages::authentication(&exchange.from_server.filled()[..len])? {
            Authentication::SaslFinal(message) => {
                self.proof.verify(message).map_err(failed)?;
                exchange.from_server.consume(len);
                Next::go(ExpectAccess)
            }
            // It lets us in without having shown that it knows the password.
            Authentication::Ok => Err(failed(ScramError::Impostor)),
            other => Err(unexpected(other)),
        }
    }
}

/// The server has all that it wanted.
pub struct ExpectAccess;

impl ExpectAccess {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(len) = request(exchange)? else {
            return Next::wait(self);
        };
        match messages::authentication(&exchange.from_server.filled()[..len])? {
            Authentication::Ok => Next::go(ExpectReady::new()),
            other => Err(unexpected(other)),
        }
    }
}

/// The length of the server's next `R`. What it says besides goes to the client; an error is the end.
fn request(exchange: &mut Exchange<'_>) -> Result<Option<usize>, Refusal> {
    while let Some((kind, message)) = messages::message(exchange.from_server.filled())? {
        let len = message.len();
        match kind {
            b'R' => return Ok(Some(len)),
            // Notices, and the versions and options that the server knows.
            b'N' | b'v' => exchange.to_client.packet(message),
            b'E' => return Err(server_refused(message, exchange.to_client)),
            _ => return Err(messages::protocol(messages::NOT_POSTGRES)),
        }
        exchange.from_server.consume(len);
    }
    Ok(None)
}

/// The client hears the server's error as it is; we keep its code.
pub(super) fn server_refused(message: &[u8], to_client: &mut dyn Packets) -> Refusal {
    to_client.packet(message);
    let code = messages::sqlstate(message).unwrap_or("?????");
    let advice = match code {
        "28P01" | "28000" => "check USER and PASS, and the server's pg_hba.conf",
        "3D000" => "no such database",
        _ => "the server's log says why",
    };
    let text = [
        "the server refused the login, SQLSTATE ",
        code,
        ": ",
        advice,
    ];
    Refusal::new(Cause::Said, text.concat())
}

fn unexpected(request: Authentication<'_>) -> Refusal {
    match request {
        Authentication::Other(_) => unsupported(),
        _ => messages::protocol("the server's authentication messages are out of order"),
    }
}

fn unsupported() -> Refusal {
    Refusal::new(
        Cause::Unsupported,
        "the server wants an authentication that this agent does not know: let pg_hba.conf of the \
         server ask for scram-sha-256, md5, password or trust",
    )
}

fn failed(error: ScramError) -> Refusal {
    let cause = match error {
        ScramError::Malformed => Cause::Protocol,
        ScramError::TooManyRounds => Cause::Unsupported,
        ScramError::Refused | ScramError::Impostor => Cause::Credentials,
    };
    Refusal::new(cause, error.to_string())
}

const _: () = assert!(limits::SCRAM_MESSAGE_BYTES_MAX < limits::LOGIN_SERVER_MESSAGE_BYTES_MAX);
