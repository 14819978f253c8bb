//! What logins get from outside: random bytes, and the authorities that vouch for databases.
//!
//! Files that everybody needs are read again only when they have changed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::base::plain::{beginning, plain};
use crate::config::authority::as_pem;
use crate::os::bundle::AuthorityBundle;
use crate::os::files::{self, Stamp};
use crate::os::sys;
use crate::session::{AuthorityError, Sources};
use crate::web::ServiceAccount;
use crate::web::kubernetes::{AUTHORITY_FILE, TOKEN_FILE};

/// The system as sessions see it.
pub struct System {
    bundle: AuthorityBundle,
    account: Rc<ServiceAccount>,
    account_stamps: [Option<Stamp>; 2],
}

/// The time by this machine's clock; zero where it says an impossible one.
pub fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Of the path in an error.
const PATH_SHOWN_MAX: usize = 256;

impl Sources for System {
    fn random(&mut self, bytes: &mut [u8]) -> bool {
        sys::random_bytes(bytes).is_ok()
    }

    fn authorities(&mut self, named: Option<&str>) -> Result<Arc<[u8]>, AuthorityError> {
        let Some(named) = named else {
            return self.bundle.read().ok_or(AuthorityError::NoBundle);
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
        let pem = as_pem(&content).map_err(|_| AuthorityError::NoCertificate)?;
        Ok(pem.into())
    }

    fn service_account(&mut self) -> Rc<ServiceAccount> {
        let stamps = [TOKEN_FILE, AUTHORITY_FILE].map(Stamp::of);
        if stamps != self.account_stamps {
            let read = |path| files::read_again(path).ok();
            self.account = Rc::new(ServiceAccount::new(read(TOKEN_FILE), read(AUTHORITY_FILE)));
            self.account_stamps = stamps;
        }
        self.account.clone()
    }

    fn file(&mut self, path: &str) -> std::io::Result<Vec<u8>> {
        files::read_again(path)
    }

    fn clock(&self) -> u64 {
        since_1970().as_secs()
    }
}

impl System {
    /// With this bundle of all authorities.
    pub fn new(bundle: AuthorityBundle) -> Self {
        Self {
            bundle,
            account: Rc::default(),
            account_stamps: [None; 2],
        }
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
        let mut system = System::new(AuthorityBundle::default());
        let plain = |text: &[u8]| {
            let text = String::from_utf8(text.to_vec()).unwrap();
            text.replace(['\r', '\n'], "")
        };
        let wanted = plain(pem.as_bytes());
        let path = file.to_str().unwrap();
        let url = format!("file://{path}");
        let ended = format!("{pem}\0\0");
        for named in [&pem[..], &pem.replace('\n', "\\n"), path, &url, &ended] {
            assert_eq!(plain(&system.authorities(Some(named)).unwrap()), wanted);
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
        std::fs::remove_file(file).unwrap();
        let (mut one, mut two) = ([0; 18], [0; 18]);
        assert!(system.random(&mut one) && system.random(&mut two) && one != two);
    }

    #[test]
    fn the_bundle_is_read_again_when_it_has_changed() {
        let file = std::env::temp_dir().join(format!("hoop-lite-bundle-{}", std::process::id()));
        std::fs::write(&file, "one").unwrap();
        let mut system = System::new(AuthorityBundle::new(file.to_str().map(str::to_owned)));
        let mut read = || system.authorities(None).unwrap();
        let first = read();
        assert!(&*first == b"one" && Arc::ptr_eq(&first, &read()));
        std::fs::write(&file, "another").unwrap();
        assert_eq!(&*read(), b"another");
        // As secrets are replaced: a new file takes the name.
        let (new, same) = (file.with_extension("new"), read());
        std::fs::write(&new, "renamed").unwrap();
        std::fs::rename(&new, &file).unwrap();
        assert!(&*read() == b"renamed" && &*same == b"another");
        std::fs::remove_file(file).unwrap();
    }
}
