//! The client's side of one session, scripted: what `hoop exec` and `hoop connect` do, step by step.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::forward;
use crate::gateway::{Gateway, deadline};
use crate::gob;
use crate::hub::AgentStream;
use crate::inbox::{Inbox, Nothing};
use crate::packet::{Packet, head, spec};
use crate::params::ConnectionParams;

/// What a client asks for, and what the gateway knows about the connection.
#[derive(Clone, Debug, Default)]
pub struct SessionRequest {
    /// The agent; not needed while only one is registered.
    pub agent: Option<String>,
    /// The session's id; one is made up otherwise.
    pub sid: Option<String>,
    /// What goes to the agent as gob.
    pub params: ConnectionParams,
    /// Variables of the client: `envvar:NAME` and plain text. Sent as `terminal.envvars`.
    pub client_env: Vec<(String, String)>,
    /// `client.request_port`
    pub request_port: Option<String>,
    /// Whether the params have the shape of July 2024.
    pub is_of_2024: bool,
    /// Further keys of the open packet's spec; these win.
    pub extra: Vec<(String, Vec<u8>)>,
}

impl SessionRequest {
    /// Any verb on a connection of this type.
    pub fn new(connection_type: &str, verb: &str) -> Self {
        let params = ConnectionParams {
            connection_name: "demo".to_owned(),
            connection_type: connection_type.to_owned(),
            connection_subtype: connection_type.to_owned(),
            user_id: "user-1".to_owned(),
            user_email: "dev@example.com".to_owned(),
            env_vars: Some(Vec::new()),
            client_verb: verb.to_owned(),
            client_origin: "client".to_owned(),
            analyzer_metrics_rules: b"[]".to_vec(),
            ..ConnectionParams::default()
        };
        Self {
            params,
            ..Self::default()
        }
    }

    /// `hoop exec` on a connection with this command.
    pub fn exec(command: &[&str]) -> Self {
        Self::new("command-line", "exec").command(command)
    }

    /// `hoop connect` on a connection with this command.
    pub fn console(command: &[&str]) -> Self {
        Self::new("command-line", "connect").command(command)
    }

    /// `hoop connect` on a raw TCP connection to this host and port.
    pub fn tcp(host: &str, port: u16) -> Self {
        Self::new("tcp", "connect")
            .env("HOST", host)
            .env("PORT", &port.to_string())
    }

    /// The connection's command.
    #[must_use]
    pub fn command(mut self, command: &[&str]) -> Self {
        self.params.cmd_list = command.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// What the client appends to the command.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.params.client_args = args.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// A variable of the connection.
    #[must_use]
    pub fn env(self, name: &str, value: &str) -> Self {
        self.secret(&format!("envvar:{name}"), value.as_bytes())
    }

    /// A secret file of the connection, whose path the variable holds.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.secret(&format!("filesystem:{name}"), content)
    }

    /// A variable of the connection with its kind in the key.
    #[must_use]
    pub fn secret(self, key: &str, value: &[u8]) -> Self {
        self.raw_env(key, &base64(value))
    }

    /// An entry of the connection's environment as it is, base64 or not.
    #[must_use]
    pub fn raw_env(mut self, key: &str, value: &str) -> Self {
        self.params
            .env_vars
            .get_or_insert_default()
            .push((key.to_owned(), value.to_owned()));
        self
    }

    /// A variable that the client sets (`hoop exec -e`).
    #[must_use]
    pub fn client_env(mut self, name: &str, value: &str) -> Self {
        self.client_env
            .push((format!("envvar:{name}"), base64(value.as_bytes())));
        self
    }

    /// Asks this agent.
    #[must_use]
    pub fn on(mut self, agent: &str) -> Self {
        self.agent = Some(agent.to_owned());
        self
    }

    /// With a session id of the client's choice.
    #[must_use]
    pub fn sid(mut self, sid: &str) -> Self {
        self.sid = Some(sid.to_owned());
        self
    }

