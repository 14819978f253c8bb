//! Lines kept for the gateway's log view until they are taken.

use std::collections::VecDeque;

use super::line::Line;

/// The newest lines as JSON objects; the oldest go when there are too many.
#[derive(Default)]
pub(super) struct Shipment {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Shipment {
    /// Keeps a copy of a line.
    pub fn push(&mut self, line: &Line) {
        let mut text = String::new();
        line.encode_shipped(&mut text);
        self.bytes += text.len();
        self.lines.push_back(text);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
        }
    }

    /// All lines as one JSON array.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        if self.lines.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(self.bytes + self.lines.len() + 1);
        for line in self.lines.drain(..) {
            out.push(if out.is_empty() { b'[' } else { b',' });
            out.extend_from_slice(line.as_bytes());
        }
        out.push(b']');
        *self = Self::default();
        Some(out)
    }
}

/// The gateway keeps no more.
const LINES_MAX: usize = 500;
/// The gateway drops a shipment over 1 MiB; idle memory counts more than old lines.
const BYTES_MAX: usize = 128 << 10;
