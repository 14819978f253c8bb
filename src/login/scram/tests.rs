//! The RFC's own conversation, other people's texts, and passwords that SASLprep changes.

use proptest::prelude::*;

use super::*;

/// RFC 7677, section 3.
#[test]
fn the_conversation_of_rfc_7677_holds() {
    converse(
        Hash::Sha256,
        ["rOprNGfwEbeRWgbNEkqO", "pencil"],
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    );
}

/// MongoDB's authentication specification; the password is a digest of it there.
#[test]
fn the_conversation_of_mongodbs_specification_holds() {
    let password = server::mongo_password(b"user", b"pencil");
    converse(
        Hash::Sha1,
        ["fyko+d2lbbFgONRv9qkxdawL", password.expose_text().unwrap()],
        "r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,\
         s=rQ9ZY3MntBeuP3E1TDVC4w==,i=10000",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,\
         p=MC2T8BvbmWRckDw8oWl5IVghwCY=",
        "v=UMWeI25JD1yNYZRMpZ4VHvhZ9e0=",
    );
}

fn converse(hash: Hash, [nonce, password]: [&str; 2], first: &str, last: &str, verdict: &str) {
    let mut keys = Keys::new();
    let mut ours = ClientFirst::new(hash, "user", &[0; 18]).with_rounds_min(4096);
    ours.bare = ours.bare.replace(&ours.nonce, nonce);
    ours.nonce = nonce.to_owned();
    assert_eq!(ours.message(), format!("n,,n=user,r={nonce}"));
    let answered = ours.answered(first.as_bytes(), &Secret::new(password), &mut keys);
    let mut deriving = answered.unwrap_or_else(|error| panic!("{error}"));
    let (message, proof) = loop {
        if let Some(done) = deriving.answer() {
            break done;
        }
        keys.work();
    };
    assert_eq!(message, last);
    assert_eq!(proof.verify(verdict.as_bytes()), Ok(()));
}

/// Both of our sides, with a user's name that has to be escaped.
fn with_ourselves(hash: Hash, password: &str) -> Result<(), ScramError> {
    let mut keys = Keys::new();
    let first = ClientFirst::new(hash, "a=b,c", &[1; 18]);
    let message = first.message();
    let hello = server::ClientHello::read(message.as_bytes())?;
    assert_eq!(hello.user(), "a=b,c");
    let challenge = hello.challenge(hash, b"noop", &[2; 18], &mut keys);
    let question = challenge.message().to_owned();
    let mut deriving = first.answered(question.as_bytes(), &Secret::new(password), &mut keys)?;
    let (message, proof) = loop {
        if let Some(done) = deriving.answer() {
            break done;
        }
        keys.work();
    };
    let judging = challenge.answered(message.as_bytes())?;
    let verdict = loop {
        if let Some(verdict) = judging.verdict() {
            break verdict?;
        }
        keys.work();
    };
    proof.verify(verdict.as_bytes())
}

#[test]
fn our_two_sides_agree_on_a_password_and_on_no_other() {
    for hash in [Hash::Sha1, Hash::Sha256] {
        assert_eq!(with_ourselves(hash, "noop"), Ok(()));
        assert_eq!(with_ourselves(hash, "other"), Err(ScramError::Refused));
    }
}

#[test]
fn a_client_must_speak_scram_and_answer_to_our_challenge() {
    for wrong in [
        "",
        "n,,",
        "p=x,,n=a,r=b",
        "n,a=x,n=a,r=b",
        "n,,n=a",
        "n,,n=a,r=",
        "n,,r=b,n=a",
    ] {
        let read = server::ClientHello::read(wrong.as_bytes());
        assert!(read.is_err(), "{wrong}");
    }
    let long = format!("n,,n=a,r={}", "b".repeat(5000));
    assert!(server::ClientHello::read(long.as_bytes()).is_err());
    assert!(server::ClientHello::read(b"n,,n=\xff,r=b").is_err());
    let challenge = || {
        let hello = server::ClientHello::read(b"y,,n=a,r=b").unwrap();
        hello.challenge(Hash::Sha256, b"noop", &[0; 18], &mut Keys::new())
    };
    let nonce = &challenge().message()["r=".len()..][..25].to_owned();
    let proof = base64::encode(&[0; 32]);
    let answer = |text: String| challenge().answered(text.as_bytes()).is_ok();
    assert!(answer(format!("c=eSws,r={nonce},p={proof}")));
    assert!(!answer(format!("c=biws,r={nonce},p={proof}")));
    assert!(!answer(format!("c=eSws,r={nonce}x,p={proof}")));
    assert!(!answer(format!("c=eSws,r={nonce},p=AAAA")) && !answer(String::new()));
}

