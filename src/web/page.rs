//! What the agent itself answers: small pages of one sentence.

use super::fields;

/// Why there is no answer of the service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// 4xx where the user can mend it, else 502 or 504.
    pub status: u16,
    /// What happened and what to do. Quotes nothing that anybody sent.
    pub text: Box<str>,
}

impl Fault {
    /// A fault with these words.
    pub fn new(status: u16, text: &str) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// About the service of this authority.
    pub fn about(status: u16, before: &str, authority: &str, after: &str) -> Self {
        Self {
            status,
            text: [before, authority, after].concat().into(),
        }
    }
}

/// Why there is no connection to the service, as the owner found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nobody answered.
    TimedOut,
    /// Anything else, in the owner's words.
    Because(Box<str>),
}

impl Failure {
    /// The page about it.
    pub fn fault(&self, authority: &str) -> Fault {
        let (status, text) = match self {
            Self::TimedOut => (
                504,
                "it did not answer in time: check the network and the firewalls between the agent and it",
            ),
            Self::Because(text) => (502, &**text),
        };
        Fault::about(
            status,
            "the hoop agent can't reach the web service at ",
            authority,
            &[": ", text].concat(),
        )
    }
}

fn reason(status: u16) -> &'static [u8] {
    match status {
        400 => b"Bad Request",
        403 => b"Forbidden",
        405 => b"Method Not Allowed",
        413 => b"Content Too Large",
        431 => b"Request Header Fields Too Large",
        501 => b"Not Implemented",
        503 => b"Service Unavailable",
        504 => b"Gateway Timeout",
        505 => b"HTTP Version Not Supported",
        _ => b"Bad Gateway",
    }
}

/// The page, whole; without its body in answer to HEAD.
pub fn page(fault: &Fault, is_for_head: bool, closes: bool) -> Vec<u8> {
    let mut out = b"HTTP/1.1 ".to_vec();
    fields::push_number(&mut out, u64::from(fault.status), 10);
    out.push(b' ');
    out.extend_from_slice(reason(fault.status));
    out.extend_from_slice(b"\r\n");
    for (name, value) in [
        (&b"Content-Type"[..], &b"text/plain; charset=utf-8"[..]),
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
    ] {
        fields::push(&mut out, name, value);
    }
    if closes {
        fields::push(&mut out, b"Connection", b"close");
    }
    fields::push_length(&mut out, fault.text.len() as u64 + 1);
    out.extend_from_slice(b"\r\n");
    if !is_for_head {
        out.extend_from_slice(fault.text.as_bytes());
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_an_answer_of_its_length() {
        let fault = Failure::Because("it refused the connection".into()).fault("h:1");
        let whole = page(&fault, false, false);
        let text = String::from_utf8(whole.clone()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
        assert!(
            head.ends_with(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        assert!(
            body.contains("h:1: it refused") && body.ends_with('\n'),
            "{body}"
        );
        let for_head = page(&fault, true, false);
        assert_eq!(for_head, whole[..for_head.len()]);
        assert!(for_head.ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn each_failure_has_its_status() {
        let refused = Failure::Because("it refused the connection".into());
        for (failure, status) in [(Failure::TimedOut, 504), (refused, 502)] {
            let fault = failure.fault("h");
            assert!(fault.status == status && fault.text.contains("service at h: "));
        }
    }
}
