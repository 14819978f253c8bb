//! Whole logins against simulated servers, in pieces of every size, ended at every byte.

use std::cell::RefCell;
use std::collections::BTreeMap;

use loopback_gateway::mongo::{
    Conduct, Document, Driver, Form, Hash, Role, Server, Value, request,
};

use super::{Found, MongoAccount, Nonces};
use crate::base::{Address, ByteBuf, Service, Verify};
use crate::login::{Cause, Exchange, Keys, Login, Refusal, Step, TlsForm, TlsWish, Waits};

mod field;
mod uri;

const PASSWORD: &[u8] = b"s3cret";
const STRING: &str = "mongodb://app:s3cret@a/";

thread_local! {
    /// Of all logins of a test, as of the agent: each key is derived but once.
    static KEYS: RefCell<Keys> = RefCell::new(Keys::new());
}

#[derive(Debug)]
enum End {
    Passed,
    Refused(Refusal),
    Ended,
}

struct World {
    login: Option<Login>,
    end: Option<End>,
    /// By host; others can't be reached.
    conducts: BTreeMap<&'static str, Conduct>,
    server: Option<Server>,
    under_way: Vec<u8>,
    driver: Driver,
    from_client: ByteBuf,
    from_server: ByteBuf,
    packets: Vec<Vec<u8>>,
    /// Packets that the driver has.
    delivered: usize,
    wishes: Vec<TlsWish>,
    dialled: Vec<String>,
    service: Option<Service>,
    is_trusted: bool,
    found: Found,
}

