//! A gateway that speaks the protocol, as far as the bytes let it: sessions are opened, relays and
//! commands run, and now and then something is wrong.

use hoop_lite::agent::LinkState;
use hoop_lite::packet::{Kind, encode, spec};
use hoop_lite::wire::base64;

use crate::agent::World;
use crate::input::Control;
use crate::peer::{
    ACK, DATA, END_STREAM, GOAWAY, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, headers,
    settings,
};
use loopback_gateway::gob::{encode_string_map, encode_strings};
use loopback_gateway::params::ConnectionParams;

/// Steps of a gateway and of the agent's surroundings.
pub fn agent_conversation(bytes: &[u8]) -> bool {
    let mut control = Control(bytes);
    let mut world = World::new(bytes, &mut control);
    let mut said = Said::default();
    let mut was_live = false;
    while let Some(what) = control.next() {
        if what & 1 == 0 {
            world.happen(what >> 1, &mut control);
        } else {
            said.greet(&mut world);
            said.step(what >> 1, &mut control, &mut world);
            said.deliver(&mut control, &mut world);
        }
        was_live |= world.agent.link_state() == LinkState::Live;
    }
    world.finish();
    was_live
}

/// Bytes of bulk in one run: enough to fill the small budget several times.
const BULK_BYTES_MAX: usize = 4 << 20;

/// What the gateway has said.
#[derive(Default)]
struct Said {
    wire: Vec<u8>,
    /// The connection that was greeted, by the stream that was accepted on it.
    accepted: Option<u32>,
    is_greeted: bool,
    bulk: usize,
}

impl Said {
    /// The opening of a connection and the acceptance of a stream, each once.
    fn greet(&mut self, world: &mut World) {
        let gateway = &mut world.gateway;
        if !gateway.is_up {
            (self.is_greeted, self.accepted) = (false, None);
            self.wire.clear();
            return;
        }
        if !self.is_greeted {
            self.is_greeted = true;
            self.wire.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
            if gateway.stream.is_some() || !gateway.asking.is_empty() {
                self.wire.clear();
            }
            settings(&mut self.wire, &[(3, 250)]);
            frame(&mut self.wire, SETTINGS, ACK, 0, &[]);
            frame(
                &mut self.wire,
                WINDOW_UPDATE,
                0,
                0,
                &0x3fff_0000u32.to_be_bytes(),
            );
        }
        if let Some(stream) = gateway.stream
            && self.accepted != Some(stream)
        {
            self.accepted = Some(stream);
            headers(&mut self.wire, stream, GRPC, false);
            frame(
                &mut self.wire,
                WINDOW_UPDATE,
                0,
                stream,
                &0x3fff_0000u32.to_be_bytes(),
            );
            self.packet(world, Kind::AgentGatewayConnectOK.name(), &[], b"");
        }
    }

    fn step(&mut self, what: u8, control: &mut Control<'_>, world: &mut World) {
        let stream = world.gateway.stream.unwrap_or(1);
        match what % 24 {
            0..=3 => self.open(control, world),
            4..=7 => self.relay(control, world, &[Kind::AgentTCPConnectionWrite]),
            8 => self.relay(
                control,
                world,
                &[Kind::AgentCloseTCPConnection, Kind::AgentSessionClose],
            ),
            9 | 10 => self.relay(
                control,
                world,
                &[
                    Kind::AgentExecWriteStdin,
                    Kind::AgentTerminalWriteStdin,
                    Kind::AgentTerminalResizeTTY,
                ],
            ),
            11 => self.relay(control, world, Kind::ALL),
            12 | 13 => self.bulk(control, world),
            14 => self.answer(control, world),
            15 => {
                let status = *control.pick(&["0", "9", "14", "16", "x"]);
                headers(&mut self.wire, stream, &[("grpc-status", status)], true);
            }
            16 => frame(
                &mut self.wire,
                RST_STREAM,
                0,
                stream,
                &[0, 0, 0, control.byte() & 15],
            ),
            17 => frame(
                &mut self.wire,
                GOAWAY,
                0,
                0,
                &[0, 0, 0, control.byte() & 3, 0, 0, 0, 0],
            ),
            18 => frame(&mut self.wire, PING, 0, 0, &[1; 8]),
            19 => settings(
                &mut self.wire,
                &[(u16::from(control.byte() & 7), control.number())],
            ),
            20 => self.broken_message(control, world),
            21 => {
                let (kind, flags) = (control.byte() % 11, control.byte());
                let len = usize::from(control.byte() & 31);
                frame(&mut self.wire, kind, flags, stream, control.bytes(len));
            }
            22 => {
                let flags = b"{\"experimental.x\":true}";
                self.packet(
                    world,
                    Kind::GatewayFeatureFlagUpdate.name(),
                    &[(spec::FEATURE_FLAGS, flags)],
                    b"",
                );
            }
            _ => {
                let len = usize::from(control.byte());
                let name = String::from_utf8_lossy(control.bytes(len)).into_owned();
                self.packet(world, &name, &[(spec::SESSION_ID, b"a")], b"x");
            }
        }
    }

