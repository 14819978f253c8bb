//! What others met in the field, and what the password itself may be sent under.

use super::*;

fn with_rsa() -> Account {
    account().with_rsa([7; 20])
}

fn uncached(favourite: &'static str, plugin: &'static str) -> Conduct {
    Conduct {
        favourite,
        is_cached: false,
        ..Conduct::new(plugin)
    }
}

#[test]
fn a_server_without_tls_gets_the_password_under_its_key_where_the_operator_allows_it() {
    for (favourite, plugin) in [
        (CACHING, CACHING),
        (NATIVE, CACHING),
        (CACHING, "sha256_password"),
    ] {
        for piece in [1, 7, usize::MAX] {
            let world = World::new(with_rsa(), uncached(favourite, plugin));
            let world = world.login_with(&client_response(), piece);
            assert!(world.relay().blind_trust().is_none(), "{plugin}");
            assert_eq!(world.packets.len(), 2);
        }
    }
}

#[test]
fn a_key_is_asked_for_by_nobody_who_has_tls_or_no_leave() {
    let refused = World::new(account(), uncached(CACHING, CACHING)).login();
    assert!(refused.error().2.contains("set MYSQL_RSA to true"));
    let mut conduct = uncached(CACHING, CACHING);
    (conduct.has_tls, conduct.key) = (true, None);
    let world = World::new(with_rsa().with_tls(SslMode::Prefer), conduct).login();
    assert!(world.relay().blind_trust().is_some());
    let conduct = uncached(CACHING, "mysql_clear_password");
    let refused = World::new(with_rsa(), conduct).login();
    assert!(refused.error().2.contains("which needs TLS"));
}

#[test]
fn a_key_that_is_none_or_too_small_for_the_password_is_refused() {
    let mut conduct = uncached(CACHING, CACHING);
    conduct.key = Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let world = World::new(with_rsa(), conduct).login();
    assert!(world.error().2.contains("showed no RSA key"));
    let account = Account::new("app", Secret::new(vec![b'x'; 214])).with_rsa([7; 20]);
    let world = World::new(account, uncached(CACHING, CACHING)).login();
    assert!(world.error().2.contains("PASS is too long"));
    let mut conduct = uncached(CACHING, CACHING);
    conduct.password = "another".to_owned();
    let world = World::new(with_rsa(), conduct).login();
    assert_eq!(world.error().1, 1045);
}

#[test]
fn a_server_whose_wish_is_declined_hears_so_and_does_not_hold_it_against_this_host() {
    let mut no_key = uncached(CACHING, CACHING);
    no_key.key = Some("none");
    for (account, conduct) in [
        (account(), uncached(CACHING, CACHING)),
        (account(), uncached(NATIVE, "mysql_clear_password")),
        (account(), uncached(NATIVE, "parsec")),
        (with_rsa(), no_key),
    ] {
        let world = World::new(account, conduct).login();
        assert_eq!(world.error().1, 1251);
        assert!(world.server.as_ref().unwrap().is_over());
    }
}

#[test]
fn servers_of_every_age_are_greeted_in_their_own_way() {
    let (none, mariadb) = ([0; 4], [0x1d, 0, 0, 0]);
    for (version, capabilities, further, plugin) in [
        ("5.1.73", 0xf7ff, none, NATIVE),
        ("5.7.44-log", 0x81ff_f7ff, none, NATIVE),
        ("8.0.36", 0xdfff_ffff, none, CACHING),
        ("8.4.5", 0xdfff_ffff, none, CACHING),
        ("5.5.5-10.11.19-MariaDB", 0x81ff_f7fe, mariadb, NATIVE),
        ("11.8.9-MariaDB", 0x81ff_fffe, mariadb, ED25519),
    ] {
        for has_tls in [false, true] {
            let conduct = Conduct {
                version,
                capabilities,
                further,
                has_tls,
                favourite: if plugin == CACHING { CACHING } else { NATIVE },
                ..Conduct::new(plugin)
            };
            // A client says of itself what it was told, and what it has.
            let mut world = World::new(account().with_tls(SslMode::Prefer), conduct);
            world.run(usize::MAX, usize::MAX);
            let at = 5 + version.len() + 1;
            let greeting = &world.packets[0];
            let told = [at + 13, at + 14, at + 18, at + 19].map(|place| greeting[place]);
            assert_eq!(greeting[at + 27..at + 31], further);
            let bits = u32::from_le_bytes(told) & !WITH_ATTRIBUTES;
            assert_eq!(bits & (1 << 5 | 1 << 11 | 1 << 27), 0);
            let world = world.login_with(&response(bits, 45, "sales", b""), 7);
            world.relay();
            assert_eq!(
                world.heard().database.as_deref(),
                Some("sales"),
                "{version}"
            );
        }
    }
}

