//! Whole logins against a simulated server, in pieces of every size, ended at every byte.

use loopback_gateway::mysql::{Conduct, SCRAMBLE, Server, response, response_by};

use crate::base::{Secret, Verify};
use crate::login::world::{self, End, Peer};
use crate::login::{Account, Cause, Login as AnyLogin, Refusal, Relay, SslMode, TlsWish};

mod field;

const PASSWORD: &[u8] = b"s3cret";
const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";
const ED25519: &str = "client_ed25519";

/// PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH, DEPRECATE_EOF.
const CAPABILITIES: u32 = 1 << 9 | 1 << 15 | 1 << 19 | 1 << 24;
const WITH_DB: u32 = 1 << 3;
const WITH_ATTRIBUTES: u32 = 1 << 20;

fn account() -> Account {
    Account::new("app", Secret::new(PASSWORD))
}

fn client_response() -> Vec<u8> {
    response(CAPABILITIES | WITH_DB, 45, "sales", b"")
}

type World = world::World<Server>;

impl Peer for Server {
    type Conduct = Conduct;

    fn accept(conduct: Conduct) -> (Self, Vec<u8>) {
        Self::accept(conduct)
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.receive(bytes)
    }

    fn begin_tls(&mut self, _: TlsWish) -> bool {
        self.tls_started();
        true
    }
}

impl World {
    fn new(account: Account, conduct: Conduct) -> Self {
        let mut world = Self::of(AnyLogin::mysql(account), conduct);
        world.step();
        world
    }

    /// Delivers up to `bytes_max` of what the server says; answers how many there were.
    fn run(&mut self, piece: usize, bytes_max: usize) -> usize {
        let mut delivered = 0;
        while self.login.is_some() && !self.under_way.is_empty() && delivered < bytes_max {
            delivered += self.deliver(piece.min(bytes_max - delivered));
        }
        delivered
    }

    fn login_with(mut self, response: &[u8], piece: usize) -> Self {
        self.run(piece, usize::MAX);
        self.say(response, piece);
        self.run(piece, usize::MAX);
        let all = self.packets.concat();
        let mut windows = all.windows(PASSWORD.len());
        assert!(!windows.any(|window| window == PASSWORD));
        self
    }

    fn login(self) -> Self {
        self.login_with(&client_response(), usize::MAX)
    }

    fn heard(&self) -> &loopback_gateway::mysql::Heard {
        &self.server.as_ref().unwrap().heard
    }

    /// The last packet to the client as an error: its sequence number, code and text.
    fn error(&self) -> (u8, u16, String) {
        let packet = self.packets.last().unwrap();
        let len = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]) as usize;
        assert_eq!((packet.len(), packet[4]), (4 + len, 0xff));
        let code = u16::from_le_bytes([packet[5], packet[6]]);
        (
            packet[3],
            code,
            String::from_utf8(packet[7..].to_vec()).unwrap(),
        )
    }
}

#[test]
fn every_plugin_lets_the_client_in_plain_and_over_tls() {
    for (favourite, plugin, is_cached, mode, has_tls) in [
        (NATIVE, NATIVE, true, SslMode::Prefer, false),
        (NATIVE, NATIVE, true, SslMode::Disable, true),
        (CACHING, CACHING, true, SslMode::Prefer, false),
        (CACHING, CACHING, false, SslMode::Prefer, true),
        (CACHING, CACHING, false, SslMode::Require, true),
        (CACHING, NATIVE, true, SslMode::VerifyFull, true),
        (NATIVE, CACHING, true, SslMode::Disable, false),
        (NATIVE, CACHING, false, SslMode::Prefer, true),
        (
            CACHING,
            "mysql_clear_password",
            true,
            SslMode::Require,
            true,
        ),
        ("something_new", NATIVE, true, SslMode::Disable, false),
        (NATIVE, ED25519, true, SslMode::Disable, false),
        (NATIVE, ED25519, true, SslMode::Prefer, true),
        (CACHING, "sha256_password", true, SslMode::Require, true),
    ] {
        let conduct = Conduct {
            favourite,
            is_cached,
            has_tls,
            ..Conduct::new(plugin)
        };
        let world = World::new(account().with_tls(mode), conduct).login();
        assert!(!world.relay().is_busy());
        let is_secure = has_tls && mode != SslMode::Disable;
        assert_eq!(world.wishes.len(), usize::from(is_secure));
        if mode == SslMode::VerifyFull {
            assert_eq!(world.wishes[0].verify, Verify::Full);
        }
        let [_, verdict] = &world.packets[..] else {
            panic!("{} packets", world.packets.len());
        };
        assert_eq!(verdict[..5], [7, 0, 0, 2, 0], "{plugin}");
        assert_eq!(world.heard().user, b"app");
    }
}

