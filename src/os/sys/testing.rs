//! Calls that only tests make.

use std::io;

use super::{Pid, check};

/// Waits until a child has ended, without collecting it.
pub fn wait_for_exit(pid: Pid) {
    let id = libc::id_t::try_from(pid).expect("a process id is positive");
    // SAFETY: zeroed is valid for a structure of integers and pointers that is only written to.
    let result = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOWAIT;
        check(libc::waitid(libc::P_PID, id, &raw mut info, flags))
    };
    result.expect("the child is ours");
}

/// Makes orphans below us our children, as process 1 has them.
#[cfg(target_os = "linux")]
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Whether the kernel lets processes of our user look into this one.
#[cfg(target_os = "linux")]
pub fn is_dumpable() -> io::Result<bool> {
    // SAFETY: integers only.
    check(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) }).map(|value| value != 0)
}

/// Reads memory that nobody has.
pub fn fault() {
    // SAFETY: none: the kernel ends the process, which is what is tested.
    unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
}

/// Sends a signal to a process group.
pub fn signal_group(group: Pid, number: std::ffi::c_int) -> io::Result<()> {
    assert!(group > 1);
    // SAFETY: integers only.
    check(unsafe { libc::killpg(group, number) }).map(drop)
}
