//! `doctor --secrets`: who the agent is to its stores, and what commands reach of the machine's own addresses.

use hoop_lite::admin::OutputForm;
use hoop_lite::doctor::metadata::MetadataPlaces;
use loopback_gateway::{Gateway, Security};

use crate::admin_support::{Mock, certificate, response};
use crate::{NAMED, NOWHERE, Seen, examine, examine_at, named};

const KEY: &str = "k3y-of-the-agent";
const TOKEN: &str = "s.t0ken-of-the-agent";
const SECRET_ID: &str = "s3cret-id-of-the-agent";
/// Nobody listens there.
const NOBODY: (&str, &str) = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");

/// What is found with these variables, beside those of a gateway that is there.
fn ask(variables: &[(&str, &str)]) -> Seen {
    let gateway = Gateway::start(Security::Plain);
    let key = gateway.register("dev", "standard");
    let mut all = gateway.environment(&key);
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    all.extend(variables.iter().map(owned));
    if !all.iter().any(|(name, _)| name == "HOME") {
        all.push(("HOME".to_owned(), "/nonexistent".to_owned()));
    }
    let seen = examine(OutputForm::Text, &all, true);
    for secret in [KEY, TOKEN, SECRET_ID] {
        assert!(!seen.text.contains(secret), "{}", seen.text);
    }
    seen
}

fn url(mock: &Mock) -> String {
    format!("http://{}", mock.address)
}

/// Knows whoever signs.
fn sts() -> Mock {
    Mock::plain(|_| {
        response(
            200,
            "<R><Arn>arn:aws:sts::123456789012:assumed-role/agent/i-1</Arn></R>",
        )
    })
}

/// An instance with a role.
fn instance() -> Mock {
    Mock::plain(|line| {
        let path = line.split(' ').nth(1).unwrap();
        match path {
            "/latest/api/token" => response(200, "imds-token"),
            "/latest/meta-data/iam/security-credentials/" => response(200, "agent-role\n"),
            "/latest/meta-data/iam/security-credentials/agent-role" => response(
                200,
                r#"{"Code":"Success","AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"k3y-of-the-agent","Token":"s.t0ken-of-the-agent","Expiration":"2099-01-02T03:04:05Z"}"#,
            ),
            "/latest/meta-data/placement/region" => response(200, "eu-west-1"),
            _ => response(404, ""),
        }
    })
}

#[test]
fn nothing_that_is_set_up_is_no_problem() {
    let seen = ask(&[NOBODY]);
    let aws = &seen.of("aws")[0];
    for wanted in [
        "ok none is set up: the agent has no AWS credentials",
        "credentials by the machine's own address (EC2)",
        "passed over: the environment's access key (not set), AWS_WEB_IDENTITY_TOKEN_FILE (not set), \
         the profile (there is none), the container's address (not set)",
    ] {
        assert!(aws.contains(wanted), "{aws}");
    }
    assert_eq!(
        seen.of("vault"),
        [
            "ok none is set up: the agent has no way into Vault: set VAULT_TOKEN, or VAULT_APP_ROLE_ID and VAULT_APP_ROLE_SECRET_ID, \
             where it runs"
        ]
    );
    assert_eq!(seen.of("metadata").len(), 1);
    assert_eq!(seen.code, 0, "{}", seen.text);
}

#[test]
fn a_key_of_the_environment_is_named_by_its_ends_with_its_owner_and_region() {
    let sts = sts();
    let variables = [
        NOBODY,
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        ("AWS_DEFAULT_REGION", "us-west-2"),
        ("AWS_ENDPOINT_URL", &url(&sts)),
    ];
    let seen = ask(&variables);
    assert_eq!(
        seen.of("aws"),
        [
            "ok credentials by the environment's access key; key AKIA...MPLE without an end; region us-west-2 by \
             AWS_DEFAULT_REGION; to Amazon it is arn:aws:sts::123456789012:assumed-role/agent/i-1"
        ]
    );
    assert_eq!(seen.code, 0, "{}", seen.text);
    let asked = sts.seen();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].ends_with("Action=GetCallerIdentity&Version=2011-06-15"));
}

