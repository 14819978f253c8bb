//! Against a scripted Vault: what is asked, what is read, what is refused.

use super::super::Fetch;
use super::super::testing::{Agent, Answer, Asked, values, wants};
use super::paths::{BAD_PATH, BAD_QUERY, NOT_KV2, OWN_PATH};
use super::*;

const BY_TOKEN: [(&str, &str); 2] = [
    ("VAULT_ADDR", "http://vault:8200/"),
    ("VAULT_TOKEN", "s.own-token-of-the-agent\n"),
];
const BY_ROLE: [(&str, &str); 3] = [
    ("VAULT_ADDR", "https://vault.example"),
    ("VAULT_APP_ROLE_ID", "role-id-of-the-agent"),
    ("VAULT_APP_ROLE_SECRET_ID", "file:///run/secret-id"),
];
const KV2: &str = r#"{"data":{"data":{"password":"p\u00e9","port":5432,"null":null,"deep":{"a":1}},"metadata":{"version":3}}}"#;

fn fetch(texts: &[&str]) -> Fetch {
    Fetch::vault(wants(texts))
}

fn one(text: &str, answer: Answer) -> (Vec<String>, Vec<Result<String, String>>, String) {
    let mut agent = Agent::new(&BY_TOKEN, &[]);
    let (lines, found) = agent.converse(fetch(&[text]), &mut |_| answer.clone());
    (lines, values(&found), found.notes.join("\n"))
}

#[test]
fn a_token_reads_both_versions_over_one_place() {
    let mut agent = Agent::new(&BY_TOKEN, &[]);
    let references = [
        "_vaultkv2:secret/data/db:password",
        "_vaultkv2:secret/data/db:port",
        "_vaultkv2:secret/data/db:deep",
        "_vaultkv2:secret/data/db:null",
        "_vaultkv2:secret/data/db:other",
        "_vaultkv1:kv/db:user",
        "_vaultkv2:db:password",
        "_vaultkv2:/secret/data/a b/\u{e9}?version=3:port",
    ];
    let (lines, found) = agent.converse(fetch(&references), &mut |asked: &Asked<'_>| {
        assert_eq!(
            asked.header("X-Vault-Token"),
            Some("s.own-token-of-the-agent")
        );
        assert_eq!(asked.header("X-Vault-Request"), Some("true"));
        assert_eq!(asked.header("X-Vault-Namespace"), None);
        assert_eq!(asked.header("Host"), Some("vault:8200"));
        Ok((
            200,
            match asked.text.contains("kv/db") {
                true => r#"{"data":{"user":"u","empty":null}}"#.to_owned(),
                false => KV2.to_owned(),
            },
        ))
    });
    assert_eq!(
        lines,
        [
            "GET http://vault:8200/v1/secret/data/db",
            "GET http://vault:8200/v1/kv/db",
            "GET http://vault:8200/v1/secret/data/db",
            "GET http://vault:8200/v1/secret/data/a%20b/%C3%A9?version=3",
        ]
    );
    let read: Vec<_> = values(&found);
    assert_eq!(read[0].as_deref(), Ok("p\u{e9}"));
    assert_eq!(read[1].as_deref(), Ok("5432"));
    assert_eq!(read[2].as_deref(), Ok("{\"a\":1}"));
    assert_eq!(read[3], Err(words::NULL.to_string()));
    assert_eq!(read[4], Err(words::NO_KEY.to_string()));
    assert_eq!(read[5].as_deref(), Ok("u"));
    assert_eq!(
        (read[6].as_deref(), read[7].as_deref()),
        (Ok("p\u{e9}"), Ok("5432"))
    );
}

