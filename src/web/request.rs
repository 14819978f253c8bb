//! A request's head as the user sent it -> as the service gets it.
//!
//! What stays bytes: the target, the order and the repetition of fields. What goes: everything about
//! the connection, the user's key to the gateway, and whatever a header of ours replaces.

use super::fields::{self, Named};
use super::kubernetes::is_followed;
use super::page::Fault;
use super::site::{Current, Site};
use super::view::{self, View};
use crate::base::wipe;
use crate::http::HeadBounds;
use crate::http::framing::{self, Framing};
use crate::http::head::{RequestLine, request_line};
use crate::http::lines::{self, Breaks, Field, Lines};
use crate::limits;

/// Bounds of heads, both ways.
pub const HEAD: HeadBounds = HeadBounds {
    bytes: limits::WEB_HEAD_BYTES_MAX,
    fields: limits::WEB_FIELDS_MAX,
};

/// The user's key to the gateway, which his browser sends along.
pub const GATEWAY_COOKIE: &[u8] = b"hoop_proxy_token";

/// What a user brings where the gateway takes his `Authorization` for its own.
const UPSTREAM_AUTHORIZATION: &str = "X-Hoop-Upstream-Authorization";

/// A request whose head was read.
pub struct Request {
    /// For the service, without what says how the body is framed and without the empty line.
    pub head: Vec<u8>,
    /// How the body comes.
    pub framing: Framing,
    /// The answer has no body.
    pub is_head: bool,
    /// The protocol that the user wants to go on with.
    pub upgrade: Option<Vec<u8>>,
    /// Whether doing it twice does no more than doing it once.
    pub is_idempotent: bool,
    /// Methods of whose body services ask for the length even when there is none.
    pub has_content: bool,
    /// The user's version is 1.0.
    pub is_http_1_0: bool,
    /// The user closes after the answer, or wants that.
    pub closes: bool,
    /// The user waits for `100 Continue`.
    pub expects: bool,
    /// Logs in the connection.
    pub logs_in: bool,
    /// The version that only the gateway writes.
    pub is_http_2: bool,
    /// The user's key to the gateway was there.
    pub has_gateway_cookie: bool,
    /// The end of its answer is worth waiting for.
    pub is_patient: bool,
    /// It asks for a name that is neither the service's nor one of the port where the user finds it.
    pub is_misled: bool,
}

impl Request {
    /// A length was given or chunks were announced.
    pub fn is_framed(&self) -> bool {
        self.framing != Framing::Empty
    }

    /// The service has it. What was injected is in it.
    pub fn forget_head(&mut self) {
        wipe(&mut self.head);
        self.head = Vec::new();
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.forget_head();
    }
}

