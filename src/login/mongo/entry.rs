//! The login to the server, once the client has proven itself and before it hears so.

use super::account::Mechanism;
use super::bson::{Document, Writer, kind};
use super::client;
use super::hello;
use super::refusal::{NOT_MONGO, server_refused};
use super::state::{
    Admitted, DerivingKey, ExpectConsent, ExpectEmpty, ExpectScramFirst, ExpectScramLast, Next,
    Outcome,
};
use crate::limits;
use crate::login::scram::server::mongo_password;
use crate::login::scram::{ClientFirst, Hash, ScramError};
use crate::login::{Cause, Exchange, Refusal, Relay};

/// What goes by in the end says no more than that it is the end.
const OVERDUE: &str = "the client said something else than the end of its login";

/// By `usual` where nobody names a better mechanism.
pub(super) fn begin(mut admitted: Admitted, usual: Hash, exchange: &mut Exchange<'_>) -> Outcome {
    let bond = &mut admitted.entry.bond;
    let Some(credentials) = &bond.account.credentials else {
        return admitted.pass(exchange);
    };
    let offered = bond.offered.unwrap_or(usual);
    let mechanism = credentials.mechanism.unwrap_or(Mechanism::Scram(offered));
    let user = String::from_utf8_lossy(&credentials.user);
    let Mechanism::Scram(hash) = mechanism else {
        let mut command = Writer::new();
        command
            .int32("authenticate", 1)
            .text("mechanism", b"MONGODB-X509");
        if !user.is_empty() {
            command.text("user", user.as_bytes());
        }
        let command = command.text("$db", bond.account.source()).finish();
        bond.ask(&command, exchange);
        return Next::go(ExpectConsent { admitted });
    };
    let first = ClientFirst::new(hash, &user, &bond.nonces.server);
    let first = first.with_rounds_min(limits::MONGO_ROUNDS_MIN);
    let options = Writer::new().boolean("skipEmptyExchange", true).finish();
    let mut command = Writer::new();
    command
        .int32("saslStart", 1)
        .text("mechanism", hash.mechanism().as_bytes());
    command.binary("payload", first.message().as_bytes());
    command.nested(kind::DOCUMENT, "options", &options);
    let command = command.text("$db", bond.account.source()).finish();
    bond.ask(&command, exchange);
    Next::go(ExpectScramFirst {
        admitted,
        first,
        hash,
    })
}

/// What the server answers to a step of a login.
struct Answer(Vec<u8>);

impl Answer {
    fn document(&self) -> Result<Document<'_>, Refusal> {
        let document = Document::read(&self.0).ok_or_else(|| Refusal::protocol(NOT_MONGO))?;
        match document.is_true(b"ok") {
            true => Ok(document),
            false => Err(server_refused(document)),
        }
    }
}

fn payload(document: Document<'_>) -> Result<&[u8], Refusal> {
    let payload = document.get(b"payload").and_then(|it| it.binary());
    payload.ok_or_else(|| Refusal::protocol(NOT_MONGO))
}

fn failed(error: ScramError) -> Refusal {
    let cause = match error {
        ScramError::Refused => Cause::Credentials,
        _ => Cause::Protocol,
    };
    Refusal::new(cause, error.to_string())
}

impl Admitted {
    fn hear(&self, exchange: &mut Exchange<'_>) -> Result<Option<Answer>, Refusal> {
        Ok(self.entry.bond.hear(exchange)?.map(Answer))
    }

    /// Goes on with the conversation whose number is the element `conversation`.
    fn go_on(&mut self, conversation: &[u8], payload: &[u8], exchange: &mut Exchange<'_>) {
        let bond = &mut self.entry.bond;
        let mut command = Writer::new();
        command
            .int32("saslContinue", 1)
            .raw(conversation)
            .binary("payload", payload);
        let command = command.text("$db", bond.account.source()).finish();
        bond.ask(&command, exchange);
    }

    /// The client is told that it is in.
    fn pass(self, exchange: &mut Exchange<'_>) -> Outcome {
        let Self { mut entry, verdict } = self;
        let words = hello::step(&verdict, entry.skips_empty);
        entry.bond.reply(entry.asked, &words, exchange);
        match entry.skips_empty {
            true => Next::passed(Relay::mongo(), exchange),
            false => Next::go(ExpectEmpty { bond: entry.bond }),
        }
    }
}

impl ExpectScramFirst {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(answer) = self.admitted.hear(exchange)? else {
            return Next::wait(self);
        };
        let document = answer.document()?;
        let number = document.get(b"conversationId").map(|it| it.whole.to_vec());
        let Self {
            admitted,
            first,
            hash,
        } = *self;
        let deriving = match &admitted.entry.bond.account.credentials {
            Some(known) => {
                let password = match hash {
                    Hash::Sha1 => mongo_password(&known.user, known.password.expose()),
                    Hash::Sha256 => known.password.clone(),
                };
                first.answered(payload(document)?, &password, exchange.keys)
            }
            None => return Err(Refusal::protocol(NOT_MONGO)),
        };
        Next::go(DerivingKey {
            admitted,
            deriving: deriving.map_err(failed)?,
            conversation: number.unwrap_or_default(),
        })
    }
}

impl DerivingKey {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some((message, proof)) = self.deriving.answer() else {
            return Next::wait(self);
        };
        let Self {
            mut admitted,
            conversation,
            ..
        } = *self;
        admitted.go_on(&conversation, message.as_bytes(), exchange);
        Next::go(ExpectScramLast {
            admitted,
            proof,
            conversation,
        })
    }
}

impl ExpectScramLast {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(answer) = self.admitted.hear(exchange)? else {
            return Next::wait(self);
        };
        let document = answer.document()?;
        let Self {
            mut admitted,
            proof,
            conversation,
        } = *self;
        proof.verify(payload(document)?).map_err(failed)?;
        if document.is_true(b"done") {
            return admitted.pass(exchange);
        }
        admitted.go_on(&conversation, b"", exchange);
        Next::go(ExpectConsent { admitted })
    }
}

impl ExpectConsent {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(answer) = self.admitted.hear(exchange)? else {
            return Next::wait(self);
        };
        answer.document()?;
        self.admitted.pass(exchange)
    }
}

impl ExpectEmpty {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(message) = client::take(exchange)? else {
            return Next::wait(self);
        };
        let request = client::read(&message)?;
        let Some(asked) = request
            .asked
            .filter(|_| client::name(request.document) == b"saslContinue")
        else {
            return Err(Refusal::protocol(OVERDUE));
        };
        self.bond.reply(asked, &hello::step("", true), exchange);
        Next::passed(Relay::mongo(), exchange)
    }
}
