//! The gateway as a test holds it: plain blocking calls, a runtime of its own behind them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tonic::{Code, Status};

use crate::conduct::Conduct;
use crate::event::{Entry, Event, Metadata};
use crate::hub::{Agent, AgentStream, Hub, PreConnectMood, Route};
use crate::identity::{Identity, Security};
use crate::inbox::Inbox;
use crate::packet::{Packet, spec};
use crate::server::Server;
use crate::service::end_stream;
use crate::session::{Session, SessionRequest};

/// How long a wait may take before it fails the test: generous, since machines are shared.
/// `LOOPBACK_DEADLINE_S` overrides it.
pub fn deadline() -> Duration {
    let seconds = std::env::var("LOOPBACK_DEADLINE_S")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// What a gateway is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Plaintext or which TLS.
    pub security: Security,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Names and addresses in the certificate.
    pub names: Vec<String>,
    /// Agents that are known before the first connection is accepted.
    pub agents: Vec<String>,
    /// Where the certificates are kept, so that a gateway started again is the same one.
    pub identity_file: Option<PathBuf>,
    /// Bytes of each stream that an agent may send ahead. The connection as a whole is not limited,
    /// since the real gateway gives its credit back whether or not a stream is read.
    pub window: u32,
    /// Sent to every agent as it connects, JSON.
    pub feature_flags: String,
    /// Whether packets go into the journal; benchmarks do without.
    pub records_packets: bool,
}

impl Setup {
    /// The usual: a free port, certificates for loopback, packets recorded.
    pub fn new(security: Security) -> Self {
        Self {
            security,
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            names: ["localhost", "127.0.0.1", "::1"]
                .map(str::to_owned)
                .to_vec(),
            agents: Vec::new(),
            identity_file: None,
            window: 1 << 20,
            feature_flags: r#"{"experimental.log_exec_input":true,"beta.oracle_native":true}"#
                .to_owned(),
            records_packets: true,
        }
    }
}

