//! Database servers that are killed, and clients that come again and again.

use loopback_gateway::database::Database;
use loopback_gateway::postgres::{Conduct, Method, RESULT, Server, TlsAnswer, messages, startup};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::{Session, SessionRequest, mongo, mssql, mysql};

use super::Plan;
use super::report::Row;
use super::subject::{Subject, connection_name, wait_until};

/// Clients under way at once.
const AT_ONCE: usize = 250;

/// What a client says, and what comes of it.
struct Dialect {
    name: &'static str,
    connection_type: &'static str,
    kind: &'static str,
    /// Messages of its login and one query that a server may leave without an answer; over TLS and plain.
    message_counts: [(bool, usize); 2],
    hello: fn() -> Vec<u8>,
    query: &'static [u8],
    goodbye: &'static [u8],
    /// The end of a login.
    ready: &'static [u8],
    result: &'static [u8],
    /// What the last of its messages to a client is.
    last: fn(&[u8]) -> Option<u8>,
    error: u8,
    in_time: u8,
}

/// Startup and the two of SCRAM, or a question before.
const POSTGRES: Dialect = Dialect {
    name: "PostgreSQL",
    connection_type: "postgres",
    kind: "PG",
    message_counts: [(false, 4), (true, 5)],
    hello: || startup(3 << 16, &[("user", "noop"), ("database", "sales")]),
    query: b"Q\0\0\0\x0dselect 1\0",
    goodbye: b"X\0\0\0\x04",
    ready: b"Z\0\0\0\x05I",
    result: RESULT,
    last: |bytes| messages(bytes).last().map(|(kind, _)| *kind),
    error: b'E',
    in_time: b'Z',
};

/// The connection itself and the response, or the question for TLS and the password as well.
const MYSQL: Dialect = Dialect {
    name: "MySQL",
    connection_type: "mysql",
    kind: "MySQL",
    message_counts: [(false, 3), (true, 5)],
    hello: || mysql::response(1 << 3 | 1 << 9 | 1 << 15 | 1 << 19, 45, "sales", b""),
    query: b"\x09\0\0\0\x03select 1",
    goodbye: b"\x01\0\0\0\x01",
    ready: b"\x07\0\0\x02\0\0\0\x02\0\0\0",
    result: b"\x07\0\0\x01\0\0\0\x02\0\0\0",
    last: |mut bytes| {
        let mut last = None;
        while let Some((head, rest)) = bytes.split_first_chunk::<4>() {
            let len = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
            (last, bytes) = (rest.first().copied(), &rest[len..]);
        }
        last
    },
    error: 0xff,
    in_time: 0,
};

/// PRELOGIN, LOGIN7 and the query; of the login alone encrypted, or all.
const MSSQL: Dialect = Dialect {
    name: "SQL Server",
    connection_type: "mssql",
    kind: "MSSQL",
    message_counts: [(false, 3), (true, 3)],
    hello: || {
        let login = mssql::Login7::default().encoded(4088);
        [mssql::prelogin(), login].concat()
    },
    query: b"\x01\x01\0\x0e\0\0\x01\0s\0e\0l\0",
    goodbye: b"",
    ready: b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0",
    result: mssql::RESULT,
    // The first token of the last packet.
    last: |mut bytes| {
        let mut last = None;
        while let Some([_, _, high, low, ..]) = bytes.first_chunk::<9>() {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            (last, bytes) = (bytes.get(8).copied(), &bytes[len..]);
        }
        last
    },
    error: 0xaa,
    in_time: 0xe3,
};

/// The client's hello, the two of SCRAM and a ping; over TLS or not.
const MONGO: Dialect = Dialect {
    name: "MongoDB",
    connection_type: "mongodb",
    kind: "MongoDB",
    message_counts: [(false, 4), (true, 4)],
    hello: || driver().open(),
    query: b"\x32\0\0\0\x09\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\
        \x1d\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x05\0\0\0shop\0\0",
    goodbye: b"",
    // A login that answers its client's proof ends by itself: see `Dialect::enter`.
    ready: b"",
    result: b"\x26\0\0\0\x63\0\0\0\x09\0\0\0\xdd\x07\0\0\0\0\0\0\0\
        \x11\0\0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f\0",
    // Whether the last message is an answer or a failure.
    last: |mut bytes| {
        let mut last = None;
        while let Some(head) = bytes.first_chunk::<4>() {
            let (message, rest) = bytes.split_at(u32::from_le_bytes(*head) as usize);
            last = u8::try_from(mongo::parse(message).1.number("ok")).ok();
            bytes = rest;
        }
        last
    },
    error: 0,
    in_time: 1,
};

