//! What others met in the field, and when `prefer` tries again.

use super::*;

const NO_TLS: (&str, &str) = ("28000", "no pg_hba.conf entry, SSL encryption");
const NO_PLAIN: (&str, &str) = ("28000", "no pg_hba.conf entry, no encryption");

fn rejecting(rejections: [Option<(&'static str, &'static str)>; 2]) -> Conduct {
    let mut conduct = Conduct::new(Method::Scram(10)).with_tls(TlsAnswer::Yes);
    conduct.rejections = rejections;
    conduct
}

#[test]
fn a_line_for_connections_without_tls_lets_in_whom_prefer_brings_over_tls() {
    let conduct = rejecting([Some(NO_TLS), None]);
    let world = World::new(account().with_tls(SslMode::Prefer), conduct.clone()).login();
    world.relay();
    assert_eq!((world.dials(), world.wishes.len()), (2, 1));
    let world = World::new(account().with_tls(SslMode::Require), conduct).login();
    assert_eq!((world.error().1.as_str(), world.dials()), (NO_TLS.1, 1));
}

#[test]
fn whom_no_line_lets_in_hears_what_was_said_to_the_first_try() {
    let conduct = rejecting([Some(NO_TLS), Some(NO_PLAIN)]);
    let world = World::new(account().with_tls(SslMode::Prefer), conduct).login();
    assert_eq!((world.error().1.as_str(), world.dials()), (NO_TLS.1, 2));
    assert_eq!(world.refusal().cause, Cause::Said);
    assert_eq!(read_messages(&world.to_client()).len(), 1);
}

#[test]
fn any_other_refusal_is_passed_on_at_once_and_not_tried_again() {
    for code in ["3D000", "53300", "42501", "55000", "57P03", "28P01"] {
        let conduct = rejecting([Some((code, "not today")); 2]);
        for mode in [SslMode::Prefer, SslMode::Disable, SslMode::VerifyFull] {
            let world = World::new(account().with_tls(mode), conduct.clone()).login();
            assert_eq!(world.error(), (code.to_owned(), "not today".to_owned()));
            assert_eq!(world.dials(), 1, "{code}");
        }
    }
    let mut conduct = Conduct::new(Method::Scram(10)).with_tls(TlsAnswer::Yes);
    conduct.password = "another".to_owned();
    let world = World::new(account().with_tls(SslMode::Prefer), conduct).login();
    assert_eq!((world.error().0.as_str(), world.dials()), ("28P01", 1));
}

#[test]
fn the_servers_version_is_told_once_however_often_is_dialled() {
    let mut conduct = rejecting([Some(NO_TLS), None]);
    conduct.is_older = true;
    for is_trusted in [true, false] {
        let mut world = World::new(account().with_tls(SslMode::Prefer), conduct.clone());
        world.is_trusted = is_trusted;
        let world = world.login();
        world.relay();
        let kinds = read_messages(&world.to_client());
        let told = kinds.iter().filter(|(kind, _)| *kind == b'v').count();
        assert_eq!((told, world.dials()), (1, 2));
        world.check_packets();
    }
}

#[test]
fn a_server_that_can_not_fork_is_quoted_whatever_it_was_asked() {
    let said = "the postgres server said: could not fork new process for connection";
    for (mode, piece) in [(SslMode::Disable, 1), (SslMode::Prefer, usize::MAX)] {
        let mut conduct = Conduct::new(Method::Trust);
        conduct.is_exhausted = true;
        let mut world = World::new(account().with_tls(mode), conduct);
        world.say(&client_startup(), usize::MAX);
        world.run(piece, usize::MAX);
        assert_eq!(world.error(), ("08006".to_owned(), said.to_owned()));
    }
}

#[test]
fn a_stored_password_of_any_length_and_look_goes_as_it_is() {
    let mut password = " %41\"'$HOME\\ ".repeat(400);
    password.truncate(4096);
    for method in [Method::Cleartext, Method::Scram(10)] {
        let mut conduct = Conduct::new(method);
        conduct.password = password.clone();
        let account = Account::new("app", Secret::new(password.clone()));
        let account = account.with_plain_password_allowed(true);
        World::new(account, conduct).login().relay();
    }
}

#[test]
fn passwords_that_are_typed_in_many_ways_log_in() {
    for (stored, prepared) in [
        ("two\u{a0}words", "two words"),
        ("soft\u{ad}hyphen", "softhyphen"),
        // SASLprep refuses what Unicode 3.2 did not know: raw bytes then.
        ("emoji \u{1f600}", "emoji \u{1f600}"),
        ("emoji\u{a0}\u{1f600}", "emoji\u{a0}\u{1f600}"),
    ] {
        let mut conduct = Conduct::new(Method::Scram(10));
        conduct.password = prepared.to_owned();
        let world = World::new(Account::new("app", Secret::new(stored)), conduct).login();
        world.relay();
    }
}

#[test]
fn replication_is_a_parameter_like_others() {
    for value in ["true", "database", "off"] {
        let mut world = World::new(account(), Conduct::new(Method::Trust));
        let parameters = [("user", "noop"), ("replication", value)];
        world.say(&startup(VERSION, &parameters), usize::MAX);
        world.run(usize::MAX, usize::MAX);
        world.relay();
        let heard = world.server.unwrap().heard.startup.unwrap().1;
        assert_eq!(heard[1], ("replication".to_owned(), value.to_owned()));
    }
}

#[test]
fn whoever_gives_a_password_to_an_unknown_certificate_says_so() {
    for (method, mode, is_blind) in [
        (Method::Cleartext, SslMode::Prefer, true),
        (Method::Cleartext, SslMode::Require, true),
        (Method::Cleartext, SslMode::VerifyFull, false),
        (Method::Md5, SslMode::Require, false),
        (Method::Scram(10), SslMode::Require, false),
    ] {
        let conduct = Conduct::new(method).with_tls(TlsAnswer::Yes);
        let world = World::new(account().with_tls(mode), conduct).login();
        assert_eq!(
            world.relay().blind_trust().is_some(),
            is_blind,
            "{method:?}"
        );
    }
}

#[test]
fn a_query_and_a_flush_sent_ahead_are_with_the_server_in_the_same_call() {
    let mut world = World::new(account(), Conduct::new(Method::Trust));
    let ahead = b"P\0\0\0\x09\0q\0\0\0H\0\0\0\x04";
    world.say(&[client_startup(), ahead.to_vec()].concat(), 3);
    world.run(usize::MAX, usize::MAX);
    assert!(world.relay().is_busy());
    assert_eq!(world.server.unwrap().heard.queries, ahead);
}
