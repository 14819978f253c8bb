//! What the client says, message by message.

use super::bson::Document;
use super::messages::{self, Request};
use super::refusal::NO_MESSAGE;
use crate::limits;
use crate::login::{Exchange, Refusal};

/// The client's next message when it is whole; it stays where it is.
pub(super) fn peek<'a>(exchange: &'a Exchange<'_>) -> Result<Option<&'a [u8]>, Refusal> {
    let bytes = exchange.from_client.filled();
    messages::whole(bytes, limits::LOGIN_CLIENT_BYTES_MAX).map_err(no_message)
}

/// The same, which is taken.
pub(super) fn take(exchange: &mut Exchange<'_>) -> Result<Option<Vec<u8>>, Refusal> {
    let message = peek(exchange)?.map(<[u8]>::to_vec);
    let len = message.as_ref().map_or(0, Vec::len);
    exchange.from_client.consume(len);
    Ok(message)
}

/// What it asks.
pub(super) fn read(message: &[u8]) -> Result<Request<'_>, Refusal> {
    messages::request(message).map_err(no_message)
}

/// The command's name.
pub(super) fn name(document: Document<'_>) -> &[u8] {
    document.elements().next().map_or(b"", |first| first.name)
}

fn no_message<T>(_: T) -> Refusal {
    Refusal::protocol(NO_MESSAGE)
}
