//! Opening a session: decode, refuse what can't be enforced, build the environment, check the
//! address, answer. Nothing here blocks; the address check is an ordinary target.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::command;
use super::ending::send_close;
use super::environment::Environment;
use super::heap;
use super::output::{Output, Size};
use super::plan::Plan;
use super::policy;
use super::protocol::{self, DATABASE_SECRETS, Place, Service};
use super::sessions::{EXIT_INTERNAL, LIFE, Session, Sessions, State};
use super::shares::{Table, UserKey};
use super::target::{Kind as TargetKind, SessionKey, TargetId};
use crate::base::plain::{Word, cut};
use crate::limits;
use crate::packet::params::{self, ParamsError};
use crate::packet::{ConnectionParams, EnvVars, Kind, Outbox, Packet, spec};

/// Where the address check goes.
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Sessions {
    /// `AgentSessionOpen`. Clients may choose ids: whoever takes that of a live session gets nothing,
    /// and since nobody can tell any more whose the next packets are, that session ends, too.
    pub(super) fn open(
        &mut self,
        now: Instant,
        id: &str,
        packet: &Packet<'_>,
        outbox: &mut Outbox,
    ) {
        if let Some(key) = self.by_id.get(id).copied() {
            self.counters.refused += 1;
            self.close(now, key, EXIT_INTERNAL, SAME_ID, outbox);
            return self.contest();
        }
        if self.may_be_in_use(id) {
            return self.refuse(id, SAME_ID, outbox);
        }
        self.forget_ended(id);
        match self.prepare(id, packet) {
            Ok(session) => self.admit(now, session, outbox),
            Err(text) => self.refuse(id, &text, outbox),
        }
    }

    /// The one close packet of a session that never was; what its client has sent already is late.
    pub(super) fn refuse(&mut self, id: &str, text: &str, outbox: &mut Outbox) {
        log::warn!("sid={} session refused: {text}", Word(id));
        self.counters.refused += 1;
        self.remember_ended(id.into(), true);
        send_close(outbox, id, EXIT_INTERNAL, text);
    }

    fn prepare(&mut self, id: &str, packet: &Packet<'_>) -> Result<Session, String> {
        let bad_params = |error: ParamsError| match error {
            ParamsError::EnvVar(_) | ParamsError::Arguments | ParamsError::Variables => {
                error.to_string()
            }
            _ => "internal error, failed decoding connection params".to_owned(),
        };
        let encoded = packet.spec(spec::CONNECTION_PARAMS).unwrap_or(b"");
        let params = ConnectionParams::decode(encoded).map_err(bad_params)?;
        let has_gcp_key = packet
            .spec(spec::GCP_CREDENTIALS)
            .is_some_and(|key| !key.is_empty());
        if let Some(demand) = policy::unmet_demand(&params, has_gcp_key) {
            return Err(demand);
        }
        let request_port = packet.spec(spec::REQUEST_PORT).unwrap_or(b"").to_vec();
        self.session_of(id, params, &client_variables(packet)?, request_port)
    }

    /// A session of these parameters, if there is room and the type is served.
    pub(super) fn session_of(
        &mut self,
        id: &str,
        mut params: ConnectionParams,
        client: &EnvVars,
        request_port: Vec<u8>,
    ) -> Result<Session, String> {
        if self.is_closing() {
            return Err("the agent is shutting down, try again".into());
        }
        if params.env_vars.len() + client.len() > limits::VARIABLE_COUNT_MAX {
            return Err(ParamsError::Variables.to_string());
        }
        let protocol = protocol::classify(&params).map_err(|refusal| refusal.0.to_owned())?;
        let environment = Plan::new(std::mem::take(&mut params.env_vars))
            .and_then(|plan| Environment::finish(plan, &params, protocol, client, id, &self.agent))
            .map_err(|error| error.to_string())?;
        let ids = 2 * heap::block(id.len()) + heap::MAP_ENTRY_BYTES;
        let held = heap::block(size_of::<Session>())
            + ids
            + heap::block(params.connection_type.capacity())
            + heap::block(request_port.capacity())
            + heap::words(&params.cmd_list)
            + heap::words(&params.client_args)
            + environment.heap_bytes();
        let user = match &params.user_id[..] {
            "" => &params.user_email,
            id => id,
        };
        let user = self.take_session(user, held)?;
        Ok(Session {
            id: id.into(),
            user,
            connection_type: params.connection_type,
            request_port,
            protocol,
            command: params.cmd_list,
            client_args: params.client_args,
            environment,
            held,
            state: State::Command {
                target: None,
                size: Size::DEFAULT,
            },
        })
    }

    /// Takes what a session needs, or says what is not to be had.
    fn take_session(&mut self, name: &str, held: usize) -> Result<UserKey, String> {
        let shares = &mut self.shares;
        let user = shares.enter(name).ok_or("too many users")?;
        let has_room = shares
            .ask(user, Table::Relays, 1)
            .and_then(|()| shares.ask(user, Table::Bytes, held))
            .and_then(|()| shares.take(user, Table::Sessions, 1));
        match has_room {
            Ok(()) => {
                let taken = shares.take(user, Table::Bytes, held);
                taken.map(|()| user)
            }
            Err(full) => {
                // Who came for this alone is forgotten.
                shares.give(user, Table::Sessions, 0);
                Err(full)
            }
        }
        .map_err(|full| full.to_string())
    }

    /// The session is over, or never came to be.
    pub(super) fn give_session(&mut self, session: &Session) {
        self.shares.give(session.user, Table::Bytes, session.held);
        self.shares.give(session.user, Table::Sessions, 1);
    }

    pub(super) fn admit(&mut self, now: Instant, session: Session, outbox: &mut Outbox) {
        let address = match address(&session) {
            Ok(address) => address,
            Err(text) => {
                self.give_session(&session);
                return self.refuse(&session.id, &text, outbox);
            }
        };
        let id = session.id.clone();
        let key = match self.sessions.insert(Box::new(session)) {
            Ok(key) => SessionKey(key),
            // As many as the table of shares has.
            Err(session) => return self.give_session(&session),
        };
        self.by_id.insert(id, key);
        self.counters.sessions += 1;
        let Some(address) = address else {
            return self.opened(key, outbox);
        };
        let timeout = Some(limits::SESSION_OPEN_TIMEOUT);
        let target = match self.new_target(now, key, TargetKind::Probe, timeout) {
            Ok(target) => target,
            Err(full) => {
                return self.close(now, key, EXIT_INTERNAL, &full.to_string(), outbox);
            }
        };
        if let Some(session) = self.session_mut(key) {
            session.state = State::Opening(target);
        }
        self.dial(target, address);
    }

    /// Asks for a connection to `address`, which will be `id`.
    pub(super) fn dial(&mut self, id: TargetId, address: Address) {
        if let Some(target) = self.target(id) {
            let user = target.user;
            self.outputs.push_back(Output::Dial {
                target: id,
                user,
                host: address.host,
                port: address.port,
            });
        }
    }

    /// The address answered (or none had to): the client may go on.
    pub(super) fn opened(&mut self, key: SessionKey, outbox: &mut Outbox) {
        let Some(session) = self.session_mut(key) else {
            return;
        };
        session.state = match session.protocol.service {
            Service::Tcp => State::Tcp {
                open: BTreeMap::new(),
                closed: VecDeque::new(),
            },
            Service::Command => State::Command {
                target: None,
                size: Size::DEFAULT,
            },
        };
        log::info!(
            target: LIFE,
            "sid={} session opened, type {}",
            Word(&session.id),
            session.connection_type
        );
        let shown = command::display(&session.command, &session.client_args);
        let connection_type = session.connection_type.as_bytes();
        let connection_type = cut(connection_type, limits::TYPE_ECHO_BYTES_MAX);
        let entries = [
            (spec::SESSION_ID, session.id.as_bytes()),
            (spec::CONNECTION_TYPE, &connection_type[..]),
            (spec::REQUEST_PORT, port_echo(&session.request_port)),
            (spec::COMMAND, &shown[..]),
        ];
        outbox.push(Kind::ClientSessionOpenOK, &entries, b"");
    }

    /// The address check failed: the session ends with upstream's sentence.
    pub(super) fn probe_failed(
        &mut self,
        now: Instant,
        id: TargetId,
        key: SessionKey,
        reason: &str,
        outbox: &mut Outbox,
    ) {
        self.drop_target(id, false);
        let Some(session) = self.session(key) else {
            return;
        };
        let Ok(Some(Address { host, port })) = address(session) else {
            return;
        };
        self.counters.dial_failures += 1;
        let text = format!("failed connecting to remote host={host}, port={port}, reason={reason}");
        self.close(now, key, EXIT_INTERNAL, &text, outbox);
    }
}

