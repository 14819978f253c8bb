//! Sessions whose values refer to a store: slow, rude, cut at each byte, without end; and many of them at once.

use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::secrets::{Settings, Stores};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"data\":{\"k\":\"s3cret1\"}}";

/// Time that only the test moves, and random bytes.
struct Stub;

impl Sources for Stub {
    fn random(&mut self, bytes: &mut [u8]) -> bool {
        bytes.fill(7);
        true
    }

    fn authorities(&mut self, _: Option<&str>) -> Result<std::sync::Arc<[u8]>, AuthorityError> {
        Err(AuthorityError::NoBundle)
    }

    fn clock(&self) -> u64 {
        1_795_889_096
    }
}

fn world_of(settings: Settings, sources: impl Sources + 'static) -> World {
    let mut world = World::new();
    world.sessions = world
        .sessions
        .with_sources(Box::new(sources))
        .with_stores(Stores::new(settings));
    world
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables = variables.iter();
    Settings::new(variables.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())))
}

fn world() -> World {
    let variables = [("VAULT_ADDR", "http://vault:8200"), ("VAULT_TOKEN", "t")];
    world_of(settings(&variables), Stub)
}

fn referring() -> ConnectionParams {
    params("command-line", &[("PASS", "_vaultkv1:kv/db:k")], &["sh"])
}

/// What became of the session: open or closed, said once.
fn outcome(world: &mut World) -> (bool, String) {
    let one = world.one();
    assert!(!format!("{one:?}").contains("s3cret"), "{one:?}");
    (one.kind == Kind::ClientSessionOpenOK, one.payload)
}

/// A store that is asked; what it was asked.
fn asked(world: &mut World) -> (TargetId, String) {
    let store = world.connected();
    let request = String::from_utf8(world.takes(store, usize::MAX)).unwrap();
    (store, request)
}

#[test]
fn an_answer_counts_in_pieces_of_any_size_and_a_cut_one_nowhere() {
    for size in [1, 7, ANSWER.len()] {
        let mut world = world();
        world.open("s", referring());
        let (store, request) = asked(&mut world);
        assert!(request.starts_with("GET /v1/kv/db HTTP/1.1\r\nHost: vault:8200\r\n"));
        for piece in ANSWER.as_bytes().chunks(size) {
            assert!(world.sent().is_empty());
            world.says(store, Channel::Output, piece);
        }
        assert_eq!(outcome(&mut world), (true, String::new()));
        assert_eq!(world.closes(), [store]);
        world.deliver(Kind::AgentExecWriteStdin, "s", b"");
        let (_, program) = world.spawned();
        let value = program.environment.iter().find(|(name, _)| name == "PASS");
        assert_eq!(value.unwrap().1.expose(), b"s3cret1");
    }
    for cut in 1..ANSWER.len() {
        let mut world = world();
        world.open("s", referring());
        let (store, _) = asked(&mut world);
        world.says(store, Channel::Output, &ANSWER.as_bytes()[..cut]);
        world.ends(store, Channel::Output);
        let (is_open, text) = outcome(&mut world);
        assert!(
            !is_open && text.contains("closed the connection"),
            "{cut} {text}"
        );
        assert_eq!(
            (world.closes(), world.sessions.target_count()),
            (vec![store], 0)
        );
        assert!(world.sessions.is_empty() && world.sessions.held_bytes() == 0);
    }
}

#[test]
fn a_connection_that_ends_unheard_and_a_refusal_in_passing_are_tried_once_more() {
    for first in [
        "",
        "HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let mut world = world();
        world.open("s", referring());
        for is_last in [false, true] {
            let (store, _) = asked(&mut world);
            match first {
                "" => world.ends(store, Channel::Output),
                _ => world.says(store, Channel::Output, first.as_bytes()),
            }
            assert_eq!(world.closes(), [store]);
            if !is_last {
                assert!(world.sent().is_empty());
                world.wait(Duration::from_millis(400));
            }
        }
        let (is_open, text) = outcome(&mut world);
        assert!(
            !is_open && text.contains("envvar:PASS _vaultkv1 kv/db: Vault"),
            "{text}"
        );
    }
}

