use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::settings;

/// A standard error that shows what it got and can be made to refuse.
#[derive(Clone)]
struct Screen(Arc<Mutex<Vec<u8>>>, Arc<Mutex<usize>>);

impl Screen {
    fn new() -> Self {
        Self(Arc::default(), Arc::new(Mutex::new(usize::MAX)))
    }

    /// How many bytes the next write takes; 0: it is not even ready.
    fn set_room(&self, room: usize) {
        *self.1.lock().unwrap() = room;
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Sink for Screen {
    fn takes_output(&self) -> bool {
        *self.1.lock().unwrap() > 0
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(*self.1.lock().unwrap());
        self.0.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }
}

fn setup(encoding: Encoding) -> Setup {
    Setup {
        level: LevelFilter::Info,
        encoding,
        colours: false,
        complaint: None,
    }
}

fn state(encoding: Encoding) -> (LogState, Screen) {
    let screen = Screen::new();
    (
        LogState::new(setup(encoding), Box::new(screen.clone())),
        screen,
    )
}

fn encoded(message: &str, repeated: u32, encoding: Encoding, colours: bool) -> String {
    let at = Rfc3339 {
        seconds: 1_709_251_199,
        millis: Some(42),
    };
    let mut out = String::new();
    Line::new(at, Level::Warn, "agent", message, repeated).encode(&mut out, encoding, colours);
    out
}

#[test]
fn each_encoding_has_its_form() {
    let message = "sid=4f-1 session \"x\" refused";
    for (encoding, colours, text) in [
        (
            Encoding::Json,
            true,
            "{\"level\":\"warn\",\"timestamp\":\"2024-02-29T23:59:59.042Z\",\
             \"logger\":\"agent\",\"msg\":\"session \\\"x\\\" refused\",\"sid\":\"4f-1\",\
             \"repeated\":3}\n",
        ),
        (
            Encoding::Console,
            true,
            "2024-02-29T23:59:59.042Z\twarn\tagent\tsession \"x\" refused\t\
             {\"sid\":\"4f-1\",\"repeated\":3}\n",
        ),
        (
            Encoding::Human,
            false,
            "23:59:59Z WARN  sid=4f-1 (repeated 3x) session \"x\" refused\n",
        ),
        (
            Encoding::Human,
            true,
            "23:59:59Z \u{1b}[33mWARN \u{1b}[0m sid=4f-1 (repeated 3x) \
             session \"x\" refused\n",
        ),
        (
            Encoding::Verbose,
            false,
            "2024-02-29T23:59:59.042Z WARN  agent: sid=4f-1 (repeated 3x) \
             session \"x\" refused\n",
        ),
    ] {
        assert_eq!(encoded(message, 3, encoding, colours), text);
    }
    assert_eq!(
        encoded("plain", 0, Encoding::Console, false),
        "2024-02-29T23:59:59.042Z\twarn\tagent\tplain\t{}\n"
    );
}

#[test]
fn only_a_sid_at_the_beginning_becomes_a_field() {
    let json = encoded("the user wrote sid=evil here", 0, Encoding::Json, false);
    assert!(json.contains("\"msg\":\"the user wrote sid=evil here\"") && !json.contains("\"sid\""));
}

fn read(variables: &[(&str, &str)], is_terminal: bool) -> Setup {
    let find = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Setup::read(&find, is_terminal)
}

#[test]
fn the_environment_decides_about_level_form_and_colour() {
    let setup = read(&[], true);
    assert_eq!(
        (setup.level, setup.encoding),
        (LevelFilter::Info, Encoding::Human)
    );
    assert!(setup.colours);
    assert_eq!(read(&[], false).encoding, Encoding::Json);
    let setup = read(&[("LOG_LEVEL", "DEBUG"), ("LOG_ENCODING", "console")], true);
    assert_eq!(
        (setup.level, setup.encoding),
        (LevelFilter::Debug, Encoding::Console)
    );
    assert!(!read(&[("NO_COLOR", "1")], true).colours);
    assert!(read(&[("NO_COLOR", "")], true).colours);
    let setup = read(&[("LOG_LEVEL", ""), ("LOG_ENCODING", "xml")], false);
    assert_eq!(
        (setup.level, setup.encoding),
        (LevelFilter::Info, Encoding::Json)
    );
    assert_eq!(setup.complaint.unwrap().0, "LOG_ENCODING");
    let complaint = read(&[("LOG_LEVEL", "loud")], false).complaint;
    assert_eq!(complaint.unwrap().0, "LOG_LEVEL");
}

#[test]
fn every_word_that_a_setting_takes_is_known_here() {
    let all = settings::LOG_LEVELS.map(|word| ("LOG_LEVEL", word));
    let all = all
        .into_iter()
        .chain(settings::LOG_ENCODINGS.map(|word| ("LOG_ENCODING", word)));
    for one in all {
        assert_eq!(read(&[one], false).complaint, None, "{one:?}");
    }
}

#[test]
fn our_own_variables_win_over_those_of_an_app() {
    let app = [("LOG_LEVEL", "silly"), ("LOG_ENCODING", "logfmt")];
    let ours = [
        ("HOOP_LITE_LOG_LEVEL", "warn"),
        ("HOOP_LITE_LOG_ENCODING", "verbose"),
    ];
    let setup = read(&[app, ours].concat(), false);
    assert_eq!(
        (setup.level, setup.encoding, setup.complaint),
        (LevelFilter::Warn, Encoding::Verbose, None)
    );
    let setup = read(&[app[0], ("HOOP_LITE_LOG_LEVEL", "loud")], false);
    assert_eq!((setup.level, setup.complaint), (LevelFilter::Info, None));
    assert_eq!(read(&[app[1], ours[0]], false).level, LevelFilter::Warn);
}

#[test]
fn identical_lines_within_a_second_are_written_once_and_counted() {
    let (mut state, screen) = state(Encoding::Human);
    let now = Instant::now();
    for millis in [0, 1, 2, 500] {
        let at = now + Duration::from_millis(millis);
        state.log(at, Level::Info, "agent", "sid=a again", None);
    }
    state.log(
        now + Duration::from_millis(600),
        Level::Info,
        "agent",
        "sid=b again",
        None,
    );
    state.log(
        now + Duration::from_millis(1001),
        Level::Info,
        "agent",
        "other",
        None,
    );
    let lines: Vec<String> = screen.text().lines().map(|l| l[10..].to_owned()).collect();
    assert_eq!(
        lines,
        [
            "INFO  sid=a again",
            "INFO  sid=b again",
            "INFO  sid=a (repeated 3x) again",
            "INFO  other"
        ]
    );
}

#[test]
fn held_back_repetitions_come_out_at_the_end() {
    let (mut state, screen) = state(Encoding::Human);
    let now = Instant::now();
    state.log(now, Level::Info, "agent", "x", None);
    state.log(now, Level::Info, "agent", "x", None);
    state.write_held_back(None);
    assert!(screen.text().ends_with("(repeated 1x) x\n"));
}

#[test]
fn lines_that_standard_error_does_not_take_are_dropped_and_counted() {
    let (mut state, screen) = state(Encoding::Human);
    screen.set_room(0);
    for message in ["a", "b", "c"] {
        state.log(Instant::now(), Level::Info, "agent", message, None);
    }
    assert_eq!(screen.text(), "");
    screen.set_room(usize::MAX);
    state.log(Instant::now(), Level::Info, "agent", "d", None);
    let text = screen.text();
    assert!(
        text.contains("WARN  3 log lines lost") && text.ends_with("INFO  d\n"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn a_line_after_a_torn_one_begins_a_new_line() {
    let (mut state, screen) = state(Encoding::Human);
    screen.set_room(5);
    state.log(Instant::now(), Level::Info, "agent", "first", None);
    screen.set_room(usize::MAX);
    state.log(Instant::now(), Level::Info, "agent", "second", None);
    let text = screen.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].len() == 5 && lines[1].ends_with("second"));
}

#[test]
fn a_shipment_is_bounded_and_keeps_the_newest_lines() {
    let (mut state, _) = state(Encoding::Human);
    let now = Instant::now();
    state.log(now, Level::Info, "agent", "before shipping", None);
    state.shipment = Some(Shipment::default());
    for index in 0..2000 {
        state.log(
            now,
            Level::Info,
            "agent",
            &format!("sid=s{index} line {index}"),
            None,
        );
    }
    let bytes = state.shipment.as_mut().unwrap().take().unwrap();
    assert!(bytes.len() <= 1 << 20);
    let lines: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let lines = lines.as_array().unwrap();
    assert_eq!(lines.len(), 500);
    let last = lines.last().unwrap();
    assert_eq!(last["message"], "line 1999");
    assert_eq!(last["level"], "info");
    assert_eq!(last["logger"], "agent");
    assert_eq!(last["fields"]["sid"], "s1999");
    assert!(last["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(state.shipment.as_mut().unwrap().take(), None);

    for index in 0..600 {
        let message = format!("{index} {}", "\"".repeat(1500));
        state.log(now, Level::Info, "agent", &message, None);
    }
    let bytes = state.shipment.as_mut().unwrap().take().unwrap();
    assert!(bytes.len() <= 1 << 20);
    assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
}

#[test]
fn a_pipe_that_nobody_reads_stops_taking_output_and_never_blocks_us() {
    let (reader, writer) = io::pipe().unwrap();
    struct Pipe(io::PipeWriter);
    impl Sink for Pipe {
        fn takes_output(&self) -> bool {
            sys::takes_output(self.0.as_fd())
        }
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
    }
    let mut state = LogState::new(setup(Encoding::Json), Box::new(Pipe(writer)));
    let now = Instant::now();
    for index in 0..10_000 {
        state.log(
            now,
            Level::Info,
            "agent",
            &format!("{index} {}", "\"".repeat(1600)),
            None,
        );
    }
    assert!(state.lost > 0);
    drop(reader);
    state.log(now, Level::Info, "agent", "nobody is left", None);
}

/// Lines of a flood, each distinct, and what came of them.
fn flooded(kind: Option<LineSource>) -> (usize, String) {
    let (mut state, screen) = state(Encoding::Human);
    let now = Instant::now();
    for number in 0..10_000 {
        let message = format!("sid=s{number} refused");
        state.log(now, Level::Info, "session", &message, kind);
        // A line that was not written is not to be told as a repetition either.
        state.log(now, Level::Info, "session", &message, kind);
    }
    state.write_held_back(Some(now + Duration::from_secs(1)));
    let text = screen.text();
    (text.lines().count(), text)
}

#[test]
fn a_flood_of_distinct_lines_is_cut_to_its_rate_and_counted() {
    let (lines, text) = flooded(Some(LineSource {
        file: "x.rs",
        line: 1,
    }));
    // Fifty, the same as often as repetitions, and the number.
    assert!((50..=101).contains(&lines), "{lines}");
    assert!(
        text.contains(
            "19900 more lines of this kind in the last second, the first: sid=s50 refused"
        ),
        "{text}"
    );
}

#[test]
fn lines_without_a_kind_have_no_rate() {
    assert!(flooded(None).0 >= 10_000);
}

proptest! {
    #[test]
    fn a_line_is_one_line_that_fits_a_pipe_and_json_parses(
        message in "\\PC{0,4000}|[\"\\\\]{0,4000}|(sid=)?\\PC{0,200}",
        control: String,
        logger in "\\PC{0,300}",
        repeated: u32,
    ) {
        let at = Rfc3339 { seconds: u64::from(repeated), millis: Some(999) };
        let message = message + &control;
        let line = Line::new(at, Level::Error, &logger, &message, repeated);
        for encoding in [Encoding::Human, Encoding::Verbose, Encoding::Console, Encoding::Json] {
            let mut out = String::new();
            line.encode(&mut out, encoding, true);
            prop_assert!(out.len() <= 4096);
            prop_assert_eq!(out.matches('\n').count(), 1);
            if encoding == Encoding::Json {
                let value: serde_json::Value = serde_json::from_str(&out).unwrap();
                prop_assert!(!value["msg"].as_str().unwrap().chars().any(char::is_control));
            }
        }
    }
}
