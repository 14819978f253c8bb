//! The agent's program as a test holds it: its lines, its signals, and what the kernel says of it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::gateway::deadline;

/// What the program said, and how it ended.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    stdout: Vec<u8>,
    status: Option<ExitStatus>,
    /// Streams that are still open.
    open: usize,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap());
        self.changed.notify_all();
    }
}

/// A running agent. Dropping it kills it.
pub struct AgentProcess {
    pid: i32,
    shared: Arc<Shared>,
}

impl AgentProcess {
    /// Runs the agent at this path with these variables and, of ours, only PATH and HOME.
    pub fn start(binary: impl AsRef<Path>, environment: &[(String, String)]) -> Self {
        Self::spawn(&mut Self::command(binary, environment))
    }

    /// The command behind `start`, for tests that change it.
    pub fn command(binary: impl AsRef<Path>, environment: &[(String, String)]) -> Command {
        let mut command = Command::new(binary.as_ref());
        command.env_clear();
        for name in ["PATH", "HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the agent as the first process of a PID namespace of its own. Needs root.
    pub fn start_as_first(binary: impl AsRef<Path>, environment: &[(String, String)]) -> Self {
        Self::spawn_as_first(&Self::command(binary, environment))
    }

    /// Likewise, for tests that change the command.
    pub fn spawn_as_first(inner: &Command) -> Self {
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear()
            .envs(
                inner
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        let mut process = Self::spawn(&mut command);
        let give_up = Instant::now() + deadline();
        process.pid = loop {
            match process.children()[..] {
                [pid] => break pid,
                _ => assert!(Instant::now() < give_up, "unshare started nothing"),
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        process
    }

    /// Runs a command, collecting what it says.
    pub fn spawn(command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let pid = i32::try_from(child.id()).expect("a pid");
        let shared = Arc::new(Shared::default());
        shared.change(|told| told.open = 2);
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut stdout = child.stdout.take().expect("piped");
        let told = shared.clone();
        std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                told.change(|told| told.lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
            told.change(|told| told.open -= 1);
        });
        let told = shared.clone();
        std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = stdout.read_to_end(&mut all);
            told.change(|told| {
                told.stdout = all;
                told.open -= 1;
            });
        });
        let told = shared.clone();
        std::thread::spawn(move || {
            let status = child.wait();
            told.change(|told| told.status = status.ok());
        });
        Self { pid, shared }
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    fn wait<T>(&self, what: &str, mut find: impl FnMut(&Told) -> Option<T>) -> T {
        let give_up = Instant::now() + deadline();
        let mut told = self.shared.told.lock().unwrap();
        loop {
            if let Some(found) = find(&told) {
                return found;
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() || (told.status.is_some() && told.open == 0) {
                let status = told.status;
                let lines = told.lines.join("\n  ");
                drop(told);
                panic!("waited in vain for {what}; status {status:?}; the agent said:\n  {lines}");
            }
            told = self.shared.changed.wait_timeout(told, left).unwrap().0;
        }
    }

    /// Waits for a line on standard error that `wanted` likes, and returns it.
    pub fn wait_line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.wait(what, |told| {
            told.lines.iter().find(|line| wanted(line)).cloned()
        })
    }

    /// Waits for a line on standard error with this text in it, and returns it.
    pub fn wait_text(&self, text: &str) -> String {
        self.wait_line(&format!("a line with {text:?}"), |line| line.contains(text))
    }

    /// Standard error so far.
    pub fn lines(&self) -> Vec<String> {
        self.shared.told.lock().unwrap().lines.clone()
    }

    /// Waits for the end and returns how it ended.
    pub fn wait_exit(&self) -> ExitStatus {
        self.wait("the agent's end", |told| told.status)
    }

    /// Waits for the end and returns standard output.
    pub fn wait_stdout(&self) -> String {
        self.wait("the end of standard output", |told| {
            (told.open == 0).then(|| String::from_utf8_lossy(&told.stdout).into_owned())
        })
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.shared.told.lock().unwrap().status.is_none()
    }

    /// Sends a signal, `libc::SIGTERM` and others, if it still runs.
    pub fn signal(&self, signal: i32) {
        let told = self.shared.told.lock().unwrap();
        if told.status.is_none() {
            // SAFETY: kill takes no pointers; the pid is that of our own child.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    fn proc_file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.pid);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn status_number(&self, field: &str) -> u64 {
        let status = self.proc_file("status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {field} in {status}"))
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.status_number("VmRSS")
    }

    /// The most that it ever was.
    pub fn rss_peak_kib(&self) -> u64 {
        self.status_number("VmHWM")
    }

    /// Of it, what is not backed by a file: heap and stack.
    pub fn rss_anonymous_kib(&self) -> u64 {
        self.status_number("RssAnon")
    }

    /// Threads.
    pub fn threads(&self) -> u64 {
        self.status_number("Threads")
    }

    /// Context switches so far, voluntary or not.
    pub fn switches(&self) -> u64 {
        self.status_number("voluntary_ctxt_switches")
            + self.status_number("nonvoluntary_ctxt_switches")
    }

    /// Open descriptors. Needs root, since the agent keeps its secrets from other processes of its user.
    pub fn fds(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid);
        let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        entries.count()
    }

    /// Processor time used so far, in milliseconds.
    pub fn cpu_ms(&self) -> u64 {
        let stat = self.proc_file("stat");
        let fields = stat_fields(&stat);
        let ticks: u64 = fields[11..13]
            .iter()
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        // SAFETY: sysconf takes no pointers.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        ticks * 1000 / u64::try_from(per_second).unwrap_or(100)
    }

    /// For how long it was ready to go on and the machine had no processor for it.
    pub fn waited_for_cpu(&self) -> Duration {
        waited_for_cpu(&self.proc_file("schedstat"))
    }

    /// The pids of its direct children.
    pub fn children(&self) -> Vec<i32> {
        let entries = std::fs::read_dir("/proc").expect("/proc");
        let pids =
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| parent_of(*pid) == Some(self.pid))
            .collect()
    }

    /// Waits until it has no children.
    pub fn wait_childless(&self) {
        let give_up = Instant::now() + deadline();
        while !self.children().is_empty() {
            assert!(
                Instant::now() < give_up,
                "children are left: {:?}",
                self.children()
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Waits until it has at most so many descriptors, since sockets close after the last packet.
    pub fn wait_fds(&self, count_max: usize) {
        let give_up = Instant::now() + deadline();
        while self.fds() > count_max {
            assert!(
                Instant::now() < give_up,
                "{} descriptors are open, not {count_max}",
                self.fds()
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
        if std::thread::panicking() {
            eprintln!("the agent said:\n  {}", self.lines().join("\n  "));
        }
    }
}

/// The same of all threads of this process together.
pub fn waited_for_cpu_here() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("/proc");
    let paths = threads.filter_map(|thread| Some(thread.ok()?.path().join("schedstat")));
    // One may have ended since.
    let texts = paths.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    texts.map(|text| waited_for_cpu(&text)).sum()
}

/// The second field of a `schedstat`.
fn waited_for_cpu(schedstat: &str) -> Duration {
    let field = schedstat.split_whitespace().nth(1);
    let nanoseconds = field.and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// The fields of `/proc/PID/stat` from the third on: the name before may hold spaces.
fn stat_fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')')
        .map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect())
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat_fields(&stat).get(1)?.parse().ok()
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat_fields(&stat)
        .first()
        .is_some_and(|state| *state != "Z")
}

/// Waits until a process is gone.
pub fn wait_gone(pid: i32) {
    let give_up = Instant::now() + deadline();
    while is_alive(pid) {
        assert!(Instant::now() < give_up, "process {pid} still lives");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
