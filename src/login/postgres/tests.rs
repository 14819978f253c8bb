//! Whole logins against a simulated server, in pieces of every size, ended at every byte.

use loopback_gateway::postgres::{
    Conduct, Method, Server, TlsAnswer, messages as read_messages, opening, startup,
};
use proptest::prelude::*;

use super::*;
use crate::base::{ByteBuf, Secret, Verify};
use crate::login::world::{self, End, Peer};
use crate::login::{
    Account, CancelKey, Cause, Login as AnyLogin, Refusal, SslMode, Step, TlsWish, Waits,
};

mod field;

const NONCE: [u8; 18] = [7; 18];
const PASSWORD: &str = "s3cret";
const VERSION: u32 = 3 << 16;
const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;

fn account() -> Account {
    Account::new("app", Secret::new(PASSWORD))
}

fn client_startup() -> Vec<u8> {
    startup(VERSION, &[("user", "noop"), ("database", "sales")])
}

type World = world::World<Server>;

impl Peer for Server {
    type Conduct = Conduct;
    const HAS_ERRANDS: bool = true;

    fn accept(conduct: Conduct) -> (Self, Vec<u8>) {
        (Self::new(conduct), Vec::new())
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.receive(bytes)
    }

    fn begin_tls(&mut self, _: TlsWish) -> bool {
        true
    }
}

impl World {
    fn new(account: Account, conduct: Conduct) -> Self {
        Self::of(AnyLogin::postgres(account, NONCE), conduct)
    }

    fn waits_for(&self) -> Option<Waits> {
        self.login.as_ref().map(AnyLogin::waits_for)
    }

    /// Delivers what the server says, in pieces of this size, until `bytes_max` of it have come or
    /// nothing happens any more; answers how many have.
    fn run(&mut self, piece: usize, bytes_max: usize) -> usize {
        let mut delivered = 0;
        while self.login.is_some() {
            while self.waits_for() == Some(Waits::Turn) {
                self.turns += 1;
                self.keys.work();
                self.step();
            }
            let len = self.deliver(piece.min(bytes_max - delivered));
            delivered += len;
            if len > 0 {
                continue;
            }
            if self.under_way.is_empty() && self.server.as_ref().is_some_and(Server::is_over) {
                let dials = self.dials();
                self.with(AnyLogin::server_ended);
                if self.dials() == dials {
                    break;
                }
            } else {
                break;
            }
        }
        delivered
    }

    /// A client's whole login.
    fn login(mut self) -> Self {
        self.say(&client_startup(), usize::MAX);
        self.run(usize::MAX, usize::MAX);
        self.check_packets();
        self
    }

    fn to_client(&self) -> Vec<u8> {
        self.packets.concat()
    }

    /// The code and the text that the client reads at the end.
    fn error(&self) -> (String, String) {
        let (kind, body) = read_messages(&self.to_client()).pop().unwrap();
        assert_eq!(kind, b'E');
        let field = |name: u8| {
            let mut fields = body.split(|byte| *byte == 0);
            let field = fields.find(|field| field.first() == Some(&name)).unwrap();
            String::from_utf8(field[1..].to_vec()).unwrap()
        };
        assert_eq!((field(b'S'), field(b'V')), ("FATAL".into(), "FATAL".into()));
        (field(b'C'), field(b'M'))
    }

    /// What must hold whatever happened: no password, and no packet that looks like a key but one, or
    /// a run of K's that can't be cut.
    fn check_packets(&self) {
        let all = self.to_client();
        let is_secret = |window: &[u8]| window == PASSWORD.as_bytes();
        assert!(!all.windows(PASSWORD.len()).any(is_secret));
        let keys = self.packets.iter();
        let keys = keys.filter(|packet| packet.len() >= 13 && packet[0] == b'K');
        for key in keys.filter(|packet| !packet.starts_with(&[b'K'; 13])) {
            assert_eq!(key[5..9], 4711_u32.to_be_bytes());
        }
    }
}

const METHODS: [Method; 4] = [
    Method::Trust,
    Method::Cleartext,
    Method::Md5,
    Method::Scram(600),
];