#[test]
fn the_greeting_offers_nothing_that_hides_queries_and_is_else_the_servers() {
    let conduct = Conduct {
        has_tls: true,
        ..Conduct::new(CACHING)
    };
    let (_, original) = Server::accept(conduct.clone());
    let mut world = World::new(account(), conduct);
    world.run(1, usize::MAX);
    let masked = &world.packets[0];
    let at = 4 + 1 + b"9.7.0-scripted\0".len();
    let bits = [at + 13, at + 14, at + 18, at + 19].map(|place| masked[place]);
    let hidden = 1 << 5 | 1 << 11 | 1 << 26 | 1 << 27 | 1 << 28;
    assert_eq!(u32::from_le_bytes(bits), !hidden);
    let differing = masked.iter().zip(&original).filter(|(a, b)| a != b).count();
    assert_eq!((masked.len(), differing), (original.len(), 3));
    assert_eq!(masked[at + 4..at + 12], SCRAMBLE[..8]);
}

#[test]
fn the_response_keeps_what_shapes_later_packets() {
    let attributes = [b"\xfc\x2c\x01".to_vec(), vec![b'a'; 300]].concat();
    let bits = CAPABILITIES | WITH_ATTRIBUTES | 1 << 18 | 1 << 7;
    for (database, stored, expected) in [
        (Some("noop"), "shop", Some("shop")),
        (Some("mine"), "shop", Some("mine")),
        (None, "shop", Some("shop")),
        (Some("noop"), "", Some("noop")),
        (None, "", None),
    ] {
        let bits = bits | if database.is_some() { WITH_DB } else { 0 };
        let bytes = response(bits, 45, database.unwrap_or_default(), &attributes);
        for has_tls in [false, true] {
            let account = account().with_database(stored).with_tls(SslMode::Prefer);
            let conduct = Conduct {
                has_tls,
                ..Conduct::new(NATIVE)
            };
            let world = World::new(account, conduct).login_with(&bytes, 3);
            world.relay();
            let heard = world.heard();
            assert_eq!(heard.database.as_deref(), expected);
            assert_eq!(heard.attributes, attributes);
            assert_eq!(heard.fixed, bytes[8..36]);
            let is_ours = WITH_DB | 1 << 11;
            assert_eq!(heard.capabilities & !is_ours, bits & !is_ours);
        }
    }
}

#[test]
fn a_stored_user_is_written_in_the_charset_that_the_client_chose() {
    for (charset, user, expected) in [
        (8, "müller", &b"m\xfcller"[..]),
        (45, "müller", "müller".as_bytes()),
        (8, "中", "中".as_bytes()),
    ] {
        let account = Account::new(user, Secret::new(PASSWORD));
        let bytes = response(CAPABILITIES, charset, "", b"");
        let world = World::new(account, Conduct::new(NATIVE)).login_with(&bytes, 100);
        assert_eq!(world.heard().user, expected);
    }
}

