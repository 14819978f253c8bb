//! Landlock domains: what keeps the processes of one session from those of another and from us.
//!
//! No file and no port is ruled by them. Linux 6.12 (ABI 6) keeps signals and abstract sockets inside
//! a domain; any domain keeps `ptrace`, and with it another's memory and environment, inside.

use std::ffi::{c_int, c_long};
use std::io;

use super::check;

/// How far the kernel shuts domains off from one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separation {
    /// Memory, environment, signals, abstract sockets.
    Full,
    /// No Landlock, or one that rules files only.
    None,
}

/// What this kernel offers.
pub fn separation() -> Separation {
    const VERSION: c_int = 1;
    // SAFETY: without attributes the call only returns the version.
    let version = unsafe { libc::syscall(CREATE_RULESET, 0usize, 0usize, VERSION) };
    match version {
        SCOPES_SINCE.. => Separation::Full,
        _ => Separation::None,
    }
}

/// The first version with scopes.
const SCOPES_SINCE: c_long = 6;

// The same numbers on every architecture; not every C library's list has them.
const CREATE_RULESET: c_long = 444;
const RESTRICT_SELF: c_long = 446;

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Attributes {
    files: u64,
    network: u64,
    scoped: u64,
}

const SCOPE_ABSTRACT_SOCKETS: u64 = 1;
const SCOPE_SIGNALS: u64 = 2;

/// Shuts the calling process and all that it will start off in a domain of its own, and gives up
/// set-user-id programs, without which the kernel does it for root only. Called between fork and
/// exec.
pub(super) fn enter_domain() -> io::Result<()> {
    let attributes = Attributes {
        files: 0,
        network: 0,
        scoped: SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS,
    };
    // SAFETY: the attributes outlive the call and have the size that is told; the descriptor is ours
    // and closes on exec.
    unsafe {
        let size = size_of::<Attributes>();
        let ruleset = check_long(libc::syscall(
            CREATE_RULESET,
            &raw const attributes,
            size,
            0,
        ))?;
        if libc::geteuid() != 0 {
            forgo_privileges();
        }
        check_long(libc::syscall(RESTRICT_SELF, ruleset, 0)).map(drop)
    }
}

fn check_long(result: c_long) -> io::Result<c_long> {
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

fn forgo_privileges() {
    #[cfg(target_os = "linux")]
    // SAFETY: integers only; where it fails the next call does, too.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
}

/// Set-user-id programs raise nobody's rights below us.
pub fn has_no_new_privileges() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: integers only.
    return check(unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) })
        .is_ok_and(|on| on == 1);
    #[cfg(not(target_os = "linux"))]
    false
}
