//! From a configuration to a running agent: the only place where all parts meet.

mod beside;
mod error;
mod publication;
mod sources;
mod stores;
mod user;
mod variables;

use std::fs;
use std::time::{Duration, Instant};

use crate::agent::{Agent, AgentSettings, Endpoint, EndpointSource, Machine, Outcome};
use crate::base::{Rng, Secret};
use crate::cli::{AgentOptions, RunOptions, misspelt};
use crate::config::beside::DATABASE_URI;
use crate::config::{Config, LANDLOCK_LACKING, Mode, Settings, Surroundings, TlsMode};
use crate::io::log;
use crate::io::reactor::{Keepalive, OpenNetwork, Options, Reactor};
use crate::link::{AgentIdentity, proxy};
use crate::os::bundle::AuthorityBundle;
use crate::os::notify::Notify;
use crate::os::processes::Keeping;
use crate::os::signal::Catch;
use crate::os::{files, sys};
use crate::secrets::Stores;
use crate::session::{AgentEnvironment, Given, SessionLimits, Sessions};
use crate::tls::{Alpn, Client, Configurations, Versions};
pub use error::StartError;

use beside::BesideProgram;
use publication::{ORGANISATION_AGENT, Publication};
use sources::{System, since_1970};
use variables::{StartVariables, wipe};

