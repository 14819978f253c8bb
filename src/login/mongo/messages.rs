//! The messages of the wire protocol that a login reads and writes: requests of a client in both of
//! their forms, commands for a server, and the answers to either. Numbers are little-endian.

use super::bson::{Document, Writer};
use crate::base::plain::beginning;
use crate::limits;

/// Length, number, the number that is answered, code.
pub const HEADER_BYTES: usize = 16;

const REPLY: u32 = 1;
const QUERY: u32 = 2004;
const MESSAGE: u32 = 2013;

/// Flags of a message: it ends in a checksum; nobody waits for an answer.
const HAS_CHECKSUM: u32 = 1;
const NO_ANSWER: u32 = 2;
/// Those that whoever does not know them must refuse.
const REQUIRED_FLAGS: u32 = 0xffff;

/// What every server of today says of itself in an `OP_REPLY`.
const AWAIT_CAPABLE: u32 = 8;

/// In which form a client asks, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `OP_QUERY`, which drivers begin with that know old servers.
    Query,
    /// `OP_MSG`.
    Message,
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The number of the request.
    pub id: u32,
    /// How it was asked.
    pub form: Form,
}

/// A client's request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Whom its answer is for; `None` where nobody waits for one.
    pub asked: Option<Asked>,
    /// The command.
    pub document: Document<'a>,
}

/// The bytes of the message at the beginning of `bytes`, when it is whole; `len_max` bytes at most.
pub fn whole(bytes: &[u8], len_max: usize) -> Result<Option<&[u8]>, NotAMessage> {
    let Some(word) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let len = usize::try_from(u32::from_le_bytes(*word)).map_err(|_| NotAMessage)?;
    if !(HEADER_BYTES..=len_max).contains(&len) {
        return Err(NotAMessage);
    }
    Ok(bytes.get(..len))
}

/// Its length can't be one, or what it holds is not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMessage;

/// What a whole message of a client asks.
pub fn request(message: &[u8]) -> Result<Request<'_>, NotAMessage> {
    let (id, code) = (word(message, 4), word(message, 12));
    let (document, form, is_heard) = match code {
        Some(MESSAGE) => {
            let (flags, document) = sections(message).ok_or(NotAMessage)?;
            (document, Form::Message, flags & NO_ANSWER == 0)
        }
        Some(QUERY) => {
            let document = query(message).ok_or(NotAMessage)?;
            (document, Form::Query, true)
        }
        _ => return Err(NotAMessage),
    };
    let asked = id.filter(|_| is_heard).map(|id| Asked { id, form });
    document
        .is_sound()
        .then_some(Request { asked, document })
        .ok_or(NotAMessage)
}

/// The document of a server's whole answer to request `id`.
pub fn answer(message: &[u8], id: u32) -> Result<Document<'_>, NotAMessage> {
    if word(message, 8) != Some(id) || word(message, 12) != Some(MESSAGE) {
        return Err(NotAMessage);
    }
    let (flags, document) = sections(message).ok_or(NotAMessage)?;
    // More would come unasked.
    let is_last = flags & NO_ANSWER == 0;
    (is_last && document.is_sound())
        .then_some(document)
        .ok_or(NotAMessage)
}

/// Flags and the one document of the first kind of an `OP_MSG`. Lists of documents, which no command of a
/// login has, are passed over.
fn sections(message: &[u8]) -> Option<(u32, Document<'_>)> {
    let flags = word(message, HEADER_BYTES)?;
    if flags & REQUIRED_FLAGS & !(HAS_CHECKSUM | NO_ANSWER) != 0 {
        return None;
    }
    let checksum = if flags & HAS_CHECKSUM == 0 { 0 } else { 4 };
    let end = message.len().checked_sub(checksum)?;
    let mut rest = message.get(HEADER_BYTES + 4..end)?;
    let mut found = None;
    while let Some((section, body)) = rest.split_first() {
        let len = match section {
            0 if found.is_none() => {
                let document = Document::read(body)?;
                found = Some(document);
                document.bytes().len()
            }
            1 => usize::try_from(word(body, 0)?)
                .ok()
                .filter(|len| *len >= 4)?,
            _ => return None,
        };
        rest = body.get(len..)?;
    }
    Some((flags, found?))
}

/// The command of an `OP_QUERY`, which old drivers wrap.
fn query(message: &[u8]) -> Option<Document<'_>> {
    let name = message.get(HEADER_BYTES + 4..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    if !name.get(..end)?.ends_with(b".$cmd") {
        return None;
    }
    // How many to skip and to return mean nothing for a command.
    let document = Document::read(name.get(end + 1 + 8..)?)?;
    let first = document.elements().next();
    let wrapped = first.filter(|it| matches!(it.name, b"$query" | b"query"));
    wrapped.map_or(Some(document), |it| it.document())
}

/// A command for a server.
pub(super) fn command(id: u32, document: &[u8]) -> Vec<u8> {
    message(id, 0, document)
}