#[test]
fn every_method_lets_the_client_in_plain_and_over_tls() {
    for method in METHODS {
        for (mode, tls, wish) in [
            (SslMode::Disable, TlsAnswer::No, None),
            (SslMode::Prefer, TlsAnswer::No, None),
            (SslMode::Prefer, TlsAnswer::Yes, Some(Verify::Nobody)),
            (SslMode::Require, TlsAnswer::Yes, Some(Verify::Nobody)),
            (SslMode::VerifyFull, TlsAnswer::Yes, Some(Verify::Full)),
        ] {
            let account = account().with_tls(mode).with_plain_password_allowed(true);
            let world = World::new(account, Conduct::new(method).with_tls(tls)).login();
            let relay = world.relay();
            assert_eq!(relay.cancel_key().map(|key| key.pid), Some(4711));
            assert!(!relay.is_busy());
            let verify = world.wishes.first().map(|wish| wish.verify);
            assert_eq!((verify, world.dials()), (wish, 1));
            let heard = &world.server.as_ref().unwrap().heard;
            assert_eq!(heard.asked_for_tls, mode != SslMode::Disable);
            let kinds = read_messages(&world.to_client());
            let kinds: Vec<u8> = kinds.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, b"RSNKNZ", "{method:?}");
        }
    }
}

#[test]
fn a_derivation_takes_turns_and_is_made_once() {
    let mut world = World::new(account(), Conduct::new(Method::Scram(4096))).login();
    world.relay();
    assert_eq!(world.turns, 4096 / 1024);
    world.login = Some(AnyLogin::postgres(account(), NONCE));
    world.turns = 0;
    let world = world.login();
    world.relay();
    assert_eq!(world.turns, 0);
}

#[test]
fn parameters_keep_their_order_and_the_stored_user_comes_first() {
    let named = |parameters: &[(&str, &str)], database: &str| {
        let account = account().with_database(database);
        let mut world = World::new(account, Conduct::new(Method::Trust));
        world.say(&startup(VERSION | 2, parameters), usize::MAX);
        world.run(usize::MAX, usize::MAX);
        world.relay();
        let heard = world.server.unwrap().heard.startup.unwrap();
        assert_eq!(heard.0, VERSION | 2);
        let texts = heard
            .1
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        texts.collect::<Vec<_>>().join(" ")
    };
    let full = [
        ("database", "noop"),
        ("user", "hoop-access-key"),
        ("_pq_.x", ""),
        ("replication", "database"),
    ];
    let rest = "_pq_.x= replication=database";
    assert_eq!(
        named(&full, "shop"),
        format!("user=app database=shop {rest}")
    );
    assert_eq!(named(&full, ""), format!("user=app {rest}"));
    // What libpq says for whoever names none.
    let own = [("user", "alice"), ("database", "alice")];
    assert_eq!(named(&own, "shop"), "user=app database=shop");
    assert_eq!(named(&own, ""), "user=app database=alice");
    let placeholder = [("user", "noop"), ("database", "noop")];
    assert_eq!(named(&placeholder, ""), "user=app");
    let other = [("user", "noop"), ("database", "mine")];
    assert_eq!(named(&other, "shop"), "user=app database=mine");
    assert_eq!(named(&[("user", "noop")], "shop"), "user=app database=shop");
    assert_eq!(named(&[("user", "noop")], ""), "user=app");
}

#[test]
fn questions_for_encryption_are_answered_no_in_any_order_and_number() {
    for questions in [[SSL, GSSENC, SSL], [GSSENC, GSSENC, SSL]] {
        let mut world = World::new(account(), Conduct::new(Method::Trust));
        for code in questions {
            world.say(&opening(code, b""), 3);
        }
        assert_eq!(world.packets, [b"N", b"N", b"N"]);
        assert_eq!(world.waits_for(), Some(Waits::Client));
        // One of hoop's own clients does not wait for the answer.
        world.say(&[opening(SSL, b""), client_startup()].concat(), usize::MAX);
        world.run(1, usize::MAX);
        world.relay();
    }
}

#[test]
fn a_cancel_request_is_an_errand_with_a_key_of_any_allowed_length() {
    for len in [4, 32, 256] {
        let mut world = World::new(account(), Conduct::new(Method::Trust));
        let secret = vec![9; len];
        let body = [&77_u32.to_be_bytes(), &secret[..]].concat();
        world.say(&opening(80_877_102, &body), 1);
        let Some(End::Errand(key)) = &world.end else {
            panic!("no errand")
        };
        assert_eq!((key.pid, &*key.secret), (77, &secret[..]));
        assert!(world.packets.is_empty() && world.dials() == 0);
        assert_eq!(errand(key.clone(), None).heard.cancel, Some((77, secret)));
    }
    for len in [0, 257] {
        let mut world = World::new(account(), Conduct::new(Method::Trust));
        let body = [&77_u32.to_be_bytes(), &vec![9; len][..]].concat();
        world.say(&opening(80_877_102, &body), usize::MAX);
        assert_eq!(world.refusal().cause, Cause::Protocol);
    }
}

