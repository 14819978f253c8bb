//! The variables of the process at its start, and which of them stay in it.

use std::ffi::OsString;

use crate::os::sys;

/// Variables that the program itself may ask for later. Every other one is wiped from the process
/// once it was read: sessions can look at `/proc/PPID/environ`.
const KEPT: [&str; 7] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "RUNTIME_DIRECTORY",
    "TZ",
    "NO_COLOR",
];

/// Variables of the process as they were at its start.
pub type StartVariables = Vec<(OsString, OsString)>;

/// Takes all but the kept ones out of the process. Call before any thread is started.
pub fn wipe(variables: &StartVariables) {
    let names: Vec<&str> = variables
        .iter()
        .filter_map(|(name, _)| name.to_str())
        .filter(|name| !KEPT.contains(name))
        .collect();
    sys::wipe_environment(&names);
}
