//! From a client that has spoken to a server that knows who logs in.

use super::login7::{Identity, Login7};
use super::packets::{HEADER_BYTES, PACKET_BYTES_MAX, kind, message, packets};
use super::prelogin::{self, encryption};
use super::refusal::{NOT_TDS, malformed};
use super::state::{
    Attempt, Cover, Dialling, Encryption, ExpectAnswer, ExpectLogin, ExpectPrelogin, ExpectReply,
    Hearing, Next, Outcome, Securing, SendingRest,
};
use crate::base::{Secret, Verify};
use crate::limits;
use crate::login::{Cause, Exchange, Refusal, Step, TlsForm, TlsWish};

/// The first bytes of TLS's records.
const TLS_HANDSHAKE: u8 = 0x16;
const TLS_ALERT: u8 = 0x15;

const LOGIN_ALONE: &str = "the server answered that it encrypts only the login: set ENCRYPT=optional to allow that, \
     or turn encryption on at the server";
const LOGIN_ALONE_ELSEWHERE: &str = "the server that the first one sends its clients on to answered that it encrypts \
     only the login: turn encryption on there, or set HOST to it";

impl ExpectPrelogin {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let bytes = exchange.from_client.filled();
        let (prelogin, client, len) = match bytes.first() {
            None => return Next::wait(self),
            // Before TDS 7.1 there was nothing to agree on.
            Some(&kind::LOGIN7) => match login7(bytes)? {
                None => return Next::wait(self),
                Some((client, len)) => (prelogin::NOTHING.to_vec(), Some(client), len),
            },
            Some(&TLS_HANDSHAKE) => {
                let text = "the client begins with TLS (Encrypt=strict), which is not offered on this side: connect \
                     with Encrypt=optional; the way through hoop is encrypted";
                return Err(Refusal::new(Cause::Unsupported, text));
            }
            Some(_) => match message(bytes, kind::PRELOGIN).map_err(malformed)? {
                None => return Next::wait(self),
                Some(message) if message.body.len() > limits::MSSQL_PRELOGIN_BYTES_MAX => {
                    return Err(Refusal::protocol("the client's PRELOGIN is too long"));
                }
                Some(message) => (message.body, None, message.len),
            },
        };
        exchange.from_client.consume(len);
        let Self {
            account,
            server_name,
            encryption,
        } = *self;
        let attempt = Attempt {
            account,
            server_name,
            encryption,
            prelogin,
            is_answered: client.is_some(),
            client,
            route: None,
            is_second: false,
        };
        Next::go(attempt.dial())
    }
}

fn login7(bytes: &[u8]) -> Result<Option<(Login7, usize)>, Refusal> {
    match message(bytes, kind::LOGIN7).map_err(malformed)? {
        None => Ok(None),
        Some(message) => {
            let login = Login7::parse(message.body).map_err(malformed)?;
            Ok(Some((login, message.len)))
        }
    }
}

impl Attempt {
    pub(super) fn dial(self) -> Dialling {
        Dialling {
            attempt: self,
            is_dialled: false,
        }
    }

    pub(super) fn hearing(&self) -> Hearing {
        match (self.is_answered, &self.client) {
            (_, Some(_)) => Hearing::Reply,
            (true, None) => Hearing::Later,
            (false, None) => Hearing::Answer,
        }
    }

    fn ask(self, word: u8, exchange: &mut Exchange<'_>) -> Outcome {
        let body = prelogin::rewritten(&self.prelogin, word).map_err(malformed)?;
        packets(kind::PRELOGIN, &body, &mut |packet| {
            exchange.to_server.put(packet);
        });
        Next::go(ExpectAnswer { attempt: self })
    }

    fn secure(self, cover: Option<Cover>, exchange: &Exchange<'_>) -> Outcome {
        if !exchange.from_server.is_empty() {
            return Err(Refusal::protocol(
                "the server sent bytes in plain text where TLS is due: somebody may be in between",
            ));
        }
        let wish = self.account.tls.wish();
        let wish = TlsWish {
            verify: wish.map_or(Verify::Full, |wish| wish.verify),
            form: match cover {
                None => TlsForm::Tds8,
                Some(_) => TlsForm::Prelogin,
            },
        };
        let securing = Securing {
            attempt: self,
            cover,
        };
        Ok(Next::Leave(Step::StartTls(securing.into(), wish)))
    }

    /// The server has hung up on a PRELOGIN: one that wants TLS first does.
    pub(super) fn retry_strictly(mut self) -> Outcome {
        self.encryption = Encryption::Strict;
        self.is_second = true;
        Next::go(self.dial())
    }

    /// The client's login as that of the account, and where the password in it ends.
    fn login(&self) -> Result<(Secret, usize), Refusal> {
        let account = &self.account;
        let database = account.database.as_deref().map(std::str::from_utf8);
        let (Ok(user), Some(password), Ok(database), Some(client)) = (
            std::str::from_utf8(&account.user),
            account.password.expose_text(),
            database.transpose(),
            &self.client,
        ) else {
            let text =
                "USER, PASS or DB of the connection is no UTF-8 text: correct it at the gateway";
            return Err(Refusal::new(Cause::Credentials, text));
        };
        let identity = Identity {
            user,
            password,
            server: &self.server_name,
            database,
            is_strict: self.encryption == Encryption::Strict,
        };
        client.rewritten(&identity).ok_or_else(|| {
            Refusal::protocol(
                "the client's login and the stored one are together longer than a login can be",
            )
        })
    }

