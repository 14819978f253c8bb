//! The states of a login, and how it goes from one to the next. The server speaks first.
//!
//! ```text
//!   Fresh --Dial--> ExpectGreeting --greeting--> ExpectResponse --response--> introduced
//!                     ^                                                           |
//!                     | prefer: TLS failed          StartTls (the server has it)  |
//!                     +------------------- Securing <-----------------------------+
//!                                             |                                   |
//!   Passed <--OK-- ExpectVerdict <--response--+-----------------------------------+
//!                   |        ^
//!                   +-switch-+  (once), and the password itself over TLS
//! ```

use super::messages::{self, Greeting, Identity, Response, Verdict, capability};
use super::proofs::Plugin;
use crate::base::Secret;
use crate::login::next::{self, Outcome};
use crate::login::{Account, Cause, Exchange, Packets, Refusal, Relay, Step, TlsMode, Waits};

type Next = next::Next<Login>;

/// A login in one of its states.
pub enum Login {
    /// A client waits.
    Fresh(Account),
    /// There is a connection to the server.
    ExpectGreeting(ExpectGreeting),
    /// The client has the greeting.
    ExpectResponse(ExpectResponse),
    /// TLS is being agreed.
    Securing(Securing),
    /// The server has a response or a proof.
    ExpectVerdict(ExpectVerdict),
}

/// There is a connection to the server; perhaps not the first one, and the client has responded.
pub struct ExpectGreeting {
    account: Account,
    response: Option<Response>,
}

/// The client has the greeting.
pub struct ExpectResponse {
    account: Account,
    greeting: Greeting,
}

/// TLS is being agreed.
pub struct Securing {
    account: Account,
    greeting: Greeting,
    response: Response,
}

/// The server has a response or a proof.
pub struct ExpectVerdict {
    account: Account,
    plugin: Plugin,
    is_secure: bool,
    has_switched: bool,
}

impl Login {
    /// A client has connected.
    pub fn new(account: Account) -> Self {
        Self::Fresh(account)
    }

    /// See [`crate::login::Login::step`].
    pub fn step(mut self, exchange: &mut Exchange<'_>) -> Step<Self> {
        // Each state that goes on has used a packet, so this ends.
        loop {
            let is_greeted = self.is_greeted();
            let outcome = match self {
                Self::Fresh(account) => begin(account, exchange),
                Self::ExpectGreeting(state) => state.handle(exchange),
                Self::ExpectResponse(state) => state.handle(exchange),
                Self::Securing(_) => Next::wait(self),
                Self::ExpectVerdict(state) => state.handle(exchange),
            };
            match outcome {
                Ok(Next::Go(next)) => self = next,
                Ok(Next::Leave(step)) => return step,
                Err(refusal) => {
                    say(&refusal, is_greeted, exchange.to_client);
                    return Step::Refused(refusal);
                }
            }
        }
    }

