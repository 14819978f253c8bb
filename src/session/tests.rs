//! Scenarios of the sessions, with a world that answers at once or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::opening::Wish;
use super::sessions::Sessions;
use super::{
    AgentEnvironment, AuthorityError, Channel, End, Exit, Output, Report, STALLED, SessionLimits,
    Sources, TargetId, Unreached, Where,
};
use crate::base::{Secret, TerminalSize};
use crate::limits;
use crate::packet::{ConnectionParams, EnvVars, Kind, Outbox, Packet, SpecEntry, encode, spec};
use crate::wire::base64;

mod databases;
mod hostile_databases;
mod own_variables;
mod probe;
mod secrets;
mod silence;

/// Gives numbers that need not be told from others, and no authorities.
pub(super) struct Nonces;

impl Sources for Nonces {
    fn random(&mut self, bytes: &mut [u8]) -> bool {
        bytes.fill(7);
        true
    }

    fn authorities(&mut self, _: Option<&str>) -> Result<Arc<[u8]>, AuthorityError> {
        Err(AuthorityError::NoBundle)
    }
}

/// The sessions under test, their outbox, and a clock.
struct World {
    sessions: Sessions,
    outbox: Outbox,
    now: Instant,
}

const STARTED: Report<'_> = Report::Started { peer: None };

/// A packet that the agent sent.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    kind: Kind,
    session: String,
    connection: String,
    code: String,
    payload: String,
}

impl World {
    fn new() -> Self {
        Self::with(SessionLimits::default())
    }

    fn with(limits: SessionLimits) -> Self {
        let now = Instant::now();
        let mut sessions = Sessions::new(limits, AgentEnvironment::default());
        sessions.note_room(now, true);
        Self {
            sessions,
            outbox: Outbox::new(),
            now,
        }
    }

    fn with_budget(queue_bytes_max: usize) -> Self {
        Self::with(SessionLimits {
            queue_bytes_max,
            ..SessionLimits::default()
        })
    }

    fn open(&mut self, id: &str, params: ConnectionParams) {
        self.open_on(id, params, Vec::new());
    }

    fn open_on(&mut self, id: &str, params: ConnectionParams, request_port: Vec<u8>) {
        let wish = Wish {
            params,
            client: EnvVars::new(),
            request_port,
        };
        self.sessions
            .admit_wish(self.now, id, wish, &mut self.outbox);
    }

    /// What a shell has seen.
    fn report(&mut self, target: TargetId, report: Report<'_>) {
        self.sessions
            .handle_report(self.now, target, report, &mut self.outbox);
    }

    /// An open TCP session whose address check was answered.
    fn open_tcp(&mut self, id: &str) {
        self.open(id, tcp());
        let probe = self.connected();
        assert_eq!(self.one().kind, Kind::ClientSessionOpenOK);
        // Its server does not wait for anybody.
        self.ends(probe, Channel::Output);
        assert_eq!(self.closed(), (probe, false));
    }

