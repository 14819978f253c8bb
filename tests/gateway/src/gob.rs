//! Writes the gob of a session open (gateway-protocol 6), byte for byte as Go's encoder does.
//!
//! Only what the gateway sends: `AgentConnectionParams` in the shape of today and of 2024,
//! `[]string` and `map[string]string`. Decoding is the agent's business.

/// An `AgentConnectionParams`, or another struct, as fields in the order of its Go type.
pub struct Struct {
    /// The Go type's bare name.
    pub name: &'static str,
    /// Field names with their values; a zero value is not sent.
    pub fields: Vec<(&'static str, Value)>,
}

/// A field's value, which also tells the field's Go type.
pub enum Value {
    /// `string`
    Text(String),
    /// `[]byte` and `json.RawMessage`
    Bytes(Vec<u8>),
    /// `[]string`
    Texts(Vec<String>),
    /// `map[string]any` whose values are all strings; `None` is a nil map.
    AnyMap(Option<Vec<(String, String)>>),
    /// A pointer to a struct of strings: the struct's name and its fields; `None` as last part is nil.
    Nested(&'static str, &'static [&'static str], Option<Vec<String>>),
    /// `[]map[string]any`, of the agents of 2024; only nil and empty ones can be written.
    NoMaps,
}

const STRING: i64 = 6;
const BYTES: i64 = 5;
const INTERFACE: i64 = 8;
const FIRST_ID: i64 = 65;

/// The field of `wireType` that a definition fills, as a delta from before its first field.
const SLICE: u8 = 2;
const STRUCT: u8 = 3;
const MAP: u8 = 4;

/// A value of struct type, with the definitions that it needs.
pub fn encode_struct(value: &Struct) -> Vec<u8> {
    let mut types = Types::default();
    let id = types.next_id();
    let ids: Vec<i64> = value
        .fields
        .iter()
        .map(|(_, value)| types.id_of(value))
        .collect();
    let mut out = definition(id, STRUCT, value.name, |body| {
        let fields: Vec<(&str, i64)> = value
            .fields
            .iter()
            .map(|(name, _)| *name)
            .zip(ids.iter().copied())
            .collect();
        write_field_list(body, &fields);
    });
    out.extend(types.definitions);
    let mut body = Vec::new();
    write_int(&mut body, id);
    let mut last = -1;
    for (number, (_, value)) in (0..).zip(&value.fields) {
        if value.is_zero() {
            continue;
        }
        write_uint(&mut body, u64::try_from(number - last).unwrap());
        last = number;
        value.write(&mut body);
    }
    body.push(0);
    write_message(&mut out, &body);
    out
}

/// A `[]string`.
pub fn encode_strings(values: &[String]) -> Vec<u8> {
    let mut out = slice_definition(FIRST_ID, "[]string", STRING);
    let mut body = Vec::new();
    write_int(&mut body, FIRST_ID);
    body.push(0);
    Value::Texts(values.to_vec()).write(&mut body);
    write_message(&mut out, &body);
    out
}

/// A `map[string]string`, in the order given.
pub fn encode_string_map(entries: &[(String, String)]) -> Vec<u8> {
    let mut out = definition(FIRST_ID, MAP, "", |body| write_map_type(body, STRING));
    let mut body = Vec::new();
    write_int(&mut body, FIRST_ID);
    body.push(0);
    write_uint(&mut body, length(entries.len()));
    for (key, value) in entries {
        write_bytes(&mut body, key.as_bytes());
        write_bytes(&mut body, value.as_bytes());
    }
    write_message(&mut out, &body);
    out
}

impl Value {
    fn is_zero(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Texts(texts) => texts.is_empty(),
            Self::AnyMap(map) => map.is_none(),
            Self::Nested(_, _, fields) => fields.is_none(),
            Self::NoMaps => true,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => write_bytes(out, text.as_bytes()),
            Self::Bytes(bytes) => write_bytes(out, bytes),
            Self::Texts(texts) => {
                write_uint(out, length(texts.len()));
                for text in texts {
                    write_bytes(out, text.as_bytes());
                }
            }
            Self::AnyMap(map) => {
                let entries = map.as_deref().unwrap_or_default();
                write_uint(out, length(entries.len()));
                for (key, value) in entries {
                    write_bytes(out, key.as_bytes());
                    write_interface_text(out, value);
                }
            }
            Self::Nested(_, _, fields) => {
                let mut last = -1;
                for (number, text) in (0..).zip(fields.iter().flatten()) {
                    if !text.is_empty() {
                        write_uint(out, u64::try_from(number - last).unwrap());
                        last = number;
                        write_bytes(out, text.as_bytes());
                    }
                }
                out.push(0);
            }
            Self::NoMaps => out.push(0),
        }
    }
}

/// Hands out ids and remembers the definitions of the parts, each once.
#[derive(Default)]
struct Types {
    count: i64,
    texts: Option<i64>,
    any_map: Option<i64>,
    definitions: Vec<u8>,
}

impl Types {
    fn next_id(&mut self) -> i64 {
        self.count += 1;
        FIRST_ID + self.count - 1
    }

