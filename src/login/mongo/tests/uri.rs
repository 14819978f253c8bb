//! Connection strings as people write them.

use proptest::prelude::*;

use super::super::account::{Mechanism, MongoAccount};
use crate::base::{Address, Secret, Verify};
use crate::login::scram::Hash;

fn parse(text: &str) -> MongoAccount {
    MongoAccount::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn hosts(account: &MongoAccount) -> Vec<(String, u16)> {
    let all = account.hosts.iter();
    all.map(|it| (it.host.clone(), it.port)).collect()
}

#[test]
fn hosts_user_and_database_are_read_with_their_escapes() {
    let account = parse("mongodb://us%40er:p%3Aw%2F%25@h1,h2:1,[::1]:9,[fe80::1]/shop%21?x=y");
    let want = [("h1", 27017), ("h2", 1), ("::1", 9), ("fe80::1", 27017)];
    let want = want.map(|(host, port)| (host.to_owned(), port));
    assert_eq!(hosts(&account), want);
    let known = account.credentials.as_ref().unwrap();
    assert_eq!(known.user, b"us@er");
    assert_eq!(known.password.expose(), b"p:w/%");
    assert_eq!(account.source(), b"shop!");
    assert!(account.wish().is_none() && account.only_host().is_none());
}

#[test]
fn marks_of_a_password_that_were_not_escaped_are_read_where_they_can_be() {
    let known = parse("mongodb://app:p@ss:w@rd@h/").credentials.unwrap();
    assert_eq!(known.password.expose(), b"p@ss:w@rd");
    for text in [
        "mongodb://app:pa/ss@h/",
        "mongodb://app:pa?ss@h/",
        "mongodb://app:pa%ss@h/",
    ] {
        let error = MongoAccount::parse(text)
            .err()
            .expect("an error")
            .to_string();
        assert!(error.contains('%') && !error.contains("ss@h"), "{error}");
    }
}

#[test]
fn the_users_database_is_the_option_then_the_paths_then_admin() {
    for (text, want) in [
        ("mongodb://u:p@h", "admin"),
        ("mongodb://u:p@h/?authSource=a", "a"),
        ("mongodb://u:p@h/db", "db"),
        ("mongodb://u:p@h/db?AUTHSOURCE=a%20b", "a b"),
        ("mongodb://u:p@h/db?authSource=", "db"),
    ] {
        assert_eq!(parse(text).source(), want.as_bytes(), "{text}");
    }
}

#[test]
fn options_that_matter_are_read_and_others_passed_over() {
    let account = parse(
        "mongodb://u:p@h/?w=majority&tls=true&tlsCAFile=%2Fca.pem;tlsCertificateKeyFile=/k.pem\
         &replicaSet=rs&directConnection=true&authMechanism=SCRAM-SHA-1&appName=x",
    );
    assert_eq!(account.wish().unwrap().verify, Verify::Full);
    assert_eq!(account.authorities(), Some("/ca.pem"));
    assert_eq!(account.identity(), Some("/k.pem"));
    assert_eq!(account.replica_set.as_deref(), Some(&b"rs"[..]));
    assert!(account.is_direct);
    let known = account.credentials.as_ref().unwrap();
    assert_eq!(known.mechanism, Some(Mechanism::Scram(Hash::Sha1)));
    assert!(parse("mongodb://u:p@h/?loadBalanced=true").is_direct);
}

#[test]
fn what_is_wrong_is_said_without_a_piece_of_it() {
    for (text, want) in [
        ("s3cret", "must begin with mongodb://"),
        ("postgres://u:s3cret@h", "must begin with mongodb://"),
        ("mongodb://u:s3cret@", "hosts can't be read"),
        ("mongodb://u:s3cret@h:0", "hosts can't be read"),
        ("mongodb://u:s3cret@h:99999", "hosts can't be read"),
        ("mongodb://u:s3cret@h:x", "hosts can't be read"),
        ("mongodb://u:s3cret@[::1", "hosts can't be read"),
        ("mongodb://u:s3cret@[::1]x", "hosts can't be read"),
        (
            "mongodb://u:s3cret@%2Ftmp%2Fs3cret.sock",
            "hosts can't be read",
        ),
        ("mongodb://u:s3cret%@h", "not followed by two"),
        ("mongodb://u@h", "a user and no password"),
        ("mongodb://u:s3cret@h/?tls=yes", "true or false"),
        (
            "mongodb://u:s3cret@h/?authMechanism=PLAIN",
            "authMechanism is not served",
        ),
        (
            "mongodb://u@h/?authMechanism=MONGODB-X509",
            "needs TLS and a certificate",
        ),
        (
            "mongodb://u@h/?authMechanism=MONGODB-X509&tls=true",
            "needs TLS and a certificate",
        ),
        (
            "mongodb://u:s3cret@h/?tlsCertificateKeyFilePassword=s3cret",
            "without a password",
        ),
        ("mongodb+srv://u:s3cret@h.example", "takes one name"),
        ("mongodb+srv://u:s3cret@c.db.example:1", "takes one name"),
        (
            "mongodb+srv://u:s3cret@c.db.example,d.db.example",
            "takes one name",
        ),
    ] {
        let error = MongoAccount::parse(text).err().expect(text).to_string();
        assert!(
            error.contains(want) && !error.contains("s3cret"),
            "{text}: {error}"
        );
    }
    let many = format!("mongodb://u:p@{}", ["h"; 17].join(","));
    assert!(
        MongoAccount::parse(&many)
            .err()
            .unwrap()
            .to_string()
            .contains("16 hosts")
    );
}

#[test]
fn variables_that_have_the_parts_come_to_the_same_and_a_password_stays_as_it_is() {
    let address = || Address {
        host: "h".to_owned(),
        port: 1,
    };
    let make = |scheme, options| {
        MongoAccount::of_parts(scheme, address(), b"app", Secret::new("p%40:/@"), options)
    };
    let account = make("", "tls=true&authSource=a").ok().unwrap();
    assert_eq!(
        account.credentials.as_ref().unwrap().password.expose(),
        b"p%40:/@"
    );
    assert_eq!(account.source(), b"a");
    assert!(account.wish().is_some() && account.only_host() == Some(&address()));
    assert!(make("mongodb", "?tls=true").ok().unwrap().wish().is_some());
    assert!(make("mongodb+srv", "").is_err() && make("http", "").is_err());
}

proptest! {
    #[test]
    fn anything_is_read_without_a_panic_and_what_was_written_comes_back(
        text in "(mongodb(\\+srv)?://)?[a-z%:@/?&=,.\\[\\]0-9]{0,60}",
        user in "[ -~]{1,12}", password in "\\PC{1,12}",
    ) {
        let _ = MongoAccount::parse(&text);
        let escaped = |text: &str| -> String {
            text.bytes().map(|byte| format!("%{byte:02X}")).collect()
        };
        let string = format!("mongodb://{}:{}@h/", escaped(&user), escaped(&password));
        let known = parse(&string).credentials.unwrap();
        prop_assert_eq!(known.user, user.as_bytes());
        prop_assert_eq!(known.password.expose(), password.as_bytes());
    }
}