#[test]
fn a_login_is_never_tried_once_more_since_it_may_have_counted() {
    let variables = [
        ("VAULT_ADDR", "http://vault:8200"),
        ("VAULT_APP_ROLE_ID", "role"),
        ("VAULT_APP_ROLE_SECRET_ID", "secret"),
    ];
    for first in [
        "",
        "HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let mut world = world_of(settings(&variables), Stub);
        world.open("s", referring());
        let (store, request) = asked(&mut world);
        assert!(request.starts_with("POST /v1/auth/approle/login HTTP/1.1\r\n"));
        match first {
            "" => world.ends(store, Channel::Output),
            _ => world.says(store, Channel::Output, first.as_bytes()),
        }
        let (is_open, text) = outcome(&mut world);
        assert!(
            !is_open && text.contains("envvar:PASS _vaultkv1 kv/db: Vault"),
            "{text}"
        );
        assert_eq!(world.closes(), [store]);
        world.wait(Duration::from_millis(400));
        assert!(world.sessions.poll_output().is_none(), "it is asked again");
    }
}

/// What an agent's host has that is moved by the test: its clock, and a token's file, which is there or not.
#[derive(Clone)]
struct Host {
    clock: Rc<Cell<u64>>,
    has_file: Rc<Cell<bool>>,
    /// How often the file was wanted.
    reads: Rc<Cell<usize>>,
}

impl Sources for Host {
    fn random(&mut self, bytes: &mut [u8]) -> bool {
        Stub.random(bytes)
    }

    fn authorities(&mut self, _: Option<&str>) -> Result<std::sync::Arc<[u8]>, AuthorityError> {
        Err(AuthorityError::NoBundle)
    }

    fn clock(&self) -> u64 {
        self.clock.get()
    }

    fn file(&mut self, path: &str) -> std::io::Result<Vec<u8>> {
        let is_wanted = path == "/token";
        self.reads.set(self.reads.get() + usize::from(is_wanted));
        match is_wanted && self.has_file.get() {
            true => Ok(b"t".to_vec()),
            false => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

#[test]
fn a_renewal_that_fails_at_once_frees_its_place() {
    const KEYS: &str = "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"k\",\
        \"Token\":\"t\",\"Expiration\":\"2026-11-28T20:04:56Z\"}";
    let variables = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://127.0.0.1:9/keys",
        ),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token"),
        ("VAULT_ADDR", "http://vault:8200"),
        ("VAULT_TOKEN", "t"),
    ];
    let host = Host {
        clock: Rc::new(Cell::new(Stub.clock())),
        has_file: Rc::new(Cell::new(true)),
        reads: Rc::default(),
    };
    let mut world = world_of(settings(&variables), host.clone());
    let database = [
        ("USER", "_aws_iam_rds:app"),
        ("HOST", "db.x.us-west-2.rds.amazonaws.com"),
        ("PORT", "5432"),
    ];
    world.open("s", params("command-line", &database, &["sh"]));
    let (keeper, request) = asked(&mut world);
    assert!(request.starts_with("GET /keys HTTP/1.1\r\n"), "{request}");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{KEYS}",
        KEYS.len()
    );
    world.says(keeper, Channel::Output, answer.as_bytes());
    assert_eq!(outcome(&mut world), (true, String::new()));
    assert_eq!(world.closes(), [keeper]);
    // The keys are about to end, and there is nothing to ask for others with.
    host.has_file.set(false);
    host.clock.set(host.clock.get() + 7000);
    let before = host.reads.get();
    while host.reads.get() == before {
        world.wait_for_deadline(world.now + Duration::from_secs(7000));
    }
    assert!(world.sessions.poll_output().is_none() && world.sent().is_empty());
    // All of his places are free at that moment.
    for number in 0..limits::FETCH_COUNT_MAX * 3 / 4 {
        world.open(&number.to_string(), referring());
        asked(&mut world);
    }
}

