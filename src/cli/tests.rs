use proptest::prelude::*;

use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn parsed(line: &str) -> Invocation {
    parse(words(line)).unwrap()
}

fn refused(line: &str) -> String {
    parse(words(line)).unwrap_err().to_string()
}

fn agent(line: &str) -> AgentOptions {
    match parsed(line) {
        Invocation::StartAgent(options) => options,
        other => panic!("{other:?}"),
    }
}

fn run(line: &str) -> RunOptions {
    match parsed(line) {
        Invocation::Run(options) => options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_misspelt_variable_finds_its_nearest() {
    assert_eq!(misspelt("HOOP_LITE_STALL_MAX"), None);
    assert_eq!(misspelt("HOOP_KEY"), None);
    let near = misspelt("HOOP_LITE_STAL_MAX").unwrap();
    assert!(
        near.ends_with("did you mean HOOP_LITE_STALL_MAX?"),
        "{near}"
    );
    let none = misspelt("HOOP_LITE_NOTHING_OF_THE_KIND").unwrap();
    assert!(none.contains("help start agent"), "{none}");
}

#[test]
fn commands_mean_what_they_say() {
    let text = |text: &str| text.to_owned();
    for (line, command) in [
        ("", Invocation::StartAgent(AgentOptions::default())),
        (
            "start agent",
            Invocation::StartAgent(AgentOptions::default()),
        ),
        ("run", Invocation::Run(RunOptions::default())),
        (
            "admin create agent dev",
            Invocation::AdminCreateAgent {
                name: text("dev"),
                mode: None,
                json: false,
            },
        ),
        (
            "admin create agents/dev --mode embedded -o json",
            Invocation::AdminCreateAgent {
                name: text("dev"),
                mode: Some(text("embedded")),
                json: true,
            },
        ),
        (
            "admin get agents",
            Invocation::AdminGetAgents { json: false },
        ),
        (
            "admin get agent -ojson",
            Invocation::AdminGetAgents { json: true },
        ),
        (
            "admin get agent dev",
            Invocation::AdminGetAgent {
                name: text("dev"),
                json: false,
            },
        ),
        (
            "--output=json admin get agents/dev",
            Invocation::AdminGetAgent {
                name: text("dev"),
                json: true,
            },
        ),
        (
            "admin delete agent/dev",
            Invocation::AdminDeleteAgent {
                name: text("dev"),
                ignores_missing: false,
            },
        ),
        (
            "admin delete agent a/b --ignore-not-found",
            Invocation::AdminDeleteAgent {
                name: text("a/b"),
                ignores_missing: true,
            },
        ),
        (
            "admin login --email a@b.c --api-url http://127.0.0.1:8009",
            Invocation::AdminLogin {
                api_url: Some(text("http://127.0.0.1:8009")),
                email: Some(text("a@b.c")),
            },
        ),
        (
            "doctor -o json --service",
            Invocation::Doctor(DoctorOptions {
                json: true,
                of_service: true,
                asks_stores: false,
            }),
        ),
        (
            "doctor --secrets",
            Invocation::Doctor(DoctorOptions {
                asks_stores: true,
                ..DoctorOptions::default()
            }),
        ),
        (
            "health",
            Invocation::Health {
                probe: "healthz",
                options: AgentOptions::default(),
            },
        ),
        (
            "health livez --health-listen 8686",
            Invocation::Health {
                probe: "livez",
                options: agent("--health-listen 8686"),
            },
        ),
        ("version", Invocation::Version { json: false }),
        ("version -o json", Invocation::Version { json: true }),
        ("--version", Invocation::Version { json: false }),
        ("-V", Invocation::Version { json: false }),
    ] {
        assert_eq!(parsed(line), command, "{line}");
    }
}

#[test]
fn flags_of_the_agent_stand_for_variables_and_the_last_one_counts() {
    let options = agent("--drain-timeout 1m --stall-max=5s --drain-timeout 20s --format json");
    assert_eq!(
        options.value("HOOP_LITE_DRAIN_TIMEOUT").as_deref(),
        Some("20s")
    );
    assert_eq!(options.value("HOOP_LITE_STALL_MAX").as_deref(), Some("5s"));
    assert_eq!(
        options.value("HOOP_LITE_LOG_ENCODING").as_deref(),
        Some("json")
    );
    assert_eq!(options.value("HOOP_LITE_LOG_SHIP"), None);
    assert_eq!(
        agent("--debug").value("HOOP_LITE_LOG_LEVEL").as_deref(),
        Some("debug")
    );
    assert_eq!(agent("--debug=false").value("HOOP_LITE_LOG_LEVEL"), None);
}

#[test]
fn switches_can_be_turned_off_again() {
    for (line, value) in [
        ("--exit-on-revoked", "true"),
        ("--exit-on-revoked=no", "false"),
        ("start agent --exit-on-revoked=1", "true"),
    ] {
        let found = agent(line).value("HOOP_LITE_EXIT_ON_REVOKED");
        assert_eq!(found.as_deref(), Some(value), "{line}");
    }
}

#[test]
fn flags_come_before_the_environment_in_the_configuration() {
    let options = agent("--queue-budget 64MiB");
    let environment = |name: &str| match name {
        "HOOP_LITE_QUEUE_BUDGET" => Some("1MiB".to_owned()),
        "HOOP_LITE_STALL_MAX" => Some("9s".to_owned()),
        _ => None,
    };
    let settings = Settings::load(Surroundings {
        variable: &|name| options.value(name).or_else(|| environment(name)),
        read_file: &|_| Err(io::ErrorKind::NotFound.into()),
    })
    .unwrap();
    assert_eq!(
        (settings.queue_budget, settings.stall_max.as_secs()),
        (64 << 20, 9)
    );
}

#[test]
fn run_takes_a_program_after_two_dashes_with_flags_of_its_own() {
    let options =
        run("run -n app --review a,b --review c --data-masking=EMAIL -- ./x --name y -- z");
    assert_eq!(options.name.as_deref(), Some("app"));
    assert_eq!(options.review, ["a", "b", "c"]);
    assert_eq!(options.data_masking, ["EMAIL"]);
    assert_eq!(options.program, words("./x --name y -- z"));
    assert_eq!(
        refused("run ./x"),
        UsageError::ProgramWithoutDashes.to_string()
    );
    assert_eq!(refused("run --"), UsageError::ProgramMissing.to_string());
}

#[test]
fn run_takes_a_database_whose_secret_is_not_printed() {
    for flag in ["postgres", "mysql", "mssql", "mongodb"] {
        let options = run(&format!("run --{flag} postgres://u:hunter22@h/db"));
        let uri = options.database_uri.clone().unwrap();
        assert_eq!(uri.expose_text(), Some("postgres://u:hunter22@h/db"));
        assert!(!format!("{options:?}").contains("hunter22"));
    }
}

#[test]
fn mistakes_are_explained() {
    let long_name = format!("run --name {}", "a".repeat(253));
    for (line, wanted) in [
        (
            "strat agent",
            "unknown command `strat agent`; did you mean start agent?",
        ),
        ("docter", "unknown command `docter`; did you mean doctor?"),
        ("admin craete agent dev", "did you mean admin create agent?"),
        ("admni get", "did you mean admin get?"),
        ("admni get agents", "did you mean admin get agents?"),
        ("admni", "did you mean admin?"),
        ("admin gte", "did you mean admin get?"),
        ("strat", "did you mean start?"),
        (
            "connect db",
            "`connect db` is hoop's own: this is the agent alone",
        ),
        ("exec db", "hoop exec"),
        ("start gateway", "this is the agent alone"),
        ("login", "use hoop-lite admin login"),
        ("config create", "hoop-lite admin login"),
        ("agent start", "systemctl"),
        ("admin get connections", "use hoop admin"),
        ("--skip-tls-verify", "HOOP_TLS_SKIP_VERIFY=true"),
        ("start agent --debug-grpc", "--log-level=trace"),
        ("start agent --format auto", "leave --format away"),
        ("health x", "one of these: livez, readyz, healthz"),
        ("bananas", "unknown command `bananas`"),
        (
            "admin",
            "`admin` is not a whole command; one of these: admin create agent, admin get",
        ),
        ("admin get", "one of these: admin get agents"),
        ("start", "one of these: start agent"),
        ("start agent now", "start agent does not take `now`"),
        ("start agent -- x", "start agent does not take `--`"),
        (
            "admin create agent",
            "admin create agent needs NAME: hoop-lite admin create agent NAME",
        ),
        (
            "admin create agent a b",
            "admin create agent does not take `b`",
        ),
        ("admin delete agent/", "admin delete agent needs NAME"),
        (
            "--drain-timout 1s",
            "unknown flag `--drain-timout`; did you mean --drain-timeout?",
        ),
        ("-x", "unknown flag `-x`"),
        ("--drain-timeout", "--drain-timeout needs a duration"),
        ("--drain-timeout=", "--drain-timeout needs a duration"),
        (
            "--drain-timeout soon",
            "--drain-timeout wants a duration up to 10m",
        ),
        (
            "--relay-count-max 0",
            "--relay-count-max wants a number from 1",
        ),
        (
            "--exit-on-revoked=perhaps",
            "--exit-on-revoked wants nothing, or =true or =false",
        ),
        ("doctor -o yaml", "--output wants json"),
        (
            "admin create agent x --mode best",
            "--mode wants standard or embedded",
        ),
        (
            "doctor --mode standard",
            "--mode does not go with doctor; it belongs to admin create",
        ),
        (
            "doctor --stall-max 3s",
            "--stall-max does not go with doctor; it belongs to start agent, run",
        ),
        (
            "health -o json",
            "--output does not go with health; it belongs to admin create agent, admin get agents, doctor, version",
        ),
        ("version --version", "--version does not go with version"),
        (long_name.as_str(), "--name wants at most 252 characters"),
        ("help bananas", "unknown command `bananas`"),
        ("-h=x", "--help wants nothing"),
    ] {
        let message = refused(line);
        assert!(message.contains(wanted), "{line}: {message}");
    }
}

#[test]
fn secrets_on_the_command_line_are_refused_and_not_repeated() {
    let secret = "S3cr3tS3cr3tS3cr3t";
    for line in [
        "--key S3cr3tS3cr3tS3cr3t",
        "--key=S3cr3tS3cr3tS3cr3t",
        "start agent --token S3cr3tS3cr3tS3cr3t",
        "--password S3cr3tS3cr3tS3cr3t",
        "HOOP_KEY=S3cr3tS3cr3tS3cr3t",
        "HOOP_KEY=S3cr3tS3cr3tS3cr3t start agent",
        "TOKEN=S3cr3tS3cr3tS3cr3t run",
        "grpcs://dev:S3cr3tS3cr3tS3cr3t@gw:1",
        "start agent xagt-S3cr3tS3cr3tS3cr3t",
        "x-agt-S3cr3tS3cr3tS3cr3t",
        "doctor grpcs://dev:S3cr3tS3cr3tS3cr3t@gw:1",
        "run --name grpcs://dev:S3cr3tS3cr3tS3cr3t@gw:1",
        "--xagt-S3cr3tS3cr3tS3cr3t",
        "eyJS3cr3tS3cr3tS3cr3t.eyJ.c2ln",
    ] {
        let message = refused(line);
        assert!(!message.contains(secret), "{line}: {message}");
        assert!(message.contains("HOOP_KEY_FILE"), "{line}: {message}");
    }
}

#[test]
fn typed_text_cannot_steer_the_terminal() {
    let message = parse([OsString::from(
        "\u{1b}[2J\u{202e}\n".to_owned() + &"x".repeat(500),
    )]);
    let message = message.unwrap_err().to_string();
    assert!(
        message.is_ascii() && message.len() < 100 && !message.contains('\n'),
        "{message}"
    );
}

#[test]
fn help_is_found_from_everywhere() {
    let text = |line: &str| match parsed(line) {
        Invocation::Help(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(text("help"), text("--help"));
    assert_eq!(text("help"), text("-h"));
    assert_eq!(text("help run"), text("run --help"));
    assert_eq!(
        text("help admin create agent"),
        text("admin create agent -h")
    );
    assert_eq!(
        text("help admin create agent"),
        text("admin create agent dev -h")
    );
    assert_eq!(text("admin get agent -h"), text("help admin get agents"));
    assert!(text("help admin").starts_with("Usage: hoop-lite admin COMMAND\n"));
    assert!(text("admin --help").contains("admin delete agent NAME"));
}

#[test]
fn the_overview_is_this() {
    let text = help::text(&[]).unwrap();
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    assert_eq!(text, include_str!("golden/overview.txt"));
}

#[test]
fn the_help_of_commands_is_this() {
    let help = |words: &[&str]| help::text(words).unwrap();
    assert_eq!(help(&["run"]), include_str!("golden/run.txt"));
    assert_eq!(help(&["admin"]), include_str!("golden/admin.txt"));
    assert_eq!(
        help(&["admin", "create", "agent"]),
        include_str!("golden/admin-create-agent.txt")
    );
}

#[test]
fn help_fits_a_terminal() {
    for entry in COMMANDS {
        let words: Vec<&str> = entry.words().collect();
        for line in help::text(&words).unwrap().lines() {
            assert!(line.len() <= 79 && line.trim_end() == line, "{line}");
        }
    }
}

#[test]
fn the_table_of_flags_is_consistent() {
    for (index, flag) in FLAGS.iter().enumerate() {
        let others = FLAGS.iter().skip(index + 1);
        for other in others {
            assert!(flag.name != other.name);
            assert!(flag.short.is_none() || flag.short != other.short);
        }
        assert!(!flag.commands.is_empty() && flag.help.ends_with('.'));
        if let Some(variable) = flag.variable.filter(|name| name.starts_with("HOOP_LITE_")) {
            // Upstream's word for what its variable calls the encoding.
            let name = match flag.name {
                "format" => "log-encoding",
                name => name,
            };
            let name = name.to_ascii_uppercase().replace('-', "_");
            assert_eq!(variable, format!("HOOP_LITE_{name}"));
            let is_list = matches!(flag.value, flags::FlagValue::Words(_));
            assert!(is_list || settings::wanted(variable).is_some());
        }
    }
    assert_eq!(COMMANDS.len(), 10);
}

proptest! {
    #[test]
    fn any_line_gets_an_answer(line in "(--|-)?\\PC{0,20}( (--|-)?\\PC{0,20}){0,4}") {
        let _ = parse(line.split(' ').map(OsString::from));
    }

    #[test]
    fn any_arrangement_of_known_words_gets_an_answer(
        picks in proptest::collection::vec(0usize..20, 0..7),
    ) {
        let known = [
            "start", "agent", "agents", "run", "admin", "create", "get", "delete", "login", "-o",
            "json", "--", "--help", "-h", "help", "version", "--stall-max", "3s", "agent/", "-Vh",
        ];
        let line = picks.iter().filter_map(|pick| known.get(*pick)).map(OsString::from);
        let _ = parse(line);
    }
}
