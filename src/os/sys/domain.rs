//! Landlock domains: what keeps the processes of one session from those of another and from us.
//!
//! No file and no port is ruled by them. Linux 6.12 (ABI 6) keeps signals and abstract sockets inside
//! a domain; any domain keeps `ptrace`, and with it another's memory and environment, inside. What it
//! leaves open is `prlimit`, by which a process could starve, and so end, any other of its user: a
//! filter of system calls takes that away.

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
    {
        landlock::enter()?;
        limits_of_others::refuse()?;
    }
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

/// The limits of other processes (prlimit(2)); one's own are named by process 0.
#[cfg(target_os = "linux")]
#[allow(
    clippy::cast_possible_truncation,
    reason = "codes of the filter's machine, whose fields are narrower than the constants"
)]
mod limits_of_others {
    use std::io;

    use libc::sock_filter;

    /// `AUDIT_ARCH_*` of this kernel's programs and of its 32-bit ones, each with its number of
    /// `prlimit64`. Where one kind only exists, it stands twice.
    #[cfg(target_arch = "x86_64")]
    const CALLS: [(u32, u32); 2] = [(0xc000_003e, 302), (0x4000_0003, 340)];
    #[cfg(target_arch = "aarch64")]
    const CALLS: [(u32, u32); 2] = [(0xc000_00b7, 261), (0x4000_0028, 369)];
    #[cfg(target_arch = "arm")]
    const CALLS: [(u32, u32); 2] = [(0x4000_0028, 369); 2];
    #[cfg(target_arch = "riscv64")]
    const CALLS: [(u32, u32); 2] = [(0xc000_00f3, 261); 2];
    /// Elsewhere nothing is refused.
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64"
    )))]
    const CALLS: [(u32, u32); 2] = [(0, 0); 2];

    /// Marks a call of an x86_64 program with 32-bit pointers; no other program sets it.
    const X32: u32 = 0x4000_0000;

    /// Places in `struct seccomp_data`; the process is the first argument, an `int`.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const PROCESS: u32 = if cfg!(target_endian = "little") {
        16
    } else {
        20
    };

    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

    const fn step(code: u16, value: u32, if_so: u8, if_not: u8) -> sock_filter {
        sock_filter {
            code,
            jt: if_so,
            jf: if_not,
            k: value,
        }
    }

    /// `jt` and `jf` count the steps that are left out.
    static FILTER: [sock_filter; 12] = [
        step(LOAD, ARCHITECTURE, 0, 0),
        step(IS, CALLS[0].0, 0, 3),
        step(LOAD, NUMBER, 0, 0),
        step(AND, !X32, 0, 0),
        step(IS, CALLS[0].1, 3, 5),
        step(IS, CALLS[1].0, 0, 4),
        step(LOAD, NUMBER, 0, 0),
        step(IS, CALLS[1].1, 0, 2),
        step(LOAD, PROCESS, 0, 0),
        step(IS, 0, 0, 1),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        step(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0),
    ];

    /// Called between fork and exec, after `no_new_privs` is set or by root.
    pub fn refuse() -> io::Result<()> {
        let program = libc::sock_fprog {
            len: FILTER.len() as u16,
            filter: FILTER.as_ptr().cast_mut(),
        };
        // SAFETY: the program and its steps outlive the call, which only reads them.
        let result = unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
                0,
                0,
            )
        };
        super::super::check(result).map(drop)
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
