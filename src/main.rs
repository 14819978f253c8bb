//! The program: arguments to configuration to reactor to exit code.

use std::env;
use std::ffi::CString;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use hoop_lite::admin::{self, AdminCommand, AgentMode, CreateAgent, LoginCommand, OutputForm};
use hoop_lite::cli::{self, DoctorOptions, Invocation};
use hoop_lite::config::Surroundings;
use hoop_lite::doctor::metadata::MetadataPlaces;
use hoop_lite::doctor::{self, Examination, Screen};
use hoop_lite::os::files;
use hoop_lite::os::sys::{self, RecordMemory};
use hoop_lite::startup::{self, StartError};

#[global_allocator]
static MEMORY: RecordMemory = RecordMemory::new();

fn main() -> ExitCode {
    if env::args_os()
        .next()
        .is_some_and(|name| name == sys::GUARDIAN)
    {
        let words = env::args_os().skip(1).map(OsStringExt::into_vec);
        let words: Vec<_> = words
            .map(|word| CString::new(word).unwrap_or_default())
            .collect();
        sys::be_guardian(&words);
        return ExitCode::SUCCESS;
    }
    let command = match cli::parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            let command = error
                .command()
                .map_or(String::new(), |words| format!(" {words}"));
            eprintln!("hoop-lite: {error}\nTry `hoop-lite help{command}`.");
            return ExitCode::from(STATUS_USAGE);
        }
    };
    match command {
        Invocation::Help(text) => print(&text),
        Invocation::Version { json: false } => print(&format!("hoop-lite {}\n", startup::VERSION)),
        Invocation::Version { json: true } => print(&format!(
            "{{\"version\":\"{}\",\"commit\":\"{}\",\"target\":\"{}\"}}\n",
            startup::VERSION,
            startup::COMMIT,
            startup::TARGET
        )),
        Invocation::StartAgent(options) => exit(startup::run(&options, None)),
        Invocation::Run(options) => exit(startup::run(&options.agent, Some(&options))),
        Invocation::Doctor(options) => examine(options),
        Invocation::Health { probe, options } => {
            let variable = |name: &str| options.value(name).or_else(|| env::var(name).ok());
            let surroundings = Surroundings {
                variable: &variable,
                ..surroundings()
            };
            let (out, errors) = (&mut io::stdout(), &mut io::stderr());
            code(doctor::probe::ask(probe, surroundings, out, errors))
        }
        Invocation::AdminCreateAgent { name, mode, json } => {
            let mode = match mode.as_deref() {
                Some("embedded") => AgentMode::Embedded,
                _ => AgentMode::Standard,
            };
            administer(&AdminCommand::CreateAgent(CreateAgent {
                name,
                mode,
                output: form(json),
            }))
        }
        Invocation::AdminGetAgents { json } => administer(&AdminCommand::GetAgents(form(json))),
        Invocation::AdminGetAgent { name, json } => {
            administer(&AdminCommand::GetAgent(name, form(json)))
        }
        Invocation::AdminDeleteAgent {
            name,
            ignores_missing,
        } => administer(&AdminCommand::DeleteAgent {
            name,
            ignores_missing,
        }),
        Invocation::AdminLogin { api_url, email } => {
            administer(&AdminCommand::Login(LoginCommand { email, api_url }))
        }
    }
}

fn examine(options: DoctorOptions) -> ExitCode {
    let mut stdout = io::stdout();
    let names: Vec<String> = env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    let screen = stdout.is_terminal().then(|| Screen {
        width: sys::width(stdout.as_fd())
            .map_or(WIDTH_USUAL, usize::from)
            .max(WIDTH_MIN),
        has_colours: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    });
    let asked = Examination {
        form: form(options.json),
        screen,
        of_service: options.of_service,
        asks_stores: options.asks_stores,
        misspelt: &cli::misspelt,
        names: &names,
        metadata: MetadataPlaces::AMAZONS,
    };
    code(doctor::run(&asked, surroundings(), &mut stdout))
}

fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn administer(command: &AdminCommand) -> ExitCode {
    let stdin = io::stdin();
    let terminal = stdin.is_terminal().then_some(&stdin as &dyn AsFd);
    code(admin::run(
        command,
        &mut admin::Context {
            surroundings: surroundings(),
            stdin: &mut stdin.lock(),
            terminal,
            stdout: &mut io::stdout(),
            stderr: &mut io::stderr(),
        },
    ))
}

fn form(json: bool) -> OutputForm {
    if json {
        OutputForm::Json
    } else {
        OutputForm::Text
    }
}

fn surroundings<'a>() -> Surroundings<'a> {
    Surroundings {
        variable: &|name| env::var(name).ok(),
        read_file: &files::read_small,
    }
}

fn exit(result: Result<u8, StartError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("hoop-lite: {error}");
            match error.is_usage() {
                true => ExitCode::from(STATUS_USAGE),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// A reader that went away, as in `hoop-lite help | head`, is no reason to complain.
fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

const STATUS_USAGE: u8 = 2;
/// Of a terminal that does not say.
const WIDTH_USUAL: usize = 80;
/// Words of a finding have room beside its verdict.
const WIDTH_MIN: usize = 60;
