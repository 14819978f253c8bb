//! The bundle of all authorities that the system has, read again only when it has changed.

use std::sync::Arc;

use super::files::{self, Stamp};

/// See the module.
#[derive(Default)]
pub struct AuthorityBundle {
    named: Option<String>,
    /// What was found, and in which of its places.
    found: Option<(usize, Stamp, Arc<[u8]>)>,
}

/// Where distributions keep it.
const PLACES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl AuthorityBundle {
    /// `named` is the agent's SSL_CERT_FILE, which OpenSSL and Go read, too.
    pub fn new(named: Option<String>) -> Self {
        Self { named, found: None }
    }

    /// The first that can be read, as it is now.
    pub fn read(&mut self) -> Option<Arc<[u8]>> {
        for (place, path) in self.named.as_deref().into_iter().chain(PLACES).enumerate() {
            let Some(stamp) = Stamp::of(path) else {
                continue;
            };
            match &self.found {
                Some((known, of, pem)) if (*known, *of) == (place, stamp) => {
                    return Some(pem.clone());
                }
                _ => {}
            }
            if let Ok(pem) = files::read_again(path) {
                let pem: Arc<[u8]> = pem.into();
                self.found = Some((place, stamp, pem.clone()));
                return Some(pem);
            }
        }
        self.found = None;
        None
    }
}