/// Our version, as the gateway's list and `hoop-lite version` show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that this program was built from, as scripts/build-static says it.
pub const COMMIT: &str = match option_env!("HOOP_LITE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// What it was built for; without scripts/build-static only the processor.
pub const TARGET: &str = match option_env!("HOOP_LITE_TARGET") {
    Some(target) => target,
    None => std::env::consts::ARCH,
};

/// Runs the agent until it is told to stop, and the program of `run` beside it. Returns the exit
/// code.
///
/// Call before any thread is started: this hardens the process and wipes its environment.
pub fn run(options: &AgentOptions, beside: Option<&RunOptions>) -> Result<u8, StartError> {
    sys::prepare_process();
    sys::let_guardians_execute();
    let mut variables: StartVariables = std::env::vars_os().collect();
    wipe(&variables);
    let given = variables.clone();
    let variable = |wanted: &str| {
        let found = given.iter().find(|(name, _)| name == wanted);
        let text = || found.map(|(_, value)| value.to_string_lossy().into_owned());
        options.value(wanted).or_else(text)
    };
    log::start(log::Setup::for_stderr(&variable));
    for complaint in given
        .iter()
        .filter_map(|(name, _)| misspelt(&name.to_string_lossy()))
    {
        ::log::warn!("{complaint}");
    }
    let surroundings = Surroundings {
        variable: &variable,
        read_file: &files::read_small,
    };
    let mut program = match beside {
        Some(options) => BesideProgram::new(options, &variables, surroundings)?,
        None => None,
    };
    let prepared = prepare(beside, surroundings, &mut variables).or_else(|reason| match &program {
        Some(program) if program.keeps_going() => {
            ::log::error!("{reason}; {} runs without the agent", program.name());
            Prepared::without_agent(surroundings, &mut variables)
        }
        _ => Err(reason),
    });
    if let Some(program) = &mut program {
        program.follow(&variables);
    }
    let reactor = prepared
        .and_then(|prepared| assemble(prepared, &variables, beside.is_some(), program.as_ref()));
    let result = match (reactor, program) {
        (Ok(reactor), program) => serve(reactor, program.as_ref()),
        (Err(reason), Some(program)) => Err(program.not_started(reason)),
        (Err(reason), None) => Err(reason),
    };
    log::flush();
    result
}

/// What `run` publishes: something with an organisation key, nothing with an agent's own.
fn published(
    options: &RunOptions,
    config: &Config,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Publication>, StartError> {
    let database = options.database_uri.clone();
    let named = || variable(DATABASE_URI).filter(|uri| !uri.is_empty());
    let database = database.or_else(|| named().map(Secret::new));
    if config.name.as_deref() != Some(ORGANISATION_AGENT) {
        let wants_to = options.name.is_some()
            || options.command.is_some()
            || database.is_some()
            || !(options.review.is_empty() && options.data_masking.is_empty());
        if wants_to {
            return Err(StartError::KeyOfOneAgent);
        }
        return Ok(None);
    }
    let shell = variable("SHELL").filter(|shell| !shell.is_empty());
    let shell = shell.unwrap_or_else(|| "/bin/sh".into());
    let publication = Publication::new(options, database.as_ref(), &host_name(), &shell)?;
    ::log::info!("publishing the connection {}", publication.name);
    Ok(Some(publication))
}

/// What the configuration comes to.
struct Prepared {
    settings: Settings,
    is_embedded: bool,
    given: Given,
    keeping: Keeping,
    open_network: OpenNetwork,
    /// Where to go, if anywhere.
    endpoints: Option<EndpointSource>,
}

impl Prepared {
    /// For a program that has to run all the same, probes included.
    fn without_agent(
        surroundings: Surroundings<'_>,
        variables: &mut StartVariables,
    ) -> Result<Self, StartError> {
        let settings = Settings::load(surroundings).unwrap_or_default();
        user::change(&settings, variables)?;
        Ok(Self {
            settings,
            is_embedded: false,
            given: Given::default(),
            keeping: Keeping::default(),
            open_network: OpenNetwork::Fine,
            endpoints: None,
        })
    }
}

fn prepare(
    beside: Option<&RunOptions>,
    surroundings: Surroundings<'_>,
    variables: &mut StartVariables,
) -> Result<Prepared, StartError> {
    let mut config = Config::load(surroundings)?;
    config.keep_what_pipes_gave(&files::is_readable);
    for warning in &config.warnings {
        ::log::warn!("{warning}");
    }
    ::log::info!("{}", config.start_line(VERSION, &platform()));
    let mut publication = match beside {
        Some(options) => published(options, &config, surroundings.variable)?,
        None => None,
    };
    if beside.is_some() {
        ::log::info!(
            "sessions see the environment that run was started with, less HOOP_*, TOKEN, VAULT_TOKEN and \
             VAULT_APP_ROLE_SECRET_ID"
        );
    }
    user::settle(&config, variables)?;
    let given = publication.as_mut().map(|publication| Given {
        connection: publication.name.clone(),
        variables: std::mem::take(&mut publication.variables),
    });
    Ok(Prepared {
        settings: config.settings.clone(),
        is_embedded: config.mode == Mode::Embedded || publication.is_some(),
        given: given.unwrap_or_default(),
        keeping: Keeping {
            ends_detached: config.settings.end_detached,
            is_separate: is_separate(&config),
        },
        open_network: match config.leaves_plaintext_to_lookup() {
            false => OpenNetwork::Fine,
            true if config.settings.refuse_plaintext => OpenNetwork::Refuse,
            true => OpenNetwork::Warn,
        },
        endpoints: Some(endpoint_source(config, publication)?),
    })
}

/// Everything but the program beside the agent.
fn assemble(
    prepared: Prepared,
    variables: &StartVariables,
    is_beside: bool,
    program: Option<&BesideProgram>,
) -> Result<Reactor, StartError> {
    let Prepared {
        settings,
        is_embedded,
        given,
        keeping,
        open_network,
        endpoints,
    } = prepared;
    let environment = |wanted: &str| {
        let found = variables.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    };
    let of_stores = stores::settings(variables);
    let options = Options {
        search_path: environment("PATH").unwrap_or_default(),
        catch: match program {
            Some(_) => Catch::All,
            None => Catch::Own,
        },
        notify: Notify::new(
            environment("NOTIFY_SOCKET"),
            environment("WATCHDOG_USEC").and_then(|text| text.into_string().ok()),
        ),
        keeping,
        keepalive: keepalive(&settings),
        open_network,
        metadata: stores::door(&settings, &of_stores),
        ships_logs: settings.log_ship,
        machine: Machine {
            started_at: since_1970().as_secs(),
            build: format!("version=\"{VERSION}\",commit=\"{COMMIT}\",target=\"{TARGET}\""),
            ..Machine::default()
        },
    };
    let bundle = environment("SSL_CERT_FILE").and_then(|path| path.into_string().ok());
    let bundle = AuthorityBundle::new(bundle);
    let sessions = Sessions::new(
        session_limits(&settings),
        AgentEnvironment::new(variables.iter().cloned(), is_embedded || is_beside)
            .with_client_env(settings.client_env.clone())
            .with_given(given),
    )
    .with_sources(Box::new(System::new(bundle)))
    .with_stores(Stores::new(of_stores));
    log::ship(settings.log_ship);
    let of_agent = agent_settings(&settings, is_embedded);
    let (now, rng) = (Instant::now(), Rng::new(seed()));
    let agent = match endpoints {
        Some(endpoints) => Agent::new(now, of_agent, sessions, endpoints, rng),
        None => {
            let nowhere = Box::new(|| Err(String::new()));
            Agent::idle(of_agent, sessions, nowhere, rng)
        }
    };
    let mut reactor = Reactor::new(agent, options).map_err(StartError::Reactor)?;
    if let Some(address) = &settings.health_listen {
        beside::serve_health(&mut reactor, address, program)?;
    }
    Ok(reactor)
}

fn agent_settings(settings: &Settings, is_embedded: bool) -> AgentSettings {
    AgentSettings {
        is_embedded,
        key_check_interval: settings.key_check_interval,
        drain_timeout: settings.drain_timeout,
        reconnect_max: settings.reconnect_max,
        exit_on_revoked: settings.exit_on_revoked,
    }
}

fn serve(mut reactor: Reactor, program: Option<&BesideProgram>) -> Result<u8, StartError> {
    // Last, when signals are caught and nothing is left that could keep us from running.
    if let Some(Err(code)) = program.map(|program| program.start(&mut reactor)) {
        return Ok(code);
    }
    let (exit, program_code) = reactor.run().map_err(StartError::EventLoop)?;
    Ok(program_code.unwrap_or(match exit {
        Outcome::Stopped => 0,
        Outcome::KeyRefused => EXIT_KEY_REFUSED,
    }))
}

/// Whether sessions are shut off from one another; warns where a setting asks for what the kernel can't.
fn is_separate(config: &Config) -> bool {
    let is_possible = sys::separation() == sys::Separation::Full;
    if config.settings.separate_sessions == Some(true) && !is_possible {
        ::log::warn!("sessions are not shut off from one another: {LANDLOCK_LACKING}");
    }
    is_possible && config.wants_separation(sys::is_bound())
}

/// Exit code of `--exit-on-revoked`.
const EXIT_KEY_REFUSED: u8 = 3;

fn session_limits(settings: &Settings) -> SessionLimits {
    SessionLimits {
        relay_count_max: settings.relay_count_max,
        queue_bytes_max: settings.queue_budget,
        stall_max: settings.stall_max,
        output_after_exit_max: settings.output_after_exit,
        silence_max: silence_max(settings),
    }
}

/// In the kernel's units.
fn keepalive(settings: &Settings) -> Keepalive {
    let seconds = |duration: Duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
    Keepalive {
        after_s: seconds(settings.keepalive_idle),
        every_s: seconds(settings.keepalive_interval),
        probes: i32::try_from(settings.keepalive_probes).unwrap_or(i32::MAX),
    }
}

/// The time after which keep-alive gives a target up. One that acknowledges nothing gets as much.
fn silence_max(settings: &Settings) -> Duration {
    let probes = u32::try_from(settings.keepalive_probes).unwrap_or(u32::MAX);
    settings.keepalive_idle + settings.keepalive_interval.saturating_mul(probes)
}

/// Jitter must differ between agents that start in the same second.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    match sys::random_bytes(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => u64::from(since_1970().subsec_nanos()) ^ u64::from(std::process::id()),
    }
}