impl World {
    fn new(string: &str, hosts: &[(&'static str, Conduct)], driver: Driver) -> Self {
        let account = MongoAccount::parse(string).unwrap_or_else(|error| panic!("{error}"));
        let found = Found::default();
        let nonces = Nonces {
            server: [1; 18],
            client: [2; 18],
        };
        Self {
            login: Some(Login::mongo(account, nonces, found.clone())),
            end: None,
            conducts: hosts.iter().cloned().collect(),
            server: None,
            under_way: Vec::new(),
            driver,
            from_client: ByteBuf::new(),
            from_server: ByteBuf::new(),
            packets: Vec::new(),
            delivered: 0,
            wishes: Vec::new(),
            dialled: Vec::new(),
            service: None,
            is_trusted: true,
            found,
        }
    }

    fn of(conduct: Conduct, driver: Driver) -> Self {
        Self::new(STRING, &[("a", conduct)], driver)
    }

    fn with(&mut self, call: &dyn Fn(Login, &mut Exchange<'_>) -> Step<Login>) {
        let Some(login) = self.login.take() else {
            return;
        };
        let mut sent = Vec::new();
        let step = KEYS.with_borrow_mut(|keys| {
            let mut exchange = Exchange {
                from_client: &mut self.from_client,
                from_server: &mut self.from_server,
                to_client: &mut self.packets,
                to_server: &mut sent,
                keys,
            };
            call(login, &mut exchange)
        });
        if let Some(server) = &mut self.server {
            self.under_way.extend(server.receive(&sent));
        }
        self.follow(step);
    }

    fn follow(&mut self, step: Step<Login>) {
        match step {
            Step::Wait(login) => self.login = Some(login),
            Step::Dial(login, address) => {
                self.login = Some(login);
                self.dial(address.expect("a place of its own"));
            }
            Step::LookUp(login, _) => {
                self.login = Some(login);
                let service = self.service.clone().expect("a name server");
                self.with(&|login, exchange| login.told(&service, exchange));
            }
            Step::StartTls(login, wish) => {
                assert!(self.from_server.is_empty());
                self.login = Some(login);
                self.wishes.push(wish);
                match self.is_trusted {
                    true => self.with(&Login::tls_started),
                    false => {
                        self.with(&|login, exchange| login.tls_failed("not trusted", exchange))
                    }
                }
            }
            Step::Passed(_) => self.end = Some(End::Passed),
            Step::Refused(refusal) => self.end = Some(End::Refused(refusal)),
            Step::Ended => self.end = Some(End::Ended),
            Step::Errand(_) | Step::EndTls(_) => panic!("not in this dialect"),
        }
    }

    fn dial(&mut self, Address { host, port }: Address) {
        self.dialled.push(host.clone());
        assert!([27017, 27018].contains(&port), "{port}");
        (self.server, self.under_way) = (None, Vec::new());
        match self.conducts.get(&host[..]) {
            Some(conduct) => {
                self.server = Some(Server::new(conduct.clone()));
                self.with(&Login::step);
            }
            None => self.lose(),
        }
    }

    /// The host can't be reached, or says nothing.
    fn lose(&mut self) {
        let refusal = Refusal::new(Cause::Unreachable, "it can't be reached");
        self.with(&|login, exchange| login.try_elsewhere(&refusal, exchange));
    }

    /// Delivers what either side has to say, in pieces of this size, as long as there is something; `most` bytes
    /// of the server's at most.
    fn run(&mut self, piece: usize, most: usize) -> usize {
        let mut of_server = 0;
        loop {
            while self
                .login
                .as_ref()
                .is_some_and(|it| it.waits_for() == Waits::Turn)
            {
                KEYS.with_borrow_mut(Keys::work);
                self.with(&Login::step);
            }
            let words: Vec<u8> = self.packets[self.delivered..].concat();
            self.delivered = self.packets.len();
            let answer = self.driver.receive(&words);
            if !answer.is_empty() {
                self.say(&answer, piece);
                continue;
            }
            let len = piece.min(self.under_way.len()).min(most - of_server);
            if len == 0 || self.login.is_none() {
                return of_server;
            }
            of_server += len;
            let bytes: Vec<u8> = self.under_way.drain(..len).collect();
            self.from_server.extend(&bytes);
            self.with(&Login::step);
            if self.server.as_ref().is_some_and(Server::is_over) && self.under_way.is_empty() {
                self.with(&Login::server_ended);
            }
        }
    }

    fn say(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            self.from_client.extend(piece);
            self.with(&Login::step);
        }
        if self.server.as_ref().is_some_and(Server::is_over) && self.under_way.is_empty() {
            self.with(&Login::server_ended);
        }
    }

    fn begin(&mut self, piece: usize) {
        self.with(&Login::step);
        let hello = self.driver.open();
        self.say(&hello, piece);
    }

    fn log_in(mut self, piece: usize) -> Self {
        self.begin(piece);
        self.run(piece, usize::MAX);
        let all = self.packets.concat();
        assert!(!all.windows(PASSWORD.len()).any(|window| window == PASSWORD));
        self
    }

    fn is_in(&self) -> bool {
        matches!(self.end, Some(End::Passed)) && self.driver.is_in()
    }

    fn refusal(&self) -> &Refusal {
        match &self.end {
            Some(End::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn heard(&self) -> &loopback_gateway::mongo::Heard {
        &self.server.as_ref().expect("a server").heard
    }
}

fn wish(verify: Verify) -> TlsWish {
    let form = TlsForm::Bare;
    TlsWish { verify, form }
}

fn primary() -> Conduct {
    Conduct::new(Role::Primary)
}

fn driver() -> Driver {
    Driver::new(Hash::Sha256, Form::Message)
}

fn speculative() -> Driver {
    let mut driver = driver();
    driver.is_speculative = true;
    driver
}

fn monitor() -> Driver {
    let mut driver = driver();
    driver.is_monitor = true;
    driver
}

#[test]
fn every_form_and_mechanism_of_both_sides_lets_the_client_in() {
    for client in [Hash::Sha1, Hash::Sha256] {
        for form in [Form::Query, Form::Message] {
            for (bits, server) in
                (0..4).flat_map(|bits| [Hash::Sha1, Hash::Sha256].map(|hash| (bits, hash)))
            {
                let mut driver = Driver::new(client, form);
                driver.is_speculative = bits & 1 != 0;
                driver.skips_empty = bits & 2 != 0;
                let mut conduct = primary();
                conduct.mechanisms = vec![server];
                conduct.skips_empty = bits & 1 == 0;
                let world = World::of(conduct, driver).log_in(usize::MAX);
                assert!(
                    world.is_in(),
                    "{client:?} {form:?} {bits} {server:?}: {:?}",
                    world.end
                );
                let heard = world.heard();
                assert_eq!(heard.mechanism.as_deref(), Some(server.mechanism()));
                assert_eq!(heard.source, "admin");
            }
        }
    }
}

#[test]
fn pieces_of_every_size_come_to_the_same() {
    for make in [driver as fn() -> Driver, speculative] {
        let whole = World::of(primary(), make()).log_in(usize::MAX);
        for piece in 1..70 {
            let world = World::of(primary(), make()).log_in(piece);
            assert!(world.is_in(), "{piece}");
            assert_eq!(world.packets, whole.packets, "{piece}");
            assert_eq!(world.heard(), whole.heard(), "{piece}");
        }
    }
}

#[test]
fn a_server_that_leaves_at_any_byte_is_told_to_whoever_waits() {
    let whole = World::of(primary(), speculative()).log_in(usize::MAX);
    assert!(whole.is_in());
    for most in 0..1200 {
        let mut world = World::of(primary(), speculative());
        world.begin(usize::MAX);
        world.run(1, most);
        if world.end.is_some() {
            assert!(most > 300);
            return;
        }
        world.with(&Login::server_ended);
        world.run(1, 0);
        match &world.end {
            Some(End::Refused(refusal)) => {
                assert_eq!(refusal.cause, Cause::Unreachable);
                let (code, text) = world.driver.error.clone().expect("an error");
                assert_eq!((code, &text[..]), (6, &refusal.text[..]));
            }
            other => panic!("{most}: {other:?}"),
        }
    }
    panic!("a login has fewer bytes");
}

#[test]
fn every_state_refuses_in_the_dialect_whoever_has_asked() {
    for most in 0..600 {
        let mut world = World::of(primary(), driver());
        world.begin(7);
        world.run(5, most);
        let Some(login) = &world.login else {
            return;
        };
        let refusal = Refusal::new(Cause::Stopping, "the agent is shutting down: connect again");
        let is_idle = login.waits_for() == Waits::Idle;
        login.refuse(&refusal, &mut world.packets);
        world.login = None;
        world.run(7, 0);
        match world.driver.error {
            Some((code, text)) => assert!(code == 91 && text.contains("connect again")),
            None => assert!(is_idle, "{most}"),
        }
    }
}

#[test]
fn a_client_that_has_said_nothing_is_told_with_its_first_message() {
    let mut world = World::of(primary(), driver());
    let refusal = Refusal::new(Cause::Stopping, "later");
    assert!(world.login.as_mut().unwrap().refuse_later(&refusal));
    world.begin(3);
    world.run(3, 0);
    assert_eq!(world.driver.error, Some((91, "later".to_owned())));
    assert!(world.dialled.is_empty() && world.refusal() == &refusal);
}

#[test]
fn a_monitor_asks_for_ever_and_never_waits_with_a_deadline() {
    let mut world = World::of(primary(), monitor()).log_in(usize::MAX);
    for beat in 0..100 {
        assert_eq!(world.login.as_ref().unwrap().waits_for(), Waits::Idle);
        let hello = world.driver.heartbeat();
        world.say(&hello, 50);
        world.run(50, usize::MAX);
        assert_eq!(world.driver.answers.len(), beat + 1);
    }
    let asked = &world.heard().asked;
    assert_eq!(asked.len(), 101);
    assert!(asked[0].has("client") && asked[0].text("saslSupportedMechs") == "admin.app");
    let is_plain = |command: &Document| {
        let gone = [
            "client",
            "topologyVersion",
            "maxAwaitTimeMS",
            "saslSupportedMechs",
        ];
        !gone.iter().any(|name| command.has(name)) && command.text("$db") == "admin"
    };
    assert!(asked[1..].iter().all(is_plain), "{:?}", asked[1]);
    world.with(&Login::server_ended);
    assert!(matches!(world.end, Some(End::Ended)));
}

#[test]
fn a_half_message_has_a_deadline() {
    let mut world = World::of(primary(), monitor()).log_in(usize::MAX);
    let hello = world.driver.heartbeat();
    let (first, rest) = hello.split_at(9);
    world.say(first, 9);
    assert_eq!(world.login.as_ref().unwrap().waits_for(), Waits::Client);
    world.say(rest, 900);
    world.run(900, usize::MAX);
    assert_eq!(world.login.as_ref().unwrap().waits_for(), Waits::Idle);
}

#[test]
fn the_client_sees_one_server_that_does_not_compress_and_is_told_of_sizes_that_a_full_batch_fits() {
    for role in [Role::Primary, Role::Alone, Role::Router] {
        let world = World::of(Conduct::new(role.clone()), speculative()).log_in(usize::MAX);
        assert!(world.is_in());
        let hello = &world.driver.hello;
        for gone in [
            "hosts",
            "me",
            "setName",
            "setVersion",
            "primary",
            "topologyVersion",
            "compression",
        ] {
            assert!(!hello.has(gone), "{role:?} {gone}");
        }
        // A full batch of a server, and what it puts around it.
        let answer = (16 << 20) + 300;
        let size = hello.number("maxMessageSizeBytes");
        assert!((answer..(16 << 20) + 600).contains(&size), "{size}");
        // Small documents must not fill a message by their bytes.
        assert_eq!(hello.number("maxWriteBatchSize"), 1000);
        assert_eq!(hello.number("maxBsonObjectSize"), 16 << 20);
        assert_eq!(hello.number("maxWireVersion"), 21);
        assert_eq!(
            hello.text("msg"),
            if role == Role::Router { "isdbgrid" } else { "" }
        );
        let both = vec![Value::from("SCRAM-SHA-1"), Value::from("SCRAM-SHA-256")];
        assert_eq!(hello.get("saslSupportedMechs"), Some(&Value::Array(both)));
    }
}

#[test]
fn commands_before_the_login_are_refused_and_a_ping_is_not() {
    let mut world = World::of(primary(), monitor()).log_in(usize::MAX);
    for (command, code) in [
        ("ping", None),
        ("buildInfo", None),
        ("find", Some(13)),
        ("logout", Some(13)),
    ] {
        world.driver.error = None;
        let message = world.driver.command(command, 1);
        world.say(&message, usize::MAX);
        world.run(usize::MAX, usize::MAX);
        let got = world.driver.error.as_ref().map(|(code, _)| *code);
        assert_eq!(got, code, "{command}");
    }
    let (_, text) = world.driver.error.unwrap();
    assert!(
        text.starts_with("command requires authentication") && text.contains("noop"),
        "{text}"
    );
}

#[test]
fn a_client_with_another_password_is_told_which_one_it_is() {
    let mut other = driver();
    other.password = "mine".to_owned();
    let world = World::of(primary(), other).log_in(usize::MAX);
    let (code, text) = world.driver.error.clone().unwrap();
    assert!(
        code == 18 && text.starts_with("Authentication failed") && text.contains("noop"),
        "{text}"
    );
    assert_eq!(world.heard().asked.len(), 1, "the server was not bothered");
}

#[test]
fn a_wrong_stored_password_is_the_servers_refusal_with_what_to_do() {
    let mut conduct = primary();
    conduct.password = "another".to_owned();
    let world = World::of(conduct, speculative()).log_in(usize::MAX);
    let (code, text) = world.driver.error.clone().unwrap();
    assert_eq!(code, 18);
    assert!(
        text.contains("Authentication failed.") && text.contains("check user and password"),
        "{text}"
    );
    assert!(!world.driver.is_in() && world.refusal().cause == Cause::Credentials);
}

#[test]
fn a_server_that_does_not_know_the_password_or_asks_for_little_work_is_not_believed() {
    let mut conduct = primary();
    conduct.rounds = 4095;
    let world = World::of(conduct, driver()).log_in(usize::MAX);
    assert!(world.refusal().text.contains("fewer SCRAM iterations"));
}

#[test]
fn the_mechanism_is_what_the_string_says_then_the_better_that_the_server_has() {
    for (option, offered, want) in [
        ("", vec![Hash::Sha1, Hash::Sha256], "SCRAM-SHA-256"),
        ("", vec![Hash::Sha1], "SCRAM-SHA-1"),
        (
            "?authMechanism=SCRAM-SHA-1",
            vec![Hash::Sha1, Hash::Sha256],
            "SCRAM-SHA-1",
        ),
    ] {
        let mut conduct = primary();
        conduct.mechanisms = offered;
        let string = format!("{STRING}{option}");
        let world = World::new(&string, &[("a", conduct)], driver()).log_in(usize::MAX);
        assert_eq!(world.heard().mechanism.as_deref(), Some(want));
    }
    let string = format!("{STRING}?authMechanism=SCRAM-SHA-256");
    let mut conduct = primary();
    conduct.mechanisms = vec![Hash::Sha1];
    let world = World::new(&string, &[("a", conduct)], driver()).log_in(usize::MAX);
    let (code, text) = world.driver.error.unwrap();
    assert!(
        code == 18 && text.contains("334") && text.contains("authMechanism"),
        "{text}"
    );
}

#[test]
fn a_server_that_knows_nobody_needs_no_login() {
    let world = World::new("mongodb://a", &[("a", primary())], driver()).log_in(usize::MAX);
    assert!(world.is_in() && world.heard().mechanism.is_none());
    assert!(!world.heard().asked[0].has("saslSupportedMechs"));
}

#[test]
fn tls_is_begun_before_a_word_is_said_and_its_failure_is_told() {
    for (options, verify) in [
        ("tls=true", Verify::Full),
        ("ssl=true&tlsAllowInvalidCertificates=true", Verify::Nobody),
        ("tls=true&tlsInsecure=true", Verify::Nobody),
    ] {
        let string = format!("{STRING}?{options}");
        let world = World::new(&string, &[("a", primary())], driver()).log_in(usize::MAX);
        assert!(world.is_in() && world.wishes == [wish(verify)], "{options}");
    }
    let mut world = World::new(
        "mongodb://app:s3cret@a/?tls=true",
        &[("a", primary())],
        driver(),
    );
    world.is_trusted = false;
    let world = world.log_in(usize::MAX);
    assert_eq!(
        world.refusal().text,
        "TLS with the mongodb server failed: not trusted"
    );
    assert!(world.heard().asked.is_empty() && world.driver.error.is_some());
}

#[test]
fn what_is_sent_early_or_late_is_relayed_in_the_same_breath() {
    let mut world = World::of(primary(), speculative());
    world.begin(usize::MAX);
    let early = Document::new().with("echo", "early").with("$db", "shop");
    let early = request(Form::Message, 900, &early);
    let mut has_sent = false;
    while world.login.is_some() {
        if world.run(usize::MAX, 0) == 0 && world.under_way.is_empty() {
            break;
        }
        let is_last = world.heard().mechanism.is_some();
        if is_last && !std::mem::replace(&mut has_sent, true) {
            world.from_client.extend(&early);
            world.under_way.extend(b"late");
        }
        let bytes = std::mem::take(&mut world.under_way);
        world.from_server.extend(&bytes);
        world.with(&Login::step);
    }
    assert!(matches!(world.end, Some(End::Passed)) && has_sent);
    assert_eq!(world.packets.last().unwrap(), b"late");
    assert_eq!(world.heard().commands[0].text("echo"), "early");
    assert!(world.from_client.is_empty() && world.from_server.is_empty());
}
