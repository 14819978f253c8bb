//! The demo: one agent, one gateway, everything on loopback, shown as a person would want to see it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use loopback_gateway::event::{Event, header};
use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Gateway, Security, SessionRequest};

/// The agent's pid, for the case that a step fails: this program then ends without unwinding.
pub static AGENT: AtomicI32 = AtomicI32::new(0);

/// Shows everything with the agent at this path.
pub fn run(agent: &str) -> ExitCode {
    let agent = Path::new(agent);
    if !agent.is_file() {
        eprintln!(
            "{} is not there: build it first (scripts/demo does)",
            agent.display()
        );
        return ExitCode::from(2);
    }
    end_with_the_agent_on_failure();
    let started = Instant::now();
    println!("hoop-lite behind a gateway on this machine. Nothing leaves loopback.");
    let gateway = Gateway::start(Security::Tls);
    let process = show_joining(&gateway, agent);
    show_command(&gateway);
    show_console(&gateway);
    show_forward(&gateway);
    show_refusal(&gateway, agent);
    title("6. The agent leaves: SIGTERM");
    show_leaving(&gateway, &process, process.pid());
    gateway.assert_clean();
    println!(
        "\nAll six shown in {:.2} s: join, command, console, forwarded port, refused key, leave.",
        started.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

/// From here on a failed step is told, and takes the agent with it.
pub fn end_with_the_agent_on_failure() {
    std::panic::set_hook(Box::new(|info| {
        println!("\nFAILED: {info}");
        let pid = AGENT.load(Ordering::SeqCst);
        if pid != 0 {
            // SAFETY: kill takes no pointers; the pid is that of our own child.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        std::process::exit(1);
    }));
}

/// The agent's variables: its key, whom to trust, and lines for people.
fn environment(gateway: &Gateway, key: &str) -> Vec<(String, String)> {
    let mut variables = gateway.environment(key);
    variables.push(("LOG_ENCODING".to_owned(), "human".to_owned()));
    variables
}

fn title(text: &str) {
    println!("\n== {text}");
}

pub fn tell(what: &str, text: &str) {
    println!("   {what:<12} {text}");
}

fn show_joining(gateway: &Gateway, agent: &Path) -> AgentProcess {
    title("1. The agent joins the gateway");
    let key = gateway.register("demo", "standard");
    tell(
        "gateway",
        &format!(
            "grpcs://{} (TLS, with a certificate made just now)",
            gateway.address()
        ),
    );
    tell(
        "run",
        &format!("HOOP_KEY='{}' {}", hidden(&key), agent.display()),
    );
    let started = Instant::now();
    let process = AgentProcess::start(agent, &environment(gateway, &key));
    AGENT.store(process.pid(), Ordering::SeqCst);
    let metadata = gateway.wait_online("demo");
    let took = started.elapsed().as_millis();
    let value = |name: &str| header(&metadata, name).unwrap_or("-").to_owned();
    tell(
        "online",
        &format!(
            "agent demo, {}, host {}, after {took} ms",
            value("compiler"),
            value("hostname")
        ),
    );
    tell("memory", &format!("{} KiB resident", process.rss_kib()));
    process
}

/// The key without its secret.
fn hidden(key: &str) -> String {
    let user_end = key.rfind(':').and_then(|port| key[..port].rfind(':'));
    match (user_end, key.find('@')) {
        (Some(colon), Some(at)) if colon < at => format!("{}:****{}", &key[..colon], &key[at..]),
        _ => "****".to_owned(),
    }
}

fn show_command(gateway: &Gateway) {
    title("2. A command: hoop exec demo");
    let script = "echo \"hello from $HOOP_CONNECTION_NAME, $(wc -c) bytes of input\"; \
                  echo \"the secret file is $(stat -c '%a %s bytes' \"$TOKEN\")\"; \
                  echo 'a warning' >&2; exit 3";
    let request = SessionRequest::exec(&["sh", "-c", script]).file("TOKEN", b"s3cret");
    let outcome = gateway.open_session(request).run(b"some input");
    tell(
        "stdout",
        outcome.out().trim_end().lines().next().unwrap_or_default(),
    );
    tell(
        "",
        outcome.out().trim_end().lines().nth(1).unwrap_or_default(),
    );
    tell("stderr", outcome.err().trim_end());
    tell("exit code", &outcome.code.to_string());
    assert_eq!(
        outcome.out(),
        "hello from demo, 10 bytes of input\nthe secret file is 600 6 bytes\n"
    );
    assert_eq!((outcome.err().as_str(), outcome.code), ("a warning\n", 3));
}

fn show_console(gateway: &Gateway) {
    title("3. A console: hoop connect demo");
    let request = SessionRequest::console(&["sh", "-i"]).env("PS1", "demo$ ");
    let mut session = gateway.open_session(request);
    session.resize(40, 120);
    session.start_console();
    session.expect("demo$ ");
    for (command, wanted) in [
        ("tty", "/dev/pts/"),
        ("stty size", "40 120"),
        ("echo $TERM", "xterm"),
    ] {
        session.write(&format!("{command}\n"));
        let output = session.expect("\ndemo$ ").replace('\r', "");
        let answer = output.lines().nth(1).unwrap_or_default();
        tell("demo$", &format!("{command:<12} -> {answer}"));
        assert!(answer.starts_with(wanted), "{command} answered {output:?}");
    }
    // The quotes keep the echo of what is typed apart from what the command says.
    session.write("echo run''ning; sleep 1000\n");
    session.expect("running\r\n");
    session.write("\x03");
    session.expect("demo$ ");
    tell("demo$", "sleep 1000   -> interrupted with Ctrl-C");
    session.write("exit 7\n");
    let close = session.wait_close();
    tell(
        "exit code",
        &close.code.map_or("-".to_owned(), |code| code.to_string()),
    );
    assert_eq!(close.code, Some(7));
}

fn show_forward(gateway: &Gateway) {
    title("4. A forwarded port: hoop connect web");
    let target = Target::start(Manner::Http("only the agent can reach me\n".to_owned()));
    let mut session = gateway.open_session(SessionRequest::tcp("127.0.0.1", target.port()));
    let local = session.listen();
    tell(
        "port",
        &format!("{local} here -> agent -> {} there", target.address()),
    );
    let mut socket = TcpStream::connect(local).expect("the local port");
    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
        .expect("a request sent");
    let mut response = String::new();
    socket.read_to_string(&mut response).expect("a response");
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    tell("request", "GET / HTTP/1.1");
    tell("response", head.lines().next().unwrap_or_default());
    tell("body", body.trim_end());
    assert_eq!(body, "only the agent can reach me\n");
}

fn show_refusal(gateway: &Gateway, agent: &Path) {
    title("5. A key that the gateway does not know");
    let key = gateway.key_for("stranger", "xagt-made-up", "standard");
    let from = gateway.mark();
    let process = AgentProcess::start(agent, &environment(gateway, &key));
    let refusal = gateway.wait_event(from, "a refusal", |event| match event {
        Event::Refused { end, .. }
        | Event::PreConnect {
            answer: Err(end), ..
        } => Some(end.clone()),
        _ => None,
    });
    tell("gateway", &format!("{} (Unauthenticated)", refusal.message));
    let line = process.wait_text("refuses the key");
    tell("agent", &line);
    assert!(process.is_running(), "the agent gave up");
    assert!(!line.contains("xagt-made-up"), "the agent logs the key");
    tell("", "(it keeps trying, slowly: the key may be put right)");
}

/// Asks the agent to end, which is `process` or what that has started.
pub fn show_leaving(gateway: &Gateway, process: &AgentProcess, agent: i32) {
    let started = Instant::now();
    // SAFETY: kill takes no pointers; the pid is that of our child, or of a child of that.
    assert_eq!(unsafe { libc::kill(agent, libc::SIGTERM) }, 0);
    let status = process.wait_exit();
    gateway.wait_offline("demo");
    tell(
        "agent",
        &format!("{status}, after {} ms", started.elapsed().as_millis()),
    );
    assert_eq!(status.code(), Some(0));
}
