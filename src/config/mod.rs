//! What the environment means: gateway, trust, key, proxy and settings, checked and explained.
//!
//! Pure over [`Surroundings`]: nothing here reads a variable, a file or a clock by itself. An
//! empty variable counts as unset. The key is found in this order, the first one set wins and an
//! error in it is final:
//!
//! 1. `HOOP_KEY`, then `HOOP_KEY_FILE`, then `HOOP_DSN` (deprecated): a [`Dsn`];
//! 2. `HOOP_SPIFFE_KEY_FILE` with `HOOP_GRPCURL`: a JWT in a file;
//! 3. `TOKEN`, then `HOOP_TOKEN`, with `HOOP_GRPCURL` (deprecated): a static token.

pub mod authority;
pub mod beside;
#[allow(clippy::module_inception, reason = "a file's name says what is in it")]
mod config;
mod credential;
mod custody;
mod dsn;
mod error;
mod key;
pub mod proxy;
pub mod settings;
mod surroundings;
pub mod units;

pub use crate::base::address::{AddressError, GatewayAddress};
pub use config::{Config, TlsMode};
pub use credential::ConfigType;
pub use custody::{KEY_READABLE, LANDLOCK_LACKING};
pub use dsn::{Dsn, DsnError, Mode, Scheme, looks_like_key};
pub use error::{ConfigError, ProxySettingError, Warning};
pub use key::{KEY_VARIABLES, KeySource};
pub use proxy::Proxy;
pub use settings::{HealthListen, Settings};
pub use surroundings::Surroundings;

#[cfg(test)]
mod tests;
