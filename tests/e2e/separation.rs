//! What sessions can do to one another, to the agent, and to its key.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use loopback_gateway::{AgentProcess, Gateway, Security, SessionRequest};

use crate::world::{AGENT, Folder, World, environment};

const SEPARATE: (&str, &str) = ("HOOP_LITE_SEPARATE_SESSIONS", "true");

/// Where the kernel can't, the agent has said so.
fn lacks_landlock(world: &World) -> bool {
    let lines = world.agent.lines();
    lines.iter().any(|line| line.contains("no Landlock"))
}

/// Root of this kernel can read another's environment by CAP_PERFMON, whatever Landlock says.
#[test]
fn sessions_reach_neither_one_another_nor_the_agent_and_control_their_own() {
    for variables in [&[SEPARATE][..], &[SEPARATE, ("HOOP_LITE_USER", "65534")]] {
        let world = World::with_variables(variables);
        if variables.len() == 2 && !is_root() {
            return;
        }
        if lacks_landlock(&world) {
            return;
        }
        check_separation(&world, variables.len() == 1 && is_root());
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn check_separation(world: &World, sessions_are_root: bool) {
    let victim = SessionRequest::console(&["sh", "-c", "echo at $$.; exec sleep 1000"]);
    let mut victim = world.open(victim.env("VICTIM", "secret-word"));
    victim.start_console();
    victim.expect("at ");
    let pid = victim.expect(".").trim_end_matches('.').to_owned();
    let script = format!(
        "for pid in {pid} {agent} $PPID; do
           kill -0 $pid && echo signalled $pid
           (: </proc/$pid/mem) && echo memory $pid
           prlimit --pid $pid --nofile=64:64 && echo limited $pid
         done
         bash -c 'ulimit -n 100 && exec prlimit --nofile=64:64 true' || echo no limits
         {root} || cat /proc/{pid}/environ
         sleep 1000 & kill -KILL $! && wait $!; echo own $?
         trap 'echo trapped' USR1; kill -USR1 $$
         bash -c 'set -m; (kill -TERM 0) & wait $!; echo job $?'
         cat /proc/self/oom_score_adj",
        agent = world.agent.pid(),
        root = sessions_are_root,
    );
    let outcome = world.shell(&script);
    let out = outcome.out();
    let lines: Vec<&str> = out.lines().collect();
    let own = ["own 137", "trapped", "job 143"];
    assert_eq!(lines[..3], own, "{out}{}", outcome.err());
    let score: i32 = lines[3].parse().unwrap();
    assert!(score >= 500, "{score}");
    // The agent itself can end them.
    victim.kill();
    loopback_gateway::process::wait_gone(pid.parse().unwrap());
    world.agent.wait_childless();
}

#[test]
fn without_being_asked_root_is_not_shut_off() {
    let world = World::start();
    let victim = SessionRequest::console(&["sh", "-c", "echo at $$.; exec sleep 1000"]);
    let mut victim = world.open(victim);
    victim.start_console();
    victim.expect("at ");
    let pid = victim.expect(".").trim_end_matches('.').to_owned();
    assert_eq!(world.shell(&format!("kill -0 {pid}")).code, 0);
}

#[test]
fn a_key_file_is_read_as_root_and_no_session_can() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let folder = Folder::new("key-of-root");
    let path = folder.file("key");
    std::fs::write(&path, &key).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    if !is_root() {
        return;
    }
    for (user, is_warned) in [("nobody", false), ("0", true)] {
        let more = [("HOOP_KEY_FILE", path.as_str()), ("HOOP_LITE_USER", user)];
        let mut variables = environment(&gateway, &key, &more);
        variables.retain(|(name, _)| name != "HOOP_KEY");
        // Where an ordinary user can execute it.
        let binary = folder.file("agent");
        std::fs::copy(AGENT, &binary).unwrap();
        let agent = AgentProcess::start(&binary, &variables);
        gateway.wait_online("demo");
        let lines = agent.lines();
        let warns = |line: &String| line.contains("can read this key");
        assert_eq!(lines.iter().any(warns), is_warned, "{lines:?}");
        let script = format!("id -u; id -G; cat {path}; grep -c . /proc/self/environ >&2");
        let session = gateway.open_session(SessionRequest::exec(&["sh"]));
        let outcome = session.run(script.as_bytes());
        if !is_warned {
            let out = outcome.out();
            let ids: Vec<&str> = out.lines().collect();
            assert_eq!(ids.len(), 2, "{}", outcome.out());
            assert_ne!(ids[0], "0");
            assert_eq!(ids[1].split(' ').count(), 1, "groups are left");
            assert!(
                outcome.err().contains("Permission denied"),
                "{}",
                outcome.err()
            );
        }
        assert_eq!(outcome.out().contains(&key), is_warned);
        if !is_warned {
            agent.wait_text("running as user ");
            gateway.drop_link("demo");
            let told = agent.wait_text("going on with the key as it was");
            assert!(told.contains("with --user it is read once"), "{told}");
            gateway.wait_online("demo");
        }
        agent.signal(libc::SIGTERM);
        assert_eq!(agent.wait_exit().code(), Some(0));
        gateway.wait_offline("demo");
    }
}

#[test]
fn a_user_that_nobody_knows_is_named() {
    let gateway = Gateway::start(Security::Tls);
    let key = gateway.register("demo", "standard");
    let variables = environment(&gateway, &key, &[("HOOP_LITE_USER", "no-such-user")]);
    let agent = AgentProcess::start(AGENT, &variables);
    assert_eq!(agent.wait_exit().code(), Some(1));
    agent.wait_text("no-such-user");
}

/// The folder is the sessions' own user's, so each of them can shut it.
#[test]
fn who_shuts_the_folder_of_secret_files_keeps_nobody_elses() {
    if !is_root() {
        return;
    }
    let base = Folder::new("shut");
    let base_path = base.file("");
    std::fs::set_permissions(&base_path, std::fs::Permissions::from_mode(0o1777)).unwrap();
    let world = World::with_variables(&[
        ("HOOP_LITE_USER", "65534"),
        ("RUNTIME_DIRECTORY", base_path.trim_end_matches('/')),
    ]);
    let request = || SessionRequest::console(&["sh", "-c", "cat $KEY; read wait"]);
    let mut victim = world.open(request().file("KEY", b"first."));
    victim.start_console();
    victim.expect("first.");
    let attacker = SessionRequest::exec(&["sh"]).file("KEY", b"x");
    let script = b"d=$(dirname $KEY); mkdir -p $d/a/b; chmod 0 $d/a; chmod 0500 $d";
    assert_eq!(world.open(attacker).run(script).code, 0);
    let mut later = world.open(request().file("KEY", b"second."));
    later.start_console();
    later.expect("second.");
    world.agent.signal(libc::SIGKILL);
    world.agent.wait_exit();
    // The next one of the same user sweeps what is left.
    let files = || {
        let folders = std::fs::read_dir(&base_path).unwrap().flatten();
        let entries =
            folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten());
        let entries = entries.flatten().filter(|entry| entry.path().is_file());
        entries.count()
    };
    let key = world.gateway.register("next", "standard");
    let more = [
        ("HOOP_LITE_USER", "65534"),
        ("RUNTIME_DIRECTORY", base_path.trim_end_matches('/')),
    ];
    let _next = AgentProcess::start(AGENT, &environment(&world.gateway, &key, &more));
    world.gateway.wait_online("next");
    assert_eq!(files(), 0);
}
