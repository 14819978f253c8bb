//! Programs under measurement: pinned to a core, killed when dropped, and what the kernel says of
//! them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where a program runs.
#[derive(Clone, Copy)]
pub enum Core {
    /// On one of its own.
    Own,
    /// On that of gateway and targets.
    Shared,
}

/// Starts programs, by default on a core of their own; everything else stays on another one.
pub struct Launcher {
    own: Orders,
    shared: Orders,
    /// There is only one core.
    pub is_single: bool,
}

type Orders = Sender<(Command, Sender<Child>)>;

impl Launcher {
    /// Moves this thread, and the threads that it will start, to one core, and takes another for
    /// programs.
    pub fn start() -> Self {
        let allowed = sched_getaffinity(None).unwrap();
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let shared = cores.next().expect("a core");
        let own = cores.next();
        pin(shared);
        Self {
            own: launch_on(own.unwrap_or(shared)),
            shared: launch_on(shared),
            is_single: own.is_none(),
        }
    }

    /// Runs a command.
    pub fn run(&self, core: Core, command: Command) -> Process {
        let (answer, child) = channel();
        let orders = match core {
            Core::Own => &self.own,
            Core::Shared => &self.shared,
        };
        orders.send((command, answer)).unwrap();
        Process {
            child: child.recv().expect("a started program"),
        }
    }
}

/// Programs inherit the core of the thread that starts them.
fn launch_on(core: usize) -> Orders {
    let (orders, received) = channel::<(Command, Sender<Child>)>();
    thread::spawn(move || {
        pin(core);
        for (mut command, answer) in received {
            let child = command
                .spawn()
                .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
            answer.send(child).unwrap();
        }
    });
    orders
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).unwrap();
}

/// A running program.
pub struct Process {
    child: Child,
}

impl Process {
    /// Waits for a line on standard error that contains `wanted`; later ones are read and dropped.
    pub fn wait_line(&mut self, wanted: &str) {
        let mut lines = BufReader::new(self.child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            let size = lines.read_line(&mut line).unwrap();
            assert!(size > 0, "the program ended without saying '{wanted}'");
        }
        thread::spawn(move || lines.read_to_end(&mut Vec::new()));
    }

    /// Time on a core so far, of all threads.
    pub fn cpu(&self) -> Duration {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap() {
            let path = task.unwrap().path().join("schedstat");
            // A thread may end between being listed and being read.
            let text = fs::read_to_string(path).unwrap_or_default();
            total += text
                .split(' ')
                .next()
                .and_then(|word| word.parse::<u64>().ok())
                .unwrap_or(0);
        }
        Duration::from_nanos(total)
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        self.status("VmRSS")
    }

    /// Times that it left a core, willingly or not.
    pub fn switches(&self) -> u64 {
        self.status("voluntary_ctxt_switches") + self.status("nonvoluntary_ctxt_switches")
    }

    fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in /proc"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended with its link.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that says nothing, with no variables but these.
pub fn command(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
