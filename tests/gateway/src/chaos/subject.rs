//! The agent under test, and what the kernel says of it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use loopback_gateway::event::Event;
use loopback_gateway::{AgentProcess, Gateway, Security, SessionRequest, Setup, deadline};

use super::Plan;
use super::line::Line;

/// The agent's name at the gateway.
pub const NAME: &str = "demo";
/// After traffic the agent gives memory back within a second, and says what it said before.
const CALM: Duration = Duration::from_millis(2500);

/// What an agent holds.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub rss_kib: u64,
    /// Of it, heap and stack; the rest is the program itself, paged in as it is used.
    pub heap_kib: u64,
    pub fds: usize,
    /// Of its sessions, whoever their parent is by now.
    pub processes: usize,
    pub threads: u64,
}

/// A gateway in this process, and an agent that has come online.
pub struct Subject {
    pub gateway: Gateway,
    pub agent: AgentProcess,
}

impl Subject {
    /// On loopback, with these settings of the agent.
    pub fn start(plan: &Plan, variables: &[(&str, &str)]) -> Self {
        Self::start_with(setup(), variables, |variables| {
            AgentProcess::start(&plan.agent, variables)
        })
    }

    /// The agent finds its gateway at the far end of a line.
    pub fn start_behind(plan: &Plan, line: &Line, variables: &[(&str, &str)]) -> Self {
        Self::start_with(setup_at(line.near, line.far), variables, |variables| {
            let mut variables = variables.to_vec();
            let key = &mut variables[0].1;
            *key = key.replace(&line.near.to_string(), &line.far.to_string());
            AgentProcess::start(&plan.agent, &variables)
        })
    }

    /// In full: the agent is whatever `spawn` makes of its variables.
    pub fn start_with(
        setup: Setup,
        variables: &[(&str, &str)],
        spawn: impl FnOnce(&[(String, String)]) -> AgentProcess,
    ) -> Self {
        let gateway = Gateway::start_with(setup);
        let key = gateway.register(NAME, "standard");
        let mut all = gateway.environment(&key);
        all.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let agent = spawn(&all);
        gateway.wait_online(NAME);
        Self { gateway, agent }
    }

    /// What the agent holds once nothing moves any more.
    pub fn figures(&self) -> Figures {
        figures(&self.agent)
    }

    /// The agent's stream is the one that it was.
    pub fn check_link_is(&self, stream: u64) {
        assert_eq!(
            self.gateway.stream_number(NAME),
            stream,
            "the link was lost"
        );
    }

    /// Deletes the key, and waits until the agent has been told so.
    pub fn revoke(&self) {
        let from = self.gateway.mark();
        self.gateway.revoke(NAME);
        self.gateway
            .wait_event(from, "the verdict", |event| match event {
                Event::PreConnect { answer: Err(_), .. } => Some(()),
                _ => None,
            });
    }

    /// Runs a script as a session and checks its answer.
    pub fn check_works(&self) {
        let outcome = self
            .gateway
            .open_session(exec("cat; exit 3"))
            .run(b"as it was");
        assert_eq!((outcome.out().as_str(), outcome.code), ("as it was", 3));
    }
}

/// The gateway of all scenarios: TLS, and no packets in the journal.
pub fn setup() -> Setup {
    Setup {
        records_packets: false,
        ..Setup::new(Security::Tls)
    }
}

/// The same on this address, which the agent reaches by that one.
fn setup_at(host: IpAddr, seen_as: IpAddr) -> Setup {
    let mut setup = setup();
    setup.host = host;
    setup.names.push(seen_as.to_string());
    setup
}

/// What the agent holds once nothing moves any more.
pub fn figures(agent: &AgentProcess) -> Figures {
    agent.wait_childless();
    figures_at_work(agent)
}

/// What the agent holds with sessions open.
pub fn figures_at_work(agent: &AgentProcess) -> Figures {
    std::thread::sleep(CALM);
    Figures {
        rss_kib: agent.rss_kib(),
        heap_kib: agent.rss_anonymous_kib(),
        fds: agent.fds(),
        processes: session_processes().len(),
        threads: agent.threads(),
    }
}

/// Hands [`connection_name`] on to a gateway that is a process of its own.
pub const CONNECTION_VARIABLE: &str = "CHAOS_CONNECTION";

/// The connection's name in every session of this scenario, by which its processes are known.
pub fn connection_name() -> String {
    std::env::var(CONNECTION_VARIABLE).unwrap_or_else(|_| format!("chaos-{}", std::process::id()))
}

/// A command in a shell. No `$`: the agent expands it.
pub fn exec(script: &str) -> SessionRequest {
    ours(SessionRequest::exec(&["sh", "-c", script]))
}

/// A console that runs this.
pub fn console(command: &[&str]) -> SessionRequest {
    ours(SessionRequest::console(command))
}

/// A TCP session.
pub fn tcp(port: u16) -> SessionRequest {
    ours(SessionRequest::tcp("127.0.0.1", port))
}

fn ours(request: SessionRequest) -> SessionRequest {
    request.with(|params| params.connection_name = connection_name())
}

/// Every process that an agent started for a session of this scenario, zombies not counted: the
/// connection's name is in its environment, wherever it has gone since.
pub fn session_processes() -> Vec<i32> {
    let wanted = format!("HOOP_CONNECTION_NAME={}", connection_name());
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    })
    .collect()
}

/// Polls until `done`, for at most as long as waits may last; returns how long it took.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < deadline(), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
    started.elapsed()
}
