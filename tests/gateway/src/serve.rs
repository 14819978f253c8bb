//! The gateway to play with: prints a key, and what agents do until it is interrupted.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use loopback_gateway::event::{Event, header};
use loopback_gateway::{Gateway, Security, SessionRequest, Setup};

/// How often the journal is looked at when nothing happens.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was typed.
pub struct Options {
    plain: bool,
    embedded: bool,
    port: u16,
    name: String,
    ca: Option<String>,
    every: Option<Duration>,
}

impl Options {
    /// From what follows `serve`.
    pub fn parse(arguments: &[&str]) -> Result<Self, String> {
        let name = "demo".to_owned();
        let mut options = Self {
            plain: false,
            embedded: false,
            port: 0,
            name,
            ca: None,
            every: None,
        };
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let mut value = || {
                rest.next()
                    .copied()
                    .ok_or_else(|| format!("{option} needs a value"))
            };
            match *option {
                "--plain" => options.plain = true,
                "--embedded" => options.embedded = true,
                "--port" => options.port = value()?.parse().map_err(|_| "--port needs a number")?,
                "--name" => options.name = value()?.to_owned(),
                "--ca" => options.ca = Some(value()?.to_owned()),
                "--echo-every" => {
                    let seconds = value()?
                        .parse()
                        .map_err(|_| "--echo-every needs a number")?;
                    options.every = Some(Duration::from_secs(seconds));
                }
                other => return Err(format!("unknown option {other}")),
            }
        }
        Ok(options)
    }
}

/// Serves until the process is ended.
pub fn run(options: &Options) -> ExitCode {
    let security = if options.plain {
        Security::Plain
    } else {
        Security::Tls
    };
    let gateway = Gateway::start_with(Setup {
        port: options.port,
        ..Setup::new(security)
    });
    let key = gateway.register(
        &options.name,
        if options.embedded {
            "embedded"
        } else {
            "standard"
        },
    );
    println!("gateway on {}", gateway.address());
    println!("HOOP_KEY='{key}'");
    match (&options.ca, gateway.ca_pem()) {
        (Some(path), Some(pem)) => match std::fs::write(path, pem) {
            Ok(()) => println!("HOOP_TLSCA='file://{path}'"),
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        },
        (None, Some(pem)) => {
            println!(
                "HOOP_TLSCA='base64://{}'",
                loopback_gateway::base64(pem.as_bytes())
            );
        }
        (_, None) => {}
    }
    let mut shown = 0;
    let mut due = options.every.map(|every| Instant::now() + every);
    loop {
        for entry in gateway.entries_within(shown, PATIENCE) {
            println!("{entry}");
            if let Event::Online { metadata, .. } = &entry.event {
                let compiler = header(metadata, "compiler").unwrap_or_default();
                println!(
                    "            {compiler} on {}",
                    header(metadata, "hostname").unwrap_or_default()
                );
            }
            shown += 1;
        }
        if due.is_some_and(|due| Instant::now() >= due) && gateway.is_online(&options.name) {
            due = options.every.map(|every| Instant::now() + every);
            let outcome = gateway
                .open_session(SessionRequest::exec(&["echo", "still here"]))
                .run(b"");
            println!(
                "            echo: {:?}, exit code {}",
                outcome.out().trim(),
                outcome.code
            );
        }
    }
}
