//! Encodings without meaning: varints, protobuf, base64, gob, JSON.

use hoop_lite::admin::answers;
use hoop_lite::wire::protobuf::{self, FieldReader, FieldValue};
use hoop_lite::wire::{
    base64 as codec, gob as reader, json as writer, json_text, varint as number,
};
use serde::de::IgnoredAny;

/// A varint: what was read is written and read again, in the shortest form no longer than it came.
pub fn varint(bytes: &[u8]) -> bool {
    let Ok((value, rest)) = number::read(bytes) else {
        assert!(
            bytes.len() < number::LEN_MAX
                || bytes[..number::LEN_MAX - 1].iter().all(|b| b & 0x80 != 0)
        );
        return false;
    };
    let taken = bytes.len() - rest.len();
    let mut again = Vec::new();
    number::write(&mut again, value);
    assert!((1..=number::LEN_MAX).contains(&taken) && again.len() <= taken);
    assert_eq!(number::read(&again), Ok((value, &[][..])));
    if let Ok(small @ 0..number::PADDED_LIMIT) = usize::try_from(value) {
        let mut padded = Vec::new();
        number::write_padded(&mut padded, small);
        assert_eq!(padded.len(), number::PADDED_LEN);
        assert_eq!(number::read(&padded), Ok((value, &[][..])));
    }
    true
}

/// A protobuf message: values lie inside it, and the bytes fields survive being written.
pub fn protobuf(bytes: &[u8]) -> bool {
    let fields: Vec<_> = FieldReader::new(bytes).collect();
    let mut again = Vec::new();
    let mut lent = 0;
    let mut written = Vec::new();
    for field in fields.iter().flatten() {
        if let (field_number, FieldValue::Bytes(content)) = field {
            lent += content.len();
            protobuf::write_bytes(&mut again, *field_number, content);
            written.push(Ok(*field));
        }
    }
    assert!(lent <= bytes.len() && fields.len() <= bytes.len());
    assert_eq!(FieldReader::new(&again).collect::<Vec<_>>(), written);
    let first_error = fields.iter().position(Result::is_err);
    assert!(
        first_error.is_none_or(|at| at + 1 == fields.len()),
        "an error is the end"
    );
    first_error.is_none()
}

/// Base64: what was read, written again, reads the same; and any bytes survive both ways.
pub fn base64(bytes: &[u8]) -> bool {
    assert_eq!(
        codec::decode(codec::encode(bytes).as_bytes()).as_deref(),
        Ok(bytes)
    );
    match codec::decode(bytes) {
        Ok(plain) => {
            let canonical = codec::encode(&plain);
            assert_eq!(codec::decode(canonical.as_bytes()), Ok(plain));
            assert!(canonical.len() <= bytes.len());
            true
        }
        Err(illegal) => {
            assert!(illegal.at <= bytes.len());
            false
        }
    }
}

/// Gob: bounded in depth and number, leaves lie inside the input, later bytes change nothing.
pub fn gob(bytes: &[u8]) -> bool {
    let Ok(value) = reader::decode(bytes) else {
        return false;
    };
    let mut count = 0;
    measure(&value, 0, &mut count, bytes);
    assert!(count <= reader::NODE_COUNT_MAX);
    let longer = [bytes, &[0xff; 3]].concat();
    // NaN is not equal to itself, so the shapes are compared by what they count to.
    let mut count_of_longer = 0;
    match reader::decode(&longer) {
        Ok(again) => measure(&again, 0, &mut count_of_longer, &longer),
        Err(error) => panic!("bytes behind the value matter: {error}"),
    }
    assert_eq!(count, count_of_longer);
    true
}

fn measure(value: &reader::Value<'_>, depth: usize, count: &mut usize, input: &[u8]) {
    use reader::Value as V;
    assert!(depth <= reader::DEPTH_MAX);
    *count += 1;
    let lent = |bytes: &[u8]| {
        let (inside, outer) = (bytes.as_ptr_range(), input.as_ptr_range());
        assert!(bytes.is_empty() || (outer.start <= inside.start && inside.end <= outer.end));
    };
    match value {
        V::Bytes(bytes) | V::Text(bytes) | V::Opaque(bytes) => lent(bytes),
        V::Interface(name, inner) => {
            lent(name);
            measure(inner, depth + 1, count, input);
        }
        V::Struct(fields) => {
            for (name, inner) in fields {
                lent(name);
                measure(inner, depth + 1, count, input);
            }
        }
        V::List(values) => values
            .iter()
            .for_each(|v| measure(v, depth + 1, count, input)),
        V::Map(pairs) => {
            for (key, inner) in pairs {
                measure(key, depth + 1, count, input);
                measure(inner, depth + 1, count, input);
            }
        }
        V::Bool(_) | V::Int(_) | V::Uint(_) | V::Float(_) | V::Complex(..) | V::Nil => {}
    }
}

/// JSON: `serde_json` agrees on what is JSON, the shapes of the gateway's answers never panic, and
/// what is written survives.
pub fn json(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut quoted = String::new();
    writer::write_string(&mut quoted, &text);
    assert_eq!(
        serde_json::from_str::<String>(&quoted).ok().as_deref(),
        Some(&*text)
    );
    assert!(json_text::is_json(&quoted));
    let ours = json_text::is_json(&text);
    let theirs = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    // Ours nests less deeply than theirs.
    assert!(
        ours == theirs || (theirs && text.matches(['[', '{']).count() > 60),
        "{text:?}"
    );
    let elements = json_text::elements(&text);
    if let Some(elements) = &elements {
        let listed = serde_json::from_str::<Vec<IgnoredAny>>(&text).map(|list| list.len());
        assert_eq!(listed.ok(), Some(elements.len()));
        assert!(elements.iter().all(|element| json_text::is_json(element)));
    }
    let _ = json_text::parse::<Vec<answers::AgentEntry>>(&text);
    let _ = json_text::parse::<answers::AgentEntry>(&text);
    let _ = json_text::parse::<answers::Created>(&text);
    let _ = json_text::parse::<answers::PublicInfo>(&text);
    let _ = json_text::parse::<answers::ServerInfo>(&text);
    let _ = json_text::parse::<answers::Message>(&text);
    ours
}
