//! What sessions, being of the agent's user, could do to one another and to the key, and what is said
//! about it.

use super::config::Config;
use super::dsn::Mode;

/// Why a key in a file that sessions can read is no good, and what to do.
pub const KEY_READABLE: &str = "every session, being of the same user, can read this key: give it by HOOP_KEY, \
     or start as root with --user and a file that only root can read";

/// What a kernel without separation lacks.
pub const LANDLOCK_LACKING: &str =
    "this kernel has no Landlock of version 6 (Linux 6.12, with landlock in lsm=)";

impl Config {
    /// Sessions shall be shut off from one another. Unless a setting decides: where that costs them
    /// nothing, since they have no set-user-id programs anyway (`is_bound`) and no app beside them whose
    /// console would signal it.
    pub fn wants_separation(&self, is_bound: bool) -> bool {
        let is_free = is_bound && self.mode == Mode::Standard;
        self.settings.separate_sessions.unwrap_or(is_free)
    }
}
