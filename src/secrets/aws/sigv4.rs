//! AWS Signature Version 4: the header form and the presigned URL. Pure; the time is an argument.
//!
//! Promises: canonical text as Amazon's documents say (encoded once more, sorted as encoded, header values
//! trimmed), and the same signature as botocore for every request. Leaves to its callers: which headers they send.

use ring::{digest, hmac};

use super::identity::Credentials;
use crate::base::civil::Rfc3339;
use crate::base::{Secret, wipe};
use crate::http::encode_segment as encoded;

/// Where and until which day a signature counts.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Seconds since 1970.
    pub time: u64,
    /// The region.
    pub region: &'a str,
    /// The service's name for signing.
    pub service: &'a str,
}

/// What is signed.
pub struct Request<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// As the `Host` header has it: without the scheme's own port.
    pub host: &'a str,
    /// As it stands in the request line; empty is `/`.
    pub path: &'a str,
    /// Names and values, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers beside `Host` and those that signing adds.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// Sorted names and values, of which one may be a token: all are overwritten.
struct Pairs(Vec<(String, String)>);

impl Drop for Pairs {
    fn drop(&mut self) {
        for (_, value) in std::mem::take(&mut self.0) {
            wipe(&mut value.into_bytes());
        }
    }
}

impl Pairs {
    /// Puts a pair where it belongs. Lists are short, and a sort of the standard library costs 4 kB for each type.
    fn insert(&mut self, name: String, value: String) {
        let pair = (name, value);
        let at = self.0.iter().position(|known| *known > pair);
        self.0.insert(at.unwrap_or(self.0.len()), pair);
    }

    /// Bytes of them all, each with two more.
    fn size(&self) -> usize {
        let sizes = self
            .0
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2);
        sizes.sum()
    }
}