/// The server that an errand came to.
fn errand(key: CancelKey, tls: Option<TlsWish>) -> Server {
    let mut server = Server::new(Conduct::new(Method::Trust).with_tls(TlsAnswer::Yes));
    let (mut from_server, mut sent) = (ByteBuf::new(), Vec::new());
    let mut step = Cancel::new(key, tls).step(&mut from_server, &mut sent);
    loop {
        from_server.extend(&server.receive(&std::mem::take(&mut sent)));
        step = match step {
            Step::Wait(Cancel::Sent) => return server,
            Step::Wait(cancel) => cancel.step(&mut from_server, &mut sent),
            Step::StartTls(cancel, _) => cancel.tls_started(&mut sent),
            _ => panic!("the errand failed"),
        };
    }
}

#[test]
fn a_cancel_goes_over_tls_where_the_session_does() {
    let key = CancelKey {
        pid: 5,
        secret: [1; 32].into(),
    };
    let heard = errand(key.clone(), SslMode::Require.wish()).heard;
    assert!(heard.asked_for_tls && heard.cancel == Some((5, vec![1; 32])));
    let (mut from_server, mut sent) = (ByteBuf::new(), Vec::new());
    let Step::Wait(cancel) =
        Cancel::new(key, SslMode::Require.wish()).step(&mut from_server, &mut sent)
    else {
        panic!()
    };
    from_server.extend(b"N");
    let step = cancel.step(&mut from_server, &mut sent);
    assert!(matches!(step, Step::Refused(_)) && sent == messages::SSL_REQUEST);
}

#[test]
fn what_the_server_says_to_a_question_for_tls() {
    use SslMode::{Prefer, Require, VerifyFull};
    use TlsAnswer as Answer;
    let said = "the postgres server said: could not fork new process for connection";
    for (mode, answer, code, text) in [
        (
            Require,
            Answer::No,
            "08006",
            "SSL is not enabled on the postgres server",
        ),
        (
            VerifyFull,
            Answer::No,
            "08006",
            "SSL is not enabled on the postgres server",
        ),
        (
            Require,
            Answer::Nothing,
            "08006",
            "closed the connection when asked for TLS",
        ),
        (
            Prefer,
            Answer::Stuffed,
            "08P01",
            "behind its agreement to TLS",
        ),
        (
            VerifyFull,
            Answer::Stuffed,
            "08P01",
            "behind its agreement to TLS",
        ),
        (
            Prefer,
            Answer::Error,
            "53300",
            "sorry, too many clients already",
        ),
        (Require, Answer::Text, "08006", said),
        (
            Prefer,
            Answer::Nonsense,
            "08P01",
            "does not answer as PostgreSQL does",
        ),
    ] {
        let conduct = Conduct::new(Method::Trust).with_tls(answer);
        let world = World::new(account().with_tls(mode), conduct).login();
        let (got, message) = world.error();
        assert!(
            got == code && message.contains(text),
            "{mode:?} {got} {message}"
        );
        assert_eq!(world.dials(), 1);
    }
}

#[test]
fn preferred_tls_that_can_not_be_had_is_done_without() {
    let conduct = Conduct::new(Method::Scram(10));
    let nothing = conduct.clone().with_tls(TlsAnswer::Nothing);
    let world = World::new(account().with_tls(SslMode::Prefer), nothing).login();
    world.relay();
    assert_eq!(world.dials(), 2);
    let agreed = conduct.with_tls(TlsAnswer::Yes);
    for (mode, dials) in [(SslMode::Prefer, 2), (SslMode::Require, 1)] {
        let mut world = World::new(account().with_tls(mode), agreed.clone());
        world.is_trusted = false;
        let world = world.login();
        assert_eq!(world.dials(), dials);
        match mode {
            SslMode::Prefer => {
                world.relay();
            }
            _ => assert!(world.error().1.contains("failed: not trusted")),
        }
    }
}

