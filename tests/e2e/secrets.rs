//! Connections whose values refer to secret stores: fetched before the session opens, told to nobody else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use loopback_gateway::SessionRequest;
use loopback_gateway::aws::LoginToken;
use loopback_gateway::database::Database;
use loopback_gateway::mysql;
use loopback_gateway::postgres::{Conduct, Method, RESULT, Server, TlsAnswer, startup};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::targets::{Manner, Target};

use crate::world::{World, forward_at_work};

const VALUE: &str = "v4lue-of-a-secret";
const TOKEN: &str = "s.t0ken-of-the-agent";
const KEY: &str = "k3y-of-the-agent";

/// What a scripted store does with a request.
enum Reply {
    /// Status and body.
    Answer(u16, String),
    /// Nothing, for ever.
    Silence,
    /// It hangs up.
    End,
    /// The same after these bytes.
    Half(&'static str),
}

/// A store in the clear, on a port of its own: requests, and how many connections they came on.
struct Store {
    port: u16,
    seen: Arc<Mutex<(Vec<String>, usize)>>,
}

impl Store {
    fn start(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new((Vec::new(), 0)));
        let (shared, reply) = (seen.clone(), Arc::new(reply));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (shared, reply) = (shared.clone(), reply.clone());
                shared.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
                std::thread::spawn(move || serve(socket, &shared, &*reply));
            }
        });
        Self { port, seen }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().0.clone()
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().1
    }
}

fn serve(
    mut socket: TcpStream,
    seen: &Mutex<(Vec<String>, usize)>,
    reply: &dyn Fn(&str, usize) -> Reply,
) {
    while let Some(request) = read(&mut socket) {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.0.push(request.clone());
            seen.0.len()
        };
        match reply(&request, number) {
            Reply::Answer(status, body) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = socket.write_all((head + &body).as_bytes());
            }
            Reply::Half(text) => {
                let _ = socket.write_all(text.as_bytes());
                return;
            }
            Reply::End => return,
            Reply::Silence => {
                let _ = socket.read(&mut [0]);
                return;
            }
        }
    }
}

/// One request, its body included.
fn read(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        match socket.read(&mut piece) {
            Ok(size) if size > 0 => bytes.extend_from_slice(&piece[..size]),
            _ => return None,
        }
    }
}

fn vault() -> Store {
    Store::start(|_, _| {
        let body = format!(
            r#"{{"data":{{"data":{{"password":"{VALUE}","port":5432}},"metadata":{{"version":1}}}}}}"#
        );
        Reply::Answer(200, body)
    })
}

