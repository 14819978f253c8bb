//! Chaos: the real agent in front of gateways that are killed, lines that lose, machines that run
//! out of things. Each scenario runs in a process of its own, so that one that fails takes no other
//! along; `scripts/chaos` gives all of them namespaces in which nothing else lives.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

mod clock;
mod cuts;
mod databases;
mod ends;
mod exhaustion;
mod gateway_process;
mod greed;
mod leaving;
mod line;
mod line_trouble;
mod long_line;
mod parameters;
mod report;
mod subject;
mod target_trouble;
mod web;
mod workload;

pub use gateway_process::serve as serve_gateway;
use report::Row;

/// What was typed.
#[derive(Clone)]
pub struct Plan {
    /// The agent's binary.
    agent: String,
    /// One that is linked with the system's C library, whose clock can be replaced; the same
    /// where there is no other.
    dynamic_agent: String,
    /// The short pass.
    is_quick: bool,
}

struct Scenario {
    name: &'static str,
    /// It mostly waits, so that it may run beside others without changing what they measure.
    mostly_waits: bool,
    run: fn(&Plan) -> Row,
}

const fn busy(name: &'static str, run: fn(&Plan) -> Row) -> Scenario {
    Scenario {
        name,
        mostly_waits: false,
        run,
    }
}

const fn waiting(name: &'static str, run: fn(&Plan) -> Row) -> Scenario {
    Scenario {
        name,
        mostly_waits: true,
        run,
    }
}

const SCENARIOS: [Scenario; 23] = [
    busy("gateway-kills", cuts::gateway_kills),
    busy("reconnects", cuts::reconnects),
    waiting("lossy-line", line_trouble::lossy_line),
    waiting("vanished-peer", line_trouble::vanished_peer),
    waiting("vanished-target", target_trouble::vanished_target),
    busy("long-line", long_line::long_line),
    busy("descriptors", exhaustion::descriptors),
    busy("full-disk", exhaustion::full_disk),
    busy("parameters", parameters::parameters),
    busy("greed", greed::greed),
    busy("database-deaths", databases::deaths),
    busy("database-clients", databases::clients),
    busy("web-deaths", web::deaths),
    busy("web-users", web::users),
    waiting("wall-clock", clock::wall_clock),
    waiting("young-machine", clock::young_machine),
    waiting("suspend", clock::suspend),
    waiting("gateway-stop", clock::gateway_stop),
    busy("first-process", leaving::first_process),
    busy("revocation", leaving::revocation),
    busy("drain", leaving::drain),
    busy("ends", ends::ends),
    busy("killed-agent", ends::killed_agent),
];

/// All scenarios, or those named, and their table. Fails when one does.
pub fn run(words: &[&str]) -> ExitCode {
    let Some((agent, rest)) = words.split_first() else {
        eprintln!("chaos needs the agent's path");
        return ExitCode::from(2);
    };
    let is_quick = rest.contains(&"--quick");
    let names: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|word| *word != "--quick")
        .collect();
    let unknown = |name: &&&str| SCENARIOS.iter().all(|scenario| scenario.name != **name);
    if let Some(name) = names.iter().find(unknown) {
        let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        eprintln!("no scenario {name}; there are: {}", known.join(" "));
        return ExitCode::from(2);
    }
    let plan = Plan::new(agent, is_quick);
    let is_wanted = |scenario: &&Scenario| names.is_empty() || names.contains(&scenario.name);
    let started = Instant::now();
    let (waiting, busy): (Vec<_>, Vec<_>) = SCENARIOS
        .iter()
        .filter(is_wanted)
        .partition(|scenario| scenario.mostly_waits);
    let threads: Vec<_> = waiting
        .into_iter()
        .map(|scenario| {
            let plan = plan.clone();
            std::thread::spawn(move || (scenario.name, apart(&plan, scenario)))
        })
        .collect();
    let mut rows: Vec<_> = busy
        .into_iter()
        .map(|scenario| (scenario.name, apart(&plan, scenario)))
        .collect();
    rows.extend(
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a row")),
    );
    rows.sort_by_key(|(name, _)| SCENARIOS.iter().position(|scenario| scenario.name == *name));
    println!("{}", report::HEAD);
    for (_, row) in &rows {
        println!("{row}");
    }
    let failed = rows.iter().filter(|(_, row)| !row.is_good()).count();
    println!(
        "\n{} scenarios, {failed} failed, {:.0} s.",
        rows.len(),
        started.elapsed().as_secs_f64()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a scenario in a process of its own and takes its row from there.
fn apart(plan: &Plan, scenario: &Scenario) -> Row {
    eprintln!("{} ...", scenario.name);
    let started = Instant::now();
    let own = std::env::current_exe().expect("the path of this program");
    let output = Command::new(own)
        .args(["chaos-scenario", scenario.name, &plan.agent])
        .args(plan.is_quick.then_some("--quick"))
        .stdin(Stdio::null())
        .output()
        .expect("a process for a scenario");
    let took = started.elapsed();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let row = told
        .lines()
        .find_map(Row::parse)
        .filter(|_| output.status.success());
    let row = row.unwrap_or_else(|| {
        eprintln!(
            "{} failed, {}:\n{told}\n{errors}",
            scenario.name, output.status
        );
        Row::failed(scenario.name, &errors)
    });
    eprintln!("{} took {:.1} s", scenario.name, took.as_secs_f64());
    row
}

/// One scenario, in the process that `run` started for it.
pub fn run_one(words: &[&str]) -> ExitCode {
    let [name, agent, rest @ ..] = words else {
        return ExitCode::from(2);
    };
    let plan = Plan::new(agent, rest.contains(&"--quick"));
    let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == *name) else {
        return ExitCode::from(2);
    };
    let row = (scenario.run)(&plan);
    println!("{}", row.line());
    ExitCode::SUCCESS
}

/// Names the second binary.
const DYNAMIC_AGENT_VARIABLE: &str = "CHAOS_DYNAMIC_AGENT";

impl Plan {
    fn new(agent: &str, is_quick: bool) -> Self {
        let dynamic_agent = std::env::var(DYNAMIC_AGENT_VARIABLE);
        Self {
            agent: agent.to_owned(),
            dynamic_agent: dynamic_agent.unwrap_or_else(|_| agent.to_owned()),
            is_quick,
        }
    }

    /// The first in the long pass, the second in the short one.
    fn count(&self, full: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { full }
    }

    fn seconds(&self, full: u64, quick: u64) -> Duration {
        Duration::from_secs(if self.is_quick { quick } else { full })
    }
}