/// An answer for a client.
pub(super) fn reply(id: u32, asked: Asked, document: &[u8]) -> Vec<u8> {
    match asked.form {
        Form::Message => message(id, asked.id, document),
        Form::Query => {
            let flags = AWAIT_CAPABLE.to_le_bytes();
            // No cursor, from the first on, one document.
            let fixed = [&flags[..], &[0; 12], &1_u32.to_le_bytes()].concat();
            framed([id, asked.id, REPLY], &[&fixed, document])
        }
    }
}

fn message(id: u32, answers: u32, document: &[u8]) -> Vec<u8> {
    framed([id, answers, MESSAGE], &[&[0; 5], document])
}

fn framed(header: [u32; 3], parts: &[&[u8]]) -> Vec<u8> {
    let len = HEADER_BYTES + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut message = Vec::with_capacity(len);
    message.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    for word in header {
        message.extend_from_slice(&word.to_le_bytes());
    }
    parts
        .iter()
        .for_each(|part| message.extend_from_slice(part));
    message
}

/// An error as servers write it.
pub(super) fn error(code: i32, name: &str, text: &str) -> Vec<u8> {
    let text = beginning(text, limits::LOGIN_ERROR_TEXT_BYTES_MAX);
    let mut error = Writer::new();
    error.int32("ok", 0).text("errmsg", text.as_bytes());
    error.int32("code", code).text("codeName", name.as_bytes());
    error.finish()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::login::mongo::bson::kind;

    fn hello() -> Vec<u8> {
        Writer::new()
            .int32("hello", 1)
            .text("$db", b"admin")
            .finish()
    }

    fn as_query(document: &[u8]) -> Vec<u8> {
        let parts = [b"\0\0\0\0admin.$cmd\0\0\0\0\0\xff\xff\xff\xff", document];
        framed([7, 0, QUERY], &parts)
    }

    #[test]
    fn both_forms_ask_the_same() {
        let wrapped = Writer::new()
            .nested(kind::DOCUMENT, "$query", &hello())
            .boolean("$explain", false)
            .finish();
        for (message, form) in [
            (command(7, &hello()), Form::Message),
            (as_query(&hello()), Form::Query),
            (as_query(&wrapped), Form::Query),
        ] {
            let read = whole(&message, 1 << 16).unwrap().unwrap();
            let request = request(read).unwrap();
            assert_eq!(request.asked, Some(Asked { id: 7, form }));
            assert_eq!(request.document.bytes(), hello());
        }
    }

    #[test]
    fn checksums_and_lists_of_documents_are_passed_over_and_unknown_flags_are_not() {
        let list = b"\x01\x13\0\0\0documents\0\x05\0\0\0\0";
        let body = [&hello()[..], list].concat();
        let flagged = |flags: u32, tail: &[u8]| {
            let parts: [&[u8]; 4] = [&flags.to_le_bytes(), b"\0", &body, tail];
            framed([7, 0, MESSAGE], &parts)
        };
        let read = |message: &[u8]| request(message).map(|it| it.asked.is_some());
        assert_eq!(read(&flagged(0, b"")), Ok(true));
        assert_eq!(read(&flagged(HAS_CHECKSUM, b"abcd")), Ok(true));
        assert_eq!(read(&flagged(NO_ANSWER, b"")), Ok(false));
        assert_eq!(
            read(&flagged(0x1_0000, b"")),
            Ok(true),
            "exhaustAllowed is optional"
        );
        assert_eq!(read(&flagged(4, b"")), Err(NotAMessage));
        assert_eq!(read(&flagged(0, b"\x02")), Err(NotAMessage));
    }

    #[test]
    fn an_answer_is_that_to_its_question_and_the_last() {
        let document = Writer::new().int32("ok", 1).finish();
        let asked = Asked {
            id: 9,
            form: Form::Message,
        };
        let message = reply(1, asked, &document);
        assert_eq!(answer(&message, 9).unwrap().bytes(), document);
        assert_eq!(answer(&message, 8), Err(NotAMessage));
        let mut more = message.clone();
        more[HEADER_BYTES] = 2;
        assert_eq!(answer(&more, 9), Err(NotAMessage));
        let form = Form::Query;
        let old = reply(1, Asked { form, ..asked }, &document);
        assert_eq!(old[12..16], [1, 0, 0, 0]);
        assert_eq!(
            old[16..36],
            *b"\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0"
        );
        assert_eq!(old[36..], document);
    }

    #[test]
    fn a_message_is_whole_or_awaited_or_none() {
        let message = command(1, &hello());
        for len in 0..message.len() {
            assert_eq!(whole(&message[..len], 1 << 16), Ok(None), "{len}");
        }
        assert_eq!(whole(&message, message.len() - 1), Err(NotAMessage));
        assert_eq!(whole(b"\x0f\0\0\0", 1 << 16), Err(NotAMessage));
        assert_eq!(whole(b"GET / HTTP/1.1", 1 << 16), Err(NotAMessage));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(
            code in prop_oneof![Just(MESSAGE), Just(QUERY), any::<u32>()],
            body in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let message = framed([1, 2, code], &[&body]);
            let _ = (request(&message), answer(&message, 2));
            let _ = (whole(&body, 1 << 16), request(&body), answer(&body, 0));
        }
    }
}
