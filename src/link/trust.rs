//! The only TLS configuration of the program, and what its failures mean to an operator.
//!
//! Promises: TLS 1.2 or 1.3, authorities as [`Trust`] says, nothing secret in any text. Leaves
//! the handshake itself, and the check that ALPN was answered, to the owner of the connection.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::base::civil::Rfc3339;
use crate::base::plain::{beginning, plain};
use crate::base::trust::NO_AUTHORITY;
pub use crate::base::{Roots, Trust};
use crate::wire::der::{CertificateParts, Der, OBJECT_IDENTIFIER};

/// The protocol that is offered inside TLS (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `h2`: the link.
    H2,
    /// `http/1.1`: the REST calls.
    Http1,
    /// No offer at all.
    None,
}

/// Why no TLS configuration came out of a [`Trust`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustError {
    /// The PEM text holds no certificate, or a broken one.
    NoCertificate,
    /// No protocol version or cipher is left: a mistake of the build.
    Provider,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => NO_AUTHORITY,
            Self::Provider => "this build has no TLS cipher to offer",
        })
    }
}

impl std::error::Error for TrustError {}

/// The configuration for connections that believe whom `trust` names.
///
/// Build it once and keep it: it holds the session cache that makes reconnecting cheap.
pub fn client_config(trust: &Trust, alpn: Alpn) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(verifier(trust, provider.clone())?);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TrustError::Provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = match alpn {
        Alpn::H2 => vec![b"h2".to_vec()],
        Alpn::Http1 => vec![b"http/1.1".to_vec()],
        Alpn::None => Vec::new(),
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS_KEPT);
    Ok(Arc::new(config))
}