#[test]
fn a_client_that_proves_by_caching_sha2_hears_both_words_of_such_a_server() {
    for plugin in [CACHING, NATIVE, ED25519] {
        let conduct = uncached(CACHING, plugin);
        let bytes = response_by(CACHING, CAPABILITIES | WITH_DB, 45, "sales", b"");
        let world = World::new(with_rsa(), conduct).login_with(&bytes, 3);
        world.relay();
        assert_eq!(world.packets[1], [2, 0, 0, 2, 1, 3]);
        assert_eq!(world.packets[2][..5], [7, 0, 0, 3, 0]);
    }
    let mut conduct = Conduct::new(CACHING);
    conduct.password = "another".to_owned();
    let bytes = response_by(CACHING, CAPABILITIES, 45, "", b"");
    let world = World::new(with_rsa(), conduct).login_with(&bytes, 3);
    assert_eq!(world.error().0, 2);
}

#[test]
fn a_signature_by_another_password_lets_nobody_in() {
    let account = Account::new("app", Secret::new("S3cret"));
    let world = World::new(account, uncached(NATIVE, ED25519)).login();
    assert_eq!(world.error().1, 1045);
}

#[test]
fn a_server_that_dies_before_its_key_is_said_to_have() {
    let mut conduct = uncached(CACHING, CACHING);
    conduct.key = None;
    let mut world = World::new(with_rsa(), conduct).login();
    world.with(AnyLogin::server_ended);
    assert_eq!(world.error().1, 1105);
}

#[test]
fn whoever_gives_a_password_to_an_unknown_certificate_says_so() {
    for (mode, plugin, is_blind) in [
        (SslMode::Prefer, "mysql_clear_password", true),
        (SslMode::Require, CACHING, true),
        (SslMode::VerifyFull, CACHING, false),
        (SslMode::Prefer, NATIVE, false),
    ] {
        let mut conduct = uncached(NATIVE, plugin);
        conduct.has_tls = true;
        let world = World::new(account().with_tls(mode), conduct).login();
        assert_eq!(world.relay().blind_trust().is_some(), is_blind, "{plugin}");
    }
}

#[test]
fn a_stored_password_of_any_length_and_look_goes_as_it_is() {
    let mut password = " %41\"'$HOME\\ ".repeat(300);
    password.truncate(4096);
    for plugin in [NATIVE, CACHING, "mysql_clear_password", "sha256_password"] {
        let mut conduct = uncached(NATIVE, plugin);
        (conduct.has_tls, conduct.password) = (true, password.clone());
        let account = Account::new("app", Secret::new(password.clone()));
        let account = account.with_tls(SslMode::Require);
        let world = World::new(account, conduct).login();
        assert!(!world.relay().said_goodbye(), "{plugin}");
    }
}

#[test]
fn a_client_that_leaves_in_mid_login_is_not_held_against_this_host() {
    for (is_refused, favourite) in [(false, NATIVE), (true, NATIVE), (false, CACHING)] {
        let whole = client_response();
        for at in 0..whole.len() {
            let mut world = World::new(account(), Conduct::new(favourite));
            world.run(usize::MAX, usize::MAX);
            world.say(&whole[..at], usize::MAX);
            let mut sent = Vec::new();
            match is_refused {
                // A response of 4.0, which ends the login inside of a step.
                true => world.say(b"\x05\0\0\x01\x05\0\0\0\0", usize::MAX),
                false => world.login.take().unwrap().farewell(&mut sent),
            }
            let server = world.server.as_mut().unwrap();
            server.receive(&sent);
            assert!(server.is_over());
            assert_eq!(world.heard().user, b"client-left");
            if is_refused {
                break;
            }
        }
    }
}

