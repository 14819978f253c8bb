//! The gateway's end of one TCP connection, with the faults that a network has: it can be reset,
//! or fall silent without a word.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// What can be asked of the task that serves a connection.
pub(crate) enum Order {
    /// Send GOAWAY, let streams finish.
    GoAway,
    /// Close the socket now.
    Abort,
}

/// One TCP connection as the rest of the gateway sees it.
pub(crate) struct Link {
    pub id: u64,
    pub received: AtomicU64,
    pub sent: AtomicU64,
    orders: mpsc::UnboundedSender<Order>,
    reset: AtomicBool,
    /// Ends the agent's stream with RST_STREAM when it is used.
    stream_reset: Mutex<Option<oneshot::Sender<()>>>,
    frozen: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Link {
    pub fn new(id: u64) -> (Arc<Self>, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let link = Self {
            id,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            orders,
            reset: AtomicBool::new(false),
            stream_reset: Mutex::new(None),
            frozen: AtomicBool::new(false),
            wakers: Mutex::new(Vec::new()),
        };
        (Arc::new(link), receiver)
    }

    pub fn go_away(&self) {
        let _ = self.orders.send(Order::GoAway);
    }

    /// Closes the socket with a TCP reset.
    pub fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        let _ = self.orders.send(Order::Abort);
    }

    /// Whoever serves a stream learns here that it is to be reset.
    pub fn await_stream_reset(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        *self.stream_reset.lock().unwrap() = Some(sender);
        receiver
    }

    /// Resets the stream that was served last.
    pub fn reset_stream(&self) {
        if let Some(sender) = self.stream_reset.lock().unwrap().take() {
            let _ = sender.send(());
        }
    }

    /// Neither reads nor writes until thawed; the socket stays open.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
        for waker in std::mem::take(&mut *self.wakers.lock().unwrap()) {
            waker.wake();
        }
    }

    fn waits(&self, cx: &Context<'_>) -> bool {
        if self.frozen.load(Ordering::SeqCst) {
            self.wakers.lock().unwrap().push(cx.waker().clone());
        }
        // Asked again, since it may have thawed before the waker was there.
        self.frozen.load(Ordering::SeqCst)
    }
}

/// The socket itself. Dropping it closes it, with a reset if its `Link` was told so.
pub(crate) struct Socket {
    stream: TcpStream,
    link: Arc<Link>,
}

impl Socket {
    pub fn new(stream: TcpStream, link: Arc<Link>) -> Self {
        Self { stream, link }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.link.reset.load(Ordering::SeqCst) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.link.waits(cx) {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let count = buf.filled().len() - before;
        self.link
            .received
            .fetch_add(count as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.link.waits(cx) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &polled {
            self.link.sent.fetch_add(*count as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
