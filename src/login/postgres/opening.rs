//! From the client's first bytes to a server that knows who logs in, with TLS or without.

use super::messages::{self, Opening, ServerError};
use super::refusal::first_error;
use super::state::{
    Attempt, Dialled, ExpectRequest, ExpectStartup, ExpectTlsAnswer, Next, Outcome, PostgresLogin,
    SecuringStartup,
};
use crate::limits;
use crate::login::{Cause, Exchange, Packets, Refusal, SslMode, Step};

impl ExpectStartup {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some((opening, len)) = messages::opening(exchange.from_client.filled())? else {
            return Next::wait(self);
        };
        let outcome = match opening {
            Opening::Encryption if self.questions == limits::POSTGRES_QUESTIONS_MAX => {
                Err(Refusal::protocol(
                    "the client asks for encryption again and again: connect with sslmode=disable \
                     and gssencmode=disable",
                ))
            }
            Opening::Encryption => {
                self.questions += 1;
                exchange.to_client.packet(messages::NO_ENCRYPTION);
                Next::go(self)
            }
            Opening::Cancel(key) => Ok(Next::Leave(Step::Errand(key))),
            Opening::Startup(startup) => {
                if let Some(refusal) = self.refusal {
                    return Err(refusal);
                }
                self.account.check()?;
                let database = self.account.database.as_deref();
                let startup = startup.rewritten(&self.account.user, database);
                let wants_tls = self.account.tls != SslMode::Disable;
                let attempt = Box::new(Attempt {
                    account: self.account,
                    nonce: self.nonce,
                    startup,
                    is_negotiated: false,
                    rejection: None,
                });
                attempt.dial(wants_tls, exchange)
            }
        };
        exchange.from_client.consume(len);
        outcome
    }
}

impl Attempt {
    fn introduce(self: Box<Self>, is_secure: bool, exchange: &mut Exchange<'_>) -> ExpectRequest {
        exchange.to_server.put(&self.startup);
        ExpectRequest {
            attempt: self,
            is_secure,
        }
    }

    pub(super) fn is_tls_optional(&self) -> bool {
        self.account.tls == SslMode::Prefer
    }

    pub(super) fn dial(self: Box<Self>, wants_tls: bool, exchange: &mut Exchange<'_>) -> Outcome {
        exchange.from_server.clear();
        let attempt = self;
        Ok(Next::Leave(Step::Dial(
            Dialled { attempt, wants_tls }.into(),
            None,
        )))
    }
}

impl Dialled {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        if !self.wants_tls {
            return Next::go(self.attempt.introduce(false, exchange));
        }
        exchange.to_server.put(messages::SSL_REQUEST);
        Next::go(ExpectTlsAnswer {
            attempt: self.attempt,
        })
    }
}

impl ExpectTlsAnswer {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        match exchange.from_server.filled() {
            [] => Next::wait(self),
            [b'S'] => self.secure(exchange),
            // Whoever put them there wants them to be taken for bytes from within TLS.
            [b'S', ..] => Err(Refusal::protocol(
                "the server sent bytes in plain text behind its agreement to TLS: somebody may be \
                 in between",
            )),
            [b'N', ..] if self.attempt.is_tls_optional() => {
                exchange.from_server.consume(1);
                Next::go(self.attempt.introduce(false, exchange))
            }
            [b'N', ..] => Err(self.attempt.account.tls.no_tls([
                "SSL is not enabled on the postgres server: enable it, or set SSLMODE to prefer, which no token of RDS takes",
                "SSL is not enabled on the postgres server: enable it there, or check HOST and PORT",
            ])),
            bytes @ [b'E', ..] => match messages::server_error(bytes, false) {
                Some(error) => Err(self.unproven(error, exchange.to_client)),
                None => Next::wait(self),
            },
            _ => Err(Refusal::protocol(messages::NOT_POSTGRES)),
        }
    }

    /// An error that came before TLS may be anybody's.
    fn unproven(&self, error: ServerError<'_>, to_client: &mut dyn Packets) -> Refusal {
        match self.attempt.account.tls {
            SslMode::VerifyFull => Refusal::new(
                Cause::Unreachable,
                "the postgres server answered with an error when asked for TLS, and nobody vouches for its \
                 words: its log has them",
            ),
            _ => first_error(error, to_client),
        }
    }

    fn secure(self, exchange: &mut Exchange<'_>) -> Outcome {
        exchange.from_server.consume(1);
        match self.attempt.account.tls.wish() {
            Some(wish) => {
                let login = SecuringStartup {
                    attempt: self.attempt,
                }
                .into();
                Ok(Next::Leave(Step::StartTls(login, wish)))
            }
            None => Next::go(self.attempt.introduce(false, exchange)),
        }
    }

    pub(super) fn ended(self, exchange: &mut Exchange<'_>) -> Outcome {
        if let Some(error) = messages::server_error(exchange.from_server.filled(), true) {
            return Err(self.unproven(error, exchange.to_client));
        }
        if self.attempt.is_tls_optional() {
            return self.attempt.dial(false, exchange);
        }
        Err(self.attempt.account.tls.no_tls([
            "the server closed the connection when asked for TLS: check HOST and PORT, or set \
             SSLMODE to disable",
            "the server closed the connection when asked for TLS: check HOST and PORT",
        ]))
    }
}

impl SecuringStartup {
    /// What the client sends in the meantime waits.
    pub(super) fn handle(self: Box<Self>, _: &mut Exchange<'_>) -> Outcome {
        Next::wait(self)
    }

    pub(super) fn started(self, exchange: &mut Exchange<'_>) -> PostgresLogin {
        self.attempt.introduce(true, exchange).into()
    }

    pub(super) fn failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Outcome {
        if self.attempt.is_tls_optional() {
            return self.attempt.dial(false, exchange);
        }
        let text = ["TLS with the postgres server failed: ", reason].concat();
        Err(Refusal::new(Cause::Unreachable, text))
    }
}
