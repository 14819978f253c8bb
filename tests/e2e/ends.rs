//! Whom the end of a session reaches: a normal one, one that the client forces, a revoked key, and
//! the end of the agent itself.

use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Gateway, Security, Session, SessionRequest};

use crate::world::{AGENT, Folder, World, environment, forward_at_work};

/// Programs that stay behind, in the words of a shell. Descriptor 9 tells that one of them lives.
/// READY is a pipe on which two wait for one another.
const DEAF: &str = "(trap '' TERM HUP; : >READY; while :; do sleep 1000; done) & : <READY";
const NOHUP: &str = "nohup sh -c ': >READY; exec sleep 1000' & : <READY";
const OWN_SESSION: &str = "setsid sh -c ': >READY; exec sleep 1000' & : <READY";
/// In a group of its own.
const JOB: &str = "bash -c 'set -m; sleep 1000 &'";
const DEAF_TO_TERM: &str = "(trap '' TERM; : >READY; while :; do sleep 1000; done) & : <READY";
const CHAIN: &str = "chain() { sleep 0.002; chain & }; chain &";
/// A process for each link, of a fraction of a millisecond.
const FAST_CHAIN: &str = "python3 -c 'import os
while True:
  if os.fork(): os._exit(0)' &";

/// Stays at its limit of processes for longer than anybody here waits, and for no more than that.
const BOMB: &str = "python3 -c 'import glob, os, resource, signal, time
end = time.time() + LASTS
os.setsid()
for number in (1, 15): signal.signal(number, signal.SIG_IGN)
ready = os.open(\"READY\", os.O_WRONLY)
def mine(task):
  try: return os.stat(task).st_uid == os.getuid()
  except OSError: return False
limit = 40
if os.getuid() == 0: os.setgid(64123); os.setuid(64123)
else: limit += sum(map(mine, glob.glob(\"/proc/[0-9]*/task/[0-9]*\")))
resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
while time.time() < end:
  try: os.fork()
  except OSError:
    if ready: os.close(ready); ready = 0' & cat <READY";

/// Those that have detached themselves on purpose, and those that have not.
const DETACHED: [&str; 3] = [DEAF, NOHUP, OWN_SESSION];
const ATTACHED: [&str; 4] = [JOB, DEAF_TO_TERM, CHAIN, FAST_CHAIN];

/// A named pipe that programs hold open: its end is theirs, down to the last one.
struct Holders {
    path: String,
    gone: Receiver<()>,
}

impl Holders {
    fn new(folder: &Folder, name: &str) -> Self {
        let path = folder.file(name);
        let ready = format!("{path}.ready");
        let made = std::process::Command::new("mkfifo")
            .args([&path, &ready])
            .status();
        assert!(made.unwrap().success());
        let (sender, gone) = channel();
        let opened = path.clone();
        std::thread::spawn(move || {
            let end = File::open(opened).unwrap().read_to_end(&mut Vec::new());
            assert_eq!(end.unwrap(), 0);
            let _ = sender.send(());
        });
        Self { path, gone }
    }

    /// Shell text that starts `programs` as holders, far from the session's own streams.
    fn start(&self, programs: &[&str]) -> String {
        let programs = programs
            .join("\n")
            .replace("READY", &format!("{}.ready", self.path));
        format!(
            "{{ {programs}\n}} </dev/null >/dev/null 2>&1 9>{}\n",
            self.path
        )
    }

    fn wait_gone(&self) {
        let end = self.gone.recv_timeout(loopback_gateway::deadline());
        end.expect("programs of the session are left");
    }

    fn check_held(&self) {
        assert_eq!(self.gone.try_recv(), Err(TryRecvError::Empty), "gone too");
    }
}

/// The agent as it is; and, where we may take them away, without control groups.
fn worlds(variables: &[(&str, &str)]) -> impl Iterator<Item = World> {
    let hides = std::process::Command::new("unshare")
        .args(["--mount", "true"])
        .status();
    let hides = hides.is_ok_and(|status| status.success());
    [false, true]
        .into_iter()
        .filter(move |is_hidden| hides || !is_hidden)
        .map(|is_hidden| match is_hidden {
            false => World::with_variables(variables),
            true => without_control_groups(variables),
        })
}

fn without_control_groups(variables: &[(&str, &str)]) -> World {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$0\"";
    let mut command = AgentProcess::command("unshare", &environment(&gateway, &key, variables));
    command.args(["--mount", "--", "sh", "-c", script, AGENT]);
    let agent = AgentProcess::spawn(&mut command);
    gateway.wait_online("demo");
    World {
        agent,
        gateway,
        key,
    }
}

/// A session whose script has come to its last line, and goes on for ever.
fn endless<'world>(world: &'world World, script: &str) -> Session<'world> {
    let mut session = world.open(SessionRequest::exec(&["sh"]));
    session.wait_open();
    session.send_stdin(format!("{script}echo up; exec sleep 1000\n").as_bytes());
    session.expect("up\n");
    session
}

#[test]
fn a_normal_end_reaches_jobs_and_chains_and_spares_what_detached_itself() {
    for world in worlds(&[]) {
        check_normal_end(&world);
    }
}

fn check_normal_end(world: &World) {
    let folder = Folder::new("normal-end");
    let (attached, detached) = (
        Holders::new(&folder, "attached"),
        Holders::new(&folder, "detached"),
    );
    let script = attached.start(&ATTACHED) + &detached.start(&DETACHED) + "echo over\n";
    let outcome = world.shell(&script);
    assert_eq!((outcome.out().as_str(), outcome.code), ("over\n", 0));
    attached.wait_gone();
    detached.check_held();
    // What earlier sessions left behind belongs to the key.
    world.agent.signal(libc::SIGTERM);
    assert_eq!(world.agent.wait_exit().code(), Some(0));
    detached.wait_gone();
}

/// The shell is over before its last job has come to its `nohup`.
#[test]
fn a_job_that_is_about_to_detach_itself_is_spared() {
    let world = World::start();
    let folder = Folder::new("about-to");
    let holders: Vec<_> = (0..20)
        .map(|round| {
            let holders = Holders::new(&folder, &format!("round-{round}"));
            let job = "nohup sh -c 'sleep 1; : >READY; exec sleep 1000' & echo >/dev/null";
            assert_eq!(world.shell(&holders.start(&[job])).code, 0);
            holders
        })
        .collect();
    for holder in &holders {
        // It lives twice as long as it had before anybody was asked, and says so.
        let (sender, is_ready) = channel();
        let ready = format!("{}.ready", holder.path);
        std::thread::spawn(move || sender.send(File::open(ready).is_ok()));
        let answer = is_ready.recv_timeout(loopback_gateway::deadline());
        assert_eq!(answer, Ok(true), "a job was not spared");
        holder.check_held();
    }
}

#[test]
fn a_setting_ends_what_detached_itself_too() {
    let world = World::with_variables(&[("HOOP_LITE_END_DETACHED", "true")]);
    let folder = Folder::new("end-detached");
    let holders = Holders::new(&folder, "all");
    let script = holders.start(&ATTACHED) + &holders.start(&DETACHED) + "echo over\n";
    assert_eq!(world.shell(&script).code, 0);
    holders.wait_gone();
    world.agent.wait_childless();
}

#[test]
fn a_client_that_leaves_leaves_nothing() {
    for world in worlds(&[]) {
        check_client_left(&world);
    }
}

fn check_client_left(world: &World) {
    let folder = Folder::new("client-left");
    let holders = Holders::new(&folder, "all");
    let script = holders.start(&ATTACHED) + &holders.start(&DETACHED);
    let mut session = endless(world, &script);
    session.kill();
    holders.wait_gone();
    world.agent.wait_childless();
}

#[test]
fn a_closed_console_leaves_no_chain_of_forks() {
    for world in worlds(&[]) {
        check_chains(&world);
    }
}

fn check_chains(world: &World) {
    let folder = Folder::new("chains");
    for round in 0..5 {
        let holders = Holders::new(&folder, &format!("round-{round}"));
        let mut console = world.open(SessionRequest::console(&["sh", "-i"]));
        console.start_console();
        console.write(&(holders.start(&[CHAIN, FAST_CHAIN]) + "echo u''p\n"));
        console.expect("up\r\n");
        console.kill();
        holders.wait_gone();
    }
    world.agent.wait_childless();
}

#[test]
fn a_fork_bomb_at_its_limit_ends_with_its_session() {
    let lasts = 2 * loopback_gateway::deadline().as_secs();
    let bomb = BOMB.replace("LASTS", &lasts.to_string());
    for world in worlds(&[]) {
        let folder = Folder::new("bomb");
        let holders = Holders::new(&folder, "all");
        let mut session = endless(&world, &holders.start(&[&bomb]));
        session.kill();
        holders.wait_gone();
        world.agent.wait_childless();
    }
}

#[test]
fn a_revoked_key_reaches_what_earlier_sessions_left_behind() {
    for world in worlds(&[("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")]) {
        check_revocation(&world);
    }
}

fn check_revocation(world: &World) {
    let folder = Folder::new("revoked-ends");
    let earlier = Holders::new(&folder, "earlier");
    assert_eq!(world.shell(&earlier.start(&DETACHED)).code, 0);
    let holders = Holders::new(&folder, "all");
    let script = holders.start(&ATTACHED) + &holders.start(&DETACHED);
    let _session = endless(world, &script);
    earlier.check_held();
    world.gateway.revoke("demo");
    world.gateway.wait_offline("demo");
    holders.wait_gone();
    earlier.wait_gone();
    world.agent.wait_childless();
}

#[test]
fn an_agent_that_is_killed_leaves_nothing() {
    for world in worlds(&[]) {
        check_agent_killed(&world);
    }
}

fn check_agent_killed(world: &World) {
    let folder = Folder::new("agent-killed");
    let target = Target::start(Manner::Echo);
    let _forward = forward_at_work(&world.gateway, &target);
    let earlier = Holders::new(&folder, "earlier");
    assert_eq!(world.shell(&earlier.start(&DETACHED)).code, 0);
    let holders = Holders::new(&folder, "all");
    let script = holders.start(&ATTACHED) + &holders.start(&DETACHED);
    let request = SessionRequest::console(&["sh"]).file("CERT", b"secret");
    let mut console = world.open(request);
    console.start_console();
    console.write("echo at $CERT.\n");
    console.expect("\r\n");
    console.expect("at ");
    let secret = console.expect(".").trim_end_matches('.').to_owned();
    assert!(std::path::Path::new(&secret).exists());
    let _session = endless(world, &(script + "trap '' TERM HUP\n"));
    world.agent.signal(libc::SIGKILL);
    holders.wait_gone();
    earlier.wait_gone();
    let until = std::time::Instant::now() + loopback_gateway::deadline();
    let folder = std::path::Path::new(&secret).parent().unwrap();
    while folder.exists() {
        assert!(std::time::Instant::now() < until, "{secret} is left");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
