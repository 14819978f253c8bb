//! The header list of a request.

use std::borrow::Cow;

/// A call to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Whether the link is encrypted.
    pub tls: bool,
    /// Name and port of the gateway as dialled.
    pub authority: &'a str,
    /// `/package.Service/Method`.
    pub path: &'a str,
    /// Our name and version.
    pub user_agent: &'a str,
}

/// The fields of `call` and the caller's own ASCII `metadata`, in the order that gRPC wants. The
/// names are ours: lower case, no `grpc-` or `-bin`; the values may come from anywhere.
pub fn request_fields<'a>(
    call: Call<'a>,
    metadata: &[(&'a str, &'a str)],
) -> Vec<(&'a str, Cow<'a, [u8]>)> {
    let own = [
        (":method", "POST"),
        (":scheme", if call.tls { "https" } else { "http" }),
        (":path", call.path),
        (":authority", call.authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", call.user_agent),
    ];
    debug_assert!(metadata.iter().all(|(name, _)| is_name(name)));
    own.iter()
        .chain(metadata)
        .map(|&(name, value)| (name, clean_value(value)))
        .collect()
}

/// gRPC allows printable ASCII and blanks within; everything else becomes `?`.
fn clean_value(value: &str) -> Cow<'_, [u8]> {
    let value = value.trim_matches([' ', '\t', '\r', '\n']);
    let is_clean = |c: char| matches!(c, ' '..='~');
    if value.chars().all(is_clean) {
        return Cow::Borrowed(value.as_bytes());
    }
    let clean: String = value
        .chars()
        .map(|c| if is_clean(c) { c } else { '?' })
        .collect();
    Cow::Owned(clean.into_bytes())
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.');
    !name.is_empty()
        && name.bytes().all(allowed)
        && !name.starts_with("grpc-")
        && !name.ends_with("-bin")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'static> = Call {
        tls: true,
        authority: "gateway.example:8443",
        path: "/protobuf.Transport/Connect",
        user_agent: "hoop-lite/1",
    };

    #[test]
    fn fields_come_in_the_order_of_grpc() {
        let fields = request_fields(CALL, &[("authorization", "Bearer x"), ("version", "")]);
        let text: Vec<(&str, &str)> = fields
            .iter()
            .map(|(n, v)| (*n, std::str::from_utf8(v).unwrap()))
            .collect();
        assert_eq!(
            text,
            [
                (":method", "POST"),
                (":scheme", "https"),
                (":path", "/protobuf.Transport/Connect"),
                (":authority", "gateway.example:8443"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                ("user-agent", "hoop-lite/1"),
                ("authorization", "Bearer x"),
                ("version", ""),
            ]
        );
    }

    #[test]
    fn plain_link_has_the_plain_scheme() {
        let fields = request_fields(Call { tls: false, ..CALL }, &[]);
        assert_eq!(fields[1], (":scheme", Cow::Borrowed(&b"http"[..])));
    }

    #[test]
    fn foreign_values_become_valid_ones() {
        for (value, clean) in [
            ("Linux 6.1 #1\n", "Linux 6.1 #1"),
            ("a\r\nevil: b", "a??evil: b"),
            ("h\u{f6}st", "h?st"),
            ("\u{0}\u{7f}", "??"),
            ("  ", ""),
        ] {
            assert_eq!(clean_value(value), clean.as_bytes(), "{value:?}");
        }
    }
}
