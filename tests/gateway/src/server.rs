//! The listening side: accepts connections, speaks TLS where asked, serves each on its own task.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::event::Event;
use crate::hub::Hub;
use crate::service::Service;
use crate::socket::{Link, Order, Socket};

/// Credit of a connection, the largest that HTTP/2 knows.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// What every connection is served with.
#[derive(Clone)]
pub(crate) struct Server {
    pub hub: Arc<Hub>,
    pub tls: Option<Arc<ServerConfig>>,
    pub feature_flags: Arc<str>,
    /// Bytes of each stream that an agent may send ahead.
    pub window: u32,
}

impl Server {
    /// Accepts for as long as the task lives; the listener closes with it.
    pub async fn accept_all(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            };
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (link, orders) = self.hub.change(|state| {
            let id = state.next_id();
            let (link, orders) = Link::new(id);
            state.links.insert(id, link.clone());
            self.hub.write(state, Event::Accepted { link: id });
            (link, orders)
        });
        let socket = Socket::new(stream, link.clone());
        self.serve_socket(socket, &link, orders).await;
        self.hub.change(|state| {
            state.links.remove(&link.id);
            self.hub.write(state, Event::Closed { link: link.id });
        });
    }

    async fn serve_socket(
        &self,
        socket: Socket,
        link: &Arc<Link>,
        mut orders: UnboundedReceiver<Order>,
    ) {
        let Some(config) = &self.tls else {
            return self.serve_http(socket, link, orders).await;
        };
        let handshake = TlsAcceptor::from(config.clone()).accept(socket);
        let outcome = tokio::select! {
            outcome = handshake => outcome,
            _ = orders.recv() => return,
        };
        match outcome {
            Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                self.serve_http(stream, link, orders).await;
            }
            Ok(_) => self.handshake_failed(link, &io::Error::other("no ALPN h2")),
            Err(error) => self.handshake_failed(link, &error),
        }
    }

    fn handshake_failed(&self, link: &Link, error: &io::Error) {
        self.hub.note(Event::HandshakeFailed {
            link: link.id,
            error: error.to_string(),
        });
    }

    async fn serve_http<S>(&self, stream: S, link: &Arc<Link>, mut orders: UnboundedReceiver<Order>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = Service {
            hub: self.hub.clone(),
            link: link.clone(),
            feature_flags: self.feature_flags.clone(),
        };
        let answer = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(self.window)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let connection = builder.serve_connection(TokioIo::new(stream), answer);
        let mut connection = std::pin::pin!(connection);
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                order = orders.recv() => match order {
                    Some(Order::GoAway) => connection.as_mut().graceful_shutdown(),
                    Some(Order::Abort) | None => return,
                },
            }
        }
    }
}
