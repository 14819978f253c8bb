//! Against scripted AWS: the order of the chain, what is asked, what is read.

use super::super::testing::{Agent, Answer, Asked, CLOCK, values, wants};
use super::super::{Fetch, Trouble};
use super::identity::{Needs, Role};
use super::tokens::Mint;

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"ASIAMACHINE","SecretAccessKey":"k","Token":"tok","Expiration":"2026-11-28T20:04:56Z"}"#;
const XML: &str = "<R><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>tok</SessionToken>\
    <Expiration>2026-11-28T19:04:56Z</Expiration></Credentials></R>";
const SECRET: &str = r#"{"Name":"prod/db","SecretString":"{\"password\":\"p\",\"port\":5432,\"big\":12345678901234567890,\"n\":null}"}"#;

/// AWS as it should be.
fn aws(asked: &Asked<'_>) -> Answer {
    let line = asked.line();
    Ok((
        200,
        match () {
            () if line.contains("/latest/api/token") => "imds-token".into(),
            () if line.ends_with("/security-credentials/") => "my role\n".into(),
            () if line.contains("/security-credentials/") => KEYS.into(),
            () if line.contains("/placement/region") => "eu-central-1".into(),
            () if asked.body().starts_with("Action=Assume") => XML.into(),
            () if asked.is_metadata => KEYS.into(),
            () => SECRET.into(),
        },
    ))
}

fn secret() -> Fetch {
    Fetch::aws(wants(&["_aws:prod/db:password"]), Needs::Nothing)
}

/// What was asked, or the cause where that is the end of it; the key that the secret was asked with.
fn way(variables: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let mut agent = Agent::new(variables, files);
    let mut key = String::new();
    let (lines, found) = agent.converse(secret(), &mut |asked| {
        if let Some(signed) = asked
            .header("authorization")
            .and_then(|it| it.split("Credential=").nth(1))
        {
            key = signed.split('/').next().unwrap().to_owned();
        }
        aws(asked)
    });
    let steps: Vec<&str> = lines
        .iter()
        .map(|line| match line {
            line if line.contains("/latest/api/token") => "imds",
            line if line.contains("169.254.169.254") || line.contains("fd00:ec2::254") => "",
            line if line.contains("169.254.170.2") => "container",
            line if line.contains("sts") => "sts",
            line if line.contains("secretsmanager") || line.contains("sm.example") => "",
            _ => "container",
        })
        .filter(|step| !step.is_empty())
        .collect();
    match values(&found).pop().unwrap() {
        Ok(value) => {
            assert_eq!(value, "p");
            [&steps[..], &[&key[..]]].concat().join(" ")
        }
        Err(cause) => cause,
    }
}

const REGION: (&str, &str) = ("AWS_REGION", "us-west-2");
const ID: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AKENV");
const KEY: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "k");
const RELATIVE: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
const FULL: (&str, &str) = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "http://169.254.170.23/v1/x",
);
const TOKEN_FILE: (&str, &str) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t");
const ROLE: (&str, &str) = ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
const NO_EC2: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "TRUE");
const HOME: (&str, &str) = ("HOME", "/h");
const DEV: (&str, &str) = ("AWS_PROFILE", "dev");

/// One row of the table: a name, variables, `~/.aws/config`, `~/.aws/credentials`, Go's choice, ours.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a str, &'a str);

