//! HTTP/1: the gateway's REST answers, a proxy's answer, a probe's question.

use hoop_lite::base::ByteBuf;
use hoop_lite::http::{Bounds, HeadBounds, HttpError, ResponseReader};
use hoop_lite::io::health;
use hoop_lite::limits;
use hoop_lite::link::proxy::ProxyAnswer;

use crate::input::{cuts, split};

/// Those of `admin`.
const BOUNDS: Bounds = Bounds {
    head: HeadBounds {
        bytes: limits::ADMIN_HEAD_BYTES_MAX,
        fields: limits::ADMIN_HEADERS_MAX,
    },
    body_bytes: limits::ADMIN_BODY_BYTES_MAX,
};

/// A response: the same however it is cut, within its bounds.
pub fn response(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let [whole, single, mixed] = cuts(&mut control, wire).map(|pieces| read(&pieces));
    assert_eq!(whole, single);
    assert_eq!(whole, mixed);
    whole.is_ok()
}

type Read = (u16, Option<String>, Vec<u8>);

fn read(pieces: &[&[u8]]) -> Result<Read, HttpError> {
    let mut reader = ResponseReader::new(BOUNDS);
    for piece in pieces {
        reader.handle_bytes(piece)?;
    }
    reader.handle_close()?;
    assert!(reader.is_done());
    let response = reader.into_response();
    assert!((200..600).contains(&response.status));
    assert!(response.body.len() <= limits::ADMIN_BODY_BYTES_MAX);
    let header = response.header("content-type").map(str::to_owned);
    Ok((response.status, header, response.body))
}

/// The answer to CONNECT: the same however it is cut, and what follows it is left alone.
pub fn proxy_answer(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let [whole, single, mixed] = cuts(&mut control, wire).map(|pieces| {
        let (mut answer, mut incoming) = (ProxyAnswer::default(), ByteBuf::new());
        let mut outcome = Ok(false);
        for piece in pieces {
            incoming.extend(piece);
            if outcome == Ok(false) {
                outcome = answer.receive(&mut incoming);
            }
        }
        let rest = (outcome == Ok(true)).then(|| incoming.filled().to_vec());
        if let Some(rest) = &rest {
            assert!(wire.ends_with(rest));
        }
        (outcome, rest)
    });
    assert_eq!(whole, single);
    assert_eq!(whole, mixed);
    whole.0 == Ok(true)
}

/// A probe's request: what is answered is answered at the first byte that makes it clear.
pub fn health_request(bytes: &[u8]) -> bool {
    let mut questions = 0;
    let mut ask = |request: &[u8]| {
        health::respond(request, &mut |_| {
            questions += 1;
            (200, "well\n".to_owned())
        })
    };
    let whole = ask(bytes);
    let first = (0..=bytes.len().min(1000)).find_map(|len| ask(&bytes[..len]));
    if let Some((status, _)) = &first {
        assert_eq!(Some(*status), whole.as_ref().map(|(status, _)| *status));
    }
    assert!(
        bytes.len() < 64 * 1024 || whole.is_some(),
        "an endless request has an end"
    );
    whole.is_some_and(|(status, _)| status == 200)
}
