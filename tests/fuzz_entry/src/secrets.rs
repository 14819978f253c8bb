//! References of a connection, files of AWS's tools, and what secret stores answer.

use std::io;
use std::time::{Duration, Instant};

use hoop_lite::http::{Bounds, HeadBounds, Response, ResponseReader};
use hoop_lite::limits;
use hoop_lite::secrets::plan::{Meaning, gather, meaning};
use hoop_lite::secrets::{Fetch, Found, Ini, Needs, Settings, Step, Stores, Trouble, Want, World};

/// Lines of `NAME=value`: each value is a text, a reference of a known form, or refused, and what begins with a
/// provider's word is never a text.
pub fn secret_plan(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut references = Vec::new();
    for line in text.lines() {
        let (name, value) = line.split_once('=').unwrap_or(("X", line));
        match meaning(name, value) {
            Ok(Meaning::Stored(reference)) => {
                let form = format!(
                    "{}:{}:{}",
                    reference.provider.name(),
                    reference.id,
                    reference.key
                );
                assert_eq!(form, value);
                assert!(
                    !reference.id.is_empty() && reference.id.len() <= limits::SECRET_ID_BYTES_MAX
                );
                references.push(reference);
            }
            Ok(Meaning::Itself) => {
                let word = value.split(':').next().unwrap_or("");
                let is_known =
                    ["_aws", "_envjson", "_vaultkv1", "_vaultkv2", "_aws_iam_rds"].contains(&word);
                assert!(!is_known || !value.contains(':'), "{value}");
            }
            Ok(_) | Err(_) => {}
        }
    }
    match gather(&references) {
        Some(wants) => {
            let keys: usize = wants.iter().map(|want| want.keys.len()).sum();
            assert_eq!(keys, references.len());
            !wants.is_empty()
        }
        None => false,
    }
}

/// A file of AWS's tools: values are within it, and without space around.
pub fn aws_ini(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let ini = Ini::read(&text);
    let mut has_any = false;
    for section in [&["default"][..], &["profile", "dev"], &["services", "s"]] {
        for name in [
            "aws_access_key_id",
            "aws_secret_access_key",
            "region",
            "role_arn",
            "source_profile",
        ] {
            if let Some(value) = ini.get(section, name) {
                assert!(ini.has(section) && !value.is_empty() && value.trim() == value);
                assert!(text.contains(value));
                has_any = true;
            }
        }
        has_any |= ini.part(section, "sts", "endpoint_url").is_some();
    }
    has_any
}

/// What stands between two answers.
const CUT: &[u8] = b"\n--\n";
const OWN: &str = "s.what-the-agent-logs-in-with";

