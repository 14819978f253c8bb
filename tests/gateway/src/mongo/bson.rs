//! BSON for the scripted server and client: whole documents, each value by itself.

/// What an element holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// 0x01.
    Double(f64),
    /// 0x02.
    Text(String),
    /// 0x03.
    Document(Document),
    /// 0x04.
    Array(Vec<Value>),
    /// 0x05.
    Binary(Vec<u8>),
    /// 0x08.
    Bool(bool),
    /// 0x10.
    Int(i32),
    /// 0x12.
    Long(i64),
}

/// Elements in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document(pub Vec<(String, Value)>);

impl Eq for Document {}

impl Document {
    /// Without elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// There is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Text of this name, or nothing.
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// Bytes of this name, or none.
    pub fn binary(&self, name: &str) -> &[u8] {
        match self.get(name) {
            Some(Value::Binary(bytes)) => bytes,
            _ => b"",
        }
    }

    /// The number of this name, true counting as 1, or 0.
    pub fn number(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Int(number)) => i64::from(*number),
            Some(Value::Long(number)) => *number,
            #[allow(clippy::cast_possible_truncation, reason = "small numbers alone")]
            Some(Value::Double(number)) => *number as i64,
            Some(Value::Bool(is_true)) => i64::from(*is_true),
            _ => 0,
        }
    }

    /// The document of this name, or an empty one.
    pub fn document(&self, name: &str) -> Document {
        match self.get(name) {
            Some(Value::Document(document)) => document.clone(),
            _ => Document::new(),
        }
    }

    /// Its first name: the command.
    pub fn command(&self) -> &str {
        self.0.first().map_or("", |(name, _)| name)
    }

    /// As it goes over the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        for (name, value) in &self.0 {
            value.encode(name, &mut out);
        }
        out.push(0);
        let len = i32::try_from(out.len()).expect("a small document");
        out[..4].copy_from_slice(&len.to_le_bytes());
        out
    }

    /// Reads one, which must be right; and how long it is.
    pub fn decode(bytes: &[u8]) -> (Self, usize) {
        let len = number(bytes, 0);
        let mut rest = &bytes[4..len - 1];
        assert_eq!(bytes[len - 1], 0);
        let mut document = Self::new();
        while let Some((kind, behind)) = rest.split_first() {
            let end = behind.iter().position(|byte| *byte == 0).expect("a name");
            let name = String::from_utf8(behind[..end].to_vec()).expect("a name");
            let (value, size) = Value::decode(*kind, &behind[end + 1..]);
            document.0.push((name, value));
            rest = &behind[end + 1 + size..];
        }
        (document, len)
    }
}

impl Value {
    fn encode(&self, name: &str, out: &mut Vec<u8>) {
        let sized = |bytes: &[u8]| {
            let size = i32::try_from(bytes.len()).expect("a small value");
            [&size.to_le_bytes()[..], bytes].concat()
        };
        let (kind, value) = match self {
            Self::Double(number) => (1, number.to_le_bytes().to_vec()),
            Self::Text(text) => (2, sized(&[text.as_bytes(), b"\0"].concat())),
            Self::Document(document) => (3, document.encode()),
            Self::Array(values) => {
                let numbered = values.iter().enumerate();
                let all = numbered.map(|(index, value)| (index.to_string(), value.clone()));
                (4, Document(all.collect()).encode())
            }
            Self::Binary(bytes) => {
                let mut value = sized(bytes);
                value.insert(4, 0);
                (5, value)
            }
            Self::Bool(is_true) => (8, vec![u8::from(*is_true)]),
            Self::Int(number) => (0x10, number.to_le_bytes().to_vec()),
            Self::Long(number) => (0x12, number.to_le_bytes().to_vec()),
        };
        out.push(kind);
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(&value);
    }

    fn decode(kind: u8, bytes: &[u8]) -> (Self, usize) {
        let eight = || bytes[..8].try_into().expect("eight bytes");
        match kind {
            1 => (Self::Double(f64::from_le_bytes(eight())), 8),
            2 => {
                let end = 4 + number(bytes, 0);
                let text = bytes[4..end - 1].to_vec();
                (Self::Text(String::from_utf8(text).expect("text")), end)
            }
            3 => {
                let (document, size) = Document::decode(bytes);
                (Self::Document(document), size)
            }
            4 => {
                let (document, size) = Document::decode(bytes);
                (
                    Self::Array(document.0.into_iter().map(|it| it.1).collect()),
                    size,
                )
            }
            5 => {
                let end = 5 + number(bytes, 0);
                (Self::Binary(bytes[5..end].to_vec()), end)
            }
            8 => (Self::Bool(bytes[0] == 1), 1),
            0x10 => {
                let four = bytes[..4].try_into().expect("four bytes");
                (Self::Int(i32::from_le_bytes(four)), 4)
            }
            0x12 => (Self::Long(i64::from_le_bytes(eight())), 8),
            other => panic!("type {other:#x} is not scripted"),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    let word = bytes[at..at + 4].try_into().expect("four bytes");
    u32::from_le_bytes(word) as usize
}

macro_rules! values {
    ($($from:ty => $variant:ident,)+) => {
        $(
            impl From<$from> for Value {
                fn from(value: $from) -> Self {
                    Self::$variant(value.into())
                }
            }
        )+
    };
}

values! {
    f64 => Double,
    &str => Text,
    String => Text,
    Document => Document,
    Vec<Value> => Array,
    &[u8] => Binary,
    Vec<u8> => Binary,
    bool => Bool,
    i32 => Int,
    i64 => Long,
}
