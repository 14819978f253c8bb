//! SQL Server's ways with TLS: within packets, for the login alone, first of all; and on to another server.

use loopback_gateway::mssql::{
    Conduct, Heard, Login7, RESULT, Server, batch, encryption, error, prelogin, utf16,
};

use super::*;
use crate::login::mssql::Encryption;

fn world(wish: Encryption, conducts: Vec<Conduct>, certificate: &Certificate) -> World {
    let account = Account::new("app", Secret::new(PASSWORD)).with_tls(SslMode::VerifyFull);
    let login = Login::mssql(account, "db.example", wish);
    let served = certificate.clone();
    let dialled = std::cell::Cell::new(0);
    let make = move || {
        let at = dialled.replace(dialled.get() + 1).min(conducts.len() - 1);
        let server = Server::new(conducts[at].clone());
        Secure::new(Speaker::Mssql(server), &served)
    };
    World::with(login, Rc::default(), Box::new(make), "db.example").trusting(certificate)
}

fn log_in(mut world: World, piece: usize) -> World {
    world.say(&prelogin());
    world.settle(piece);
    world.say(&Login7::default().encoded(4088));
    world.settle(piece);
    let (all, wide) = (world.packets.concat(), utf16(PASSWORD));
    let hidden: Vec<u8> = wide.iter().map(|b| b.rotate_left(4) ^ 0xa5).collect();
    for form in [&wide, &hidden] {
        assert!(!all.windows(form.len()).any(|window| window == form));
    }
    world
}

impl World {
    /// All that the servers say arrives, and their ends.
    fn settle(&mut self, piece: usize) {
        loop {
            self.arrive(piece, usize::MAX);
            let is_over = self.server.as_ref().is_some_and(Secure::is_over);
            if self.end.is_some() || !is_over {
                break;
            }
            self.server.as_mut().unwrap().is_broken = false;
            let dials = self.dials;
            self.call(&mut |machine, sides| machine.target_ended(sides));
            if self.dials == dials {
                break;
            }
        }
    }

    fn mssql(&self) -> &Heard {
        match &self.server.as_ref().expect("a server").speaker {
            Speaker::Mssql(server) => &server.heard,
            _ => panic!("not this one"),
        }
    }

    fn mssql_error(&self) -> (u32, String) {
        error(self.packets.last().expect("a packet")).expect("an error")
    }
}

#[test]
fn tls_lies_in_packets_covers_the_login_or_all_and_may_come_first() {
    let any = certificate();
    let only_12 = Certificate::with(&["db.example"], Security::Tls12);
    let strict = Conduct {
        is_strict: true,
        ..Conduct::new(encryption::ON)
    };
    for (wish, conduct, dials, is_slot) in [
        (Encryption::Full, Conduct::new(encryption::ON), 1, true),
        (Encryption::Full, Conduct::new(encryption::OFF), 1, true),
        (Encryption::Login, Conduct::new(encryption::OFF), 1, false),
        (
            Encryption::Login,
            Conduct::new(encryption::REQUIRED),
            1,
            true,
        ),
        (Encryption::Strict, strict.clone(), 1, true),
        (Encryption::Full, strict, 2, true),
    ] {
        for (certificate, piece) in [(&any, 1), (&any, 100), (&only_12, 13), (&any, usize::MAX)] {
            let world = world(wish, vec![conduct.clone()], certificate);
            let mut world = log_in(world, piece);
            assert_eq!(
                (world.dials, world.machine.due()),
                (dials, None),
                "{wish:?}"
            );
            assert!(world.end.is_none());
            assert_eq!(world.mssql().texts[2], PASSWORD);
            assert!(
                world
                    .mssql()
                    .packets
                    .iter()
                    .all(|(_, is_secure)| *is_secure)
            );
            assert_eq!(world.machine.wants_slot(), is_slot, "{wish:?}");
            world.packets.clear();
            let query = batch("select 1");
            world.say(&query);
            world.arrive(piece, usize::MAX);
            assert_eq!(world.packets.concat(), RESULT);
            assert_eq!(world.mssql().commands, query);
            assert_eq!(world.to_server.ends_with(&query), !is_slot);
        }
    }
}

#[test]
fn the_handshake_is_resumed_in_packets_too() {
    let certificate = Certificate::with(&["db.example"], Security::Tls12);
    let tickets: Rc<RefCell<OwnTickets>> = Rc::default();
    let mut means = Means::new(Box::new(Roots(certificate.ca_pem.clone())));
    for turn in 0..3 {
        let served = certificate.clone();
        let make = move || {
            let server = Server::new(Conduct::new(encryption::ON));
            Secure::new(Speaker::Mssql(server), &served)
        };
        let account = Account::new("app", Secret::new(PASSWORD)).with_tls(SslMode::VerifyFull);
        let login = Login::mssql(account, "db.example", Encryption::Full);
        let mut world = World::with(login, tickets.clone(), Box::new(make), "db.example");
        world.means = means;
        let world = log_in(world, 7);
        assert_eq!(world.mssql().texts[2], PASSWORD);
        assert_eq!(world.server.as_ref().unwrap().is_resumed(), turn > 0);
        means = world.means;
    }
}

