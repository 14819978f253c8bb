//! How a call ended: `grpc-status` and `grpc-message`, or what HTTP said instead.

use std::fmt;

use crate::base::plain::{beginning, plain};
use crate::h2::{ErrorCode, FieldList};
use crate::limits::GRPC_STATUS_MESSAGE_BYTES_MAX;

/// The name and version of a proxy, as it says them.
const SERVER_BYTES_MAX: usize = 64;

/// A gRPC status code. Numbers that gRPC does not define are [`Code::Unknown`].
#[allow(missing_docs)] // The names are those of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// All codes with the names that gRPC's own logs use, by number.
const CODES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "Canceled"),
    (Code::Unknown, "Unknown"),
    (Code::InvalidArgument, "InvalidArgument"),
    (Code::DeadlineExceeded, "DeadlineExceeded"),
    (Code::NotFound, "NotFound"),
    (Code::AlreadyExists, "AlreadyExists"),
    (Code::PermissionDenied, "PermissionDenied"),
    (Code::ResourceExhausted, "ResourceExhausted"),
    (Code::FailedPrecondition, "FailedPrecondition"),
    (Code::Aborted, "Aborted"),
    (Code::OutOfRange, "OutOfRange"),
    (Code::Unimplemented, "Unimplemented"),
    (Code::Internal, "Internal"),
    (Code::Unavailable, "Unavailable"),
    (Code::DataLoss, "DataLoss"),
    (Code::Unauthenticated, "Unauthenticated"),
];