    /// With guard rail rules, JSON.
    #[must_use]
    pub fn guard_rails(mut self, rules: &str) -> Self {
        self.params.guard_rail_rules = rules.as_bytes().to_vec();
        self
    }

    /// As a gateway of July 2024 writes it.
    #[must_use]
    pub fn of_2024(mut self) -> Self {
        self.is_of_2024 = true;
        self
    }

    /// Changes any of the params.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut ConnectionParams)) -> Self {
        change(&mut self.params);
        self
    }

    pub(crate) fn is_command(&self) -> bool {
        self.params.connection_type == "command-line"
    }

    /// The packet that the gateway makes of it.
    pub fn open_packet(&self, sid: &str) -> Packet {
        let params = if self.is_of_2024 {
            self.params.encode_of_2024()
        } else {
            self.params.encode()
        };
        let mut packet = Packet::new("AgentSessionOpen")
            .with(spec::SESSION_ID, sid.to_owned())
            .with(spec::CONNECTION_TYPE, self.params.connection_type.clone())
            .with(spec::CONNECTION_PARAMS, params);
        packet = self.with_client_keys(packet);
        if let Some(port) = &self.request_port {
            packet = packet.with(spec::REQUEST_PORT, port.clone());
        }
        for (key, value) in &self.extra {
            packet = packet.with(key, value.clone());
        }
        packet
    }

    /// Arguments and variables of the client, which the CLI sends with its open and its stdin.
    fn with_client_keys(&self, mut packet: Packet) -> Packet {
        if !self.params.client_args.is_empty() {
            packet = packet.with(
                spec::CLIENT_ARGS,
                gob::encode_strings(&self.params.client_args),
            );
        }
        if !self.client_env.is_empty() {
            packet = packet.with(spec::CLIENT_ENV, gob::encode_string_map(&self.client_env));
        }
        packet
    }
}

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place > group.len() {
                '='
            } else {
                char::from(ALPHABET[sextet])
            });
        }
    }
    text
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// `client.exit_code`, if it was a number.
    pub code: Option<i64>,
    /// The payload.
    pub text: String,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The exit code.
    pub code: i64,
    /// The text of the close, empty on success.
    pub text: String,
}

impl Outcome {
    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Bytes of one TCP connection that wait for the test.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    packets: usize,
    closed: bool,
}

/// A live session. Dropping it is the client leaving: the agent is told, unless it closed first.
pub struct Session<'gateway> {
    gateway: &'gateway Gateway,
    stream: Arc<AgentStream>,
    sid: String,
    inbox: Arc<Inbox>,
    request: SessionRequest,
    opened: Option<Packet>,
    close: Option<Close>,
    stdout: Vec<u8>,
    /// What of it `expect` has passed.
    expected: usize,
    stderr: Vec<u8>,
    connections: HashMap<String, Received>,
    other: Vec<Packet>,
    left: bool,
    forward: Option<AbortHandle>,
}

impl<'gateway> Session<'gateway> {
    pub(crate) fn new(
        gateway: &'gateway Gateway,
        stream: Arc<AgentStream>,
        sid: String,
        inbox: Arc<Inbox>,
        request: SessionRequest,
    ) -> Self {
        Self {
            gateway,
            stream,
            sid,
            inbox,
            request,
            opened: None,
            close: None,
            stdout: Vec::new(),
            expected: 0,
            stderr: Vec::new(),
            connections: HashMap::new(),
            other: Vec::new(),
            left: false,
            forward: None,
        }
    }

    /// The session's id.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    // Packets as they are.

    /// Sends a packet with the session's id, as the gateway does for everything a client sends.
    pub fn send(&self, packet: Packet) {
        self.try_send(packet)
            .unwrap_or_else(|reason| panic!("session {}: {reason}", self.sid));
    }

    /// Likewise; `Err` when the agent is gone or does not read.
    pub fn try_send(&self, packet: Packet) -> Result<(), String> {
        self.gateway.send_on(
            &self.stream,
            packet.with(spec::SESSION_ID, self.sid.clone()),
        )
    }

