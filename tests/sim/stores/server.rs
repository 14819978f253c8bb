//! A store behind a socket, in a mood: Vault with a key-value engine of version 2 and AppRole, and Secrets Manager.

use crate::dice::Dice;
use crate::net::End;

use super::{stored, value};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Vault,
    Aws,
}

/// How a store behaves on one connection; places are bytes that it has said on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Polite,
    /// A byte or two at a time, with pauses.
    Slow,
    /// Ends there.
    Dies(usize, End),
    /// From there on it says what is no HTTP, or no JSON.
    Rude(usize),
    /// Says nothing more.
    Silent(usize),
    /// Answers with this, and with secrets in the body.
    Fails(u16),
    /// Its body never ends.
    Endless,
    /// Sends whoever asks to somebody else.
    Elsewhere,
    Refuses,
    /// Never answers an attempt to connect.
    Hangs,
}

impl Mood {
    pub fn any(dice: &mut Dice) -> Self {
        let most = dice.pick(&[20, 100, 300]);
        let at = dice.between(0, most);
        match dice.weighted(&[60, 10, 10, 5, 4, 10, 2, 2, 3, 2]) {
            0 => Self::Polite,
            1 => Self::Slow,
            2 => Self::Dies(at, dice.pick(&[End::Fin, End::Reset])),
            3 => Self::Rude(at),
            4 => Self::Silent(at),
            5 => Self::Fails(dice.pick(&[401, 403, 404, 429, 500, 502, 503])),
            6 => Self::Endless,
            7 => Self::Elsewhere,
            8 => Self::Refuses,
            _ => Self::Hangs,
        }
    }

    /// It keeps nobody from anything but time.
    pub fn is_kind(self) -> bool {
        matches!(self, Self::Polite | Self::Slow)
    }
}

/// The connection to one.
pub struct Store {
    pub kind: Kind,
    pub mood: Mood,
    /// For whom; known by the first question that says so.
    pub sid: Option<u32>,
    pub is_open: bool,
    pub is_scheduled: bool,
    heard: Vec<u8>,
    /// To be said.
    pub waiting: Vec<u8>,
    said: usize,
    /// Bytes that the agent has read of the answer at hand.
    pub given: usize,
    /// The secret that the answer at hand has in it, and where that ends.
    pub promised: Option<(String, usize)>,
    pub end: Option<End>,
    pub has_told_end: bool,
}

/// What a question has come to.
pub struct Question {
    pub head: String,
    pub body: String,
}

impl Question {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).map(|it| it.1)
    }

    /// The secret that is asked for.
    fn secret(&self) -> Option<&str> {
        let path = self.head.strip_prefix("GET /v1/secret/data/");
        let id = self.body.strip_prefix("{\"SecretId\":\"");
        let of_body = id.and_then(|id| id.strip_suffix("\"}"));
        path.and_then(|path| path.split(' ').next()).or(of_body)
    }
}

impl Store {
    pub fn new(kind: Kind, mood: Mood) -> Self {
        Self {
            kind,
            mood,
            sid: None,
            is_open: false,
            is_scheduled: false,
            heard: Vec::new(),
            waiting: Vec::new(),
            said: 0,
            given: 0,
            promised: None,
            end: None,
            has_told_end: false,
        }
    }

    /// The next whole question.
    pub fn hear(&mut self, bytes: &[u8]) -> Option<Question> {
        self.heard.extend_from_slice(bytes);
        let text = String::from_utf8(self.heard.clone()).expect("text");
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let mut question = Question {
            head: head.to_owned(),
            body: String::new(),
        };
        let length = question.header("Content-Length").unwrap_or("0");
        let length: usize = length.parse().expect("a length");
        question.body = rest.get(..length)?.to_owned();
        assert_eq!(rest.len(), length, "two questions at once");
        self.heard.clear();
        Some(question)
    }

