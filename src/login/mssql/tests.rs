//! Whole logins against a simulated server, in pieces of every size, ended at every byte.

use loopback_gateway::mssql::{
    Conduct, Login7, Server, batch, encryption, error, options, prelogin, utf16,
};

use super::Encryption;
use crate::base::{Secret, Verify};
use crate::login::world::{self, Peer};
use crate::login::{Account, Cause, Login as AnyLogin, Refusal, SslMode, TlsForm, TlsWish};

mod decoders;
mod trust;

const PASSWORD: &str = "s3cret";

fn account() -> Account {
    Account::new("app", Secret::new(PASSWORD)).with_tls(SslMode::VerifyFull)
}

type World = world::World<Server>;

impl Peer for Server {
    type Conduct = Conduct;
    const GOES_ELSEWHERE: bool = true;

    fn accept(conduct: Conduct) -> (Self, Vec<u8>) {
        (Self::new(conduct), Vec::new())
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.receive(bytes)
    }

    fn begin_tls(&mut self, wish: TlsWish) -> bool {
        let is_asked = match wish.form {
            TlsForm::Tds8 => self.begins_with_tls(),
            _ => self.wants_tls(),
        };
        self.is_secure |= is_asked;
        is_asked
    }

    fn end_tls(&mut self) {
        assert!(self.ends_tls(), "one packet went through TLS");
        self.is_secure = false;
    }
}

impl World {
    fn new(account: Account, wish: Encryption, conduct: Conduct) -> Self {
        Self::of(AnyLogin::mssql(account, "db.example", wish), conduct)
    }

    /// Delivers up to `bytes_max` of what the server says, and its end; answers how many there were.
    fn run(&mut self, piece: usize, bytes_max: usize) -> usize {
        let mut delivered = 0;
        while self.login.is_some() && delivered < bytes_max {
            if self.under_way.is_empty() {
                let is_over = self.server.as_ref().is_some_and(Server::is_over);
                if !is_over || std::mem::replace(&mut self.has_ended, true) {
                    break;
                }
                self.with(AnyLogin::server_ended);
                continue;
            }
            delivered += self.deliver(piece.min(bytes_max - delivered));
        }
        delivered
    }

    fn login_with(mut self, login: &[u8], piece: usize) -> Self {
        self.say(&prelogin(), piece);
        self.run(piece, usize::MAX);
        self.say(login, piece);
        self.run(piece, usize::MAX);
        self.check();
        self
    }

    fn login(self) -> Self {
        self.login_with(&Login7::default().encoded(4088), usize::MAX)
    }

    /// No byte of the password is the client's, written in any way.
    fn check(&self) {
        let all = self.packets.concat();
        let wide = utf16(PASSWORD);
        let hidden: Vec<u8> = wide.iter().map(|b| b.rotate_left(4) ^ 0xa5).collect();
        for form in [PASSWORD.as_bytes(), &wide, &hidden] {
            assert!(!all.windows(form.len()).any(|window| window == form));
        }
    }

    fn heard(&self) -> &loopback_gateway::mssql::Heard {
        &self.server.as_ref().unwrap().heard
    }

    fn error(&self) -> (u32, String) {
        error(self.packets.last().unwrap()).expect("an error")
    }
}

#[test]
fn every_encryption_that_both_can_agree_on_lets_the_client_in() {
    let nothing: &[bool] = &[false];
    let all: &[bool] = &[true];
    for (wish, answer, covered) in [
        (Encryption::Full, encryption::OFF, all),
        (Encryption::Full, encryption::ON, all),
        (Encryption::Full, encryption::REQUIRED, all),
        (Encryption::Login, encryption::OFF, all),
        (Encryption::Login, encryption::REQUIRED, all),
        (Encryption::Full, encryption::NONE, nothing),
    ] {
        let account = account().with_plain_password_allowed(true);
        let world = World::new(account, wish, Conduct::new(answer)).login();
        world.relay();
        let heard = world.heard();
        let through: Vec<bool> = heard.packets.iter().map(|(_, it)| *it).collect();
        assert_eq!(through, covered, "{wish:?} {answer}");
        let is_left = world.server.as_ref().unwrap().is_secure;
        let is_all = covered == all && !(wish == Encryption::Login && answer == encryption::OFF);
        assert_eq!(is_left, is_all, "{wish:?} {answer}");
        assert_eq!(world.wishes.len(), usize::from(covered == all));
        assert_eq!(world.places, [None]);
        let shown = options(&world.packets[0][8..]);
        assert_eq!(
            shown,
            [
                (0, vec![16, 0, 3, 0xe8, 0, 0]),
                (1, vec![2]),
                (2, vec![0]),
                (3, vec![]),
                (4, vec![0])
            ]
        );
        let word = u8::from(wish == Encryption::Full);
        let told: Vec<(u8, usize)> = heard.options.iter().map(|(t, v)| (*t, v.len())).collect();
        assert_eq!(told, [(0, 6), (1, 1), (2, 1), (3, 4), (4, 1), (5, 36)]);
        assert_eq!((heard.options[1].1[0], heard.options[4].1[0]), (word, 0));
    }
}

