//! The decoder against inputs made by Go's own encoder (`tests/vectors/gob-vectors.json`), and
//! against what grows out of them.

use super::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

struct Vector {
    name: String,
    input: Vec<u8>,
    expected: Json,
}

fn vectors() -> Vec<Vector> {
    let file = include_str!("../../../tests/vectors/gob-vectors.json");
    let list: Vec<Json> = serde_json::from_str(file).unwrap();
    list.into_iter()
        .map(|vector| Vector {
            name: vector["name"].as_str().unwrap().to_owned(),
            input: unhex(vector["hex"].as_str().unwrap()),
            expected: vector["json"].clone(),
        })
        .collect()
}

/// The input of this name.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    vectors()
        .into_iter()
        .find(|vector| vector.name == name)
        .unwrap()
        .input
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| u8::try_from((*byte as char).to_digit(16).unwrap()).unwrap();
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(&pair[0]) << 4 | digit(&pair[1]))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The tree in the vector file's own notation.
fn to_json(value: &Value<'_>) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Uint(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Bytes(bytes) => json!({ "$bytes": hex(bytes) }),
        Value::Text(bytes) => json!(text(bytes)),
        Value::Complex(re, im) => json!([re, im]),
        Value::Nil => Json::Null,
        Value::Interface(name, value) => match &**value {
            Value::Text(bytes) if *name == b"string" => json!(text(bytes)),
            value => json!({ "$iface": text(name), "value": to_json(value) }),
        },
        Value::Struct(fields) => fields
            .iter()
            .map(|(name, value)| (text(name), to_json(value)))
            .collect(),
        Value::List(values) => values.iter().map(to_json).collect(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| (key_text(key), to_json(value)))
            .collect(),
        Value::Opaque(bytes) => json!({ "$gobencoder": hex(bytes) }),
    }
}

fn key_text(key: &Value<'_>) -> String {
    match to_json(key) {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

/// Equal, where 1 and 1.0 are the same number (JSON has one kind only).
fn same(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Json::Object(left), Json::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, l)| right.get(key).is_some_and(|r| same(l, r)))
        }
        _ => left == right,
    }
}

#[test]
fn every_vector_decodes_to_its_value() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 50);
    for Vector {
        name,
        input,
        expected,
    } in vectors
    {
        let value = decode(&input).unwrap_or_else(|error| panic!("{name}: {error}"));
        let value = to_json(&value);
        assert!(same(&value, &expected), "{name}: {value} is not {expected}");
    }
}

#[test]
fn the_rejected_inputs_of_the_reference_are_rejected() {
    let cases = [
        ("", Error::Empty),
        ("00", Error::Truncated),
        ("16ff85", Error::Truncated),
        ("040400ff", Error::Truncated),
        ("030c0005", Error::Truncated),
        ("02ff80", Error::Type),
    ];
    for (input, error) in cases {
        assert_eq!(decode(&unhex(input)), Err(error), "{input}");
    }
}

#[test]
fn an_input_cut_short_anywhere_is_rejected() {
    for name in [
        "2024-plugin-hooks",
        "head-envvars-one-nested",
        "args-one",
        "ids-above-127",
    ] {
        let input = vector(name);
        for len in 0..input.len() {
            assert!(decode(&input[..len]).is_err(), "{name} cut to {len}");
        }
    }
}

#[test]
fn bytes_behind_the_value_are_ignored() {
    let mut input = vector("scalar-int");
    input.extend([0xff, 0xff]);
    assert_eq!(decode(&input), Ok(Value::Int(-65)));
}

#[test]
fn a_scalar_without_its_mark_is_rejected() {
    assert_eq!(decode(&unhex("03040102")), Err(Error::Mark));
}

/// A message that defines type 65 as a slice of itself.
const SLICE_OF_ITSELF: &str = "09ff81020102ff820001ff820000";

/// Puts `content` behind its length.
fn message(content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[0xfe], len.as_slice(), content].concat()
}

/// A value of a slice type that contains itself, `depth` deep.
fn nested(depth: usize) -> Vec<u8> {
    let definition = unhex(SLICE_OF_ITSELF);
    let mut value = vec![0xff, 0x82, 0x00];
    value.extend(vec![1; depth - 1]);
    value.push(0);
    [message(&definition[1..]), message(&value)].concat()
}

#[test]
fn nesting_ends_at_the_limit() {
    assert!(decode(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(decode(&nested(DEPTH_MAX + 1)), Err(Error::TooDeep));
}

/// A slice of `count` numbers.
fn numbers(count: u32, sent: usize) -> Vec<u8> {
    let mut value = vec![0xff, 0x82, 0x00, 0xfc];
    value.extend(count.to_be_bytes());
    value.extend(vec![0; sent]);
    let len = u32::try_from(value.len()).unwrap().to_be_bytes();
    let definition = unhex("0cff81020102ff82000104000000");
    [
        message(&definition[1..definition.len() - 1]),
        vec![0xfc],
        len.to_vec(),
        value,
    ]
    .concat()
}

#[test]
fn a_claimed_count_is_worth_nothing() {
    assert!(decode(&numbers(40_000, 40_000)).is_ok());
    assert_eq!(decode(&numbers(u32::MAX, 4)), Err(Error::Truncated));
    assert_eq!(decode(&numbers(100_000, 100_000)), Err(Error::TooMany));
}

#[test]
fn definitions_are_bounded_and_unique() {
    let slice_of_text = |id: u8| message(&[0xff, id * 2 - 1, 0x02, 0x02, 0x0c, 0x00, 0x00]);
    let value = message(&[0xff, 130, 0x00, 0x00]);
    let one = [slice_of_text(65), value.clone()].concat();
    assert_eq!(decode(&one), Ok(Value::List(Vec::new())));
    let twice = [slice_of_text(65), slice_of_text(65), value.clone()].concat();
    assert_eq!(decode(&twice), Err(Error::Type));
    let built_in = [slice_of_text(63), value.clone()].concat();
    assert_eq!(decode(&built_in), Err(Error::Type));
    let mut many = Vec::new();
    for id in (64u16..).take(TYPE_COUNT_MAX + 1) {
        let [high, low] = (id * 2 - 1).to_be_bytes();
        many.extend(message(&[0xfe, high, low, 0x02, 0x02, 0x0c, 0x00, 0x00]));
    }
    assert_eq!(decode(&many), Err(Error::TooMany));
}

fn count_nodes(value: &Value<'_>) -> usize {
    1 + match value {
        Value::Interface(_, value) => count_nodes(value),
        Value::Struct(fields) => fields.iter().map(|(_, value)| count_nodes(value)).sum(),
        Value::List(values) => values.iter().map(count_nodes).sum(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| count_nodes(key) + count_nodes(value))
            .sum(),
        _ => 0,
    }
}

fn small_vectors() -> Vec<Vec<u8>> {
    vectors()
        .into_iter()
        .map(|vector| vector.input)
        .filter(|input| input.len() < 3000)
        .collect()
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(input: Vec<u8>) {
        if let Ok(value) = decode(&input) {
            prop_assert!(count_nodes(&value) <= input.len());
        }
    }

    #[test]
    fn mutated_vectors_never_panic_and_stay_bounded(
        input in proptest::sample::select(small_vectors()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut input = input;
        for (place, byte) in changes {
            let place = place.index(input.len());
            input[place] = byte;
        }
        if let Ok(value) = decode(&input) {
            prop_assert!(count_nodes(&value) <= input.len());
        }
    }
}
