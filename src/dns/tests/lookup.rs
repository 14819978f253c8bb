use std::time::Instant;

use super::*;
use crate::dns::answer::{Answer, take_turns};
use crate::dns::lookup::{Lookup, Send};

/// How the server of this number answers; `true`: over TCP.
type Servers<'a> = &'a dyn Fn(usize, &str, u16, bool) -> Say;

/// Plays a look-up to its end; the questions with it, in order.
fn play(conf: &str, name: &str, servers: Servers<'_>) -> (Ended, Vec<(usize, String, u16)>) {
    let start = Instant::now();
    let mut now = start;
    let mut lookup = Lookup::new(now, super::conf(conf), name, next_id);
    let mut questions = Vec::new();
    loop {
        while let Some(send) = lookup.poll_send() {
            match send {
                Send::Datagram { server, bytes } => {
                    let (name, record_type) = asked(&bytes);
                    let say = servers(server, &name, record_type, false);
                    questions.push((server, name, record_type));
                    if let Say::Closed = say {
                        lookup.server_failed(now, server);
                    } else if let Some(message) = reply(&bytes, &say) {
                        lookup.received(now, server, &message);
                    }
                }
                Send::Stream {
                    server,
                    family,
                    bytes,
                } => {
                    assert_eq!(usize::from(bytes[1]) + 2, bytes.len());
                    let (name, record_type) = asked(&bytes[2..]);
                    let say = servers(server, &name, record_type, true);
                    if let Say::Closed = say {
                        lookup.stream_failed(now, family);
                    } else if let Some(message) = reply(&bytes[2..], &say) {
                        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
                        for byte in [&length[..], &message].concat() {
                            lookup.stream_received(now, family, &[byte]);
                        }
                    }
                }
                Send::CloseStream { .. } => {}
            }
        }
        if let Some(outcome) = lookup.outcome() {
            let addresses = outcome.clone().map(|answer| match answer {
                Answer::Addresses(addresses) => addresses,
                Answer::Service(_) => panic!("nobody has asked for a service"),
            });
            return ((addresses, since(start, now)), questions);
        }
        assert!(lookup.poll_timeout() > now, "it would spin");
        now = lookup.poll_timeout();
        lookup.handle_timeout(now);
    }
}

fn ended(conf: &str, name: &str, servers: Servers<'_>) -> Ended {
    play(conf, name, servers).0
}

fn v4(text: &str) -> Say {
    Say::Addresses(vec![ip(text)])
}

const KUBERNETES: &str = "search default.svc.cluster.local svc.cluster.local cluster.local\n\
                          options ndots:5";

#[test]
fn a_family_that_fails_is_no_failure_while_the_other_has_addresses() {
    let bad = [
        ("NXDOMAIN", Say::Code(3)),
        ("SERVFAIL", Say::Code(2)),
        ("NOTIMP", Say::Code(4)),
        ("REFUSED", Say::Code(5)),
        ("FORMERR", Say::Code(1)),
        ("silence", Say::Nothing),
        ("no data", Say::Code(0)),
    ];
    for (why, say) in bad {
        for (good_type, good) in [(A, "192.0.2.1"), (AAAA, "2001:db8::1")] {
            let servers = |_: usize, _: &str, record_type: u16, _: bool| {
                if record_type == good_type {
                    v4(good)
                } else {
                    say.clone()
                }
            };
            let (result, after) = ended("", "db.example", &servers);
            assert_eq!(result, Ok(vec![ip(good)]), "{why}");
            assert!(after <= Duration::from_millis(200), "{why}: {after:?}");
        }
    }
}

#[test]
fn kubernetes_search_list_comes_before_the_public_name() {
    let servers = |_: usize, name: &str, record_type: u16, _: bool| match (name, record_type) {
        ("api.dev.svc.cluster.local", A) => v4("10.0.0.7"),
        ("api.dev", A) => v4("192.0.2.66"),
        ("api.dev.svc.cluster.local" | "api.dev", _) => Say::Code(0),
        _ => Say::Code(3),
    };
    assert_eq!(
        ended(KUBERNETES, "api.dev", &servers).0,
        Ok(vec![ip("10.0.0.7")])
    );
    assert_eq!(
        ended(KUBERNETES, "API.dev.", &servers).0,
        Ok(vec![ip("192.0.2.66")])
    );
    // With the default of one dot the name itself comes first.
    let few = "search svc.cluster.local";
    assert_eq!(
        ended(few, "api.dev", &servers).0,
        Ok(vec![ip("192.0.2.66")])
    );
}

