//! The table: what was done to the agent, what came of it, and what it held before and after.

use std::fmt;

use super::subject::Figures;

/// The table's head.
pub const HEAD: &str = "\
| scenario | what | outcome | resident KiB (heap) | descriptors | processes | threads |
| --- | --- | --- | --- | --- | --- | --- |";

/// Between the parts of a row on its way from the scenario's process.
const SEPARATOR: char = '\t';
/// In front of it.
const MARK: &str = "ROW\t";
/// More heap than this after a scenario is growth: pages of the allocator come and go.
const GROWTH_KIB_MAX: u64 = 512;

/// One scenario's line.
pub struct Row {
    cells: Vec<String>,
    is_good: bool,
}

impl Row {
    /// A scenario that went well; fails when something of the agent is left or has grown.
    pub fn new(name: &str, what: &str, outcome: &str, before: Figures, after: Figures) -> Self {
        assert!(
            after.heap_kib <= before.heap_kib + GROWTH_KIB_MAX,
            "memory grew: {before:?}, then {after:?}"
        );
        assert_eq!(
            (after.fds, after.processes, after.threads),
            (before.fds, before.processes, before.threads),
            "something is left: {before:?}, then {after:?}"
        );
        let pair = |before: u64, after: u64| format!("{before} / {after}");
        Self::of(
            name,
            what,
            outcome,
            [
                format!(
                    "{} ({}) / {} ({})",
                    before.rss_kib, before.heap_kib, after.rss_kib, after.heap_kib
                ),
                pair(before.fds as u64, after.fds as u64),
                pair(before.processes as u64, after.processes as u64),
                pair(before.threads, after.threads),
            ],
        )
    }

    /// A scenario after which no agent is there to be measured.
    pub fn ended(name: &str, what: &str, outcome: &str) -> Self {
        let none = || "none left".to_owned();
        Self::of(name, what, outcome, [none(), none(), none(), none()])
    }

    fn of(name: &str, what: &str, outcome: &str, figures: [String; 4]) -> Self {
        let mut cells = vec![name.to_owned(), what.to_owned(), outcome.to_owned()];
        cells.extend(figures);
        Self {
            cells,
            is_good: true,
        }
    }

    /// A scenario whose process died.
    pub fn failed(name: &str, errors: &str) -> Self {
        let reason = errors
            .lines()
            .find(|line| !line.is_empty() && !line.contains("panicked at"));
        let outcome = format!("FAILED: {}", reason.unwrap_or("no reason given"));
        let none = || "-".to_owned();
        let mut row = Self::of(name, "", &outcome, [none(), none(), none(), none()]);
        row.is_good = false;
        row
    }

    /// Whether the agent did what it should.
    pub fn is_good(&self) -> bool {
        self.is_good
    }

    /// For the process that makes the table.
    pub fn line(&self) -> String {
        MARK.to_owned() + &self.cells.join(&SEPARATOR.to_string())
    }

    /// From such a line.
    pub fn parse(line: &str) -> Option<Self> {
        let cells = line.strip_prefix(MARK)?.split(SEPARATOR);
        Some(Self {
            cells: cells.map(str::to_owned).collect(),
            is_good: true,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} |", self.cells.join(" | "))
    }
}