#[test]
fn a_refused_login_is_heard_as_the_server_wrote_it_and_logged_by_its_code() {
    for method in [Method::Cleartext, Method::Scram(10)] {
        let mut conduct = Conduct::new(method);
        conduct.password = "another".to_owned();
        let account = account().with_plain_password_allowed(true);
        let world = World::new(account, conduct).login();
        let (code, text) = world.error();
        assert_eq!(
            (&*code, &*text),
            ("28P01", "password authentication failed")
        );
        assert_eq!(world.refusal().cause, Cause::Said);
        assert!(world.refusal().text.contains("28P01: check USER and PASS"));
    }
    let mut conduct = Conduct::new(Method::Trust);
    conduct.user = "somebody".to_owned();
    conduct.is_older = true;
    let world = World::new(account(), conduct).login();
    let kinds = read_messages(&world.to_client());
    assert_eq!((kinds.len(), kinds[0].0), (2, b'v'));
    assert_eq!(world.error().0, "28000");
}

#[test]
fn a_password_in_clear_text_needs_tls_or_leave() {
    for (mode, tls, is_allowed, is_in) in [
        (SslMode::Prefer, TlsAnswer::No, false, false),
        (SslMode::Prefer, TlsAnswer::No, true, true),
        (SslMode::Prefer, TlsAnswer::Yes, false, true),
    ] {
        let account = account()
            .with_tls(mode)
            .with_plain_password_allowed(is_allowed);
        let world = World::new(account, Conduct::new(Method::Cleartext).with_tls(tls)).login();
        match is_in {
            true => assert!(world.relay().cancel_key().is_some()),
            false => assert_eq!(world.error().0, "0A000"),
        }
    }
}

#[test]
fn what_can_not_be_done_is_refused_by_name() {
    for (method, text) in [
        (Method::Other(7), "does not know"),
        (Method::Other(5), "does not know"),
        (Method::OtherSasl, "does not know"),
        (Method::Scram(1_000_001), "more than 1000000"),
    ] {
        let world = World::new(account(), Conduct::new(method)).login();
        let (code, message) = world.error();
        assert!(
            code == "0A000" && message.contains(text),
            "{method:?} {message}"
        );
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    for (false_proof, code) in [(true, "28P01"), (false, "28P01")] {
        let mut conduct = Conduct::new(Method::Scram(10));
        conduct.false_proof = Some(false_proof);
        let world = World::new(account(), conduct).login();
        let (got, text) = world.error();
        assert!(got == code && text.contains("impostor"), "{text}");
        assert_eq!(read_messages(&world.to_client()).len(), 1);
    }
}

#[test]
fn a_key_may_be_missing_or_long_and_a_notice_longer_than_any_buffer() {
    for (key_bytes, notice) in [(0, 0), (256, 10), (4, 200_000)] {
        let mut conduct = Conduct::new(Method::Trust);
        conduct.key_bytes = key_bytes;
        conduct.notice = "K".repeat(notice);
        let mut world = World::new(account(), conduct);
        world.say(&client_startup(), usize::MAX);
        world.run(1000, usize::MAX);
        let key = world.relay().cancel_key();
        assert_eq!(key.map_or(0, |key| key.secret.len()), key_bytes);
        assert_eq!(read_messages(&world.to_client()).last().unwrap().0, b'Z');
    }
}

#[test]
fn what_came_early_goes_on_in_the_same_call() {
    let mut world = World::new(account(), Conduct::new(Method::Scram(10)));
    let query = b"Q\0\0\0\x0dselect 1\0";
    world.say(&[client_startup(), query.to_vec()].concat(), usize::MAX);
    world.run(usize::MAX, usize::MAX);
    assert!(world.relay().is_busy());
    assert_eq!(world.server.unwrap().heard.queries, query);
    assert!(world.from_client.is_empty() && world.from_server.is_empty());
}

#[test]
fn a_client_that_sends_more_than_a_login_holds_is_refused() {
    let mut world = World::new(account(), Conduct::new(Method::Scram(10)));
    world.say(&client_startup(), usize::MAX);
    world.say(&[b'x'; 70_000], 1 << 20);
    assert_eq!(world.error().0, "08P01");
}

#[test]
fn a_client_of_another_language_hears_so_at_once() {
    let tls = b"\x16\x03\x01\x02\0\x01\0";
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        tls,
        b"\0\0\0\x07",
        b"\0\0\x27\x11",
    ] {
        let mut world = World::new(account(), Conduct::new(Method::Trust));
        world.say(bytes, 1);
        assert_eq!(world.error().0, "08P01");
        assert_eq!(world.dials(), 0);
    }
    let malformed: [&[u8]; 3] = [b"user\0noop\0", b"user", b"a\0b\0\0c\0"];
    for body in malformed {
        let mut world = World::new(account(), Conduct::new(Method::Trust));
        world.say(&opening(VERSION, body), usize::MAX);
        assert_eq!(world.error().0, "08P01", "{body:?}");
    }
    let mut world = World::new(account(), Conduct::new(Method::Trust));
    world.say(&opening(2 << 16, b"\0"), usize::MAX);
    assert_eq!(world.error().0, "0A000");
}

