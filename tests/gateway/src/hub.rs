//! The gateway's memory: agents, their keys and streams, sessions, and the journal. One lock, and one
//! condition that every change announces.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;

use crate::conduct::Conduct;
use crate::event::{Entry, Event, Metadata};
use crate::inbox::Inbox;
use crate::packet::{Packet, spec};
use crate::socket::Link;

/// Entries that the journal keeps; the oldest go first.
const JOURNAL_ENTRIES_MAX: usize = 50_000;
/// Bytes of a payload or spec value that the journal keeps.
const JOURNAL_BYTES_KEPT: usize = 4096;
/// Entries shown when a wait fails.
const ENTRIES_SHOWN: usize = 40;

/// How `PreConnect` is answered, once the key is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PreConnectMood {
    /// As the real gateway does: `CONNECT` while a client waits, else `BACKOFF`.
    #[default]
    Normal,
    /// With this status and message.
    Answer(String, String),
    /// With this gRPC code and message.
    Fail(i32, String),
    /// Not at all.
    Silent,
}

/// An agent that the gateway knows.
pub(crate) struct Agent {
    pub name: String,
    pub secret: String,
    pub revoked: bool,
    /// Clients that wait for it to come online.
    pub waiting: usize,
    pub preconnects: usize,
    pub stream: Option<Arc<AgentStream>>,
}

/// One agent's live stream.
pub(crate) struct AgentStream {
    pub id: u64,
    pub agent: String,
    pub metadata: Metadata,
    pub link: Arc<Link>,
    pub outgoing: mpsc::Sender<Packet>,
    pub end: Mutex<Option<oneshot::Sender<Status>>>,
    pub stalled: watch::Sender<bool>,
}

/// A session as the gateway routes it.
pub(crate) struct Route {
    pub stream: u64,
    pub inbox: Arc<Inbox>,
    pub conduct: Conduct,
}

#[derive(Default)]
pub(crate) struct State {
    pub agents: Vec<Agent>,
    pub sessions: HashMap<String, Route>,
    /// Sessions that the agent closed: nothing may come for them any more.
    closed_by_agent: HashSet<String>,
    pub links: HashMap<u64, Arc<Link>>,
    pub preconnect: PreConnectMood,
    pub journal: VecDeque<Entry>,
    /// Entries that have left the journal.
    pub forgotten: usize,
    pub last_id: u64,
}

impl State {
    pub fn agent(&mut self, name: &str) -> Option<&mut Agent> {
        self.agents.iter_mut().find(|agent| agent.name == name)
    }

    pub fn stream(&self, name: &str) -> Option<Arc<AgentStream>> {
        self.agents
            .iter()
            .find(|agent| agent.name == name)?
            .stream
            .clone()
    }

    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The last entries, a line each.
    pub fn seen(&self) -> String {
        let skip = self.journal.len().saturating_sub(ENTRIES_SHOWN);
        self.journal
            .iter()
            .skip(skip)
            .map(|entry| format!("\n  {entry}"))
            .collect()
    }
}

pub(crate) struct Hub {
    state: Mutex<State>,
    changed: Condvar,
    started: Instant,
    records_packets: bool,
}

