use std::io;

use proptest::prelude::*;

use super::*;
use crate::base::{Roots, Trust, Verify};

/// Calls `f` with an environment and files that exist only here.
pub(super) fn surroundings<T>(
    variables: &[(&str, &str)],
    files: &[(&str, &str)],
    f: impl FnOnce(Surroundings<'_>) -> T,
) -> T {
    let find = |table: &[(&str, &str)], name: &str| {
        let entry = table.iter().find(|(entry, _)| *entry == name);
        entry.map(|(_, value)| (*value).to_owned())
    };
    f(Surroundings {
        variable: &|name| find(variables, name),
        read_file: &|path| {
            let content = find(files, path).ok_or(io::ErrorKind::NotFound)?;
            Ok(content.into_bytes())
        },
    })
}

const KEY: &str = "grpcs://dev:xagt-AbC@gw.example.com:8443?mode=standard";
const OTHER_KEY: &str = "grpcs://other:xagt-XyZ@other.example.com:8443";
const JWT: &str = "eyJh.eyJz.c2ln";
const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
const FILES: &[(&str, &str)] = &[
    (
        "key",
        " grpcs://dev:xagt-AbC@gw.example.com:8443?mode=standard \n",
    ),
    ("empty", " \n"),
    ("jwt", "eyJh.eyJz.c2ln\n"),
    ("text", "nothing of the kind"),
    ("ca", PEM),
];

fn load(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    surroundings(variables, FILES, Config::load)
}

fn loaded(variables: &[(&str, &str)]) -> Config {
    load(variables).unwrap()
}

fn message(variables: &[(&str, &str)]) -> String {
    load(variables).unwrap_err().to_string()
}

fn token(config: &Config) -> &str {
    config.token.expose_text().unwrap()
}

#[test]
fn a_key_alone_is_enough() {
    let config = loaded(&[("HOOP_KEY", KEY)]);
    assert_eq!(token(&config), KEY);
    assert_eq!(config.gateway.authority, "gw.example.com:8443");
    assert_eq!(config.server_name(), "gw.example.com");
    assert_eq!(config.name.as_deref(), Some("dev"));
    assert_eq!(config.mode, Mode::Standard);
    assert_eq!(config.config_type, ConfigType::Dsn);
    assert_eq!(config.proxy, None);
    assert_eq!(config.settings, Settings::default());
    assert_eq!(config.warnings, []);
    let tls = TlsMode::Tls {
        trust: Trust::public(),
        authority_file: None,
        server_name: None,
    };
    assert_eq!(config.tls, tls);
}

#[test]
fn the_first_source_that_is_set_wins() {
    let all = [
        ("HOOP_KEY", KEY),
        ("HOOP_KEY_FILE", "key"),
        ("HOOP_DSN", OTHER_KEY),
        ("HOOP_SPIFFE_KEY_FILE", "jwt"),
        ("HOOP_GRPCURL", "gw.example.com:1"),
        ("TOKEN", "x-agt-one"),
        ("HOOP_TOKEN", "x-agt-two"),
    ];
    let file = |variable, path: &str| KeySource::DsnFile {
        variable,
        path: path.to_owned(),
    };
    for (unset, source, text) in [
        (&[][..], KeySource::Variable("HOOP_KEY"), KEY),
        (&[0], file("HOOP_KEY_FILE", "key"), KEY),
        (&[0, 1], KeySource::Variable("HOOP_DSN"), OTHER_KEY),
        (
            &[0, 1, 2],
            KeySource::JwtFile {
                path: "jwt".to_owned(),
            },
            JWT,
        ),
        (&[0, 1, 2, 3], KeySource::Variable("TOKEN"), "x-agt-one"),
        (
            &[0, 1, 2, 3, 5],
            KeySource::Variable("HOOP_TOKEN"),
            "x-agt-two",
        ),
    ] {
        let mut variables = all;
        for index in unset {
            variables[*index].1 = if index % 2 == 0 { "" } else { " \n" };
        }
        let config = loaded(&variables);
        assert_eq!(config.key_source, source);
        assert_eq!(token(&config), text);
    }
}

#[test]
fn an_error_in_the_first_source_is_final() {
    let rest = [("HOOP_DSN", OTHER_KEY), ("HOOP_SPIFFE_KEY_FILE", "jwt")];
    for (variable, value) in [("HOOP_KEY", "nonsense"), ("HOOP_KEY_FILE", "missing")] {
        let message = message(&[(variable, value), rest[0], rest[1]]);
        assert!(message.contains(variable), "{message}");
    }
}

#[test]
fn fatal_texts_begin_as_upstreams_do() {
    let jwt_file = ("HOOP_SPIFFE_KEY_FILE", "jwt");
    let url = ("HOOP_GRPCURL", "gw:1");
    for (variables, start) in [
        (&[][..], "missing HOOP_KEY environment variable"),
        (
            &[("HOOP_TOKEN", "x-agt-a")],
            "missing HOOP_KEY environment variable",
        ),
        (&[url], "missing HOOP_KEY environment variable"),
        (
            &[("HOOP_KEY", "grpcs://gw:1")],
            "HOOP_KEY is in wrong format, reason=secret key not found in dsn",
        ),
        (
            &[("HOOP_DSN", "grpcs://gw:1")],
            "HOOP_DSN (deprecated) is in wrong format, reason=secret key not found in dsn",
        ),
        (
            &[("HOOP_KEY", "grpcs://a:b@gw")],
            "server address is in wrong format",
        ),
        (
            &[("HOOP_TOKEN", "x-agt-a"), ("HOOP_GRPCURL", "gw")],
            "server address is in wrong format",
        ),
        (
            &[jwt_file],
            "HOOP_SPIFFE_KEY_FILE requires HOOP_GRPCURL to be set",
        ),
        (
            &[("HOOP_SPIFFE_KEY_FILE", "missing"), url],
            "failed reading HOOP_SPIFFE_KEY_FILE \"missing\": ",
        ),
        (
            &[("HOOP_SPIFFE_KEY_FILE", "empty"), url],
            "HOOP_SPIFFE_KEY_FILE \"empty\" is empty",
        ),
        (
            &[("HOOP_SPIFFE_KEY_FILE", "text"), url],
            "HOOP_SPIFFE_KEY_FILE \"text\" does not look like a JWT (expected three \
             dot-separated segments)",
        ),
        (
            &[("HOOP_KEY", KEY), ("HOOP_TLSCA", "ca")],
            "failed to append root CA into cert pool",
        ),
        (
            &[("HOOP_KEY_FILE", "text")],
            "HOOP_KEY_FILE \"text\" is in wrong format, reason=",
        ),
    ] {
        let message = message(variables);
        assert!(message.starts_with(start), "{message}");
    }
}

#[test]
fn white_space_around_a_key_is_not_sent() {
    let config = loaded(&[("HOOP_KEY", &format!("\n {KEY} \r\n"))]);
    assert_eq!(token(&config), KEY);
}

#[test]
fn a_byte_order_mark_in_front_of_a_files_key_is_not_sent() {
    for (variable, text) in [("HOOP_KEY_FILE", KEY), ("HOOP_SPIFFE_KEY_FILE", JWT)] {
        let variables = [(variable, "marked"), ("HOOP_GRPCURL", "gw.example.com:1")];
        let content = format!("\u{feff}{text}\r\n");
        let files = [("marked", content.as_str())];
        let config = surroundings(&variables, &files, Config::load).unwrap();
        assert_eq!(token(&config), text);
    }
}

#[test]
fn plaintext_is_judged_by_the_network_that_it_crosses() {
    const REFUSE: (&str, &str) = ("HOOP_LITE_REFUSE_PLAINTEXT", "true");
    for (host, is_far, is_left) in [
        ("127.0.0.1", false, false),
        ("localhost", false, false),
        ("10.1.2.3", false, false),
        ("100.64.0.1", false, false),
        ("[fd00::1]", false, false),
        ("[fe80::1]", false, false),
        ("192.0.2.1", true, false),
        ("[2001:db8::1]", true, false),
        ("gw.example.com", false, true),
    ] {
        let key = format!("grpc://dev:k@{host}:8010");
        let config = loaded(&[("HOOP_KEY", &key)]);
        let warns = matches!(config.warnings[..], [Warning::Plaintext(_)]);
        assert_eq!(warns, is_far, "{host}");
        assert_eq!(config.leaves_plaintext_to_lookup(), is_left, "{host}");
        let variables = [("HOOP_KEY", key.as_str()), REFUSE];
        let refused = surroundings(&variables, &[], |s| Config::load(s).err());
        assert_eq!(refused.is_some(), is_far, "{host}");
    }
    // A proxy resolves the name.
    let key = ("HOOP_KEY", "grpc://dev:k@gw.example.com:8010");
    let proxied = [key, ("HTTPS_PROXY", "http://proxy:3128"), REFUSE];
    let refused = surroundings(&proxied, &[], |s| Config::load(s).unwrap_err().to_string());
    assert!(refused.contains("--refuse-plaintext"), "{refused}");
    let config = loaded(&[("HOOP_KEY", "grpcs://dev:k@192.0.2.1:8443"), REFUSE]);
    assert!(config.warnings.is_empty() && !config.leaves_plaintext_to_lookup());
}

#[test]
fn the_scheme_of_a_key_decides_about_tls_and_remote_plaintext_warns() {
    let config = loaded(&[("HOOP_KEY", "grpc://dev:k@192.0.2.1:8010")]);
    assert_eq!(config.tls, TlsMode::Plaintext);
    assert_eq!(
        config.warnings,
        [Warning::Plaintext(config.gateway.clone())]
    );
    for key in [
        "http://dev:k@127.0.0.1:1",
        "ws://dev:k@localhost:1",
        "grpc://dev:k@[::1]:1",
    ] {
        let config = loaded(&[("HOOP_KEY", key)]);
        assert_eq!((config.tls, config.warnings.len()), (TlsMode::Plaintext, 0));
    }
    let error = message(&[("HOOP_KEY", "grpsc://dev:k@127.0.0.1:1")]);
    assert!(error.contains("grpsc://"), "{error}");
}

#[test]
fn trust_is_read_for_keys_and_jwts_but_not_for_static_tokens() {
    let ca = ("HOOP_TLSCA", "file://ca");
    let name = ("HOOP_TLSSERVERNAME", "inner.example");
    let skip = ("HOOP_TLS_SKIP_VERIFY", "true");
    let url = ("HOOP_GRPCURL", "gw.example.com:1");
    let wanted = |roots, verify| TlsMode::Tls {
        authority_file: (roots != Roots::Public).then(|| "ca".to_owned()),
        trust: Trust { roots, verify },
        server_name: Some("inner.example".to_owned()),
    };
    let own = || Roots::Only(PEM.as_bytes().to_vec());
    let config = loaded(&[("HOOP_KEY", KEY), ca, name]);
    assert_eq!(config.tls, wanted(own(), Verify::Full));
    assert_eq!(config.server_name(), "inner.example");
    let config = loaded(&[("HOOP_SPIFFE_KEY_FILE", "jwt"), url, ca, name, skip]);
    assert_eq!(config.tls, wanted(own(), Verify::Nobody));
    assert_eq!(config.warnings, [Warning::SkipVerify]);
    let config = loaded(&[("HOOP_TOKEN", "x-agt-a"), url, ca, name]);
    assert_eq!(config.tls, wanted(Roots::Public, Verify::Full));
    assert_eq!(
        config.warnings,
        [
            Warning::DeprecatedToken("HOOP_TOKEN"),
            Warning::AuthorityIgnored
        ]
    );
}

#[test]
fn switches_count_only_as_exactly_true() {
    for value in ["TRUE", "1", " true", "yes please"] {
        let config = loaded(&[("HOOP_KEY", KEY), ("HOOP_TLS_SKIP_VERIFY", value)]);
        assert_eq!(config.warnings, [Warning::NotTrue("HOOP_TLS_SKIP_VERIFY")]);
        assert!(matches!(config.tls, TlsMode::Tls { trust, .. } if trust.verify == Verify::Full));
    }
    for value in ["", "false", "0"] {
        let config = loaded(&[("HOOP_KEY", KEY), ("HOOP_TLS_SKIP_VERIFY", value)]);
        assert_eq!(config.warnings, []);
    }
}

#[test]
fn static_tokens_are_plaintext_only_towards_this_machine() {
    for (url, is_plaintext) in [
        ("127.0.0.1:8010", true),
        ("127.0.0.1:8011", false),
        ("localhost:8010", false),
        ("grpc://127.0.0.1:8010", true),
        ("http://localhost:9", true),
        ("grpc://[::1]:9", true),
        ("grpcs://127.0.0.1:8010", false),
        ("grpc://gw.example.com:8010", false),
        ("gw.example.com:8443/", false),
    ] {
        let config = loaded(&[("HOOP_TOKEN", "x-agt-a"), ("HOOP_GRPCURL", url)]);
        assert_eq!(config.tls == TlsMode::Plaintext, is_plaintext, "{url}");
        assert_eq!(
            (config.config_type, config.mode),
            (ConfigType::Env, Mode::Standard)
        );
        assert_eq!(config.name, None);
    }
    let error = message(&[("HOOP_TOKEN", "a"), ("HOOP_GRPCURL", "ftp://gw:1")]);
    assert!(error.starts_with("HOOP_GRPCURL has an unknown scheme"));
}

#[test]
fn a_jwt_may_go_in_plaintext_when_it_is_said_so() {
    let file = ("HOOP_SPIFFE_KEY_FILE", "jwt");
    let name = ("HOOP_SPIFFE_NAME", "svc");
    let url = ("HOOP_GRPCURL", "gw.example.com:8010");
    let config = loaded(&[file, url, name]);
    assert!(config.tls != TlsMode::Plaintext);
    assert_eq!((config.name.as_deref(), token(&config)), (Some("svc"), JWT));
    let config = loaded(&[file, url, ("HOOP_GRPC_INSECURE", "true")]);
    assert_eq!(config.tls, TlsMode::Plaintext);
    assert!(config.leaves_plaintext_to_lookup());
    let config = loaded(&[file, ("HOOP_GRPCURL", "127.0.0.1:8010")]);
    assert_eq!(config.tls, TlsMode::Plaintext);
    let config = loaded(&[("HOOP_KEY", KEY), ("HOOP_GRPC_INSECURE", "true")]);
    assert!(config.tls != TlsMode::Plaintext);
}

#[test]
fn the_proxy_of_the_environment_is_taken_along() {
    let proxy = ("HTTPS_PROXY", "http://u:p@proxy:3128");
    let config = loaded(&[("HOOP_KEY", KEY), proxy]);
    assert_eq!(config.proxy.unwrap().address.authority, "proxy:3128");
    let config = loaded(&[("HOOP_KEY", KEY), proxy, ("NO_PROXY", ".example.com")]);
    assert_eq!(config.proxy, None);
}

#[test]
fn a_key_file_is_read_again_and_may_only_change_the_key() {
    let variables = [("HOOP_KEY_FILE", "key")];
    let mut config = loaded(&variables);
    let rotated = "grpcs://dev2:xagt-New@gw.example.com:8443?mode=standard";
    let mut again = |content: &str| {
        let result = surroundings(&variables, &[("key", content)], |s| config.reload_key(s));
        (
            result.map_err(|error| error.to_string()),
            token(&config).to_owned(),
            config.name.clone(),
        )
    };
    assert_eq!(again(KEY).0, Ok(false));
    let (changed, text, name) = again(rotated);
    assert_eq!(
        (changed, text.as_str(), name.as_deref()),
        (Ok(true), rotated, Some("dev2"))
    );
    for content in [
        OTHER_KEY,
        "",
        "nonsense",
        "grpc://dev:k@gw.example.com:8443",
    ] {
        let (result, text, _) = again(content);
        assert!(result.unwrap_err().starts_with("HOOP_KEY_FILE \"key\" "));
        assert_eq!(text, rotated);
    }
}

#[test]
fn a_jwt_file_is_read_again_and_a_variable_is_not() {
    let url = ("HOOP_GRPCURL", "gw.example.com:1");
    let variables = [("HOOP_SPIFFE_KEY_FILE", "jwt"), url];
    let mut config = loaded(&variables);
    let changed = surroundings(&variables, &[("jwt", "a.b.c")], |s| config.reload_key(s));
    assert_eq!((changed.unwrap(), token(&config)), (true, "a.b.c"));
    let failed = surroundings(&variables, &[], |s| config.reload_key(s));
    assert!(failed.is_err() && token(&config) == "a.b.c");
    let mut config = loaded(&[("HOOP_KEY", KEY)]);
    let changed = surroundings(&[("HOOP_KEY", OTHER_KEY)], &[], |s| config.reload_key(s));
    assert_eq!((changed.unwrap(), token(&config)), (false, KEY));
}

#[test]
fn what_came_by_a_pipe_is_not_read_again() {
    let ca = ("HOOP_TLSCA", "file://ca");
    let url = ("HOOP_GRPCURL", "gw.example.com:1");
    for (variable, path) in [("HOOP_KEY_FILE", "key"), ("HOOP_SPIFFE_KEY_FILE", "jwt")] {
        let variables = [(variable, path), url, ca];
        for pipe in [path, "ca"] {
            let mut config = loaded(&variables);
            config.keep_what_pipes_gave(&|path| path != pipe);
            // Neither file exists any more.
            let (key, authority) = surroundings(&variables, &[], |s| {
                let is_key_kept = matches!(config.reload_key(s), Ok(false));
                (is_key_kept, matches!(config.reload_authority(s), Ok(None)))
            });
            assert_eq!((key, authority), (pipe == path, pipe == "ca"));
        }
        let mut config = loaded(&variables);
        config.keep_what_pipes_gave(&|_| false);
        assert_eq!(config.key_source, KeySource::Variable(variable));
    }
}

#[test]
fn the_start_line_says_everything_but_the_key() {
    let config = loaded(&[
        ("HOOP_KEY", KEY),
        ("HOOP_TLSCA", PEM),
        ("https_proxy", "u:p@proxy:1"),
    ]);
    assert_eq!(
        config.start_line("0.1.0", "linux/amd64"),
        "version=0.1.0, platform=linux/amd64, type=dsn, mode=standard, \
         grpc_server=gw.example.com:8443, tls=true, tlsca=true, proxy=proxy:1 - starting agent"
    );
}

#[test]
fn debug_output_of_a_configuration_holds_no_secret() {
    let config = loaded(&[
        ("HOOP_KEY", KEY),
        ("HTTPS_PROXY", "http://u:hunter22@proxy:1"),
    ]);
    let text = format!("{config:?}");
    assert!(
        !text.contains("xagt-AbC") && !text.contains("hunter22"),
        "{text}"
    );
}

proptest! {
    /// Whatever an operator confuses, no error repeats what may be the secret.
    #[test]
    fn no_error_holds_a_secret(
        secret in "[A-Za-z0-9_-]{16,43}",
        shape in proptest::sample::select(&[
            "xagt-{}", "x-agt-{}", "grpcs://dev:xagt-{}@gw:1", "grpcs://dev:xagt-{}@gw", "\"xagt-{}\"",
            "grpcz://dev:xagt-{}@gw:1", "eyJ{}.eyJ{}.{}", "grpcs://{}@gw:1", "dev:xagt-{}@gw:1",
            "http://u:{}@", "xagt-{}\nxagt-{}", "base64://{}", "HOOP_KEY=xagt-{}",
        ][..]),
        variable in proptest::sample::select(&[
            "HOOP_KEY", "HOOP_DSN", "HOOP_KEY_FILE", "HOOP_SPIFFE_KEY_FILE", "HOOP_TOKEN", "TOKEN",
            "HOOP_GRPCURL", "HOOP_TLSCA", "HOOP_TLSSERVERNAME", "HTTPS_PROXY", "NO_PROXY",
            "HOOP_LITE_STALL_MAX", "HOOP_LITE_HEALTH_LISTEN", "HOOP_TLS_SKIP_VERIFY",
        ][..]),
        beside in proptest::sample::select(&[
            ("HOOP_KEY", KEY), ("HOOP_TOKEN", "x-agt-a"), ("HOOP_GRPCURL", "gw:1"), ("A", "B"),
        ][..]),
    ) {
        let value = shape.replace("{}", &secret);
        let shown = match load(&[(variable, &value), beside]) {
            Ok(config) => {
                let mut text: String = config.warnings.iter().map(Warning::to_string).collect();
                // The start line shows addresses, and the secret may be one only by its shape.
                text.push_str(&format!("{:?}", config.token));
                text
            }
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }

    #[test]
    fn any_environment_gets_an_answer(
        key in "\\PC{0,60}|(grpcs?|ws)://[a-z:@%\\[\\]0-9./?=]{0,40}",
        url in "\\PC{0,40}|[a-z:/\\[\\]0-9.]{0,30}",
        which in proptest::sample::select(&["HOOP_KEY", "HOOP_DSN", "HOOP_TOKEN", "HOOP_TLSCA"][..]),
    ) {
        let _ = load(&[(which, &key), ("HOOP_GRPCURL", &url), ("HTTPS_PROXY", &url)]);
    }
}
