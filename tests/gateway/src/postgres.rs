//! A PostgreSQL server's side of a login, in memory: bytes in, bytes out.
//!
//! Written against the protocol's documents, with its own encoder, so that a mistake of the agent
//! does not meet itself. It is as slow, rude or forgetful as its [`Conduct`] says.

use ring::{digest, hmac, pbkdf2};

/// What the server wants of whoever logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Nothing.
    Trust,
    /// The password.
    Cleartext,
    /// The same, and all counts that begins as the password does: a token that is made at each login.
    Token,
    /// MD5; knows the answer for user `app` and password `s3cret` alone.
    Md5,
    /// SCRAM-SHA-256 with so many rounds.
    Scram(u32),
    /// An authentication request of this code, without data.
    Other(u32),
    /// SASL, but with a mechanism of another name.
    OtherSasl,
}

/// What the server says to an SSLRequest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsAnswer {
    /// `S`.
    Yes,
    /// `N`.
    No,
    /// `S`, and bytes that somebody in between put behind it.
    Stuffed,
    /// An error message.
    Error,
    /// `E` and text, as a postmaster that can't fork answers.
    Text,
    /// It closes the connection.
    Nothing,
    /// Something else.
    Nonsense,
}

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// See [`Method`].
    pub method: Method,
    /// See [`TlsAnswer`].
    pub tls: TlsAnswer,
    /// The account.
    pub user: String,
    /// Its password, as SCRAM wants it.
    pub password: String,
    /// Bytes of the cancel key; 0: none is given.
    pub key_bytes: usize,
    /// A NegotiateProtocolVersion comes first.
    pub is_older: bool,
    /// Text of a notice around the cancel key.
    pub notice: String,
    /// It answers the proof with a false one of its own, or, `Some(false)`, with none.
    pub false_proof: Option<bool>,
    /// It takes its time for every query, and never comes to an end.
    pub is_silent: bool,
    /// SQLSTATE and text of an error in place of a request for authentication, over TLS and without.
    pub rejections: [Option<(&'static str, &'static str)>; 2],
    /// It can't start a process, and says so without a length.
    pub is_exhausted: bool,
    /// After so many messages of the client it says nothing more.
    pub falls_silent_after: Option<usize>,
}

impl Conduct {
    /// A polite server of today, without TLS.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            tls: TlsAnswer::No,
            user: "app".to_owned(),
            password: "s3cret".to_owned(),
            key_bytes: 4,
            is_older: false,
            notice: "K is for keys".to_owned(),
            false_proof: None,
            is_silent: false,
            rejections: [None; 2],
            is_exhausted: false,
            falls_silent_after: None,
        }
    }

    /// The same, with this answer to an SSLRequest.
    pub fn with_tls(mut self, tls: TlsAnswer) -> Self {
        self.tls = tls;
        self
    }
}

/// What the server has heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Version and parameters of the startup message.
    pub startup: Option<(u32, Vec<(String, String)>)>,
    /// An SSLRequest came.
    pub asked_for_tls: bool,
    /// Process id and key of a cancel request.
    pub cancel: Option<(u32, Vec<u8>)>,
    /// What came after the login.
    pub queries: Vec<u8>,
    /// What was given for a password, as it is.
    pub password: Option<String>,
    /// Messages of any kind.
    pub message_count: usize,
}

enum Phase {
    Opening,
    Password,
    ScramFirst,
    ScramLast { proof_of: String, nonce: String },
    LoggedIn,
    Over,
}

/// One connection.
pub struct Server {
    conduct: Conduct,
    phase: Phase,
    input: Vec<u8>,
    /// What it heard so far.
    pub heard: Heard,
}

const SALT: &[u8] = b"sixteen salt byt";
const PID: u32 = 4711;
const MD5_ANSWER: &str = "md51460f94130eb931937bbd6439ee8ab57";

/// The `SELECT` of this simulation: what comes back for anything sent after the login.
pub const RESULT: &[u8] = b"D\0\0\0\x0e\0\x01\0\0\0\x04KKKKC\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

impl Server {
    /// A connection was accepted.
    pub fn new(conduct: Conduct) -> Self {
        Self {
            conduct,
            phase: Phase::Opening,
            input: Vec::new(),
            heard: Heard::default(),
        }
    }

