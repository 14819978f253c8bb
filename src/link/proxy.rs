//! HTTP CONNECT through an outbound proxy (RFC 9110, section 9.3.6), before anything else is said.

use std::fmt;

use crate::base::{ByteBuf, Secret};
use crate::http::{Fields, HeadBounds, head};
use crate::wire::base64;

/// The head of a proxy's answer; those seen in the field have a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024;
const ANSWER_FIELDS_MAX: usize = 64;

/// Why the proxy is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyError {
    /// It answered with this HTTP status.
    Status(u16),
    /// It does not take the user and password that it was given.
    Login,
    /// It wants a login, but none by user and password.
    NoPassword,
    /// What it said is not an HTTP answer.
    NotHttp,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPassword => {
                "the proxy takes no user and password (it asks for Negotiate or NTLM, which \
                 hoop-lite can't do): have it allow Basic, or this host without a login, or put a \
                 relay such as cntlm in front"
            }
            Self::Login => {
                "the proxy refuses the user and password in HTTPS_PROXY: correct them (%40 stands \
                 for @), or ask whoever runs the proxy to let this user through"
            }
            Self::Status(407) => {
                "the proxy wants credentials: write user and password into HTTPS_PROXY \
                 (http://user:password@host:port)"
            }
            Self::Status(status) => {
                return write!(
                    f,
                    "the proxy refused the tunnel with HTTP status {status}: have it allow CONNECT \
                     to this host and port, or name the host in NO_PROXY"
                );
            }
            Self::NotHttp => {
                "the address in HTTPS_PROXY does not answer as an HTTP proxy: check host and port"
            }
        })
    }
}

/// What to do when the proxy can't be reached.
pub const UNREACHABLE_ADVICE: &str = "correct HTTPS_PROXY, or name the gateway's host in NO_PROXY";

/// Waits for the proxy's answer to [`request`].
#[derive(Default)]
pub struct ProxyAnswer {
    /// The request had user and password.
    has_login: bool,
    seen: Vec<u8>,
    /// Where the answer begins, behind interim ones.
    start: usize,
}

