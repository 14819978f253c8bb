//! The program: arguments to configuration to reactor to exit code.

use std::io::Write;
use std::process::ExitCode;

use hoop_lite::cli::{self, AgentOptions, Command};
use hoop_lite::config::{Config, Surroundings};
use hoop_lite::io::files;

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
        Command::Version { json: false } => {
            print(concat!("hoop-lite ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Command::Version { json: true } => print(concat!(
            "{\"version\":\"",
            env!("CARGO_PKG_VERSION"),
            "\"}\n"
        )),
        Command::StartAgent(options) => start(&options),
        Command::Run(options) => start(&options.agent),
        _ => {
            eprintln!("hoop-lite: this command is not in this build yet");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &AgentOptions) -> ExitCode {
    let variable = |name: &str| {
        let environment = || std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
        options.value(name).or_else(environment)
    };
    let config = Config::load(Surroundings {
        variable: &variable,
        read_file: &files::read_small,
    });
    match config {
        Ok(config) => {
            for warning in &config.warnings {
                eprintln!("hoop-lite: {warning}");
            }
            let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
            let line = config.start_line(env!("CARGO_PKG_VERSION"), &platform);
            print(&(line + "\n"))
        }
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
