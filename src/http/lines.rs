//! A head as the lines that it is, for those who pass it on: bytes stay bytes, names keep their case,
//! and what two readers could understand in two ways is refused.
//!
//! The only place that takes a head apart. [`super::head`] knows what first lines say. Here nothing is
//! copied, any version is let through (a gateway writes `HTTP/2.0` in front of HTTP/1.1's lines), and a
//! response's folded lines are mended first ([`unfold`]).

use super::error::HttpError;

/// What a head may cost.
#[derive(Clone, Copy, Debug)]
pub struct HeadBounds {
    /// Bytes, up to and with the empty line.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
}

/// How lines of a head may end. Within a body ([`super::framing`]) a line ends with CR LF, whosever it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breaks {
    /// With CR LF: a request that is passed on has to be flawless.
    Exact,
    /// Or with a bare LF: in an answer, and where nobody else reads the head.
    Loose,
}

/// One field as it was sent, without the blanks around its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// A token, in the sender's case.
    pub name: &'a [u8],
    /// Anything but control characters; tabs are none.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether it has this name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// A whole head whose lines were checked.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    /// The first line.
    pub first: &'a [u8],
    fields: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The fields in their order.
    pub fn fields(&self) -> FieldIter<'a> {
        FieldIter(self.fields)
    }

    /// The fields, to be kept.
    pub fn kept(&self) -> Fields {
        Fields(self.fields.to_vec())
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut fields = self.fields();
        fields.find(|field| field.is(name)).map(|field| field.value)
    }

    /// Whether one of the comma-separated words of all fields of this name is `word`, in any case.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        let mut fields = self.fields();
        fields.any(|field| field.is(name) && has_word(field.value, word.as_bytes()))
    }
}

/// The fields of a head that was read, for later.
#[derive(Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// The values of all fields of this name that are text.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let of_name = FieldIter(&self.0).filter(move |field| field.is(name));
        of_name.filter_map(|field| std::str::from_utf8(field.value).ok())
    }

    /// The first of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }
}

/// Whether `word` is in this comma-separated list, in any case.
pub fn has_word(list: &[u8], word: &[u8]) -> bool {
    let mut words = list.split(|byte| *byte == b',');
    words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word))
}

/// The fields of a head.
pub struct FieldIter<'a>(&'a [u8]);

impl<'a> Iterator for FieldIter<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let (line, rest) = next_line(self.0)?;
        self.0 = rest;
        field(line)
    }
}

/// The bytes of the head at the start of `bytes`, with its empty line; `None` while it is not whole.
/// `searched` is the caller's, 0 at first: a head that trickles in is not searched anew for each byte.
pub fn head_len(
    bytes: &[u8],
    searched: &mut usize,
    bounds: HeadBounds,
) -> Result<Option<usize>, HttpError> {
    let seen = &bytes[..bytes.len().min(bounds.bytes)];
    while let Some(at) = seen
        .get(*searched..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
    {
        let line = &seen[*searched..*searched + at];
        *searched += at + 1;
        if line.is_empty() || line == b"\r" {
            return Ok(Some(*searched));
        }
    }
    match seen.len() == bounds.bytes {
        true => Err(HttpError::HeadTooLarge),
        false => Ok(None),
    }
}

/// Checks every line of a whole head.
pub fn lines(head: &[u8], breaks: Breaks, bounds: HeadBounds) -> Result<Lines<'_>, HttpError> {
    let mut rest = head;
    let mut count = 0;
    let mut first = None;
    while let Some((line, after)) = next_line(rest) {
        let ending = &rest[line.len()..rest.len() - after.len()];
        if breaks == Breaks::Exact && ending != b"\r\n" {
            return Err(HttpError::Malformed);
        }
        rest = after;
        if line.is_empty() {
            break;
        }
        let is_sound = match first {
            None => !line.iter().any(u8::is_ascii_control),
            Some(_) => field(line).is_some(),
        };
        if !is_sound {
            return Err(HttpError::Malformed);
        }
        count += 1;
        first = first.or(Some(line));
        if count > bounds.fields + 1 {
            return Err(HttpError::HeadTooLarge);
        }
    }
    let first = first.ok_or(HttpError::Malformed)?;
    let (_, fields) = next_line(head).ok_or(HttpError::Malformed)?;
    Ok(Lines { first, fields })
}

/// Makes each folded line of a whole head one line again (RFC 9112, section 5.2), in place.
pub fn unfold(head: &mut [u8]) {
    // Not behind the first line: that would be a field without a name.
    let Some(first_end) = head.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    for at in first_end + 2..head.len() {
        if head[at - 1] == b'\n' && matches!(head[at], b' ' | b'\t') {
            head[at - 1] = b' ';
            if head[at - 2] == b'\r' {
                head[at - 2] = b' ';
            }
        }
    }
}

/// The line at the start, without its end, and what follows it.
fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at(end);
    Some((line.strip_suffix(b"\r").unwrap_or(line), &rest[1..]))
}