/// The order in which Go's SDK 1.41.5 looks (config/resolve_credentials.go), and ours. Where the two differ the
/// second says why.
#[test]
fn the_chain_goes_as_gos_does() {
    const K: &str = "aws_access_key_id = AKFILE\naws_secret_access_key = k\n";
    const K2: &str = "aws_access_key_id = AKBASE\naws_secret_access_key = k\n";
    let s = |text: &str| -> &'static str { text.to_owned().leak() };
    let default = s(&format!("[default]\n{K}"));
    let dev = s(&format!("[profile dev]\n{K}"));
    let short_dev = s(&format!("[dev]\n{K}"));
    let based = s(&format!(
        "[profile dev]\nrole_arn=arn:r\nsource_profile=base\n[profile base]\n{K2}"
    ));
    let rows: &[Row<'_>] = &[
        // Environment.
        (&[REGION, ID, KEY], "", "", "AKENV", ""),
        (
            &[REGION, ("AWS_ACCESS_KEY", "AKOLD"), ("AWS_SECRET_KEY", "k")],
            "",
            "",
            "AKOLD",
            "",
        ),
        (
            &[REGION, ID, ("AWS_ACCESS_KEY", "AKOLD"), KEY],
            "",
            "",
            "AKENV",
            "",
        ),
        (&[REGION, ID, KEY, DEV], dev, "", "AKENV", ""),
        (
            &[REGION, ID, KEY, TOKEN_FILE, ROLE, RELATIVE],
            "",
            "",
            "AKENV",
            "",
        ),
        (&[REGION, ID], "", "", "imds ASIAMACHINE", ""),
        (&[REGION, KEY], "", "", "imds ASIAMACHINE", ""),
        (&[REGION, ID, RELATIVE], "", "", "container ASIAMACHINE", ""),
        // Web identity.
        (&[REGION, TOKEN_FILE, ROLE], "", "", "sts ASIAROLE", ""),
        (
            &[REGION, TOKEN_FILE, ROLE, RELATIVE, FULL],
            default,
            "",
            "sts ASIAROLE",
            "",
        ),
        (
            &[REGION, TOKEN_FILE, ROLE, DEV],
            dev,
            "",
            "sts ASIAROLE",
            "",
        ),
        (&[REGION, TOKEN_FILE], "", "", "AWS_ROLE_ARN", ""),
        (&[REGION, ROLE], "", "", "imds ASIAMACHINE", ""),
        (&[TOKEN_FILE, ROLE], "", "", "AWS_REGION", ""),
        // Files.
        (&[REGION], default, "", "AKFILE", ""),
        (&[REGION], "", default, "AKFILE", ""),
        (&[REGION, RELATIVE], default, "", "AKFILE", ""),
        (&[REGION, FULL], "", default, "AKFILE", ""),
        (&[REGION], dev, "", "imds ASIAMACHINE", ""),
        (&[REGION, DEV], dev, "", "AKFILE", ""),
        (&[REGION, DEV], "", short_dev, "AKFILE", ""),
        (&[REGION, DEV], short_dev, "", "in neither file", ""),
        (
            &[REGION, ("AWS_DEFAULT_PROFILE", "dev")],
            dev,
            "",
            "AKFILE",
            "",
        ),
        (&[REGION, DEV], default, "", "in neither file", ""),
        (
            &[REGION],
            s(&format!("[default]\n{K2}")),
            default,
            "AKFILE",
            "",
        ),
        (
            &[REGION],
            "[default]\naws_access_key_id = AK\n",
            "",
            "half of a pair",
            "",
        ),
        (
            &[REGION],
            "[default]\naws_access_key_id = AK\n",
            "[default]\naws_secret_access_key = k\n",
            "half of a pair",
            "",
        ),
        (
            &[REGION, RELATIVE],
            "",
            "[default]\naws_secret_access_key = k\n",
            "half of a pair",
            "",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nrole_arn=arn:r\nsource_profile=base\n[profile base]\naws_access_key_id=A\n",
            "",
            "half of a pair",
            "",
        ),
        (
            &[REGION, ID, KEY],
            "[default]\naws_access_key_id = AK\n",
            "",
            "partial credentials",
            "AKENV",
        ),
        (
            &[REGION],
            "[default]\naws_access_key_id = AK\n",
            default,
            "AKFILE",
            "",
        ),
        (
            &[REGION],
            default,
            "[default]\naws_access_key_id = AK\n",
            "half of a pair",
            "",
        ),
        (
            &[REGION],
            "[default]\naws_access_key_id = AK\n",
            "[default]\nregion = us-west-1\n",
            "imds ASIAMACHINE",
            "",
        ),
        (
            &[REGION, DEV],
            s(&format!(
                "[profile dev]\nrole_arn=arn:r\nsource_profile=base\n[profile base]\nsource_profile=x\ncredential_source=Environment\n{K2}"
            )),
            "",
            "sts ASIAROLE",
            "",
        ),
        (
            &[REGION, DEV],
            s(&format!(
                "[profile dev]\nrole_arn=arn:r\nsource_profile=base\n[profile base]\nrole_arn=arn:b\nsource_profile=none\n{K2}"
            )),
            "",
            "sts sts ASIAROLE",
            "",
        ),
        (
            &[REGION],
            "[default]\naws_access_key_id = AKFILE\n  aws_secret_access_key = k\n",
            "",
            "AKFILE",
            "",
        ),
        (
            &[REGION],
            "[default]\naws_access_key_id: AKFILE\naws_secret_access_key: k\n",
            "",
            "AKFILE",
            "",
        ),
        (
            &[REGION, DEV],
            s(&format!(
                "[profile dev]\nrole_arn=arn:r\nsource_profile=base\ncredential_source=Environment\n[profile base]\n{K2}"
            )),
            "",
            "two of source_profile",
            "",
        ),
        (&[REGION, DEV], based, "", "sts ASIAROLE", ""),
        (
            &[REGION, DEV],
            s(&format!(
                "[profile dev]\nrole_arn=arn:r\nsource_profile=dev\n{K}"
            )),
            "",
            "sts ASIAROLE",
            "",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nrole_arn=arn:r\nsource_profile=none\n",
            "",
            "in neither file",
            "",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nrole_arn=a\nsource_profile=b\n[profile b]\nrole_arn=a\nsource_profile=dev\n",
            "",
            "in a circle",
            "",
        ),
        (
            &[REGION, DEV, ID, KEY],
            "[profile dev]\nrole_arn=arn:r\ncredential_source=Environment\n",
            "",
            "AKENV",
            "",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nrole_arn=arn:r\ncredential_source=Environment\n",
            "",
            "keys from the environment",
            "",
        ),
        (
            &[REGION, DEV, RELATIVE],
            "[profile dev]\nrole_arn=arn:r\ncredential_source=EcsContainer\n",
            "",
            "container sts ASIAROLE",
            "",
        ),
        (
            &[REGION, DEV, RELATIVE],
            "[profile dev]\nrole_arn=arn:r\ncredential_source=Ec2InstanceMetadata\n",
            "",
            "imds sts ASIAROLE",
            "",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nrole_arn=arn:r\nweb_identity_token_file=/t\n",
            "",
            "sts ASIAROLE",
            "",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nrole_arn=arn:r\n",
            "",
            "imds sts ASIAROLE",
            "",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nsso_session=x\n",
            "",
            "sso",
            "SSO",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nsso_start_url=x\n",
            "",
            "sso",
            "SSO",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nlogin_session=x\n",
            "",
            "login",
            "SSO",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\ncredential_process=/bin/x\n",
            "",
            "process",
            "credential_process",
        ),
        (
            &[REGION, DEV],
            "[profile dev]\nrole_arn=arn:r\nsource_profile=base\nmfa_serial=m\n[profile base]\naws_access_key_id=A\naws_secret_access_key=k\n",
            "",
            "a token provider",
            "mfa_serial",
        ),
        // Containers.
        (&[REGION, RELATIVE], "", "", "container ASIAMACHINE", ""),
        (&[REGION, FULL], "", "", "container ASIAMACHINE", ""),
        (
            &[REGION, RELATIVE, FULL],
            "",
            "",
            "container ASIAMACHINE",
            "",
        ),
        (
            &[
                REGION,
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    "http://127.0.0.1:9/x?y=z",
                ),
            ],
            "",
            "",
            "container ASIAMACHINE",
            "",
        ),
        (
            &[
                REGION,
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    "https://keeper.example/x",
                ),
            ],
            "",
            "",
            "container ASIAMACHINE",
            "",
        ),
        (
            &[
                REGION,
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    "http://keeper.example/x",
                ),
            ],
            "",
            "",
            "only loopback/ecs/eks",
            "neither https, nor loopback",
        ),
        (
            &[
                REGION,
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/x"),
            ],
            "",
            "",
            "only loopback/ecs/eks",
            "neither https, nor loopback",
        ),
        // The machine.
        (&[REGION], "", "", "imds ASIAMACHINE", ""),
        (
            &[REGION, NO_EC2],
            "",
            "",
            "no EC2 IMDS role found",
            "no AWS credentials",
        ),
        (
            &[REGION, ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")],
            "",
            "",
            "imds ASIAMACHINE",
            "",
        ),
        // Region: Go never asks the machine for it.
        (&[], "", "", "Missing Region", "imds ASIAMACHINE"),
        (&[ID, KEY], "", "", "Missing Region", "set AWS_REGION"),
        (
            &[ID, KEY, ("AWS_DEFAULT_REGION", "us-east-1")],
            "",
            "",
            "AKENV",
            "",
        ),
        (
            &[ID, KEY],
            "[default]\nregion = us-east-1\n",
            "",
            "AKENV",
            "",
        ),
    ];
    assert!(rows.len() >= 40);
    for (variables, config, credentials, gos, ours) in rows {
        let mut all = variables.to_vec();
        all.push(HOME);
        let mut files = vec![("/t", "web-token\n")];
        if !config.is_empty() {
            files.push(("/h/.aws/config", config));
        }
        if !credentials.is_empty() {
            files.push(("/h/.aws/credentials", credentials));
        }
        let wanted = if ours.is_empty() { gos } else { ours };
        let found = way(&all, &files);
        let is_right = match wanted.contains("AK") || wanted.contains("ASIA") {
            true => found == *wanted,
            false => found.contains(wanted),
        };
        assert!(
            is_right,
            "{variables:?} {config:?} {credentials:?}: {found} instead of {wanted}"
        );
    }
}

