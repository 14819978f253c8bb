//! Calls to the gateway's REST API: one connection each, no redirect followed, no retry.

use std::io;
use std::time::{Duration, Instant};

use super::answers::Message;
use super::credentials::Credentials;
use super::dial::{DialError, Duplex, READ_BYTES, reach, tls_error};
use super::error::{AdminError, ApiRefusal, What};
use super::request::{ApiRequest, encode};
use crate::base::Secret;
use crate::base::plain::{beginning, plain};
use crate::config::{Surroundings, proxy};
use crate::http::{Bounds, HeadBounds, HttpError, Response, ResponseReader, is_field_value};
use crate::limits::{ADMIN_BODY_BYTES_MAX, ADMIN_HEAD_BYTES_MAX, ADMIN_HEADERS_MAX};
use crate::tls::{Alpn, Configuration, Versions};
use crate::wire::json_text::{is_json, parse};

/// One call from the first look-up to the last byte.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes shown of a foreign text.
const MESSAGE_BYTES_MAX: usize = 300;

/// What an answer may cost.
const ANSWER: Bounds = Bounds {
    head: HeadBounds {
        bytes: ADMIN_HEAD_BYTES_MAX,
        fields: ADMIN_HEADERS_MAX,
    },
    body_bytes: ADMIN_BODY_BYTES_MAX,
};

/// A gateway's REST API as seen with certain credentials.
pub struct Api<'a> {
    credentials: &'a Credentials,
    surroundings: Surroundings<'a>,
}

impl<'a> Api<'a> {
    /// Checks that the token can be sent at all.
    pub fn new(
        credentials: &'a Credentials,
        surroundings: Surroundings<'a>,
    ) -> Result<Self, AdminError> {
        if let Some(token) = &credentials.token {
            let is_sendable = |text: &str| is_field_value(text) && !text.contains(' ');
            if !token.expose_text().is_some_and(is_sendable) {
                return Err(AdminError::TokenForm(credentials.source));
            }
        }
        Ok(Self {
            credentials,
            surroundings,
        })
    }

    /// The gateway's URL.
    pub fn url(&self) -> String {
        self.credentials.api_url.to_string()
    }

    /// Asks for `path` (below `/api`) and returns the answer, whatever its status, unless it
    /// points elsewhere.
    pub fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Secret>,
    ) -> Result<Response, AdminError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let mut stream = self.dial(deadline)?;
        let request = self.request(method, path, body);
        let mut response =
            exchange(&mut *stream, &request, ANSWER).map_err(|failure| match failure {
                CallError::Http(error) => AdminError::Http(self.url(), error),
                CallError::Dial(error) => AdminError::Dial(self.url(), error),
            })?;
        if let 300..=399 = response.status {
            let to = response.header("location").unwrap_or_default();
            return Err(AdminError::Redirect(printable(to)));
        }
        if is_plain_on_tls(&response) {
            return Err(AdminError::Http(self.url(), HttpError::Tls));
        }
        // A proxy may have added a byte order mark, which is no JSON.
        if response.body.starts_with(b"\xef\xbb\xbf") {
            response.body.drain(..3);
        }
        Ok(response)
    }

    /// As [`Api::call`], for a success with JSON text; anything else is an error.
    pub fn call_json(
        &self,
        what: What,
        method: &'static str,
        path: &str,
        body: Option<&Secret>,
    ) -> Result<String, AdminError> {
        let response = self.call(method, path, body)?;
        if !matches!(response.status, 200 | 201) {
            return Err(self.refusal(what, &response));
        }
        text_of(response).ok_or_else(|| AdminError::NotJson(self.url()))
    }

    /// The error for an answer that is no success.
    pub fn refusal(&self, what: What, response: &Response) -> AdminError {
        AdminError::Refused(ApiRefusal {
            what,
            status: response.status,
            message: message_of(response),
            source: self.credentials.source,
            has_token: self.credentials.token.is_some(),
            url: self.url(),
        })
    }

    fn dial(&self, deadline: Instant) -> Result<Box<dyn Duplex>, AdminError> {
        let url = &self.credentials.api_url;
        let failed = |error| AdminError::Dial(url.to_string(), error);
        if !url.is_tls {
            return reach(None, &url.address, None, deadline).map_err(failed);
        }
        let trust = &self.credentials.trust;
        let configuration =
            Configuration::new(trust, Alpn::Http1, Versions::Any).map_err(AdminError::Trust)?;
        let proxy =
            proxy::for_target(self.surroundings, &url.address).map_err(AdminError::Config)?;
        let server_name = self.credentials.server_name.as_deref();
        let server_name = server_name.unwrap_or(&url.address.host);
        let tls = Some((configuration, server_name));
        reach(proxy.as_ref(), &url.address, tls, deadline).map_err(failed)
    }

    fn request(&self, method: &'static str, path: &str, body: Option<&Secret>) -> Secret {
        let url = &self.credentials.api_url;
        let path = format!("{}/api{path}", url.prefix);
        let token = self.credentials.token.as_ref();
        let token = token.and_then(Secret::expose_text).unwrap_or_default();
        let bearer = Secret::new(format!("Bearer {token}"));
        let mut headers = Vec::new();
        if !token.is_empty() {
            headers.push(("Authorization", bearer.expose_text().unwrap_or_default()));
        }
        if is_api_key(token) {
            headers.push(("Api-Key", token));
        }
        encode(&ApiRequest {
            method,
            authority: &url.authority,
            path: &path,
            headers: &headers,
            body: body.map(Secret::expose),
        })
    }
}

