//! Logins to databases: what a client and a server say, in every order and in pieces of any size.

use hoop_lite::base::{Address, ByteBuf, Secret, Service};
use hoop_lite::limits;
use hoop_lite::login::mongo::{Found, MongoAccount, Nonces, bson, messages as mongo};
use hoop_lite::login::mssql::{self, Encryption, Envelope};
use hoop_lite::login::mysql::messages as mysql;
use hoop_lite::login::postgres::messages;
use hoop_lite::login::rsa::PublicKey;
use hoop_lite::login::{Account, Cause, Exchange, Keys, Login, Refusal, SslMode, Step, Waits};

use crate::input::{Control, split};

const PASSWORD: &[u8] = b"correct horse";

/// PostgreSQL's messages: what is decoded lies inside the bytes, and what is written reads the same.
pub fn postgres_messages(bytes: &[u8]) -> bool {
    let opening = match messages::opening(bytes) {
        Ok(Some((opening, len))) => {
            assert!((8..=limits::POSTGRES_STARTUP_BYTES_MAX).contains(&len) && len <= bytes.len());
            match opening {
                messages::Opening::Startup(startup) => check_startup(startup),
                messages::Opening::Cancel(key) => {
                    assert_eq!(messages::cancel_request(&key), bytes[..len]);
                }
                messages::Opening::Encryption => assert_eq!(len, 8),
            }
            true
        }
        Ok(None) => {
            assert!(bytes.len() < limits::POSTGRES_STARTUP_BYTES_MAX);
            false
        }
        Err(refusal) => {
            check_refusal(&refusal);
            false
        }
    };
    if let Ok(Some((kind, message))) = messages::message(bytes) {
        assert!(bytes.starts_with(message) && message.len() >= 5 && message[0] == kind);
        let _ = messages::authentication(message);
        let _ = messages::cancel_key(&message[5..]);
        let code = messages::sqlstate(message);
        assert!(code.is_none_or(|code| code.len() == 5));
    }
    for is_end in [false, true] {
        if let Some(messages::ServerError::Text(text)) = messages::server_error(bytes, is_end) {
            assert!(text.len() <= limits::LOGIN_ERROR_TEXT_BYTES_MAX && !text.contains(&0));
        }
    }
    opening
}

fn check_startup(startup: messages::Startup<'_>) {
    let given: Vec<_> = startup.parameters().collect();
    let bytes = startup.rewritten(b"app", Some(b"shop"));
    let Ok(Some((messages::Opening::Startup(again), _))) = messages::opening(&bytes) else {
        // What is added may make a message of full size too long; the server says so.
        assert!(bytes.len() > limits::POSTGRES_STARTUP_BYTES_MAX);
        return;
    };
    let written: Vec<_> = again.parameters().collect();
    assert_eq!(written[0], (&b"user"[..], &b"app"[..]));
    let others = |list: &[(&[u8], &[u8])]| {
        let kept = list
            .iter()
            .filter(|(name, _)| *name != b"user" && *name != b"database");
        kept.map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect::<Vec<_>>()
    };
    assert_eq!(others(&given), others(&written));
}

fn check_refusal(refusal: &Refusal) {
    let bytes = messages::error_response(refusal);
    let (kind, message) = messages::message(&bytes).unwrap().expect("a whole message");
    assert!(kind == b'E' && message.len() == bytes.len());
    assert_eq!(messages::sqlstate(message).map(str::len), Some(5));
}

/// A login to PostgreSQL: control decides who speaks next and what becomes of TLS.
pub fn postgres_login(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let mode = *control.pick(&[
        SslMode::Disable,
        SslMode::Prefer,
        SslMode::Require,
        SslMode::VerifyFull,
    ]);
    let account = Account::new("app", Secret::new(PASSWORD))
        .with_tls(mode)
        .with_plain_password_allowed(control.byte() & 1 == 0);
    let login = Login::postgres(account, [7; 18]);
    Talk::new(|packet| packet[0] == b'E').run(login, &mut control, wire)
}

