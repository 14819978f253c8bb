//! What is wrong with certificates where webpki's own word would mislead.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, OtherError};

use crate::wire::der::CertificateParts;

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An RSA key of so many bits; webpki calls its signatures wrong.
    SmallKey(usize),
    /// Another authority signed it than the trusted ones, and its certificate did not come.
    Alone,
}

impl Fault {
    /// What is behind `error`, where it is one of these.
    pub fn of(
        error: &CertificateError,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        own: &[CertificateDer<'_>],
    ) -> Option<Self> {
        match error {
            CertificateError::BadSignature => {
                let chain = intermediates.iter().chain(own);
                chain.chain([end_entity]).find_map(small_key)
            }
            CertificateError::UnknownIssuer if intermediates.is_empty() => {
                let parts = CertificateParts::parse(end_entity)?;
                (parts.issuer != parts.subject).then_some(Self::Alone)
            }
            _ => None,
        }
    }
}

/// `words` has the sentence for people.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("certificates not accepted")
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for rustls::Error {
    fn from(fault: Fault) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
    }
}

/// The fault of an RSA key with fewer bits than the signatures of `ring` begin with.
pub fn small_key(certificate: &CertificateDer<'_>) -> Option<Fault> {
    let bits = CertificateParts::parse(certificate)?.rsa_bits()?;
    (bits < RSA_BITS_MIN).then_some(Fault::SmallKey(bits))
}

/// What the signatures of `ring` begin with.
const RSA_BITS_MIN: usize = 2048;

/// rustls hands this reason of webpki on as an opaque error, so its text is all there is.
pub fn is_authority_as_server(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(reason) if reason.to_string() == "CaUsedAsEndEntity")
}