/// Static keys of the gateway go into a header of their own as well: `xapi-...` and `UUID|...`.
fn is_api_key(token: &str) -> bool {
    token.starts_with("xapi-") || token.split_once('|').is_some_and(|(id, _)| is_uuid(id))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Why a request has no answer.
pub enum CallError {
    /// What came is none.
    Http(HttpError),
    /// The connection failed.
    Dial(DialError),
}

/// Sends a request, and reads the answer to it.
pub fn exchange(
    stream: &mut dyn Duplex,
    request: &Secret,
    bounds: Bounds,
) -> Result<Response, CallError> {
    let broken = |error: &io::Error| {
        CallError::Dial(match tls_error(error) {
            Some(error) => DialError::Tls(error),
            None => DialError::Io(error.kind()),
        })
    };
    // A server may answer and close before it has read everything: the answer counts then.
    let written = stream
        .write_all(request.expose())
        .and_then(|()| stream.flush());
    let mut reader = ResponseReader::new(bounds);
    let mut bytes = [0; READ_BYTES];
    while !reader.is_done() {
        let read = match stream.read(&mut bytes) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // TLS without its closing alert: what was read may have been cut.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(CallError::Http(HttpError::Truncated));
            }
            Err(error) => return Err(broken(written.as_ref().err().unwrap_or(&error))),
        };
        let taken = bytes.get(..read).unwrap_or_default();
        let outcome = if taken.is_empty() {
            reader.handle_close()
        } else {
            reader.handle_bytes(taken)
        };
        outcome.map_err(CallError::Http)?;
    }
    Ok(reader.into_response())
}

/// Go's and nginx's answer to a plain request on a TLS port.
fn is_plain_on_tls(response: &Response) -> bool {
    const WORDS: [&str; 2] = [
        "HTTP request to an HTTPS server",
        "HTTP request was sent to HTTPS",
    ];
    response.status == 400
        && std::str::from_utf8(&response.body)
            .is_ok_and(|text| WORDS.iter().any(|words| text.contains(words)))
}

/// The body, if it is JSON.
pub fn text_of(response: Response) -> Option<String> {
    String::from_utf8(response.body)
        .ok()
        .filter(|text| is_json(text))
}

/// The gateway's own words: `message` of a JSON body, or a short plain text.
fn message_of(response: &Response) -> String {
    let text = std::str::from_utf8(&response.body)
        .unwrap_or_default()
        .trim();
    match parse::<Message>(text) {
        Some(Message { message }) => printable(&message.unwrap_or_default()),
        None if text.starts_with('<') => String::new(),
        None => printable(text.lines().next().unwrap_or_default()),
    }
}

/// Foreign text, cut short and without anything that could steer a terminal.
pub fn printable(text: &str) -> String {
    plain(beginning(text, MESSAGE_BYTES_MAX))
}