fn aws() -> Store {
    Store::start(|_, _| {
        let body = format!(r#"{{"SecretString":"{{\"password\":\"{VALUE}\",\"big\":1000000}}"}}"#);
        Reply::Answer(200, body)
    })
}

/// An agent of these stores.
fn world(vault: &str, aws: &str, more: &[(&str, &str)]) -> World {
    let mut variables = vec![
        ("VAULT_ADDR", vault),
        ("VAULT_TOKEN", TOKEN),
        ("AWS_ENDPOINT_URL", aws),
        ("AWS_REGION", "us-west-2"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        ("HOME", "/nonexistent"),
    ];
    variables.extend(more);
    World::with_variables(&variables)
}

/// None of what nobody may read is in the agent's log.
fn assert_silent(world: &World) {
    let log = world.agent.lines().join("\n");
    for secret in [VALUE, TOKEN, KEY, "Signature="] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn commands_find_the_values_of_both_stores_each_asked_once() {
    let (vault, aws) = (vault(), aws());
    let world = world(&vault.url(), &aws.url(), &[]);
    let request = || {
        SessionRequest::exec(&["sh"])
            .env("A", "_vaultkv2:secret/data/db:password")
            .env("B", "_vaultkv2:secret/data/db:port")
            .env("C", "_vaultkv2:secret/data/other:port")
            .env("D", "_aws:prod/db:big")
            .file("E", b"_aws:prod/db:password")
            .env("F", "plain:text")
    };
    let outcome = world.open(request()).run(b"echo $A $B $C $D $(cat $E) $F");
    assert_eq!(
        outcome.out(),
        format!("{VALUE} 5432 5432 1000000 {VALUE} plain:text\n")
    );
    let asked: Vec<String> = vault
        .requests()
        .iter()
        .map(|request| request.lines().next().unwrap().to_owned())
        .collect();
    assert_eq!(
        asked,
        [
            "GET /v1/secret/data/db HTTP/1.1",
            "GET /v1/secret/data/other HTTP/1.1"
        ]
    );
    assert_eq!((vault.connections(), aws.connections()), (1, 1));
    assert_eq!(aws.requests().len(), 1);
    assert!(aws.requests()[0].contains("Credential=AKIDEXAMPLE/"));
    // Nothing is kept: the next session asks again.
    world.open(request()).run(b"true");
    assert_eq!((vault.requests().len(), aws.requests().len()), (4, 2));
    assert_silent(&world);
}

#[test]
fn all_that_is_missing_is_told_in_order_and_nothing_of_the_stores_own_words() {
    let vault = Store::start(|_, _| Reply::Answer(503, format!(r#"{{"errors":["{VALUE}"]}}"#)));
    let aws = Store::start(|_, _| {
        Reply::Answer(
            400,
            r#"{"__type":"x#AccessDeniedException","Message":"arn:aws:iam::1:role/x may not"}"#
                .to_owned(),
        )
    });
    let world = world(&vault.url(), &aws.url(), &[]);
    let request = SessionRequest::exec(&["sh"])
        .env("Z", "_vaultkv1:kv/db:user")
        .env("A", "_aws:prod/db:password");
    let refusal = world.open(request).wait_refusal();
    assert_eq!(
        refusal.text,
        "failed decoding environment variables [\"envvar:A _aws prod/db: AWS answered AccessDeniedException (400)\" \
         \"envvar:Z _vaultkv1 kv/db: Vault answered with status 503\"]"
    );
    assert_eq!(vault.requests().len(), 2, "asked once more");
    assert!(
        world
            .agent
            .wait_text("arn:aws:iam::1:role/x may not")
            .contains("AccessDenied")
    );
    let ended = world.agent.wait_text("failed decoding environment");
    assert!(ended.contains("demo"), "whose session it was: {ended}");
    assert_silent(&world);
}

#[test]
fn a_store_that_ends_or_babbles_is_asked_once_more_at_most() {
    let good = r#"{"data":{"password":"x"}}"#;
    let vault = Store::start(move |_, number| match number {
        1 => Reply::End,
        2 => Reply::Answer(200, good.into()),
        3 => Reply::Half("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"data\""),
        4 => Reply::Half("SSH-2.0-x\r\n"),
        _ => Reply::Answer(200, "x".repeat(600 * 1024)),
    });
    let world = world(&vault.url(), "http://127.0.0.1:1", &[]);
    let request = || SessionRequest::exec(&["sh"]).env("A", "_vaultkv1:kv/db:password");
    assert_eq!(world.open(request()).run(b"echo $A").out(), "x\n");
    for wanted in [
        "closed the connection",
        "no HTTP, or too large",
        "no HTTP, or too large",
    ] {
        let text = world.open(request()).wait_refusal().text;
        assert!(text.contains(wanted), "{text}");
    }
    let text = {
        let request = SessionRequest::exec(&["sh"]).env("A", "_aws:x:y");
        world.open(request).wait_refusal().text
    };
    assert!(text.contains("AWS can't be reached"), "{text}");
    assert_silent(&world);
}

#[test]
fn a_silent_store_costs_its_own_session_and_a_neighbour_nothing() {
    let vault = Store::start(|_, _| Reply::Silence);
    let world = world(&vault.url(), "http://127.0.0.1:1", &[]);
    let echo = Target::start(Manner::Echo);
    let mut neighbour = forward_at_work(&world.gateway, &echo);
    let request = SessionRequest::exec(&["sh"]).env("A", "_vaultkv1:kv/db:password");
    let mut waiting = world.open(request);
    neighbour.send_to("1", b"y");
    assert_eq!(neighbour.receive("1", 1), b"y");
    assert_eq!(world.exec(&["echo", "x"]).out(), "x\n");
    let text = waiting.wait_refusal().text;
    assert!(text.contains("the store did not answer in time"), "{text}");
    // Who leaves meanwhile leaves nothing behind.
    let request = SessionRequest::exec(&["sh"]).env("A", "_vaultkv1:kv/db:password");
    let mut left = world.open(request);
    left.kill();
    assert_eq!(world.exec(&["echo", "x"]).out(), "x\n");
}

#[test]
fn a_users_own_references_are_texts() {
    let (vault, aws) = (vault(), aws());
    let world = world(&vault.url(), &aws.url(), &[]);
    let request = SessionRequest::exec(&["sh"])
        .client_env("PASS", "_vaultkv1:auth/token/lookup-self:id")
        .client_env("EKS_CLUSTER", "prod")
        .client_env("USER", "_aws_iam_rds:admin")
        .client_env("HOST", "169.254.169.254")
        .client_env("PORT", "5432");
    let outcome = world
        .open(request)
        .run(b"echo $PASS $USER [$EKS_CLUSTER] [$KUBERNETES_BEARER_TOKEN] $PGPASSWORD");
    assert_eq!(
        outcome.out(),
        "_vaultkv1:auth/token/lookup-self:id _aws_iam_rds:admin [] []\n"
    );
    assert!(vault.requests().is_empty() && aws.requests().is_empty());
    for (value, wanted) in [
        (
            "_vaultkv1:auth/token/lookup-self:id",
            "auth/token is no secret",
        ),
        ("_aws:prod/db", "is no reference to AWS"),
        ("_vaultkv2:a:b:c", "is no reference to Vault"),
    ] {
        let text = world
            .open(SessionRequest::exec(&["sh"]).env("A", value))
            .wait_refusal()
            .text;
        assert!(text.contains(wanted), "{text}");
    }
    assert!(vault.requests().is_empty() && aws.requests().is_empty());
}

#[test]
fn the_machines_own_addresses_are_shut_to_sessions() {
    let world = World::start();
    for host in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "168.63.129.16",
    ] {
        let text = world
            .open(SessionRequest::tcp(host, 80))
            .wait_refusal()
            .text;
        assert!(text.contains("HOOP_LITE_OPEN_METADATA"), "{text}");
    }
}

/// A native connection to a database of RDS, which is on this machine.
fn to_rds(dialect: &str, port: u16, mode: &str) -> SessionRequest {
    SessionRequest::new(dialect, "connect")
        .env("HOST", "LOCALHOST")
        .env("PORT", &port.to_string())
        .env("USER", "_aws_iam_rds:app")
        .env("PASS", "_aws_iam_rds:authtoken")
        .env("SSLMODE", mode)
}

#[test]
fn a_database_of_rds_gets_a_token_of_its_own_for_each_login_and_over_tls_alone() {
    let certificate = Certificate::new(&["localhost", "127.0.0.1"]);
    let start = |tls: TlsAnswer| {
        let certificate = certificate.clone();
        Database::start(move || {
            let mut conduct = Conduct::new(Method::Token).with_tls(tls);
            conduct.password = "localhost:".into();
            Secure::new(Speaker::Postgres(Server::new(conduct)), &certificate)
        })
    };
    let world = world("http://127.0.0.1:1", "http://127.0.0.1:1", &[]);
    let to = |port: u16, mode: &str| to_rds("postgres", port, mode);
    let database = start(TlsAnswer::Yes);
    let hello = startup(3 << 16, &[("user", "noop"), ("database", "sales")]);
    let mut session = world.open(to(database.port(), "prefer"));
    session.wait_open();
    let query = b"Q\0\0\0\x0dselect 1\0";
    for id in ["1", "2"] {
        session.send_as("PG", id, &hello);
        session.receive_until(id, b"Z\0\0\0\x05I");
        session.send_as("PG", id, query);
        assert_eq!(session.receive_until(id, b"Z\0\0\0\x05I"), RESULT);
    }
    let tokens = database.wait("two logins", |connections| {
        let tokens: Vec<String> = connections
            .iter()
            .filter_map(|one| one.postgres.password.clone())
            .collect();
        (tokens.len() == 2).then_some(tokens)
    });
    for token in tokens {
        assert!(of_rds(database.port()).is_made(&token), "{token}");
    }
    let text = world
        .open(to(database.port(), "disable"))
        .wait_refusal()
        .text;
    assert!(text.contains("over TLS alone"), "{text}");
    let plain = start(TlsAnswer::No);
    let mut session = world.open(to(plain.port(), "prefer"));
    session.wait_open();
    session.send_as("PG", "1", &hello);
    let said = String::from_utf8_lossy(&session.receive_to_end("1")).into_owned();
    assert!(said.contains("SSL is not enabled"), "{said}");
    assert!(
        plain
            .connections()
            .iter()
            .all(|one| one.postgres.password.is_none())
    );
    assert_silent(&world);
}

/// What a database of this port takes of the agent.
fn of_rds(port: u16) -> LoginToken {
    LoginToken {
        place: format!("localhost:{port}"),
        user: "app",
        region: "us-west-2",
        key: ("AKIDEXAMPLE", KEY),
    }
}

/// A server of MySQL whose account takes tokens alone, sent as they are.
fn mysql_of_rds(version: &'static str, capabilities: u32, has_tls: bool) -> Database {
    let certificate = Certificate::new(&["localhost", "127.0.0.1"]);
    let port = Arc::new(Mutex::new(0));
    let known = port.clone();
    let database = Database::start(move || {
        let mut conduct = mysql::Conduct::new("mysql_clear_password");
        (conduct.version, conduct.capabilities) = (version, capabilities);
        conduct.favourite = "mysql_native_password";
        conduct.has_tls = has_tls;
        conduct.token = Some(of_rds(*known.lock().unwrap()));
        let (server, greeting) = mysql::Server::accept(conduct);
        let mut secure = Secure::new(Speaker::Mysql(server), &certificate);
        secure.greeting = greeting;
        secure
    });
    *port.lock().unwrap() = database.port();
    database
}

#[test]
fn mysql_and_mariadb_of_rds_get_a_token_for_each_login_and_over_tls_alone() {
    let world = world("http://127.0.0.1:1", "http://127.0.0.1:1", &[]);
    let to = |port: u16, mode: &str| to_rds("mysql", port, mode).env("DB", "sales");
    let hello = {
        let capabilities = 1 << 3 | 1 << 9 | 1 << 15 | 1 << 19 | 1 << 24;
        mysql::response(capabilities, 45, "sales", b"")
    };
    for (version, capabilities) in [
        ("8.4.5", mysql::CAPABILITIES),
        ("11.8.2-MariaDB", 0x81ff_fffe),
    ] {
        let database = mysql_of_rds(version, capabilities, true);
        let mut session = world.open(to(database.port(), "prefer"));
        session.wait_open();
        for id in ["1", "2"] {
            session.send_as("MySQL", id, b"");
            session.receive_until(id, b"mysql_native_password\0");
            session.send_as("MySQL", id, &hello);
            assert_eq!(session.receive(id, 5)[3..], [2, 0], "{version}");
            session.send_as("MySQL", id, b"\x09\0\0\0\x03select 1");
        }
        database.wait("two logins", |connections| {
            let is_in = |one: &&_| {
                let one: &loopback_gateway::database::Connection = one;
                one.is_secure && one.mysql.commands.ends_with(b"select 1")
            };
            (connections.iter().filter(is_in).count() == 2).then_some(())
        });
        let text = world
            .open(to(database.port(), "disable"))
            .wait_refusal()
            .text;
        assert!(text.contains("over TLS alone"), "{text}");
        let plain = mysql_of_rds(version, capabilities, false);
        let mut session = world.open(to(plain.port(), "prefer"));
        session.wait_open();
        session.send_as("MySQL", "1", b"");
        session.receive_until("1", b"mysql_native_password\0");
        session.send_as("MySQL", "1", &hello);
        let said = String::from_utf8_lossy(&session.receive_to_end("1")).into_owned();
        assert!(said.contains("which no token of RDS takes"), "{said}");
        let connections = plain.connections();
        assert!(connections.iter().all(|one| one.mysql.password.is_none()));
    }
    // By command the client's program sends it, if it may.
    let database = Target::start(Manner::Echo);
    let command = SessionRequest::new("mysql", "exec")
        .command(&["echo", "x"])
        .env("HOST", "127.0.0.1")
        .env("PORT", &database.port().to_string())
        .env("USER", "_aws_iam_rds:app")
        .env("PASS", "_aws_iam_rds:authtoken");
    let out = world.open(command).run(b"").out();
    assert_eq!(out, "x --enable-cleartext-plugin\n");
    for (wish, mode) in [("disable", "require\n"), ("verify-full", "verify-full\n")] {
        let command = SessionRequest::new("postgres", "exec")
            .command(&["sh", "-c", "echo $PGSSLMODE"])
            .env("HOST", "127.0.0.1")
            .env("PORT", &database.port().to_string())
            .env("USER", "_aws_iam_rds:app")
            .client_env("PGSSLMODE", wish);
        assert_eq!(world.open(command).run(b"").out(), mode);
    }
    assert_silent(&world);
}

#[test]
fn a_console_finds_the_values_of_both_stores() {
    let (vault, aws) = (vault(), aws());
    let world = world(&vault.url(), &aws.url(), &[]);
    let request = SessionRequest::console(&["bash", "--norc", "--noprofile", "--noediting", "-i"])
        .env("PS1", "ready> ")
        .env("OF_VAULT", "_vaultkv2:secret/data/db:password")
        .env("OF_AWS", "_aws:prod/db:big")
        .file("IN_A_FILE", b"_aws:prod/db:password");
    let mut session = world.open(request);
    session.start_console();
    session.expect("ready> ");
    session.write("tty; echo $OF_VAULT $OF_AWS $(cat $IN_A_FILE)\n");
    session.expect("/dev/pts/");
    session.expect(&format!("{VALUE} 1000000 {VALUE}\r\n"));
    session.write("exit 7\n");
    assert_eq!(session.wait_close().code, Some(7));
    assert_eq!((vault.requests().len(), aws.requests().len()), (1, 1));
    // One that can't be had costs the console as it does a command.
    let request = SessionRequest::console(&["cat"]).env("A", "_vaultkv2:secret/data/db:none");
    let text = world.open(request).wait_refusal().text;
    assert!(text.contains("the secret has no such key"), "{text}");
    assert_silent(&world);
}

#[test]
fn without_credentials_a_token_is_refused_and_a_command_gets_one_where_there_are_some() {
    let nobody = World::with_variables(&[
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "us-west-2"),
        ("HOME", "/nonexistent"),
    ]);
    let command = || {
        SessionRequest::exec(&["sh"])
            .env("HOST", "db.x.eu-west-1.rds.amazonaws.com")
            .env("PORT", "5432")
            .env("USER", "_aws_iam_rds:app")
    };
    let text = nobody.open(command()).wait_refusal().text;
    assert!(
        text.contains("aws rds auth token") && text.contains("no AWS credentials"),
        "{text}"
    );
    let world = world("http://127.0.0.1:1", "http://127.0.0.1:1", &[]);
    let out = world.open(command()).run(b"echo $USER $PASS").out();
    let wanted = "app db.x.eu-west-1.rds.amazonaws.com:5432?Action=connect&DBUser=app&";
    assert!(
        out.starts_with(wanted) && out.contains("eu-west-1%2Frds-db"),
        "{out}"
    );
    let cluster = SessionRequest::exec(&["sh"]).env("EKS_CLUSTER", "prod-1");
    let out = world
        .open(cluster)
        .run(b"echo $KUBERNETES_BEARER_TOKEN")
        .out();
    assert!(
        out.starts_with("Bearer k8s-aws-v1.aHR0cHM6Ly9zdHMudXMtd2VzdC0yL"),
        "{out}"
    );
    let tcp = SessionRequest::tcp("127.0.0.1", 1).env("USER", "_aws_iam_rds:app");
    let text = world.open(tcp).wait_refusal().text;
    assert!(
        text.contains("which is for connections of postgres and mysql"),
        "{text}"
    );
    assert_silent(&world);
}