/// Reads a whole head, and learns from it how the user sees the service.
pub fn read(
    head: &[u8],
    (site, current): (&Site, Current<'_>),
    view: &mut View,
) -> Result<Request, Fault> {
    let head = lines::lines(head, Breaks::Exact, HEAD).map_err(|_| malformed())?;
    let line = request_line(head.first).ok_or_else(malformed)?;
    let is_http_1_0 = line.version == b"1.0";
    let is_http_2 = line.version == b"2.0";
    check(&line, &head, site)?;
    let target = target(line.target, view)?;
    let mut is_misled = false;
    if let Some(host) = head.get("host") {
        // Who asks a proxy for a URL knows what he does.
        is_misled = target.len() == line.target.len() && !view.answers_to(host, site);
        view.follow_host(host);
    }
    let framing = framing::of_request(&head, is_http_1_0).map_err(|_| bad_framing())?;
    let upgrade = upgrade(&head, is_http_1_0)?;
    let mut request = Request {
        head: Vec::with_capacity(head.first.len() + 512),
        framing,
        is_head: line.method == b"HEAD",
        upgrade,
        is_idempotent: IDEMPOTENT.contains(&line.method),
        has_content: matches!(line.method, b"POST" | b"PUT" | b"PATCH"),
        is_http_1_0,
        closes: closes(&head, is_http_1_0),
        expects: !is_http_1_0 && head.lists("expect", "100-continue"),
        logs_in: false,
        is_http_2,
        has_gateway_cookie: false,
        is_patient: site.is_cluster && !is_followed(target),
        is_misled,
    };
    let out = &mut request.head;
    let prefix: &[u8] = match target {
        b"*" => b"",
        _ => site.url.prefix.as_bytes(),
    };
    for part in [line.method, b" ", prefix, target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
    let host = site.value("host").unwrap_or(site.url.authority.as_bytes());
    fields::push(out, b"Host", host);
    push_fields(&head, (site, current), view, &mut request)?;
    Ok(request)
}

/// Methods of RFC 9110 and WebDAV that may be repeated.
const IDEMPOTENT: &[&[u8]] = &[
    b"GET",
    b"HEAD",
    b"OPTIONS",
    b"PUT",
    b"DELETE",
    b"PROPFIND",
    b"REPORT",
    b"SEARCH",
];

/// Fields that hold a URL of the user's view.
const WITH_URL: [&str; 3] = ["origin", "referer", "destination"];

fn push_fields(
    head: &Lines<'_>,
    (site, current): (&Site, Current<'_>),
    view: &View,
    request: &mut Request,
) -> Result<(), Fault> {
    let may_bring = site.takes_authorization(current.features);
    let brought = match may_bring {
        true => brought_authorization(head)?,
        false => None,
    };
    let named = Named::of(head).ok_or_else(too_large)?;
    for field in head.fields() {
        let replaced = field.is("authorization") && brought.is_some();
        // `Proxy` would become a variable of CGI programs that names a proxy.
        let is_ours = fields::is_empty_offer(field)
            || field.is("host")
            || field.is("proxy")
            || (field.is(UPSTREAM_AUTHORIZATION) && may_bring);
        if replaced || is_ours || named.end_here(field.name) || site.injects(field.name) {
            // The cookie tells who sent it even where ours replaces it.
            request.has_gateway_cookie |= field.is("cookie") && names_gateway_cookie(field.value);
            continue;
        }
        request.logs_in |= field.is("authorization") && fields::logs_in_connection(field.value);
        if field.is("cookie") {
            push_cookies(field, request);
        } else if WITH_URL.iter().any(|name| field.is(name))
            && let Some(url) = view::inwards(field.value, view, site)
        {
            fields::push(&mut request.head, field.name, &url);
        } else {
            fields::push(&mut request.head, field.name, field.value);
        }
    }
    for header in &site.injected {
        let is_said = header.name.eq_ignore_ascii_case("host");
        let is_brought = brought.is_some() && header.name.eq_ignore_ascii_case("authorization");
        if !is_said && !is_brought {
            fields::push(
                &mut request.head,
                header.name.as_bytes(),
                header.value.expose(),
            );
        }
    }
    if let Some(token) = current.pods_token.filter(|_| site.brings_pods_token()) {
        fields::push(&mut request.head, b"Authorization", token);
    }
    if let Some(value) = brought {
        request.logs_in |= fields::logs_in_connection(value);
        fields::push(&mut request.head, b"Authorization", value);
    }
    if let Some(protocol) = &request.upgrade {
        fields::push(&mut request.head, b"Connection", b"Upgrade");
        fields::push(&mut request.head, b"Upgrade", protocol);
    }
    Ok(())
}

/// The `Authorization` that the user brings in another field.
fn brought_authorization<'a>(head: &Lines<'a>) -> Result<Option<&'a [u8]>, Fault> {
    let mut brought = head
        .fields()
        .filter(|field| field.is(UPSTREAM_AUTHORIZATION));
    let first = brought.next().map(|field| field.value);
    match brought.next() {
        Some(_) => Err(Fault::new(
            400,
            "the request has X-Hoop-Upstream-Authorization twice: send it once",
        )),
        None => Ok(first),
    }
}

/// Appends a `Cookie` without the gateway's own, if anything is left of it.
fn push_cookies(field: Field<'_>, request: &mut Request) {
    if !names_gateway_cookie(field.value) {
        return fields::push(&mut request.head, field.name, field.value);
    }
    request.has_gateway_cookie = true;
    let mut kept = Vec::with_capacity(field.value.len());
    for pair in field.value.split(|byte| *byte == b';') {
        if !is_gateway_cookie(pair) && !pair.trim_ascii().is_empty() {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair.trim_ascii());
        }
    }
    if !kept.is_empty() {
        fields::push(&mut request.head, field.name, &kept);
    }
}

