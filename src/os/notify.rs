//! sd_notify(3): tells a service manager how we are. Nothing happens where nobody asked.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager.
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Takes `NOTIFY_SOCKET` and `WATCHDOG_USEC` as the service manager set them.
    pub fn new(socket: Option<OsString>, watchdog_usec: Option<String>) -> Self {
        let socket = socket.and_then(|path| {
            let address = address(&path)?;
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        // Half of the time, as sd_watchdog_enabled(3) advises.
        let watchdog = watchdog_usec
            .and_then(|text| text.parse().ok())
            .map(|usec: u64| Duration::from_micros(usec) / 2)
            .filter(|_| socket.is_some());
        Self { socket, watchdog }
    }

    /// How often [`Notify::send`] wants a `WATCHDOG=1`.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends an assignment list such as `READY=1\nSTATUS=...`. `false`: the manager is behind with
    /// reading, say it again later. A manager that is not there counts as told.
    pub fn send(&self, state: &str) -> bool {
        let Some((socket, address)) = &self.socket else {
            return true;
        };
        let sent = socket.send_to_addr(state.as_bytes(), address);
        !sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

#[cfg(target_os = "linux")]
fn address(path: &OsString) -> Option<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None => SocketAddr::from_pathname(path).ok(),
    }
}

#[cfg(not(target_os = "linux"))]
fn address(path: &OsString) -> Option<SocketAddr> {
    SocketAddr::from_pathname(path)
        .ok()
        .filter(|_| !path.as_bytes().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_what_is_sent() {
        let path = std::env::temp_dir().join(format!("hoop-lite-notify-{}", std::process::id()));
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::new(Some(path.clone().into()), Some("2000000".into()));
        assert!(notify.send("READY=1"));
        let mut buffer = [0; 64];
        let size = manager.recv(&mut buffer).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(&buffer[..size], b"READY=1");
        assert_eq!(notify.watchdog(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let notify = Notify::new(None, Some("2000000".into()));
        assert!(notify.send("READY=1"));
        assert_eq!(notify.watchdog(), None);
    }
}
