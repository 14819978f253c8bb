//! What a failure of TLS means to an operator, and what to do about it.

use std::borrow::Cow;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::fault::{Fault, is_authority_as_server};
use crate::base::civil::Rfc3339;
use crate::base::plain::{beginning, plain};
use crate::wire::der::{Der, OBJECT_IDENTIFIER};

/// Of whom the sentences speak, and by what an operator mends it.
pub struct Subject {
    /// Who it is: `the gateway`.
    pub side: &'static str,
    /// The setting that names authorities.
    pub authority: &'static str,
    /// The setting that names the server.
    pub name: &'static str,
    /// What to do where there is no TLS.
    pub without_tls: &'static str,
    /// What it means that a client's certificate is wanted.
    pub wants_certificate: &'static str,
    /// Said when the handshake went well and no protocol was agreed on.
    pub no_protocol: &'static str,
    /// What else can be done about a certificate.
    pub otherwise: &'static str,
}

impl Subject {
    /// hoop's gateway.
    pub const GATEWAY: Self = Self {
        side: "the gateway",
        authority: "HOOP_TLSCA",
        name: "HOOP_TLSSERVERNAME",
        without_tls: "use a key whose scheme is grpc:// if the gateway runs without TLS, or the \
             port where it has TLS",
        wants_certificate: "which hoop gateways do not: something else stands in front of the \
             gateway",
        no_protocol: "the other side speaks TLS but did not agree to HTTP/2 (ALPN h2): a proxy or \
             load balancer that does not pass HTTP/2 may stand in front of the gateway, or this \
             is not the gateway's gRPC port",
        otherwise: "",
    };

    /// A database's server.
    pub const DATABASE: Self = Self {
        side: "the database server",
        authority: "SSLROOTCERT of the connection",
        name: "HOST of the connection",
        without_tls: "check HOST and PORT of the connection",
        wants_certificate: "which this agent has none of",
        no_protocol: "the other side speaks TLS but did not agree to a protocol",
        otherwise: "",
    };

    /// Where secrets are kept.
    pub const STORE: Self = Self {
        side: "the secret store",
        authority: "VAULT_CACERT (Vault) or AWS_CA_BUNDLE (AWS) of the agent",
        name: "VAULT_ADDR or the endpoint's URL",
        without_tls: "its URL has to begin with http:// if it has no TLS",
        wants_certificate: "which this agent has none of",
        no_protocol: "the other side speaks TLS but not HTTP/1.1",
        otherwise: "",
    };

    /// A SQL Server, whose own certificate nobody has signed.
    pub const SQL_SERVER: Self = Self {
        otherwise: "; or set INSECURE of the connection to true, which takes any certificate",
        ..Self::DATABASE
    };
}

/// A sentence for operators: what went wrong with TLS and what to do about it.
pub fn explain(error: &rustls::Error, subject: &Subject) -> String {
    use rustls::{AlertDescription as Alert, Error};
    let side = subject.side;
    let known = match error {
        Error::InvalidCertificate(reason) => {
            return [
                side,
                &explain_certificate(reason, subject),
                subject.otherwise,
            ]
            .concat();
        }
        Error::InvalidMessage(_) => {
            let advice = subject.without_tls;
            return format!("the other side does not speak TLS on this port: {advice}");
        }
        Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => {
            subject.no_protocol
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
            return format!(
                "the other side has no certificate for this name: set {} to the name that it \
                 serves",
                subject.name
            );
        }
        Error::AlertReceived(Alert::CertificateRequired | Alert::BadCertificate) => {
            let meaning = subject.wants_certificate;
            return format!("the other side wants a client certificate, {meaning}");
        }
        Error::DecryptError | Error::PeerMisbehaved(_) => {
            return format!(
                "TLS records arrived damaged: something between here and {side} alters traffic"
            );
        }
        other => return format!("TLS failed: {other}"),
    };
    known.to_owned()
}

/// What follows upon the name of whose certificate it is.
fn explain_certificate(reason: &CertificateError, subject: &Subject) -> Cow<'static, str> {
    use CertificateError as Reason;
    let Subject {
        side, authority, ..
    } = subject;
    Cow::Owned(match reason {
        Reason::UnknownIssuer => format!(
            "'s certificate is not signed by an authority that is trusted here: set {authority} to \
             the PEM of the authority that signed it (file://<path> works)"
        ),
        Reason::ExpiredContext { time, not_after } => format!(
            "'s certificate expired on {}; the clock here says {}: renew the certificate, or set \
             this clock",
            moment(*not_after),
            moment(*time)
        ),
        Reason::Expired => return "'s certificate has expired: renew it".into(),
        Reason::NotValidYetContext { time, not_before } => format!(
            "'s certificate is valid from {} on; the clock here says {}: this clock is probably \
             wrong",
            moment(*not_before),
            moment(*time)
        ),
        Reason::NotValidYet => {
            return "'s certificate is not valid yet: this clock is probably wrong".into();
        }
        Reason::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "'s certificate is not for {}: {}; set {} to a name that it has, or correct the address",
            printable(&expected.to_str()),
            names(presented),
            subject.name
        ),
        Reason::NotValidForName => format!(
            "'s certificate is for another name: set {}, or correct the address",
            subject.name
        ),
        Reason::Revoked => return "'s certificate was revoked: replace it".into(),
        Reason::BadSignature => format!(
            "'s certificate has a wrong signature: {authority} may hold an older authority of the \
             same name"
        ),
        Reason::InvalidPurpose | Reason::InvalidPurposeContext { .. } => {
            return "'s certificate is not meant for servers".into();
        }
        reason if is_authority_as_server(reason) => format!(
            " shows an authority's certificate as its own: put exactly that certificate into \
             {authority}, or give {side} one that is not an authority"
        ),
        Reason::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: id,
            ..
        }
        | Reason::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: id,
            ..
        } => format!(
            "'s certificate, or one above it, is signed with {}, which is not accepted: {BETTER}",
            algorithm(id)
        ),
        Reason::Other(reason) => match reason.0.downcast_ref() {
            Some(fault) => explain_fault(*fault, subject),
            None => format!("'s certificate is not accepted: {reason}"),
        },
        other => format!("'s certificate is not accepted: {other}"),
    })
}

fn explain_fault(fault: Fault, subject: &Subject) -> String {
    let Subject {
        side, authority, ..
    } = subject;
    match fault {
        Fault::SmallKey(bits) => format!(
            "'s certificate, or one above it, has an RSA key of {bits} bits, fewer than the 2048 \
             that are safe: {BETTER}"
        ),
        Fault::Alone => format!(
            " shows its certificate alone, and it is not signed by an authority that is trusted \
             here: if an intermediate authority signed it, let {side} send that one's certificate \
             too (fullchain.pem); else set {authority} to the PEM of the authority that signed it \
             (file://<path> works)"
        ),
    }
}

const BETTER: &str = "make it anew with ECDSA P-256 or P-384, RSA with 2048 bits or more, or \
     Ed25519, and SHA-256 or SHA-384";

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

/// Names of a certificate in one sentence; a certificate may carry hundreds.
const NAMES_SHOWN: usize = 5;
/// Bytes of one name: the longest DNS name.
const NAME_SHOWN_MAX: usize = 253;