#[test]
fn requests_are_those_that_each_service_wants() {
    let variables = [REGION, TOKEN_FILE, ROLE, ("AWS_ROLE_SESSION_NAME", "me@x")];
    let mut agent = Agent::new(&variables, &[("/t", "web.token\n")]);
    let mut bodies = Vec::new();
    let (lines, found) = agent.converse(secret(), &mut |asked| {
        bodies.push(asked.body().to_owned());
        if asked.text.contains("SecretId") {
            assert_eq!(
                asked.header("content-type"),
                Some("application/x-amz-json-1.1")
            );
            assert_eq!(
                asked.header("x-amz-target"),
                Some("secretsmanager.GetSecretValue")
            );
            assert_eq!(asked.header("x-amz-security-token"), Some("tok"));
            assert_eq!(asked.header("x-amz-date"), Some("20261128T180456Z"));
            let signed =
                "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target,";
            assert!(asked.header("authorization").unwrap().contains(signed));
        } else {
            assert_eq!(asked.header("authorization"), None);
        }
        aws(asked)
    });
    assert_eq!(
        lines,
        [
            "POST https://sts.us-west-2.amazonaws.com:443/",
            "POST https://secretsmanager.us-west-2.amazonaws.com:443/"
        ]
    );
    assert_eq!(
        bodies[0],
        "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me%40x\
         &Version=2011-06-15&WebIdentityToken=web.token"
    );
    assert_eq!(bodies[1], r#"{"SecretId":"prod/db"}"#);
    assert_eq!(values(&found), [Ok("p".to_owned())]);
    // They are kept: the next session asks for its secret alone, until five minutes before their end.
    assert_eq!(agent.converse(secret(), &mut aws).0.len(), 1);
    agent.pass(3600 - 300);
    assert_eq!(agent.converse(secret(), &mut aws).0.len(), 2);
}

#[test]
fn the_machines_address_is_asked_in_two_versions() {
    let with = |variables: &[(&str, &str)], token: Answer| {
        let mut agent = Agent::new(variables, &[]);
        let mut seen = Vec::new();
        let (lines, found) = agent.converse(secret(), &mut |asked| {
            if !asked.is_metadata {
                return aws(asked);
            }
            seen.push(
                asked
                    .header("x-aws-ec2-metadata-token")
                    .unwrap_or("-")
                    .to_owned(),
            );
            match asked.text.starts_with("PUT") {
                true => {
                    assert_eq!(
                        asked.header("x-aws-ec2-metadata-token-ttl-seconds"),
                        Some("300")
                    );
                    token.clone()
                }
                false => aws(asked),
            }
        });
        let again = agent.converse(secret(), &mut aws).0.len();
        (
            lines.len(),
            seen.join(" "),
            values(&found).pop().unwrap(),
            again,
        )
    };
    let (count, seen, value, again) = with(&[REGION], Ok((200, "imds-token".into())));
    assert_eq!((count, &seen[..], again), (4, "- imds-token imds-token", 1));
    assert_eq!(value, Ok("p".into()));
    for refused in [
        Ok((403, String::new())),
        Ok((404, String::new())),
        Ok((405, String::new())),
        Err(Trouble::Silent),
    ] {
        let (count, seen, value, _) = with(&[REGION], refused.clone());
        assert_eq!((count, &seen[..], value), (4, "- - -", Ok("p".into())));
        let (count, _, value, _) =
            with(&[REGION, ("AWS_EC2_METADATA_V1_DISABLED", "true")], refused);
        assert_eq!(count, 1);
        assert!(value.unwrap_err().contains("hop limit"));
    }
    let (count, _, value, _) = with(&[REGION], Ok((400, String::new())));
    assert!(count == 1 && value.is_err());
    // Who is not there is not asked again for a while.
    let (count, _, value, again) = with(&[REGION], Err(Trouble::Unreachable("x".into())));
    assert_eq!((count, again), (1, 0));
    assert!(value.unwrap_err().contains("no AWS credentials"));
}

#[test]
fn a_dead_address_is_asked_again_after_half_a_minute() {
    let mut agent = Agent::new(&[REGION], &[]);
    let mut dead = |_: &Asked<'_>| Err(Trouble::Unreachable("x".into()));
    assert_eq!(agent.converse(secret(), &mut dead).0.len(), 1);
    agent.pass(29);
    assert_eq!(agent.converse(secret(), &mut dead).0.len(), 0);
    agent.pass(1);
    assert_eq!(agent.converse(secret(), &mut aws).0.len(), 4);
}

#[test]
fn a_containers_token_is_read_each_time_and_trimmed() {
    let variables = [
        REGION,
        FULL,
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/c"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other"),
    ];
    let mut agent = Agent::new(&variables, &[("/c", "from-file\n")]);
    let (lines, _) = agent.converse(secret(), &mut |asked| {
        if asked.is_metadata {
            assert_eq!(asked.header("authorization"), Some("from-file"));
        }
        aws(asked)
    });
    assert_eq!(lines[0], "GET http://169.254.170.23:80/v1/x");
    let mut agent = Agent::new(&variables, &[]);
    let (lines, found) = agent.converse(secret(), &mut |_| panic!("nothing is asked"));
    assert!(
        lines.is_empty()
            && values(&found)[0]
                .clone()
                .unwrap_err()
                .contains("AUTHORIZATION_TOKEN_FILE")
    );
}

