//! Sets of servers as they are met: members that are down, elections, hosts that only the inside knows.

use super::*;

fn secondary(primary: Option<&str>) -> Conduct {
    Conduct::new(Role::Secondary(primary.map(str::to_owned)))
}

const SET: &str = "mongodb://app:s3cret@a,b,c:27018/?replicaSet=rs0";

fn run(string: &str, hosts: &[(&'static str, Conduct)]) -> World {
    World::new(string, hosts, speculative()).log_in(usize::MAX)
}

#[test]
fn the_primary_is_found_wherever_it_stands() {
    for (hosts, want) in [
        (vec![("a", primary())], vec!["a"]),
        (vec![("c", primary())], vec!["a", "b", "c"]),
        (
            vec![("a", secondary(None)), ("b", primary())],
            vec!["a", "b"],
        ),
        (
            vec![("a", secondary(Some("c:27018"))), ("c", primary())],
            vec!["a", "c"],
        ),
        // What the set says of its primary is out of date.
        (
            vec![("a", secondary(Some("C:27018"))), ("b", primary())],
            vec!["a", "c", "b"],
        ),
    ] {
        let world = run(SET, &hosts);
        assert!(world.is_in(), "{:?}", world.end);
        assert_eq!(world.dialled, want);
        let found = world.found.borrow().clone().unwrap();
        assert_eq!(Some(&found.host[..]), want.last().copied());
    }
}

#[test]
fn a_primary_that_the_string_lacks_is_dialled_where_tls_vouches_for_who_names_it() {
    let moved = [
        ("a", secondary(Some("new:27017"))),
        ("new", primary()),
        ("b", primary()),
    ];
    for (options, want) in [
        // In plain text anybody on the way may have said so.
        ("", ["a", "b"]),
        ("&tls=true&tlsInsecure=true", ["a", "b"]),
        ("&tls=true", ["a", "new"]),
    ] {
        let world = run(&format!("{SET}{options}"), &moved);
        assert!(world.is_in(), "{:?}", world.end);
        assert_eq!(world.dialled, want, "{options}");
        assert_eq!(world.found.borrow().as_ref().unwrap().host, want[1]);
    }
    // The right host at a port that is not listed is another server.
    let other = [("a", secondary(Some("b:27018"))), ("b", primary())];
    let mut world = World::new("mongodb://app:s3cret@a,c,b/", &other, speculative());
    world = world.log_in(usize::MAX);
    assert_eq!(world.dialled, ["a", "c", "b"]);
    let alone = run("mongodb://app:s3cret@a/", &moved);
    assert_eq!(alone.dialled, ["a"]);
    assert!(alone.refusal().text.contains("list every member"));
}

#[test]
fn the_next_connection_begins_where_the_last_one_was_let_in() {
    let hosts = [("b", primary())];
    let first = run(SET, &hosts);
    let second = World::new(SET, &hosts, driver());
    second.found.replace(first.found.take());
    let second = second.log_in(usize::MAX);
    assert!(second.is_in());
    assert_eq!(second.dialled, ["b"]);
    let third = World::new(SET, &[("c", primary())], driver());
    third.found.replace(second.found.take());
    let third = third.log_in(usize::MAX);
    assert!(third.is_in());
    assert_eq!(third.dialled, ["b", "a", "c"]);
}

#[test]
fn without_a_primary_the_client_is_told_and_nothing_is_remembered() {
    let hosts = [
        ("a", secondary(None)),
        ("b", secondary(Some("a:27017"))),
        ("c", secondary(None)),
    ];
    let world = run(SET, &hosts);
    assert_eq!(world.dialled, ["a", "b", "c"]);
    assert!(
        world
            .refusal()
            .text
            .contains("none of the connection's hosts is the primary")
    );
    assert!(world.found.borrow().is_none() && world.driver.error.as_ref().unwrap().0 == 6);
    let nobody = run(SET, &[]);
    assert_eq!(nobody.refusal().text, "it can't be reached");
}

#[test]
fn a_silent_host_has_less_time_than_the_last_one() {
    let mut mute = primary();
    mute.is_mute = true;
    let mut world = World::new(SET, &[("a", mute), ("b", primary())], driver());
    world.begin(usize::MAX);
    world.run(usize::MAX, usize::MAX);
    let login = world.login.as_ref().unwrap();
    assert!(login.goes_elsewhere() && login.patience() < crate::limits::LOGIN_SERVER_TIMEOUT);
    world.lose();
    world.run(usize::MAX, usize::MAX);
    assert!(world.is_in());
    assert_eq!(world.dialled, ["a", "b"]);
}

#[test]
fn a_host_that_leaves_in_mid_hello_or_fails_in_tls_is_passed_over() {
    let mut dying = primary();
    dying.dies_at = 1;
    let world = run(SET, &[("a", dying), ("b", primary())]);
    assert!(world.is_in());
    let mut world = World::new(&format!("{SET}&tls=true"), &[("a", primary())], driver());
    world.is_trusted = false;
    let world = world.log_in(usize::MAX);
    assert_eq!(world.dialled, ["a", "b", "c"]);
    assert_eq!(world.wishes.len(), 1);
}

#[test]
fn members_of_another_set_are_not_taken() {
    let string = "mongodb://app:s3cret@a/?replicaSet=other";
    let world = run(string, &[("a", primary())]);
    assert!(
        world
            .refusal()
            .text
            .contains("replicaSet of CONNECTION_STRING")
    );
    let alone = run(SET, &[("a", Conduct::new(Role::Alone)), ("b", primary())]);
    assert_eq!(alone.dialled, ["a", "b"]);
}

#[test]
fn a_direct_connection_takes_the_host_as_it_is_and_shows_that_it_is_a_secondary() {
    let string = "mongodb://app:s3cret@a/?directConnection=true";
    let world = run(string, &[("a", secondary(Some("b:27017")))]);
    assert!(world.is_in());
    assert_eq!(world.dialled, ["a"]);
    let hello = &world.driver.hello;
    assert!(hello.number("isWritablePrimary") == 0 && hello.number("secondary") == 1);
    assert_eq!(hello.text("setName"), "rs0");
    assert!(!hello.has("hosts") && !hello.has("primary") && !hello.has("me"));
}

fn service(hosts: &[&str], text: &str) -> Service {
    let address = |host: &&str| Address {
        host: (*host).to_owned(),
        port: 27018,
    };
    Service {
        hosts: hosts.iter().map(address).collect(),
        text: text.to_owned(),
    }
}

fn look_up(string: &str, service: Service, hosts: &[(&'static str, Conduct)]) -> World {
    let mut world = World::new(string, hosts, speculative());
    world.service = Some(service);
    world.log_in(usize::MAX)
}

const SRV: &str = "mongodb+srv://app:s3cret@cluster.db.example/";

#[test]
fn a_service_has_its_hosts_and_options_from_the_name_server_and_tls() {
    let hosts = ["n1.db.example", "N2.db.EXAMPLE"];
    let text = "authSource=users&replicaSet=rs0&tls=false&directConnection=true";
    let conducts = [
        ("n1.db.example", secondary(None)),
        ("N2.db.EXAMPLE", primary()),
    ];
    let world = look_up(SRV, service(&hosts, text), &conducts);
    assert!(world.is_in(), "{:?}", world.end);
    assert_eq!(world.dialled, hosts);
    assert_eq!(world.wishes, [wish(Verify::Full); 2]);
    assert_eq!(world.heard().source, "users");
    let own = format!("{SRV}?authSource=mine&tls=false");
    let world = look_up(&own, service(&hosts[1..], text), &conducts);
    assert!(world.is_in() && world.wishes.is_empty() && world.heard().source == "mine");
}

#[test]
fn a_service_leads_to_no_host_outside_of_its_domain() {
    for host in ["n1.evil.example", "evildb.example", "db.example", "example"] {
        let world = look_up(SRV, service(&["n1.db.example", host], ""), &[]);
        assert!(world.dialled.is_empty(), "{host}");
        assert!(
            world
                .refusal()
                .text
                .contains("outside of its name's own domain"),
            "{host}"
        );
    }
}

#[test]
fn without_tls_a_primary_of_a_service_must_be_of_its_domain() {
    let own = format!("{SRV}?tls=false");
    for (named, want) in [
        ("n7.DB.example", "n7.DB.example"),
        ("n7.evil.example", "n2.db.example"),
        ("evildb.example", "n2.db.example"),
    ] {
        let first = secondary(Some(&format!("{named}:27017")));
        let conducts = [
            ("n1.db.example", first),
            ("n2.db.example", primary()),
            (named, primary()),
        ];
        let hosts = service(&["n1.db.example", "n2.db.example"], "");
        let world = look_up(&own, hosts, &conducts);
        assert!(world.is_in(), "{:?}", world.end);
        assert_eq!(world.dialled, ["n1.db.example", want]);
    }
}

#[test]
fn x509_shows_a_certificate_in_place_of_a_password() {
    let string =
        "mongodb://CN%3Dapp@a/?authMechanism=MONGODB-X509&tls=true&tlsCertificateKeyFile=%2Fk.pem";
    let mut world = World::new(string, &[("a", primary())], speculative());
    world.begin(usize::MAX);
    // What its TLS has shown.
    world.server.as_mut().unwrap().heard.has_certificate = true;
    world.run(usize::MAX, usize::MAX);
    assert!(world.is_in());
    let heard = world.heard();
    assert_eq!(heard.mechanism.as_deref(), Some("MONGODB-X509"));
    assert_eq!(heard.source, "$external");
    assert_eq!(heard.asked.last().unwrap().text("user"), "CN=app");
    let world = World::new(string, &[("a", primary())], driver()).log_in(usize::MAX);
    let (code, text) = world.driver.error.unwrap();
    assert!(code == 18 && text.contains("x.509"), "{text}");
}

#[test]
fn other_services_and_other_clients_are_told_apart() {
    let mut world = World::of(primary(), driver());
    world.begin(usize::MAX);
    world.under_way = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    world.run(usize::MAX, usize::MAX);
    assert!(
        world
            .refusal()
            .text
            .starts_with("the server does not answer as MongoDB does")
    );
    let mut world = World::of(primary(), driver());
    world.say(b"GET / HTTP/1.1\r\n\r\n", usize::MAX);
    assert_eq!(world.refusal().cause, Cause::Protocol);
    assert!(world.dialled.is_empty() && world.packets.is_empty());
}