#[test]
fn credentials_that_the_wire_would_cut_short_are_refused() {
    for account in [
        Account::new("a\0b", Secret::new("x")),
        Account::new("a", Secret::new("x\0y")),
        account().with_database("d\0b"),
    ] {
        let world = World::new(account, Conduct::new(Method::Trust)).login();
        assert_eq!(world.error().0, "28P01");
    }
}

#[test]
fn modes_are_named_as_upstream_names_them() {
    assert_eq!(SslMode::parse(""), Ok(SslMode::Prefer));
    assert_eq!(SslMode::parse("verify-full"), Ok(SslMode::VerifyFull));
    assert_eq!(
        SslMode::parse("verify-ca").unwrap_err().text,
        "wrong option (\"verify-ca\") for SSLMODE, accept only: [disable prefer require verify-full]; \
         verify-full checks that authority, and the name"
    );
}

/// All that the server says in a whole login by SCRAM over TLS, and the client.
fn lengths() -> (usize, usize) {
    let mut world = scram_world();
    world.say(&client_startup(), usize::MAX);
    (client_startup().len(), world.run(usize::MAX, usize::MAX))
}

fn scram_world() -> World {
    let mut conduct = Conduct::new(Method::Scram(2)).with_tls(TlsAnswer::Yes);
    conduct.is_older = true;
    World::new(account().with_tls(SslMode::Require), conduct)
}

/// The client reads whole messages, the last of which is an error, or it was left within one.
fn check_goodbye(world: &World, before: usize) {
    world.check_packets();
    let all = world.to_client();
    if all.len() > before {
        assert_eq!(world.error().0.len(), 5);
        return;
    }
    let mut rest = &all[..];
    while rest.len() >= 5 {
        let len = 1 + u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        rest = rest.get(len..).unwrap_or_default();
    }
    let is_left_within = !all.is_empty() && read_whole(&all) < all.len();
    assert!(is_left_within, "nothing was said to the client");
}

fn read_whole(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at + 1..at + 5) {
        let len = 1 + u32::from_be_bytes(word.try_into().unwrap()) as usize;
        match at + len <= bytes.len() {
            true => at += len,
            false => break,
        }
    }
    at
}

#[test]
fn every_state_refuses_at_every_byte_of_the_server() {
    let stopping = Refusal::new(Cause::Stopping, "the agent is stopping: connect again");
    for at in 0..lengths().1 {
        let mut world = scram_world();
        world.say(&client_startup(), usize::MAX);
        assert_eq!(world.run(1, at), at);
        let before = world.to_client().len();
        let login = world.login.take().unwrap();
        login.refuse(&stopping, &mut world.packets);
        if world.to_client().len() > before {
            assert_eq!(world.error().0, "57P01");
        }
        check_goodbye(&world, before);
    }
}

#[test]
fn a_server_that_dies_at_any_byte_is_said_to_have() {
    for at in 0..lengths().1 {
        let mut world = scram_world();
        world.say(&client_startup(), usize::MAX);
        world.run(1, at);
        let before = world.to_client().len();
        world.with(AnyLogin::server_ended);
        assert_eq!(
            world.refusal().cause == Cause::Said,
            world.to_client().len() == before
        );
        check_goodbye(&world, before);
    }
}

