//! What a person asks of a certificate: for whom, by whom, from when to when (RFC 5280 section 4).
//!
//! Reads just these fields out of the DER and judges nothing: that is the verifier's business.

use crate::wire::der::{CertificateParts, Der, SEQUENCE};

/// A certificate's face. Times are RFC 3339 in UTC, so that they compare as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Common name or, without one, organisation; may be empty.
    pub subject: String,
    /// The same of who signed it.
    pub issuer: String,
    /// Valid from.
    pub not_before: String,
    /// Valid until.
    pub not_after: String,
}

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANISATION: &[u8] = &[0x55, 4, 10];

impl Certificate {
    /// Reads a DER certificate; `None` when it is not one.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let parts = CertificateParts::parse(der)?;
        let issuer = name(parts.issuer)?;
        let mut validity = Der(parts.validity);
        let not_before = time(validity.next_value()?)?;
        let not_after = time(validity.next_value()?)?;
        let subject = name(parts.subject)?;
        Some(Self {
            subject,
            issuer,
            not_before,
            not_after,
        })
    }
}

/// SEQUENCE of SET of SEQUENCE of type and text.
fn name(content: &[u8]) -> Option<String> {
    let (mut common, mut organisation) = (None, None);
    let mut sets = Der(content);
    while !sets.0.is_empty() {
        let (_, set) = sets.next_value()?;
        let mut pair = Der(Der(set).expect(SEQUENCE)?);
        let (_, kind) = pair.next_value()?;
        let (_, text) = pair.next_value()?;
        let text = || String::from_utf8_lossy(text).into_owned();
        match kind {
            COMMON_NAME => common = Some(text()),
            ORGANISATION => organisation = Some(text()),
            _ => {}
        }
    }
    Some(common.or(organisation).unwrap_or_default())
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` as RFC 3339.
fn time((tag, content): (u8, &[u8])) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => text.split_at_checked(2)?,
        GENERALIZED_TIME => text.split_at_checked(4)?,
        _ => return None,
    };
    // RFC 5280 section 4.1.2.5.1: two digits from 50 on are of the last century.
    let century = match tag {
        UTC_TIME if year < "50" => "20",
        UTC_TIME => "19",
        _ => "",
    };
    if rest.len() != 10 {
        return None;
    }
    let (month, rest) = rest.split_at_checked(2)?;
    let (day, rest) = rest.split_at_checked(2)?;
    let (hour, rest) = rest.split_at_checked(2)?;
    let (minute, second) = rest.split_at_checked(2)?;
    Some(format!(
        "{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(not_after: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["gw.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "Example");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "gw");
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(not_after.0, not_after.1, not_after.2);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_dates_are_read() {
        for (not_after, text) in [
            ((2049, 12, 31), "2049-12-31T00:00:00Z"),
            ((2051, 1, 2), "2051-01-02T00:00:00Z"),
        ] {
            let expected = Certificate {
                subject: "gw".to_owned(),
                issuer: "gw".to_owned(),
                not_before: "1999-12-31T00:00:00Z".to_owned(),
                not_after: text.to_owned(),
            };
            assert_eq!(Certificate::parse(&made(not_after)), Some(expected));
        }
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for (tag, text) in [
            (UTC_TIME, "2601010000Z"),
            (UTC_TIME, "260101000000"),
            (UTC_TIME, "26010100000xZ"),
            (GENERALIZED_TIME, "260101000000Z"),
            (0x0c, "260101000000Z"),
            (GENERALIZED_TIME, "Z"),
        ] {
            assert_eq!(time((tag, text.as_bytes())), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_and_damaged_bytes_never_panic(
            bytes: Vec<u8>,
            at in any::<prop::sample::Index>(),
            to: u8,
        ) {
            let _ = Certificate::parse(&bytes);
            let mut damaged = made((2040, 1, 1));
            let at = at.index(damaged.len());
            damaged[at] = to;
            let _ = Certificate::parse(&damaged);
            damaged.truncate(at);
            prop_assert_eq!(Certificate::parse(&damaged), None);
        }
    }
}
