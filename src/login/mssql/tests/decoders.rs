//! Vectors and properties of the decoders.

use proptest::prelude::*;

use super::super::Envelope;
use super::super::login7::{Identity, Login7};
use super::super::packets::{Malformed, framed, kind, message};
use super::super::prelogin::{encryption, rewritten};
use super::super::reply::{Reply, Route, reply};
use crate::base::Address;

#[test]
fn a_password_is_written_as_the_documents_say() {
    let body = loopback_gateway::mssql::Login7::default().encoded(4088);
    let login = Login7::parse(body[8..].to_vec()).unwrap();
    let identity = Identity {
        user: "real",
        password: "s3cret",
        server: "db",
        database: None,
        is_strict: false,
    };
    let (written, end) = login.rewritten(&identity).unwrap();
    let want = b"\x92\xa5\x96\xa5\x93\xa5\x82\xa5\xf3\xa5\xe2\xa5";
    assert_eq!(&written.expose()[end - want.len()..end], want);
}

/// A server's reply as one was recorded: it sends its clients on, by way of a database's name.
#[test]
fn a_reply_is_read_up_to_what_is_not_known() {
    let routing = b"\xe3\x1a\0\x14\x15\0\0\x98\x2b\x08\0d\0b\0.\0l\0o\0c\0a\0l\0\0\0";
    let ack = b"\xad\x08\0\x01\x74\0\0\x04\0\0\0";
    let info = b"\xab\x06\0\x45\x16\0\0\x02\0";
    let body = [&routing[..], info, ack, b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0"].concat();
    let server = Address {
        host: "db.local".to_owned(),
        port: 11_160,
    };
    assert_eq!(
        reply(&body),
        Reply {
            access: Some(routing.len() + info.len() + 4),
            error: None,
            route: Some(Route::To("db.local".to_owned(), server)),
        }
    );
    let error = b"\xaa\x08\0\x18\x48\0\0\x01\x0e\0\0";
    assert_eq!(reply(&[&error[..], ack].concat()).error, Some(18456));
    assert_eq!(reply(&[b"\x81\0\0", &ack[..]].concat()), Reply::default());
    // Features, a session's state, a return status are passed over.
    let passed = b"\xae\x0a\x01\0\0\0\x01\xff\xe4\x01\0\0\0\x07\x79\0\0\0\0";
    assert!(reply(&[&passed[..], ack].concat()).access.is_some());
}

proptest! {
    #[test]
    fn a_message_is_the_same_whatever_its_packets(
        body in proptest::collection::vec(any::<u8>(), 1..9000), payload in 1_usize..5000, late in 0_usize..9,
    ) {
        let own = framed(kind::LOGIN7, &body);
        let theirs = loopback_gateway::mssql::framed(kind::LOGIN7, &body, payload);
        for mut bytes in [own, theirs] {
            let len = bytes.len();
            prop_assert_eq!(message(&bytes[..len - 1], kind::LOGIN7), Ok(None));
            bytes.resize(len + late, 0);
            let read = message(&bytes, kind::LOGIN7).unwrap().unwrap();
            prop_assert_eq!((&read.body, read.len), (&body, len));
            prop_assert_eq!(message(&bytes, kind::REPLY), Err(Malformed));
        }
    }

    #[test]
    fn an_envelope_gives_back_what_was_put_in_however_it_is_cut(
        words in proptest::collection::vec(any::<u8>(), 0..9000), piece in 1_usize..5000,
    ) {
        let mut sealed = Vec::new();
        Envelope::seal(&words, &mut |packet| sealed.extend_from_slice(packet));
        let mut envelope = Envelope::default();
        let mut opened = Vec::new();
        for piece in sealed.chunks_mut(piece) {
            let kept = envelope.open(piece);
            opened.extend_from_slice(&piece[..kept]);
        }
        prop_assert_eq!(opened, words);
    }

    #[test]
    fn a_rewritten_prelogin_says_what_it_is_told_to(
        options in proptest::collection::vec((0_u8..9, proptest::collection::vec(any::<u8>(), 0..40)), 0..9),
        word in 0_u8..5,
    ) {
        let options: Vec<(u8, &[u8])> = options.iter().map(|(token, value)| (*token, &value[..])).collect();
        let body = loopback_gateway::mssql::prelogin_of(&options);
        let again = rewritten(&body, word).unwrap();
        prop_assert_eq!(encryption(&again), Ok(Some(word)));
        prop_assert_eq!(rewritten(&again, word), Ok(again.clone()));
        for (token, value) in loopback_gateway::mssql::options(&again) {
            prop_assert!(token <= 5);
            let theirs = options.iter().find(|(it, _)| *it == token);
            match token {
                1 => prop_assert_eq!(value, [word]),
                4 => prop_assert_eq!(value, [0]),
                _ => prop_assert!(theirs.is_none_or(|(_, it)| *it == value)),
            }
        }
    }
}