#[test]
fn bytes_without_end_and_bytes_that_are_none_end_the_session_alone() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(4000));
    for (beginning, more) in [
        (&endless[..], "y"),
        ("HTTP/1.1 200 OK\r\nX: ", "z"),
        ("SSH-2.0", ""),
        ("\u{15}\u{3}\u{1}\0\u{2}", ""),
    ] {
        let mut world = world();
        world.open_tcp("other");
        world.open("s", referring());
        let (store, _) = asked(&mut world);
        let mut count = 0;
        world.says(store, Channel::Output, beginning.as_bytes());
        while world.sessions.target_count() > 0 && count < 200 {
            world.says(store, Channel::Output, more.repeat(4000).as_bytes());
            count += 1;
        }
        let (is_open, text) = outcome(&mut world);
        assert!(!is_open && text.contains("no HTTP, or too large"), "{text}");
        assert!(count < 150, "{count} reads of 4,000 bytes");
        assert_eq!(world.sessions.len(), 1);
    }
}

#[test]
fn a_store_that_is_slow_by_the_byte_has_no_longer_than_a_silent_one() {
    for is_slow in [false, true] {
        let mut world = world();
        world.open("s", referring());
        let (store, _) = asked(&mut world);
        let start = world.now;
        for byte in ANSWER.as_bytes() {
            world.wait(Duration::from_millis(100));
            if world.sessions.is_empty() {
                break;
            }
            if is_slow {
                world.says(store, Channel::Output, &[*byte]);
            }
        }
        let (is_open, text) = outcome(&mut world);
        assert!(
            !is_open && text.contains("did not answer in time"),
            "{text}"
        );
        let took = world.now - start;
        assert!(took >= limits::FETCH_MAX && took < limits::FETCH_MAX + Duration::from_millis(200));
        assert_eq!(world.sessions.target_count(), 0);
    }
}

#[test]
fn a_dead_store_and_one_that_can_not_be_dialled_are_told() {
    let mut world = world();
    world.open("s", referring());
    let store = world.dialled();
    world.report(
        store,
        Report::Failed(Unreached::because("connect: connection refused")),
    );
    let (is_open, text) = outcome(&mut world);
    assert!(
        !is_open && text.contains("Vault can't be reached"),
        "{text}"
    );
    world.closes();
    world.open("t", referring());
    world.dialled();
    world.wait(limits::STORE_DIAL_MAX);
    let (is_open, text) = outcome(&mut world);
    assert!(
        !is_open && text.contains("Vault can't be reached"),
        "{text}"
    );
}

/// An https store, by a proxy.
fn proxied() -> World {
    let variables = [
        ("VAULT_ADDR", "https://vault:8200"),
        ("VAULT_TOKEN", "t"),
        ("VAULT_CACERT", "-----BEGIN CERTIFICATE-----"),
    ];
    let via = |_: &crate::base::GatewayAddress| {
        Some(crate::secrets::Via {
            host: "proxy".to_owned(),
            port: 3128,
            request: Secret::new("CONNECT vault:8200 HTTP/1.1\r\n\r\n"),
        })
    };
    world_of(settings(&variables).with_proxy(Box::new(via)), Stub)
}

#[test]
fn a_question_that_is_repeated_goes_by_the_proxy_again_and_believes_the_same_authority() {
    let mut world = proxied();
    world.open("s", referring());
    for _ in 0..2 {
        let Some(Output::Dial { target, place, .. }) = world.sessions.poll_output() else {
            panic!("nothing is dialled")
        };
        let host = "proxy".to_owned();
        assert_eq!(place, Where::Name { host, port: 3128 });
        world.report(target, STARTED);
        assert!(world.takes(target, usize::MAX).starts_with(b"CONNECT"));
        world.ends(target, Channel::Output);
        world.closes();
        world.wait(Duration::from_millis(400));
    }
    assert!(!outcome(&mut world).0);
    // A broken authority is no reason to believe others, the second time either.
    world.open("t", referring());
    let (proxy, _) = asked(&mut world);
    world.says(proxy, Channel::Output, b"HTTP/1.1 200 OK\r\n\r\n");
    let (is_open, text) = outcome(&mut world);
    assert!(!is_open && text.contains("TLS failed"), "{text}");
}