#[test]
fn a_login_is_rewritten_and_all_that_is_not_ours_is_kept() {
    let login = Login7 {
        program: "Ünï🦀".to_owned(),
        database: "noop".to_owned(),
        is_demanding: true,
        ..Login7::default()
    };
    let account = account().with_database("sales");
    let world = World::new(account, Encryption::Full, Conduct::new(encryption::ON));
    let world = world.login_with(&login.encoded(4088), usize::MAX);
    let heard = world.heard();
    assert_eq!(
        heard.texts,
        [
            "host",
            "app",
            PASSWORD,
            "Ünï🦀",
            "db.example",
            "lib",
            "us_english",
            "sales",
            ""
        ]
    );
    assert_eq!(heard.features, [0x0a]);
    assert_eq!(heard.fixed[24..28], [0xe0, 3, 0, 0x18]);
    assert_eq!(heard.fixed[72..78], *b"\x02\x42\xac\x11\0\x02");
    for (named, stored, want) in [
        ("", "", ""),
        ("noop", "", "noop"),
        ("own", "sales", "own"),
        ("", "sales", "sales"),
    ] {
        let login = Login7 {
            database: named.to_owned(),
            features: Vec::new(),
            ..Login7::default()
        };
        let account = self::account().with_database(stored);
        let world = World::new(account, Encryption::Full, Conduct::new(encryption::ON));
        let world = world.login_with(&login.encoded(4088), usize::MAX);
        assert_eq!(world.heard().texts[7], want);
        assert!(world.heard().features.is_empty());
    }
}

#[test]
fn logins_of_any_size_version_and_packet_go_through() {
    let features = vec![(0x0a, vec![7; 30_000])];
    for (version, program, features, packet_bytes, payload) in [
        (0x7400_0004, 10, Vec::new(), 4088, 504),
        (0x7400_0004, 120, features, 504, 504),
        (0x730b_0003, 5000, Vec::new(), 32_759, 4088),
        (0x7100_0001, 10, Vec::new(), 4088, 4088),
        (0x7000_0000, 10, Vec::new(), 100, 1),
    ] {
        let login = Login7 {
            version,
            program: "p".repeat(program),
            features,
            packet_size: 32_767,
            ..Login7::default()
        };
        let mut conduct = Conduct::new(encryption::ON);
        conduct.packet_bytes = packet_bytes;
        let world = World::new(account(), Encryption::Full, conduct);
        let world = world.login_with(&login.encoded(payload), 700);
        world.relay();
        let heard = world.heard();
        assert_eq!(heard.texts[2], PASSWORD);
        assert_eq!(heard.texts[3].len(), program);
        assert_eq!(heard.fixed[8..12], 32_767_u32.to_le_bytes());
        assert_eq!(heard.fixed[4..8], u32::to_le_bytes(version));
        assert!(heard.packets.iter().all(|(size, _)| *size <= 4096));
    }
}

#[test]
fn a_client_without_prelogin_is_served() {
    let mut world = World::new(account(), Encryption::Full, Conduct::new(encryption::ON));
    let login = Login7 {
        version: 0x7000_0000,
        ..Login7::default()
    };
    world.say(&login.encoded(4088), usize::MAX);
    world.run(usize::MAX, usize::MAX);
    world.relay();
    assert_eq!(world.packets.len(), 1);
    assert_eq!(world.heard().texts[2], PASSWORD);
}

