//! Sessions whose values lie in stores, and what they are promised: they open with the right values or are refused in
//! the words of a fixed table, in time; no value and nothing that signs the agent in comes out at the gateway or in
//! the log; stores are asked for a few sessions at once, and nobody else notices.
//!
//! When a session opens is the agent's business here: the model watches, and says whether that was right. The stores
//! themselves are in `stores/server.rs`, what their descriptors do in `stores/turns.rs`.

mod scenarios;
pub mod server;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use hoop_lite::limits;
use hoop_lite::secrets::Settings;
use hoop_lite::session::{EXIT_INTERNAL, TargetId, is_open};

use self::server::{Kind, Mood, Store};
use crate::content::MARKER;
use crate::dice::Dice;
use crate::model::State;
use crate::owed::Owed;
use crate::packets::Got;
use crate::world::World;

/// Stands in every value, token and key of a store.
pub fn stored() -> String {
    format!("{MARKER}-st0red")
}

/// What a key of a secret is.
pub fn value(kind: Kind, secret: &str, key: &str) -> String {
    format!("{}-{kind:?}-{secret}-{key}", stored())
}

/// A variable that refers to a store.
#[derive(Debug)]
pub struct Reference {
    pub variable: &'static str,
    pub kind: Kind,
    pub secret: String,
    pub key: &'static str,
}

impl Reference {
    pub fn text(&self) -> String {
        let Self { secret, key, .. } = self;
        match self.kind {
            Kind::Vault => format!("_vaultkv2:secret/data/{secret}:{key}"),
            Kind::Aws => format!("_aws:{secret}:{key}"),
        }
    }
}

/// A session that has come, by what it refers to.
#[derive(Debug)]
pub struct Stored {
    pub references: Vec<Reference>,
    /// The agent has been given the last byte of its opening.
    since: Option<Instant>,
    /// Secrets that its store has given whole.
    given: BTreeSet<(Kind, String)>,
    /// Something has gone wrong that may be its trouble.
    has_trouble: bool,
}

/// Every store, and what is known of those who want something of them.
#[derive(Default)]
pub struct Stores {
    pub open: BTreeMap<TargetId, Store>,
    pub sessions: BTreeMap<u32, Stored>,
    /// Links and sessions that were refused here, whose client has not heard why.
    refused: BTreeSet<(u32, u32)>,
    /// All of them are in it.
    pub mood: Option<Mood>,
    /// What Vault has given for the agent's role, and still takes.
    pub token: Option<String>,
    tokens_given: usize,
    pub settled: usize,
}

/// The agent's own variables.
pub fn settings(by_role: bool) -> Settings {
    let stored = stored();
    let mut variables = vec![
        ("VAULT_ADDR", "http://vault.example:8200".to_owned()),
        ("AWS_ENDPOINT_URL", "http://aws.example:4566".to_owned()),
        ("AWS_REGION", "us-west-2".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIASIM".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", format!("{stored}-key")),
    ];
    match by_role {
        true => variables.extend([
            ("VAULT_APP_ROLE_ID", format!("{stored}-role")),
            ("VAULT_APP_ROLE_SECRET_ID", format!("{stored}-secret")),
        ]),
        false => variables.push(("VAULT_TOKEN", format!("{stored}-token"))),
    }
    let owned = |(name, value): (&str, String)| (name.to_owned(), value.into_bytes());
    Settings::new(variables.into_iter().map(owned))
}

impl Stores {
    /// What a new session refers to; its number is in the names, so that a store knows whose question it is.
    pub fn plan(&mut self, dice: &mut Dice, sid: u32) -> Vec<(&'static str, String)> {
        let count = dice.between(1, 3);
        let references: Vec<_> = ["PASS", "TOKEN_A", "TOKEN_B"]
            .into_iter()
            .take(count)
            .map(|variable| Reference {
                variable,
                kind: dice.pick(&[Kind::Vault, Kind::Vault, Kind::Aws]),
                secret: format!("db-{sid}-{}", dice.between(1, 2)),
                key: dice.pick(&["k0", "k1"]),
            })
            .collect();
        let texts = references.iter().map(|it| (it.variable, it.text()));
        let texts = texts.collect();
        let stored = Stored {
            references,
            since: None,
            given: BTreeSet::new(),
            has_trouble: false,
        };
        self.sessions.insert(sid, stored);
        texts
    }

    /// A question has named its session, or something went wrong before one did.
    fn note_trouble(&mut self, sid: Option<u32>) {
        for (known, stored) in &mut self.sessions {
            stored.has_trouble |= sid.is_none_or(|sid| sid == *known);
        }
    }

    fn note_given(&mut self, kind: Kind, sid: u32, secret: &str) {
        if let Some(stored) = self.sessions.get_mut(&sid) {
            stored.given.insert((kind, secret.to_owned()));
        }
    }

    /// The values that a program of this session must find.
    pub fn wanted(&self, sid: u32) -> Vec<(&'static str, String)> {
        let stored = self.sessions.get(&sid);
        let references = stored.map_or(&[][..], |stored| &stored.references);
        references
            .iter()
            .map(|it| (it.variable, value(it.kind, &it.secret, it.key)))
            .collect()
    }

