//! Log lines on standard error, in the forms of upstream, and a copy for the gateway's log view.
//!
//! Promises: never waits for standard error (what it does not take is dropped and counted), one
//! line per message, nothing in it that could steer a terminal, an identical line at most once a
//! second, and of others not more than a disk can keep, whatever a peer sends. Exempt from that
//! rate are the target `SESSION` and what is traced. What stands in front of a message as
//! [`crate::base::Fields`] becomes fields, and so does `sid=ID ` at its beginning. Leaves it to the
//! callers that no secret is in a message, that the ID has no blank
//! ([`crate::base::plain::Word`]), and that no message begins with foreign text.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use log::{Level, LevelFilter, Metadata, Record};

mod line;
mod quota;
mod repeats;
mod shipment;

pub use line::Encoding;
use line::Line;
use quota::{LineSource, Quota};
use repeats::Repeats;
use shipment::Shipment;

use crate::base::civil::Rfc3339;
use crate::os::sys;

/// How and how much is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The least important level that is written.
    pub level: LevelFilter,
    /// The form of a line.
    pub encoding: Encoding,
    /// Colour the level, in the human forms.
    pub colours: bool,
    /// A variable with a value that nobody knows, which may be meant for another program, and what it wants;
    /// logged as a warning at the start.
    pub complaint: Option<(&'static str, &'static str)>,
}

impl Setup {
    /// Reads `HOOP_LITE_LOG_LEVEL`, or else `LOG_LEVEL`, which may be meant for another program
    /// too, the same of `LOG_ENCODING`, and `NO_COLOR`; what is unset or unknown gets the default.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>, is_terminal: bool) -> Self {
        let value = |name: &str| {
            let value = variable(name)?.trim().to_ascii_lowercase();
            Some(value).filter(|value| !value.is_empty())
        };
        let first = |names: [&'static str; 2]| {
            let mut found = names.into_iter();
            found.find_map(|name| value(name).map(|text| (name, text)))
        };
        let mut complaint = None;
        let mut level = LevelFilter::Info;
        if let Some((name, text)) = first(["HOOP_LITE_LOG_LEVEL", "LOG_LEVEL"]) {
            match level_of(&text) {
                Some(found) => level = found,
                None => {
                    let wanted = "trace, debug, info, warn or error: taken as info";
                    complaint = Some((name, wanted));
                }
            }
        }
        let mut encoding = if is_terminal {
            Encoding::Human
        } else {
            Encoding::Json
        };
        if let Some((name, text)) = first(["HOOP_LITE_LOG_ENCODING", "LOG_ENCODING"]) {
            match Encoding::parse(&text) {
                Some(found) => encoding = found,
                None => complaint = Some((name, "json, console, human or verbose")),
            }
        }
        Self {
            level,
            encoding,
            colours: is_terminal && value("NO_COLOR").is_none(),
            // Our own are settings, which are refused.
            complaint: complaint.filter(|(name, _)| !name.starts_with("HOOP_LITE_")),
        }
    }

    /// As [`Setup::read`], for standard error as it is.
    pub fn for_stderr(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        Self::read(variable, io::stderr().is_terminal())
    }
}

fn level_of(text: &str) -> Option<LevelFilter> {
    Some(match text {
        "trace" => LevelFilter::Trace,
        "debug" => LevelFilter::Debug,
        "info" => LevelFilter::Info,
        "warn" | "warning" => LevelFilter::Warn,
        "error" => LevelFilter::Error,
        _ => return None,
    })
}

/// Makes the macros of the `log` crate write to standard error. A second call changes nothing.
pub fn start(setup: Setup) {
    let complaint = setup.complaint;
    let level = setup.level;
    let logger =
        LOGGER.get_or_init(|| Logger(Mutex::new(LogState::new(setup, Box::new(Stderr::new())))));
    if log::set_logger(logger).is_ok() {
        log::set_max_level(level);
        if let Some((variable, wanted)) = complaint {
            log::warn!("{variable} wants {wanted}");
        }
    }
}

/// Starts or stops keeping lines for [`take_shipment`].
pub fn ship(on: bool) {
    with_state(|state| state.shipment = on.then(Shipment::default));
}

/// The lines since the last call as the JSON array that `ClientAgentLogs` carries, at most 1 MiB;
/// `None` when there are none or nothing is kept.
pub fn take_shipment() -> Option<Vec<u8>> {
    with_state(|state| state.shipment.as_mut()?.take())?
}

/// The target of lines that tell of the life of a session, which are as many as sessions are.
const SESSION: &str = "session";

/// Writes what was held back in a second that is over by `now`; to be called now and then.
pub fn catch_up(now: Instant) {
    with_state(|state| state.write_held_back(Some(now)));
}