#[test]
fn with_the_login_alone_encrypted_its_first_packet_is_and_has_all_of_the_password() {
    let login = Login7 {
        program: "p".repeat(3000),
        ..Login7::default()
    };
    let world = World::new(account(), Encryption::Login, Conduct::new(encryption::OFF));
    let world = world.login_with(&login.encoded(4088), usize::MAX);
    world.relay();
    assert_eq!(world.heard().packets.len(), 2);
    assert_eq!(world.heard().packets[0], (4096, true));
    assert!(!world.heard().packets[1].1);

    let long = Account::new("app", Secret::new("x".repeat(2000)));
    let long = long.with_tls(SslMode::VerifyFull);
    let world = World::new(long, Encryption::Login, Conduct::new(encryption::OFF)).login();
    assert!(world.error().1.contains("PASS is too long"));
    assert!(world.heard().packets.is_empty());
    let long = Account::new("app", Secret::new("x".repeat(4000)));
    let mut conduct = Conduct::new(encryption::ON);
    conduct.password = "x".repeat(4000);
    World::new(long, Encryption::Full, conduct).login().relay();
}

#[test]
fn a_server_that_wants_tls_first_gets_it() {
    for (wish, dials) in [
        (Encryption::Strict, 1),
        (Encryption::Full, 2),
        (Encryption::Login, 2),
    ] {
        let mut conduct = Conduct::new(encryption::ON);
        conduct.is_strict = true;
        let world = World::new(account(), wish, conduct).login();
        world.relay();
        assert_eq!(world.dials(), dials);
        let wish = TlsWish {
            verify: Verify::Full,
            form: TlsForm::Tds8,
        };
        assert_eq!(world.wishes, [wish]);
        assert_eq!(world.heard().fixed[4..8], [0, 0, 0, 8]);
        // The client hears of the version that it knows.
        let reply = world.packets.last().unwrap();
        assert!(reply.windows(4).any(|it| it == [0x74, 0, 0, 4]));
        assert!(!reply.windows(4).any(|it| it == [8, 0, 0, 0]));
        assert!(world.heard().packets.iter().all(|(_, it)| *it));
    }
    // Somebody who hangs up on everybody is none of them.
    let mut conduct = Conduct::new(encryption::ON);
    conduct.dies_at = Some(0);
    let world = World::new(account(), Encryption::Full, conduct).login();
    assert_eq!(world.dials(), 2);
    assert!(world.error().1.contains("does not begin with TLS"));
}

#[test]
fn a_server_that_sends_its_clients_on_is_followed_once_over_tls() {
    let on = Conduct::new(encryption::ON);
    let routing = |host: &str, port: u16| Conduct {
        route: Some((host.to_owned(), port)),
        ..on.clone()
    };
    let mut world = World::new(
        account(),
        Encryption::Full,
        routing("far.example\\sql", 11_000),
    );
    world.conducts.push(on.clone());
    let world = world.login();
    world.relay();
    assert_eq!(
        world.places,
        [None, Some(("far.example".to_owned(), 11_000))]
    );
    assert_eq!(world.heard().texts[4], "far.example\\sql");
    assert_eq!(world.heard().texts[2], PASSWORD);
    assert_eq!(world.packets.len(), 2);

    let refused = |wish, first: Conduct, text: &str| {
        let mut world = World::new(account(), wish, first);
        world.conducts.push(routing("third.example", 1433));
        let world = world.login();
        assert!(world.error().1.contains(text), "{:?}", world.error());
        world.dials()
    };
    let twice = refused(Encryption::Full, routing("far.example", 1), "a second time");
    assert_eq!(twice, 2);
    for (host, port) in [
        ("", 1),
        ("far.example", 0),
        ("a b", 1),
        ("u@h", 1),
        ("ü", 1),
    ] {
        let dials = refused(Encryption::Full, routing(host, port), "makes no sense");
        assert_eq!(dials, 1);
    }
    let mut plain = routing("far.example", 1);
    plain.encryption = encryption::OFF;
    assert_eq!(
        refused(Encryption::Login, plain, "where all is encrypted"),
        1
    );
}