/// A client's connection of its pool, whose first words are always the same.
fn driver() -> mongo::Driver {
    let mut driver = mongo::Driver::new(mongo::Hash::Sha256, mongo::Form::Message);
    driver.is_speculative = true;
    driver
}

const ALL: [&Dialect; 4] = [&POSTGRES, &MYSQL, &MSSQL, &MONGO];

impl Dialect {
    /// A server that answers, or leaves what comes after so many messages without an answer.
    fn server(&self, conduct: Conduct, certificate: &Certificate) -> Database {
        let certificate = certificate.clone();
        match self.kind {
            "PG" => Database::start(move || {
                let server = Server::new(conduct.clone());
                Secure::new(Speaker::Postgres(server), &certificate)
            }),
            "MSSQL" => {
                let mut own = mssql::Conduct::new(mssql::encryption::OFF);
                own.falls_silent_after = conduct.falls_silent_after;
                Database::start(move || {
                    let server = mssql::Server::new(own.clone());
                    Secure::new(Speaker::Mssql(server), &certificate)
                })
            }
            "MongoDB" => {
                let mut own = mongo::Conduct::new(mongo::Role::Primary);
                own.has_tls = conduct.tls == TlsAnswer::Yes;
                own.falls_silent_after = conduct.falls_silent_after;
                Database::start(move || {
                    let server = mongo::Server::new(own.clone());
                    Secure::new(Speaker::Mongo(server), &certificate)
                })
            }
            _ => {
                let has_tls = conduct.tls == TlsAnswer::Yes;
                let plugin = match has_tls {
                    true => "caching_sha2_password",
                    false => "mysql_native_password",
                };
                let mut own = mysql::Conduct::new(plugin);
                (own.has_tls, own.is_cached) = (has_tls, false);
                (own.answers, own.falls_silent_after) = (true, conduct.falls_silent_after);
                Database::start(move || {
                    let (server, greeting) = mysql::Server::accept(own.clone());
                    let mut secure = Secure::new(Speaker::Mysql(server), &certificate);
                    secure.greeting = greeting;
                    secure
                })
            }
        }
    }

    fn request(&self, database: &Database, is_secure: bool) -> SessionRequest {
        let request = SessionRequest::new(self.connection_type, "connect");
        let request = match (self.kind, is_secure) {
            ("MongoDB", true) => request.env("OPTIONS", "tls=true&tlsInsecure=true"),
            _ => request,
        };
        request
            .env("HOST", "127.0.0.1")
            .env("PORT", &database.port().to_string())
            .env("USER", "app")
            .env("PASS", "s3cret")
            .env("SSLMODE", if is_secure { "require" } else { "disable" })
            .env("INSECURE", "true")
            .env("ENCRYPT", if is_secure { "mandatory" } else { "optional" })
            .with(|params| params.connection_name = connection_name())
    }

    /// A client that has said hello hears that it is in.
    fn enter(&self, session: &mut Session<'_>, id: &str) {
        match self.kind {
            "MongoDB" => {
                self.prove(session, id, usize::MAX);
            }
            _ => {
                session.receive_until(id, self.ready);
            }
        }
    }

    /// A driver goes on from its hello until it has had so many answers, or is in: what it got.
    fn prove(&self, session: &mut Session<'_>, id: &str, answers: usize) -> Vec<u8> {
        let (mut driver, mut got) = (driver(), Vec::new());
        driver.open();
        for _ in 0..answers {
            let head = session.receive(id, 4);
            let len = u32::from_le_bytes(head[..].try_into().expect("four bytes")) as usize;
            let message = [head, session.receive(id, len - 4)].concat();
            let words = driver.receive(&message);
            got.extend(message);
            assert_eq!(driver.error, None);
            if driver.is_in() {
                break;
            }
            session.send_as(self.kind, id, &words);
        }
        got
    }

    /// A client logs in and asks, as far as a server lets it that leaves what comes after `limit` messages without an
    /// answer: what it has read.
    fn run_into(&self, session: &mut Session<'_>, id: &str, limit: usize) -> Vec<u8> {
        session.send_as(self.kind, id, b"");
        if self.kind != "MongoDB" {
            session.send_as(self.kind, id, &[&(self.hello)(), self.query].concat());
            return Vec::new();
        }
        session.send_as(self.kind, id, &(self.hello)());
        // Its hello, and its proof, which the two messages of our own login follow.
        let answers = [0, 1, 1, 2][limit];
        let got = self.prove(session, id, answers);
        if answers == 2 {
            session.send_as(self.kind, id, self.query);
        }
        got
    }
}

fn conduct(method: Method, is_secure: bool) -> Conduct {
    let answer = if is_secure {
        TlsAnswer::Yes
    } else {
        TlsAnswer::No
    };
    Conduct::new(method).with_tls(answer)
}

