//! What the checks found, one line each, written as it is found; or all of it as one JSON text.

use std::io::{self, Write};
use std::time::Duration;

use crate::admin::OutputForm;
use crate::base::plain::plain;
use crate::wire::json;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// Nothing to do.
    Ok,
    /// Works, but somebody should know.
    Warn,
    /// The agent cannot work like this.
    Fail,
    /// An earlier failure makes the check pointless.
    Skip,
}

impl CheckVerdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

/// A terminal, for lines that are read as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Characters in a line.
    pub width: usize,
    /// Verdicts are coloured.
    pub has_colours: bool,
}

/// Collects findings and writes them.
pub struct CheckReport<'a> {
    form: OutputForm,
    screen: Option<Screen>,
    out: &'a mut dyn Write,
    /// The JSON objects so far.
    objects: String,
    /// Checks that failed, the first with its text.
    failed: Vec<&'static str>,
    first_failure: String,
    warned: Vec<&'static str>,
    broken: Option<io::Error>,
}

impl<'a> CheckReport<'a> {
    /// An empty report.
    pub fn new(form: OutputForm, screen: Option<Screen>, out: &'a mut dyn Write) -> Self {
        Self {
            form,
            screen,
            out,
            objects: String::new(),
            failed: Vec::new(),
            first_failure: String::new(),
            warned: Vec::new(),
            broken: None,
        }
    }

    /// Nobody reads what is found.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Adds a finding; `text` says what was found and, unless all is well, what to do.
    pub fn add(&mut self, check: &'static str, verdict: CheckVerdict, took: Duration, text: &str) {
        let text = plain(text);
        match verdict {
            CheckVerdict::Fail => {
                if self.failed.is_empty() {
                    self.first_failure.clone_from(&text);
                }
                self.failed.push(check);
            }
            CheckVerdict::Warn => self.warned.push(check),
            CheckVerdict::Ok | CheckVerdict::Skip => {}
        }
        let word = verdict.word();
        let millis = took.as_millis();
        match self.form {
            OutputForm::Text => {
                let rest = format!("  {check:<8}  {millis:>5} ms  {text}");
                let line = match self.screen {
                    Some(screen) => on_screen(screen, verdict, &rest),
                    None => format!("{word:<4}{rest}\n"),
                };
                self.write(&line);
            }
            OutputForm::Json => {
                let separator = if self.objects.is_empty() { "" } else { "," };
                let word = word.to_ascii_lowercase();
                self.objects.push_str(&format!(
                    "{separator}{{\"check\":\"{check}\",\"verdict\":\"{word}\",\"ms\":{millis},\"text\":"
                ));
                json::write_string(&mut self.objects, &text);
                self.objects.push('}');
            }
        }
    }

    /// Adds checks that were left out.
    pub fn skip(&mut self, checks: &[&'static str], text: &str) {
        for check in checks {
            self.add(check, CheckVerdict::Skip, Duration::ZERO, text);
        }
    }

    /// Ends the report; returns the exit code, or why it could not be written.
    pub fn finish(mut self) -> io::Result<i32> {
        let is_ok = self.failed.is_empty();
        if self.form == OutputForm::Json {
            let objects = std::mem::take(&mut self.objects);
            self.write(&format!("{{\"ok\":{is_ok},\"checks\":[{objects}]}}\n"));
        } else if let Some(screen) = self.screen {
            let text = self.summary();
            self.write(&wrapped(&text, "", screen.width));
        }
        match self.broken {
            Some(error) => Err(error),
            None => Ok(i32::from(!is_ok)),
        }
    }

    /// What there is to do, for whoever reads the last line first.
    fn summary(&self) -> String {
        let mut text = match &self.failed[..] {
            [] => "no problem".to_owned(),
            [one] => format!("1 problem: {one}: {}", self.first_failure),
            [first, rest @ ..] => format!(
                "{} problems: {first}: {}; then {}",
                self.failed.len(),
                self.first_failure,
                rest.join(", ")
            ),
        };
        match &self.warned[..] {
            [] => {}
            [one] => text.push_str(&format!("; 1 warning: {one}")),
            all => text.push_str(&format!("; {} warnings: {}", all.len(), all.join(", "))),
        }
        text
    }

    /// Each line at once: the next check may take its time.
    fn write(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| self.out.flush()) {
            self.broken.get_or_insert(error);
        }
    }
}

