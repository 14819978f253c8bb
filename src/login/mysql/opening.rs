//! From a waiting client to a server that knows who logs in, with TLS or without.

use super::messages::{self, Greeting, HandshakeResponse, Identity, Verdict, capability};
use super::proofs::{Plugin, challenge};
use super::refusal::{VERDICT_SEQUENCE, advice, pass_error};
use super::state::{
    ExpectGreeting, ExpectResponse, ExpectVerdict, MysqlLogin, Next, Outcome, SecuringResponse,
};
use crate::login::{Account, Cause, Exchange, Refusal, SslMode, Step};

pub(super) fn begin(account: Box<Account>, exchange: &mut Exchange<'_>) -> Outcome {
    account.check()?;
    dial(account, None, exchange)
}

fn dial(
    account: Box<Account>,
    response: Option<HandshakeResponse>,
    exchange: &mut Exchange<'_>,
) -> Outcome {
    exchange.from_server.clear();
    let dialled = ExpectGreeting { account, response }.into();
    Ok(Next::Leave(Step::Dial(dialled, None)))
}

impl ExpectGreeting {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let packet = messages::packet(exchange.from_server.filled())?;
        let Some((_, payload)) = packet else {
            return Next::wait(self);
        };
        if let Verdict::Error(code) = messages::verdict(payload) {
            let sequence = VERDICT_SEQUENCE * u8::from(self.response.is_some());
            // Without TLS so far it may be anybody's word.
            if self.account.tls == SslMode::VerifyFull {
                let text = format!(
                    "the MySQL server answered with error {code}: {}",
                    advice(code)
                );
                return Err(Refusal::new(Cause::Unreachable, text));
            }
            return Err(pass_error(code, sequence, payload, exchange.to_client));
        }
        let len = messages::HEADER_BYTES + payload.len();
        let greeting = messages::greeting(payload)?;
        exchange.from_server.consume(len);
        let account = self.account;
        match self.response {
            Some(response) => introduce(account, greeting, response, exchange),
            None => {
                let packet = messages::framed(0, &[&greeting.masked]);
                exchange.to_client.packet(&packet);
                Next::go(ExpectResponse { account, greeting })
            }
        }
    }
}

impl ExpectResponse {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let malformed = |_| Refusal::protocol("the client's first bytes are no MySQL packet");
        let packet = messages::packet(exchange.from_client.filled()).map_err(malformed);
        let response = match packet {
            Ok(None) => return Next::wait(self),
            Ok(Some((_, payload))) => {
                let len = messages::HEADER_BYTES + payload.len();
                messages::response(payload).map(|response| (response, len))
            }
            Err(refusal) => Err(refusal),
        };
        // The server waits for an answer, and would hold it against us if none came.
        let (response, len) = response.inspect_err(|_| {
            exchange.to_server.put(messages::FAREWELL);
        })?;
        exchange.from_client.consume(len);
        introduce(self.account, self.greeting, response, exchange)
    }
}

/// Over TLS if it is wanted and the server has it.
fn introduce(
    account: Box<Account>,
    greeting: Greeting,
    response: HandshakeResponse,
    exchange: &mut Exchange<'_>,
) -> Outcome {
    let has_tls = greeting.capabilities & capability::SSL != 0;
    match account.tls.wish() {
        Some(_) if !exchange.from_server.is_empty() => Err(Refusal::protocol(
            "the server sent bytes in plain text behind its greeting: somebody may be in between",
        )),
        Some(wish) if has_tls => {
            let stored = account.database.as_deref();
            let request = response.ssl_request(greeting.capabilities, stored);
            let packet = messages::framed(1, &[&request]);
            exchange.to_server.put(&packet);
            let login = SecuringResponse {
                account,
                greeting,
                response,
            };
            Ok(Next::Leave(Step::StartTls(login.into(), wish)))
        }
        Some(_) if account.tls != SslMode::Prefer => {
            exchange.to_server.put(messages::FAREWELL);
            Err(account.tls.no_tls([
                "SSL is not enabled on the server: enable it, or set SSLMODE to prefer, which no token of RDS takes",
                "SSL is not enabled on the server: enable it there, or check HOST and PORT",
            ]))
        }
        _ => Next::go(respond(account, &greeting, &response, false, exchange)),
    }
}

fn respond(
    account: Box<Account>,
    greeting: &Greeting,
    response: &HandshakeResponse,
    is_secure: bool,
    exchange: &mut Exchange<'_>,
) -> ExpectVerdict {
    // A server whose favourite we do not know switches to that of the account.
    let favourite = Plugin::named(&greeting.plugin);
    let plugin = favourite.filter(|it| *it == Plugin::CachingSha2);
    let plugin = plugin.unwrap_or(Plugin::Native);
    let challenge = challenge(&greeting.scramble);
    let proof = plugin.proof(account.password.expose(), &challenge);
    let identity = Identity {
        user: &account.user,
        database: account.database.as_deref(),
        is_secure,
        proof: proof.as_deref().unwrap_or_default(),
        plugin: plugin.name(),
    };
    let payload = response.rewritten(greeting.capabilities, &identity);
    let sequence = 1 + u8::from(is_secure);
    let packet = messages::framed(sequence, &[&payload]);
    exchange.to_server.put(&packet);
    ExpectVerdict {
        account,
        plugin,
        challenge,
        sequence,
        is_secure,
        is_mariadb: greeting.capabilities & capability::MYSQL == 0,
        has_switched: false,
        expects_more: response.expects_more,
        has_told: false,
    }
}

impl SecuringResponse {
    pub(super) fn started(self, exchange: &mut Exchange<'_>) -> MysqlLogin {
        let Self {
            account,
            greeting,
            response,
        } = self;
        respond(account, &greeting, &response, true, exchange).into()
    }

    pub(super) fn failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Outcome {
        let Self {
            mut account,
            response,
            ..
        } = self;
        if account.tls == SslMode::Prefer {
            account.tls = SslMode::Disable;
            return dial(account, Some(response), exchange);
        }
        let text = ["TLS with the server failed: ", reason].concat();
        Err(Refusal::new(Cause::Unreachable, text))
    }
}