/// The first byte says which agent it is and what it wants; then answers as bytes of HTTP, one after the other. It
/// comes to an end, every reference has its value or cause, and nothing of the agent's own is in either.
pub fn secret_fetch(bytes: &[u8]) -> bool {
    let Some((kind, script)) = bytes.split_first() else {
        return false;
    };
    let pieces = usize::from(kind >> 3) + 1;
    let mut answers = script
        .windows(CUT.len())
        .enumerate()
        .filter(|(_, window)| *window == CUT)
        .map(|(at, _)| at)
        .scan(0, |start, at| {
            let answer = script.get(*start..at);
            *start = at + CUT.len();
            Some(answer.unwrap_or_default())
        })
        .collect::<Vec<_>>();
    let last = answers
        .iter()
        .map(|answer| answer.len() + CUT.len())
        .sum::<usize>();
    answers.push(script.get(last..).unwrap_or_default());
    let mut answers = answers.into_iter();
    let (variables, references): (&[(&str, &str)], &[&str]) = match kind & 7 {
        0 => (
            &[("VAULT_ADDR", "https://v"), ("VAULT_TOKEN", OWN)],
            &[
                "_vaultkv2:s/data/x:a",
                "_vaultkv2:s/data/x:",
                "_vaultkv1:k/y:a",
            ],
        ),
        1 => (
            &[
                ("VAULT_ADDR", "http://v:1/p"),
                ("VAULT_APP_ROLE_ID", "role"),
                ("VAULT_APP_ROLE_SECRET_ID", OWN),
            ],
            &["_vaultkv1:k/y:a", "_vaultkv1:k/y:"],
        ),
        2 => (
            &[
                ("AWS_REGION", "r-1"),
                ("AWS_ACCESS_KEY_ID", "A"),
                ("AWS_SECRET_ACCESS_KEY", OWN),
            ],
            &["_aws:x:a", "_aws:x:", "_aws:y:b"],
        ),
        3 => (&[("AWS_REGION", "r-1")], &["_aws:x:a"]),
        4 => (&[], &["_aws:x:a"]),
        5 => (
            &[
                ("AWS_REGION", "r-1"),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
                ("AWS_ROLE_ARN", "arn"),
            ],
            &["_aws:x:a"],
        ),
        6 => (
            &[
                ("AWS_REGION", "r-1"),
                ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c"),
            ],
            &["_aws:x:a"],
        ),
        _ => (
            &[
                ("AWS_REGION", "r-1"),
                ("AWS_ACCESS_KEY_ID", "A"),
                ("AWS_SECRET_ACCESS_KEY", OWN),
            ],
            &[],
        ),
    };
    // Who the agent is to Vault, of which nothing is read.
    let examines = *kind >= 0xf0 && kind & 7 < 2;
    let references = if examines { &[] } else { references };
    let parsed: Vec<_> = references
        .iter()
        .filter_map(|text| match meaning("X", text) {
            Ok(Meaning::Stored(reference)) => Some(reference),
            _ => None,
        })
        .collect();
    let wants: Vec<Want> = gather(&parsed).expect("few");
    let fetch = match kind & 7 {
        _ if examines => Fetch::vault_identity(),
        0 | 1 => Fetch::vault(wants),
        7 => Fetch::aws(wants, Needs::Identity),
        _ => Fetch::aws(wants, Needs::Nothing),
    };
    let found = converse(fetch, variables, &mut || read(answers.next()?, pieces));
    let mut numbers: Vec<usize> = found.values.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..references.len()).collect::<Vec<_>>());
    for note in &found.notes {
        assert!(
            !note.contains(OWN) && !note.chars().any(char::is_control),
            "{note:?}"
        );
    }
    for (_, value) in &found.values {
        match value {
            Ok(value) => {
                let text = String::from_utf8_lossy(value.expose());
                assert!((kind & 7) > 1 || !text.contains(OWN));
                assert!(value.expose().len() <= limits::SECRET_VALUE_BYTES_MAX);
            }
            Err(cause) => assert!(!cause.to_string().chars().any(char::is_control)),
        }
    }
    for fact in &found.facts {
        assert!(
            !fact.contains(OWN) && !fact.chars().any(char::is_control),
            "{fact:?}"
        );
    }
    (found.needs.is_none() && found.facts.len() >= 3)
        || found.values.iter().any(|(_, value)| value.is_ok())
}

fn converse(
    mut fetch: Fetch,
    variables: &[(&str, &str)],
    answer: &mut dyn FnMut() -> Option<Result<Response, Trouble>>,
) -> Found {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    let mut stores = Stores::new(Settings::new(variables));
    let mut world = World {
        stores: &mut stores,
        file: &mut |path| match path {
            "/t" => Ok(b"token".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        now: Instant::now(),
        clock: 1_795_889_096,
    };
    for _ in 0..64 {
        match fetch.next(&mut world) {
            Step::Over => return fetch.finish(),
            Step::Ask(ask) => {
                let request = ask.request.expose_text().expect("text");
                let (head, _) = request.split_once("\r\n\r\n").expect("a whole head");
                assert!(
                    head.lines()
                        .all(|line| line.is_ascii() && !line.contains('\r'))
                );
                assert!(!ask.origin.is_metadata || !ask.origin.is_tls);
                world.now += Duration::from_millis(10);
                match answer() {
                    None => fetch.answered(Err(&Trouble::Broke), &mut world),
                    Some(Ok(response)) => fetch.answered(Ok(&response), &mut world),
                    Some(Err(trouble)) => fetch.answered(Err(&trouble), &mut world),
                }
            }
        }
    }
    panic!("it never ends");
}

/// Bytes of an answer in pieces, then the end of its connection.
fn read(bytes: &[u8], pieces: usize) -> Option<Result<Response, Trouble>> {
    let mut reader = ResponseReader::new(Bounds {
        head: HeadBounds {
            bytes: limits::STORE_HEAD_BYTES_MAX,
            fields: limits::STORE_FIELDS_MAX,
        },
        body_bytes: limits::STORE_BODY_BYTES_MAX,
    });
    for piece in bytes.chunks(bytes.len().div_ceil(pieces).max(1)) {
        if reader.handle_bytes(piece).is_err() {
            return Some(Err(Trouble::Malformed));
        }
    }
    if !reader.is_done() && reader.handle_close().is_err() {
        return Some(Err(Trouble::Broke));
    }
    Some(Ok(reader.into_response()))
}
