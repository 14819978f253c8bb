//! `admin login`, the file it keeps, and where credentials are found.

#![allow(clippy::unwrap_used)]

mod admin_support;

use std::os::unix::fs::PermissionsExt;

use admin_support::{Folder, Mock, Outcome, Variables, certificate, response, response_with};
use hoop_lite::admin::{AdminCommand, LoginCommand, OutputForm};

const TOKEN: &str = "eyJhbGciOi.secret-token.c2ln";
const PASSWORD: &str = "p\u{e4}ss\"w\\rd 1";
const LIST: AdminCommand = AdminCommand::GetAgents(OutputForm::Text);

/// A gateway with one user.
fn gateway(line: &str) -> Vec<u8> {
    match line.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["GET", "/api/publicserverinfo"] => {
            response(200, "{\"auth_method\":\"local\",\"setup_required\":false}")
        }
        ["POST", "/api/localauth/login"] => response_with(200, &[("Token", TOKEN)], ""),
        ["GET", "/api/serverinfo"] => response(200, "{\"grpc_url\":\"grpcs://gw:8010\",\"x\":{}}"),
        ["GET", "/api/agents"] => response(200, "[]"),
        _ => response(404, ""),
    }
}

fn login(email: Option<&str>, mock: &Mock) -> AdminCommand {
    AdminCommand::Login(LoginCommand {
        email: email.map(str::to_owned),
        api_url: Some(format!("http://{}", mock.address)),
    })
}

fn at_home(home: &Folder) -> Variables {
    Variables::new(&[("HOME", home.path())])
}

fn fails(outcome: &Outcome, sentence: &str) {
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (1, ""),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains(sentence), "{outcome:?}");
    assert!(!outcome.stderr.contains(PASSWORD) && !outcome.stderr.contains(TOKEN));
}

#[test]
fn login_keeps_the_token_for_the_next_command() {
    let (home, mock) = (Folder::new(), Mock::plain(gateway));
    let outcome = at_home(&home).run(&login(Some("a@b.c"), &mock), &format!("{PASSWORD}\r\nrest"));
    assert_eq!(
        outcome,
        Outcome {
            code: 0,
            stdout: "Login succeeded\n".to_owned(),
            stderr: String::new()
        }
    );
    let path = home.0.join(".hoop/config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        format!(
            "token = \"{TOKEN}\"\napi_url = \"http://{}\"\ngrpc_url = \"grpcs://gw:8010\"\n",
            mock.address
        )
    );
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&home.0.join(".hoop"))), (0o600, 0o700));
    assert_eq!(std::fs::read_dir(home.0.join(".hoop")).unwrap().count(), 1);

    let body = mock.seen()[1].split("\r\n\r\n").nth(1).unwrap().to_owned();
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        sent,
        serde_json::json!({"email": "a@b.c", "password": PASSWORD})
    );

    assert_eq!(at_home(&home).run(&LIST, "").code, 0);
    let last = mock.seen().last().unwrap().clone();
    assert!(last.contains(&format!("\r\nAuthorization: Bearer {TOKEN}\r\n")));
}