#[test]
fn a_server_that_asks_for_too_little_work_is_refused_where_none_does() {
    let first = ClientFirst::new(Hash::Sha256, "", &[0; 18]).with_rounds_min(4096);
    let text = b"r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=AAAA,i=4095";
    let answer = first.answered(text, &Secret::new("x"), &mut Keys::new());
    assert_eq!(answer.err(), Some(ScramError::TooFewRounds));
}

fn answered(text: &str) -> Result<(), ScramError> {
    let first = ClientFirst::new(Hash::Sha256, "", &[0; 18]);
    assert_eq!(first.message(), "n,,n=,r=AAAAAAAAAAAAAAAAAAAAAAAA");
    let password = Secret::new("x");
    let answer = first.answered(text.as_bytes(), &password, &mut Keys::new());
    answer.map(|_| ())
}

#[test]
fn a_servers_first_message_must_answer_to_ours_and_ask_for_bounded_work() {
    let ours = "AAAAAAAAAAAAAAAAAAAAAAAA";
    let with = |nonce: &str, salt: &str, rounds: &str| {
        answered(&format!("r={ours}{nonce},s={salt},i={rounds}"))
    };
    assert_eq!(with("x", "AAAA", "4096"), Ok(()));
    assert_eq!(with("x", "AAAA", "1000000,x=later"), Ok(()));
    assert_eq!(with("x", "AAAA", "1000001"), Err(ScramError::TooManyRounds));
    assert_eq!(
        with("x", "AAAA", "999999999"),
        Err(ScramError::TooManyRounds)
    );
    for rounds in ["0", "-1", "+1", "4096 ", "", "00000000001", "99999999999"] {
        assert_eq!(
            with("x", "AAAA", rounds),
            Err(ScramError::Malformed),
            "{rounds}"
        );
    }
    for (nonce, salt) in [
        ("", "AAAA"),
        ("x", ""),
        ("x", "A"),
        ("\u{7f}", "AAAA"),
        ("ü", "AAAA"),
    ] {
        assert_eq!(with(nonce, salt, "4096"), Err(ScramError::Malformed));
    }
    let long = "x".repeat(5000);
    assert_eq!(with(&long, "AAAA", "4096"), Err(ScramError::Malformed));
    for text in [
        "",
        "r=BBBBBBBBBBBBBBBBBBBBBBBBx,s=AAAA,i=1",
        "m=x,r=AAAA,s=AAAA,i=1",
        "e=other",
    ] {
        assert_eq!(answered(text), Err(ScramError::Malformed), "{text}");
    }
}

#[test]
fn a_servers_last_message_is_its_proof_an_error_or_nothing() {
    let proof = || ServerProof {
        hash: Hash::Sha256,
        key: Secret::new("k"),
        signed: b"text".to_vec(),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"k");
    let right = base64::encode(hmac::sign(&key, b"text").as_ref());
    assert_eq!(proof().verify(format!("v={right}").as_bytes()), Ok(()));
    assert_eq!(proof().verify(format!("v={right},x=1").as_bytes()), Ok(()));
    for (text, error) in [
        ("v=AAAA", ScramError::Impostor),
        ("v=", ScramError::Impostor),
        ("v=!", ScramError::Malformed),
        ("e=invalid-proof", ScramError::Refused),
        ("", ScramError::Malformed),
    ] {
        assert_eq!(proof().verify(text.as_bytes()), Err(error), "{text}");
    }
}

#[test]
fn keys_are_kept_by_password_salt_and_rounds_and_only_so_many() {
    let mut keys = Keys::new();
    let make = |keys: &mut Keys, password: &[u8], salt: &[u8], rounds| {
        let derivation = keys.derivation(Hash::Sha256, password, salt, rounds);
        let was_known = matches!(derivation, Derivation::Known(_));
        while derivation.key().is_none() {
            keys.work();
        }
        was_known
    };
    assert!(!make(&mut keys, b"ab", b"c", 10));
    assert!(make(&mut keys, b"ab", b"c", 10));
    assert!(!make(&mut keys, b"a", b"bc", 10) && !make(&mut keys, b"ab", b"c", 11));
    for number in 0..2 * limits::SCRAM_KEYS_KEPT {
        make(&mut keys, b"ab", b"c", 10);
        make(&mut keys, &number.to_be_bytes(), b"salt", 1);
        assert!(keys.len() <= limits::SCRAM_KEYS_KEPT);
    }
    assert!(make(&mut keys, b"ab", b"c", 10), "what is in use stays");
    assert!(!make(&mut keys, b"a", b"bc", 10));
    keys.clear();
    assert_eq!(keys.len(), 0);
}

#[test]
fn derivations_share_a_turn_and_take_turns() {
    let mut keys = Keys::new();
    let all: Vec<_> = (0_u32..100)
        .map(|number| keys.derivation(Hash::Sha256, b"p", &number.to_be_bytes(), 1 + 1024))
        .collect();
    let mut turns = 0;
    while keys.has_work() {
        keys.work();
        turns += 1;
        let is_first_done = all[0].key().is_some();
        assert!(!is_first_done || turns > 50, "everybody comes first once");
    }
    assert!(all.iter().all(|one| one.key().is_some()));
    assert_eq!(turns, 100 * 1024 / limits::SCRAM_ROUNDS_PER_TURN);
}

