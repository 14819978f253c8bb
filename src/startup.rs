//! From a configuration to a running agent: the only place where all parts meet.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::agent::{self, Agent, Endpoint, EndpointSource, Exit};
use crate::base::Rng;
use crate::config::{Config, HealthListen, Mode, Surroundings, TlsMode};
use crate::io::health;
use crate::io::notify::Notify;
use crate::io::reactor::{Options, Reactor};
use crate::io::sys;
use crate::link::trust::{self, Alpn};
use crate::link::{Identity, proxy};
use crate::packet::PreConnectRequest;
use crate::session::{self, AgentEnvironment, Sessions};

/// Our version, as the gateway's list and `hoop-lite version` show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Variables that hold a key; wiped from the process once they were read.
pub const KEY_VARIABLES: [&str; 4] = ["HOOP_KEY", "HOOP_DSN", "HOOP_TOKEN", "TOKEN"];

/// The process's variables and files, for `config`.
pub fn surroundings<'a>() -> Surroundings<'a> {
    Surroundings {
        variable: &|name| std::env::var(name).ok(),
        read_file: &|path| fs::read(path),
    }
}

/// Serves the gateway until told to stop. The process must have been prepared, and the key's
/// variables wiped, before.
pub fn serve(config: Config, variables: Vec<(OsString, OsString)>) -> Result<Exit, String> {
    let environment = |wanted: &str| {
        let found = variables.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    };
    let watchdog = environment("WATCHDOG_USEC").and_then(|text| text.into_string().ok());
    let options = Options {
        search_path: environment("PATH").unwrap_or_default(),
        health: config.settings.health_listen.as_ref().map(health_address),
        notify: Notify::new(environment("NOTIFY_SOCKET"), watchdog),
    };
    let is_embedded = config.mode == Mode::Embedded;
    let settings = agent::Settings {
        is_embedded,
        key_check_interval: config.settings.key_check_interval,
        drain_timeout: config.settings.drain_timeout,
        exit_on_revoked: config.settings.exit_on_revoked,
    };
    let sessions = Sessions::new(
        session::Settings {
            relay_count_max: config.settings.relay_count_max,
            queue_bytes_max: config.settings.queue_budget,
            stall_max: config.settings.stall_max,
        },
        AgentEnvironment::new(variables.into_iter(), is_embedded),
    );
    let endpoints = endpoint_source(config)?;
    let agent = Agent::new(
        Instant::now(),
        settings,
        sessions,
        endpoints,
        Rng::new(seed()),
    );
    let failed = |error: io::Error| format!("the event loop failed: {error}");
    Reactor::new(agent, options)
        .and_then(|mut reactor| reactor.run())
        .map_err(failed)
}

fn health_address(setting: &HealthListen) -> health::Address {
    match setting {
        HealthListen::Tcp(address) => health::Address::Tcp(*address),
        HealthListen::Unix(path) => health::Address::Unix(path.into()),
    }
}

/// Jitter must differ between agents that start in the same second.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    match sys::random_bytes(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::from(since.subsec_nanos()))
                ^ u64::from(std::process::id())
        }
    }
}

/// Makes endpoints; a key that lies in a file is read again for each.
fn endpoint_source(mut config: Config) -> Result<EndpointSource, String> {
    let tls = match &config.tls {
        TlsMode::Plaintext => None,
        TlsMode::Tls { trust, .. } => {
            let name = config.server_name().to_owned();
            let name = ServerName::try_from(name.clone())
                .map_err(|_| format!("{name:?} is not a name that a certificate can have"))?;
            let client =
                trust::client_config(trust, Alpn::H2).map_err(|error| error.to_string())?;
            Some((client, name))
        }
    };
    let metadata = metadata();
    Ok(Box::new(move || {
        match config.reload_key(surroundings()) {
            Ok(true) => log::info!("the key's file has a new key"),
            Ok(false) => {}
            Err(error) => log::warn!("{error}; going on with the key as it was"),
        }
        Ok(endpoint(&config, tls.clone(), metadata.clone()))
    }))
}

fn endpoint(
    config: &Config,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    metadata: Vec<(&'static str, String)>,
) -> Endpoint {
    let gateway = &config.gateway;
    let (dialled, tunnel) = match &config.proxy {
        None => (gateway, None),
        Some(via) => {
            let request = proxy::request(&gateway.authority, via.login.as_ref());
            (&via.address, Some(request))
        }
    };
    let has_other_name = matches!(
        &config.tls,
        TlsMode::Tls {
            server_name: Some(_),
            ..
        }
    );
    let mut preconnect = Vec::new();
    PreConnectRequest::default().encode(&mut preconnect);
    Endpoint {
        host: dialled.host.clone(),
        port: dialled.port,
        tunnel,
        identity: Identity {
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
    let read = |path: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.trim()
            .chars()
            .filter(|c| (' '..='~').contains(c))
            .collect::<String>()
    };
    let kernel = ["ostype", "hostname", "osrelease", "version"]
        .map(|name| read(&format!("/proc/sys/kernel/{name}")))
        .join(" ");
    vec![
        ("version", String::new()),
        ("go-version", String::new()),
        ("compiler", format!("hoop-lite/{VERSION}")),
        ("platform", platform()),
        ("hostname", read("/proc/sys/kernel/hostname")),
        ("machine-id", read("/sys/class/dmi/id/product_uuid")),
        ("kernel-version", kernel.trim().to_owned()),
    ]
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