    /// Answers; `token` is what Vault takes from whoever has logged in, and gives.
    pub fn answer(&mut self, question: &Question, token: &mut Option<String>, number: &mut usize) {
        assert!(self.waiting.is_empty(), "a question before the answer");
        (self.given, self.promised) = (0, None);
        let secret = question.secret().map(str::to_owned);
        if let Some(secret) = &secret {
            let sid = secret.split('-').nth(1).expect("a session's number");
            self.sid = Some(sid.parse().expect("a number"));
        }
        let (status, body) = match (self.mood, self.kind) {
            (Mood::Fails(status), _) => (status, self.failure(status)),
            (_, Kind::Aws) => self.secrets_manager(question, secret.as_deref()),
            (_, Kind::Vault) => self.vault(question, secret.as_deref(), token, number),
        };
        let mut answer = match self.mood {
            Mood::Elsewhere => b"HTTP/1.1 307 X\r\nLocation: http://elsewhere.example/v1/x\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Mood::Endless => b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            _ => format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes(),
        };
        let whole = answer.len();
        match self.mood {
            Mood::Dies(at, end) if self.said + answer.len() > at => {
                answer.truncate(at.saturating_sub(self.said));
                self.end = Some(end);
            }
            Mood::Rude(at) if self.said + answer.len() > at => {
                let from = at.saturating_sub(self.said);
                for byte in &mut answer[from..] {
                    *byte = b'#';
                }
            }
            Mood::Silent(at) if self.said + answer.len() > at => {
                answer.truncate(at.saturating_sub(self.said));
            }
            _ if status == 200 => self.promised = secret.map(|secret| (secret, whole)),
            _ => {}
        }
        if matches!(self.mood, Mood::Endless | Mood::Elsewhere) {
            self.promised = None;
        }
        self.said += answer.len();
        self.waiting = answer;
    }

    fn failure(&self, status: u16) -> String {
        let stored = stored();
        match self.kind {
            Kind::Vault if status == 403 => r#"{"errors":["permission denied"]}"#.to_owned(),
            Kind::Vault if status < 500 => r#"{"errors":["no \u001b[2J"]}"#.to_owned(),
            Kind::Vault => format!(r#"{{"errors":["{stored}-x"]}}"#),
            Kind::Aws if status < 500 => {
                r#"{"__type":"x#AccessDeniedException","Message":"arn:aws:iam::1:role/x may not"}"#
                    .to_owned()
            }
            Kind::Aws => format!(r#"{{"__type":"{stored}-x","Message":"{stored}-y"}}"#),
        }
    }

    fn secrets_manager(&self, question: &Question, secret: Option<&str>) -> (u16, String) {
        let signature = question.header("Authorization").expect("a signature");
        assert!(signature.contains("Credential=AKIASIM/"), "{signature}");
        assert!(question.header("X-Vault-Token").is_none());
        let secret = secret.expect("a secret's name");
        let of = |key| value(self.kind, secret, key);
        let body = format!(
            r#"{{"Name":"{secret}","SecretString":"{{\"k0\":\"{}\",\"k1\":\"{}\"}}"}}"#,
            of("k0"),
            of("k1")
        );
        (200, body)
    }

    fn vault(
        &self,
        question: &Question,
        secret: Option<&str>,
        token: &mut Option<String>,
        number: &mut usize,
    ) -> (u16, String) {
        let stored = stored();
        if question.head.starts_with("POST /v1/auth/approle/login ") {
            assert!(question.body.contains(&format!("{stored}-secret")));
            *number += 1;
            let given = format!("{stored}-token-{number}");
            let body = format!(r#"{{"auth":{{"client_token":"{given}","lease_duration":600}}}}"#);
            *token = Some(given);
            return (200, body);
        }
        let shown = question.header("X-Vault-Token").expect("a token");
        let fixed = format!("{stored}-token");
        if shown != token.as_deref().unwrap_or(&fixed) {
            return (403, self.failure(403));
        }
        let secret = secret.expect("a secret's path");
        let of = |key| value(self.kind, secret, key);
        let body = format!(
            r#"{{"data":{{"data":{{"k0":"{}","k1":"{}"}},"metadata":{{"version":1}}}}}}"#,
            of("k0"),
            of("k1")
        );
        (200, body)
    }
}
