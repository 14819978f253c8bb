//! Whom to trust: `HOOP_TLSCA` in its three forms, and the switch that trusts everybody.

use super::dsn::is_utf16;
use super::error::{ConfigError, Warning};
use super::surroundings::{Surroundings, is_true};
use crate::base::{Roots, Trust, Verify};
use crate::wire::base64;

/// What the environment says about trust. `use_own` is false where `HOOP_TLSCA` has no effect.
pub fn load(
    surroundings: Surroundings<'_>,
    use_own: bool,
    warnings: &mut Vec<Warning>,
) -> Result<Trust, ConfigError> {
    let roots = match surroundings.get(VARIABLE) {
        Some(_) if !use_own => {
            warnings.push(Warning::AuthorityIgnored);
            Roots::Public
        }
        Some(value) => Roots::Only(pem(surroundings, &value)?),
        None => Roots::Public,
    };
    let verify = match is_true(surroundings, "HOOP_TLS_SKIP_VERIFY", warnings) {
        true => Verify::Nobody,
        false => Verify::Full,
    };
    Ok(Trust { roots, verify })
}

/// The file of `HOOP_TLSCA`, if it names one.
pub(super) fn file(surroundings: Surroundings<'_>) -> Option<String> {
    let value = surroundings.get(VARIABLE)?;
    Some(value.strip_prefix("file://")?.to_owned())
}

/// The certificates of that file as they are now.
pub(super) fn read(surroundings: Surroundings<'_>, path: &str) -> Result<Roots, ConfigError> {
    Ok(Roots::Only(as_pem(&surroundings.read(VARIABLE, path)?)?))
}

fn pem(surroundings: Surroundings<'_>, value: &str) -> Result<Vec<u8>, ConfigError> {
    let content = if let Some(text) = value.strip_prefix("base64://") {
        base64::decode(text.as_bytes()).map_err(|_| ConfigError::AuthorityBase64)?
    } else if let Some(path) = value.strip_prefix("file://") {
        surroundings.read(VARIABLE, path)?
    } else {
        value.as_bytes().to_vec()
    };
    as_pem(&content).map_err(|error| match error {
        ConfigError::AuthorityForm if is_path(value) => ConfigError::AuthorityPath,
        error => error,
    })
}

/// It looks like one: a certificate has lines, or marks.
fn is_path(value: &str) -> bool {
    let has_shape = value.starts_with(['/', '.', '~'])
        || [".pem", ".crt", ".cer"]
            .iter()
            .any(|end| value.ends_with(end));
    has_shape && !value.contains("://") && !value.contains(['\n', ' '])
}

/// The certificates of `content` as PEM text that every reader takes, whatever editors, variables
/// and templates did to its lines: indentation, `\\n` for line ends, no line ends at all, a byte
/// order mark. One certificate in DER becomes PEM.
pub fn as_pem(content: &[u8]) -> Result<Vec<u8>, ConfigError> {
    // Some mounts and templates end a text as C does.
    let ends = content.iter().rev().take_while(|byte| **byte == 0).count();
    let content = content.get(..content.len() - ends).unwrap_or(content);
    // An ASN.1 SEQUENCE whose length takes two bytes.
    if content.starts_with(&[0x30, 0x82]) {
        return Ok([BEGIN, b"\n", base64::encode(content).as_bytes(), b"\n", END].concat());
    }
    if is_utf16(content) {
        return Err(ConfigError::AuthorityUtf16);
    }
    let mut pem = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((_, behind)) = cut(rest, BEGIN) {
        let (body, behind) = cut(behind, END).ok_or(ConfigError::AuthorityForm)?;
        if !pem.is_empty() {
            pem.push(b'\n');
        }
        pem.extend_from_slice(BEGIN);
        pem.push(b'\n');
        pem.extend(without_line_ends(body));
        pem.push(b'\n');
        pem.extend_from_slice(END);
        rest = behind;
    }
    match pem.is_empty() {
        false => Ok(pem),
        true if cut(content, TRUSTED).is_some() => Err(ConfigError::AuthorityTrusted),
        true => Err(ConfigError::AuthorityForm),
    }
}

