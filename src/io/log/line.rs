//! One log line and its forms.

use std::fmt::Write;

use log::Level;

use crate::base::Fields;
use crate::base::civil::Rfc3339;
use crate::base::fields;
use crate::base::plain::shortened;
use crate::wire::json;

/// The form of a line, in the words of `LOG_ENCODING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Time of day, level, message.
    Human,
    /// Date and time, level, logger, message.
    Verbose,
    /// Fields separated by tabs, the last one JSON.
    Console,
    /// One object a line.
    Json,
}

impl Encoding {
    /// The encoding of this name, in lower case.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "human" => Self::Human,
            "verbose" => Self::Verbose,
            "console" => Self::Console,
            "json" => Self::Json,
            _ => return None,
        })
    }
}

/// One line, cleaned and cut to size.
pub(super) struct Line {
    at: Rfc3339,
    level: Level,
    logger: String,
    /// As they stood in front of the message.
    fields: String,
    message: String,
    /// How often it came again since it was last written.
    repeated: u32,
}

impl Line {
    /// Takes the fields off the message, also a `sid=ID ` at its beginning.
    pub fn new(at: Rfc3339, level: Level, logger: &str, message: &str, repeated: u32) -> Self {
        let (found, message) = fields::take_off(message);
        let mut fields = found.to_owned();
        let mut message = message;
        if found.is_empty()
            && let Some((sid, rest)) = message.strip_prefix("sid=").and_then(|m| m.split_once(' '))
        {
            let sid = Fields::default().text("sid", sid).to_string();
            fields.push_str(fields::take_off(&sid).0);
            message = rest;
        }
        let room = LINE_BYTES_MAX.saturating_sub(fields.len());
        Self {
            at,
            level,
            logger: shortened(logger, NAME_BYTES_MAX),
            message: shortened(message, room.min(MESSAGE_BYTES_MAX)),
            fields,
            repeated,
        }
    }

    /// Appends the line with its end.
    pub fn encode(&self, out: &mut String, encoding: Encoding, colours: bool) {
        match encoding {
            Encoding::Human => self.encode_human(out, colours),
            Encoding::Verbose => self.encode_verbose(out, colours),
            Encoding::Console => self.encode_console(out),
            Encoding::Json => self.encode_json(out),
        }
        out.push('\n');
    }

    fn encode_human(&self, out: &mut String, colours: bool) {
        let at = self.at_text();
        out.push_str(at.get(TIME_OF_DAY).unwrap_or(&at));
        out.push_str("Z ");
        self.push_level(out, colours);
        self.push_message(out);
    }

    fn encode_verbose(&self, out: &mut String, colours: bool) {
        out.push_str(&self.at_text());
        out.push(' ');
        self.push_level(out, colours);
        out.push_str(&self.logger);
        out.push_str(": ");
        self.push_message(out);
    }

    fn encode_console(&self, out: &mut String) {
        let at = self.at_text();
        for part in [&at, self.level_name(), &self.logger, &self.message] {
            out.push_str(part);
            out.push('\t');
        }
        out.push('{');
        self.push_fields(out, "");
        out.push('}');
    }

    fn encode_json(&self, out: &mut String) {
        out.push_str("{\"level\":");
        json::write_string(out, self.level_name());
        out.push_str(",\"timestamp\":");
        json::write_string(out, &self.at_text());
        out.push_str(",\"logger\":");
        json::write_string(out, &self.logger);
        out.push_str(",\"msg\":");
        json::write_string(out, &self.message);
        self.push_fields(out, ",");
        out.push('}');
    }

    /// Appends the object that the gateway's log view takes.
    pub fn encode_shipped(&self, out: &mut String) {
        out.push_str("{\"timestamp\":");
        json::write_string(out, &self.at_text());
        out.push_str(",\"level\":");
        json::write_string(out, self.level_name());
        out.push_str(",\"message\":");
        json::write_string(out, &self.message);
        out.push_str(",\"logger\":");
        json::write_string(out, &self.logger);
        out.push_str(",\"fields\":{");
        self.push_fields(out, "");
        out.push_str("}}");
    }

    fn push_fields(&self, out: &mut String, before: &str) {
        let mut before = before;
        for field in fields::each(&self.fields) {
            out.push_str(before);
            json::write_string(out, field.key);
            out.push(':');
            match field.is_text {
                true => json::write_string(out, field.value),
                false => out.push_str(field.value),
            }
            before = ",";
        }
        if self.repeated > 0 {
            out.push_str(before);
            let _ = write!(out, "\"repeated\":{}", self.repeated);
        }
    }

    /// The session comes first: a message may quote a peer, and what looks like a field behind it would be
    /// the peer's. Lines with further fields quote in these alone, where what is no plain word has quotes.
    fn push_message(&self, out: &mut String) {
        let push = |out: &mut String, field: fields::Field<'_>| {
            out.push_str(field.key);
            out.push('=');
            let is_special = |c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '=');
            match field.value.is_empty() || field.value.contains(is_special) {
                true => json::write_string(out, field.value),
                false => out.push_str(field.value),
            }
        };
        let mut fields = fields::each(&self.fields).peekable();
        if let Some(sid) = fields.next_if(|field| field.key == "sid") {
            push(out, sid);
            out.push(' ');
        }
        if self.repeated > 0 {
            let _ = write!(out, "(repeated {}x) ", self.repeated);
        }
        out.push_str(&self.message);
        for field in fields {
            out.push(' ');
            push(out, field);
        }
    }

    fn push_level(&self, out: &mut String, colours: bool) {
        let (colour, name) = match self.level {
            Level::Error => ("31", "ERROR"),
            Level::Warn => ("33", "WARN "),
            Level::Info => ("32", "INFO "),
            Level::Debug => ("36", "DEBUG"),
            Level::Trace => ("35", "TRACE"),
        };
        if colours {
            let _ = write!(out, "\u{1b}[{colour}m{name}\u{1b}[0m ");
        } else {
            out.push_str(name);
            out.push(' ');
        }
    }

    fn level_name(&self) -> &'static str {
        match self.level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    fn at_text(&self) -> String {
        self.at.to_string()
    }
}

/// A message with its fields, as it is quoted in another one.
pub(super) fn for_people(message: &str) -> String {
    let mut out = String::new();
    Line::new(Rfc3339::whole(0), Level::Info, "", message, 0).push_message(&mut out);
    out
}

/// Where hours, minutes and seconds stand in RFC 3339.
const TIME_OF_DAY: std::ops::Range<usize> = 11..19;
/// Of words for people.
const MESSAGE_BYTES_MAX: usize = 1700;
/// Of message and fields together: with every character escaped, a line must still fit the 4096 bytes
/// that a pipe takes at once.
const LINE_BYTES_MAX: usize = 1800;
/// Of a module's name.
const NAME_BYTES_MAX: usize = 100;
const _: () = assert!(2 * (LINE_BYTES_MAX + NAME_BYTES_MAX) + 250 <= 4096);
