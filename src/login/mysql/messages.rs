//! Bytes <-> messages of the connection phase, bounded; `Ok(None)` means that bytes are missing.

use crate::limits;
use crate::login::{Cause, Refusal};

/// Capability bits that a login must know.
pub mod capability {
    /// Not MariaDB, which has further bits in their stead.
    pub const MYSQL: u32 = 1;
    /// A database is named.
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    /// Responses of 4.1 and later.
    pub const PROTOCOL_41: u32 = 1 << 9;
    /// TLS.
    pub const SSL: u32 = 1 << 11;
    /// A length stands before the proof.
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    /// The plugin is named.
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    /// Attributes of the client follow.
    pub const CONNECT_ATTRS: u32 = 1 << 20;
    /// That length is one of any size.
    pub const LENGTH_ENCODED: u32 = 1 << 21;
    /// What a client must not hear of: TLS and compression would hide its queries from the gateway,
    /// query attributes would stand before them, and further factors are nobody's to give.
    pub const HIDDEN: u32 = 1 << 5 | SSL | 1 << 26 | 1 << 27 | 1 << 28;
}

/// The first packet that `bytes` begin with: its sequence number and its payload.
pub fn packet(bytes: &[u8]) -> Result<Option<(u8, &[u8])>, Refusal> {
    let Some([low, middle, high, sequence]) = bytes.first_chunk() else {
        return Ok(None);
    };
    let len = u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
    if !(1..=limits::LOGIN_SERVER_MESSAGE_BYTES_MAX).contains(&len) {
        return Err(Refusal::protocol(NOT_MYSQL));
    }
    let payload = bytes.get(HEADER_BYTES..HEADER_BYTES + len);
    Ok(payload.map(|payload| (*sequence, payload)))
}

/// Of every packet.
pub const HEADER_BYTES: usize = 4;

/// A packet of these parts. Its memory never moves, so that wiping it leaves no copy.
pub fn framed(sequence: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(HEADER_BYTES + len);
    let word = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&[word[0], word[1], word[2], sequence]);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// What a server's greeting says to us.
pub struct Greeting {
    /// What it can do.
    pub capabilities: u32,
    /// What a proof is for.
    pub scramble: [u8; 20],
    /// Which proof it expects first.
    pub plugin: Vec<u8>,
    /// The same greeting without what the client must not hear of.
    pub masked: Vec<u8>,
}

/// The greeting (HandshakeV10) of this payload.
pub fn greeting(payload: &[u8]) -> Result<Greeting, Refusal> {
    parse_greeting(payload).ok_or_else(|| Refusal::protocol(NOT_MYSQL))
}

fn parse_greeting(payload: &[u8]) -> Option<Greeting> {
    let version_end = payload.iter().position(|byte| *byte == 0)?;
    let at = (payload.first() == Some(&10)).then_some(version_end + 1)?;
    let fixed: &[u8; 31] = payload.get(at..)?.first_chunk()?;
    let [low, high] = [[fixed[13], fixed[14]], [fixed[18], fixed[19]]].map(u16::from_le_bytes);
    let capabilities = u32::from(low) | u32::from(high) << 16;
    let rest = payload.get(at + 31..)?;
    let second = rest.first_chunk::<12>()?;
    let mut scramble = [0; 20];
    scramble[..8].copy_from_slice(&fixed[4..12]);
    scramble[8..].copy_from_slice(second);
    let second_len = usize::from(fixed[20]).saturating_sub(8).max(13);
    let plugin = rest.get(second_len..).unwrap_or_default();
    let mut masked = payload.to_vec();
    let shown = (capabilities & !capability::HIDDEN).to_le_bytes();
    masked[at + 13..at + 15].copy_from_slice(&shown[..2]);
    masked[at + 18..at + 20].copy_from_slice(&shown[2..]);
    Some(Greeting {
        capabilities,
        scramble,
        plugin: Reader(plugin).text().unwrap_or(plugin).to_vec(),
        masked,
    })
}

/// A client's HandshakeResponse41, but for what it says about itself: that is ours to say.
pub struct HandshakeResponse {
    /// What it can do, of what it was told.
    pub capabilities: u32,
    /// Largest packet, charset, and MariaDB's further capabilities, as they came.
    fixed: [u8; 28],
    database: Option<Vec<u8>>,
    /// Its attributes, with their length.
    attributes: Vec<u8>,
    /// It has sent a proof of `caching_sha2_password`, to which a server says more than OK.
    pub expects_more: bool,
}

