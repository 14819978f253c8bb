//! A web service on loopback that is as good or as rude as its paths say. Its own reader of requests, as in
//! [`crate::postgres`]: what the agent writes is never judged by the agent's own code.
//!
//! | path | answer |
//! | --- | --- |
//! | `/echo` | the request's body, with its length |
//! | `/head` | the request's head, as text |
//! | `/bytes/N` | N bytes of [`pattern`] with their length |
//! | `/chunked/N`, `/close/N` | the same in chunks, or until the end of the connection |
//! | `/hold/MS` | `held`, after so many milliseconds |
//! | `/half/N` | the first half of N bytes |
//! | `/status/S` | no body |
//! | `/events/N/MS` | N events, so far apart |
//! | `/lines/N/MS` | N lines in chunks, so far apart |
//! | `/redirect?URL` | 302 there |
//! | `/cookie?TEXT` | this `Set-Cookie` |
//! | `/switch` | 101, then sends back what comes |
//! | `/hints` | 103 first |
//! | `/early` | 413 before the body is read, and reads no more |
//! | `/fold`, `/two-lengths`, `/surplus`, `/tls`, `/ssh` | what no service should say |
//! | `/cut/N`, `/cut-chunks` | breaks off |
//! | `/vanish` | closes without a word; `/vanish-kept` only where the connection has served before |

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::Security;
use crate::identity::Identity;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its head, without the empty line.
    pub head: String,
    /// Bytes of its body.
    pub body_bytes: usize,
    /// Which of the accepted connections brought it.
    pub connection: usize,
}

#[derive(Default)]
struct Ledger {
    accepted: usize,
    open: usize,
    asked: Vec<Asked>,
}

/// A running service. Dropping it closes everything.
pub struct WebService {
    address: SocketAddr,
    scheme: &'static str,
    ledger: Arc<Mutex<Ledger>>,
    stop: Option<oneshot::Sender<()>>,
}

impl WebService {
    /// A service on 127.0.0.1.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// The same with TLS; nobody has signed its certificate.
    pub fn start_secure() -> Self {
        let identity = Identity::kept(None, &["127.0.0.1".to_owned()], Security::Tls);
        let mut config = (*identity.config).clone();
        config.alpn_protocols.clear();
        Self::with(Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn with(tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port to listen on");
        let address = listener.local_addr().expect("an address");
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (stop, stopped) = oneshot::channel();
        let shared = ledger.clone();
        let scheme = if tls.is_some() { "https" } else { "http" };
        std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = accept_all(listener, tls, shared) => {}
                }
            });
        });
        Self {
            address,
            scheme,
            ledger,
            stop: Some(stop),
        }
    }

    /// `http://127.0.0.1:PORT`, or `https`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.ledger.lock().unwrap().accepted
    }

    /// Of those, the ones that have not ended.
    pub fn open(&self) -> usize {
        self.ledger.lock().unwrap().open
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.ledger.lock().unwrap().asked.clone()
    }
}

impl Drop for WebService {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

/// What bodies are made of: no two places nearby look alike.
pub fn pattern(bytes: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 11) as u8;
    (0..bytes).map(byte).collect()
}

/// A connection's bytes.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

async fn accept_all(listener: TcpListener, tls: Option<TlsAcceptor>, ledger: Arc<Mutex<Ledger>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let connection = {
            let mut ledger = ledger.lock().unwrap();
            ledger.accepted += 1;
            ledger.open += 1;
            ledger.accepted
        };
        let _ = socket.set_nodelay(true);
        let (tls, ledger) = (tls.clone(), ledger.clone());
        tokio::spawn(async move {
            let socket: Box<dyn Wire> = match tls {
                None => Box::new(socket),
                Some(tls) => match tls.accept(socket).await {
                    Ok(socket) => Box::new(socket),
                    Err(_) => return ledger.lock().unwrap().open -= 1,
                },
            };
            let conversation = Conversation {
                socket,
                input: Vec::new(),
                ledger,
                connection,
                served: 0,
            };
            conversation.run().await;
        });
    }
}