#[test]
fn every_state_refuses_at_every_byte_of_the_client() {
    let late = Refusal::new(Cause::Unreachable, "no startup message came in time");
    let bytes = [opening(SSL, b""), client_startup()].concat();
    for at in 0..bytes.len() {
        let mut world = scram_world();
        world.say(&bytes[..at], usize::MAX);
        assert_eq!(world.waits_for(), Some(Waits::Client));
        world.packets.clear();
        let login = world.login.take().unwrap();
        login.refuse(&late, &mut world.packets);
        assert_eq!(world.error().0, "08006");
    }
}

proptest! {
    #[test]
    fn the_client_reads_the_same_however_the_bytes_come(
        piece in 1usize..200, client_piece in 1usize..60, method in 0..METHODS.len(),
        notice in "[K ]{0,60}", key_bytes in 0usize..257, is_older: bool,
    ) {
        let mut conduct = Conduct::new(METHODS[method]);
        conduct.notice = notice;
        conduct.key_bytes = key_bytes;
        conduct.is_older = is_older;
        let account = || account().with_plain_password_allowed(true);
        let whole = World::new(account(), conduct.clone()).login();
        let mut world = World::new(account(), conduct);
        world.say(&client_startup(), client_piece);
        world.run(piece, usize::MAX);
        world.check_packets();
        prop_assert_eq!(whole.to_client(), world.to_client());
        let key = |world: &World| world.relay().cancel_key().map(|key| key.secret.to_vec());
        prop_assert_eq!(key(&whole), key(&world));
    }

    #[test]
    fn no_bytes_of_a_server_or_client_can_do_harm(
        client in proptest::collection::vec(any::<u8>(), 0..40),
        server in proptest::collection::vec(
            prop_oneof![Just(0u8), Just(b'R'), Just(b'E'), Just(8), any::<u8>()], 0..60),
        piece in 1usize..10,
    ) {
        let mut world = scram_world();
        world.say(&client, piece);
        let mut world = scram_world();
        world.say(&client_startup(), usize::MAX);
        world.under_way = server.into();
        world.server = None;
        world.run(piece, usize::MAX);
        world.check_packets();
        world.with(AnyLogin::server_ended);
        prop_assert!(!matches!(world.end, Some(End::Passed(_))));
    }
}

#[test]
fn notices_that_come_together_are_one_packet() {
    let mut world = World::new(account(), Conduct::new(Method::Scram(10)));
    world.say(&client_startup(), usize::MAX);
    let notices = b"N\0\0\0\x04".repeat(1000);
    world.from_server.extend(&notices);
    world.step();
    assert_eq!(world.packets, [notices]);
    world.run(usize::MAX, usize::MAX);
    world.relay();
}

#[test]
fn a_server_gives_one_key() {
    let mut world = World::new(account(), Conduct::new(Method::Trust));
    world.say(&client_startup(), usize::MAX);
    let keys = b"K\0\0\0\x0c\0\0\x12\x67KKKK".repeat(2);
    world
        .from_server
        .extend(&[b"R\0\0\0\x08\0\0\0\0", &keys[..]].concat());
    world.step();
    assert!(world.refusal().text.contains("two keys"));
}

#[test]
fn questions_for_encryption_have_a_bound() {
    let mut world = World::new(account(), Conduct::new(Method::Trust));
    world.say(&opening(SSL, b"").repeat(16), usize::MAX);
    assert_eq!(world.waits_for(), Some(Waits::Client));
    world.say(&opening(GSSENC, b""), usize::MAX);
    assert!(world.refusal().text.contains("encryption"));
    assert_eq!(world.packets.len(), 17);
}

#[test]
fn an_error_before_tls_is_harmless_and_nobodys_word_where_the_certificate_must_fit() {
    let body = b"SFATAL\0C53300\0Msend \x1b]0;it\x07 to mallory\0\0";
    let message = messages::typed(b'E', &[body]);
    for bytes in [&message[..], b"Esend \x1b]0;it\x07 to mallory\0"] {
        for (mode, is_passed) in [(SslMode::VerifyFull, false), (SslMode::Require, true)] {
            let mut world = World::new(account().with_tls(mode), Conduct::new(Method::Trust));
            world.say(&client_startup(), usize::MAX);
            world.under_way.clear();
            world.from_server.extend(bytes);
            world.step();
            let said = world.to_client();
            let said = String::from_utf8_lossy(&said);
            assert_eq!(said.contains("mallory"), is_passed);
            assert!(!said.contains(['\x1b', '\x07']));
        }
    }
}
