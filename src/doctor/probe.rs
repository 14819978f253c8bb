//! `health`: asks the agent that runs here how it is, for probes of containers that have nothing to ask with.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::config::{HealthListen, Settings, Surroundings};

/// An agent answers at once, or its loop does not turn.
const PATIENCE: Duration = Duration::from_secs(3);
/// Words of an answer that are shown.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Asks for `probe` where the settings say, writes the answer, and returns the exit code: 0 when all is
/// well, 1 when not, 2 when the settings can't be read.
pub fn ask(
    probe: &str,
    surroundings: Surroundings<'_>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> i32 {
    let (code, text) = match Settings::load(surroundings) {
        Err(error) => (2, error.to_string()),
        Ok(Settings {
            health_listen: None,
            ..
        }) => (
            1,
            "no address to ask at: set HOOP_LITE_HEALTH_LISTEN (--health-listen) for the agent, and for this \
             command as well"
                .to_owned(),
        ),
        Ok(Settings {
            health_listen: Some(listen),
            ..
        }) => match answer(&listen, probe) {
            Ok((true, text)) => {
                // Nobody need read it.
                let _ = stdout.write_all(text.as_bytes());
                return 0;
            }
            Ok((false, text)) => (1, text.trim_end().to_owned()),
            Err(error) => (
                1,
                format!("no answer from {listen}: {error}: is the agent running?"),
            ),
        },
    };
    let _ = writeln!(stderr, "hoop-lite: {text}");
    code
}

/// Whether all is well, and in the agent's words.
fn answer(listen: &HealthListen, probe: &str) -> io::Result<(bool, String)> {
    let mut answer = Vec::new();
    let request = format!("GET /{probe} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    match listen {
        HealthListen::Tcp(address) => {
            let mut stream = TcpStream::connect_timeout(&reachable(*address), PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        }
        HealthListen::Unix(path) => {
            let mut stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if text.starts_with("HTTP/1.1 ") && matches!(status, "200" | "503") {
        return Ok((status == "200", body.to_owned()));
    }
    Err(io::Error::other(
        "something else than an agent listens there",
    ))
}

/// Who listens everywhere listens here, too.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        // `[::]` is served as `0.0.0.0` where there is no IPv6.
        ip if ip.is_unspecified() => {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
        }
        _ => address,
    }
}