/// What the users of two sessions with one id are told.
const SAME_ID: &str =
    "another session was opened with the id of this one; closed by the agent, connect again";

/// The port that the client asked for. What is none asks for nothing: the client then takes the usual one.
fn port_echo(port: &[u8]) -> &[u8] {
    let is_port = port.len() <= limits::PORT_ECHO_DIGITS_MAX && port.iter().all(u8::is_ascii_digit);
    if is_port { port } else { b"" }
}

/// Where the target of a session is, or the sentence that names what is missing; a command without a
/// database has none.
pub(super) fn address(session: &Session) -> Result<Option<Address>, String> {
    let own = session.environment.own();
    let connection_type = &session.connection_type;
    let default_port = match &session.protocol.address {
        None => return Ok(None),
        Some(Place::HostAndPort) => None,
        Some(Place::Database { default_port, uri }) => {
            if let Some(uri) = uri.map(|name| own.text(name)).filter(|uri| !uri.is_empty()) {
                let address = mongo_address(uri);
                let failed = || format!("failed parsing {connection_type} connection string");
                return address.map(Some).ok_or_else(failed);
            }
            if DATABASE_SECRETS
                .iter()
                .any(|name| own.text(name).is_empty())
            {
                return Err(format!(
                    "missing required secrets for {connection_type} connection [HOST, USER, PASS]"
                ));
            }
            Some(*default_port)
        }
    };
    let missing = || "missing required environment for connection [HOST, PORT]".to_owned();
    let port = match (own.text("PORT").trim(), default_port) {
        ("", Some(port)) => port,
        ("", None) => return Err(missing()),
        (text, _) => text
            .parse()
            .map_err(|_| format!("PORT is not a port number for connection {connection_type}"))?,
    };
    match own.text("HOST").trim() {
        "" => Err(missing()),
        host => Ok(Some(Address {
            host: host.to_owned(),
            port,
        })),
    }
}

