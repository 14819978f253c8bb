//! The program: arguments to configuration to reactor to exit code.

use std::process::ExitCode;

use hoop_lite::agent::Exit;
use hoop_lite::config::Config;
use hoop_lite::io::sys;
use hoop_lite::startup;

fn main() -> ExitCode {
    sys::prepare_process();
    let config = match Config::load(startup::surroundings()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(1);
        }
    };
    let variables = std::env::vars_os().collect();
    sys::wipe_environment(&startup::KEY_VARIABLES);
    match startup::serve(config, variables) {
        Ok(Exit::Stopped) => ExitCode::SUCCESS,
        Ok(Exit::KeyRefused) => ExitCode::from(3),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
    }
}
