//! Certificates, and a TLS server that is none.

use std::time::Instant;

use hoop_lite::base::{Roots, Secret, Trust, Verify};
use hoop_lite::config::authority;
use hoop_lite::doctor::certificate::Certificate;
use hoop_lite::link::{AgentIdentity, Link, Transport};
use hoop_lite::tls::{Alpn, Client, Configuration, Versions};

use crate::input::{pieces, split};

/// An operator's PEM file, and a certificate as a server shows it.
pub fn certificates(bytes: &[u8]) -> bool {
    let trust = Trust {
        roots: Roots::Only(bytes.to_vec()),
        verify: Verify::Full,
    };
    let is_usable = Configuration::new(&trust, Alpn::H2, Versions::Any).is_ok();
    if let Ok(pem) = authority::as_pem(bytes) {
        assert_eq!(
            authority::as_pem(&pem).ok(),
            Some(pem),
            "what is in order stays"
        );
    }
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
    let configuration = Configuration::new(&Trust::public(), Alpn::H2, Versions::Any);
    let configuration = configuration.expect("the public authorities");
    let client = Client::new(configuration, "gateway.example").expect("a name");
    let transport = Transport::tls(client).expect("a client");
    let now = Instant::now();
    let identity = AgentIdentity {
        is_encrypted: true,
        authority: "gateway.example:8443".to_owned(),
        token: Secret::new("s3cr3t"),
        metadata: Vec::new(),
        preconnect: Vec::new(),
        user_agent: "fuzz".to_owned(),
    };
    let mut link = Link::new(now, transport, identity.into(), None, 65_535);
    let mut on_event = |_: hoop_lite::link::LinkEvent<'_>| panic!("nothing was agreed on");
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