#[test]
fn what_amazon_refuses_and_what_the_agent_does_not_take_are_failures() {
    let sts = Mock::plain(|_| {
        response(
            403,
            "<E><Code>InvalidClientTokenId</Code><Message>The token\x1b[2J is invalid</Message></E>",
        )
    });
    let url = url(&sts);
    let refused = [
        NOBODY,
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        ("AWS_REGION", "us-west-2"),
        ("AWS_ENDPOINT_URL", &url),
    ];
    let file = std::env::temp_dir().join(format!("hoop-lite-aws-{}", std::process::id()));
    let sso = "[profile dev]\nsso_start_url = https://x.awsapps.com/start\n";
    let process = "[profile dev]\ncredential_process = /bin/keys\n";
    let mfa = "[profile dev]\nrole_arn = arn:r\nmfa_serial = arn:m\nsource_profile = dev\n";
    let of_profile = [
        NOBODY,
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_CONFIG_FILE", file.to_str().unwrap()),
        ("AWS_PROFILE", "dev"),
    ];
    let cases: [(&str, &[_], &[&str]); 4] = [
        (
            sso,
            &refused,
            &[
                "STS answered InvalidClientTokenId (403)",
                "key of an unusual form",
                "The token[2J is invalid",
            ],
        ),
        (
            sso,
            &of_profile,
            &["(SSO)", "access key (half of the pair)"],
        ),
        (process, &of_profile, &["(credential_process)"]),
        (mfa, &of_profile, &["(mfa_serial)"]),
    ];
    for (config, variables, wanted) in cases {
        std::fs::write(&file, config).unwrap();
        let seen = ask(variables);
        let aws = &seen.of("aws")[0];
        assert!(aws.starts_with("FAIL "), "{aws}");
        for wanted in wanted {
            assert!(aws.contains(wanted), "{aws}");
        }
        assert_eq!(seen.code, 1, "{}", seen.text);
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_role_of_the_machine_is_told_and_that_commands_have_it_too() {
    let (instance, sts) = (instance(), sts());
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url(&instance)[..]),
        ("AWS_ENDPOINT_URL_STS", &url(&sts)),
    ];
    let seen = ask(&variables);
    let aws = &seen.of("aws")[0];
    for wanted in [
        "ok credentials by the machine's own address (EC2); key ASIA...MPLE until 2099-01-02T03:04:05Z, ",
        "region eu-west-1 by the instance",
        "assumed-role/agent/i-1",
        "the container's address (not set)",
    ] {
        assert!(aws.contains(wanted), "{aws}");
    }
    let metadata = &seen.of("metadata")[0];
    assert!(
        metadata.starts_with("warn http://127.0.0.1:")
            && metadata.contains(" gives commands of sessions this machine's role agent-role, "),
        "{metadata}"
    );
    assert!(metadata.contains("hop limit of 1"), "{metadata}");
    assert_eq!(seen.code, 0, "{}", seen.text);
}

/// What commands reach, where these are a machine's and a container's addresses.
fn reached(machine: &[&str], container: &[&str], variables: &[(&str, &str)]) -> String {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables: Vec<_> = variables.iter().map(owned).collect();
    let places = MetadataPlaces { machine, container };
    let seen = examine_at(OutputForm::Text, &variables, false, places);
    seen.of("metadata")[0].clone()
}

#[test]
fn what_the_addresses_of_machines_and_containers_give_to_commands_is_told() {
    let bare = Mock::plain(|line| match line.starts_with("PUT") {
        true => response(200, "imds-token"),
        false => response(404, ""),
    });
    let other = Mock::plain(|_| response(400, "Bad Request"));
    // Its first version gives the role to whoever asks without a token.
    let first = Mock::plain(|line| match line.starts_with("PUT") {
        true => response(403, ""),
        false => response(200, &"old-role".repeat(100)),
    });
    for (mock, wanted) in [
        (
            &bare,
            "ok {} answers commands of sessions, without a role of EC2",
        ),
        (
            &other,
            "warn {} answers commands of sessions: of another cloud, perhaps",
        ),
        (
            &first,
            "warn {} gives commands of sessions this machine's role old-role",
        ),
    ] {
        let place = url(mock);
        let text = reached(&[&place], NOWHERE, &[]);
        assert!(text.starts_with(&wanted.replace("{}", &place)), "{text}");
        assert!(text.len() < 600, "{text}");
        // Where the agent itself asks elsewhere, commands reach both.
        let text = reached(&[&place], NOWHERE, &[NOBODY]);
        assert!(text.contains(&place), "{text}");
    }
    let place = url(&other);
    let text = reached(NOWHERE, &[&place], &[]);
    let wanted = format!("warn {place} answers: a command that knows the path or token file");
    assert!(text.starts_with(&wanted), "{text}");
    let text = reached(NOWHERE, NOWHERE, &[]);
    assert_eq!(
        text,
        "ok no such address of AWS answers: commands of sessions find no role of this machine"
    );
}