/// MySQL's messages of the connection phase.
pub fn mysql_messages(bytes: &[u8]) -> bool {
    let Ok(Some((sequence, payload))) = mysql::packet(bytes) else {
        return false;
    };
    assert!(bytes.starts_with(&mysql::framed(sequence, &[payload])));
    let _ = mysql::verdict(payload);
    let greeting = mysql::greeting(payload);
    if let Ok(greeting) = &greeting {
        let again = mysql::greeting(&greeting.masked).expect("it is the same greeting");
        let hidden = mysql::capability::HIDDEN;
        assert_eq!(again.capabilities, greeting.capabilities & !hidden);
        assert_eq!(again.masked, greeting.masked);
        assert_eq!(
            (again.scramble, again.plugin),
            (greeting.scramble, greeting.plugin.clone())
        );
    }
    let response = mysql::response(payload);
    if let Ok(response) = &response {
        let identity = mysql::Identity {
            user: b"app",
            database: Some(b"shop"),
            is_secure: false,
            proof: &[7; 20],
            plugin: "mysql_native_password",
        };
        let bytes = response.rewritten(u32::MAX, &identity);
        let Ok(again) = mysql::response(&bytes) else {
            panic!("{} is no response", bytes.escape_ascii());
        };
        assert_eq!(again.rewritten(u32::MAX, &identity), bytes);
        assert_eq!(response.ssl_request(u32::MAX, None).len(), 32);
    }
    greeting.is_ok() || response.is_ok()
}

/// A login to MySQL: control decides who speaks next and what becomes of TLS.
pub fn mysql_login(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let byte = control.byte();
    let mode = [SslMode::Disable, SslMode::Prefer, SslMode::Require][usize::from(byte % 3)];
    let mut account = Account::new("app", Secret::new(PASSWORD)).with_tls(mode);
    if byte >= 128 {
        account = account.with_rsa([byte; 20]);
    }
    let login = Login::mysql(account);
    Talk::new(|packet| packet.get(4) == Some(&0xff)).run(login, &mut control, wire)
}

/// What MongoDB's two sides say: what is decoded lies inside the bytes and can be copied element by element.
pub fn mongo_messages(bytes: &[u8]) -> bool {
    let most = limits::LOGIN_CLIENT_BYTES_MAX;
    let Ok(Some(message)) = mongo::whole(bytes, most) else {
        return false;
    };
    assert!(bytes.starts_with(message) && message.len() >= mongo::HEADER_BYTES);
    let id = message[8..12].try_into().map_or(0, u32::from_le_bytes);
    let answer = mongo::answer(message, id).ok();
    let request = mongo::request(message).ok().map(|request| request.document);
    for document in [answer, request].into_iter().flatten() {
        let mut copy = bson::Writer::new();
        for element in document.elements() {
            let _ = (
                element.text(),
                element.binary(),
                element.number(),
                element.is_true(),
            );
            assert!(
                element
                    .document()
                    .is_none_or(|inner| inner.bytes().len() <= element.value.len())
            );
            copy.copy(&element);
        }
        assert_eq!(copy.finish(), document.bytes());
    }
    answer.is_some() || request.is_some()
}

/// A connection string, which never comes back in what is said of it.
pub fn mongo_string(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match MongoAccount::parse(text) {
        Ok(account) => {
            let address = account.shown_host();
            assert!(!address.host.is_empty() && address.port != 0);
            assert!(account.only_host().is_none_or(|only| *only == address));
            true
        }
        Err(error) => {
            is_of_our_own_words(error);
            false
        }
    }
}