#[test]
fn a_route_is_dialled_and_believed_by_its_own_name() {
    let routing = Conduct {
        route: Some(("far.example\\x".to_owned(), 11_000)),
        ..Conduct::new(encryption::ON)
    };
    let conducts = vec![routing, Conduct::new(encryption::ON)];
    let both = Certificate::new(&["db.example", "far.example"]);
    let world = log_in(world(Encryption::Full, conducts.clone(), &both), 100);
    let far = Where::Name {
        host: "far.example".to_owned(),
        port: 11_000,
    };
    assert_eq!(world.places, [None, Some(far)]);
    assert_eq!(world.mssql().texts[4], "far.example\\x");
    assert!(world.end.is_none() && world.machine.wants_slot());

    let world = log_in(self::world(Encryption::Full, conducts, &certificate()), 100);
    let (number, text) = world.mssql_error();
    assert_eq!(number, 18_456);
    assert!(text.contains("is not for far.example"), "{text}");
}

#[test]
fn a_certificate_that_is_not_trusted_names_the_way_out() {
    let served = certificate();
    let stranger = Certificate::new(&["db.example"]);
    let mut world = world(
        Encryption::Full,
        vec![Conduct::new(encryption::ON)],
        &served,
    );
    world.means = Means::new(Box::new(Roots(stranger.ca_pem)));
    let world = log_in(world, usize::MAX);
    let (number, text) = world.mssql_error();
    assert_eq!(number, 18_456);
    for words in [
        "SSLROOTCERT of the connection",
        "set INSECURE of the connection to true",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(world.because(), text);
}

#[test]
fn who_cant_be_told_yet_is_told_after_the_login7() {
    let on = || vec![Conduct::new(encryption::ON)];
    let certificate = certificate();
    let login = Login7::default().encoded(4088);
    // The server can't be reached.
    let mut world = world(Encryption::Full, on(), &certificate);
    world.say(&prelogin());
    world.call(&mut |machine, sides| {
        machine.failed(sides, Unreached::because("connect: connection refused"))
    });
    assert!(world.end.is_none() && world.machine.due().is_some());
    world.say(&login);
    assert!(
        world
            .mssql_error()
            .1
            .contains("at db.example:5432 can't be reached")
    );
    assert!(world.because().contains("connection refused"));

    // It does not answer in time, or leaves.
    for is_silent in [true, false] {
        let mut world = self::world(Encryption::Full, on(), &certificate);
        world.say(&prelogin());
        if is_silent {
            world.now += limits::LOGIN_SERVER_TIMEOUT;
            world.call(&mut |machine, sides| machine.overdue(sides));
        } else {
            world.arrive(usize::MAX, usize::MAX);
            world.call(&mut |machine, sides| machine.target_ended(sides));
        }
        assert!(world.end.is_none());
        world.say(&login);
        let text = world.mssql_error().1;
        let words = if is_silent {
            "within 15 s"
        } else {
            "closed the connection"
        };
        assert!(text.contains(words), "{text}");
    }

    // The agent leaves; and a client that never says more.
    let mut world = self::world(Encryption::Full, on(), &certificate);
    world.call(&mut |machine, sides| machine.refuse(sides, Why::Stopping));
    world.say(&prelogin());
    assert!(world.end.is_none() && world.dials == 0);
    world.now += limits::LOGIN_CLIENT_TIMEOUT;
    world.call(&mut |machine, sides| machine.overdue(sides));
    assert!(world.because().contains("within 60 s"));
}

#[test]
fn a_sql_server_that_dies_at_any_byte_is_told_to_client_and_log() {
    let certificate = certificate();
    let login = Login7::default().encoded(4088);
    for at in (0..).step_by(7) {
        let conducts = vec![Conduct::new(encryption::ON)];
        let mut world = world(Encryption::Full, conducts, &certificate);
        world.say(&prelogin());
        let mut arrived = world.arrive(usize::MAX, at);
        let is_said = arrived < at;
        if is_said {
            world.say(&login);
            arrived += world.arrive(usize::MAX, at - arrived);
        }
        // Records differ in length from one login to the next.
        if arrived < at || world.machine.due().is_none() {
            assert!(at > 500 && world.machine.due().is_none());
            break;
        }
        let dials = world.dials;
        world.call(&mut |machine, sides| machine.target_ended(sides));
        if world.dials > dials {
            // Not one byte: it may want TLS first.
            world.call(&mut |machine, sides| machine.target_ended(sides));
        }
        if !is_said {
            world.say(&login);
        }
        assert!([17_829, 18_456].contains(&world.mssql_error().0), "{at}");
        assert!(!world.because().is_empty());
    }
}
