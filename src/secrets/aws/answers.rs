//! What Amazon's services answer: JSON of the metadata addresses and of Secrets Manager, XML of STS.

use super::identity::Credentials;
use crate::base::Secret;
use crate::base::civil::from_rfc3339;
use crate::base::plain::shortened;
use crate::http::{Response, is_field_value};
use crate::limits;
use crate::secrets::asking::{Found, text};
use crate::secrets::words::{self, Cause};
use crate::wire::json_text;

/// Credentials as the metadata addresses write them.
pub fn json_credentials(body: &str) -> Result<Credentials, Cause> {
    let member = |name: &str| json_text::member_string(body, name);
    if member("Code").is_some_and(|code| code != "Success") {
        return Err(FAILED);
    }
    checked(
        member("AccessKeyId"),
        member("SecretAccessKey"),
        member("Token"),
        member("Expiration"),
    )
}

/// Credentials as STS writes them.
pub fn xml_credentials(body: &str) -> Result<Credentials, Cause> {
    let member = |name: &str| tag(body, name).map(str::to_owned);
    checked(
        member("AccessKeyId"),
        member("SecretAccessKey"),
        member("SessionToken"),
        member("Expiration"),
    )
}

fn checked(
    id: Option<String>,
    secret: Option<String>,
    token: Option<String>,
    until: Option<String>,
) -> Result<Credentials, Cause> {
    let id = id.filter(|id| is_key_id(id)).ok_or(words::MALFORMED)?;
    let secret = secret.filter(|secret| !secret.is_empty()).map(Secret::new);
    let token = token.filter(|token| !token.is_empty()).map(Secret::new);
    let is_header = |token: &Secret| token.expose_text().is_some_and(is_field_value);
    if token.as_ref().is_some_and(|token| !is_header(token)) {
        return Err(words::MALFORMED);
    }
    let until = match until {
        None => None,
        Some(text) => Some(from_rfc3339(&text).ok_or(words::MALFORMED)?),
    };
    Ok(Credentials {
        id,
        secret: secret.ok_or(words::MALFORMED)?,
        token,
        until,
    })
}

/// It stands in headers and queries.
fn is_key_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What stands between `<name>` and its end, the first.
pub fn tag<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = body;
    loop {
        let (_, after) = rest.split_once('<')?;
        rest = after;
        let Some(inner) = after.strip_prefix(name).and_then(|it| it.strip_prefix('>')) else {
            continue;
        };
        return inner.split_once('<').map(|(value, _)| value.trim());
    }
}

/// The code of an error, whoever says it.
pub fn code(response: &Response) -> String {
    let body = text(response);
    let in_json = |name: &str| json_text::member_string(body, name);
    let header = || response.header("x-amzn-errortype").map(str::to_owned);
    let in_xml = || tag(body, "Code").map(str::to_owned);
    let code = in_json("__type")
        .or_else(header)
        .or_else(|| in_json("code"))
        .or_else(in_xml);
    let code = code.unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or("");
    code.split(':').next().unwrap_or("").to_owned()
}

/// Says to the log what a service says about an error; what the user reads.
pub fn refused(who: &str, about: &str, response: &Response, found: &mut Found) -> Cause {
    let body = text(response);
    let code = code(response);
    // Whoever fails may show anything in its answer.
    let message = match response.status {
        400..=499 => ["message", "Message"]
            .iter()
            .find_map(|name| json_text::member_string(body, name))
            .or_else(|| tag(body, "Message").map(str::to_owned)),
        _ => None,
    };
    let said = found.said(&message.unwrap_or_default());
    let about = shortened(about, limits::SECRET_ID_SHOWN_BYTES);
    let request = response.header("x-amzn-requestid").unwrap_or("");
    let is_id = request.len() <= 64
        && request
            .bytes()
            .all(|it| it == b'-' || it.is_ascii_hexdigit());
    // What has another form may be anything, too.
    let request = match request {
        "" => String::new(),
        id if is_id => [", request ", id].concat(),
        _ => ", request of an odd form".to_owned(),
    };
    let code_shown = if words::is_code(&code) { &code[..] } else { "" };
    let status = response.status.to_string();
    found.note(&[
        who,
        " answered ",
        &status,
        " ",
        code_shown,
        " for ",
        &about,
        &request,
        ": ",
        &said,
    ]);
    Cause::answered(who, &code, response.status)
}

const FAILED: Cause = Cause::fixed("the agent's role gives no credentials at the moment");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_are_read_in_both_forms() {
        let json = r#"{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"s/+","Token":"t==","Expiration":"2026-11-28T18:04:56Z"}"#;
        let xml = "<R xmlns=\"x\"><C><Credentials>\n<AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey> s/+ </SecretAccessKey>\
            <SessionToken>t==</SessionToken><Expiration>2026-11-28T18:04:56Z</Expiration></Credentials></C></R>";
        let wanted = Credentials {
            id: "ASIA1".into(),
            secret: Secret::new("s/+"),
            token: Some(Secret::new("t==")),
            until: Some(1_795_889_096),
        };
        assert_eq!(json_credentials(json), Ok(wanted.clone()));
        assert_eq!(xml_credentials(xml), Ok(wanted));
        for wrong in [
            "",
            "{}",
            r#"{"Code":"AssumeRoleUnauthorizedAccess"}"#,
            r#"{"AccessKeyId":"a b","SecretAccessKey":"s"}"#,
            r#"{"AccessKeyId":"a","SecretAccessKey":""}"#,
            r#"{"AccessKeyId":"a","SecretAccessKey":"s","Token":"a\r\nb: c"}"#,
            r#"{"AccessKeyId":"a","SecretAccessKey":"s","Expiration":"tomorrow"}"#,
        ] {
            assert!(json_credentials(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_tag_of_a_name_counts() {
        assert_eq!(tag("<a>x</a><a>y</a>", "a"), Some("x"));
        assert_eq!(tag("<ab>x</ab><a> y </a>", "a"), Some("y"));
        for none in ["", "<a>", "<a", "<a x=\"1\">y</a>", "a>x<"] {
            assert_eq!(tag(none, "a"), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(text in "(<a>|</a>|<|>|\\PC){0,20}") {
            let _ = (tag(&text, "a"), json_credentials(&text), xml_credentials(&text));
        }
    }
}
