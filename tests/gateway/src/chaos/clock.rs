//! Clocks that jump, and processes that are stopped for a while.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use loopback_gateway::event::Event;
use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Gateway, Packet, PreConnectMood};

use super::Plan;
use super::gateway_process::{GatewayProcess, Place};
use super::report::Row;
use super::subject::{NAME, Subject, figures_at_work, setup, wait_until};
use super::workload::Workload;

/// Answers the wall clock's question with what the file adds to it, in seconds.
const CLOCK_SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile long *step;
__attribute__((constructor)) static void start(void) {
    int fd = open(getenv("CLOCK_STEP"), O_RDONLY | O_CLOEXEC);
    step = mmap(0, sizeof *step, PROT_READ, MAP_SHARED, fd, 0);
}
int clock_gettime(clockid_t id, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, out);
    if (result == 0 && id == CLOCK_REALTIME) out->tv_sec += *step;
    return result;
}
"#;

/// The agent's wall clock, which this scenario sets. A namespace has none of its own, and the
/// machine's is not ours to set.
struct WallClock {
    step_file: PathBuf,
    library: PathBuf,
}

impl WallClock {
    fn build() -> Self {
        let name = super::subject::connection_name();
        let step_file = std::env::temp_dir().join(format!("{name}-step"));
        let library = std::env::temp_dir().join(format!("{name}.so"));
        let source = library.with_extension("c");
        fs::write(&source, CLOCK_SOURCE).expect("a source file");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .status();
        let _ = fs::remove_file(source);
        assert!(built.expect("cc").success(), "the clock does not build");
        let clock = Self { step_file, library };
        clock.step(0);
        clock
    }

    /// So many seconds off, from now on. Written in place: the agent has the file mapped.
    fn step(&self, seconds: i64) {
        use std::os::unix::fs::FileExt;
        let file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.step_file);
        let written = file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0));
        written.expect("the clock's file");
    }

    /// An agent's variables that make it ask this clock.
    fn variables(&self, mut variables: Vec<(String, String)>) -> Vec<(String, String)> {
        let text = |path: &PathBuf| path.to_str().expect("a plain path").to_owned();
        variables.push(("LD_PRELOAD".to_owned(), text(&self.library)));
        variables.push(("CLOCK_STEP".to_owned(), text(&self.step_file)));
        variables
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.step_file);
        let _ = fs::remove_file(&self.library);
    }
}

/// The wall clock jumps to and fro while sessions are at work, and to a time at which the
/// gateway's certificate is not valid yet.
pub fn wall_clock(plan: &Plan) -> Row {
    let clock = WallClock::build();
    let eager = [("HOOP_LITE_RECONNECT_MAX", "1s")];
    let subject = Subject::start_with(setup(), &eager, |variables| {
        AgentProcess::start(&plan.dynamic_agent, &clock.variables(variables.to_vec()))
    });
    let echo = Target::start(Manner::Echo);
    // The C library's allocator learns from its first large blocks, and keeps some of them.
    for _ in 0..5 {
        drop(Workload::open(&subject.gateway, echo.port()));
        subject.figures();
    }
    let before = subject.figures();
    let stream = subject.gateway.stream_number(NAME);
    let mut workload = Workload::open(&subject.gateway, echo.port());
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a date")
        .as_secs();
    let now = i64::try_from(now).expect("a date");
    let steps = [
        3600,
        -3600,
        86_400,
        -86_400,
        10 * 365 * 86_400,
        86_400 - now,
        0,
    ];
    for step in steps {
        clock.step(step);
        // A keep-alive and a key check later nothing has changed.
        std::thread::sleep(plan.seconds(12, 1));
        workload.check();
        subject.check_link_is(stream);
    }
    drop(workload);
    clock.step(0);
    subject.gateway.drop_link(NAME);
    subject.gateway.wait_offline(NAME);
    subject.gateway.wait_online(NAME);
    subject.check_works();
    let after = subject.figures();
    start_in_1970(&clock, 86_400 - now, &subject.gateway, &plan.dynamic_agent);
    Row::new(
        "wall-clock",
        "steps of an hour, a day and ten years, and to 1970, both ways (LD_PRELOAD), sessions at work",
        "nothing noticed; an agent started in 1970 names the certificate, and connects when the clock is right",
        before,
        after,
    )
}

/// An agent that starts before the gateway's certificate is valid finds the gateway as soon as
/// its clock is right.
fn start_in_1970(clock: &WallClock, step: i64, gateway: &Gateway, binary: &str) {
    clock.step(step);
    let key = gateway.register("late", "standard");
    let agent = AgentProcess::start(binary, &clock.variables(gateway.environment(&key)));
    let line = agent.wait_text("no connection to");
    assert!(
        line.contains("certificate") && line.contains("clock is probably wrong"),
        "{line}"
    );
    clock.step(0);
    gateway.wait_online("late");
}

