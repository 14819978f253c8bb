//! A blocking connection with a deadline: names, addresses, a proxy and TLS.
//!
//! Serves the one-shot commands and `doctor`; the agent itself dials by the reactor. Promises that
//! no step waits beyond the deadline, that every address is tried, and that no error quotes a
//! secret.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::base::ByteBuf;
use crate::config::{GatewayAddress, Proxy};
use crate::io::dial::advice;
use crate::link::proxy::{self, ProxyError};
use crate::os::resolve::{LookupError, resolve_now};
use crate::tls::{Client, Configuration, Stream, StreamError, Subject};

/// Time for one address: a packet lost twice still arrives, a blackhole does not hold us long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of one read.
pub const READ_BYTES: usize = 16 * 1024;
/// Failed addresses that one error names.
const ADDRESSES_SHOWN: usize = 4;

/// Why there is no connection.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address.
    Lookup(String, LookupError),
    /// No address answered; each with its reason.
    Connect(Vec<(SocketAddr, io::ErrorKind)>),
    /// The proxy did not answer; each of its addresses with its reason.
    ProxyConnect(Vec<(SocketAddr, io::ErrorKind)>),
    /// The proxy was reached and did not give a tunnel.
    Proxy(ProxyRefusal),
    /// The host is no name that a certificate could have.
    ServerName(String),
    /// The TLS handshake failed.
    Tls(StreamError),
    /// The connection ended, or fell silent, in the TLS handshake.
    Handshake(io::ErrorKind),
    /// The connection failed later.
    Io(io::ErrorKind),
}

/// What a proxy did instead of giving a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyRefusal {
    /// It answered otherwise.
    Answer(ProxyError),
    /// It broke the connection.
    Io(io::ErrorKind),
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(error) => write!(f, "{error}"),
            Self::Io(kind) => write!(f, "the proxy broke the connection: {kind}"),
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(host, error) => write!(f, "{host}: {error}: {}", error.advice()),
            Self::Connect(failures) => {
                let last = failures.last();
                let last = last.map_or(io::ErrorKind::Other, |(_, kind)| *kind);
                fmt_failures(f, failures, advice(last))
            }
            Self::ProxyConnect(failures) => fmt_failures(f, failures, proxy::UNREACHABLE_ADVICE),
            Self::Proxy(refusal) => write!(f, "{refusal}"),
            Self::ServerName(host) => {
                write!(f, "{host} is not a name that a certificate could have")
            }
            Self::Tls(error) => f.write_str(&error.explain(&Subject::GATEWAY)),
            Self::Handshake(io::ErrorKind::TimedOut) => f.write_str(
                "no answer to the TLS handshake: a middlebox may drop it, or the other side \
                 waits for something else than TLS on this port",
            ),
            Self::Handshake(kind) => write!(
                f,
                "the connection was closed in the TLS handshake ({kind}): the other side may not \
                 speak TLS on this port, or a firewall cuts TLS"
            ),
            Self::Io(io::ErrorKind::TimedOut) => f.write_str("no answer in time"),
            Self::Io(kind) => write!(f, "the connection broke: {kind}"),
        }
    }
}

fn fmt_failures(
    f: &mut fmt::Formatter<'_>,
    failures: &[(SocketAddr, io::ErrorKind)],
    advice: &str,
) -> fmt::Result {
    for (index, (address, kind)) in failures.iter().take(ADDRESSES_SHOWN).enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(f, "{separator}{address}: {kind}")?;
    }
    write!(f, ": {advice}")
}

/// A TCP connection whose reads and writes fail with `TimedOut` at a deadline.
pub struct TimedTcp {
    stream: TcpStream,
    deadline: Instant,
}

impl TimedTcp {
    /// Wraps a connected socket.
    pub fn new(stream: TcpStream, deadline: Instant) -> Self {
        Self { stream, deadline }
    }

    /// Moves the deadline.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

/// A socket's timeout comes as `WouldBlock`.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for TimedTcp {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(bytes).map_err(timed_out)
    }
}

impl Write for TimedTcp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both directions of a connection.
pub trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

/// Connects to one address.
pub fn connect_to(address: SocketAddr, deadline: Instant) -> Result<TimedTcp, io::ErrorKind> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut);
    }
    let stream = TcpStream::connect_timeout(&address, left.min(CONNECT_TIMEOUT))
        .map_err(|error| timed_out(error).kind())?;
    // Requests are written whole: waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    Ok(TimedTcp::new(stream, deadline))
}

/// Connects to the first address of `target` that answers.
pub fn connect(target: &GatewayAddress, deadline: Instant) -> Result<TimedTcp, DialError> {
    let addresses = resolve_now(&target.host, target.port, deadline)
        .map_err(|error| DialError::Lookup(target.host.clone(), error))?;
    let mut failures = Vec::new();
    for address in addresses {
        match connect_to(address, deadline) {
            Ok(stream) => return Ok(stream),
            Err(kind) => failures.push((address, kind)),
        }
    }
    Err(DialError::Connect(failures))
}

