//! A SQL Server's side of a login, in memory: bytes in, bytes out. Its own encoder, as in [`crate::postgres`]; TLS
//! around it is [`crate::secure`]'s.

/// What the server says about encryption.
pub mod encryption {
    /// Of the login's first packet.
    pub const OFF: u8 = 0;
    /// Of all.
    pub const ON: u8 = 1;
    /// There is none.
    pub const NONE: u8 = 2;
    /// Of all, whatever the client wants.
    pub const REQUIRED: u8 = 3;
}

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// Its word on encryption; one that wants it gets it.
    pub encryption: u8,
    /// TLS comes first (TDS 8.0); it hangs up on whoever does not begin with it.
    pub is_strict: bool,
    /// The password of the account.
    pub password: String,
    /// Where it sends everybody.
    pub route: Option<(String, u16)>,
    /// Payload in each packet of its own.
    pub packet_bytes: usize,
    /// It hangs up when it has got this message: 0 the PRELOGIN, 1 the LOGIN7; 2: within its reply.
    pub dies_at: Option<usize>,
    /// It answers no command.
    pub is_silent: bool,
    /// So many messages of a connection are answered, and no more.
    pub falls_silent_after: Option<usize>,
}

impl Conduct {
    /// A server with this word on encryption.
    pub fn new(encryption: u8) -> Self {
        Self {
            encryption,
            is_strict: false,
            password: "s3cret".to_owned(),
            route: None,
            packet_bytes: 4088,
            dies_at: None,
            is_silent: false,
            falls_silent_after: None,
        }
    }
}

/// What a login said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The options of PRELOGIN.
    pub options: Vec<(u8, Vec<u8>)>,
    /// Sizes of the packets that the LOGIN7 came in, and whether each came through TLS.
    pub packets: Vec<(usize, bool)>,
    /// The fixed words of LOGIN7.
    pub fixed: Vec<u8>,
    /// Host, user, password, program, server, library, language, database, file.
    pub texts: Vec<String>,
    /// The features' ids.
    pub features: Vec<u8>,
    /// What came after the login.
    pub commands: Vec<u8>,
    /// Messages so far.
    pub message_count: usize,
}

#[derive(PartialEq, Eq)]
enum Phase {
    Prelogin,
    Login,
    LoggedIn,
    Over,
}

/// One connection.
pub struct Server {
    conduct: Conduct,
    phase: Phase,
    /// TLS stands around what is heard.
    pub is_secure: bool,
    /// What the client and it agreed on.
    pub agreed: u8,
    input: Vec<u8>,
    body: Vec<u8>,
    /// What it heard so far.
    pub heard: Heard,
}

/// What every query comes to: a row count.
pub const RESULT: &[u8] = b"\x04\x01\0\x15\0\x33\x01\0\xfd\x10\0\xc1\0\x01\0\0\0\0\0\0\0";

/// What an attention comes to.
pub const ATTENTION_ANSWER: &[u8] = b"\x04\x01\0\x15\0\x33\x01\0\xfd\x20\0\0\0\0\0\0\0\0\0\0\0";

/// A client's cry for the end of its query.
pub const ATTENTION: &[u8] = b"\x06\x01\0\x08\0\0\x01\0";

impl Server {
    /// A connection was accepted.
    pub fn new(conduct: Conduct) -> Self {
        Self {
            conduct,
            phase: Phase::Prelogin,
            is_secure: false,
            agreed: encryption::NONE,
            input: Vec::new(),
            body: Vec::new(),
            heard: Heard::default(),
        }
    }

    /// It has closed its side.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// TLS comes before anything else.
    pub fn begins_with_tls(&self) -> bool {
        self.conduct.is_strict
    }

    /// The handshake is due, within packets.
    pub fn wants_tls(&self) -> bool {
        self.phase == Phase::Login && self.agreed != encryption::NONE && !self.is_secure
    }

    /// TLS was for the login's first packet.
    pub fn ends_tls(&self) -> bool {
        self.agreed == encryption::OFF && !self.heard.packets.is_empty()
    }

