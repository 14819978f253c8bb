//! A MongoDB server and a driver, in memory: messages in, messages out. Their own encoder, as in
//! [`crate::postgres`].

pub mod bson;
mod driver;
mod scram;

pub use bson::{Document, Value};
pub use driver::{Driver, Form};
pub use scram::Hash;

use crate::session::base64;

/// What a server is in its set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Knows, perhaps, who does.
    Secondary(Option<String>),
    /// There is no set.
    Alone,
    /// A router of a sharded cluster.
    Router,
}

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// What it is.
    pub role: Role,
    /// Mechanisms of the user; the server tells them if it is asked.
    pub mechanisms: Vec<Hash>,
    /// The password of the user `app`.
    pub password: String,
    /// It speaks TLS from the first byte on.
    pub has_tls: bool,
    /// It ends a conversation in one message less, if it is asked.
    pub skips_empty: bool,
    /// It answers no hello.
    pub is_mute: bool,
    /// It closes when it hears so many messages.
    pub dies_at: usize,
    /// So many messages of a connection are answered, and no more.
    pub falls_silent_after: Option<usize>,
    /// Rounds of its keys.
    pub rounds: u32,
}

impl Conduct {
    /// A server of this role with both mechanisms.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            mechanisms: vec![Hash::Sha1, Hash::Sha256],
            password: "s3cret".to_owned(),
            has_tls: false,
            skips_empty: true,
            is_mute: false,
            dies_at: usize::MAX,
            falls_silent_after: None,
            rounds: 4096,
        }
    }
}

/// What it heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Commands before the login, in their order.
    pub asked: Vec<Document>,
    /// How the user has logged in.
    pub mechanism: Option<String>,
    /// The database that keeps the user.
    pub source: String,
    /// Commands after it.
    pub commands: Vec<Document>,
    /// A certificate was shown.
    pub has_certificate: bool,
    /// Messages so far.
    pub message_count: usize,
}

/// One connection.
pub struct Server {
    conduct: Conduct,
    input: Vec<u8>,
    has_metadata: bool,
    is_in: bool,
    is_over: bool,
    conversation: Option<Conversation>,
    has_begun_tls: bool,
    /// What it heard so far.
    pub heard: Heard,
}

struct Conversation {
    hash: Hash,
    bare: String,
    first: String,
    skips_empty: bool,
    is_proven: bool,
}

/// The name of the set.
pub const SET: &str = "rs0";

const REPLY: i32 = 1;
const QUERY: i32 = 2004;
const MESSAGE: i32 = 2013;

impl Server {
    /// A connection was accepted.
    pub fn new(conduct: Conduct) -> Self {
        Self {
            conduct,
            input: Vec::new(),
            has_metadata: false,
            is_in: false,
            is_over: false,
            conversation: None,
            has_begun_tls: false,
            heard: Heard::default(),
        }
    }

    /// It has closed its side.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// TLS comes before anything else.
    pub fn begins_with_tls(&self) -> bool {
        self.conduct.has_tls && !self.has_begun_tls
    }

    /// TLS is to begin now.
    pub fn wants_tls(&mut self) -> bool {
        self.conduct.has_tls && !std::mem::replace(&mut self.has_begun_tls, true)
    }