/// Nothing of this kind can hold a piece of what was read.
fn is_of_our_own_words(_: impl Copy + 'static) {}

/// What the name server says in these.
pub fn service() -> Service {
    let host = "n1.db.example".to_owned();
    Service {
        hosts: vec![Address { host, port: 27017 }],
        text: "authSource=users".to_owned(),
    }
}

/// A login to MongoDB: control decides who speaks next, and how many hosts there are.
pub fn mongo_login(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let string = *control.pick(&[
        "mongodb://app:correct%20horse@a/",
        "mongodb://app:correct%20horse@a,b/?replicaSet=rs0",
        "mongodb://app:correct%20horse@a/?tls=true&authMechanism=SCRAM-SHA-1",
        "mongodb+srv://app:correct%20horse@c.db.example/?tls=false",
    ]);
    let account = MongoAccount::parse(string).expect("a string");
    let nonces = Nonces {
        server: [7; 18],
        client: [8; 18],
    };
    let login = Login::mongo(account, nonces, Found::default());
    let is_error = |packet: &[u8]| packet.windows(6).any(|part| part == b"errmsg");
    let mut talk = Talk::new(is_error);
    talk.may_be_silent = true;
    talk.run(login, &mut control, wire)
}

/// SQL Server's messages of a login: what is decoded lies inside the bytes, and what is written reads the same.
pub fn mssql_messages(bytes: &[u8]) -> bool {
    let mut opened = bytes.to_vec();
    let size = Envelope::default().open(&mut opened);
    assert!(size <= bytes.len());
    let Some(&kind) = bytes.first() else {
        return false;
    };
    let Ok(Some(message)) = mssql::packets::message(bytes, kind) else {
        return false;
    };
    assert!((8..=bytes.len()).contains(&message.len) && message.body.len() <= message.len - 8);
    let again = mssql::packets::framed(kind, &message.body);
    let again = mssql::packets::message(&again, kind);
    assert!(message.body.is_empty() || again.is_ok_and(|it| it.unwrap().body == message.body));
    let body = message.body;
    let prelogin = mssql::prelogin::rewritten(&body, 1);
    if let Ok(prelogin) = &prelogin {
        assert_eq!(mssql::prelogin::encryption(prelogin), Ok(Some(1)));
        let again = mssql::prelogin::rewritten(prelogin, 1);
        assert_eq!(again.as_ref(), Ok(prelogin));
    }
    let reply = mssql::reply::reply(&body);
    assert!(reply.access.is_none_or(|at| at <= body.len() + 4));
    let login = mssql::login7::Login7::parse(body).map(|login| check_login7(&login));
    prelogin.is_ok() || reply != Default::default() || login.is_ok()
}

fn check_login7(login: &mssql::login7::Login7) {
    let identity = mssql::login7::Identity {
        user: "app",
        password: "correct horse",
        server: "db.example",
        database: Some("shop"),
        is_strict: false,
    };
    if let Some((written, end)) = login.rewritten(&identity) {
        let written = written.expose();
        assert!(end <= written.len());
        let again = mssql::login7::Login7::parse(written.to_vec());
        let again = again.unwrap_or_else(|_| panic!("{} is no login", written.escape_ascii()));
        let (again, _) = again.rewritten(&identity).expect("it is the same size");
        assert_eq!(again.expose(), written);
    }
}

/// A login to SQL Server: control decides who speaks next and what becomes of TLS.
pub fn mssql_login(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let byte = control.byte();
    let wish = [Encryption::Full, Encryption::Login, Encryption::Strict][usize::from(byte % 3)];
    let account = Account::new("app", Secret::new(PASSWORD))
        .with_tls(SslMode::VerifyFull)
        .with_plain_password_allowed(byte >= 128);
    let login = Login::mssql(account, "db.example", wish);
    Talk::new(|packet| packet.get(8) == Some(&0xaa)).run(login, &mut control, wire)
}

/// An RSA key that a MySQL server shows; what it encrypts is as long as it and differs by the seed.
pub fn rsa_key(bytes: &[u8]) -> bool {
    let Some(key) = PublicKey::from_pem(bytes) else {
        return false;
    };
    let encrypted = [1, 2].map(|seed| key.encrypt(PASSWORD, &[seed; 20]).expect("short"));
    let size = limits::RSA_MODULUS_BYTES_MIN..=limits::RSA_MODULUS_BYTES_MAX;
    assert!(size.contains(&encrypted[0].len()) && encrypted[0].len() == encrypted[1].len());
    true
}

/// A login's buffers, and how its dialect refuses.
struct Talk {
    from_client: ByteBuf,
    from_server: ByteBuf,
    packets: Vec<Vec<u8>>,
    sent: Vec<u8>,
    /// All that the server said.
    heard: Vec<u8>,
    keys: Keys,
    /// Whether a packet tells the client that it is over.
    is_error: fn(&[u8]) -> bool,
    may_be_silent: bool,
}

impl Talk {
    fn new(is_error: fn(&[u8]) -> bool) -> Self {
        Self {
            from_client: ByteBuf::new(),
            from_server: ByteBuf::new(),
            packets: Vec::new(),
            sent: Vec::new(),
            heard: Vec::new(),
            keys: Keys::new(),
            is_error,
            may_be_silent: false,
        }
    }

    /// Answers whether the client is in.
    fn run(&mut self, mut login: Login, control: &mut Control<'_>, mut wire: &[u8]) -> bool {
        let (mut is_securing, mut silent_turns) = (false, 0);
        loop {
            if wire.is_empty() && login.waits_for() != Waits::Turn {
                silent_turns += 1;
            }
            self.keys.work();
            let (piece, rest) = wire.split_at(control.piece().min(wire.len()));
            wire = rest;
            let decision = control.byte();
            match decision & 3 {
                0 => self.from_client.extend(piece),
                // Nothing is read from a server whose TLS is being agreed.
                _ if !is_securing => {
                    self.from_server.extend(piece);
                    self.heard.extend_from_slice(piece);
                }
                _ => {}
            }
            let call: fn(Login, &mut Exchange<'_>) -> Step<Login> = match decision >> 2 {
                _ if is_securing && decision & 4 == 0 => Login::tls_started,
                _ if is_securing => |login, exchange| login.tls_failed("not trusted", exchange),
                63 => Login::server_ended,
                _ if silent_turns == 2 => Login::server_ended,
                _ => Login::step,
            };
            is_securing = false;
            let before = self.packets.len();
            let step = call(login, &mut self.exchange());
            self.check(before);
            login = match step {
                Step::Wait(login) => login,
                Step::Dial(login, place) => {
                    assert!(self.from_server.is_empty());
                    let has_name = place.is_none_or(|it| !it.host.is_empty() && it.port != 0);
                    assert!(has_name);
                    login
                }
                Step::LookUp(login, _) => {
                    let service = service();
                    match login.told(&service, &mut self.exchange()) {
                        Step::Dial(login, _) => login,
                        _ => panic!("there are hosts"),
                    }
                }
                Step::EndTls(login) => login,
                Step::StartTls(login, _) => {
                    assert!(self.from_server.is_empty());
                    is_securing = true;
                    login
                }
                Step::Passed(_) => {
                    assert!(self.from_client.is_empty() && self.from_server.is_empty());
                    return true;
                }
                Step::Errand(_) | Step::Ended => return false,
                Step::Refused(refusal) => {
                    check_refusal(&refusal);
                    let is_error = self.is_error;
                    let has_heard = self.packets.last().is_some_and(|last| is_error(last));
                    // A MongoDB client that has asked nothing hears nothing.
                    assert!(has_heard || refusal.cause == Cause::Said || self.may_be_silent);
                    return false;
                }
            };
            if silent_turns > 2 {
                let refusal = Refusal::new(Cause::Unreachable, "time is up");
                login.refuse(&refusal, &mut self.packets);
                login.farewell(&mut self.sent);
                return false;
            }
        }
    }

    fn exchange(&mut self) -> Exchange<'_> {
        Exchange {
            from_client: &mut self.from_client,
            from_server: &mut self.from_server,
            to_client: &mut self.packets,
            to_server: &mut self.sent,
            keys: &mut self.keys,
        }
    }

    /// Nothing that only the server may know goes to the client unless the server itself says it, and no empty packet.
    fn check(&self, before: usize) {
        for packet in &self.packets[before..] {
            assert!(!packet.is_empty());
            let wide: Vec<u8> = PASSWORD.iter().flat_map(|byte| [*byte, 0]).collect();
            let hidden: Vec<u8> = wide.iter().map(|byte| byte.rotate_left(4) ^ 0xa5).collect();
            for form in [PASSWORD, &wide, &hidden] {
                let shows = |bytes: &[u8]| bytes.windows(form.len()).any(|window| window == form);
                assert!(!shows(packet) || shows(&self.heard));
            }
        }
    }
}
