//! One evening of an agent: twenty sessions of all kinds, of which ten fail for ten different reasons. The
//! log alone, at its default level, has to name each cause.
//!
//! `HOOP_LITE_EVENING=FOLDER` keeps the log and the true causes there, for somebody who has not seen this.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;

use loopback_gateway::database::Database;
use loopback_gateway::postgres::{Conduct, Method, RESULT, Server, TlsAnswer, startup};
use loopback_gateway::secure::{Certificate, Secure, Speaker};
use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::web::WebService;
use loopback_gateway::{SessionRequest, base64};

use crate::world::World;

/// What is needed from outside; the right ones, and what of them is wrong.
struct Evening {
    world: World,
    database: Database,
    echo: Target,
    web: WebService,
    number: Cell<usize>,
    /// Session, words that the log has to have about it, and what was done.
    key: RefCell<Vec<(String, &'static str, &'static str)>>,
}

const PASSWORD: &str = "s3cret";

impl Evening {
    fn start() -> Self {
        let certificate = Certificate::new(&["localhost"]);
        let database = Database::start(move || {
            let method = Method::Scram(4096);
            let server = Server::new(Conduct::new(method).with_tls(TlsAnswer::No));
            Secure::new(Speaker::Postgres(server), &certificate)
        });
        Self {
            world: World::start(),
            database,
            echo: Target::start(Manner::Echo),
            web: WebService::start(),
            number: Cell::default(),
            key: RefCell::default(),
        }
    }

    /// The next session, of this person on this connection.
    fn named(&self, request: SessionRequest, connection: &str, user: &str) -> SessionRequest {
        let number = self.number.get() + 1;
        self.number.set(number);
        let sid = format!("5e55{:04}-1e7e-4000-8000-00000000cafe", number * 37);
        request.sid(&sid).with(|params| {
            params.connection_name = connection.to_owned();
            params.user_email = format!("{user}@example.com");
        })
    }

    /// One that fails: what the log has to say, and what was done.
    fn failing(
        &self,
        request: SessionRequest,
        connection: &str,
        user: &str,
        (words, cause): (&'static str, &'static str),
    ) -> SessionRequest {
        let request = self.named(request, connection, user);
        let sid = request.sid.clone().unwrap();
        self.key.borrow_mut().push((sid, words, cause));
        request
    }

    fn postgres(&self, password: &str) -> SessionRequest {
        SessionRequest::new("postgres", "connect")
            .env("HOST", "127.0.0.1")
            .env("PORT", &self.database.port().to_string())
            .env("USER", "app")
            .env("PASS", password)
            .env("SSLMODE", "prefer")
    }

    /// Those that go as they should.
    fn ordinary(&self) {
        for (command, user) in [("echo ok", "ada"), ("exit 3", "grace"), ("env", "linus")] {
            let request = SessionRequest::exec(&["sh", "-c", command]);
            let request = self.named(request, "bastion", user);
            self.world.open(request).run(b"");
        }
        let request = SessionRequest::exec(&["cat"]).file("TOKEN_FILE", b"x");
        let request = self.named(request, "reports", "ada");
        self.world.open(request).run(&vec![b'x'; 100_000]);
        let request = self.named(SessionRequest::console(&["cat"]), "console", "edsger");
        let mut console = self.world.open(request);
        console.start_console();
        console.write("x\n");
        console.expect("x\r\nx\r\n");
        console.kill();
        let port = self.echo.port();
        for (connection, user) in [("redis", "ada"), ("legacy", "barbara")] {
            let request = SessionRequest::tcp("127.0.0.1", port);
            let request = self.named(request, connection, user);
            let mut forward = self.world.open(request);
            forward.wait_open();
            forward.send_to("1", &[7; 5000]);
            forward.receive("1", 5000);
            forward.kill();
        }
        for user in ["grace", "linus"] {
            let request = self.postgres(PASSWORD);
            let request = self.named(request, "sales-db", user);
            let mut session = self.world.open(request);
            session.wait_open();
            session.send_as("PG", "1", &startup(3 << 16, &[("user", "noop")]));
            session.receive_until("1", b"Z\0\0\0\x05I");
            session.send_as("PG", "1", b"Q\0\0\0\x0dselect 1\0");
            assert!(
                session
                    .receive_until("1", b"Z\0\0\0\x05I")
                    .ends_with(RESULT)
            );
            session.kill();
        }
        let request = SessionRequest::new("httpproxy", "connect")
            .env("REMOTE_URL", &self.web.url())
            .env("HEADER_X_KEY", "key-of-the-wiki");
        let request = self.named(request, "wiki", "barbara");
        let mut session = self.world.open(request);
        session.wait_open();
        let question = b"GET /head HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n";
        session.ask("1", "http://127.0.0.1:8081", question);
        session.receive_until("1", b"key-of-the-wiki");
        session.kill();
    }