    /// The next packet of the session, whatever it is; not to be mixed with the methods below.
    pub fn next_packet(&mut self) -> Packet {
        match self.inbox.take(deadline()) {
            Ok(packet) => packet,
            Err(nothing) => panic!("{}", self.in_vain("a packet", &nothing)),
        }
    }

    /// Lets at most this many bytes wait for the client; more hold up the agent's stream.
    pub fn limit_inbox(&self, bytes_max: usize) {
        self.inbox.set_limit(bytes_max);
    }

    fn in_vain(&self, what: &str, nothing: &Nothing) -> String {
        let why = match nothing {
            Nothing::TimedOut => "nothing came".to_owned(),
            Nothing::Ended(reason) => format!("session over: {reason}"),
        };
        let seen = self.gateway.hub.lock().seen();
        format!(
            "session {} waited in vain for {what}: {why}\n close: {:?}\n output: {}\n the gateway saw:{seen}",
            self.sid,
            self.close,
            tail(&self.stdout)
        )
    }

    /// Takes packets until `done`; `Err` when none come any more.
    fn take_until(&mut self, done: impl Fn(&Self) -> bool) -> Result<(), Nothing> {
        while !done(self) {
            let packet = self.inbox.take(deadline())?;
            self.absorb(packet);
        }
        Ok(())
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        if let Err(nothing) = self.take_until(done) {
            panic!("{}", self.in_vain(what, &nothing));
        }
    }

    fn absorb(&mut self, packet: Packet) {
        match packet.kind.as_str() {
            "ClientSessionOpenOK" => self.opened = Some(packet),
            "ClientSessionClose" => {
                let code = packet
                    .text(spec::EXIT_CODE)
                    .and_then(|code| code.parse().ok());
                self.close = Some(Close {
                    code,
                    text: packet.payload_text(),
                });
            }
            "ClientWriteStdout" => self.stdout.extend_from_slice(&packet.payload),
            "ClientWriteStderr" => self.stderr.extend_from_slice(&packet.payload),
            "ClientTCPConnectionClose" => self.connection(&packet.connection_id()).closed = true,
            kind if kind.starts_with("Client") && kind.ends_with("ConnectionWrite") => {
                self.connection(&packet.connection_id()).packets += 1;
                self.connection(&packet.connection_id())
                    .bytes
                    .extend_from_slice(&packet.payload);
            }
            _ => self.other.push(packet),
        }
    }

    fn connection(&mut self, id: &str) -> &mut Received {
        self.connections.entry(id.to_owned()).or_default()
    }

    // Opening and ending.

    /// Waits for open-OK and returns it; a close instead fails the test.
    pub fn wait_open(&mut self) -> Packet {
        self.wait("open-OK", |session| {
            session.opened.is_some() || session.close.is_some()
        });
        match (&self.opened, &self.close) {
            (Some(packet), _) => packet.clone(),
            (None, close) => panic!("session {} was refused: {close:?}", self.sid),
        }
    }

    /// Waits for a close instead of open-OK.
    pub fn wait_refusal(&mut self) -> Close {
        self.wait("a refusal", |session| {
            session.opened.is_some() || session.close.is_some()
        });
        assert!(self.opened.is_none(), "session {} was opened", self.sid);
        self.close.clone().expect("just waited for")
    }

    /// Waits for the agent's close.
    pub fn wait_close(&mut self) -> Close {
        self.wait("the agent's close", |session| session.close.is_some());
        self.close.clone().expect("just waited for")
    }

    /// Waits until the session is over without a close, as when the agent's stream ends, and returns
    /// why.
    pub fn wait_end(&mut self) -> String {
        match self.take_until(|_| false) {
            Err(Nothing::Ended(reason)) => reason,
            Err(nothing) => panic!("{}", self.in_vain("the end", &nothing)),
            Ok(()) => unreachable!("never done"),
        }
    }