    /// It has closed its side.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// What it answers to `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.input.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some(message) = self.next_message() {
            self.heard.message_count += 1;
            let limit = self.conduct.falls_silent_after;
            if limit.is_some_and(|limit| self.heard.message_count > limit) {
                continue;
            }
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Opening => self.open(&message, &mut out),
                Phase::Password => {
                    let given = message[5..].strip_suffix(b"\0").unwrap_or_default();
                    let given = String::from_utf8_lossy(given).into_owned();
                    let is_token = given.starts_with(&self.conduct.password);
                    self.heard.password = Some(given);
                    if self.conduct.method == Method::Token {
                        self.decide(is_token, &mut out);
                        continue;
                    }
                    let wanted = match self.conduct.method {
                        Method::Md5 => MD5_ANSWER.as_bytes(),
                        _ => self.conduct.password.as_bytes(),
                    };
                    self.decide(message[5..] == [wanted, b"\0"].concat(), &mut out);
                }
                Phase::ScramFirst => self.scram_first(&message, &mut out),
                Phase::ScramLast { proof_of, nonce } => {
                    self.scram_last(&message, &proof_of, &nonce, &mut out);
                }
                Phase::LoggedIn => {
                    self.phase = Phase::LoggedIn;
                    self.heard.queries.extend_from_slice(&message);
                    if !self.conduct.is_silent {
                        out.extend_from_slice(RESULT);
                    }
                }
                Phase::Over => {}
            }
        }
        out
    }

    fn next_message(&mut self) -> Option<Vec<u8>> {
        let tagged = usize::from(!matches!(self.phase, Phase::Opening));
        let word = self.input.get(tagged..tagged + 4)?.try_into().ok()?;
        let len = tagged + u32::from_be_bytes(word) as usize;
        assert!(
            (tagged + 4..70_000).contains(&len),
            "length {len} in {:?}",
            self.input.escape_ascii().to_string()
        );
        (self.input.len() >= len).then(|| self.input.drain(..len).collect())
    }

    fn open(&mut self, message: &[u8], out: &mut Vec<u8>) {
        let code = number(&message[4..]);
        match code {
            80_877_103 => {
                assert!(!self.heard.asked_for_tls, "asked twice");
                self.heard.asked_for_tls = true;
                self.phase = Phase::Opening;
                self.answer_tls(out);
            }
            80_877_102 => {
                self.heard.cancel = Some((number(&message[8..]), message[12..].to_vec()));
            }
            _ => {
                self.heard.startup = Some((code, parameters(&message[8..])));
                self.challenge(out);
            }
        }
    }

    fn answer_tls(&mut self, out: &mut Vec<u8>) {
        match self.conduct.tls {
            TlsAnswer::Yes => out.push(b'S'),
            TlsAnswer::No => out.push(b'N'),
            TlsAnswer::Stuffed => out.extend_from_slice(b"SR\0\0\0\x08\0\0\0\0"),
            TlsAnswer::Nonsense => out.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            TlsAnswer::Error => error(out, "53300", "sorry, too many clients already"),
            TlsAnswer::Text => {
                out.extend_from_slice(b"Ecould not fork new process for connection\n\0");
            }
            TlsAnswer::Nothing => {}
        }
        if !matches!(self.conduct.tls, TlsAnswer::Yes | TlsAnswer::No) {
            self.phase = Phase::Over;
        }
    }

    fn challenge(&mut self, out: &mut Vec<u8>) {
        if self.conduct.is_exhausted {
            return out.extend_from_slice(b"Ecould not fork new process for connection\n\0");
        }
        if self.conduct.is_older {
            let option = b"\0\x03\0\0\0\0\0\x01_pq_.test\0";
            put(out, b'v', &[option]);
        }
        let is_secure = self.heard.asked_for_tls && self.conduct.tls == TlsAnswer::Yes;
        if let Some((code, text)) = self.conduct.rejections[usize::from(!is_secure)] {
            return error(out, code, text);
        }
        let names = self.heard.startup.as_ref().map(|(_, names)| &names[..]);
        let user = names.and_then(|names| names.iter().find(|(name, _)| name == "user"));
        if user.is_none_or(|(_, value)| *value != self.conduct.user) {
            return error(out, "28000", "role does not exist");
        }
        self.phase = match self.conduct.method {
            Method::Trust => return self.decide(true, out),
            Method::Cleartext | Method::Token => {
                put(out, b'R', &[&3_u32.to_be_bytes()]);
                Phase::Password
            }
            Method::Md5 => {
                put(out, b'R', &[&5_u32.to_be_bytes(), &[1, 2, 3, 4]]);
                Phase::Password
            }
            Method::Scram(_) => {
                let names = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
                put(out, b'R', &[&10_u32.to_be_bytes(), names]);
                Phase::ScramFirst
            }
            Method::OtherSasl => {
                put(out, b'R', &[&10_u32.to_be_bytes(), b"OAUTHBEARER\0\0"]);
                Phase::Over
            }
            Method::Other(code) => {
                put(out, b'R', &[&code.to_be_bytes()]);
                Phase::Over
            }
        };
    }

    fn scram_first(&mut self, message: &[u8], out: &mut Vec<u8>) {
        let name = b"SCRAM-SHA-256\0";
        assert_eq!(message[5..][..name.len()], name[..]);
        let text = String::from_utf8(message[5 + name.len() + 4..].to_vec()).expect("text");
        let bare = text.strip_prefix("n,,").expect("no channel binding");
        let nonce = bare.strip_prefix("n=,r=").expect("a nonce").to_owned() + "theServersOwn";
        let Method::Scram(rounds) = self.conduct.method else {
            unreachable!()
        };
        let first = format!("r={nonce},s={},i={rounds}", crate::base64(SALT));
        put(out, b'R', &[&11_u32.to_be_bytes(), first.as_bytes()]);
        let proof_of = format!("{bare},{first}");
        self.phase = Phase::ScramLast { proof_of, nonce };
    }

    fn scram_last(&mut self, message: &[u8], proof_of: &str, nonce: &str, out: &mut Vec<u8>) {
        let text = String::from_utf8(message[5..].to_vec()).expect("text");
        let (last, proof) = text.rsplit_once(",p=").expect("a proof");
        assert_eq!(last, format!("c=biws,r={nonce}"));
        let signed = format!("{proof_of},{last}");
        let Method::Scram(rounds) = self.conduct.method else {
            unreachable!()
        };
        let mut salted = [0; 32];
        let rounds = rounds.try_into().expect("rounds");
        let password = self.conduct.password.as_bytes();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            SALT,
            password,
            &mut salted,
        );
        let client = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, &client);
        let mask = sign(stored.as_ref(), signed.as_bytes());
        let expected: Vec<u8> = client.iter().zip(mask).map(|(a, b)| a ^ b).collect();
        if proof != crate::base64(&expected) {
            return self.decide(false, out);
        }
        let mut signature = sign(&sign(&salted, b"Server Key"), signed.as_bytes());
        signature[7] ^= u8::from(self.conduct.false_proof == Some(true));
        let text = format!("v={}", crate::base64(&signature));
        if self.conduct.false_proof != Some(false) {
            put(out, b'R', &[&12_u32.to_be_bytes(), text.as_bytes()]);
        }
        self.decide(true, out);
    }

    fn decide(&mut self, is_right: bool, out: &mut Vec<u8>) {
        if !is_right {
            return error(out, "28P01", "password authentication failed");
        }
        put(out, b'R', &[&0_u32.to_be_bytes()]);
        put(out, b'S', &[b"server_version", b"\0", b"15.18\0"]);
        self.notice(out);
        if self.conduct.key_bytes > 0 {
            let secret = vec![b'K'; self.conduct.key_bytes];
            put(out, b'K', &[&PID.to_be_bytes(), &secret]);
        }
        self.notice(out);
        put(out, b'Z', &[b"I"]);
        self.phase = Phase::LoggedIn;
    }

    fn notice(&self, out: &mut Vec<u8>) {
        let text = self.conduct.notice.as_bytes();
        put(out, b'N', &[b"SNOTICE\0VNOTICE\0C00000\0M", text, b"\0\0"]);
    }
}