/// The response of this payload.
pub fn response(payload: &[u8]) -> Result<HandshakeResponse, Refusal> {
    let mut reader = Reader(payload);
    let malformed = || Refusal::protocol("the client's handshake response is malformed");
    let capabilities = reader.take(4).ok_or_else(malformed)?;
    let capabilities = capabilities.iter().rev();
    let capabilities = capabilities.fold(0, |word, byte| word << 8 | u32::from(*byte));
    if capabilities & capability::PROTOCOL_41 == 0 {
        return Err(Refusal::protocol(
            "the client's protocol is older than MySQL 4.1",
        ));
    }
    if capabilities & capability::SSL != 0 {
        return Err(Refusal::new(
            Cause::Unsupported,
            "TLS is not offered on this side: connect with ssl-mode=DISABLED or PREFERRED; the way \
             through hoop is encrypted",
        ));
    }
    parse_response(reader, capabilities).ok_or_else(malformed)
}

fn parse_response(mut reader: Reader<'_>, capabilities: u32) -> Option<HandshakeResponse> {
    let has = |bit: u32| capabilities & bit != 0;
    let fixed = *reader.take(28)?.first_chunk()?;
    reader.text()?;
    let proof = if has(capability::LENGTH_ENCODED) {
        reader.length_encoded()?
    } else if has(capability::SECURE_CONNECTION) {
        let len = *reader.take(1)?.first()?;
        reader.take(usize::from(len))?
    } else {
        reader.text()?
    };
    let database = match has(capability::CONNECT_WITH_DB) {
        true => Some(reader.text()?.to_vec()),
        false => None,
    };
    let mut plugin: &[u8] = b"";
    if has(capability::PLUGIN_AUTH) {
        // Some clients leave out the NUL byte at the very end.
        plugin = reader
            .text()
            .unwrap_or_else(|| std::mem::take(&mut reader.0));
    }
    let mut attributes = Vec::new();
    if has(capability::CONNECT_ATTRS) && !reader.0.is_empty() {
        let before = reader.0;
        reader.length_encoded()?;
        attributes.extend_from_slice(&before[..before.len() - reader.0.len()]);
    }
    Some(HandshakeResponse {
        capabilities,
        fixed,
        database,
        attributes,
        expects_more: plugin == CACHING_SHA2 && proof.len() > 1,
    })
}

/// The plugin whose proof a server answers in two steps.
const CACHING_SHA2: &[u8] = b"caching_sha2_password";

/// Whose response it becomes.
pub struct Identity<'a> {
    /// The stored user.
    pub user: &'a [u8],
    /// For a client that names none, or `noop`.
    pub database: Option<&'a [u8]>,
    /// Under TLS.
    pub is_secure: bool,
    /// The proof and its plugin.
    pub proof: &'a [u8],
    /// See `proof`.
    pub plugin: &'a str,
}

impl HandshakeResponse {
    /// The response for a server of these capabilities.
    pub fn rewritten(&self, server: u32, identity: &Identity<'_>) -> Vec<u8> {
        let database = self.database(identity.database);
        let bits = self.bits(server, database.is_some(), identity.is_secure);
        let word = bits.to_le_bytes();
        // No proof is so long that its length would take more than this byte.
        let proof_len = [u8::try_from(identity.proof.len()).unwrap_or_default()];
        let user = self.encoded(identity.user);
        let mut parts = vec![
            &word[..],
            &self.fixed,
            &user,
            b"\0",
            &proof_len,
            identity.proof,
        ];
        if let Some(database) = database {
            parts.extend([database, b"\0"]);
        }
        if bits & capability::PLUGIN_AUTH != 0 {
            parts.extend([identity.plugin.as_bytes(), b"\0"]);
        }
        parts.push(&self.attributes);
        parts.concat()
    }

    /// What comes before TLS: the beginning of the response, to the bit; MariaDB reads it only once.
    pub fn ssl_request(&self, server: u32, stored_database: Option<&[u8]>) -> Vec<u8> {
        let has_database = self.database(stored_database).is_some();
        let bits = self.bits(server, has_database, true);
        [&bits.to_le_bytes()[..], &self.fixed].concat()
    }

