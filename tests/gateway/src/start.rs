//! What a program may be started with by a parent that is not a test.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts `command` with these signals ignored, and these blocked.
pub fn with_signals_held(command: &mut Command, ignored: &[i32], blocked: &[i32]) {
    let (ignored, blocked) = (ignored.to_vec(), blocked.to_vec());
    // SAFETY: plain system calls between fork and exec; the set outlives them.
    unsafe {
        command.pre_exec(move || {
            for number in &ignored {
                libc::signal(*number, libc::SIG_IGN);
            }
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for number in &blocked {
                libc::sigaddset(&raw mut set, *number);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
            Ok(())
        });
    }
}

/// Starts `command` with a timer that ends in a second, as `perl -e 'alarm 1; exec @ARGV'` does.
pub fn with_alarm(command: &mut Command) {
    // SAFETY: `alarm` is a plain system call.
    unsafe {
        command.pre_exec(|| {
            libc::alarm(1);
            Ok(())
        });
    }
}