    fn packet(&mut self, kind: Kind, entries: &[SpecEntry<'_>], payload: &[u8]) {
        let mut bytes = Vec::new();
        encode(&mut bytes, kind, entries, payload);
        let packet = Packet::decode(&bytes).unwrap();
        self.sessions
            .handle_packet(self.now, &packet, &mut self.outbox);
    }

    fn deliver(&mut self, kind: Kind, id: &str, payload: &[u8]) {
        self.packet(kind, &[(spec::SESSION_ID, id.as_bytes())], payload);
    }

    fn deliver_to(&mut self, kind: Kind, id: &str, connection: &str, payload: &[u8]) {
        let entries = [
            (spec::SESSION_ID, id.as_bytes()),
            (spec::CONNECTION_ID, connection.as_bytes()),
        ];
        self.packet(kind, &entries, payload);
    }

    fn tcp_write(&mut self, id: &str, connection: &str, payload: &[u8]) {
        self.deliver_to(Kind::AgentTCPConnectionWrite, id, connection, payload);
    }

    fn dialled(&mut self) -> TargetId {
        match self.sessions.poll_output() {
            Some(Output::Dial { target, .. }) => target,
            _ => panic!("nothing is dialled"),
        }
    }

    fn connected(&mut self) -> TargetId {
        let target = self.dialled();
        self.report(target, STARTED);
        target
    }

    fn spawned(&mut self) -> (TargetId, Box<super::Program>) {
        match self.sessions.poll_output() {
            Some(Output::Spawn { target, program }) => {
                self.report(target, STARTED);
                (target, program)
            }
            _ => panic!("nothing is spawned"),
        }
    }

    /// How the processes of the next target that is closed end.
    fn ended(&mut self) -> End {
        match self.sessions.poll_output() {
            Some(Output::Close { end, .. }) => end,
            _ => panic!("nothing is closed"),
        }
    }

    fn closed(&mut self) -> (TargetId, bool) {
        loop {
            match self.sessions.poll_output() {
                Some(Output::Close { target, reset, .. }) => return (target, reset),
                Some(Output::Examine { .. }) => {}
                _ => panic!("nothing is closed"),
            }
        }
    }

    /// Targets that were closed, whatever else was asked for.
    fn closes(&mut self) -> Vec<TargetId> {
        let outputs = std::iter::from_fn(|| self.sessions.poll_output());
        outputs
            .filter_map(|output| match output {
                Output::Close { target, .. } => Some(target),
                _ => None,
            })
            .collect()
    }

    fn says(&mut self, target: TargetId, channel: Channel, bytes: &[u8]) {
        let slot = self
            .sessions
            .read_slot(target, channel, 4096, &mut self.outbox)
            .unwrap();
        slot[..bytes.len()].copy_from_slice(bytes);
        let size = bytes.len();
        self.report(target, Report::Received { size });
    }

    fn ends(&mut self, target: TargetId, channel: Channel) {
        self.report(target, Report::Ended { channel });
    }

    fn takes(&mut self, target: TargetId, size: usize) -> Vec<u8> {
        let bytes = self.sessions.pending_parts(target).next();
        let bytes = bytes.unwrap_or_default();
        let bytes = bytes[..size.min(bytes.len())].to_vec();
        let size = bytes.len();
        self.report(target, Report::Wrote { size });
        bytes
    }

    fn later(&mut self, time: Duration) {
        self.now += time;
        self.sessions.handle_timeout(self.now, &mut self.outbox);
    }

    /// The same, with every deadline on the way kept in time.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.wait_for_deadline(until);
        }
    }

    /// Up to the next deadline, or `until` when that is earlier.
    fn wait_for_deadline(&mut self, until: Instant) {
        let due = self.sessions.poll_timeout().unwrap_or(until);
        self.later(due.clamp(self.now, until) - self.now);
    }

    fn sent(&mut self) -> Vec<Sent> {
        let mut bytes = Vec::new();
        while !self.outbox.is_empty() {
            bytes.extend_from_slice(&self.outbox.frame(&[0; 9], 16_000)[9..]);
        }
        let mut rest = &bytes[..];
        let mut sent = Vec::new();
        while let Some((prefix, after)) = rest.split_at_checked(5) {
            let size = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
            let packet = Packet::decode(&after[..size]).unwrap();
            let text = |key| String::from_utf8(packet.spec(key).unwrap_or(b"").to_vec()).unwrap();
            sent.push(Sent {
                kind: packet.kind.unwrap(),
                session: text(spec::SESSION_ID),
                connection: text(spec::CONNECTION_ID),
                code: text(spec::EXIT_CODE),
                payload: String::from_utf8_lossy(packet.payload).into_owned(),
            });
            rest = &after[size..];
        }
        sent
    }

    /// The one packet that was sent.
    fn one(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }
}

fn params(
    connection_type: &str,
    environment: &[(&str, &str)],
    command: &[&str],
) -> ConnectionParams {
    ConnectionParams {
        connection_type: connection_type.into(),
        client_verb: "exec".into(),
        env_vars: environment
            .iter()
            .map(|(k, v)| {
                (
                    format!("envvar:{k}"),
                    Secret::new(base64::encode(v.as_bytes())),
                )
            })
            .collect(),
        cmd_list: command
            .iter()
            .map(|word| word.as_bytes().to_vec())
            .collect(),
        ..ConnectionParams::default()
    }
}

fn tcp() -> ConnectionParams {
    params("tcp", &[("HOST", "db.internal"), ("PORT", "9000")], &[])
}

fn shell() -> ConnectionParams {
    params("command-line", &[("FOO", "bar")], &["bash"])
}

#[test]
fn a_tcp_session_opens_only_after_its_address_answered() {
    let mut world = World::new();
    world.open("s", tcp());
    assert!(world.sent().is_empty());
    let Some(Output::Dial { target, place, .. }) = world.sessions.poll_output() else {
        panic!("nothing is dialled")
    };
    let host = "db.internal".to_owned();
    assert_eq!(place, Where::Name { host, port: 9000 });
    world.report(
        target,
        Report::Failed(Unreached::because("connect: connection refused")),
    );
    let close = world.one();
    assert_eq!(
        (close.kind, close.code.as_str()),
        (Kind::ClientSessionClose, "254")
    );
    assert_eq!(
        close.payload,
        "failed connecting to remote host=db.internal, port=9000, reason=connect: connection refused"
    );
    assert!(world.sessions.is_empty() && world.sessions.target_count() == 0);
}

#[test]
fn an_address_that_never_answers_fails_within_five_seconds() {
    let mut world = World::new();
    world.open("s", tcp());
    world.later(Duration::from_millis(4600));
    assert_eq!(world.one().kind, Kind::ClientSessionClose);
}

#[test]
fn missing_settings_are_named() {
    let mut world = World::new();
    world.open("s", params("tcp", &[("HOST", "x")], &[]));
    assert_eq!(
        world.one().payload,
        "missing required environment for connection [HOST, PORT]"
    );
    world.open("s", params("postgres", &[("HOST", "x")], &["psql"]));
    let want = "missing required secrets for postgres connection [HOST, USER, PASS]: not set, or empty: USER PASS";
    assert_eq!(world.one().payload, want);
    let url = "postgres://u:s3cret@h:5432/db";
    for (kind, settings) in [
        ("postgres", [("HOST", url), ("USER", "u"), ("PASS", "p")]),
        ("mysql", [("HOST", url), ("USER", "u"), ("PASS", "p")]),
        ("tcp", [("HOST", url), ("PORT", "1"), ("X", "")]),
    ] {
        world.open("s", params(kind, &settings, &["program"]));
        let told = world.one().payload;
        assert!(
            told.contains("not a URL") && !told.contains("s3cret"),
            "{told}"
        );
    }
    let rsa = [
        ("HOST", "h"),
        ("USER", "u"),
        ("PASS", "p"),
        ("MYSQL_RSA", "yes"),
    ];
    let mut native = params("mysql", &rsa, &["mysql"]);
    native.client_verb = "connect".into();
    world.open("s", native);
    assert!(
        world
            .one()
            .payload
            .starts_with("MYSQL_RSA of the connection is neither")
    );
    world.open("s", params("ssh", &[], &[]));
    assert_eq!(
        world.one().payload,
        "this agent does not serve ssh connections"
    );
    assert!(world.sessions.is_empty());
}

