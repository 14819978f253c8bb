//! The server is there: what the client asks before it is logged in, which monitors do for ever.

use super::bson::Document;
use super::client::{name, read, take};
use super::hello;
use super::messages::{self, Asked, Request};
use super::proof::{self, Trouble};
use super::state::{Asking, Bond, Idle, Next, Outcome, Wishes};
use crate::login::Exchange;

/// What a server tells anybody, too.
const FOR_ANYBODY: [&[u8]; 5] = [
    b"ping",
    b"buildInfo",
    b"buildinfo",
    b"connectionStatus",
    b"whatsmyuri",
];

const LOG_IN_FIRST: Trouble = Trouble {
    code: 13,
    name: "Unauthorized",
    text: "command requires authentication: connect with any user and the password noop, as in \
           mongodb://noop:noop@HOST:PORT/?directConnection=true",
};

impl Wishes {
    /// What a hello asks of us.
    pub(super) fn of(hello: Document<'_>, bond: &Bond, exchange: &mut Exchange<'_>) -> Self {
        let start = hello.get(b"speculativeAuthenticate");
        let start = start.and_then(|it| it.document());
        Self {
            mechanisms: hello.get(b"saslSupportedMechs").is_some(),
            // Whoever is not answered asks again, in its own message.
            conversation: start.and_then(|it| proof::begin(it, bond, exchange).ok()),
        }
    }
}

impl Idle {
    pub(super) fn new(bond: Bond) -> Self {
        Self {
            bond,
            conversation: None,
            has_begun: false,
        }
    }

    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(message) = take(exchange)? else {
            self.has_begun = !exchange.from_client.is_empty();
            return Next::wait(self);
        };
        let Request { asked, document } = read(&message)?;
        let Some(asked) = asked else {
            // It wants to hear nothing.
            return Next::go(self);
        };
        match name(document) {
            b"saslStart" => match proof::begin(document, &self.bond, exchange) {
                Ok(conversation) => {
                    let words = hello::step(conversation.challenge.message(), false);
                    self.bond.reply(asked, &words, exchange);
                    self.conversation = Some(conversation);
                    Next::go(self)
                }
                Err(trouble) => self.tell(asked, &trouble, exchange),
            },
            b"saslContinue" => self.judge(asked, document, exchange),
            name if hello::is_hello(name) => {
                let wishes = Wishes::of(document, &self.bond, exchange);
                self.pass(asked, document, wishes, exchange)
            }
            name if FOR_ANYBODY.contains(&name) => {
                self.pass(asked, document, Wishes::default(), exchange)
            }
            _ => self.tell(asked, &LOG_IN_FIRST, exchange),
        }
    }

    /// The server is to say.
    fn pass(
        mut self: Box<Self>,
        asked: Asked,
        document: Document<'_>,
        wishes: Wishes,
        exchange: &mut Exchange<'_>,
    ) -> Outcome {
        let command = hello::for_server(document, false, None);
        self.bond.ask(&command, exchange);
        Next::go(Asking {
            bond: self.bond,
            asked,
            wishes,
        })
    }

    /// A command has failed, and the client may ask for something else.
    pub(super) fn tell(
        mut self: Box<Self>,
        asked: Asked,
        trouble: &Trouble,
        exchange: &mut Exchange<'_>,
    ) -> Outcome {
        let error = messages::error(trouble.code, trouble.name, trouble.text);
        self.bond.reply(asked, &error, exchange);
        Next::go(self)
    }
}

impl Asking {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(bytes) = self.bond.hear(exchange)? else {
            return Next::wait(self);
        };
        match Document::read(&bytes) {
            Some(answer) => self.answer(answer, exchange),
            None => Next::wait(self),
        }
    }

    /// The server has said it.
    pub(super) fn answer(
        mut self: Box<Self>,
        answer: Document<'_>,
        exchange: &mut Exchange<'_>,
    ) -> Outcome {
        if !answer.is_true(b"ok") {
            self.wishes = Wishes::default();
        }
        let words = hello::for_client(answer, &self.wishes);
        self.bond.reply(self.asked, &words, exchange);
        let mut idle = Idle::new(self.bond);
        idle.conversation = self.wishes.conversation;
        Next::go(idle)
    }
}