#[test]
fn one_derivation_is_for_all_who_need_the_same_and_ends_with_the_last() {
    let mut keys = Keys::new();
    let all: Vec<_> = (0..150)
        .map(|_| keys.derivation(Hash::Sha256, b"p", b"salt", 1 + 4096))
        .collect();
    let other = keys.derivation(Hash::Sha256, b"p", b"another", 1_000_000);
    drop(other);
    let mut turns = 0;
    while all[149].key().is_none() {
        keys.work();
        turns += 1;
    }
    assert_eq!(turns, 4096 / limits::SCRAM_ROUNDS_PER_TURN);
    assert!(all.iter().all(|one| one.key().is_some()));
    assert!(!keys.has_work() && keys.len() == 1);
}

#[test]
fn passwords_are_prepared_as_the_server_prepares_them() {
    for (password, prepared) in [
        ("plain", "plain"),
        ("a\u{1}b", "a\u{1}b"),
        ("no\u{a0}break", "no break"),
        ("soft\u{ad}hyphen", "softhyphen"),
        ("zero\u{200b}width", "zero width"),
        ("gr\u{fc}n", "gr\u{fc}n"),
        // Refused by SASLprep itself, so used as they are.
        ("a\u{a0}\u{1f600}", "a\u{a0}\u{1f600}"),
        ("a\u{ad}\u{e000}", "a\u{ad}\u{e000}"),
        ("a\u{ad}\u{80}", "a\u{ad}\u{80}"),
        ("a\u{ad}\u{5d0}", "a\u{ad}\u{5d0}"),
        ("\u{5d0}\u{ad}1", "\u{5d0}\u{ad}1"),
        ("\u{5d0}\u{ad}\u{5d1}", "\u{5d0}\u{5d1}"),
        ("\u{ad}", "\u{ad}"),
    ] {
        let got = prepare(password.as_bytes());
        assert_eq!(got.expose_text(), Some(prepared), "{password:?}");
    }
    assert_eq!(prepare(b"\xa0\xff").expose(), b"\xa0\xff");
}

proptest! {
    #[test]
    fn portions_of_a_derivation_come_to_what_ring_derives_at_once(
        password: Vec<u8>, salt in proptest::collection::vec(any::<u8>(), 1..40),
        rounds in 1u32..3000, is_short: bool,
    ) {
        let (hash, algorithm) = match is_short {
            true => (Hash::Sha1, ring::pbkdf2::PBKDF2_HMAC_SHA1),
            false => (Hash::Sha256, ring::pbkdf2::PBKDF2_HMAC_SHA256),
        };
        let mut keys = Keys::new();
        let derivation = keys.derivation(hash, &password, &salt, rounds);
        let key = loop {
            if let Some(key) = derivation.key() {
                break key;
            }
            keys.work();
        };
        let mut salted = vec![0; hash.bytes()];
        let rounds = rounds.try_into().unwrap();
        ring::pbkdf2::derive(algorithm, rounds, &salt, &password, &mut salted);
        let salted = hash.key(&salted);
        let sign = |label: &[u8]| hmac::sign(&salted, label).as_ref().to_vec();
        prop_assert_eq!(key.client(), sign(b"Client Key"));
        prop_assert_eq!(key.server(), sign(b"Server Key"));
    }

    #[test]
    fn any_password_can_be_prepared_and_grows_never(text: String) {
        prop_assert!(prepare(text.as_bytes()).expose().len() <= text.len());
    }

    #[test]
    fn whatever_a_client_says_first_and_last_is_read_or_refused(
        first in prop_oneof!["[nyp],,n=[a-z=,]{0,9},r=[!-~]{0,9}", any::<String>()],
        last in proptest::collection::vec(any::<u8>(), 0..60),
        proof in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut keys = Keys::new();
        if let Ok(hello) = server::ClientHello::read(first.as_bytes()) {
            let _ = hello.user();
            let mut challenge = || hello.challenge(Hash::Sha1, b"noop", &[7; 18], &mut keys);
            let words = challenge().message().to_owned();
            prop_assert!(challenge().answered(&last).is_err());
            let nonce = words.strip_prefix("r=").and_then(|it| it.split(",s=").next());
            let header = base64::encode(&first.as_bytes()[..3]);
            let shown = base64::encode(&proof);
            let last = format!("c={header},r={},p={shown}", nonce.unwrap_or_default());
            let judged = challenge().answered(last.as_bytes());
            prop_assert_eq!(judged.is_ok(), proof.len() == Hash::Sha1.bytes());
        }
    }
}