#[test]
fn bytes_wait_for_the_connection_and_both_sides_hear_of_the_end() {
    let mut world = World::new();
    world.open_tcp("s");
    world.tcp_write("s", "1", b"early ");
    world.tcp_write("s", "1", b"bytes");
    let target = world.connected();
    assert_eq!(world.sessions.poll_dirty(), Some(target));
    assert_eq!(world.takes(target, 100), b"early bytes");
    world.says(target, Channel::Output, b"last words");
    world.ends(target, Channel::Output);
    let sent = world.sent();
    assert_eq!(sent[0].payload, "last words");
    assert_eq!(
        (sent[1].kind, sent[1].connection.as_str()),
        (Kind::ClientTCPConnectionClose, "1")
    );
    assert_eq!(sent.len(), 2);
    assert_eq!(world.closed(), (target, false));
    world.tcp_write("s", "1", b"late");
    assert!(world.sessions.poll_output().is_none() && world.sent().is_empty());
}

#[test]
fn a_client_that_leaves_has_its_bytes_delivered_before_the_end() {
    let mut world = World::new();
    world.open_tcp("s");
    world.tcp_write("s", "1", b"all of it");
    let target = world.connected();
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "1", b"");
    world.deliver(Kind::AgentSessionClose, "s", b"");
    assert!(!world.sessions.take_shutdown(target), "bytes still wait");
    assert_eq!(world.takes(target, 100), b"all of it");
    assert!(world.sessions.take_shutdown(target));
    assert!(world.sessions.wants_read(target, Channel::Output));
    let slot = world
        .sessions
        .read_slot(target, Channel::Output, 10, &mut world.outbox);
    assert!(slot.is_none(), "nobody listens any more");
    world.ends(target, Channel::Output);
    assert_eq!(world.closed(), (target, false));
    assert!(world.sent().is_empty());
}

#[test]
fn a_lingering_target_is_reset_when_it_does_not_move() {
    let mut world = World::new();
    world.open_tcp("s");
    world.tcp_write("s", "1", b"xxxx");
    let target = world.connected();
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "1", b"");
    world.later(limits::LINGER_MAX - Duration::from_secs(1));
    assert_eq!(world.takes(target, 1), b"x");
    world.later(Duration::from_secs(2));
    assert!(world.closes().is_empty(), "it moved");
    world.wait(limits::LINGER_MAX + limits::LINGER_LOOK);
    assert_eq!(world.closed(), (target, true));
    assert_eq!(world.sessions.buffered_bytes(), 0);
}

#[test]
fn a_lingering_target_that_the_kernel_still_serves_is_not_reset() {
    let mut world = World::new();
    world.open_tcp("s");
    world.tcp_write("s", "1", b"xxxx");
    let target = world.connected();
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "1", b"");
    let mut looks = 0;
    for held in (0..100).rev() {
        world.wait(Duration::from_millis(500));
        while let Some(output) = world.sessions.poll_output() {
            assert!(matches!(output, Output::Examine { .. }), "it moved");
            world.report(target, Report::InKernel { size: held });
            looks += 1;
        }
    }
    assert!(looks > 4);
    world.wait(limits::LINGER_MAX * 2);
    let closed = std::iter::from_fn(|| world.sessions.poll_output()).last();
    assert!(matches!(closed, Some(Output::Close { reset: true, .. })));
}

#[test]
fn a_target_that_was_given_everything_is_left_in_good_order() {
    let mut world = World::new();
    world.open_tcp("s");
    world.tcp_write("s", "1", b"xx");
    let target = world.connected();
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "1", b"");
    world.wait(limits::LINGER_MAX - Duration::from_secs(1));
    assert_eq!(world.takes(target, 2), b"xx");
    while let Some(output) = world.sessions.poll_output() {
        assert!(matches!(output, Output::Examine { .. }));
    }
    world.wait(limits::LINGER_MAX - Duration::from_secs(1));
    assert!(world.sessions.poll_output().is_none(), "it has just moved");
    world.wait(Duration::from_secs(2));
    // A reset would take back what the kernel has not delivered yet.
    assert_eq!(world.closed(), (target, false));
}

#[test]
fn a_target_that_says_on_and_on_is_not_heard_for_ever_when_nobody_listens() {
    let mut world = World::new();
    world.open_tcp("s");
    world.tcp_write("s", "1", b"xx");
    let target = world.connected();
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "1", b"");
    let size = limits::PAYLOAD_BYTES_MAX;
    for _ in 0..limits::LINGER_DISCARD_MAX / size {
        assert!(world.sessions.wants_read(target, Channel::Output));
        world.report(target, Report::Received { size });
    }
    // It may want to be heard first, but it has had its bytes then.
    assert!(world.sessions.wants_read(target, Channel::Output));
    assert_eq!(world.takes(target, 2), b"xx");
    assert!(!world.sessions.wants_read(target, Channel::Output));
    world.wait(limits::LINGER_MAX + limits::LINGER_LOOK);
    assert_eq!(world.closed(), (target, false));
    assert!(world.sent().is_empty());
}