/// Connects to a proxy.
pub fn connect_to_proxy(proxy: &Proxy, deadline: Instant) -> Result<TimedTcp, DialError> {
    connect(&proxy.address, deadline).map_err(|error| match error {
        DialError::Connect(failures) => DialError::ProxyConnect(failures),
        other => other,
    })
}

/// Connects to `target`, through the proxy if there is one.
pub fn connect_through(
    proxy: Option<&Proxy>,
    target: &GatewayAddress,
    deadline: Instant,
) -> Result<TimedTcp, DialError> {
    let Some(proxy) = proxy else {
        return connect(target, deadline);
    };
    let mut stream = connect_to_proxy(proxy, deadline)?;
    ask_for_tunnel(&mut stream, proxy, target).map_err(DialError::Proxy)?;
    Ok(stream)
}

/// Connects to `target`, through the proxy if there is one, and with TLS where `tls` says how and with whom.
pub fn reach(
    proxy: Option<&Proxy>,
    target: &GatewayAddress,
    tls: Option<(Configuration, &str)>,
    deadline: Instant,
) -> Result<Box<dyn Duplex>, DialError> {
    let tcp = connect_through(proxy, target, deadline)?;
    Ok(match tls {
        Some((configuration, server_name)) => Box::new(handshake(tcp, configuration, server_name)?),
        None => Box::new(tcp),
    })
}

/// Asks a proxy for a tunnel to `target` by `CONNECT` (RFC 9110 section 9.3.6).
pub fn ask_for_tunnel(
    stream: &mut dyn Duplex,
    proxy: &Proxy,
    target: &GatewayAddress,
) -> Result<(), ProxyRefusal> {
    let broken = |error: io::Error| ProxyRefusal::Io(error.kind());
    let request = proxy::request(&target.authority, proxy.login.as_ref());
    stream.write_all(&request).map_err(broken)?;
    stream.flush().map_err(broken)?;
    let mut answer = proxy::ProxyAnswer::to(&request);
    let mut incoming = ByteBuf::new();
    let mut stands = false;
    while !stands {
        // The other side of a tunnel may speak first, so not a byte beyond the head may be taken.
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(broken)?;
        incoming.extend(&byte);
        stands = answer
            .receive(&mut incoming)
            .map_err(ProxyRefusal::Answer)?;
    }
    Ok(())
}

/// A TLS connection that has shaken hands.
pub struct TlsStream {
    tls: Stream,
    tcp: TimedTcp,
    /// Decoded, and not read yet.
    plaintext: ByteBuf,
    /// Encoded, and not written yet.
    outgoing: ByteBuf,
}

impl TlsStream {
    /// What was agreed on, and with whom.
    pub fn tls(&self) -> &Stream {
        &self.tls
    }

    /// Moves the deadline.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.tcp.set_deadline(deadline);
    }

    /// Decodes what has come and writes what that calls for: of a failure, the alert.
    fn decode(&mut self) -> io::Result<()> {
        let plaintext = &mut self.plaintext;
        let outcome = self.tls.receive(&mut self.outgoing, &mut |bytes| {
            plaintext.extend(bytes);
            ControlFlow::Continue(())
        });
        let written = self.flush();
        outcome.map_err(io::Error::other)?;
        written
    }

    /// Waits for bytes and decodes them. An end without the peer's goodbye is an error.
    fn turn(&mut self) -> io::Result<()> {
        let size = loop {
            match self.tcp.read(self.tls.slot(READ_BYTES)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if size == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.tls.incoming().advance(size);
        self.decode()
    }
}

impl Read for TlsStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.plaintext.is_empty() {
            if self.tls.is_peer_closed() {
                return Ok(0);
            }
            self.turn()?;
        }
        let size = bytes.len().min(self.plaintext.len());
        bytes[..size].copy_from_slice(&self.plaintext.filled()[..size]);
        self.plaintext.consume(size);
        Ok(size)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.tls.send(bytes, &mut self.outgoing);
        sent.map_err(io::Error::other)?;
        self.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.tcp.write_all(self.outgoing.filled());
        self.outgoing.clear();
        written
    }
}

/// Shakes hands as a client that expects `server_name`.
pub fn handshake(
    tcp: TimedTcp,
    configuration: Configuration,
    server_name: &str,
) -> Result<TlsStream, DialError> {
    let client = Client::new(configuration, server_name)
        .map_err(|_| DialError::ServerName(server_name.to_owned()))?;
    let mut stream = TlsStream {
        tls: Stream::new(client).map_err(DialError::Tls)?,
        tcp,
        plaintext: ByteBuf::new(),
        outgoing: ByteBuf::new(),
    };
    let mut turned = stream.decode();
    while turned.is_ok() && !stream.tls.is_open() {
        turned = match stream.tls.is_peer_closed() {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => stream.turn(),
        };
    }
    match turned {
        Ok(()) => Ok(stream),
        Err(error) => Err(match tls_error(&error) {
            Some(error) => DialError::Tls(error),
            None => DialError::Handshake(error.kind()),
        }),
    }
}

/// The TLS failure that an I/O error carries.
pub fn tls_error(error: &io::Error) -> Option<StreamError> {
    error.get_ref()?.downcast_ref::<StreamError>().cloned()
}