    /// See [`crate::login::Login::tls_started`].
    pub fn tls_started(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Securing(state) => {
                let Securing {
                    account,
                    greeting,
                    response,
                } = state;
                respond(account, &greeting, &response, true, exchange).step(exchange)
            }
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::tls_failed`].
    pub fn tls_failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Securing(Securing {
                mut account,
                response,
                ..
            }) if account.tls == TlsMode::Prefer => {
                account.tls = TlsMode::Disable;
                exchange.from_server.clear();
                Step::Dial(Self::ExpectGreeting(ExpectGreeting {
                    account,
                    response: Some(response),
                }))
            }
            Self::Securing(_) => {
                let text = ["TLS with the MySQL server failed: ", reason].concat();
                self.end(Refusal::new(Cause::Unreachable, text), exchange)
            }
            other => Step::Wait(other),
        }
    }

    /// See [`crate::login::Login::server_ended`].
    pub fn server_ended(self, exchange: &mut Exchange<'_>) -> Step<Self> {
        match self {
            Self::Fresh(_) => Step::Wait(self),
            Self::Securing(_) => self.tls_failed("the server closed the connection", exchange),
            _ => {
                let text = "the server closed the connection during the login: its log says why";
                self.end(Refusal::new(Cause::Unreachable, text), exchange)
            }
        }
    }

    fn end(self, refusal: Refusal, exchange: &mut Exchange<'_>) -> Step<Self> {
        self.refuse(&refusal, exchange.to_client);
        Step::Refused(refusal)
    }

    /// See [`crate::login::Login::refuse`].
    pub fn refuse(&self, refusal: &Refusal, to_client: &mut dyn Packets) {
        say(refusal, self.is_greeted(), to_client);
    }

    /// See [`crate::login::Login::waits_for`].
    pub fn waits_for(&self) -> Waits {
        match self {
            Self::ExpectResponse(_) => Waits::Client,
            _ => Waits::Server,
        }
    }

    fn is_greeted(&self) -> bool {
        match self {
            Self::Fresh(_) => false,
            Self::ExpectGreeting(state) => state.response.is_some(),
            _ => true,
        }
    }
}

fn begin(account: Account, exchange: &mut Exchange<'_>) -> Outcome<Login> {
    account.check()?;
    exchange.from_server.clear();
    let response = None;
    let dialled = Login::ExpectGreeting(ExpectGreeting { account, response });
    Ok(Next::Leave(Step::Dial(dialled)))
}

impl ExpectGreeting {
    fn handle(self, exchange: &mut Exchange<'_>) -> Outcome<Login> {
        let packet = messages::packet(exchange.from_server.filled())?;
        let Some((_, payload)) = packet else {
            return Ok(Next::Leave(Step::Wait(Login::ExpectGreeting(self))));
        };
        if let Verdict::Error(code) = messages::verdict(payload) {
            let sequence = VERDICT_SEQUENCE * u8::from(self.response.is_some());
            let packet = messages::framed(sequence, &[payload]);
            exchange.to_client.packet(&packet);
            return Err(server_refused(code));
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
                Ok(Next::Go(Login::ExpectResponse(ExpectResponse {
                    account,
                    greeting,
                })))
            }
        }
    }
}

impl ExpectResponse {
    fn handle(self, exchange: &mut Exchange<'_>) -> Outcome<Login> {
        let malformed = |_| messages::protocol("the client's first bytes are no MySQL packet");
        let packet = messages::packet(exchange.from_client.filled()).map_err(malformed)?;
        let Some((_, payload)) = packet else {
            return Ok(Next::Leave(Step::Wait(Login::ExpectResponse(self))));
        };
        let len = messages::HEADER_BYTES + payload.len();
        let response = messages::response(payload)?;
        exchange.from_client.consume(len);
        introduce(self.account, self.greeting, response, exchange)
    }
}

/// Over TLS if it is wanted and the server has it.
fn introduce(
    account: Account,
    greeting: Greeting,
    response: Response,
    exchange: &mut Exchange<'_>,
) -> Outcome<Login> {
    let has_tls = greeting.capabilities & capability::SSL != 0;
    match account.tls.wish() {
        Some(_) if !exchange.from_server.is_empty() => Err(messages::protocol(
            "the server sent bytes in plain text behind its greeting: somebody may be in between",
        )),
        Some(wish) if has_tls => {
            let stored = account.database.as_deref();
            let request = response.ssl_request(greeting.capabilities, stored);
            let packet = messages::framed(1, &[&request]);
            exchange.to_server.put(&packet);
            let login = Login::Securing(Securing {
                account,
                greeting,
                response,
            });
            Ok(Next::Leave(Step::StartTls(login, wish)))
        }
        Some(_) if account.tls != TlsMode::Prefer => Err(Refusal::new(
            Cause::Unreachable,
            "SSL is not enabled on the MySQL server: enable it, or set SSLMODE to prefer",
        )),
        _ => Ok(Next::Go(respond(
            account, &greeting, &response, false, exchange,
        ))),
    }
}

fn respond(
    account: Account,
    greeting: &Greeting,
    response: &Response,
    is_secure: bool,
    exchange: &mut Exchange<'_>,
) -> Login {
    // A server whose favourite we do not know switches to that of the account.
    let favourite = Plugin::named(&greeting.plugin);
    let plugin = favourite.filter(|it| *it == Plugin::CachingSha2);
    let plugin = plugin.unwrap_or(Plugin::Native);
    let proof = plugin.proof(account.password.expose(), &greeting.scramble);
    let identity = Identity {
        user: &account.user,
        database: account.database.as_deref(),
        is_secure,
        proof: proof.as_deref().unwrap_or_default(),
        plugin: plugin.name(),
    };
    let payload = response.rewritten(greeting.capabilities, &identity);
    let packet = messages::framed(1 + u8::from(is_secure), &[&payload]);
    exchange.to_server.put(&packet);
    Login::ExpectVerdict(ExpectVerdict {
        account,
        plugin,
        is_secure,
        has_switched: false,
    })
}

impl ExpectVerdict {
    fn handle(mut self, exchange: &mut Exchange<'_>) -> Outcome<Login> {
        let packet = messages::packet(exchange.from_server.filled())?;
        let Some((sequence, payload)) = packet else {
            return Ok(Next::Leave(Step::Wait(Login::ExpectVerdict(self))));
        };
        let len = messages::HEADER_BYTES + payload.len();
        let sequence = sequence.wrapping_add(1);
        match messages::verdict(payload) {
            Verdict::Ok => {
                let packet = messages::framed(VERDICT_SEQUENCE, &[payload]);
                exchange.to_client.packet(&packet);
                exchange.from_server.consume(len);
                return Ok(Next::Leave(Step::Passed(relay(exchange))));
            }
            Verdict::Error(code) => {
                let packet = messages::framed(VERDICT_SEQUENCE, &[payload]);
                exchange.to_client.packet(&packet);
                return Err(server_refused(code));
            }
            Verdict::Switch(name, scramble) if !self.has_switched => {
                let plugin = Plugin::named(name).ok_or_else(|| unknown_plugin(name))?;
                (self.plugin, self.has_switched) = (plugin, true);
                let password = self.account.password.expose();
                match plugin.proof(password, &scramble) {
                    Some(proof) => {
                        let packet = messages::framed(sequence, &[&proof]);
                        exchange.to_server.put(&packet);
                    }
                    None => self.send_password(sequence, exchange)?,
                }
            }
            Verdict::FastOk if self.plugin == Plugin::CachingSha2 => {}
            Verdict::Full if self.plugin == Plugin::CachingSha2 => {
                self.send_password(sequence, exchange)?;
            }
            _ => return Err(messages::protocol(messages::NOT_MYSQL)),
        }
        exchange.from_server.consume(len);
        Ok(Next::Go(Login::ExpectVerdict(self)))
    }

    fn send_password(&self, sequence: u8, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        if !self.is_secure {
            return Err(Refusal::new(
                Cause::Unsupported,
                "the MySQL server wants the password itself, which needs TLS: enable TLS on the \
                 server (SSLMODE prefer or require), or use mysql_native_password",
            ));
        }
        let parts = [self.account.password.expose(), b"\0"];
        let packet = Secret::new(messages::framed(sequence, &parts));
        exchange.to_server.put(packet.expose());
        Ok(())
    }
}

/// What came in the same breath must not wait for readiness that does not come again. Some drivers
/// send their first commands with the response.
fn relay(exchange: &mut Exchange<'_>) -> Relay {
    let mut relay = Relay::mysql();
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

/// Of what ends a login, as the client counts.
const VERDICT_SEQUENCE: u8 = 2;

fn say(refusal: &Refusal, is_greeted: bool, to_client: &mut dyn Packets) {
    if refusal.cause != Cause::Said {
        let sequence = VERDICT_SEQUENCE * u8::from(is_greeted);
        let payload = messages::error(refusal, is_greeted);
        to_client.packet(&messages::framed(sequence, &[&payload]));
    }
}

fn server_refused(code: u16) -> Refusal {
    let advice = match code {
        1045 => "check USER and PASS",
        1129 => "the server has banned this host: FLUSH HOSTS there",
        _ => "its log says why",
    };
    let text = format!("the server refused the login, error {code}: {advice}");
    Refusal::new(Cause::Said, text)
}

fn unknown_plugin(name: &[u8]) -> Refusal {
    let name: String = name
        .iter()
        .take(64)
        .map(|b| char::from(*b))
        .filter(char::is_ascii_graphic)
        .collect();
    let text = [
        "authentication plugin ",
        &name,
        " not supported: let the account use another",
    ];
    Refusal::new(Cause::Unsupported, text.concat())
}