#[test]
fn ids_are_compared_whole() {
    let mut world = World::new();
    world.open_tcp("s");
    world.open_tcp("s2");
    world.tcp_write("s", "1", b"a");
    let first = world.connected();
    world.tcp_write("s", "10", b"b");
    let tenth = world.connected();
    world.tcp_write("s2", "1", b"c");
    let other = world.connected();
    world.deliver_to(Kind::AgentCloseTCPConnection, "s", "1", b"");
    world.takes(first, 1);
    assert!(world.sessions.take_shutdown(first));
    world.takes(tenth, 1);
    world.takes(other, 1);
    assert!(!world.sessions.take_shutdown(tenth) && !world.sessions.take_shutdown(other));
}

#[test]
fn a_failed_connect_ends_the_connection_and_not_the_session() {
    let mut world = World::new();
    world.open_tcp("s");
    world.tcp_write("s", "1", b"x");
    let target = world.dialled();
    world.report(
        target,
        Report::Failed(Unreached::because("connect: connection refused")),
    );
    assert_eq!(world.one().kind, Kind::ClientTCPConnectionClose);
    assert_eq!(world.closed().0, target);
    assert!(world.sessions.poll_output().is_none());
    world.tcp_write("s", "2", b"y");
    world.connected();
}

#[test]
fn packets_that_do_not_fit_a_session_end_it() {
    for kind in [
        Kind::AgentExecWriteStdin,
        Kind::AgentTerminalWriteStdin,
        Kind::AgentPGConnectionWrite,
    ] {
        let mut world = World::new();
        world.open_tcp("s");
        world.deliver(kind, "s", b"x");
        let close = world.one();
        assert_eq!(close.kind, Kind::ClientSessionClose);
        assert!(close.payload.contains(kind.name()), "{}", close.payload);
    }
    let mut world = World::new();
    world.open("s", shell());
    world.sent();
    world.tcp_write("s", "1", b"x");
    assert_eq!(world.one().kind, Kind::ClientSessionClose);
    assert!(world.sessions.poll_output().is_none());
}

#[test]
fn a_command_gets_its_whole_input_and_closes_once_after_its_output() {
    let mut world = World::new();
    world.open("s", shell());
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
    world.deliver(Kind::AgentExecWriteStdin, "s", b"echo $FOO");
    let (target, command) = world.spawned();
    assert_eq!(command.argv, ["bash"]);
    assert!(
        command
            .environment
            .contains(&("FOO".into(), Secret::new("bar")))
    );
    assert!(command.terminal.is_none());
    assert_eq!(world.takes(target, 100), b"echo $FOO");
    assert!(world.sessions.take_shutdown(target));
    world.deliver(Kind::AgentExecWriteStdin, "s", b"again");
    assert!(world.sessions.poll_output().is_none());
    world.says(target, Channel::Output, b"bar\n");
    world.says(target, Channel::Error, b"oops");
    world.report(target, Report::Exited(Exit::Code(3)));
    world.ends(target, Channel::Output);
    assert_eq!(world.sent().len(), 2, "errors may still come");
    world.ends(target, Channel::Error);
    let close = world.one();
    assert_eq!(
        (close.kind, close.code.as_str()),
        (Kind::ClientSessionClose, "3")
    );
    assert_eq!(
        close.payload,
        "failed executing command, reason=exit status 3"
    );
    assert_eq!(world.closed().0, target);
    world.deliver(Kind::AgentSessionClose, "s", b"");
    world.deliver(Kind::AgentExecWriteStdin, "s", b"late");
    assert!(world.sent().is_empty());
}

/// A command that has ended and left a job behind that holds its output.
fn left_behind(world: &mut World) -> TargetId {
    world.open("s", shell());
    world.deliver(Kind::AgentExecWriteStdin, "s", b"");
    let (target, _) = world.spawned();
    world.sent();
    world.ends(target, Channel::Error);
    world.report(target, Report::Exited(Exit::Code(3)));
    target
}

#[test]
fn a_background_child_does_not_keep_the_session_open() {
    let mut world = World::new();
    left_behind(&mut world);
    world.wait(limits::OUTPUT_SILENCE_MAX - Duration::from_millis(1));
    assert!(world.sent().is_empty());
    world.wait(Duration::from_millis(1));
    assert_eq!(world.one().code, "3");
}

#[test]
fn a_job_that_is_left_behind_is_read_until_it_falls_silent() {
    let mut world = World::new();
    let target = left_behind(&mut world);
    for _ in 0..20 {
        world.wait(limits::OUTPUT_SILENCE_MAX - Duration::from_millis(1));
        world.says(target, Channel::Output, b"more");
        assert_eq!(world.one().payload, "more");
    }
    world.wait(limits::OUTPUT_SILENCE_MAX);
    assert_eq!(world.one().code, "3");
}