/// The request that asks for a tunnel to `authority`, with user and password where there are any.
pub fn request(authority: &str, login: Option<&(String, Secret)>) -> Vec<u8> {
    let mut out = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some((user, password)) = login {
        let pair = Secret::new([user.as_bytes(), b":", password.expose()].concat());
        out.extend_from_slice(b"Proxy-Authorization: Basic ");
        out.extend_from_slice(base64::encode(pair.expose()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

impl ProxyAnswer {
    /// To this request.
    pub fn to(request: &[u8]) -> Self {
        let mut lines = request.split(|byte| *byte == b'\n');
        Self {
            has_login: lines.any(|line| line.starts_with(b"Proxy-Authorization")),
            ..Self::default()
        }
    }

    /// Takes the answer's bytes from `incoming` and leaves what follows them there. `true`: the
    /// tunnel stands.
    pub fn receive(&mut self, incoming: &mut ByteBuf) -> Result<bool, ProxyError> {
        let before = self.seen.len();
        let room = ANSWER_BYTES_MAX - before;
        let taken = incoming.len().min(room);
        self.seen.extend_from_slice(&incoming.filled()[..taken]);
        loop {
            let answer = self.seen.get(self.start..).unwrap_or_default();
            let bounds = HeadBounds {
                bytes: ANSWER_BYTES_MAX - self.start,
                fields: ANSWER_FIELDS_MAX,
            };
            let Some(head) =
                head::response(answer, &mut 0, bounds).map_err(|_| ProxyError::NotHttp)?
            else {
                incoming.consume(taken);
                return Ok(false);
            };
            self.start += head.len;
            match head.status {
                // The answer is still to come.
                100 | 102..=199 => {}
                200..=299 => {
                    incoming.consume(self.start - before);
                    return Ok(true);
                }
                407 if !takes_password(&head.lines.kept()) => return Err(ProxyError::NoPassword),
                407 if self.has_login => return Err(ProxyError::Login),
                status => return Err(ProxyError::Status(status)),
            }
        }
    }
}

/// `Basic` is offered, or nothing is said of what is.
fn takes_password(fields: &Fields) -> bool {
    let mut offers = fields.all("proxy-authenticate").peekable();
    let is_basic = |value: &str| {
        let is_it = |word: &str| word.eq_ignore_ascii_case("basic");
        value.split([' ', ',', '\t']).any(is_it)
    };
    offers.peek().is_none() || offers.any(is_basic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_go_into_the_request_only_when_there_are_some() {
        let plain = String::from_utf8(request("gw:443", None)).unwrap();
        assert_eq!(plain, "CONNECT gw:443 HTTP/1.1\r\nHost: gw:443\r\n\r\n");
        let login = ("user".to_owned(), Secret::new("pa:ss"));
        let with = String::from_utf8(request("gw:443", Some(&login))).unwrap();
        assert!(with.contains("\r\nProxy-Authorization: Basic dXNlcjpwYTpzcw==\r\n\r\n"));
    }

    proptest! {
        #[test]
        fn the_answer_may_come_in_any_pieces_and_the_rest_is_kept(piece in 1usize..60) {
            let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nx: y\r\n\r\n\
                HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nhello";
            let mut answer = ProxyAnswer::default();
            let mut incoming = ByteBuf::new();
            let mut stands = false;
            let mut rest = Vec::new();
            for part in bytes.chunks(piece) {
                incoming.extend(part);
                if !stands {
                    stands = answer.receive(&mut incoming).unwrap();
                }
                if stands {
                    rest.extend_from_slice(incoming.filled());
                    incoming.clear();
                }
            }
            prop_assert!(stands);
            prop_assert_eq!(&rest, b"hello");
        }

        #[test]
        fn arbitrary_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..10_000)) {
            let mut incoming = ByteBuf::new();
            incoming.extend(&bytes);
            let mut answer = ProxyAnswer::default();
            let _ = answer.receive(&mut incoming);
        }
    }

    #[test]
    fn a_proxy_that_takes_no_password_is_told_from_one_that_does() {
        for (offers, want) in [
            ("", ProxyError::Status(407)),
            (
                "Proxy-Authenticate: Basic realm=\"x\"\r\n",
                ProxyError::Status(407),
            ),
            ("Proxy-Authenticate: Negotiate\r\n", ProxyError::NoPassword),
            (
                "Proxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\n",
                ProxyError::NoPassword,
            ),
            (
                "Proxy-Authenticate: NTLM\r\nproxy-authenticate: BASIC realm=x\r\n",
                ProxyError::Status(407),
            ),
            (
                "Proxy-Authenticate: Negotiate, Basic realm=x\r\n",
                ProxyError::Status(407),
            ),
        ] {
            let mut incoming = ByteBuf::new();
            incoming.extend(format!("HTTP/1.1 407 Login\r\n{offers}\r\n").as_bytes());
            let outcome = ProxyAnswer::default().receive(&mut incoming);
            assert_eq!(outcome, Err(want), "{offers}");
        }
    }

    #[test]
    fn a_login_that_is_refused_is_told_from_one_that_is_lacking() {
        let login = ("user".to_owned(), Secret::new("password"));
        for (login, want) in [
            (None, ProxyError::Status(407)),
            (Some(&login), ProxyError::Login),
        ] {
            let mut incoming = ByteBuf::new();
            incoming.extend(b"HTTP/1.1 407 Login\r\n\r\n");
            let outcome = ProxyAnswer::to(&request("gw:443", login)).receive(&mut incoming);
            assert_eq!(outcome, Err(want));
        }
    }

    #[test]
    fn endless_interim_answers_end() {
        let mut incoming = ByteBuf::new();
        for _ in 0..1000 {
            incoming.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let outcome = ProxyAnswer::default().receive(&mut incoming);
        assert_eq!(outcome, Err(ProxyError::NotHttp));
    }

    #[test]
    fn a_refusal_keeps_its_status_and_an_endless_head_ends() {
        let mut incoming = ByteBuf::new();
        incoming.extend(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        assert_eq!(
            ProxyAnswer::default().receive(&mut incoming),
            Err(ProxyError::Status(407))
        );
        let mut incoming = ByteBuf::new();
        incoming.extend(b"HTTP/1.1 200 OK\r\nx: ");
        incoming.extend(&[b'y'; ANSWER_BYTES_MAX]);
        assert_eq!(
            ProxyAnswer::default().receive(&mut incoming),
            Err(ProxyError::NotHttp)
        );
    }
}
