//! A reader of requests that accepts nothing but what RFC 9112 lets a client send: it shares no line with ours.

/// A whole request.
pub struct Request {
    pub target: String,
    fields: Vec<(String, String)>,
}

impl Request {
    /// The values of all fields of this name, where `_` is `-` as CGI has it.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let fields = self
            .fields
            .iter()
            .filter(|(found, _)| found.replace('_', "-") == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }
}

/// All whole requests, and why what follows is none; `Ok` when more of it could come.
pub fn requests(mut bytes: &[u8]) -> (Vec<Request>, Result<(), &'static str>) {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        match request(bytes) {
            Ok(Some((request, len))) => {
                all.push(request);
                bytes = &bytes[len..];
            }
            Ok(None) => return (all, Ok(())),
            Err(fault) => return (all, Err(fault)),
        }
    }
    (all, Ok(()))
}

fn request(bytes: &[u8]) -> Result<Option<(Request, usize)>, &'static str> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    if head.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err("a line break within a line");
    }
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [_, target, "HTTP/1.1"] = words[..] else {
        return Err("no request line");
    };
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("no field")?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_name) {
            return Err("no name of a field");
        }
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let request = Request {
        target: target.to_owned(),
        fields,
    };
    let (lengths, codings) = (
        request.values("content-length"),
        request.values("transfer-encoding"),
    );
    let body = &bytes[end + 4..];
    let body_len = match (&lengths[..], &codings[..]) {
        ([], []) => Some(0),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().map_err(|_| "no length")?;
            (body.len() >= length).then_some(length)
        }
        ([], ["chunked"]) => {
            let well_formed = chunked(body).map(|(_, left)| body.len() - left);
            if well_formed.is_none() && body.len() > 1000 {
                return Err("no chunks");
            }
            well_formed
        }
        _ => return Err("two ways to see where the body ends"),
    };
    Ok(body_len.map(|len| (request, end + 4 + len)))
}

/// A chunked body without extensions, and the bytes behind it.
pub fn chunked(mut bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[..end]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim_end(), 16).ok()?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes[size..].strip_prefix(b"\r\n")?;
    }
    // Trailers.
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        bytes = &bytes[end + 2..];
        if end == 0 {
            return Some((body, bytes.len()));
        }
    }
}
