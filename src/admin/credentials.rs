//! Who we are towards the REST API, found as upstream's CLI finds it, and kept by `login`.
//!
//! In this order: the three variables `HOOP_APIURL`, `HOOP_GRPCURL` and `HOOP_TOKEN`, if all are
//! set; `~/.hoop/config.toml`, if it names a gateway; `HOOP_APIURL` alone. An address that nobody
//! named gets nothing: whoever listens there would have the token. For the same reason a file that
//! others can write names nothing.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::error::{AdminError, Source};
use super::toml::TomlTable;
use crate::base::{Roots, Secret, Trust, Verify};
use crate::config::{Surroundings, Warning, authority};
use crate::http::BaseUrl;
use crate::os::sys;
use crate::wire::base64;

/// The variables that together name a gateway and a token.
pub const TRIO: [&str; 3] = ["HOOP_APIURL", "HOOP_GRPCURL", "HOOP_TOKEN"];

/// What a call to the REST API needs.
pub struct Credentials {
    /// Where they came from.
    pub source: Source,
    /// The gateway.
    pub api_url: BaseUrl,
    /// What proves who we are; without it only a few routes answer.
    pub token: Option<Secret>,
    /// Whom TLS believes.
    pub trust: Trust,
    /// The name that the certificate must have, when it is not the URL's host.
    pub server_name: Option<String>,
}

/// `~/.hoop/config.toml`.
pub struct ConfigFile {
    /// Its path.
    pub path: String,
    /// Its content; empty when there is none.
    pub table: TomlTable,
}

impl ConfigFile {
    /// Reads the file; one that does not exist is empty.
    pub fn read(
        surroundings: Surroundings<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, AdminError> {
        let home = surroundings.get("HOME").ok_or(AdminError::NoHome)?;
        let path = format!("{home}/.hoop/config.toml");
        if let Ok(found) = fs::metadata(&path) {
            let is_ours = [0, sys::effective_user()].contains(&found.uid());
            if !is_ours || found.mode() & 0o022 != 0 {
                return Err(AdminError::FileOfOthers(path));
            }
            if found.mode() & 0o044 != 0 {
                warnings.push(format!(
                    "other users of this machine can read {path}, and with it your token: chmod \
                     600 {path}"
                ));
            }
        }
        let bytes = match (surroundings.read_file)(&path) {
            Ok(bytes) => Secret::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Secret::default(),
            Err(error) => return Err(AdminError::FileRead(path, error.kind())),
        };
        let text = bytes.expose_text();
        let text =
            text.ok_or_else(|| AdminError::FileRead(path.clone(), io::ErrorKind::InvalidData))?;
        // Editors of Windows put one there.
        let text = text.trim_start_matches('\u{feff}');
        let table =
            TomlTable::parse(text).map_err(|error| AdminError::FileToml(path.clone(), error))?;
        Ok(Self { path, table })
    }

    fn names_gateway(&self) -> bool {
        self.table.text("api_url").is_some() || self.table.text("grpc_url").is_some()
    }

    /// Writes the file anew, readable by its owner only; a crash leaves the old one.
    pub fn write(&self) -> Result<(), AdminError> {
        self.try_write()
            .map_err(|error| AdminError::FileWrite(self.path.clone(), error.kind()))
    }

    fn try_write(&self) -> io::Result<()> {
        let path = Path::new(&self.path);
        if let Some(directory) = path.parent() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(directory)?;
        }
        let draft = format!("{}.{}", self.path, std::process::id());
        let _ = fs::remove_file(&draft);
        let written = self
            .write_draft(&draft)
            .and_then(|()| fs::rename(&draft, path));
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written
    }

    fn write_draft(&self, draft: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(draft)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        let text = Secret::new(self.table.to_text());
        file.write_all(text.expose())?;
        file.sync_all()
    }
}