#[test]
fn a_client_that_leaves_before_the_verdict_leaves_nobody_waiting() {
    for (favourite, plugin) in [
        (CACHING, CACHING),
        (NATIVE, CACHING),
        (NATIVE, NATIVE),
        (NATIVE, ED25519),
    ] {
        let mut world = World::new(with_rsa(), uncached(favourite, plugin));
        world.run(usize::MAX, usize::MAX);
        world.say(&client_response(), usize::MAX);
        // The server's question is under way, or was answered.
        for _ in 0..3 {
            let login = world.login.as_ref().unwrap();
            let mut sent = Vec::new();
            login.farewell(&mut sent);
            let answer = if matches!(favourite, CACHING) { 5 } else { 4 };
            assert_eq!(
                (sent.len(), sent[0]),
                (answer, sent.len().to_le_bytes()[0] - 4)
            );
            if world.run(1, usize::MAX) == 0 || world.login.is_none() {
                break;
            }
        }
    }
    let mut conduct = uncached(NATIVE, ED25519);
    conduct.capabilities &= !1;
    let mut world = World::new(account(), conduct);
    world.run(usize::MAX, usize::MAX);
    world.say(&client_response(), usize::MAX);
    let mut sent = Vec::new();
    world.login.take().unwrap().farewell(&mut sent);
    assert_eq!(sent.len(), 4 + 64);
    world.server.as_mut().unwrap().receive(&sent);
    assert!(world.server.unwrap().is_over());
}

#[test]
fn a_client_that_sends_more_than_a_login_holds_is_refused_and_the_server_told() {
    let mut world = World::new(account(), Conduct::new(NATIVE));
    world.run(usize::MAX, usize::MAX);
    world.say(&[b'x'; 70_000], usize::MAX);
    assert_eq!(world.error().1, 1043);
    assert_eq!(world.heard().user, b"client-left");
}

#[test]
fn attributes_of_tens_of_kilobytes_come_in_many_reads_and_go_on_whole() {
    let attributes = [&b"\xfc\x40\x9c"[..], &[b'p'; 40_000]].concat();
    let bytes = response(CAPABILITIES | WITH_ATTRIBUTES, 45, "", &attributes);
    let world = World::new(account(), Conduct::new(CACHING)).login_with(&bytes, 1000);
    world.relay();
    assert_eq!(world.heard().attributes, attributes);
}

#[test]
fn mariadbs_further_bits_and_results_of_procedures_are_the_clients_own() {
    let further = 1 << 17 | 1 << 18 | 1 << 23;
    let mut bytes = response((CAPABILITIES | further) & !1, 45, "", b"");
    bytes[32..36].copy_from_slice(b"\x1d\0\0\0");
    let world = World::new(account(), Conduct::new(NATIVE)).login_with(&bytes, 9);
    world.relay();
    let heard = world.heard();
    assert_eq!(heard.capabilities & (further | 1), further);
    assert_eq!(heard.fixed[24..], *b"\x1d\0\0\0");
}

#[test]
fn a_command_that_nobody_answers_leaves_nothing_open() {
    let mut relay = Relay::mysql();
    relay.client_sent(b"\x05\0\0\0\x19\x01\0\0\0");
    assert!(!relay.is_busy() && !relay.said_goodbye() && relay.cancel_key().is_none());
    assert_eq!(relay.server_sent(b"K payload of nobody"), None);
}

#[test]
fn a_refusal_of_the_server_is_passed_on_at_once_and_not_tried_again() {
    let mut conduct = Conduct::new(NATIVE);
    (conduct.has_tls, conduct.password) = (true, "another".to_owned());
    let world = World::new(account().with_tls(SslMode::Prefer), conduct).login();
    assert_eq!((world.error().1, world.dials()), (1045, 1));
}

#[test]
fn every_state_refuses_at_every_byte_of_the_client() {
    let late = Refusal::new(Cause::Unreachable, "no response came in time");
    let bytes = client_response();
    for at in 0..bytes.len() {
        let mut world = long_world();
        world.run(usize::MAX, usize::MAX);
        world.say(&bytes[..at], usize::MAX);
        assert_eq!(world.packets.len(), 1);
        world
            .login
            .take()
            .unwrap()
            .refuse(&late, &mut world.packets);
        assert_eq!(
            world.error(),
            (2, 1105, "#HY000no response came in time".to_owned())
        );
    }
}
