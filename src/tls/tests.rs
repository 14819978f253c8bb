//! Whom a stream believes, and what is said of the others.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ServerConfig, ServerConnection};

use super::fault::{Fault, small_key};
use super::trust::Verifier;
use super::*;
use crate::base::{ByteBuf, Roots, Trust, Verify};

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

fn params(name: &str, is_ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn self_signed(params: &CertificateParams) -> (Identity, String) {
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    let pem = cert.pem();
    let chain = vec![cert.der().clone()];
    (Identity { chain, key }, pem)
}

/// A server's certificate for `name`, signed by an authority, and the authority's PEM.
fn signed(name: &str) -> (Identity, String) {
    let ca_key = KeyPair::generate().unwrap();
    let ca_params = params("authority", true);
    let ca_pem = ca_params.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca_params, ca_key);
    let key = KeyPair::generate().unwrap();
    let cert = params(name, false).signed_by(&key, &issuer).unwrap();
    let chain = vec![cert.der().clone()];
    (Identity { chain, key }, ca_pem)
}

fn server(identity: Identity, alpn: &[&[u8]]) -> ServerConnection {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    ServerConnection::new(Arc::new(config)).unwrap()
}

/// A whole handshake in memory: the agreed ALPN, or the client's error.
fn handshake(
    trust: &Trust,
    alpn: Alpn,
    name: &str,
    mut server: ServerConnection,
) -> Result<Option<Vec<u8>>, StreamError> {
    let configuration = Configuration::new(trust, alpn, Versions::Any).unwrap();
    let mut client = Stream::new(Client::new(configuration, name).unwrap()).unwrap();
    let mut outgoing = ByteBuf::new();
    let mut nobody = |_: &[u8]| ControlFlow::Continue(());
    client.receive(&mut outgoing, &mut nobody)?;
    while !client.is_open() {
        server.read_tls(&mut outgoing.filled()).unwrap();
        outgoing.clear();
        let told = server.process_new_packets();
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        assert!(told.is_ok() || !wire.is_empty());
        client.incoming().extend(&wire);
        client.receive(&mut outgoing, &mut nobody)?;
    }
    Ok(client.alpn().map(<[u8]>::to_vec))
}

/// What an operator is told of it.
fn explain(error: impl Into<StreamError>) -> String {
    error.into().explain(&Subject::GATEWAY)
}

fn only(pem: &str) -> Trust {
    Trust {
        roots: Roots::Only(pem.as_bytes().to_vec()),
        verify: Verify::Full,
    }
}

/// The same with a server of h2.
fn agreed(trust: &Trust, name: &str, identity: Identity) -> Result<Option<Vec<u8>>, StreamError> {
    handshake(trust, Alpn::H2, name, server(identity, &[b"h2"]))
}

fn refusal(trust: &Trust, name: &str, identity: Identity) -> String {
    explain(agreed(trust, name, identity).unwrap_err())
}

#[test]
fn a_certificate_signed_by_the_configured_authority_is_believed_and_h2_agreed() {
    let (identity, pem) = signed("gw.example");
    assert_eq!(
        agreed(&only(&pem), "gw.example", identity),
        Ok(Some(b"h2".to_vec()))
    );
}

#[test]
fn the_rest_variant_offers_http_1_1_and_the_plain_variant_nothing() {
    let (identity, pem) = signed("gw.example");
    let agreed = handshake(
        &only(&pem),
        Alpn::Http1,
        "gw.example",
        server(identity, &[b"h2", b"http/1.1"]),
    );
    assert_eq!(agreed, Ok(Some(b"http/1.1".to_vec())));
    let (identity, pem) = signed("gw.example");
    let agreed = handshake(
        &only(&pem),
        Alpn::None,
        "gw.example",
        server(identity, &[b"h2"]),
    );
    assert_eq!(agreed, Ok(None));
}

