//! What a connection's own variables say about its account, and the machine that logs in with it.

use std::cell::RefCell;
use std::rc::Rc;

use super::between::Between;
use super::environment::{Environment, Variables};
use super::means::{Means, Way};
use super::place::bare;
use super::protocol::Dialect;
use super::seam::Machine;
use crate::base::{Address, Secret};
use crate::login::mongo::{Found, MongoAccount, Nonces};
use crate::login::mssql::Encryption;
use crate::login::{Account, Cause, Login, Refusal, SslMode};
use crate::secrets;
use crate::tls::{OwnTickets, Subject};

/// What stands between a new client and its server, or what is wrong with the variables.
pub(super) fn machine(
    (dialect, port): (Dialect, u16),
    environment: &Environment,
    (tickets, found): (&Rc<RefCell<OwnTickets>>, &Found),
    means: &mut Means,
) -> Result<Box<dyn Machine>, Refusal> {
    let own = environment.own();
    let named = Some(environment.own_or_file("SSLROOTCERT")).filter(|named| !named.is_empty());
    let mut way = Way {
        host: host(own).to_owned(),
        port,
        authorities: named.map(str::to_owned),
        identity: None,
        tickets: tickets.clone(),
        subject: match dialect {
            Dialect::Mssql => &Subject::SQL_SERVER,
            _ => &Subject::DATABASE,
        },
    };
    let login = match dialect {
        Dialect::Postgres => {
            Login::postgres(by_password_or_token(environment, means)?, means.random()?)
        }
        Dialect::Mysql => {
            let account = by_password_or_token(environment, means)?;
            match own.text("MYSQL_RSA").trim() {
                "true" => Login::mysql(account.with_rsa(means.random()?)),
                "" | "false" => Login::mysql(account),
                _ => {
                    let text = "MYSQL_RSA of the connection is neither true nor false";
                    return Err(Refusal::new(Cause::Unsupported, text));
                }
            }
        }
        Dialect::Mssql => {
            // As upstream means it: only this very word.
            let verify = match own.text("INSECURE").trim() {
                "true" => SslMode::Require,
                _ => SslMode::VerifyFull,
            };
            Login::mssql(account(own, verify), bare(host(own)), encryption(own)?)
        }
        Dialect::Mongo => {
            let account = mongo(own, port)?;
            let authorities = account.authorities().map(str::to_owned);
            way.authorities = authorities.or(way.authorities);
            way.identity = account.identity().map(str::to_owned);
            let nonces = Nonces {
                server: means.random()?,
                client: means.random()?,
            };
            Login::mongo(account, nonces, found.clone())
        }
        Dialect::Web | Dialect::Kubernetes => {
            let text = "a web service is not logged in to: the packet names no URL";
            return Err(Refusal::new(Cause::Unsupported, text));
        }
    };
    Ok(Box::new(Between::new(login, way)))
}

/// All of it in one text, or in a variable for each part.
fn mongo(own: &Variables, port: u16) -> Result<MongoAccount, Refusal> {
    let account = match own.text("CONNECTION_STRING").trim() {
        "" => MongoAccount::of_parts(
            own.text("SCHEME").trim(),
            Address {
                host: bare(host(own)).to_owned(),
                port,
            },
            own.get("USER").unwrap_or_default(),
            own.secret("PASS").cloned().unwrap_or_default(),
            own.text("OPTIONS").trim(),
        ),
        text => MongoAccount::parse(text),
    };
    account.map_err(|error| {
        let text = format!("failed parsing mongodb connection string: {error}");
        Refusal::new(Cause::Unsupported, text)
    })
}

fn account(own: &Variables, tls: SslMode) -> Account {
    let user = own.get("USER").unwrap_or_default();
    let password = own.secret("PASS").cloned().unwrap_or_default();
    let is_plain = tls == SslMode::Disable || is_here(host(own));
    Account::new(user, password)
        .with_database(own.get("DB").unwrap_or_default())
        .with_tls(tls)
        .with_plain_password_allowed(is_plain)
}

fn ssl_mode(own: &Variables) -> Result<SslMode, Refusal> {
    SslMode::parse(own.text("SSLMODE").trim())
}

/// In the words of SQL Server's own clients.
fn encryption(own: &Variables) -> Result<Encryption, Refusal> {
    Ok(match own.text("ENCRYPT").trim() {
        "" | "mandatory" => Encryption::Full,
        "optional" => Encryption::Login,
        "strict" => Encryption::Strict,
        _ => {
            let text = "ENCRYPT of the connection is none of optional, mandatory and strict";
            return Err(Refusal::new(Cause::Unsupported, text));
        }
    })
}

fn by_password_or_token(environment: &Environment, means: &mut Means) -> Result<Account, Refusal> {
    let own = environment.own();
    match environment.mint() {
        Some(mint) => by_token(own, means.token(mint)),
        None => Ok(account(own, ssl_mode(own)?)),
    }
}

/// A token is a password for everybody who reads it: it needs TLS.
fn by_token(own: &Variables, token: Result<Secret, secrets::Cause>) -> Result<Account, Refusal> {
    let tls = match ssl_mode(own)? {
        SslMode::Disable => return Err(Refusal::new(Cause::Unsupported, PLAIN_TOKEN)),
        SslMode::VerifyFull => SslMode::VerifyFull,
        SslMode::Prefer | SslMode::Require => SslMode::Require,
    };
    let token = token.map_err(|cause| {
        let text = [
            "failed generating aws rds auth token, err=",
            &cause.to_string(),
        ]
        .concat();
        Refusal::new(Cause::Credentials, text)
    })?;
    let user = own.get("USER").unwrap_or_default();
    Ok(Account::new(user, token)
        .with_database(own.get("DB").unwrap_or_default())
        .with_tls(tls))
}

const PLAIN_TOKEN: &str = "a login token of RDS goes over TLS alone: remove SSLMODE=disable of the connection, or set it \
     to require or verify-full";

fn host(own: &Variables) -> &str {
    own.text("HOST").trim()
}

/// Nobody else can listen on the way to this host.
fn is_here(host: &str) -> bool {
    use std::net::IpAddr;
    let is_loopback = bare(host)
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
}