#[test]
fn what_the_server_says_of_a_wrong_password_is_passed_on() {
    let mut conduct = Conduct::new(encryption::ON);
    conduct.password = "another".to_owned();
    let world = World::new(account(), Encryption::Full, conduct).login();
    assert_eq!(
        world.error(),
        (18456, "Login failed for user 'app'.".to_owned())
    );
    assert_eq!(world.refusal().cause, Cause::Said);
    assert!(
        world
            .refusal()
            .text
            .contains("error 18456: check USER and PASS")
    );
}

#[test]
fn a_refusal_waits_until_the_client_listens() {
    // No encryption, far away.
    let world = World::new(account(), Encryption::Full, Conduct::new(encryption::NONE));
    let world = world.login();
    assert_eq!(world.error().0, 18_456);
    assert!(world.error().1.contains("has no encryption"));
    assert_eq!(options(&world.packets[0][8..])[1], (1, vec![2]));

    // A certificate that nobody vouches for.
    let mut world = World::new(account(), Encryption::Full, Conduct::new(encryption::ON));
    world.is_trusted = false;
    let world = world.login();
    assert_eq!(world.error().0, 18_456);
    assert!(world.error().1.ends_with("failed: not trusted"));

    // Whatever is wrong at whatever time.
    let stopping = Refusal::new(Cause::Stopping, "the agent is stopping: connect again");
    let login = Login7::default().encoded(4088);
    for at in 0..4 {
        let mut world = World::new(account(), Encryption::Full, Conduct::new(encryption::ON));
        let refuse = |world: &mut World| {
            let login = world.login.as_mut().unwrap();
            let is_later = login.refuse_later(&stopping);
            world.step();
            is_later
        };
        let mut is_later = at == 0 && refuse(&mut world);
        world.say(&prelogin(), 7);
        is_later |= at == 1 && refuse(&mut world);
        if at > 1 {
            world.run(usize::MAX, usize::MAX);
        }
        is_later |= at == 2 && refuse(&mut world);
        if at == 3 {
            world.say(&login, usize::MAX);
            assert!(!refuse(&mut world));
            continue;
        }
        assert!(is_later && world.end.is_none());
        world.with(AnyLogin::server_ended);
        world.say(&login, 7);
        assert_eq!(world.error(), (6005, stopping.text.to_string()));
        let answer = options(&world.packets[0][8..]);
        let tokens: Vec<u8> = answer.iter().map(|(token, _)| *token).collect();
        assert_eq!(
            (&tokens[..], &answer[1].1[..]),
            (&[0, 1, 2, 3, 4][..], &[2][..])
        );
        assert_eq!(world.refusal(), &stopping);
        assert_eq!(world.packets.len(), 2);
    }
}