#[test]
fn login_keeps_what_else_the_file_says_and_narrows_its_rights() {
    let (home, mock) = (Folder::new(), Mock::plain(gateway));
    std::fs::create_dir(home.0.join(".hoop")).unwrap();
    let path = home.0.join(".hoop/config.toml");
    let old = format!(
        "# mine\nskip_tls_verify = true\ntoken = 'old'\ngrpc_url = \"grpc://own:1\"\napi_url = \"http://{}\"\n",
        mock.address
    );
    std::fs::write(&path, old).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let command = AdminCommand::Login(LoginCommand {
        email: Some("a@b.c".to_owned()),
        api_url: None,
    });
    assert_eq!(at_home(&home).run(&command, PASSWORD).code, 0);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        format!(
            "skip_tls_verify = true\ntoken = \"{TOKEN}\"\ngrpc_url = \"grpc://own:1\"\napi_url = \"http://{}\"\n",
            mock.address
        )
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn login_says_when_variables_win_over_it() {
    let (home, mock) = (Folder::new(), Mock::plain(gateway));
    let variables = Variables::trio("http://127.0.0.1:1", "x").with("HOME", home.path());
    let outcome = variables.run(&login(Some("a@b.c"), &mock), PASSWORD);
    assert_eq!(outcome.code, 0);
    assert_eq!(
        outcome.stderr,
        "note: HOOP_APIURL, HOOP_GRPCURL, HOOP_TOKEN are set and win over this login\n"
    );
}

#[test]
fn login_failures_say_why() {
    let home = Folder::new();
    let run = |answer: fn(&str) -> Vec<u8>, stdin: &str| {
        let mock = Mock::plain(answer);
        at_home(&home).run(&login(Some("a@b.c"), &mock), stdin)
    };
    fails(&run(gateway, ""), "no password given");
    fails(&run(gateway, "\n"), "no password given");
    fails(
        &run(
            |line| match line.starts_with("POST") {
                true => response(401, "{\"message\":\"unauthorized\"}"),
                false => gateway(line),
            },
            PASSWORD,
        ),
        "error: wrong password for a@b.c at http://",
    );
    fails(
        &run(
            |line| match line.starts_with("POST") {
                true => response(404, ""),
                false => gateway(line),
            },
            PASSWORD,
        ),
        " knows no user a@b.c: check the spelling",
    );
    fails(
        &run(
            |line| match line.starts_with("POST") {
                true => response(200, ""),
                false => gateway(line),
            },
            PASSWORD,
        ),
        "gave no token",
    );
    fails(
        &run(|_| response(404, ""), PASSWORD),
        "knows no local accounts",
    );
    fails(
        &run(|_| response(200, "{\"auth_method\":\"oidc\"}"), PASSWORD),
        "logs in by oidc, which needs a browser",
    );
    fails(
        &run(
            |_| response(200, "{\"auth_method\":\"local\",\"setup_required\":true}"),
            PASSWORD,
        ),
        "has no user yet",
    );
    assert!(!home.0.join(".hoop").exists());
}

#[test]
fn without_an_email_and_a_terminal_login_is_used_wrongly() {
    let (home, mock) = (Folder::new(), Mock::plain(gateway));
    let outcome = at_home(&home).run(&login(None, &mock), PASSWORD);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("no e-mail given"));
    assert!(outcome.stderr.contains("--email"), "advice that works");
}

#[test]
fn a_login_that_cannot_be_kept_is_not_printed() {
    let (home, mock) = (Folder::new(), Mock::plain(gateway));
    std::fs::write(home.0.join(".hoop"), "a file").unwrap();
    let outcome =
        Variables::new(&[("HOME", home.path())]).run(&login(Some("a@b.c"), &mock), PASSWORD);
    fails(&outcome, "config.toml cannot be");
}

#[test]
fn the_three_variables_win_over_the_file_and_the_file_over_a_lonely_token() {
    let (home, of_file, of_variables) = (Folder::new(), Mock::plain(gateway), Mock::plain(gateway));
    std::fs::create_dir(home.0.join(".hoop")).unwrap();
    let text = format!(
        "api_url = \"http://{}\"\ntoken = \"of-file\"\n",
        of_file.address
    );
    std::fs::write(home.0.join(".hoop/config.toml"), text).unwrap();

    let lonely = at_home(&home).with("HOOP_TOKEN", "of-variable");
    assert_eq!(lonely.run(&LIST, "").code, 0);
    assert!(of_file.seen()[0].contains("\r\nAuthorization: Bearer of-file\r\n"));
    let half = at_home(&home)
        .with("HOOP_TOKEN", "of-variable")
        .with("HOOP_APIURL", "http://127.0.0.1:1");
    let told = half.run(&LIST, "").stderr;
    let want = "HOOP_APIURL counts only together with HOOP_GRPCURL, so ";
    assert!(told.contains(want), "{told}");

    let url = format!("http://{}", of_variables.address);
    let all = Variables::trio(&url, "of-variable").with("HOME", home.path());
    assert_eq!(all.run(&LIST, "").code, 0);
    assert!(of_variables.seen()[0].contains("\r\nAuthorization: Bearer of-variable\r\n"));
    assert_eq!(of_file.seen().len(), 2);
}

#[test]
fn nothing_is_sent_to_an_address_that_nobody_named() {
    let home = Folder::new();
    let hint = "for one on this machine HOOP_APIURL=http://127.0.0.1:8009";
    let lonely = at_home(&home).with("HOOP_TOKEN", TOKEN);
    fails(&lonely.run(&LIST, ""), hint);
    let command = AdminCommand::Login(LoginCommand {
        email: Some("a@b.c".to_owned()),
        api_url: None,
    });
    fails(&lonely.run(&command, PASSWORD), hint);

    // What the hint says works, with a token and without.
    let mock = Mock::plain(gateway);
    let url = format!("http://{}", mock.address);
    assert_eq!(lonely.with("HOOP_APIURL", &url).run(&LIST, "").code, 0);
    assert!(mock.seen()[0].contains(&format!("\r\nAuthorization: Bearer {TOKEN}\r\n")));
    assert_eq!(
        at_home(&home).with("HOOP_APIURL", &url).run(&LIST, "").code,
        0
    );
}

