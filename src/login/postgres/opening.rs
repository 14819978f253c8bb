//! From the client's first bytes to a server that knows who logs in, with TLS or without.

use super::authentication::{ExpectRequest, server_refused};
use super::login::{Login, Next, Outcome};
use super::messages::{self, Opening, ServerError};
use super::settings::Settings;
use crate::login::{Cause, Exchange, Refusal, Step, TlsMode};

/// Nothing but questions for encryption has come from the client.
pub struct ExpectStartup {
    pub(super) settings: Settings,
}

impl ExpectStartup {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        let Some((opening, len)) = messages::opening(exchange.from_client.filled())? else {
            return Next::wait(self);
        };
        let outcome = match opening {
            Opening::Encryption => {
                exchange.to_client.packet(messages::NO_ENCRYPTION);
                Next::go(self)
            }
            Opening::Cancel(key) => Ok(Next::Leave(Step::Errand(key))),
            Opening::Startup(startup) => {
                self.settings.check()?;
                let database = self.settings.database.as_deref();
                let startup = startup.rewritten(&self.settings.user, database);
                let wants_tls = self.settings.tls != TlsMode::Disable;
                let plan = Plan {
                    settings: self.settings,
                    startup,
                };
                dial(plan, wants_tls, exchange)
            }
        };
        exchange.from_client.consume(len);
        outcome
    }
}

/// Who logs in where, and how.
pub struct Plan {
    pub(super) settings: Settings,
    startup: Vec<u8>,
}

impl Plan {
    fn introduce(self, is_secure: bool, exchange: &mut Exchange<'_>) -> ExpectRequest {
        exchange.to_server.put(&self.startup);
        ExpectRequest {
            settings: self.settings,
            is_secure,
        }
    }

    fn is_tls_optional(&self) -> bool {
        self.settings.tls == TlsMode::Prefer
    }
}

fn dial(plan: Plan, wants_tls: bool, exchange: &mut Exchange<'_>) -> Outcome {
    exchange.from_server.clear();
    Ok(Next::Leave(Step::Dial(Dialled { plan, wants_tls }.into())))
}

/// There is a new connection to the server.
pub struct Dialled {
    plan: Plan,
    wants_tls: bool,
}

impl Dialled {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        if !self.wants_tls {
            return Next::go(self.plan.introduce(false, exchange));
        }
        exchange.to_server.put(messages::SSL_REQUEST);
        Next::go(ExpectTlsAnswer { plan: self.plan })
    }
}

/// The server is asked for TLS.
pub struct ExpectTlsAnswer {
    plan: Plan,
}

impl ExpectTlsAnswer {
    pub(super) fn handle(self, exchange: &mut Exchange<'_>) -> Outcome {
        match exchange.from_server.filled() {
            [] => Next::wait(self),
            [b'S'] => self.secure(exchange),
            // Whoever put them there wants them to be taken for bytes from within TLS.
            [b'S', ..] => Err(messages::protocol(
                "the server sent bytes in plain text behind its agreement to TLS: somebody may be \
                 in between",
            )),
            [b'N', ..] if self.plan.is_tls_optional() => {
                exchange.from_server.consume(1);
                Next::go(self.plan.introduce(false, exchange))
            }
            [b'N', ..] => Err(Refusal::new(
                Cause::Unreachable,
                "SSL is not enabled on the postgres server: enable it, or set SSLMODE to prefer",
            )),
            [b'E', ..] => match first_error(exchange, false) {
                Some(refusal) => Err(refusal),
                None => Next::wait(self),
            },
            _ => Err(messages::protocol(messages::NOT_POSTGRES)),
        }
    }

    fn secure(self, exchange: &mut Exchange<'_>) -> Outcome {
        exchange.from_server.consume(1);
        match self.plan.settings.tls.wish() {
            Some(wish) => {
                let login = Login::Securing(Securing { plan: self.plan });
                Ok(Next::Leave(Step::StartTls(login, wish)))
            }
            None => Next::go(self.plan.introduce(false, exchange)),
        }
    }

    pub(super) fn ended(self, exchange: &mut Exchange<'_>) -> Outcome {
        if let Some(refusal) = first_error(exchange, true) {
            return Err(refusal);
        }
        if self.plan.is_tls_optional() {
            return dial(self.plan, false, exchange);
        }
        Err(Refusal::new(
            Cause::Unreachable,
            "the server closed the connection when asked for TLS: check HOST and PORT, or set \
             SSLMODE to disable",
        ))
    }
}

/// TLS is being agreed.
pub struct Securing {
    plan: Plan,
}

impl Securing {
    /// What the client sends in the meantime waits.
    pub(super) fn handle(self, _: &mut Exchange<'_>) -> Outcome {
        Next::wait(self)
    }

    pub(super) fn started(self, exchange: &mut Exchange<'_>) -> Login {
        self.plan.introduce(true, exchange).into()
    }

    pub(super) fn failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Outcome {
        if self.plan.is_tls_optional() {
            return dial(self.plan, false, exchange);
        }
        let text = ["TLS with the postgres server failed: ", reason].concat();
        Err(Refusal::new(Cause::Unreachable, text))
    }
}

/// The error that a server's first words are, once it is whole.
pub(super) fn first_error(exchange: &mut Exchange<'_>, is_end: bool) -> Option<Refusal> {
    let bytes = exchange.from_server.filled();
    if bytes.first() != Some(&b'E') {
        return None;
    }
    match messages::server_error(bytes, is_end)? {
        ServerError::Message(message) => Some(server_refused(message, exchange.to_client)),
        ServerError::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let text = ["the postgres server said: ", text.trim_end()].concat();
            Some(Refusal::new(Cause::Unreachable, text))
        }
    }
}