#[test]
fn a_role_that_amazon_refuses_is_a_failure_though_no_variable_chose_it() {
    let instance = instance();
    let sts = Mock::plain(|_| response(403, "<E><Code>AccessDenied</Code></E>"));
    let seen = ask(&[
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url(&instance)),
        ("AWS_ENDPOINT_URL_STS", &url(&sts)),
    ]);
    let aws = &seen.of("aws")[0];
    assert!(
        aws.starts_with("FAIL STS answered AccessDenied (403); "),
        "{aws}"
    );
    assert_eq!(seen.code, 1);
}

#[test]
fn what_chooses_no_credentials_sets_nothing_up() {
    let seen = ask(&[
        NOBODY,
        ("AWS_REGION", "us-west-2"),
        ("AWS_PROFILE", ""),
        ("AWS_PAGER", "less"),
        ("AWS_CA_BUNDLE", "/nonexistent"),
        ("VAULT_SKIP_VERIFY", "true"),
        ("VAULT_TOKEN", ""),
    ]);
    for store in ["aws", "vault"] {
        let text = &seen.of(store)[0];
        assert!(
            text.starts_with("ok none is set up: the agent has no "),
            "{text}"
        );
    }
    assert_eq!(seen.code, 0, "{}", seen.text);
}

#[test]
fn a_profile_of_no_use_that_nobody_has_named_is_a_warning() {
    let home = std::env::temp_dir().join(format!("hoop-lite-home-{}", std::process::id()));
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    let config = "[default]\nsso_start_url = https://x.awsapps.com/start\n";
    std::fs::write(home.join(".aws/config"), config).unwrap();
    let seen = ask(&[NOBODY, ("HOME", home.to_str().unwrap())]);
    std::fs::remove_dir_all(home).unwrap();
    let aws = &seen.of("aws")[0];
    assert!(aws.starts_with("warn ") && aws.contains("(SSO)"), "{aws}");
    assert_eq!(seen.code, 0, "{}", seen.text);
}