/// A field's line; `None` when it is none.
pub(super) fn field(line: &[u8]) -> Option<Field<'_>> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    // Trimming takes line breaks, too.
    let is_whole = line[colon + 1..]
        .iter()
        .all(|byte| *byte != b'\r' && *byte != 0x0c);
    (is_token(name) && is_value(value) && is_whole).then_some(Field { name, value })
}

/// A name of a field or a method (RFC 9110, section 5.6.2).
pub fn is_token(name: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_token_byte)
}

/// What a field can hold: anything but control characters; tabs are none.
pub fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| !byte.is_ascii_control() || *byte == b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: HeadBounds = HeadBounds {
        bytes: 64,
        fields: 2,
    };

    fn read(head: &[u8], sender: Breaks) -> Result<Lines<'_>, HttpError> {
        let len = head_len(head, &mut 0, BOUNDS)?.expect("a whole head");
        lines(&head[..len], sender, BOUNDS)
    }

    #[test]
    fn lines_stay_as_they_were_sent() {
        let head = b"GET /\xff HTTP/2.0\r\nHOST: a\r\nx-B:\t b \t\r\n\r\nrest";
        let head = read(head, Breaks::Exact).unwrap();
        assert_eq!(head.first, b"GET /\xff HTTP/2.0");
        let fields: Vec<_> = head
            .fields()
            .map(|field| (field.name, field.value))
            .collect();
        assert_eq!(fields, [(&b"HOST"[..], &b"a"[..]), (b"x-B", b"b")]);
        assert_eq!((head.get("host"), head.get("no")), (Some(&b"a"[..]), None));
    }

    #[test]
    fn a_list_is_searched_word_by_word() {
        let head = b"GET / HTTP/1.1\r\nC: keep-alive ,UPGRADE\r\nc: x\r\n\r\n";
        let head = read(head, Breaks::Exact).unwrap();
        for (word, is_there) in [("upgrade", true), ("x", true), ("keep", false), ("", false)] {
            assert_eq!(head.lists("c", word), is_there, "{word}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for head in [
            &b"GET / HTTP/1.1\nA: b\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nA: b\n\n",
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            b"GET / HTTP/1.1\r\n A: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
            b"GET / HTTP/1.1\r\n: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA\r\n\r\n",
            b"GET\t/ HTTP/1.1\r\n\r\n",
            b"\r\n",
        ] {
            let error = read(head, Breaks::Exact).err();
            assert_eq!(error, Some(HttpError::Malformed), "{}", head.escape_ascii());
        }
        assert!(read(b"HTTP/1.1 200 OK\nA: b\n\n", Breaks::Loose).is_ok());
    }

    #[test]
    fn folds_are_mended_where_a_field_stands_before() {
        let mut head = b"HTTP/1.1 200 OK\r\nA: b\r\n\t c\r\n\r\n".to_vec();
        unfold(&mut head);
        let mended = read(&head, Breaks::Loose).unwrap();
        assert_eq!(mended.get("a"), Some(&b"b  \t c"[..]));
        let mut head = b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n".to_vec();
        unfold(&mut head);
        assert!(read(&head, Breaks::Loose).is_err());
    }

    #[test]
    fn bounds_hold() {
        let many = b"GET / HTTP/1.1\r\nA: b\r\nA: b\r\nA: b\r\n\r\n";
        assert_eq!(
            read(many, Breaks::Exact).err(),
            Some(HttpError::HeadTooLarge)
        );
        let long = [b'x'; 64];
        assert_eq!(
            head_len(&long, &mut 0, BOUNDS),
            Err(HttpError::HeadTooLarge)
        );
        assert_eq!(head_len(&long[..63], &mut 0, BOUNDS), Ok(None));
    }

    proptest! {
        /// However a head comes in, its end is found at the same place.
        #[test]
        fn the_end_does_not_depend_on_the_cuts(text in "(GET / HTTP/1\\.1|a: b|\r?\n|\\PC){0,16}") {
            let bytes = text.as_bytes();
            let whole = head_len(bytes, &mut 0, BOUNDS);
            let mut searched = 0;
            let mut found = Ok(None);
            for len in 0..=bytes.len() {
                if found == Ok(None) {
                    found = head_len(&bytes[..len], &mut searched, BOUNDS);
                }
            }
            prop_assert_eq!(found, whole);
        }

        /// What was checked can be written and read again.
        #[test]
        fn fields_survive_being_written(bytes in "H\r\n([a-zA-Z: \t]{0,8}\r\n){0,3}\r\n") {
            let bounds = HeadBounds { bytes: 200, fields: 9 };
            let Some(len) = head_len(bytes.as_bytes(), &mut 0, bounds).unwrap() else { return Ok(()) };
            if let Ok(head) = lines(&bytes.as_bytes()[..len], Breaks::Exact, bounds) {
                let mut again = b"H\r\n".to_vec();
                for field in head.fields() {
                    again.extend([field.name, b": ", field.value, b"\r\n"].concat());
                }
                again.extend(b"\r\n");
                let read = lines(&again, Breaks::Exact, bounds).unwrap();
                prop_assert!(read.fields().eq(head.fields()));
            }
        }
    }
}
