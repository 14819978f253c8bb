//! Whom a connection believes: [`Trust`] as rustls asks for it.
//!
//! Promises: authorities as [`Trust`] says, nothing secret in any text.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::fault::{Fault, is_authority_as_server, small_key};
use crate::base::trust::NO_AUTHORITY;
use crate::base::{Roots, Trust, Verify};

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

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let own: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| TrustError::NoCertificate)?;
    if own.is_empty() {
        return Err(TrustError::NoCertificate);
    }
    Ok(own)
}

/// Believes whom the authorities vouch for, and also the configured certificates as the server's
/// own. Where nobody has to vouch it believes anybody, and takes the handshake's signature on faith,
/// too: that somebody holds the key of a certificate which anybody may make proves nothing, and its
/// check refuses old servers with small keys.
///
/// `openssl req -x509` marks what it makes as an authority, and webpki refuses an authority's
/// certificate from a server. Operators put just that one into `HOOP_TLSCA`, and Go takes it.
#[derive(Debug)]
pub struct Verifier {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// Believes whom `trust` names.
    pub fn new(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Self, TrustError> {
        if trust.verify == Verify::Nobody {
            return Ok(Self {
                provider,
                authorities: None,
                own: Vec::new(),
            });
        }
        let mut store = RootCertStore::empty();
        let mut own = Vec::new();
        match &trust.roots {
            Roots::Public => {}
            // One that can't be read takes none of the others away.
            Roots::PublicAnd(pem) => {
                let readable = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
                store.add_parsable_certificates(readable);
            }
            Roots::Only(pem) => {
                own = certificates(pem)?;
                store.add_parsable_certificates(own.iter().cloned());
            }
        }
        if !trust.has_own_roots() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let store = Arc::new(store);
        let authorities = WebPkiServerVerifier::builder_with_provider(store, provider.clone())
            .build()
            .map_err(|_| TrustError::NoCertificate)?;
        Ok(Self {
            provider,
            authorities: Some(authorities),
            own,
        })
    }

    /// What an error of the handshake's signature is called, if it counts at all.
    fn signature(
        &self,
        verdict: Result<HandshakeSignatureValid, rustls::Error>,
        certificate: &CertificateDer<'_>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match verdict {
            Err(_) if self.authorities.is_none() => Ok(HandshakeSignatureValid::assertion()),
            Err(error) => Err(small_key(certificate).map_or(error, Fault::into)),
            valid => valid,
        }
    }
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
                let fault = Fault::of(&error, end_entity, intermediates, &self.own);
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
        let verdict = rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms);
        self.signature(verdict, cert)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let verdict = rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms);
        self.signature(verdict, cert)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