    fn id_of(&mut self, value: &Value) -> i64 {
        match value {
            Value::Text(_) => STRING,
            Value::Bytes(_) => BYTES,
            Value::Texts(_) => self.texts_id(),
            Value::AnyMap(_) => self.any_map_id(),
            Value::Nested(name, fields, _) => {
                let id = self.next_id();
                let fields: Vec<(&str, i64)> = fields.iter().map(|name| (*name, STRING)).collect();
                let text = definition(id, STRUCT, name, |body| write_field_list(body, &fields));
                self.definitions.extend(text);
                id
            }
            Value::NoMaps => {
                let element = self.any_map_id();
                let id = self.next_id();
                let name = "[]map[string]interface {}";
                self.definitions.extend(slice_definition(id, name, element));
                id
            }
        }
    }

    fn texts_id(&mut self) -> i64 {
        if let Some(id) = self.texts {
            return id;
        }
        let id = self.next_id();
        self.texts = Some(id);
        self.definitions
            .extend(slice_definition(id, "[]string", STRING));
        id
    }

    fn any_map_id(&mut self) -> i64 {
        if let Some(id) = self.any_map {
            return id;
        }
        let id = self.next_id();
        self.any_map = Some(id);
        let name = "map[string]interface {}";
        self.definitions.extend(definition(id, MAP, name, |body| {
            write_map_type(body, INTERFACE)
        }));
        id
    }
}

/// The message that defines type `id`, whose shape is one of the constants above; `rest` writes
/// what follows the common part.
fn definition(id: i64, shape: u8, name: &str, rest: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    write_int(&mut body, -id);
    body.push(shape);
    body.push(1);
    if name.is_empty() {
        body.push(2);
    } else {
        body.push(1);
        write_bytes(&mut body, name.as_bytes());
        body.push(1);
    }
    write_int(&mut body, id);
    body.push(0);
    rest(&mut body);
    body.extend([0, 0]);
    let mut out = Vec::new();
    write_message(&mut out, &body);
    out
}

fn slice_definition(id: i64, name: &str, element: i64) -> Vec<u8> {
    definition(id, SLICE, name, |body| {
        body.push(1);
        write_int(body, element);
    })
}

fn write_map_type(body: &mut Vec<u8>, element: i64) {
    body.push(1);
    write_int(body, STRING);
    body.push(1);
    write_int(body, element);
}

fn write_field_list(body: &mut Vec<u8>, fields: &[(&str, i64)]) {
    body.push(1);
    write_uint(body, length(fields.len()));
    for (name, id) in fields {
        body.push(1);
        write_bytes(body, name.as_bytes());
        body.push(1);
        write_int(body, *id);
        body.push(0);
    }
}

fn write_interface_text(out: &mut Vec<u8>, text: &str) {
    write_bytes(out, b"string");
    write_int(out, STRING);
    let mut value = vec![0];
    write_bytes(&mut value, text.as_bytes());
    write_bytes(out, &value);
}

fn write_message(out: &mut Vec<u8>, body: &[u8]) {
    write_bytes(out, body);
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_uint(out, length(bytes.len()));
    out.extend_from_slice(bytes);
}

fn write_int(out: &mut Vec<u8>, value: i64) {
    let bits = if value < 0 {
        !value << 1 | 1
    } else {
        value << 1
    };
    write_uint(out, bits.cast_unsigned());
}

fn write_uint(out: &mut Vec<u8>, value: u64) {
    if value < 128 {
        out.push(value.to_le_bytes()[0]);
        return;
    }
    let bytes = value.to_be_bytes();
    let used = bytes.iter().skip_while(|byte| **byte == 0).count();
    out.push((used as u8).wrapping_neg());
    out.extend_from_slice(&bytes[bytes.len() - used..]);
}

fn length(count: usize) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests;