#[test]
fn an_approle_logs_in_once_and_again_when_its_token_is_refused() {
    let files = [("/run/secret-id", "secret-id-of-the-agent\n")];
    let mut agent = Agent::new(&BY_ROLE, &files);
    agent.stores.settings = Settings::new(
        BY_ROLE
            .iter()
            .chain(&[("VAULT_NAMESPACE", "team/a")])
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())),
    );
    let mut logins = 0;
    let mut refuses = false;
    let open = |agent: &mut Agent, logins: &mut u32, refuses: &mut bool| {
        agent
            .converse(fetch(&["_vaultkv2:secret/data/db:password"]), &mut |asked| {
                assert_eq!(asked.header("X-Vault-Namespace"), Some("team/a"));
                if asked.text.starts_with("POST /v1/auth/approle/login") {
                    *logins += 1;
                    assert_eq!(
                        asked.body(),
                        r#"{"role_id":"role-id-of-the-agent","secret_id":"secret-id-of-the-agent"}"#
                    );
                    assert_eq!(asked.header("X-Vault-Token"), None);
                    return Ok((200, r#"{"auth":{"client_token":"t-1","lease_duration":60,"num_uses":0}}"#.into()));
                }
                assert_eq!(asked.header("X-Vault-Token"), Some("t-1"));
                match std::mem::take(refuses) {
                    true => Ok((403, r#"{"errors":["permission denied"]}"#.into())),
                    false => Ok((200, KV2.into())),
                }
            })
            .1
    };
    for _ in 0..20 {
        let found = open(&mut agent, &mut logins, &mut refuses);
        assert_eq!(values(&found), [Ok("p\u{e9}".to_owned())]);
    }
    assert_eq!(logins, 1);
    agent.pass(39);
    open(&mut agent, &mut logins, &mut refuses);
    assert_eq!(logins, 1);
    // Two thirds of its lease are over.
    agent.pass(2);
    open(&mut agent, &mut logins, &mut refuses);
    assert_eq!(logins, 2);
    refuses = true;
    let found = open(&mut agent, &mut logins, &mut refuses);
    assert_eq!(
        (logins, values(&found)),
        (3, vec![Ok("p\u{e9}".to_owned())])
    );
}

#[test]
fn a_secret_that_is_not_permitted_costs_no_login_each() {
    let files = [("/run/secret-id", "s")];
    let mut agent = Agent::new(&BY_ROLE, &files);
    let mut logins = 0;
    for number in 0..20 {
        let (_, found) = agent.converse(
            fetch(&["_vaultkv2:secret/data/db:password"]),
            &mut |asked| {
                if asked.text.starts_with("POST") {
                    logins += 1;
                    let body = r#"{"auth":{"client_token":"t-1","lease_duration":6000}}"#;
                    return Ok((200, body.into()));
                }
                Ok((403, r#"{"errors":["permission denied"]}"#.into()))
            },
        );
        assert!(
            values(&found)[0]
                .clone()
                .unwrap_err()
                .contains("permission denied"),
            "{number}"
        );
        agent.pass(1);
    }
    assert_eq!(logins, 2);
}

#[test]
fn what_the_agents_variables_lack_is_named() {
    let cause = |variables: &[(&str, &str)], files: &[(&str, &str)]| {
        let mut agent = Agent::new(variables, files);
        let references = ["_vaultkv1:a/b:c", "_vaultkv2:a/b:c"];
        let (lines, found) =
            agent.converse(fetch(&references), &mut |_| panic!("nothing is asked"));
        assert!(lines.is_empty());
        let mut all = values(&found);
        assert_eq!(all.len(), 2);
        all.pop().unwrap().unwrap_err()
    };
    let address = ("VAULT_ADDR", "http://v:1");
    for (variables, wanted) in [
        (&[][..], "VAULT_TOKEN"),
        (&[address], "VAULT_TOKEN"),
        (&[("VAULT_TOKEN", "t")], "VAULT_ADDR"),
        (
            &[("VAULT_TOKEN", "t"), ("VAULT_ADDR", "v:1")],
            "VAULT_ADDR is no URL",
        ),
        (
            &[address, ("VAULT_TOKEN", "a\nb")],
            "VAULT_TOKEN is no token",
        ),
        (
            &[address, ("VAULT_TOKEN", "file:///none")],
            "the file of the agent's VAULT_TOKEN",
        ),
        (
            &[address, ("VAULT_TOKEN", "base64://!!")],
            "VAULT_TOKEN is not base64",
        ),
        (
            &[address, ("VAULT_APP_ROLE_ID", "r")],
            "VAULT_APP_ROLE_SECRET_ID env is empty",
        ),
        (
            &[address, ("VAULT_APP_ROLE_SECRET_ID", "r")],
            "VAULT_APP_ROLE_ID env is empty",
        ),
        (
            &[address, ("VAULT_TOKEN", "t"), ("VAULT_CACERT", "/none")],
            "the file of the agent's VAULT_CACERT",
        ),
    ] {
        let text = cause(variables, &[]);
        assert!(text.contains(wanted), "{text}");
    }
    let empty = cause(&[address, ("VAULT_TOKEN", "file:///t")], &[("/t", " \n")]);
    assert!(empty.contains("empty file"), "{empty}");
    let strange = [address, ("VAULT_TOKEN", "t"), ("VAULT_CACERT", "/ca.der")];
    let strange = cause(&strange, &[("/ca.der", "0\u{82}")]);
    assert!(
        strange.contains("VAULT_CACERT leads to a file without"),
        "{strange}"
    );
}

#[test]
fn an_id_that_leads_elsewhere_is_never_asked_for() {
    for (text, wanted) in [
        ("_vaultkv1:auth/token/lookup-self:id", OWN_PATH),
        ("_vaultkv2:auth/token/lookup-self:id", OWN_PATH),
        ("_vaultkv1:ns1/auth/token/lookup-self:id", OWN_PATH),
        ("_vaultkv1:sys/mounts:x", OWN_PATH),
        ("_vaultkv1:ns1/sys/mounts:x", OWN_PATH),
        ("_vaultkv1:identity/entity:x", OWN_PATH),
        ("_vaultkv1:cubbyhole/x:x", OWN_PATH),
        ("_vaultkv1:%61uth/token/lookup-self:id", OWN_PATH),
        ("_vaultkv1:a/../sys/x:y", BAD_PATH),
        ("_vaultkv1:a/%2e%2e/sys/x:y", BAD_PATH),
        ("_vaultkv1:a//b:y", BAD_PATH),
        ("_vaultkv1:a/./b:y", BAD_PATH),
        ("_vaultkv1:a/b#c:y", BAD_PATH),
        ("_vaultkv1:a/b%0d%0ac:y", BAD_PATH),
        ("_vaultkv1:a/b%zz:y", BAD_PATH),
        ("_vaultkv1:a/b/:y", BAD_PATH),
        ("_vaultkv1:a/b%3fx=y:y", BAD_PATH),
        ("_vaultkv2:a/data/b?version=x:y", BAD_QUERY),
        ("_vaultkv2:a/data/b?list=true:y", BAD_QUERY),
        ("_vaultkv2:a/data/b?version=1&x=y:y", BAD_QUERY),
    ] {
        let (lines, values, _) = one(text, Ok((200, KV2.into())));
        assert!(lines.is_empty(), "{text} {lines:?}");
        assert_eq!(values, [Err(wanted.to_string())], "{text}");
    }
    // Keys of an engine are called what they like.
    let (lines, ..) = one(
        "_vaultkv2:secret/data/sys/auth/token:password",
        Ok((200, KV2.into())),
    );
    assert_eq!(
        lines,
        ["GET http://vault:8200/v1/secret/data/sys/auth/token"]
    );
}

#[test]
fn what_the_agent_logs_in_with_is_no_secret_of_a_session() {
    let body = |value: &str| format!(r#"{{"data":{{"id":"{value}"}}}}"#);
    for value in ["s.own-token-of-the-agent", "x s.own-token-of-the-agent"] {
        let (_, values, _) = one("_vaultkv1:kv/x:id", Ok((200, body(value))));
        assert_eq!(values, [Err(words::OWN.to_string())]);
    }
    let (_, values, _) = one(
        "_vaultkv1:kv/x:",
        Ok((200, body("s.own-token-of-the-agent"))),
    );
    assert_eq!(values, [Err(words::OWN.to_string())]);
    let (_, values, _) = one("_vaultkv1:kv/x:id", Ok((200, body("s.own"))));
    assert_eq!(values, [Ok("s.own".to_owned())]);
}

#[test]
fn redirects_lead_to_the_same_host_or_from_tls_to_tls() {
    let go = |address: &str, place: &str| {
        let mut agent = Agent::new(&[("VAULT_ADDR", address), ("VAULT_TOKEN", "t")], &[]);
        let place = place.to_owned();
        let (lines, found) = agent.converse(
            fetch(&["_vaultkv2:s/data/x:password"]),
            &mut |asked| match asked.text.contains("GET /v1/s/data/x ")
                && asked.place.contains("vault")
            {
                true => Ok((307, format!("Location: {place}\n\n"))),
                false => Ok((200, KV2.into())),
            },
        );
        (lines.len(), values(&found)[0].is_ok())
    };
    assert_eq!(go("http://vault:1", "http://vault:2/v1/y"), (2, true));
    assert_eq!(go("http://vault:1", "/v1/y"), (2, true));
    assert_eq!(go("http://vault:1", "https://vault/v1/y"), (2, true));
    assert_eq!(
        go("https://vault", "https://active.example:8200/v1/y"),
        (2, true)
    );
    assert_eq!(go("http://vault:1", "http://evil/v1/y"), (1, false));
    assert_eq!(go("http://vault:1", "https://evil/v1/y"), (1, false));
    assert_eq!(go("https://vault", "http://vault/v1/y"), (1, false));
    assert_eq!(go("https://vault", "//evil/v1/y"), (1, false));
    assert_eq!(go("https://vault", "https://u:p@evil/v1/y"), (1, false));
    // One alone.
    assert_eq!(go("http://vault:1", "/v1/s/data/x"), (2, false));
}

#[test]
fn a_login_is_never_sent_elsewhere() {
    let mut agent = Agent::new(&BY_ROLE, &[("/run/secret-id", "s")]);
    let (lines, found) = agent.converse(fetch(&["_vaultkv1:a/b:c"]), &mut |_| {
        Ok((307, "Location: https://vault.example/v1/other\n\n".into()))
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(
        values(&found),
        [Err("Vault answered with status 307".to_owned())]
    );
}

#[test]
fn users_read_a_cause_and_the_log_what_vault_says() {
    let denied = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
    for (status, body, cause, note) in [
        (
            403,
            denied,
            "Vault answered permission denied (403)",
            "permission denied",
        ),
        (
            403,
            r#"{"errors":["secret-in-words"]}"#,
            "Vault answered with status 403",
            "secret-in-words",
        ),
        (404, r#"{"errors":[]}"#, NOT_FOUND.to_string().leak(), "404"),
        (
            503,
            r#"{"errors":["s3cret"]}"#,
            "Vault answered with status 503",
            "503",
        ),
        (500, "s3cret", "Vault answered with status 500", "500"),
        (200, "s3cret", words::MALFORMED.to_string().leak(), ""),
        (
            200,
            r#"{"data":{"x":"s3cret"}}"#,
            NOT_KV2.to_string().leak(),
            "",
        ),
        (
            200,
            r#"{"data":{"data":null,"metadata":{"version":2}}}"#,
            NOT_FOUND.to_string().leak(),
            "",
        ),
    ] {
        let (_, values, notes) = one("_vaultkv2:s/data/x:y", Ok((status, body.into())));
        assert_eq!(values, [Err(cause.to_owned())]);
        assert!(notes.contains(note) && !notes.contains("s3cret"), "{notes}");
        assert!(!notes.contains('\n'));
    }
    let (_, values, notes) = one(
        "_vaultkv1:s/x:y",
        Err(Trouble::Unreachable("connect: refused".into())),
    );
    assert_eq!(values, [Err("Vault can't be reached".to_owned())]);
    assert!(notes.contains("vault:8200") && notes.contains("connect: refused"));
    let (_, values, _) = one(
        "_vaultkv1:s/x:y",
        Ok((200, r#"{"data":{"y":"a","z":1}}"#.into())),
    );
    assert_eq!(values, [Err(words::NO_TEXT.to_string())]);
}

#[test]
fn a_certificate_that_fails_is_not_the_gateways_switch() {
    let mut agent = Agent::new(
        &[
            ("VAULT_ADDR", "https://v"),
            ("VAULT_TOKEN", "t"),
            ("HOOP_TLS_SKIP_VERIFY", "true"),
        ],
        &[],
    );
    let (_, found) = agent.converse(fetch(&["_vaultkv1:a/b:c"]), &mut |_| {
        Err(Trouble::Tls("x".into()))
    });
    let text = values(&found)[0].clone().unwrap_err();
    assert!(
        text.contains("VAULT_CACERT") && text.contains("VAULT_SKIP_VERIFY=true"),
        "{text}"
    );
}

use super::super::Settings;