#[test]
fn every_kind_of_value_is_read() {
    let read = |references: &[&str], body: &str| {
        let mut agent = Agent::new(&[REGION, ID, KEY], &[]);
        let fetch = Fetch::aws(wants(references), Needs::Nothing);
        values(&agent.converse(fetch, &mut |_| Ok((200, body.to_owned()))).1)
    };
    let all = read(
        &[
            "_aws:x:password",
            "_aws:x:port",
            "_aws:x:big",
            "_aws:x:n",
            "_aws:x:z",
            "_aws:x:",
        ],
        SECRET,
    );
    assert_eq!(all[0].as_deref(), Ok("p"));
    assert_eq!(all[1].as_deref(), Ok("5432"));
    assert_eq!(all[2].as_deref(), Ok("12345678901234567890"));
    assert!(all[3].is_err() && all[4].is_err());
    assert!(all[5].as_deref().unwrap().starts_with("{\"password\""));
    let all = read(&["_aws:x:", "_aws:x:k"], r#"{"SecretString":"plain text"}"#);
    assert!(all[0].as_deref() == Ok("plain text") && all[1].is_err());
    let all = read(&["_aws:x:", "_aws:x:k"], r#"{"SecretBinary":"aGFsbG8="}"#);
    assert_eq!(
        all,
        [
            Ok("hallo".to_owned()),
            Err(super::super::words::BINARY.to_string())
        ]
    );
    for body in [
        "",
        "{}",
        "[]",
        r#"{"SecretBinary":"!"}"#,
        r#"{"SecretString":5}"#,
    ] {
        assert!(read(&["_aws:x:"], body)[0].is_err(), "{body}");
    }
}

#[test]
fn a_refusal_has_a_code_for_the_user_and_amazons_words_for_the_log() {
    let refuse = |status: u16, body: &str| {
        let mut agent = Agent::new(&[REGION, ID, KEY], &[]);
        let body = body.to_owned();
        let (_, found) = agent.converse(secret(), &mut |_| Ok((status, body.clone())));
        (
            values(&found).pop().unwrap().unwrap_err(),
            found.notes.join("\n"),
        )
    };
    let denied = r#"{"__type":"com.amazon#AccessDeniedException","Message":"User: arn:aws:iam::1:role/x is not authorized\u0007"}"#;
    let (text, note) = refuse(400, &format!("x-amzn-RequestId: 7f3a-01\n\n{denied}"));
    assert_eq!(text, "AWS answered AccessDeniedException (400)");
    assert!(
        note.contains("arn:aws:iam")
            && note.contains("request 7f3a-01:")
            && !note.contains('\u{7}'),
        "{note}"
    );
    let (text, _) = refuse(
        400,
        "x-amzn-ErrorType: ResourceNotFoundException:http://x/\n\n{}",
    );
    assert_eq!(text, "AWS answered ResourceNotFoundException (400)");
    let (text, note) = refuse(500, r#"{"__type":"s3 cret","message":"s3cret"}"#);
    assert_eq!(text, "AWS answered with status 500");
    assert!(!note.contains("s3cret"), "{note}");
}

#[test]
fn a_wrong_clock_is_set_right_once() {
    let mut agent = Agent::new(&[REGION, ID, KEY], &[]);
    let mut stamps = Vec::new();
    let mut strict = |asked: &Asked<'_>| {
        let stamp = asked.header("x-amz-date").unwrap().to_owned();
        let is_right = stamp.starts_with("20261129");
        stamps.push(stamp);
        match is_right {
            true => aws(asked),
            false => Ok((
                400,
                "Date: Sun, 29 Nov 2026 18:04:56 GMT\n\n{\"__type\":\"InvalidSignatureException\"}"
                    .into(),
            )),
        }
    };
    let (lines, found) = agent.converse(secret(), &mut strict);
    assert_eq!((lines.len(), values(&found)), (2, vec![Ok("p".to_owned())]));
    assert_eq!(
        agent.converse(secret(), &mut strict).0.len(),
        1,
        "it is kept"
    );
    let mut agent = Agent::new(&[REGION, ID, KEY], &[]);
    let (lines, _) = agent.converse(secret(), &mut |_| {
        Ok((
            400,
            "Date: Sun, 29 Nov 2026 18:04:56 GMT\n\n{\"__type\":\"InvalidSignatureException\"}"
                .into(),
        ))
    });
    assert_eq!(lines.len(), 2, "once");
}

#[test]
fn places_follow_region_partition_and_the_operators_words() {
    let place = |variables: &[(&str, &str)], config: &str, reference: &str| {
        let mut all = vec![ID, KEY, HOME];
        all.extend(variables);
        let mut agent = Agent::new(&all, &[("/h/.aws/config", config)]);
        let fetch = Fetch::aws(wants(&[reference]), Needs::Nothing);
        let (lines, found) = agent.converse(fetch, &mut aws);
        let failed = || values(&found).pop().unwrap().unwrap_err();
        lines.first().cloned().unwrap_or_else(failed)
    };
    let at = |region: &str| place(&[("AWS_REGION", region)], "", "_aws:x:port");
    for (region, host) in [
        ("eu-west-1", "secretsmanager.eu-west-1.amazonaws.com"),
        ("cn-north-1", "secretsmanager.cn-north-1.amazonaws.com.cn"),
        (
            "us-gov-west-1",
            "secretsmanager.us-gov-west-1.amazonaws.com",
        ),
        ("us-iso-east-1", "secretsmanager.us-iso-east-1.c2s.ic.gov"),
        (
            "us-isob-east-1",
            "secretsmanager.us-isob-east-1.sc2s.sgov.gov",
        ),
        (
            "eu-isoe-west-1",
            "secretsmanager.eu-isoe-west-1.cloud.adc-e.uk",
        ),
        (
            "us-isof-south-1",
            "secretsmanager.us-isof-south-1.csp.hci.ic.gov",
        ),
        (
            "eusc-de-east-1",
            "secretsmanager.eusc-de-east-1.amazonaws.eu",
        ),
    ] {
        assert_eq!(at(region), format!("POST https://{host}:443/"));
    }
    assert!(at("evil.example/").contains("AWS region is none"));
    let fips = place(
        &[REGION, ("AWS_USE_FIPS_ENDPOINT", "true")],
        "",
        "_aws:x:port",
    );
    assert_eq!(
        fips,
        "POST https://secretsmanager-fips.us-west-2.amazonaws.com:443/"
    );
    let arn = "_aws:arn:aws:secretsmanager:ap-south-1:1:secret:x-AbCdEf:port";
    assert_eq!(
        place(&[REGION], "", arn),
        "POST https://secretsmanager.ap-south-1.amazonaws.com:443/"
    );
    let own = (
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "http://127.0.0.1:1/aws/",
    );
    assert_eq!(
        place(&[REGION, own], "", "_aws:x:port"),
        "POST http://127.0.0.1:1/aws/"
    );
    let all = ("AWS_ENDPOINT_URL", "http://127.0.0.1:2");
    assert_eq!(
        place(&[REGION, all], "", "_aws:x:port"),
        "POST http://127.0.0.1:2/"
    );
    let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    assert!(place(&[REGION, all, ignored], "", "_aws:x:port").contains("amazonaws.com"));
    let config = "[default]\nservices = s\nendpoint_url = http://127.0.0.1:4\n[services s]\nsecretsmanager =\n  endpoint_url = http://127.0.0.1:3\n";
    assert_eq!(
        place(&[REGION], config, "_aws:x:port"),
        "POST http://127.0.0.1:3/"
    );
    let config = "[default]\nendpoint_url = http://127.0.0.1:4\n";
    assert_eq!(
        place(&[REGION], config, "_aws:x:port"),
        "POST http://127.0.0.1:4/"
    );
}

#[test]
fn a_role_for_a_cluster_is_taken_on_once_and_its_token_made_of_that() {
    let role = Role {
        arn: "arn:r".into(),
        session: "someone".into(),
        ..Role::default()
    };
    let mint = Mint::cluster("prod-1", "us-west-2", Some(role)).unwrap();
    let mut agent = Agent::new(&[REGION, ID, KEY], &[]);
    assert!(
        agent.stores.token(&mint, CLOCK).is_err(),
        "nothing was fetched"
    );
    let short = XML.replace("19:04:56", "18:19:56");
    let mut sts = |asked: &Asked<'_>| {
        assert_eq!(
            asked.body(),
            "Action=AssumeRole&DurationSeconds=900&RoleArn=arn%3Ar&RoleSessionName=someone&Version=2011-06-15"
        );
        Ok((200, short.clone()))
    };
    let needs = || Fetch::aws(Vec::new(), mint.needs());
    let (lines, found) = agent.converse(needs(), &mut sts);
    assert_eq!((lines.len(), found.needs), (1, None));
    let token = agent.stores.token(&mint, CLOCK).unwrap();
    assert!(
        token
            .expose()
            .starts_with(b"k8s-aws-v1.aHR0cHM6Ly9zdHMudXMtd2VzdC0yLmFtYXpvbmF3cy5jb20")
    );
    assert!(token.expose().len() < 4096 && !token.expose().contains(&b'='));
    assert_eq!(agent.stores.token(&mint, CLOCK + 599).unwrap(), token);
    assert_ne!(
        agent.stores.token(&mint, CLOCK + 600).unwrap(),
        token,
        "anew after ten minutes"
    );
    assert_eq!(agent.stores.renewed_at(&mint, CLOCK), Some(CLOCK + 600));
    assert_eq!(agent.stores.renewed_at(&mint, CLOCK + 600), None);
    assert_eq!(agent.converse(needs(), &mut sts).0.len(), 0, "still good");
    agent.pass(600);
    let (lines, _) = agent.converse(needs(), &mut sts);
    assert_eq!(lines.len(), 1);
    let (_, found) = Agent::new(&[REGION, NO_EC2], &[]).converse(needs(), &mut sts);
    assert!(
        found
            .needs
            .unwrap()
            .to_string()
            .contains("no AWS credentials")
    );
}

#[test]
fn a_databases_token_is_the_one_that_amazons_tools_make() {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/vectors/sigv4-vectors.json")).unwrap();
    let text = |name: &str| all[name].as_str().unwrap();
    let mut seen = 0;
    for case in all["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let signed = case["signed_url"].as_str().unwrap_or("");
        if !name.starts_with("rds") && !name.starts_with("eks")
            || name == "eks-900"
            || name == "eks-spaces"
        {
            continue;
        }
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", text("access_key")),
            ("AWS_SECRET_ACCESS_KEY", text("secret_key")),
            REGION,
        ];
        if case["token"].as_bool() == Some(true) {
            variables.push(("AWS_SESSION_TOKEN", text("session_token")));
        }
        let mut agent = Agent::new(&variables, &[]);
        let region = case["region"].as_str().unwrap();
        let mint = if name.starts_with("eks") {
            let cluster = case["headers"][0][1].as_str().unwrap();
            Mint::cluster(cluster, region, None).unwrap()
        } else {
            let url = signed.strip_prefix("https://").unwrap();
            let (host, port) = url.split_once('/').unwrap().0.split_once(':').unwrap();
            let user = signed
                .split("DBUser=")
                .nth(1)
                .unwrap()
                .split('&')
                .next()
                .unwrap();
            let user = crate::wire::percent::decode_text(user).unwrap();
            Mint::database(&user, host, port.parse().unwrap(), None).unwrap()
        };
        let (_, found) = agent.converse(Fetch::aws(Vec::new(), mint.needs()), &mut |_| {
            panic!("local")
        });
        assert_eq!(found.needs, None);
        let token = agent.stores.token(&mint, CLOCK).unwrap();
        let token = token.expose_text().unwrap();
        let wanted = match name {
            "rds-case" => signed.to_ascii_lowercase(),
            _ => signed.to_owned(),
        };
        match token.strip_prefix("k8s-aws-v1.") {
            Some(encoded) => {
                let padded = encoded.replace('-', "+").replace('_', "/");
                let padded = format!("{padded}{}", "=".repeat((4 - padded.len() % 4) % 4));
                let url = crate::wire::base64::decode(padded.as_bytes()).unwrap();
                assert_eq!(String::from_utf8(url).unwrap(), wanted, "{name}");
                if case["token"].is_string() {
                    assert_eq!(token, case["token"].as_str().unwrap());
                }
            }
            None if name == "rds-case" => {
                assert!(token.ends_with(case["signature"].as_str().unwrap()));
                assert!(token.starts_with("db.cxyz.us-west-2.rds.amazonaws.com:5432?"));
            }
            None => assert_eq!(
                token,
                wanted
                    .strip_prefix("https://")
                    .unwrap()
                    .replacen("/?", "?", 1),
                "{name}"
            ),
        }
        seen += 1;
    }
    assert!(seen >= 11, "{seen}");
}

