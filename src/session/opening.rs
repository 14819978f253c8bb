//! What a client asks for when it opens a session: read, and refused where it can't be enforced.
//!
//! Nothing here blocks, and nothing is done yet: the outcome is a session that can be admitted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::about::About;
use super::environment::{AgentEnvironment, Environment};
use super::error::SessionError;
use super::fetching::{Fetching, Pending};
use super::heap;
use super::plan::Plan;
use super::policy;
use super::protocol;
use super::session::Session;
use super::shares::{Shares, Table, UserKey};
use super::tokens;
use crate::base::Address;
use crate::limits;
use crate::packet::params::{self, ParamsError};
use crate::packet::{ConnectionParams, EnvVars, Packet, spec};
use crate::tls::OwnTickets;

/// What is asked for.
pub(super) struct Wish {
    /// What the gateway says about the connection.
    pub(super) params: ConnectionParams,
    /// Variables that the client sets.
    pub(super) client: EnvVars,
    /// The port that it asks for.
    pub(super) request_port: Vec<u8>,
}

impl Wish {
    /// Reads the packet, and refuses what this agent would not keep.
    pub(super) fn read(packet: &Packet<'_>) -> Result<Self, SessionError> {
        let encoded = packet.spec(spec::CONNECTION_PARAMS).unwrap_or(b"");
        let params = ConnectionParams::decode(encoded).map_err(SessionError::Params)?;
        let has_gcp_key = packet
            .spec(spec::GCP_CREDENTIALS)
            .is_some_and(|key| !key.is_empty());
        if let Some(demand) = policy::unmet_demand(&params, has_gcp_key) {
            return Err(SessionError::Demand(demand));
        }
        let client = match packet.spec(spec::CLIENT_ENV_VARS) {
            None | Some(b"") => EnvVars::new(),
            Some(encoded) => {
                params::decode_string_map(encoded).map_err(SessionError::ClientVariables)?
            }
        };
        Ok(Self {
            params,
            client,
            request_port: packet.spec(spec::REQUEST_PORT).unwrap_or(b"").to_vec(),
        })
    }

    /// A session of this, if there is room and the type is served. It has taken its share.
    pub(super) fn into_session(
        self,
        (now, id): (Instant, &str),
        agent: &AgentEnvironment,
        shares: &mut Shares,
    ) -> Result<Session, SessionError> {
        let Self {
            mut params,
            client,
            request_port,
        } = self;
        if params.env_vars.len() + client.len() > limits::VARIABLE_COUNT_MAX {
            return Err(SessionError::Params(ParamsError::Variables));
        }
        let protocol =
            protocol::classify(&params).map_err(|refusal| SessionError::NotServed(refusal.0))?;
        let plan = Plan::new(std::mem::take(&mut params.env_vars))?;
        let wants = plan.wants()?;
        let (environment, plan, pending_bytes) = match wants.is_empty() {
            true => {
                let environment = tokens::finish(plan, &params, protocol, &client, (id, agent))?;
                let bytes = environment.heap_bytes();
                (environment, None, bytes)
            }
            false => {
                let environment = Environment::waiting(&params, id);
                let bytes = plan.heap_bytes() + of_client(&client) + environment.heap_bytes();
                (environment, Some(plan), bytes)
            }
        };
        let held = of_params(&params, id) + heap::block(request_port.capacity()) + pending_bytes;
        let user = match &params.user_id[..] {
            "" => &params.user_email,
            id => id,
        };
        let user = take_session(shares, user, held)?;
        let about = About {
            id: id.into(),
            user,
            connection_type: params.connection_type.clone(),
            request_port,
            protocol,
            command: std::mem::take(&mut params.cmd_list),
            client_args: std::mem::take(&mut params.client_args),
            environment,
            held,
            pending_bytes,
            place: None,
            service: None,
            is_warned: Cell::new(false),
            tickets: Rc::default(),
            found: Rc::default(),
        };
        let pending = plan.map(|plan| {
            let pending = Pending {
                plan,
                params,
                client,
            };
            (pending, wants)
        });
        let fetches = pending.is_some() || about.environment.mint().is_some();
        let fetch = fetches.then(|| Box::new(Fetching::new(now, pending)));
        Ok(Session::new(about, fetch))
    }
}

/// What a session takes of the heap, its variables and the port left out.
fn of_params(params: &ConnectionParams, id: &str) -> usize {
    heap::block(size_of::<Session>())
        + 2 * heap::block(id.len())
        + heap::MAP_ENTRY_BYTES
        + heap::block(params.connection_type.capacity())
        + heap::words(&params.cmd_list)
        + heap::words(&params.client_args)
        + heap::block(size_of::<RefCell<OwnTickets>>() + 2 * size_of::<usize>())
        + heap::block(size_of::<RefCell<Option<Address>>>() + 2 * size_of::<usize>())
}

/// What a client's variables take of the heap, roughly.
fn of_client(client: &EnvVars) -> usize {
    let sizes = client
        .iter()
        .map(|(key, value)| key.capacity() + value.capacity() + 64);
    sizes.sum()
}

/// Takes what a session needs, or says what is not to be had.
fn take_session(shares: &mut Shares, name: &str, held: usize) -> Result<UserKey, SessionError> {
    let user = shares.enter(name).ok_or(SessionError::TooManyUsers)?;
    let has_room = shares
        .ask(user, Table::Relays, 1)
        .and_then(|()| shares.ask(user, Table::Bytes, held))
        .and_then(|()| shares.take(user, Table::Sessions, 1));
    match has_room {
        Ok(()) => shares.take(user, Table::Bytes, held)?,
        Err(full) => {
            // Who came for this alone is forgotten.
            shares.give(user, Table::Sessions, 0);
            return Err(full.into());
        }
    }
    Ok(user)
}
