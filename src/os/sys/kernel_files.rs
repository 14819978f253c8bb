//! What a guardian reads of `/proc` and writes to control groups: plain system calls that neither
//! allocate nor panic, so that they may be made between fork and exec, too.

use std::ffi::{CStr, c_int};

use super::Pid;

/// `/proc`, and in it the list of our own children. Both are opened before there is a leader and stay
/// open: a session that puts a limit on our descriptors must not escape by that.
#[derive(Clone, Copy)]
pub(super) struct Proc {
    folder: c_int,
    children: c_int,
}

/// A process as `/proc/PID/stat` shows it.
#[derive(Clone, Copy)]
pub(super) struct Stat {
    /// Its letter in ps(1).
    pub state: u8,
    /// Whose child it is.
    pub parent: Pid,
}

/// Where a guardian has them.
const KEPT: Proc = Proc {
    folder: 3,
    children: 4,
};

/// Those below are a guardian's own.
pub(super) const GUARDIAN_DESCRIPTORS: c_int = 5;

impl Proc {
    pub(super) fn open() -> Self {
        let folder = open(libc::AT_FDCWD, c"/proc", libc::O_DIRECTORY);
        let children = open(folder, c"thread-self/children", libc::O_RDONLY);
        Self { folder, children }
    }

    /// Moves them to where they are found after an exec, too.
    pub(super) fn keep(self) {
        // SAFETY: integers only. What had these numbers is of no use to a guardian.
        unsafe {
            let apart = |file| libc::fcntl(file, libc::F_DUPFD_CLOEXEC, GUARDIAN_DESCRIPTORS);
            let (folder, children) = (apart(self.folder), apart(self.children));
            libc::dup2(folder, KEPT.folder);
            libc::dup2(children, KEPT.children);
        }
    }

    pub(super) fn kept() -> Self {
        KEPT
    }

    /// All our children, in the order in which they became ours. None is passed over: one that comes
    /// meanwhile stands at the end, and none leaves the list before it is collected.
    pub(super) fn for_each_child(&self, visit: impl FnMut(Pid)) {
        // SAFETY: integers only.
        unsafe { libc::lseek(self.children, 0, libc::SEEK_SET) };
        for_each_number(self.children, visit);
    }

    /// The children of another process's first thread; sure to be its own while it can't collect them.
    pub(super) fn for_each_child_of(&self, pid: Pid, visit: impl FnMut(Pid)) {
        let mut digits = [0; NUMBER_BYTES];
        let number = decimal(pid, &mut digits).to_bytes();
        let file = self.open_file(&[number, b"/task/", number, b"/children"]);
        for_each_number(file, visit);
        close(file);
    }

    /// `None`: it is gone, or we can't read.
    pub(super) fn stat(&self, pid: Pid) -> Option<Stat> {
        let mut text = [0u8; 512];
        let text = self.read_file(pid, b"/stat", &mut text);
        // Behind the name, which may hold anything: ") S 123 ".
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let mut words = text.get(end + 2..)?.split(|byte| *byte == b' ');
        let state = *words.next()?.first()?;
        let digits = words.next()?.iter();
        let parent = digits.fold(0, |number, digit| append(number, *digit));
        Some(Stat { state, parent })
    }

    /// `SigIgn:` of proc(5), a hexadecimal mask whose last digit's lowest bit is SIGHUP.
    pub(super) fn ignores_hangup(&self, pid: Pid) -> bool {
        let mut text = [0u8; 4096];
        let text = self.read_file(pid, b"/status", &mut text);
        let mut lines = text.split(|byte| *byte == b'\n');
        let mask = lines.find_map(|line| line.strip_prefix(b"SigIgn:"));
        let last = mask.and_then(<[u8]>::last);
        last.is_some_and(|digit| {
            matches!(digit, b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f')
        })
    }

    /// What there is of a small file of a process.
    fn read_file<'text>(&self, pid: Pid, name: &[u8], text: &'text mut [u8]) -> &'text [u8] {
        let mut digits = [0; NUMBER_BYTES];
        let file = self.open_file(&[decimal(pid, &mut digits).to_bytes(), name]);
        let mut size = 0;
        while let Some(rest) = text.get_mut(size..).filter(|rest| !rest.is_empty()) {
            let more = read(file, rest);
            if more == 0 {
                break;
            }
            size += more;
        }
        close(file);
        text.get(..size).unwrap_or_default()
    }

    fn open_file(&self, parts: &[&[u8]]) -> c_int {
        let mut path = [0u8; 48];
        for (place, byte) in path.iter_mut().zip(parts.iter().copied().flatten()) {
            *place = *byte;
        }
        let path = CStr::from_bytes_until_nul(&path).unwrap_or_default();
        open(self.folder, path, libc::O_RDONLY)
    }
}

/// Of a text of numbers with something between them.
fn for_each_number(file: c_int, mut visit: impl FnMut(Pid)) {
    let mut visit_if_some = |pid| {
        if pid > 1 {
            visit(pid);
        }
    };
    let mut pid: Pid = 0;
    loop {
        let mut scratch = [0u8; 512];
        let size = read(file, &mut scratch);
        if size == 0 {
            break;
        }
        for byte in scratch.iter().take(size) {
            if byte.is_ascii_digit() {
                pid = append(pid, *byte);
            } else {
                visit_if_some(pid);
                pid = 0;
            }
        }
    }
    visit_if_some(pid);
}

fn append(number: Pid, digit: u8) -> Pid {
    let digit = Pid::from(digit.wrapping_sub(b'0'));
    number.wrapping_mul(10).wrapping_add(digit)
}

/// The digits of any process id, and the zero behind.
pub(super) const NUMBER_BYTES: usize = 12;

pub(super) fn decimal(number: Pid, digits: &mut [u8; NUMBER_BYTES]) -> &CStr {
    let mut rest = number.unsigned_abs();
    let mut start = NUMBER_BYTES - 1;
    for (place, digit) in digits.iter_mut().enumerate().rev().skip(1) {
        #[allow(clippy::cast_possible_truncation, reason = "a digit")]
        let value = (rest % 10) as u8;
        *digit = b'0' + value;
        start = place;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let number = digits.get(start..).unwrap_or(&[]);
    CStr::from_bytes_until_nul(number).unwrap_or(c"0")
}

fn open(folder: c_int, path: &CStr, flags: c_int) -> c_int {
    // SAFETY: a NUL-terminated path that outlives the call.
    unsafe { libc::openat(folder, path.as_ptr(), flags | libc::O_CLOEXEC) }
}

/// 0 at the end, and when there is nothing to be read.
fn read(file: c_int, buffer: &mut [u8]) -> usize {
    // SAFETY: pointer and length are of `buffer`.
    let size = unsafe { libc::read(file, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(size).unwrap_or(0)
}

fn close(file: c_int) {
    if file > 2 {
        // SAFETY: a descriptor that this module has opened.
        unsafe { libc::close(file) };
    }
}

/// Writes to a small file of the kernel, `name` in `folder`, if that can be done.
pub(super) fn write_file(folder: &CStr, name: &CStr, bytes: &[u8]) {
    let folder = open(libc::AT_FDCWD, folder, libc::O_DIRECTORY);
    let file = open(folder, name, libc::O_WRONLY);
    // SAFETY: pointer and length are of `bytes`.
    unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) };
    close(file);
    close(folder);
}