#[test]
fn the_region_of_a_database_is_its_names_or_the_agents() {
    let region = |host: &str, of_agent: Option<&str>| match Mint::database("u", host, 1, of_agent) {
        Ok(Mint::Database { region, host, .. }) => {
            assert_eq!(host, host.to_ascii_lowercase());
            Some(region)
        }
        _ => None,
    };
    assert_eq!(
        region("db.x.US-WEST-2.rds.amazonaws.com", None).as_deref(),
        Some("us-west-2")
    );
    assert_eq!(
        region("proxy.proxy-x.eu-west-1.rds.amazonaws.com.", None).as_deref(),
        Some("eu-west-1")
    );
    assert_eq!(
        region("db.x.rds.cn-north-1.amazonaws.com.cn", None).as_deref(),
        Some("cn-north-1")
    );
    assert_eq!(
        region("db.example.com", Some("us-east-1")).as_deref(),
        Some("us-east-1")
    );
    for host in [
        "db.example.com",
        "10.0.0.1",
        "db",
        "rds.amazonaws.com",
        "x.y.amazonaws.com.cn",
    ] {
        assert_eq!(region(host, None), None, "{host}");
    }
}

#[test]
fn a_cluster_is_named_as_aws_names_it() {
    let of = |cluster: &str, region: &str, session: &str| {
        let role = Role {
            arn: "a".into(),
            session: session.into(),
            ..Role::default()
        };
        Mint::cluster(cluster, region, Some(role)).is_ok()
    };
    assert!(of("prod_1-x", "us-west-2", "") && of("p", "us-west-2", "a.b@c=d,e+f-g_"));
    for (cluster, region, session) in [
        ("", "us-west-2", ""),
        ("a b", "us-west-2", ""),
        ("a\r\nb", "us-west-2", ""),
        ("a", "", ""),
        ("a", "evil.example/", ""),
        ("a", "us-west-2", "x"),
        ("a", "us-west-2", "a b"),
    ] {
        assert!(
            !of(cluster, region, session),
            "{cluster} {region} {session}"
        );
    }
}