#[test]
fn a_search_domain_that_fails_moves_on() {
    let conf = "search broken.example good.example\noptions ndots:0 timeout:1 attempts:1";
    for say in [Say::Code(2), Say::Code(5), Say::Nothing, Say::Closed] {
        let servers = |_: usize, name: &str, record_type: u16, _: bool| match (name, record_type) {
            ("db.good.example", A) => v4("192.0.2.1"),
            _ if name.ends_with("broken.example") => say.clone(),
            _ => Say::Code(3),
        };
        let (result, after) = ended(conf, "db", &servers);
        assert_eq!(result, Ok(vec![ip("192.0.2.1")]), "{say:?}");
        assert!(after <= SECOND * 4, "{after:?}");
    }
}

#[test]
fn what_failed_for_a_while_is_told_from_what_is_not_there() {
    let conf = "search broken.example\noptions ndots:5 timeout:1 attempts:1";
    let servers = |_: usize, name: &str, _: u16, _: bool| match name {
        _ if name.ends_with("broken.example") => Say::Code(2),
        "empty.example" => Say::Code(0),
        _ => Say::Code(3),
    };
    assert_eq!(
        ended(conf, "gone.example", &servers).0,
        Err(LookupError::Temporary)
    );
    assert_eq!(
        ended(conf, "gone.example.", &servers).0,
        Err(LookupError::NotFound)
    );
    assert_eq!(
        ended(conf, "empty.example.", &servers).0,
        Err(LookupError::NotFound)
    );
    assert_eq!(ended(conf, "a..b", &servers).0, Err(LookupError::NotFound));
}

#[test]
fn a_dead_server_costs_a_second_and_a_closed_or_failing_one_nothing() {
    let conf = "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3";
    for (first, cost) in [
        (Say::Nothing, SECOND),
        (Say::Closed, Duration::ZERO),
        (Say::Code(2), Duration::ZERO),
    ] {
        let servers = |server: usize, _: &str, record_type: u16, _: bool| match server {
            0 => first.clone(),
            _ if record_type == A => v4("192.0.2.9"),
            _ => Say::Code(0),
        };
        let ((result, after), questions) = play(conf, "db.example", &servers);
        assert_eq!(result, Ok(vec![ip("192.0.2.9")]));
        assert_eq!(after, cost, "{first:?}");
        assert!(questions.iter().all(|(server, ..)| *server < 2));
    }
}

#[test]
fn servers_that_are_all_dead_are_asked_as_often_as_the_file_says() {
    let conf = "nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions timeout:2 attempts:3";
    let ((result, after), questions) = play(conf, "db.example", &|_, _, _, _| Say::Nothing);
    assert_eq!((result, after), (Err(LookupError::Temporary), SECOND * 6));
    assert_eq!(questions.len(), 2 * 2 * 3);
    let ((result, after), questions) = play(conf, "db.example", &|_, _, _, _| Say::Code(2));
    assert_eq!(
        (result, after),
        (Err(LookupError::Temporary), Duration::ZERO)
    );
    assert_eq!(questions.len(), 2 * 2 * 3);
    let (result, after) = ended(conf, "db.example", &|_, _, _, _| Say::Closed);
    assert_eq!(
        (result, after),
        (Err(LookupError::Temporary), Duration::ZERO)
    );
}

#[test]
fn a_name_that_does_not_exist_is_not_waited_for() {
    let servers = |_: usize, _: &str, record_type: u16, _: bool| match record_type {
        A => Say::Code(3),
        _ => Say::Nothing,
    };
    let (result, after) = ended("", "db.example", &servers);
    assert_eq!((result, after), (Err(LookupError::NotFound), SECOND));
}