#[test]
fn vaults_token_is_looked_up_and_its_certificate_told() {
    let (config, pem) = certificate(named());
    let vault = Mock::tls(config, |line| {
        assert_eq!(line, "GET /v1/auth/token/lookup-self HTTP/1.1");
        response(200, r#"{"data":{"id":"s.t0ken-of-the-agent","ttl":3600}}"#)
    });
    let address = format!("https://{NAMED}:{}", vault.address.port());
    let with = |more: &[(&str, &str)]| {
        let mut variables = vec![
            NOBODY,
            ("VAULT_ADDR", &address[..]),
            ("VAULT_TOKEN", TOKEN),
            ("VAULT_NAMESPACE", "team-a"),
        ];
        variables.extend(more);
        let seen = ask(&variables);
        (seen.of("vault")[0].clone(), seen.code)
    };
    let place = format!("{address}, namespace team-a by VAULT_TOKEN");
    assert_eq!(
        with(&[("VAULT_CACERT", &pem)]),
        (
            format!("ok {place}; certificate trusted by VAULT_CACERT; its token lives for 3600 s"),
            0
        )
    );
    assert!(vault.seen()[0].contains("\r\nX-Vault-Namespace: team-a\r\n"));
    let (text, code) = with(&[]);
    assert!(
        text.starts_with("FAIL Vault could not be asked: TLS failed")
            && text.contains(&place)
            && text
                .contains("is not signed by an authority that is trusted here: set VAULT_CACERT")
            && text.contains("VAULT_SKIP_VERIFY=true"),
        "{text}"
    );
    assert_eq!(code, 1);
    let (text, _) = with(&[("HOOP_TLS_SKIP_VERIFY", "true")]);
    assert!(
        text.contains("HOOP_TLS_SKIP_VERIFY is for the gateway alone")
            && text.contains("VAULT_SKIP_VERIFY=true"),
        "{text}"
    );
    let (text, code) = with(&[("VAULT_SKIP_VERIFY", "true")]);
    assert!(
        text.starts_with("warn ") && text.contains("NOT checked") && text.contains("3600 s"),
        "{text}"
    );
    assert_eq!(code, 0);
}

#[test]
fn an_approles_login_is_told_by_its_lease_and_its_token_goes_again() {
    let vault = Mock::plain(|line| match line {
        "POST /v1/auth/approle/login HTTP/1.1" => response(
            200,
            r#"{"auth":{"client_token":"s.t0ken-of-the-agent","lease_duration":1200}}"#,
        ),
        "POST /v1/auth/token/revoke-self HTTP/1.1" => response(204, ""),
        line => panic!("{line}"),
    });
    let address = url(&vault);
    let variables = [
        NOBODY,
        ("VAULT_ADDR", &address[..]),
        ("VAULT_APP_ROLE_ID", "role"),
        ("VAULT_APP_ROLE_SECRET_ID", SECRET_ID),
    ];
    let seen = ask(&variables);
    assert_eq!(
        seen.of("vault"),
        [format!(
            "ok {address} by AppRole (a use of its secret id); its token lives for 1200 s; no TLS: its URL is http://"
        )]
    );
    let asked = vault.seen();
    assert!(asked.len() == 2 && asked[1].contains("\r\nContent-Length: 0\r\n"));
}

#[test]
fn a_login_that_says_little_and_a_token_that_stays_are_told() {
    let vault = Mock::plain(|line| match line.contains("approle/login") {
        true => response(200, r#"{"auth":{"client_token":"s.t0ken-of-the-agent"}}"#),
        false => response(403, r#"{"errors":["permission denied"]}"#),
    });
    let address = url(&vault);
    let seen = ask(&[
        NOBODY,
        ("VAULT_ADDR", &address[..]),
        ("VAULT_APP_ROLE_ID", "role"),
        ("VAULT_APP_ROLE_SECRET_ID", SECRET_ID),
    ]);
    let text = &seen.of("vault")[0];
    for wanted in [
        "does not say how long its token lives",
        "is left to its end",
    ] {
        assert!(text.starts_with("warn ") && text.contains(wanted), "{text}");
    }
}

#[test]
fn a_token_that_vault_refuses_and_half_a_pair_are_failures_and_a_standby_is_none() {
    let refusing = |status: u16, body: &'static str| {
        let vault = Mock::plain(move |_| response(status, body));
        let address = url(&vault);
        let variables = [NOBODY, ("VAULT_ADDR", &address[..]), ("VAULT_TOKEN", TOKEN)];
        let seen = ask(&variables);
        (seen.of("vault")[0].clone(), seen.code)
    };
    let invalid = r#"{"errors":["permission denied","invalid token"]}"#;
    let (text, code) = refusing(403, invalid);
    assert!(
        text.starts_with("FAIL Vault refuses the agent's token (403)"),
        "{text}"
    );
    assert_eq!(code, 1);
    let (text, code) = refusing(403, r#"{"errors":["permission denied"]}"#);
    assert!(
        text.starts_with("warn ") && text.contains("look itself up"),
        "{text}"
    );
    assert_eq!(code, 0);
    let reflected = format!(r#"{{"errors":["bad header X-Vault-Token: {TOKEN}"]}}"#);
    let (text, _) = refusing(400, reflected.leak());
    assert!(
        text.contains("struck out") && !text.contains(TOKEN),
        "{text}"
    );
    for other in ["<html>please log in</html>", r#"{"data":{"ttl":"long"}}"#] {
        let (text, code) = refusing(200, other);
        assert!(
            text.starts_with("FAIL the store's answer is not what its kind answers"),
            "{text}"
        );
        assert_eq!(code, 1);
    }
    let (text, _) = refusing(200, r#"{"data":{"ttl":60,"num_uses":3}}"#);
    assert!(
        text.starts_with("warn ") && text.contains("left: 3"),
        "{text}"
    );
    let (text, code) = refusing(307, "");
    assert!(
        text.starts_with("warn ") && text.contains("to another node"),
        "{text}"
    );
    assert_eq!(code, 0);
    let (text, code) = refusing(503, r#"{"errors":["Vault is sealed"]}"#);
    assert!(
        text.starts_with("FAIL Vault answered with status 503"),
        "{text}"
    );
    assert_eq!(code, 1);
    let half = [
        NOBODY,
        ("VAULT_ADDR", "http://127.0.0.1:1"),
        ("VAULT_APP_ROLE_ID", "role"),
    ];
    let seen = ask(&half);
    let wanted = "FAIL VAULT_APP_ROLE_ID env is set but VAULT_APP_ROLE_SECRET_ID env is empty";
    assert!(seen.of("vault")[0].starts_with(wanted), "{}", seen.text);
}

#[test]
fn without_the_flag_no_store_is_asked() {
    let vault = Mock::plain(|_| response(500, ""));
    let address = url(&vault);
    let variables = [("VAULT_ADDR", &address[..]), ("VAULT_TOKEN", TOKEN)];
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables: Vec<_> = variables.iter().map(owned).collect();
    let seen = examine(OutputForm::Text, &variables, false);
    assert!(seen.of("vault").is_empty() && seen.of("aws").is_empty());
    assert!(vault.seen().is_empty());
}