#[test]
fn an_unknown_issuer_points_to_hoop_tlsca() {
    let (identity, _) = signed("gw.example");
    let text = refusal(&Trust::public(), "gw.example", identity);
    assert!(
        text.contains("not signed by an authority that is trusted here"),
        "{text}"
    );
    assert!(text.contains("set HOOP_TLSCA"));
}

/// What is said of a certificate of `fixtures`, whose authority is trusted.
fn said_of(pem: &str) -> String {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let (_, authority) = pem.split_once("-----END CERTIFICATE-----").unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let name = ServerName::try_from("gw.example").unwrap();
    let verdict = Verifier::new(&only(authority), provider)
        .unwrap()
        .verify_server_cert(&chain[0], &[], &name, &[], UnixTime::now());
    explain(verdict.unwrap_err())
}

#[test]
fn kinds_of_keys_and_signatures_that_we_do_not_take_are_named_with_what_to_use() {
    for (pem, named) in [
        (
            include_str!("fixtures/rsa-1024.pem"),
            "an RSA key of 1024 bits",
        ),
        (include_str!("fixtures/sha-1.pem"), "RSA and SHA-1"),
        (
            include_str!("fixtures/p-521.pem"),
            "ECDSA and SHA-512, as P-521",
        ),
        (
            include_str!("fixtures/p-256-sha-512.pem"),
            "ECDSA and SHA-512",
        ),
    ] {
        let text = said_of(pem);
        assert!(text.contains(named) && text.contains("P-256"), "{text}");
    }
}

#[test]
fn a_small_key_of_the_servers_own_is_named_too() {
    let pem = include_str!("fixtures/rsa-1024.pem");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(small_key(&chain[0]), None, "a P-256 key");
    assert_eq!(small_key(&chain[1]), Some(Fault::SmallKey(1024)));
}

#[test]
fn a_missing_intermediate_is_asked_for() {
    let root_key = KeyPair::generate().unwrap();
    let root = params("root", true);
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let root = Issuer::new(root, root_key);
    let middle_key = KeyPair::generate().unwrap();
    let mut middle = params("middle", true);
    middle
        .distinguished_name
        .push(rcgen::DnType::CommonName, "middle");
    let middle_der = middle.signed_by(&middle_key, &root).unwrap().der().clone();
    let middle = Issuer::new(middle, middle_key);
    let key = KeyPair::generate().unwrap();
    let leaf = params("gw.example", false)
        .signed_by(&key, &middle)
        .unwrap();
    let leaf = leaf.der().clone();
    let copy = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let alone = Identity {
        chain: vec![leaf.clone()],
        key: KeyPair::try_from(&copy).unwrap(),
    };
    let text = refusal(&only(&root_pem), "gw.example", alone);
    assert!(
        text.contains("fullchain.pem") && text.contains("HOOP_TLSCA"),
        "{text}"
    );
    let whole = Identity {
        chain: vec![leaf, middle_der],
        key,
    };
    assert_eq!(
        agreed(&only(&root_pem), "gw.example", whole),
        Ok(Some(b"h2".to_vec()))
    );
}

#[test]
fn an_older_authority_of_the_same_name_is_told_apart() {
    let (identity, _) = signed("gw.example");
    let (_, older) = signed("gw.example");
    let text = refusal(&only(&older), "gw.example", identity);
    assert!(text.contains("an older authority of the same name"));
}

#[test]
fn a_wrong_name_lists_the_names_that_the_certificate_has() {
    let (identity, pem) = signed("gw.example");
    let text = refusal(&only(&pem), "other.example", identity);
    assert!(text.contains("is not for other.example: it names gw.example;"));
    assert!(text.contains("HOOP_TLSSERVERNAME"));
}

