//! Database servers that are killed, and clients that come again and again.

use loopback_gateway::SessionRequest;
use loopback_gateway::database::Database;
use loopback_gateway::postgres::{Conduct, Method, RESULT, Server, TlsAnswer, messages, startup};
use loopback_gateway::secure::{Certificate, Secure, Speaker};

use super::Plan;
use super::report::Row;
use super::subject::{Subject, connection_name, wait_until};

const QUERY: &[u8] = b"Q\0\0\0\x0dselect 1\0";
const GOODBYE: &[u8] = b"X\0\0\0\x04";
const READY: &[u8] = b"Z\0\0\0\x05I";

/// Messages of a login by SCRAM, and one query; over TLS there is a question before.
const MESSAGE_COUNT: usize = 4;

/// Clients under way at once.
const AT_ONCE: usize = 250;

fn server(conduct: Conduct, certificate: &Certificate) -> Database {
    let certificate = certificate.clone();
    Database::start(move || {
        let server = Server::new(conduct.clone());
        Secure::new(Speaker::Postgres(server), &certificate)
    })
}

fn conduct(method: Method, is_secure: bool) -> Conduct {
    let answer = if is_secure {
        TlsAnswer::Yes
    } else {
        TlsAnswer::No
    };
    Conduct::new(method).with_tls(answer)
}

fn request(database: &Database, is_secure: bool) -> SessionRequest {
    SessionRequest::new("postgres", "connect")
        .env("HOST", "127.0.0.1")
        .env("PORT", &database.port().to_string())
        .env("USER", "app")
        .env("PASS", "s3cret")
        .env("SSLMODE", if is_secure { "require" } else { "disable" })
        .with(|params| params.connection_name = connection_name())
}

fn hello() -> Vec<u8> {
    startup(3 << 16, &[("user", "noop"), ("database", "sales")])
}

/// A server is killed at every message of its login, and in the middle of a query; plain and over TLS.
pub fn deaths(plan: &Plan) -> Row {
    let rounds = plan.count(100, 5);
    let certificate = Certificate::new(&["127.0.0.1"]);
    let subject = Subject::start(plan, &[]);
    subject.check_works();
    let all = || -> usize {
        [false, true]
            .map(|tls| die_everywhere(&subject, tls, &certificate))
            .iter()
            .sum()
    };
    all();
    let before = subject.figures();
    let count: usize = (0..rounds).map(|_| all()).sum();
    subject.check_works();
    Row::new(
        "database-deaths",
        &format!(
            "a PostgreSQL server is killed {count} times: at each message of its login, and in mid-query; half of them over TLS"
        ),
        "each client was told in its protocol, or closed where the login was over; the session went on",
        before,
        subject.figures(),
    )
}

/// How often it died.
fn die_everywhere(subject: &Subject, is_secure: bool, certificate: &Certificate) -> usize {
    let count = MESSAGE_COUNT + usize::from(is_secure);
    for limit in 0..count {
        let mut conduct = conduct(Method::Scram(4096), is_secure);
        conduct.falls_silent_after = Some(limit);
        let database = server(conduct, certificate);
        let mut session = subject.gateway.open_session(request(&database, is_secure));
        session.wait_open();
        for (number, id) in [(1, "1"), (2, "2")] {
            session.send_as("PG", id, &[&hello(), QUERY].concat());
            database.wait("the message that is not answered", |all| {
                let reached = all.iter().filter(|one| one.postgres.message_count > limit);
                (reached.count() == number).then_some(())
            });
            database.die();
            let told = messages(&session.receive_to_end(id));
            let last = told.last().map(|(kind, _)| *kind);
            let wanted = if limit + 1 == count { b'Z' } else { b'E' };
            assert_eq!(last, Some(wanted), "message {limit} of {count}: {told:?}");
        }
    }
    count * 2
}

/// How a client leaves.
#[derive(Clone, Copy)]
enum Leaving {
    WithGoodbye,
    InLogin,
    InQuery,
    WithoutGoodbye,
}

const LEAVINGS: [Leaving; 4] = [
    Leaving::WithGoodbye,
    Leaving::InLogin,
    Leaving::InQuery,
    Leaving::WithoutGoodbye,
];

/// A thousand clients that connect anew, over and over, and leave in every way.
pub fn clients(plan: &Plan) -> Row {
    let (clients, rounds) = (plan.count(1000, 250), plan.count(5, 1));
    let certificate = Certificate::new(&["127.0.0.1"]);
    let subject = Subject::start(plan, &[]);
    subject.check_works();
    for is_secure in [false, true] {
        come_and_go(&subject, is_secure, &certificate, clients);
    }
    let before = subject.figures();
    for _ in 0..rounds {
        for is_secure in [false, true] {
            come_and_go(&subject, is_secure, &certificate, clients);
        }
    }
    subject.check_works();
    Row::new(
        "database-clients",
        &format!(
            "{clients} clients of PostgreSQL, {AT_ONCE} at once, log in by md5 {} times each, half of them over TLS, and leave with a \
             goodbye, without, in mid-login, in mid-query",
            rounds * 2
        ),
        "every one that stayed got its answer; the server has no connection left",
        before,
        subject.figures(),
    )
}

fn come_and_go(subject: &Subject, is_secure: bool, certificate: &Certificate, count: usize) {
    // The server of this simulation would need seconds for so many keys.
    let database = server(conduct(Method::Md5, is_secure), certificate);
    let mut session = subject.gateway.open_session(request(&database, is_secure));
    session.wait_open();
    let ids: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
    for (batch, ids) in ids.chunks(AT_ONCE).enumerate() {
        let leavings = || ids.iter().zip(LEAVINGS.iter().cycle().skip(batch));
        for (id, leaving) in leavings() {
            session.send_as("PG", id, &hello());
            if matches!(leaving, Leaving::InLogin) {
                session.disconnect(id);
            }
        }
        for (id, leaving) in leavings().filter(|(_, leaving)| !matches!(leaving, Leaving::InLogin))
        {
            session.receive_until(id, READY);
            session.send_as("PG", id, QUERY);
            if matches!(leaving, Leaving::InQuery) {
                session.disconnect(id);
                continue;
            }
            assert_eq!(session.receive_until(id, READY), RESULT);
            if matches!(leaving, Leaving::WithGoodbye) {
                session.send_as("PG", id, GOODBYE);
            }
            session.disconnect(id);
        }
    }
    wait_until("the end of the server's connections", || {
        database.open() == 0
    });
}
