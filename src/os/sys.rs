//! Thin safe wrappers over the system calls that std and mio do not offer.
//!
//! The only module with `unsafe` (its parts lie in the folder of its name). It promises that every
//! function is sound for any argument and that an error is the kernel's own; what the calls are
//! good for is its callers' business.
//! Linux is the product's system; elsewhere the nearest portable call is made, or none.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;

mod children;
#[cfg(all(target_arch = "x86_64", any(test, target_env = "musl")))]
mod copy;
mod domain;
mod environment;
mod guard;
mod kernel_files;
mod memory;
mod own;
mod readiness;
mod signals;
mod sockets;
mod stopped_tree;
mod terminal;
#[cfg(test)]
pub mod testing;

pub use children::{
    ChildPlace, Custody, ExitStatus, collect, detach_child, may_execute, peek_exit, signal_process,
};
pub use domain::{Separation, is_bound, separation};
pub use environment::EnvironmentBlock;
pub use guard::{GUARDIAN, Order, Watch, be_guardian, let_guardians_execute};
pub use memory::RecordMemory;
pub use own::{
    become_user, effective_user, lock_memory, open_files_max, prepare_process, raise_kill_score,
    random_bytes, try_lock, was_ignored, wipe_environment,
};
pub use readiness::{has_input, takes_output, write_now};
pub use signals::{
    SIGNAL_NUMBER_MAX, catch_signal, leads_session, stop_by, take_signals, wake_on_signals,
};
pub use sockets::{
    bytes_in_flight, listen_everywhere, nothing_received_for, reset_on_close, set_keepalive,
    set_low_water, set_unsent_max, set_user_timeout, unanswered_for,
};
pub use terminal::{open_terminal, set_echo, set_utf8_input, set_window_size, width};

/// A process id; the id of a process group is that of its leader.
pub type Pid = libc::pid_t;

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