impl Hub {
    pub fn new(records_packets: bool) -> Self {
        Self {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            started: Instant::now(),
            records_packets,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes the state and tells whoever waits.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    pub fn note(&self, event: Event) {
        self.change(|state| self.write(state, event));
    }

    /// Adds to the journal of a state that is already locked.
    pub fn write(&self, state: &mut State, event: Event) {
        let at = self.started.elapsed();
        state.journal.push_back(Entry { at, event });
        if state.journal.len() > JOURNAL_ENTRIES_MAX {
            state.journal.pop_front();
            state.forgotten += 1;
        }
        self.changed.notify_all();
    }

    /// Waits until `find` finds something; `Err` is what was seen instead.
    pub fn wait<T>(
        &self,
        patience: Duration,
        mut find: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, String> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some(found) = find(&mut state) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(state.seen());
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    pub fn note_sent(&self, stream: &AgentStream, packet: &Packet) {
        if self.records_packets {
            self.note(Event::Sent {
                agent: stream.agent.clone(),
                stream: stream.id,
                packet: abridged(packet),
                payload_length: packet.payload.len(),
            });
        }
    }

    /// Does with an agent's packet what the gateway does, except the delivery to the client, whose
    /// inbox it returns. The flag is set when the packet ends its session.
    pub fn receive(&self, stream: &AgentStream, packet: &Packet) -> Option<(Arc<Inbox>, bool)> {
        self.change(|state| {
            if self.records_packets {
                let event = Event::Received {
                    agent: stream.agent.clone(),
                    stream: stream.id,
                    packet: abridged(packet),
                    payload_length: packet.payload.len(),
                };
                self.write(state, event);
            }
            match self.route(state, stream, packet) {
                Ok(found) => found,
                Err(violation) => {
                    self.write(state, Event::Violation(violation));
                    None
                }
            }
        })
    }

    fn route(
        &self,
        state: &mut State,
        stream: &AgentStream,
        packet: &Packet,
    ) -> Result<Option<(Arc<Inbox>, bool)>, String> {
        let kind = packet.kind.as_str();
        if matches!(kind, "GatewayKeepAlive" | "KeepAlive") {
            let bare = packet.spec.is_empty() && packet.payload.is_empty();
            return if bare {
                Ok(None)
            } else {
                Err(format!("keep-alive with content: {}", packet.summary()))
            };
        }
        if kind == "ClientAgentLogs" {
            return Ok(None);
        }
        if !packet.spec.contains_key(spec::SESSION_ID) {
            return Err(format!("no session id: {}", packet.summary()));
        }
        if kind.starts_with("Agent") {
            return Err(format!(
                "a kind for agents came from one: {}",
                packet.summary()
            ));
        }
        if kind.starts_with("Sys") {
            return Ok(None);
        }
        let sid = packet.sid();
        if state.closed_by_agent.contains(&sid) {
            return Err(format!(
                "packet after the agent's own close: {}",
                packet.summary()
            ));
        }
        let Some(route) = state
            .sessions
            .get_mut(&sid)
            .filter(|route| route.stream == stream.id)
        else {
            return Ok(None);
        };
        let violation = route.conduct.check(packet);
        let inbox = route.inbox.clone();
        let ends = kind == "ClientSessionClose";
        if ends {
            state.sessions.remove(&sid);
            state.closed_by_agent.insert(sid);
        }
        if let Some(violation) = violation {
            self.write(state, Event::Violation(violation));
        }
        Ok(Some((inbox, ends)))
    }

    /// Ends the agent's stream in the books, and with it every session that hangs on it.
    pub fn stream_over(&self, stream: &AgentStream, reason: &str) {
        self.change(|state| {
            if let Some(agent) = state.agent(&stream.agent)
                && agent
                    .stream
                    .as_ref()
                    .is_some_and(|current| current.id == stream.id)
            {
                agent.stream = None;
            }
            state.sessions.retain(|_, route| {
                if route.stream == stream.id {
                    route
                        .inbox
                        .end(&format!("the agent's stream ended: {reason}"));
                }
                route.stream != stream.id
            });
            let event = Event::Offline {
                agent: stream.agent.clone(),
                stream: stream.id,
                reason: reason.to_owned(),
            };
            self.write(state, event);
        });
    }
}

/// A copy that keeps only the head of long values, and nothing of the original's memory.
fn abridged(packet: &Packet) -> Packet {
    use prost::bytes::Bytes;
    let cut =
        |bytes: &Bytes| Bytes::copy_from_slice(bytes.get(..JOURNAL_BYTES_KEPT).unwrap_or(bytes));
    Packet {
        component: packet.component.clone(),
        kind: packet.kind.clone(),
        spec: packet
            .spec
            .iter()
            .map(|(key, value)| (key.clone(), cut(value)))
            .collect(),
        payload: cut(&packet.payload),
    }
}
