//! Every vector: canonical text, text to sign, signature, URL.

use super::*;
use crate::wire::percent;

const VECTORS: &str = include_str!("../../../tests/vectors/sigv4-vectors.json");

/// A URL taken apart: host as the header has it, path, decoded query.
struct Parts {
    host: String,
    path: String,
    query: Vec<(String, String)>,
}

fn parts(url: &str) -> Parts {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, rest) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let port = if scheme == "https" { ":443" } else { ":80" };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    Parts {
        host: authority.strip_suffix(port).unwrap_or(authority).to_owned(),
        path: path.to_owned(),
        query: pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let [name, value] = [name, value].map(|text| percent::decode_text(text).unwrap());
                (name, value)
            })
            .collect(),
    }
}

fn time_of(stamp_text: &str) -> u64 {
    // 2026-11-28T18:04:56Z
    let time = 1_795_889_096;
    assert_eq!(stamp(time), stamp_text);
    time
}

#[test]
fn every_vector_is_signed_as_botocore_signs_it() {
    let all: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let stamp_text = all["time"].as_str().unwrap();
    let cases = all["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 49);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let of = |key: &str| case[key].as_str();
        let is_eks = name.starts_with("eks");
        let has_token = case["token"].as_bool() == Some(true);
        let credentials = Credentials {
            id: all["access_key"].as_str().unwrap().into(),
            secret: Secret::new(of("secret").unwrap_or(all["secret_key"].as_str().unwrap())),
            token: has_token.then(|| Secret::new(all["session_token"].as_str().unwrap())),
            until: None,
        };
        let Parts { host, path, query } = parts(of("url").unwrap());
        let query: Vec<(&str, &str)> = query.iter().map(|(n, v)| (&n[..], &v[..])).collect();
        let no_headers = Vec::new();
        let headers = case["headers"].as_array().unwrap_or(&no_headers);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
            .collect();
        let request = Request {
            method: of("method").unwrap(),
            host: &host,
            path: &path,
            query: &query,
            headers: &headers,
            body: of("body").unwrap_or("").as_bytes(),
        };
        let scope = Scope {
            time: time_of(stamp_text),
            region: of("region").unwrap(),
            service: of("service").unwrap(),
        };
        let wanted = of("signature").unwrap();
        if of("kind") == Some("presign") {
            let expires = case["expires"].as_u64().unwrap().to_string();
            let made = presign(&request, scope, &expires, &credentials);
            let made = made.expose_text().unwrap();
            let signed_url = of("signed_url").unwrap();
            let (_, signed_query) = signed_url.split_once('?').unwrap();
            match name {
                // The URL has the other signer's signature, of the host as it is written.
                "rds-case" => assert!(made.ends_with(wanted), "{name}"),
                _ => assert_eq!(made, signed_query, "{name}"),
            }
            assert!(is_eks || headers.is_empty());
        } else {
            let added = sign(&request, scope, &credentials);
            let (_, authorization) = added.last().unwrap();
            let authorization = authorization.expose_text().unwrap();
            let signed = of("signed").unwrap();
            assert_eq!(
                authorization,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261128/{}/{}/aws4_request, \
                     SignedHeaders={signed}, Signature={wanted}",
                    scope.region, scope.service
                ),
                "{name}"
            );
        }
        texts_are_as_given(case, &request, scope, &credentials);
    }
}

/// Canonical text and text to sign, of both forms.
fn texts_are_as_given(
    case: &serde_json::Value,
    request: &Request<'_>,
    scope: Scope<'_>,
    credentials: &Credentials,
) {
    let name = case["name"].as_str().unwrap();
    let stamp = stamp(scope.time);
    let mut headers = headers_of(request);
    let mut query = query_of(request);
    let token = credentials
        .token
        .as_ref()
        .map(|token| text(token).to_owned());
    if case["kind"] == "presign" {
        let names = names(&headers);
        let id = format!("{}/{}", credentials.id, scope_text(&stamp, scope));
        let expires = case["expires"].as_u64().unwrap().to_string();
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &id),
            ("X-Amz-Date", &stamp),
            ("X-Amz-Expires", &expires),
            ("X-Amz-SignedHeaders", &names),
        ] {
            query.insert(name.into(), encoded(value));
        }
        if let Some(token) = token {
            query.insert("X-Amz-Security-Token".into(), encoded(&token));
        }
    } else {
        headers.insert("x-amz-date".into(), stamp.clone());
        if let Some(token) = token {
            headers.insert("x-amz-security-token".into(), token);
        }
    }
    let names = names(&headers);
    let canonical = canonical(request, &query, &headers, &names);
    assert_eq!(
        canonical.expose_text().unwrap(),
        case["canonical"].as_str().unwrap(),
        "{name}"
    );
    let digest = hex(digest::digest(&digest::SHA256, canonical.expose()).as_ref());
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{}\n{digest}",
        scope_text(&stamp, scope)
    );
    assert_eq!(to_sign, case["to_sign"].as_str().unwrap(), "{name}");
    if let Some(key) = case["signing_key"].as_str() {
        let first = [b"AWS4", credentials.secret.expose()].concat();
        assert_eq!(
            hex(signing_key(&first, &stamp, scope).as_ref()),
            key,
            "{name}"
        );
    }
    assert_eq!(
        signature(&canonical, &stamp, scope, credentials),
        case["signature"].as_str().unwrap(),
        "{name}"
    );
}