#[test]
fn an_answer_that_is_too_large_comes_over_tcp() {
    let many: Vec<IpAddr> = (1..=60).map(|last| [127, 0, 0, last].into()).collect();
    let few = many[..3].to_vec();
    for (over_tcp, count, cost) in [
        (Say::Addresses(many.clone()), 16, Duration::ZERO),
        // Whoever blocks TCP has the few.
        (Say::Closed, 3, Duration::ZERO),
        (Say::Nothing, 3, SECOND * 2),
        (Say::Code(2), 3, Duration::ZERO),
    ] {
        let servers = |_: usize, _: &str, record_type: u16, is_tcp: bool| match record_type {
            A if is_tcp => over_tcp.clone(),
            A => Say::CutOff(few.clone()),
            _ => Say::Code(0),
        };
        let (result, after) = ended("", "big.example", &servers);
        assert_eq!(result, Ok(many[..count].to_vec()), "{over_tcp:?}");
        assert_eq!(after, cost, "{over_tcp:?}");
    }
    let conf = "nameserver 192.0.2.1\nnameserver 192.0.2.2";
    let servers = |server: usize, _: &str, record_type: u16, is_tcp: bool| match server {
        _ if record_type == AAAA => Say::Code(0),
        0 if is_tcp => Say::Closed,
        0 => Say::CutOff(vec![]),
        _ => v4("192.0.2.9"),
    };
    let (result, _) = ended(conf, "big.example", &servers);
    assert_eq!(
        result,
        Ok(vec![ip("192.0.2.9")]),
        "the next server is asked"
    );
}

#[test]
fn a_stream_of_nonsense_ends_in_bounded_memory() {
    let now = Instant::now();
    let mut lookup = Lookup::new(now, conf("options attempts:1"), "db.example", next_id);
    let mut is_streaming = [false; 2];
    while let Some(send) = lookup.poll_send() {
        match send {
            Send::Datagram { server, bytes } => {
                let message = reply(&bytes, &Say::CutOff(vec![])).unwrap();
                lookup.received(now, server, &message);
            }
            Send::Stream { family, .. } => is_streaming[family] = true,
            Send::CloseStream { family } => is_streaming[family] = false,
        }
    }
    assert_eq!(is_streaming, [true; 2]);
    for family in [0, 1] {
        for _ in 0..=u16::MAX / 1024 {
            lookup.stream_received(now, family, &[0xff; 1024]);
        }
        lookup.stream_received(now, family, &[0xff; 2]);
        assert_eq!(lookup.poll_send(), Some(Send::CloseStream { family }));
    }
    assert_eq!(lookup.outcome(), Some(&Err(LookupError::Temporary)));
}

#[test]
fn a_late_or_foreign_datagram_changes_nothing() {
    let now = Instant::now();
    let mut lookup = Lookup::new(now, conf(""), "db.example", next_id);
    let mut other = Lookup::new(now, conf(""), "db.example", next_id);
    while let (Some(Send::Datagram { bytes, .. }), Some(_)) =
        (other.poll_send(), lookup.poll_send())
    {
        let message = reply(&bytes, &v4("192.0.2.66")).unwrap();
        lookup.received(now, 0, &message);
    }
    assert_eq!(lookup.outcome(), None);
    assert_eq!(lookup.poll_send(), None);
}

#[test]
fn families_take_turns_beginning_with_ipv6_and_are_bounded() {
    let turns = |v6: &[&str], v4: &[&str]| {
        let of = |list: &[&str]| list.iter().map(|text| ip(text)).collect::<Vec<_>>();
        take_turns(&of(v6), &of(v4))
    };
    let expected = ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"].map(ip);
    assert_eq!(
        turns(&["::1", "::2", "::3", "::1"], &["192.0.2.1", "192.0.2.2"]),
        expected
    );
    assert_eq!(turns(&[], &["192.0.2.1"]), [ip("192.0.2.1")]);
    assert!(turns(&[], &[]).is_empty());
    let many: Vec<IpAddr> = (0..100).map(|last| [10, 0, 0, last].into()).collect();
    assert_eq!(take_turns(&[], &many).len(), 16);
}