fn names_gateway_cookie(value: &[u8]) -> bool {
    value.split(|byte| *byte == b';').any(is_gateway_cookie)
}

/// Whether this `name=value` is the gateway's.
pub fn is_gateway_cookie(pair: &[u8]) -> bool {
    let (name, _) = fields::halves(pair, b'=');
    name.trim_ascii().eq_ignore_ascii_case(GATEWAY_COOKIE)
}

/// What is no request to this service at all.
fn check(line: &RequestLine<'_>, head: &Lines<'_>, site: &Site) -> Result<(), Fault> {
    let is_spoken = line.version[0] == b'1' || line.version == b"2.0";
    if line.method == b"PRI" || !is_spoken {
        return Err(Fault::new(
            505,
            "this port of hoop speaks HTTP/1.1: make your program use it, for instance with curl --http1.1",
        ));
    }
    if line.method == b"CONNECT" {
        return Err(Fault::new(
            405,
            "this port of hoop leads to one web service and makes no tunnels (CONNECT): ask it for http:// URLs",
        ));
    }
    // A service would show what we have put in.
    if line.method == b"TRACE" && site.has_secrets() {
        return Err(Fault::new(
            405,
            "the hoop agent passes no TRACE to this web service: its answer would show headers of the connection",
        ));
    }
    let hosts = head.fields().filter(|field| field.is("host")).count();
    let is_old = line.version == b"1.0";
    match hosts {
        1 => Ok(()),
        0 if is_old => Ok(()),
        _ => Err(malformed()),
    }
}

/// The target without the place that a proxy is told.
fn target<'a>(target: &'a [u8], view: &mut View) -> Result<&'a [u8], Fault> {
    match target {
        [b'/', ..] | b"*" => Ok(target),
        _ => {
            let (is_secure, authority, rest) = view::absolute(target).ok_or_else(malformed)?;
            view.follow_url(is_secure, authority);
            match rest {
                [b'/', ..] => Ok(rest),
                [] => Ok(b"/"),
                // No path would stand before the query.
                _ => Err(malformed()),
            }
        }
    }
}

/// The protocol that the user wants to switch to. To HTTP/2 we do not (RFC 9113 has dropped that), and
/// TLS is hoop's: such a request goes on as it is.
fn upgrade(head: &Lines<'_>, is_http_1_0: bool) -> Result<Option<Vec<u8>>, Fault> {
    let mut wanted = head.fields().filter(|field| field.is("upgrade"));
    let Some(first) = wanted
        .next()
        .filter(|_| head.lists("connection", "upgrade") && !is_http_1_0)
    else {
        return Ok(None);
    };
    if wanted.next().is_some() {
        return Err(malformed());
    }
    let is_refused = |word: &[u8]| {
        let (name, _) = fields::halves(word.trim_ascii(), b'/');
        name.is_empty()
            || [&b"h2c"[..], b"h2", b"tls", b"http"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
    };
    let is_passed = !first.value.split(|byte| *byte == b',').any(is_refused);
    Ok(is_passed.then(|| first.value.to_vec()))
}

/// Whether a message is the last one of its connection.
pub fn closes(head: &Lines<'_>, is_http_1_0: bool) -> bool {
    head.lists("connection", "close") || (is_http_1_0 && !head.lists("connection", "keep-alive"))
}

pub fn malformed() -> Fault {
    Fault::new(
        400,
        "hoop can't read this request: it is no well-formed HTTP/1.1",
    )
}

/// A name of the internet may lead to the user's own machine, and a page there would be let in by that.
pub fn misled() -> Fault {
    Fault::new(
        403,
        "this port of hoop answers to no such name, which any page of the internet could give it: call it localhost, \
         by its address, or as the service itself is called",
    )
}

fn bad_framing() -> Fault {
    Fault::new(
        400,
        "hoop can't tell where the body of this request ends: give one Content-Length, or Transfer-Encoding: chunked alone",
    )
}

/// A head that does not end.
pub fn too_large() -> Fault {
    Fault::new(
        431,
        "the head of this request is too large for hoop: 64 KiB and 256 headers fit; cookies may have to be deleted",
    )
}