    /// A session of some type, with or without what that type needs.
    fn open(&mut self, control: &mut Control<'_>, world: &mut World) {
        let how = control.byte();
        let mut environment = Vec::new();
        let variables = [
            ("HOST", "db"),
            ("PORT", "5432"),
            ("USER", "u"),
            ("PASS", "p"),
            ("A", "$B"),
            ("CONNECTION_STRING", "mongodb://h:1/d"),
        ];
        let wanted = control.byte();
        for (place, (name, value)) in variables.iter().enumerate() {
            if wanted >> place & 1 == 0 {
                environment.push((format!("envvar:{name}"), base64::encode(value.as_bytes())));
            }
        }
        if wanted & 0x40 != 0 {
            let len = usize::from(control.byte() & 63);
            let value = String::from_utf8_lossy(control.bytes(len)).into_owned();
            environment.push(("filesystem:KEY".to_owned(), value));
        }
        let params = ConnectionParams {
            connection_name: "name".to_owned(),
            connection_type: (*control.pick(&[
                "tcp",
                "tcp",
                "command-line",
                "postgres",
                "mongodb",
                "ssh",
                "",
            ]))
            .to_owned(),
            env_vars: (how & 1 == 0).then_some(environment),
            cmd_list: ["bash", "-c", "$A ${HOST}"].map(str::to_owned)[..usize::from(how >> 1 & 3)]
                .to_vec(),
            client_verb: (*control.pick(&["exec", "connect"])).to_owned(),
            guard_rail_rules: if how & 0x80 != 0 {
                b"{\"input_rules\":[{\"rules\":[]}]}".to_vec()
            } else {
                Vec::new()
            },
            ..ConnectionParams::default()
        };
        let mut gob = if how & 8 == 0 {
            params.encode()
        } else {
            params.encode_of_2024()
        };
        if how & 0x70 == 0x70 {
            let at = usize::from(control.word()) % gob.len();
            gob[at] ^= control.byte();
        }
        let args = encode_strings(&["one".to_owned(), "$TWO".to_owned()]);
        let variables = encode_string_map(&[("envvar:C".to_owned(), base64::encode(b"c"))]);
        let id = *control.pick(IDS);
        let entries = [
            (spec::SESSION_ID, id),
            (spec::CONNECTION_PARAMS, &gob[..]),
            (spec::CLIENT_ARGS, &args[..]),
            (spec::CLIENT_ENV_VARS, &variables[..]),
        ];
        let used = if how & 0x10 == 0 { 4 } else { 2 };
        self.packet(world, Kind::AgentSessionOpen.name(), &entries[..used], b"");
    }

    /// A packet of one of these kinds for some relay of some session.
    fn relay(&mut self, control: &mut Control<'_>, world: &mut World, kinds: &[Kind]) {
        let kind = *control.pick(kinds);
        let (id, connection) = (*control.pick(IDS), *control.pick(CONNECTIONS));
        let mut entries = vec![(spec::SESSION_ID, id), (spec::CONNECTION_ID, connection)];
        let how = control.byte();
        if how & 7 == 1 {
            entries.push((spec::TCP_SERVER_CONNECT, b""));
        }
        if how & 7 == 2 {
            entries.pop();
        }
        let payload = match kind {
            Kind::AgentTerminalResizeTTY => b"40,120,0,0".to_vec(),
            _ if how & 8 == 0 => control.bytes(usize::from(how >> 4)).to_vec(),
            _ => vec![b'p'; usize::from(control.word())],
        };
        self.packet(world, kind.name(), &entries, &payload);
    }