fn verifier(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Verifier, TrustError> {
    if trust.skip_verify {
        return Ok(Verifier {
            provider,
            authorities: None,
            own: Vec::new(),
        });
    }
    let mut store = RootCertStore::empty();
    let mut own = Vec::new();
    match &trust.roots {
        Roots::Public => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::Only(pem) => {
            own = certificates(pem)?;
            store.add_parsable_certificates(own.iter().cloned());
        }
    }
    let store = Arc::new(store);
    let authorities = WebPkiServerVerifier::builder_with_provider(store, provider.clone())
        .build()
        .map_err(|_| TrustError::NoCertificate)?;
    Ok(Verifier {
        provider,
        authorities: Some(authorities),
        own,
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let own: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| TrustError::NoCertificate)?;
    if own.is_empty() {
        return Err(TrustError::NoCertificate);
    }
    Ok(own)
}

/// Believes whom the authorities vouch for, and also the configured certificates as the server's
/// own. Without authorities it believes anybody, but still wants proof that the other side holds
/// its certificate's key.
///
/// `openssl req -x509` marks what it makes as an authority, and webpki refuses an authority's
/// certificate from a server. Operators put just that one into `HOOP_TLSCA`, and Go takes it.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        match authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            // The dates were found good before this is said; the name was not yet looked at.
            Err(rustls::Error::InvalidCertificate(error))
                if is_authority_as_server(&error) && self.own.iter().any(|c| c == end_entity) =>
            {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                verify_server_name(&parsed, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            Err(rustls::Error::InvalidCertificate(error)) => {
                let fault = fault(&error, end_entity, intermediates, &self.own);
                Err(fault.map_or(rustls::Error::InvalidCertificate(error), Fault::into))
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
            .map_err(|error| small_key(cert).map_or(error, Fault::into))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
            .map_err(|error| small_key(cert).map_or(error, Fault::into))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What is wrong with a chain where webpki's own word would mislead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// An RSA key of so many bits; webpki calls its signatures wrong.
    SmallKey(usize),
    /// Another authority signed it than the trusted ones, and its certificate did not come.
    Alone,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallKey(bits) => write!(
                f,
                "the gateway's certificate, or one above it, has an RSA key of {bits} bits, fewer \
                 than the 2048 that are safe: {BETTER}"
            ),
            Self::Alone => f.write_str(
                "the gateway shows its certificate alone, and it is not signed by an authority \
                 that is trusted here: if an intermediate authority signed it, let the gateway \
                 send that one's certificate too (fullchain.pem); else set HOOP_TLSCA to the PEM \
                 of the authority that signed it (file://<path> works)",
            ),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for rustls::Error {
    fn from(fault: Fault) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
    }
}

fn fault(
    error: &CertificateError,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    own: &[CertificateDer<'_>],
) -> Option<Fault> {
    match error {
        CertificateError::BadSignature => {
            let chain = intermediates.iter().chain(own);
            chain.chain([end_entity]).find_map(small_key)
        }
        CertificateError::UnknownIssuer if intermediates.is_empty() => {
            let parts = CertificateParts::parse(end_entity)?;
            (parts.issuer != parts.subject).then_some(Fault::Alone)
        }
        _ => None,
    }
}

fn small_key(certificate: &CertificateDer<'_>) -> Option<Fault> {
    let bits = CertificateParts::parse(certificate)?.rsa_bits()?;
    (bits < RSA_BITS_MIN).then_some(Fault::SmallKey(bits))
}

/// What the signatures of `ring` begin with.
const RSA_BITS_MIN: usize = 2048;
const BETTER: &str = "make it anew with ECDSA P-256 or P-384, RSA with 2048 bits or more, or \
     Ed25519, and SHA-256 or SHA-384";

/// rustls hands this reason of webpki on as an opaque error, so its text is all there is.
fn is_authority_as_server(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(reason) if reason.to_string() == "CaUsedAsEndEntity")
}

/// Said when the handshake went well and no protocol was agreed on.
pub const NO_ALPN: &str = "the other side speaks TLS but did not agree to HTTP/2 (ALPN h2): a \
     proxy or load balancer that does not pass HTTP/2 may stand in front of the gateway, or \
     this is not the gateway's gRPC port";

/// A sentence for operators: what went wrong with TLS and what to do about it.
pub fn explain(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, Error};
    let known = match error {
        Error::InvalidCertificate(reason) => return explain_certificate(reason),
        Error::InvalidMessage(_) => {
            "the other side does not speak TLS on this port: use a key whose scheme is grpc:// \
             if the gateway runs without TLS, or the port where it has TLS"
        }
        Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => {
            NO_ALPN
        }
        Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity)
        | Error::PeerIncompatible(_) => {
            "the other side offers no TLS version or cipher that we accept (TLS 1.2 or 1.3 with \
             AES-GCM or ChaCha20), or its certificate has a key that we do not (P-521, Ed448, \
             DSA): use ECDSA P-256 or P-384, RSA with 2048 bits or more, or Ed25519"
        }
        Error::AlertReceived(Alert::ProtocolVersion) => {
            "the other side refuses TLS 1.2 and 1.3: update it"
        }
        Error::AlertReceived(Alert::UnrecognisedName) => {
            "the other side has no certificate for this name: set HOOP_TLSSERVERNAME to the name \
             that it serves"
        }
        Error::AlertReceived(Alert::CertificateRequired | Alert::BadCertificate) => {
            "the other side wants a client certificate, which hoop gateways do not: something \
             else stands in front of the gateway"
        }
        Error::DecryptError | Error::PeerMisbehaved(_) => {
            "TLS records arrived damaged: something between here and the gateway alters traffic"
        }
        other => return format!("TLS failed: {other}"),
    };
    known.to_owned()
}

fn explain_certificate(reason: &CertificateError) -> String {
    use CertificateError as Reason;
    match reason {
        Reason::UnknownIssuer => "the gateway's certificate is not signed by an authority that \
             is trusted here: set HOOP_TLSCA to the PEM of the authority that signed it \
             (file://<path> works)"
            .to_owned(),
        Reason::ExpiredContext { time, not_after } => format!(
            "the gateway's certificate expired on {}; the clock here says {}: renew the \
             certificate, or set this clock",
            moment(*not_after),
            moment(*time)
        ),
        Reason::Expired => "the gateway's certificate has expired: renew it".to_owned(),
        Reason::NotValidYetContext { time, not_before } => format!(
            "the gateway's certificate is valid from {} on; the clock here says {}: this clock \
             is probably wrong",
            moment(*not_before),
            moment(*time)
        ),
        Reason::NotValidYet => {
            "the gateway's certificate is not valid yet: this clock is probably wrong".to_owned()
        }
        Reason::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the gateway's certificate is not for {}: {}; set HOOP_TLSSERVERNAME to a name that \
             it has, or correct the address",
            printable(&expected.to_str()),
            names(presented)
        ),
        Reason::NotValidForName => "the gateway's certificate is for another name: set \
             HOOP_TLSSERVERNAME, or correct the address"
            .to_owned(),
        Reason::Revoked => "the gateway's certificate was revoked: replace it".to_owned(),
        Reason::BadSignature => "the gateway's certificate has a wrong signature: HOOP_TLSCA \
             may hold an older authority of the same name"
            .to_owned(),
        Reason::InvalidPurpose | Reason::InvalidPurposeContext { .. } => {
            "the gateway's certificate is not meant for servers".to_owned()
        }
        reason if is_authority_as_server(reason) => {
            "the gateway shows an authority's certificate as its own: put exactly that \
             certificate into HOOP_TLSCA, or give the gateway one that is not an authority"
                .to_owned()
        }
        Reason::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: id,
            ..
        }
        | Reason::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: id,
            ..
        } => format!(
            "the gateway's certificate, or one above it, is signed with {}, which is not accepted: \
             {BETTER}",
            algorithm(id)
        ),
        Reason::Other(reason) if reason.0.is::<Fault>() => reason.to_string(),
        other => format!("the gateway's certificate is not accepted: {other}"),
    }
}