impl Code {
    /// The name that gRPC's own logs use.
    pub fn name(self) -> &'static str {
        CODES.get(self as usize).map_or("Unknown", |(_, name)| name)
    }

    fn from_digits(digits: &[u8]) -> Option<Self> {
        let number: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(CODES.get(number).map_or(Self::Unknown, |(code, _)| *code))
    }

    /// What an HTTP status means where `grpc-status` is missing. Not what gRPC makes of 401: whoever
    /// answered so is not the gateway, and knows nothing of the key.
    fn from_http(status: u16) -> Self {
        match status {
            400 => Self::Internal,
            401 | 403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What happened.
    pub code: Code,
    /// In the peer's or our words, fit for a log line: bounded, without control characters.
    pub message: String,
    /// The HTTP status of an answer that is not gRPC: somebody between us and the gateway gave it.
    pub http: Option<u16>,
}

impl Status {
    /// Reads the header list of a response. `None` when it heads a gRPC response whose status is
    /// still to come; otherwise the call has ended, be it before the stream.
    pub fn from_headers(fields: &FieldList, end_stream: bool) -> Option<Self> {
        if end_stream && let Some(status) = Self::from_fields(fields) {
            return Some(status);
        }
        let http = fields.status().unwrap_or(0);
        let content_type = fields.get("content-type").unwrap_or_default();
        let (code, mut message) = if http != 200 {
            let message = format!("HTTP status {http} instead of gRPC");
            (Code::from_http(http), message)
        } else if !is_grpc(content_type) {
            let mut message = String::from("content type is not gRPC but ");
            message.push_str(&readable(content_type));
            (Code::Unknown, message)
        } else {
            return end_stream.then(Self::missing);
        };
        if let Some(server) = fields.get("server") {
            message.push_str(", said by ");
            message.push_str(beginning(&readable(server), SERVER_BYTES_MAX));
        }
        Some(Self {
            code,
            message,
            http: Some(http),
        })
    }

    /// Reads the trailers of a response.
    pub fn from_trailers(fields: &FieldList) -> Self {
        Self::from_fields(fields).unwrap_or_else(Self::missing)
    }

    /// What a reset stream means (gRPC over HTTP/2, "Errors").
    pub fn from_reset(reset: ErrorCode) -> Self {
        let code = match reset {
            ErrorCode::REFUSED_STREAM => Code::Unavailable,
            ErrorCode::CANCEL => Code::Cancelled,
            ErrorCode::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
            ErrorCode::INADEQUATE_SECURITY => Code::PermissionDenied,
            ErrorCode::STREAM_CLOSED | ErrorCode::HTTP_1_1_REQUIRED => Code::Unknown,
            ErrorCode(0..=0xd) => Code::Internal,
            ErrorCode(_) => Code::Unknown,
        };
        Self::new(code, format!("stream reset with {}", reset.name()))
    }

    fn from_fields(fields: &FieldList) -> Option<Self> {
        let digits = fields.get("grpc-status")?;
        let text = fields.get("grpc-message").unwrap_or_default();
        let code = Code::from_digits(digits).unwrap_or(Code::Unknown);
        Some(Self::new(code, readable(&percent_decode(text))))
    }

    /// A response that ended without trailers.
    pub fn missing() -> Self {
        let message = String::from("response ended without a gRPC status");
        Self::new(Code::Unknown, message)
    }

    /// What gRPC says, or we in its place.
    pub fn new(code: Code, message: String) -> Self {
        Self {
            code,
            message,
            http: None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())?;
        if self.message.is_empty() {
            return Ok(());
        }
        f.write_str(": ")?;
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

/// `application/grpc`, also with `+proto` or parameters behind.
fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.split_at_checked(16) {
        Some((name, rest)) => {
            name.eq_ignore_ascii_case(b"application/grpc")
                && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        }
        None => false,
    }
}

/// Decodes `%xx`; what is not such a sequence is kept as it is, as gRPC demands.
fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let byte = match behind {
            [high, low, ..] if first == b'%' => hex_pair(*high, *low),
            _ => None,
        };
        decoded.push(byte.unwrap_or(first));
        let taken = if byte.is_some() { 3 } else { 1 };
        rest = rest.get(taken..).unwrap_or_default();
    }
    decoded
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Text for a log line.
fn readable(text: &[u8]) -> String {
    let mut line = plain(&String::from_utf8_lossy(text));
    let end = beginning(&line, GRPC_STATUS_MESSAGE_BYTES_MAX).len();
    line.truncate(end);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::hpack::{Decoder, encode};
    use proptest::prelude::*;

    fn list(fields: &[(&str, &str)]) -> FieldList {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let mut block = Vec::new();
        encode::encode(&fields, false, &mut block);
        let mut list = FieldList::new(16_384);
        Decoder::new().decode(&block, &mut list).unwrap();
        list
    }

    fn trailers(status: &str, message: &str) -> Status {
        Status::from_trailers(&list(&[("grpc-status", status), ("grpc-message", message)]))
    }

    fn headers(fields: &[(&str, &str)], end_stream: bool) -> Option<Code> {
        Status::from_headers(&list(fields), end_stream).map(|status| status.code)
    }

    #[test]
    fn trailers_carry_code_and_message() {
        let status = trailers("9", "agent already connected");
        assert_eq!(status.code, Code::FailedPrecondition);
        assert_eq!(
            status.to_string(),
            "FailedPrecondition: agent already connected"
        );
        assert_eq!(trailers("0", "").to_string(), "OK");
    }

    #[test]
    fn unknown_and_odd_codes_are_unknown() {
        for odd in ["17", "99999999999999999999", "-1", "", "x", "0x1"] {
            assert_eq!(trailers(odd, "m").code, Code::Unknown, "{odd}");
        }
        assert_eq!(trailers("16", "").code, Code::Unauthenticated);
        assert_eq!(trailers("00", "").code, Code::Ok);
    }

    #[test]
    fn codes_stand_at_their_number() {
        for (number, (code, name)) in CODES.iter().enumerate() {
            assert_eq!((*code as usize, code.name()), (number, *name));
        }
    }

    #[test]
    fn message_is_percent_decoded_and_odd_sequences_are_kept() {
        let decoded = |text: &str| trailers("2", text).message;
        assert_eq!(decoded("a%20b%C3%A4%e2%82%ac"), "a b\u{e4}\u{20ac}");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%4"), "%4");
        assert_eq!(decoded("%zz%41"), "%zzA");
        assert_eq!(decoded("%%41"), "%A");
        assert_eq!(decoded("%ff!"), "\u{fffd}!");
    }

    #[test]
    fn message_has_no_control_characters_and_is_bounded() {
        assert_eq!(trailers("2", "a%0A%1b[31mred%00%07").message, "a [31mred");
        assert_eq!(trailers("2", &"x".repeat(5000)).message.len(), 1024);
        assert_eq!(trailers("2", &"%e2%82%ac".repeat(1000)).message.len(), 1023);
    }

    #[test]
    fn missing_status_at_the_end_is_unknown() {
        assert_eq!(
            Status::from_trailers(&list(&[("x", "y")])).code,
            Code::Unknown
        );
        let grpc = [(":status", "200"), ("content-type", "application/grpc")];
        assert_eq!(headers(&grpc, true), Some(Code::Unknown));
    }

    #[test]
    fn trailers_only_response_has_its_status_in_the_headers() {
        let fields = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "16"),
            ("grpc-message", "invalid authentication"),
        ];
        assert_eq!(headers(&fields, true), Some(Code::Unauthenticated));
        // In front of content it does not count yet.
        assert_eq!(headers(&fields, false), None);
        // Some intermediaries change the HTTP status; the gRPC one counts.
        assert_eq!(
            headers(&[(":status", "503"), ("grpc-status", "5")], true),
            Some(Code::NotFound)
        );
    }

    #[test]
    fn http_status_stands_in_for_a_missing_grpc_status() {
        for (http, code) in [
            ("400", Code::Internal),
            ("401", Code::PermissionDenied),
            ("403", Code::PermissionDenied),
            ("404", Code::Unimplemented),
            ("429", Code::Unavailable),
            ("502", Code::Unavailable),
            ("503", Code::Unavailable),
            ("504", Code::Unavailable),
            ("500", Code::Unknown),
            ("302", Code::Unknown),
        ] {
            let fields = [(":status", http), ("content-type", "text/html")];
            assert_eq!(headers(&fields, false), Some(code), "{http}");
            assert_eq!(headers(&fields, true), Some(code), "{http}");
        }
    }

    #[test]
    fn an_answer_that_is_not_grpc_is_told_with_the_name_of_who_gave_it() {
        let long = format!("nginx/1.22.1\n{}", "x".repeat(1000));
        let of = |fields: &[(&str, &str)]| Status::from_headers(&list(fields), true).unwrap();
        let status = of(&[(":status", "401"), ("server", &long)]);
        assert_eq!(status.http, Some(401));
        let text = status.to_string();
        let begins = "PermissionDenied: HTTP status 401 instead of gRPC, said by nginx/1.22.1 xxx";
        assert!(text.starts_with(begins) && text.len() < 130, "{text}");
        let page = of(&[(":status", "200"), ("content-type", "text/html")]);
        assert_eq!((page.http, page.code), (Some(200), Code::Unknown));
        let grpc = of(&[(":status", "401"), ("grpc-status", "16")]);
        assert_eq!((grpc.http, grpc.code), (None, Code::Unauthenticated));
    }

    #[test]
    fn content_type_tells_grpc_from_a_web_page() {
        let of =
            |content_type| headers(&[(":status", "200"), ("content-type", content_type)], false);
        for grpc in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC; a=b",
        ] {
            assert_eq!(of(grpc), None, "{grpc}");
        }
        for other in ["text/html", "application/grpc-web", "application/json", ""] {
            assert_eq!(of(other), Some(Code::Unknown), "{other}");
        }
        assert_eq!(headers(&[(":status", "200")], false), Some(Code::Unknown));
    }

    #[test]
    fn reset_codes_become_the_codes_of_grpc() {
        for (reset, code) in [
            (ErrorCode::NO_ERROR, Code::Internal),
            (ErrorCode::PROTOCOL_ERROR, Code::Internal),
            (ErrorCode::INTERNAL_ERROR, Code::Internal),
            (ErrorCode::REFUSED_STREAM, Code::Unavailable),
            (ErrorCode::CANCEL, Code::Cancelled),
            (ErrorCode::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
            (ErrorCode::INADEQUATE_SECURITY, Code::PermissionDenied),
            (ErrorCode::STREAM_CLOSED, Code::Unknown),
            (ErrorCode(77), Code::Unknown),
        ] {
            assert_eq!(Status::from_reset(reset).code, code, "{reset}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_messages_give_one_bounded_line(text in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let line = readable(&percent_decode(&text));
            prop_assert!(line.len() <= GRPC_STATUS_MESSAGE_BYTES_MAX);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