    fn database<'a>(&'a self, stored: Option<&'a [u8]>) -> Option<&'a [u8]> {
        let named = self.database.as_deref();
        let own = named.filter(|name| !name.is_empty() && *name != b"noop");
        own.or(stored).or(named)
    }

    /// What shapes later packets stays the client's.
    fn bits(&self, server: u32, has_database: bool, is_secure: bool) -> u32 {
        use capability as c;
        let when = |condition: bool, bit: u32| if condition { bit } else { 0 };
        let ours = c::HIDDEN | c::CONNECT_WITH_DB | c::CONNECT_ATTRS;
        self.capabilities & !ours
            | c::SECURE_CONNECTION
            | c::PLUGIN_AUTH & server
            | when(has_database, c::CONNECT_WITH_DB)
            | when(!self.attributes.is_empty(), c::CONNECT_ATTRS)
            | when(is_secure, c::SSL)
    }

    /// The server reads the user's name in the charset that the client has chosen.
    fn encoded(&self, user: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(user).ok();
        let is_latin1 = LATIN1.contains(&self.fixed[4]);
        let latin1 = text.filter(|_| is_latin1).and_then(|text| {
            let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok());
            bytes.collect::<Option<Vec<u8>>>()
        });
        latin1.unwrap_or_else(|| user.to_vec())
    }
}

/// Collations of latin1.
const LATIN1: [u8; 8] = [5, 8, 15, 31, 47, 48, 49, 94];

/// What a server answers to a response or a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// The client is in.
    Ok,
    /// It is not, for this reason.
    Error(u16),
    /// Another plugin's proof is wanted.
    Switch(&'a [u8], &'a [u8]),
    /// The plugin's own word.
    More(&'a [u8]),
    /// Something that we don't know.
    Other,
}

/// The verdict of this payload.
pub fn verdict(payload: &[u8]) -> Verdict<'_> {
    match payload {
        [0, ..] => Verdict::Ok,
        [0xff, low, high, ..] => Verdict::Error(u16::from_le_bytes([*low, *high])),
        [1, word @ ..] => Verdict::More(word),
        [0xfe, rest @ ..] => {
            let mut reader = Reader(rest);
            match reader.text() {
                None | Some([]) => Verdict::Other,
                Some(name) => Verdict::Switch(name, reader.0),
            }
        }
        _ => Verdict::Other,
    }
}

/// A whole login of somebody whom no server knows, and the answer to whatever plugin it switches to.
///
/// A server counts a connection that is closed before this as an attack of our host, until it bans it
/// (`max_connect_errors`); one whose user it does not know it does not count.
pub const FAREWELL: &[u8] =
    b"\x43\0\0\x01\0\x82\x08\0\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    client-left\0\0mysql_native_password\0\0\0\0\x03";

/// A refusal as the payload that ends a connection. Before the greeting a client knows no SQLSTATE.
pub fn error(refusal: &Refusal, is_greeted: bool) -> Vec<u8> {
    let (code, state): (u16, &[u8]) = match refusal.cause {
        Cause::Unreachable | Cause::Said => (1105, b"#HY000"),
        Cause::Protocol => (1043, b"#08S01"),
        Cause::Credentials => (1045, b"#28000"),
        Cause::Unsupported => (1251, b"#08004"),
        Cause::Stopping => (1053, b"#08S01"),
        Cause::Full => (1040, b"#08004"),
    };
    let state = if is_greeted { state } else { b"" };
    [
        b"\xff",
        &code.to_le_bytes()[..],
        state,
        refusal.text.as_bytes(),
    ]
    .concat()
}

/// Said of a server that answers in another language.
pub const NOT_MYSQL: &str =
    "the server does not answer as MySQL does: check HOST and PORT of the connection";

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// Up to a NUL byte, which is passed over.
    fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    fn length_encoded(&mut self) -> Option<&'a [u8]> {
        let bytes = match self.take(1)? {
            [small @ 0..=0xfa] => return self.take(usize::from(*small)),
            [0xfc] => 2,
            [0xfd] => 3,
            _ => return None,
        };
        let len = self.take(bytes)?.iter().rev();
        self.take(len.fold(0, |len, byte| len << 8 | usize::from(*byte)))
    }
}
