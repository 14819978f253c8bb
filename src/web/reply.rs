//! An answer's head as the service sent it -> as the user gets it, but for its framing.

use super::fields::{self, Named};
use super::page::Fault;
use super::request::{self, HEAD, is_gateway_cookie};
use super::site::Site;
use super::view::{self, View};
use crate::http::HttpError;
use crate::http::framing::{self, Framing};
use crate::http::head;
use crate::http::lines::{self, Breaks, Lines};

/// An answer whose head was read.
pub struct Reply {
    /// 100 to 599.
    pub status: u16,
    /// For the user, without what says how the body is framed and without the empty line.
    pub head: Vec<u8>,
    /// How the body comes.
    pub framing: Framing,
    /// The length that is told of a body that does not come.
    pub told_length: Option<u64>,
    /// The service's connection serves no further request.
    pub closes: bool,
    /// The service wants the connection itself logged in.
    pub logs_in: bool,
    /// Events, by the type that the gateway looks for.
    pub is_events: bool,
    /// The protocol that both go on with.
    pub upgrade: Option<Vec<u8>>,
    /// Protocols that the service asks for (426).
    pub offers: Option<Vec<u8>>,
    /// Announced trailers.
    pub trailer: Option<Vec<u8>>,
}

/// Reads a whole head. It may be changed: folded lines are mended.
pub fn read(head: &mut [u8], is_for_head: bool, site: &Site, view: &View) -> Result<Reply, Fault> {
    lines::unfold(head);
    let fault = |error| broken(&site.url.authority, error);
    let head = lines::lines(head, Breaks::Loose, HEAD).map_err(fault)?;
    let (status, is_http_1_0) =
        head::status(head.first).ok_or_else(|| fault(HttpError::Malformed))?;
    let (framing, is_doubtful) = match status {
        100..=199 => (Framing::Empty, false),
        _ => framing::of_response(&head, status, is_for_head, is_http_1_0).map_err(fault)?,
    };
    let mut out = b"HTTP/1.1".to_vec();
    out.extend_from_slice(&head.first[b"HTTP/1.x".len()..]);
    out.extend_from_slice(b"\r\n");
    push_fields(&mut out, &head, site, view).map_err(fault)?;
    let told_length = match framing {
        // 204 has none by definition.
        Framing::Empty if status != 204 => framing::length(&head).map_err(fault)?,
        _ => None,
    };
    let demands = head
        .fields()
        .filter(|field| field.is("www-authenticate") || field.is("proxy-authenticate"));
    let owned = |name: &str| head.get(name).map(<[u8]>::to_vec);
    let media_type = head.get("content-type").unwrap_or_default();
    Ok(Reply {
        status,
        head: out,
        framing,
        told_length,
        closes: is_doubtful
            || framing == Framing::UntilClose
            || request::closes(&head, is_http_1_0),
        logs_in: matches!(status, 401 | 407)
            && demands
                .into_iter()
                .any(|field| fields::logs_in_connection(field.value)),
        is_events: media_type
            .get(..EVENTS.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(EVENTS)),
        upgrade: owned("upgrade").filter(|_| status == 101),
        offers: owned("upgrade").filter(|_| status == 426),
        trailer: owned("trailer").filter(|_| framing == Framing::Chunked),
    })
}

const EVENTS: &[u8] = b"text/event-stream";

fn push_fields(
    out: &mut Vec<u8>,
    head: &Lines<'_>,
    site: &Site,
    view: &View,
) -> Result<(), HttpError> {
    let named = Named::of(head).ok_or(HttpError::HeadTooLarge)?;
    for field in head.fields() {
        // What a service offers on other ports is not offered where the user is.
        let is_dropped = named.end_here(field.name) || fields::is_empty_offer(field);
        if is_dropped || field.is("alt-svc") {
            continue;
        }
        if field.is("set-cookie") {
            push_cookie(out, field.name, field.value, site, view);
        } else if (field.is("location") || field.is("content-location"))
            && let Some(url) = view::outwards(field.value, view, site)
        {
            fields::push(out, field.name, &url);
        } else {
            fields::push(out, field.name, field.value);
        }
    }
    Ok(())
}

/// A cookie for the place where the user sees the service. The gateway's own is nobody else's to set.
fn push_cookie(out: &mut Vec<u8>, name: &[u8], cookie: &[u8], site: &Site, view: &View) {
    let mut parts = cookie.split(|byte| *byte == b';');
    let pair = parts.next().unwrap_or_default();
    if is_gateway_cookie(pair) {
        return;
    }
    let mut kept = Vec::with_capacity(cookie.len());
    kept.extend_from_slice(pair);
    for part in parts {
        push_attribute(&mut kept, part, site, view);
    }
    fields::push(out, name, &kept);
}

/// An attribute of a cookie, as far as it fits the user's view.
fn push_attribute(kept: &mut Vec<u8>, part: &[u8], site: &Site, view: &View) {
    let (name, value) = fields::halves(part, b'=');
    let (name, value) = (name.trim_ascii(), value.trim_ascii());
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    // A browser takes no such cookie from where there is no TLS.
    let needs_tls = is(b"secure")
        || is(b"partitioned")
        || (is(b"samesite") && value.eq_ignore_ascii_case(b"none"));
    if is(b"domain") || (needs_tls && !view.is_secure()) {
        return;
    }
    kept.push(b';');
    let prefix = site.url.prefix.as_bytes();
    match view::without_prefix(value, prefix) {
        Some(path) if is(b"path") && !prefix.is_empty() => {
            kept.extend_from_slice(b" Path=");
            kept.extend_from_slice(if path.is_empty() { b"/" } else { path });
        }
        _ => kept.extend_from_slice(part),
    }
}

/// The page about an answer that can't be understood.
pub fn broken(authority: &str, error: HttpError) -> Fault {
    let text = match error {
        HttpError::NoAnswer => " closed the connection without an answer: its log may say why",
        HttpError::Tls => " speaks TLS on this port: its URL has to begin with https://",
        HttpError::NotHttp => " does not speak HTTP on this port: check its URL",
        HttpError::HeadTooLarge => " sent headers that are too large: 64 KiB and 256 headers fit",
        HttpError::UnknownCoding => {
            " sent an answer in an unknown transfer coding: only chunked is known"
        }
        HttpError::Truncated => {
            " closed the connection in the middle of its answer: its log may say why"
        }
        HttpError::Malformed | HttpError::BodyTooLarge(_) => {
            " sent an answer that is no well-formed HTTP/1.1, or one that gives two lengths"
        }
    };
    Fault::about(502, "the web service at ", authority, text)
}