    /// A client has heard of the end of its session; what it reads, where that was refused here.
    pub fn told(&mut self, link: u32, sid: u32, got: &Got) {
        let text = String::from_utf8_lossy(&got.payload);
        // What came before the session was opened has an answer of its own.
        let is_stray = text.contains("connection params not found");
        if is_stray || !self.refused.remove(&(link, sid)) {
            return;
        }
        let frame = "failed decoding environment variables [\"";
        assert!(text.starts_with(frame), "a refusal in other words: {text}");
        let causes = text.strip_prefix(frame).unwrap().strip_suffix("\"]");
        for cause in causes.expect("an end").split("\" \"") {
            let is_known = CAUSES.iter().any(|known| cause.contains(known));
            assert!(is_known, "a cause of no table: {cause}");
        }
    }
}

/// What may be said to a user here.
const CAUSES: [&str; 16] = [
    "can't be reached",
    "did not answer in time",
    "closed the connection in front of its answer",
    "gave an answer that is no HTTP, or too large",
    "the agent fetches the secrets of too many other sessions",
    "the store's answer is not what its kind answers",
    "Vault's answer is not one of KV version 2",
    "Vault answered permission denied (403)",
    "Vault answered with status ",
    "Vault has no such secret",
    "Vault sends the agent elsewhere",
    "Vault refused the agent's AppRole",
    "AWS answered AccessDeniedException (",
    "AWS answered with status ",
    "the secret has no such key",
    "the secret is no JSON object",
];

impl World {
    /// Which of those whose secrets are fetched have come to an end of that, and whether that is right.
    pub fn settle_fetches(&mut self) {
        let fetching: Vec<u32> = self.model.fetching().collect();
        for sid in fetching {
            let stored = self.stores.sessions.get_mut(&sid).expect("it was opened");
            let since = *stored.since.get_or_insert(self.now);
            let is_late = self.now >= since + limits::FETCH_MAX;
            let wanted = stored.references.iter();
            let mut wanted = wanted.map(|it| (it.kind, it.secret.clone()));
            let has_all = wanted.all(|want| stored.given.contains(&want));
            match is_open(self.agent.sessions(), &format!("user-{sid}")) {
                Some(false) => {
                    assert!(!has_all, "sid {sid} has all and waits: {stored:?}");
                    continue;
                }
                Some(true) => {
                    assert!(has_all, "sid {sid} opens without its values: {stored:?}");
                    self.model.fetched(sid);
                }
                None => {
                    assert!(
                        is_late || stored.has_trouble,
                        "sid {sid} is refused without a reason: {stored:?}"
                    );
                    self.stores.refused.insert((self.model.owing.link(), sid));
                    self.model.close(self.now, sid, EXIT_INTERNAL);
                }
            }
            self.stores.settled += 1;
        }
    }

    /// What must hold of stores after every step.
    pub fn check_stores(&self, is_asked_in_time: bool) {
        let open = &self.stores.open;
        let mut conversations = BTreeSet::new();
        let mut whose = BTreeSet::new();
        for store in open.values() {
            if let Some(sid) = store.sid.filter(|_| store.is_open) {
                whose.insert(sid);
                assert!(
                    conversations.insert((sid, store.kind)),
                    "sid {sid} asks {:?} twice at once",
                    store.kind
                );
            }
            assert!(store.given <= GIVEN_MAX, "an answer has no end");
        }
        assert!(
            whose.len() <= limits::FETCH_COUNT_MAX && open.len() <= 2 * limits::FETCH_COUNT_MAX,
            "{} connections to stores for {} sessions",
            open.len(),
            whose.len()
        );
        if is_asked_in_time {
            for sid in self.model.fetching() {
                let since = self.stores.sessions[&sid].since.expect("it was settled");
                assert!(
                    self.now < since + limits::FETCH_MAX,
                    "sid {sid} waits for its secrets for too long"
                );
            }
        }
    }

    /// Nothing of a store comes out at the gateway.
    pub fn search_for_secrets(&self, got: &Got) {
        let stored = stored();
        let is_in = |bytes: &[u8]| {
            let mut places = bytes.windows(stored.len());
            places.any(|place| place == stored.as_bytes())
        };
        let is_clean = !is_in(&got.payload) && !got.spec.values().any(|value| is_in(value));
        assert!(is_clean, "{} holds a secret", got.kind);
    }
}

impl crate::model::Model {
    /// Sessions whose secrets are fetched.
    pub fn fetching(&self) -> impl Iterator<Item = u32> {
        let fetching = self.sessions.iter();
        fetching
            .filter(|(_, session)| matches!(session.state, State::Fetching))
            .map(|(sid, _)| *sid)
    }

    /// One of them has its values.
    fn fetched(&mut self, sid: u32) {
        let session = self.sessions.get_mut(&sid).expect("a session");
        session.state = State::Command(None);
        self.owing.owe(sid, Owed::OpenOk);
    }
}

/// An answer's head and body at their largest, what is read at once, and what stood before them on the connection.
const GIVEN_MAX: usize =
    limits::STORE_HEAD_BYTES_MAX + limits::STORE_BODY_BYTES_MAX + 2 * limits::LOGIN_READ_BYTES;