#[test]
fn commands_sent_with_the_response_go_on_when_the_login_is_done() {
    let early = b"\x01\0\0\0\x0e";
    let bytes = [client_response(), early.to_vec()].concat();
    let world = World::new(account(), Conduct::new(CACHING)).login_with(&bytes, 200);
    world.relay();
    assert_eq!(world.heard().commands, early);
}

#[test]
fn a_server_that_refuses_is_heard_as_it_wrote() {
    let mut conduct = Conduct::new(NATIVE);
    conduct.password = "another".to_owned();
    let world = World::new(account(), conduct).login();
    let text = "#28000Access denied for user 'app'@'here'";
    assert_eq!(world.error(), (2, 1045, text.to_owned()));
    let mut conduct = Conduct::new(NATIVE);
    conduct.is_crowded = true;
    let mut world = World::new(account(), conduct);
    world.run(1, usize::MAX);
    assert_eq!(world.error(), (0, 1040, "Too many connections".to_owned()));
    let Some(End::Refused(refusal)) = &world.end else {
        panic!()
    };
    assert_eq!(refusal.cause, Cause::Said);
}

#[test]
fn what_can_not_be_done_is_refused_by_name() {
    let with_tls = |plugin| Conduct {
        has_tls: true,
        ..Conduct::new(plugin)
    };
    let mut full = Conduct::new(CACHING);
    full.is_cached = false;
    for (mode, conduct, code, text) in [
        (
            SslMode::Prefer,
            full,
            1251,
            "#08004the server wants the password itself",
        ),
        (
            SslMode::Require,
            Conduct::new(NATIVE),
            1105,
            "#HY000SSL is not enabled",
        ),
        (
            SslMode::Disable,
            with_tls("mysql_clear_password"),
            1251,
            "#08004the server wants",
        ),
        (
            SslMode::Prefer,
            Conduct {
                favourite: NATIVE,
                ..Conduct::new("parsec")
            },
            1251,
            "#08004authentication plugin parsec not supported",
        ),
    ] {
        let world = World::new(account().with_tls(mode), conduct).login();
        let (sequence, got, message) = world.error();
        assert!(
            (sequence, got) == (2, code) && message.starts_with(text),
            "{message}"
        );
    }
}

#[test]
fn preferred_tls_that_fails_is_done_without_on_a_new_connection() {
    for (mode, dials) in [(SslMode::Prefer, 2), (SslMode::Require, 1)] {
        let mut conduct = Conduct::new(NATIVE);
        conduct.has_tls = true;
        let mut world = World::new(account().with_tls(mode), conduct);
        world.is_trusted = false;
        let world = world.login();
        assert_eq!(world.dials(), dials);
        match mode {
            SslMode::Prefer => assert_eq!(world.packets.len(), 2, "{:?}", world.relay().is_busy()),
            _ => assert!(world.error().2.contains("failed: not trusted")),
        }
    }
}

#[test]
fn clients_that_are_none_of_ours_hear_so() {
    let ssl = response(CAPABILITIES | 1 << 11, 45, "", b"")[4..36].to_vec();
    let ssl = [&[32, 0, 0, 1], &ssl[..]].concat();
    let old = response(1, 45, "", b"");
    let short = response(CAPABILITIES | WITH_ATTRIBUTES, 45, "", b"\x05ab");
    let long = b"\0\0\x02\x01".to_vec();
    for (bytes, code) in [(ssl, 1251), (old, 1043), (short, 1043), (long, 1043)] {
        let world = World::new(account(), Conduct::new(NATIVE)).login_with(&bytes, 1);
        assert_eq!(world.error().1, code);
    }
}

/// A login with as many turns as there are: a switch, and the password over TLS.
fn long_world() -> World {
    let conduct = Conduct {
        favourite: NATIVE,
        is_cached: false,
        has_tls: true,
        ..Conduct::new(CACHING)
    };
    World::new(account().with_tls(SslMode::Require), conduct)
}