/// The time as signatures have it: `20261128T180456Z`.
pub fn stamp(time: u64) -> String {
    let text = Rfc3339::whole(time).to_string();
    text.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// The headers that a signed request has in addition: their names and values.
pub fn sign(
    request: &Request<'_>,
    scope: Scope<'_>,
    credentials: &Credentials,
) -> Vec<(&'static str, Secret)> {
    let stamp = stamp(scope.time);
    let mut added: Vec<(&'static str, Secret)> = vec![("X-Amz-Date", Secret::new(stamp.as_str()))];
    if let Some(token) = &credentials.token {
        added.push(("X-Amz-Security-Token", token.clone()));
    }
    let mut headers = headers_of(request);
    for (name, value) in &added {
        headers.insert(name.to_ascii_lowercase(), text(value).to_owned());
    }
    let names = names(&headers);
    let canonical = canonical(request, &query_of(request), &headers, &names);
    let signature = signature(&canonical, &stamp, scope, credentials);
    let authorization = [
        "AWS4-HMAC-SHA256 Credential=",
        &credentials.id,
        "/",
        &scope_text(&stamp, scope),
        ", SignedHeaders=",
        &names,
        ", Signature=",
        &signature,
    ];
    added.push(("Authorization", Secret::new(authorization.concat())));
    added
}

/// The query of a presigned `GET` that counts for `expires` seconds; an empty body.
pub fn presign(
    request: &Request<'_>,
    scope: Scope<'_>,
    expires: &str,
    credentials: &Credentials,
) -> Secret {
    let stamp = stamp(scope.time);
    let headers = headers_of(request);
    let names = names(&headers);
    let mut query = query_of(request);
    let credential = [&credentials.id[..], "/", &scope_text(&stamp, scope)].concat();
    let mut add = |name: &str, value: &str| query.insert(name.to_owned(), encoded(value));
    add("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
    add("X-Amz-Credential", &credential);
    add("X-Amz-Date", &stamp);
    add("X-Amz-Expires", expires);
    add("X-Amz-SignedHeaders", &names);
    if let Some(token) = &credentials.token {
        add("X-Amz-Security-Token", text(token));
    }
    let canonical = canonical(request, &query, &headers, &names);
    let signature = signature(&canonical, &stamp, scope, credentials);
    let mut out = String::with_capacity(query.size() + 100);
    join(&mut out, &query);
    out.push_str("&X-Amz-Signature=");
    out.push_str(&signature);
    Secret::new(out)
}

fn text(value: &Secret) -> &str {
    value.expose_text().unwrap_or("")
}

fn headers_of(request: &Request<'_>) -> Pairs {
    let mut headers = Pairs(Vec::with_capacity(request.headers.len() + 3));
    headers.insert("host".into(), request.host.to_ascii_lowercase());
    for (name, value) in request.headers {
        let mut folded = String::with_capacity(value.len());
        for word in value.split(' ').filter(|word| !word.is_empty()) {
            if !folded.is_empty() {
                folded.push(' ');
            }
            folded.push_str(word);
        }
        headers.insert(name.to_ascii_lowercase(), folded);
    }
    headers
}

fn query_of(request: &Request<'_>) -> Pairs {
    let mut query = Pairs(Vec::with_capacity(request.query.len() + 6));
    for (name, value) in request.query {
        query.insert(encoded(name), encoded(value));
    }
    query
}

fn names(headers: &Pairs) -> String {
    let mut names = String::new();
    for (name, _) in &headers.0 {
        if !names.is_empty() {
            names.push(';');
        }
        names.push_str(name);
    }
    names
}

fn join(out: &mut String, query: &Pairs) {
    for (place, (name, value)) in query.0.iter().enumerate() {
        if place > 0 {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
}

/// It has its room from the start, so that no copy of a token is left behind.
fn canonical(request: &Request<'_>, query: &Pairs, headers: &Pairs, names: &str) -> Secret {
    let size = query.size() + headers.size() + names.len() + 3 * request.path.len() + 100;
    let mut out = String::with_capacity(size);
    out.push_str(request.method);
    out.push('\n');
    canonical_path(&mut out, request.path);
    out.push('\n');
    join(&mut out, query);
    out.push('\n');
    for (name, value) in &headers.0 {
        out.push_str(name);
        out.push(':');
        out.push_str(value);
        out.push('\n');
    }
    out.push('\n');
    out.push_str(names);
    out.push('\n');
    out.push_str(&hex(digest::digest(&digest::SHA256, request.body).as_ref()));
    Secret::new(out)
}

/// Without what a server leaves out (`//`, `.`, `..`), and every segment encoded once more.
fn canonical_path(out: &mut String, path: &str) {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path.split('/') {
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    for segment in &kept {
        out.push('/');
        out.push_str(&encoded(segment));
    }
    if kept.is_empty() || ends_open {
        out.push('/');
    }
}

fn scope_text(stamp: &str, scope: Scope<'_>) -> String {
    let day = stamp.get(..8).unwrap_or("");
    [day, "/", scope.region, "/", scope.service, "/aws4_request"].concat()
}

fn signature(
    canonical: &Secret,
    stamp: &str,
    scope: Scope<'_>,
    credentials: &Credentials,
) -> String {
    let digest = digest::digest(&digest::SHA256, canonical.expose());
    let to_sign = [
        "AWS4-HMAC-SHA256\n",
        stamp,
        "\n",
        &scope_text(stamp, scope),
        "\n",
        &hex(digest.as_ref()),
    ];
    let first = Secret::new([b"AWS4", credentials.secret.expose()].concat());
    let key = signing_key(first.expose(), stamp, scope);
    hex(mac(key.as_ref(), to_sign.concat().as_bytes()).as_ref())
}

fn signing_key(first: &[u8], stamp: &str, scope: Scope<'_>) -> hmac::Tag {
    let day = mac(first, stamp.get(..8).unwrap_or("").as_bytes());
    let region = mac(day.as_ref(), scope.region.as_bytes());
    let service = mac(region.as_ref(), scope.service.as_bytes());
    mac(service.as_ref(), b"aws4_request")
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
    out
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
