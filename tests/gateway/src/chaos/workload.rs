//! Sessions of every kind, open and at work while something happens to the agent.

use std::io::{Read, Write};
use std::net::TcpStream;

use loopback_gateway::targets::pattern;
use loopback_gateway::{Gateway, Session};

use super::subject::{console, exec, tcp};

/// Bytes of one round trip.
const ROUND_TRIP_BYTES: usize = 16 << 10;

/// A command, a console and a forwarded port, all of which have answered.
pub struct Workload<'gateway> {
    pub command: Session<'gateway>,
    pub console: Session<'gateway>,
    _forward: Session<'gateway>,
    /// A connection through the forwarded port.
    pub socket: TcpStream,
}

impl<'gateway> Workload<'gateway> {
    /// Opens them; the port's target echoes.
    pub fn open(gateway: &'gateway Gateway, echo_port: u16) -> Self {
        let mut command = gateway.open_session(exec("echo up; exec sleep 1000"));
        command.wait_open();
        command.send_stdin(b"");
        command.expect("up\n");
        let mut console = gateway.open_session(console(&["cat"]));
        console.start_console();
        let mut forward = gateway.open_session(tcp(echo_port));
        let socket = TcpStream::connect(forward.listen()).expect("the local port");
        let mut workload = Self {
            command,
            console,
            _forward: forward,
            socket,
        };
        workload.check();
        workload
    }

    /// The console and the forwarded port answer, byte for byte.
    pub fn check(&mut self) {
        self.console.write("a line\n");
        self.console.expect("a line\r\na line\r\n");
        round_trip(&mut self.socket, 1).expect("an echo");
    }
}

/// Sends a pattern to an echo server and checks what comes back.
pub fn round_trip(socket: &mut TcpStream, seed: u64) -> std::io::Result<()> {
    let sent = pattern(seed, ROUND_TRIP_BYTES);
    let mut back = vec![0; sent.len()];
    socket.write_all(&sent)?;
    socket.read_exact(&mut back)?;
    assert!(back == sent, "the echo differs from what was sent");
    Ok(())
}