    /// Much for one relay, as far as the agent has given credit.
    fn bulk(&mut self, control: &mut Control<'_>, world: &mut World) {
        let entries = [
            (spec::SESSION_ID, *control.pick(IDS)),
            (spec::CONNECTION_ID, *control.pick(CONNECTIONS)),
        ];
        let payload = vec![b'b'; 32 * 1024];
        for _ in 0..control.byte() {
            if self.bulk + payload.len() > BULK_BYTES_MAX || world.gateway.window < 40 * 1024 {
                return;
            }
            self.bulk += payload.len();
            self.packet(
                world,
                Kind::AgentTCPConnectionWrite.name(),
                &entries,
                &payload,
            );
        }
    }

    /// The answer to a key check or to the question whether somebody waits.
    fn answer(&mut self, control: &mut Control<'_>, world: &mut World) {
        let Some(stream) = world.gateway.asking.pop() else {
            return;
        };
        let how = control.byte();
        if how & 8 != 0 {
            let status = *control.pick(&["16", "14", "0"]);
            let fields = [
                GRPC[0],
                GRPC[1],
                ("grpc-status", status),
                ("grpc-message", "no%20"),
            ];
            return headers(&mut self.wire, stream, &fields, true);
        }
        headers(&mut self.wire, stream, GRPC, false);
        let word = *control.pick(&["CONNECT", "BACKOFF", ""]);
        let mut message = vec![0x0a, u8::try_from(word.len()).unwrap_or(0)];
        message.extend_from_slice(word.as_bytes());
        let framed = [&prefix(message.len())[..], &message].concat();
        frame(&mut self.wire, DATA, how & END_STREAM, stream, &framed);
        if how & END_STREAM == 0 {
            headers(&mut self.wire, stream, &[("grpc-status", "0")], true);
        }
    }

    /// A message that is none, or not whole.
    fn broken_message(&mut self, control: &mut Control<'_>, world: &World) {
        let stream = world.gateway.stream.unwrap_or(1);
        let mut framed = vec![*control.pick(&[0, 0, 1, 2])];
        framed.extend(
            control
                .pick(&[0, 1, 7, 300, 18_000_000, u32::MAX])
                .to_be_bytes(),
        );
        let len = usize::from(control.byte() & 15);
        framed.extend_from_slice(control.bytes(len));
        frame(&mut self.wire, DATA, 0, stream, &framed);
    }

    /// One packet in one message in as many DATA frames as it needs.
    fn packet(&mut self, world: &mut World, kind: &str, entries: &[(&str, &[u8])], payload: &[u8]) {
        let Some(stream) = world.gateway.stream else {
            return;
        };
        let mut message = Vec::new();
        match Kind::from_name(kind) {
            Some(kind) => encode(&mut message, kind, entries, payload),
            None => {
                encode(&mut message, Kind::AgentTerminalClose, entries, payload);
                let name = kind.as_bytes();
                message.extend([0x12, u8::try_from(name.len().min(127)).unwrap_or(0)]);
                message.extend_from_slice(&name[..name.len().min(127)]);
            }
        }
        world.message_max = world.message_max.max(message.len());
        let framed = [&prefix(message.len())[..], &message].concat();
        world.gateway.window -= i64::try_from(framed.len()).unwrap_or(i64::MAX);
        for part in framed.chunks(16_384) {
            frame(&mut self.wire, DATA, 0, stream, part);
        }
    }

    /// Hands over what was said, whole or in pieces.
    fn deliver(&mut self, control: &mut Control<'_>, world: &mut World) {
        let wire = std::mem::take(&mut self.wire);
        let mut rest = &wire[..];
        // Most often whole: the cuts have targets of their own.
        while !rest.is_empty() && world.gateway.is_up {
            let size = match rest.len() {
                0..100 if control.0.first() == Some(&0) => control.piece(),
                _ => usize::MAX,
            };
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            world.receive(piece);
            rest = behind;
        }
    }
}

const GRPC: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/grpc")];
const IDS: &[&[u8]] = &[b"a", b"b", b"c", b"", b"\xff"];
const CONNECTIONS: &[&[u8]] = &[b"1", b"2", b"3", b""];

fn prefix(len: usize) -> [u8; 5] {
    let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    [0, a, b, c, d]
}
