//! The client's own login: it shows that it knows the password that everybody knows.
//!
//! Nobody is kept out by that; but a driver believes a server only that knows its user's password, too.

use super::bson::Document;
use super::entry;
use super::messages::Asked;
use super::state::{Admitted, Bond, Conversation, Entry, Idle, Judging, Next, Outcome};
use crate::login::scram::Hash;
use crate::login::scram::server::{ClientHello, mongo_password};
use crate::login::{Cause, Exchange, Refusal};

/// The password of every client, as hoop's client prints it.
const PASSWORD: &[u8] = b"noop";

/// Why a command of the client has failed.
pub(super) struct Trouble {
    pub(super) code: i32,
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

const MECHANISM: Trouble = Trouble {
    code: 334,
    name: "MechanismUnavailable",
    text: "this side of the connection takes SCRAM-SHA-256 and SCRAM-SHA-1: connect with any user and \
           the password noop",
};
const NO_CONVERSATION: Trouble = Trouble {
    code: 17,
    name: "ProtocolError",
    text: "no SCRAM message, or none that belongs to the last one",
};
const WRONG: &str = "Authentication failed: this side of the connection takes any user, and the password noop; the \
     server's own is known to the agent";

/// The first message of a client.
pub(super) fn begin(
    start: Document<'_>,
    bond: &Bond,
    exchange: &mut Exchange<'_>,
) -> Result<Conversation, Trouble> {
    let mechanism = start.text(b"mechanism").unwrap_or_default();
    let mut all = [Hash::Sha256, Hash::Sha1].into_iter();
    let hash = all.find(|hash| hash.mechanism().as_bytes() == mechanism);
    let hash = hash.ok_or(MECHANISM)?;
    let payload = start.get(b"payload").and_then(|it| it.binary());
    let hello = ClientHello::read(payload.unwrap_or_default()).map_err(|_| NO_CONVERSATION)?;
    let hashed = mongo_password(hello.user().as_bytes(), PASSWORD);
    let password = match hash {
        Hash::Sha1 => hashed.expose(),
        Hash::Sha256 => PASSWORD,
    };
    let options = start.get(b"options").and_then(|it| it.document());
    Ok(Conversation {
        challenge: hello.challenge(hash, password, &bond.nonces.client, exchange.keys),
        hash,
        skips_empty: options.is_some_and(|it| it.is_true(b"skipEmptyExchange")),
    })
}

impl Idle {
    /// The last message of a client.
    pub(super) fn judge(
        mut self: Box<Self>,
        asked: Asked,
        document: Document<'_>,
        exchange: &mut Exchange<'_>,
    ) -> Outcome {
        let payload = document.get(b"payload").and_then(|it| it.binary());
        let conversation = self.conversation.take();
        let Some((conversation, payload)) = conversation.zip(payload) else {
            return self.tell(asked, &NO_CONVERSATION, exchange);
        };
        let Ok(judging) = conversation.challenge.answered(payload) else {
            return self.tell(asked, &NO_CONVERSATION, exchange);
        };
        Next::go(Judging {
            entry: Entry {
                bond: self.bond,
                asked,
                skips_empty: conversation.skips_empty,
            },
            judging,
            hash: conversation.hash,
        })
    }
}

impl Judging {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        match self.judging.verdict() {
            None => Next::wait(self),
            Some(Err(_)) => Err(Refusal::new(Cause::Credentials, WRONG)),
            Some(Ok(verdict)) => {
                let entry = self.entry;
                entry::begin(Admitted { entry, verdict }, self.hash, exchange)
            }
        }
    }
}
