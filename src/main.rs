//! The program: arguments to configuration to reactor to exit code.

use std::io::Write;
use std::process::ExitCode;

use hoop_lite::cli::{self, AgentOptions, Command};
use hoop_lite::startup::{self, Foreground};

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("hoop-lite: {error}\nTry `hoop-lite help`.");
            return ExitCode::from(STATUS_USAGE);
        }
    };
    match command {
        Command::Help(text) => print(&text),
        Command::Version { json: false } => print(&format!("hoop-lite {}\n", startup::VERSION)),
        Command::Version { json: true } => {
            print(&format!("{{\"version\":\"{}\"}}\n", startup::VERSION))
        }
        Command::StartAgent(options) => start(&options, Foreground::default()),
        _ => {
            eprintln!("hoop-lite: this command is not in this build yet");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &AgentOptions, foreground: Foreground) -> ExitCode {
    match startup::run(options, foreground) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("hoop-lite: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A reader that went away, as in `hoop-lite help | head`, is no reason to complain.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

const STATUS_USAGE: u8 = 2;