    /// What it answers to `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.input.extend_from_slice(bytes);
        let mut out = Vec::new();
        while !self.is_over && self.input.len() >= 4 {
            let len = word(&self.input, 0) as usize;
            assert!((16..1 << 25).contains(&len), "{len} bytes are no message");
            if self.input.len() < len {
                break;
            }
            let message: Vec<u8> = self.input.drain(..len).collect();
            self.heard.message_count += 1;
            if self.heard.message_count >= self.conduct.dies_at {
                self.is_over = true;
                break;
            }
            let limit = self.conduct.falls_silent_after.unwrap_or(usize::MAX);
            if self.heard.message_count > limit {
                continue;
            }
            out.extend(self.hear(&message));
        }
        out
    }

    fn hear(&mut self, message: &[u8]) -> Vec<u8> {
        // What the agent says itself is in the newer form; a client's own words are as they are.
        let (form, command) = parse(message);
        assert!(
            self.is_in || form == Form::Message,
            "an old form before the login"
        );
        let id = word(message, 4);
        if self.is_in && command.command() != "saslContinue" {
            self.heard.commands.push(command.clone());
        } else {
            assert!(!command.has("compression"), "compression is offered");
            self.heard.asked.push(command.clone());
        }
        match self.answer(&command) {
            Some(answer) => reply(form, id, &answer),
            None => Vec::new(),
        }
    }

    fn answer(&mut self, command: &Document) -> Option<Document> {
        Some(match command.command() {
            "hello" | "isMaster" | "ismaster" => {
                if self.conduct.is_mute {
                    return None;
                }
                if command.has("client") && std::mem::replace(&mut self.has_metadata, true) {
                    return Some(error(
                        186,
                        "The client metadata document may only be sent once",
                    ));
                }
                self.hello(command)
            }
            "saslStart" => self.start(command),
            "saslContinue" => self.go_on(command),
            "authenticate" if command.text("mechanism") == "MONGODB-X509" => {
                if !self.heard.has_certificate {
                    return Some(error(
                        18,
                        "There is no x.509 client certificate matching the user.",
                    ));
                }
                self.let_in("MONGODB-X509", command)
            }
            "ping" | "buildInfo" => ok(),
            _ if !self.is_in => error(13, "Command requires authentication"),
            "echo" => ok().with("echo", command.text("echo")),
            "big" => {
                let size = usize::try_from(command.number("big")).expect("a size");
                ok().with("data", vec![7; size])
            }
            _ => ok(),
        })
    }

    fn hello(&self, command: &Document) -> Document {
        let is_primary = !matches!(self.conduct.role, Role::Secondary(_));
        let mut hello = Document::new()
            .with("isWritablePrimary", is_primary)
            .with("ismaster", is_primary);
        if matches!(self.conduct.role, Role::Primary | Role::Secondary(_)) {
            let hosts: Vec<Value> = ["inner-1:27017", "inner-2:27017"].map(Value::from).into();
            hello = hello
                .with("topologyVersion", Document::new().with("counter", 6_i64))
                .with("hosts", hosts)
                .with("setName", SET)
                .with("setVersion", 1)
                .with("secondary", !is_primary)
                .with("me", "inner-1:27017");
        }
        match &self.conduct.role {
            Role::Primary => hello = hello.with("primary", "inner-1:27017"),
            Role::Secondary(Some(primary)) => hello = hello.with("primary", &primary[..]),
            Role::Router => hello = hello.with("msg", "isdbgrid"),
            Role::Secondary(None) | Role::Alone => {}
        }
        if command.has("saslSupportedMechs") {
            assert!(command.text("saslSupportedMechs").ends_with(".app"));
            let names = self.conduct.mechanisms.iter();
            let names: Vec<Value> = names.map(|hash| Value::from(hash.mechanism())).collect();
            hello = hello.with("saslSupportedMechs", names);
        }
        hello
            .with("maxBsonObjectSize", 16_777_216)
            .with("maxMessageSizeBytes", 48_000_000)
            .with("maxWriteBatchSize", 100_000)
            .with("minWireVersion", 0)
            .with("maxWireVersion", 21)
            .with("compression", vec![Value::from("zstd")])
            .with("ok", 1.0)
    }

    fn start(&mut self, command: &Document) -> Document {
        let hash = Hash::named(command.text("mechanism"));
        let hash = hash.filter(|hash| self.conduct.mechanisms.contains(hash));
        let Some(hash) = hash else {
            return error(334, "mechanism not enabled");
        };
        let payload = String::from_utf8(command.binary("payload").to_vec()).expect("text");
        let bare = payload
            .strip_prefix("n,,")
            .expect("no channel binding")
            .to_owned();
        assert_eq!(scram::field(&bare, "n="), "app");
        let nonce = scram::field(&bare, "r=");
        let first = format!(
            "r={nonce}SERVER,s={},i={}",
            base64(b"some salt"),
            self.conduct.rounds
        );
        self.heard.source = command.text("$db").to_owned();
        let reply = step(&first, false);
        self.conversation = Some(Conversation {
            hash,
            bare,
            first,
            skips_empty: self.conduct.skips_empty
                && command.document("options").number("skipEmptyExchange") != 0,
            is_proven: false,
        });
        reply
    }

    fn go_on(&mut self, command: &Document) -> Document {
        assert_eq!(command.get("conversationId"), Some(&Value::Int(17)));
        let Some(mut conversation) = self.conversation.take() else {
            return error(17, "no conversation");
        };
        let mechanism = conversation.hash.mechanism();
        let last = String::from_utf8(command.binary("payload").to_vec()).expect("text");
        if conversation.is_proven {
            assert_eq!(last, "");
            self.let_in(mechanism, command);
            return step("", true);
        }
        let Conversation {
            hash, bare, first, ..
        } = &conversation;
        let who = ["app", &self.conduct.password[..]];
        match scram::server_last(*hash, who, bare, first, &last) {
            None => error(18, "Authentication failed."),
            Some(verdict) if conversation.skips_empty => {
                self.let_in(mechanism, command);
                step(&verdict, true)
            }
            Some(verdict) => {
                conversation.is_proven = true;
                self.conversation = Some(conversation);
                step(&verdict, false)
            }
        }
    }

    fn let_in(&mut self, mechanism: &str, command: &Document) -> Document {
        self.is_in = true;
        self.heard.mechanism = Some(mechanism.to_owned());
        self.heard.source = command.text("$db").to_owned();
        ok()
    }
}

