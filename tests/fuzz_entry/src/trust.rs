//! Certificates, and a TLS server that is none.

use std::time::Instant;

use hoop_lite::base::{Secret, Trust};
use hoop_lite::doctor::certificate::Certificate;
use hoop_lite::link::trust::{Alpn, Roots, client_config};
use hoop_lite::link::{Identity, Link, Transport};
use rustls::pki_types::ServerName;

use crate::input::{pieces, split};

/// An operator's PEM file, and a certificate as a server shows it.
pub fn certificates(bytes: &[u8]) -> bool {
    let trust = Trust {
        roots: Roots::Only(bytes.to_vec()),
        skip_verify: false,
    };
    let is_usable = client_config(&trust, Alpn::H2).is_ok();
    let face = Certificate::parse(bytes);
    if let Some(face) = &face {
        for time in [&face.not_before, &face.not_after] {
            assert_eq!((time.len(), time.ends_with('Z')), (20, true), "{time}");
        }
    }
    is_usable || face.is_some()
}

/// Bytes where a TLS handshake is expected, in any pieces: refused or waited for, in bounded memory.
pub fn tls(bytes: &[u8]) -> bool {
    let (mut control, wire) = split(bytes);
    let config = client_config(&Trust::public(), Alpn::H2).expect("the public authorities");
    let name = ServerName::try_from("gateway.example").expect("a name");
    let transport = Transport::tls(config, name).expect("a client");
    let now = Instant::now();
    let identity = Identity {
        is_encrypted: true,
        authority: "gateway.example:8443".to_owned(),
        token: Secret::new("s3cr3t"),
        metadata: Vec::new(),
        preconnect: Vec::new(),
        user_agent: "fuzz".to_owned(),
    };
    let mut link = Link::new(now, transport, identity.into(), None, 65_535);
    let mut on_event = |_: hoop_lite::link::Event<'_>| panic!("nothing was agreed on");
    link.received(now, 0, true, &mut on_event)
        .expect("the first flight");
    assert!(link.pending().len() > 100, "a client hello");
    for piece in pieces(&mut control, wire) {
        let mut rest = piece;
        while !rest.is_empty() {
            let buffer = link.read_buffer();
            let size = rest.len().min(buffer.len());
            buffer[..size].copy_from_slice(&rest[..size]);
            rest = &rest[size..];
            if let Err(error) = link.received(now, size, true, &mut on_event) {
                assert!(!error.to_string().is_empty());
                link.abort(now);
                assert!(link.pending().len() < 16 * 1024);
                return false;
            }
        }
    }
    true
}