    /// Those whose targets are not as the connection says.
    fn bad_targets(&self) {
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let request = SessionRequest::tcp("127.0.0.1", closed);
        let what = (
            "connection refused",
            "nothing listens on the port of the connection",
        );
        let request = self.failing(request, "queue", "ada", what);
        self.world.open(request).wait_refusal();

        let request = SessionRequest::tcp("db.no-such-domain.invalid", 5432);
        let what = (
            "db.no-such-domain.invalid",
            "HOST of the connection is not in the DNS",
        );
        let request = self.failing(request, "billing", "grace", what);
        self.world.open(request).wait_refusal();

        let request = self.postgres("last-months-password");
        let what = ("28P01", "the stored password is not the server's any more");
        let request = self.failing(request, "sales-db", "edsger", what);
        let mut session = self.world.open(request);
        session.wait_open();
        session.send_as("PG", "1", &startup(3 << 16, &[("user", "noop")]));
        session.wait_closed("1");
        session.kill();

        let request =
            SessionRequest::tcp("127.0.0.1", 5432).raw_env("envvar:PORT", &base64(b"five"));
        let what = (
            "PORT is not a port number",
            "PORT of the connection is no number",
        );
        let request = self.failing(request, "ledger", "linus", what);
        self.world.open(request).wait_refusal();
    }

    /// Those that this agent can't start, or will not.
    fn bad_wishes(&self) {
        let request = SessionRequest::exec(&["psqll", "-c", "select 1"]);
        let what = ("psqll", "the connection's program is misspelt (psqll)");
        let request = self.failing(request, "reports", "barbara", what);
        self.world.open(request).run(b"");

        let request = SessionRequest::exec(&["echo", "$REPORT_DAY"]);
        let what = (
            "REPORT_DAY",
            "the command wants a variable that nobody sets",
        );
        let request = self.failing(request, "reports", "ada", what);
        self.world.open(request).run(b"");

        let request = SessionRequest::new("rdp", "connect");
        let what = (
            "does not serve rdp",
            "the type rdp is not served by this agent",
        );
        let request = self.failing(request, "windows", "grace", what);
        self.world.open(request).wait_refusal();

        let rules = r#"{"input_rules":[{"rules":[{"type":"deny_words_list","words":["drop"]}]}]}"#;
        let request = SessionRequest::exec(&["psql"]).guard_rails(rules);
        let what = (
            "guardrail",
            "guard rails are set, which this agent can't enforce",
        );
        let request = self.failing(request, "sales-sql", "linus", what);
        self.world.open(request).wait_refusal();

        let request = SessionRequest::exec(&["sh"]);
        let what = (
            "signal: killed",
            "the command was killed (SIGKILL, as by the OOM killer)",
        );
        let request = self.failing(request, "batch", "edsger", what);
        self.world.open(request).run(b"kill -9 $$\n");
    }

    /// The last one is there when the gateway's connection breaks.
    fn end(&self) {
        let what = (
            "ended with the link to the gateway",
            "the connection to the gateway broke while a console was open",
        );
        let request = self.failing(
            SessionRequest::console(&["cat"]),
            "console",
            "barbara",
            what,
        );
        let mut console = self.world.open(request);
        console.start_console();
        console.write("x\n");
        console.expect("x\r\nx\r\n");
        self.world.gateway.drop_link("demo");
        console.wait_end();
    }
}

#[test]
fn the_log_of_an_evening_names_each_cause() {
    let evening = Evening::start();
    evening.bad_targets();
    evening.ordinary();
    evening.bad_wishes();
    evening.end();
    assert_eq!((evening.number.get(), evening.key.borrow().len()), (20, 10));
    let mut key = String::new();
    for (sid, words, cause) in evening.key.borrow().iter() {
        evening
            .world
            .agent
            .wait_line(cause, |line| line.contains(sid) && line.contains(words));
        key.push_str(&format!("{sid}  {cause}\n"));
    }
    let ends = |line: &&String| line.contains("session ended") || line.contains("session refused");
    let lines = evening.world.agent.lines();
    assert_eq!(lines.iter().filter(ends).count(), 20, "{lines:#?}");
    assert!(
        !lines
            .iter()
            .any(|line| line.contains(PASSWORD) || line.contains("last-months"))
    );
    if let Some(folder) = std::env::var_os("HOOP_LITE_EVENING") {
        let folder = std::path::Path::new(&folder);
        std::fs::write(folder.join("evening.log"), lines.join("\n") + "\n").unwrap();
        std::fs::write(folder.join("evening.key"), key).unwrap();
    }
}
