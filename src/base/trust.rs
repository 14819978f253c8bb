//! Whom TLS believes, as data: what configuration decides and `tls` turns into a verifier.

use std::sync::Arc;

/// Said when `HOOP_TLSCA` holds nothing that is a certificate; it begins as upstream's text does.
pub const NO_AUTHORITY: &str = "failed to append root CA into cert pool: HOOP_TLSCA holds no usable \
     certificate; give PEM text (-----BEGIN CERTIFICATE-----), base64://<that text in base64> or \
     file://<path>";

/// How the other side of a TLS connection proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Which authorities may vouch for it.
    pub roots: Roots,
    /// Whether they have to.
    pub verify: Verify,
}

/// Whose word for the other side's identity is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// A known authority's, for the name that was dialled.
    Full,
    /// Nobody's: against eavesdroppers only, and an operator asked for it in so many words.
    Nobody,
}

/// The authorities that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The public authorities compiled into the program.
    Public,
    /// These, and the certificates of this PEM text: a system's own bundle.
    PublicAnd(Arc<[u8]>),
    /// Only the certificates of this PEM text.
    Only(Vec<u8>),
}

impl Trust {
    /// The public authorities, verification on.
    pub const fn public() -> Self {
        Self {
            roots: Roots::Public,
            verify: Verify::Full,
        }
    }

    /// An authority of the operator's own was configured.
    pub fn has_own_roots(&self) -> bool {
        matches!(self.roots, Roots::Only(_))
    }
}
