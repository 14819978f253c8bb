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

/// Collects findings and writes them.
pub struct CheckReport<'a> {
    form: OutputForm,
    out: &'a mut dyn Write,
    /// The JSON objects so far.
    objects: String,
    failed: bool,
    broken: Option<io::Error>,
}

impl<'a> CheckReport<'a> {
    /// An empty report.
    pub fn new(form: OutputForm, out: &'a mut dyn Write) -> Self {
        Self {
            form,
            out,
            objects: String::new(),
            failed: false,
            broken: None,
        }
    }

    /// Nobody reads what is found.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Adds a finding; `text` says what was found and, unless all is well, what to do.
    pub fn add(&mut self, check: &'static str, verdict: CheckVerdict, took: Duration, text: &str) {
        self.failed |= verdict == CheckVerdict::Fail;
        let text = plain(text);
        let word = verdict.word();
        let millis = took.as_millis();
        match self.form {
            OutputForm::Text => {
                self.write(&format!("{word:<4}  {check:<7}  {millis:>5} ms  {text}\n"));
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
        let is_ok = !self.failed;
        if self.form == OutputForm::Json {
            let objects = std::mem::take(&mut self.objects);
            self.write(&format!("{{\"ok\":{is_ok},\"checks\":[{objects}]}}\n"));
        }
        match self.broken {
            Some(error) => Err(error),
            None => Ok(i32::from(self.failed)),
        }
    }

    /// Each line at once: the next check may take its time.
    fn write(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| self.out.flush()) {
            self.broken.get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(form: OutputForm, verdict: CheckVerdict) -> (String, i32) {
        let mut out = Vec::new();
        let mut report = CheckReport::new(form, &mut out);
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
            "ok    key          3 ms  fine\n\
             FAIL  dns       5000 ms  say \"x\" [2J\n\
             skip  tcp          0 ms  no address\n"
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
}
