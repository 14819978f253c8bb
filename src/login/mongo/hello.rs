//! What a hello carries for whom: the client's on its way to the server, the server's answer on its way back.
//!
//! A client must see one server, the one that it is connected to: with the names of the others it would leave
//! the way that it came by. It must not compress, since the gateway reads along, nor wait for answers that come
//! by themselves.

use super::bson::{Document, Element, Writer, kind};
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
                let most = at_most(element, limits::MONGO_MESSAGE_BYTES_MAX);
                reply.int32("maxMessageSizeBytes", most);
            }
            b"maxWriteBatchSize" => {
                let most = at_most(element, limits::MONGO_WRITES_MAX);
                reply.int32("maxWriteBatchSize", most);
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

fn at_most(element: Element<'_>, most: i32) -> i32 {
    let said = element
        .number()
        .and_then(|number| i32::try_from(number).ok());
    said.map_or(most, |number| number.min(most))
}

/// Our next words of a conversation.
pub(super) fn step(payload: &str, is_done: bool) -> Vec<u8> {
    let mut step = Writer::new();
    step.int32("conversationId", 1).boolean("done", is_done);
    step.binary("payload", payload.as_bytes())
        .int32("ok", 1)
        .finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(document: &[u8]) -> Vec<Vec<u8>> {
        let document = Document::read(document).expect("a document");
        assert!(document.is_sound());
        document.elements().map(|it| it.name.to_vec()).collect()
    }

    fn document(names: &[String]) -> Vec<u8> {
        let mut writer = Writer::new();
        for name in names {
            writer.int32(name, 7);
        }
        writer.finish()
    }

    fn some_names() -> impl Strategy<Value = Vec<String>> {
        let more = ["client", "maxMessageSizeBytes", "ismaster"].map(str::as_bytes);
        let known = [&NOT_FOR_SERVER[..], &NOT_FOR_CLIENT, &more].concat();
        let known: Vec<String> = known
            .into_iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let name = prop_oneof![proptest::sample::select(known), "[a-z]{0,6}"];
        proptest::collection::vec(name, 0..12)
    }

    proptest! {
        #[test]
        fn what_is_nobodys_business_goes_and_all_else_stays_in_its_order(
            asked in some_names(), is_first in any::<bool>(), user in proptest::option::of("[a-z]{1,5}"),
        ) {
            let bytes = document(&asked);
            let read = Document::read(&bytes).expect("a document");
            let user = user.as_ref().map(|name| name.as_bytes());
            let goes = |name: &[u8]| NOT_FOR_SERVER.contains(&name) || name == b"client" && !is_first;
            let mut want: Vec<Vec<u8>> = asked.iter().map(|name| name.clone().into_bytes()).collect();
            want.retain(|name| !goes(name));
            want.extend(user.map(|_| b"saslSupportedMechs".to_vec()));
            want.push(b"$db".to_vec());
            prop_assert_eq!(names(&for_server(read, is_first, user)), want);

            let hides = is_writable(read);
            let goes = |name: &[u8]| NOT_FOR_CLIENT.contains(&name) || name == b"setName" && hides;
            let mut want: Vec<Vec<u8>> = asked.iter().map(|name| name.clone().into_bytes()).collect();
            want.retain(|name| !goes(name));
            prop_assert_eq!(names(&for_client(read, &Wishes::default())), want);
        }

        #[test]
        fn an_answer_of_any_bytes_is_passed_on_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let len = u32::try_from(bytes.len() + 5).expect("few bytes").to_le_bytes();
            let bytes = [&len[..], &bytes, b"\0"].concat();
            if let Some(read) = Document::read(&bytes) {
                let wishes = Wishes { mechanisms: true, conversation: None };
                let size = for_client(read, &wishes).len();
                prop_assert!(size <= bytes.len() + 100);
                let _ = (offered(read), for_server(read, true, Some(b"u")));
            }
        }
    }
}
