use proptest::prelude::*;

use super::{A, Say, asked, ip, record, reply};
use crate::dns::message::{Question, RecordType, Reply};

fn question(name: &str) -> Question {
    Question::new(0x1234, name, RecordType::A).unwrap()
}

fn known() -> (Question, Vec<u8>) {
    let question = question("db.example");
    let message = reply(&question.encode(), &Say::Addresses(vec![ip("192.0.2.1")])).unwrap();
    (question, message)
}

#[test]
fn a_question_is_written_as_dns_wants_it() {
    let message = question("db.example").encode();
    let expected =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x07example\x00\x00\x01\x00\x01";
    assert_eq!(message, expected);
    assert_eq!(asked(&message), ("db.example".to_owned(), A));
}

#[test]
fn what_can_not_be_a_name_is_no_question() {
    let long = ["x".repeat(63).as_str(); 4].join(".");
    for name in ["", ".", "a..b", ".a", "a.", &"x".repeat(64), &long] {
        assert!(Question::new(1, name, RecordType::A).is_none(), "{name}");
    }
    let longest = &long[..253];
    assert_eq!(question(longest).encode().len(), 12 + 255 + 4);
}

#[test]
fn records_of_the_type_are_taken_and_others_passed_over() {
    let (question, message) = known();
    let Some(Reply::Records(records)) = question.read(&message) else {
        panic!("no records");
    };
    assert_eq!(records, [&[192, 0, 2, 1]]);
}

#[test]
fn an_answer_to_another_question_is_none() {
    let (question, message) = known();
    let changed = |at: usize, bit: u8| {
        let mut message = message.clone();
        message[at] ^= bit;
        question.read(&message).is_some()
    };
    for (at, bit, why) in [
        (0, 1, "the id"),
        (1, 1, "the id"),
        (2, 0x80, "a query"),
        (2, 0x08, "another operation"),
        (5, 3, "two questions"),
        (13, 1, "the name"),
        (12, 1, "the name's length"),
        (25, 1, "the type"),
        (27, 2, "the class"),
    ] {
        assert!(!changed(at, bit), "{why}");
    }
    assert!(changed(13, 0x20), "in capitals it is the same name");
    assert!(question.read(&message[..11]).is_none());
    assert!(question.read(&question.encode()).is_none());
}

#[test]
fn codes_tell_what_is_not_there_from_what_failed() {
    let question = question("db.example");
    let query = question.encode();
    for (code, want) in [
        (3, Reply::NoName),
        (1, Reply::Failure),
        (2, Reply::Failure),
        (5, Reply::Failure),
    ] {
        let message = reply(&query, &Say::Code(code)).unwrap();
        assert_eq!(question.read(&message), Some(want), "{code}");
    }
    let empty = reply(&query, &Say::Code(0)).unwrap();
    assert_eq!(question.read(&empty), Some(Reply::Records(vec![])));
}

#[test]
fn a_server_that_only_knows_others_has_failed() {
    let question = question("db.example");
    let mut message = reply(&question.encode(), &Say::Code(0)).unwrap();
    message[3] = 0;
    assert_eq!(question.read(&message), Some(Reply::Failure));
    message[2] |= 4;
    assert_eq!(question.read(&message), Some(Reply::Records(vec![])));
}

#[test]
fn an_error_without_the_question_counts_and_an_answer_does_not() {
    let question = question("db.example");
    let header = |code: u8| [0x12, 0x34, 0x81, 0x80 | code, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(question.read(&header(1)), Some(Reply::Failure));
    assert_eq!(question.read(&header(4)), Some(Reply::Failure));
    assert_eq!(question.read(&header(0)), None);
    assert_eq!(question.read(&header(3)), None);
}

#[test]
fn what_is_cut_off_is_no_answer_unless_it_says_so() {
    let (question, mut message) = known();
    message.truncate(message.len() - 1);
    assert_eq!(question.read(&message), Some(Reply::Failure));
    message[2] |= 2;
    assert_eq!(question.read(&message), Some(Reply::Truncated(vec![])));
}

#[test]
fn a_name_that_points_to_itself_ends() {
    let question = question("db.example");
    let mut message = question.encode();
    message[2..4].copy_from_slice(&[0x81, 0x80]);
    message[7] = 2;
    let own = u8::try_from(message.len()).unwrap();
    message.extend([0xc0, own, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    message.extend(record(A, &[192, 0, 2, 2]));
    let Some(Reply::Records(records)) = question.read(&message) else {
        panic!("no records");
    };
    assert_eq!(records.len(), 2);
    // A length that no label has.
    message[usize::from(own)] = 0x80;
    assert_eq!(question.read(&message), Some(Reply::Failure));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_keep_much(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        is_ours in any::<bool>(),
    ) {
        let question = question("db.example");
        let mut message = bytes;
        if is_ours {
            let mut head = question.encode();
            head[2..4].copy_from_slice(&[0x81, 0x80]);
            head[6..8].copy_from_slice(&[0xff, 0xff]);
            message.splice(0..0, head);
        }
        if let Some(Reply::Records(records) | Reply::Truncated(records)) = question.read(&message) {
            prop_assert!(records.len() <= 64);
        }
    }

    #[test]
    fn what_a_server_says_is_what_is_read(last in proptest::collection::vec(any::<u8>(), 0..40)) {
        let question = question("a.b.example");
        let addresses = last.iter().map(|last| [192, 0, 2, *last].into()).collect();
        let message = reply(&question.encode(), &Say::Addresses(addresses)).unwrap();
        let Some(Reply::Records(records)) = question.read(&message) else {
            return Err(TestCaseError::fail("no records"));
        };
        let read: Vec<u8> = records.iter().map(|data| data[3]).collect();
        prop_assert_eq!(read, last);
    }
}
