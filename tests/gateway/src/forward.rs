//! A local port in front of a session: what `hoop connect` does for raw TCP.
//!
//! Local sockets are written in the order of the session's packets, one after the other: one that
//! does not take its bytes holds up the session and, behind it, the agent's stream, as it does with
//! the real client.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::hub::{AgentStream, Hub};
use crate::inbox::Inbox;
use crate::packet::{Packet, spec};
use crate::session::tcp_write;

/// The real client's payloads.
pub(crate) const READ_BYTES: usize = 32 << 10;
/// Bytes that may wait between the agent's stream and the local sockets.
const INBOX_BYTES_MAX: usize = 1 << 20;

type WriteHalf = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

/// The local end of one connection.
struct Local {
    write: WriteHalf,
    reading: AbortHandle,
}

type Locals = Arc<Mutex<HashMap<String, Local>>>;

/// What a local port needs to know of its session.
#[derive(Clone)]
pub(crate) struct Forward {
    pub hub: Arc<Hub>,
    pub stream: Arc<AgentStream>,
    pub sid: String,
    pub inbox: Arc<Inbox>,
    pub read_bytes: usize,
}

impl Forward {
    /// Listens on a free port until the task is aborted or the session ends.
    pub async fn start(self) -> io::Result<(SocketAddr, AbortHandle)> {
        self.inbox.set_limit(INBOX_BYTES_MAX);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // Everything that the session started ends with this set.
            let mut tasks = JoinSet::new();
            let locals = Locals::default();
            let routing = self.clone().route(locals.clone());
            tokio::pin!(routing);
            let mut count = 0_u64;
            loop {
                tokio::select! {
                    () = &mut routing => return,
                    accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                        count += 1;
                        self.accept(&mut tasks, &locals, count.to_string(), socket);
                    },
                    Some(_) = tasks.join_next() => {}
                }
            }
        });
        Ok((address, task.abort_handle()))
    }

    fn accept(&self, tasks: &mut JoinSet<()>, locals: &Locals, id: String, socket: TcpStream) {
        let _ = socket.set_nodelay(true);
        let (read, write) = socket.into_split();
        let mut table = locals.lock().unwrap();
        let reading = tasks.spawn(self.clone().read_local(locals.clone(), id.clone(), read));
        table.insert(
            id,
            Local {
                write: Arc::new(tokio::sync::Mutex::new(write)),
                reading,
            },
        );
    }

    async fn send(&self, packet: Packet) {
        let packet = packet.with(spec::SESSION_ID, self.sid.clone());
        self.hub.note_sent(&self.stream, &packet);
        let _ = self.stream.outgoing.send(packet).await;
    }

    /// From the local socket to the agent, to the socket's end.
    async fn read_local(self, locals: Locals, id: String, mut read: OwnedReadHalf) {
        self.send(tcp_write(&id, &[]).with(spec::TCP_SERVER_CONNECT, ""))
            .await;
        let mut buffer = vec![0; self.read_bytes];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            self.send(tcp_write(&id, &buffer[..count])).await;
        }
        locals.lock().unwrap().remove(&id);
        self.send(Packet::new("AgentCloseTCPConnection").with(spec::CONNECTION_ID, id))
            .await;
    }

    /// From the agent to the local sockets, to the session's end.
    async fn route(self, locals: Locals) {
        while let Some(packet) = self.inbox.next().await {
            let id = packet.connection_id();
            match packet.kind.as_str() {
                "ClientTCPConnectionWrite" => {
                    let write = locals
                        .lock()
                        .unwrap()
                        .get(&id)
                        .map(|local| local.write.clone());
                    if let Some(write) = write {
                        let _ = write.lock().await.write_all(&packet.payload).await;
                    }
                }
                "ClientTCPConnectionClose" => {
                    let local = locals.lock().unwrap().remove(&id);
                    if let Some(local) = local {
                        let _ = local.write.lock().await.shutdown().await;
                        local.reading.abort();
                    }
                }
                "ClientSessionClose" => return,
                _ => {}
            }
        }
    }
}
