//! What a conversation with a store is made of: what it may use, where it asks, what became of that.

use std::io;
use std::time::{Duration, Instant};

use super::plan::Want;
use super::stores::{Stores, Via};
use super::words::Cause;
use crate::base::plain::shortened;
use crate::base::{GatewayAddress, Secret};
use crate::http::{BaseUrl, Bounds, HeadBounds, Response};
use crate::limits;

/// What a conversation may use beside itself.
pub struct World<'a> {
    /// What is kept.
    pub stores: &'a mut Stores,
    /// Reads a small regular file.
    pub file: &'a mut dyn FnMut(&str) -> io::Result<Vec<u8>>,
    /// The time.
    pub now: Instant,
    /// Seconds since 1970, by the system's clock.
    pub clock: u64,
}

impl World<'_> {
    /// The content of a file that `setting` names; where it can't be read the log has why.
    pub(super) fn read_for(
        &mut self,
        setting: &str,
        path: &str,
        found: &mut Found,
    ) -> Result<Secret, Cause> {
        self.read(path).map_err(|why| {
            found.note(&["the file of ", setting, ": ", &why]);
            Cause::file(setting)
        })
    }

    /// The content of a file; what is wrong with it, for the log.
    pub(super) fn read(&mut self, path: &str) -> Result<Secret, String> {
        match (self.file)(path).map(Secret::new) {
            Ok(content) if content.expose().len() <= limits::STORE_FILE_BYTES_MAX => Ok(content),
            Ok(_) => Err("it is larger than 64 KiB".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Amazon's time, as far as it is known.
    pub(super) fn aws_clock(&self) -> u64 {
        self.clock.saturating_add_signed(self.stores.skew)
    }
}

/// Where a question is asked.
pub struct Origin {
    /// TLS.
    pub is_tls: bool,
    /// Where it listens.
    pub address: GatewayAddress,
    /// Who alone vouches for it, PEM; whom the agent believes anyway where there is nobody.
    pub authorities: Option<Vec<u8>>,
    /// Nobody has to vouch for it.
    pub is_unverified: bool,
    /// The tunnel to it.
    pub via: Option<Via>,
    /// It is asked by number and in the clear, in this machine.
    pub is_metadata: bool,
}

/// TLS, and where: a connection to it serves all questions that are asked there.
pub type Place = (bool, GatewayAddress);

impl Origin {
    /// Of a URL; the proxy that there is for others is asked for TLS alone.
    pub(super) fn of(url: &BaseUrl, world: &World<'_>) -> Self {
        let via = match url.is_tls {
            true => world.stores.settings.proxy_for(&url.address),
            false => None,
        };
        Self {
            is_tls: url.is_tls,
            address: url.address.clone(),
            authorities: None,
            is_unverified: false,
            via,
            is_metadata: false,
        }
    }

    /// What a connection has to lead to.
    pub fn place(&self) -> Place {
        (self.is_tls, self.address.clone())
    }
}

/// What an answer may cost.
pub const ANSWER: Bounds = Bounds {
    head: HeadBounds {
        bytes: limits::STORE_HEAD_BYTES_MAX,
        fields: limits::STORE_FIELDS_MAX,
    },
    body_bytes: limits::STORE_BODY_BYTES_MAX,
};

/// A question.
pub struct Ask {
    /// To whom.
    pub origin: Origin,
    /// Head and body.
    pub request: Secret,
    /// The connection stands within this,
    pub dial_max: Duration,
    /// and the whole answer is there within this; what the stage has left where there is none.
    pub answer_max: Option<Duration>,
    /// It may be asked twice.
    pub is_repeatable: bool,
}

/// A request's head and body. It has its room from the start, so that no copy of a secret is left behind.
pub(super) fn request(
    method: &str,
    host: &str,
    path: &[&str],
    headers: &[(&str, &str)],
    body: Option<&Secret>,
) -> Secret {
    let size = 512
        + path.iter().map(|part| part.len()).sum::<usize>()
        + headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum::<usize>();
    let mut out = Vec::with_capacity(size + body.map_or(0, Secret::capacity));
    let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
    put(method);
    put(" ");
    path.iter().for_each(|part| put(part));
    put(" HTTP/1.1\r\nHost: ");
    put(host);
    put("\r\nUser-Agent: hoop-lite\r\n");
    for (name, value) in headers {
        put(name);
        put(": ");
        put(value);
        put("\r\n");
    }
    if body.is_some() || method != "GET" {
        put("Content-Length: ");
        put(&body.map_or(0, |body| body.expose().len()).to_string());
        put("\r\n");
    }
    put("\r\n");
    out.extend_from_slice(body.map_or(b"", Secret::expose));
    Secret::new(out)
}

/// The text of an answer.
pub(super) fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap_or("")
}

/// What is to be done.
pub enum Step {
    /// This is to be asked.
    Ask(Ask),
    /// It is over: see `Fetch::finish`.
    Over,
}

/// What became of a question that was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection; the system's words.
    Unreachable(String),
    /// TLS failed; a sentence for operators.
    Tls(String),
    /// It is not answered in time.
    Silent,
    /// The connection ended before a whole answer.
    Broke,
    /// The answer is none, or larger than it may be.
    Malformed,
    /// The proxy makes no tunnel.
    Proxy,
}