/// The first host of `mongodb://user:pass@host:port,...` or the name of `mongodb+srv://`.
fn mongo_address(text: &str) -> Option<Address> {
    let rest = text
        .strip_prefix("mongodb://")
        .or_else(|| text.strip_prefix("mongodb+srv://"))?;
    let authority = rest.split(['/', '?']).next()?;
    let hosts = authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts);
    let first = hosts.split(',').next().filter(|host| !host.is_empty())?;
    let (host, port) = match first.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (first, 27017),
    };
    Some(Address {
        host: host.to_owned(),
        port,
    })
}

/// `terminal.envvars` of the client.
fn client_variables(packet: &Packet<'_>) -> Result<EnvVars, String> {
    match packet.spec(spec::CLIENT_ENV_VARS) {
        None | Some(b"") => Ok(EnvVars::new()),
        Some(encoded) => params::decode_string_map(encoded).map_err(|error| match error {
            ParamsError::Variables => error.to_string(),
            _ => "internal error, failed decoding client env vars".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_host_of_a_mongo_uri_is_its_address() {
        for (text, want) in [
            ("mongodb://u:p%40@h1:1,h2:2/db?x=y", Some(("h1", 1))),
            ("mongodb://h1", Some(("h1", 27017))),
            (
                "mongodb+srv://u:p@cluster.example/?a=b",
                Some(("cluster.example", 27017)),
            ),
            ("mongodb://u@[::1]:9/x", Some(("[::1]", 9))),
            ("mongodb://u@[::1]", Some(("[::1]", 27017))),
            ("mongodb://", None),
            ("postgres://h", None),
            ("mongodb://h:port", None),
        ] {
            let found = mongo_address(text).map(|address| (address.host, address.port));
            assert_eq!(
                found,
                want.map(|(host, port)| (host.to_owned(), port)),
                "{text}"
            );
        }
    }
}