    /// The client leaves: the agent is told to end the session, and nothing more is heard of it.
    pub fn kill(&mut self) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        if let Some(forward) = self.forward.take() {
            forward.abort();
        }
        let routed = self
            .gateway
            .hub
            .change(|state| state.sessions.remove(&self.sid));
        self.inbox.end("the client left");
        if routed.is_some() {
            let close = Packet::new("AgentSessionClose").with(spec::SESSION_ID, self.sid.clone());
            self.gateway.hub.note_sent(&self.stream, &close);
            let outgoing = self.stream.outgoing.clone();
            self.gateway
                .runtime
                .spawn(async move { outgoing.send(close).await });
        }
    }

    // Commands.

    /// What `hoop exec` sends after open-OK: the whole standard input.
    pub fn send_stdin(&self, stdin: &[u8]) {
        let packet = Packet::new("AgentExecWriteStdin").carrying(stdin.to_vec());
        self.send(self.request.with_client_keys(packet));
    }

    /// Waits for the end of a command and returns all that it said.
    pub fn finish(mut self) -> Outcome {
        let close = self.wait_close();
        let code = close
            .code
            .unwrap_or_else(|| panic!("no exit code: {close:?}"));
        Outcome {
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
            code,
            text: close.text,
        }
    }

    /// Runs a command with this standard input to its end.
    pub fn run(mut self, stdin: &[u8]) -> Outcome {
        self.wait_open();
        self.send_stdin(stdin);
        self.finish()
    }

    // Consoles.

    /// What `hoop connect` does first: a line feed that starts the terminal.
    pub fn start_console(&mut self) {
        self.wait_open();
        self.write("\n");
    }

    /// Types.
    pub fn write(&self, text: &str) {
        self.write_bytes(text.as_bytes());
    }

    /// Types bytes.
    pub fn write_bytes(&self, bytes: &[u8]) {
        self.send(Packet::new("AgentTerminalWriteStdin").carrying(bytes.to_vec()));
    }

    /// Tells the window's size.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.send(Packet::new("AgentTerminalResizeTTY").carrying(format!("{rows},{columns},0,0")));
    }

    /// Waits until the output holds this text, and returns the output up to and with it. The next call
    /// looks behind it.
    pub fn expect(&mut self, text: &str) -> String {
        let what = format!("{text:?} in the output");
        let needle = text.as_bytes().to_vec();
        self.wait(&what, |session| session.find(&needle).is_some());
        let end = self.find(&needle).expect("just waited for");
        let passed = String::from_utf8_lossy(&self.stdout[self.expected..end]).into_owned();
        self.expected = end;
        passed
    }

    /// The place behind `needle` in the output that `expect` has not passed.
    fn find(&self, needle: &[u8]) -> Option<usize> {
        let rest = &self.stdout[self.expected..];
        let place = rest
            .windows(needle.len())
            .position(|window| window == needle)?;
        Some(self.expected + place + needle.len())
    }

    /// The standard error so far.
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    // Raw TCP, a connection at a time.

    /// Opens a connection as the client does when a local socket is accepted.
    pub fn connect(&self, id: &str) {
        let packet = tcp_write(id, &[]).with(spec::TCP_SERVER_CONNECT, "");
        self.send(packet);
    }

    /// Sends bytes to a connection's target.
    pub fn send_to(&self, id: &str, bytes: &[u8]) {
        self.send(tcp_write(id, bytes));
    }

    /// Waits for so many bytes of a connection.
    pub fn receive(&mut self, id: &str, count: usize) -> Vec<u8> {
        let name = id.to_owned();
        self.wait(
            &format!("{count} bytes of connection {id}"),
            move |session| {
                session
                    .connections
                    .get(&name)
                    .is_some_and(|c| c.bytes.len() >= count)
            },
        );
        self.connection(id).bytes.drain(..count).collect()
    }

    /// Waits for a byte of a connection, or its end: whether there was one.
    pub fn answers(&mut self, id: &str) -> bool {
        let name = id.to_owned();
        self.wait(&format!("an answer on connection {id}"), move |session| {
            let found = session.connections.get(&name);
            found.is_some_and(|c| c.closed || !c.bytes.is_empty())
        });
        !self.connection(id).bytes.is_empty()
    }

    /// Waits for the agent's word that a connection is over, and returns what came before it.
    pub fn receive_to_end(&mut self, id: &str) -> Vec<u8> {
        let name = id.to_owned();
        self.wait(&format!("the end of connection {id}"), move |session| {
            session.connections.get(&name).is_some_and(|c| c.closed)
        });
        std::mem::take(&mut self.connection(id).bytes)
    }

    /// Sends bytes to a connection's target as the client of this protocol does: `PG`, `MySQL`, `TCP`.
    pub fn send_as(&self, protocol: &str, id: &str, bytes: &[u8]) {
        let packet = Packet::new(&format!("Agent{protocol}ConnectionWrite"));
        let packet = packet.with(spec::CONNECTION_ID, id.to_owned());
        self.send(packet.carrying(bytes.to_vec()));
    }

    /// Waits until what a connection has brought ends like this, and returns it; fails when it is over before.
    pub fn receive_until(&mut self, id: &str, end: &[u8]) -> Vec<u8> {
        let name = id.to_owned();
        let wanted = end.escape_ascii().to_string();
        self.wait(&format!("{wanted:?}"), |session| {
            let found = session.connections.get(&name);
            found.is_some_and(|it| it.closed || it.bytes.ends_with(end))
        });
        let bytes = std::mem::take(&mut self.connection(id).bytes);
        assert!(
            bytes.ends_with(end),
            "connection {id} is over, without {wanted:?}: {}",
            tail(&bytes)
        );
        bytes
    }

    /// Whether the agent has said that a connection is over.
    pub fn is_closed(&self, id: &str) -> bool {
        self.connections.get(id).is_some_and(|it| it.closed)
    }

    /// Packets with bytes that a connection has brought so far.
    pub fn packet_count(&self, id: &str) -> usize {
        self.connections.get(id).map_or(0, |it| it.packets)
    }

    /// Ends a connection, as the client does when the local socket is over.
    pub fn disconnect(&self, id: &str) {
        self.send(Packet::new("AgentCloseTCPConnection").with(spec::CONNECTION_ID, id.to_owned()));
    }

    /// A real listening socket that does what `hoop connect` does: each local socket becomes a
    /// connection, counted from 1. From here on only `kill` and dropping are of use.
    pub fn listen(&mut self) -> SocketAddr {
        self.listen_with(forward::READ_BYTES)
    }

    /// Likewise, reading local sockets in pieces of this size.
    pub fn listen_with(&mut self, read_bytes: usize) -> SocketAddr {
        self.wait_open();
        let forward = forward::Forward {
            hub: self.gateway.hub.clone(),
            stream: self.stream.clone(),
            sid: self.sid.clone(),
            inbox: self.inbox.clone(),
            read_bytes,
        };
        let (address, task) = self
            .gateway
            .runtime
            .block_on(forward.start())
            .expect("a local port");
        self.forward = Some(task);
        address
    }

    /// Whether nothing comes for so long. For things that must not happen; prefer `Gateway::settle`.
    pub fn is_quiet_for(&mut self, patience: Duration) -> bool {
        match self.inbox.take(patience) {
            Ok(packet) => {
                self.absorb(packet);
                false
            }
            Err(_) => true,
        }
    }
}

/// A packet with bytes for a connection's target.
pub fn tcp_write(id: &str, bytes: &[u8]) -> Packet {
    Packet::new("AgentTCPConnectionWrite")
        .with(spec::CONNECTION_ID, id.to_owned())
        .carrying(bytes.to_vec())
}

fn tail(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(2000);
    if start == 0 {
        head_all(bytes)
    } else {
        format!("..{}", head_all(&bytes[start..]))
    }
}

fn head_all(bytes: &[u8]) -> String {
    if bytes.len() <= 100 {
        head(bytes)
    } else {
        bytes.escape_ascii().to_string()
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded_as_in_the_rfc() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