#[test]
fn every_state_refuses_at_every_byte_of_the_server() {
    let stopping = Refusal::new(Cause::Stopping, "the agent is stopping: connect again");
    for is_end in [false, true] {
        for at in 0.. {
            let mut world = long_world();
            let greeting = world.run(1, at);
            let is_greeted = !world.packets.is_empty();
            if is_greeted {
                world.say(&client_response(), usize::MAX);
                world.run(1, at - greeting);
            }
            let Some(login) = world.login.take() else {
                assert!(world.relay().cancel_key().is_none() && at > 100);
                break;
            };
            match is_end {
                true => {
                    world.login = Some(login);
                    world.with(AnyLogin::server_ended);
                    assert_eq!(world.error().1, 1105);
                }
                false => {
                    login.refuse(&stopping, &mut world.packets);
                    assert_eq!(world.error().1, 1053);
                }
            }
            assert_eq!(world.error().0, if is_greeted { 2 } else { 0 });
            assert_eq!(world.error().2.starts_with('#'), is_greeted);
        }
    }
}

#[test]
fn every_split_of_the_bytes_comes_to_the_same() {
    let whole = long_world().login();
    for piece in 1..100 {
        let world = long_world().login_with(&client_response(), piece);
        world.relay();
        assert_eq!(world.packets, whole.packets);
        assert_eq!(world.heard(), whole.heard());
    }
}

#[test]
fn the_goodbye_is_seen() {
    let mut relay = Relay::mysql();
    relay.client_sent(b"\x01\0\0\0");
    assert!(!relay.said_goodbye());
    relay.client_sent(b"\x01");
    assert!(relay.said_goodbye() && !relay.is_busy());
}

/// A server's word that it wants the password itself.
fn wants_all(sequence: u8) -> [u8; 6] {
    [2, 0, 0, sequence, 1, 4]
}

#[test]
fn the_password_is_told_once_a_login_however_often_a_server_asks() {
    let conduct = || {
        let mut conduct = Conduct::new(CACHING);
        (conduct.is_cached, conduct.has_tls) = (false, true);
        conduct
    };
    let mut world = World::new(account().with_tls(SslMode::Require), conduct());
    world.run(usize::MAX, usize::MAX);
    world.say(&client_response(), usize::MAX);
    world.under_way = [wants_all(3), wants_all(5), wants_all(7)].concat().into();
    world.run(usize::MAX, usize::MAX);
    assert!(matches!(world.end, Some(End::Refused(_))));
    assert!(world.error().2.contains("twice"));

    let key = include_bytes!("../../../tests/vectors/rsa_2048.pem");
    let len = u8::try_from((key.len() + 1) % 256).unwrap();
    let high = u8::try_from((key.len() + 1) / 256).unwrap();
    let shown = [&[len, high, 0, 4, 1], &key[..]].concat();
    let mut conduct = conduct();
    conduct.has_tls = false;
    let mut world = World::new(account().with_rsa([7; 20]), conduct);
    world.run(usize::MAX, usize::MAX);
    world.say(&client_response(), usize::MAX);
    world.under_way = [&wants_all(2)[..], &shown, &wants_all(6), &shown]
        .concat()
        .into();
    world.run(usize::MAX, usize::MAX);
    assert!(matches!(world.end, Some(End::Refused(_))));
    assert!(world.error().2.contains("twice"));
}

#[test]
fn an_error_before_tls_is_nobodys_word_where_the_certificate_must_fit() {
    for (mode, is_passed) in [(SslMode::VerifyFull, false), (SslMode::Require, true)] {
        let mut world = World::new(account().with_tls(mode), Conduct::new(NATIVE));
        let text = b"\xff\x6a\x04send your password to mallory";
        world.under_way = [&[u8::try_from(text.len()).unwrap(), 0, 0, 0], &text[..]]
            .concat()
            .into();
        world.run(usize::MAX, usize::MAX);
        assert_eq!(world.error().2.contains("mallory"), is_passed);
    }
}
