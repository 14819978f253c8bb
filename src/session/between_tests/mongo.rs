//! MongoDB's ways: monitors that are idle for ever, several hosts, services that are looked up.

use loopback_gateway::mongo::{Conduct, Driver, Form, Hash, Role, Server};

use super::*;
use crate::base::{Address, Service};
use crate::login::mongo::{MongoAccount, Nonces};

fn world(string: &str, has_tls: bool, certificate: &Certificate) -> World {
    let nonces = Nonces {
        server: [7; 18],
        client: [8; 18],
    };
    let account = MongoAccount::parse(string).unwrap_or_else(|error| panic!("{error}"));
    let login = Login::mongo(account, nonces, Rc::default());
    let served = certificate.clone();
    let make = move || {
        let mut conduct = Conduct::new(Role::Primary);
        conduct.has_tls = has_tls;
        Secure::new(Speaker::Mongo(Server::new(conduct)), &served)
    };
    World::with(login, Rc::default(), Box::new(make), "").trusting(certificate)
}

impl World {
    /// The driver says this, and hears what is answered, until it has nothing more to say.
    fn talk(&mut self, driver: &mut Driver, mut words: Vec<u8>) {
        while !words.is_empty() {
            self.say(&words);
            self.arrive(usize::MAX, usize::MAX);
            let heard = std::mem::take(&mut self.packets).concat();
            assert!(!heard.windows(6).any(|window| window == PASSWORD.as_bytes()));
            words = driver.receive(&heard);
        }
    }

    fn last_place(&self) -> Option<Where> {
        self.places.last().cloned().flatten()
    }
}

fn at(host: &str, port: u16) -> Option<Where> {
    let host = host.to_owned();
    Some(Where::Name { host, port })
}

/// A monitor's whole life must not add up to what a login may take.
#[test]
fn a_monitor_lives_for_weeks_without_a_deadline_or_a_byte_that_waits() {
    let certificate = certificate();
    for (string, has_tls) in [
        ("mongodb://app:s3cret@db.example/", false),
        ("mongodb://app:s3cret@db.example/?tls=true", true),
    ] {
        let mut world = world(string, has_tls, &certificate);
        let mut driver = Driver::new(Hash::Sha256, Form::Message);
        driver.is_monitor = true;
        let hello = driver.open();
        world.talk(&mut driver, hello);
        for beat in 1..=3000 {
            assert_eq!((world.machine.due(), world.machine.held()), (None, 0));
            world.now += Duration::from_secs(10);
            let hello = driver.heartbeat();
            world.talk(&mut driver, hello);
            assert!(world.end.is_none() && driver.answers.len() == beat);
        }
        world.call(&mut |machine, sides| machine.target_ended(sides));
        assert!(matches!(world.end, Some(Next::Close(Farewell::Ended))));
    }
}

#[test]
fn a_host_that_fails_or_says_nothing_leads_to_the_next_and_the_last_to_a_refusal() {
    let certificate = certificate();
    let string = "mongodb://app:s3cret@a,b:2,c/";
    let mut driver = Driver::new(Hash::Sha256, Form::Query);
    let mut world = world(string, false, &certificate);
    world.say(&driver.open());
    assert_eq!(world.last_place(), at("a", 27017));
    world.under_way.clear();
    world.call(&mut |machine, sides| {
        machine.failed(sides, Unreached::because("connect: connection refused"))
    });
    assert_eq!(world.last_place(), at("b", 2));
    // It is silent.
    world.under_way.clear();
    let patience = world.machine.due().unwrap() - world.now;
    assert!(patience < limits::LOGIN_SERVER_TIMEOUT);
    world.now += patience;
    world.call(&mut |machine, sides| machine.overdue(sides));
    assert_eq!(world.last_place(), at("c", 27017));
    assert_eq!(
        world.machine.due().unwrap() - world.now,
        limits::LOGIN_SERVER_TIMEOUT
    );
    world.under_way.clear();
    world.call(&mut |machine, sides| {
        machine.failed(sides, Unreached::because("connect: connection refused"))
    });
    let heard = world.packets.concat();
    driver.receive(&heard);
    let (code, text) = driver.error.unwrap();
    assert!(
        code == 6 && text.contains("at c:27017 can't be reached"),
        "{text}"
    );
    assert!(matches!(world.end, Some(Next::Close(Farewell::Because(_)))));
}

#[test]
fn a_service_is_looked_up_and_its_hosts_dialled() {
    let certificate = certificate();
    let string = "mongodb+srv://app:s3cret@c.db.example/?tls=false";
    let mut driver = Driver::new(Hash::Sha256, Form::Message);
    let mut world = world(string, false, &certificate);
    world.say(&driver.open());
    assert_eq!(
        world.last_place(),
        Some(Where::Service("c.db.example".to_owned()))
    );
    // What is dialled for the look-up is no server.
    world.under_way.clear();
    let host = "n1.db.example".to_owned();
    let service = Service {
        hosts: vec![Address { host, port: 7 }],
        text: String::new(),
    };
    world.call(&mut |machine, sides| machine.told(sides, &service));
    assert_eq!(world.last_place(), at("n1.db.example", 7));
    assert_eq!(world.dials, 2);
}
