use std::fs::read_to_string;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use super::{alone, command, read_to_end, shell, spawn_pipes};
use crate::os::sys;
use crate::os::sys::testing::{is_dumpable, wait_for_exit};

fn output_of(words: &[&str]) -> String {
    let mut child = spawn_pipes(&command(words)).unwrap();
    let output = read_to_end(&mut child.stdout);
    wait_for_exit(child.pid);
    assert!(sys::collect(child.pid));
    output
}

#[test]
fn wiped_variables_are_gone_from_what_the_kernel_shows() {
    if !alone(
        "own_process::wiped_variables_are_gone_from_what_the_kernel_shows",
        "export HOOP_KEY=grpcs://secret-word@host HOOP_KEYS=other-word TOKEN=third-word",
    ) {
        return;
    }
    let shown = || read_to_string("/proc/self/environ").unwrap();
    assert!(shown().contains("secret-word") && shown().contains("third-word"));
    sys::wipe_environment(&["HOOP_KEY", "HOOP_TOKEN", "TOKEN"]);
    assert!(!shown().contains("secret-word") && !shown().contains("third-word"));
    assert!(shown().contains("HOOP_KEYS=other-word"));
    assert!(std::env::var_os("HOOP_KEY").is_none() && std::env::var_os("TOKEN").is_none());
    assert_eq!(std::env::var("HOOP_KEYS").unwrap(), "other-word");
    let seen_by_child = output_of(&["sh", "-c", "cat /proc/$PPID/environ"]);
    assert!(seen_by_child.contains("other-word") && !seen_by_child.contains("secret-word"));
}

#[test]
fn leaked_descriptors_do_not_reach_children() {
    if !alone(
        "own_process::leaked_descriptors_do_not_reach_children",
        "exec 7</dev/null 9>/dev/null",
    ) {
        return;
    }
    assert!(std::fs::exists("/proc/self/fd/7").unwrap());
    // 3 is the directory that `ls` reads.
    assert_eq!(output_of(&["ls", "/proc/self/fd"]), "0\n1\n2\n3\n");
    sys::prepare_process();
    assert!(std::fs::exists("/proc/self/fd/7").unwrap(), "still ours");
    let inherited = std::process::Command::new("ls")
        .arg("/proc/self/fd")
        .output()
        .unwrap();
    assert_eq!(inherited.stdout, b"0\n1\n2\n3\n", "marked at start");
    assert_eq!(output_of(&["ls", "/proc/self/fd"]), "0\n1\n2\n3\n");
}

#[test]
fn children_get_the_limits_that_we_were_started_with() {
    if !alone(
        "own_process::children_get_the_limits_that_we_were_started_with",
        "ulimit -Sn 200; ulimit -Hn 300; ulimit -c 64; umask 027",
    ) {
        return;
    }
    assert_eq!(sys::open_files_max(), 200);
    sys::prepare_process();
    assert_eq!(sys::open_files_max(), 300);
    assert!(!is_dumpable().unwrap());
    let limits = read_to_string("/proc/self/limits").unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_ascii_whitespace().nth(4), Some("0"));
    let seen = output_of(&["sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -Sc; umask"]);
    assert_eq!(seen, "200\n300\n64\n0027\n");
}

#[test]
fn children_start_with_default_signals() {
    if !alone(
        "own_process::children_start_with_default_signals",
        "trap '' HUP INT QUIT TERM PIPE CHLD USR1",
    ) {
        return;
    }
    let status = read_to_string("/proc/self/status").unwrap();
    assert!(!status.contains("SigIgn:\t0000000000000000"));
    // Not by a shell: it would set its own.
    let seen = output_of(&["cat", "/proc/self/status"]);
    for name in ["SigIgn:\t", "SigBlk:\t", "SigCgt:\t"] {
        let line = seen.lines().find_map(|line| line.strip_prefix(name));
        let set = u64::from_str_radix(line.unwrap(), 16).unwrap();
        // glibc keeps 32 and 33 for itself and lets nobody change them.
        assert_eq!(set & !(0b11 << 31), 0, "{seen}");
    }
}

#[test]
fn random_bytes_differ() {
    let mut pair = [[0; 16]; 2];
    for bytes in &mut pair {
        sys::random_bytes(bytes).unwrap();
    }
    assert_ne!(pair[0], pair[1]);
    assert_ne!(pair[0], [0; 16]);
}

#[test]
fn signals_to_everybody_are_refused() {
    for pid in [1, 0, -1, -5] {
        assert!(sys::signal_process(pid, 0).is_err());
    }
}

#[test]
fn signal_to_a_process_that_is_gone_is_no_error() {
    let child = spawn_pipes(&shell("exit 0")).unwrap();
    wait_for_exit(child.pid);
    assert!(sys::collect(child.pid));
    assert!(!sys::collect(child.pid), "only once");
    sys::signal_process(child.pid, libc::SIGCONT).unwrap();
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn close_after_reset_on_close_is_a_reset() {
    let (near, mut far) = connection();
    sys::reset_on_close(near.as_fd()).unwrap();
    drop(near);
    let error = far.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn tcp_timers_are_accepted_by_tcp_and_refused_elsewhere() {
    let (near, _far) = connection();
    sys::set_user_timeout(near.as_fd(), 15_000).unwrap();
    sys::set_keepalive(near.as_fd(), 30, 5, 3).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(sys::set_user_timeout(file.as_fd(), 15_000).is_err());
    assert!(sys::set_keepalive(file.as_fd(), 30, 5, 3).is_err());
}