    fn introduce(self, cover: Cover, exchange: &mut Exchange<'_>) -> Outcome {
        let (login, password_end) = self.login()?;
        if cover != Cover::Login {
            packets(kind::LOGIN7, login.expose(), &mut |packet| {
                exchange.to_server.put(packet);
            });
            return Next::go(ExpectReply {
                attempt: self,
                cover,
            });
        }
        if HEADER_BYTES + password_end > PACKET_BYTES_MAX {
            let text = "PASS is too long to be encrypted with the login alone: have the server encrypt all, and leave \
                 ENCRYPT of the connection away";
            return Err(Refusal::new(Cause::Unsupported, text));
        }
        let mut is_first = true;
        let mut rest = Vec::new();
        packets(
            kind::LOGIN7,
            login.expose(),
            &mut |packet| match std::mem::take(&mut is_first) {
                true => exchange.to_server.put(packet),
                false => rest.extend_from_slice(packet),
            },
        );
        let sending = SendingRest {
            attempt: self,
            rest,
        };
        Ok(Next::Leave(Step::EndTls(sending.into())))
    }
}

impl Dialling {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        if !self.is_dialled {
            self.attempt.account.check()?;
            exchange.from_server.clear();
            self.is_dialled = true;
            let place = self.attempt.route.clone();
            return Ok(Next::Leave(Step::Dial(self.into(), place)));
        }
        match self.attempt.encryption {
            Encryption::Strict => self.attempt.secure(None, exchange),
            Encryption::Full => self.attempt.ask(encryption::ON, exchange),
            Encryption::Login => self.attempt.ask(encryption::OFF, exchange),
        }
    }
}

impl ExpectAnswer {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let bytes = exchange.from_server.filled();
        let is_strict = self.attempt.encryption == Encryption::Strict;
        if bytes.first() == Some(&TLS_ALERT) && !is_strict {
            return self.attempt.retry_strictly();
        }
        let not_tds = |_| Refusal::protocol(NOT_TDS);
        let Some(answer) = message(bytes, kind::REPLY).map_err(not_tds)? else {
            return Next::wait(self);
        };
        exchange.from_server.consume(answer.len);
        let word = prelogin::encryption(&answer.body).map_err(not_tds)?;
        let cover = match word {
            _ if is_strict => Cover::All,
            Some(encryption::ON | encryption::REQUIRED) => Cover::All,
            // SQL Server never answers so to who asks for all of it; somebody in between would.
            Some(encryption::OFF) if self.attempt.encryption == Encryption::Full => {
                let text = match self.attempt.route {
                    None => LOGIN_ALONE,
                    Some(_) => LOGIN_ALONE_ELSEWHERE,
                };
                return Err(Refusal::new(Cause::Unsupported, text));
            }
            Some(encryption::OFF) => Cover::Login,
            Some(encryption::NOT_SUPPORTED) if self.attempt.account.is_plain_password_allowed => {
                Cover::Nothing
            }
            Some(encryption::NOT_SUPPORTED) => {
                let text = "the SQL server has no encryption, without which no password is sent to another host: \
                     enable it there";
                return Err(Refusal::new(Cause::Unsupported, text));
            }
            _ => return Err(Refusal::protocol(NOT_TDS)),
        };
        if !std::mem::replace(&mut self.attempt.is_answered, true) {
            let body = prelogin::rewritten(&answer.body, encryption::NOT_SUPPORTED);
            packets(kind::REPLY, &body.map_err(not_tds)?, &mut |packet| {
                exchange.to_client.packet(packet);
            });
        }
        Next::go(ExpectLogin {
            attempt: self.attempt,
            cover,
            is_secure: is_strict,
        })
    }

    pub(super) fn ended(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        if exchange.from_server.is_empty() && self.attempt.encryption != Encryption::Strict {
            return self.attempt.retry_strictly();
        }
        Err(super::refusal::left())
    }
}

impl ExpectLogin {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        if self.attempt.client.is_none() {
            let Some((client, len)) = login7(exchange.from_client.filled())? else {
                return Next::wait(self);
            };
            exchange.from_client.consume(len);
            self.attempt.client = Some(client);
            return Next::go(self);
        }
        let Self {
            attempt,
            cover,
            is_secure,
        } = *self;
        match is_secure || cover == Cover::Nothing {
            true => attempt.introduce(cover, exchange),
            false => attempt.secure(Some(cover), exchange),
        }
    }
}

impl Securing {
    pub(super) fn started(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        match self.cover {
            None => self.attempt.ask(encryption::STRICT, exchange),
            Some(cover) => self.attempt.introduce(cover, exchange),
        }
    }

    pub(super) fn failed(self: Box<Self>, reason: &str) -> Outcome {
        let before = match self.attempt.is_second {
            false => "TLS with the SQL server failed: ",
            true => {
                "the server closes a connection that does not begin with TLS (or is no SQL server: check HOST and \
                 PORT), and TLS failed: "
            }
        };
        let text = [before, reason].concat();
        Err(Refusal::new(Cause::Unsupported, text))
    }
}

impl SendingRest {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        exchange.to_server.put(&self.rest);
        Next::go(ExpectReply {
            attempt: self.attempt,
            cover: Cover::Login,
        })
    }
}