#[test]
fn time_without_room_does_not_end_a_command() {
    let mut world = World::new();
    let target = left_behind(&mut world);
    world.wait(Duration::from_secs(1));
    world.sessions.note_room(world.now, false);
    world.wait(Duration::from_secs(3600));
    assert!(world.sent().is_empty(), "nobody could have read it");
    world.sessions.note_room(world.now, true);
    world.says(target, Channel::Output, b"the rest");
    assert_eq!(world.one().payload, "the rest");
    world.wait(limits::OUTPUT_SILENCE_MAX - Duration::from_millis(1));
    assert!(world.sent().is_empty());
    world.wait(Duration::from_millis(1));
    assert_eq!(world.one().code, "3");
}

#[test]
fn a_job_that_prints_for_ever_is_cut_after_a_minute_with_room() {
    let mut world = World::new();
    let target = left_behind(&mut world);
    let began = world.now;
    let pause = Duration::from_secs(600);
    let mut prints = 0;
    while world.sessions.len() == 1 {
        world.says(target, Channel::Output, b"x");
        world.wait(Duration::from_secs(1));
        prints += 1;
        if prints == 30 {
            world.sessions.note_room(world.now, false);
            world.wait(pause);
            world.sessions.note_room(world.now, true);
        }
    }
    assert_eq!(
        world.now - began,
        limits::OUTPUT_AFTER_EXIT_MAX + pause,
        "the pause is not counted"
    );
    let sent = world.sent();
    assert_eq!((sent.len(), sent[60].code.as_str()), (61, "3"));
}

#[test]
fn only_a_command_that_has_ended_and_said_all_ends_normally() {
    let mut world = World::new();
    for (exits, is_silent, end) in [
        (true, true, End::Normal),
        (true, false, End::Forced),
        (false, true, End::Forced),
    ] {
        world.open("s", shell());
        world.deliver(Kind::AgentExecWriteStdin, "s", b"");
        let (target, _) = world.spawned();
        if exits {
            world.report(target, Report::Exited(Exit::Code(0)));
        }
        if is_silent {
            world.ends(target, Channel::Output);
            world.ends(target, Channel::Error);
        }
        world.deliver(Kind::AgentSessionClose, "s", b"");
        assert_eq!(world.ended(), end, "{exits} {is_silent}");
        world.sent();
    }
}

#[test]
fn a_terminal_starts_with_its_first_keystroke_and_the_last_size() {
    let mut world = World::new();
    world.open(
        "s",
        ConnectionParams {
            client_verb: "connect".into(),
            ..shell()
        },
    );
    world.sent();
    world.deliver(Kind::AgentTerminalResizeTTY, "s", b"30,100,0,0");
    world.deliver(Kind::AgentTerminalWriteStdin, "s", b"\n");
    let (target, command) = world.spawned();
    assert_eq!(
        command.terminal,
        Some(TerminalSize {
            rows: 30,
            columns: 100,
            width: 0,
            height: 0
        })
    );
    assert!(
        command
            .environment
            .contains(&("TERM".into(), Secret::new("xterm-256color")))
    );
    assert_eq!(
        world.takes(target, 10),
        b"",
        "the starter was typed by nobody"
    );
    world.deliver(Kind::AgentTerminalWriteStdin, "s", b"\n");
    assert_eq!(world.takes(target, 10), b"\n");
    world.deliver(Kind::AgentTerminalResizeTTY, "s", b"1,2,3,4");
    assert!(matches!(
        world.sessions.poll_output(),
        Some(Output::Resize { .. })
    ));
    world.ends(target, Channel::Output);
    world.report(target, Report::Exited(Exit::Signal(9)));
    assert_eq!(world.one().code, "137");
}

#[test]
fn the_first_bytes_typed_are_kept_unless_they_are_the_starter() {
    let mut world = World::new();
    world.open("s", shell());
    world.deliver(Kind::AgentTerminalWriteStdin, "s", b"ls\n");
    let (target, _) = world.spawned();
    assert_eq!(world.takes(target, 10), b"ls\n");
}

#[test]
fn unknown_sessions_hear_of_it_and_late_packets_do_not() {
    let mut world = World::new();
    world.deliver(Kind::AgentExecWriteStdin, "never", b"x");
    assert_eq!(
        world.one().payload,
        "internal error, connection params not found"
    );
    world.deliver(Kind::AgentExecWriteStdin, "never", b"x");
    world.deliver(Kind::AgentSessionClose, "never", b"");
    world.deliver(Kind::AgentExecWriteStdin, "", b"x");
    assert!(world.sent().is_empty());
}

#[test]
fn system_requests_are_refused_with_their_own_id() {
    let mut world = World::new();
    world.deliver(Kind::SysBareExecRequest, "r\"1", b"{}");
    let answer = world.one();
    assert_eq!(answer.kind, Kind::SysBareExecResponse);
    let json: serde_json::Value = serde_json::from_str(&answer.payload).unwrap();
    assert_eq!(
        (json["sid"].as_str(), json["status"].as_str()),
        (Some("r\"1"), Some("failed"))
    );
}

