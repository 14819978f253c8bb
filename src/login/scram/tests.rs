//! The RFC's own conversation, other people's texts, and passwords that SASLprep changes.

use proptest::prelude::*;

use super::*;

/// RFC 7677, section 3, whose client names its user: PostgreSQL's does not, so the text that is
/// signed is put together here.
#[test]
fn the_conversation_of_rfc_7677_holds() {
    let first = ClientFirst {
        bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(),
    };
    // `answered` looks for the nonce behind an empty name.
    let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let mut keys = Keys::new();
    let (nonce, salt, rounds) = parse_first(server_first.as_bytes()).unwrap();
    let last = format!("c=biws,r={nonce}");
    let mut deriving = Deriving {
        derivation: keys.derivation(b"pencil", &salt, rounds),
        signed: format!("{},{server_first},{last}", first.bare).into_bytes(),
        last,
    };
    let (message, proof) = loop {
        if let Some(done) = deriving.answer() {
            break done;
        }
        keys.work();
    };
    assert_eq!(
        message,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let server_final = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(proof.verify(server_final), Ok(()));
}

fn answered(text: &str) -> Result<(), ScramError> {
    let first = ClientFirst::new(&[0; 18]);
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
        let derivation = keys.derivation(password, salt, rounds);
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
        .map(|number| keys.derivation(b"p", &number.to_be_bytes(), 1 + 1024))
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
        .map(|_| keys.derivation(b"p", b"salt", 1 + 4096))
        .collect();
    let other = keys.derivation(b"p", b"another", 1_000_000);
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
        rounds in 1u32..3000,
    ) {
        let mut keys = Keys::new();
        let derivation = keys.derivation(&password, &salt, rounds);
        let key = loop {
            if let Some(key) = derivation.key() {
                break key;
            }
            keys.work();
        };
        let mut salted = [0; 32];
        let rounds = rounds.try_into().unwrap();
        let algorithm = ring::pbkdf2::PBKDF2_HMAC_SHA256;
        ring::pbkdf2::derive(algorithm, rounds, &salt, &password, &mut salted);
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let sign = |label: &[u8]| hmac::sign(&salted, label).as_ref().to_vec();
        prop_assert_eq!(key.client(), sign(b"Client Key"));
        prop_assert_eq!(key.server(), sign(b"Server Key"));
    }

    #[test]
    fn any_password_can_be_prepared_and_grows_never(text: String) {
        prop_assert!(prepare(text.as_bytes()).expose().len() <= text.len());
    }
}
