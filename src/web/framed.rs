//! Heads completed by what says where their bodies end.

use super::delivery::Form;
use super::fields;
use super::reply::Reply;
use super::request::Request;
use crate::http::framing::Framing;

/// A request's length or coding, and the end of its head.
pub fn request(request: &mut Request, is_listener: bool) {
    let head = &mut request.head;
    match request.framing {
        Framing::Length(length) => fields::push_length(head, length),
        Framing::Chunked => fields::push(head, b"Transfer-Encoding", b"chunked"),
        // Servers ask for one where there could be a body, and HTTP/2 has none to give.
        _ if is_listener && request.has_content => fields::push_length(head, 0),
        _ => {}
    }
    head.extend_from_slice(b"\r\n");
}

/// Completes a head for a client; whether only the end of its connection will end the answer.
pub fn for_client(reply: &mut Reply, request: &Request) -> bool {
    let head = &mut reply.head;
    let ends_by_close = match reply.framing {
        Framing::Chunked if !request.is_http_1_0 => {
            if let Some(trailer) = &reply.trailer {
                fields::push(head, b"Trailer", trailer);
            }
            fields::push(head, b"Transfer-Encoding", b"chunked");
            false
        }
        Framing::Chunked | Framing::UntilClose => true,
        Framing::Length(length) => {
            fields::push_length(head, length);
            false
        }
        Framing::Empty => {
            if let Some(length) = reply.told_length {
                fields::push_length(head, length);
            }
            false
        }
    };
    if let Some(protocols) = &reply.offers {
        fields::push(head, b"Upgrade", protocols);
        fields::push(head, b"Connection", b"Upgrade");
    }
    if request.closes || ends_by_close {
        fields::push(head, b"Connection", b"close");
    } else if request.is_http_1_0 {
        fields::push(head, b"Connection", b"keep-alive");
    }
    head.extend_from_slice(b"\r\n");
    ends_by_close
}

/// Completes a head for the gateway's listener, and says how the body is cut.
pub fn for_listener(reply: &mut Reply, is_for_head: bool) -> Form {
    let head = &mut reply.head;
    if reply.is_events {
        fields::push(head, b"Connection", b"close");
        head.extend_from_slice(b"\r\n");
        return Form::Events;
    }
    let length = match reply.framing {
        Framing::Chunked | Framing::UntilClose => return Form::Undecided,
        Framing::Length(length) => Some(length),
        // With one, the listener would wait for the body of a 304.
        Framing::Empty => reply.told_length.filter(|_| is_for_head),
    };
    if let Some(length) = length {
        fields::push_length(head, length);
    }
    head.extend_from_slice(b"\r\n");
    Form::Exact {
        length: length.unwrap_or_default(),
    }
}
