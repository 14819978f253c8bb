//! A driver's connection: hello, perhaps a login with it, then commands.

use super::scram::{self, Hash};
use super::{Document, Value, parse, request, word};

/// In which form a hello is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `OP_QUERY` and `OP_REPLY`.
    Query,
    /// `OP_MSG`.
    Message,
}

#[derive(Debug)]
enum Phase {
    Hello,
    First,
    Last { verdict: String },
    Empty,
    Open,
}

/// One connection of the pool; the user is `noop`.
#[derive(Debug)]
pub struct Driver {
    hash: Hash,
    form: Form,
    /// What it calls itself to the server.
    pub name: String,
    /// It only watches, and never logs in.
    pub is_monitor: bool,
    /// Begins to log in with its hello.
    pub is_speculative: bool,
    /// Asks to end in one message less.
    pub skips_empty: bool,
    /// What it believes the password to be.
    pub password: String,
    phase: Phase,
    input: Vec<u8>,
    last_id: u32,
    /// The answer to its hello.
    pub hello: Document,
    /// What has failed.
    pub error: Option<(i64, String)>,
    /// Answers to commands.
    pub answers: Vec<Document>,
    is_in: bool,
}

const NONCE: &str = "drivers own nonce";

impl Driver {
    /// Logs in by `hash`, and says hello in `form`.
    pub fn new(hash: Hash, form: Form) -> Self {
        Self {
            hash,
            form,
            name: "scripted".to_owned(),
            is_monitor: false,
            is_speculative: false,
            skips_empty: true,
            password: "noop".to_owned(),
            phase: Phase::Open,
            input: Vec::new(),
            last_id: 100,
            hello: Document::new(),
            error: None,
            answers: Vec::new(),
            is_in: false,
        }
    }

    /// It is logged in.
    pub fn is_in(&self) -> bool {
        self.is_in
    }

    /// Nothing of its login is left to be said.
    pub fn has_said_all(&self) -> bool {
        match self.phase {
            Phase::Last { .. } => self.skips_empty,
            Phase::Empty => true,
            Phase::Hello | Phase::First | Phase::Open => self.is_in,
        }
    }

    /// Its first message.
    pub fn open(&mut self) -> Vec<u8> {
        self.phase = Phase::Hello;
        let client = Document::new().with("driver", Document::new().with("name", &self.name[..]));
        let mut hello = Document::new()
            .with("ismaster", 1)
            .with("helloOk", true)
            .with("client", client)
            .with("compression", vec![Value::from("zlib")])
            .with("saslSupportedMechs", "admin.noop");
        if self.is_speculative {
            hello = hello.with("speculativeAuthenticate", self.start().with("db", "admin"));
        }
        if self.form == Form::Message {
            hello = hello.with("$db", "admin");
        }
        self.ask(self.form, &hello)
    }

    /// What a monitor says again and again.
    pub fn heartbeat(&mut self) -> Vec<u8> {
        let version = Document::new().with("counter", 6_i64);
        let hello = Document::new()
            .with("hello", 1)
            .with("topologyVersion", version)
            .with("maxAwaitTimeMS", 10_000_i64)
            .with("$db", "admin");
        self.ask(Form::Message, &hello)
    }

    /// A command.
    pub fn command(&mut self, name: &str, value: impl Into<Value>) -> Vec<u8> {
        let command = Document::new().with(name, value).with("$db", "shop");
        self.ask(Form::Message, &command)
    }

    fn ask(&mut self, form: Form, document: &Document) -> Vec<u8> {
        self.last_id += 1;
        request(form, self.last_id, document)
    }

    fn bare() -> String {
        format!("n=noop,r={NONCE}")
    }

    fn start(&self) -> Document {
        let payload = format!("n,,{}", Self::bare());
        let options = Document::new().with("skipEmptyExchange", self.skips_empty);
        Document::new()
            .with("saslStart", 1)
            .with("mechanism", self.hash.mechanism())
            .with("payload", payload.as_bytes())
            .with("options", options)
    }

    /// What it says to the answers that have come.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.input.extend_from_slice(bytes);
        let mut out = Vec::new();
        while self.input.len() >= 4 && self.input.len() >= word(&self.input, 0) as usize {
            let len = word(&self.input, 0) as usize;
            let most = usize::try_from(self.hello.number("maxMessageSizeBytes")).expect("a size");
            assert!(most == 0 || len <= most, "{len} bytes are no answer");
            let message: Vec<u8> = self.input.drain(..len).collect();
            let (_, document) = parse(&message);
            assert_eq!(
                word(&message, 8),
                self.last_id,
                "an answer to another question"
            );
            if document.number("ok") != 1 {
                let text = document.text("errmsg").to_owned();
                self.error = Some((document.number("code"), text));
                continue;
            }
            out.extend(self.hear(document));
        }
        out
    }

    fn hear(&mut self, document: Document) -> Vec<u8> {
        match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Hello => {
                self.hello = document;
                if self.is_monitor {
                    return Vec::new();
                }
                let begun = self.hello.document("speculativeAuthenticate");
                match begun.0.is_empty() {
                    false => self.prove(&begun),
                    true => {
                        self.phase = Phase::First;
                        let start = self.start().with("$db", "admin");
                        self.ask(Form::Message, &start)
                    }
                }
            }
            Phase::First => self.prove(&document),
            Phase::Last { verdict } => {
                assert_eq!(document.binary("payload"), verdict.as_bytes());
                self.is_in = document.number("done") == 1;
                if self.is_in {
                    return Vec::new();
                }
                self.phase = Phase::Empty;
                self.go_on(b"")
            }
            Phase::Empty => {
                assert_eq!(document.number("done"), 1);
                self.is_in = true;
                Vec::new()
            }
            Phase::Open => {
                self.answers.push(document);
                Vec::new()
            }
        }
    }

    fn prove(&mut self, answer: &Document) -> Vec<u8> {
        let first = String::from_utf8(answer.binary("payload").to_vec()).expect("text");
        assert!(scram::field(&first, "r=").starts_with(NONCE));
        let who = ["noop", &self.password[..]];
        let (last, verdict) = scram::client_last(self.hash, who, &Self::bare(), &first);
        self.phase = Phase::Last { verdict };
        self.go_on(last.as_bytes())
    }

    fn go_on(&mut self, payload: &[u8]) -> Vec<u8> {
        let command = Document::new()
            .with("saslContinue", 1)
            .with("conversationId", 1)
            .with("payload", payload)
            .with("$db", "admin");
        self.ask(Form::Message, &command)
    }
}