    /// What it answers to `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.input.extend_from_slice(bytes);
        let is_foreign = self.phase == Phase::Prelogin && self.input.first() != Some(&0x12);
        let is_early = self.conduct.is_strict && !self.is_secure;
        if !self.input.is_empty() && (is_foreign || is_early) {
            self.phase = Phase::Over;
        }
        while self.phase != Phase::Over && self.input.len() >= 8 {
            let len = usize::from(u16::from_be_bytes([self.input[2], self.input[3]]));
            assert!(len >= 8, "a packet's length");
            if self.input.len() < len {
                break;
            }
            let packet: Vec<u8> = self.input.drain(..len).collect();
            self.hear(&packet, &mut out);
        }
        out
    }

    fn hear(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        let is_last = packet[1] & 1 == 1;
        self.heard.message_count += usize::from(is_last);
        let limit = self.conduct.falls_silent_after.unwrap_or(usize::MAX);
        if self.heard.message_count > limit {
            return;
        }
        match self.phase {
            Phase::LoggedIn => {
                self.heard.commands.extend_from_slice(packet);
                let answer = match packet[0] {
                    6 => ATTENTION_ANSWER,
                    _ => RESULT,
                };
                if is_last && (!self.conduct.is_silent || packet[0] == 6) {
                    out.extend_from_slice(answer);
                }
                return;
            }
            Phase::Prelogin => {}
            Phase::Login => {
                assert_eq!(packet[0], 0x10, "LOGIN7 follows");
                self.heard.packets.push((packet.len(), self.is_secure));
            }
            Phase::Over => return,
        }
        self.body.extend_from_slice(&packet[8..]);
        if is_last {
            let body = std::mem::take(&mut self.body);
            match self.phase {
                Phase::Prelogin => self.agree(&body, out),
                _ => self.decide(&body, out),
            }
        }
    }

    fn agree(&mut self, body: &[u8], out: &mut Vec<u8>) {
        self.heard.options = options(body);
        if self.conduct.dies_at == Some(0) {
            self.phase = Phase::Over;
            return;
        }
        let find = |token: u8| {
            let mut all = self.heard.options.iter();
            all.find(|(it, _)| *it == token)
                .map(|(_, value)| value.clone())
        };
        let wish = find(1).expect("a word on encryption")[0];
        self.agreed = match (self.conduct.encryption, wish) {
            (encryption::OFF, encryption::ON) => encryption::ON,
            (own, _) => own,
        };
        if self.conduct.is_strict {
            assert_eq!(wish, 4, "the word for TLS first");
            self.agreed = encryption::NONE;
        }
        self.phase = Phase::Login;
        let reply = prelogin_of(&[
            (0, &[16, 0, 0x03, 0xe8, 0, 0]),
            (1, &[self.agreed]),
            (2, &[0]),
            (3, &[]),
            (4, &[1]),
            (6, &[1]),
        ]);
        self.put(&reply, out);
    }

    fn decide(&mut self, body: &[u8], out: &mut Vec<u8>) {
        self.read_login(body);
        if self.conduct.dies_at == Some(1) {
            self.phase = Phase::Over;
            return;
        }
        let mut reply = Vec::new();
        if self.heard.texts[2] != self.conduct.password {
            let text = format!("Login failed for user '{}'.", self.heard.texts[1]);
            let text = utf16(&text);
            let size = 4 + 2 + 2 + text.len() + 2 + 4;
            reply.push(0xaa);
            reply.extend(u16::try_from(size).expect("short").to_le_bytes());
            reply.extend(18456_u32.to_le_bytes());
            reply.extend([1, 14]);
            reply.extend(u16::try_from(text.len() / 2).expect("short").to_le_bytes());
            reply.extend(text);
            reply.extend([0, 0, 1, 0, 0, 0]);
            reply.extend([0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            self.put(&reply, out);
            self.phase = Phase::Over;
            return;
        }
        // The database has changed.
        reply.extend([0xe3, 7, 0, 1, 2, b's', 0, b'h', 0, 0]);
        let version = match self.heard.fixed[4..8] {
            [0, 0, 0, 8] => [8, 0, 0, 0],
            _ => [0x74, 0, 0, 4],
        };
        reply.extend([0xad, 10, 0, 1]);
        reply.extend(version);
        reply.extend([0, 16, 0, 3, 0xe8]);
        if let Some((host, port)) = &self.conduct.route {
            let name = utf16(host);
            let data = u16::try_from(5 + name.len()).expect("short");
            reply.push(0xe3);
            reply.extend((data + 5).to_le_bytes());
            reply.push(20);
            reply.extend(data.to_le_bytes());
            reply.push(0);
            reply.extend(port.to_le_bytes());
            reply.extend(u16::try_from(name.len() / 2).expect("short").to_le_bytes());
            reply.extend(name);
            reply.extend([0, 0]);
        }
        reply.extend([0xae, 0x0a, 1, 0, 0, 0, 1, 0xff]);
        reply.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        self.put(&reply, out);
        self.phase = Phase::LoggedIn;
        if self.conduct.dies_at == Some(2) {
            out.truncate(out.len() - 5);
            self.phase = Phase::Over;
        }
    }

    fn put(&self, body: &[u8], out: &mut Vec<u8>) {
        out.extend(framed(4, body, self.conduct.packet_bytes));
    }

    fn read_login(&mut self, body: &[u8]) {
        let long = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes"));
        let word = |at: usize| usize::from(u16::from_le_bytes([body[at], body[at + 1]]));
        assert_eq!(long(0) as usize, body.len(), "the length");
        let fixed = if body[7] == 0x70 || body[7] == 0x71 {
            86
        } else {
            94
        };
        let mut expected = fixed;
        let mut texts = Vec::new();
        let mut features = Vec::new();
        for place in [36, 40, 44, 48, 52, 56, 60, 64, 68, 82] {
            let (at, units) = (word(place), word(place + 2));
            if units == 0 {
                if place != 56 {
                    texts.push(String::new());
                }
                continue;
            }
            // Babelfish reads them as they come.
            assert_eq!(at, expected, "text {place} follows the one before");
            let size = if place == 56 { units } else { 2 * units };
            let mut bytes = body[at..at + size].to_vec();
            expected += size;
            match place {
                56 => {
                    assert_eq!(units, 4);
                    features = ids(&body[long(at) as usize..]);
                    continue;
                }
                44 => bytes.iter_mut().for_each(|byte| {
                    *byte = (*byte ^ 0xa5).rotate_left(4);
                }),
                _ => {}
            }
            let units: Vec<u16> = bytes
                .chunks(2)
                .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
                .collect();
            texts.push(String::from_utf16(&units).expect("UTF-16"));
        }
        assert_eq!(word(80), 0, "no SSPI");
        if fixed == 94 {
            assert_eq!((word(88), long(90)), (0, 0), "no new password");
        }
        self.heard.fixed = body[..fixed].to_vec();
        self.heard.texts = texts;
        self.heard.features = features;
    }
}

fn ids(mut rest: &[u8]) -> Vec<u8> {
    let mut ids = Vec::new();
    while rest[0] != 0xff {
        ids.push(rest[0]);
        let size = u32::from_le_bytes(rest[1..5].try_into().expect("four bytes"));
        rest = &rest[5 + size as usize..];
    }
    assert_eq!(rest.len(), 1, "nothing behind the features");
    ids
}

/// The options in the body of a PRELOGIN.
pub fn options(body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in body.chunks(5) {
        if entry[0] == 0xff {
            break;
        }
        let at = usize::from(u16::from_be_bytes([entry[1], entry[2]]));
        let size = usize::from(u16::from_be_bytes([entry[3], entry[4]]));
        all.push((entry[0], body[at..at + size].to_vec()));
    }
    all
}

/// The body of a PRELOGIN with these options.
pub fn prelogin_of(options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut at = 5 * options.len() + 1;
    let mut table = Vec::new();
    let mut data = Vec::new();
    for (token, value) in options {
        table.push(*token);
        table.extend(u16::try_from(at).expect("short").to_be_bytes());
        table.extend(u16::try_from(value.len()).expect("short").to_be_bytes());
        at += value.len();
        data.extend_from_slice(value);
    }
    [&table[..], &[0xff], &data].concat()
}

/// A message in packets of this payload.
pub fn framed(kind: u8, body: &[u8], payload: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let count = body.chunks(payload).count();
    for (number, piece) in (1..).zip(body.chunks(payload)) {
        let len = u16::try_from(piece.len() + 8).expect("short").to_be_bytes();
        let is_last = u8::from(number == count);
        out.extend([kind, is_last, len[0], len[1], 0, 0, number as u8, 0]);
        out.extend_from_slice(piece);
    }
    out
}

/// A client's PRELOGIN, as most drivers have it, with several queries at once and a login by somebody else's word.
pub fn prelogin() -> Vec<u8> {
    let body = prelogin_of(&[
        (0, &[17, 0, 0, 1, 0, 0]),
        (1, &[0]),
        (2, b"\0"),
        (3, &[0, 0, 4, 0xd2]),
        (4, &[1]),
        (5, &[7; 36]),
        (6, &[1]),
        (7, &[9; 32]),
    ]);
    framed(0x12, &body, 4088)
}

/// A client's LOGIN7.
#[derive(Clone)]
pub struct Login7 {
    /// The version.
    pub version: u32,
    /// What it calls itself.
    pub program: String,
    /// The database.
    pub database: String,
    /// Packets that it wants later.
    pub packet_size: u32,
    /// `id`, data.
    pub features: Vec<(u8, Vec<u8>)>,
    /// It wants to be let in by its system's word, and to have another password.
    pub is_demanding: bool,
}

impl Default for Login7 {
    fn default() -> Self {
        Self {
            version: 0x7400_0004,
            program: "tests".to_owned(),
            database: String::new(),
            packet_size: 4096,
            features: vec![(2, vec![1, 2, 3]), (0x0a, vec![1])],
            is_demanding: false,
        }
    }
}

impl Login7 {
    /// As it goes over the wire, in packets of this payload.
    pub fn encoded(&self, payload: usize) -> Vec<u8> {
        let has_features = !self.features.is_empty();
        let old = matches!(self.version >> 24, 0x70 | 0x71);
        let fixed = if old { 86 } else { 94 };
        let mut body = vec![0; fixed];
        body[4..8].copy_from_slice(&self.version.to_le_bytes());
        body[8..12].copy_from_slice(&self.packet_size.to_le_bytes());
        body[24..28].copy_from_slice(&[
            0xe0,
            3 | u8::from(self.is_demanding) << 7,
            0,
            8 | u8::from(has_features) << 4 | u8::from(self.is_demanding),
        ]);
        body[72..78].copy_from_slice(b"\x02\x42\xac\x11\0\x02");
        let password: Vec<u8> = utf16("noop")
            .iter()
            .map(|byte| byte.rotate_left(4) ^ 0xa5)
            .collect();
        let pointer = if has_features { 4 } else { 0 };
        let mut at_pointer = 0;
        for (place, value) in [
            (36, utf16("host")),
            (40, utf16("noop")),
            (44, password.clone()),
            (48, utf16(&self.program)),
            (52, utf16("127.0.0.1")),
            (56, vec![0; pointer]),
            (60, utf16("lib")),
            (64, utf16("us_english")),
            (68, utf16(&self.database)),
            (82, Vec::new()),
        ] {
            let at = u16::try_from(body.len()).expect("short");
            let unit = if place == 56 { 1 } else { 2 };
            let units = u16::try_from(value.len() / unit).expect("short");
            body[place..place + 2].copy_from_slice(&at.to_le_bytes());
            body[place + 2..place + 4].copy_from_slice(&units.to_le_bytes());
            if place == 56 {
                at_pointer = usize::from(at);
            }
            body.extend(value);
        }
        if self.is_demanding {
            for (place, value) in [(78, vec![1; 40]), (86, password)] {
                let at = u16::try_from(body.len()).expect("short");
                let unit = if place == 78 { 1 } else { 2 };
                let units = u16::try_from(value.len() / unit).expect("short");
                body[place..place + 2].copy_from_slice(&at.to_le_bytes());
                body[place + 2..place + 4].copy_from_slice(&units.to_le_bytes());
                body.extend(value);
            }
        }
        if has_features {
            let at = u32::try_from(body.len()).expect("short");
            body[at_pointer..at_pointer + 4].copy_from_slice(&at.to_le_bytes());
            for (id, data) in &self.features {
                body.push(*id);
                body.extend(u32::try_from(data.len()).expect("short").to_le_bytes());
                body.extend(data);
            }
            body.push(0xff);
        }
        let len = u32::try_from(body.len()).expect("short");
        body[..4].copy_from_slice(&len.to_le_bytes());
        framed(0x10, &body, payload)
    }
}

/// A query.
pub fn batch(text: &str) -> Vec<u8> {
    let headers = [
        22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
    ];
    framed(1, &[&headers[..], &utf16(text)].concat(), 4088)
}

/// The number and the text of the error in the packets of a reply.
pub fn error(reply: &[u8]) -> Option<(u32, String)> {
    let body = reply.get(8..)?;
    if body.first() != Some(&0xaa) {
        return None;
    }
    let number = u32::from_le_bytes(body[3..7].try_into().expect("four bytes"));
    let units = usize::from(u16::from_le_bytes([body[9], body[10]]));
    let units: Vec<u16> = body[11..11 + 2 * units]
        .chunks(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    Some((number, String::from_utf16(&units).expect("UTF-16")))
}

/// Text as it is on the wire.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