impl Trouble {
    /// What the user reads.
    pub(super) fn cause(&self, who: &str) -> Cause {
        Cause::with(
            who,
            match self {
                Self::Unreachable(_) => "can't be reached",
                Self::Tls(_) => "could not be asked: TLS failed (the agent's log says why)",
                Self::Silent => "did not answer in time",
                Self::Broke => "closed the connection in front of its answer",
                Self::Malformed => "gave an answer that is no HTTP, or too large",
                Self::Proxy => "can't be reached: the proxy makes no tunnel",
            },
        )
    }

    /// What the log has beside that.
    pub(super) fn note(&self) -> &str {
        match self {
            Self::Unreachable(text) | Self::Tls(text) => text,
            _ => "",
        }
    }
}

/// What a conversation has come to.
#[derive(Default)]
pub struct Found {
    /// By the numbers of references.
    pub values: Vec<(usize, Result<Secret, Cause>)>,
    /// Why there are no credentials for tokens, where those were wanted.
    pub needs: Option<Cause>,
    /// For the log: plain, and without anything secret.
    pub notes: Vec<String>,
    /// For `doctor`: who the agent is to the store, fact by fact, and nothing secret.
    pub facts: Vec<String>,
    /// There are credentials, whatever is thought of them.
    pub has_credentials: bool,
    /// What was asked last: whoever answers may say it back.
    pub(super) sent: Secret,
    /// What the agent logs in with.
    pub(super) own: Vec<Secret>,
    /// Where credentials were looked for in vain, and why in a word.
    pub passed: Vec<&'static str>,
}

impl Found {
    /// All keys of a want have no value, for this cause.
    pub(super) fn refuse(&mut self, want: &Want, cause: &Cause) {
        for (number, _) in &want.keys {
            self.values.push((*number, Err(cause.clone())));
        }
    }

    /// None of these has a value any more.
    pub(super) fn refuse_all(&mut self, wants: &[Want], cause: &Cause) {
        wants.iter().for_each(|want| self.refuse(want, cause));
    }

    /// Says to the log what became of a question to `who`.
    pub(super) fn note_trouble(&mut self, who: &str, trouble: &Trouble) {
        let cause = trouble.cause(who).to_string();
        self.note(&[&cause, ": ", trouble.note()]);
    }

