//! The agent as root that becomes somebody else once it has read what only root can.

use std::ffi::OsString;
use std::fs;

use super::error::StartError;
use super::variables::StartVariables;
use crate::config::{Config, KEY_READABLE, Settings};
use crate::os::{files, sys};

/// Becomes the user that a setting names, and tells sessions so. Says when sessions can read the
/// key's file all the same.
pub fn settle(config: &Config, variables: &mut StartVariables) -> Result<(), StartError> {
    sys::lock_memory(config.token.expose());
    change(&config.settings, variables)?;
    if let Some(path) = config.key_source.path()
        && files::is_readable(path)
    {
        log::warn!("{path}: {KEY_READABLE}");
    }
    Ok(())
}

/// Becomes the user that a setting names.
pub fn change(settings: &Settings, variables: &mut StartVariables) -> Result<(), StartError> {
    match &settings.user {
        Some(name) => become_named(name, variables),
        None => Ok(()),
    }
}

fn become_named(name: &str, variables: &mut StartVariables) -> Result<(), StartError> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = find(&accounts, name);
    let number = name.parse().ok().map(|number| (number, number));
    let (user, group) = account
        .map(|account| (account.user, account.group))
        .or(number)
        .ok_or_else(|| StartError::NoAccount(name.to_owned()))?;
    if sys::effective_user() == user {
        return Ok(());
    }
    sys::become_user(user, group)
        .map_err(|error| StartError::BecomeUser(name.to_owned(), error))?;
    log::info!("running as user {user}, group {group} from here on, sessions included");
    if let Some(account) = account {
        set(variables, "HOME", account.home);
        set(variables, "USER", account.name);
        set(variables, "LOGNAME", account.name);
    }
    Ok(())
}

/// A line of passwd(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account<'a> {
    name: &'a str,
    user: u32,
    group: u32,
    home: &'a str,
}

fn find<'a>(accounts: &'a str, wanted: &str) -> Option<Account<'a>> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, user) = (fields.next()?, fields.next()?, fields.next()?);
        if name != wanted && user != wanted {
            return None;
        }
        Some(Account {
            name,
            user: user.parse().ok()?,
            group: fields.next()?.parse().ok()?,
            home: fields.nth(1)?,
        })
    })
}

/// Replaces a variable that is there; adds none.
fn set(variables: &mut StartVariables, wanted: &str, value: &str) {
    for (name, old) in variables {
        if name == wanted {
            *old = OsString::from(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/sh\nbroken:x:one\n\
         hoop:x:990:991:,,,:/var/lib/hoop:/usr/sbin/nologin\n";

    #[test]
    fn accounts_are_found_by_name_and_number() {
        let hoop = Account {
            name: "hoop",
            user: 990,
            group: 991,
            home: "/var/lib/hoop",
        };
        assert_eq!(find(ACCOUNTS, "hoop"), Some(hoop));
        assert_eq!(find(ACCOUNTS, "990"), Some(hoop));
        assert_eq!(find(ACCOUNTS, "991"), None);
        assert_eq!(find(ACCOUNTS, "broken"), None);
    }
}