/// Makes endpoints; a key that lies in a file is read again for each.
fn endpoint_source(
    mut config: Config,
    publication: Option<Publication>,
) -> Result<EndpointSource, StartError> {
    let mut configurations = Configurations::new();
    let mut tls = match &config.tls {
        TlsMode::Plaintext => None,
        TlsMode::Tls { trust, .. } => {
            let configuration = configurations.get(trust, Alpn::H2, Versions::Any)?;
            let name = config.server_name();
            let client = Client::new(configuration, name)
                .map_err(|_| StartError::ServerName(name.to_owned()))?;
            Some(client)
        }
    };
    let mut metadata = metadata();
    let mut preconnect = Vec::new();
    if let Some(publication) = publication {
        publication.request().encode(&mut preconnect);
        metadata.push(("connection-name", publication.name));
    }
    let mut is_first = true;
    Ok(Box::new(move || {
        let is_read = std::mem::take(&mut is_first);
        let surroundings = Surroundings {
            variable: &|_| None,
            read_file: &files::read_again,
        };
        match config.reload_key(surroundings) {
            // A moment ago, by root, whom we no longer are.
            _ if is_read && config.settings.user.is_some() => {}
            Ok(true) => {
                sys::lock_memory(config.token.expose());
                ::log::info!("the key's file has a new key");
            }
            Ok(false) => {}
            Err(error) => {
                let why = match config.settings.user {
                    Some(_) => {
                        " (with --user it is read once: start the agent anew after a change)"
                    }
                    None => "",
                };
                ::log::warn!("{error}; going on with the key as it was{why}");
            }
        }
        match config.reload_authority(surroundings) {
            Ok(None) => {}
            Ok(Some(trust)) => match (configurations.get(trust, Alpn::H2, Versions::Any), &mut tls)
            {
                (Ok(configuration), Some(client)) => {
                    client.set_configuration(configuration);
                    ::log::info!("the authority's file has new certificates");
                }
                (Err(error), _) => ::log::warn!("{error}; going on with the authority as it was"),
                (Ok(_), None) => {}
            },
            Err(error) => ::log::warn!("{error}; going on with the authority as it was"),
        }
        Ok(endpoint(
            &config,
            tls.clone(),
            metadata.clone(),
            preconnect.clone(),
        ))
    }))
}

