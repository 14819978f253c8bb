//! A MySQL server's side of a login, in memory: bytes in, bytes out. Its own encoder, as in
//! [`crate::postgres`].

use crate::aws::LoginToken;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// The plugin that the greeting names.
    pub favourite: &'static str,
    /// The plugin of the account.
    pub plugin: &'static str,
    /// It has checked the password before, so that a proof is enough (`caching_sha2_password`).
    pub is_cached: bool,
    /// It has TLS.
    pub has_tls: bool,
    /// An error in place of the greeting.
    pub is_crowded: bool,
    /// The password of the account,
    pub password: String,
    /// or what tokens of Amazon's stand in its place.
    pub token: Option<LoginToken>,
    /// What its greeting calls it, and says that it can do.
    pub version: &'static str,
    /// See `version`.
    pub capabilities: u32,
    /// MariaDB's further bits.
    pub further: [u8; 4],
    /// The RSA key that it shows, PEM; `None`: it has none and closes.
    pub key: Option<&'static str>,
    /// It answers each command, and closes when it hears goodbye; else it only keeps what it hears.
    pub answers: bool,
    /// After so many messages it says nothing more. The first is the client's connection.
    pub falls_silent_after: Option<usize>,
}

impl Conduct {
    /// A server whose favourite is this plugin, which the account has, too.
    pub fn new(plugin: &'static str) -> Self {
        Self {
            favourite: plugin,
            plugin,
            is_cached: true,
            has_tls: false,
            is_crowded: false,
            password: "s3cret".to_owned(),
            token: None,
            version: "9.7.0-scripted",
            capabilities: CAPABILITIES,
            further: [0x1d, 0, 0, 0],
            key: Some(KEY),
            answers: false,
            falls_silent_after: None,
        }
    }
}

/// What a response said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Capabilities.
    pub capabilities: u32,
    /// Largest packet, charset, MariaDB's further bits.
    pub fixed: Vec<u8>,
    /// The password, where it was sent as it is.
    pub password: Option<String>,
    /// The user's name.
    pub user: Vec<u8>,
    /// The database.
    pub database: Option<String>,
    /// Attributes, with their length.
    pub attributes: Vec<u8>,
    /// What came after the login.
    pub commands: Vec<u8>,
    /// Messages so far, the connection itself among them.
    pub message_count: usize,
}

enum Phase {
    Response,
    Switched,
    Password,
    Encrypted,
    LoggedIn,
    Over,
}

/// One connection.
pub struct Server {
    conduct: Conduct,
    phase: Phase,
    is_secure: bool,
    ssl_request: Vec<u8>,
    scramble: [u8; 20],
    sequence: u8,
    input: Vec<u8>,
    /// What it heard so far.
    pub heard: Heard,
}

/// The challenge of the greeting; that of a switch is the same, backwards.
pub const SCRAMBLE: [u8; 20] = *b"abcdefghijklmnopqrst";

/// What `ed25519` signs.
const LONG_CHALLENGE: &[u8; 32] = b"thirty-two bytes of a challenge.";

/// The point that belongs to the password `s3cret`.
const POINT: [u8; 32] = [
    0x55, 0x3a, 0x5e, 0x30, 0xef, 0x44, 0xa0, 0x41, 0xf7, 0xd8, 0xac, 0x45, 0x90, 0x2e, 0x95, 0x95,
    0x0c, 0x1b, 0xcf, 0xb8, 0x12, 0x98, 0x8d, 0xb9, 0xdd, 0x2a, 0xa4, 0xde, 0x44, 0x2f, 0xc7, 0xae,
];

const KEY: &str = include_str!("../../vectors/rsa_2048.pem");

/// SHA-256 of `s3cret`, hidden by each scramble and encrypted with a seed of sevens: what OpenSSL's
/// half of the key decrypts to it.
const ENCRYPTED: [&str; 2] = [
    "f98689fdbb2012f1ed875fd309ec07cea70e01960f401d742ecba28a40ffbec7",
    "a1cdb38b259b10f4f4acd543f3edb6c784b53dbc2d7e1b8248128d57ce8160e1",
];

const OK: &[u8] = b"\0\0\0\x02\0\0\0";

/// Everything that a server of today says it can do.
pub const CAPABILITIES: u32 = 0xffff_ffff;

impl Server {
    /// A connection was accepted; and what the server says to that.
    pub fn accept(conduct: Conduct) -> (Self, Vec<u8>) {
        let mut server = Self {
            conduct,
            phase: Phase::Response,
            is_secure: false,
            ssl_request: Vec::new(),
            scramble: SCRAMBLE,
            sequence: 0,
            input: Vec::new(),
            heard: Heard::default(),
        };
        let mut out = Vec::new();
        if server.falls_silent() {
            return (server, out);
        }
        match server.conduct.is_crowded {
            true => {
                server.phase = Phase::Over;
                server.put(&mut out, b"\xff\x10\x04Too many connections");
            }
            false => {
                let payload = greeting(&server.conduct);
                server.put(&mut out, &payload);
            }
        }
        (server, out)
    }

