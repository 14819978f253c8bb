//! Name servers' answers, and the files that say who is asked.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hoop_lite::dns::{
    Answer, Lookup, NAME_BYTES_MAX, Question, RecordType, Reply, ResolvConf, Send, addresses_of,
    host, text,
};

use crate::input::split;

/// Questions of the look-ups here; seeds answer to it.
const ID: u16 = 0x1234;

/// A hosts file whose first line is the name that is looked for.
pub fn hosts_file(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (name, file) = text.split_once('\n').unwrap_or(("localhost", &text));
    let found = addresses_of(name, file.as_bytes());
    // The same in other words: the first word is the address, the others are names.
    let wanted = name.strip_suffix('.').unwrap_or(name);
    let mut expected: Vec<IpAddr> = Vec::new();
    for line in file.split('\n') {
        let entry = line.split('#').next().unwrap_or_default();
        let mut words = entry
            .split(|c: char| c.is_ascii_whitespace())
            .filter(|w| !w.is_empty());
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        if words.any(|word| word.eq_ignore_ascii_case(wanted)) {
            expected.extend(address);
        }
    }
    assert_eq!(found.is_empty(), expected.is_empty());
    assert!(found.len() <= 16 && found.iter().all(|address| expected.contains(address)));
    !found.is_empty()
}

/// A file of the form of `/etc/resolv.conf` whose first line is a name.
pub fn resolv_conf(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (name, file) = text.split_once('\n').unwrap_or(("db", &text));
    let conf = ResolvConf::parse(file, "host.example", &|zone| u32::try_from(zone.len()).ok());
    assert!((1..=3).contains(&conf.servers.len()) && (1..=5).contains(&conf.attempts));
    assert!((1..=30).contains(&conf.timeout.as_secs()));
    let candidates = conf.candidates(name);
    assert!((1..=33).contains(&candidates.len()));
    candidates.len() > 1
}

/// One message, where an answer to a question is expected.
pub fn dns_message(bytes: &[u8]) -> bool {
    let question = Question::new(ID, "db.example", RecordType::A).expect("a name");
    match question.read(bytes) {
        None => false,
        Some(Reply::Records(records) | Reply::Truncated(records)) => {
            assert!(records.len() <= 64);
            let size: usize = records.iter().map(|data| data.len()).sum();
            assert!(size < bytes.len(), "records overlap");
            for data in &records {
                let host = host(bytes, data).map_or(String::new(), |address| address.host);
                assert!(host.len() <= NAME_BYTES_MAX && !host.contains(char::is_whitespace));
                assert!(text(data).is_none_or(|text| text.len() <= data.len()));
            }
            !records.is_empty()
        }
        Some(Reply::NoName | Reply::Failure) => true,
    }
}

/// A look-up whose servers say anything, by datagram and by TCP: it ends in time, within bounds.
pub fn dns_lookup(bytes: &[u8]) -> bool {
    let (mut control, mut wire) = split(bytes);
    let text = "search s.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2";
    let conf = ResolvConf::parse(text, "", &|_| None);
    let start = Instant::now();
    let mut now = start;
    let seeks_service = control.byte() & 1 != 0;
    let mut lookup = match seeks_service {
        true => Lookup::service(now, conf, "db.example", || ID),
        false => Lookup::new(now, conf, "db.example", || ID),
    };
    let mut sent = 0;
    while lookup.outcome().is_none() {
        while let Some(send) = lookup.poll_send() {
            if let Send::Datagram { bytes, .. } | Send::Stream { bytes, .. } = send {
                assert!(bytes.len() < 300);
                sent += 1;
            }
        }
        let (size, what) = (control.piece(), control.byte());
        let (piece, rest) = wire.split_at(size.min(wire.len()));
        let number = usize::from(what >> 4) % 2;
        match what % 4 {
            _ if wire.is_empty() => {
                now = now.max(lookup.poll_timeout());
                lookup.handle_timeout(now);
                continue;
            }
            0 | 1 => lookup.received(now, number, piece),
            2 => lookup.stream_received(now, number, piece),
            _ if what > 128 => lookup.server_failed(now, number),
            _ => lookup.stream_failed(now, number),
        }
        wire = rest;
    }
    assert!(now <= start + Duration::from_secs(60), "it takes too long");
    assert!(sent <= 2 * 2 * 8, "{sent} questions");
    match lookup.outcome() {
        Some(Ok(answer)) => {
            let count = match answer {
                Answer::Addresses(addresses) => addresses.len(),
                Answer::Service(service) => service.hosts.len(),
            };
            assert!((1..=16).contains(&count));
            assert_eq!(matches!(answer, Answer::Service(_)), seeks_service);
            true
        }
        _ => false,
    }
}