#[test]
fn a_file_that_others_can_write_names_no_gateway_and_one_that_they_can_read_is_told_of() {
    let (home, mock) = (Folder::new(), Mock::plain(gateway));
    std::fs::create_dir(home.0.join(".hoop")).unwrap();
    let path = home.0.join(".hoop/config.toml");
    // As an editor of Windows leaves it.
    let text = format!(
        "\u{feff}api_url = \"http://{}\"\r\ntoken = \"{TOKEN}\"\r\n",
        mock.address
    );
    std::fs::write(&path, text).unwrap();
    let with_mode = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        at_home(&home).run(&LIST, "")
    };
    for mode in [0o666, 0o660, 0o602] {
        fails(&with_mode(mode), "can be written by other users");
    }
    assert!(mock.seen().is_empty());
    for (mode, is_told) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
        let outcome = with_mode(mode);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert_eq!(outcome.stderr.contains("can read"), is_told, "{outcome:?}");
    }
    with_mode(0o600);
    // Only root can give it away.
    if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
        fails(
            &at_home(&home).run(&LIST, ""),
            "can be written by other users",
        );
    }
}

#[test]
fn a_byte_order_mark_in_an_answer_is_passed_over() {
    let mock = Mock::plain(|_| response(200, "\u{feff}[]"));
    let url = format!("http://{}", mock.address);
    let outcome = Variables::trio(&url, "x").run(&LIST, "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

#[test]
fn a_file_that_is_not_understood_is_not_passed_over() {
    let home = Folder::new();
    std::fs::create_dir(home.0.join(".hoop")).unwrap();
    for (text, sentence) in [
        (
            "token = secret-token\n",
            "line 1 is neither key = \"text\" nor",
        ),
        (
            "grpc_url = \"grpcs://h:1\"\n",
            "has no api_url: log in with",
        ),
        (
            "api_url = \"gw.example\"\n",
            "it must begin with https:// or http://",
        ),
        (
            "api_url = \"https://h\"\ntls_ca = \"%\"\n",
            "tls_ca in ~/.hoop/config.toml is not base64",
        ),
        (
            "api_url = \"http://127.0.0.1:1\"\ntoken = \"secret token\"\n",
            "the token holds a space",
        ),
    ] {
        std::fs::write(home.0.join(".hoop/config.toml"), text).unwrap();
        let outcome = at_home(&home).run(&LIST, "");
        fails(&outcome, sentence);
        assert!(!outcome.stderr.contains("secret"));
    }
}

#[test]
fn refused_credentials_of_the_file_ask_for_a_login() {
    let (home, mock) = (Folder::new(), Mock::plain(|_| response(401, "")));
    std::fs::create_dir(home.0.join(".hoop")).unwrap();
    let url = format!("api_url = \"http://{}\"\n", mock.address);
    for (token, sentence) in [
        (
            "token = \"old\"\n",
            "(status 401): log in again with `hoop-lite admin login`",
        ),
        (
            "",
            "(status 401): no token is there, log in with `hoop-lite admin login`",
        ),
    ] {
        let text = format!("{url}{token}");
        std::fs::write(home.0.join(".hoop/config.toml"), text).unwrap();
        fails(&at_home(&home).run(&LIST, ""), sentence);
    }
    assert!(!mock.seen()[1].contains("Authorization"));
}

#[test]
fn the_files_authority_is_believed() {
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let (config, pem) = certificate(params);
    let mock = Mock::tls(config, gateway);
    let home = Folder::new();
    std::fs::create_dir(home.0.join(".hoop")).unwrap();
    let url = format!("api_url = \"https://localhost:{}\"\n", mock.address.port());
    let encoded = hoop_lite::wire::base64::encode(pem.as_bytes());
    for (extra, code) in [
        (String::new(), 1),
        (format!("tls_ca = \"{encoded}\"\n"), 0),
        ("skip_tls_verify = true\n".to_owned(), 0),
    ] {
        std::fs::write(home.0.join(".hoop/config.toml"), format!("{url}{extra}")).unwrap();
        assert_eq!(at_home(&home).run(&LIST, "").code, code, "{extra}");
    }
}