    /// It has closed its side.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// The client goes over to TLS.
    pub fn wants_tls(&self) -> bool {
        !self.is_secure && !self.ssl_request.is_empty()
    }

    /// TLS stands.
    pub fn tls_started(&mut self) {
        self.is_secure = true;
    }

    /// What it answers to `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let has_passed = matches!(self.phase, Phase::LoggedIn);
        if has_passed {
            self.heard.commands.extend_from_slice(bytes);
        }
        if has_passed && !self.conduct.answers {
            return out;
        }
        self.input.extend_from_slice(bytes);
        while let Some(packet) = self.next_packet() {
            if self.falls_silent() {
                break;
            }
            if matches!(self.phase, Phase::LoggedIn) {
                self.answer(&packet[4..], &mut out);
                continue;
            }
            assert_eq!(packet[3], self.sequence, "the sequence goes on");
            self.sequence += 1;
            self.hear(&packet[4..], &mut out);
            if matches!(self.phase, Phase::LoggedIn) {
                self.heard.commands.extend_from_slice(&self.input);
                if !self.conduct.answers {
                    self.input.clear();
                }
            }
        }
        out
    }

    fn next_packet(&mut self) -> Option<Vec<u8>> {
        let head = self.input.first_chunk::<4>()?;
        let end = 4 + u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
        (self.input.len() >= end).then(|| self.input.drain(..end).collect())
    }

    /// A message has come.
    fn falls_silent(&mut self) -> bool {
        self.heard.message_count += 1;
        let limit = self.conduct.falls_silent_after;
        limit.is_some_and(|limit| self.heard.message_count > limit)
    }

    fn answer(&mut self, command: &[u8], out: &mut Vec<u8>) {
        match command {
            [1] => self.phase = Phase::Over,
            _ => {
                self.sequence = 1;
                self.put(out, OK);
            }
        }
    }

    fn hear(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Response if payload.len() == 32 => {
                assert!(payload[1] & 8 != 0 && self.conduct.has_tls && !self.is_secure);
                self.ssl_request = payload.to_vec();
                self.phase = Phase::Response;
            }
            Phase::Response => {
                let (proof, plugin) = self.read_response(payload);
                if plugin != self.conduct.plugin {
                    self.phase = Phase::Switched;
                    self.scramble.reverse();
                    let name = self.conduct.plugin.as_bytes();
                    let data = match self.conduct.plugin {
                        "client_ed25519" => &LONG_CHALLENGE[..],
                        _ => &self.scramble[..],
                    };
                    let payload = [b"\xfe", name, b"\0", data, b"\0"].concat();
                    return self.put(out, &payload);
                }
                self.check(&proof, out);
            }
            Phase::Switched => self.check(payload, out),
            // No password, or a client's goodbye.
            Phase::Password | Phase::Encrypted if payload.is_empty() || payload == [0] => {
                self.decide(false, out);
            }
            Phase::Password if [[1], [2]].iter().any(|it| payload == it) && !self.is_secure => {
                if let Some(key) = self.conduct.key {
                    self.phase = Phase::Encrypted;
                    self.put(out, &[b"\x01", key.as_bytes()].concat());
                }
            }
            Phase::Encrypted => {
                let hash = digest(&SHA256, payload);
                let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
                let wanted = ENCRYPTED[usize::from(self.scramble != SCRAMBLE)];
                self.decide(hash == wanted && self.conduct.password == "s3cret", out);
            }
            Phase::Password => {
                assert!(self.is_secure, "the password itself without TLS");
                let given = payload.strip_suffix(b"\0").unwrap_or_default();
                let given = String::from_utf8_lossy(given).into_owned();
                let is_right = match &self.conduct.token {
                    Some(token) => token.is_made(&given),
                    None => given == self.conduct.password,
                };
                self.heard.password = Some(given);
                self.decide(is_right, out);
            }
            Phase::LoggedIn | Phase::Over => {}
        }
    }

    fn check(&mut self, proof: &[u8], out: &mut Vec<u8>) {
        let password = self.conduct.password.as_bytes();
        let scramble = self.scramble;
        match self.conduct.plugin {
            "mysql_native_password" => {
                let hash = |parts: &[&[u8]]| {
                    let text = parts.concat();
                    digest(&SHA1_FOR_LEGACY_USE_ONLY, &text).as_ref().to_vec()
                };
                let once = hash(&[password]);
                let mask = hash(&[&scramble, &hash(&[&once])]);
                self.decide(proof == xor(&once, &mask), out);
            }
            "caching_sha2_password" => {
                let hash = |parts: &[&[u8]]| digest(&SHA256, &parts.concat()).as_ref().to_vec();
                let once = hash(&[password]);
                let mask = hash(&[&hash(&[&once]), &scramble]);
                if proof.is_empty() {
                    return self.decide(false, out);
                }
                let is_right = proof == xor(&once, &mask);
                if self.conduct.is_cached && is_right {
                    self.put(out, b"\x01\x03");
                    return self.decide(true, out);
                }
                self.phase = Phase::Password;
                self.put(out, b"\x01\x04");
            }
            "client_ed25519" => {
                let point = UnparsedPublicKey::new(&ED25519, POINT);
                self.decide(point.verify(LONG_CHALLENGE, proof).is_ok(), out);
            }
            _ => {
                self.phase = Phase::Password;
                self.hear(proof, out);
            }
        }
    }

    fn decide(&mut self, is_right: bool, out: &mut Vec<u8>) {
        if !is_right {
            return self.put(
                out,
                b"\xff\x15\x04#28000Access denied for user 'app'@'here'",
            );
        }
        self.put(out, OK);
        self.phase = Phase::LoggedIn;
    }

    fn put(&mut self, out: &mut Vec<u8>, payload: &[u8]) {
        let len = u32::try_from(payload.len()).expect("short").to_le_bytes();
        out.extend([len[0], len[1], len[2], self.sequence]);
        out.extend_from_slice(payload);
        self.sequence += 1;
    }

    fn read_response(&mut self, payload: &[u8]) -> (Vec<u8>, String) {
        // MariaDB takes the capabilities from what came first.
        let is_same = self.ssl_request.is_empty() || payload.starts_with(&self.ssl_request);
        assert!(is_same, "the response goes on as its SSLRequest began");
        let capabilities = u32::from_le_bytes(payload[..4].try_into().expect("four bytes"));
        let mut rest = &payload[32..];
        let text = |rest: &mut &[u8]| {
            let end = rest.iter().position(|b| *b == 0).expect("an end");
            let text = rest[..end].to_vec();
            *rest = &rest[end + 1..];
            text
        };
        let user = text(&mut rest);
        let proof_len = usize::from(rest[0]);
        let proof = rest[1..=proof_len].to_vec();
        rest = &rest[1 + proof_len..];
        let has = |bit: u32| capabilities >> bit & 1 == 1;
        let database = has(3).then(|| String::from_utf8(text(&mut rest)).expect("text"));
        let plugin = has(19).then(|| String::from_utf8(text(&mut rest)).expect("text"));
        let plugin = plugin.unwrap_or_else(|| self.conduct.plugin.to_owned());
        assert!(has(9) && has(15) && has(11) == self.is_secure);
        assert!(has(20) != rest.is_empty());
        let more = capabilities & !self.conduct.capabilities;
        assert_eq!(more, 0, "more than the server has");
        self.heard = Heard {
            capabilities,
            fixed: payload[4..32].to_vec(),
            password: None,
            user,
            database,
            attributes: rest.to_vec(),
            commands: Vec::new(),
            message_count: self.heard.message_count,
        };
        (proof, plugin)
    }
}