#[test]
fn those_who_speak_something_else_hear_so() {
    let full = || World::new(account(), Encryption::Full, Conduct::new(encryption::ON));
    for (bytes, text) in [
        (&b"\x16\x03\x01\x02\0\x01"[..], "begins with TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "no login to SQL Server"),
        (b"\x12\x01\0\x07\0\0\0\0", "no login to SQL Server"),
        (b"\x12\x01\0\x09\0\0\0\0\0", "no login to SQL Server"),
    ] {
        let mut world = full();
        world.say(bytes, usize::MAX);
        if world.end.is_none() {
            // Its options are read when the server is to hear them.
            world.say(&Login7::default().encoded(4088), usize::MAX);
        }
        assert!(world.error().1.contains(text), "{:?}", world.error());
    }
    let mut world = full();
    world.say(&prelogin(), usize::MAX);
    world.say(b"\x10\x01\0\x0c\0\0\0\0\xff\xff\xff\xff", usize::MAX);
    world.run(usize::MAX, usize::MAX);
    assert!(world.error().1.contains("no login to SQL Server"));
    for answer in [
        &b"SSH-2.0-OpenSSH\r\n"[..],
        b"\x04\x01\0\x09\0\0\0\0\0",
        b"\x04\x01\0\x09\0\0\0\0\xff",
    ] {
        let mut world = full();
        world.say(&prelogin(), usize::MAX);
        world.under_way = answer.to_vec().into();
        world.run(usize::MAX, usize::MAX);
        world.say(&Login7::default().encoded(4088), usize::MAX);
        assert!(world.error().1.contains("does not answer as SQL Server"));
    }
    // What an old client is told is short where it expects that.
    let old = Login7 {
        version: 0x7100_0001,
        ..Login7::default()
    };
    for (login, size) in [(old, 9), (Login7::default(), 13)] {
        let world = World::new(account(), Encryption::Full, Conduct::new(encryption::NONE));
        let world = world.login_with(&login.encoded(4088), usize::MAX);
        let packet = world.packets.last().unwrap();
        assert_eq!(packet[packet.len() - size], 0xfd);
        let token = usize::from(u16::from_le_bytes([packet[9], packet[10]]));
        assert_eq!(packet.len(), 8 + 3 + token + size);
    }
}

/// A login that goes over TLS, and on to another server.
fn long_world() -> World {
    let mut conduct = Conduct::new(encryption::ON);
    conduct.route = Some(("far.example".to_owned(), 1433));
    let mut world = World::new(account(), Encryption::Full, conduct);
    world.conducts.push(Conduct::new(encryption::REQUIRED));
    world
}

#[test]
fn every_state_refuses_at_every_byte_of_the_server() {
    let stopping = Refusal::new(Cause::Stopping, "the agent is stopping: connect again");
    let login = Login7::default().encoded(4088);
    for is_end in [false, true] {
        for at in 0.. {
            let mut world = long_world();
            world.say(&prelogin(), usize::MAX);
            let mut delivered = world.run(1, at);
            let is_said = delivered < at;
            if is_said {
                world.say(&login, usize::MAX);
                delivered += world.run(1, at - delivered);
            }
            let Some(login_state) = world.login.take() else {
                world.relay();
                assert!(at > 100);
                break;
            };
            match is_end {
                true => {
                    world.login = Some(login_state);
                    let dials = world.dials();
                    world.with(AnyLogin::server_ended);
                    if world.dials() > dials {
                        // No byte of an answer: TLS first, perhaps. There is no such server.
                        assert!(world.end.is_some() || !is_said);
                    }
                    if !is_said {
                        world.say(&login, usize::MAX);
                    }
                    assert!([17_829, 18_456].contains(&world.error().0));
                }
                false => {
                    login_state.refuse(&stopping, &mut world.packets);
                    assert_eq!(world.error().0, 6005);
                }
            }
            world.check();
        }
    }
}

#[test]
fn every_split_of_the_bytes_comes_to_the_same() {
    let login = Login7::default().encoded(500);
    let whole = long_world().login_with(&login, usize::MAX);
    for piece in 1..100 {
        let world = long_world().login_with(&login, piece);
        world.relay();
        assert_eq!(world.packets, whole.packets);
        assert_eq!(world.heard(), whole.heard());
    }
}

#[test]
fn what_comes_with_the_login_and_with_its_reply_is_handed_over() {
    let query = batch("select 1");
    let login = [Login7::default().encoded(4088), query.clone()].concat();
    let world = World::new(account(), Encryption::Full, Conduct::new(encryption::ON));
    let world = world.login_with(&login, usize::MAX);
    assert_eq!(world.heard().commands, query);
    assert!(!world.relay().said_goodbye() && !world.relay().is_busy());
}

#[test]
fn a_certificate_that_nobody_checks_is_warned_of() {
    for (mode, is_blind) in [(SslMode::VerifyFull, false), (SslMode::Require, true)] {
        let account = account().with_tls(mode);
        let world = World::new(account, Encryption::Full, Conduct::new(encryption::ON));
        let warning = world.login().relay().blind_trust();
        assert_eq!(
            warning.is_some_and(|text| text.contains("INSECURE")),
            is_blind
        );
    }
}

#[test]
fn a_stored_text_that_cant_be_written_is_refused() {
    let account = || Account::new("app", Secret::new(b"\xff\xfe".to_vec()));
    for (account, text) in [
        (account(), "no UTF-8 text"),
        (Account::new("a\0p", Secret::new("x")), "NUL byte"),
        (
            Account::new("app", Secret::new("x".repeat(40_000))),
            "longer than",
        ),
    ] {
        let world = World::new(account, Encryption::Full, Conduct::new(encryption::ON));
        let world = world.login();
        assert!(world.error().1.contains(text), "{:?}", world.error());
    }
}