/// A finding as people read it: verdict in colour, further lines under the text of the first.
fn on_screen(screen: Screen, verdict: CheckVerdict, rest: &str) -> String {
    let word = format!("{:<4}", verdict.word());
    let text = wrapped(rest, &" ".repeat(TEXT_COLUMN), screen.width - word.len());
    let colour = match verdict {
        CheckVerdict::Ok => "32",
        CheckVerdict::Warn => "33",
        CheckVerdict::Fail => "31",
        CheckVerdict::Skip => "2",
    };
    match screen.has_colours {
        true => format!("\u{1b}[{colour}m{word}\u{1b}[0m{text}"),
        false => word + &text,
    }
}

/// `text` in lines of at most `width` characters, those after the first indented.
fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_inclusive(' ') {
        let length = word.chars().count();
        if column + word.trim_end().chars().count() > width && column > indent.len() {
            out.truncate(out.trim_end().len());
            out.push('\n');
            out.push_str(indent);
            // The verdict stands in front of the first line alone.
            column = indent.len().saturating_sub(VERDICT_WIDTH);
        }
        out.push_str(word);
        column += length;
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Of `FAIL`.
const VERDICT_WIDTH: usize = 4;
/// Where the text of a finding begins.
const TEXT_COLUMN: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(form: OutputForm, verdict: CheckVerdict) -> (String, i32) {
        let mut out = Vec::new();
        let mut report = CheckReport::new(form, None, &mut out);
        report.add("key", CheckVerdict::Ok, Duration::from_millis(3), "fine");
        report.add("dns", verdict, Duration::from_secs(5), "say \"x\"\n\x1b[2J");
        report.skip(&["tcp"], "no address");
        let code = report.finish().unwrap();
        (String::from_utf8(out).unwrap(), code)
    }

    #[test]
    fn findings_are_lines_without_control_characters() {
        let (text, code) = report(OutputForm::Text, CheckVerdict::Fail);
        assert_eq!(
            text,
            "ok    key           3 ms  fine\n\
             FAIL  dns        5000 ms  say \"x\" [2J\n\
             skip  tcp           0 ms  no address\n"
        );
        assert_eq!(code, 1);
    }

    #[test]
    fn a_warning_is_no_failure() {
        let (text, code) = report(OutputForm::Json, CheckVerdict::Warn);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(code, 0);
        assert_eq!(value["ok"], true);
        assert_eq!(value["checks"][1]["verdict"], "warn");
        assert_eq!(value["checks"][1]["ms"], 5000);
        assert_eq!(value["checks"][2]["check"], "tcp");
    }

    fn screen(has_colours: bool, verdicts: &[(&'static str, CheckVerdict)]) -> String {
        let mut out = Vec::new();
        let width = 60;
        let screen = Some(Screen { width, has_colours });
        let mut report = CheckReport::new(OutputForm::Text, screen, &mut out);
        for (check, verdict) in verdicts {
            let text = "several words that together do not fit one line of it";
            report.add(check, *verdict, Duration::ZERO, text);
        }
        report.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_terminal_gets_wrapped_lines_and_what_there_is_to_do_last() {
        use CheckVerdict::{Fail, Ok, Warn};
        let text = screen(false, &[("key", Ok), ("tls", Fail), ("user", Warn)]);
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
        let second = text.lines().nth(1).unwrap();
        let begin = second.len() - second.trim_start().len();
        assert_eq!(begin, TEXT_COLUMN, "{text}");
        let last = text.split_once("1 problem: tls: several words").unwrap().1;
        assert!(last.trim_end().ends_with("; 1 warning: user"), "{text}");
        let coloured = screen(true, &[("tls", Fail)]);
        assert!(
            coloured.starts_with("\u{1b}[31mFAIL\u{1b}[0m  tls "),
            "{coloured}"
        );
        let two = screen(false, &[("tls", Fail), ("auth", Fail)]);
        assert!(two.contains("2 problems: tls: several"), "{two}");
        assert!(two.replace('\n', " ").contains("then auth"), "{two}");
        assert!(screen(false, &[("key", Ok)]).ends_with("\nno problem\n"));
    }
}
