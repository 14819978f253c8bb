//! What only MongoDB's sides say: drivers with their monitors and pools, hosts that are what they like in their set,
//! and the string that names them.

use std::time::Duration;

use loopback_gateway::mongo::{Conduct, Document, Driver, Form, Hash, Role, Server, request};

use super::{Client, Dialect, Key, password};
use crate::dice::Dice;
use crate::sent::Service;
use crate::setup::Setup;
use crate::target::Mood;
use crate::world::World;

/// Where the second host of a set listens; the first does so at 7.
const SECOND_PORT: u16 = 8;

/// A connection's string; empty in other dialects.
pub fn string(dice: &mut Dice, dialect: Dialect, host: &str) -> String {
    let hosts = match dialect {
        Dialect::Mongo => format!("{host}:7"),
        Dialect::MongoSet => format!("{host}:7,{host}:{SECOND_PORT}"),
        Dialect::Postgres | Dialect::Mysql | Dialect::Mssql => return String::new(),
    };
    let options = dice.pick(&[
        "",
        "",
        "",
        "?directConnection=true",
        "?authSource=users&authMechanism=SCRAM-SHA-256",
        "?replicaSet=rs0",
    ]);
    format!("mongodb://app:{}@{hosts}/{options}", password())
}

/// A connection of a driver, which tells its server whose it is.
pub fn driver(dice: &mut Dice, (_, number): Key) -> Driver {
    let hash = dice.pick(&[Hash::Sha256, Hash::Sha256, Hash::Sha1]);
    let mut driver = Driver::new(hash, dice.pick(&[Form::Query, Form::Message]));
    driver.name = format!("of{number}");
    driver.is_monitor = dice.chance(250);
    driver.is_speculative = dice.chance(600);
    driver.skips_empty = dice.chance(700);
    if dice.chance(30) {
        driver.password = "mine".to_owned();
    }
    driver
}

/// A host of session `sid`.
pub fn server(dice: &mut Dice, is_in_set: bool, sid: u32) -> Server {
    let primary = format!("database-{sid}.example:{SECOND_PORT}");
    let role = match (is_in_set, dice.weighted(&[60, 10, 10, 15, 5])) {
        (true, 1..=3) => Role::Secondary(Some(primary)),
        (false, 1) => Role::Alone,
        (false, 2) => Role::Router,
        (_, 4) => Role::Secondary(None),
        _ => Role::Primary,
    };
    let mut conduct = Conduct::new(role);
    conduct.password = match dice.chance(50) {
        true => "another".to_owned(),
        false => password(),
    };
    conduct.mechanisms = match dice.weighted(&[6, 2, 2]) {
        0 => vec![Hash::Sha1, Hash::Sha256],
        1 => vec![Hash::Sha256],
        _ => vec![Hash::Sha1],
    };
    conduct.skips_empty = dice.chance(500);
    conduct.is_mute = dice.chance(20);
    conduct.dies_at = dice.pick(&[usize::MAX, usize::MAX, usize::MAX, usize::MAX, 1, 2, 3, 20]);
    conduct.falls_silent_after = dice.chance(50).then(|| dice.between(0, 4));
    if dice.chance(20) {
        conduct.rounds = 4095;
    }
    Server::new(conduct)
}

/// Whose connection a server has, as soon as it knows.
pub fn name(server: &Server) -> Option<String> {
    let asked = server.heard.asked.iter().find(|it| it.has("client"))?;
    let driver = asked.document("client").document("driver");
    Some(driver.text("name").to_owned())
}

/// A message with this in it.
pub fn message(text: &[u8]) -> Vec<u8> {
    let document = Document::new().with("data", text).with("$db", "shop");
    request(Form::Message, 7, &document)
}

/// The sweep would not say so if nobody ever came in.
#[test]
fn pools_come_in_and_monitors_are_answered_for_ever() {
    for dialect in [Dialect::Mongo, Dialect::MongoSet] {
        let mut world = World::new(1, Setup::plain(), None);
        world.reconnect();
        world.open(1, Service::Native(dialect), Mood::Echo);
        // Servers are well.
        world.is_hurried = true;
        for _ in 0..1500 {
            world.run_for(Duration::from_millis(20));
            world.database_user_acts(1);
        }
        let clients = world.model.databases.clients.values();
        let pool = |client: &&Client| client.is_in() && !client.heard.is_empty();
        let monitor = |client: &&Client| {
            let driver = client.driver.as_ref();
            driver.is_some_and(|it| it.is_monitor && !it.answers.is_empty())
        };
        let (pools, monitors) = (
            clients.clone().filter(pool).count(),
            clients.filter(monitor).count(),
        );
        assert!(pools > 5 && monitors > 1, "{dialect:?}: {pools} {monitors}");
        world.finish();
    }
}