fn greeting(conduct: &Conduct) -> Vec<u8> {
    let mut capabilities = conduct.capabilities;
    if !conduct.has_tls {
        capabilities &= !(1 << 11);
    }
    let bits = capabilities.to_le_bytes();
    let mut out = [b"\x0a", conduct.version.as_bytes(), b"\0\x2a\0\0\0"].concat();
    out.extend_from_slice(&SCRAMBLE[..8]);
    let has_plugin = capabilities >> 19 & 1 == 1;
    let data_len = if has_plugin { 21 } else { 0 };
    out.extend([0, bits[0], bits[1], 0xff, 2, 0, bits[2], bits[3], data_len]);
    out.extend([0; 6]);
    out.extend(conduct.further);
    out.extend_from_slice(&SCRAMBLE[8..]);
    out.push(0);
    if has_plugin {
        out.extend_from_slice(conduct.favourite.as_bytes());
        out.push(0);
    }
    out
}

/// A client's response with these capabilities, framed.
pub fn response(capabilities: u32, charset: u8, database: &str, attributes: &[u8]) -> Vec<u8> {
    response_by(
        "mysql_native_password",
        capabilities,
        charset,
        database,
        attributes,
    )
}

/// The same, with a proof of this plugin.
pub fn response_by(
    plugin: &str,
    capabilities: u32,
    charset: u8,
    database: &str,
    attributes: &[u8],
) -> Vec<u8> {
    let mut payload = capabilities.to_le_bytes().to_vec();
    payload.extend([0, 0, 0, 1, charset]);
    payload.extend([0; 19]);
    payload.extend(*b"\x1d\0\0\0noop\0\x04junk");
    if capabilities >> 3 & 1 == 1 {
        payload.extend_from_slice(database.as_bytes());
        payload.push(0);
    }
    if capabilities >> 19 & 1 == 1 {
        payload.extend_from_slice(plugin.as_bytes());
        payload.push(0);
    }
    payload.extend_from_slice(attributes);
    let len = u32::try_from(payload.len()).expect("short").to_le_bytes();
    [&[len[0], len[1], len[2], 1], &payload[..]].concat()
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(a, b)| a ^ b).collect()
}