#[test]
fn one_user_has_three_quarters_of_the_places_and_who_waits_is_let_in_in_order() {
    let mut world = world();
    let (most, share) = (limits::FETCH_COUNT_MAX, limits::FETCH_COUNT_MAX * 3 / 4);
    let open = |world: &mut World, id: &str, user: &str| {
        let mut params = referring();
        params.user_id = user.to_owned();
        world.open(id, params);
    };
    for number in 0..share + 3 {
        open(&mut world, &format!("a{number}"), "a");
    }
    let mut stores: Vec<TargetId> = (0..share).map(|_| asked(&mut world).0).collect();
    assert!(world.sessions.poll_output().is_none(), "his share is full");
    for number in 0..most - share + 1 {
        open(&mut world, &format!("b{number}"), "b");
    }
    stores.extend((0..most - share).map(|_| asked(&mut world).0));
    assert!(world.sessions.poll_output().is_none(), "all places are");
    // One of the first user's ends: his next one has been waiting longest.
    world.says(stores[0], Channel::Output, ANSWER.as_bytes());
    assert_eq!(world.one().session, "a0");
    world.closes();
    // Who comes now goes behind him.
    open(&mut world, "c", "c");
    world.later(Duration::from_millis(1));
    let (next, _) = asked(&mut world);
    world.says(next, Channel::Output, ANSWER.as_bytes());
    assert_eq!(world.one().session, format!("a{share}"));
    // One who was let in and leaves at once gives the place on.
    world.deliver(Kind::AgentSessionClose, &format!("a{}", share + 1), b"");
    world.closes();
    world.later(Duration::from_millis(1));
    let (next, _) = asked(&mut world);
    world.says(next, Channel::Output, ANSWER.as_bytes());
    assert_eq!(world.one().session, format!("a{}", share + 2));
}

#[test]
fn sixteen_fetch_at_once_and_the_others_wait_in_order_with_their_time_running() {
    let mut world = world();
    let count = limits::FETCH_COUNT_MAX;
    for number in 0..count + 2 {
        let mut params = referring();
        params.user_id = (number % 2).to_string();
        world.open(&number.to_string(), params);
    }
    let stores: Vec<TargetId> = (0..count).map(|_| asked(&mut world).0).collect();
    assert!(world.sessions.poll_output().is_none());
    // A client that leaves makes room, and so does an answer.
    world.deliver(Kind::AgentSessionClose, "3", b"");
    assert_eq!(world.closes(), [stores[3]]);
    world.later(Duration::from_millis(1));
    let (next, _) = asked(&mut world);
    world.says(stores[0], Channel::Output, ANSWER.as_bytes());
    assert_eq!(world.one().session, "0");
    world.says(next, Channel::Output, ANSWER.as_bytes());
    assert_eq!(world.one().session, count.to_string());
    world.wait(limits::FETCH_MAX);
    // Fourteen silent ones, and the last that had its place for the rest of its time.
    let sent = world.sent();
    assert_eq!(sent.len(), count - 2 + 1);
    assert!(sent.iter().all(|one| one.kind == Kind::ClientSessionClose));
    assert_eq!(
        (world.sessions.len(), world.sessions.target_count()),
        (2, 0)
    );
    world.sessions.end_all(world.now, "the test");
    assert_eq!(world.sessions.held_bytes(), 0);
    world.closes();
    world.open("again", referring());
    asked(&mut world);
}

#[test]
fn a_host_that_is_a_reference_is_dialled_once_it_is_known() {
    let mut world = world();
    let references = [("HOST", "_vaultkv1:kv/db:k"), ("PORT", "9000")];
    world.open("s", params("tcp", &references, &[]));
    let (store, _) = asked(&mut world);
    // What comes before the session is open is refused, as it is in front of a probe.
    world.says(store, Channel::Output, ANSWER.as_bytes());
    let place = loop {
        match world.sessions.poll_output() {
            Some(Output::Dial {
                place,
                reaches_metadata,
                ..
            }) => {
                assert!(!reaches_metadata);
                break place;
            }
            Some(_) => {}
            None => panic!("nothing is dialled"),
        }
    };
    let host = "s3cret1".to_owned();
    assert_eq!(place, Where::Name { host, port: 9000 });
}

#[test]
fn a_packet_that_comes_too_early_ends_the_session_and_its_fetch() {
    let mut world = world();
    world.open("s", referring());
    let (store, _) = asked(&mut world);
    world.deliver(Kind::AgentExecWriteStdin, "s", b"");
    assert_eq!(world.one().kind, Kind::ClientSessionClose);
    assert_eq!(
        (world.closes(), world.sessions.target_count()),
        (vec![store], 0)
    );
}
