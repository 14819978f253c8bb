//! Packets and connection params of the simulated gateway: protobuf and gob by code of its own,
//! from the protocol reference (sections 1.1, 4 and 6), not from `src/wire`.

use std::collections::BTreeMap;

pub const SESSION_ID: &str = "gateway.session_id";
pub const CONNECTION_ID: &str = "client.connection_id";
pub const EXIT_CODE: &str = "client.exit_code";

/// A packet of the agent.
#[derive(Debug, Default)]
pub struct Got {
    pub kind: String,
    pub spec: BTreeMap<String, Vec<u8>>,
    pub payload: Vec<u8>,
}

impl Got {
    pub fn text(&self, key: &str) -> &str {
        let value = self.spec.get(key).map_or(&b""[..], Vec::as_slice);
        std::str::from_utf8(value).expect("spec text")
    }
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 128 {
        out.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    out.push(u8::try_from(value).unwrap());
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A packet with its length prefix.
pub fn encode(kind: &str, spec: &[(&str, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(payload.len() + 128);
    field(&mut message, 2, kind.as_bytes());
    for (key, value) in spec {
        let mut entry = Vec::new();
        field(&mut entry, 1, key.as_bytes());
        if !value.is_empty() {
            field(&mut entry, 2, value);
        }
        field(&mut message, 3, &entry);
    }
    if !payload.is_empty() {
        field(&mut message, 4, payload);
    }
    prefixed(&message)
}

/// `PreConnectResponse` with its length prefix.
pub fn encode_answer(status: &str) -> Vec<u8> {
    let mut message = Vec::new();
    field(&mut message, 1, status.as_bytes());
    prefixed(&message)
}

fn prefixed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], message].concat()
}

fn take_varint(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (first, rest) = bytes.split_first().expect("protobuf ends too soon");
        *bytes = rest;
        value |= usize::from(first & 127) << shift;
        if *first < 128 {
            return value;
        }
    }
    panic!("a varint without end");
}

fn fields(mut bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes);
        assert_eq!(tag & 7, 2, "a field of wire type {}", tag & 7);
        let length = take_varint(&mut bytes);
        let (content, rest) = bytes.split_at(length);
        found.push((tag >> 3, content));
        bytes = rest;
    }
    found
}

/// A message of the agent, without prefix.
pub fn decode(message: &[u8]) -> Got {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let mut got = Got::default();
    for (number, content) in fields(message) {
        match number {
            2 => got.kind = text(content),
            3 => {
                let (mut key, mut value) = (String::new(), Vec::new());
                for (number, content) in fields(content) {
                    match number {
                        1 => key = text(content),
                        2 => value = content.to_vec(),
                        _ => panic!("a spec entry with field {number}"),
                    }
                }
                let before = got.spec.insert(key, value);
                assert!(before.is_none(), "a spec key twice");
            }
            4 => got.payload = content.to_vec(),
            _ => panic!("a packet with field {number}"),
        }
    }
    got
}

/// `AgentConnectionParams`, as much as matters here.
pub struct Params<'a> {
    pub connection_type: &'a str,
    pub verb: &'a str,
    pub user: &'a str,
    /// Name and plain value of variables.
    pub variables: &'a [(&'a str, &'a str)],
    pub command: &'a [&'a str],
}

const STRING: i64 = 6;
const INTERFACE: i64 = 8;
const STRUCT_ID: i64 = 65;
const MAP_ID: i64 = 66;
const SLICE_ID: i64 = 67;

impl Params<'_> {
    /// One gob stream: three definitions and the value.
    pub fn gob(&self) -> Vec<u8> {
        let columns = [
            ("ConnectionType", STRING),
            ("EnvVars", MAP_ID),
            ("CmdList", SLICE_ID),
            ("ClientVerb", STRING),
            ("UserEmail", STRING),
        ];
        let mut out = Vec::new();
        message(&mut out, |body| {
            define(body, STRUCT_ID, 3, "AgentConnectionParams");
            body.extend([1, 5]);
            for (name, id) in columns {
                body.push(1);
                counted(body, name.as_bytes());
                body.push(1);
                int(body, id);
                body.push(0);
            }
            body.extend([0, 0]);
        });
        message(&mut out, |body| {
            define(body, MAP_ID, 4, "map[string]interface {}");
            for id in [STRING, INTERFACE] {
                body.push(1);
                int(body, id);
            }
            body.extend([0, 0]);
        });
        message(&mut out, |body| {
            define(body, SLICE_ID, 2, "[]string");
            body.push(1);
            int(body, STRING);
            body.extend([0, 0]);
        });
        message(&mut out, |body| self.value(body));
        out
    }

    fn value(&self, body: &mut Vec<u8>) {
        int(body, STRUCT_ID);
        body.push(1);
        counted(body, self.connection_type.as_bytes());
        body.push(1);
        uint(body, self.variables.len());
        for (name, value) in self.variables {
            counted(body, format!("envvar:{name}").as_bytes());
            counted(body, b"string");
            int(body, STRING);
            let mut inner = vec![0];
            counted(&mut inner, base64(value.as_bytes()).as_bytes());
            counted(body, &inner);
        }
        let mut delta = 1;
        if self.command.is_empty() {
            delta = 2;
        } else {
            body.push(1);
            uint(body, self.command.len());
            for word in self.command {
                counted(body, word.as_bytes());
            }
        }
        body.push(delta);
        counted(body, self.verb.as_bytes());
        body.push(1);
        counted(body, self.user.as_bytes());
        body.push(0);
    }
}

fn define(body: &mut Vec<u8>, id: i64, shape: u8, name: &str) {
    int(body, -id);
    body.extend([shape, 1, 1]);
    counted(body, name.as_bytes());
    body.push(1);
    int(body, id);
    body.push(0);
}

fn message(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write(&mut body);
    counted(out, &body);
}

fn counted(out: &mut Vec<u8>, bytes: &[u8]) {
    uint(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn int(out: &mut Vec<u8>, value: i64) {
    let bits = if value < 0 { -value * 2 - 1 } else { value * 2 };
    uint(out, usize::try_from(bits).unwrap());
}

fn uint(out: &mut Vec<u8>, value: usize) {
    if let Ok(small @ ..128) = u8::try_from(value) {
        return out.push(small);
    }
    let bytes = (value as u64).to_be_bytes();
    let used = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    out.push(u8::try_from(256 - used.len()).unwrap());
    out.extend_from_slice(used);
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let mut bits = 0usize;
        for place in 0..3 {
            bits = bits << 8 | usize::from(group.get(place).copied().unwrap_or(0));
        }
        for place in 0..4 {
            let letter = LETTERS[bits >> (18 - 6 * place) & 63];
            out.push(if place <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}
