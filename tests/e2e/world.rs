//! A gateway and an agent that has come online.

use std::path::Path;

use loopback_gateway::targets::Target;
use loopback_gateway::{AgentProcess, Gateway, Outcome, Security, Session, SessionRequest, Setup};

/// The program under test.
pub const AGENT: &str = env!("CARGO_BIN_EXE_hoop-lite");

/// One agent, named `demo`, and its gateway.
pub struct World {
    pub agent: AgentProcess,
    pub gateway: Gateway,
    pub key: String,
}

impl World {
    /// Over TLS.
    pub fn start() -> Self {
        Self::start_with(Setup::new(Security::Tls), &[])
    }

    /// With these settings of the agent beside its key.
    pub fn with_variables(variables: &[(&str, &str)]) -> Self {
        Self::start_with(Setup::new(Security::Tls), variables)
    }

    /// In full.
    pub fn start_with(setup: Setup, variables: &[(&str, &str)]) -> Self {
        let gateway = Gateway::start_with(setup);
        let key = gateway.register("demo", "standard");
        let agent = AgentProcess::start(AGENT, &environment(&gateway, &key, variables));
        gateway.wait_online("demo");
        Self {
            agent,
            gateway,
            key,
        }
    }

    /// Opens a session.
    pub fn open(&self, request: SessionRequest) -> Session<'_> {
        self.gateway.open_session(request)
    }

    /// Runs a command to its end.
    pub fn exec(&self, command: &[&str]) -> Outcome {
        self.open(SessionRequest::exec(command)).run(b"")
    }

    /// Runs a shell script to its end. It travels as standard input, since the agent expands `$` in
    /// arguments.
    pub fn shell(&self, script: &str) -> Outcome {
        self.open(SessionRequest::exec(&["sh"]))
            .run(script.as_bytes())
    }
}

/// The gateway's key and trust, with variables beside them.
pub fn environment(gateway: &Gateway, key: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all = gateway.environment(key);
    all.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    all
}

/// A folder of this test's own, removed when dropped.
pub struct Folder {
    path: std::path::PathBuf,
}

impl Folder {
    /// An empty one.
    pub fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("hoop-lite-e2e-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file's path in it, as text.
    pub fn file(&self, name: &str) -> String {
        self.path.join(name).to_str().unwrap().to_owned()
    }
}

/// Waits until a file holds what `enough` wants, and returns its text.
pub fn wait_file(path: &str, enough: impl Fn(&str) -> bool) -> String {
    let give_up = std::time::Instant::now() + loopback_gateway::deadline();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if enough(&text) {
            return text;
        }
        assert!(
            std::time::Instant::now() < give_up,
            "{path} holds only {text:?}"
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A console that has answered.
pub fn console_at_work(gateway: &Gateway) -> Session<'_> {
    let mut console = gateway.open_session(SessionRequest::console(&["cat"]));
    console.start_console();
    console.write("x\n");
    console.expect("x\r\nx\r\n");
    console
}

/// A forwarded port whose connection `1` to an echo has carried a byte each way.
pub fn forward_at_work<'gateway>(gateway: &'gateway Gateway, echo: &Target) -> Session<'gateway> {
    let mut forward = gateway.open_session(SessionRequest::tcp("127.0.0.1", echo.port()));
    forward.wait_open();
    forward.send_to("1", b"x");
    forward.receive("1", 1);
    forward
}
