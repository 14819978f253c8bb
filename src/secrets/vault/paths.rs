//! Where in Vault a secret is, and where in its answer: what leads elsewhere is refused before it is asked for.

use crate::http::encode_segment;
use crate::secrets::plan::{Provider, Want};
use crate::secrets::words::{self, Cause};
use crate::wire::{json_text, percent};

/// The request's path for a want, or what is wrong with its id.
pub(super) fn path_of(want: &Want) -> Result<String, Cause> {
    let (path, version) = match want.id.split_once('?') {
        None => (&want.id[..], ""),
        Some((path, query)) => {
            let version = query.strip_prefix("version=").ok_or(BAD_QUERY)?;
            let is_number = (1..=10).contains(&version.len())
                && version.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then_some((path, version)).ok_or(BAD_QUERY)?
        }
    };
    let is_bare = want.provider == Provider::VaultKv2 && !path.contains('/');
    let decoded = percent::decode(path.strip_prefix('/').unwrap_or(path));
    let decoded = decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(BAD_PATH)?;
    let mut out = String::from("/v1");
    if is_bare {
        out.push_str("/secret/data");
    }
    let mut before = "";
    let mut is_key = is_bare;
    for (number, segment) in decoded.split('/').enumerate() {
        let is_bad = matches!(segment, "" | "." | "..")
            || segment.contains(['#', '?', '\\'])
            || segment.bytes().any(|byte| byte.is_ascii_control());
        if is_bad {
            return Err(BAD_PATH);
        }
        let is_own = match segment {
            "sys" | "identity" | "cubbyhole" => number < 2,
            "token" => before == "auth",
            _ => false,
        };
        if is_own && !is_key {
            return Err(OWN_PATH);
        }
        // What stands behind `data` are keys of the engine, and no engine.
        is_key |= want.provider == Provider::VaultKv2 && segment == "data" && number > 0;
        before = segment;
        out.push('/');
        out.push_str(&encode_segment(segment));
    }
    if !version.is_empty() {
        out.push_str("?version=");
        out.push_str(version);
    }
    Ok(out)
}

/// The object with the secret's fields.
pub(super) fn data_of(body: &str, provider: Provider) -> Result<&str, Cause> {
    let data = json_text::member(body, "data").ok_or(words::MALFORMED)?;
    if provider == Provider::VaultKv1 {
        return all_text(data).then_some(data).ok_or(words::NO_TEXT);
    }
    let metadata = json_text::member(data, "metadata").ok_or(NOT_KV2)?;
    json_text::member(metadata, "version").ok_or(NOT_KV2)?;
    match json_text::member(data, "data") {
        None | Some("null") => Err(NOT_FOUND),
        Some(fields) => Ok(fields),
    }
}

/// As upstream takes it: one field that is no text makes the whole answer none. Null is an empty text there.
fn all_text(data: &str) -> bool {
    let mut is_text = true;
    let is_object = json_text::members(data, &mut |_, value| {
        is_text &= value.starts_with('"') || value == "null";
    });
    is_object && is_text
}

pub(super) const BAD_QUERY: Cause = Cause::fixed("behind ? only version=<number> may stand");
pub(super) const BAD_PATH: Cause =
    Cause::fixed("the path has an empty segment, a dot segment or a character that none may have");
pub(super) const OWN_PATH: Cause = Cause::fixed(
    "what stands under sys, identity, cubbyhole and auth/token is no secret of a connection",
);
pub(super) const NOT_KV2: Cause = Cause::fixed(
    "Vault's answer is not one of KV version 2: write _vaultkv1, or <mount>/data/<path>",
);
pub(super) const NOT_FOUND: Cause = Cause::fixed(
    "Vault has no such secret, or its version is deleted (404): for KV version 2 the path is <mount>/data/<path>",
);
