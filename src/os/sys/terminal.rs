//! Pseudo-terminals.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;

/// Opens a pseudo-terminal: its master, non-blocking, and its slave. Both close on exec.
#[cfg(target_os = "linux")]
pub fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let master = open_terminal_file("/dev/ptmx", libc::O_NONBLOCK)
        .or_else(|_| open_terminal_file("/dev/pts/ptmx", libc::O_NONBLOCK))?;
    let locked: c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, TIOCGPTPEER takes open flags and returns a new
    // descriptor that nobody else owns, TIOCGPTN writes one unsigned int.
    unsafe {
        check(libc::ioctl(
            master.as_raw_fd(),
            libc::TIOCSPTLCK,
            &raw const locked,
        ))?;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        // Linux 4.13; works where /dev/pts is not mounted at its usual place.
        let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags);
        if slave >= 0 {
            return Ok((master, OwnedFd::from_raw_fd(slave)));
        }
        let mut number: libc::c_uint = 0;
        check(libc::ioctl(
            master.as_raw_fd(),
            libc::TIOCGPTN,
            &raw mut number,
        ))?;
        let slave = open_terminal_file(&format!("/dev/pts/{number}"), 0)?;
        Ok((master, slave))
    }
}

/// Opens a pseudo-terminal: its master, non-blocking, and its slave. Both close on exec.
#[cfg(not(target_os = "linux"))]
pub fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: the new descriptor is owned by nobody else; `ptsname` returns a NUL-terminated
    // string that is copied before the next call could change it.
    unsafe {
        let fd = check(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY))?;
        let master = OwnedFd::from_raw_fd(fd);
        super::own::close_on_exec(fd);
        check(libc::grantpt(fd))?;
        check(libc::unlockpt(fd))?;
        let name = libc::ptsname(fd);
        if name.is_null() {
            return Err(io::Error::last_os_error());
        }
        let slave = open_terminal_file(&std::ffi::CStr::from_ptr(name).to_string_lossy(), 0)?;
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
        Ok((master, slave))
    }
}

fn open_terminal_file(path: &str, flags: c_int) -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(flags | libc::O_NOCTTY);
    Ok(options.open(path)?.into())
}

/// Sets the window size of a terminal; the foreground processes are told by SIGWINCH.
pub fn set_window_size(
    terminal: BorrowedFd<'_>,
    rows: u16,
    cols: u16,
    x_pixels: u16,
    y_pixels: u16,
) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: x_pixels,
        ws_ypixel: y_pixels,
    };
    // SAFETY: `size` outlives the call, which only reads it.
    let result =
        unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) };
    check(result).map(drop)
}

/// Characters in a line of a terminal; `None` for what is none, or does not say.
pub fn width(terminal: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: `size` outlives the call, which only writes it.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ as _, &raw mut size) };
    check(result)
        .ok()
        .map(|_| size.ws_col)
        .filter(|width| *width > 0)
}

/// Tells the line editor of a terminal that its input is UTF-8, so that erase takes whole
/// characters. Everything else keeps the kernel's defaults.
pub fn set_utf8_input(terminal: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    change_settings(terminal, |settings| settings.c_iflag |= libc::IUTF8)?;
    let _ = terminal;
    Ok(())
}

/// Lets a terminal show the line that is typed, or only its end.
pub fn set_echo(terminal: BorrowedFd<'_>, shown: bool) -> io::Result<()> {
    let (set, cleared) = if shown {
        (libc::ECHO, libc::ECHONL)
    } else {
        (libc::ECHONL, libc::ECHO)
    };
    change_settings(terminal, |settings| {
        settings.c_lflag = settings.c_lflag & !cleared | set;
    })
}

fn change_settings(
    terminal: BorrowedFd<'_>,
    change: impl Fn(&mut libc::termios),
) -> io::Result<()> {
    // SAFETY: the structure is valid when zeroed and outlives both calls.
    unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        check(libc::tcgetattr(terminal.as_raw_fd(), &raw mut settings))?;
        change(&mut settings);
        check(libc::tcsetattr(
            terminal.as_raw_fd(),
            libc::TCSANOW,
            &raw const settings,
        ))?;
    }
    Ok(())
}