fn step(payload: &str, is_done: bool) -> Document {
    Document::new()
        .with("conversationId", 17)
        .with("done", is_done)
        .with("payload", payload.as_bytes())
        .with("ok", 1.0)
}

fn ok() -> Document {
    Document::new().with("ok", 1.0)
}

fn error(code: i32, text: &str) -> Document {
    Document::new()
        .with("ok", 0.0)
        .with("errmsg", text)
        .with("code", code)
}

/// A message's form and document.
pub fn parse(message: &[u8]) -> (Form, Document) {
    match i32::try_from(word(message, 12)) {
        Ok(MESSAGE) => {
            assert_eq!(message[20], 0, "a body comes first");
            (Form::Message, Document::decode(&message[21..]).0)
        }
        Ok(QUERY) => {
            let end = message[20..]
                .iter()
                .position(|byte| *byte == 0)
                .expect("a name");
            (Form::Query, Document::decode(&message[20 + end + 9..]).0)
        }
        Ok(REPLY) => (Form::Query, Document::decode(&message[36..]).0),
        other => panic!("code {other:?} is not scripted"),
    }
}

/// A request in this form.
pub fn request(form: Form, id: u32, document: &Document) -> Vec<u8> {
    match form {
        Form::Message => framed(id, 0, MESSAGE, &[&[0; 5], &document.encode()]),
        Form::Query => {
            let fixed = b"\x04\0\0\0admin.$cmd\0\0\0\0\0\xff\xff\xff\xff";
            framed(id, 0, QUERY, &[fixed, &document.encode()])
        }
    }
}

fn reply(form: Form, answers: u32, document: &Document) -> Vec<u8> {
    match form {
        Form::Message => framed(99, answers, MESSAGE, &[&[0; 5], &document.encode()]),
        Form::Query => {
            let fixed = b"\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0";
            framed(99, answers, REPLY, &[fixed, &document.encode()])
        }
    }
}

fn framed(id: u32, answers: u32, code: i32, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = u32::try_from(16 + body.len()).expect("a small message");
    let code = u32::try_from(code).expect("a code");
    let header = [len, id, answers, code].map(u32::to_le_bytes);
    [header.concat(), body].concat()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