#[test]
fn the_end_of_the_link_ends_everything_without_a_word() {
    let mut world = World::new();
    world.open_tcp("t");
    world.tcp_write("t", "1", b"queued");
    let connection = world.connected();
    world.open("s", shell());
    world.deliver(Kind::AgentExecWriteStdin, "s", b"input");
    let (process, _) = world.spawned();
    world.sent();
    world.sessions.end_all(world.now, "tests");
    assert_eq!(world.closed(), (connection, true));
    assert_eq!(world.closed(), (process, true));
    assert_eq!(
        (world.sessions.len(), world.sessions.target_count()),
        (0, 0)
    );
    assert_eq!(world.sessions.buffered_bytes(), 0);
    assert!(world.sent().is_empty());
}

#[test]
fn a_stalled_relay_goes_under_pressure_and_a_slow_one_stays() {
    let mut world = World::with_budget(8 << 20);
    world.open_tcp("s");
    world.tcp_write("s", "stalled", &vec![0; 3 << 20]);
    let stalled = world.connected();
    world.tcp_write("s", "slow", &vec![0; 2 << 20]);
    let slow = world.connected();
    assert!(world.sessions.is_under_pressure());
    assert_eq!(
        world.sessions.credit_wanted(),
        limits::STREAM_WINDOW_UNDER_PRESSURE
    );
    for _ in 0..3 {
        world.later(Duration::from_millis(900));
        world.takes(slow, 1);
    }
    assert!(world.sent().is_empty());
    world.later(Duration::from_millis(400));
    let close = world.one();
    assert_eq!(close.connection, "stalled");
    assert_eq!(world.closed(), (stalled, true));
    assert!(!world.sessions.is_under_pressure());
    world.later(Duration::from_secs(60));
    assert!(
        world.sent().is_empty(),
        "without pressure a target may pause for ever"
    );
}

#[test]
fn what_the_kernel_still_delivers_counts_as_progress() {
    let mut world = World::with_budget(4 << 20);
    world.open_tcp("s");
    world.tcp_write("s", "1", &vec![0; 3 << 20]);
    let target = world.connected();
    for held in (0..40).rev() {
        world.later(Duration::from_millis(500));
        world.report(target, Report::InKernel { size: held });
    }
    assert!(world.sent().is_empty(), "it takes bytes, if slowly");
    world.wait(limits::STALL_MAX + limits::PRESSURE_TICK);
    assert_eq!(world.closed(), (target, true));
}

#[test]
fn what_a_target_did_before_the_pressure_is_not_held_against_it() {
    let mut world = World::with_budget(4 << 20);
    world.open_tcp("s");
    world.tcp_write("s", "slow", &vec![0; (3 << 20) / 2]);
    let slow = world.connected();
    // Nobody looks at what the kernel delivers while there is no pressure.
    world.later(limits::STALL_MAX * 10);
    world.tcp_write("s", "other", &vec![0; 1 << 20]);
    world.connected();
    world.report(slow, Report::InKernel { size: 10 });
    for held in (0..10).rev() {
        world.wait(limits::STALL_MAX / 2);
        world.report(slow, Report::InKernel { size: held });
        assert!(world.sent().is_empty(), "it takes bytes, if slowly");
    }
}

#[test]
fn credit_under_pressure_lasts_until_a_stalled_relay_is_due_without_a_pause() {
    let budget = 16 << 20;
    let mut world = World::with_budget(budget);
    world.open_tcp("s");
    world.tcp_write("s", "flood", &vec![0; (budget / 2) + 1]);
    world.connected();
    let began = world.now;
    let mut last_given = began;
    let mut rushed = 0;
    while world.sent().is_empty() {
        let wanted = world.sessions.credit_wanted();
        let given = world.sessions.take_credit(world.now, wanted) as usize;
        let pause_max = match budget - world.sessions.buffered_bytes() > budget / 4 {
            true => limits::CREDIT_TICK,
            false => limits::PRESSURE_TICK,
        };
        if given > 0 {
            assert!(given >= limits::CREDIT_PORTION_MIN);
            assert!(world.now <= last_given + pause_max);
            last_given = world.now;
        }
        if world.now <= began + limits::PRESSURE_TICK * 2 {
            rushed += given;
        }
        world.tcp_write("s", "flood", &vec![0; given]);
        world.wait_for_deadline(began + limits::STALL_MAX * 2);
    }
    assert!(rushed > budget / 32, "the first part goes fast: {rushed}");
    assert!(world.now >= began + limits::STALL_MAX);
    assert!(
        world.now <= last_given + limits::PRESSURE_TICK * 2,
        "the rest lasts"
    );
}

#[test]
fn a_used_up_budget_costs_no_wake_ups_for_credit() {
    let mut world = World::with_budget(4 << 20);
    world.open_tcp("s");
    world.tcp_write("s", "stalled", &vec![0; 4 << 20]);
    world.connected();
    let until = world.now + limits::PRESSURE_TICK * 10;
    let mut timeouts = 0;
    while world.now < until {
        let wanted = limits::STREAM_WINDOW_UNDER_PRESSURE;
        assert_eq!(world.sessions.take_credit(world.now, wanted), 0);
        world.wait_for_deadline(until);
        timeouts += 1;
    }
    assert!(timeouts <= 11, "{timeouts}");
}