impl Credentials {
    /// Finds the credentials of a command.
    pub fn find(
        surroundings: Surroundings<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, AdminError> {
        let [api_url, grpc_url, token] = TRIO.map(|name| surroundings.get(name));
        let token = token.map(Secret::new);
        let of_variables = |api_url: &str, token, warnings: &mut Vec<String>| {
            let url = parse_url(api_url, "HOOP_APIURL")?;
            let (source, nothing) = (Source::Environment, TomlTable::default());
            Self::new(surroundings, source, url, token, &nothing, warnings)
        };
        if let (Some(api_url), Some(_), Some(_)) = (&api_url, &grpc_url, &token) {
            return of_variables(api_url, token, warnings);
        }
        // A missing home is a missing file, but a broken file must not be passed over.
        let file = match ConfigFile::read(surroundings, warnings) {
            Ok(file) => Some(file),
            Err(AdminError::NoHome) => None,
            Err(error) => return Err(error),
        };
        if let Some(file) = file.filter(ConfigFile::names_gateway) {
            if api_url.is_some() {
                let missing = TRIO
                    .into_iter()
                    .filter(|name| surroundings.get(name).is_none());
                warnings.push(format!(
                    "HOOP_APIURL counts only together with {}, so {} says where the gateway is: set \
                     these too, or remove the file",
                    missing.collect::<Vec<_>>().join(" and "),
                    file.path
                ));
            }
            let Some(api_url) = file.table.text("api_url") else {
                return Err(AdminError::FileNoApiUrl(file.path));
            };
            let url = parse_url(api_url, "api_url of ~/.hoop/config.toml")?;
            let token = file.table.text("token").map(Secret::new);
            return Self::new(
                surroundings,
                Source::File,
                url,
                token,
                &file.table,
                warnings,
            );
        }
        let Some(api_url) = api_url else {
            let missing = TRIO
                .into_iter()
                .filter(|name| surroundings.get(name).is_none());
            return Err(AdminError::NoCredentials(missing.collect()));
        };
        of_variables(&api_url, token, warnings)
    }

    /// Where to log in: the address given, `HOOP_APIURL`, or the file. No token.
    pub fn for_login(
        surroundings: Surroundings<'_>,
        given: Option<&str>,
        file: &ConfigFile,
        warnings: &mut Vec<String>,
    ) -> Result<Self, AdminError> {
        let variable = surroundings.get("HOOP_APIURL");
        let (text, place) = if let Some(given) = given {
            (given, "--api-url")
        } else if let Some(variable) = &variable {
            (variable.as_str(), "HOOP_APIURL")
        } else if let Some(api_url) = file.table.text("api_url") {
            (api_url, "api_url of ~/.hoop/config.toml")
        } else {
            return Err(AdminError::LoginWhere);
        };
        let url = parse_url(text, place)?;
        Self::new(surroundings, Source::File, url, None, &file.table, warnings)
    }

    fn new(
        surroundings: Surroundings<'_>,
        source: Source,
        api_url: BaseUrl,
        token: Option<Secret>,
        table: &TomlTable,
        warnings: &mut Vec<String>,
    ) -> Result<Self, AdminError> {
        let mut noticed = Vec::new();
        let loaded = authority::load(surroundings, true, &mut noticed);
        let mut trust = loaded.map_err(AdminError::Config)?;
        if let Some(encoded) = table.text("tls_ca") {
            let content =
                base64::decode(encoded.as_bytes()).map_err(|_| AdminError::FileAuthority)?;
            let pem = authority::as_pem(&content).map_err(|_| AdminError::FileAuthority)?;
            trust.roots = Roots::Only(pem);
        }
        if table.flag("skip_tls_verify").unwrap_or(false) {
            trust.verify = Verify::Nobody;
        }
        if trust.verify == Verify::Nobody && api_url.is_tls {
            noticed.push(Warning::SkipVerify);
        }
        warnings.extend(noticed.iter().map(Warning::to_string));
        if !api_url.is_tls && !api_url.address.is_loopback() {
            warnings.push(format!(
                "no TLS to {api_url}: the token crosses the network readable by anybody on the \
                 way; write https:// into the API URL if the gateway has TLS"
            ));
        }
        Ok(Self {
            source,
            api_url,
            token,
            trust,
            server_name: surroundings.get("HOOP_TLSSERVERNAME"),
        })
    }
}

fn parse_url(text: &str, place: &'static str) -> Result<BaseUrl, AdminError> {
    BaseUrl::parse(text).map_err(|error| AdminError::Url(place, error))
}