/// Writes what is still held back; to be called before the end.
pub fn flush() {
    with_state(|state| state.write_held_back(None));
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

fn with_state<T>(f: impl FnOnce(&mut LogState) -> T) -> Option<T> {
    let state = &LOGGER.get()?.0;
    Some(f(&mut state.lock().unwrap_or_else(PoisonError::into_inner)))
}

struct Logger(Mutex<LogState>);

impl log::Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // mio tells of every registration.
        metadata.level() <= log::max_level() && !metadata.target().starts_with("mio")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Made before the lock is taken: a `Display` may log too.
        let message = record.args().to_string();
        let logger = record.target().trim_start_matches("hoop_lite::");
        let kind = record.file_static().zip(record.line());
        let kind = kind
            .filter(|_| logger != SESSION && record.level() != Level::Trace)
            .map(|(file, line)| LineSource { file, line });
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.log(Instant::now(), record.level(), logger, &message, kind);
    }

    fn flush(&self) {}
}

/// Where lines go.
trait Sink: Send {
    /// A line can be written without waiting.
    fn takes_output(&self) -> bool;
    /// Writes once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

struct Stderr {
    /// Others may write to it too, the program of `run` for one.
    is_pipe: bool,
}

impl Stderr {
    fn new() -> Self {
        let same = io::stderr().as_fd().try_clone_to_owned().map(File::from);
        let found = same.and_then(|file| file.metadata());
        Self {
            is_pipe: found.is_ok_and(|found| found.file_type().is_fifo()),
        }
    }
}

impl Sink for Stderr {
    fn takes_output(&self) -> bool {
        sys::takes_output(io::stderr().as_fd())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_pipe {
            match sys::write_now(io::stderr().as_fd(), bytes) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
        io::stderr().write(bytes)
    }
}

struct LogState {
    setup: Setup,
    sink: Box<dyn Sink>,
    repeats: Repeats,
    quota: Quota,
    shipment: Option<Shipment>,
    /// The line being made; kept for its memory.
    buffer: String,
    /// The last line was written in part.
    is_torn: bool,
    /// Lines that standard error did not take.
    lost: u32,
}

impl LogState {
    fn new(setup: Setup, sink: Box<dyn Sink>) -> Self {
        Self {
            setup,
            sink,
            repeats: Repeats::default(),
            quota: Quota::default(),
            shipment: None,
            buffer: String::new(),
            is_torn: false,
            lost: 0,
        }
    }

    /// One line; without a kind it is exempt from the rate.
    fn log(
        &mut self,
        now: Instant,
        level: Level,
        logger: &str,
        message: &str,
        kind: Option<LineSource>,
    ) {
        self.write_held_back(Some(now));
        if self.repeats.holds_back(now, level, logger, message) {
            return;
        }
        let is_admitted = |kind| self.quota.admits(now, kind, level, logger, message);
        if !kind.is_none_or(is_admitted) {
            return;
        }
        self.repeats.note_written(now, level, logger, message);
        self.write_held_back(Some(now));
        self.write(level, logger, message, 0);
    }

    /// Writes what was held back in a second that is over, or all without `now`.
    fn write_held_back(&mut self, now: Option<Instant>) {
        while let Some(line) = self.repeats.take(now) {
            self.write(line.level, &line.logger, &line.message, line.count);
        }
        while let Some(withheld) = self.quota.take(now) {
            let message = format!(
                "{} more lines of this kind in the last second, the first: {}",
                withheld.count,
                line::for_people(&withheld.message)
            );
            self.write(withheld.level, &withheld.logger, &message, 0);
        }
    }

    fn write(&mut self, level: Level, logger: &str, message: &str, repeated: u32) {
        let line = Line::new(time_now(), level, logger, message, repeated);
        if let Some(shipment) = &mut self.shipment {
            shipment.push(&line);
        }
        if !self.sink.takes_output() {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        if self.lost > 0 {
            let message = format!("{} log lines lost: standard error took none", self.lost);
            self.lost = 0;
            let told = Line::new(time_now(), Level::Warn, "log", &message, 0);
            self.emit(&told);
            if !self.sink.takes_output() {
                self.lost = 1;
                return;
            }
        }
        self.emit(&line);
    }

    fn emit(&mut self, line: &Line) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        if self.is_torn {
            buffer.push('\n');
        }
        line.encode(&mut buffer, self.setup.encoding, self.setup.colours);
        self.is_torn = match self.sink.write(buffer.as_bytes()) {
            Ok(written) => written < buffer.len(),
            Err(_) => {
                self.lost = self.lost.saturating_add(1);
                self.is_torn
            }
        };
        self.buffer = buffer;
    }
}

fn time_now() -> Rfc3339 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Rfc3339 {
        seconds: since.as_secs(),
        millis: u16::try_from(since.subsec_millis()).ok(),
    }
}

#[cfg(test)]
mod tests;
