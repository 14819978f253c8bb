//! A MySQL server's side of a login, in memory: bytes in, bytes out. Its own encoder, as in
//! [`crate::postgres`].

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

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
    /// The password of the account.
    pub password: String,
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
    /// The user's name.
    pub user: Vec<u8>,
    /// The database.
    pub database: Option<String>,
    /// Attributes, with their length.
    pub attributes: Vec<u8>,
    /// What came after the login.
    pub commands: Vec<u8>,
}

enum Phase {
    Response,
    Switched,
    Password,
    LoggedIn,
    Over,
}

/// One connection.
pub struct Server {
    conduct: Conduct,
    phase: Phase,
    is_secure: bool,
    ssl_request: Vec<u8>,
    sequence: u8,
    input: Vec<u8>,
    /// What it heard so far.
    pub heard: Heard,
}

/// The challenge of the greeting; that of a switch is the same, backwards.
pub const SCRAMBLE: [u8; 20] = *b"abcdefghijklmnopqrst";

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
            sequence: 0,
            input: Vec::new(),
            heard: Heard::default(),
        };
        let mut out = Vec::new();
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

    /// TLS stands.
    pub fn tls_started(&mut self) {
        self.is_secure = true;
    }

    /// What it answers to `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if matches!(self.phase, Phase::LoggedIn) {
            self.heard.commands.extend_from_slice(bytes);
            return out;
        }
        self.input.extend_from_slice(bytes);
        while self.input.len() >= 4 {
            let word = [self.input[0], self.input[1], self.input[2], 0];
            let end = 4 + u32::from_le_bytes(word) as usize;
            if self.input.len() < end {
                break;
            }
            assert_eq!(self.input[3], self.sequence, "the sequence goes on");
            self.sequence += 1;
            let packet: Vec<u8> = self.input.drain(..end).collect();
            self.hear(&packet[4..], &mut out);
            if matches!(self.phase, Phase::LoggedIn) {
                self.heard.commands.append(&mut self.input);
            }
        }
        out
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
                    let mut scramble = SCRAMBLE;
                    scramble.reverse();
                    let name = self.conduct.plugin.as_bytes();
                    let payload = [b"\xfe", name, b"\0", &scramble, b"\0"].concat();
                    return self.put(out, &payload);
                }
                self.check(&proof, SCRAMBLE, out);
            }
            Phase::Switched => {
                let mut scramble = SCRAMBLE;
                scramble.reverse();
                self.check(payload, scramble, out);
            }
            Phase::Password => {
                assert!(self.is_secure, "the password itself without TLS");
                let wanted = [self.conduct.password.as_bytes(), b"\0"].concat();
                self.decide(payload == wanted, out);
            }
            Phase::LoggedIn | Phase::Over => {}
        }
    }

    fn check(&mut self, proof: &[u8], scramble: [u8; 20], out: &mut Vec<u8>) {
        let password = self.conduct.password.as_bytes();
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
                let is_right = proof == xor(&once, &mask);
                if self.conduct.is_cached && is_right {
                    self.put(out, b"\x01\x03");
                    return self.decide(true, out);
                }
                self.phase = Phase::Password;
                self.put(out, b"\x01\x04");
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
        self.put(out, b"\0\0\0\x02\0\0\0");
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
        let plugin = String::from_utf8(text(&mut rest)).expect("text");
        assert!(has(9) && has(15) && has(19) && has(11) == self.is_secure);
        assert!(has(20) != rest.is_empty());
        self.heard = Heard {
            capabilities,
            fixed: payload[4..32].to_vec(),
            user,
            database,
            attributes: rest.to_vec(),
            commands: Vec::new(),
        };
        (proof, plugin)
    }
}

fn greeting(conduct: &Conduct) -> Vec<u8> {
    let mut capabilities = CAPABILITIES;
    if !conduct.has_tls {
        capabilities &= !(1 << 11);
    }
    let bits = capabilities.to_le_bytes();
    let mut out = b"\x0a9.7.0-scripted\0\x2a\0\0\0".to_vec();
    out.extend_from_slice(&SCRAMBLE[..8]);
    out.extend([0, bits[0], bits[1], 0xff, 2, 0, bits[2], bits[3], 21]);
    out.extend(*b"\0\0\0\0\0\0\x1d\0\0\0");
    out.extend_from_slice(&SCRAMBLE[8..]);
    out.push(0);
    out.extend_from_slice(conduct.favourite.as_bytes());
    out.push(0);
    out
}

/// A client's response with these capabilities, framed.
pub fn response(capabilities: u32, charset: u8, database: &str, attributes: &[u8]) -> Vec<u8> {
    let mut payload = capabilities.to_le_bytes().to_vec();
    payload.extend([0, 0, 0, 1, charset]);
    payload.extend([0; 19]);
    payload.extend(*b"\x1d\0\0\0noop\0\x04junk");
    if capabilities >> 3 & 1 == 1 {
        payload.extend_from_slice(database.as_bytes());
        payload.push(0);
    }
    payload.extend(*b"mysql_native_password\0");
    payload.extend_from_slice(attributes);
    let len = u32::try_from(payload.len()).expect("short").to_le_bytes();
    [&[len[0], len[1], len[2], 1], &payload[..]].concat()
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(a, b)| a ^ b).collect()
}
