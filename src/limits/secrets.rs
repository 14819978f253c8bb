//! Secrets that sessions refer to (`secrets`).

use std::time::Duration;

use super::SESSION_OPEN_TIMEOUT;

/// References of one session: ten variables and some files are many.
pub const REFERENCE_COUNT_MAX: usize = 64;

/// Different secrets of one session: each is a request to its store.
pub const SECRET_COUNT_MAX: usize = 16;

/// The name of a secret; Amazon's ARNs have 2,048 bytes at most.
pub const SECRET_ID_BYTES_MAX: usize = 2048;

/// The key within one.
pub const SECRET_KEY_BYTES_MAX: usize = 512;

/// What becomes of one variable: Amazon's secrets have this much, and the kernel takes twice as much.
pub const SECRET_VALUE_BYTES_MAX: usize = 64 * 1024;

/// The head of a store's answer, and its fields.
pub const STORE_HEAD_BYTES_MAX: usize = 16 * 1024;
/// See [`STORE_HEAD_BYTES_MAX`].
pub const STORE_FIELDS_MAX: usize = 100;

/// The body of a store's answer: a secret of Amazon, escaped as JSON in JSON, has up to 400 KB.
pub const STORE_BODY_BYTES_MAX: usize = 512 * 1024;

/// All secrets of a session are there within this, or it is refused: the gateway's fronts wait 5 s.
pub const FETCH_MAX: Duration = SESSION_OPEN_TIMEOUT;

/// The most that `VAULT_HTTP_REQ_TIMEOUT` may make of it.
pub const FETCH_LONGEST: Duration = Duration::from_secs(120);

/// A store's address answers within this; it is in the same network, or its region.
pub const STORE_DIAL_MAX: Duration = Duration::from_secs(2);

/// An answer of a metadata address: it is in the same machine.
pub const METADATA_ANSWER_MAX: Duration = Duration::from_secs(1);

/// All answers of one, repeated or not.
pub const METADATA_MAX: Duration = Duration::from_secs(2);

/// A metadata address that did not answer is not asked again for so long: most machines have none.
pub const METADATA_DEAD: Duration = Duration::from_secs(30);

/// Sessions that fetch at once; the others wait, in order, and their time counts.
pub const FETCH_COUNT_MAX: usize = 16;

/// A request is repeated after this at least, and twice more at most, so that agents do not beat in step.
pub const STORE_PAUSE: Duration = Duration::from_millis(100);

/// Seconds before the end of Amazon's credentials from which they open no session any more.
pub const CREDENTIALS_LEFT_MIN: u64 = 5 * 60;

/// And before which those are renewed that tokens are made of: a token lives as long. Less for such as live shorter.
pub const CREDENTIALS_RENEWED_BEFORE: u64 = 15 * 60;

/// Renewals that fail are this far apart.
pub const CREDENTIALS_RETRY: Duration = Duration::from_secs(60);

/// A token of Vault's that was refused is replaced no sooner than this after the last time.
pub const VAULT_RELOGIN_MIN: Duration = Duration::from_secs(30);

/// Roles whose credentials are kept: an agent serves some clusters.
pub const ROLE_COUNT_MAX: usize = 8;

/// A cluster's token is made anew after so many seconds of its 900.
pub const CLUSTER_TOKEN_MAX: u64 = 10 * 60;

/// Roles that a profile may go through; the chain of `source_profile` is as long.
pub const ROLE_CHAIN_MAX: usize = 8;

/// A file of settings, a token, an authority.
pub const STORE_FILE_BYTES_MAX: usize = 64 * 1024;

/// Of what a store says about an error, for the log.
pub const STORE_WORDS_BYTES_MAX: usize = 200;

/// Of the name of a secret, in sentences.
pub const SECRET_ID_SHOWN_BYTES: usize = 128;

const _: () = assert!(METADATA_MAX.as_millis() * 2 < FETCH_MAX.as_millis());
const _: () = assert!(CREDENTIALS_LEFT_MIN < CREDENTIALS_RENEWED_BEFORE);
