//! Whom the end of a session reaches: a normal one, one that the client forces, a revoked key, and
//! the end of the agent itself.

use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{Session, SessionRequest};

use crate::world::{Folder, World, forward_at_work};

/// Programs that stay behind, in the words of a shell. Descriptor 9 tells that one of them lives.
/// READY is a pipe on which two wait for one another.
const DEAF: &str = "(trap '' TERM HUP; : >READY; while :; do sleep 1000; done) & : <READY";
const NOHUP: &str = "nohup sh -c ': >READY; exec sleep 1000' & : <READY";
const OWN_SESSION: &str = "setsid sh -c ': >READY; exec sleep 1000' & : <READY";
const JOB: &str = "set -m; sleep 1000 & set +m";
const DEAF_TO_TERM: &str = "(trap '' TERM; : >READY; while :; do sleep 1000; done) & : <READY";
const CHAIN: &str = "chain() { sleep 0.002; chain & }; chain &";
/// A process for each link, of a fraction of a millisecond.
const FAST_CHAIN: &str = "python3 -c 'import os
while True:
  if os.fork(): os._exit(0)' &";

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
    let world = World::start();
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
    let world = World::start();
    let folder = Folder::new("client-left");
    let holders = Holders::new(&folder, "all");
    let script = holders.start(&ATTACHED) + &holders.start(&DETACHED);
    let mut session = endless(&world, &script);
    session.kill();
    holders.wait_gone();
    world.agent.wait_childless();
}

#[test]
fn a_closed_console_leaves_no_chain_of_forks() {
    let world = World::start();
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
fn a_revoked_key_reaches_what_earlier_sessions_left_behind() {
    let world = World::with_variables(&[("HOOP_LITE_KEY_CHECK_INTERVAL", "5s")]);
    let folder = Folder::new("revoked-ends");
    let earlier = Holders::new(&folder, "earlier");
    assert_eq!(world.shell(&earlier.start(&DETACHED)).code, 0);
    let holders = Holders::new(&folder, "all");
    let script = holders.start(&ATTACHED) + &holders.start(&DETACHED);
    let _session = endless(&world, &script);
    earlier.check_held();
    world.gateway.revoke("demo");
    world.gateway.wait_offline("demo");
    holders.wait_gone();
    earlier.wait_gone();
    world.agent.wait_childless();
}

#[test]
fn an_agent_that_is_killed_leaves_nothing() {
    let world = World::start();
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
    let _session = endless(&world, &(script + "trap '' TERM HUP\n"));
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
