//! Whether sessions are shut off from one another, and what is said about it.

use crate::config::{Config, Mode};
use crate::io::sys::{self, Separation};

/// Unless a setting decides: where an ordinary user has no set-user-id programs anyway, and the agent
/// serves no app whose console would want to signal it.
pub fn is_wanted(config: &Config) -> bool {
    let costs_nothing =
        config.mode == Mode::Standard && sys::effective_user() != 0 && sys::has_no_new_privileges();
    config.settings.separate_sessions.unwrap_or(costs_nothing)
}

/// As [`is_wanted`], as far as the kernel can; warns where a setting asks for more.
pub fn is_separate(config: &Config, separation: Separation) -> bool {
    let is_wanted = is_wanted(config);
    let is_possible = separation == Separation::Full;
    if is_wanted && !is_possible && config.settings.separate_sessions.is_some() {
        log::warn!("sessions are not shut off from one another: {LACKING}");
    }
    is_wanted && is_possible
}

/// What to do about a kernel without it.
pub const LACKING: &str =
    "this kernel has no Landlock of version 6 (Linux 6.12, with landlock in lsm=)";
