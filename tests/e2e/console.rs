//! `hoop connect` on a command: a real terminal.

use loopback_gateway::process::wait_gone;
use loopback_gateway::{Session, SessionRequest};

use crate::world::World;

/// What the shells of these tests prompt with; not typed by any test, so its echo cannot be taken
/// for it.
const PROMPT: &str = "ready$ ";

fn shell(world: &World) -> Session<'_> {
    let request =
        SessionRequest::console(&["bash", "--norc", "--noprofile", "-i"]).env("PS1", PROMPT);
    let mut session = world.open(request);
    session.start_console();
    session.expect(PROMPT);
    session
}

/// Types a line and returns what was printed up to the next prompt.
fn ask(session: &mut Session<'_>, line: &str) -> String {
    session.write(&format!("{line}\n"));
    let output = session.expect(PROMPT).replace('\r', "");
    let output = output.strip_suffix(PROMPT).unwrap_or(&output);
    output
        .split_once('\n')
        .map_or(String::new(), |(_, answer)| answer.trim_end().to_owned())
}

#[test]
fn it_is_a_terminal_with_a_size_and_a_type() {
    let world = World::start();
    let mut session = shell(&world);
    let tty = ask(&mut session, "tty");
    assert!(tty.contains("/dev/pts/"), "{tty:?}");
    assert!(ask(&mut session, "stty size").contains("24 80"));
    assert!(ask(&mut session, "echo $TERM").contains("xterm-256color"));
    session.write("exit 5\n");
    assert_eq!(session.wait_close().code, Some(5));
}

#[test]
fn a_resize_before_the_start_is_kept_and_one_after_it_is_told() {
    let world = World::start();
    let request =
        SessionRequest::console(&["bash", "--norc", "--noprofile", "-i"]).env("PS1", PROMPT);
    let mut session = world.open(request);
    session.wait_open();
    session.resize(33, 101);
    session.write("\n");
    session.expect(PROMPT);
    assert!(ask(&mut session, "stty size").contains("33 101"));
    ask(&mut session, "trap 'echo size $(stty size)' WINCH");
    session.resize(50, 132);
    session.write("\n");
    session.expect("size 50 132");
    session.send(loopback_gateway::Packet::new("AgentTerminalResizeTTY").carrying("rubbish,1"));
    assert!(ask(&mut session, "stty size").contains("50 132"));
}

#[test]
fn the_first_keys_are_typed_unless_they_are_the_lone_line_feed_that_starts_it() {
    let world = World::start();
    let mut session = world.open(SessionRequest::console(&["cat"]));
    session.wait_open();
    session.write("first\n");
    session.expect("first\r\nfirst\r\n");
    session.write("\x04");
    assert_eq!(session.wait_close().code, Some(0));
    let mut session = world.open(SessionRequest::console(&[
        "sh",
        "-c",
        "stty -echo; echo go; wc -c",
    ]));
    session.start_console();
    session.expect("go");
    session.write("abc\n\x04");
    session.expect("4");
    assert_eq!(session.wait_close().code, Some(0));
}

#[test]
fn ctrl_c_interrupts_the_foreground_and_not_the_shell() {
    let world = World::start();
    let mut session = shell(&world);
    session.write("sleep 300; echo never\n");
    session.expect("never\r\n");
    session.write("\x03");
    session.expect(PROMPT);
    assert_eq!(ask(&mut session, "echo code $?"), "code 130");
}

#[test]
fn ctrl_z_stops_a_job_and_fg_brings_it_back() {
    let world = World::start();
    let mut session = shell(&world);
    session.write("sleep 300\n");
    session.expect("sleep 300\r\n");
    // The terminal takes Ctrl-Z only once bash has made the job its foreground.
    session.write("\x1a");
    session.expect("Stopped");
    session.expect(PROMPT);
    assert!(ask(&mut session, "jobs").contains("Stopped"));
    session.write("fg\n");
    session.expect("sleep 300\r\n");
    session.write("\x03");
    session.expect(PROMPT);
    assert_eq!(ask(&mut session, "jobs; echo none"), "none");
}

#[test]
fn bytes_pass_unchanged_through_a_raw_terminal() {
    let world = World::start();
    let script = "stty raw -echo; printf go; head -c 256 | od -An -v -tu1 | tr -s ' \\n' '  '";
    let mut session = world.open(SessionRequest::console(&["bash", "-c", script]));
    session.start_console();
    session.expect("go");
    let bytes: Vec<u8> = (0..=255).collect();
    session.write_bytes(&bytes);
    let wanted: Vec<String> = bytes.iter().map(u8::to_string).collect();
    session.expect(&wanted.join(" "));
    assert_eq!(session.wait_close().code, Some(0));
}

#[test]
fn the_last_output_comes_before_the_close() {
    let world = World::start();
    let mut session = world.open(SessionRequest::console(&[
        "sh",
        "-c",
        "seq 1 50000; exit 6",
    ]));
    session.start_console();
    session.expect("\r\n50000\r\n");
    assert_eq!(session.wait_close().code, Some(6));
}

#[test]
fn a_shell_that_shrugs_off_term_is_gone_when_its_client_is() {
    let world = World::start();
    let mut session = shell(&world);
    let pid: i32 = ask(&mut session, "echo $$").parse().unwrap();
    ask(&mut session, "trap '' TERM HUP");
    session.kill();
    wait_gone(pid);
    world.agent.wait_childless();
}

#[test]
fn a_missing_shell_is_said_and_not_success() {
    let world = World::start();
    let mut session = world.open(SessionRequest::console(&["no-such-shell"]));
    session.start_console();
    let close = session.wait_close();
    assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
    assert!(close.text.contains("no-such-shell"), "{close:?}");
}
