//! `login` with a local account: asks, proves, and keeps the token in `~/.hoop/config.toml`.

use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;

use super::answers::{PublicInfo, ServerInfo};
use super::command::LoginCommand;
use super::credentials::{ConfigFile, Credentials, TRIO};
use super::error::{AdminError, LoginError, What};
use super::rest::{Api, printable};
use super::world::{CommandResult, Context, warn};
use crate::base::Secret;
use crate::os::sys;
use crate::wire::json::write_string;
use crate::wire::json_text;

/// A line that somebody types; longer ones are no e-mail and no password.
const LINE_BYTES_MAX: u64 = 4096;

/// Logs in and keeps the token.
pub fn login(
    command: &LoginCommand,
    context: &mut Context<'_>,
) -> Result<CommandResult, AdminError> {
    let surroundings = context.surroundings;
    // That others can read the file ends with this login, which writes it anew.
    let mut file = ConfigFile::read(surroundings, &mut Vec::new())?;
    let mut warnings = Vec::new();
    let given = command.api_url.as_deref();
    let mut credentials = Credentials::for_login(surroundings, given, &file, &mut warnings)?;
    warn(context.stderr, &warnings);
    let api = Api::new(&credentials, surroundings)?;
    check_method(&api)?;
    let email = match &command.email {
        Some(email) => email.clone(),
        None => ask_email(context)?,
    };
    let password = ask_password(context)?;
    let token = exchange(&api, &email, &password)?;
    file.table
        .set_text("token", token.expose_text().unwrap_or_default());
    file.table.set_text("api_url", &api.url());
    credentials.token = Some(token);
    if file.table.text("grpc_url").is_none() {
        let api = Api::new(&credentials, surroundings)?;
        if let Some(grpc_url) = grpc_url(&api)? {
            file.table.set_text("grpc_url", &grpc_url);
        }
    }
    file.write()?;
    let mut report = CommandResult::of("Login succeeded\n".to_owned());
    if TRIO.iter().all(|name| surroundings.get(name).is_some()) {
        report.note(format!(
            "{} are set and win over this login",
            TRIO.join(", ")
        ));
    }
    Ok(report)
}

/// The gateway has local accounts, and at least one.
fn check_method(api: &Api<'_>) -> Result<(), AdminError> {
    let response = api.call("GET", "/publicserverinfo", None)?;
    if response.status == 404 {
        return Err(AdminError::Login(LoginError::TooOld));
    }
    let info = match response.status {
        200 => std::str::from_utf8(&response.body)
            .ok()
            .and_then(json_text::parse::<PublicInfo>),
        _ => return Err(api.refusal(What::Read, &response)),
    };
    let info = info.ok_or_else(|| AdminError::NotJson(api.url()))?;
    let error = match info.auth_method.as_deref() {
        Some("local") if info.setup_required == Some(true) => LoginError::NoUser,
        Some("local") => return Ok(()),
        Some(method) => LoginError::Method(printable(method)),
        None => return Err(AdminError::NotJson(api.url())),
    };
    Err(AdminError::Login(error))
}

/// E-mail and password for a token, which comes in a header.
fn exchange(api: &Api<'_>, email: &str, password: &Secret) -> Result<Secret, AdminError> {
    let mut body = String::from("{\"email\":");
    write_string(&mut body, email);
    body.push_str(",\"password\":");
    write_string(&mut body, password.expose_text().unwrap_or_default());
    body.push('}');
    let response = api.call("POST", "/localauth/login", Some(&Secret::new(body)))?;
    if response.status != 200 {
        return Err(api.refusal(What::Login(printable(email)), &response));
    }
    match response.header("token") {
        Some(token) if !token.is_empty() => Ok(Secret::new(token)),
        _ => Err(AdminError::Login(LoginError::NoToken)),
    }
}

fn grpc_url(api: &Api<'_>) -> Result<Option<String>, AdminError> {
    let answer = api.call_json(What::Read, "GET", "/serverinfo", None)?;
    let info = json_text::parse::<ServerInfo>(&answer);
    Ok(info
        .and_then(|info| info.grpc_url)
        .filter(|url| !url.is_empty()))
}

fn ask_email(context: &mut Context<'_>) -> Result<String, AdminError> {
    if context.terminal.is_none() {
        return Err(AdminError::Login(LoginError::NoEmail));
    }
    prompt(context.stderr, "Enter Email: ");
    let line = read_line(context.stdin)?;
    let email = line.expose_text().unwrap_or_default().trim();
    if email.is_empty() {
        return Err(AdminError::Login(LoginError::NoEmail));
    }
    Ok(email.to_owned())
}

fn ask_password(context: &mut Context<'_>) -> Result<Secret, AdminError> {
    let hidden = match context.terminal {
        Some(terminal) => {
            prompt(context.stderr, "Enter Password: ");
            let hidden = Hidden::new(terminal).map_err(input_failed)?;
            Some(hidden)
        }
        None => None,
    };
    let password = read_line(context.stdin);
    drop(hidden);
    let password = password?;
    if password.expose_text().is_none_or(str::is_empty) {
        return Err(AdminError::Login(LoginError::NoPassword));
    }
    Ok(password)
}

fn prompt(stderr: &mut dyn Write, text: &str) {
    // Nobody can be told that stderr is gone.
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

/// One line without its end.
fn read_line(stdin: &mut dyn BufRead) -> Result<Secret, AdminError> {
    let mut line = Vec::with_capacity(256);
    let mut limited = stdin.take(LINE_BYTES_MAX);
    limited.read_until(b'\n', &mut line).map_err(input_failed)?;
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Secret::new(line))
}

fn input_failed(error: io::Error) -> AdminError {
    AdminError::Login(LoginError::Input(error.kind()))
}

/// A terminal does not show what is typed while this lives.
struct Hidden<'a>(&'a dyn AsFd);

impl<'a> Hidden<'a> {
    fn new(terminal: &'a dyn AsFd) -> io::Result<Self> {
        sys::set_echo(terminal.as_fd(), false)?;
        Ok(Self(terminal))
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = sys::set_echo(self.0.as_fd(), true);
    }
}