/// Else a message that is passed over would hold up everybody behind it, at the pace of pressure.
#[test]
fn what_left_nothing_behind_is_replaced_at_once_under_pressure() {
    let mut world = World::with_budget(4 << 20);
    world.open_tcp("s");
    world.tcp_write("s", "stalled", &vec![0; 4 << 20]);
    world.connected();
    let passed = 100_000;
    world.sessions.pass_over(passed);
    let wanted = limits::STREAM_WINDOW_UNDER_PRESSURE;
    assert_eq!(
        world.sessions.take_credit(world.now, wanted) as usize,
        passed
    );
    assert_eq!(world.sessions.take_credit(world.now, wanted), 0);
}

#[test]
fn a_target_that_takes_octets_earns_no_credit_by_the_octet() {
    let budget = 4 << 20;
    let mut world = World::with_budget(budget);
    world.open_tcp("s");
    world.tcp_write("s", "slow", &vec![0; budget]);
    let slow = world.connected();
    let mut taken = 0;
    let mut portions = Vec::new();
    while portions.len() < 3 {
        world.takes(slow, 7);
        taken += 7;
        let wanted = world.sessions.credit_wanted();
        let given = world.sessions.take_credit(world.now, wanted) as usize;
        if given > 0 {
            world.tcp_write("s", "slow", &vec![0; given]);
            portions.push(given);
        }
    }
    let least = portions.iter().min();
    assert!(least >= Some(&limits::CREDIT_PORTION_MIN));
    assert!(portions.iter().sum::<usize>() <= taken);
}

#[test]
fn a_stalled_command_tells_its_user_why_it_was_closed() {
    let mut world = World::with_budget(4 << 20);
    world.open("s", shell());
    world.deliver(Kind::AgentExecWriteStdin, "s", &vec![b'x'; 3 << 20]);
    world.spawned();
    world.sent();
    world.wait(limits::STALL_MAX);
    assert_eq!(world.one().payload, STALLED);
}

#[test]
fn many_small_stalled_relays_cannot_hold_the_whole_budget_for_ever() {
    let mut world = World::with_budget(4 << 20);
    world.open_tcp("s");
    for i in 0..8 {
        world.tcp_write("s", &i.to_string(), &vec![0; 512 << 10]);
        world.connected();
    }
    assert_eq!(world.sessions.credit_wanted(), 0);
    world.wait(limits::STALL_MAX + limits::PRESSURE_TICK);
    assert!(world.sessions.credit_wanted() >= limits::STREAM_WINDOW_UNDER_PRESSURE);
    assert_eq!(
        world.sessions.target_count(),
        7,
        "only as many as needed go"
    );
}

#[test]
fn leaving_closes_every_session_by_packet_and_takes_no_new_one() {
    let mut world = World::new();
    world.open_tcp("t");
    world.open("s", shell());
    world.sent();
    world.sessions.stop_opening();
    world.open("new", shell());
    assert_eq!(world.one().payload, "the agent is shutting down, try again");
    world
        .sessions
        .close_all(world.now, "the agent was stopped", &mut world.outbox);
    let sent = world.sent();
    assert_eq!(sent.len(), 2);
    assert!(
        sent.iter()
            .all(|sent| sent.payload == "the agent was stopped")
    );
}

#[test]
fn a_full_table_refuses_the_relay_and_says_so() {
    let mut world = World::with(SessionLimits {
        relay_count_max: 1,
        ..SessionLimits::default()
    });
    world.open_tcp("s");
    world.tcp_write("s", "1", b"x");
    world.connected();
    world.tcp_write("s", "2", b"x");
    let close = world.one();
    assert_eq!(
        (close.kind, close.connection.as_str()),
        (Kind::ClientTCPConnectionClose, "2")
    );
}

impl World {
    fn open_by_packet(&mut self, id: &str, params: &[u8]) {
        let entries = [
            (spec::SESSION_ID, id.as_bytes()),
            (spec::CONNECTION_PARAMS, params),
        ];
        self.packet(Kind::AgentSessionOpen, &entries, b"");
    }
}

#[test]
fn a_second_open_with_the_id_of_a_live_session_ends_both() {
    let shell = crate::wire::gob::vectors::vector("2024-exec");
    let mut world = World::new();
    world.open_by_packet("s", &shell);
    world.open_by_packet("s2", &shell);
    world.deliver(Kind::AgentExecWriteStdin, "s", b"");
    let (victim, _) = world.spawned();
    world.sent();
    world.open_by_packet("s", &shell);
    let close = world.one();
    assert_eq!(
        (close.kind, close.code.as_str()),
        (Kind::ClientSessionClose, "254")
    );
    assert!(close.payload.contains("the id of this one"));
    assert_eq!(world.closed().0, victim);
    // Whoever still types under this id reaches nobody, also when the gateway has confirmed.
    for _ in 0..2 {
        world.deliver(Kind::AgentExecWriteStdin, "s", b"secret");
        assert!(world.sent().is_empty() && world.sessions.poll_output().is_none());
        world.open_by_packet("s", &shell);
        assert_eq!(world.one().kind, Kind::ClientSessionClose);
        world.deliver(Kind::AgentSessionClose, "s", b"");
        world.deliver(Kind::AgentSessionClose, "s", b"");
    }
    assert_eq!(
        world.sessions.len(),
        1,
        "the other session is not concerned"
    );
}

