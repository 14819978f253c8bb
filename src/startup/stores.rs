//! What the agent's environment says about secret stores, and the proxy on the way to them.

use super::variables::StartVariables;
use crate::base::Secret;
use crate::base::metadata::MetadataDoor;
use crate::config::{self, Surroundings, proxy};
use crate::link::proxy::request;
use crate::secrets::{Settings, Via};

/// Which addresses of metadata sessions may reach.
pub fn door(settings: &config::Settings, of_stores: &Settings) -> MetadataDoor {
    MetadataDoor {
        open: settings.open_metadata.clone(),
        shut: of_stores.keepers(),
    }
}

/// Out of the variables of the process at its start.
pub fn settings(variables: &StartVariables) -> Settings {
    use std::os::unix::ffi::OsStrExt;
    let texts = variables
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.as_bytes().to_vec())));
    let proxies: Vec<(String, Secret)> = texts
        .clone()
        .filter(|(name, _)| name.to_ascii_uppercase().ends_with("_PROXY"))
        .map(|(name, value)| (name, Secret::new(value)))
        .collect();
    let via = move |address: &_| {
        let surroundings = Surroundings {
            variable: &|wanted| {
                let found = proxies.iter().find(|(name, _)| name == wanted);
                Some(found?.1.expose_text()?.to_owned())
            },
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        // A proxy that can't be read has kept the agent from starting, or is the gateway's alone.
        let found = proxy::for_target(surroundings, address).ok()??;
        Some(Via {
            host: found.address.host.clone(),
            port: found.address.port,
            request: Secret::new(request(&address.authority, found.login.as_ref())),
        })
    };
    Settings::new(texts).with_proxy(Box::new(via))
}