#[test]
fn who_the_agent_is_can_be_asked() {
    let id = (ID.0, "AKIAIOSFODNN7EXAMPLE");
    let mut agent = Agent::new(&[REGION, id, KEY], &[]);
    let (lines, found) = agent.converse(Fetch::aws(Vec::new(), Needs::Identity), &mut |asked| {
        assert_eq!(asked.body(), "Action=GetCallerIdentity&Version=2011-06-15");
        Ok((200, "<A><Arn>arn:aws:sts::1:x/y</Arn></A>".into()))
    });
    assert_eq!(lines, ["POST https://sts.us-west-2.amazonaws.com:443/"]);
    let wanted = [
        "credentials by the environment's access key",
        "key AKIA...MPLE without an end",
        "region us-west-2 by AWS_REGION",
        "to Amazon it is arn:aws:sts::1:x/y",
    ];
    assert_eq!(found.facts, wanted);
    assert!(found.passed.is_empty());
}

#[test]
fn credentials_for_a_cluster_are_asked_for_in_its_region() {
    let role = Role {
        arn: "arn:r".into(),
        ..Role::default()
    };
    let mint = Mint::cluster("c", "eu-west-1", Some(role)).unwrap();
    for region in [Some(REGION), None] {
        let variables: Vec<_> = [TOKEN_FILE, ROLE].into_iter().chain(region).collect();
        let mut agent = Agent::new(&variables, &[("/t", "web.token")]);
        let fetch = Fetch::aws(Vec::new(), mint.needs());
        let (lines, found) = agent.converse(fetch, &mut |_| Ok((200, XML.into())));
        let sts = "POST https://sts.eu-west-1.amazonaws.com:443/";
        assert_eq!((lines, found.needs), (vec![sts.to_owned(); 2], None));
    }
}
