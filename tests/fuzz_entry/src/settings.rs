//! What operators write: the key, the environment, the config file, URLs.

use std::io;

use hoop_lite::admin::toml::{FILE_BYTES_MAX, TomlTable};
use hoop_lite::config::{Config, Dsn, DsnError, GatewayAddress, Surroundings};
use hoop_lite::http::{BaseUrl, encode_segment};
use hoop_lite::wire::percent;

/// A key: what is taken out of it is well-formed, and no error quotes more than a short scheme.
pub fn key(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    match Dsn::parse(&text) {
        Ok(dsn) => {
            assert!(text.is_ascii());
            assert_eq!(
                GatewayAddress::parse(&dsn.gateway.authority),
                Ok(dsn.gateway)
            );
            true
        }
        Err(DsnError::Scheme(Some(scheme))) => {
            assert!(scheme.len() <= 8 && scheme.bytes().all(|b| b.is_ascii_lowercase()));
            false
        }
        Err(_) => false,
    }
}

/// Lines of `NAME=value`; a line `FILE=` is followed by the content of any file that is read. The
/// whole configuration is loaded, and no text about it holds the secret.
pub fn environment(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (lines, file) = text.split_once("\nFILE=").unwrap_or((&text, ""));
    let variables: Vec<(&str, &str)> = lines.lines().filter_map(|l| l.split_once('=')).collect();
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
    let surroundings = Surroundings {
        variable: &|name| find(name).map(|(_, value)| (*value).to_owned()),
        read_file: &|path| match path.is_empty() {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(file.as_bytes().to_vec()),
        },
    };
    let mut said = String::new();
    let loaded = match Config::load(surroundings) {
        Ok(mut config) => {
            assert_ne!(config.gateway.port, 0);
            assert!(config.token.expose().iter().all(u8::is_ascii_graphic));
            for warning in &config.warnings {
                said.push_str(&warning.to_string());
            }
            said.push_str(&config.start_line("1", "linux/amd64"));
            said.push_str(&format!("{config:?}"));
            let _ = config.server_name();
            let _ = config.reload_key(surroundings);
            true
        }
        Err(error) => {
            said = error.to_string();
            false
        }
    };
    if has_secret_as_password_only(&text) {
        assert!(!said.contains(SECRET), "{said}");
    }
    loaded
}

/// Stands in the seeds where a key has its secret.
const SECRET: &str = "xagt-s3cr3t-s3cr3t-s3cr3t";

/// The secret stands nowhere but between a user and a host, in a key or a proxy's address.
fn has_secret_as_password_only(text: &str) -> bool {
    text.lines()
        .filter(|line| line.contains(SECRET))
        .all(|line| {
            let is_url = ["HOOP_KEY=", "HOOP_DSN=", "HTTPS_PROXY=", "FILE="]
                .iter()
                .any(|name| line.starts_with(name));
            let passwords = line.matches(&format!(":{SECRET}@")).count();
            is_url && passwords == 1 && line.matches(SECRET).count() == 1
        })
}

/// The file of `admin`: what was read is written and read again.
pub fn config_file(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(table) = TomlTable::parse(&text) else {
        return false;
    };
    let written = table.to_text();
    if written.len() <= FILE_BYTES_MAX {
        let again = TomlTable::parse(&written).expect("what we write can be read");
        assert!(again == table);
    }
    let mut changed = table.clone();
    changed.set_text("token", &text);
    if let Ok(again) = TomlTable::parse(&changed.to_text()) {
        assert_eq!(
            again.text("token"),
            Some(&*text).filter(|text| !text.is_empty())
        );
    } else {
        assert!(text.len() > FILE_BYTES_MAX / 8 || table.to_text().lines().count() >= 256);
    }
    true
}

/// A URL of the gateway, and the encoding of what is put behind it.
pub fn url(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let segment = encode_segment(&text);
    assert_eq!(percent::decode(&segment).as_deref(), Some(text.as_bytes()));
    let _ = percent::decode(&text);
    let Ok(url) = BaseUrl::parse(&text) else {
        return false;
    };
    let again = BaseUrl::parse(&url.to_string()).expect("what we write can be read");
    assert_eq!(again, url);
    let path = format!("{}/{segment}", url.prefix);
    assert!(
        path.bytes().all(|byte| byte.is_ascii_graphic()),
        "a request line"
    );
    true
}