/// A server is killed at every message of its login, and in the middle of a query; plain and over TLS.
pub fn deaths(plan: &Plan) -> Row {
    let rounds = plan.count(100, 5);
    let certificate = Certificate::new(&["127.0.0.1"]);
    let subject = Subject::start(plan, &[]);
    subject.check_works();
    let all = || -> usize {
        let deaths = |dialect: &&Dialect| die_everywhere(&subject, dialect, &certificate);
        ALL.iter().map(deaths).sum()
    };
    all();
    let before = subject.figures();
    let count: usize = (0..rounds).map(|_| all()).sum();
    subject.check_works();
    Row::new(
        "database-deaths",
        &format!(
            "a server of PostgreSQL, MySQL, SQL Server or MongoDB is killed {count} times: at each message of its login, and in \
             mid-query; half of them over TLS"
        ),
        "each client was told in its protocol, or closed where the login was over; the session went on",
        before,
        subject.figures(),
    )
}

/// How often it died.
fn die_everywhere(subject: &Subject, dialect: &Dialect, certificate: &Certificate) -> usize {
    let mut deaths = 0;
    for (is_secure, count) in dialect.message_counts {
        for limit in 0..count {
            let mut conduct = conduct(Method::Scram(4096), is_secure);
            conduct.falls_silent_after = Some(limit);
            let database = dialect.server(conduct, certificate);
            let request = dialect.request(&database, is_secure);
            let mut session = subject.gateway.open_session(request);
            session.wait_open();
            for (number, id) in [(1, "1"), (2, "2")] {
                deaths += 1;
                let mut told = dialect.run_into(&mut session, id, limit);
                if dialect.kind == "MySQL" && limit == 0 {
                    wait_until("a connection that is not greeted", || {
                        database.accepted() == number
                    });
                } else {
                    database.wait("the message that is not answered", |all| {
                        let reached = all.iter().filter(|one| {
                            let counts = [
                                one.postgres.message_count,
                                one.mysql.message_count,
                                one.mssql.message_count,
                                one.mongo.message_count,
                            ];
                            counts.iter().any(|count| *count > limit)
                        });
                        (reached.count() == number).then_some(())
                    });
                }
                database.die();
                told.extend(session.receive_to_end(id));
                let wanted = match limit + 1 == count {
                    true => dialect.in_time,
                    false => dialect.error,
                };
                let last = (dialect.last)(&told);
                assert_eq!(last, Some(wanted), "message {limit} of {count}: {told:?}");
            }
        }
    }
    deaths
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
    let all = || {
        for dialect in ALL {
            for is_secure in [false, true] {
                come_and_go(&subject, dialect, is_secure, &certificate, clients);
            }
        }
    };
    all();
    let before = subject.figures();
    (0..rounds).for_each(|_| all());
    subject.check_works();
    Row::new(
        "database-clients",
        &format!(
            "{clients} clients of {}, of {}, of {} and of {}, {AT_ONCE} at once, log in {} times each, half of them over TLS, and \
             leave with a goodbye, without, in mid-login, in mid-query",
            POSTGRES.name,
            MYSQL.name,
            MSSQL.name,
            MONGO.name,
            rounds * 2
        ),
        "every one that stayed got its answer; the server has no connection left",
        before,
        subject.figures(),
    )
}

fn come_and_go(
    subject: &Subject,
    dialect: &Dialect,
    is_secure: bool,
    certificate: &Certificate,
    count: usize,
) {
    // The server of this simulation would need seconds for so many keys of SCRAM.
    let database = dialect.server(conduct(Method::Md5, is_secure), certificate);
    let request = dialect.request(&database, is_secure);
    let mut session = subject.gateway.open_session(request);
    session.wait_open();
    let ids: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
    for (batch, ids) in ids.chunks(AT_ONCE).enumerate() {
        let leavings = || ids.iter().zip(LEAVINGS.iter().cycle().skip(batch));
        for (id, leaving) in leavings() {
            session.send_as(dialect.kind, id, b"");
            session.send_as(dialect.kind, id, &(dialect.hello)());
            if matches!(leaving, Leaving::InLogin) {
                session.disconnect(id);
            }
        }
        for (id, leaving) in leavings().filter(|(_, leaving)| !matches!(leaving, Leaving::InLogin))
        {
            dialect.enter(&mut session, id);
            session.send_as(dialect.kind, id, dialect.query);
            if matches!(leaving, Leaving::InQuery) {
                session.disconnect(id);
                continue;
            }
            assert_eq!(session.receive(id, dialect.result.len()), dialect.result);
            if matches!(leaving, Leaving::WithGoodbye) {
                session.send_as(dialect.kind, id, dialect.goodbye);
            }
            session.disconnect(id);
        }
    }
    wait_until("the end of the server's connections", || {
        database.open() == 0
    });
}