/// A running gateway. Dropping it ends everything that it started.
pub struct Gateway {
    pub(crate) hub: Arc<Hub>,
    pub(crate) runtime: Handle,
    security: Security,
    ca_pem: Option<String>,
    server: Server,
    address: SocketAddr,
    accepting: Mutex<Option<AbortHandle>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Gateway {
    /// Starts on 127.0.0.1, on a free port.
    pub fn start(security: Security) -> Self {
        Self::start_with(Setup::new(security))
    }

    /// Starts as set up.
    pub fn start_with(setup: Setup) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        });
        let identity = (setup.security != Security::Plain)
            .then(|| Identity::kept(setup.identity_file.as_deref(), &setup.names, setup.security));
        let hub = Arc::new(Hub::new(setup.records_packets));
        let server = Server {
            hub: hub.clone(),
            tls: identity.as_ref().map(|identity| identity.config.clone()),
            feature_flags: setup.feature_flags.into(),
            window: setup.window,
        };
        let mut gateway = Self {
            hub,
            runtime: handle,
            security: setup.security,
            ca_pem: identity.map(|identity| identity.ca_pem),
            server,
            address: SocketAddr::from((setup.host, setup.port)),
            accepting: Mutex::new(None),
            stop: Some(stop),
            thread: Some(thread),
        };
        for name in &setup.agents {
            gateway.admit(name);
        }
        gateway.address = gateway.bind().expect("a port to listen on");
        gateway
    }

    fn bind(&self) -> io::Result<SocketAddr> {
        let listener = self.runtime.block_on(TcpListener::bind(self.address))?;
        let address = listener.local_addr()?;
        let task = self.runtime.spawn(self.server.clone().accept_all(listener));
        *self.accepting.lock().unwrap() = Some(task.abort_handle());
        Ok(address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority's certificate, for `HOOP_TLSCA`; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The variables that make an agent connect here with this key.
    pub fn environment(&self, key: &str) -> Vec<(String, String)> {
        let mut variables = vec![("HOOP_KEY".to_owned(), key.to_owned())];
        variables.extend(
            self.ca_pem
                .iter()
                .map(|pem| ("HOOP_TLSCA".to_owned(), pem.clone())),
        );
        variables
    }

    /// Makes an agent known and returns its key. `mode` is `standard` or `embedded`.
    pub fn register(&self, name: &str, mode: &str) -> String {
        let secret = self.admit(name);
        self.key_for(name, &secret, mode)
    }

    /// The key of an agent that was known from the start.
    pub fn key_of(&self, name: &str, mode: &str) -> String {
        let secret = self.hub.change(|state| {
            let agent = state.agent(name).expect("a registered agent");
            agent.secret.clone()
        });
        self.key_for(name, &secret, mode)
    }

    fn admit(&self, name: &str) -> String {
        self.hub.change(|state| {
            let secret = format!(
                "xagt-{:0>43}",
                format!("{name}-{}-0123456789abcdefghij", state.next_id())
            );
            assert!(
                state.agent(name).is_none(),
                "agent {name} is registered already"
            );
            state.agents.push(Agent {
                name: name.to_owned(),
                secret: secret.clone(),
                revoked: false,
                waiting: 0,
                preconnects: 0,
                stream: None,
            });
            secret
        })
    }

    /// Accepts a static token (`HOOP_TOKEN`, begins with `x-agt-`) as this agent's.
    pub fn register_token(&self, name: &str, token: &str) {
        self.register(name, "standard");
        self.hub
            .change(|state| state.agent(name).expect("just registered").secret = token.to_owned());
    }

    /// A key in the DSN form, for this gateway, whether or not it would be accepted.
    pub fn key_for(&self, name: &str, secret: &str, mode: &str) -> String {
        let scheme = if self.security == Security::Plain {
            "grpc"
        } else {
            "grpcs"
        };
        format!("{scheme}://{name}:{secret}@{}?mode={mode}", self.address)
    }

    // What it saw.

    /// Waits until `find` finds something in the journal, looking at entries from number `from` on.
    /// Fails the test with what was seen instead.
    pub fn wait_event<T>(
        &self,
        from: usize,
        what: &str,
        mut find: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let mut next = from;
        let found = self.hub.wait(deadline(), |state| {
            let skip = next.saturating_sub(state.forgotten);
            next = state.forgotten + state.journal.len();
            state
                .journal
                .iter()
                .skip(skip)
                .find_map(|entry| find(&entry.event))
        });
        found.unwrap_or_else(|seen| panic!("waited in vain for {what}; the gateway saw:{seen}"))
    }

    /// The number of the next journal entry, for `wait_event` and `entries`.
    pub fn mark(&self) -> usize {
        let state = self.hub.lock();
        state.forgotten + state.journal.len()
    }

    /// The journal from entry number `from` on.
    pub fn entries(&self, from: usize) -> Vec<Entry> {
        let state = self.hub.lock();
        state
            .journal
            .iter()
            .skip(from.saturating_sub(state.forgotten))
            .cloned()
            .collect()
    }

    /// Waits for entries from number `from` on, for at most so long.
    pub fn entries_within(&self, from: usize, patience: Duration) -> Vec<Entry> {
        let _ = self.hub.wait(patience, |state| {
            (state.forgotten + state.journal.len() > from).then_some(())
        });
        self.entries(from)
    }

    /// What agents did that an agent must not do.
    pub fn violations(&self) -> Vec<String> {
        let text = |entry: Entry| match entry.event {
            Event::Violation(text) => Some(text),
            _ => None,
        };
        self.entries(0).into_iter().filter_map(text).collect()
    }

    /// Fails the test if an agent did what an agent must not do.
    pub fn assert_clean(&self) {
        let violations = self.violations();
        assert!(
            violations.is_empty(),
            "the agent broke rules: {violations:#?}"
        );
    }

    // Agents.

    /// Waits until an agent's stream is up, and returns the headers that opened it.
    pub fn wait_online(&self, agent: &str) -> Metadata {
        let found = self.hub.wait(deadline(), |state| state.stream(agent));
        let stream = found
            .unwrap_or_else(|seen| panic!("{agent} did not come online; the gateway saw:{seen}"));
        stream.metadata.clone()
    }

    /// Waits until an agent has no stream.
    pub fn wait_offline(&self, agent: &str) {
        let found = self.hub.wait(deadline(), |state| {
            state.stream(agent).is_none().then_some(())
        });
        found.unwrap_or_else(|seen| panic!("{agent} did not go offline; the gateway saw:{seen}"));
    }

    /// Whether an agent has a stream.
    pub fn is_online(&self, agent: &str) -> bool {
        self.hub.lock().stream(agent).is_some()
    }

    /// The number of the agent's current stream; each connect has another.
    pub fn stream_number(&self, agent: &str) -> u64 {
        self.stream(agent).id
    }

    /// How often an agent has called `PreConnect` with a good key.
    pub fn preconnects(&self, agent: &str) -> usize {
        self.hub
            .lock()
            .agent(agent)
            .map_or(0, |agent| agent.preconnects)
    }

    /// Bytes received from and sent to the agent on its current connection, as on the socket.
    pub fn bytes_exchanged(&self, agent: &str) -> (u64, u64) {
        let link = &self.stream(agent).link;
        (
            link.received.load(Ordering::Relaxed),
            link.sent.load(Ordering::Relaxed),
        )
    }

    /// Waits until this many bytes have come from the agent on its current connection.
    pub fn wait_received(&self, agent: &str, count: u64) {
        let give_up = Instant::now() + deadline();
        while self.bytes_exchanged(agent).0 < count {
            let received = self.bytes_exchanged(agent).0;
            assert!(
                Instant::now() < give_up,
                "{received} bytes came from {agent}, not {count}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn stream(&self, agent: &str) -> Arc<AgentStream> {
        self.hub
            .lock()
            .stream(agent)
            .unwrap_or_else(|| panic!("{agent} is not online"))
    }

    /// Sends a packet as it is to an agent that is online.
    pub fn send(&self, agent: &str, packet: Packet) {
        let stream = self.stream(agent);
        self.send_on(&stream, packet)
            .unwrap_or_else(|reason| panic!("{reason}"));
    }

    pub(crate) fn send_on(&self, stream: &AgentStream, packet: Packet) -> Result<(), String> {
        self.hub.note_sent(stream, &packet);
        let summary = packet.summary();
        let sent = self.runtime.block_on(async {
            tokio::time::timeout(deadline(), stream.outgoing.send(packet)).await
        });
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(format!("the agent is gone, not sent: {summary}")),
            Err(_) => Err(format!("the agent does not read, not sent: {summary}")),
        }
    }

    /// Waits for a packet from an agent, among those journalled from entry number `from` on.
    pub fn wait_packet(&self, from: usize, what: &str, wanted: impl Fn(&Packet) -> bool) -> Packet {
        self.wait_event(from, what, |event| match event {
            Event::Received { packet, .. } if wanted(packet) => Some(packet.clone()),
            _ => None,
        })
    }

    /// Returns when the agent has dealt with everything sent to it so far: it asks something that an
    /// agent answers at once, and packets are dealt with in order.
    pub fn settle(&self, agent: &str) {
        let id = format!("settle-{}", self.hub.change(|state| state.next_id()));
        let from = self.mark();
        let request =
            format!(r#"{{"sid":"{id}","agent_id":"a","script":"","command":[],"env_vars":{{}}}}"#);
        self.send(
            agent,
            Packet::new("SysBareExecRequest")
                .with(spec::SESSION_ID, id.clone())
                .carrying(request),
        );
        self.wait_packet(from, "an answer to a system request", |packet| {
            packet.sid() == id
        });
    }

    // Faults.

    /// The key is no good from now on. A live stream stays, as on the real gateway.
    pub fn revoke(&self, agent: &str) {
        self.hub
            .change(|state| state.agent(agent).expect("a registered agent").revoked = true);
    }

    /// The key is good again.
    pub fn reinstate(&self, agent: &str) {
        self.hub
            .change(|state| state.agent(agent).expect("a registered agent").revoked = false);
    }

    /// How `PreConnect` is answered from now on.
    pub fn set_preconnect(&self, mood: PreConnectMood) {
        self.hub.change(|state| state.preconnect = mood);
    }

    /// Ends the agent's stream with this gRPC code and message; the connection stays.
    pub fn end_stream(&self, agent: &str, code: i32, message: &str) {
        end_stream(&self.stream(agent), Status::new(Code::from(code), message));
    }

    /// Resets the agent's stream (RST_STREAM); the connection stays.
    pub fn reset_stream(&self, agent: &str) {
        self.stream(agent).link.reset_stream();
    }

    /// Sends GOAWAY on the agent's connection; its streams may finish.
    pub fn go_away(&self, agent: &str) {
        self.stream(agent).link.go_away();
    }

    /// Resets the agent's TCP connection.
    pub fn drop_link(&self, agent: &str) {
        self.stream(agent).link.reset();
    }

    /// Resets every TCP connection.
    pub fn drop_all_links(&self) {
        for link in self.hub.lock().links.values() {
            link.reset();
        }
    }

    /// Neither reads from nor writes to the agent's socket, which stays open, until thawed.
    pub fn freeze(&self, agent: &str, frozen: bool) {
        self.stream(agent).link.freeze(frozen);
    }

    /// Stops taking the agent's packets, so that its flow-control window runs out.
    pub fn stall(&self, agent: &str, stalled: bool) {
        self.stream(agent).stalled.send_replace(stalled);
    }

    /// Closes the listening socket: connects are refused.
    pub fn stop_listening(&self) {
        if let Some(task) = self.accepting.lock().unwrap().take() {
            task.abort();
            let give_up = Instant::now() + deadline();
            while !task.is_finished() && Instant::now() < give_up {
                std::thread::yield_now();
            }
        }
    }

    /// Listens again, on the same port.
    pub fn listen_again(&self) {
        let give_up = Instant::now() + deadline();
        while let Err(error) = self.bind() {
            assert!(Instant::now() < give_up, "cannot listen again: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As if the gateway's process were killed: nothing listens, every connection is reset.
    pub fn kill(&self) {
        self.stop_listening();
        self.drop_all_links();
        let found = self.hub.wait(deadline(), |state| {
            let streams = state.agents.iter().filter(|agent| agent.stream.is_some());
            (state.links.is_empty() && streams.count() == 0).then_some(())
        });
        found.unwrap_or_else(|seen| panic!("connections outlive the gateway:{seen}"));
    }

    // Clients.

    /// Opens a session, waiting for the agent to come online as a client does (embedded agents connect
    /// only while one waits).
    pub fn open_session(&self, request: SessionRequest) -> Session<'_> {
        let name = request.agent.clone().unwrap_or_else(|| self.only_agent());
        self.hub
            .change(|state| state.agent(&name).expect("a registered agent").waiting += 1);
        let found = self.hub.wait(deadline(), |state| state.stream(&name));
        self.hub
            .change(|state| state.agent(&name).expect("a registered agent").waiting -= 1);
        let stream =
            found.unwrap_or_else(|seen| panic!("agent {name} is offline; the gateway saw:{seen}"));
        let sid = request.sid.clone().unwrap_or_else(|| self.new_sid());
        let inbox = Arc::new(Inbox::new(usize::MAX));
        let is_console = request.params.client_verb == "connect" && request.is_command();
        self.hub.change(|state| {
            let conduct = Conduct::new(&request.params.connection_type, is_console);
            let route = Route {
                stream: stream.id,
                inbox: inbox.clone(),
                conduct,
            };
            state.sessions.insert(sid.clone(), route);
        });
        let open = request.open_packet(&sid);
        self.send_on(&stream, open)
            .unwrap_or_else(|reason| panic!("{reason}"));
        Session::new(self, stream, sid, inbox, request)
    }

    fn only_agent(&self) -> String {
        let state = self.hub.lock();
        match &state.agents[..] {
            [agent] => agent.name.clone(),
            agents => panic!(
                "{} agents are registered: name one in the request",
                agents.len()
            ),
        }
    }

    fn new_sid(&self) -> String {
        let number = self.hub.change(|state| state.next_id());
        format!("{:08x}-5e55-4000-8000-{number:012x}", std::process::id())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop_listening();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}