fn error(out: &mut Vec<u8>, code: &str, text: &str) {
    let fields = ["SFATAL\0VFATAL\0C", code, "\0M", text, "\0\0"].concat();
    put(out, b'E', &[fields.as_bytes()]);
}

/// Appends a typed message.
pub fn put(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let body = parts.concat();
    out.push(kind);
    out.extend(u32::try_from(body.len() + 4).expect("short").to_be_bytes());
    out.extend(body);
}

/// An untyped message of a client.
pub fn opening(code: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 8).expect("short");
    [&len.to_be_bytes(), &code.to_be_bytes(), body].concat()
}

/// A startup message of this version.
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let texts = parameters
        .iter()
        .map(|(name, value)| format!("{name}\0{value}\0"));
    opening(
        version,
        format!("{}\0", texts.collect::<String>()).as_bytes(),
    )
}

/// The typed messages that `bytes` are; panics where they are not.
pub fn messages(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let len = number(rest) as usize;
        messages.push((*kind, rest[4..len].to_vec()));
        bytes = &rest[len..];
    }
    messages
}

fn parameters(body: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(body).expect("text");
    let text = text.strip_suffix("\0\0").expect("two NUL bytes at the end");
    let texts: Vec<&str> = text.split('\0').collect();
    let pairs = texts.chunks(2);
    pairs
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect()
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}

fn sign(key: &[u8], text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text).as_ref().to_vec()
}
