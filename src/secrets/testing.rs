//! Conversations with scripted stores: what is asked, and what comes of the answers.

use std::time::{Duration, Instant};

use super::{Cause, Fetch, Found, Settings, Step, Stores, Trouble, Want, World, plan};
use crate::base::Secret;
use crate::http::{Response, ResponseReader};

/// A moment: 2026-11-28T18:04:56Z.
pub(super) const CLOCK: u64 = 1_795_889_096;

/// What a scripted store is asked.
pub(super) struct Asked<'a> {
    /// `http://host:port`, or https.
    pub(super) place: String,
    pub(super) text: &'a str,
    pub(super) is_metadata: bool,
}

impl Asked<'_> {
    /// Method and path, behind the place.
    pub(super) fn line(&self) -> String {
        let line = self.text.lines().next().unwrap_or("");
        let line = line.strip_suffix(" HTTP/1.1").unwrap();
        let (method, path) = line.split_once(' ').unwrap();
        format!("{method} {}{path}", self.place)
    }

    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        let mut lines = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(super) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap().1
    }
}

/// Status and body, with further header lines before an empty one; or what happens instead.
pub(super) type Answer = Result<(u16, String), Trouble>;

/// An agent between two sessions.
pub(super) struct Agent {
    pub(super) stores: Stores,
    pub(super) files: Vec<(String, String)>,
    pub(super) now: Instant,
    pub(super) clock: u64,
}

impl Agent {
    pub(super) fn new(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Self {
            stores: Stores::new(Settings::new(variables)),
            files: files
                .iter()
                .map(|(p, c)| ((*p).to_owned(), (*c).to_owned()))
                .collect(),
            now: Instant::now(),
            clock: CLOCK,
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.clock += seconds;
    }

    /// Has a conversation to its end; the lines of what was asked, and what came of it.
    pub(super) fn converse(
        &mut self,
        mut fetch: Fetch,
        answer: &mut dyn FnMut(&Asked<'_>) -> Answer,
    ) -> (Vec<String>, Found) {
        let mut lines = Vec::new();
        let files = self.files.clone();
        let mut read = |path: &str| {
            let found = files.iter().find(|(known, _)| known == path);
            let content = found.map(|(_, content)| content.as_bytes().to_vec());
            content.ok_or_else(|| std::io::ErrorKind::NotFound.into())
        };
        let mut world = World {
            stores: &mut self.stores,
            file: &mut read,
            now: self.now,
            clock: self.clock,
        };
        while let Step::Ask(ask) = fetch.next(&mut world) {
            assert!(lines.len() < 40, "it never ends: {lines:#?}");
            let origin = &ask.origin;
            let scheme = if origin.is_tls { "https" } else { "http" };
            let asked = Asked {
                place: format!("{scheme}://{}", origin.address.authority),
                text: ask.request.expose_text().unwrap(),
                is_metadata: origin.is_metadata,
            };
            assert!(!asked.is_metadata || origin.via.is_none());
            lines.push(asked.line());
            match answer(&asked) {
                Ok((status, text)) => {
                    let response = response(status, &text);
                    fetch.answered(Ok(&response), &mut world);
                }
                Err(trouble) => fetch.answered(Err(&trouble), &mut world),
            }
        }
        (lines, fetch.finish())
    }
}

/// As a server sends it.
pub(super) fn response(status: u16, text: &str) -> Response {
    let (head, body) = text.split_once("\n\n").unwrap_or(("", text));
    let mut bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for line in head.lines() {
        bytes.push_str(line);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    bytes.push_str(body);
    let mut reader = ResponseReader::new(super::ANSWER);
    reader.handle_bytes(bytes.as_bytes()).unwrap();
    assert!(reader.is_done());
    reader.into_response()
}

/// What these references come to be wanted as.
pub(super) fn wants(texts: &[&str]) -> Vec<Want> {
    let references: Vec<_> = texts
        .iter()
        .map(|text| match plan::meaning("X", text) {
            Ok(plan::Meaning::Stored(reference)) => reference,
            other => panic!("{text}: {other:?}"),
        })
        .collect();
    plan::gather(&references).unwrap()
}

/// Values in the order of their references, causes as their sentences.
pub(super) fn values(found: &Found) -> Vec<Result<String, String>> {
    let mut values: Vec<_> = found.values.iter().collect();
    values.sort_by_key(|(number, _)| *number);
    let text = |value: &Result<Secret, Cause>| match value {
        Ok(value) => Ok(String::from_utf8_lossy(value.expose()).into_owned()),
        Err(cause) => Err(cause.to_string()),
    };
    values.into_iter().map(|(_, value)| text(value)).collect()
}
