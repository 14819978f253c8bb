//! A request to the gateway's REST API, as bytes: it asks for JSON and for the connection's end.

use crate::base::Secret;
use crate::http::is_field_value;

const USER_AGENT: &str = concat!("hoop-lite/", env!("CARGO_PKG_VERSION"));

/// What to ask. Header values are the caller's secrets.
pub struct ApiRequest<'a> {
    /// The method's name.
    pub method: &'static str,
    /// Value of `host`: name and port as in the URL.
    pub authority: &'a str,
    /// Path with its query, percent-encoded.
    pub path: &'a str,
    /// Further headers; [`is_field_value`] must hold for each value.
    pub headers: &'a [(&'static str, &'a str)],
    /// JSON to send.
    pub body: Option<&'a [u8]>,
}

/// The request's bytes, secret because its headers are.
pub fn encode(request: &ApiRequest<'_>) -> Secret {
    let body = request.body.unwrap_or_default();
    let mut out = Vec::with_capacity(1024 + body.len());
    let mut line = |parts: &[&str]| {
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    };
    line(&[request.method, " ", request.path, " HTTP/1.1"]);
    line(&["Host: ", request.authority]);
    line(&["User-Agent: ", USER_AGENT]);
    line(&["Accept: application/json"]);
    line(&["Content-Type: application/json"]);
    line(&["Connection: close"]);
    for (name, value) in request.headers {
        debug_assert!(is_field_value(value));
        line(&[name, ": ", value]);
    }
    if request.body.is_some() {
        line(&["Content-Length: ", &body.len().to_string()]);
    }
    line(&[]);
    out.extend_from_slice(body);
    Secret::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_with_its_headers_and_body() {
        let request = ApiRequest {
            method: "POST",
            authority: "gw:8009",
            path: "/x/api/agents",
            headers: &[("Authorization", "Bearer t")],
            body: Some(b"{}"),
        };
        let expected = format!(
            "POST /x/api/agents HTTP/1.1\r\nHost: gw:8009\r\nUser-Agent: hoop-lite/{}\r\n\
             Accept: application/json\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Authorization: Bearer t\r\nContent-Length: 2\r\n\r\n{{}}",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(encode(&request).expose_text(), Some(expected.as_str()));
    }
}