struct Conversation {
    socket: Box<dyn Wire>,
    input: Vec<u8>,
    ledger: Arc<Mutex<Ledger>>,
    connection: usize,
    served: usize,
}

/// The connection has ended, by whomever.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl Conversation {
    async fn run(mut self) {
        while self.serve().await.is_ok() {
            self.served += 1;
        }
        self.ledger.lock().unwrap().open -= 1;
    }

    async fn more(&mut self) -> Result<(), Over> {
        match self.socket.read_buf(&mut self.input).await? {
            0 => Err(Over),
            _ => Ok(()),
        }
    }

    async fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Over> {
        while self.input.len() < bytes {
            self.more().await?;
        }
        Ok(self.input.drain(..bytes).collect())
    }

    /// Up to and without `end`.
    async fn take_until(&mut self, end: &[u8]) -> Result<String, Over> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|bytes| bytes == end) {
                let taken = self.take(at + end.len()).await?;
                return Ok(String::from_utf8_lossy(&taken[..at]).into_owned());
            }
            self.more().await?;
        }
    }

    async fn serve(&mut self) -> Result<(), Over> {
        let head = self.take_until(b"\r\n\r\n").await?;
        let words: Vec<String> = head.split([' ', '\r']).take(3).map(str::to_owned).collect();
        let [method, target, version] = &words[..] else {
            return Err(Over);
        };
        if version != "HTTP/1.1" {
            return Err(Over);
        }
        let path = target.split('?').next().unwrap_or_default().to_owned();
        if path == "/early" {
            self.note(&head, 0);
            self.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
                .await?;
            // What comes is left where it is.
            tokio::time::sleep(Duration::from_secs(60)).await;
            return Err(Over);
        }
        let body = self.body(&head).await?;
        self.note(&head, body.len());
        let is_head = method == "HEAD";
        let query = target
            .split_once('?')
            .map_or("", |(_, query)| query)
            .to_owned();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let number = |at: usize| {
            parts
                .get(at)
                .and_then(|text| text.parse::<usize>().ok())
                .unwrap_or(0)
        };
        match parts.first().copied().unwrap_or_default() {
            "echo" => self.answer("", &body, is_head).await,
            "head" => {
                self.answer("Content-Type: text/plain\r\n", head.as_bytes(), is_head)
                    .await
            }
            "bytes" => self.answer("", &pattern(number(1)), is_head).await,
            "hold" => {
                let time = Duration::from_millis(number(1) as u64);
                let left = async { while self.more().await.is_ok() {} };
                if tokio::time::timeout(time, left).await.is_ok() {
                    return Err(Over);
                }
                self.answer("", b"held", is_head).await
            }
            "redirect" => {
                self.say(&format!(
                    "HTTP/1.1 302 Found\r\nLocation: {query}\r\nContent-Length: 0\r\n\r\n"
                ))
                .await
            }
            "cookie" => {
                self.answer(&format!("Set-Cookie: {query}\r\n"), b"ok", is_head)
                    .await
            }
            "hints" => {
                self.say("HTTP/1.1 103 Early Hints\r\nLink: </s>; rel=preload\r\n\r\n")
                    .await?;
                self.answer("", b"ok", is_head).await
            }
            "status" => {
                self.say(&format!("HTTP/1.1 {} Status\r\n\r\n", number(1)))
                    .await
            }
            "events" => {
                self.lines("text/event-stream", number(1), number(2), "data: ", "\n\n")
                    .await
            }
            "lines" => {
                self.lines("application/json", number(1), number(2), "", "\n")
                    .await
            }
            "chunked" => self.chunked(&pattern(number(1))).await,
            "close" => {
                self.say("HTTP/1.1 200 OK\r\n\r\n").await?;
                self.socket.write_all(&pattern(number(1))).await?;
                self.end().await
            }
            "half" => {
                self.say(&format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                    number(1)
                ))
                .await?;
                self.socket.write_all(&pattern(number(1) / 2)).await?;
                // Until the other side has had enough.
                self.more().await?;
                Err(Over)
            }
            "switch" => self.switch(&head).await,
            other => self.rude(other, number(1)).await,
        }
    }

    fn note(&self, head: &str, body_bytes: usize) {
        self.ledger.lock().unwrap().asked.push(Asked {
            head: head.to_owned(),
            body_bytes,
            connection: self.connection,
        });
    }

    async fn body(&mut self, head: &str) -> Result<Vec<u8>, Over> {
        let value = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_owned())
        };
        if value("transfer-encoding").is_none() {
            let length = value("content-length")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            return self.take(length).await;
        }
        let mut body = Vec::new();
        loop {
            let size = self.take_until(b"\r\n").await?;
            let size = usize::from_str_radix(&size, 16).map_err(|_| Over)?;
            body.extend(self.take(size).await?);
            if self.take(2).await? != b"\r\n" {
                return Err(Over);
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn say(&mut self, text: &str) -> Result<(), Over> {
        Ok(self.socket.write_all(text.as_bytes()).await?)
    }

    async fn end(&mut self) -> Result<(), Over> {
        self.socket.shutdown().await?;
        Err(Over)
    }

    async fn answer(&mut self, fields: &str, body: &[u8], is_head: bool) -> Result<(), Over> {
        self.say(&format!(
            "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n",
            body.len()
        ))
        .await?;
        if !is_head {
            self.socket.write_all(body).await?;
        }
        Ok(())
    }

    async fn chunked(&mut self, body: &[u8]) -> Result<(), Over> {
        self.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await?;
        for chunk in body.chunks(7001) {
            self.say(&format!("{:x};x=y\r\n", chunk.len())).await?;
            self.socket.write_all(chunk).await?;
            self.say("\r\n").await?;
        }
        self.say("0\r\nX-Trailer: t\r\n\r\n").await
    }

    async fn lines(
        &mut self,
        media_type: &str,
        count: usize,
        pause_ms: usize,
        before: &str,
        after: &str,
    ) -> Result<(), Over> {
        self.say(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ))
        .await?;
        for number in 0..count {
            let line = format!("{before}{number}{after}");
            self.say(&format!("{:x}\r\n{line}\r\n", line.len())).await?;
            tokio::time::sleep(Duration::from_millis(pause_ms as u64)).await;
        }
        self.say("0\r\n\r\n").await
    }

    async fn switch(&mut self, head: &str) -> Result<(), Over> {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let protocol = lines
            .find(|(name, _)| name.eq_ignore_ascii_case("upgrade"))
            .map(|(_, value)| value);
        let Some(protocol) = protocol else {
            return self
                .say("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
                .await;
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: {protocol}\r\nConnection: Upgrade\r\n\r\n"
        );
        self.say(&answer).await?;
        loop {
            let input = std::mem::take(&mut self.input);
            self.socket.write_all(&input).await?;
            self.more().await?;
        }
    }

    /// What no service should do.
    async fn rude(&mut self, what: &str, number: usize) -> Result<(), Over> {
        let text = match what {
            "fold" => "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
            "two-lengths" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\nok",
            "surplus" => {
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 EVIL\r\nContent-Length: 0\r\n\r\n"
            }
            "tls" => "\u{15}\u{3}\u{1}\0\u{2}\u{2}F",
            "ssh" => "SSH-2.0-OpenSSH_9.2\r\n",
            "cut-chunks" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "cut" => {
                self.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                    .await?;
                self.socket.write_all(&pattern(number)).await?;
                return self.end().await;
            }
            "vanish" => return self.end().await,
            "vanish-kept" if self.served > 0 => return self.end().await,
            "vanish-kept" => return self.answer("", b"ok", false).await,
            _ => {
                return self
                    .say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    .await;
            }
        };
        self.say(text).await?;
        match what {
            "cut-chunks" | "tls" | "ssh" => self.end().await,
            _ => Ok(()),
        }
    }
}