/// A time namespace in which the machine has just been started: what subtracts from the
/// monotonic clock ends up before its beginning.
pub fn young_machine(plan: &Plan) -> Row {
    let uptime = fs::read_to_string("/proc/uptime").expect("/proc/uptime");
    let seconds: u64 = uptime
        .split('.')
        .next()
        .and_then(|text| text.parse().ok())
        .expect("seconds");
    let spawn = |offset: String| {
        move |variables: &[(String, String)]| {
            let inner = AgentProcess::command(&plan.agent, variables);
            let mut command = Command::new("unshare");
            command
                .args(["--time", "--monotonic", &offset, "--boottime", &offset])
                .arg(inner.get_program())
                .env_clear()
                .envs(
                    inner
                        .get_envs()
                        .filter_map(|(name, value)| Some((name, value?))),
                );
            AgentProcess::spawn(&mut command)
        }
    };
    let eager = [("HOOP_LITE_RECONNECT_MAX", "1s")];
    let mut figures = None;
    for offset in [
        format!("-{}", seconds.saturating_sub(1)),
        "3153600000".to_owned(),
    ] {
        let subject = Subject::start_with(setup(), &eager, spawn(offset));
        subject.check_works();
        let before = subject.figures();
        // Past a keep-alive and a key check.
        std::thread::sleep(plan.seconds(25, 1));
        subject.gateway.drop_link(NAME);
        subject.gateway.wait_offline(NAME);
        subject.gateway.wait_online(NAME);
        subject.check_works();
        figures = Some((before, subject.figures()));
    }
    let (before, after) = figures.expect("two rounds");
    Row::new(
        "young-machine",
        "time namespaces: a machine up for a second, and one up for a hundred years",
        "sessions, keep-alive, key check and reconnect as ever",
        before,
        after,
    )
}

/// The agent is stopped, as a suspended machine stops it, at the worst moment: the key check has
/// been asked, its answer is still to come.
pub fn suspend(plan: &Plan) -> Row {
    let pause = plan.seconds(60, 17);
    let subject = Subject::start(plan, &[]);
    let echo = Target::start(Manner::Echo);
    subject.check_works();
    let before = subject.figures();
    let stream = subject.gateway.stream_number(NAME);
    let mut workload = Workload::open(&subject.gateway, echo.port());
    subject.gateway.set_preconnect(PreConnectMood::Silent);
    let from = subject.gateway.mark();
    subject
        .gateway
        .wait_event(from, "a key check", |event| match event {
            Event::PreConnect { .. } => Some(()),
            _ => None,
        });
    subject.agent.signal(libc::SIGSTOP);
    // What the gateway says meanwhile waits in the socket.
    subject.gateway.send(NAME, Packet::new("PacketOfTheFuture"));
    subject.gateway.set_preconnect(PreConnectMood::Normal);
    std::thread::sleep(pause);
    subject.agent.signal(libc::SIGCONT);
    workload.check();
    subject.check_link_is(stream);
    drop(workload);
    // Whether or not the check that was never answered ends the link by and by, all works.
    wait_until("the agent online", || subject.gateway.is_online(NAME));
    subject.check_works();
    let after = subject.figures();
    Row::new(
        "suspend",
        &format!(
            "the agent stopped for {} s with a key check under way",
            pause.as_secs()
        ),
        "same stream, sessions go on where they were, nothing lost",
        before,
        after,
    )
}

/// The gateway's process is stopped: for less than the agent's patience, then for more.
pub fn gateway_stop(plan: &Plan) -> Row {
    let echo = Target::start(Manner::Echo);
    let place = Place::new(8011, echo.port());
    let mut gateway = GatewayProcess::start(&place);
    let agent = gateway.start_agent(&plan.agent, &[("HOOP_LITE_RECONNECT_MAX", "1s")]);
    gateway.wait_working();
    let before = figures_at_work(&agent);
    let losses = || {
        agent
            .lines()
            .iter()
            .filter(|line| line.contains("disconnected from "))
            .count()
    };
    gateway.signal(libc::SIGSTOP);
    std::thread::sleep(plan.seconds(4, 2));
    gateway.signal(libc::SIGCONT);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(losses(), 0, "a short stop ended the link");
    let stopped = Instant::now();
    gateway.signal(libc::SIGSTOP);
    wait_until("the agent to find its link dead", || losses() > 0);
    let found = stopped.elapsed();
    std::thread::sleep(Duration::from_secs(20).saturating_sub(stopped.elapsed()));
    gateway.signal(libc::SIGCONT);
    let resumed = Instant::now();
    gateway.wait_working();
    let back = resumed.elapsed();
    let after = figures_at_work(&agent);
    Row::new(
        "gateway-stop",
        "SIGSTOP of the gateway for 4 s, then for 20 s, sessions at work",
        &format!(
            "4 s: nothing noticed; 20 s: found dead after {:.1} s, sessions of each kind at work {:.1} s after SIGCONT",
            found.as_secs_f64(),
            back.as_secs_f64()
        ),
        before,
        after,
    )
}
