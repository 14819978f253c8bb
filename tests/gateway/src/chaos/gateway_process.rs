//! A gateway that is a process of its own, so that it can be killed and stopped as one.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

use loopback_gateway::event::Event;
use loopback_gateway::targets::Pattern;
use loopback_gateway::{AgentProcess, Gateway, Setup};

use super::subject::{CONNECTION_VARIABLE, NAME, connection_name, setup};
use super::workload::{Workload, round_trip};

/// Longer than any scenario keeps a gateway waiting.
const DEADLINE_S: &str = "600";

/// Where a gateway process finds what it needs to be the same one again.
pub struct Place {
    port: u16,
    identity_file: PathBuf,
    echo_port: u16,
}

impl Place {
    /// Certificates not made yet; sessions lead to this echo server. The port is one that no client
    /// gets: while nobody listens there, an agent that dials it would be connected to itself.
    pub fn new(port: u16, echo_port: u16) -> Self {
        let name = format!("chaos-gateway-{}.pem", std::process::id());
        Self {
            port,
            identity_file: std::env::temp_dir().join(name),
            echo_port,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.identity_file);
    }
}

/// A running one. Dropping it kills it.
pub struct GatewayProcess {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    /// What an agent needs to connect.
    pub variables: Vec<(String, String)>,
}

impl GatewayProcess {
    /// Starts it and waits until it listens.
    pub fn start(place: &Place) -> Self {
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(own);
        command
            .arg("chaos-gateway")
            .args([place.port.to_string(), place.echo_port.to_string()])
            .arg(&place.identity_file)
            .env("LOOPBACK_DEADLINE_S", DEADLINE_S)
            .env(CONNECTION_VARIABLE, connection_name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        die_with_parent(&mut command);
        let mut child = command.spawn().expect("a gateway process");
        let stdout = child.stdout.take().expect("piped");
        let mut gateway = Self {
            child,
            lines: BufReader::new(stdout).lines(),
            variables: Vec::new(),
        };
        loop {
            let line = gateway.next_line();
            match line.split_once('=') {
                Some((name, value)) => {
                    gateway.variables.push((name.to_owned(), value.to_owned()));
                }
                None if line == "listening" => return gateway,
                None => panic!("a gateway process said {line:?}"),
            }
        }
    }

    /// Starts an agent for it.
    pub fn start_agent(&self, binary: &str, more: &[(&str, &str)]) -> AgentProcess {
        let mut variables = self.variables.clone();
        variables.extend(
            more.iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        AgentProcess::start(binary, &variables)
    }

    /// Waits until a session of each kind is at work.
    pub fn wait_working(&mut self) {
        assert_eq!(self.next_line(), "working");
    }

    fn next_line(&mut self) -> String {
        self.lines
            .next()
            .expect("the gateway process ended")
            .expect("a line")
    }

    /// Kills it and waits until its port is free.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        // SAFETY: kill takes no pointers; the pid is that of our own child, not waited for yet.
        unsafe { libc::kill(pid, signal) };
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A child that would otherwise outlive a scenario that fails.
fn die_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec, prctl with integers only.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}

/// `chaos-gateway PORT ECHO_PORT IDENTITY_FILE`: keeps a session of each kind at work whenever the
/// agent is online.
pub fn serve(words: &[&str]) -> ExitCode {
    let [port, echo_port, identity_file] = words else {
        return ExitCode::from(2);
    };
    let gateway = Gateway::start_with(Setup {
        port: port.parse().expect("a port"),
        agents: vec![NAME.to_owned()],
        identity_file: Some(identity_file.into()),
        ..setup()
    });
    let key = gateway.key_of(NAME, "standard");
    let pem = gateway.ca_pem().expect("TLS");
    println!("HOOP_KEY={key}");
    println!(
        "HOOP_TLSCA=base64://{}",
        loopback_gateway::base64(pem.as_bytes())
    );
    println!("listening");
    let echo_port = echo_port.parse().expect("a port");
    loop {
        gateway.wait_online(NAME);
        let from = gateway.mark();
        let workload = Workload::open(&gateway, echo_port);
        println!("working");
        let mut socket = workload.socket.try_clone().expect("a descriptor");
        let mut seeds = Pattern::new(1);
        let mut seed = [0; 8];
        while round_trip(&mut socket, u64::from_le_bytes(seed)).is_ok() {
            seeds.fill(&mut seed);
        }
        // It may be online again by now.
        gateway.wait_event(from, "the stream's end", |event| match event {
            Event::Offline { .. } => Some(()),
            _ => None,
        });
    }
}