#[test]
fn dates_out_of_range_show_both_dates() {
    let mut expired = params("gw.example", false);
    expired.not_before = rcgen::date_time_ymd(2001, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2002, 3, 4);
    let (identity, pem) = self_signed(&expired);
    let text = refusal(&only(&pem), "gw.example", identity);
    assert!(text.contains("expired on 2002-03-04T00:00:00Z; the clock here says 20"));

    let mut early = params("gw.example", false);
    early.not_before = rcgen::date_time_ymd(3001, 1, 1);
    early.not_after = rcgen::date_time_ymd(3002, 1, 1);
    let (identity, pem) = self_signed(&early);
    let text = refusal(&only(&pem), "gw.example", identity);
    assert!(text.contains("valid from 3001-01-01T00:00:00Z on; the clock here says 20"));
}

#[test]
fn a_self_signed_authority_is_believed_when_it_is_the_configured_certificate() {
    let (identity, pem) = self_signed(&params("gw.example", true));
    assert_eq!(
        agreed(&only(&pem), "gw.example", identity),
        Ok(Some(b"h2".to_vec()))
    );
}

#[test]
fn a_self_signed_authority_is_still_held_to_its_name_its_dates_and_the_exact_certificate() {
    let (identity, pem) = self_signed(&params("gw.example", true));
    let text = refusal(&only(&pem), "other.example", identity);
    assert!(text.contains("is not for other.example"), "{text}");

    let mut expired = params("gw.example", true);
    expired.not_before = rcgen::date_time_ymd(2001, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let (identity, pem) = self_signed(&expired);
    let text = refusal(&only(&pem), "gw.example", identity);
    assert!(text.contains("expired on 2002-01-01"), "{text}");

    let (identity, _) = self_signed(&params("gw.example", true));
    let (_, other_pem) = self_signed(&params("gw.example", true));
    let text = refusal(&only(&other_pem), "gw.example", identity);
    assert!(text.contains("HOOP_TLSCA"), "{text}");
}

#[test]
fn where_nobody_vouches_any_certificate_and_any_signature_are_taken() {
    let trust = Trust {
        roots: Roots::Public,
        verify: Verify::Nobody,
    };
    let (identity, _) = signed("gw.example");
    assert_eq!(
        agreed(&trust, "other.example", identity),
        Ok(Some(b"h2".to_vec()))
    );

    // A certificate whose key the server does not hold.
    let (stolen, pem) = signed("gw.example");
    let (own, _) = signed("gw.example");
    let mixed = Identity {
        chain: stolen.chain,
        key: own.key,
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(mixed.key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let signing = provider.key_provider.load_private_key(key).unwrap();
    #[derive(Debug)]
    struct Fixed(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Fixed {
        fn resolve(
            &self,
            _: rustls::server::ClientHello<'_>,
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let certified = Arc::new(rustls::sign::CertifiedKey::new(mixed.chain, signing));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Fixed(certified)));
    let config = Arc::new(config);
    let server = || ServerConnection::new(config.clone()).unwrap();
    let agreed = handshake(&trust, Alpn::None, "gw.example", server());
    assert_eq!(agreed, Ok(None));
    let error = handshake(&only(&pem), Alpn::None, "gw.example", server()).unwrap_err();
    assert!(error.is_distrust() && explain(error).contains("wrong signature"));
}

#[test]
fn an_answer_that_is_not_tls_is_called_so() {
    let configuration = Configuration::new(&Trust::public(), Alpn::H2, Versions::Any).unwrap();
    let mut client = Stream::new(Client::new(configuration, "gw.example").unwrap()).unwrap();
    client
        .incoming()
        .extend(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let mut nobody = |_: &[u8]| ControlFlow::Continue(());
    let error = client
        .receive(&mut ByteBuf::new(), &mut nobody)
        .unwrap_err();
    assert!(error.is_not_tls() && !error.is_distrust());
    assert!(explain(error).contains("does not speak TLS on this port"));
}

#[test]
fn a_server_without_h2_is_told_apart() {
    let (identity, pem) = signed("gw.example");
    let server = server(identity, &[b"http/1.1"]);
    let error = handshake(&only(&pem), Alpn::H2, "gw.example", server).unwrap_err();
    assert_eq!(explain(error), Subject::GATEWAY.no_protocol);
}

#[test]
fn pem_without_a_certificate_is_refused_in_upstreams_words() {
    let (_, good) = signed("gw.example");
    for pem in [
        "",
        "no pem at all",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        &good[..good.len() / 2],
    ] {
        let error = Configuration::new(&only(pem), Alpn::H2, Versions::Any).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("failed to append root CA into cert pool"),
            "{pem}"
        );
    }
}

#[test]
fn names_of_a_foreign_certificate_cannot_steer_a_terminal_or_fill_a_log() {
    let presented: Vec<String> = (0..100)
        .map(|_| format!("DnsName(\"a\u{1b}[2J{}\")", "b".repeat(999)))
        .collect();
    let text = explain(rustls::Error::InvalidCertificate(
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("gw.example").unwrap(),
            presented,
        },
    ));
    assert!(!text.contains('\u{1b}') && text.len() < 2000, "{text}");
}

#[test]
fn the_local_clock_in_a_date_refusal_is_the_verifiers_own() {
    let at = |days: u64| UnixTime::since_unix_epoch(Duration::from_secs(days * 86_400));
    let text = explain(rustls::Error::InvalidCertificate(
        CertificateError::ExpiredContext {
            time: at(11_000),
            not_after: at(10_000),
        },
    ));
    assert!(
        text.contains("1997-05-19") && text.contains("2000-02-13"),
        "{text}"
    );
}

#[test]
fn an_address_in_a_certificate_is_listed_as_such() {
    let (identity, pem) = signed("127.0.0.1");
    let text = refusal(&only(&pem), "other.example", identity);
    assert!(text.contains("it names 127.0.0.1;"), "{text}");
}

/// Authorities of one name, each signed by each: the ways through them are more than anybody can
/// walk.
#[test]
fn rustsec_2023_0053_a_maze_of_certificates_is_refused() {
    const AUTHORITIES: usize = 12;
    let keys: Vec<KeyPair> = (0..AUTHORITIES)
        .map(|_| KeyPair::generate().unwrap())
        .collect();
    let copy = |key: &KeyPair| {
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        KeyPair::try_from(&der).unwrap()
    };
    let mut chain = Vec::new();
    let leaf_key = KeyPair::generate().unwrap();
    let maze = params("maze", true);
    for signer in &keys {
        let issuer = Issuer::new(maze.clone(), copy(signer));
        if chain.is_empty() {
            let leaf = params("gw.example", false);
            chain.push(leaf.signed_by(&leaf_key, &issuer).unwrap().der().clone());
        }
        for subject in &keys {
            let certificate = maze.signed_by(subject, &issuer).unwrap();
            chain.push(certificate.der().clone());
        }
    }
    let (_, other_authority) = signed("other.example");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let refused = Verifier::new(&only(&other_authority), provider)
        .unwrap()
        .verify_server_cert(
            &chain[0],
            &chain[1..],
            &ServerName::try_from("gw.example").unwrap(),
            &[],
            UnixTime::now(),
        );
    assert!(!explain(refused.unwrap_err()).is_empty());
}

#[test]
fn sentences_speak_of_whom_they_are_about() {
    const DATABASE: Subject = Subject {
        side: "the database",
        authority: "SSLROOTCERT",
        name: "HOST",
        without_tls: "set SSLMODE to disable",
        wants_certificate: "which is not supported",
        no_protocol: "no protocol",
        otherwise: "",
    };
    let (identity, _) = signed("db.example");
    let trust = Trust::public();
    let server = server(identity, &[]);
    let error = handshake(&trust, Alpn::None, "db.example", server).unwrap_err();
    let text = error.explain(&DATABASE);
    assert!(
        text.starts_with("the database's certificate is not signed by"),
        "{text}"
    );
    assert!(text.contains("set SSLROOTCERT to"), "{text}");
    assert!(
        !text.contains("gateway") && !text.contains("HOOP_"),
        "{text}"
    );
}
