//! Hosts of a service, and its text.

use std::time::Instant;

use super::{conf, next_id, record};
use crate::base::{Address, Service};
use crate::dns::{Answer, Lookup, LookupError, Send};

const SRV: u16 = 33;
const TXT: u16 = 16;
const NAME: &str = "Cluster.DB.example.";

/// What a server says of one type.
enum Say {
    /// These records.
    Records(Vec<Vec<u8>>),
    /// This code.
    Code(u8),
    /// Nothing.
    Silence,
}

fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.');
    let labels = labels.flat_map(|label| {
        let length = u8::try_from(label.len()).unwrap();
        [&[length][..], label.as_bytes()].concat()
    });
    labels.chain([0]).collect()
}

fn srv(port: u16, name: &[u8]) -> Vec<u8> {
    [&[0, 7, 0, 9][..], &port.to_be_bytes(), name].concat()
}

fn look_up(hosts: &Say, text: &Say) -> Result<Answer, LookupError> {
    let mut now = Instant::now();
    let mut lookup = Lookup::service(now, conf("search s.example"), NAME, next_id);
    loop {
        while let Some(send) = lookup.poll_send() {
            let Send::Datagram { server, bytes } = send else {
                continue;
            };
            let (name, kind) = super::asked(&bytes);
            let say = match kind {
                SRV => {
                    assert_eq!(name, "_mongodb._tcp.cluster.db.example");
                    hosts
                }
                _ => {
                    assert_eq!((&name[..], kind), ("cluster.db.example", TXT));
                    text
                }
            };
            let (code, records) = match say {
                Say::Records(records) => (0, &records[..]),
                Say::Code(code) => (*code, &[][..]),
                Say::Silence => continue,
            };
            let count = u8::try_from(records.len()).unwrap();
            let head = [
                bytes[0],
                bytes[1],
                0x81,
                0x80 | code,
                0,
                1,
                0,
                count,
                0,
                0,
                0,
                0,
            ];
            let records: Vec<u8> = records.iter().flat_map(|data| record(kind, data)).collect();
            lookup.received(now, server, &[&head[..], &bytes[12..], &records].concat());
        }
        if let Some(outcome) = lookup.outcome() {
            return outcome.clone();
        }
        now = lookup.poll_timeout();
        lookup.handle_timeout(now);
    }
}

fn address(host: &str, port: u16) -> Address {
    let host = host.to_owned();
    Address { host, port }
}

#[test]
fn a_service_has_its_hosts_in_their_order_and_a_text_in_pieces() {
    // A name may end in a pointer to the question's own: `cluster.db.example` begins at 12 + 9 + 5.
    let pointing = [b"\x02n2".as_slice(), &[0xc0, 12 + 9 + 5 + 8]].concat();
    let hosts = Say::Records(vec![
        srv(27017, &wire("n1.db.example")),
        srv(27018, &pointing),
    ]);
    let text = Say::Records(vec![b"\x0dauthSource=us\x03ers".to_vec()]);
    let want = Service {
        hosts: vec![
            address("n1.db.example", 27017),
            address("n2.db.example", 27018),
        ],
        text: "authSource=users".to_owned(),
    };
    assert_eq!(look_up(&hosts, &text), Ok(Answer::Service(want)));
}

#[test]
fn there_need_be_no_text_but_its_server_must_say_so() {
    let hosts = || Say::Records(vec![srv(1, &wire("n1.db.example"))]);
    let alone = Service {
        hosts: vec![address("n1.db.example", 1)],
        text: String::new(),
    };
    for text in [Say::Records(Vec::new()), Say::Code(3)] {
        assert_eq!(look_up(&hosts(), &text), Ok(Answer::Service(alone.clone())));
    }
    for text in [Say::Code(2), Say::Silence] {
        assert_eq!(look_up(&hosts(), &text), Err(LookupError::Temporary));
    }
    let none = Say::Records(Vec::new());
    assert_eq!(look_up(&Say::Code(3), &none), Err(LookupError::NotFound));
    assert_eq!(look_up(&none, &none), Err(LookupError::NotFound));
    assert_eq!(
        look_up(&Say::Code(2), &Say::Code(3)),
        Err(LookupError::Temporary)
    );
}

#[test]
fn a_host_that_is_none_is_left_out_and_no_pointer_is_followed_for_ever() {
    let wrong = [
        srv(1, b"\0"),
        srv(1, b"\xc0\xff"),
        srv(1, &[0xc0, 12, 0]),
        srv(1, &wire("with space.db.example")),
        srv(1, wire(&"x.".repeat(130)).split_last().unwrap().1),
        b"\0\0\0\0".to_vec(),
    ];
    // One that points to itself: 18 bytes of head and fixed part stand before it.
    let mut all = wrong.to_vec();
    all.push(srv(1, &wire("n1.db.example")));
    let Ok(Answer::Service(service)) = look_up(&Say::Records(all), &Say::Records(Vec::new()))
    else {
        panic!("one is a host");
    };
    assert_eq!(service.hosts.last(), Some(&address("n1.db.example", 1)));
    assert!(service.hosts.iter().all(|it| !it.host.contains(' ')));
}