    /// A store's own words, plain and cut to size. What the agent logs in with is struck out, and so is whatever it
    /// was sent but for path and host.
    pub(super) fn said(&self, words: &str) -> String {
        let words = &words[..words.floor_char_boundary(4 * limits::STORE_WORDS_BYTES_MAX)];
        let mut words = words.to_owned();
        for own in self.own.iter().filter_map(Secret::expose_text) {
            if own.len() >= OWN_BYTES_MIN {
                words = words.replace(own, STRUCK);
            }
        }
        let words = struck(words.as_bytes(), told(self.sent.expose()));
        shortened(
            &String::from_utf8_lossy(&words),
            limits::STORE_WORDS_BYTES_MAX,
        )
    }

    /// Credentials were looked for there in vain, for that reason.
    pub(super) fn pass(&mut self, place: &'static str) {
        self.passed.push(place);
    }

    /// Says something to `doctor`, made plain.
    pub(super) fn state(&mut self, parts: &[&str]) {
        let text = parts.concat();
        self.facts
            .push(shortened(&text, 3 * limits::STORE_WORDS_BYTES_MAX));
    }

    /// Says something to the log, made plain.
    pub(super) fn note(&mut self, parts: &[&str]) {
        let text = parts.concat();
        // Where nothing more is known than what led up to it.
        let text = text.trim_end_matches([' ', ':']);
        self.notes
            .push(shortened(text, 3 * limits::STORE_WORDS_BYTES_MAX));
    }
}

/// Less may be part of any word.
const OWN_BYTES_MIN: usize = 6;
/// So many bytes in a row that were sent are no accident.
const ECHO_BYTES_MIN: usize = 16;
const STRUCK: &str = "(struck out)";

/// Of a request what is nobody's to read: its query, its fields but for the host, its body.
fn told(request: &[u8]) -> &[u8] {
    let end = |text: &[u8]| text.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let line = end(request);
    match request[..line].iter().position(|byte| *byte == b'?') {
        Some(query) => &request[query..],
        None => {
            let fields = &request[line..];
            let host = fields.get(1..).map_or(0, end);
            &fields[host..]
        }
    }
}

/// `words` without what stands in `sent`, too.
fn struck(words: &[u8], sent: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(words.len());
    let mut rest = words;
    while let Some((first, behind)) = rest.split_first() {
        let begin = rest.first_chunk::<ECHO_BYTES_MIN>();
        let at = begin.and_then(|begin| {
            sent.windows(ECHO_BYTES_MIN)
                .position(|window| window == begin)
        });
        match at {
            Some(at) => {
                let pairs = rest.iter().zip(&sent[at..]);
                rest = &rest[pairs.take_while(|(a, b)| a == b).count()..];
                out.extend_from_slice(STRUCK.as_bytes());
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_struck_out_of_an_answers_words() {
        let body = Secret::new("{\"secret_id\":\"a-secret-id-of-the-agent\"}");
        let mut found = Found {
            sent: request(
                "GET",
                "vault.example.internal:8200",
                &[
                    "/v1/secret/data/database",
                    "?token=query-of-a-container-url",
                ],
                &[("X-Vault-Token", "hvs.0123456789abcdefghij")],
                Some(&body),
            ),
            own: vec![Secret::new("s3cretid"), Secret::new("abc")],
            ..Found::default()
        };
        for (words, said) in [
            (
                "bad header X-Vault-Token: hvs.0123456789abcdefghij",
                "bad header (struck out)",
            ),
            ("token <hvs.0123456789abcdef>", "token <(struck out)>"),
            (
                "s3cretid, and a-secret-id-of-the-agent",
                "(struck out), and (struck out)",
            ),
            ("query-of-a-container-url", "(struck out)"),
            ("abc: permission denied", "abc: permission denied"),
        ] {
            assert_eq!(found.said(words), said);
        }
        // Where the agent asks, and for what, is no secret.
        found.sent = request(
            "GET",
            "vault.example.internal:8200",
            &["/v1/secret/data/database"],
            &[],
            None,
        );
        let plain = "no handler for route secret/data/database at vault.example.internal:8200";
        assert_eq!(found.said(plain), plain);
        assert_eq!(Found::default().said(plain), plain);
    }
}
