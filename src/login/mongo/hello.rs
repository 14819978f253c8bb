//! What a hello carries for whom: the client's on its way to the server, the server's answer on its way back.
//!
//! A client must see one server, the one that it is connected to: with the names of the others it would leave
//! the way that it came by. It must not compress, since the gateway reads along, nor wait for answers that come
//! by themselves.

use super::bson::{Document, Writer, kind};
use super::state::Wishes;
use crate::limits;
use crate::login::scram::Hash;

/// Of a request: what is ours to answer, and what would make a server say more than once.
const NOT_FOR_SERVER: [&[u8]; 8] = [
    b"speculativeAuthenticate",
    b"saslSupportedMechs",
    b"compression",
    b"topologyVersion",
    b"maxAwaitTimeMS",
    b"loadBalanced",
    b"$db",
    b"$readPreference",
];

/// Of an answer: other hosts, and what follows from the above.
const NOT_FOR_CLIENT: [&[u8]; 13] = [
    b"hosts",
    b"passives",
    b"arbiters",
    b"primary",
    b"me",
    b"setVersion",
    b"electionId",
    b"tags",
    b"lastWrite",
    b"topologyVersion",
    b"compression",
    b"saslSupportedMechs",
    b"speculativeAuthenticate",
];

/// Commands whose answers need no login.
pub(super) fn is_hello(name: &[u8]) -> bool {
    matches!(name, b"hello" | b"isMaster" | b"ismaster")
}

/// The client's command for the server; `is_first` on its connection, where who the client is may be said. `user`
/// is whose mechanisms are to be told.
pub(super) fn for_server(document: Document<'_>, is_first: bool, user: Option<&[u8]>) -> Vec<u8> {
    let mut command = Writer::new();
    for element in document.elements() {
        let is_repeated = element.name == b"client" && !is_first;
        if !is_repeated && !NOT_FOR_SERVER.contains(&element.name) {
            command.copy(&element);
        }
    }
    if let Some(user) = user {
        command.text("saslSupportedMechs", user);
    }
    command.text("$db", b"admin").finish()
}

/// A hello of our own, for a client that begins with something else.
pub(super) fn own(user: Option<&[u8]>) -> Vec<u8> {
    let hello = Writer::new()
        .int32("isMaster", 1)
        .boolean("helloOk", true)
        .finish();
    match Document::read(&hello) {
        Some(document) => for_server(document, false, user),
        None => hello,
    }
}

/// The server takes writes: a primary, a server alone, a router.
pub(super) fn is_writable(answer: Document<'_>) -> bool {
    answer.is_true(b"isWritablePrimary") || answer.is_true(b"ismaster")
}

/// The better one of the mechanisms that the server names.
pub(super) fn offered(answer: Document<'_>) -> Option<Hash> {
    let names = answer.get(b"saslSupportedMechs")?.document()?;
    let has = |hash: Hash| {
        let name = hash.mechanism().as_bytes();
        names.elements().any(|it| it.text() == Some(name))
    };
    [Hash::Sha256, Hash::Sha1]
        .into_iter()
        .find(|hash| has(*hash))
}

/// The server's answer for the client, with our own to its wishes.
pub(super) fn for_client(answer: Document<'_>, wishes: &Wishes) -> Vec<u8> {
    // Who reads of a secondary must see that it is one.
    let hides_set = is_writable(answer);
    let mut reply = Writer::new();
    for element in answer.elements() {
        match element.name {
            b"setName" if hides_set => {}
            b"maxMessageSizeBytes" => {
                let most = limits::MONGO_MESSAGE_BYTES_MAX;
                let said = element.number().and_then(|size| i32::try_from(size).ok());
                reply.int32(
                    "maxMessageSizeBytes",
                    said.map_or(most, |size| size.min(most)),
                );
            }
            name if NOT_FOR_CLIENT.contains(&name) => {}
            _ => {
                reply.copy(&element);
            }
        }
    }
    if wishes.mechanisms {
        let mut names = Writer::new();
        names.text("0", Hash::Sha1.mechanism().as_bytes());
        names.text("1", Hash::Sha256.mechanism().as_bytes());
        reply.nested(kind::ARRAY, "saslSupportedMechs", &names.finish());
    }
    if let Some(conversation) = &wishes.conversation {
        let first = step(conversation.challenge.message(), false);
        reply.nested(kind::DOCUMENT, "speculativeAuthenticate", &first);
    }
    reply.finish()
}

/// Our next words of a conversation.
pub(super) fn step(payload: &str, is_done: bool) -> Vec<u8> {
    let mut step = Writer::new();
    step.int32("conversationId", 1).boolean("done", is_done);
    step.binary("payload", payload.as_bytes())
        .int32("ok", 1)
        .finish()
}