/// What lies before and behind the first `mark`.
fn cut<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|part| part == mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Base64 without white space, and without the `\\n` and `\\r` that stand for it.
fn without_line_ends(body: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut is_escaped = false;
    body.iter().copied().filter(move |byte| {
        let is_name_of_end = std::mem::take(&mut is_escaped) && matches!(byte, b'n' | b'r');
        is_escaped = *byte == b'\\';
        !is_name_of_end && !is_escaped && !byte.is_ascii_whitespace()
    })
}

const VARIABLE: &str = "HOOP_TLSCA";
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";
const TRUSTED: &[u8] = b"-----BEGIN TRUSTED CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::surroundings;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    const PEM_BASE64: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElG\
         SUNBVEUtLS0tLQ==";

    fn loaded(value: &str, files: &[(&str, &str)]) -> Result<Trust, ConfigError> {
        let variables = [(VARIABLE, value)];
        surroundings(&variables, files, |s| load(s, true, &mut Vec::new()))
    }

    #[test]
    fn all_three_forms_give_the_same_text() {
        let files = [("ca.pem", PEM)];
        for value in [
            PEM.to_owned(),
            format!("base64://{PEM_BASE64}"),
            "file://ca.pem".to_owned(),
        ] {
            let trust = loaded(&value, &files).unwrap();
            assert_eq!(trust.roots, Roots::Only(PEM.as_bytes().to_vec()));
        }
        assert_eq!(loaded("", &[]).unwrap(), Trust::public());
    }

    #[test]
    fn what_editors_and_templates_do_to_a_certificate_is_undone() {
        let wanted = Roots::Only(PEM.as_bytes().to_vec());
        for text in [
            format!("\u{feff}{PEM}\n"),
            PEM.replace('\n', "\r\n"),
            PEM.replace('\n', "\n    "),
            PEM.replace('\n', "\\n"),
            PEM.replace('\n', "\\r\\n"),
            PEM.replace('\n', " "),
            PEM.replace('\n', ""),
            PEM.replace("AAAA", "A\nA AA"),
            format!("subject=/CN=x\n{PEM}\nmore"),
        ] {
            assert_eq!(loaded(&text, &[]).unwrap().roots, wanted, "{text}");
            let files = [("ca", text.as_str())];
            assert_eq!(loaded("file://ca", &files).unwrap().roots, wanted, "{text}");
        }
        let two = format!("{PEM}\n{PEM}");
        assert_eq!(
            as_pem(two.replace('\n', "\n  ").as_bytes()).unwrap(),
            two.as_bytes()
        );
    }

    #[test]
    fn der_is_taken_and_other_forms_are_named() {
        let der = [&[0x30, 0x82, 0, 1][..], b"x"].concat();
        let pem = String::from_utf8(as_pem(&der).unwrap()).unwrap();
        let body = pem.lines().nth(1).unwrap();
        assert_eq!(base64::decode(body.as_bytes()).unwrap(), der);
        let trusted = PEM.replace(" CERT", " TRUSTED CERT");
        let wide: Vec<u8> = PEM.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (content, part) in [
            (trusted.as_bytes(), "openssl x509"),
            (&wide, "UTF-16"),
            (&PEM.as_bytes()[..40], "no usable certificate"),
        ] {
            let text = as_pem(content).unwrap_err().to_string();
            assert!(text.contains("HOOP_TLSCA") && text.contains(part), "{text}");
        }
    }

    #[test]
    fn each_mistake_names_the_variable() {
        for value in [
            "file://missing.pem",
            "base64://!",
            "base64://AAAA",
            "file://a",
        ] {
            let files = [("a", "no pem")];
            let message = loaded(value, &files).unwrap_err().to_string();
            assert!(message.contains("HOOP_TLSCA"), "{message}");
        }
        for path in ["ca.pem", "/etc/ssl/ca", "./ca", "~/ca.crt"] {
            let message = loaded(path, &[]).unwrap_err().to_string();
            assert!(message.contains("write file://"), "{path}: {message}");
        }
    }
}