fn endpoint(
    config: &Config,
    tls: Option<Client>,
    metadata: Vec<(&'static str, String)>,
    preconnect: Vec<u8>,
) -> Endpoint {
    let gateway = &config.gateway;
    let (dialled, place, tunnel) = match &config.proxy {
        None => (gateway, gateway.authority.clone(), None),
        Some(via) => {
            let request = proxy::request(&gateway.authority, via.login.as_ref());
            let place = format!(
                "{} through the proxy {}",
                gateway.authority, via.address.authority
            );
            (&via.address, place, Some(request))
        }
    };
    let has_other_name = matches!(
        &config.tls,
        TlsMode::Tls {
            server_name: Some(_),
            ..
        }
    );
    Endpoint {
        host: dialled.host.clone(),
        port: dialled.port,
        place,
        tunnel,
        identity: AgentIdentity {
            is_encrypted: tls.is_some(),
            authority: match has_other_name {
                true => config.server_name().to_owned(),
                false => gateway.authority.clone(),
            },
            token: config.token.clone(),
            metadata,
            preconnect,
            user_agent: format!("hoop-lite/{VERSION}"),
        },
        tls,
    }
}

/// What the gateway's list of agents shows. `version` stays empty: one that differs from a user's
/// client would have the client warn at every connection.
fn metadata() -> Vec<(&'static str, String)> {
    let kernel = ["ostype", "hostname", "osrelease", "version"]
        .map(|name| first_line(&format!("/proc/sys/kernel/{name}")))
        .join(" ");
    vec![
        ("version", String::new()),
        ("go-version", String::new()),
        ("compiler", format!("hoop-lite/{VERSION}")),
        ("platform", platform()),
        ("hostname", host_name()),
        ("machine-id", first_line("/sys/class/dmi/id/product_uuid")),
        ("kernel-version", kernel.trim().to_owned()),
    ]
}

fn host_name() -> String {
    first_line("/proc/sys/kernel/hostname")
}

/// A small file of the kernel; empty where there is none, as in a container without /proc.
fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("").trim().to_owned()
}

/// System and processor, in the words of upstream's list.
pub fn platform() -> String {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    format!("{system}/{processor}")
}