/// A name for the algorithm of this DER identifier, which may lack its outer SEQUENCE.
fn algorithm(id: &[u8]) -> &'static str {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
    let kind = Der(id).expect(OBJECT_IDENTIFIER).unwrap_or_default();
    match (kind.strip_prefix(RSA), kind.strip_prefix(ECDSA)) {
        (Some([4]), _) => "RSA and MD5",
        (Some([5]), _) => "RSA and SHA-1",
        (_, Some([1])) => "ECDSA and SHA-1",
        (_, Some([3, 4])) => "ECDSA and SHA-512, as P-521 keys usually do",
        (_, Some(_)) => "ECDSA by a key or a hash that few use (P-521, SHA-224)",
        _ => "an algorithm that few use",
    }
}

fn moment(time: UnixTime) -> Rfc3339 {
    Rfc3339::whole(time.as_secs())
}

/// What the certificate calls itself; the words are rustls' (`DnsName("a.example")`,
/// `IpAddress(192.0.2.1)`).
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "it names no host at all".to_owned();
    }
    let mut text = "it names ".to_owned();
    for (index, name) in presented.iter().take(NAMES_SHOWN).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        let bare = name.split(['"', '(', ')']).rfind(|part| !part.is_empty());
        let bare = bare.unwrap_or(name);
        text.push_str(&printable(bare));
    }
    if presented.len() > NAMES_SHOWN {
        text.push_str(", ...");
    }
    text
}

/// Foreign text, cut short and without anything that could steer a terminal.
fn printable(text: &str) -> String {
    plain(beginning(text, NAME_SHOWN_MAX))
}

/// One gateway is enough: rustls keeps eight tickets for each server.
const SESSIONS_KEPT: usize = 1;
/// Names of a certificate in one sentence; a certificate may carry hundreds.
const NAMES_SHOWN: usize = 5;
/// Bytes of one name: the longest DNS name.
const NAME_SHOWN_MAX: usize = 253;

#[cfg(test)]
mod tests;
