//! Why a login ends: what we say.

use super::packets::{self, Malformed, kind, message};
use super::prelogin::{self, encryption};
use super::reply;
use super::state::{Hearing, Next, Outcome, Refusing};
use crate::login::{Cause, Exchange, Packets, Refusal, Step};

/// Said of a server that answers in another language.
pub(super) const NOT_TDS: &str =
    "the server does not answer as SQL Server does: check HOST and PORT of the connection";

pub(super) fn malformed(_: Malformed) -> Refusal {
    Refusal::protocol("the client's first bytes are no login to SQL Server")
}

pub(super) fn left() -> Refusal {
    let text = "the server closed the connection during the login: its log says why";
    Refusal::new(Cause::Unreachable, text)
}

/// As the reply to a LOGIN7; an answer that is still owed goes first.
pub(super) fn say(refusal: &Refusal, hearing: Hearing, is_old: bool, to_client: &mut dyn Packets) {
    let number = match refusal.cause {
        Cause::Said => return,
        // Some drivers try again upon any other number, and show what they were told only when they give up.
        Cause::Credentials | Cause::Protocol | Cause::Unsupported => 18456,
        Cause::Unreachable => 17829,
        Cause::Stopping => 6005,
        Cause::Full => 17809,
    };
    if hearing == Hearing::Answer {
        answer(to_client);
    }
    let body = reply::error(number, &refusal.text, is_old);
    to_client.packet(&packets::framed(kind::REPLY, &body));
}

fn answer(to_client: &mut dyn Packets) {
    if let Ok(body) = prelogin::rewritten(prelogin::OF_A_SERVER, encryption::NOT_SUPPORTED) {
        to_client.packet(&packets::framed(kind::REPLY, &body));
    }
}

impl Refusing {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        exchange.from_server.clear();
        let bytes = exchange.from_client.filled();
        if self.hearing == Hearing::Nothing {
            match (bytes.first(), message(bytes, kind::PRELOGIN)) {
                (None, _) | (_, Ok(None)) => return Next::wait(self),
                (_, Ok(Some(prelogin))) => {
                    exchange.from_client.consume(prelogin.len);
                    self.hearing = Hearing::Answer;
                }
                (_, Err(_)) => self.hearing = Hearing::Later,
            }
        }
        if self.hearing == Hearing::Answer {
            answer(exchange.to_client);
            self.hearing = Hearing::Later;
        }
        let is_old = match message(exchange.from_client.filled(), kind::LOGIN7) {
            Ok(None) => return Next::wait(self),
            Ok(Some(login)) => super::login7::is_old(packets::long(&login.body, 4).unwrap_or(0)),
            Err(_) => false,
        };
        say(&self.refusal, Hearing::Reply, is_old, exchange.to_client);
        Ok(Next::Leave(Step::Refused(self.refusal)))
    }
}
