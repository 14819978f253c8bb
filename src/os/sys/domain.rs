//! Landlock domains: what keeps the processes of one session from those of another and from us.
//!
//! No file and no port is ruled by them. Linux 6.12 (ABI 6) keeps signals and abstract sockets inside
//! a domain; any domain keeps `ptrace`, and with it another's memory and environment, inside.

use std::io;

use super::effective_user;

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
    #[cfg(target_os = "linux")]
    if landlock::version() >= landlock::SCOPES_SINCE {
        return Separation::Full;
    }
    Separation::None
}

/// Shuts the calling process and all that it will start off in a domain of its own, and gives up
/// set-user-id programs, without which the kernel does it for root only. Called between fork and
/// exec.
pub(super) fn enter_domain() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    landlock::enter()?;
    Ok(())
}

#[cfg(target_os = "linux")]
mod landlock {
    use std::ffi::c_long;
    use std::io;

    use super::effective_user;

    /// The first version with scopes.
    pub const SCOPES_SINCE: c_long = 6;

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

    /// Of the kernel's Landlock; below 1 without.
    pub fn version() -> c_long {
        const VERSION: c_long = 1;
        // SAFETY: without attributes the call only returns the version.
        unsafe { libc::syscall(CREATE_RULESET, 0 as c_long, 0 as c_long, VERSION) }
    }

    pub fn enter() -> io::Result<()> {
        let attributes = Attributes {
            files: 0,
            network: 0,
            scoped: SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS,
        };
        // SAFETY: the attributes outlive the call and have the size that is told; the descriptor is
        // ours and closes on exec.
        unsafe {
            let size = size_of::<Attributes>();
            let ruleset = libc::syscall(CREATE_RULESET, &raw const attributes, size, 0 as c_long);
            if ruleset < 0 {
                return Err(io::Error::last_os_error());
            }
            if effective_user() != 0 {
                // Where it fails the next call does, too.
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            }
            match libc::syscall(RESTRICT_SELF, ruleset, 0 as c_long) {
                0.. => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}

/// An ordinary user below whom set-user-id programs raise nobody's rights.
pub fn is_bound() -> bool {
    effective_user() != 0 && has_no_new_privileges()
}

fn has_no_new_privileges() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: integers only.
    return unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1;
    #[cfg(not(target_os = "linux"))]
    false
}
