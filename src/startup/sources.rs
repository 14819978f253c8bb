//! What logins get from outside: random bytes, and the authorities that vouch for databases.

use std::ffi::OsString;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::plain::{beginning, plain};
use crate::config::authority::as_pem;
use crate::os::{files, sys};
use crate::session::{AuthorityError, Sources};
use crate::web::kubernetes;

/// The system as sessions see it.
pub struct System {
    bundle: Option<OsString>,
}

/// Of the path in an error.
const PATH_SHOWN_MAX: usize = 256;

/// Where distributions keep the bundle of all authorities.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl Sources for System {
    fn random(&mut self, bytes: &mut [u8]) -> bool {
        sys::random_bytes(bytes).is_ok()
    }

    fn authorities(&mut self, named: Option<&str>) -> Result<Vec<u8>, AuthorityError> {
        let Some(named) = named else {
            return self.system_bundle();
        };
        let is_text = named.contains("-----BEGIN");
        let path = named.strip_prefix("file://").unwrap_or(named);
        let content = match is_text {
            true => Ok(named.as_bytes().to_vec()),
            false => files::read_again(path),
        };
        // What is no path may be anything, a key too.
        let shown = path
            .starts_with('/')
            .then(|| plain(beginning(path, PATH_SHOWN_MAX)));
        let content = content.map_err(|error| AuthorityError::Unreadable(shown, error))?;
        as_pem(&content).map_err(|_| AuthorityError::NoCertificate)
    }

    fn service_account(&mut self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let token = files::read_again(kubernetes::TOKEN_FILE).ok();
        (token, files::read_again(kubernetes::AUTHORITY_FILE).ok())
    }

    fn clock(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    fn file(&mut self, path: &str) -> io::Result<Vec<u8>> {
        files::read_again(path)
    }
}

impl System {
    /// `bundle` is the agent's SSL_CERT_FILE, which OpenSSL and Go read, too.
    pub fn new(bundle: Option<OsString>) -> Self {
        Self { bundle }
    }

    fn system_bundle(&self) -> Result<Vec<u8>, AuthorityError> {
        let named = self.bundle.as_ref().and_then(|path| path.to_str());
        let mut places = named.into_iter().chain(BUNDLES);
        let found = places.find_map(|path| files::read_again(path).ok());
        found.ok_or(AuthorityError::NoBundle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_text_or_a_file_and_nothing_else() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let file = std::env::temp_dir().join(format!("hoop-lite-roots-{}", std::process::id()));
        std::fs::write(&file, &pem).unwrap();
        let mut system = System::new(None);
        let plain = |text: Vec<u8>| String::from_utf8(text).unwrap().replace(['\r', '\n'], "");
        let wanted = plain(pem.clone().into_bytes());
        let path = file.to_str().unwrap();
        let url = format!("file://{path}");
        let ended = format!("{pem}\0\0");
        for named in [&pem[..], &pem.replace('\n', "\\n"), path, &url, &ended] {
            assert_eq!(plain(system.authorities(Some(named)).unwrap()), wanted);
        }
        for wrong in ["/dev/null/x", "/etc", "-----BEGIN NOTHING-----", "relative"] {
            assert!(
                system
                    .authorities(Some(wrong))
                    .unwrap_err()
                    .to_string()
                    .contains("SSLROOTCERT")
            );
        }
        let error = |named| system.authorities(Some(named)).unwrap_err().to_string();
        let mut error = error;
        assert!(error("file:///no/such/ca.pem").contains("the file /no/such/ca.pem "));
        assert!(!error("c2VjcmV0").contains("c2VjcmV0"));
        let bundle = Some(file.clone().into_os_string());
        assert_eq!(
            System::new(bundle).authorities(None).unwrap(),
            pem.into_bytes()
        );
        std::fs::remove_file(file).unwrap();
        let (mut one, mut two) = ([0; 18], [0; 18]);
        assert!(system.random(&mut one) && system.random(&mut two) && one != two);
    }
}