#[test]
fn an_id_is_free_again_when_the_gateway_knows_of_its_end() {
    let shell = crate::wire::gob::vectors::vector("2024-exec");
    let mut world = World::new();
    world.open_by_packet("s", &shell);
    world.deliver(Kind::AgentSessionClose, "s", b"");
    world.sent();
    world.open_by_packet("s", &shell);
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
    world.tcp_write("s", "1", b"what no shell takes");
    assert_eq!(world.one().kind, Kind::ClientSessionClose);
    world.open_by_packet("s", &shell);
    assert_eq!(world.one().kind, Kind::ClientSessionClose, "not yet");
    world.deliver(Kind::AgentSessionClose, "s", b"");
    world.open_by_packet("s", &shell);
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
}

#[test]
fn sessions_that_are_large_do_not_add_up_for_ever() {
    let mut world = World::new();
    let large = "x".repeat(4 << 20);
    let open = |world: &mut World, id: usize, user: &str| {
        let params = ConnectionParams {
            user_id: user.into(),
            ..params("command-line", &[], &["bash", &large])
        };
        world.open(&id.to_string(), params);
        world.one()
    };
    let mut opened = 0;
    for (user, reason) in [("greedy", "three quarters"), ("other", "all in use")] {
        let refusal = loop {
            let answer = open(&mut world, opened, user);
            match answer.kind {
                Kind::ClientSessionOpenOK => opened += 1,
                _ => break answer.payload,
            }
        };
        assert!(refusal.contains(reason), "{refusal}");
        assert!(opened >= 9, "{opened}");
    }
    let held = world.sessions.held_bytes();
    assert!((opened * large.len()..=limits::SESSIONS_BYTES_MAX).contains(&held));
    world.open("small", shell());
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK, "others go on");
    world.deliver(Kind::AgentSessionClose, "0", b"");
    assert_eq!(
        open(&mut world, 0, "greedy").kind,
        Kind::ClientSessionOpenOK
    );
    world.sessions.end_all(world.now, "tests");
    assert_eq!(world.sessions.held_bytes(), 0);
    assert_eq!(open(&mut world, 0, "other").kind, Kind::ClientSessionOpenOK);
}

#[test]
fn the_ids_of_closed_connections_are_held_and_given_back() {
    let mut world = World::new();
    world.open_tcp("s");
    let before = world.sessions.held_bytes();
    let mut grown = 0;
    for number in 0..limits::CLOSED_CONNECTIONS_KEPT * 2 {
        let id = format!("{number:0>200}");
        world.tcp_write("s", &id, b"");
        world.dialled();
        world.deliver_to(Kind::AgentCloseTCPConnection, "s", &id, b"");
        world.closed();
        grown = world.sessions.held_bytes() - before;
        assert!((200..=limits::CLOSED_CONNECTIONS_KEPT * 400).contains(&grown));
    }
    assert!(grown >= limits::CLOSED_CONNECTIONS_KEPT * 200);
    world.deliver(Kind::AgentSessionClose, "s", b"");
    assert_eq!(world.sessions.held_bytes(), 0);
}

#[test]
fn one_user_leaves_a_quarter_of_the_relays_to_others() {
    let mut world = World::with(SessionLimits {
        relay_count_max: 8,
        ..SessionLimits::default()
    });
    world.open_tcp("s");
    for number in 0..6 {
        world.tcp_write("s", &number.to_string(), b"x");
        world.connected();
    }
    // What only finishes still counts, also when its session is over.
    world.deliver(Kind::AgentSessionClose, "s", b"");
    world.closes();
    world.open("again", shell());
    assert!(world.one().payload.contains("three quarters"));
    let other = ConnectionParams {
        user_email: "other@example.com".into(),
        ..shell()
    };
    world.open("other", other);
    assert_eq!(world.one().kind, Kind::ClientSessionOpenOK);
    world.deliver(Kind::AgentExecWriteStdin, "other", b"");
    world.spawned();
}

#[test]
fn what_is_echoed_is_bounded_and_says_so() {
    let long = "x".repeat(1 << 20);
    let mut world = World::new();
    let words = vec![&long[..]; 2];
    world.open("a", params("custom", &[], &words));
    let mut shown = vec![("custom", b"5432".to_vec(), "5432")];
    shown.push((&long, vec![b'7'; 1 << 20], ""));
    shown.push(("custom", b"54ab".to_vec(), ""));
    world.outbox.clear();
    for (kind, port, echoed) in shown {
        world.open_on(kind, params(kind, &[], &words), port);
        let bytes = world.outbox.frame(&[0; 9], usize::MAX).to_vec();
        world.outbox.clear();
        let packet = Packet::decode(&bytes[14..]).unwrap();
        let text = |key| String::from_utf8(packet.spec(key).unwrap().to_vec()).unwrap();
        assert_eq!(text(spec::REQUEST_PORT), echoed);
        assert!(text(spec::CONNECTION_TYPE).len() <= limits::TYPE_ECHO_BYTES_MAX);
        let command = text(spec::COMMAND);
        assert_eq!(command.len(), limits::COMMAND_ECHO_BYTES_MAX);
        assert!(command.ends_with("..."), "{}", &command[4000..]);
    }
    let nameless = ConnectionParams {
        env_vars: EnvVars::from([(long.clone(), Secret::new(b""))]),
        ..params("custom", &[], &["program"])
    };
    world.open("b", nameless);
    let close = world.one().payload;
    assert_eq!(close.len(), limits::ERROR_ECHO_BYTES_MAX);
    assert!(close.ends_with("x..."));
}
