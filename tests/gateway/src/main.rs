//! `loopback-gateway demo AGENT`: shows an agent at work, for a person.
//! `loopback-gateway scratch LAUNCHER`: the same in an image that holds nothing else.
//! `loopback-gateway chaos AGENT`: what becomes of an agent when everything around it fails.
//! `loopback-gateway serve`: a gateway to play with, which prints a key and what agents do.

use std::process::ExitCode;

mod chaos;
mod demo;
mod scratch;
mod serve;

const USAGE: &str = "usage:
  loopback-gateway demo AGENT             show the agent at this path at work, and end
  loopback-gateway scratch LAUNCHER       show the only child of this program, in an empty root
  loopback-gateway serve [OPTIONS]        serve until interrupted, printing what agents do
  loopback-gateway chaos AGENT [--quick] [SCENARIO...]   see scripts/chaos
options of serve:
  --plain            HTTP/2 without TLS
  --port PORT        listen on this port, not on a free one
  --name NAME        name of the agent that may connect (demo)
  --embedded         with a key for embedded mode
  --ca FILE          write the authority's certificate there, for HOOP_TLSCA=file://FILE
  --echo-every SECONDS   run a small command on every agent that often";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["demo", agent] => demo::run(agent),
        ["scratch", launcher] => scratch::run(launcher),
        ["chaos", ref words @ ..] => chaos::run(words),
        ["chaos-scenario", ref words @ ..] => chaos::run_one(words),
        ["chaos-gateway", ref words @ ..] => chaos::serve_gateway(words),
        ["serve", ref options @ ..] => match serve::Options::parse(options) {
            Ok(options) => serve::run(&options),
            Err(reason) => {
                eprintln!("{reason}\n{USAGE}");
                ExitCode::from(2)
            }
        },
        ["--help" | "help"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
